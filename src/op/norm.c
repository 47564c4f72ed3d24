/* Normalisation, as operators. */
#include "op/op.h"

#include <math.h>

/* A real that must be finite and above 0, `usual` where it is 0. */
static cp_status set_real(double *number, const char *name, float given, double usual) {
    char text[32];
    *number = given == 0 ? usual : (double)given;
    if (*number > 0 && isfinite(*number)) return CP_OK;
    return cp_fail(CP_E_ARG, "%s = %s: must be a number above 0", name, cp_real_text((double)given, 9, text));
}

/* An input with one number for each channel. */
static cp_status check_channels(const cp_problem *problem, int i, const char *name) {
    const cp_shape x = problem->in[0], v = problem->in[i];
    const cp_status status = cp_check_in(problem, i, problem->type, name);
    if (status) return status;
    return cp_check_same(name, v, "one for each channel", cp_shape_of(1, &x.dim[x.rank - 1]));
}

/* x, with at least `rank` dimensions and a channel; then scale and bias. */
static cp_status check_inputs(const cp_problem *problem, int rank) {
    const cp_shape x = problem->in[0];
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status && x.rank < rank)
        status = cp_fail(CP_E_SHAPE, "input needs at least %d dimensions, has %d", rank, x.rank);
    if (!status && x.dim[x.rank - 1] == 0) status = cp_fail(CP_E_SHAPE, "input has no channels");
    if (!status) status = check_channels(problem, 1, "scale");
    return status ? status : check_channels(problem, 2, "bias");
}

/* y and the moments of `groups` groups in each of `batch` images. */
static cp_status set_outputs(cp_problem *problem, int64_t batch, int64_t groups) {
    const cp_status status = cp_set_output(problem, 0, problem->type, problem->in[0]);
    if (status) return status;
    return cp_set_output(problem, 1, problem->type, (cp_shape){.rank = 3, .dim = {batch, groups, 2}});
}

static cp_status infer_groups(cp_problem *problem, const cp_attributes *attributes, int64_t batch, int64_t groups) {
    const int64_t C = problem->in[0].dim[problem->in[0].rank - 1];
    if (groups < 1 || C % groups)
        return cp_fail(CP_E_ARG, "groups = %lld: must divide %lld channels", (long long)groups, (long long)C);
    const cp_status status = set_real(&problem->epsilon, "epsilon", attributes->epsilon, 1e-5);
    return status ? status : set_outputs(problem, batch, groups);
}

static cp_status infer_batch_norm(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = problem->in[0];
    char text[32];
    cp_status status = check_inputs(problem, 2);
    if (!status) status = check_channels(problem, 3, "running mean");
    if (!status) status = check_channels(problem, 4, "running variance");
    if (!status) status = set_real(&problem->momentum, "momentum", attributes->momentum, 0.9);
    if (!status && problem->momentum > 1)
        status = cp_fail(CP_E_ARG, "momentum = %s: must be at most 1", cp_real_text(problem->momentum, 9, text));
    if (!status) status = infer_groups(problem, attributes, 1, x.dim[x.rank - 1]);
    problem->moments_fixed = !problem->training;
    for (int i = 2; i < 4 && !status; i++) status = cp_set_output(problem, i, problem->type, problem->in[i + 1]);
    return status;
}

static cp_status infer_layer_norm(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = problem->in[0];
    const cp_status status = check_inputs(problem, 1);
    return status ? status : infer_groups(problem, attributes, cp_shape_count(cp_shape_of(x.rank - 1, x.dim)), 1);
}

static cp_status infer_group_norm(cp_problem *problem, const cp_attributes *attributes) {
    const cp_status status = check_inputs(problem, 2);
    return status ? status : infer_groups(problem, attributes, problem->in[0].dim[0], attributes->groups);
}

static cp_status infer_instance_norm(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = problem->in[0];
    const cp_status status = check_inputs(problem, 3);
    return status ? status : infer_groups(problem, attributes, x.dim[0], x.dim[x.rank - 1]);
}

