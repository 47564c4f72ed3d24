/* Threads: the same bits whatever their number, plans that several of them share, contexts that they use at the same
 * time, and a process that forks after its pool has worked. */
#include "status.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

static const int counts[] = {1, 2, 3, 4, 7, 8, 16};
enum { COUNTS = sizeof counts / sizeof *counts, MOST = 1 << 16 };

static cp_ctx *new_ctx(int threads) {
    cp_ctx *ctx;
    ok(cp_ctx_new(&ctx, &(cp_options){.threads = threads}));
    assert_int_equal(cp_ctx_threads(ctx), threads);
    return ctx;
}

/* Numbers that no sum of has few digits: another order of adding shows. */
static float numbers[MOST];

static int fill_numbers(void **state) {
    (void)state;
    uint32_t x = 1;
    for (int i = 0; i < MOST; i++) {
        x = x * 1664525u + 1013904223u;
        numbers[i] = (float)(x >> 8) * 0x1p-23f - 1;
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------------
 * The same bits
 * ------------------------------------------------------------------------------------------------------------- */

/* Each writes what it computes to `out` and gives the number of floats. */
typedef int64_t computation(cp_ctx *ctx, float *out);

static int64_t run_plan(cp_plan *plan, const cp_tensor *x, const cp_tensor *y) {
    cp_work *work;
    ok(cp_work_new(&work, plan));
    ok(cp_plan_run(plan, work, x, 1, y, 1));
    cp_work_free(work);
    cp_plan_free(plan);
    return cp_shape_count(y->shape);
}

static int64_t convolution(cp_ctx *ctx, float *out) {
    const cp_tensor x = cp_nchw(numbers, 3, 5, 23, 29), w = cp_oihw(numbers + 1000, 37, 5, 3, 3);
    const cp_tensor b = cp_vec(numbers, 37), y = cp_nhwc(out, 3, 12, 15, 37);
    const cp_conv conv = {.stride = {2, 2}, .pad = CP_PAD_SAME, .activation = CP_RELU};
    cp_plan *plan;
    ok(cp_conv_plan(&plan, ctx, &conv, &x, &w, &b, &y));
    return run_plan(plan, &x, &y);
}

static int64_t depthwise(cp_ctx *ctx, float *out) {
    const cp_tensor x = cp_nhwc(numbers, 2, 15, 17, 70), w = cp_hwio(numbers + 77, 3, 3, 1, 70);
    const cp_tensor y = cp_nhwc(out, 2, 15, 17, 70);
    cp_plan *plan;
    ok(cp_conv_plan(&plan, ctx, &(cp_conv){.pad = CP_PAD_SAME, .groups = 70}, &x, &w, NULL, &y));
    return run_plan(plan, &x, &y);
}

static int64_t pooling(cp_ctx *ctx, float *out, cp_pooling kind) {
    const cp_tensor x = cp_nhwc(numbers, 2, 31, 33, 19), y = cp_nhwc(out, 2, 16, 17, 19);
    const cp_pool pool = {.kind = kind, .kernel = {3, 3}, .stride = {2, 2}, .pad_before = {1, 1}, .pad_after = {1, 1}};
    cp_plan *plan;
    ok(cp_pool_plan(&plan, ctx, &pool, &x, &y));
    return run_plan(plan, &x, &y);
}

static int64_t max_pooling(cp_ctx *ctx, float *out) {
    return pooling(ctx, out, CP_MAX);
}
static int64_t average_pooling(cp_ctx *ctx, float *out) {
    return pooling(ctx, out, CP_AVERAGE);
}

static int64_t gradients(cp_ctx *ctx, float *out) {
    const cp_tensor x = cp_nhwc(numbers, 3, 20, 21, 6), w = cp_hwio(numbers + 9, 5, 3, 3, 34);
    const cp_tensor dy = cp_nhwc(numbers + 200, 3, 16, 19, 34), dx = cp_nhwc(out, 3, 20, 21, 6);
    const cp_tensor dw = cp_hwio(out + 7560, 5, 3, 3, 34), db = cp_vec(out + 7560 + 1530, 34);
    ok(cp_conv_gradient(ctx, &(cp_conv){.groups = 2}, &x, &w, NULL, &dy, &dx, &dw, &db));
    return 7560 + 1530 + 34;
}

/* Large enough for Winograd's transforms. */
static int64_t transformed_gradients(cp_ctx *ctx, float *out) {
    const cp_tensor x = cp_nhwc(numbers, 3, 23, 29, 16), w = cp_hwio(numbers + 9, 3, 3, 16, 80);
    static float gradient[3 * 23 * 29 * 80];
    for (int i = 0; i < 3 * 23 * 29 * 80; i++) gradient[i] = numbers[i % (MOST - 7)];
    const cp_tensor dy = cp_nhwc(gradient, 3, 23, 29, 80), dx = cp_nhwc(out, 3, 23, 29, 16);
    const cp_tensor dw = cp_hwio(out + 32016, 3, 3, 16, 80), db = cp_vec(out + 32016 + 11520, 80);
    ok(cp_conv_gradient(ctx, &(cp_conv){.pad = CP_PAD_SAME}, &x, &w, NULL, &dy, &dx, &dw, &db));
    return 32016 + 11520 + 80;
}

static int64_t training(cp_ctx *ctx, float *out) {
    static float images[10 * 28 * 28];
    int32_t labels[10];
    const int64_t n = 10;
    int64_t used = 0;
    cp_data *data;
    cp_net *net;
    cp_trainer *trainer;
    ok(cp_data_digits(&data, n, 1));
    ok(cp_net_new(&net));
    const cp_node image = cp_net_input(net, "image", CP_F32, cp_shape_nhwc(0, 28, 28, 1));
    cp_net_output(net, cp_net_parse(net, image, "conv 5 5x5 same relu; pool 2; flatten; dropout 0.4; dense 10"), "y");
    ok(cp_net_initialize(net, CP_GLOROT, 7));
    ok(cp_trainer_new(&trainer, net, ctx, &(cp_train){.seed = 3, .decay = 1e-3f, .clip = 1}));
    cp_data_batch(data, NULL, 0, n, images, labels);
    const cp_tensor x = cp_nhwc(images, n, 28, 28, 1), target = cp_view(labels, CP_I32, cp_shape_of(1, &n));
    for (int step = 0; step < 3; step++) {
        double loss;
        ok(cp_trainer_step(trainer, &x, &target, &loss, NULL));
        memcpy(out + used, &loss, sizeof loss);
        used += (int64_t)(sizeof loss / sizeof *out);
    }
    ok(cp_trainer_export(trainer, net));
    for (int i = 0; i < cp_net_parameters(net); i++) {
        const cp_tensor p = cp_net_parameter(net, i);
        const int64_t count = cp_shape_count(p.shape);
        memcpy(out + used, p.data, (size_t)count * sizeof *out);
        used += count;
    }
    cp_trainer_free(trainer);
    cp_net_free(net);
    cp_data_free(data);
    return used;
}

static computation *const computations[] = {convolution,           depthwise, max_pooling, average_pooling, gradients,
                                            transformed_gradients, training};
enum { COMPUTATIONS = sizeof computations / sizeof *computations };

static void same_bits(void **state) {
    (void)state;
    static float alone[MOST], together[MOST];
    for (int c = 0; c < COMPUTATIONS; c++) {
        const int64_t n = computations[c](NULL, alone);
        assert_in_range(n, 1, MOST);
        for (int i = 0; i < COUNTS; i++) {
            cp_ctx *ctx = new_ctx(counts[i]);
            for (int again = 0; again < 3; again++) {
                memset(together, 0xff, sizeof together);
                assert_int_equal(computations[c](ctx, together), n);
                if (memcmp(alone, together, (size_t)n * sizeof *alone))
                    fail_msg("computation %d: other bits with %d threads", c, counts[i]);
            }
            cp_ctx_free(ctx);
        }
    }
}

/* ---------------------------------------------------------------------------------------------------------------
 * Several users at the same time
 * ------------------------------------------------------------------------------------------------------------- */

enum { USERS = 4 };

typedef struct user {
    cp_ctx *ctx;
    cp_plan *plan;
    const cp_tensor *x;
    const float *right; /* the output */
    int64_t count;
    int runs, number;
    int failures;
} user;

static void start_together(void *(*use)(void *), user users[USERS]) {
    pthread_t thread[USERS];
    for (int i = 0; i < USERS; i++) {
        users[i].number = i;
        assert_int_equal(pthread_create(&thread[i], NULL, use, &users[i]), 0);
    }
    for (int i = 0; i < USERS; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < USERS; i++) assert_int_equal(users[i].failures, 0);
}

static void *run_often(void *argument) {
    user *u = argument;
    float out[6 * 6 * 4] = {0};
    const cp_tensor y = cp_nhwc(out, 1, 6, 6, 4);
    cp_work *work;
    if (cp_work_new(&work, u->plan)) u->failures++;
    for (int i = 0; i < u->runs && !u->failures; i++) {
        memset(out, 0xff, sizeof out);
        u->failures += cp_plan_run(u->plan, work, u->x, 1, &y, 1) != CP_OK;
        u->failures += memcmp(out, u->right, sizeof out) != 0;
    }
    cp_work_free(work);
    return NULL;
}

static void shared_plan(void **state) {
    (void)state;
    const cp_tensor x = cp_nhwc(numbers, 1, 8, 8, 3), w = cp_hwio(numbers + 500, 3, 3, 3, 4);
    float right[6 * 6 * 4] = {0};
    const cp_tensor y = cp_nhwc(right, 1, 6, 6, 4);
    for (int threads = 1; threads <= 2; threads++) {
        cp_ctx *ctx = new_ctx(threads);
        user users[USERS];
        cp_plan *plan;
        ok(cp_conv_plan(&plan, ctx, NULL, &x, &w, NULL, NULL));
        ok(cp_conv_run(NULL, NULL, &x, &w, NULL, &y));
        for (int i = 0; i < USERS; i++) users[i] = (user){.plan = plan, .x = &x, .right = right, .runs = 1000};
        start_together(run_often, users);
        cp_plan_free(plan);
        cp_ctx_free(ctx);
    }
}

/* Each thread has its own sentence for what went wrong in it. */
static void *compute_and_err(void *argument) {
    user *u = argument;
    float *out = malloc(MOST * sizeof *out);
    for (int i = 0; i < u->runs; i++) {
        cp_ctx *never;
        char sentence[64];
        snprintf(sentence, sizeof sentence, "threads = %d: must be 1 to 1024", -1 - u->number);
        u->failures += cp_ctx_new(&never, &(cp_options){.threads = -1 - u->number}) != CP_E_ARG;
        u->failures += convolution(u->ctx, out) != u->count;
        u->failures += memcmp(out, u->right, (size_t)u->count * sizeof *out) != 0;
        u->failures += strcmp(cp_error(), sentence) != 0;
    }
    free(out);
    return NULL;
}

static void shared_context(void **state) {
    (void)state;
    static float right[MOST];
    const int64_t count = convolution(NULL, right);
    cp_ctx *ctx = new_ctx(3);
    user users[USERS];
    for (int i = 0; i < USERS; i++) users[i] = (user){.ctx = ctx, .right = right, .count = count, .runs = 10};
    start_together(compute_and_err, users);
    cp_ctx_free(ctx);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Fork
 * ------------------------------------------------------------------------------------------------------------- */

/* The child has none of the parent's threads; it must neither wait for them nor compute anything else. */
static void fork_and_compute(void **state) {
    (void)state;
    static float right[MOST], out[MOST];
    cp_ctx *ctx = new_ctx(4);
    for (int i = 0; i < 50; i++) {
        const int64_t n = training(ctx, right);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            alarm(60);
            const bool same = training(ctx, out) == n && !memcmp(out, right, (size_t)n * sizeof *out);
            cp_ctx_free(ctx);
            _exit(same ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    cp_ctx_free(ctx);
}

/* In strict math an image's results do not depend on the batch that it is in. */
static void strict_batches(void **state) {
    (void)state;
    enum { BATCH = 6, H = 17, C = 24, K = 40 };
    static float whole[BATCH * H * H * K], alone[H * H * K];
    const cp_tensor w3 = cp_hwio(numbers, 3, 3, C, K), w1 = cp_hwio(numbers, 1, 1, C, K), b = cp_vec(numbers + 77, K);
    for (int form = 0; form < 4; form++) {
        cp_ctx *ctx;
        const cp_tensor *w = form % 2 ? &w1 : &w3;
        const cp_conv conv = {.pad = CP_PAD_SAME, .stride = {form / 2 + 1, form / 2 + 1}};
        const int64_t out = (H + form / 2) / (form / 2 + 1);
        ok(cp_ctx_new(&ctx, &(cp_options){.threads = 3, .math = CP_MATH_STRICT}));
        const cp_tensor x = cp_nhwc(numbers, BATCH, H, H, C), y = cp_nhwc(whole, BATCH, out, out, K);
        ok(cp_conv_run(ctx, &conv, &x, w, &b, &y));
        for (int i = 0; i < BATCH; i++) {
            const cp_tensor xi = cp_nhwc(numbers + i * H * H * C, 1, H, H, C), yi = cp_nhwc(alone, 1, out, out, K);
            ok(cp_conv_run(ctx, &conv, &xi, w, &b, &yi));
            assert_memory_equal(alone, whole + i * out * out * K, (size_t)(out * out * K) * sizeof *alone);
        }
        cp_ctx_free(ctx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits),        cmocka_unit_test(strict_batches),
        cmocka_unit_test(shared_plan),      cmocka_unit_test(shared_context),
#ifndef UNDER_TSAN /* it knows no forked processes with threads */
        cmocka_unit_test(fork_and_compute),
#endif
    };
#ifdef UNDER_TSAN
    (void)fork_and_compute;
#endif
    return cmocka_run_group_tests_name("threads", tests, fill_numbers, NULL);
}
