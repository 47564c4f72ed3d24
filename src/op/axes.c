/* Two tensors with broadcasting, reductions over axes, pieces one behind the other, as operators. */
#include "op/op.h"

/* --- two tensors --- */

cp_status cp_broadcast(cp_shape a, cp_shape b, cp_shape *y) {
    *y = a.rank >= b.rank ? a : b;
    for (int d = 1; d <= a.rank && d <= b.rank; d++) {
        const int64_t of_a = a.dim[a.rank - d], of_b = b.dim[b.rank - d];
        if (of_a != of_b && of_a != 1 && of_b != 1) return cp_check_same("first input", a, "second input", b);
        y->dim[y->rank - d] = of_a == 1 ? of_b : of_a;
    }
    return CP_OK;
}

static cp_status infer_inputs(cp_problem *problem, cp_binary f, cp_type type, cp_shape *y) {
    cp_status status = cp_check_in(problem, 0, type, "first input");
    if (!status) status = cp_check_in(problem, 1, type, "second input");
    problem->binary = f;
    return status ? status : cp_broadcast(problem->in[0], problem->in[1], y);
}

static cp_status infer_binary(cp_problem *problem, cp_binary f) {
    const cp_type type = cp_number_type(problem);
    cp_shape y;
    const cp_status status = infer_inputs(problem, f, type, &y);
    return status ? status : cp_set_output(problem, 0, type, y);
}

static cp_status infer_binary_gradient(cp_problem *problem, cp_binary f, bool second) {
    cp_shape y;
    cp_status status = infer_inputs(problem, f, problem->type, &y);
    if (!status) status = cp_check_in(problem, 2, problem->type, "gradient");
    if (!status) status = cp_check_same("gradient", problem->in[2], "output", y);
    problem->second = second;
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[second]);
}

/* The gradient of a sum is that behind it, where nothing was repeated. */
static cp_node binary_gradient(cp_backward *b, cp_binary f, bool second, const char *gradient) {
    const cp_attributes none = {0};
    const bool passes = f == CP_BINARY_add || (f == CP_BINARY_sub && !second);
    if (passes && cp_shape_same(b->shape(b->net, b->in[second]), b->shape(b->net, b->out[0]))) return b->dout[0];
    return b->node(b->net, gradient, &none, (cp_node[]){b->in[0], b->in[1], b->dout[0]}, 3);
}

#define BINARY(id, ...)                                                                                                \
    static cp_status infer_##id(cp_problem *problem, const cp_attributes *attributes) {                                \
        (void)attributes;                                                                                              \
        return infer_binary(problem, CP_BINARY_##id);                                                                  \
    }                                                                                                                  \
    static cp_status infer_##id##_first(cp_problem *problem, const cp_attributes *attributes) {                        \
        (void)attributes;                                                                                              \
        return infer_binary_gradient(problem, CP_BINARY_##id, false);                                                  \
    }                                                                                                                  \
    static cp_status infer_##id##_second(cp_problem *problem, const cp_attributes *attributes) {                       \
        (void)attributes;                                                                                              \
        return infer_binary_gradient(problem, CP_BINARY_##id, true);                                                   \
    }                                                                                                                  \
    static void backward_##id(cp_backward *b) {                                                                        \
        if (b->wanted[0]) b->din[0] = binary_gradient(b, CP_BINARY_##id, false, #id "-first-gradient");                \
        if (b->wanted[1]) b->din[1] = binary_gradient(b, CP_BINARY_##id, true, #id "-second-gradient");                \
    }                                                                                                                  \
    const cp_op cp_op_##id = {.name = #id,                                                                             \
                              .fields = cp_no_fields,                                                                  \
                              .min_inputs = 2,                                                                         \
                              .max_inputs = 2,                                                                         \
                              .outputs = 1,                                                                            \
                              .infer = infer_##id,                                                                     \
                              .algos = cp_algos_binary,                                                                \
                              .backward = backward_##id,                                                               \
                              .initial = {[1] = CP_BINARY_##id == CP_BINARY_prelu ? 0.25f : 0}};                       \
    const cp_op cp_op_##id##_first_gradient = {.name = #id "-first-gradient",                                          \
                                               .min_inputs = 3,                                                        \
                                               .max_inputs = 3,                                                        \
                                               .outputs = 1,                                                           \
                                               .infer = infer_##id##_first,                                            \
                                               .algos = cp_algos_binary_gradient};                                     \
    const cp_op cp_op_##id##_second_gradient = {.name = #id "-second-gradient",                                        \
                                                .min_inputs = 3,                                                       \
                                                .max_inputs = 3,                                                       \
                                                .outputs = 1,                                                          \
                                                .infer = infer_##id##_second,                                          \
                                                .algos = cp_algos_binary_gradient};

CP_BINARIES(BINARY)

/* --- reductions --- */

static const char *const reductions[] = {"sum", "mean",       "max",     "min",         "product", "l1",
                                         "l2",  "sum-square", "log-sum", "log-sum-exp", NULL};

