/* The window rule against its definition counted out by hand, its corner cases, and what it says of bad geometries. */
#include "tensor/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define BIG INT64_MAX

static int64_t draw(int64_t least, int64_t most) {
    static const cp_random_key key = {.seed = 1};
    static uint64_t drawn;
    return least + cp_random_bits(&key, drawn++) % (most - least + 1);
}

/* --- the definition, by counting --- */

/* How many windows there are along one axis, and with SAME the padding, found by laying them down one by one. */
static void count_out(cp_axis *a, cp_pad pad, bool ceil_mode) {
    const int64_t extent = (a->kernel - 1) * a->dilation + 1;
    a->out = 0;
    if (pad == CP_PAD_SAME || pad == CP_PAD_SAME_LOWER) {
        int64_t total = 0;
        while (a->out * a->stride < a->in) a->out++;
        while ((a->out - 1) * a->stride + extent > a->in + total) total++;
        a->before = a->after = 0;
        for (; total > 0; total--) *((pad == CP_PAD_SAME) == (total % 2 == 1) ? &a->after : &a->before) += 1;
        if (pad == CP_PAD_SAME)
            assert_in_range(a->after - a->before, 0, 1);
        else
            assert_in_range(a->before - a->after, 0, 1);
        return;
    }
    if (pad == CP_PAD_CAUSAL || pad == CP_PAD_FULL) a->before = extent - 1;
    if (pad == CP_PAD_FULL) a->after = extent - 1;
    const int64_t end = a->in + a->after;
    while (a->out * a->stride - a->before + extent <= end) a->out++;
    /* With ceil_mode another one if something is left and the window begins inside the input or the padding before. */
    const int64_t covered = (a->out - 1) * a->stride - a->before + extent;
    if (ceil_mode && a->out > 0 && covered < end && a->out * a->stride < a->in + a->before) a->out++;
}

static void compare_axis(const cp_axis *got, const cp_axis *expected) {
    assert_int_equal(got->out, expected->out);
    assert_int_equal(got->before, expected->before);
    assert_int_equal(got->after, expected->after);
    for (int64_t o = 0; o < got->out; o++) {
        int64_t first = 0, last = 0, i;
        for (int64_t t = got->kernel - 1; t >= 0; t--)
            if (cp_axis_at(got, o, t, &i)) first = t;
        for (int64_t t = 0; t < got->kernel; t++)
            if (cp_axis_at(got, o, t, &i)) last = t + 1;
        int64_t got_first, got_last;
        cp_axis_taps(got, o, &got_first, &got_last);
        assert_int_equal(got_first, first);
        assert_int_equal(got_last, last);
    }
}

/* Flat positions, their inverse, and the divisors, tap by tap with three loops. */
static void compare_positions(const cp_window *w) {
    const cp_axis *d = &w->axis[0], *h = &w->axis[1], *x = &w->axis[2];
    const int64_t O = cp_window_outputs(w), T = cp_window_taps(w);
    assert_int_equal(O, d->out * h->out * x->out);
    assert_int_equal(T, d->kernel * h->kernel * x->kernel);
    assert_int_equal(cp_window_inputs(w), d->in * h->in * x->in);
    for (int64_t o = 0; o < O; o++) {
        const int64_t at[] = {o / (h->out * x->out), o / x->out % h->out, o % x->out};
        int64_t inside = 0, padded = 0, t = 0;
        for (int64_t a = 0; a < d->kernel; a++)
            for (int64_t b = 0; b < h->kernel; b++)
                for (int64_t c = 0; c < x->kernel; c++, t++) {
                    const int64_t i0 = at[0] * d->stride - d->before + a * d->dilation;
                    const int64_t i1 = at[1] * h->stride - h->before + b * h->dilation;
                    const int64_t i2 = at[2] * x->stride - x->before + c * x->dilation;
                    const bool in = i0 >= 0 && i0 < d->in && i1 >= 0 && i1 < h->in && i2 >= 0 && i2 < x->in;
                    int64_t i = -1, back = -1;
                    assert_int_equal(cp_window_at(w, o, t, &i), in);
                    if (in) {
                        assert_int_equal(i, (i0 * h->in + i1) * x->in + i2);
                        assert_true(cp_window_from(w, i, t, &back));
                        assert_int_equal(back, o);
                    }
                    inside += in;
                    padded += i0 < d->in + d->after && i1 < h->in + h->after && i2 < x->in + x->after;
                }
        assert_int_equal(cp_window_divisor(w, o, CP_DIVISOR_VALID, 0), inside);
        assert_int_equal(cp_window_divisor(w, o, CP_DIVISOR_PADDED, 0), padded);
        assert_int_equal(cp_window_divisor(w, o, CP_DIVISOR_KERNEL, 0), T);
        assert_int_equal(cp_window_divisor(w, o, CP_DIVISOR_NUMBER, 7), 7);
    }
    /* Every pair of input and tap that meets an output is one that was seen from there. */
    int64_t forward = 0, backward = 0, position;
    for (int64_t t = 0; t < T; t++) {
        for (int64_t o = 0; o < O; o++) forward += cp_window_at(w, o, t, &position);
        for (int64_t i = 0; i < cp_window_inputs(w); i++) backward += cp_window_from(w, i, t, &position);
    }
    assert_int_equal(forward, backward);
}

