/* Operators that add up: softmax, reductions, products of matrices, normalisation. */
#include <float.h>
#include <inttypes.h>
#include <string.h>

#include "onnx/operators.h"

/* --- Softmax: our operator sums over the last axis --- */

static cp_order with_last(cp_order from, int rank, int axis) {
    cp_order order = cp_order_plain();
    int n = 0;
    for (int i = 0; i < rank; i++)
        if (from.axis[i] != axis) order.axis[n++] = from.axis[i];
    order.axis[n] = (int8_t)axis;
    return order;
}

/* Before opset 13 it was taken over all axes from `axis` on. */
static bool flattens(const cp_onnx_loader *l, const cp_onnx_value *x, int axis) {
    bool more = false;
    for (int k = axis + 1; k < x->shape.rank; k++) more |= x->shape.dim[k] != 1;
    return l->opset < 13 && more;
}

static void rows(cp_onnx_loader *l, cp_node (*build)(cp_net *net, cp_node x)) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    const int rank = x->shape.rank;
    const int axis = cp_onnx_axis(l, cp_onnx_int_or(l, "axis", l->opset < 13 ? 1 : -1), rank);
    if (axis < 0) return;
    if (!flattens(l, x, axis)) {
        const cp_order order = with_last(cp_onnx_order_of(x), rank, axis);
        cp_onnx_set(l, 0, build(l->net, cp_onnx_want(l, x, order)), order);
        return;
    }
    int64_t flat[2] = {1, 1};
    for (int k = 0; k < rank; k++) flat[k >= axis] *= x->shape.dim[k];
    cp_node y = cp_net_reshape(l->net, cp_onnx_want(l, x, cp_order_plain()), cp_shape_of(2, flat));
    y = cp_net_reshape(l->net, build(l->net, y), x->shape);
    cp_onnx_set(l, 0, y, cp_order_plain());
}

static cp_node log_softmax(cp_net *net, cp_node x) {
    return cp_net_log_softmax(net, x, -1);
}

void cp_onnx_softmax(cp_onnx_loader *l) {
    rows(l, cp_net_softmax);
}
void cp_onnx_log_softmax(cp_onnx_loader *l) {
    rows(l, log_softmax);
}

/* --- reductions --- */

static cp_reduction reduction_of(cp_bytes op) {
    static const struct {
        const char *name;
        cp_reduction reduction;
    } reductions[] = {{"ReduceSum", CP_REDUCE_SUM},        {"ReduceMean", CP_REDUCE_MEAN},
                      {"ReduceMax", CP_REDUCE_MAX},        {"ReduceMin", CP_REDUCE_MIN},
                      {"ReduceProd", CP_REDUCE_PRODUCT},   {"ReduceL1", CP_REDUCE_L1},
                      {"ReduceL2", CP_REDUCE_L2},          {"ReduceSumSquare", CP_REDUCE_SUM_SQUARE},
                      {"ReduceLogSum", CP_REDUCE_LOG_SUM}, {"ReduceLogSumExp", CP_REDUCE_LOG_SUM_EXP}};
    size_t i = 0;
    while (!cp_bytes_are(op, reductions[i].name)) i++;
    return reductions[i].reduction;
}

