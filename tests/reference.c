/* The reference: numbers worked out by hand, the faults that textbook code has, adjoints and differences, NaN and ties.
 */
#include <string.h>

#include "ref/ref.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static uint32_t bits(void) {
    static const cp_random_key key = {.seed = 3};
    static uint64_t drawn;
    return cp_random_bits(&key, drawn++);
}

static int64_t draw(int64_t least, int64_t most) {
    return least + bits() % (most - least + 1);
}

/* --- tensors of a test: in double, freed by release() --- */

static void *owned[64];
static int owned_count;

static cp_tensor tensor(cp_shape shape) {
    const int64_t count = cp_shape_count(shape);
    double *data = calloc((size_t)(count ? count : 1), sizeof *data);
    owned[owned_count++] = data;
    return cp_view(data, CP_F64, shape);
}

static int release(void **state) {
    (void)state;
    while (owned_count > 0) free(owned[--owned_count]);
    return 0;
}

static cp_shape nhwc(int64_t n, int64_t h, int64_t w, int64_t c) {
    return cp_shape_nhwc(n, h, w, c);
}

static double *values(const cp_tensor *t) {
    return t->data;
}

static cp_tensor filled(cp_shape shape, const double *from) {
    const cp_tensor t = tensor(shape);
    for (int64_t e = 0; e < cp_shape_count(shape); e++) values(&t)[e] = from[e];
    return t;
}

/* -1 to 1 */
static cp_tensor random_tensor(cp_shape shape) {
    const cp_tensor t = tensor(shape);
    for (int64_t e = 0; e < cp_shape_count(shape); e++) values(&t)[e] = (double)bits() / (1u << 31) - 1;
    return t;
}

/* The same elements in another order in memory. */
static cp_tensor channels_first(const cp_tensor *t) {
    cp_tensor other = tensor(t->shape);
    other = cp_view_channels_first(other.data, CP_F64, t->shape);
    assert_int_equal(cp_tensor_copy(&other, t), CP_OK);
    return other;
}

static cp_tensor filters_first(const cp_tensor *t) {
    cp_tensor other = tensor(t->shape);
    other = cp_view_filters_first(other.data, CP_F64, t->shape);
    assert_int_equal(cp_tensor_copy(&other, t), CP_OK);
    return other;
}

static double element(const cp_tensor *t, int64_t e) {
    return cp_get(t, cp_offset(t, 0, t->shape.rank, e));
}

static double dot(const cp_tensor *a, const cp_tensor *b) {
    double sum = 0;
    assert_true(cp_shape_same(a->shape, b->shape));
    for (int64_t e = 0; e < cp_shape_count(a->shape); e++) sum += element(a, e) * element(b, e);
    return sum;
}

static void assert_near(double got, double expected) {
    if (!(fabs(got - expected) <= 1e-12 * (1 + fabs(expected)))) fail_msg("%.17g instead of %.17g", got, expected);
}

static void assert_values(const cp_tensor *t, const double *expected) {
    for (int64_t e = 0; e < cp_shape_count(t->shape); e++) {
        if (isnan(expected[e]))
            assert_true(isnan(element(t, e)));
        else if (isinf(expected[e]))
            assert_true(element(t, e) == expected[e]);
        else
            assert_near(element(t, e), expected[e]);
    }
}

static void assert_same(const cp_tensor *a, const cp_tensor *b) {
    assert_true(cp_shape_same(a->shape, b->shape));
    for (int64_t e = 0; e < cp_shape_count(a->shape); e++) assert_near(element(a, e), element(b, e));
}

/* --- operations with their shapes worked out --- */

static cp_window conv_window(const cp_conv *conv, const cp_tensor *x, const cp_tensor *w) {
    cp_window window;
    if (cp_conv_window(&window, conv, x->shape, w->shape)) fail_msg("%s", cp_error());
    return window;
}

static cp_tensor convolve(const cp_conv *conv, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b) {
    const cp_window window = conv_window(conv, x, w);
    cp_shape shape;
    assert_int_equal(cp_conv_shape(&shape, conv, x->shape, w->shape), CP_OK);
    const cp_tensor y = tensor(shape);
    cp_ref_conv(&window, cp_groups(conv), conv->activation == CP_RELU, x, w, b, &y, NULL);
    return y;
}

static cp_window pool_window(const cp_pool *pool, const cp_tensor *x) {
    cp_window window;
    if (cp_pool_window(&window, pool, x->shape)) fail_msg("%s", cp_error());
    return window;
}

static cp_tensor pooled(const cp_pool *pool, const cp_tensor *x, const cp_tensor *index) {
    const cp_window window = pool_window(pool, x);
    cp_shape shape;
    assert_int_equal(cp_pool_shape(&shape, pool, x->shape), CP_OK);
    const cp_tensor y = tensor(shape);
    if (pool->kind == CP_MAX)
        cp_ref_max_pool(&window, x, &y, index, NULL);
    else
        cp_ref_average_pool(&window, pool->divisor, pool->divide_by, x, &y, NULL);
    return y;
}

/* --- numbers worked out by hand --- */

static const double picture[25] = {2, 2, 3, 3, 3, 0, 1, 3, 0, 3, 2, 3, 0, 1, 3, 3, 3, 2, 1, 2, 3, 3, 0, 2, 3};
static const double kernel[9] = {2, 0, 1, 1, 0, 0, 0, 1, 1};

static void a_convolution_by_hand(void **state) {
    (void)state;
    const cp_tensor x = filled(nhwc(1, 5, 5, 1), picture), w = filled(nhwc(3, 3, 1, 1), kernel);
    const cp_conv conv = {.stride = {2, 2}, .pad_before = {1, 1}, .pad_after = {1, 1}};
    const cp_tensor y = convolve(&conv, &x, &w, NULL);
    assert_values(&y, (double[]){1, 5, 6, 7, 8, 3, 3, 10, 4});
    const double minus_six = -6;
    const cp_tensor b = filled(cp_shape_of(1, (int64_t[]){1}), &minus_six);
    const cp_conv relu = {.stride = {2, 2}, .pad_before = {1, 1}, .pad_after = {1, 1}, .activation = CP_RELU};
    const cp_tensor positive = convolve(&relu, &x, &w, &b);
    assert_values(&positive, (double[]){0, 0, 0, 1, 2, 0, 0, 4, 0});
}

static void padding_at_the_top(void **state) {
    (void)state;
    const double ones[25] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const cp_tensor x = filled(nhwc(1, 5, 5, 1), ones), w = filled(nhwc(3, 3, 1, 1), ones);
    const cp_tensor y = convolve(&(cp_conv){.pad = CP_PAD_SAME}, &x, &w, NULL);
    assert_values(&y, (double[]){4, 6, 6, 6, 4, 6, 9, 9, 9, 6, 6, 9, 9, 9, 6, 6, 9, 9, 9, 6, 4, 6, 6, 6, 4});
    const cp_pool pool = {.kernel = {3, 3}, .stride = {1, 1}, .pad = CP_PAD_SAME};
    const cp_tensor p = filled(nhwc(1, 5, 5, 1), picture), m = pooled(&pool, &p, NULL);
    assert_values(&m, (double[]){2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3});
}

/* --- the faults of a widely read article's code, one test for each --- */

static void fault_1_padding_works_on_a_batch(void **state) {
    (void)state;
    const cp_tensor x = random_tensor(nhwc(3, 4, 5, 2)), w = random_tensor(nhwc(3, 3, 2, 4));
    const cp_conv conv = {.pad_before = {1, 1}, .pad_after = {1, 1}};
    const cp_tensor y = convolve(&conv, &x, &w, NULL);
    assert_true(cp_shape_same(y.shape, nhwc(3, 4, 5, 4)));
    for (int64_t n = 0; n < 3; n++) { /* each picture as if it were alone */
        const cp_tensor one = filled(nhwc(1, 4, 5, 2), values(&x) + n * 40), alone = convolve(&conv, &one, &w, NULL);
        assert_values(&alone, values(&y) + n * 80);
    }
}

