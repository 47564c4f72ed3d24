/* im2col and col2im, each of which is the other's gradient, as operators. */
#include "op/op.h"

/* The windows over x [N,space,C], and the matrix [N,outputs,taps*C] that they make. */
static cp_status set_geometry(cp_problem *problem, const cp_conv *conv, cp_shape x, cp_shape *y) {
    if (cp_groups(conv) != 1 || conv->activation != CP_LINEAR)
        return cp_fail(CP_E_ARG, "groups and activation belong to convolutions");
    if (conv->pad_values != CP_PAD_CONSTANT)
        return cp_fail(CP_E_UNSUPPORTED, "the padding of im2col and col2im is zeros: pad the input before");
    const int64_t channels = x.dim[x.rank - 1];
    cp_shape w = {.rank = x.rank};
    int64_t columns;
    for (int d = 0; d < x.rank - 2; d++) {
        w.dim[d] = conv->kernel[d];
        if (w.dim[d] < 1) return cp_fail(CP_E_ARG, "kernel[%d] = %lld: must be at least 1", d, (long long)w.dim[d]);
    }
    w.dim[x.rank - 2] = channels;
    w.dim[x.rank - 1] = 1;
    const cp_status status = cp_conv_window(&problem->window, conv, x, w);
    if (status) return status;
    if (!cp_mul(cp_window_taps(&problem->window), channels, &columns))
        return cp_fail(CP_E_SHAPE, "the number of columns overflows");
    problem->batch = x.dim[0];
    problem->channels = problem->filters = channels;
    problem->groups = 1;
    *y = (cp_shape){.rank = 3, .dim = {x.dim[0], cp_window_outputs(&problem->window), columns}};
    return cp_check_shape(*y, CP_F32, "matrix");
}

static cp_status infer_im2col(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_axes(problem->in[0], "input");
    if (!status) status = set_geometry(problem, &attributes->conv, problem->in[0], &y);
    return status ? status : cp_set_output(problem, 0, problem->type, y);
}

/* The axes that have a kernel; the matrix does not tell. */
static int count_axes(const cp_conv *conv) {
    int axes = 0;
    while (axes < CP_MAX_AXES && conv->kernel[axes]) axes++;
    return axes;
}

static cp_status infer_col2im(cp_problem *problem, const cp_attributes *attributes) {
    const cp_conv *conv = &attributes->conv;
    const int axes = count_axes(conv);
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (status) return status;
    const cp_shape y = problem->in[0];
    if (y.rank != 3) return cp_fail(CP_E_SHAPE, "input must have 3 dimensions, has %d", y.rank);
    if (axes == 0) return cp_fail(CP_E_ARG, "kernel[0] = 0: must be at least 1");
    cp_shape x = {.rank = axes + 2, .dim = {y.dim[0]}}, expected;
    int64_t taps = 1;
    for (int d = 0; d < axes; d++) {
        x.dim[1 + d] = attributes->size[d];
        if (x.dim[1 + d] < 1)
            return cp_fail(CP_E_ARG, "size[%d] = %lld: must be at least 1", d, (long long)x.dim[1 + d]);
        if (conv->kernel[d] < 1)
            return cp_fail(CP_E_ARG, "kernel[%d] = %lld: must be at least 1", d, (long long)conv->kernel[d]);
        if (!cp_mul(taps, conv->kernel[d], &taps)) return cp_fail(CP_E_SHAPE, "the number of taps overflows");
    }
    if (y.dim[2] % taps)
        return cp_fail(CP_E_SHAPE, "%lld columns are no multiple of %lld taps", (long long)y.dim[2], (long long)taps);
    x.dim[axes + 1] = y.dim[2] / taps;
    status = set_geometry(problem, conv, x, &expected);
    if (!status) status = cp_check_same("input", y, "the windows' matrix", expected);
    return status ? status : cp_set_output(problem, 0, problem->type, x);
}

static void backward_im2col(cp_backward *b) {
    const cp_attributes attributes = cp_gradient_attributes(b);
    b->din[0] = b->node(b->net, "col2im", &attributes, b->dout, 1);
}

static void backward_col2im(cp_backward *b) {
    b->din[0] = b->node(b->net, "im2col", b->attributes, b->dout, 1);
}

static void words_col2im(const cp_attributes *attributes, char *text, size_t size) {
    cp_conv_words(attributes, text, size);
    cp_words_axes(text, size, "size ", attributes->size, count_axes(&attributes->conv));
}

/* The input of col2im has fewer axes than what it makes: lists, not values per axis. */
#define WINDOW_FIELDS(kind)                                                                                            \
    CP_FIELD("kernel", kind, conv.kernel, NULL), CP_FIELD("stride", kind, conv.stride, NULL),                          \
        CP_FIELD("dilation", kind, conv.dilation, NULL), CP_FIELD("pad", CP_FIELD_WORD, conv.pad, cp_pad_words),       \
        CP_FIELD("pad_before", kind, conv.pad_before, NULL), CP_FIELD("pad_after", kind, conv.pad_after, NULL)

static const cp_field im2col_fields[] = {WINDOW_FIELDS(CP_FIELD_AXES), {0}};
static const cp_field col2im_fields[] = {
    WINDOW_FIELDS(CP_FIELD_LIST), CP_FIELD("size", CP_FIELD_LIST, size, NULL), {0}};

const cp_op cp_op_im2col = {.name = "im2col",
                            .fields = im2col_fields,
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .outputs = 1,
                            .infer = infer_im2col,
                            .algos = cp_algos_im2col,
                            .backward = backward_im2col,
                            .words = cp_conv_words};

const cp_op cp_op_col2im = {.name = "col2im",
                            .fields = col2im_fields,
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .outputs = 1,
                            .infer = infer_col2im,
                            .algos = cp_algos_col2im,
                            .backward = backward_col2im,
                            .words = words_col2im};
