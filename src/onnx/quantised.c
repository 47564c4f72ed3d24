/* Bytes that stand for numbers: scale * (byte - zero). */
#include <inttypes.h>
#include <string.h>

#include "onnx/operators.h"

static cp_node fail(cp_onnx_loader *l, cp_status status) {
    return cp_onnx_fail(l, status);
}

/* Input i, a scale or a zero point, as it is broadcast to x in an order: one number, or one for each position of an
 * axis. */
static cp_node parameter(cp_onnx_loader *l, int i, const char *what, const cp_onnx_value *x, int axis, cp_order order) {
    const cp_onnx_value *p = cp_onnx_in(l, i);
    const int64_t count = cp_shape_count(p->shape);
    cp_shape shape = {.rank = x->shape.rank};
    const cp_node node = cp_onnx_want_in(l, i, cp_order_plain());
    if (count == 1 && p->shape.rank <= 1) return cp_net_reshape(l->net, node, (cp_shape){0});
    if (p->shape.rank != 1 || axis < 0 || count != x->shape.dim[axis])
        return fail(l, cp_fail(CP_E_UNSUPPORTED, "%s must be one number, or one for each position of the axis", what));
    for (int k = 0; k < shape.rank; k++) shape.dim[k] = order.axis[k] == axis ? count : 1;
    return cp_net_reshape(l->net, node, shape);
}

/* The axis of scales that are several; it may be left out of what has none. */
static int scale_axis(cp_onnx_loader *l, const cp_onnx_value *x) {
    if (cp_shape_count(cp_onnx_in(l, 1)->shape) == 1) return -1;
    if (cp_onnx_int_or(l, "block_size", 0)) fail(l, cp_fail(CP_E_UNSUPPORTED, "block_size is not supported"));
    return cp_onnx_axis(l, "axis", cp_onnx_int_or(l, "axis", 1), x->shape.rank);
}

/* saturate(round(x / scale) + zero), halves to even */
static cp_node quantise(cp_net *net, cp_node x, cp_node scale, cp_node zero, cp_type type) {
    const bool is_signed = type == CP_I8;
    cp_node y = cp_net_activation(net, cp_net_div(net, x, scale), CP_ROUND);
    if (zero) y = cp_net_add(net, y, cp_net_cast(net, zero, CP_F32));
    y = cp_net_activation_with(net, y, CP_CLIP, is_signed ? -128 : 0, is_signed ? 127 : 255);
    return cp_net_cast(net, y, type);
}

void cp_onnx_quantize_linear(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    const cp_onnx_value *zero = cp_onnx_in(l, 2);
    const int type = zero ? zero->type : (int)cp_onnx_int_or(l, "output_dtype", CP_ONNX_UINT8);
    if (type != CP_ONNX_UINT8 && type != CP_ONNX_INT8) {
        fail(l, cp_fail(CP_E_UNSUPPORTED, "type %s not supported", cp_onnx_type_name(type)));
        return;
    }
    const int axis = scale_axis(l, x);
    const cp_order order = cp_onnx_order_of(x);
    const cp_node number = cp_net_cast(l->net, cp_onnx_want(l, x, order), CP_F32);
    const cp_node scale = parameter(l, 1, "scale", x, axis, order);
    const cp_node offset = zero ? parameter(l, 2, "zero point", x, axis, order) : 0;
    cp_onnx_set(l, 0, quantise(l->net, number, scale, offset, type == CP_ONNX_INT8 ? CP_I8 : CP_U8), order);
}

void cp_onnx_dequantize_linear(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    const int axis = scale_axis(l, x);
    const cp_order order = cp_onnx_order_of(x);
    cp_node y = cp_net_cast(l->net, cp_onnx_want(l, x, order), CP_F32);
    const cp_node scale = parameter(l, 1, "scale", x, axis, order);
    if (cp_onnx_in(l, 2))
        y = cp_net_sub(l->net, y, cp_net_cast(l->net, parameter(l, 2, "zero point", x, axis, order), CP_F32));
    cp_onnx_set(l, 0, cp_net_mul(l->net, y, scale), order);
}

