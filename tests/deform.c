/* Deformable convolution on numbers worked out by hand: where taps look, what is outside, masks, groups of offsets,
 * what is refused; the layer with offsets of its own. */
#include <convpool.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const float nine[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

/* Runs a net of one input and one output. */
static void run(cp_net *net, const cp_tensor *x, const float *expected, int64_t count) {
    float y[64];
    cp_plan *plan;
    cp_work *work;
    if (cp_net_error(net, NULL)) fail_msg("%s", cp_error());
    assert_int_equal(cp_net_plan(&plan, NULL, net, NULL), CP_OK);
    assert_int_equal(cp_work_new(&work, plan), CP_OK);
    assert_int_equal(cp_shape_count(cp_plan_output_shape(plan, 0)), count);
    const cp_tensor to = cp_view(y, CP_F32, cp_plan_output_shape(plan, 0));
    assert_int_equal(cp_plan_run(plan, work, x, 1, &to, 1), CP_OK);
    for (int64_t i = 0; i < count; i++)
        if (isnan(expected[i]) ? !isnan(y[i]) : !(fabsf(y[i] - expected[i]) <= 1e-5f * (1 + fabsf(expected[i]))))
            fail_msg("number %lld is %.9g instead of %.9g", (long long)i, (double)y[i], (double)expected[i]);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_net_free(net);
}

static cp_net *new_net(void) {
    cp_net *net;
    assert_int_equal(cp_net_new(&net), CP_OK);
    return net;
}

/* A kernel of 1x1 and weight 1 over nine pixels shows what is seen; offset: y, x of each output. */
static void see(const float offset[18], const float *mask, const float expected[9]) {
    cp_net *net = new_net();
    const float one = 1;
    const cp_tensor x = cp_nhwc(nine, 1, 3, 3, 1), w = cp_hwio(&one, 1, 1, 1, 1);
    const cp_tensor offsets = cp_nhwc(offset, 1, 3, 3, 2), masks = cp_nhwc(mask, 1, 3, 3, 1);
    const cp_node in = cp_net_input(net, "x", CP_F32, x.shape), weights = cp_net_constant(net, "w", &w);
    const cp_node at = cp_net_constant(net, "offset", &offsets);
    cp_net_output(
        net, cp_net_deform_conv_with(net, in, weights, at, mask ? cp_net_constant(net, "mask", &masks) : 0, 0, NULL),
        "y");
    run(net, &x, expected, 9);
}

static void where_taps_look(void **state) {
    (void)state;
    const float none[18] = {0},
                half_down[18] = {0.5f, 0, 0.5f, 0, 0.5f, 0, 0.5f, 0, 0.5f, 0, 0.5f, 0, 0.5f, 0, 0.5f, 0, 0.5f, 0};
    see(none, NULL, nine);
    /* the last row is half outside, where zeros are */
    see(half_down, NULL, (const float[]){2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f, 3.5f, 4, 4.5f});
    /* to the right, across the edge, between four, far away, and back from there; y comes first */
    const float various[18] = {0, 1, 0, 1.25f, -0.5f, 0, 0.5f, 0.5f, 1e30f, 0, -1, -2, -3.5f, 0, 0, -1.75f, -2, -2};
    see(various, NULL, (const float[]){2, 0.75f * 3, 1.5f, (4 + 5 + 7 + 8) / 4.f, 0, 1, 0, 0.25f * 7, 1});
    const float odd[18] = {NAN, 0, INFINITY, 0, 0, -INFINITY};
    see(odd, NULL, (const float[]){NAN, 0, 0, 4, 5, 6, 7, 8, 9});
}

static void masks(void **state) {
    (void)state;
    const float none[18] = {0}, mask[9] = {0, 1, 2, -1, 0.5f, 0, 0, 0, 1};
    see(none, mask, (const float[]){0, 2, 6, -4, 2.5f, 0, 0, 0, 9});
}

/* Two channels, each with offsets of its own; stride, padding and a bias as of any convolution. */
static void groups_of_offsets(void **state) {
    (void)state;
    const float x[] = {1, 10, 2, 20, 3, 30, 4, 40}, w[] = {1, 1, 2, 2}, b[] = {100};
    /* for each output: group 0 tap 0, tap 1; group 1 tap 0, tap 1 */
    const float offset[] = {1, 0, 0, 0, 0, 0, 0, 0.5f};
    const cp_tensor tx = cp_view(x, CP_F32, cp_shape_of(3, (int64_t[]){1, 4, 2}));
    const cp_tensor tw = cp_view(w, CP_F32, cp_shape_of(3, (int64_t[]){2, 2, 1})), tb = cp_vec(b, 1);
    const cp_tensor to = cp_view(offset, CP_F32, cp_shape_of(3, (int64_t[]){1, 2, 4}));
    const cp_conv conv = {.stride = {2}, .pad_before = {0}, .pad_after = {1}, .offset_groups = 2};
    cp_net *net = new_net();
    const cp_node in = cp_net_input(net, "x", CP_F32, tx.shape), weights = cp_net_constant(net, "w", &tw);
    const cp_node at = cp_net_constant(net, "offset", &to), bias = cp_net_constant(net, "b", &tb);
    cp_net_output(net, cp_net_deform_conv_with(net, in, weights, at, 0, bias, &conv), "y");
    /* output 0: 2 + 2*2 of channel 0, 10 + 2*20 of channel 1; output 1: 3 + 2*4, 30 + 2*(40 + 0)/2 */
    run(net, &tx, (const float[]){156, 181}, 2);
}

