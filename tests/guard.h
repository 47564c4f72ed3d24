/* Memory whose neighbours must not be touched: each buffer ends exactly where a page without access begins, or begins
 * exactly behind one. Everything in it is NaN until somebody writes to it. */
#ifndef TEST_GUARD_H
#define TEST_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_MOST 64

/* A set of such buffers, freed together. */
typedef struct guard {
    bool at_end; /* the page without access is behind the buffers, else before them */
    int count;
    struct {
        void *pages;
        size_t bytes;
    } area[GUARD_MOST];
} guard;

/* alignment: of the buffer's beginning (and its size, where the guard is behind it). Aborts the test without memory. */
static inline void *guard_bytes(guard *g, int64_t bytes, int64_t alignment) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = ((size_t)bytes + (size_t)alignment - 1) / (size_t)alignment * (size_t)alignment;
    size_t inside = (size + page - 1) / page * page;
    char *pages = mmap(NULL, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || g->count == GUARD_MOST) abort();
    char *begin = pages + page;
    if (inside && mprotect(begin, inside, PROT_READ | PROT_WRITE)) abort();
    memset(begin, 0xff, inside);
    g->area[g->count].pages = pages;
    g->area[g->count++].bytes = inside + 2 * page;
    return g->at_end ? begin + inside - size : begin;
}

static inline float *guard_floats(guard *g, int64_t n) {
    return guard_bytes(g, n * 4, 4);
}

static inline void guard_free(guard *g) {
    for (int i = 0; i < g->count; i++) munmap(g->area[i].pages, g->area[i].bytes);
    g->count = 0;
}

#endif