/* Scale and zero point from the least and the largest number, among them 0. */
void cp_onnx_dynamic_quantize_linear(cp_onnx_loader *l) {
    cp_net *net = l->net;
    const float none = 0, steps = 255;
    const cp_tensor zero_view = cp_view(&none, CP_F32, (cp_shape){0}),
                    steps_view = cp_view(&steps, CP_F32, (cp_shape){0});
    const cp_order order = cp_onnx_order_of(cp_onnx_in(l, 0));
    const cp_node x = cp_onnx_want_in(l, 0, order), nothing = cp_net_constant(net, "zero", &zero_view);
    const cp_node low = cp_net_reduce(net, x, CP_REDUCE_MIN, NULL, 0, false);
    const cp_node high = cp_net_reduce(net, x, CP_REDUCE_MAX, NULL, 0, false);
    const cp_node least = cp_net_min(net, cp_net_reshape(net, low, (cp_shape){0}), nothing);
    const cp_node most = cp_net_max(net, cp_net_reshape(net, high, (cp_shape){0}), nothing);
    const cp_node scale = cp_net_div(net, cp_net_sub(net, most, least), cp_net_constant(net, "steps", &steps_view));
    const cp_node zero = quantise(net, cp_net_sub(net, nothing, least), scale, 0, CP_U8);
    cp_onnx_set(l, 0, quantise(net, x, scale, zero, CP_U8), order);
    cp_onnx_set(l, 1, scale, cp_order_plain());
    cp_onnx_set(l, 2, zero, cp_order_plain());
}

/* --- convolutions and products with exact sums --- */

static cp_quantised quantised(cp_onnx_loader *l, int first, cp_node value) {
    return (cp_quantised){value, cp_onnx_want_in(l, first, cp_order_plain()),
                          cp_onnx_want_in(l, first + 1, cp_order_plain())};
}

void cp_onnx_conv_integer(cp_onnx_loader *l) {
    cp_conv conv;
    if (!cp_onnx_read_conv(l, 1, false, &conv)) return;
    const int rank = cp_onnx_in(l, 0)->shape.rank;
    const cp_node x = cp_onnx_want_last(l, 0), w = cp_onnx_want_in(l, 1, cp_onnx_order_of_weights(rank));
    const cp_node x_zero = cp_onnx_want_in(l, 2, cp_order_plain()), w_zero = cp_onnx_want_in(l, 3, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_conv_integer(l->net, x, w, x_zero, w_zero, &conv), cp_order_channels_last(rank));
}

void cp_onnx_qlinear_conv(cp_onnx_loader *l) {
    cp_conv conv;
    if (!cp_onnx_read_conv(l, 3, false, &conv)) return;
    const int rank = cp_onnx_in(l, 0)->shape.rank;
    const cp_quantised x = quantised(l, 1, cp_onnx_want_last(l, 0));
    const cp_quantised w = quantised(l, 4, cp_onnx_want_in(l, 3, cp_onnx_order_of_weights(rank)));
    const cp_quantised y = quantised(l, 6, 0);
    const cp_node b = cp_onnx_want_in(l, 8, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_qlinear_conv(l->net, &x, &w, b, &y, &conv), cp_order_channels_last(rank));
}

void cp_onnx_matmul_integer(cp_onnx_loader *l) {
    cp_node in[4];
    for (int i = 0; i < 4; i++) in[i] = cp_onnx_want_in(l, i, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_matmul_integer(l->net, in[0], in[1], in[2], in[3]), cp_order_plain());
}

void cp_onnx_qlinear_matmul(cp_onnx_loader *l) {
    const cp_quantised a = quantised(l, 1, cp_onnx_want_in(l, 0, cp_order_plain()));
    const cp_quantised b = quantised(l, 4, cp_onnx_want_in(l, 3, cp_order_plain())), y = quantised(l, 6, 0);
    cp_onnx_set(l, 0, cp_net_qlinear_matmul(l->net, &a, &b, &y), cp_order_plain());
}
