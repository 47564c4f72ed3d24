/* What the machine gives at most, measured: multiply-adds, and passes over memory. */
#include "plan/plan.h"

/* A job must be so long that starting it (below a microsecond) does not count, and so short that some are undisturbed
 * on a machine that others use too. */
#define JOB_FLOATS (4 << 20)
#define JOB_TILES 16
#define JOB_ROUNDS 60000
/* The tile's panel, used RUNS times in one sum: small enough for any first cache. */
#define RUN_LENGTH 64
#define RUNS 64
/* Between arrays, so that they do not lie at the same places of a page: loads would wait for stores. */
#define SKEW 528
#define MOST_BYTES ((int64_t)1 << 40)

typedef struct measurement {
    const cp_kernels *kernels;
    cp_measure what;
    float *memory;
    int64_t each; /* floats of the memory for each thread */
    int64_t n;    /* floats of one array in a pass, of which each row has `row` */
    int64_t row;
    cp_tile_fn *tile;
    double work; /* of one thread in one job: operations, or bytes */
    int64_t repetitions;
} measurement;

static void touch(void *argument, int id, int n) {
    const measurement *m = argument;
    (void)n;
    for (int64_t i = 0; i < m->each; i++) m->memory[id * m->each + i] = 0.5f;
}

static void multiply_add(void *argument, int id, int n) {
    const measurement *m = argument;
    float *memory = m->memory + id * m->each;
    (void)n;
    *memory = m->kernels->multiply_adds(*memory, JOB_ROUNDS);
}

static void multiply(void *argument, int id, int n) {
    const measurement *m = argument;
    const cp_kernels *k = m->kernels;
    float *memory = m->memory + id * m->each;
    const int rows = k->rows[k->vectors], width = k->vectors * k->lanes;
    (void)n;
    const cp_run runs[RUNS] = {{0}};
    const cp_tile tile = {.a = memory,
                          .a_step = RUN_LENGTH,
                          .b = memory + rows * RUN_LENGTH,
                          .runs = runs,
                          .run_count = RUNS,
                          .run_length = RUN_LENGTH,
                          .c = memory + (rows + width) * RUN_LENGTH,
                          .c_step = width,
                          .tail = k->lanes};
    for (int64_t i = 0; i < m->repetitions; i++) m->tile(&tile);
}

static void sweep(void *argument, int id, int n) {
    const measurement *m = argument;
    float *memory = m->memory + id * m->each;
    (void)n;
    const int64_t apart = m->n + SKEW;
    const cp_sweep arrays = {.x = memory, .y = memory + apart, .z = memory + 2 * apart, .n = m->n, .row = m->row};
    float sum = 0;
    for (int64_t i = 0; i < m->repetitions; i++) sum += m->kernels->sweep[m->what - CP_MEASURE_READ](&arrays);
    memory[0] += sum; /* so that nobody finds the sums without use */
}

/* products: in each word of 32 bits. */
static void size_tile(measurement *m, const cp_tile_row *tiles, int products) {
    const cp_kernels *k = m->kernels;
    const int64_t rows = k->rows[k->vectors], width = k->vectors * k->lanes;
    m->each = cp_round_up((rows + width) * RUN_LENGTH + rows * width, CP_ALIGN);
    m->repetitions = JOB_TILES;
    m->work = 2.0 * JOB_TILES * products * (double)(rows * width * RUN_LENGTH * RUNS);
    m->tile = tiles ? tiles[rows][k->vectors] : NULL;
}

/* `bytes` are divided among the arrays of a pass. */
static void size_sweep(measurement *m, int64_t bytes) {
    static const struct {
        double moved; /* arrays of n floats */
        int arrays;
    } passes[CP_SWEEPS] = {{1, 1}, {2, 2}, {3, 3}, {2, 2}, {1.25, 2}};
    const int i = m->what - CP_MEASURE_READ;
    const double moved = passes[i].moved;
    m->row = bytes < 1 << 20 ? 256 : 4096;
    const int64_t blocks = (int64_t)((double)bytes / moved / sizeof(float) / (double)(4 * m->row));
    m->n = 4 * m->row * (blocks > 0 ? blocks : 1);
    m->each = passes[i].arrays * (m->n + SKEW);
    m->repetitions = 1 + JOB_FLOATS / m->n;
    m->work = moved * sizeof(float) * (double)(m->n * m->repetitions);
}

/* NULL: the level has no instructions for it. */
static cp_job prepare(measurement *m, int64_t bytes) {
    switch (m->what) {
    case CP_MEASURE_F32:
        m->each = CP_ALIGN;
        m->work = 2.0 * JOB_ROUNDS * CP_MULTIPLY_ADD_SUMS * m->kernels->lanes;
        return multiply_add;
    case CP_MEASURE_TILE:
        size_tile(m, (const cp_tile_row *)m->kernels->tile, 1);
        break;
    case CP_MEASURE_TILE_BF16:
        size_tile(m, m->kernels->bf16 ? m->kernels->bf16->tile : NULL, 2);
        break;
    case CP_MEASURE_TILE_INT8:
        size_tile(m, m->kernels->byte_tile, 4);
        break;
    default:
        size_sweep(m, bytes);
        return sweep;
    }
    return m->tile ? multiply : NULL;
}

/* The shortest job counts: what others disturb is no limit of the machine. */
static double shortest(cp_threads *threads, cp_job job, measurement *m, double seconds) {
    const double begin = cp_now();
    double best = 0;
    cp_threads_enter(threads);
    cp_threads_run(threads, touch, m);
    cp_threads_run(threads, job, m);
    do {
        const double start = cp_now();
        cp_threads_run(threads, job, m);
        const double time = cp_now() - start;
        if (best <= 0 || time < best) best = time;
    } while (best > 0 && cp_now() - begin < seconds);
    cp_threads_leave(threads);
    return best;
}

cp_status cp_measure_rate(double *rate, cp_ctx *ctx, cp_measure what, int64_t bytes, double seconds) {
    if (!rate) return cp_fail(CP_E_ARG, "rate is NULL");
    *rate = 0;
    if ((unsigned)what > CP_MEASURE_ROWS) return cp_fail(CP_E_ARG, "what = %d: no such measure", (int)what);
    if (bytes < 0 || bytes > MOST_BYTES)
        return cp_fail(CP_E_ARG, "bytes = %lld: must be 0 to %lld", (long long)bytes, (long long)MOST_BYTES);
    if (!(seconds >= 0)) return cp_fail(CP_E_ARG, "seconds must not be negative");
    cp_ctx usual;
    const cp_status status = ctx ? CP_OK : cp_ctx_default(&usual);
    if (status) return status;
    if (!ctx) ctx = &usual;

    const int threads = cp_ctx_threads(ctx);
    measurement m = {.kernels = ctx->kernels, .what = what};
    const cp_job job = prepare(&m, bytes);
    if (!job) return cp_fail(CP_E_UNSUPPORTED, "%s has no instructions for such products", ctx->kernels->name);
    m.memory = cp_alloc(cp_ctx_allocator(ctx), threads * m.each * (int64_t)sizeof *m.memory);
    if (!m.memory) return CP_E_MEMORY;
    const double time = shortest(ctx->threads, job, &m, seconds);
    cp_free(cp_ctx_allocator(ctx), m.memory);
    if (!(time > 0)) return cp_fail(CP_E_UNSUPPORTED, "this system has no clock to measure with");
    *rate = threads * m.work / time;
    return CP_OK;
}
