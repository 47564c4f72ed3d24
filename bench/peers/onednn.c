/* oneDNN (version 2) by its C API, as one of the systems of compare.py: reads cases from standard input and answers as
 * worker.py does. Every way is tried that oneDNN has for a case, and the fastest one counts: direct or Winograd, in the
 * layout that oneDNN asks for or channels last; weights always as it likes them. Threads: OMP_NUM_THREADS. */
#include <jansson.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM_UP 0.03 /* seconds, and three runs */
#define PROBE 0.03
#define LEAST_RUNS 5
#define PATIENCE 0.5 /* seconds, for what is so slow that these runs take longer */
#define MOST_RUNS 100000

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* --- a case --- */

typedef enum { FORWARD, BACKWARD_INPUT, BACKWARD_WEIGHTS } pass;

typedef struct {
    char op[32];
    pass pass;
    int axes;
    bool relu;
    int64_t batch, channels, filters, groups;
    dnnl_dims_t space, output, kernel, stride, dilation /* as oneDNN counts: 0 is none */, begin, end;
} bench_case;

static void read_axes(const json_t *object, const char *key, int axes, int64_t usual, int64_t *value) {
    const json_t *list = json_object_get(object, key);
    for (int i = 0; i < axes; i++) value[i] = list ? json_integer_value(json_array_get(list, (size_t)i)) : usual;
}

static bool is(const bench_case *c, const char *op) {
    return !strcmp(c->op, op);
}
static bool is_pool(const bench_case *c) {
    return is(c, "max-pool") || is(c, "avg-pool");
}

static void read_padding(bench_case *c, const json_t *given) {
    for (int i = 0; i < c->axes; i++) {
        const int64_t extent = (c->kernel[i] - 1) * (c->dilation[i] + 1) + 1;
        c->begin[i] = c->end[i] = 0;
        if (json_is_array(given)) {
            c->begin[i] = json_integer_value(json_array_get(given, (size_t)i));
            c->end[i] = json_integer_value(json_array_get(given, (size_t)(c->axes + i)));
        } else if (given && !strcmp(json_string_value(given), "same")) {
            const int64_t outputs = (c->space[i] + c->stride[i] - 1) / c->stride[i];
            const int64_t total = (outputs - 1) * c->stride[i] + extent - c->space[i];
            c->begin[i] = total > 0 ? total / 2 : 0;
            c->end[i] = total > 0 ? total - total / 2 : 0;
        }
        const int64_t padded = c->space[i] + c->begin[i] + c->end[i];
        c->output[i] = is(c, "conv-transpose") ? c->stride[i] * (c->space[i] - 1) + extent - c->begin[i] - c->end[i]
                                               : (padded - extent) / c->stride[i] + 1;
    }
}

static const char *read_case(bench_case *c, const json_t *object) {
    const char *op = json_string_value(json_object_get(object, "op"));
    const char *direction = json_string_value(json_object_get(object, "pass"));
    const json_t *input = json_object_get(object, "input"), *number;
    const char *activation = json_string_value(json_object_get(object, "activation"));
    *c = (bench_case){.axes = (int)json_array_size(input) - 2};
    snprintf(c->op, sizeof c->op, "%s", op);
    if (!is(c, "conv") && !is(c, "conv-transpose") && !is(c, "dense") && !is_pool(c)) return "this operation";
    c->pass = !direction || !strcmp(direction, "forward") ? FORWARD
              : !strcmp(direction, "backward_input")      ? BACKWARD_INPUT
                                                          : BACKWARD_WEIGHTS;
    c->batch = json_integer_value(json_array_get(input, 0));
    c->channels = json_integer_value(json_array_get(input, (size_t)c->axes + 1));
    c->filters = (number = json_object_get(object, "filters")) ? json_integer_value(number) : c->channels;
    c->groups = (number = json_object_get(object, "groups")) ? json_integer_value(number) : 1;
    c->relu = activation && !strcmp(activation, "relu");
    for (int i = 0; i < c->axes; i++) c->space[i] = json_integer_value(json_array_get(input, (size_t)i + 1));
    read_axes(object, "kernel", c->axes, 1, c->kernel);
    read_axes(object, "stride", c->axes, 1, c->stride);
    read_axes(object, "dilation", c->axes, 1, c->dilation);
    if (is_pool(c) && !json_object_get(object, "stride")) memcpy(c->stride, c->kernel, sizeof c->stride);
    for (int i = 0; i < c->axes; i++) c->dilation[i]--;
    read_padding(c, json_object_get(object, "padding"));
    return NULL;
}

