/* Depth to space and space to depth in f32: for each pixel of the deep side its block of pixels of the wide side, whose
 * channels are runs of the deep one's where the blocks come first, else every so many. */
#include "plan/algos.h"

#include <string.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 ? NULL : "needs f32";
}

typedef struct shuffle {
    int64_t space[CP_MAX_AXES], blocks[CP_MAX_AXES]; /* of the deep side; pixels of a block along each axis */
    int64_t pixels;                                  /* of a whole block */
    int64_t channels;                                /* of the wide side */
    bool depth_first;
} shuffle;

/* The missing axes are in front. */
static shuffle shuffle_of(const cp_problem *p, cp_shape deep) {
    shuffle s = {.space = {1, 1, 1}, .blocks = {1, 1, 1}, .pixels = 1, .depth_first = p->depth_order == CP_DEPTH_FIRST};
    const int axes = deep.rank - 2;
    for (int d = 0; d < axes; d++) {
        s.space[CP_MAX_AXES - axes + d] = deep.dim[1 + d];
        s.blocks[CP_MAX_AXES - axes + d] = p->block;
        s.pixels *= p->block;
    }
    s.channels = deep.dim[deep.rank - 1] / s.pixels;
    return s;
}

/* Where, in pixels, the block of deep pixel i begins on the wide side. */
static int64_t block_begin(const shuffle *s, int64_t i) {
    int64_t at[CP_MAX_AXES], flat = 0;
    for (int d = CP_MAX_AXES - 1; d >= 0; d--) {
        at[d] = i % s->space[d] * s->blocks[d];
        i /= s->space[d];
    }
    for (int d = 0; d < CP_MAX_AXES; d++) flat = flat * s->space[d] * s->blocks[d] + at[d];
    return i * s->space[0] * s->space[1] * s->space[2] * s->pixels + flat; /* i is the image by now */
}

/* The same of pixel b within its block. */
static int64_t within_block(const shuffle *s, int64_t b) {
    const int64_t x = b % s->blocks[2], y = b / s->blocks[2] % s->blocks[1], z = b / s->blocks[2] / s->blocks[1];
    return (z * s->space[1] * s->blocks[1] + y) * s->space[2] * s->blocks[2] + x;
}

static void to_wide(const shuffle *s, const float *deep, int64_t b, float *wide) {
    if (s->depth_first)
        memcpy(wide, deep + b * s->channels, (size_t)s->channels * sizeof *wide);
    else
        for (int64_t c = 0; c < s->channels; c++) wide[c] = deep[c * s->pixels + b];
}

static void to_deep(const shuffle *s, const float *wide, int64_t b, float *deep) {
    if (s->depth_first)
        memcpy(deep + b * s->channels, wide, (size_t)s->channels * sizeof *deep);
    else
        for (int64_t c = 0; c < s->channels; c++) deep[c * s->pixels + b] = wide[c];
}

/* Share id of n of the deep pixels. */
static void run(const cp_call *call, cp_shape deep_shape, bool widens, int id, int n) {
    const shuffle s = shuffle_of(call->problem, deep_shape);
    const int64_t depth = s.pixels * s.channels;
    int64_t first, last;
    cp_share(deep_shape.dim[0] * s.space[0] * s.space[1] * s.space[2], id, n, &first, &last);
    for (int64_t i = first; i < last; i++) {
        const int64_t begin = block_begin(&s, i);
        for (int64_t b = 0; b < s.pixels; b++) {
            const int64_t wide = (begin + within_block(&s, b)) * s.channels;
            if (widens)
                to_wide(&s, (const float *)call->in[0] + i * depth, b, (float *)call->out[0] + wide);
            else
                to_deep(&s, (const float *)call->in[0] + wide, b, (float *)call->out[0] + i * depth);
        }
    }
}

static void depth_to_space(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    run(call, call->problem->in[0], true, id, n);
}

static void space_to_depth(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    run(call, call->problem->out[0], false, id, n);
}

const cp_algo cp_algo_depth_to_space_blocks = {.name = "blocks", .refuse = refuse, .run = depth_to_space};
const cp_algo cp_algo_space_to_depth_blocks = {.name = "blocks", .refuse = refuse, .run = space_to_depth};
