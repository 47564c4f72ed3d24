/* Sliding windows where every channel is on its own (pooling, depthwise convolution), forward and backward: each axis
 * is cut into rows of positions that meet the same taps, so that one call of a kernel computes a row of them. */
#include "plan/plan.h"

enum {
    LONGEST = 128, /* positions of a segment: a long row can be shared, and its phases stay together in the cache */
    BLOCK = 64,    /* channels that are not divided among shares */
};

/* Where a row of equal positions is being cut: what is known of the axis, and what was found. */
typedef struct cutter {
    const cp_axis *axis;
    int flags;
    cp_segment *to; /* NULL: only counted */
    int64_t segments, taps;
} cutter;

static void add_segment(cutter *c, cp_segment segment) {
    if (c->to) c->to[c->segments] = segment;
    c->segments++;
    c->taps += segment.taps;
}

/* The part of an average's divisor that one axis contributes. */
static int64_t divisor(const cp_axis *a, int64_t o, int flags) {
    const cp_axis none = {1, 1, 1, 1, 1, 0, 0};
    const cp_window window = {.axes = 1, .axis = {none, none, *a}};
    return cp_window_divisor(&window, o, flags & CP_PADDED ? CP_DIVISOR_PADDED : CP_DIVISOR_VALID, 0);
}

/* --- forward: outputs are written --- */

static void cut_outputs(cutter *c) {
    const cp_axis *a = c->axis;
    for (int64_t o = 0, end; o < a->out; o = end) {
        int64_t first, last, f, l;
        const int64_t divided_by = divisor(a, o, c->flags);
        cp_axis_taps(a, o, &first, &last);
        for (end = o + 1; end < a->out && end - o < LONGEST; end++) {
            cp_axis_taps(a, end, &f, &l);
            if (f != first || l != last || divisor(a, end, c->flags) != divided_by) break;
        }
        add_segment(c, (cp_segment){.first = o,
                                    .step = 1,
                                    .count = end - o,
                                    .read = last > first ? o * a->stride - a->before + first * a->dilation : 0,
                                    .advance = end - o > 1 ? a->stride : 1,
                                    .taps = last - first,
                                    .distance = last - first > 1 ? a->dilation : 0,
                                    .tap = first,
                                    .tap_step = 1});
    }
}

/* --- backward: inputs are written ---
 *
 * Input i meets output o through tap t where o*stride = i + before - t*dilation. Of the inputs of one phase,
 * i = phase + j*stride, all meet the taps t = first + u*period, at o = j + origin - u*distance. */

typedef struct phase {
    int64_t index, count;                   /* j < count */
    int64_t taps, tap, period;              /* u < taps */
    int64_t origin, distance;               /* of the outputs */
    int64_t outputs, full_first, full_last; /* outputs; those that are all divided by the same number */
} phase;

/* The greatest common divisor of stride and dilation, and the number that dilation must be multiplied by to be that,
 * modulo stride (Euclid). */
static int64_t common_divisor(const cp_axis *a, int64_t *factor) {
    int64_t r0 = a->stride, r1 = a->dilation % a->stride, f0 = 0, f1 = 1;
    while (r1) {
        const int64_t q = r0 / r1, r = r0 - q * r1, f = f0 - q * f1;
        r0 = r1;
        r1 = r;
        f0 = f1;
        f1 = f;
    }
    *factor = f0 < 0 ? f0 + a->stride : f0;
    return r0;
}

/* a * b modulo a number, all not negative, by doubling: the product itself may overflow. */
static int64_t multiply_modulo(int64_t a, int64_t b, int64_t modulus) {
    uint64_t product = 0, power = (uint64_t)(a % modulus);
    for (; b; b /= 2, power = 2 * power % (uint64_t)modulus)
        if (b % 2) product = (product + power) % (uint64_t)modulus;
    return (int64_t)product;
}

static phase phase_of(const cp_axis *a, int64_t index, int64_t common, int64_t factor) {
    phase p = {.index = index,
               .count = (a->in - 1 - index) / a->stride + 1,
               .period = a->stride / common,
               .distance = a->dilation / common,
               .outputs = a->out};
    const int64_t begin = index + a->before;
    if (begin % common) return p;
    p.tap = multiply_modulo(begin / common, factor, p.period);
    if (p.tap >= a->kernel) return p;
    p.taps = (a->kernel - 1 - p.tap) / p.period + 1;
    p.origin = (begin - p.tap * a->dilation) / a->stride;
    return p;
}

