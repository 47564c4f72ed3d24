/* Normalisation in f32: the moments of each group aside, in double; then every element. */
#include "plan/algos.h"

#include <math.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

enum { BLOCK = 64 };

/* x as [N, S, C] with G groups of K channels. */
typedef struct layout {
    int64_t N, S, C, G, K;
} layout;

static layout layout_of(cp_shape x, cp_shape moments) {
    layout l = {.N = moments.dim[0], .C = x.dim[x.rank - 1], .G = moments.dim[1]};
    l.S = l.N ? cp_shape_count(x) / l.C / l.N : 0;
    l.K = l.C / l.G;
    return l;
}

/* Some numbers for each group, one behind the other. */
static cp_status prepare_groups(cp_prepared *prepared, cp_shape moments, int64_t numbers) {
    prepared->scratch = moments.dim[0] * moments.dim[1] * numbers * (int64_t)sizeof(float);
    prepared->phases = 2;
    return CP_OK;
}

/* Channels c .. c+width-1 of one image that belong to one group, or where each is a group of its own: a column is what
 * one sum is made of. */
typedef struct block {
    int64_t n, group, channel, width, columns;
} block;

/* The block that begins with group number `at` (of all images), at most up to `last`. */
static block block_at(const layout *l, int64_t at, int64_t last) {
    block b = {.n = at / l->G, .group = at % l->G, .width = l->K, .columns = 1};
    b.channel = b.group * l->K;
    if (l->K > 1) return b;
    b.width = l->G - b.group;
    if (b.width > last - at) b.width = last - at;
    if (b.width > BLOCK) b.width = BLOCK;
    b.columns = b.width;
    return b;
}

/* --- forward --- */

/* Of each group: the mean, in two parts, so that little is lost where the deviation is small beside it; 1/deviation. */
enum { KEPT = 3 };

static void moments_of(const layout *l, const block *b, const float *x, double *mean, double *variance) {
    const double count = (double)(l->S * l->K);
    const int64_t step = b->columns > 1 ? 1 : 0;
    x += b->n * l->S * l->C + b->channel;
    for (int64_t j = 0; j < b->columns; j++) mean[j] = variance[j] = 0;
    for (int64_t s = 0; s < l->S; s++)
        for (int64_t c = 0; c < b->width; c++) mean[c * step] += (double)x[s * l->C + c];
    for (int64_t j = 0; j < b->columns; j++) mean[j] /= count;
    for (int64_t s = 0; s < l->S; s++)
        for (int64_t c = 0; c < b->width; c++) {
            const double distance = (double)x[s * l->C + c] - mean[c * step];
            variance[c * step] += distance * distance;
        }
    for (int64_t j = 0; j < b->columns; j++) variance[j] /= count;
}

/* The running means and variances after this step, where somebody reads them. */
static void follow(const cp_call *call, int64_t c, double mean, double variance) {
    const float *running_mean = call->in[3], *running_variance = call->in[4];
    float *next_mean = call->out[2], *next_variance = call->out[3];
    const double momentum = call->problem->momentum;
    if (next_mean) next_mean[c] = (float)(momentum * (double)running_mean[c] + (1 - momentum) * mean);
    if (next_variance) next_variance[c] = (float)(momentum * (double)running_variance[c] + (1 - momentum) * variance);
}

static void measure(const cp_call *call, const layout *l, int id, int n) {
    const cp_problem *p = call->problem;
    float *kept = call->scratch, *moments = call->out[1]; /* NULL where nobody reads them */
    int64_t first, last;
    cp_share(l->N * l->G, id, n, &first, &last);
    for (int64_t at = first; at < last;) {
        const block b = block_at(l, at, last);
        double mean[BLOCK], variance[BLOCK];
        const bool batch_norm = p->inputs == 5, given = batch_norm && (p->moments_fixed || l->S == 0);
        if (!given) moments_of(l, &b, call->in[0], mean, variance);
        for (int64_t j = 0; j < b.columns; j++, at++) {
            if (given) mean[j] = (double)((const float *)call->in[3])[at];
            if (given) variance[j] = (double)((const float *)call->in[4])[at];
            float *of_group = kept + KEPT * at;
            of_group[0] = (float)mean[j];
            of_group[1] = (float)(mean[j] - (double)of_group[0]);
            of_group[2] = (float)(1 / sqrt(variance[j] + p->epsilon));
            if (moments) moments[2 * at] = of_group[0];
            if (moments) moments[2 * at + 1] = of_group[2];
            if (batch_norm) follow(call, at, mean[j], variance[j]);
        }
    }
}

