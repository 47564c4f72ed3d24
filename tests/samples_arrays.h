/* Random problems of what works on arrays of any shape: functions of numbers, sums, pieces, orders, losses,
 * normalisation. */
#ifndef TEST_SAMPLES_ARRAYS_H
#define TEST_SAMPLES_ARRAYS_H

#include "samples.h"

static inline void draw_elements(sample *s, int inputs) {
    s->inputs = inputs;
    s->in[0] = (cp_shape){.rank = 3, .dim = {draw_batch(), draw(1, 20), draw_channels()}};
    for (int i = 1; i < inputs; i++) s->in[i] = s->in[0];
    s->chain = 2;
}

/* Of rank 1 to 4, none of its axes 0. */
static inline cp_shape draw_shape(int least) {
    cp_shape shape = {.rank = (int)draw(least, 4)};
    for (int d = 0; d < shape.rank; d++) shape.dim[d] = one_in(4) ? 1 : one_in(8) ? draw_channels() : draw(1, 5);
    return shape;
}

/* The same with some axes of size 1, or without the first ones. */
static inline cp_shape shrink(cp_shape shape) {
    for (int d = 0; d < shape.rank; d++)
        if (one_in(3)) shape.dim[d] = 1;
    const int gone = one_in(2) ? (int)draw(0, shape.rank - 1) : 0;
    return cp_shape_of(shape.rank - gone, shape.dim + gone);
}

static inline void draw_binary(sample *s) {
    const cp_shape y = draw_shape(1), smaller = shrink(y);
    const bool first = one_in(2);
    s->inputs = 2;
    s->in[0] = first ? y : smaller;
    s->in[1] = first ? (one_in(2) ? y : smaller) : y;
    s->chain = 2;
    if (s->op->algos == cp_algos_binary_gradient) s->in[s->inputs++] = y;
}

static inline void draw_reduce(sample *s) {
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

static inline void draw_pieces(sample *s) {
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

static inline void draw_transpose(sample *s) {
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

static inline void draw_expand(sample *s) {
    s->inputs = 1;
    s->attributes.shape = draw_shape(1);
    s->in[0] = shrink(s->attributes.shape);
}

/* Rows or elements that indices name, some counted from the end, or the gradient. */
static inline void draw_gather(sample *s) {
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
static inline void draw_choice(sample *s) {
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
static inline void draw_order(sample *s) {
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
static inline void draw_quantise(sample *s) {
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

static inline void draw_matmul(sample *s) {
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

static inline void draw_cast(sample *s) {
    static const cp_type types[] = {CP_F32, CP_F64, CP_I32, CP_I64, CP_U8, CP_I8, CP_BOOL};
    draw_elements(s, 1);
    s->attributes.type = types[draw(0, sizeof types / sizeof *types - 1)];
}

/* Of a normalisation, forward or backward. */
static inline void draw_norm(sample *s) {
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

static inline void draw_lrn(sample *s) {
    draw_elements(s, s->op == &cp_op_lrn ? 1 : 2);
    s->attributes.count = draw(1, 8);
    s->attributes.alpha = (float)draw(1, 4) / 2;
    s->attributes.beta = one_in(2) ? 0 : 0.5f;
    s->attributes.bias = one_in(2) ? 0 : 2;
}

static inline void draw_loss(sample *s, bool labels) {
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

static inline void draw_cross_entropy(sample *s) {
    draw_loss(s, true);
    if (one_in(3)) s->attributes.alpha = 0.1f;
    if (one_in(3)) s->in[s->inputs++] = cp_shape_of(1, s->in[0].dim + 1);
}

#endif
