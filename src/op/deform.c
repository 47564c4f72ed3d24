/* Deformable convolution and its gradients by input, weights, and offsets and mask, as operators. */
#include "op/op.h"

/* Places of optional inputs: of the convolution; of its gradients each has the mask as its last one. */
enum { BIAS = 3, MASK = 4 };

static int64_t offset_groups(const cp_conv *conv) {
    return conv->offset_groups ? conv->offset_groups : 1;
}

/* The convolution as it would be without offsets. */
static cp_conv plain(const cp_conv *conv) {
    cp_conv rigid = *conv;
    rigid.offset_groups = 0;
    return rigid;
}

/* Input i, offsets or mask: the shape of y with so many channels. */
static cp_status check_field(const cp_problem *problem, int i, const char *name, cp_shape y, int64_t of_tap) {
    cp_shape expected = y;
    int64_t channels;
    const cp_status status = cp_check_in(problem, i, problem->type, name);
    if (status) return status;
    if (!cp_mul(problem->offset_groups, cp_window_taps(&problem->window), &channels) ||
        !cp_mul(channels, of_tap, &channels))
        return cp_fail(CP_E_SHAPE, "the channels of the %s overflow", name);
    expected.dim[y.rank - 1] = channels;
    return cp_check_same(name, problem->in[i], "what the windows need", expected);
}

/* The forward convolution of x by w, which all speak of; offset: the input that the offsets are, mask: that of the
 * mask, if there. */
static cp_status set_geometry(cp_problem *problem, const cp_conv *conv, cp_shape x, cp_shape w, int offset, int mask,
                              cp_shape *y) {
    const cp_conv rigid = plain(conv);
    cp_status status = cp_conv_window(&problem->window, &rigid, x, w);
    if (!status) status = cp_conv_shape(y, &rigid, x, w);
    if (status) return status;
    if (problem->window.values != CP_PAD_CONSTANT)
        return cp_fail(CP_E_UNSUPPORTED, "the padding of a deformable convolution is zeros: pad the input before");
    problem->batch = x.dim[0];
    problem->channels = x.dim[x.rank - 1];
    problem->filters = w.dim[w.rank - 1];
    problem->groups = cp_groups(conv);
    problem->offset_groups = offset_groups(conv);
    if (problem->offset_groups < 1)
        return cp_fail(CP_E_ARG, "offset_groups = %lld: must be at least 1", (long long)problem->offset_groups);
    if (problem->channels % problem->offset_groups)
        return cp_fail(CP_E_SHAPE, "offset_groups = %lld does not divide %lld input channels",
                       (long long)problem->offset_groups, (long long)problem->channels);
    status = check_field(problem, offset, "offset", *y, problem->window.axes);
    if (!status && cp_has_input(problem, mask)) status = check_field(problem, mask, "mask", *y, 1);
    if (status) return status;
    return cp_set_multiply_adds(problem, cp_shape_count(*y), cp_shape_count(w) / problem->filters);
}

static cp_status infer_conv(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (!status) status = set_geometry(problem, &attributes->conv, problem->in[0], problem->in[1], 2, MASK, &y);
    if (!status) status = cp_check_bias(problem, BIAS, problem->filters);
    if (!status) status = cp_set_activation(problem, attributes->conv.activation);
    return status ? status : cp_set_output(problem, 0, problem->type, y);
}

static cp_status infer_input_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape x, y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (!status) status = cp_conv_input_shape(&x, attributes, problem->in[0], problem->in[1]);
    if (!status) status = set_geometry(problem, &attributes->conv, x, problem->in[1], 2, 3, &y);
    if (!status) status = cp_check_same("gradient", problem->in[0], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, x);
}

static cp_status infer_weight_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape w, y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, problem->type, "input");
    if (!status) status = cp_conv_weights_shape(&w, &attributes->conv, problem->in[0], problem->in[1]);
    if (!status) status = set_geometry(problem, &attributes->conv, problem->in[1], w, 2, 3, &y);
    if (!status) status = cp_check_same("gradient", problem->in[0], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, w);
}

/* Of the mask also where there is none: as if it were all 1. */
static cp_status infer_offset_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (!status) status = cp_check_in(problem, 2, problem->type, "input");
    if (!status) status = set_geometry(problem, &attributes->conv, problem->in[2], problem->in[1], 3, 4, &y);
    if (!status) status = cp_check_same("gradient", problem->in[0], "output", y);
    if (!status) status = cp_set_output(problem, 0, problem->type, problem->in[3]);
    if (status) return status;
    cp_shape mask = problem->in[3];
    mask.dim[mask.rank - 1] /= problem->window.axes;
    return cp_set_output(problem, 1, problem->type, mask);
}

static void backward(cp_backward *b) {
    const cp_node offset = b->in[2], mask = b->in[MASK];
    const int extra = mask ? 1 : 0;
    const cp_attributes none = {0};
    const cp_attributes attributes = cp_conv_gradient_attributes(b);
    cp_node dz = b->dout[0]; /* the gradient before the activation */
    if (b->attributes->conv.activation == CP_RELU)
        dz = b->node(b->net, "relu-gradient", &none, (cp_node[]){b->out[0], dz}, 2);
    if (b->wanted[0])
        b->din[0] = b->node(b->net, "deform-conv-input-gradient", &attributes, (cp_node[]){dz, b->in[1], offset, mask},
                            3 + extra);
    if (b->wanted[1])
        b->din[1] = b->node(b->net, "deform-conv-weight-gradient", &attributes, (cp_node[]){dz, b->in[0], offset, mask},
                            3 + extra);
    if (b->wanted[2] || b->wanted[MASK]) {
        b->din[2] = b->node(b->net, "deform-conv-offset-gradient", &attributes,
                            (cp_node[]){dz, b->in[1], b->in[0], offset, mask}, 4 + extra);
        if (b->din[2] && b->wanted[MASK]) b->din[MASK] = b->din[2] + 1;
    }
    if (b->wanted[BIAS]) b->din[BIAS] = b->node(b->net, "bias-gradient", &none, &dz, 1);
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    cp_conv_words(attributes, text, size);
    if (offset_groups(&attributes->conv) != 1)
        cp_words_add(text, size, "offset_groups %lld", (long long)attributes->conv.offset_groups);
}

const cp_op cp_op_deform_conv = {.name = "deform-conv",
                                 .counts_filters = true,
                                 .fields = cp_conv_fields,
                                 .min_inputs = 3,
                                 .max_inputs = 5,
                                 .outputs = 1,
                                 .infer = infer_conv,
                                 .algos = cp_algos_deform_conv,
                                 .backward = backward,
                                 .words = words};

const cp_op cp_op_deform_conv_input_gradient = {.name = "deform-conv-input-gradient",
                                                .min_inputs = 3,
                                                .max_inputs = 4,
                                                .outputs = 1,
                                                .infer = infer_input_gradient,
                                                .algos = cp_algos_deform_conv_input_gradient};

const cp_op cp_op_deform_conv_weight_gradient = {.name = "deform-conv-weight-gradient",
                                                 .min_inputs = 3,
                                                 .max_inputs = 4,
                                                 .outputs = 1,
                                                 .infer = infer_weight_gradient,
                                                 .algos = cp_algos_deform_conv_weight_gradient};

const cp_op cp_op_deform_conv_offset_gradient = {.name = "deform-conv-offset-gradient",
                                                 .min_inputs = 4,
                                                 .max_inputs = 5,
                                                 .outputs = 2,
                                                 .infer = infer_offset_gradient,
                                                 .algos = cp_algos_deform_conv_offset_gradient};
