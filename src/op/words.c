/* Attributes as the words that describe them in texts and files. */
#include "op/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const cp_pad_words[] = {"explicit", "valid", "same", "same_lower", "causal", "full", NULL};
const char *const cp_activation_words[] = {
#define WORD(name, identifier, word, ...) word,
    CP_ACTIVATIONS(WORD)
#undef WORD
        NULL};
const char *const cp_pad_value_words[] = {"constant", "reflect", "replicate", "circular", NULL};
const char *const cp_interpolation_words[] = {"nearest", "linear", "cubic", NULL};
const char *const cp_coordinate_words[] = {
    "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric", "crop", NULL};
const char *const cp_rounding_words[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
const char *const cp_depth_order_words[] = {"dcr", "crd", NULL};
const char *const cp_divisor_words[] = {"valid", "padded", "kernel", "number", NULL};
const char *const cp_fractional_words[] = {"none", "pytorch", "tensorflow", NULL};
const cp_field cp_no_fields[] = {{0}};

void cp_words_add(char *text, size_t size, const char *format, ...) {
    size_t length = strlen(text);
    if (length && length + 1 < size) {
        text[length++] = ' ';
        text[length] = 0;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, size - length, format, arguments);
    va_end(arguments);
}

void cp_words_real(char *text, size_t size, float number) {
    char digits[32];
    int n = 1;
    while (n < 9 && (snprintf(digits, sizeof digits, "%.*g", n, (double)number), strtof(digits, NULL) != number)) n++;
    cp_words_add(text, size, "%s", cp_real_text((double)number, n, digits));
}

/* An axis array that is all zero means the default, as does one that spells it out. */
static bool is_default(const int64_t *values, const int64_t *usual, int axes) {
    bool zero = true, same = true;
    for (int d = 0; d < axes; d++) {
        zero &= values[d] == 0;
        same &= values[d] == usual[d];
    }
    return zero || same;
}

/* "2", where it says the same of each axis (and may), or "2x1". */
static void add_values(char *text, size_t size, const char *word, const int64_t *values, int axes, bool whole) {
    bool equal = !whole;
    for (int d = 1; d < axes; d++) equal &= values[d] == values[0];
    char list[CP_SHAPE_TEXT];
    cp_words_add(text, size, "%s%s", word, cp_shape_text(cp_shape_of(equal ? 1 : axes, values), list));
}

/* "pad 1", or all begins and then all ends: "pad 1,1,2,2". */
static void add_explicit_padding(const cp_window_words *window, int axes, char *text, size_t size) {
    bool equal = true;
    for (int d = 0; d < axes; d++)
        equal &= window->before[d] == window->before[0] && window->after[d] == window->before[0];
    if (equal && window->before[0] == 0) return;
    cp_words_add(text, size, "pad %lld", (long long)window->before[0]);
    for (int i = 1; i < 2 * axes && !equal; i++) {
        const size_t length = strlen(text);
        snprintf(text + length, size - length, ",%lld",
                 (long long)(i < axes ? window->before[i] : window->after[i - axes]));
    }
}

void cp_words_axes(char *text, size_t size, const char *name, const int64_t *values, int axes) {
    static const int64_t zeros[CP_MAX_AXES];
    if (!is_default(values, zeros, axes)) add_values(text, size, name, values, axes, false);
}

void cp_words_window(const cp_window_words *window, char *text, size_t size) {
    static const int64_t ones[CP_MAX_AXES] = {1, 1, 1};
    int axes = 0;
    while (axes < CP_MAX_AXES && window->kernel[axes]) axes++;
    if (axes == 0) return;

    add_values(text, size, "", window->kernel, axes, true);
    if (window->pad == CP_PAD_EXPLICIT)
        add_explicit_padding(window, axes, text, size);
    else
        cp_words_add(text, size, "%s", cp_pad_words[window->pad]);
    const int64_t *usual = window->default_stride ? window->default_stride : ones;
    if (!is_default(window->stride, usual, axes)) add_values(text, size, "stride ", window->stride, axes, false);
    if (!is_default(window->dilation, ones, axes)) add_values(text, size, "dilation ", window->dilation, axes, false);
}
