/* Input that no caller should give: impossible geometries, sizes that overflow, NULL, tensors of the wrong kind, nets
 * that cannot be, texts with mistakes, limits. Each has its status and its sentence, through every door that leads
 * there. Bad files are in files_*.c, data.c, model_files.c and checkpoints.c, bad options of training in train.c, of
 * contexts in context.c. */
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BIG ((int64_t)1 << 40)
#define HUGE_SIZE ((int64_t)1 << 62)
#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {                                                          \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }

static float numbers[1 << 16];

static int fill_numbers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) numbers[i] = (float)(i * 7 % 31) / 16 - 1;
    return 0;
}

static cp_net *new_net(void) {
    cp_net *net;
    ok(cp_net_new(&net));
    return net;
}

/* What a net that must have failed says, as this thread's error; frees the net. */
static cp_status net_status(cp_net *net) {
    const char *text;
    const cp_status status = cp_net_error(net, &text);
    assert_string_equal(text, cp_error());
    cp_net_free(net);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Geometries
 * ------------------------------------------------------------------------------------------------------------- */

typedef struct conv_case {
    cp_conv conv;
    cp_shape x, w;
    cp_status status;
    const char *text;
} conv_case;

#define PLAIN                                                                                                          \
    { .groups = 0 }
#define X SHAPE(1, 8, 8, 64)
#define W SHAPE(3, 3, 64, 32)
#define T SHAPE(3, 3, 32, 64)

static const conv_case bad_convolutions[] = {
    {{.stride = {0, 1}}, X, W, CP_E_ARG, "stride[0] = 0: must be at least 1"},
    {{.stride = {1, -2}}, X, W, CP_E_ARG, "stride[1] = -2: must be at least 1"},
    {{.stride = {1, INT64_MIN}}, X, W, CP_E_ARG, "must be at least 1"},
    {{.stride = {1, 1, 1}}, X, W, CP_E_ARG, "stride[2] = 1: the input has only 2 spatial dimensions"},
    {{.stride = {2}}, X, W, CP_E_ARG, "stride[1] = 0: must be at least 1"},
    {{.dilation = {0, 1}}, X, W, CP_E_ARG, "dilation[0] = 0: must be at least 1"},
    {{.dilation = {-1, 1}}, X, W, CP_E_ARG, "dilation[0] = -1: must be at least 1"},
    {{.dilation = {HUGE_SIZE, 1}}, X, W, CP_E_SHAPE, "effective kernel (3-1)*4611686018427387904+1 along the height"},
    {{.dilation = {INT32_MAX, 1}}, X, W, CP_E_SHAPE, "kernel of 4294967295 is larger than the padded input of 8"},
    {{.pad_before = {0, -1}}, X, W, CP_E_ARG, "pad_before[1] = -1: must not be negative"},
    {{.pad_after = {INT64_MIN, 0}}, X, W, CP_E_ARG, "must not be negative"},
    {{.pad_after = {0, 0, 1}}, X, W, CP_E_ARG, "pad_after[2] = 1: the input has only 2 spatial dimensions"},
    {{.pad_before = {INT64_MAX, 0}}, X, W, CP_E_SHAPE, "padded input along the height overflows"},
    {{.pad_before = {BIG, BIG}}, X, W, CP_E_SHAPE, "overflows"},
    {{.pad = CP_PAD_SAME, .pad_after = {1, 1}}, X, W, CP_E_ARG, "pad SAME and explicit padding together"},
    {{.pad = (cp_pad)17}, X, W, CP_E_ARG, "pad = 17: no such padding"},
    {{.activation = (cp_activation)99}, X, W, CP_E_ARG, "activation"},
    {{.groups = -1}, X, W, CP_E_ARG, "groups = -1: must be at least 1"},
    {{.groups = INT64_MIN}, X, W, CP_E_ARG, "must be at least 1"},
    {{.groups = 3}, X, SHAPE(3, 3, 21, 33), CP_E_SHAPE, "groups = 3 does not divide 64 input channels"},
    {{.groups = 4}, X, SHAPE(3, 3, 16, 30), CP_E_SHAPE, "groups = 4 does not divide 30 filters"},
    {{.groups = 2}, X, W, CP_E_SHAPE, "weights take 64 input channels per group, the input has 32"},
    {{.reserved = {0, 0, 5}}, X, W, CP_E_ARG, "reserved words of a descriptor must be zero"},
    {PLAIN, X, SHAPE(0, 3, 64, 32), CP_E_SHAPE, "weights dimension 0 is 0: must be at least 1"},
    {PLAIN, X, SHAPE(3, 3, 0, 32), CP_E_SHAPE, "weights dimension 2 is 0: must be at least 1"},
    {PLAIN, X, SHAPE(3, 3, 64, 0), CP_E_SHAPE, "weights dimension 3 is 0: must be at least 1"},
    {PLAIN, X, SHAPE(11, 3, 64, 32), CP_E_SHAPE, "output height would be -2"},
    {PLAIN, X, SHAPE(3, 11, 64, 32), CP_E_SHAPE, "output width would be -2"},
    {PLAIN, X, SHAPE(3, 3, 63, 32), CP_E_SHAPE, "weights take 63 input channels, the input has 64"},
    {PLAIN, X, SHAPE(3, 3, 3, 64, 32), CP_E_SHAPE, "weights have 3 spatial dimensions, the input has 2"},
    {PLAIN, X, SHAPE(64, 32), CP_E_SHAPE, "weights need at least 3 dimensions, have 2"},
    {PLAIN, {0}, W, CP_E_SHAPE, "input needs at least 3 dimensions, has 0"},
    {PLAIN, SHAPE(1, 64), W, CP_E_SHAPE, "input needs at least 3 dimensions, has 2"},
    {PLAIN, SHAPE(1, 2, 2, 2, 2, 64), W, CP_E_SHAPE, "input has 4 spatial dimensions: at most 3"},
    {PLAIN, {9, {1}}, W, CP_E_SHAPE, "has 9 dimensions: must be 0 to 8"},
    {PLAIN, {-1, {1}}, W, CP_E_SHAPE, "has -1 dimensions: must be 0 to 8"},
    {PLAIN, {INT32_MAX, {1}}, W, CP_E_SHAPE, "dimensions: must be 0 to 8"},
    {PLAIN, X, {INT32_MIN, {1}}, CP_E_SHAPE, "dimensions: must be 0 to 8"},
    {PLAIN, SHAPE(1, 0, 8, 64), W, CP_E_SHAPE, "dimension "},
    {PLAIN, SHAPE(1, 8, 8, 0), W, CP_E_SHAPE, "dimension "},
    {PLAIN, SHAPE(-536870912, 8, 8, 64), W, CP_E_SHAPE, "dimension 0 is -536870912"},
    {PLAIN, SHAPE(1, 8, -1, 64), W, CP_E_SHAPE, "dimension 2 is -1"},
    {PLAIN, X, SHAPE(3, -3, 64, 32), CP_E_SHAPE, "dimension 1 is -3"},
    {PLAIN, SHAPE(BIG, BIG, 1, 64), W, CP_E_SHAPE, "element count overflows"},
    {PLAIN, SHAPE(HUGE_SIZE, 1, 1, 1), SHAPE(1, 1, 1, 1), CP_E_SHAPE, "byte size overflows"},
    {PLAIN, SHAPE(1, 1, 1, 1), SHAPE(1, 1, 1, HUGE_SIZE), CP_E_SHAPE, "byte size overflows"},
};

/* The same through all doors: the shape, a plan, a call, its gradient, a net. */
static void convolutions(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_convolutions / sizeof *bad_convolutions; i++) {
        const conv_case *c = &bad_convolutions[i];
        const cp_tensor x = cp_view(numbers, CP_F32, c->x), w = cp_view(numbers, CP_F32, c->w);
        char what[80];
        cp_shape shape;
        cp_plan *plan = (cp_plan *)numbers;
        snprintf(what, sizeof what, "convolution %zu", i);
        check_refusal(what, cp_conv_shape(&shape, &c->conv, c->x, c->w), c->status, c->text);
        assert_int_equal(shape.rank, 0);
        if (cp_shape_count(c->w) > (int64_t)(sizeof numbers / sizeof *numbers))
            continue; /* a plan copies the weights */
        check_refusal(what, cp_conv_plan(&plan, NULL, &c->conv, &x, &w, NULL, NULL), c->status, c->text);
        assert_null(plan);
        check_refusal(what, cp_conv_run(NULL, &c->conv, &x, &w, NULL, &x), c->status, c->text);
        check_refusal(what, cp_conv_gradient(NULL, &c->conv, &x, &w, NULL, &x, &x, &w, NULL), c->status, c->text);
        cp_net *net = new_net();
        const cp_node in = cp_net_input(net, "x", CP_F32, c->x);
        cp_net_output(net, cp_net_conv_with(net, in, cp_net_constant(net, "w", &w), 0, &c->conv), "y");
        check_refusal(what, net_status(net), c->status, c->text);
    }
}

