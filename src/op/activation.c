/* The activations and softmax, and their gradients, as operators. */
#include "op/op.h"

#include <math.h>

static const cp_field fields[] = {
    CP_FIELD("alpha", CP_FIELD_REAL, alpha, NULL), CP_FIELD("beta", CP_FIELD_REAL, beta, NULL), {0}};

/* The numbers of an activation, the usual ones filled in. */
static cp_status set_activation(cp_problem *problem, cp_activation f, const cp_attributes *attributes) {
    const bool given = attributes->alpha != 0 || attributes->beta != 0;
    double alpha = 0, beta = 0;
    cp_usual_numbers(f, &alpha, &beta);
    if (given && alpha == 0 && beta == 0) return cp_fail(CP_E_ARG, "alpha and beta must be 0: it takes none");
    if (given) {
        alpha = (double)attributes->alpha;
        beta = (double)attributes->beta;
    }
    char a[32], b[32];
    cp_real_text(alpha, 9, a);
    cp_real_text(beta, 9, b);
    if (!isfinite(alpha) || !isfinite(beta))
        return cp_fail(CP_E_ARG, "alpha = %s, beta = %s: must be finite numbers", a, b);
    if (f == CP_CELU && alpha == 0) return cp_fail(CP_E_ARG, "alpha = 0: must be another number");
    if (f == CP_CLIP && beta < alpha) return cp_fail(CP_E_ARG, "alpha = %s is above beta = %s", a, b);
    problem->activation = f;
    problem->alpha = alpha;
    problem->beta = beta;
    return CP_OK;
}

static cp_status infer(cp_problem *problem) {
    const cp_status status = cp_check_in(problem, 0, problem->type, "input");
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

/* From dy and what tells the slope: the output, or the input. */
static cp_status infer_gradient(cp_problem *problem, const char *name) {
    cp_status status = cp_check_in(problem, 0, problem->type, name);
    if (!status) status = cp_check_in(problem, 1, problem->type, "gradient");
    if (!status) status = cp_check_same("gradient", problem->in[1], name, problem->in[0]);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static cp_status infer_activation(cp_problem *problem, const cp_attributes *attributes, cp_activation f) {
    const cp_type type = problem->in_type[0];
    const bool possible = cp_is_real(type) || (cp_is_integer(type) && cp_takes_integers(f));
    cp_status status = set_activation(problem, f, attributes);
    if (!status) status = cp_check_in(problem, 0, possible ? type : problem->type, "input");
    return status ? status : cp_set_output(problem, 0, type, problem->in[0]);
}

static cp_status infer_activation_gradient(cp_problem *problem, const cp_attributes *attributes, cp_activation f) {
    const cp_status status = set_activation(problem, f, attributes);
    return status ? status : infer_gradient(problem, cp_slope_by_value(f) ? "output" : "input");
}

static void backward(cp_backward *b, cp_node seen, const char *gradient) {
    b->din[0] = b->node(b->net, gradient, b->attributes, (cp_node[]){seen, b->dout[0]}, 2);
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    if (attributes->alpha == 0 && attributes->beta == 0) return;
    cp_words_real(text, size, attributes->alpha);
    if (attributes->beta != 0) cp_words_real(text, size, attributes->beta);
}

#define ACTIVATION(value, id, word, alpha, beta, text)                                                                 \
    static cp_status infer_##id(cp_problem *problem, const cp_attributes *attributes) {                                \
        return infer_activation(problem, attributes, value);                                                           \
    }                                                                                                                  \
    static cp_status infer_##id##_gradient(cp_problem *problem, const cp_attributes *attributes) {                     \
        return infer_activation_gradient(problem, attributes, value);                                                  \
    }                                                                                                                  \
    static void backward_##id(cp_backward *b) {                                                                        \
        backward(b, cp_slope_by_value(value) ? b->out[0] : b->in[0], word "-gradient");                                \
    }                                                                                                                  \
    const cp_op cp_op_##id = {.name = word,                                                                            \
                              .fields = fields,                                                                        \
                              .min_inputs = 1,                                                                         \
                              .max_inputs = 1,                                                                         \
                              .outputs = 1,                                                                            \
                              .infer = infer_##id,                                                                     \
                              .algos = cp_algos_activation,                                                            \
                              .backward = backward_##id,                                                               \
                              .words = words};                                                                         \
    const cp_op cp_op_##id##_gradient = {.name = word "-gradient",                                                     \
                                         .min_inputs = 2,                                                              \
                                         .max_inputs = 2,                                                              \
                                         .outputs = 1,                                                                 \
                                         .infer = infer_##id##_gradient,                                               \
                                         .algos = cp_algos_activation_gradient};

