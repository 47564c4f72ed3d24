/* In place of base/thread.c where there are no threads: the caller does all shares, one after the other, with the same
 * result. */
#include "base/base.h"

struct cp_pool_threads {
    int threads;
};

cp_status cp_threads_new(cp_threads **pool, int threads) {
    *pool = NULL;
    if (threads < 1 || threads > CP_MOST_THREADS)
        return cp_fail(CP_E_ARG, "threads = %d: must be 1 to %d", threads, CP_MOST_THREADS);
    cp_threads *new = cp_alloc(NULL, sizeof *new);
    if (!new) return CP_E_MEMORY;
    new->threads = threads;
    *pool = new;
    return CP_OK;
}

void cp_threads_free(cp_threads *pool) {
    cp_free(NULL, pool);
}

int cp_threads_count(const cp_threads *pool) {
    return pool ? pool->threads : 1;
}

void cp_threads_run(cp_threads *pool, cp_job job, void *argument) {
    const int n = cp_threads_count(pool);
    for (int id = 0; id < n; id++) job(argument, id, n);
}

void cp_threads_enter(cp_threads *pool) {
    (void)pool;
}

void cp_threads_leave(cp_threads *pool) {
    (void)pool;
}
