/* Order along an axis: where the largest number is, the largest ones, sums of all before. */
#include "op/op.h"

static cp_status begin(cp_problem *problem, const cp_attributes *attributes) {
    cp_status status = cp_check_in(problem, 0, cp_number_type(problem), "input");
    if (!status) status = cp_set_axis(problem, attributes, problem->in[0]);
    return status;
}

/* --- arg-max, arg-min --- */

static cp_status infer_arg(cp_problem *problem, const cp_attributes *attributes, bool smallest) {
    cp_status status = begin(problem, attributes);
    if (status) return status;
    cp_shape y = {0};
    const cp_shape x = problem->in[0];
    for (int d = 0; d < x.rank; d++)
        if (d != problem->axis || attributes->keep) y.dim[y.rank++] = d == problem->axis ? 1 : x.dim[d];
    problem->last = attributes->last;
    problem->smallest = smallest;
    if (x.dim[problem->axis] == 0) return cp_fail(CP_E_SHAPE, "input dimension %d is 0", problem->axis);
    return cp_set_output(problem, 0, CP_I64, y);
}

static cp_status infer_arg_max(cp_problem *problem, const cp_attributes *attributes) {
    return infer_arg(problem, attributes, false);
}

static cp_status infer_arg_min(cp_problem *problem, const cp_attributes *attributes) {
    return infer_arg(problem, attributes, true);
}

static void words_of_arg(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    cp_words_add(text, size, "axis %lld", (long long)attributes->axis);
    if (attributes->keep) cp_words_add(text, size, "keep");
    if (attributes->last) cp_words_add(text, size, "last");
}

#define ARG(id, word)                                                                                                  \
    const cp_op cp_op_##id = {.name = word,                                                                            \
                              .min_inputs = 1,                                                                         \
                              .max_inputs = 1,                                                                         \
                              .outputs = 1,                                                                            \
                              .infer = infer_##id,                                                                     \
                              .algos = cp_algos_arg,                                                                   \
                              .words = words_of_arg};
ARG(arg_max, "arg-max")
ARG(arg_min, "arg-min")

/* --- top-k --- */

static cp_status infer_top_k(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y = problem->in[0];
    cp_status status = begin(problem, attributes);
    if (status) return status;
    if (attributes->count < 1 || attributes->count > y.dim[problem->axis])
        return cp_fail(CP_E_ARG, "k = %lld: must be 1 to %lld, the size of the axis", (long long)attributes->count,
                       (long long)y.dim[problem->axis]);
    problem->smallest = attributes->smallest;
    y.dim[problem->axis] = attributes->count;
    status = cp_set_output(problem, 0, problem->in_type[0], y);
    return status ? status : cp_set_output(problem, 1, CP_I64, y);
}

/* The numbers went where the indices say. */
static void backward_top_k(cp_backward *b) {
    const cp_attributes attributes = {.axis = b->attributes->axis, .shape = b->shape(b->net, b->in[0])};
    b->din[0] = b->node(b->net, "gather-elements-gradient", &attributes, (cp_node[]){b->dout[0], b->out[1]}, 2);
}

static void words_of_top_k(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    cp_words_add(text, size, "%lld axis %lld", (long long)attributes->count, (long long)attributes->axis);
    if (attributes->smallest) cp_words_add(text, size, "smallest");
}

const cp_op cp_op_top_k = {.name = "top-k",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .outputs = 2,
                           .infer = infer_top_k,
                           .algos = cp_algos_top_k,
                           .backward = backward_top_k,
                           .words = words_of_top_k};

/* --- sums of all before --- */

static cp_status infer_cumulative_sum(cp_problem *problem, const cp_attributes *attributes) {
    const cp_status status = begin(problem, attributes);
    problem->exclusive = attributes->exclusive;
    problem->reverse = attributes->reverse;
    return status ? status : cp_set_output(problem, 0, problem->in_type[0], problem->in[0]);
}

/* dx[j] = sum of dy over all i that saw j: the same the other way round. */
static void backward_cumulative_sum(cp_backward *b) {
    cp_attributes attributes = *b->attributes;
    attributes.reverse = !attributes.reverse;
    b->din[0] = b->node(b->net, "cumulative-sum", &attributes, b->dout, 1);
}

static void words_of_cumulative_sum(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    cp_words_add(text, size, "axis %lld", (long long)attributes->axis);
    if (attributes->exclusive) cp_words_add(text, size, "exclusive");
    if (attributes->reverse) cp_words_add(text, size, "reverse");
}

const cp_op cp_op_cumulative_sum = {.name = "cumulative-sum",
                                    .min_inputs = 1,
                                    .max_inputs = 1,
                                    .outputs = 1,
                                    .infer = infer_cumulative_sum,
                                    .algos = cp_algos_cumulative_sum,
                                    .backward = backward_cumulative_sum,
                                    .words = words_of_cumulative_sum};
