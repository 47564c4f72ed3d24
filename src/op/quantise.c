/* Numbers to whole ones of few bits and back: x is about scale * (y - zero). */
#include "op/op.h"

/* One scale, or one for each position along the axis; the zero points likewise. */
static cp_status check_scale(cp_problem *problem, const cp_attributes *attributes) {
    const cp_shape x = problem->in[0], scale = problem->in[1];
    const int64_t count = cp_shape_count(scale);
    cp_status status = cp_check_in(problem, 1, problem->type, "scale");
    if (status) return status;
    problem->axis = 0;
    if (scale.rank > 1 || count < 1) {
        char text[CP_SHAPE_TEXT];
        return cp_fail(CP_E_SHAPE, "scale is %s: must be one number, or one for each position of the axis",
                       cp_shape_text(scale, text));
    }
    if (count > 1) {
        status = cp_set_axis(problem, attributes, x);
        if (status) return status;
        if (x.dim[problem->axis] != count)
            return cp_fail(CP_E_SHAPE, "scale has %lld numbers, axis %d has %lld", (long long)count, problem->axis,
                           (long long)x.dim[problem->axis]);
    }
    if (!cp_has_input(problem, 2) || cp_shape_count(problem->in[2]) == count) return CP_OK;
    return cp_fail(CP_E_SHAPE, "scale has %lld numbers, zero has %lld", (long long)count,
                   (long long)cp_shape_count(problem->in[2]));
}

static cp_status infer_quantize(cp_problem *problem, const cp_attributes *attributes) {
    const cp_type x = problem->in_type[0] == CP_I32 ? CP_I32 : problem->type;
    const cp_type y = cp_has_input(problem, 2) && problem->in_type[2] == CP_I8 ? CP_I8 : CP_U8;
    cp_status status = cp_check_in(problem, 0, x, "input");
    if (!status) status = check_scale(problem, attributes);
    if (!status && cp_has_input(problem, 2)) status = cp_check_in(problem, 2, y, "zero");
    return status ? status : cp_set_output(problem, 0, y, problem->in[0]);
}

static cp_status infer_dequantize(cp_problem *problem, const cp_attributes *attributes) {
    const cp_type x = problem->in_type[0];
    const bool possible = x == CP_U8 || x == CP_I8 || x == CP_I32;
    cp_status status = cp_check_in(problem, 0, possible ? x : CP_U8, "input");
    if (!status) status = check_scale(problem, attributes);
    if (!status && cp_has_input(problem, 2)) status = cp_check_in(problem, 2, x, "zero");
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static cp_status infer_dynamic(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_shape one = {.rank = 0};
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_set_output(problem, 0, CP_U8, problem->in[0]);
    if (!status) status = cp_set_output(problem, 1, problem->type, one);
    return status ? status : cp_set_output(problem, 2, CP_U8, one);
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    if (attributes->axis) cp_words_add(text, size, "axis %lld", (long long)attributes->axis);
}

const cp_op cp_op_quantize = {.name = "quantize",
                              .min_inputs = 2,
                              .max_inputs = 3,
                              .outputs = 1,
                              .infer = infer_quantize,
                              .algos = cp_algos_quantize,
                              .words = words};

const cp_op cp_op_dequantize = {.name = "dequantize",
                                .min_inputs = 2,
                                .max_inputs = 3,
                                .outputs = 1,
                                .infer = infer_dequantize,
                                .algos = cp_algos_dequantize,
                                .words = words};

const cp_op cp_op_dynamic_quantize = {.name = "dynamic-quantize",
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .outputs = 3,
                                      .infer = infer_dynamic,
                                      .algos = cp_algos_dynamic_quantize};
