/* The kernels of every level that this CPU can run, against plain loops: on integers without any error, with every
 * buffer at the edge of a page without access, and with everything untouched that is not an output. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "guard.h"
#include "plan/plan.h"

/* --- levels --- */

static const cp_kernels *levels[8]; /* ends with NULL */

static int find_levels(void **state) {
    (void)state;
    int n = 0;
    for (cp_isa isa = CP_ISA_PORTABLE; cp_cpu_can(isa); isa++) levels[n++] = cp_kernels_of(isa);
    return 0;
}

/* Runs the body for each level `k`, once with the guards `g` behind the buffers and once before them. */
#define FOR_EACH_LEVEL(k, g)                                                                                           \
    for (const cp_kernels *const *at = levels, *k; (k = *at) != NULL; at++)                                            \
        for (guard g##_pass[2] = {{.at_end = true}, {.at_end = false}}, *g = g##_pass; g < g##_pass + 2; g++)

/* --- random numbers and the comparison of arrays --- */

static uint64_t random_state = 1;

static int64_t draw(int64_t least, int64_t most) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return least + (int64_t)((random_state >> 33) % (uint64_t)(most - least + 1));
}

/* Sizes where loops change: 1, around a vector and its multiples, else any. */
static int64_t draw_size(int64_t lanes, int64_t most) {
    int64_t size = draw(0, 2) ? lanes * draw(0, 4) + draw(-1, 1) : draw(1, most);
    return size < 1 ? 1 : size > most ? most : size;
}

static float draw_integer(void) {
    return (float)draw(-4, 4);
}
static float draw_real(void) {
    return (float)draw(-1000000, 1000000) / 1000000;
}

static const float strange[] = {0.0f, -0.0f, 1.0f, -1.0f, 1e-42f, -1e-42f, 3.0e38f, INFINITY, -INFINITY, NAN};
static float draw_strange(void) {
    float value = strange[draw(0, 9)];
    if (value != value) { /* NaNs that can be told apart */
        uint32_t bits = 0x7fc00000u + (uint32_t)draw(1, 1000);
        memcpy(&value, &bits, 4);
    }
    return value;
}

static float *filled(guard *g, int64_t n, float (*value)(void)) {
    float *x = guard_floats(g, n);
    for (int64_t i = 0; i < n; i++) x[i] = value();
    return x;
}

static float *copied(guard *g, const float *x, int64_t n) {
    return memcpy(guard_floats(g, n), x, (size_t)n * 4);
}

/* Bit for bit, so also what lies between the rows of an output. */
static void assert_same_bytes(const void *got, const void *want, int64_t bytes, const cp_kernels *k, const char *what) {
    const unsigned char *a = got, *b = want;
    for (int64_t i = 0; i < bytes; i++)
        if (a[i] != b[i])
            fail_msg("%s: %s differs at byte %lld of %lld", k->name, what, (long long)i, (long long)bytes);
}

/* 0 and -0 are the same number, all NaNs too. */
static void assert_same_numbers(const float *got, const float *want, int64_t n, const cp_kernels *k, const char *what) {
    for (int64_t i = 0; i < n; i++)
        if (got[i] != want[i] && !(isnan(got[i]) && isnan(want[i])))
            fail_msg("%s: %s[%lld of %lld] is %.9g instead of %.9g", k->name, what, (long long)i, (long long)n,
                     (double)got[i], (double)want[i]);
}

static void assert_near(const float *got, const double *want, int64_t n, double error, const cp_kernels *k,
                        const char *what) {
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= error))
            fail_msg("%s: %s[%lld of %lld] is %.9g instead of %.9g", k->name, what, (long long)i, (long long)n,
                     (double)got[i], want[i]);
}

static float plain_relu(float v) {
    return v < 0 ? 0 : v;
}

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

/* --- Winograd's transforms: one tile, from inputs and weights to outputs, and back to the gradient by the weights ---
 */

typedef struct winograd_tile {
    const cp_winograd *by;
    int64_t outputs_down, taps_down, elements;                     /* down: 1 where only the columns are transformed */
    int64_t rows, columns, row, column, before, channels, filters; /* outputs are as many as inputs */
    const float *x, *w, *bias, *dy;                                /* [row][column][channel], [tap][channel][filter] */
    int64_t v_step, u_step, u_row;
    float *v, *u, *m;
} winograd_tile;

static winograd_tile draw_winograd(const cp_kernels *k, guard *g, int form, float (*value)(void)) {
    winograd_tile t = {.by = &k->winograd[form], .rows = draw(1, 9), .columns = draw(1, 9), .before = draw(0, 4)};
    const int64_t points = t.by->outputs + t.by->taps - 1;
    t.outputs_down = t.by->axes == 2 ? t.by->outputs : 1;
    t.taps_down = t.by->axes == 2 ? t.by->taps : 1;
    t.elements = t.by->axes == 2 ? points * points : points;
    t.channels = draw_size(k->lanes, 40);
    t.filters = draw_size(k->lanes, 40);
    t.row = draw(0, t.rows - 1);
    t.column = draw(0, t.columns - 1);
    t.x = filled(g, t.rows * t.columns * t.channels, value);
    t.dy = filled(g, t.rows * t.columns * t.filters, value);
    t.w = filled(g, t.taps_down * t.by->taps * t.channels * t.filters, value);
    t.bias = draw(0, 1) ? filled(g, t.filters, value) : NULL;
    t.v_step = (t.channels + k->lanes - 1) / k->lanes * k->lanes + draw(0, 3);
    t.u_row = (t.filters + k->lanes - 1) / k->lanes * k->lanes;
    t.u_step = t.channels * t.u_row + 16 * draw(0, 2);
    t.v = guard_floats(g, (t.elements - 1) * t.v_step + (t.channels + k->lanes - 1) / k->lanes * k->lanes);
    t.u = guard_bytes(g, ((t.elements - 1) * t.u_step + t.channels * t.u_row) * 4, 64);
    t.m = guard_floats(g, t.elements * t.u_row);
    const cp_winograd_input input = {.x = t.x,
                                     .x_row = t.columns * t.channels,
                                     .x_column = t.channels,
                                     .rows = t.rows,
                                     .columns = t.columns,
                                     .row = t.row - (t.taps_down > 1 ? t.before : 0),
                                     .column = t.column - t.before,
                                     .v = t.v,
                                     .v_step = t.v_step,
                                     .channels = t.channels};
    t.by->input(&input);
    return t;
}

