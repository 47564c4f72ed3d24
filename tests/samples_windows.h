/* Random problems of what works on images: convolution and its relatives, pooling, regions, padding and resizing. */
#ifndef TEST_SAMPLES_WINDOWS_H
#define TEST_SAMPLES_WINDOWS_H

#include "samples.h"

/* Spatial axes, their sizes and a kernel. */
typedef struct geometry {
    int axes;
    int64_t size[CP_MAX_AXES], kernel[CP_MAX_AXES], stride[CP_MAX_AXES], dilation[CP_MAX_AXES];
    int64_t before[CP_MAX_AXES], after[CP_MAX_AXES];
    cp_pad pad;
} geometry;

static inline geometry draw_geometry(void) {
    geometry g = {.axes = one_in(4) ? 1 : one_in(4) ? 3 : 2};
    const int64_t most_size[] = {60, 18, 6}, most_kernel[] = {7, 7, 3};
    const bool strided = one_in(3), dilated = one_in(4), square = !one_in(3);
    g.pad = one_in(2) ? CP_PAD_EXPLICIT : (cp_pad)draw(CP_PAD_VALID, CP_PAD_FULL);
    for (int d = 0; d < g.axes; d++) {
        g.size[d] = draw(1, most_size[g.axes - 1]);
        g.kernel[d] = square && d > 0 ? g.kernel[0] : draw(1, most_kernel[g.axes - 1]);
        g.stride[d] = strided ? draw(1, 4) : 1;
        g.dilation[d] = dilated ? draw(1, 3) : 1;
        if (g.pad != CP_PAD_EXPLICIT) continue;
        g.before[d] = one_in(2) ? draw(0, g.kernel[d] + 1) : g.kernel[d] / 2;
        g.after[d] = one_in(2) ? draw(0, g.kernel[d] + 1) : g.kernel[d] / 2;
    }
    return g;
}

static inline cp_shape shape_of(const geometry *g, const int64_t *space, int64_t before, int64_t last) {
    cp_shape shape = {.rank = g->axes + 2};
    for (int d = 0; d < g->axes; d++) shape.dim[d + (before >= 0)] = space[d];
    if (before >= 0) shape.dim[0] = before;
    shape.dim[g->axes + 1] = last;
    return shape;
}

/* N, space, C */
static inline cp_shape image_shape(const geometry *g, int64_t channels) {
    return shape_of(g, g->size, draw_batch(), channels);
}

/* One that Winograd's transforms can take: 3x3, 5x5, 3x1, 1x3 or 3 taps, stride and dilation 1. */
static inline geometry draw_filter(void) {
    geometry g = draw_geometry();
    g.axes = one_in(5) ? 1 : 2;
    const int along = one_in(4) ? (int)draw(0, g.axes - 1) : -1;
    const int64_t taps = along < 0 && g.axes == 2 && one_in(2) ? 5 : 3;
    for (int d = 0; d < g.axes; d++) {
        g.size[d] = draw(1, 18);
        g.kernel[d] = along < 0 || along == d ? taps : 1;
        g.stride[d] = g.dilation[d] = 1;
        g.before[d] = g.kernel[d] == 1 ? 0 : one_in(2) ? draw(0, taps + 1) : taps / 2;
        g.after[d] = g.kernel[d] == 1 ? 0 : one_in(2) ? draw(0, taps + 1) : taps / 2;
    }
    return g;
}

