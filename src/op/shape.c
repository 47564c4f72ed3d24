/* Other shapes of the same memory, of any type: flatten, reshape. */
#include "op/op.h"

/* All but the batch. */
static int64_t count_rest(cp_shape shape) {
    return cp_shape_count(cp_shape_of(shape.rank - 1, shape.dim + 1));
}

static cp_status infer_flatten(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_shape x = problem->in[0];
    const cp_status status = cp_check_any(problem, 0, "input");
    if (status) return status;
    if (x.rank == 0) return cp_fail(CP_E_SHAPE, "input needs at least 1 dimension, has 0");
    return cp_set_output(problem, 0, problem->in_type[0], (cp_shape){.rank = 2, .dim = {x.dim[0], count_rest(x)}});
}

static bool has_zero(cp_shape shape) {
    return cp_shape_count(shape) == 0;
}

/* The shape with its zeros (the size of the input's axis of that number) and its -1 (what is left) filled in. Sizes of
 * 0 are an open batch, whose number is not known yet: what is left may contain it. */
static cp_status fill_in(cp_shape x, cp_shape *y) {
    const cp_shape asked = *y;
    char text[CP_SHAPE_TEXT];
    int64_t of_x = 1, of_y = 1; /* elements, an open batch left out */
    int rest = -1;
    for (int d = 0; d < x.rank; d++) of_x *= x.dim[d] ? x.dim[d] : 1;
    for (int d = 0; d < y->rank; d++) {
        if (y->dim[d] < -1 || (y->dim[d] == -1 && rest >= 0))
            return cp_fail(CP_E_ARG, "shape[%d] = %lld: must not be negative, but one -1 for what is left", d,
                           (long long)y->dim[d]);
        if (y->dim[d] == -1) rest = d;
        if (y->dim[d] == 0 && d < x.rank) y->dim[d] = x.dim[d];
        if (y->dim[d] > 0 && !cp_mul(of_y, y->dim[d], &of_y)) return cp_fail(CP_E_SHAPE, "shape: too many elements");
    }
    if (rest >= 0) {
        y->dim[rest] = 1;
        const bool open = has_zero(x) && !has_zero(*y);
        y->dim[rest] = open ? 0 : of_x / of_y;
        if (open) return CP_OK;
        of_y *= y->dim[rest];
    }
    if (of_x == of_y && has_zero(x) == has_zero(*y)) return CP_OK;
    return cp_fail(CP_E_SHAPE, "%lld elements do not fit %s", (long long)of_x, cp_shape_text(asked, text));
}

static cp_status infer_reshape(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y = attributes->shape;
    cp_status status = cp_check_any(problem, 0, "input");
    if (!status && (y.rank < 0 || y.rank > CP_MAX_RANK))
        status = cp_fail(CP_E_SHAPE, "shape has %d dimensions: must be 0 to %d", y.rank, CP_MAX_RANK);
    if (!status) status = fill_in(problem->in[0], &y);
    return status ? status : cp_set_output(problem, 0, problem->in_type[0], y);
}

static void backward(cp_backward *b) {
    cp_attributes attributes = {.shape = b->shape(b->net, b->in[0])};
    if (attributes.shape.rank && attributes.shape.dim[0] == 0) attributes.shape.dim[0] = -1;
    b->din[0] = b->node(b->net, "reshape", &attributes, b->dout, 1);
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    char shape[CP_SHAPE_TEXT];
    text[0] = 0;
    cp_words_add(text, size, "%s", cp_shape_text(attributes->shape, shape));
}

const cp_op cp_op_flatten = {.name = "flatten",
                             .fields = cp_no_fields,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .outputs = 1,
                             .infer = infer_flatten,
                             .backward = backward};

const cp_op cp_op_reshape = {.name = "reshape",
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .outputs = 1,
                             .infer = infer_reshape,
                             .backward = backward,
                             .words = words};