/* The taps [*first, *last) of input j that lead to an output; whether those are all divided by the same number. */
static bool reached(const phase *p, int64_t j, int64_t *first, int64_t *last) {
    const int64_t o = j + p->origin, above = o - (p->outputs - 1);
    *first = above > 0 ? (above + p->distance - 1) / p->distance : 0;
    *last = o < 0 ? 0 : o / p->distance + 1 < p->taps ? o / p->distance + 1 : p->taps;
    if (*first >= *last) *first = *last = 0;
    return *first == *last ||
           (o - (*last - 1) * p->distance >= p->full_first && o - *first * p->distance < p->full_last);
}

static void cut_phase(cutter *c, const phase *p, int64_t begin, int64_t limit) {
    if (limit > p->count) limit = p->count;
    for (int64_t j = begin, end; j < limit; j = end) {
        int64_t first, last, f, l;
        const bool alike = reached(p, j, &first, &last);
        for (end = j + 1; alike && end < limit; end++)
            if (!reached(p, end, &f, &l) || f != first || l != last) break;
        add_segment(c, (cp_segment){.first = p->index + j * c->axis->stride,
                                    .step = end - j > 1 ? c->axis->stride : 1,
                                    .count = end - j,
                                    .read = last > first ? j + p->origin - first * p->distance : 0,
                                    .advance = 1,
                                    .taps = last - first,
                                    .distance = last - first > 1 ? -p->distance : 0,
                                    .tap = p->tap + first * p->period,
                                    .tap_step = last - first > 1 ? p->period : 1});
    }
}

static void cut_inputs(cutter *c) {
    const cp_axis *a = c->axis;
    int64_t factor, full_first = 0, full_last = a->out;
    const int64_t common = common_divisor(a, &factor), phases = a->stride < a->in ? a->stride : a->in;
    if (c->flags & CP_DIVIDED) {
        while (full_first < full_last && divisor(a, full_first, c->flags) != a->kernel) full_first++;
        while (full_first < full_last && divisor(a, full_last - 1, c->flags) != a->kernel) full_last--;
    }
    const int64_t longest = (a->in - 1) / a->stride + 1;
    for (int64_t j = 0; j < longest; j += LONGEST)
        for (int64_t i = 0; i < phases; i++) {
            phase p = phase_of(a, i, common, factor);
            p.full_first = full_first;
            p.full_last = full_last;
            cut_phase(c, &p, j, j + LONGEST);
        }
}

/* --- all axes --- */

static cutter cut(const cp_axis *axis, int flags, cp_segment *to) {
    cutter c = {.axis = axis, .flags = flags, .to = to};
    if (flags & CP_GRADIENT)
        cut_inputs(&c);
    else
        cut_outputs(&c);
    return c;
}

static int64_t written(const cp_axis *a, int flags) {
    return flags & CP_GRADIENT ? a->in : a->out;
}

bool cp_segments_possible(const cp_window *window) {
    enum { LONGEST_AXIS = 1 << 26 };
    for (int i = 0; i < CP_MAX_AXES; i++)
        if (window->axis[i].in > LONGEST_AXIS || window->axis[i].out > LONGEST_AXIS) return false;
    return true;
}

cp_segments_size cp_segments_measure(const cp_window *window, int flags) {
    cp_segments_size size = {0};
    for (int i = 0; i < CP_MAX_AXES; i++) {
        const cutter c = cut(&window->axis[i], flags, NULL);
        size.segments[i] = c.segments;
        size.taps[i] = c.taps;
        size.bytes +=
            c.segments * (int64_t)sizeof(cp_segment) + written(&window->axis[i], flags) * (int64_t)sizeof(int64_t);
    }
    return size;
}

int64_t cp_channel_blocks(int64_t channels) {
    return (channels + BLOCK - 1) / BLOCK;
}

