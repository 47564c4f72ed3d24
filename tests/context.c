/* Contexts: what the options may say, and what the context answers. */
#include "plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_default(void **state) {
    (void)state;
    cp_ctx *ctx;
    assert_int_equal(cp_ctx_new(&ctx, NULL), CP_OK);
    assert_int_equal(cp_ctx_threads(ctx), 1);
    assert_string_equal(cp_ctx_isa(ctx), cp_isa_available(0));
    assert_null(cp_ctx_allocator(ctx));
    cp_ctx_free(ctx);
    cp_ctx_free(NULL);
    assert_int_equal(cp_ctx_threads(NULL), 1);
    assert_string_equal(cp_ctx_isa(NULL), cp_isa_available(0));
}

static void test_every_level_that_the_cpu_has(void **state) {
    (void)state;
    for (int level = CP_ISA_PORTABLE; level <= CP_ISA_AVX512BF16; level++) {
        cp_ctx *ctx;
        const cp_status status = cp_ctx_new(&ctx, &(cp_options){.isa = (cp_isa)level});
        if (cp_cpu_can((cp_isa)level)) {
            assert_int_equal(status, CP_OK);
            assert_string_equal(cp_ctx_isa(ctx), cp_isa_name((cp_isa)level));
            cp_ctx_free(ctx);
        } else {
            assert_int_equal(status, CP_E_UNSUPPORTED);
            assert_null(ctx);
        }
    }
}

static void test_environment_chooses_the_level(void **state) {
    (void)state;
    cp_ctx *ctx;
    setenv("CONVPOOL_ISA", "portable", 1);
    assert_int_equal(cp_ctx_new(&ctx, NULL), CP_OK);
    assert_string_equal(cp_ctx_isa(ctx), "portable");
    assert_string_equal(cp_ctx_isa(NULL), "portable");
    cp_ctx_free(ctx);
    setenv("CONVPOOL_ISA", "mmx", 1);
    assert_int_equal(cp_ctx_new(&ctx, NULL), CP_E_ARG);
    assert_null(ctx);
    assert_int_equal(cp_ctx_new(&ctx, &(cp_options){.isa = CP_ISA_PORTABLE}), CP_OK);
    cp_ctx_free(ctx);
    unsetenv("CONVPOOL_ISA");
}

static void test_threads(void **state) {
    (void)state;
    cp_ctx *ctx;
    assert_int_equal(cp_ctx_new(&ctx, &(cp_options){.threads = 3}), CP_OK);
    assert_int_equal(cp_ctx_threads(ctx), 3);
    cp_ctx_free(ctx);
}

static void *alloc(void *user, size_t bytes, size_t alignment) {
    (void)user;
    return aligned_alloc(alignment, bytes);
}

static void release(void *user, void *memory) {
    (void)user;
    free(memory);
}

static void test_allocator_is_copied(void **state) {
    (void)state;
    cp_ctx *ctx;
    int user;
    cp_allocator allocator = {alloc, release, &user};
    assert_int_equal(cp_ctx_new(&ctx, &(cp_options){.allocator = &allocator}), CP_OK);
    memset(&allocator, 0, sizeof allocator);
    assert_ptr_equal(cp_ctx_allocator(ctx)->user, &user);
    assert_true(cp_ctx_allocator(ctx)->alloc == alloc);
    cp_ctx_free(ctx);
}

static void test_impossible_options_are_refused(void **state) {
    (void)state;
    static const cp_allocator half = {.alloc = alloc};
    static const struct {
        cp_options options;
        const char *text;
    } cases[] = {
        {{.threads = -1}, "threads = -1: must be 1 to 1024"},
        {{.threads = 1000000000}, "threads = 1000000000: must be 1 to 1024"},
        {{.isa = (cp_isa)9}, "isa = 9: no such instruction set"},
        {{.math = (cp_math)7}, "math = 7: no such mode"},
        {{.max_memory = -5}, "max_memory = -5: must not be negative"},
        {{.allocator = &half}, "allocator: alloc and free must both be set"},
        {{.reserved = {0, 1}}, "the reserved words of the options must be zero"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_ctx *ctx;
        assert_int_equal(cp_ctx_new(&ctx, &cases[i].options), CP_E_ARG);
        assert_null(ctx);
        assert_string_equal(cp_error(), cases[i].text);
    }
    assert_int_equal(cp_ctx_new(NULL, NULL), CP_E_ARG);
}

static void test_limits_are_measured(void **state) {
    (void)state;
    double rate;
    for (int threads = 1; threads <= 3; threads += 2) {
        cp_ctx *ctx;
        assert_int_equal(cp_ctx_new(&ctx, &(cp_options){.threads = threads}), CP_OK);
        for (int what = CP_MEASURE_F32; what <= CP_MEASURE_ROWS; what++) {
            for (int64_t bytes = 0; bytes < 2 << 20; bytes = 2 * bytes + 100000) {
                const cp_status status = cp_measure_rate(&rate, ctx, (cp_measure)what, bytes, 0);
                if (status == CP_E_UNSUPPORTED && (what == CP_MEASURE_TILE_BF16 || what == CP_MEASURE_TILE_INT8))
                    continue;
                assert_int_equal(status, CP_OK);
                assert_true(rate > 1e6 && rate < 1e15);
            }
        }
        cp_ctx_free(ctx);
    }
    assert_int_equal(cp_measure_rate(&rate, NULL, CP_MEASURE_COPY, 1000, 0), CP_OK);
    cp_ctx *portable;
    assert_int_equal(cp_ctx_new(&portable, &(cp_options){.isa = CP_ISA_PORTABLE}), CP_OK);
    assert_int_equal(cp_measure_rate(&rate, portable, CP_MEASURE_TILE_BF16, 0, 0), CP_E_UNSUPPORTED);
    assert_string_equal(cp_error(), "portable has no instructions for such products");
    cp_ctx_free(portable);
    assert_int_equal(cp_measure_rate(NULL, NULL, CP_MEASURE_COPY, 1000, 0), CP_E_ARG);
    assert_int_equal(cp_measure_rate(&rate, NULL, (cp_measure)99, 1000, 0), CP_E_ARG);
    assert_string_equal(cp_error(), "what = 99: no such measure");
    assert_int_equal(cp_measure_rate(&rate, NULL, CP_MEASURE_COPY, -1, 0), CP_E_ARG);
    assert_string_equal(cp_error(), "bytes = -1: must be 0 to 1099511627776");
    assert_int_equal(cp_measure_rate(&rate, NULL, CP_MEASURE_COPY, 1000, -1), CP_E_ARG);
    assert_true(rate == 0);
}

int main(void) {
    unsetenv("CONVPOOL_ISA"); /* the tests set it themselves */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_every_level_that_the_cpu_has),
        cmocka_unit_test(test_environment_chooses_the_level),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_allocator_is_copied),
        cmocka_unit_test(test_impossible_options_are_refused),
        cmocka_unit_test(test_limits_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
