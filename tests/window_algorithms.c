/* Pooling and depthwise convolution, forward and backward, by every algorithm at every level against the reference:
 * all attributes of a window, ties, NaN and infinities, windows that see nothing and inputs that nobody sees. */
#include "kernels.h"
#include "op/op.h"
#include "plan/algos.h"

#include <stdio.h>

/* --- one operation on one problem --- */

typedef struct sample {
    const cp_op *op;
    cp_attributes attributes;
    int inputs;
    cp_shape in[CP_MAX_INPUTS];
    cp_type in_type[CP_MAX_INPUTS];
    const void *data[CP_MAX_INPUTS];
    double error; /* that an output may have */
} sample;

static cp_status infer(const sample *s, const cp_kernels *kernels, cp_problem *problem) {
    *problem = (cp_problem){.kernels = kernels, .type = CP_F32, .inputs = s->inputs, .out_used = {true, true}};
    memcpy(problem->in, s->in, sizeof problem->in);
    memcpy(problem->in_type, s->in_type, sizeof problem->in_type);
    return s->op->infer(problem, &s->attributes);
}

static int64_t output_bytes(const cp_problem *p, int i) {
    return cp_shape_count(p->out[i]) * cp_type_size(p->out_type[i]);
}

/* Runs one algorithm with copies of the inputs and new outputs between pages without access, the outputs and the
 * scratch full of NaN before. */
static void run(const sample *s, const cp_algo *algo, const cp_problem *p, int shares, guard *g,
                void *out[CP_MAX_OUTPUTS]) {
    cp_prepared prepared = {0};
    if (algo->prepare) assert_int_equal(algo->prepare(p, &prepared), CP_OK);
    cp_call call = {.problem = p, .prepared = &prepared};
    for (int i = 0; i < s->inputs; i++) {
        if (s->in[i].rank < 0) continue;
        const int64_t size = cp_type_size(s->in_type[i]), bytes = cp_shape_count(s->in[i]) * size;
        call.in[i] = memcpy(guard_bytes(g, bytes, size), s->data[i], (size_t)bytes);
    }
    if (prepared.packed) {
        call.out[0] = guard_bytes(g, prepared.packed, CP_ALIGN);
        algo->pack(&call, 0, 1);
        call.in[1] = call.out[0];
    }
    call.scratch = guard_bytes(g, prepared.scratch, CP_ALIGN);
    for (int i = 0; i < p->outputs; i++) {
        out[i] = p->out_used[i] ? guard_bytes(g, output_bytes(p, i), cp_type_size(p->out_type[i])) : NULL;
        call.out[i] = out[i];
    }
    for (int phase = 0; phase < (prepared.phases ? prepared.phases : 1); phase++)
        for (int id = shares - 1; id >= 0; id--) algo->run(&call, phase, id, shares);
    cp_free(NULL, prepared.state);
}

static const cp_algo *reference_of(const cp_op *op) {
    const cp_algo *const *algo = op->algos;
    while (algo[1]) algo++;
    return *algo;
}

static void fail_sample(const sample *s, const cp_algo *algo, const cp_kernels *k, const char *what, int64_t at,
                        double got, double want) {
    char text[256] = "", shape[CP_SHAPE_TEXT];
    if (s->op->words) s->op->words(&s->attributes, text, sizeof text);
    const cp_pool *p = &s->attributes.pool;
    const cp_conv *c = &s->attributes.conv;
    for (int d = 0; d < CP_MAX_AXES; d++)
        print_error("axis %d: pool %lld/%lld dilation %lld pad %lld %lld, conv %lld/%lld %lld %lld %lld\n", d,
                    (long long)p->kernel[d], (long long)p->stride[d], (long long)p->dilation[d],
                    (long long)p->pad_before[d], (long long)p->pad_after[d], (long long)c->kernel[d],
                    (long long)c->stride[d], (long long)c->dilation[d], (long long)c->pad_before[d],
                    (long long)c->pad_after[d]);
    fail_msg("%s %s of %s, %s on %s: %s[%lld] is %.9g instead of %.9g", s->op->name, text,
             cp_shape_text(s->in[0], shape), algo->name, k->name, what, (long long)at, got, want);
}

