/* Batch normalisation folded into the layer before it: the same answers with fewer steps, and where it must not be. */
#include "graph/graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static float uniform(uint32_t stream, int64_t i) {
    const cp_random_key key = {.seed = 4, .stream = stream};
    return 2 * cp_random_uniform(&key, (uint64_t)i) - 1;
}

/* Parameters of any size, variances above 0. */
static void fill(cp_net *net) {
    for (int i = 0; i < cp_net_parameters(net); i++) {
        const cp_tensor p = cp_net_parameter(net, i);
        const bool variance = strstr(cp_net_parameter_name(net, i), "running_var");
        for (int64_t e = 0; e < cp_shape_count(p.shape); e++) {
            const float number = uniform((uint32_t)i + 1, e);
            ((float *)p.data)[e] = variance ? fabsf(number) + 0.2f : number;
        }
    }
}

static cp_net *new_net(const char *text) {
    cp_net *net;
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(2, 6, 5, 3));
    cp_net_output(net, cp_net_parse(net, x, text), "y");
    if (cp_net_error(net, NULL)) fail_msg("%s", cp_error());
    fill(net);
    return net;
}

/* The first output, and the number of steps. */
static float *answer(const cp_net *net, bool fold, int *steps, int64_t *count) {
    cp_plan *plan;
    cp_work *work;
    float x[2 * 6 * 5 * 3];
    for (int e = 0; e < 2 * 6 * 5 * 3; e++) x[e] = uniform(0, e);
    const cp_tensor input = cp_nhwc(x, 2, 6, 5, 3);
    if (cp_net_plan(&plan, NULL, net, &(cp_plan_options){.fold_batch_norm = fold})) fail_msg("%s", cp_error());
    assert_int_equal(cp_work_new(&work, plan), CP_OK);
    cp_tensor outputs[2];
    const int n = cp_net_outputs(net);
    assert_in_range(n, 1, 2);
    for (int i = 0; i < n; i++) {
        const cp_shape shape = cp_plan_output_shape(plan, i);
        outputs[i] = cp_view(calloc((size_t)cp_shape_count(shape), sizeof(float)), CP_F32, shape);
    }
    assert_int_equal(cp_plan_run(plan, work, &input, 1, outputs, n), CP_OK);
    *steps = cp_plan_steps(plan);
    *count = cp_shape_count(outputs[0].shape);
    if (n == 2) free(outputs[1].data);
    cp_work_free(work);
    cp_plan_free(plan);
    return outputs[0].data;
}

/* The same numbers, and how many steps fewer. */
static int compare(const cp_net *net) {
    int steps, folded_steps;
    int64_t count, folded_count;
    float *plain = answer(net, false, &steps, &count), *folded = answer(net, true, &folded_steps, &folded_count);
    double distance = 0, size = 0;
    assert_int_equal(count, folded_count);
    for (int64_t e = 0; e < count; e++) {
        distance += pow((double)plain[e] - (double)folded[e], 2);
        size += pow((double)plain[e], 2);
    }
    assert_true(size > 0 && sqrt(distance / size) < 1e-5);
    free(plain);
    free(folded);
    return steps - folded_steps;
}

static void folded_where_it_can_be(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int fewer;
    } cases[] = {
        {"conv 4 3x3 same; batch-norm", 1},
        {"conv 4 3x3 same; batch-norm; relu", 2},
        {"conv 6 3x3 same groups 3; batch-norm epsilon 0.1; relu; conv 4 1x1; batch-norm; tanh", 3},
        {"flatten; dense 7; batch-norm; relu; dense 3", 2},
        {"conv 4 3x3 same relu; batch-norm", 0},
        {"batch-norm; conv 4 3x3", 0},
        {"conv-transpose 4 3x3; batch-norm", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_net *net = new_net(cases[i].text);
        const int fewer = compare(net);
        if (fewer != cases[i].fewer) fail_msg("%s: %d steps fewer", cases[i].text, fewer);
        cp_net_free(net);
    }
}

/* What somebody else reads stays as it is, and so does the net. */
static void readers_keep_what_they_read(void **state) {
    (void)state;
    cp_net *net = new_net("conv 4 3x3 same; batch-norm; tanh");
    const cp_node conv = net->nodes[0].out[0], norm = net->nodes[1].out[0];
    cp_net_output(net, conv, "conv");
    assert_int_equal(compare(net), 0);
    cp_net_free(net);
    net = new_net("conv 4 3x3 same; batch-norm; relu");
    assert_true(cp_net_add(net, net->nodes[1].out[0], net->nodes[2].out[0]) != 0);
    net->outputs[0].value = net->nodes[3].out[0];
    assert_int_equal(compare(net), 1); /* the sum needs what is before the relu, too */
    assert_int_equal(net->nodes[0].attributes.conv.activation, CP_LINEAR);
    assert_int_equal(net->nodes[1].in[0], conv);
    assert_int_equal(net->nodes[2].in[0], norm);
    cp_net_free(net);
}

static void not_in_training(void **state) {
    (void)state;
    cp_plan *plan = (cp_plan *)&plan;
    cp_net *net = new_net("conv 4 3x3 same; batch-norm");
    assert_int_equal(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.fold_batch_norm = true, .training = true}),
                     CP_E_ARG);
    assert_string_equal(cp_error(), "batch normalisation cannot be folded in training");
    assert_null(plan);
    cp_net_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded_where_it_can_be),
        cmocka_unit_test(readers_keep_what_they_read),
        cmocka_unit_test(not_in_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
