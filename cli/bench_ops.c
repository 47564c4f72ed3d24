/* convpool bench ops: times operations that a file describes, a JSON object in each line. */
#include "args.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *cases;
    int threads;
    cp_math math;
    double seconds;
    bool json;
    limits limits; /* measured so far */
} options;

enum { OPTION_CASES = 256, OPTION_THREADS, OPTION_MATH, OPTION_SECONDS, OPTION_JSON };

static const struct argp_option option_list[] = {
    {"cases", OPTION_CASES, "FILE", 0, "the cases, one JSON object in each line; '-' is standard input", 1},
    {"threads", OPTION_THREADS, "N", 0, "default: OMP_NUM_THREADS, else all CPUs", 2},
    {"math", OPTION_MATH, "MODE", 0, "fast (default), or strict: no algorithm with larger errors than a sum's", 2},
    {"seconds", OPTION_SECONDS, "S", 0, "measure each case at least that long, and ten times (default 0.3)", 2},
    {"json", OPTION_JSON, NULL, 0, "print a line of JSON for each case", 2},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->err_stream = NULL;
        return 0;
    case OPTION_CASES:
        o->cases = text;
        return 0;
    case OPTION_THREADS:
        o->threads = arg_threads(text);
        return 0;
    case OPTION_MATH:
        o->math = arg_math(text);
        return 0;
    case OPTION_SECONDS:
        o->seconds = arg_real("seconds", text, 0, 3600);
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    case ARGP_KEY_ARG:
        usage("'%s' is not an option", text);
    case ARGP_KEY_END:
        if (!o->cases) usage("--cases is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- a case as the file says it --- */

typedef enum pass { FORWARD, BACKWARD_INPUT, BACKWARD_WEIGHTS } pass;

typedef struct bench_case {
    char name[PLAIN_TEXT], op[32], reason[512]; /* reason: why it cannot be timed */
    pass pass;
    cp_shape input;
    int axes;
    int64_t filters;
    cp_conv conv; /* also the window of a pooling */
} bench_case;

static bool refuse(bench_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(bench_case *c, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(c->reason, sizeof c->reason, format, list);
    va_end(list);
    return false;
}

/* A list of whole numbers of at least `low`; how many, or -1. */
static int integers(const json_t *list, int64_t low, int64_t *value, int most) {
    const size_t n = json_array_size(list);
    if (!json_is_array(list) || n > (size_t)most) return -1;
    for (size_t i = 0; i < n; i++) {
        const json_t *number = json_array_get(list, i);
        value[i] = json_integer_value(number);
        if (!json_is_integer(number) || value[i] < low) return -1;
    }
    return (int)n;
}

static bool read_axes(bench_case *c, const json_t *object, const char *key, int64_t *value) {
    const json_t *list = json_object_get(object, key);
    if (!list || integers(list, 1, value, CP_MAX_AXES) == c->axes) return true;
    return refuse(c, "%s must be %d whole numbers of at least 1", key, c->axes);
}

static bool read_padding(bench_case *c, const json_t *given) {
    const char *word = json_string_value(given);
    int64_t number[2 * CP_MAX_AXES];
    if (!given || (word && !strcmp(word, "valid"))) {
        c->conv.pad = CP_PAD_VALID;
    } else if (word && !strcmp(word, "same")) {
        c->conv.pad = CP_PAD_SAME;
    } else if (integers(given, 0, number, 2 * CP_MAX_AXES) == 2 * c->axes) {
        memcpy(c->conv.pad_before, number, (size_t)c->axes * sizeof *number);
        memcpy(c->conv.pad_after, number + c->axes, (size_t)c->axes * sizeof *number);
    } else {
        return refuse(c, "padding must be same, valid, or %d whole numbers, all begins then all ends", 2 * c->axes);
    }
    return true;
}

/* A word of a list, of which the first is the default; -1 with the reason. */
static int read_word(bench_case *c, const json_t *object, const char *key, const char *const *words) {
    const json_t *value = json_object_get(object, key);
    if (!value) return 0;
    for (int i = 0; words[i]; i++)
        if (json_is_string(value) && !strcmp(json_string_value(value), words[i])) return i;
    refuse(c, "%s must be %s%s%s%s%s", key, words[0], words[1] ? ", " : "", words[1] ? words[1] : "",
           words[1] && words[2] ? ", " : "", words[1] && words[2] ? words[2] : "");
    return -1;
}

static bool known_keys(bench_case *c, json_t *object) {
    static const char *const keys[] = {"name",   "op",      "pass",     "input",  "filters",   "kernel",
                                       "stride", "padding", "dilation", "groups", "activation"};
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        bool known = false;
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) known |= !strcmp(key, keys[i]);
        char copy[PLAIN_TEXT];
        if (!known) return refuse(c, "unknown key '%s'", plain(key, copy));
    }
    return true;
}

static bool read_number(bench_case *c, const json_t *object, const char *key, int64_t *number) {
    const json_t *value = json_object_get(object, key);
    if (!value) return true;
    *number = json_integer_value(value);
    return (json_is_integer(value) && *number >= 1) || refuse(c, "%s must be a whole number of at least 1", key);
}

static bool is_pooling(const bench_case *c) {
    return !strcmp(c->op, "max-pool") || !strcmp(c->op, "avg-pool");
}

static bool read_case(bench_case *c, json_t *object) {
    static const char *const passes[] = {"forward", "backward_input", "backward_weights", NULL};
    static const char *const activations[] = {"none", "relu", NULL};
    const char *name = json_string_value(json_object_get(object, "name"));
    const char *op = json_string_value(json_object_get(object, "op"));
    if (name) plain(name, c->name);
    if (!name || !op) return refuse(c, "needs a name and an op");
    if (strcmp(op, "conv") && strcmp(op, "conv-transpose") && strcmp(op, "deform-conv") && strcmp(op, "dense") &&
        strcmp(op, "max-pool") && strcmp(op, "avg-pool"))
        return refuse(c, "op must be conv, conv-transpose, deform-conv, dense, max-pool or avg-pool");
    strcpy(c->op, op);
    c->input.rank = integers(json_object_get(object, "input"), 1, c->input.dim, CP_MAX_AXES + 2);
    if (c->input.rank < (strcmp(op, "dense") ? 3 : 2)) return refuse(c, "input must be [N, space, C]");
    c->axes = c->input.rank - 2;
    const int chosen = read_word(c, object, "pass", passes);
    const int activation = read_word(c, object, "activation", activations);
    if (chosen < 0 || activation < 0) return false;
    c->pass = (pass)chosen;
    c->conv.activation = activation ? CP_RELU : CP_LINEAR;
    if (c->pass != FORWARD && c->conv.activation) return refuse(c, "a backward pass is timed without activation");
    if (c->pass == BACKWARD_WEIGHTS && is_pooling(c)) return refuse(c, "%s has no weights", op);
    if (!known_keys(c, object) || !read_number(c, object, "filters", &c->filters) ||
        !read_number(c, object, "groups", &c->conv.groups) || !read_axes(c, object, "kernel", c->conv.kernel) ||
        !read_axes(c, object, "stride", c->conv.stride) || !read_axes(c, object, "dilation", c->conv.dilation) ||
        !read_padding(c, json_object_get(object, "padding")))
        return false;
    if (!is_pooling(c) && !c->filters) return refuse(c, "filters is missing");
    if (strcmp(op, "dense") && !c->conv.kernel[0]) return refuse(c, "kernel is missing");
    return true;
}

/* --- timing one --- */

typedef struct bench {
    cp_net *net;
    cp_plan *plan;
    cp_work *work;
    cp_tensor in[2], out;
    int n_in;
    bool backward;
    const char *op;     /* of the forward pass, which does not count in a backward pass */
    int64_t multiplies; /* and additions, padded taps counted */
} bench;

/* Numbers from -1 to 1 that do not matter but are no zeros and no denormals. */
static void fill(float *numbers, int64_t count) {
    uint32_t state = 12345;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        numbers[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
    }
}

static float *numbers(int64_t count) {
    const size_t bytes = ((size_t)count * sizeof(float) + 63) / 64 * 64;
    float *memory = count < INT64_MAX / 8 && count >= 0 ? aligned_alloc(64, bytes ? bytes : 64) : NULL;
    if (!memory) exit(fail(STATUS_LIMIT, "no memory for %lld numbers", (long long)count));
    fill(memory, count);
    return memory;
}

static cp_node constant(cp_net *net, const char *name, cp_shape shape) {
    float *values = numbers(cp_shape_count(shape));
    const cp_tensor tensor = cp_view(values, CP_F32, shape);
    const cp_node node = cp_net_constant(net, name, &tensor);
    free(values);
    return node;
}

static cp_node build_pooling(const bench_case *c, bench *b, cp_node x) {
    cp_pool pool = {.kind = strcmp(c->op, "max-pool") ? CP_AVERAGE : CP_MAX, .pad = c->conv.pad};
    memcpy(pool.kernel, c->conv.kernel, sizeof pool.kernel);
    memcpy(pool.stride, c->conv.stride, sizeof pool.stride);
    memcpy(pool.dilation, c->conv.dilation, sizeof pool.dilation);
    memcpy(pool.pad_before, c->conv.pad_before, sizeof pool.pad_before);
    memcpy(pool.pad_after, c->conv.pad_after, sizeof pool.pad_after);
    return cp_net_pool(b->net, x, &pool);
}

/* With offsets of up to a pixel, and a mask. */
static cp_node build_deformable(const bench_case *c, bench *b, cp_node x, cp_node w, cp_node bias) {
    const cp_shape kernel = cp_net_shape(b->net, w);
    cp_shape field;
    if (cp_conv_shape(&field, &c->conv, c->input, kernel)) return 0;
    field.dim[c->axes + 1] = cp_shape_count(cp_shape_of(c->axes, kernel.dim));
    const cp_node mask = constant(b->net, "mask", field);
    field.dim[c->axes + 1] *= c->axes;
    return cp_net_deform_conv_with(b->net, x, w, constant(b->net, "offset", field), mask, bias, &c->conv);
}

/* A layer with weights; *w: the weights. */
static cp_node build_weighted(const bench_case *c, bench *b, cp_node x, cp_node *w) {
    const cp_shape bias = cp_shape_of(1, &c->filters);
    cp_shape shape = {.rank = 2};
    if (!strcmp(c->op, "dense")) {
        x = cp_net_flatten(b->net, x);
        shape = (cp_shape){2, {cp_net_shape(b->net, x).dim[1], c->filters}};
        *w = constant(b->net, "w", shape);
        b->multiplies = c->input.dim[0] * cp_shape_count(shape);
        return cp_net_dense_with(b->net, x, *w, constant(b->net, "b", bias), c->conv.activation);
    }
    const int64_t groups = c->conv.groups ? c->conv.groups : 1;
    shape.rank = c->axes + 2;
    memcpy(shape.dim, c->conv.kernel, (size_t)c->axes * sizeof *shape.dim);
    const bool transposed = !strcmp(c->op, "conv-transpose");
    const int64_t channels = c->input.dim[c->axes + 1];
    shape.dim[c->axes] = (transposed ? c->filters : channels) / groups;
    shape.dim[c->axes + 1] = transposed ? channels : c->filters;
    *w = constant(b->net, "w", shape);
    const cp_node bias_node = constant(b->net, "b", bias);
    const cp_node y = transposed                     ? cp_net_conv_transpose_with(b->net, x, *w, bias_node, &c->conv)
                      : strcmp(c->op, "deform-conv") ? cp_net_conv_with(b->net, x, *w, bias_node, &c->conv)
                                                     : build_deformable(c, b, x, *w, bias_node);
    const int64_t positions =
        cp_shape_count(transposed ? c->input : cp_net_shape(b->net, y)) / (transposed ? channels : c->filters);
    b->multiplies = positions * cp_shape_count(shape);
    return y;
}

static cp_status plan_case(const bench_case *c, bench *b, cp_ctx *ctx) {
    cp_status status = cp_net_new(&b->net);
    if (status) return status;
    const cp_node x = cp_net_input(b->net, "x", CP_F32, c->input);
    cp_node w = 0, dy = 0;
    cp_node y = is_pooling(c) ? build_pooling(c, b, x) : build_weighted(c, b, x, &w);
    b->op = c->op;
    b->backward = c->pass != FORWARD;
    if (b->backward) {
        dy = cp_net_input(b->net, "dy", CP_F32, cp_net_shape(b->net, y));
        status = cp_net_gradients(b->net, y, dy, c->pass == BACKWARD_INPUT ? &x : &w, 1, &y);
        if (status) return status;
    }
    cp_net_output(b->net, y, "y");
    status = cp_net_plan(&b->plan, ctx, b->net, NULL);
    if (!status) status = cp_work_new(&b->work, b->plan);
    if (status) return status;
    const cp_node inputs[] = {x, dy};
    for (b->n_in = 0; b->n_in < 2 && inputs[b->n_in]; b->n_in++) {
        const cp_shape shape = cp_net_shape(b->net, inputs[b->n_in]);
        b->in[b->n_in] = cp_view(numbers(cp_shape_count(shape)), CP_F32, shape);
    }
    const cp_shape shape = cp_plan_output_shape(b->plan, 0);
    b->out = cp_view(numbers(cp_shape_count(shape)), CP_F32, shape);
    cp_work_time(b->work, b->backward);
    return CP_OK;
}

/* Whether a step belongs to what is timed: in a backward pass the forward operation may have to run before it. */
static bool counts(const bench *b, const cp_step_info *step) {
    return !b->backward || strcmp(step->op, b->op);
}

static double run_once(void *user) {
    bench *b = user;
    const double begin = seconds_now();
    if (cp_plan_run(b->plan, b->work, b->in, b->n_in, &b->out, 1)) return -1;
    if (!b->backward) return seconds_now() - begin;
    double sum = 0;
    for (int i = 0; i < cp_plan_steps(b->plan); i++) {
        cp_step_info step;
        if (!cp_plan_step(b->plan, b->work, i, &step) && counts(b, &step)) sum += step.seconds;
    }
    return sum;
}

/* The algorithm of the step that does most, and the bytes of all. */
static const char *main_algorithm(const bench *b, int64_t *bytes) {
    const char *algorithm = "none";
    int64_t most = -1;
    *bytes = 0;
    for (int i = 0; i < cp_plan_steps(b->plan); i++) {
        cp_step_info step;
        if (cp_plan_step(b->plan, NULL, i, &step) || !counts(b, &step)) continue;
        *bytes += step.bytes;
        if (step.multiply_adds >= most) {
            most = step.multiply_adds;
            algorithm = step.algorithm;
        }
    }
    return algorithm;
}

static void print_result(options *o, const bench_case *c, const bench *b, cp_ctx *ctx, timing time) {
    int64_t bytes;
    const char *algorithm = main_algorithm(b, &bytes);
    const double operations = 2 * (double)b->multiplies;
    const double gflops = 1e-9 * operations / time.median, gbps = 1e-9 * (double)bytes / time.median;
    const share_of_limit share = share_of(&o->limits, ctx, operations, bytes, time.median);
    if (!o->json) {
        printf("%-32s %-18s %10.4f %10.4f %9.1f %9.1f %6.1f%% %s\n", c->name, algorithm, 1e3 * time.min,
               1e3 * time.median, gflops, gbps, 100 * share.share, share.bound);
    } else {
        json_t *line = json_object();
        json_object_set_new(line, "name", json_plain(c->name));
        json_object_set_new(line, "algorithm", json_plain(algorithm));
        json_object_set_new(line, "isa", json_plain(cp_ctx_isa(ctx)));
        json_object_set_new(line, "threads", json_integer(cp_ctx_threads(ctx)));
        json_object_set_new(line, "min_ms", json_number(1e3 * time.min));
        json_object_set_new(line, "median_ms", json_number(1e3 * time.median));
        json_object_set_new(line, "gflops", json_number(gflops));
        json_object_set_new(line, "gbps", json_number(gbps));
        json_object_set_new(line, "share", json_number(share.share));
        json_object_set_new(line, "bound", json_plain(share.bound));
        json_object_set_new(line, "limit", json_number(1e-9 * share.limit));
        print_json(line, stdout);
    }
    fflush(stdout);
}

static void print_refusal(const options *o, const bench_case *c) {
    if (!o->json) {
        printf("%-32s error: %s\n", c->name, c->reason);
        return;
    }
    json_t *line = json_object();
    json_object_set_new(line, "name", json_plain(c->name));
    json_object_set_new(line, "error", json_plain(c->reason));
    print_json(line, stdout);
}

static bool time_case(options *o, bench_case *c, cp_ctx *ctx) {
    bench b = {0};
    timing time = {0};
    const cp_status planned = plan_case(c, &b, ctx);
    if (!planned) time = time_runs(run_once, &b, o->seconds);
    if (time.runs) {
        print_result(o, c, &b, ctx, time);
    } else {
        refuse(c, "%s", cp_error());
    }
    for (int i = 0; i < 2; i++) free(b.in[i].data);
    free(b.out.data);
    cp_work_free(b.work);
    cp_plan_free(b.plan);
    cp_net_free(b.net);
    return time.runs;
}

/* One line of the file; an empty one is no case. */
static int bench_line(options *o, const char *line, int number, cp_ctx *ctx) {
    if (line[strspn(line, " \t\r\n")] == 0) return STATUS_OK;
    json_error_t error;
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(object)) {
        json_decref(object);
        return fail(STATUS_INPUT, "%s: line %d: %s", o->cases, number, object ? "not an object" : error.text);
    }
    bench_case c = {0};
    const bool timed = read_case(&c, object) && time_case(o, &c, ctx);
    json_decref(object);
    if (!timed) print_refusal(o, &c);
    return timed ? STATUS_OK : STATUS_INPUT;
}

