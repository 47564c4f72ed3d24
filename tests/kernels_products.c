/* Kernels against plain loops: matrix products, their packing, and words of narrower numbers. */
#include "kernels.h"

/* --- matrix products --- */

static void blocks_are_complete(void **state) {
    (void)state;
    for (const cp_kernels *const *at = levels, *k; (k = *at) != NULL; at++) {
        assert_true(k->lanes >= 4 && k->vectors >= 1 && k->vectors <= CP_MAX_VECTORS);
        for (int V = 0; V <= CP_MAX_VECTORS; V++)
            for (int R = 0; R <= CP_MAX_ROWS; R++) {
                bool expected = V >= 1 && V <= k->vectors && R >= 1 && R <= k->rows[V];
                assert_int_equal(k->tile[R][V] != NULL, expected);
                assert_int_equal(k->outer[R][V] != NULL, expected);
                if (V == k->vectors) assert_int_equal(k->tile_ahead[R] != NULL, expected);
            }
    }
}

static void plain_tile_at(const cp_tile *t, const float *a, float *to, int R, int V, int lanes) {
    int columns = (V - 1) * lanes + t->tail;
    const float *b = t->b, *bias = t->bias;
    for (int i = 0; i < R; i++)
        for (int j = 0; j < columns; j++) {
            float *c = to + i * t->c_step + j;
            float sum = t->flags & CP_ACCUMULATE ? *c : bias ? bias[j] : 0;
            for (int64_t r = 0; r < t->run_count; r++)
                for (int64_t n = 0; n < t->run_length; n++)
                    sum += a[i * t->a_step + t->runs[r].a + n] * b[(t->runs[r].row + n) * V * lanes + j];
            *c = t->flags & CP_APPLY_RELU ? plain_relu(sum) : sum;
        }
}

static void plain_tile(const cp_tile *t, int R, int V, int lanes) {
    if (!t->places) plain_tile_at(t, t->a, t->c, R, V, lanes);
    for (int64_t n = 0; t->places && n < t->place_count; n++)
        plain_tile_at(t, (const float *)t->a + t->places[n].a, (float *)t->c + t->places[n].c, R, V, lanes);
}

static void check_tile(const cp_kernels *k, guard *g, int R, int V, int tail, int flags) {
    cp_run runs[4];
    cp_tile_start places[4];
    cp_tile t = {.a_step = draw(1, 50),
                 .runs = runs,
                 .run_count = draw(1, 4),
                 .run_length = draw_size(4, 40),
                 .tail = tail,
                 .flags = flags};
    int64_t furthest = 0, deepest = 0;
    for (int64_t r = 0; r < t.run_count; r++) {
        runs[r] = (cp_run){draw(0, 60), draw(0, 30)};
        if (runs[r].a > furthest) furthest = runs[r].a;
        if (runs[r].row > deepest) deepest = runs[r].row;
    }
    int64_t panel = (deepest + t.run_length) * V * k->lanes, columns = (V - 1) * k->lanes + tail;
    float *b = guard_bytes(g, panel * 4, 64);
    for (int64_t i = 0; i < panel; i++) b[i] = draw_integer();
    t.place_count = draw(1, 4);
    t.places = draw(0, 1) ? places : NULL;
    const int64_t tiles = t.places ? t.place_count : 1;
    int64_t away = 0;
    for (int64_t n = 0; t.places && n < tiles; n++) {
        places[n].a = draw(0, 60);
        if (places[n].a > away) away = places[n].a;
    }
    t.a = filled(g, away + (R - 1) * t.a_step + furthest + t.run_length, draw_integer);
    t.b = b;
    t.bias = draw(0, 1) ? filled(g, columns, draw_integer) : NULL;
    t.c_step = flags & CP_STREAM ? columns + k->lanes * draw(0, 2) : columns + draw(0, 3);
    for (int64_t n = 0; n < tiles; n++) places[n].c = (tiles - 1 - n) * R * t.c_step;
    const int64_t rows = tiles * R, outputs = (rows - 1) * t.c_step + columns;
    float *got = guard_bytes(g, outputs * 4, flags & CP_STREAM ? 64 : 4), *want;
    for (int64_t i = 0; flags & CP_ACCUMULATE && i < outputs; i++) got[i] = draw_integer();
    want = copied(g, got, outputs);
    t.c = want;
    plain_tile(&t, R, V, k->lanes);
    t.c = got;
    t.ahead = t.b;
    (V == k->vectors && t.run_count == 1 ? k->tile_ahead[R] : k->tile[R][V])(&t);
    k->stream_end();
    for (int64_t i = 0; i < rows; i++) assert_same_numbers(got + i * t.c_step, want + i * t.c_step, columns, k, "tile");
    for (int64_t i = 0; i + 1 < rows; i++)
        assert_same_bytes(got + i * t.c_step + columns, want + i * t.c_step + columns, (t.c_step - columns) * 4, k,
                          "the gap between rows of a tile");
    guard_free(g);
}

