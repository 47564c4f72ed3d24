/* Adaptive and fractional pooling: each output on its own, the channels side by side where their windows are the same;
 * maxima note where they were, and their gradient is added there. */
#include "plan/algos.h"

#include <math.h>
#include <string.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* --- maxima --- */

enum { CHANNELS = 64, FEW = 256 }; /* that are done at once: as many pixels as a byte can number */

typedef struct maxima {
    float best[CHANNELS];
    int32_t place[CHANNELS]; /* -1: none yet */
} maxima;

/* The maxima of some more pixels, `places` in their order. */
static void take_pixels(const cp_kernels *kernels, const float *x, int64_t C, const int32_t *places, int count,
                        int64_t channels, maxima *m) {
    int64_t offset[FEW];
    uint8_t id[FEW], index[CHANNELS];
    float seen[CHANNELS];
    for (int t = 0; t < count; t++) {
        offset[t] = places[t] * C;
        id[t] = (uint8_t)t;
    }
    kernels->max_pool(&(cp_pool_row){.x = x,
                                     .offset = offset,
                                     .id = id,
                                     .taps = count,
                                     .y = seen,
                                     .index = index,
                                     .pixels = 1,
                                     .channels = channels});
    for (int64_t k = 0; k < channels; k++)
        if (m->place[k] < 0 || seen[k] > m->best[k] || (isnan(seen[k]) && !isnan(m->best[k]))) {
            m->best[k] = seen[k];
            m->place[k] = places[index[k]];
        }
}

static void max_of_channels(const cp_kernels *kernels, const cp_box *box, const float *x, int64_t C, int64_t channels,
                            float nothing, maxima *m) {
    int32_t places[FEW];
    int64_t tap;
    int count = 0;
    for (int64_t k = 0; k < channels; k++) {
        m->best[k] = nothing;
        m->place[k] = -1;
    }
    for (int64_t r = 0; r < cp_box_rows(box); r++) {
        const int64_t row = cp_box_row(box, r, &tap);
        for (int64_t i = 0; i < box->axis[2].count; i++) {
            if (count == FEW) {
                take_pixels(kernels, x, C, places, count, channels, m);
                count = 0;
            }
            places[count++] = (int32_t)(row + i);
        }
    }
    if (count) take_pixels(kernels, x, C, places, count, channels, m);
}

void cp_max_of_box(const cp_kernels *kernels, const cp_box *box, const float *x, int64_t C, int64_t first, int64_t last,
                   float nothing, float *y, int32_t *position) {
    for (int64_t c = first; c < last; c += CHANNELS) {
        const int64_t channels = last - c < CHANNELS ? last - c : CHANNELS;
        maxima m;
        max_of_channels(kernels, box, x + c, C, channels, nothing, &m);
        if (y) memcpy(y + c, m.best, (size_t)channels * sizeof *y);
        if (position) memcpy(position + c, m.place, (size_t)channels * sizeof *position);
    }
}

/* Windows that are drawn: by each channel of each image for itself, or once. */
static bool channels_differ(const cp_problem *p) {
    return p->spans.fractional == CP_FRACTIONAL_PYTORCH;
}

static cp_status prepare_spans(const cp_problem *p, cp_prepared *prepared) {
    const int64_t draws = channels_differ(p) ? p->batch * p->channels : 1;
    prepared->scratch = draws * CP_MAX_AXES * (int64_t)sizeof(double);
    prepared->phases = 2;
    return CP_OK;
}

static void draw_spans(const cp_call *call, int id, int n) {
    const cp_problem *p = call->problem;
    const cp_random_key key = {.seed = call->seed, .stream = p->layer, .step = call->step};
    double(*u)[CP_MAX_AXES] = call->scratch;
    int64_t at, last;
    cp_share(channels_differ(p) ? p->batch * p->channels : 1, id, n, &at, &last);
    for (; at < last; at++) cp_ref_span_draw(&p->spans, &key, at / p->channels, at % p->channels, p->channels, u[at]);
}

static void span_max_pool(const cp_call *call, int phase, int id, int n) {
    const cp_problem *p = call->problem;
    const int64_t C = p->channels, I = cp_spans_inputs(&p->spans), O = cp_spans_outputs(&p->spans);
    const double(*u)[CP_MAX_AXES] = call->scratch;
    int64_t at, end;
    if (phase == 0) {
        draw_spans(call, id, n);
        return;
    }
    cp_share(p->batch * O, id, n, &at, &end);
    for (; at < end; at++) {
        const float *x = (const float *)call->in[0] + at / O * I * C;
        float *y = call->out[0] ? (float *)call->out[0] + at * C : NULL;
        int32_t *position = call->out[1] ? (int32_t *)call->out[1] + at * C : NULL;
        for (int64_t c = 0, next; c < C; c = next) {
            const cp_box box = cp_spans_box(&p->spans, at % O, u[channels_differ(p) ? at / O * C + c : 0]);
            next = channels_differ(p) ? c + 1 : C;
            cp_max_of_box(p->kernels, &box, x, C, c, next, -INFINITY, y, position);
        }
    }
}

