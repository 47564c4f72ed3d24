/* The weight gradient by Winograd's minimal filtering. The gradient of y = A^T [(G g G^T) * (B^T x B)] A by g is
 *   dg = G^T [(A dy A^T) * (B^T x B)] G,
 * and the sum over tiles can be taken before G: for each element e of a tile, a product of matrices, dU[e] = V[e]^T
 * Z[e], V the transformed input as forward, Z the transformed gradient.
 *
 * A unit of work is one panel of filters and a block of channels, few enough that its dU stays in the cache while the
 * tiles of all images go by, a block of them after the other; it transforms what it needs of x and dy itself. Where
 * there are too few units to share, each has parts of the tiles, which are added up afterwards, in order. */
#include <string.h>

#include "plan/algos.h"
#include "plan/winograd.h"

enum { CHANNEL_BLOCK = 96, TILE_BLOCK = 36, ENOUGH_ITEMS = 8, LEAST_TILES = 64 };

typedef struct gradient {
    cp_winograd_tiles tiles;
    cp_panels panels; /* of the weights */
    int64_t channel_blocks, block_channels;
    int64_t parts;
    int64_t v_step, z_step, u_step; /* floats between elements */
    int64_t floats;                 /* of the gradient as it is stored */
} gradient;

static int64_t channel_blocks_of(const cp_winograd_tiles *t) {
    return (t->channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
}

static cp_status prepare(const cp_problem *p, cp_prepared *prepared, const cp_winograd *transform) {
    gradient *g = cp_alloc(NULL, sizeof *g);
    if (!g) return CP_E_MEMORY;
    *g = (gradient){.tiles = cp_winograd_tiles_of(p, transform, false), .panels = cp_weight_panels(p)};
    const cp_winograd_tiles *t = &g->tiles;
    g->channel_blocks = channel_blocks_of(t);
    g->block_channels = cp_round_up((t->channels + g->channel_blocks - 1) / g->channel_blocks, p->kernels->lanes);
    g->channel_blocks = (t->channels + g->block_channels - 1) / g->block_channels;
    g->v_step = TILE_BLOCK * g->block_channels + 16;
    g->z_step = TILE_BLOCK * g->panels.width + 16;
    g->u_step = g->block_channels * g->panels.width + 16;
    const int64_t units = g->channel_blocks * g->panels.count, most = t->count / LEAST_TILES;
    g->parts = (ENOUGH_ITEMS + units - 1) / units;
    if (g->parts > most) g->parts = most > 1 ? most : 1;
    g->floats = p->weights_in_panels ? cp_panels_floats(&g->panels) : g->panels.rows * t->filters;
    prepared->scratch = g->parts > 1 ? g->parts * g->floats * (int64_t)sizeof(float) : 0;
    prepared->scratch_of_share =
        cp_round_up(t->elements * (g->v_step + g->z_step + g->u_step) * (int64_t)sizeof(float), CP_ALIGN);
    prepared->phases = 2;
    prepared->state = g;
    return CP_OK;
}

/* Of one unit. */
typedef struct unit {
    int64_t channel, channels, column, columns, width; /* width: of the panel */
} unit;

static unit unit_at(const gradient *g, int64_t number) {
    unit u = {.channel = number / g->panels.count * g->block_channels,
              .column = number % g->panels.count * g->panels.width,
              .width = cp_panel_width(&g->panels, number % g->panels.count)};
    const int64_t channels = g->tiles.channels - u.channel, columns = g->tiles.filters - u.column;
    u.channels = channels < g->block_channels ? channels : g->block_channels;
    u.columns = columns < u.width ? columns : u.width;
    return u;
}

/* Z of the tiles [first, last). */
static void transform_gradient(const gradient *g, const unit *u, const float *dy, int64_t first, int64_t last,
                               float *z) {
    const cp_winograd_tiles *t = &g->tiles;
    for (int64_t tile = first; tile < last; tile++, z += u->width) {
        const cp_tile_place at = cp_tile_at(t, tile);
        const cp_winograd_input job = {.x = dy + at.image * t->out_image + u->column,
                                       .x_row = t->out_row,
                                       .x_column = t->out_column,
                                       .rows = t->row.out,
                                       .columns = t->column.out,
                                       .row = at.row,
                                       .column = at.column,
                                       .v = z,
                                       .v_step = g->z_step,
                                       .channels = u->columns};
        t->transform->gradient(&job);
    }
}

/* dU[e] (+)= V[e]^T Z[e] for all elements: rows of the product are channels. */
static void multiply(const gradient *g, const unit *u, const cp_kernels *kernels, const float *v, const float *z,
                     float *du, int64_t tiles, bool accumulate) {
    const int64_t vectors = u->width / kernels->lanes, most = kernels->rows[vectors];
    const int64_t pieces = (u->channels + most - 1) / most;
    cp_outer outer = {.a_step = g->block_channels,
                      .b_step = u->width,
                      .rows = 1,
                      .pixels = tiles,
                      .c_step = u->width,
                      .tail = kernels->lanes,
                      .flags = accumulate ? CP_ACCUMULATE : 0};
    for (int64_t e = 0; e < g->tiles.elements; e++) {
        outer.b = z + e * g->z_step;
        for (int64_t i = 0; i < pieces; i++) {
            const int64_t begin = u->channels * i / pieces, end = u->channels * (i + 1) / pieces;
            outer.a = v + e * g->v_step + begin;
            outer.c = du + e * g->u_step + begin * u->width;
            kernels->outer[end - begin][vectors](&outer);
        }
    }
}

/* dw of a unit from its dU. */
static void finish(const gradient *g, const unit *u, const cp_problem *p, const float *du, float *dw) {
    const cp_winograd_tiles *t = &g->tiles;
    cp_winograd_weight_gradient job = {.u = du,
                                       .u_step = g->u_step,
                                       .u_row = u->width,
                                       .rows = u->channels,
                                       .columns = u->columns,
                                       .w = dw + u->channel * t->filters + u->column,
                                       .w_row = t->filters};
    if (p->weights_in_panels) {
        job.columns = job.w_row = u->width;
        job.w = dw + cp_panel_offset(&g->panels, 0, u->column / g->panels.width) + u->channel * u->width;
    }
    job.w_tap = t->channels * job.w_row;
    t->transform->weight_gradient(&job);
}

/* One unit over one part of the tiles. */
static void run_unit(const cp_call *call, const unit *u, int64_t part, float *memory, float *dw) {
    const cp_problem *p = call->problem;
    const gradient *g = call->prepared->state;
    const cp_winograd_tiles *t = &g->tiles;
    const float *dy = call->in[0], *x = call->in[1];
    float *v = memory, *z = v + t->elements * g->v_step, *du = z + t->elements * g->z_step;
    int64_t begin, end;
    cp_share(t->count, (int)part, (int)g->parts, &begin, &end);
    const int64_t blocks = (end - begin + TILE_BLOCK - 1) / TILE_BLOCK;
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t first = begin + (end - begin) * i / blocks, last = begin + (end - begin) * (i + 1) / blocks;
        cp_winograd_transform(t, x + u->channel, u->channels, first, last, v, g->v_step, g->block_channels);
        transform_gradient(g, u, dy, first, last, z);
        multiply(g, u, p->kernels, v, z, du, last - first, i > 0);
    }
    finish(g, u, p, du, dw);
}