static void compare_outputs(const sample *s, const cp_algo *algo, const cp_problem *p, void *const *got,
                            void *const *want) {
    for (int i = 0; i < p->outputs; i++) {
        if (!got[i]) continue;
        const cp_tensor a = cp_view(got[i], p->out_type[i], p->out[i]), b = cp_view(want[i], p->out_type[i], p->out[i]);
        for (int64_t e = 0; e < cp_shape_count(p->out[i]); e++) {
            const double x = cp_get(&a, e), y = cp_get(&b, e), error = i == 0 ? s->error : 0;
            const bool good = isnan(y) ? isnan(x) : x == y || fabs(x - y) <= error;
            if (!good) fail_sample(s, algo, p->kernels, i ? "index" : "output", e, x, y);
        }
    }
}

/* Every algorithm that takes the problem gives what the reference gives, the same bits for any number of shares, and
 * the same outputs where one of them is not wanted. */
static void check(const sample *s) {
    cp_problem p;
    guard kept = {.at_end = true};
    void *want[CP_MAX_OUTPUTS] = {0};
    assert_int_equal(infer(s, levels[0], &p), CP_OK);
    run(s, reference_of(s->op), &p, 1, &kept, want);
    for (const cp_kernels *const *k = levels; *k; k++)
        for (const cp_algo *const *algo = s->op->algos; algo[1]; algo++) {
            guard g = {.at_end = draw(0, 1)};
            void *out[4][CP_MAX_OUTPUTS] = {{0}};
            static const int shares[] = {1, 2, 3, 5};
            assert_int_equal(infer(s, *k, &p), CP_OK);
            if ((*algo)->refuse(&p)) continue;
            for (int i = 0; i < 4; i++) run(s, *algo, &p, shares[i], &g, out[i]);
            compare_outputs(s, *algo, &p, out[0], want);
            for (int i = 1; i < 4; i++)
                for (int o = 0; o < p.outputs; o++)
                    assert_memory_equal(out[i][o], out[0][o], (size_t)output_bytes(&p, o));
            for (int o = 0; o < p.outputs && p.outputs > 1; o++) {
                infer(s, *k, &p);
                p.out_used[o] = false;
                run(s, *algo, &p, 2, &g, out[1]);
                assert_memory_equal(out[1][!o], out[0][!o], (size_t)output_bytes(&p, !o));
            }
            guard_free(&g);
        }
    guard_free(&kept);
}

/* --- random windows --- */

static float *fill(int64_t n, float (*value)(void)) {
    float *x = malloc((size_t)n * sizeof *x + 1);
    if (!x) abort();
    for (int64_t i = 0; i < n; i++) x[i] = value();
    return x;
}

static int64_t draw_channels(void) {
    static const int64_t edges[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 130};
    return edges[draw(0, sizeof edges / sizeof *edges - 1)];
}

typedef struct window {
    int axes;
    int64_t size[CP_MAX_AXES], kernel[CP_MAX_AXES], stride[CP_MAX_AXES], dilation[CP_MAX_AXES];
    int64_t before[CP_MAX_AXES], after[CP_MAX_AXES];
    cp_pad pad;
} window;

static window draw_window(void) {
    static const int64_t most_size[] = {300, 14, 6}, most_kernel[] = {9, 5, 3};
    window w = {.axes = (int)draw(1, 3)};
    const bool dilated = draw(0, 2) == 0;
    w.pad = draw(0, 2) ? CP_PAD_EXPLICIT : (cp_pad)draw(CP_PAD_VALID, CP_PAD_FULL);
    for (int d = 0; d < w.axes; d++) {
        w.size[d] = draw(1, most_size[w.axes - 1]);
        w.kernel[d] = draw(1, most_kernel[w.axes - 1]);
        w.stride[d] = draw(1, 4);
        w.dilation[d] = dilated ? draw(1, 4) : 1;
        if (w.pad != CP_PAD_EXPLICIT) continue;
        w.before[d] = draw(0, w.kernel[d] * w.dilation[d] - 1);
        w.after[d] = draw(0, w.kernel[d] * w.dilation[d] - 1);
    }
    return w;
}

