/* Two tensors element by element with broadcasting, in f32: axes that both walk through alike become one, then rows. */
#include "plan/algos.h"

#include <tgmath.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* The elements of y as rows: sizes and steps of the axes, the last one within a row. */
typedef struct rows {
    int axes;
    int64_t size[CP_MAX_RANK], a[CP_MAX_RANK], b[CP_MAX_RANK];
    cp_reduced sum; /* of a gradient: to the shape of its input */
} rows;

/* Steps through dense memory of shape x while the elements of y are walked through. */
static void steps_of(cp_shape x, cp_shape y, int64_t step[CP_MAX_RANK]) {
    const int missing = y.rank - x.rank;
    int64_t next = 1;
    for (int d = y.rank - 1; d >= 0; d--) {
        const int64_t size = d >= missing ? x.dim[d - missing] : 1;
        step[d] = size > 1 ? next : 0;
        next *= size;
    }
}

static void make_rows(rows *r, cp_shape a, cp_shape b, cp_shape y) {
    int64_t step_a[CP_MAX_RANK], step_b[CP_MAX_RANK];
    steps_of(a, y, step_a);
    steps_of(b, y, step_b);
    int n = 0;
    for (int d = 0; d < y.rank; d++) {
        if (y.dim[d] == 1) continue;
        const bool goes_on = n > 0 && r->a[n - 1] == step_a[d] * y.dim[d] && r->b[n - 1] == step_b[d] * y.dim[d];
        if (!goes_on) r->size[n++] = 1;
        r->size[n - 1] *= y.dim[d];
        r->a[n - 1] = step_a[d];
        r->b[n - 1] = step_b[d];
    }
    if (n == 0) r->size[n++] = 1; /* one number */
    r->axes = n;
}

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    rows *r = cp_zalloc(NULL, sizeof *r);
    if (!r) return CP_E_MEMORY;
    make_rows(r, problem->in[0], problem->in[1], problem->out[0]);
    prepared->state = r;
    return CP_OK;
}

#define EACH(a_step, b_step, result)                                                                                   \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        const float a = A[i * (a_step)], b = B[i * (b_step)];                                                          \
        (void)a, (void)b;                                                                                              \
        y[i] = result;                                                                                                 \
    }
#define VARIANTS(id, result)                                                                                           \
    case CP_BINARY_##id:                                                                                               \
        if (a_step && b_step)                                                                                          \
            EACH(1, 1, result)                                                                                         \
        else if (a_step)                                                                                               \
            EACH(1, 0, result)                                                                                         \
        else                                                                                                           \
            EACH(0, b_step, result)                                                                                    \
        break;
#define VALUES(id, value, first, second) VARIANTS(id, value)
#define FIRSTS(id, value, first, second) VARIANTS(id, dy[i] * (first))
#define SECONDS(id, value, first, second) VARIANTS(id, dy[i] * (second))

/* Steps are 1 or 0. */
static void values(cp_binary f, const float *A, int64_t a_step, const float *B, int64_t b_step, float *y, int64_t n) {
    switch (f) { CP_BINARIES(VALUES) }
}

static void slopes(cp_binary f, bool second, const float *A, int64_t a_step, const float *B, int64_t b_step,
                   const float *dy, float *y, int64_t n) {
    if (second) switch (f) {
            CP_BINARIES(SECONDS)
        }
    else
        switch (f) { CP_BINARIES(FIRSTS) }
}

/* The elements of share id of n, row by row. dy: of a gradient, else NULL. */
static void walk(const cp_call *call, const float *dy, float *y, int id, int n) {
    const cp_problem *problem = call->problem;
    const rows *r = call->prepared->state;
    int64_t first, last, count = 1;
    for (int d = 0; d < r->axes; d++) count *= r->size[d];
    cp_share(count, id, n, &first, &last);
    const int64_t length = r->size[r->axes - 1];
    for (int64_t e = first, run; e < last; e += run) {
        const float *A = call->in[0], *B = call->in[1];
        const int64_t a_step = r->a[r->axes - 1], b_step = r->b[r->axes - 1], column = e % length;
        run = length - column < last - e ? length - column : last - e;
        A += column * a_step;
        B += column * b_step;
        int64_t row = e / length;
        for (int d = r->axes - 2; d >= 0; d--) {
            A += row % r->size[d] * r->a[d];
            B += row % r->size[d] * r->b[d];
            row /= r->size[d];
        }
        if (dy)
            slopes(problem->binary, problem->second, A, a_step, B, b_step, dy + e, y + e, run);
        else if (problem->binary == CP_BINARY_add && a_step && b_step)
            problem->kernels->add(A, B, y + e, run);
        else
            values(problem->binary, A, a_step, B, b_step, y + e, run);
    }
}

static void binary(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, NULL, call->out[0], id, n);
}

/* --- gradients: of every element aside, then summed over the axes that were broadcast --- */

static cp_status prepare_gradient(const cp_problem *problem, cp_prepared *prepared) {
    const cp_shape dy = problem->in[2], dx = problem->out[0];
    rows *r = cp_zalloc(NULL, sizeof *r);
    if (!r) return CP_E_MEMORY;
    make_rows(r, problem->in[0], problem->in[1], dy);
    const uint32_t axes = cp_broadcast_axes(dx, dy);
    r->sum = cp_reduced_of(dy, axes);
    prepared->state = r;
    if (axes) {
        prepared->scratch = cp_shape_count(dy) * (int64_t)sizeof(float);
        prepared->phases = 2;
    }
    return CP_OK;
}

static void gradient(const cp_call *call, int phase, int id, int n) {
    const rows *r = call->prepared->state;
    if (phase == 0)
        walk(call, call->in[2], call->prepared->phases ? call->scratch : call->out[0], id, n);
    else
        cp_reduce_share(&r->sum, CP_REDUCE_SUM, call->scratch, call->out[0], id, n);
}

const cp_algo cp_algo_binary_rows = {.name = "rows", .refuse = refuse, .prepare = prepare, .run = binary};
const cp_algo cp_algo_binary_gradient_rows = {
    .name = "rows", .refuse = refuse, .prepare = prepare_gradient, .run = gradient};
