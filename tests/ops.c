/* Every fast algorithm against the reference, on random problems, for each instruction set; and the gradients that each
 * operator names. */
#include "guard.h"
#include "op/op.h"
#include "plan/algos.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

/* --- random numbers, the same in every run --- */

static uint64_t drawn;

static uint32_t bits(void) {
    static const cp_random_key key = {.seed = 11};
    return cp_random_bits(&key, drawn++);
}

static int64_t draw(int64_t least, int64_t most) {
    return least + bits() % (most - least + 1);
}

static bool one_in(int n) {
    return draw(1, n) == 1;
}

/* Sizes around the edges of tiles and vectors. */
static int64_t draw_channels(void) {
    static const int64_t edges[] = {1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65};
    return one_in(3) ? draw(1, 70) : edges[draw(0, sizeof edges / sizeof *edges - 1)];
}

static int64_t draw_batch(void) {
    return one_in(16) ? 0 : draw(1, 3);
}

/* --- samples: an operation, its attributes, the shapes of its inputs --- */

typedef struct sample {
    const cp_op *op;
    cp_attributes attributes;
    int inputs;
    cp_shape in[CP_MAX_INPUTS];
    bool integer[CP_MAX_INPUTS]; /* of the type that infer asks for, not a float */
    int64_t below;               /* integers are 0 .. below - 1 */
    cp_type type[CP_MAX_INPUTS]; /* BOOL, U8, I8, I32 where it must be; else 0, CP_F32 */
    int64_t chain;               /* the longest sum */
} sample;

static cp_status infer(const sample *s, const cp_kernels *kernels, cp_type type, cp_problem *problem) {
    *problem =
        (cp_problem){.kernels = kernels, .type = type, .math = CP_MATH_BF16, .inputs = s->inputs, .training = true};
    for (int i = 0; i < s->inputs; i++) {
        problem->in[i] = s->in[i];
        problem->in_type[i] = !s->integer[i] ? type : s->below <= 256 ? CP_U8 : CP_I32;
        const bool bytes = strstr(s->op->name, "pool") && !strstr(s->op->name, "unpool") &&
                           !strstr(s->op->name, "roi-"); /* the tap of a window */
        if (s->integer[i] && !bytes) problem->in_type[i] = CP_I32;
        if (s->type[i]) problem->in_type[i] = s->type[i];
    }
    for (int i = 0; i < CP_MAX_OUTPUTS; i++) problem->out_used[i] = true;
    return s->op->infer(problem, &s->attributes);
}

/* What failed. */
static void print_sample(const sample *s) {
    char text[256] = "", shape[CP_SHAPE_TEXT];
    if (s->op->words) s->op->words(&s->attributes, text, sizeof text);
    print_error("%s %s:", s->op->name, text);
    for (int i = 0; i < s->inputs; i++) print_error(" %s", s->in[i].rank < 0 ? "none" : cp_shape_text(s->in[i], shape));
    print_error("\n");
}

/* --- their generators --- */

enum { MOST_MULTIPLY_ADDS = 200000, MOST_POOLED = 60000 };

/* Spatial axes, their sizes and a kernel. */
typedef struct geometry {
    int axes;
    int64_t size[CP_MAX_AXES], kernel[CP_MAX_AXES], stride[CP_MAX_AXES], dilation[CP_MAX_AXES];
    int64_t before[CP_MAX_AXES], after[CP_MAX_AXES];
    cp_pad pad;
} geometry;

static geometry draw_geometry(void) {
    geometry g = {.axes = one_in(4) ? 1 : one_in(4) ? 3 : 2};
    const int64_t most_size[] = {60, 18, 6}, most_kernel[] = {7, 7, 3};
    const bool strided = one_in(3), dilated = one_in(4), square = !one_in(3);
    g.pad = one_in(2) ? CP_PAD_EXPLICIT : (cp_pad)draw(CP_PAD_VALID, CP_PAD_FULL);
    for (int d = 0; d < g.axes; d++) {
        g.size[d] = draw(1, most_size[g.axes - 1]);
        g.kernel[d] = square && d > 0 ? g.kernel[0] : draw(1, most_kernel[g.axes - 1]);
        g.stride[d] = strided ? draw(1, 4) : 1;
        g.dilation[d] = dilated ? draw(1, 3) : 1;
        if (g.pad != CP_PAD_EXPLICIT) continue;
        g.before[d] = one_in(2) ? draw(0, g.kernel[d] + 1) : g.kernel[d] / 2;
        g.after[d] = one_in(2) ? draw(0, g.kernel[d] + 1) : g.kernel[d] / 2;
    }
    return g;
}

static cp_shape shape_of(const geometry *g, const int64_t *space, int64_t before, int64_t last) {
    cp_shape shape = {.rank = g->axes + 2};
    for (int d = 0; d < g->axes; d++) shape.dim[d + (before >= 0)] = space[d];
    if (before >= 0) shape.dim[0] = before;
    shape.dim[g->axes + 1] = last;
    return shape;
}

/* N, space, C */
static cp_shape image_shape(const geometry *g, int64_t channels) {
    return shape_of(g, g->size, draw_batch(), channels);
}

/* One that Winograd's transforms can take: 3x3, 5x5, 3x1, 1x3 or 3 taps, stride and dilation 1. */
static geometry draw_filter(void) {
    geometry g = draw_geometry();
    g.axes = one_in(5) ? 1 : 2;
    const int along = one_in(4) ? (int)draw(0, g.axes - 1) : -1;
    const int64_t taps = along < 0 && g.axes == 2 && one_in(2) ? 5 : 3;
    for (int d = 0; d < g.axes; d++) {
        g.size[d] = draw(1, 18);
        g.kernel[d] = along < 0 || along == d ? taps : 1;
        g.stride[d] = g.dilation[d] = 1;
        g.before[d] = g.kernel[d] == 1 ? 0 : one_in(2) ? draw(0, taps + 1) : taps / 2;
        g.after[d] = g.kernel[d] == 1 ? 0 : one_in(2) ? draw(0, taps + 1) : taps / 2;
    }
    return g;
}

static void draw_conv(sample *s) {
    const bool filter = one_in(2);
    geometry g = filter ? draw_filter() : draw_geometry();
    int64_t channels = draw_channels(), filters = draw_channels(), groups = 1;
    if (filter && one_in(4)) { /* few filters, or few channels */
        channels = 16 * draw(1, 4), filters = draw(1, 4);
        if (one_in(2)) channels = filters, filters = 16 * draw(1, 4);
    } else if (filter) {    /* one group */
    } else if (one_in(3)) { /* groups of few channels */
        for (int d = 0; d < g.axes && g.axes == 2 && g.kernel[0] > 1; d++)
            g.kernel[d] = 3, g.stride[d] = g.dilation[d] = 1; /* which has a kernel of its own */
        channels = filters = 16 * draw(1, 5);
        groups = channels >> draw(0, 4);
        if (one_in(3)) channels /= 2; /* fewer channels than filters, as a multiplier makes */
        if (one_in(3)) groups = channels;
        while (channels % groups || filters % groups) groups /= 2;
    } else if (one_in(4)) {
        groups = draw(2, 4);
        channels = groups * draw(1, 17);
        filters = groups * draw(1, 17);
    } else if (one_in(3)) {
        groups = channels;
        filters = one_in(4) ? 2 * channels : channels;
    }
    cp_conv *conv = &s->attributes.conv;
    *conv = (cp_conv){.pad = g.pad, .groups = groups, .activation = one_in(2) ? CP_RELU : CP_LINEAR};
    memcpy(conv->kernel, g.kernel, sizeof conv->kernel);
    memcpy(conv->stride, g.stride, sizeof conv->stride);
    memcpy(conv->dilation, g.dilation, sizeof conv->dilation);
    memcpy(conv->pad_before, g.before, sizeof conv->pad_before);
    memcpy(conv->pad_after, g.after, sizeof conv->pad_after);

    if (s->op == &cp_op_conv && one_in(4)) conv->pad_values = (cp_pad_values)draw(CP_PAD_REFLECT, CP_PAD_CIRCULAR);

    cp_shape w = shape_of(&g, g.kernel, -1, filters);
    w.dim[g.axes] = channels / groups;
    s->inputs = 3;
    s->in[0] = image_shape(&g, channels);
    s->in[1] = w;
    s->in[2] = one_in(2) ? (cp_shape){.rank = -1} : cp_shape_of(1, &filters);
    s->chain = cp_shape_count(w) / filters + 1;
}

/* The same sizes read the other way: what were the filters is the input. */
static void draw_conv_transpose(sample *s) {
    draw_conv(s);
    cp_shape *x = &s->in[0], *w = &s->in[1];
    const int axes = x->rank - 2;
    const int64_t channels = x->dim[axes + 1];
    for (int d = 0; d < axes; d++) {
        if (one_in(2)) x->dim[1 + d] = x->dim[1 + d] % 7 + 1;
        if (one_in(3)) s->attributes.conv.output_padding[d] = draw(0, s->attributes.conv.stride[d] - 1);
        if (one_in(6)) s->attributes.conv.output_size[d] = draw(1, 20);
    }
    x->dim[axes + 1] = w->dim[axes + 1];
    if (s->in[2].rank >= 0) s->in[2] = cp_shape_of(1, &channels);
    s->chain = cp_shape_count(*w) / w->dim[axes] + 1;
}

static bool is_transposed(const cp_op *op) {
    return strncmp(op->name, "conv-transpose", 14) == 0;
}

