/* The sum over all axes but the last, which is the gradient of a bias. */
#include "op/op.h"

static cp_status infer_bias_gradient(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_shape dy = problem->in[0];
    const cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (status) return status;
    if (dy.rank < 1) return cp_fail(CP_E_SHAPE, "gradient needs at least 1 dimension, has 0");
    return cp_set_output(problem, 0, problem->type, cp_shape_of(1, &dy.dim[dy.rank - 1]));
}

const cp_op cp_op_bias_gradient = {.name = "bias-gradient",
                                   .min_inputs = 1,
                                   .max_inputs = 1,
                                   .outputs = 1,
                                   .infer = infer_bias_gradient,
                                   .algos = cp_algos_bias_gradient};
