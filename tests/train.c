/* Training: initial weights, schedules, optimizers against double precision, steps and epochs, checkpoints to the same
 * bits; models in files, good and corrupted. */
#include "train/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* --- the library's memory, which may be refused --- */

static int allocations_left = -1; /* -1: as many as wanted */

/* In place of the C library's, for the whole program. */
void *aligned_alloc(size_t alignment, size_t size) {
    void *memory;
    if (allocations_left == 0) return NULL;
    if (allocations_left > 0) allocations_left--;
    return posix_memalign(&memory, alignment, size) ? NULL : memory;
}

/* --- helpers --- */

#define ok(call) assert_int_equal_text((call), CP_OK)
#define assert_int_equal_text(got, expected)                                                                           \
    do {                                                                                                               \
        const int got_status = (got);                                                                                  \
        if (got_status != (expected)) fail_msg("%s: %d: %s", #got, got_status, cp_error());                            \
    } while (0)
/* A call that fails with this status, and a sentence that holds this text. */
#define refused(call, expected, text)                                                                                  \
    do {                                                                                                               \
        assert_int_equal_text((call), expected);                                                                       \
        if (!strstr(cp_error(), text)) fail_msg("%s: \"%s\" has no \"%s\"", #call, cp_error(), text);                  \
    } while (0)

static char path_a[64], path_b[64];

static int make_paths(void **state) {
    (void)state;
    static char folder[] = "/tmp/convpool-train-XXXXXX";
    if (!mkdtemp(folder)) return -1;
    snprintf(path_a, sizeof path_a, "%s/a", folder);
    snprintf(path_b, sizeof path_b, "%s/b", folder);
    return 0;
}

static int remove_paths(void **state) {
    (void)state;
    unlink(path_a);
    unlink(path_b);
    *strrchr(path_a, '/') = 0;
    return rmdir(path_a);
}

static float uniform(uint32_t stream, int64_t i) {
    const cp_random_key key = {.seed = 9, .stream = stream};
    return 2 * cp_random_uniform(&key, (uint64_t)i) - 1;
}

static cp_net *new_net(cp_shape shape, const char *text, uint64_t seed) {
    cp_net *net;
    ok(cp_net_new(&net));
    const cp_node x = cp_net_input(net, "image", CP_F32, shape);
    cp_net_output(net, cp_net_parse(net, x, text), "logits");
    const char *error;
    if (cp_net_error(net, &error)) fail_msg("%s", error);
    ok(cp_net_initialize(net, CP_GLOROT, seed));
    return net;
}

/* PARAMETER of a net by name. */
static const float *parameter(const cp_net *net, const char *name) {
    for (int i = 0; i < cp_net_parameters(net); i++)
        if (!strcmp(cp_net_parameter_name(net, i), name)) return cp_net_parameter(net, i).data;
    fail_msg("no parameter '%s'", name);
    return NULL;
}

static const char digits_text[] =
    "conv 6 5x5 stride 2 same relu; pool 2; flatten; dropout 0.2; dense 20 relu; dropout 0.3; dense 10";

static cp_net *digits_net(void) {
    return new_net(cp_shape_nhwc(0, 28, 28, 1), digits_text, 1);
}

static bool same_parameters(const cp_net *a, const cp_net *b) {
    bool same = cp_net_parameters(a) == cp_net_parameters(b);
    for (int i = 0; same && i < cp_net_parameters(a); i++) {
        const cp_tensor p = cp_net_parameter(a, i), q = cp_net_parameter(b, i);
        same = !strcmp(cp_net_parameter_name(a, i), cp_net_parameter_name(b, i)) && cp_shape_same(p.shape, q.shape) &&
               !memcmp(p.data, q.data, (size_t)cp_shape_count(p.shape) * sizeof(float));
    }
    return same;
}

/* The trainer's parameters as they are now. */
static cp_net *exported(const cp_trainer *trainer) {
    cp_net *net;
    ok(cp_net_clone(&net, trainer->net));
    ok(cp_trainer_export(trainer, net));
    return net;
}

static bool trained_alike(const cp_trainer *a, const cp_trainer *b) {
    cp_net *net_a = exported(a), *net_b = exported(b);
    const bool same = same_parameters(net_a, net_b);
    cp_net_free(net_a);
    cp_net_free(net_b);
    return same;
}

static bool same_files(const char *a, const char *b) {
    uint8_t *bytes_a, *bytes_b;
    int64_t length_a, length_b;
    ok(cp_file_read(a, 1 << 30, &bytes_a, &length_a));
    ok(cp_file_read(b, 1 << 30, &bytes_b, &length_b));
    const bool same = length_a == length_b && !memcmp(bytes_a, bytes_b, (size_t)length_a);
    cp_free(NULL, bytes_a);
    cp_free(NULL, bytes_b);
    return same;
}

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

/* --- steps --- */

enum { ROWS = 6, CLASSES = 3 };
static const char small_text[] = "conv 4 3x3 same relu; pool 2; flatten; dropout 0.3; dense 3";

typedef struct batch {
    float values[ROWS * 4 * 4 * 2];
    double doubles[ROWS * 4 * 4 * 2];
    int32_t number[ROWS];
    cp_tensor x, x_double, labels;
} batch;

/* Rows that can be told apart: the label shows in the first pixels. */
static void make_batch(batch *b, int64_t rows, uint32_t stream) {
    for (int64_t e = 0; e < ROWS * 32; e++) b->values[e] = uniform(stream, e);
    for (int64_t r = 0; r < ROWS; r++) {
        b->number[r] = (int32_t)((r + stream) % CLASSES);
        b->values[r * 32 + b->number[r]] += 2;
    }
    for (int64_t e = 0; e < ROWS * 32; e++) b->doubles[e] = (double)b->values[e];
    b->x = cp_nhwc(b->values, rows, 4, 4, 2);
    b->x_double = cp_view(b->doubles, CP_F64, b->x.shape);
    b->labels = cp_view(b->number, CP_I32, cp_shape_of(1, &rows));
}

static cp_net *small_net(void) {
    return new_net(cp_shape_nhwc(0, 4, 4, 2), small_text, 2);
}

/* In single precision the loss goes the way that it goes in double. */
static void single_follows_double(void **state) {
    (void)state;
    cp_net *net = small_net();
    cp_trainer *single, *twice;
    ok(cp_trainer_new(&single, net, NULL, &(cp_train){.rate = 0.01f, .seed = 4}));
    ok(cp_trainer_new(&twice, net, NULL, &(cp_train){.rate = 0.01f, .seed = 4, .type = CP_F64}));
    double first = 0, last = 0;
    for (int step = 0; step < 100; step++) {
        batch b;
        double loss, loss_double;
        int64_t correct, correct_double;
        make_batch(&b, step % 3 ? ROWS : ROWS - 1, (uint32_t)step % 5);
        ok(cp_trainer_step(single, &b.x, &b.labels, &loss, &correct));
        ok(cp_trainer_step(twice, &b.x_double, &b.labels, &loss_double, &correct_double));
        assert_true(fabs(loss - loss_double) <= 1e-3 * loss_double);
        assert_int_equal(correct, correct_double);
        if (step < 5) first += loss_double;
        last = step < 95 ? 0 : last + loss_double;
    }
    assert_true(last < 0.5 * first);
    assert_int_equal(cp_trainer_steps(single), 100);
    cp_trainer_free(single);
    cp_trainer_free(twice);
    cp_net_free(net);
}

/* Loss and number of right answers are those of the outputs; a channels-first view of the same pictures, too. */
static void losses_and_answers(void **state) {
    (void)state;
    cp_net *net = new_net(cp_shape_nhwc(0, 1, 2, 2), "flatten; dense 2", 1);
    memcpy(cp_net_parameter(net, 0).data, (float[]){1, 0, 0, 0, 0, 1, 0, 0}, 8 * sizeof(float));
    const float nhwc[] = {1, 9, 2, 9, 3, 9, 3, 9, 5, 9, 0, 9}, nchw[] = {1, 2, 9, 9, 3, 3, 9, 9, 5, 0, 9, 9};
    const int32_t labels[] = {1, 0, 1};
    const int64_t rows = 3;
    /* logits (1,2), (3,3), (5,0): the first two answers are right, of equals the first */
    const double expected = (log1p(exp(-1)) + log(2) + log1p(exp(5))) / 3;
    const cp_tensor y = cp_view(labels, CP_I32, cp_shape_of(1, &rows));
    for (int order = 0; order < 2; order++) {
        cp_trainer *t;
        double loss;
        int64_t correct;
        const cp_tensor x = order ? cp_nchw(nchw, 3, 2, 1, 2) : cp_nhwc(nhwc, 3, 1, 2, 2);
        ok(cp_trainer_new(&t, net, NULL, NULL));
        ok(cp_trainer_step(t, &x, &y, &loss, &correct));
        assert_true(fabs(loss - expected) < 1e-6);
        assert_int_equal(correct, 2);
        cp_trainer_free(t);
    }
    cp_net_free(net);
}

/* Least squares: the loss is that before the step, and falls to the one that the data leaves. */
static void squared_error(void **state) {
    (void)state;
    cp_net *net = new_net(cp_shape_of(2, (int64_t[]){0, 1}), "dense 1", 1);
    *(float *)cp_net_parameter(net, 0).data = 1;
    const float x[] = {-1, 0, 1}, target[] = {-3, 1, 5}; /* 4 x + 1 */
    const cp_tensor in = cp_mat(x, 3, 1), out = cp_mat(target, 3, 1);
    cp_trainer *t;
    double loss;
    int64_t correct = -1;
    ok(cp_trainer_new(&t, net, NULL, &(cp_train){.optimizer = CP_SGD, .rate = 0.3f, .loss = CP_MEAN_SQUARED_ERROR}));
    ok(cp_trainer_step(t, &in, &out, &loss, &correct));
    assert_true(fabs(loss - (4.0 + 1 + 16) / 3) < 1e-6);
    assert_int_equal(correct, 0);
    for (int i = 0; i < 60; i++) ok(cp_trainer_step(t, &in, &out, &loss, NULL));
    ok(cp_trainer_export(t, net));
    assert_true(loss < 1e-9);
    assert_float_equal(*(float *)cp_net_parameter(net, 0).data, 4, 1e-4);
    assert_float_equal(*(float *)cp_net_parameter(net, 1).data, 1, 1e-4);
    cp_trainer_free(t);
    cp_net_free(net);
}

/* What the loss does not depend on stays as it is, weight decay or not. */
static void parameters_without_gradient(void **state) {
    (void)state;
    cp_net *net = small_net(), *after;
    const cp_node x = cp_net_input_node(net, 0);
    cp_net_output(net, cp_net_dense(net, cp_net_flatten(net, x), 2, CP_LINEAR), "unused");
    ok(cp_net_initialize(net, CP_GLOROT, 1));
    cp_trainer *t;
    double loss;
    batch b;
    make_batch(&b, ROWS, 0);
    ok(cp_trainer_new(&t, net, NULL, &(cp_train){.decay = 0.1f}));
    for (int i = 0; i < 3; i++) ok(cp_trainer_step(t, &b.x, &b.labels, &loss, NULL));
    after = exported(t);
    for (int i = 0; i < 6; i++) {
        const cp_tensor p = cp_net_parameter(net, i), q = cp_net_parameter(after, i);
        const bool same = !memcmp(p.data, q.data, (size_t)cp_shape_count(p.shape) * sizeof(float));
        assert_int_equal(same, i >= 4);
    }
    cp_net_free(after);
    cp_trainer_free(t);
    cp_net_free(net);
}

static void divergence_changes_nothing(void **state) {
    (void)state;
    cp_net *net = small_net();
    cp_trainer *t;
    double loss;
    batch b;
    make_batch(&b, ROWS, 0);
    ok(cp_trainer_new(&t, net, NULL, NULL));
    ok(cp_trainer_step(t, &b.x, &b.labels, &loss, NULL));
    cp_net *before = exported(t);
    b.values[40] = NAN;
    refused(cp_trainer_step(t, &b.x, &b.labels, &loss, NULL), CP_E_DIVERGED, "loss is not finite at step 2");
    cp_net *after = exported(t);
    assert_true(same_parameters(before, after));
    assert_int_equal(cp_trainer_steps(t), 1);
    b.values[40] = 0;
    ok(cp_trainer_step(t, &b.x, &b.labels, &loss, NULL));
    assert_int_equal(cp_trainer_steps(t), 2);
    cp_net_free(before);
    cp_net_free(after);
    cp_trainer_free(t);
    cp_net_free(net);

    /* A finite loss, whose gradient is 2 * 1e10 * 1e30. */
    net = new_net(cp_shape_of(2, (int64_t[]){0, 1}), "dense 1", 1);
    *(float *)cp_net_parameter(net, 0).data = 0;
    const float x = 1e30f, target = -1e10f;
    const cp_tensor in = cp_mat(&x, 1, 1), out = cp_mat(&target, 1, 1);
    ok(cp_trainer_new(&t, net, NULL, &(cp_train){.loss = CP_MEAN_SQUARED_ERROR}));
    refused(cp_trainer_step(t, &in, &out, &loss, NULL), CP_E_DIVERGED, "gradient is not finite at step 1");
    after = exported(t);
    assert_true(same_parameters(net, after));
    cp_net_free(after);
    cp_trainer_free(t);
    cp_net_free(net);
}

/* The same bits for every number of threads, also when small batches come between. */
static void threads_do_not_matter(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 3, 7};
    cp_net *net = digits_net();
    cp_data *data;
    cp_trainer *first = NULL;
    cp_ctx *contexts[4];
    ok(cp_data_digits(&data, 70, 3));
    for (int i = 0; i < 4; i++) {
        cp_trainer *t;
        ok(cp_ctx_new(&contexts[i], &(cp_options){.threads = threads[i]}));
        ok(cp_trainer_new(&t, net, contexts[i], &(cp_train){.clip = 0.5f, .decay = 1e-3f, .seed = 1}));
        ok(cp_trainer_fit(t, data, &(cp_fit){.epochs = 3, .batch = 32}));
        assert_int_equal(cp_trainer_steps(t), 9);
        if (first) assert_true(trained_alike(first, t));
        if (!first)
            first = t;
        else
            cp_trainer_free(t);
    }
    cp_trainer_free(first);
    for (int i = 0; i < 4; i++) cp_ctx_free(contexts[i]);
    cp_data_free(data);
    cp_net_free(net);
}

/* What is dropped depends on the seed and the step alone. The rate is too small to change anything. */
static void dropout_is_drawn_anew(void **state) {
    (void)state;
    enum { STEPS = 4 };
    cp_net *net = small_net();
    batch b;
    double loss[3][STEPS];
    make_batch(&b, ROWS, 0);
    for (int i = 0; i < 3; i++) {
        cp_trainer *t;
        ok(cp_trainer_new(&t, net, NULL, &(cp_train){.optimizer = CP_SGD, .rate = 1e-30f, .seed = i < 2 ? 1 : 2}));
        for (int step = 0; step < STEPS; step++) ok(cp_trainer_step(t, &b.x, &b.labels, &loss[i][step], NULL));
        cp_trainer_free(t);
    }
    assert_memory_equal(loss[0], loss[1], sizeof loss[0]);
    for (int step = 0; step < STEPS; step++) {
        assert_true(loss[0][step] != loss[2][step]);
        for (int other = 0; other < step; other++) assert_true(loss[0][step] != loss[0][other]);
    }
    cp_net_free(net);
}

/* Two batch sizes in turn are planned once each. */
static void plans_are_kept(void **state) {
    (void)state;
    cp_net *net = small_net();
    cp_trainer *t;
    batch large, small;
    double loss;
    make_batch(&large, ROWS, 0);
    make_batch(&small, 2, 1);
    ok(cp_trainer_new(&t, net, NULL, NULL));
    assert_null(cp_trainer_plan(t));
    ok(cp_trainer_step(t, &large.x, &large.labels, &loss, NULL));
    const cp_plan *plan = cp_trainer_plan(t);
    cp_work_time(cp_trainer_work(t), true);
    ok(cp_trainer_step(t, &small.x, &small.labels, &loss, NULL));
    const cp_plan *other = cp_trainer_plan(t);
    assert_true(plan != other && cp_trainer_update_seconds(t) == 0);
    for (int i = 0; i < 3; i++) {
        ok(cp_trainer_step(t, &large.x, &large.labels, &loss, NULL));
        assert_true(cp_trainer_plan(t) == plan && cp_trainer_update_seconds(t) > 0);
        ok(cp_trainer_step(t, &small.x, &small.labels, &loss, NULL));
        assert_true(cp_trainer_plan(t) == other);
    }
    cp_trainer_free(t);
    cp_net_free(net);
}

static void bad_steps(void **state) {
    (void)state;
    cp_net *net = small_net(), *other = digits_net();
    cp_trainer *t;
    batch b;
    double loss;
    make_batch(&b, ROWS, 0);
    ok(cp_trainer_new(&t, net, NULL, NULL));
    const cp_tensor wide = cp_nhwc(b.values, ROWS, 4, 2, 4), none = cp_nhwc(b.values, 0, 4, 4, 2);
    const cp_tensor few = cp_view(b.number, CP_I32, cp_shape_of(1, (int64_t[]){ROWS - 1}));
    refused(cp_trainer_step(t, &wide, &b.labels, &loss, NULL), CP_E_SHAPE, "6x4x2x4");
    refused(cp_trainer_step(t, &none, &b.labels, &loss, NULL), CP_E_SHAPE, "empty");
    refused(cp_trainer_step(t, &b.x, &few, &loss, NULL), CP_E_SHAPE, "6 rows");
    refused(cp_trainer_step(t, &b.x_double, &b.labels, &loss, NULL), CP_E_ARG, "f64");
    refused(cp_trainer_step(t, &b.x, &b.x, &loss, NULL), CP_E_ARG, "i32");
    refused(cp_trainer_step(t, NULL, &b.labels, &loss, NULL), CP_E_ARG, "NULL");
    refused(cp_trainer_step(t, &b.x, &b.labels, NULL, NULL), CP_E_ARG, "NULL");
    b.number[4] = CLASSES;
    refused(cp_trainer_step(t, &b.x, &b.labels, &loss, NULL), CP_E_ARG, "label 3 at 4: the model has 3 classes");
    b.number[4] = -1;
    refused(cp_trainer_step(t, &b.x, &b.labels, &loss, NULL), CP_E_ARG, "label -1 at 4");
    assert_int_equal(cp_trainer_steps(t), 0);
    refused(cp_trainer_export(t, other), CP_E_ARG, "4 parameters, the net 6");
    cp_net_free(other);
    other = new_net(cp_shape_nhwc(0, 4, 4, 2), "conv 4 3x2 same relu; pool 2; flatten; dense 3", 2);
    refused(cp_trainer_export(t, other), CP_E_ARG, "'conv1.weight' 3x3x2x4 where");
    cp_trainer_free(t);
    cp_net_free(net);
    cp_net_free(other);
}

static void bad_options(void **state) {
    (void)state;
    static const float with_zero[] = {1, 0, 1}, ones[] = {1, 1, 1};
    static const struct {
        cp_train train;
        const char *text;
    } cases[] = {
        {{.optimizer = (cp_optimizer)7}, "optimizer = 7"},
        {{.loss = (cp_loss)6}, "loss = 6"},
        {{.smoothing = 1}, "smoothing = 1"},
        {{.smoothing = 0.1f, .loss = CP_HINGE}, "smoothing is for the softmax cross-entropy"},
        {{.class_weights = with_zero}, "class_weights[1] = 0: must be a number above 0"},
        {{.class_weights = ones, .loss = CP_HINGE}, "class_weights are for the softmax"},
        {{.loss = CP_FOCAL, .gamma = -1}, "gamma = -1"},
        {{.loss = CP_HUBER, .delta = NAN}, "delta = nan"},
        {{.accumulate = -1}, "accumulate = -1"},
        {{.patience = -1}, "patience = -1"},
        {{.average = 1}, "average = 1"},
        {{.type = CP_I32}, "type = i32"},
        {{.rate = -1}, "rate = -1"},
        {{.rate = NAN}, "rate = nan"},
        {{.rate = INFINITY}, "rate = inf"},
        {{.beta1 = 1}, "beta1 = 1"},
        {{.beta2 = 1.5f}, "beta2 = 1.5"},
        {{.epsilon = -1e-8f}, "epsilon = -"},
        {{.momentum = 1}, "momentum = 1"},
        {{.decay = NAN}, "decay = nan"},
        {{.clip = -2}, "clip = -2"},
        {{.nesterov = true}, "nesterov"},
        {{.schedule = {.kind = (cp_schedule_kind)4}}, "schedule = 4"},
        {{.schedule = {.kind = CP_PLATEAU}}, "schedule.every = 0"},
        {{.schedule = {.kind = CP_STEPPED}}, "schedule.every = 0"},
        {{.schedule = {.kind = CP_COSINE, .total = -5}}, "schedule.total = -5"},
        {{.schedule = {.warmup = -1}}, "schedule.warmup = -1"},
        {{.schedule = {.factor = -1}}, "schedule.factor = -1"},
        {{.reserved = {0, 1}}, "reserved"},
    };
    cp_net *net = small_net(), *bad;
    cp_trainer *t;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t = (cp_trainer *)&t;
        refused(cp_trainer_new(&t, net, NULL, &cases[i].train), CP_E_ARG, cases[i].text);
        assert_null(t);
    }
    refused(cp_trainer_new(&t, NULL, NULL, NULL), CP_E_ARG, "NULL");
    cp_net_input(net, "more", CP_F32, cp_shape_nhwc(0, 1, 1, 1));
    refused(cp_trainer_new(&t, net, NULL, NULL), CP_E_ARG, "2 inputs");
    cp_net_free(net);

    bad = new_net(cp_shape_nhwc(0, 4, 4, 2), "flatten", 1);
    refused(cp_trainer_new(&t, bad, NULL, NULL), CP_E_ARG, "no parameters");
    cp_net_free(bad);
    bad = new_net(cp_shape_nhwc(0, 4, 4, 2), "conv 3 3x3", 1);
    refused(cp_trainer_new(&t, bad, NULL, NULL), CP_E_SHAPE, "2 dimensions");
    cp_net_free(bad);
    ok(cp_net_new(&bad));
    cp_net_parse(bad, cp_net_input(bad, "x", CP_F32, cp_shape_nhwc(0, 4, 4, 2)), "conv zero");
    refused(cp_trainer_new(&t, bad, NULL, NULL), CP_E_ARG, "zero");
    cp_net_free(bad);
}