/* Of a forward layer with weights: its gradient by the input, or by the weights. */
static bool turn_around(sample *s, bool by_input) {
    const cp_op *const gradient = s->op;
    cp_problem forward;
    s->op = is_transposed(gradient)                    ? &cp_op_conv_transpose
            : strncmp(gradient->name, "dense", 5) == 0 ? &cp_op_dense
                                                       : &cp_op_conv;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = gradient;
    if (!possible) return false;
    const cp_shape x = s->in[0];
    for (int d = 0; d < x.rank - 2; d++) s->attributes.size[d] = x.dim[1 + d];
    s->attributes.conv.activation = s->attributes.activation = CP_LINEAR;
    s->in[0] = forward.out[0];
    if (!by_input) s->in[1] = x;
    s->inputs = 2;
    if (is_transposed(gradient)) {
        if (!by_input) s->in[0] = x, s->in[1] = forward.out[0];
        s->chain = by_input ? cp_shape_count(s->in[1]) / forward.filters
                            : cp_window_outputs(&forward.window) * forward.batch + 1;
        return true;
    }
    s->chain = by_input ? cp_window_taps(&forward.window) * forward.filters / forward.groups
                        : cp_window_outputs(&forward.window) * forward.batch + 1;
    return true;
}

static void draw_dense(sample *s) {
    const bool deep = one_in(10); /* more weights than stay in a cache */
    const int64_t channels = deep ? draw(10000, 11000) : one_in(3) ? draw(100, 400) : draw_channels();
    const int64_t filters = deep ? draw(1, 16) : draw_channels();
    s->inputs = 3;
    s->in[0] = (cp_shape){.rank = 2, .dim = {!deep && one_in(3) ? draw(10, 40) : draw_batch(), channels}};
    s->in[1] = (cp_shape){.rank = 2, .dim = {channels, filters}};
    s->in[2] = one_in(2) ? (cp_shape){.rank = -1} : cp_shape_of(1, &filters);
    s->attributes.activation = one_in(2) ? CP_RELU : CP_LINEAR;
    s->chain = channels + 1;
}

static void draw_pool(sample *s) {
    const geometry g = draw_geometry();
    cp_pool *pool = &s->attributes.pool;
    s->inputs = 1;
    s->in[0] = image_shape(&g, draw_channels());
    if (one_in(12)) {
        *pool = (cp_pool){.global = true};
        return;
    }
    *pool = (cp_pool){
        .pad = g.pad,
        .ceil_mode = one_in(3),
    };
    if (strncmp(s->op->name, "avg-pool", 8) == 0) pool->divisor = (cp_divisor)draw(0, 3);
    if (pool->divisor == CP_DIVISOR_NUMBER) pool->divide_by = draw(1, 12);
    memcpy(pool->kernel, g.kernel, sizeof pool->kernel);
    if (one_in(2)) memcpy(pool->stride, g.stride, sizeof pool->stride);
    memcpy(pool->dilation, g.dilation, sizeof pool->dilation);
    memcpy(pool->pad_before, g.before, sizeof pool->pad_before);
    memcpy(pool->pad_after, g.after, sizeof pool->pad_after);
}

/* Now and then bytes instead of floats. */
static void draw_bytes(sample *s) {
    if (one_in(3)) s->type[0] = one_in(2) ? CP_U8 : CP_I8;
}

static bool turn_pool_around(sample *s, const cp_op *forward_op) {
    const cp_op *const gradient = s->op;
    cp_problem forward;
    s->op = forward_op;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = gradient;
    if (!possible) return false;
    const cp_shape x = s->in[0];
    for (int d = 0; d < x.rank - 2; d++) s->attributes.size[d] = x.dim[1 + d];
    s->in[0] = forward.out[0];
    s->below = cp_window_taps(&forward.window);
    if (forward_op == &cp_op_max_pool) {
        s->in[1] = forward.out[1];
        s->integer[1] = true;
        s->inputs = 2;
    }
    s->chain = s->below;
    return true;
}

/* Lp and stochastic pooling, and their gradients, which take the input of the forward operation, too. */
static bool draw_weighted_pool(sample *s) {
    static const float exponents[] = {0, 1, 2, 3, 2.5f};
    const cp_op *const op = s->op;
    const bool lp = op == &cp_op_lp_pool || op == &cp_op_lp_pool_gradient;
    cp_problem forward;
    draw_pool(s);
    s->attributes.pool.divisor = CP_DIVISOR_VALID;
    s->attributes.pool.divide_by = 0;
    if (lp) s->attributes.pool.exponent = exponents[draw(0, 4)];
    s->attributes.layer = (uint32_t)draw(0, 3);
    if (op == &cp_op_lp_pool || op == &cp_op_stochastic_pool) return true;
    s->op = lp ? &cp_op_lp_pool : &cp_op_stochastic_pool;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = op;
    if (!possible) return false;
    s->inputs = 3;
    if (lp) {
        s->in[1] = s->in[2] = forward.out[0];
        return true;
    }
    s->in[2] = s->in[0];
    s->in[0] = s->in[1] = forward.out[0];
    s->integer[1] = true;
    s->below = cp_window_taps(&forward.window);
    return true;
}

static int64_t space_of(cp_shape shape) {
    int64_t space = 1;
    for (int d = 1; d < shape.rank - 1; d++) space *= shape.dim[d];
    return space;
}

/* Positions of maxima, and values put back there, several at one place among them. */
static bool draw_unpool(sample *s) {
    const cp_op *const op = s->op;
    const geometry g = draw_geometry();
    cp_problem forward;
    if (op == &cp_op_max_pool_positions) {
        draw_pool(s);
        const cp_shape x = s->in[0];
        s->op = &cp_op_max_pool;
        const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK && cp_window_taps(&forward.window) <= 256;
        s->op = op;
        if (!possible) return false;
        for (int d = 0; d < x.rank - 2; d++) s->attributes.size[d] = x.dim[1 + d];
        s->in[0] = forward.out[0];
        s->integer[0] = true;
        s->below = cp_window_taps(&forward.window); /* taps in the padding among them */
        s->chain = 1;
        return true;
    }
    s->inputs = 2;
    s->in[0] = s->in[1] = image_shape(&g, draw_channels());
    s->integer[1] = true;
    s->below = 1;
    for (int d = 0; d < g.axes; d++) {
        s->attributes.pool.output_size[d] = draw(1, 2 * g.size[d]);
        s->below *= s->attributes.pool.output_size[d];
    }
    s->chain = s->below;
    if (op == &cp_op_max_unpool_gradient)
        for (int d = 0; d < g.axes; d++) s->in[0].dim[1 + d] = s->attributes.pool.output_size[d];
    return true;
}

/* Adaptive and fractional pooling and the gradients. */
static bool draw_span_pool(sample *s) {
    const cp_op *const op = s->op;
    const bool fractional = op == &cp_op_fractional_max_pool;
    const geometry g = draw_geometry();
    cp_pool *pool = &s->attributes.pool;
    cp_problem forward;
    s->inputs = 1;
    s->in[0] = image_shape(&g, one_in(2) ? draw(1, 9) : draw_channels());
    if (fractional) pool->fractional = one_in(2) ? CP_FRACTIONAL_PYTORCH : CP_FRACTIONAL_TENSORFLOW;
    pool->overlapping = pool->fractional == CP_FRACTIONAL_TENSORFLOW && one_in(2);
    for (int d = 0; d < g.axes; d++) {
        if (pool->fractional == CP_FRACTIONAL_PYTORCH) pool->kernel[d] = g.kernel[d];
        pool->output_size[d] = draw(1, fractional || !one_in(4) ? g.size[d] : g.size[d] + 3);
    }
    s->attributes.layer = (uint32_t)draw(0, 3);
    s->chain = space_of(s->in[0]);
    if (op != &cp_op_adaptive_average_pool_gradient && op != &cp_op_position_gradient) return true;
    s->op = &cp_op_adaptive_average_pool;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = op;
    if (!possible) return false;
    for (int d = 0; d < g.axes; d++) s->attributes.size[d] = g.size[d];
    s->below = s->chain;
    s->in[0] = forward.out[0];
    s->chain = space_of(s->in[0]);
    if (op == &cp_op_adaptive_average_pool_gradient) return true;
    s->inputs = 2;
    s->in[1] = s->in[0];
    s->integer[1] = true;
    return true;
}

static void draw_elements(sample *s, int inputs) {
    s->inputs = inputs;
    s->in[0] = (cp_shape){.rank = 3, .dim = {draw_batch(), draw(1, 20), draw_channels()}};
    for (int i = 1; i < inputs; i++) s->in[i] = s->in[0];
    s->chain = 2;
}

/* Of rank 1 to 4, none of its axes 0. */
static cp_shape draw_shape(int least) {
    cp_shape shape = {.rank = (int)draw(least, 4)};
    for (int d = 0; d < shape.rank; d++) shape.dim[d] = one_in(4) ? 1 : one_in(8) ? draw_channels() : draw(1, 5);
    return shape;
}

/* The same with some axes of size 1, or without the first ones. */
static cp_shape shrink(cp_shape shape) {
    for (int d = 0; d < shape.rank; d++)
        if (one_in(3)) shape.dim[d] = 1;
    const int gone = one_in(2) ? (int)draw(0, shape.rank - 1) : 0;
    return cp_shape_of(shape.rank - gone, shape.dim + gone);
}

