/* convpool bench ops: times operations that a file describes, a JSON object in each line. */
#include "args.h"
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *cases;
    computing computing;
    double seconds;
    bool error, json;
    limits limits; /* measured so far */
} options;

enum { OPTION_CASES = 256, OPTION_SECONDS, OPTION_ERROR, OPTION_JSON };

static const struct argp_option option_list[] = {
    {"cases", OPTION_CASES, "FILE", 0, "the cases, one JSON object in each line; '-' is standard input", 1},
    {"seconds", OPTION_SECONDS, "S", 0, "measure each case at least that long, and ten times (default 0.3)", 2},
    {"error", OPTION_ERROR, NULL, 0,
     "compute each case by the reference in double, too, and print the largest difference, as a part of the largest "
     "output",
     2},
    {"json", OPTION_JSON, NULL, 0, "print a line of JSON for each case", 2},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[ARGS_COMPUTING] = &o->computing;
        return 0;
    case OPTION_CASES:
        o->cases = text;
        return 0;
    case OPTION_SECONDS:
        o->seconds = arg_real("seconds", text, 0, 3600);
        return 0;
    case OPTION_ERROR:
        o->error = true;
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    case ARGP_KEY_END:
        if (!o->cases) usage("--cases is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- a case as the file says it --- */

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
    char list[WORDS_TEXT];
    refuse(c, "%s must be %s", key, words_text(words, list));
    return -1;
}

static bool known_keys(bench_case *c, json_t *object) {
    static const char *const keys[] = {"name",   "op",     "pass",     "input",    "type",         "filters",
                                       "kernel", "stride", "padding",  "dilation", "groups",       "activation",
                                       "size",   "axis",   "training", "order",    "interpolation"};
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

static bool read_size(bench_case *c, const json_t *object) {
    const json_t *list = json_object_get(object, "size");
    c->size.rank = list ? integers(list, 1, c->size.dim, CP_MAX_RANK) : 0;
    return c->size.rank >= 0 || refuse(c, "size must be whole numbers of at least 1");
}

static bool read_axis(bench_case *c, const json_t *object) {
    const json_t *value = json_object_get(object, "axis");
    c->axis = value ? (int)json_integer_value(value) : c->input.rank - 1;
    return (c->axis >= 0 && c->axis < c->input.rank && (!value || json_is_integer(value))) ||
           refuse(c, "axis must be one of the input's");
}

static bool read_words(bench_case *c, const json_t *object) {
    static const char *const passes[] = {"forward", "backward_input", "backward_weights", NULL};
    static const char *const activations[] = {"none", "relu", NULL};
    static const char *const types[] = {"f32", "u8", "i8", "i32", NULL};
    static const cp_type type_of[] = {CP_F32, CP_U8, CP_I8, CP_I32};
    static const char *const orders[] = {"dcr", "crd", NULL};
    static const char *const interpolations[] = {"nearest", "linear", NULL};
    const int chosen = read_word(c, object, "pass", passes),
              activation = read_word(c, object, "activation", activations);
    const int type = read_word(c, object, "type", types), order = read_word(c, object, "order", orders);
    const int interpolation = read_word(c, object, "interpolation", interpolations);
    if (chosen < 0 || activation < 0 || type < 0 || order < 0 || interpolation < 0) return false;
    c->pass = (pass)chosen;
    c->conv.activation = activation ? CP_RELU : CP_LINEAR;
    c->type = type_of[type];
    c->order = (cp_depth_order)order;
    c->interpolation = (cp_interpolation)interpolation;
    c->training = json_is_true(json_object_get(object, "training"));
    return true;
}

/* What the operation cannot do without. */
static bool has_needed(bench_case *c, const bench_op *op) {
    if (c->pass != FORWARD && c->conv.activation) return refuse(c, "a backward pass is timed without activation");
    if (op->needs & FILTERS && !c->filters) return refuse(c, "filters is missing");
    if (op->needs & KERNEL && !c->conv.kernel[0]) return refuse(c, "kernel is missing");
    if (op->needs & SIZE && c->size.rank != c->axes) return refuse(c, "size must be %d numbers", c->axes);
    return true;
}

static bool read_case(bench_case *c, json_t *object) {
    const char *name = json_string_value(json_object_get(object, "name"));
    const char *word = json_string_value(json_object_get(object, "op"));
    if (name) plain(name, c->name);
    if (!name || !word) return refuse(c, "needs a name and an op");
    const bench_op *op = bench_op_find(word);
    if (!op) return refuse(c, "op must be one that 'convpool operators' names, and no gradient");
    strcpy(c->op, op->name);
    c->input.rank = integers(json_object_get(object, "input"), 1, c->input.dim, CP_MAX_RANK);
    if (c->input.rank < (op->needs & SPACE ? 3 : 1) || (op->needs & SPACE && c->input.rank > CP_MAX_AXES + 2))
        return refuse(c,
                      op->needs & SPACE ? "input must be [N, space, C]" : "input must be whole numbers of at least 1");
    c->axes = op->needs & SPACE ? c->input.rank - 2 : 0;
    return known_keys(c, object) && read_words(c, object) && read_number(c, object, "filters", &c->filters) &&
           read_number(c, object, "groups", &c->conv.groups) && read_axes(c, object, "kernel", c->conv.kernel) &&
           read_axes(c, object, "stride", c->conv.stride) && read_axes(c, object, "dilation", c->conv.dilation) &&
           read_padding(c, json_object_get(object, "padding")) && read_size(c, object) && read_axis(c, object) &&
           has_needed(c, op);
}

/* --- timing one --- */

typedef struct bench {
    cp_net *net;
    cp_plan *plan;
    cp_work *work;
    cp_tensor in[2], out;
    int n_in;
    bool backward, own_gradient;
    bool alone;     /* nothing else runs beside what is timed */
    const char *op; /* of the forward pass */
} bench;

/* Memory for an input or output; where the type is another, the bits of floats are numbers as well. */
static cp_tensor values(cp_type type, cp_shape shape, bool positive) {
    const int64_t bytes = cp_shape_count(shape) * cp_type_size(type), size = sizeof(float);
    return cp_view(bench_numbers((bytes + size - 1) / size, positive), type, shape);
}

/* A net of the operation alone, or of its gradient too. */
static cp_status build_case(bench_case *c, bench *b, cp_node input[2], cp_type *out_type) {
    const bench_op *op = bench_op_find(c->op);
    const cp_type type = op->needs & (SPACE | BYTES) ? c->type : CP_F32;
    bench_net built = {.c = c, .net = b->net, .out_type = CP_F32};
    input[0] = cp_net_input(b->net, "x", type, c->input);
    cp_node y = op->build(&built, input[0]);
    const char *reason;
    cp_status status = cp_net_error(b->net, &reason);
    if (status || !y) return status ? status : CP_E_ARG;
    if (c->pass == BACKWARD_WEIGHTS && !built.w) refuse(c, "%s has no weights", c->op);
    if (*c->reason) return CP_E_ARG;
    const cp_node by = c->pass == BACKWARD_WEIGHTS ? built.w : input[0];
    *out_type = built.out_type;
    if (b->backward) {
        if (!(op->needs & LOSS)) input[1] = cp_net_input(b->net, "dy", CP_F32, cp_net_shape(b->net, y));
        status = cp_net_gradients(b->net, y, input[1], &by, 1, &y);
        if (status) return status;
    }
    cp_net_output(b->net, y, "y");
    return CP_OK;
}

/* Whether a step belongs to what is timed: in a forward pass another operation may have to run before it, in a backward
 * pass the operation itself (unless it is its own gradient). */
static bool counts(const bench *b, const cp_step_info *step) {
    return b->own_gradient || b->backward != !strcmp(step->op, b->op);
}

/* Finds out which steps count. */
static void look_at_steps(bench *b) {
    int counted = 0;
    for (int i = 0; i < cp_plan_steps(b->plan); i++) {
        cp_step_info step;
        if (!cp_plan_step(b->plan, NULL, i, &step)) counted += counts(b, &step);
    }
    b->own_gradient = counted == 0;
    b->alone = b->own_gradient || counted == cp_plan_steps(b->plan);
    cp_work_time(b->work, !b->alone);
}

static cp_status plan_case(bench_case *c, bench *b, cp_ctx *ctx) {
    const cp_plan_options planned = {.training = c->training};
    const bool positive = bench_op_find(c->op)->needs & POSITIVE;
    cp_node input[2] = {0};
    cp_type out_type;
    b->op = c->op;
    b->backward = c->pass != FORWARD;
    cp_status status = cp_net_new(&b->net);
    if (!status) status = build_case(c, b, input, &out_type);
    if (!status) status = cp_net_plan(&b->plan, ctx, b->net, &planned);
    if (!status) status = cp_work_new(&b->work, b->plan);
    if (status) return status;
    for (; b->n_in < 2 && input[b->n_in]; b->n_in++)
        b->in[b->n_in] = values(b->n_in || !(bench_op_find(c->op)->needs & (SPACE | BYTES)) ? CP_F32 : c->type,
                                cp_net_shape(b->net, input[b->n_in]), positive);
    b->out = values(out_type, cp_plan_output_shape(b->plan, 0), false);
    look_at_steps(b);
    return CP_OK;
}

static double run_once(void *user) {
    bench *b = user;
    const double begin = seconds_now();
    if (cp_plan_run(b->plan, b->work, b->in, b->n_in, &b->out, 1)) return -1;
    if (b->alone) return seconds_now() - begin;
    double sum = 0;
    for (int i = 0; i < cp_plan_steps(b->plan); i++) {
        cp_step_info step;
        if (!cp_plan_step(b->plan, b->work, i, &step) && counts(b, &step)) sum += step.seconds;
    }
    return sum;
}

/* The algorithm of the step that does most, and the sums of all. */
static const char *main_algorithm(const bench *b, cp_step_info *sum) {
    const char *algorithm = "none";
    int64_t most = -1;
    *sum = (cp_step_info){0};
    for (int i = 0; i < cp_plan_steps(b->plan); i++) {
        cp_step_info step;
        if (cp_plan_step(b->plan, NULL, i, &step) || !counts(b, &step)) continue;
        sum->bytes += step.bytes;
        sum->multiply_adds += step.multiply_adds;
        sum->products += step.products;
        if (step.multiply_adds >= most) {
            most = step.multiply_adds;
            algorithm = step.algorithm;
        }
    }
    return algorithm;
}

/* --- the error of one --- */

/* The same numbers in double, or memory for them. */
static cp_tensor in_double(cp_tensor x, bool copied) {
    const int64_t count = cp_shape_count(x.shape);
    double *numbers = allocate((size_t)count, sizeof *numbers);
    for (int64_t i = 0; copied && i < count; i++) numbers[i] = (double)((const float *)x.data)[i];
    return cp_view(numbers, CP_F64, x.shape);
}

/* The largest difference of what was computed last from the reference's answer in double, as a part of the largest
 * output; NAN where the output is not of floats, or there is no such answer. */
static double error_of(const bench_case *c, const bench *b, cp_ctx *ctx) {
    cp_plan *plan = NULL;
    cp_work *work = NULL;
    cp_tensor in[2];
    double difference = 0, largest = 0;
    if (b->out.type != CP_F32 || (c->axes && c->type != CP_F32)) return NAN;
    cp_status status = cp_net_plan(&plan, ctx, b->net, &(cp_plan_options){.type = CP_F64, .training = c->training});
    if (!status) status = cp_work_new(&work, plan);
    if (status) {
        cp_plan_free(plan);
        return NAN;
    }
    const cp_tensor out = in_double(b->out, false);
    for (int i = 0; i < b->n_in; i++) in[i] = in_double(b->in[i], true);
    status = cp_plan_run(plan, work, in, b->n_in, &out, 1);
    for (int64_t i = 0; !status && i < cp_shape_count(out.shape); i++) {
        const double exact = ((const double *)out.data)[i], got = (double)((const float *)b->out.data)[i];
        difference = fmax(difference, fabs(got - exact));
        largest = fmax(largest, fabs(exact));
    }
    for (int i = 0; i < b->n_in; i++) free(in[i].data);
    free(out.data);
    cp_work_free(work);
    cp_plan_free(plan);
    return status || largest == 0 ? NAN : difference / largest;
}

static void print_result(options *o, const bench_case *c, const bench *b, cp_ctx *ctx, timing time) {
    cp_step_info sum;
    const char *algorithm = main_algorithm(b, &sum);
    const double gflops = 2e-9 * (double)sum.multiply_adds / time.median, gbps = 1e-9 * (double)sum.bytes / time.median;
    const double error = o->error ? error_of(c, b, ctx) : NAN;
    const bool on_bytes = cp_type_size(b->in[0].type) == 1;
    const share_of_limit share = share_of(&o->limits, ctx, on_bytes, 2 * (double)sum.products, sum.bytes, time.median);
    if (!o->json) {
        printf("%-32s %-18s %10.4f %10.4f %9.1f %9.1f %6.1f%% %-7s", c->name, algorithm, 1e3 * time.min,
               1e3 * time.median, gflops, gbps, 100 * share.share, share.bound);
        if (o->error) printf(" %8.1e", error);
        printf("\n");
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
        if (!isnan(error)) json_object_set_new(line, "error", json_number(error));
        print_json(line, stdout);
    }
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
    } else if (!*c->reason) {
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
    fflush(stdout); /* whoever sends the cases waits for each answer */
    return timed ? STATUS_OK : STATUS_INPUT;
}

static int bench_file(options *o, FILE *file, cp_ctx *ctx) {
    char *line = NULL;
    size_t capacity = 0;
    int status = STATUS_OK;
    if (!o->json)
        printf("%-32s %-18s %10s %10s %9s %9s %7s of     %s  %s, %d thread%s\n", "name", "algorithm", "min ms",
               "median ms", "gflops", "gbps", "share", o->error ? "   error" : "", cp_ctx_isa(ctx), cp_ctx_threads(ctx),
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
        .doc =
            "Times operations.\v"
            "A case: {\"name\": \"3x3\", \"op\": \"conv\", \"input\": [1, 56, 56, 64], \"filters\": 64, \"kernel\": "
            "[3, 3], \"padding\": \"same\"}. op: any that 'convpool operators' names and that computes; pass: forward "
            "(default), backward_input, backward_weights; stride and dilation as kernel; padding: same, valid "
            "(default) or [begins..., ends...]; groups; activation: none, relu; type: f32, u8, i8 (of poolings, "
            "conv-integer, matmul-integer; of "
            "cast, i32 too, the result's); size: of the result's space; axis; training: true, false; order: dcr, "
            "crd; interpolation: nearest, linear. gflops counts 2 for each multiply-add, padded taps too.",
        .children = args_computing};
    args_parse(&parser, "bench ops", argc, argv, &o);
    FILE *file = strcmp(o.cases, "-") ? fopen(o.cases, "r") : stdin;
    if (!file) return fail(STATUS_IO, "%s: %s", o.cases, strerror(errno));
    cp_ctx *ctx;
    int status = new_context(&ctx, o.computing.threads, o.computing.math);
    if (!status) {
        status = bench_file(&o, file, ctx);
        cp_ctx_free(ctx);
    }
    if (file != stdin) fclose(file);
    return status;
}
