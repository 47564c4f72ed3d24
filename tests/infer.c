/* What the operators infer, refuse and say in words. */
#include "op/op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = { __VA_ARGS__ }                             \
    }
#define NONE                                                                                                           \
    { .rank = -1 }

typedef struct refusal {
    const char *op;
    cp_status status;
    const char *text;
    int inputs;
    cp_shape in[CP_MAX_INPUTS];
    cp_attributes attributes;
    cp_type type[CP_MAX_INPUTS]; /* F32 unless set */
} refusal;

/* clang-format off */
static const refusal refusals[] = {
    {.op = "conv", .status = CP_E_ARG, .text = "stride[0] = -2: must be at least 1", .inputs = 2,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 1)}, .attributes = {.conv = {.stride = {-2, 1}}}},
    {.op = "conv", .status = CP_E_ARG, .text = "dilation[1] = 0: must be at least 1", .inputs = 2,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 1)}, .attributes = {.conv = {.dilation = {1, 0}}}},
    {.op = "conv", .status = CP_E_SHAPE, .text = "output height would be -3", .inputs = 2,
     .in = {SHAPE(1, 1, 5, 1), SHAPE(5, 5, 1, 1)}},
    {.op = "conv", .status = CP_E_SHAPE, .text = "weights have 3 spatial dimensions, the input has 2", .inputs = 2,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 3, 1, 1)}},
    {.op = "conv", .status = CP_E_SHAPE, .text = "input needs at least 3 dimensions, has 0", .inputs = 2,
     .in = {{.rank = 0}, SHAPE(3, 3, 1, 1)}},
    {.op = "conv", .status = CP_E_ARG, .text = "groups = -1: must be at least 1", .inputs = 2,
     .in = {SHAPE(1, 5, 5, 4), SHAPE(3, 3, 4, 4)}, .attributes = {.conv = {.groups = -1}}},
    {.op = "conv", .status = CP_E_SHAPE, .text = "groups = 3 does not divide 64 input channels", .inputs = 2,
     .in = {SHAPE(1, 5, 5, 64), SHAPE(3, 3, 64, 6)}, .attributes = {.conv = {.groups = 3}}},
    {.op = "conv", .status = CP_E_SHAPE, .text = "bias has 63 values, needs 64", .inputs = 3,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 64), SHAPE(63)}},
    {.op = "conv", .status = CP_E_SHAPE, .text = "bias must have 1 dimension, has 2", .inputs = 3,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 64), SHAPE(1, 64)}},
    {.op = "conv", .status = CP_E_ARG, .text = "weights: type i64, must be f32", .inputs = 2,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 1)}, .type = {CP_F32, CP_I64}},
    {.op = "conv", .status = CP_E_ARG, .text = "input: type f64, must be f32", .inputs = 2,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 1)}, .type = {CP_F64}},
    {.op = "conv", .status = CP_E_ARG, .text = "bias: type i32, must be f32", .inputs = 3,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 1), SHAPE(1)}, .type = {CP_F32, CP_F32, CP_I32}},
    {.op = "conv", .status = CP_E_ARG, .text = "weights: missing", .inputs = 2, .in = {SHAPE(1, 5, 5, 1), NONE}},
    {.op = "conv", .status = CP_E_ARG, .text = "input: missing", .inputs = 2, .in = {NONE, SHAPE(3, 3, 1, 1)}},
    {.op = "conv", .status = CP_E_UNSUPPORTED, .text = "within a layer only relu", .inputs = 2,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 1)}, .attributes = {.conv = {.activation = CP_TANH}}},
    {.op = "conv", .status = CP_E_LIMIT, .text = "more than can be counted", .inputs = 2,
     .in = {SHAPE(1, 1, 1, (int64_t)1 << 30), SHAPE(1, 1, (int64_t)1 << 30, (int64_t)1 << 30)},
     .attributes = {.conv = {.pad_before = {1 << 10, 1 << 10}}}},
    {.op = "conv-input-gradient", .status = CP_E_SHAPE, .text = "gradient is 1x5x7x1, output is 1x4x7x1", .inputs = 2,
     .in = {SHAPE(1, 5, 7, 1), SHAPE(1, 1, 1, 1)}, .attributes = {.size = {4, 7}}},
    {.op = "conv-input-gradient", .status = CP_E_SHAPE, .text = "-536870912", .inputs = 2,
     .in = {SHAPE(1, 5, 7, 1), SHAPE(1, 1, 1, 1)}, .attributes = {.size = {-536870912, 7}}},
    {.op = "conv-input-gradient", .status = CP_E_SHAPE, .text = "weights need at least 3 dimensions, have 0",
     .inputs = 2, .in = {SHAPE(1, 5, 7, 1), {.rank = 0}}, .attributes = {.size = {5, 7}}},
    {.op = "conv-input-gradient", .status = CP_E_SHAPE, .text = "gradient must have 3 to 5 dimensions, has 0",
     .inputs = 2, .in = {{.rank = 0}, SHAPE(1, 1, 1, 1)}, .attributes = {.size = {5, 7}}},
    {.op = "conv-input-gradient", .status = CP_E_ARG, .text = "groups = -3: must be at least 1", .inputs = 2,
     .in = {SHAPE(1, 5, 7, 1), SHAPE(1, 1, 1, 1)}, .attributes = {.size = {5, 7}, .conv = {.groups = -3}}},
    {.op = "conv-input-gradient", .status = CP_E_SHAPE, .text = "the number of input channels overflows", .inputs = 2,
     .in = {SHAPE(1, 5, 7, 1), SHAPE(1, 1, 4, 1)}, .attributes = {.size = {5, 7}, .conv = {.groups = INT64_MAX}}},
    {.op = "conv-weight-gradient", .status = CP_E_SHAPE, .text = "gradient is 1x5x7x1, output is 1x4x7x1",
     .inputs = 2, .in = {SHAPE(1, 5, 7, 1), SHAPE(1, 4, 7, 1)}, .attributes = {.conv = {.kernel = {1, 1}}}},
    {.op = "conv-weight-gradient", .status = CP_E_SHAPE, .text = "gradient is 2x4x7x1, output is 1x4x7x1",
     .inputs = 2, .in = {SHAPE(2, 4, 7, 1), SHAPE(1, 4, 7, 1)}, .attributes = {.conv = {.kernel = {1, 1}}}},
    {.op = "conv-weight-gradient", .status = CP_E_SHAPE, .text = "gradient has 3 dimensions, the input 4",
     .inputs = 2, .in = {SHAPE(1, 5, 1), SHAPE(1, 4, 7, 1)}, .attributes = {.conv = {.kernel = {1, 1}}}},
    {.op = "conv-weight-gradient", .status = CP_E_SHAPE, .text = "input must have 3 to 5 dimensions, has 0",
     .inputs = 2, .in = {SHAPE(1, 5, 1), {.rank = 0}}, .attributes = {.conv = {.kernel = {1}}}},
    {.op = "conv-weight-gradient", .status = CP_E_SHAPE, .text = "weights dimension 0", .inputs = 2,
     .in = {SHAPE(1, 5, 1), SHAPE(1, 5, 1)}, .attributes = {.conv = {.kernel = {-1}}}},
    {.op = "conv-weight-gradient", .status = CP_E_SHAPE, .text = "groups = 3 does not divide 64", .inputs = 2,
     .in = {SHAPE(1, 5, 3), SHAPE(1, 5, 64)}, .attributes = {.conv = {.kernel = {1}, .groups = 3}}},
    {.op = "conv-weight-gradient", .status = CP_E_ARG, .text = "groups = -64: must be at least 1", .inputs = 2,
     .in = {SHAPE(1, 5, 64), SHAPE(1, 5, 64)}, .attributes = {.conv = {.kernel = {1}, .groups = -64}}},
    {.op = "dense", .status = CP_E_SHAPE,
     .text = "input of a dense layer must have 2 dimensions, has 4: flatten it first", .inputs = 2,
     .in = {SHAPE(1, 14, 14, 32), SHAPE(6272, 10)}},
    {.op = "dense", .status = CP_E_SHAPE, .text = "weights must have 2 dimensions, has 3", .inputs = 2,
     .in = {SHAPE(1, 100), SHAPE(1, 100, 10)}},
    {.op = "dense", .status = CP_E_SHAPE, .text = "weights take 784 inputs, the input has 100", .inputs = 2,
     .in = {SHAPE(1, 100), SHAPE(784, 10)}},
    {.op = "dense", .status = CP_E_SHAPE, .text = "weights dimension 1 is 0", .inputs = 2,
     .in = {SHAPE(1, 100), SHAPE(100, 0)}},
    {.op = "dense", .status = CP_E_SHAPE, .text = "input dimension 1 is 0", .inputs = 2,
     .in = {SHAPE(1, 0), SHAPE(0, 10)}},
    {.op = "dense", .status = CP_E_SHAPE, .text = "bias has 1 value, needs 10", .inputs = 3,
     .in = {SHAPE(1, 100), SHAPE(100, 10), SHAPE(1)}},
    {.op = "dense", .status = CP_E_UNSUPPORTED, .text = "within a layer only relu", .inputs = 2,
     .in = {SHAPE(1, 100), SHAPE(100, 10)}, .attributes = {.activation = CP_SIGMOID}},
    {.op = "dense-input-gradient", .status = CP_E_SHAPE, .text = "gradient is 5x9, output is 5x10", .inputs = 2,
     .in = {SHAPE(5, 9), SHAPE(100, 10)}},
    {.op = "dense-weight-gradient", .status = CP_E_SHAPE, .text = "gradient is 5x10, output is 4x10", .inputs = 2,
     .in = {SHAPE(5, 10), SHAPE(4, 100)}},
    {.op = "max-pool", .status = CP_E_ARG, .text = "kernel[0] = 0: must be at least 1", .inputs = 1,
     .in = {SHAPE(1, 5, 5, 1)}},
    {.op = "max-pool", .status = CP_E_SHAPE, .text = "pad_before[0] = 5: must be less than the window (3)",
     .inputs = 1, .in = {SHAPE(1, 5, 5, 1)}, .attributes = {.pool = {.kernel = {3, 3}, .pad_before = {5, 0}}}},
    {.op = "avg-pool", .status = CP_E_ARG, .text = "global pooling sees the whole input", .inputs = 1,
     .in = {SHAPE(1, 5, 5, 1)}, .attributes = {.pool = {.kernel = {3, 3}, .global = true}}},
    {.op = "max-pool-gradient", .status = CP_E_SHAPE, .text = "gradient is 1x5x7x1, output is 1x4x7x1", .inputs = 2,
     .in = {SHAPE(1, 5, 7, 1), SHAPE(1, 5, 7, 1)}, .attributes = {.pool = {.kernel = {1, 1}}, .size = {4, 7}},
     .type = {CP_F32, CP_U8}},
    {.op = "max-pool-gradient", .status = CP_E_SHAPE, .text = "index is 1x5x7x2, output is 1x5x7x1", .inputs = 2,
     .in = {SHAPE(1, 5, 7, 1), SHAPE(1, 5, 7, 2)}, .attributes = {.pool = {.kernel = {1, 1}}, .size = {5, 7}},
     .type = {CP_F32, CP_U8}},
    {.op = "max-pool-gradient", .status = CP_E_ARG, .text = "index: type i32, must be u8", .inputs = 2,
     .in = {SHAPE(1, 5, 7, 1), SHAPE(1, 5, 7, 1)}, .attributes = {.pool = {.kernel = {1, 1}}, .size = {5, 7}},
     .type = {CP_F32, CP_I32}},
    {.op = "max-pool-gradient", .status = CP_E_ARG, .text = "index: type u8, must be i32", .inputs = 2,
     .in = {SHAPE(1, 1, 1, 1), SHAPE(1, 1, 1, 1)}, .attributes = {.pool = {.kernel = {17, 17}}, .size = {17, 17}},
     .type = {CP_F32, CP_U8}},
    {.op = "avg-pool-gradient", .status = CP_E_SHAPE, .text = "gradient is 1x5x7x1, output is 1x4x7x1", .inputs = 1,
     .in = {SHAPE(1, 5, 7, 1)}, .attributes = {.pool = {.kernel = {1, 1}}, .size = {4, 7}}},
    {.op = "avg-pool-gradient", .status = CP_E_SHAPE, .text = "gradient must have 3 to 5 dimensions, has 0",
     .inputs = 1, .in = {{.rank = 0}}, .attributes = {.pool = {.kernel = {1, 1}}, .size = {4, 7}}},
    {.op = "tanh", .status = CP_E_ARG, .text = "input: type u8, must be f32", .inputs = 1, .in = {SHAPE(4)},
     .type = {CP_U8}},
    {.op = "tanh-gradient", .status = CP_E_SHAPE, .text = "gradient is 5, output is 4", .inputs = 2,
     .in = {SHAPE(4), SHAPE(5)}},
    {.op = "softmax", .status = CP_E_SHAPE, .text = "softmax needs a last dimension of at least 1", .inputs = 1,
     .in = {SHAPE(4, 0)}},
    {.op = "softmax", .status = CP_E_SHAPE, .text = "softmax needs a last dimension of at least 1", .inputs = 1,
     .in = {{.rank = 0}}},
    {.op = "add", .status = CP_E_SHAPE, .text = "first input is 1x2, second input is 2x3", .inputs = 2,
     .in = {SHAPE(1, 2), SHAPE(2, 3)}},
    {.op = "mul", .status = CP_E_SHAPE, .text = "first input is 4x3x2, second input is 3", .inputs = 2,
     .in = {SHAPE(4, 3, 2), SHAPE(3)}},
    {.op = "mul-second-gradient", .status = CP_E_SHAPE, .text = "gradient is 2, output is 4x3x2", .inputs = 3,
     .in = {SHAPE(4, 3, 2), SHAPE(2), SHAPE(2)}},
    {.op = "group-norm", .status = CP_E_ARG, .text = "groups = 2: must divide 3 channels", .inputs = 3,
     .in = {SHAPE(2, 5, 3), SHAPE(3), SHAPE(3)}, .attributes = {.groups = 2}},
    {.op = "group-norm", .status = CP_E_ARG, .text = "groups = 0: must divide 3 channels", .inputs = 3,
     .in = {SHAPE(2, 5, 3), SHAPE(3), SHAPE(3)}},
    {.op = "layer-norm", .status = CP_E_SHAPE, .text = "scale is 4, one for each channel is 3", .inputs = 3,
     .in = {SHAPE(2, 5, 3), SHAPE(4), SHAPE(3)}},
    {.op = "layer-norm", .status = CP_E_ARG, .text = "epsilon = -1: must be a number above 0", .inputs = 3,
     .in = {SHAPE(2, 5, 3), SHAPE(3), SHAPE(3)}, .attributes = {.epsilon = -1}},
    {.op = "instance-norm", .status = CP_E_SHAPE, .text = "input needs at least 3 dimensions, has 2", .inputs = 3,
     .in = {SHAPE(2, 3), SHAPE(3), SHAPE(3)}},
    {.op = "batch-norm", .status = CP_E_ARG, .text = "momentum = 1.5: must be at most 1", .inputs = 5,
     .in = {SHAPE(2, 3), SHAPE(3), SHAPE(3), SHAPE(3), SHAPE(3)}, .attributes = {.momentum = 1.5f}},
    {.op = "batch-norm", .status = CP_E_SHAPE, .text = "running variance is 1x3, one for each channel is 3", .inputs = 5,
     .in = {SHAPE(2, 3), SHAPE(3), SHAPE(3), SHAPE(3), SHAPE(1, 3)}},
    {.op = "norm-scale-gradient", .status = CP_E_SHAPE, .text = "moments are 1x2x2", .inputs = 3,
     .in = {SHAPE(2, 3), SHAPE(2, 3), SHAPE(1, 2, 2)}},
    {.op = "lrn", .status = CP_E_ARG, .text = "size = 0: must be at least 1", .inputs = 1, .in = {SHAPE(2, 3)}},
    {.op = "reduce", .status = CP_E_ARG, .text = "axes[1] = 2: the input has 2", .inputs = 1, .in = {SHAPE(2, 3)},
     .attributes = {.axes = SHAPE(0, 2)}},
    {.op = "reduce", .status = CP_E_ARG, .text = "axes[1] = 1: named twice", .inputs = 1, .in = {SHAPE(2, 3)},
     .attributes = {.axes = SHAPE(1, 1)}},
    {.op = "reduce", .status = CP_E_ARG, .text = "reduction = 10: there is no such", .inputs = 1, .in = {SHAPE(2, 3)},
     .attributes = {.reduction = (cp_reduction)10}},
    {.op = "concat", .status = CP_E_SHAPE, .text = "first input is 2x3, another is 3x3", .inputs = 2,
     .in = {SHAPE(2, 3), SHAPE(3, 3)}, .attributes = {.axis = 1}},
    {.op = "concat", .status = CP_E_SHAPE, .text = "axis = 0: the batch is not known", .inputs = 1,
     .in = {SHAPE(0, 3)}},
    {.op = "slice", .status = CP_E_ARG, .text = "axis = 2: the input has 2", .inputs = 1, .in = {SHAPE(2, 3)},
     .attributes = {.axis = 2, .count = 1}},
    {.op = "slice", .status = CP_E_ARG, .text = "begin = 2, count = 2: the axis has 3", .inputs = 1,
     .in = {SHAPE(2, 3)}, .attributes = {.axis = 1, .begin = 2, .count = 2}},
    {.op = "matmul", .status = CP_E_SHAPE, .text = "first input has 3 columns, second input 2 rows", .inputs = 2,
     .in = {SHAPE(4, 2, 3), SHAPE(4, 2, 3)}},
    {.op = "matmul", .status = CP_E_SHAPE, .text = "second input needs at least 2 dimensions, has 1", .inputs = 2,
     .in = {SHAPE(2, 3), SHAPE(3)}},
    {.op = "conv-integer", .status = CP_E_ARG, .text = "input: type f32, must be u8 or i8", .inputs = 2,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 1)}, .type = {CP_F32, CP_I8}},
    {.op = "conv-integer", .status = CP_E_ARG, .text = "zero point of the input: type i8, must be u8", .inputs = 4,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 1), NONE, SHAPE(1)}, .type = {CP_U8, CP_I8, CP_I32, CP_I8}},
    {.op = "conv-integer", .status = CP_E_SHAPE, .text = "zero point of the weights is 2: must be one number, or 3",
     .inputs = 5, .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 3), NONE, NONE, SHAPE(2)},
     .type = {CP_U8, CP_I8, CP_I32, CP_U8, CP_I8}},
    {.op = "conv-integer", .status = CP_E_ARG, .text = "a zero point of the output needs a scale", .inputs = 7,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 3), NONE, NONE, NONE, NONE, SHAPE(1)},
     .type = {CP_U8, CP_I8, CP_I32, CP_U8, CP_I8, CP_F32, CP_U8}},
    {.op = "conv-integer", .status = CP_E_UNSUPPORTED, .text = "a convolution of bytes has no activation", .inputs = 2,
     .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 1)}, .type = {CP_U8, CP_I8}, .attributes = {.conv = {.activation = CP_RELU}}},
    {.op = "matmul-integer", .status = CP_E_SHAPE, .text = "input has 3 columns, weights 2 rows", .inputs = 2,
     .in = {SHAPE(2, 3), SHAPE(2, 3)}, .type = {CP_U8, CP_I8}},
    {.op = "matmul-integer", .status = CP_E_SHAPE, .text = "must be at least 2, and 2", .inputs = 2,
     .in = {SHAPE(2, 3), SHAPE(4, 3, 2)}, .type = {CP_U8, CP_I8}},
    {.op = "and", .status = CP_E_ARG, .text = "first input: type f32, must be bool", .inputs = 2,
     .in = {SHAPE(2), SHAPE(2)}},
    {.op = "where", .status = CP_E_SHAPE, .text = "first input is 2, second input is 3", .inputs = 3,
     .in = {SHAPE(2), SHAPE(3), SHAPE(1)}, .type = {CP_BOOL}},
    {.op = "where", .status = CP_E_ARG, .text = "second input: type i64, must be f32", .inputs = 3,
     .in = {SHAPE(2), SHAPE(2), SHAPE(2)}, .type = {CP_BOOL, CP_F32, CP_I64}},
    {.op = "softmax", .status = CP_E_ARG, .text = "behind = 2: the input has 2 axes", .inputs = 1,
     .in = {SHAPE(2, 3)}, .attributes = {.behind = 2}},
    {.op = "top-k", .status = CP_E_ARG, .text = "k = 4: must be 1 to 3, the size of the axis", .inputs = 1,
     .in = {SHAPE(2, 3)}, .attributes = {.axis = 1, .count = 4}},
    {.op = "arg-max", .status = CP_E_ARG, .text = "input: type bool, must be f32", .inputs = 1, .in = {SHAPE(3)},
     .type = {CP_BOOL}},
    {.op = "quantize", .status = CP_E_SHAPE, .text = "scale has 2 numbers, axis 1 has 3", .inputs = 2,
     .in = {SHAPE(2, 3), SHAPE(2)}, .attributes = {.axis = 1}},
    {.op = "quantize", .status = CP_E_SHAPE, .text = "scale is 1x1: must be one number", .inputs = 2,
     .in = {SHAPE(2, 3), SHAPE(1, 1)}},
    {.op = "dequantize", .status = CP_E_ARG, .text = "zero: type i8, must be u8", .inputs = 3,
     .in = {SHAPE(2, 3), SHAPE(1), SHAPE(1)}, .type = {CP_U8, CP_F32, CP_I8}},
    {.op = "celu", .status = CP_E_ARG, .text = "alpha = 0: must be another number", .inputs = 1, .in = {SHAPE(4)},
     .attributes = {.beta = 1}},
    {.op = "clip", .status = CP_E_ARG, .text = "alpha = 2 is above beta = 1", .inputs = 1, .in = {SHAPE(4)},
     .attributes = {.alpha = 2, .beta = 1}},
    {.op = "elu", .status = CP_E_ARG, .text = "alpha = nan, beta = 0: must be finite numbers", .inputs = 1,
     .in = {SHAPE(4)}, .attributes = {.alpha = NAN}},
    {.op = "gelu", .status = CP_E_ARG, .text = "alpha and beta must be 0: it takes none", .inputs = 1,
     .in = {SHAPE(4)}, .attributes = {.alpha = 1}},
    {.op = "bias-gradient", .status = CP_E_SHAPE, .text = "gradient needs at least 1 dimension, has 0", .inputs = 1,
     .in = {{.rank = 0}}},
    {.op = "dropout", .status = CP_E_ARG, .text = "rate = 1: must be at least 0 and less than 1", .inputs = 1,
     .in = {SHAPE(4)}, .attributes = {.rate = 1}},
    {.op = "dropout", .status = CP_E_ARG, .text = "rate = -0.5: must be at least 0 and less than 1", .inputs = 1,
     .in = {SHAPE(4)}, .attributes = {.rate = -0.5f}},
    {.op = "dropout", .status = CP_E_ARG, .text = "rate = nan: must be at least 0 and less than 1", .inputs = 1,
     .in = {SHAPE(4)}, .attributes = {.rate = NAN}},
    {.op = "dropout", .status = CP_E_LIMIT, .text = "at most 17179869184", .inputs = 1,
     .in = {SHAPE((int64_t)1 << 35)}},
    {.op = "flatten", .status = CP_E_SHAPE, .text = "input needs at least 1 dimension, has 0", .inputs = 1,
     .in = {{.rank = 0}}},
    {.op = "reshape", .status = CP_E_SHAPE, .text = "2352 elements do not fit 3x10x10", .inputs = 1,
     .in = {SHAPE(3, 784)}, .attributes = {.shape = SHAPE(3, 10, 10)}},
    {.op = "reshape", .status = CP_E_SHAPE, .text = "2352 elements do not fit scalar", .inputs = 1,
     .in = {SHAPE(3, 784)}, .attributes = {.shape = {.rank = 0}}},
    {.op = "reshape", .status = CP_E_ARG, .text = "shape[2] = -1: must not be negative, but one -1", .inputs = 1,
     .in = {SHAPE(3, 784)}, .attributes = {.shape = SHAPE(3, -1, -1)}},
    {.op = "reshape", .status = CP_E_SHAPE, .text = "784 elements do not fit 784", .inputs = 1,
     .in = {SHAPE(0, 784)}, .attributes = {.shape = SHAPE(784)}},
    {.op = "reshape", .status = CP_E_SHAPE, .text = "shape: too many elements", .inputs = 1,
     .in = {SHAPE(3, 784)}, .attributes = {.shape = SHAPE(INT64_MAX, INT64_MAX)}},
    {.op = "transpose", .status = CP_E_ARG, .text = "order has 1 numbers: the input has 2 axes", .inputs = 1,
     .in = {SHAPE(3, 4)}, .attributes = {.axes = SHAPE(0)}},
    {.op = "transpose", .status = CP_E_ARG, .text = "order[1] = 2: the input has 2 axes", .inputs = 1,
     .in = {SHAPE(3, 4)}, .attributes = {.axes = SHAPE(0, 2)}},
    {.op = "transpose", .status = CP_E_ARG, .text = "order[1] = 0: named twice", .inputs = 1,
     .in = {SHAPE(3, 4)}, .attributes = {.axes = SHAPE(0, 0)}},
    {.op = "expand", .status = CP_E_SHAPE, .text = "input is 3x4, what it must fit is 4", .inputs = 1,
     .in = {SHAPE(3, 4)}, .attributes = {.shape = SHAPE(4)}},
    {.op = "expand", .status = CP_E_SHAPE, .text = "input is 3x4, what it must fit is 2x4", .inputs = 1,
     .in = {SHAPE(3, 4)}, .attributes = {.shape = SHAPE(2, 4)}},
    {.op = "slice", .status = CP_E_ARG, .text = "begin = 1, count = 3, step = -1: the axis has 3", .inputs = 1,
     .in = {SHAPE(2, 3)}, .attributes = {.axis = 1, .begin = 1, .count = 3, .step = -1}},
    {.op = "slice", .status = CP_E_ARG, .text = "begin = 0, count = 3, step = 9223372036854775807", .inputs = 1,
     .in = {SHAPE(2, 3)}, .attributes = {.axis = 1, .count = 3, .step = INT64_MAX}},
    {.op = "slice", .status = CP_E_ARG, .text = "step = -9223372036854775808: the axis has 3", .inputs = 1,
     .in = {SHAPE(2, 3)}, .attributes = {.axis = 1, .begin = 2, .count = 2, .step = INT64_MIN}},
    {.op = "softmax-cross-entropy", .status = CP_E_ARG, .text = "labels: type f32, must be i32", .inputs = 2,
     .in = {SHAPE(3, 10), SHAPE(3)}},
    {.op = "softmax-cross-entropy", .status = CP_E_SHAPE, .text = "class weights is 4, classes is 5", .inputs = 3,
     .in = {SHAPE(3, 5), SHAPE(3), SHAPE(4)}, .type = {CP_F32, CP_I32, CP_F32}},
    {.op = "softmax-cross-entropy", .status = CP_E_ARG, .text = "smoothing = 1: must be at least 0 and less than 1",
     .inputs = 2, .in = {SHAPE(3, 5), SHAPE(3)}, .type = {CP_F32, CP_I32}, .attributes = {.alpha = 1}},
    {.op = "focal", .status = CP_E_ARG, .text = "gamma = -1: must be a number of at least 0", .inputs = 2,
     .in = {SHAPE(3, 5), SHAPE(3)}, .type = {CP_F32, CP_I32}, .attributes = {.alpha = -1}},
    {.op = "hinge", .status = CP_E_SHAPE, .text = "2 labels for a batch of 3", .inputs = 2,
     .in = {SHAPE(3, 5), SHAPE(2)}, .type = {CP_F32, CP_I32}},
    {.op = "huber", .status = CP_E_ARG, .text = "delta = nan: must be a number of at least 0", .inputs = 2,
     .in = {SHAPE(3), SHAPE(3)}, .attributes = {.alpha = NAN}},
    {.op = "huber", .status = CP_E_SHAPE, .text = "target is 4, input is 3", .inputs = 2,
     .in = {SHAPE(3), SHAPE(4)}},
    {.op = "binary-cross-entropy-gradient", .status = CP_E_SHAPE, .text = "gradient is 3, loss is 1", .inputs = 3,
     .in = {SHAPE(3), SHAPE(3), SHAPE(3)}},
    {.op = "softmax-cross-entropy", .status = CP_E_SHAPE, .text = "4 labels for a batch of 3", .inputs = 2,
     .in = {SHAPE(3, 10), SHAPE(4)}, .type = {CP_F32, CP_I32}},
    {.op = "softmax-cross-entropy", .status = CP_E_SHAPE, .text = "labels must have 1 dimension, has 2", .inputs = 2,
     .in = {SHAPE(3, 10), SHAPE(3, 10)}, .type = {CP_F32, CP_I32}},
    {.op = "softmax-cross-entropy", .status = CP_E_SHAPE,
     .text = "input must have 2 dimensions, has 4: flatten it first", .inputs = 2,
     .in = {SHAPE(3, 1, 1, 10), SHAPE(3)}, .type = {CP_F32, CP_I32}},
    {.op = "softmax-cross-entropy-gradient", .status = CP_E_SHAPE, .text = "gradient is 3, loss is 1", .inputs = 3,
     .in = {SHAPE(3, 10), SHAPE(3), SHAPE(3)}, .type = {CP_F32, CP_I32}},
    {.op = "mean-squared-error", .status = CP_E_SHAPE, .text = "target is 3x9, input is 3x10", .inputs = 2,
     .in = {SHAPE(3, 10), SHAPE(3, 9)}},
    {.op = "mean-squared-error-gradient", .status = CP_E_ARG, .text = "gradient: missing", .inputs = 2,
     .in = {SHAPE(3, 10), SHAPE(3, 10)}},
};
/* clang-format on */