static int bench_file(options *o, FILE *file, cp_ctx *ctx) {
    char *line = NULL;
    size_t capacity = 0;
    int status = STATUS_OK;
    if (!o->json)
        printf("%-32s %-18s %10s %10s %9s %9s %7s of      %s, %d thread%s\n", "name", "algorithm", "min ms",
               "median ms", "gflops", "gbps", "share", cp_ctx_isa(ctx), cp_ctx_threads(ctx),
               cp_ctx_threads(ctx) > 1 ? "s" : "");
    for (int number = 1; getline(&line, &capacity, file) >= 0; number++) {
        const int timed = bench_line(o, line, number, ctx);
        if (timed) status = timed;
    }
    if (ferror(file)) status = fail(STATUS_IO, "%s: %s", o->cases, strerror(errno));
    free(line);
    return status;
}

int bench_ops(int argc, char **argv) {
    options o = {.seconds = 0.3};
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .doc = "Times operations.\v"
               "A case: {\"name\": \"3x3\", \"op\": \"conv\", \"input\": [1, 56, 56, 64], \"filters\": 64, \"kernel\": "
               "[3, 3], \"padding\": \"same\"}. op: conv, conv-transpose, deform-conv, dense, max-pool, avg-pool; "
               "pass: forward "
               "(default), "
               "backward_input, backward_weights; stride and dilation as kernel; padding: same, valid (default) or "
               "[begins..., ends...]; groups; activation: none, relu. gflops counts 2 for each multiply-add of a conv "
               "or dense, padded taps too.",
        .children = args_common};
    args_parse(&parser, "bench ops", argc, argv, &o);
    FILE *file = strcmp(o.cases, "-") ? fopen(o.cases, "r") : stdin;
    if (!file) return fail(STATUS_IO, "%s: %s", o.cases, strerror(errno));
    cp_ctx *ctx;
    int status = new_context(&ctx, o.threads ? o.threads : default_threads(), o.math);
    if (!status) {
        status = bench_file(&o, file, ctx);
        cp_ctx_free(ctx);
    }
    if (file != stdin) fclose(file);
    return status;
}
