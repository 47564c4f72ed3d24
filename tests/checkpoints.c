/* Checkpoints: continued to the same bits, read as models, corrupted; each allocation on the way fails once. */
#include "training.h"

/* --- the library's memory, which may be refused --- */

static int allocations_left = -1; /* -1: as many as wanted */

/* In place of the C library's, for the whole program. */
void *aligned_alloc(size_t alignment, size_t size) {
    void *memory;
    if (allocations_left == 0) return NULL;
    if (allocations_left > 0) allocations_left--;
    return posix_memalign(&memory, alignment, size) ? NULL : memory;
}

/* --- continued --- */

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

/* --- as models --- */

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

/* --- corrupted --- */

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumed_to_the_same_bits), cmocka_unit_test(checkpoints_travel),
        cmocka_unit_test(checkpoint_is_a_model),    cmocka_unit_test(bad_checkpoints),
        cmocka_unit_test(each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, make_paths, remove_paths);
}