static inline void draw_conv(sample *s) {
    const bool filter = one_in(2);
    geometry g = filter ? draw_filter() : draw_geometry();
    int64_t channels = draw_channels(), filters = draw_channels(), groups = 1;
    if (filter && one_in(4)) { /* few filters, or few channels */
        channels = 16 * draw(1, 4), filters = draw(1, 4);
        if (one_in(2)) channels = filters, filters = 16 * draw(1, 4);
    } else if (filter) {    /* one group */
    } else if (one_in(3)) { /* groups of few channels */
        for (int d = 0; d < g.axes && g.axes == 2 && g.kernel[0] > 1; d++)
            g.kernel[d] = 3, g.stride[d] = g.dilation[d] = 1; /* which has a kernel of its own */
        channels = filters = 16 * draw(1, 5);
        groups = channels >> draw(0, 4);
        if (one_in(3)) channels /= 2; /* fewer channels than filters, as a multiplier makes */
        if (one_in(3)) groups = channels;
        while (channels % groups || filters % groups) groups /= 2;
    } else if (one_in(4)) {
        groups = draw(2, 4);
        channels = groups * draw(1, 17);
        filters = groups * draw(1, 17);
    } else if (one_in(3)) {
        groups = channels;
        filters = one_in(4) ? 2 * channels : channels;
    }
    cp_conv *conv = &s->attributes.conv;
    *conv = (cp_conv){.pad = g.pad, .groups = groups, .activation = one_in(2) ? CP_RELU : CP_LINEAR};
    memcpy(conv->kernel, g.kernel, sizeof conv->kernel);
    memcpy(conv->stride, g.stride, sizeof conv->stride);
    memcpy(conv->dilation, g.dilation, sizeof conv->dilation);
    memcpy(conv->pad_before, g.before, sizeof conv->pad_before);
    memcpy(conv->pad_after, g.after, sizeof conv->pad_after);

    if (s->op == &cp_op_conv && one_in(4)) conv->pad_values = (cp_pad_values)draw(CP_PAD_REFLECT, CP_PAD_CIRCULAR);

    cp_shape w = shape_of(&g, g.kernel, -1, filters);
    w.dim[g.axes] = channels / groups;
    s->inputs = 3;
    s->in[0] = image_shape(&g, channels);
    s->in[1] = w;
    s->in[2] = one_in(2) ? (cp_shape){.rank = -1} : cp_shape_of(1, &filters);
    s->chain = cp_shape_count(w) / filters + 1;
}

/* The same sizes read the other way: what were the filters is the input. */
static inline void draw_conv_transpose(sample *s) {
    draw_conv(s);
    cp_shape *x = &s->in[0], *w = &s->in[1];
    const int axes = x->rank - 2;
    const int64_t channels = x->dim[axes + 1];
    for (int d = 0; d < axes; d++) {
        if (one_in(2)) x->dim[1 + d] = x->dim[1 + d] % 7 + 1;
        if (one_in(3)) s->attributes.conv.output_padding[d] = draw(0, s->attributes.conv.stride[d] - 1);
        if (one_in(6)) s->attributes.conv.output_size[d] = draw(1, 20);
    }
    x->dim[axes + 1] = w->dim[axes + 1];
    if (s->in[2].rank >= 0) s->in[2] = cp_shape_of(1, &channels);
    s->chain = cp_shape_count(*w) / w->dim[axes] + 1;
}

static inline bool is_transposed(const cp_op *op) {
    return strncmp(op->name, "conv-transpose", 14) == 0;
}

/* Of a forward layer with weights: its gradient by the input, or by the weights. */
static inline bool turn_around(sample *s, bool by_input) {
    const cp_op *const gradient = s->op;
    cp_problem forward;
    s->op = is_transposed(gradient)                    ? &cp_op_conv_transpose
            : strncmp(gradient->name, "dense", 5) == 0 ? &cp_op_dense
                                                       : &cp_op_conv;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = gradient;
    if (!possible) return false;
    const cp_shape x = s->in[0];
    for (int d = 0; d < x.rank - 2; d++) s->attributes.size[d] = x.dim[1 + d];
    s->attributes.conv.activation = s->attributes.activation = CP_LINEAR;
    s->in[0] = forward.out[0];
    if (!by_input) s->in[1] = x;
    s->inputs = 2;
    if (is_transposed(gradient)) {
        if (!by_input) s->in[0] = x, s->in[1] = forward.out[0];
        s->chain = by_input ? cp_shape_count(s->in[1]) / forward.filters
                            : cp_window_outputs(&forward.window) * forward.batch + 1;
        return true;
    }
    s->chain = by_input ? cp_window_taps(&forward.window) * forward.filters / forward.groups
                        : cp_window_outputs(&forward.window) * forward.batch + 1;
    return true;
}

