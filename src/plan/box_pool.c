/* Lp and stochastic pooling: each output, and for gradients each input, on its own, a block of channels at a time; sums
 * in double, so that large powers stay finite and that what is drawn is what the definition draws. */
#include "plan/algos.h"

#include <math.h>

enum { BLOCK = 64 }; /* channels whose sums stay in the first cache */

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* A block of channels of one output, or one input, of one image. */
typedef struct block {
    int64_t image, at; /* at: the flat position in its plane */
    int64_t first, channels;
} block;

typedef void each_block(const cp_call *call, const block *b);

/* Share id of n of all positions of a plane in all images. */
static void walk(const cp_call *call, int64_t plane, int id, int n, each_block *each) {
    const int64_t C = call->problem->channels;
    int64_t first, last;
    cp_share(call->problem->batch * plane, id, n, &first, &last);
    for (int64_t i = first; i < last; i++)
        for (int64_t c = 0; c < C; c += BLOCK)
            each(call, &(block){i / plane, i % plane, c, C - c < BLOCK ? C - c : BLOCK});
}

/* The floats of input k at position `at` of the block's image, whose planes have `plane` positions. */
static const float *floats(const cp_call *call, int k, const block *b, int64_t plane, int64_t at) {
    return (const float *)call->in[k] + (b->image * plane + at) * call->problem->channels + b->first;
}

static float *results(const cp_call *call, const block *b, int64_t plane) {
    return (float *)call->out[0] + (b->image * plane + b->at) * call->problem->channels + b->first;
}

/* --- Lp --- */

static void add_powers(double p, const float *x, int64_t n, double *sum) {
    if (p == 1)
        for (int64_t c = 0; c < n; c++) sum[c] += fabs((double)x[c]);
    else if (p == 2)
        for (int64_t c = 0; c < n; c++) sum[c] += (double)x[c] * (double)x[c];
    else
        for (int64_t c = 0; c < n; c++) sum[c] += pow(fabs((double)x[c]), p);
}

static void lp_block(const cp_call *call, const block *b) {
    const cp_problem *p = call->problem;
    const cp_box box = cp_window_box(&p->window, b->at);
    const int64_t I = cp_window_inputs(&p->window);
    float *y = results(call, b, cp_window_outputs(&p->window));
    double sum[BLOCK] = {0};
    int64_t tap;
    for (int64_t r = 0; r < cp_box_rows(&box); r++) {
        const int64_t row = cp_box_row(&box, r, &tap);
        for (int64_t k = 0; k < box.axis[2].count; k++)
            add_powers(p->exponent, floats(call, 0, b, I, row + k * box.axis[2].step), b->channels, sum);
    }
    for (int64_t c = 0; c < b->channels; c++)
        y[c] = (float)(p->exponent == 1 ? sum[c] : p->exponent == 2 ? sqrt(sum[c]) : pow(sum[c], 1 / p->exponent));
}

static void add_slopes(double p, const float *x, const float *y, const float *dy, int64_t n, double *sum) {
    for (int64_t c = 0; c < n; c++) {
        const double sign = (x[c] > 0) - (x[c] < 0), part = fabs((double)x[c]) / (double)y[c];
        if (y[c] != 0) sum[c] += (double)dy[c] * sign * (p == 1 ? 1 : p == 2 ? part : pow(part, p - 1));
    }
}

static void lp_gradient_block(const cp_call *call, const block *b) {
    const cp_problem *p = call->problem;
    const int64_t I = cp_window_inputs(&p->window), O = cp_window_outputs(&p->window), T = cp_window_taps(&p->window);
    const float *x = floats(call, 0, b, I, b->at);
    float *dx = results(call, b, I);
    double sum[BLOCK] = {0};
    int64_t o;
    for (int64_t t = 0; t < T; t++)
        if (cp_window_from(&p->window, b->at, t, &o))
            add_slopes(p->exponent, x, floats(call, 1, b, O, o), floats(call, 2, b, O, o), b->channels, sum);
    for (int64_t c = 0; c < b->channels; c++) dx[c] = (float)sum[c];
}

static void lp_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, cp_window_outputs(&call->problem->window), id, n, lp_block);
}

static void lp_pool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, cp_window_inputs(&call->problem->window), id, n, lp_gradient_block);
}

/* --- stochastic --- */

/* The probability of a value is a / sum of a, of those that are positive; NaN is a chance of its own. */
static double chance(float a) {
    return a > 0 || isnan(a) ? (double)a : 0;
}

/* The sums of a and of a^2 over window o. */
static void add_chances(const float *images, const cp_problem *p, const block *b, int64_t o, double *sum,
                        double *squares) {
    const cp_box box = cp_window_box(&p->window, o);
    const float *image = images + b->image * cp_window_inputs(&p->window) * p->channels + b->first;
    int64_t tap;
    for (int64_t r = 0; r < cp_box_rows(&box); r++) {
        const int64_t row = cp_box_row(&box, r, &tap);
        for (int64_t k = 0; k < box.axis[2].count; k++) {
            const float *x = image + (row + k * box.axis[2].step) * p->channels;
            for (int64_t c = 0; c < b->channels; c++) {
                const double a = chance(x[c]);
                sum[c] += a;
                squares[c] += a * a;
            }
        }
    }
}

