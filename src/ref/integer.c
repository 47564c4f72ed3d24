/* Convolution of bytes with exact sums, and their requantisation. */
#include <math.h>

#include "ref/ref.h"

/* Number k of several, or the only one. */
static int64_t at(const cp_tensor *numbers, int64_t k) {
    return numbers->shape.rank && numbers->shape.dim[0] > 1 ? k * numbers->stride[0] : 0;
}

static int64_t integer(const cp_tensor *numbers, int64_t k) {
    return numbers ? cp_get_integer(numbers, at(numbers, k)) : 0;
}

static int64_t requantised(int32_t sum, float scale, int64_t zero, cp_type type) {
    const int64_t low = type == CP_U8 ? 0 : -128, high = low + 255;
    const float product = (float)sum * scale;
    if (!(product > (float)(low - zero))) return low;
    return product > (float)(high - zero) ? high : (int64_t)rintf(product) + zero;
}

void cp_ref_conv_integer(const cp_window *window, int64_t groups, const cp_tensor *x, const cp_tensor *w,
                         const cp_tensor *b, const cp_tensor *x_zero, const cp_tensor *w_zero, const cp_tensor *scale,
                         const cp_tensor *y_zero, const cp_tensor *y) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = w->shape.dim[w->shape.rank - 2], K = w->shape.dim[w->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t k = 0; k < K; k++) {
                const int64_t first = k / (K / groups) * C; /* channel of k's group */
                uint32_t sum = (uint32_t)integer(b, k);
                for (int64_t t = 0; t < T; t++) {
                    int64_t i;
                    if (!cp_window_at(window, o, t, &i)) continue;
                    for (int64_t c = 0; c < C; c++) {
                        const int64_t seen = cp_get_integer(x, cp_at(x, n, i, first + c)) - integer(x_zero, 0);
                        const int64_t weight = cp_get_integer(w, cp_weight_at(w, t, c, k)) - integer(w_zero, k);
                        sum += (uint32_t)(seen * weight);
                    }
                }
                int64_t result = (int32_t)sum;
                if (scale)
                    result = requantised((int32_t)sum, (float)cp_get(scale, at(scale, k)), integer(y_zero, 0), y->type);
                cp_put_integer(y, cp_at(y, n, o, k), result);
            }
}