static void tiles(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int V = 1; V <= k->vectors; V++)
            for (int R = 1; R <= k->rows[V]; R++)
                for (int flags = 0; flags < 4; flags++) {
                    check_tile(k, g, R, V, k->lanes, flags);
                    check_tile(k, g, R, V, k->lanes, flags | CP_STREAM);
                    check_tile(k, g, R, V, (int)draw(1, k->lanes), flags);
                    check_tile(k, g, R, V, (int)draw(1, k->lanes), flags);
                }
        for (int tail = 1; tail <= k->lanes; tail++) check_tile(k, g, 3, k->vectors, tail, CP_APPLY_RELU);
    }
}

/* What is no number, or infinite, or tiny, must come through as plain arithmetic has it. */
static void tile_passes_strange_values(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int flags = 0; flags < 4; flags++)
            for (int i = 0; i < 10; i++) {
                float *b = guard_bytes(g, k->lanes * 4, 64), *bias = guard_floats(g, k->lanes);
                float *a = guard_floats(g, 1), *got = guard_floats(g, k->lanes), *want = guard_floats(g, k->lanes);
                *a = strange[i];
                for (int j = 0; j < k->lanes; j++) {
                    b[j] = 1;
                    bias[j] = got[j] = want[j] = j % 2 ? -0.0f : 0.0f;
                }
                cp_run run = {0, 0};
                cp_tile t = {.a = a,
                             .b = b,
                             .runs = &run,
                             .run_count = 1,
                             .run_length = 1,
                             .c = want,
                             .bias = bias,
                             .tail = k->lanes,
                             .flags = flags};
                plain_tile(&t, 1, 1, k->lanes);
                t.c = got;
                k->tile[1][1](&t);
                assert_same_numbers(got, want, k->lanes, k, "tile of strange values");
                guard_free(g);
            }
    }
}

static void plain_outer(const cp_outer *o, int R, int columns) {
    const float *a = o->a, *b = o->b;
    for (int i = 0; i < R; i++)
        for (int j = 0; j < columns; j++) {
            float *c = o->c + i * o->c_step + j;
            float sum = o->flags & CP_ACCUMULATE ? *c : 0;
            for (int64_t y = 0; y < o->rows; y++)
                for (int64_t p = 0; p < o->pixels; p++)
                    sum += a[y * o->a_row + p * o->a_step + i] * b[y * o->b_row + p * o->b_step + j];
            *c = sum;
        }
}

