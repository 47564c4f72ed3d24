/* Depthwise convolution, one filter for each channel, and convolution with groups of few channels: rows of outputs that
 * meet the same taps. A depthwise convolution reads the weights as they are; groups want them packed (cp_grouped). The
 * input gradient is the same walk over dy with every stride-th tap, backwards; the weight gradient sums products of x
 * and dy over blocks of outputs. */
#include <string.h>

#include "plan/algos.h"

static const char *refuse(const cp_problem *p) {
    if (p->type != CP_F32) return "needs f32";
    if (p->window.values != CP_PAD_CONSTANT) return "needs padding of zeros";
    if (!cp_segments_possible(&p->window)) return "too long an axis";
    return p->groups != p->channels || p->filters != p->channels ? "needs one filter for each channel" : NULL;
}

static double cost(const cp_problem *p) {
    return (double)p->multiply_adds;
}

/* --- forward and input gradient --- */

/* Channels of a group on the side that is read and on the side that is written, and where the weights of a tap and of a
 * vector of written channels lie. */
typedef struct filters {
    int64_t read, written, tap, vector, lanes;
} filters;

static filters filters_of(const cp_problem *p, bool gradient) {
    const int64_t channels = p->channels / p->groups, of_group = p->filters / p->groups, lanes = p->kernels->lanes;
    const int64_t read = gradient ? of_group : channels, written = gradient ? channels : of_group;
    if (read == 1 && written == 1) return (filters){1, 1, p->channels, 1, 1};
    return (filters){read, written, read * lanes, cp_window_taps(&p->window) * read * lanes, lanes};
}

/* What is prepared: one block, with the segments' lists behind. */
typedef struct row_plan {
    cp_segments segments;
    filters filters;
} row_plan;

static cp_status prepare_rows(const cp_problem *p, cp_prepared *prepared, int flags) {
    const cp_segments_size size = cp_segments_measure(&p->window, flags);
    const int64_t header = cp_round_up(sizeof(row_plan), CP_ALIGN);
    row_plan *r = cp_alloc(NULL, header + size.bytes);
    if (!r) return CP_E_MEMORY;
    cp_segments_make(&r->segments, p, flags, (char *)r + header);
    r->filters = filters_of(p, flags & CP_GRADIENT);
    r->segments.channels = p->groups * r->filters.written;
    prepared->state = r;
    return CP_OK;
}

static cp_status prepare(const cp_problem *p, cp_prepared *prepared) {
    return prepare_rows(p, prepared, 0);
}
static cp_status prepare_input_gradient(const cp_problem *p, cp_prepared *prepared) {
    return prepare_rows(p, prepared, CP_GRADIENT);
}

/* The taps of an axis in the order in which what they meet lies in memory: the first tap, and the distances. */
typedef struct taps {
    int64_t count, read, distance; /* read: of the first one, from the segment's read */
    int64_t tap, step;
} taps;

static taps in_memory_order(const cp_segment *s) {
    const int64_t end = s->taps ? s->taps - 1 : 0;
    if (s->distance >= 0)
        return (taps){.count = s->taps, .read = 0, .distance = s->distance, .tap = s->tap, .step = s->tap_step};
    return (taps){.count = s->taps,
                  .read = end * s->distance,
                  .distance = -s->distance,
                  .tap = s->tap + end * s->tap_step,
                  .step = -s->tap_step};
}

static void run_rows(const cp_problem *p, const cp_depthwise *rows, filters w) {
    if (w.written == 1)
        p->kernels->depthwise(rows);
    else
        p->kernels->grouped(
            &(cp_grouped){.rows = *rows, .w_vector = w.vector, .read = (int)w.read, .written = (int)w.written});
}

