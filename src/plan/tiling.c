/* Makes the tiling of a convolution (see tiling.h) and walks over it. */
#include <string.h>

#include "plan/tiling.h"

enum { MAX_TAPS = 1 << 20, MAX_RUNS = 1 << 24 };

/* --- making it: once per plan --- */

typedef struct class_key {
    int64_t first[CP_MAX_AXES], last[CP_MAX_AXES]; /* valid taps */
    int64_t at[CP_MAX_AXES];                       /* one of its positions */
} class_key;

typedef struct maker {
    const cp_problem *problem;
    cp_tiling d;
    int64_t *cuts; /* panel rows at which chunks begin, of the phase at hand */
    class_key *classes;
    int64_t n_classes, n_cuts;
    int64_t *numbers; /* offsets and taps of all walks */
    int64_t n_numbers;
    int64_t phases_capacity, places_capacity, tiles_capacity, parts_capacity, runs_capacity, cuts_capacity,
        classes_capacity;
} maker;

static cp_status cut_at(maker *m, int64_t row) {
    if (cp_grow(&m->cuts, &m->cuts_capacity, m->n_cuts, sizeof *m->cuts)) return CP_E_MEMORY;
    m->cuts[m->n_cuts++] = row;
    return CP_OK;
}

/* Whether taps lie side by side in the input, so that a row of taps is one run. */
static bool merges(const cp_tiling *d, const cp_walk *w) {
    if (d->in_channels != d->in_pixel && w->taps > 1) return false;
    for (int64_t t = 1; t < w->taps; t++)
        if (w->offset[t] != w->offset[t - 1] + 1) return false;
    return true;
}

/* Cuts the panel's rows into chunks of at most `limit` rows: between runs, or inside a run that is longer than that
 * alone. */
static cp_status make_cuts(maker *m, const cp_phase *ph, int64_t limit) {
    int64_t run = m->d.in_channels * (ph->merged ? ph->axis[2].taps : 1), fill = 0;
    m->n_cuts = 0;
    cp_status status = CP_OK;
    for (int64_t row = 0; row < ph->rows && !status; row += run) {
        int64_t pieces = (run + limit - 1) / limit;
        if (row == 0 || fill + run > limit) {
            for (int64_t i = 0; i < pieces && !status; i++) status = cut_at(m, row + run * i / pieces);
            fill = pieces > 1 ? limit : 0; /* nothing joins a piece of a run */
        }
        fill += run;
    }
    return status ? status : cut_at(m, ph->rows);
}

/* Whether all taps of position o are inside the input. */
static bool is_inside(const cp_walk *w, int64_t o) {
    return w->taps == 0 || (o * w->in_step + w->offset[0] >= 0 && o * w->in_step + w->offset[w->taps - 1] < w->in);
}

/* What a tap of a position reads, from the position's own input on. */
static int64_t offset_at(const cp_walk *w, int64_t o, int64_t t) {
    return cp_pad_at(w->values, o * w->in_step + w->offset[t], w->in) - o * w->in_step;
}

/* The runs of a class, as far as they lie in panel rows [begin, end). */
static cp_status add_part(maker *m, const cp_phase *ph, const class_key *k, int64_t begin, int64_t end) {
    const cp_walk *z = &ph->axis[0], *y = &ph->axis[1], *x = &ph->axis[2];
    bool merged = ph->merged && (x->values == CP_PAD_CONSTANT || is_inside(x, k->at[2]));
    int64_t c = m->d.in_channels, step = merged ? (k->last[2] > k->first[2] ? k->last[2] - k->first[2] : 1) : 1;
    cp_part p = {.run = m->d.n_runs};
    for (int64_t i = k->first[0]; i < k->last[0]; i++)
        for (int64_t j = k->first[1]; j < k->last[1]; j++)
            for (int64_t s = k->first[2]; s < k->last[2]; s += step) {
                int64_t row = ((i * y->taps + j) * x->taps + s) * c, length = c * step;
                int64_t a = ((offset_at(z, k->at[0], i) * y->in + offset_at(y, k->at[1], j)) * x->in +
                             offset_at(x, k->at[2], s)) *
                            m->d.in_pixel;
                int64_t from = row > begin ? row : begin, to = row + length < end ? row + length : end;
                if (from >= to) continue;
                if (cp_grow(&m->d.runs, &m->runs_capacity, m->d.n_runs, sizeof *m->d.runs)) return CP_E_MEMORY;
                m->d.runs[m->d.n_runs++] = (cp_run){.a = a + (from - row), .row = from};
                p.length = to - from;
                p.count++;
            }
    if (cp_grow(&m->d.parts, &m->parts_capacity, m->d.n_parts, sizeof p)) return CP_E_MEMORY;
    m->d.parts[m->d.n_parts++] = p;
    return CP_OK;
}