/* --- epochs --- */

/* What a fit told, and when it is to stop. */
typedef struct diary {
    int calls, stop_at; /* the call that says stop; 0: none */
    int ends;
    double loss[64];
    cp_progress last;
} diary;

static bool note_progress(void *user, const cp_progress *progress) {
    diary *d = user;
    assert_true(d->calls < 64);
    d->loss[d->calls++] = progress->loss;
    d->ends += progress->epoch_end;
    d->last = *progress;
    return d->calls != d->stop_at;
}

static void epochs_are_told(void **state) {
    (void)state;
    cp_net *net = digits_net();
    cp_data *data, *validation;
    cp_trainer *t;
    diary d = {0};
    ok(cp_data_digits(&data, 50, 1));
    ok(cp_data_digits(&validation, 30, 2));
    ok(cp_trainer_new(&t, net, NULL, NULL));
    ok(cp_trainer_fit(t, data, &(cp_fit){.epochs = 2, .batch = 20, .progress = note_progress, .user = &d}));
    assert_int_equal(d.calls, 8); /* 20, 20 and 10 pictures, and the end, twice */
    assert_int_equal(d.ends, 2);
    assert_int_equal(cp_trainer_steps(t), 6);
    assert_true(d.last.epoch == 2 && d.last.epochs == 2 && d.last.step == 3 && d.last.steps == 3);
    assert_true(isnan(d.last.val_loss) && isnan(d.last.val_accuracy));
    assert_true(d.last.best == (d.loss[7] < d.loss[3]));

    /* Nothing is left of two epochs; a third one can follow, validated. */
    ok(cp_trainer_fit(t, data, &(cp_fit){.epochs = 2, .batch = 20, .progress = note_progress, .user = &d}));
    assert_int_equal(d.calls, 8);
    ok(cp_trainer_fit(
        t, data, &(cp_fit){.epochs = 3, .batch = 20, .validation = validation, .progress = note_progress, .user = &d}));
    assert_int_equal(d.calls, 12);
    cp_score score;
    cp_net *after = exported(t);
    ok(cp_net_evaluate(after, NULL, validation, &score, NULL));
    assert_true(d.last.val_loss == score.loss && d.last.val_accuracy == (double)score.correct / 30);
    cp_net_free(after);
    cp_trainer_free(t);
    cp_data_free(data);
    cp_data_free(validation);
    cp_net_free(net);
}

