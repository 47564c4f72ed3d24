/* Truths about pairs of numbers, and numbers chosen by them, row by row. */
#include "plan/algos.h"

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    cp_rows *r = cp_zalloc(NULL, sizeof *r);
    if (!r) return CP_E_MEMORY;
    *r = cp_rows_of(problem->in, problem->inputs, problem->out[0]);
    prepared->state = r;
    return CP_OK;
}

/* --- relations, in f32 and of bytes --- */

static const char *refuse_relation(const cp_problem *problem) {
    const cp_type type = problem->in_type[0];
    return type == CP_F32 || type == CP_U8 || type == CP_BOOL ? NULL : "needs f32, u8 or bool";
}

#define EACH(relation, truth)                                                                                          \
    case relation:                                                                                                     \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            a = A[i * a_step];                                                                                         \
            b = B[i * b_step];                                                                                         \
            y[i] = truth;                                                                                              \
        }                                                                                                              \
        break;

static void relate_floats(cp_relation f, const float *A, int64_t a_step, const float *B, int64_t b_step, uint8_t *y,
                          int64_t n) {
    float a, b;
    switch (f) { CP_RELATION_FORMULAS(EACH) }
}

static void relate_bytes(cp_relation f, const uint8_t *A, int64_t a_step, const uint8_t *B, int64_t b_step, uint8_t *y,
                         int64_t n) {
    uint8_t a, b;
    switch (f) { CP_RELATION_FORMULAS(EACH) }
}

static void relation(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_rows *r = call->prepared->state;
    const cp_relation f = call->problem->relation;
    const int64_t a_step = cp_rows_step(r, 0), b_step = cp_rows_step(r, 1);
    int64_t first, last, at[CP_ROWS_INPUTS];
    cp_share(cp_rows_count(r), id, n, &first, &last);
    for (int64_t e = first, run; e < last; e += run) {
        uint8_t *y = (uint8_t *)call->out[0] + e;
        run = cp_rows_at(r, e, last, at);
        if (call->problem->in_type[0] == CP_F32)
            relate_floats(f, (const float *)call->in[0] + at[0], a_step, (const float *)call->in[1] + at[1], b_step, y,
                          run);
        else
            relate_bytes(f, (const uint8_t *)call->in[0] + at[0], a_step, (const uint8_t *)call->in[1] + at[1], b_step,
                         y, run);
    }
}

/* --- where: elements of any type are moved --- */

#define CHOOSE(T)                                                                                                      \
    for (int64_t i = 0; i < n; i++)                                                                                    \
    ((T *)y)[i] = c[i * step[0]] ? ((const T *)a)[i * step[1]] : ((const T *)b)[i * step[2]]

static void choose(int64_t size, const uint8_t *c, const void *a, const void *b, const int64_t step[CP_ROWS_INPUTS],
                   void *y, int64_t n) {
    if (size == 1)
        CHOOSE(uint8_t);
    else if (size == 4)
        CHOOSE(uint32_t);
    else
        CHOOSE(uint64_t);
}

static void where(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_rows *r = call->prepared->state;
    const int64_t size = cp_type_size(call->problem->out_type[0]);
    const int64_t step[] = {cp_rows_step(r, 0), cp_rows_step(r, 1), cp_rows_step(r, 2)};
    int64_t first, last, at[CP_ROWS_INPUTS];
    cp_share(cp_rows_count(r), id, n, &first, &last);
    for (int64_t e = first, run; e < last; e += run) {
        run = cp_rows_at(r, e, last, at);
        choose(size, (const uint8_t *)call->in[0] + at[0], (const char *)call->in[1] + at[1] * size,
               (const char *)call->in[2] + at[2] * size, step, (char *)call->out[0] + e * size, run);
    }
}

const cp_algo cp_algo_relation_rows = {.name = "rows", .refuse = refuse_relation, .prepare = prepare, .run = relation};
const cp_algo cp_algo_where_rows = {.name = "rows", .prepare = prepare, .run = where};
