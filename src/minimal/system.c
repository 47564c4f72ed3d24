/* In place of base/system.c where there is no operating system: no time, no settings, nobody to tell. */
#include "base/base.h"

#include <string.h>

double cp_now(void) {
    return 0;
}

const char *cp_setting(const char *name) {
    (void)name;
    return NULL;
}

void cp_tell(const char *format, ...) {
    (void)format;
}

const char *cp_machine(char name[65]) {
    return strcpy(name, "unknown");
}
