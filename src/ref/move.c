/* What only moves elements, of any type. */
#include "ref/ref.h"

#include <math.h>
#include <string.h>

/* Element e in the order of the shape. */
static char *at(const cp_tensor *x, int64_t e) {
    return (char *)x->data + cp_offset(x, 0, x->shape.rank, e) * cp_type_size(x->type);
}

void cp_ref_copy(const cp_tensor *x, const cp_tensor *y) {
    const int64_t count = cp_shape_count(y->shape);
    for (int64_t e = 0; e < count; e++) memcpy(at(y, e), at(x, e), (size_t)cp_type_size(y->type));
}

void cp_ref_clear(const cp_tensor *y) {
    const int64_t count = cp_shape_count(y->shape);
    for (int64_t e = 0; e < count; e++) memset(at(y, e), 0, (size_t)cp_type_size(y->type));
}

/* The index at element e, those below 0 counted from the end; -1 where it is outside. */
static int64_t index_at(const cp_tensor *indices, int64_t e, int64_t size) {
    int64_t index = cp_get_integer(indices, cp_offset(indices, 0, indices->shape.rank, e));
    if (index < 0) index += size;
    return index >= 0 && index < size ? index : -1;
}

/* The elements of y as [outer, indices, inner] and, of x, [outer, size, inner]: which of x is element e of y, -1 where
 * its index is outside. */
static int64_t gathered(int axis, const cp_tensor *indices, cp_shape x, int64_t e) {
    const int64_t inner = cp_shape_count(cp_shape_of(x.rank - axis - 1, x.dim + axis + 1));
    const int64_t count = cp_shape_count(indices->shape), row = e / inner;
    const int64_t at_axis = index_at(indices, row % count, x.dim[axis]);
    return at_axis < 0 ? -1 : (row / count * x.dim[axis] + at_axis) * inner + e % inner;
}

void cp_ref_gather(int axis, const cp_tensor *x, const cp_tensor *indices, const cp_tensor *y) {
    const int64_t count = cp_shape_count(y->shape);
    cp_ref_clear(y);
    for (int64_t e = 0; e < count; e++) {
        const int64_t from = gathered(axis, indices, x->shape, e);
        if (from >= 0) memcpy(at(y, e), at(x, from), (size_t)cp_type_size(y->type));
    }
}

/* To element e what is at another is added. */
static void add(const cp_tensor *to, int64_t e, const cp_tensor *from, int64_t other) {
    const int64_t offset = cp_offset(to, 0, to->shape.rank, e);
    const double value = cp_get(from, cp_offset(from, 0, from->shape.rank, other));
    cp_put(to, offset, cp_get(to, offset) + value);
}

void cp_ref_gather_gradient(int axis, const cp_tensor *dy, const cp_tensor *indices, const cp_tensor *dx) {
    const int64_t count = cp_shape_count(dy->shape);
    cp_ref_clear(dx);
    for (int64_t e = 0; e < count; e++) {
        const int64_t to = gathered(axis, indices, dx->shape, e);
        if (to >= 0) add(dx, to, dy, e);
    }
}

/* The same where the position differs from e's only along the axis. */
static int64_t gathered_element(int axis, const cp_tensor *indices, cp_shape x, int64_t e) {
    int64_t found = 0, step = 1, rest = e;
    for (int d = x.rank - 1; d >= 0; d--) {
        const int64_t here = rest % indices->shape.dim[d];
        const int64_t index = d == axis ? index_at(indices, e, x.dim[d]) : here;
        if (index < 0) return -1;
        found += index * step;
        step *= x.dim[d];
        rest /= indices->shape.dim[d];
    }
    return found;
}

void cp_ref_gather_elements(int axis, const cp_tensor *x, const cp_tensor *indices, const cp_tensor *y) {
    const int64_t count = cp_shape_count(y->shape);
    cp_ref_clear(y);
    for (int64_t e = 0; e < count; e++) {
        const int64_t from = gathered_element(axis, indices, x->shape, e);
        if (from >= 0) memcpy(at(y, e), at(x, from), (size_t)cp_type_size(y->type));
    }
}

void cp_ref_gather_elements_gradient(int axis, const cp_tensor *dy, const cp_tensor *indices, const cp_tensor *dx) {
    const int64_t count = cp_shape_count(dy->shape);
    cp_ref_clear(dx);
    for (int64_t e = 0; e < count; e++) {
        const int64_t to = gathered_element(axis, indices, dx->shape, e);
        if (to >= 0) add(dx, to, dy, e);
    }
}

/* --- another type --- */

void cp_ref_cast(const cp_tensor *x, const cp_tensor *y) {
    const int64_t count = cp_shape_count(y->shape);
    for (int64_t e = 0; e < count; e++) {
        const int64_t from = cp_offset(x, 0, x->shape.rank, e), to = cp_offset(y, 0, y->shape.rank, e);
        if (cp_is_real(y->type))
            cp_put(y, to, cp_is_real(x->type) ? cp_get(x, from) : (double)cp_get_integer(x, from));
        else if (cp_is_real(x->type))
            cp_put_integer(y, to, cp_cut(cp_get(x, from), y->type));
        else
            cp_put_integer(y, to, y->type == CP_BOOL ? cp_get_integer(x, from) != 0 : cp_get_integer(x, from));
    }
}