/* x is 1x8x8x64, as many as the last dimension of the weights; the result has 32 channels. */
static const conv_case bad_transposed_convolutions[] = {
    {{.stride = {2, 2}, .output_padding = {2, 0}},
     X,
     T,
     CP_E_ARG,
     "output_padding[0] = 2: must be less than max(stride, dilation) = 2"},
    {{.output_padding = {0, 1}}, X, T, CP_E_ARG, "output_padding[1] = 1: must be less than max(stride, dilation) = 1"},
    {{.stride = {2, 2}, .output_padding = {-1, 0}}, X, T, CP_E_ARG, "output_padding[0] = -1: must not be negative"},
    {{.stride = {2, 2}, .output_padding = {0, 0, 1}}, X, T, CP_E_ARG, "the input has only 2 spatial dimensions"},
    {{.stride = {2, 2}, .output_padding = {INT64_MAX, 0}}, X, T, CP_E_ARG, "must be less than"},
    {{.output_size = {-10, 10}}, X, T, CP_E_ARG, "output_size[0] = -10: must be at least 1"},
    {{.output_size = {10, 0}}, X, T, CP_E_ARG, "output_size[1] = 0: must be at least 1"},
    {{.output_size = {INT64_MAX, INT64_MAX}}, X, T, CP_E_SHAPE, "overflows"},
    {{.stride = {0, 1}}, X, T, CP_E_ARG, "stride[0] = 0: must be at least 1"},
    {{.stride = {HUGE_SIZE, 1}}, X, T, CP_E_SHAPE, "the output's height overflows"},
    {{.stride = {1, INT64_MAX}}, X, T, CP_E_SHAPE, "the output's width overflows"},
    {{.stride = {BIG, BIG}}, X, T, CP_E_SHAPE, "overflows"},
    {{.dilation = {1, -1}}, X, T, CP_E_ARG, "dilation[1] = -1: must be at least 1"},
    {{.dilation = {HUGE_SIZE, 1}}, X, T, CP_E_SHAPE, "the output's height overflows"},
    {{.pad_before = {0, -1}}, X, T, CP_E_ARG, "pad_before[1] = -1: must not be negative"},
    {{.pad_before = {5, 5}, .pad_after = {5, 5}}, X, T, CP_E_SHAPE, "output height would be 0"},
    {{.pad_before = {INT64_MAX, 0}}, X, T, CP_E_SHAPE, "output height would be -"},
    {{.pad_before = {INT64_MAX, 0}, .pad_after = {INT64_MAX, 0}}, X, T, CP_E_SHAPE, "padding of the height overflows"},
    {{.pad = CP_PAD_FULL, .dilation = {9, 9}}, X, T, CP_E_SHAPE, "output height would be -"},
    {{.pad = CP_PAD_SAME, .pad_after = {1, 1}}, X, T, CP_E_ARG, "pad SAME and explicit padding together"},
    {{.pad = (cp_pad)17}, X, T, CP_E_ARG, "pad = 17: no such padding"},
    {{.activation = (cp_activation)99}, X, T, CP_E_ARG, "activation"},
    {{.groups = -1}, X, T, CP_E_ARG, "groups = -1: must be at least 1"},
    {{.groups = 3}, X, T, CP_E_SHAPE, "groups = 3 does not divide 64 filters"},
    {{.groups = HUGE_SIZE}, X, T, CP_E_ARG, "groups = 4611686018427387904"},
    {PLAIN, X, SHAPE(3, 3, 32, 63), CP_E_SHAPE, "weights take 63 input channels (their last dimension)"},
    {PLAIN, X, SHAPE(3, 3, 0, 64), CP_E_SHAPE, "weights dimension 2 is 0: must be at least 1"},
    {PLAIN, X, SHAPE(0, 3, 32, 64), CP_E_SHAPE, "weights dimension 0 is 0: must be at least 1"},
    {PLAIN, X, SHAPE(3, 3, 3, 32, 64), CP_E_SHAPE, "weights have 3 spatial dimensions, the input has 2"},
    {PLAIN, X, SHAPE(32, 64), CP_E_SHAPE, "weights need at least 3 dimensions, have 2"},
    {PLAIN, SHAPE(1, 64), T, CP_E_SHAPE, "input needs at least 3 dimensions, has 2"},
    {PLAIN, SHAPE(1, 0, 8, 64), T, CP_E_SHAPE, "dimension "},
    {PLAIN, SHAPE(-536870912, 8, 8, 64), T, CP_E_SHAPE, "dimension 0 is -536870912"},
    {PLAIN, SHAPE(BIG, BIG, 1, 64), T, CP_E_SHAPE, "element count overflows"},
};

static void transposed_convolutions(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_transposed_convolutions / sizeof *bad_transposed_convolutions; i++) {
        const conv_case *c = &bad_transposed_convolutions[i];
        const cp_tensor x = cp_view(numbers, CP_F32, c->x), w = cp_view(numbers, CP_F32, c->w);
        char what[80];
        cp_shape shape;
        snprintf(what, sizeof what, "transposed convolution %zu", i);
        check_refusal(what, cp_conv_transpose_shape(&shape, &c->conv, c->x, c->w), c->status, c->text);
        assert_int_equal(shape.rank, 0);
        check_refusal(what, cp_conv_transpose_run(NULL, &c->conv, &x, &w, NULL, &x), c->status, c->text);
        cp_net *net = new_net();
        const cp_node in = cp_net_input(net, "x", CP_F32, c->x);
        cp_net_output(net, cp_net_conv_transpose_with(net, in, cp_net_constant(net, "w", &w), 0, &c->conv), "y");
        check_refusal(what, net_status(net), c->status, c->text);
    }
}

typedef struct pool_case {
    cp_pool pool;
    cp_shape x;
    cp_status status;
    const char *text;
} pool_case;

static const pool_case bad_poolings[] = {
    {{.kernel = {2, 2}, .stride = {0, 1}}, X, CP_E_ARG, "stride[0] = 0: must be at least 1"},
    {{.kernel = {2, 2}, .stride = {-3, 1}}, X, CP_E_ARG, "stride[0] = -3: must be at least 1"},
    {{.kernel = {2, 2}, .dilation = {1, -1}}, X, CP_E_ARG, "dilation[1] = -1: must be at least 1"},
    {{.kernel = {0, 0}}, X, CP_E_ARG, "kernel[0] = 0: must be at least 1"},
    {{.kernel = {3}}, X, CP_E_ARG, "kernel[1] = 0: must be at least 1"},
    {{.kernel = {3, 3, 3}}, X, CP_E_ARG, "kernel[2] = 3: the input has only 2 spatial dimensions"},
    {{.kernel = {-1, 2}}, X, CP_E_ARG, "kernel[0] = -1: must be at least 1"},
    {{.kernel = {HUGE_SIZE, 2}}, X, CP_E_SHAPE, "is larger than the padded input of 8"},
    {{.kernel = {9, 2}}, X, CP_E_SHAPE, "output height would be 0"},
    {{.kernel = {3, 3}, .pad_before = {5, 0}}, X, CP_E_SHAPE, "pad_before[0] = 5: must be less than the window (3)"},
    {{.kernel = {3, 3}, .pad_after = {0, 3}}, X, CP_E_SHAPE, "pad_after[1] = 3: must be less than the window (3)"},
    {{.kernel = {3, 3}, .pad_after = {0, -3}}, X, CP_E_ARG, "pad_after[1] = -3: must not be negative"},
    {{.kernel = {2, 2}, .pad = CP_PAD_SAME, .ceil_mode = true}, X, CP_E_ARG, "pad SAME and ceil_mode together"},
    {{.kernel = {2, 2}, .pad = (cp_pad)-1}, X, CP_E_ARG, "pad = -1: no such padding"},
    {{.kernel = {2, 2}, .reserved = {1}}, X, CP_E_ARG, "reserved words of a descriptor must be zero"},
    {{.kind = (cp_pooling)7, .kernel = {2, 2}}, X, CP_E_ARG, "kind"},
    {{.global = true, .kernel = {2, 2}}, X, CP_E_ARG, "global pooling sees the whole input: kernel must not be set"},
    {{.global = true, .ceil_mode = true}, X, CP_E_ARG, "global pooling sees the whole input: ceil_mode"},
    {{.kernel = {2, 2}}, SHAPE(8, 64), CP_E_SHAPE, "input needs at least 3 dimensions, has 2"},
    {{.kernel = {2, 2}}, SHAPE(1, 8, 0, 64), CP_E_SHAPE, "dimension "},
    {{.kernel = {2, 2}}, SHAPE(-536870912, 8, 8, 1), CP_E_SHAPE, "dimension 0 is -536870912"},
    {{.kernel = {1, 1}}, SHAPE(BIG, BIG, 1, 1), CP_E_SHAPE, "element count overflows"},
};

static void poolings(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_poolings / sizeof *bad_poolings; i++) {
        const pool_case *c = &bad_poolings[i];
        const cp_tensor x = cp_view(numbers, CP_F32, c->x);
        char what[80];
        cp_shape shape;
        cp_plan *plan = (cp_plan *)numbers;
        snprintf(what, sizeof what, "pooling %zu", i);
        check_refusal(what, cp_pool_shape(&shape, &c->pool, c->x), c->status, c->text);
        assert_int_equal(shape.rank, 0);
        check_refusal(what, cp_pool_plan(&plan, NULL, &c->pool, &x, NULL), c->status, c->text);
        assert_null(plan);
        check_refusal(what, cp_pool_run(NULL, &c->pool, &x, &x), c->status, c->text);
        check_refusal(what, cp_pool_gradient(NULL, &c->pool, &x, &x, &x), c->status, c->text);
        cp_net *net = new_net();
        cp_net_output(net, cp_net_pool(net, cp_net_input(net, "x", CP_F32, c->x), &c->pool), "y");
        check_refusal(what, net_status(net), c->status, c->text);
    }
}

