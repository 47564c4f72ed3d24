/* The weight gradient as sums of outer products: for each tap, rows of input channels times panels of filters, summed
 * over the pixels that the tap reaches (kernels.h, cp_outer). Nothing is unrolled: both operands are read where they
 * lie.
 *
 * Three things are copied first, where that pays: dy into panels when its rows do not consist of whole vectors (or are
 * far apart); x into blocks of channels when its pixels are far apart and few; and an image with few channels into one
 * with real zeros around it, so that a whole row of taps becomes the rows of one product. */
#include <string.h>

#include "plan/algos.h"

enum { CHANNEL_BLOCK = 96, TILE_BLOCK = 16, FEW_CHANNELS = 16, FAR_APART = 512, ENOUGH_ITEMS = 64 };

typedef struct outer {
    int64_t images, channels, filters, groups; /* channels, filters: of one group */
    cp_axis axis[CP_MAX_AXES];                 /* of the (possibly padded) image that is read */
    int64_t x_pixel, x_image;                  /* floats between pixels, images, of what is read */
    int64_t y_pixel, y_image;
    int64_t rows_of_tap; /* rows of the weights that one product makes: channels, or taps of a row * channels */
    int64_t taps;        /* products by position: all taps, or rows of taps */
    bool pads, copies_x, copies_y;
    int64_t padded, copied_x, copied_y, partial; /* floats; where they begin in the scratch, in that order */
    int64_t tiles, tile_rows;                    /* pieces of rows_of_tap */
    int64_t items, parts;
    int64_t unit_y, unit_x, units_y, units_x, units; /* pieces of the output, of all images: one call of the kernel */
    int64_t block;                                   /* units that an item sums before the next item comes */
    int64_t floats;                                  /* of the gradient as it is stored */
    cp_panels panels;
} outer;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t pixels_in(const outer *o) {
    return o->axis[0].in * o->axis[1].in * o->axis[2].in;
}
static int64_t pixels_out(const outer *o) {
    return o->axis[0].out * o->axis[1].out * o->axis[2].out;
}

/* A padded copy is read: exactly what the windows cover, zeros where the input has nothing. Unless that is padding for
 * the most part. */
static void plan_padding(outer *o, const cp_problem *p) {
    enum { MOST_TIMES = 4, ALWAYS = 1 << 16 };
    cp_axis padded[CP_MAX_AXES];
    int64_t pixels = 1;
    bool fits = true;
    for (int i = 0; i < CP_MAX_AXES; i++) {
        cp_axis *a = &padded[i];
        *a = o->axis[i];
        a->in = (a->out - 1) * a->stride + (a->kernel - 1) * a->dilation + 1;
        a->before = a->after = 0;
        fits = fits && cp_mul(pixels, a->in, &pixels);
    }
    o->pads = fits && pixels / MOST_TIMES <= pixels_in(o) + ALWAYS && p->groups == 1 && p->channels < FEW_CHANNELS &&
              o->axis[2].dilation == 1 && cp_window_taps(&p->window) > 1;
    if (!o->pads) return;
    memcpy(o->axis, padded, sizeof padded);
    o->x_image = pixels_in(o) * p->channels;
    o->padded = o->images * o->x_image;
    o->rows_of_tap = o->axis[2].kernel * p->channels;
    o->taps = o->axis[0].kernel * o->axis[1].kernel;
}

/* With one tap and nothing between pixels, all images are one row of pixels. */
static void merge_pixels(outer *o) {
    for (int i = 0; i < CP_MAX_AXES; i++) {
        const cp_axis *a = &o->axis[i];
        if (a->kernel != 1 || a->stride != 1 || a->before || a->in != a->out) return;
    }
    int64_t pixels = pixels_in(o) * o->images;
    o->axis[0] = o->axis[1] = (cp_axis){1, 1, 1, 1, 1, 0, 0};
    o->axis[2] = (cp_axis){pixels, pixels, 1, 1, 1, 0, 0};
    o->images = 1;
}

/* The sums are loaded and stored once per unit, so units should be long; and x and dy of a block should stay in L2
 * while all items use them. */