static cp_shape image(const window *w, int64_t channels) {
    cp_shape x = {.rank = w->axes + 2, .dim = {draw(0, 9) ? draw(1, 3) : 0}};
    for (int d = 0; d < w->axes; d++) x.dim[1 + d] = w->size[d];
    x.dim[w->axes + 1] = channels;
    return x;
}

/* --- pooling --- */

/* Forward and backward with these numbers. */
static void check_pool(cp_pooling kind, const cp_pool *pool, cp_shape x, float (*value)(void)) {
    const bool max = kind == CP_MAX;
    cp_problem p;
    sample s = {.op = max ? &cp_op_max_pool : &cp_op_average_pool, .inputs = 1, .in = {x}};
    s.attributes.pool = *pool;
    float *in = fill(cp_shape_count(x), value);
    s.data[0] = in;
    assert_int_equal(infer(&s, levels[0], &p), CP_OK);
    const double taps = (double)cp_window_taps(&p.window);
    s.error = max ? 0 : (taps + 4) * 0x1p-22;
    check(&s);

    guard g = {.at_end = true};
    void *out[CP_MAX_OUTPUTS];
    run(&s, reference_of(s.op), &p, 1, &g, out);
    sample back = {.op = max ? &cp_op_max_pool_gradient : &cp_op_average_pool_gradient,
                   .inputs = max ? 2 : 1,
                   .in = {p.out[0], p.out[1]},
                   .in_type = {CP_F32, p.out_type[1]},
                   .error = s.error};
    back.attributes.pool = *pool;
    for (int d = 0; d < x.rank - 2; d++) back.attributes.size[d] = x.dim[1 + d];
    float *dy = fill(cp_shape_count(p.out[0]), max ? draw_integer : draw_real);
    back.data[0] = dy;
    back.data[1] = out[1];
    check(&back);
    guard_free(&g);
    free(dy);
    free(in);
}

static bool draw_pool(cp_pooling kind, cp_pool *pool, cp_shape *x) {
    window w = draw_window();
    cp_window geometry;
    *pool = (cp_pool){.kind = kind, .pad = w.pad};
    pool->ceil_mode = (w.pad == CP_PAD_EXPLICIT || w.pad == CP_PAD_VALID) && draw(0, 1);
    if (kind == CP_AVERAGE) pool->divisor = (cp_divisor)draw(0, 3);
    if (pool->divisor == CP_DIVISOR_NUMBER) pool->divide_by = draw(1, 9);
    memcpy(pool->kernel, w.kernel, sizeof w.kernel);
    if (draw(0, 2)) memcpy(pool->stride, w.stride, sizeof w.stride);
    memcpy(pool->dilation, w.dilation, sizeof w.dilation);
    memcpy(pool->pad_before, w.before, sizeof w.before);
    memcpy(pool->pad_after, w.after, sizeof w.after);
    if (draw(0, 9) == 0) *pool = (cp_pool){.kind = kind, .global = true};
    *x = image(&w, draw_channels());
    return cp_pool_window(&geometry, pool, *x) == CP_OK && cp_shape_count(*x) * cp_window_taps(&geometry) < 100000;
}

static void pools_of_any_window(void **state) {
    (void)state;
    for (int n = 0; n < 300; n++) {
        const cp_pooling kind = n % 2 ? CP_AVERAGE : CP_MAX;
        cp_pool pool;
        cp_shape x;
        while (!draw_pool(kind, &pool, &x)) continue;
        check_pool(kind, &pool, x, kind == CP_AVERAGE ? draw_real : n % 4 ? draw_strange : draw_integer);
    }
}