static void random_convolutions(void **state) {
    (void)state;
    int valid = 0;
    for (int trial = 0; trial < 6000; trial++) {
        const int axes = (int)draw(1, 3);
        const int64_t most = axes == 3 ? 5 : 12;
        cp_conv conv = {.pad = (cp_pad)draw(0, 5)};
        cp_shape x = {.rank = axes + 2, .dim = {draw(0, 3)}}, w = {.rank = axes + 2};
        x.dim[axes + 1] = w.dim[axes] = 2;
        w.dim[axes + 1] = 3;
        cp_axis expected[CP_MAX_AXES];
        bool possible = true;
        for (int d = 0; d < axes; d++) {
            x.dim[1 + d] = draw(1, most);
            w.dim[d] = draw(1, axes == 3 ? 3 : 5);
            conv.stride[d] = draw(1, 4);
            conv.dilation[d] = draw(1, 3);
            if (conv.pad == CP_PAD_EXPLICIT) {
                conv.pad_before[d] = draw(0, 6);
                conv.pad_after[d] = draw(0, 6);
            }
            expected[d] = (cp_axis){x.dim[1 + d],     0, w.dim[d], conv.stride[d], conv.dilation[d], conv.pad_before[d],
                                    conv.pad_after[d]};
            count_out(&expected[d], conv.pad, false);
            if (expected[d].out == 0) possible = false;
        }
        cp_window window;
        cp_shape y;
        const cp_status status = cp_conv_window(&window, &conv, x, w);
        assert_int_equal(status, possible ? CP_OK : CP_E_SHAPE);
        assert_int_equal(cp_conv_shape(&y, &conv, x, w), status);
        if (status) {
            assert_int_equal(y.rank, 0);
            continue;
        }
        valid++;
        assert_int_equal(window.axes, axes);
        assert_int_equal(y.rank, x.rank);
        assert_int_equal(y.dim[0], x.dim[0]);
        assert_int_equal(y.dim[axes + 1], 3);
        for (int d = 0; d < axes; d++) {
            compare_axis(&window.axis[CP_MAX_AXES - axes + d], &expected[d]);
            assert_int_equal(y.dim[1 + d], expected[d].out);
        }
        compare_positions(&window);
    }
    assert_true(valid > 4000);
}

