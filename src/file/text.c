/* Text that grows, and JSON written into it. */
#include "file/file.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for that many characters and the NUL. */
static bool reserve(cp_text *text, int64_t characters) {
    if (text->failed) return false;
    const int64_t needed = text->length + characters + 1;
    if (needed <= text->capacity) return true;
    const int64_t capacity = needed < 64 ? 64 : 2 * needed;
    char *data = cp_alloc(NULL, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    if (text->data) memcpy(data, text->data, (size_t)text->length);
    data[text->length] = 0;
    cp_free(NULL, text->data);
    text->data = data;
    text->capacity = capacity;
    return true;
}

void cp_text_add(cp_text *text, const char *format, ...) {
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    const int length = vsnprintf(NULL, 0, format, list);
    if (length < 0) text->failed = true;
    if (reserve(text, length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += length;
    }
    va_end(again);
    va_end(list);
}

void cp_text_add_json(cp_text *text, const char *string) {
    static const char hex[] = "0123456789abcdef";
    /* The longest escape of a byte has six characters. */
    if (!reserve(text, 6 * (int64_t)strlen(string) + 2)) return;
    char *to = text->data + text->length;
    *to++ = '"';
    for (; *string; string++) {
        const unsigned char c = (unsigned char)*string;
        if (c == '"' || c == '\\') {
            *to++ = '\\';
            *to++ = (char)c;
        } else if (c < 0x20) {
            memcpy(to, "\\u00", 4);
            to[4] = hex[c >> 4];
            to[5] = hex[c & 15];
            to += 6;
        } else {
            *to++ = (char)c;
        }
    }
    *to++ = '"';
    *to = 0;
    text->length = to - text->data;
}

void cp_text_add_real(cp_text *text, double value) {
    char digits[32];
    if (isnan(value))
        cp_text_add(text, "\"NaN\"");
    else if (isinf(value))
        cp_text_add(text, value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    else
        cp_text_add(text, "%s", cp_real_text(value, 17, digits));
}

char *cp_text_take(cp_text *text) {
    char *data = NULL;
    if (reserve(text, 0))
        data = text->data;
    else {
        cp_free(NULL, text->data);
        (void)cp_fail(CP_E_MEMORY, "no memory for a text of %lld bytes", (long long)text->length);
    }
    *text = (cp_text){0};
    return data;
}