/* --- one way to run it --- */

enum { MOST_ARGUMENTS = 8 };

typedef struct {
    const char *name;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t argument[MOST_ARGUMENTS];
    int arguments;
} way;

static void free_way(way *w) {
    for (int i = 0; i < w->arguments; i++) dnnl_memory_destroy(w->argument[i].memory);
    if (w->primitive) dnnl_primitive_destroy(w->primitive);
    *w = (way){0};
}

static dnnl_memory_desc_t describe(int rank, const int64_t *dims, bool last) {
    static const dnnl_format_tag_t tags[] = {0, 0, dnnl_nc, dnnl_nwc, dnnl_nhwc, dnnl_ndhwc};
    dnnl_memory_desc_t md;
    dnnl_memory_desc_init_by_tag(&md, rank, dims, dnnl_f32, last ? tags[rank] : dnnl_format_tag_any);
    return md;
}

static dnnl_memory_desc_t describe_data(const bench_case *c, int64_t channels, const int64_t *space, bool last) {
    dnnl_dims_t dims = {c->batch, channels};
    memcpy(dims + 2, space, (size_t)c->axes * sizeof *space);
    return describe(c->axes + 2, dims, last);
}

static dnnl_memory_desc_t describe_weights(const bench_case *c) {
    const int g = c->groups > 1;
    dnnl_dims_t dims = {c->groups};
    dims[g] = c->filters / c->groups;
    dims[g + 1] = c->channels / c->groups;
    memcpy(dims + g + 2, is(c, "dense") ? c->space : c->kernel, (size_t)c->axes * sizeof *dims);
    return describe(g + 2 + c->axes, dims, false);
}

static dnnl_memory_desc_t describe_bias(const bench_case *c) {
    const dnnl_dims_t dims = {c->filters};
    dnnl_memory_desc_t md;
    dnnl_memory_desc_init_by_tag(&md, 1, dims, dnnl_f32, dnnl_x);
    return md;
}

typedef struct {
    dnnl_convolution_desc_t convolution; /* also of a transposed one */
    dnnl_inner_product_desc_t dense;
    dnnl_pooling_v2_desc_t pooling;
    const void *used;
} description;

static dnnl_status_t describe_window(const bench_case *c, description *d, pass p, dnnl_prop_kind_t kind,
                                     dnnl_alg_kind_t algorithm, bool last) {
    const dnnl_memory_desc_t x = describe_data(c, c->channels, c->space, last);
    const dnnl_memory_desc_t y = describe_data(c, c->filters, c->output, last);
    const dnnl_memory_desc_t w = describe_weights(c);
    const dnnl_memory_desc_t b = describe_bias(c);
    d->used = &d->convolution;
    if (is(c, "conv-transpose")) {
        if (p != FORWARD) return dnnl_unimplemented;
        return dnnl_dilated_deconvolution_forward_desc_init(
            &d->convolution, kind,
            algorithm == dnnl_convolution_direct ? dnnl_deconvolution_direct : dnnl_deconvolution_winograd, &x, &w, &b,
            &y, c->stride, c->dilation, c->begin, c->end);
    }
    if (p == BACKWARD_INPUT)
        return dnnl_dilated_convolution_backward_data_desc_init(&d->convolution, algorithm, &x, &w, &y, c->stride,
                                                                c->dilation, c->begin, c->end);
    if (p == BACKWARD_WEIGHTS)
        return dnnl_dilated_convolution_backward_weights_desc_init(&d->convolution, algorithm, &x, &w, NULL, &y,
                                                                   c->stride, c->dilation, c->begin, c->end);
    return dnnl_dilated_convolution_forward_desc_init(&d->convolution, kind, algorithm, &x, &w, &b, &y, c->stride,
                                                      c->dilation, c->begin, c->end);
}

static dnnl_status_t describe_dense(const bench_case *c, description *d, pass p, dnnl_prop_kind_t kind, bool last) {
    const dnnl_dims_t y_dims = {c->batch, c->filters};
    const dnnl_memory_desc_t x = describe_data(c, c->channels, c->space, last), w = describe_weights(c);
    const dnnl_memory_desc_t y = describe(2, y_dims, last);
    const dnnl_memory_desc_t b = describe_bias(c);
    d->used = &d->dense;
    if (p == BACKWARD_INPUT) return dnnl_inner_product_backward_data_desc_init(&d->dense, &x, &w, &y);
    if (p == BACKWARD_WEIGHTS) return dnnl_inner_product_backward_weights_desc_init(&d->dense, &x, &w, NULL, &y);
    return dnnl_inner_product_forward_desc_init(&d->dense, kind, &x, &w, &b, &y);
}

