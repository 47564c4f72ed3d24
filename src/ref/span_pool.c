/* Pooling over windows of varying size, adaptive and fractional, and its gradients. */
#include "ref/ref.h"

#include <math.h>

void cp_ref_span_draw(const cp_spans *s, const cp_random_key *key, int64_t n, int64_t c, int64_t C,
                      double u[CP_MAX_AXES]) {
    const int64_t place = s->fractional == CP_FRACTIONAL_PYTORCH ? (n * C + c) * CP_MAX_AXES : 0;
    for (int d = 0; d < CP_MAX_AXES; d++)
        u[d] = s->fractional ? (double)cp_random_uniform(key, (uint64_t)(place + d)) : 0;
}

void cp_ref_span_max_pool(const cp_spans *s, const cp_random_key *key, const cp_tensor *x, const cp_tensor *y,
                          const cp_tensor *position) {
    const int64_t N = x->shape.dim[0], C = x->shape.dim[x->shape.rank - 1], O = cp_spans_outputs(s);

    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++) {
            double u[CP_MAX_AXES];
            cp_ref_span_draw(s, key, n, c, C, u);
            for (int64_t o = 0; o < O; o++) {
                const cp_box box = cp_spans_box(s, o, u);
                double best = -INFINITY;
                int64_t tap, place = -1; /* none yet */
                for (int64_t r = 0; r < cp_box_rows(&box); r++) {
                    const int64_t row = cp_box_row(&box, r, &tap);
                    for (int64_t i = row; i < row + box.axis[2].count; i++) {
                        const double seen = cp_get(x, cp_at(x, n, i, c));
                        if (place >= 0 && !(seen > best || (isnan(seen) && !isnan(best)))) continue;
                        best = seen;
                        place = i;
                    }
                }
                cp_put(y, cp_at(y, n, o, c), best);
                cp_put(position, cp_at(position, n, o, c), (double)place);
            }
        }
}

void cp_ref_position_gradient(const cp_tensor *dy, const cp_tensor *position, const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], C = dx->shape.dim[dx->shape.rank - 1];
    const int64_t I = N && C ? cp_shape_count(dx->shape) / N / C : 0,
                  O = N && C ? cp_shape_count(dy->shape) / N / C : 0;

    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t c = 0; c < C; c++) {
                double sum = 0;
                for (int64_t o = 0; o < O; o++)
                    if ((int64_t)cp_get(position, cp_at(position, n, o, c)) == i) sum += cp_get(dy, cp_at(dy, n, o, c));
                cp_put(dx, cp_at(dx, n, i, c), sum);
            }
}

void cp_ref_adaptive_average_pool(const cp_spans *s, const cp_tensor *x, const cp_tensor *y) {
    const int64_t N = x->shape.dim[0], C = x->shape.dim[x->shape.rank - 1], O = cp_spans_outputs(s);
    const double none[CP_MAX_AXES] = {0};

    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t c = 0; c < C; c++) {
                const cp_box box = cp_spans_box(s, o, none);
                double sum = 0;
                int64_t tap;
                for (int64_t r = 0; r < cp_box_rows(&box); r++) {
                    const int64_t row = cp_box_row(&box, r, &tap);
                    for (int64_t k = 0; k < box.axis[2].count; k++) sum += cp_get(x, cp_at(x, n, row + k, c));
                }
                cp_put(y, cp_at(y, n, o, c), sum / (double)cp_box_count(&box));
            }
}

void cp_ref_adaptive_average_pool_gradient(const cp_spans *s, const cp_tensor *dy, const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], C = dx->shape.dim[dx->shape.rank - 1];
    const int64_t I = cp_spans_inputs(s), O = cp_spans_outputs(s);
    const double none[CP_MAX_AXES] = {0};

    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < I; i++)
            for (int64_t c = 0; c < C; c++) {
                double sum = 0;
                for (int64_t o = 0; o < O; o++) {
                    const cp_box box = cp_spans_box(s, o, none);
                    int64_t rest = i;
                    bool inside = true;
                    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
                        const int64_t at = rest % s->axis[d].in;
                        inside &= box.axis[d].begin <= at && at < box.axis[d].begin + box.axis[d].count;
                        rest /= s->axis[d].in;
                    }
                    if (inside) sum += cp_get(dy, cp_at(dy, n, o, c)) / (double)cp_box_count(&box);
                }
                cp_put(dx, cp_at(dx, n, i, c), sum);
            }
}