static void random_poolings(void **state) {
    (void)state;
    int valid = 0, empty = 0;
    for (int trial = 0; trial < 6000; trial++) {
        const int axes = (int)draw(1, 3);
        cp_pool pool = {.kind = (cp_pooling)draw(0, 1), .pad = draw(0, 1) ? CP_PAD_EXPLICIT : (cp_pad)draw(1, 3)};
        cp_shape x = {.rank = axes + 2, .dim = {draw(0, 3)}};
        x.dim[axes + 1] = 2;
        pool.ceil_mode = pool.pad == CP_PAD_EXPLICIT && draw(0, 1);
        cp_axis expected[CP_MAX_AXES];
        bool possible = true;
        for (int d = 0; d < axes; d++) {
            x.dim[1 + d] = draw(1, axes == 3 ? 5 : 12);
            pool.kernel[d] = draw(1, axes == 3 ? 3 : 5);
            pool.stride[d] = draw(1, 4);
            pool.dilation[d] = draw(1, 3);
            const int64_t extent = (pool.kernel[d] - 1) * pool.dilation[d] + 1;
            if (pool.pad == CP_PAD_EXPLICIT) {
                pool.pad_before[d] = draw(0, extent - 1);
                pool.pad_after[d] = draw(0, extent - 1);
            }
            expected[d] =
                (cp_axis){x.dim[1 + d],     0, pool.kernel[d], pool.stride[d], pool.dilation[d], pool.pad_before[d],
                          pool.pad_after[d]};
            count_out(&expected[d], pool.pad, pool.ceil_mode);
            if (expected[d].out == 0) possible = false;
            for (int64_t o = 0; o < expected[d].out && pool.kind == CP_MAX && possible; o++) {
                int64_t inside = 0, i;
                for (int64_t t = 0; t < pool.kernel[d]; t++) inside += cp_axis_at(&expected[d], o, t, &i);
                if (inside == 0) {
                    possible = false;
                    empty++;
                }
            }
        }
        cp_window window;
        cp_shape y;
        const cp_status status = cp_pool_window(&window, &pool, x);
        assert_int_equal(status, possible ? CP_OK : CP_E_SHAPE);
        assert_int_equal(cp_pool_shape(&y, &pool, x), status);
        if (status) continue;
        valid++;
        for (int d = 0; d < axes; d++) {
            compare_axis(&window.axis[CP_MAX_AXES - axes + d], &expected[d]);
            assert_int_equal(y.dim[1 + d], expected[d].out);
        }
        assert_int_equal(y.dim[axes + 1], 2);
        compare_positions(&window);
    }
    assert_true(valid > 3500);
    assert_true(empty > 20); /* the draws do reach windows of which every tap is padding */
}

/* --- cases known by their numbers --- */

static cp_axis conv_axis(int64_t in, int64_t kernel, cp_conv conv) {
    cp_window w;
    const cp_status status =
        cp_conv_window(&w, &conv, cp_shape_of(3, (int64_t[]){1, in, 1}), cp_shape_of(3, (int64_t[]){kernel, 1, 1}));
    if (status) fail_msg("%s", cp_error());
    return w.axis[2];
}

static cp_axis pool_axis(int64_t in, cp_pool pool) {
    cp_window w;
    if (cp_pool_window(&w, &pool, cp_shape_of(3, (int64_t[]){1, in, 1}))) fail_msg("%s", cp_error());
    return w.axis[2];
}

static void same_padding_is_clamped(void **state) {
    (void)state;
    /* 8 inputs, kernel 1, stride 3: takes 0, 3, 6; padding -1 would take 1, 4, 7. */
    const cp_axis a = pool_axis(8, (cp_pool){.kernel = {1}, .stride = {3}, .pad = CP_PAD_SAME});
    int64_t i;
    assert_int_equal(a.out, 3);
    for (int64_t o = 0; o < 3; o++) {
        assert_true(cp_axis_at(&a, o, 0, &i));
        assert_int_equal(i, 3 * o);
    }
}

static void same_padding_knows_dilation(void **state) {
    (void)state;
    const cp_pool pool = {.kernel = {2}, .stride = {1}, .dilation = {3}, .pad = CP_PAD_SAME};
    const cp_axis pooled = pool_axis(8, pool);
    const cp_axis convolved = conv_axis(8, 2, (cp_conv){.dilation = {3}, .pad = CP_PAD_SAME_LOWER});
    assert_int_equal(pooled.out, 8);
    assert_int_equal(pooled.before, 1);
    assert_int_equal(pooled.after, 2);
    assert_int_equal(convolved.out, 8);
    assert_int_equal(convolved.before, 2);
    assert_int_equal(convolved.after, 1);
}

