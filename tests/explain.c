/* What cp_explain_conv prints, and what it refuses. */
#include "convpool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* --- what was written --- */

typedef struct {
    char text[1 << 20];
    size_t bytes;
} paper;

static paper written;

static void write_paper(void *user, const char *text, size_t bytes) {
    paper *p = user;
    assert_true(bytes > 0 && p->bytes + bytes < sizeof p->text);
    memcpy(p->text + p->bytes, text, bytes);
    p->bytes += bytes;
    p->text[p->bytes] = 0;
}

static void explain(const cp_conv *conv, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b) {
    written.bytes = 0;
    written.text[0] = 0;
    if (cp_explain_conv(conv, x, w, b, write_paper, &written)) fail_msg("%s", cp_error());
}

static int count(const char *part) {
    int found = 0;
    for (const char *at = written.text; (at = strstr(at, part)); at += strlen(part)) found++;
    return found;
}

static void assert_contains(const char *part) {
    if (!strstr(written.text, part)) fail_msg("\"%s\" is not in:\n%s", part, written.text);
}

/* The widest line in columns: bytes that do not continue a character. */
static int widest_line(void) {
    int widest = 0, columns = 0;
    for (const char *at = written.text; *at; at++) {
        if (*at == '\n')
            columns = 0;
        else
            columns += ((unsigned char)*at & 0xC0) != 0x80;
        if (columns > widest) widest = columns;
    }
    return widest;
}

/* --- pictures --- */

static const float picture[25] = {2, 2, 3, 3, 3, 0, 1, 3, 0, 3, 2, 3, 0, 1, 3, 3, 3, 2, 1, 2, 3, 3, 0, 2, 3};
static const float kernel[9] = {2, 0, 1, 1, 0, 0, 0, 1, 1};

static const char all_of_it[] =
    "Convolution: input 5x5x1, 1 filter of 3x3x1, stride 2, padding 1, output 3x3x1\n"
    "\n"
    " input                    kernel        output\n"
    " · · · · · · ·\n"
    " · 2 2 3 3 3 ·\n"
    " · 0 1 3 0 3 ·            2 0 1          1  5  6\n"
    " · 2 3 0 1 3 ·       *    1 0 0    =     7  8  3\n"
    " · 3 3 2 1 2 ·            0 1 1          3 10  4\n"
    " · 3 3 0 2 3 ·\n"
    " · · · · · · ·\n"
    "\n"
    "Each window in brackets, its products, their sum, and its (row,column) in the output; · is padding:\n"
    "\n"
    "[· · ·]· · · ·         · ·[· · ·]· ·         · · · ·[· · ·]\n"
    "[· 2 2]3 3 3 ·         · 2[2 3 3]3 ·         · 2 2 3[3 3 ·]\n"
    "[· 0 1]3 0 3 ·         · 0[1 3 0]3 ·         · 0 1 3[0 3 ·]\n"
    " · 2 3 0 1 3 ·         · 2 3 0 1 3 ·         · 2 3 0 1 3 ·\n"
    " · 3 3 2 1 2 ·         · 3 3 2 1 2 ·         · 3 3 2 1 2 ·\n"
    " · 3 3 0 2 3 ·         · 3 3 0 2 3 ·         · 3 3 0 2 3 ·\n"
    " · · · · · · ·         · · · · · · ·         · · · · · · ·\n"
    "\n"
    "  ·x2 + ·x0 + ·x1       ·x2 + ·x0 + ·x1       ·x2 + ·x0 + ·x1\n"
    "+ ·x1 + 2x0 + 2x0     + 2x1 + 3x0 + 3x0     + 3x1 + 3x0 + ·x0\n"
    "+ ·x0 + 0x1 + 1x1     + 1x0 + 3x1 + 0x1     + 0x0 + 3x1 + ·x1\n"
    "= 1 → (0,0)           = 5 → (0,1)           = 6 → (0,2)\n"
    "\n"
    " · · · · · · ·         · · · · · · ·         · · · · · · ·\n"
    " · 2 2 3 3 3 ·         · 2 2 3 3 3 ·         · 2 2 3 3 3 ·\n"
    "[· 0 1]3 0 3 ·         · 0[1 3 0]3 ·         · 0 1 3[0 3 ·]\n"
    "[· 2 3]0 1 3 ·         · 2[3 0 1]3 ·         · 2 3 0[1 3 ·]\n"
    "[· 3 3]2 1 2 ·         · 3[3 2 1]2 ·         · 3 3 2[1 2 ·]\n"
    " · 3 3 0 2 3 ·         · 3 3 0 2 3 ·         · 3 3 0 2 3 ·\n"
    " · · · · · · ·         · · · · · · ·         · · · · · · ·\n"
    "\n"
    "  ·x2 + 0x0 + 1x1       1x2 + 3x0 + 0x1       0x2 + 3x0 + ·x1\n"
    "+ ·x1 + 2x0 + 3x0     + 3x1 + 0x0 + 1x0     + 1x1 + 3x0 + ·x0\n"
    "+ ·x0 + 3x1 + 3x1     + 3x0 + 2x1 + 1x1     + 1x0 + 2x1 + ·x1\n"
    "= 7 → (1,0)           = 8 → (1,1)           = 3 → (1,2)\n"
    "\n"
    " · · · · · · ·         · · · · · · ·         · · · · · · ·\n"
    " · 2 2 3 3 3 ·         · 2 2 3 3 3 ·         · 2 2 3 3 3 ·\n"
    " · 0 1 3 0 3 ·         · 0 1 3 0 3 ·         · 0 1 3 0 3 ·\n"
    " · 2 3 0 1 3 ·         · 2 3 0 1 3 ·         · 2 3 0 1 3 ·\n"
    "[· 3 3]2 1 2 ·         · 3[3 2 1]2 ·         · 3 3 2[1 2 ·]\n"
    "[· 3 3]0 2 3 ·         · 3[3 0 2]3 ·         · 3 3 0[2 3 ·]\n"
    "[· · ·]· · · ·         · ·[· · ·]· ·         · · · ·[· · ·]\n"
    "\n"
    "  ·x2 + 3x0 + 3x1       3x2 + 2x0 + 1x1       1x2 + 2x0 + ·x1\n"
    "+ ·x1 + 3x0 + 3x0     + 3x1 + 0x0 + 2x0     + 2x1 + 3x0 + ·x0\n"
    "+ ·x0 + ·x1 + ·x1     + ·x0 + ·x1 + ·x1     + ·x0 + ·x1 + ·x1\n"
    "= 3 → (2,0)           = 10 → (2,1)          = 4 → (2,2)\n"
    "\n";

