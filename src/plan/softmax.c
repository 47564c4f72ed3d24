/* What happens to each row alone, in f32 and in shares of the rows: softmax, and the loss behind it. */
#include "plan/algos.h"

#include <math.h>
#include <string.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* Rows along the last axis. */
static int64_t row_length(cp_shape shape) {
    return shape.dim[shape.rank - 1];
}

static void share(const cp_call *call, int id, int n, int64_t *first, int64_t *last) {
    const cp_shape x = call->problem->in[0];
    cp_share(cp_shape_count(x) / row_length(x), id, n, first, last);
}

/* y[c] = exp(x[c] - maximum), where y is not NULL; the sum of these. The logarithm of the sum of exp(x[c]) is log(sum)
 * + maximum. */
static double exponentials(const cp_kernels *kernels, const float *x, int64_t C, float *y, float *maximum) {
    *maximum = kernels->largest(x, C);
    return kernels->exponentials(x, *maximum, y, C);
}

static void divide(float *y, int64_t C, double sum) {
    const float factor = (float)(1 / sum);
    for (int64_t c = 0; c < C; c++) y[c] *= factor;
}

static void softmax_row(const cp_kernels *kernels, const float *x, int64_t C, float *y) {
    float maximum;
    divide(y, C, exponentials(kernels, x, C, y, &maximum));
}

/* --- softmax, or its logarithm: rows along any axis; those that lie side by side, x [outer, C, inner], are done at
 * once, a block of them --- */

enum { BLOCK = 32 };
typedef struct columns {
    int64_t C, inner, blocks, units;
} columns;

static columns columns_of(const cp_problem *problem) {
    const cp_shape x = problem->in[0];
    columns k = {.C = x.dim[problem->axis],
                 .inner = cp_shape_count(cp_shape_of(x.rank - problem->axis - 1, x.dim + problem->axis + 1))};
    k.blocks = (k.inner + BLOCK - 1) / BLOCK;
    k.units = k.blocks * cp_shape_count(cp_shape_of(problem->axis, x.dim));
    return k;
}

/* Where block `unit` begins, and how wide it is. */
static int64_t block_at(const columns *k, int64_t unit, int64_t *width) {
    const int64_t first = unit % k->blocks * BLOCK, rest = k->inner - first;
    *width = rest < BLOCK ? rest : BLOCK;
    return unit / k->blocks * k->C * k->inner + first;
}

static void softmax_block(const cp_problem *p, const columns *k, int64_t width, const float *x, float *y) {
    float maximum[BLOCK], e[BLOCK];
    double sum[BLOCK] = {0};
    for (int64_t j = 0; j < width; j++) maximum[j] = -INFINITY;
    for (int64_t c = 0; c < k->C; c++)
        for (int64_t j = 0; j < width; j++) {
            const float seen = x[c * k->inner + j];
            maximum[j] = seen > maximum[j] ? seen : maximum[j];
        }
    for (int64_t c = 0; c < k->C; c++) {
        for (int64_t j = 0; j < width; j++) e[j] = x[c * k->inner + j] - maximum[j];
        p->kernels->function[CP_FUNCTION_EXP](e, e, width, 0, 0);
        for (int64_t j = 0; j < width; j++) sum[j] += (double)e[j];
        if (!p->logarithm) memcpy(y + c * k->inner, e, (size_t)width * sizeof *e);
    }
    for (int64_t j = 0; j < width; j++) sum[j] = p->logarithm ? log(sum[j]) : 1 / sum[j];
    for (int64_t c = 0; c < k->C; c++)
        for (int64_t j = 0; j < width; j++) {
            const int64_t at = c * k->inner + j;
            y[at] = p->logarithm ? (float)(x[at] - maximum[j] - sum[j]) : y[at] * (float)sum[j];
        }
}

static void softmax(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const columns k = columns_of(call->problem);
    int64_t unit, last, width;
    cp_share(k.units, id, n, &unit, &last);
    for (; unit < last; unit++) {
        const int64_t at = block_at(&k, unit, &width);
        const float *x = (const float *)call->in[0] + at;
        float *y = (float *)call->out[0] + at;
        if (k.inner == 1 && !call->problem->logarithm)
            softmax_row(call->problem->kernels, x, k.C, y);
        else
            softmax_block(call->problem, &k, width, x, y);
    }
}

static void gradient_block(bool logarithm, const columns *k, int64_t width, const float *y, const float *dy,
                           float *dx) {
    double sum[BLOCK] = {0};
    for (int64_t c = 0; c < k->C; c++)
        for (int64_t j = 0; j < width; j++) {
            const int64_t e = c * k->inner + j;
            sum[j] += logarithm ? (double)dy[e] : (double)y[e] * dy[e];
        }
    for (int64_t c = 0; c < k->C; c++)
        for (int64_t j = 0; j < width; j++) {
            const int64_t e = c * k->inner + j;
            dx[e] = (float)(logarithm ? dy[e] - expf(y[e]) * sum[j] : y[e] * (dy[e] - sum[j]));
        }
}

/* Of one row of C numbers side by side, whose sum is made of several. */
static void gradient_row(const float *y, const float *dy, int64_t C, float *dx) {
    enum { SUMS = 8 };
    double part[SUMS] = {0}, sum = 0;
    int64_t c = 0;
    for (; c + SUMS <= C; c += SUMS)
        for (int j = 0; j < SUMS; j++) part[j] += (double)y[c + j] * (double)dy[c + j];
    for (; c < C; c++) sum += (double)y[c] * (double)dy[c];
    for (int j = 0; j < SUMS; j++) sum += part[j];
    for (c = 0; c < C; c++) dx[c] = (float)((double)y[c] * ((double)dy[c] - sum));
}

