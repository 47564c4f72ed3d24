/* Locally connected convolution: every output position has weights of its own. */
#include "ref/ref.h"

void cp_ref_local_conv(const cp_window *window, bool relu, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b,
                       const cp_tensor *y) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = x->shape.dim[x->shape.rank - 1], K = y->shape.dim[y->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t k = 0; k < K; k++) {
                double sum = b ? cp_get(b, k * b->stride[0]) : 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t i;
                    if (!cp_window_at(window, o, t, &i)) continue;
                    for (int64_t c = 0; c < C; c++)
                        sum += cp_get(x, cp_at(x, n, i, c)) * cp_get(w, cp_weight_at(w, o, t * C + c, k));
                }
                cp_put(y, cp_at(y, n, o, k), relu && sum < 0 ? 0 : sum);
            }
}

void cp_ref_local_conv_input_gradient(const cp_window *window, const cp_tensor *dy, const cp_tensor *w,
                                      const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], I = cp_window_inputs(window), T = cp_window_taps(window);
    const int64_t C = dx->shape.dim[dx->shape.rank - 1], K = dy->shape.dim[dy->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t c = 0; c < C; c++) {
                double sum = 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t o;
                    if (!cp_window_from(window, i, t, &o)) continue;
                    for (int64_t k = 0; k < K; k++)
                        sum += cp_get(dy, cp_at(dy, n, o, k)) * cp_get(w, cp_weight_at(w, o, t * C + c, k));
                }
                cp_put(dx, cp_at(dx, n, i, c), sum);
            }
}

void cp_ref_local_conv_weight_gradient(const cp_window *window, const cp_tensor *dy, const cp_tensor *x,
                                       const cp_tensor *dw) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = x->shape.dim[x->shape.rank - 1], K = dy->shape.dim[dy->shape.rank - 1];

    for (int64_t o = 0; o < O; o++)
        for (int64_t t = 0; t < T; t++) {
            int64_t i;
            const bool inside = cp_window_at(window, o, t, &i);
            for (int64_t c = 0; c < C; c++)
                for (int64_t k = 0; k < K; k++) {
                    double sum = 0;
                    for (int64_t n = 0; inside && n < N; n++)
                        sum += cp_get(x, cp_at(x, n, i, c)) * cp_get(dy, cp_at(dy, n, o, k));
                    cp_put(dw, cp_weight_at(dw, o, t * C + c, k), sum);
                }
        }
}