static void a_small_convolution_in_full(void **state) {
    (void)state;
    const cp_tensor x = cp_nhwc(picture, 1, 5, 5, 1), w = cp_hwio(kernel, 3, 3, 1, 1);
    const cp_conv conv = {.stride = {2, 2}, .pad_before = {1, 1}, .pad_after = {1, 1}};
    explain(&conv, &x, &w, NULL);
    assert_string_equal(written.text, all_of_it);
}

static void channels_filters_bias_and_activation(void **state) {
    (void)state;
    const float xs[8] = {1, -1, 2, -2, 3, -3, 4, -4}, ws[4] = {10, 0.5f, 100, 0.25f}, bs[2] = {7, -8};
    const cp_tensor x = cp_nhwc(xs, 1, 2, 2, 2), w = cp_hwio(ws, 1, 1, 2, 2), b = cp_vec(bs, 2);
    explain(&(cp_conv){.activation = CP_RELU}, &x, &w, &b);
    assert_contains("input 2x2x2, 2 filters of 1x1x2, relu, output 2x2x2\n");
    assert_contains("Filter 0\n");
    assert_contains("Filter 1\n");
    assert_contains("+ bias 7");
    assert_contains("+ bias -8");
    assert_contains("= -83, relu 0 → (0,0)");   /* 1*10 - 1*100 + 7 */
    assert_contains("= -7.75, relu 0 → (0,0)"); /* 1*0.5 - 1*0.25 - 8 */
    assert_contains("+ -4x0.25");
    assert_int_equal(count(" → ("), 8);
    /* With groups a filter sees its own channel alone. */
    const cp_tensor grouped = cp_hwio(ws, 1, 1, 1, 2);
    explain(&(cp_conv){.groups = 2}, &x, &grouped, NULL);
    assert_contains("groups 2");
    assert_contains("= 40 → (1,1)");
    assert_contains("= -2 → (1,1)");
    assert_int_equal(count("channel 0"), 5); /* once in the overview, once for each window */
    assert_int_equal(count("channel 1"), 5);
}

static void dilated_windows_have_a_bracket_for_each_tap(void **state) {
    (void)state;
    const cp_tensor x = cp_nhwc(picture, 1, 5, 5, 1), w = cp_hwio(kernel, 2, 2, 1, 1);
    explain(&(cp_conv){.dilation = {1, 2}, .stride = {4, 1}}, &x, &w, NULL);
    assert_contains("stride 4x1, dilation 1x2, output 1x3x1");
    assert_contains("[2]2[3]3 3 ");
    assert_contains(" 2 2[3]3[3]");
    assert_contains("  2x2 + 3x0");
}

static void padding_of_its_own_on_each_side(void **state) {
    (void)state;
    const cp_tensor x = cp_nhwc(picture, 1, 5, 5, 1), w = cp_hwio(kernel, 2, 2, 1, 1);
    explain(&(cp_conv){.pad = CP_PAD_SAME, .stride = {2, 2}}, &x, &w, NULL);
    assert_contains("stride 2, padding after 1, output 3x3x1");
}

/* The same numbers, whatever their order in memory. */
static void strides_are_followed(void **state) {
    (void)state;
    float transposed[25];
    for (int i = 0; i < 25; i++) transposed[i] = picture[i % 5 * 5 + i / 5];
    cp_tensor x = cp_nhwc(transposed, 1, 5, 5, 1);
    const cp_tensor w = cp_hwio(kernel, 3, 3, 1, 1);
    x.stride[1] = 1;
    x.stride[2] = 5;
    explain(&(cp_conv){.stride = {2, 2}, .pad_before = {1, 1}, .pad_after = {1, 1}}, &x, &w, NULL);
    assert_string_equal(written.text, all_of_it);
}

