/* THE window rule: where outputs and taps meet inputs, how many outputs there are, and every check on a geometry.
 *
 * Sources: explicit padding, Dumoulin and Visin (2016); SAME, TensorFlow's kernel_shape_util.cc; ceil_mode and the
 * divisor of averages, PyTorch's ATen/native/Pool.h and AvgPoolKernel.cpp; adaptive windows, its AdaptivePooling.h;
 * fractional ones, its FractionalMaxPool2d.cpp and TensorFlow's fractional_pool_common.cc. */
#include "tensor/tensor.h"

#include <math.h>

/* ---------------------------------------------------------------------------------------------------------------
 * Positions
 * ------------------------------------------------------------------------------------------------------------- */

static int64_t min(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static int64_t max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Quotients rounded down and up, for b > 0; C's own goes towards zero. */
static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}
static int64_t ceil_div(int64_t a, int64_t b) {
    return a / b + (a % b > 0);
}

/* How many of an axis's taps, counted from the first, lie before a position when the window begins at `begin`. */
static int64_t taps_before(const cp_axis *a, int64_t begin, int64_t position) {
    return max(0, min(a->kernel, ceil_div(position - begin, a->dilation)));
}

void cp_axis_taps(const cp_axis *a, int64_t o, int64_t *first, int64_t *last) {
    const int64_t begin = o * a->stride - a->before;
    *first = taps_before(a, begin, 0);
    *last = taps_before(a, begin, a->in);
    if (*first == *last) *first = *last = 0;
}

int64_t cp_window_inputs(const cp_window *w) {
    return w->axis[0].in * w->axis[1].in * w->axis[2].in;
}

int64_t cp_window_outputs(const cp_window *w) {
    return w->axis[0].out * w->axis[1].out * w->axis[2].out;
}

int64_t cp_window_taps(const cp_window *w) {
    return w->axis[0].kernel * w->axis[1].kernel * w->axis[2].kernel;
}

bool cp_window_at(const cp_window *w, int64_t o, int64_t t, int64_t *i) {
    int64_t flat = 0, step = 1;
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        const cp_axis *a = &w->axis[d];
        int64_t position;
        if (!cp_axis_at(a, o % a->out, t % a->kernel, &position)) position = cp_pad_at(w->values, position, a->in);
        if (position < 0) return false;
        flat += position * step;
        step *= a->in;
        o /= a->out;
        t /= a->kernel;
    }
    *i = flat;
    return true;
}

void cp_window_origin(const cp_window *w, int64_t o, int64_t origin[CP_MAX_AXES]) {
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        const cp_axis *a = &w->axis[d];
        origin[d] = o % a->out * a->stride - a->before;
        o /= a->out;
    }
}

void cp_window_reach(const cp_window *w, int64_t t, int64_t reach[CP_MAX_AXES]) {
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        const cp_axis *a = &w->axis[d];
        reach[d] = t % a->kernel * a->dilation;
        t /= a->kernel;
    }
}

bool cp_window_from(const cp_window *w, int64_t i, int64_t t, int64_t *o) {
    int64_t flat = 0, step = 1;
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        const cp_axis *a = &w->axis[d];
        const int64_t begin = i % a->in + a->before - t % a->kernel * a->dilation;
        if (begin < 0 || begin % a->stride != 0 || begin / a->stride >= a->out) return false;
        flat += begin / a->stride * step;
        step *= a->out;
        i /= a->in;
        t /= a->kernel;
    }
    *o = flat;
    return true;
}

int64_t cp_window_divisor(const cp_window *w, int64_t o, cp_divisor kind, int64_t number) {
    int64_t divisor = 1;
    if (kind == CP_DIVISOR_NUMBER) return number;
    if (kind == CP_DIVISOR_KERNEL) return cp_window_taps(w);
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        const cp_axis *a = &w->axis[d];
        int64_t first, last;
        if (kind == CP_DIVISOR_PADDED) {
            /* The padding that was asked for counts; what ceil_mode adds behind it does not. */
            first = 0;
            last = taps_before(a, o % a->out * a->stride - a->before, a->in + a->after);
        } else {
            cp_axis_taps(a, o % a->out, &first, &last);
        }
        divisor *= last - first;
        o /= a->out;
    }
    return divisor;
}

/* --- windows of varying size --- */