static void plan_units(outer *o) {
    enum { BLOCK_BYTES = 768 << 10, ENOUGH_PIXELS = 512 };
    const cp_axis *y = &o->axis[1], *x = &o->axis[2];
    int64_t read = least(y->stride, y->in) * least(x->stride, x->in); /* pixels of x for one of y */
    int64_t pixel = (int64_t)sizeof(float) * (read * o->x_pixel + o->y_pixel);
    int64_t pixels = BLOCK_BYTES / pixel > ENOUGH_PIXELS ? BLOCK_BYTES / pixel : ENOUGH_PIXELS;
    if (!o->images || !pixels_out(o)) return;
    o->unit_x = y->out == 1 && pixels < x->out ? pixels : x->out;
    o->unit_y = pixels / x->out < 1 ? 1 : pixels / x->out < y->out ? pixels / x->out : y->out;
    o->units_x = (x->out + o->unit_x - 1) / o->unit_x;
    o->units_y = (y->out + o->unit_y - 1) / o->unit_y;
    o->units = o->images * o->axis[0].out * o->units_y * o->units_x;
    o->block = pixels / (o->unit_x * o->unit_y);
}

static cp_status prepare(const cp_problem *p, cp_prepared *prepared) {
    outer *o = cp_zalloc(NULL, sizeof *o);
    if (!o) return CP_E_MEMORY;
    *o = (outer){.images = p->batch, .groups = p->groups, .x_pixel = p->channels, .y_pixel = p->filters};
    o->channels = o->rows_of_tap = p->channels / p->groups;
    o->filters = p->filters / p->groups;
    o->taps = cp_window_taps(&p->window);
    memcpy(o->axis, p->window.axis, sizeof o->axis);
    for (int i = 0; i < CP_MAX_AXES; i++) /* from one position there is no step */
        if (o->axis[i].out == 1) o->axis[i].stride = 1;
    merge_pixels(o);
    o->x_image = pixels_in(o) * p->channels;
    o->y_image = pixels_out(o) * p->filters;
    plan_padding(o, p);
    bool row = o->axis[0].out == 1 && o->axis[1].out == 1 && o->taps == 1 && o->axis[2].stride == 1;
    o->panels = cp_weight_panels(p);
    o->copies_y = o->filters % p->kernels->lanes != 0 || (row && o->y_pixel > FAR_APART);
    o->copies_x = row && !o->pads && o->groups == 1 && o->x_pixel > FAR_APART;
    cp_panels y = cp_panels_of(p->kernels, p->groups, o->images * pixels_out(o), o->filters);
    o->copied_y = o->copies_y ? cp_panels_floats(&y) : 0;
    o->copied_x = o->copies_x ? cp_round_up(o->channels, CHANNEL_BLOCK) * pixels_in(o) : 0;
    int64_t vectors = (o->filters + p->kernels->lanes - 1) / p->kernels->lanes;
    int64_t most = p->kernels->rows[vectors < p->kernels->vectors ? vectors : p->kernels->vectors];
    if (o->copies_x) /* tiles must not cross the blocks of channels */
        while (CHANNEL_BLOCK % most) most--;
    o->tiles = (o->rows_of_tap + most - 1) / most;
    o->tile_rows = o->copies_x ? most : (o->rows_of_tap + o->tiles - 1) / o->tiles;
    o->tiles = (o->rows_of_tap + o->tile_rows - 1) / o->tile_rows;
    o->items = o->groups * o->panels.count * o->taps * o->tiles;
    plan_units(o);
    /* too few items to share: parts of the units, added up afterwards; their number depends on the shape alone */
    o->parts = o->items >= ENOUGH_ITEMS ? 1 : (ENOUGH_ITEMS + o->items - 1) / o->items;
    if (o->parts > o->units) o->parts = o->units > 1 ? o->units : 1;
    o->floats = p->weights_in_panels ? cp_panels_floats(&o->panels) : o->panels.rows * p->filters;
    o->partial = o->parts > 1 ? o->parts * o->floats : 0;
    o->padded = cp_round_up(o->padded, 16);
    o->copied_x = cp_round_up(o->copied_x, 16);
    o->copied_y = cp_round_up(o->copied_y, 16);
    prepared->scratch = (o->padded + o->copied_x + o->copied_y + o->partial) * (int64_t)sizeof(float);
    prepared->phases = 3;
    prepared->state = o;
    return CP_OK;
}