static dnnl_status_t describe_pooling(const bench_case *c, description *d, pass p, dnnl_prop_kind_t kind, bool last) {
    const dnnl_alg_kind_t algorithm = is(c, "max-pool") ? dnnl_pooling_max : dnnl_pooling_avg_exclude_padding;
    /* A forward pooling does not choose the layout of its input; a blocked one is its fastest. */
    dnnl_memory_desc_t x = describe_data(c, c->channels, c->space, true);
    if (!last) {
        static const dnnl_format_tag_t blocked[] = {0, dnnl_nCw16c, dnnl_nChw16c, dnnl_nCdhw16c};
        dnnl_memory_desc_init_by_tag(&x, c->axes + 2, x.dims, dnnl_f32, blocked[c->axes]);
    }
    const dnnl_memory_desc_t y = describe_data(c, c->channels, c->output, last);
    d->used = &d->pooling;
    if (p == BACKWARD_INPUT)
        return dnnl_pooling_v2_backward_desc_init(&d->pooling, algorithm, &x, &y, c->stride, c->kernel, c->dilation,
                                                  c->begin, c->end);
    return dnnl_pooling_v2_forward_desc_init(&d->pooling, kind, algorithm, &x, &y, c->stride, c->kernel, c->dilation,
                                             c->begin, c->end);
}

static dnnl_status_t describe_pass(const bench_case *c, description *d, pass p, dnnl_prop_kind_t kind,
                                   dnnl_alg_kind_t algorithm, bool last) {
    if (is_pool(c)) return describe_pooling(c, d, p, kind, last);
    return is(c, "dense") ? describe_dense(c, d, p, kind, last) : describe_window(c, d, p, kind, algorithm, last);
}

/* Numbers from -1 to 1; of a workspace zeros, which are valid. */
static void fill(dnnl_memory_t memory, size_t bytes, bool workspace) {
    void *data;
    uint32_t state = 12345;
    dnnl_memory_get_data_handle(memory, &data);
    memset(data, 0, bytes);
    for (size_t i = 0; i < bytes / sizeof(float) && !workspace; i++) {
        state = state * 1664525u + 1013904223u;
        ((float *)data)[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
    }
}

static void add_argument(way *w, int number, const_dnnl_primitive_desc_t pd) {
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, number);
    const size_t bytes = md ? dnnl_memory_desc_get_size(md) : 0;
    dnnl_memory_t memory;
    if (!bytes || dnnl_memory_create(&memory, md, engine, DNNL_MEMORY_ALLOCATE)) return;
    fill(memory, bytes, number == DNNL_ARG_WORKSPACE);
    w->argument[w->arguments++] = (dnnl_exec_arg_t){number, memory};
}

static dnnl_status_t run(const way *w) {
    const dnnl_status_t status = dnnl_primitive_execute(w->primitive, stream, w->arguments, w->argument);
    return status ? status : dnnl_stream_wait(stream);
}

static dnnl_status_t create(dnnl_primitive_desc_t *pd, const bench_case *c, pass p, dnnl_prop_kind_t kind,
                            dnnl_alg_kind_t algorithm, bool last, const_dnnl_primitive_desc_t forward) {
    description d = {0};
    dnnl_status_t status = describe_pass(c, &d, p, kind, algorithm, last);
    if (status) return status;
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t after;
    dnnl_primitive_attr_create(&attributes);
    dnnl_post_ops_create(&after);
    if (c->relu) dnnl_post_ops_append_eltwise(after, 1, dnnl_eltwise_relu, 0, 0);
    dnnl_primitive_attr_set_post_ops(attributes, after);
    status = dnnl_primitive_desc_create(pd, d.used, attributes, engine, forward);
    dnnl_post_ops_destroy(after);
    dnnl_primitive_attr_destroy(attributes);
    return status;
}

/* The workspace of a maximum holds what the forward pass chose. */
static void run_forward(const bench_case *c, way *w, const_dnnl_primitive_desc_t pd) {
    way forward = {0};
    if (!is(c, "max-pool") || dnnl_primitive_create(&forward.primitive, pd)) return;
    add_argument(&forward, DNNL_ARG_SRC, pd);
    add_argument(&forward, DNNL_ARG_DST, pd);
    const int own = forward.arguments;
    for (int i = 0; i < w->arguments; i++)
        if (w->argument[i].arg == DNNL_ARG_WORKSPACE) forward.argument[forward.arguments++] = w->argument[i];
    run(&forward);
    forward.arguments = own;
    free_way(&forward);
}