static void draw_binary(sample *s) {
    const cp_shape y = draw_shape(1), smaller = shrink(y);
    const bool first = one_in(2);
    s->inputs = 2;
    s->in[0] = first ? y : smaller;
    s->in[1] = first ? (one_in(2) ? y : smaller) : y;
    s->chain = 2;
    if (s->op->algos == cp_algos_binary_gradient) s->in[s->inputs++] = y;
}

static void draw_reduce(sample *s) {
    s->inputs = 1;
    s->in[0] = draw_shape(1);
    s->attributes.reduction = (cp_reduction)draw(CP_REDUCE_SUM, CP_REDUCE_LOG_SUM_EXP);
    if (s->attributes.reduction == CP_REDUCE_PRODUCT && cp_shape_count(s->in[0]) > 50) /* no float is so large */
        s->attributes.reduction = CP_REDUCE_SUM;
    s->attributes.keep = one_in(2);
    for (int d = 0; d < s->in[0].rank; d++)
        if (one_in(2)) s->attributes.axes.dim[s->attributes.axes.rank++] = d;
    s->chain = cp_shape_count(s->in[0]);
    if (s->op == &cp_op_reduce) return;
    cp_problem forward;
    s->op = &cp_op_reduce;
    assert_int_equal(infer(s, NULL, CP_F32, &forward), CP_OK);
    s->op = &cp_op_reduce_gradient;
    s->in[1] = s->in[2] = forward.out[0];
    s->inputs = 3;
}

static void draw_pieces(sample *s) {
    s->in[0] = draw_shape(1);
    const int axis = (int)draw(0, s->in[0].rank - 1);
    const int64_t size = s->in[0].dim[axis];
    s->inputs = s->op == &cp_op_concat ? (int)draw(1, 5) : 1;
    s->attributes.axis = axis;
    for (int i = 1; i < s->inputs; i++) {
        s->in[i] = s->in[0];
        s->in[i].dim[axis] = draw(1, 4);
    }
    s->attributes.begin = draw(0, size - 1);
    s->attributes.count = draw(1, size - s->attributes.begin);
    if (one_in(2)) { /* apart, or backwards */
        s->attributes.step = one_in(2) ? -draw(1, 3) : draw(1, 3);
        const int64_t most = s->attributes.step < 0 ? s->attributes.begin : size - 1 - s->attributes.begin;
        s->attributes.count = draw(1, 1 + most / (s->attributes.step < 0 ? -s->attributes.step : s->attributes.step));
    }
    s->attributes.size[0] = size;
    if (s->op == &cp_op_slice_gradient) s->in[0].dim[axis] = s->attributes.count;
    s->chain = 1;
}

static void draw_transpose(sample *s) {
    s->inputs = 1;
    s->in[0] = draw_shape(1);
    if (one_in(3)) s->in[0] = (cp_shape){.rank = 3, .dim = {draw(1, 3), draw_channels(), draw_channels()}};
    const int rank = s->attributes.axes.rank = s->in[0].rank;
    int64_t *order = s->attributes.axes.dim;
    for (int d = 0; d < rank; d++) order[d] = d;
    for (int d = rank - 1; d > 0; d--) {
        const int other = (int)draw(0, d);
        const int64_t kept = order[d];
        order[d] = order[other];
        order[other] = kept;
    }
}

static void draw_expand(sample *s) {
    s->inputs = 1;
    s->attributes.shape = draw_shape(1);
    s->in[0] = shrink(s->attributes.shape);
}

/* Rows or elements that indices name, some counted from the end, or the gradient. */
static void draw_gather(sample *s) {
    const bool elements = strstr(s->op->name, "elements"),
               gradient = s->op->algos == cp_algos_gather_gradient || s->op->algos == cp_algos_gather_elements_gradient;
    const cp_shape x = draw_shape(1);
    const int axis = (int)draw(0, x.rank - 1);
    cp_shape indices = {.rank = (int)draw(0, 2), .dim = {draw(1, 5), draw(1, 5)}}, y = {0};
    if (elements) {
        indices = x;
        for (int d = 0; d < x.rank; d++) indices.dim[d] = draw(1, d == axis ? 9 : x.dim[d]);
        y = indices;
    } else {
        for (int d = 0; d < axis; d++) y.dim[y.rank++] = x.dim[d];
        for (int d = 0; d < indices.rank; d++) y.dim[y.rank++] = indices.dim[d];
        for (int d = axis + 1; d < x.rank; d++) y.dim[y.rank++] = x.dim[d];
    }
    s->inputs = 2;
    s->attributes.axis = axis;
    if (gradient) s->attributes.shape = x;
    s->in[0] = gradient ? y : x;
    s->in[1] = indices;
    s->integer[1] = true;
    s->below = x.dim[axis];
    s->chain = cp_shape_count(indices) + 1;
}

/* A comparison or a choice, of which any may be repeated. */
static void draw_choice(sample *s) {
    const cp_shape y = draw_shape(1);
    const bool chooses = s->op == &cp_op_where;
    s->inputs = chooses ? 3 : 2;
    for (int i = 0; i < s->inputs; i++) {
        s->in[i] = one_in(2) ? y : shrink(y);
        const bool logic = s->op == &cp_op_and || s->op == &cp_op_or || s->op == &cp_op_xor;
        if (chooses ? i == 0 : logic) s->type[i] = CP_BOOL;
    }
    s->chain = 1;
}

/* Along an axis: the largest, the k largest, sums. */
static void draw_order(sample *s) {
    s->inputs = 1;
    s->in[0] = draw_shape(1);
    if (one_in(3)) s->in[0] = (cp_shape){.rank = 3, .dim = {draw(1, 2), draw_channels(), draw_channels()}};
    s->attributes.axis = draw(0, s->in[0].rank - 1);
    s->attributes.count = draw(1, s->in[0].dim[s->attributes.axis]);
    s->attributes.keep = one_in(2);
    s->attributes.last = one_in(2);
    s->attributes.smallest = one_in(2);
    s->attributes.exclusive = one_in(2);
    s->attributes.reverse = one_in(2);
    s->chain = s->in[0].dim[s->attributes.axis];
}

/* To bytes or back, with a scale for all or one for each position of an axis. */
static void draw_quantise(sample *s) {
    const bool back = s->op == &cp_op_dequantize, each = one_in(2);
    const cp_type byte = one_in(2) ? CP_U8 : CP_I8;
    s->in[0] = draw_shape(1);
    s->attributes.axis = draw(0, s->in[0].rank - 1);
    s->in[1] = cp_shape_of(each || one_in(2), (int64_t[]){each ? s->in[0].dim[s->attributes.axis] : 1});
    s->in[2] = s->in[1];
    s->inputs = (int)draw(2, 3);
    if (back) s->type[0] = byte;
    s->type[2] = byte;
    s->chain = 1;
    if (s->op != &cp_op_dynamic_quantize) return;
    s->inputs = 1;
    if (one_in(4)) s->in[0] = (cp_shape){.rank = 1, .dim = {draw(1, 20000)}};
}

static void draw_matmul(sample *s) {
    const cp_shape batch = draw_shape(1);
    const int64_t I = one_in(3) ? draw(40, 100) : draw(1, 20), J = draw_channels(), K = draw_channels();
    s->inputs = 2;
    for (int i = 0; i < 2; i++) {
        cp_shape *x = &s->in[i];
        *x = one_in(2) ? batch : shrink(batch);
        if (one_in(4)) x->rank = 0;
        x->dim[x->rank++] = i ? K : I;
        x->dim[x->rank++] = i ? J : K;
    }
    s->chain = K;
}

static void draw_cast(sample *s) {
    static const cp_type types[] = {CP_F32, CP_F64, CP_I32, CP_I64, CP_U8, CP_I8, CP_BOOL};
    draw_elements(s, 1);
    s->attributes.type = types[draw(0, sizeof types / sizeof *types - 1)];
}

/* Of a normalisation, forward or backward. */
static void draw_norm(sample *s) {
    const int64_t groups = draw(1, 4), C = one_in(2) ? draw_channels() : groups * draw(1, 17);
    const cp_shape x = {.rank = 3, .dim = {draw_batch(), draw(1, 20), C}}, channels = cp_shape_of(1, &C);
    const int64_t of_images[] = {1, x.dim[0], x.dim[0] * x.dim[1]};
    const cp_shape moments = {.rank = 3, .dim = {of_images[draw(0, 2)], C % groups ? C : groups, 2}};
    const bool input_gradient = strstr(s->op->name, "input-gradient"),
               scale_gradient = s->op == &cp_op_norm_scale_gradient;
    s->in[0] = s->in[2] = x;
    s->in[1] = channels;
    s->in[3] = moments;
    s->inputs = 4;
    s->attributes.groups = moments.dim[1];
    if (one_in(2)) s->attributes.epsilon = 0.1f;
    if (scale_gradient) {
        s->inputs = 3;
        s->in[1] = x;
        s->in[2] = moments;
    } else if (!input_gradient) {
        s->inputs = s->op == &cp_op_batch_norm ? 5 : 3;
        s->in[2] = s->in[3] = s->in[4] = channels;
    }
    s->chain = cp_shape_count(x);
}

static void draw_lrn(sample *s) {
    draw_elements(s, s->op == &cp_op_lrn ? 1 : 2);
    s->attributes.count = draw(1, 8);
    s->attributes.alpha = (float)draw(1, 4) / 2;
    s->attributes.beta = one_in(2) ? 0 : 0.5f;
    s->attributes.bias = one_in(2) ? 0 : 2;
}

