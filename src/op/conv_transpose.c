/* Transposed convolution and its gradients, as operators: the adjoint of the convolution with the same descriptor, so
 * its input gradient is that convolution, and its weight gradient the same products with the operands exchanged. */
#include "op/op.h"

/* x [N,space,K] and w [kernel,C/groups,K] of the transposed convolution: the convolution that it is the adjoint of. */
static cp_status set_geometry(cp_problem *problem, const cp_conv *conv, cp_shape x, cp_shape w, cp_shape *y) {
    cp_status status = cp_conv_transpose_window(&problem->window, conv, x, w);
    if (!status) status = cp_conv_transpose_shape(y, conv, x, w);
    if (status) return status;
    problem->batch = x.dim[0];
    problem->channels = y->dim[y->rank - 1];
    problem->filters = x.dim[x.rank - 1];
    problem->groups = cp_groups(conv);
    return cp_set_multiply_adds(problem, cp_shape_count(x), cp_shape_count(w) / problem->filters);
}

static cp_status infer_conv_transpose(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (!status) status = set_geometry(problem, &attributes->conv, problem->in[0], problem->in[1], &y);
    if (!status) status = cp_check_bias(problem, 2, problem->channels);
    if (!status) status = cp_set_activation(problem, attributes->conv.activation);
    return status ? status : cp_set_output(problem, 0, problem->type, y);
}

/* The shape of x from that of dy: attributes.size has its spatial axes, the weights its channels. */
static cp_status check_gradient(cp_problem *problem, const cp_attributes *attributes, cp_shape dy, cp_shape x,
                                cp_shape w) {
    cp_shape y;
    cp_status status = set_geometry(problem, &attributes->conv, x, w, &y);
    return status ? status : cp_check_same("gradient", dy, "output", y);
}

static cp_status infer_input_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape x;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (status) return status;
    const cp_shape dy = problem->in[0], w = problem->in[1];
    if (w.rank < 3) return cp_fail(CP_E_SHAPE, "weights need at least 3 dimensions, have %d", w.rank);
    status = cp_forward_input(&x, dy, attributes->size, w.dim[w.rank - 1]);
    if (!status) status = check_gradient(problem, attributes, dy, x, w);
    return status ? status : cp_set_output(problem, 0, problem->type, x);
}

/* Inputs x and dy: what the convolution's weight gradient calls dy and x. */
static cp_status infer_weight_gradient(cp_problem *problem, const cp_attributes *attributes) {
    const cp_conv *conv = &attributes->conv;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_in(problem, 1, problem->type, "gradient");
    if (!status) status = cp_check_axes(problem->in[0], "input");
    if (status) return status;
    const cp_shape x = problem->in[0], dy = problem->in[1];
    cp_shape w = {.rank = x.rank};
    if (dy.rank != x.rank) return cp_fail(CP_E_SHAPE, "gradient has %d dimensions, the input %d", dy.rank, x.rank);
    if (cp_groups(conv) < 1) return cp_fail(CP_E_ARG, "groups = %lld: must be at least 1", (long long)conv->groups);
    for (int d = 0; d < x.rank - 2; d++) w.dim[d] = conv->kernel[d];
    w.dim[x.rank - 2] = dy.dim[x.rank - 1] / cp_groups(conv);
    w.dim[x.rank - 1] = x.dim[x.rank - 1];
    status = check_gradient(problem, attributes, dy, x, w);
    return status ? status : cp_set_output(problem, 0, problem->type, w);
}

static void backward(cp_backward *b) {
    const cp_attributes none = {0};
    const cp_attributes attributes = cp_conv_gradient_attributes(b);
    cp_node dz = b->dout[0];
    if (b->attributes->conv.activation == CP_RELU)
        dz = b->node(b->net, "relu-gradient", &none, (cp_node[]){b->out[0], dz}, 2);
    if (b->wanted[0])
        b->din[0] = b->node(b->net, "conv-transpose-input-gradient", &attributes, (cp_node[]){dz, b->in[1]}, 2);
    if (b->wanted[1])
        b->din[1] = b->node(b->net, "conv-transpose-weight-gradient", &attributes, (cp_node[]){b->in[0], dz}, 2);
    if (b->wanted[2]) b->din[2] = b->node(b->net, "bias-gradient", &none, &dz, 1);
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    const cp_conv *conv = &attributes->conv;
    cp_op_conv.words(attributes, text, size);
    int axes = 0;
    while (axes < CP_MAX_AXES && conv->kernel[axes]) axes++;
    cp_words_axes(text, size, "output_padding ", conv->output_padding, axes);
    cp_words_axes(text, size, "output_size ", conv->output_size, axes);
}

const cp_op cp_op_conv_transpose = {.name = "conv-transpose",
                                    .counts_filters = true,
                                    .fields = cp_conv_fields,
                                    .min_inputs = 2,
                                    .max_inputs = 3,
                                    .outputs = 1,
                                    .infer = infer_conv_transpose,
                                    .algos = cp_algos_conv_input_gradient,
                                    .backward = backward,
                                    .words = words};

const cp_op cp_op_conv_transpose_input_gradient = {.name = "conv-transpose-input-gradient",
                                                   .min_inputs = 2,
                                                   .max_inputs = 2,
                                                   .outputs = 1,
                                                   .infer = infer_input_gradient,
                                                   .algos = cp_algos_conv};

const cp_op cp_op_conv_transpose_weight_gradient = {.name = "conv-transpose-weight-gradient",
                                                    .min_inputs = 2,
                                                    .max_inputs = 2,
                                                    .outputs = 1,
                                                    .infer = infer_weight_gradient,
                                                    .algos = cp_algos_conv_weight_gradient};
