/* Bytes that stand for numbers: scale * (byte - zero). */
#include <inttypes.h>
#include <string.h>

#include "onnx/operators.h"

/* The axis of our value x along which there are several scales; any where there is one. */
static int scale_axis(cp_onnx_loader *l, const cp_onnx_value *x, cp_order order) {
    if (cp_onnx_int_or(l, "block_size", 0)) cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "block_size is not supported"));
    if (cp_shape_count(cp_onnx_in(l, 1)->shape) == 1) return 0;
    const int axis = cp_onnx_axis(l, cp_onnx_int_or(l, "axis", 1), x->shape.rank);
    for (int k = 0; k < x->shape.rank; k++)
        if (order.axis[k] == axis) return k;
    return 0;
}

/* The zero point, input 2. Without one bytes have no sign, or that of the type that was asked for. */
static cp_node zero_point(cp_onnx_loader *l) {
    static const int8_t nothing = 0;
    const cp_onnx_value *zero = cp_onnx_in(l, 2);
    const int type = zero ? zero->type : (int)cp_onnx_int_or(l, "output_dtype", CP_ONNX_UINT8);
    if (type != CP_ONNX_UINT8 && type != CP_ONNX_INT8)
        return cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "type %s not supported", cp_onnx_type_name(type)));
    if (zero) return cp_onnx_want_in(l, 2, cp_order_plain());
    const cp_tensor signed_zero = cp_view(&nothing, CP_I8, (cp_shape){0});
    return type == CP_ONNX_INT8 ? cp_net_constant(l->net, "zero", &signed_zero) : 0;
}

void cp_onnx_quantize_linear(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    const cp_order order = cp_onnx_order_of(x);
    const cp_node node = cp_onnx_want(l, x, order);
    const cp_node number = cp_net_type(l->net, node) == CP_I32 ? node : cp_net_cast(l->net, node, CP_F32);
    const cp_node scale = cp_onnx_want_in(l, 1, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_quantize(l->net, number, scale, zero_point(l), scale_axis(l, x, order)), order);
}

void cp_onnx_dequantize_linear(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    const cp_order order = cp_onnx_order_of(x);
    const cp_node scale = cp_onnx_want_in(l, 1, cp_order_plain()), zero = cp_onnx_want_in(l, 2, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_dequantize(l->net, cp_onnx_want(l, x, order), scale, zero, scale_axis(l, x, order)),
                order);
}

void cp_onnx_dynamic_quantize_linear(cp_onnx_loader *l) {
    const cp_order order = cp_onnx_order_of(cp_onnx_in(l, 0));
    cp_node scale, zero;
    cp_onnx_set(l, 0, cp_net_dynamic_quantize(l->net, cp_onnx_want_in(l, 0, order), &scale, &zero), order);
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
