/* Order along an axis, of numbers of any type. */
#include "ref/ref.h"

#include <math.h>

/* Row r of x along an axis: where it begins, how many there are. */
typedef struct row {
    const cp_tensor *x;
    int64_t at, step, size;
} row;

static row row_of(const cp_tensor *x, int axis, int64_t r) {
    row found = {.x = x, .step = x->stride[axis], .size = x->shape.dim[axis]};
    for (int d = x->shape.rank - 1; d >= 0; d--) {
        if (d == axis) continue;
        found.at += r % x->shape.dim[d] * x->stride[d];
        r /= x->shape.dim[d];
    }
    return found;
}

static int64_t rows_of(const cp_tensor *x, int axis) {
    return x->shape.dim[axis] ? cp_shape_count(x->shape) / x->shape.dim[axis] : 0;
}

static double get(const row *r, int64_t i) {
    return cp_get(r->x, r->at + i * r->step);
}

/* -1, 0 or 1: number i is smaller than, equal to, larger than number j. A NaN is larger than any number. */
static int compare(const row *r, int64_t i, int64_t j) {
    if (!cp_is_real(r->x->type)) {
        const int64_t a = cp_get_integer(r->x, r->at + i * r->step), b = cp_get_integer(r->x, r->at + j * r->step);
        return (a > b) - (a < b);
    }
    const double a = get(r, i), b = get(r, j);
    return isnan(a) || isnan(b) ? (isnan(a) != 0) - (isnan(b) != 0) : (a > b) - (a < b);
}

void cp_ref_arg(int axis, bool smallest, bool last, const cp_tensor *x, const cp_tensor *y) {
    for (int64_t r = 0; r < rows_of(x, axis); r++) {
        const row of_x = row_of(x, axis, r);
        int64_t best = 0;
        for (int64_t i = 1; i < of_x.size; i++) {
            const bool number = !isnan(get(&of_x, i)) && !isnan(get(&of_x, best));
            const int order = compare(&of_x, i, best), better = smallest && number ? -order : order;
            if (better > 0 || (better == 0 && last)) best = i;
        }
        cp_put_integer(y, cp_offset(y, 0, y->shape.rank, r), best);
    }
}

/* Whether number i stands before number j. */
static bool before(const row *r, bool smallest, int64_t i, int64_t j) {
    const int order = smallest ? -compare(r, i, j) : compare(r, i, j);
    return order > 0 || (order == 0 && i < j);
}

/* The best of those that stand behind the one before. */
void cp_ref_top_k(int axis, bool smallest, const cp_tensor *x, const cp_tensor *y, const cp_tensor *indices) {
    for (int64_t r = 0; r < rows_of(x, axis); r++) {
        const row of_x = row_of(x, axis, r), of_y = row_of(y, axis, r), of_indices = row_of(indices, axis, r);
        for (int64_t k = 0, done = -1; k < of_y.size; k++) {
            int64_t best = -1;
            for (int64_t i = 0; i < of_x.size; i++)
                if ((k == 0 || before(&of_x, smallest, done, i)) && (best < 0 || before(&of_x, smallest, i, best)))
                    best = i;
            done = best;
            if (cp_is_real(x->type))
                cp_put(y, of_y.at + k * of_y.step, get(&of_x, best));
            else
                cp_put_integer(y, of_y.at + k * of_y.step, cp_get_integer(x, of_x.at + best * of_x.step));
            cp_put_integer(indices, of_indices.at + k * of_indices.step, best);
        }
    }
}

void cp_ref_cumulative_sum(int axis, bool exclusive, bool reverse, const cp_tensor *x, const cp_tensor *y) {
    for (int64_t r = 0; r < rows_of(x, axis); r++) {
        const row of_x = row_of(x, axis, r), of_y = row_of(y, axis, r);
        double sum = 0;
        uint64_t whole = 0;
        for (int64_t k = 0; k < of_x.size; k++) {
            const int64_t i = reverse ? of_x.size - 1 - k : k;
            const double sum_before = sum;
            const uint64_t whole_before = whole;
            if (cp_is_real(x->type)) {
                sum += get(&of_x, i);
                cp_put(y, of_y.at + i * of_y.step, exclusive ? sum_before : sum);
            } else {
                whole += (uint64_t)cp_get_integer(x, of_x.at + i * of_x.step);
                cp_put_integer(y, of_y.at + i * of_y.step, (int64_t)(exclusive ? whole_before : whole));
            }
        }
    }
}
