/* Locally connected convolution and its gradients by input and weights, as operators. */
#include "op/op.h"

/* The windows over x, the weights [outputs,taps*C,filters] that they need, and the output. */
static cp_status set_geometry(cp_problem *problem, const cp_conv *conv, cp_shape x, int64_t filters, cp_shape *w,
                              cp_shape *y) {
    cp_status status = cp_check_axes(x, "input");
    if (status) return status;
    if (cp_groups(conv) != 1) return cp_fail(CP_E_UNSUPPORTED, "locally connected: groups are not provided");
    if (conv->pad_values != CP_PAD_CONSTANT)
        return cp_fail(CP_E_UNSUPPORTED, "locally connected: padding is zeros; pad the input before");
    cp_shape kernel = {.rank = x.rank};
    for (int d = 0; d < x.rank - 2; d++) {
        kernel.dim[d] = conv->kernel[d];
        if (kernel.dim[d] < 1)
            return cp_fail(CP_E_ARG, "kernel[%d] = %lld: must be at least 1", d, (long long)kernel.dim[d]);
    }
    kernel.dim[x.rank - 2] = x.dim[x.rank - 1];
    kernel.dim[x.rank - 1] = filters;
    status = cp_conv_window(&problem->window, conv, x, kernel);
    if (!status) status = cp_conv_shape(y, conv, x, kernel);
    if (status) return status;
    problem->batch = x.dim[0];
    problem->channels = x.dim[x.rank - 1];
    problem->filters = filters;
    problem->groups = 1;
    const int64_t rows = cp_shape_count(kernel) / filters;
    *w = (cp_shape){.rank = 3, .dim = {cp_window_outputs(&problem->window), rows, filters}};
    status = cp_check_shape(*w, CP_F32, "weights");
    return status ? status : cp_set_multiply_adds(problem, cp_shape_count(*y), rows);
}

static int64_t last_of(cp_shape shape) {
    return shape.rank > 0 ? shape.dim[shape.rank - 1] : 0;
}

static cp_status infer_local(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape w, y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (!status) status = set_geometry(problem, &attributes->conv, problem->in[0], last_of(problem->in[1]), &w, &y);
    if (!status) status = cp_check_same("weights", problem->in[1], "what the windows need", w);
    if (!status) status = cp_check_bias(problem, 2, problem->filters);
    if (!status) status = cp_set_activation(problem, attributes->conv.activation);
    return status ? status : cp_set_output(problem, 0, problem->type, y);
}

static cp_status infer_input_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (status) return status;
    cp_shape x, w, y;
    int64_t taps = 1;
    const cp_shape dy = problem->in[0], given = problem->in[1];
    for (int d = 0; d < CP_MAX_AXES && attributes->conv.kernel[d] > 0; d++)
        if (!cp_mul(taps, attributes->conv.kernel[d], &taps))
            return cp_fail(CP_E_SHAPE, "the number of taps overflows");
    status = cp_forward_input(&x, dy, attributes->size, given.rank == 3 ? given.dim[1] / taps : 0);
    if (!status) status = set_geometry(problem, &attributes->conv, x, last_of(given), &w, &y);
    if (!status) status = cp_check_same("weights", given, "what the windows need", w);
    if (!status) status = cp_check_same("gradient", dy, "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, x);
}

static cp_status infer_weight_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape w, y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, problem->type, "input");
    if (!status) status = set_geometry(problem, &attributes->conv, problem->in[1], last_of(problem->in[0]), &w, &y);
    if (!status) status = cp_check_same("gradient", problem->in[0], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, w);
}

static void backward(cp_backward *b) {
    cp_attributes attributes = cp_gradient_attributes(b);
    attributes.conv.activation = CP_LINEAR;
    cp_backward_weights(b, b->attributes->conv.activation == CP_RELU, &attributes, "local-conv-input-gradient",
                        "local-conv-weight-gradient");
}

const cp_op cp_op_local_conv = {.name = "local-conv",
                                .counts_filters = true,
                                .fields = cp_conv_fields,
                                .min_inputs = 2,
                                .max_inputs = 3,
                                .outputs = 1,
                                .infer = infer_local,
                                .algos = cp_algos_local_conv,
                                .backward = backward,
                                .words = cp_conv_words};

const cp_op cp_op_local_conv_input_gradient = {.name = "local-conv-input-gradient",
                                               .min_inputs = 2,
                                               .max_inputs = 2,
                                               .outputs = 1,
                                               .infer = infer_input_gradient,
                                               .algos = cp_algos_local_conv_input_gradient};

const cp_op cp_op_local_conv_weight_gradient = {.name = "local-conv-weight-gradient",
                                                .min_inputs = 2,
                                                .max_inputs = 2,
                                                .outputs = 1,
                                                .infer = infer_weight_gradient,
                                                .algos = cp_algos_local_conv_weight_gradient};
