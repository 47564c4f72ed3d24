/* What moves pixels: matrices of windows, padding, resizing, pixel shuffle. Numbers worked out by hand, the same after
 * a layer was written as words and into a file, and what is refused. */
#include <convpool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { MOST = 256 };

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = { __VA_ARGS__ }                             \
    }

static cp_net *net_of(const char *text, cp_shape x) {
    cp_net *net;
    assert_int_equal(cp_net_new(&net), CP_OK);
    cp_net_output(net, cp_net_parse(net, cp_net_input(net, "x", CP_F32, x), text), "y");
    if (cp_net_error(net, NULL)) fail_msg("%s: %s", text, cp_error());
    return net;
}

/* The output of a net for x; its shape. */
static cp_shape run(const cp_net *net, cp_shape x, const float *values, float y[MOST]) {
    cp_plan *plan;
    cp_work *work;
    assert_int_equal(cp_net_plan(&plan, NULL, net, NULL), CP_OK);
    const cp_shape shape = cp_plan_output_shape(plan, 0);
    assert_in_range(cp_shape_count(shape), 1, MOST);
    const cp_tensor in = cp_view(values, CP_F32, x), out = cp_view(y, CP_F32, shape);
    assert_int_equal(cp_work_new(&work, plan), CP_OK);
    assert_int_equal(cp_plan_run(plan, work, &in, 1, &out, 1), CP_OK);
    cp_work_free(work);
    cp_plan_free(plan);
    return shape;
}

static void compare(const char *text, cp_shape shape, const float *y, cp_shape expected_shape, const float *expected) {
    char a[CP_SHAPE_TEXT], b[CP_SHAPE_TEXT];
    assert_string_equal(cp_shape_text(shape, a), cp_shape_text(expected_shape, b));
    for (int64_t i = 0; i < cp_shape_count(shape); i++)
        if (!(y[i] >= expected[i] - 1e-6F && y[i] <= expected[i] + 1e-6F))
            fail_msg("%s: y[%lld] = %g instead of %g", text, (long long)i, (double)y[i], (double)expected[i]);
}

/* The layer that a net's only layer describes itself as. */
static cp_net *net_of_words(const cp_net *net, cp_shape x) {
    cp_layer layer;
    char text[200];
    assert_int_equal(cp_net_layer(net, cp_net_layers(net) - 1, &layer), CP_OK);
    snprintf(text, sizeof text, "%s %s", layer.op, layer.detail);
    return net_of(text, x);
}

static cp_net *net_of_file(const cp_net *net) {
    char path[] = "/tmp/convpool-movements-XXXXXX";
    cp_net *loaded;
    const int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    if (cp_net_save(net, path)) fail_msg("%s", cp_error());
    if (cp_net_load(&loaded, path)) fail_msg("%s", cp_error());
    unlink(path);
    return loaded;
}

typedef struct example {
    const char *text;
    cp_shape x;
    const float *values;
    cp_shape y;
    const float *expected;
} example;

static void check(const example *e) {
    cp_net *net = net_of(e->text, e->x), *words = net_of_words(net, e->x), *file = net_of_file(net);
    cp_net *const nets[] = {net, words, file};
    for (int i = 0; i < 3; i++) {
        float y[MOST];
        const cp_shape shape = run(nets[i], e->x, e->values, y);
        compare(e->text, shape, y, e->y, e->expected);
        cp_net_free(nets[i]);
    }
}

#define FLOATS(...) ((const float[]){__VA_ARGS__})

static const float count9[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}; /* 3x3 */