/* Each epoch shows every picture once, in another order; its mean loss is that of the data. Nothing is learned. */
static void epochs_see_everything(void **state) {
    (void)state;
    cp_net *net = new_net(cp_shape_nhwc(0, 28, 28, 1), "flatten; dense 10", 1);
    cp_data *data;
    cp_trainer *t;
    cp_score score;
    diary d = {0};
    ok(cp_data_digits(&data, 10, 1));
    ok(cp_net_evaluate(net, NULL, data, &score, NULL));
    ok(cp_trainer_new(&t, net, NULL, &(cp_train){.optimizer = CP_SGD, .rate = 1e-30f}));
    ok(cp_trainer_fit(t, data, &(cp_fit){.epochs = 2, .batch = 4, .progress = note_progress, .user = &d}));
    assert_int_equal(d.calls, 8);
    assert_true(d.loss[0] != d.loss[4] && d.loss[1] != d.loss[5]);
    for (int epoch = 0; epoch < 2; epoch++) assert_true(fabs(d.loss[4 * epoch + 3] - score.loss) < 1e-6);
    assert_true(d.last.accuracy == (double)score.correct / 10);
    cp_trainer_free(t);
    cp_data_free(data);
    cp_net_free(net);
}

/* Changes the rate from epoch to epoch, so that the loss of the third falls but stays above the best. */
static bool steer(void *user, const cp_progress *progress) {
    static const bool best[] = {true, false, false, true};
    cp_trainer *t = user;
    static double loss[4];
    if (!progress->epoch_end) return true;
    loss[progress->epoch - 1] = progress->loss;
    assert_int_equal(progress->best, best[progress->epoch - 1]);
    const float direction[] = {0.5f, 2, 1, 1}; /* of the step in the next epoch; that of the first went up */
    t->train.rate = direction[progress->epoch - 1] * 1e-2f;
    if (progress->epoch == 4) assert_true(loss[1] > loss[2] && loss[2] > loss[0] && loss[0] > loss[3]);
    return true;
}

static void best_epochs(void **state) {
    (void)state;
    cp_net *net = new_net(cp_shape_nhwc(0, 28, 28, 1), "flatten; dense 10", 1);
    cp_data *data;
    cp_trainer *t;
    ok(cp_data_digits(&data, 10, 1));
    ok(cp_trainer_new(&t, net, NULL, &(cp_train){.optimizer = CP_SGD}));
    t->train.rate = -1e-2f;
    ok(cp_trainer_fit(t, data, &(cp_fit){.epochs = 4, .batch = 10, .progress = steer, .user = t}));
    cp_trainer_free(t);
    cp_data_free(data);
    cp_net_free(net);
}

/* --- what epochs decide --- */

typedef struct ending {
    int epochs, last; /* told of; the one that was told to be the last */
} ending;

static bool note_ending(void *user, const cp_progress *progress) {
    ending *e = user;
    if (!progress->epoch_end) {
        assert_false(progress->last);
        return true;
    }
    e->epochs++;
    if (progress->last) e->last = progress->epoch;
    return true;
}

