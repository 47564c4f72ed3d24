/* Convolution by Winograd's minimal filtering (kernels.h, cp_winograd), and the input gradient as the same with the
 * taps turned around.
 *
 * The output is cut into tiles of m x m. Of a block of tiles the input is transformed to V[element][tile][channel]; for
 * each panel of filters, element after element is a matrix product M[e] = V[e] U[e] with the transformed weights, by
 * the micro-kernel of direct.c; and M is transformed back. So F(4x4,3x3) needs 36 products where a direct convolution
 * needs 144. Source: Lavin and Gray, "Fast algorithms for convolutional neural networks" (2015).
 *
 * A share has a V and an M of its own: it works on some panels of some blocks, and transforms their input itself, which
 * costs less than waiting for others. */
#include "plan/algos.h"
#include "plan/winograd.h"

typedef struct winograd {
    cp_winograd_tiles tiles;
    int64_t block;    /* tiles that are done together, at most */
    cp_panels panels; /* of the matrix of one element */
    int64_t v_tile, v_step, m_step;
} winograd;

/* --- which convolutions --- */

static bool is_still(const cp_axis *a) {
    return a->kernel == 1 && a->stride == 1 && a->before == 0 && a->in == a->out;
}

static bool is_filtered(const cp_axis *a, int taps) {
    return a->kernel == taps && a->stride == 1 && a->dilation == 1;
}

/* Whether the axis of a one-dimensional transform is that of the columns; else it is that of the rows. */
static bool along_columns(const cp_window *w) {
    return w->axis[2].kernel > 1;
}

const char *cp_winograd_refuse(const cp_problem *p, int number, bool strict) {
    enum { MOST_CHANNELS = 1 << 20 };                                     /* products of sizes stay far below 2^63 */
    const cp_winograd *transform = &cp_kernels_portable.winograd[number]; /* of every level the same */
    const cp_axis *a = p->window.axis;
    const int taps = transform->taps;
    if (p->type != CP_F32) return "needs f32";
    if (!strict && p->math == CP_MATH_STRICT) return "not in strict math";
    if (p->groups > 1) return "needs one group";
    if (p->window.values != CP_PAD_CONSTANT) return "padding has values";
    if (p->channels > MOST_CHANNELS || p->filters > MOST_CHANNELS) return "too many channels";
    const bool y = is_filtered(&a[1], taps), x = is_filtered(&a[2], taps);
    const bool fits = transform->axes == 2 ? y && x : (y && is_still(&a[2])) || (is_still(&a[1]) && x);
    return is_still(&a[0]) && fits ? NULL : "another kernel, stride or dilation";
}

/* --- preparing --- */

static cp_tiled_axis tile_axis(const cp_axis *a, int64_t outputs, bool backward) {
    cp_tiled_axis t = {.in = a->in, .out = a->out, .before = a->before, .outputs = outputs};
    if (backward) {
        t.in = a->out;
        t.out = a->in;
        t.before = a->kernel - 1 - a->before;
    }
    t.tiles = (t.out + outputs - 1) / outputs;
    return t;
}

cp_winograd_tiles cp_winograd_tiles_of(const cp_problem *p, const cp_winograd *transform, bool backward) {
    const cp_axis *y = &p->window.axis[1], *x = &p->window.axis[2];
    const int64_t points = transform->outputs + transform->taps - 1;
    const bool two = transform->axes == 2, swapped = !two && !along_columns(&p->window);
    cp_winograd_tiles t = {.transform = transform, .elements = two ? points * points : points};
    t.channels = backward ? p->filters : p->channels;
    t.filters = backward ? p->channels : p->filters;
    const cp_tiled_axis ty = tile_axis(y, two || swapped ? transform->outputs : 1, backward);
    const cp_tiled_axis tx = tile_axis(x, swapped ? 1 : transform->outputs, backward);
    t.row = swapped ? tx : ty;
    t.column = swapped ? ty : tx;
    t.in_row = swapped ? t.channels : tx.in * t.channels;
    t.in_column = swapped ? tx.in * t.channels : t.channels;
    t.out_row = swapped ? t.filters : tx.out * t.filters;
    t.out_column = swapped ? tx.out * t.filters : t.filters;
    t.in_image = ty.in * tx.in * t.channels;
    t.out_image = ty.out * tx.out * t.filters;
    t.images = p->batch * p->window.axis[0].in;
    t.count = t.images * ty.tiles * tx.tiles;
    return t;
}

int64_t cp_winograd_products(const cp_problem *p, const cp_winograd *transform, bool backward) {
    const cp_winograd_tiles t = cp_winograd_tiles_of(p, transform, backward);
    return t.elements * t.count * t.channels * t.filters;
}

