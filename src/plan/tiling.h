/* A convolution, or its input gradient, as a list of small matrix products.
 *
 * The output is cut into tiles of a few pixels that all have the same valid taps; for each, the input that meets the
 * weights consists of runs of consecutive words, so one micro-kernel (kernels.h, cp_tile) does everything: no im2col,
 * no padded copy, no test for padding inside. Dilation and asymmetric padding only change where runs begin.
 *
 * Padding with values of the input (reflected and so on) changes runs only: each position whose window reaches outside
 * is a class of its own, with a run for every tap, wherever its value lies.
 *
 * The input gradient of a convolution of stride s is, for each of the s positions that an input pixel can have relative
 * to the stride (a phase), a convolution of stride 1 of dy with every s-th tap. So both are written as phases, which
 * are made of walks: along one axis, position o reads input o*in_step + offset[t] for its taps and writes output
 * out_first + o*out_step.
 *
 * A word has 4 bytes: one channel as a float, or several narrower ones. The channels of each group fill whole words. */
#ifndef CP_TILING_H
#define CP_TILING_H

#include "plan/plan.h"

typedef struct cp_walk {
    int64_t count, in, in_step, out, out_first, out_step; /* the steps are 1 where there is but one position */
    int64_t taps;
    const int64_t *offset; /* ascending */
    const int64_t *tap;    /* of the forward kernel */
    cp_pad_values values;
} cp_walk;

typedef struct cp_phase {
    cp_walk axis[CP_MAX_AXES];
    int64_t rows;   /* of its panels, words deep */
    bool merged;    /* taps that lie side by side along x are one run */
    int64_t packed; /* where its panels begin */
    int64_t tiles, n_tiles;
    int64_t parts; /* of class c and chunk i: parts[phase.parts + c*chunks + i] */
    int64_t chunks;
    int64_t in_step[2], out_step[2]; /* between pixels of a horizontal, a vertical tile */
} cp_phase;

/* What a tile is, beside its place. */
typedef struct cp_pixel_tile {
    int32_t class, alike; /* tiles from this one on that are the same but for their places */
    int8_t pixels;
    bool vertical;
} cp_pixel_tile;

/* Runs of a class inside one chunk; a chunk is a part of the panel's rows that stays in the cache for all tiles. */
typedef struct cp_part {
    int64_t run, count, length; /* runs[run .. run+count) */
    bool first, last;           /* nothing of this class before, behind */
} cp_part;

typedef struct cp_tiling {
    int64_t images, in_image, out_image;       /* words, elements of one image */
    int64_t groups, in_channels, out_channels; /* of one group: words, elements */
    int64_t in_pixel, out_pixel;               /* words, elements from pixel to pixel */
    int64_t slabs;                             /* panels of all groups */
    int64_t block;                             /* tiles that see one panel after the other */
    bool streams;                              /* the output does not stay in the caches anyway */
    bool weights_outside; /* shares are cut from panels first, not from tiles: the weights are the larger stream */
    int64_t packed;       /* words of all panels */
    cp_phase *phases;
    cp_pixel_tile *tiles;
    cp_tile_start *places; /* of the tiles: from the image's beginning to the first pixel */
    cp_part *parts;
    cp_run *runs;
    int64_t n_phases, n_tiles, n_parts, n_runs;
} cp_tiling;

/* What a tiling is run on. */
typedef struct cp_tiling_job {
    cp_tile_fn *const (*tile)[CP_MAX_VECTORS + 1]; /* [R][V] */
    const void *x, *panels;                        /* words */
    const void *bias;                              /* NULL: none */
    int64_t bias_step;                             /* from the bias of one class to that of the next; 0: of all */
    void *y;
    bool relu;
    bool streams;                    /* the output is not read soon: may be written past the caches */
    const cp_requantise *requantise; /* scale, zero, low, high: y is made of bytes; NULL: of words, the sums */
} cp_tiling_job;

/* The tiling of a problem with so many channels in a word, as prepared->state. */
cp_status cp_tiling_forward(const cp_problem *problem, int channels_in_word, cp_prepared *prepared);
cp_status cp_tiling_input_gradient(const cp_problem *problem, int filters_in_word, cp_prepared *prepared);
/* The classes of positions with the same taps, of a forward convolution; the runs of each are those of its parts. */
int64_t cp_tiling_classes(const cp_tiling *tiling);
/* Why there would be too many tiles or runs to list, or NULL. */
const char *cp_tiling_refuse_forward(const cp_problem *problem);
const char *cp_tiling_refuse_input_gradient(const cp_problem *problem);
/* Share id of n. */
void cp_tiling_run(const cp_tiling *tiling, const cp_problem *problem, const cp_tiling_job *job, int id, int n);

#endif