/* Boundary o of TensorFlow's fractional windows, counted from 0: u is scaled so that every gap is k or k+1. */
static int64_t fractional_boundary(const cp_span_axis *a, int64_t o, double u) {
    if (o == 0) return 0;
    if (o == a->out) return a->in;
    if (a->in % a->out == 0) return o * (a->in / a->out);
    const double alpha = (double)a->in / (double)a->out, k = (double)(a->in / a->out);
    const double most_first = (k + 2) / alpha - 1;
    const double most_last = ((double)a->in + 1 - k) / alpha - (double)(a->out - 1);
    return (int64_t)ceil(alpha * ((double)o + u * fmin(most_first, most_last))) - 1;
}

static int64_t fractional_begin(const cp_span_axis *a, int64_t o, double u) {
    if (o == a->out - 1) return a->in - a->kernel;
    const double alpha = (double)(a->in - a->kernel) / (double)(a->out - 1);
    return (int64_t)(((double)o + u) * alpha) - (int64_t)(u * alpha);
}

/* floor(o*in/out) and ceil((o+1)*in/out); the products fit: check_span_axis. */
static cp_span adaptive_span(int64_t in, int64_t out, int64_t o) {
    return (cp_span){o * in / out, ((o + 1) * in + out - 1) / out};
}

/* u: uniform in [0,1), of this axis; only fractional windows ask for it. */
static cp_span span_at(const cp_spans *s, int axis, int64_t o, double u) {
    const cp_span_axis *a = &s->axis[axis];
    if (s->fractional == CP_FRACTIONAL_PYTORCH) {
        const int64_t begin = fractional_begin(a, o, u);
        return (cp_span){begin, begin + a->kernel};
    }
    if (s->fractional == CP_FRACTIONAL_TENSORFLOW)
        return (cp_span){fractional_boundary(a, o, u),
                         min(a->in, fractional_boundary(a, o + 1, u) + (s->overlapping ? 1 : 0))};
    return adaptive_span(a->in, a->out, o);
}

/* Output o sees input i where o*in < (i+1)*out and (o+1)*in > i*out: the same rule with in and out exchanged. */
cp_span cp_span_from(const cp_spans *s, int axis, int64_t i) {
    return adaptive_span(s->axis[axis].out, s->axis[axis].in, i);
}

cp_box cp_spans_box(const cp_spans *s, int64_t o, const double u[CP_MAX_AXES]) {
    cp_box box;
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        const cp_span span = span_at(s, d, o % s->axis[d].out, u[d]);
        const int64_t size = span.end - span.begin;
        box.axis[d].begin = span.begin;
        box.axis[d].count = box.axis[d].taps = size;
        box.axis[d].step = 1;
        box.axis[d].in = s->axis[d].in;
        box.axis[d].tap = 0;
        o /= s->axis[d].out;
    }
    return box;
}

cp_box cp_window_box(const cp_window *w, int64_t o) {
    cp_box box;
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        const cp_axis *a = &w->axis[d];
        int64_t first, last;
        cp_axis_taps(a, o % a->out, &first, &last);
        box.axis[d].begin = o % a->out * a->stride - a->before + first * a->dilation;
        box.axis[d].count = last - first;
        box.axis[d].step = a->dilation;
        box.axis[d].in = a->in;
        box.axis[d].tap = first;
        box.axis[d].taps = a->kernel;
        o /= a->out;
    }
    return box;
}

int64_t cp_spans_inputs(const cp_spans *s) {
    return s->axis[0].in * s->axis[1].in * s->axis[2].in;
}

int64_t cp_spans_outputs(const cp_spans *s) {
    return s->axis[0].out * s->axis[1].out * s->axis[2].out;
}

/* ---------------------------------------------------------------------------------------------------------------
 * From attributes to a window
 * ------------------------------------------------------------------------------------------------------------- */

/* What convolution and pooling have in common. */
typedef struct {
    const int64_t *stride, *default_stride, *dilation, *before, *after;
    cp_pad pad;
    bool ceil_mode;
} attributes;

static const char *axis_name(int axes, int d) {
    static const char *const names[] = {"depth", "height", "width"};
    return names[CP_MAX_AXES - axes + d];
}

static const char *pad_name(cp_pad pad) {
    static const char *const names[] = {"EXPLICIT", "VALID", "SAME", "SAME_LOWER", "CAUSAL", "FULL"};
    return names[pad];
}

static bool all_zero(const int64_t *values, int n) {
    for (int d = 0; d < n; d++)
        if (values[d]) return false;
    return true;
}

