/* The dense layer and its gradients, as operators. To the planner a convolution with one tap on an image of one pixel.
 */
#include "op/op.h"

static cp_status check_matrix(cp_shape shape, const char *name) {
    if (shape.rank != 2) return cp_fail(CP_E_SHAPE, "%s must have 2 dimensions, has %d", name, shape.rank);
    for (int d = 0; d < 2; d++)
        if (shape.dim[d] == 0) return cp_fail(CP_E_SHAPE, "%s dimension %d is 0: must be at least 1", name, d);
    return CP_OK;
}

/* Rows of a batch, which may be empty. */
static cp_status check_rows(cp_shape shape, const char *name) {
    if (shape.rank != 2)
        return cp_fail(CP_E_SHAPE, "%s of a dense layer must have 2 dimensions, has %d: flatten it first", name,
                       shape.rank);
    if (shape.dim[1] == 0) return cp_fail(CP_E_SHAPE, "%s dimension 1 is 0: must be at least 1", name);
    return CP_OK;
}

cp_status cp_set_dense(cp_problem *problem, int64_t batch, int64_t channels, int64_t filters) {
    problem->window.axes = 2;
    for (int d = 0; d < CP_MAX_AXES; d++) problem->window.axis[d] = (cp_axis){1, 1, 1, 1, 1, 0, 0};
    problem->batch = batch;
    problem->channels = channels;
    problem->filters = filters;
    problem->groups = 1;
    int64_t outputs;
    if (!cp_mul(batch, filters, &outputs)) return cp_fail(CP_E_SHAPE, "the number of outputs overflows");
    return cp_set_multiply_adds(problem, outputs, channels);
}

static cp_shape matrix(int64_t rows, int64_t columns) {
    return (cp_shape){.rank = 2, .dim = {rows, columns}};
}

static cp_status infer_dense(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = problem->in[0], w = problem->in[1];
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (!status) status = check_rows(x, "input");
    if (!status) status = check_matrix(w, "weights");
    if (!status && w.dim[0] != x.dim[1])
        status = cp_fail(CP_E_SHAPE, "weights take %lld input%s, the input has %lld", (long long)w.dim[0],
                         w.dim[0] == 1 ? "" : "s", (long long)x.dim[1]);
    if (!status) status = cp_set_dense(problem, x.dim[0], w.dim[0], w.dim[1]);
    if (!status) status = cp_check_bias(problem, 2, problem->filters);
    if (!status) status = cp_set_activation(problem, attributes->activation);
    return status ? status : cp_set_output(problem, 0, problem->type, matrix(x.dim[0], w.dim[1]));
}

static cp_status infer_input_gradient(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_shape dy = problem->in[0], w = problem->in[1];
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, problem->type, "weights");
    if (!status) status = check_rows(dy, "gradient");
    if (!status) status = check_matrix(w, "weights");
    if (!status) status = cp_check_same("gradient", dy, "output", matrix(dy.dim[0], w.dim[1]));
    if (!status) status = cp_set_dense(problem, dy.dim[0], w.dim[0], w.dim[1]);
    return status ? status : cp_set_output(problem, 0, problem->type, matrix(dy.dim[0], w.dim[0]));
}

static cp_status infer_weight_gradient(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_shape dy = problem->in[0], x = problem->in[1];
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, problem->type, "input");
    if (!status) status = check_rows(dy, "gradient");
    if (!status) status = check_rows(x, "input");
    if (!status) status = cp_check_same("gradient", dy, "output", matrix(x.dim[0], dy.dim[1]));
    if (!status) status = cp_set_dense(problem, x.dim[0], x.dim[1], dy.dim[1]);
    return status ? status : cp_set_output(problem, 0, problem->type, matrix(x.dim[1], dy.dim[1]));
}

static void backward(cp_backward *b) {
    const cp_attributes none = {0};
    cp_backward_weights(b, b->attributes->activation == CP_RELU, &none, "dense-input-gradient",
                        "dense-weight-gradient");
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    if (attributes->activation == CP_RELU) cp_words_add(text, size, "relu");
}

static const cp_field fields[] = {CP_FIELD("activation", CP_FIELD_WORD, activation, cp_activation_words), {0}};

const cp_op cp_op_dense = {.name = "dense",
                           .counts_filters = true,
                           .fields = fields,
                           .min_inputs = 2,
                           .max_inputs = 3,
                           .outputs = 1,
                           .infer = infer_dense,
                           .algos = cp_algos_dense,
                           .backward = backward,
                           .words = words};

const cp_op cp_op_dense_input_gradient = {.name = "dense-input-gradient",
                                          .min_inputs = 2,
                                          .max_inputs = 2,
                                          .outputs = 1,
                                          .infer = infer_input_gradient,
                                          .algos = cp_algos_dense_input_gradient};

const cp_op cp_op_dense_weight_gradient = {.name = "dense-weight-gradient",
                                           .min_inputs = 2,
                                           .max_inputs = 2,
                                           .outputs = 1,
                                           .infer = infer_weight_gradient,
                                           .algos = cp_algos_dense_weight_gradient};