static void ceil_mode_begins_inside(void **state) {
    (void)state;
    /* 5, kernel 3, stride 3, padding 1: a third window would begin at 5, behind the input. */
    assert_int_equal(pool_axis(5, (cp_pool){.kernel = {3}, .pad_before = {1}, .pad_after = {1}, .ceil_mode = true}).out,
                     2);
    /* The same without padding: kernel 1, stride 3 over 5. */
    assert_int_equal(pool_axis(5, (cp_pool){.kernel = {1}, .stride = {3}, .ceil_mode = true}).out, 2);
    assert_int_equal(pool_axis(5, (cp_pool){.kernel = {2}, .ceil_mode = true}).out, 3);
    assert_int_equal(pool_axis(5, (cp_pool){.kernel = {2}}).out, 2);
    assert_int_equal(pool_axis(5, (cp_pool){.kernel = {4}, .stride = {3}, .ceil_mode = true}).out, 2);
}

static void sizes_do_not_truncate_to_zero(void **state) {
    (void)state;
    cp_shape y;
    /* (1-2)/2+1 is 1 in C; rounded down it is 0, and no output. */
    assert_int_equal(cp_pool_shape(&y, &(cp_pool){.kernel = {2, 2}}, cp_shape_nhwc(1, 1, 1, 1)), CP_E_SHAPE);
    assert_non_null(strstr(cp_error(), "output height would be 0"));
}

static void strides_of_any_size(void **state) {
    (void)state;
    const int64_t stride = (int64_t)1 << 40;
    assert_int_equal(conv_axis(5, 3, (cp_conv){.stride = {stride}}).out, 1);
    assert_int_equal(conv_axis(5, 3, (cp_conv){.stride = {stride}, .pad = CP_PAD_SAME}).out, 1);
    assert_int_equal(conv_axis(5, 3, (cp_conv){.stride = {BIG}}).out, 1);
    assert_int_equal(pool_axis(5, (cp_pool){.kernel = {3}, .stride = {BIG}, .ceil_mode = true}).out, 1);
    assert_int_equal(conv_axis((int64_t)1 << 50, 3, (cp_conv){.stride = {stride}}).out, 1 << 10);
}

static void zero_means_the_default(void **state) {
    (void)state;
    const cp_axis conv = conv_axis(7, 3, (cp_conv){0}), pool = pool_axis(7, (cp_pool){.kernel = {3}});
    assert_int_equal(conv.stride, 1);
    assert_int_equal(conv.dilation, 1);
    assert_int_equal(pool.stride, 3);
    assert_int_equal(pool.dilation, 1);
    cp_window w;
    assert_int_equal(cp_conv_window(&w, NULL, cp_shape_nhwc(1, 5, 5, 1), cp_shape_nhwc(3, 3, 1, 1)), CP_OK);
    assert_int_equal(w.axis[1].out, 3);
}

static void global_pooling_is_one_window(void **state) {
    (void)state;
    const cp_pool pool = {.kind = CP_AVERAGE, .global = true};
    cp_shape y;
    cp_window w;
    char text[CP_SHAPE_TEXT];
    assert_int_equal(cp_pool_shape(&y, &pool, cp_shape_nhwc(2, 30, 40, 5)), CP_OK);
    assert_string_equal(cp_shape_text(y, text), "2x1x1x5");
    assert_int_equal(cp_pool_window(&w, &pool, cp_shape_nhwc(2, 30, 40, 5)), CP_OK);
    assert_int_equal(cp_window_taps(&w), 1200); /* more than a byte can number: allowed */
}

static void empty_batches_have_a_shape(void **state) {
    (void)state;
    cp_shape y;
    char text[CP_SHAPE_TEXT];
    assert_int_equal(cp_conv_shape(&y, NULL, cp_shape_nhwc(0, 5, 6, 2), cp_shape_nhwc(3, 3, 2, 4)), CP_OK);
    assert_string_equal(cp_shape_text(y, text), "0x3x4x4");
    assert_int_equal(cp_pool_shape(&y, &(cp_pool){.kernel = {2, 2}}, cp_shape_nhwc(0, 5, 6, 2)), CP_OK);
    assert_string_equal(cp_shape_text(y, text), "0x2x3x2");
}

/* --- what is refused, and with which words --- */

typedef struct {
    const char *text;
    cp_status status;
    cp_shape x, w;
    cp_conv conv;
} bad_conv;

