/* The reference of pooling: ties, NaN and infinities, divisors, gradients against differences. */
#include "reference.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(maxima_with_ties_nan_and_infinity), TEST(max_gradient_goes_to_the_winner),
        TEST(more_taps_than_a_byte_can_number),  TEST(average_divisors),
        TEST(pool_gradients_are_differences),    TEST(pooling_in_other_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
