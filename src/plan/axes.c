/* Reductions over axes, in f32, and concatenation, of any type. Each result is made alone, in the order of memory. */
#include "plan/algos.h"

#include <math.h>
#include <string.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 && problem->in_type[0] == CP_F32 ? NULL : "needs f32";
}

/* --- the axes of a dense tensor in two lists, neighbours of one list merged --- */

cp_reduced cp_reduced_of(cp_shape x, uint32_t axes) {
    cp_reduced r = {.outputs = 1, .parts = 1, .columns = 1};
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
    return r;
}

static int64_t offset_of(const cp_strided *list, int64_t flat) {
    int64_t offset = 0;
    const int outermost = list->axes - 1;
    for (int i = 0; i < outermost; i++) {
        offset += flat % list->size[i] * list->stride[i];
        flat /= list->size[i];
    }
    return list->axes ? offset + flat * list->stride[outermost] : 0;
}

enum { BLOCK = 64 };

/* The outputs from o on that lie side by side, at most BLOCK. */
static int64_t block_width(const cp_reduced *r, int64_t o, int64_t last) {
    int64_t width = r->columns - o % r->columns;
    if (width > last - o) width = last - o;
    return width < BLOCK ? width : BLOCK;
}

/* --- forward --- */

/* What a block is made with, and for each of its columns what a log-sum-exp takes out of its powers. */
typedef struct making {
    cp_reduction reduction;
    const cp_kernels *kernels;
    const double *largest;
} making;

/* A part of the sums joins them. */
static double joined(cp_reduction f, double s, double v) {
    switch (f) {
    case CP_REDUCE_MAX:
        return v > s || v != v ? v : s;
    case CP_REDUCE_MIN:
        return v < s || v != v ? v : s;
    case CP_REDUCE_PRODUCT:
        return s * v;
    default:
        return s + v;
    }
}

#define STEPS(expression)                                                                                              \
    for (int64_t k = 0; k < rows; k++, x += step)                                                                      \
        for (int64_t j = 0; j < width; j++) {                                                                          \
            const double v = x[j], s = sum[j];                                                                         \
            sum[j] = expression;                                                                                       \
        }

/* Sums, or sums of squares, of columns. */
static void add_columns(const making *m, const float *x, int64_t rows, int64_t step, int64_t width, double *sum,
                        bool squares) {
    static const float zeros[BLOCK];
    double unused[BLOCK] = {0};
    m->kernels->column_moments(x, step, rows, width, zeros, squares ? unused : sum, squares ? sum : unused);
}

static void accumulate(const making *m, const float *x, int64_t rows, int64_t step, int64_t width, double *sum) {
    switch (m->reduction) {
    case CP_REDUCE_SUM:
    case CP_REDUCE_MEAN:
    case CP_REDUCE_LOG_SUM:
        add_columns(m, x, rows, step, width, sum, false);
        break;
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
        add_columns(m, x, rows, step, width, sum, true);
        break;
    case CP_REDUCE_LOG_SUM_EXP:
        STEPS(s + exp(v - m->largest[j])) break;
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

/* The same of n numbers that lie side by side and make one, as rows whose columns then join. */
static void accumulate_run_in_rows(const making *m, const float *x, int64_t n, double *sum) {
    enum { COLUMNS = 16 };
    double part[COLUMNS], largest[COLUMNS];
    making of_columns = *m;
    of_columns.largest = largest;
    for (int j = 0; j < COLUMNS; j++) {
        part[j] = start_of(m->reduction);
        largest[j] = *m->largest;
    }
    if (n >= COLUMNS) {
        accumulate(&of_columns, x, n / COLUMNS, COLUMNS, COLUMNS, part);
        for (int j = 0; j < COLUMNS; j++) *sum = joined(m->reduction, *sum, part[j]);
    }
    accumulate(m, x + n / COLUMNS * COLUMNS, n % COLUMNS, 1, 1, sum);
}

static void accumulate_run(const making *m, const float *x, int64_t n, double *sum) {
    double unused = 0;
    switch (m->reduction) {
    case CP_REDUCE_SUM:
    case CP_REDUCE_MEAN:
    case CP_REDUCE_LOG_SUM:
        m->kernels->moments(x, n, 1, n, 0, sum, &unused);
        break;
    case CP_REDUCE_L2:
    case CP_REDUCE_SUM_SQUARE:
        m->kernels->moments(x, n, 1, n, 0, &unused, sum);
        break;
    default:
        accumulate_run_in_rows(m, x, n, sum);
    }
}

/* The results of neighbours. */
static void reduce_block(const cp_reduced *r, const making *m, const float *x, int64_t width, double *sum) {
    const int64_t rows = r->reduced.axes ? r->reduced.size[0] : 1, step = r->reduced.axes ? r->reduced.stride[0] : 1;
    for (int64_t j = 0; j < width; j++) sum[j] = start_of(m->reduction);
    for (int64_t p = 0; p < r->parts; p += rows) {
        const float *from = x + offset_of(&r->reduced, p);
        if (width == 1 && step == 1)
            accumulate_run(m, from, rows, sum);
        else
            accumulate(m, from, rows, step, width, sum);
    }
    for (int64_t j = 0; j < width; j++) sum[j] = end_of(m->reduction, sum[j], r->parts, m->largest[j]);
}

void cp_reduce_share(const cp_kernels *kernels, const cp_reduced *r, cp_reduction f, const float *x, float *y, int id,
                     int n) {
    int64_t first, last;
    cp_share(r->outputs, id, n, &first, &last);
    for (int64_t o = first, width; o < last; o += width) {
        const float *from = x + offset_of(&r->kept, o);
        double sum[BLOCK], largest[BLOCK];
        width = block_width(r, o, last);
        for (int64_t j = 0; j < width; j++) largest[j] = 0;
        if (f == CP_REDUCE_LOG_SUM_EXP) {
            reduce_block(r, &(making){CP_REDUCE_MAX, kernels, largest}, from, width, sum);
            for (int64_t j = 0; j < width; j++) largest[j] = isfinite(sum[j]) ? sum[j] : 0;
        }
        reduce_block(r, &(making){f, kernels, largest}, from, width, sum);
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
    cp_reduce_share(call->problem->kernels, call->prepared->state, call->problem->reduction, call->in[0], call->out[0],
                    id, n);
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