static void check_outer(const cp_kernels *k, guard *g, int R, int V, int tail, int flags) {
    int width = V * k->lanes, columns = width - k->lanes + tail;
    cp_outer o = {.rows = draw(1, 4), .pixels = draw_size(4, 20), .tail = tail, .flags = flags};
    o.a_step = draw(1, 30), o.b_step = draw(1, 2 * width);
    o.a_row = draw(0, 100), o.b_row = draw(0, 200);
    o.c_step = columns + draw(0, 3);
    o.a = filled(g, (o.rows - 1) * o.a_row + (o.pixels - 1) * o.a_step + R, draw_integer);
    o.b = filled(g, (o.rows - 1) * o.b_row + (o.pixels - 1) * o.b_step + width, draw_integer);
    int64_t outputs = (R - 1) * o.c_step + columns;
    float *got = flags & CP_ACCUMULATE ? filled(g, outputs, draw_integer) : guard_floats(g, outputs);
    float *want = copied(g, got, outputs);
    o.c = want;
    plain_outer(&o, R, columns);
    o.c = got;
    k->outer[R][V](&o);
    for (int i = 0; i < R; i++) assert_same_numbers(got + i * o.c_step, want + i * o.c_step, columns, k, "outer");
    for (int i = 0; i + 1 < R; i++)
        assert_same_bytes(got + i * o.c_step + columns, want + i * o.c_step + columns, (o.c_step - columns) * 4, k,
                          "the gap between rows of an outer product");
    guard_free(g);
}

static void outers(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int V = 1; V <= k->vectors; V++)
            for (int R = 1; R <= k->rows[V]; R++)
                for (int flags = 0; flags < 2; flags++) {
                    check_outer(k, g, R, V, k->lanes, flags);
                    check_outer(k, g, R, V, (int)draw(1, k->lanes), flags);
                }
        for (int tail = 1; tail <= k->lanes; tail++) check_outer(k, g, 2, k->vectors, tail, 0);
    }
}

/* --- packing --- */

static void check_pack(const cp_kernels *k, guard *g, int64_t row_step, int64_t column_step, int64_t rows,
                       int64_t columns, int64_t width) {
    float *w = filled(g, (rows - 1) * row_step + (columns - 1) * column_step + 1, draw_real);
    float *got = guard_bytes(g, rows * width * 4, 64), *want = guard_floats(g, rows * width);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < width; j++) want[r * width + j] = j < columns ? w[r * row_step + j * column_step] : 0;
    k->pack(w, row_step, column_step, rows, columns, width, got);
    assert_same_bytes(got, want, rows * width * 4, k, "panel");
    guard_free(g);
}

static void packs(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 200; i++) {
            int64_t width = draw(1, k->vectors) * k->lanes, columns = draw(1, width), rows = draw_size(k->lanes, 70);
            check_pack(k, g, columns + draw(0, 9), 1, rows, columns, width);
            check_pack(k, g, 1, rows + draw(0, 9), rows, columns, width);
            check_pack(k, g, 2, 2 * rows + draw(0, 9), rows, columns, width);
            check_pack(k, g, 1, 1, rows, columns, width);
        }
    }
}

/* --- words of narrower numbers --- */

/* The float that a bf16 number is. */
static float bf16_value(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, 4);
    return value;
}

/* Rounded to the nearest, ties to even; denormals are 0. */
static uint16_t bf16_bits(float value) {
    uint32_t wide;
    memcpy(&wide, &value, 4);
    if (isnan(value)) return (uint16_t)(wide >> 16 | 0x40);
    if ((wide & 0x7f800000) == 0) return (uint16_t)(wide >> 16 & 0x8000);
    return (uint16_t)((wide + 0x7fff + (wide >> 16 & 1)) >> 16);
}

typedef struct narrow {
    const char *name;
    int in_word;
    double (*value)(const void *numbers, int64_t i, bool weights);
    uint32_t (*word)(bool weights); /* a random one */
} narrow;

