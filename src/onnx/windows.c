/* Convolutions and poolings: whatever slides a window. They want channels last. */
#include <inttypes.h>
#include <string.h>

#include "onnx/operators.h"

/* What a window is in ONNX; axes: how many, all spatial ones of the input. */
typedef struct window {
    int axes;
    int64_t kernel[CP_MAX_AXES], stride[CP_MAX_AXES], dilation[CP_MAX_AXES];
    int64_t before[CP_MAX_AXES], after[CP_MAX_AXES];
    cp_pad pad;
    bool has_kernel;
} window;

/* A list with a value of at least `least` for each axis; false where it is not given, or wrong. */
static bool read_axes(cp_onnx_loader *l, const char *name, int n, int64_t least, int64_t *values) {
    int count;
    if (!cp_onnx_ints(l, name, values, n, &count)) return false;
    if (count != n) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "%s needs %d values, has %d", name, n, count));
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (values[i] >= least) continue;
        cp_onnx_fail(l, cp_fail(CP_E_ARG,
                                least > 0 ? "%s[%d] = %" PRId64 ": must be at least 1"
                                          : "%s[%d] = %" PRId64 ": must not be negative",
                                name, i, values[i]));
        return false;
    }
    return true;
}

static void read_pads(cp_onnx_loader *l, window *w) {
    static const char *const words[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};
    static const cp_pad pads[] = {CP_PAD_EXPLICIT, CP_PAD_SAME, CP_PAD_SAME_LOWER, CP_PAD_VALID};
    const int word = cp_onnx_word_or(l, "auto_pad", words, 0);
    int64_t both[2 * CP_MAX_AXES] = {0};
    bool any = false;
    if (word < 0) return;
    w->pad = pads[word];
    if (!read_axes(l, "pads", 2 * w->axes, 0, both)) return;
    for (int i = 0; i < 2 * w->axes; i++) any |= both[i] != 0;
    if (any && word) cp_onnx_fail(l, cp_fail(CP_E_ARG, "auto_pad and pads together"));
    for (int i = 0; i < w->axes; i++) {
        w->before[i] = both[i];
        w->after[i] = both[w->axes + i];
    }
}

/* x: the input, N,C and spatial axes. */
static bool read_window(cp_onnx_loader *l, const cp_onnx_value *x, window *w) {
    *w = (window){.axes = x->shape.rank - 2};
    if (w->axes < 1) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "input needs at least 3 dimensions, has %d", x->shape.rank));
        return false;
    }
    if (w->axes > CP_MAX_AXES) {
        cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "input has %d spatial dimensions, at most %d are supported", w->axes,
                                CP_MAX_AXES));
        return false;
    }
    for (int i = 0; i < w->axes; i++) w->stride[i] = w->dilation[i] = 1;
    w->has_kernel = read_axes(l, "kernel_shape", w->axes, 1, w->kernel);
    read_axes(l, "strides", w->axes, 1, w->stride);
    read_axes(l, "dilations", w->axes, 1, w->dilation);
    read_pads(l, w);
    return !cp_onnx_failed(l);
}

/* --- convolutions --- */

static bool check_real(cp_onnx_loader *l, int i, const char *what) {
    cp_type type;
    const cp_onnx_value *value = cp_onnx_in(l, i);
    if (!value || (!cp_onnx_compute_type(value->type, &type) && type == CP_F32)) return true;
    cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "%s type %s not supported", what, cp_onnx_type_name(value->type)));
    return false;
}

