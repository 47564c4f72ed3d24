/* The gradient of a bias: sums of columns, the rows in parts that are fixed by the shape, never by the number of
 * threads: part sums in the first phase, added in their order in the second. */
#include "plan/algos.h"

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

enum { ROWS_OF_PART = 256, MOST_PARTS = 64 };

static int64_t columns_of(const cp_problem *problem) {
    return problem->out[0].dim[0];
}

static int64_t rows_of(const cp_problem *problem) {
    const cp_shape dy = problem->in[0];
    return cp_shape_count(cp_shape_of(dy.rank - 1, dy.dim));
}

static int row_parts(const cp_problem *problem) {
    const int64_t parts = rows_of(problem) / ROWS_OF_PART;
    return parts < 1 ? 1 : parts > MOST_PARTS ? MOST_PARTS : (int)parts;
}

static cp_status prepare_columns(const cp_problem *problem, cp_prepared *prepared) {
    prepared->scratch = row_parts(problem) * columns_of(problem) * (int64_t)sizeof(float);
    prepared->phases = 2;
    return CP_OK;
}

static void sum_columns(const cp_call *call, int phase, int id, int n) {
    const cp_problem *problem = call->problem;
    const int64_t columns = columns_of(problem), rows = rows_of(problem);
    const int parts = row_parts(problem);
    const float *dy = call->in[0];
    float *sums = call->scratch;
    if (phase == 1) {
        if (id == 0) problem->kernels->column_sums(sums, columns, parts, columns, call->out[0], 0);
        return;
    }
    int64_t first_part, last_part, first, last;
    cp_share(parts, id, n, &first_part, &last_part);
    for (int64_t part = first_part; part < last_part; part++) {
        cp_share(rows, (int)part, parts, &first, &last);
        problem->kernels->column_sums(dy + first * columns, columns, last - first, columns, sums + part * columns, 0);
    }
}

const cp_algo cp_algo_bias_gradient_columns = {
    .name = "columns", .refuse = refuse, .prepare = prepare_columns, .run = sum_columns};
