/* Convolution and product of matrices of bytes, with exact sums, which may be requantised: inputs x w [b x_zero w_zero
 * scale y_zero]. */
#include "op/op.h"

enum { X, W, BIAS, X_ZERO, W_ZERO, SCALE, Y_ZERO };

static cp_status check_bytes(const cp_problem *problem, int i, const char *name) {
    if (cp_has_input(problem, i) && problem->in_type[i] != CP_U8 && problem->in_type[i] != CP_I8)
        return cp_fail(CP_E_ARG, "%s: type %s, must be u8 or i8", name, cp_type_name(problem->in_type[i]));
    return cp_check_in(problem, i, problem->in_type[i], name);
}

/* One number, or as many as there are filters. */
static cp_status check_numbers(const cp_problem *problem, int i, cp_type type, int64_t most, const char *name) {
    if (!cp_has_input(problem, i)) return CP_OK;
    const cp_status status = cp_check_in(problem, i, type, name);
    if (status) return status;
    const cp_shape shape = problem->in[i];
    const int64_t count = cp_shape_count(shape);
    if (shape.rank <= 1 && (count == 1 || count == most)) return CP_OK;
    char text[CP_SHAPE_TEXT];
    return most == 1 ? cp_fail(CP_E_SHAPE, "%s is %s: must be one number", name, cp_shape_text(shape, text))
                     : cp_fail(CP_E_SHAPE, "%s is %s: must be one number, or %lld", name, cp_shape_text(shape, text),
                               (long long)most);
}

/* Everything but x and w, and the output. */
static cp_status infer_rest(cp_problem *problem, cp_shape y) {
    const int64_t filters = problem->filters;
    cp_status status = CP_OK;
    if (cp_has_input(problem, BIAS) && (problem->in[BIAS].rank != 1 || problem->in[BIAS].dim[0] != filters))
        status = cp_fail(CP_E_SHAPE, "bias must be %lld numbers", (long long)filters);
    if (!status) status = check_numbers(problem, BIAS, CP_I32, filters, "bias");
    if (!status) status = check_numbers(problem, X_ZERO, problem->in_type[X], 1, "zero point of the input");
    if (!status) status = check_numbers(problem, W_ZERO, problem->in_type[W], filters, "zero point of the weights");
    if (!status) status = check_numbers(problem, SCALE, problem->type, filters, "scale");
    if (!status && cp_has_input(problem, Y_ZERO)) status = check_bytes(problem, Y_ZERO, "zero point of the output");
    if (!status) status = check_numbers(problem, Y_ZERO, problem->in_type[Y_ZERO], 1, "zero point of the output");
    if (!status && cp_has_input(problem, Y_ZERO) && !cp_has_input(problem, SCALE))
        status = cp_fail(CP_E_ARG, "a zero point of the output needs a scale");
    if (status) return status;
    const cp_type bytes = cp_has_input(problem, Y_ZERO) ? problem->in_type[Y_ZERO] : CP_U8;
    return cp_set_output(problem, 0, cp_has_input(problem, SCALE) ? bytes : CP_I32, y);
}

static cp_status infer_conv(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = check_bytes(problem, X, "input");
    if (!status) status = check_bytes(problem, W, "weights");
    if (!status && attributes->conv.activation != CP_LINEAR)
        status = cp_fail(CP_E_UNSUPPORTED, "a convolution of bytes has no activation");
    if (!status) status = cp_set_conv(problem, &attributes->conv, problem->in[X], problem->in[W], &y);
    return status ? status : infer_rest(problem, y);
}

static cp_status infer_matmul(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_shape x = problem->in[X], w = problem->in[W];
    cp_status status = check_bytes(problem, X, "input");
    if (!status) status = check_bytes(problem, W, "weights");
    if (!status && (x.rank < 2 || w.rank != 2))
        status = cp_fail(CP_E_SHAPE, "input and weights have %d and %d dimensions: must be at least 2, and 2", x.rank,
                         w.rank);
    if (status) return status;
    const int64_t columns = x.dim[x.rank - 1];
    if (columns != w.dim[0])
        return cp_fail(CP_E_SHAPE, "input has %lld columns, weights %lld rows", (long long)columns,
                       (long long)w.dim[0]);
    for (int d = 0; d < 2; d++)
        if (w.dim[d] == 0) return cp_fail(CP_E_SHAPE, "weights dimension %d is 0: must be at least 1", d);
    status = cp_set_dense(problem, cp_shape_count(x) / columns, columns, w.dim[1]);
    cp_shape y = x;
    y.dim[y.rank - 1] = w.dim[1];
    return status ? status : infer_rest(problem, y);
}

const cp_op cp_op_conv_integer = {.name = "conv-integer",
                                  .min_inputs = 2,
                                  .max_inputs = 7,
                                  .outputs = 1,
                                  .infer = infer_conv,
                                  .algos = cp_algos_conv_integer,
                                  .words = cp_conv_words};

const cp_op cp_op_matmul_integer = {.name = "matmul-integer",
                                    .min_inputs = 2,
                                    .max_inputs = 7,
                                    .outputs = 1,
                                    .infer = infer_matmul,
                                    .algos = cp_algos_conv_integer};