/* Strides and dilations that lead nowhere, however large, are as good as any: x is 1x5x5x2, w is kernel x kernel. */
static void compare_steps(int64_t kernel, int64_t groups, const cp_conv *far, const cp_conv *near) {
    float y[2][50], dx[2][50], dw[2][144];
    const int64_t out = near->stride[0] > 1 ? 1 : 6 - kernel;
    const cp_tensor x = cp_nhwc(numbers, 1, 5, 5, 2), w = cp_hwio(numbers + 99, kernel, kernel, 2 / groups, 2);
    memset(y, 0xff, sizeof y);
    for (int i = 0; i < 2; i++) {
        cp_conv conv = i ? *near : *far;
        conv.groups = groups;
        const cp_tensor to_y = cp_nhwc(y[i], 1, out, out, 2), to_dx = cp_nhwc(dx[i], 1, 5, 5, 2);
        const cp_tensor to_dw = cp_hwio(dw[i], kernel, kernel, 2 / groups, 2);
        ok(cp_conv_run(NULL, &conv, &x, &w, NULL, &to_y));
        ok(cp_conv_gradient(NULL, &conv, &x, &w, NULL, &to_y, &to_dx, &to_dw, NULL));
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
    assert_memory_equal(dw[0], dw[1], (size_t)(kernel * kernel * 2 / groups * 2) * sizeof(float));
}

/* Unusual, but with an answer. */
static void possible_after_all(void **state) {
    (void)state;
    for (int64_t groups = 1; groups <= 2; groups++) {
        compare_steps(3, groups, &(cp_conv){.stride = {BIG, HUGE_SIZE}}, &(cp_conv){.stride = {9, 9}});
        compare_steps(3, groups, &(cp_conv){.stride = {INT64_MAX, INT64_MAX}}, &(cp_conv){.stride = {9, 9}});
        compare_steps(1, groups, &(cp_conv){.dilation = {BIG, HUGE_SIZE}}, &(cp_conv){.dilation = {1, 1}});
        compare_steps(1, groups, &(cp_conv){.dilation = {INT64_MAX, INT64_MAX}}, &(cp_conv){.stride = {1, 1}});
    }
    float one[2][2], one_pixel[2][3];
    const cp_tensor x = cp_nhwc(numbers, 1, 5, 5, 2);
    const cp_tensor dot = cp_nhwc(numbers, 1, 1, 1, 2), w = cp_hwio(numbers + 99, 1, 1, 3, 2);
    for (int i = 0; i < 2; i++) { /* one position, whatever the stride */
        const cp_tensor y = cp_nhwc(one_pixel[i], 1, 1, 1, 3);
        ok(cp_conv_transpose_run(NULL, &(cp_conv){.stride = {i ? 1 : BIG, i ? 1 : HUGE_SIZE}}, &dot, &w, NULL, &y));
    }
    assert_memory_equal(one_pixel[0], one_pixel[1], sizeof one_pixel[0]);
    for (int kind = CP_MAX; kind <= CP_AVERAGE; kind++) {
        float dx[2][50];
        cp_pool pool = {.kind = (cp_pooling)kind, .kernel = {2, 3}};
        for (int i = 0; i < 2; i++) {
            const cp_tensor y = cp_nhwc(one[i], 1, 1, 1, 2), to_dx = cp_nhwc(dx[i], 1, 5, 5, 2);
            pool.stride[0] = pool.stride[1] = i ? 9 : INT64_MAX;
            ok(cp_pool_run(NULL, &pool, &x, &y));
            ok(cp_pool_gradient(NULL, &pool, &x, &y, &to_dx));
        }
        assert_memory_equal(one[0], one[1], sizeof one[0]);
        assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
    }

    /* ceil_mode: the last window of 3 begins in the input, one more would not */
    cp_shape shape;
    ok(cp_pool_shape(&shape, &(cp_pool){.kernel = {2}, .stride = {3}, .ceil_mode = true},
                     cp_shape_of(3, (int64_t[]){1, 7, 1})));
    assert_int_equal(shape.dim[1], 3);
    ok(cp_pool_shape(&shape, &(cp_pool){.kernel = {1}, .stride = {3}, .ceil_mode = true},
                     cp_shape_of(3, (int64_t[]){1, 6, 1})));
    assert_int_equal(shape.dim[1], 2);
}

static void empty_batches(void **state) {
    (void)state;
    const cp_tensor x = cp_nhwc(NULL, 0, 5, 5, 2), y = cp_nhwc(NULL, 0, 3, 3, 4), w = cp_hwio(numbers, 3, 3, 2, 4);
    const cp_tensor pooled = cp_nhwc(NULL, 0, 2, 2, 2);
    float dw[72], db[4];
    const cp_tensor to_dw = cp_hwio(dw, 3, 3, 2, 4), to_db = cp_vec(db, 4);
    ok(cp_conv_run(NULL, NULL, &x, &w, NULL, &y));
    memset(dw, 0xff, sizeof dw);
    memset(db, 0xff, sizeof db);
    ok(cp_conv_gradient(NULL, NULL, &x, &w, NULL, &y, &x, &to_dw, &to_db));
    for (int i = 0; i < 72; i++) assert_true(dw[i] == 0);
    for (int i = 0; i < 4; i++) assert_true(db[i] == 0);
    for (int kind = CP_MAX; kind <= CP_AVERAGE; kind++) {
        const cp_pool pool = {.kind = (cp_pooling)kind, .kernel = {2, 2}};
        ok(cp_pool_run(NULL, &pool, &x, &pooled));
        ok(cp_pool_gradient(NULL, &pool, &x, &pooled, &x));
    }
}

/* ---------------------------------------------------------------------------------------------------------------
 * Tensors of one operation
 * ------------------------------------------------------------------------------------------------------------- */

static void wrong_tensors(void **state) {
    (void)state;
    float out[512];
    const cp_tensor x = cp_nhwc(numbers, 2, 5, 5, 2), w = cp_hwio(numbers + 99, 3, 3, 2, 4), b = cp_vec(numbers, 4);
    const cp_tensor y = cp_nhwc(out, 2, 3, 3, 4), none = {0};
    cp_tensor bad;

    refused(cp_conv_run(NULL, NULL, NULL, &w, &b, &y), CP_E_ARG, "x is missing");
    refused(cp_conv_run(NULL, NULL, &x, NULL, &b, &y), CP_E_ARG, "w is missing");
    refused(cp_conv_run(NULL, NULL, &x, &w, &b, NULL), CP_E_ARG, "y is missing");
    refused(cp_pool_run(NULL, &(cp_pool){.kernel = {2, 2}}, NULL, &y), CP_E_ARG, "x is missing");
    refused(cp_pool_run(NULL, &(cp_pool){.kernel = {2, 2}}, &x, NULL), CP_E_ARG, "y is missing");
    refused(cp_pool_run(NULL, NULL, &x, &y), CP_E_ARG, "kernel");
    refused(cp_conv_run(NULL, NULL, &none, &w, &b, &y), CP_E_ARG, "x has no data");

    static const cp_type types[] = {CP_F64, CP_I32, CP_I64, CP_U8, (cp_type)777, (cp_type)-1};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        bad = x, bad.type = types[i];
        refused(cp_conv_run(NULL, NULL, &bad, &w, &b, &y), CP_E_ARG, "x has type");
        bad = w, bad.type = types[i];
        refused(cp_conv_run(NULL, NULL, &x, &bad, &b, &y), CP_E_ARG, "w has type");
        bad = b, bad.type = types[i];
        refused(cp_conv_run(NULL, NULL, &x, &w, &bad, &y), CP_E_ARG, "b has type");
        bad = y, bad.type = types[i];
        refused(cp_conv_run(NULL, NULL, &x, &w, &b, &bad), CP_E_ARG, "y has type");
    }

    bad = cp_vec(numbers, 3);
    refused(cp_conv_run(NULL, NULL, &x, &w, &bad, &y), CP_E_SHAPE, "bias has 3 values, needs 4");
    bad = cp_mat(numbers, 1, 4);
    refused(cp_conv_run(NULL, NULL, &x, &w, &bad, &y), CP_E_SHAPE, "bias must have 1 dimension, has 2");
    bad = cp_nhwc(out, 2, 3, 4, 4);
    refused(cp_conv_run(NULL, NULL, &x, &w, &b, &bad), CP_E_SHAPE, "'y' is 2x3x4x4, needs 2x3x3x4");
    bad = y, bad.data = NULL;
    refused(cp_conv_run(NULL, NULL, &x, &w, &b, &bad), CP_E_ARG, "y has no data");

    bad = x, bad.stride[1] = INT64_MAX;
    refused(cp_conv_run(NULL, NULL, &bad, &w, &b, &y), CP_E_SHAPE, "x: its strides overflow");
    bad = y, bad.stride[0] = INT64_MIN;
    refused(cp_conv_run(NULL, NULL, &x, &w, &b, &bad), CP_E_SHAPE, "y: its strides overflow");
    bad = y, bad.stride[1] = 0;
    refused(cp_conv_run(NULL, NULL, &x, &w, &b, &bad), CP_E_ARG, "'y' stride[1] = 0: elements of an output");
    cp_plan *plan;
    bad = x, bad.stride[2] = INT64_MAX / 8, bad.data = NULL;
    refused(cp_conv_plan(&plan, NULL, NULL, &bad, &w, NULL, NULL), CP_E_SHAPE, "x: its strides overflow");
    bad = y, bad.stride[3] = -INT64_MAX;
    refused(cp_conv_plan(&plan, NULL, NULL, &x, &w, NULL, &bad), CP_E_SHAPE, "y: its strides overflow");
    assert_null(plan);
}

static void wrong_gradients(void **state) {
    (void)state;
    float out[512];
    const cp_tensor x = cp_nhwc(numbers, 2, 5, 5, 2), w = cp_hwio(numbers + 99, 3, 3, 2, 4);
    const cp_tensor dy = cp_nhwc(numbers, 2, 3, 3, 4), dx = cp_nhwc(out, 2, 5, 5, 2), dw = cp_hwio(out, 3, 3, 2, 4);
    const cp_tensor db = cp_vec(out, 4), wrong_dy = cp_nhwc(numbers, 2, 3, 4, 4), wrong_db = cp_vec(out, 5);
    const cp_pool pool = {.kernel = {2, 2}};
    const cp_tensor dpooled = cp_nhwc(numbers, 2, 2, 2, 2);
    cp_tensor bad = dx;
    bad.type = CP_F64;

    ok(cp_conv_gradient(NULL, NULL, &x, &w, NULL, &dy, NULL, NULL, NULL));
    refused(cp_conv_gradient(NULL, NULL, NULL, &w, NULL, &dy, &dx, NULL, NULL), CP_E_ARG, "x is missing");
    refused(cp_conv_gradient(NULL, NULL, &x, NULL, NULL, &dy, &dx, NULL, NULL), CP_E_ARG, "w is missing");
    refused(cp_conv_gradient(NULL, NULL, &x, &w, NULL, NULL, &dx, NULL, NULL), CP_E_ARG, "dy is missing");
    refused(cp_conv_gradient(NULL, NULL, &x, &w, NULL, &dy, &bad, NULL, NULL), CP_E_ARG, "dx has type f64");
    refused(cp_conv_gradient(NULL, NULL, &x, &w, NULL, &wrong_dy, &dx, NULL, NULL), CP_E_SHAPE,
            "'dy' is 2x3x4x4, needs 2x3x3x4");
    refused(cp_conv_gradient(NULL, NULL, &x, &w, NULL, &dy, &dw, NULL, NULL), CP_E_SHAPE, "'dx' is");
    refused(cp_conv_gradient(NULL, NULL, &x, &w, NULL, &dy, NULL, &dx, NULL), CP_E_SHAPE, "'dw' is");
    refused(cp_conv_gradient(NULL, NULL, &x, &w, NULL, &dy, NULL, NULL, &wrong_db), CP_E_SHAPE, "'db' is 5, needs 4");
    refused(cp_conv_gradient(NULL, NULL, &x, &w, &wrong_db, &dy, NULL, NULL, &db), CP_E_SHAPE, "bias has 5 values");
    refused(cp_conv_gradient(NULL, NULL, &x, &w, NULL, &dy, NULL, &dw, &db), CP_E_ARG, "'db' overlaps 'dw'");

    refused(cp_pool_gradient(NULL, &pool, NULL, &dpooled, &dx), CP_E_ARG, "x is missing");
    refused(cp_pool_gradient(NULL, &pool, &x, NULL, &dx), CP_E_ARG, "dy is missing");
    refused(cp_pool_gradient(NULL, &pool, &x, &dpooled, NULL), CP_E_ARG, "dx is missing");
    refused(cp_pool_gradient(NULL, &pool, &x, &dy, &dx), CP_E_SHAPE, "'dy' is 2x3x3x4, needs 2x2x2x2");
    refused(cp_pool_gradient(NULL, &pool, &x, &dpooled, &dpooled), CP_E_SHAPE, "'dx' is 2x2x2x2, needs 2x5x5x2");
}

