/* Initial weights, schedules, and optimizers against double precision. */
#include "training.h"

/* --- initial weights --- */

/* The deviation of a tensor's numbers from 0, and the largest of them. */
static double deviation(cp_tensor tensor, double *largest) {
    const float *values = tensor.data;
    const int64_t count = cp_shape_count(tensor.shape);
    double sum = 0;
    *largest = 0;
    for (int64_t e = 0; e < count; e++) {
        sum += (double)values[e] * (double)values[e];
        *largest = fmax(*largest, fabs((double)values[e]));
    }
    return sqrt(sum / (double)count);
}

static void initial_weights(void **state) {
    (void)state;
    /* fan_in = 9 * 8 / 2, fan_out = 9 * 16 / 2; transposed 9 * 16 / 4 and 9 * 48 / 4; of the dense layer 768 and 20 */
    static const double in[] = {36, 36, 768}, out[] = {72, 108, 20};
    cp_net *net = new_net(cp_shape_nhwc(0, 4, 4, 8),
                          "conv 16 3x3 same groups 2; conv-transpose 48 3x3 same groups 4; flatten; dense 20", 1);
    double largest;
    for (int i = 0; i < 3; i++) {
        const double limit = sqrt(6 / (in[i] + out[i])), expected = sqrt(2 / in[i]);
        ok(cp_net_initialize(net, CP_GLOROT, 7));
        assert_true(fabs(deviation(cp_net_parameter(net, 2 * i), &largest) / (limit / sqrt(3)) - 1) < 0.05);
        assert_true(largest <= limit * (1 + 1e-6) && largest > 0.98 * limit);
        ok(cp_net_initialize(net, CP_HE, 7));
        assert_true(fabs(deviation(cp_net_parameter(net, 2 * i), &largest) / expected - 1) < 0.07);
        assert_true(largest > 2.5 * expected);
        assert_true(deviation(cp_net_parameter(net, 2 * i + 1), &largest) == 0);
    }
    cp_net *other;
    ok(cp_net_clone(&other, net));
    ok(cp_net_initialize(other, CP_HE, 8));
    assert_false(same_parameters(net, other));
    ok(cp_net_initialize(other, CP_HE, 7));
    assert_true(same_parameters(net, other));
    cp_net *alike = new_net(cp_shape_of(2, (int64_t[]){0, 4}), "dense 4; dense 4", 1);
    assert_memory_not_equal(cp_net_parameter(alike, 0).data, cp_net_parameter(alike, 2).data, 16 * sizeof(float));
    cp_net_free(alike);
    refused(cp_net_initialize(net, (cp_initializer)2, 0), CP_E_ARG, "initializer = 2");
    cp_net_free(net);
    cp_net_free(other);
}

/* --- optimizers --- */

/* The formulas of the papers, number by number. g is the loss's gradient, decay the weight's part of it. */
static void reference_step(const cp_train *o, double *w, double *m, double *v, double g, double decay, double rate,
                           int t) {
    const double beta1 = (double)o->beta1, beta2 = (double)o->beta2, epsilon = (double)o->epsilon;
    const double old = *w;
    const bool decoupled = o->optimizer == CP_ADAMW || o->optimizer == CP_LION;
    if (!decoupled) g += decay * old;
    switch (o->optimizer) {
    case CP_SGD:
        *v = (double)o->momentum * *v + g;
        *w -= rate * (o->nesterov ? g + (double)o->momentum * *v : *v);
        return;
    case CP_RMSPROP:
        *v = beta2 * *v + (1 - beta2) * g * g;
        *w -= rate * g / (sqrt(*v) + epsilon);
        return;
    case CP_ADAGRAD:
        *v += g * g;
        *w -= rate * g / (sqrt(*v) + epsilon);
        return;
    case CP_LION:
        *w -= rate * (copysign(1, beta1 * *m + (1 - beta1) * g) + decay * old);
        *m = beta2 * *m + (1 - beta2) * g;
        return;
    case CP_ADAM:
    case CP_ADAM_PAPER:
    case CP_ADAMW:
        break;
    }
    *m = beta1 * *m + (1 - beta1) * g;
    *v = beta2 * *v + (1 - beta2) * g * g;
    if (o->optimizer == CP_ADAM)
        *w -= rate * sqrt(1 - pow(beta2, t)) / (1 - pow(beta1, t)) * *m / (sqrt(*v) + epsilon);
    else
        *w -= rate * (*m / (1 - pow(beta1, t))) / (sqrt(*v / (1 - pow(beta2, t))) + epsilon);
    if (decoupled) *w -= rate * decay * old;
}

/* A gradient that changes with weight and step, as that of a noisy parabola. */
static double gradient_at(double w, int64_t e, int step) {
    return 0.3 * w + (double)uniform(50, e * 1000 + step);
}

