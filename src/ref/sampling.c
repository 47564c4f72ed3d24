/* Padding and resizing: each output is a weighted sum of a few inputs along each axis; and the adjoint. */
#include "ref/ref.h"

#include <string.h>

/* The inputs that one output is made of, with the products of their weights along the axes. */
typedef struct sources {
    int count;
    int64_t index[8]; /* flat */
    double weight[8];
} sources;

static sources sources_of(const cp_sampling sampling[CP_MAX_AXES], int64_t o) {
    sources found = {.count = 1, .weight = {1}};
    int64_t step = 1;
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        const cp_sampling *s = &sampling[d];
        const cp_sample sample = cp_sampling_at(s, o % s->out);
        sources next = {0};
        for (int a = 0; a < sample.count; a++)
            for (int b = 0; b < found.count; b++) {
                next.index[next.count] = found.index[b] + sample.index[a] * step;
                next.weight[next.count++] = found.weight[b] * sample.weight[a];
            }
        found = next;
        step *= s->in;
        o /= s->out;
    }
    return found;
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

    for (int64_t o = 0; o < outputs(sampling); o++) {
        const sources s = sources_of(sampling, o);
        for (int64_t n = 0; n < N; n++)
            for (int64_t c = 0; c < C; c++) {
                if (s.count == 1 && s.weight[0] == 1) {
                    copy(x, cp_at(x, n, s.index[0], c), y, cp_at(y, n, o, c));
                    continue;
                }
                double sum = s.count ? 0 : constant;
                for (int i = 0; i < s.count; i++) sum += s.weight[i] * cp_get(x, cp_at(x, n, s.index[i], c));
                cp_put(y, cp_at(y, n, o, c), sum);
            }
    }
}

void cp_ref_sample_gradient(const cp_sampling sampling[CP_MAX_AXES], const cp_tensor *dy, const cp_tensor *dx) {
    const int64_t N = dx->shape.dim[0], C = dx->shape.dim[dx->shape.rank - 1], count = cp_shape_count(dx->shape);

    for (int64_t e = 0; e < count; e++) cp_put(dx, cp_offset(dx, 0, dx->shape.rank, e), 0);
    for (int64_t o = 0; o < outputs(sampling); o++) {
        const sources s = sources_of(sampling, o);
        for (int64_t n = 0; n < N; n++)
            for (int64_t c = 0; c < C; c++)
                for (int i = 0; i < s.count; i++) {
                    const int64_t at = cp_at(dx, n, s.index[i], c);
                    cp_put(dx, at, cp_get(dx, at) + s.weight[i] * cp_get(dy, cp_at(dy, n, o, c)));
                }
    }
}
