/* Maximum, average, Lp and stochastic pooling and their gradients, as operators. */
#include "op/op.h"

#include <inttypes.h>

/* The forward pooling of x, which the gradient speaks of too: its geometry and the shape of its output. */
static cp_status set_geometry(cp_problem *problem, const cp_attributes *attributes, cp_pooling kind, cp_shape x,
                              cp_shape *y) {
    cp_pool pool = attributes->pool;
    pool.kind = kind;
    cp_status status = cp_pool_window(&problem->window, &pool, x);
    if (!status) status = cp_pool_shape(y, &pool, x);
    if (status) return status;
    problem->batch = x.dim[0];
    problem->channels = problem->filters = problem->groups = x.dim[x.rank - 1];
    problem->divisor = pool.divisor;
    problem->divide_by = pool.divide_by;
    problem->exponent = pool.exponent != 0 ? (double)pool.exponent : 2;
    return CP_OK;
}

/* The type of the numbers of taps that max-pool notes. */
static cp_type index_type(const cp_problem *problem) {
    return cp_window_taps(&problem->window) <= 256 ? CP_U8 : CP_I32;
}

static cp_status check_taps(const cp_problem *problem) {
    const int64_t taps = cp_window_taps(&problem->window);
    if (taps <= INT32_MAX) return CP_OK;
    return cp_fail(CP_E_LIMIT, "max-pool over %" PRId64 " taps: at most %" PRId32 " are provided", taps, INT32_MAX);
}

/* Bytes stay bytes. */
static cp_type pooled_type(const cp_problem *problem) {
    const cp_type type = cp_has_input(problem, 0) ? problem->in_type[0] : problem->type;
    return type == CP_U8 || type == CP_I8 ? type : problem->type;
}

static cp_status infer_max_pool(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    const cp_type type = pooled_type(problem);
    cp_status status = cp_check_in(problem, 0, type, "input");
    if (!status) status = set_geometry(problem, attributes, CP_MAX, problem->in[0], &y);
    if (!status) status = check_taps(problem);
    if (!status) status = cp_set_output(problem, 0, type, y);
    return status ? status : cp_set_output(problem, 1, index_type(problem), y);
}

static cp_status infer_average_pool(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    const cp_type type = pooled_type(problem);
    cp_status status = cp_check_in(problem, 0, type, "input");
    if (!status) status = set_geometry(problem, attributes, CP_AVERAGE, problem->in[0], &y);
    return status ? status : cp_set_output(problem, 0, type, y);
}

static cp_status infer_gradient(cp_problem *problem, const cp_attributes *attributes, cp_pooling kind) {
    const cp_shape dy = problem->in[0];
    cp_shape x, y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_forward_input(&x, dy, attributes->size, dy.rank > 0 ? dy.dim[dy.rank - 1] : 0);
    if (!status) status = set_geometry(problem, attributes, kind, x, &y);
    if (!status) status = cp_check_same("gradient", dy, "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, x);
}

static cp_status infer_max_pool_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_status status = infer_gradient(problem, attributes, CP_MAX);
    if (!status) status = check_taps(problem);
    if (!status) status = cp_check_in(problem, 1, index_type(problem), "index");
    return status ? status : cp_check_same("index", problem->in[1], "output", problem->in[0]);
}

static cp_status infer_average_pool_gradient(cp_problem *problem, const cp_attributes *attributes) {
    return infer_gradient(problem, attributes, CP_AVERAGE);
}

static cp_status infer_lp_pool(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = set_geometry(problem, attributes, CP_LP, problem->in[0], &y);
    return status ? status : cp_set_output(problem, 0, problem->type, y);
}

static cp_status infer_lp_pool_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_in(problem, 1, problem->type, "output");
    if (!status) status = cp_check_in(problem, 2, problem->type, "gradient");
    if (!status) status = set_geometry(problem, attributes, CP_LP, problem->in[0], &y);
    if (!status) status = cp_check_same("output", problem->in[1], "the pooled input", y);
    if (!status) status = cp_check_same("gradient", problem->in[2], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static cp_status infer_stochastic_pool(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = set_geometry(problem, attributes, CP_STOCHASTIC, problem->in[0], &y);
    if (!status) status = check_taps(problem);
    if (!status) status = cp_check_drawn("stochastic-pool", y);
    problem->layer = attributes->layer;
    if (!status) status = cp_set_output(problem, 0, problem->type, y);
    return status ? status : cp_set_output(problem, 1, index_type(problem), y);
}

static cp_status infer_stochastic_pool_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 2, problem->type, "input");
    if (!status) status = set_geometry(problem, attributes, CP_STOCHASTIC, problem->in[2], &y);
    if (!status) status = check_taps(problem);
    if (!status) status = cp_check_in(problem, 1, index_type(problem), "index");
    if (!status) status = cp_check_same("gradient", problem->in[0], "output", y);
    if (!status) status = cp_check_same("index", problem->in[1], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[2]);
}

static void max_pool_backward(cp_backward *b) {
    const cp_attributes attributes = cp_gradient_attributes(b);
    b->din[0] = b->node(b->net, "max-pool-gradient", &attributes, (cp_node[]){b->dout[0], b->out[1]}, 2);
}

static void average_pool_backward(cp_backward *b) {
    const cp_attributes attributes = cp_gradient_attributes(b);
    b->din[0] = b->node(b->net, "avg-pool-gradient", &attributes, b->dout, 1);
}

