/* What the translations of single operators share. */
#ifndef CP_ONNX_OPERATORS_H
#define CP_ONNX_OPERATORS_H

#include "onnx/onnx.h"

/* windows.c: a convolution's attributes, with all sizes checked; and the order of its weights: kernel, I, O. */
bool cp_onnx_read_conv(cp_onnx_loader *l, int weight, bool transposed, cp_conv *conv);
cp_order cp_onnx_order_of_weights(int rank);

/* elements.c: an order that suits n inputs which are broadcast against each other, first the input `first`, to `rank`
 * axes. */
cp_order cp_onnx_common_order(cp_onnx_loader *l, int first, int n, int *rank);

/* name, least and most inputs (-1: any number), most outputs, attributes, function, our operations that it becomes. */
#define CP_ONNX_OPERATORS(X)                                                                                           \
    X("Conv", 2, 3, 1, "auto_pad dilations group kernel_shape pads strides", cp_onnx_conv, "conv")                     \
    X("ConvTranspose", 2, 3, 1, "auto_pad dilations group kernel_shape output_padding output_shape pads strides",      \
      cp_onnx_conv_transpose, "conv-transpose")                                                                        \
    X("MaxPool", 1, 1, 2, "auto_pad ceil_mode dilations kernel_shape pads storage_order strides", cp_onnx_max_pool,    \
      "max-pool")                                                                                                      \
    X("AveragePool", 1, 1, 1, "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides",              \
      cp_onnx_average_pool, "avg-pool")                                                                                \
    X("LpPool", 1, 1, 1, "auto_pad ceil_mode dilations kernel_shape p pads strides", cp_onnx_lp_pool, "lp-pool")       \
    X("GlobalAveragePool", 1, 1, 1, "", cp_onnx_global_average_pool, "avg-pool")                                       \
    X("GlobalMaxPool", 1, 1, 1, "", cp_onnx_global_max_pool, "max-pool")                                               \
    X("GlobalLpPool", 1, 1, 1, "p", cp_onnx_global_lp_pool, "lp-pool")                                                 \
    X("Relu", 1, 1, 1, "", cp_onnx_function, "relu")                                                                   \
    X("LeakyRelu", 1, 1, 1, "alpha", cp_onnx_function, "leaky-relu")                                                   \
    X("Elu", 1, 1, 1, "alpha", cp_onnx_function, "elu")                                                                \
    X("Selu", 1, 1, 1, "alpha gamma", cp_onnx_function, "selu")                                                        \
    X("Celu", 1, 1, 1, "alpha", cp_onnx_function, "celu")                                                              \
    X("Sigmoid", 1, 1, 1, "", cp_onnx_function, "sigmoid")                                                             \
    X("HardSigmoid", 1, 1, 1, "alpha beta", cp_onnx_function, "hard-sigmoid")                                          \
    X("HardSwish", 1, 1, 1, "", cp_onnx_function, "hard-swish")                                                        \
    X("Mish", 1, 1, 1, "", cp_onnx_function, "mish")                                                                   \
    X("Tanh", 1, 1, 1, "", cp_onnx_function, "tanh")                                                                   \
    X("Softplus", 1, 1, 1, "", cp_onnx_function, "softplus")                                                           \
    X("Softsign", 1, 1, 1, "", cp_onnx_function, "softsign")                                                           \
    X("Gelu", 1, 1, 1, "approximate", cp_onnx_gelu, "gelu gelu-tanh")                                                  \
    X("Clip", 1, 3, 1, "max min", cp_onnx_clip, "clip min max")                                                        \
    X("PRelu", 2, 2, 1, "", cp_onnx_prelu, "prelu")                                                                    \
    X("Add", 2, 2, 1, "", cp_onnx_binary, "add")                                                                       \
    X("Sub", 2, 2, 1, "", cp_onnx_binary, "sub")                                                                       \
    X("Mul", 2, 2, 1, "", cp_onnx_binary, "mul")                                                                       \
    X("Div", 2, 2, 1, "", cp_onnx_binary, "div")                                                                       \
    X("Pow", 2, 2, 1, "", cp_onnx_pow, "pow")                                                                          \
    X("Min", 1, -1, 1, "", cp_onnx_binary, "min")                                                                      \
    X("Max", 1, -1, 1, "", cp_onnx_binary, "max")                                                                      \
    X("Sum", 1, -1, 1, "", cp_onnx_binary, "add")                                                                      \
    X("Mean", 1, -1, 1, "", cp_onnx_binary, "add mul")                                                                 \
    X("Softmax", 1, 1, 1, "axis", cp_onnx_softmax, "softmax")                                                          \
    X("ReduceSum", 1, 2, 1, "axes keepdims noop_with_empty_axes", cp_onnx_reduce, "reduce")                            \
    X("ReduceMean", 1, 2, 1, "axes keepdims noop_with_empty_axes", cp_onnx_reduce, "reduce")                           \
    X("ReduceMax", 1, 2, 1, "axes keepdims noop_with_empty_axes", cp_onnx_reduce, "reduce")                            \
    X("ReduceMin", 1, 2, 1, "axes keepdims noop_with_empty_axes", cp_onnx_reduce, "reduce")                            \
    X("ReduceProd", 1, 2, 1, "axes keepdims noop_with_empty_axes", cp_onnx_reduce, "reduce")                           \
    X("ReduceL1", 1, 2, 1, "axes keepdims noop_with_empty_axes", cp_onnx_reduce, "reduce")                             \
    X("ReduceL2", 1, 2, 1, "axes keepdims noop_with_empty_axes", cp_onnx_reduce, "reduce")                             \
    X("Gemm", 2, 3, 1, "alpha beta transA transB", cp_onnx_gemm, "dense mul add")                                      \
    X("BatchNormalization", 5, 5, 5, "epsilon momentum spatial training_mode", cp_onnx_batch_normalization,            \
      "batch-norm")                                                                                                    \
    X("InstanceNormalization", 3, 3, 1, "epsilon", cp_onnx_instance_normalization, "instance-norm")                    \
    X("LRN", 1, 1, 1, "alpha beta bias size", cp_onnx_lrn, "lrn")                                                      \
    X("Reshape", 2, 2, 1, "allowzero", cp_onnx_reshape, "reshape")                                                     \
    X("Flatten", 1, 1, 1, "axis", cp_onnx_flatten, "reshape")                                                          \
    X("Squeeze", 1, 2, 1, "axes", cp_onnx_squeeze, "reshape")                                                          \
    X("Unsqueeze", 1, 2, 1, "axes", cp_onnx_unsqueeze, "reshape")                                                      \
    X("Transpose", 1, 1, 1, "perm", cp_onnx_transpose, "transpose")                                                    \
    X("Concat", 1, -1, 1, "axis", cp_onnx_concat, "concat")                                                            \
    X("Split", 1, 2, -1, "axis num_outputs split", cp_onnx_split, "slice")                                             \
    X("Slice", 1, 5, 1, "axes ends starts", cp_onnx_slice, "slice")                                                    \
    X("Gather", 2, 2, 1, "axis", cp_onnx_gather, "gather")                                                             \
    X("GatherElements", 2, 2, 1, "axis", cp_onnx_gather_elements, "gather-elements")                                   \
    X("Pad", 1, 4, 1, "mode pads value", cp_onnx_pad, "pad")                                                           \
    X("Expand", 2, 2, 1, "", cp_onnx_expand, "expand")                                                                 \
    X("Tile", 2, 2, 1, "", cp_onnx_tile, "expand")                                                                     \
    X("DepthToSpace", 1, 1, 1, "blocksize mode", cp_onnx_depth_to_space, "depth-to-space")                             \
    X("SpaceToDepth", 1, 1, 1, "blocksize", cp_onnx_space_to_depth, "space-to-depth")                                  \
    X("Identity", 1, 1, 1, "", cp_onnx_identity, "")                                                                   \
    X("Dropout", 1, 3, 2, "ratio seed", cp_onnx_dropout, "")                                                           \
    X("Cast", 1, 1, 1, "round_mode saturate to", cp_onnx_cast, "cast")                                                 \
    X("Shape", 1, 1, 1, "end start", cp_onnx_shape, "")                                                                \
    X("Size", 1, 1, 1, "", cp_onnx_size, "")                                                                           \
    X("Constant", 0, 0, 1, "value value_float value_floats value_int value_ints", cp_onnx_constant, "")                \
    X("ConstantOfShape", 1, 1, 1, "value", cp_onnx_constant_of_shape, "")                                              \
    X("Range", 3, 3, 1, "", cp_onnx_range, "")                                                                         \
    X("Exp", 1, 1, 1, "", cp_onnx_function, "exp")                                                                     \
    X("Log", 1, 1, 1, "", cp_onnx_function, "log")                                                                     \
    X("Sqrt", 1, 1, 1, "", cp_onnx_function, "sqrt")                                                                   \
    X("Reciprocal", 1, 1, 1, "", cp_onnx_function, "reciprocal")                                                       \
    X("Abs", 1, 1, 1, "", cp_onnx_function, "abs")                                                                     \
    X("Neg", 1, 1, 1, "", cp_onnx_function, "neg")                                                                     \
    X("Floor", 1, 1, 1, "", cp_onnx_function, "floor")                                                                 \
    X("Ceil", 1, 1, 1, "", cp_onnx_function, "ceil")                                                                   \
    X("Round", 1, 1, 1, "", cp_onnx_function, "round")                                                                 \
    X("Sign", 1, 1, 1, "", cp_onnx_function, "sign")                                                                   \
    X("Erf", 1, 1, 1, "", cp_onnx_function, "erf")                                                                     \
    X("Sin", 1, 1, 1, "", cp_onnx_function, "sin")                                                                     \
    X("Cos", 1, 1, 1, "", cp_onnx_function, "cos")                                                                     \
    X("ThresholdedRelu", 1, 1, 1, "alpha", cp_onnx_function, "thresholded-relu")                                       \
    X("Equal", 2, 2, 1, "", cp_onnx_relation, "equal")                                                                 \
    X("Less", 2, 2, 1, "", cp_onnx_relation, "less")                                                                   \
    X("LessOrEqual", 2, 2, 1, "", cp_onnx_relation, "less-or-equal")                                                   \
    X("Greater", 2, 2, 1, "", cp_onnx_relation, "greater")                                                             \
    X("GreaterOrEqual", 2, 2, 1, "", cp_onnx_relation, "greater-or-equal")                                             \
    X("And", 2, 2, 1, "", cp_onnx_relation, "and")                                                                     \
    X("Or", 2, 2, 1, "", cp_onnx_relation, "or")                                                                       \
    X("Xor", 2, 2, 1, "", cp_onnx_relation, "xor")                                                                     \
    X("Not", 1, 1, 1, "", cp_onnx_not, "not")                                                                          \
    X("Where", 3, 3, 1, "", cp_onnx_where, "where")                                                                    \
    X("MatMul", 2, 2, 1, "", cp_onnx_matmul, "matmul dense")                                                           \
    X("GroupNormalization", 3, 3, 1, "epsilon num_groups stash_type", cp_onnx_group_normalization, "group-norm")       \
    X("LayerNormalization", 2, 3, 3, "axis epsilon stash_type", cp_onnx_layer_normalization, "layer-norm")             \
    X("LpNormalization", 1, 1, 1, "axis p", cp_onnx_lp_normalization, "reduce div")                                    \
    X("MeanVarianceNormalization", 1, 1, 1, "axes", cp_onnx_mean_variance_normalization,                               \
      "reduce sub mul sqrt add div")                                                                                   \
    X("MaxUnpool", 2, 3, 1, "kernel_shape pads strides", cp_onnx_max_unpool, "max-unpool")                             \
    X("Col2Im", 3, 3, 1, "dilations pads strides", cp_onnx_col2im, "col2im transpose")                                 \
    X("Resize", 1, 4, 1,                                                                                               \
      "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value "               \
      "keep_aspect_ratio_policy mode nearest_mode",                                                                    \
      cp_onnx_resize, "resize")                                                                                        \
    X("Upsample", 1, 2, 1, "mode scales", cp_onnx_resize, "resize")                                                    \
    X("DeformConv", 3, 5, 1, "dilations group kernel_shape offset_group pads strides", cp_onnx_deform_conv,            \
      "deform-conv")                                                                                                   \
    X("MaxRoiPool", 2, 2, 1, "pooled_shape spatial_scale", cp_onnx_max_roi_pool, "max-roi-pool")                       \
    X("RoiAlign", 3, 3, 1,                                                                                             \
      "coordinate_transformation_mode mode output_height output_width sampling_ratio spatial_scale",                   \
      cp_onnx_roi_align, "roi-align concat cast")                                                                      \
    X("LogSoftmax", 1, 1, 1, "axis", cp_onnx_log_softmax, "log-softmax")                                               \
    X("ReduceSumSquare", 1, 2, 1, "axes keepdims noop_with_empty_axes", cp_onnx_reduce, "reduce")                      \
    X("ReduceLogSum", 1, 2, 1, "axes keepdims noop_with_empty_axes", cp_onnx_reduce, "reduce")                         \
    X("ReduceLogSumExp", 1, 2, 1, "axes keepdims noop_with_empty_axes", cp_onnx_reduce, "reduce")                      \
    X("ArgMax", 1, 1, 1, "axis keepdims select_last_index", cp_onnx_arg_max, "arg-max")                                \
    X("ArgMin", 1, 1, 1, "axis keepdims select_last_index", cp_onnx_arg_min, "arg-min")                                \
    X("TopK", 1, 2, 2, "axis k largest sorted", cp_onnx_top_k, "top-k")                                                \
    X("CumSum", 2, 2, 1, "exclusive reverse", cp_onnx_cumulative_sum, "cumulative-sum")                                \
    X("QuantizeLinear", 2, 3, 1, "axis block_size output_dtype precision saturate", cp_onnx_quantize_linear,           \
      "quantize cast")                                                                                                 \
    X("DequantizeLinear", 2, 3, 1, "axis block_size output_dtype", cp_onnx_dequantize_linear, "dequantize")            \
    X("DynamicQuantizeLinear", 1, 1, 3, "", cp_onnx_dynamic_quantize_linear, "dynamic-quantize")                       \
    X("ConvInteger", 2, 4, 1, "auto_pad dilations group kernel_shape pads strides", cp_onnx_conv_integer,              \
      "conv-integer")                                                                                                  \
    X("QLinearConv", 8, 9, 1, "auto_pad dilations group kernel_shape pads strides", cp_onnx_qlinear_conv,              \
      "conv-integer")                                                                                                  \
    X("MatMulInteger", 2, 4, 1, "", cp_onnx_matmul_integer, "matmul-integer")                                          \
    X("QLinearMatMul", 8, 8, 1, "", cp_onnx_qlinear_matmul, "matmul-integer")

#define CP_ONNX_PROTOTYPE(name, least, most, outputs, attributes, function, ours) void function(cp_onnx_loader *l);
CP_ONNX_OPERATORS(CP_ONNX_PROTOTYPE)
#undef CP_ONNX_PROTOTYPE

#endif
