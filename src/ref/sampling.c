/* Padding and resizing: each output is a weighted sum of a few inputs along each axis; and the adjoint. */
#include "ref/ref.h"

#include <string.h>

/* The inputs that one output is made of, along each axis; the sums are over all combinations. */
typedef struct sources {
    const cp_sampling *sampling;
    cp_sample axis[CP_MAX_AXES];
    int64_t count;
} sources;

static sources sources_of(const cp_sampling sampling[CP_MAX_AXES], int64_t o) {
    sources found = {.sampling = sampling, .count = 1};
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        found.axis[d] = cp_sampling_at(&sampling[d], o % sampling[d].out);
        found.count *= found.axis[d].count;
        o /= sampling[d].out;
    }
    return found;
}

/* Number i of them: the flat input, and the product of the axes' weights. */
static int64_t source_at(const sources *s, int64_t i, double *weight) {
    int64_t index = 0, step = 1;
    *weight = 1;
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        const int64_t at = s->axis[d].first + i % s->axis[d].count;
        *weight *= cp_sample_weight(&s->sampling[d], &s->axis[d], at);
        index += at * step;
        step *= s->sampling[d].in;
        i /= s->axis[d].count;
    }
    return index;
}

static int64_t outputs(const cp_sampling sampling[CP_MAX_AXES]) {
    return sampling[0].out * sampling[1].out * sampling[2].out;
}

/* Exactly, whatever the type. */
static void copy(const cp_tensor *x, int64_t from, const cp_tensor *y, int64_t to) {
    const int64_t size = cp_type_size(y->type);
    memcpy((char *)y->data + to * size, (const char *)x->data + from * size, (size_t)size);
}

void cp_ref_sample(const cp_sampling sampling[CP_MAX_AXES], double constant, const cp_tensor *x, const cp_tensor *y) {
    const int64_t N = x->shape.dim[0], C = x->shape.dim[x->shape.rank - 1];
    double weight;

    for (int64_t o = 0; o < outputs(sampling); o++) {
        const sources s = sources_of(sampling, o);
        for (int64_t n = 0; n < N; n++)
            for (int64_t c = 0; c < C; c++) {
                if (s.count == 1) {
                    const int64_t at = source_at(&s, 0, &weight);
                    if (weight == 1) {
                        copy(x, cp_at(x, n, at, c), y, cp_at(y, n, o, c));
                        continue;
                    }
                }
                double sum = s.count ? 0 : constant;
                for (int64_t i = 0; i < s.count; i++) {
                    const int64_t at = source_at(&s, i, &weight);
                    sum += weight * cp_get(x, cp_at(x, n, at, c));
                }
                cp_put(y, cp_at(y, n, o, c), sum);
            }
    }
}

void cp_ref_sample_gradient(const cp_sampling sampling[CP_MAX_AXES], const cp_tensor *dy, const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], C = dx->shape.dim[dx->shape.rank - 1], count = cp_shape_count(dx->shape);
    double weight;

    for (int64_t e = 0; e < count; e++) cp_put(dx, cp_offset(dx, 0, dx->shape.rank, e), 0);
    for (int64_t o = 0; o < outputs(sampling); o++) {
        const sources s = sources_of(sampling, o);
        for (int64_t n = 0; n < N; n++)
            for (int64_t c = 0; c < C; c++)
                for (int64_t i = 0; i < s.count; i++) {
                    const int64_t at = cp_at(dx, n, source_at(&s, i, &weight), c);
                    cp_put(dx, at, cp_get(dx, at) + weight * cp_get(dy, cp_at(dy, n, o, c)));
                }
    }
}
