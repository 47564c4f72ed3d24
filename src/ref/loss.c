/* Losses: one number that says how wrong the outputs are, and its gradient by them. */
#include "ref/ref.h"

#include <math.h>

static double get(const cp_tensor *x, int64_t e) {
    return cp_get(x, cp_offset(x, 0, x->shape.rank, e));
}

static void put(const cp_tensor *y, int64_t e, double value) {
    cp_put(y, cp_offset(y, 0, y->shape.rank, e), value);
}

/* Of row n of x, m being its maximum: m + log(sum over c of exp(x[c] - m)), so that no logarithm is of 0. */
static double log_sum(const cp_tensor *x, int64_t row, int64_t C) {
    double m = -INFINITY, sum = 0;
    for (int64_t c = 0; c < C; c++) m = fmax(m, get(x, row + c));
    for (int64_t c = 0; c < C; c++) sum += exp(get(x, row + c) - m);
    return log(sum) + m;
}

static double weight_of(const cp_tensor *w, int64_t c) {
    return w ? get(w, c) : 1;
}

/* What the row's probabilities ought to be, times the weights. */
static double wish(double s, const cp_tensor *w, int64_t c, int64_t label, int64_t C) {
    return weight_of(w, c) * ((c == label ? 1 - s : 0) + s / (double)C);
}

static double total_weight(const cp_tensor *labels, const cp_tensor *w, int64_t C) {
    double sum = 0;
    for (int64_t n = 0; n < labels->shape.dim[0]; n++) {
        const int64_t label = (int64_t)get(labels, n);
        sum += label >= 0 && label < C ? weight_of(w, label) : NAN;
    }
    return sum;
}

void cp_ref_softmax_cross_entropy(double s, const cp_tensor *x, const cp_tensor *labels, const cp_tensor *w,
                                  const cp_tensor *loss, const cp_tensor *p) {
    const int64_t N = x->shape.dim[0], C = x->shape.dim[1];
    double sum = 0;
    for (int64_t n = 0; n < N; n++) {
        const double scale = log_sum(x, n * C, C);
        for (int64_t c = 0; c < C; c++) {
            const double q = wish(s, w, c, (int64_t)get(labels, n), C);
            if (q != 0) sum += q * (scale - get(x, n * C + c));
        }
    }
    put(loss, 0, N ? sum / total_weight(labels, w, C) : 0);
    cp_ref_softmax(false, x->shape.rank - 1, x, p);
}

void cp_ref_softmax_cross_entropy_gradient(double s, const cp_tensor *p, const cp_tensor *labels, const cp_tensor *w,
                                           const cp_tensor *dloss, const cp_tensor *dx) {
    const int64_t N = p->shape.dim[0], C = p->shape.dim[1];
    const double total = total_weight(labels, w, C);
    for (int64_t n = 0; n < N; n++) {
        const int64_t label = (int64_t)get(labels, n);
        double sum = 0;
        for (int64_t c = 0; c < C; c++) sum += wish(s, w, c, label, C);
        for (int64_t c = 0; c < C; c++)
            put(dx, n * C + c, get(dloss, 0) * (get(p, n * C + c) * sum - wish(s, w, c, label, C)) / total);
    }
}

void cp_ref_mean_squared_error(const cp_tensor *y, const cp_tensor *target, const cp_tensor *loss) {
    const int64_t count = cp_shape_count(y->shape);
    double sum = 0;
    for (int64_t e = 0; e < count; e++) {
        const double difference = get(y, e) - get(target, e);
        sum += difference * difference;
    }
    put(loss, 0, count ? sum / (double)count : 0);
}

void cp_ref_mean_squared_error_gradient(const cp_tensor *y, const cp_tensor *target, const cp_tensor *dloss,
                                        const cp_tensor *dy) {
    const int64_t count = cp_shape_count(y->shape);
    for (int64_t e = 0; e < count; e++) put(dy, e, get(dloss, 0) * 2 * (get(y, e) - get(target, e)) / (double)count);
}

/* --- losses of elements --- */

static double binary_cross_entropy(double x, double t) {
    return fmax(x, 0) - x * t + log1p(exp(-fabs(x)));
}

static double binary_cross_entropy_gradient(double x, double t) {
    return 1 / (1 + exp(-x)) - t;
}

static double huber(double d, double a) {
    return fabs(d) <= a ? d * d / 2 : a * (fabs(d) - a / 2);
}

