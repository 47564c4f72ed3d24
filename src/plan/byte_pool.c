/* Maximum and average pooling of bytes, U8 and I8: each output on its own, a block of channels at a time. Sums are
 * exact, so that averages are rounded as the definition rounds them. */
#include "plan/algos.h"

#include <string.h>

enum { BLOCK = 256, MOST_TAPS = 1 << 23 }; /* channels at a time; so many bytes add up to an int32_t */

static const char *refuse(const cp_problem *p) {
    if (p->type != CP_F32) return "needs f32 around it";
    return p->in_type[0] == CP_U8 || p->in_type[0] == CP_I8 ? NULL : "needs bytes";
}

static const char *refuse_max(const cp_problem *p) {
    return p->out_used[1] ? "notes no index" : refuse(p);
}

static const char *refuse_average(const cp_problem *p) {
    return cp_window_taps(&p->window) > MOST_TAPS ? "too large a window" : refuse(p);
}

/* best[c] = max(best[c], x[c]); the bytes of I8 are compared as numbers with a sign. */
static void take_larger(bool has_sign, const void *x, int64_t n, void *best) {
    if (has_sign) {
        const int8_t *from = x;
        int8_t *to = best;
        for (int64_t c = 0; c < n; c++) to[c] = from[c] > to[c] ? from[c] : to[c];
    } else {
        const uint8_t *from = x;
        uint8_t *to = best;
        for (int64_t c = 0; c < n; c++) to[c] = from[c] > to[c] ? from[c] : to[c];
    }
}

static void add_bytes(bool has_sign, const void *x, int64_t n, int32_t *sum) {
    if (has_sign)
        for (int64_t c = 0; c < n; c++) sum[c] += ((const int8_t *)x)[c];
    else
        for (int64_t c = 0; c < n; c++) sum[c] += ((const uint8_t *)x)[c];
}

/* The nearest whole number, halves to even, within the type's range: a divisor may be less than the taps. */
static void divide(bool has_sign, const int32_t *sum, int64_t n, int64_t divisor, void *y) {
    enum { LEAST_I8 = -128, MOST_I8 = 127, MOST_U8 = 255 };
    const double by = (double)divisor, rounds = 0x1.8p52, low = has_sign ? LEAST_I8 : 0,
                 high = has_sign ? MOST_I8 : MOST_U8;
    for (int64_t c = 0; c < n; c++) {
        double value = (double)sum[c] / by + rounds - rounds; /* so large a number has no digits behind the point */
        value = value < low ? low : value > high ? high : value;
        if (has_sign)
            ((int8_t *)y)[c] = (int8_t)value;
        else
            ((uint8_t *)y)[c] = (uint8_t)value;
    }
}

/* n channels of one output. */
static void max_block(const cp_problem *p, const cp_box *box, const uint8_t *image, int64_t n, uint8_t *y) {
    int64_t tap;
    bool begins = true;
    for (int64_t r = 0; r < cp_box_rows(box); r++) {
        const uint8_t *x = image + cp_box_row(box, r, &tap) * p->channels;
        for (int64_t k = 0; k < box->axis[2].count; k++, x += box->axis[2].step * p->channels) {
            if (begins)
                memcpy(y, x, (size_t)n);
            else
                take_larger(p->in_type[0] == CP_I8, x, n, y);
            begins = false;
        }
    }
}

static void average_block(const cp_problem *p, const cp_box *box, const uint8_t *image, int64_t n, int64_t divisor,
                          uint8_t *y) {
    const bool has_sign = p->in_type[0] == CP_I8;
    int32_t sum[BLOCK] = {0};
    int64_t tap;
    for (int64_t r = 0; r < cp_box_rows(box); r++) {
        const uint8_t *x = image + cp_box_row(box, r, &tap) * p->channels;
        for (int64_t k = 0; k < box->axis[2].count; k++, x += box->axis[2].step * p->channels)
            add_bytes(has_sign, x, n, sum);
    }
    divide(has_sign, sum, n, divisor ? divisor : 1, y);
}

/* Share id of n of all outputs in all images. */
static void run(const cp_call *call, bool averages, int id, int n) {
    const cp_problem *p = call->problem;
    const int64_t C = p->channels, O = cp_window_outputs(&p->window), I = cp_window_inputs(&p->window);
    int64_t first, last;
    cp_share(p->batch * O, id, n, &first, &last);
    for (int64_t i = first; i < last && call->out[0]; i++) {
        const cp_box box = cp_window_box(&p->window, i % O);
        const int64_t divisor = averages ? cp_window_divisor(&p->window, i % O, p->divisor, p->divide_by) : 0;
        const uint8_t *image = (const uint8_t *)call->in[0] + i / O * I * C;
        uint8_t *y = (uint8_t *)call->out[0] + i * C;
        for (int64_t c = 0; c < C; c += BLOCK) {
            const int64_t channels = C - c < BLOCK ? C - c : BLOCK;
            if (averages)
                average_block(p, &box, image + c, channels, divisor, y + c);
            else
                max_block(p, &box, image + c, channels, y + c);
        }
    }
}

static void max_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    run(call, false, id, n);
}

static void average_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    run(call, true, id, n);
}

const cp_algo cp_algo_max_pool_bytes = {.name = "bytes", .refuse = refuse_max, .run = max_pool};
const cp_algo cp_algo_average_pool_bytes = {.name = "bytes", .refuse = refuse_average, .run = average_pool};
