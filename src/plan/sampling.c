/* Padding of any type: rows of pixels are copied. Resizing in f32, and the gradients of both: for each position that is
 * written along an axis, the positions that it reads are listed once; a pixel is then the sum over the product of its
 * axes' lists. */
#include "plan/algos.h"

#include <string.h>

typedef struct source {
    int64_t at;
    float weight;
} source;

typedef struct list {
    int64_t writes, reads;
    int64_t *first; /* position i reads source[first[i]] to source[first[i + 1] - 1] */
    source *source;
} list;

typedef struct sampled {
    list axis[CP_MAX_AXES];
} sampled;

static const char *refuse(const cp_problem *problem) {
    enum { LONGEST_AXIS = 1 << 26 };
    if (problem->type != CP_F32 || problem->in_type[0] != CP_F32) return "needs f32";
    for (int d = 0; d < CP_MAX_AXES; d++)
        if (problem->sampling[d].in > LONGEST_AXIS || problem->sampling[d].out > LONGEST_AXIS)
            return "too long an axis";
    return NULL;
}

/* What is written from what: along the sampling, or against it. */
static void fill_list(list *to, const cp_sampling *s, bool gradient) {
    for (int64_t o = 0; o < s->out; o++) {
        const cp_sample sample = cp_sampling_at(s, o);
        for (int64_t i = 0; i < sample.count; i++) to->first[(gradient ? sample.first + i : o) + 1]++;
    }
    for (int64_t i = 0; i < to->writes; i++) to->first[i + 1] += to->first[i];
    for (int64_t o = 0; o < s->out; o++) {
        const cp_sample sample = cp_sampling_at(s, o);
        for (int64_t i = sample.first; i < sample.first + sample.count; i++) {
            int64_t *next = &to->first[gradient ? i : o];
            to->source[(*next)++] = (source){gradient ? o : i, (float)cp_sample_weight(s, &sample, i)};
        }
    }
    for (int64_t i = to->writes; i > 0; i--) to->first[i] = to->first[i - 1]; /* each had moved to its end */
    to->first[0] = 0;
}

static int64_t sources_of(const cp_sampling *s) {
    int64_t count = 0;
    for (int64_t o = 0; o < s->out; o++) count += cp_sampling_at(s, o).count;
    return count;
}

static cp_status prepare_lists(const cp_problem *p, cp_prepared *prepared, bool gradient) {
    int64_t bytes = sizeof(sampled), sources[CP_MAX_AXES];
    for (int d = 0; d < CP_MAX_AXES; d++) {
        const cp_sampling *s = &p->sampling[d];
        sources[d] = sources_of(s);
        bytes += ((gradient ? s->in : s->out) + 1) * (int64_t)sizeof(int64_t) + sources[d] * (int64_t)sizeof(source);
    }
    sampled *made = cp_zalloc(NULL, bytes);
    if (!made) return CP_E_MEMORY;
    char *memory = (char *)(made + 1);
    for (int d = 0; d < CP_MAX_AXES; d++) {
        const cp_sampling *s = &p->sampling[d];
        list *to = &made->axis[d];
        to->writes = gradient ? s->in : s->out;
        to->reads = gradient ? s->out : s->in;
        to->source = (source *)memory;
        to->first = (int64_t *)(to->source + sources[d]);
        memory = (char *)(to->first + to->writes + 1);
        fill_list(to, s, gradient);
    }
    prepared->state = made;
    return CP_OK;
}

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    return prepare_lists(problem, prepared, false);
}

static cp_status prepare_gradient(const cp_problem *problem, cp_prepared *prepared) {
    return prepare_lists(problem, prepared, true);
}

/* Adds a pixel to another, or, where nothing was added yet, begins with it. */
static void add_pixel(float *to, const float *from, float weight, int64_t channels, bool begins) {
    if (begins)
        for (int64_t c = 0; c < channels; c++) to[c] = weight * from[c];
    else
        for (int64_t c = 0; c < channels; c++) to[c] += weight * from[c];
}

