/* What happens to each element, or to each row: activations, softmax, sums, dropout. */
#include "ref/ref.h"

#include <tgmath.h>

/* Element e in the order of the shape. */
static double get(const cp_tensor *x, int64_t e) {
    return cp_get(x, cp_offset(x, 0, x->shape.rank, e));
}

static void put(const cp_tensor *y, int64_t e, double value) {
    cp_put(y, cp_offset(y, 0, y->shape.rank, e), value);
}

#define VALUE(name, value, slope)                                                                                      \
    case name:                                                                                                         \
        return value;
#define SLOPE(name, value, slope)                                                                                      \
    case name:                                                                                                         \
        return slope;

static double activate(cp_activation f, double alpha, double beta, double x) {
    switch (f) { CP_ACTIVATION_FORMULAS(VALUE, double) }
    return x;
}

/* f'(x); seen: f(x), or x */
static double slope_of(cp_activation f, double alpha, double beta, double seen) {
    const double x = seen, y = seen;
    switch (f) { CP_ACTIVATION_FORMULAS(SLOPE, double) }
    return 1;
}

/* Of those that integers have; the least one stays itself, as in the machine. */
static int64_t activate_integer(cp_activation f, int64_t x) {
    const int64_t opposite = (int64_t)(0 - (uint64_t)x);
    if (f == CP_RELU) return x < 0 ? 0 : x;
    if (f == CP_ABS) return x < 0 ? opposite : x;
    if (f == CP_SIGN) return (x > 0) - (x < 0);
    return f == CP_NEG ? opposite : x;
}

void cp_ref_activation(cp_activation f, double alpha, double beta, const cp_tensor *x, const cp_tensor *y) {
    const int64_t count = cp_shape_count(x->shape), rank = x->shape.rank;
    for (int64_t e = 0; e < count && cp_is_integer(x->type); e++) {
        const int64_t value = cp_get_integer(x, cp_offset(x, 0, (int)rank, e));
        cp_put_integer(y, cp_offset(y, 0, (int)rank, e), activate_integer(f, value));
    }
    if (cp_is_integer(x->type)) return;
    for (int64_t e = 0; e < count; e++) put(y, e, activate(f, alpha, beta, get(x, e)));
}

void cp_ref_activation_gradient(cp_activation f, double alpha, double beta, const cp_tensor *seen, const cp_tensor *dy,
                                const cp_tensor *dx) {
    const int64_t count = cp_shape_count(dy->shape);
    for (int64_t e = 0; e < count; e++) put(dx, e, get(dy, e) * slope_of(f, alpha, beta, get(seen, e)));
}

/* y[r,c] = exp(x[r,c] - m) / sum over c of exp(x[r,c] - m), m the row's maximum: the same quotient, but exp stays
 * finite */
void cp_ref_softmax(const cp_tensor *x, const cp_tensor *y) {
    const int64_t C = x->shape.dim[x->shape.rank - 1], count = cp_shape_count(x->shape);

    for (int64_t row = 0; row < count; row += C) {
        double m = -INFINITY, sum = 0;
        for (int64_t c = 0; c < C; c++) m = fmax(m, get(x, row + c));
        for (int64_t c = 0; c < C; c++) sum += exp(get(x, row + c) - m);
        for (int64_t c = 0; c < C; c++) put(y, row + c, exp(get(x, row + c) - m) / sum);
    }
}

/* dx[r,c] = y[r,c] * (dy[r,c] - sum over j of y[r,j] * dy[r,j]) */
void cp_ref_softmax_gradient(const cp_tensor *y, const cp_tensor *dy, const cp_tensor *dx) {
    const int64_t C = y->shape.dim[y->shape.rank - 1], count = cp_shape_count(y->shape);

    for (int64_t row = 0; row < count; row += C) {
        double sum = 0;
        for (int64_t j = 0; j < C; j++) sum += get(y, row + j) * get(dy, row + j);
        for (int64_t c = 0; c < C; c++) put(dx, row + c, get(y, row + c) * (get(dy, row + c) - sum));
    }
}

void cp_ref_dropout(float rate, const cp_random_key *key, const cp_tensor *x, const cp_tensor *y) {
    const int64_t count = cp_shape_count(x->shape);
    for (int64_t e = 0; e < count; e++)
        put(y, e, cp_random_uniform(key, (uint64_t)e) >= rate ? get(x, e) / (1 - (double)rate) : 0);
}
