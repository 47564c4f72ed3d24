/* ReLU, sigmoid, hyperbolic tangent and softmax, and their gradients, as operators. */
#include "op/op.h"

static cp_status infer(cp_problem *problem, cp_activation activation) {
    const cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (status) return status;
    problem->activation = activation;
    return cp_set_output(problem, 0, problem->type, problem->in[0]);
}

/* From y and dy: each of these functions has a slope that its value tells. */
static cp_status infer_gradient(cp_problem *problem, cp_activation activation) {
    cp_status status = cp_check_in(problem, 0, problem->type, "output");
    if (!status) status = cp_check_in(problem, 1, problem->type, "gradient");
    if (!status) status = cp_check_same("gradient", problem->in[1], "output", problem->in[0]);
    if (status) return status;
    problem->activation = activation;
    return cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static void backward(cp_backward *b, const char *gradient) {
    const cp_attributes none = {0};
    b->din[0] = b->node(b->net, gradient, &none, (cp_node[]){b->out[0], b->dout[0]}, 2);
}

#define ACTIVATION(id, word, value)                                                                                    \
    static cp_status infer_##id(cp_problem *problem, const cp_attributes *attributes) {                                \
        (void)attributes;                                                                                              \
        return infer(problem, value);                                                                                  \
    }                                                                                                                  \
    static cp_status infer_##id##_gradient(cp_problem *problem, const cp_attributes *attributes) {                     \
        (void)attributes;                                                                                              \
        return infer_gradient(problem, value);                                                                         \
    }                                                                                                                  \
    static void backward_##id(cp_backward *b) {                                                                        \
        backward(b, word "-gradient");                                                                                 \
    }                                                                                                                  \
    const cp_op cp_op_##id = {.name = word,                                                                            \
                              .fields = cp_no_fields,                                                                  \
                              .min_inputs = 1,                                                                         \
                              .max_inputs = 1,                                                                         \
                              .outputs = 1,                                                                            \
                              .infer = infer_##id,                                                                     \
                              .algos = cp_algos_activation,                                                            \
                              .backward = backward_##id};                                                              \
    const cp_op cp_op_##id##_gradient = {.name = word "-gradient",                                                     \
                                         .min_inputs = 2,                                                              \
                                         .max_inputs = 2,                                                              \
                                         .outputs = 1,                                                                 \
                                         .infer = infer_##id##_gradient,                                               \
                                         .algos = cp_algos_activation_gradient};

ACTIVATION(relu, "relu", CP_RELU)
ACTIVATION(sigmoid, "sigmoid", CP_SIGMOID)
ACTIVATION(tanh, "tanh", CP_TANH)

/* --- softmax, over the last axis --- */

static cp_status check_rows(cp_shape x) {
    if (x.rank > 0 && x.dim[x.rank - 1] > 0) return CP_OK;
    return cp_fail(CP_E_SHAPE, "softmax needs a last dimension of at least 1");
}

static cp_status infer_softmax(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_status status = infer(problem, CP_LINEAR);
    return status ? status : check_rows(problem->in[0]);
}

static cp_status infer_softmax_gradient(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_status status = infer_gradient(problem, CP_LINEAR);
    return status ? status : check_rows(problem->in[0]);
}

static void backward_softmax(cp_backward *b) {
    backward(b, "softmax-gradient");
}

const cp_op cp_op_softmax = {.name = "softmax",
                             .fields = cp_no_fields,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .outputs = 1,
                             .infer = infer_softmax,
                             .algos = cp_algos_softmax,
                             .backward = backward_softmax};

const cp_op cp_op_softmax_gradient = {.name = "softmax-gradient",
                                      .min_inputs = 2,
                                      .max_inputs = 2,
                                      .outputs = 1,
                                      .infer = infer_softmax_gradient,
                                      .algos = cp_algos_softmax_gradient};