void cp_onnx_reduce(cp_onnx_loader *l) {
    const cp_reduction reduction = reduction_of(l->node->op);
    cp_onnx_value *x = cp_onnx_in(l, 0);
    const int rank = x->shape.rank;
    int64_t axes[CP_MAX_RANK];
    int n = 0, own[CP_MAX_RANK], number[CP_MAX_RANK], left = 0;
    uint32_t gone = 0;
    if (cp_onnx_in(l, 1))
        cp_onnx_numbers(l, 1, "axes", axes, CP_MAX_RANK, &n);
    else
        cp_onnx_ints(l, "axes", axes, CP_MAX_RANK, &n);
    const bool keep = cp_onnx_int_or(l, "keepdims", 1) != 0;
    const bool nothing = cp_onnx_int_or(l, "noop_with_empty_axes", 0) != 0 && !n;
    if (nothing && reduction <= CP_REDUCE_PRODUCT) { /* a number alone is its sum, mean, ... */
        cp_onnx_set_same(l, 0, x);
        return;
    }
    if (nothing) cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "noop_with_empty_axes without axes is not supported"));
    const cp_order order = cp_onnx_order_of(x);
    for (int i = 0; i < n; i++) {
        const int axis = cp_onnx_axis(l, axes[i], rank);
        if (axis < 0) return;
        gone |= 1u << axis;
        own[i] = cp_order_find(order, axis);
    }
    if (!n) gone = (1u << rank) - 1;
    cp_node y = cp_net_reduce(l->net, cp_onnx_want(l, x, order), reduction, own, n, keep);
    if (keep) {
        cp_onnx_set(l, 0, y, order);
        return;
    }
    cp_order result = cp_order_plain();
    for (int k = 0; k < rank; k++) {
        number[k] = left;
        left += !(gone >> k & 1);
    }
    for (int i = 0, at = 0; i < rank; i++)
        if (!(gone >> order.axis[i] & 1)) result.axis[at++] = (int8_t)number[order.axis[i]];
    if (!left) y = cp_net_reshape(l->net, y, (cp_shape){0});
    cp_onnx_set(l, 0, y, result);
}

/* --- along one axis --- */

static void arg(cp_onnx_loader *l, cp_node (*build)(cp_net *net, cp_node x, int axis, bool keep, bool last)) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    const int rank = x->shape.rank, axis = cp_onnx_axis(l, cp_onnx_int_or(l, "axis", 0), rank);
    if (axis < 0) return;
    const bool keep = cp_onnx_int_or(l, "keepdims", 1) != 0, last = cp_onnx_int_or(l, "select_last_index", 0) != 0;
    const cp_order order = keep ? cp_onnx_order_of(x) : cp_order_plain();
    cp_node y = build(l->net, cp_onnx_want(l, x, order), cp_order_find(order, axis), keep, last);
    if (!keep && rank == 1) y = cp_net_reshape(l->net, y, (cp_shape){0});
    cp_onnx_set(l, 0, y, order);
}

void cp_onnx_arg_max(cp_onnx_loader *l) {
    arg(l, cp_net_arg_max);
}
void cp_onnx_arg_min(cp_onnx_loader *l) {
    arg(l, cp_net_arg_min);
}

/* Always sorted, which is one of the orders that sorted = 0 allows. */
void cp_onnx_top_k(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    int64_t k = 0;
    int n;
    const int axis = cp_onnx_axis(l, cp_onnx_int_or(l, "axis", -1), x->shape.rank);
    const bool given = cp_onnx_in(l, 1) ? cp_onnx_numbers(l, 1, "K", &k, 1, &n) && n == 1 : cp_onnx_int(l, "k", &k);
    if (axis < 0 || !given) {
        if (!cp_onnx_failed(l)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "K is missing"));
        return;
    }
    cp_node indices = 0;
    const bool smallest = cp_onnx_int_or(l, "largest", 1) == 0;
    const cp_order order = cp_onnx_order_of(x);
    const cp_node y =
        cp_net_top_k(l->net, cp_onnx_want(l, x, order), cp_order_find(order, axis), k, smallest, &indices);
    cp_onnx_set(l, 0, y, order);
    cp_onnx_set(l, 1, indices, order);
}

void cp_onnx_cumulative_sum(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    int64_t asked;
    int n;
    if (!cp_onnx_numbers(l, 1, "axis", &asked, 1, &n)) return;
    const int axis = n ? cp_onnx_axis(l, asked, x->shape.rank) : -1;
    if (axis < 0) return;
    const bool exclusive = cp_onnx_int_or(l, "exclusive", 0) != 0, reverse = cp_onnx_int_or(l, "reverse", 0) != 0;
    const cp_order order = cp_onnx_order_of(x);
    cp_onnx_set(
        l, 0, cp_net_cumulative_sum(l->net, cp_onnx_want(l, x, order), cp_order_find(order, axis), exclusive, reverse),
        order);
}

