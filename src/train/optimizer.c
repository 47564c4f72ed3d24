/* Optimizers, the gradient's norm and its limit, the moving average of the weights. In f32 the kernels do the work, in
 * f64 the same formulas stand here; the header says where they are from. */
#include "train/train.h"

#include <math.h>
#include <string.h>

enum { PIECE = 1 << 16 };

int64_t cp_optimizer_pieces(int64_t count) {
    return (count + PIECE - 1) / PIECE;
}

/* What the step goes by. */
static const void *gradient_of(const cp_variable *variable) {
    return variable->mean ? variable->mean : variable->gradient;
}

/* What the threads share in one step. */
typedef struct update {
    const cp_trainer *trainer;
    int64_t pieces;
    double rate, v_scale, g_scale; /* as in struct cp_adaptive */
    double plain_rate;             /* without Adam's corrections: what decoupled decay goes by */
    double average;                /* the part of the average that stays */
    double part;                   /* of the mean gradient: this batch's */
    bool mean;                     /* the norm is that of the mean gradient */
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
        const void *gradient = u->mean ? variable->mean : variable->gradient;
        t->sums[i] = t->train.type == CP_F64
                         ? sum_of_squares((const double *)gradient + first, count)
                         : t->context.kernels->sum_of_squares((const float *)gradient + first, count);
    }
}

/* The square of the norm of all gradients. */
static double squared_norm(update *u) {
    const cp_trainer *t = u->trainer;
    double sum = 0;
    cp_threads_run(t->context.threads, sum_share, u);
    for (int64_t i = 0; i < u->pieces; i++) sum += t->sums[i];
    return sum;
}

/* --- the update --- */

/* Decay belongs to the gradient, or is taken from the weight beside the step. */
static bool is_decoupled(const cp_train *train) {
    return train->optimizer == CP_ADAMW || train->optimizer == CP_LION;
}

/* What a number of the weights takes part in. */
typedef struct number {
    double *w, *m, *v, gradient;
} number;

static double sgd(const update *u, const number *x) {
    const cp_train *o = &u->trainer->train;
    const double momentum = (double)o->momentum;
    if (momentum == 0) return u->rate * x->gradient;
    *x->v = momentum * *x->v + x->gradient;
    return u->rate * (o->nesterov ? x->gradient + momentum * *x->v : *x->v);
}

/* What is taken from the weight. */
static double step_double(const update *u, const number *x) {
    const cp_train *o = &u->trainer->train;
    const double beta1 = (double)o->beta1, beta2 = (double)o->beta2, epsilon = (double)o->epsilon, g = x->gradient;
    switch (o->optimizer) {
    case CP_SGD:
        break;
    case CP_ADAM:
    case CP_ADAM_PAPER:
    case CP_ADAMW:
        *x->m += (1 - beta1) * (g - *x->m);
        *x->v += (1 - beta2) * (g * g - *x->v);
        return u->rate * *x->m / (sqrt(*x->v) * u->v_scale + epsilon);
    case CP_RMSPROP:
        *x->v += (1 - beta2) * (g * g - *x->v);
        return u->rate * g / (sqrt(*x->v) + epsilon);
    case CP_ADAGRAD:
        *x->v += g * g;
        return u->rate * g / (sqrt(*x->v) + epsilon);
    case CP_LION: {
        const double ahead = *x->m + (1 - beta1) * (g - *x->m);
        *x->m += (1 - beta2) * (g - *x->m);
        return u->rate * ((ahead > 0) - (ahead < 0));
    }
    }
    return sgd(u, x);
}

static void update_double(const update *u, const cp_variable *variable, int64_t first, int64_t count) {
    double *w = variable->weights, *m = variable->m, *v = variable->v;
    const double *g = gradient_of(variable), decay = (double)variable->decay;
    const bool decoupled = is_decoupled(&u->trainer->train);
    for (int64_t i = first; i < first + count; i++) {
        const double gradient = u->g_scale * g[i] + (decoupled ? 0 : decay * w[i]);
        const double shrink = decoupled ? u->plain_rate * decay * w[i] : 0;
        w[i] -= shrink + step_double(u, &(number){w + i, m ? m + i : NULL, v ? v + i : NULL, gradient});
    }
}

