/* What Winograd's convolution, its input gradient and its weight gradient share: which problems, and their tiles. */
#ifndef CP_WINOGRAD_H
#define CP_WINOGRAD_H

#include "plan/plan.h"

typedef struct cp_tiled_axis {
    int64_t in, out, before, tiles;
    int64_t outputs; /* of a tile; 1: this axis is not transformed */
} cp_tiled_axis;

typedef struct cp_winograd_tiles {
    const cp_winograd *transform;
    int64_t elements;                    /* of a tile */
    int64_t images, count;               /* tiles of all images */
    cp_tiled_axis row, column;           /* of a tile, as the kernels call them */
    int64_t in_row, in_column, in_image; /* floats from one to the next */
    int64_t out_row, out_column, out_image;
    int64_t channels, filters; /* read, written */
} cp_winograd_tiles;

/* The tiles of the forward convolution, or of its input gradient: there dy is what is read. */
cp_winograd_tiles cp_winograd_tiles_of(const cp_problem *p, const cp_winograd *transform, bool backward);
/* The products of all whole tiles. */
int64_t cp_winograd_products(const cp_problem *p, const cp_winograd *transform, bool backward);
/* Why a transform cannot solve the problem, or NULL; strict: it may in strict math. */
const char *cp_winograd_refuse(const cp_problem *p, int transform, bool strict);

/* Where a tile is: its first output. */
typedef struct cp_tile_place {
    int64_t image, row, column;
} cp_tile_place;
static inline cp_tile_place cp_tile_at(const cp_winograd_tiles *t, int64_t tile) {
    const int64_t of_image = t->row.tiles * t->column.tiles, in_image = tile % of_image;
    return (cp_tile_place){tile / of_image, in_image / t->column.tiles * t->row.outputs,
                           in_image % t->column.tiles * t->column.outputs};
}
/* The transformed input of the tiles [first, last), v[element*v_step + (tile - first)*v_tile + channel]; x: at the
 * first of so many channels, of the first image. */
void cp_winograd_transform(const cp_winograd_tiles *t, const float *x, int64_t channels, int64_t first, int64_t last,
                           float *v, int64_t v_step, int64_t v_tile);

#endif