/* The pixel that output (i,j) of the tile meets at tap (r,s), or -1. */
static int64_t winograd_pixel(const winograd_tile *t, int64_t i, int64_t j, int64_t r, int64_t s) {
    const int64_t y = t->row + i + r - (t->taps_down > 1 ? t->before : 0), x = t->column + j + s - t->before;
    return y >= 0 && y < t->rows && x >= 0 && x < t->columns ? y * t->columns + x : -1;
}

/* Of output (i,j), filter f; *sum: of the absolute products. */
static double plain_winograd(const winograd_tile *t, int64_t i, int64_t j, int64_t f, double *sum) {
    double y = t->bias ? t->bias[f] : 0;
    *sum = fabs(y);
    for (int64_t r = 0; r < t->taps_down; r++)
        for (int64_t s = 0; s < t->by->taps; s++)
            for (int64_t ch = 0, pixel = winograd_pixel(t, i, j, r, s); pixel >= 0 && ch < t->channels; ch++) {
                const double product = (double)t->x[pixel * t->channels + ch] *
                                       t->w[((r * t->by->taps + s) * t->channels + ch) * t->filters + f];
                y += product;
                *sum += fabs(product);
            }
    return y;
}

/* F(2x2,3x3) keeps small integers; the others have irrational points. */
static double winograd_error(int form, double sum) {
    return form == CP_WINOGRAD_2X2_3X3 ? 0 : 64 * 0x1p-24 * sum;
}

static void check_winograd_outputs(const cp_kernels *k, guard *g, int form) {
    const winograd_tile t = draw_winograd(k, g, form, draw_integer);
    const cp_winograd_weights weights = {.w = t.w,
                                         .w_tap = t.channels * t.filters,
                                         .w_row = t.filters,
                                         .rows = t.channels,
                                         .columns = t.filters,
                                         .u = t.u,
                                         .u_step = t.u_step,
                                         .u_row = t.u_row};
    t.by->weights(&weights);
    for (int64_t e = 0; e < t.elements; e++)
        for (int64_t f = 0; f < t.u_row; f++) {
            double sum = 0;
            for (int64_t ch = 0; ch < t.channels; ch++)
                sum += (double)t.v[e * t.v_step + ch] * t.u[e * t.u_step + ch * t.u_row + f];
            t.m[e * t.u_row + f] = (float)sum;
        }
    float *y = guard_floats(g, t.rows * t.columns * t.filters);
    float *want = copied(g, y, t.rows * t.columns * t.filters);
    const cp_winograd_output output = {.m = t.m,
                                       .m_step = t.u_row,
                                       .y = y,
                                       .y_row = t.columns * t.filters,
                                       .y_column = t.filters,
                                       .rows = t.rows,
                                       .columns = t.columns,
                                       .row = t.row,
                                       .column = t.column,
                                       .bias = t.bias,
                                       .filters = t.filters,
                                       .flags = draw(0, 1) ? CP_APPLY_RELU : 0};
    t.by->output(&output);
    for (int64_t f = 0; f < t.filters; f++) {
        double exact[16], sum, largest = 0;
        for (int64_t i = 0; i < t.outputs_down; i++)
            for (int64_t j = 0; j < t.by->outputs; j++) {
                exact[i * t.by->outputs + j] = plain_winograd(&t, i, j, f, &sum);
                if (sum > largest) largest = sum;
            }
        for (int64_t i = 0; i < t.outputs_down && t.row + i < t.rows; i++)
            for (int64_t j = 0; j < t.by->outputs && t.column + j < t.columns; j++) {
                const int64_t at = ((t.row + i) * t.columns + t.column + j) * t.filters + f;
                double value = exact[i * t.by->outputs + j];
                if (output.flags && value < 0) value = 0;
                assert_near(y + at, &value, 1, winograd_error(form, largest), k, "a Winograd output");
                want[at] = y[at];
            }
    }
    assert_same_bytes(y, want, t.rows * t.columns * t.filters * 4, k, "what is not of the tile");
    guard_free(g);
}

static void check_winograd_gradient(const cp_kernels *k, guard *g, int form) {
    const winograd_tile t = draw_winograd(k, g, form, draw_integer);
    const cp_winograd_input gradient = {.x = t.dy,
                                        .x_row = t.columns * t.filters,
                                        .x_column = t.filters,
                                        .rows = t.rows,
                                        .columns = t.columns,
                                        .row = t.row,
                                        .column = t.column,
                                        .v = t.m,
                                        .v_step = t.u_row,
                                        .channels = t.filters};
    t.by->gradient(&gradient);
    for (int64_t e = 0; e < t.elements; e++)
        for (int64_t ch = 0; ch < t.channels; ch++)
            for (int64_t f = 0; f < t.u_row; f++)
                t.u[e * t.u_step + ch * t.u_row + f] = t.v[e * t.v_step + ch] * t.m[e * t.u_row + f];
    float *dw = guard_floats(g, t.taps_down * t.by->taps * t.channels * t.filters);
    const cp_winograd_weight_gradient back = {.u = t.u,
                                              .u_step = t.u_step,
                                              .u_row = t.u_row,
                                              .rows = t.channels,
                                              .columns = t.filters,
                                              .w = dw,
                                              .w_tap = t.channels * t.filters,
                                              .w_row = t.filters};
    t.by->weight_gradient(&back);
    for (int64_t r = 0; r < t.taps_down; r++)
        for (int64_t s = 0; s < t.by->taps; s++)
            for (int64_t ch = 0; ch < t.channels; ch++)
                for (int64_t f = 0; f < t.filters; f++) {
                    double want = 0;
                    for (int64_t i = 0; i < t.outputs_down && t.row + i < t.rows; i++)
                        for (int64_t j = 0; j < t.by->outputs && t.column + j < t.columns; j++) {
                            const int64_t pixel = winograd_pixel(&t, i, j, r, s);
                            const int64_t out = (t.row + i) * t.columns + t.column + j;
                            if (pixel >= 0) want += (double)t.x[pixel * t.channels + ch] * t.dy[out * t.filters + f];
                        }
                    /* of at most 16 products of at most 16 */
                    assert_near(dw + ((r * t.by->taps + s) * t.channels + ch) * t.filters + f, &want, 1,
                                winograd_error(form, 256), k, "a weight's gradient of Winograd");
                }
    guard_free(g);
}

