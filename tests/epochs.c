/* Epochs: what they tell and decide, what is learned in them, evaluation. */
#include "training.h"

/* --- what epochs tell --- */

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

/* --- what is learned --- */

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_are_told),    cmocka_unit_test(epochs_see_everything),
        cmocka_unit_test(best_epochs),        cmocka_unit_test(epochs_without_improvement),
        cmocka_unit_test(bad_fits),           cmocka_unit_test(losses_are_trained),
        cmocka_unit_test(digits_are_learned), cmocka_unit_test(evaluations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