static bool make(way *w, const bench_case *c, dnnl_alg_kind_t algorithm, bool last) {
    static const int arguments[] = {DNNL_ARG_SRC,      DNNL_ARG_WEIGHTS,      DNNL_ARG_BIAS,     DNNL_ARG_DST,
                                    DNNL_ARG_DIFF_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST, DNNL_ARG_WORKSPACE};
    dnnl_primitive_desc_t pd = NULL, forward = NULL;
    const dnnl_prop_kind_t kind = c->pass == FORWARD ? dnnl_forward_inference : dnnl_forward_training;
    *w = (way){0};
    if (create(&forward, c, FORWARD, kind, algorithm, last, NULL)) return false;
    if (c->pass == FORWARD) {
        pd = forward;
    } else if (create(&pd, c, c->pass, kind, algorithm, last, forward)) {
        dnnl_primitive_desc_destroy(forward);
        return false;
    }
    bool made = dnnl_primitive_create(&w->primitive, pd) == dnnl_success;
    for (int i = 0; made && i < MOST_ARGUMENTS; i++) add_argument(w, arguments[i], pd);
    if (made && c->pass != FORWARD) run_forward(c, w, forward);
    made = made && run(w) == dnnl_success;
    if (!made) free_way(w);
    if (pd != forward) dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_desc_destroy(forward);
    return made;
}

/* --- timing --- */

static double samples[MOST_RUNS];

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void warm_up(const way *w) {
    const double begin = now();
    for (int runs = 0; now() - begin < (runs < 3 ? PATIENCE : WARM_UP); runs++) run(w);
}

/* Sorted samples; how many. */
static int measure(const way *w, double seconds) {
    const double begin = now();
    int n = 0;
    while (n < MOST_RUNS && (!n || now() - begin < (n < LEAST_RUNS ? PATIENCE : seconds))) {
        const double start = now();
        run(w);
        samples[n++] = now() - start;
    }
    qsort(samples, (size_t)n, sizeof *samples, compare);
    return n;
}

static way fastest(const bench_case *c) {
    static const struct {
        const char *name;
        dnnl_alg_kind_t algorithm;
        bool last;
    } ways[] = {{"direct", dnnl_convolution_direct, false},
                {"direct, channels last", dnnl_convolution_direct, true},
                {"winograd", dnnl_convolution_winograd, false}};
    way best = {0};
    double least = 0;
    for (int i = 0; i < 3; i++) {
        way w;
        if ((ways[i].algorithm == dnnl_convolution_winograd && (is_pool(c) || is(c, "dense"))) ||
            !make(&w, c, ways[i].algorithm, ways[i].last))
            continue;
        w.name = ways[i].name;
        warm_up(&w);
        measure(&w, PROBE);
        if (!best.primitive || samples[0] < least) {
            least = samples[0];
            free_way(&best);
            best = w;
        } else {
            free_way(&w);
        }
    }
    return best;
}

static json_t *answer(const json_t *object, const char *text) {
    static char known[4096]; /* the last case, whose fastest way the next round asks for again */
    static way best;
    if (!best.primitive || strcmp(text, known) != 0) {
        bench_case c;
        free_way(&best);
        const char *reason = read_case(&c, object);
        if (reason) return json_pack("{ss}", "error", reason);
        best = fastest(&c);
        snprintf(known, sizeof known, "%s", text);
        if (!best.primitive) return json_pack("{ss}", "error", "oneDNN has nothing for it");
    }
    const json_t *seconds = json_object_get(object, "seconds");
    warm_up(&best);
    const int n = measure(&best, seconds ? json_number_value(seconds) : 0.1);
    return json_pack("{sfsfss}", "min_ms", 1e3 * samples[0], "median_ms", 1e3 * samples[n / 2], "variant", best.name);
}

static void print(json_t *line) {
    json_dumpf(line, stdout, 0);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

int main(void) {
    char *text = NULL, version[64];
    size_t capacity = 0;
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) || dnnl_stream_create(&stream, engine, dnnl_stream_default_flags))
        return 1;
    const dnnl_version_t *v = dnnl_version();
    snprintf(version, sizeof version, "%d.%d.%d", v->major, v->minor, v->patch);
    print(json_pack("{ss}", "version", version));
    while (getline(&text, &capacity, stdin) > 0) {
        json_t *object = json_loads(text, 0, NULL);
        print(object ? answer(object, text) : json_pack("{ss}", "error", "not JSON"));
        json_decref(object);
    }
    free(text);
    return 0;
}
