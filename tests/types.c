/* Operations on numbers of every type, by hand: what moves, compares, counts and rounds them. */
#include "guard.h"
#include "op/op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SHAPE(...)                                                                                                     \
    (cp_shape) {                                                                                                       \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = { __VA_ARGS__ }                             \
    }
#define SCALAR ((cp_shape){.rank = 0})
#define LIST(...) ((const double[]){__VA_ARGS__})

enum { MOST = 64, INPUTS = 8 };

/* A net whose inputs have numbers already. */
typedef struct toy {
    cp_net *net;
    cp_tensor input[INPUTS];
    int inputs;
    guard guard;
} toy;

static toy begin(void) {
    toy t = {.guard.at_end = true};
    assert_int_equal(cp_net_new(&t.net), CP_OK);
    return t;
}

static cp_tensor memory(toy *t, cp_type type, cp_shape shape) {
    const int64_t size = cp_type_size(type);
    return cp_view(guard_bytes(&t->guard, cp_shape_count(shape) * size, size), type, shape);
}

static void put(const cp_tensor *x, const double *values) {
    for (int64_t e = 0; e < cp_shape_count(x->shape); e++) {
        if (cp_is_real(x->type))
            cp_put(x, e, values[e]);
        else
            cp_put_integer(x, e, (int64_t)values[e]);
    }
}

static cp_node given(toy *t, cp_type type, cp_shape shape, const double *values) {
    const cp_tensor x = memory(t, type, shape);
    char name[8] = {'x', (char)('0' + t->inputs), 0};
    put(&x, values);
    t->input[t->inputs++] = x;
    return cp_net_input(t->net, name, type, shape);
}

static cp_status run(toy *t, int threads, const cp_tensor *y, int outputs) {
    cp_ctx *ctx;
    cp_plan *plan;
    cp_work *work;
    assert_int_equal(cp_ctx_new(&ctx, &(cp_options){.threads = threads}), CP_OK);
    cp_status status = cp_net_plan(&plan, ctx, t->net, NULL);
    if (!status) assert_int_equal(cp_work_new(&work, plan), CP_OK);
    if (!status) {
        status = cp_plan_run(plan, work, t->input, t->inputs, y, outputs);
        cp_work_free(work);
    }
    cp_plan_free(plan);
    cp_ctx_free(ctx);
    return status;
}

static void end(toy *t) {
    guard_free(&t->guard);
    cp_net_free(t->net);
}

/* What comes out of y is that, exactly, also with more threads than numbers. */
static void gives(toy *t, cp_node y, cp_type type, cp_shape shape, const double *values) {
    const char *text;
    if (cp_net_error(t->net, &text)) fail_msg("%s", text);
    assert_true(cp_shape_same(cp_net_shape(t->net, y), shape));
    cp_net_output(t->net, y, "y");
    for (int threads = 1; threads <= 3; threads += 2) {
        const cp_tensor out = memory(t, type, shape);
        if (run(t, threads, &out, 1)) fail_msg("%s", cp_error());
        for (int64_t e = 0; e < cp_shape_count(shape); e++) {
            const double got = cp_get(&out, e);
            if (got != values[e] && !(isnan(got) && isnan(values[e])))
                fail_msg("element %lld is %.17g, must be %.17g", (long long)e, got, values[e]);
        }
    }
    end(t);
}

static const cp_type all[] = {CP_F32, CP_F64, CP_I32, CP_I64, CP_U8, CP_I8, CP_BOOL};
#define EACH_TYPE for (const cp_type *type = all; type < all + sizeof all / sizeof *all; type++)

/* --- what only moves --- */

