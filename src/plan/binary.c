/* Two tensors element by element with broadcasting, in f32, row by row. */
#include "plan/algos.h"

#include <tgmath.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 && problem->in_type[0] == CP_F32 ? NULL : "needs f32";
}

typedef struct rows {
    cp_rows of;
    cp_reduced sum; /* of a gradient: to the shape of its input */
} rows;

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    rows *r = cp_zalloc(NULL, sizeof *r);
    if (!r) return CP_E_MEMORY;
    r->of = cp_rows_of(problem->in, 2, problem->out[0]);
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
    const cp_rows *r = &((const rows *)call->prepared->state)->of;
    const int64_t a_step = cp_rows_step(r, 0), b_step = cp_rows_step(r, 1);
    int64_t first, last;
    cp_share(cp_rows_count(r), id, n, &first, &last);
    for (int64_t e = first, run; e < last; e += run) {
        int64_t at[CP_ROWS_INPUTS];
        run = cp_rows_at(r, e, last, at);
        const float *A = (const float *)call->in[0] + at[0], *B = (const float *)call->in[1] + at[1];
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
    r->of = cp_rows_of(problem->in, 2, dy);
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
        cp_reduce_share(call->problem->kernels, &r->sum, CP_REDUCE_SUM, call->scratch, call->out[0], id, n);
}

const cp_algo cp_algo_binary_rows = {.name = "rows", .refuse = refuse, .prepare = prepare, .run = binary};
const cp_algo cp_algo_binary_gradient_rows = {
    .name = "rows", .refuse = refuse, .prepare = prepare_gradient, .run = gradient};