/* Goes through the window until the part u of the sum has passed; where that is no number, only to the first tap. */
static float draw(const cp_call *call, const block *b, int64_t c, double limit, int64_t *drawn) {
    const cp_window *window = &call->problem->window;
    const cp_box box = cp_window_box(window, b->at);
    double passed = 0;
    float y = 0;
    int64_t tap;
    *drawn = -1;
    for (int64_t r = 0; r < cp_box_rows(&box); r++) {
        const int64_t row = cp_box_row(&box, r, &tap);
        for (int64_t k = 0; k < box.axis[2].count && passed <= limit; k++) {
            const double a = chance(floats(call, 0, b, cp_window_inputs(window), row + k * box.axis[2].step)[c]);
            if (*drawn < 0 || a > 0) {
                *drawn = tap + k;
                y = (float)a;
            }
            passed += a;
        }
    }
    if (*drawn < 0) *drawn = 0;
    return y;
}

static void put_index(const cp_call *call, int64_t at, int64_t tap) {
    if (!call->out[1]) return;
    if (call->problem->out_type[1] == CP_U8)
        ((uint8_t *)call->out[1])[at] = (uint8_t)tap;
    else
        ((int32_t *)call->out[1])[at] = (int32_t)tap;
}

static void stochastic_block(const cp_call *call, const block *b) {
    const cp_problem *p = call->problem;
    const cp_random_key key = {.seed = call->seed, .stream = p->layer, .step = call->step};
    const int64_t O = cp_window_outputs(&p->window), at = (b->image * O + b->at) * p->channels + b->first;
    double sum[BLOCK] = {0}, squares[BLOCK] = {0};
    add_chances(call->in[0], p, b, b->at, sum, squares);
    for (int64_t c = 0; c < b->channels; c++) {
        int64_t drawn = 0;
        float y = sum[c] > 0 ? (float)(squares[c] / sum[c]) : 0;
        if (p->training) y = draw(call, b, c, (double)cp_random_uniform(&key, (uint64_t)(at + c)) * sum[c], &drawn);
        if (call->out[0]) ((float *)call->out[0])[at + c] = isnan(sum[c]) ? NAN : y;
        put_index(call, at + c, drawn);
    }
}

static void stochastic_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, cp_window_outputs(&call->problem->window), id, n, stochastic_block);
}

/* Adds to total what window o, which sees x through tap t, contributes: in training only what was drawn does. */
static void add_window(const cp_call *call, const block *b, int64_t o, int64_t t, const float *x, double *total) {
    const cp_problem *p = call->problem;
    const float *dy = floats(call, 0, b, cp_window_outputs(&p->window), o);
    const int64_t at = dy - (const float *)call->in[0];
    if (p->training) {
        const uint8_t *bytes = call->in[1];
        const int32_t *words = call->in[1];
        for (int64_t c = 0; c < b->channels; c++)
            if ((p->in_type[1] == CP_U8 ? bytes[at + c] : words[at + c]) == t) total[c] += (double)dy[c];
        return;
    }
    double sum[BLOCK] = {0}, squares[BLOCK] = {0};
    add_chances(call->in[2], p, b, o, sum, squares);
    for (int64_t c = 0; c < b->channels; c++)
        if (!(x[c] <= 0)) total[c] += (double)dy[c] * (2 * (double)x[c] - squares[c] / sum[c]) / sum[c];
}

static void stochastic_gradient_block(const cp_call *call, const block *b) {
    const cp_window *window = &call->problem->window;
    const int64_t I = cp_window_inputs(window), T = cp_window_taps(window);
    const float *x = floats(call, 2, b, I, b->at);
    float *dx = results(call, b, I);
    double total[BLOCK] = {0};
    int64_t o;
    for (int64_t t = 0; t < T; t++)
        if (cp_window_from(window, b->at, t, &o)) add_window(call, b, o, t, x, total);
    for (int64_t c = 0; c < b->channels; c++) dx[c] = x[c] <= 0 ? 0 : (float)total[c];
}

static void stochastic_pool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, cp_window_inputs(&call->problem->window), id, n, stochastic_gradient_block);
}

const cp_algo cp_algo_lp_pool_boxes = {.name = "boxes", .refuse = refuse, .run = lp_pool};
const cp_algo cp_algo_lp_pool_gather = {.name = "gather", .refuse = refuse, .run = lp_pool_gradient};
const cp_algo cp_algo_stochastic_pool_boxes = {.name = "boxes", .refuse = refuse, .run = stochastic_pool};
const cp_algo cp_algo_stochastic_pool_gather = {.name = "gather", .refuse = refuse, .run = stochastic_pool_gradient};
