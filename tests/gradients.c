/* Gradients of whole nets: in double against central differences, and in single precision against double at every level
 * of instructions, with weights and gradients as a trainer keeps them. */
#include "train/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_ARRAYS = 40, CLASSES = 4 };

/* --- what is checked --- */

typedef struct subject {
    const char *text;                         /* layers; "a | b | c": b is added to what it is computed from */
    cp_shape shape;                           /* of x */
    cp_node (*build)(cp_net *net, cp_node x); /* for what no text says; NULL: the text does */
    cp_loss loss;                             /* for the cross-entropy the output must be CLASSES wide */
    cp_net *values;    /* outputs: the loss, then all that choices are seen by: outputs of relu, places of maxima */
    cp_net *gradients; /* outputs: the loss, then its gradients by all arrays */
    int arrays;        /* parameters, and at last x */
    int64_t count[MAX_ARRAYS];
    double *array[MAX_ARRAYS];
    void *target;
    cp_shape target_shape;
    double *gradient[MAX_ARRAYS];
} subject;

/* Fails with the net at hand. */
#define CHECK(subject, condition)                                                                                      \
    do {                                                                                                               \
        if (!(condition)) fail_msg("%s: %s: %s", (subject)->text, #condition, cp_error());                             \
    } while (0)

static void *new_memory(int64_t bytes) {
    void *memory = cp_zalloc(NULL, bytes);
    assert_non_null(memory);
    return memory;
}

static float uniform(uint64_t stream, int64_t i) {
    const cp_random_key key = {.seed = 5, .stream = (uint32_t)stream};
    return 2 * cp_random_uniform(&key, (uint64_t)i) - 1;
}

/* --- building --- */

static cp_node parse(cp_net *net, cp_node x, const char *text) {
    char part[3][400] = {"", "", ""};
    int n = 0;
    for (const char *bar; (bar = strchr(text, '|')); text = bar + 1, n++)
        snprintf(part[n], sizeof part[n], "%.*s", (int)(bar - text), text);
    snprintf(part[n], sizeof part[n], "%s", text);
    x = cp_net_parse(net, x, part[0]);
    if (n > 0) x = cp_net_parse(net, cp_net_add(net, x, cp_net_parse(net, x, part[1])), part[2]);
    return x;
}

enum { WEIGHTED = CP_HUBER + 1 }; /* cross-entropy with class weights and smoothed labels */

static bool has_labels(cp_loss loss) {
    return loss == CP_SOFTMAX_CROSS_ENTROPY || loss == CP_FOCAL || loss == CP_HINGE || (int)loss == WEIGHTED;
}

static cp_node add_loss(cp_net *net, cp_node y, cp_loss loss) {
    cp_shape shape = cp_net_shape(net, y);
    if (!has_labels(loss)) {
        const cp_node target = cp_net_input(net, "target", CP_F32, shape);
        if (loss == CP_BINARY_CROSS_ENTROPY) return cp_net_binary_cross_entropy(net, y, target);
        return loss == CP_HUBER ? cp_net_huber(net, y, target, 0.3f) : cp_net_mean_squared_error(net, y, target);
    }
    shape.rank = 1;
    const cp_node labels = cp_net_input(net, "target", CP_I32, shape);
    if (loss == CP_FOCAL) return cp_net_focal(net, y, labels, 1.5f);
    if (loss == CP_HINGE) return cp_net_hinge(net, y, labels);
    if (loss == CP_SOFTMAX_CROSS_ENTROPY) return cp_net_softmax_cross_entropy(net, y, labels);
    const cp_tensor weights = cp_vec((const float[]){1, 0.25f, 3, 2}, CLASSES);
    return cp_net_softmax_cross_entropy_with(net, y, labels, cp_net_constant(net, "weights", &weights), 0.2f);
}

static void output_choices(cp_net *net) {
    for (int64_t i = 0; i < net->n_nodes; i++) {
        const cp_net_node *node = &net->nodes[i];
        if (!strcmp(node->op->name, "relu") || node->attributes.conv.activation == CP_RELU)
            cp_net_output(net, node->out[0], "relu");
        if (node->op->outputs > 1 && strstr(node->op->name, "-pool")) cp_net_output(net, node->out[1], "maxima");
    }
}

static void output_gradients(subject *s, cp_node loss) {
    cp_net *net = s->gradients;
    cp_node wrt[MAX_ARRAYS], by[MAX_ARRAYS];
    for (int i = 0; i < s->arrays - 1; i++) wrt[i] = cp_net_parameter_node(net, i);
    wrt[s->arrays - 1] = cp_net_input_node(net, 0);
    CHECK(s, cp_net_gradients(net, loss, 0, wrt, s->arrays, by) == CP_OK);
    for (int i = 0; i < s->arrays; i++) {
        CHECK(s, by[i] != 0);
        cp_net_output(net, by[i], "gradient");
    }
    CHECK(s, cp_net_error(net, NULL) == CP_OK);
}

static void fill(subject *s) {
    for (int i = 0; i < s->arrays; i++) {
        const bool is_x = i == s->arrays - 1;
        const cp_tensor parameter = is_x ? (cp_tensor){.shape = s->shape} : cp_net_parameter(s->values, i);
        s->count[i] = cp_shape_count(parameter.shape);
        s->array[i] = new_memory(s->count[i] * (int64_t)sizeof(double));
        s->gradient[i] = new_memory(s->count[i] * (int64_t)sizeof(double));
        for (int64_t e = 0; e < s->count[i]; e++) {
            const bool weight = !is_x && parameter.shape.rank > 1;
            s->array[i][e] = (double)(weight ? ((const float *)parameter.data)[e] : uniform(100 + (uint64_t)i, e));
        }
    }
    const int64_t targets = cp_shape_count(s->target_shape);
    s->target = new_memory(targets * (int64_t)sizeof(double));
    for (int64_t e = 0; e < targets; e++) {
        if (!has_labels(s->loss))
            ((double *)s->target)[e] = (double)uniform(99, e);
        else
            ((int32_t *)s->target)[e] = (int32_t)(e % CLASSES);
    }
}

static void set_up(subject *s) {
    CHECK(s, cp_net_new(&s->values) == CP_OK);
    const cp_node x = cp_net_input(s->values, "x", CP_F32, s->shape);
    const cp_node loss = add_loss(s->values, s->build ? s->build(s->values, x) : parse(s->values, x, s->text), s->loss);
    CHECK(s, cp_net_error(s->values, NULL) == CP_OK);
    CHECK(s, cp_net_initialize(s->values, CP_GLOROT, 3) == CP_OK);
    s->target_shape = cp_net_shape(s->values, cp_net_input_node(s->values, 1));
    s->arrays = cp_net_parameters(s->values) + 1;
    CHECK(s, s->arrays <= MAX_ARRAYS);
    cp_net_output(s->values, loss, "loss");
    CHECK(s, cp_net_clone(&s->gradients, s->values) == CP_OK);
    output_choices(s->values);
    output_gradients(s, loss);
    fill(s);
}

static void tear_down(subject *s) {
    for (int i = 0; i < s->arrays; i++) {
        cp_free(NULL, s->array[i]);
        cp_free(NULL, s->gradient[i]);
    }
    cp_free(NULL, s->target);
    cp_net_free(s->values);
    cp_net_free(s->gradients);
}

/* --- running --- */

typedef struct run {
    cp_plan *plan;
    cp_work *work;
    cp_tensor *outputs;
    bool in_panels[MAX_ARRAYS];
} run;

static run start(const subject *s, const cp_net *net, cp_type type, cp_ctx *ctx) {
    run r = {0};
    int gradients[MAX_ARRAYS];
    for (int i = 0; i < s->arrays; i++) gradients[i] = net == s->gradients ? 1 + i : -1;
    const cp_variables variables = {gradients, r.in_panels};
    const cp_plan_options options = {.type = type, .training = true};
    CHECK(s, cp_net_plan_variables(&r.plan, ctx, net, &options, &variables) == CP_OK);
    CHECK(s, cp_work_new(&r.work, r.plan) == CP_OK);
    r.work->seed = 1;
    r.work->step = 2;
    r.outputs = new_memory(r.plan->n_outputs * (int64_t)sizeof *r.outputs);
    for (int i = 0; i < r.plan->n_outputs; i++) {
        r.outputs[i] = r.plan->outputs[i].tensor;
        r.outputs[i].data = new_memory(cp_shape_count(r.outputs[i].shape) * cp_type_size(r.outputs[i].type));
    }
    return r;
}

static void stop(run *r) {
    for (int i = 0; i < r->plan->n_outputs; i++) cp_free(NULL, r->outputs[i].data);
    cp_free(NULL, r->outputs);
    cp_work_free(r->work);
    cp_plan_free(r->plan);
}

/* In double; returns the loss. */
static double run_double(const subject *s, const run *r) {
    for (int i = 0; i < s->arrays - 1; i++) r->work->variables[i] = s->array[i];
    const cp_type target_type = !has_labels(s->loss) ? CP_F64 : CP_I32;
    const cp_tensor inputs[] = {cp_view(s->array[s->arrays - 1], CP_F64, s->shape),
                                cp_view(s->target, target_type, s->target_shape)};
    CHECK(s, cp_plan_run(r->plan, r->work, inputs, 2, r->outputs, r->plan->n_outputs) == CP_OK);
    return *(const double *)r->outputs[0].data;
}

static void compute_gradients(subject *s) {
    run r = start(s, s->gradients, CP_F64, NULL);
    run_double(s, &r);
    for (int i = 0; i < s->arrays; i++)
        memcpy(s->gradient[i], r.outputs[1 + i].data, (size_t)s->count[i] * sizeof(double));
    stop(&r);
}

/* --- central differences --- */

/* The choices of a run as bytes; returns how many. */
static int64_t read_choices(const run *r, uint8_t *choices) {
    int64_t n = 0;
    for (int i = 1; i < r->plan->n_outputs; i++) {
        const cp_tensor *output = &r->outputs[i];
        for (int64_t e = 0; e < cp_shape_count(output->shape); e++, n++)
            if (choices) choices[n] = (uint8_t)(output->type == CP_F64 ? cp_get(output, e) > 0 : cp_get(output, e));
    }
    return n;
}

typedef struct difference {
    run r;
    int64_t n_choices;
    uint8_t *up, *down;
} difference;

/* The slope along one number; false where a choice changes on the way. */
static bool slope(const subject *s, const difference *d, double *number, double *result) {
    const double before = *number, h = 1e-5 * fmax(1, fabs(before));
    *number = before + h;
    const double up = run_double(s, &d->r);
    read_choices(&d->r, d->up);
    *number = before - h;
    const double down = run_double(s, &d->r);
    read_choices(&d->r, d->down);
    *number = before;
    *result = (up - down) / (2 * h);
    return !memcmp(d->up, d->down, (size_t)d->n_choices);
}

static void check_differences(const subject *s) {
    difference d = {.r = start(s, s->values, CP_F64, NULL)};
    d.n_choices = read_choices(&d.r, NULL);
    d.up = new_memory(d.n_choices);
    d.down = new_memory(d.n_choices);
    int64_t kept = 0, all = 0;
    for (int i = 0; i < s->arrays; i++)
        for (int64_t e = 0; e < s->count[i]; e++, all++) {
            const double a = s->gradient[i][e];
            double n;
            if (!slope(s, &d, &s->array[i][e], &n)) continue;
            kept++;
            const double error = fabs(a - n) / fmax(fmax(fabs(a), fabs(n)), 1e-4);
            if (!(error <= 1e-6))
                fail_msg("%s: array %d, number %lld: gradient %.12g, difference %.12g", s->text, i, (long long)e, a, n);
        }
    CHECK(s, all <= 2000);
    CHECK(s, kept * 10 >= all * 9);
    cp_free(NULL, d.up);
    cp_free(NULL, d.down);
    stop(&d.r);
}

/* --- single precision --- */

static float *to_floats(const double *numbers, int64_t count) {
    float *floats = new_memory(count * (int64_t)sizeof *floats);
    for (int64_t e = 0; e < count; e++) floats[e] = (float)numbers[e];
    return floats;
}

/* Packed as the plan wants it; frees nothing. */
static float *pack(const cp_panels *panels, const cp_kernels *kernels, const float *plain) {
    float *packed = new_memory(cp_panels_floats(panels) * (int64_t)sizeof *packed);
    cp_panels_pack(panels, kernels, plain, packed, 0, 1);
    return packed;
}

static double relative_error(const double *exact, const float *got, int64_t count) {
    double distance = 0, size = 0;
    for (int64_t e = 0; e < count; e++) {
        distance += ((double)got[e] - exact[e]) * ((double)got[e] - exact[e]);
        size += exact[e] * exact[e];
    }
    return sqrt(distance / fmax(size, 1e-12));
}

static void check_array(const subject *s, const run *r, int i, const cp_kernels *kernels) {
    float *plain = new_memory(s->count[i] * (int64_t)sizeof *plain);
    if (i < s->arrays - 1 && r->in_panels[i]) {
        const cp_panels panels = cp_parameter_panels(s->gradients, kernels, i);
        cp_panels_unpack(&panels, r->outputs[1 + i].data, plain);
    } else
        memcpy(plain, r->outputs[1 + i].data, (size_t)s->count[i] * sizeof *plain);
    const double error = relative_error(s->gradient[i], plain, s->count[i]);
    if (!(error <= 1e-5)) fail_msg("%s: %s, array %d: relative error %g", s->text, kernels->name, i, error);
    cp_free(NULL, plain);
}

static void check_single(const subject *s, cp_ctx *ctx) {
    float *arrays[MAX_ARRAYS], *packed[MAX_ARRAYS] = {0};
    run r = start(s, s->gradients, CP_F32, ctx);
    for (int i = 0; i < s->arrays; i++) arrays[i] = to_floats(s->array[i], s->count[i]);
    for (int i = 0; i < s->arrays - 1; i++) {
        if (r.in_panels[i]) {
            const cp_panels panels = cp_parameter_panels(s->gradients, ctx->kernels, i);
            packed[i] = pack(&panels, ctx->kernels, arrays[i]);
        }
        r.work->variables[i] = packed[i] ? packed[i] : arrays[i];
    }
    const bool values = !has_labels(s->loss);
    float *target = values ? to_floats(s->target, cp_shape_count(s->target_shape)) : NULL;
    const cp_tensor inputs[] = {cp_view(arrays[s->arrays - 1], CP_F32, s->shape),
                                values ? cp_view(target, CP_F32, s->target_shape)
                                       : cp_view(s->target, CP_I32, s->target_shape)};
    CHECK(s, cp_plan_run(r.plan, r.work, inputs, 2, r.outputs, r.plan->n_outputs) == CP_OK);
    for (int i = 0; i < s->arrays; i++) check_array(s, &r, i, ctx->kernels);
    for (int i = 0; i < s->arrays; i++) {
        cp_free(NULL, arrays[i]);
        cp_free(NULL, packed[i]);
    }
    cp_free(NULL, target);
    stop(&r);
}

static void check_levels(const subject *s) {
    for (cp_isa isa = CP_ISA_PORTABLE; isa <= CP_ISA_AVX512BF16; isa++) {
        cp_ctx *ctx;
        if (!cp_cpu_can(isa)) continue;
        CHECK(s, cp_ctx_new(&ctx, &(cp_options){.isa = isa, .threads = 2}) == CP_OK);
        check_single(s, ctx);
        cp_ctx_free(ctx);
    }
}

static void check(const subject *given) {
    subject s = *given;
    set_up(&s);
    compute_gradients(&s);
    check_differences(&s);
    check_levels(&s);
    tear_down(&s);
}

#define CHECK_ALL(subjects)                                                                                            \
    for (size_t i = 0; i < sizeof(subjects) / sizeof *(subjects); i++) check(&(subjects)[i])
#define LINE(n, w, c)                                                                                                  \
    {                                                                                                                  \
        .rank = 3, .dim = { n, w, c }                                                                                  \
    }
#define PLANE(n, h, w, c)                                                                                              \
    {                                                                                                                  \
        .rank = 4, .dim = { n, h, w, c }                                                                               \
    }
#define SPACE(n, d, h, w, c)                                                                                           \
    {                                                                                                                  \
        .rank = 5, .dim = { n, d, h, w, c }                                                                            \
    }
#define SQUARED .loss = CP_MEAN_SQUARED_ERROR
#define CLASSIFIED .loss = CP_SOFTMAX_CROSS_ENTROPY
#define LOSS(kind) .loss = (cp_loss)(kind)

/* --- the layers, one by one --- */

static void convolutions(void **state) {
    static const subject subjects[] = {
        {"conv 3 3x3 same", PLANE(2, 5, 6, 2), SQUARED},
        {"conv 5 3x3 same relu", PLANE(2, 5, 4, 3), SQUARED},
        {"conv 2 3x2 valid sigmoid", PLANE(1, 6, 5, 2), SQUARED},
        {"conv 4 3x3 stride 2 pad 1 tanh", PLANE(2, 7, 6, 2), SQUARED},
        {"conv 2 3x3 stride 2x3 pad 2,0,1,3", PLANE(1, 8, 9, 3), SQUARED},
        {"conv 3 3x2 dilation 2x3 same", PLANE(2, 6, 7, 2), SQUARED},
        {"conv 2 2x3 stride 3 dilation 2 same_lower", PLANE(2, 8, 7, 2), SQUARED},
        {"conv 6 3x3 same groups 3", PLANE(2, 4, 5, 6), SQUARED},
        {"conv 4 3x3 stride 2 same groups 2 relu", PLANE(2, 5, 5, 4), SQUARED},
        {"conv 5 3x3 same groups 5", PLANE(2, 5, 4, 5), SQUARED},
        {"conv 6 3x3 stride 2 same groups 3", PLANE(1, 6, 5, 3), SQUARED},
        {"conv 17 3x3 same groups 17 relu", PLANE(1, 3, 4, 17), SQUARED},
        {"conv 3 1x1", PLANE(2, 3, 4, 5), SQUARED},
        {"conv 2 1x1 stride 2", PLANE(2, 5, 4, 3), SQUARED},
        {"conv 3 5 stride 2 same", LINE(2, 11, 3), SQUARED},
        {"conv 4 3 dilation 3 pad 3,1 groups 2 relu", LINE(3, 9, 2), SQUARED},
        {"conv 2 2x3x2 stride 1x2x1 same", SPACE(1, 3, 4, 3, 2), SQUARED},
        {"conv 4 2x2x2 dilation 1x1x2 pad 1 groups 2", SPACE(2, 2, 3, 3, 2), SQUARED},
        {"conv 33 3x3 same relu", PLANE(1, 3, 3, 1), SQUARED},
        {"conv 3 3 dilation 2 causal", LINE(2, 7, 2), SQUARED},
        {"conv 2 3x2 full relu", PLANE(1, 3, 4, 2), SQUARED},
        {"conv-transpose 3 3x3", PLANE(2, 4, 3, 2), SQUARED},
        {"conv-transpose 4 4x4 stride 2 pad 1 relu", PLANE(2, 3, 4, 3), SQUARED},
        {"conv-transpose 2 3x2 stride 2x3 same output_padding 1", PLANE(1, 3, 3, 2), SQUARED},
        {"conv-transpose 4 3 stride 2 dilation 2 groups 2 output_padding 1 tanh", LINE(2, 5, 6), SQUARED},
        {"conv-transpose 2 2x3x2 stride 1x2x2 output_size 4x6x5", SPACE(1, 3, 3, 2, 2), SQUARED},
        {"conv 2 3x3 same", PLANE(1, 3, 4, 35), SQUARED},
        {"local-conv 3 3x3 same relu", PLANE(2, 3, 4, 2), SQUARED},
        {"tanh; local-conv 17 2x1 stride 2 pad 1,0,0,1 tanh", PLANE(2, 3, 2, 2), SQUARED},
        {"local-conv 2 3 dilation 2 causal", LINE(3, 5, 2), SQUARED},
        {"conv 3 3x3 same reflect relu", PLANE(2, 3, 4, 2), SQUARED},
        {"tanh; conv 4 2x3 pad 1,2,0,3 replicate stride 2 dilation 2 groups 2; tanh", PLANE(1, 4, 3, 2), SQUARED},
        {"conv 2 3 full circular", LINE(2, 4, 3), SQUARED},
        {"conv 2 3x2x3 same circular", SPACE(1, 2, 3, 4, 2), SQUARED},
        {"deform-conv 3 3x2 same relu", PLANE(2, 3, 4, 2), SQUARED},
        {"tanh; deform-conv 4 2x2 modulated offset_groups 2 groups 2 stride 2 pad 1,0,0,1 tanh", PLANE(2, 3, 4, 4),
         SQUARED},
        {"deform-conv 2 3 modulated dilation 2 same", LINE(2, 5, 3), SQUARED},
        {"deform-conv 2 2x1x2 pad 1,0,0,1,0,1 offset_groups 3", SPACE(1, 2, 2, 3, 3), SQUARED},
    };
    (void)state;
    CHECK_ALL(subjects);
}

static void poolings(void **state) {
    static const subject subjects[] = {
        {"max-pool 2", PLANE(2, 4, 6, 3), SQUARED},
        {"max-pool 3 stride 2 pad 1", PLANE(2, 5, 6, 2), SQUARED},
        {"max-pool 3x2 stride 1x2 dilation 2 same", PLANE(1, 5, 6, 3), SQUARED},
        {"max-pool 3 stride 2 ceil", PLANE(2, 6, 6, 2), SQUARED},
        {"max-pool 3 stride 2 pad 1 circular", PLANE(2, 5, 6, 2), SQUARED},
        {"avg-pool 3 stride 2 same reflect", PLANE(2, 5, 6, 2), SQUARED},
        {"max-pool global", PLANE(2, 4, 3, 5), SQUARED},
        {"max-pool 3 stride 2", LINE(2, 9, 4), SQUARED},
        {"max-pool 2x1x2 same", SPACE(2, 3, 2, 3, 2), SQUARED},
        {"avg-pool 2", PLANE(2, 4, 6, 3), SQUARED},
        {"avg-pool 3 stride 2 pad 1", PLANE(2, 5, 6, 2), SQUARED},
        {"avg-pool 3 stride 2 pad 1 divisor padded", PLANE(2, 5, 6, 2), SQUARED},
        {"avg-pool 3 stride 2 ceil divisor padded pad 1", PLANE(1, 6, 7, 2), SQUARED},
        {"avg-pool 2x3 stride 1 dilation 2 same_lower", PLANE(1, 5, 6, 3), SQUARED},
        {"avg-pool global", PLANE(2, 4, 3, 5), SQUARED},
        {"avg-pool 2 stride 1 same", LINE(2, 7, 3), SQUARED},
        {"avg-pool 2x2x1", SPACE(1, 4, 4, 3, 2), SQUARED},
        {"conv 4 3x3 same relu; max-pool 2", PLANE(2, 6, 4, 2), SQUARED},
        {"conv 4 3x3 same relu; max-pool 3 stride 2 same", PLANE(2, 5, 6, 2), SQUARED},
    };
    (void)state;
    CHECK_ALL(subjects);
}

static void other_poolings(void **state) {
    static const subject subjects[] = {
        {"lp-pool 2", PLANE(2, 4, 6, 3), SQUARED},
        {"lp-pool 3 p 3 stride 2 pad 1", PLANE(2, 5, 6, 2), SQUARED},
        {"lp-pool 3x2 p 1 stride 1 dilation 2 same", PLANE(1, 5, 6, 3), SQUARED},
        {"lp-pool global p 2.5", PLANE(2, 4, 3, 5), SQUARED},
        {"lp-pool 3 p 4 stride 2 ceil", LINE(2, 8, 3), SQUARED},
        {"avg-pool 3 stride 2 pad 1 divisor kernel", PLANE(2, 5, 6, 2), SQUARED},
        {"avg-pool 3 stride 2 pad 1 ceil divisor 7", PLANE(2, 5, 6, 2), SQUARED},
        {"stochastic-pool 2", PLANE(2, 4, 6, 3), SQUARED},
        {"sigmoid; stochastic-pool 3 stride 2 pad 1 dilation 2", PLANE(2, 7, 6, 2), SQUARED},
        {"sigmoid; stochastic-pool 2x1x2 same", SPACE(2, 3, 2, 3, 2), SQUARED},
        {"adaptive-max-pool 3x2", PLANE(2, 5, 7, 3), SQUARED},
        {"max-pool 2; tanh; max-unpool", PLANE(2, 4, 6, 2), SQUARED},
        {"max-pool 2 stride 1; adaptive-max-pool 2; max-unpool; max-unpool", PLANE(1, 4, 5, 2), SQUARED},
        {"pyramid-max-pool 1,3; dense 3", PLANE(2, 4, 5, 2), SQUARED},
        {"adaptive-max-pool 7", LINE(2, 5, 3), SQUARED},
        {"adaptive-avg-pool 3x4", PLANE(2, 5, 6, 2), SQUARED},
        {"adaptive-avg-pool 2x5x3", SPACE(1, 3, 4, 5, 2), SQUARED},
        {"fractional-max-pool 3x4 pytorch kernel 2", PLANE(2, 6, 7, 2), SQUARED},
        {"fractional-max-pool 4x3 tensorflow", PLANE(2, 6, 7, 2), SQUARED},
        {"fractional-max-pool 4 tensorflow overlapping", LINE(2, 9, 2), SQUARED},
        {"conv 4 3x3 same relu; lp-pool 2; fractional-max-pool 2 tensorflow; flatten; dense 4", PLANE(2, 6, 8, 2),
         CLASSIFIED},
    };
    (void)state;
    CHECK_ALL(subjects);
}

static void other_layers(void **state) {
    static const subject subjects[] = {
        {"flatten; dense 5", PLANE(3, 2, 3, 4), SQUARED},
        {"flatten; dense 7 relu; dense 3 sigmoid; dense 2 tanh", LINE(4, 3, 2), SQUARED},
        {"flatten; dense 37 relu; dense 3", LINE(3, 5, 2), SQUARED},
        {"relu", PLANE(2, 3, 2, 4), SQUARED},
        {"sigmoid; tanh", PLANE(2, 3, 2, 4), SQUARED},
        {"softmax", LINE(2, 3, 5), SQUARED},
        {"conv 4 3 same; layer-norm; tanh; layer-norm epsilon 0.1", LINE(2, 4, 3), SQUARED},
        {"group-norm 2; conv 3 3x3 same", PLANE(2, 3, 4, 4), SQUARED},
        {"tanh; instance-norm epsilon 0.01; tanh", PLANE(2, 3, 4, 3), SQUARED},
        {"flatten; dense 8; group-norm 2", LINE(3, 2, 3), SQUARED},
        {"lrn 3 alpha 2 beta 0.6 bias 1.5; conv 2 1", LINE(2, 3, 6), SQUARED},
        {"lrn 4 alpha 1", LINE(2, 3, 7), SQUARED},
        {"leaky-relu", LINE(2, 3, 5), SQUARED},
        {"leaky-relu 0.3; elu 0.7; elu", LINE(2, 3, 5), SQUARED},
        {"selu; celu 0.5", LINE(2, 3, 5), SQUARED},
        {"gelu; gelu-tanh", LINE(2, 3, 5), SQUARED},
        {"silu; mish", LINE(2, 3, 5), SQUARED},
        {"softplus; softsign", LINE(2, 3, 5), SQUARED},
        {"prelu; conv 2 1 tanh", LINE(2, 3, 5), SQUARED},
        {"hard-sigmoid; hard-swish", LINE(2, 3, 5), SQUARED},
        {"hard-sigmoid 0.7 0.4; clip 0.2 0.8", LINE(2, 3, 5), SQUARED},
        {"conv 3 3x3 same gelu; flatten; dense 4 hard-swish", PLANE(1, 3, 3, 2), SQUARED},
        {"flatten; dropout 0.4", PLANE(3, 3, 4, 2), SQUARED},
        {"conv 3 3x3 same relu; dropout 0.5; conv 2 3x3 same", PLANE(2, 4, 4, 2), SQUARED},
        {"tanh | conv 3 3x3 same | relu", PLANE(2, 4, 5, 3), SQUARED},
        {"conv 4 3x3 same relu | conv 4 3x3 same relu; dropout 0.3 | avg-pool global; flatten; dense 4",
         PLANE(2, 5, 5, 2), CLASSIFIED},
    };
    (void)state;
    CHECK_ALL(subjects);
}

static void losses(void **state) {
    static const subject subjects[] = {
        {"flatten; dense 4", LINE(5, 3, 4), LOSS(CP_BINARY_CROSS_ENTROPY)},
        {"conv 3 3x3 same tanh", PLANE(2, 3, 2, 2), LOSS(CP_BINARY_CROSS_ENTROPY)},
        {"conv 3 3x3 same", PLANE(2, 3, 2, 2), LOSS(CP_HUBER)},
        {"flatten; dense 4", LINE(5, 3, 4), LOSS(CP_FOCAL)},
        {"flatten; dense 9 relu; dense 4", LINE(6, 2, 3), LOSS(CP_FOCAL)},
        {"flatten; dense 4", LINE(5, 3, 4), LOSS(CP_HINGE)},
        {"flatten; dense 4", LINE(5, 3, 4), LOSS(WEIGHTED)},
        {"conv 4 3x3 same relu; avg-pool global; flatten; dense 4", PLANE(6, 3, 3, 1), LOSS(WEIGHTED)},
    };
    (void)state;
    CHECK_ALL(subjects);
}

/* Matrices of windows, and what else moves pixels. */
static void movements(void **state) {
    static const subject subjects[] = {
        {"im2col 2x3 stride 2x1 same", PLANE(2, 4, 3, 2), SQUARED},
        {"tanh; im2col 3 dilation 2 full; tanh", LINE(2, 5, 3), SQUARED},
        {"tanh; im2col 2x2x1 pad 1; tanh", SPACE(1, 2, 3, 2, 2), SQUARED},
        {"tanh; col2im 2x3 size 4x3 stride 2x1 same", LINE(2, 6, 12), SQUARED},
        {"tanh; pad 1,0,2,3; tanh", PLANE(2, 2, 3, 2), SQUARED},
        {"pad 1,2,0,1 reflect", PLANE(1, 3, 4, 2), SQUARED},
        {"tanh; pad 2 replicate; tanh", SPACE(1, 2, 1, 3, 2), SQUARED},
        {"conv 3 3 same; pad 3,2 circular constant 0", LINE(2, 3, 2), SQUARED},
        {"tanh; pad 2 constant 0.5; conv 2 3x3", PLANE(1, 2, 3, 2), SQUARED},
        {"resize scale 2", PLANE(1, 2, 3, 2), SQUARED},
        {"tanh; resize size 2x5 nearest align_corners ceil; tanh", PLANE(2, 3, 4, 2), SQUARED},
        {"tanh; resize scale 1.5x2 linear; tanh", PLANE(2, 3, 2, 3), SQUARED},
        {"resize size 2x3x5 linear align_corners", SPACE(1, 3, 2, 3, 2), SQUARED},
        {"resize scale 0.6 linear asymmetric", LINE(2, 7, 3), SQUARED},
        {"tanh; depth-to-space 2; tanh", PLANE(2, 2, 3, 8), SQUARED},
        {"tanh; depth-to-space 2 crd", SPACE(1, 2, 1, 2, 16), SQUARED},
        {"tanh; space-to-depth 3", LINE(2, 6, 2), SQUARED},
        {"conv 3 3x3 same; space-to-depth 2 crd; tanh", PLANE(1, 4, 2, 2), SQUARED},
        {"conv 3 3x3 same; im2col 3x2 stride 2; col2im 3x2 size 5x4 stride 2", PLANE(1, 5, 4, 2), SQUARED},
    };
    (void)state;
    CHECK_ALL(subjects);
}

static void whole_nets(void **state) {
    static const subject subjects[] = {
        {"conv 4 3x3 same relu; pool 2; flatten; dense 6 relu; dropout 0.4; dense 4", PLANE(3, 6, 6, 1), CLASSIFIED},
        {"conv 4 3x3 stride 2 same; max-pool 3 stride 2 same; tanh; flatten; dense 4", PLANE(3, 9, 7, 2), CLASSIFIED},
        {"conv 6 3x3 same groups 2 relu; conv 5 1x1 sigmoid; avg-pool 2; flatten; dense 4", PLANE(2, 4, 6, 4),
         CLASSIFIED},
        {"conv 4 5 same relu; pool 2; conv 6 3 relu; avg-pool global; flatten; dense 4", LINE(3, 12, 2), CLASSIFIED},
        {"conv 3 2x2x2 relu; pool 2 same; flatten; dropout 0.2; dense 4", SPACE(2, 3, 4, 4, 1), CLASSIFIED},
        {"flatten; softmax; dense 4", LINE(3, 3, 4), CLASSIFIED},
    };
    (void)state;
    CHECK_ALL(subjects);
}

/* --- what is built, not written --- */

/* Every function of two numbers, with shapes that are repeated along other axes. */
static cp_node build_binary(cp_net *net, cp_node x) {
    static const float numbers[] = {1.5f, 2, 0.75f};
    const cp_tensor constant = cp_view(numbers, CP_F32, cp_shape_of(1, (int64_t[]){3}));
    const cp_node c = cp_net_constant(net, "c", &constant);
    const cp_node rows = cp_net_reduce(net, x, CP_REDUCE_MEAN, (int[]){1}, 1, true);
    const cp_node positive = cp_net_activation(net, cp_net_add(net, x, rows), CP_SOFTPLUS);
    cp_node y = cp_net_sub(net, cp_net_mul(net, x, rows), cp_net_div(net, c, positive));
    y = cp_net_add(net, y, cp_net_pow(net, positive, c));
    y = cp_net_sub(net, cp_net_min(net, y, cp_net_mul(net, x, c)), cp_net_max(net, rows, cp_net_sub(net, c, y)));
    return cp_net_prelu(net, y);
}

static cp_node build_pow(cp_net *net, cp_node x) {
    return cp_net_pow(net, cp_net_activation(net, x, CP_SOFTPLUS), cp_net_slice(net, x, 2, 1, 1));
}

/* The reductions side by side. */
static cp_node build_reductions(cp_net *net, cp_node x) {
    cp_node parts[10];
    int n = 0;
    for (int f = CP_REDUCE_SUM; f <= CP_REDUCE_SUM_SQUARE; f++)
        parts[n++] = cp_net_reduce(net, x, (cp_reduction)f, (int[]){1, 2}, f % 2 ? 2 : 1, true);
    const cp_node positive = cp_net_activation(net, x, CP_EXP);
    parts[n++] = cp_net_reduce(net, positive, CP_REDUCE_LOG_SUM, (int[]){1}, 1, true);
    parts[n++] = cp_net_reduce(net, x, CP_REDUCE_LOG_SUM_EXP, (int[]){1, 2}, 2, true);
    for (int i = 0; i < n; i++)
        if (cp_net_shape(net, parts[i]).dim[2] != 3) parts[i] = cp_net_mul(net, parts[i], x);
    return cp_net_reduce(net, cp_net_concat(net, parts, n, 1), CP_REDUCE_L2, (int[]){0}, 1, false);
}

/* More values than one operation takes, some of them twice; parts in another order. */
static cp_node build_pieces(cp_net *net, cp_node x) {
    cp_node parts[3], many[11];
    cp_net_split(net, x, 2, (int64_t[]){1, 2, 2}, 3, parts);
    for (int i = 0; i < 11; i++) many[i] = parts[i * i % 3];
    return cp_net_slice(net, cp_net_activation(net, cp_net_concat(net, many, 11, -1), CP_TANH), -1, 1, 12);
}

/* With the moments of the batch; the running ones have no gradient and are constants here. */
static cp_node build_batch_norm(cp_net *net, cp_node x) {
    static const float means[] = {0.5f, -1, 2}, variances[] = {1, 0.5f, 2};
    const cp_shape channels = cp_shape_of(1, (int64_t[]){3});
    const cp_tensor mean = cp_view(means, CP_F32, channels), variance = cp_view(variances, CP_F32, channels);
    const cp_node scale = cp_net_add_parameter(net, "scale", channels),
                  bias = cp_net_add_parameter(net, "bias", channels);
    const cp_node w = cp_net_add_parameter(net, "w", (cp_shape)PLANE(3, 3, 2, 3)); /* a bias would have no gradient */
    cp_node y = cp_net_conv_with(net, x, w, 0, &(cp_conv){.pad = CP_PAD_SAME});
    y = cp_net_batch_norm_with(net, y, scale, bias, cp_net_constant(net, "mean", &mean),
                               cp_net_constant(net, "variance", &variance), 1e-3f, 0);
    return cp_net_parse(net, y, "tanh; conv 2 3x3");
}

/* The maxima of a pooling at their places again; two of overlapping windows may share one. */
static cp_node build_unpool(cp_net *net, cp_node x) {
    const cp_pool windows = {.kernel = {2, 2}, .stride = {1, 1}}, whole = {.output_size = {4, 5}};
    const cp_node maxima = cp_net_pool(net, x, &windows);
    return cp_net_max_unpool(net, cp_net_activation(net, maxima, CP_TANH), cp_net_pool_positions(net, maxima), &whole);
}

static cp_node build_pyramid(cp_net *net, cp_node x) {
    return cp_net_pyramid_pool(net, x, CP_AVERAGE, (int64_t[]){1, 2, 3}, 3);
}

static cp_node indices(cp_net *net, cp_shape shape, const int64_t *values) {
    const cp_tensor view = cp_view(values, CP_I64, shape);
    return cp_net_constant(net, "indices", &view);
}

/* x [2,3,5]: turned, repeated, cut, padded, and rows of it several times. */
static cp_node build_moved(cp_net *net, cp_node x) {
    x = cp_net_transpose(net, cp_net_activation(net, x, CP_TANH), (int[]){2, 0, 1}); /* [5,2,3] */
    x = cp_net_mul(net, x, cp_net_slice_step(net, x, 0, 4, 5, -1));
    x = cp_net_gather(net, x, indices(net, (cp_shape){.rank = 1, .dim = {4}}, (int64_t[]){1, 1, -1, 0}), 0);
    x = cp_net_gather_elements(net, x, indices(net, (cp_shape)LINE(1, 2, 3), (int64_t[]){3, 1, 1, 0, 0, -1}), 0);
    x = cp_net_tile(net, cp_net_reshape(net, x, (cp_shape){.rank = 2, .dim = {-1, 3}}), (int64_t[]){2, 2});
    x = cp_net_expand(net, cp_net_reshape(net, x, (cp_shape)LINE(4, 1, 6)), (cp_shape)LINE(4, 2, 1));
    return cp_net_pad_axes(net, x, (int64_t[]){1, 0, 2}, (int64_t[]){0, -1, 1}, CP_PAD_REFLECT, 0);
}

/* Functions that no layer of a text is named by, products, choices. */
static cp_node build_computed(cp_net *net, cp_node x) {
    static const cp_activation functions[] = {CP_EXP, CP_RECIPROCAL, CP_SQRT, CP_LOG, CP_ABS,
                                              CP_NEG, CP_ERF,        CP_SIN,  CP_COS, CP_THRESHOLDED_RELU};
    const cp_node positive = cp_net_activation(net, x, CP_EXP);
    cp_node sum = x;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        sum = cp_net_add(net, sum,
                         cp_net_activation_with(net, positive, functions[i], functions[i] == CP_THRESHOLDED_RELU, 0));
    const cp_node product = cp_net_matmul(net, sum, cp_net_transpose(net, x, (int[]){0, 2, 1})); /* [2,4,4] */
    const cp_node row = cp_net_reshape(net, cp_net_slice(net, x, 1, 0, 1), (cp_shape)LINE(2, 3, 1));
    const cp_node one = cp_net_matmul(net, cp_net_slice(net, sum, 0, 0, 1), row); /* [2,4,1] */
    return cp_net_where(net, cp_net_compare(net, product, one, CP_LESS), cp_net_activation(net, one, CP_TANH), product);
}

/* Regions that overlap, partly outside, of both images. */
static cp_node build_regions(cp_net *net, cp_node x) {
    static const float numbers[] = {0, 0.3f, 0.4f, 3.1f, 2.9f, 1, -1.3f, 0.2f, 2.2f, 5.7f, 0, 1.1f, -0.6f, 4.4f, 3.3f};
    const cp_tensor rois = cp_mat(numbers, 3, 5);
    const cp_node r = cp_net_constant(net, "rois", &rois), t = cp_net_activation(net, x, CP_TANH);
    const cp_node parts[] = {cp_net_roi_align(net, t, r, &(cp_roi){.output_size = {2, 3}}),
                             cp_net_roi_align(net, t, r, &(cp_roi){.output_size = {2, 3}, .sampling = 3, .max = true}),
                             cp_net_roi_align(net, t, r,
                                              &(cp_roi){.output_size = {2, 3},
                                                        .sampling = 2,
                                                        .output_half_pixel = true,
                                                        .spatial_scale = 0.7f,
                                                        .max = true,
                                                        .max_of_corners = true}),
                             cp_net_max_roi_pool(net, t, r, &(cp_roi){.output_size = {2, 3}})};
    return cp_net_concat(net, parts, 4, 3);
}

/* Sums of all before, the largest, softmax along axes that are not the last. */
static cp_node build_ordered(cp_net *net, cp_node x) {
    cp_node y = cp_net_cumulative_sum(net, x, 1, true, false);
    y = cp_net_add(net, y, cp_net_cumulative_sum(net, x, 2, false, true));
    y = cp_net_mul(net, cp_net_softmax_axis(net, y, 1), cp_net_log_softmax(net, y, 0));
    return cp_net_top_k(net, cp_net_add(net, y, cp_net_log_softmax(net, x, -1)), 1, 3, true, NULL);
}

static void built(void **state) {
    static const subject subjects[] = {
        {"batch norm", PLANE(3, 4, 3, 2), build_batch_norm, SQUARED},
        {"binary", LINE(2, 4, 3), build_binary, SQUARED},
        {"pow", LINE(2, 3, 3), build_pow, SQUARED},
        {"reductions", LINE(2, 4, 3), build_reductions, SQUARED},
        {"unpool", PLANE(2, 4, 5, 2), build_unpool, SQUARED},
        {"regions", PLANE(2, 4, 5, 2), build_regions, SQUARED},
        {"pyramid", PLANE(2, 4, 5, 2), build_pyramid, SQUARED},
        {"pieces", LINE(2, 3, 5), build_pieces, SQUARED},
        {"computed", LINE(2, 4, 3), build_computed, SQUARED},
        {"ordered", LINE(2, 4, 3), build_ordered, SQUARED},
        {"moved", LINE(2, 3, 5), build_moved, SQUARED},
    };
    (void)state;
    CHECK_ALL(subjects);
}

/* --- random nets --- */

static uint32_t drawn;

static int draw(int least, int most) {
    static const cp_random_key key = {.seed = 77};
    return least + (int)(cp_random_bits(&key, drawn++) % (uint32_t)(most - least + 1));
}

/* A layer that fits any plane of at least 2x2 with an even number of channels, and leaves such a one. */
static void draw_layer(char *text, size_t size) {
    static const char *const pads[] = {"same", "same_lower"};
    static const char *const activations[] = {"", " relu", " tanh", " sigmoid"};
    static const char *const others[] = {"tanh; ", "relu; ",    "dropout 0.3; ",    "softmax; ",
                                         "gelu; ", "elu 0.5; ", "leaky-relu 0.2; ", "softplus; ",
                                         "mish; ", "prelu; ",   "lrn 3 alpha 0.5; "};
    const size_t used = strlen(text);
    switch (draw(0, 4)) {
    case 0:
        snprintf(text + used, size - used, "%s-pool %d stride 1 same; ", draw(0, 1) ? "max" : "avg", draw(2, 3));
        break;
    case 1:
        snprintf(text + used, size - used, "%s", others[draw(0, 10)]);
        break;
    default:
        snprintf(text + used, size - used, "conv %d %dx%d %s dilation %d groups %d%s; ", 2 * draw(1, 4), draw(2, 3),
                 draw(2, 3), pads[draw(0, 1)], draw(1, 2), draw(1, 2), activations[draw(0, 3)]);
        break;
    }
}

static void random_nets(void **state) {
    (void)state;
    for (int i = 0; i < 12; i++) {
        char text[400] = "";
        for (int layers = draw(2, 4); layers > 0; layers--) draw_layer(text, sizeof text);
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s-pool 2 stride 2 same; flatten; dense 4",
                 draw(0, 1) ? "max" : "avg");
        const subject s = {text, {.rank = 4, .dim = {draw(1, 3), draw(3, 5), draw(3, 5), 2 * draw(1, 2)}}, CLASSIFIED};
        check(&s);
    }
}