static double get(cp_type type, const void *array, int64_t e) {
    return type == CP_F64 ? ((const double *)array)[e] : (double)((const float *)array)[e];
}

static void put(cp_type type, void *array, int64_t e, double value) {
    if (type == CP_F64)
        ((double *)array)[e] = value;
    else
        ((float *)array)[e] = (float)value;
}

static double norm_of_gradient(const cp_trainer *t) {
    double sum = 0;
    for (int i = 0; i < t->n_variables; i++)
        for (int64_t e = 0; e < t->variables[i].count; e++)
            sum += pow(get(t->train.type, t->variables[i].gradient, e), 2);
    return sqrt(sum);
}

static void compare_with_reference(const cp_train *train) {
    cp_net *net = new_net(cp_shape_nhwc(0, 3, 3, 2), "conv 5 3x3 groups 1; flatten; dense 37", 3);
    cp_trainer *t;
    double *w[4], *m[4], *v[4], *average[4], difference = 0, size = 0;
    ok(cp_trainer_new(&t, net, NULL, train));
    assert_int_equal(t->n_variables, 4);
    for (int i = 0; i < 4; i++) {
        const int64_t count = t->variables[i].count;
        w[i] = calloc((size_t)count * 4, sizeof(double));
        m[i] = w[i] + count;
        v[i] = m[i] + count;
        average[i] = v[i] + count;
        for (int64_t e = 0; e < count; e++) average[i][e] = w[i][e] = get(train->type, t->variables[i].weights, e);
    }
    for (int step = 0; step < 200; step++) {
        for (int i = 0; i < 4; i++)
            for (int64_t e = 0; e < t->variables[i].count; e++)
                put(train->type, t->variables[i].gradient, e, gradient_at(w[i][e], i * 10000 + e, step));
        const double norm = norm_of_gradient(t), clip = (double)train->clip;
        const double scale = clip > 0 && norm > clip ? clip / norm : 1;
        const double rate = cp_schedule_rate(&train->schedule, (double)t->train.rate, step);
        const double kept = fmin((double)train->average, (1 + step) / (10.0 + step));
        for (int i = 0; i < 4; i++)
            for (int64_t e = 0; e < t->variables[i].count; e++) {
                const double decay = i % 2 ? 0 : (double)train->decay; /* biases do not decay */
                const double g = scale * get(train->type, t->variables[i].gradient, e);
                reference_step(&t->train, &w[i][e], &m[i][e], &v[i][e], g, decay, rate, step + 1);
                average[i][e] = kept * average[i][e] + (1 - kept) * w[i][e];
            }
        ok(cp_optimizer_step(t, 1));
        t->step++;
    }
    for (int i = 0; i < 4; i++) {
        for (int64_t e = 0; e < t->variables[i].count; e++) {
            difference += pow(get(train->type, t->variables[i].weights, e) - w[i][e], 2);
            size += w[i][e] * w[i][e];
            if (!t->variables[i].average) continue;
            difference += pow(get(train->type, t->variables[i].average, e) - average[i][e], 2);
            size += average[i][e] * average[i][e];
        }
        free(w[i]);
    }
    const double error = sqrt(difference / size);
    if (!(error <= (train->type == CP_F64 ? 1e-12 : 1e-6)))
        fail_msg("optimizer %d, %s: relative error %g", (int)train->optimizer, cp_type_name(train->type), error);
    cp_trainer_free(t);
    cp_net_free(net);
}

