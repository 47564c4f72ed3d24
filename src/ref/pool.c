/* Pooling: the maximum and the average over each window, and their gradients. */
#include "ref/ref.h"

#include <math.h>

void cp_ref_max_pool(const cp_window *window, const cp_tensor *x, const cp_tensor *y, const cp_tensor *index,
                     const cp_trace *trace) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = x->shape.dim[x->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t c = 0; c < C; c++) {
                double best = -INFINITY;
                int64_t best_tap = -1; /* none yet */
                for (int64_t t = 0; t < T; t++) {
                    int64_t i;
                    const bool inside = cp_window_at(window, o, t, &i);
                    const double seen = inside ? cp_get(x, cp_at(x, n, i, c)) : 0;
                    if (trace) trace->tap(trace->user, n, o, c, t, c, inside ? i : -1, seen, 1);
                    if (!inside) continue;
                    /* The first of equal maxima stays, and the first NaN stays against everything. */
                    if (best_tap < 0 || seen > best || (isnan(seen) && !isnan(best))) {
                        best = seen;
                        best_tap = t;
                    }
                }
                cp_put(y, cp_at(y, n, o, c), best);
                if (index) cp_put(index, cp_at(index, n, o, c), (double)best_tap);
            }
}

/* dx[n,i,c] = sum over the outputs o whose maximum was i of dy[n,o,c] */
void cp_ref_max_pool_gradient(const cp_window *window, const cp_tensor *dy, const cp_tensor *index,
                              const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], I = cp_window_inputs(window), T = cp_window_taps(window);
    const int64_t C = dx->shape.dim[dx->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t c = 0; c < C; c++) {
                double sum = 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t o;
                    if (cp_window_from(window, i, t, &o) && (int64_t)cp_get(index, cp_at(index, n, o, c)) == t)
                        sum += cp_get(dy, cp_at(dy, n, o, c));
                }
                cp_put(dx, cp_at(dx, n, i, c), sum);
            }
}

/* y[n,o,c] = sum over t of x[n, i(o,t), c] / divisor(o); a window without any tap inside gives 0 */
void cp_ref_average_pool(const cp_window *window, bool count_include_pad, const cp_tensor *x, const cp_tensor *y,
                         const cp_trace *trace) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = x->shape.dim[x->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++) {
            const int64_t divisor = cp_window_divisor(window, o, count_include_pad);
            for (int64_t c = 0; c < C; c++) {
                double sum = 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t i;
                    const bool inside = cp_window_at(window, o, t, &i);
                    const double seen = inside ? cp_get(x, cp_at(x, n, i, c)) : 0;
                    if (trace) trace->tap(trace->user, n, o, c, t, c, inside ? i : -1, seen, 1);
                    sum += seen;
                }
                cp_put(y, cp_at(y, n, o, c), divisor ? sum / (double)divisor : 0);
            }
        }
}

/* dx[n,i,c] = sum over the outputs o that see i of dy[n,o,c] / divisor(o) */
void cp_ref_average_pool_gradient(const cp_window *window, bool count_include_pad, const cp_tensor *dy,
                                  const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], I = cp_window_inputs(window), T = cp_window_taps(window);
    const int64_t C = dx->shape.dim[dx->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t c = 0; c < C; c++) {
                double sum = 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t o;
                    if (cp_window_from(window, i, t, &o))
                        sum += cp_get(dy, cp_at(dy, n, o, c)) / (double)cp_window_divisor(window, o, count_include_pad);
                }
                cp_put(dx, cp_at(dx, n, i, c), sum);
            }
}
