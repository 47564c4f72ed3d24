/* Tensors whose shapes broadcast, reductions over axes, pieces along an axis. */
#include "ref/ref.h"

#include <string.h>
#include <tgmath.h>

/* Element e in the order of the shape. */
static double get(const cp_tensor *x, int64_t e) {
    return cp_get(x, cp_offset(x, 0, x->shape.rank, e));
}

static void put(const cp_tensor *y, int64_t e, double value) {
    cp_put(y, cp_offset(y, 0, y->shape.rank, e), value);
}

/* A view of a with the shape that it broadcasts to: axes meet from the last one on, those of size 1 do not move. */
static cp_tensor expanded(const cp_tensor *a, cp_shape shape) {
    cp_tensor view = *a;
    const int missing = shape.rank - a->shape.rank;
    view.shape = shape;
    for (int d = 0; d < shape.rank; d++)
        view.stride[d] = d >= missing && a->shape.dim[d - missing] > 1 ? a->stride[d - missing] : 0;
    return view;
}

/* Where in x the flat position lies over those axes that are (or are not) in the set `axes`. */
static int64_t offset_over(const cp_tensor *x, uint32_t axes, bool in, int64_t flat) {
    int64_t offset = 0;
    for (int d = x->shape.rank - 1; d >= 0; d--) {
        if ((axes >> d & 1) != in) continue;
        offset += flat % x->shape.dim[d] * x->stride[d];
        flat /= x->shape.dim[d];
    }
    return offset;
}

/* How many positions those axes have. */
static int64_t count_over(cp_shape shape, uint32_t axes) {
    int64_t count = 1;
    for (int d = 0; d < shape.rank; d++)
        if (axes >> d & 1) count *= shape.dim[d];
    return count;
}

/* --- two numbers --- */

uint32_t cp_broadcast_axes(cp_shape x, cp_shape y) {
    const int missing = y.rank - x.rank;
    uint32_t axes = 0;
    for (int d = 0; d < y.rank; d++)
        if (d < missing || (x.dim[d - missing] == 1 && y.dim[d] != 1)) axes |= 1u << d;
    return axes;
}

#define VALUE(id, value, first, second)                                                                                \
    case CP_BINARY_##id:                                                                                               \
        return value;
#define FIRST(id, value, first, second)                                                                                \
    case CP_BINARY_##id:                                                                                               \
        return first;
#define SECOND(id, value, first, second)                                                                               \
    case CP_BINARY_##id:                                                                                               \
        return second;

static double value_of(cp_binary f, double a, double b) {
    switch (f) { CP_BINARIES(VALUE) }
    return a;
}

static double slope_by_first(cp_binary f, double a, double b) {
    (void)a, (void)b;
    switch (f) { CP_BINARIES(FIRST) }
    return 1;
}

static double slope_by_second(cp_binary f, double a, double b) {
    (void)a, (void)b;
    switch (f) { CP_BINARIES(SECOND) }
    return 1;
}

static int64_t power(int64_t a, int64_t b) {
    if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    uint64_t result = 1;
    for (uint64_t factor = (uint64_t)a; b > 0; b /= 2, factor *= factor)
        if (b % 2) result *= factor;
    return (int64_t)result;
}

/* As of integers of 64 bits, of which the upper ones are lost. */
static int64_t integer_of(cp_binary f, int64_t a, int64_t b) {
    const uint64_t u = (uint64_t)a, v = (uint64_t)b;
    switch (f) {
    case CP_BINARY_add:
        return (int64_t)(u + v);
    case CP_BINARY_sub:
        return (int64_t)(u - v);
    case CP_BINARY_mul:
        return (int64_t)(u * v);
    case CP_BINARY_div:
        return b == 0 ? 0 : b == -1 ? (int64_t)(0 - u) : a / b;
    case CP_BINARY_min:
        return a < b ? a : b;
    case CP_BINARY_max:
        return a > b ? a : b;
    case CP_BINARY_pow:
        return power(a, b);
    case CP_BINARY_prelu:
        return a < 0 ? (int64_t)(u * v) : a;
    }
    return a;
}

static int64_t get_integer(const cp_tensor *x, int64_t e) {
    return cp_get_integer(x, cp_offset(x, 0, x->shape.rank, e));
}

static void put_integer(const cp_tensor *y, int64_t e, int64_t value) {
    cp_put_integer(y, cp_offset(y, 0, y->shape.rank, e), value);
}

void cp_ref_binary(cp_binary f, const cp_tensor *a, const cp_tensor *b, const cp_tensor *y) {
    const cp_tensor A = expanded(a, y->shape), B = expanded(b, y->shape);
    const int64_t count = cp_shape_count(y->shape);
    if (cp_is_integer(y->type)) {
        for (int64_t e = 0; e < count; e++) put_integer(y, e, integer_of(f, get_integer(&A, e), get_integer(&B, e)));
        return;
    }
    for (int64_t e = 0; e < count; e++) put(y, e, value_of(f, get(&A, e), get(&B, e)));
}