static void winograd_transforms(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int form = 0; form < CP_WINOGRADS; form++)
            for (int i = 0; i < 20; i++) {
                check_winograd_outputs(k, g, form);
                check_winograd_gradient(k, g, form);
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

/* --- depthwise --- */

static void plain_depthwise(const cp_depthwise *d) {
    for (int64_t p = 0; p < d->pixels; p++)
        for (int64_t c = 0; c < d->channels; c++) {
            float *y = d->y + p * d->y_step + c;
            float sum = d->flags & CP_ACCUMULATE ? *y : d->bias ? d->bias[c] : 0;
            for (int64_t r = 0; r < d->rows; r++)
                for (int64_t s = 0; s < d->columns; s++)
                    sum += d->x[p * d->x_step + r * d->x_row + s * d->x_column + c] *
                           d->w[r * d->w_row + s * d->w_column + c];
            *y = d->flags & CP_APPLY_RELU ? plain_relu(sum) : sum;
        }
}

/* A random row; outputs stands for the floats from the first to the last of y. */
static cp_depthwise draw_depthwise(const cp_kernels *k, guard *g, float (*value)(void), int64_t *outputs) {
    cp_depthwise d = {.pixels = draw(1, 30), .rows = draw(1, 5), .columns = draw(0, 1) ? 3 : draw(1, 7)};
    d.channels = draw_size(k->lanes, 5 * k->lanes);
    int64_t pixel = d.channels + draw(0, 2), stride = draw(1, 3), dilation = draw(1, 3);
    d.x_step = stride * pixel, d.x_column = dilation * pixel;
    d.x_row = (d.pixels * stride + d.columns * dilation) * pixel;
    d.w_column = d.channels + draw(0, 2), d.w_row = d.columns * d.w_column;
    d.y_step = d.channels + draw(0, 3);
    d.x = filled(g, (d.pixels - 1) * d.x_step + (d.rows - 1) * d.x_row + (d.columns - 1) * d.x_column + d.channels,
                 value);
    d.w = filled(g, (d.rows - 1) * d.w_row + (d.columns - 1) * d.w_column + d.channels, value);
    d.bias = draw(0, 1) ? filled(g, d.channels, value) : NULL;
    d.flags = (int)draw(0, 3);
    *outputs = (d.pixels - 1) * d.y_step + d.channels;
    d.y = filled(g, *outputs, value);
    return d;
}

static void depthwise_rows(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 300; i++) {
            int64_t outputs;
            cp_depthwise d = draw_depthwise(k, g, draw_integer, &outputs);
            float *got = d.flags & CP_ACCUMULATE ? copied(g, d.y, outputs) : guard_floats(g, outputs);
            for (int64_t p = 0; p + 1 < d.pixels; p++) /* the gaps */
                memcpy(got + p * d.y_step + d.channels, d.y + p * d.y_step + d.channels,
                       (size_t)(d.y_step - d.channels) * 4);
            plain_depthwise(&d);
            float *want = d.y;
            d.y = got;
            k->depthwise(&d);
            assert_same_numbers(got, want, outputs, k, "depthwise");
            guard_free(g);
        }
    }
}

/* However a row is cut into calls, the bits are the same. */
static void depthwise_may_be_split(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 100; i++) {
            int64_t outputs;
            cp_depthwise d = draw_depthwise(k, g, draw_real, &outputs);
            float *whole = d.y, *parts = copied(g, whole, outputs);
            k->depthwise(&d);
            int64_t pixels = d.pixels;
            const float *x = d.x;
            for (int64_t p = 0; p < pixels; p += d.pixels) {
                d.pixels = draw(1, pixels - p);
                d.x = x + p * d.x_step;
                d.y = parts + p * d.y_step;
                k->depthwise(&d);
            }
            assert_same_bytes(parts, whole, outputs * 4, k, "depthwise in parts");
            guard_free(g);
        }
    }
}

static void plain_channel_products(const cp_channel_products *j) {
    for (int64_t r = 0; r < j->tap_rows; r++)
        for (int64_t t = 0; t < j->taps; t++)
            for (int64_t c = 0; c < j->channels; c++)
                for (int64_t i = 0; i < j->rows; i++)
                    for (int64_t p = 0; p < j->pixels; p++)
                        j->y[r * j->y_tap_row + t * j->y_tap + c] +=
                            j->a[i * j->a_row + p * j->a_step + r * j->a_tap_row + t * j->a_tap + c] *
                            j->b[i * j->b_row + p * j->b_step + c];
}

static void depthwise_weight_gradients(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 300; i++) {
            cp_channel_products j = {.rows = draw(1, 4), .pixels = draw(1, 9), .tap_rows = draw(1, 4)};
            j.taps = draw(0, 1) ? 3 : draw(1, 16);
            j.channels = draw_size(k->lanes, 5 * k->lanes);
            int64_t pixel = j.channels + draw(0, 2), stride = draw(1, 3);
            j.a_step = stride * pixel, j.a_tap = draw(1, 3) * pixel;
            j.a_tap_row = draw(1, 30) * pixel, j.a_row = stride * j.a_tap_row;
            j.b_step = pixel, j.b_row = draw(1, 10) * pixel;
            j.y_tap = pixel, j.y_tap_row = j.taps * pixel + draw(0, 3);
            j.a = filled(g,
                         (j.rows - 1) * j.a_row + (j.pixels - 1) * j.a_step + (j.tap_rows - 1) * j.a_tap_row +
                             (j.taps - 1) * j.a_tap + j.channels,
                         draw_integer);
            j.b = filled(g, (j.rows - 1) * j.b_row + (j.pixels - 1) * j.b_step + j.channels, draw_integer);
            int64_t outputs = (j.tap_rows - 1) * j.y_tap_row + (j.taps - 1) * j.y_tap + j.channels;
            float *got = filled(g, outputs, draw_integer), *want = copied(g, got, outputs);
            j.y = want;
            plain_channel_products(&j);
            j.y = got;
            k->channel_products(&j);
            assert_same_numbers(got, want, outputs, k, "weight gradient of a depthwise convolution");
            guard_free(g);
        }
    }
}