bool cp_onnx_read_conv(cp_onnx_loader *l, int weight, bool transposed, cp_conv *conv) {
    const cp_onnx_value *x = cp_onnx_in(l, 0), *w = cp_onnx_in(l, weight);
    window win;
    if (!read_window(l, x, &win)) return false;
    if (w->shape.rank != x->shape.rank) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "weight has %d spatial dimensions, input %d", w->shape.rank - 2, win.axes));
        return false;
    }
    for (int i = 0; i < w->shape.rank; i++)
        if (!w->shape.dim[i]) cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "weight dimension %d is 0", i));
    for (int i = 0; i < win.axes && win.has_kernel; i++)
        if (win.kernel[i] != w->shape.dim[2 + i])
            cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "kernel_shape[%d] = %" PRId64 ", the weight has %" PRId64, i,
                                    win.kernel[i], w->shape.dim[2 + i]));
    const int64_t group = cp_onnx_int_or(l, "group", 1), channels = x->shape.dim[1];
    const int64_t filters = transposed ? w->shape.dim[1] : w->shape.dim[0];
    if (group < 1)
        cp_onnx_fail(l, cp_fail(CP_E_ARG, "group = %" PRId64 ": must be at least 1", group));
    else if (channels % group)
        cp_onnx_fail(
            l, cp_fail(CP_E_SHAPE, "group = %" PRId64 " does not divide %" PRId64 " input channels", group, channels));
    else if (!transposed && filters % group)
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "group = %" PRId64 " does not divide %" PRId64 " filters", group, filters));
    else if (w->shape.dim[transposed ? 0 : 1] != (transposed ? channels : channels / group))
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "weight has %" PRId64 " input channels, needs %" PRId64,
                                w->shape.dim[transposed ? 0 : 1], transposed ? channels : channels / group));
    *conv = (cp_conv){.pad = win.pad, .groups = group};
    memcpy(conv->kernel, w->shape.dim + 2, (size_t)win.axes * sizeof *conv->kernel);
    memcpy(conv->stride, win.stride, sizeof win.stride);
    memcpy(conv->dilation, win.dilation, sizeof win.dilation);
    memcpy(conv->pad_before, win.before, sizeof win.before);
    memcpy(conv->pad_after, win.after, sizeof win.after);
    return !cp_onnx_failed(l);
}

cp_order cp_onnx_order_of_weights(int rank) {
    cp_order order = cp_order_plain();
    for (int i = 0; i < rank - 2; i++) order.axis[i] = (int8_t)(i + 2);
    order.axis[rank - 2] = 1;
    order.axis[rank - 1] = 0;
    return order;
}

static bool check_reals(cp_onnx_loader *l) {
    return check_real(l, 0, "input") && check_real(l, 1, "weight") && check_real(l, 2, "bias");
}

void cp_onnx_conv(cp_onnx_loader *l) {
    cp_conv conv;
    if (!check_reals(l) || !cp_onnx_read_conv(l, 1, false, &conv)) return;
    const int rank = cp_onnx_in(l, 0)->shape.rank;
    const cp_node x = cp_onnx_want_last(l, 0), w = cp_onnx_want_in(l, 1, cp_onnx_order_of_weights(rank));
    const cp_node b = cp_onnx_want_in(l, 2, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_conv_with(l->net, x, w, b, &conv), cp_order_channels_last(rank));
}

/* Both weights, ONNX's C,M/group,kernel and ours kernel,C/groups,K, mean the same with the axes turned round. */
void cp_onnx_conv_transpose(cp_onnx_loader *l) {
    cp_conv conv;
    if (!check_reals(l) || !cp_onnx_read_conv(l, 1, true, &conv)) return;
    const int rank = cp_onnx_in(l, 0)->shape.rank;
    read_axes(l, "output_padding", rank - 2, 0, conv.output_padding);
    if (read_axes(l, "output_shape", rank - 2, 1, conv.output_size)) /* padding follows from it */
        for (int i = 0; i < rank - 2; i++) conv.pad_before[i] = conv.pad_after[i] = 0;
    const cp_node x = cp_onnx_want_last(l, 0), w = cp_onnx_want_in(l, 1, cp_onnx_order_of_weights(rank));
    const cp_node b = cp_onnx_want_in(l, 2, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_conv_transpose_with(l->net, x, w, b, &conv), cp_order_channels_last(rank));
}

/* --- poolings --- */

static bool read_pool(cp_onnx_loader *l, cp_pooling kind, cp_pool *pool) {
    const cp_onnx_value *x = cp_onnx_in(l, 0);
    window w;
    if (!read_window(l, x, &w)) return false;
    if (!w.has_kernel) cp_onnx_fail(l, cp_fail(CP_E_ARG, "kernel_shape is missing"));
    *pool = (cp_pool){.kind = kind, .pad = w.pad, .ceil_mode = cp_onnx_int_or(l, "ceil_mode", 0) != 0};
    if (w.pad == CP_PAD_VALID && pool->ceil_mode)
        pool->pad = CP_PAD_EXPLICIT; /* of nothing; as shape inference has it */
    if (w.pad == CP_PAD_SAME || w.pad == CP_PAD_SAME_LOWER) pool->ceil_mode = false; /* it is rounded up already */
    for (int i = 0; i < w.axes && !cp_onnx_failed(l); i++) {
        int64_t extent;
        const bool counts = cp_mul(w.kernel[i] - 1, w.dilation[i], &extent) && cp_sum(extent, 1, &extent);
        const int64_t pad = w.before[i] > w.after[i] ? w.before[i] : w.after[i];
        if (counts && pad >= extent)
            cp_onnx_fail(l, cp_fail(CP_E_ARG, "pads[%d] = %" PRId64 ": must be less than the window (%" PRId64 ")",
                                    pad == w.before[i] ? i : w.axes + i, pad, extent));
    }
    memcpy(pool->kernel, w.kernel, sizeof w.kernel);
    memcpy(pool->stride, w.stride, sizeof w.stride);
    memcpy(pool->dilation, w.dilation, sizeof w.dilation);
    memcpy(pool->pad_before, w.before, sizeof w.before);
    memcpy(pool->pad_after, w.after, sizeof w.after);
    return !cp_onnx_failed(l);
}

