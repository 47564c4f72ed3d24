/* Pooling over windows that follow from the output's size, adaptive and fractional, as operators. */
#include "op/op.h"

#include <inttypes.h>

/* The windows of x, which the gradient speaks of too, and the shape of the output. */
static cp_status set_spans(cp_problem *problem, const cp_attributes *attributes, cp_pooling kind, cp_shape x,
                           cp_shape *y) {
    cp_pool pool = attributes->pool;
    pool.kind = kind;
    cp_status status = cp_pool_spans(&problem->spans, &pool, x);
    if (!status) status = cp_pool_shape(y, &pool, x);
    if (status) return status;
    problem->batch = x.dim[0];
    problem->channels = problem->filters = problem->groups = x.dim[x.rank - 1];
    problem->layer = attributes->layer;
    return CP_OK;
}

static cp_status check_positions(int64_t inputs) {
    if (inputs <= INT32_MAX) return CP_OK;
    return cp_fail(CP_E_LIMIT, "positions among %" PRId64 " inputs: at most %" PRId32 " are provided", inputs,
                   INT32_MAX);
}

static cp_status infer_max(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = set_spans(problem, attributes, CP_MAX, problem->in[0], &y);
    if (!status) status = check_positions(cp_spans_inputs(&problem->spans));
    if (!status && attributes->pool.fractional) status = cp_check_drawn("fractional-max-pool", y);
    if (!status) status = cp_set_output(problem, 0, problem->type, y);
    return status ? status : cp_set_output(problem, 1, CP_I32, y);
}

static cp_status infer_adaptive_max(cp_problem *problem, const cp_attributes *attributes) {
    if (!attributes->pool.fractional) return infer_max(problem, attributes);
    return cp_fail(CP_E_ARG, "fractional: must not be set of an adaptive pooling");
}

static cp_status infer_fractional_max(cp_problem *problem, const cp_attributes *attributes) {
    if (attributes->pool.fractional) return infer_max(problem, attributes);
    return cp_fail(CP_E_ARG, "fractional: a form is needed, pytorch or tensorflow");
}

static cp_status infer_average(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = set_spans(problem, attributes, CP_AVERAGE, problem->in[0], &y);
    return status ? status : cp_set_output(problem, 0, problem->type, y);
}

static cp_status infer_average_gradient(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape dy = problem->in[0];
    cp_shape x, y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_forward_input(&x, dy, attributes->size, dy.rank > 0 ? dy.dim[dy.rank - 1] : 0);
    if (!status) status = set_spans(problem, attributes, CP_AVERAGE, x, &y);
    if (!status) status = cp_check_same("gradient", dy, "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, x);
}

static cp_status infer_position_gradient(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape dy = problem->in[0];
    cp_shape x;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, CP_I32, "positions");
    if (!status) status = cp_check_same("positions", problem->in[1], "gradient", dy);
    if (!status) status = cp_forward_input(&x, dy, attributes->size, dy.rank > 0 ? dy.dim[dy.rank - 1] : 0);
    return status ? status : cp_set_output(problem, 0, problem->type, x);
}

static void max_backward(cp_backward *b) {
    const cp_attributes attributes = cp_gradient_attributes(b);
    b->din[0] = b->node(b->net, "position-gradient", &attributes, (cp_node[]){b->dout[0], b->out[1]}, 2);
}

static void average_backward(cp_backward *b) {
    const cp_attributes attributes = cp_gradient_attributes(b);
    b->din[0] = b->node(b->net, "adaptive-avg-pool-gradient", &attributes, b->dout, 1);
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    const cp_pool *pool = &attributes->pool;
    char list[CP_SHAPE_TEXT];
    int axes = 0;
    while (axes < CP_MAX_AXES && pool->output_size[axes]) axes++;
    text[0] = 0;
    cp_words_add(text, size, "%s", cp_shape_text(cp_shape_of(axes, pool->output_size), list));
    if (pool->fractional) cp_words_add(text, size, "%s", cp_fractional_words[pool->fractional]);
    if (pool->kernel[0]) cp_words_add(text, size, "kernel %s", cp_shape_text(cp_shape_of(axes, pool->kernel), list));
    if (pool->overlapping) cp_words_add(text, size, "overlapping");
}

static const cp_field fields[] = {CP_FIELD("output_size", CP_FIELD_AXES, pool.output_size, NULL),
                                  CP_FIELD("fractional", CP_FIELD_WORD, pool.fractional, cp_fractional_words),
                                  CP_FIELD("kernel", CP_FIELD_AXES, pool.kernel, NULL),
                                  CP_FIELD("overlapping", CP_FIELD_FLAG, pool.overlapping, NULL),
                                  CP_FIELD("layer", CP_FIELD_LAYER, layer, NULL),
                                  {0}};

const cp_op cp_op_adaptive_max_pool = {.name = "adaptive-max-pool",
                                       .fields = fields,
                                       .min_inputs = 1,
                                       .max_inputs = 1,
                                       .outputs = 2,
                                       .infer = infer_adaptive_max,
                                       .algos = cp_algos_span_max_pool,
                                       .backward = max_backward,
                                       .words = words};

const cp_op cp_op_fractional_max_pool = {.name = "fractional-max-pool",
                                         .fields = fields,
                                         .min_inputs = 1,
                                         .max_inputs = 1,
                                         .outputs = 2,
                                         .infer = infer_fractional_max,
                                         .algos = cp_algos_span_max_pool,
                                         .backward = max_backward,
                                         .words = words};

const cp_op cp_op_adaptive_average_pool = {.name = "adaptive-avg-pool",
                                           .fields = fields,
                                           .min_inputs = 1,
                                           .max_inputs = 1,
                                           .outputs = 1,
                                           .infer = infer_average,
                                           .algos = cp_algos_adaptive_average_pool,
                                           .backward = average_backward,
                                           .words = words};

const cp_op cp_op_adaptive_average_pool_gradient = {.name = "adaptive-avg-pool-gradient",
                                                    .min_inputs = 1,
                                                    .max_inputs = 1,
                                                    .outputs = 1,
                                                    .infer = infer_average_gradient,
                                                    .algos = cp_algos_adaptive_average_pool_gradient};

const cp_op cp_op_position_gradient = {.name = "position-gradient",
                                       .min_inputs = 2,
                                       .max_inputs = 2,
                                       .outputs = 1,
                                       .infer = infer_position_gradient,
                                       .algos = cp_algos_position_gradient};
