/* Optimizers: Adam (Kingma and Ba 2014) in both forms, SGD with momentum (PyTorch's form) and Nesterov's; the
 * gradient's norm and its limit. In f32 the kernels do the work, in f64 the same formulas stand here. */
#include "train/train.h"

#include <math.h>

enum { PIECE = 1 << 16 };

int64_t cp_optimizer_pieces(int64_t count) {
    return (count + PIECE - 1) / PIECE;
}

/* What the threads share in one step. */
typedef struct update {
    const cp_trainer *trainer;
    int64_t pieces;
    double rate, v_scale, g_scale; /* as in struct cp_adam */
} update;

/* Piece number `number` of all variables in their order: which variable, and [*first, *first + *count) of its numbers.
 */
static const cp_variable *find_piece(const update *u, int64_t number, int64_t *first, int64_t *count) {
    const cp_variable *variable = u->trainer->variables;
    for (;; variable++) {
        const int64_t pieces = variable->trained ? cp_optimizer_pieces(variable->count) : 0;
        if (number < pieces) break;
        number -= pieces;
    }
    *first = number * PIECE;
    *count = variable->count - *first < PIECE ? variable->count - *first : PIECE;
    return variable;
}

/* --- the norm --- */

static double sum_of_squares(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sum;
}

static void sum_share(void *argument, int id, int n) {
    const update *u = argument;
    const cp_trainer *t = u->trainer;
    int64_t from, to, first, count;
    cp_share(u->pieces, id, n, &from, &to);
    for (int64_t i = from; i < to; i++) {
        const cp_variable *variable = find_piece(u, i, &first, &count);
        t->sums[i] = t->train.type == CP_F64
                         ? sum_of_squares((const double *)variable->gradient + first, count)
                         : t->context.kernels->sum_of_squares((const float *)variable->gradient + first, count);
    }
}

/* --- the update --- */

static void adam(const update *u, double decay, double *w, const double *g, double *m, double *v, int64_t n) {
    const cp_train *o = &u->trainer->train;
    const double beta1 = (double)o->beta1, beta2 = (double)o->beta2, epsilon = (double)o->epsilon;
    for (int64_t i = 0; i < n; i++) {
        const double gradient = u->g_scale * g[i] + decay * w[i];
        m[i] += (1 - beta1) * (gradient - m[i]);
        v[i] += (1 - beta2) * (gradient * gradient - v[i]);
        w[i] -= u->rate * m[i] / (sqrt(v[i]) * u->v_scale + epsilon);
    }
}

static void sgd(const update *u, double decay, double *w, const double *g, double *v, int64_t n) {
    const cp_train *o = &u->trainer->train;
    const double momentum = (double)o->momentum;
    for (int64_t i = 0; i < n; i++) {
        double gradient = u->g_scale * g[i] + decay * w[i];
        if (momentum != 0) {
            v[i] = momentum * v[i] + gradient;
            gradient = o->nesterov ? gradient + momentum * v[i] : v[i];
        }
        w[i] -= u->rate * gradient;
    }
}

static void update_double(const update *u, const cp_variable *variable, int64_t first, int64_t count) {
    double *w = variable->weights, *g = variable->gradient, *m = variable->m, *v = variable->v;
    if (u->trainer->train.optimizer == CP_SGD)
        sgd(u, (double)variable->decay, w + first, g + first, v ? v + first : NULL, count);
    else
        adam(u, (double)variable->decay, w + first, g + first, m + first, v + first, count);
}

static void update_float(const update *u, const cp_variable *variable, int64_t first, int64_t count) {
    const cp_train *o = &u->trainer->train;
    const cp_kernels *kernels = u->trainer->context.kernels;
    float *w = variable->weights, *g = variable->gradient, *m = variable->m, *v = variable->v;
    if (o->optimizer == CP_SGD) {
        const cp_sgd step = {.rate = (float)u->rate,
                             .momentum = o->momentum,
                             .g_scale = (float)u->g_scale,
                             .decay = variable->decay,
                             .nesterov = o->nesterov};
        kernels->sgd(&step, w + first, g + first, v ? v + first : NULL, count);
    } else {
        const cp_adam step = {.rate = (float)u->rate,
                              .beta1 = o->beta1,
                              .beta2 = o->beta2,
                              .epsilon = o->epsilon,
                              .v_scale = (float)u->v_scale,
                              .g_scale = (float)u->g_scale,
                              .decay = variable->decay};
        kernels->adam(&step, w + first, g + first, m + first, v + first, count);
    }
}

static void update_share(void *argument, int id, int n) {
    const update *u = argument;
    int64_t from, to, first, count;
    cp_share(u->pieces, id, n, &from, &to);
    for (int64_t i = from; i < to; i++) {
        const cp_variable *variable = find_piece(u, i, &first, &count);
        if (u->trainer->train.type == CP_F64)
            update_double(u, variable, first, count);
        else
            update_float(u, variable, first, count);
    }
}

/* The rate of this step, with Adam's corrections of the moments' beginning at zero. */
static void set_rate(update *u) {
    const cp_trainer *t = u->trainer;
    u->rate = cp_schedule_rate(&t->train.schedule, (double)t->train.rate, t->step);
    u->v_scale = 1;
    if (t->train.optimizer == CP_SGD) return;
    const double m_part = 1 - pow((double)t->train.beta1, (double)(t->step + 1));
    const double v_part = sqrt(1 - pow((double)t->train.beta2, (double)(t->step + 1)));
    u->rate /= m_part;
    if (t->train.optimizer == CP_ADAM)
        u->rate *= v_part;
    else
        u->v_scale = 1 / v_part;
}

cp_status cp_optimizer_step(cp_trainer *trainer) {
    update u = {.trainer = trainer, .g_scale = 1};
    for (int i = 0; i < trainer->n_variables; i++)
        if (trainer->variables[i].trained) u.pieces += cp_optimizer_pieces(trainer->variables[i].count);
    cp_threads_run(trainer->context.threads, sum_share, &u);
    double sum = 0;
    for (int64_t i = 0; i < u.pieces; i++) sum += trainer->sums[i];
    if (!isfinite(sum))
        return cp_fail(CP_E_DIVERGED, "the gradient is not finite at step %lld", (long long)trainer->step + 1);
    const double norm = sqrt(sum), clip = (double)trainer->train.clip;
    if (clip > 0 && norm > clip) u.g_scale = clip / norm;
    set_rate(&u);
    cp_threads_run(trainer->context.threads, update_share, &u);
    return CP_OK;
}