/* --- phase 0: copies --- */

static void copy_padded(const outer *o, const cp_problem *p, const float *x, float *to, int id, int n) {
    int64_t rows = o->axis[0].in * o->axis[1].in, first, last, c = p->channels;
    const cp_axis *from = p->window.axis;
    cp_share(o->images * rows, id, n, &first, &last);
    for (int64_t u = first; u < last; u++) {
        int64_t image = u / rows, z = u % rows / o->axis[1].in - from[0].before, y = u % o->axis[1].in - from[1].before;
        float *row = to + u * o->axis[2].in * c;
        memset(row, 0, (size_t)(o->axis[2].in * c) * sizeof *row);
        if (z < 0 || z >= from[0].in || y < 0 || y >= from[1].in) continue;
        int64_t left = from[2].before, width = o->axis[2].in - left < from[2].in ? o->axis[2].in - left : from[2].in;
        const float *line = x + ((image * from[0].in + z) * from[1].in + y) * from[2].in * c;
        if (width > 0) memcpy(row + left * c, line, (size_t)(width * c) * sizeof *row);
    }
}

/* Blocks of CHANNEL_BLOCK channels, each [pixel][channel]. */
static void copy_x(const outer *o, const cp_problem *p, const float *x, float *to, int id, int n) {
    int64_t blocks = cp_round_up(o->channels, CHANNEL_BLOCK) / CHANNEL_BLOCK, pixels = pixels_in(o), first, last;
    cp_share(blocks, id, n, &first, &last);
    for (int64_t b = first; b < last; b++) {
        int64_t rest = o->channels - b * CHANNEL_BLOCK;
        p->kernels->pack(x + b * CHANNEL_BLOCK, o->x_pixel, 1, pixels, rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK,
                         CHANNEL_BLOCK, to + b * CHANNEL_BLOCK * pixels);
    }
}

/* --- phase 1: products --- */

/* The outputs in [begin, end) that tap t reaches along an axis. */
static void reach(const cp_axis *a, int64_t t, int64_t begin, int64_t end, int64_t *first, int64_t *last) {
    int64_t from = a->before - t * a->dilation, to = a->in - 1 + from; /* o*stride in [from, to] */
    int64_t low = from <= 0 ? 0 : (from + a->stride - 1) / a->stride, high = to < 0 ? 0 : to / a->stride + 1;
    *first = low > begin ? low : begin;
    *last = high < end ? high : end;
}

typedef struct target {
    float *to;
    int64_t step;
    int tail;
    int64_t vectors;
} target;

/* Where rows [row, ..) of one panel of the gradient are stored. */
static target target_of(const outer *o, const cp_problem *p, float *dw, int64_t group, int64_t panel, int64_t row) {
    int64_t columns = o->filters - panel * o->panels.width, width = cp_panel_width(&o->panels, panel);
    int lanes = p->kernels->lanes;
    target t = {.vectors = width / lanes};
    if (p->weights_in_panels) {
        t.to = dw + cp_panel_offset(&o->panels, group, panel) + row * width;
        t.step = width;
        t.tail = lanes;
    } else {
        t.to = dw + row * p->filters + group * o->filters + panel * o->panels.width;
        t.step = p->filters;
        t.tail = columns >= width ? lanes : (int)(columns - (t.vectors - 1) * lanes);
    }
    return t;
}

static void zero_rows(const target *t, int64_t rows, int lanes) {
    for (int64_t i = 0; i < rows; i++)
        memset(t->to + i * t->step, 0, (size_t)((t->vectors - 1) * lanes + t->tail) * sizeof(float));
}