static void draw_loss(sample *s, bool labels) {
    static const cp_shape scalar = {.rank = 1, .dim = {1}};
    draw_elements(s, 2);
    if (labels) {
        s->in[0] = (cp_shape){.rank = 2, .dim = {draw_batch() * draw(1, 20), draw_channels()}};
        s->in[1] = cp_shape_of(1, s->in[0].dim);
        s->integer[1] = true;
        s->below = s->in[0].dim[1];
    } else if (one_in(4)) {
        s->in[0] = s->in[1] = (cp_shape){.rank = 2, .dim = {draw(1, 300), 70}}; /* more than one part */
    }
    if (strstr(s->op->name, "gradient")) s->in[s->inputs++] = scalar;
}

static void draw_cross_entropy(sample *s) {
    draw_loss(s, true);
    if (one_in(3)) s->attributes.alpha = 0.1f;
    if (one_in(3)) s->in[s->inputs++] = cp_shape_of(1, s->in[0].dim + 1);
}

/* Locally connected convolution, or one of its gradients. */
static bool draw_local(sample *s) {
    const cp_op *const op = s->op;
    draw_conv(s);
    cp_conv *conv = &s->attributes.conv;
    cp_shape *x = &s->in[0], y;
    const int axes = x->rank - 2;
    conv->groups = 1;
    s->in[1].dim[axes] = x->dim[axes + 1];
    if (cp_conv_shape(&y, conv, *x, s->in[1])) return false;
    const int64_t filters = s->in[1].dim[axes + 1], rows = cp_shape_count(s->in[1]) / filters;
    int64_t outputs = 1;
    for (int d = 0; d < axes; d++) outputs *= y.dim[1 + d];
    s->in[1] = (cp_shape){.rank = 3, .dim = {outputs, rows, filters}};
    s->chain = rows + 1;
    if (op == &cp_op_local_conv) return true;
    for (int d = 0; d < axes; d++) s->attributes.size[d] = x->dim[1 + d];
    conv->activation = CP_LINEAR;
    s->inputs = 2;
    s->chain = op == &cp_op_local_conv_input_gradient ? rows / x->dim[axes + 1] * filters : x->dim[0] + 1;
    if (op == &cp_op_local_conv_weight_gradient) s->in[1] = *x;
    s->in[0] = y;
    return true;
}

/* Deformable convolution, or one of its gradients; offsets up to 1.5 pixels. */
static bool draw_deform(sample *s) {
    const cp_op *const op = s->op;
    draw_conv(s);
    cp_conv *conv = &s->attributes.conv;
    const cp_shape x = s->in[0], w = s->in[1], b = s->in[2];
    const int axes = x.rank - 2;
    const int64_t parts = one_in(2) ? 1 : one_in(2) ? x.dim[axes + 1] : 2;
    cp_shape y, offset, mask;
    if (cp_conv_shape(&y, conv, x, w)) return false;
    offset = mask = y;
    mask.dim[axes + 1] = parts;
    for (int d = 0; d < axes; d++) mask.dim[axes + 1] *= w.dim[d];
    offset.dim[axes + 1] = mask.dim[axes + 1] * axes;
    if (one_in(3)) mask.rank = -1;
    conv->offset_groups = parts;
    s->chain *= 1 << axes;
    if (op == &cp_op_deform_conv) {
        s->inputs = 5;
        s->in[2] = offset;
        s->in[3] = b;
        s->in[4] = mask;
        return true;
    }
    for (int d = 0; d < axes; d++) s->attributes.size[d] = x.dim[1 + d];
    conv->activation = CP_LINEAR;
    s->in[0] = y;
    s->inputs = op == &cp_op_deform_conv_offset_gradient ? 5 : 4;
    s->in[1] = op == &cp_op_deform_conv_weight_gradient ? x : w;
    if (op == &cp_op_deform_conv_offset_gradient) s->in[2] = x;
    s->in[s->inputs - 2] = offset;
    s->in[s->inputs - 1] = mask;
    return true;
}

static bool is_regional(const cp_op *op) {
    return strstr(op->name, "roi-");
}

/* Which input the regions are. */
static int rois_of(const cp_op *op) {
    return op == &cp_op_max_roi_pool_gradient ? 2 : 1;
}

/* Pooling of regions of interest, or its gradients. */
static void draw_roi(sample *s) {
    const cp_op *const op = s->op;
    const bool align = op == &cp_op_roi_align || op == &cp_op_roi_align_gradient;
    const cp_shape x = {.rank = 4, .dim = {draw_batch(), draw(1, 12), draw(1, 12), draw_channels()}};
    const cp_shape rois = {.rank = 2, .dim = {draw(0, 5), 5}};
    cp_roi *roi = &s->attributes.roi;
    *roi =
        (cp_roi){.output_size = {draw(1, 4), draw(1, 4)}, .spatial_scale = one_in(2) ? 0 : 0.25f * (float)draw(1, 8)};
    if (align) {
        roi->sampling = draw(0, 3);
        roi->output_half_pixel = one_in(2);
        roi->max = one_in(2);
        roi->max_of_corners = roi->max && one_in(2);
    }
    const cp_shape y = {.rank = 4, .dim = {rois.dim[0], roi->output_size[0], roi->output_size[1], x.dim[3]}};
    s->chain = 200;
    s->inputs = op == &cp_op_max_roi_pool_gradient ? 4 : op == &cp_op_roi_align_gradient ? 3 : 2;
    s->in[0] = s->in[1] = y;
    s->in[rois_of(op)] = rois;
    s->in[s->inputs == 2 ? 0 : s->inputs - 1] = x;
    if (op == &cp_op_max_roi_pool_gradient) {
        s->integer[1] = true;
        s->below = 1; /* fill_regions knows which fit */
    }
}

/* Regions in and around the input, one in a while of no image or of no size; positions that fit them. */
static void fill_regions(const sample *s, double *const *in) {
    const cp_shape x = s->in[s->inputs == 2 ? 0 : s->inputs - 1];
    double *rois = in[rois_of(s->op)];
    for (int64_t r = 0; r < s->in[rois_of(s->op)].dim[0]; r++, rois += 5) {
        const int64_t images = x.dim[0], pixels = x.dim[1] * x.dim[2];
        rois[0] = one_in(12) ? (double)draw(-1, 9) : (double)draw(0, images ? images - 1 : 0);
        for (int i = 0; i < 2; i++) {
            rois[1 + i] = (float)draw(-40, 10 * x.dim[2 - i]) / 10;
            rois[3 + i] = rois[1 + i] + (float)draw(one_in(6) ? -20 : 0, 10 * x.dim[2 - i]) / 10;
        }
        if (one_in(20)) rois[draw(1, 4)] = one_in(2) ? 1e30 : (double)INFINITY;
        for (int i = 1; i < 5; i++) rois[i] = (float)rois[i];
        if (s->op != &cp_op_max_roi_pool_gradient) continue;
        const int64_t of_region = cp_shape_count(cp_shape_of(3, &s->in[0].dim[1]));
        for (int64_t k = 0; k < of_region; k++)
            in[1][r * of_region + k] = rois[0] < 0 || rois[0] >= (double)images || one_in(9)
                                           ? -1
                                           : rois[0] * (double)pixels + (double)draw(0, pixels - 1);
    }
}

/* im2col, or the same the other way. */
static bool draw_matrix(sample *s) {
    const cp_op *const op = s->op;
    const geometry g = draw_geometry();
    cp_conv *conv = &s->attributes.conv;
    cp_problem forward;
    *conv = (cp_conv){.pad = g.pad};
    memcpy(conv->kernel, g.kernel, sizeof conv->kernel);
    memcpy(conv->stride, g.stride, sizeof conv->stride);
    memcpy(conv->dilation, g.dilation, sizeof conv->dilation);
    memcpy(conv->pad_before, g.before, sizeof conv->pad_before);
    memcpy(conv->pad_after, g.after, sizeof conv->pad_after);
    s->inputs = 1;
    s->in[0] = image_shape(&g, draw_channels());
    s->chain = 1;
    if (op == &cp_op_im2col) return true;
    s->op = &cp_op_im2col;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = op;
    if (!possible) return false;
    for (int d = 0; d < g.axes; d++) s->attributes.size[d] = g.size[d];
    s->in[0] = forward.out[0];
    s->chain = cp_window_taps(&forward.window);
    return true;
}

static void draw_shuffle(sample *s) {
    const geometry g = draw_geometry();
    const int64_t block = draw(1, 3);
    int64_t blocks = 1;
    s->attributes.block = block;
    s->attributes.depth_order = (cp_depth_order)draw(CP_DEPTH_FIRST, CP_CHANNEL_FIRST);
    for (int d = 0; d < g.axes; d++) blocks *= block;
    s->inputs = 1;
    s->in[0] = image_shape(&g, s->op == &cp_op_depth_to_space ? blocks * draw(1, 9) : draw_channels());
    for (int d = 0; d < g.axes && s->op == &cp_op_space_to_depth; d++) s->in[0].dim[1 + d] *= block;
}