/* The set of axes, and the shape that is left. */
static cp_status set_reduction(cp_problem *problem, const cp_attributes *attributes, cp_shape *y) {
    const cp_shape x = problem->in[0];
    if ((unsigned)attributes->reduction > CP_REDUCE_LOG_SUM_EXP)
        return cp_fail(CP_E_ARG, "reduction = %d: there is no such", (int)attributes->reduction);
    uint32_t axes = 0;
    for (int i = 0; i < attributes->axes.rank; i++) {
        const int64_t axis = attributes->axes.dim[i];
        if (axis < 0 || axis >= x.rank)
            return cp_fail(CP_E_ARG, "axes[%d] = %lld: the input has %d", i, (long long)axis, x.rank);
        if (axes >> axis & 1) return cp_fail(CP_E_ARG, "axes[%d] = %lld: named twice", i, (long long)axis);
        axes |= 1u << axis;
    }
    if (!axes) axes = (1u << x.rank) - 1;
    *y = (cp_shape){0};
    for (int d = 0; d < x.rank; d++) {
        if (!(axes >> d & 1))
            y->dim[y->rank++] = x.dim[d];
        else if (attributes->keep)
            y->dim[y->rank++] = 1;
    }
    if (y->rank == 0) *y = (cp_shape){.rank = 1, .dim = {1}};
    problem->reduction = attributes->reduction;
    problem->axes = axes;
    return CP_OK;
}

static cp_status infer_reduce(cp_problem *problem, const cp_attributes *attributes) {
    const cp_type type = cp_number_type(problem);
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, type, "input");
    if (!status) status = set_reduction(problem, attributes, &y);
    return status ? status : cp_set_output(problem, 0, type, y);
}

static cp_status infer_reduce_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_in(problem, 1, problem->type, "output");
    if (!status) status = cp_check_in(problem, 2, problem->type, "gradient");
    if (!status) status = set_reduction(problem, attributes, &y);
    if (!status) status = cp_check_same("output", problem->in[1], "result", y);
    if (!status) status = cp_check_same("gradient", problem->in[2], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[0]);
}

static void backward_reduce(cp_backward *b) {
    b->din[0] = b->node(b->net, "reduce-gradient", b->attributes, (cp_node[]){b->in[0], b->out[0], b->dout[0]}, 3);
}

static void words_of_reduce(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    cp_words_add(text, size, "%s", reductions[attributes->reduction]);
    if (attributes->axes.rank) cp_words_add(text, size, "axes");
    for (int i = 0; i < attributes->axes.rank; i++)
        cp_words_add(text, size, "%lld", (long long)attributes->axes.dim[i]);
    if (attributes->keep) cp_words_add(text, size, "keep");
}

static const cp_field reduce_fields[] = {CP_FIELD("kind", CP_FIELD_WORD, reduction, reductions),
                                         CP_FIELD("axes", CP_FIELD_SHAPE, axes, NULL),
                                         CP_FIELD("keep", CP_FIELD_FLAG, keep, NULL),
                                         {0}};

const cp_op cp_op_reduce = {.name = "reduce",
                            .fields = reduce_fields,
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .outputs = 1,
                            .infer = infer_reduce,
                            .algos = cp_algos_reduce,
                            .backward = backward_reduce,
                            .words = words_of_reduce};

const cp_op cp_op_reduce_gradient = {.name = "reduce-gradient",
                                     .min_inputs = 3,
                                     .max_inputs = 3,
                                     .outputs = 1,
                                     .infer = infer_reduce_gradient,
                                     .algos = cp_algos_reduce_gradient};

/* --- pieces --- */

static cp_status infer_concat(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y = problem->in[0];
    cp_status status = CP_OK;
    for (int i = 0; i < problem->inputs && !status; i++) {
        status = cp_check_in(problem, i, problem->in_type[0], "input");
        if (!status) status = cp_set_axis(problem, attributes, problem->in[i]);
        if (status || i == 0) continue;
        cp_shape alike = problem->in[i];
        if (alike.rank == y.rank) alike.dim[problem->axis] = y.dim[problem->axis];
        status =
            cp_shape_same(alike, y) ? CP_OK : cp_check_same("first input", problem->in[0], "another", problem->in[i]);
        if (!status && !cp_sum(y.dim[problem->axis], problem->in[i].dim[problem->axis], &y.dim[problem->axis]))
            status = cp_fail(CP_E_LIMIT, "the axis is longer than can be counted");
    }
    return status ? status : cp_set_output(problem, 0, problem->in_type[0], y);
}

static void backward_concat(cp_backward *b) {
    cp_attributes attributes = {.axis = b->attributes->axis};
    const int axis = (int)attributes.axis;
    for (int i = 0; i < CP_MAX_INPUTS && b->in[i]; i++) {
        attributes.count = b->shape(b->net, b->in[i]).dim[axis];
        if (b->wanted[i]) b->din[i] = b->node(b->net, "slice", &attributes, b->dout, 1);
        attributes.begin += attributes.count;
    }
}

static void words_of_concat(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    cp_words_add(text, size, "axis %lld", (long long)attributes->axis);
}

static const cp_field concat_fields[] = {CP_FIELD("axis", CP_FIELD_COUNT, axis, NULL), {0}};

const cp_op cp_op_concat = {.name = "concat",
                            .fields = concat_fields,
                            .min_inputs = 1,
                            .max_inputs = CP_MAX_INPUTS,
                            .outputs = 1,
                            .infer = infer_concat,
                            .algos = cp_algos_concat,
                            .backward = backward_concat,
                            .words = words_of_concat};