static void lp_pool_backward(cp_backward *b) {
    b->din[0] = b->node(b->net, "lp-pool-gradient", b->attributes, (cp_node[]){b->in[0], b->out[0], b->dout[0]}, 3);
}

static void stochastic_pool_backward(cp_backward *b) {
    b->din[0] =
        b->node(b->net, "stochastic-pool-gradient", b->attributes, (cp_node[]){b->dout[0], b->out[1], b->in[0]}, 3);
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    const cp_pool *pool = &attributes->pool;
    const cp_window_words window = {.kernel = pool->kernel,
                                    .stride = pool->stride,
                                    .default_stride = pool->kernel,
                                    .dilation = pool->dilation,
                                    .before = pool->pad_before,
                                    .after = pool->pad_after,
                                    .pad = pool->pad};
    text[0] = 0;
    cp_words_window(&window, text, size);
    if (pool->ceil_mode) cp_words_add(text, size, "ceil");
    if (pool->divisor == CP_DIVISOR_NUMBER)
        cp_words_add(text, size, "divisor %" PRId64, pool->divide_by);
    else if (pool->divisor)
        cp_words_add(text, size, "divisor %s", cp_divisor_words[pool->divisor]);
    if (pool->exponent != 0) {
        char number[32];
        cp_words_add(text, size, "p %s", cp_real_text((double)pool->exponent, 9, number));
    }
    if (pool->global) cp_words_add(text, size, "global");
}

const cp_field cp_pool_fields[] = {CP_FIELD("size", CP_FIELD_AXES, size, NULL),
                                   CP_FIELD("kernel", CP_FIELD_AXES, pool.kernel, NULL),
                                   CP_FIELD("stride", CP_FIELD_AXES, pool.stride, NULL),
                                   CP_FIELD("dilation", CP_FIELD_AXES, pool.dilation, NULL),
                                   CP_FIELD("pad", CP_FIELD_WORD, pool.pad, cp_pad_words),
                                   CP_FIELD("pad_before", CP_FIELD_AXES, pool.pad_before, NULL),
                                   CP_FIELD("pad_after", CP_FIELD_AXES, pool.pad_after, NULL),
                                   CP_FIELD("ceil_mode", CP_FIELD_FLAG, pool.ceil_mode, NULL),
                                   CP_FIELD("divisor", CP_FIELD_WORD, pool.divisor, cp_divisor_words),
                                   CP_FIELD("divide_by", CP_FIELD_COUNT, pool.divide_by, NULL),
                                   CP_FIELD("exponent", CP_FIELD_REAL, pool.exponent, NULL),
                                   CP_FIELD("global", CP_FIELD_FLAG, pool.global, NULL),
                                   CP_FIELD("layer", CP_FIELD_LAYER, layer, NULL),
                                   {0}};

const cp_op cp_op_max_pool = {.name = "max-pool",
                              .fields = cp_pool_fields,
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .outputs = 2,
                              .infer = infer_max_pool,
                              .algos = cp_algos_max_pool,
                              .backward = max_pool_backward,
                              .words = words};

const cp_op cp_op_max_pool_gradient = {.name = "max-pool-gradient",
                                       .min_inputs = 2,
                                       .max_inputs = 2,
                                       .outputs = 1,
                                       .infer = infer_max_pool_gradient,
                                       .algos = cp_algos_max_pool_gradient};

const cp_op cp_op_average_pool = {.name = "avg-pool",
                                  .fields = cp_pool_fields,
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .outputs = 1,
                                  .infer = infer_average_pool,
                                  .algos = cp_algos_average_pool,
                                  .backward = average_pool_backward,
                                  .words = words};

const cp_op cp_op_average_pool_gradient = {.name = "avg-pool-gradient",
                                           .min_inputs = 1,
                                           .max_inputs = 1,
                                           .outputs = 1,
                                           .infer = infer_average_pool_gradient,
                                           .algos = cp_algos_average_pool_gradient};

const cp_op cp_op_lp_pool = {.name = "lp-pool",
                             .fields = cp_pool_fields,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .outputs = 1,
                             .infer = infer_lp_pool,
                             .algos = cp_algos_lp_pool,
                             .backward = lp_pool_backward,
                             .words = words};

const cp_op cp_op_lp_pool_gradient = {.name = "lp-pool-gradient",
                                      .min_inputs = 3,
                                      .max_inputs = 3,
                                      .outputs = 1,
                                      .infer = infer_lp_pool_gradient,
                                      .algos = cp_algos_lp_pool_gradient};

const cp_op cp_op_stochastic_pool = {.name = "stochastic-pool",
                                     .fields = cp_pool_fields,
                                     .min_inputs = 1,
                                     .max_inputs = 1,
                                     .outputs = 2,
                                     .infer = infer_stochastic_pool,
                                     .algos = cp_algos_stochastic_pool,
                                     .backward = stochastic_pool_backward,
                                     .words = words};

const cp_op cp_op_stochastic_pool_gradient = {.name = "stochastic-pool-gradient",
                                              .min_inputs = 3,
                                              .max_inputs = 3,
                                              .outputs = 1,
                                              .infer = infer_stochastic_pool_gradient,
                                              .algos = cp_algos_stochastic_pool_gradient};
