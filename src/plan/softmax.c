/* What happens to each row alone, in f32 and in shares of the rows: softmax, and the loss behind it. */
#include "plan/algos.h"

#include <math.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* Every class counts alike, and no label is smoothed. weights: the input that would say otherwise. */
static const char *refuse_loss(const cp_problem *problem, int weights) {
    if (problem->alpha != 0 || cp_has_input(problem, weights)) return "needs labels without smoothing and weights";
    return refuse(problem);
}

static const char *refuse_cross_entropy(const cp_problem *problem) {
    return refuse_loss(problem, 2);
}

static const char *refuse_cross_entropy_gradient(const cp_problem *problem) {
    return refuse_loss(problem, 3);
}

/* Rows along the last axis. */
static int64_t row_length(cp_shape shape) {
    return shape.dim[shape.rank - 1];
}

static void share(const cp_call *call, int id, int n, int64_t *first, int64_t *last) {
    const cp_shape x = call->problem->in[0];
    cp_share(cp_shape_count(x) / row_length(x), id, n, first, last);
}

/* The logarithm of the sum of exp(x[c]) is log(*sum) + *maximum. */
static void sum_of_exponentials(const float *x, int64_t C, float *maximum, double *sum) {
    float m = -INFINITY;
    double s = 0;
    for (int64_t c = 0; c < C; c++) m = fmaxf(m, x[c]);
    for (int64_t c = 0; c < C; c++) s += expf(x[c] - m);
    *maximum = m;
    *sum = s;
}

static void softmax_row(const float *x, int64_t C, float maximum, double sum, float *y) {
    const float factor = (float)(1 / sum);
    for (int64_t c = 0; c < C; c++) y[c] = expf(x[c] - maximum) * factor;
}

static void softmax(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const int64_t C = row_length(call->problem->in[0]);
    int64_t first, last;
    share(call, id, n, &first, &last);
    for (int64_t r = first; r < last; r++) {
        const float *x = (const float *)call->in[0] + r * C;
        float maximum;
        double sum;
        sum_of_exponentials(x, C, &maximum, &sum);
        softmax_row(x, C, maximum, sum, (float *)call->out[0] + r * C);
    }
}

static void softmax_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const int64_t C = row_length(call->problem->in[0]);
    int64_t first, last;
    share(call, id, n, &first, &last);
    for (int64_t r = first; r < last; r++) {
        const float *y = (const float *)call->in[0] + r * C, *dy = (const float *)call->in[1] + r * C;
        float *dx = (float *)call->out[0] + r * C;
        double sum = 0;
        for (int64_t c = 0; c < C; c++) sum += (double)y[c] * dy[c];
        for (int64_t c = 0; c < C; c++) dx[c] = (float)(y[c] * (dy[c] - sum));
    }
}

/* --- softmax and cross-entropy: each row's loss aside in the first phase, their mean in the second --- */

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    prepared->scratch = problem->in[0].dim[0] * (int64_t)sizeof(double);
    prepared->phases = 2;
    return CP_OK;
}

static void lose_rows(const cp_call *call, int id, int n) {
    const int64_t C = row_length(call->problem->in[0]);
    const int32_t *labels = call->in[1];
    float *p = call->out[1]; /* NULL where nobody reads it */
    double *losses = call->scratch;
    int64_t first, last;
    share(call, id, n, &first, &last);
    for (int64_t r = first; r < last; r++) {
        const float *x = (const float *)call->in[0] + r * C;
        float maximum;
        double sum;
        sum_of_exponentials(x, C, &maximum, &sum);
        const bool possible = labels[r] >= 0 && labels[r] < C;
        losses[r] = possible ? log(sum) + ((double)maximum - x[labels[r]]) : NAN;
        if (p) softmax_row(x, C, maximum, sum, p + r * C);
    }
}

static void softmax_cross_entropy(const cp_call *call, int phase, int id, int n) {
    if (phase == 0) {
        lose_rows(call, id, n);
        return;
    }
    float *loss = call->out[0]; /* NULL where nobody reads it */
    if (id != 0 || !loss) return;
    const int64_t N = call->problem->in[0].dim[0];
    const double *losses = call->scratch;
    double sum = 0;
    for (int64_t r = 0; r < N; r++) sum += losses[r];
    *loss = N ? (float)(sum / (double)N) : 0;
}

static void softmax_cross_entropy_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const int64_t N = call->problem->in[0].dim[0], C = row_length(call->problem->in[0]);
    const int32_t *labels = call->in[1];
    const float *dloss = call->in[2];
    int64_t first, last;
    share(call, id, n, &first, &last);
    for (int64_t r = first; r < last; r++) {
        const float *p = (const float *)call->in[0] + r * C;
        float *dx = (float *)call->out[0] + r * C;
        const float factor = dloss[0] / (float)N;
        for (int64_t c = 0; c < C; c++) dx[c] = factor * (p[c] - (c == labels[r] ? 1 : 0));
    }
}

const cp_algo cp_algo_softmax_rows = {.name = "rows", .refuse = refuse, .run = softmax};
const cp_algo cp_algo_softmax_gradient_rows = {.name = "rows", .refuse = refuse, .run = softmax_gradient};
const cp_algo cp_algo_softmax_cross_entropy_rows = {
    .name = "rows", .refuse = refuse_cross_entropy, .prepare = prepare, .run = softmax_cross_entropy};
const cp_algo cp_algo_softmax_cross_entropy_gradient_rows = {
    .name = "rows", .refuse = refuse_cross_entropy_gradient, .run = softmax_cross_entropy_gradient};
