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

/* Some numbers for each group of each image: all first ones, then all second ones, ... */
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

/* In one pass, around each column's first number, so that a mean far from 0 takes no digits from the variance. */
static void moments_of(const cp_kernels *kernels, const layout *l, const block *b, const float *x, double *mean,
                       double *variance) {
    const double count = (double)(l->S * l->K);
    float first[BLOCK];
    x += b->n * l->S * l->C + b->channel;
    for (int64_t j = 0; j < b->columns; j++) {
        first[j] = l->S ? x[j] : 0;
        mean[j] = variance[j] = 0;
    }
    if (b->columns == b->width)
        kernels->column_moments(x, l->C, l->S, b->width, first, mean, variance);
    else
        kernels->moments(x, l->C, l->S, b->width, first[0], mean, variance);
    for (int64_t j = 0; j < b->columns; j++) {
        const double shift = mean[j] / count, spread = variance[j] / count - shift * shift;
        mean[j] = (double)first[j] + shift;
        variance[j] = spread < 0 ? 0 : spread; /* NaN stays NaN */
    }
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
    const int64_t groups = l->N * l->G;
    int64_t first, last;
    cp_share(groups, id, n, &first, &last);
    for (int64_t at = first; at < last;) {
        const block b = block_at(l, at, last);
        double mean[BLOCK], variance[BLOCK];
        const bool batch_norm = p->inputs == 5, given = batch_norm && (p->moments_fixed || l->S == 0);
        if (!given) moments_of(p->kernels, l, &b, call->in[0], mean, variance);
        for (int64_t j = 0; j < b.columns; j++, at++) {
            if (given) mean[j] = (double)((const float *)call->in[3])[at];
            if (given) variance[j] = (double)((const float *)call->in[4])[at];
            kept[at] = (float)mean[j];
            kept[groups + at] = (float)(mean[j] - (double)kept[at]);
            kept[2 * groups + at] = (float)(1 / sqrt(variance[j] + p->epsilon));
            if (moments) moments[2 * at] = kept[at];
            if (moments) moments[2 * at + 1] = kept[2 * groups + at];
            if (batch_norm) follow(call, at, mean[j], variance[j]);
        }
    }
}

/* Some rows of one image: of some channels in a row, each has the numbers of its group. */
static void normalise_rows(const cp_call *call, const layout *l, int64_t row, int64_t rows) {
    const float *kept = (const float *)call->scratch + row / l->S * l->G;
    const float *scale = call->in[1], *bias = call->in[2];
    for (int64_t c = 0; c < l->C; c += BLOCK) {
        const int64_t width = l->C - c < BLOCK ? l->C - c : BLOCK;
        float number[KEPT][BLOCK];
        for (int k = 0; k < KEPT; k++)
            for (int64_t j = 0; j < width; j++) number[k][j] = kept[k * l->N * l->G + (c + j) / l->K];
        for (int64_t i = row; i < row + rows; i++) {
            const int64_t at = i * l->C + c;
            call->problem->kernels->normalise((const float *)call->in[0] + at, number[0], number[1], number[2], 1,
                                              scale + c, bias + c, (float *)call->out[0] + at, width);
        }
    }
}

/* The same of large groups, one after another. */
static void normalise_groups(const cp_call *call, const layout *l, int64_t row, int64_t rows) {
    const float *mean = (const float *)call->scratch + row / l->S * l->G;
    const float *rest = mean + l->N * l->G, *inverse = rest + l->N * l->G;
    const float *scale = call->in[1], *bias = call->in[2];
    for (int64_t i = row; i < row + rows; i++)
        for (int64_t g = 0, c = 0; g < l->G; g++, c += l->K)
            call->problem->kernels->normalise((const float *)call->in[0] + i * l->C + c, mean + g, rest + g,
                                              inverse + g, 0, scale + c, bias + c, (float *)call->out[0] + i * l->C + c,
                                              l->K);
}

static void norm(const cp_call *call, int phase, int id, int n) {
    const cp_problem *p = call->problem;
    const layout l = layout_of(p->in[0], p->out[1]);
    if (phase == 0) {
        measure(call, &l, id, n);
        return;
    }
    int64_t row, last;
    cp_share(l.N * l.S, id, n, &row, &last);
    while (row < last && call->out[0]) {
        const int64_t rest = l.S - row % l.S, rows = rest < last - row ? rest : last - row;
        if (l.K < BLOCK && l.S > 1)
            normalise_rows(call, &l, row, rows);
        else
            normalise_groups(call, &l, row, rows);
        row += rows;
    }
}

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    return prepare_groups(prepared, problem->out[1], KEPT);
}

