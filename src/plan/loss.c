/* Losses of elements and of rows in f32, and their gradients. A loss is a sum over parts that the shape decides, each
 * added up in double in the first phase, all of them in their order in the second. */
#include "plan/algos.h"

#include <math.h>

enum { ELEMENTS_OF_PART = 4096, BLOCK = 256 };

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

/* --- what is lost together: an element, or a row that has a label --- */

static bool has_labels(const cp_problem *problem) {
    return problem->loss == CP_FOCAL || problem->loss == CP_HINGE;
}

static int64_t units_of(const cp_problem *problem) {
    return cp_shape_count(problem->in[1]);
}

static int64_t row_length(const cp_problem *problem) {
    return has_labels(problem) ? problem->in[0].dim[1] : 1;
}

static int64_t units_of_part(const cp_problem *problem) {
    const int64_t C = row_length(problem);
    return C < ELEMENTS_OF_PART ? ELEMENTS_OF_PART / C : 1;
}

static int64_t parts_of(const cp_problem *problem) {
    const int64_t each = units_of_part(problem);
    return (units_of(problem) + each - 1) / each;
}

/* --- rows: x of C numbers, one of them that of the label --- */

/* -log p[label], p the softmax; e[c] = exp(x[c] - largest), where e is not NULL, and the sum of them. */
static double surprise(const cp_kernels *kernels, const float *x, int64_t C, int64_t label, float *e, double *sum) {
    const float largest = kernels->largest(x, C);
    *sum = kernels->exponentials(x, largest, e, C);
    return log(*sum) + ((double)largest - (double)x[label]);
}

static double focal(const cp_kernels *kernels, const float *x, int64_t C, int64_t label, double gamma) {
    double sum;
    const double value = surprise(kernels, x, C, label, NULL, &sum);
    return pow(-expm1(-value), gamma) * value;
}

static void focal_gradient(const cp_kernels *kernels, const float *x, int64_t C, int64_t label, double gamma,
                           double scale, float *dx) {
    double sum;
    const double value = surprise(kernels, x, C, label, dx, &sum), rest = -expm1(-value);
    const double slope = -gamma * pow(rest, gamma - 1) * exp(-value) * value - pow(rest, gamma);
    const double factor = rest > 0 ? scale * slope : 0;
    const float other = (float)(-factor / sum);
    for (int64_t c = 0; c < C; c++) dx[c] *= other;
    dx[label] = (float)(factor * rest);
}

static double hinge(const float *x, int64_t C, int64_t label) {
    const double least = (double)x[label] - 1;
    double sum = -1; /* the label's own, which does not count */
    for (int64_t c = 0; c < C; c++) sum += (double)x[c] > least ? (double)x[c] - least : 0;
    return sum / (double)C;
}

static void hinge_gradient(const float *x, int64_t C, int64_t label, double scale, float *dx) {
    const double least = (double)x[label] - 1;
    const float one = (float)(scale / (double)C);
    int64_t violations = -1;
    for (int64_t c = 0; c < C; c++) {
        const bool violates = (double)x[c] > least;
        violations += violates;
        dx[c] = violates ? one : 0;
    }
    dx[label] = (float)(-scale * (double)violations / (double)C);
}

/* --- losses --- */

static double sum_of_rows(const cp_problem *p, const float *x, const int32_t *labels, int64_t first, int64_t last) {
    const int64_t C = row_length(p);
    double sum = 0;
    for (int64_t r = first; r < last; r++) {
        const float *row = x + r * C;
        if (labels[r] < 0 || labels[r] >= C) return NAN;
        sum += p->loss == CP_FOCAL ? focal(p->kernels, row, C, labels[r], p->alpha) : hinge(row, C, labels[r]);
    }
    return sum;
}

/* Of the mean squared error: what is squared then. */
static void losses_of_elements(const cp_problem *p, const float *x, const float *target, int64_t n, float *loss) {
    const float delta = (float)p->alpha;
    if (p->loss == CP_MEAN_SQUARED_ERROR)
        for (int64_t i = 0; i < n; i++) loss[i] = x[i] - target[i];
    else if (p->loss == CP_HUBER)
        for (int64_t i = 0; i < n; i++) {
            const float d = fabsf(x[i] - target[i]);
            loss[i] = d <= delta ? d * d / 2 : delta * (d - delta / 2);
        }
    else { /* log(1+exp(x)) = max(x, 0) + log(1+exp(-|x|)) */
        for (int64_t i = 0; i < n; i++) loss[i] = -fabsf(x[i]);
        p->kernels->function[CP_FUNCTION_SOFTPLUS](loss, loss, n, 0, 0);
        for (int64_t i = 0; i < n; i++) {
            const double from = (double)x[i];
            loss[i] = (float)((from > 0 ? from : 0) - from * (double)target[i] + (double)loss[i]);
        }
    }
}

