/* Max unpooling: values back to the places that they were taken from, and its gradient. */
#include "ref/ref.h"

/* Positions of one image's plane in a tensor N,space,C. */
static int64_t plane_of(const cp_tensor *x) {
    int64_t plane = 1;
    for (int d = 1; d < x->shape.rank - 1; d++) plane *= x->shape.dim[d];
    return plane;
}

static int64_t position_at(const cp_tensor *position, int64_t n, int64_t o, int64_t c) {
    return (int64_t)cp_get(position, cp_at(position, n, o, c));
}

/* position[n,o,c] = i(o, index[n,o,c]) */
void cp_ref_max_pool_positions(const cp_window *window, const cp_tensor *index, const cp_tensor *position) {
    const int64_t N = index->shape.dim[0], O = cp_window_outputs(window), C = index->shape.dim[index->shape.rank - 1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t c = 0; c < C; c++) {
                int64_t i = 0;
                cp_window_at(window, o, position_at(index, n, o, c), &i);
                cp_put(position, cp_at(position, n, o, c), (double)i);
            }
}

void cp_ref_max_unpool(const cp_tensor *x, const cp_tensor *position, const cp_tensor *y) {
    const int64_t N = y->shape.dim[0], C = y->shape.dim[y->shape.rank - 1], I = plane_of(y), O = plane_of(x);

    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) {
            for (int64_t i = 0; i < I; i++) cp_put(y, cp_at(y, n, i, c), 0);
            for (int64_t o = 0; o < O; o++) {
                const int64_t i = position_at(position, n, o, c);
                if (i >= 0 && i < I) cp_put(y, cp_at(y, n, i, c), cp_get(x, cp_at(x, n, o, c)));
            }
        }
}

void cp_ref_max_unpool_gradient(const cp_tensor *dy, const cp_tensor *position, const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], C = dx->shape.dim[dx->shape.rank - 1], I = plane_of(dy), O = plane_of(dx);

    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t o = 0; o < O; o++) {
                const int64_t i = position_at(position, n, o, c);
                bool last = i >= 0 && i < I; /* nobody overwrites it */
                for (int64_t later = o + 1; later < O && last; later++) last = position_at(position, n, later, c) != i;
                cp_put(dx, cp_at(dx, n, o, c), last ? cp_get(dy, cp_at(dy, n, i, c)) : 0);
            }
}
