/* Random problems of operations: numbers to draw, and what makes a problem. Generators are in samples_windows.h and
 * samples_arrays.h. */
#ifndef TEST_SAMPLES_H
#define TEST_SAMPLES_H

#include "op/op.h"
#include "plan/algos.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* --- random numbers, the same in every run --- */

static uint64_t drawn;

static inline uint32_t bits(void) {
    static const cp_random_key key = {.seed = 11};
    return cp_random_bits(&key, drawn++);
}

static inline int64_t draw(int64_t least, int64_t most) {
    return least + bits() % (most - least + 1);
}

static inline bool one_in(int n) {
    return draw(1, n) == 1;
}

/* Sizes around the edges of tiles and vectors. */
static inline int64_t draw_channels(void) {
    static const int64_t edges[] = {1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65};
    return one_in(3) ? draw(1, 70) : edges[draw(0, sizeof edges / sizeof *edges - 1)];
}

static inline int64_t draw_batch(void) {
    return one_in(16) ? 0 : draw(1, 3);
}

/* --- samples: an operation, its attributes, the shapes of its inputs --- */

typedef struct sample {
    const cp_op *op;
    cp_attributes attributes;
    int inputs;
    cp_shape in[CP_MAX_INPUTS];
    bool integer[CP_MAX_INPUTS]; /* of the type that infer asks for, not a float */
    int64_t below;               /* integers are 0 .. below - 1 */
    cp_type type[CP_MAX_INPUTS]; /* BOOL, U8, I8, I32 where it must be; else 0, CP_F32 */
    int64_t chain;               /* the longest sum */
} sample;

static inline cp_status infer(const sample *s, const cp_kernels *kernels, cp_type type, cp_problem *problem) {
    *problem =
        (cp_problem){.kernels = kernels, .type = type, .math = CP_MATH_BF16, .inputs = s->inputs, .training = true};
    for (int i = 0; i < s->inputs; i++) {
        problem->in[i] = s->in[i];
        problem->in_type[i] = !s->integer[i] ? type : s->below <= 256 ? CP_U8 : CP_I32;
        const bool bytes = strstr(s->op->name, "pool") && !strstr(s->op->name, "unpool") &&
                           !strstr(s->op->name, "roi-"); /* the tap of a window */
        if (s->integer[i] && !bytes) problem->in_type[i] = CP_I32;
        if (s->type[i]) problem->in_type[i] = s->type[i];
    }
    for (int i = 0; i < CP_MAX_OUTPUTS; i++) problem->out_used[i] = true;
    return s->op->infer(problem, &s->attributes);
}

/* What failed. */
static inline void print_sample(const sample *s) {
    char text[256] = "", shape[CP_SHAPE_TEXT];
    if (s->op->words) s->op->words(&s->attributes, text, sizeof text);
    print_error("%s %s:", s->op->name, text);
    for (int i = 0; i < s->inputs; i++) print_error(" %s", s->in[i].rank < 0 ? "none" : cp_shape_text(s->in[i], shape));
    print_error("\n");
}

#endif
