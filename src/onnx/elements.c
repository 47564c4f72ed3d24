/* Operators that go from element to element, and those that add up: functions, arithmetic, reductions, products. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "onnx/operators.h"

static cp_node fail(cp_onnx_loader *l, cp_status status) {
    return cp_onnx_fail(l, status);
}

/* --- one number --- */

typedef struct function {
    const char *name;
    cp_activation activation;
    const char *alpha, *beta; /* attributes; NULL: it takes none */
    float usual_alpha, usual_beta;
} function;

static const function functions[] = {
    {"Relu", CP_RELU, NULL, NULL, 0, 0},
    {"LeakyRelu", CP_LEAKY_RELU, "alpha", NULL, 0.01f, 0},
    {"Elu", CP_ELU, "alpha", NULL, 1, 0},
    {"Selu", CP_SELU, "alpha", "gamma", 1.67326319217681884765625f, 1.05070102214813232421875f},
    {"Celu", CP_CELU, "alpha", NULL, 1, 0},
    {"Sigmoid", CP_SIGMOID, NULL, NULL, 0, 0},
    {"HardSigmoid", CP_HARD_SIGMOID, "alpha", "beta", 0.2f, 0.5f},
    {"HardSwish", CP_HARD_SWISH, NULL, NULL, 0, 0},
    {"Mish", CP_MISH, NULL, NULL, 0, 0},
    {"Tanh", CP_TANH, NULL, NULL, 0, 0},
    {"Softplus", CP_SOFTPLUS, NULL, NULL, 0, 0},
    {"Softsign", CP_SOFTSIGN, NULL, NULL, 0, 0},
};

static const function *function_of(cp_bytes op) {
    size_t i = 0;
    while (!cp_bytes_are(op, functions[i].name)) i++;
    return &functions[i];
}

/* Adds a function to input 0, which keeps its order. */
static void set_function(cp_onnx_loader *l, cp_activation activation, float alpha, float beta) {
    const cp_order order = cp_onnx_order_of(cp_onnx_in(l, 0));
    const cp_node x = cp_onnx_want_in(l, 0, order);
    cp_onnx_set(l, 0, cp_net_activation_with(l->net, x, activation, alpha, beta), order);
}

void cp_onnx_function(cp_onnx_loader *l) {
    const function *f = function_of(l->node->op);
    const float alpha = f->alpha ? cp_onnx_float_or(l, f->alpha, f->usual_alpha) : 0;
    const float beta = f->beta ? cp_onnx_float_or(l, f->beta, f->usual_beta) : 0;
    const bool none = alpha == 0 && beta == 0 && f->alpha; /* which our operators take for the usual ones */
    if (!none)
        set_function(l, f->activation, alpha, beta);
    else if (f->activation == CP_LEAKY_RELU || f->activation == CP_ELU)
        set_function(l, CP_RELU, 0, 0);
    else
        fail(l, cp_fail(CP_E_UNSUPPORTED, "%s = 0 is not supported", f->alpha));
}

void cp_onnx_gelu(cp_onnx_loader *l) {
    static const char *const words[] = {"none", "tanh", NULL};
    set_function(l, cp_onnx_word_or(l, "approximate", words, 0) == 1 ? CP_GELU_TANH : CP_GELU, 0, 0);
}

/* --- two numbers, broadcast --- */

/* The order of the first input with the most axes whose order is not ONNX's; else that. */
cp_order cp_onnx_common_order(cp_onnx_loader *l, int first, int n, int *rank) {
    cp_order order = cp_order_plain();
    bool found = false;
    *rank = 0;
    for (int i = first; i < first + n; i++) {
        const cp_onnx_value *x = cp_onnx_in(l, i);
        if (x && x->shape.rank > *rank) *rank = x->shape.rank;
    }
    for (int i = first; i < first + n && !found; i++) {
        const cp_onnx_value *x = cp_onnx_in(l, i);
        if (!x || x->constant || x->shape.rank != *rank) continue;
        order = cp_onnx_order_of(x);
        found = !cp_order_same(order, cp_order_plain(), *rank);
    }
    return order;
}