/* Padding and resizing, or their gradients. */
static bool draw_sampling(sample *s) {
    const cp_op *const op = s->op;
    const bool pads = op == &cp_op_pad || op == &cp_op_pad_gradient, sized = one_in(2);
    const geometry g = draw_geometry();
    cp_padding *padding = &s->attributes.padding;
    cp_resize *resize = &s->attributes.resize;
    cp_problem forward;
    padding->values = (cp_pad_values)draw(CP_PAD_CONSTANT, CP_PAD_CIRCULAR);
    if (padding->values == CP_PAD_CONSTANT) padding->constant = (float)draw(0, 2);
    resize->interpolation = (cp_interpolation)draw(CP_INTERPOLATE_NEAREST, CP_INTERPOLATE_CUBIC);
    resize->antialias = resize->interpolation && one_in(3);
    resize->exclude_outside = one_in(3);
    resize->coordinates = (cp_coordinates)draw(CP_HALF_PIXEL, CP_CROP);
    resize->rounding = (cp_rounding)draw(CP_ROUND_PREFER_FLOOR, CP_ROUND_CEIL);
    for (int d = 0; d < g.axes; d++) {
        padding->before[d] = draw(0, g.axes == 3 ? 3 : 6);
        padding->after[d] = draw(0, g.axes == 3 ? 3 : 6);
        if (sized)
            resize->size[d] = draw(1, g.axes == 3 ? 8 : 20);
        else
            resize->scale[d] = (float)draw(2, 25) / 10;
        resize->begin[d] = (float)draw(-2, 4) / 10;
        resize->end[d] = (float)draw(5, 12) / 10;
    }
    s->inputs = 1;
    s->in[0] = image_shape(&g, draw_channels());
    s->op = pads ? &cp_op_pad : &cp_op_resize;
    const bool possible = infer(s, NULL, CP_F32, &forward) == CP_OK;
    s->op = op;
    s->chain = 16 + 8 * (op->algos == cp_algos_sample ? cp_shape_count(s->in[0]) : 0); /* sums of products */
    if (!possible || op == &cp_op_pad || op == &cp_op_resize) return possible;
    for (int d = 0; d < g.axes; d++) s->attributes.size[d] = g.size[d];
    s->chain = 16 + cp_shape_count(forward.out[0]);
    s->in[0] = forward.out[0];
    return true;
}

/* Bytes, sums of them, and sums that become bytes again: x w [b x_zero w_zero scale y_zero]. */
static void draw_integers(sample *s) {
    if (s->op == &cp_op_conv_integer)
        draw_conv(s);
    else
        draw_dense(s);
    s->attributes.activation = s->attributes.conv.activation = CP_LINEAR;
    const int64_t one = 1, filters = s->in[1].dim[s->in[1].rank - 1];
    const cp_shape none = {.rank = -1}, number = one_in(2) ? cp_shape_of(0, NULL) : cp_shape_of(1, &one);
    const cp_shape each = cp_shape_of(1, &filters);
    s->type[0] = s->type[3] = one_in(2) ? CP_U8 : CP_I8;
    s->type[1] = s->type[4] = one_in(4) ? CP_U8 : CP_I8;
    s->type[2] = CP_I32;
    s->type[6] = one_in(2) ? CP_U8 : CP_I8;
    s->in[3] = one_in(2) ? number : none;
    s->in[4] = one_in(3) ? (one_in(2) ? number : each) : none;
    s->in[5] = one_in(2) ? none : one_in(2) ? number : each;
    s->in[6] = s->in[5].rank < 0 || one_in(3) ? none : number;
    s->inputs = 7;
}

/* Draws shapes and attributes for an operation; false: not possible, draw again. */
static bool draw_sample(sample *s, const cp_op *op) {
    *s = (sample){.op = op};
    bool possible = true;
    if (op == &cp_op_conv || op == &cp_op_conv_input_gradient || op == &cp_op_conv_weight_gradient) draw_conv(s);
    if (op == &cp_op_dense || op == &cp_op_dense_input_gradient || op == &cp_op_dense_weight_gradient) draw_dense(s);
    if (is_transposed(op)) draw_conv_transpose(s);
    if (op == &cp_op_conv_transpose_input_gradient) possible = turn_around(s, true);
    if (op == &cp_op_conv_transpose_weight_gradient) possible = turn_around(s, false);
    if (op == &cp_op_conv_input_gradient || op == &cp_op_dense_input_gradient) possible = turn_around(s, true);
    if (op == &cp_op_conv_weight_gradient || op == &cp_op_dense_weight_gradient) possible = turn_around(s, false);
    if (strncmp(op->name, "local-conv", 10) == 0) possible = draw_local(s);
    if (strncmp(op->name, "deform-conv", 11) == 0) possible = draw_deform(s);
    if (op == &cp_op_im2col || op == &cp_op_col2im) possible = draw_matrix(s);
    if (op == &cp_op_depth_to_space || op == &cp_op_space_to_depth) draw_shuffle(s);
    if (op->algos == cp_algos_sample || op->algos == cp_algos_sample_gradient) possible = draw_sampling(s);
    if (strstr(op->name, "pool")) draw_pool(s);
    if (op == &cp_op_max_pool || op == &cp_op_average_pool) draw_bytes(s);
    if (op == &cp_op_max_pool_gradient) possible = turn_pool_around(s, &cp_op_max_pool);
    if (op == &cp_op_average_pool_gradient) possible = turn_pool_around(s, &cp_op_average_pool);
    if (strncmp(op->name, "lp-", 3) == 0 || strncmp(op->name, "stochastic-", 11) == 0) possible = draw_weighted_pool(s);
    const bool spans =
        strncmp(op->name, "adaptive-", 9) == 0 || op == &cp_op_fractional_max_pool || op == &cp_op_position_gradient;
    if (op == &cp_op_max_pool_positions || strstr(op->name, "unpool")) {
        *s = (sample){.op = op};
        possible = draw_unpool(s);
    }
    if (spans) {
        *s = (sample){.op = op};
        possible = draw_span_pool(s);
    }
    if (is_regional(op)) {
        *s = (sample){.op = op};
        draw_roi(s);
    }
    if (op == &cp_op_bias_gradient) {
        s->inputs = 1;
        s->in[0] = (cp_shape){.rank = 2, .dim = {one_in(3) ? draw(200, 2000) : draw_batch(), draw_channels()}};
        s->chain = s->in[0].dim[0] + 1;
    }
    if (op->algos == cp_algos_activation || op->algos == cp_algos_softmax) draw_elements(s, 1);
    if (op->algos == cp_algos_activation_gradient) draw_elements(s, 2);
    if (op->algos == cp_algos_softmax_gradient) draw_elements(s, 2);
    if (op->algos == cp_algos_softmax || op->algos == cp_algos_softmax_gradient) s->attributes.behind = draw(0, 2);
    if (op->algos == cp_algos_binary || op->algos == cp_algos_binary_gradient) draw_binary(s);
    if (op == &cp_op_reduce || op == &cp_op_reduce_gradient) draw_reduce(s);
    if (strstr(op->name, "norm")) draw_norm(s);
    if (strstr(op->name, "lrn")) draw_lrn(s);
    if (op == &cp_op_concat || op == &cp_op_slice || op == &cp_op_slice_gradient) draw_pieces(s);
    if (op == &cp_op_transpose) draw_transpose(s);
    if (op == &cp_op_expand) draw_expand(s);
    if (strncmp(op->name, "gather", 6) == 0) draw_gather(s);
    if (op == &cp_op_cast) draw_cast(s);
    if (op->algos == cp_algos_relation || op == &cp_op_where) draw_choice(s);
    if (op == &cp_op_matmul) draw_matmul(s);
    if (op == &cp_op_quantize || op == &cp_op_dequantize || op == &cp_op_dynamic_quantize) draw_quantise(s);
    if (op->algos == cp_algos_arg || op == &cp_op_top_k || op == &cp_op_cumulative_sum) draw_order(s);
    if (op->algos == cp_algos_conv_integer) draw_integers(s);
    if (op == &cp_op_dropout) {
        draw_elements(s, 1);
        s->attributes.rate = (float)draw(0, 9) / 10;
        s->attributes.layer = (uint32_t)draw(0, 5);
    }
    if (op == &cp_op_softmax_cross_entropy || op == &cp_op_softmax_cross_entropy_gradient) draw_cross_entropy(s);
    if (op == &cp_op_focal || op == &cp_op_focal_gradient || op == &cp_op_hinge || op == &cp_op_hinge_gradient)
        draw_loss(s, true);
    if (op == &cp_op_huber || op == &cp_op_huber_gradient || op == &cp_op_binary_cross_entropy ||
        op == &cp_op_binary_cross_entropy_gradient)
        draw_loss(s, false);
    if (op == &cp_op_mean_squared_error || op == &cp_op_mean_squared_error_gradient) draw_loss(s, false);

    cp_problem problem;
    if (!possible || infer(s, NULL, CP_F32, &problem)) return false;
    int64_t most = 1;
    for (int i = 0; i < problem.inputs; i++) most = cp_shape_count(s->in[i]) > most ? cp_shape_count(s->in[i]) : most;
    most = cp_shape_count(problem.out[0]) > most ? cp_shape_count(problem.out[0]) : most;
    if (spans) most *= s->chain;
    if (strstr(op->name, "pool") && !strstr(op->name, "unpool") && !spans && !is_regional(op)) {
        s->chain = cp_window_taps(&problem.window);
        most *= s->chain;
    }
    return problem.multiply_adds <= MOST_MULTIPLY_ADDS && most <= MOST_MULTIPLY_ADDS;
}

/* --- what must come out --- */

/* How near an output must be: the same float; the same where all numbers are small integers, else within the bound of
 * sums; within the bound of sums; within the rounding of exp; the same for numbers that are not near 0, where products
 * and quotients of many stay finite. */
typedef enum nearness { SAME, SUMS, AVERAGES, CLOSE, FACTORS } nearness;

