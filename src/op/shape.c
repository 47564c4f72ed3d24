/* Other shapes of the same memory: flatten, and reshape, which is its gradient. */
#include "op/op.h"

/* All but the batch. */
static int64_t count_rest(cp_shape shape) {
    return cp_shape_count(cp_shape_of(shape.rank - 1, shape.dim + 1));
}

static cp_status check_input(const cp_problem *problem) {
    const cp_status status = cp_check_in(problem, 0, problem->in_type[0], "input");
    if (status || problem->in[0].rank > 0) return status;
    return cp_fail(CP_E_SHAPE, "input needs at least 1 dimension, has 0");
}

static cp_status infer_flatten(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_shape x = problem->in[0];
    const cp_status status = check_input(problem);
    if (status) return status;
    return cp_set_output(problem, 0, problem->in_type[0], (cp_shape){.rank = 2, .dim = {x.dim[0], count_rest(x)}});
}

static cp_status infer_reshape(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = problem->in[0];
    cp_shape y = attributes->shape;
    cp_status status = check_input(problem);
    if (!status) status = cp_check_shape(y, problem->in_type[0], "shape");
    if (status) return status;
    if (y.rank < 1) return cp_fail(CP_E_SHAPE, "shape needs at least 1 dimension, has 0");
    y.dim[0] = x.dim[0];
    if (count_rest(x) != count_rest(y)) {
        char text[CP_SHAPE_TEXT];
        return cp_fail(CP_E_SHAPE, "%lld elements do not fit %s", (long long)count_rest(x),
                       cp_shape_text(cp_shape_of(y.rank - 1, y.dim + 1), text));
    }
    return cp_set_output(problem, 0, problem->in_type[0], y);
}

static void backward(cp_backward *b) {
    const cp_attributes attributes = {.shape = b->shape(b->net, b->in[0])};
    b->din[0] = b->node(b->net, "reshape", &attributes, b->dout, 1);
}

const cp_op cp_op_flatten = {.name = "flatten",
                             .fields = cp_no_fields,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .outputs = 1,
                             .infer = infer_flatten,
                             .backward = backward};

const cp_op cp_op_reshape = {
    .name = "reshape", .min_inputs = 1, .max_inputs = 1, .outputs = 1, .infer = infer_reshape, .backward = backward};
