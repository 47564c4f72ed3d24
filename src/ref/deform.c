/* Deformable convolution (Dai et al. 2017), with a mask that weighs what is seen (Zhu et al. 2019): each tap of each
 * output looks beside its place, between pixels. */
#include "ref/ref.h"

/* One set of offsets (and of a mask) for each of `groups` parts of the channels. */
static int64_t offset_groups(const cp_window *window, const cp_tensor *offset) {
    return offset->shape.dim[offset->shape.rank - 1] / (cp_window_taps(window) * window->axes);
}

/* Where tap t of output o looks. */
typedef struct place {
    int64_t size[CP_MAX_AXES];
    double point[CP_MAX_AXES];
    cp_corners corners;
} place;

static place place_of(const cp_window *window, const cp_tensor *offset, int64_t n, int64_t o, int64_t group,
                      int64_t t) {
    const int64_t first = (group * cp_window_taps(window) + t) * window->axes;
    int64_t origin[CP_MAX_AXES], reach[CP_MAX_AXES];
    place at;
    cp_window_origin(window, o, origin);
    cp_window_reach(window, t, reach);
    for (int d = 0; d < CP_MAX_AXES; d++) {
        const int axis = d - (CP_MAX_AXES - window->axes); /* as the user counts */
        at.size[d] = window->axis[d].in;
        at.point[d] =
            (double)(origin[d] + reach[d]) + (axis < 0 ? 0 : cp_get(offset, cp_at(offset, n, o, first + axis)));
    }
    cp_corners_of(&at.corners, at.size, at.point);
    return at;
}

static double mask_at(const cp_window *window, const cp_tensor *mask, int64_t n, int64_t o, int64_t group, int64_t t) {
    return mask ? cp_get(mask, cp_at(mask, n, o, group * cp_window_taps(window) + t)) : 1;
}

static double seen(const cp_tensor *x, int64_t n, int64_t c, const place *at) {
    double sum = 0;
    for (int i = 0; i < at->corners.count; i++)
        sum += at->corners.weight[i] * cp_get(x, cp_at(x, n, at->corners.at[i], c));
    return sum;
}

void cp_ref_deform_conv(const cp_window *window, int64_t groups, bool relu, const cp_tensor *x, const cp_tensor *w,
                        const cp_tensor *offset, const cp_tensor *b, const cp_tensor *mask, const cp_tensor *y) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = w->shape.dim[w->shape.rank - 2], K = w->shape.dim[w->shape.rank - 1];
    const int64_t of_offsets = C * groups / offset_groups(window, offset); /* channels with the same offsets */

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t k = 0; k < K; k++) {
                const int64_t first = k / (K / groups) * C; /* channel of k's group */
                double sum = b ? cp_get(b, k * b->stride[0]) : 0;
                for (int64_t t = 0; t < T; t++)
                    for (int64_t c = first; c < first + C; c++) {
                        const place at = place_of(window, offset, n, o, c / of_offsets, t);
                        sum += mask_at(window, mask, n, o, c / of_offsets, t) * seen(x, n, c, &at) *
                               cp_get(w, cp_weight_at(w, t, c - first, k));
                    }
                cp_put(y, cp_at(y, n, o, k), relu && sum < 0 ? 0 : sum);
            }
}

/* The gradient by what tap t of output o sees of channel c, before the mask. */
static double gradient_of_seen(const cp_tensor *dy, const cp_tensor *w, int64_t groups, int64_t n, int64_t o, int64_t t,
                               int64_t c) {
    const int64_t C = w->shape.dim[w->shape.rank - 2], K = w->shape.dim[w->shape.rank - 1] / groups;
    double sum = 0;
    for (int64_t k = c / C * K; k < (c / C + 1) * K; k++)
        sum += cp_get(dy, cp_at(dy, n, o, k)) * cp_get(w, cp_weight_at(w, t, c % C, k));
    return sum;
}

