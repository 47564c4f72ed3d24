/* The micro-kernel of matrix products, cp_tile: R pixels by V vectors of filters, summed over runs. Which blocks there
 * are, and of what kind of numbers, is for the file that includes this one. */

enum { FLOATS, SHORTS, BYTES, BF16 };

/* sum + x * w of the numbers in each word. */
INLINE vec add_products(vec x, vec w, vec sum, const int kind) {
    switch (kind) {
    case SHORTS:
        return vec_add_shorts(x, w, sum);
#if defined(__AVX512VNNI__)
    case BYTES:
        return vec_add_bytes(x, w, sum);
#endif
#if defined(__AVX512BF16__)
    case BF16:
        return vec_add_bf16(x, w, sum);
#endif
    default:
        return vec_multiply_add(x, w, sum);
    }
}

/* Every block of R rows by V vectors whose sums fit in the registers, beside one row of the panel. */
#define ROWS_TO_6(X, V) X(1, V) X(2, V) X(3, V) X(4, V) X(5, V) X(6, V)
#define ROWS_TO_12(X, V) ROWS_TO_6(X, V) X(7, V) X(8, V) X(9, V) X(10, V) X(11, V) X(12, V)
#if CP_LANES == 16
#define PANEL_VECTORS 4
#define MOST_ROWS                                                                                                      \
    { 0, 14, 12, 8, 6 }
#define EACH_BLOCK(X)                                                                                                  \
    ROWS_TO_12(X, 1) X(13, 1) X(14, 1) ROWS_TO_12(X, 2) ROWS_TO_6(X, 3) X(7, 3) X(8, 3) ROWS_TO_6(X, 4)
#else
#define PANEL_VECTORS 2
#define MOST_ROWS                                                                                                      \
    { 0, 12, 6 }
#define EACH_BLOCK(X) ROWS_TO_12(X, 1) ROWS_TO_6(X, 2)
#endif

/* The sums of a tile until they are written. */
typedef vec tile_sums[CP_MAX_ROWS][CP_MAX_VECTORS];

INLINE void tile_begin(const cp_tile *t, const float *c, tile_sums sum, const int R, const int V) {
    const int last = V - 1, tail = t->tail;
    if (t->flags & CP_ACCUMULATE) {
        UNROLL for (int i = 0; i < R; i++, c += t->c_step) {
            UNROLL for (int j = 0; j < last; j++) sum[i][j] = vec_load(c + j * CP_LANES);
            sum[i][last] = vec_load_some(c + last * CP_LANES, tail);
        }
    } else {
        vec bias[CP_MAX_VECTORS] = {{0}};
        const float *const from = t->bias;
        if (from) {
            UNROLL for (int j = 0; j < last; j++) bias[j] = vec_load(from + j * CP_LANES);
            bias[last] = vec_load_some(from + last * CP_LANES, tail);
        }
        UNROLL for (int i = 0; i < R; i++) {
            UNROLL for (int j = 0; j < V; j++) sum[i][j] = bias[j];
        }
    }
}

INLINE void tile_write_row(const cp_tile *t, float *c, const vec *row, const int V) {
    const int last = V - 1;
    if (t->flags & CP_STREAM) {
        UNROLL for (int j = 0; j < V; j++) vec_stream(c + j * CP_LANES, row[j]);
    } else {
        UNROLL for (int j = 0; j < last; j++) vec_store(c + j * CP_LANES, row[j]);
        vec_store_some(c + last * CP_LANES, row[last], t->tail);
    }
}

/* One tile; its results are left in `kept`. Those of the tile before, which were there, are written at c_before on the
 * way (NULL: there is none): a store that has to wait for its line holds nobody up then. */
INLINE void tile_at(const cp_tile *t, const word *from, const float *c, float *c_before, tile_sums kept, const int R,
                    const int V, const int kind, const int fetches) {
    const int64_t a_step = t->a_step;
    tile_sums sum;
    tile_begin(t, c, sum, R, V);
    for (int64_t r = 0; r < t->run_count; r++) {
        const word *a = from + t->runs[r].a, *const last = a + t->run_length;
        const vec_words *b = (const vec_words *)t->b + t->runs[r].row * V;
        const char *ahead = t->ahead;
        enum { PIECE = 4 }; /* steps between the rows that are written: few, so that the CPU foresees its end */
        for (int row = c_before && r == t->run_count - 1 ? 0 : R; row <= R; row++) {
            if (row < R) tile_write_row(t, c_before + row * t->c_step, kept[row], V);
            const word *const end = row < R && last - a > PIECE ? a + PIECE : last;
            for (; a < end; a++, b += V) {
                if (fetches) {
                    __builtin_prefetch(ahead, 0, 2);
                    ahead += 64;
                }
                UNROLL for (int i = 0; i < R; i++) {
                    const word *const at = a + i * a_step;
                    const vec x = vec_all(kind == BYTES ? *(const word_anywhere *)at : *at);
                    UNROLL for (int j = 0; j < V; j++) sum[i][j] = add_products(x, b[j], sum[i][j], kind);
                }
            }
        }
    }
    if (t->flags & CP_APPLY_RELU) {
        UNROLL for (int i = 0; i < R; i++) {
            UNROLL for (int j = 0; j < V; j++) sum[i][j] = vec_relu(sum[i][j]);
        }
    }
    UNROLL for (int i = 0; i < R; i++) {
        UNROLL for (int j = 0; j < V; j++) kept[i][j] = sum[i][j];
    }
}

INLINE void tile(const cp_tile *call, const int R, const int V, const int kind, const int fetches) {
    const cp_tile copy = *call, *const t = &copy; /* of which the compiler knows that no store changes it */
    static const cp_tile_start here = {0, 0};
    const cp_tile_start *place = t->places ? t->places : &here, *const end = place + (t->places ? t->place_count : 1);
    tile_sums kept;
    float *c = NULL;
    UNROLL for (int j = 0; j < V; j++) kept[0][j] = (vec){0}; /* unread; not all compilers see that */
    do {
        float *const to = (float *)t->c + place->c;
        tile_at(t, (const word *)t->a + place->a, to, c, kept, R, V, kind, fetches);
        c = to;
    } while (++place < end);
    for (int i = 0; i < R; i++) tile_write_row(t, c + i * t->c_step, kept[i], V);
}