/* Memory of inputs that is also an output's would be overwritten while it is read. */
static void overlapping_tensors(void **state) {
    (void)state;
    static float memory[400], right[200];
    const cp_pool pool = {.kernel = {3, 3}, .stride = {1, 1}, .pad = CP_PAD_SAME};
    const cp_tensor x = cp_nhwc(memory, 1, 10, 10, 2);
    cp_tensor y = x;
    memcpy(memory, numbers, sizeof memory);
    refused(cp_pool_run(NULL, &pool, &x, &y), CP_E_ARG, "'y' overlaps 'x' in memory");
    for (int shift = -199; shift < 200; shift += 199) {
        const cp_tensor middle = cp_nhwc(memory + 199, 1, 10, 10, 2);
        y = cp_nchw(memory + 199 + shift, 1, 2, 10, 10);
        refused(cp_pool_run(NULL, &pool, &middle, &y), CP_E_ARG, "'y' overlaps 'x' in memory");
    }
    const cp_tensor apart = cp_nhwc(memory + 200, 1, 10, 10, 2), to_right = cp_nhwc(right, 1, 10, 10, 2);
    ok(cp_pool_run(NULL, &pool, &x, &to_right));
    ok(cp_pool_run(NULL, &pool, &x, &apart));
    assert_memory_equal(memory + 200, right, sizeof right);

    /* Channels 0 and 1 of a picture of four: read the one, write the other. */
    cp_tensor even = cp_nhwc(memory, 1, 10, 10, 1), odd = cp_nhwc(memory + 1, 1, 10, 10, 1);
    for (int a = 0; a < 4; a++) even.stride[a] = odd.stride[a] = even.stride[a] * 4;
    const cp_tensor alone = cp_nhwc(right, 1, 10, 10, 1);
    ok(cp_pool_run(NULL, &pool, &even, &alone));
    ok(cp_pool_run(NULL, &pool, &even, &odd));
    for (int i = 0; i < 100; i++) assert_true(memory[4 * i + 1] == right[i]);
}

/* Floats at any address that floats can have. */
static void unaligned_tensors(void **state) {
    (void)state;
    static float in[2000], out[2000], right[600];
    const cp_tensor to_right = cp_nhwc(right, 1, 6, 5, 20);
    memcpy(in, numbers, sizeof in);
    for (int shift = 0; shift < 17; shift++) {
        memmove(in + shift, numbers, 600 * sizeof *in);
        memmove(in + 700 + shift, numbers + 7, 540 * sizeof *in);
        const cp_tensor x = cp_nhwc(in + shift, 1, 6, 5, 3), w = cp_hwio(in + 700 + shift, 3, 3, 3, 20);
        const cp_tensor b = cp_vec(in + 705 + shift, 20), y = cp_nhwc(out + shift, 1, 6, 5, 20);
        ok(cp_conv_run(NULL, &(cp_conv){.pad = CP_PAD_SAME}, &x, &w, &b, shift ? &y : &to_right));
        if (shift) assert_memory_equal(out + shift, right, sizeof right);
    }
}

/* ---------------------------------------------------------------------------------------------------------------
 * Plans
 * ------------------------------------------------------------------------------------------------------------- */

static void wrong_runs(void **state) {
    (void)state;
    float out[72];
    const cp_tensor x = cp_nhwc(numbers, 2, 5, 5, 2), w = cp_hwio(numbers + 99, 3, 3, 2, 4);
    const cp_tensor y = cp_nhwc(out, 2, 3, 3, 4);
    cp_plan *plan, *other;
    cp_work *work, *foreign;
    cp_step_info info;
    ok(cp_conv_plan(&plan, NULL, NULL, &x, &w, NULL, NULL));
    ok(cp_conv_plan(&other, NULL, NULL, &x, &w, NULL, NULL));
    ok(cp_work_new(&work, plan));
    ok(cp_work_new(&foreign, other));
    refused(cp_plan_run(NULL, work, &x, 1, &y, 1), CP_E_ARG, "a run needs a plan and a work");
    refused(cp_plan_run(plan, NULL, &x, 1, &y, 1), CP_E_ARG, "a run needs a plan and a work");
    refused(cp_plan_run(plan, foreign, &x, 1, &y, 1), CP_E_ARG, "the work was made for another plan");
    refused(cp_plan_run(plan, work, &x, 0, &y, 1), CP_E_ARG, "the plan has 1 inputs, 0 given");
    refused(cp_plan_run(plan, work, &x, 1, &y, 2), CP_E_ARG, "the plan has 1 outputs, 2 given");
    refused(cp_plan_run(plan, work, &x, -1, &y, 1), CP_E_ARG, "the plan has 1 inputs, -1 given");
    refused(cp_plan_run(plan, work, NULL, 1, &y, 1), CP_E_ARG, "the inputs are NULL");
    refused(cp_plan_run(plan, work, &x, 1, NULL, 1), CP_E_ARG, "the outputs are NULL");
    cp_tensor bad = cp_nhwc(numbers, 1, 5, 5, 2);
    refused(cp_plan_run(plan, work, &bad, 1, &y, 1), CP_E_SHAPE, "'x' is 1x5x5x2, was planned as 2x5x5x2");
    bad = cp_nchw(numbers, 2, 2, 5, 5);
    refused(cp_plan_run(plan, work, &bad, 1, &y, 1), CP_E_ARG, "'x' lies in memory in another order");
    bad = x, bad.data = NULL;
    refused(cp_plan_run(plan, work, &bad, 1, &y, 1), CP_E_ARG, "'x' has no data");
    bad = y, bad.type = CP_I32;
    refused(cp_plan_run(plan, work, &x, 1, &bad, 1), CP_E_ARG, "'y' is i32, was planned as f32");
    refused(cp_plan_step(NULL, NULL, 0, &info), CP_E_ARG, "plan is NULL");
    refused(cp_plan_step(plan, NULL, 0, NULL), CP_E_ARG, "info is NULL");
    refused(cp_plan_step(plan, NULL, -1, &info), CP_E_ARG, "step -1");
    refused(cp_plan_step(plan, NULL, cp_plan_steps(plan), &info), CP_E_ARG, "the plan has steps 0 to");
    refused(cp_plan_step(plan, foreign, 0, &info), CP_E_ARG, "the work was made for another plan");
    assert_int_equal(cp_plan_output_shape(plan, 1).rank, 0);
    assert_int_equal(cp_plan_output_shape(plan, -1).rank, 0);
    ok(cp_plan_run(plan, work, &x, 1, &y, 1));
    /* in either order */
    cp_plan_free(plan);
    cp_work_free(work);
    cp_work_free(foreign);
    cp_plan_free(other);
}

static void wrong_plans(void **state) {
    (void)state;
    cp_plan *plan = (cp_plan *)numbers;
    cp_net *net = new_net();
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 5, 5, 2));
    refused(cp_net_plan(&plan, NULL, net, NULL), CP_E_ARG, "the net has no output");
    assert_null(plan);
    cp_net_output(net, cp_net_pool(net, x, &(cp_pool){.kernel = {2, 2}}), "y");
    refused(cp_net_plan(NULL, NULL, net, NULL), CP_E_ARG, "plan is NULL");
    refused(cp_net_plan(&plan, NULL, NULL, NULL), CP_E_ARG, "net is NULL");
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.batch = -3}), CP_E_ARG, "batch = -3");
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.batch = HUGE_SIZE}), CP_E_SHAPE, "overflows");
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.type = CP_I32}), CP_E_ARG, "not in i32");
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.reserved = {1}}), CP_E_ARG, "reserved");
    cp_tensor asked = cp_nhwc(NULL, 2, 5, 6, 2);
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.inputs = &asked}), CP_E_SHAPE,
            "'x' is 2x5x6x2, needs 2x5x5x2");
    asked = cp_nhwc(NULL, 1, 2, 2, 3);
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.outputs = &asked}), CP_E_SHAPE,
            "'y' is 1x2x2x3, needs 1x2x2x2");
    assert_null(plan);
    cp_work *work = (cp_work *)numbers;
    refused(cp_work_new(&work, NULL), CP_E_ARG, "plan is NULL");
    assert_null(work);
    refused(cp_work_new(NULL, NULL), CP_E_ARG, "work is NULL");
    cp_net_free(net);
}

/* A plan tells what its work needs before anybody asks for the memory; no time is spent on what cannot be. */
static void limits(void **state) {
    (void)state;
    cp_ctx *ctx;
    cp_plan *plan = (cp_plan *)numbers;
    ok(cp_ctx_new(&ctx, &(cp_options){.max_memory = (int64_t)8 << 30}));
    cp_net *net = new_net();
    const cp_conv wide = {.kernel = {1, 1}, .pad_before = {1 << 20, 1 << 20}, .pad_after = {1 << 20, 1 << 20}};
    cp_node y = cp_net_conv(net, cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 1, 1, 1)), 1, &wide);
    y = cp_net_pool(net, y, &(cp_pool){.kind = CP_AVERAGE, .global = true});
    cp_net_output(net, y, "y");
    ok(cp_net_error(net, NULL));
    refused(cp_net_plan(&plan, ctx, net, NULL), CP_E_LIMIT, "needs 17592");
    assert_non_null(strstr(cp_error(), "limit 8589934592"));
    assert_null(plan);
    cp_net_free(net);
    cp_ctx_free(ctx);

    /* the limit itself is enough, a byte less is not */
    ok(cp_ctx_new(&ctx, NULL));
    net = new_net();
    y = cp_net_parse(net, cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 9, 9, 3)), "conv 8 3x3; relu; pool 2");
    cp_net_output(net, y, "y");
    ok(cp_net_plan(&plan, ctx, net, NULL));
    const int64_t needed = cp_plan_work_bytes(plan);
    assert_true(needed > 0);
    cp_plan_free(plan);
    cp_ctx_free(ctx);
    ok(cp_ctx_new(&ctx, &(cp_options){.max_memory = needed}));
    ok(cp_net_plan(&plan, ctx, net, NULL));
    cp_plan_free(plan);
    cp_ctx_free(ctx);
    ok(cp_ctx_new(&ctx, &(cp_options){.max_memory = needed - 1}));
    refused(cp_net_plan(&plan, ctx, net, NULL), CP_E_LIMIT, "limit");
    cp_ctx_free(ctx);
    cp_net_free(net);
}