static double short_at(const void *numbers, int64_t i, bool weights) {
    (void)weights;
    return ((const int16_t *)numbers)[i];
}
static double byte_at(const void *numbers, int64_t i, bool weights) {
    return weights ? ((const int8_t *)numbers)[i] : ((const uint8_t *)numbers)[i];
}
static double bf16_at(const void *numbers, int64_t i, bool weights) {
    (void)weights;
    return bf16_value(((const uint16_t *)numbers)[i]);
}
/* The extremes often: a sum that saturates would show. */
static uint32_t short_word(bool weights) {
    (void)weights;
    const int64_t most = 255, low = draw(0, 2) ? draw(-most, most) : most,
                  high = draw(0, 2) ? draw(-most, most) : -most;
    return (uint32_t)(low & 0xffff) | (uint32_t)(high & 0xffff) << 16;
}
static uint32_t byte_word(bool weights) {
    uint32_t word = 0;
    for (int i = 0; i < 4; i++) {
        const int64_t extreme = weights ? (draw(0, 1) ? 0x80 : 0x7f) : 255;
        word = word << 8 | (uint32_t)(draw(0, 1) ? extreme : draw(0, 255));
    }
    return word;
}
static uint32_t bf16_word(bool weights) {
    (void)weights;
    return bf16_bits(draw_integer()) | (uint32_t)bf16_bits(draw_integer()) << 16;
}
static const narrow narrow_short = {"tile of shorts", 2, short_at, short_word};
static const narrow narrow_byte = {"tile of bytes", 4, byte_at, byte_word};
static const narrow narrow_bf16 = {"tile of bf16", 2, bf16_at, bf16_word};

static uint32_t *filled_words(guard *g, int64_t n, int64_t alignment, uint32_t (*word)(bool), bool weights) {
    uint32_t *to = guard_bytes(g, n * 4, alignment);
    for (int64_t i = 0; i < n; i++) to[i] = word(weights);
    return to;
}

/* What an element of a matrix product becomes: exact numbers in bf16, s32 otherwise. */
static void store(void *c, int64_t i, const narrow *kind, double sum) {
    if (kind == &narrow_bf16)
        ((float *)c)[i] = (float)sum;
    else
        ((int32_t *)c)[i] = (int32_t)sum;
}
static double load(const void *c, int64_t i, const narrow *kind) {
    return kind == &narrow_bf16 ? ((const float *)c)[i] : ((const int32_t *)c)[i];
}

static void plain_narrow_tile(const cp_tile *t, const narrow *kind, int R, int V, int lanes) {
    const int columns = (V - 1) * lanes + t->tail, w = kind->in_word;
    for (int i = 0; i < R; i++)
        for (int j = 0; j < columns; j++) {
            const int64_t at = i * t->c_step + j;
            double sum = t->flags & CP_ACCUMULATE ? load(t->c, at, kind) : t->bias ? load(t->bias, j, kind) : 0;
            for (int64_t r = 0; r < t->run_count; r++)
                for (int64_t n = 0; n < t->run_length * w; n++)
                    sum += kind->value(t->a, (i * t->a_step + t->runs[r].a) * w + n, false) *
                           kind->value(t->b, ((t->runs[r].row + n / w) * V * lanes + j) * w + n % w, true);
            store(t->c, at, kind, t->flags & CP_APPLY_RELU && sum < 0 ? 0 : sum);
        }
}

static void check_narrow_tile(const cp_kernels *k, guard *g, const cp_tile_row *tiles, const narrow *kind, int R, int V,
                              int tail, int flags) {
    cp_run runs[3];
    cp_tile t = {.a_step = draw(1, 50), .runs = runs, .run_count = draw(1, 3), .tail = tail, .flags = flags};
    t.run_length = draw_size(4, 20);
    int64_t furthest = 0, rows = 0;
    for (int64_t r = 0; r < t.run_count; r++) {
        runs[r] = (cp_run){draw(0, 40), draw(0, 20)};
        if (runs[r].a > furthest) furthest = runs[r].a;
        if (runs[r].row > rows) rows = runs[r].row;
    }
    const int64_t columns = (V - 1) * k->lanes + tail;
    t.a = filled_words(g, (R - 1) * t.a_step + furthest + t.run_length, 4, kind->word, false);
    t.b = filled_words(g, (rows + t.run_length) * V * k->lanes, 64, kind->word, true);
    int32_t *bias = guard_bytes(g, columns * 4, 4);
    for (int64_t j = 0; j < columns; j++) store(bias, j, kind, (double)draw(-1000, 1000));
    if (draw(0, 1)) t.bias = bias;
    t.c_step = columns + draw(0, 3);
    const int64_t outputs = (R - 1) * t.c_step + columns;
    int32_t *got = guard_bytes(g, outputs * 4, 4);
    if (flags & CP_ACCUMULATE)
        for (int64_t j = 0; j < outputs; j++) store(got, j, kind, (double)draw(-1000, 1000));
    int32_t *want = guard_bytes(g, outputs * 4, 4);
    memcpy(want, got, (size_t)outputs * 4);
    t.c = want;
    plain_narrow_tile(&t, kind, R, V, k->lanes);
    t.c = got;
    tiles[R][V](&t);
    assert_same_bytes(got, want, outputs * 4, k, kind->name);
    guard_free(g);
}

