/* What only moves elements, of any type: transpose, expand, slice. The output is read from the input at steps of its
 * own along each axis; the gradient goes the same way back. */
#include "op/op.h"

#include <stdio.h>

static cp_status finish(cp_problem *problem, cp_shape y) {
    return cp_set_output(problem, 0, problem->in_type[0], y);
}

/* Every element of x stands in y where it stood in x: the same memory, maybe under another shape. */
static bool stays_in_place(const cp_problem *problem) {
    const cp_shape y = problem->out[0];
    int64_t dense[CP_MAX_RANK];
    cp_dense_strides(y, dense);
    for (int d = 0; d < y.rank; d++)
        if (y.dim[d] > 1 && problem->move.step[d] != dense[d]) return false;
    return problem->move.first == 0 && cp_shape_count(y) == cp_shape_count(problem->in[0]);
}

/* --- transpose --- */

static cp_status infer_transpose(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = problem->in[0], order = attributes->axes;
    const cp_status status = cp_check_any(problem, 0, "input");
    if (status) return status;
    if (order.rank != x.rank)
        return cp_fail(CP_E_ARG, "order has %d numbers: the input has %d axes", order.rank, x.rank);
    cp_shape y = x;
    int64_t step[CP_MAX_RANK];
    uint32_t seen = 0;
    cp_dense_strides(x, step);
    for (int d = 0; d < x.rank; d++) {
        const int64_t axis = order.dim[d];
        if (axis < 0 || axis >= x.rank)
            return cp_fail(CP_E_ARG, "order[%d] = %lld: the input has %d axes", d, (long long)axis, x.rank);
        if (seen >> axis & 1) return cp_fail(CP_E_ARG, "order[%d] = %lld: named twice", d, (long long)axis);
        seen |= 1u << axis;
        y.dim[d] = x.dim[axis];
        problem->move.step[d] = step[axis];
    }
    return finish(problem, y);
}

static void backward_transpose(cp_backward *b) {
    cp_attributes back = {.axes.rank = b->attributes->axes.rank};
    for (int d = 0; d < back.axes.rank; d++) back.axes.dim[b->attributes->axes.dim[d]] = d;
    b->din[0] = b->node(b->net, "transpose", &back, b->dout, 1);
}

static void words_of_transpose(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    for (int d = 0; d < attributes->axes.rank; d++)
        cp_words_add(text, size, "%lld", (long long)attributes->axes.dim[d]);
}

const cp_op cp_op_transpose = {.name = "transpose",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .outputs = 1,
                               .infer = infer_transpose,
                               .algos = cp_algos_move,
                               .is_view = stays_in_place,
                               .backward = backward_transpose,
                               .words = words_of_transpose};

/* --- expand: a size of 0 in the shape is that of the input's axis --- */

static cp_status infer_expand(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = problem->in[0];
    cp_shape y = attributes->shape;
    cp_status status = cp_check_any(problem, 0, "input");
    if (!status) status = cp_check_shape(y, problem->in_type[0], "shape");
    if (status) return status;
    const int missing = y.rank - x.rank;
    int64_t step[CP_MAX_RANK];
    cp_dense_strides(x, step);
    for (int d = missing < 0 ? missing : 0; d < y.rank; d++) {
        const int64_t size = d < missing ? 1 : x.dim[d - missing];
        if (d >= 0 && y.dim[d] == 0) y.dim[d] = size;
        if (d < 0 || (size != 1 && size != y.dim[d])) return cp_check_same("input", x, "what it must fit", y);
        problem->move.step[d] = d >= missing && size != 1 ? step[d - missing] : 0;
    }
    return finish(problem, y);
}

static void backward_expand(cp_backward *b) {
    b->din[0] = cp_sum_broadcast(b, b->dout[0], b->shape(b->net, b->out[0]), b->shape(b->net, b->in[0]));
}

static void words_of_expand(const cp_attributes *attributes, char *text, size_t size) {
    char shape[CP_SHAPE_TEXT];
    text[0] = 0;
    cp_words_add(text, size, "%s", cp_shape_text(attributes->shape, shape));
}