/* Axes that are missing in front only matter where the order is another than ONNX's. */
cp_node cp_onnx_broadcast_in(cp_onnx_loader *l, int i, int rank, cp_order order) {
    cp_onnx_value *x = cp_onnx_in(l, i);
    if (!x || x->shape.rank == rank) return cp_onnx_want(l, x, order);
    if (cp_order_same(order, cp_order_plain(), rank) || cp_shape_count(x->shape) == 1)
        return cp_onnx_want(l, x, cp_order_plain());
    cp_onnx_value wide = {.type = x->type, .shape.rank = rank, .data = x->data, .constant = x->constant};
    for (int k = 0; k < rank; k++) {
        const int own = k - (rank - x->shape.rank);
        wide.shape.dim[k] = own < 0 ? 1 : x->shape.dim[own];
    }
    if (!x->constant) {
        wide.form[0].node = cp_net_reshape(l->net, cp_onnx_want(l, x, cp_order_plain()), wide.shape);
        wide.form[0].order = cp_order_plain();
        wide.forms = 1;
    }
    return cp_onnx_want(l, &wide, order);
}

typedef cp_node binary(cp_net *net, cp_node a, cp_node b);

/* From left to right over all inputs; the mean divides what has come out. */
static void chain(cp_onnx_loader *l, binary *build, bool mean) {
    const int n = l->node->inputs;
    int rank;
    const cp_order order = cp_onnx_common_order(l, 0, n, &rank);
    cp_node y = cp_onnx_broadcast_in(l, 0, rank, order);
    for (int i = 1; i < n; i++) y = build(l->net, y, cp_onnx_broadcast_in(l, i, rank, order));
    if (mean && n > 1) {
        const float part = 1.0f / (float)n;
        const cp_tensor factor = cp_view(&part, CP_F32, (cp_shape){0});
        y = cp_net_mul(l->net, y, cp_net_constant(l->net, "part", &factor));
    }
    if (!cp_onnx_failed(l)) cp_onnx_set(l, 0, y, order);
}

void cp_onnx_add(cp_onnx_loader *l) {
    chain(l, cp_net_add, false);
}
void cp_onnx_sub(cp_onnx_loader *l) {
    chain(l, cp_net_sub, false);
}
void cp_onnx_mul(cp_onnx_loader *l) {
    chain(l, cp_net_mul, false);
}
void cp_onnx_div(cp_onnx_loader *l) {
    chain(l, cp_net_div, false);
}
void cp_onnx_pow(cp_onnx_loader *l) {
    chain(l, cp_net_pow, false);
}
void cp_onnx_min(cp_onnx_loader *l) {
    chain(l, cp_net_min, false);
}
void cp_onnx_max(cp_onnx_loader *l) {
    chain(l, cp_net_max, false);
}
void cp_onnx_mean(cp_onnx_loader *l) {
    chain(l, cp_net_add, true);
}

/* The slope is broadcast to x, and not x to the slope. */
void cp_onnx_prelu(cp_onnx_loader *l) {
    int rank;
    const cp_onnx_value *x = cp_onnx_in(l, 0), *slope = cp_onnx_in(l, 1);
    if (slope->shape.rank > x->shape.rank) {
        fail(l, cp_fail(CP_E_SHAPE, "slope has %d dimensions, the input %d", slope->shape.rank, x->shape.rank));
        return;
    }
    const cp_order order = cp_onnx_common_order(l, 0, 1, &rank);
    const cp_node node = cp_onnx_broadcast_in(l, 0, rank, order);
    cp_onnx_set(l, 0, cp_net_prelu_with(l->net, node, cp_onnx_broadcast_in(l, 1, rank, order)), order);
}

/* --- Clip: bounds are attributes, or (since opset 11) inputs --- */

static cp_node bound(cp_onnx_loader *l, int i, const char *attribute) {
    float number;
    if (cp_onnx_in(l, i)) return cp_onnx_want_in(l, i, cp_order_plain());
    if (!cp_onnx_float(l, attribute, &number)) return 0;
    const cp_tensor view = cp_view(&number, CP_F32, (cp_shape){0});
    return cp_net_constant(l->net, attribute, &view);
}

static bool known_bound(cp_onnx_loader *l, int i, const char *attribute, float *number) {
    const cp_onnx_value *value = cp_onnx_in(l, i);
    if (!value) return cp_onnx_float(l, attribute, number);
    if (!value->constant || value->type != CP_ONNX_FLOAT || cp_shape_count(value->shape) != 1) return false;
    *number = (float)cp_onnx_real_at(value, 0);
    return true;
}

