/* Contexts: threads, instruction set, allocator, the limit on memory. */
#include "plan/plan.h"

const cp_kernels *cp_kernels_of(cp_isa isa) {
    switch (isa) {
#if defined(__x86_64__)
    case CP_ISA_AVX512BF16:
        return &cp_kernels_avx512bf16;
    case CP_ISA_AVX512VNNI:
        return &cp_kernels_avx512vnni;
    case CP_ISA_AVX512:
        return &cp_kernels_avx512;
    case CP_ISA_AVX2:
        return &cp_kernels_avx2;
#endif
    default:
        return &cp_kernels_portable;
    }
}

cp_status cp_ctx_default(cp_ctx *ctx) {
    cp_isa isa;
    const cp_status status = cp_cpu_choose(&isa);
    *ctx = (cp_ctx){.kernels = cp_kernels_of(status ? CP_ISA_PORTABLE : isa)};
    return status;
}

/* Everything that can be said against options. */
static cp_status check_options(const cp_options *options) {
    if (options->threads < 0 || options->threads > 1024)
        return cp_fail(CP_E_ARG, "threads = %d: must be 1 to 1024", options->threads);
    if ((unsigned)options->isa > CP_ISA_AVX512BF16)
        return cp_fail(CP_E_ARG, "isa = %d: no such instruction set", (int)options->isa);
    if (options->isa != CP_ISA_BEST && !cp_cpu_can(options->isa))
        return cp_fail(CP_E_UNSUPPORTED, "isa = %s: this CPU (%s) can run %s at most", cp_isa_name(options->isa),
                       cp_cpu_name(), cp_isa_available(0));
    if (options->allocator && (!options->allocator->alloc || !options->allocator->free))
        return cp_fail(CP_E_ARG, "allocator: alloc and free must both be set");
    if ((unsigned)options->math > CP_MATH_BF16) return cp_fail(CP_E_ARG, "math = %d: no such mode", (int)options->math);
    if (options->max_memory < 0)
        return cp_fail(CP_E_ARG, "max_memory = %lld: must not be negative", (long long)options->max_memory);
    return cp_check_reserved(options->reserved, sizeof options->reserved, "the options");
}

cp_status cp_ctx_new(cp_ctx **ctx, const cp_options *options) {
    static const cp_options defaults;
    if (!ctx) return cp_fail(CP_E_ARG, "ctx is NULL");
    *ctx = NULL;
    if (!options) options = &defaults;

    cp_ctx made = {0};
    cp_status status = check_options(options);
    if (!status && options->isa == CP_ISA_BEST) status = cp_ctx_default(&made);
    if (status) return status;
    if (options->isa != CP_ISA_BEST) made.kernels = cp_kernels_of(options->isa);
    if (options->allocator) made.allocator = *options->allocator;
    made.own_allocator = options->allocator != NULL;
    made.math = options->math;
    made.max_memory = options->max_memory;

    if (options->threads > 1) status = cp_threads_new(&made.threads, options->threads);
    if (status) return status;
    cp_ctx *new = cp_alloc(NULL, sizeof *new);
    if (!new) {
        cp_threads_free(made.threads);
        return CP_E_MEMORY;
    }
    *new = made;
    *ctx = new;
    return CP_OK;
}

void cp_ctx_free(cp_ctx *ctx) {
    if (!ctx) return;
    cp_threads_free(ctx->threads);
    cp_free(NULL, ctx);
}

int cp_ctx_threads(const cp_ctx *ctx) {
    return ctx ? cp_threads_count(ctx->threads) : 1;
}

const char *cp_ctx_isa(const cp_ctx *ctx) {
    cp_ctx usual;
    if (ctx) return ctx->kernels->name;
    return cp_ctx_default(&usual) ? "unknown" : usual.kernels->name;
}

const cp_allocator *cp_ctx_allocator(const cp_ctx *ctx) {
    return ctx && ctx->own_allocator ? &ctx->allocator : NULL;
}