/* --- what differences cannot tell --- */

/* The gradient of a net without parameters by its only input. */
static void gradient_of_input(const char *text, cp_shape shape, const float *x, float *dx) {
    cp_net *net;
    cp_node input, by;
    cp_plan *plan;
    cp_work *work;
    assert_int_equal(cp_net_new(&net), CP_OK);
    input = cp_net_input(net, "x", CP_F32, shape);
    const cp_node y = cp_net_parse(net, input, text);
    const int64_t count = cp_shape_count(cp_net_shape(net, y));
    float *ones = new_memory(count * (int64_t)sizeof *ones);
    for (int64_t i = 0; i < count; i++) ones[i] = 1;
    const cp_tensor one = cp_view(ones, CP_F32, cp_net_shape(net, y));
    assert_int_equal(cp_net_gradients(net, y, cp_net_constant(net, "ones", &one), &input, 1, &by), CP_OK);
    cp_net_output(net, by, "dx");
    assert_int_equal(cp_net_plan(&plan, NULL, net, NULL), CP_OK);
    assert_int_equal(cp_work_new(&work, plan), CP_OK);
    const cp_tensor in = cp_view(x, CP_F32, shape), out = cp_view(dx, CP_F32, shape);
    assert_int_equal(cp_plan_run(plan, work, &in, 1, &out, 1), CP_OK);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_net_free(net);
    cp_free(NULL, ones);
}