typedef struct sources {
    const float *x, *dy; /* where they are read: copies or the tensors themselves */
} sources;

/* Item i: a tile of rows of one tap, and one panel. Tiles come in blocks that see all panels, so that their x stays in
 * L1. */
typedef struct item {
    int64_t group, panel, tap, row, rows;
} item;

static item item_at(const outer *o, int64_t i) {
    int64_t of_tap = o->panels.count * o->tiles, group = i / (of_tap * o->taps), tap = i / of_tap % o->taps;
    int64_t in_tap = i % of_tap, block = in_tap / (o->panels.count * TILE_BLOCK),
            in_block = in_tap % (o->panels.count * TILE_BLOCK);
    int64_t tiles = o->tiles - block * TILE_BLOCK < TILE_BLOCK ? o->tiles - block * TILE_BLOCK : TILE_BLOCK;
    int64_t row = (block * TILE_BLOCK + in_block % tiles) * o->tile_rows;
    int64_t rows = o->rows_of_tap - row < o->tile_rows ? o->rows_of_tap - row : o->tile_rows;
    return (item){group, in_block / tiles, tap, row, rows};
}

/* One item over one unit of the output. */
static void product(const outer *o, const cp_problem *p, sources s, const item *i, int64_t unit, bool accumulate,
                    float *dw) {
    int64_t tap = i->tap, group = i->group, panel = i->panel, row = i->row, rows = i->rows;
    target t = target_of(o, p, dw, group, panel, tap * o->rows_of_tap + row);
    int64_t ux = unit % o->units_x, uy = unit / o->units_x % o->units_y, uz = unit / o->units_x / o->units_y;
    int64_t z = uz % o->axis[0].out, image = uz / o->axis[0].out;
    int64_t tx = o->pads ? 0 : tap % o->axis[2].kernel, rest = o->pads ? tap : tap / o->axis[2].kernel;
    int64_t ty = rest % o->axis[1].kernel, tz = rest / o->axis[1].kernel;
    int64_t z0, z1, y0, y1, x0, x1;
    reach(&o->axis[0], tz, z, z + 1, &z0, &z1);
    reach(&o->axis[1], ty, uy * o->unit_y, least((uy + 1) * o->unit_y, o->axis[1].out), &y0, &y1);
    reach(&o->axis[2], tx, ux * o->unit_x, least((ux + 1) * o->unit_x, o->axis[2].out), &x0, &x1);
    if (z0 >= z1 || y0 >= y1 || x0 >= x1) {
        if (!accumulate) zero_rows(&t, rows, p->kernels->lanes);
        return;
    }
    const cp_axis *a = o->axis;
    int64_t iz = z * a[0].stride - a[0].before + tz * a[0].dilation,
            iy = y0 * a[1].stride - a[1].before + ty * a[1].dilation;
    int64_t ix = x0 * a[2].stride - a[2].before + tx * a[2].dilation;
    int64_t out = (z * a[1].out + y0) * a[2].out + x0, width = cp_panel_width(&o->panels, panel);
    cp_outer job = {.rows = y1 - y0,
                    .pixels = x1 - x0,
                    .c = t.to,
                    .c_step = t.step,
                    .tail = t.tail,
                    .flags = accumulate ? CP_ACCUMULATE : 0};
    int64_t x_pixel = o->copies_x ? CHANNEL_BLOCK : o->x_pixel;
    job.a = o->copies_x
                ? s.x + row / CHANNEL_BLOCK * CHANNEL_BLOCK * pixels_in(o) + ix * x_pixel + row % CHANNEL_BLOCK
                : s.x + image * o->x_image + ((iz * a[1].in + iy) * a[2].in + ix) * x_pixel + group * o->channels + row;
    job.a_step = a[2].stride * x_pixel;
    job.a_row = a[1].stride * a[2].in * x_pixel;
    if (o->copies_y) {
        cp_panels y = cp_panels_of(p->kernels, o->groups, o->images * pixels_out(o), o->filters);
        job.b = s.dy + cp_panel_offset(&y, group, panel) + (image * pixels_out(o) + out) * width;
        job.b_step = width;
    } else {
        job.b = s.dy + image * o->y_image + out * o->y_pixel + group * o->filters + panel * o->panels.width;
        job.b_step = o->y_pixel;
    }
    job.b_row = a[2].out * job.b_step;
    p->kernels->outer[rows][t.vectors](&job);
}

