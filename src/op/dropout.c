/* Dropout, as an operator; with its random numbers a function of place, the gradient is the same operation. */
#include "op/op.h"

static cp_status infer(cp_problem *problem, const cp_attributes *attributes) {
    const int64_t most = (int64_t)1 << 34; /* random numbers of one stream */
    const cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (status) return status;
    if (!(attributes->rate >= 0 && attributes->rate < 1)) {
        char text[32];
        return cp_fail(CP_E_ARG, "rate = %s: must be at least 0 and less than 1",
                       cp_real_text((double)attributes->rate, 9, text));
    }
    if (cp_shape_count(problem->in[0]) > most)
        return cp_fail(CP_E_LIMIT, "dropout of %lld values: at most %lld are provided",
                       (long long)cp_shape_count(problem->in[0]), (long long)most);
    problem->rate = attributes->rate;
    problem->layer = attributes->layer;
    return cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static bool is_view(const cp_problem *problem) {
    return !problem->training;
}

static void backward(cp_backward *b) {
    b->din[0] = b->node(b->net, "dropout", b->attributes, b->dout, 1);
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    cp_words_real(text, size, attributes->rate);
}

static const cp_field fields[] = {
    CP_FIELD("rate", CP_FIELD_REAL, rate, NULL), CP_FIELD("layer", CP_FIELD_LAYER, layer, NULL), {0}};

const cp_op cp_op_dropout = {.name = "dropout",
                             .fields = fields,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .outputs = 1,
                             .infer = infer,
                             .algos = cp_algos_dropout,
                             .is_view = is_view,
                             .backward = backward,
                             .words = words};