/* clang-format off */
#define X4 {4, {1, 5, 6, 2}}
#define W4 {4, {3, 3, 2, 4}}
#define PLAIN {.groups = 1}
/* clang-format on */

static const bad_conv bad_convs[] = {
    {"stride[0] = 0: must be at least 1", CP_E_ARG, X4, W4, {.stride = {0, 1}}},
    {"stride[1] = 0: must be at least 1", CP_E_ARG, X4, W4, {.stride = {2}}},
    {"stride[0] = -2: must be at least 1", CP_E_ARG, X4, W4, {.stride = {-2, 1}}},
    {"stride[2] = 2: the input has only 2 spatial dimensions", CP_E_ARG, X4, W4, {.stride = {2, 2, 2}}},
    {"dilation[0] = 0: must be at least 1", CP_E_ARG, X4, W4, {.dilation = {0, 1}}},
    {"dilation[1] = -1: must be at least 1", CP_E_ARG, X4, W4, {.dilation = {1, -1}}},
    {"effective kernel (3-1)*9223372036854775807+1 along the height overflows",
     CP_E_SHAPE,
     X4,
     W4,
     {.dilation = {BIG, 1}}},
    {"output height would be -4294967287", CP_E_SHAPE, X4, W4, {.dilation = {INT32_MAX, 1}, .pad_after = {2}}},
    {"kernel of 7 is larger than the padded input of 3: output height would be -3",
     CP_E_SHAPE,
     {4, {1, 3, 9, 2}},
     {4, {7, 3, 2, 4}},
     PLAIN},
    {"kernel of 9 is larger than the padded input of 6: output width would be -2",
     CP_E_SHAPE,
     X4,
     W4,
     {.dilation = {1, 4}}},
    {"pad_before[1] = -1: must not be negative", CP_E_ARG, X4, W4, {.pad_before = {0, -1}}},
    {"pad_after[0] = -1: must not be negative", CP_E_ARG, X4, W4, {.pad_after = {-1}}},
    {"pad_after[2] = 1: the input has only 2 spatial dimensions", CP_E_ARG, X4, W4, {.pad_after = {1, 1, 1}}},
    {"padded input along the height overflows", CP_E_SHAPE, X4, W4, {.pad_after = {BIG - 4, 0}}},
    {"padded input along the width overflows", CP_E_SHAPE, X4, W4, {.pad_before = {0, BIG - 6}}},
    {"output positions overflows", CP_E_SHAPE, X4, W4, {.pad_before = {BIG - 99, BIG - 99}}},
    {"output 1x1152921504606846976x4x4: element count overflows",
     CP_E_SHAPE,
     X4,
     W4,
     {.pad_before = {((int64_t)1 << 60) - 3}}},
    {"pad SAME and explicit padding together", CP_E_ARG, X4, W4, {.pad = CP_PAD_SAME, .pad_before = {1}}},
    {"pad VALID and explicit padding together", CP_E_ARG, X4, W4, {.pad = CP_PAD_VALID, .pad_after = {0, 1}}},
    {"pad = 6: no such padding", CP_E_ARG, X4, W4, {.pad = (cp_pad)6}},
    {"activation = 99: no such activation", CP_E_ARG, X4, W4, {.activation = (cp_activation)99}},
    {"reserved", CP_E_ARG, X4, W4, {.reserved = {0, 1}}},
    {"weights have 3 spatial dimensions, the input has 2", CP_E_SHAPE, X4, {5, {3, 3, 3, 2, 4}}, PLAIN},
    {"weights have 1 spatial dimension, the input has 2", CP_E_SHAPE, X4, {3, {3, 2, 4}}, PLAIN},
    {"weights need at least 3 dimensions, have 2", CP_E_SHAPE, X4, {2, {2, 4}}, PLAIN},
    {"input needs at least 3 dimensions, has 0", CP_E_SHAPE, {0, {0}}, W4, PLAIN},
    {"input has 4 spatial dimensions: at most 3", CP_E_SHAPE, {6, {1, 2, 2, 2, 2, 2}}, W4, PLAIN},
    {"input has 9 dimensions: must be 0 to 8", CP_E_SHAPE, {9, {0}}, W4, PLAIN},
    {"groups = -1: must be at least 1", CP_E_ARG, X4, W4, {.groups = -1}},
    {"groups = 3 does not divide 64 input channels", CP_E_SHAPE, {4, {1, 5, 5, 64}}, {4, {3, 3, 21, 6}}, {.groups = 3}},
    {"groups = 4 does not divide 6 filters", CP_E_SHAPE, {4, {1, 5, 5, 64}}, {4, {3, 3, 16, 6}}, {.groups = 4}},
    {"weights take 2 input channels, the input has 3", CP_E_SHAPE, {4, {1, 5, 5, 3}}, W4, PLAIN},
    {"weights take 1 input channel, the input has 3", CP_E_SHAPE, {4, {1, 5, 5, 3}}, {4, {3, 3, 1, 1}}, PLAIN},
    {"weights take 2 input channels per group, the input has 1", CP_E_SHAPE, X4, W4, {.groups = 2}},
    {"weights dimension 2 is 0: must be at least 1", CP_E_SHAPE, X4, {4, {3, 3, 0, 4}}, PLAIN},
    {"weights dimension 0 is 0: must be at least 1", CP_E_SHAPE, X4, {4, {0, 3, 2, 4}}, PLAIN},
    {"weights dimension 1 is -3: must not be negative", CP_E_SHAPE, X4, {4, {3, -3, 2, 4}}, PLAIN},
    {"input dimension H is 0: must be at least 1", CP_E_SHAPE, {4, {1, 0, 5, 2}}, W4, PLAIN},
    {"input dimension W is 0: must be at least 1", CP_E_SHAPE, {4, {1, 5, 0, 2}}, W4, PLAIN},
    {"input dimension C is 0: must be at least 1", CP_E_SHAPE, {4, {1, 5, 5, 0}}, W4, PLAIN},
    {"input dimension 0 is -2: must not be negative", CP_E_SHAPE, {4, {-2, 5, 5, 2}}, W4, PLAIN},
    {"input 4294967296x4294967296x1x1: element count overflows",
     CP_E_SHAPE,
     {4, {(int64_t)1 << 32, (int64_t)1 << 32, 1, 1}},
     W4,
     PLAIN},
    {"byte size overflows", CP_E_SHAPE, {4, {1, ((int64_t)1 << 62) + 16, 1, 1}}, W4, PLAIN},
    {"input 0x9223372036854775807x9223372036854775807x1: element count overflows",
     CP_E_SHAPE,
     {4, {0, BIG, BIG, 1}},
     W4,
     PLAIN},
};

