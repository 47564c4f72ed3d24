/* Regions of interest: where the bins of a region lie, and the points that they are sampled at. */
#include "tensor/tensor.h"

#include <math.h>

enum { IMAGE, X1, Y1, X2, Y2 }; /* of a region */

static double scale_of(const cp_roi *roi) {
    return roi->spatial_scale == 0 ? 1 : (double)roi->spatial_scale;
}

bool cp_roi_image(const double region[CP_ROI_NUMBERS], int64_t images, int64_t *image) {
    *image = region[IMAGE] > -1e15 && region[IMAGE] < 1e15 ? (int64_t)region[IMAGE] : -1;
    return *image >= 0 && *image < images;
}

/* A coordinate as a whole number that sums cannot overflow with. */
static int64_t rounded(double coordinate) {
    const double far = 1e9;
    return (int64_t)round(coordinate > far ? far : coordinate > -far ? coordinate : -far);
}

static cp_span bin_along(double from, double to, int64_t out, int64_t o, int64_t size) {
    const int64_t begin = rounded(from), last = rounded(to), extent = last < begin ? 1 : last - begin + 1;
    cp_span s = {begin + o * extent / out, begin + ((o + 1) * extent + out - 1) / out};
    if (s.begin < 0) s.begin = 0;
    if (s.end > size) s.end = size;
    if (s.begin > s.end) s.begin = s.end = 0;
    return s;
}

void cp_roi_bin(cp_span bin[2], const cp_roi *roi, const int64_t size[2], const double region[CP_ROI_NUMBERS],
                int64_t o) {
    const double scale = scale_of(roi);
    const int64_t *out = roi->output_size;
    bin[0] = bin_along(region[Y1] * scale, region[Y2] * scale, out[0], o / out[1], size[0]);
    bin[1] = bin_along(region[X1] * scale, region[X2] * scale, out[1], o % out[1], size[1]);
}

/* --- points --- */

/* Of bin o of `out` along one axis: those that are not outside, and how many there are with those. */
static cp_roi_axis points_along(const cp_roi *roi, double from, double to, int64_t out, int64_t o, int64_t size) {
    const double half = roi->output_half_pixel ? 0 : 0.5, begin = from * scale_of(roi) - half;
    double extent = to * scale_of(roi) - half - begin;
    if (roi->output_half_pixel && !(extent >= 1)) extent = 1;
    const double bin = extent / (double)out, wanted = roi->sampling ? (double)roi->sampling : ceil(bin);
    cp_roi_axis a = {.size = size, .points = wanted > 0 ? wanted : 0};
    if (!(wanted > 0)) return a;
    a.step = bin / wanted;
    a.begin = begin + (double)o * bin + a.step / 2;
    /* what is beside the input is nothing: only near it are points gone through, be there ever so many */
    double first = 0, last = wanted - 1;
    if (a.step > 0) {
        first = fmax(first, floor((-1 - a.begin) / a.step));
        last = fmin(last, ceil(((double)size - a.begin) / a.step));
    } else if (a.step < 0) {
        first = fmax(first, floor(((double)size - a.begin) / a.step));
        last = fmin(last, ceil((-1 - a.begin) / a.step));
    }
    if (!(first <= last && isfinite(a.begin))) return a;
    a.first = first;
    a.count = (int64_t)(last - first) + 1;
    return a;
}

void cp_roi_points(cp_roi_grid *grid, const cp_roi *roi, const int64_t size[2], const double region[CP_ROI_NUMBERS],
                   int64_t o) {
    const int64_t *out = roi->output_size;
    grid->axis[0] = points_along(roi, region[Y1], region[Y2], out[0], o / out[1], size[0]);
    grid->axis[1] = points_along(roi, region[X1], region[X2], out[1], o % out[1], size[1]);
}

static bool along(const cp_roi_axis *a, int64_t i, double *point) {
    const double at = a->begin + (a->first + (double)i) * a->step;
    *point = at < 0 ? 0 : at > (double)(a->size - 1) ? (double)(a->size - 1) : at;
    return at >= -1 && at <= (double)a->size;
}

bool cp_roi_corners(cp_corners *corners, const cp_roi_grid *grid, int64_t i) {
    const cp_roi_axis *y = &grid->axis[0], *x = &grid->axis[1];
    double point[CP_MAX_AXES] = {0};
    if (!along(y, i / x->count, &point[1]) || !along(x, i % x->count, &point[2])) return false;
    cp_corners_of(corners, (const int64_t[]){1, y->size, x->size}, point);
    return true;
}