static void check_narrow_tiles(const cp_kernels *k, guard *g, const cp_tile_row *tiles, const narrow *kind, int most) {
    if (!tiles) return;
    for (int V = 0; V <= CP_MAX_VECTORS; V++)
        for (int R = 0; R <= CP_MAX_ROWS; R++) {
            const bool expected = V >= 1 && V <= k->vectors && R >= 1 && R <= k->rows[V];
            assert_int_equal(tiles[R][V] != NULL, expected);
            for (int flags = 0; expected && flags < most; flags++) {
                check_narrow_tile(k, g, tiles, kind, R, V, k->lanes, flags);
                check_narrow_tile(k, g, tiles, kind, R, V, (int)draw(1, k->lanes), flags);
            }
        }
}

static void tiles_of_narrow_numbers(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        check_narrow_tiles(k, g, k->short_tile, &narrow_short, CP_ACCUMULATE + 1);
        check_narrow_tiles(k, g, k->byte_tile, &narrow_byte, CP_ACCUMULATE + 1);
        check_narrow_tiles(k, g, k->bf16 ? k->bf16->tile : NULL, &narrow_bf16, 4);
    }
}

/* What each level promises to have. */
static void levels_have_their_products(void **state) {
    (void)state;
    for (cp_isa isa = CP_ISA_PORTABLE; cp_cpu_can(isa); isa++) {
        const cp_kernels *k = cp_kernels_of(isa);
        assert_string_equal(k->name, cp_isa_name(isa));
        assert_non_null(k->short_tile);
        assert_int_equal(k->byte_tile != NULL, isa >= CP_ISA_AVX512VNNI);
        assert_int_equal(k->bf16 != NULL, isa >= CP_ISA_AVX512BF16);
    }
}

/* Ties, both ways, and what no rounding changes. */
static float draw_rounded(void) {
    static const uint32_t bits[] = {0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0x7f7fffff, 0xff7f8000, 0x00000001,
                                    0x007fffff, 0x80400000, 0x00800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x80000000};
    float value;
    memcpy(&value, &bits[draw(0, sizeof bits / sizeof *bits - 1)], 4);
    return draw(0, 2) ? draw_real() : value;
}

static void rounding_to_bf16(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int64_t n = 1; k->bf16 && n < 150; n++) {
            const int64_t words = (n + 1) / 2;
            float *x = filled(g, n, draw_rounded);
            uint16_t *got = guard_bytes(g, words * 4, 4), *want = guard_bytes(g, words * 4, 4);
            for (int64_t i = 0; i < 2 * words; i++) want[i] = i < n ? bf16_bits(x[i]) : 0;
            k->bf16->round(x, n, got);
            assert_same_bytes(got, want, words * 4, k, "rounding to bf16");
            guard_free(g);
        }
    }
}

static void check_bf16_pack(const cp_kernels *k, guard *g, int64_t row_step, int64_t column_step, int64_t rows,
                            int64_t columns, int64_t width) {
    float *w = filled(g, (rows - 1) * row_step + (columns - 1) * column_step + 1, draw_rounded);
    const int64_t words = (rows + 1) / 2 * width;
    uint16_t *got = guard_bytes(g, words * 4, 64), *want = guard_bytes(g, words * 4, 4);
    for (int64_t r = 0; r < rows + rows % 2; r++)
        for (int64_t j = 0; j < width; j++)
            want[(r / 2 * width + j) * 2 + r % 2] =
                r < rows && j < columns ? bf16_bits(w[r * row_step + j * column_step]) : 0;
    k->bf16->pack(w, row_step, column_step, rows, columns, width, got);
    assert_same_bytes(got, want, words * 4, k, "panel of bf16");
    guard_free(g);
}