void cp_ref_deform_conv_input_gradient(const cp_window *window, int64_t groups, const cp_tensor *dy, const cp_tensor *w,
                                       const cp_tensor *offset, const cp_tensor *mask, const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], I = cp_window_inputs(window), O = cp_window_outputs(window),
                  T = cp_window_taps(window), C = dx->shape.dim[dx->shape.rank - 1];
    const int64_t of_offsets = C / offset_groups(window, offset);

    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) {
            for (int64_t i = 0; i < I; i++) cp_put(dx, cp_at(dx, n, i, c), 0);
            for (int64_t o = 0; o < O; o++)
                for (int64_t t = 0; t < T; t++) {
                    const place at = place_of(window, offset, n, o, c / of_offsets, t);
                    const double gradient =
                        mask_at(window, mask, n, o, c / of_offsets, t) * gradient_of_seen(dy, w, groups, n, o, t, c);
                    for (int i = 0; i < at.corners.count; i++) {
                        const int64_t to = cp_at(dx, n, at.corners.at[i], c);
                        cp_put(dx, to, cp_get(dx, to) + at.corners.weight[i] * gradient);
                    }
                }
        }
}

void cp_ref_deform_conv_weight_gradient(const cp_window *window, int64_t groups, const cp_tensor *dy,
                                        const cp_tensor *x, const cp_tensor *offset, const cp_tensor *mask,
                                        const cp_tensor *dw) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = dw->shape.dim[dw->shape.rank - 2], K = dw->shape.dim[dw->shape.rank - 1];
    const int64_t of_offsets = C * groups / offset_groups(window, offset);

    for (int64_t t = 0; t < T; t++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t k = 0; k < K; k++) {
                const int64_t channel = k / (K / groups) * C + c;
                double sum = 0;
                for (int64_t n = 0; n < N; n++)
                    for (int64_t o = 0; o < O; o++) {
                        const place at = place_of(window, offset, n, o, channel / of_offsets, t);
                        sum += mask_at(window, mask, n, o, channel / of_offsets, t) * seen(x, n, channel, &at) *
                               cp_get(dy, cp_at(dy, n, o, k));
                    }
                cp_put(dw, cp_weight_at(dw, t, c, k), sum);
            }
}

/* Offsets and mask of one group, tap and output. */
static void gradients_at(const cp_window *window, int64_t groups, const cp_tensor *dy, const cp_tensor *w,
                         const cp_tensor *x, const cp_tensor *offset, const cp_tensor *mask, int64_t n, int64_t o,
                         int64_t group, int64_t t, double doffset[CP_MAX_AXES], double *dmask) {
    const int64_t C = x->shape.dim[x->shape.rank - 1] / offset_groups(window, offset);
    const place at = place_of(window, offset, n, o, group, t);
    double slope[CP_MAX_CORNERS][CP_MAX_AXES];
    cp_corner_slopes(slope, at.size, at.point);
    for (int d = 0; d < CP_MAX_AXES; d++) doffset[d] = 0;
    *dmask = 0;
    for (int64_t c = group * C; c < (group + 1) * C; c++) {
        const double gradient = gradient_of_seen(dy, w, groups, n, o, t, c);
        *dmask += gradient * seen(x, n, c, &at);
        for (int d = 0; d < CP_MAX_AXES; d++)
            for (int i = 0; i < at.corners.count; i++)
                doffset[d] += mask_at(window, mask, n, o, group, t) * gradient * slope[i][d] *
                              cp_get(x, cp_at(x, n, at.corners.at[i], c));
    }
}

void cp_ref_deform_conv_offset_gradient(const cp_window *window, int64_t groups, const cp_tensor *dy,
                                        const cp_tensor *w, const cp_tensor *x, const cp_tensor *offset,
                                        const cp_tensor *mask, const cp_tensor *doffset, const cp_tensor *dmask) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int axes = window->axes;

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t group = 0; group < offset_groups(window, offset); group++)
                for (int64_t t = 0; t < T; t++) {
                    double by_offset[CP_MAX_AXES], by_mask;
                    gradients_at(window, groups, dy, w, x, offset, mask, n, o, group, t, by_offset, &by_mask);
                    for (int axis = 0; axis < axes; axis++)
                        cp_put(doffset, cp_at(doffset, n, o, (group * T + t) * axes + axis),
                               by_offset[CP_MAX_AXES - axes + axis]);
                    cp_put(dmask, cp_at(dmask, n, o, group * T + t), by_mask);
                }
}