static void run(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const list *z = ((const sampled *)call->prepared->state)->axis, *y = z + 1, *x = z + 2;
    const cp_problem *p = call->problem;
    const int64_t C = p->channels;
    int64_t pixel, last;
    cp_share(p->batch * z->writes * y->writes * x->writes, id, n, &pixel, &last);
    for (; pixel < last; pixel++) {
        const int64_t ix = pixel % x->writes, row = pixel / x->writes, iy = row % y->writes, plane = row / y->writes,
                      iz = plane % z->writes, image = plane / z->writes;
        const float *from = (const float *)call->in[0] + image * z->reads * y->reads * x->reads * C;
        float *to = (float *)call->out[0] + pixel * C;
        bool begins = true;
        for (int64_t a = z->first[iz]; a < z->first[iz + 1]; a++)
            for (int64_t b = y->first[iy]; b < y->first[iy + 1]; b++)
                for (int64_t c = x->first[ix]; c < x->first[ix + 1]; c++) {
                    const source *sz = &z->source[a], *sy = &y->source[b], *sx = &x->source[c];
                    add_pixel(to, from + ((sz->at * y->reads + sy->at) * x->reads + sx->at) * C,
                              sz->weight * sy->weight * sx->weight, C, begins);
                    begins = false;
                }
        for (int64_t c = 0; begins && c < C; c++) to[c] = p->constant;
    }
}

/* --- padding --- */

static const char *refuse_resizing(const cp_problem *problem) {
    for (int d = 0; d < CP_MAX_AXES; d++)
        if (problem->sampling[d].resizes) return "needs padding";
    return NULL;
}

/* A pixel of the constant, where each channel is one element. */
static void fill(cp_type type, void *to, double constant, int64_t elements) {
    const cp_tensor y = cp_view(to, type, cp_shape_of(1, &elements));
    for (int64_t e = 0; e < elements; e++) cp_put(&y, e, constant);
}

/* The input's row of pixels that row iy of plane iz of an output shows; NULL where it is the constant. */
static const char *row_at(const cp_problem *p, const char *image, int64_t iz, int64_t iy, int64_t pixel) {
    const cp_sampling *z = p->sampling, *y = z + 1, *x = z + 2;
    const int64_t at_z = cp_pad_at(z->values, iz - z->before, z->in),
                  at_y = cp_pad_at(y->values, iy - y->before, y->in);
    return at_z < 0 || at_y < 0 ? NULL : image + (at_z * y->in + at_y) * x->in * pixel;
}

/* Positions first .. last - 1 of a row, which lie outside. */
static void pad_row(const cp_problem *p, const char *from, char *to, int64_t first, int64_t last, int64_t pixel) {
    const cp_sampling *x = &p->sampling[2];
    if (x->values == CP_PAD_CONSTANT) {
        fill(p->out_type[0], to + first * pixel, (double)p->constant, (last - first) * p->channels);
        return;
    }
    for (int64_t i = first; i < last; i++)
        memcpy(to + i * pixel, from + cp_pad_at(x->values, i - x->before, x->in) * pixel, (size_t)pixel);
}

static void run_rows(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_sampling *z = p->sampling, *y = z + 1, *x = z + 2;
    const int64_t pixel = p->channels * cp_type_size(p->out_type[0]), image = z->in * y->in * x->in * pixel;
    int64_t row, last;
    cp_share(p->batch * z->out * y->out, id, n, &row, &last);
    for (; row < last; row++) {
        const int64_t plane = row / y->out;
        const char *from =
            row_at(p, (const char *)call->in[0] + plane / z->out * image, plane % z->out, row % y->out, pixel);
        char *to = (char *)call->out[0] + row * x->out * pixel;
        if (!from) {
            fill(p->out_type[0], to, (double)p->constant, x->out * p->channels);
            continue;
        }
        pad_row(p, from, to, 0, x->before, pixel);
        memcpy(to + x->before * pixel, from, (size_t)(x->in * pixel));
        pad_row(p, from, to, x->before + x->in, x->out, pixel);
    }
}

const cp_algo cp_algo_sample_rows = {.name = "rows", .refuse = refuse_resizing, .run = run_rows};
const cp_algo cp_algo_sample_lists = {.name = "lists", .refuse = refuse, .prepare = prepare, .run = run};
const cp_algo cp_algo_sample_gradient_lists = {
    .name = "lists", .refuse = refuse, .prepare = prepare_gradient, .run = run};
