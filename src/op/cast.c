/* The same numbers in another type. */
#include "op/op.h"

/* F32 is the type of the plan's floats. */
static cp_status infer(cp_problem *problem, const cp_attributes *attributes) {
    const cp_type to = attributes->type;
    const cp_status status = cp_check_any(problem, 0, "input");
    if (status) return status;
    if (!cp_is_real(to) && !cp_is_integer(to) && to != CP_BOOL)
        return cp_fail(CP_E_ARG, "type %s: must be f32, f64, i32, i64, u8, i8 or bool", cp_type_name(to));
    return cp_set_output(problem, 0, to == CP_F32 ? problem->type : to, problem->in[0]);
}

static bool is_view(const cp_problem *problem) {
    return problem->in_type[0] == problem->out_type[0];
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    cp_words_add(text, size, "%s", cp_type_name(attributes->type));
}

const cp_op cp_op_cast = {.name = "cast",
                          .min_inputs = 1,
                          .max_inputs = 1,
                          .outputs = 1,
                          .infer = infer,
                          .algos = cp_algos_cast,
                          .is_view = is_view,
                          .words = words};