static double huber_gradient(double d, double a) {
    return fabs(d) <= a ? d : copysign(a, d);
}

/* --- losses of rows --- */

/* -log p[y], and 1-p[y] without the cancellation where p[y] is near 1. */
static double surprise(const cp_tensor *x, int64_t row, int64_t C, int64_t y, double *rest) {
    const double value = log_sum(x, row, C) - get(x, row + y);
    *rest = -expm1(-value);
    return value;
}

static double focal(const cp_tensor *x, int64_t row, int64_t C, int64_t y, double a) {
    double rest;
    const double value = surprise(x, row, C, y, &rest);
    return pow(rest, a) * value;
}

/* d/dx[c] = (a*(1-p)^(a-1)*p*log p - (1-p)^a) * ([c = y] - p[c]), p = p[y]; it goes to 0 as p goes to 1. */
static void focal_gradient(const cp_tensor *x, int64_t row, int64_t C, int64_t y, double a, double scale,
                           const cp_tensor *dx) {
    double rest;
    const double value = surprise(x, row, C, y, &rest), sum = log_sum(x, row, C);
    const double factor = rest > 0 ? -a * pow(rest, a - 1) * exp(-value) * value - pow(rest, a) : 0;
    for (int64_t c = 0; c < C; c++) put(dx, row + c, scale * factor * (c == y ? rest : -exp(get(x, row + c) - sum)));
}

static double hinge(const cp_tensor *x, int64_t row, int64_t C, int64_t y) {
    double sum = 0;
    for (int64_t c = 0; c < C; c++)
        if (c != y) sum += fmax(0, 1 + get(x, row + c) - get(x, row + y));
    return sum / (double)C;
}

static void hinge_gradient(const cp_tensor *x, int64_t row, int64_t C, int64_t y, double scale, const cp_tensor *dx) {
    int64_t violations = 0;
    for (int64_t c = 0; c < C; c++) {
        const bool violates = c != y && 1 + get(x, row + c) - get(x, row + y) > 0;
        violations += violates;
        put(dx, row + c, violates ? scale / (double)C : 0);
    }
    put(dx, row + y, -scale * (double)violations / (double)C);
}

/* --- both --- */

static bool has_labels(cp_loss kind) {
    return kind == CP_FOCAL || kind == CP_HINGE;
}

static double loss_of_row(cp_loss kind, double a, const cp_tensor *x, int64_t n, int64_t label) {
    const int64_t C = x->shape.dim[1];
    if (label < 0 || label >= C) return NAN;
    return kind == CP_FOCAL ? focal(x, n * C, C, label, a) : hinge(x, n * C, C, label);
}

static double loss_of_element(cp_loss kind, double a, double x, double t) {
    return kind == CP_HUBER ? huber(x - t, a) : binary_cross_entropy(x, t);
}

void cp_ref_loss(cp_loss kind, double a, const cp_tensor *x, const cp_tensor *target, const cp_tensor *loss) {
    const int64_t count = cp_shape_count(target->shape);
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += has_labels(kind) ? loss_of_row(kind, a, x, i, (int64_t)get(target, i))
                                : loss_of_element(kind, a, get(x, i), get(target, i));
    put(loss, 0, count ? sum / (double)count : 0);
}

static void gradient_of_row(cp_loss kind, double a, const cp_tensor *x, int64_t n, int64_t label, double scale,
                            const cp_tensor *dx) {
    const int64_t C = x->shape.dim[1];
    if (label < 0 || label >= C)
        for (int64_t c = 0; c < C; c++) put(dx, n * C + c, NAN);
    else if (kind == CP_FOCAL)
        focal_gradient(x, n * C, C, label, a, scale, dx);
    else
        hinge_gradient(x, n * C, C, label, scale, dx);
}

void cp_ref_loss_gradient(cp_loss kind, double a, const cp_tensor *x, const cp_tensor *target, const cp_tensor *dloss,
                          const cp_tensor *dx) {
    const int64_t count = cp_shape_count(target->shape);
    const double scale = get(dloss, 0) / (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double t = get(target, i);
        if (has_labels(kind))
            gradient_of_row(kind, a, x, i, (int64_t)t, scale, dx);
        else if (kind == CP_HUBER)
            put(dx, i, scale * huber_gradient(get(x, i) - t, a));
        else
            put(dx, i, scale * binary_cross_entropy_gradient(get(x, i), t));
    }
}
