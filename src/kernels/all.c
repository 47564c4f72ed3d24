/* The table of one level: compiled once for each, with CP_LEVEL its name and CP_VECTOR_BYTES the width of a vector.
 * Everything else is static, so that no function compiled for one level can be linked into another. */
#include "kernels.h"
#include "vec.h"

#include "tile.c"
#include "outer.c"
#include "pack.c"
#include "winograd.c"
#include "depthwise.c"
#if CP_LANES > 4
#include "grouped.c"
#define GROUPED grouped
#else
#define GROUPED NULL
#endif
#include "pool.c"
#include "blend.c"
#include "elementwise.c"
#include "optimizer.c"
#include "limits.c"

#define JOIN(a, b) a##b
#define TABLE_OF(level) JOIN(cp_kernels_, level)
#define TEXT(a) #a
#define NAME_OF(level) TEXT(level)

const cp_kernels TABLE_OF(CP_LEVEL) = {
    .name = NAME_OF(CP_LEVEL),
    .lanes = CP_LANES,
    .vectors = PANEL_VECTORS,
    .rows = MOST_ROWS,
    .tile = {EACH_BLOCK(TILE_ENTRY)},
    .tile_ahead = {ROWS_TO_6(TILE_AHEAD_ENTRY, PANEL_VECTORS)},
    .outer = {EACH_BLOCK(OUTER_ENTRY)},
    .pack = pack,
    .winograd = {EACH_WINOGRAD(WINOGRAD_ENTRY)},
    .depthwise = depthwise,
    .grouped = GROUPED,
    .channel_products = channel_products,
    .max_pool = max_pool,
    .average_pool = average_pool,
    .max_pool_gather = max_pool_gather,
    .average_pool_gather = average_pool_gather,
    .blend = blend,
    .spread = spread,
    .products = products,
    .relu = relu,
    .relu_gradient = relu_gradient,
    .add = add,
    .column_sums = column_sums,
    .sum_of_squares = sum_of_squares,
    .adam = adam,
    .rmsprop = rmsprop,
    .adagrad = adagrad,
    .lion = lion,
    .sgd = sgd,
    .multiply_adds = multiply_adds,
    .sweep = {sweep_read, sweep_copy, sweep_triad, sweep_stream, sweep_rows},
};
