/* Losses: one number that says how wrong the outputs are, and its gradient by them. */
#include "ref/ref.h"

#include <math.h>

static double get(const cp_tensor *x, int64_t e) {
    return cp_get(x, cp_offset(x, 0, x->shape.rank, e));
}

static void put(const cp_tensor *y, int64_t e, double value) {
    cp_put(y, cp_offset(y, 0, y->shape.rank, e), value);
}

/* -log softmax(x)[label] = log(sum over c of exp(x[c] - m)) + m - x[label], m the row's maximum: no logarithm of 0 */
static double cross_entropy(const cp_tensor *x, int64_t row, int64_t C, int64_t label) {
    double m = -INFINITY, sum = 0;
    if (label < 0 || label >= C) return NAN;
    for (int64_t c = 0; c < C; c++) m = fmax(m, get(x, row + c));
    for (int64_t c = 0; c < C; c++) sum += exp(get(x, row + c) - m);
    return log(sum) + m - get(x, row + label);
}

void cp_ref_softmax_cross_entropy(const cp_tensor *x, const cp_tensor *labels, const cp_tensor *loss,
                                  const cp_tensor *p) {
    const int64_t N = x->shape.dim[0], C = x->shape.dim[1];
    double sum = 0;
    for (int64_t n = 0; n < N; n++) sum += cross_entropy(x, n * C, C, (int64_t)get(labels, n));
    put(loss, 0, N ? sum / (double)N : 0);
    cp_ref_softmax(x, p);
}

void cp_ref_softmax_cross_entropy_gradient(const cp_tensor *p, const cp_tensor *labels, const cp_tensor *dloss,
                                           const cp_tensor *dx) {
    const int64_t N = p->shape.dim[0], C = p->shape.dim[1];
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) {
            const double onehot = (int64_t)get(labels, n) == c;
            put(dx, n * C + c, get(dloss, 0) * (get(p, n * C + c) - onehot) / (double)N);
        }
}

void cp_ref_mean_squared_error(const cp_tensor *y, const cp_tensor *target, const cp_tensor *loss) {
    const int64_t count = cp_shape_count(y->shape);
    double sum = 0;
    for (int64_t e = 0; e < count; e++) {
        const double difference = get(y, e) - get(target, e);
        sum += difference * difference;
    }
    put(loss, 0, count ? sum / (double)count : 0);
}

void cp_ref_mean_squared_error_gradient(const cp_tensor *y, const cp_tensor *target, const cp_tensor *dloss,
                                        const cp_tensor *dy) {
    const int64_t count = cp_shape_count(y->shape);
    for (int64_t e = 0; e < count; e++) put(dy, e, get(dloss, 0) * 2 * (get(y, e) - get(target, e)) / (double)count);
}
