/* im2col, which lays the windows of a convolution out as the rows of a matrix, and its adjoint. */
#include "ref/ref.h"

void cp_ref_im2col(const cp_window *window, const cp_tensor *x, const cp_tensor *y) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = x->shape.dim[x->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t t = 0; t < T; t++) {
                int64_t i;
                const bool inside = cp_window_at(window, o, t, &i);
                for (int64_t c = 0; c < C; c++)
                    cp_put(y, cp_at(y, n, o, t * C + c), inside ? cp_get(x, cp_at(x, n, i, c)) : 0);
            }
}

void cp_ref_col2im(const cp_window *window, const cp_tensor *y, const cp_tensor *x) {
    const int64_t N = x->shape.dim[0], I = cp_window_inputs(window), T = cp_window_taps(window);
    const int64_t C = x->shape.dim[x->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t c = 0; c < C; c++) {
                double sum = 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t o;
                    if (cp_window_from(window, i, t, &o)) sum += cp_get(y, cp_at(y, n, o, t * C + c));
                }
                cp_put(x, cp_at(x, n, i, c), sum);
            }
}
