/* Pooling over windows of one size: maximum, average, Lp, stochastic, and their gradients. */
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

/* As a number of that type: bytes are the nearest whole number, halves to even, within their range. */
static double in_type(cp_type type, double value) {
    if (type == CP_U8) return fmin(fmax(nearbyint(value), 0), UINT8_MAX);
    if (type == CP_I8) return fmin(fmax(nearbyint(value), INT8_MIN), INT8_MAX);
    return value;
}

/* y[n,o,c] = sum over t of x[n, i(o,t), c] / divisor(o); a window without any tap inside gives 0 */
void cp_ref_average_pool(const cp_window *window, cp_divisor kind, int64_t number, const cp_tensor *x,
                         const cp_tensor *y, const cp_trace *trace) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = x->shape.dim[x->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++) {
            const int64_t divisor = cp_window_divisor(window, o, kind, number);
            for (int64_t c = 0; c < C; c++) {
                double sum = 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t i;
                    const bool inside = cp_window_at(window, o, t, &i);
                    const double seen = inside ? cp_get(x, cp_at(x, n, i, c)) : 0;
                    if (trace) trace->tap(trace->user, n, o, c, t, c, inside ? i : -1, seen, 1);
                    sum += seen;
                }
                cp_put(y, cp_at(y, n, o, c), in_type(y->type, divisor ? sum / (double)divisor : 0));
            }
        }
}

/* dx[n,i,c] = sum over the outputs o that see i of dy[n,o,c] / divisor(o) */
void cp_ref_average_pool_gradient(const cp_window *window, cp_divisor kind, int64_t number, const cp_tensor *dy,
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
                        sum += cp_get(dy, cp_at(dy, n, o, c)) / (double)cp_window_divisor(window, o, kind, number);
                }
                cp_put(dx, cp_at(dx, n, i, c), sum);
            }
}

/* y[n,o,c] = (sum over t of |x[n, i(o,t), c]|^p)^(1/p) */
void cp_ref_lp_pool(const cp_window *window, double p, const cp_tensor *x, const cp_tensor *y) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = x->shape.dim[x->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t c = 0; c < C; c++) {
                double sum = 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t i;
                    if (cp_window_at(window, o, t, &i)) sum += pow(fabs(cp_get(x, cp_at(x, n, i, c))), p);
                }
                cp_put(y, cp_at(y, n, o, c), pow(sum, 1 / p));
            }
}

/* dx[n,i,c] = sum over the outputs o that see i of dy[n,o,c] * sign(x) * (|x[n,i,c]| / y[n,o,c])^(p-1); 0 where y is 0
 */
void cp_ref_lp_pool_gradient(const cp_window *window, double p, const cp_tensor *x, const cp_tensor *y,
                             const cp_tensor *dy, const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], I = cp_window_inputs(window), T = cp_window_taps(window);
    const int64_t C = dx->shape.dim[dx->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t c = 0; c < C; c++) {
                const double seen = cp_get(x, cp_at(x, n, i, c)), sign = (seen > 0) - (seen < 0);
                double sum = 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t o;
                    if (!cp_window_from(window, i, t, &o)) continue;
                    const double norm = cp_get(y, cp_at(y, n, o, c));
                    if (norm != 0) sum += cp_get(dy, cp_at(dy, n, o, c)) * sign * pow(fabs(seen) / norm, p - 1);
                }
                cp_put(dx, cp_at(dx, n, i, c), sum);
            }
}

/* The probability of a value is a / sum of a, of those that are positive; NaN is a chance of its own. */
static double chance(double a) {
    return a > 0 || isnan(a) ? a : 0;
}

/* Drawn: y is the first a_t with a_0 + .. + a_t > u * sum; else the mean of the same probabilities. Where nothing is
 * positive, y is 0 and index the first tap. */
void cp_ref_stochastic_pool(const cp_window *window, const cp_random_key *key, const cp_tensor *x, const cp_tensor *y,
                            const cp_tensor *index) {
    const int64_t N = x->shape.dim[0], O = cp_window_outputs(window), T = cp_window_taps(window);
    const int64_t C = x->shape.dim[x->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t c = 0; c < C; c++) {
                double sum = 0, squares = 0, passed = 0, y_drawn = 0;
                int64_t i, drawn = -1;
                for (int64_t t = 0; t < T; t++) {
                    if (!cp_window_at(window, o, t, &i)) continue;
                    const double a = chance(cp_get(x, cp_at(x, n, i, c)));
                    sum += a;
                    squares += a * a;
                }
                const double u = key ? (double)cp_random_uniform(key, (uint64_t)((n * O + o) * C + c)) : 0;
                for (int64_t t = 0; t < T && key && passed <= u * sum; t++) {
                    if (!cp_window_at(window, o, t, &i)) continue;
                    const double a = chance(cp_get(x, cp_at(x, n, i, c)));
                    if (drawn < 0 || a > 0) {
                        drawn = t;
                        y_drawn = a;
                    }
                    passed += a;
                }
                cp_put(y, cp_at(y, n, o, c), isnan(sum) ? NAN : key ? y_drawn : sum > 0 ? squares / sum : 0);
                if (index) cp_put(index, cp_at(index, n, o, c), (double)(drawn < 0 ? 0 : drawn));
            }
}

/* d y[n,o,c] / d a, where tap t of the window sees a > 0: of the mean squares / sum it is (2 a - y) / sum. */
static double slope(const cp_window *window, const cp_tensor *x, int64_t n, int64_t o, int64_t c, double a) {
    double sum = 0, squares = 0;
    int64_t i;
    for (int64_t t = 0; t < cp_window_taps(window); t++) {
        if (!cp_window_at(window, o, t, &i)) continue;
        const double b = chance(cp_get(x, cp_at(x, n, i, c)));
        sum += b;
        squares += b * b;
    }
    return (2 * a - squares / sum) / sum;
}

/* dx[n,i,c] = sum over the outputs o that see i of dy[n,o,c] * slope, where a = x[n,i,c] is positive */
void cp_ref_stochastic_pool_gradient(const cp_window *window, const cp_tensor *dy, const cp_tensor *index,
                                     const cp_tensor *x, const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], I = cp_window_inputs(window), T = cp_window_taps(window);
    const int64_t C = dx->shape.dim[dx->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t c = 0; c < C; c++) {
                const double a = chance(cp_get(x, cp_at(x, n, i, c)));
                double sum = 0;
                for (int64_t t = 0; t < T && !(a <= 0); t++) {
                    int64_t o;
                    if (!cp_window_from(window, i, t, &o)) continue;
                    const double by =
                        index ? (int64_t)cp_get(index, cp_at(index, n, o, c)) == t : slope(window, x, n, o, c, a);
                    sum += cp_get(dy, cp_at(dy, n, o, c)) * by;
                }
                cp_put(dx, cp_at(dx, n, i, c), sum);
            }
}
