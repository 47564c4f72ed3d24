/* Every algorithm, each defined in the file of its kind; algos.c puts them into tables. */
#ifndef CP_ALGOS_H
#define CP_ALGOS_H

#include "plan/plan.h"

/* direct.c, weight_gradient.c */
extern const cp_algo cp_algo_direct, cp_algo_direct_input_gradient, cp_algo_outer_weight_gradient;
/* winograd.c */
extern const cp_algo cp_algo_winograd_4x4_3x3, cp_algo_winograd_4x4_3x3_input_gradient;
extern const cp_algo cp_algo_winograd_2x2_3x3, cp_algo_winograd_2x2_3x3_input_gradient;
extern const cp_algo cp_algo_winograd_2x2_5x5, cp_algo_winograd_2x2_5x5_input_gradient;
extern const cp_algo cp_algo_winograd_4_3, cp_algo_winograd_4_3_input_gradient;
/* winograd_weight_gradient.c */
extern const cp_algo cp_algo_winograd_4x4_3x3_weight_gradient, cp_algo_winograd_2x2_3x3_weight_gradient;
extern const cp_algo cp_algo_winograd_2x2_5x5_weight_gradient, cp_algo_winograd_4_3_weight_gradient;
/* few_filters.c */
extern const cp_algo cp_algo_few_filters, cp_algo_few_filters_input_gradient;
/* bf16.c */
extern const cp_algo cp_algo_bf16;
/* integer.c */
extern const cp_algo cp_algo_conv_integer_bytes, cp_algo_conv_integer_shorts;
/* depthwise.c */
extern const cp_algo cp_algo_grouped, cp_algo_grouped_input_gradient;
extern const cp_algo cp_algo_depthwise, cp_algo_depthwise_input_gradient, cp_algo_depthwise_weight_gradient;
/* local.c */
extern const cp_algo cp_algo_local_conv_rows, cp_algo_local_conv_input_gradient_rows;
extern const cp_algo cp_algo_local_conv_weight_gradient_rows;
/* deform.c */
extern const cp_algo cp_algo_deform_conv_columns, cp_algo_deform_conv_input_gradient_corners;
extern const cp_algo cp_algo_deform_conv_weight_gradient_columns, cp_algo_deform_conv_offset_gradient_corners;
/* im2col.c */
extern const cp_algo cp_algo_im2col_rows, cp_algo_col2im_gather;
/* shuffle.c */
extern const cp_algo cp_algo_depth_to_space_blocks, cp_algo_space_to_depth_blocks;
/* sampling.c */
extern const cp_algo cp_algo_sample_rows, cp_algo_sample_lists, cp_algo_sample_gradient_lists;
/* pool.c */
extern const cp_algo cp_algo_max_pool_rows, cp_algo_max_pool_gather;
extern const cp_algo cp_algo_average_pool_rows, cp_algo_average_pool_gather;
/* byte_pool.c */
extern const cp_algo cp_algo_max_pool_bytes, cp_algo_average_pool_bytes;
/* box_pool.c */
extern const cp_algo cp_algo_lp_pool_boxes, cp_algo_lp_pool_gather;
extern const cp_algo cp_algo_stochastic_pool_boxes, cp_algo_stochastic_pool_gather;
/* unpool.c */
extern const cp_algo cp_algo_max_pool_positions_offsets;
extern const cp_algo cp_algo_max_unpool_scatter, cp_algo_max_unpool_gradient_gather;
/* Share 0's look at the positions in[1]: the first outside 0 .. limit - 1 is a fault. */
void cp_check_positions(const cp_call *call, int64_t limit);
/* span_pool.c */
extern const cp_algo cp_algo_span_max_pool_boxes, cp_algo_position_gradient_scatter;
/* Channels first .. last - 1 of an output that is the maximum of a box (of steps 1) of the image x, as y and position
 * (of the pixel; -1 where the box is empty, with y = nothing): those of channel 0, or NULL. */
void cp_max_of_box(const cp_kernels *kernels, const cp_box *box, const float *x, int64_t C, int64_t first, int64_t last,
                   float nothing, float *y, int32_t *position);
