/* Numbers to whole ones of few bits and back. */
#include "ref/ref.h"

#include <math.h>

/* Which of the scales belongs to element e. */
static int64_t scale_of(const cp_tensor *x, int axis, const cp_tensor *scale, int64_t e) {
    if (cp_shape_count(scale->shape) == 1) return 0;
    return e / cp_shape_count(cp_shape_of(x->shape.rank - axis - 1, x->shape.dim + axis + 1)) % x->shape.dim[axis];
}

/* Element i of what has one axis or none. */
static int64_t at(const cp_tensor *list, int64_t i) {
    return list->shape.rank ? cp_offset(list, 0, list->shape.rank, i) : 0;
}

/* The quotient as its type has it, then rounded, halves to even. */
static double rounded(double x, double scale, cp_type type) {
    return type == CP_F32 ? (double)rintf((float)x / (float)scale) : rint(x / scale);
}

/* Within the type; NaN is the least. */
static int64_t saturated(double y, cp_type type) {
    const double least = type == CP_I8 ? INT8_MIN : 0, most = type == CP_I8 ? INT8_MAX : UINT8_MAX;
    return (int64_t)(y > least ? fmin(y, most) : least);
}

void cp_ref_quantize(int axis, const cp_tensor *x, const cp_tensor *scale, const cp_tensor *zero, const cp_tensor *y) {
    const int64_t count = cp_shape_count(x->shape);
    for (int64_t e = 0; e < count; e++) {
        const int64_t i = scale_of(x, axis, scale, e);
        const double z = zero ? (double)cp_get_integer(zero, at(zero, i)) : 0;
        const double v = cp_get(x, cp_offset(x, 0, x->shape.rank, e));
        cp_put_integer(y, cp_offset(y, 0, y->shape.rank, e),
                       saturated(rounded(v, cp_get(scale, at(scale, i)), scale->type) + z, y->type));
    }
}

void cp_ref_dequantize(int axis, const cp_tensor *x, const cp_tensor *scale, const cp_tensor *zero,
                       const cp_tensor *y) {
    const int64_t count = cp_shape_count(x->shape);
    for (int64_t e = 0; e < count; e++) {
        const int64_t i = scale_of(x, axis, scale, e);
        const int64_t z = zero ? cp_get_integer(zero, at(zero, i)) : 0;
        const int64_t v = cp_get_integer(x, cp_offset(x, 0, x->shape.rank, e));
        cp_put(y, cp_offset(y, 0, y->shape.rank, e), (double)(v - z) * cp_get(scale, at(scale, i)));
    }
}

void cp_ref_dynamic_quantize(const cp_tensor *x, const cp_tensor *y, const cp_tensor *scale, const cp_tensor *zero) {
    const int64_t count = cp_shape_count(x->shape);
    double least = 0, most = 0;
    for (int64_t e = 0; e < count; e++) {
        const double v = cp_get(x, cp_offset(x, 0, x->shape.rank, e));
        least = fmin(least, v);
        most = fmax(most, v);
    }
    double step = scale->type == CP_F32 ? (double)(((float)most - (float)least) / 255) : (most - least) / 255;
    if (step == 0) step = 1; /* all are 0 */
    cp_put(scale, 0, step);
    cp_put_integer(zero, 0, saturated(rounded(-least, step, scale->type), CP_U8));
    cp_ref_quantize(0, x, scale, zero, y);
}
