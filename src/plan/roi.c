/* Pooling of regions of interest in f32: bins are shared, and for gradients images and blocks of channels, so that what
 * is added to a pixel comes in the order of the regions. */
#include "plan/algos.h"

#include <math.h>
#include <string.h>

enum { CHANNELS = 64, CORNERS = 64 }; /* that are done at once */

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* Region r of the input `rois`; false where its image is not one of so many. */
static bool region_at(const cp_call *call, int rois, int64_t r, int64_t images, double region[CP_ROI_NUMBERS],
                      int64_t *image) {
    const cp_tensor t = cp_call_in(call, rois);
    for (int i = 0; i < CP_ROI_NUMBERS; i++) region[i] = cp_get(&t, r * CP_ROI_NUMBERS + i);
    return cp_roi_image(region, images, image);
}

void cp_check_rois(const cp_call *call, int i, int64_t images) {
    double region[CP_ROI_NUMBERS];
    int64_t image;
    for (int64_t r = 0; r < call->problem->in[i].dim[0] && call->fault && !call->fault->set; r++)
        if (!region_at(call, i, r, images, region, &image))
            *call->fault = (cp_fault){.set = true, .element = r * CP_ROI_NUMBERS, .value = image, .limit = images};
}

static int64_t bins(const cp_problem *p) {
    return p->roi.output_size[0] * p->roi.output_size[1];
}

/* --- maxima --- */

/* All channels of one bin; y, position: those of the output, or NULL. x: the image, which begins at first_pixel. */
static void max_of_bin(const cp_kernels *kernels, const cp_span bin[2], const float *x, const int64_t size[2],
                       int64_t C, int64_t first_pixel, float *y, int32_t *position) {
    cp_box box = {.axis = {[0] = {.count = 1}}};
    for (int d = 0; d < 2; d++) {
        const int64_t count = bin[d].end > bin[d].begin ? bin[d].end - bin[d].begin : 0;
        box.axis[d + 1].begin = bin[d].begin;
        box.axis[d + 1].count = count;
        box.axis[d + 1].step = 1;
        box.axis[d + 1].in = size[d];
    }
    cp_max_of_box(kernels, &box, x, C, 0, C, 0, y, position);
    for (int64_t c = 0; position && c < C; c++) position[c] += position[c] < 0 ? 0 : (int32_t)first_pixel;
}

static void max_roi_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_shape x = p->in[0];
    const int64_t O = bins(p), C = x.dim[3], I = x.dim[1] * x.dim[2];
    double region[CP_ROI_NUMBERS];
    int64_t unit, last, image;
    if (id == 0) cp_check_rois(call, 1, x.dim[0]);
    cp_share(p->in[1].dim[0] * O, id, n, &unit, &last);
    for (; unit < last; unit++) {
        cp_span bin[2] = {{0, 0}, {0, 0}};
        if (region_at(call, 1, unit / O, x.dim[0], region, &image))
            cp_roi_bin(bin, &p->roi, &x.dim[1], region, unit % O);
        else
            image = 0;
        max_of_bin(p->kernels, bin, (const float *)call->in[0] + image * I * C, &x.dim[1], C, image * I,
                   call->out[0] ? (float *)call->out[0] + unit * C : NULL,
                   call->out[1] ? (int32_t *)call->out[1] + unit * C : NULL);
    }
}

/* Channels first .. first + channels - 1 of an image; its gradient begins at 0. */
typedef struct block {
    int64_t image, first, channels;
    float *dx;
} block;

static block block_at(const cp_call *call, int64_t unit) {
    const cp_shape x = call->problem->out[0];
    const int64_t C = x.dim[3], I = x.dim[1] * x.dim[2], blocks = cp_channel_blocks(C);
    block b = {.image = unit / blocks};
    cp_channel_range(C, unit % blocks, unit % blocks + 1, &b.first, &b.channels);
    b.dx = (float *)call->out[0] + b.image * I * C + b.first;
    for (int64_t i = 0; i < I; i++) memset(b.dx + i * C, 0, (size_t)b.channels * sizeof *b.dx);
    return b;
}