void cp_onnx_clip(cp_onnx_loader *l) {
    float low, high;
    const bool has_low = known_bound(l, 1, "min", &low), has_high = known_bound(l, 2, "max", &high);
    if (cp_onnx_failed(l)) return;
    if (has_low && has_high && low <= high && isfinite(low) && isfinite(high) && (low < 0 || high > 0)) {
        set_function(l, CP_CLIP, low, high);
        return;
    }
    const cp_order order = cp_onnx_order_of(cp_onnx_in(l, 0));
    cp_node y = cp_onnx_want_in(l, 0, order);
    const cp_node least = bound(l, 1, "min"), most = bound(l, 2, "max");
    if (least) y = cp_net_max(l->net, y, least);
    if (most) y = cp_net_min(l->net, y, most);
    cp_onnx_set(l, 0, y, order);
}

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
    const int axis = cp_onnx_axis(l, "axis", cp_onnx_int_or(l, "axis", l->opset < 13 ? 1 : -1), rank);
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

void cp_onnx_softmax(cp_onnx_loader *l) {
    rows(l, cp_net_softmax);
}

/* --- reductions --- */

static void reduce(cp_onnx_loader *l, cp_reduction reduction) {
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
    if (nothing) fail(l, cp_fail(CP_E_UNSUPPORTED, "noop_with_empty_axes without axes is not supported"));
    const cp_order order = cp_onnx_order_of(x);
    for (int i = 0; i < n; i++) {
        const int axis = cp_onnx_axis(l, "axis", axes[i], rank);
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

void cp_onnx_reduce_sum(cp_onnx_loader *l) {
    reduce(l, CP_REDUCE_SUM);
}
void cp_onnx_reduce_mean(cp_onnx_loader *l) {
    reduce(l, CP_REDUCE_MEAN);
}
void cp_onnx_reduce_max(cp_onnx_loader *l) {
    reduce(l, CP_REDUCE_MAX);
}
void cp_onnx_reduce_min(cp_onnx_loader *l) {
    reduce(l, CP_REDUCE_MIN);
}
void cp_onnx_reduce_prod(cp_onnx_loader *l) {
    reduce(l, CP_REDUCE_PRODUCT);
}
void cp_onnx_reduce_l1(cp_onnx_loader *l) {
    reduce(l, CP_REDUCE_L1);
}
void cp_onnx_reduce_l2(cp_onnx_loader *l) {
    reduce(l, CP_REDUCE_L2);
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
        fail(l, cp_fail(CP_E_SHAPE, "A and B need 2 dimensions, have %d and %d", a->shape.rank, b->shape.rank));
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

/* --- normalisation --- */

static bool per_channel(cp_onnx_loader *l, int i, const char *what, int64_t channels) {
    const cp_onnx_value *value = cp_onnx_in(l, i);
    if (value->shape.rank == 1 && value->shape.dim[0] == channels) return true;
    const int64_t count = cp_shape_count(value->shape);
    fail(l, cp_fail(CP_E_SHAPE, "%s has %" PRId64 " value%s, needs %" PRId64, what, count, count == 1 ? "" : "s",
                    channels));
    return false;
}

/* ONNX's may be 0, which is the usual one for our operators. */
static float epsilon_of(cp_onnx_loader *l) {
    const float epsilon = cp_onnx_float_or(l, "epsilon", 1e-5f);
    if (!(epsilon >= 0)) fail(l, cp_fail(CP_E_ARG, "epsilon must be >= 0"));
    return epsilon > 0 ? epsilon : FLT_MIN;
}

void cp_onnx_batch_normalization(cp_onnx_loader *l) {
    static const char *const names[] = {"input", "scale", "B", "mean", "variance"};
    const cp_onnx_value *x = cp_onnx_in(l, 0);
    const int rank = x->shape.rank;
    cp_node p[5];
    if (rank < 2) {
        fail(l, cp_fail(CP_E_SHAPE, "input needs at least 2 dimensions, has %d", rank));
        return;
    }
    if (cp_onnx_int_or(l, "training_mode", 0) || !cp_onnx_int_or(l, "spatial", 1))
        fail(l, cp_fail(CP_E_UNSUPPORTED, "training_mode must be 0, and spatial 1"));
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
        fail(l, cp_fail(CP_E_SHAPE, "input needs at least 3 dimensions, has %d", rank));
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
        if (!cp_onnx_failed(l)) fail(l, cp_fail(CP_E_ARG, "size is missing"));
        return;
    }
    const float alpha = cp_onnx_float_or(l, "alpha", 1e-4f), beta = cp_onnx_float_or(l, "beta", 0.75f);
    const float bias = cp_onnx_float_or(l, "bias", 1);
    cp_onnx_set(l, 0, cp_net_lrn(l->net, cp_onnx_want_last(l, 0), size, alpha, beta, bias),
                cp_order_channels_last(cp_onnx_in(l, 0)->shape.rank));
}