const cp_op cp_op_expand = {.name = "expand",
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .outputs = 1,
                            .infer = infer_expand,
                            .algos = cp_algos_move,
                            .is_view = stays_in_place,
                            .backward = backward_expand,
                            .words = words_of_expand};

/* --- slice: `count` rows along an axis, `step` apart (0: 1; it may lead back) --- */

static cp_status check_part(const cp_attributes *attributes, int64_t size) {
    const int64_t step = attributes->step ? attributes->step : 1;
    int64_t way, last;
    if (attributes->begin >= 0 && attributes->begin < size && attributes->count >= 1 &&
        cp_mul(attributes->count - 1, step, &way) && cp_sum(attributes->begin, way, &last) && last >= 0 && last < size)
        return CP_OK;
    char steps[40] = "";
    if (step != 1) snprintf(steps, sizeof steps, ", step = %lld", (long long)step);
    return cp_fail(CP_E_ARG, "begin = %lld, count = %lld%s: the axis has %lld", (long long)attributes->begin,
                   (long long)attributes->count, steps, (long long)size);
}

/* Where the elements of the part lie in the whole. */
static void set_part(cp_problem *problem, const cp_attributes *attributes, cp_shape whole) {
    int64_t *step = problem->move.step;
    cp_dense_strides(whole, step);
    problem->move.first = attributes->begin * step[problem->axis];
    if (attributes->count > 1 && attributes->step) step[problem->axis] *= attributes->step;
}

static cp_status infer_slice(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y = problem->in[0];
    cp_status status = cp_check_any(problem, 0, "input");
    if (!status) status = cp_set_axis(problem, attributes, y);
    if (!status) status = check_part(attributes, y.dim[problem->axis]);
    if (status) return status;
    set_part(problem, attributes, y);
    y.dim[problem->axis] = attributes->count;
    return finish(problem, y);
}

static cp_status infer_slice_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape dx = problem->in[0];
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_set_axis(problem, attributes, dx);
    if (!status) status = check_part(attributes, attributes->size[0]);
    if (!status && dx.dim[problem->axis] != attributes->count)
        status = cp_fail(CP_E_SHAPE, "gradient has %lld along the axis, needs %lld", (long long)dx.dim[problem->axis],
                         (long long)attributes->count);
    if (status) return status;
    dx.dim[problem->axis] = attributes->size[0];
    status = finish(problem, dx);
    if (!status) set_part(problem, attributes, dx);
    return status;
}

static void backward_slice(cp_backward *b) {
    cp_attributes attributes = *b->attributes;
    attributes.size[0] = b->shape(b->net, b->in[0]).dim[attributes.axis];
    b->din[0] = b->node(b->net, "slice-gradient", &attributes, b->dout, 1);
}

static void words_of_slice(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    cp_words_add(text, size, "axis %lld begin %lld count %lld", (long long)attributes->axis,
                 (long long)attributes->begin, (long long)attributes->count);
    if (attributes->step && attributes->step != 1) cp_words_add(text, size, "step %lld", (long long)attributes->step);
}

static const cp_field slice_fields[] = {CP_FIELD("axis", CP_FIELD_COUNT, axis, NULL),
                                        CP_FIELD("begin", CP_FIELD_COUNT, begin, NULL),
                                        CP_FIELD("count", CP_FIELD_COUNT, count, NULL),
                                        CP_FIELD("step", CP_FIELD_COUNT, step, NULL),
                                        {0}};

const cp_op cp_op_slice = {.name = "slice",
                           .fields = slice_fields,
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .outputs = 1,
                           .infer = infer_slice,
                           .algos = cp_algos_move,
                           .is_view = stays_in_place,
                           .backward = backward_slice,
                           .words = words_of_slice};

const cp_op cp_op_slice_gradient = {.name = "slice-gradient",
                                    .min_inputs = 1,
                                    .max_inputs = 1,
                                    .outputs = 1,
                                    .infer = infer_slice_gradient,
                                    .algos = cp_algos_move_gradient};