static void max_roi_pool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_shape x = p->out[0];
    const int64_t O = bins(p), C = x.dim[3], I = x.dim[1] * x.dim[2], R = p->in[2].dim[0];
    double region[CP_ROI_NUMBERS];
    int64_t unit, last, image;
    if (id == 0) cp_check_rois(call, 2, x.dim[0]);
    cp_share(x.dim[0] * cp_channel_blocks(C), id, n, &unit, &last);
    for (; unit < last; unit++) {
        const block b = block_at(call, unit);
        for (int64_t s = 0; s < R * O; s++) {
            if (s % O == 0 && !(region_at(call, 2, s / O, x.dim[0], region, &image) && image == b.image)) {
                s += O - 1;
                continue;
            }
            const float *dy = (const float *)call->in[0] + s * C + b.first;
            const int32_t *position = (const int32_t *)call->in[1] + s * C + b.first;
            for (int64_t k = 0; k < b.channels; k++) {
                const int64_t i = position[k] - b.image * I;
                if (i >= 0 && i < I) b.dx[i * C + k] += dy[k];
            }
        }
    }
}

/* --- points between pixels --- */

/* Rows of channels and their weights, as the kernels take them. */
typedef struct rows {
    int64_t offset[CORNERS];
    float weight[CORNERS];
    int count;
} rows;

static void add_rows(rows *r, const cp_corners *corners, int64_t C, double factor) {
    for (int i = 0; i < corners->count; i++, r->count++) {
        r->offset[r->count] = corners->at[i] * C;
        r->weight[r->count] = (float)(corners->weight[i] * factor);
    }
}

/* The next points of a grid from *i on, as many as there is room for; their weights divided by the number of points. */
static void next_rows(rows *r, const cp_roi_grid *grid, int64_t *i, int64_t C) {
    cp_corners corners;
    r->count = 0;
    for (; *i < cp_roi_count(grid) && r->count + CP_MAX_CORNERS <= CORNERS; ++*i)
        if (cp_roi_corners(&corners, grid, *i)) add_rows(r, &corners, C, 1 / cp_roi_all(grid));
}

static void mean_of_bin(const cp_problem *p, const cp_roi_grid *grid, const float *x, int64_t C, float *y) {
    int64_t i = 0;
    rows r;
    do {
        const int flags = i > 0 ? CP_ACCUMULATE : 0;
        next_rows(&r, grid, &i, C);
        p->kernels->blend(x, r.offset, r.weight, r.count, y, C, flags);
    } while (i < cp_roi_count(grid));
}

/* The maxima of some channels, and which of the candidates they are: point * 4 + corner (0 of the whole), or -1: the 0
 * of what is outside. */
static void max_of_points(const cp_problem *p, const cp_roi_grid *grid, const float *x, int64_t C, int64_t channels,
                          float *best, int64_t *which) {
    const bool single = p->roi.max_of_corners;
    bool zero = (double)cp_roi_count(grid) < cp_roi_all(grid);
    float seen[CHANNELS];
    for (int64_t k = 0; k < channels; k++) best[k] = 0, which[k] = -1;
    for (int64_t i = 0; i < cp_roi_count(grid); i++) {
        cp_corners corners;
        const bool inside = cp_roi_corners(&corners, grid, i);
        zero |= !inside || (single && corners.count < 4);
        for (int j = 0; inside && j < (single ? corners.count : 1); j++) {
            rows r = {.count = 0};
            add_rows(&r, &corners, C, 1);
            p->kernels->blend(x, r.offset + j, r.weight + j, single ? 1 : r.count, seen, channels, 0);
            for (int64_t k = 0; k < channels; k++) {
                if (which[k] >= 0 && !(seen[k] > best[k] || (isnan(seen[k]) && !isnan(best[k])))) continue;
                best[k] = seen[k];
                which[k] = i * 4 + j;
            }
        }
    }
    for (int64_t k = 0; zero && k < channels; k++)
        if (best[k] < 0) best[k] = 0, which[k] = -1;
}

