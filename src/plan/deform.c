/* Deformable convolution in f32, and its gradients. What the taps see is interpolated into a block of columns, taps *
 * channels for each of some pixels, which the tile then multiplies by the weights; backward the tile multiplies the
 * gradient by the transposed weights, tap by tap, and the products are spread over the pixels that the tap saw between,
 * or multiplied by them. */
#include "plan/algos.h"

#include <string.h>

enum { BLOCK = 32, CHANNELS = 64 }; /* pixels and channels that backward passes do at once */

typedef struct deform {
    int64_t step;                  /* columns of a pixel */
    int64_t block;                 /* pixels whose columns are made at once */
    cp_run *runs;                  /* of the tile: the taps in the columns */
    int64_t (*reach)[CP_MAX_AXES]; /* of each tap */
} deform;

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* A block of columns must be something that memory can hold. */
static const char *refuse_columns(const cp_problem *p) {
    enum { MOST_COLUMNS = 1 << 30 };
    return refuse(p) ? refuse(p) : cp_window_taps(&p->window) > MOST_COLUMNS / p->channels ? "too many columns" : NULL;
}

static double cost(const cp_problem *p) {
    const int64_t columns = p->filters / p->groups;
    return (double)p->multiply_adds * (double)cp_round_up(columns, p->kernels->lanes) / (double)columns;
}