/* An attribute has one value per axis of the input and zeros behind them. */
static cp_status check_values(const char *name, const int64_t *values, int axes, int64_t least) {
    for (int d = 0; d < axes; d++)
        if (values[d] < least)
            return least ? cp_fail(CP_E_ARG, "%s[%d] = %lld: must be at least 1", name, d, (long long)values[d])
                         : cp_fail(CP_E_ARG, "%s[%d] = %lld: must not be negative", name, d, (long long)values[d]);
    for (int d = axes; d < CP_MAX_AXES; d++)
        if (values[d])
            return cp_fail(CP_E_ARG, "%s[%d] = %lld: the input has only %d spatial dimension%s", name, d,
                           (long long)values[d], axes, axes == 1 ? "" : "s");
    return CP_OK;
}

static cp_status check_padding(const attributes *at, int axes) {
    if ((unsigned)at->pad > CP_PAD_FULL) return cp_fail(CP_E_ARG, "pad = %d: no such padding", (int)at->pad);
    cp_status status = check_values("pad_before", at->before, axes, 0);
    if (!status) status = check_values("pad_after", at->after, axes, 0);
    if (status || at->pad == CP_PAD_EXPLICIT) return status;
    if (!all_zero(at->before, axes) || !all_zero(at->after, axes))
        return cp_fail(CP_E_ARG, "pad %s and explicit padding together: pad_before and pad_after must be zero",
                       pad_name(at->pad));
    if (at->ceil_mode)
        return cp_fail(CP_E_ARG, "pad %s and ceil_mode together: systems disagree on what that means",
                       pad_name(at->pad));
    return CP_OK;
}

/* Output size and padding of one axis whose in, kernel, stride, dilation and explicit padding are set. */
static cp_status size_axis(cp_axis *a, const attributes *at, const char *name) {
    int64_t extent, padded, all;
    if (!cp_mul(a->kernel - 1, a->dilation, &extent) || !cp_sum(extent, 1, &extent))
        return cp_fail(CP_E_SHAPE, "effective kernel (%lld-1)*%lld+1 along the %s overflows", (long long)a->kernel,
                       (long long)a->dilation, name);
    if (at->pad == CP_PAD_CAUSAL || at->pad == CP_PAD_FULL) a->before = extent - 1;
    if (at->pad == CP_PAD_FULL) a->after = extent - 1;
    if (!cp_sum(a->in, a->before, &padded) || !cp_sum(padded, a->after, &padded) || !cp_sum(padded, extent, &all))
        return cp_fail(CP_E_SHAPE, "padded input along the %s overflows", name);

    if (at->pad == CP_PAD_SAME || at->pad == CP_PAD_SAME_LOWER) {
        a->out = ceil_div(a->in, a->stride);
        /* Not negative: with a window smaller than the stride there is input that no window sees. */
        const int64_t total = max(0, (a->out - 1) * a->stride + extent - a->in);
        a->before = at->pad == CP_PAD_SAME ? total / 2 : total - total / 2;
        a->after = total - a->before;
        return CP_OK;
    }
    a->out = floor_div(padded - extent, a->stride) + 1;
    if (a->out < 1)
        return cp_fail(CP_E_SHAPE, "kernel of %lld is larger than the padded input of %lld: output %s would be %lld",
                       (long long)extent, (long long)padded, name, (long long)a->out);
    if (at->ceil_mode) /* as many as begin inside the input or the padding before it */
        a->out = min(ceil_div(padded - extent, a->stride), (a->in + a->before - 1) / a->stride) + 1;
    return CP_OK;
}

/* Sizes the axes of a window whose `axes`, inputs and kernels are set, with everything else that can be said against
 * the attributes. */
static cp_status size_window(cp_window *w, const attributes *at) {
    const int axes = w->axes;
    cp_status status = check_padding(at, axes);
    if (!status && !all_zero(at->stride, CP_MAX_AXES)) status = check_values("stride", at->stride, axes, 1);
    if (!status && !all_zero(at->dilation, CP_MAX_AXES)) status = check_values("dilation", at->dilation, axes, 1);

    int64_t taps = 1, outputs = 1;
    for (int d = 0; d < axes && !status; d++) {
        cp_axis *a = &w->axis[CP_MAX_AXES - axes + d];
        a->stride = at->stride[d] ? at->stride[d] : at->default_stride[d];
        a->dilation = at->dilation[d] ? at->dilation[d] : 1;
        a->before = at->before[d];
        a->after = at->after[d];
        status = size_axis(a, at, axis_name(axes, d));
        if (!status && !cp_mul(taps, a->kernel, &taps)) status = cp_fail(CP_E_SHAPE, "the number of taps overflows");
        if (!status && !cp_mul(outputs, a->out, &outputs))
            status = cp_fail(CP_E_SHAPE, "the number of output positions overflows");
    }
    return status;
}

