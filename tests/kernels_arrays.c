/* Kernels against plain loops: loops over arrays, functions of one number, passes for measuring. */
#include "kernels.h"

#include <float.h>

/* --- loops over arrays --- */

static void activations_and_sums(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 200; i++) {
            int64_t n = draw_size(k->lanes, 200);
            float *x = filled(g, n, draw_strange), *dy = filled(g, n, draw_strange);
            float *got = guard_floats(g, n), *want = guard_floats(g, n);

            for (int64_t j = 0; j < n; j++) want[j] = plain_relu(x[j]);
            k->relu(x, got, n);
            assert_same_numbers(got, want, n, k, "relu");

            for (int64_t j = 0; j < n; j++) want[j] = x[j] > 0 ? dy[j] : 0;
            k->relu_gradient(x, dy, got, n);
            assert_same_numbers(got, want, n, k, "gradient of relu");

            for (int64_t j = 0; j < n; j++) want[j] = x[j] + dy[j];
            k->add(x, dy, got, n);
            assert_same_numbers(got, want, n, k, "add");
            guard_free(g);
        }
    }
}

/* An output may be the input. */
static void loops_in_place(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        int64_t n = 3 * k->lanes + 1;
        float *x = filled(g, n, draw_real), *dy = filled(g, n, draw_real), *want = guard_floats(g, n);
        for (int64_t j = 0; j < n; j++) want[j] = x[j] > 0 ? dy[j] : 0;
        k->relu_gradient(x, dy, dy, n);
        assert_same_numbers(dy, want, n, k, "gradient of relu in place");
        for (int64_t j = 0; j < n; j++) want[j] = x[j] + want[j];
        k->add(x, dy, dy, n);
        assert_same_numbers(dy, want, n, k, "add in place");
        for (int64_t j = 0; j < n; j++) want[j] = plain_relu(x[j]);
        k->relu(x, x, n);
        assert_same_numbers(x, want, n, k, "relu in place");
        guard_free(g);
    }
}

static void column_sums(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 200; i++) {
            int64_t rows = draw(0, 20), columns = draw_size(k->lanes, 12 * k->lanes), step = columns + draw(0, 3);
            int flags = (int)draw(0, 1);
            float *x = filled(g, rows ? (rows - 1) * step + columns : 0, draw_integer);
            float *got = flags ? filled(g, columns, draw_integer) : guard_floats(g, columns);
            float *want = guard_floats(g, columns);
            for (int64_t j = 0; j < columns; j++) {
                want[j] = flags & CP_ACCUMULATE ? got[j] : 0;
                for (int64_t r = 0; r < rows; r++) want[j] += x[r * step + j];
            }
            k->column_sums(x, step, rows, columns, got, flags);
            assert_same_numbers(got, want, columns, k, "column sums");
            guard_free(g);
        }
    }
}

static void sums_of_squares(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 200; i++) {
            int64_t n = i ? draw_size(k->lanes, 300) : 0;
            float *x = filled(g, n, draw_real);
            double want = 0, got = k->sum_of_squares(x, n);
            for (int64_t j = 0; j < n; j++) want += (double)x[j] * x[j];
            if (!(fabs(got - want) <= 1e-13 * want)) fail_msg("%s: %.17g instead of %.17g", k->name, got, want);
            float *elsewhere = copied(g, x, n); /* and another alignment */
            assert_true(k->sum_of_squares(elsewhere, n) == got);
            guard_free(g);
        }
        float *x = guard_floats(g, 3); /* squares that a float cannot hold */
        x[0] = 3e30f, x[1] = 1e-30f, x[2] = 0;
        assert_true(k->sum_of_squares(x, 3) > 8.9e60 && k->sum_of_squares(x, 3) < 9.1e60);
        assert_true(k->sum_of_squares(x + 1, 2) > 0.99e-60);
        x[2] = NAN;
        assert_true(isnan(k->sum_of_squares(x, 3)));
        guard_free(g);
    }
}