/* Floats between the elements of one panel's weights: not a power of two, at which they would meet in the same sets of
 * the cache when they are written side by side. */
static int64_t u_step(const winograd *w, int64_t panel) {
    return w->tiles.channels * cp_panel_width(&w->panels, panel) + 16;
}
static int64_t u_offset(const winograd *w, int64_t panel) {
    return w->tiles.elements * (cp_panel_offset(&w->panels, 0, panel) + panel * 16);
}

/* The more tiles in a block, the less often the weights are read; but V and M of a block should stay in the cache. */
static int64_t block_of(const cp_winograd_tiles *t) {
    enum { USUAL = 36, MANY = 72, MANY_WEIGHTS = 512 * 512 };
    return t->channels * t->filters < MANY_WEIGHTS ? USUAL : MANY;
}

static cp_status prepare(const cp_problem *p, cp_prepared *prepared, const cp_winograd *transform, bool backward) {
    winograd *w = cp_alloc(NULL, sizeof *w);
    if (!w) return CP_E_MEMORY;
    *w = (winograd){.tiles = cp_winograd_tiles_of(p, transform, backward)};
    const cp_winograd_tiles *t = &w->tiles;
    w->block = block_of(t);
    w->panels = cp_panels_of(p->kernels, 1, t->channels, t->filters);
    w->v_tile = cp_round_up(t->channels, p->kernels->lanes);
    w->v_step = w->block * w->v_tile + 16;
    w->m_step = w->block * w->panels.width + 16;
    prepared->state = w;
    prepared->packed = u_offset(w, w->panels.count - 1) + w->tiles.elements * u_step(w, w->panels.count - 1);
    prepared->packed *= (int64_t)sizeof(float);
    prepared->scratch_of_share =
        cp_round_up(w->tiles.elements * (w->v_step + w->m_step) * (int64_t)sizeof(float), CP_ALIGN);
    return CP_OK;
}

/* --- packing --- */

static void pack_forward(const cp_call *call, int id, int n) {
    enum { BLOCK = 8 }; /* channels: a unit of work for a thread */
    const cp_problem *p = call->problem;
    const winograd *w = call->prepared->state;
    const cp_winograd_tiles *t = &w->tiles;
    const float *weights = call->in[1];
    const int64_t blocks = (t->channels + BLOCK - 1) / BLOCK;
    int64_t first, last;
    const cp_panels stored = cp_weight_panels(p);
    cp_share(w->panels.count * blocks, id, n, &first, &last);
    for (int64_t u = first; u < last; u++) {
        const int64_t panel = u / blocks, row = u % blocks * BLOCK, width = cp_panel_width(&w->panels, panel);
        const int64_t column = panel * w->panels.width;
        cp_winograd_weights job = {.w = weights + row * t->filters + column,
                                   .w_row = t->filters,
                                   .rows = t->channels - row < BLOCK ? t->channels - row : BLOCK,
                                   .columns = cp_panel_columns(&w->panels, panel),
                                   .u = (float *)call->out[0] + u_offset(w, panel) + row * width,
                                   .u_step = u_step(w, panel),
                                   .u_row = width};
        if (p->weights_in_panels) {
            job.w = weights + cp_panel_offset(&stored, 0, panel) + row * width;
            job.w_row = width;
        }
        job.w_tap = t->channels * job.w_row;
        t->transform->weights(&job);
    }
}

/* The taps turned around, filters as channels, of one square of them: transposed, then transformed. */
static void pack_square(const cp_call *call, int64_t row, int64_t column) {
    enum { MOST_LANES = 16, MOST_TAPS = 25 };
    _Alignas(CP_ALIGN) float square[MOST_TAPS * MOST_LANES * MOST_LANES];
    const cp_problem *p = call->problem;
    const winograd *w = call->prepared->state;
    const cp_winograd_tiles *t = &w->tiles;
    const int64_t taps = cp_window_taps(&p->window), lanes = p->kernels->lanes;
    const int64_t rows = t->channels - row < lanes ? t->channels - row : lanes;
    const int64_t columns = t->filters - column < lanes ? t->filters - column : lanes;
    const int64_t panel = column / w->panels.width, width = cp_panel_width(&w->panels, panel);
    const float *from = (const float *)call->in[1] + row;
    int64_t step = t->channels;
    if (p->weights_in_panels) {
        const cp_panels stored = cp_weight_panels(p);
        step = cp_panel_width(&stored, row / stored.width);
        from += cp_panel_offset(&stored, 0, row / stored.width) - row / stored.width * stored.width;
    }
    for (int64_t tap = 0; tap < taps; tap++)
        p->kernels->pack(from + (tap * t->filters + column) * step, 1, step, rows, columns, lanes,
                         square + (taps - 1 - tap) * lanes * lanes);
    const cp_winograd_weights job = {.w = square,
                                     .w_tap = lanes * lanes,
                                     .w_row = lanes,
                                     .rows = rows,
                                     .columns = lanes,
                                     .u = (float *)call->out[0] + u_offset(w, panel) + row * width +
                                          (column - panel * w->panels.width),
                                     .u_step = u_step(w, panel),
                                     .u_row = width};
    t->transform->weights(&job);
}