/* An input N,space,C, of which only N may be 0; begins the window: one neutral axis for each that is missing. */
static cp_status check_input(cp_window *w, cp_shape x) {
    static const char letters[] = "DHW";
    const cp_status status = cp_check_shape(x, CP_F32, "input");
    if (status) return status;
    if (x.rank < 3) return cp_fail(CP_E_SHAPE, "input needs at least 3 dimensions, has %d", x.rank);
    if (x.rank > CP_MAX_AXES + 2)
        return cp_fail(CP_E_SHAPE, "input has %d spatial dimensions: at most %d are provided", x.rank - 2, CP_MAX_AXES);
    w->axes = x.rank - 2;
    w->values = CP_PAD_CONSTANT;
    for (int d = 0; d < CP_MAX_AXES; d++) w->axis[d] = (cp_axis){1, 1, 1, 1, 1, 0, 0};
    for (int d = 0; d < w->axes; d++) {
        const int at = CP_MAX_AXES - w->axes + d;
        w->axis[at].in = x.dim[1 + d];
        if (x.dim[1 + d] == 0) return cp_fail(CP_E_SHAPE, "input dimension %c is 0: must be at least 1", letters[at]);
    }
    if (x.dim[x.rank - 1] == 0) return cp_fail(CP_E_SHAPE, "input dimension C is 0: must be at least 1");
    return CP_OK;
}

/* N,space',channels */
static cp_status output_shape(cp_shape *y, const cp_window *w, cp_shape x, int64_t channels) {
    cp_shape shape = {.rank = x.rank, .dim = {x.dim[0]}};
    for (int d = 0; d < w->axes; d++) shape.dim[1 + d] = w->axis[CP_MAX_AXES - w->axes + d].out;
    shape.dim[x.rank - 1] = channels;
    const cp_status status = cp_check_shape(shape, CP_F32, "output");
    if (!status) *y = shape;
    return status;
}

/* --- convolution --- */

/* Weights kernel,C/groups,filters for the window's input: sets its kernels. */
static cp_status check_weights(cp_window *window, int64_t groups, int64_t channels, cp_shape w) {
    const cp_status status = cp_check_shape(w, CP_F32, "weights");
    if (status) return status;
    if (w.rank < 3) return cp_fail(CP_E_SHAPE, "weights need at least 3 dimensions, have %d", w.rank);
    if (w.rank - 2 != window->axes)
        return cp_fail(CP_E_SHAPE, "weights have %d spatial dimension%s, the input has %d", w.rank - 2,
                       w.rank == 3 ? "" : "s", window->axes);
    for (int d = 0; d < w.rank; d++)
        if (w.dim[d] == 0) return cp_fail(CP_E_SHAPE, "weights dimension %d is 0: must be at least 1", d);
    for (int d = 0; d < window->axes; d++) window->axis[CP_MAX_AXES - window->axes + d].kernel = w.dim[d];

    const int64_t filters = w.dim[w.rank - 1];
    if (groups < 1) return cp_fail(CP_E_ARG, "groups = %lld: must be at least 1", (long long)groups);
    if (channels % groups)
        return cp_fail(CP_E_SHAPE, "groups = %lld does not divide %lld input channels", (long long)groups,
                       (long long)channels);
    if (filters % groups)
        return cp_fail(CP_E_SHAPE, "groups = %lld does not divide %lld filters", (long long)groups, (long long)filters);
    if (w.dim[w.rank - 2] != channels / groups)
        return cp_fail(CP_E_SHAPE, "weights take %lld input channel%s%s, the input has %lld",
                       (long long)w.dim[w.rank - 2], w.dim[w.rank - 2] == 1 ? "" : "s", groups > 1 ? " per group" : "",
                       (long long)(channels / groups));
    return CP_OK;
}

static attributes conv_attributes(const cp_conv *conv) {
    static const int64_t ones[CP_MAX_AXES] = {1, 1, 1};
    return (attributes){.stride = conv->stride,
                        .default_stride = ones,
                        .dilation = conv->dilation,
                        .before = conv->pad_before,
                        .after = conv->pad_after,
                        .pad = conv->pad};
}