extern const cp_algo cp_algo_adaptive_average_pool_boxes, cp_algo_adaptive_average_pool_gather;
/* roi.c */
extern const cp_algo cp_algo_max_roi_pool_bins, cp_algo_max_roi_pool_gradient_scatter;
extern const cp_algo cp_algo_roi_align_points, cp_algo_roi_align_gradient_scatter;
/* Share 0's look at the regions in[i]: the first of an image that is not one of `images` is a fault. */
void cp_check_rois(const cp_call *call, int i, int64_t images);
/* elementwise.c */
extern const cp_algo cp_algo_activation_vector, cp_algo_activation_gradient_vector;
extern const cp_algo cp_algo_dropout_blocks;
/* binary.c, axes.c */
extern const cp_algo cp_algo_binary_rows, cp_algo_binary_gradient_rows;
extern const cp_algo cp_algo_reduce_blocks, cp_algo_reduce_gradient_blocks;
extern const cp_algo cp_algo_concat_rows;
/* move.c */
extern const cp_algo cp_algo_move_copies, cp_algo_move_gradient_copies;
/* gather.c */
extern const cp_algo cp_algo_gather_rows, cp_algo_gather_gradient_rows;
/* Share 0's look at the indices: the first outside is a fault. */
void cp_check_indices(const cp_call *call, int64_t size);
/* cast.c */
extern const cp_algo cp_algo_cast_loops;
/* select.c */
extern const cp_algo cp_algo_relation_rows, cp_algo_where_rows;
/* quantise.c */
extern const cp_algo cp_algo_quantize_rows, cp_algo_dequantize_rows, cp_algo_dynamic_quantize_parts;
/* order.c */
extern const cp_algo cp_algo_arg_rows, cp_algo_top_k_heaps, cp_algo_cumulative_sum_rows;
/* matmul.c */
extern const cp_algo cp_algo_matmul_panels;
/* norm.c */
extern const cp_algo cp_algo_norm_groups, cp_algo_norm_input_gradient_groups, cp_algo_norm_scale_gradient_channels;
extern const cp_algo cp_algo_lrn_rows, cp_algo_lrn_gradient_rows;
/* softmax.c */
extern const cp_algo cp_algo_softmax_rows, cp_algo_softmax_gradient_rows;
extern const cp_algo cp_algo_softmax_cross_entropy_rows, cp_algo_softmax_cross_entropy_gradient_rows;
/* reduce.c */
extern const cp_algo cp_algo_bias_gradient_columns;
/* loss.c: all losses but the cross-entropy, which softmax.c has */
extern const cp_algo cp_algo_loss_parts, cp_algo_loss_gradient_parts;

/* reference.c: one per operation, any problem */
extern const cp_algo cp_algo_conv_reference, cp_algo_conv_input_gradient_reference;
extern const cp_algo cp_algo_conv_weight_gradient_reference, cp_algo_bias_gradient_reference;
extern const cp_algo cp_algo_conv_integer_reference;
extern const cp_algo cp_algo_local_conv_reference, cp_algo_local_conv_input_gradient_reference;
extern const cp_algo cp_algo_local_conv_weight_gradient_reference;
extern const cp_algo cp_algo_deform_conv_reference, cp_algo_deform_conv_input_gradient_reference;
extern const cp_algo cp_algo_deform_conv_weight_gradient_reference, cp_algo_deform_conv_offset_gradient_reference;
extern const cp_algo cp_algo_im2col_reference, cp_algo_col2im_reference;
extern const cp_algo cp_algo_depth_to_space_reference, cp_algo_space_to_depth_reference;
extern const cp_algo cp_algo_sample_reference, cp_algo_sample_gradient_reference;
extern const cp_algo cp_algo_max_pool_reference, cp_algo_max_pool_gradient_reference;
extern const cp_algo cp_algo_lp_pool_reference, cp_algo_lp_pool_gradient_reference;
extern const cp_algo cp_algo_stochastic_pool_reference, cp_algo_stochastic_pool_gradient_reference;
extern const cp_algo cp_algo_max_pool_positions_reference, cp_algo_max_unpool_reference;
extern const cp_algo cp_algo_max_unpool_gradient_reference;
extern const cp_algo cp_algo_span_max_pool_reference, cp_algo_position_gradient_reference;
extern const cp_algo cp_algo_adaptive_average_pool_reference, cp_algo_adaptive_average_pool_gradient_reference;
extern const cp_algo cp_algo_average_pool_reference, cp_algo_average_pool_gradient_reference;
extern const cp_algo cp_algo_max_roi_pool_reference, cp_algo_max_roi_pool_gradient_reference;
extern const cp_algo cp_algo_roi_align_reference, cp_algo_roi_align_gradient_reference;
extern const cp_algo cp_algo_activation_reference, cp_algo_activation_gradient_reference;
extern const cp_algo cp_algo_softmax_reference, cp_algo_softmax_gradient_reference;
extern const cp_algo cp_algo_binary_reference, cp_algo_binary_gradient_reference, cp_algo_dropout_reference;
extern const cp_algo cp_algo_norm_reference, cp_algo_norm_input_gradient_reference;
extern const cp_algo cp_algo_norm_scale_gradient_reference, cp_algo_lrn_reference, cp_algo_lrn_gradient_reference;
extern const cp_algo cp_algo_reduce_reference, cp_algo_reduce_gradient_reference;
extern const cp_algo cp_algo_concat_reference, cp_algo_move_reference, cp_algo_move_gradient_reference;
extern const cp_algo cp_algo_gather_reference, cp_algo_gather_gradient_reference, cp_algo_cast_reference;
extern const cp_algo cp_algo_relation_reference, cp_algo_where_reference, cp_algo_matmul_reference;
extern const cp_algo cp_algo_quantize_reference, cp_algo_dequantize_reference, cp_algo_dynamic_quantize_reference;
extern const cp_algo cp_algo_arg_reference, cp_algo_top_k_reference, cp_algo_cumulative_sum_reference;
extern const cp_algo cp_algo_gather_elements_reference, cp_algo_gather_elements_gradient_reference;
extern const cp_algo cp_algo_softmax_cross_entropy_reference, cp_algo_softmax_cross_entropy_gradient_reference;
extern const cp_algo cp_algo_loss_reference, cp_algo_loss_gradient_reference;
extern const cp_algo cp_algo_mean_squared_error_reference, cp_algo_mean_squared_error_gradient_reference;

#endif
