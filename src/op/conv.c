/* Convolution and its gradients by input and weights, as operators. */
#include "op/op.h"

cp_status cp_set_conv(cp_problem *problem, const cp_conv *conv, cp_shape x, cp_shape w, cp_shape *y) {
    cp_status status = cp_conv_window(&problem->window, conv, x, w);
    if (!status) status = cp_conv_shape(y, conv, x, w);
    if (status) return status;
    problem->batch = x.dim[0];
    problem->channels = x.dim[x.rank - 1];
    problem->filters = w.dim[w.rank - 1];
    problem->groups = cp_groups(conv);
    return cp_set_multiply_adds(problem, cp_shape_count(*y), cp_shape_count(w) / problem->filters);
}

static cp_status infer_conv(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (!status) status = cp_set_conv(problem, &attributes->conv, problem->in[0], problem->in[1], &y);
    if (!status) status = cp_check_bias(problem, 2, problem->filters);
    if (!status) status = cp_set_activation(problem, attributes->conv.activation);
    return status ? status : cp_set_output(problem, 0, problem->type, y);
}

/* A number of groups that cannot be is refused by the window, which sees all shapes; until then it counts as 1. */
static int64_t possible_groups(const cp_conv *conv) {
    return cp_groups(conv) < 1 ? 1 : cp_groups(conv);
}

/* The gradients of a convolution whose padding has values are those of another: see backward_padded. */
static cp_status check_values(const cp_problem *problem) {
    if (problem->window.values == CP_PAD_CONSTANT) return CP_OK;
    return cp_fail(CP_E_UNSUPPORTED, "padding with values of the input: pad it, and convolve without padding");
}

cp_status cp_conv_input_shape(cp_shape *x, const cp_attributes *attributes, cp_shape dy, cp_shape w) {
    const cp_conv *conv = &attributes->conv;
    int64_t channels;
    if (w.rank < 3) return cp_fail(CP_E_SHAPE, "weights need at least 3 dimensions, have %d", w.rank);
    if (!cp_mul(w.dim[w.rank - 2], possible_groups(conv), &channels))
        return cp_fail(CP_E_SHAPE, "groups = %lld: the number of input channels overflows", (long long)conv->groups);
    return cp_forward_input(x, dy, attributes->size, channels);
}

cp_status cp_conv_weights_shape(cp_shape *w, const cp_conv *conv, cp_shape dy, cp_shape x) {
    const cp_status status = cp_check_axes(x, "input");
    if (status) return status;
    if (dy.rank != x.rank) return cp_fail(CP_E_SHAPE, "gradient has %d dimensions, the input %d", dy.rank, x.rank);
    *w = (cp_shape){.rank = x.rank};
    for (int d = 0; d < x.rank - 2; d++) w->dim[d] = conv->kernel[d];
    w->dim[x.rank - 2] = x.dim[x.rank - 1] / possible_groups(conv);
    w->dim[x.rank - 1] = dy.dim[x.rank - 1];
    return CP_OK;
}

static cp_status infer_input_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape x, y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (!status) status = cp_conv_input_shape(&x, attributes, problem->in[0], problem->in[1]);
    if (!status) status = cp_set_conv(problem, &attributes->conv, x, problem->in[1], &y);
    if (!status) status = check_values(problem);
    if (!status) status = cp_check_same("gradient", problem->in[0], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, x);
}

static cp_status infer_weight_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape w, y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, problem->type, "input");
    if (!status) status = cp_conv_weights_shape(&w, &attributes->conv, problem->in[0], problem->in[1]);
    if (!status) status = cp_set_conv(problem, &attributes->conv, problem->in[1], w, &y);
    if (!status) status = check_values(problem);
    if (!status) status = cp_check_same("gradient", problem->in[0], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, w);
}

/* Padding with values of the input: the gradients are those of a convolution without padding, of the padded input. */
static void backward_padded(cp_backward *b, const cp_attributes *of_conv, const cp_window *window) {
    const int axes = window->axes;
    cp_attributes attributes = *of_conv, pad = *of_conv;
    pad.padding.values = window->values;
    attributes.conv.pad = CP_PAD_EXPLICIT;
    attributes.conv.pad_values = CP_PAD_CONSTANT;
    for (int d = 0; d < axes; d++) {
        const cp_axis *a = &window->axis[CP_MAX_AXES - axes + d];
        pad.padding.before[d] = a->before;
        pad.padding.after[d] = a->after;
        attributes.conv.pad_before[d] = attributes.conv.pad_after[d] = 0;
        attributes.size[d] = a->before + a->in + a->after;
    }
    cp_node in[CP_MAX_INPUTS] = {b->in[0], b->in[1]};
    if (b->wanted[1]) in[0] = b->node(b->net, "pad", &pad, in, 1);
    cp_backward valid = *b;
    valid.in = in;
    cp_backward_weights(&valid, b->attributes->conv.activation == CP_RELU, &attributes, "conv-input-gradient",
                        "conv-weight-gradient");
    if (b->wanted[0]) b->din[0] = b->node(b->net, "pad-gradient", &pad, valid.din, 1);
    b->din[1] = valid.din[1];
    b->din[2] = valid.din[2];
}