static inline void draw_dense(sample *s) {
    const bool deep = one_in(10); /* more weights than stay in a cache */
    const int64_t channels = deep ? draw(10000, 11000) : one_in(3) ? draw(100, 400) : draw_channels();
    const int64_t filters = deep ? draw(1, 16) : draw_channels();
    s->inputs = 3;
    s->in[0] = (cp_shape){.rank = 2, .dim = {!deep && one_in(3) ? draw(10, 40) : draw_batch(), channels}};
    s->in[1] = (cp_shape){.rank = 2, .dim = {channels, filters}};
    s->in[2] = one_in(2) ? (cp_shape){.rank = -1} : cp_shape_of(1, &filters);
    s->attributes.activation = one_in(2) ? CP_RELU : CP_LINEAR;
    s->chain = channels + 1;
}

static inline void draw_pool(sample *s) {
    const geometry g = draw_geometry();
    cp_pool *pool = &s->attributes.pool;
    s->inputs = 1;
    s->in[0] = image_shape(&g, draw_channels());
    if (one_in(12)) {
        *pool = (cp_pool){.global = true};
        return;
    }
    *pool = (cp_pool){
        .pad = g.pad,
        .ceil_mode = one_in(3),
    };
    if (strncmp(s->op->name, "avg-pool", 8) == 0) pool->divisor = (cp_divisor)draw(0, 3);
    if (pool->divisor == CP_DIVISOR_NUMBER) pool->divide_by = draw(1, 12);
    memcpy(pool->kernel, g.kernel, sizeof pool->kernel);
    if (one_in(2)) memcpy(pool->stride, g.stride, sizeof pool->stride);
    memcpy(pool->dilation, g.dilation, sizeof pool->dilation);
    memcpy(pool->pad_before, g.before, sizeof pool->pad_before);
    memcpy(pool->pad_after, g.after, sizeof pool->pad_after);
}

/* Now and then bytes instead of floats. */
static inline void draw_bytes(sample *s) {
    if (one_in(3)) s->type[0] = one_in(2) ? CP_U8 : CP_I8;
}

static inline bool turn_pool_around(sample *s, const cp_op *forward_op) {
    const cp_op *const gradient = s->op;
    cp_problem forward;
    s->op = forward_op;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = gradient;
    if (!possible) return false;
    const cp_shape x = s->in[0];
    for (int d = 0; d < x.rank - 2; d++) s->attributes.size[d] = x.dim[1 + d];
    s->in[0] = forward.out[0];
    s->below = cp_window_taps(&forward.window);
    if (forward_op == &cp_op_max_pool) {
        s->in[1] = forward.out[1];
        s->integer[1] = true;
        s->inputs = 2;
    }
    s->chain = s->below;
    return true;
}

/* Lp and stochastic pooling, and their gradients, which take the input of the forward operation, too. */
static inline bool draw_weighted_pool(sample *s) {
    static const float exponents[] = {0, 1, 2, 3, 2.5f};
    const cp_op *const op = s->op;
    const bool lp = op == &cp_op_lp_pool || op == &cp_op_lp_pool_gradient;
    cp_problem forward;
    draw_pool(s);
    s->attributes.pool.divisor = CP_DIVISOR_VALID;
    s->attributes.pool.divide_by = 0;
    if (lp) s->attributes.pool.exponent = exponents[draw(0, 4)];
    s->attributes.layer = (uint32_t)draw(0, 3);
    if (op == &cp_op_lp_pool || op == &cp_op_stochastic_pool) return true;
    s->op = lp ? &cp_op_lp_pool : &cp_op_stochastic_pool;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = op;
    if (!possible) return false;
    s->inputs = 3;
    if (lp) {
        s->in[1] = s->in[2] = forward.out[0];
        return true;
    }
    s->in[2] = s->in[0];
    s->in[0] = s->in[1] = forward.out[0];
    s->integer[1] = true;
    s->below = cp_window_taps(&forward.window);
    return true;
}

