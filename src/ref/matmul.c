/* Products of matrices. */
#include "ref/ref.h"

/* Where matrix number n of y begins in x, whose axes before the last two broadcast to those of y. */
static int64_t matrix_at(const cp_tensor *x, cp_shape y, int64_t n) {
    int64_t offset = 0;
    for (int d = y.rank - 3, missing = y.rank - x->shape.rank; d >= 0; d--) {
        const int64_t position = n % y.dim[d];
        if (d >= missing && x->shape.dim[d - missing] > 1) offset += position * x->stride[d - missing];
        n /= y.dim[d];
    }
    return offset;
}

/* y[..,i,j] = sum over k of a[..,i,k] * b[..,k,j] */
void cp_ref_matmul(const cp_tensor *a, const cp_tensor *b, const cp_tensor *y) {
    const int64_t *step_a = &a->stride[a->shape.rank - 2], *step_b = &b->stride[b->shape.rank - 2];
    const int64_t *step_y = &y->stride[y->shape.rank - 2];
    const int64_t I = y->shape.dim[y->shape.rank - 2], J = y->shape.dim[y->shape.rank - 1];
    const int64_t K = a->shape.dim[a->shape.rank - 1];
    const int64_t N = I > 0 && J > 0 ? cp_shape_count(y->shape) / (I * J) : 0;

    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t j = 0; j < J; j++) {
                const int64_t at_a = matrix_at(a, y->shape, n) + i * step_a[0];
                const int64_t at_b = matrix_at(b, y->shape, n) + j * step_b[1];
                const int64_t at_y = matrix_at(y, y->shape, n) + i * step_y[0] + j * step_y[1];
                double sum = 0;
                uint64_t whole = 0;
                for (int64_t k = 0; k < K; k++) {
                    const int64_t u = at_a + k * step_a[1], v = at_b + k * step_b[0];
                    if (cp_is_real(y->type))
                        sum += cp_get(a, u) * cp_get(b, v);
                    else
                        whole += (uint64_t)cp_get_integer(a, u) * (uint64_t)cp_get_integer(b, v);
                }
                if (cp_is_real(y->type))
                    cp_put(y, at_y, sum);
                else
                    cp_put_integer(y, at_y, (int64_t)whole);
            }
}
