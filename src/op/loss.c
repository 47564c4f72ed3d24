/* Losses and their gradients, as operators. */
#include "op/op.h"

#include <math.h>

static const cp_shape scalar = {.rank = 1, .dim = {1}};

/* Rows of scores for classes, and a label for each. */
static cp_status check_classes(const cp_problem *problem, const char *name) {
    const cp_shape x = problem->in[0], labels = problem->in[1];
    cp_status status = cp_check_in(problem, 0, problem->type, name);
    if (!status) status = cp_check_in(problem, 1, CP_I32, "labels");
    if (status) return status;
    if (x.rank != 2) return cp_fail(CP_E_SHAPE, "%s must have 2 dimensions, has %d: flatten it first", name, x.rank);
    if (x.dim[1] == 0) return cp_fail(CP_E_SHAPE, "%s dimension 1 is 0: must be at least 1", name);
    if (labels.rank != 1) return cp_fail(CP_E_SHAPE, "labels must have 1 dimension, has %d", labels.rank);
    if (labels.dim[0] != x.dim[0])
        return cp_fail(CP_E_SHAPE, "%lld label%s for a batch of %lld", (long long)labels.dim[0],
                       labels.dim[0] == 1 ? "" : "s", (long long)x.dim[0]);
    return CP_OK;
}

static cp_status check_loss_gradient(const cp_problem *problem) {
    const cp_status status = cp_check_in(problem, 2, problem->type, "gradient");
    return status ? status : cp_check_same("gradient", problem->in[2], "loss", scalar);
}

/* A loss's parameter: the usual where it is 0. */
static cp_status set_parameter(cp_problem *problem, const char *name, float value, double usual, float limit) {
    char text[32], most[32];
    if (value >= 0 && value < limit) {
        problem->alpha = value != 0 ? (double)value : usual;
        return CP_OK;
    }
    cp_real_text((double)value, 9, text);
    if (isinf(limit)) return cp_fail(CP_E_ARG, "%s = %s: must be a number of at least 0", name, text);
    return cp_fail(CP_E_ARG, "%s = %s: must be at least 0 and less than %s", name, text,
                   cp_real_text((double)limit, 9, most));
}

/* Input i, where it is there: a number for each class. */
static cp_status check_class_weights(const cp_problem *problem, int i) {
    const cp_shape classes = cp_shape_of(1, problem->in[0].dim + 1);
    if (!cp_has_input(problem, i)) return CP_OK;
    const cp_status status = cp_check_in(problem, i, problem->type, "class weights");
    return status ? status : cp_check_same("class weights", problem->in[i], "classes", classes);
}

static cp_status infer_cross_entropy(cp_problem *problem, const cp_attributes *attributes) {
    cp_status status = check_classes(problem, "input");
    if (!status) status = check_class_weights(problem, 2);
    if (!status) status = set_parameter(problem, "smoothing", attributes->alpha, 0, 1);
    if (!status) status = cp_set_output(problem, 0, problem->type, scalar);
    return status ? status : cp_set_output(problem, 1, problem->type, problem->in[0]);
}

static cp_status infer_cross_entropy_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_status status = check_classes(problem, "probabilities");
    if (!status) status = check_loss_gradient(problem);
    if (!status) status = check_class_weights(problem, 3);
    if (!status) status = set_parameter(problem, "smoothing", attributes->alpha, 0, 1);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static cp_status check_values(const cp_problem *problem) {
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_in(problem, 1, problem->type, "target");
    return status ? status : cp_check_same("target", problem->in[1], "input", problem->in[0]);
}

static cp_status infer_squared_error(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    problem->loss = CP_MEAN_SQUARED_ERROR;
    const cp_status status = check_values(problem);
    return status ? status : cp_set_output(problem, 0, problem->type, scalar);
}