/* The moments [batch, groups, 2] that belong to x. */
static cp_status check_moments(const cp_problem *problem, int i) {
    const cp_shape x = problem->in[0], moments = problem->in[i];
    char text[CP_SHAPE_TEXT];
    const cp_status status = cp_check_in(problem, i, problem->type, "moments");
    if (status) return status;
    if (moments.rank == 3 && moments.dim[2] == 2 && moments.dim[1] > 0 && x.dim[x.rank - 1] % moments.dim[1] == 0)
        return CP_OK;
    return cp_fail(CP_E_SHAPE, "moments are %s: no mean and deviation of groups", cp_shape_text(moments, text));
}

static cp_status infer_input_gradient(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status && (problem->in[0].rank < 1 || problem->in[0].dim[problem->in[0].rank - 1] == 0))
        status = cp_fail(CP_E_SHAPE, "input has no channels");
    if (!status) status = check_channels(problem, 1, "scale");
    if (!status) status = cp_check_in(problem, 2, problem->type, "gradient");
    if (!status) status = cp_check_same("gradient", problem->in[2], "input", problem->in[0]);
    if (!status) status = check_moments(problem, 3);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static cp_status infer_batch_input_gradient(cp_problem *problem, const cp_attributes *attributes) {
    problem->moments_fixed = !problem->training;
    return infer_input_gradient(problem, attributes);
}

static cp_status infer_scale_gradient(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_shape x = problem->in[0];
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status && (x.rank < 1 || x.dim[x.rank - 1] == 0)) status = cp_fail(CP_E_SHAPE, "input has no channels");
    if (!status) status = cp_check_in(problem, 1, problem->type, "gradient");
    if (!status) status = cp_check_same("gradient", problem->in[1], "input", x);
    if (!status) status = check_moments(problem, 2);
    return status ? status : cp_set_output(problem, 0, problem->type, cp_shape_of(1, &x.dim[x.rank - 1]));
}

static void backward(cp_backward *b, const char *input_gradient) {
    const cp_attributes none = {0};
    const cp_node x = b->in[0], moments = b->out[1], dy = b->dout[0];
    if (b->wanted[0]) b->din[0] = b->node(b->net, input_gradient, &none, (cp_node[]){x, b->in[1], dy, moments}, 4);
    if (b->wanted[1]) b->din[1] = b->node(b->net, "norm-scale-gradient", &none, (cp_node[]){x, dy, moments}, 3);
    if (b->wanted[2]) b->din[2] = b->node(b->net, "bias-gradient", &none, &dy, 1);
}

static void backward_groups(cp_backward *b) {
    backward(b, "norm-input-gradient");
}

static void backward_batch(cp_backward *b) {
    backward(b, "batch-norm-input-gradient");
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    if (attributes->groups) cp_words_add(text, size, "%lld", (long long)attributes->groups);
    if (attributes->epsilon != 0) {
        cp_words_add(text, size, "epsilon");
        cp_words_real(text, size, attributes->epsilon);
    }
    if (attributes->momentum != 0) {
        cp_words_add(text, size, "momentum");
        cp_words_real(text, size, attributes->momentum);
    }
}

static const cp_field fields[] = {CP_FIELD("groups", CP_FIELD_COUNT, groups, NULL),
                                  CP_FIELD("epsilon", CP_FIELD_REAL, epsilon, NULL),
                                  CP_FIELD("momentum", CP_FIELD_REAL, momentum, NULL),
                                  {0}};

const cp_op cp_op_batch_norm = {.name = "batch-norm",
                                .fields = fields,
                                .min_inputs = 5,
                                .max_inputs = 5,
                                .outputs = 4,
                                .infer = infer_batch_norm,
                                .algos = cp_algos_norm,
                                .backward = backward_batch,
                                .words = words,
                                .initial = {[1] = 1, [4] = 1},
                                .next = {[3] = 2, [4] = 3}};

#define GROUPED(id, op_name)                                                                                           \
    const cp_op cp_op_##id = {.name = op_name,                                                                         \
                              .fields = fields,                                                                        \
                              .min_inputs = 3,                                                                         \
                              .max_inputs = 3,                                                                         \
                              .outputs = 2,                                                                            \
                              .infer = infer_##id,                                                                     \
                              .algos = cp_algos_norm,                                                                  \
                              .backward = backward_groups,                                                             \
                              .words = words,                                                                          \
                              .initial = {[1] = 1}};