static inline int64_t space_of(cp_shape shape) {
    int64_t space = 1;
    for (int d = 1; d < shape.rank - 1; d++) space *= shape.dim[d];
    return space;
}

/* Positions of maxima, and values put back there, several at one place among them. */
static inline bool draw_unpool(sample *s) {
    const cp_op *const op = s->op;
    const geometry g = draw_geometry();
    cp_problem forward;
    if (op == &cp_op_max_pool_positions) {
        draw_pool(s);
        const cp_shape x = s->in[0];
        s->op = &cp_op_max_pool;
        const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK && cp_window_taps(&forward.window) <= 256;
        s->op = op;
        if (!possible) return false;
        for (int d = 0; d < x.rank - 2; d++) s->attributes.size[d] = x.dim[1 + d];
        s->in[0] = forward.out[0];
        s->integer[0] = true;
        s->below = cp_window_taps(&forward.window); /* taps in the padding among them */
        s->chain = 1;
        return true;
    }
    s->inputs = 2;
    s->in[0] = s->in[1] = image_shape(&g, draw_channels());
    s->integer[1] = true;
    s->below = 1;
    for (int d = 0; d < g.axes; d++) {
        s->attributes.pool.output_size[d] = draw(1, 2 * g.size[d]);
        s->below *= s->attributes.pool.output_size[d];
    }
    s->chain = s->below;
    if (op == &cp_op_max_unpool_gradient)
        for (int d = 0; d < g.axes; d++) s->in[0].dim[1 + d] = s->attributes.pool.output_size[d];
    return true;
}

/* Adaptive and fractional pooling and the gradients. */
static inline bool draw_span_pool(sample *s) {
    const cp_op *const op = s->op;
    const bool fractional = op == &cp_op_fractional_max_pool;
    const geometry g = draw_geometry();
    cp_pool *pool = &s->attributes.pool;
    cp_problem forward;
    s->inputs = 1;
    s->in[0] = image_shape(&g, one_in(2) ? draw(1, 9) : draw_channels());
    if (fractional) pool->fractional = one_in(2) ? CP_FRACTIONAL_PYTORCH : CP_FRACTIONAL_TENSORFLOW;
    pool->overlapping = pool->fractional == CP_FRACTIONAL_TENSORFLOW && one_in(2);
    for (int d = 0; d < g.axes; d++) {
        if (pool->fractional == CP_FRACTIONAL_PYTORCH) pool->kernel[d] = g.kernel[d];
        pool->output_size[d] = draw(1, fractional || !one_in(4) ? g.size[d] : g.size[d] + 3);
    }
    s->attributes.layer = (uint32_t)draw(0, 3);
    s->chain = space_of(s->in[0]);
    if (op != &cp_op_adaptive_average_pool_gradient && op != &cp_op_position_gradient) return true;
    s->op = &cp_op_adaptive_average_pool;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = op;
    if (!possible) return false;
    for (int d = 0; d < g.axes; d++) s->attributes.size[d] = g.size[d];
    s->below = s->chain;
    s->in[0] = forward.out[0];
    s->chain = space_of(s->in[0]);
    if (op == &cp_op_adaptive_average_pool_gradient) return true;
    s->inputs = 2;
    s->in[1] = s->in[0];
    s->integer[1] = true;
    return true;
}

