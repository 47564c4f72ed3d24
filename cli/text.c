/* Numbers and names as text and as JSON. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *grouped(int64_t number, char text[GROUPED_TEXT]) {
    char digits[GROUPED_TEXT];
    const int length = snprintf(digits, sizeof digits, "%lld", (long long)number);
    const int sign = number < 0;
    char *to = text;
    for (int i = 0; i < length; i++) {
        if (i > sign && (length - i) % 3 == 0) *to++ = ',';
        *to++ = digits[i];
    }
    *to = 0;
    return text;
}

const char *byte_text(int64_t bytes, char text[BYTES_TEXT]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    int unit = 0;
    while (value >= 1024 && unit < 6) {
        value /= 1024;
        unit++;
    }
    snprintf(text, BYTES_TEXT, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

const char *plain(const char *text, char copy[PLAIN_TEXT]) {
    int i = 0;
    for (; text[i] && i < 80; i++) {
        const unsigned char c = (unsigned char)text[i];
        copy[i] = c < ' ' || c == 0x7f ? '?' : text[i];
    }
    strcpy(copy + i, text[i] ? "..." : "");
    return copy;
}

json_t *json_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_plain(const char *text) {
    json_t *value = json_string(text);
    if (value) return value;
    char *copy = allocate(strlen(text) + 1, 1);
    for (size_t i = 0; text[i]; i++) copy[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    value = json_string(copy);
    free(copy);
    return value;
}

json_t *json_shape(const int64_t *dim, int n) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_integer(dim[i]));
    return list;
}

void print_json(json_t *value, FILE *file) {
    json_dumpf(value, file, JSON_REAL_PRECISION(9) | JSON_ENSURE_ASCII);
    fputc('\n', file);
    json_decref(value);
}
