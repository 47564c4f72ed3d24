/* Convolution of bytes, exactly: the tiling with four bytes to a word, where the level multiplies those (x unsigned, w
 * signed), or with two numbers of 16 bits, which holds every byte less its zero point.
 *
 * Four bytes: x is read where it lies if it is U8 and its channels fill words; signed ones are copied with 128 added.
 * What x then has too much at each tap inside, its zero point, is taken away from the sum of the weights: a bias for
 * each class of positions with the same taps. Two shorts: x is copied, less its zero point. */
#include <string.h>

#include "plan/algos.h"
#include "plan/tiling.h"

enum { X, W, BIAS, X_ZERO, W_ZERO, SCALE, Y_ZERO };

static int64_t row_words(const cp_problem *p, int in_word) { /* of one tap of a group */
    return (p->channels / p->groups + in_word - 1) / in_word;
}

static bool copies_x(const cp_problem *p, int in_word) {
    return in_word == 2 || p->in_type[X] == CP_I8 || p->channels / p->groups % in_word;
}

/* Behind the panels: of each class the sums of its weights. */
static int64_t class_words(const cp_problem *p, const cp_tiling *d, int in_word) {
    return in_word == 4 ? cp_tiling_classes(d) * p->filters : 0;
}

/* The scratch: a bias for each class (of shorts one for all), scales, a copy of x. */
typedef struct scratch {
    int32_t *bias;
    float *scale;
    uint32_t *x;
    int64_t bytes;
} scratch;

static scratch scratch_of(const cp_problem *p, const cp_tiling *d, int in_word, void *memory) {
    const int64_t biases = cp_round_up(in_word == 4 ? class_words(p, d, 4) : p->filters, 16);
    const int64_t scales = cp_round_up(p->filters, 16), words = copies_x(p, in_word) ? d->images * d->in_image : 0;
    scratch s = {.bytes = (biases + scales + words) * 4};
    if (!memory) return s;
    s.bias = memory;
    s.scale = (float *)(s.bias + biases);
    s.x = (uint32_t *)(s.scale + scales);
    return s;
}

static cp_status prepare(const cp_problem *p, cp_prepared *prepared, int in_word) {
    const cp_status status = cp_tiling_forward(p, in_word, prepared);
    if (status) return status;
    const cp_tiling *d = prepared->state;
    prepared->packed = (d->packed + class_words(p, d, in_word)) * 4;
    prepared->scratch = scratch_of(p, d, in_word, NULL).bytes;
    prepared->phases = 2;
    return CP_OK;
}

/* Number i of an input of bytes or of one number for all; 0 where it is missing. */
static int byte_at(const cp_call *call, int input, int64_t i) {
    const cp_problem *p = call->problem;
    if (!cp_has_input(p, input)) return 0;
    if (cp_shape_count(p->in[input]) == 1) i = 0;
    return p->in_type[input] == CP_U8 ? ((const uint8_t *)call->in[input])[i] : ((const int8_t *)call->in[input])[i];
}

/* --- packing --- */

static void pack_panel(const cp_call *call, const cp_panels *panels, int64_t group, int64_t index, int in_word,
                       char *to) {
    const cp_problem *p = call->problem;
    const int64_t channels = p->channels / p->groups, words = row_words(p, in_word), taps = cp_window_taps(&p->window);
    const int64_t width = cp_panel_width(panels, index), first = group * panels->columns + index * panels->width;
    const int64_t columns = cp_panel_columns(panels, index);
    memset(to, 0, (size_t)(taps * words * width * 4));
    for (int64_t row = 0; row < taps * channels; row++) {
        const int64_t tap = row / channels, channel = row % channels;
        const int64_t at = (tap * words + channel / in_word) * width * in_word + channel % in_word;
        for (int64_t j = 0; j < columns; j++) {
            const int value = byte_at(call, W, row * p->filters + first + j) - byte_at(call, W_ZERO, first + j);
            if (in_word == 4)
                ((int8_t *)to)[at + j * 4] = (int8_t)value;
            else
                ((int16_t *)(void *)to)[at + j * 2] = (int16_t)value;
        }
    }
}

