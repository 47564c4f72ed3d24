/* Causal convolution chunk by chunk: the same bits as in one piece, for every algorithm and level. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/base.h"

static uint32_t state_of_numbers = 7;

static int64_t draw(int64_t first, int64_t last) {
    state_of_numbers = state_of_numbers * 1664525u + 1013904223u;
    return first + (int64_t)(state_of_numbers >> 8) % (last - first + 1);
}

static float *numbers(int64_t n) {
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)draw(-1000, 1000) / 512;
    return x;
}

static cp_tensor view(float *x, int64_t a, int64_t b, int64_t c) {
    return cp_view(x, CP_F32, (cp_shape){3, {a, b, c}});
}

/* Steps [first, first + count) of all signals. */
static cp_tensor steps(cp_tensor all, int64_t first, int64_t count) {
    all.data = (float *)all.data + first * all.stride[1];
    all.shape.dim[1] = count;
    return all;
}

static void compare(cp_ctx *ctx, int64_t batch, int64_t length, int64_t groups, int64_t per_group, int64_t filters) {
    const int64_t kernel = draw(1, 5), channels = groups * per_group, chunk = draw(1, 9);
    const cp_conv conv = {.pad = CP_PAD_CAUSAL, .dilation = {draw(1, 4)}, .groups = groups, .activation = CP_RELU};
    float *x = numbers(batch * length * channels), *w = numbers(kernel * per_group * filters), *b = numbers(filters);
    float *once = numbers(batch * length * filters), *pieces = numbers(batch * length * filters);
    const cp_tensor tx = view(x, batch, length, channels), tw = view(w, kernel, per_group, filters),
                    tb = cp_vec(b, filters);
    const cp_tensor ty = view(once, batch, length, filters), tz = view(pieces, batch, length, filters);
    assert_int_equal(cp_conv_run(ctx, &conv, &tx, &tw, &tb, &ty), CP_OK);
    cp_stream *stream;
    assert_int_equal(cp_stream_new(&stream, ctx, &conv, &tw, &tb, batch, chunk), CP_OK);
    for (int again = 0; again < 2; again++) {
        memset(pieces, 0xff, (size_t)(batch * length * filters) * sizeof *pieces);
        for (int64_t at = 0, count; at < length; at += count) {
            count = draw(0, chunk) < length - at ? draw(0, chunk) : length - at;
            if (count > length - at) count = length - at;
            const cp_tensor in = steps(tx, at, count), out = steps(tz, at, count);
            assert_int_equal(cp_stream_run(stream, &in, &out), CP_OK);
        }
        assert_memory_equal(once, pieces, (size_t)(batch * length * filters) * sizeof *once);
        cp_stream_reset(stream);
    }
    cp_stream_free(stream);
    free(x), free(w), free(b), free(once), free(pieces);
}

static void test_chunks_give_the_bits_of_one_piece(void **state) {
    (void)state;
    for (cp_isa isa = CP_ISA_PORTABLE; isa <= CP_ISA_AVX512BF16; isa++) {
        if (!cp_cpu_can(isa)) continue;
        cp_ctx *ctx;
        assert_int_equal(cp_ctx_new(&ctx, &(cp_options){.isa = isa, .threads = 2}), CP_OK);
        for (int i = 0; i < 40; i++) {
            compare(ctx, draw(1, 2), draw(1, 40), 1, draw(1, 20), draw(1, 70)); /* direct */
            compare(ctx, 1, draw(1, 40), 17, 1, 17);                            /* depthwise */
            compare(ctx, 1, draw(1, 40), 8, 4, 32);                             /* grouped */
        }
        cp_ctx_free(ctx);
    }
}

static void test_what_cannot_be_streamed(void **state) {
    (void)state;
    float w[12] = {0}, x[8] = {0}, y[12];
    const cp_tensor tw = view(w, 3, 2, 2), tx = view(x, 1, 4, 2), ty = view(y, 1, 4, 2), wide = view(y, 1, 4, 3);
    cp_stream *stream = (cp_stream *)w;
    assert_int_equal(cp_stream_new(&stream, NULL, &(cp_conv){.pad = CP_PAD_SAME}, &tw, NULL, 1, 4), CP_E_ARG);
    assert_null(stream);
    assert_int_equal(cp_stream_new(&stream, NULL, &(cp_conv){.pad = CP_PAD_CAUSAL, .stride = {2}}, &tw, NULL, 1, 4),
                     CP_E_UNSUPPORTED);
    assert_int_equal(cp_stream_new(&stream, NULL, &(cp_conv){.pad = CP_PAD_CAUSAL}, &tw, NULL, 1, 0), CP_E_ARG);
    assert_int_equal(cp_stream_new(&stream, NULL, &(cp_conv){.pad = CP_PAD_CAUSAL}, &tw, NULL, 1, 3), CP_OK);
    assert_int_equal(cp_stream_run(stream, &tx, &ty), CP_E_SHAPE);
    assert_non_null(strstr(cp_error(), "x is 1x4x2, needs 1xTx2 with T up to 3"));
    const cp_tensor three = steps(tx, 0, 3), out = steps(wide, 0, 3);
    assert_int_equal(cp_stream_run(stream, &three, &out), CP_E_SHAPE);
    cp_stream_free(stream);
    cp_stream_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chunks_give_the_bits_of_one_piece),
                                       cmocka_unit_test(test_what_cannot_be_streamed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