void cp_channel_range(int64_t channels, int64_t first_block, int64_t last_block, int64_t *first, int64_t *count) {
    *first = first_block * BLOCK;
    *count = (last_block * BLOCK < channels ? last_block * BLOCK : channels) - *first;
}

/* All channels, unless the windows of neighbouring rows overlap, the rows of a window do not stay in L1, and the image
 * stays in L2: then as many as let the rows stay in L1. */
static int64_t slab_of(const cp_problem *p) {
    enum { L1_BYTES = 32 << 10, L2_BYTES = 1 << 20 };
    const cp_axis *y = &p->window.axis[1];
    const int64_t blocks = cp_channel_blocks(p->channels);
    const double block_bytes = sizeof(float) * BLOCK,
                 image = (double)cp_window_inputs(&p->window) + (double)cp_window_outputs(&p->window);
    const double rows = block_bytes * (double)y->kernel * (double)p->window.axis[2].in;
    if (y->kernel <= y->stride || rows * (double)blocks <= L1_BYTES || image * block_bytes * (double)blocks > L2_BYTES)
        return blocks;
    return rows >= L1_BYTES ? 1 : (int64_t)(L1_BYTES / rows);
}

void cp_segments_make(cp_segments *s, const cp_problem *p, int flags, void *memory) {
    char *free_memory = memory;
    s->channels = p->channels;
    s->slab = slab_of(p);
    for (int i = 0; i < CP_MAX_AXES; i++) {
        const cp_axis *a = &p->window.axis[i];
        cp_segment *to = (cp_segment *)free_memory;
        s->count[i] = cut(a, flags, to).segments;
        s->axis[i] = to;
        s->writes[i] = written(a, flags);
        s->reads[i] = flags & CP_GRADIENT ? a->out : a->in;
        int64_t *at = (int64_t *)(to + s->count[i]);
        for (int64_t n = 0; n < s->count[i]; n++)
            for (int64_t k = 0; k < to[n].count; k++) at[to[n].first + k * to[n].step] = n;
        s->at[i] = at;
        free_memory = (char *)(at + s->writes[i]);
    }
}

/* Where a segment reads at the position `position` that it writes. */
static int64_t read_at(const cp_segment *segment, int64_t position) {
    return segment->read + (position - segment->first) / segment->step * segment->advance;
}

/* Units of work: image, slab of channels, row, segment, block of channels; the last slab may have blocks that do not
 * exist. */
void cp_segments_walk(const cp_segments *s, const cp_problem *p, int id, int n, cp_stretch_fn *each, void *user) {
    const int64_t row_units = s->count[2] * s->slab, rows = s->writes[0] * s->writes[1];
    const int64_t slabs = (cp_channel_blocks(s->channels) + s->slab - 1) / s->slab;
    int64_t unit, last;
    cp_share(p->batch * slabs * rows * row_units, id, n, &unit, &last);
    while (unit < last) {
        const int64_t line = unit / row_units, end = last < (line + 1) * row_units ? last : (line + 1) * row_units;
        const int64_t row = line % rows, slab = line / rows % slabs, image = line / rows / slabs;
        const int64_t z = row / s->writes[1], y = row % s->writes[1], nz = s->at[0][z], ny = s->at[1][y];
        cp_stretch stretch = {.axis = {&s->axis[0][nz], &s->axis[1][ny]}};
        const int64_t write = (image * rows + row) * s->writes[2];
        const int64_t read =
            ((image * s->reads[0] + read_at(stretch.axis[0], z)) * s->reads[1] + read_at(stretch.axis[1], y)) *
            s->reads[2];
        int64_t nx = unit % row_units / s->slab, block = unit % s->slab;
        for (; unit < end; nx++, block = 0) {
            const int64_t blocks = s->slab - block < end - unit ? s->slab - block : end - unit,
                          first = slab * s->slab + block;
            stretch.axis[2] = &s->axis[2][nx];
            stretch.number = (nz * s->count[1] + ny) * s->count[2] + nx;
            stretch.write = write + stretch.axis[2]->first;
            stretch.read = read + stretch.axis[2]->read;
            cp_channel_range(s->channels, first, first + blocks, &stretch.channel, &stretch.channels);
            if (stretch.channels > 0) each(user, &stretch);
            unit += blocks;
        }
    }
}
