/* Locally connected convolution in f32. Its weights are read once for each image, so that memory sets the pace: they
 * are walked through in their order, all images at a time. */
#include "plan/algos.h"

#include <string.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* to[k] += factor * from[k] */
static void add_row(float *to, float factor, const float *from, int64_t count) {
    for (int64_t k = 0; k < count; k++) to[k] += factor * from[k];
}

/* In an order that vectors can follow. */
static float dot(const float *a, const float *b, int64_t count) {
    enum { SUMS = 16 };
    float sums[SUMS] = {0}, sum = 0;
    int64_t k = 0;
    for (; k + SUMS <= count; k += SUMS)
        for (int i = 0; i < SUMS; i++) sums[i] += a[k + i] * b[k + i];
    for (; k < count; k++) sum += a[k] * b[k];
    for (int i = 0; i < SUMS; i++) sum += sums[i];
    return sum;
}

static void begin_row(const cp_problem *p, const float *bias, float *y) {
    if (bias)
        memcpy(y, bias, (size_t)p->filters * sizeof *y);
    else
        memset(y, 0, (size_t)p->filters * sizeof *y);
}

static void forward(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int64_t I = cp_window_inputs(&p->window), O = cp_window_outputs(&p->window), T = cp_window_taps(&p->window);
    const int64_t C = p->channels, K = p->filters;
    const float *x = call->in[0], *w = call->in[1];
    float *y = call->out[0];
    int64_t o, last;
    cp_share(O, id, n, &o, &last);
    for (; o < last; o++) {
        for (int64_t image = 0; image < p->batch; image++) begin_row(p, call->in[2], y + (image * O + o) * K);
        for (int64_t t = 0; t < T; t++) {
            int64_t i;
            if (!cp_window_at(&p->window, o, t, &i)) continue;
            for (int64_t c = 0; c < C; c++)
                for (int64_t image = 0; image < p->batch; image++)
                    add_row(y + (image * O + o) * K, x[(image * I + i) * C + c], w + ((o * T + t) * C + c) * K, K);
        }
        for (int64_t image = 0; p->relu && image < p->batch; image++)
            p->kernels->relu(y + (image * O + o) * K, y + (image * O + o) * K, K);
    }
}

static void input_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int64_t I = cp_window_inputs(&p->window), O = cp_window_outputs(&p->window), T = cp_window_taps(&p->window);
    const int64_t C = p->channels, K = p->filters;
    const float *dy = call->in[0], *w = call->in[1];
    float *dx = call->out[0];
    int64_t i, last;
    cp_share(I, id, n, &i, &last);
    for (; i < last; i++) {
        for (int64_t image = 0; image < p->batch; image++) memset(dx + (image * I + i) * C, 0, (size_t)C * sizeof *dx);
        for (int64_t t = 0; t < T; t++) {
            int64_t o;
            if (!cp_window_from(&p->window, i, t, &o)) continue;
            for (int64_t c = 0; c < C; c++)
                for (int64_t image = 0; image < p->batch; image++)
                    dx[(image * I + i) * C + c] += dot(dy + (image * O + o) * K, w + ((o * T + t) * C + c) * K, K);
        }
    }
}

static void weight_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int64_t I = cp_window_inputs(&p->window), O = cp_window_outputs(&p->window), T = cp_window_taps(&p->window);
    const int64_t C = p->channels, K = p->filters;
    const float *dy = call->in[0], *x = call->in[1];
    int64_t o, last;
    cp_share(O, id, n, &o, &last);
    for (; o < last; o++)
        for (int64_t t = 0; t < T; t++) {
            int64_t i;
            float *dw = (float *)call->out[0] + (o * T + t) * C * K;
            memset(dw, 0, (size_t)(C * K) * sizeof *dw);
            if (!cp_window_at(&p->window, o, t, &i)) continue;
            for (int64_t c = 0; c < C; c++)
                for (int64_t image = 0; image < p->batch; image++)
                    add_row(dw + c * K, x[(image * I + i) * C + c], dy + (image * O + o) * K, K);
        }
}

static double cost(const cp_problem *p) {
    return (double)p->multiply_adds;
}

const cp_algo cp_algo_local_conv_rows = {.name = "rows", .refuse = refuse, .cost = cost, .run = forward};
const cp_algo cp_algo_local_conv_input_gradient_rows = {
    .name = "rows", .refuse = refuse, .cost = cost, .run = input_gradient};
const cp_algo cp_algo_local_conv_weight_gradient_rows = {
    .name = "rows", .refuse = refuse, .cost = cost, .run = weight_gradient};
