/* The operations of convpool op: how each is built from options and files, and which of those it needs and takes. */
#include "op.h"

#include <string.h>

static cp_node node(const session *s, op_input i) {
    return s->in[i].node; /* 0 where it was not given */
}

static int spatial_axes(const session *s) {
    return s->in[IN_X].view.shape.rank - 2;
}

/* An operation that is one call of the library. */
#define CALL(name, call)                                                                                               \
    static int build_##name(session *s, cp_node *y) {                                                                  \
        const op_options *o = s->options;                                                                              \
        const cp_node x = node(s, IN_X), w = node(s, IN_WEIGHTS), b = node(s, IN_BIAS);                                \
        (void)o, (void)x, (void)w, (void)b;                                                                            \
        *y = call;                                                                                                     \
        return STATUS_OK;                                                                                              \
    }

/* --- convolutions --- */

/* What was given of a convolution with n axes. */
static int read_conv(const session *s, int n, cp_conv *conv) {
    const op_options *o = s->options;
    *conv = (cp_conv){.groups = o->groups,
                      .offset_groups = o->offset_groups,
                      .pad_values = (cp_pad_values)o->pad_values,
                      .activation = o->activation};
    int status = axes_for(&o->kernel, "kernel", n, conv->kernel);
    if (!status) status = axes_for(&o->stride, "stride", n, conv->stride);
    if (!status) status = axes_for(&o->dilation, "dilation", n, conv->dilation);
    if (!status) status = padding_for(&o->padding, "padding", n, &conv->pad, conv->pad_before, conv->pad_after);
    if (!status) status = axes_for(&o->output_padding, "output-padding", n, conv->output_padding);
    if (!status) status = axes_for(&o->output_size, "output-size", n, conv->output_size);
    return status;
}

#define CONVOLUTION(name, call)                                                                                        \
    static int build_##name(session *s, cp_node *y) {                                                                  \
        const cp_node x = node(s, IN_X), w = node(s, IN_WEIGHTS), b = node(s, IN_BIAS);                                \
        cp_conv conv;                                                                                                  \
        const int status = read_conv(s, spatial_axes(s), &conv);                                                       \
        (void)w, (void)b;                                                                                              \
        if (!status) *y = call;                                                                                        \
        return status;                                                                                                 \
    }
CONVOLUTION(conv, cp_net_conv_with(s->net, x, w, b, &conv))
CONVOLUTION(conv_transpose, cp_net_conv_transpose_with(s->net, x, w, b, &conv))
CONVOLUTION(local_conv, cp_net_local_conv_with(s->net, x, w, b, &conv))
CONVOLUTION(deform_conv, cp_net_deform_conv_with(s->net, x, w, node(s, IN_OFFSET), node(s, IN_MASK), b, &conv))
CONVOLUTION(im2col, cp_net_im2col(s->net, x, &conv))

/* The kernel tells the number of axes. */
static int build_col2im(session *s, cp_node *y) {
    cp_conv conv;
    int64_t size[CP_MAX_AXES];
    const int n = s->options->kernel.count;
    int status = read_conv(s, n, &conv);
    if (!status) status = axes_for(&s->options->size, "size", n, size);
    if (!status) *y = cp_net_col2im(s->net, node(s, IN_X), &conv, size);
    return status;
}

CALL(dense, cp_net_dense_with(s->net, x, w, b, o->activation))

/* --- poolings --- */

static int pool(session *s, cp_node *y, cp_pooling kind) {
    const op_options *o = s->options;
    const int n = spatial_axes(s);
    cp_pool pool = {.kind = kind,
                    .pad_values = (cp_pad_values)o->pad_values,
                    .ceil_mode = o->ceil,
                    .divisor = o->divisor,
                    .divide_by = o->divide_by,
                    .exponent = o->exponent,
                    .fractional = o->fractional,
                    .overlapping = o->overlapping};
    int status = axes_for(&o->kernel, "kernel", n, pool.kernel);
    if (!status) status = axes_for(&o->stride, "stride", n, pool.stride);
    if (!status) status = axes_for(&o->dilation, "dilation", n, pool.dilation);
    if (!status) status = padding_for(&o->padding, "padding", n, &pool.pad, pool.pad_before, pool.pad_after);
    if (!status) status = axes_for(&o->output_size, "output-size", n, pool.output_size);
    if (!status) *y = cp_net_pool(s->net, node(s, IN_X), &pool);
    return status;
}

