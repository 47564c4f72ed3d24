/* Reductions over axes, in f32, and concatenation, of any type. Each result is made alone, in the order of memory. */
#include "plan/algos.h"

#include <math.h>
#include <string.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 && problem->in_type[0] == CP_F32 ? NULL : "needs f32";
}

/* --- the axes of a dense tensor in two lists, neighbours of one list merged --- */

cp_reduced cp_reduced_of(cp_shape x, uint32_t axes) {
    cp_reduced r = {.outputs = 1, .parts = 1, .columns = 1, .run = 1};
    int64_t stride = 1;
    for (int d = x.rank - 1, before = -1; d >= 0; stride *= x.dim[d--]) {
        const int in = axes >> d & 1;
        if (x.dim[d] == 1) continue;
        cp_strided *list = in ? &r.reduced : &r.kept;
        if (in != before) {
            list->size[list->axes] = 1;
            list->stride[list->axes++] = stride;
        }
        list->size[list->axes - 1] *= x.dim[d];
        *(in ? &r.parts : &r.outputs) *= x.dim[d];
        before = in;
    }
    if (r.kept.axes && r.kept.stride[0] == 1) r.columns = r.kept.size[0];
    if (r.reduced.axes && r.reduced.stride[0] == 1) r.run = r.reduced.size[0];
    return r;
}

static int64_t offset_of(const cp_strided *list, int64_t flat) {
    int64_t offset = 0;
    for (int i = 0; i < list->axes; i++) {
        offset += flat % list->size[i] * list->stride[i];
        flat /= list->size[i];
    }
    return offset;
}

enum { BLOCK = 64 };

/* The outputs from o on that lie side by side, at most BLOCK. */
static int64_t block_width(const cp_reduced *r, int64_t o, int64_t last) {
    int64_t width = r->columns - o % r->columns;
    if (width > last - o) width = last - o;
    return width < BLOCK ? width : BLOCK;
}

/* --- forward --- */

#define STEPS(expression)                                                                                              \
    for (int64_t k = 0; k < run; k++, x += width)                                                                      \
        for (int64_t j = 0; j < width; j++) {                                                                          \
            const double v = x[j], s = sum[j];                                                                         \
            sum[j] = expression;                                                                                       \
        }

/* width > 1 only where run is 1. largest: what a log-sum-exp takes out of its powers. */
static void accumulate(cp_reduction f, const float *x, int64_t run, int64_t width, const double *largest, double *sum) {
    switch (f) {
    case CP_REDUCE_SUM:
    case CP_REDUCE_MEAN:
    case CP_REDUCE_LOG_SUM:
        STEPS(s + v) break;
    case CP_REDUCE_MAX:
        STEPS(v > s || v != v ? v : s) break;
    case CP_REDUCE_MIN:
        STEPS(v < s || v != v ? v : s) break;
    case CP_REDUCE_PRODUCT:
        STEPS(s * v) break;
    case CP_REDUCE_L1:
        STEPS(s + fabs(v)) break;
    case CP_REDUCE_L2:
    case CP_REDUCE_SUM_SQUARE:
        STEPS(s + v * v) break;
    case CP_REDUCE_LOG_SUM_EXP:
        STEPS(s + exp(v - largest[j])) break;
    }
}

static double start_of(cp_reduction f) {
    return f == CP_REDUCE_MAX ? -INFINITY : f == CP_REDUCE_MIN ? INFINITY : f == CP_REDUCE_PRODUCT ? 1 : 0;
}

static double end_of(cp_reduction f, double sum, int64_t parts, double largest) {
    switch (f) {
    case CP_REDUCE_MEAN:
        return sum / (double)parts;
    case CP_REDUCE_L2:
        return sqrt(sum);
    case CP_REDUCE_LOG_SUM:
    case CP_REDUCE_LOG_SUM_EXP:
        return largest + log(sum);
    default:
        return sum;
    }
}

/* The results of neighbours. */
static void reduce_block(const cp_reduced *r, cp_reduction f, const float *x, int64_t width, const double *largest,
                         double *sum) {
    for (int64_t j = 0; j < width; j++) sum[j] = start_of(f);
    for (int64_t p = 0; p < r->parts; p += r->run)
        accumulate(f, x + offset_of(&r->reduced, p), r->run, width, largest, sum);
    for (int64_t j = 0; j < width; j++) sum[j] = end_of(f, sum[j], r->parts, largest[j]);
}