/* The items [first, last) of one part: block after block of its units, each for all items. */
static void run_part(const outer *o, const cp_problem *p, sources s, int64_t part, int64_t first, int64_t last,
                     float *dw) {
    int64_t begin, end;
    cp_share(o->units, (int)part, (int)o->parts, &begin, &end);
    for (int64_t block = begin; block < end; block += o->block)
        for (int64_t i = first; i < last; i++) {
            item it = item_at(o, i);
            for (int64_t unit = block; unit < least(block + o->block, end); unit++)
                product(o, p, s, &it, unit, unit > begin, dw);
        }
}

static void run_products(const outer *o, const cp_call *call, sources s, float *partial, int id, int n) {
    int64_t first, last;
    cp_share(o->parts * o->items, id, n, &first, &last);
    for (int64_t part = first / o->items; part < o->parts && part * o->items < last; part++) {
        int64_t from = first - part * o->items > 0 ? first - part * o->items : 0;
        int64_t to = last - part * o->items < o->items ? last - part * o->items : o->items;
        run_part(o, call->problem, s, part, from, to, o->parts > 1 ? partial + part * o->floats : call->out[0]);
    }
}

/* --- phase 2: parts added up, in order --- */

void cp_add_parts(const cp_kernels *kernels, const float *partial, int64_t parts, int64_t floats, float *sum, int id,
                  int n) {
    int64_t first, last;
    cp_share((floats + 15) / 16, id, n, &first, &last);
    first *= 16;
    last = last * 16 < floats ? last * 16 : floats;
    if (first >= last) return;
    kernels->add(partial + first, partial + floats + first, sum + first, last - first);
    for (int64_t i = 2; i < parts; i++)
        kernels->add(sum + first, partial + i * floats + first, sum + first, last - first);
}

static void run(const cp_call *call, int number, int id, int n) {
    const cp_problem *p = call->problem;
    const outer *o = call->prepared->state;
    float *padded = call->scratch, *copied_x = padded, *copied_y = padded, *partial = padded;
    if (padded) { /* NULL where nothing is copied and there is one part */
        copied_x += o->padded;
        copied_y = copied_x + o->copied_x;
        partial = copied_y + o->copied_y;
    }
    const float *dy = call->in[0], *x = call->in[1];
    if (!o->units) { /* an empty batch */
        if (number == 0 && id == 0) memset(call->out[0], 0, (size_t)o->floats * sizeof(float));
    } else if (number == 0) {
        if (o->pads) copy_padded(o, p, x, padded, id, n);
        if (o->copies_x) copy_x(o, p, x, copied_x, id, n);
        if (o->copies_y) {
            cp_panels y = cp_panels_of(p->kernels, o->groups, o->images * pixels_out(o), o->filters);
            cp_panels_pack(&y, p->kernels, dy, copied_y, id, n);
        }
    } else if (number == 1) {
        sources s = {o->pads ? padded : o->copies_x ? copied_x : x, o->copies_y ? copied_y : dy};
        run_products(o, call, s, partial, id, n);
    } else if (o->parts > 1) {
        cp_add_parts(p->kernels, partial, o->parts, o->floats, call->out[0], id, n);
    }
}

static const char *refuse(const cp_problem *p) {
    return p->type != CP_F32 ? "needs f32" : NULL;
}

static double cost(const cp_problem *p) {
    int64_t columns = p->filters / p->groups;
    return (double)p->multiply_adds * (double)cp_round_up(columns, p->kernels->lanes) / (double)columns;
}

const cp_algo cp_algo_outer_weight_gradient = {
    .name = "outer",
    .refuse = refuse,
    .cost = cost,
    .prepare = prepare,
    .run = run,
    .panels = true,
};
