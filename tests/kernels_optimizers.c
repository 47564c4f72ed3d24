/* Kernels against plain loops: steps of the optimizers. */
#include "kernels.h"

/* As the step is defined, in double. */
static void plain_adam(const cp_adaptive *o, double *w, const float *g, double *m, double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double gradient = (double)o->g_scale * g[i] + (double)o->decay * w[i];
        m[i] = (double)o->beta1 * m[i] + (1 - (double)o->beta1) * gradient;
        v[i] = (double)o->beta2 * v[i] + (1 - (double)o->beta2) * gradient * gradient;
        w[i] -=
            (double)o->shrink * w[i] + (double)o->rate * m[i] / (sqrt(v[i]) * (double)o->v_scale + (double)o->epsilon);
    }
}

static void adam_steps(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 50; i++) {
            int64_t n = draw_size(k->lanes, 200);
            cp_adaptive o = {.rate = 0.01f,
                             .beta1 = 0.9f,
                             .beta2 = 0.999f,
                             .epsilon = 1e-4f,
                             .v_scale = i % 2 ? 1 : 3.5f,
                             .g_scale = i % 3 ? 1 : 0.25f,
                             .decay = i % 5 ? 0 : 0.125f,
                             .shrink = i % 7 ? 0 : 0.01f};
            float *w = filled(g, n, draw_real), *m = guard_floats(g, n), *v = guard_floats(g, n);
            double want_w[200], want_m[200] = {0}, want_v[200] = {0};
            for (int64_t j = 0; j < n; j++) {
                want_w[j] = w[j];
                m[j] = v[j] = 0;
            }
            for (int step = 0; step < 3; step++) {
                float *gradient = filled(g, n, draw_real);
                k->adam(&o, w, gradient, m, v, n);
                plain_adam(&o, want_w, gradient, want_m, want_v, n);
            }
            assert_near(w, want_w, n, 2e-6, k, "Adam's weight");
            assert_near(m, want_m, n, 1e-6, k, "Adam's first moment");
            assert_near(v, want_v, n, 1e-6, k, "Adam's second moment");
            guard_free(g);
        }
    }
}

static void sgd_steps(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 50; i++) {
            int64_t n = draw_size(k->lanes, 200);
            cp_sgd o = {.rate = 0.125f,
                        .momentum = i % 3 ? 0.5f : 0,
                        .g_scale = i % 4 ? 1 : 0.25f,
                        .decay = i % 5 ? 0 : 0.125f,
                        .nesterov = i % 2};
            float *w = filled(g, n, draw_real), *gradient = filled(g, n, draw_real);
            float *v = o.momentum != 0 ? filled(g, n, draw_real) : NULL;
            double want_w[200], want_v[200];
            for (int64_t j = 0; j < n; j++) {
                double slope = (double)o.g_scale * gradient[j] + (double)o.decay * w[j];
                want_v[j] = (v ? (double)o.momentum * v[j] : 0) + slope;
                want_w[j] = w[j] - (double)o.rate * (o.nesterov ? slope + (double)o.momentum * want_v[j] : want_v[j]);
            }
            k->sgd(&o, w, gradient, v, n);
            assert_near(w, want_w, n, 1e-6, k, "weight of gradient descent");
            if (v) assert_near(v, want_v, n, 1e-6, k, "velocity");
            guard_free(g);
        }
    }
}

/* RMSprop, Adagrad and Lion, each from moments that are not zero. */
static void other_adaptive_steps(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 60; i++) {
            const int64_t n = draw_size(k->lanes, 200);
            const int kind = i % 3;
            const cp_adaptive o = {.rate = 0.01f,
                                   .beta1 = 0.9f,
                                   .beta2 = 0.75f,
                                   .epsilon = 1e-2f,
                                   .g_scale = i % 4 ? 1 : 0.25f,
                                   .decay = i % 5 ? 0 : 0.125f,
                                   .shrink = i % 7 ? 0 : 0.01f};
            const double beta1 = (double)o.beta1, beta2 = (double)o.beta2;
            float *w = filled(g, n, draw_real), *gradient = filled(g, n, draw_real), *v = filled(g, n, draw_real);
            double want_w[200], want_v[200];
            for (int64_t j = 0; j < n; j++) {
                if (kind < 2) v[j] = fabsf(v[j]);
                const double slope = (double)o.g_scale * gradient[j] + (double)o.decay * w[j], moment = v[j];
                const double ahead = beta1 * moment + (1 - beta1) * slope;
                want_v[j] = kind == 0   ? beta2 * moment + (1 - beta2) * slope * slope
                            : kind == 1 ? moment + slope * slope
                                        : beta2 * moment + (1 - beta2) * slope;
                const double step =
                    kind < 2 ? slope / (sqrt(want_v[j]) + (double)o.epsilon) : (double)((ahead > 0) - (ahead < 0));
                want_w[j] = w[j] - (double)o.shrink * w[j] - (double)o.rate * step;
            }
            if (kind == 0) k->rmsprop(&o, w, gradient, v, n);
            if (kind == 1) k->adagrad(&o, w, gradient, v, n);
            if (kind == 2) k->lion(&o, w, gradient, v, n);
            assert_near(w, want_w, n, 2e-6, k, "weight of RMSprop, Adagrad or Lion");
            assert_near(v, want_v, n, 1e-6, k, "moment of RMSprop, Adagrad or Lion");
            guard_free(g);
        }
    }
}