GROUPED(layer_norm, "layer-norm")
GROUPED(group_norm, "group-norm")
GROUPED(instance_norm, "instance-norm")

const cp_op cp_op_norm_input_gradient = {.name = "norm-input-gradient",
                                         .min_inputs = 4,
                                         .max_inputs = 4,
                                         .outputs = 1,
                                         .infer = infer_input_gradient,
                                         .algos = cp_algos_norm_input_gradient};

const cp_op cp_op_batch_norm_input_gradient = {.name = "batch-norm-input-gradient",
                                               .min_inputs = 4,
                                               .max_inputs = 4,
                                               .outputs = 1,
                                               .infer = infer_batch_input_gradient,
                                               .algos = cp_algos_norm_input_gradient};

const cp_op cp_op_norm_scale_gradient = {.name = "norm-scale-gradient",
                                         .min_inputs = 3,
                                         .max_inputs = 3,
                                         .outputs = 1,
                                         .infer = infer_scale_gradient,
                                         .algos = cp_algos_norm_scale_gradient};

/* --- between neighbouring channels --- */

static cp_status set_lrn(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = problem->in[0];
    cp_lrn *lrn = &problem->lrn;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status && (x.rank < 1 || x.dim[x.rank - 1] == 0)) status = cp_fail(CP_E_SHAPE, "input has no channels");
    if (!status && (attributes->count < 1 || attributes->count > (int64_t)1 << 30))
        status = cp_fail(CP_E_ARG, "size = %lld: must be at least 1", (long long)attributes->count);
    if (!status) status = set_real(&lrn->alpha, "alpha", attributes->alpha, 1e-4);
    if (!status) status = set_real(&lrn->beta, "beta", attributes->beta, 0.75);
    if (!status) status = set_real(&lrn->bias, "bias", attributes->bias, 1);
    lrn->size = attributes->count;
    return status;
}

static cp_status infer_lrn(cp_problem *problem, const cp_attributes *attributes) {
    const cp_status status = set_lrn(problem, attributes);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static cp_status infer_lrn_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_status status = set_lrn(problem, attributes);
    if (!status) status = cp_check_in(problem, 1, problem->type, "gradient");
    if (!status) status = cp_check_same("gradient", problem->in[1], "input", problem->in[0]);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static void backward_lrn(cp_backward *b) {
    b->din[0] = b->node(b->net, "lrn-gradient", b->attributes, (cp_node[]){b->in[0], b->dout[0]}, 2);
}

static void words_of_lrn(const cp_attributes *attributes, char *text, size_t size) {
    const char *const names[] = {"alpha", "beta", "bias"};
    const float numbers[] = {attributes->alpha, attributes->beta, attributes->bias};
    text[0] = 0;
    cp_words_add(text, size, "%lld", (long long)attributes->count);
    for (int i = 0; i < 3; i++) {
        if (numbers[i] == 0) continue;
        cp_words_add(text, size, "%s", names[i]);
        cp_words_real(text, size, numbers[i]);
    }
}

static const cp_field lrn_fields[] = {CP_FIELD("size", CP_FIELD_COUNT, count, NULL),
                                      CP_FIELD("alpha", CP_FIELD_REAL, alpha, NULL),
                                      CP_FIELD("beta", CP_FIELD_REAL, beta, NULL),
                                      CP_FIELD("bias", CP_FIELD_REAL, bias, NULL),
                                      {0}};

const cp_op cp_op_lrn = {.name = "lrn",
                         .fields = lrn_fields,
                         .min_inputs = 1,
                         .max_inputs = 1,
                         .outputs = 1,
                         .infer = infer_lrn,
                         .algos = cp_algos_lrn,
                         .backward = backward_lrn,
                         .words = words_of_lrn};

const cp_op cp_op_lrn_gradient = {.name = "lrn-gradient",
                                  .min_inputs = 2,
                                  .max_inputs = 2,
                                  .outputs = 1,
                                  .infer = infer_lrn_gradient,
                                  .algos = cp_algos_lrn_gradient};
