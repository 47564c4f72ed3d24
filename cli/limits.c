/* What the machine gives at most, and which of it binds an operation: its multiply-adds, or the memory that its data
 * lie in. */
#include "cli.h"

#include <stdlib.h>
#include <unistd.h>

/* Of one thread, in the order of the levels; what the system does not know is taken to be as usual. */
static int64_t cache_bytes(memory_level level) {
    static const struct {
        int name;
        int64_t usual;
    } caches[] = {
        {_SC_LEVEL1_DCACHE_SIZE, 32 << 10}, {_SC_LEVEL2_CACHE_SIZE, 1 << 20}, {_SC_LEVEL3_CACHE_SIZE, 32 << 20}};
    const int64_t bytes = sysconf(caches[level].name);
    return bytes > 0 ? bytes : caches[level].usual;
}

const char *level_name(memory_level level) {
    static const char *const names[] = {"L1", "L2", "L3", "DRAM"};
    return names[level];
}

/* Well inside the level and well outside the one above. L3 may be shared with others, and larger than what they leave:
 * then a few times L2. */
int64_t level_footprint(memory_level level, int threads) {
    if (level == MEMORY_DRAM) {
        const int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
        const int64_t wanted = 2 * cache_bytes(MEMORY_L3), most = memory / 8;
        return (wanted < most ? wanted : most) / threads;
    }
    const int64_t half = cache_bytes(level) / (level == MEMORY_L3 ? 2 * threads : 2);
    const int64_t enough = 16 * cache_bytes(MEMORY_L2) / threads;
    return level == MEMORY_L3 && half > enough ? enough : half;
}

double measure_limit(cp_ctx *ctx, cp_measure what, int64_t bytes, double seconds) {
    double rate;
    const cp_status status = cp_measure_rate(&rate, ctx, what, bytes, seconds);
    if (status && status != CP_E_UNSUPPORTED) exit(fail_library(status));
    return rate;
}

double measure_memory(cp_ctx *ctx, memory_level level, double seconds) {
    double best = 0;
    for (cp_measure what = CP_MEASURE_READ; what <= CP_MEASURE_ROWS; what++) {
        const double rate = measure_limit(ctx, what, level_footprint(level, cp_ctx_threads(ctx)), seconds);
        if (rate > best) best = rate;
    }
    return best;
}

static memory_level level_of(int64_t bytes, int threads) {
    memory_level level = MEMORY_L1;
    while (level < MEMORY_DRAM && bytes / (level == MEMORY_L3 ? 1 : threads) > cache_bytes(level)) level++;
    return level;
}

/* Of operations on floats or on bytes. A CPU without instructions for products of bytes has the limit of floats, which
 * its products of 16 bits may exceed. */
static double compute_limit(limits *l, cp_ctx *ctx, bool on_bytes) {
    double *limit = &l->compute[on_bytes];
    if (!*limit && on_bytes) *limit = measure_limit(ctx, CP_MEASURE_TILE_INT8, 0, 0.05);
    if (!*limit) *limit = measure_limit(ctx, CP_MEASURE_F32, 0, 0.05);
    return *limit;
}

share_of_limit share_of(limits *l, cp_ctx *ctx, bool on_bytes, double operations, int64_t bytes, double seconds) {
    const memory_level level = level_of(bytes, cp_ctx_threads(ctx));
    const double most = compute_limit(l, ctx, on_bytes);
    if (!l->memory[level]) l->memory[level] = measure_memory(ctx, level, 0.02);
    const double compute = operations / seconds / most, memory = (double)bytes / seconds / l->memory[level];
    share_of_limit share = {compute, most, "compute"};
    if (memory > compute) share = (share_of_limit){memory, l->memory[level], level_name(level)};
    return share;
}