static cp_status infer_squared_error_gradient(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    problem->loss = CP_MEAN_SQUARED_ERROR;
    cp_status status = check_values(problem);
    if (!status) status = check_loss_gradient(problem);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

/* Labels and targets are given, not learned: only the first input has a gradient. */
static void backward_cross_entropy(cp_backward *b) {
    const cp_node in[] = {b->out[1], b->in[1], b->dout[0], b->in[2]};
    b->din[0] = b->node(b->net, "softmax-cross-entropy-gradient", b->attributes, in, b->in[2] ? 4 : 3);
}

static void backward_squared_error(cp_backward *b) {
    const cp_attributes none = {0};
    b->din[0] = b->node(b->net, "mean-squared-error-gradient", &none, (cp_node[]){b->in[0], b->in[1], b->dout[0]}, 3);
}

const cp_op cp_op_softmax_cross_entropy = {.name = "softmax-cross-entropy",
                                           .min_inputs = 2,
                                           .max_inputs = 3,
                                           .outputs = 2,
                                           .infer = infer_cross_entropy,
                                           .algos = cp_algos_softmax_cross_entropy,
                                           .backward = backward_cross_entropy};

const cp_op cp_op_softmax_cross_entropy_gradient = {.name = "softmax-cross-entropy-gradient",
                                                    .min_inputs = 3,
                                                    .max_inputs = 4,
                                                    .outputs = 1,
                                                    .infer = infer_cross_entropy_gradient,
                                                    .algos = cp_algos_softmax_cross_entropy_gradient};

const cp_op cp_op_mean_squared_error = {.name = "mean-squared-error",
                                        .min_inputs = 2,
                                        .max_inputs = 2,
                                        .outputs = 1,
                                        .infer = infer_squared_error,
                                        .algos = cp_algos_mean_squared_error,
                                        .backward = backward_squared_error};

const cp_op cp_op_mean_squared_error_gradient = {.name = "mean-squared-error-gradient",
                                                 .min_inputs = 3,
                                                 .max_inputs = 3,
                                                 .outputs = 1,
                                                 .infer = infer_squared_error_gradient,
                                                 .algos = cp_algos_mean_squared_error_gradient};

/* --- the losses of cp_ref_loss --- */

static cp_status infer_values(cp_problem *problem, cp_loss loss) {
    problem->loss = loss;
    const cp_status status = check_values(problem);
    return status ? status : cp_set_output(problem, 0, problem->type, scalar);
}

static cp_status infer_labels(cp_problem *problem, cp_loss loss) {
    problem->loss = loss;
    const cp_status status = check_classes(problem, "input");
    return status ? status : cp_set_output(problem, 0, problem->type, scalar);
}

static cp_status infer_binary_cross_entropy(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    return infer_values(problem, CP_BINARY_CROSS_ENTROPY);
}

static cp_status infer_huber(cp_problem *problem, const cp_attributes *attributes) {
    const cp_status status = set_parameter(problem, "delta", attributes->alpha, 1, INFINITY);
    return status ? status : infer_values(problem, CP_HUBER);
}

static cp_status infer_focal(cp_problem *problem, const cp_attributes *attributes) {
    const cp_status status = set_parameter(problem, "gamma", attributes->alpha, 2, INFINITY);
    return status ? status : infer_labels(problem, CP_FOCAL);
}

static cp_status infer_hinge(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    return infer_labels(problem, CP_HINGE);
}

/* The checks of the loss itself, and then those of its gradient. */
static cp_status turn_into_gradient(cp_problem *problem, cp_status status) {
    problem->outputs = 0;
    if (!status) status = check_loss_gradient(problem);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

#define LOSS(id, word)                                                                                                 \
    static cp_status infer_##id##_gradient(cp_problem *problem, const cp_attributes *attributes) {                     \
        return turn_into_gradient(problem, infer_##id(problem, attributes));                                           \
    }                                                                                                                  \
    static void backward_##id(cp_backward *b) {                                                                        \
        const cp_node in[] = {b->in[0], b->in[1], b->dout[0]};                                                         \
        b->din[0] = b->node(b->net, word "-gradient", b->attributes, in, 3);                                           \
    }                                                                                                                  \
    const cp_op cp_op_##id = {.name = word,                                                                            \
                              .min_inputs = 2,                                                                         \
                              .max_inputs = 2,                                                                         \
                              .outputs = 1,                                                                            \
                              .infer = infer_##id,                                                                     \
                              .algos = cp_algos_loss,                                                                  \
                              .backward = backward_##id};                                                              \
    const cp_op cp_op_##id##_gradient = {.name = word "-gradient",                                                     \
                                         .min_inputs = 3,                                                              \
                                         .max_inputs = 3,                                                              \
                                         .outputs = 1,                                                                 \
                                         .infer = infer_##id##_gradient,                                               \
                                         .algos = cp_algos_loss_gradient};

LOSS(binary_cross_entropy, "binary-cross-entropy")
LOSS(huber, "huber")
LOSS(focal, "focal")
LOSS(hinge, "hinge")