static void fault_2_padding_is_counted_once(void **state) {
    (void)state;
    const cp_tensor x = filled(nhwc(1, 5, 5, 1), picture), w = filled(nhwc(3, 3, 1, 1), kernel);
    const int64_t sizes[] = {0, 5, 3, 2};
    for (int64_t s = 1; s <= 3; s++) {
        const cp_conv conv = {.stride = {s, s}, .pad_before = {1, 1}, .pad_after = {1, 1}};
        const cp_tensor y = convolve(&conv, &x, &w, NULL);
        assert_int_equal(y.shape.dim[1], sizes[s]);
        assert_int_equal(y.shape.dim[2], sizes[s]);
        assert_near(values(&y)[0], 1); /* the window at the corner is the same for every stride */
    }
}

static void fault_3_sizes_are_rounded_down(void **state) {
    (void)state;
    cp_shape y;
    assert_int_equal(cp_pool_shape(&y, &(cp_pool){.kernel = {2, 2}}, nhwc(1, 1, 1, 1)), CP_E_SHAPE);
    /* 2^53 + 1 positions: no way through a floating-point number. */
    const int64_t big = ((int64_t)1 << 53) + 1;
    assert_int_equal(cp_conv_shape(&y, NULL, nhwc(1, 1, big, 1), nhwc(1, 1, 1, 1)), CP_OK);
    assert_int_equal(y.dim[2], big);
}

static void fault_4_sizes_that_disagree_are_refused(void **state) {
    (void)state;
    cp_shape y;
    const cp_shape x = nhwc(1, 5, 5, 3);
    assert_int_equal(cp_conv_shape(&y, NULL, x, nhwc(3, 3, 1, 1)), CP_E_SHAPE); /* one channel does not spread */
    assert_int_equal(cp_conv_shape(&y, NULL, x, cp_shape_of(3, (int64_t[]){3, 3, 1})), CP_E_SHAPE);
    assert_int_equal(cp_conv_shape(&y, NULL, cp_shape_of(2, (int64_t[]){5, 5}), nhwc(3, 3, 3, 1)), CP_E_SHAPE);
    assert_int_equal(cp_conv_shape(&y, NULL, x, nhwc(7, 3, 3, 1)), CP_E_SHAPE);
    assert_int_equal(cp_conv_shape(&y, &(cp_conv){.stride = {0, 1}}, x, nhwc(3, 3, 3, 1)), CP_E_ARG);
}

static void fault_5_types_bias_groups_dilation_and_axes(void **state) {
    (void)state;
    /* float in, float out */
    const float xf[4] = {1, 2, 3, 4}, wf[2] = {10, 1};
    float yf[2] = {0};
    const cp_tensor x = cp_nhwc(xf, 1, 2, 2, 1), w = cp_hwio(wf, 1, 2, 1, 1), y = cp_nhwc(yf, 1, 2, 1, 1);
    const cp_window window = conv_window(&(cp_conv){0}, &x, &w);
    cp_ref_conv(&window, 1, false, &x, &w, NULL, &y, NULL);
    assert_float_equal(yf[0], 12, 0);
    assert_float_equal(yf[1], 34, 0);

    /* Two groups of one channel, taps two apart along the width, another stride and padding for each axis, a bias. */
    const cp_tensor x2 =
        filled(nhwc(1, 2, 3, 2), (double[]){1, 10, 2, 20, 3, 30, /* second row */ 4, 40, 5, 50, 6, 60});
    const cp_tensor w2 = filled(nhwc(1, 2, 1, 2), (double[]){1, 2, /* second tap */ 100, 3});
    const cp_tensor b2 = filled(cp_shape_of(1, (int64_t[]){2}), (double[]){0.5, -0.5});
    const cp_conv conv = {.stride = {2, 1}, .dilation = {1, 2}, .pad_before = {1, 1}, .pad_after = {0, 1}, .groups = 2};
    const cp_tensor y2 = convolve(&conv, &x2, &w2, &b2);
    assert_values(&y2, (double[]){0.5, -0.5, 0.5, -0.5, 0.5, -0.5, /* the row above the picture */
                                  500.5, 149.5, 604.5, 259.5, 5.5, 99.5});
}

static void fault_6_pooling_has_padding_and_a_tail(void **state) {
    (void)state;
    const cp_tensor x = tensor(nhwc(1, 6, 6, 1));
    for (int i = 0; i < 36; i++) values(&x)[i] = i;
    const cp_tensor cut = pooled(&(cp_pool){.kernel = {3, 3}, .stride = {2, 2}}, &x, NULL);
    assert_values(&cut, (double[]){14, 16, 26, 28});
    const cp_tensor all = pooled(&(cp_pool){.kernel = {3, 3}, .stride = {2, 2}, .ceil_mode = true}, &x, NULL);
    assert_true(cp_shape_same(all.shape, nhwc(1, 3, 3, 1)));
    assert_values(&all, (double[]){14, 16, 17, 26, 28, 29, 32, 34, 35});
    const cp_pool padded = {.kernel = {3, 3}, .stride = {3, 3}, .pad_before = {1, 1}, .pad_after = {1, 1}};
    const cp_tensor with_padding = pooled(&padded, &x, NULL);
    assert_values(&with_padding, (double[]){7, 10, 25, 28});
    const cp_tensor mean = pooled(&(cp_pool){.kind = CP_AVERAGE, .global = true}, &x, NULL);
    assert_values(&mean, (double[]){17.5});
}

static void fault_7_the_kernel_is_not_flipped(void **state) {
    (void)state;
    const cp_tensor x = filled(cp_shape_of(3, (int64_t[]){1, 3, 1}), (double[]){1, 2, 4});
    const cp_tensor w = filled(cp_shape_of(3, (int64_t[]){3, 1, 1}), (double[]){1, 10, 100});
    const cp_tensor y = convolve(&(cp_conv){0}, &x, &w, NULL);
    assert_values(&y, (double[]){421}); /* flipped it would be 124 */
    /* Global pooling: one number for each channel. */
    const cp_tensor two = filled(nhwc(1, 1, 2, 2), (double[]){1, 5, 3, 4});
    const cp_tensor most = pooled(&(cp_pool){.global = true}, &two, NULL);
    assert_values(&most, (double[]){3, 5});
}

/* --- convolution: identities over random shapes --- */

typedef struct {
    cp_conv conv;
    cp_tensor x, w, b, dy;
    cp_window window;
} problem;

/* A valid convolution of 1 to 3 axes with everything in it. */
static problem random_problem(void) {
    problem p;
    cp_shape y;
    do {
        const int axes = (int)draw(1, 3);
        const int64_t groups = draw(1, 3), n = draw(1, 2), c = groups * draw(1, 2), k = groups * draw(1, 2);
        p.conv = (cp_conv){.groups = groups, .pad = (cp_pad)draw(0, 3)};
        cp_shape x = {.rank = axes + 2, .dim = {n}}, w = {.rank = axes + 2};
        for (int d = 0; d < axes; d++) {
            x.dim[1 + d] = draw(1, axes == 1 ? 9 : axes == 2 ? 6 : 4);
            w.dim[d] = draw(1, 3);
            p.conv.stride[d] = draw(1, 3);
            p.conv.dilation[d] = draw(1, 2);
            if (p.conv.pad == CP_PAD_EXPLICIT) p.conv.pad_before[d] = draw(0, 3);
            if (p.conv.pad == CP_PAD_EXPLICIT) p.conv.pad_after[d] = draw(0, 3);
        }
        x.dim[axes + 1] = c;
        w.dim[axes] = c / groups;
        w.dim[axes + 1] = k;
        if (cp_conv_shape(&y, &p.conv, x, w)) continue;
        p.x = random_tensor(x);
        p.w = random_tensor(w);
        p.b = random_tensor(cp_shape_of(1, &k));
        p.dy = random_tensor(y);
        p.window = conv_window(&p.conv, &p.x, &p.w);
    } while (y.rank == 0);
    return p;
}

