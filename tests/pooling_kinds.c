/* Poolings of every kind on numbers worked out by hand: Lp, adaptive, fractional, stochastic, divisors, and what is
 * refused. */
#include <convpool.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void run(const cp_pool *pool, int64_t h, int64_t w, const float *x, int64_t count, float *y) {
    const cp_tensor in = cp_nhwc(x, 1, h, w, 1);
    cp_shape shape;
    if (cp_pool_shape(&shape, pool, in.shape)) fail_msg("%s", cp_error());
    assert_int_equal(cp_shape_count(shape), count);
    const cp_tensor out = cp_view(y, CP_F32, shape);
    if (cp_pool_run(NULL, pool, &in, &out)) fail_msg("%s", cp_error());
}

static void expect(const cp_pool *pool, int64_t h, int64_t w, const float *x, int64_t count, const float *expected) {
    float y[64];
    run(pool, h, w, x, count, y);
    for (int64_t i = 0; i < count; i++)
        if (!(fabsf(y[i] - expected[i]) <= 1e-5f * (1 + fabsf(expected[i]))))
            fail_msg("number %lld is %.9g instead of %.9g", (long long)i, (double)y[i], (double)expected[i]);
}

static void refused(const cp_pool *pool, cp_shape x, cp_status status, const char *text) {
    cp_shape y;
    assert_int_equal(cp_pool_shape(&y, pool, x), status);
    assert_string_equal(cp_error(), text);
}