static nearness nearness_of(const cp_op *op) {
    if (op->algos == cp_algos_conv || op->algos == cp_algos_conv_input_gradient ||
        op->algos == cp_algos_conv_weight_gradient || strncmp(op->name, "dense", 5) == 0 ||
        op->algos == cp_algos_bias_gradient || op == &cp_op_add || strncmp(op->name, "local-conv", 10) == 0 ||
        op == &cp_op_max_pool_gradient || op == &cp_op_im2col || op == &cp_op_col2im || op == &cp_op_pad ||
        op == &cp_op_pad_gradient || op == &cp_op_stochastic_pool_gradient || op == &cp_op_position_gradient)
        return SUMS;
    if (is_regional(op)) return op == &cp_op_max_roi_pool ? SAME : FACTORS;
    if (op == &cp_op_resize || op == &cp_op_resize_gradient) return AVERAGES;
    if (op == &cp_op_depth_to_space || op == &cp_op_space_to_depth || op->algos == cp_algos_conv_integer) return SAME;
    if (op == &cp_op_average_pool || op == &cp_op_average_pool_gradient || op == &cp_op_adaptive_average_pool ||
        op == &cp_op_adaptive_average_pool_gradient)
        return AVERAGES;
    if (op->algos == cp_algos_span_max_pool || op == &cp_op_stochastic_pool) return SAME;
    if (op == &cp_op_max_pool_positions || strstr(op->name, "unpool")) return SAME;
    if (op == &cp_op_max_pool || op == &cp_op_relu || op == &cp_op_relu_gradient || op == &cp_op_dropout ||
        op == &cp_op_concat || op->algos == cp_algos_move || op->algos == cp_algos_move_gradient ||
        op->algos == cp_algos_gather || op->algos == cp_algos_gather_elements || op == &cp_op_cast ||
        op->algos == cp_algos_relation || op == &cp_op_where || op->algos == cp_algos_arg || op == &cp_op_top_k ||
        op == &cp_op_quantize || op == &cp_op_dequantize)
        return SAME;
    if (op == &cp_op_matmul || op == &cp_op_cumulative_sum || op->algos == cp_algos_gather_gradient ||
        op->algos == cp_algos_gather_elements_gradient)
        return SUMS;
    if (op->algos == cp_algos_binary || op->algos == cp_algos_binary_gradient || op->algos == cp_algos_reduce ||
        op->algos == cp_algos_reduce_gradient || strncmp(op->name, "deform-conv", 11) == 0 ||
        strstr(op->name, "norm") || strstr(op->name, "lrn"))
        return FACTORS;
    return CLOSE;
}

enum { SEED = 5, STEP = 7 };

/* The numbers of a sample, and the reference's answer in double. */
typedef struct expected {
    bool small_integers;
    bool bf16; /* inputs have no more than 8 bits */
    int outputs;
    double *in[CP_MAX_INPUTS];
    double *out[CP_MAX_OUTPUTS];
    double *sum; /* of the absolute products behind each number of output 0 */
    double largest, largest_sum;
    int64_t count[CP_MAX_OUTPUTS];
} expected;

static double *doubles(int64_t n) {
    double *memory = calloc((size_t)n + 1, sizeof *memory);
    if (!memory) abort();
    return memory;
}

/* Bytes are often the largest there are: what saturates on the way would show. Floats: scales of sums. */
static double draw_typed(cp_type type) {
    if (type == CP_I32) return (double)draw(-1000, 1000);
    if (type == CP_F32) return (float)(1.0 / (double)draw(20, 5000));
    const int64_t low = type == CP_U8 ? 0 : -128;
    return (double)(one_in(4) ? low : one_in(4) ? low + 255 : draw(low, low + 255));
}

static void fill_inputs(const sample *s, expected *e) {
    e->small_integers = one_in(2);
    e->bf16 = one_in(2);
    const double scale = nearness_of(s->op) == CLOSE && s->op->algos != cp_algos_activation_gradient ? 10 : 1;
    for (int i = 0; i < s->inputs; i++) {
        const int64_t count = s->in[i].rank < 0 ? 0 : cp_shape_count(s->in[i]);
        e->in[i] = doubles(count);
        for (int64_t k = 0; k < count; k++) {
            if (s->type[i] == CP_BOOL)
                e->in[i][k] = one_in(2);
            else if (s->op->algos == cp_algos_conv_integer)
                e->in[i][k] = draw_typed(s->type[i]);
            else if (s->type[i])
                e->in[i][k] = s->type[i] == CP_U8 ? (double)draw(0, 255) : (double)draw(-128, 127);
            else if (i == 1 && (s->op == &cp_op_quantize || s->op == &cp_op_dequantize))
                e->in[i][k] = ldexp(1, (int)draw(-7, 0)); /* quotients are exact */
            else if (s->integer[i])
                e->in[i][k] =
                    (double)(draw(0, s->below - 1) - (strstr(s->op->name, "gather") && one_in(4) ? s->below : 0));
            else if (nearness_of(s->op) == FACTORS) {
                e->in[i][k] = (float)(0.5 + (double)bits() / (1u << 31));
                const bool positive = !strncmp(s->op->name, "pow", 3) || (s->op == &cp_op_batch_norm && i == 4);
                if (one_in(2) && !positive) e->in[i][k] = -e->in[i][k];
            } else if (e->small_integers && scale == 1)
                e->in[i][k] = (double)draw(-4, 4);
            else if (e->bf16 && scale == 1)
                e->in[i][k] = (double)draw(-128, 128) / 128;
            else
                e->in[i][k] = (float)(scale * ((double)bits() / (1u << 31) - 1));
        }
    }
    if (is_regional(s->op)) fill_regions(s, e->in);
    const bool knows_special =
        s->op == &cp_op_max_pool || s->op->algos == cp_algos_span_max_pool || s->op == &cp_op_relu;
    if (!knows_special || s->type[0]) return;
    static const double special[] = {NAN, INFINITY, -INFINITY, -0.0};
    for (int64_t k = 0; k < cp_shape_count(s->in[0]); k++)
        if (one_in(30)) e->in[0][k] = special[draw(0, 3)];
}

/* Memory of one tensor with these values. */
static void *place(guard *g, cp_type type, cp_shape shape, const double *values) {
    void *memory = guard_bytes(g, cp_shape_count(shape) * cp_type_size(type), cp_type_size(type));
    const cp_tensor view = cp_view(memory, type, shape);
    for (int64_t k = 0; k < cp_shape_count(shape); k++) cp_put(&view, k, values[k]);
    return memory;
}

static void read_outputs(const cp_call *call, double **out) {
    for (int i = 0; i < call->problem->outputs; i++) {
        const cp_tensor view = cp_call_out(call, i);
        const int64_t count = cp_shape_count(view.shape);
        out[i] = doubles(count);
        for (int64_t k = 0; k < count && view.data; k++) out[i][k] = cp_get(&view, k);
    }
}

static const cp_algo *reference_of(const cp_op *op) {
    const cp_algo *const *algo = op->algos;
    while (algo[1]) algo++;
    assert_string_equal((*algo)->name, "reference");
    return *algo;
}

/* Runs the reference in double on the inputs, or on their absolute values. */
static void run_reference(const sample *s, const expected *e, bool absolute, cp_problem *problem, double **out) {
    guard g = {.at_end = true};
    assert_int_equal(infer(s, NULL, CP_F64, problem), CP_OK);
    cp_call call = {.problem = problem, .seed = SEED, .step = STEP};
    for (int i = 0; i < s->inputs; i++) {
        if (s->in[i].rank < 0) continue;
        const int64_t count = cp_shape_count(s->in[i]);
        double *values = doubles(count);
        for (int64_t k = 0; k < count; k++) values[k] = absolute && !s->integer[i] ? fabs(e->in[i][k]) : e->in[i][k];
        call.in[i] = place(&g, problem->in_type[i], s->in[i], values);
        free(values);
    }
    for (int i = 0; i < problem->outputs; i++)
        call.out[i] = guard_bytes(&g, cp_shape_count(problem->out[i]) * cp_type_size(problem->out_type[i]), 8);
    reference_of(s->op)->run(&call, 0, 0, 1);
    read_outputs(&call, out);
    guard_free(&g);
}

static expected expect(const sample *s) {
    expected e = {0};
    double *sums[CP_MAX_OUTPUTS] = {0};
    cp_problem problem;
    fill_inputs(s, &e);
    run_reference(s, &e, false, &problem, e.out);
    e.outputs = problem.outputs;
    for (int i = 0; i < e.outputs; i++) e.count[i] = cp_shape_count(problem.out[i]);
    for (int64_t k = 0; k < e.count[0]; k++) e.largest = fmax(e.largest, fabs(e.out[0][k]));
    if (nearness_of(s->op) == SUMS || nearness_of(s->op) == AVERAGES) {
        run_reference(s, &e, true, &problem, sums);
        e.sum = sums[0];
        for (int64_t k = 0; k < e.count[0]; k++) e.largest_sum = fmax(e.largest_sum, e.sum[k]);
    }
    return e;
}

static void forget(expected *e) {
    for (int i = 0; i < CP_MAX_INPUTS; i++) free(e->in[i]);
    for (int i = 0; i < CP_MAX_OUTPUTS; i++) free(e->out[i]);
    free(e->sum);
}

