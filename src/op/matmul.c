/* Products of matrices, which the axes before the last two count. */
#include "op/op.h"

/* All but the last two axes. */
static cp_shape batch_of(cp_shape shape) {
    return cp_shape_of(shape.rank - 2, shape.dim);
}

static cp_status check_matrix(const cp_problem *problem, int i, cp_type type, const char *name) {
    const cp_status status = cp_check_in(problem, i, type, name);
    if (status || problem->in[i].rank >= 2) return status;
    return cp_fail(CP_E_SHAPE, "%s needs at least 2 dimensions, has %d", name, problem->in[i].rank);
}

static cp_status infer(cp_problem *problem, const cp_attributes *attributes) {
    (void)attributes;
    const cp_shape a = problem->in[0], b = problem->in[1];
    const cp_type type = cp_number_type(problem);
    cp_shape y;
    cp_status status = check_matrix(problem, 0, type, "first input");
    if (!status) status = check_matrix(problem, 1, type, "second input");
    if (status) return status;
    const int64_t columns = a.dim[a.rank - 1], rows = b.dim[b.rank - 2];
    if (columns != rows)
        return cp_fail(CP_E_SHAPE, "first input has %lld columns, second input %lld rows", (long long)columns,
                       (long long)rows);
    status = cp_broadcast(batch_of(a), batch_of(b), &y);
    if (status) return status;
    y.dim[y.rank++] = a.dim[a.rank - 2];
    y.dim[y.rank++] = b.dim[b.rank - 1];
    status = cp_set_output(problem, 0, type, y);
    return status ? status : cp_set_multiply_adds(problem, cp_shape_count(y), columns);
}

static cp_node transposed(cp_backward *b, cp_node matrix) {
    cp_attributes attributes = {.axes.rank = b->shape(b->net, matrix).rank};
    for (int d = 0; d < attributes.axes.rank; d++) attributes.axes.dim[d] = d;
    attributes.axes.dim[attributes.axes.rank - 1]--;
    attributes.axes.dim[attributes.axes.rank - 2]++;
    return b->node(b->net, "transpose", &attributes, &matrix, 1);
}

/* The product, summed over what was broadcast. */
static cp_node product(cp_backward *b, cp_node first, cp_node second, cp_node of) {
    const cp_attributes none = {0};
    const cp_node y = b->node(b->net, "matmul", &none, (cp_node[]){first, second}, 2);
    return cp_sum_broadcast(b, y, b->shape(b->net, y), b->shape(b->net, of));
}

/* da = dy * transposed b, db = transposed a * dy */
static void backward(cp_backward *b) {
    if (b->wanted[0]) b->din[0] = product(b, b->dout[0], transposed(b, b->in[1]), b->in[0]);
    if (b->wanted[1]) b->din[1] = product(b, transposed(b, b->in[0]), b->dout[0], b->in[1]);
}

const cp_op cp_op_matmul = {.name = "matmul",
                            .min_inputs = 2,
                            .max_inputs = 2,
                            .outputs = 1,
                            .infer = infer,
                            .algos = cp_algos_matmul,
                            .backward = backward};
