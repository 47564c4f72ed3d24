/* Calls that must succeed, and calls that must fail in one way. */
#ifndef TEST_STATUS_H
#define TEST_STATUS_H

#include <convpool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ok(call)                                                                                                       \
    do {                                                                                                               \
        const cp_status got_status = (call);                                                                           \
        if (got_status) fail_msg("%s: %d: %s", #call, (int)got_status, cp_error());                                    \
    } while (0)

/* The call fails with this status, and a sentence that holds this text. */
#define refused(call, expected, text) check_refusal(#call, call, expected, text)
static inline void check_refusal(const char *what, cp_status got, cp_status expected, const char *text) {
    if (got != expected) fail_msg("%s: status %d, expected %d (%s)", what, (int)got, (int)expected, cp_error());
    if (!strstr(cp_error(), text)) fail_msg("%s: \"%s\" has no \"%s\"", what, cp_error(), text);
}

#endif
