/* convpool info: this CPU, the instruction sets, threads, the build. */
#include "args.h"

#include <string.h>

typedef struct options {
    bool json;
    int threads;
} options;

enum { OPTION_JSON = 256, OPTION_THREADS };

static const struct argp_option option_list[] = {
    {"json", OPTION_JSON, NULL, 0, "print JSON", 1},
    {"threads", OPTION_THREADS, "N", 0, "default: OMP_NUM_THREADS, else all CPUs", 1},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case OPTION_JSON:
        o->json = true;
        return 0;
    case OPTION_THREADS:
        o->threads = arg_threads(text);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char compiler[] =
#ifdef __clang__
    "clang " __clang_version__;
#else
    "gcc " __VERSION__;
#endif

static int vector_bytes(const char *level) {
    return !strncmp(level, "avx512", 6) ? 64 : !strcmp(level, "avx2") ? 32 : 16;
}

static void print_table(const cp_ctx *ctx) {
    printf("convpool %s, built with %s\n", cp_version(), compiler);
    printf("CPU                %s\n", cp_cpu_name());
    printf("instruction sets  ");
    for (int i = 0; cp_isa_available(i); i++) printf(" %s", cp_isa_available(i));
    printf("\nin use             %s, vectors of %d bytes\n", cp_ctx_isa(ctx), vector_bytes(cp_ctx_isa(ctx)));
    printf("threads            %d\n", cp_ctx_threads(ctx));
}

static void print_json_table(const cp_ctx *ctx) {
    json_t *levels = json_array(), *result = json_object();
    for (int i = 0; cp_isa_available(i); i++) json_array_append_new(levels, json_string(cp_isa_available(i)));
    json_object_set_new(result, "version", json_string(cp_version()));
    json_object_set_new(result, "compiler", json_plain(compiler));
    json_object_set_new(result, "cpu", json_plain(cp_cpu_name()));
    json_object_set_new(result, "isa_available", levels);
    json_object_set_new(result, "isa", json_string(cp_ctx_isa(ctx)));
    json_object_set_new(result, "vector_bytes", json_integer(vector_bytes(cp_ctx_isa(ctx))));
    json_object_set_new(result, "threads", json_integer(cp_ctx_threads(ctx)));
    print_json(result, stdout);
}

int cmd_info(int argc, char **argv) {
    options o = {0};
    const struct argp parser = {.options = option_list,
                                .parser = parse,
                                .doc = "Prints what runs here: CPU, instruction sets, threads, build.\v"
                                       "CONVPOOL_ISA=portable, avx2, avx512 ... chooses another instruction set.",
                                .children = args_common};
    args_parse(&parser, "info", argc, argv, &o);
    cp_ctx *ctx;
    const int status = new_context(&ctx, o.threads, CP_MATH_FAST);
    if (status) return status;
    if (o.json) {
        print_json_table(ctx);
    } else {
        print_table(ctx);
    }
    cp_ctx_free(ctx);
    return STATUS_OK;
}
