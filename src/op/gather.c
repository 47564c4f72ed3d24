/* Rows, or single elements, taken from where indices say, of any type. Indices below 0 count from the end; one outside
 * makes the run fail. */
#include "op/op.h"

static cp_status check_inputs(cp_problem *problem, const cp_attributes *attributes) {
    cp_status status = cp_check_any(problem, 0, "input");
    if (!status) status = cp_check_any(problem, 1, "indices");
    if (!status && problem->in_type[1] != CP_I32 && problem->in_type[1] != CP_I64)
        status = cp_fail(CP_E_ARG, "indices: type %s, must be i32 or i64", cp_type_name(problem->in_type[1]));
    return status ? status : cp_set_axis(problem, attributes, problem->in[0]);
}

/* --- rows: the axis makes place for those of the indices --- */

static cp_status gathered(const cp_problem *problem, cp_shape x, cp_shape *y) {
    const cp_shape indices = problem->in[1];
    const int axis = problem->axis;
    if (x.rank - 1 + indices.rank > CP_MAX_RANK)
        return cp_fail(CP_E_LIMIT, "the output would have %d dimensions: at most %d are possible",
                       x.rank - 1 + indices.rank, CP_MAX_RANK);
    *y = (cp_shape){0};
    for (int d = 0; d < axis; d++) y->dim[y->rank++] = x.dim[d];
    for (int d = 0; d < indices.rank; d++) y->dim[y->rank++] = indices.dim[d];
    for (int d = axis + 1; d < x.rank; d++) y->dim[y->rank++] = x.dim[d];
    return CP_OK;
}

static cp_status infer_gather(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = check_inputs(problem, attributes);
    if (!status) status = gathered(problem, problem->in[0], &y);
    return status ? status : cp_set_output(problem, 0, problem->in_type[0], y);
}

/* From the gradient and the indices; shape: that of the input. */
static cp_status infer_gather_gradient(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = attributes->shape, dy = problem->in[0];
    cp_shape y;
    cp_status status = cp_check_shape(x, problem->type, "input");
    if (!status) problem->in[0] = x; /* whose axis is meant */
    if (!status) status = check_inputs(problem, attributes);
    problem->in[0] = dy;
    if (!status) status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = gathered(problem, x, &y);
    if (!status) status = cp_check_same("gradient", dy, "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, x);
}

/* --- elements: of each element's own row --- */

static cp_status check_elements(cp_shape x, cp_shape indices, int axis) {
    cp_shape other = indices;
    if (other.rank == x.rank) other.dim[axis] = x.dim[axis];
    for (int d = 0; d < x.rank && other.rank == x.rank; d++)
        if (other.dim[d] <= x.dim[d]) other.dim[d] = x.dim[d];
    return cp_check_same("indices without the axis", other, "input", x);
}

static cp_status infer_gather_elements(cp_problem *problem, const cp_attributes *attributes) {
    cp_status status = check_inputs(problem, attributes);
    if (!status) status = check_elements(problem->in[0], problem->in[1], problem->axis);
    return status ? status : cp_set_output(problem, 0, problem->in_type[0], problem->in[1]);
}

static cp_status infer_gather_elements_gradient(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = attributes->shape, dy = problem->in[0];
    cp_status status = cp_check_shape(x, problem->type, "input");
    if (!status) problem->in[0] = x;
    if (!status) status = check_inputs(problem, attributes);
    problem->in[0] = dy;
    if (!status) status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = check_elements(x, problem->in[1], problem->axis);
    if (!status) status = cp_check_same("gradient", dy, "indices", problem->in[1]);
    return status ? status : cp_set_output(problem, 0, problem->type, x);
}

/* --- both --- */

static void backward(cp_backward *b, const char *gradient) {
    const cp_attributes attributes = {.axis = b->attributes->axis, .shape = b->shape(b->net, b->in[0])};
    if (b->wanted[0]) b->din[0] = b->node(b->net, gradient, &attributes, (cp_node[]){b->dout[0], b->in[1]}, 2);
}

static void backward_gather(cp_backward *b) {
    backward(b, "gather-gradient");
}

static void backward_gather_elements(cp_backward *b) {
    backward(b, "gather-elements-gradient");
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    cp_words_add(text, size, "axis %lld", (long long)attributes->axis);
}

const cp_op cp_op_gather = {.name = "gather",
                            .min_inputs = 2,
                            .max_inputs = 2,
                            .outputs = 1,
                            .infer = infer_gather,
                            .algos = cp_algos_gather,
                            .backward = backward_gather,
                            .words = words};

const cp_op cp_op_gather_gradient = {.name = "gather-gradient",
                                     .min_inputs = 2,
                                     .max_inputs = 2,
                                     .outputs = 1,
                                     .infer = infer_gather_gradient,
                                     .algos = cp_algos_gather_gradient};

const cp_op cp_op_gather_elements = {.name = "gather-elements",
                                     .min_inputs = 2,
                                     .max_inputs = 2,
                                     .outputs = 1,
                                     .infer = infer_gather_elements,
                                     .algos = cp_algos_gather_elements,
                                     .backward = backward_gather_elements,
                                     .words = words};

const cp_op cp_op_gather_elements_gradient = {.name = "gather-elements-gradient",
                                              .min_inputs = 2,
                                              .max_inputs = 2,
                                              .outputs = 1,
                                              .infer = infer_gather_elements_gradient,
                                              .algos = cp_algos_gather_elements_gradient};