/* Rows that are cut into pieces, and channels that are divided among shares. */
static void pools_of_long_rows_and_many_channels(void **state) {
    (void)state;
    for (int kind = CP_MAX; kind <= CP_AVERAGE; kind++) {
        check_pool(kind, &(cp_pool){.kernel = {2}}, (cp_shape){3, {2, 1301, 3}}, draw_real);
        check_pool(kind, &(cp_pool){.kernel = {5}, .stride = {3}, .pad = CP_PAD_SAME}, (cp_shape){3, {1, 1000, 2}},
                   draw_real);
        check_pool(kind, &(cp_pool){.global = true}, cp_shape_nhwc(1, 7, 7, 515), draw_real);
        check_pool(kind, &(cp_pool){.global = true}, cp_shape_nhwc(2, 25, 23, 9), draw_real); /* over 256 taps */
        check_pool(kind, &(cp_pool){.kernel = {3, 3}, .stride = {2, 2}, .pad_before = {1, 1}},
                   cp_shape_nhwc(1, 20, 20, 270), draw_real); /* more than one slab */
    }
}

/* Runs the algorithm that would be chosen for these floats. */
static void run_chosen(const sample *s, const cp_kernels *k, guard *g, void *out[CP_MAX_OUTPUTS]) {
    cp_problem p;
    assert_int_equal(infer(s, k, &p), CP_OK);
    const cp_algo *algo = cp_choose(s->op->name, s->op->algos, &p);
    assert_ptr_not_equal(algo, reference_of(s->op));
    run(s, algo, &p, 1, g, out);
}

static void the_first_maximum_and_the_first_nan_win(void **state) {
    (void)state;
    enum { CASES = 6, TAPS = 4 };
    static const float windows[CASES][TAPS] = {{1, 3, 3, 2},
                                               {-INFINITY, -INFINITY, -INFINITY, -INFINITY},
                                               {1, NAN, 5, NAN},
                                               {INFINITY, NAN, 1, 1},
                                               {-0.0f, 0.0f, 0.0f, -0.0f},
                                               {-2, -1, -3, -1}};
    static const float maxima[CASES] = {3, -INFINITY, NAN, NAN, 0, -1};
    static const uint8_t where[CASES] = {1, 0, 1, 1, 0, 1};
    for (const cp_kernels *const *k = levels; *k; k++)
        for (int c = 0; c < CASES; c++) {
            guard g = {.at_end = true};
            void *out[CP_MAX_OUTPUTS];
            sample s = {.op = &cp_op_max_pool, .inputs = 1, .in = {{3, {1, TAPS, 1}}}, .data = {windows[c]}};
            s.attributes.pool.kernel[0] = TAPS;
            run_chosen(&s, *k, &g, out);
            const float y = *(const float *)out[0];
            assert_true(isnan(maxima[c]) ? isnan(y) : y == maxima[c]);
            assert_int_equal(*(const uint8_t *)out[1], where[c]);
            guard_free(&g);
        }
}

/* Padding is absent: it never is the maximum, and its taps never are the index. */
static void padding_is_never_the_maximum(void **state) {
    (void)state;
    static const float x[] = {-5, -7, -INFINITY};
    for (const cp_kernels *const *k = levels; *k; k++) {
        guard g = {.at_end = true};
        void *out[CP_MAX_OUTPUTS];
        sample s = {.op = &cp_op_max_pool, .inputs = 1, .in = {{3, {1, 3, 1}}}, .data = {x}};
        s.attributes.pool = (cp_pool){.kernel = {3}, .stride = {2}, .pad_before = {1}, .pad_after = {1}};
        run_chosen(&s, *k, &g, out);
        const float *y = out[0];
        const uint8_t *index = out[1];
        assert_true(y[0] == -5 && y[1] == -7);
        assert_int_equal(index[0], 1);
        assert_int_equal(index[1], 0);
        guard_free(&g);
    }
}

/* Taps three apart around two inputs: the third window sees nothing. */
static void an_average_of_nothing_is_zero(void **state) {
    (void)state;
    static const float x[] = {8, 6};
    for (const cp_kernels *const *k = levels; *k; k++) {
        guard g = {.at_end = true};
        void *out[CP_MAX_OUTPUTS];
        sample s = {.op = &cp_op_average_pool, .inputs = 1, .in = {{3, {1, 2, 1}}}, .data = {x}};
        s.attributes.pool =
            (cp_pool){.kernel = {2}, .stride = {1}, .dilation = {3}, .pad_before = {3}, .pad_after = {3}};
        run_chosen(&s, *k, &g, out);
        static const float want[] = {8, 6, 0, 8, 6};
        assert_memory_equal(out[0], want, sizeof want);
        guard_free(&g);
    }
}