static void roi_align(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_shape x = p->in[0];
    const int64_t O = bins(p), C = x.dim[3];
    double region[CP_ROI_NUMBERS];
    int64_t unit, last, image, which[CHANNELS];
    if (id == 0) cp_check_rois(call, 1, x.dim[0]);
    cp_share(p->in[1].dim[0] * O, id, n, &unit, &last);
    for (; unit < last; unit++) {
        float *y = (float *)call->out[0] + unit * C;
        cp_roi_grid grid;
        if (!region_at(call, 1, unit / O, x.dim[0], region, &image)) {
            memset(y, 0, (size_t)C * sizeof *y);
            continue;
        }
        const float *from = (const float *)call->in[0] + image * x.dim[1] * x.dim[2] * C;
        cp_roi_points(&grid, &p->roi, &x.dim[1], region, unit % O);
        if (!p->roi.max) mean_of_bin(p, &grid, from, C, y);
        for (int64_t c = 0; p->roi.max && c < C; c += CHANNELS)
            max_of_points(p, &grid, from + c, C, C - c < CHANNELS ? C - c : CHANNELS, y + c, which);
    }
}

/* The gradient dy of one bin, added to the pixels that its maxima are made of. */
static void add_to_maxima(const cp_call *call, const block *b, const cp_roi_grid *grid, const float *dy) {
    const cp_problem *p = call->problem;
    const cp_shape shape = p->out[0];
    const int64_t C = shape.dim[3], image = b->image * shape.dim[1] * shape.dim[2] * C;
    float best[CHANNELS];
    int64_t which[CHANNELS];
    max_of_points(p, grid, (const float *)call->in[2] + image + b->first, C, b->channels, best, which);
    for (int64_t k = 0; k < b->channels; k++) {
        cp_corners corners;
        if (which[k] < 0 || !cp_roi_corners(&corners, grid, which[k] / 4)) continue;
        const int first = p->roi.max_of_corners ? (int)(which[k] % 4) : 0;
        const int end = p->roi.max_of_corners ? first + 1 : corners.count;
        for (int i = first; i < end; i++) b->dx[corners.at[i] * C + k] += (float)corners.weight[i] * dy[k];
    }
}

static void add_to_points(const cp_call *call, const block *b, const cp_roi_grid *grid, const float *dy) {
    const cp_problem *p = call->problem;
    rows r;
    for (int64_t i = 0; i < cp_roi_count(grid);) {
        next_rows(&r, grid, &i, p->out[0].dim[3]);
        p->kernels->spread(dy, r.offset, r.weight, r.count, b->dx, b->channels);
    }
}

static void roi_align_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_shape x = p->out[0];
    const int64_t O = bins(p), C = x.dim[3], R = p->in[1].dim[0];
    double region[CP_ROI_NUMBERS];
    int64_t unit, last, image;
    if (id == 0) cp_check_rois(call, 1, x.dim[0]);
    cp_share(x.dim[0] * cp_channel_blocks(C), id, n, &unit, &last);
    for (; unit < last; unit++) {
        const block b = block_at(call, unit);
        for (int64_t r = 0; r < R; r++) {
            if (!region_at(call, 1, r, x.dim[0], region, &image) || image != b.image) continue;
            for (int64_t o = 0; o < O; o++) {
                const float *dy = (const float *)call->in[0] + (r * O + o) * C + b.first;
                cp_roi_grid grid;
                cp_roi_points(&grid, &p->roi, &x.dim[1], region, o);
                if (p->roi.max)
                    add_to_maxima(call, &b, &grid, dy);
                else
                    add_to_points(call, &b, &grid, dy);
            }
        }
    }
}

const cp_algo cp_algo_max_roi_pool_bins = {.name = "bins", .refuse = refuse, .run = max_roi_pool};
const cp_algo cp_algo_max_roi_pool_gradient_scatter = {
    .name = "scatter", .refuse = refuse, .run = max_roi_pool_gradient};
const cp_algo cp_algo_roi_align_points = {.name = "points", .refuse = refuse, .run = roi_align};
const cp_algo cp_algo_roi_align_gradient_scatter = {.name = "scatter", .refuse = refuse, .run = roi_align_gradient};