static cp_status check_conv(const cp_conv *conv) {
    if ((unsigned)conv->activation >= CP_ACTIVATION_COUNT)
        return cp_fail(CP_E_ARG, "activation = %d: no such activation", (int)conv->activation);
    if (conv->offset_groups) return cp_fail(CP_E_ARG, "offset_groups belongs to deformable convolutions");
    return cp_check_reserved(conv->reserved, sizeof conv->reserved, "a descriptor");
}

/* Where there is padding that has values. */
static cp_status set_values(cp_window *w, cp_pad_values values) {
    cp_status status = CP_OK;
    for (int d = 0; d < w->axes && !status; d++) {
        const cp_axis *a = &w->axis[CP_MAX_AXES - w->axes + d];
        status = cp_check_pad_values(values, a->in, a->before, a->after, d);
        if (a->before || a->after) w->values = values;
    }
    return status;
}

cp_status cp_conv_window(cp_window *window, const cp_conv *conv, cp_shape x, cp_shape w) {
    static const cp_conv defaults;
    if (!conv) conv = &defaults;
    const attributes at = conv_attributes(conv);
    cp_status status = check_input(window, x);
    if (!status) status = check_conv(conv);
    if (!status && (!all_zero(conv->output_padding, CP_MAX_AXES) || !all_zero(conv->output_size, CP_MAX_AXES)))
        status = cp_fail(CP_E_ARG, "output_padding and output_size belong to transposed convolutions");
    if (!status) status = check_weights(window, cp_groups(conv), x.dim[x.rank - 1], w);
    if (!status) status = size_window(window, &at);
    return status ? status : set_values(window, conv->pad_values);
}

cp_status cp_conv_shape(cp_shape *y, const cp_conv *conv, cp_shape x, cp_shape w) {
    cp_window window;
    if (!y) return cp_fail(CP_E_ARG, "y is NULL");
    *y = (cp_shape){0};
    const cp_status status = cp_conv_window(&window, conv, x, w);
    return status ? status : output_shape(y, &window, x, w.dim[w.rank - 1]);
}

/* --- transposed convolution --- */

/* The size of the result along one axis whose out, kernel, stride, dilation and explicit padding are set; d counts the
 * user's axes. */
static cp_status size_transposed_axis(cp_axis *a, const cp_conv *conv, int d, const char *name) {
    int64_t extent, reach, room, padding;
    const int64_t more = conv->output_padding[d], size = conv->output_size[d];
    if (more && more >= max(a->stride, a->dilation))
        return cp_fail(CP_E_ARG, "output_padding[%d] = %lld: must be less than max(stride, dilation) = %lld", d,
                       (long long)more, (long long)max(a->stride, a->dilation));
    if (!cp_mul(a->kernel - 1, a->dilation, &extent) || !cp_sum(extent, 1, &extent) ||
        !cp_mul(a->out - 1, a->stride, &reach) || !cp_sum(reach, extent, &room) || !cp_sum(room, more, &room) ||
        !cp_sum(room, a->stride, &reach))
        return cp_fail(CP_E_SHAPE, "the output's %s overflows", name);
    if (!cp_sum(a->before, a->after, &padding)) return cp_fail(CP_E_SHAPE, "the padding of the %s overflows", name);
    const bool same = conv->pad == CP_PAD_SAME || conv->pad == CP_PAD_SAME_LOWER;
    if (conv->pad == CP_PAD_CAUSAL || conv->pad == CP_PAD_FULL) a->before = extent - 1;
    if (conv->pad == CP_PAD_FULL) a->after = extent - 1;
    if (same || size) { /* the padding follows; where it would be negative, the last rows are zero */
        a->in = size ? size : a->out * a->stride;
        const int64_t total = max(0, (same && !size ? room - more : room) - a->in);
        a->before = conv->pad == CP_PAD_SAME ? total / 2 : total - total / 2;
        a->after = total - a->before;
    } else {
        a->in = room - a->before - a->after;
    }
    if (a->in < 1) return cp_fail(CP_E_SHAPE, "output %s would be %lld", name, (long long)a->in);
    return CP_OK;
}

