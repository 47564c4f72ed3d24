/* Errors as values: the status codes, and the sentence of each thread's last failure. */
#include "base/base.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 1024, PATH_BYTES = 512, ESCAPED_CHARACTERS = 80 };

#ifdef CP_MINIMAL
static char error_text[TEXT_BYTES]; /* there is one thread */
#else
static _Thread_local char error_text[TEXT_BYTES];
#endif

const char *cp_version(void) {
    return CP_VERSION;
}

const char *cp_error(void) {
    return error_text;
}

const char *cp_status_text(cp_status status) {
    switch (status) {
#define STATUS_CASE(name, value, text)                                                                                 \
    case name:                                                                                                         \
        return text;
        CP_STATUSES(STATUS_CASE)
#undef STATUS_CASE
    }
    return "unknown status";
}

/* The new text is made aside, because the arguments may point into the old one. */
cp_status cp_fail(cp_status status, const char *format, ...) {
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(error_text, text, sizeof text);
    return status;
}

cp_status cp_fail_within(cp_status status, const char *format, ...) {
    char where[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(where, sizeof where, format, arguments);
    va_end(arguments);
    return cp_fail(status, "%s: %s", where, error_text);
}

cp_status cp_check_reserved(const int64_t *words, size_t bytes, const char *whose) {
    for (size_t i = 0; i < bytes / sizeof *words; i++)
        if (words[i]) return cp_fail(CP_E_ARG, "the reserved words of %s must be zero", whose);
    return CP_OK;
}

/* What the system says of an error, in English: strerror would speak the user's language. */
static const char *describe(int number) {
#ifdef __GLIBC__
    const char *text = strerrordesc_np(number);
#else
    const char *text = strerror(number);
#endif
    return text ? text : "unknown error";
}

/* Of a long path only the end is told, so that the reason still fits. */
cp_status cp_fail_errno(const char *path, const char *what, int number) {
    size_t length = strlen(path);
    bool whole = length <= PATH_BYTES;
    return cp_fail(CP_E_IO, "%s%s: %s: %s", whole ? "" : "...", whole ? path : path + length - PATH_BYTES, what,
                   describe(number));
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The locale's decimal point may be any sequence of bytes; it stands between two digits. */
const char *cp_real_text(double value, int digits, char text[32]) {
    if (isnan(value)) return strcpy(text, "nan"); /* printf also shows its sign, which depends on the machine */
    snprintf(text, 32, "%.*g", digits, value);
    char *point = text + (text[0] == '-');
    while (is_digit(*point)) point++;
    char *fraction = point;
    while (*fraction && *fraction != 'e' && !is_digit(*fraction)) fraction++;
    if (point > text && is_digit(point[-1]) && is_digit(*fraction)) {
        *point = '.';
        memmove(point + 1, fraction, strlen(fraction) + 1);
    }
    return text;
}

const char *cp_escape(const char *name, size_t length, char text[400]) {
    size_t shown = length < ESCAPED_CHARACTERS ? length : ESCAPED_CHARACTERS;
    char *end = text;
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c >= ' ' && c <= '~' && c != '\\')
            *end++ = (char)c;
        else
            end += sprintf(end, "\\x%02x", c);
    }
    strcpy(end, shown < length ? "..." : "");
    return text;
}