/* Locally connected convolution, or one of its gradients. */
static inline bool draw_local(sample *s) {
    const cp_op *const op = s->op;
    draw_conv(s);
    cp_conv *conv = &s->attributes.conv;
    cp_shape *x = &s->in[0], y;
    const int axes = x->rank - 2;
    conv->groups = 1;
    s->in[1].dim[axes] = x->dim[axes + 1];
    if (cp_conv_shape(&y, conv, *x, s->in[1])) return false;
    const int64_t filters = s->in[1].dim[axes + 1], rows = cp_shape_count(s->in[1]) / filters;
    int64_t outputs = 1;
    for (int d = 0; d < axes; d++) outputs *= y.dim[1 + d];
    s->in[1] = (cp_shape){.rank = 3, .dim = {outputs, rows, filters}};
    s->chain = rows + 1;
    if (op == &cp_op_local_conv) return true;
    for (int d = 0; d < axes; d++) s->attributes.size[d] = x->dim[1 + d];
    conv->activation = CP_LINEAR;
    s->inputs = 2;
    s->chain = op == &cp_op_local_conv_input_gradient ? rows / x->dim[axes + 1] * filters : x->dim[0] + 1;
    if (op == &cp_op_local_conv_weight_gradient) s->in[1] = *x;
    s->in[0] = y;
    return true;
}

/* Deformable convolution, or one of its gradients; offsets up to 1.5 pixels. */
static inline bool draw_deform(sample *s) {
    const cp_op *const op = s->op;
    draw_conv(s);
    cp_conv *conv = &s->attributes.conv;
    const cp_shape x = s->in[0], w = s->in[1], b = s->in[2];
    const int axes = x.rank - 2;
    const int64_t parts = one_in(2) ? 1 : one_in(2) ? x.dim[axes + 1] : 2;
    cp_shape y, offset, mask;
    if (cp_conv_shape(&y, conv, x, w)) return false;
    offset = mask = y;
    mask.dim[axes + 1] = parts;
    for (int d = 0; d < axes; d++) mask.dim[axes + 1] *= w.dim[d];
    offset.dim[axes + 1] = mask.dim[axes + 1] * axes;
    if (one_in(3)) mask.rank = -1;
    conv->offset_groups = parts;
    s->chain *= 1 << axes;
    if (op == &cp_op_deform_conv) {
        s->inputs = 5;
        s->in[2] = offset;
        s->in[3] = b;
        s->in[4] = mask;
        return true;
    }
    for (int d = 0; d < axes; d++) s->attributes.size[d] = x.dim[1 + d];
    conv->activation = CP_LINEAR;
    s->in[0] = y;
    s->inputs = op == &cp_op_deform_conv_offset_gradient ? 5 : 4;
    s->in[1] = op == &cp_op_deform_conv_weight_gradient ? x : w;
    if (op == &cp_op_deform_conv_offset_gradient) s->in[2] = x;
    s->in[s->inputs - 2] = offset;
    s->in[s->inputs - 1] = mask;
    return true;
}

static inline bool is_regional(const cp_op *op) {
    return strstr(op->name, "roi-");
}

/* Which input the regions are. */
static inline int rois_of(const cp_op *op) {
    return op == &cp_op_max_roi_pool_gradient ? 2 : 1;
}