static void softmax_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const columns k = columns_of(call->problem);
    int64_t unit, last, width;
    cp_share(k.units, id, n, &unit, &last);
    for (; unit < last; unit++) {
        const int64_t at = block_at(&k, unit, &width);
        const float *y = (const float *)call->in[0] + at, *dy = (const float *)call->in[1] + at;
        float *dx = (float *)call->out[0] + at;
        if (k.inner == 1 && !call->problem->logarithm)
            gradient_row(y, dy, k.C, dx);
        else
            gradient_block(call->problem->logarithm, &k, width, y, dy, dx);
    }
}

/* --- softmax and cross-entropy: each row's loss aside in the first phase, their sum in the second --- */

/* What is wished of a row's probabilities: weight[c] * ((1-s)*[c = label] + s/C), s the smoothing. */
typedef struct wish {
    const float *weight; /* NULL: 1 for each class */
    double label, other; /* parts of the label, and of every class */
} wish;

static wish wish_of(const cp_call *call, int weights, int64_t C) {
    const double smoothing = call->problem->alpha;
    return (wish){.weight = cp_has_input(call->problem, weights) ? call->in[weights] : NULL,
                  .label = 1 - smoothing,
                  .other = smoothing / (double)C};
}

static double weight_of(const wish *w, int64_t c) {
    return w->weight ? (double)w->weight[c] : 1;
}

/* What the sum over the rows is divided by: the weights of their labels. NaN where a label is no class. */
static double total_weight(const wish *w, const int32_t *labels, int64_t N, int64_t C) {
    double sum = 0;
    for (int64_t r = 0; r < N; r++) sum += labels[r] >= 0 && labels[r] < C ? weight_of(w, labels[r]) : NAN;
    return sum;
}

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    prepared->scratch = problem->in[0].dim[0] * (int64_t)sizeof(double);
    prepared->phases = 2;
    return CP_OK;
}

/* scale: the logarithm of the sum of exp(x[c]) */
static double loss_of_row(const wish *w, const float *x, int64_t C, int64_t label, double scale) {
    double sum = weight_of(w, label) * w->label * (scale - (double)x[label]);
    if (w->other != 0)
        for (int64_t c = 0; c < C; c++) sum += weight_of(w, c) * w->other * (scale - (double)x[c]);
    return sum;
}

static void lose_rows(const cp_call *call, int id, int n) {
    const int64_t C = row_length(call->problem->in[0]);
    const wish w = wish_of(call, 2, C);
    const int32_t *labels = call->in[1];
    float *p = call->out[1]; /* NULL where nobody reads it */
    double *losses = call->scratch;
    int64_t first, last;
    share(call, id, n, &first, &last);
    for (int64_t r = first; r < last; r++) {
        const float *x = (const float *)call->in[0] + r * C;
        float maximum;
        const double sum = exponentials(call->problem->kernels, x, C, p ? p + r * C : NULL, &maximum);
        const bool possible = labels[r] >= 0 && labels[r] < C;
        losses[r] = possible ? loss_of_row(&w, x, C, labels[r], log(sum) + (double)maximum) : NAN;
        if (p) divide(p + r * C, C, sum);
    }
}

static void softmax_cross_entropy(const cp_call *call, int phase, int id, int n) {
    if (phase == 0) {
        lose_rows(call, id, n);
        return;
    }
    float *loss = call->out[0]; /* NULL where nobody reads it */
    if (id != 0 || !loss) return;
    const int64_t N = call->problem->in[0].dim[0], C = row_length(call->problem->in[0]);
    const wish w = wish_of(call, 2, C);
    const double *losses = call->scratch;
    double sum = 0;
    for (int64_t r = 0; r < N; r++) sum += losses[r];
    *loss = N ? (float)(sum / total_weight(&w, call->in[1], N, C)) : 0;
}

static void softmax_cross_entropy_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const int64_t N = call->problem->in[0].dim[0], C = row_length(call->problem->in[0]);
    const wish w = wish_of(call, 3, C);
    const int32_t *labels = call->in[1];
    const float *dloss = call->in[2];
    const double factor = (double)dloss[0] / total_weight(&w, labels, N, C);
    double others = 0; /* the sum of what is wished of every class */
    int64_t first, last;
    for (int64_t c = 0; c < C; c++) others += weight_of(&w, c) * w.other;
    share(call, id, n, &first, &last);
    for (int64_t r = first; r < last; r++) {
        const float *p = (const float *)call->in[0] + r * C;
        float *dx = (float *)call->out[0] + r * C;
        const bool possible = labels[r] >= 0 && labels[r] < C;
        const double wanted = possible ? weight_of(&w, labels[r]) * w.label : NAN;
        const double all = factor * (wanted + others);
        if (w.other != 0)
            for (int64_t c = 0; c < C; c++) dx[c] = (float)(all * (double)p[c] - factor * w.other * weight_of(&w, c));
        else
            for (int64_t c = 0; c < C; c++) dx[c] = (float)all * p[c];
        if (!possible) continue;
        const double wished = wanted + w.other * weight_of(&w, labels[r]);
        dx[labels[r]] = (float)(all * (double)p[labels[r]] - factor * wished); /* which are nearly the same */
    }
}

const cp_algo cp_algo_softmax_rows = {.name = "rows", .refuse = refuse, .run = softmax};
const cp_algo cp_algo_softmax_gradient_rows = {.name = "rows", .refuse = refuse, .run = softmax_gradient};
const cp_algo cp_algo_softmax_cross_entropy_rows = {
    .name = "rows", .refuse = refuse, .prepare = prepare, .run = softmax_cross_entropy};
const cp_algo cp_algo_softmax_cross_entropy_gradient_rows = {
    .name = "rows", .refuse = refuse, .run = softmax_cross_entropy_gradient};