static void test_impossible_problems_are_refused_with_their_values(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        cp_problem problem = {.type = CP_F32, .inputs = r->inputs};
        memcpy(problem.in, r->in, sizeof problem.in);
        memcpy(problem.in_type, r->type, sizeof problem.in_type);
        const cp_status status = cp_op_find(r->op)->infer(&problem, &r->attributes);
        if (status != r->status || !strstr(cp_error(), r->text))
            fail_msg("%s: %d \"%s\", expected %d \"%s\"", r->op, (int)status, cp_error(), (int)r->status, r->text);
    }

    /* --- what is refused --- */
}

static void test_a_stride_beyond_the_input_gives_one_output(void **state) {
    (void)state;
    const cp_attributes attributes = {.conv = {.stride = {(int64_t)1 << 40, (int64_t)1 << 40}}};
    cp_problem problem = {.type = CP_F32, .inputs = 2, .in = {SHAPE(1, 5, 5, 1), SHAPE(3, 3, 1, 1)}};
    assert_int_equal(cp_op_conv.infer(&problem, &attributes), CP_OK);
    assert_int_equal(cp_shape_count(problem.out[0]), 1);
    assert_int_equal(problem.multiply_adds, 9);
}

static void test_any_batch_is_a_batch_of_0(void **state) {
    (void)state;
    cp_problem problem = {.type = CP_F32, .inputs = 1, .in = {SHAPE(0, 4, 4, 3)}};
    const cp_attributes attributes = {.pool = {.kernel = {2, 2}}};
    assert_int_equal(cp_op_max_pool.infer(&problem, &attributes), CP_OK);
    const cp_shape half = SHAPE(0, 2, 2, 3), row = SHAPE(0, 48);
    assert_true(cp_shape_same(problem.out[0], half));
    assert_int_equal(problem.out_type[1], CP_U8);
    assert_int_equal(cp_op_flatten.infer(&problem, &attributes), CP_OK);
    assert_true(cp_shape_same(problem.out[0], row));
}

