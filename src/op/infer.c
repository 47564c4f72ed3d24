/* What the operators' infer and backward functions share. */
#include "op/op.h"

cp_status cp_check_in(const cp_problem *problem, int i, cp_type type, const char *name) {
    if (!cp_has_input(problem, i)) return cp_fail(CP_E_ARG, "%s: missing", name);
    if (problem->in_type[i] != type)
        return cp_fail(CP_E_ARG, "%s: type %s, must be %s", name, cp_type_name(problem->in_type[i]),
                       cp_type_name(type));
    return cp_check_shape(problem->in[i], type, name);
}

cp_status cp_check_any(const cp_problem *problem, int i, const char *name) {
    return cp_check_in(problem, i, problem->in_type[i], name);
}

cp_type cp_number_type(const cp_problem *problem) {
    const cp_type type = problem->in_type[0];
    return cp_is_real(type) || cp_is_integer(type) ? type : problem->type;
}

cp_status cp_set_axis(cp_problem *problem, const cp_attributes *attributes, cp_shape x) {
    if (attributes->axis < 0 || attributes->axis >= x.rank)
        return cp_fail(CP_E_ARG, "axis = %lld: the input has %d", (long long)attributes->axis, x.rank);
    problem->axis = (int)attributes->axis;
    if (attributes->axis == 0 && x.dim[0] == 0) return cp_fail(CP_E_SHAPE, "axis = 0: the batch is not known");
    return CP_OK;
}

cp_status cp_check_drawn(const char *op, cp_shape shape) {
    const int64_t most = ((int64_t)1 << 34) / CP_MAX_AXES;
    if (cp_shape_count(shape) <= most) return CP_OK;
    return cp_fail(CP_E_LIMIT, "%s of %lld values: at most %lld are provided", op, (long long)cp_shape_count(shape),
                   (long long)most);
}

cp_status cp_check_same(const char *name_a, cp_shape a, const char *name_b, cp_shape b) {
    char text_a[CP_SHAPE_TEXT], text_b[CP_SHAPE_TEXT];
    if (cp_shape_same(a, b)) return CP_OK;
    return cp_fail(CP_E_SHAPE, "%s is %s, %s is %s", name_a, cp_shape_text(a, text_a), name_b,
                   cp_shape_text(b, text_b));
}

cp_status cp_check_bias(const cp_problem *problem, int i, int64_t filters) {
    if (!cp_has_input(problem, i)) return CP_OK;
    const cp_status status = cp_check_in(problem, i, problem->type, "bias");
    if (status) return status;
    const cp_shape bias = problem->in[i];
    if (bias.rank != 1) return cp_fail(CP_E_SHAPE, "bias must have 1 dimension, has %d", bias.rank);
    if (bias.dim[0] != filters)
        return cp_fail(CP_E_SHAPE, "bias has %lld value%s, needs %lld", (long long)bias.dim[0],
                       bias.dim[0] == 1 ? "" : "s", (long long)filters);
    return CP_OK;
}

cp_status cp_set_activation(cp_problem *problem, cp_activation activation) {
    if (activation != CP_LINEAR && activation != CP_RELU)
        return cp_fail(CP_E_UNSUPPORTED,
                       "activation = %d: within a layer only relu, others are operations of their own",
                       (int)activation);
    problem->relu = activation == CP_RELU;
    return CP_OK;
}

cp_node cp_sum_broadcast(cp_backward *b, cp_node dy, cp_shape y, cp_shape x) {
    const uint32_t axes = cp_broadcast_axes(x, y);
    cp_attributes sum = {.keep = true}, shape = {.shape = x};
    for (int d = 0; d < y.rank; d++)
        if (axes >> d & 1) sum.axes.dim[sum.axes.rank++] = d;
    if (sum.axes.rank) dy = b->node(b->net, "reduce", &sum, &dy, 1);
    if (shape.shape.rank && x.dim[0] == 0) shape.shape.dim[0] = -1;
    return x.rank == y.rank ? dy : b->node(b->net, "reshape", &shape, &dy, 1);
}

cp_status cp_set_multiply_adds(cp_problem *problem, int64_t outputs, int64_t of_each) {
    if (cp_mul(outputs, of_each, &problem->multiply_adds)) return CP_OK;
    return cp_fail(CP_E_LIMIT, "%lld outputs of %lld multiply-adds each are more than can be counted",
                   (long long)outputs, (long long)of_each);
}

cp_status cp_set_output(cp_problem *problem, int i, cp_type type, cp_shape shape) {
    problem->out[i] = shape;
    problem->out_type[i] = type;
    problem->outputs = i + 1;
    return cp_check_shape(shape, type, "output");
}

cp_status cp_check_axes(cp_shape shape, const char *name) {
    if (shape.rank >= 3 && shape.rank <= CP_MAX_AXES + 2) return CP_OK;
    return cp_fail(CP_E_SHAPE, "%s must have 3 to %d dimensions, has %d", name, CP_MAX_AXES + 2, shape.rank);
}

cp_status cp_forward_input(cp_shape *x, cp_shape dy, const int64_t size[CP_MAX_AXES], int64_t channels) {
    const cp_status status = cp_check_axes(dy, "gradient");
    if (status) return status;
    *x = (cp_shape){.rank = dy.rank, .dim = {dy.dim[0]}};
    for (int d = 0; d < dy.rank - 2; d++) x->dim[1 + d] = size[d];
    x->dim[dy.rank - 1] = channels;
    return CP_OK;
}

cp_attributes cp_gradient_attributes(const cp_backward *backward) {
    const cp_shape x = backward->shape(backward->net, backward->in[0]);
    cp_attributes attributes = *backward->attributes;
    for (int d = 0; d < x.rank - 2; d++) attributes.size[d] = x.dim[1 + d];
    return attributes;
}

void cp_backward_weights(cp_backward *backward, bool relu, const cp_attributes *attributes, const char *input_gradient,
                         const char *weight_gradient) {
    const cp_attributes none = {0};
    const cp_node *in = backward->in, *out = backward->out, *dout = backward->dout;
    /* dz: the gradient before the activation */
    const cp_node dz =
        relu ? backward->node(backward->net, "relu-gradient", &none, (cp_node[]){out[0], dout[0]}, 2) : dout[0];
    if (backward->wanted[0])
        backward->din[0] = backward->node(backward->net, input_gradient, attributes, (cp_node[]){dz, in[1]}, 2);
    if (backward->wanted[1])
        backward->din[1] = backward->node(backward->net, weight_gradient, attributes, (cp_node[]){dz, in[0]}, 2);
    if (backward->wanted[2]) backward->din[2] = backward->node(backward->net, "bias-gradient", &none, &dz, 1);
}
