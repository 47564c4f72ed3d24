/* The tables of algorithms: for each operation those that may be taken, of equally cheap ones the first; the reference
 * is last and solves every problem. */
#include "plan/algos.h"

#define TABLE(op, ...) const cp_algo *const cp_algos_##op[] = {__VA_ARGS__, NULL}

TABLE(conv, &cp_algo_depthwise, &cp_algo_grouped, &cp_algo_few_filters, &cp_algo_winograd_4x4_3x3,
      &cp_algo_winograd_2x2_3x3, &cp_algo_winograd_2x2_5x5, &cp_algo_winograd_4_3, &cp_algo_direct,
      &cp_algo_conv_reference);
TABLE(conv_input_gradient, &cp_algo_depthwise_input_gradient, &cp_algo_grouped_input_gradient,
      &cp_algo_few_filters_input_gradient, &cp_algo_winograd_4x4_3x3_input_gradient,
      &cp_algo_winograd_2x2_3x3_input_gradient, &cp_algo_winograd_2x2_5x5_input_gradient,
      &cp_algo_winograd_4_3_input_gradient, &cp_algo_direct_input_gradient, &cp_algo_conv_input_gradient_reference);
TABLE(conv_weight_gradient, &cp_algo_depthwise_weight_gradient, &cp_algo_winograd_4x4_3x3_weight_gradient,
      &cp_algo_winograd_2x2_3x3_weight_gradient, &cp_algo_winograd_2x2_5x5_weight_gradient,
      &cp_algo_winograd_4_3_weight_gradient, &cp_algo_outer_weight_gradient, &cp_algo_conv_weight_gradient_reference);
/* A dense layer has no groups. */
TABLE(dense, &cp_algo_direct, &cp_algo_bf16, &cp_algo_conv_reference);
TABLE(dense_input_gradient, &cp_algo_direct_input_gradient, &cp_algo_conv_input_gradient_reference);
TABLE(dense_weight_gradient, &cp_algo_outer_weight_gradient, &cp_algo_conv_weight_gradient_reference);
TABLE(bias_gradient, &cp_algo_bias_gradient_columns, &cp_algo_bias_gradient_reference);

TABLE(conv_integer, &cp_algo_conv_integer_bytes, &cp_algo_conv_integer_shorts, &cp_algo_conv_integer_reference);
TABLE(local_conv, &cp_algo_local_conv_rows, &cp_algo_local_conv_reference);
TABLE(local_conv_input_gradient, &cp_algo_local_conv_input_gradient_rows, &cp_algo_local_conv_input_gradient_reference);
TABLE(local_conv_weight_gradient, &cp_algo_local_conv_weight_gradient_rows,
      &cp_algo_local_conv_weight_gradient_reference);
TABLE(deform_conv, &cp_algo_deform_conv_columns, &cp_algo_deform_conv_reference);
TABLE(deform_conv_input_gradient, &cp_algo_deform_conv_input_gradient_corners,
      &cp_algo_deform_conv_input_gradient_reference);
TABLE(deform_conv_weight_gradient, &cp_algo_deform_conv_weight_gradient_columns,
      &cp_algo_deform_conv_weight_gradient_reference);
TABLE(deform_conv_offset_gradient, &cp_algo_deform_conv_offset_gradient_corners,
      &cp_algo_deform_conv_offset_gradient_reference);
TABLE(im2col, &cp_algo_im2col_rows, &cp_algo_im2col_reference);
TABLE(col2im, &cp_algo_col2im_gather, &cp_algo_col2im_reference);
TABLE(depth_to_space, &cp_algo_depth_to_space_blocks, &cp_algo_depth_to_space_reference);
TABLE(space_to_depth, &cp_algo_space_to_depth_blocks, &cp_algo_space_to_depth_reference);
TABLE(sample, &cp_algo_sample_rows, &cp_algo_sample_lists, &cp_algo_sample_reference);
TABLE(sample_gradient, &cp_algo_sample_gradient_lists, &cp_algo_sample_gradient_reference);

TABLE(max_pool, &cp_algo_max_pool_rows, &cp_algo_max_pool_bytes, &cp_algo_max_pool_reference);
TABLE(max_pool_gradient, &cp_algo_max_pool_gather, &cp_algo_max_pool_gradient_reference);
TABLE(average_pool, &cp_algo_average_pool_rows, &cp_algo_average_pool_bytes, &cp_algo_average_pool_reference);
TABLE(average_pool_gradient, &cp_algo_average_pool_gather, &cp_algo_average_pool_gradient_reference);