/* The sums of the weights of a panel that each class meets. */
static void add_classes(const cp_tiling *d, const cp_panels *panels, int64_t index, const int8_t *panel,
                        int64_t filters, int32_t *sums) {
    const int64_t width = cp_panel_width(panels, index), columns = cp_panel_columns(panels, index),
                  chunks = d->phases[0].chunks;
    for (int64_t class = 0; class < cp_tiling_classes(d); class ++, sums += filters) {
        memset(sums, 0, (size_t)columns * sizeof *sums);
        for (int64_t i = 0; i < chunks; i++) {
            const cp_part *part = &d->parts[class * chunks + i];
            for (int64_t r = 0; r < part->count; r++)
                for (int64_t n = 0; n < part->length; n++) {
                    const int8_t *row = panel + (d->runs[part->run + r].row + n) * width * 4;
                    for (int64_t j = 0; j < columns; j++)
                        sums[j] += row[4 * j] + row[4 * j + 1] + row[4 * j + 2] + row[4 * j + 3];
                }
        }
    }
}

static void pack(const cp_call *call, int id, int n, int in_word) {
    const cp_problem *p = call->problem;
    const cp_tiling *d = call->prepared->state;
    const cp_panels panels = cp_panels_of(p->kernels, d->groups, d->phases[0].rows, d->out_channels);
    int32_t *sums = (int32_t *)call->out[0] + d->packed;
    int64_t first, last;
    cp_share(panels.groups * panels.count, id, n, &first, &last);
    for (int64_t u = first; u < last; u++) {
        const int64_t group = u / panels.count, index = u % panels.count;
        char *panel = (char *)call->out[0] + cp_panel_offset(&panels, group, index) * 4;
        pack_panel(call, &panels, group, index, in_word, panel);
        if (in_word == 4)
            add_classes(d, &panels, index, (const int8_t *)panel, p->filters,
                        sums + group * panels.columns + index * panels.width);
    }
}

/* --- running --- */

/* n bytes of one group in whole words, the last one filled up with what is multiplied by 0. */
static void copy_bytes(const cp_problem *p, const uint8_t *from, int64_t n, uint32_t *to) {
    const uint8_t change = p->in_type[X] == CP_I8 ? 0x80 : 0; /* adds 128 */
    uint8_t *bytes = (uint8_t *)to;
    for (int64_t i = 0; i < n; i++) bytes[i] = from[i] ^ change;
    for (int64_t i = n; i % 4; i++) bytes[i] = 0;
}

static void copy_x(const cp_call *call, const cp_tiling *d, int in_word, uint32_t *to, int id, int n) {
    const cp_problem *p = call->problem;
    const int zero = byte_at(call, X_ZERO, 0), is_signed = p->in_type[X] == CP_I8;
    int64_t channels = p->channels / p->groups, words = row_words(p, in_word), first, last;
    cp_share(d->images * d->in_image / words, id, n, &first, &last); /* groups of pixels */
    int64_t pieces = last - first;
    const uint8_t *from = (const uint8_t *)call->in[X] + first * channels;
    to += first * words;
    if (channels % in_word == 0 && pieces) { /* without gaps between them */
        channels *= pieces;
        pieces = 1;
    }
    for (int64_t i = 0; i < pieces; i++, from += channels, to += words) {
        if (in_word == 4)
            copy_bytes(p, from, channels, to);
        else
            p->kernels->widen(from, is_signed, zero, channels, to);
    }
}

