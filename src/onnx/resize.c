/* Resize, and Upsample, which it was before. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "onnx/operators.h"

/* The words of opset 10 and before are the defaults there. */
static bool read_modes(cp_onnx_loader *l, cp_resize *resize) {
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear", NULL};
    static const char *const places[] = {"half_pixel",         "asymmetric",           "align_corners",
                                         "pytorch_half_pixel", "half_pixel_symmetric", NULL};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    const int old = l->opset < 11;
    const int mode = cp_onnx_word_or(l, "mode", modes, 0);
    const int place = cp_onnx_word_or(l, "coordinate_transformation_mode", places, old ? CP_ASYMMETRIC : CP_HALF_PIXEL);
    const int rounding = cp_onnx_word_or(l, "nearest_mode", roundings, old ? CP_ROUND_FLOOR : CP_ROUND_PREFER_FLOOR);
    resize->antialias = mode && cp_onnx_int_or(l, "antialias", 0) != 0;
    resize->cubic = cp_onnx_float_or(l, "cubic_coeff_a", -0.75f);
    resize->exclude_outside = cp_onnx_int_or(l, "exclude_outside", 0) != 0;
    if (cp_onnx_failed(l)) return false;
    resize->interpolation = mode == 2 ? CP_INTERPOLATE_CUBIC : mode ? CP_INTERPOLATE_LINEAR : CP_INTERPOLATE_NEAREST;
    resize->coordinates = (cp_coordinates)place;
    resize->rounding = (cp_rounding)rounding;
    return true;
}

/* A factor, or a size, for each axis of x. */
typedef struct target {
    bool has_sizes;
    double scale[CP_MAX_RANK];
    int64_t size[CP_MAX_RANK];
} target;

static bool read_scales(cp_onnx_loader *l, int input, int n, double *scale) {
    float list[CP_MAX_RANK];
    int count = 0;
    const cp_onnx_value *value = cp_onnx_in(l, input);
    if (!value) {
        if (!cp_onnx_floats(l, "scales", list, CP_MAX_RANK, &count)) return false;
        for (int i = 0; i < count; i++) scale[i] = (double)list[i];
    } else {
        if (!value->data || value->type != CP_ONNX_FLOAT)
            return cp_onnx_fail(
                l, cp_fail(CP_E_UNSUPPORTED, "scales must be numbers that are known when the model is loaded"));
        count = (int)(cp_shape_count(value->shape) <= CP_MAX_RANK ? cp_shape_count(value->shape) : CP_MAX_RANK + 1);
        for (int i = 0; i < count && i < CP_MAX_RANK; i++) scale[i] = cp_onnx_real_at(value, i);
    }
    if (!count) return false;
    if (count != n) return cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "scales needs %d values, has %d", n, count));
    for (int i = 0; i < n; i++)
        if (!(scale[i] > 0 && scale[i] < 1e9))
            return cp_onnx_fail(l, cp_fail(CP_E_ARG, "scales[%d] must be above 0", i));
    return true;
}

/* With sizes that keep the aspect ratio, one factor is for all axes. */
static void keep_ratio(const cp_shape x, const int *axes, int n, int policy, target *t) {
    double factor = 0;
    for (int i = 0; i < n; i++) {
        const double own = (double)t->size[i] / (double)x.dim[axes[i]];
        if (!i || (policy == 1 ? own < factor : own > factor)) factor = own;
    }
    for (int i = 0; i < n; i++) t->size[i] = llround(factor * (double)x.dim[axes[i]]);
}

/* t: of the axes of x. */
static void resize_spatial(cp_onnx_loader *l, cp_resize *resize, const target *t) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    const int rank = x->shape.rank;
    const bool wide = rank >= 3 && rank <= CP_MAX_AXES + 2 && t->scale[0] == 1 && t->scale[1] == 1; /* N and C stay */
    const int first = wide ? 2 : 0, n = rank - first;
    if (n < 1 || n > CP_MAX_AXES) {
        cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "more than %d axes at once are not supported", CP_MAX_AXES));
        return;
    }
    for (int d = 0; d < n; d++) {
        resize->size[d] = t->has_sizes ? t->size[first + d] : 0;
        resize->scale[d] = t->has_sizes ? 0 : (float)t->scale[first + d];
    }
    if (wide) {
        cp_onnx_set(l, 0, cp_net_resize(l->net, cp_onnx_want_last(l, 0), resize), cp_order_channels_last(rank));
        return;
    }
    cp_shape outer = {.rank = rank + 2, .dim = {1}}, result = {.rank = rank};
    for (int d = 0; d < rank; d++) outer.dim[1 + d] = x->shape.dim[d];
    outer.dim[rank + 1] = 1;
    cp_node y = cp_net_reshape(l->net, cp_onnx_want(l, x, cp_order_plain()), outer);
    y = cp_net_resize(l->net, y, resize);
    if (cp_onnx_failed(l)) return;
    memcpy(result.dim, cp_net_shape(l->net, y).dim + 1, (size_t)rank * sizeof *result.dim);
    cp_onnx_set(l, 0, cp_net_reshape(l->net, y, result), cp_order_plain());
}

void cp_onnx_resize(cp_onnx_loader *l) {
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
    const cp_shape x = cp_onnx_in(l, 0)->shape;
    const bool old = l->opset < 11; /* no region of interest */
    cp_resize resize = {0};
    int64_t listed[CP_MAX_RANK];
    int axes[CP_MAX_RANK], n = x.rank, count;
    target given = {0}, whole = {0};
    if (!read_modes(l, &resize)) return;
    for (int i = 0; i < n; i++) axes[i] = i;
    if (cp_onnx_ints(l, "axes", listed, CP_MAX_RANK, &count)) {
        n = count;
        for (int i = 0; i < n; i++)
            if ((axes[i] = cp_onnx_axis(l, listed[i], x.rank)) < 0) return;
    }
    const int policy = cp_onnx_word_or(l, "keep_aspect_ratio_policy", policies, 0);
    const bool has_scales = read_scales(l, old ? 1 : 2, n, given.scale);
    if (cp_onnx_failed(l)) return;
    if (!has_scales) {
        if (!cp_onnx_numbers(l, 3, "sizes", given.size, CP_MAX_RANK, &count)) {
            if (!cp_onnx_failed(l)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "scales or sizes are missing"));
            return;
        }
        if (count != n) {
            cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "sizes needs %d values, has %d", n, count));
            return;
        }
        for (int i = 0; i < n; i++)
            if (given.size[i] < 1) {
                cp_onnx_fail(l, cp_fail(CP_E_ARG, "sizes[%d] = %" PRId64 ": must be at least 1", i, given.size[i]));
                return;
            }
        if (policy) keep_ratio(x, axes, n, policy, &given);
    }
    whole.has_sizes = !has_scales;
    for (int i = 0; i < x.rank; i++) {
        whole.scale[i] = 1;
        whole.size[i] = x.dim[i];
    }
    for (int i = 0; i < n; i++) {
        whole.size[axes[i]] = given.size[i];
        whole.scale[axes[i]] = has_scales ? given.scale[i] : given.size[i] == x.dim[axes[i]] ? 1 : 0;
    }
    resize_spatial(l, &resize, &whole);
}
