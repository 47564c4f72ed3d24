/* Nets from texts: branches and named nets, by what they compute. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "convpool.h"

static void ok(cp_status status) {
    if (status) fail_msg("%s", cp_error());
}

static cp_net *net_of(cp_shape shape, const char *text) {
    cp_net *net;
    const char *reason;
    ok(cp_net_new(&net));
    cp_net_output(net, cp_net_parse(net, cp_net_input(net, "x", CP_F32, shape), text), "y");
    if (cp_net_error(net, &reason)) fail_msg("%s: %s", text, reason);
    return net;
}

static void run(const cp_net *net, const float *x, cp_shape x_shape, float *y, cp_shape y_shape) {
    cp_plan *plan;
    cp_work *work;
    ok(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.batch = x_shape.dim[0]}));
    ok(cp_work_new(&work, plan));
    const cp_tensor in = cp_view(x, CP_F32, x_shape), out = cp_view(y, CP_F32, y_shape);
    ok(cp_plan_run(plan, work, &in, 1, &out, 1));
    cp_work_free(work);
    cp_plan_free(plan);
}

static float relu(float x) {
    return x > 0 ? x : 0;
}

static void branches_are_added(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int kind;
    } cases[] = {{"{ relu | }", 0}, {"{|relu}", 0},        {"{ relu | };", 0},
                 {"{ relu }", 1},   {"{ | | relu ; }", 2}, {"{ { relu | tanh } ; relu | tanh }; relu", 3},
                 {"{}", 4}};
    const cp_shape shape = cp_shape_nhwc(2, 1, 3, 1);
    static const float x[] = {-3, -0.5f, 0, 0.25f, 1, 7};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        float y[6];
        cp_net *net = net_of(cp_shape_nhwc(0, 1, 3, 1), cases[k].text);
        run(net, x, shape, y, shape);
        for (int i = 0; i < 6; i++) {
            const float r = relu(x[i]), t = tanhf(x[i]);
            const float expected[] = {r + x[i], r, 2 * x[i] + r, relu(relu(r + t) + t), x[i]};
            if (fabsf(y[i] - expected[cases[k].kind]) > 1e-6f)
                fail_msg("\"%s\" of %g: %g", cases[k].text, (double)x[i], (double)y[i]);
        }
        cp_net_free(net);
    }
}

/* Trained a little, saved and loaded: the same answers. */
static void named_nets_learn_and_survive_a_file(void **state) {
    (void)state;
    static const char *const texts[] = {"lenet5", "resnet8 12", "vgg6", "conv 4 1x1; resnet8"};
    const cp_shape shape = cp_shape_nhwc(4, 28, 28, 1);
    cp_data *data;
    ok(cp_data_digits(&data, 40, 1));
    char path[] = "/tmp/convpool-text-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        const int64_t classes = k == 1 ? 12 : 10;
        const cp_shape answers = cp_shape_of(2, (int64_t[]){4, classes});
        float x[4 * 784], before[4 * 12], after[4 * 12];
        int32_t labels[4];
        cp_net *net = net_of(cp_shape_nhwc(0, 28, 28, 1), texts[k]), *loaded;
        cp_trainer *trainer;
        ok(cp_net_initialize(net, CP_HE, 1));
        ok(cp_trainer_new(&trainer, net, NULL, &(cp_train){.seed = 1}));
        ok(cp_trainer_fit(trainer, data, &(cp_fit){.epochs = 1, .batch = 20}));
        ok(cp_trainer_export(trainer, net));
        cp_trainer_free(trainer);
        cp_data_batch(data, NULL, 0, 4, x, labels);
        ok(cp_net_save(net, path));
        ok(cp_net_load(&loaded, path));
        run(net, x, shape, before, answers);
        run(loaded, x, shape, after, answers);
        assert_memory_equal(before, after, sizeof *before * (size_t)(4 * classes));
        assert_true(before[0] != before[1]);
        cp_net_free(loaded);
        cp_net_free(net);
    }
    unlink(path);
    cp_data_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_are_added),
        cmocka_unit_test(named_nets_learn_and_survive_a_file),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