cp_attributes cp_conv_gradient_attributes(const cp_backward *b) {
    const cp_shape w = b->shape(b->net, b->in[1]);
    cp_attributes attributes = cp_gradient_attributes(b);
    attributes.conv.activation = CP_LINEAR;
    for (int d = 0; d < w.rank - 2; d++) attributes.conv.kernel[d] = w.dim[d];
    return attributes;
}

static void backward(cp_backward *b) {
    const cp_shape x = b->shape(b->net, b->in[0]), w = b->shape(b->net, b->in[1]);
    const cp_attributes attributes = cp_conv_gradient_attributes(b);
    cp_window window;
    if (attributes.conv.pad_values != CP_PAD_CONSTANT && !cp_conv_window(&window, &attributes.conv, x, w) &&
        window.values != CP_PAD_CONSTANT) {
        backward_padded(b, &attributes, &window);
        return;
    }
    cp_backward_weights(b, b->attributes->conv.activation == CP_RELU, &attributes, "conv-input-gradient",
                        "conv-weight-gradient");
}

void cp_conv_words(const cp_attributes *attributes, char *text, size_t size) {
    const cp_conv *conv = &attributes->conv;
    const cp_window_words window = {.kernel = conv->kernel,
                                    .stride = conv->stride,
                                    .dilation = conv->dilation,
                                    .before = conv->pad_before,
                                    .after = conv->pad_after,
                                    .pad = conv->pad};
    text[0] = 0;
    cp_words_window(&window, text, size);
    if (conv->pad_values != CP_PAD_CONSTANT) cp_words_add(text, size, "%s", cp_pad_value_words[conv->pad_values]);
    if (cp_groups(conv) != 1) cp_words_add(text, size, "groups %lld", (long long)conv->groups);
    if (conv->activation == CP_RELU) cp_words_add(text, size, "relu");
}

/* output_padding and output_size belong to the transposed one, offset_groups to the deformable one: cp_conv_window
 * refuses them. */
const cp_field cp_conv_fields[] = {CP_FIELD("kernel", CP_FIELD_AXES, conv.kernel, NULL),
                                   CP_FIELD("stride", CP_FIELD_AXES, conv.stride, NULL),
                                   CP_FIELD("dilation", CP_FIELD_AXES, conv.dilation, NULL),
                                   CP_FIELD("pad", CP_FIELD_WORD, conv.pad, cp_pad_words),
                                   CP_FIELD("pad_before", CP_FIELD_AXES, conv.pad_before, NULL),
                                   CP_FIELD("pad_after", CP_FIELD_AXES, conv.pad_after, NULL),
                                   CP_FIELD("pad_values", CP_FIELD_WORD, conv.pad_values, cp_pad_value_words),
                                   CP_FIELD("output_padding", CP_FIELD_AXES, conv.output_padding, NULL),
                                   CP_FIELD("output_size", CP_FIELD_AXES, conv.output_size, NULL),
                                   CP_FIELD("groups", CP_FIELD_COUNT, conv.groups, NULL),
                                   CP_FIELD("offset_groups", CP_FIELD_COUNT, conv.offset_groups, NULL),
                                   CP_FIELD("activation", CP_FIELD_WORD, conv.activation, cp_activation_words),
                                   {0}};

const cp_op cp_op_conv = {.name = "conv",
                          .counts_filters = true,
                          .fields = cp_conv_fields,
                          .min_inputs = 2,
                          .max_inputs = 3,
                          .outputs = 1,
                          .infer = infer_conv,
                          .algos = cp_algos_conv,
                          .backward = backward,
                          .words = cp_conv_words};

const cp_op cp_op_conv_input_gradient = {.name = "conv-input-gradient",
                                         .min_inputs = 2,
                                         .max_inputs = 2,
                                         .outputs = 1,
                                         .infer = infer_input_gradient,
                                         .algos = cp_algos_conv_input_gradient};

const cp_op cp_op_conv_weight_gradient = {.name = "conv-weight-gradient",
                                          .min_inputs = 2,
                                          .max_inputs = 2,
                                          .outputs = 1,
                                          .infer = infer_weight_gradient,
                                          .algos = cp_algos_conv_weight_gradient};