/* --- truths --- */

#define TRUTH(id, truth)                                                                                               \
    case id:                                                                                                           \
        return truth;
static bool relate(cp_relation f, double a, double b) {
    switch (f) { CP_RELATION_FORMULAS(TRUTH) }
    return false;
}

static bool relate_integers(cp_relation f, int64_t a, int64_t b) {
    switch (f) { CP_RELATION_FORMULAS(TRUTH) }
    return false;
}

void cp_ref_relation(cp_relation f, const cp_tensor *a, const cp_tensor *b, const cp_tensor *y) {
    const cp_tensor A = expanded(a, y->shape), B = expanded(b, y->shape);
    const int64_t count = cp_shape_count(y->shape);
    for (int64_t e = 0; e < count; e++)
        put_integer(y, e,
                    cp_is_real(a->type) ? relate(f, get(&A, e), get(&B, e))
                                        : relate_integers(f, get_integer(&A, e), get_integer(&B, e)));
}

void cp_ref_where(const cp_tensor *condition, const cp_tensor *a, const cp_tensor *b, const cp_tensor *y) {
    const cp_tensor C = expanded(condition, y->shape), A = expanded(a, y->shape), B = expanded(b, y->shape);
    const int64_t count = cp_shape_count(y->shape), size = cp_type_size(y->type);
    for (int64_t e = 0; e < count; e++) {
        const cp_tensor *from = get_integer(&C, e) ? &A : &B;
        memcpy((char *)y->data + cp_offset(y, 0, y->shape.rank, e) * size,
               (const char *)from->data + cp_offset(from, 0, from->shape.rank, e) * size, (size_t)size);
    }
}

void cp_ref_binary_gradient(cp_binary f, bool second, const cp_tensor *a, const cp_tensor *b, const cp_tensor *dy,
                            const cp_tensor *da) {
    const cp_tensor A = expanded(a, dy->shape), B = expanded(b, dy->shape);
    const uint32_t axes = cp_broadcast_axes(da->shape, dy->shape);
    const int64_t count = cp_shape_count(da->shape), parts = count_over(dy->shape, axes);
    for (int64_t o = 0; o < count; o++) {
        const int64_t at_a = offset_over(&A, axes, false, o), at_b = offset_over(&B, axes, false, o);
        const int64_t at_dy = offset_over(dy, axes, false, o);
        double sum = 0;
        for (int64_t p = 0; p < parts; p++) {
            const double u = cp_get(&A, at_a + offset_over(&A, axes, true, p));
            const double v = cp_get(&B, at_b + offset_over(&B, axes, true, p));
            const double slope = second ? slope_by_second(f, u, v) : slope_by_first(f, u, v);
            sum += cp_get(dy, at_dy + offset_over(dy, axes, true, p)) * slope;
        }
        put(da, o, sum);
    }
}

/* --- reductions --- */

static double start_of(cp_reduction f) {
    return f == CP_REDUCE_MAX ? -INFINITY : f == CP_REDUCE_MIN ? INFINITY : f == CP_REDUCE_PRODUCT ? 1 : 0;
}

static double step_of(cp_reduction f, double sum, double x) {
    switch (f) {
    case CP_REDUCE_SUM:
    case CP_REDUCE_MEAN:
        return sum + x;
    case CP_REDUCE_MAX:
        return x > sum || isnan(x) ? x : sum;
    case CP_REDUCE_MIN:
        return x < sum || isnan(x) ? x : sum;
    case CP_REDUCE_PRODUCT:
        return sum * x;
    case CP_REDUCE_L1:
        return sum + fabs(x);
    case CP_REDUCE_L2:
    case CP_REDUCE_SUM_SQUARE:
        return sum + x * x;
    case CP_REDUCE_LOG_SUM:
        return sum + x;
    case CP_REDUCE_LOG_SUM_EXP:
        return sum + exp(x);
    }
    return sum;
}

static double end_of(cp_reduction f, double sum, int64_t parts) {
    if (f == CP_REDUCE_MEAN) return sum / (double)parts;
    if (f == CP_REDUCE_LOG_SUM || f == CP_REDUCE_LOG_SUM_EXP) return log(sum);
    return f == CP_REDUCE_L2 ? sqrt(sum) : sum;
}

/* Of functions whose results are whole. */
static bool stays_whole(cp_reduction f) {
    return f != CP_REDUCE_L2 && f != CP_REDUCE_LOG_SUM && f != CP_REDUCE_LOG_SUM_EXP;
}