static void optimizers(void **state) {
    (void)state;
    /* The rates of Lion are powers of two, as equal steps make equal rounding errors, which add up. */
    static const cp_train cases[] = {
        {.optimizer = CP_ADAM},
        {.optimizer = CP_ADAM, .rate = 0.01f, .beta1 = 0.8f, .beta2 = 0.99f, .epsilon = 1e-3f, .decay = 0.01f},
        {.optimizer = CP_ADAM_PAPER, .rate = 0.01f, .epsilon = 1e-3f},
        {.optimizer = CP_ADAM_PAPER, .clip = 0.5f, .decay = 0.1f},
        {.optimizer = CP_SGD, .rate = 0.1f},
        {.optimizer = CP_SGD, .rate = 0.05f, .momentum = 0.9f, .decay = 0.01f, .clip = 2},
        {.optimizer = CP_SGD, .rate = 0.05f, .momentum = 0.9f, .nesterov = true, .decay = 0.01f},
        {.optimizer = CP_ADAM, .schedule = {.kind = CP_COSINE, .total = 150, .warmup = 20}},
        {.optimizer = CP_ADAMW, .rate = 0.01f, .epsilon = 1e-3f, .decay = 0.1f},
        {.optimizer = CP_ADAMW, .decay = 0.5f, .clip = 0.5f, .schedule = {.kind = CP_COSINE, .total = 150}},
        {.optimizer = CP_RMSPROP, .epsilon = 1e-3f},
        {.optimizer = CP_RMSPROP, .rate = 0.01f, .beta2 = 0.99f, .epsilon = 1e-3f, .decay = 0.01f, .clip = 2},
        {.optimizer = CP_ADAGRAD, .rate = 0.05f, .epsilon = 1e-4f},
        {.optimizer = CP_ADAGRAD, .rate = 0.05f, .decay = 0.01f, .schedule = {.warmup = 20}},
        {.optimizer = CP_LION, .rate = 0x1p-12f},
        {.optimizer = CP_LION, .rate = 0x1p-10f, .beta1 = 0.8f, .beta2 = 0.9f, .decay = 0.5f, .clip = 3},
        {.optimizer = CP_ADAM, .average = 0.9f},
        {.optimizer = CP_SGD, .rate = 0.1f, .momentum = 0.9f, .average = 0.999f},
        {.optimizer = CP_SGD, .rate = 0.1f, .schedule = {.kind = CP_STEPPED, .every = 50, .factor = 0.3f}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_train train = cases[i];
        compare_with_reference(&train);
        train.type = CP_F64;
        compare_with_reference(&train);
    }
}

/* --- schedules --- */

static void schedules(void **state) {
    (void)state;
    static const struct {
        cp_schedule schedule;
        int64_t step;
        double rate;
    } cases[] = {
        {{.kind = CP_CONSTANT}, 1000000, 0.5},
        {{.kind = CP_CONSTANT, .warmup = 4}, 0, 0.125},
        {{.kind = CP_CONSTANT, .warmup = 4}, 2, 0.375},
        {{.kind = CP_CONSTANT, .warmup = 4}, 3, 0.5},
        {{.kind = CP_STEPPED, .every = 10}, 9, 0.5},
        {{.kind = CP_STEPPED, .every = 10}, 10, 0.05},
        {{.kind = CP_STEPPED, .every = 10}, 35, 0.0005},
        {{.kind = CP_STEPPED, .every = 5, .factor = 0.5f}, 14, 0.125},
        {{.kind = CP_STEPPED, .every = 1, .factor = 0.5f, .warmup = 4}, 1, 0.125},
        {{.kind = CP_COSINE, .total = 100}, 0, 0.5},
        {{.kind = CP_COSINE, .total = 100}, 50, 0.25},
        {{.kind = CP_COSINE, .total = 100}, 25, 0.25 + 0.25 * 0.70710678118654752},
        {{.kind = CP_COSINE, .total = 100}, 100, 0},
        {{.kind = CP_COSINE, .total = 100, .factor = 0.5f}, 50, 0.375},
        {{.kind = CP_COSINE, .total = 100, .factor = 0.5f}, 130, 0.25},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double rate = cp_schedule_rate(&cases[i].schedule, 0.5, cases[i].step);
        if (fabs(rate - cases[i].rate) > 1e-15) fail_msg("schedule %d: %.17g", (int)i, rate);
    }
    assert_true(cp_schedule_rate(NULL, 0.5, 3) == 0.5);
}

/* A rate that was reduced twice is as good as one that was so small from the beginning. */
static void reduced_rates(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        cp_net *net = small_net();
        cp_trainer *reduced, *constant;
        const float factor = i ? 0.5f : 0;
        batch b;
        double loss;
        make_batch(&b, ROWS, 0);
        const cp_train train = {.optimizer = CP_ADAMW,
                                .rate = i ? 0.04f : 1,
                                .decay = 0.5f,
                                .type = i ? CP_F32 : CP_F64,
                                .schedule = {.kind = CP_PLATEAU, .every = 1, .factor = factor}};
        cp_train small = train;
        small.rate = i ? 0.01f : 0.01f * (float)(0.1 * 0.1 / 0.01);
        small.schedule = (cp_schedule){0};
        ok(cp_trainer_new(&reduced, net, NULL, &train));
        ok(cp_trainer_new(&constant, net, NULL, &small));
        reduced->position.reductions = 2;
        for (int step = 0; step < 3; step++) {
            ok(cp_trainer_step(reduced, i ? &b.x : &b.x_double, &b.labels, &loss, NULL));
            ok(cp_trainer_step(constant, i ? &b.x : &b.x_double, &b.labels, &loss, NULL));
        }
        double difference = 0;
        for (int64_t e = 0; e < reduced->variables[0].count; e++)
            difference = fmax(difference, fabs(get(train.type, reduced->variables[0].weights, e) -
                                               get(train.type, constant->variables[0].weights, e)));
        assert_true(difference < 1e-7);
        cp_trainer_free(reduced);
        cp_trainer_free(constant);
        cp_net_free(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_weights),
        cmocka_unit_test(optimizers),
        cmocka_unit_test(schedules),
        cmocka_unit_test(reduced_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