/* With steps that are too small to change an answer the first epoch stays the best. */
static void epochs_without_improvement(void **state) {
    (void)state;
    cp_net *net = new_net(cp_shape_nhwc(0, 28, 28, 1), "flatten; dense 10", 1);
    cp_data *data;
    cp_trainer *t;
    ok(cp_data_digits(&data, 20, 1));
    cp_train train = {.optimizer = CP_SGD, .rate = 1e-12f, .patience = 3};
    ending told = {0};
    cp_fit fit = {.epochs = 7, .batch = 10, .validation = data, .progress = note_ending, .user = &told};
    ok(cp_trainer_new(&t, net, NULL, &train));
    ok(cp_trainer_fit(t, data, &fit));
    assert_int_equal(told.epochs, 4);
    assert_int_equal(told.last, 4);
    ok(cp_trainer_fit(t, data, &fit)); /* it is done */
    assert_int_equal(told.epochs, 4);
    cp_trainer_free(t);

    train = (cp_train){.optimizer = CP_SGD, .rate = 1e-12f, .schedule = {.kind = CP_PLATEAU, .every = 2}};
    static const int64_t reductions[] = {0, 0, 0, 1, 1, 2, 2, 3};
    told = (ending){0};
    ok(cp_trainer_new(&t, net, NULL, &train));
    for (fit.epochs = 1; fit.epochs <= 7; fit.epochs++) {
        ok(cp_trainer_fit(t, data, &fit));
        assert_int_equal(t->position.reductions, reductions[fit.epochs]);
        assert_int_equal(t->position.stale, fit.epochs - 1);
        assert_int_equal(told.last, fit.epochs);
    }
    cp_trainer_free(t);
    cp_data_free(data);
    cp_net_free(net);
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

/* --- several batches, one step --- */

/* Batches of 4 and 2 rows are as good as one of 6. */
static void batches_are_accumulated(void **state) {
    (void)state;
    for (cp_type type = CP_F32; type <= CP_F64; type++) {
        cp_net *net = new_net(cp_shape_nhwc(0, 4, 4, 2), "conv 4 3x3 same relu; pool 2; flatten; dense 3", 2);
        cp_net *before;
        cp_trainer *whole, *parts;
        const cp_train train = {.rate = 0.01f, .clip = 0.5f, .type = type};
        cp_train two = train;
        two.accumulate = 2;
        ok(cp_trainer_new(&whole, net, NULL, &train));
        ok(cp_trainer_new(&parts, net, NULL, &two));
        for (int step = 0; step < 3; step++) {
            batch b;
            double loss;
            make_batch(&b, ROWS, (uint32_t)step);
            const cp_tensor *all = type == CP_F64 ? &b.x_double : &b.x;
            cp_tensor x = *all, labels = b.labels;
            ok(cp_trainer_step(whole, all, &b.labels, &loss, NULL));
            before = exported(parts);
            x.shape.dim[0] = labels.shape.dim[0] = 4;
            ok(cp_trainer_step(parts, &x, &labels, &loss, NULL));
            cp_net *between = exported(parts);
            assert_true(same_parameters(before, between));
            assert_int_equal(cp_trainer_steps(parts), step);
            x.data = (char *)x.data + 4 * 32 * cp_type_size(type);
            labels.data = b.number + 4;
            x.shape.dim[0] = labels.shape.dim[0] = 2;
            ok(cp_trainer_step(parts, &x, &labels, &loss, NULL));
            assert_int_equal(cp_trainer_steps(parts), step + 1);
            cp_net_free(before);
            cp_net_free(between);
        }
        cp_net *a = exported(whole), *b = exported(parts);
        for (int i = 0; i < cp_net_parameters(a); i++) {
            const cp_tensor p = cp_net_parameter(a, i), q = cp_net_parameter(b, i);
            for (int64_t e = 0; e < cp_shape_count(p.shape); e++)
                assert_true(fabs(cp_get(&p, e) - cp_get(&q, e)) < (type == CP_F64 ? 1e-7 : 1e-5));
        }
        cp_net_free(a);
        cp_net_free(b);
        cp_net_free(net);
        cp_trainer_free(whole);
        cp_trainer_free(parts);
    }
}

/* --- losses --- */

/* Every loss teaches the digits; those of values see rows of 0 with a 1. */
static void losses_are_trained(void **state) {
    (void)state;
    cp_net *net = new_net(cp_shape_nhwc(0, 28, 28, 1), "conv 4 5x5 stride 3 same relu; flatten; dense 10", 1);
    cp_data *data;
    cp_score score;
    ok(cp_data_digits(&data, 200, 1));
    for (cp_loss loss = CP_SOFTMAX_CROSS_ENTROPY; loss <= CP_HUBER; loss++) {
        cp_trainer *t;
        cp_train train = {.loss = loss, .rate = 5e-3f, .average = 0.5f};
        if (loss == CP_SOFTMAX_CROSS_ENTROPY) train.smoothing = 0.1f;
        if (loss == CP_BINARY_CROSS_ENTROPY) train.type = CP_F64;
        ok(cp_trainer_new(&t, net, NULL, &train));
        ok(cp_trainer_fit(t, data, &(cp_fit){.epochs = 5, .batch = 20}));
        cp_net *after = exported(t);
        ok(cp_net_evaluate(after, NULL, data, &score, NULL));
        if (score.correct < 120) fail_msg("loss %d: %d right of 200", (int)loss, (int)score.correct);
        if (fabs(-t->position.best) > 2) fail_msg("loss %d: %g", (int)loss, t->position.best);
        cp_net_free(after);
        cp_trainer_free(t);
    }
    cp_data_free(data);
    cp_net_free(net);
}

/* The loss that a step tells, of outputs that are all 0. */
static void losses_of_nothing(void **state) {
    (void)state;
    static const float growing[] = {1, 10, 100}, last_heavy[] = {1, 1, 10};
    static const struct {
        cp_train train;
        double loss;
    } cases[] = {
        {{.loss = CP_SOFTMAX_CROSS_ENTROPY, .smoothing = 0.3f}, 1.0986122886681098},
        {{.loss = CP_FOCAL}, 1.0986122886681098 * 4 / 9},
        {{.loss = CP_FOCAL, .gamma = 1}, 1.0986122886681098 * 2 / 3},
        {{.loss = CP_HINGE}, 2.0 / 3},
        {{.class_weights = growing}, 1.0986122886681098},
        {{.class_weights = last_heavy, .smoothing = 0.5f}, 1.0986122886681098},
        {{.loss = CP_BINARY_CROSS_ENTROPY}, 0.69314718055994531},
        {{.loss = CP_MEAN_SQUARED_ERROR}, 4},
        {{.loss = CP_HUBER}, 1.5},
        {{.loss = CP_HUBER, .delta = 0.5f}, 0.875},
    };
    const float twos[ROWS * CLASSES] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
    const cp_tensor target = cp_mat(twos, ROWS, CLASSES);
    cp_net *net = new_net(cp_shape_nhwc(0, 4, 4, 2), "flatten; dense 3", 1);
    memset(cp_net_parameter(net, 0).data, 0, 32 * 3 * sizeof(float));
    batch b;
    make_batch(&b, ROWS, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_trainer *t;
        double loss;
        int64_t correct;
        ok(cp_trainer_new(&t, net, NULL, &cases[i].train));
        const bool labels = cp_loss_takes_labels(cases[i].train.loss);
        ok(cp_trainer_step(t, &b.x, labels ? &b.labels : &target, &loss, &correct));
        if (fabs(loss - cases[i].loss) > 1e-6) fail_msg("case %d: loss %.9g", (int)i, loss);
        assert_int_equal(correct, labels ? ROWS / CLASSES : 0);
        cp_trainer_free(t);
    }
    cp_net_free(net);
}

static void bad_fits(void **state) {
    (void)state;
    cp_net *net = digits_net(), *other;
    cp_data *data;
    cp_trainer *t;
    diary d = {.stop_at = 1};
    ok(cp_data_digits(&data, 50, 1));
    ok(cp_trainer_new(&t, net, NULL, NULL));
    refused(cp_trainer_fit(t, data, &(cp_fit){.epochs = -1}), CP_E_ARG, "epochs = -1");
    refused(cp_trainer_fit(t, data, &(cp_fit){.batch = -3}), CP_E_ARG, "batch = -3");
    refused(cp_trainer_fit(t, NULL, NULL), CP_E_ARG, "NULL");
    refused(cp_trainer_fit(t, data, &(cp_fit){.batch = 20, .progress = note_progress, .user = &d}), CP_E_STOPPED,
            "step 1 of epoch 1");
    refused(cp_trainer_fit(t, data, &(cp_fit){.batch = 25}), CP_E_ARG,
            "50 images in batches of 20, here are 50 in batches of 25");
    cp_trainer_free(t);

    other = new_net(cp_shape_nhwc(0, 32, 32, 3), "flatten; dense 10", 1);
    ok(cp_trainer_new(&t, other, NULL, NULL));
    refused(cp_trainer_fit(t, data, NULL), CP_E_SHAPE, "images are 28x28x1, the model takes 32x32x3");
    cp_trainer_free(t);
    cp_net_free(other);
    other = new_net(cp_shape_nhwc(0, 28, 28, 1), "flatten; dense 9", 1);
    ok(cp_trainer_new(&t, other, NULL, NULL));
    refused(cp_trainer_fit(t, data, NULL), CP_E_SHAPE, "10 classes");
    cp_trainer_free(t);
    cp_net_free(other);
    cp_data_free(data);
    cp_net_free(net);
}

/* Stopped after `stop_at` calls, saved, loaded and continued: the same bits and the same losses as in one go. */
static void resume(const cp_train *train, int stop_at) {
    cp_net *net = digits_net();
    cp_data *data, *validation;
    cp_trainer *straight, *stopped, *resumed;
    diary whole = {0}, begun = {.stop_at = stop_at};
    ok(cp_data_digits(&data, 70, 1));
    ok(cp_data_digits(&validation, 20, 2));
    const cp_fit fit = {.epochs = 3, .batch = 32, .validation = validation, .progress = note_progress};
    cp_fit whole_fit = fit, begun_fit = fit;
    whole_fit.user = &whole;
    begun_fit.user = &begun;
    ok(cp_trainer_new(&straight, net, NULL, train));
    ok(cp_trainer_fit(straight, data, &whole_fit));
    ok(cp_trainer_new(&stopped, net, NULL, train));
    assert_int_equal(cp_trainer_fit(stopped, data, &begun_fit), CP_E_STOPPED);
    ok(cp_trainer_save(stopped, path_a));
    ok(cp_trainer_load(&resumed, NULL, path_a));
    ok(cp_trainer_save(resumed, path_b));
    assert_true(same_files(path_a, path_b));
    begun.stop_at = 0;
    ok(cp_trainer_fit(resumed, data, &begun_fit));
    assert_int_equal(whole.calls, 12);
    assert_int_equal(begun.calls, 12);
    assert_memory_equal(whole.loss, begun.loss, sizeof whole.loss);
    assert_true(whole.last.best == begun.last.best && whole.last.val_loss == begun.last.val_loss);
    assert_true(trained_alike(straight, resumed));
    assert_int_equal(cp_trainer_steps(resumed), train->accumulate ? 9 / train->accumulate : 9);
    cp_trainer_free(straight);
    cp_trainer_free(stopped);
    cp_trainer_free(resumed);
    cp_data_free(data);
    cp_data_free(validation);
    cp_net_free(net);
}

static void resumed_to_the_same_bits(void **state) {
    (void)state;
    cp_train cosine = {.optimizer = CP_ADAM_PAPER,
                       .beta1 = 0.8f,
                       .beta2 = 0.99f,
                       .epsilon = 1e-4f,
                       .decay = 0.1f,
                       .clip = 1.5f,
                       .smoothing = 0.1f,
                       .seed = 0xfedcba9876543210u,
                       .schedule = {.kind = CP_COSINE, .total = 20, .warmup = 3}};
    static const float weights[10] = {1, 2, 0.5f, 1, 3, 1, 0.1f, 1, 1, 2};
    cosine.class_weights = weights;
    cp_train plateau = {.optimizer = CP_RMSPROP,
                        .average = 0.9f,
                        .accumulate = 2,
                        .patience = 3,
                        .loss = CP_FOCAL,
                        .gamma = 1.5f,
                        .schedule = {.kind = CP_PLATEAU, .every = 1, .factor = 0.5f}};
    for (int stop_at = 1; stop_at < 12; stop_at += 2) resume(&cosine, stop_at); /* also 4: the end of an epoch */
    resume(&cosine, 4);
    for (int stop_at = 1; stop_at < 12; stop_at += 3) resume(&plateau, stop_at);
    plateau.loss = CP_HUBER;
    plateau.optimizer = CP_LION;
    plateau.delta = 0.25f;
    plateau.accumulate = 4;
    resume(&plateau, 8);
    cosine.type = plateau.type = CP_F64;
    plateau.optimizer = CP_ADAGRAD;
    resume(&cosine, 6);
    resume(&plateau, 6);
}

/* A checkpoint does not depend on the instruction set that wrote it, nor on the number of threads. */
static void checkpoints_travel(void **state) {
    (void)state;
    cp_net *net = digits_net();
    cp_ctx *portable;
    cp_trainer *t, *there;
    cp_data *data;
    ok(cp_data_digits(&data, 40, 1));
    ok(cp_trainer_new(&t, net, NULL, NULL));
    ok(cp_trainer_fit(t, data, &(cp_fit){.batch = 20}));
    ok(cp_trainer_save(t, path_a));
    ok(cp_ctx_new(&portable, &(cp_options){.isa = CP_ISA_PORTABLE, .threads = 2}));
    ok(cp_trainer_load(&there, portable, path_a));
    assert_true(trained_alike(t, there));
    ok(cp_trainer_save(there, path_b));
    assert_true(same_files(path_a, path_b));
    ok(cp_trainer_fit(there, data, &(cp_fit){.batch = 20, .epochs = 2}));
    assert_int_equal(cp_trainer_steps(there), 4);
    cp_trainer_free(t);
    cp_trainer_free(there);
    cp_ctx_free(portable);
    cp_data_free(data);
    cp_net_free(net);
}

/* After one step the moments in path_a are m = g/10 and v = g^2/1000. */
static void check_moments(void) {
    cp_safetensors file;
    ok(cp_safetensors_load(&file, path_a));
    const cp_tensor *m = cp_safetensors_find(&file, "optimizer.m.dense1.weight");
    const cp_tensor *v = cp_safetensors_find(&file, "optimizer.v.dense1.weight");
    assert_non_null(m);
    assert_non_null(v);
    for (int64_t e = 0; e < cp_shape_count(m->shape); e++)
        assert_true(fabs(cp_get(v, e) - cp_get(m, e) * cp_get(m, e) / 10) <= 1e-4 * cp_get(v, e));
    cp_safetensors_free(&file);
}

/* A checkpoint is a model; in double, too. */
static void checkpoint_is_a_model(void **state) {
    (void)state;
    for (cp_type type = CP_F32; type <= CP_F64; type++) {
        cp_net *net = small_net(), *loaded;
        cp_trainer *t;
        batch b;
        double loss;
        make_batch(&b, ROWS, 0);
        ok(cp_net_set_note(net, "made by", "a test"));
        ok(cp_trainer_new(&t, net, NULL, &(cp_train){.type = type}));
        ok(cp_trainer_step(t, type == CP_F64 ? &b.x_double : &b.x, &b.labels, &loss, NULL));
        ok(cp_trainer_save(t, path_a));
        ok(cp_net_load(&loaded, path_a));
        cp_net *expected = exported(t);
        assert_true(same_parameters(loaded, expected));
        assert_string_equal(cp_net_note(loaded, "made by"), "a test");
        assert_null(cp_net_note(loaded, "trainer"));
        cp_net_free(expected);
        cp_net_free(loaded);
        check_moments();
        cp_trainer_free(t);
        cp_net_free(net);
    }
}

/* The drawn digits are learned by a small net in a few hundred steps. */
static void digits_are_learned(void **state) {
    (void)state;
    cp_net *net = new_net(cp_shape_nhwc(0, 28, 28, 1),
                          "conv 8 5x5 stride 2 same relu; conv 16 5x5 stride 2 same relu; flatten; dense 10", 1);
    cp_data *data, *test;
    cp_trainer *t;
    cp_score before, after;
    int64_t confusion[100], sum = 0, right = 0;
    ok(cp_data_digits(&data, 4000, 1));
    ok(cp_data_digits(&test, 500, 2));
    ok(cp_net_evaluate(net, NULL, test, &before, NULL));
    ok(cp_trainer_new(&t, net, NULL, &(cp_train){.rate = 5e-3f}));
    ok(cp_trainer_fit(t, data, &(cp_fit){.epochs = 3, .batch = 25}));
    ok(cp_trainer_export(t, net));
    ok(cp_net_evaluate(net, NULL, test, &after, confusion));
    assert_true(after.loss < 0.2 * before.loss);
    assert_int_equal(after.count, 500);
    assert_true(after.correct > 450);
    for (int i = 0; i < 100; i++) {
        sum += confusion[i];
        right += i % 11 ? 0 : confusion[i];
    }
    assert_int_equal(sum, 500);
    assert_int_equal(right, after.correct);
    cp_trainer_free(t);
    cp_data_free(data);
    cp_data_free(test);
    cp_net_free(net);
}

/* --- evaluation --- */

static void evaluations(void **state) {
    (void)state;
    cp_net *net, *fixed;
    cp_data *data;
    cp_score score, other;
    int64_t confusion[100];
    ok(cp_data_digits(&data, 230, 4));
    net = new_net(cp_shape_nhwc(0, 28, 28, 1), "flatten; dense 10", 1);
    fixed = new_net(cp_shape_nhwc(7, 28, 28, 1), "flatten; dense 10", 1);
    cp_net_output(net, cp_net_softmax(net, cp_net_output_node(net, 0)), "probabilities");
    ok(cp_net_evaluate(net, NULL, data, &score, NULL));
    ok(cp_net_evaluate(fixed, NULL, data, &other, NULL));
    assert_int_equal(score.count, 230);
    assert_int_equal(score.correct, other.correct);
    assert_true(fabs(score.loss - other.loss) < 1e-6);

    /* Without weights every class is as likely, and the first is the answer. */
    memset(cp_net_parameter(net, 0).data, 0, 7840 * sizeof(float));
    ok(cp_net_evaluate(net, NULL, data, &score, confusion));
    assert_true(fabs(score.loss - log(10)) < 1e-12);
    assert_int_equal(score.correct, 23);
    for (int i = 0; i < 100; i++) assert_int_equal(confusion[i], i % 10 ? 0 : 23);
    refused(cp_net_evaluate(NULL, NULL, data, &score, NULL), CP_E_ARG, "net is NULL");
    cp_net_free(net);
    cp_net_free(fixed);
    net = small_net();
    refused(cp_net_evaluate(net, NULL, data, &score, NULL), CP_E_SHAPE, "images are 28x28x1, the model takes 4x4x2");
    cp_net_free(net);
    cp_data_free(data);
}

/* --- models in files --- */

/* A net with one layer of every kind. */
static cp_net *varied_net(void) {
    cp_net *net;
    ok(cp_net_new(&net));
    cp_node x = cp_net_input(net, "picture \"1\"", CP_F32, cp_shape_nhwc(0, 9, 8, 4));
    x = cp_net_parse(net, x, "conv 6 3x2 stride 2x1 dilation 1x2 pad 1,0,2,3 groups 2 relu");
    cp_net_name(net, "a \\ strange\nname \xc3\xa9");
    const cp_node y = cp_net_conv(net, x, 6, &(cp_conv){.kernel = {1, 1}, .activation = CP_SIGMOID});
    x = cp_net_parse(net, cp_net_add(net, x, y),
                     "max-pool 3x2 stride 1 same_lower; avg-pool 3 stride 2 pad 1 ceil divisor padded");
    const float shift[] = {1, 2, 3, 4, 5, 6};
    const cp_tensor constant = cp_view(shift, CP_F32, cp_shape_of(1, (int64_t[]){6}));
    const float kernel[36] = {[0] = 1, [7] = 2, [14] = -1};
    const cp_tensor weights = cp_hwio(kernel, 1, 1, 6, 6);
    x = cp_net_conv_with(net, x, cp_net_constant(net, "kernel", &weights), cp_net_constant(net, "shift", &constant),
                         NULL);
    cp_net_output(net, x, "features");
    x = cp_net_parse(net, x,
                     "conv-transpose 4 2x3 stride 2 groups 2; tanh; flatten; dropout 0.3; dense 7 relu; dropout 0.25; "
                     "dense 3; softmax");
    cp_net_output(net, x, "probabilities");
    cp_net_output(net, x, "again");
    const char *error;
    if (cp_net_error(net, &error)) fail_msg("%s", error);
    ok(cp_net_initialize(net, CP_HE, 11));
    for (int64_t i = 0; i < 6; i++) ((float *)cp_net_parameter(net, 1).data)[i] = (float)i;
    ok(cp_net_set_note(net, "text", "two\nlines, \"quoted\""));
    return net;
}

static void run_varied(const cp_net *net, float *outputs[3]) {
    static float in[2 * 9 * 8 * 4];
    cp_plan *plan;
    cp_work *work;
    cp_tensor out[3];
    for (int64_t e = 0; e < 2 * 9 * 8 * 4; e++) in[e] = uniform(1, e);
    const cp_tensor x = cp_nhwc(in, 2, 9, 8, 4);
    ok(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.batch = 2}));
    ok(cp_work_new(&work, plan));
    for (int i = 0; i < 3; i++) out[i] = cp_view(outputs[i], CP_F32, cp_plan_output_shape(plan, i));
    ok(cp_plan_run(plan, work, &x, 1, out, 3));
    cp_work_free(work);
    cp_plan_free(plan);
}