static double cost_gradient(const cp_problem *p) {
    const int64_t columns = p->channels / p->groups;
    return (double)p->multiply_adds * (double)cp_round_up(columns, p->kernels->lanes) / (double)columns;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t pixels(const cp_problem *p) {
    return p->batch * cp_window_outputs(&p->window);
}

/* --- what a tap sees --- */

/* A pixel of all outputs. */
typedef struct place {
    int64_t pixel, image, origin[CP_MAX_AXES];
} place;

static place place_of(const cp_problem *p, int64_t pixel) {
    const int64_t O = cp_window_outputs(&p->window);
    place at = {.pixel = pixel, .image = pixel / O};
    cp_window_origin(&p->window, pixel - at.image * O, at.origin);
    return at;
}

/* Pixels of one image, as the kernels take them: offsets in floats from the image. */
typedef struct view {
    int count;
    int64_t offset[CP_MAX_CORNERS], size[CP_MAX_AXES];
    float weight[CP_MAX_CORNERS], mask; /* the weight without the mask */
    double point[CP_MAX_AXES];
} view;

/* What tap t, which reaches so far, sees at a place of the channels of an offset group. mask: NULL where all are 1. */
static inline void look(const cp_problem *p, const float *offset, const float *mask, const place *at, int64_t group,
                        int64_t t, const int64_t reach[CP_MAX_AXES], view *v) {
    const cp_window *w = &p->window;
    const int64_t number = (at->pixel * p->offset_groups + group) * cp_window_taps(w) + t;
    cp_corners corners;
    for (int d = 0; d < CP_MAX_AXES; d++) {
        const int axis = d - (CP_MAX_AXES - w->axes);
        v->size[d] = w->axis[d].in;
        v->point[d] = (double)(at->origin[d] + reach[d]) + (axis < 0 ? 0 : (double)offset[number * w->axes + axis]);
    }
    cp_corners_of(&corners, v->size, v->point);
    v->count = corners.count;
    v->mask = mask ? mask[number] : 1;
    for (int i = 0; i < v->count; i++) {
        v->offset[i] = corners.at[i] * p->channels;
        v->weight[i] = (float)corners.weight[i];
    }
}

/* The weights times the mask. */
static const float *masked(const view *v, float weight[CP_MAX_CORNERS]) {
    for (int i = 0; i < v->count; i++) weight[i] = v->mask * v->weight[i];
    return weight;
}

/* A piece of the channels from `first` on, before `end`, that has the same offsets. */
static int64_t piece(const cp_problem *p, int64_t first, int64_t end, int64_t *group) {
    const int64_t of_offsets = p->channels / p->offset_groups;
    *group = first / of_offsets;
    return least((*group + 1) * of_offsets, end) - first;
}

static int64_t image_floats(const cp_problem *p) {
    return cp_window_inputs(&p->window) * p->channels;
}

/* Channels first .. end - 1 as tap t sees them at a place. */
static void gather(const cp_problem *p, const float *x, const float *offset, const float *mask, const place *at,
                   int64_t t, const int64_t reach[CP_MAX_AXES], int64_t first, int64_t end, float *to) {
    float weight[CP_MAX_CORNERS];
    view v;
    for (int64_t c = first, group, channels; c < end; c += channels) {
        channels = piece(p, c, end, &group);
        look(p, offset, mask, at, group, t, reach, &v);
        p->kernels->blend(x + at->image * image_floats(p) + c, v.offset, masked(&v, weight), v.count, to + c - first,
                          channels, 0);
    }
}

/* --- forward --- */

static cp_status prepare(const cp_problem *p, cp_prepared *prepared) {
    enum { BLOCK_BYTES = 192 << 10, MOST_PIXELS = 96 };
    const int64_t T = cp_window_taps(&p->window);
    const cp_panels panels = cp_weight_panels(p);
    deform *d = cp_zalloc(NULL, (int64_t)sizeof *d + T * (int64_t)(sizeof *d->runs + sizeof *d->reach));
    if (!d) return CP_E_MEMORY;
    d->runs = (cp_run *)(d + 1);
    d->reach = (int64_t(*)[CP_MAX_AXES])(d->runs + T);
    d->step = T * p->channels;
    d->block = BLOCK_BYTES / (int64_t)sizeof(float) / d->step;
    if (d->block > MOST_PIXELS) d->block = MOST_PIXELS;
    if (d->block < p->kernels->rows[p->kernels->vectors]) d->block = p->kernels->rows[p->kernels->vectors];
    for (int64_t t = 0; t < T; t++) {
        d->runs[t] = (cp_run){t * p->channels, t * (p->channels / p->groups)};
        cp_window_reach(&p->window, t, d->reach[t]);
    }
    prepared->state = d;
    prepared->scratch_of_share = cp_round_up(d->block * d->step * (int64_t)sizeof(float), CP_ALIGN);
    prepared->packed = cp_panels_floats(&panels) * (int64_t)sizeof(float);
    return CP_OK;
}

static void pack(const cp_call *call, int id, int n) {
    const cp_panels panels = cp_weight_panels(call->problem);
    cp_panels_pack(&panels, call->problem->kernels, call->in[1], call->out[0], id, n);
}

/* One panel of filters for `count` pixels with their columns. */
static void multiply(const cp_call *call, const cp_panels *panels, int64_t group, int64_t panel, const float *columns,
                     int64_t pixel, int64_t count) {
    const cp_problem *p = call->problem;
    const deform *d = call->prepared->state;
    const int lanes = p->kernels->lanes;
    const int64_t T = cp_window_taps(&p->window), C = p->channels / p->groups;
    const int64_t filter = group * panels->columns + panel * panels->width, width = cp_panel_width(panels, panel);
    const int64_t vectors = width / lanes;
    const float *bias = call->in[3];
    cp_tile tile = {.a_step = d->step,
                    .b = (const float *)call->in[1] + cp_panel_offset(panels, group, panel),
                    .runs = d->runs,
                    .run_count = p->groups == 1 ? 1 : T,
                    .run_length = p->groups == 1 ? T * C : C,
                    .c_step = p->filters,
                    .bias = bias ? bias + filter : NULL,
                    .tail = (int)(cp_panel_columns(panels, panel) - (vectors - 1) * lanes),
                    .flags = p->relu ? CP_APPLY_RELU : 0};
    for (int64_t i = 0, rows; i < count; i += rows) {
        rows = least(count - i, p->kernels->rows[vectors]);
        tile.a = columns + i * d->step + group * C;
        tile.c = (float *)call->out[0] + (pixel + i) * p->filters + filter;
        p->kernels->tile[rows][vectors](&tile);
    }
}

static void forward(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const deform *d = call->prepared->state;
    const cp_panels panels = cp_weight_panels(p);
    const int64_t T = cp_window_taps(&p->window), all = pixels(p);
    int64_t unit, last;
    cp_share((all + d->block - 1) / d->block, id, n, &unit, &last);
    float *columns = cp_share_scratch(call, id);
    for (; unit < last; unit++) {
        const int64_t pixel = unit * d->block, count = least(d->block, all - pixel);
        for (int64_t i = 0; i < count; i++) {
            const place at = place_of(p, pixel + i);
            for (int64_t t = 0; t < T; t++)
                gather(p, call->in[0], call->in[2], call->in[4], &at, t, d->reach[t], 0, p->channels,
                       columns + i * d->step + t * p->channels);
        }
        for (int64_t group = 0; group < p->groups; group++)
            for (int64_t panel = 0; panel < panels.count; panel++)
                multiply(call, &panels, group, panel, columns, pixel, count);
    }
}

/* --- backward: products of the gradient and the transposed weights, a tap and a panel of channels at a time --- */

/* The transposed weights: for each tap of each group [filters][channels]. */
static cp_panels transposed_panels(const cp_problem *p) {
    const int64_t T = cp_window_taps(&p->window);
    return cp_panels_of(p->kernels, p->groups * T, p->filters / p->groups, p->channels / p->groups);
}

static cp_status prepare_transposed(const cp_problem *p, cp_prepared *prepared) {
    const cp_panels panels = transposed_panels(p);
    prepared->packed = cp_panels_floats(&panels) * (int64_t)sizeof(float);
    return CP_OK;
}

static void pack_transposed(const cp_call *call, int id, int n) {
    const cp_problem *p = call->problem;
    const cp_panels panels = transposed_panels(p);
    const int64_t T = cp_window_taps(&p->window);
    int64_t unit, last;
    cp_share(panels.groups * panels.count, id, n, &unit, &last);
    for (; unit < last; unit++) {
        const int64_t t = unit / panels.count % T, group = unit / panels.count / T, panel = unit % panels.count;
        const int64_t width = cp_panel_width(&panels, panel), first = panel * panels.width;
        const float *w = (const float *)call->in[1] + (t * panels.columns + first) * p->filters + group * panels.rows;
        p->kernels->pack(w, 1, p->filters, panels.rows, cp_panel_columns(&panels, panel), width,
                         (float *)call->out[0] + cp_panel_offset(&panels, group * T + t, panel));
    }
}

/* The gradient by what tap t of `count` pixels sees of one panel of channels: [count][width of the panel]. */
static void gradient_of_seen(const cp_call *call, const cp_panels *panels, int64_t group, int64_t panel, int64_t t,
                             int64_t pixel, int64_t count, float *to) {
    static const cp_run whole = {0, 0};
    const cp_problem *p = call->problem;
    const int lanes = p->kernels->lanes;
    const int64_t width = cp_panel_width(panels, panel), vectors = width / lanes;
    cp_tile tile = {.a_step = p->filters,
                    .b = (const float *)call->in[1] +
                         cp_panel_offset(panels, group * cp_window_taps(&p->window) + t, panel),
                    .runs = &whole,
                    .run_count = 1,
                    .run_length = panels->rows,
                    .c_step = width,
                    .tail = lanes};
    for (int64_t i = 0, rows; i < count; i += rows) {
        rows = least(count - i, p->kernels->rows[vectors]);
        tile.a = (const float *)call->in[0] + (pixel + i) * p->filters + group * panels->rows;
        tile.c = to + i * width;
        p->kernels->tile[rows][vectors](&tile);
    }
}

/* The first channel of a panel, and the one behind its last. */
static void panel_channels(const cp_panels *panels, int64_t group, int64_t panel, int64_t *first, int64_t *end) {
    *first = group * panels->columns + panel * panels->width;
    *end = *first + cp_panel_columns(panels, panel);
}

/* Of one image and panel, in the order of the outputs. */
static void spread_image(const cp_call *call, const cp_panels *panels, int64_t image, int64_t group, int64_t panel) {
    const cp_problem *p = call->problem;
    const int64_t I = cp_window_inputs(&p->window), O = cp_window_outputs(&p->window), T = cp_window_taps(&p->window);
    const int64_t width = cp_panel_width(panels, panel);
    float *dx = (float *)call->out[0] + image * I * p->channels;
    float seen[BLOCK * CHANNELS], weight[CP_MAX_CORNERS];
    int64_t first, end, reach[CP_MAX_AXES];
    view v;
    panel_channels(panels, group, panel, &first, &end);
    for (int64_t i = 0; i < I; i++) memset(dx + i * p->channels + first, 0, (size_t)(end - first) * sizeof *dx);
    for (int64_t o = 0; o < O; o += BLOCK)
        for (int64_t t = 0; t < T; t++) {
            const int64_t count = least(BLOCK, O - o);
            gradient_of_seen(call, panels, group, panel, t, image * O + o, count, seen);
            cp_window_reach(&p->window, t, reach);
            for (int64_t i = 0; i < count; i++) {
                const place at = place_of(p, image * O + o + i);
                for (int64_t c = first, of, channels; c < end; c += channels) {
                    channels = piece(p, c, end, &of);
                    look(p, call->in[2], call->in[3], &at, of, t, reach, &v);
                    p->kernels->spread(seen + i * width + c - first, v.offset, masked(&v, weight), v.count, dx + c,
                                       channels);
                }
            }
        }
}

static void input_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_panels panels = transposed_panels(p);
    int64_t unit, last;
    cp_share(p->batch * p->groups * panels.count, id, n, &unit, &last);
    for (; unit < last; unit++)
        spread_image(call, &panels, unit / panels.count / p->groups, unit / panels.count % p->groups,
                     unit % panels.count);
}