static void shapes(void **state) {
    (void)state;
    EACH_TYPE {
        const double x[] = {1, 0, 1, 1, 0, 0};
        toy t = begin();
        gives(&t, cp_net_reshape(t.net, given(&t, *type, SHAPE(2, 3), x), SHAPE(3, 1, -1)), *type, SHAPE(3, 1, 2), x);
        t = begin();
        gives(&t, cp_net_reshape(t.net, given(&t, *type, SHAPE(2, 3), x), SHAPE(-1, 0)), *type, SHAPE(2, 3), x);
        t = begin();
        gives(&t, cp_net_reshape(t.net, given(&t, *type, SHAPE(1, 1), x), SCALAR), *type, SCALAR, x);
        t = begin();
        gives(&t, cp_net_transpose(t.net, given(&t, *type, SHAPE(2, 3), x), NULL), *type, SHAPE(3, 2),
              LIST(1, 1, 0, 0, 1, 0));
        t = begin();
        gives(&t, cp_net_transpose(t.net, given(&t, *type, SHAPE(1, 2, 3), x), (int[]){1, 0, 2}), *type, SHAPE(2, 1, 3),
              x);
        t = begin();
        gives(&t, cp_net_expand(t.net, given(&t, *type, SHAPE(3, 1), x), SHAPE(2, 1, 2)), *type, SHAPE(2, 3, 2),
              LIST(1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1));
        t = begin();
        gives(&t, cp_net_tile(t.net, given(&t, *type, SHAPE(2, 3), x), (int64_t[]){2, 2}), *type, SHAPE(4, 6),
              LIST(1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0));
        t = begin();
        gives(&t, cp_net_slice_step(t.net, given(&t, *type, SHAPE(2, 3), x), 1, 2, 2, -2), *type, SHAPE(2, 2),
              LIST(1, 1, 0, 1));
        t = begin();
        const cp_node pair[] = {given(&t, *type, SHAPE(2, 1), x), given(&t, *type, SHAPE(2, 2), x + 2)};
        gives(&t, cp_net_concat(t.net, pair, 2, 1), *type, SHAPE(2, 3), LIST(1, 1, 1, 0, 0, 0));
    }
}

static void open_batches(void **state) {
    (void)state;
    cp_net *net;
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node x = cp_net_input(net, "x", CP_F32, SHAPE(0, 4, 6));
    assert_true(cp_shape_same(cp_net_shape(net, cp_net_reshape(net, x, SHAPE(0, 24))), SHAPE(0, 24)));
    assert_true(cp_shape_same(cp_net_shape(net, cp_net_reshape(net, x, SHAPE(-1, 12))), SHAPE(0, 12)));
    assert_true(cp_shape_same(cp_net_shape(net, cp_net_reshape(net, x, SHAPE(0, -1, 3))), SHAPE(0, 8, 3)));
    const cp_node y = cp_net_tile(net, x, (int64_t[]){1, 2, 1});
    assert_true(cp_shape_same(cp_net_shape(net, y), SHAPE(0, 8, 6)));
    const cp_node z = cp_net_pad_axes(net, y, (int64_t[]){0, 0, 1}, (int64_t[]){0, 0, 1}, CP_PAD_CONSTANT, 0);
    assert_true(cp_shape_same(cp_net_shape(net, z), SHAPE(0, 8, 8)));
    assert_int_equal(cp_net_error(net, NULL), CP_OK);
    assert_int_equal(cp_net_reshape(net, x, SHAPE(24)), 0);
    assert_int_equal(cp_net_error(net, NULL), CP_E_SHAPE);
    cp_net_free(net);
}

static void long_numbers_stay_exact(void **state) {
    (void)state;
    const int64_t most = INT64_MAX;
    toy t = begin();
    cp_node x = given(&t, CP_I64, SHAPE(1, 2), LIST(0, 1));
    ((int64_t *)t.input[0].data)[0] = most;
    x = cp_net_transpose(t.net, cp_net_tile(t.net, x, (int64_t[]){2, 1}), NULL);
    x = cp_net_pad_axes(t.net, x, (int64_t[]){0, 1}, (int64_t[]){1, 0}, CP_PAD_REPLICATE, 0);
    x = cp_net_gather(t.net, x, given(&t, CP_I32, SHAPE(1), LIST(0)), 0);
    cp_net_output(t.net, x, "y");
    const cp_tensor y = memory(&t, CP_I64, SHAPE(1, 3));
    assert_int_equal(run(&t, 1, &y, 1), CP_OK);
    for (int i = 0; i < 3; i++) assert_true(((const int64_t *)y.data)[i] == most);
    end(&t);
}