static void models_come_back(void **state) {
    (void)state;
    cp_net *net = varied_net(), *loaded;
    ok(cp_net_save(net, path_a));
    ok(cp_net_load(&loaded, path_a));
    assert_true(same_parameters(net, loaded));
    assert_int_equal(cp_net_outputs(loaded), 3);
    assert_string_equal(cp_net_output_name(loaded, 1), "probabilities");
    assert_string_equal(cp_net_input_name(loaded, 0), "picture \"1\"");
    assert_true(cp_shape_same(cp_net_shape(loaded, cp_net_input_node(loaded, 0)), cp_shape_nhwc(0, 9, 8, 4)));
    assert_string_equal(cp_net_note(loaded, "text"), "two\nlines, \"quoted\"");
    assert_int_equal(cp_net_layers(net), cp_net_layers(loaded));
    for (int i = 0; i < cp_net_layers(net); i++) {
        cp_layer a, b;
        ok(cp_net_layer(net, i, &a));
        ok(cp_net_layer(loaded, i, &b));
        assert_string_equal(a.name, b.name);
        assert_string_equal(a.op, b.op);
        assert_string_equal(a.detail, b.detail);
    }
    static float here[3][2000], there[3][2000];
    run_varied(net, (float *[]){here[0], here[1], here[2]});
    run_varied(loaded, (float *[]){there[0], there[1], there[2]});
    assert_memory_equal(here, there, sizeof here);
    ok(cp_net_save(loaded, path_b));
    assert_true(same_files(path_a, path_b));
    cp_net_free(net);
    cp_net_free(loaded);
}