/* --- products of matrices --- */

static cp_node scaled(cp_onnx_loader *l, cp_node x, float factor) {
    if (factor == 1) return x; /* NOLINT */
    const cp_tensor view = cp_view(&factor, CP_F32, (cp_shape){0});
    return cp_net_mul(l->net, x, cp_net_constant(l->net, "factor", &view));
}

/* alpha * A * B + beta * C; a dense layer where C is a row. */
void cp_onnx_gemm(cp_onnx_loader *l) {
    const cp_order turned = {{1, 0}};
    const cp_onnx_value *a = cp_onnx_in(l, 0), *b = cp_onnx_in(l, 1), *c = cp_onnx_in(l, 2);
    const float alpha = cp_onnx_float_or(l, "alpha", 1), beta = cp_onnx_float_or(l, "beta", 1);
    const bool turn_a = cp_onnx_int_or(l, "transA", 0) != 0, turn_b = cp_onnx_int_or(l, "transB", 0) != 0;
    if (a->shape.rank != 2 || b->shape.rank != 2) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "A and B need 2 dimensions, have %d and %d", a->shape.rank, b->shape.rank));
        return;
    }
    const int64_t columns = b->shape.dim[turn_b ? 0 : 1];
    const cp_node x = cp_onnx_want_in(l, 0, turn_a ? turned : cp_order_plain());
    const cp_node w = cp_onnx_want_in(l, 1, turn_b ? turned : cp_order_plain());
    cp_node add = c ? cp_onnx_want_in(l, 2, cp_order_plain()) : 0;
    const bool row = c && cp_shape_count(c->shape) == columns && c->shape.rank >= 1 &&
                     c->shape.dim[c->shape.rank - 1] == columns && alpha == 1 && beta == 1;
    if (row && c->shape.rank > 1) add = cp_net_reshape(l->net, add, cp_shape_of(1, &columns));
    cp_node y = cp_net_dense_with(l->net, x, w, row ? add : 0, CP_LINEAR);
    if (!row) {
        y = scaled(l, y, alpha);
        if (c) y = cp_net_add(l->net, y, scaled(l, add, beta));
    }
    cp_onnx_set(l, 0, y, cp_order_plain());
}

void cp_onnx_matmul(cp_onnx_loader *l) {
    const cp_node a = cp_onnx_want_in(l, 0, cp_order_plain()), b = cp_onnx_want_in(l, 1, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_matmul(l->net, a, b), cp_order_plain());
}

/* --- normalisation --- */

static bool per_channel(cp_onnx_loader *l, int i, const char *what, int64_t channels) {
    const cp_onnx_value *value = cp_onnx_in(l, i);
    if (value->shape.rank == 1 && value->shape.dim[0] == channels) return true;
    const int64_t count = cp_shape_count(value->shape);
    cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "%s has %" PRId64 " value%s, needs %" PRId64, what, count,
                            count == 1 ? "" : "s", channels));
    return false;
}

/* ONNX's may be 0, which is the usual one for our operators. */
static float epsilon_of(cp_onnx_loader *l) {
    const float epsilon = cp_onnx_float_or(l, "epsilon", 1e-5f);
    if (!(epsilon >= 0)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "epsilon must be >= 0"));
    return epsilon > 0 ? epsilon : FLT_MIN;
}