static void padding(void **state) {
    (void)state;
    EACH_TYPE {
        const double x[] = {1, 0, 1, 1, 0, 0};
        toy t = begin();
        gives(&t,
              cp_net_pad_axes(t.net, given(&t, *type, SHAPE(2, 3), x), (int64_t[]){1, 0}, (int64_t[]){0, 2},
                              CP_PAD_CONSTANT, 1),
              *type, SHAPE(3, 5), LIST(1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1));
        t = begin(); /* what is negative is cut off */
        gives(&t,
              cp_net_pad_axes(t.net, given(&t, *type, SHAPE(2, 3), x), (int64_t[]){0, -1}, (int64_t[]){-1, 1},
                              CP_PAD_CONSTANT, 0),
              *type, SHAPE(1, 3), LIST(0, 1, 0));
        t = begin();
        gives(&t,
              cp_net_pad_axes(t.net, given(&t, *type, SHAPE(1, 3), x), (int64_t[]){0, 1}, (int64_t[]){0, 2},
                              CP_PAD_CIRCULAR, 0),
              *type, SHAPE(1, 6), LIST(1, 1, 0, 1, 1, 0));
    }
    /* five axes, of which the first and the last: two steps */
    toy t = begin();
    gives(&t,
          cp_net_pad_axes(t.net, given(&t, CP_U8, SHAPE(2, 1, 1, 1, 2), LIST(1, 2, 3, 4)), (int64_t[]){0, 0, 0, 0, 1},
                          (int64_t[]){1, 0, 0, 0, 0}, CP_PAD_REFLECT, 0),
          CP_U8, SHAPE(3, 1, 1, 1, 3), LIST(2, 1, 2, 4, 3, 4, 2, 1, 2));
}

static void gathering(void **state) {
    (void)state;
    EACH_TYPE {
        const double x[] = {1, 0, 1, 1, 0, 0};
        toy t = begin();
        cp_node a = given(&t, *type, SHAPE(2, 3), x);
        gives(&t, cp_net_gather(t.net, a, given(&t, CP_I64, SHAPE(2, 2), LIST(0, -1, 1, 1)), 1), *type, SHAPE(2, 2, 2),
              LIST(1, 1, 0, 0, 1, 0, 0, 0));
        t = begin();
        a = given(&t, *type, SHAPE(2, 3), x);
        gives(&t, cp_net_gather(t.net, a, given(&t, CP_I32, SCALAR, LIST(-2)), 0), *type, SHAPE(3), x);
        t = begin();
        a = given(&t, *type, SHAPE(2, 3), x);
        gives(&t, cp_net_gather_elements(t.net, a, given(&t, CP_I64, SHAPE(1, 3), LIST(0, -1, 1)), 0), *type,
              SHAPE(1, 3), LIST(1, 0, 0));
    }
    for (int i = 0; i < 2; i++) {
        toy t = begin();
        const cp_node x = given(&t, CP_F32, SHAPE(3), LIST(1, 2, 3)),
                      at = given(&t, CP_I64, SHAPE(2), LIST(0, i ? -4 : 3));
        cp_net_output(t.net, i ? cp_net_gather_elements(t.net, x, at, 0) : cp_net_gather(t.net, x, at, 0), "y");
        const cp_tensor y = memory(&t, CP_F32, SHAPE(2));
        assert_int_equal(run(&t, 1, &y, 1), CP_E_ARG);
        assert_non_null(strstr(cp_error(), i ? "index -1 at 1 is outside 0..2" : "index 3 at 1 is outside 0..2"));
        end(&t);
    }
}

