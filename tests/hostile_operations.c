/* Input that no caller should give to one operation: impossible geometries, sizes that overflow, NULL, tensors of the
 * wrong kind. */
#include "hostile.h"

/* --- geometries --- */

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

/* --- tensors of one operation --- */

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),      cmocka_unit_test(transposed_convolutions),
        cmocka_unit_test(poolings),          cmocka_unit_test(possible_after_all),
        cmocka_unit_test(empty_batches),     cmocka_unit_test(wrong_tensors),
        cmocka_unit_test(wrong_gradients),   cmocka_unit_test(overlapping_tensors),
        cmocka_unit_test(unaligned_tensors),
    };
    return cmocka_run_group_tests(tests, fill_numbers, NULL);
}