static void stretch(void *user, const cp_stretch *s) {
    const cp_call *call = user;
    const cp_problem *p = call->problem;
    const row_plan *prepared = call->prepared->state;
    const cp_segments *segments = &prepared->segments;
    const filters w = prepared->filters;
    const cp_axis *a = p->window.axis;
    const taps z = in_memory_order(s->axis[0]), y = in_memory_order(s->axis[1]), x = in_memory_order(s->axis[2]);
    const int64_t c = p->groups * w.read, written = segments->channels, row = segments->reads[2],
                  plane = segments->reads[1] * row;
    const float *bias = call->in[2];
    cp_depthwise job = {.x = call->in[0],
                        .w = call->in[1],
                        .x_step = s->axis[2]->advance * c,
                        .x_row = y.distance * row * c,
                        .x_column = x.distance * c,
                        .w_row = y.step * a[2].kernel * w.tap,
                        .w_column = x.step * w.tap,
                        .bias = bias ? bias + s->channel : NULL,
                        .y = (float *)call->out[0] + s->write * written + s->channel,
                        .y_step = s->axis[2]->step * written,
                        .pixels = s->axis[2]->count,
                        .rows = y.count,
                        .columns = x.count,
                        .channels = s->channels};
    if (!z.count || !y.count || !x.count) { /* nothing is met: the bias */
        job.rows = 0;
        job.flags = p->relu ? CP_APPLY_RELU : 0;
        run_rows(p, &job, w);
        return;
    }
    const float *from = (const float *)call->in[0] + (s->read + z.read * plane + y.read * row + x.read) * c;
    for (int64_t i = 0; i < z.count; i++) {
        const int64_t tap = ((z.tap + i * z.step) * a[1].kernel + y.tap) * a[2].kernel + x.tap;
        job.x = from + i * z.distance * plane * c + s->channel / w.written * w.read;
        job.w = (const float *)call->in[1] + tap * w.tap + s->channel / w.lanes * w.vector;
        job.flags = (i > 0 ? CP_ACCUMULATE : 0) | (i == z.count - 1 && p->relu ? CP_APPLY_RELU : 0);
        run_rows(p, &job, w);
    }
}

static void run(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const row_plan *prepared = call->prepared->state;
    cp_segments_walk(&prepared->segments, call->problem, id, n, stretch, (void *)call);
}

/* --- weight gradient: rows of outputs in parts, their sums added in order --- */

enum {
    MOST_PARTS = 32,
    OUTPUTS_OF_PART = 512,
    ROWS_TOGETHER = 8, /* of outputs, whose x and dy stay in the cache for all taps */
};

static int64_t rows_of(const cp_problem *p) {
    return p->batch * p->window.axis[0].out * p->window.axis[1].out;
}

/* From the shape alone. */
static int parts_of(const cp_problem *p) {
    const int64_t rows = rows_of(p), outputs = rows * p->window.axis[2].out;
    int64_t parts = outputs / OUTPUTS_OF_PART;
    if (parts > MOST_PARTS) parts = MOST_PARTS;
    if (parts > rows) parts = rows;
    return parts < 1 ? 1 : (int)parts;
}

static int64_t gradient_floats(const cp_problem *p) {
    return cp_window_taps(&p->window) * p->channels;
}

static cp_status prepare_weight_gradient(const cp_problem *p, cp_prepared *prepared) {
    const int parts = parts_of(p);
    if (parts > 1) {
        prepared->scratch = parts * gradient_floats(p) * (int64_t)sizeof(float);
        prepared->phases = 2;
    }
    return prepare_rows(p, prepared, 0);
}

/* The channels that a share has of one part. */
typedef struct columns {
    int64_t first, count;
} columns;

/* Adds to the gradient what one rectangle of outputs contributes: `rows` rows from `row` of segment y on, of segment x.
 */
static void add_products(const cp_call *call, int64_t image, int64_t oz, int64_t oy, int64_t rows, const cp_segment *x,
                         columns channels, float *dw) {
    const cp_problem *p = call->problem;
    const cp_segments *s = &((const row_plan *)call->prepared->state)->segments;
    const cp_axis *a = p->window.axis;
    const cp_segment *z = &s->axis[0][s->at[0][oz]], *y = &s->axis[1][s->at[1][oy]];
    const int64_t c = p->channels, row = a[2].in * c, iz = z->read + (oz - z->first) * z->advance,
                  iy = y->read + (oy - y->first) * y->advance;
    if (!y->taps || !x->taps) return;
    cp_channel_products job = {
        .a_step = x->advance * c,
        .a_row = y->advance * row,
        .a_tap_row = y->distance * row,
        .a_tap = x->distance * c,
        .b = (const float *)call->in[0] + (((image * a[0].out + oz) * a[1].out + oy) * a[2].out + x->first) * c +
             channels.first,
        .b_step = c,
        .b_row = a[2].out * c,
        .rows = rows,
        .pixels = x->count,
        .tap_rows = y->taps,
        .taps = x->taps,
        .y_tap_row = a[2].kernel * c,
        .y_tap = c,
        .channels = channels.count,
    };
    for (int64_t i = 0; i < z->taps; i++) {
        const int64_t tap = ((z->tap + i) * a[1].kernel + y->tap) * a[2].kernel + x->tap;
        job.a = (const float *)call->in[1] + (image * a[0].in + iz + i * z->distance) * a[1].in * row + iy * row +
                x->read * c + channels.first;
        job.y = dw + tap * c + channels.first;
        p->kernels->channel_products(&job);
    }
}