/* Planning asks for little memory and time, however large what is planned. */
static void enormous_plans(void **state) {
    (void)state;
    cp_plan *plan;
    const cp_tensor line = cp_view(NULL, CP_F32, cp_shape_of(3, (int64_t[]){1, BIG, 1}));
    const cp_tensor w = cp_view(numbers, CP_F32, cp_shape_of(3, (int64_t[]){3, 1, 1}));
    const cp_tensor dot = cp_nhwc(NULL, 1, 1, 1, 1), one = cp_hwio(numbers, 1, 1, 1, 1);
    ok(cp_pool_plan(&plan, NULL, &(cp_pool){.kernel = {2}}, &line, NULL));
    cp_plan_free(plan);
    ok(cp_pool_plan(&plan, NULL, &(cp_pool){.kind = CP_AVERAGE, .global = true}, &line, NULL));
    cp_plan_free(plan);
    ok(cp_conv_plan(&plan, NULL, &(cp_conv){.dilation = {3}}, &line, &w, NULL, NULL));
    cp_plan_free(plan);
    const cp_conv wide = {.pad_before = {1 << 20, 1 << 20}, .pad_after = {1 << 20, 1 << 20}};
    ok(cp_conv_plan(&plan, NULL, &wide, &dot, &one, NULL, NULL));
    cp_plan_free(plan);
    ok(cp_conv_plan(&plan, NULL, &(cp_conv){.pad_before = {BIG}}, &line, &w, NULL, NULL));
    cp_plan_free(plan);
    cp_net *net = new_net();
    cp_node y = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 2, 2, 1));
    cp_net_output(net, cp_net_conv_transpose(net, y, 1, &(cp_conv){.kernel = {3, 3}, .stride = {1 << 20, 1 << 20}}),
                  "y");
    cp_net_output(net, cp_net_resize(net, y, &(cp_resize){.size = {1 << 20, 1 << 20}}), "z");
    cp_net_output(net, cp_net_pad(net, y, &(cp_padding){.before = {1 << 20, 1 << 20}}), "p");
    ok(cp_net_plan(&plan, NULL, net, NULL));
    cp_plan_free(plan);
    cp_net_free(net);

    /* many different windows: each position of a kernel as large as the picture meets other taps */
    static float large[256 * 256];
    const cp_tensor picture = cp_nhwc(NULL, 1, 256, 256, 1), kernel = cp_hwio(large, 256, 256, 1, 1);
    ok(cp_conv_plan(&plan, NULL, &(cp_conv){.pad = CP_PAD_SAME, .dilation = {2, 2}}, &picture, &kernel, NULL, NULL));
    cp_plan_free(plan);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Nets
 * ------------------------------------------------------------------------------------------------------------- */

/* The first failure stays, and everything after it is passed on. */
static void first_failure_is_kept(void **state) {
    (void)state;
    cp_net *net = new_net();
    const char *text;
    cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 8, 8, 3));
    assert_int_not_equal(x, 0);
    x = cp_net_conv(net, x, 4, &(cp_conv){.kernel = {9, 9}});
    assert_int_equal(x, 0);
    assert_int_equal(cp_net_error(net, &text), CP_E_SHAPE);
    assert_non_null(strstr(text, "conv1: kernel of 9 is larger"));
    char first[512];
    snprintf(first, sizeof first, "%s", text);
    const cp_tensor value = cp_vec(numbers, 3);
    assert_int_equal(cp_net_conv(net, x, 4, &(cp_conv){.kernel = {1, 1}}), 0);
    assert_int_equal(cp_net_conv(net, 1, 4, &(cp_conv){.kernel = {1, 1}}), 0);
    assert_int_equal(cp_net_dense(net, 1, 0, (cp_activation)99), 0);
    assert_int_equal(cp_net_pool(net, 1, &(cp_pool){.kind = (cp_pooling)5}), 0);
    assert_int_equal(cp_net_flatten(net, 1), 0);
    assert_int_equal(cp_net_softmax(net, 1), 0);
    assert_int_equal(cp_net_dropout(net, 1, 2), 0);
    assert_int_equal(cp_net_add(net, 1, 1), 0);
    assert_int_equal(cp_net_input(net, "z", CP_F32, cp_shape_of(0, NULL)), 0);
    assert_int_equal(cp_net_constant(net, "c", &value), 0);
    assert_int_equal(cp_net_parse(net, 1, "nonsense"), 0);
    assert_int_equal(cp_net_softmax_cross_entropy(net, 1, 1), 0);
    assert_int_equal(cp_net_mean_squared_error(net, 1, 1), 0);
    cp_net_output(net, 77, "y");
    cp_net_name(net, "name");
    assert_int_equal(cp_net_error(net, &text), CP_E_SHAPE);
    assert_string_equal(text, first);
    cp_plan *plan;
    cp_net *copy;
    cp_trainer *trainer;
    cp_node by;
    refused(cp_net_plan(&plan, NULL, net, NULL), CP_E_SHAPE, first);
    refused(cp_net_clone(&copy, net), CP_E_SHAPE, first);
    refused(cp_net_initialize(net, CP_GLOROT, 1), CP_E_SHAPE, first);
    refused(cp_net_save(net, "/nowhere/file"), CP_E_SHAPE, first);
    refused(cp_net_gradients(net, 1, 0, &(cp_node){1}, 1, &by), CP_E_SHAPE, first);
    refused(cp_trainer_new(&trainer, net, NULL, NULL), CP_E_SHAPE, first);
    assert_null(copy);
    assert_null(trainer);
    cp_net_free(net);
}

/* One call on a new net with an input x of 0x8x8x3, v of 0x10 and labels l. */
#define in_net(call, status, text)                                                                                     \
    do {                                                                                                               \
        cp_net *net = new_net();                                                                                       \
        const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 8, 8, 3));                                   \
        const cp_node v = cp_net_input(net, "v", CP_F32, cp_shape_of(2, (int64_t[]){0, 10}));                          \
        const cp_node l = cp_net_input(net, "l", CP_I32, cp_shape_of(1, (int64_t[]){0}));                              \
        ok(cp_net_error(net, NULL));                                                                                   \
        assert_true(x &&v &&l);                                                                                        \
        call;                                                                                                          \
        check_refusal(#call, net_status(net), status, text);                                                           \
    } while (0)

static void wrong_layers(void **state) {
    (void)state;
    const cp_conv conv = {.kernel = {3, 3}};
    cp_tensor value = cp_vec(numbers, 3);
    in_net(cp_net_conv(net, x, 4, NULL), CP_E_ARG, "a convolution needs its kernel's size");
    in_net(cp_net_conv(net, x, 0, &conv), CP_E_ARG, "filters = 0: must be at least 1");
    in_net(cp_net_conv(net, x, -4, &conv), CP_E_ARG, "filters = -4: must be at least 1");
    in_net(cp_net_conv(net, x, HUGE_SIZE, &conv), CP_E_SHAPE, "overflows");
    in_net(cp_net_conv(net, v, 4, &conv), CP_E_SHAPE, "the input needs 3 to 5 dimensions, has 2");
    in_net(cp_net_conv(net, x, 4, &(cp_conv){0}), CP_E_ARG, "kernel[0] = 0: must be at least 1");
    in_net(cp_net_conv(net, x, 4, &(cp_conv){.kernel = {3, 3}, .groups = 2}), CP_E_SHAPE,
           "groups = 2 does not divide 3 input channels");
    in_net(cp_net_conv(net, l, 4, &conv), CP_E_SHAPE, "dimensions, has 1");
    in_net(cp_net_conv(net, 0, 4, &conv), CP_E_ARG, "input 0 is no value of this net");
    in_net(cp_net_conv(net, 99, 4, &conv), CP_E_ARG, "is no value of this net");
    in_net(cp_net_conv(net, -1, 4, &conv), CP_E_ARG, "is no value of this net");
    in_net(cp_net_conv_with(net, x, v, 0, NULL), CP_E_SHAPE, "weights need at least 3 dimensions, have 2");
    in_net(cp_net_conv_with(net, x, 0, 0, NULL), CP_E_ARG, "input 1 is no value of this net");
    in_net(cp_net_conv_with(net, x, x, 99, NULL), CP_E_ARG, "input 2 is no value of this net");
    in_net(cp_net_dense(net, x, 4, CP_RELU), CP_E_SHAPE, "needs 2 dimensions, has 4: flatten it first");
    in_net(cp_net_dense(net, v, 0, CP_RELU), CP_E_ARG, "units = 0: must be at least 1");
    in_net(cp_net_dense(net, v, 3, (cp_activation)99), CP_E_ARG, "activation");
    in_net(cp_net_dense(net, 0, 3, CP_RELU), CP_E_ARG, "input 0 is no value of this net");
    in_net(cp_net_dense_with(net, v, v, 0, CP_LINEAR), CP_E_SHAPE, "weights");
    in_net(cp_net_pool(net, x, NULL), CP_E_ARG, "a pooling needs its kernel's size");
    in_net(cp_net_pool(net, x, &(cp_pool){.kind = (cp_pooling)9}), CP_E_ARG, "pooling kind 9");
    in_net(cp_net_pool(net, l, &(cp_pool){.kernel = {1}}), CP_E_ARG, "pool1: input: type i32, must be f32");
    in_net(cp_net_activation(net, x, (cp_activation)-1), CP_E_ARG, "activation");
    in_net(cp_net_activation(net, 98, CP_RELU), CP_E_ARG, "is no value of this net");
    in_net(cp_net_dropout(net, x, 1), CP_E_ARG, "rate = 1: must be at least 0 and less than 1");
    in_net(cp_net_dropout(net, x, -0.5f), CP_E_ARG, "rate = -0.5");
    in_net(cp_net_dropout(net, x, NAN), CP_E_ARG, "rate = nan");
    in_net(cp_net_add(net, x, v), CP_E_SHAPE, "add1: first input is 0x8x8x3, second input is 0x10");
    in_net(cp_net_add(net, x, 0), CP_E_ARG, "input 1 is no value of this net");
    in_net(cp_net_softmax_cross_entropy(net, v, v), CP_E_ARG, "labels: type f32, must be i32");
    in_net(cp_net_softmax_cross_entropy(net, x, l), CP_E_SHAPE, "must have 2 dimensions, has 4: flatten it first");
    in_net(cp_net_mean_squared_error(net, x, v), CP_E_SHAPE, "target is 0x10, input is 0x8x8x3");
    in_net(cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 1, 1, 1)), CP_E_ARG, "two inputs are named 'x'");
    in_net(cp_net_input(net, "i", CP_F32, cp_shape_nhwc(1, 0, 1, 1)), CP_E_SHAPE, "dimension 1 is 0");
    in_net(cp_net_input(net, "i", CP_F32, cp_shape_nhwc(-1, 1, 1, 1)), CP_E_SHAPE, "dimension 0 is -1");
    in_net(cp_net_input(net, "i", (cp_type)12, cp_shape_nhwc(1, 1, 1, 1)), CP_E_ARG, "has type 12, which is none");
    in_net(cp_net_input(net, "i", CP_F32, (cp_shape){.rank = 9}), CP_E_SHAPE, "must be 0 to 8");
    in_net(cp_net_constant(net, "c", NULL), CP_E_ARG, "a constant needs a tensor");
    in_net(cp_net_constant(net, "c", &(cp_tensor){.shape = SHAPE(3)}), CP_E_ARG, "c has no data");
    in_net(cp_net_output(net, 0, "y"), CP_E_ARG, "output 'y' is no value of this net");
    in_net(cp_net_output(net, 99, NULL), CP_E_ARG, "is no value of this net");
    in_net((cp_net_name(net, "a"), cp_net_conv(net, x, 1, &conv), cp_net_name(net, "a"), cp_net_conv(net, x, 1, &conv)),
           CP_E_ARG, "two parameters are named 'a.weight'");
    value.stride[0] = INT64_MAX;
    in_net(cp_net_constant(net, "c", &value), CP_E_SHAPE, "its strides overflow");
}