/* Where nothing pulls, Lion goes nowhere: the sign of 0 is 0. */
static void lion_rests(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        const cp_adaptive o = {.rate = 0.5f, .beta1 = 0.9f, .beta2 = 0.99f, .g_scale = 1};
        float w[5] = {1, 2, 3, 4, 5}, m[5] = {0};
        const float gradient[5] = {0, -0.0f, 1e-30f, -1e-30f, 0};
        k->lion(&o, w, gradient, m, 5);
        assert_true(w[0] == 1 && w[1] == 2 && w[2] == 2.5f && w[3] == 4.5f && w[4] == 5);
        guard_free(g);
    }
}

/* Threads share the weights: wherever they are cut, the bits are the same. */
static void optimizers_may_be_split(void **state) {
    (void)state;
    cp_adaptive adam = {.rate = 0.01f,
                        .beta1 = 0.9f,
                        .beta2 = 0.999f,
                        .epsilon = 1e-8f,
                        .v_scale = 1.7f,
                        .g_scale = 0.3f,
                        .decay = 0.01f};
    cp_sgd sgd = {.rate = 0.1f, .momentum = 0.9f, .g_scale = 0.3f, .decay = 0.01f, .nesterov = 1};
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 50; i++) {
            int64_t n = 150, cut = draw(1, n - 1);
            float *w = filled(g, n, draw_real), *gradient = filled(g, n, draw_real), *m = filled(g, n, draw_real);
            float *v = filled(g, n, draw_real);
            for (int64_t j = 0; j < n; j++) v[j] = fabsf(v[j]);
            float *w2 = copied(g, w, n), *m2 = copied(g, m, n), *v2 = copied(g, v, n);
            k->adam(&adam, w, gradient, m, v, n);
            k->adam(&adam, w2, gradient, m2, v2, cut);
            k->adam(&adam, w2 + cut, gradient + cut, m2 + cut, v2 + cut, n - cut);
            assert_same_bytes(w2, w, n * 4, k, "weights after Adam in two parts");
            assert_same_bytes(m2, m, n * 4, k, "first moments after Adam in two parts");
            assert_same_bytes(v2, v, n * 4, k, "second moments after Adam in two parts");
            k->sgd(&sgd, w, gradient, m, n);
            k->sgd(&sgd, w2, gradient, m2, cut);
            k->sgd(&sgd, w2 + cut, gradient + cut, m2 + cut, n - cut);
            assert_same_bytes(w2, w, n * 4, k, "weights after gradient descent in two parts");
            assert_same_bytes(m2, m, n * 4, k, "velocities after gradient descent in two parts");
            guard_free(g);
        }
    }
}

/* Optimizers flush denormal numbers while they run; afterwards the caller's mode is back. */
static void floating_point_mode_is_restored(void **state) {
    (void)state;
#if defined(__SSE2__)
    float w[40] = {1}, g[40] = {0}, m[40] = {1e-39f}, v[40] = {1e-39f};
    const unsigned before = __builtin_ia32_stmxcsr();
    for (const cp_kernels *const *at = levels; *at; at++) {
        const cp_adaptive step = {.rate = 0.1f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .v_scale = 1};
        (*at)->adam(&step, w, g, m, v, 40);
        assert_int_equal(before & 0xffc0, __builtin_ia32_stmxcsr() & 0xffc0);
    }
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floating_point_mode_is_restored),
        cmocka_unit_test(adam_steps),
        cmocka_unit_test(sgd_steps),
        cmocka_unit_test(other_adaptive_steps),
        cmocka_unit_test(lion_rests),
        cmocka_unit_test(optimizers_may_be_split),
    };
    return cmocka_run_group_tests_name("kernels: optimizers", tests, find_levels, NULL);
}
