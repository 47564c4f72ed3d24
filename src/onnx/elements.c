/* Operators that go from element to element: functions of one number, arithmetic, comparisons. */
#include <math.h>

#include "onnx/operators.h"

/* --- one number --- */

const cp_onnx_function_row cp_onnx_functions[] = {
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
    {"ThresholdedRelu", CP_THRESHOLDED_RELU, "alpha", NULL, 1, 0},
    {"Exp", CP_EXP, NULL, NULL, 0, 0},
    {"Log", CP_LOG, NULL, NULL, 0, 0},
    {"Sqrt", CP_SQRT, NULL, NULL, 0, 0},
    {"Reciprocal", CP_RECIPROCAL, NULL, NULL, 0, 0},
    {"Abs", CP_ABS, NULL, NULL, 0, 0},
    {"Neg", CP_NEG, NULL, NULL, 0, 0},
    {"Floor", CP_FLOOR, NULL, NULL, 0, 0},
    {"Ceil", CP_CEIL, NULL, NULL, 0, 0},
    {"Round", CP_ROUND, NULL, NULL, 0, 0},
    {"Sign", CP_SIGN, NULL, NULL, 0, 0},
    {"Erf", CP_ERF, NULL, NULL, 0, 0},
    {"Sin", CP_SIN, NULL, NULL, 0, 0},
    {"Cos", CP_COS, NULL, NULL, 0, 0},
    {0},
};

static const cp_onnx_function_row *function_of(cp_bytes op) {
    const cp_onnx_function_row *f = cp_onnx_functions;
    while (!cp_bytes_are(op, f->name)) f++;
    return f;
}

/* Adds a function to input 0, which keeps its order. */
static void set_function(cp_onnx_loader *l, cp_activation activation, float alpha, float beta) {
    const cp_order order = cp_onnx_order_of(cp_onnx_in(l, 0));
    const cp_node x = cp_onnx_want_in(l, 0, order);
    cp_onnx_set(l, 0, cp_net_activation_with(l->net, x, activation, alpha, beta), order);
}

void cp_onnx_function(cp_onnx_loader *l) {
    const cp_onnx_function_row *f = function_of(l->node->op);
    const float alpha = f->alpha ? cp_onnx_float_or(l, f->alpha, f->usual_alpha) : 0;
    const float beta = f->beta ? cp_onnx_float_or(l, f->beta, f->usual_beta) : 0;
    const bool none = alpha == 0 && beta == 0 && f->alpha; /* which our operators take for the usual ones */
    if (!none)
        set_function(l, f->activation, alpha, beta);
    else if (f->activation == CP_LEAKY_RELU || f->activation == CP_ELU || f->activation == CP_THRESHOLDED_RELU)
        set_function(l, CP_RELU, 0, 0);
    else
        cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "%s = 0 is not supported", f->alpha));
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
static cp_node broadcast_in(cp_onnx_loader *l, int i, int rank, cp_order order) {
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

static binary *binary_of(cp_bytes op) {
    static const struct {
        const char *name;
        binary *build;
    } binaries[] = {{"Add", cp_net_add}, {"Sub", cp_net_sub}, {"Mul", cp_net_mul}, {"Div", cp_net_div},
                    {"Min", cp_net_min}, {"Max", cp_net_max}, {"Sum", cp_net_add}, {"Mean", cp_net_add}};
    size_t i = 0;
    while (!cp_bytes_are(op, binaries[i].name)) i++;
    return binaries[i].build;
}

/* From left to right over all inputs; the mean divides what has come out. */
void cp_onnx_binary(cp_onnx_loader *l) {
    binary *build = binary_of(l->node->op);
    const int n = l->node->inputs;
    int rank;
    const cp_order order = cp_onnx_common_order(l, 0, n, &rank);
    cp_node y = broadcast_in(l, 0, rank, order);
    for (int i = 1; i < n; i++) y = build(l->net, y, broadcast_in(l, i, rank, order));
    if (cp_bytes_are(l->node->op, "Mean") && n > 1) {
        const float part = 1.0f / (float)n;
        const cp_tensor factor = cp_view(&part, CP_F32, (cp_shape){0});
        y = cp_net_mul(l->net, y, cp_net_constant(l->net, "part", &factor));
    }
    if (!cp_onnx_failed(l)) cp_onnx_set(l, 0, y, order);
}

/* The exponent may be of another type than what it is of. */
void cp_onnx_pow(cp_onnx_loader *l) {
    int rank;
    const cp_order order = cp_onnx_common_order(l, 0, 2, &rank);
    const cp_node x = broadcast_in(l, 0, rank, order), power = broadcast_in(l, 1, rank, order);
    const cp_type type = cp_net_type(l->net, x);
    const bool same = cp_net_type(l->net, power) == type;
    cp_onnx_set(l, 0, cp_net_pow(l->net, x, same ? power : cp_net_cast(l->net, power, type)), order);
}

/* --- comparisons --- */

static void relate(cp_onnx_loader *l, cp_relation relation) {
    int rank;
    const cp_order order = cp_onnx_common_order(l, 0, 2, &rank);
    const cp_node a = broadcast_in(l, 0, rank, order), b = broadcast_in(l, 1, rank, order);
    cp_onnx_set(l, 0, cp_net_compare(l->net, a, b, relation), order);
}

void cp_onnx_relation(cp_onnx_loader *l) {
    static const struct {
        const char *name;
        cp_relation relation;
    } relations[] = {{"Equal", CP_EQUAL},
                     {"Less", CP_LESS},
                     {"LessOrEqual", CP_LESS_OR_EQUAL},
                     {"Greater", CP_GREATER},
                     {"GreaterOrEqual", CP_GREATER_OR_EQUAL},
                     {"And", CP_AND},
                     {"Or", CP_OR},
                     {"Xor", CP_XOR}};
    for (size_t i = 0; i < sizeof relations / sizeof *relations; i++)
        if (cp_bytes_are(l->node->op, relations[i].name)) relate(l, relations[i].relation);
}

void cp_onnx_not(cp_onnx_loader *l) {
    const cp_order order = cp_onnx_order_of(cp_onnx_in(l, 0));
    cp_onnx_set(l, 0, cp_net_not(l->net, cp_onnx_want_in(l, 0, order)), order);
}

void cp_onnx_where(cp_onnx_loader *l) {
    cp_node in[3];
    int rank;
    const cp_order order = cp_onnx_common_order(l, 0, 3, &rank);
    for (int i = 0; i < 3; i++) in[i] = broadcast_in(l, i, rank, order);
    cp_onnx_set(l, 0, cp_net_where(l->net, in[0], in[1], in[2]), order);
}

/* The slope is broadcast to x, and not x to the slope. */
void cp_onnx_prelu(cp_onnx_loader *l) {
    int rank;
    const cp_onnx_value *x = cp_onnx_in(l, 0), *slope = cp_onnx_in(l, 1);
    if (slope->shape.rank > x->shape.rank) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "slope has %d dimensions, the input %d", slope->shape.rank, x->shape.rank));
        return;
    }
    const cp_order order = cp_onnx_common_order(l, 0, 1, &rank);
    const cp_node node = broadcast_in(l, 0, rank, order);
    cp_onnx_set(l, 0, cp_net_prelu_with(l->net, node, broadcast_in(l, 1, rank, order)), order);
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