/* Adds what one panel of channels contributes to the gradients by offset and mask of tap t at a place. */
static void add_products(const cp_call *call, const float *seen, const place *at, int64_t t,
                         const int64_t reach[CP_MAX_AXES], int64_t first, int64_t end) {
    const cp_problem *p = call->problem;
    const int axes = p->window.axes;
    const float *x = (const float *)call->in[2] + at->image * image_floats(p);
    float *doffset = call->out[0], *dmask = call->out[1], product[CP_MAX_CORNERS];
    double slope[CP_MAX_CORNERS][CP_MAX_AXES];
    view v;
    for (int64_t c = first, group, channels; c < end; c += channels) {
        channels = piece(p, c, end, &group);
        look(p, call->in[3], call->in[4], at, group, t, reach, &v);
        p->kernels->products(seen + c - first, x + c, v.offset, v.count, channels, product);
        cp_corner_slopes(slope, v.size, v.point);
        const int64_t number = (at->pixel * p->offset_groups + group) * cp_window_taps(&p->window) + t;
        for (int i = 0; i < v.count; i++) {
            if (dmask) dmask[number] += v.weight[i] * product[i];
            for (int d = 0; doffset && d < axes; d++)
                doffset[number * axes + d] += v.mask * (float)slope[i][CP_MAX_AXES - axes + d] * product[i];
        }
    }
}