TABLE(lp_pool, &cp_algo_lp_pool_boxes, &cp_algo_lp_pool_reference);
TABLE(lp_pool_gradient, &cp_algo_lp_pool_gather, &cp_algo_lp_pool_gradient_reference);
TABLE(stochastic_pool, &cp_algo_stochastic_pool_boxes, &cp_algo_stochastic_pool_reference);
TABLE(stochastic_pool_gradient, &cp_algo_stochastic_pool_gather, &cp_algo_stochastic_pool_gradient_reference);
TABLE(max_pool_positions, &cp_algo_max_pool_positions_offsets, &cp_algo_max_pool_positions_reference);
TABLE(max_unpool, &cp_algo_max_unpool_scatter, &cp_algo_max_unpool_reference);
TABLE(max_unpool_gradient, &cp_algo_max_unpool_gradient_gather, &cp_algo_max_unpool_gradient_reference);
TABLE(span_max_pool, &cp_algo_span_max_pool_boxes, &cp_algo_span_max_pool_reference);
TABLE(position_gradient, &cp_algo_position_gradient_scatter, &cp_algo_position_gradient_reference);
TABLE(adaptive_average_pool, &cp_algo_adaptive_average_pool_boxes, &cp_algo_adaptive_average_pool_reference);
TABLE(adaptive_average_pool_gradient, &cp_algo_adaptive_average_pool_gather,
      &cp_algo_adaptive_average_pool_gradient_reference);

TABLE(max_roi_pool, &cp_algo_max_roi_pool_bins, &cp_algo_max_roi_pool_reference);
TABLE(max_roi_pool_gradient, &cp_algo_max_roi_pool_gradient_scatter, &cp_algo_max_roi_pool_gradient_reference);
TABLE(roi_align, &cp_algo_roi_align_points, &cp_algo_roi_align_reference);
TABLE(roi_align_gradient, &cp_algo_roi_align_gradient_scatter, &cp_algo_roi_align_gradient_reference);

TABLE(activation, &cp_algo_activation_vector, &cp_algo_activation_reference);
TABLE(activation_gradient, &cp_algo_activation_gradient_vector, &cp_algo_activation_gradient_reference);
TABLE(binary, &cp_algo_binary_rows, &cp_algo_binary_reference);
TABLE(binary_gradient, &cp_algo_binary_gradient_rows, &cp_algo_binary_gradient_reference);
TABLE(reduce, &cp_algo_reduce_blocks, &cp_algo_reduce_reference);
TABLE(reduce_gradient, &cp_algo_reduce_gradient_blocks, &cp_algo_reduce_gradient_reference);
TABLE(norm, &cp_algo_norm_groups, &cp_algo_norm_reference);
TABLE(norm_input_gradient, &cp_algo_norm_input_gradient_groups, &cp_algo_norm_input_gradient_reference);
TABLE(norm_scale_gradient, &cp_algo_norm_scale_gradient_channels, &cp_algo_norm_scale_gradient_reference);
TABLE(lrn, &cp_algo_lrn_rows, &cp_algo_lrn_reference);
TABLE(lrn_gradient, &cp_algo_lrn_gradient_rows, &cp_algo_lrn_gradient_reference);
TABLE(concat, &cp_algo_concat_rows, &cp_algo_concat_reference);
TABLE(move, &cp_algo_move_copies, &cp_algo_move_reference);
TABLE(move_gradient, &cp_algo_move_gradient_copies, &cp_algo_move_gradient_reference);
TABLE(gather, &cp_algo_gather_rows, &cp_algo_gather_reference);
TABLE(gather_gradient, &cp_algo_gather_gradient_rows, &cp_algo_gather_gradient_reference);
TABLE(gather_elements, &cp_algo_gather_elements_reference);
TABLE(gather_elements_gradient, &cp_algo_gather_elements_gradient_reference);
TABLE(cast, &cp_algo_cast_loops, &cp_algo_cast_reference);
TABLE(relation, &cp_algo_relation_rows, &cp_algo_relation_reference);
TABLE(where, &cp_algo_where_rows, &cp_algo_where_reference);
TABLE(matmul, &cp_algo_matmul_panels, &cp_algo_matmul_reference);
TABLE(arg, &cp_algo_arg_rows, &cp_algo_arg_reference);
TABLE(top_k, &cp_algo_top_k_heaps, &cp_algo_top_k_reference);
TABLE(quantize, &cp_algo_quantize_rows, &cp_algo_quantize_reference);
TABLE(dequantize, &cp_algo_dequantize_rows, &cp_algo_dequantize_reference);
TABLE(dynamic_quantize, &cp_algo_dynamic_quantize_parts, &cp_algo_dynamic_quantize_reference);
TABLE(cumulative_sum, &cp_algo_cumulative_sum_rows, &cp_algo_cumulative_sum_reference);
TABLE(dropout, &cp_algo_dropout_blocks, &cp_algo_dropout_reference);

TABLE(softmax, &cp_algo_softmax_rows, &cp_algo_softmax_reference);
TABLE(softmax_gradient, &cp_algo_softmax_gradient_rows, &cp_algo_softmax_gradient_reference);
TABLE(softmax_cross_entropy, &cp_algo_softmax_cross_entropy_rows, &cp_algo_softmax_cross_entropy_reference);
TABLE(softmax_cross_entropy_gradient, &cp_algo_softmax_cross_entropy_gradient_rows,
      &cp_algo_softmax_cross_entropy_gradient_reference);
TABLE(mean_squared_error, &cp_algo_loss_parts, &cp_algo_mean_squared_error_reference);
TABLE(mean_squared_error_gradient, &cp_algo_loss_gradient_parts, &cp_algo_mean_squared_error_gradient_reference);
TABLE(loss, &cp_algo_loss_parts, &cp_algo_loss_reference);
TABLE(loss_gradient, &cp_algo_loss_gradient_parts, &cp_algo_loss_gradient_reference);