/* The gradient of the rows of outputs [row, last) alone. */
static void sum_rows(const cp_call *call, int64_t row, int64_t last, columns channels, float *dw) {
    const cp_problem *p = call->problem;
    const cp_segments *s = &((const row_plan *)call->prepared->state)->segments;
    const cp_axis *a = p->window.axis;
    for (int64_t t = 0; t < cp_window_taps(&p->window); t++)
        memset(dw + t * p->channels + channels.first, 0, (size_t)channels.count * sizeof *dw);
    for (int64_t together; row < last; row += together) {
        const int64_t y = row % a[1].out, plane = row / a[1].out;
        const cp_segment *alike = &s->axis[1][s->at[1][y]];
        together = alike->first + alike->count - y;
        if (together > ROWS_TOGETHER) together = ROWS_TOGETHER;
        if (together > last - row) together = last - row;
        for (int64_t x = 0; x < s->count[2]; x++)
            add_products(call, plane / a[0].out, plane % a[0].out, y, together, &s->axis[2][x], channels, dw);
    }
}

static void run_weight_gradient(const cp_call *call, int phase, int id, int n) {
    const cp_problem *p = call->problem;
    const int64_t blocks = cp_channel_blocks(p->channels), floats = gradient_floats(p);
    const int parts = parts_of(p);
    float *sums = parts > 1 ? call->scratch : call->out[0], *dw = call->out[0];
    int64_t first, last;
    if (phase == 0) {
        cp_share(parts * blocks, id, n, &first, &last);
        for (int64_t part = first / blocks; part * blocks < last; part++) {
            const int64_t from = first > part * blocks ? first - part * blocks : 0;
            const int64_t to = last < (part + 1) * blocks ? last - part * blocks : blocks;
            int64_t row, end;
            columns channels;
            cp_channel_range(p->channels, from, to, &channels.first, &channels.count);
            cp_share(rows_of(p), (int)part, parts, &row, &end);
            sum_rows(call, row, end, channels, sums + part * floats);
        }
    } else {
        cp_share((floats + 15) / 16, id, n, &first, &last);
        first *= 16;
        last = last * 16 < floats ? last * 16 : floats;
        if (first < last) p->kernels->column_sums(sums + first, floats, parts, last - first, dw + first, 0);
    }
}

/* --- groups of few channels --- */

static const char *refuse_sides(const cp_problem *p, bool gradient) {
    if (p->type != CP_F32) return "needs f32";
    if (p->window.values != CP_PAD_CONSTANT) return "needs padding of zeros";
    if (!p->kernels->grouped) return "needs vectors that can be permuted";
    const filters w = filters_of(p, gradient);
    if ((w.written != 2 && w.written != 4 && w.written != 8) || w.written > p->kernels->lanes)
        return "needs groups of 2, 4 or 8 channels";
    if (w.read > w.written || (w.read & (w.read - 1))) return "reads more channels of a group than it writes";
    if (p->groups * w.written % p->kernels->lanes) return "needs whole vectors of channels";
    return p->window.axis[0].kernel > 1 ? "needs a kernel of depth 1" : NULL;
}
static const char *refuse_groups(const cp_problem *p) {
    return refuse_sides(p, false);
}
static const char *refuse_groups_input_gradient(const cp_problem *p) {
    return refuse_sides(p, true);
}

/* A permutation for every few multiplications. */
static double cost_groups(const cp_problem *p) {
    return 1.5 * (double)p->multiply_adds;
}

static cp_status prepare_packed(const cp_problem *p, cp_prepared *prepared, int flags) {
    const filters w = filters_of(p, flags & CP_GRADIENT);
    prepared->packed = cp_window_taps(&p->window) * p->groups * w.written * w.read * (int64_t)sizeof(float);
    return prepare_rows(p, prepared, flags);
}
static cp_status prepare_groups(const cp_problem *p, cp_prepared *prepared) {
    return prepare_packed(p, prepared, 0);
}
static cp_status prepare_groups_input_gradient(const cp_problem *p, cp_prepared *prepared) {
    return prepare_packed(p, prepared, CP_GRADIENT);
}

/* Stride and dilation 1 and nine taps: two rows of outputs share what they read. */
static bool is_3x3(const cp_problem *p) {
    const cp_axis *a = p->window.axis;
    for (int i = 1; i < CP_MAX_AXES; i++)
        if (a[i].kernel != 3 || a[i].stride != 1 || a[i].dilation != 1) return false;
    return a[0].stride == 1 && !a[0].before && a[0].in == a[0].out;
}

/* The rows or columns [*first, *last) of a window of so many, beginning at `begin`, that exist. */
static void existing(int64_t begin, int64_t count, int64_t size, int64_t *first, int64_t *last) {
    *first = begin < 0 ? -begin : 0;
    *last = size - begin < count ? size - begin : count;
}