/* --- pooling --- */

static const int64_t tap_counts[] = {1, 2, 3, 4, 5, 6, 9, 12, 49};

static void draw_taps(int64_t taps, int64_t pixel, int64_t *offset, uint8_t *id) {
    for (int64_t t = 0; t < taps; t++) {
        offset[t] = draw(0, 20) * pixel;
        id[t] = (uint8_t)(draw(0, 4) + (t ? id[t - 1] + 1 : 0));
    }
}

static int64_t largest(const int64_t *values, int64_t n) {
    int64_t most = values[0];
    for (int64_t i = 1; i < n; i++) most = values[i] > most ? values[i] : most;
    return most;
}

static void plain_max_pool(const cp_pool_row *p) {
    for (int64_t i = 0; i < p->pixels; i++)
        for (int64_t c = 0; c < p->channels; c++) {
            float best = p->x[i * p->x_step + p->offset[0] + c];
            uint8_t id = p->id[0];
            for (int64_t t = 1; t < p->taps; t++) {
                float v = p->x[i * p->x_step + p->offset[t] + c];
                if (v > best || (isnan(v) && !isnan(best))) {
                    best = v;
                    id = p->id[t];
                }
            }
            if (p->y) p->y[i * p->y_step + c] = best;
            if (p->index) p->index[i * p->y_step + c] = id;
        }
}

static void plain_average_pool(const cp_pool_row *p) {
    for (int64_t i = 0; i < p->pixels; i++)
        for (int64_t c = 0; c < p->channels; c++) {
            float sum = 0;
            for (int64_t t = 0; t < p->taps; t++) sum += p->x[i * p->x_step + p->offset[t] + c];
            p->y[i * p->y_step + c] = p->factor * sum;
        }
}

static void check_pool(const cp_kernels *k, guard *g, int64_t taps, float (*value)(void), bool with_y, bool with_index,
                       void (*kernel)(const cp_pool_row *), void (*plain)(const cp_pool_row *)) {
    int64_t offset[64];
    uint8_t id[64];
    cp_pool_row p = {.offset = offset, .id = id, .taps = taps, .pixels = draw(1, 6), .factor = 0.25f};
    p.channels = draw_size(k->lanes, 10 * k->lanes);
    draw_taps(taps, p.channels, offset, id);
    p.x_step = draw(1, 3) * p.channels;
    p.y_step = p.channels + draw(0, 3);
    p.x = filled(g, (p.pixels - 1) * p.x_step + largest(offset, taps) + p.channels, value);
    int64_t outputs = (p.pixels - 1) * p.y_step + p.channels;
    float *got = guard_floats(g, outputs), *want = guard_floats(g, outputs);
    uint8_t *got_index = guard_bytes(g, outputs, 1), *want_index = guard_bytes(g, outputs, 1);
    p.y = with_y ? want : NULL, p.index = with_index ? want_index : NULL;
    plain(&p);
    p.y = with_y ? got : NULL, p.index = with_index ? got_index : NULL;
    kernel(&p);
    assert_same_bytes(got, want, outputs * 4, k, "pool");
    assert_same_bytes(got_index, want_index, outputs, k, "index");
    guard_free(g);
}

static void max_pools(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (size_t n = 0; n < sizeof tap_counts / sizeof *tap_counts; n++)
            for (int i = 0; i < 12; i++)
                for (int outputs = 1; outputs < 4; outputs++) {
                    const bool with_y = outputs & 1, with_index = outputs & 2;
                    check_pool(k, g, tap_counts[n], draw_integer, with_y, with_index, k->max_pool, plain_max_pool);
                    check_pool(k, g, tap_counts[n], draw_strange, with_y, with_index, k->max_pool, plain_max_pool);
                }
    }
}

static void average_pools(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (size_t n = 0; n < sizeof tap_counts / sizeof *tap_counts; n++)
            for (int i = 0; i < 20; i++)
                check_pool(k, g, tap_counts[n], draw_integer, true, false, k->average_pool, plain_average_pool);
    }
}

static void plain_gather(const cp_pool_gather *p, bool max) {
    for (int64_t i = 0; i < p->pixels; i++)
        for (int64_t c = 0; c < p->channels; c++) {
            float sum = 0;
            for (int64_t t = 0; t < p->taps; t++) {
                int64_t from = i * p->dy_step + p->offset[t] + c;
                sum += max ? (p->index[from] == p->id[t] ? p->dy[from] : 0) : p->factor[t] * p->dy[from];
            }
            p->dx[i * p->dx_step + c] = sum;
        }
}

static void check_gather(const cp_kernels *k, guard *g, int64_t taps, bool max) {
    int64_t offset[64] = {0};
    uint8_t id[64];
    float factor[64];
    cp_pool_gather p = {.offset = offset, .id = id, .factor = factor, .taps = taps, .pixels = draw(1, 6)};
    p.channels = draw_size(k->lanes, 10 * k->lanes);
    draw_taps(taps, p.channels, offset, id);
    for (int64_t t = 0; t < taps; t++) factor[t] = 1.0f / (float)(1 << draw(0, 3));
    p.dy_step = draw(1, 3) * p.channels;
    p.dx_step = p.channels + draw(0, 3);
    int64_t inputs = (p.pixels - 1) * p.dy_step + largest(offset, taps ? taps : 1) + p.channels;
    int64_t outputs = (p.pixels - 1) * p.dx_step + p.channels;
    p.dy = filled(g, inputs, draw_integer);
    uint8_t *index = guard_bytes(g, inputs, 1);
    for (int64_t i = 0; i < inputs; i++) index[i] = taps && draw(0, 3) ? id[draw(0, taps - 1)] : (uint8_t)draw(0, 255);
    p.index = index;
    float *got = guard_floats(g, outputs), *want = guard_floats(g, outputs);
    p.dx = want;
    plain_gather(&p, max);
    p.dx = got;
    (max ? k->max_pool_gather : k->average_pool_gather)(&p);
    assert_same_numbers(got, want, outputs, k, max ? "gradient of max pooling" : "gradient of average pooling");
    for (int64_t i = 0; i + 1 < p.pixels; i++)
        assert_same_bytes(got + i * p.dx_step + p.channels, want + i * p.dx_step + p.channels,
                          (p.dx_step - p.channels) * 4, k, "the gap between pixels of a gradient");
    guard_free(g);
}

