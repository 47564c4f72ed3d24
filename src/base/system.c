/* What an operating system gives: the time, settings, a place for messages, the machine's name. */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>

double cp_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

const char *cp_setting(const char *name) {
    return getenv(name);
}

void cp_tell(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

const char *cp_machine(char name[65]) {
    struct utsname system;
    snprintf(name, 65, "%s", uname(&system) == 0 ? system.machine : "unknown");
    return name;
}