typedef struct {
    const char *text;
    cp_status status;
    cp_shape x;
    cp_pool pool;
} bad_pool;

static const bad_pool bad_pools[] = {
    {"kernel[0] = 0: must be at least 1", CP_E_ARG, X4, {0}},
    {"kernel[1] = 0: must be at least 1", CP_E_ARG, X4, {.kernel = {2}}},
    {"kernel[2] = 2: the input has only 2 spatial dimensions", CP_E_ARG, X4, {.kernel = {2, 2, 2}}},
    {"larger than the padded input", CP_E_SHAPE, X4, {.kernel = {(int64_t)1 << 62, 2}}},
    {"effective kernel", CP_E_SHAPE, X4, {.kernel = {1250999896764, 2}, .dilation = {1250999896764, 1}}},
    {"stride[0] = 0: must be at least 1", CP_E_ARG, X4, {.kernel = {2, 2}, .stride = {0, 2}}},
    {"dilation[1] = 0: must be at least 1", CP_E_ARG, X4, {.kernel = {2, 2}, .dilation = {2}}},
    {"pad_before[0] = 5: must be less than the window (3)", CP_E_SHAPE, X4, {.kernel = {3, 3}, .pad_before = {5}}},
    {"pad_after[1] = 3: must be less than the window (3)", CP_E_SHAPE, X4, {.kernel = {3, 3}, .pad_after = {0, 3}}},
    {"output height would be -3", CP_E_SHAPE, {4, {1, 3, 9, 1}}, {.kernel = {7, 1}, .stride = {1, 1}}},
    {"pad SAME_LOWER and ceil_mode together",
     CP_E_ARG,
     X4,
     {.kernel = {2, 2}, .pad = CP_PAD_SAME_LOWER, .ceil_mode = true}},
    {"pad VALID and ceil_mode together", CP_E_ARG, X4, {.kernel = {2, 2}, .pad = CP_PAD_VALID, .ceil_mode = true}},
    {"window 0 along the width has no tap inside the input",
     CP_E_SHAPE,
     {3, {1, 1, 1}},
     {.kernel = {2}, .stride = {1}, .dilation = {3}, .pad_before = {2}, .pad_after = {1}}},
    {"kind = 9: no such pooling", CP_E_ARG, X4, {.kind = (cp_pooling)9, .kernel = {2, 2}}},
    {"reserved", CP_E_ARG, X4, {.kernel = {2, 2}, .reserved = {1}}},
    {"kernel must not be set", CP_E_ARG, X4, {.kernel = {2, 2}, .global = true}},
    {"pad_after must not be set", CP_E_ARG, X4, {.pad_after = {2, 2}, .global = true}},
    {"ceil_mode must not be set", CP_E_ARG, X4, {.ceil_mode = true, .global = true}},
    {"input dimension D is 0: must be at least 1", CP_E_SHAPE, {5, {1, 0, 2, 2, 2}}, {.global = true}},
    {"input needs at least 3 dimensions, has 2", CP_E_SHAPE, {2, {1, 2}}, {.global = true}},
    {"windows begin in the padding along the width",
     CP_E_LIMIT,
     {3, {1, 1, 1}},
     {.kernel = {2},
      .stride = {1},
      .dilation = {(int64_t)1 << 40},
      .pad_before = {(int64_t)1 << 40},
      .pad_after = {(int64_t)1 << 40}}},
};

