/* How much a test does: a little under the label `quick`, much under `full`, where ctest sets the variable. */
#ifndef TEST_FULL_H
#define TEST_FULL_H

#include <stdlib.h>

static inline int quick_or_full(int quick, int full) {
    return getenv("CONVPOOL_TEST_FULL") ? full : quick;
}

#endif