static cp_node add_pool(cp_onnx_loader *l, const cp_pool *pool) {
    const cp_node y = cp_net_pool(l->net, cp_onnx_want_last(l, 0), pool);
    cp_onnx_set(l, 0, y, cp_order_channels_last(cp_onnx_in(l, 0)->shape.rank));
    return y;
}

void cp_onnx_average_pool(cp_onnx_loader *l) {
    cp_pool pool;
    if (!read_pool(l, CP_AVERAGE, &pool)) return;
    if (cp_onnx_int_or(l, "count_include_pad", 0)) pool.divisor = CP_DIVISOR_PADDED;
    add_pool(l, &pool);
}

void cp_onnx_lp_pool(cp_onnx_loader *l) {
    cp_pool pool;
    if (!read_pool(l, CP_LP, &pool)) return;
    pool.exponent = (float)cp_onnx_int_or(l, "p", 2);
    add_pool(l, &pool);
}

static void global_pool(cp_onnx_loader *l, cp_pooling kind) {
    window w;
    if (!read_window(l, cp_onnx_in(l, 0), &w)) return;
    add_pool(
        l, &(cp_pool){.kind = kind, .global = true, .exponent = kind == CP_LP ? (float)cp_onnx_int_or(l, "p", 2) : 0});
}
void cp_onnx_global_average_pool(cp_onnx_loader *l) {
    global_pool(l, CP_AVERAGE);
}
void cp_onnx_global_max_pool(cp_onnx_loader *l) {
    global_pool(l, CP_MAX);
}
void cp_onnx_global_lp_pool(cp_onnx_loader *l) {
    global_pool(l, CP_LP);
}

/* Where plane c of image n begins among all numbers of [N,C,planes], as [N,1,..,C]; with as many axes as x. */
static cp_node plane_begins(cp_onnx_loader *l, cp_shape x, int64_t plane) {
    const int64_t batch = x.dim[0], channels = x.dim[1];
    cp_shape shape = {.rank = x.rank};
    for (int i = 0; i < x.rank; i++) shape.dim[i] = i == 0 ? batch : i == x.rank - 1 ? channels : 1;
    if (l->any_batch && !batch)
        return cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "the batch must be known here: give --shape with the input's name"));
    int64_t *begins = cp_onnx_memory(l, batch * channels * (int64_t)sizeof *begins);
    if (!begins) return 0;
    for (int64_t i = 0; i < batch * channels; i++) begins[i] = i * plane;
    const cp_tensor view = cp_view(begins, CP_I64, shape);
    const cp_node node = cp_net_constant(l->net, "planes", &view);
    cp_free(NULL, begins);
    return node;
}

static int64_t plane_of(cp_shape channels_first) {
    int64_t plane = 1;
    for (int i = 2; i < channels_first.rank; i++) plane *= channels_first.dim[i];
    return plane;
}

static cp_node scalar(cp_onnx_loader *l, int64_t number) {
    const cp_tensor view = cp_view(&number, CP_I64, (cp_shape){0});
    return cp_net_constant(l->net, "number", &view);
}

/* ONNX counts positions through the whole tensor N,C,D1,..; ours are those within a plane. With storage_order 1 they
 * are counted down the columns of the plane. */