static cp_status size_transposed(cp_window *w, const cp_conv *conv) {
    const int axes = w->axes;
    const attributes at = conv_attributes(conv);
    cp_status status = check_padding(&at, axes);
    if (!status && !all_zero(conv->stride, CP_MAX_AXES)) status = check_values("stride", conv->stride, axes, 1);
    if (!status && !all_zero(conv->dilation, CP_MAX_AXES)) status = check_values("dilation", conv->dilation, axes, 1);
    if (!status) status = check_values("output_padding", conv->output_padding, axes, 0);
    if (!status && !all_zero(conv->output_size, CP_MAX_AXES))
        status = check_values("output_size", conv->output_size, axes, 1);
    int64_t taps = 1;
    for (int d = 0; d < axes && !status; d++) {
        cp_axis *a = &w->axis[CP_MAX_AXES - axes + d];
        a->stride = conv->stride[d] ? conv->stride[d] : 1;
        a->dilation = conv->dilation[d] ? conv->dilation[d] : 1;
        a->before = conv->pad_before[d];
        a->after = conv->pad_after[d];
        status = size_transposed_axis(a, conv, d, axis_name(axes, d));
        if (!status && !cp_mul(taps, a->kernel, &taps)) status = cp_fail(CP_E_SHAPE, "the number of taps overflows");
    }
    return status;
}

cp_status cp_conv_transpose_window(cp_window *window, const cp_conv *conv, cp_shape x, cp_shape w) {
    static const cp_conv defaults;
    if (!conv) conv = &defaults;
    cp_status status = check_input(window, x);
    if (!status) status = check_conv(conv);
    if (!status && conv->pad_values != CP_PAD_CONSTANT)
        status = cp_fail(CP_E_UNSUPPORTED, "pad values belong to convolutions: a transposed one has zeros");
    if (status) return status;
    for (int d = 0; d < window->axes; d++) {
        cp_axis *a = &window->axis[CP_MAX_AXES - window->axes + d];
        a->out = a->in;
    }
    if (w.rank >= 3 && w.dim[w.rank - 1] != x.dim[x.rank - 1])
        return cp_fail(CP_E_SHAPE, "weights take %lld input channels (their last dimension), the input has %lld",
                       (long long)w.dim[w.rank - 1], (long long)x.dim[x.rank - 1]);
    int64_t channels = 0; /* of the result: the weights say it */
    if (w.rank >= 3 && (cp_groups(conv) < 1 || !cp_mul(w.dim[w.rank - 2], cp_groups(conv), &channels)))
        return cp_fail(CP_E_ARG, "groups = %lld: must be at least 1", (long long)conv->groups);
    status = check_weights(window, cp_groups(conv), channels, w);
    return status ? status : size_transposed(window, conv);
}

cp_status cp_conv_transpose_shape(cp_shape *y, const cp_conv *conv, cp_shape x, cp_shape w) {
    cp_window window;
    if (!y) return cp_fail(CP_E_ARG, "y is NULL");
    *y = (cp_shape){0};
    const cp_status status = cp_conv_transpose_window(&window, conv, x, w);
    if (status) return status;
    cp_shape shape = {.rank = x.rank, .dim = {x.dim[0]}};
    for (int d = 0; d < window.axes; d++) shape.dim[1 + d] = window.axis[CP_MAX_AXES - window.axes + d].in;
    shape.dim[x.rank - 1] = w.dim[w.rank - 2] * (conv ? cp_groups(conv) : 1);
    const cp_status fits = cp_check_shape(shape, CP_F32, "output");
    if (!fits) *y = shape;
    return fits;
}

/* --- pooling --- */

/* One window over the whole input says everything: the kind is all that is left to choose. */
static cp_status size_global(cp_window *w, const cp_pool *pool) {
    const struct {
        const char *name;
        const int64_t *values;
    } absent[] = {{"kernel", pool->kernel},         {"stride", pool->stride},       {"dilation", pool->dilation},
                  {"pad_before", pool->pad_before}, {"pad_after", pool->pad_after}, {"output_size", pool->output_size}};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        if (!all_zero(absent[i].values, CP_MAX_AXES))
            return cp_fail(CP_E_ARG, "global pooling sees the whole input: %s must not be set", absent[i].name);
    if (pool->pad || pool->ceil_mode || pool->divisor)
        return cp_fail(CP_E_ARG, "global pooling sees the whole input: %s must not be set",
                       pool->pad         ? "pad"
                       : pool->ceil_mode ? "ceil_mode"
                                         : "divisor");
    for (int d = 0; d < CP_MAX_AXES; d++) w->axis[d].kernel = w->axis[d].stride = w->axis[d].in;
    return CP_OK;
}

