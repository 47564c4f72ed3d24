/* Numbers to whole ones of few bits and back, in f32: rows of one scale; dynamically, the extremes of parts first. */
#include "plan/algos.h"

#include <math.h>

/* x as [outer, scales, inner]. */
typedef struct rows {
    int64_t outer, scales, inner;
} rows;

static rows rows_of(const cp_problem *problem) {
    const cp_shape x = problem->in[0];
    const int axis = problem->axis;
    rows r = {.outer = 1, .scales = cp_shape_count(problem->in[1]), .inner = cp_shape_count(x)};
    if (r.scales == 1) return r;
    r.inner = cp_shape_count(cp_shape_of(x.rank - axis - 1, x.dim + axis + 1));
    r.outer = cp_shape_count(cp_shape_of(axis, x.dim));
    return r;
}

static const char *refuse_quantize(const cp_problem *problem) {
    return problem->type == CP_F32 && problem->in_type[0] == CP_F32 ? NULL : "needs f32";
}

static const char *refuse_dequantize(const cp_problem *problem) {
    if (problem->type != CP_F32) return "needs f32";
    return problem->in_type[0] == CP_I32 ? "needs bytes" : NULL;
}

/* Of a byte, which may have a sign. */
static int zero_of(const cp_call *call, int64_t i) {
    if (!cp_has_input(call->problem, 2)) return 0;
    return call->problem->in_type[2] == CP_I8 ? ((const int8_t *)call->in[2])[i] : ((const uint8_t *)call->in[2])[i];
}

/* Bytes of the nearest whole numbers to x / scale, plus zero, least .. most. Between whole bounds the order of rounding
 * and bounding makes no difference; so near 0 adding and subtracting 1.5 * 2^23 rounds halves to even. */
static void to_bytes(const float *x, float scale, int zero, bool is_signed, uint8_t *y, int64_t n) {
    const float least = (float)((is_signed ? INT8_MIN : 0) - zero), most = least + UINT8_MAX, round = 0x1.8p23f;
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] / scale;
        v = v > least ? v : least; /* NaN is the least */
        v = v < most ? v : most;
        y[i] = (uint8_t)((int)(v + round - round) + zero);
    }
}

static void from_bytes(const uint8_t *x, bool is_signed, float scale, int zero, float *y, int64_t n) {
    if (is_signed)
        for (int64_t i = 0; i < n; i++) y[i] = (float)((int8_t)x[i] - zero) * scale;
    else
        for (int64_t i = 0; i < n; i++) y[i] = (float)(x[i] - zero) * scale;
}

/* Calls for each run of elements of share id of n with one scale. */
static void walk(const cp_call *call, int id, int n, bool back) {
    const cp_problem *problem = call->problem;
    const rows r = rows_of(problem);
    const bool is_signed = (back ? problem->in_type[0] : problem->out_type[0]) == CP_I8;
    int64_t e, last, run;
    cp_share(r.outer * r.scales * r.inner, id, n, &e, &last);
    for (; e < last; e += run) {
        const int64_t i = e / r.inner % r.scales, rest = r.inner - e % r.inner;
        const float scale = ((const float *)call->in[1])[i];
        run = rest < last - e ? rest : last - e;
        if (back)
            from_bytes((const uint8_t *)call->in[0] + e, is_signed, scale, zero_of(call, i), (float *)call->out[0] + e,
                       run);
        else
            to_bytes((const float *)call->in[0] + e, scale, zero_of(call, i), is_signed, (uint8_t *)call->out[0] + e,
                     run);
    }
}

static void quantize(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, id, n, false);
}

static void dequantize(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, id, n, true);
}

/* --- dynamically --- */

enum { PART = 4096 };

static int64_t parts_of(const cp_problem *problem) {
    return (cp_shape_count(problem->in[0]) + PART - 1) / PART;
}

static cp_status prepare_dynamic(const cp_problem *problem, cp_prepared *prepared) {
    prepared->scratch = 2 * parts_of(problem) * (int64_t)sizeof(float);
    prepared->phases = 2;
    return CP_OK;
}

static void find_extremes(const cp_call *call, int id, int n) {
    const int64_t count = cp_shape_count(call->problem->in[0]);
    float *extremes = call->scratch;
    int64_t part, last;
    cp_share(parts_of(call->problem), id, n, &part, &last);
    for (; part < last; part++) {
        const float *x = (const float *)call->in[0] + part * PART;
        const int64_t size = count - part * PART < PART ? count - part * PART : PART;
        float least = 0, most = 0;
        for (int64_t i = 0; i < size; i++) {
            least = x[i] < least ? x[i] : least;
            most = x[i] > most ? x[i] : most;
        }
        extremes[2 * part] = least;
        extremes[2 * part + 1] = most;
    }
}

static void dynamic(const cp_call *call, int phase, int id, int n) {
    if (phase == 0) {
        find_extremes(call, id, n);
        return;
    }
    const int64_t count = cp_shape_count(call->problem->in[0]);
    const float *extremes = call->scratch;
    float least = 0, most = 0;
    for (int64_t part = 0; part < parts_of(call->problem); part++) {
        least = fminf(least, extremes[2 * part]);
        most = fmaxf(most, extremes[2 * part + 1]);
    }
    const float scale = most > least ? (most - least) / UINT8_MAX : 1; /* all are 0 */
    uint8_t zero;
    to_bytes(&(float){-least}, scale, 0, false, &zero, 1);
    if (id == 0 && call->out[1]) *(float *)call->out[1] = scale;
    if (id == 0 && call->out[2]) *(uint8_t *)call->out[2] = zero;
    int64_t first, last;
    cp_share(count, id, n, &first, &last);
    if (call->out[0])
        to_bytes((const float *)call->in[0] + first, scale, zero, false, (uint8_t *)call->out[0] + first, last - first);
}

const cp_algo cp_algo_quantize_rows = {.name = "rows", .refuse = refuse_quantize, .run = quantize};
const cp_algo cp_algo_dequantize_rows = {.name = "rows", .refuse = refuse_dequantize, .run = dequantize};
const cp_algo cp_algo_dynamic_quantize_parts = {
    .name = "parts", .refuse = refuse_quantize, .prepare = prepare_dynamic, .run = dynamic};