/* Biases and scales: few numbers, made by one share. */
static void make_columns(const cp_call *call, const cp_tiling *d, int in_word, const scratch *s) {
    const cp_problem *p = call->problem;
    const int32_t *bias = call->in[BIAS], *sums = (const int32_t *)call->in[W] + d->packed;
    const float *scale = call->in[SCALE];
    const int zero = in_word == 4 ? byte_at(call, X_ZERO, 0) + (p->in_type[X] == CP_I8 ? 128 : 0) : 0;
    const int64_t biases = in_word == 4 ? class_words(p, d, 4) : p->filters;
    for (int64_t i = 0; i < biases; i++) {
        const uint32_t own = cp_has_input(p, BIAS) ? (uint32_t)bias[i % p->filters] : 0;
        s->bias[i] = (int32_t)(own - (zero ? (uint32_t)zero * (uint32_t)sums[i] : 0));
    }
    for (int64_t k = 0; cp_has_input(p, SCALE) && k < p->filters; k++)
        s->scale[k] = scale[cp_shape_count(p->in[SCALE]) == 1 ? 0 : k];
}

static void run(const cp_call *call, int phase, int id, int n, int in_word) {
    const cp_problem *p = call->problem;
    const cp_tiling *d = call->prepared->state;
    const scratch s = scratch_of(p, d, in_word, call->scratch);
    if (phase == 0) {
        if (copies_x(p, in_word)) copy_x(call, d, in_word, s.x, id, n);
        if (id == 0) make_columns(call, d, in_word, &s);
        return;
    }
    cp_requantise bytes = {.scale = s.scale, .zero = byte_at(call, Y_ZERO, 0)};
    bytes.low = p->out_type[0] == CP_U8 ? 0 : -128;
    bytes.high = bytes.low + 255;
    const cp_tiling_job job = {.tile = in_word == 4 ? p->kernels->byte_tile : p->kernels->short_tile,
                               .x = copies_x(p, in_word) ? s.x : call->in[X],
                               .panels = call->in[W],
                               .bias = s.bias,
                               .bias_step = in_word == 4 ? p->filters : 0,
                               .y = call->out[0],
                               .requantise = cp_has_input(p, SCALE) ? &bytes : NULL};
    cp_tiling_run(d, p, &job, id, n);
}

/* --- with four bytes, with two shorts --- */

static double cost(const cp_problem *p, int in_word) {
    const int64_t channels = p->channels / p->groups, filters = p->filters / p->groups;
    return (double)p->multiply_adds * (double)cp_round_up(filters, p->kernels->lanes) / (double)filters *
           (double)row_words(p, in_word) / (double)channels;
}

static const char *refuse_type(const cp_problem *p) {
    return p->type != CP_F32 && cp_has_input(p, SCALE) ? "needs scales in f32" : cp_tiling_refuse_forward(p);
}

static cp_status prepare_bytes(const cp_problem *p, cp_prepared *prepared) {
    return prepare(p, prepared, 4);
}
static void pack_bytes(const cp_call *call, int id, int n) {
    pack(call, id, n, 4);
}
static void run_bytes(const cp_call *call, int phase, int id, int n) {
    run(call, phase, id, n, 4);
}
static double cost_bytes(const cp_problem *p) {
    return cost(p, 4);
}
static const char *refuse_bytes(const cp_problem *p) {
    if (!p->kernels->byte_tile) return "no products of bytes at this level";
    if (p->in_type[W] != CP_I8 || cp_has_input(p, W_ZERO)) return "needs weights in i8 without a zero point";
    return refuse_type(p);
}

static cp_status prepare_shorts(const cp_problem *p, cp_prepared *prepared) {
    return prepare(p, prepared, 2);
}
static void pack_shorts(const cp_call *call, int id, int n) {
    pack(call, id, n, 2);
}
static void run_shorts(const cp_call *call, int phase, int id, int n) {
    run(call, phase, id, n, 2);
}
static double cost_shorts(const cp_problem *p) {
    return cost(p, 2);
}

const cp_algo cp_algo_conv_integer_bytes = {
    .name = "bytes",
    .refuse = refuse_bytes,
    .cost = cost_bytes,
    .prepare = prepare_bytes,
    .pack = pack_bytes,
    .run = run_bytes,
};

const cp_algo cp_algo_conv_integer_shorts = {
    .name = "shorts",
    .refuse = refuse_type,
    .cost = cost_shorts,
    .prepare = prepare_shorts,
    .pack = pack_shorts,
    .run = run_shorts,
    .packs_with = W_ZERO,
};