/* <dy, conv(x, w)> = <dx, x> = <dw, w>, and with a bias <db, b> more. */
static void gradients_are_adjoint(void **state) {
    for (int trial = 0; trial < 400; trial++) {
        const problem p = random_problem();
        const cp_tensor y = convolve(&p.conv, &p.x, &p.w, NULL), with_bias = convolve(&p.conv, &p.x, &p.w, &p.b);
        const cp_tensor dx = random_tensor(p.x.shape), dw = random_tensor(p.w.shape), db = random_tensor(p.b.shape);
        cp_ref_conv_input_gradient(&p.window, p.conv.groups, &p.dy, &p.w, &dx);
        cp_ref_conv_weight_gradient(&p.window, p.conv.groups, &p.x, &p.dy, &dw);
        cp_ref_bias_gradient(&p.dy, &db);
        assert_near(dot(&dx, &p.x), dot(&p.dy, &y));
        assert_near(dot(&dw, &p.w), dot(&p.dy, &y));
        assert_near(dot(&dw, &p.w) + dot(&db, &p.b), dot(&p.dy, &with_bias));
        release(state);
    }
}

/* The order in memory changes no number: N,C,H,W and O,I,H,W against N,H,W,C and H,W,I,O, forward and backward. */
static void orders_in_memory_agree(void **state) {
    for (int trial = 0; trial < 100; trial++) {
        const problem p = random_problem();
        const int64_t groups = p.conv.groups;
        const cp_tensor x = channels_first(&p.x), w = filters_first(&p.w), dy = channels_first(&p.dy);
        const cp_tensor y = convolve(&p.conv, &p.x, &p.w, &p.b), y2 = channels_first(&y);
        cp_ref_conv(&p.window, groups, false, &x, &w, &p.b, &y2, NULL);
        assert_same(&y2, &y);
        const cp_tensor dx = tensor(p.x.shape), dx2 = channels_first(&dx);
        cp_ref_conv_input_gradient(&p.window, groups, &p.dy, &p.w, &dx);
        cp_ref_conv_input_gradient(&p.window, groups, &dy, &w, &dx2);
        assert_same(&dx2, &dx);
        const cp_tensor dw = tensor(p.w.shape), dw2 = filters_first(&dw);
        cp_ref_conv_weight_gradient(&p.window, groups, &p.x, &p.dy, &dw);
        cp_ref_conv_weight_gradient(&p.window, groups, &x, &dy, &dw2);
        assert_same(&dw2, &dw);
        release(state);
    }
}

/* Weights that are zero between groups, without groups. */
static void groups_are_a_block_diagonal(void **state) {
    for (int trial = 0; trial < 100; trial++) {
        const problem p = random_problem();
        const int rank = p.w.shape.rank;
        const int64_t T = cp_window_taps(&p.window), c = p.w.shape.dim[rank - 2], k = p.w.shape.dim[rank - 1];
        cp_shape shape = p.w.shape;
        cp_conv plain = p.conv;
        plain.groups = 1;
        shape.dim[rank - 2] = c * p.conv.groups;
        const cp_tensor w = tensor(shape);
        for (int64_t t = 0; t < T; t++)
            for (int64_t i = 0; i < c; i++)
                for (int64_t o = 0; o < k; o++)
                    cp_put(&w, cp_weight_at(&w, t, o / (k / p.conv.groups) * c + i, o),
                           cp_get(&p.w, cp_weight_at(&p.w, t, i, o)));
        const cp_tensor y = convolve(&p.conv, &p.x, &p.w, NULL), dense = convolve(&plain, &p.x, &w, NULL);
        assert_same(&y, &dense);
        release(state);
    }
}

static void padding_contributes_nothing_even_to_nan(void **state) {
    (void)state;
    const cp_tensor x = filled(cp_shape_of(3, (int64_t[]){1, 1, 1}), (double[]){2});
    const cp_tensor w = filled(cp_shape_of(3, (int64_t[]){3, 1, 1}), (double[]){NAN, 3, INFINITY});
    const cp_tensor y = convolve(&(cp_conv){.pad = CP_PAD_SAME, .activation = CP_RELU}, &x, &w, NULL);
    assert_values(&y, (double[]){6});
    const cp_tensor nan = filled(x.shape, (double[]){NAN});
    const cp_tensor stays = convolve(&(cp_conv){.pad = CP_PAD_SAME, .activation = CP_RELU}, &nan, &w, NULL);
    assert_values(&stays, (double[]){NAN});
}

static void empty_batches_write_zero_gradients(void **state) {
    (void)state;
    const cp_tensor x = tensor(nhwc(0, 5, 5, 2)), dy = tensor(nhwc(0, 3, 3, 4));
    const cp_tensor dw = random_tensor(nhwc(3, 3, 2, 4)), db = random_tensor(cp_shape_of(1, (int64_t[]){4}));
    const cp_window window = conv_window(&(cp_conv){0}, &x, &dw);
    cp_ref_conv_weight_gradient(&window, 1, &x, &dy, &dw);
    cp_ref_bias_gradient(&dy, &db);
    for (int i = 0; i < 72; i++) assert_true(values(&dw)[i] == 0);
    for (int i = 0; i < 4; i++) assert_true(values(&db)[i] == 0);
}

typedef struct {
    int64_t taps, padded;
    double sum;
} heard;

static void hear(void *user, int64_t n, int64_t o, int64_t k, int64_t t, int64_t c, int64_t i, double x, double w) {
    heard *h = user;
    (void)n, (void)o, (void)k, (void)t, (void)c;
    h->taps++;
    h->padded += i < 0;
    h->sum += x * w;
}

static void the_trace_hears_every_tap(void **state) {
    (void)state;
    const cp_tensor x = filled(nhwc(1, 5, 5, 1), picture), w = filled(nhwc(3, 3, 1, 1), kernel), y = tensor(x.shape);
    const cp_window window = conv_window(&(cp_conv){.pad = CP_PAD_SAME}, &x, &w);
    heard h = {0};
    cp_ref_conv(&window, 1, false, &x, &w, NULL, &y, &(cp_trace){hear, &h});
    double total = 0;
    for (int i = 0; i < 25; i++) total += values(&y)[i];
    assert_int_equal(h.taps, 25 * 9);
    assert_int_equal(h.padded, 4 * 5 + 12 * 3);
    assert_near(h.sum, total);
}

/* --- pooling --- */

static cp_tensor row(int64_t n, const double *from) {
    return filled(cp_shape_of(3, (int64_t[]){1, n, 1}), from);
}

static void check_max(int64_t n, const double *x, const cp_pool *pool, const double *y, const uint8_t *index) {
    const cp_tensor input = row(n, x);
    uint8_t taps[16];
    cp_shape shape;
    assert_int_equal(cp_pool_shape(&shape, pool, input.shape), CP_OK);
    const cp_tensor kept = cp_view(taps, CP_U8, shape), output = pooled(pool, &input, &kept);
    assert_values(&output, y);
    assert_memory_equal(taps, index, (size_t)shape.dim[1]);
}