/* Pooling of regions of interest, or its gradients. */
static inline void draw_roi(sample *s) {
    const cp_op *const op = s->op;
    const bool align = op == &cp_op_roi_align || op == &cp_op_roi_align_gradient;
    const cp_shape x = {.rank = 4, .dim = {draw_batch(), draw(1, 12), draw(1, 12), draw_channels()}};
    const cp_shape rois = {.rank = 2, .dim = {draw(0, 5), 5}};
    cp_roi *roi = &s->attributes.roi;
    *roi =
        (cp_roi){.output_size = {draw(1, 4), draw(1, 4)}, .spatial_scale = one_in(2) ? 0 : 0.25f * (float)draw(1, 8)};
    if (align) {
        roi->sampling = draw(0, 3);
        roi->output_half_pixel = one_in(2);
        roi->max = one_in(2);
        roi->max_of_corners = roi->max && one_in(2);
    }
    const cp_shape y = {.rank = 4, .dim = {rois.dim[0], roi->output_size[0], roi->output_size[1], x.dim[3]}};
    s->chain = 200;
    s->inputs = op == &cp_op_max_roi_pool_gradient ? 4 : op == &cp_op_roi_align_gradient ? 3 : 2;
    s->in[0] = s->in[1] = y;
    s->in[rois_of(op)] = rois;
    s->in[s->inputs == 2 ? 0 : s->inputs - 1] = x;
    if (op == &cp_op_max_roi_pool_gradient) {
        s->integer[1] = true;
        s->below = 1; /* fill_regions knows which fit */
    }
}

/* Regions in and around the input, one in a while of no image or of no size; positions that fit them. */
static inline void fill_regions(const sample *s, double *const *in) {
    const cp_shape x = s->in[s->inputs == 2 ? 0 : s->inputs - 1];
    double *rois = in[rois_of(s->op)];
    for (int64_t r = 0; r < s->in[rois_of(s->op)].dim[0]; r++, rois += 5) {
        const int64_t images = x.dim[0], pixels = x.dim[1] * x.dim[2];
        rois[0] = one_in(12) ? (double)draw(-1, 9) : (double)draw(0, images ? images - 1 : 0);
        for (int i = 0; i < 2; i++) {
            rois[1 + i] = (float)draw(-40, 10 * x.dim[2 - i]) / 10;
            rois[3 + i] = rois[1 + i] + (float)draw(one_in(6) ? -20 : 0, 10 * x.dim[2 - i]) / 10;
        }
        if (one_in(20)) rois[draw(1, 4)] = one_in(2) ? 1e30 : (double)INFINITY;
        for (int i = 1; i < 5; i++) rois[i] = (float)rois[i];
        if (s->op != &cp_op_max_roi_pool_gradient) continue;
        const int64_t of_region = cp_shape_count(cp_shape_of(3, &s->in[0].dim[1]));
        for (int64_t k = 0; k < of_region; k++)
            in[1][r * of_region + k] = rois[0] < 0 || rois[0] >= (double)images || one_in(9)
                                           ? -1
                                           : rois[0] * (double)pixels + (double)draw(0, pixels - 1);
    }
}

/* im2col, or the same the other way. */
static inline bool draw_matrix(sample *s) {
    const cp_op *const op = s->op;
    const geometry g = draw_geometry();
    cp_conv *conv = &s->attributes.conv;
    cp_problem forward;
    *conv = (cp_conv){.pad = g.pad};
    memcpy(conv->kernel, g.kernel, sizeof conv->kernel);
    memcpy(conv->stride, g.stride, sizeof conv->stride);
    memcpy(conv->dilation, g.dilation, sizeof conv->dilation);
    memcpy(conv->pad_before, g.before, sizeof conv->pad_before);
    memcpy(conv->pad_after, g.after, sizeof conv->pad_after);
    s->inputs = 1;
    s->in[0] = image_shape(&g, draw_channels());
    s->chain = 1;
    if (op == &cp_op_im2col) return true;
    s->op = &cp_op_im2col;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = op;
    if (!possible) return false;
    for (int d = 0; d < g.axes; d++) s->attributes.size[d] = g.size[d];
    s->in[0] = forward.out[0];
    s->chain = cp_window_taps(&forward.window);
    return true;
}

static inline void draw_shuffle(sample *s) {
    const geometry g = draw_geometry();
    const int64_t block = draw(1, 3);
    int64_t blocks = 1;
    s->attributes.block = block;
    s->attributes.depth_order = (cp_depth_order)draw(CP_DEPTH_FIRST, CP_CHANNEL_FIRST);
    for (int d = 0; d < g.axes; d++) blocks *= block;
    s->inputs = 1;
    s->in[0] = image_shape(&g, s->op == &cp_op_depth_to_space ? blocks * draw(1, 9) : draw_channels());
    for (int d = 0; d < g.axes && s->op == &cp_op_space_to_depth; d++) s->in[0].dim[1 + d] *= block;
}