static void refused(cp_shape offset, cp_shape mask, int64_t offset_groups, cp_pad_values values, const char *text) {
    cp_net *net = new_net();
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 5, 5, 4));
    const cp_node w = cp_net_input(net, "w", CP_F32, cp_shape_nhwc(3, 3, 4, 2));
    const cp_node o = cp_net_input(net, "o", CP_F32, offset), m = mask.rank ? cp_net_input(net, "m", CP_F32, mask) : 0;
    const cp_conv conv = {.pad = CP_PAD_SAME, .pad_values = values, .offset_groups = offset_groups};
    assert_int_equal(cp_net_deform_conv_with(net, x, w, o, m, 0, &conv), 0);
    assert_string_equal(cp_error(), text);
    cp_net_free(net);
}

static void refusals(void **state) {
    const cp_shape none = {0}, right = cp_shape_nhwc(1, 5, 5, 18);
    (void)state;
    refused(cp_shape_nhwc(1, 5, 5, 9), none, 0, CP_PAD_CONSTANT,
            "deform-conv1: offset is 1x5x5x9, what the windows need is 1x5x5x18");
    refused(cp_shape_nhwc(1, 3, 3, 18), none, 0, CP_PAD_CONSTANT,
            "deform-conv1: offset is 1x3x3x18, what the windows need is 1x5x5x18");
    refused(right, cp_shape_nhwc(1, 5, 5, 18), 0, CP_PAD_CONSTANT,
            "deform-conv1: mask is 1x5x5x18, what the windows need is 1x5x5x9");
    refused(right, none, 3, CP_PAD_CONSTANT, "deform-conv1: offset_groups = 3 does not divide 4 input channels");
    refused(right, none, -1, CP_PAD_CONSTANT, "deform-conv1: offset_groups = -1: must be at least 1");
    refused(right, none, 0, CP_PAD_REFLECT,
            "deform-conv1: the padding of a deformable convolution is zeros: pad the input before");
    cp_net *net = new_net();
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 5, 5, 4));
    assert_int_equal(cp_net_conv(net, x, 2, &(cp_conv){.kernel = {3, 3}, .offset_groups = 2}), 0);
    assert_string_equal(cp_error(), "conv1: offset_groups belongs to deformable convolutions");
    cp_net_free(net);
}

/* With offsets that a convolution gives, which begin at 0, it begins as a plain convolution (modulated: as half of it).
 */
static void begins_as_a_convolution(void **state) {
    (void)state;
    for (int modulated = 0; modulated < 2; modulated++) {
        cp_net *net = new_net();
        const cp_tensor x = cp_nhwc(nine, 1, 3, 3, 1);
        const cp_node in = cp_net_input(net, "x", CP_F32, x.shape);
        const cp_node y =
            cp_net_parse(net, in, modulated ? "deform-conv 1 3x3 same modulated" : "deform-conv 1 3x3 same");
        cp_net_output(net, y, "y");
        assert_int_equal(cp_net_initialize(net, CP_GLOROT, 1), CP_OK);
        assert_int_equal(cp_net_parameters(net), 4);
        assert_string_equal(cp_net_parameter_name(net, 0), "deform-conv1.offset.weight");
        assert_string_equal(cp_net_parameter_name(net, 2), "deform-conv1.weight");
        assert_int_equal(cp_net_parameter(net, 0).shape.dim[3], modulated ? 27 : 18);
        float *w = cp_net_parameter(net, 2).data;
        for (int i = 0; i < 9; i++) w[i] = 1;
        const float sums[] = {12, 21, 16, 27, 45, 33, 24, 39, 28};
        float expected[9];
        for (int i = 0; i < 9; i++) expected[i] = modulated ? sums[i] / 2 : sums[i];
        run(net, &x, expected, 9);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_taps_look),         cmocka_unit_test(masks),
        cmocka_unit_test(groups_of_offsets),       cmocka_unit_test(refusals),
        cmocka_unit_test(begins_as_a_convolution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