static void maxima_with_ties_nan_and_infinity(void **state) {
    (void)state;
    const cp_pool three = {.kernel = {3}, .stride = {1}};
    check_max(4, (double[]){2, 2, 2, 1}, &three, (double[]){2, 2}, (uint8_t[]){0, 0});
    check_max(4, (double[]){1, 3, 3, 3}, &three, (double[]){3, 3}, (uint8_t[]){1, 0});
    check_max(3, (double[]){1, NAN, 3}, &three, (double[]){NAN}, (uint8_t[]){1});
    check_max(3, (double[]){NAN, 3, 4}, &three, (double[]){NAN}, (uint8_t[]){0});
    check_max(3, (double[]){5, NAN, NAN}, &three, (double[]){NAN}, (uint8_t[]){1});
    check_max(3, (double[]){INFINITY, 1, NAN}, &three, (double[]){NAN}, (uint8_t[]){2});
    /* Nothing but -inf: the first tap inside, which is not the first tap where there is padding. */
    const cp_pool padded = {.kernel = {3}, .stride = {3}, .pad_before = {2}, .pad_after = {0}};
    check_max(1, (double[]){-INFINITY}, &padded, (double[]){-INFINITY}, (uint8_t[]){2});
    check_max(3, (double[]){-INFINITY, -INFINITY, -INFINITY}, &three, (double[]){-INFINITY}, (uint8_t[]){0});
    /* Padding is not 0: it does not win over negative numbers. */
    check_max(1, (double[]){-5}, &padded, (double[]){-5}, (uint8_t[]){2});
    check_max(2, (double[]){-0.0, 0.0}, &(cp_pool){.kernel = {2}}, (double[]){0}, (uint8_t[]){0});
}

/* The gradient goes to the one input that won, once for each window it won. */
static void max_gradient_goes_to_the_winner(void **state) {
    (void)state;
    const cp_pool pool = {.kernel = {3}, .stride = {1}, .pad_before = {1}, .pad_after = {1}};
    const cp_tensor x = row(5, (double[]){1, 4, 4, 0, 2}), dy = row(5, (double[]){1, 10, 100, 1000, 10000});
    uint8_t taps[5];
    const cp_tensor index = cp_view(taps, CP_U8, dy.shape), dx = tensor(x.shape);
    const cp_window window = pool_window(&pool, &x);
    pooled(&pool, &x, &index);
    cp_ref_max_pool_gradient(&window, &dy, &index, &dx);
    assert_values(&dx, (double[]){0, 111, 1000, 0, 10000});
}

static void more_taps_than_a_byte_can_number(void **state) {
    (void)state;
    const cp_tensor x = random_tensor(nhwc(2, 30, 20, 1)), dx = tensor(x.shape);
    values(&x)[599] = values(&x)[600] = 7;
    const cp_pool pool = {.global = true};
    int32_t taps[2];
    const cp_tensor index = cp_view(taps, CP_I32, nhwc(2, 1, 1, 1)), y = pooled(&pool, &x, &index);
    const cp_window window = pool_window(&pool, &x);
    assert_values(&y, (double[]){7, 7});
    assert_int_equal(taps[0], 599);
    assert_int_equal(taps[1], 0);
    cp_ref_max_pool_gradient(&window, &y, &index, &dx);
    assert_near(values(&dx)[599], 7);
    assert_near(values(&dx)[600], 7);
    assert_near(dot(&dx, &dx), 98);
}

static void average_divisors(void **state) {
    (void)state;
    const double five[] = {1, 2, 3, 4, 5};
    const cp_tensor x = row(5, five);
    /* A tail of two cells behind the input, in no way shifted to the front, and in no divisor. */
    cp_pool pool = {.kind = CP_AVERAGE, .kernel = {4}, .stride = {3}, .ceil_mode = true};
    cp_tensor y = pooled(&pool, &x, NULL);
    assert_values(&y, (double[]){2.5, 4.5});
    pool.divisor = CP_DIVISOR_PADDED;
    y = pooled(&pool, &x, NULL);
    assert_values(&y, (double[]){2.5, 4.5});
    /* Padding that was asked for counts when told to, the cells that ceil_mode adds do not. */
    pool = (cp_pool){.kind = CP_AVERAGE, .kernel = {3}, .stride = {3}, .pad_before = {1}, .pad_after = {1}};
    y = pooled(&pool, &x, NULL);
    assert_values(&y, (double[]){1.5, 4});
    pool.divisor = CP_DIVISOR_PADDED;
    y = pooled(&pool, &x, NULL);
    assert_values(&y, (double[]){1, 4});
    pool = (cp_pool){.kind = CP_AVERAGE, .kernel = {3}, .stride = {3}, .pad_after = {0}, .ceil_mode = true};
    y = pooled(&pool, &x, NULL);
    assert_values(&y, (double[]){2, 4.5});
    /* SAME: only what is inside. */
    const cp_tensor two = row(3, (double[]){5, 10, 7.5});
    y = pooled(&(cp_pool){.kind = CP_AVERAGE, .kernel = {2}, .pad = CP_PAD_SAME}, &two, NULL);
    assert_values(&y, (double[]){7.5, 7.5});
    /* Taps are counted, not the extent; none inside: 0. */
    const cp_tensor one = row(1, (double[]){6});
    pool = (cp_pool){.kind = CP_AVERAGE, .kernel = {2}, .stride = {1}, .dilation = {3}, .pad_before = {3}};
    pool.pad_after[0] = 2;
    y = pooled(&pool, &one, NULL);
    assert_values(&y, (double[]){6, 0, 0});
    pool.divisor = CP_DIVISOR_PADDED;
    y = pooled(&pool, &one, NULL);
    assert_values(&y, (double[]){3, 0, 0});
}

/* Both poolings: their gradients against central differences, which are exact in a piecewise linear function. */
static void pool_gradients_are_differences(void **state) {
    for (int trial = 0; trial < 60; trial++) {
        const int axes = (int)draw(1, 3);
        cp_pool pool = {.kind = (cp_pooling)draw(0, 1), .ceil_mode = draw(0, 1)};
        if (pool.kind == CP_AVERAGE) pool.divisor = (cp_divisor)draw(CP_DIVISOR_VALID, CP_DIVISOR_NUMBER);
        if (pool.divisor == CP_DIVISOR_NUMBER) pool.divide_by = draw(1, 9);
        cp_shape shape = {.rank = axes + 2, .dim = {draw(1, 2)}}, y_shape;
        for (int d = 0; d < axes; d++) {
            shape.dim[1 + d] = draw(3, 5);
            pool.kernel[d] = draw(1, 3);
            pool.stride[d] = draw(1, 3);
            pool.dilation[d] = 1;
            pool.pad_before[d] = draw(0, pool.kernel[d] - 1);
            pool.pad_after[d] = draw(0, pool.kernel[d] - 1);
        }
        shape.dim[axes + 1] = 2;
        assert_int_equal(cp_pool_shape(&y_shape, &pool, shape), CP_OK);
        const cp_tensor x = random_tensor(shape), dy = random_tensor(y_shape), dx = tensor(shape);
        const cp_tensor index = tensor(y_shape);
        const cp_window window = pool_window(&pool, &x);
        pooled(&pool, &x, &index);
        if (pool.kind == CP_MAX)
            cp_ref_max_pool_gradient(&window, &dy, &index, &dx);
        else
            cp_ref_average_pool_gradient(&window, pool.divisor, pool.divide_by, &dy, &dx);
        for (int64_t e = 0; e < cp_shape_count(shape); e += 7) {
            const double kept = values(&x)[e], h = 1e-7;
            values(&x)[e] = kept + h;
            const cp_tensor above = pooled(&pool, &x, NULL);
            values(&x)[e] = kept - h;
            const cp_tensor below = pooled(&pool, &x, NULL);
            values(&x)[e] = kept;
            assert_true(fabs((dot(&above, &dy) - dot(&below, &dy)) / (2 * h) - values(&dx)[e]) < 1e-6);
            free(owned[--owned_count]);
            free(owned[--owned_count]);
        }
        release(state);
    }
}