static void pool_gradients(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int64_t taps = 0; taps <= 10; taps++)
            for (int i = 0; i < 12; i++) {
                check_gather(k, g, taps, true);
                check_gather(k, g, taps, false);
            }
    }
}

/* --- loops over arrays --- */

static void activations_and_sums(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 200; i++) {
            int64_t n = draw_size(k->lanes, 200);
            float *x = filled(g, n, draw_strange), *dy = filled(g, n, draw_strange);
            float *got = guard_floats(g, n), *want = guard_floats(g, n);

            for (int64_t j = 0; j < n; j++) want[j] = plain_relu(x[j]);
            k->relu(x, got, n);
            assert_same_numbers(got, want, n, k, "relu");

            for (int64_t j = 0; j < n; j++) want[j] = x[j] > 0 ? dy[j] : 0;
            k->relu_gradient(x, dy, got, n);
            assert_same_numbers(got, want, n, k, "gradient of relu");

            for (int64_t j = 0; j < n; j++) want[j] = x[j] + dy[j];
            k->add(x, dy, got, n);
            assert_same_numbers(got, want, n, k, "add");
            guard_free(g);
        }
    }
}

/* An output may be the input. */
static void loops_in_place(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        int64_t n = 3 * k->lanes + 1;
        float *x = filled(g, n, draw_real), *dy = filled(g, n, draw_real), *want = guard_floats(g, n);
        for (int64_t j = 0; j < n; j++) want[j] = x[j] > 0 ? dy[j] : 0;
        k->relu_gradient(x, dy, dy, n);
        assert_same_numbers(dy, want, n, k, "gradient of relu in place");
        for (int64_t j = 0; j < n; j++) want[j] = x[j] + want[j];
        k->add(x, dy, dy, n);
        assert_same_numbers(dy, want, n, k, "add in place");
        for (int64_t j = 0; j < n; j++) want[j] = plain_relu(x[j]);
        k->relu(x, x, n);
        assert_same_numbers(x, want, n, k, "relu in place");
        guard_free(g);
    }
}

static void column_sums(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 200; i++) {
            int64_t rows = draw(0, 20), columns = draw_size(k->lanes, 12 * k->lanes), step = columns + draw(0, 3);
            int flags = (int)draw(0, 1);
            float *x = filled(g, rows ? (rows - 1) * step + columns : 0, draw_integer);
            float *got = flags ? filled(g, columns, draw_integer) : guard_floats(g, columns);
            float *want = guard_floats(g, columns);
            for (int64_t j = 0; j < columns; j++) {
                want[j] = flags & CP_ACCUMULATE ? got[j] : 0;
                for (int64_t r = 0; r < rows; r++) want[j] += x[r * step + j];
            }
            k->column_sums(x, step, rows, columns, got, flags);
            assert_same_numbers(got, want, columns, k, "column sums");
            guard_free(g);
        }
    }
}

/* Small whole numbers: any order of the sums gives the same. */
static void blends(void **state) {
    (void)state;
    enum { MOST = 9 };
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 200; i++) {
            const int64_t n = draw(0, MOST), channels = draw_size(k->lanes, 3 * k->lanes), rows = 4;
            const int flags = (int)draw(0, 1);
            float *x = filled(g, rows * channels, draw_integer), *one = filled(g, channels, draw_integer);
            float *weight = filled(g, n, draw_integer), *sums = guard_floats(g, n), *want_sums = guard_floats(g, n);
            float *got = flags ? filled(g, channels, draw_integer) : guard_floats(g, channels);
            float *want = guard_floats(g, channels), *spread = copied(g, x, rows * channels);
            int64_t offset[MOST];
            for (int64_t t = 0; t < n; t++) offset[t] = draw(0, rows - 1) * channels;
            float *want_spread = copied(g, x, rows * channels);
            for (int64_t c = 0; c < channels; c++) want[c] = flags & CP_ACCUMULATE ? got[c] : 0;
            for (int64_t t = 0; t < n; t++) {
                want_sums[t] = 0;
                for (int64_t c = 0; c < channels; c++) {
                    want[c] += weight[t] * x[offset[t] + c];
                    want_spread[offset[t] + c] += weight[t] * one[c];
                    want_sums[t] += one[c] * x[offset[t] + c];
                }
            }
            k->blend(x, offset, weight, n, got, channels, flags);
            assert_same_numbers(got, want, channels, k, "blend");
            k->spread(one, offset, weight, n, spread, channels);
            assert_same_numbers(spread, want_spread, rows * channels, k, "spread");
            k->products(one, x, offset, n, channels, sums);
            assert_same_numbers(sums, want_sums, n, k, "products");
            guard_free(g);
        }
    }
}

static void sums_of_squares(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 200; i++) {
            int64_t n = i ? draw_size(k->lanes, 300) : 0;
            float *x = filled(g, n, draw_real);
            double want = 0, got = k->sum_of_squares(x, n);
            for (int64_t j = 0; j < n; j++) want += (double)x[j] * x[j];
            if (!(fabs(got - want) <= 1e-13 * want)) fail_msg("%s: %.17g instead of %.17g", k->name, got, want);
            float *elsewhere = copied(g, x, n); /* and another alignment */
            assert_true(k->sum_of_squares(elsewhere, n) == got);
            guard_free(g);
        }
        float *x = guard_floats(g, 3); /* squares that a float cannot hold */
        x[0] = 3e30f, x[1] = 1e-30f, x[2] = 0;
        assert_true(k->sum_of_squares(x, 3) > 8.9e60 && k->sum_of_squares(x, 3) < 9.1e60);
        assert_true(k->sum_of_squares(x + 1, 2) > 0.99e-60);
        x[2] = NAN;
        assert_true(isnan(k->sum_of_squares(x, 3)));
        guard_free(g);
    }
}