static void offset_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_panels panels = transposed_panels(p);
    const int64_t T = cp_window_taps(&p->window), all = pixels(p), of_pixel = p->offset_groups * T;
    float seen[BLOCK * CHANNELS], *doffset = call->out[0], *dmask = call->out[1];
    int64_t unit, last;
    cp_share((all + BLOCK - 1) / BLOCK, id, n, &unit, &last);
    for (; unit < last; unit++) {
        const int64_t pixel = unit * BLOCK, count = least(BLOCK, all - pixel);
        const size_t zeros = (size_t)(count * of_pixel) * sizeof(float);
        if (doffset) memset(doffset + pixel * of_pixel * p->window.axes, 0, zeros * (size_t)p->window.axes);
        if (dmask) memset(dmask + pixel * of_pixel, 0, zeros);
        for (int64_t s = 0; s < p->groups * T * panels.count; s++) {
            const int64_t panel = s % panels.count, t = s / panels.count % T, group = s / panels.count / T;
            int64_t first, end, reach[CP_MAX_AXES];
            panel_channels(&panels, group, panel, &first, &end);
            cp_window_reach(&p->window, t, reach);
            gradient_of_seen(call, &panels, group, panel, t, pixel, count, seen);
            for (int64_t i = 0; i < count; i++) {
                const place at = place_of(p, pixel + i);
                add_products(call, seen + i * cp_panel_width(&panels, panel), &at, t, reach, first, end);
            }
        }
    }
}

