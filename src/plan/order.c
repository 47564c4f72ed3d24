/* Order along an axis, in f32: of [outer, size, inner] the rows that lie side by side go on together, a block of them.
 */
#include "plan/algos.h"

#include <math.h>

enum { BLOCK = 64 };

typedef struct rows {
    int64_t size, inner, blocks, units; /* units: blocks of all outer ones */
} rows;

static rows rows_of(const cp_problem *problem) {
    const cp_shape x = problem->in[0];
    const int axis = problem->axis;
    rows r = {.size = x.dim[axis], .inner = cp_shape_count(cp_shape_of(x.rank - axis - 1, x.dim + axis + 1))};
    r.blocks = (r.inner + BLOCK - 1) / BLOCK;
    r.units = r.blocks * cp_shape_count(cp_shape_of(axis, x.dim));
    return r;
}

static int64_t width_of(const rows *r, int64_t unit) {
    const int64_t rest = r->inner - unit % r->blocks * BLOCK;
    return rest < BLOCK ? rest : BLOCK;
}

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 && problem->in_type[0] == CP_F32 ? NULL : "needs f32";
}

/* --- arg-max, arg-min --- */

static void arg_block(const cp_problem *problem, const rows *r, int64_t width, const float *x, int64_t *y) {
    const float sign = problem->smallest ? -1 : 1;
    float best[BLOCK];
    for (int64_t j = 0; j < width; j++) {
        best[j] = sign * x[j];
        y[j] = 0;
    }
    for (int64_t i = 1; i < r->size; i++)
        for (int64_t j = 0; j < width; j++) {
            const float v = sign * x[i * r->inner + j];
            const bool better = v > best[j] || (isnan(v) && !isnan(best[j]));
            const bool equal = v == best[j] || (isnan(v) && isnan(best[j]));
            if (!better && !(equal && problem->last)) continue;
            best[j] = v;
            y[j] = i;
        }
}

static void arg(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const rows r = rows_of(call->problem);
    int64_t unit, last;
    cp_share(r.units, id, n, &unit, &last);
    for (; unit < last; unit++) {
        const int64_t outer = unit / r.blocks, first = unit % r.blocks * BLOCK;
        arg_block(call->problem, &r, width_of(&r, unit), (const float *)call->in[0] + outer * r.size * r.inner + first,
                  (int64_t *)call->out[0] + outer * r.inner + first);
    }
}

/* --- top-k: the k best so far are a heap of indices, the worst of them on top --- */

typedef struct heap {
    const float *x;
    int64_t step;
    bool smallest;
    int64_t *index, count;
} heap;

/* Whether number i stands before number j: a NaN is larger than any number, of equal ones the first is before. */
static bool before(const heap *h, int64_t i, int64_t j) {
    const float a = h->x[i * h->step], b = h->x[j * h->step];
    const int order = isnan(a) || isnan(b) ? (isnan(a) != 0) - (isnan(b) != 0) : (a > b) - (a < b);
    return order == 0 ? i < j : (order > 0) != h->smallest;
}

/* Index i sinks from the top to where it stands before none of those above it. */
static void sink(heap *h, int64_t i, int64_t place) {
    for (int64_t child; (child = 2 * place + 1) < h->count; place = child) {
        if (child + 1 < h->count && before(h, h->index[child], h->index[child + 1])) child++;
        if (before(h, h->index[child], i)) break;
        h->index[place] = h->index[child];
    }
    h->index[place] = i;
}

/* Leaves the best ones in their order. */
static void select_best(heap *h, int64_t size) {
    const int64_t count = h->count;
    for (int64_t i = 0; i < count; i++) h->index[i] = i;
    for (int64_t place = count / 2 - 1; place >= 0; place--) sink(h, h->index[place], place);
    for (int64_t i = count; i < size; i++)
        if (before(h, i, h->index[0])) sink(h, i, 0);
    while (h->count > 1) {
        const int64_t worst = h->index[0];
        h->count--;
        sink(h, h->index[h->count], 0);
        h->index[h->count] = worst;
    }
}

static cp_status prepare_top_k(const cp_problem *problem, cp_prepared *prepared) {
    prepared->scratch = cp_shape_count(problem->out[1]) * (int64_t)sizeof(int64_t);
    return CP_OK;
}

static void top_k(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const rows r = rows_of(call->problem);
    const int64_t k = call->problem->out[0].dim[call->problem->axis];
    float *values = call->out[0];
    int64_t *indices = call->out[1], row, last; /* either NULL where nobody reads it */
    cp_share(r.inner ? r.units / r.blocks * r.inner : 0, id, n, &row, &last);
    for (; row < last; row++) {
        const int64_t outer = row / r.inner, column = row % r.inner, to = outer * k * r.inner + column;
        heap h = {.x = (const float *)call->in[0] + outer * r.size * r.inner + column,
                  .step = r.inner,
                  .smallest = call->problem->smallest,
                  .index = (int64_t *)call->scratch + row * k,
                  .count = k};
        select_best(&h, r.size);
        for (int64_t i = 0; i < k; i++) {
            if (values) values[to + i * r.inner] = h.x[h.index[i] * h.step];
            if (indices) indices[to + i * r.inner] = h.index[i];
        }
    }
}

/* --- sums of all before --- */

static void cumulative_sum(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const rows r = rows_of(call->problem);
    const bool exclusive = call->problem->exclusive, reverse = call->problem->reverse;
    int64_t unit, last;
    cp_share(r.units, id, n, &unit, &last);
    for (; unit < last; unit++) {
        const int64_t at = unit / r.blocks * r.size * r.inner + unit % r.blocks * BLOCK, width = width_of(&r, unit);
        double sum[BLOCK] = {0};
        for (int64_t k = 0; k < r.size; k++) {
            const int64_t row = at + (reverse ? r.size - 1 - k : k) * r.inner;
            const float *x = (const float *)call->in[0] + row;
            float *y = (float *)call->out[0] + row;
            for (int64_t j = 0; j < width; j++) {
                const double next = sum[j] + x[j];
                y[j] = (float)(exclusive ? sum[j] : next);
                sum[j] = next;
            }
        }
    }
}

const cp_algo cp_algo_arg_rows = {.name = "rows", .refuse = refuse, .run = arg};
const cp_algo cp_algo_top_k_heaps = {.name = "heaps", .refuse = refuse, .prepare = prepare_top_k, .run = top_k};
const cp_algo cp_algo_cumulative_sum_rows = {.name = "rows", .refuse = refuse, .run = cumulative_sum};