/* Pairs of rows. The gradient is the convolution of dy with the taps turned around, as they were packed. */
static void run_3x3(const cp_call *call, bool gradient, int id, int n) {
    const cp_problem *p = call->problem;
    const filters w = filters_of(p, gradient);
    const cp_axis *y = &p->window.axis[1], *x = &p->window.axis[2];
    const int64_t rows = gradient ? y->in : y->out, width = gradient ? x->in : x->out,
                  height_read = gradient ? y->out : y->in, width_read = gradient ? x->out : x->in,
                  top = gradient ? y->before - 2 : -y->before, left = gradient ? x->before - 2 : -x->before,
                  read = p->groups * w.read, written = p->groups * w.written, pairs = (rows + 1) / 2;
    cp_grouped_3x3 job = {.x_row = width_read * read,
                          .x_step = read,
                          .w = call->in[1],
                          .w_vector = w.vector,
                          .bias = call->in[2],
                          .y_row = width * written,
                          .y_step = written,
                          .pixels = width,
                          .channels = written,
                          .read = (int)w.read,
                          .written = (int)w.written,
                          .flags = p->relu ? CP_APPLY_RELU : 0};
    existing(left, width + 2, width_read, &job.first_column, &job.last_column);
    int64_t first, last;
    cp_share(p->batch * p->window.axis[0].out * pairs, id, n, &first, &last);
    for (int64_t u = first; u < last; u++) {
        const int64_t image = u / pairs, row = u % pairs * 2;
        job.rows = row + 2 <= rows ? 2 : 1;
        existing(row + top, job.rows + 2, height_read, &job.first_row, &job.last_row);
        job.x = (const float *)call->in[0] + ((image * height_read + row + top) * width_read + left) * read;
        job.y = (float *)call->out[0] + (image * rows + row) * width * written;
        p->kernels->grouped_3x3(&job);
    }
}
static void run_groups(const cp_call *call, int phase, int id, int n) {
    if (is_3x3(call->problem))
        run_3x3(call, false, id, n);
    else
        run(call, phase, id, n);
}
static void run_groups_input_gradient(const cp_call *call, int phase, int id, int n) {
    if (is_3x3(call->problem))
        run_3x3(call, true, id, n);
    else
        run(call, phase, id, n);
}

/* packed[vector][tap][j][lane], with 3x3 taps of a gradient from the last to the first: the weight between channel j of
 * the lane's group on the side that is read and the lane's channel on the side that is written. */
static void pack(const cp_call *call, bool gradient, int id, int n) {
    const cp_problem *p = call->problem;
    const filters w = filters_of(p, gradient);
    const int64_t channels = p->channels / p->groups, of_group = p->filters / p->groups,
                  all = cp_window_taps(&p->window);
    const bool turned = gradient && is_3x3(p);
    const float *from = call->in[1];
    int64_t first, last;
    cp_share(p->groups * w.written / w.lanes, id, n, &first, &last);
    float *to = (float *)call->out[0] + first * w.vector;
    for (int64_t v = first; v < last; v++)
        for (int64_t i = 0; i < all; i++)
            for (int64_t j = 0; j < w.read; j++)
                for (int64_t o = v * w.lanes; o < (v + 1) * w.lanes; o++) {
                    const int64_t t = turned ? all - 1 - i : i;
                    const int64_t channel = gradient ? o % w.written : j;
                    const int64_t filter = gradient ? o / w.written * of_group + j : o;
                    *to++ = from[(t * channels + channel) * p->filters + filter];
                }
}
static void pack_groups(const cp_call *call, int id, int n) {
    pack(call, false, id, n);
}
static void pack_groups_input_gradient(const cp_call *call, int id, int n) {
    pack(call, true, id, n);
}

const cp_algo cp_algo_grouped = {.name = "grouped",
                                 .refuse = refuse_groups,
                                 .cost = cost_groups,
                                 .prepare = prepare_groups,
                                 .pack = pack_groups,
                                 .run = run_groups};
const cp_algo cp_algo_grouped_input_gradient = {.name = "grouped",
                                                .refuse = refuse_groups_input_gradient,
                                                .cost = cost_groups,
                                                .prepare = prepare_groups_input_gradient,
                                                .pack = pack_groups_input_gradient,
                                                .run = run_groups_input_gradient};

const cp_algo cp_algo_depthwise = {.name = "depthwise", .refuse = refuse, .cost = cost, .prepare = prepare, .run = run};
const cp_algo cp_algo_depthwise_input_gradient = {
    .name = "depthwise", .refuse = refuse, .cost = cost, .prepare = prepare_input_gradient, .run = run};
const cp_algo cp_algo_depthwise_weight_gradient = {.name = "depthwise",
                                                   .refuse = refuse,
                                                   .cost = cost,
                                                   .prepare = prepare_weight_gradient,
                                                   .run = run_weight_gradient};
