/* Pooling of regions of interest: each to the same number of bins. */
#include "ref/ref.h"

#include <math.h>

/* Region r; false where its image is none of x. */
static bool region_at(const cp_tensor *rois, int64_t r, int64_t images, double region[CP_ROI_NUMBERS], int64_t *image) {
    for (int i = 0; i < CP_ROI_NUMBERS; i++) region[i] = cp_get(rois, r * rois->stride[0] + i * rois->stride[1]);
    return cp_roi_image(region, images, image);
}

/* A value beside the best so far; the first of equal ones wins, and NaN over all. */
static bool better(double seen, double best, bool any) {
    return !any || seen > best || (isnan(seen) && !isnan(best));
}

void cp_ref_max_roi_pool(const cp_roi *roi, const cp_tensor *x, const cp_tensor *rois, const cp_tensor *y,
                         const cp_tensor *position) {
    const int64_t R = y->shape.dim[0], O = y->shape.dim[1] * y->shape.dim[2], C = x->shape.dim[3];
    const int64_t *size = &x->shape.dim[1];
    double region[CP_ROI_NUMBERS];

    for (int64_t r = 0, image; r < R; r++) {
        const bool there = region_at(rois, r, x->shape.dim[0], region, &image);
        for (int64_t o = 0; o < O; o++)
            for (int64_t c = 0; c < C; c++) {
                cp_span bin[2] = {{0, 0}, {0, 0}};
                double best = 0;
                int64_t place = -1;
                if (there) cp_roi_bin(bin, roi, size, region, o);
                for (int64_t i = bin[0].begin; i < bin[0].end; i++)
                    for (int64_t j = bin[1].begin; j < bin[1].end; j++) {
                        const double seen = cp_get(x, cp_at(x, image, i * size[1] + j, c));
                        if (!better(seen, best, place >= 0)) continue;
                        best = seen;
                        place = (image * size[0] + i) * size[1] + j;
                    }
                cp_put(y, cp_at(y, r, o, c), best);
                cp_put(position, cp_at(position, r, o, c), (double)place);
            }
    }
}

void cp_ref_max_roi_pool_gradient(const cp_tensor *dy, const cp_tensor *position, const cp_tensor *dx) {
    const int64_t R = dy->shape.dim[0], O = dy->shape.dim[1] * dy->shape.dim[2];
    const int64_t N = dx->shape.dim[0], I = dx->shape.dim[1] * dx->shape.dim[2], C = dx->shape.dim[3];

    for (int64_t i = 0; i < N * I; i++)
        for (int64_t c = 0; c < C; c++) cp_put(dx, cp_at(dx, i / I, i % I, c), 0);
    for (int64_t r = 0; r < R; r++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t c = 0; c < C; c++) {
                const int64_t i = (int64_t)cp_get(position, cp_at(position, r, o, c));
                if (i < 0 || i >= N * I) continue;
                const int64_t to = cp_at(dx, i / I, i % I, c);
                cp_put(dx, to, cp_get(dx, to) + cp_get(dy, cp_at(dy, r, o, c)));
            }
}

static double interpolated(const cp_tensor *x, int64_t n, int64_t c, const cp_corners *corners) {
    double sum = 0;
    for (int i = 0; i < corners->count; i++) sum += corners->weight[i] * cp_get(x, cp_at(x, n, corners->at[i], c));
    return sum;
}

/* The maximum of a bin, and the pixels that it is made of (none where it is the 0 of what is outside). */
static double greatest(const cp_roi *roi, const cp_tensor *x, int64_t n, int64_t c, const cp_roi_grid *grid,
                       cp_corners *from) {
    double best = 0;
    bool any = false, zero = (double)cp_roi_count(grid) < cp_roi_all(grid);
    from->count = 0;
    for (int64_t i = 0; i < cp_roi_count(grid); i++) {
        cp_corners all;
        if (!cp_roi_corners(&all, grid, i)) {
            zero = true;
            continue;
        }
        zero |= roi->max_of_corners && all.count < 4; /* one that is left out */
        for (int k = 0; k < (roi->max_of_corners ? all.count : 1); k++) {
            const cp_corners one = {.count = 1, .at = {all.at[k]}, .weight = {all.weight[k]}};
            const cp_corners *now = roi->max_of_corners ? &one : &all;
            const double seen = interpolated(x, n, c, now);
            if (!better(seen, best, any)) continue;
            best = seen;
            *from = *now;
            any = true;
        }
    }
    if (zero && any && best < 0) best = 0, from->count = 0;
    return best;
}

void cp_ref_roi_align(const cp_roi *roi, const cp_tensor *x, const cp_tensor *rois, const cp_tensor *y) {
    const int64_t R = y->shape.dim[0], O = y->shape.dim[1] * y->shape.dim[2], C = x->shape.dim[3];
    double region[CP_ROI_NUMBERS];

    for (int64_t r = 0, image; r < R; r++) {
        const bool there = region_at(rois, r, x->shape.dim[0], region, &image);
        for (int64_t o = 0; o < O; o++)
            for (int64_t c = 0; c < C; c++) {
                double value = 0;
                cp_roi_grid grid;
                cp_corners corners;
                if (there) cp_roi_points(&grid, roi, &x->shape.dim[1], region, o);
                if (there && roi->max) value = greatest(roi, x, image, c, &grid, &corners);
                for (int64_t i = 0; there && !roi->max && i < cp_roi_count(&grid); i++)
                    if (cp_roi_corners(&corners, &grid, i))
                        value += interpolated(x, image, c, &corners) / cp_roi_all(&grid);
                cp_put(y, cp_at(y, r, o, c), value);
            }
    }
}

/* dx += factor times the weights of some pixels */
static void add(const cp_tensor *dx, int64_t n, int64_t c, const cp_corners *corners, double factor) {
    for (int i = 0; i < corners->count; i++) {
        const int64_t to = cp_at(dx, n, corners->at[i], c);
        cp_put(dx, to, cp_get(dx, to) + factor * corners->weight[i]);
    }
}

void cp_ref_roi_align_gradient(const cp_roi *roi, const cp_tensor *dy, const cp_tensor *rois, const cp_tensor *x,
                               const cp_tensor *dx) {
    const int64_t R = dy->shape.dim[0], O = dy->shape.dim[1] * dy->shape.dim[2];
    const int64_t N = dx->shape.dim[0], I = dx->shape.dim[1] * dx->shape.dim[2], C = dx->shape.dim[3];
    double region[CP_ROI_NUMBERS];

    for (int64_t i = 0; i < N * I; i++)
        for (int64_t c = 0; c < C; c++) cp_put(dx, cp_at(dx, i / I, i % I, c), 0);
    for (int64_t r = 0, image; r < R; r++) {
        if (!region_at(rois, r, N, region, &image)) continue;
        for (int64_t o = 0; o < O; o++)
            for (int64_t c = 0; c < C; c++) {
                const double gradient = cp_get(dy, cp_at(dy, r, o, c));
                cp_roi_grid grid;
                cp_corners corners;
                cp_roi_points(&grid, roi, &dx->shape.dim[1], region, o);
                if (roi->max) {
                    greatest(roi, x, image, c, &grid, &corners);
                    add(dx, image, c, &corners, gradient);
                }
                for (int64_t i = 0; !roi->max && i < cp_roi_count(&grid); i++)
                    if (cp_roi_corners(&corners, &grid, i)) add(dx, image, c, &corners, gradient / cp_roi_all(&grid));
            }
    }
}