/* Layers that move, pad, resize, join and normalise. */
static void wrong_layers_of_other_kinds(void **state) {
    (void)state;
    const cp_conv window = {.kernel = {3, 3}};
    cp_node parts[2] = {7, 7};
    in_net(cp_net_conv_transpose(net, x, 4, NULL), CP_E_ARG, "a convolution needs its kernel's size");
    in_net(cp_net_conv_transpose(net, x, 0, &window), CP_E_ARG, "filters = 0: must be at least 1");
    in_net(cp_net_conv_transpose(net, v, 4, &window), CP_E_SHAPE, "needs 3 to 5 dimensions, has 2");
    in_net(cp_net_conv_transpose(net, x, HUGE_SIZE, &window), CP_E_SHAPE, "overflows");
    in_net(cp_net_conv_transpose_with(net, x, 0, 0, NULL), CP_E_ARG, "is no value of this net");
    in_net(cp_net_im2col(net, x, NULL), CP_E_ARG, "im2col needs its kernel's size");
    in_net(cp_net_im2col(net, x, &(cp_conv){.kernel = {9, 3}}), CP_E_SHAPE, "output height would be 0");
    in_net(cp_net_im2col(net, x, &(cp_conv){.kernel = {3, 3}, .groups = 3}), CP_E_ARG, "groups and activation");
    in_net(cp_net_im2col(net, x, &(cp_conv){.kernel = {HUGE_SIZE, 3}, .pad_before = {HUGE_SIZE, 0}}), CP_E_SHAPE,
           "overflows");
    in_net(cp_net_col2im(net, x, &window, (int64_t[]){5, 5, 5}), CP_E_SHAPE, "must have 3 dimensions, has 4");
    in_net(cp_net_col2im(net, x, &window, NULL), CP_E_ARG, "col2im needs");
    in_net(cp_net_pad(net, x, NULL), CP_E_ARG, "a padding needs its sizes");
    in_net(cp_net_pad(net, x, &(cp_padding){.before = {-1}}), CP_E_ARG, "before[0] = -1: must not be negative");
    in_net(cp_net_pad(net, x, &(cp_padding){.after = {0, 0, 1}}), CP_E_ARG, "the input has only 2 spatial dimensions");
    in_net(cp_net_pad(net, x, &(cp_padding){.before = {8}, .values = CP_PAD_REFLECT}), CP_E_SHAPE,
           "before[0] = 8: reflected padding must be less than the input (8)");
    in_net(cp_net_pad(net, x, &(cp_padding){.after = {9}, .values = CP_PAD_CIRCULAR}), CP_E_SHAPE,
           "after[0] = 9: circular padding must not be more than the input (8)");
    in_net(cp_net_pad(net, x, &(cp_padding){.before = {INT64_MAX}, .after = {INT64_MAX}}), CP_E_SHAPE, "overflows");
    in_net(cp_net_pad(net, x, &(cp_padding){.values = (cp_pad_values)9}), CP_E_ARG, "pad values 9: no such kind");
    in_net(cp_net_resize(net, x, NULL), CP_E_ARG, "a resizing needs its size or scale");
    in_net(cp_net_resize(net, x, &(cp_resize){0}), CP_E_ARG, "neither size nor scale is given");
    in_net(cp_net_resize(net, x, &(cp_resize){.size = {4, 0}}), CP_E_ARG, "size[1] = 0: must be at least 1");
    in_net(cp_net_resize(net, x, &(cp_resize){.size = {4, -4}}), CP_E_ARG, "size[1] = -4: must be at least 1");
    in_net(cp_net_resize(net, x, &(cp_resize){.size = {BIG, HUGE_SIZE}}), CP_E_SHAPE, "overflows");
    in_net(cp_net_resize(net, x, &(cp_resize){.scale = {2, NAN}}), CP_E_ARG, "must be a number above 0");
    in_net(cp_net_resize(net, x, &(cp_resize){.scale = {2, -2}}), CP_E_ARG, "must be a number above 0");
    in_net(cp_net_resize(net, x, &(cp_resize){.scale = {INFINITY, 2}}), CP_E_ARG,
           "scale[0] = inf: must be a number above 0");
    in_net(cp_net_resize(net, x, &(cp_resize){.scale = {0.01f, 1}}), CP_E_SHAPE, "would be 0");
    in_net(cp_net_depth_to_space(net, x, 0, CP_DEPTH_FIRST), CP_E_ARG, "block = 0: must be at least 1");
    in_net(cp_net_depth_to_space(net, x, 2, CP_DEPTH_FIRST), CP_E_SHAPE, "blocks of 4 pixels do not divide 3 channels");
    in_net(cp_net_space_to_depth(net, x, 3, CP_DEPTH_FIRST), CP_E_SHAPE, "block = 3 does not divide 8 pixels");
    in_net(cp_net_space_to_depth(net, x, HUGE_SIZE, CP_DEPTH_FIRST), CP_E_SHAPE, "block");
    in_net(cp_net_space_to_depth(net, x, 2, (cp_depth_order)-1), CP_E_ARG, "order = -1: no such order");
    in_net(cp_net_activation_with(net, x, CP_ELU, NAN, 0), CP_E_ARG, "must be finite numbers");
    in_net(cp_net_activation_with(net, x, CP_CLIP, 2, 1), CP_E_ARG, "alpha = 2 is above beta = 1");
    in_net(cp_net_activation_with(net, x, CP_RELU, 1, 0), CP_E_ARG, "must be 0");
    in_net(cp_net_prelu_with(net, x, v), CP_E_SHAPE, "prelu1");
    in_net(cp_net_mul(net, x, v), CP_E_SHAPE, "mul1");
    in_net(cp_net_reduce(net, x, (cp_reduction)99, NULL, 0, false), CP_E_ARG, "reduction = 99");
    in_net(cp_net_reduce(net, x, CP_REDUCE_SUM, (int[]){4}, 1, false), CP_E_ARG, "axes[0] = 4: the input has 4");
    in_net(cp_net_reduce(net, x, CP_REDUCE_SUM, (int[]){-1}, 1, false), CP_E_ARG, "axes[0] = -1");
    in_net(cp_net_reduce(net, x, CP_REDUCE_SUM, (int[]){1, 1}, 2, false), CP_E_ARG, "axes[1] = 1: named twice");
    in_net(cp_net_reduce(net, x, CP_REDUCE_SUM, NULL, 3, false), CP_E_ARG, "3 axes, or no list of them");
    in_net(cp_net_reduce(net, x, CP_REDUCE_SUM, (int[]){1}, INT32_MAX, false), CP_E_ARG, "axes");
    in_net(cp_net_concat(net, NULL, 2, 1), CP_E_ARG, "2 values, or no list of them");
    in_net(cp_net_concat(net, &x, 0, 1), CP_E_ARG, "0 values, or no list of them");
    in_net(cp_net_concat(net, (cp_node[]){x, v}, 2, -1), CP_E_ARG, "axis = 3: the input has 2");
    in_net(cp_net_concat(net, (cp_node[]){x, cp_net_space_to_depth(net, x, 2, CP_DEPTH_FIRST)}, 2, -1), CP_E_SHAPE,
           "concat1");
    in_net(cp_net_concat(net, (cp_node[]){x, x}, 2, 9), CP_E_ARG, "axis = 9: the input has 4");
    in_net(cp_net_concat(net, (cp_node[]){x, x}, 2, -9), CP_E_ARG, "the input has 4");
    in_net(cp_net_slice(net, x, 3, 2, 2), CP_E_ARG, "begin = 2, count = 2: the axis has 3");
    in_net(cp_net_slice(net, x, 3, -1, 2), CP_E_ARG, "begin = -1, count = 2");
    in_net(cp_net_slice(net, x, 3, INT64_MAX, INT64_MAX), CP_E_ARG, "the axis has 3");
    in_net(cp_net_slice(net, x, 0, 0, 1), CP_E_SHAPE, "axis = 0: the batch is not known");
    in_net(cp_net_split(net, x, 3, (int64_t[]){2, 2}, 2, parts), CP_E_ARG, "begin = 2, count = 2: the axis has 3");
    in_net(cp_net_split(net, x, 3, (int64_t[]){1, 1}, 2, parts), CP_E_SHAPE, "2 rows together, the axis has 3");
    in_net(cp_net_split(net, x, 3, (int64_t[]){4, -1}, 2, parts), CP_E_ARG, "begin = 0, count = 4: the axis has 3");
    in_net(cp_net_split(net, x, 3, NULL, 2, parts), CP_E_ARG, "2 parts, or no lists of them");
    assert_int_equal(parts[0] + parts[1], 0);
    in_net(cp_net_batch_norm(net, x, -1, 0), CP_E_ARG, "epsilon = -1: must be a number above 0");
    in_net(cp_net_batch_norm(net, x, NAN, 0), CP_E_ARG, "epsilon = nan");
    in_net(cp_net_batch_norm(net, x, 0, 2), CP_E_ARG, "momentum = 2: must be at most 1");
    in_net(cp_net_group_norm(net, x, 2, 0), CP_E_ARG, "groups = 2: must divide 3 channels");
    in_net(cp_net_group_norm(net, x, INT64_MIN, 0), CP_E_ARG, "must divide 3 channels");
    in_net(cp_net_layer_norm_with(net, x, v, v, 0), CP_E_SHAPE, "layer-norm1");
}

