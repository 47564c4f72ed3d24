/* Truths about pairs of numbers, and numbers chosen by them, with broadcasting. */
#include "op/op.h"

/* --- relations: of numbers of any type, or of truths --- */

static cp_status infer_relation(cp_problem *problem, cp_relation f) {
    const cp_type type = f >= CP_AND ? CP_BOOL : problem->in_type[0];
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, type, "first input");
    if (!status) status = cp_check_in(problem, 1, type, "second input");
    if (!status) status = cp_broadcast(problem->in[0], problem->in[1], &y);
    problem->relation = f;
    return status ? status : cp_set_output(problem, 0, CP_BOOL, y);
}

#define RELATION(value, id, word)                                                                                      \
    static cp_status infer_##id(cp_problem *problem, const cp_attributes *attributes) {                                \
        (void)attributes;                                                                                              \
        return infer_relation(problem, value);                                                                         \
    }                                                                                                                  \
    const cp_op cp_op_##id = {.name = word,                                                                            \
                              .min_inputs = 2,                                                                         \
                              .max_inputs = 2,                                                                         \
                              .outputs = 1,                                                                            \
                              .infer = infer_##id,                                                                     \
                              .algos = cp_algos_relation};

CP_RELATIONS(RELATION)

/* --- where --- */

static cp_status infer_where(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, CP_BOOL, "condition");
    if (!status) status = cp_check_any(problem, 1, "first input");
    if (!status) status = cp_check_in(problem, 2, problem->in_type[1], "second input");
    if (!status) status = cp_broadcast(problem->in[1], problem->in[2], &y);
    if (!status) status = cp_broadcast(problem->in[0], y, &y);
    return status ? status : cp_set_output(problem, 0, problem->in_type[1], y);
}

/* With c the condition as 1 or 0: c * dy, and dy - c * dy. */
static void backward_where(cp_backward *b) {
    const cp_attributes none = {0}, real = {.type = CP_F32};
    const cp_node c = b->node(b->net, "cast", &real, b->in, 1);
    const cp_node first = b->node(b->net, "mul", &none, (cp_node[]){c, b->dout[0]}, 2);
    const cp_shape y = b->shape(b->net, b->out[0]);
    if (b->wanted[1]) b->din[1] = cp_sum_broadcast(b, first, y, b->shape(b->net, b->in[1]));
    if (!b->wanted[2]) return;
    const cp_node second = b->node(b->net, "sub", &none, (cp_node[]){b->dout[0], first}, 2);
    b->din[2] = cp_sum_broadcast(b, second, y, b->shape(b->net, b->in[2]));
}

const cp_op cp_op_where = {.name = "where",
                           .min_inputs = 3,
                           .max_inputs = 3,
                           .outputs = 1,
                           .infer = infer_where,
                           .algos = cp_algos_where,
                           .backward = backward_where};