static void set_indices(cp_onnx_loader *l, cp_node y) {
    cp_net *net = l->net;
    const cp_shape x = cp_onnx_in(l, 0)->shape;
    cp_node at = cp_net_cast(net, cp_net_pool_positions(net, y), CP_I64);
    if (cp_onnx_int_or(l, "storage_order", 0) && x.rank > 3) {
        if (x.rank > 4) cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "storage_order = 1 with 3 spatial axes"));
        const cp_node row = cp_net_div(net, at, scalar(l, x.dim[3]));
        const cp_node column = cp_net_sub(net, at, cp_net_mul(net, row, scalar(l, x.dim[3])));
        at = cp_net_add(net, cp_net_mul(net, column, scalar(l, x.dim[2])), row);
    }
    at = cp_net_add(net, at, plane_begins(l, x, plane_of(x)));
    cp_onnx_set(l, 1, at, cp_order_channels_last(x.rank));
}

void cp_onnx_max_pool(cp_onnx_loader *l) {
    cp_pool pool;
    if (!read_pool(l, CP_MAX, &pool)) return;
    const cp_node y = add_pool(l, &pool);
    if (cp_onnx_out(l, 1) && y) set_indices(l, y);
}

/* Positions are those in the result as it follows from the window; what output_shape adds lies behind it. */
void cp_onnx_max_unpool(cp_onnx_loader *l) {
    cp_net *net = l->net;
    cp_pool pool;
    int64_t asked[CP_MAX_RANK];
    int n = 0;
    if (!read_pool(l, CP_MAX, &pool)) return;
    const cp_shape x = cp_onnx_in(l, 0)->shape;
    const cp_order last = cp_order_channels_last(x.rank);
    int64_t plane = 1, size[CP_MAX_AXES];
    for (int d = 0; d < x.rank - 2; d++) {
        const int64_t extent = (pool.kernel[d] - 1) * pool.dilation[d] + 1;
        size[d] = (x.dim[2 + d] - 1) * pool.stride[d] + extent - pool.pad_before[d] - pool.pad_after[d];
        if (size[d] < 1 || !cp_mul(plane, size[d], &plane)) {
            cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "output dimension %d would be %" PRId64, 2 + d, size[d]));
            return;
        }
    }
    cp_node at = cp_net_sub(net, cp_onnx_want_last(l, 1), plane_begins(l, x, plane));
    cp_node y = cp_net_max_unpool(net, cp_onnx_want_last(l, 0), cp_net_cast(net, at, CP_I32), &pool);
    if (cp_onnx_in(l, 2) && cp_onnx_numbers(l, 2, "output_shape", asked, CP_MAX_RANK, &n)) {
        int64_t before[CP_MAX_RANK] = {0}, after[CP_MAX_RANK] = {0};
        if (n != x.rank) cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "output_shape needs %d values, has %d", x.rank, n));
        for (int d = 0; d < x.rank - 2 && n == x.rank; d++) after[1 + d] = asked[2 + d] - size[d];
        y = cp_net_pad_axes(net, y, before, after, CP_PAD_CONSTANT, 0);
    }
    cp_onnx_set(l, 0, y, last);
}

/* --- columns --- */

/* x [N,C*taps,positions] to ours, [N,positions,taps*C]. */
void cp_onnx_col2im(cp_onnx_loader *l) {
    const cp_shape x = cp_onnx_in(l, 0)->shape;
    cp_conv conv = {0};
    int64_t size[CP_MAX_AXES], pads[2 * CP_MAX_AXES] = {0}, taps = 1;
    int n, n_kernel;
    if (!cp_onnx_numbers(l, 1, "image_shape", size, CP_MAX_AXES, &n) ||
        !cp_onnx_numbers(l, 2, "block_shape", conv.kernel, CP_MAX_AXES, &n_kernel))
        return;
    if (x.rank != 3 || n != n_kernel || n < 1) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "needs 3 dimensions, and an image and a block of as many axes"));
        return;
    }
    for (int d = 0; d < n; d++) {
        conv.stride[d] = conv.dilation[d] = 1;
        if (conv.kernel[d] < 1 || size[d] < 1 || !cp_mul(taps, conv.kernel[d], &taps)) {
            cp_onnx_fail(l, cp_fail(CP_E_ARG, "image_shape and block_shape must be at least 1"));
            return;
        }
    }
    read_axes(l, "strides", n, 1, conv.stride);
    read_axes(l, "dilations", n, 1, conv.dilation);
    read_axes(l, "pads", 2 * n, 0, pads);
    if (cp_onnx_failed(l)) return;
    for (int d = 0; d < n; d++) {
        conv.pad_before[d] = pads[d];
        conv.pad_after[d] = pads[n + d];
    }
    if (x.dim[1] % taps) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "%" PRId64 " rows are no multiple of %" PRId64 " taps", x.dim[1], taps));
        return;
    }
    const int64_t apart[] = {x.dim[0], x.dim[1] / taps, taps, x.dim[2]}, columns[] = {x.dim[0], x.dim[2], x.dim[1]};
    cp_node y = cp_net_reshape(l->net, cp_onnx_want_in(l, 0, cp_order_plain()), cp_shape_of(4, apart));
    y = cp_net_reshape(l->net, cp_net_transpose(l->net, y, (int[]){0, 3, 2, 1}), cp_shape_of(3, columns));
    cp_onnx_set(l, 0, cp_net_col2im(l->net, y, &conv, size), cp_order_channels_last(n + 2));
}