void cp_onnx_batch_normalization(cp_onnx_loader *l) {
    static const char *const names[] = {"input", "scale", "B", "mean", "variance"};
    const cp_onnx_value *x = cp_onnx_in(l, 0);
    const int rank = x->shape.rank;
    cp_node p[5];
    if (rank < 2) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "input needs at least 2 dimensions, has %d", rank));
        return;
    }
    if (cp_onnx_int_or(l, "training_mode", 0) || !cp_onnx_int_or(l, "spatial", 1))
        cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "training_mode must be 0, and spatial 1"));
    for (int i = 1; i < 5; i++)
        if (!per_channel(l, i, names[i], x->shape.dim[1])) return;
    const float epsilon = epsilon_of(l);
    p[0] = cp_onnx_want_last(l, 0);
    for (int i = 1; i < 5; i++) p[i] = cp_onnx_want_in(l, i, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_batch_norm_with(l->net, p[0], p[1], p[2], p[3], p[4], epsilon, 0),
                cp_order_channels_last(rank));
}

void cp_onnx_instance_normalization(cp_onnx_loader *l) {
    const cp_onnx_value *x = cp_onnx_in(l, 0);
    const int rank = x->shape.rank;
    if (rank < 3) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "input needs at least 3 dimensions, has %d", rank));
        return;
    }
    if (!per_channel(l, 1, "scale", x->shape.dim[1]) || !per_channel(l, 2, "B", x->shape.dim[1])) return;
    const cp_node scale = cp_onnx_want_in(l, 1, cp_order_plain()), bias = cp_onnx_want_in(l, 2, cp_order_plain());
    const float epsilon = epsilon_of(l);
    cp_onnx_set(l, 0, cp_net_instance_norm_with(l->net, cp_onnx_want_last(l, 0), scale, bias, epsilon),
                cp_order_channels_last(rank));
}

void cp_onnx_lrn(cp_onnx_loader *l) {
    int64_t size;
    if (!cp_onnx_int(l, "size", &size)) {
        if (!cp_onnx_failed(l)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "size is missing"));
        return;
    }
    const float alpha = cp_onnx_float_or(l, "alpha", 1e-4f), beta = cp_onnx_float_or(l, "beta", 0.75f);
    const float bias = cp_onnx_float_or(l, "bias", 1);
    cp_onnx_set(l, 0, cp_net_lrn(l->net, cp_onnx_want_last(l, 0), size, alpha, beta, bias),
                cp_order_channels_last(cp_onnx_in(l, 0)->shape.rank));
}

/* Until opset 20 a scale for each group, since then one for each channel. */
void cp_onnx_group_normalization(cp_onnx_loader *l) {
    const cp_onnx_value *x = cp_onnx_in(l, 0);
    const int rank = x->shape.rank;
    const int64_t groups = cp_onnx_int_or(l, "num_groups", 0), channels = rank > 1 ? x->shape.dim[1] : 0;
    cp_node p[3];
    if (rank < 3 || groups < 1 || channels % groups) {
        cp_onnx_fail(
            l, cp_fail(CP_E_SHAPE, "num_groups = %" PRId64 ": must divide %" PRId64 " channels", groups, channels));
        return;
    }
    for (int i = 1; i < 3; i++) {
        if (!per_channel(l, i, i == 1 ? "scale" : "bias", l->opset < 21 ? groups : channels)) return;
        p[i] = cp_onnx_want_in(l, i, cp_order_plain());
        if (l->opset >= 21 || groups == channels) continue;
        p[i] = cp_net_reshape(l->net, p[i], cp_shape_of(2, (int64_t[]){groups, 1}));
        p[i] = cp_net_expand(l->net, p[i], cp_shape_of(2, (int64_t[]){groups, channels / groups}));
        p[i] = cp_net_reshape(l->net, p[i], cp_shape_of(1, &channels));
    }
    const float epsilon = epsilon_of(l);
    p[0] = cp_onnx_want_last(l, 0);
    cp_onnx_set(l, 0, cp_net_group_norm_with(l->net, p[0], p[1], p[2], groups, epsilon), cp_order_channels_last(rank));
}