static int64_t reduce_integers(cp_reduction f, uint32_t axes, const cp_tensor *x, int64_t at, int64_t parts) {
    int64_t best = 0;
    uint64_t sum = f == CP_REDUCE_PRODUCT;
    for (int64_t p = 0; p < parts; p++) {
        const int64_t v = cp_get_integer(x, at + offset_over(x, axes, true, p));
        const uint64_t u = (uint64_t)v;
        if (p == 0 || (f == CP_REDUCE_MAX ? v > best : v < best)) best = v;
        if (f == CP_REDUCE_PRODUCT)
            sum *= u;
        else if (f == CP_REDUCE_SUM_SQUARE)
            sum += u * u;
        else
            sum += f == CP_REDUCE_L1 && v < 0 ? 0 - u : u;
    }
    if (f == CP_REDUCE_MAX || f == CP_REDUCE_MIN) return best;
    return f == CP_REDUCE_MEAN && parts ? (int64_t)sum / parts : (int64_t)sum;
}

/* A finite number that a log-sum-exp takes out of its powers. */
static double largest_of(uint32_t axes, const cp_tensor *x, int64_t at, int64_t parts) {
    double largest = -INFINITY;
    for (int64_t p = 0; p < parts; p++) largest = fmax(largest, cp_get(x, at + offset_over(x, axes, true, p)));
    return isfinite(largest) ? largest : 0;
}

static double reduce_reals(cp_reduction f, uint32_t axes, const cp_tensor *x, int64_t at, int64_t parts) {
    const double out = f == CP_REDUCE_LOG_SUM_EXP ? largest_of(axes, x, at, parts) : 0;
    double sum = start_of(f);
    for (int64_t p = 0; p < parts; p++) sum = step_of(f, sum, cp_get(x, at + offset_over(x, axes, true, p)) - out);
    return out + end_of(f, sum, parts);
}

void cp_ref_reduce(cp_reduction f, uint32_t axes, const cp_tensor *x, const cp_tensor *y) {
    const int64_t count = cp_shape_count(y->shape), parts = count_over(x->shape, axes);
    for (int64_t o = 0; o < count; o++) {
        const int64_t at = offset_over(x, axes, false, o);
        if (!cp_is_integer(x->type))
            put(y, o, reduce_reals(f, axes, x, at, parts));
        else if (stays_whole(f))
            put_integer(y, o, reduce_integers(f, axes, x, at, parts));
        else
            put_integer(y, o, cp_cut(reduce_reals(f, axes, x, at, parts), y->type));
    }
}

/* The product of the numbers beside part p. */
static double others(const cp_tensor *x, uint32_t axes, int64_t at, int64_t parts, int64_t p) {
    double product = 1;
    for (int64_t q = 0; q < parts; q++)
        if (q != p) product *= cp_get(x, at + offset_over(x, axes, true, q));
    return product;
}

void cp_ref_reduce_gradient(cp_reduction f, uint32_t axes, const cp_tensor *x, const cp_tensor *y, const cp_tensor *dy,
                            const cp_tensor *dx) {
    const int64_t count = cp_shape_count(y->shape), parts = count_over(x->shape, axes);
    for (int64_t o = 0; o < count; o++) {
        const int64_t at = offset_over(x, axes, false, o), to = offset_over(dx, axes, false, o);
        const double value = get(y, o), d = get(dy, o);
        bool found = false; /* the first of equal maxima (minima) gets the whole gradient */
        for (int64_t p = 0; p < parts; p++) {
            const double v = cp_get(x, at + offset_over(x, axes, true, p));
            const bool here = !found && (v == value || isnan(v));
            double slope = 1;
            if (f == CP_REDUCE_MEAN) slope = 1 / (double)parts;
            if (f == CP_REDUCE_MAX || f == CP_REDUCE_MIN) slope = here;
            if (f == CP_REDUCE_PRODUCT) slope = others(x, axes, at, parts, p);
            if (f == CP_REDUCE_L1) slope = (v > 0) - (v < 0);
            if (f == CP_REDUCE_L2) slope = value > 0 ? v / value : 0;
            if (f == CP_REDUCE_SUM_SQUARE) slope = 2 * v;
            if (f == CP_REDUCE_LOG_SUM) slope = exp(-value);
            if (f == CP_REDUCE_LOG_SUM_EXP) slope = exp(v - value);
            cp_put(dx, to + offset_over(dx, axes, true, p), d * slope);
            found |= here;
        }
    }
}

/* --- pieces along an axis --- */

/* The part of y that begins at `begin` along the axis, with the size that part says. */
static cp_tensor piece_of(const cp_tensor *y, int axis, int64_t begin, int64_t size) {
    cp_tensor view = *y;
    view.data = (char *)y->data + begin * y->stride[axis] * cp_type_size(y->type);
    view.shape.dim[axis] = size;
    return view;
}

void cp_ref_concat(int axis, const cp_tensor *x, int n, const cp_tensor *y) {
    int64_t begin = 0;
    for (int i = 0; i < n; i++) {
        const cp_tensor piece = piece_of(y, axis, begin, x[i].shape.dim[axis]);
        cp_ref_copy(&x[i], &piece);
        begin += x[i].shape.dim[axis];
    }
}