static cp_status add_parts(maker *m, cp_phase *ph) {
    ph->parts = m->d.n_parts;
    ph->chunks = m->n_cuts - 1;
    for (int64_t c = 0; c < m->n_classes; c++) {
        int64_t base = m->d.n_parts, first = -1, last = -1;
        for (int64_t i = 0; i < ph->chunks; i++) {
            if (add_part(m, ph, &m->classes[c], m->cuts[i], m->cuts[i + 1])) return CP_E_MEMORY;
            if (!m->d.parts[base + i].count) continue;
            if (first < 0) first = i;
            last = i;
        }
        if (first >= 0) m->d.parts[base + first].first = m->d.parts[base + last].last = true;
    }
    return CP_OK;
}

/* The first tap of output o that meets the input at a position or behind it. */
static int64_t tap_at(const cp_walk *w, int64_t o, int64_t position) {
    int64_t low = 0, high = w->taps;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (o * w->in_step + w->offset[middle] < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void valid_taps(const cp_walk *w, int64_t o, int64_t *first, int64_t *last) {
    if (w->values != CP_PAD_CONSTANT) {
        *first = 0;
        *last = w->taps;
        return;
    }
    *first = tap_at(w, o, 0);
    *last = tap_at(w, o, w->in);
    if (*first == *last) *first = *last = 0;
}

/* Tiles of the newest class for `count` pixels from (z,y,x) on, along x or y, in equal pieces of at most `most`. */
static cp_status add_tiles(maker *m, cp_phase *ph, int64_t z, int64_t y, int64_t x, int64_t count, bool vertical,
                           int64_t most) {
    const cp_walk *a = ph->axis;
    int64_t pieces = (count + most - 1) / most;
    for (int64_t i = 0; i < pieces; i++) {
        int64_t b = count * i / pieces, e = count * (i + 1) / pieces, oy = vertical ? y + b : y,
                ox = vertical ? x : x + b;
        cp_tile_start at;
        at.a = ((z * a[0].in_step * a[1].in + oy * a[1].in_step) * a[2].in + ox * a[2].in_step) * m->d.in_pixel;
        at.c = (((a[0].out_first + z * a[0].out_step) * a[1].out + a[1].out_first + oy * a[1].out_step) * a[2].out +
                a[2].out_first + ox * a[2].out_step) *
               m->d.out_pixel;
        if (cp_grow(&m->d.places, &m->places_capacity, m->d.n_tiles, sizeof at)) return CP_E_MEMORY;
        if (cp_grow(&m->d.tiles, &m->tiles_capacity, m->d.n_tiles, sizeof *m->d.tiles)) return CP_E_MEMORY;
        m->d.places[m->d.n_tiles] = at;
        m->d.tiles[m->d.n_tiles++] =
            (cp_pixel_tile){.class = (int32_t)m->n_classes - 1, .pixels = (int8_t)(e - b), .vertical = vertical};
    }
    return CP_OK;
}

/* Where the first range of positions with the same valid taps as position o, at the same distances, ends. */
static int64_t same_until(const cp_walk *w, int64_t o, int64_t *first, int64_t *last) {
    int64_t f, l, end = o + 1;
    valid_taps(w, o, first, last);
    for (; end < w->count; end++) {
        valid_taps(w, end, &f, &l);
        if (f != *first || l != *last) break;
        if (w->values != CP_PAD_CONSTANT && !(is_inside(w, o) && is_inside(w, end))) break;
    }
    return end;
}

/* One block of positions with the same taps in every axis, which are a class: rows along x, or, where that is short,
 * columns along y. */
static cp_status add_block(maker *m, cp_phase *ph, const class_key *key, const int64_t begin[3], const int64_t end[3],
                           int64_t most) {
    if (cp_grow(&m->classes, &m->classes_capacity, m->n_classes, sizeof *key)) return CP_E_MEMORY;
    class_key *made = &m->classes[m->n_classes++];
    *made = *key;
    memcpy(made->at, begin, sizeof made->at);
    int64_t width = end[2] - begin[2], height = end[1] - begin[1];
    bool vertical = width < most && height > width;
    cp_status status = CP_OK;
    for (int64_t z = begin[0]; z < end[0] && !status; z++) {
        if (vertical)
            for (int64_t x = begin[2]; x < end[2] && !status; x++)
                status = add_tiles(m, ph, z, begin[1], x, height, true, most);
        else
            for (int64_t y = begin[1]; y < end[1] && !status; y++)
                status = add_tiles(m, ph, z, y, begin[2], width, false, most);
    }
    return status;
}

static cp_status add_all_tiles(maker *m, cp_phase *ph, int64_t most) {
    class_key key;
    int64_t begin[3], end[3];
    cp_status status = CP_OK;
    for (begin[0] = 0; begin[0] < ph->axis[0].count; begin[0] = end[0]) {
        end[0] = same_until(&ph->axis[0], begin[0], &key.first[0], &key.last[0]);
        for (begin[1] = 0; begin[1] < ph->axis[1].count; begin[1] = end[1]) {
            end[1] = same_until(&ph->axis[1], begin[1], &key.first[1], &key.last[1]);
            for (begin[2] = 0; begin[2] < ph->axis[2].count && !status; begin[2] = end[2]) {
                end[2] = same_until(&ph->axis[2], begin[2], &key.first[2], &key.last[2]);
                status = add_block(m, ph, &key, begin, end, most);
            }
        }
    }
    return status;
}

static void count_alike(cp_pixel_tile *tiles, int64_t count) {
    for (int64_t i = count - 1; i >= 0; i--) {
        const cp_pixel_tile *next = &tiles[i + 1];
        const bool same = i + 1 < count && next->class == tiles[i].class && next->pixels == tiles[i].pixels &&
                          next->vertical == tiles[i].vertical;
        tiles[i].alike = same ? next->alike + 1 : 1;
    }
}

static int64_t full_vectors(const cp_problem *p, int64_t columns) {
    int64_t vectors = (columns + p->kernels->lanes - 1) / p->kernels->lanes;
    return vectors < p->kernels->vectors ? vectors : p->kernels->vectors;
}

/* A phase with the walks of its axes: its tiles, classes and runs. */
static cp_status add_phase(maker *m, cp_phase ph) {
    enum { PANEL_BYTES = 640 << 10 }; /* the part of a panel that is used for all tiles before the next: stays in L2 */
    int64_t vectors = full_vectors(m->problem, m->d.out_channels), width = vectors * m->problem->kernels->lanes;
    const cp_walk *a = ph.axis;
    ph.rows = a[0].taps * a[1].taps * a[2].taps * m->d.in_channels;
    ph.packed = m->d.packed;
    /* Sums that become bytes are never stored half way. */
    const bool whole = cp_type_size(m->problem->out_type[0]) < (int64_t)sizeof(float);
    const int64_t limit = whole ? ph.rows : PANEL_BYTES / ((int64_t)sizeof(float) * width);
    /* Where some classes have runs of single taps, no cut may fall inside a merged run. */
    ph.merged = merges(&m->d, &a[2]) && (a[2].values == CP_PAD_CONSTANT || a[2].taps * m->d.in_channels <= limit);
    ph.in_step[0] = a[2].in_step * m->d.in_pixel;
    ph.in_step[1] = a[1].in_step * a[2].in * m->d.in_pixel;
    ph.out_step[0] = a[2].out_step * m->d.out_pixel;
    ph.out_step[1] = a[1].out_step * a[2].out * m->d.out_pixel;
    ph.tiles = m->d.n_tiles;
    m->n_classes = 0;
    cp_status status = add_all_tiles(m, &ph, m->problem->kernels->rows[vectors]);
    if (!status) status = make_cuts(m, &ph, limit);
    if (!status) status = add_parts(m, &ph);
    if (status) return status;
    ph.n_tiles = m->d.n_tiles - ph.tiles;
    count_alike(m->d.tiles + ph.tiles, ph.n_tiles);
    cp_panels panels = cp_panels_of(m->problem->kernels, m->d.groups, ph.rows, m->d.out_channels);
    m->d.packed += cp_panels_floats(&panels);
    if (cp_grow(&m->d.phases, &m->phases_capacity, m->d.n_phases, sizeof ph)) return CP_E_MEMORY;
    m->d.phases[m->d.n_phases++] = ph;
    return CP_OK;
}

/* All arrays of the maker in one block that a plan can free, the struct itself in front. */
static cp_status assemble(maker *m, cp_prepared *prepared) {
    cp_tiling *d = &m->d;
    enum { ARRAYS = 7 };
    int64_t sizes[ARRAYS] = {sizeof *d,
                             d->n_phases * (int64_t)sizeof *d->phases,
                             d->n_tiles * (int64_t)sizeof *d->tiles,
                             d->n_parts * (int64_t)sizeof *d->parts,
                             d->n_runs * (int64_t)sizeof *d->runs,
                             m->n_numbers * (int64_t)sizeof *m->numbers,
                             d->n_tiles * (int64_t)sizeof *d->places};
    int64_t at[ARRAYS], total = 0;
    for (int i = 0; i < ARRAYS; i++) {
        at[i] = total;
        total += cp_round_up(sizes[i], CP_ALIGN);
    }
    char *block = cp_alloc(NULL, total);
    if (!block) return CP_E_MEMORY;
    const void *from[ARRAYS] = {d, d->phases, d->tiles, d->parts, d->runs, m->numbers, d->places};
    for (int i = 0; i < ARRAYS; i++)
        if (sizes[i]) memcpy(block + at[i], from[i], (size_t)sizes[i]);
    cp_tiling *to = (cp_tiling *)block;
    to->phases = (cp_phase *)(block + at[1]);
    to->tiles = (cp_pixel_tile *)(block + at[2]);
    to->parts = (cp_part *)(block + at[3]);
    to->runs = (cp_run *)(block + at[4]);
    to->places = (cp_tile_start *)(block + at[6]);
    const int64_t *numbers = (const int64_t *)(block + at[5]);
    for (int64_t i = 0; i < to->n_phases; i++)
        for (int a = 0; a < CP_MAX_AXES; a++) {
            cp_walk *w = &to->phases[i].axis[a];
            w->offset = numbers + (w->offset - m->numbers);
            w->tap = numbers + (w->tap - m->numbers);
        }
    prepared->state = block;
    return CP_OK;
}

static void end_maker(maker *m) {
    cp_free(NULL, m->d.phases);
    cp_free(NULL, m->d.places);
    cp_free(NULL, m->d.tiles);
    cp_free(NULL, m->d.parts);
    cp_free(NULL, m->d.runs);
    cp_free(NULL, m->cuts);
    cp_free(NULL, m->classes);
    cp_free(NULL, m->numbers);
}

/* Room for the numbers of all walks, twice each axis' taps per phase of that axis at most. */
static cp_status start_maker(maker *m, const cp_problem *p, const cp_window *window) {
    int64_t numbers = 0;
    for (int a = 0; a < CP_MAX_AXES; a++) numbers += 2 * window->axis[a].kernel;
    m->problem = p;
    m->d.groups = p->groups;
    m->numbers = cp_alloc(NULL, numbers * (int64_t)sizeof *m->numbers);
    return m->numbers ? CP_OK : CP_E_MEMORY;
}

/* One image with a tap each is a row of pixels, and so are all images together. */
static cp_window merge_pixels(const cp_window *window, int64_t *images) {
    cp_window w = *window;
    for (int a = 0; a < CP_MAX_AXES; a++) {
        const cp_axis *x = &w.axis[a];
        if (x->kernel != 1 || x->stride != 1 || x->before || x->in != x->out) return w;
    }
    int64_t pixels = cp_window_inputs(window) * *images;
    w.axis[0] = w.axis[1] = (cp_axis){1, 1, 1, 1, 1, 0, 0};
    w.axis[2] = (cp_axis){pixels, pixels, 1, 1, 1, 0, 0};
    *images = 1;
    return w;
}

/* Whether to write past the caches: more than they keep, in whole lines of them, each once. */
static bool may_stream(const maker *m) {
    enum { LINE = CP_ALIGN / sizeof(float), CACHE = 3 << 20 };
    const cp_kernels *k = m->problem->kernels;
    const cp_tiling *d = &m->d;
    if (d->out_channels % LINE || k->vectors * k->lanes % LINE) return false;
    for (int64_t i = 0; i < d->n_phases; i++)
        if (d->phases[i].chunks > 1) return false;
    return d->images * d->out_image > CACHE / (int64_t)sizeof(float);
}

static cp_status finish(maker *m, cp_prepared *prepared, cp_status status) {
    cp_tiling *d = &m->d;
    enum { ALL_PANELS = 1 << 18, BLOCK = 16 }; /* floats of weights that stay in L2 beside the pixels; tiles */
    cp_panels panels = cp_panels_of(m->problem->kernels, d->groups, 1, d->out_channels);
    d->slabs = d->groups * panels.count;
    d->weights_outside = d->packed > d->images * d->in_image;
    d->streams = may_stream(m);
    d->block = d->packed <= ALL_PANELS ? BLOCK : INT64_MAX / 2;
    if (!status) status = assemble(m, prepared);
    end_maker(m);
    return status;
}

/* Numbers for a walk: `step` taps apart from `tap` on, `count` of them, the input `offset` further on with each
 * `distance`. */
static void fill_walk(maker *m, cp_walk *w, int64_t count, int64_t tap, int64_t step, int64_t offset,
                      int64_t distance) {
    int64_t *offsets = m->numbers + m->n_numbers, *taps = offsets + count;
    m->n_numbers += 2 * count;
    for (int64_t t = 0; t < count; t++) {
        offsets[t] = offset + t * distance;
        taps[t] = tap + t * step;
    }
    w->taps = count;
    w->offset = offsets;
    w->tap = taps;
}

static int64_t words_of(int64_t channels, int in_word) {
    return (channels + in_word - 1) / in_word;
}

cp_status cp_tiling_forward(const cp_problem *p, int channels_in_word, cp_prepared *prepared) {
    int64_t images = p->batch;
    cp_window window = merge_pixels(&p->window, &images);
    maker m = {0};
    cp_status status = start_maker(&m, p, &window);
    if (status) return status;
    m.d.images = images;
    m.d.in_channels = words_of(p->channels / p->groups, channels_in_word);
    m.d.in_pixel = p->groups * m.d.in_channels;
    m.d.out_pixel = p->filters;
    m.d.out_channels = p->filters / p->groups;
    m.d.in_image = cp_window_inputs(&window) * m.d.in_pixel;
    m.d.out_image = cp_window_outputs(&window) * p->filters;
    cp_phase ph = {0};
    for (int i = 0; i < CP_MAX_AXES; i++) {
        const cp_axis *a = &window.axis[i];
        ph.axis[i] = (cp_walk){.count = a->out, .in = a->in, .in_step = 1, .out = a->out, .out_step = 1};
        if (a->out > 1) ph.axis[i].in_step = a->stride;
        ph.axis[i].values = window.values;
        fill_walk(&m, &ph.axis[i], a->kernel, 0, 1, -a->before, a->dilation);
    }
    return finish(&m, prepared, add_phase(&m, ph));
}

/* The taps t of an axis that reach input positions i = first + j*stride, and from which output o = j + offset: those
 * with (first + before - t*dilation) divisible by the stride, taken from the last to the first so that offsets ascend.
 */
static cp_walk gradient_walk(maker *m, const cp_axis *a, int64_t first) {
    cp_walk w = {.count = (a->in - 1 - first) / a->stride + 1, .in = a->out, .in_step = 1, .out = a->in};
    w.out_first = first;
    w.out_step = w.count > 1 ? a->stride : 1;
    int64_t low = -1, high = -1, step = 1, count = 0;
    for (int64_t t = 0; t < a->kernel; t++)
        if ((first + a->before - t * a->dilation) % a->stride == 0) {
            if (low < 0)
                low = t;
            else if (count == 1)
                step = t - low;
            high = t;
            count++;
        }
    int64_t offset = count ? (first + a->before - high * a->dilation) / a->stride : 0;
    fill_walk(m, &w, count, high, -step, offset, step * a->dilation / a->stride);
    return w;
}

cp_status cp_tiling_input_gradient(const cp_problem *p, int filters_in_word, cp_prepared *prepared) {
    int64_t images = p->batch;
    cp_window window = merge_pixels(&p->window, &images);
    maker m = {0};
    cp_status status = start_maker(&m, p, &window);
    if (status) return status;
    m.d.images = images;
    m.d.in_channels = words_of(p->filters / p->groups, filters_in_word);
    m.d.in_pixel = p->groups * m.d.in_channels;
    m.d.out_pixel = p->channels;
    m.d.out_channels = p->channels / p->groups;
    m.d.in_image = cp_window_outputs(&window) * m.d.in_pixel;
    m.d.out_image = cp_window_inputs(&window) * p->channels;
    cp_walk *walks[CP_MAX_AXES] = {0};
    int64_t n[CP_MAX_AXES];
    for (int i = 0; i < CP_MAX_AXES && !status; i++) {
        const cp_axis *a = &window.axis[i];
        n[i] = a->stride < a->in ? a->stride : a->in;
        if (!(walks[i] = cp_alloc(NULL, n[i] * (int64_t)sizeof(cp_walk)))) status = CP_E_MEMORY;
        for (int64_t first = 0; !status && first < n[i]; first++) walks[i][first] = gradient_walk(&m, a, first);
    }
    for (int64_t z = 0; !status && z < n[0]; z++)
        for (int64_t y = 0; !status && y < n[1]; y++)
            for (int64_t x = 0; !status && x < n[2]; x++)
                status = add_phase(&m, (cp_phase){.axis = {walks[0][z], walks[1][y], walks[2][x]}});
    for (int i = 0; i < CP_MAX_AXES; i++) cp_free(NULL, walks[i]);
    return finish(&m, prepared, status);
}

/* --- running --- */

/* Outputs that no tap reaches: the bias, whatever words it is made of. */
static void fill(const cp_tile *t, int64_t pixels, int64_t columns) {
    const float *bias = t->bias;
    for (int64_t n = 0; n < t->place_count; n++)
        for (int64_t i = 0; i < pixels; i++)
            for (int64_t j = 0; j < columns; j++) {
                float *c = (float *)t->c + t->places[n].c + i * t->c_step + j;
                *c = 0;
                if (bias && !(t->flags & CP_APPLY_RELU && bias[j] < 0)) memcpy(c, &bias[j], sizeof *c);
            }
}

/* Whether some tap reaches the tiles of a class. */
static bool is_reached(const cp_phase *ph, const cp_part *parts) {
    for (int64_t i = 0; i < ph->chunks; i++)
        if (parts[i].count) return true;
    return false;
}

/* One chunk of a panel against tiles that are alike. */
static void run_tiles(const cp_tiling *d, const cp_phase *ph, const cp_tiling_job *job, cp_tile *tile,
                      const cp_pixel_tile *kind, int64_t vectors, int64_t columns, int64_t chunk) {
    const cp_part *parts = &d->parts[ph->parts + kind->class * ph->chunks], *now = &parts[chunk];
    const int relu = job->relu ? CP_APPLY_RELU : 0;
    if (!job->requantise) tile->c_step = ph->out_step[kind->vertical];
    if (!ph->chunks || !now->count) {
        tile->flags = relu;
        if (chunk == 0 && !is_reached(ph, parts)) fill(tile, kind->pixels, columns);
        return;
    }
    tile->a_step = ph->in_step[kind->vertical];
    tile->runs = &d->runs[now->run];
    tile->run_count = now->count;
    tile->run_length = now->length;
    tile->flags = (now->first ? 0 : CP_ACCUMULATE) | (now->last ? relu : 0);
    if (d->streams && job->streams && (uintptr_t)tile->c % CP_ALIGN == 0) tile->flags |= CP_STREAM;
    job->tile[kind->pixels][vectors](tile);
}

/* The same tile by tile, the sums of each on the way to bytes. */
static void requantise_tiles(const cp_tiling *d, const cp_phase *ph, const cp_tiling_job *job, cp_tile *tile,
                             const cp_pixel_tile *kind, int64_t vectors, int64_t columns, int64_t column,
                             const cp_kernels *kernels) {
    _Alignas(CP_ALIGN) float sums[CP_MAX_ROWS * 64]; /* a tile of any level */
    cp_requantise bytes = *job->requantise;
    cp_tile one = *tile;
    one.c = sums;
    one.c_step = bytes.sums_step = vectors * kernels->lanes;
    one.place_count = 1;
    bytes.sums = (const int32_t *)(const void *)sums;
    bytes.scale += column;
    bytes.y_step = ph->out_step[kind->vertical];
    bytes.rows = kind->pixels;
    bytes.columns = columns;
    for (int64_t n = 0; n < tile->place_count; n++) {
        const cp_tile_start place = {.a = tile->places[n].a, .c = 0};
        one.places = &place;
        run_tiles(d, ph, job, &one, kind, vectors, columns, 0);
        bytes.y = (char *)tile->c + tile->places[n].c;
        kernels->requantise(&bytes);
    }
}

/* One panel of one phase against the pixels [first, last) of all images, in units of tiles. */
static void run_panel(const cp_tiling *d, const cp_phase *ph, const cp_tiling_job *job, int64_t group,
                      const cp_kernels *kernels, const cp_panels *panels, int64_t index, int64_t first, int64_t last) {
    const float *x = (const float *)job->x + group * d->in_channels;
    const int64_t column = group * d->out_channels + index * panels->width;
    const int64_t rest = d->out_channels - index * panels->width, columns = rest < panels->width ? rest : panels->width;
    const int64_t vectors = cp_panel_width(panels, index) / panels->lanes;
    cp_tile tile = {.b = (const float *)job->panels + ph->packed + cp_panel_offset(panels, group, index),
                    .tail = (int)(columns - (vectors - 1) * panels->lanes)};
    for (int64_t chunk = 0; chunk < ph->chunks || chunk == 0; chunk++)
        for (int64_t u = first; u < last; u += tile.place_count) {
            const int64_t image = u / ph->n_tiles, number = ph->tiles + u % ph->n_tiles;
            const cp_pixel_tile *kind = &d->tiles[number];
            tile.a = x + image * d->in_image;
            const int64_t out = image * d->out_image + column;
            tile.c = job->requantise ? (void *)((char *)job->y + out) : (float *)job->y + out;
            if (job->bias) tile.bias = (const float *)job->bias + kind->class * job->bias_step + column;
            tile.places = &d->places[number];
            tile.place_count = kind->alike < last - u ? kind->alike : last - u;
            if (job->requantise)
                requantise_tiles(d, ph, job, &tile, kind, vectors, columns, column, kernels);
            else
                run_tiles(d, ph, job, &tile, kind, vectors, columns, chunk);
        }
}

int64_t cp_tiling_classes(const cp_tiling *d) {
    return d->n_parts / d->phases[0].chunks;
}

void cp_tiling_run(const cp_tiling *d, const cp_problem *p, const cp_tiling_job *job, int id, int n) {
    for (int64_t i = 0; i < d->n_phases; i++) {
        const cp_phase *ph = &d->phases[i];
        const cp_panels panels = cp_panels_of(p->kernels, d->groups, ph->rows, d->out_channels);
        int64_t units = d->images * ph->n_tiles, slabs = d->slabs, begin, end;
        if (d->weights_outside) {
            cp_share(slabs * units, id, n, &begin, &end);
            for (int64_t s = begin / (units ? units : 1); s * units < end; s++)
                run_panel(d, ph, job, s / panels.count, p->kernels, &panels, s % panels.count,
                          begin > s * units ? begin - s * units : 0, end < (s + 1) * units ? end - s * units : units);
        } else {
            cp_share(units, id, n, &begin, &end);
            for (int64_t u = begin; u < end; u += d->block)
                for (int64_t s = 0; s < slabs; s++)
                    run_panel(d, ph, job, s / panels.count, p->kernels, &panels, s % panels.count, u,
                              u + d->block < end ? u + d->block : end);
        }
    }
    if (d->streams && job->streams) p->kernels->stream_end();
}

/* --- what cannot be listed --- */

/* Tiles and runs are listed: there must not be too many of them. */
static const char *refuse_lists(const cp_problem *p, int flags) {
    enum { MAX_POSITIONS = 1 << 28 };
    if (cp_window_taps(&p->window) > MAX_TAPS) return "too many taps";
    if (!cp_segments_possible(&p->window)) return "too long an axis";
    int64_t positions = flags & CP_GRADIENT ? cp_window_inputs(&p->window) : cp_window_outputs(&p->window), runs = 1;
    cp_segments_size size = cp_segments_measure(&p->window, flags);
    bool few = true;
    for (int i = 0; i < CP_MAX_AXES; i++) few = few && cp_mul(runs, size.taps[i] > 0 ? size.taps[i] : 1, &runs);
    return positions > MAX_POSITIONS || !few || runs > MAX_RUNS ? "too many different windows" : NULL;
}

/* Of padding with values: a class for each position at an edge, and one between them, each with all taps. */
static bool few_edges(const cp_window *w) {
    int64_t runs = 1;
    for (int i = 0; i < CP_MAX_AXES; i++) {
        const cp_axis *a = &w->axis[i];
        const int64_t room = a->in - 1 + a->before - (a->kernel - 1) * a->dilation;
        const int64_t first = a->before > 0 ? (a->before - 1) / a->stride + 1 : 0,
                      last = room < 0 ? -1 : room / a->stride;
        const int64_t within = last < first ? 0 : (last < a->out ? last + 1 : a->out) - first;
        const int64_t classes = a->out - (within > 0 ? within : 0) + 1;
        if (!cp_mul(runs, classes, &runs) || !cp_mul(runs, a->kernel, &runs)) return false;
    }
    return runs <= MAX_RUNS;
}

const char *cp_tiling_refuse_forward(const cp_problem *p) {
    const char *reason = refuse_lists(p, 0);
    return !reason && p->window.values != CP_PAD_CONSTANT && !few_edges(&p->window) ? "too many windows at the edges"
                                                                                    : reason;
}

/* All combinations of the axes' phases are gone through, and for each phase the kernel. */
const char *cp_tiling_refuse_input_gradient(const cp_problem *p) {
    enum { MAX_PHASES = 1 << 16, MAX_STEPS = 1 << 26 };
    int64_t phases = 1;
    for (int i = 0; i < CP_MAX_AXES; i++) {
        const cp_axis *a = &p->window.axis[i];
        int64_t of_axis = a->stride < a->in ? a->stride : a->in, steps;
        if (!cp_mul(phases, of_axis, &phases) || phases > MAX_PHASES) return "too many phases";
        if (!cp_mul(of_axis, a->kernel, &steps) || steps > MAX_STEPS) return "too many phases of too large a kernel";
    }
    return refuse_lists(p, CP_GRADIENT);
}