/* Outputs one after another, so that sums do not depend on the shares: images are what is shared, and blocks of
 * channels. */
static void position_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int64_t N = p->out[0].dim[0], C = p->out[0].dim[p->out[0].rank - 1], blocks = cp_channel_blocks(C);
    const int64_t I = N ? cp_shape_count(p->out[0]) / N / C : 0, O = N ? cp_shape_count(p->in[0]) / N / C : 0;
    int64_t begin, end;
    cp_share(N * blocks, id, n, &begin, &end);
    for (int64_t s = begin; s < end; s++) {
        const float *dy = (const float *)call->in[0] + s / blocks * O * C;
        const int32_t *position = (const int32_t *)call->in[1] + s / blocks * O * C;
        float *dx = (float *)call->out[0] + s / blocks * I * C;
        int64_t first, channels;
        cp_channel_range(C, s % blocks, s % blocks + 1, &first, &channels);
        for (int64_t i = 0; i < I; i++) memset(dx + i * C + first, 0, (size_t)channels * sizeof *dx);
        for (int64_t o = 0; o < O; o++)
            for (int64_t c = first; c < first + channels; c++) {
                const int64_t i = position[o * C + c];
                if (i >= 0 && i < I) dx[i * C + c] += dy[o * C + c];
            }
    }
}

/* --- averages --- */

static void add(float *to, const float *from, int64_t n) {
    for (int64_t c = 0; c < n; c++) to[c] += from[c];
}

static void adaptive_average_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int64_t C = p->channels, I = cp_spans_inputs(&p->spans), O = cp_spans_outputs(&p->spans);
    const double none[CP_MAX_AXES] = {0};
    int64_t begin, end, tap;
    cp_share(p->batch * O, id, n, &begin, &end);
    for (int64_t at = begin; at < end; at++) {
        const float *x = (const float *)call->in[0] + at / O * I * C;
        float *y = (float *)call->out[0] + at * C;
        const cp_box box = cp_spans_box(&p->spans, at % O, none);
        const float factor = 1 / (float)cp_box_count(&box);
        for (int64_t c = 0; c < C; c++) y[c] = 0;
        for (int64_t r = 0; r < cp_box_rows(&box); r++) {
            const int64_t row = cp_box_row(&box, r, &tap);
            for (int64_t i = row; i < row + box.axis[2].count; i++) add(y, x + i * C, C);
        }
        for (int64_t c = 0; c < C; c++) y[c] *= factor;
    }
}

/* The outputs that see input i, a box of them. */
static void seen_by(const cp_spans *s, int64_t i, cp_span by[CP_MAX_AXES]) {
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        by[d] = cp_span_from(s, d, i % s->axis[d].in);
        i /= s->axis[d].in;
    }
}

static void adaptive_average_pool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_spans *s = &p->spans;
    const int64_t C = p->channels, I = cp_spans_inputs(s), O = cp_spans_outputs(s);
    const double none[CP_MAX_AXES] = {0};
    int64_t begin, end;
    cp_share(p->batch * I, id, n, &begin, &end);
    for (int64_t at = begin; at < end; at++) {
        const float *dy = (const float *)call->in[0] + at / I * O * C;
        float *dx = (float *)call->out[0] + at * C;
        cp_span by[CP_MAX_AXES];
        seen_by(s, at % I, by);
        for (int64_t c = 0; c < C; c++) dx[c] = 0;
        for (int64_t z = by[0].begin; z < by[0].end; z++)
            for (int64_t y = by[1].begin; y < by[1].end; y++)
                for (int64_t x = by[2].begin; x < by[2].end; x++) {
                    const int64_t o = (z * s->axis[1].out + y) * s->axis[2].out + x;
                    const cp_box box = cp_spans_box(s, o, none);
                    const float factor = 1 / (float)cp_box_count(&box);
                    for (int64_t c = 0; c < C; c++) dx[c] += factor * dy[o * C + c];
                }
    }
}

const cp_algo cp_algo_span_max_pool_boxes = {
    .name = "boxes", .refuse = refuse, .prepare = prepare_spans, .run = span_max_pool};
const cp_algo cp_algo_position_gradient_scatter = {.name = "scatter", .refuse = refuse, .run = position_gradient};
const cp_algo cp_algo_adaptive_average_pool_boxes = {.name = "boxes", .refuse = refuse, .run = adaptive_average_pool};
const cp_algo cp_algo_adaptive_average_pool_gather = {
    .name = "gather", .refuse = refuse, .run = adaptive_average_pool_gradient};