static const float nine[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static void lp(void **state) {
    const float x[] = {3, -4, 0, 0, 1, 2, -2, 1e20f};
    (void)state;
    expect(&(cp_pool){.kind = CP_LP, .kernel = {1, 2}}, 1, 8, x, 4, (const float[]){5, 0, sqrtf(5), 1e20f});
    expect(&(cp_pool){.kind = CP_LP, .kernel = {1, 2}, .exponent = 1}, 1, 8, x, 4, (const float[]){7, 0, 3, 1e20f});
    expect(&(cp_pool){.kind = CP_LP, .kernel = {1, 3}, .exponent = 3, .pad_before = {0, 1}, .pad_after = {0, 1}}, 1, 4,
           x, 2, (const float[]){cbrtf(91), 0});
    expect(&(cp_pool){.kind = CP_LP, .global = true}, 3, 3, nine, 1, (const float[]){sqrtf(285)});
}

static void divisors(void **state) {
    cp_pool pool = {.kind = CP_AVERAGE, .kernel = {2, 2}, .stride = {2, 2}, .pad_before = {1, 1}, .ceil_mode = true};
    (void)state;
    expect(&pool, 3, 3, nine, 4, (const float[]){1, 2.5f, 5.5f, 7});
    pool.divisor = CP_DIVISOR_PADDED;
    expect(&pool, 3, 3, nine, 4, (const float[]){0.25f, 1.25f, 2.75f, 7});
    pool.divisor = CP_DIVISOR_NUMBER;
    pool.divide_by = 3;
    expect(&pool, 3, 3, nine, 4, (const float[]){1 / 3.f, 5 / 3.f, 11 / 3.f, 28 / 3.f});
    /* the tail that ceil_mode adds counts only where the whole kernel does */
    pool = (cp_pool){.kind = CP_AVERAGE, .kernel = {1, 2}, .ceil_mode = true, .divisor = CP_DIVISOR_PADDED};
    expect(&pool, 1, 3, nine, 2, (const float[]){1.5f, 3});
    pool.divisor = CP_DIVISOR_KERNEL;
    expect(&pool, 1, 3, nine, 2, (const float[]){1.5f, 1.5f});
}

static void adaptive(void **state) {
    (void)state;
    expect(&(cp_pool){.kind = CP_MAX, .output_size = {2, 2}}, 3, 3, nine, 4, (const float[]){5, 6, 8, 9});
    expect(&(cp_pool){.kind = CP_AVERAGE, .output_size = {2, 2}}, 3, 3, nine, 4, (const float[]){3, 4, 6, 7});
    expect(&(cp_pool){.kind = CP_AVERAGE, .output_size = {1, 3}}, 1, 7, nine, 3, (const float[]){2, 4, 6});
    expect(&(cp_pool){.kind = CP_AVERAGE, .output_size = {1, 5}}, 1, 2, nine, 5, (const float[]){1, 1, 1.5f, 2, 2});
    /* more than 2^24 positions, where quotients of floats go wrong: floor and ceil of whole numbers */
    const int64_t size = ((int64_t)1 << 24) + 3;
    float *x = calloc((size_t)size, sizeof *x), y[3];
    assert_non_null(x);
    x[size / 3] = 1;
    x[2 * size / 3] = 2;
    run(&(cp_pool){.kind = CP_MAX, .output_size = {1, 3}}, 1, size, x, 3, y);
    assert_true(y[0] == 1 && y[1] == 2 && y[2] == 2);
    free(x);
}

/* The widths of TensorFlow's windows are k or k+1 and fill the input; PyTorch's begin at 0 and end at the end. */
static void fractional(void **state) {
    (void)state;
    for (int64_t in = 2; in <= 23; in++)
        for (int64_t out = 1; out <= in; out++) {
            float x[23], y[23];
            for (int i = 0; i < 23; i++) x[i] = (float)i + 1; /* the maximum is the window's end */
            run(&(cp_pool){.output_size = {1, out}, .fractional = CP_FRACTIONAL_TENSORFLOW}, 1, in, x, out, y);
            for (int64_t o = 0; o < out; o++) {
                const int64_t width = (int64_t)(y[o] - (o ? y[o - 1] : 0));
                assert_true(width == in / out || width == in / out + 1);
            }
            assert_true(y[out - 1] == (float)in);
            if (in < out + 1) continue;
            run(&(cp_pool){.kernel = {1, 2}, .output_size = {1, out}, .fractional = CP_FRACTIONAL_PYTORCH}, 1, in, x,
                out, y);
            assert_true(y[out - 1] == (float)in && (out == 1 || y[0] == 2));
            for (int64_t o = 1; o < out; o++) assert_true(y[o] > y[o - 1]);
        }
    /* whole quotients leave nothing to draw; overlapping windows see the first of the next */
    expect(&(cp_pool){.output_size = {1, 3}, .fractional = CP_FRACTIONAL_TENSORFLOW}, 1, 9, nine, 3,
           (const float[]){3, 6, 9});
    expect(&(cp_pool){.output_size = {1, 3}, .fractional = CP_FRACTIONAL_TENSORFLOW, .overlapping = true}, 1, 9, nine,
           3, (const float[]){4, 7, 9});
}

/* What a net of one stochastic pooling gives while it is trained or not. */
static void stochastic_net(const float *x, int64_t n, bool training, float *y) {
    cp_net *net;
    cp_plan *plan;
    cp_work *work;
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node in = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 1, n, 1));
    cp_net_output(net, cp_net_pool(net, in, &(cp_pool){.kind = CP_STOCHASTIC, .kernel = {1, 4}}), "y");
    assert_int_equal(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.training = training}), CP_OK);
    assert_int_equal(cp_work_new(&work, plan), CP_OK);
    const cp_tensor from = cp_nhwc(x, 1, 1, n, 1), to = cp_nhwc(y, 1, 1, n / 4, 1);
    assert_int_equal(cp_plan_run(plan, work, &from, 1, &to, 1), CP_OK);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_net_free(net);
}

static void stochastic(void **state) {
    enum { WINDOWS = 10000 };
    static float x[4 * WINDOWS], y[WINDOWS];
    int counts[5] = {0};
    (void)state;
    /* the test form: (1 + 4 + 16) / 7; what is negative has no chance; nothing positive gives 0 */
    const float few[] = {1, 2, 4, 0, -3, 2, 0, 0, 0, 0, 0, -1};
    stochastic_net(few, 12, false, y);
    assert_true(fabsf(y[0] - 3) < 1e-6f && y[1] == 2 && y[2] == 0);
    stochastic_net(few, 12, true, y);
    assert_true((y[0] == 1 || y[0] == 2 || y[0] == 4) && y[1] == 2 && y[2] == 0);
    /* 1 in ten, 2 in ten, ... */
    for (int i = 0; i < 4 * WINDOWS; i++) x[i] = (float)(i % 4 + 1);
    stochastic_net(x, 4 * WINDOWS, true, y);
    for (int i = 0; i < WINDOWS; i++) counts[(int)y[i]]++;
    for (int a = 1; a <= 4; a++) assert_in_range(counts[a], 1000 * a - 200, 1000 * a + 200);
    assert_int_equal(counts[0], 0);
}