/* How many numbers of an input stand behind each of output 0, where they are added up. */
static double added(const sample *s, const expected *e) {
    int64_t most = 0;
    for (int i = 0; i < s->inputs; i++) most = cp_shape_count(s->in[i]) > most ? cp_shape_count(s->in[i]) : most;
    return e->count[0] ? (double)most / (double)e->count[0] : 0;
}

/* The algorithms whose errors are others than those of a sum: Winograd's, where rounding errors of a tile reach all its
 * outputs. c: in units of the last place of the sum of absolute products; exact: small integers stay such. */
typedef struct rounding {
    const char *algo;
    double c;
    bool exact;
} rounding;

static const rounding *rounding_of(const cp_algo *algo) {
    static const rounding known[] = {{"winograd-2x2-3x3", 8, true},
                                     {"winograd-4x4-3x3", 64, false},
                                     {"winograd-2x2-5x5", 64, false},
                                     {"winograd-4-3", 64, false}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].algo, algo->name) == 0) return &known[i];
    return NULL;
}

/* How far output `i`, number k may be from the reference. */
static double bound(const sample *s, const expected *e, const cp_algo *algo, int i, int64_t k) {
    const double u = 0x1p-24;
    if ((i > 0 && s->op == &cp_op_max_pool) || (s->type[0] && strstr(s->op->name, "pool"))) return 0;
    if (s->op == &cp_op_dynamic_quantize && i != 1) return 1; /* where the scale's last bit decides */
    /* Each factor is rounded to 8 bits, unless it has no more. */
    const double narrow = strcmp(algo->name, "bf16") == 0 && !e->bf16 && !e->small_integers ? 0x1.02p-7 * e->sum[k] : 0;
    const rounding *r = rounding_of(algo);
    if (r && e->small_integers && r->exact) return 0;
    if (r) return (r->c + 2 * sqrt((double)s->chain)) * u * e->largest_sum + 0x1p-149;
    switch (nearness_of(s->op)) {
    case SAME:
        return 0;
    case SUMS:
        if (e->small_integers) return 0;
        return (4 + 2 * sqrt((double)s->chain)) * u * e->sum[k] + 0x1p-149 + narrow;
    case AVERAGES: /* a cubic kernel has weights below 0, at most 8 in all along three axes */
        if (s->attributes.resize.interpolation == CP_INTERPOLATE_CUBIC)
            return (4 + 2 * sqrt((double)s->chain)) * u * 8 * fmax(e->largest, 4);
        return (4 + 2 * sqrt((double)s->chain)) * u * e->sum[k] + 0x1p-149;
    case FACTORS:
        return 1e-6 * fabs(e->out[i][k]) + 1e-6 * e->largest + 2 * u * added(s, e);
    case CLOSE:
        /* what decays like exp(-x*x/2) multiplies the rounding of x by x*x, up to a hundred here */
        return (s->op->algos == cp_algos_activation || s->op->algos == cp_algos_activation_gradient ? 1e-5 : 1e-6) *
                   fabs(e->out[i][k]) +
               (i == 0 ? 1e-7 * e->largest : 1e-7);
    }
    return 0;
}

static bool near(const sample *s, const expected *e, const cp_algo *algo, int i, int64_t k, double got) {
    const double wanted = e->out[i][k], allowed = bound(s, e, algo, i, k);
    if (isnan(wanted)) return isnan(got);
    if (isinf(wanted)) return got == wanted;
    if (s->op->algos == cp_algos_conv_integer) return got == wanted;
    return allowed == 0 ? got == (float)wanted : fabs(got - wanted) <= allowed;
}

/* --- the algorithms --- */

typedef struct level {
    cp_isa isa;
    const cp_kernels *kernels;
} level;

enum { MOST_LEVELS = CP_ISA_AVX512BF16 };
static int levels(level found[MOST_LEVELS]) {
    int n = 0;
    for (cp_isa isa = CP_ISA_PORTABLE; cp_cpu_can(isa); isa++) found[n++] = (level){isa, cp_kernels_of(isa)};
    return n;
}

/* How often each algorithm was reached at each level. */
static struct {
    const cp_algo *algo;
    const cp_kernels *kernels;
    int count;
} reached[1024];

static int *count_of(const cp_algo *algo, const cp_kernels *kernels) {
    size_t i = 0;
    while (reached[i].algo && (reached[i].algo != algo || reached[i].kernels != kernels)) i++;
    reached[i].algo = algo;
    reached[i].kernels = kernels;
    return &reached[i].count;
}

/* All phases, each by n shares in an order that no caller should rely on. */
static void run_shares(const cp_algo *algo, const cp_call *call, int n) {
    const int phases = call->prepared->phases ? call->prepared->phases : 1;
    for (int phase = 0; phase < phases; phase++)
        for (int id = n - 1; id >= 0; id--) algo->run(call, phase, id, n);
}

static void poison(void *memory, int64_t bytes) {
    memset(memory, 0xff, (size_t)bytes);
}

static bool gives_weights(const cp_op *op) {
    return op->algos == cp_algos_conv_weight_gradient || op->algos == cp_algos_dense_weight_gradient;
}

/* Weights that lie in the order of their shape, brought into panels. */
static void *place_panels(guard *g, const cp_problem *problem, const float *weights) {
    const cp_panels panels = cp_weight_panels(problem);
    float *packed = guard_bytes(g, cp_panels_floats(&panels) * 4, CP_ALIGN);
    for (int id = 0; id < 2; id++) cp_panels_pack(&panels, problem->kernels, weights, packed, id, 2);
    return packed;
}

/* Runs an algorithm with one and with three shares, everything that it writes to poisoned before: the same bits, near
 * what was expected. in_panels: the weights, or their gradient, lie in panels; `unused`: an output that nobody reads,
 * or -1. */
static void check_algorithm(const sample *s, const expected *e, const cp_algo *algo, const cp_kernels *kernels,
                            bool in_panels, int unused) {
    guard g = {.at_end = one_in(2)};
    cp_problem problem;
    cp_prepared prepared = {0};
    assert_int_equal(infer(s, kernels, CP_F32, &problem), CP_OK);
    if (unused >= 0) problem.out_used[unused] = false;
    problem.weights_in_panels = in_panels;
    if (algo->prepare) assert_int_equal(algo->prepare(&problem, &prepared), CP_OK);

    cp_call call = {.problem = &problem, .prepared = &prepared, .seed = SEED, .step = STEP};
    for (int i = 0; i < s->inputs; i++)
        if (s->in[i].rank >= 0) call.in[i] = place(&g, problem.in_type[i], s->in[i], e->in[i]);
    if (in_panels && !gives_weights(s->op)) call.in[1] = place_panels(&g, &problem, call.in[1]);
    if (prepared.packed) {
        void *packed = guard_bytes(&g, prepared.packed, CP_ALIGN);
        call.out[0] = packed;
        for (int id = 0; id < 3; id++) algo->pack(&call, id, 3);
        call.in[1] = packed;
    }
    const int64_t scratch = cp_scratch_bytes(&prepared, 3);
    if (scratch) call.scratch = guard_bytes(&g, scratch, CP_ALIGN);
    void *first[CP_MAX_OUTPUTS] = {0}, *second[CP_MAX_OUTPUTS] = {0};
    int64_t bytes[CP_MAX_OUTPUTS] = {0};
    for (int i = 0; i < problem.outputs; i++) {
        if (i == unused) continue;
        const int64_t size = cp_type_size(problem.out_type[i]);
        const cp_panels panels = in_panels ? cp_weight_panels(&problem) : (cp_panels){0};
        const bool packed = in_panels && gives_weights(s->op);
        bytes[i] = (packed ? cp_panels_floats(&panels) : cp_shape_count(problem.out[i])) * size;
        first[i] = guard_bytes(&g, bytes[i], packed ? CP_ALIGN : size);
        second[i] = guard_bytes(&g, bytes[i], packed ? CP_ALIGN : size);
    }

    memcpy(call.out, second, sizeof call.out);
    run_shares(algo, &call, 3);
    if (scratch) poison(call.scratch, scratch);
    memcpy(call.out, first, sizeof call.out);
    run_shares(algo, &call, 1);

    if (in_panels && gives_weights(s->op)) {
        const cp_panels panels = cp_weight_panels(&problem);
        call.out[0] = guard_floats(&g, e->count[0]);
        cp_panels_unpack(&panels, first[0], call.out[0]);
    }
    double *got[CP_MAX_OUTPUTS] = {0};
    read_outputs(&call, got);
    for (int i = 0; i < problem.outputs; i++) {
        if (i == unused) continue;
        for (int64_t k = 0; k < e->count[i]; k++) {
            if (near(s, e, algo, i, k, got[i][k])) continue;
            print_sample(s);
            fail_msg("%s on %s: output %d[%lld] is %.9g, reference %.9g, may differ by %.3g", algo->name, kernels->name,
                     i, (long long)k, got[i][k], e->out[i][k], bound(s, e, algo, i, k));
        }
        if (bytes[i] && memcmp(first[i], second[i], (size_t)bytes[i])) {
            print_sample(s);
            fail_msg("%s on %s: output %d depends on the number of shares", algo->name, kernels->name, i);
        }
    }
    for (int i = 0; i < problem.outputs; i++) free(got[i]);
    cp_free(NULL, prepared.state);
    guard_free(&g);
    ++*count_of(algo, kernels);
}

static bool refuses(const cp_algo *algo, const cp_problem *problem) {
    return algo->refuse && algo->refuse(problem);
}