/* A causal convolution chunk by chunk. */
static void wrong_streams(void **state) {
    (void)state;
    float out[64];
    const cp_conv causal = {.pad = CP_PAD_CAUSAL};
    const cp_tensor w = cp_view(numbers, CP_F32, cp_shape_of(3, (int64_t[]){3, 2, 4}));
    const cp_tensor flat = cp_mat(numbers, 3, 4), b = cp_vec(numbers, 5);
    const cp_tensor x = cp_view(numbers, CP_F32, cp_shape_of(3, (int64_t[]){1, 4, 2}));
    cp_tensor y = cp_view(out, CP_F32, cp_shape_of(3, (int64_t[]){1, 4, 4}));
    cp_stream *stream = (cp_stream *)numbers;
    refused(cp_stream_new(NULL, NULL, &causal, &w, NULL, 1, 4), CP_E_ARG, "stream is NULL");
    refused(cp_stream_new(&stream, NULL, &causal, NULL, NULL, 1, 4), CP_E_ARG, "w is missing");
    refused(cp_stream_new(&stream, NULL, NULL, &w, NULL, 1, 4), CP_E_ARG, "a stream needs causal padding");
    refused(cp_stream_new(&stream, NULL, &causal, &flat, NULL, 1, 4), CP_E_SHAPE, "have 2 dimensions");
    refused(cp_stream_new(&stream, NULL, &causal, &w, &b, 1, 4), CP_E_SHAPE, "bias has 5 values, needs 4");
    refused(cp_stream_new(&stream, NULL, &causal, &w, NULL, 0, 4), CP_E_ARG, "batch = 0: must be at least 1");
    refused(cp_stream_new(&stream, NULL, &causal, &w, NULL, 1, -4), CP_E_ARG, "chunk = -4: must be at least 1");
    refused(cp_stream_new(&stream, NULL, &causal, &w, NULL, 1, INT64_MAX), CP_E_SHAPE, "overflows");
    refused(cp_stream_new(&stream, NULL, &causal, &w, NULL, HUGE_SIZE, 4), CP_E_SHAPE, "overflows");
    refused(cp_stream_new(&stream, NULL, &(cp_conv){.pad = CP_PAD_CAUSAL, .dilation = {HUGE_SIZE}}, &w, NULL, 1, 4),
            CP_E_SHAPE, "overflows");
    refused(cp_stream_new(&stream, NULL, &(cp_conv){.pad = CP_PAD_CAUSAL, .dilation = {-1}}, &w, NULL, 1, 4), CP_E_ARG,
            "dilation[0] = -1: must be at least 1");
    assert_null(stream);
    ok(cp_stream_new(&stream, NULL, &causal, &w, NULL, 1, 4));
    refused(cp_stream_run(NULL, &x, &y), CP_E_ARG, "a stream, x and y are needed");
    refused(cp_stream_run(stream, NULL, &y), CP_E_ARG, "a stream, x and y are needed");
    refused(cp_stream_run(stream, &x, &x), CP_E_SHAPE, "y is 1x4x2, needs 1x4x4");
    y.type = CP_F64;
    refused(cp_stream_run(stream, &x, &y), CP_E_ARG, "f64");
    y.type = CP_F32, y.data = NULL;
    refused(cp_stream_run(stream, &x, &y), CP_E_ARG, "no data");
    y.data = out;
    ok(cp_stream_run(stream, &x, &y));
    cp_stream_free(stream);
}

static void wrong_net_gradients(void **state) {
    (void)state;
    cp_net *net = new_net();
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_of(2, (int64_t[]){3, 4}));
    const cp_node l = cp_net_input(net, "l", CP_I32, cp_shape_of(1, (int64_t[]){3}));
    const cp_node y = cp_net_dense(net, x, 5, CP_TANH);
    cp_node by[3] = {7, 7, 7};
    static const cp_node wild[] = {-1, -1000000, 1000000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        refused(cp_net_gradients(net, y, y, &wild[i], 1, by), CP_E_ARG, "is no value of this net");
        refused(cp_net_gradients(net, wild[i], y, &x, 1, by), CP_E_ARG, "y is no f32 value of this net");
        refused(cp_net_gradients(net, y, wild[i], &x, 1, by), CP_E_ARG, "dy is no f32 value of this net");
        assert_int_equal(by[0], 0);
    }
    refused(cp_net_gradients(net, 0, y, &x, 1, by), CP_E_ARG, "y is no f32 value");
    refused(cp_net_gradients(net, l, l, &x, 1, by), CP_E_ARG, "y is no f32 value");
    refused(cp_net_gradients(net, y, l, &x, 1, by), CP_E_ARG, "dy is no f32 value");
    refused(cp_net_gradients(net, y, x, &x, 1, by), CP_E_SHAPE, "gradient is 3x4, output is 3x5");
    refused(cp_net_gradients(net, y, 0, &x, 1, by), CP_E_ARG, "without dy, y must be a scalar");
    refused(cp_net_gradients(net, y, y, NULL, 1, by), CP_E_ARG, "by 1 values");
    refused(cp_net_gradients(net, y, y, &x, 1, NULL), CP_E_ARG, "by 1 values");
    refused(cp_net_gradients(net, y, y, &x, -1, by), CP_E_ARG, "by -1 values");
    refused(cp_net_gradients(NULL, y, y, &x, 1, by), CP_E_ARG, "net is NULL");
    /* none of this has harmed the net; what y does not depend on has no gradient */
    ok(cp_net_gradients(net, y, y, (cp_node[]){x, 0, l}, 3, by));
    assert_int_not_equal(by[0], 0);
    assert_int_equal(by[1], 0);
    assert_int_equal(by[2], 0);
    cp_net_free(net);
}

static void no_net(void **state) {
    (void)state;
    const char *text;
    cp_layer layer;
    cp_net *net = (cp_net *)numbers;
    refused(cp_net_error(NULL, &text), CP_E_ARG, "net is NULL");
    assert_string_equal(text, "net is NULL");
    refused(cp_net_new(NULL), CP_E_ARG, "net is NULL");
    refused(cp_net_clone(&net, NULL), CP_E_ARG, "net is NULL");
    assert_null(net);
    refused(cp_net_layer(NULL, 0, &layer), CP_E_ARG, "net is NULL");
    refused(cp_net_set_note(NULL, "a", "b"), CP_E_ARG, "net is NULL");
    refused(cp_net_initialize(NULL, CP_HE, 1), CP_E_ARG, "net is NULL");
    assert_int_equal(cp_net_input(NULL, "x", CP_F32, cp_shape_nhwc(1, 1, 1, 1)), 0);
    assert_int_equal(cp_net_conv(NULL, 1, 1, &(cp_conv){.kernel = {1}}), 0);
    assert_int_equal(cp_net_conv_with(NULL, 1, 1, 0, NULL), 0);
    assert_int_equal(cp_net_dense(NULL, 1, 1, CP_RELU), 0);
    assert_int_equal(cp_net_pool(NULL, 1, &(cp_pool){.global = true}), 0);
    assert_int_equal(cp_net_pool(NULL, 1, NULL), 0);
    assert_int_equal(cp_net_activation(NULL, 1, CP_RELU), 0);
    assert_int_equal(cp_net_flatten(NULL, 0), 0);
    assert_int_equal(cp_net_dropout(NULL, 1, 0.5f), 0);
    assert_int_equal(cp_net_add(NULL, 1, 1), 0);
    assert_int_equal(cp_net_parse(NULL, 1, "relu"), 0);
    assert_int_equal(cp_net_constant(NULL, "c", NULL), 0);
    assert_string_equal(cp_error(), "net is NULL");
    cp_net_output(NULL, 1, "y");
    cp_net_name(NULL, "y");
    assert_int_equal(cp_net_layers(NULL), 0);
    assert_int_equal(cp_net_inputs(NULL) + cp_net_outputs(NULL) + cp_net_parameters(NULL), 0);
    assert_null(cp_net_input_name(NULL, 0));
    assert_null(cp_net_output_name(NULL, 0));
    assert_null(cp_net_parameter_name(NULL, 0));
    assert_null(cp_net_note(NULL, "a"));
    assert_null(cp_net_parameter(NULL, 0).data);
    assert_int_equal(cp_net_shape(NULL, 1).rank, 0);
}

/* Everything that is freed may be NULL; what is asked of nothing is nothing. */
static void nothing_at_all(void **state) {
    (void)state;
    cp_net_free(NULL);
    cp_plan_free(NULL);
    cp_work_free(NULL);
    cp_ctx_free(NULL);
    cp_data_free(NULL);
    cp_trainer_free(NULL);
    cp_array_free(NULL);
    cp_work_time(NULL, true);
    assert_int_equal(cp_ctx_threads(NULL), 1);
    assert_int_equal(cp_plan_steps(NULL) + cp_plan_work_bytes(NULL) + cp_plan_packed_bytes(NULL), 0);
    assert_int_equal(cp_data_count(NULL) + cp_data_classes(NULL) + cp_trainer_steps(NULL), 0);
    assert_null(cp_trainer_plan(NULL));
    assert_null(cp_trainer_work(NULL));

    cp_net *net = (cp_net *)numbers;
    cp_trainer *trainer = (cp_trainer *)numbers;
    cp_array array;
    const cp_tensor x = cp_vec(numbers, 3);
    refused(cp_net_load(NULL, "x"), CP_E_ARG, "net is NULL");
    refused(cp_net_load(&net, NULL), CP_E_ARG, "path is NULL");
    refused(cp_trainer_load(&trainer, NULL, NULL), CP_E_ARG, "path is NULL");
    refused(cp_npy_load(&array, NULL), CP_E_ARG, "path is NULL");
    refused(cp_npy_load(NULL, "x"), CP_E_ARG, "array is NULL");
    refused(cp_npy_save(&x, NULL), CP_E_ARG, "path is NULL");
    refused(cp_npy_save(NULL, "x"), CP_E_ARG, "tensor is NULL");
    refused(cp_tensor_copy(&x, NULL), CP_E_ARG, "from is NULL");
    refused(cp_tensor_copy(NULL, &x), CP_E_ARG, "to is NULL");
    refused(cp_conv_shape(NULL, NULL, x.shape, x.shape), CP_E_ARG, "y is NULL");
    refused(cp_pool_shape(NULL, NULL, x.shape), CP_E_ARG, "y is NULL");
    refused(cp_conv_plan(NULL, NULL, NULL, &x, &x, NULL, NULL), CP_E_ARG, "plan is NULL");
    refused(cp_pool_plan(NULL, NULL, NULL, &x, NULL), CP_E_ARG, "plan is NULL");
    refused(cp_explain_conv(NULL, &x, &x, NULL, NULL, NULL), CP_E_ARG, "write is NULL");
    refused(cp_net_evaluate(NULL, NULL, NULL, NULL, NULL), CP_E_ARG, "net is NULL");
    refused(cp_trainer_fit(NULL, NULL, NULL), CP_E_ARG, "trainer is NULL");
    refused(cp_trainer_step(NULL, &x, &x, NULL, NULL), CP_E_ARG, "trainer is NULL");
    assert_null(net);
    assert_string_equal(cp_status_text((cp_status)5), "unknown status");
}

/* ---------------------------------------------------------------------------------------------------------------
 * Nets as text
 * ------------------------------------------------------------------------------------------------------------- */