static void moments(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g)
    for (int i = 0; i < 200; i++) {
        const int64_t n = draw_size(k->lanes, 200), rows = draw(0, 4), step = n + draw(0, 9);
        const int64_t floats = rows ? (rows - 1) * step + n : 0;
        float *x = filled(g, floats, draw_integer), *shift = filled(g, n, draw_integer);
        double *sum = calloc((size_t)n, sizeof *sum), *squares = calloc((size_t)n, sizeof *squares);
        k->column_moments(x, step, rows, n, shift, sum, squares);
        double all[2] = {1, 2}, all_wanted[2] = {1, 2};
        k->moments(x, step, rows, n, shift[0], &all[0], &all[1]);
        for (int64_t j = 0; j < n; j++) {
            double wanted[2] = {0, 0};
            for (int64_t r = 0; r < rows; r++) {
                const double d = (double)x[r * step + j] - shift[j], e = (double)x[r * step + j] - shift[0];
                wanted[0] += d;
                wanted[1] += d * d;
                all_wanted[0] += e;
                all_wanted[1] += e * e;
            }
            assert_true(sum[j] == wanted[0] && squares[j] == wanted[1]);
        }
        assert_true(all[0] == all_wanted[0] && all[1] == all_wanted[1]);
        free(sum);
        free(squares);
        guard_free(g);
    }
}

static void normalised(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g)
    for (int i = 0; i < 200; i++) {
        const int64_t n = draw_size(k->lanes, 100);
        const int each = i % 2;
        float *array[5], *y = guard_floats(g, n);
        for (int a = 0; a < 5; a++) array[a] = filled(g, a < 3 && !each ? 1 : n, draw_integer);
        float *x = filled(g, n, draw_integer);
        k->normalise(x, array[0], array[1], array[2], each, array[3], array[4], y, n);
        for (int64_t j = 0; j < n; j++) {
            const int64_t own = each ? j : 0;
            assert_true(y[j] == (x[j] - array[0][own] - array[1][own]) * (array[2][own] * array[3][j]) + array[4][j]);
        }
        guard_free(g);
    }
}

/* --- functions of one number --- */

static double plain_logistic(double x) {
    return 1 / (1 + exp(-x));
}

static double plain_function(int which, double x, double alpha, double beta) {
    const double softplus = fmax(x, 0) + log1p(exp(-fabs(x)));
    switch (which) {
    case CP_FUNCTION_EXP:
        return exp(x);
    case CP_FUNCTION_LOGISTIC:
        return plain_logistic(x);
    case CP_FUNCTION_TANH:
        return tanh(x);
    case CP_FUNCTION_SOFTPLUS:
        return softplus;
    case CP_FUNCTION_SILU:
        return x * plain_logistic(x);
    case CP_FUNCTION_MISH:
        return x * tanh(softplus);
    case CP_FUNCTION_GELU:
        return x * erfc(x * -0.70710678118654752) / 2;
    case CP_FUNCTION_ERF:
        return erf(x);
    case CP_FUNCTION_GELU_TANH:
        return x * plain_logistic(1.5957691216057308 * (x + 0.044715 * x * x * x));
    default:
        return x < 0 ? alpha * expm1(beta * x) : x;
    }
}

/* How far from the function's value its argument's rounding alone may take it, in units of the value's last place:
 * where beta, a cube, or a square that is not multiplied and added at once, comes before exp. (GELU's polynomial adds
 * two more.) */
static double rounding_of(int which, double x, double beta) {
    const double size = fabs(x);
    return which == CP_FUNCTION_GELU_TANH && x < 0 ? 8 * size * (1 + size * size / 8)
           : which == CP_FUNCTION_GELU             ? 2 + (x < 0 ? size * size / 4 : 0)
           : which == CP_FUNCTION_ELU && x < 0     ? fmin(beta * size, 1)
                                                   : 0;
}

static void compare_function(const cp_kernels *k, int which, const float *x, const float *y, int64_t n, double alpha,
                             double beta) {
    for (int64_t j = 0; j < n; j++) {
        const double want = plain_function(which, x[j], alpha, beta);
        if (isnan(want) ? isnan(y[j]) : y[j] == (float)want) continue;
        const bool is_product = which == CP_FUNCTION_SILU || which == CP_FUNCTION_MISH || which == CP_FUNCTION_GELU ||
                                which == CP_FUNCTION_GELU_TANH;
        const double least = 0x1p-149 * (is_product ? fmax(1, fabs((double)x[j])) : 1); /* one factor may be denormal */
        const double unit = fmax(fabs(want) * 0x1p-23, least);
        if (!(fabs(y[j] - want) <= (3 + rounding_of(which, x[j], beta)) * unit))
            fail_msg("%s: function %d of %.9g is %.9g instead of %.9g", k->name, which, (double)x[j], (double)y[j],
                     want);
    }
}

/* Of numbers of all sizes, denormal and infinite ones and such as are none, in arrays of any length. */
static void functions(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int which = 0; which < CP_FUNCTIONS; which++) {
            const float alpha = (float)draw(1, 20) / 10, beta = (float)draw(1, 20) / 10;
            enum { STEP = 50021, SIZE = 512 };
            for (uint64_t bits = 0; bits < UINT64_C(1) << 32;) {
                float x[SIZE], y[SIZE];
                for (int j = 0; j < SIZE; j++, bits += STEP) {
                    const uint32_t word = (uint32_t)bits;
                    memcpy(&x[j], &word, sizeof word);
                }
                k->function[which](x, y, SIZE, alpha, beta);
                compare_function(k, which, x, y, SIZE, alpha, beta);
            }
            const float ends[] = {INFINITY, -INFINITY, NAN, 0, -0.0f, FLT_TRUE_MIN, FLT_MAX, -FLT_MAX};
            float y[8];
            k->function[which](ends, y, 8, alpha, beta);
            compare_function(k, which, ends, y, 8, alpha, beta);
            assert_true(!signbit(plain_function(which, -0.0, alpha, beta)) == !signbit(y[4]));
            for (int i = 0; i < 50; i++) {
                const int64_t n = draw_size(k->lanes, 100);
                float *from = guard_floats(g, n), *to = guard_floats(g, n);
                for (int64_t j = 0; j < n; j++) from[j] = (float)(10 * (double)draw_real());
                k->function[which](from, to, n, alpha, beta);
                compare_function(k, which, from, to, n, alpha, beta);
                guard_free(g);
            }
        }
    }
}