/* Windows two apart that see one input each, and an input behind the last window. */
static void inputs_that_nobody_sees_have_no_gradient(void **state) {
    (void)state;
    static const float dy[] = {5, -7};
    static const uint8_t index[] = {0, 0};
    static const float want[] = {5, 0, -7, 0};
    for (const cp_kernels *const *k = levels; *k; k++)
        for (int max = 0; max < 2; max++) {
            guard g = {.at_end = true};
            void *out[CP_MAX_OUTPUTS];
            sample s = {.op = max ? &cp_op_max_pool_gradient : &cp_op_average_pool_gradient,
                        .inputs = 1 + max,
                        .in = {{3, {1, 2, 1}}, {3, {1, 2, 1}}},
                        .in_type = {CP_F32, CP_U8},
                        .data = {dy, index}};
            s.attributes.pool = (cp_pool){.kernel = {1}, .stride = {2}};
            s.attributes.size[0] = 4;
            run_chosen(&s, *k, &g, out);
            assert_memory_equal(out[0], want, sizeof want);
            guard_free(&g);
        }
}

/* A maximum over 625 taps has no index in a byte, but a maximum it has. */
static void large_windows_are_fast_without_an_index(void **state) {
    (void)state;
    cp_problem p;
    guard g = {.at_end = true};
    void *got[CP_MAX_OUTPUTS], *want[CP_MAX_OUTPUTS];
    float *x = fill(25 * 25 * 3, draw_real);
    const sample s = {.op = &cp_op_max_pool,
                      .attributes.pool = {.global = true},
                      .inputs = 1,
                      .in = {{4, {1, 25, 25, 3}}},
                      .data = {x}};
    assert_int_equal(infer(&s, levels[0], &p), CP_OK);
    assert_string_equal(cp_choose("max-pool", s.op->algos, &p)->name, "reference");
    run(&s, reference_of(s.op), &p, 1, &g, want);
    p.out_used[1] = false;
    assert_string_equal(cp_choose("max-pool", s.op->algos, &p)->name, "rows");
    run(&s, &cp_algo_max_pool_rows, &p, 2, &g, got);
    compare_outputs(&s, &cp_algo_max_pool_rows, &p, got, want);
    guard_free(&g);
    free(x);
}

/* 1501 x 1501 taps at each of 2000 x 2000 positions that are nearly all different: lists of them would fill the memory.
 */
static void too_many_different_windows_are_refused(void **state) {
    (void)state;
    cp_problem p;
    const sample s = {.op = &cp_op_average_pool,
                      .attributes.pool = {.kernel = {1501, 1501}, .stride = {1, 1}, .pad = CP_PAD_SAME},
                      .inputs = 1,
                      .in = {{4, {1, 2000, 2000, 1}}}};
    assert_int_equal(infer(&s, levels[0], &p), CP_OK);
    assert_non_null(cp_algo_average_pool_rows.refuse(&p));
}

/* --- depthwise convolution --- */