/* --- backward --- */

/* Of each group: the means of g = dy * scale and of g * u, the mean of x, 1/deviation. */
enum { BACK = 4 };

static void measure_gradient(const cp_call *call, const layout *l, int id, int n) {
    const float *x = call->in[0], *scale = call->in[1], *dy = call->in[2], *moments = call->in[3];
    const int64_t groups = l->N * l->G;
    float *kept = call->scratch;
    int64_t first, last;
    cp_share(groups, id, n, &first, &last);
    for (int64_t at = first; at < last;) {
        const block b = block_at(l, at, last);
        double sum[BLOCK] = {0}, products[BLOCK] = {0};
        float mean[BLOCK];
        for (int64_t j = 0; j < b.columns; j++) mean[j] = moments[2 * (at + j)];
        const float *of_x = x + b.n * l->S * l->C + b.channel, *of_dy = dy + b.n * l->S * l->C + b.channel;
        for (int64_t s = 0; s < l->S && !call->problem->moments_fixed; s++, of_x += l->C, of_dy += l->C)
            if (b.columns == b.width)
                for (int64_t c = 0; c < b.width; c++) {
                    sum[c] += (double)of_dy[c];
                    products[c] += (double)of_dy[c] * (double)(of_x[c] - mean[c]);
                }
            else
                for (int64_t c = 0; c < b.width; c++) {
                    const double g = (double)of_dy[c] * (double)scale[b.channel + c];
                    sum[0] += g;
                    products[0] += g * (double)(of_x[c] - mean[0]);
                }
        for (int64_t j = 0; j < b.columns; j++, at++) {
            const double count = (double)(l->S * l->K);
            const double factor = (b.columns == b.width ? (double)scale[b.channel + j] : 1) / count;
            kept[at] = (float)(sum[j] * factor);
            kept[groups + at] = (float)(products[j] * factor * (double)moments[2 * at + 1]);
            kept[2 * groups + at] = moments[2 * at];
            kept[3 * groups + at] = moments[2 * at + 1];
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
    const int64_t groups = l.N * l.G;
    int64_t first, last;
    cp_share(l.N * l.S, id, n, &first, &last);
    for (int64_t row = first; row < last; row++) {
        const float *sum = (const float *)call->scratch + row / l.S * l.G, *product = sum + groups;
        const float *mean = product + groups, *inverse = mean + groups;
        const float *x = (const float *)call->in[0] + row * l.C, *dy = (const float *)call->in[2] + row * l.C;
        float *dx = (float *)call->out[0] + row * l.C;
        if (l.K == 1)
            for (int64_t c = 0; c < l.C; c++)
                dx[c] = inverse[c] * (dy[c] * scale[c] - sum[c] - (x[c] - mean[c]) * inverse[c] * product[c]);
        else
            for (int64_t g = 0, c = 0; g < l.G; g++)
                for (const int64_t end = c + l.K; c < end; c++)
                    dx[c] = inverse[g] * (dy[c] * scale[c] - sum[g] - (x[c] - mean[g]) * inverse[g] * product[g]);
    }
}

static cp_status prepare_input_gradient(const cp_problem *problem, cp_prepared *prepared) {
    return prepare_groups(prepared, problem->in[3], BACK);
}

/* Each share has channels of its own. */
static void scale_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const layout l = layout_of(p->in[0], p->in[2]);
    float *dscale = call->out[0];
    int64_t first, last;
    cp_share(l.C, id, n, &first, &last);
    for (int64_t c = first, width; c < last; c += width) {
        double sum[BLOCK] = {0};
        width = last - c < BLOCK ? last - c : BLOCK;
        for (int64_t image = 0; image < l.N; image++) {
            const float *moments = (const float *)call->in[2] + image * l.G * 2;
            const float *x = (const float *)call->in[0] + image * l.S * l.C + c;
            const float *dy = (const float *)call->in[1] + image * l.S * l.C + c;
            float mean[BLOCK], inverse[BLOCK];
            for (int64_t j = 0, g = c / l.K; j < width; j++) {
                g += c + j == (g + 1) * l.K; /* the next group begins */
                mean[j] = moments[2 * g];
                inverse[j] = moments[2 * g + 1];
            }
            for (int64_t s = 0; s < l.S; s++, x += l.C, dy += l.C)
                for (int64_t j = 0; j < width; j++) sum[j] += (double)dy[j] * (double)((x[j] - mean[j]) * inverse[j]);
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
