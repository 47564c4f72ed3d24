/* Memory: aligned, checked, by the caller's allocator or the C library's. */
#include "base/base.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__) && !defined(CP_MINIMAL)
#include <sys/mman.h>
#endif

/* Large memory begins at a huge page and asks for such pages: fewer faults at first touch, fewer misses of address
 * translation afterwards. */
static void *alloc_large(size_t size) {
    enum { HUGE_PAGE = 2 << 20 };
    void *memory = aligned_alloc(HUGE_PAGE, (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (memory) madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
}

static void *alloc_default(size_t size) {
    enum { LARGE = 8 << 20 };
    return size >= LARGE && size <= PTRDIFF_MAX / 2 ? alloc_large(size) : aligned_alloc(CP_ALIGN, size);
}

void *cp_alloc(const cp_allocator *allocator, int64_t bytes) {
    void *memory = NULL;
    if (bytes >= 0 && bytes <= PTRDIFF_MAX - CP_ALIGN) {
        size_t size = (size_t)cp_round_up(bytes ? bytes : 1, CP_ALIGN);
        memory = allocator ? allocator->alloc(allocator->user, size, CP_ALIGN) : alloc_default(size);
    }
    if (!memory) cp_fail(CP_E_MEMORY, "no memory for %" PRId64 " bytes", bytes);
    return memory;
}

void *cp_zalloc(const cp_allocator *allocator, int64_t bytes) {
    void *memory = cp_alloc(allocator, bytes);
    if (memory) memset(memory, 0, (size_t)bytes);
    return memory;
}

void cp_free(const cp_allocator *allocator, void *memory) {
    if (!memory) return;
    if (allocator)
        allocator->free(allocator->user, memory);
    else
        free(memory);
}

char *cp_copy_text(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = cp_alloc(NULL, (int64_t)size);
    return copy ? memcpy(copy, text, size) : NULL;
}

cp_status cp_grow(void *array, int64_t *capacity, int64_t count, size_t size) {
    if (count < *capacity) return CP_OK;
    int64_t more, bytes;
    if (!cp_mul(*capacity, 2, &more) || !cp_mul(more ? more : 8, (int64_t)size, &bytes))
        return cp_fail(CP_E_MEMORY, "no memory for more than %" PRId64 " elements", count);
    void *old, *new = cp_alloc(NULL, bytes);
    if (!new) return CP_E_MEMORY;
    memcpy(&old, array, sizeof old); /* array points to a pointer of any type */
    if (*capacity) memcpy(new, old, (size_t)*capacity * size);
    cp_free(NULL, old);
    memcpy(array, &new, sizeof new);
    *capacity = more ? more : 8;
    return CP_OK;
}
