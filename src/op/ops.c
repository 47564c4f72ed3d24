/* The operator table: every operation that a net can have, by name. */
#include "op/op.h"

#include <string.h>

#define BINARY(id, ...) &cp_op_##id, &cp_op_##id##_first_gradient, &cp_op_##id##_second_gradient,
#define RELATION(value, id, word) &cp_op_##id,
#define ACTIVATION(name, identifier, ...) &cp_op_##identifier, &cp_op_##identifier##_gradient,

static const cp_op *const table[] = {
    &cp_op_conv,
    &cp_op_conv_input_gradient,
    &cp_op_conv_weight_gradient,
    &cp_op_conv_transpose,
    &cp_op_conv_transpose_input_gradient,
    &cp_op_conv_transpose_weight_gradient,
    &cp_op_local_conv,
    &cp_op_local_conv_input_gradient,
    &cp_op_local_conv_weight_gradient,
    &cp_op_deform_conv,
    &cp_op_deform_conv_input_gradient,
    &cp_op_deform_conv_weight_gradient,
    &cp_op_deform_conv_offset_gradient,
    &cp_op_im2col,
    &cp_op_col2im,
    &cp_op_depth_to_space,
    &cp_op_space_to_depth,
    &cp_op_pad,
    &cp_op_pad_gradient,
    &cp_op_resize,
    &cp_op_resize_gradient,
    &cp_op_dense,
    &cp_op_dense_input_gradient,
    &cp_op_dense_weight_gradient,
    &cp_op_bias_gradient,
    &cp_op_max_pool,
    &cp_op_max_pool_gradient,
    &cp_op_average_pool,
    &cp_op_average_pool_gradient,
    &cp_op_lp_pool,
    &cp_op_lp_pool_gradient,
    &cp_op_stochastic_pool,
    &cp_op_stochastic_pool_gradient,
    &cp_op_max_pool_positions,
    &cp_op_max_unpool,
    &cp_op_max_unpool_gradient,
    &cp_op_adaptive_max_pool,
    &cp_op_adaptive_average_pool,
    &cp_op_adaptive_average_pool_gradient,
    &cp_op_fractional_max_pool,
    &cp_op_position_gradient,
    &cp_op_max_roi_pool,
    &cp_op_max_roi_pool_gradient,
    &cp_op_roi_align,
    &cp_op_roi_align_gradient,
    &cp_op_softmax,
    &cp_op_softmax_gradient,
    &cp_op_log_softmax,
    &cp_op_log_softmax_gradient,
    &cp_op_dropout,
    &cp_op_batch_norm,
    &cp_op_batch_norm_input_gradient,
    &cp_op_layer_norm,
    &cp_op_group_norm,
    &cp_op_instance_norm,
    &cp_op_norm_input_gradient,
    &cp_op_norm_scale_gradient,
    &cp_op_lrn,
    &cp_op_lrn_gradient,
    &cp_op_reduce,
    &cp_op_reduce_gradient,
    &cp_op_concat,
    &cp_op_transpose,
    &cp_op_expand,
    &cp_op_slice,
    &cp_op_slice_gradient,
    &cp_op_gather,
    &cp_op_gather_gradient,
    &cp_op_gather_elements,
    &cp_op_gather_elements_gradient,
    &cp_op_cast,
    /* clang-format off */
    CP_RELATIONS(RELATION)
        /* clang-format on */
        & cp_op_where,
    &cp_op_matmul,
    &cp_op_arg_max,
    &cp_op_arg_min,
    &cp_op_top_k,
    &cp_op_cumulative_sum,
    &cp_op_quantize,
    &cp_op_dequantize,
    &cp_op_dynamic_quantize,
    &cp_op_conv_integer,
    &cp_op_matmul_integer,
    &cp_op_flatten,
    &cp_op_reshape,
    /* clang-format off */
    CP_ACTIVATIONS(ACTIVATION)
    CP_BINARIES(BINARY)
    &cp_op_softmax_cross_entropy,
    /* clang-format on */
    &cp_op_softmax_cross_entropy_gradient,
    &cp_op_mean_squared_error,
    &cp_op_mean_squared_error_gradient,
    &cp_op_binary_cross_entropy,
    &cp_op_binary_cross_entropy_gradient,
    &cp_op_huber,
    &cp_op_huber_gradient,
    &cp_op_focal,
    &cp_op_focal_gradient,
    &cp_op_hinge,
    &cp_op_hinge_gradient,
};
enum { COUNT = sizeof table / sizeof *table };

const cp_op *cp_op_at(int i) {
    return i >= 0 && i < COUNT ? table[i] : NULL;
}

const cp_op *cp_op_find(const char *name) {
    for (int i = 0; i < COUNT; i++)
        if (strcmp(table[i]->name, name) == 0) return table[i];
    return NULL;
}