static void mistakes_in_texts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        cp_status status;
        const char *where, *says;
    } cases[] = {
        {"konv 32 5x5", CP_E_ARG, "position 1:", "'konv' is not possible here; possible: conv,"},
        {"relu; konv 32", CP_E_ARG, "position 7:", "'konv' is not possible here"},
        {"conv", CP_E_ARG, "position 5:", "something is missing; possible: the number of filters, as 32"},
        {"conv 0 3x3", CP_E_ARG, "position 6:", "the number of filters"},
        {"conv -4 3x3", CP_E_ARG, "position 6:", "the number of filters"},
        {"conv 99999999999999999999 3", CP_E_ARG, "position 6:", "the number of filters"},
        {"conv 4", CP_E_ARG, "position 7:", "the kernel's size, as 2 or 2x1"},
        {"conv 4 3x", CP_E_ARG, "position 8:", "the kernel's size"},
        {"conv 4 3x3x3", CP_E_ARG, "position 8:", "the kernel's size"},
        {"conv 4 0x3", CP_E_ARG, "position 8:", "the kernel's size"},
        {"conv 4 3x3 sam", CP_E_ARG, "position 12:", "'sam' is not possible here; possible: same, same_lower, valid"},
        {"conv 4 3x3 pad 1,2", CP_E_ARG, "position 16:", "a padding, as 1, or all begins then all ends"},
        {"conv 4 3x3 pad", CP_E_ARG, "position 15:", "a padding"},
        {"conv 4 3x3 stride 0", CP_E_ARG, "position 19:", "a stride"},
        {"conv 4 3x3 dilation x", CP_E_ARG, "position 21:", "a dilation"},
        {"conv 4 3x3 groups 0", CP_E_ARG, "position 19:", "the number of groups"},
        {"conv 4 3x3 groups 2", CP_E_SHAPE, "position 1:", "groups = 2 does not divide 3 input channels"},
        {"relu;  conv 4 11x3", CP_E_SHAPE, "position 8:", "output height would be -2"},
        {"conv 4 3x3 same pad 1", CP_E_ARG, "position 1:", "pad SAME and explicit padding together"},
        {"conv 1099511627776 1099511627776x1099511627776", CP_E_SHAPE, "position 1:", "overflows"},
        {"pool", CP_E_ARG, "position 5:", "the window's size, as 2 or 3x2, or global"},
        {"pool 2 pad 2", CP_E_SHAPE, "position 1:", "pad_before[0] = 2: must be less than the window (2)"},
        {"pool 0", CP_E_ARG, "position 1:", "kernel[0] = 0: must be at least 1"},
        {"pool 2 relu", CP_E_ARG, "position 8:", "ceil"},
        {"pool global stride 2", CP_E_ARG, "position 1:", "global pooling sees the whole input"},
        {"dense 10", CP_E_SHAPE, "position 1:", "flatten it first"},
        {"flatten; dense", CP_E_ARG, "position 15:", "the number of units, as 10"},
        {"flatten; dense 10 rulu", CP_E_ARG, "position 19:", "'rulu' is not possible here; possible: "},
        {"flatten; dense 10 relu tanh", CP_E_ARG, "position 24:", "the end of the layer"},
        {"flatten; conv 3 3x3", CP_E_SHAPE, "position 10:", "'conv' needs spatial axes, and there are none left here"},
        {"flatten; pool 2", CP_E_SHAPE, "position 10:", "'pool' needs spatial axes"},
        {"dropout", CP_E_ARG, "position 8:", "the share that is dropped, as 0.4"},
        {"dropout 1", CP_E_ARG, "position 1:", "rate = 1: must be at least 0 and less than 1"},
        {"dropout 1.5", CP_E_ARG, "position 1:", "rate = 1.5: must be"},
        {"dropout 0.4.5", CP_E_ARG, "position 9:", "the share that is dropped"},
        {"dropout nan", CP_E_ARG, "position 9:", "the share that is dropped"},
        {"flatten 3", CP_E_ARG, "position 9:", "'3' is not possible here; possible: the end of the layer"},
        {"; relu", CP_E_ARG, "position 1:", "something is missing"},
        {"relu;; relu", CP_E_ARG, "position 6:", "something is missing"},
        {"{ relu", CP_E_ARG, "position 7:", "something is missing; possible: ; or | or }"},
        {"relu }", CP_E_ARG, "position 6:", "'}' is not possible here"},
        {"relu | relu", CP_E_ARG, "position 6:", "'|' is not possible here"},
        {"relu {", CP_E_ARG, "position 6:", "'{' is not possible here; possible: the end of the layer"},
        {"{ relu | } tanh", CP_E_ARG, "position 12:", "'tanh' is not possible here; possible: the end of the layer"},
        {"{ relu; konv | }", CP_E_ARG, "position 9:", "'konv' is not possible here"},
        {"{ relu;; relu | }", CP_E_ARG, "position 8:", "something is missing"},
        {"relu; { pool 2 | }", CP_E_SHAPE, "position 7:", "branches end as 0x4x4x3 and 0x8x8x3, which cannot be added"},
        {"{ conv 1 1x1 | }", CP_E_SHAPE, "position 1:", "branches end as 0x8x8x1 and 0x8x8x3"},
        {"{{{{{{{{{{{{{{{{{relu", CP_E_LIMIT, "position 17:", "more than 16 braces within each other"},
        {"lenet5 ten", CP_E_ARG, "position 8:", "'ten' is not possible here; possible: the number of classes"},
        {"relu; lenet5 3", CP_E_SHAPE, "position 7:", "lenet5, position 35: conv2: kernel of 5 is larger"},
        {"\x1b[31mrelu", CP_E_ARG, "position 1:", "'\\x1b[31mrelu' is not possible here"},
        {"conv 4 \xff\xfe", CP_E_ARG, "position 8:", "'\\xff\\xfe' is not possible here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_net *net = new_net();
        const char *text;
        const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 8, 8, 3));
        assert_int_equal(cp_net_parse(net, x, cases[i].text), 0);
        const cp_status status = cp_net_error(net, &text);
        if (status != cases[i].status || !strstr(text, cases[i].where) || !strstr(text, cases[i].says))
            fail_msg("\"%s\": %d, \"%s\"", cases[i].text, (int)status, text);
        cp_net_free(net);
    }
    in_net(cp_net_parse(net, x, NULL), CP_E_ARG, "the text of the net is NULL");
    in_net(cp_net_parse(net, 0, "relu"), CP_E_ARG, "its input is no value of this net");
    in_net(cp_net_parse(net, 55, ""), CP_E_ARG, "its input is no value of this net");
}

/* Pieces of right texts in a random order: each is read or refused, always with a sentence. */
static void shuffled_texts(void **state) {
    (void)state;
    static const char *const pieces[] = {
        "conv ", "pool ",  "flatten", "dense ", "relu",      "dropout ", "0.5 ",      "3x3 ",     "2 ", "; ",
        ";",     "same ",  "stride ", "pad ",   "1,1,0,2 ",  "global",   "groups ",   "softmax ", "x",  ",",
        "-",     "valid ", "9",       "ceil ",  "avg-pool ", "\n",       "dilation ", "{",        "|",  "}"};
    uint32_t random = 1;
    int read = 0;
    for (int i = 0; i < 3000; i++) {
        char text[400] = "";
        for (int n = 0; n < 1 + i % 24; n++) {
            random = random * 1664525u + 1013904223u;
            strcat(text, pieces[(random >> 16) % (sizeof pieces / sizeof *pieces)]);
        }
        cp_net *net = new_net();
        const char *says;
        const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 8, 8, 2));
        const cp_node y = cp_net_parse(net, x, text);
        const cp_status status = cp_net_error(net, &says);
        if ((status == CP_OK) != (y != 0)) fail_msg("\"%s\": value %d, status %d", text, (int)y, (int)status);
        if (status && !strstr(says, "position")) fail_msg("\"%s\": \"%s\"", text, says);
        read += !status;
        cp_net_free(net);
    }
    assert_true(read > 10);
}

/* What a text says is what is computed: activations of layers are not forgotten. */
static void texts_mean_what_they_say(void **state) {
    (void)state;
    static const char *const cases[] = {"dense 2", "dense 2 relu", "dense 2 sigmoid", "dense 2 tanh"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_net *net = new_net();
        const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_of(2, (int64_t[]){1, 2}));
        cp_net_output(net, cp_net_parse(net, x, cases[i]), "y");
        const cp_tensor w = cp_net_parameter(net, 0);
        memcpy(w.data, (float[]){-1, 1, -1, 1}, 4 * sizeof(float)); /* y = -+(x0 + x1) before the activation */
        cp_plan *plan;
        cp_work *work;
        const float in[2] = {1, 0.5f};
        float y[2];
        const cp_tensor from = cp_mat(in, 1, 2), to = cp_mat(y, 1, 2);
        ok(cp_net_plan(&plan, NULL, net, NULL));
        ok(cp_work_new(&work, plan));
        ok(cp_plan_run(plan, work, &from, 1, &to, 1));
        for (int k = 0; k < 2; k++) {
            const double z = k ? 1.5 : -1.5;
            const double right = i == 0 ? z : i == 1 ? (z > 0 ? z : 0) : i == 2 ? 1 / (1 + exp(-z)) : tanh(z);
            assert_true(fabs((double)y[k] - right) < 1e-6);
        }
        cp_work_free(work);
        cp_plan_free(plan);
        cp_net_free(net);
    }
}

/* Numbers that a summary could not count. */
static void summaries_of_large_nets(void **state) {
    (void)state;
    cp_net *net = new_net();
    cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_of(3, (int64_t[]){0, 1, 1}));
    for (int i = 0; i < 3; i++)
        x = cp_net_conv(net, x, 1, &(cp_conv){.kernel = {2}, .stride = {BIG}, .dilation = {BIG}, .pad_before = {BIG}});
    cp_net_output(net, x, "y");
    ok(cp_net_error(net, NULL));
    cp_layer layer;
    for (int i = 0; i < cp_net_layers(net); i++) {
        ok(cp_net_layer(net, i, &layer));
        assert_true(layer.receptive[0] > 0 && layer.jump[0] > 0);
    }
    assert_true(layer.receptive[0] == INT64_MAX);
    refused(cp_net_layer(net, -1, &layer), CP_E_ARG, "the net has layers 0 to 3");
    refused(cp_net_layer(net, 4, &layer), CP_E_ARG, "layer 4");
    refused(cp_net_layer(net, 0, NULL), CP_E_ARG, "layer is NULL");
    cp_net_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(transposed_convolutions),
        cmocka_unit_test(poolings),
        cmocka_unit_test(possible_after_all),
        cmocka_unit_test(empty_batches),
        cmocka_unit_test(wrong_tensors),
        cmocka_unit_test(wrong_gradients),
        cmocka_unit_test(overlapping_tensors),
        cmocka_unit_test(unaligned_tensors),
        cmocka_unit_test(wrong_runs),
        cmocka_unit_test(wrong_plans),
        cmocka_unit_test(first_failure_is_kept),
        cmocka_unit_test(wrong_layers),
        cmocka_unit_test(wrong_layers_of_other_kinds),
        cmocka_unit_test(wrong_streams),
        cmocka_unit_test(wrong_net_gradients),
        cmocka_unit_test(no_net),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(mistakes_in_texts),
        cmocka_unit_test(shuffled_texts),
        cmocka_unit_test(texts_mean_what_they_say),
        cmocka_unit_test(summaries_of_large_nets),
        cmocka_unit_test(limits),
        cmocka_unit_test(enormous_plans),
    };
    return cmocka_run_group_tests_name("hostile", tests, fill_numbers, NULL);
}
