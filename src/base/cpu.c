/* What the CPU is called, and which of the kernels' levels it can run. */
#include "base/base.h"

#include <string.h>
#ifndef CP_MINIMAL
#include <pthread.h>
#endif
#ifdef __x86_64__
#include <cpuid.h>
#endif

static struct {
    cp_isa best;
    char name[65];
} cpu;

static const char *const isa_names[] = {"best", "portable", "avx2", "avx512", "avx512vnni", "avx512bf16"};

#ifdef __x86_64__
/* Each level contains those below it. The builtin also asks whether the system saves the wide registers. */
static cp_isa best_isa(void) {
    __builtin_cpu_init();
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    bool f16c = c & bit_F16C; /* clang's builtin does not know the word */
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !f16c) return CP_ISA_PORTABLE;
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (!avx512) return CP_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512vnni")) return CP_ISA_AVX512;
    return __builtin_cpu_supports("avx512bf16") ? CP_ISA_AVX512BF16 : CP_ISA_AVX512VNNI;
}

/* The brand string: 48 bytes, padded with spaces or zeros on either side. Empty where there is none. */
static void read_brand(char name[65]) {
    unsigned words[12], *w = words, leaf;
    __cpuid(0x80000000, leaf, w[1], w[2], w[3]);
    if (leaf < 0x80000004) return;
    for (leaf = 0x80000002; leaf <= 0x80000004; leaf++, w += 4) __cpuid(leaf, w[0], w[1], w[2], w[3]);
    char brand[sizeof words + 1] = {0};
    memcpy(brand, words, sizeof words);
    const char *begin = brand + strspn(brand, " ");
    size_t length = strlen(begin);
    while (length && begin[length - 1] == ' ') length--;
    memcpy(name, begin, length);
}
#else
static cp_isa best_isa(void) {
    return CP_ISA_PORTABLE;
}
static void read_brand(char name[65]) {
    (void)name;
}
#endif

static void detect(void) {
    cpu.best = best_isa();
    read_brand(cpu.name);
    if (!cpu.name[0]) cp_machine(cpu.name);
}

static void detect_once(void) {
#ifdef CP_MINIMAL
    if (!cpu.name[0]) detect();
#else
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, detect);
#endif
}

const char *cp_cpu_name(void) {
    detect_once();
    return cpu.name;
}

bool cp_cpu_can(cp_isa isa) {
    detect_once();
    return isa >= CP_ISA_PORTABLE && isa <= cpu.best;
}

const char *cp_isa_name(cp_isa isa) {
    return isa <= CP_ISA_AVX512BF16 ? isa_names[isa] : "unknown";
}

const char *cp_isa_available(int i) {
    detect_once();
    return i >= 0 && i <= (int)cpu.best - CP_ISA_PORTABLE ? isa_names[(int)cpu.best - i] : NULL;
}

cp_status cp_cpu_choose(cp_isa *isa) {
    detect_once();
    *isa = cpu.best;
    const char *word = cp_setting("CONVPOOL_ISA");
    if (!word || !*word) return CP_OK;
    for (int level = CP_ISA_PORTABLE; level <= CP_ISA_AVX512BF16; level++) {
        if (strcmp(word, isa_names[level]) != 0) continue;
        if (level > (int)cpu.best)
            return cp_fail(CP_E_UNSUPPORTED, "CONVPOOL_ISA=%s: this CPU (%s) can run %s at most", word, cpu.name,
                           isa_names[cpu.best]);
        *isa = (cp_isa)level;
        return CP_OK;
    }
    char text[400];
    return cp_fail(CP_E_ARG, "CONVPOOL_ISA=%s: must be portable, avx2, avx512, avx512vnni or avx512bf16",
                   cp_escape(word, strlen(word), text));
}
