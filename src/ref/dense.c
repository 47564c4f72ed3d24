/* The dense layer: a matrix product and its two gradients. The bias's is cp_ref_bias_gradient. */
#include "ref/ref.h"

static double get(const cp_tensor *m, int64_t row, int64_t column) {
    return cp_get(m, row * m->stride[0] + column * m->stride[1]);
}

static void put(const cp_tensor *m, int64_t row, int64_t column, double value) {
    cp_put(m, row * m->stride[0] + column * m->stride[1], value);
}

void cp_ref_dense(bool relu, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b, const cp_tensor *y) {
    const int64_t N = x->shape.dim[0], C = w->shape.dim[0], K = w->shape.dim[1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t k = 0; k < K; k++) {
            double sum = b ? cp_get(b, k * b->stride[0]) : 0;
            for (int64_t c = 0; c < C; c++) sum += get(x, n, c) * get(w, c, k);
            put(y, n, k, relu && sum < 0 ? 0 : sum);
        }
}

/* dx[n,c] = sum over k of dy[n,k] * w[c,k] */
void cp_ref_dense_input_gradient(const cp_tensor *dy, const cp_tensor *w, const cp_tensor *dx) {
    const int64_t N = dy->shape.dim[0], C = w->shape.dim[0], K = w->shape.dim[1];

    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) {
            double sum = 0;
            for (int64_t k = 0; k < K; k++) sum += get(dy, n, k) * get(w, c, k);
            put(dx, n, c, sum);
        }
}

/* dw[c,k] = sum over n of x[n,c] * dy[n,k] */
void cp_ref_dense_weight_gradient(const cp_tensor *x, const cp_tensor *dy, const cp_tensor *dw) {
    const int64_t N = x->shape.dim[0], C = dw->shape.dim[0], K = dw->shape.dim[1];

    for (int64_t c = 0; c < C; c++)
        for (int64_t k = 0; k < K; k++) {
            double sum = 0;
            for (int64_t n = 0; n < N; n++) sum += get(x, n, c) * get(dy, n, k);
            put(dw, c, k, sum);
        }
}