static void pack_input_gradient(const cp_call *call, int id, int n) {
    const winograd *w = call->prepared->state;
    const int64_t lanes = call->problem->kernels->lanes, blocks = (w->tiles.channels + lanes - 1) / lanes;
    int64_t first, last;
    cp_share(w->panels.count * blocks, id, n, &first, &last);
    for (int64_t i = first; i < last; i++) {
        const int64_t panel = i / blocks, width = cp_panel_width(&w->panels, panel);
        for (int64_t column = 0; column < width; column += lanes)
            pack_square(call, i % blocks * lanes, panel * w->panels.width + column);
    }
}

/* --- running --- */

void cp_winograd_transform(const cp_winograd_tiles *t, const float *x, int64_t channels, int64_t first, int64_t last,
                           float *v, int64_t v_step, int64_t v_tile) {
    for (int64_t tile = first; tile < last; tile++, v += v_tile) {
        const cp_tile_place at = cp_tile_at(t, tile);
        const cp_winograd_input job = {.x = x + at.image * t->in_image,
                                       .x_row = t->in_row,
                                       .x_column = t->in_column,
                                       .rows = t->row.in,
                                       .columns = t->column.in,
                                       .row = at.row - t->row.before,
                                       .column = at.column - t->column.before,
                                       .v = v,
                                       .v_step = v_step,
                                       .channels = channels};
        t->transform->input(&job);
    }
}

/* M[e] = V[e] U[e] for all elements: tiles are rows of the product. Every weight is used for this block's tiles only,
 * so while one element is multiplied the weights of the next one are fetched; `next`: those of the panel behind. */
static void multiply(const winograd *w, const cp_kernels *kernels, const float *v, const float *u, const float *next,
                     int64_t step, int64_t width, float *m, int64_t tiles) {
    static const cp_run whole = {0, 0};
    const cp_winograd_tiles *t = &w->tiles;
    const int64_t vectors = width / kernels->lanes, most = kernels->rows[vectors], pieces = (tiles + most - 1) / most;
    const int64_t line = 16 * t->channels, lines = vectors == kernels->vectors ? width * t->channels / line : 0;
    cp_tile tile = {.a_step = w->v_tile,
                    .runs = &whole,
                    .run_count = 1,
                    .run_length = t->channels,
                    .c_step = width,
                    .tail = kernels->lanes};
    for (int64_t e = 0; e < t->elements; e++) {
        const float *ahead = e + 1 < t->elements ? u + step : next;
        tile.b = u;
        for (int64_t i = 0; i < pieces; i++) {
            const int64_t begin = tiles * i / pieces, end = tiles * (i + 1) / pieces;
            tile.a = v + e * w->v_step + begin * w->v_tile;
            tile.c = m + e * w->m_step + begin * width;
            if (i < lines) {
                tile.ahead = ahead + i * line;
                kernels->tile_ahead[end - begin](&tile);
            } else {
                kernels->tile[end - begin][vectors](&tile);
            }
        }
        u += step;
    }
}

static void finish_block(const winograd *w, const cp_call *call, const float *m, int64_t panel, int64_t first,
                         int64_t last) {
    const int64_t width = cp_panel_width(&w->panels, panel), column = panel * w->panels.width;
    const cp_winograd_tiles *t = &w->tiles;
    const float *bias = call->in[2];
    for (int64_t tile = first; tile < last; tile++, m += width) {
        const cp_tile_place at = cp_tile_at(t, tile);
        const cp_winograd_output job = {.m = m,
                                        .m_step = w->m_step,
                                        .y = (float *)call->out[0] + at.image * t->out_image + column,
                                        .y_row = t->out_row,
                                        .y_column = t->out_column,
                                        .rows = t->row.out,
                                        .columns = t->column.out,
                                        .row = at.row,
                                        .column = at.column,
                                        .bias = bias ? bias + column : NULL,
                                        .filters = cp_panel_columns(&w->panels, panel),
                                        .flags = call->problem->relu ? CP_APPLY_RELU : 0};
        t->transform->output(&job);
    }
}