static void update_float(const update *u, const cp_variable *variable, int64_t first, int64_t count) {
    const cp_train *o = &u->trainer->train;
    const cp_kernels *kernels = u->trainer->context.kernels;
    float *w = (float *)variable->weights + first;
    float *m = variable->m ? (float *)variable->m + first : NULL,
          *v = variable->v ? (float *)variable->v + first : NULL;
    const float *g = (const float *)gradient_of(variable) + first;
    const bool decoupled = is_decoupled(o);
    const cp_adaptive adaptive = {.rate = (float)u->rate,
                                  .beta1 = o->beta1,
                                  .beta2 = o->beta2,
                                  .epsilon = o->epsilon,
                                  .v_scale = (float)u->v_scale,
                                  .g_scale = (float)u->g_scale,
                                  .decay = decoupled ? 0 : variable->decay,
                                  .shrink = decoupled ? (float)(u->plain_rate * (double)variable->decay) : 0};
    const cp_sgd descent = {.rate = (float)u->rate,
                            .momentum = o->momentum,
                            .g_scale = (float)u->g_scale,
                            .decay = variable->decay,
                            .nesterov = o->nesterov};
    switch (o->optimizer) {
    case CP_SGD:
        kernels->sgd(&descent, w, g, v, count);
        break;
    case CP_ADAM:
    case CP_ADAM_PAPER:
    case CP_ADAMW:
        kernels->adam(&adaptive, w, g, m, v, count);
        break;
    case CP_RMSPROP:
        kernels->rmsprop(&adaptive, w, g, v, count);
        break;
    case CP_ADAGRAD:
        kernels->adagrad(&adaptive, w, g, v, count);
        break;
    case CP_LION:
        kernels->lion(&adaptive, w, g, m, count);
        break;
    }
}

/* to moves towards from, as far as `part` of the way. */
static void move_towards(cp_type type, void *to, const void *from, double part, int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; i++) {
        if (type == CP_F64)
            ((double *)to)[i] += part * (((const double *)from)[i] - ((double *)to)[i]);
        else
            ((float *)to)[i] += (float)part * (((const float *)from)[i] - ((float *)to)[i]);
    }
}

static void accumulate_share(void *argument, int id, int n) {
    const update *u = argument;
    const cp_type type = u->trainer->train.type;
    int64_t from, to, first, count;
    cp_share(u->pieces, id, n, &from, &to);
    for (int64_t i = from; i < to; i++) {
        const cp_variable *variable = find_piece(u, i, &first, &count);
        const size_t size = (size_t)cp_type_size(type);
        if (u->part == 1) memset((char *)variable->mean + (size_t)first * size, 0, (size_t)count * size);
        move_towards(type, variable->mean, variable->gradient, u->part, first, count);
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
        if (variable->average)
            move_towards(u->trainer->train.type, variable->average, variable->weights, 1 - u->average, first, count);
    }
}

/* The rate of this step, with Adam's corrections of the moments' beginning at zero. */
static void set_rate(update *u) {
    const cp_trainer *t = u->trainer;
    const cp_optimizer optimizer = t->train.optimizer;
    const int64_t step = cp_trainer_steps(t);
    u->plain_rate = u->rate = cp_schedule_rate(&t->train.schedule, (double)t->train.rate, step);
    if (t->train.schedule.kind == CP_PLATEAU) {
        const double factor = t->train.schedule.factor != 0 ? (double)t->train.schedule.factor : 0.1;
        u->rate = u->plain_rate *= pow(factor, (double)t->position.reductions);
    }
    u->v_scale = 1;
    if (optimizer != CP_ADAM && optimizer != CP_ADAM_PAPER && optimizer != CP_ADAMW) return;
    const double m_part = 1 - pow((double)t->train.beta1, (double)(step + 1));
    const double v_part = sqrt(1 - pow((double)t->train.beta2, (double)(step + 1)));
    u->rate /= m_part;
    if (optimizer == CP_ADAM)
        u->rate *= v_part;
    else
        u->v_scale = 1 / v_part;
}

/* A young average must not cling to the first weights. */
static double average_kept(const cp_trainer *t) {
    const double step = (double)cp_trainer_steps(t);
    return fmin((double)t->train.average, (1 + step) / (10 + step));
}

/* Whether the step is due: the gradients of all its batches are there. */
static bool accumulate(cp_trainer *t, update *u, int64_t rows) {
    if (t->train.accumulate == 1) return true;
    u->part = (double)rows / (double)(t->rows + rows);
    cp_threads_run(t->context.threads, accumulate_share, u);
    u->mean = (t->step + 1) % t->train.accumulate == 0;
    t->rows = u->mean ? 0 : t->rows + rows;
    return u->mean;
}

cp_status cp_optimizer_step(cp_trainer *trainer, int64_t rows) {
    update u = {.trainer = trainer, .g_scale = 1, .average = average_kept(trainer)};
    for (int i = 0; i < trainer->n_variables; i++)
        if (trainer->variables[i].trained) u.pieces += cp_optimizer_pieces(trainer->variables[i].count);
    double sum = squared_norm(&u);
    if (!isfinite(sum))
        return cp_fail(CP_E_DIVERGED, "the gradient is not finite at step %lld", (long long)trainer->step + 1);
    if (!accumulate(trainer, &u, rows)) return CP_OK;
    if (u.mean) sum = squared_norm(&u);
    const double norm = sqrt(sum), clip = (double)trainer->train.clip;
    if (clip > 0 && norm > clip) u.g_scale = clip / norm;
    set_rate(&u);
    cp_threads_run(trainer->context.threads, update_share, &u);
    return CP_OK;
}
