/* What tests of kernels at every level share: the levels that this CPU can run, random numbers, comparison with the
 * answers of plain loops. Every buffer is at the edge of a page without access. */
#ifndef TEST_KERNELS_H
#define TEST_KERNELS_H

#include "guard.h"
#include "plan/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* --- levels --- */

static const cp_kernels *levels[8]; /* ends with NULL */

static inline int find_levels(void **state) {
    (void)state;
    int n = 0;
    for (cp_isa isa = CP_ISA_PORTABLE; cp_cpu_can(isa); isa++) levels[n++] = cp_kernels_of(isa);
    return 0;
}

/* Runs the body for each level `k`, once with the guards `g` behind the buffers and once before them. */
#define FOR_EACH_LEVEL(k, g)                                                                                           \
    for (const cp_kernels *const *at = levels, *k; (k = *at) != NULL; at++)                                            \
        for (guard g##_pass[2] = {{.at_end = true}, {.at_end = false}}, *g = g##_pass; g < g##_pass + 2; g++)

/* --- random numbers and the comparison of arrays --- */

static uint64_t random_state = 1;

static inline int64_t draw(int64_t least, int64_t most) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return least + (int64_t)((random_state >> 33) % (uint64_t)(most - least + 1));
}

/* Sizes where loops change: 1, around a vector and its multiples, else any. */
static inline int64_t draw_size(int64_t lanes, int64_t most) {
    int64_t size = draw(0, 2) ? lanes * draw(0, 4) + draw(-1, 1) : draw(1, most);
    return size < 1 ? 1 : size > most ? most : size;
}

static inline float draw_integer(void) {
    return (float)draw(-4, 4);
}
static inline float draw_real(void) {
    return (float)draw(-1000000, 1000000) / 1000000;
}

static const float strange[] = {0.0f, -0.0f, 1.0f, -1.0f, 1e-42f, -1e-42f, 3.0e38f, INFINITY, -INFINITY, NAN};
static inline float draw_strange(void) {
    float value = strange[draw(0, 9)];
    if (value != value) { /* NaNs that can be told apart */
        uint32_t bits = 0x7fc00000u + (uint32_t)draw(1, 1000);
        memcpy(&value, &bits, 4);
    }
    return value;
}

static inline float *filled(guard *g, int64_t n, float (*value)(void)) {
    float *x = guard_floats(g, n);
    for (int64_t i = 0; i < n; i++) x[i] = value();
    return x;
}

static inline float *copied(guard *g, const float *x, int64_t n) {
    return memcpy(guard_floats(g, n), x, (size_t)n * 4);
}

/* Bit for bit, so also what lies between the rows of an output. */
static inline void assert_same_bytes(const void *got, const void *want, int64_t bytes, const cp_kernels *k,
                                     const char *what) {
    const unsigned char *a = got, *b = want;
    for (int64_t i = 0; i < bytes; i++)
        if (a[i] != b[i])
            fail_msg("%s: %s differs at byte %lld of %lld", k->name, what, (long long)i, (long long)bytes);
}

/* 0 and -0 are the same number, all NaNs too. */
static inline void assert_same_numbers(const float *got, const float *want, int64_t n, const cp_kernels *k,
                                       const char *what) {
    for (int64_t i = 0; i < n; i++)
        if (got[i] != want[i] && !(isnan(got[i]) && isnan(want[i])))
            fail_msg("%s: %s[%lld of %lld] is %.9g instead of %.9g", k->name, what, (long long)i, (long long)n,
                     (double)got[i], (double)want[i]);
}

static inline void assert_near(const float *got, const double *want, int64_t n, double error, const cp_kernels *k,
                               const char *what) {
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= error))
            fail_msg("%s: %s[%lld of %lld] is %.9g instead of %.9g", k->name, what, (long long)i, (long long)n,
                     (double)got[i], want[i]);
}

static inline float plain_relu(float v) {
    return v < 0 ? 0 : v;
}

#endif
