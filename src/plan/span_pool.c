/* Adaptive and fractional pooling: each output on its own, the channels side by side where their windows are the same;
 * maxima note where they were, and their gradient is added there. */
#include "plan/algos.h"

#include <math.h>
#include <string.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* --- maxima --- */

/* Channels first .. last - 1 of one output; y, position: those of channel 0, or NULL. x: the image. */
static void max_of_box(const cp_box *box, const float *x, int64_t C, int64_t first, int64_t last, float *y,
                       int32_t *position) {
    for (int64_t c = first; c < last; c++) {
        int64_t tap, place = -1; /* none yet */
        float best = -INFINITY;
        for (int64_t r = 0; r < cp_box_rows(box); r++) {
            const int64_t row = cp_box_row(box, r, &tap);
            for (int64_t i = row; i < row + box->axis[2].count; i++) {
                const float seen = x[i * C + c];
                if (place >= 0 && !(seen > best || (isnan(seen) && !isnan(best)))) continue;
                best = seen;
                place = i;
            }
        }
        if (y) y[c] = best;
        if (position) position[c] = (int32_t)place;
    }
}

static void uniform_numbers(const cp_call *call, int64_t n, int64_t c, double u[CP_MAX_AXES]) {
    const cp_random_key key = {.seed = call->seed, .stream = call->problem->layer, .step = call->step};
    cp_ref_span_draw(&call->problem->spans, &key, n, c, call->problem->channels, u);
}

static void span_max_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int64_t C = p->channels, I = cp_spans_inputs(&p->spans), O = cp_spans_outputs(&p->spans);
    const bool channels_differ = p->spans.fractional == CP_FRACTIONAL_PYTORCH;
    int64_t begin, end;
    cp_share(p->batch * O, id, n, &begin, &end);
    for (int64_t at = begin; at < end; at++) {
        const float *x = (const float *)call->in[0] + at / O * I * C;
        float *y = call->out[0] ? (float *)call->out[0] + at * C : NULL;
        int32_t *position = call->out[1] ? (int32_t *)call->out[1] + at * C : NULL;
        for (int64_t c = 0, next; c < C; c = next) {
            double u[CP_MAX_AXES];
            uniform_numbers(call, at / O, c, u);
            const cp_box box = cp_spans_box(&p->spans, at % O, u);
            next = channels_differ ? c + 1 : C;
            max_of_box(&box, x, C, c, next, y, position);
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

const cp_algo cp_algo_span_max_pool_boxes = {.name = "boxes", .refuse = refuse, .run = span_max_pool};
const cp_algo cp_algo_position_gradient_scatter = {.name = "scatter", .refuse = refuse, .run = position_gradient};
const cp_algo cp_algo_adaptive_average_pool_boxes = {.name = "boxes", .refuse = refuse, .run = adaptive_average_pool};
const cp_algo cp_algo_adaptive_average_pool_gather = {
    .name = "gather", .refuse = refuse, .run = adaptive_average_pool_gradient};
