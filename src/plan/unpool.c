/* The positions of maxima, in shares of the outputs; max unpooling in f32: images and blocks of channels are shared,
 * outputs follow one another. */
#include "plan/algos.h"

#include <string.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* --- positions: where a window begins, and how far from there each tap is --- */

enum { MOST_TAPS = 1 << 16 };

static const char *refuse_positions(const cp_problem *problem) {
    return cp_window_taps(&problem->window) > MOST_TAPS ? "too many taps" : refuse(problem);
}

static cp_status prepare_positions(const cp_problem *p, cp_prepared *prepared) {
    const cp_axis *z = &p->window.axis[0], *y = &p->window.axis[1], *x = &p->window.axis[2];
    const int64_t T = cp_window_taps(&p->window);
    int64_t *offset = cp_alloc(NULL, T * (int64_t)sizeof *offset);
    if (!offset) return CP_E_MEMORY;
    for (int64_t t = 0; t < T; t++) {
        const int64_t tx = t % x->kernel * x->dilation, ty = t / x->kernel % y->kernel * y->dilation;
        offset[t] = (t / x->kernel / y->kernel * z->dilation * y->in + ty) * x->in + tx;
    }
    prepared->state = offset;
    return CP_OK;
}

/* Where output o's window begins, which may be outside the input; whether all of it lies inside. */
static int64_t window_begin(const cp_window *window, int64_t o, bool *inside) {
    int64_t flat = 0, step = 1;
    *inside = true;
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        const cp_axis *a = &window->axis[d];
        const int64_t begin = o % a->out * a->stride - a->before;
        *inside = *inside && begin >= 0 && begin + (a->kernel - 1) * a->dilation < a->in;
        flat += begin * step;
        step *= a->in;
        o /= a->out;
    }
    return flat;
}

/* A tap that is none, or in the padding, has position 0, as the definition says. */
static int32_t position_of(const cp_window *window, int64_t o, int64_t tap) {
    int64_t i = 0;
    cp_window_at(window, o, tap, &i);
    return (int32_t)i;
}

static void positions(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_shape shape = p->in[0];
    const int64_t *offset = call->prepared->state;
    const int64_t C = shape.dim[shape.rank - 1], O = cp_window_outputs(&p->window), T = cp_window_taps(&p->window);
    const uint8_t *bytes = call->in[0];
    const int32_t *words = call->in[0];
    int32_t *position = call->out[0];
    int64_t first, last;
    cp_share(shape.dim[0] * O, id, n, &first, &last);
    for (int64_t i = first; i < last; i++) {
        bool inside;
        const int64_t begin = window_begin(&p->window, i % O, &inside);
        for (int64_t e = i * C; e < (i + 1) * C; e++) {
            const int64_t tap = p->in_type[0] == CP_U8 ? bytes[e] : words[e];
            const bool simple = inside && tap >= 0 && tap < T;
            position[e] = simple ? (int32_t)(begin + offset[tap]) : position_of(&p->window, i % O, tap);
        }
    }
}

/* --- unpooling --- */

/* Channels first .. first + channels - 1 of image n. */
typedef struct block {
    int64_t n, first, channels;
} block;

static void walk(const cp_call *call, int id, int n, void (*each)(const cp_call *, const block *)) {
    const cp_shape shape = call->problem->out[0];
    const int64_t C = shape.dim[shape.rank - 1], blocks = cp_channel_blocks(C);
    int64_t begin, end;
    cp_share(shape.dim[0] * blocks, id, n, &begin, &end);
    for (int64_t s = begin; s < end; s++) {
        block b = {.n = s / blocks};
        cp_channel_range(C, s % blocks, s % blocks + 1, &b.first, &b.channels);
        each(call, &b);
    }
}

static int64_t plane_of(cp_shape shape) {
    int64_t plane = 1;
    for (int d = 1; d < shape.rank - 1; d++) plane *= shape.dim[d];
    return plane;
}

void cp_check_positions(const cp_call *call, int64_t limit) {
    const int32_t *position = call->in[1];
    const int64_t count = cp_shape_count(call->problem->in[1]);
    for (int64_t e = 0; e < count && call->fault && !call->fault->set; e++)
        if (position[e] < 0 || position[e] >= limit)
            *call->fault = (cp_fault){.set = true, .element = e, .value = position[e], .limit = limit};
}

static void unpool_block(const cp_call *call, const block *b) {
    const cp_shape y_shape = call->problem->out[0];
    const int64_t C = y_shape.dim[y_shape.rank - 1], I = plane_of(y_shape), O = plane_of(call->problem->in[0]);
    const float *x = (const float *)call->in[0] + b->n * O * C;
    const int32_t *position = (const int32_t *)call->in[1] + b->n * O * C;
    float *y = (float *)call->out[0] + b->n * I * C;
    for (int64_t i = 0; i < I; i++) memset(y + i * C + b->first, 0, (size_t)b->channels * sizeof *y);
    for (int64_t o = 0; o < O; o++)
        for (int64_t c = b->first; c < b->first + b->channels; c++) {
            const int64_t i = position[o * C + c];
            if (i >= 0 && i < I) y[i * C + c] = x[o * C + c];
        }
}

static void max_unpool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    if (id == 0) cp_check_positions(call, plane_of(call->problem->out[0]));
    walk(call, id, n, unpool_block);
}

/* The last output that was written to each place, in the scratch; then what came of it. */
static void gradient_block(const cp_call *call, const block *b) {
    const cp_shape x_shape = call->problem->out[0];
    const int64_t C = x_shape.dim[x_shape.rank - 1], I = plane_of(call->problem->in[0]), O = plane_of(x_shape);
    const float *dy = (const float *)call->in[0] + b->n * I * C;
    const int32_t *position = (const int32_t *)call->in[1] + b->n * O * C;
    float *dx = (float *)call->out[0] + b->n * O * C;
    int32_t *last = (int32_t *)call->scratch + b->n * I * C;
    for (int64_t o = 0; o < O; o++)
        for (int64_t c = b->first; c < b->first + b->channels; c++) {
            const int64_t i = position[o * C + c];
            if (i >= 0 && i < I) last[i * C + c] = (int32_t)o;
        }
    for (int64_t o = 0; o < O; o++)
        for (int64_t c = b->first; c < b->first + b->channels; c++) {
            const int64_t i = position[o * C + c];
            dx[o * C + c] = i >= 0 && i < I && last[i * C + c] == o ? dy[i * C + c] : 0;
        }
}

static cp_status prepare_gradient(const cp_problem *p, cp_prepared *prepared) {
    prepared->scratch = cp_shape_count(p->in[0]) * (int64_t)sizeof(int32_t);
    return CP_OK;
}

static void max_unpool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    if (id == 0) cp_check_positions(call, plane_of(call->problem->in[0]));
    walk(call, id, n, gradient_block);
}

const cp_algo cp_algo_max_pool_positions_offsets = {
    .name = "offsets", .refuse = refuse_positions, .prepare = prepare_positions, .run = positions};
const cp_algo cp_algo_max_unpool_scatter = {.name = "scatter", .refuse = refuse, .run = max_unpool};
const cp_algo cp_algo_max_unpool_gradient_gather = {
    .name = "gather", .refuse = refuse, .prepare = prepare_gradient, .run = max_unpool_gradient};