/* Where nothing can be drawn, because a number is NaN, the first tap has the gradient. */
static void stochastic_without_number(void **state) {
    const float x[] = {1, 2, NAN, 4, 5, 6, 7, 8}, ones[] = {1, 1}, expected[] = {1, 0, 0, 0};
    float y[2], dx[8];
    cp_net *net;
    cp_plan *plan;
    cp_work *work;
    cp_node by;
    (void)state;
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node in = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 1, 8, 1));
    const cp_node dy = cp_net_input(net, "dy", CP_F32, cp_shape_nhwc(1, 1, 2, 1));
    const cp_node out = cp_net_pool(net, in, &(cp_pool){.kind = CP_STOCHASTIC, .kernel = {1, 4}});
    assert_int_equal(cp_net_gradients(net, out, dy, &in, 1, &by), CP_OK);
    cp_net_output(net, out, "y");
    cp_net_output(net, by, "dx");
    assert_int_equal(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.training = true}), CP_OK);
    assert_int_equal(cp_work_new(&work, plan), CP_OK);
    const cp_tensor from[] = {cp_nhwc(x, 1, 1, 8, 1), cp_nhwc(ones, 1, 1, 2, 1)};
    const cp_tensor to[] = {cp_nhwc(y, 1, 1, 2, 1), cp_nhwc(dx, 1, 1, 8, 1)};
    assert_int_equal(cp_plan_run(plan, work, from, 2, to, 2), CP_OK);
    assert_true(isnan(y[0]));
    assert_memory_equal(dx, expected, sizeof expected);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_net_free(net);
}

/* Plans a net with up to two inputs and one output, and runs it. */
static cp_status run_net(cp_net *net, const cp_tensor *inputs, int n, float *y) {
    cp_plan *plan;
    cp_work *work;
    if (cp_net_error(net, NULL)) fail_msg("%s", cp_error());
    assert_int_equal(cp_net_plan(&plan, NULL, net, NULL), CP_OK);
    assert_int_equal(cp_work_new(&work, plan), CP_OK);
    const cp_tensor to = cp_view(y, CP_F32, cp_plan_output_shape(plan, 0));
    const cp_status status = cp_plan_run(plan, work, inputs, n, &to, 1);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_net_free(net);
    return status;
}

/* Maxima and back: each maximum where it was, zeros elsewhere. */
static void unpool_of(const cp_pool *pool, const float *expected) {
    const float x[] = {1, 9, 2, 3, 4, 5, 6, 8, 7};
    float y[9];
    cp_net *net;
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node in = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 3, 3, 1)), maxima = cp_net_pool(net, in, pool);
    const cp_pool whole = {.output_size = {3, 3}};
    cp_net_output(net, cp_net_max_unpool(net, maxima, cp_net_pool_positions(net, maxima), &whole), "y");
    const cp_tensor from = cp_nhwc(x, 1, 3, 3, 1);
    assert_int_equal(run_net(net, &from, 1, y), CP_OK);
    assert_memory_equal(y, expected, sizeof y);
}

static void unpooling(void **state) {
    const float sliding[] = {0, 9, 0, 0, 0, 0, 0, 8, 0};
    (void)state;
    unpool_of(&(cp_pool){.kernel = {2, 2}, .stride = {1, 1}}, sliding);
    unpool_of(&(cp_pool){.output_size = {2, 2}}, sliding);
    unpool_of(&(cp_pool){.kernel = {1, 3}}, (const float[]){0, 9, 0, 0, 0, 5, 0, 8, 0});
    unpool_of(&(cp_pool){.kernel = {2, 3}, .stride = {2, 3}, .pad_before = {1, 0}, .pad_after = {0, 0}},
              (const float[]){0, 9, 0, 0, 0, 0, 0, 8, 0});
}