static void exponentials_and_largest(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 100; i++) {
            const int64_t n = draw_size(k->lanes, 200);
            float *x = filled(g, n, draw_real), *y = guard_floats(g, n);
            float most = x[0];
            for (int64_t j = 0; j < n; j++) most = x[j] > most ? x[j] : most;
            assert_true(k->largest(x, n) == most);
            double want = 0, sum = k->exponentials(x, most, y, n);
            for (int64_t j = 0; j < n; j++) {
                want += exp((double)x[j] - most);
                assert_true(fabs(y[j] - exp((double)x[j] - most)) <= 4e-7 * y[j]);
            }
            assert_true(fabs(sum - want) <= 4e-7 * want);
            assert_true(k->exponentials(x, most, NULL, n) == sum);
            guard_free(g);
        }
    }
}

/* --- optimizers --- */

/* As the step is defined, in double. */
static void plain_adam(const cp_adaptive *o, double *w, const float *g, double *m, double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double gradient = (double)o->g_scale * g[i] + (double)o->decay * w[i];
        m[i] = (double)o->beta1 * m[i] + (1 - (double)o->beta1) * gradient;
        v[i] = (double)o->beta2 * v[i] + (1 - (double)o->beta2) * gradient * gradient;
        w[i] -=
            (double)o->shrink * w[i] + (double)o->rate * m[i] / (sqrt(v[i]) * (double)o->v_scale + (double)o->epsilon);
    }
}

static void adam_steps(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 50; i++) {
            int64_t n = draw_size(k->lanes, 200);
            cp_adaptive o = {.rate = 0.01f,
                             .beta1 = 0.9f,
                             .beta2 = 0.999f,
                             .epsilon = 1e-4f,
                             .v_scale = i % 2 ? 1 : 3.5f,
                             .g_scale = i % 3 ? 1 : 0.25f,
                             .decay = i % 5 ? 0 : 0.125f,
                             .shrink = i % 7 ? 0 : 0.01f};
            float *w = filled(g, n, draw_real), *m = guard_floats(g, n), *v = guard_floats(g, n);
            double want_w[200], want_m[200] = {0}, want_v[200] = {0};
            for (int64_t j = 0; j < n; j++) {
                want_w[j] = w[j];
                m[j] = v[j] = 0;
            }
            for (int step = 0; step < 3; step++) {
                float *gradient = filled(g, n, draw_real);
                k->adam(&o, w, gradient, m, v, n);
                plain_adam(&o, want_w, gradient, want_m, want_v, n);
            }
            assert_near(w, want_w, n, 2e-6, k, "Adam's weight");
            assert_near(m, want_m, n, 1e-6, k, "Adam's first moment");
            assert_near(v, want_v, n, 1e-6, k, "Adam's second moment");
            guard_free(g);
        }
    }
}

static void sgd_steps(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 50; i++) {
            int64_t n = draw_size(k->lanes, 200);
            cp_sgd o = {.rate = 0.125f,
                        .momentum = i % 3 ? 0.5f : 0,
                        .g_scale = i % 4 ? 1 : 0.25f,
                        .decay = i % 5 ? 0 : 0.125f,
                        .nesterov = i % 2};
            float *w = filled(g, n, draw_real), *gradient = filled(g, n, draw_real);
            float *v = o.momentum != 0 ? filled(g, n, draw_real) : NULL;
            double want_w[200], want_v[200];
            for (int64_t j = 0; j < n; j++) {
                double slope = (double)o.g_scale * gradient[j] + (double)o.decay * w[j];
                want_v[j] = (v ? (double)o.momentum * v[j] : 0) + slope;
                want_w[j] = w[j] - (double)o.rate * (o.nesterov ? slope + (double)o.momentum * want_v[j] : want_v[j]);
            }
            k->sgd(&o, w, gradient, v, n);
            assert_near(w, want_w, n, 1e-6, k, "weight of gradient descent");
            if (v) assert_near(v, want_v, n, 1e-6, k, "velocity");
            guard_free(g);
        }
    }
}

/* RMSprop, Adagrad and Lion, each from moments that are not zero. */
static void other_adaptive_steps(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 60; i++) {
            const int64_t n = draw_size(k->lanes, 200);
            const int kind = i % 3;
            const cp_adaptive o = {.rate = 0.01f,
                                   .beta1 = 0.9f,
                                   .beta2 = 0.75f,
                                   .epsilon = 1e-2f,
                                   .g_scale = i % 4 ? 1 : 0.25f,
                                   .decay = i % 5 ? 0 : 0.125f,
                                   .shrink = i % 7 ? 0 : 0.01f};
            const double beta1 = (double)o.beta1, beta2 = (double)o.beta2;
            float *w = filled(g, n, draw_real), *gradient = filled(g, n, draw_real), *v = filled(g, n, draw_real);
            double want_w[200], want_v[200];
            for (int64_t j = 0; j < n; j++) {
                if (kind < 2) v[j] = fabsf(v[j]);
                const double slope = (double)o.g_scale * gradient[j] + (double)o.decay * w[j], moment = v[j];
                const double ahead = beta1 * moment + (1 - beta1) * slope;
                want_v[j] = kind == 0   ? beta2 * moment + (1 - beta2) * slope * slope
                            : kind == 1 ? moment + slope * slope
                                        : beta2 * moment + (1 - beta2) * slope;
                const double step =
                    kind < 2 ? slope / (sqrt(want_v[j]) + (double)o.epsilon) : (double)((ahead > 0) - (ahead < 0));
                want_w[j] = w[j] - (double)o.shrink * w[j] - (double)o.rate * step;
            }
            if (kind == 0) k->rmsprop(&o, w, gradient, v, n);
            if (kind == 1) k->adagrad(&o, w, gradient, v, n);
            if (kind == 2) k->lion(&o, w, gradient, v, n);
            assert_near(w, want_w, n, 2e-6, k, "weight of RMSprop, Adagrad or Lion");
            assert_near(v, want_v, n, 1e-6, k, "moment of RMSprop, Adagrad or Lion");
            guard_free(g);
        }
    }
}

/* Where nothing pulls, Lion goes nowhere: the sign of 0 is 0. */
static void lion_rests(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        const cp_adaptive o = {.rate = 0.5f, .beta1 = 0.9f, .beta2 = 0.99f, .g_scale = 1};
        float w[5] = {1, 2, 3, 4, 5}, m[5] = {0};
        const float gradient[5] = {0, -0.0f, 1e-30f, -1e-30f, 0};
        k->lion(&o, w, gradient, m, 5);
        assert_true(w[0] == 1 && w[1] == 2 && w[2] == 2.5f && w[3] == 4.5f && w[4] == 5);
        guard_free(g);
    }
}