static void casting(void **state) {
    (void)state;
    const double x[] = {-1.7, 300.5, NAN, 0, -INFINITY, 0.5};
    static const struct {
        cp_type to;
        double y[6];
    } cases[] = {
        {CP_I32, {-1, 300, 0, 0, INT32_MIN, 0}}, {CP_I64, {-1, 300, 0, 0, -0x1p63, 0}}, {CP_U8, {0, 255, 0, 0, 0, 0}},
        {CP_I8, {-1, 127, 0, 0, -128, 0}},       {CP_BOOL, {1, 1, 1, 0, 1, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (cp_type from = CP_F32; from <= CP_F64; from++) {
            toy t = begin();
            gives(&t, cp_net_cast(t.net, given(&t, from, SHAPE(6), x), cases[i].to), cases[i].to, SHAPE(6), cases[i].y);
        }
    toy t = begin();
    gives(&t, cp_net_cast(t.net, given(&t, CP_I32, SHAPE(3), LIST(-1, 258, 0)), CP_U8), CP_U8, SHAPE(3),
          LIST(255, 2, 0));
    t = begin();
    gives(&t, cp_net_cast(t.net, given(&t, CP_I64, SHAPE(3), LIST(-1, 256, 0)), CP_BOOL), CP_BOOL, SHAPE(3),
          LIST(1, 1, 0));
    t = begin();
    gives(&t, cp_net_cast(t.net, given(&t, CP_BOOL, SHAPE(2), LIST(1, 0)), CP_F32), CP_F32, SHAPE(2), LIST(1, 0));
    EACH_TYPE { /* there and back */
        for (const cp_type *to = all; to < all + sizeof all / sizeof *all; to++) {
            t = begin();
            const cp_node there = cp_net_cast(t.net, given(&t, *type, SHAPE(2), LIST(1, 0)), *to);
            gives(&t, cp_net_cast(t.net, there, *type), *type, SHAPE(2), LIST(1, 0));
        }
    }
}

/* --- elements --- */

static const cp_type numbers[] = {CP_F32, CP_F64, CP_I32, CP_I64, CP_I8, CP_U8};
#define EACH_NUMBER for (const cp_type *type = numbers; type < numbers + sizeof numbers / sizeof *numbers; type++)

static void functions(void **state) {
    (void)state;
    static const struct {
        cp_activation f;
        double y[4];
    } cases[] = {{CP_RELU, {0, 0, 3, 2}}, {CP_ABS, {5, 0, 3, 2}}, {CP_NEG, {5, 0, -3, -2}}, {CP_SIGN, {-1, 0, 1, 1}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (const cp_type *type = numbers; *type != CP_U8; type++) {
            toy t = begin();
            gives(&t, cp_net_activation(t.net, given(&t, *type, SHAPE(4), LIST(-5, 0, 3, 2)), cases[i].f), *type,
                  SHAPE(4), cases[i].y);
        }
    for (cp_type type = CP_F32; type <= CP_F64; type++) {
        const double x[] = {-2.5, -0.5, 0.5, 1.5, 1.75};
        toy t = begin();
        gives(&t, cp_net_activation(t.net, given(&t, type, SHAPE(5), x), CP_ROUND), type, SHAPE(5),
              LIST(-2, 0, 0, 2, 2));
        t = begin();
        gives(&t, cp_net_activation(t.net, given(&t, type, SHAPE(5), x), CP_FLOOR), type, SHAPE(5),
              LIST(-3, -1, 0, 1, 1));
        t = begin();
        gives(&t, cp_net_activation(t.net, given(&t, type, SHAPE(5), x), CP_CEIL), type, SHAPE(5),
              LIST(-2, 0, 1, 2, 2));
        t = begin();
        gives(&t, cp_net_activation_with(t.net, given(&t, type, SHAPE(5), x), CP_THRESHOLDED_RELU, 1.5f, 0), type,
              SHAPE(5), LIST(0, 0, 0, 0, 1.75));
    }
    toy t = begin(); /* the least one has no opposite */
    gives(&t, cp_net_activation(t.net, given(&t, CP_I8, SHAPE(2), LIST(-128, 7)), CP_NEG), CP_I8, SHAPE(2),
          LIST(-128, -7));
    t = begin();
    assert_int_equal(cp_net_activation(t.net, given(&t, CP_I32, SHAPE(2), LIST(1, 2)), CP_EXP), 0);
    assert_int_equal(cp_net_error(t.net, NULL), CP_E_ARG);
    end(&t);
}

static void pairs(void **state) {
    (void)state;
    static const struct {
        cp_node (*build)(cp_net *net, cp_node a, cp_node b);
        double y[4];
    } cases[] = {
        {cp_net_add, {9, 5, 6, 8}}, {cp_net_sub, {5, 1, 2, 4}}, {cp_net_mul, {14, 6, 8, 12}},
        {cp_net_min, {2, 2, 2, 2}}, {cp_net_max, {7, 3, 4, 6}}, {cp_net_pow, {49, 9, 16, 36}},
    };
    EACH_NUMBER
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        toy t = begin();
        const cp_node a = given(&t, *type, SHAPE(2, 2), LIST(7, 3, 4, 6)), b = given(&t, *type, SCALAR, LIST(2));
        gives(&t, cases[i].build(t.net, a, b), *type, SHAPE(2, 2), cases[i].y);
    }
    for (const cp_type *type = numbers + 2; *type != CP_U8; type++) {
        toy t = begin();
        cp_node a = given(&t, *type, SHAPE(4), LIST(-7, 7, 7, 5)), b = given(&t, *type, SHAPE(4), LIST(2, -2, 0, -1));
        gives(&t, cp_net_div(t.net, a, b), *type, SHAPE(4), LIST(-3, -3, 0, -5));
        t = begin();
        a = given(&t, *type, SHAPE(4), LIST(-1, 1, 3, -2)), b = given(&t, *type, SHAPE(4), LIST(-3, -2, -1, 3));
        gives(&t, cp_net_pow(t.net, a, b), *type, SHAPE(4), LIST(-1, 1, 0, -8));
    }
    toy t = begin();
    const cp_node a = given(&t, CP_U8, SHAPE(2), LIST(200, 3)), b = given(&t, CP_U8, SHAPE(2), LIST(100, 5));
    gives(&t, cp_net_sub(t.net, cp_net_add(t.net, a, b), b), CP_U8, SHAPE(2), LIST(200, 3));
    t = begin();
    cp_net_add(t.net, given(&t, CP_I32, SHAPE(1), LIST(1)), given(&t, CP_I64, SHAPE(1), LIST(1)));
    const char *text;
    assert_int_equal(cp_net_error(t.net, &text), CP_E_ARG);
    assert_non_null(strstr(text, "second input: type i64, must be i32"));
    end(&t);
}

static void truths(void **state) {
    (void)state;
    static const double y[][4] = {[CP_EQUAL] = {0, 1, 0, 0},
                                  [CP_LESS] = {1, 0, 0, 1},
                                  [CP_GREATER] = {0, 0, 1, 0},
                                  [CP_LESS_OR_EQUAL] = {1, 1, 0, 1},
                                  [CP_GREATER_OR_EQUAL] = {0, 1, 1, 0}};
    EACH_NUMBER
    for (cp_relation f = CP_EQUAL; f <= CP_GREATER_OR_EQUAL; f++) {
        toy t = begin();
        const cp_node a = given(&t, *type, SHAPE(2, 2), LIST(1, 2, 3, 0)), b = given(&t, *type, SHAPE(1), LIST(2));
        gives(&t, cp_net_compare(t.net, a, b, f), CP_BOOL, SHAPE(2, 2), y[f]);
    }
    toy t = begin();
    cp_node a = given(&t, CP_F32, SHAPE(2), LIST(NAN, NAN)), b = given(&t, CP_F32, SHAPE(2), LIST(NAN, 1));
    gives(&t, cp_net_compare(t.net, a, b, CP_EQUAL), CP_BOOL, SHAPE(2), LIST(0, 0));
    static const double together[][4] = {[CP_AND] = {1, 0, 0, 0}, [CP_OR] = {1, 1, 1, 0}, [CP_XOR] = {0, 1, 1, 0}};
    for (cp_relation f = CP_AND; f <= CP_XOR; f++) {
        t = begin();
        a = given(&t, CP_BOOL, SHAPE(4), LIST(1, 1, 0, 0)), b = given(&t, CP_BOOL, SHAPE(4), LIST(1, 0, 1, 0));
        gives(&t, cp_net_compare(t.net, a, b, f), CP_BOOL, SHAPE(4), together[f]);
    }
    t = begin();
    gives(&t, cp_net_not(t.net, given(&t, CP_BOOL, SHAPE(2), LIST(1, 0))), CP_BOOL, SHAPE(2), LIST(0, 1));
    t = begin(); /* what a double cannot tell apart */
    a = given(&t, CP_I64, SHAPE(1), LIST(0)), b = given(&t, CP_I64, SHAPE(1), LIST(0));
    ((int64_t *)t.input[0].data)[0] = INT64_MAX;
    ((int64_t *)t.input[1].data)[0] = INT64_MAX - 1;
    gives(&t, cp_net_compare(t.net, a, b, CP_EQUAL), CP_BOOL, SHAPE(1), LIST(0));
    EACH_TYPE {
        t = begin();
        const cp_node c = given(&t, CP_BOOL, SHAPE(2, 1), LIST(0, 1));
        a = given(&t, *type, SHAPE(1), LIST(1)), b = given(&t, *type, SHAPE(2), LIST(0, 1));
        gives(&t, cp_net_where(t.net, c, a, b), *type, SHAPE(2, 2), LIST(0, 1, 1, 1));
    }
}

/* The examples of ONNX's ConvInteger, MatMulInteger and QLinearMatMul, and a requantised convolution. */
static void products_of_bytes(void **state) {
    (void)state;
    const double ones[] = {1, 1, 1, 1}, image[] = {2, 3, 4, 5, 6, 7, 8, 9, 10};
    toy t = begin();
    cp_node x = given(&t, CP_U8, SHAPE(1, 3, 3, 1), image), w = given(&t, CP_U8, SHAPE(2, 2, 1, 1), ones);
    cp_node zero = given(&t, CP_U8, SCALAR, LIST(1));
    const cp_conv around = {.pad_before = {1, 1}, .pad_after = {1, 1}};
    gives(&t, cp_net_conv_integer(t.net, x, w, zero, 0, &around), CP_I32, SHAPE(1, 4, 4, 1),
          LIST(1, 3, 5, 3, 5, 12, 16, 9, 11, 24, 28, 15, 7, 15, 17, 9));

    t = begin();
    x = given(&t, CP_U8, SHAPE(4, 3), LIST(11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0));
    w = given(&t, CP_U8, SHAPE(3, 2), LIST(1, 4, 2, 5, 3, 6));
    zero = given(&t, CP_U8, SHAPE(1), LIST(12));
    gives(&t, cp_net_matmul_integer(t.net, x, w, zero, 0), CP_I32, SHAPE(4, 2),
          LIST(-38, -83, -44, -98, -50, -113, -56, -128));

    t = begin();
    cp_quantised a = {.value = given(&t, CP_U8, SHAPE(2, 4), LIST(208, 236, 0, 238, 3, 214, 255, 29)),
                      .scale = given(&t, CP_F32, SHAPE(1), LIST(0.0066f)),
                      .zero = given(&t, CP_U8, SHAPE(1), LIST(113))};
    cp_quantised b = {.scale = given(&t, CP_F32, SHAPE(1), LIST(0.00705f)),
                      .zero = given(&t, CP_U8, SHAPE(1), LIST(114))};
    b.value = given(&t, CP_U8, SHAPE(4, 3), LIST(152, 51, 244, 60, 26, 255, 0, 127, 246, 127, 254, 247));
    cp_quantised y = {.scale = given(&t, CP_F32, SHAPE(1), LIST(0.0107f)),
                      .zero = given(&t, CP_U8, SHAPE(1), LIST(118))};
    gives(&t, cp_net_qlinear_matmul(t.net, &a, &b, &y), CP_U8, SHAPE(2, 3), LIST(168, 115, 255, 1, 66, 151));

    t = begin(); /* sums -3 and 5, bias 10 and 0: 7 / 2 = 3.5 and 5 / 2 = 2.5, to even 4 and 2, plus 1 */
    a = (cp_quantised){.value = given(&t, CP_I8, SHAPE(1, 1, 1, 2), LIST(-1, 2)),
                       .scale = given(&t, CP_F32, SCALAR, LIST(0.5))};
    b = (cp_quantised){.value = given(&t, CP_I8, SHAPE(1, 1, 2, 2), LIST(-1, -1, -2, 2)),
                       .scale = given(&t, CP_F32, SHAPE(2), LIST(2, 2))};
    y = (cp_quantised){.scale = given(&t, CP_F32, SCALAR, LIST(2)), .zero = given(&t, CP_I8, SCALAR, LIST(1))};
    const cp_node bias = given(&t, CP_I32, SHAPE(2), LIST(10, 0));
    gives(&t, cp_net_qlinear_conv(t.net, &a, &b, bias, &y, NULL), CP_I8, SHAPE(1, 1, 1, 2), LIST(5, 3));
}

static void products(void **state) {
    (void)state;
    static const cp_type types[] = {CP_F32, CP_F64, CP_I32, CP_I64};
    const double x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    for (int i = 0; i < 4; i++) {
        toy t = begin();
        cp_node a = given(&t, types[i], SHAPE(2, 3), x), b = given(&t, types[i], SHAPE(3, 2), x);
        gives(&t, cp_net_matmul(t.net, a, b), types[i], SHAPE(2, 2), LIST(22, 28, 49, 64));
        t = begin();
        a = given(&t, types[i], SHAPE(3), x), b = given(&t, types[i], SHAPE(3), x);
        gives(&t, cp_net_matmul(t.net, a, b), types[i], SCALAR, LIST(14));
        t = begin();
        a = given(&t, types[i], SHAPE(3), x), b = given(&t, types[i], SHAPE(2, 3, 1), x);
        gives(&t, cp_net_matmul(t.net, a, b), types[i], SHAPE(2, 1), LIST(14, 32));
        t = begin();
        a = given(&t, types[i], SHAPE(2, 1, 3), x), b = given(&t, types[i], SHAPE(3), x);
        gives(&t, cp_net_matmul(t.net, a, b), types[i], SHAPE(2, 1), LIST(14, 32));
        t = begin(); /* one matrix by two, two by one */
        a = given(&t, types[i], SHAPE(1, 2, 2), x), b = given(&t, types[i], SHAPE(2, 2, 1), x);
        gives(&t, cp_net_matmul(t.net, a, b), types[i], SHAPE(2, 2, 1), LIST(5, 11, 11, 25));
        t = begin();
        a = given(&t, types[i], SHAPE(2, 2, 2), x), b = given(&t, types[i], SHAPE(2, 1), x);
        gives(&t, cp_net_matmul(t.net, a, b), types[i], SHAPE(2, 2, 1), LIST(5, 11, 17, 23));
    }
}

/* --- along axes --- */

static void reductions(void **state) {
    (void)state;
    static const struct {
        cp_reduction f;
        double y[2];
    } cases[] = {
        {CP_REDUCE_SUM, {6, 5}}, {CP_REDUCE_MEAN, {2, 5.0 / 3}},   {CP_REDUCE_MAX, {3, 3}},
        {CP_REDUCE_MIN, {1, 0}}, {CP_REDUCE_PRODUCT, {6, 0}},      {CP_REDUCE_L1, {6, 5}},
        {CP_REDUCE_L2, {3, 3}},  {CP_REDUCE_SUM_SQUARE, {14, 13}},
    };
    const double x[] = {1, 2, 3, 0, 2, 3};
    EACH_NUMBER
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cp_is_real(*type) && (cases[i].f == CP_REDUCE_MEAN || cases[i].f == CP_REDUCE_L2)) continue;
        toy t = begin();
        const cp_node y = cp_net_reduce(t.net, given(&t, *type, SHAPE(2, 3), x), cases[i].f, (int[]){1}, 1, false);
        gives(&t, y, *type, SHAPE(2), LIST(floor(cases[i].y[0]), floor(cases[i].y[1])));
    }
    toy t = begin();
    const double far[] = {-1000, -1000, -INFINITY, -INFINITY};
    const cp_node y =
        cp_net_reduce(t.net, given(&t, CP_F64, SHAPE(2, 2), far), CP_REDUCE_LOG_SUM_EXP, (int[]){1}, 1, true);
    gives(&t, y, CP_F64, SHAPE(2, 1), LIST(log(2) - 1000, -INFINITY));
}

static void order(void **state) {
    (void)state;
    const double x[] = {2, 1, 3, 3, 1, 0};
    EACH_NUMBER {
        toy t = begin();
        gives(&t, cp_net_arg_max(t.net, given(&t, *type, SHAPE(2, 3), x), 1, false, false), CP_I64, SHAPE(2),
              LIST(2, 0));
        t = begin();
        gives(&t, cp_net_arg_min(t.net, given(&t, *type, SHAPE(2, 3), x), 0, true, true), CP_I64, SHAPE(1, 3),
              LIST(0, 1, 1));
        t = begin();
        gives(&t, cp_net_arg_max(t.net, given(&t, *type, SHAPE(3), LIST(3, 1, 3)), 0, false, true), CP_I64, SCALAR,
              LIST(2));
        t = begin();
        gives(&t, cp_net_top_k(t.net, given(&t, *type, SHAPE(2, 3), x), 1, 2, false, NULL), *type, SHAPE(2, 2),
              LIST(3, 2, 3, 1));
        t = begin();
        cp_node indices;
        cp_net_top_k(t.net, given(&t, *type, SHAPE(6), x), 0, 6, true, &indices);
        gives(&t, indices, CP_I64, SHAPE(6), LIST(5, 1, 4, 0, 2, 3));
        if (*type == CP_U8 || *type == CP_I8) continue;
        t = begin();
        gives(&t, cp_net_cumulative_sum(t.net, given(&t, *type, SHAPE(2, 3), x), 1, true, true), *type, SHAPE(2, 3),
              LIST(4, 3, 0, 1, 0, 0));
        t = begin();
        gives(&t, cp_net_cumulative_sum(t.net, given(&t, *type, SHAPE(2, 3), x), 0, false, false), *type, SHAPE(2, 3),
              LIST(2, 1, 3, 5, 2, 3));
    }
    for (cp_type type = CP_F32; type <= CP_F64; type++) { /* a NaN is the largest, and the one to be found */
        toy t = begin();
        gives(&t, cp_net_arg_min(t.net, given(&t, type, SHAPE(4), LIST(1, NAN, 0, NAN)), 0, false, false), CP_I64,
              SCALAR, LIST(1));
        t = begin();
        gives(&t, cp_net_top_k(t.net, given(&t, type, SHAPE(4), LIST(1, NAN, 0, INFINITY)), 0, 3, false, NULL), type,
              SHAPE(3), LIST(NAN, INFINITY, 1));
    }
}

/* --- numbers of few bits: ONNX's examples --- */

static void quantised(void **state) {
    (void)state;
    for (cp_type type = CP_F32;; type = CP_I32) {
        toy t = begin();
        cp_node x = given(&t, type, SHAPE(6), LIST(0, 2, 3, 1000, -254, -1000));
        gives(&t,
              cp_net_quantize(t.net, x, given(&t, CP_F32, SHAPE(1), LIST(2)), given(&t, CP_U8, SCALAR, LIST(128)), 0),
              CP_U8, SHAPE(6), LIST(128, 129, 130, 255, 1, 0));
        t = begin();
        x = given(&t, type, SHAPE(2, 4), LIST(1, 3, 5, -5, 1, 3, 1000, -1000)); /* halves to even */
        gives(&t,
              cp_net_quantize(t.net, x, given(&t, CP_F32, SHAPE(2), LIST(2, 4)),
                              given(&t, CP_I8, SHAPE(2), LIST(0, -3)), 0),
              CP_I8, SHAPE(2, 4), LIST(0, 2, 2, -2, -3, -2, 127, -128));
        if (type == CP_I32) break;
    }
    toy t = begin();
    cp_node x = given(&t, CP_U8, SHAPE(4), LIST(0, 3, 128, 255));
    gives(&t, cp_net_dequantize(t.net, x, given(&t, CP_F32, SCALAR, LIST(2)), given(&t, CP_U8, SCALAR, LIST(128)), 1),
          CP_F32, SHAPE(4), LIST(-256, -250, 0, 254));
    t = begin();
    x = given(&t, CP_I32, SHAPE(2, 2), LIST(-30, -3, 100, 2000000));
    gives(&t, cp_net_dequantize(t.net, x, given(&t, CP_F32, SHAPE(2), LIST(2, 0.5)), 0, -1), CP_F32, SHAPE(2, 2),
          LIST(-60, -1.5, 200, 1e6));
    t = begin();
    gives(&t, cp_net_dynamic_quantize(t.net, given(&t, CP_F32, SHAPE(6), LIST(0, 2, -3, -2.5, 1.34, 0.5)), NULL, NULL),
          CP_U8, SHAPE(6), LIST(153, 255, 0, 26, 221, 179));
    cp_node scale, zero;
    t = begin();
    cp_net_dynamic_quantize(t.net, given(&t, CP_F32, SHAPE(3), LIST(-1, -2.1, -255)), &scale, &zero);
    gives(&t, cp_net_mul(t.net, scale, cp_net_cast(t.net, zero, CP_F32)), CP_F32, SCALAR, LIST(255));
    t = begin();
    cp_net_dynamic_quantize(t.net, given(&t, CP_F32, SHAPE(3), LIST(0, 0, 0)), &scale, &zero);
    gives(&t, scale, CP_F32, SCALAR, LIST(1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(open_batches),
        cmocka_unit_test(long_numbers_stay_exact),
        cmocka_unit_test(padding),
        cmocka_unit_test(gathering),
        cmocka_unit_test(casting),
        cmocka_unit_test(functions),
        cmocka_unit_test(pairs),
        cmocka_unit_test(truths),
        cmocka_unit_test(products),
        cmocka_unit_test(reductions),
        cmocka_unit_test(order),
        cmocka_unit_test(quantised),
        cmocka_unit_test(products_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
