/* The reference of convolution: numbers worked out by hand, the faults that textbook code has, identities over random
 * shapes. */
#include "reference.h"

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

/* --- transposed convolution --- */

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