/* Threads share the weights: wherever they are cut, the bits are the same. */
static void optimizers_may_be_split(void **state) {
    (void)state;
    cp_adaptive adam = {.rate = 0.01f,
                        .beta1 = 0.9f,
                        .beta2 = 0.999f,
                        .epsilon = 1e-8f,
                        .v_scale = 1.7f,
                        .g_scale = 0.3f,
                        .decay = 0.01f};
    cp_sgd sgd = {.rate = 0.1f, .momentum = 0.9f, .g_scale = 0.3f, .decay = 0.01f, .nesterov = 1};
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 50; i++) {
            int64_t n = 150, cut = draw(1, n - 1);
            float *w = filled(g, n, draw_real), *gradient = filled(g, n, draw_real), *m = filled(g, n, draw_real);
            float *v = filled(g, n, draw_real);
            for (int64_t j = 0; j < n; j++) v[j] = fabsf(v[j]);
            float *w2 = copied(g, w, n), *m2 = copied(g, m, n), *v2 = copied(g, v, n);
            k->adam(&adam, w, gradient, m, v, n);
            k->adam(&adam, w2, gradient, m2, v2, cut);
            k->adam(&adam, w2 + cut, gradient + cut, m2 + cut, v2 + cut, n - cut);
            assert_same_bytes(w2, w, n * 4, k, "weights after Adam in two parts");
            assert_same_bytes(m2, m, n * 4, k, "first moments after Adam in two parts");
            assert_same_bytes(v2, v, n * 4, k, "second moments after Adam in two parts");
            k->sgd(&sgd, w, gradient, m, n);
            k->sgd(&sgd, w2, gradient, m2, cut);
            k->sgd(&sgd, w2 + cut, gradient + cut, m2 + cut, n - cut);
            assert_same_bytes(w2, w, n * 4, k, "weights after gradient descent in two parts");
            assert_same_bytes(m2, m, n * 4, k, "velocities after gradient descent in two parts");
            guard_free(g);
        }
    }
}

/* Optimizers flush denormal numbers while they run; afterwards the caller's mode is back. */
static void floating_point_mode_is_restored(void **state) {
    (void)state;
#if defined(__SSE2__)
    float w[40] = {1}, g[40] = {0}, m[40] = {1e-39f}, v[40] = {1e-39f};
    const unsigned before = __builtin_ia32_stmxcsr();
    for (const cp_kernels *const *at = levels; *at; at++) {
        const cp_adaptive step = {.rate = 0.1f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .v_scale = 1};
        (*at)->adam(&step, w, g, m, v, 40);
        assert_int_equal(before & 0xffc0, __builtin_ia32_stmxcsr() & 0xffc0);
    }
#endif
}

/* What is passed over for measuring is there, and nothing else. */
static void sweeps(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        const int64_t row = 128 * draw(1, 3), n = 4 * row * draw(1, 3);
        float *x = guard_bytes(g, n * 4, 64), *z = guard_bytes(g, n * 4, 64), *y = guard_bytes(g, n * 4, 64);
        for (int64_t i = 0; i < n; i++) {
            x[i] = draw_integer();
            z[i] = draw_integer();
        }
        const cp_sweep arrays = {.x = x, .z = z, .y = y, .n = n, .row = row};
        k->sweep[CP_SWEEP_READ](&arrays);
        for (int64_t i = 0; i < n; i++) assert_true(isnan(y[i]));
        k->sweep[CP_SWEEP_COPY](&arrays);
        for (int64_t i = 0; i < n; i++) assert_true(y[i] == x[i]);
        k->sweep[CP_SWEEP_TRIAD](&arrays);
        for (int64_t i = 0; i < n; i++) assert_true(y[i] == x[i] + z[i] / 2);
        k->sweep[CP_SWEEP_STREAM](&arrays);
        for (int64_t i = 0; i < n; i++) assert_true(y[i] == x[i]);
        guard_free(g);
        x = guard_bytes(g, n * 4, 64);
        y = guard_bytes(g, n, 64);
        for (int64_t i = 0; i < n; i++) x[i] = draw_integer();
        k->sweep[CP_SWEEP_ROWS](&(cp_sweep){.x = x, .y = y, .n = n, .row = row});
        for (int64_t i = 0; i < n / 4; i++) {
            const float *column = x + i / row * 4 * row + i % row;
            assert_true(y[i] == column[0] + column[row] + column[2 * row] + column[3 * row]);
        }
        guard_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floating_point_mode_is_restored),
        cmocka_unit_test(blocks_are_complete),
        cmocka_unit_test(tiles),
        cmocka_unit_test(tile_passes_strange_values),
        cmocka_unit_test(winograd_transforms),
        cmocka_unit_test(outers),
        cmocka_unit_test(packs),
        cmocka_unit_test(levels_have_their_products),
        cmocka_unit_test(tiles_of_narrow_numbers),
        cmocka_unit_test(rounding_to_bf16),
        cmocka_unit_test(packs_of_bf16),
        cmocka_unit_test(widening),
        cmocka_unit_test(requantising),
        cmocka_unit_test(depthwise_rows),
        cmocka_unit_test(depthwise_may_be_split),
        cmocka_unit_test(depthwise_weight_gradients),
        cmocka_unit_test(max_pools),
        cmocka_unit_test(average_pools),
        cmocka_unit_test(pool_gradients),
        cmocka_unit_test(activations_and_sums),
        cmocka_unit_test(loops_in_place),
        cmocka_unit_test(column_sums),
        cmocka_unit_test(blends),
        cmocka_unit_test(sums_of_squares),
        cmocka_unit_test(moments),
        cmocka_unit_test(normalised),
        cmocka_unit_test(adam_steps),
        cmocka_unit_test(functions),
        cmocka_unit_test(exponentials_and_largest),
        cmocka_unit_test(sgd_steps),
        cmocka_unit_test(other_adaptive_steps),
        cmocka_unit_test(lion_rests),
        cmocka_unit_test(optimizers_may_be_split),
        cmocka_unit_test(sweeps),
    };
    return cmocka_run_group_tests_name("kernels", tests, find_levels, NULL);
}