static int build_max_pool(session *s, cp_node *y) {
    return pool(s, y, CP_MAX);
}
static int build_average_pool(session *s, cp_node *y) {
    return pool(s, y, CP_AVERAGE);
}
static int build_lp_pool(session *s, cp_node *y) {
    return pool(s, y, CP_LP);
}
static int build_stochastic_pool(session *s, cp_node *y) {
    return pool(s, y, CP_STOCHASTIC);
}

CALL(global_max_pool, cp_net_pool(s->net, x, &(cp_pool){.kind = CP_MAX, .global = true}))
CALL(global_average_pool, cp_net_pool(s->net, x, &(cp_pool){.kind = CP_AVERAGE, .global = true}))
CALL(global_lp_pool, cp_net_pool(s->net, x, &(cp_pool){.kind = CP_LP, .exponent = o->exponent, .global = true}))

static int build_max_unpool(session *s, cp_node *y) {
    const op_options *o = s->options;
    const int n = spatial_axes(s);
    cp_pool pool = {0};
    int status = axes_for(&o->kernel, "kernel", n, pool.kernel);
    if (!status) status = axes_for(&o->stride, "stride", n, pool.stride);
    if (!status) status = axes_for(&o->dilation, "dilation", n, pool.dilation);
    if (!status) status = padding_for(&o->padding, "padding", n, &pool.pad, pool.pad_before, pool.pad_after);
    if (!status) status = axes_for(&o->output_size, "output-size", n, pool.output_size);
    if (!status) *y = cp_net_max_unpool(s->net, node(s, IN_X), node(s, IN_POSITIONS), &pool);
    return status;
}

CALL(pyramid_max_pool, cp_net_pyramid_pool(s->net, x, CP_MAX, o->levels, o->n_levels))
CALL(pyramid_average_pool, cp_net_pyramid_pool(s->net, x, CP_AVERAGE, o->levels, o->n_levels))

static int read_roi(const session *s, cp_roi *roi) {
    const op_options *o = s->options;
    *roi = (cp_roi){.spatial_scale = o->spatial_scale,
                    .sampling = o->sampling,
                    .output_half_pixel = o->output_half_pixel,
                    .max = o->max,
                    .max_of_corners = o->max_of_corners};
    return axes_for(&o->output_size, "output-size", 2, roi->output_size);
}

static int build_max_roi_pool(session *s, cp_node *y) {
    cp_roi roi;
    const int status = read_roi(s, &roi);
    if (!status) *y = cp_net_max_roi_pool(s->net, node(s, IN_X), node(s, IN_ROIS), &roi);
    return status;
}

static int build_roi_align(session *s, cp_node *y) {
    cp_roi roi;
    const int status = read_roi(s, &roi);
    if (!status) *y = cp_net_roi_align(s->net, node(s, IN_X), node(s, IN_ROIS), &roi);
    return status;
}

/* --- what moves pixels --- */

static int build_pad(session *s, cp_node *y) {
    const op_options *o = s->options;
    cp_padding pad = {.values = (cp_pad_values)o->pad_values, .constant = o->constant};
    cp_pad kind;
    if (o->padding.pad != CP_PAD_EXPLICIT) usage("padding: of pad it must be numbers");
    const int status = padding_for(&o->padding, "padding", spatial_axes(s), &kind, pad.before, pad.after);
    if (!status) *y = cp_net_pad(s->net, node(s, IN_X), &pad);
    return status;
}

static int build_resize(session *s, cp_node *y) {
    const op_options *o = s->options;
    const int n = spatial_axes(s);
    cp_resize resize = {.interpolation = (cp_interpolation)o->interpolation,
                        .coordinates = (cp_coordinates)o->coordinates,
                        .rounding = (cp_rounding)o->rounding};
    int status = axes_for(&o->size, "size", n, resize.size);
    if (!status) status = reals_for(&o->scale, "scale", n, resize.scale);
    if (!status) *y = cp_net_resize(s->net, node(s, IN_X), &resize);
    return status;
}