/* The first of equal maxima gets the whole gradient; a relu at 0 gives none. */
static void ties(void **state) {
    const float equal[8] = {1, 1, 1, 1, 1, 1, 1, 1}, zeros[4] = {0, 0, 1, -1};
    float dx[8];
    (void)state;
    gradient_of_input("max-pool 2", (cp_shape)PLANE(1, 2, 4, 1), equal, dx);
    for (int i = 0; i < 8; i++) assert_float_equal(dx[i], i == 0 || i == 2 ? 1 : 0, 0);
    gradient_of_input("max-pool 2 stride 1", (cp_shape)LINE(1, 4, 1), equal, dx);
    for (int i = 0; i < 4; i++) assert_float_equal(dx[i], i < 3 ? 1 : 0, 0);
    gradient_of_input("relu", (cp_shape)LINE(1, 4, 1), zeros, dx);
    for (int i = 0; i < 4; i++) assert_float_equal(dx[i], i == 2 ? 1 : 0, 0);
}

/* Logits of +-80: no overflow, and p - onehot to the last digits. */
static void extreme_logits(void **state) {
    enum { ROWS = 4 };
    const float logits[ROWS][CLASSES] = {{80, -80, 0, 0}, {-80, -80, -80, 80}, {80, 80, -80, 80}, {-80, 0, 80, -79}};
    subject s = {"", {.rank = 2, .dim = {ROWS, CLASSES}}, CLASSIFIED};
    (void)state;
    set_up(&s);
    for (int e = 0; e < ROWS * CLASSES; e++) s.array[0][e] = (double)logits[e / CLASSES][e % CLASSES];
    compute_gradients(&s);
    for (int row = 0; row < ROWS; row++) {
        double sum = 0;
        for (int c = 0; c < CLASSES; c++) sum += exp((double)logits[row][c] - 80);
        for (int c = 0; c < CLASSES; c++) {
            const double p = exp((double)logits[row][c] - 80) / sum, expected = (p - (c == row)) / ROWS;
            assert_true(fabs(s.gradient[0][row * CLASSES + c] - expected) <= 1e-14);
        }
    }
    check_levels(&s);
    tear_down(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions), cmocka_unit_test(poolings),       cmocka_unit_test(other_poolings),
        cmocka_unit_test(other_layers), cmocka_unit_test(whole_nets),     cmocka_unit_test(movements),
        cmocka_unit_test(losses),       cmocka_unit_test(built),          cmocka_unit_test(random_nets),
        cmocka_unit_test(ties),         cmocka_unit_test(extreme_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