/* What an unpooling without a size cannot follow it from. */
static void unpooling_refused(void **state) {
    static const cp_pool pools[] = {{.kernel = {2, 2}, .pad_before = {-1, 0}},
                                    {.kernel = {2, 2}, .pad_after = {0, INT64_MIN}},
                                    {.kernel = {2, 2}, .pad_before = {INT64_MAX, 0}, .pad_after = {INT64_MAX, 0}},
                                    {.kernel = {2, 2}, .stride = {INT64_MAX, 1}},
                                    {.kernel = {2, -2}}};
    static const char *const reasons[] = {"pad_before[0] = -1: must be at least 0",
                                          "pad_after[1] = -9223372036854775808: must be at least 0", "overflows",
                                          "overflows", "kernel[1] = -2: must be at least 1"};
    (void)state;
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        const char *told;
        cp_net *net;
        assert_int_equal(cp_net_new(&net), CP_OK);
        const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 3, 3, 1));
        const cp_node at = cp_net_input(net, "at", CP_I32, cp_shape_nhwc(1, 3, 3, 1));
        assert_int_equal(cp_net_max_unpool(net, x, at, &pools[i]), 0);
        assert_int_not_equal(cp_net_error(net, &told), CP_OK);
        if (!strstr(told, reasons[i])) fail_msg("'%s' instead of '%s'", told, reasons[i]);
        cp_net_free(net);
    }
}

/* Positions that somebody gives: the last of equal ones wins; one outside the plane is named when the plan runs. */
static void positions(void **state) {
    const float x[] = {1, 2, 3, 4};
    int32_t where[] = {5, 0, 0, 3};
    const cp_tensor inputs[] = {cp_nhwc(x, 1, 1, 4, 1), cp_view(where, CP_I32, cp_shape_nhwc(1, 1, 4, 1))};
    const float expected[] = {3, 0, 0, 4, 0, 1, 0, 0};
    (void)state;
    for (int bad = 0; bad < 3; bad++) {
        float y[8];
        cp_net *net;
        assert_int_equal(cp_net_new(&net), CP_OK);
        const cp_node in = cp_net_input(net, "x", CP_F32, inputs[0].shape);
        const cp_node at = cp_net_input(net, "at", CP_I32, inputs[1].shape);
        cp_net_output(net, cp_net_max_unpool(net, in, at, &(cp_pool){.kernel = {1, 2}}), "y");
        where[1] = bad == 0 ? 0 : bad == 1 ? 8 : -1;
        const cp_status status = run_net(net, inputs, 2, y);
        assert_int_equal(status, bad ? CP_E_ARG : CP_OK);
        if (bad == 0) assert_memory_equal(y, expected, sizeof y);
        if (bad == 1) assert_string_equal(cp_error(), "max-unpool1: index 8 at 1 is outside 0..7");
        if (bad == 2) assert_string_equal(cp_error(), "max-unpool1: index -1 at 1 is outside 0..7");
    }
}

static void pyramid(void **state) {
    float y[5];
    cp_net *net;
    (void)state;
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node in = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 3, 3, 1));
    cp_net_output(net, cp_net_pyramid_pool(net, in, CP_AVERAGE, (const int64_t[]){1, 2}, 2), "y");
    const cp_tensor from = cp_nhwc(nine, 1, 3, 3, 1);
    assert_int_equal(run_net(net, &from, 1, y), CP_OK);
    const float expected[] = {5, 3, 4, 6, 7};
    for (int i = 0; i < 5; i++) assert_true(fabsf(y[i] - expected[i]) < 1e-6f);
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node bad = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 3, 3, 1));
    assert_int_equal(cp_net_pyramid_pool(net, bad, CP_MAX, (const int64_t[]){1, 0}, 2), 0);
    assert_string_equal(cp_error(), "levels[1] = 0: must be at least 1");
    cp_net_free(net);
}

/* A pooling of bytes gives bytes. */
static void pool_bytes(const cp_pool *pool, cp_type type, const void *x, int64_t n, void *y) {
    cp_net *net;
    cp_plan *plan;
    cp_work *work;
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_tensor from = cp_view(x, type, cp_shape_nhwc(1, 1, n, 1));
    cp_net_output(net, cp_net_pool(net, cp_net_input(net, "x", type, from.shape), pool), "y");
    if (cp_net_error(net, NULL)) fail_msg("%s", cp_error());
    assert_int_equal(cp_net_plan(&plan, NULL, net, NULL), CP_OK);
    assert_int_equal(cp_work_new(&work, plan), CP_OK);
    const cp_tensor to = cp_view(y, type, cp_plan_output_shape(plan, 0));
    assert_int_equal(cp_plan_run(plan, work, &from, 1, &to, 1), CP_OK);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_net_free(net);
}