static void packs_of_bf16(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; k->bf16 && i < 200; i++) {
            int64_t width = draw(1, k->vectors) * k->lanes, columns = draw(1, width), rows = draw_size(k->lanes, 70);
            check_bf16_pack(k, g, columns + draw(0, 9), 1, rows, columns, width);
            check_bf16_pack(k, g, 1, rows + draw(0, 9), rows, columns, width);
            check_bf16_pack(k, g, 2, 2 * rows + draw(0, 9), rows, columns, width);
        }
    }
}

static void widening(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int64_t n = 1; n < 150; n++) {
            const int is_signed = (int)draw(0, 1), zero = (int)(is_signed ? draw(-128, 127) : draw(0, 255));
            const int64_t words = (n + 1) / 2;
            uint8_t *x = guard_bytes(g, n, 1);
            int16_t *got = guard_bytes(g, words * 4, 4), *want = guard_bytes(g, words * 4, 4);
            for (int64_t i = 0; i < n; i++) x[i] = (uint8_t)draw(0, 255);
            for (int64_t i = 0; i < 2 * words; i++)
                want[i] = i == n ? 0 : (int16_t)((is_signed ? (int8_t)x[i] : x[i]) - zero);
            k->widen(x, is_signed, zero, n, got);
            assert_same_bytes(got, want, words * 4, k, "widened bytes");
            guard_free(g);
        }
    }
}

static void check_requantise(const cp_kernels *k, guard *g, bool is_signed) {
    cp_requantise q = {.rows = draw(1, 4), .columns = draw_size(k->lanes, 70), .low = is_signed ? -128 : 0};
    q.high = q.low + 255;
    q.zero = (int32_t)draw(q.low, q.high);
    if (draw(0, 3) == 0) q.low = q.zero; /* as ReLU behind it */
    q.sums_step = q.columns + draw(0, 3);
    q.y_step = q.columns + draw(0, 3);
    int32_t *sums = guard_bytes(g, ((q.rows - 1) * q.sums_step + q.columns) * 4, 4);
    for (int64_t i = 0; i < (q.rows - 1) * q.sums_step + q.columns; i++)
        sums[i] = (int32_t)(draw(0, 5) ? draw(-600, 600) : draw(INT32_MIN, INT32_MAX));
    float *scale = guard_floats(g, q.columns);
    for (int64_t j = 0; j < q.columns; j++) scale[j] = draw(0, 1) ? 0.5f : (float)draw(1, 1000) / 700; /* ties */
    const int64_t bytes = (q.rows - 1) * q.y_step + q.columns;
    uint8_t *got = guard_bytes(g, bytes, 1), *want = guard_bytes(g, bytes, 1);
    for (int64_t i = 0; i < q.rows; i++)
        for (int64_t j = 0; j < q.columns; j++) {
            const float product = (float)sums[i * q.sums_step + j] * scale[j];
            const double y = rint((double)product) + q.zero;
            want[i * q.y_step + j] = (uint8_t)(int)(y < q.low ? q.low : y > q.high ? q.high : y);
        }
    q.sums = sums, q.scale = scale, q.y = got;
    k->requantise(&q);
    assert_same_bytes(got, want, bytes, k, "requantised sums");
    guard_free(g);
}

static void requantising(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 200; i++) check_requantise(k, g, i % 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_complete),
        cmocka_unit_test(tiles),
        cmocka_unit_test(tile_passes_strange_values),
        cmocka_unit_test(outers),
        cmocka_unit_test(packs),
        cmocka_unit_test(levels_have_their_products),
        cmocka_unit_test(tiles_of_narrow_numbers),
        cmocka_unit_test(rounding_to_bf16),
        cmocka_unit_test(packs_of_bf16),
        cmocka_unit_test(widening),
        cmocka_unit_test(requantising),
    };
    return cmocka_run_group_tests_name("kernels: products", tests, find_levels, NULL);
}