/* A pooling window must not lie in the padding altogether; a maximum over nothing has no value. */
static cp_status check_pooled_axis(const cp_axis *a, cp_pooling kind, int d, const char *name) {
    enum { MOST = 1 << 24 };
    const int64_t extent = (a->kernel - 1) * a->dilation + 1;
    if (a->before >= extent || a->after >= extent)
        return cp_fail(CP_E_SHAPE, "%s[%d] = %lld: must be less than the window (%lld)",
                       a->before >= extent ? "pad_before" : "pad_after", d,
                       (long long)(a->before >= extent ? a->before : a->after), (long long)extent);
    /* Where the distance of the taps is at most the input, one of them hits it. A window that begins inside does, too.
     */
    if ((kind != CP_MAX && kind != CP_STOCHASTIC) || a->dilation <= a->in) return CP_OK;
    const int64_t begin_outside = min(a->out, ceil_div(a->before, a->stride));
    if (begin_outside > MOST)
        return cp_fail(CP_E_LIMIT, "%lld windows begin in the padding along the %s: at most %d are provided",
                       (long long)begin_outside, name, (int)MOST);
    for (int64_t o = 0; o < begin_outside; o++) {
        int64_t first, last;
        cp_axis_taps(a, o, &first, &last);
        if (first == last)
            return cp_fail(CP_E_SHAPE, "window %lld along the %s has no tap inside the input: a maximum of nothing",
                           (long long)o, name);
    }
    return CP_OK;
}

/* What every pooling may say, and what only some kinds. */
static cp_status check_kind(const cp_pool *pool) {
    if ((unsigned)pool->kind > CP_STOCHASTIC) return cp_fail(CP_E_ARG, "kind = %d: no such pooling", (int)pool->kind);
    if ((unsigned)pool->divisor > CP_DIVISOR_NUMBER)
        return cp_fail(CP_E_ARG, "divisor = %d: no such divisor", (int)pool->divisor);
    if (pool->divisor == CP_DIVISOR_NUMBER && pool->divide_by < 1)
        return cp_fail(CP_E_ARG, "divide_by = %lld: must be at least 1", (long long)pool->divide_by);
    if (pool->divisor != CP_DIVISOR_NUMBER && pool->divide_by)
        return cp_fail(CP_E_ARG, "divide_by = %lld: only of the divisor CP_DIVISOR_NUMBER", (long long)pool->divide_by);
    if (pool->divisor && pool->kind != CP_AVERAGE) return cp_fail(CP_E_ARG, "divisor: only an average is divided");
    if (pool->exponent != 0 && pool->kind != CP_LP) return cp_fail(CP_E_ARG, "exponent: only Lp pooling has one");
    if (pool->exponent != 0 && !(pool->exponent >= 1 && pool->exponent <= 1000)) {
        char text[32];
        return cp_fail(CP_E_ARG, "exponent = %s: must be 1 to 1000", cp_real_text((double)pool->exponent, 9, text));
    }
    return cp_check_reserved(pool->reserved, sizeof pool->reserved, "a descriptor");
}

bool cp_pool_has_spans(const cp_pool *pool) {
    return pool->fractional != CP_NOT_FRACTIONAL || !all_zero(pool->output_size, CP_MAX_AXES);
}

cp_status cp_pool_window(cp_window *window, const cp_pool *pool, cp_shape x) {
    static const cp_pool defaults;
    if (!pool) pool = &defaults;
    const attributes at = {.stride = pool->stride,
                           .default_stride = pool->kernel,
                           .dilation = pool->dilation,
                           .before = pool->pad_before,
                           .after = pool->pad_after,
                           .pad = pool->pad,
                           .ceil_mode = pool->ceil_mode};

    cp_status status = check_input(window, x);
    if (!status) status = check_kind(pool);
    if (!status && (cp_pool_has_spans(pool) || pool->overlapping))
        status = cp_fail(CP_E_ARG, "output_size, fractional and overlapping belong to windows of varying size");
    if (status) return status;
    if (pool->global) return size_global(window, pool);

    const int axes = window->axes, front = CP_MAX_AXES - axes;
    status = check_values("kernel", pool->kernel, axes, 1);
    for (int d = 0; d < axes; d++) window->axis[front + d].kernel = pool->kernel[d];
    if (!status) status = size_window(window, &at);
    for (int d = 0; d < axes && !status; d++)
        status = check_pooled_axis(&window->axis[front + d], pool->kind, d, axis_name(axes, d));
    return status;
}

