/* Convolution: forward, and the gradients by input, weights and bias. */
#include "ref/ref.h"

void cp_ref_conv(const cp_window *window, int64_t groups, bool relu, const cp_tensor *x, const cp_tensor *w,
                 const cp_tensor *b, const cp_tensor *y, const cp_trace *trace) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = w->shape.dim[w->shape.rank - 2], K = w->shape.dim[w->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t k = 0; k < K; k++) {
                const int64_t first = k / (K / groups) * C; /* channel of k's group */
                double sum = b ? cp_get(b, k * b->stride[0]) : 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t i;
                    const bool inside = cp_window_at(window, o, t, &i);
                    for (int64_t c = 0; c < C; c++) {
                        const double seen = inside ? cp_get(x, cp_at(x, n, i, first + c)) : 0;
                        const double weight = cp_get(w, cp_weight_at(w, t, c, k));
                        if (inside) sum += seen * weight;
                        if (trace) trace->tap(trace->user, n, o, k, t, first + c, inside ? i : -1, seen, weight);
                    }
                }
                cp_put(y, cp_at(y, n, o, k), relu && sum < 0 ? 0 : sum);
            }
}

void cp_ref_conv_transpose(const cp_window *window, int64_t groups, bool relu, const cp_tensor *x, const cp_tensor *w,
                           const cp_tensor *b, const cp_tensor *y) {
    const int64_t N = y->shape.dim[0], I = cp_window_inputs(window), T = cp_window_taps(window);
    const int64_t C = w->shape.dim[w->shape.rank - 2], K = w->shape.dim[w->shape.rank - 1] / groups;

    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t c = 0; c < C * groups; c++) {
                const int64_t first = c / C * K; /* filter of c's group */
                double sum = b ? cp_get(b, c * b->stride[0]) : 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t o;
                    if (!cp_window_from(window, i, t, &o)) continue;
                    for (int64_t k = first; k < first + K; k++)
                        sum += cp_get(x, cp_at(x, n, o, k)) * cp_get(w, cp_weight_at(w, t, c % C, k));
                }
                cp_put(y, cp_at(y, n, i, c), relu && sum < 0 ? 0 : sum);
            }
}

/* The adjoint of the convolution is the transposed one. */
void cp_ref_conv_input_gradient(const cp_window *window, int64_t groups, const cp_tensor *dy, const cp_tensor *w,
                                const cp_tensor *dx) {
    cp_ref_conv_transpose(window, groups, false, dy, w, NULL, dx);
}

void cp_ref_conv_weight_gradient(const cp_window *window, int64_t groups, const cp_tensor *x, const cp_tensor *dy,
                                 const cp_tensor *dw) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = dw->shape.dim[dw->shape.rank - 2], K = dw->shape.dim[dw->shape.rank - 1];

    for (int64_t t = 0; t < T; t++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t k = 0; k < K; k++) {
                const int64_t first = k / (K / groups) * C; /* channel of k's group */
                double sum = 0;
                for (int64_t n = 0; n < N; n++)
                    for (int64_t o = 0; o < O; o++) {
                        int64_t i;
                        if (!cp_window_at(window, o, t, &i)) continue;
                        sum += cp_get(x, cp_at(x, n, i, first + c)) * cp_get(dy, cp_at(dy, n, o, k));
                    }
                cp_put(dw, cp_weight_at(dw, t, c, k), sum);
            }
}

void cp_ref_bias_gradient(const cp_tensor *dy, const cp_tensor *db) {
    const int last = dy->shape.rank - 1;
    const int64_t K = dy->shape.dim[last], rows = cp_shape_count(cp_shape_of(last, dy->shape.dim));

    for (int64_t k = 0; k < K; k++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++) sum += cp_get(dy, cp_offset(dy, 0, last, r) + k * dy->stride[last]);
        cp_put(db, k * db->stride[0], sum);
    }
}