/* Over the axes from `axis` on, which become one. */
void cp_onnx_layer_normalization(cp_onnx_loader *l) {
    const cp_onnx_value *x = cp_onnx_in(l, 0), *scale = cp_onnx_in(l, 1);
    const int rank = x->shape.rank, axis = cp_onnx_axis(l, cp_onnx_int_or(l, "axis", -1), rank);
    if (axis < 0) return;
    int64_t flat[3] = {1, 1, 1}; /* the batch, which may be any, stays alone */
    for (int k = 0; k < rank; k++) flat[k >= axis ? 2 : k > 0] *= x->shape.dim[k];
    if (cp_shape_count(scale->shape) != flat[2]) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "scale has %" PRId64 " values, needs %" PRId64,
                                cp_shape_count(scale->shape), flat[2]));
        return;
    }
    cp_node p[3];
    for (int i = 0; i < 3; i++) p[i] = cp_onnx_want_in(l, i, cp_order_plain());
    p[0] = cp_net_reshape(l->net, p[0], cp_shape_of(3, flat));
    p[1] = cp_net_reshape(l->net, p[1], cp_shape_of(1, &flat[2]));
    if (p[2]) {
        p[2] = cp_net_reshape(l->net, p[2], cp_shape_of(1, &flat[2]));
    } else {
        const float zero = 0;
        const cp_tensor nothing = cp_view(&zero, CP_F32, cp_shape_of(1, (int64_t[]){1}));
        p[2] = cp_net_expand(l->net, cp_net_constant(l->net, "zero", &nothing), cp_shape_of(1, &flat[2]));
    }
    const cp_node y = cp_net_layer_norm_with(l->net, p[0], p[1], p[2], epsilon_of(l));
    cp_onnx_set(l, 0, cp_net_reshape(l->net, y, x->shape), cp_order_plain());
}

/* x / |x| along an axis, the sum of absolute values or the root of the sum of squares. */
void cp_onnx_lp_normalization(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    const int axis = cp_onnx_axis(l, cp_onnx_int_or(l, "axis", -1), x->shape.rank);
    const int64_t p = cp_onnx_int_or(l, "p", 2);
    if (axis < 0) return;
    if (p != 1 && p != 2) {
        cp_onnx_fail(l, cp_fail(CP_E_ARG, "p = %" PRId64 ": must be 1 or 2", p));
        return;
    }
    const cp_order order = cp_onnx_order_of(x);
    const int own = cp_order_find(order, axis);
    const cp_node node = cp_onnx_want(l, x, order);
    const cp_node norm = cp_net_reduce(l->net, node, p == 1 ? CP_REDUCE_L1 : CP_REDUCE_L2, &own, 1, true);
    cp_onnx_set(l, 0, cp_net_div(l->net, node, norm), order);
}

/* (x - mean) / (standard deviation + 1e-9) */
void cp_onnx_mean_variance_normalization(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    int64_t axes[CP_MAX_RANK] = {0, 2, 3};
    int n = 3, own[CP_MAX_RANK];
    const float least = 1e-9f;
    const cp_tensor small = cp_view(&least, CP_F32, (cp_shape){0});
    if (!cp_onnx_ints(l, "axes", axes, CP_MAX_RANK, &n)) n = 3;
    const cp_order order = cp_onnx_order_of(x);
    for (int i = 0; i < n; i++) {
        const int axis = cp_onnx_axis(l, axes[i], x->shape.rank);
        if (axis < 0) return;
        own[i] = cp_order_find(order, axis);
    }
    const cp_node node = cp_onnx_want(l, x, order);
    const cp_node from_mean = cp_net_sub(l->net, node, cp_net_reduce(l->net, node, CP_REDUCE_MEAN, own, n, true));
    const cp_node variance =
        cp_net_reduce(l->net, cp_net_mul(l->net, from_mean, from_mean), CP_REDUCE_MEAN, own, n, true);
    const cp_node deviation = cp_net_activation(l->net, variance, CP_SQRT);
    const cp_node divisor = cp_net_add(l->net, deviation, cp_net_constant(l->net, "least", &small));
    cp_onnx_set(l, 0, cp_net_div(l->net, from_mean, divisor), order);
}