CP_ACTIVATIONS(ACTIVATION)

/* --- softmax, and its logarithm --- */

static cp_status set_axis(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = problem->in[0];
    const int64_t axis = x.rank - 1 - attributes->behind;
    if (attributes->behind < 0 || (attributes->behind && axis < 0))
        return cp_fail(CP_E_ARG, "behind = %lld: the input has %d axes", (long long)attributes->behind, x.rank);
    if (axis < 0 || x.dim[axis] == 0)
        return cp_fail(CP_E_SHAPE, attributes->behind ? "softmax needs a dimension of at least 1"
                                                      : "softmax needs a last dimension of at least 1");
    problem->axis = (int)axis;
    return CP_OK;
}

static cp_status infer_softmax(cp_problem *problem, const cp_attributes *attributes) {
    const cp_status status = infer(problem);
    return status ? status : set_axis(problem, attributes);
}

static cp_status infer_softmax_gradient(cp_problem *problem, const cp_attributes *attributes) {
    const cp_status status = infer_gradient(problem, "output");
    return status ? status : set_axis(problem, attributes);
}

static cp_status infer_log_softmax(cp_problem *problem, const cp_attributes *attributes) {
    problem->logarithm = true;
    return infer_softmax(problem, attributes);
}

static cp_status infer_log_softmax_gradient(cp_problem *problem, const cp_attributes *attributes) {
    problem->logarithm = true;
    return infer_softmax_gradient(problem, attributes);
}

static void backward_softmax(cp_backward *b) {
    backward(b, b->out[0], "softmax-gradient");
}

static void backward_log_softmax(cp_backward *b) {
    backward(b, b->out[0], "log-softmax-gradient");
}

static void words_of_softmax(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    if (attributes->behind) cp_words_add(text, size, "behind %lld", (long long)attributes->behind);
}

static const cp_field softmax_fields[] = {CP_FIELD("behind", CP_FIELD_COUNT, behind, NULL), {0}};

const cp_op cp_op_softmax = {.name = "softmax",
                             .fields = softmax_fields,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .outputs = 1,
                             .infer = infer_softmax,
                             .algos = cp_algos_softmax,
                             .backward = backward_softmax,
                             .words = words_of_softmax};

const cp_op cp_op_softmax_gradient = {.name = "softmax-gradient",
                                      .min_inputs = 2,
                                      .max_inputs = 2,
                                      .outputs = 1,
                                      .infer = infer_softmax_gradient,
                                      .algos = cp_algos_softmax_gradient};

const cp_op cp_op_log_softmax = {.name = "log-softmax",
                                 .fields = softmax_fields,
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .outputs = 1,
                                 .infer = infer_log_softmax,
                                 .algos = cp_algos_softmax,
                                 .backward = backward_log_softmax,
                                 .words = words_of_softmax};

const cp_op cp_op_log_softmax_gradient = {.name = "log-softmax-gradient",
                                          .min_inputs = 2,
                                          .max_inputs = 2,
                                          .outputs = 1,
                                          .infer = infer_log_softmax_gradient,
                                          .algos = cp_algos_softmax_gradient};