static void check_depthwise(const window *w, cp_shape x, bool bias, bool relu) {
    const int64_t c = x.dim[x.rank - 1];
    sample s = {.op = &cp_op_conv, .inputs = 3, .in = {x, {.rank = x.rank}, {.rank = bias ? 1 : -1, .dim = {c}}}};
    cp_conv *conv = &s.attributes.conv;
    *conv = (cp_conv){.pad = w->pad, .groups = c, .activation = relu ? CP_RELU : CP_LINEAR};
    memcpy(conv->kernel, w->kernel, sizeof w->kernel);
    memcpy(conv->stride, w->stride, sizeof w->stride);
    memcpy(conv->dilation, w->dilation, sizeof w->dilation);
    memcpy(conv->pad_before, w->before, sizeof w->before);
    memcpy(conv->pad_after, w->after, sizeof w->after);
    for (int d = 0; d < w->axes; d++) s.in[1].dim[d] = w->kernel[d];
    s.in[1].dim[w->axes] = 1;
    s.in[1].dim[w->axes + 1] = c;
    cp_problem p;
    if (infer(&s, levels[0], &p)) return; /* the kernel is larger than the input */
    float *data[3] = {fill(cp_shape_count(x), draw_integer), fill(cp_shape_count(s.in[1]), draw_integer),
                      fill(c, draw_integer)};
    float *dy = fill(cp_shape_count(p.out[0]), draw_integer);
    memcpy(s.data, data, sizeof data);
    assert_null(cp_algo_depthwise.refuse(&p));
    check(&s);

    sample back = {.op = &cp_op_conv_input_gradient, .attributes = s.attributes, .inputs = 2};
    back.attributes.conv.activation = CP_LINEAR;
    for (int d = 0; d < w->axes; d++) back.attributes.size[d] = x.dim[1 + d];
    back.in[0] = p.out[0];
    back.in[1] = s.in[1];
    back.data[0] = dy;
    back.data[1] = data[1];
    check(&back);
    back.op = &cp_op_conv_weight_gradient;
    back.in[1] = x;
    back.data[1] = data[0];
    check(&back);
    free(dy);
    for (int i = 0; i < 3; i++) free(data[i]);
}

static void depthwise_of_any_window(void **state) {
    (void)state;
    for (int n = 0; n < 150; n++) {
        window w = draw_window();
        if (draw(0, 3) == 0)
            for (int d = 0; d < w.axes; d++) w.stride[d] = w.dilation[d] = 1;
        cp_shape x = image(&w, draw_channels());
        if (cp_shape_count(x) > 4000) continue;
        check_depthwise(&w, x, draw(0, 1), draw(0, 1));
    }
}

/* The kernels that networks are made of, with several parts of the weight gradient and several slabs of channels. */
static void depthwise_of_networks(void **state) {
    (void)state;
    static const int64_t kernels[] = {3, 5, 7};
    for (int k = 0; k < 3; k++)
        for (int64_t stride = 1; stride <= 2; stride++) {
            window w = {.axes = 2, .pad = CP_PAD_SAME};
            for (int d = 0; d < 2; d++) {
                w.kernel[d] = kernels[k];
                w.stride[d] = stride;
                w.dilation[d] = 1;
            }
            check_depthwise(&w, cp_shape_nhwc(1, 12, 12, 300), true, true);
            check_depthwise(&w, cp_shape_nhwc(2, 37, 41, 5), true, false);
        }
}

static void depthwise_takes_one_filter_for_each_channel(void **state) {
    (void)state;
    cp_problem p;
    const sample twice = {
        .op = &cp_op_conv, .attributes.conv.groups = 4, .inputs = 2, .in = {{3, {1, 9, 4}}, {3, {3, 1, 8}}}};
    assert_int_equal(infer(&twice, levels[0], &p), CP_OK);
    assert_string_equal(cp_algo_depthwise.refuse(&p), "needs one filter for each channel");
    const sample once = {
        .op = &cp_op_conv, .attributes.conv.groups = 4, .inputs = 2, .in = {{3, {1, 9, 4}}, {3, {3, 1, 4}}}};
    assert_int_equal(infer(&once, levels[0], &p), CP_OK);
    assert_string_equal(cp_choose("conv", once.op->algos, &p)->name, "depthwise");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_of_any_window),
        cmocka_unit_test(pools_of_long_rows_and_many_channels),
        cmocka_unit_test(the_first_maximum_and_the_first_nan_win),
        cmocka_unit_test(padding_is_never_the_maximum),
        cmocka_unit_test(an_average_of_nothing_is_zero),
        cmocka_unit_test(inputs_that_nobody_sees_have_no_gradient),
        cmocka_unit_test(large_windows_are_fast_without_an_index),
        cmocka_unit_test(too_many_different_windows_are_refused),
        cmocka_unit_test(depthwise_of_any_window),
        cmocka_unit_test(depthwise_of_networks),
        cmocka_unit_test(depthwise_takes_one_filter_for_each_channel),
    };
    return cmocka_run_group_tests(tests, find_levels, NULL);
}