/* Weights stand in the file as PyTorch has them: filters and channels first, and behind a flatten channels before
 * places. */
static void stored_order(void **state) {
    (void)state;
    enum { H = 2, W = 3, C = 4, UNITS = 5 };
    cp_net *net =
        new_net(cp_shape_nhwc(0, H, W, 2), "conv 4 2x3 same relu; flatten; dropout 0.5; relu; dense 5; dense 2", 1);
    const cp_tensor conv = cp_net_parameter(net, 0), dense = cp_net_parameter(net, 2), last = cp_net_parameter(net, 4);
    cp_safetensors file;
    ok(cp_net_save(net, path_a));
    ok(cp_safetensors_load(&file, path_a));
    assert_true(file.checked);

    const cp_tensor *stored = cp_safetensors_find(&file, "conv1.weight");
    assert_non_null(stored);
    assert_true(cp_shape_same(stored->shape, cp_shape_of(4, (int64_t[]){4, 2, 2, 3})));
    for (int o = 0; o < 4; o++)
        for (int i = 0; i < 2; i++)
            for (int h = 0; h < 2; h++)
                for (int w = 0; w < 3; w++)
                    assert_true(((float *)stored->data)[((o * 2 + i) * 2 + h) * 3 + w] ==
                                ((float *)conv.data)[((h * 3 + w) * 2 + i) * 4 + o]);

    stored = cp_safetensors_find(&file, "dense1.weight");
    assert_non_null(stored);
    assert_true(cp_shape_same(stored->shape, cp_shape_of(2, (int64_t[]){UNITS, H * W * C})));
    for (int u = 0; u < UNITS; u++)
        for (int c = 0; c < C; c++)
            for (int place = 0; place < H * W; place++)
                assert_true(((float *)stored->data)[(u * C + c) * H * W + place] ==
                            ((float *)dense.data)[(place * C + c) * UNITS + u]);

    stored = cp_safetensors_find(&file, "dense2.weight");
    assert_non_null(stored);
    assert_true(cp_shape_same(stored->shape, cp_shape_of(2, (int64_t[]){2, UNITS})));
    for (int u = 0; u < 2; u++)
        for (int i = 0; i < UNITS; i++)
            assert_true(((float *)stored->data)[u * UNITS + i] == ((float *)last.data)[i * 2 + u]);
    cp_safetensors_free(&file);
    cp_net_free(net);
}

static void nets_that_cannot_be_saved(void **state) {
    (void)state;
    cp_net *net = small_net(), *twins;
    ok(cp_net_set_note(net, "network", "mine"));
    refused(cp_net_save(net, path_a), CP_E_ARG, "'network'");
    ok(cp_net_set_note(net, "network", NULL));
    refused(cp_net_save(net, NULL), CP_E_ARG, "NULL");
    refused(cp_net_save(net, "/nowhere/at all"), CP_E_IO, "/nowhere/at all");
    cp_node by, x = cp_net_input_node(net, 0), y = cp_net_output_node(net, 0);
    const cp_node labels = cp_net_input(net, "labels", CP_I32, cp_shape_of(1, (int64_t[]){0}));
    ok(cp_net_gradients(net, cp_net_softmax_cross_entropy(net, y, labels), 0, &x, 1, &by));
    refused(cp_net_save(net, path_a), CP_E_UNSUPPORTED, "'softmax-cross-entropy' cannot be saved");
    cp_net_free(net);

    ok(cp_net_new(&twins));
    x = cp_net_input(twins, "x", CP_F32, cp_shape_nhwc(0, 4, 4, 1));
    cp_net_name(twins, "twin");
    x = cp_net_activation(twins, x, CP_RELU);
    cp_net_name(twins, "twin");
    cp_net_output(twins, cp_net_activation(twins, x, CP_TANH), "y");
    refused(cp_net_save(twins, path_a), CP_E_ARG, "'twin'");
    cp_net_free(twins);
}

/* --- corrupted models --- */

#define INPUTS "\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"shape\":[0,4,4,2]}]"
#define PARAMETERS                                                                                                     \
    "\"parameters\":[{\"name\":\"conv1.weight\",\"shape\":[3,3,2,2]},{\"name\":\"conv1.bias\",\"shape\":[2]}]"
#define CONSTANTS "\"constants\":[]"
#define CONV(attributes)                                                                                               \
    "{\"op\":\"conv\",\"name\":\"conv1\",\"inputs\":[\"x\",\"conv1.weight\",\"conv1.bias\"],"                          \
    "\"attributes\":" attributes "}"
#define OUTPUTS "\"outputs\":[{\"name\":\"y\",\"value\":\"conv1\"}]"
#define BEFORE_LAYERS "{" INPUTS "," PARAMETERS "," CONSTANTS ",\"layers\":["
#define NETWORK(layers) BEFORE_LAYERS layers "]," OUTPUTS "}"

/* Saves a file with this note and the two tensors of conv1. */
static void save_network(const char *json) {
    static float weight[36], bias[2];
    const cp_stored tensors[] = {
        {"conv1.weight", cp_view(weight, CP_F32, cp_shape_of(4, (int64_t[]){2, 2, 3, 3}))},
        {"conv1.bias", cp_vec(bias, 2)},
    };
    const cp_note note = {"network", json};
    ok(cp_safetensors_save(path_a, tensors, 2, &note, 1));
}

