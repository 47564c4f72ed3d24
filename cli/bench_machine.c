/* convpool bench machine: what the machine gives at most, to compare other times with. */
#include "args.h"

#include <stdlib.h>

typedef struct options {
    int threads; /* 0: one, and all */
    double seconds;
    bool json;
} options;

enum { OPTION_THREADS = 256, OPTION_SECONDS, OPTION_JSON };

static const struct argp_option option_list[] = {
    {"threads", OPTION_THREADS, "N", 0, "default: 1, and then OMP_NUM_THREADS, else all CPUs", 1},
    {"seconds", OPTION_SECONDS, "S", 0, "repeat each measurement that long, the best counts (default 0.1)", 1},
    {"json", OPTION_JSON, NULL, 0, "print a line of JSON for each number of threads", 1},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case OPTION_THREADS:
        o->threads = arg_threads(text);
        return 0;
    case OPTION_SECONDS:
        o->seconds = arg_real("seconds", text, 0, 3600);
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char *const words[] = {
#define WORD(name, word, text) word,
    CP_MEASURES(WORD)
#undef WORD
};

enum { PRODUCTS = CP_MEASURE_READ, PASSES = CP_MEASURE_ROWS - CP_MEASURE_READ + 1 };

typedef struct machine {
    double products[PRODUCTS];            /* operations of a second; 0: the level has no such instructions */
    double memory[MEMORY_LEVELS][PASSES]; /* bytes of a second */
} machine;

static void measure(machine *m, cp_ctx *ctx, double seconds) {
    for (int i = 0; i < PRODUCTS; i++) m->products[i] = measure_limit(ctx, (cp_measure)i, 0, seconds);
    for (memory_level level = MEMORY_L1; level < MEMORY_LEVELS; level++)
        for (int i = 0; i < PASSES; i++)
            m->memory[level][i] = measure_limit(ctx, CP_MEASURE_READ + (cp_measure)i,
                                                level_footprint(level, cp_ctx_threads(ctx)), seconds);
}

static double best_of(const double *passes) {
    double best = 0;
    for (int i = 0; i < PASSES; i++)
        if (passes[i] > best) best = passes[i];
    return best;
}

static void print_table(const machine *m, cp_ctx *ctx) {
    const int threads = cp_ctx_threads(ctx);
    printf("%s, %s, %d thread%s\n", cp_cpu_name(), cp_ctx_isa(ctx), threads, threads > 1 ? "s" : "");
    for (int i = 0; i < PRODUCTS; i++)
        if (m->products[i] > 0) printf("%-6s %8.1f GFLOP/s\n", words[i], 1e-9 * m->products[i]);
    printf("%-6s %12s", "GB/s", "of a thread");
    for (int i = 0; i < PASSES; i++) printf(" %8s", words[CP_MEASURE_READ + i]);
    printf(" %8s\n", "best");
    for (memory_level level = MEMORY_L1; level < MEMORY_LEVELS; level++) {
        char bytes[BYTES_TEXT];
        printf("%-6s %12s", level_name(level), byte_text(level_footprint(level, threads), bytes));
        for (int i = 0; i < PASSES; i++) printf(" %8.1f", 1e-9 * m->memory[level][i]);
        printf(" %8.1f\n", 1e-9 * best_of(m->memory[level]));
    }
}

static void print_object(const machine *m, cp_ctx *ctx) {
    json_t *line = json_object(), *memory = json_array();
    for (memory_level level = MEMORY_L1; level < MEMORY_LEVELS; level++) {
        json_t *row = json_object();
        json_object_set_new(row, "level", json_plain(level_name(level)));
        json_object_set_new(row, "bytes", json_integer(level_footprint(level, cp_ctx_threads(ctx))));
        for (int i = 0; i < PASSES; i++)
            json_object_set_new(row, words[CP_MEASURE_READ + i], json_number(1e-9 * m->memory[level][i]));
        json_object_set_new(row, "best", json_number(1e-9 * best_of(m->memory[level])));
        json_array_append_new(memory, row);
    }
    json_object_set_new(line, "cpu", json_plain(cp_cpu_name()));
    json_object_set_new(line, "isa", json_plain(cp_ctx_isa(ctx)));
    json_object_set_new(line, "threads", json_integer(cp_ctx_threads(ctx)));
    for (int i = 0; i < PRODUCTS; i++)
        json_object_set_new(line, words[i], m->products[i] > 0 ? json_number(1e-9 * m->products[i]) : json_null());
    json_object_set_new(line, "memory", memory);
    print_json(line, stdout);
}

static int bench_threads(const options *o, int threads) {
    cp_ctx *ctx;
    const int status = new_context(&ctx, threads, CP_MATH_FAST);
    if (status) return status;
    machine m;
    measure(&m, ctx, o->seconds);
    if (o->json) {
        print_object(&m, ctx);
    } else {
        print_table(&m, ctx);
    }
    cp_ctx_free(ctx);
    return STATUS_OK;
}

int bench_machine(int argc, char **argv) {
    options o = {.seconds = 0.1};
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .doc = "Measures what the machine gives at most: multiply-adds, and passes over memory that "
               "lies in each cache or in none.\v"
               "fp32: multiply-adds in registers; tile, bf16, int8: the micro-kernel that all products go through. "
               "GB/s count the "
               "bytes that a pass names, those written once. read: sum of an array; copy: y = x; triad: "
               "y = x + z/2; stream: a copy stored past the caches; rows: sums of four rows, the next four prefetched, "
               "stored past the caches. 'bench ops' compares with the best of them.",
        .children = args_common};
    args_parse(&parser, "bench machine", argc, argv, &o);
    const int all = o.threads ? o.threads : default_threads();
    int status = o.threads || all == 1 ? STATUS_OK : bench_threads(&o, 1);
    if (!status) status = bench_threads(&o, all);
    return status;
}