void cp_reduce_share(const cp_reduced *r, cp_reduction f, const float *x, float *y, int id, int n) {
    int64_t first, last;
    cp_share(r->outputs, id, n, &first, &last);
    for (int64_t o = first, width; o < last; o += width) {
        const float *from = x + offset_of(&r->kept, o);
        double sum[BLOCK], largest[BLOCK] = {0};
        width = block_width(r, o, last);
        if (f == CP_REDUCE_LOG_SUM_EXP) {
            reduce_block(r, CP_REDUCE_MAX, from, width, largest, sum);
            for (int64_t j = 0; j < width; j++) largest[j] = isfinite(sum[j]) ? sum[j] : 0;
        }
        reduce_block(r, f, from, width, largest, sum);
        for (int64_t j = 0; j < width; j++) y[o + j] = (float)sum[j];
    }
}

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    cp_reduced *r = cp_zalloc(NULL, sizeof *r);
    if (!r) return CP_E_MEMORY;
    *r = cp_reduced_of(problem->in[0], problem->axes);
    prepared->state = r;
    return CP_OK;
}

static void reduce(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    cp_reduce_share(call->prepared->state, call->problem->reduction, call->in[0], call->out[0], id, n);
}

/* --- backward --- */

/* Of one output: what its parts need to know. */
typedef struct output {
    double y, dy;
    double product; /* of all parts that are not 0 */
    int64_t zeros;
    bool found; /* the maximum (minimum) */
} output;

static double slope_of(cp_reduction f, int64_t parts, output *o, double x) {
    bool here;
    switch (f) {
    case CP_REDUCE_SUM:
        return 1;
    case CP_REDUCE_MEAN:
        return 1 / (double)parts;
    case CP_REDUCE_MAX:
    case CP_REDUCE_MIN:
        here = !o->found && (x == o->y || x != x);
        o->found |= here;
        return here;
    case CP_REDUCE_PRODUCT:
        if (x == 0) return o->zeros == 1 ? o->product : 0;
        return o->zeros == 0 ? o->product / x : 0;
    case CP_REDUCE_L1:
        return (x > 0) - (x < 0);
    case CP_REDUCE_L2:
        return o->y > 0 ? x / o->y : 0;
    case CP_REDUCE_SUM_SQUARE:
        return 2 * x;
    case CP_REDUCE_LOG_SUM:
        return exp(-o->y);
    case CP_REDUCE_LOG_SUM_EXP:
        return exp(x - o->y);
    }
    return 1;
}

static void begin_outputs(const cp_call *call, const cp_reduced *r, int64_t o, int64_t width, output *of) {
    const float *y = call->in[1], *dy = call->in[2];
    const float *x = (const float *)call->in[0] + offset_of(&r->kept, o);
    for (int64_t j = 0; j < width; j++) of[j] = (output){.y = y[o + j], .dy = dy[o + j], .product = 1};
    if (call->problem->reduction != CP_REDUCE_PRODUCT) return;
    for (int64_t p = 0; p < r->parts; p++)
        for (int64_t j = 0; j < width; j++) {
            const double v = x[offset_of(&r->reduced, p) + j];
            of[j].zeros += v == 0;
            of[j].product *= v == 0 ? 1 : v;
        }
}

static void reduce_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_reduced *r = call->prepared->state;
    const cp_reduction f = call->problem->reduction;
    int64_t first, last;
    cp_share(r->outputs, id, n, &first, &last);
    for (int64_t o = first, width; o < last; o += width) {
        output of[BLOCK];
        width = block_width(r, o, last);
        begin_outputs(call, r, o, width, of);
        for (int64_t p = 0; p < r->parts; p++) {
            const int64_t at = offset_of(&r->kept, o) + offset_of(&r->reduced, p);
            const float *x = (const float *)call->in[0] + at;
            float *dx = (float *)call->out[0] + at;
            for (int64_t j = 0; j < width; j++) dx[j] = (float)(of[j].dy * slope_of(f, r->parts, &of[j], (double)x[j]));
        }
    }
}

/* --- concatenation: rows of consecutive bytes are copied --- */

/* Bytes of the axis and those behind it. */
static int64_t row_bytes(cp_shape shape, int axis, cp_type type) {
    return cp_shape_count(cp_shape_of(shape.rank - axis, shape.dim + axis)) * cp_type_size(type);
}

static void concat(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *problem = call->problem;
    const int axis = problem->axis;
    const cp_shape y = problem->out[0];
    const cp_type type = problem->out_type[0];
    int64_t first, last;
    cp_share(cp_shape_count(cp_shape_of(axis, y.dim)), id, n, &first, &last);
    for (int64_t row = first; row < last; row++) {
        char *to = (char *)call->out[0] + row * row_bytes(y, axis, type);
        for (int i = 0; i < problem->inputs; i++) {
            const int64_t bytes = row_bytes(problem->in[i], axis, type);
            if (bytes) memcpy(to, (const char *)call->in[i] + row * bytes, (size_t)bytes);
            to += bytes;
        }
    }
}

const cp_algo cp_algo_reduce_blocks = {.name = "blocks", .refuse = refuse, .prepare = prepare, .run = reduce};
const cp_algo cp_algo_reduce_gradient_blocks = {
    .name = "blocks", .refuse = refuse, .prepare = prepare, .run = reduce_gradient};
const cp_algo cp_algo_concat_rows = {.name = "rows", .run = concat};