CALL(depth_to_space, cp_net_depth_to_space(s->net, x, o->block, (cp_depth_order)o->order))
CALL(space_to_depth, cp_net_space_to_depth(s->net, x, o->block, (cp_depth_order)o->order))
CALL(flatten, cp_net_flatten(s->net, x))
CALL(concat, cp_net_concat(s->net, ((cp_node[]){x, node(s, IN_SECOND)}), 2, o->axis))
CALL(slice, cp_net_slice(s->net, x, o->axis, o->begin, o->count))

/* --- elements --- */

static int build_activation(session *s, cp_node *y) {
    const op_options *o = s->options;
#define WORD_OF(name, identifier, word, ...) word,
    static const char *const words[] = {CP_ACTIVATIONS(WORD_OF) NULL}; /* by value */
#undef WORD_OF
    cp_activation activation = CP_LINEAR;
    while (words[activation] && strcmp(words[activation], o->operation->name)) activation++;
    *y = cp_net_activation_with(s->net, node(s, IN_X), activation, o->alpha, o->beta);
    return STATUS_OK;
}

CALL(softmax, cp_net_softmax(s->net, x))
CALL(add, cp_net_add(s->net, x, node(s, IN_SECOND)))
CALL(sub, cp_net_sub(s->net, x, node(s, IN_SECOND)))
CALL(mul, cp_net_mul(s->net, x, node(s, IN_SECOND)))
CALL(div, cp_net_div(s->net, x, node(s, IN_SECOND)))
CALL(min, cp_net_min(s->net, x, node(s, IN_SECOND)))
CALL(max, cp_net_max(s->net, x, node(s, IN_SECOND)))
CALL(pow, cp_net_pow(s->net, x, node(s, IN_SECOND)))
CALL(prelu, cp_net_prelu_with(s->net, x, w))

/* --- normalisations, reductions --- */

CALL(batch_norm, cp_net_batch_norm_with(s->net, x, w, b, node(s, IN_MEAN), node(s, IN_VARIANCE), o->epsilon, 0))
CALL(layer_norm, cp_net_layer_norm_with(s->net, x, w, b, o->epsilon))
CALL(group_norm, cp_net_group_norm_with(s->net, x, w, b, o->groups, o->epsilon))
CALL(instance_norm, cp_net_instance_norm_with(s->net, x, w, b, o->epsilon))
CALL(lrn, cp_net_lrn(s->net, x, o->channels, o->alpha, o->beta, o->base))
CALL(reduce, cp_net_reduce(s->net, x, (cp_reduction)o->reduction, o->reduced, o->n_reduced, o->keep))

/* --- losses --- */

static int check_labels(const session *s) {
    const cp_shape logits = s->in[IN_X].view.shape;
    const int64_t classes = logits.rank ? logits.dim[logits.rank - 1] : 0;
    const int32_t *labels = s->in[IN_TARGET].memory;
    for (int64_t i = 0; i < cp_shape_count(s->in[IN_TARGET].view.shape); i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return fail(STATUS_INPUT, "label %d at %lld: there are %lld classes", labels[i], (long long)i,
                        (long long)classes);
    return STATUS_OK;
}

#define LOSS_OF_CLASSES(name, call)                                                                                    \
    static int build_##name(session *s, cp_node *y) {                                                                  \
        const cp_node x = node(s, IN_X), target = node(s, IN_TARGET);                                                  \
        const int status = check_labels(s);                                                                            \
        if (!status) *y = call;                                                                                        \
        return status;                                                                                                 \
    }
LOSS_OF_CLASSES(cross_entropy,
                cp_net_softmax_cross_entropy_with(s->net, x, target, node(s, IN_WEIGHTS), s->options->alpha))
LOSS_OF_CLASSES(focal, cp_net_focal(s->net, x, target, s->options->alpha))
LOSS_OF_CLASSES(hinge, cp_net_hinge(s->net, x, target))
CALL(binary_cross_entropy, cp_net_binary_cross_entropy(s->net, x, node(s, IN_TARGET)))
CALL(huber, cp_net_huber(s->net, x, node(s, IN_TARGET), o->alpha))
CALL(squared_error, cp_net_mean_squared_error(s->net, x, node(s, IN_TARGET)))

/* --- the table --- */

#define WINDOW " stride dilation padding "
#define LAYER "bias activation output-dw output-db"
#define NORM "bias epsilon output-dw output-db"
#define POOL "pad-values ceil" WINDOW