static void bad_networks(void **state) {
    (void)state;
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"", "JSON"},
        {"[]", "'inputs' is missing"},
        {"{}", "'inputs' is missing"},
        {"{\"inputs\":3}", "'inputs' is missing or no list"},
        {"{\"inputs\":[7]}", "'name' is missing"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f8\",\"shape\":[1]}]}", "input 'x': unknown type 'f8'"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f16\",\"shape\":[1]}]}", "type f16, which is for storage"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"shape\":[1.5]}]}", "'shape' must be whole numbers"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"shape\":[1,1,1,1,1,1,1,1,1]}]}", "more than 8"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"shape\":[1,-4]}]}", "-4"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"shape\":[2]},{\"name\":\"x\",\"type\":\"f32\",\"shape\":[2]}]"
         "}",
         "two inputs are named 'x'"},
        {"{" INPUTS ",\"parameters\":[{\"name\":\"dense1.weight\",\"shape\":[4,4]}]}", "'dense1.weight' is missing"},
        {"{" INPUTS ",\"parameters\":[{\"name\":\"conv1.weight\",\"shape\":[5,5,1,32]}]}",
         "'conv1.weight' is 32x1x5x5 here, 2x2x3x3 in the file"},
        {"{" INPUTS ",\"parameters\":[{\"name\":\"conv1.weight\",\"shape\":[1099511627776,4194304]}]}",
         "'conv1.weight' is 4194304x1099511627776 here"},
        {"{" INPUTS "," PARAMETERS ",\"constants\":[{\"name\":\"conv1.bias\",\"type\":\"i32\",\"shape\":[2]}]}",
         "it is i32 here, f32 in the file"},
        {"{" INPUTS "," PARAMETERS ",\"constants\":[{\"name\":\"conv1.bias\",\"type\":\"f32\",\"shape\":[2]}]}",
         "'conv1.bias' is defined twice"},
        {NETWORK("5"), "'name' is missing"},
        {NETWORK("{\"op\":\"conw\",\"name\":\"conv1\"}"), "layer 'conv1': unknown op 'conw'"},
        {NETWORK("{\"op\":\"conv-input-gradient\",\"name\":\"conv1\"}"), "unknown op 'conv-input-gradient'"},
        {NETWORK("{\"op\":\"conv\",\"name\":\"conv1\"}"), "'inputs' is missing"},
        {NETWORK("{\"op\":\"conv\",\"name\":\"conv1\",\"inputs\":[\"x\"]}"), "conv needs 2 inputs, has 1"},
        {NETWORK("{\"op\":\"relu\",\"name\":\"r\",\"inputs\":[\"x\",\"x\"]}"), "relu takes at most 1 inputs"},
        {NETWORK("{\"op\":\"relu\",\"name\":\"r\",\"inputs\":[1]}"), "input 0 is no name"},
        {NETWORK("{\"op\":\"relu\",\"name\":\"r\",\"inputs\":[\"conv1\"]}," CONV("{}")),
         "layer 'r': input 'conv1' is not defined before"},
        {NETWORK("{\"op\":\"relu\",\"name\":\"r\",\"inputs\":[\"r\"]}"), "input 'r' is not defined before"},
        {NETWORK("{\"op\":\"relu\",\"name\":\"x\",\"inputs\":[\"x\"]}"), "'x' is defined twice"},
        {NETWORK(CONV("[]")), "'attributes' is no object"},
        {NETWORK(CONV("{\"colour\":1}")), "layer 'conv1': conv has no 'colour'"},
        {NETWORK(CONV("{\"stride\":2}")), "'stride' is missing or no list"},
        {NETWORK(CONV("{\"stride\":[2]}")), "'stride' needs 2 values, has 1"},
        {NETWORK(CONV("{\"stride\":[1,1,1,1]}")), "'stride' has more than 3"},
        {NETWORK(CONV("{\"stride\":[1,\"2\"]}")), "'stride' must be whole numbers"},
        {NETWORK(CONV("{\"stride\":[0,2]}")), "stride[0] = 0"},
        {NETWORK(CONV("{\"pad\":\"FOO\"}")), "pad 'FOO' is unknown"},
        {NETWORK(CONV("{\"pad\":1}")), "'pad' must be a word"},
        {NETWORK(CONV("{\"groups\":1.5}")), "'groups' must be a whole number"},
        {NETWORK(CONV("{\"groups\":-1}")), "-1"},
        {NETWORK(CONV("{\"groups\":3}")), "groups"},
        {NETWORK("{\"op\":\"max-pool\",\"name\":\"p\",\"inputs\":[\"x\"]}"), "kernel[0] = 0"},
        {NETWORK("{\"op\":\"max-pool\",\"name\":\"p\",\"inputs\":[\"x\"],\"attributes\":{\"global\":1}}"),
         "'global' must be true or false"},
        {NETWORK("{\"op\":\"dropout\",\"name\":\"d\",\"inputs\":[\"x\"],\"attributes\":{\"rate\":\"much\"}}"),
         "'rate' must be a number"},
        {NETWORK("{\"op\":\"dropout\",\"name\":\"d\",\"inputs\":[\"x\"],\"attributes\":{\"rate\":2}}"), "rate = 2"},
        {NETWORK("{\"op\":\"flatten\",\"name\":\"f\\u001b[31m\",\"inputs\":[\"x\",\"x\"]}"), "layer 'f\\x1b[31m'"},
        {NETWORK(""), "output 'y': value 'conv1' is not defined"},
        {"{" INPUTS ",\"parameters\":[]," CONSTANTS ",\"layers\":[],\"outputs\":[]}", "the net has no 'conv1.weight'"},
    };
    cp_net *net;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        save_network(cases[i].json);
        net = (cp_net *)&net;
        const cp_status status = cp_net_load(&net, path_a);
        if (status != CP_E_FORMAT || !strstr(cp_error(), cases[i].text) || !strstr(cp_error(), path_a))
            fail_msg("%s: %d, %s", cases[i].json, (int)status, cp_error());
        assert_null(net);
    }
    save_network(NETWORK(CONV("{\"kernel\":[3,3],\"pad\":\"same\"}")));
    ok(cp_net_load(&net, path_a));
    cp_net_free(net);
}

/* Every cut of the JSON, and every byte of it changed to another, is refused or makes a net; nothing else happens. */
static void mutated_networks(void **state) {
    (void)state;
    char *json, *changed;
    cp_net *net = new_net(cp_shape_nhwc(0, 4, 4, 2), "conv 2 3x3 same relu; max-pool 2 ceil; flatten; dropout 0.5", 1);
    cp_safetensors file;
    ok(cp_network_write(net, &json));
    save_network(json);
    ok(cp_safetensors_load(&file, path_a));
    const size_t length = strlen(json);
    changed = malloc(length + 1);
    assert_non_null(changed);
    int loaded = 0;
    for (size_t i = 0; i < 3 * length; i++) {
        static const char bytes[] = {'0', '"', '}'};
        cp_net *mutant;
        memcpy(changed, json, length + 1);
        changed[i / 3] = bytes[i % 3];
        const cp_status status = cp_network_read(&mutant, changed, &file);
        assert_true(status == CP_OK || status == CP_E_FORMAT);
        assert_true((status == CP_OK) == (mutant != NULL));
        loaded += !status;
        cp_net_free(mutant);
        changed[i / 3] = 0;
        assert_int_equal(cp_network_read(&mutant, changed, &file), CP_E_FORMAT);
    }
    assert_true(loaded > 0 && loaded < (int)length);
    free(changed);
    cp_free(NULL, json);
    cp_safetensors_free(&file);
    cp_net_free(net);
}

static void foreign_files(void **state) {
    (void)state;
    cp_net *net;
    float weight[4] = {1, 2, 3, 4};
    int32_t integers[4] = {1, 2, 3, 4};
    const cp_shape shape = cp_shape_of(2, (int64_t[]){2, 2});
    cp_stored tensors[] = {{"dense1.weight", cp_view(weight, CP_F32, shape)}, {"more", cp_vec(weight, 4)}};
    refused(cp_net_load(&net, "/nowhere"), CP_E_IO, "/nowhere");
    refused(cp_net_load(&net, NULL), CP_E_ARG, "NULL");
    ok(cp_safetensors_save(path_a, tensors, 1, NULL, 0));
    refused(cp_net_load(&net, path_a), CP_E_FORMAT, "not a model");
    const cp_note note = {
        "network", "{\"inputs\":[],\"parameters\":[{\"name\":\"dense1.weight\",\"shape\":[2,2]}],\"constants\":[],"
                   "\"layers\":[],\"outputs\":[]}"};
    ok(cp_safetensors_save(path_a, tensors, 2, &note, 1));
    refused(cp_net_load(&net, path_a), CP_E_FORMAT, "the net has no 'more'");
    tensors[0].tensor = cp_view(integers, CP_I32, shape);
    ok(cp_safetensors_save(path_a, tensors, 1, &note, 1));
    refused(cp_net_load(&net, path_a), CP_E_FORMAT, "'dense1.weight' has type i32: must be f32, f64, f16 or bf16");
}

/* --- corrupted checkpoints --- */

/* Saves the file at path_a again at path_b, the note or a tensor of that name changed (NULL: left out). */
static void change_note(const char *from, const char *to) {
    cp_safetensors file;
    cp_text text = {0};
    ok(cp_safetensors_load(&file, path_a));
    cp_note notes[8];
    for (int64_t i = 0; i < file.n_notes; i++) {
        notes[i] = file.notes[i];
        if (strcmp(notes[i].name, "trainer")) continue;
        const char *at = strstr(notes[i].value, from);
        assert_non_null(at);
        cp_text_add(&text, "%.*s%s%s", (int)(at - notes[i].value), notes[i].value, to, at + strlen(from));
        notes[i].value = text.data;
    }
    ok(cp_safetensors_save(path_b, file.tensors, file.n_tensors, notes, file.n_notes));
    cp_free(NULL, cp_text_take(&text));
    cp_safetensors_free(&file);
}

static void leave_out(const char *name) {
    cp_safetensors file;
    cp_stored tensors[32];
    int64_t n = 0;
    ok(cp_safetensors_load(&file, path_a));
    for (int64_t i = 0; i < file.n_tensors; i++)
        if (strcmp(file.tensors[i].name, name)) tensors[n++] = file.tensors[i];
    assert_int_equal(n, file.n_tensors - 1);
    ok(cp_safetensors_save(path_b, tensors, n, file.notes, file.n_notes));
    cp_safetensors_free(&file);
}