static void moments(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g)
    for (int i = 0; i < 200; i++) {
        const int64_t n = draw_size(k->lanes, 200), rows = draw(0, 4), step = n + draw(0, 9);
        const int64_t floats = rows ? (rows - 1) * step + n : 0;
        float *x = filled(g, floats, draw_integer), *shift = filled(g, n, draw_integer);
        double *sum = calloc((size_t)n, sizeof *sum), *squares = calloc((size_t)n, sizeof *squares);
        k->column_moments(x, step, rows, n, shift, sum, squares);
        double all[2] = {1, 2}, all_wanted[2] = {1, 2};
        k->moments(x, step, rows, n, shift[0], &all[0], &all[1]);
        for (int64_t j = 0; j < n; j++) {
            double wanted[2] = {0, 0};
            for (int64_t r = 0; r < rows; r++) {
                const double d = (double)x[r * step + j] - shift[j], e = (double)x[r * step + j] - shift[0];
                wanted[0] += d;
                wanted[1] += d * d;
                all_wanted[0] += e;
                all_wanted[1] += e * e;
            }
            assert_true(sum[j] == wanted[0] && squares[j] == wanted[1]);
        }
        assert_true(all[0] == all_wanted[0] && all[1] == all_wanted[1]);
        free(sum);
        free(squares);
        guard_free(g);
    }
}

static void normalised(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g)
    for (int i = 0; i < 200; i++) {
        const int64_t n = draw_size(k->lanes, 100);
        const int each = i % 2;
        float *array[5], *y = guard_floats(g, n);
        for (int a = 0; a < 5; a++) array[a] = filled(g, a < 3 && !each ? 1 : n, draw_integer);
        float *x = filled(g, n, draw_integer);
        k->normalise(x, array[0], array[1], array[2], each, array[3], array[4], y, n);
        for (int64_t j = 0; j < n; j++) {
            const int64_t own = each ? j : 0;
            assert_true(y[j] == (x[j] - array[0][own] - array[1][own]) * (array[2][own] * array[3][j]) + array[4][j]);
        }
        guard_free(g);
    }
}

/* --- functions of one number --- */

static double plain_logistic(double x) {
    return 1 / (1 + exp(-x));
}

static double plain_function(int which, double x, double alpha, double beta) {
    const double softplus = fmax(x, 0) + log1p(exp(-fabs(x)));
    switch (which) {
    case CP_FUNCTION_EXP:
        return exp(x);
    case CP_FUNCTION_LOGISTIC:
        return plain_logistic(x);
    case CP_FUNCTION_TANH:
        return tanh(x);
    case CP_FUNCTION_SOFTPLUS:
        return softplus;
    case CP_FUNCTION_SILU:
        return x * plain_logistic(x);
    case CP_FUNCTION_MISH:
        return x * tanh(softplus);
    case CP_FUNCTION_GELU:
        return x * erfc(x * -0.70710678118654752) / 2;
    case CP_FUNCTION_ERF:
        return erf(x);
    case CP_FUNCTION_GELU_TANH:
        return x * plain_logistic(1.5957691216057308 * (x + 0.044715 * x * x * x));
    default:
        return x < 0 ? alpha * expm1(beta * x) : x;
    }
}

/* How far from the function's value its argument's rounding alone may take it, in units of the value's last place:
 * where beta, a cube, or a square that is not multiplied and added at once, comes before exp. (GELU's polynomial adds
 * two more.) */
static double rounding_of(int which, double x, double beta) {
    const double size = fabs(x);
    return which == CP_FUNCTION_GELU_TANH && x < 0 ? 8 * size * (1 + size * size / 8)
           : which == CP_FUNCTION_GELU             ? 2 + (x < 0 ? size * size / 4 : 0)
           : which == CP_FUNCTION_ELU && x < 0     ? fmin(beta * size, 1)
                                                   : 0;
}

static void compare_function(const cp_kernels *k, int which, const float *x, const float *y, int64_t n, double alpha,
                             double beta) {
    for (int64_t j = 0; j < n; j++) {
        const double want = plain_function(which, x[j], alpha, beta);
        if (isnan(want) ? isnan(y[j]) : y[j] == (float)want) continue;
        const bool is_product = which == CP_FUNCTION_SILU || which == CP_FUNCTION_MISH || which == CP_FUNCTION_GELU ||
                                which == CP_FUNCTION_GELU_TANH;
        const double least = 0x1p-149 * (is_product ? fmax(1, fabs((double)x[j])) : 1); /* one factor may be denormal */
        const double unit = fmax(fabs(want) * 0x1p-23, least);
        if (!(fabs(y[j] - want) <= (3 + rounding_of(which, x[j], beta)) * unit))
            fail_msg("%s: function %d of %.9g is %.9g instead of %.9g", k->name, which, (double)x[j], (double)y[j],
                     want);
    }
}