/* Padding and resizing, or their gradients. */
static inline bool draw_sampling(sample *s) {
    const cp_op *const op = s->op;
    const bool pads = op == &cp_op_pad || op == &cp_op_pad_gradient, sized = one_in(2);
    const geometry g = draw_geometry();
    cp_padding *padding = &s->attributes.padding;
    cp_resize *resize = &s->attributes.resize;
    cp_problem forward;
    padding->values = (cp_pad_values)draw(CP_PAD_CONSTANT, CP_PAD_CIRCULAR);
    if (padding->values == CP_PAD_CONSTANT) padding->constant = (float)draw(0, 2);
    resize->interpolation = (cp_interpolation)draw(CP_INTERPOLATE_NEAREST, CP_INTERPOLATE_CUBIC);
    resize->antialias = resize->interpolation && one_in(3);
    resize->exclude_outside = one_in(3);
    resize->coordinates = (cp_coordinates)draw(CP_HALF_PIXEL, CP_CROP);
    resize->rounding = (cp_rounding)draw(CP_ROUND_PREFER_FLOOR, CP_ROUND_CEIL);
    for (int d = 0; d < g.axes; d++) {
        padding->before[d] = draw(0, g.axes == 3 ? 3 : 6);
        padding->after[d] = draw(0, g.axes == 3 ? 3 : 6);
        if (sized)
            resize->size[d] = draw(1, g.axes == 3 ? 8 : 20);
        else
            resize->scale[d] = (float)draw(2, 25) / 10;
        resize->begin[d] = (float)draw(-2, 4) / 10;
        resize->end[d] = (float)draw(5, 12) / 10;
    }
    s->inputs = 1;
    s->in[0] = image_shape(&g, draw_channels());
    s->op = pads ? &cp_op_pad : &cp_op_resize;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = op;
    s->chain = 16 + 8 * (op->algos == cp_algos_sample ? cp_shape_count(s->in[0]) : 0); /* sums of products */
    if (!possible || op == &cp_op_pad || op == &cp_op_resize) return possible;
    for (int d = 0; d < g.axes; d++) s->attributes.size[d] = g.size[d];
    s->chain = 16 + cp_shape_count(forward.out[0]);
    s->in[0] = forward.out[0];
    return true;
}

/* Bytes, sums of them, and sums that become bytes again: x w [b x_zero w_zero scale y_zero]. */
static inline void draw_integers(sample *s) {
    if (s->op == &cp_op_conv_integer)
        draw_conv(s);
    else
        draw_dense(s);
    s->attributes.activation = s->attributes.conv.activation = CP_LINEAR;
    const int64_t one = 1, filters = s->in[1].dim[s->in[1].rank - 1];
    const cp_shape none = {.rank = -1}, number = one_in(2) ? cp_shape_of(0, NULL) : cp_shape_of(1, &one);
    const cp_shape each = cp_shape_of(1, &filters);
    s->type[0] = s->type[3] = one_in(2) ? CP_U8 : CP_I8;
    s->type[1] = s->type[4] = one_in(4) ? CP_U8 : CP_I8;
    s->type[2] = CP_I32;
    s->type[6] = one_in(2) ? CP_U8 : CP_I8;
    s->in[3] = one_in(2) ? number : none;
    s->in[4] = one_in(3) ? (one_in(2) ? number : each) : none;
    s->in[5] = one_in(2) ? none : one_in(2) ? number : each;
    s->in[6] = s->in[5].rank < 0 || one_in(3) ? none : number;
    s->inputs = 7;
}

#endif