static void pooling_in_other_orders(void **state) {
    (void)state;
    const cp_tensor x = random_tensor(nhwc(2, 7, 6, 3)), x2 = channels_first(&x);
    const cp_pool pool = {.kernel = {3, 2}, .stride = {2, 2}, .ceil_mode = true};
    const cp_window window = pool_window(&pool, &x);
    const cp_tensor y = pooled(&pool, &x, NULL), y2 = channels_first(&y);
    cp_ref_max_pool(&window, &x2, &y2, NULL, NULL);
    assert_same(&y2, &y);
    cp_ref_average_pool(&window, CP_DIVISOR_PADDED, 0, &x2, &y2, NULL);
    cp_ref_average_pool(&window, CP_DIVISOR_PADDED, 0, &x, &y, NULL);
    assert_same(&y2, &y);
}

/* --- dense, activations, losses --- */

static void dense_by_hand_and_adjoint(void **state) {
    (void)state;
    const cp_shape mat = cp_shape_of(2, (int64_t[]){2, 2}), vec = cp_shape_of(1, (int64_t[]){2});
    const cp_tensor x = filled(mat, (double[]){1, 2, 3, 4}), w = filled(mat, (double[]){10, -1, 100, -2});
    const cp_tensor b = filled(vec, (double[]){0.5, 1}), y = tensor(mat), dx = tensor(mat), dw = tensor(mat);
    cp_ref_dense(false, &x, &w, &b, &y);
    assert_values(&y, (double[]){210.5, -4, 430.5, -10});
    cp_ref_dense(true, &x, &w, NULL, &y);
    assert_values(&y, (double[]){210, 0, 430, 0});
    cp_ref_dense_input_gradient(&x, &w, &dx); /* x as dy */
    assert_values(&dx, (double[]){8, 96, 26, 292});
    cp_ref_dense_weight_gradient(&x, &w, &dw);
    assert_values(&dw, (double[]){310, -7, 420, -10});
}

/* df/dx against the difference of f, for each activation, and of softmax. */
static void activations_and_their_slopes(void **state) {
    (void)state;
    const cp_shape shape = cp_shape_of(2, (int64_t[]){3, 4});
    const cp_tensor x = random_tensor(shape), dy = random_tensor(shape), y = tensor(shape), dx = tensor(shape);
    const cp_tensor above = tensor(shape), below = tensor(shape);
    const double h = 1e-6;
    for (int f = CP_LINEAR; f <= CP_ACTIVATION_COUNT; f++) {
        const bool softmax = f == CP_ACTIVATION_COUNT;
        if (f == CP_LOG) /* from here on, also for the square root, above 0 */
            for (int64_t e = 0; e < 12; e++) values(&x)[e] = fabs(values(&x)[e]) + 0.25;
        for (int64_t e = 0; e < 12; e++) {
            const double kept = values(&x)[e];
            if (softmax)
                cp_ref_softmax(false, x.shape.rank - 1, &x, &y);
            else
                cp_ref_activation((cp_activation)f, 0.4, 0.7, &x, &y);
            if (softmax)
                cp_ref_softmax_gradient(false, y.shape.rank - 1, &y, &dy, &dx);
            else
                cp_ref_activation_gradient((cp_activation)f, 0.4, 0.7, cp_slope_by_value((cp_activation)f) ? &y : &x,
                                           &dy, &dx);
            values(&x)[e] = kept + h;
            if (softmax)
                cp_ref_softmax(false, x.shape.rank - 1, &x, &above);
            else
                cp_ref_activation((cp_activation)f, 0.4, 0.7, &x, &above);
            values(&x)[e] = kept - h;
            if (softmax)
                cp_ref_softmax(false, x.shape.rank - 1, &x, &below);
            else
                cp_ref_activation((cp_activation)f, 0.4, 0.7, &x, &below);
            values(&x)[e] = kept;
            assert_true(fabs((dot(&above, &dy) - dot(&below, &dy)) / (2 * h) - values(&dx)[e]) < 1e-8);
        }
    }
    const cp_tensor known = filled(cp_shape_of(1, (int64_t[]){4}), (double[]){-1000, 0, 1000, NAN});
    const cp_tensor out = tensor(known.shape);
    cp_ref_activation(CP_RELU, 0, 0, &known, &out);
    assert_values(&out, (double[]){0, 0, 1000, NAN});
    cp_ref_activation(CP_SIGMOID, 0, 0, &known, &out);
    assert_values(&out, (double[]){0, 0.5, 1, NAN});
    cp_ref_activation(CP_TANH, 0, 0, &known, &out);
    assert_values(&out, (double[]){-1, 0, 1, NAN});
}

/* Values at -2, 0, 1 and NaN, worked out apart. */
static void activations_known_values(void **state) {
    (void)state;
    static const struct {
        cp_activation f;
        double alpha, beta, low, zero, one;
    } cases[] = {
        {CP_LEAKY_RELU, 0.01, 0, -0.02, 0, 1},
        {CP_ELU, 2, 0, -1.7293294335267746, 0, 1},
        {CP_SELU, 1.6732632423543772, 1.0507009873554805, -1.5201664685956948, 0, 1.0507009873554805},
        {CP_CELU, 0.5, 0, -0.49084218055563291, 0, 1},
        {CP_GELU, 0, 0, -0.045500263896358417, 0, 0.84134474606854293},
        {CP_GELU_TANH, 0, 0, -0.04540230591222494, 0, 0.84119199060827676},
        {CP_SILU, 0, 0, -0.23840584404423515, 0, 0.73105857863000488},
        {CP_MISH, 0, 0, -0.25250148269570166, 0, 0.86509838826731034},
        {CP_SOFTPLUS, 0, 0, 0.12692801104297263, 0.69314718055994531, 1.3132616875182228},
        {CP_SOFTSIGN, 0, 0, -2.0 / 3, 0, 0.5},
        {CP_HARD_SIGMOID, 0.2, 0.5, 0.1, 0.5, 0.7},
        {CP_HARD_SWISH, 0, 0, -1.0 / 3, 0, 2.0 / 3},
        {CP_CLIP, -0.5, 0.25, -0.5, 0, 0.25},
    };
    const cp_tensor x = filled(cp_shape_of(1, (int64_t[]){4}), (double[]){-2, 0, 1, NAN}), y = tensor(x.shape);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_ref_activation(cases[i].f, cases[i].alpha, cases[i].beta, &x, &y);
        const double expected[] = {cases[i].low, cases[i].zero, cases[i].one};
        for (int e = 0; e < 3; e++)
            if (!(fabs(values(&y)[e] - expected[e]) <= 1e-14))
                fail_msg("activation %d of %g is %.17g, not %.17g", cases[i].f, values(&x)[e], values(&y)[e],
                         expected[e]);
        assert_true(isnan(values(&y)[3]));
    }
}

/* --- losses --- */