static void test_dropout_computes_only_in_training(void **state) {
    (void)state;
    const cp_problem training = {.training = true}, use = {0};
    assert_false(cp_op_dropout.is_view(&training));
    assert_true(cp_op_dropout.is_view(&use));
}

/* --- words --- */

static void test_words(void **state) {
    (void)state;
    static const struct {
        const char *op, *words;
        cp_attributes attributes;
    } cases[] = {
        {.op = "conv",
         .words = "5x5 same relu",
         .attributes = {.conv = {.kernel = {5, 5}, .pad = CP_PAD_SAME, .activation = CP_RELU}}},
        {.op = "conv",
         .words = "3x1 valid stride 2x1 groups 4",
         .attributes = {.conv = {.kernel = {3, 1}, .pad = CP_PAD_VALID, .stride = {2, 1}, .groups = 4}}},
        {.op = "conv",
         .words = "3",
         .attributes = {.conv = {.kernel = {3}, .stride = {1}, .dilation = {1}, .groups = 1}}},
        {.op = "conv",
         .words = "3x3x3 pad 2 stride 2 dilation 3",
         .attributes = {.conv = {.kernel = {3, 3, 3},
                                 .stride = {2, 2, 2},
                                 .dilation = {3, 3, 3},
                                 .pad_before = {2, 2, 2},
                                 .pad_after = {2, 2, 2}}}},
        {.op = "conv", .words = "3x3 pad 0,0,2,1", .attributes = {.conv = {.kernel = {3, 3}, .pad_after = {2, 1}}}},
        {.op = "conv", .words = "1x1 same_lower", .attributes = {.conv = {.kernel = {1, 1}, .pad = CP_PAD_SAME_LOWER}}},
        {.op = "max-pool", .words = "2x2", .attributes = {.pool = {.kernel = {2, 2}, .stride = {2, 2}}}},
        {.op = "max-pool",
         .words = "3x2 pad 1,0,1,1 stride 2 ceil",
         .attributes = {.pool = {.kernel = {3, 2},
                                 .stride = {2, 2},
                                 .pad_before = {1, 0},
                                 .pad_after = {1, 1},
                                 .ceil_mode = true}}},
        {.op = "avg-pool",
         .words = "2x2 same stride 1 dilation 2x1 divisor padded",
         .attributes = {.pool = {.kernel = {2, 2},
                                 .stride = {1, 1},
                                 .dilation = {2, 1},
                                 .pad = CP_PAD_SAME,
                                 .divisor = CP_DIVISOR_PADDED}}},
        {.op = "avg-pool", .words = "global", .attributes = {.pool = {.global = true}}},
        {.op = "dense", .words = ""},
        {.op = "dense", .words = "relu", .attributes = {.activation = CP_RELU}},
        {.op = "gelu", .words = ""},
        {.op = "leaky-relu", .words = "0.2", .attributes = {.alpha = 0.2f}},
        {.op = "clip", .words = "0 1", .attributes = {.beta = 1}},
        {.op = "clip", .words = "-1 2.5", .attributes = {.alpha = -1, .beta = 2.5f}},
        {.op = "dropout", .words = "0.4", .attributes = {.rate = 0.4f}},
        {.op = "dropout", .words = "0", .attributes = {.rate = 0}},
        {.op = "dropout", .words = "0.12345679", .attributes = {.rate = 0.12345679f}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256] = "what was there before";
        cp_op_find(cases[i].op)->words(&cases[i].attributes, text, sizeof text);
        assert_string_equal(text, cases[i].words);
    }
    char tight[4];
    cp_op_conv.words(&cases[0].attributes, tight, sizeof tight);
    assert_string_equal(tight, "5x5");
}

static void test_operators_are_found_by_name(void **state) {
    (void)state;
    for (int i = 0; cp_op_at(i); i++) assert_ptr_equal(cp_op_find(cp_op_at(i)->name), cp_op_at(i));
    assert_null(cp_op_find("convolution"));
    assert_null(cp_op_at(-1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible_problems_are_refused_with_their_values),
        cmocka_unit_test(test_a_stride_beyond_the_input_gives_one_output),
        cmocka_unit_test(test_any_batch_is_a_batch_of_0),
        cmocka_unit_test(test_dropout_computes_only_in_training),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_operators_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