static const operation table[] = {
    {"conv", build_conv, "weights", LAYER WINDOW "groups pad-values", 1, false},
    {"conv-transpose", build_conv_transpose, "weights", LAYER WINDOW "groups output-padding output-size", 1, false},
    {"local-conv", build_local_conv, "weights kernel", LAYER WINDOW, 1, false},
    {"deform-conv", build_deform_conv, "weights offset",
     LAYER WINDOW "mask groups offset-groups output-doffset output-dmask", 1, false},
    {"dense", build_dense, "weights", LAYER, 1, false},
    {"max-pool", build_max_pool, "kernel", POOL "output-positions", 1, false},
    {"avg-pool", build_average_pool, "kernel", POOL "divisor count-include-pad", 1, false},
    {"lp-pool", build_lp_pool, "kernel", POOL "exponent", 1, false},
    {"stochastic-pool", build_stochastic_pool, "kernel", POOL "training", 1, false},
    {"adaptive-max-pool", build_max_pool, "output-size", "output-positions", 1, false},
    {"adaptive-avg-pool", build_average_pool, "output-size", "", 1, false},
    {"fractional-max-pool", build_max_pool, "output-size fractional", "kernel overlapping output-positions", 1, false},
    {"global-max-pool", build_global_max_pool, "", "", 1, false},
    {"global-avg-pool", build_global_average_pool, "", "", 1, false},
    {"global-lp-pool", build_global_lp_pool, "", "exponent", 1, false},
    {"max-unpool", build_max_unpool, "positions", "kernel output-size" WINDOW, 1, false},
    {"pyramid-max-pool", build_pyramid_max_pool, "levels", "", 1, false},
    {"pyramid-avg-pool", build_pyramid_average_pool, "levels", "", 1, false},
    {"max-roi-pool", build_max_roi_pool, "rois output-size", "spatial-scale", 1, false},
    {"roi-align", build_roi_align, "rois output-size", "spatial-scale sampling output-half-pixel max max-of-corners", 1,
     false},
    {"im2col", build_im2col, "kernel", WINDOW, 1, false},
    {"col2im", build_col2im, "kernel size", WINDOW, 1, false},
    {"pad", build_pad, "", "padding pad-values constant", 1, false},
    {"resize", build_resize, "", "size scale interpolation coordinates rounding", 1, false},
    {"depth-to-space", build_depth_to_space, "", "block order", 1, false},
    {"space-to-depth", build_space_to_depth, "", "block order", 1, false},
    {"softmax", build_softmax, "", "", 1, false},
    {"flatten", build_flatten, "", "", 1, false},
    {"add", build_add, "", "", 2, false},
    {"sub", build_sub, "", "", 2, false},
    {"mul", build_mul, "", "", 2, false},
    {"div", build_div, "", "", 2, false},
    {"min", build_min, "", "", 2, false},
    {"max", build_max, "", "", 2, false},
    {"pow", build_pow, "", "", 2, false},
    {"prelu", build_prelu, "weights", "output-dw", 1, false},
    {"batch-norm", build_batch_norm, "weights mean variance", NORM, 1, false},
    {"layer-norm", build_layer_norm, "weights", NORM, 1, false},
    {"group-norm", build_group_norm, "weights", NORM " groups", 1, false},
    {"instance-norm", build_instance_norm, "weights", NORM, 1, false},
    {"lrn", build_lrn, "", "alpha beta channels base", 1, false},
    {"reduce", build_reduce, "", "kind axes keep", 1, false},
    {"concat", build_concat, "", "axis", 2, false},
    {"slice", build_slice, "", "axis begin count", 1, false},
    {"softmax-cross-entropy", build_cross_entropy, "target", "weights alpha", 1, true},
    {"focal", build_focal, "target", "alpha", 1, true},
    {"hinge", build_hinge, "target", "", 1, true},
    {"binary-cross-entropy", build_binary_cross_entropy, "target", "", 1, false},
    {"huber", build_huber, "target", "alpha", 1, false},
    {"mean-squared-error", build_squared_error, "target", "", 1, false},
#define ACTIVATION(value, identifier, word, ...) {word, build_activation, "", "alpha beta", 1, false},
    CP_ACTIVATIONS(ACTIVATION)};

const operation *op_at(int i) {
    return i >= 0 && i < (int)(sizeof table / sizeof *table) ? &table[i] : NULL;
}