/* Of numbers of all sizes, denormal and infinite ones and such as are none, in arrays of any length. */
static void functions(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int which = 0; which < CP_FUNCTIONS; which++) {
            const float alpha = (float)draw(1, 20) / 10, beta = (float)draw(1, 20) / 10;
            enum { STEP = 50021, SIZE = 512 };
            for (uint64_t bits = 0; bits < UINT64_C(1) << 32;) {
                float x[SIZE], y[SIZE];
                for (int j = 0; j < SIZE; j++, bits += STEP) {
                    const uint32_t word = (uint32_t)bits;
                    memcpy(&x[j], &word, sizeof word);
                }
                k->function[which](x, y, SIZE, alpha, beta);
                compare_function(k, which, x, y, SIZE, alpha, beta);
            }
            const float ends[] = {INFINITY, -INFINITY, NAN, 0, -0.0f, FLT_TRUE_MIN, FLT_MAX, -FLT_MAX};
            float y[8];
            k->function[which](ends, y, 8, alpha, beta);
            compare_function(k, which, ends, y, 8, alpha, beta);
            assert_true(!signbit(plain_function(which, -0.0, alpha, beta)) == !signbit(y[4]));
            for (int i = 0; i < 50; i++) {
                const int64_t n = draw_size(k->lanes, 100);
                float *from = guard_floats(g, n), *to = guard_floats(g, n);
                for (int64_t j = 0; j < n; j++) from[j] = (float)(10 * (double)draw_real());
                k->function[which](from, to, n, alpha, beta);
                compare_function(k, which, from, to, n, alpha, beta);
                guard_free(g);
            }
        }
    }
}

static void exponentials_and_largest(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 100; i++) {
            const int64_t n = draw_size(k->lanes, 200);
            float *x = filled(g, n, draw_real), *y = guard_floats(g, n);
            float most = x[0];
            for (int64_t j = 0; j < n; j++) most = x[j] > most ? x[j] : most;
            assert_true(k->largest(x, n) == most);
            double want = 0, sum = k->exponentials(x, most, y, n);
            for (int64_t j = 0; j < n; j++) {
                want += exp((double)x[j] - most);
                assert_true(fabs(y[j] - exp((double)x[j] - most)) <= 4e-7 * y[j]);
            }
            assert_true(fabs(sum - want) <= 4e-7 * want);
            assert_true(k->exponentials(x, most, NULL, n) == sum);
            guard_free(g);
        }
    }
}

/* What is passed over for measuring is there, and nothing else. */
static void sweeps(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        const int64_t row = 128 * draw(1, 3), n = 4 * row * draw(1, 3);
        float *x = guard_bytes(g, n * 4, 64), *z = guard_bytes(g, n * 4, 64), *y = guard_bytes(g, n * 4, 64);
        for (int64_t i = 0; i < n; i++) {
            x[i] = draw_integer();
            z[i] = draw_integer();
        }
        const cp_sweep arrays = {.x = x, .z = z, .y = y, .n = n, .row = row};
        k->sweep[CP_SWEEP_READ](&arrays);
        for (int64_t i = 0; i < n; i++) assert_true(isnan(y[i]));
        k->sweep[CP_SWEEP_COPY](&arrays);
        for (int64_t i = 0; i < n; i++) assert_true(y[i] == x[i]);
        k->sweep[CP_SWEEP_TRIAD](&arrays);
        for (int64_t i = 0; i < n; i++) assert_true(y[i] == x[i] + z[i] / 2);
        k->sweep[CP_SWEEP_STREAM](&arrays);
        for (int64_t i = 0; i < n; i++) assert_true(y[i] == x[i]);
        guard_free(g);
        x = guard_bytes(g, n * 4, 64);
        y = guard_bytes(g, n, 64);
        for (int64_t i = 0; i < n; i++) x[i] = draw_integer();
        k->sweep[CP_SWEEP_ROWS](&(cp_sweep){.x = x, .y = y, .n = n, .row = row});
        for (int64_t i = 0; i < n / 4; i++) {
            const float *column = x + i / row * 4 * row + i % row;
            assert_true(y[i] == column[0] + column[row] + column[2 * row] + column[3 * row]);
        }
        guard_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_and_sums),
        cmocka_unit_test(loops_in_place),
        cmocka_unit_test(column_sums),
        cmocka_unit_test(sums_of_squares),
        cmocka_unit_test(moments),
        cmocka_unit_test(normalised),
        cmocka_unit_test(functions),
        cmocka_unit_test(exponentials_and_largest),
        cmocka_unit_test(sweeps),
    };
    return cmocka_run_group_tests_name("kernels: arrays", tests, find_levels, NULL);
}