static double sum_of_elements(const cp_problem *p, const float *x, const float *target, int64_t first, int64_t last) {
    double sum = 0, squares = 0;
    for (int64_t e = first; e < last; e += BLOCK) {
        float part[BLOCK];
        const int64_t count = last - e < BLOCK ? last - e : BLOCK;
        losses_of_elements(p, x + e, target + e, count, part);
        p->kernels->moments(part, count, 1, count, 0, &sum, &squares);
    }
    return p->loss == CP_MEAN_SQUARED_ERROR ? squares : sum;
}

static double sum_of_part(const cp_call *call, int64_t part) {
    const cp_problem *p = call->problem;
    const int64_t each = units_of_part(p), first = part * each, units = units_of(p);
    const int64_t last = units - first < each ? units : first + each;
    return has_labels(p) ? sum_of_rows(p, call->in[0], call->in[1], first, last)
                         : sum_of_elements(p, call->in[0], call->in[1], first, last);
}

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    prepared->scratch = parts_of(problem) * (int64_t)sizeof(double);
    prepared->phases = 2;
    return CP_OK;
}

static void loss(const cp_call *call, int phase, int id, int n) {
    const int64_t parts = parts_of(call->problem), units = units_of(call->problem);
    double *sums = call->scratch, sum = 0;
    int64_t first, last;
    if (phase == 0) {
        cp_share(parts, id, n, &first, &last);
        for (int64_t part = first; part < last; part++) sums[part] = sum_of_part(call, part);
    } else if (id == 0) {
        for (int64_t part = 0; part < parts; part++) sum += sums[part];
        *(float *)call->out[0] = units ? (float)(sum / (double)units) : 0;
    }
}

/* --- gradients --- */

static void gradients_of_rows(const cp_call *call, double scale, int64_t first, int64_t last) {
    const cp_problem *p = call->problem;
    const int64_t C = row_length(p);
    const int32_t *labels = call->in[1];
    for (int64_t r = first; r < last; r++) {
        const float *x = (const float *)call->in[0] + r * C;
        float *dx = (float *)call->out[0] + r * C;
        if (labels[r] < 0 || labels[r] >= C)
            for (int64_t c = 0; c < C; c++) dx[c] = NAN;
        else if (p->loss == CP_FOCAL)
            focal_gradient(p->kernels, x, C, labels[r], p->alpha, scale, dx);
        else
            hinge_gradient(x, C, labels[r], scale, dx);
    }
}

static void gradients_of_elements(const cp_call *call, double scale, int64_t first, int64_t last) {
    const float *x = call->in[0], *target = call->in[1];
    const float delta = (float)call->problem->alpha, factor = (float)scale, twice = (float)(2 * scale);
    float *dx = call->out[0];
    if (call->problem->loss == CP_MEAN_SQUARED_ERROR)
        for (int64_t e = first; e < last; e++) dx[e] = twice * (x[e] - target[e]);
    else if (call->problem->loss == CP_HUBER)
        for (int64_t e = first; e < last; e++) {
            const float d = x[e] - target[e];
            dx[e] = factor * (d > delta ? delta : d < -delta ? -delta : d);
        }
    else {
        call->problem->kernels->function[CP_FUNCTION_LOGISTIC](x + first, dx + first, last - first, 0, 0);
        for (int64_t e = first; e < last; e++) dx[e] = factor * (dx[e] - target[e]);
    }
}

static void loss_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int64_t units = units_of(p), each = units_of_part(p);
    const double scale = (double)*(const float *)call->in[2] / (double)units;
    int64_t first, last;
    cp_share(parts_of(p), id, n, &first, &last);
    first *= each;
    last = last * each < units ? last * each : units;
    if (has_labels(p))
        gradients_of_rows(call, scale, first, last);
    else
        gradients_of_elements(call, scale, first, last);
}

const cp_algo cp_algo_loss_parts = {.name = "parts", .refuse = refuse, .prepare = prepare, .run = loss};
const cp_algo cp_algo_loss_gradient_parts = {.name = "parts", .refuse = refuse, .run = loss_gradient};