static void losses_by_hand(void **state) {
    (void)state;
    /* exp of the rows: 1 2 1 and 3 1 0.25, so that p = 1/4 1/2 1/4 and 12/17 4/17 1/17 */
    const double row[] = {0, log(2), 0, log(3), 0, -log(4)}, half = log(2);
    const cp_tensor x = filled(cp_shape_of(2, (int64_t[]){2, 3}), row), dx = tensor(x.shape), p = tensor(x.shape);
    const cp_tensor labels = filled(cp_shape_of(1, (int64_t[]){2}), (double[]){1, 0});
    const cp_tensor w = filled(cp_shape_of(1, (int64_t[]){3}), (double[]){2, 1, 4});
    const cp_tensor one = filled(cp_shape_of(1, (int64_t[]){1}), (double[]){1}), loss = tensor(one.shape);
    const double first = half, second = log(17.0 / 12);

    cp_ref_softmax_cross_entropy(0, &x, &labels, &w, &loss, &p);
    assert_values(&loss, (double[]){(first + 2 * second) / 3});
    cp_ref_softmax_cross_entropy_gradient(0, &p, &labels, &w, &one, &dx);
    assert_values(&dx, (double[]){1 / 12.0, -1 / 6.0, 1 / 12.0, -10 / 51.0, 8 / 51.0, 2 / 51.0});
    cp_ref_softmax_cross_entropy(0.3, &x, &labels, NULL, &loss, &p);
    assert_values(&loss,
                  (double[]){(0.8 * half + 0.2 * 2 * half + 0.8 * second + 0.1 * log(17.0 / 4) + 0.1 * log(17)) / 2});
    cp_ref_softmax_cross_entropy_gradient(0.3, &p, &labels, NULL, &one, &dx);
    assert_values(&dx, (double[]){(1 / 4.0 - 0.1) / 2, (1 / 2.0 - 0.8) / 2, (1 / 4.0 - 0.1) / 2, (12 / 17.0 - 0.8) / 2,
                                  (4 / 17.0 - 0.1) / 2, (1 / 17.0 - 0.1) / 2});

    cp_ref_loss(CP_FOCAL, 2, &x, &labels, &loss);
    assert_values(&loss, (double[]){(first / 4 + second * 25 / 289) / 2});
    cp_ref_loss(CP_FOCAL, 1, &x, &labels, &loss);
    assert_values(&loss, (double[]){(first / 2 + second * 5 / 17) / 2});
    cp_ref_loss_gradient(CP_FOCAL, 1, &x, &labels, &one, &dx);
    const double a = -half / 2 - 0.5, b = -second * 12 / 17 - 5 / 17.0;
    assert_values(&dx, (double[]){-a / 8, a / 4, -a / 8, b * 5 / 34, -b * 4 / 34, -b / 34});

    const cp_tensor scores = filled(x.shape, (double[]){1, 3, 2.5, 0, 0.5, -1});
    cp_ref_loss(CP_HINGE, 0, &scores, &labels, &loss); /* 0 + 0.5, and 1.5 + 0 at the kink */
    assert_values(&loss, (double[]){2 / 6.0});
    cp_ref_loss_gradient(CP_HINGE, 0, &scores, &labels, &one, &dx);
    assert_values(&dx, (double[]){0, -1 / 6.0, 1 / 6.0, -1 / 6.0, 1 / 6.0, 0});

    const cp_tensor y = filled(x.shape, (double[]){1, -3, 2, 0, 0.5, -1});
    const cp_tensor t = filled(x.shape, (double[]){0, 0, 0.5, 0, 1, 3});
    cp_ref_loss(CP_HUBER, 1.5, &y, &t, &loss);
    assert_values(&loss, (double[]){(0.5 + 1.5 * 2.25 + 1.125 + 0 + 0.125 + 1.5 * 3.25) / 6});
    cp_ref_loss_gradient(CP_HUBER, 1.5, &y, &t, &one, &dx);
    assert_values(&dx, (double[]){1 / 6.0, -0.25, 0.25, 0, -0.5 / 6, -0.25});

    const cp_tensor logits = filled(x.shape, (double[]){0, log(3), -log(3), 800, -800, 800});
    const cp_tensor truth = filled(x.shape, (double[]){1, 1, 0.5, 1, 0, 0});
    cp_ref_loss(CP_BINARY_CROSS_ENTROPY, 0, &logits, &truth, &loss);
    assert_values(&loss, (double[]){(half + log(4.0 / 3) + log(4.0 / 3) + log(3) / 2 + 0 + 0 + 800) / 6});
    cp_ref_loss_gradient(CP_BINARY_CROSS_ENTROPY, 0, &logits, &truth, &one, &dx);
    assert_values(&dx, (double[]){-0.5 / 6, -0.25 / 6, -0.25 / 6, 0, 0, 1 / 6.0});
}

/* Sure of the right answer nothing is lost, sure of a wrong one the loss is finite; a label that is no class is seen.
 */
static void losses_at_the_edge(void **state) {
    (void)state;
    const cp_tensor x = filled(cp_shape_of(2, (int64_t[]){1, 2}), (double[]){1000, -1000}), dx = tensor(x.shape);
    const cp_tensor one = filled(cp_shape_of(1, (int64_t[]){1}), (double[]){1}), loss = tensor(one.shape);
    for (cp_loss kind = CP_FOCAL; kind <= CP_HINGE; kind++) {
        for (int label = 0; label < 3; label++) {
            const cp_tensor labels = filled(cp_shape_of(1, (int64_t[]){1}), (double[]){label});
            cp_ref_loss(kind, 0.5, &x, &labels, &loss);
            cp_ref_loss_gradient(kind, 0.5, &x, &labels, &one, &dx);
            if (label == 0) assert_true(values(&loss)[0] == 0 && values(&dx)[0] == 0 && values(&dx)[1] == 0);
            if (label == 1) assert_true(values(&loss)[0] > 1000 - 1e-9 && values(&loss)[0] < 2001);
            if (label == 1) assert_true(values(&dx)[0] > 0.4 && values(&dx)[1] < -0.4);
            if (label == 2) assert_true(isnan(values(&loss)[0]) && isnan(values(&dx)[0]));
        }
    }
}

/* --- axes --- */

static cp_shape shape2(int64_t rows, int64_t columns) {
    return cp_shape_of(2, (int64_t[]){rows, columns});
}

