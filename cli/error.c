/* Error lines, exit status, memory. */
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>

/* One line whatever is in the names that it quotes: no byte of it moves the cursor. */
static void print_line(const char *begin, const char *format, va_list list) {
    char text[2048];
    vsnprintf(text, sizeof text, format, list);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
    fflush(stdout);
    fprintf(stderr, "convpool: %s%s\n", begin, text);
}

int fail(int status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    print_line("error: ", format, list);
    va_end(list);
    return status;
}

int exit_status(cp_status status) {
    switch (status) {
    case CP_OK:
        return STATUS_OK;
    case CP_E_LIMIT:
    case CP_E_MEMORY:
        return STATUS_LIMIT;
    case CP_E_IO:
        return STATUS_IO;
    default:
        return STATUS_INPUT;
    }
}

int fail_library(cp_status status) {
    const char *text = cp_error();
    return fail(exit_status(status), "%s", *text ? text : cp_status_text(status));
}

void notice(const char *format, ...) {
    va_list list;
    va_start(list, format);
    print_line("", format, list);
    va_end(list);
}

void *allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) exit(fail(STATUS_LIMIT, "no memory for %zu x %zu bytes", count, size));
    return memory;
}
