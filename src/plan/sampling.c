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

enum { AT_ONCE = 16 };

/* What a pixel is the sum of; pixels of more parts are blended a piece at a time. */
typedef struct blend {
    int64_t offset[AT_ONCE];
    float weight[AT_ONCE];
    int count, flags;
} blend;

static void blend_pixels(const cp_kernels *kernels, blend *parts, const float *from, float *to, int64_t channels) {
    kernels->blend(from, parts->offset, parts->weight, parts->count, to, channels, parts->flags);
    parts->count = 0;
    parts->flags = CP_ACCUMULATE;
}

/* Pixel ix of row (iz, iy) of an image. */
static void make_pixel(const cp_problem *p, const list axis[CP_MAX_AXES], int64_t iz, int64_t iy, int64_t ix,
                       const float *from, float *to) {
    const list *z = axis, *y = axis + 1, *x = axis + 2;
    blend parts = {.count = 0};
    for (int64_t a = z->first[iz]; a < z->first[iz + 1]; a++)
        for (int64_t b = y->first[iy]; b < y->first[iy + 1]; b++) {
            const int64_t row = (z->source[a].at * y->reads + y->source[b].at) * x->reads;
            const float weight = z->source[a].weight * y->source[b].weight;
            for (int64_t c = x->first[ix]; c < x->first[ix + 1]; c++) {
                if (parts.count == AT_ONCE) blend_pixels(p->kernels, &parts, from, to, p->channels);
                parts.offset[parts.count] = (row + x->source[c].at) * p->channels;
                parts.weight[parts.count++] = weight * x->source[c].weight;
            }
        }
    if (parts.count)
        blend_pixels(p->kernels, &parts, from, to, p->channels);
    else
        for (int64_t c = 0; c < p->channels; c++) to[c] = p->constant;
}

static void run(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const list *axis = ((const sampled *)call->prepared->state)->axis, *z = axis, *y = axis + 1, *x = axis + 2;
    const cp_problem *p = call->problem;
    const int64_t C = p->channels, image = z->reads * y->reads * x->reads * C;
    int64_t pixel, last;
    cp_share(p->batch * z->writes * y->writes * x->writes, id, n, &pixel, &last);
    while (pixel < last) {
        const int64_t row = pixel / x->writes, plane = row / y->writes;
        const float *from = (const float *)call->in[0] + plane / z->writes * image;
        for (int64_t ix = pixel % x->writes; ix < x->writes && pixel < last; ix++, pixel++)
            make_pixel(p, axis, plane % z->writes, row % y->writes, ix, from, (float *)call->out[0] + pixel * C);
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
