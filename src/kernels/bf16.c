/* Products of bf16 numbers by AVX512_BF16: an object of its own beside that of the avx512 level. */
#include "kernels.h"
#include "vec.h"

#include "tile.c"

#define DEFINE_BLOCKS(R, V)                                                                                            \
    static void tile_##R##x##V(const cp_tile *t) {                                                                     \
        tile(t, R, V, BF16, 0);                                                                                        \
    }
EACH_BLOCK(DEFINE_BLOCKS)
#define TILE_ENTRY(R, V) [R][V] = tile_##R##x##V,

/* 32 numbers, those of low before those of high. */
INLINE vec round_pair(vec low, vec high) {
    return (vec)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

static void round_floats(const float *x, int64_t n, void *words) {
    word *to = words;
    for (; n >= 2 * CP_LANES; n -= 2 * CP_LANES, x += 2 * CP_LANES, to += CP_LANES)
        vec_store((float *)to, round_pair(vec_load(x), vec_load(x + CP_LANES)));
    if (!n) return;
    const vec low = vec_load_some(x, n < CP_LANES ? (int)n : CP_LANES);
    const vec high = n > CP_LANES ? vec_load_part(x + CP_LANES, (int)n - CP_LANES) : (vec){0};
    vec_store_some((float *)to, round_pair(low, high), (int)((n + 1) / 2));
}

/* Rows that lie together in memory, two of them. */
INLINE vec interleave_rows(vec first, vec second) {
    static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return (vec)_mm512_permutexvar_epi16(_mm512_loadu_si512(order), (__m512i)round_pair(first, second));
}

static void pack_rows(const float *w, int64_t row_step, int64_t rows, int64_t columns, int64_t width, float *panel) {
    for (int64_t r = 0; r < rows; r += 2, w += 2 * row_step, panel += width)
        for (int64_t j = 0; j < width; j += CP_LANES) {
            const int64_t left = columns - j;
            vec first = {0}, second = {0};
            if (left >= CP_LANES) {
                first = vec_load(w + j);
                if (r + 1 < rows) second = vec_load(w + row_step + j);
            } else if (left > 0) {
                first = vec_load_part(w + j, vec_rest(left));
                if (r + 1 < rows) second = vec_load_part(w + row_step + j, vec_rest(left));
            }
            *(vec *)(panel + j) = interleave_rows(first, second);
        }
}

/* The floats of a column that make the words of 16 rows of words. */
INLINE vec round_column(const float *w, int64_t rows) {
    const vec low = vec_load_some(w, rows < CP_LANES ? (int)rows : CP_LANES);
    const vec high =
        rows > CP_LANES ? vec_load_some(w + CP_LANES, rows < 2 * CP_LANES ? (int)rows - CP_LANES : CP_LANES) : (vec){0};
    return round_pair(low, high);
}

/* Columns that lie together in memory. */
static void pack_columns(const float *w, int64_t column_step, int64_t rows, int64_t columns, int64_t width,
                         float *panel) {
    for (int64_t j = 0; j < width; j += CP_LANES)
        for (int64_t r = 0; r < rows; r += 2 * CP_LANES) {
            vec v[CP_LANES];
            UNROLL for (int i = 0; i < CP_LANES; i++) v[i] =
                j + i < columns ? round_column(w + r + (j + i) * column_step, rows - r) : (vec){0};
            vec_transpose(v);
            float *to = panel + r / 2 * width + j;
            UNROLL for (int i = 0; i < CP_LANES; i++) if (r + 2 * i < rows) * (vec *)(to + i * width) = v[i];
        }
}

static void pack(const float *w, int64_t row_step, int64_t column_step, int64_t rows, int64_t columns, int64_t width,
                 void *panel) {
    if (column_step == 1) {
        pack_rows(w, row_step, rows, columns, width, panel);
        return;
    }
    if (row_step == 1) {
        pack_columns(w, column_step, rows, columns, width, panel);
        return;
    }
    for (int64_t r = 0; r < rows; r += 2)
        for (int64_t j = 0; j < width; j++) {
            const float *from = w + r * row_step + j * column_step;
            const float pair[2] = {j < columns ? from[0] : 0, j < columns && r + 1 < rows ? from[row_step] : 0};
            round_floats(pair, 2, (word *)panel + r / 2 * width + j);
        }
}

const cp_bf16_kernels cp_bf16_kernels_avx512bf16 = {
    .tile = (const cp_tile_row[CP_MAX_ROWS + 1]){EACH_BLOCK(TILE_ENTRY)},
    .round = round_floats,
    .pack = pack,
};
