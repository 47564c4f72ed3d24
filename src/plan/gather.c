/* Rows from where indices say, of any type: bytes are copied; and their gradient, in f32: rows are added. */
#include "plan/algos.h"

#include <string.h>

/* Index e of in[1] along an axis of that size, those below 0 counted from the end. */
static int64_t index_at(const cp_call *call, int64_t e, int64_t size) {
    const int64_t index =
        call->problem->in_type[1] == CP_I64 ? ((const int64_t *)call->in[1])[e] : ((const int32_t *)call->in[1])[e];
    return index < 0 ? index + size : index;
}

void cp_check_indices(const cp_call *call, int64_t size) {
    const int64_t count = cp_shape_count(call->problem->in[1]);
    for (int64_t e = 0; e < count && call->fault && !call->fault->set; e++) {
        const int64_t index = index_at(call, e, size);
        if (index < 0 || index >= size)
            *call->fault = (cp_fault){.set = true, .element = e, .value = index, .limit = size};
    }
}

static const char *refuse_gradient(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* x [outer, size, inner], y [outer, indices, inner] */
typedef struct rows {
    int64_t outer, size, indices, inner;
} rows;

static rows rows_of(const cp_problem *problem, cp_shape x) {
    const int axis = problem->axis;
    return (rows){.outer = cp_shape_count(cp_shape_of(axis, x.dim)),
                  .size = x.dim[axis],
                  .indices = cp_shape_count(problem->in[1]),
                  .inner = cp_shape_count(cp_shape_of(x.rank - axis - 1, x.dim + axis + 1))};
}

static void gather(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const rows r = rows_of(call->problem, call->problem->in[0]);
    const int64_t bytes = r.inner * cp_type_size(call->problem->in_type[0]);
    int64_t row, last;
    if (id == 0) cp_check_indices(call, r.size);
    cp_share(r.outer * r.indices, id, n, &row, &last);
    for (; row < last && bytes; row++) {
        const int64_t at = index_at(call, row % r.indices, r.size);
        char *to = (char *)call->out[0] + row * bytes;
        if (at >= 0 && at < r.size)
            memcpy(to, (const char *)call->in[0] + (row / r.indices * r.size + at) * bytes, (size_t)bytes);
        else
            memset(to, 0, (size_t)bytes);
    }
}

/* Shares of what one index brings, so that each sum is made by one share in the order of the indices: of the inner
 * elements of each outer row. */
static void gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    enum { BLOCK = 64 };
    const rows r = rows_of(call->problem, call->problem->out[0]);
    const int64_t blocks = (r.inner + BLOCK - 1) / BLOCK;
    int64_t unit, last;
    if (id == 0) cp_check_indices(call, r.size);
    cp_share(r.outer * blocks, id, n, &unit, &last);
    for (; unit < last; unit++) {
        const int64_t outer = unit / blocks, first = unit % blocks * BLOCK;
        const int64_t width = r.inner - first < BLOCK ? r.inner - first : BLOCK;
        float *dx = (float *)call->out[0] + outer * r.size * r.inner + first;
        const float *dy = (const float *)call->in[0] + outer * r.indices * r.inner + first;
        for (int64_t i = 0; i < r.size; i++) memset(dx + i * r.inner, 0, (size_t)width * sizeof *dx);
        for (int64_t i = 0; i < r.indices; i++) {
            const int64_t at = index_at(call, i, r.size);
            if (at < 0 || at >= r.size) continue;
            for (int64_t k = 0; k < width; k++) dx[at * r.inner + k] += dy[i * r.inner + k];
        }
    }
}

const cp_algo cp_algo_gather_rows = {.name = "rows", .run = gather};
const cp_algo cp_algo_gather_gradient_rows = {.name = "rows", .refuse = refuse_gradient, .run = gradient};