/* So many blocks that they, or together with the panels, can be shared evenly. */
static int64_t blocks_for(const winograd *w, int n) {
    const int64_t blocks = (w->tiles.count + w->block - 1) / w->block, panels = w->panels.count;
    if (blocks >= n) return (blocks + n - 1) / n * n;
    const int64_t enough = (n + panels - 1) / panels, most = enough < w->tiles.count ? enough : w->tiles.count;
    return blocks > most ? blocks : most;
}

static void run(const cp_call *call, int number, int id, int n) {
    (void)number;
    const winograd *w = call->prepared->state;
    const cp_winograd_tiles *t = &w->tiles;
    const cp_kernels *kernels = call->problem->kernels;
    const float *weights = call->in[1];
    float *v = cp_share_scratch(call, id), *m = v + t->elements * w->v_step;
    const int64_t blocks = blocks_for(w, n), panels = w->panels.count;
    int64_t begin, end;
    cp_share(blocks * panels, id, n, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        const int64_t block = u / panels, panel = u % panels;
        const int64_t first = t->count * block / blocks, last = t->count * (block + 1) / blocks;
        if (u == begin || panel == 0)
            cp_winograd_transform(t, call->in[0], t->channels, first, last, v, w->v_step, w->v_tile);
        multiply(w, kernels, v, weights + u_offset(w, panel), weights + u_offset(w, (panel + 1) % panels),
                 u_step(w, panel), cp_panel_width(&w->panels, panel), m, last - first);
        finish_block(w, call, m, panel, first, last);
    }
}

/* --- costs, in multiply-adds --- */

/* An element of a tile costs about TRANSFORM in the transforms, for each channel that is read or written; and a weight
 * that comes from memory, WEIGHT: in strict mode it does not count, for what is chosen must not depend on the batch. */
static double cost(const cp_problem *p, const cp_winograd *transform, bool backward) {
    enum { TRANSFORM = 10, WEIGHT = 8 };
    const cp_winograd_tiles t = cp_winograd_tiles_of(p, transform, backward);
    const double filters = (double)cp_round_up(t.filters, p->kernels->lanes);
    const double channels = (double)t.channels, read = (double)cp_round_up(t.channels, p->kernels->lanes);
    const double products = (double)t.count * channels * filters;
    const double weights = p->math == CP_MATH_STRICT ? 0 : WEIGHT * channels * filters;
    const double transforms = TRANSFORM * (double)t.count * (read + filters);
    return (double)t.elements * ((products > weights ? products : weights) + transforms);
}

/* An algorithm by one of the kernels' transforms; strict: its error is not larger than that of a direct sum. */
#define DEFINE_ALGORITHM(name_, symbol, transform, strict, backward_, pack_)                                           \
    static const char *refuse_##symbol(const cp_problem *p) {                                                          \
        return cp_winograd_refuse(p, transform, strict);                                                               \
    }                                                                                                                  \
    static double cost_##symbol(const cp_problem *p) {                                                                 \
        return cost(p, &p->kernels->winograd[transform], backward_);                                                   \
    }                                                                                                                  \
    static int64_t products_##symbol(const cp_problem *p) {                                                            \
        return cp_winograd_products(p, &p->kernels->winograd[transform], backward_);                                   \
    }                                                                                                                  \
    static cp_status prepare_##symbol(const cp_problem *p, cp_prepared *prepared) {                                    \
        return prepare(p, prepared, &p->kernels->winograd[transform], backward_);                                      \
    }                                                                                                                  \
    const cp_algo cp_algo_##symbol = {                                                                                 \
        .name = name_,                                                                                                 \
        .refuse = refuse_##symbol,                                                                                     \
        .cost = cost_##symbol,                                                                                         \
        .products = products_##symbol,                                                                                 \
        .prepare = prepare_##symbol,                                                                                   \
        .pack = pack_,                                                                                                 \
        .run = run,                                                                                                    \
        .panels = true,                                                                                                \
    }
#define DEFINE_ALGORITHMS(name, symbol, transform, strict)                                                             \
    DEFINE_ALGORITHM(name, symbol, transform, strict, false, pack_forward);                                            \
    DEFINE_ALGORITHM(name, symbol##_input_gradient, transform, strict, true, pack_input_gradient)

DEFINE_ALGORITHMS("winograd-4x4-3x3", winograd_4x4_3x3, CP_WINOGRAD_4X4_3X3, false);
DEFINE_ALGORITHMS("winograd-2x2-3x3", winograd_2x2_3x3, CP_WINOGRAD_2X2_3X3, true);
DEFINE_ALGORITHMS("winograd-2x2-5x5", winograd_2x2_5x5, CP_WINOGRAD_2X2_5X5, false);
DEFINE_ALGORITHMS("winograd-4-3", winograd_4_3, CP_WINOGRAD_4_3, false);
