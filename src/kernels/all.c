/* The table of one level: compiled once for each, with CP_LEVEL its name and CP_VECTOR_BYTES the width of a vector.
 * Everything else is static, so that no function compiled for one level can be linked into another. */
#include "kernels.h"
#include "vec.h"

#include "tile.c"
#include "outer.c"
#include "pack.c"
#include "winograd.c"
#include "integer.c"
#include "depthwise.c"
#if CP_LANES > 4
#include "grouped.c"
#define GROUPED grouped
#define GROUPED_3X3 grouped_3x3
#else
#define GROUPED NULL
#define GROUPED_3X3 NULL
#endif
#include "few.c"
#include "pool.c"
#include "blend.c"
#include "elementwise.c"
#include "functions.c"
#include "moments.c"
#include "optimizer.c"
#include "limits.c"

#define DEFINE_BLOCKS(R, V)                                                                                            \
    static void tile_##R##x##V(const cp_tile *t) {                                                                     \
        tile(t, R, V, FLOATS, 0);                                                                                      \
    }                                                                                                                  \
    static void short_tile_##R##x##V(const cp_tile *t) {                                                               \
        tile(t, R, V, SHORTS, 0);                                                                                      \
    }                                                                                                                  \
    static void outer_##R##x##V(const cp_outer *o) {                                                                   \
        outer(o, R, V);                                                                                                \
    }
EACH_BLOCK(DEFINE_BLOCKS)
#define DEFINE_TILE_AHEAD(R, V)                                                                                        \
    static void tile_ahead_##R(const cp_tile *t) {                                                                     \
        tile(t, R, V, FLOATS, 1);                                                                                      \
    }
ROWS_TO_6(DEFINE_TILE_AHEAD, PANEL_VECTORS)
static void stream_end(void) {
    vec_stream_fence();
}
#define TILE_ENTRY(R, V) [R][V] = tile_##R##x##V,
#define TILE_AHEAD_ENTRY(R, V) [R] = tile_ahead_##R,
#define SHORT_ENTRY(R, V) [R][V] = short_tile_##R##x##V,
#define OUTER_ENTRY(R, V) [R][V] = outer_##R##x##V,
static const cp_tile_row short_tiles[CP_MAX_ROWS + 1] = {EACH_BLOCK(SHORT_ENTRY)};

#define JOIN(a, b) a##b
#define TABLE_OF(level) JOIN(cp_kernels_, level)
#define TEXT(a) #a
#define NAME_OF(level) TEXT(level)

/* clang-format off */
#define KERNELS \
    .lanes = CP_LANES, \
    .vectors = PANEL_VECTORS, \
    .rows = MOST_ROWS, \
    .tile = {EACH_BLOCK(TILE_ENTRY)}, \
    .tile_ahead = {ROWS_TO_6(TILE_AHEAD_ENTRY, PANEL_VECTORS)}, \
    .stream_end = stream_end, \
    .outer = {EACH_BLOCK(OUTER_ENTRY)}, \
    .widen = widen, \
    .requantise = requantise, \
    .pack = pack, \
    .winograd = {EACH_WINOGRAD(WINOGRAD_ENTRY)}, \
    .depthwise = depthwise, \
    .grouped = GROUPED, \
    .grouped_3x3 = GROUPED_3X3, \
    .few_filters = few_filters, \
    .channel_products = channel_products, \
    .max_pool = max_pool, \
    .average_pool = average_pool, \
    .max_pool_gather = max_pool_gather, \
    .average_pool_gather = average_pool_gather, \
    .blend = blend, \
    .spread = spread, \
    .products = products, \
    .relu = relu, \
    .relu_gradient = relu_gradient, \
    .add = add, \
    .column_sums = column_sums, \
    .sum_of_squares = sum_of_squares, \
    .moments = moments, \
    .column_moments = column_moments, \
    .normalise = normalise, \
    .function = {EACH_FUNCTION(FUNCTION_ENTRY)}, \
    .largest = largest, \
    .exponentials = exponentials, \
    .adam = adam, \
    .rmsprop = rmsprop, \
    .adagrad = adagrad, \
    .lion = lion, \
    .sgd = sgd, \
    .multiply_adds = multiply_adds, \
    .sweep = {sweep_read, sweep_copy, sweep_triad, sweep_stream, sweep_rows},
/* clang-format on */

const cp_kernels TABLE_OF(CP_LEVEL) = {.name = NAME_OF(CP_LEVEL), .short_tile = short_tiles, KERNELS};

#if CP_LANES == 16 /* and what is the same but for products that have instructions of their own */
const cp_kernels cp_kernels_avx512vnni = {
    .name = "avx512vnni", .short_tile = short_tiles, .byte_tile = cp_vnni_byte_tiles, KERNELS};
const cp_kernels cp_kernels_avx512bf16 = {.name = "avx512bf16",
                                          .short_tile = short_tiles,
                                          .byte_tile = cp_vnni_byte_tiles,
                                          .bf16 = &cp_bf16_kernels_avx512bf16,
                                          KERNELS};
#endif