/* The maximum of negative bytes beside padding is negative; halves of an average go to the even number. */
static void bytes(void **state) {
    const uint8_t u[] = {255, 254, 1, 2, 2, 3};
    const int8_t s[] = {-128, -127, -1, -2, 3, 4};
    uint8_t yu[4];
    int8_t ys[4];
    cp_pool max = {.kernel = {1, 3}, .stride = {1, 2}, .pad_before = {0, 1}, .pad_after = {0, 1}};
    cp_pool average = {.kind = CP_AVERAGE, .kernel = {1, 2}};
    (void)state;
    pool_bytes(&max, CP_U8, u, 6, yu);
    assert_memory_equal(yu, ((uint8_t[]){255, 254, 3}), 3);
    pool_bytes(&max, CP_I8, s, 6, ys);
    assert_memory_equal(ys, ((int8_t[]){-127, -1, 4}), 3);
    pool_bytes(&average, CP_U8, u, 6, yu); /* 254.5, 1.5, 2.5 */
    assert_memory_equal(yu, ((uint8_t[]){254, 2, 2}), 3);
    pool_bytes(&average, CP_I8, s, 6, ys); /* -127.5, -1.5, 3.5 */
    assert_memory_equal(ys, ((int8_t[]){-128, -2, 4}), 3);
    average.divisor = CP_DIVISOR_NUMBER;
    average.divide_by = 1; /* sums that no byte can hold */
    pool_bytes(&average, CP_U8, u, 6, yu);
    assert_memory_equal(yu, ((uint8_t[]){255, 3, 5}), 3);
    pool_bytes(&average, CP_I8, s, 6, ys);
    assert_memory_equal(ys, ((int8_t[]){-128, -3, 7}), 3);
}

static void refusals(void **state) {
    const cp_shape x = cp_shape_nhwc(1, 5, 7, 2);
    (void)state;
    refused(&(cp_pool){.kernel = {2, 2}, .divisor = CP_DIVISOR_KERNEL}, x, CP_E_ARG,
            "divisor: only an average is divided");
    refused(&(cp_pool){.kind = CP_AVERAGE, .kernel = {2, 2}, .divisor = CP_DIVISOR_NUMBER}, x, CP_E_ARG,
            "divide_by = 0: must be at least 1");
    refused(&(cp_pool){.kernel = {2, 2}, .exponent = 2}, x, CP_E_ARG, "exponent: only Lp pooling has one");
    refused(&(cp_pool){.kind = CP_LP, .kernel = {2, 2}, .exponent = 0.5f}, x, CP_E_ARG,
            "exponent = 0.5: must be 1 to 1000");
    refused(&(cp_pool){.output_size = {2, 0}}, x, CP_E_ARG, "output_size[1] = 0: must be at least 1");
    refused(&(cp_pool){.output_size = {2, 2}, .stride = {1, 1}}, x, CP_E_ARG,
            "windows that follow from output_size take no stride, dilation, padding, ceil_mode, global or divisor");
    refused(&(cp_pool){.output_size = {2, 8}, .fractional = CP_FRACTIONAL_TENSORFLOW}, x, CP_E_SHAPE,
            "output size 8: must be 1..7");
    refused(&(cp_pool){.output_size = {2, 6}, .kernel = {2, 3}, .fractional = CP_FRACTIONAL_PYTORCH}, x, CP_E_SHAPE,
            "kernel[1] = 3 and an output of 6 need an input of at least 8, it has 7");
    refused(
        &(cp_pool){.output_size = {2, 6}, .kernel = {INT64_MAX, 1}, .fractional = CP_FRACTIONAL_PYTORCH}, x, CP_E_SHAPE,
        "kernel[0] = 9223372036854775807 and an output of 2 need an input of at least 9223372036854775807, it has 5");
    refused(&(cp_pool){.output_size = {INT64_MAX, 2}}, x, CP_E_LIMIT,
            "9223372036854775807 windows of 5 positions are more than can be counted");
    refused(&(cp_pool){.kind = CP_LP, .output_size = {2, 2}}, x, CP_E_ARG,
            "adaptive pooling of kind 2 is not provided");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lp),         cmocka_unit_test(divisors),
        cmocka_unit_test(adaptive),   cmocka_unit_test(bytes),
        cmocka_unit_test(unpooling),  cmocka_unit_test(positions),
        cmocka_unit_test(pyramid),    cmocka_unit_test(fractional),
        cmocka_unit_test(stochastic), cmocka_unit_test(stochastic_without_number),
        cmocka_unit_test(refusals),   cmocka_unit_test(unpooling_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
