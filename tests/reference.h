/* What the tests of the reference share: tensors in double, their comparison, convolution and pooling with their shapes
 * worked out. */
#ifndef TEST_REFERENCE_H
#define TEST_REFERENCE_H

#include "ref/ref.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static inline uint32_t bits(void) {
    static const cp_random_key key = {.seed = 3};
    static uint64_t drawn;
    return cp_random_bits(&key, drawn++);
}

static inline int64_t draw(int64_t least, int64_t most) {
    return least + bits() % (most - least + 1);
}

/* --- tensors of a test: in double, freed by release() --- */

static void *owned[64];
static int owned_count;

static inline cp_tensor tensor(cp_shape shape) {
    const int64_t count = cp_shape_count(shape);
    double *data = calloc((size_t)(count ? count : 1), sizeof *data);
    owned[owned_count++] = data;
    return cp_view(data, CP_F64, shape);
}

static inline int release(void **state) {
    (void)state;
    while (owned_count > 0) free(owned[--owned_count]);
    return 0;
}

static inline cp_shape nhwc(int64_t n, int64_t h, int64_t w, int64_t c) {
    return cp_shape_nhwc(n, h, w, c);
}

static inline double *values(const cp_tensor *t) {
    return t->data;
}

static inline cp_tensor filled(cp_shape shape, const double *from) {
    const cp_tensor t = tensor(shape);
    for (int64_t e = 0; e < cp_shape_count(shape); e++) values(&t)[e] = from[e];
    return t;
}

/* -1 to 1 */
static inline cp_tensor random_tensor(cp_shape shape) {
    const cp_tensor t = tensor(shape);
    for (int64_t e = 0; e < cp_shape_count(shape); e++) values(&t)[e] = (double)bits() / (1u << 31) - 1;
    return t;
}

/* The same elements in another order in memory. */
static inline cp_tensor channels_first(const cp_tensor *t) {
    cp_tensor other = tensor(t->shape);
    other = cp_view_channels_first(other.data, CP_F64, t->shape);
    assert_int_equal(cp_tensor_copy(&other, t), CP_OK);
    return other;
}

static inline cp_tensor filters_first(const cp_tensor *t) {
    cp_tensor other = tensor(t->shape);
    other = cp_view_filters_first(other.data, CP_F64, t->shape);
    assert_int_equal(cp_tensor_copy(&other, t), CP_OK);
    return other;
}

static inline double element(const cp_tensor *t, int64_t e) {
    return cp_get(t, cp_offset(t, 0, t->shape.rank, e));
}

static inline double dot(const cp_tensor *a, const cp_tensor *b) {
    double sum = 0;
    assert_true(cp_shape_same(a->shape, b->shape));
    for (int64_t e = 0; e < cp_shape_count(a->shape); e++) sum += element(a, e) * element(b, e);
    return sum;
}

static inline void assert_near(double got, double expected) {
    if (!(fabs(got - expected) <= 1e-12 * (1 + fabs(expected)))) fail_msg("%.17g instead of %.17g", got, expected);
}

static inline void assert_values(const cp_tensor *t, const double *expected) {
    for (int64_t e = 0; e < cp_shape_count(t->shape); e++) {
        if (isnan(expected[e]))
            assert_true(isnan(element(t, e)));
        else if (isinf(expected[e]))
            assert_true(element(t, e) == expected[e]);
        else
            assert_near(element(t, e), expected[e]);
    }
}

static inline void assert_same(const cp_tensor *a, const cp_tensor *b) {
    assert_true(cp_shape_same(a->shape, b->shape));
    for (int64_t e = 0; e < cp_shape_count(a->shape); e++) assert_near(element(a, e), element(b, e));
}

/* --- operations with their shapes worked out --- */

static inline cp_window conv_window(const cp_conv *conv, const cp_tensor *x, const cp_tensor *w) {
    cp_window window;
    if (cp_conv_window(&window, conv, x->shape, w->shape)) fail_msg("%s", cp_error());
    return window;
}

static inline cp_tensor convolve(const cp_conv *conv, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b) {
    const cp_window window = conv_window(conv, x, w);
    cp_shape shape;
    assert_int_equal(cp_conv_shape(&shape, conv, x->shape, w->shape), CP_OK);
    const cp_tensor y = tensor(shape);
    cp_ref_conv(&window, cp_groups(conv), conv->activation == CP_RELU, x, w, b, &y, NULL);
    return y;
}

static inline cp_window pool_window(const cp_pool *pool, const cp_tensor *x) {
    cp_window window;
    if (cp_pool_window(&window, pool, x->shape)) fail_msg("%s", cp_error());
    return window;
}

static inline cp_tensor pooled(const cp_pool *pool, const cp_tensor *x, const cp_tensor *index) {
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

/* A test whose tensors are freed. */
#define TEST(function) cmocka_unit_test_teardown(function, release)

#endif