/* --- weights: for each tap and block of channels what is seen, by the gradient, summed over the pixels --- */

/* Adds the outer products of `count` pixels: `channels` columns by one panel of filters, whose gradient lies at dy. */
static void add_outer(const cp_problem *p, const float *columns, int64_t channels, const float *dy, int64_t count,
                      int64_t filters, float *dw) {
    float panel[BLOCK * CHANNELS] __attribute__((aligned(CP_ALIGN)));
    const int lanes = p->kernels->lanes;
    const int64_t width = cp_round_up(filters, lanes), vectors = width / lanes;
    p->kernels->pack(dy, p->filters, 1, count, filters, width, panel);
    cp_outer job = {.a_step = channels,
                    .b = panel,
                    .b_step = width,
                    .rows = 1,
                    .pixels = count,
                    .c_step = p->filters,
                    .tail = (int)(filters - (vectors - 1) * lanes),
                    .flags = CP_ACCUMULATE};
    for (int64_t c = 0, rows; c < channels; c += rows) {
        rows = least(channels - c, p->kernels->rows[vectors]);
        job.a = columns + c;
        job.c = dw + c * p->filters;
        p->kernels->outer[rows][vectors](&job);
    }
}

/* Rows `first` .. `first + channels - 1` of tap t and group. */
static void weight_rows(const cp_call *call, int64_t t, int64_t group, int64_t first, int64_t channels) {
    const cp_problem *p = call->problem;
    const int64_t C = p->channels / p->groups, K = p->filters / p->groups, all = pixels(p);
    const int64_t width = (int64_t)p->kernels->vectors * p->kernels->lanes, channel = group * C + first;
    float columns[BLOCK * CHANNELS], *dw = (float *)call->out[0] + (t * C + first) * p->filters + group * K;
    int64_t reach[CP_MAX_AXES];
    cp_window_reach(&p->window, t, reach);
    for (int64_t c = 0; c < channels; c++) memset(dw + c * p->filters, 0, (size_t)K * sizeof *dw);
    for (int64_t pixel = 0; pixel < all; pixel += BLOCK) {
        const int64_t count = least(BLOCK, all - pixel);
        for (int64_t i = 0; i < count; i++) {
            const place at = place_of(p, pixel + i);
            gather(p, call->in[1], call->in[2], call->in[3], &at, t, reach, channel, channel + channels,
                   columns + i * channels);
        }
        for (int64_t k = 0; k < K; k += width)
            add_outer(p, columns, channels, (const float *)call->in[0] + pixel * p->filters + group * K + k, count,
                      least(width, K - k), dw + k);
    }
}

static void weight_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int64_t T = cp_window_taps(&p->window), C = p->channels / p->groups, blocks = (C + CHANNELS - 1) / CHANNELS;
    int64_t unit, last;
    cp_share(T * p->groups * blocks, id, n, &unit, &last);
    for (; unit < last; unit++) {
        const int64_t first = unit % blocks * CHANNELS;
        weight_rows(call, unit / blocks / p->groups, unit / blocks % p->groups, first, least(CHANNELS, C - first));
    }
}

const cp_algo cp_algo_deform_conv_columns = {
    .name = "columns", .refuse = refuse_columns, .cost = cost, .prepare = prepare, .pack = pack, .run = forward};
const cp_algo cp_algo_deform_conv_input_gradient_corners = {.name = "corners",
                                                            .refuse = refuse,
                                                            .cost = cost_gradient,
                                                            .prepare = prepare_transposed,
                                                            .pack = pack_transposed,
                                                            .run = input_gradient};
const cp_algo cp_algo_deform_conv_offset_gradient_corners = {.name = "corners",
                                                             .refuse = refuse,
                                                             .cost = cost_gradient,
                                                             .prepare = prepare_transposed,
                                                             .pack = pack_transposed,
                                                             .run = offset_gradient};
const cp_algo cp_algo_deform_conv_weight_gradient_columns = {
    .name = "columns", .refuse = refuse, .cost = cost, .run = weight_gradient};
