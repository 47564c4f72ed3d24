/* im2col and col2im in f32: the channels of one tap are a row of consecutive floats on both sides. */
#include "plan/algos.h"

#include <string.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

static void im2col(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int64_t O = cp_window_outputs(&p->window), T = cp_window_taps(&p->window), C = p->channels;
    const int64_t image = cp_window_inputs(&p->window) * C;
    const size_t bytes = (size_t)C * sizeof(float);
    int64_t row, last;
    cp_share(p->batch * O, id, n, &row, &last);
    for (; row < last; row++) {
        const float *x = (const float *)call->in[0] + row / O * image;
        float *y = (float *)call->out[0] + row * T * C;
        for (int64_t t = 0; t < T; t++) {
            int64_t i;
            if (cp_window_at(&p->window, row % O, t, &i))
                memcpy(y + t * C, x + i * C, bytes);
            else
                memset(y + t * C, 0, bytes);
        }
    }
}

static void col2im(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int64_t I = cp_window_inputs(&p->window), T = cp_window_taps(&p->window), C = p->channels;
    const int64_t image = cp_window_outputs(&p->window) * T * C;
    int64_t pixel, last;
    cp_share(p->batch * I, id, n, &pixel, &last);
    for (; pixel < last; pixel++) {
        const float *y = (const float *)call->in[0] + pixel / I * image;
        float *x = (float *)call->out[0] + pixel * C;
        memset(x, 0, (size_t)C * sizeof *x);
        for (int64_t t = 0; t < T; t++) {
            int64_t o;
            if (!cp_window_from(&p->window, pixel % I, t, &o)) continue;
            const float *row = y + (o * T + t) * C;
            for (int64_t c = 0; c < C; c++) x[c] += row[c];
        }
    }
}

const cp_algo cp_algo_im2col_rows = {.name = "rows", .refuse = refuse, .run = im2col};
const cp_algo cp_algo_col2im_gather = {.name = "gather", .refuse = refuse, .run = col2im};
