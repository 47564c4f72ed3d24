/* Pixel shuffle: depth to space and space to depth, each the other's gradient, as operators. */
#include "op/op.h"

/* The block, how many pixels it has, and N,space,C that is not empty. */
static cp_status check(cp_problem *problem, const cp_attributes *attributes, int64_t *blocks) {
    const cp_shape x = problem->in[0];
    const int64_t block = attributes->block;
    cp_status status = cp_check_in(problem, 0, problem->type, "input");
    if (!status) status = cp_check_axes(x, "input");
    if (status) return status;
    if (block < 1) return cp_fail(CP_E_ARG, "block = %lld: must be at least 1", (long long)block);
    if ((unsigned)attributes->depth_order > CP_CHANNEL_FIRST)
        return cp_fail(CP_E_ARG, "order = %d: no such order", (int)attributes->depth_order);
    for (int d = 1; d < x.rank; d++)
        if (x.dim[d] == 0) return cp_fail(CP_E_SHAPE, "input dimension %d is 0: must be at least 1", d);
    *blocks = 1;
    for (int d = 0; d < x.rank - 2; d++)
        if (!cp_mul(*blocks, block, blocks))
            return cp_fail(CP_E_SHAPE, "block = %lld: its pixels overflow", (long long)block);
    problem->block = block;
    problem->depth_order = attributes->depth_order;
    return CP_OK;
}

static cp_status infer_depth_to_space(cp_problem *problem, const cp_attributes *attributes) {
    int64_t blocks;
    const cp_status status = check(problem, attributes, &blocks);
    if (status) return status;
    cp_shape y = problem->in[0];
    const int last = y.rank - 1;
    if (y.dim[last] % blocks)
        return cp_fail(CP_E_SHAPE, "blocks of %lld pixels do not divide %lld channels", (long long)blocks,
                       (long long)y.dim[last]);
    y.dim[last] /= blocks;
    for (int d = 1; d < last; d++)
        if (!cp_mul(y.dim[d], problem->block, &y.dim[d]))
            return cp_fail(CP_E_SHAPE, "the output along axis %d overflows", d - 1);
    return cp_set_output(problem, 0, problem->type, y);
}

static cp_status infer_space_to_depth(cp_problem *problem, const cp_attributes *attributes) {
    int64_t blocks;
    const cp_status status = check(problem, attributes, &blocks);
    if (status) return status;
    cp_shape y = problem->in[0];
    const int last = y.rank - 1;
    for (int d = 1; d < last; d++) {
        if (y.dim[d] % problem->block)
            return cp_fail(CP_E_SHAPE, "block = %lld does not divide %lld pixels along axis %d",
                           (long long)problem->block, (long long)y.dim[d], d - 1);
        y.dim[d] /= problem->block;
    }
    if (!cp_mul(y.dim[last], blocks, &y.dim[last])) return cp_fail(CP_E_SHAPE, "the number of channels overflows");
    return cp_set_output(problem, 0, problem->type, y);
}

static void backward_depth_to_space(cp_backward *b) {
    b->din[0] = b->node(b->net, "space-to-depth", b->attributes, b->dout, 1);
}

static void backward_space_to_depth(cp_backward *b) {
    b->din[0] = b->node(b->net, "depth-to-space", b->attributes, b->dout, 1);
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    text[0] = 0;
    cp_words_add(text, size, "%lld", (long long)attributes->block);
    if (attributes->depth_order) cp_words_add(text, size, "%s", cp_depth_order_words[attributes->depth_order]);
}

static const cp_field fields[] = {CP_FIELD("block", CP_FIELD_COUNT, block, NULL),
                                  CP_FIELD("order", CP_FIELD_WORD, depth_order, cp_depth_order_words),
                                  {0}};

const cp_op cp_op_depth_to_space = {.name = "depth-to-space",
                                    .fields = fields,
                                    .min_inputs = 1,
                                    .max_inputs = 1,
                                    .outputs = 1,
                                    .infer = infer_depth_to_space,
                                    .algos = cp_algos_depth_to_space,
                                    .backward = backward_depth_to_space,
                                    .words = words};

const cp_op cp_op_space_to_depth = {.name = "space-to-depth",
                                    .fields = fields,
                                    .min_inputs = 1,
                                    .max_inputs = 1,
                                    .outputs = 1,
                                    .infer = infer_space_to_depth,
                                    .algos = cp_algos_space_to_depth,
                                    .backward = backward_space_to_depth,
                                    .words = words};
