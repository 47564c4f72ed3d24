/* Sums: of two tensors, and over all axes but the last, which is the gradient of a bias. */
#include "op/op.h"

static cp_status infer_add(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    cp_status status = cp_check_in(problem, 0, problem->type, "first input");
    if (!status) status = cp_check_in(problem, 1, problem->type, "second input");
    if (!status) status = cp_check_same("first input", problem->in[0], "second input", problem->in[1]);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static void backward_add(cp_backward *b) {
    b->din[0] = b->din[1] = b->dout[0];
}

static cp_status infer_bias_gradient(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_shape dy = problem->in[0];
    const cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (status) return status;
    if (dy.rank < 1) return cp_fail(CP_E_SHAPE, "gradient needs at least 1 dimension, has 0");
    return cp_set_output(problem, 0, problem->type, cp_shape_of(1, &dy.dim[dy.rank - 1]));
}

const cp_op cp_op_add = {.name = "add",
                         .fields = cp_no_fields,
                         .min_inputs = 2,
                         .max_inputs = 2,
                         .outputs = 1,
                         .infer = infer_add,
                         .algos = cp_algos_add,
                         .backward = backward_add};

const cp_op cp_op_bias_gradient = {.name = "bias-gradient",
                                   .min_inputs = 1,
                                   .max_inputs = 1,
                                   .outputs = 1,
                                   .infer = infer_bias_gradient,
                                   .algos = cp_algos_bias_gradient};