static void matrices(void **state) {
    const example examples[] = {
        {"im2col 2x2", SHAPE(1, 3, 3, 1), count9, SHAPE(1, 4, 4),
         FLOATS(1, 2, 4, 5, 2, 3, 5, 6, 4, 5, 7, 8, 5, 6, 8, 9)},
        {"im2col 3 stride 2 pad 1", SHAPE(1, 3, 2), FLOATS(1, 10, 2, 20, 3, 30), SHAPE(1, 2, 6),
         FLOATS(0, 0, 1, 10, 2, 20, 2, 20, 3, 30, 0, 0)},
        {"col2im 2x2 size 3x3", SHAPE(1, 4, 4), FLOATS(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
         SHAPE(1, 3, 3, 1), FLOATS(1, 2, 1, 2, 4, 2, 1, 2, 1)},
        {"col2im 2 size 5 stride 2 dilation 2 pad 1,0", SHAPE(1, 2, 2), FLOATS(1, 2, 3, 4), SHAPE(1, 5, 1),
         FLOATS(0, 5, 0, 4, 0)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) check(&examples[i]);
}

static void paddings(void **state) {
    const float *const line = FLOATS(1, 2, 3);
    const example examples[] = {
        {"pad 2,1 constant -0.5", SHAPE(1, 3, 1), line, SHAPE(1, 6, 1), FLOATS(-0.5F, -0.5F, 1, 2, 3, -0.5F)},
        {"pad 2,1 reflect", SHAPE(1, 3, 1), line, SHAPE(1, 6, 1), FLOATS(3, 2, 1, 2, 3, 2)},
        {"pad 4,1 replicate", SHAPE(1, 3, 1), line, SHAPE(1, 8, 1), FLOATS(1, 1, 1, 1, 1, 2, 3, 3)},
        {"pad 3,1 circular", SHAPE(1, 3, 1), line, SHAPE(1, 7, 1), FLOATS(1, 2, 3, 1, 2, 3, 1)},
        {"pad 1,0,0,2 reflect", SHAPE(1, 2, 3, 1), FLOATS(1, 2, 3, 4, 5, 6), SHAPE(1, 3, 5, 1),
         FLOATS(4, 5, 6, 5, 4, 1, 2, 3, 2, 1, 4, 5, 6, 5, 4)},
        {"pad 0,1,0,0,1,0 circular", SHAPE(1, 1, 2, 1, 2), FLOATS(1, 2, 3, 4), SHAPE(1, 1, 4, 1, 2),
         FLOATS(3, 4, 1, 2, 3, 4, 1, 2)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) check(&examples[i]);
}

/* The numbers of ONNX's node tests for Resize are among these. */
static void resizings(void **state) {
    const float *const square = FLOATS(1, 2, 3, 4), *const line = FLOATS(1, 2, 3, 4);
    const example examples[] = {
        {"resize scale 2x3 asymmetric floor", SHAPE(1, 2, 2, 1), square, SHAPE(1, 4, 6, 1),
         FLOATS(1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4)},
        {"resize scale 2 linear", SHAPE(1, 2, 2, 1), square, SHAPE(1, 4, 4, 1),
         FLOATS(1, 1.25F, 1.75F, 2, 1.5F, 1.75F, 2.25F, 2.5F, 2.5F, 2.75F, 3.25F, 3.5F, 3, 3.25F, 3.75F, 4)},
        {"resize scale 2 cubic", SHAPE(1, 4, 1), line, SHAPE(1, 8, 1),
         FLOATS(0.89453125F, 1.19140625F, 1.66796875F, 2.296875F, 2.703125F, 3.33203125F, 3.80859375F, 4.10546875F)},
        {"resize scale 0.6 linear half_pixel_symmetric", SHAPE(1, 4, 1), line, SHAPE(1, 2, 1),
         FLOATS(5 / 3.0F, 10 / 3.0F)},
        {"resize scale 0.6 linear antialias", SHAPE(1, 4, 1), line, SHAPE(1, 2, 1), FLOATS(1.375F, 3)},
        {"resize size 4 linear align_corners", SHAPE(1, 2, 1), FLOATS(0, 3), SHAPE(1, 4, 1), FLOATS(0, 1, 2, 3)},
        {"resize scale 0.5 linear", SHAPE(1, 4, 1), line, SHAPE(1, 2, 1), FLOATS(1.5F, 3.5F)},
        {"resize size 1 linear pytorch_half_pixel", SHAPE(1, 4, 1), line, SHAPE(1, 1, 1), FLOATS(1)},
        {"resize size 1 linear half_pixel", SHAPE(1, 4, 1), line, SHAPE(1, 1, 1), FLOATS(2.5F)},
        {"resize size 2 round_prefer_floor", SHAPE(1, 4, 1), line, SHAPE(1, 2, 1), FLOATS(1, 3)},
        {"resize size 2 round_prefer_ceil", SHAPE(1, 4, 1), line, SHAPE(1, 2, 1), FLOATS(2, 4)},
        {"resize size 3 floor align_corners", SHAPE(1, 4, 1), line, SHAPE(1, 3, 1), FLOATS(1, 2, 4)},
        {"resize size 3 ceil align_corners", SHAPE(1, 4, 1), line, SHAPE(1, 3, 1), FLOATS(1, 3, 4)},
        /* onnxruntime rounds 7 * (0.5 / 7 ..) down to 2.9999998 and takes the third. */
        {"resize size 1 floor", SHAPE(1, 7, 1), FLOATS(1, 2, 3, 4, 5, 6, 7), SHAPE(1, 1, 1), FLOATS(4)},
        /* Seven of ten, though the float is less than 0.7. */
        {"resize scale 0.7 asymmetric floor", SHAPE(1, 10, 1), FLOATS(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), SHAPE(1, 7, 1),
         FLOATS(0, 1, 2, 4, 5, 7, 8)},
        /* onnxruntime gives the input where the sizes are the same, whatever the scale. */
        {"resize scale 1.25 linear", SHAPE(1, 3, 1), FLOATS(0, 10, 20), SHAPE(1, 3, 1), FLOATS(0, 7, 15)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) check(&examples[i]);
}

static void shuffles(void **state) {
    const float *const deep = FLOATS(0, 1, 2, 3, 4, 5, 6, 7);
    const example examples[] = {
        {"depth-to-space 2", SHAPE(1, 1, 1, 8), deep, SHAPE(1, 2, 2, 2), FLOATS(0, 1, 2, 3, 4, 5, 6, 7)},
        {"depth-to-space 2 crd", SHAPE(1, 1, 1, 8), deep, SHAPE(1, 2, 2, 2), FLOATS(0, 4, 1, 5, 2, 6, 3, 7)},
        {"depth-to-space 2", SHAPE(1, 1, 2, 4), deep, SHAPE(1, 2, 4, 1), FLOATS(0, 1, 4, 5, 2, 3, 6, 7)},
        {"space-to-depth 2", SHAPE(1, 2, 4, 1), deep, SHAPE(1, 1, 2, 4), FLOATS(0, 1, 4, 5, 2, 3, 6, 7)},
        {"space-to-depth 2 crd", SHAPE(1, 2, 2, 2), deep, SHAPE(1, 1, 1, 8), FLOATS(0, 2, 4, 6, 1, 3, 5, 7)},
        {"space-to-depth 2", SHAPE(1, 4, 2), deep, SHAPE(1, 2, 4), FLOATS(0, 1, 2, 3, 4, 5, 6, 7)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) check(&examples[i]);
}

/* A padded tap is a real tap: sums of three, the ends from other values each time. */
static void convolutions_with_values(void **state) {
    static const struct {
        cp_pad_values values;
        float y[4];
    } cases[] = {{CP_PAD_CONSTANT, {3, 6, 9, 7}},
                 {CP_PAD_REFLECT, {5, 6, 9, 10}},
                 {CP_PAD_REPLICATE, {4, 6, 9, 11}},
                 {CP_PAD_CIRCULAR, {7, 6, 9, 8}}};
    const float x[] = {1, 2, 3, 4}, w[] = {1, 1, 1}, ones[] = {1, 1, 1, 1};
    const cp_shape line = SHAPE(1, 4, 1), kernel = SHAPE(3, 1, 1);
    const cp_tensor vx = cp_view(x, CP_F32, line), vw = cp_view(w, CP_F32, kernel), vdy = cp_view(ones, CP_F32, line);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cp_conv conv = {.pad = CP_PAD_SAME, .pad_values = cases[i].values};
        float y[4], dw[3];
        const cp_tensor vy = cp_view(y, CP_F32, line), vdw = cp_view(dw, CP_F32, kernel);
        assert_int_equal(cp_conv_run(NULL, &conv, &vx, &vw, NULL, &vy), CP_OK);
        compare("conv", line, y, line, cases[i].y);
        /* dw[t] is the sum of what tap t sees. */
        const float before[] = {0, 2, 1, 4}, behind[] = {0, 3, 4, 1};
        assert_int_equal(cp_conv_gradient(NULL, &conv, &vx, &vw, NULL, &vdy, NULL, &vdw, NULL), CP_OK);
        compare("dw", kernel, dw, kernel, FLOATS(before[i] + 6, 10, 9 + behind[i]));
    }
}

static void poolings_with_values(void **state) {
    const cp_shape line = SHAPE(1, 4, 1);
    const float x[] = {1, 2, 3, 9};
    const struct {
        const char *text;
        float y[4];
    } cases[] = {{"max-pool 3 stride 1 same circular", {9, 3, 9, 9}},
                 {"max-pool 3 stride 1 same reflect", {2, 3, 9, 9}},
                 {"avg-pool 3 stride 1 same reflect", {5.0F / 3, 2, 14.0F / 3, 5}},
                 {"avg-pool 3 stride 1 pad 1 replicate", {4.0F / 3, 2, 14.0F / 3, 7}}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float y[MOST];
        cp_net *net = net_of(cases[i].text, line);
        compare(cases[i].text, run(net, line, x, y), y, line, cases[i].y);
        cp_net_free(net);
    }
}

/* Windows {1,2}, {2,3} with weights of their own. */
static void locally_connected(void **state) {
    const float x[] = {1, 2, 3}, w[] = {1, 10, 100, 1000}, b[] = {0.5F};
    const cp_shape line = SHAPE(1, 3, 1);
    cp_net *net;
    float y[MOST];
    (void)state;
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node in = cp_net_input(net, "x", CP_F32, line);
    const cp_tensor vw = cp_view(w, CP_F32, (cp_shape)SHAPE(2, 2, 1)), vb = cp_vec(b, 1);
    const cp_node weights = cp_net_constant(net, "w", &vw), bias = cp_net_constant(net, "b", &vb);
    cp_net_output(net, cp_net_local_conv_with(net, in, weights, bias, &(cp_conv){.kernel = {2}}), "y");
    compare("local-conv", run(net, line, x, y), y, (cp_shape)SHAPE(1, 2, 1), FLOATS(21.5F, 3200.5F));
    cp_net_free(net);

    net = net_of("local-conv 2 2x3 same stride 2 relu", (cp_shape)SHAPE(1, 4, 4, 3));
    assert_string_equal(cp_net_parameter_name(net, 0), "local-conv1.weight");
    char text[CP_SHAPE_TEXT];
    assert_string_equal(cp_shape_text(cp_net_parameter(net, 0).shape, text), "4x18x2");
    cp_net *const loaded = net_of_file(net);
    assert_string_equal(cp_shape_text(cp_net_shape(loaded, cp_net_output_node(loaded, 0)), text), "1x2x2x2");
    cp_net_free(loaded);
    cp_net_free(net);
}

/* Layers whose inputs are more than what comes before them survive a file: positions of maxima, missing biases, masks.
 */
static void saved(void **state) {
    static const struct {
        const char *text;
        cp_shape x;
    } cases[] = {
        {"max-pool 2; conv 2 3x3 same; max-unpool; conv 1 1x1", SHAPE(1, 6, 4, 2)},
        {"adaptive-max-pool 2x3; max-unpool", SHAPE(1, 6, 4, 2)},
        {"deform-conv 3 3x3 same modulated offset_groups 2 relu", SHAPE(1, 4, 5, 2)},
        {"pyramid-avg-pool 1,2; dense 2", SHAPE(1, 4, 5, 2)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float x[64], before[MOST], after[MOST];
        cp_net *net = net_of(cases[i].text, cases[i].x);
        for (int e = 0; e < 64; e++) x[e] = (float)(e * 7 % 13) / 3 - 2;
        assert_int_equal(cp_net_initialize(net, CP_GLOROT, 2), CP_OK);
        cp_net *const loaded = net_of_file(net);
        const cp_shape y = run(net, cases[i].x, x, before);
        compare(cases[i].text, run(loaded, cases[i].x, x, after), after, y, before);
        cp_net_free(loaded);
        cp_net_free(net);
    }
    /* a mask, and no bias before it */
    cp_net *net;
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 2, 2, 1));
    const cp_node w = cp_net_input(net, "w", CP_F32, cp_shape_nhwc(1, 1, 1, 1));
    const cp_node o = cp_net_input(net, "o", CP_F32, cp_shape_nhwc(1, 2, 2, 2));
    const cp_node m = cp_net_input(net, "m", CP_F32, cp_shape_nhwc(1, 2, 2, 1));
    cp_net_output(net, cp_net_deform_conv_with(net, x, w, o, m, 0, NULL), "y");
    cp_net *const loaded = net_of_file(net);
    assert_string_equal(cp_net_input_name(loaded, 3), "m");
    cp_net_free(loaded);
    cp_net_free(net);
}

/* --- refused --- */

static void check_refused(const char *text, cp_shape x, const char *reason) {
    cp_net *net;
    const char *told;
    assert_int_equal(cp_net_new(&net), CP_OK);
    assert_int_equal(cp_net_parse(net, cp_net_input(net, "x", CP_F32, x), text), 0);
    assert_int_not_equal(cp_net_error(net, &told), CP_OK);
    if (!strstr(told, reason)) fail_msg("%s: '%s' instead of '%s'", text, told, reason);
    cp_net_free(net);
}

static void refused(void **state) {
    static const struct {
        const char *text;
        cp_shape x;
        const char *reason;
    } cases[] = {
        {"im2col 5x5", SHAPE(1, 3, 3, 1),
         "kernel of 5 is larger than the padded input of 3: output height would be -1"},
        {"im2col", SHAPE(1, 3, 3, 1), "something is missing"},
        {"col2im 2x2 size 3x3", SHAPE(1, 5, 4), "input is 1x5x4, the windows' matrix is 1x4x4"},
        {"col2im 2x2 size 3x3", SHAPE(1, 4, 6), "6 columns are no multiple of 4 taps"},
        {"col2im 2x2", SHAPE(1, 4, 4), "size[0] = 0: must be at least 1"},
        {"col2im 2x2 size 3x3", SHAPE(1, 3, 3, 1), "input must have 3 dimensions, has 4"},
        {"pad 3,0 reflect", SHAPE(1, 3, 1), "pad_before[0] = 3: reflected padding must be less than the input (3)"},
        {"pad 0,4 circular", SHAPE(1, 3, 1), "pad_after[0] = 4: circular padding must not be more than the input (3)"},
        {"pad 1 reflect constant 2", SHAPE(1, 3, 1), "a constant is given, and padding with values of the input"},
        {"pad 1", SHAPE(1, 3), "needs spatial axes"},
        {"resize", SHAPE(1, 3, 1), "neither size nor scale is given"},
        {"resize size 3 scale 2", SHAPE(1, 3, 1), "size and scale together"},
        {"resize scale 0.1", SHAPE(1, 3, 1), "output along axis 0 would be 0"},
        {"resize scale -1", SHAPE(1, 3, 1), "scale[0] = -1: must be a number above 0"},
        {"resize scale 1e30", SHAPE(1, 3, 1), "the output along axis 0 overflows"},
        {"resize scale 1x2x3", SHAPE(1, 3, 3, 1), "'1x2x3' is not possible here"},
        {"depth-to-space 2", SHAPE(1, 3, 3, 6), "blocks of 4 pixels do not divide 6 channels"},
        {"space-to-depth 2", SHAPE(1, 4, 3, 1), "block = 2 does not divide 3 pixels along axis 1"},
        {"max-pool 2 ceil pad 1 circular", SHAPE(1, 5, 1), "pad_values and ceil_mode together"},
        {"max-pool 2; max-unpool; max-unpool", SHAPE(1, 4, 1), "no maximum was pooled before that is not undone"},
        {"max-pool 2; conv 3 1; max-unpool", SHAPE(1, 4, 1), "positions is 1x2x1, input is 1x2x3"},
        {"pyramid-max-pool 1,0", SHAPE(1, 4, 1), "how many positions each level has"},
        {"deform-conv 2 3 modulate", SHAPE(1, 4, 1), "modulated"},
        {"local-conv 2 2 groups 2", SHAPE(1, 5, 2), "groups"},
        {"conv 1 5 same reflect", SHAPE(1, 2, 1), "reflected padding must be less than the input (2)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_refused(cases[i].text, cases[i].x, cases[i].reason);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices),
        cmocka_unit_test(paddings),
        cmocka_unit_test(resizings),
        cmocka_unit_test(shuffles),
        cmocka_unit_test(refused),
        cmocka_unit_test(saved),
        cmocka_unit_test(poolings_with_values),
        cmocka_unit_test(locally_connected),
        cmocka_unit_test(convolutions_with_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