/* --- deformable convolution and regions --- */

void cp_onnx_deform_conv(cp_onnx_loader *l) {
    cp_conv conv;
    if (!check_reals(l) || !cp_onnx_read_conv(l, 1, false, &conv)) return;
    conv.offset_groups = cp_onnx_int_or(l, "offset_group", 1);
    if (conv.offset_groups < 1)
        cp_onnx_fail(l, cp_fail(CP_E_ARG, "offset_group = %" PRId64 ": must be at least 1", conv.offset_groups));
    const int rank = cp_onnx_in(l, 0)->shape.rank;
    const cp_node x = cp_onnx_want_last(l, 0), w = cp_onnx_want_in(l, 1, cp_onnx_order_of_weights(rank));
    const cp_node offset = cp_onnx_want_last(l, 2), b = cp_onnx_want_in(l, 3, cp_order_plain());
    const cp_node mask = cp_onnx_want_last(l, 4);
    cp_onnx_set(l, 0, cp_net_deform_conv_with(l->net, x, w, offset, mask, b, &conv), cp_order_channels_last(rank));
}

static bool check_regions(cp_onnx_loader *l, int columns) {
    const cp_onnx_value *x = cp_onnx_in(l, 0), *rois = cp_onnx_in(l, 1);
    if (x->shape.rank == 4 && rois->shape.rank == 2 && rois->shape.dim[1] == columns) return true;
    cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "needs an input with 4 dimensions and rois of %d numbers each", columns));
    return false;
}

void cp_onnx_max_roi_pool(cp_onnx_loader *l) {
    cp_roi roi = {.spatial_scale = cp_onnx_float_or(l, "spatial_scale", 1)};
    if (!check_regions(l, 5)) return;
    if (!read_axes(l, "pooled_shape", 2, 1, roi.output_size)) {
        if (!cp_onnx_failed(l)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "pooled_shape is missing"));
        return;
    }
    const cp_node rois = cp_onnx_want_in(l, 1, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_max_roi_pool(l->net, cp_onnx_want_last(l, 0), rois, &roi), cp_order_channels_last(4));
}

/* Which image a region is of stands apart, as an integer. */
void cp_onnx_roi_align(cp_onnx_loader *l) {
    static const char *const modes[] = {"avg", "max", NULL}, *const places[] = {"half_pixel", "output_half_pixel",
                                                                                NULL};
    cp_roi roi = {.spatial_scale = cp_onnx_float_or(l, "spatial_scale", 1)};
    const int old = l->opset < 16;
    if (!check_regions(l, 4)) return;
    const cp_shape images = cp_onnx_in(l, 2)->shape;
    const int64_t count = cp_onnx_in(l, 1)->shape.dim[0];
    roi.output_size[0] = cp_onnx_int_or(l, "output_height", 1);
    roi.output_size[1] = cp_onnx_int_or(l, "output_width", 1);
    roi.sampling = cp_onnx_int_or(l, "sampling_ratio", 0);
    roi.max = roi.max_of_corners = cp_onnx_word_or(l, "mode", modes, 0) == 1;
    roi.output_half_pixel = cp_onnx_word_or(l, "coordinate_transformation_mode", places, old) == 1;
    if (images.rank != 1 || images.dim[0] != count) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "batch_indices needs %" PRId64 " values", count));
        return;
    }
    cp_node image = cp_net_cast(l->net, cp_onnx_want_in(l, 2, cp_order_plain()), CP_F32);
    image = cp_net_reshape(l->net, image, cp_shape_of(2, (int64_t[]){count, 1}));
    const cp_node parts[] = {image, cp_onnx_want_in(l, 1, cp_order_plain())};
    const cp_node rois = cp_net_concat(l->net, parts, 2, 1);
    cp_onnx_set(l, 0, cp_net_roi_align(l->net, cp_onnx_want_last(l, 0), rois, &roi), cp_order_channels_last(4));
}