static void norm(const cp_call *call, int phase, int id, int n) {
    const cp_problem *p = call->problem;
    const layout l = layout_of(p->in[0], p->out[1]);
    if (phase == 0) {
        measure(call, &l, id, n);
        return;
    }
    const float *scale = call->in[1], *bias = call->in[2];
    if (!call->out[0]) return;
    int64_t first, last;
    cp_share(l.N * l.S, id, n, &first, &last);
    for (int64_t row = first; row < last; row++) {
        const float *kept = (const float *)call->scratch + row / l.S * l.G * KEPT;
        const float *x = (const float *)call->in[0] + row * l.C;
        float *y = (float *)call->out[0] + row * l.C;
        for (int64_t g = 0, c = 0; g < l.G; g++) {
            const float mean = kept[KEPT * g], rest = kept[KEPT * g + 1], inverse = kept[KEPT * g + 2];
            for (const int64_t end = c + l.K; c < end; c++)
                y[c] = (x[c] - mean - rest) * (inverse * scale[c]) + bias[c];
        }
    }
}

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    return prepare_groups(prepared, problem->out[1], KEPT);
}

/* --- backward --- */

/* The means of g = dy * scale and of g * u over each group. */
static void measure_gradient(const cp_call *call, const layout *l, int id, int n) {
    const float *x = call->in[0], *scale = call->in[1], *dy = call->in[2], *moments = call->in[3];
    float *means = call->scratch;
    int64_t first, last;
    cp_share(l->N * l->G, id, n, &first, &last);
    for (int64_t at = first; at < last;) {
        const block b = block_at(l, at, last);
        const int64_t step = b.columns > 1 ? 1 : 0, begin = b.n * l->S * l->C + b.channel;
        double sum[BLOCK] = {0}, products[BLOCK] = {0};
        for (int64_t s = 0; s < l->S && !call->problem->moments_fixed; s++)
            for (int64_t c = 0; c < b.width; c++) {
                const int64_t e = begin + s * l->C + c, j = c * step;
                const double g = (double)dy[e] * (double)scale[b.channel + c];
                sum[j] += g;
                products[j] += g * ((double)x[e] - (double)moments[2 * (at + j)]);
            }
        const double count = (double)(l->S * l->K);
        for (int64_t j = 0; j < b.columns; j++, at++) {
            means[2 * at] = (float)(sum[j] / count);
            means[2 * at + 1] = (float)(products[j] * (double)moments[2 * at + 1] / count);
        }
    }
}

static void input_gradient(const cp_call *call, int phase, int id, int n) {
    const cp_problem *p = call->problem;
    const layout l = layout_of(p->in[0], p->in[3]);
    if (phase == 0) {
        measure_gradient(call, &l, id, n);
        return;
    }
    const float *scale = call->in[1];
    int64_t first, last;
    cp_share(l.N * l.S, id, n, &first, &last);
    for (int64_t row = first; row < last; row++) {
        const float *moments = (const float *)call->in[3] + row / l.S * l.G * 2;
        const float *means = (const float *)call->scratch + row / l.S * l.G * 2;
        const float *x = (const float *)call->in[0] + row * l.C, *dy = (const float *)call->in[2] + row * l.C;
        float *dx = (float *)call->out[0] + row * l.C;
        for (int64_t g = 0, c = 0; g < l.G; g++) {
            const float mean = moments[2 * g], inverse = moments[2 * g + 1];
            const float sum = means[2 * g], product = means[2 * g + 1];
            for (const int64_t end = c + l.K; c < end; c++)
                dx[c] = inverse * (dy[c] * scale[c] - sum - (x[c] - mean) * inverse * product);
        }
    }
}

static cp_status prepare_input_gradient(const cp_problem *problem, cp_prepared *prepared) {
    return prepare_groups(prepared, problem->in[3], 2);
}