static void run(const cp_call *call, int number, int id, int n) {
    const gradient *g = call->prepared->state;
    const int64_t units = g->channel_blocks * g->panels.count;
    int64_t first, last;
    if (!g->tiles.count) { /* an empty batch */
        if (number == 0 && id == 0) memset(call->out[0], 0, (size_t)g->floats * sizeof(float));
    } else if (number == 0) {
        cp_share(units * g->parts, id, n, &first, &last);
        for (int64_t i = first; i < last; i++) {
            const unit u = unit_at(g, i % units);
            const int64_t part = i / units;
            float *dw = g->parts > 1 ? (float *)call->scratch + part * g->floats : call->out[0];
            run_unit(call, &u, part, cp_share_scratch(call, id), dw);
        }
    } else if (g->parts > 1) {
        cp_add_parts(call->problem->kernels, call->scratch, g->parts, g->floats, call->out[0], id, n);
    }
}

/* In multiply-adds; an element of a tile costs about TRANSFORM in the transforms, for each channel. */
static double cost(const cp_problem *p, const cp_winograd *transform) {
    enum { TRANSFORM = 10 };
    const cp_winograd_tiles t = cp_winograd_tiles_of(p, transform, false);
    const double filters = (double)cp_round_up(t.filters, p->kernels->lanes);
    const double channels = (double)cp_round_up(t.channels, p->kernels->lanes);
    const double transforms = channels * (double)cp_weight_panels(p).count + filters * (double)channel_blocks_of(&t);
    return (double)(t.elements * t.count) * ((double)t.channels * filters + TRANSFORM * transforms);
}

#define DEFINE_ALGORITHM(name_, symbol, transform, strict)                                                             \
    static const char *refuse_##symbol(const cp_problem *p) {                                                          \
        return cp_winograd_refuse(p, transform, strict);                                                               \
    }                                                                                                                  \
    static double cost_##symbol(const cp_problem *p) {                                                                 \
        return cost(p, &p->kernels->winograd[transform]);                                                              \
    }                                                                                                                  \
    static int64_t products_##symbol(const cp_problem *p) {                                                            \
        return cp_winograd_products(p, &p->kernels->winograd[transform], false);                                       \
    }                                                                                                                  \
    static cp_status prepare_##symbol(const cp_problem *p, cp_prepared *prepared) {                                    \
        return prepare(p, prepared, &p->kernels->winograd[transform]);                                                 \
    }                                                                                                                  \
    const cp_algo cp_algo_##symbol##_weight_gradient = {                                                               \
        .name = name_,                                                                                                 \
        .refuse = refuse_##symbol,                                                                                     \
        .cost = cost_##symbol,                                                                                         \
        .products = products_##symbol,                                                                                 \
        .prepare = prepare_##symbol,                                                                                   \
        .run = run,                                                                                                    \
        .panels = true,                                                                                                \
    }

DEFINE_ALGORITHM("winograd-4x4-3x3", winograd_4x4_3x3, CP_WINOGRAD_4X4_3X3, false);
DEFINE_ALGORITHM("winograd-2x2-3x3", winograd_2x2_3x3, CP_WINOGRAD_2X2_3X3, true);
DEFINE_ALGORITHM("winograd-2x2-5x5", winograd_2x2_5x5, CP_WINOGRAD_2X2_5X5, false);
DEFINE_ALGORITHM("winograd-4-3", winograd_4_3, CP_WINOGRAD_4_3, false);
