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

typedef struct tiled_axis {
    int64_t in, out, before, tiles;
    int64_t outputs; /* of a tile; 1: this axis is not transformed */
} tiled_axis;

typedef struct winograd {
    const cp_winograd *transform;
    int64_t elements;
    int64_t images;
    tiled_axis row, column;              /* of a tile, as the kernels call them */
    int64_t in_row, in_column, in_image; /* floats from one to the next */
    int64_t out_row, out_column, out_image;
    int64_t channels, filters; /* read, written */
    int64_t tiles, block;      /* tiles of all images; at most in a block */
    cp_panels panels;          /* of the matrix of one element */
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

static const char *refuse(const cp_problem *p, const cp_winograd *transform) {
    enum { MOST_CHANNELS = 1 << 20 }; /* products of sizes stay far below 2^63 */
    const cp_axis *a = p->window.axis;
    if (p->type != CP_F32) return "needs f32";
    if (p->groups > 1) return "needs one group";
    if (p->window.values != CP_PAD_CONSTANT) return "padding has values";
    if (p->channels > MOST_CHANNELS || p->filters > MOST_CHANNELS) return "too many channels";
    const bool fits = transform->axes == 2 ? is_filtered(&a[1], transform->taps) && is_filtered(&a[2], transform->taps)
                                           : (is_filtered(&a[1], transform->taps) && is_still(&a[2])) ||
                                                 (is_still(&a[1]) && is_filtered(&a[2], transform->taps));
    return is_still(&a[0]) && fits ? NULL : "another kernel, stride or dilation";
}

/* --- preparing --- */

static tiled_axis tile_axis(const cp_axis *a, int64_t outputs, bool backward) {
    tiled_axis t = {.in = a->in, .out = a->out, .before = a->before, .outputs = outputs};
    if (backward) t = (tiled_axis){.in = a->out, .out = a->in, .before = a->kernel - 1 - a->before, .outputs = outputs};
    t.tiles = (t.out + outputs - 1) / outputs;
    return t;
}

/* Transposed weights of the input gradient: what is read is dy. */
static winograd describe(const cp_problem *p, const cp_winograd *transform, bool backward) {
    const cp_axis *y = &p->window.axis[1], *x = &p->window.axis[2];
    const int64_t points = transform->outputs + transform->taps - 1;
    winograd w = {.transform = transform, .elements = transform->axes == 2 ? points * points : points};
    w.channels = backward ? p->filters : p->channels;
    w.filters = backward ? p->channels : p->filters;
    const bool two = transform->axes == 2, swapped = !two && !along_columns(&p->window);
    const tiled_axis ty = tile_axis(y, two || swapped ? transform->outputs : 1, backward);
    const tiled_axis tx = tile_axis(x, swapped ? 1 : transform->outputs, backward);
    w.row = swapped ? tx : ty;
    w.column = swapped ? ty : tx;
    w.in_row = swapped ? w.channels : tx.in * w.channels;
    w.in_column = swapped ? tx.in * w.channels : w.channels;
    w.out_row = swapped ? w.filters : tx.out * w.filters;
    w.out_column = swapped ? tx.out * w.filters : w.filters;
    w.in_image = ty.in * tx.in * w.channels;
    w.out_image = ty.out * tx.out * w.filters;
    w.images = p->batch * p->window.axis[0].in;
    w.tiles = w.images * w.row.tiles * w.column.tiles;
    w.panels = cp_panels_of(p->kernels, 1, w.channels, w.filters);
    return w;
}

/* Floats between the elements of one panel's weights: not a power of two, at which they would meet in the same sets of
 * the cache when they are written side by side. */
static int64_t u_step(const winograd *w, int64_t panel) {
    return w->channels * cp_panel_width(&w->panels, panel) + 16;
}
static int64_t u_offset(const winograd *w, int64_t panel) {
    return w->elements * (cp_panel_offset(&w->panels, 0, panel) + panel * 16);
}

/* The more tiles in a block, the less often the weights are read; but V and M of a block should stay in the cache. */
static int64_t block_of(const winograd *w) {
    enum { USUAL = 36, MANY = 72, MANY_WEIGHTS = 512 * 512 };
    return w->channels * w->filters < MANY_WEIGHTS ? USUAL : MANY;
}

static cp_status prepare(const cp_problem *p, cp_prepared *prepared, const cp_winograd *transform, bool backward) {
    winograd *w = cp_alloc(NULL, sizeof *w);
    if (!w) return CP_E_MEMORY;
    *w = describe(p, transform, backward);
    const int64_t lanes = p->kernels->lanes;
    w->block = block_of(w);
    w->v_tile = cp_round_up(w->channels, lanes);
    w->v_step = w->block * w->v_tile + 16;
    w->m_step = w->block * w->panels.width + 16;
    prepared->state = w;
    prepared->packed = u_offset(w, w->panels.count - 1) + w->elements * u_step(w, w->panels.count - 1);
    prepared->packed *= (int64_t)sizeof(float);
    prepared->scratch_of_share = cp_round_up(w->elements * (w->v_step + w->m_step) * (int64_t)sizeof(float), CP_ALIGN);
    return CP_OK;
}

/* --- packing --- */

static void pack_forward(const cp_call *call, int id, int n) {
    enum { BLOCK = 8 }; /* channels: a unit of work for a thread */
    const cp_problem *p = call->problem;
    const winograd *w = call->prepared->state;
    const float *weights = call->in[1];
    const int64_t blocks = (w->channels + BLOCK - 1) / BLOCK;
    int64_t first, last;
    const cp_panels stored = cp_weight_panels(p);
    cp_share(w->panels.count * blocks, id, n, &first, &last);
    for (int64_t u = first; u < last; u++) {
        const int64_t panel = u / blocks, row = u % blocks * BLOCK, width = cp_panel_width(&w->panels, panel);
        const int64_t column = panel * w->panels.width, rest = w->filters - column;
        cp_winograd_weights job = {.w = weights + row * w->filters + column,
                                   .w_row = w->filters,
                                   .rows = w->channels - row < BLOCK ? w->channels - row : BLOCK,
                                   .columns = rest < width ? rest : width,
                                   .u = (float *)call->out[0] + u_offset(w, panel) + row * width,
                                   .u_step = u_step(w, panel),
                                   .u_row = width};
        if (p->weights_in_panels) {
            job.w = weights + cp_panel_offset(&stored, 0, panel) + row * width;
            job.w_row = width;
        }
        job.w_tap = w->channels * job.w_row;
        w->transform->weights(&job);
    }
}

/* The taps turned around, filters as channels: squares of them are transposed first. */
static void pack_input_gradient(const cp_call *call, int id, int n) {
    enum { MOST_LANES = 16, MOST_TAPS = 25 };
    _Alignas(CP_ALIGN) float square[MOST_TAPS * MOST_LANES * MOST_LANES];
    const cp_problem *p = call->problem;
    const winograd *w = call->prepared->state;
    const int64_t taps = cp_window_taps(&p->window), lanes = p->kernels->lanes;
    const int64_t blocks = (w->channels + lanes - 1) / lanes, columns = (w->filters + lanes - 1) / lanes;
    const cp_panels stored = cp_weight_panels(p);
    int64_t first, last;
    cp_share(columns * blocks, id, n, &first, &last);
    for (int64_t i = first; i < last; i++) {
        const int64_t row = i % blocks * lanes, column = i / blocks * lanes;
        const int64_t rows = w->channels - row < lanes ? w->channels - row : lanes;
        const int64_t there = w->filters - column < lanes ? w->filters - column : lanes;
        const int64_t panel = column / w->panels.width, width = cp_panel_width(&w->panels, panel);
        const float *from = (const float *)call->in[1] + row;
        int64_t step = w->channels;
        if (p->weights_in_panels) {
            step = cp_panel_width(&stored, row / stored.width);
            from += cp_panel_offset(&stored, 0, row / stored.width) - row / stored.width * stored.width;
        }
        for (int64_t t = 0; t < taps; t++)
            p->kernels->pack(from + (t * w->filters + column) * step, 1, step, rows, there, lanes,
                             square + (taps - 1 - t) * lanes * lanes);
        const cp_winograd_weights job = {.w = square,
                                         .w_tap = lanes * lanes,
                                         .w_row = lanes,
                                         .rows = rows,
                                         .columns = lanes,
                                         .u = (float *)call->out[0] + u_offset(w, panel) + row * width +
                                              (column - panel * w->panels.width),
                                         .u_step = u_step(w, panel),
                                         .u_row = width};
        w->transform->weights(&job);
    }
}

/* --- running --- */

typedef struct place {
    int64_t image, row, column; /* of a tile's first output */
} place;

static place place_of(const winograd *w, int64_t tile) {
    const int64_t of_image = w->row.tiles * w->column.tiles, in_image = tile % of_image;
    return (place){tile / of_image, in_image / w->column.tiles * w->row.outputs,
                   in_image % w->column.tiles * w->column.outputs};
}

static void transform_block(const winograd *w, const float *x, float *v, int64_t first, int64_t last) {
    for (int64_t tile = first; tile < last; tile++, v += w->v_tile) {
        const place at = place_of(w, tile);
        const cp_winograd_input job = {.x = x + at.image * w->in_image,
                                       .x_row = w->in_row,
                                       .x_column = w->in_column,
                                       .rows = w->row.in,
                                       .columns = w->column.in,
                                       .row = at.row - w->row.before,
                                       .column = at.column - w->column.before,
                                       .v = v,
                                       .v_step = w->v_step,
                                       .channels = w->channels};
        w->transform->input(&job);
    }
}

/* M[e] = V[e] U[e] for all elements: tiles are rows of the product. Every weight is used for this block's tiles only,
 * so while one element is multiplied the weights of the next one are fetched; `next`: those of the panel behind. */
static void multiply(const winograd *w, const cp_kernels *kernels, const float *v, const float *u, const float *next,
                     int64_t step, int64_t width, float *m, int64_t tiles) {
    static const cp_run whole = {0, 0};
    const int64_t vectors = width / kernels->lanes, most = kernels->rows[vectors], pieces = (tiles + most - 1) / most;
    const int64_t line = 16 * w->channels, lines = vectors == kernels->vectors ? width * w->channels / line : 0;
    cp_tile tile = {.a_step = w->v_tile,
                    .runs = &whole,
                    .run_count = 1,
                    .run_length = w->channels,
                    .c_step = width,
                    .tail = kernels->lanes};
    for (int64_t e = 0; e < w->elements; e++) {
        const float *ahead = e + 1 < w->elements ? u + step : next;
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
    const int64_t width = cp_panel_width(&w->panels, panel), column = panel * w->panels.width,
                  rest = w->filters - column;
    const float *bias = call->in[2];
    for (int64_t tile = first; tile < last; tile++, m += width) {
        const place at = place_of(w, tile);
        const cp_winograd_output job = {.m = m,
                                        .m_step = w->m_step,
                                        .y = (float *)call->out[0] + at.image * w->out_image + column,
                                        .y_row = w->out_row,
                                        .y_column = w->out_column,
                                        .rows = w->row.out,
                                        .columns = w->column.out,
                                        .row = at.row,
                                        .column = at.column,
                                        .bias = bias ? bias + column : NULL,
                                        .filters = rest < width ? rest : width,
                                        .flags = call->problem->relu ? CP_APPLY_RELU : 0};
        w->transform->output(&job);
    }
}

/* So many blocks that they, or together with the panels, can be shared evenly. */
static int64_t blocks_for(const winograd *w, int n) {
    const int64_t blocks = (w->tiles + w->block - 1) / w->block, panels = w->panels.count;
    if (blocks >= n) return (blocks + n - 1) / n * n;
    const int64_t enough = (n + panels - 1) / panels, most = enough < w->tiles ? enough : w->tiles;
    return blocks > most ? blocks : most;
}

static void run(const cp_call *call, int number, int id, int n) {
    (void)number;
    const winograd *w = call->prepared->state;
    const cp_kernels *kernels = call->problem->kernels;
    const float *weights = call->in[1];
    float *v = cp_share_scratch(call, id), *m = v + w->elements * w->v_step;
    const int64_t blocks = blocks_for(w, n), panels = w->panels.count;
    int64_t begin, end;
    cp_share(blocks * panels, id, n, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        const int64_t block = u / panels, panel = u % panels;
        const int64_t first = w->tiles * block / blocks, last = w->tiles * (block + 1) / blocks;
        if (u == begin || panel == 0) transform_block(w, call->in[0], v, first, last);
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
    const winograd w = describe(p, transform, backward);
    const double filters = (double)cp_round_up(w.filters, p->kernels->lanes);
    const double channels = (double)w.channels, read = (double)cp_round_up(w.channels, p->kernels->lanes);
    const double products = (double)w.tiles * channels * filters;
    const double weights = p->math == CP_MATH_STRICT ? 0 : WEIGHT * channels * filters;
    const double transforms = TRANSFORM * (double)w.tiles * (read + filters);
    return (double)w.elements * ((products > weights ? products : weights) + transforms);
}

/* An algorithm by one of the kernels' transforms; strict: its error is not larger than that of a direct sum. */
#define DEFINE_ALGORITHM(name_, symbol, transform, strict, backward_, pack_)                                           \
    static const char *refuse_##symbol(const cp_problem *p) {                                                          \
        return !strict && p->math == CP_MATH_STRICT ? "not in strict math"                                             \
                                                    : refuse(p, &cp_kernels_portable.winograd[transform]);             \
    }                                                                                                                  \
    static double cost_##symbol(const cp_problem *p) {                                                                 \
        return cost(p, &p->kernels->winograd[transform], backward_);                                                   \
    }                                                                                                                  \
    static cp_status prepare_##symbol(const cp_problem *p, cp_prepared *prepared) {                                    \
        return prepare(p, prepared, &p->kernels->winograd[transform], backward_);                                      \
    }                                                                                                                  \
    const cp_algo cp_algo_##symbol = {                                                                                 \
        .name = name_,                                                                                                 \
        .refuse = refuse_##symbol,                                                                                     \
        .cost = cost_##symbol,                                                                                         \
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