static void check_text(cp_status got, cp_status expected, const char *text) {
    if (got != expected || !strstr(cp_error(), text))
        fail_msg("status %d instead of %d: \"%s\" instead of \"%s\"", (int)got, (int)expected, cp_error(), text);
}

static void bad_convolutions_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_convs / sizeof *bad_convs; i++) {
        const bad_conv *b = &bad_convs[i];
        cp_shape y = {.rank = 7};
        check_text(cp_conv_shape(&y, &b->conv, b->x, b->w), b->status, b->text);
        assert_int_equal(y.rank, 0);
    }
}

static void bad_poolings_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_pools / sizeof *bad_pools; i++) {
        const bad_pool *b = &bad_pools[i];
        cp_shape y = {.rank = 7};
        check_text(cp_pool_shape(&y, &b->pool, b->x), b->status, b->text);
        assert_int_equal(y.rank, 0);
    }
    assert_int_equal(cp_pool_shape(NULL, NULL, cp_shape_nhwc(1, 1, 1, 1)), CP_E_ARG);
    assert_int_equal(cp_conv_shape(NULL, NULL, cp_shape_nhwc(1, 1, 1, 1), cp_shape_nhwc(1, 1, 1, 1)), CP_E_ARG);
}

/* What the maximum refuses, the average answers: a window without a tap inside counts nothing. */
static void average_windows_may_miss_the_input(void **state) {
    (void)state;
    const cp_axis a = pool_axis(
        1, (cp_pool){
               .kind = CP_AVERAGE, .kernel = {2}, .stride = {1}, .dilation = {3}, .pad_before = {2}, .pad_after = {1}});
    int64_t first, last;
    cp_axis_taps(&a, 0, &first, &last);
    assert_int_equal(first, 0);
    assert_int_equal(last, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_convolutions),
        cmocka_unit_test(random_poolings),
        cmocka_unit_test(same_padding_is_clamped),
        cmocka_unit_test(same_padding_knows_dilation),
        cmocka_unit_test(ceil_mode_begins_inside),
        cmocka_unit_test(sizes_do_not_truncate_to_zero),
        cmocka_unit_test(strides_of_any_size),
        cmocka_unit_test(zero_means_the_default),
        cmocka_unit_test(global_pooling_is_one_window),
        cmocka_unit_test(empty_batches_have_a_shape),
        cmocka_unit_test(bad_convolutions_are_named),
        cmocka_unit_test(bad_poolings_are_named),
        cmocka_unit_test(average_windows_may_miss_the_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