/* One axis of windows that follow from the output's size; fractional ones need a window's worth of input for each. */
static cp_status check_span_axis(const cp_spans *s, const cp_span_axis *a, int d) {
    int64_t product, needed;
    if (!cp_sum(a->out, 1, &product) || !cp_mul(a->in + 1, product, &product))
        return cp_fail(CP_E_LIMIT, "%lld windows of %lld positions are more than can be counted", (long long)a->out,
                       (long long)a->in);
    if (s->fractional && a->out > a->in)
        return cp_fail(CP_E_SHAPE, "output size %lld: must be 1..%lld", (long long)a->out, (long long)a->in);
    if (!cp_sum(a->kernel, a->out - 1, &needed)) needed = INT64_MAX;
    if (s->fractional == CP_FRACTIONAL_PYTORCH && needed > a->in)
        return cp_fail(CP_E_SHAPE,
                       "kernel[%d] = %lld and an output of %lld need an input of at least %lld, it has %lld", d,
                       (long long)a->kernel, (long long)a->out, (long long)needed, (long long)a->in);
    return CP_OK;
}

cp_status cp_pool_spans(cp_spans *spans, const cp_pool *pool, cp_shape x) {
    const int64_t *const absent[] = {pool->stride, pool->dilation, pool->pad_before, pool->pad_after};
    const bool kernel = pool->fractional == CP_FRACTIONAL_PYTORCH;
    cp_window input;
    cp_status status = check_input(&input, x);
    if (!status) status = check_kind(pool);
    if (status) return status;
    if ((unsigned)pool->fractional > CP_FRACTIONAL_TENSORFLOW)
        return cp_fail(CP_E_ARG, "fractional = %d: no such form", (int)pool->fractional);
    if (pool->kind != CP_MAX && (pool->fractional || pool->kind != CP_AVERAGE))
        return cp_fail(CP_E_ARG, "%s pooling of kind %d is not provided", pool->fractional ? "fractional" : "adaptive",
                       (int)pool->kind);
    for (int i = 0; i < 4; i++)
        if (!all_zero(absent[i], CP_MAX_AXES) || pool->pad || pool->pad_values || pool->ceil_mode || pool->global ||
            pool->divisor)
            return cp_fail(CP_E_ARG,
                           "windows that follow from output_size take no stride, dilation, padding, ceil_mode, "
                           "global or divisor");
    if (!kernel && !all_zero(pool->kernel, CP_MAX_AXES))
        return cp_fail(CP_E_ARG, "kernel: only fractional pooling in PyTorch's form has one beside output_size");
    if (pool->overlapping && pool->fractional != CP_FRACTIONAL_TENSORFLOW)
        return cp_fail(CP_E_ARG, "overlapping: only fractional pooling in TensorFlow's form knows it");
    if (kernel) status = check_values("kernel", pool->kernel, input.axes, 1);
    if (!status) status = check_values("output_size", pool->output_size, input.axes, 1);
    *spans = (cp_spans){.axes = input.axes, .fractional = pool->fractional, .overlapping = pool->overlapping};
    int64_t outputs = 1;
    for (int d = 0; d < CP_MAX_AXES; d++) spans->axis[d] = (cp_span_axis){1, 1, 1};
    for (int d = 0; d < input.axes && !status; d++) {
        cp_span_axis *a = &spans->axis[CP_MAX_AXES - input.axes + d];
        *a = (cp_span_axis){x.dim[1 + d], pool->output_size[d], kernel ? pool->kernel[d] : 1};
        status = check_span_axis(spans, a, d);
        if (!status && !cp_mul(outputs, a->out, &outputs))
            status = cp_fail(CP_E_SHAPE, "the number of output positions overflows");
    }
    return status;
}

cp_status cp_pool_shape(cp_shape *y, const cp_pool *pool, cp_shape x) {
    cp_window window;
    if (!y) return cp_fail(CP_E_ARG, "y is NULL");
    *y = (cp_shape){0};
    if (pool && cp_pool_has_spans(pool)) {
        cp_spans spans;
        const cp_status status = cp_pool_spans(&spans, pool, x);
        for (int d = 0; d < CP_MAX_AXES && !status; d++) window.axis[d].out = spans.axis[d].out;
        window.axes = spans.axes;
        return status ? status : output_shape(y, &window, x, x.dim[x.rank - 1]);
    }
    const cp_status status = cp_pool_window(&window, pool, x);
    return status ? status : output_shape(y, &window, x, x.dim[x.rank - 1]);
}
