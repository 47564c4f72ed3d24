/* The tiles of bytes by AVX-512 VNNI: an object of its own beside that of the avx512 level. */
#include "kernels.h"
#include "vec.h"

#include "tile.c"

#define DEFINE_TILES(R, V)                                                                                             \
    static void byte_tile_##R##x##V(const cp_tile *t) {                                                                \
        tile(t, R, V, BYTES, 0);                                                                                       \
    }
EACH_BLOCK(DEFINE_TILES)
#define BYTE_ENTRY(R, V) [R][V] = byte_tile_##R##x##V,

const cp_tile_row cp_vnni_byte_tiles[CP_MAX_ROWS + 1] = {EACH_BLOCK(BYTE_ENTRY)};