/* What a level lacks for an algorithm. */
static bool cannot(const cp_algo *algo, const cp_kernels *kernels) {
    if (!kernels->byte_tile && algo == &cp_algo_conv_integer_bytes) return true;
    if (!kernels->bf16 && strcmp(algo->name, "bf16") == 0) return true;
    return !kernels->grouped && (algo == &cp_algo_grouped || algo == &cp_algo_grouped_input_gradient);
}

/* An algorithm of the operation that was not checked often at some level, and that level; false: there is none. */
static bool neglected(const cp_op *op, const cp_algo **which, const cp_kernels **where) {
    level found[MOST_LEVELS];
    const int n = levels(found);
    for (const cp_algo *const *algo = op->algos; algo && *algo; algo++)
        for (int l = 0; l < n; l++) {
            *which = *algo;
            *where = found[l].kernels;
            if (*count_of(*algo, *where) < 20 && !cannot(*algo, *where)) return true;
        }
    return false;
}

/* So many samples at least, and more until every algorithm has seen some. */
static void check_op(const cp_op *op, int samples) {
    level found[MOST_LEVELS];
    const int n = levels(found);
    const cp_algo *rare;
    const cp_kernels *where;
    for (int i = 0; i < samples || (i < 10 * samples && neglected(op, &rare, &where)); i++) {
        sample s;
        while (!draw_sample(&s, op)) continue;
        expected e = expect(&s);
        const int unused = s.type[0] && e.outputs > 1 ? 1 : e.outputs > 1 && one_in(3) ? (int)draw(0, 1) : -1;
        for (int l = 0; l < n; l++) {
            cp_problem problem;
            assert_int_equal(infer(&s, found[l].kernels, CP_F32, &problem), CP_OK);
            if (unused >= 0) problem.out_used[unused] = false;
            for (const cp_algo *const *algo = op->algos; *algo; algo++) {
                if (refuses(*algo, &problem)) continue;
                check_algorithm(&s, &e, *algo, found[l].kernels, false, unused);
                if ((*algo)->panels) check_algorithm(&s, &e, *algo, found[l].kernels, true, unused);
            }
        }
        forget(&e);
    }
}

/* Each operation that computes something; convolution has the most cases. */
static void test_algorithms_agree_with_the_reference(void **state) {
    (void)state;
    for (int i = 0; cp_op_at(i); i++) {
        const cp_op *op = cp_op_at(i);
        if (op->algos) check_op(op, strncmp(op->name, "conv", 4) == 0 ? 120 : 80);
    }
}

static void test_every_algorithm_was_reached_at_every_level(void **state) {
    (void)state;
    for (int i = 0; cp_op_at(i); i++) {
        const cp_algo *algo;
        const cp_kernels *kernels;
        if (neglected(cp_op_at(i), &algo, &kernels))
            fail_msg("%s of %s at %s: reached %d times", algo->name, cp_op_at(i)->name, kernels->name,
                     *count_of(algo, kernels));
    }
}

/* --- the choice --- */

static void test_the_reference_is_chosen_only_where_all_others_refuse(void **state) {
    (void)state;
    for (int i = 0; cp_op_at(i); i++) {
        const cp_op *op = cp_op_at(i);
        if (!op->algos) continue;
        sample s;
        cp_problem problem;
        while (!draw_sample(&s, op)) continue;
        const cp_algo *chosen = NULL;
        for (cp_type type = CP_F64;; type = CP_F32) {
            assert_int_equal(infer(&s, &cp_kernels_portable, type, &problem), CP_OK);
            chosen = cp_choose(op->name, op->algos, &problem);
            assert_false(refuses(chosen, &problem));
            if (chosen == reference_of(op))
                for (const cp_algo *const *other = op->algos; *other != chosen; other++)
                    assert_true(refuses(*other, &problem));
            if (type == CP_F32) break;
        }
        setenv("CONVPOOL_ALGORITHM", "reference", 1);
        assert_ptr_equal(cp_choose(op->name, op->algos, &problem), reference_of(op));
        setenv("CONVPOOL_ALGORITHM", "no such algorithm", 1);
        assert_ptr_equal(cp_choose(op->name, op->algos, &problem), chosen);
        unsetenv("CONVPOOL_ALGORITHM");
    }
}

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = { __VA_ARGS__ }                             \
    }

/* --- gradients: each node that a backward function adds must itself be possible, and fit its input --- */

enum { MOST_VALUES = 32 };

typedef struct toy_net {
    int values; /* value 0 is none */
    cp_shape shape[MOST_VALUES];
    cp_type type[MOST_VALUES];
    char nodes[256]; /* names of what was added */
} toy_net;

static cp_node toy_value(toy_net *net, cp_shape shape, cp_type type) {
    assert_true(net->values + 1 < MOST_VALUES);
    net->shape[++net->values] = shape;
    net->type[net->values] = type;
    return net->values;
}

static cp_node toy_node(void *user, const char *name, const cp_attributes *attributes, const cp_node *in, int inputs) {
    toy_net *net = user;
    const cp_op *op = cp_op_find(name);
    assert_non_null(op);
    assert_in_range(inputs, op->min_inputs, op->max_inputs);
    cp_problem problem = {.type = CP_F32, .training = true, .inputs = inputs};
    for (int i = 0; i < inputs; i++) {
        problem.in[i] = net->shape[in[i]];
        problem.in_type[i] = net->type[in[i]];
    }
    if (op->infer(&problem, attributes)) fail_msg("%s: %s", name, cp_error());
    assert_int_equal(problem.outputs, op->outputs);
    cp_words_add(net->nodes, sizeof net->nodes, "%s", name);
    const cp_node first = toy_value(net, problem.out[0], problem.out_type[0]);
    for (int i = 1; i < problem.outputs; i++) toy_value(net, problem.out[i], problem.out_type[i]);
    return first;
}

static cp_shape toy_shape(void *user, cp_node value) {
    const toy_net *net = user;
    return net->shape[value];
}

/* Puts a sample into a net, calls its backward function for all inputs that are floats, gives the names of the nodes.
 */
static void go_back(const sample *s, toy_net *net) {
    cp_node in[CP_MAX_INPUTS] = {0}, out[CP_MAX_OUTPUTS] = {0}, dout[CP_MAX_OUTPUTS] = {0};
    bool wanted[CP_MAX_INPUTS] = {0};
    cp_problem problem;
    *net = (toy_net){0};
    assert_int_equal(infer(s, NULL, CP_F32, &problem), CP_OK);
    for (int i = 0; i < s->inputs; i++) {
        if (s->in[i].rank < 0) continue;
        in[i] = toy_value(net, s->in[i], problem.in_type[i]);
        wanted[i] = !s->integer[i] && s->type[i] != CP_BOOL;
    }
    for (int i = 0; i < problem.outputs; i++) out[i] = toy_value(net, problem.out[i], problem.out_type[i]);
    dout[0] = toy_value(net, problem.out[0], CP_F32);
    cp_backward b = {.attributes = &s->attributes,
                     .in = in,
                     .out = out,
                     .dout = dout,
                     .wanted = wanted,
                     .net = net,
                     .node = toy_node,
                     .shape = toy_shape};
    s->op->backward(&b);
    for (int i = 0; i < s->inputs; i++) {
        if (!b.din[i]) continue;
        assert_true(wanted[i]);
        assert_int_equal(net->type[b.din[i]], CP_F32);
        if (cp_shape_same(net->shape[b.din[i]], s->in[i])) continue;
        print_sample(s);
        fail_msg("the gradient by input %d has another shape", i);
    }
    assert_int_not_equal(b.din[wanted[0] ? 0 : 1], 0);
}

static void test_gradients_fit_their_inputs(void **state) {
    (void)state;
    for (int i = 0; cp_op_at(i); i++) {
        const cp_op *op = cp_op_at(i);
        if (!op->backward || !op->algos) continue;
        for (int k = 0; k < 100; k++) {
            sample s;
            toy_net net;
            while (!draw_sample(&s, op)) continue;
            go_back(&s, &net);
        }
    }
    const sample flat = {.op = &cp_op_flatten, .inputs = 1, .in = {SHAPE(2, 3, 4, 5)}};
    toy_net net;
    go_back(&flat, &net);
    assert_string_equal(net.nodes, "reshape");
}

static void test_the_gradient_of_a_layer_begins_with_its_activation(void **state) {
    (void)state;
    sample s = {.op = &cp_op_conv, .inputs = 3, .in = {SHAPE(1, 5, 5, 2), SHAPE(3, 3, 2, 4), SHAPE(4)}};
    toy_net net;
    go_back(&s, &net);
    assert_string_equal(net.nodes, "conv-input-gradient conv-weight-gradient bias-gradient");
    s.attributes.conv.activation = CP_RELU;
    go_back(&s, &net);
    assert_string_equal(net.nodes, "relu-gradient conv-input-gradient conv-weight-gradient bias-gradient");
    s = (sample){.op = &cp_op_dense, .inputs = 2, .in = {SHAPE(2, 3), SHAPE(3, 4)}, .attributes.activation = CP_RELU};
    go_back(&s, &net);
    assert_string_equal(net.nodes, "relu-gradient dense-input-gradient dense-weight-gradient");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_algorithms_agree_with_the_reference),
        cmocka_unit_test(test_every_algorithm_was_reached_at_every_level),
        cmocka_unit_test(test_the_reference_is_chosen_only_where_all_others_refuse),
        cmocka_unit_test(test_gradients_fit_their_inputs),
        cmocka_unit_test(test_the_gradient_of_a_layer_begins_with_its_activation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
