/* Training steps: losses and answers, several batches a step, running moments, divergence, threads, bad calls. */
#include "training.h"

/* --- what a step tells and learns --- */

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

/* --- what a step changes --- */

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

/* PARAMETER of a net by name. */
static const float *parameter(const cp_net *net, const char *name) {
    for (int i = 0; i < cp_net_parameters(net); i++)
        if (!strcmp(cp_net_parameter_name(net, i), name)) return cp_net_parameter(net, i).data;
    fail_msg("no parameter '%s'", name);
    return NULL;
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

/* --- how it is run --- */

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

/* --- bad calls --- */

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_follows_double),
        cmocka_unit_test(losses_and_answers),
        cmocka_unit_test(squared_error),
        cmocka_unit_test(losses_of_nothing),
        cmocka_unit_test(batches_are_accumulated),
        cmocka_unit_test(parameters_without_gradient),
        cmocka_unit_test(running_moments_follow),
        cmocka_unit_test(divergence_changes_nothing),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(dropout_is_drawn_anew),
        cmocka_unit_test(plans_are_kept),
        cmocka_unit_test(bad_steps),
        cmocka_unit_test(bad_options),
    };
    return cmocka_run_group_tests(tests, make_paths, remove_paths);
}