/* Each share has channels of its own. */
static void scale_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const layout l = layout_of(p->in[0], p->in[2]);
    const float *moments = call->in[2];
    float *dscale = call->out[0];
    int64_t first, last;
    cp_share(l.C, id, n, &first, &last);
    for (int64_t c = first, width; c < last; c += width) {
        double sum[BLOCK] = {0};
        width = last - c < BLOCK ? last - c : BLOCK;
        for (int64_t row = 0; row < l.N * l.S; row++) {
            const float *x = (const float *)call->in[0] + row * l.C, *dy = (const float *)call->in[1] + row * l.C;
            const float *of_row = moments + row / l.S * l.G * 2;
            for (int64_t j = 0; j < width; j++) {
                const float *m = of_row + (c + j) / l.K * 2;
                sum[j] += (double)dy[c + j] * ((double)x[c + j] - (double)m[0]) * (double)m[1];
            }
        }
        for (int64_t j = 0; j < width; j++) dscale[c + j] = (float)sum[j];
    }
}

/* --- between neighbouring channels --- */

static int64_t channels_of(const cp_problem *problem) {
    return problem->in[0].dim[problem->in[0].rank - 1];
}

static void rows_of(const cp_call *call, int id, int n, int64_t *first, int64_t *last) {
    cp_share(cp_shape_count(call->problem->in[0]) / channels_of(call->problem), id, n, first, last);
}

static float base_of(const cp_lrn *lrn, const float *x, int64_t c, int64_t C) {
    const int64_t from = c - (lrn->size - 1) / 2, to = c + lrn->size / 2;
    double sum = 0;
    for (int64_t k = from > 0 ? from : 0; k <= to && k < C; k++) sum += (double)x[k] * (double)x[k];
    return (float)(lrn->bias + lrn->alpha / (double)lrn->size * sum);
}

static void lrn(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_lrn *l = &call->problem->lrn;
    const int64_t C = channels_of(call->problem);
    int64_t first, last;
    rows_of(call, id, n, &first, &last);
    for (int64_t row = first; row < last; row++) {
        const float *x = (const float *)call->in[0] + row * C;
        float *y = (float *)call->out[0] + row * C;
        for (int64_t c = 0; c < C; c++) y[c] = x[c] * powf(base_of(l, x, c, C), -(float)l->beta);
    }
}

/* What each channel hands to those that it sees. */
static cp_status prepare_lrn_gradient(const cp_problem *problem, cp_prepared *prepared) {
    prepared->scratch = cp_shape_count(problem->in[0]) * (int64_t)sizeof(float);
    return CP_OK;
}

static void lrn_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_lrn *l = &call->problem->lrn;
    const int64_t C = channels_of(call->problem);
    const double factor = 2 * l->alpha * l->beta / (double)l->size;
    int64_t first, last;
    rows_of(call, id, n, &first, &last);
    for (int64_t row = first; row < last; row++) {
        const float *x = (const float *)call->in[0] + row * C, *dy = (const float *)call->in[1] + row * C;
        float *dx = (float *)call->out[0] + row * C, *handed = (float *)call->scratch + row * C;
        for (int64_t c = 0; c < C; c++) {
            const float base = base_of(l, x, c, C), power = powf(base, -(float)l->beta);
            dx[c] = dy[c] * power;
            handed[c] = dx[c] * x[c] / base;
        }
        for (int64_t c = 0; c < C; c++) {
            const int64_t from = c - l->size / 2, to = c + (l->size - 1) / 2;
            double sum = 0;
            for (int64_t j = from > 0 ? from : 0; j <= to && j < C; j++) sum += (double)handed[j];
            dx[c] -= (float)(factor * (double)x[c] * sum);
        }
    }
}

const cp_algo cp_algo_norm_groups = {.name = "groups", .refuse = refuse, .prepare = prepare, .run = norm};
const cp_algo cp_algo_norm_input_gradient_groups = {
    .name = "groups", .refuse = refuse, .prepare = prepare_input_gradient, .run = input_gradient};
const cp_algo cp_algo_norm_scale_gradient_channels = {.name = "channels", .refuse = refuse, .run = scale_gradient};
const cp_algo cp_algo_lrn_rows = {.name = "rows", .refuse = refuse, .run = lrn};
const cp_algo cp_algo_lrn_gradient_rows = {
    .name = "rows", .refuse = refuse, .prepare = prepare_lrn_gradient, .run = lrn_gradient};