static void bad_checkpoints(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *text;
    } cases[] = {
        {"\"adam\"", "\"eve\"", "'train.optimizer' is missing or wrong"},
        {"\"train.rate\":", "\"rate\":", "'train.rate' is missing"},
        {"\"train.clip\":0", "\"train.clip\":-1", "clip = -1"},
        {"\"step\":1", "\"step\":-1", "'step' is missing or wrong"},
        {"\"step\":1", "\"step\":1.5", "'step' is missing or wrong"},
        {"\"18446744073709551615\"", "\"18446744073709551616\"", "'train.seed'"},
        {"\"18446744073709551615\"", "\" 1\"", "'train.seed'"},
        {"\"18446744073709551615\"", "1", "'train.seed'"},
        {"\"train.nesterov\":false", "\"train.nesterov\":0", "'train.nesterov'"},
        {"\"position.loss\":0", "\"position.loss\":\"NaN\"", "'position.loss'"},
        {"\"position.epochs\":0", "\"position.epochs\":9000000000", "impossible position"},
        {"\"position.correct\":0", "\"position.correct\":1", "impossible position"},
        {"}", ",\"train.class_weights\":[1,1]}", "'train.class_weights' must be 3 numbers"},
        {"}", ",\"train.class_weights\":[1,1,1,1]}", "'train.class_weights' must be 3 numbers"},
        {"}", ",\"train.class_weights\":[1,1,true]}", "'train.class_weights' must be 3 numbers"},
        {"}", ",\"train.class_weights\":[1,1,-1]}", "class_weights[2] = -1"},
        {"}", "", "note 'trainer': JSON"},
    };
    cp_net *net = small_net();
    cp_trainer *t, *loaded;
    batch b;
    double loss;
    make_batch(&b, ROWS, 0);
    ok(cp_trainer_new(&t, net, NULL, &(cp_train){.seed = UINT64_MAX}));
    ok(cp_trainer_step(t, &b.x, &b.labels, &loss, NULL));
    ok(cp_trainer_save(t, path_a));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        change_note(cases[i].from, cases[i].to);
        loaded = (cp_trainer *)&loaded;
        const cp_status status = cp_trainer_load(&loaded, NULL, path_b);
        if ((status != CP_E_FORMAT && status != CP_E_ARG) || !strstr(cp_error(), cases[i].text))
            fail_msg("%s: %d, %s", cases[i].to, (int)status, cp_error());
        assert_null(loaded);
    }
    leave_out("optimizer.m.conv1.weight");
    refused(cp_trainer_load(&loaded, NULL, path_b), CP_E_FORMAT, "'optimizer.m.conv1.weight' is missing");
    leave_out("conv1.bias");
    refused(cp_trainer_load(&loaded, NULL, path_b), CP_E_FORMAT, "'conv1.bias' is missing");
    ok(cp_net_save(net, path_b));
    refused(cp_trainer_load(&loaded, NULL, path_b), CP_E_FORMAT, "no checkpoint");
    refused(cp_trainer_load(&loaded, NULL, "/nowhere"), CP_E_IO, "/nowhere");
    change_note("\"18446744073709551615\"", "\"7\"");
    ok(cp_trainer_load(&loaded, NULL, path_b));
    cp_trainer_free(loaded);

    /* Weights that are not finite do not replace a good file. */
    ((float *)t->variables[1].weights)[0] = INFINITY;
    refused(cp_trainer_save(t, path_b), CP_E_DIVERGED, "'conv1.bias' is not finite");
    ok(cp_trainer_load(&loaded, NULL, path_b));
    cp_trainer_free(loaded);
    cp_trainer_free(t);
    cp_net_free(net);
}

/* --- memory --- */

/* Builds, trains, saves, loads and evaluates; each of these may fail for want of memory. */
static cp_status whole_life(const cp_net *net, const cp_data *data) {
    cp_trainer *t, *loaded = NULL;
    cp_net *model = NULL;
    cp_score score;
    cp_status status = cp_trainer_new(&t, net, NULL, &(cp_train){.loss = CP_HUBER, .average = 0.9f, .accumulate = 2});
    if (!status) status = cp_trainer_fit(t, data, &(cp_fit){.batch = 4, .validation = data});
    if (!status) status = cp_trainer_save(t, path_a);
    if (!status) status = cp_trainer_load(&loaded, NULL, path_a);
    if (!status) status = cp_net_load(&model, path_a);
    if (!status) status = cp_net_save(model, path_b);
    if (!status) status = cp_net_evaluate(model, NULL, data, &score, NULL);
    cp_trainer_free(t);
    cp_trainer_free(loaded);
    cp_net_free(model);
    return status;
}

static void each_allocation_fails(void **state) {
    (void)state;
    cp_net *net = new_net(cp_shape_nhwc(0, 28, 28, 1), "conv 2 5x5 stride 4 relu; pool 2; flatten; dense 10", 1);
    cp_data *data;
    cp_status status = CP_E_MEMORY;
    int allowed = 0;
    ok(cp_data_digits(&data, 6, 1));
    for (; status; allowed++) {
        allocations_left = allowed;
        status = whole_life(net, data);
        allocations_left = -1;
        if (status && status != CP_E_MEMORY) fail_msg("allocation %d: %d, %s", allowed, (int)status, cp_error());
        assert_true(allowed < 10000);
    }
    assert_true(allowed > 100);
    cp_data_free(data);
    cp_net_free(net);
}

/* Running moments go half the way to those of each batch, in both types; a model answers with them. */
static void running_moments_follow(void **state) {
    (void)state;
    const float x[] = {1, 10, 3, 20, 5, 30, 7, 40};
    const double x64[] = {1, 10, 3, 20, 5, 30, 7, 40};
    const int32_t labels[] = {0, 1, 0, 1};
    const cp_shape shape = cp_shape_of(2, (int64_t[]){4, 2});
    const cp_tensor target = cp_view(labels, CP_I32, cp_shape_of(1, (int64_t[]){4}));
    cp_net *net = new_net(cp_shape_of(2, (int64_t[]){0, 2}), "batch-norm momentum 0.5; dense 2", 3);
    assert_float_equal(parameter(net, "batch-norm1.weight")[1], 1, 0);
    assert_float_equal(parameter(net, "batch-norm1.running_mean")[1], 0, 0);
    assert_float_equal(parameter(net, "batch-norm1.running_var")[1], 1, 0);
    for (int type = CP_F32; type <= CP_F64; type++) {
        const cp_tensor images = cp_view(type == CP_F32 ? (const void *)x : x64, (cp_type)type, shape);
        cp_trainer *trainer;
        double loss;
        ok(cp_trainer_new(&trainer, net, NULL, &(cp_train){.type = (cp_type)type, .optimizer = CP_SGD, .rate = 0.1f}));
        for (int step = 0; step < 2; step++) ok(cp_trainer_step(trainer, &images, &target, &loss, NULL));
        cp_net *trained = exported(trainer);
        const float *mean = parameter(trained, "batch-norm1.running_mean");
        const float *variance = parameter(trained, "batch-norm1.running_var");
        assert_float_equal(mean[0], 3, 1e-6);
        assert_float_equal(mean[1], 18.75, 1e-6);
        assert_float_equal(variance[0], 0.25 + 5 * 0.75, 1e-6);
        assert_float_equal(variance[1], 0.25 + 125 * 0.75, 1e-5);
        assert_true(parameter(trained, "batch-norm1.weight")[0] != 1); /* trained */
        ok(cp_trainer_save(trainer, path_a));
        cp_trainer *resumed;
        ok(cp_trainer_load(&resumed, NULL, path_a));
        ok(cp_trainer_step(trainer, &images, &target, &loss, NULL));
        ok(cp_trainer_step(resumed, &images, &target, &loss, NULL));
        assert_true(trained_alike(trainer, resumed));
        cp_trainer_free(resumed);
        cp_trainer_free(trainer);
        cp_net_free(trained);
    }
    cp_net_free(net);
}

/* Every layer that has numbers or lists of its own. */
static void new_layers_come_back(void **state) {
    (void)state;
    cp_net *net =
        new_net(cp_shape_nhwc(0, 4, 4, 4),
                "batch-norm epsilon 0.001 momentum 0.75; leaky-relu 0.2; layer-norm; clip -1.5 2; group-norm 2; "
                "lrn 3 alpha 0.5 bias 2; instance-norm epsilon 0.1; prelu; hard-sigmoid; gelu-tanh",
                4);
    const cp_node x = cp_net_output_node(net, 0);
    cp_node parts[2];
    ok(cp_net_split(net, x, -1, (int64_t[]){1, 3}, 2, parts));
    const cp_node joined = cp_net_concat(net, (cp_node[]){parts[1], cp_net_max(net, x, parts[0]), parts[0]}, 3, 3);
    cp_net_output(net, cp_net_reduce(net, joined, CP_REDUCE_L2, (int[]){1, 3}, 2, true), "norms");
    ok(cp_net_error(net, NULL));
    ok(cp_net_save(net, path_a));
    cp_net *loaded;
    ok(cp_net_load(&loaded, path_a));
    assert_true(same_parameters(net, loaded));
    ok(cp_net_save(loaded, path_b));
    assert_true(same_files(path_a, path_b));
    assert_true(cp_shape_same(cp_net_shape(loaded, cp_net_output_node(loaded, 1)), cp_shape_nhwc(0, 1, 4, 1)));
    cp_net_free(loaded);
    cp_net_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_weights),
        cmocka_unit_test(schedules),
        cmocka_unit_test(optimizers),
        cmocka_unit_test(single_follows_double),
        cmocka_unit_test(losses_and_answers),
        cmocka_unit_test(squared_error),
        cmocka_unit_test(parameters_without_gradient),
        cmocka_unit_test(divergence_changes_nothing),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(dropout_is_drawn_anew),
        cmocka_unit_test(plans_are_kept),
        cmocka_unit_test(bad_steps),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(epochs_are_told),
        cmocka_unit_test(epochs_see_everything),
        cmocka_unit_test(best_epochs),
        cmocka_unit_test(epochs_without_improvement),
        cmocka_unit_test(reduced_rates),
        cmocka_unit_test(batches_are_accumulated),
        cmocka_unit_test(losses_are_trained),
        cmocka_unit_test(losses_of_nothing),
        cmocka_unit_test(bad_fits),
        cmocka_unit_test(resumed_to_the_same_bits),
        cmocka_unit_test(checkpoints_travel),
        cmocka_unit_test(checkpoint_is_a_model),
        cmocka_unit_test(digits_are_learned),
        cmocka_unit_test(evaluations),
        cmocka_unit_test(models_come_back),
        cmocka_unit_test(running_moments_follow),
        cmocka_unit_test(new_layers_come_back),
        cmocka_unit_test(stored_order),
        cmocka_unit_test(nets_that_cannot_be_saved),
        cmocka_unit_test(bad_networks),
        cmocka_unit_test(mutated_networks),
        cmocka_unit_test(foreign_files),
        cmocka_unit_test(bad_checkpoints),
        cmocka_unit_test(each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, make_paths, remove_paths);
}