static void binary_functions_by_hand(void **state) {
    (void)state;
    const cp_tensor a = filled(shape2(2, 3), (double[]){1, -2, 3, -4, 5, 2}),
                    b = filled(shape2(1, 3), (double[]){2, -4, 3});
    const cp_tensor c = filled(shape2(2, 1), (double[]){2, 3}), y = tensor(a.shape);
    const struct {
        cp_binary f;
        double y[6];
    } cases[] = {
        {CP_BINARY_add, {3, -6, 6, -2, 1, 5}},  {CP_BINARY_sub, {-1, 2, 0, -6, 9, -1}},
        {CP_BINARY_mul, {2, 8, 9, -8, -20, 6}}, {CP_BINARY_div, {0.5, 0.5, 1, -2, -1.25, 2.0 / 3}},
        {CP_BINARY_min, {1, -4, 3, -4, -4, 2}}, {CP_BINARY_max, {2, -2, 3, 2, 5, 3}},
        {CP_BINARY_prelu, {1, 8, 3, -8, 5, 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_ref_binary(cases[i].f, &a, &b, &y);
        assert_values(&y, cases[i].y);
    }
    cp_ref_binary(CP_BINARY_pow, &a, &c, &y);
    assert_values(&y, (double[]){1, 4, 9, -64, 125, 8});
    const cp_tensor da = tensor(a.shape), db = tensor(b.shape), dc = tensor(c.shape);
    const cp_tensor dy = filled(a.shape, (double[]){1, 10, 100, 1000, 10000, 100000});
    cp_ref_binary_gradient(CP_BINARY_mul, false, &a, &b, &dy, &da);
    assert_values(&da, (double[]){2, -40, 300, 2000, -40000, 300000});
    cp_ref_binary_gradient(CP_BINARY_mul, true, &a, &b, &dy, &db);
    assert_values(&db, (double[]){1 - 4000, -20 + 50000, 300 + 200000});
    cp_ref_binary_gradient(CP_BINARY_sub, true, &a, &c, &dy, &dc);
    assert_values(&dc, (double[]){-111, -111000});
    cp_ref_binary_gradient(CP_BINARY_max, false, &a, &b, &dy, &da); /* of equal numbers the first is it */
    assert_values(&da, (double[]){0, 10, 100, 0, 10000, 0});
    const cp_tensor nan = filled(shape2(1, 3), (double[]){NAN, 1, 1});
    cp_ref_binary(CP_BINARY_min, &nan, &b, &y);
    assert_true(isnan(values(&y)[0]) && values(&y)[1] == -4);
    cp_ref_binary(CP_BINARY_max, &b, &nan, &y);
    assert_true(isnan(values(&y)[0]) && values(&y)[1] == 1);
}

static void reductions_by_hand(void **state) {
    (void)state;
    const cp_tensor x = filled(shape2(2, 3), (double[]){3, -4, 0, 2, 2, -1});
    const cp_tensor rows = tensor(shape2(2, 1)), columns = tensor(shape2(1, 3)), dx = tensor(x.shape);
    const cp_tensor one = filled(shape2(2, 1), (double[]){1, 10});
    const struct {
        cp_reduction f;
        double y[2], dx[6];
    } cases[] = {
        {CP_REDUCE_SUM, {-1, 3}, {1, 1, 1, 10, 10, 10}},
        {CP_REDUCE_MAX, {3, 2}, {1, 0, 0, 10, 0, 0}},
        {CP_REDUCE_MIN, {-4, -1}, {0, 1, 0, 0, 0, 10}},
        {CP_REDUCE_PRODUCT, {0, -4}, {0, 0, -12, -20, -20, 40}},
        {CP_REDUCE_L1, {7, 5}, {1, -1, 0, 10, 10, -10}},
        {CP_REDUCE_L2, {5, 3}, {0.6, -0.8, 0, 20.0 / 3, 20.0 / 3, -10.0 / 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_ref_reduce(cases[i].f, 2, &x, &rows);
        assert_values(&rows, cases[i].y);
        cp_ref_reduce_gradient(cases[i].f, 2, &x, &rows, &one, &dx);
        for (int e = 0; e < 6; e++) assert_true(fabs(values(&dx)[e] - cases[i].dx[e]) < 1e-12);
    }
    cp_ref_reduce(CP_REDUCE_MEAN, 1, &x, &columns);
    assert_values(&columns, (double[]){2.5, -1, -0.5});
}

static void pieces_by_hand(void **state) {
    (void)state;
    const cp_tensor x[] = {filled(shape2(2, 1), (double[]){1, 2}), filled(shape2(2, 2), (double[]){3, 4, 5, 6})};
    const cp_tensor y = tensor(shape2(2, 3));
    cp_ref_concat(1, x, 2, &y);
    assert_values(&y, (double[]){1, 3, 4, 2, 5, 6});
}

/* --- normalisation --- */

static void normalisation_by_hand(void **state) {
    (void)state;
    /* two images of two pixels with two channels */
    const cp_shape shape = cp_shape_of(3, (int64_t[]){2, 2, 2}), two = cp_shape_of(1, (int64_t[]){2});
    const cp_tensor x = filled(shape, (double[]){1, 10, 3, 20, 5, 30, 7, 40}), y = tensor(shape);
    const cp_tensor scale = filled(two, (double[]){2, 1}), bias = filled(two, (double[]){0, 100});
    const cp_tensor mean = filled(two, (double[]){3, 0}), variance = filled(two, (double[]){4, 25});
    const cp_tensor next_mean = tensor(two), next_variance = tensor(two);
    const cp_tensor of_batch = tensor(cp_shape_of(3, (int64_t[]){1, 2, 2}));
    const cp_tensor in[5] = {x, scale, bias, mean, variance};
    cp_ref_batch_norm(false, 0.9, 0, in, &y, &of_batch, &next_mean, &next_variance);
    assert_values(&y, (double[]){-2, 102, 0, 104, 2, 106, 4, 108});
    cp_ref_batch_norm(true, 0.5, 4, in, &y, &of_batch, &next_mean, &next_variance);
    assert_values(&next_mean, (double[]){3.5, 12.5});
    assert_values(&next_variance, (double[]){4.5, 75}); /* the population's: 5 and 125 */
    for (int e = 0; e < 4; e++) {
        assert_near(values(&y)[2 * e], (2 * e - 3) / 3.0 * 2);
        assert_near(values(&y)[2 * e + 1], (10 * e - 15) / sqrt(129) + 100);
    }
    const cp_tensor of_pixels = tensor(cp_shape_of(3, (int64_t[]){4, 1, 2}));
    cp_ref_group_norm(0, &x, &scale, &bias, &y, &of_pixels);
    assert_values(&y, (double[]){-2, 101, -2, 101, -2, 101, -2, 101});
    const cp_tensor of_instances = tensor(cp_shape_of(3, (int64_t[]){2, 2, 2}));
    cp_ref_group_norm(0, &x, &scale, &bias, &y, &of_instances);
    assert_values(&y, (double[]){-2, 99, 2, 101, -2, 99, 2, 101});
    assert_near(values(&of_instances)[2], 15);
    assert_near(values(&of_instances)[3], 0.2);
}

/* ONNX: of size 3 one neighbour on both sides, of size 2 one behind. */
static void lrn_by_hand(void **state) {
    (void)state;
    const cp_tensor x = filled(cp_shape_of(1, (int64_t[]){4}), (double[]){1, 2, 3, 4}), y = tensor(x.shape);
    cp_ref_lrn(&(cp_lrn){.size = 3, .alpha = 3, .beta = 1, .bias = 1}, &x, &y);
    const double three[] = {1.0 / 6, 2.0 / 15, 3.0 / 30, 4.0 / 26}, two[] = {1.0 / 6, 2.0 / 14, 3.0 / 26, 4.0 / 17};
    for (int e = 0; e < 4; e++) assert_near(values(&y)[e], three[e]);
    cp_ref_lrn(&(cp_lrn){.size = 2, .alpha = 2, .beta = 1, .bias = 1}, &x, &y);
    for (int e = 0; e < 4; e++) assert_near(values(&y)[e], two[e]);
}

static void softmax_of_large_numbers(void **state) {
    (void)state;
    const cp_tensor x = filled(cp_shape_of(2, (int64_t[]){2, 2}), (double[]){1000, 1000, -1e6, -1e6 + log(3)});
    const cp_tensor y = tensor(x.shape);
    cp_ref_softmax(false, x.shape.rank - 1, &x, &y);
    for (int i = 0; i < 4; i++) assert_true(fabs(values(&y)[i] - (double[]){0.5, 0.5, 0.25, 0.75}[i]) < 1e-9);
}

static void losses_and_their_gradients(void **state) {
    (void)state;
    const cp_shape shape = cp_shape_of(2, (int64_t[]){3, 4}), one = cp_shape_of(1, (int64_t[]){1});
    const int32_t classes[] = {2, 0, 3};
    const cp_tensor labels = cp_view(classes, CP_I32, cp_shape_of(1, (int64_t[]){3}));
    const cp_tensor x = random_tensor(shape), target = random_tensor(shape), p = tensor(shape);
    const cp_tensor loss = tensor(one), dloss = filled(one, (double[]){2}), dx = tensor(shape), dm = tensor(shape);
    cp_ref_softmax_cross_entropy(0, &x, &labels, NULL, &loss, &p);
    cp_ref_softmax_cross_entropy_gradient(0, &p, &labels, NULL, &dloss, &dx);
    double by_definition = 0;
    for (int64_t n = 0; n < 3; n++) by_definition -= log(values(&p)[n * 4 + classes[n]]) / 3;
    assert_near(values(&loss)[0], by_definition);
    cp_ref_mean_squared_error_gradient(&x, &target, &dloss, &dm);
    const double h = 1e-6;
    for (int64_t e = 0; e < 12; e++) {
        const double kept = values(&x)[e];
        double cross[2], squared[2];
        for (int side = 0; side < 2; side++) {
            values(&x)[e] = side ? kept + h : kept - h;
            cp_ref_softmax_cross_entropy(0, &x, &labels, NULL, &loss, &p);
            cross[side] = values(&loss)[0];
            cp_ref_mean_squared_error(&x, &target, &loss);
            squared[side] = values(&loss)[0];
        }
        values(&x)[e] = kept;
        assert_true(fabs(2 * (cross[1] - cross[0]) / (2 * h) - values(&dx)[e]) < 1e-8);
        assert_true(fabs(2 * (squared[1] - squared[0]) / (2 * h) - values(&dm)[e]) < 1e-8);
    }
    const cp_tensor y = filled(one, (double[]){5}), wish = filled(one, (double[]){2});
    cp_ref_mean_squared_error(&y, &wish, &loss);
    assert_near(values(&loss)[0], 9);
}

static void labels_that_are_no_class(void **state) {
    (void)state;
    const cp_tensor x = random_tensor(cp_shape_of(2, (int64_t[]){1, 3})), p = tensor(x.shape);
    const cp_tensor loss = tensor(cp_shape_of(1, (int64_t[]){1}));
    for (int32_t label = -1; label <= 3; label++) {
        const cp_tensor labels = cp_view(&label, CP_I32, cp_shape_of(1, (int64_t[]){1}));
        cp_ref_softmax_cross_entropy(0, &x, &labels, NULL, &loss, &p);
        assert_int_equal(!isnan(values(&loss)[0]), label >= 0 && label < 3);
    }
    /* Logits far apart: finite, where log(softmax) would be log(0). */
    const cp_tensor far = filled(x.shape, (double[]){-1000, 0, 1000});
    const int32_t first = 0;
    const cp_tensor labels = cp_view(&first, CP_I32, cp_shape_of(1, (int64_t[]){1}));
    cp_ref_softmax_cross_entropy(0, &far, &labels, NULL, &loss, &p);
    assert_near(values(&loss)[0], 2000);
}

static void dropout_keeps_its_share(void **state) {
    (void)state;
    const cp_shape shape = cp_shape_of(2, (int64_t[]){100, 100});
    const cp_tensor x = random_tensor(shape), y = tensor(shape), again = tensor(shape);
    const cp_random_key key = {.seed = 5, .stream = 1, .step = 2};
    cp_ref_dropout(0.4f, &key, &x, &y);
    int64_t kept = 0;
    for (int64_t e = 0; e < 10000; e++) {
        const bool keep = cp_random_uniform(&key, (uint64_t)e) >= 0.4f;
        assert_near(values(&y)[e], keep ? values(&x)[e] / (1 - (double)0.4f) : 0);
        kept += keep;
    }
    assert_in_range(kept, 5800, 6200);
    cp_ref_dropout(0.4f, &key, &x, &again);
    assert_same(&y, &again);
    cp_ref_dropout(0, &key, &x, &y);
    assert_same(&y, &x);
}

static void sums(void **state) {
    (void)state;
    const cp_tensor a = filled(nhwc(1, 1, 2, 2), (double[]){1, 2, 3, 4}), b = channels_first(&a), y = tensor(a.shape);
    cp_ref_binary(CP_BINARY_add, &a, &b, &y);
    assert_values(&y, (double[]){2, 4, 6, 8});
}

#define TEST(function) cmocka_unit_test_teardown(function, release)

/* A kernel is stamped onto the output for each input, as far apart as the stride says. */
static void transposed_convolution_stamps_the_kernel(void **state) {
    (void)state;
    const float x[] = {1, 2, 3, 4}, w[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const float stride_2[] = {1,  2,  5,  4,  6,  4,  5,  14, 10, 12, 10, 14, 36,
                              24, 30, 12, 15, 34, 20, 24, 21, 24, 55, 32, 36};
    float y[25];
    const cp_tensor tx = cp_nhwc(x, 1, 2, 2, 1), tw = cp_hwio(w, 3, 3, 1, 1), ty = cp_nhwc(y, 1, 5, 5, 1);
    cp_window window;
    cp_shape shape;
    const cp_conv two = {.stride = {2, 2}};
    assert_int_equal(cp_conv_transpose_shape(&shape, &two, tx.shape, tw.shape), CP_OK);
    assert_true(cp_shape_same(shape, ty.shape));
    assert_int_equal(cp_conv_transpose_window(&window, &two, tx.shape, tw.shape), CP_OK);
    cp_ref_conv_transpose(&window, 1, false, &tx, &tw, NULL, &ty);
    for (int i = 0; i < 25; i++) assert_true(y[i] == stride_2[i]);
    /* SAME makes the output stride times as large, whatever output_padding says; a given size settles the padding */
    const cp_conv same = {.stride = {2, 2}, .pad = CP_PAD_SAME, .output_padding = {1, 1}};
    assert_int_equal(cp_conv_transpose_shape(&shape, &same, tx.shape, tw.shape), CP_OK);
    assert_true(cp_shape_same(shape, cp_shape_nhwc(1, 4, 4, 1)));
    const cp_conv sized = {.stride = {2, 2}, .output_size = {6, 4}};
    assert_int_equal(cp_conv_transpose_shape(&shape, &sized, tx.shape, tw.shape), CP_OK);
    assert_true(cp_shape_same(shape, cp_shape_nhwc(1, 6, 4, 1)));
    const cp_conv much = {.stride = {2, 2}, .output_padding = {2, 0}};
    assert_int_equal(cp_conv_transpose_shape(&shape, &much, tx.shape, tw.shape), CP_E_ARG);
    assert_non_null(strstr(cp_error(), "output_padding[0] = 2: must be less than max(stride, dilation)"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_convolution_by_hand),
        TEST(transposed_convolution_stamps_the_kernel),
        TEST(padding_at_the_top),
        TEST(fault_1_padding_works_on_a_batch),
        TEST(fault_2_padding_is_counted_once),
        TEST(fault_3_sizes_are_rounded_down),
        TEST(fault_4_sizes_that_disagree_are_refused),
        TEST(fault_5_types_bias_groups_dilation_and_axes),
        TEST(fault_6_pooling_has_padding_and_a_tail),
        TEST(fault_7_the_kernel_is_not_flipped),
        TEST(gradients_are_adjoint),
        TEST(orders_in_memory_agree),
        TEST(groups_are_a_block_diagonal),
        TEST(padding_contributes_nothing_even_to_nan),
        TEST(empty_batches_write_zero_gradients),
        TEST(the_trace_hears_every_tap),
        TEST(maxima_with_ties_nan_and_infinity),
        TEST(max_gradient_goes_to_the_winner),
        TEST(more_taps_than_a_byte_can_number),
        TEST(average_divisors),
        TEST(pool_gradients_are_differences),
        TEST(pooling_in_other_orders),
        TEST(dense_by_hand_and_adjoint),
        TEST(activations_and_their_slopes),
        TEST(activations_known_values),
        TEST(binary_functions_by_hand),
        TEST(reductions_by_hand),
        TEST(pieces_by_hand),
        TEST(normalisation_by_hand),
        TEST(lrn_by_hand),
        TEST(softmax_of_large_numbers),
        TEST(losses_by_hand),
        TEST(losses_at_the_edge),
        TEST(losses_and_their_gradients),
        TEST(labels_that_are_no_class),
        TEST(dropout_keeps_its_share),
        TEST(sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