static void pages_fit_the_terminal(void **state) {
    (void)state;
    float xs[1600], ws[9];
    for (int i = 0; i < 1600; i++) xs[i] = (float)(i - 800) / 7;
    for (int i = 0; i < 9; i++) ws[i] = (float)(i - 4) / 3;
    const cp_tensor w = cp_hwio(ws, 3, 3, 1, 1);
    for (int64_t n = 3; n <= 12; n++) {
        const cp_tensor x = cp_nhwc(xs, 1, n, n, 1);
        explain(&(cp_conv){.pad = CP_PAD_SAME, .stride = {2, 2}}, &x, &w, NULL);
        assert_int_equal(count(" → ("), (n + 1) / 2 * ((n + 1) / 2));
        assert_in_range(widest_line(), 40, 100);
    }
    /* Where input, kernel and output do not fit side by side, the input is seen in the windows. */
    const float zeros[30] = {0};
    const cp_tensor wide = cp_nhwc(zeros, 1, 1, 30, 1), tap = cp_hwio(ws, 1, 1, 1, 1);
    explain(&(cp_conv){0}, &wide, &tap, NULL);
    assert_contains("input (see below)");
    assert_in_range(widest_line(), 61, 100);
    /* An input that does not fit is left out; its windows are told. */
    const cp_tensor large = cp_nhwc(xs, 1, 40, 40, 1);
    explain(&(cp_conv){.stride = {5, 5}}, &large, &w, NULL);
    assert_contains("input (too large)");
    assert_int_equal(count(" → ("), 64);
    assert_contains("-114.3x-1.333");
    /* However much padding there is: nothing is drawn of it, nothing overflows. */
    const cp_tensor one = cp_nhwc(xs, 1, 3, 3, 1);
    const int64_t far = (int64_t)1 << 60;
    explain(&(cp_conv){.stride = {far, far}, .pad_before = {far, far}}, &one, &w, NULL);
    assert_int_equal(count(" → ("), 4);
    assert_int_equal(count("·x"), 3 * 9);
}

static void check_refused(cp_status got, cp_status expected, const char *text) {
    if (got != expected || !strstr(cp_error(), text)) fail_msg("status %d, \"%s\"", (int)got, cp_error());
    assert_int_equal(written.bytes, 0);
}

static void what_is_refused(void **state) {
    (void)state;
    float *zeros = calloc(1 << 18, sizeof *zeros);
    const cp_tensor x = cp_nhwc(zeros, 1, 5, 5, 1), w = cp_hwio(zeros, 3, 3, 1, 1), two = cp_nhwc(zeros, 2, 5, 5, 1);
    const cp_tensor large = cp_nhwc(zeros, 1, 20, 20, 1), vec = cp_vec(zeros, 5), b = cp_vec(zeros, 2);
    const cp_tensor deep = cp_nhwc(zeros, 1, 4, 4, 8192), deep_w = cp_hwio(zeros, 3, 3, 8192, 1);
    written.bytes = 0;
    check_refused(cp_explain_conv(NULL, &large, &w, NULL, write_paper, &written), CP_E_LIMIT,
                  "324 windows for each of 1 filters: at most 256 windows");
    check_refused(cp_explain_conv(NULL, &deep, &deep_w, NULL, write_paper, &written), CP_E_LIMIT,
                  "4 windows of 9 taps in 8192 channels: at most 16384 products");
    check_refused(cp_explain_conv(NULL, &two, &w, NULL, write_paper, &written), CP_E_UNSUPPORTED, "2x5x5x1");
    check_refused(cp_explain_conv(NULL, &vec, &w, NULL, write_paper, &written), CP_E_UNSUPPORTED, "1xHxWxC");
    check_refused(cp_explain_conv(NULL, &x, &w, &b, write_paper, &written), CP_E_SHAPE, "bias has 2 values, needs 1");
    check_refused(cp_explain_conv(NULL, &x, &w, &w, write_paper, &written), CP_E_SHAPE, "bias must have 1 dimension");
    check_refused(cp_explain_conv(&(cp_conv){.stride = {0, 1}}, &x, &w, NULL, write_paper, &written), CP_E_ARG,
                  "stride[0] = 0: must be at least 1");
    check_refused(cp_explain_conv(NULL, &x, &w, NULL, NULL, NULL), CP_E_ARG, "write is NULL");
    check_refused(cp_explain_conv(NULL, NULL, &w, NULL, write_paper, &written), CP_E_ARG, "input is NULL");
    check_refused(cp_explain_conv(NULL, &x, NULL, NULL, write_paper, &written), CP_E_ARG, "weights is NULL");
    free(zeros);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_convolution_in_full),
        cmocka_unit_test(channels_filters_bias_and_activation),
        cmocka_unit_test(dilated_windows_have_a_bracket_for_each_tap),
        cmocka_unit_test(padding_of_its_own_on_each_side),
        cmocka_unit_test(strides_are_followed),
        cmocka_unit_test(pages_fit_the_terminal),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
