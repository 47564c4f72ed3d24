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

/* Where row r, along an axis, begins. */
static int64_t row_at(const cp_tensor *x, int axis, int64_t r) {
    int64_t offset = 0;
    for (int d = x->shape.rank - 1; d >= 0; d--) {
        if (d == axis) continue;
        offset += r % x->shape.dim[d] * x->stride[d];
        r /= x->shape.dim[d];
    }
    return offset;
}

/* y[r,c] = exp(x[r,c] - m) / sum over c of exp(x[r,c] - m), m the row's maximum: the same quotient, but exp stays
 * finite; its logarithm x[r,c] - m - log(sum) */
void cp_ref_softmax(bool logarithm, int axis, const cp_tensor *x, const cp_tensor *y) {
    const int64_t C = x->shape.dim[axis], R = C ? cp_shape_count(x->shape) / C : 0;

    for (int64_t r = 0; r < R; r++) {
        const int64_t from = row_at(x, axis, r), to = row_at(y, axis, r);
        double m = -INFINITY, sum = 0;
        for (int64_t c = 0; c < C; c++) m = fmax(m, cp_get(x, from + c * x->stride[axis]));
        for (int64_t c = 0; c < C; c++) sum += exp(cp_get(x, from + c * x->stride[axis]) - m);
        for (int64_t c = 0; c < C; c++) {
            const double z = cp_get(x, from + c * x->stride[axis]) - m;
            cp_put(y, to + c * y->stride[axis], logarithm ? z - log(sum) : exp(z) / sum);
        }
    }
}

/* dx[r,c] = y[r,c] * (dy[r,c] - sum over j of y[r,j] * dy[r,j]); of the logarithm dy[r,c] - exp(y[r,c]) * sum over j of
 * dy[r,j] */
void cp_ref_softmax_gradient(bool logarithm, int axis, const cp_tensor *y, const cp_tensor *dy, const cp_tensor *dx) {
    const int64_t C = y->shape.dim[axis], R = C ? cp_shape_count(y->shape) / C : 0;

    for (int64_t r = 0; r < R; r++) {
        const int64_t at_y = row_at(y, axis, r), at_dy = row_at(dy, axis, r), to = row_at(dx, axis, r);
        double sum = 0;
        for (int64_t j = 0; j < C; j++) {
            const double d = cp_get(dy, at_dy + j * dy->stride[axis]);
            sum += logarithm ? d : cp_get(y, at_y + j * y->stride[axis]) * d;
        }
        for (int64_t c = 0; c < C; c++) {
            const double v = cp_get(y, at_y + c * y->stride[axis]), d = cp_get(dy, at_dy + c * dy->stride[axis]);
            cp_put(dx, to + c * dx->stride[axis], logarithm ? d - exp(v) * sum : v * (d - sum));
        }
    }
}

void cp_ref_dropout(float rate, const cp_random_key *key, const cp_tensor *x, const cp_tensor *y) {
    const int64_t count = cp_shape_count(x->shape);
    for (int64_t e = 0; e < count; e++)
        put(y, e, cp_random_uniform(key, (uint64_t)e) >= rate ? get(x, e) / (1 - (double)rate) : 0);
}
