/* The places of maxima, and max unpooling back to them, as operators. */
#include "op/op.h"

static cp_status infer_positions(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape index = problem->in[0];
    cp_pool pool = attributes->pool;
    cp_shape x, y;
    cp_status status = cp_forward_input(&x, index, attributes->size, index.rank > 0 ? index.dim[index.rank - 1] : 0);
    if (!status) status = cp_pool_window(&problem->window, &pool, x);
    if (!status) status = cp_pool_shape(&y, &pool, x);
    if (!status) status = cp_check_same("index", index, "output", y);
    if (!status && cp_window_inputs(&problem->window) > INT32_MAX)
        status = cp_fail(CP_E_LIMIT, "positions among more than 2^31 inputs are not provided");
    if (!status) status = cp_check_in(problem, 0, cp_window_taps(&problem->window) <= 256 ? CP_U8 : CP_I32, "index");
    return status ? status : cp_set_output(problem, 0, CP_I32, y);
}

/* What the pooling may have seen: output_size, or the size at which its last window ends. */
static cp_status unpooled_axis(const cp_pool *pool, int d, int64_t in, int64_t *size) {
    const int64_t kernel = pool->kernel[d], stride = pool->stride[d] ? pool->stride[d] : kernel;
    const int64_t dilation = pool->dilation[d] ? pool->dilation[d] : 1;
    const int64_t before = pool->pad_before[d], after = pool->pad_after[d];
    int64_t reach, extent;
    *size = pool->output_size[d];
    if (*size < 0) return cp_fail(CP_E_ARG, "output_size[%d] = %lld: must be at least 1", d, (long long)*size);
    if (*size) return CP_OK;
    if (kernel < 1) return cp_fail(CP_E_ARG, "kernel[%d] = %lld: must be at least 1", d, (long long)kernel);
    if (stride < 1) return cp_fail(CP_E_ARG, "stride[%d] = %lld: must be at least 1", d, (long long)stride);
    if (dilation < 1) return cp_fail(CP_E_ARG, "dilation[%d] = %lld: must be at least 1", d, (long long)dilation);
    if (before < 0 || after < 0)
        return cp_fail(CP_E_ARG, "pad_%s[%d] = %lld: must be at least 0", before < 0 ? "before" : "after", d,
                       (long long)(before < 0 ? before : after));
    if (!cp_mul(in - 1, stride, &reach) || !cp_mul(kernel - 1, dilation, &extent) || !cp_sum(reach, extent, &reach) ||
        !cp_sum(reach, 1 - before, size) || !cp_sum(*size, -after, size))
        return cp_fail(CP_E_SHAPE, "the output's size overflows");
    return *size > 0 ? CP_OK : cp_fail(CP_E_SHAPE, "output size would be %lld", (long long)*size);
}

static cp_status set_shapes(cp_problem *problem, const cp_attributes *attributes, cp_shape x, cp_shape *y) {
    cp_status status = cp_check_axes(x, "input");
    *y = x;
    if (!status && attributes->pool.pad != CP_PAD_EXPLICIT && attributes->pool.output_size[0] == 0)
        status = cp_fail(CP_E_ARG, "max-unpool: with such a padding output_size must be given");
    for (int d = 0; d < x.rank - 2 && !status; d++)
        status = unpooled_axis(&attributes->pool, d, x.dim[1 + d], &y->dim[1 + d]);
    if (!status) status = cp_check_in(problem, 1, CP_I32, "positions");
    return status ? status : cp_check_same("positions", problem->in[1], "input", x);
}

static cp_status infer_unpool(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = set_shapes(problem, attributes, problem->in[0], &y);
    return status ? status : cp_set_output(problem, 0, problem->type, y);
}

static cp_status infer_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = set_shapes(problem, attributes, problem->in[1], &y);
    if (!status) status = cp_check_same("gradient", problem->in[0], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[1]);
}

static void backward(cp_backward *b) {
    b->din[0] = b->node(b->net, "max-unpool-gradient", b->attributes, (cp_node[]){b->dout[0], b->in[1]}, 2);
}

static const cp_field fields[] = {CP_FIELD("kernel", CP_FIELD_AXES, pool.kernel, NULL),
                                  CP_FIELD("stride", CP_FIELD_AXES, pool.stride, NULL),
                                  CP_FIELD("dilation", CP_FIELD_AXES, pool.dilation, NULL),
                                  CP_FIELD("pad_before", CP_FIELD_AXES, pool.pad_before, NULL),
                                  CP_FIELD("pad_after", CP_FIELD_AXES, pool.pad_after, NULL),
                                  CP_FIELD("output_size", CP_FIELD_AXES, pool.output_size, NULL),
                                  {0}};

const cp_op cp_op_max_pool_positions = {.name = "max-pool-positions",
                                        .fields = cp_pool_fields,
                                        .min_inputs = 1,
                                        .max_inputs = 1,
                                        .outputs = 1,
                                        .infer = infer_positions,
                                        .algos = cp_algos_max_pool_positions};

const cp_op cp_op_max_unpool = {.name = "max-unpool",
                                .fields = fields,
                                .min_inputs = 2,
                                .max_inputs = 2,
                                .outputs = 1,
                                .infer = infer_unpool,
                                .algos = cp_algos_max_unpool,
                                .backward = backward};

const cp_op cp_op_max_unpool_gradient = {.name = "max-unpool-gradient",
                                         .min_inputs = 2,
                                         .max_inputs = 2,
                                         .outputs = 1,
                                         .infer = infer_gradient,
                                         .algos = cp_algos_max_unpool_gradient};
