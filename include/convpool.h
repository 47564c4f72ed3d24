/* Convpool: convolution and pooling in C, from principle to practice.
 *
 * The header is ordered by need: tensors and one operation; plans, when the operation runs often; networks;
 * training; models and data; explanations. It compiles alone as C17 and as C++17.
 *
 * Conventions
 *   - Every call that can fail returns a cp_status: 0, or a negative code. cp_error() then is this thread's sentence.
 *   - The out-pointer comes first and is set to NULL on failure. Every ..._free accepts NULL.
 *   - Options are structs; NULL means all defaults, and a field that is zero means the usual.
 *   - Axes are named as in the field: N batch, D H W space, C channels; weights are [kernel..., input channels /
 * groups, filters]. Shapes are always given in the order N, space, C and kernel, I, O ("channels last"); a tensor that
 * lies in memory in another order says so by its strides (cp_nchw, cp_oihw).
 *   - Values per axis (stride, kernel, ...) stand in the order of the spatial axes: {h, w}, or {w}, or {d, h, w}.
 */
#ifndef CONVPOOL_H
#define CONVPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CP_API __attribute__((visibility("default")))
#else
#define CP_API
#endif

#define CP_VERSION "0.1.0"
/* The version of the library that is linked, like CP_VERSION. */
CP_API const char *cp_version(void);

/* ---------------------------------------------------------------------------------------------------------------
 * Errors
 * ------------------------------------------------------------------------------------------------------------- */

/* name, value, what it means */
#define CP_STATUSES(X)                                                                                                 \
    X(CP_OK, 0, "no error")                                                                                            \
    X(CP_E_ARG, -1, "an argument that the function does not allow")                                                    \
    X(CP_E_SHAPE, -2, "sizes that do not fit each other, or an impossible geometry")                                   \
    X(CP_E_MEMORY, -3, "no memory")                                                                                    \
    X(CP_E_LIMIT, -4, "more than a limit allows")                                                                      \
    X(CP_E_IO, -5, "the operating system refused to read or write")                                                    \
    X(CP_E_FORMAT, -6, "a file whose contents are wrong")                                                              \
    X(CP_E_UNSUPPORTED, -7, "valid, but not provided")                                                                 \
    X(CP_E_STOPPED, -8, "stopped by a callback")                                                                       \
    X(CP_E_DIVERGED, -9, "training left the finite numbers")

typedef enum cp_status {
#define CP_STATUS_ENUM(name, value, text) name = value,
    CP_STATUSES(CP_STATUS_ENUM)
#undef CP_STATUS_ENUM
} cp_status;

/* One sentence about this thread's last failing call, with the values in it; "" before the first failure. Valid until
 * the thread's next failing call. */
CP_API const char *cp_error(void);
/* What a code means, from CP_STATUSES; "unknown status" for any other number. */
CP_API const char *cp_status_text(cp_status status);

/* ---------------------------------------------------------------------------------------------------------------
 * Tensors: views of the caller's memory
 * ------------------------------------------------------------------------------------------------------------- */

#define CP_MAX_RANK 8
#define CP_MAX_AXES 3 /* spatial axes of a convolution or pooling */

/* F16 (IEEE 754's binary16) and BF16 (the upper half of an F32) are for storage: operations compute in F32 or F64. A
 * BOOL is a byte, 0 or 1. */
typedef enum cp_type { CP_F32, CP_F64, CP_I32, CP_I64, CP_U8, CP_F16, CP_BF16, CP_I8, CP_BOOL } cp_type;

typedef struct cp_shape {
    int rank;
    int64_t dim[CP_MAX_RANK];
} cp_shape;

/* A view: it never owns what data points to. stride counts elements, not bytes, and belongs to the axis of the same
 * number in shape. Outputs are written through the same struct. */
typedef struct cp_tensor {
    void *data;
    cp_type type;
    cp_shape shape;
    int64_t stride[CP_MAX_RANK];
} cp_tensor;

/* Views of float arrays without gaps. The name says the order in memory; shape.dim is N,H,W,C or H,W,I,O in each. */
CP_API cp_tensor cp_nhwc(const float *data, int64_t n, int64_t h, int64_t w, int64_t c);
CP_API cp_tensor cp_nchw(const float *data, int64_t n, int64_t c, int64_t h, int64_t w);
CP_API cp_tensor cp_hwio(const float *data, int64_t h, int64_t w, int64_t i, int64_t o);
CP_API cp_tensor cp_oihw(const float *data, int64_t o, int64_t i, int64_t h, int64_t w);
CP_API cp_tensor cp_mat(const float *data, int64_t rows, int64_t columns);
CP_API cp_tensor cp_vec(const float *data, int64_t n);

/* The same for any type and rank. shape is in channels-last order (N,...,C or ...,I,O); the memory is in that order
 * (cp_view), in order N,C,... (cp_view_channels_first) or O,I,... (cp_view_filters_first). */
CP_API cp_tensor cp_view(const void *data, cp_type type, cp_shape shape);
CP_API cp_tensor cp_view_channels_first(const void *data, cp_type type, cp_shape shape);
CP_API cp_tensor cp_view_filters_first(const void *data, cp_type type, cp_shape shape);

CP_API cp_shape cp_shape_of(int rank, const int64_t *dim);
CP_API cp_shape cp_shape_nhwc(int64_t n, int64_t h, int64_t w, int64_t c);
/* The number of elements, or -1 where it overflows or a dimension is negative. */
CP_API int64_t cp_shape_count(cp_shape shape);
/* Bytes of one element. */
CP_API int64_t cp_type_size(cp_type type);
/* Writes "1x28x28x1" into text and returns text. */
#define CP_SHAPE_TEXT 176
CP_API const char *cp_shape_text(cp_shape shape, char text[CP_SHAPE_TEXT]);

/* Copies from one view to another of the same shape and type, whatever their strides. */
CP_API cp_status cp_tensor_copy(const cp_tensor *to, const cp_tensor *from);
/* The same from any type to one with fractions (F32, F64, F16, BF16): each number is rounded to the nearest there is,
 * of two to the even one; beyond the largest it is infinite. */
CP_API cp_status cp_tensor_convert(const cp_tensor *to, const cp_tensor *from);

/* ---------------------------------------------------------------------------------------------------------------
 * What a convolution and a pooling are
 * ------------------------------------------------------------------------------------------------------------- */

/* Padding. VALID: none. SAME: the output has ceil(input / stride) positions; what is odd goes after (SAME_LOWER:
 * before). CAUSAL: (kernel-1)*dilation before and none after, so that no output sees what comes later. FULL: as much on
 * both sides, every position where kernel and input touch. EXPLICIT, the default: pad_before and pad_after say it, zero
 * unless set. */
typedef enum cp_pad {
    CP_PAD_EXPLICIT,
    CP_PAD_VALID,
    CP_PAD_SAME,
    CP_PAD_SAME_LOWER,
    CP_PAD_CAUSAL,
    CP_PAD_FULL
} cp_pad;

/* Functions of one number: name, identifier, word, the usual alpha and beta, what it is. s(x) = 1/(1+exp(-x)), P the
 * normal distribution. Sources: Maas et al. 2013 (leaky ReLU), Clevert et al. 2015 (ELU), Klambauer et al. 2017 (SELU),
 * Barron 2017 (CELU), Hendrycks and Gimpel 2016 (GELU), Ramachandran et al. 2017 (SiLU, or swish), Misra 2019 (mish),
 * Howard et al. 2019 (hard swish); the hard sigmoid's usual numbers are ONNX's. */
#define CP_ACTIVATIONS(X)                                                                                              \
    X(CP_LINEAR, linear, "linear", 0, 0, "x")                                                                          \
    X(CP_RELU, relu, "relu", 0, 0, "max(0, x)")                                                                        \
    X(CP_SIGMOID, sigmoid, "sigmoid", 0, 0, "s(x)")                                                                    \
    X(CP_TANH, tanh, "tanh", 0, 0, "tanh(x)")                                                                          \
    X(CP_LEAKY_RELU, leaky_relu, "leaky-relu", 0.01, 0, "x, below 0 alpha*x")                                          \
    X(CP_ELU, elu, "elu", 1, 0, "x, below 0 alpha*(exp(x)-1)")                                                         \
    X(CP_SELU, selu, "selu", 1.6732632423543772, 1.0507009873554805, "beta times x, below 0 alpha*(exp(x)-1)")         \
    X(CP_CELU, celu, "celu", 1, 0, "x, below 0 alpha*(exp(x/alpha)-1)")                                                \
    X(CP_GELU, gelu, "gelu", 0, 0, "x*P(x)")                                                                           \
    X(CP_GELU_TANH, gelu_tanh, "gelu-tanh", 0, 0, "x*(1+tanh(sqrt(2/pi)*(x+0.044715*x^3)))/2")                         \
    X(CP_SILU, silu, "silu", 0, 0, "x*s(x)")                                                                           \
    X(CP_MISH, mish, "mish", 0, 0, "x*tanh(log(1+exp(x)))")                                                            \
    X(CP_SOFTPLUS, softplus, "softplus", 0, 0, "log(1+exp(x))")                                                        \
    X(CP_SOFTSIGN, softsign, "softsign", 0, 0, "x/(1+|x|)")                                                            \
    X(CP_HARD_SIGMOID, hard_sigmoid, "hard-sigmoid", 0.2, 0.5, "alpha*x+beta, within 0 and 1")                         \
    X(CP_HARD_SWISH, hard_swish, "hard-swish", 0, 0, "x*(x/6+1/2, within 0 and 1)")                                    \
    X(CP_CLIP, clip, "clip", 0, 6, "x, within alpha and beta")                                                         \
    X(CP_THRESHOLDED_RELU, thresholded_relu, "thresholded-relu", 1, 0, "x above alpha, else 0")                        \
    X(CP_EXP, exp, "exp", 0, 0, "e^x")                                                                                 \
    X(CP_LOG, log, "log", 0, 0, "the natural logarithm")                                                               \
    X(CP_SQRT, sqrt, "sqrt", 0, 0, "the square root")                                                                  \
    X(CP_RECIPROCAL, reciprocal, "reciprocal", 0, 0, "1/x")                                                            \
    X(CP_ABS, abs, "abs", 0, 0, "|x|")                                                                                 \
    X(CP_NEG, neg, "neg", 0, 0, "-x")                                                                                  \
    X(CP_SIGN, sign, "sign", 0, 0, "-1, 0 or 1")                                                                       \
    X(CP_FLOOR, floor, "floor", 0, 0, "the next whole number below")                                                   \
    X(CP_CEIL, ceil, "ceil", 0, 0, "the next whole number above")                                                      \
    X(CP_ROUND, round, "round", 0, 0, "the nearest whole number, halves to the even one")                              \
    X(CP_ERF, erf, "erf", 0, 0, "2*P(x*sqrt(2))-1")                                                                    \
    X(CP_SIN, sin, "sin", 0, 0, "sin(x)")                                                                              \
    X(CP_COS, cos, "cos", 0, 0, "cos(x)")

typedef enum cp_activation {
#define CP_ACTIVATION_ENUM(name, identifier, word, alpha, beta, text) name,
    CP_ACTIVATIONS(CP_ACTIVATION_ENUM)
#undef CP_ACTIVATION_ENUM
} cp_activation;
#define CP_ACTIVATION_ONE(...) +1
enum { CP_ACTIVATION_COUNT = 0 CP_ACTIVATIONS(CP_ACTIVATION_ONE) };
#undef CP_ACTIVATION_ONE

/* What stands outside the input. CONSTANT, the default: a number. Else values of the input: REFLECT mirrors it at its
 * first and last position, which are not repeated (each side less than the input); REPLICATE repeats those; CIRCULAR
 * goes on at the other end (each side at most the input). */
typedef enum cp_pad_values { CP_PAD_CONSTANT, CP_PAD_REFLECT, CP_PAD_REPLICATE, CP_PAD_CIRCULAR } cp_pad_values;

/* A convolution, as the field calls it (a cross-correlation: the kernel is not flipped):
 *
 *   y[n,o,k] = activation(b[k] + sum over t, c of x[n, o*stride - pad_before + t*dilation, c] * w[t,c,k])
 *
 * over all taps t and channels c. A tap outside the input contributes nothing, unless pad_values says what it sees.
 * With groups, filter k sees only the input channels of its group; groups = C is a depthwise convolution. Source:
 * Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016); for SAME, TensorFlow's
 * kernel_shape_util.cc. */
typedef struct cp_conv {
    int64_t kernel[CP_MAX_AXES];   /* only cp_net_conv reads it; elsewhere the weights tell */
    int64_t stride[CP_MAX_AXES];   /* all zero: 1 */
    int64_t dilation[CP_MAX_AXES]; /* distance between taps; all zero: 1 */
    cp_pad pad;
    int64_t pad_before[CP_MAX_AXES], pad_after[CP_MAX_AXES];
    cp_pad_values pad_values; /* what taps outside the input see: zeros, or values of the input */
    int64_t groups;           /* 0: 1 */
    cp_activation activation;
    /* Only of a transposed convolution: rows added after the output; and the output's size, from which padding follows
     * then (all zero: not given). */
    int64_t output_padding[CP_MAX_AXES], output_size[CP_MAX_AXES];
    int64_t offset_groups; /* only of a deformable convolution: so many parts of the channels have offsets; 0: 1 */
    int64_t reserved[7];   /* zero */
} cp_conv;

/* LP: (sum |x|^p)^(1/p) over each window, not divided by anything (ONNX LpPool). STOCHASTIC: while training one of the
 * window's values, drawn with the probability a / sum a; else the mean that these probabilities give, sum a^2 / sum a
 * (Zeiler and Fergus 2013); values that are not positive have the probability 0, and a window of them gives 0. */
typedef enum cp_pooling { CP_MAX, CP_AVERAGE, CP_LP, CP_STOCHASTIC } cp_pooling;

/* What an average divides by: the taps inside the input; inside input and padding (but not what ceil_mode adds); all
 * taps of the kernel, wherever they lie; a number, divide_by. */
typedef enum cp_divisor { CP_DIVISOR_VALID, CP_DIVISOR_PADDED, CP_DIVISOR_KERNEL, CP_DIVISOR_NUMBER } cp_divisor;

/* Maxima over windows whose places are drawn (Graham 2014), in two published forms. PYTORCH: output_size windows of
 * kernel, at int((i+u)*a) - int(u*a) with a = (input-kernel)/(output-1), the last at the end; one u for each image,
 * channel and axis. TENSORFLOW: output_size windows between ceil(a*(i+u)) with a = input/output, one u for each axis,
 * such that all have floor(a) or floor(a)+1 positions; overlapping ones see the first of the next, too. */
typedef enum cp_fractional { CP_NOT_FRACTIONAL, CP_FRACTIONAL_PYTORCH, CP_FRACTIONAL_TENSORFLOW } cp_fractional;

/* A pooling of each window. Padding is absent, never a value: the maximum ignores it, the average divides by what its
 * divisor says; of U8 and I8 (maximum and average, with windows of one size) the result has the same type, an average
 * rounded to the nearest number, halves to even. The first of equal maxima wins, and NaN wins over every number.
 * ceil_mode rounds the number of windows up, as long as each begins inside the input or the padding before it. Source:
 * PyTorch's ATen/native/Pool.h and ONNX. With output_size the windows follow from it: an adaptive maximum or average
 * over [floor(o*in/out), ceil((o+1)*in/out)) (PyTorch's AdaptivePooling.h), or fractional maxima; no field of other
 * windows may be set. */
typedef struct cp_pool {
    cp_pooling kind;
    int64_t kernel[CP_MAX_AXES];
    int64_t stride[CP_MAX_AXES];   /* all zero: the kernel */
    int64_t dilation[CP_MAX_AXES]; /* all zero: 1 */
    cp_pad pad;
    int64_t pad_before[CP_MAX_AXES], pad_after[CP_MAX_AXES];
    /* With values of the input, padded taps are seen and counted like others. cp_net_pool makes a padding of it, and a
     * pooling without; ceil_mode is not possible then. */
    cp_pad_values pad_values;
    bool ceil_mode;
    bool global; /* one window over the whole input; nothing else but kind and exponent may be set */
    cp_divisor divisor;
    int64_t divide_by;
    float exponent;                   /* p of Lp, at least 1; 0: 2 */
    int64_t output_size[CP_MAX_AXES]; /* not all zero: adaptive, or fractional */
    cp_fractional fractional;
    bool overlapping; /* of fractional windows between boundaries */
    int64_t reserved[8];
} cp_pool;

/* Padding as a layer of its own, of the spatial axes. Source: ONNX Pad; NumPy's pad. */
typedef struct cp_padding {
    int64_t before[CP_MAX_AXES], after[CP_MAX_AXES];
    cp_pad_values values;
    float constant; /* for CP_PAD_CONSTANT */
    int64_t reserved[8];
} cp_padding;

/* Another size of the spatial axes: from the nearest pixel, linear between neighbours (bilinear, trilinear), or cubic
 * between four of them (Keys 1981, with the coefficient `cubic`, 0: -0.75). Their weights are those of a kernel about
 * the position; with antialias, where the output is smaller, of one that is wider by input / output, so that no pixel
 * is left out. exclude_outside: pixels outside have no weight, else that of the edge. Position o of the output lies in
 * the input, with scale = output / input, at
 * - HALF_PIXEL: (o + 0.5) / scale - 0.5
 * - ASYMMETRIC: o / scale
 * - ALIGN_CORNERS: o * (input - 1) / (output - 1)
 * - PYTORCH_HALF_PIXEL: as HALF_PIXEL, but 0 where there is one output
 * - HALF_PIXEL_SYMMETRIC: as HALF_PIXEL, but about the middle of the input, where the size was rounded down
 * - CROP: as ALIGN_CORNERS of the part begin .. end (0 .. 1) of the input; what lies outside is `extrapolation`.
 * NEAREST rounds that as `rounding` says, ROUND_PREFER_... to the nearest and ties to that side. Positions outside are
 * taken to the edge. Source: ONNX Resize. */
typedef enum cp_interpolation { CP_INTERPOLATE_NEAREST, CP_INTERPOLATE_LINEAR, CP_INTERPOLATE_CUBIC } cp_interpolation;
typedef enum cp_coordinates {
    CP_HALF_PIXEL,
    CP_ASYMMETRIC,
    CP_ALIGN_CORNERS,
    CP_PYTORCH_HALF_PIXEL,
    CP_HALF_PIXEL_SYMMETRIC,
    CP_CROP
} cp_coordinates;
typedef enum cp_rounding { CP_ROUND_PREFER_FLOOR, CP_ROUND_PREFER_CEIL, CP_ROUND_FLOOR, CP_ROUND_CEIL } cp_rounding;
typedef struct cp_resize {
    cp_interpolation interpolation;
    cp_coordinates coordinates;
    cp_rounding rounding;
    int64_t size[CP_MAX_AXES]; /* of the output; either this, */
    float scale[CP_MAX_AXES];  /* or output / input: the size is floor(input * scale) */
    bool antialias, exclude_outside;
    float cubic;
    float begin[CP_MAX_AXES], end[CP_MAX_AXES], extrapolation; /* of CROP */
    int64_t reserved[8];
} cp_resize;

/* Where a pixel of a block (counted b, row by row, of B) and a channel c of C stand among the B*C channels: DEPTH_FIRST
 * at b*C + c (ONNX DCR, TensorFlow), CHANNEL_FIRST at c*B + b (ONNX CRD, PyTorch's pixel shuffle). */
typedef enum cp_depth_order { CP_DEPTH_FIRST, CP_CHANNEL_FIRST } cp_depth_order;

/* Regions of pictures, pooled to one size: rows of rois [R,5] are image, x1, y1, x2, y2, the coordinates times
 * spatial_scale those of pixels. MAX RoI pooling (Girshick 2015; ONNX MaxRoiPool) rounds them and takes the maximum of
 * each bin, whole pixels from floor(o*extent/out) to ceil((o+1)*extent/out), 0 where nothing of it is inside. RoI ALIGN
 * (He et al. 2017; ONNX RoiAlign) samples each bin at a grid of points, linearly between pixels, and takes their mean
 * or maximum; points more than a pixel outside are 0. */
typedef struct cp_roi {
    int64_t output_size[CP_MAX_AXES]; /* height, width */
    float spatial_scale;              /* 0: 1 */
    /* The rest is RoI align's. Points along each axis of a bin; 0: as many as it has pixels, rounded up. */
    int64_t sampling;
    bool output_half_pixel; /* coordinates are not moved by half a pixel, and a region has one at least (ONNX before 16)
                             */
    bool max;               /* the maximum instead of the mean */
    /* The maximum is that of single pixels times their weights, as ONNX's reference and onnxruntime take it, not that
     * of the interpolated values of its text. */
    bool max_of_corners;
    int64_t reserved[8];
} cp_roi;

/* ---------------------------------------------------------------------------------------------------------------
 * One operation, now
 * ------------------------------------------------------------------------------------------------------------- */

typedef struct cp_ctx cp_ctx; /* threads, instruction set, math mode; see below. NULL: one thread, best instructions */

/* The shape of the result; CP_E_SHAPE with the reason where there is none. x: N,space,C; w: kernel,C/groups,filters. */
CP_API cp_status cp_conv_shape(cp_shape *y, const cp_conv *conv, cp_shape x, cp_shape w);
CP_API cp_status cp_pool_shape(cp_shape *y, const cp_pool *pool, cp_shape x);

/* y = conv(x, w) + b. x [N,space,C], w [kernel,C/groups,K], b [K] or NULL, y [N,space',K] (cp_conv_shape), all f32,
 * with 1 to 3 spatial axes. y must not overlap the others. */
CP_API cp_status cp_conv_run(cp_ctx *ctx, const cp_conv *conv, const cp_tensor *x, const cp_tensor *w,
                             const cp_tensor *b, const cp_tensor *y);
/* The gradients of sum(y * dy) by x, w and b, each where the pointer is not NULL; shapes as x, w and b. With an
 * activation dy is the gradient behind it, and b (or NULL) takes part in where it is active. */
CP_API cp_status cp_conv_gradient(cp_ctx *ctx, const cp_conv *conv, const cp_tensor *x, const cp_tensor *w,
                                  const cp_tensor *b, const cp_tensor *dy, const cp_tensor *dx, const cp_tensor *dw,
                                  const cp_tensor *db);
/* The transposed convolution, the adjoint of the convolution with the same descriptor (its input gradient):
 *   y[n,i,c] = b[c] + sum over k and all o, t with o*stride - pad_before + t*dilation = i of x[n,o,k] * w[t,c,k]
 * x [N,space,K], w [kernel,C/groups,K], b [C] or NULL, y [N,space',C] with stride*(in-1) + output_padding + extent -
 * padding positions; with SAME stride*in. Source: ONNX ConvTranspose; Zeiler et al., "Deconvolutional networks" (2010).
 */
CP_API cp_status cp_conv_transpose_shape(cp_shape *y, const cp_conv *conv, cp_shape x, cp_shape w);
CP_API cp_status cp_conv_transpose_run(cp_ctx *ctx, const cp_conv *conv, const cp_tensor *x, const cp_tensor *w,
                                       const cp_tensor *b, const cp_tensor *y);
/* y [N,space',C] = pool(x [N,space,C]), f32. */
CP_API cp_status cp_pool_run(cp_ctx *ctx, const cp_pool *pool, const cp_tensor *x, const cp_tensor *y);
/* dx: the gradient of sum(y * dy) by x. */
CP_API cp_status cp_pool_gradient(cp_ctx *ctx, const cp_pool *pool, const cp_tensor *x, const cp_tensor *dy,
                                  const cp_tensor *dx);

/* ---------------------------------------------------------------------------------------------------------------
 * Contexts
 * ------------------------------------------------------------------------------------------------------------- */

/* PORTABLE: 16-byte vectors (SSE2 on x86, NEON on AArch64). AVX512: F, BW, VL and DQ; with VNNI bytes are multiplied
 * four at a time, with BF16 (and VNNI) pairs of bf16. Each level contains those before it. */
typedef enum cp_isa {
    CP_ISA_BEST,
    CP_ISA_PORTABLE,
    CP_ISA_AVX2,
    CP_ISA_AVX512,
    CP_ISA_AVX512VNNI,
    CP_ISA_AVX512BF16
} cp_isa;

/* What may be computed in a faster way than the formula says. FAST: convolutions by transforms whose rounding errors
 * are a few times those of a sum in f32 (Winograd's F(4x4,3x3) and the like; an infinite or NaN input spoils the
 * outputs beside it). STRICT: none whose errors are larger than a sum's, and an image's results do not depend on the
 * batch that it is in. BF16: as FAST, and where the CPU multiplies bf16 numbers, dense layers whose time is that of
 * reading their weights may round what they multiply to such, an error of up to 2^-7 of each product; sums stay f32. */
typedef enum cp_math { CP_MATH_FAST, CP_MATH_STRICT, CP_MATH_BF16 } cp_math;

/* alloc returns memory aligned to alignment (a power of two, at most 64), or NULL; free takes what alloc gave. */
typedef struct cp_allocator {
    void *(*alloc)(void *user, size_t bytes, size_t alignment);
    void (*free)(void *user, void *memory);
    void *user;
} cp_allocator;

typedef struct cp_options {
    int threads; /* 1 to 1024; 0: 1 */
    cp_isa isa;  /* BEST: CONVPOOL_ISA where it is set, else the CPU's best */
    cp_math math;
    const cp_allocator *allocator; /* copied; NULL: malloc */
    int64_t max_memory;            /* bytes that one plan's work may need; 0: no limit */
    int64_t reserved[8];
} cp_options;

/* A context owns a pool of threads - 1 threads. Calls from several threads with one context take turns; calls with
 * different contexts do not meet. The context must outlive the plans and trainers made with it. */
CP_API cp_status cp_ctx_new(cp_ctx **ctx, const cp_options *options);
CP_API void cp_ctx_free(cp_ctx *ctx);
CP_API int cp_ctx_threads(const cp_ctx *ctx);
/* The level in use: "portable", "avx2", "avx512", "avx512vnni" or "avx512bf16". */
CP_API const char *cp_ctx_isa(const cp_ctx *ctx);
/* The i-th level that this CPU can run, best first, or NULL behind the last. */
CP_API const char *cp_isa_available(int i);

/* ---------------------------------------------------------------------------------------------------------------
 * Networks: what to compute
 * ------------------------------------------------------------------------------------------------------------- */

typedef struct cp_net cp_net;
typedef int32_t cp_node; /* a value in a net; 0 is none, and what a failed call returns */

CP_API cp_status cp_net_new(cp_net **net);
CP_API void cp_net_free(cp_net *net);
CP_API cp_status cp_net_clone(cp_net **copy, const cp_net *net);

/* Builders add a layer and return its value. A failed one returns 0; a builder given a 0 passes it on; the net keeps
 * the first failure, so that one look at the end is enough. Layers are named conv1, pool1, dense1, ... in their order
 * unless cp_net_name gave the next one a name. */
CP_API cp_status cp_net_error(const cp_net *net, const char **text);
CP_API void cp_net_name(cp_net *net, const char *name);

/* A dimension 0 at the front stands for any batch. */
CP_API cp_node cp_net_input(cp_net *net, const char *name, cp_type type, cp_shape shape);
/* A value that the net keeps a copy of, halves as F32. */
CP_API cp_node cp_net_constant(cp_net *net, const char *name, const cp_tensor *value);
CP_API void cp_net_output(cp_net *net, cp_node value, const char *name);

/* Layers with parameters of their own, zero until cp_net_initialize or a file fills them: "conv1.weight", "conv1.bias".
 * filters: output channels. */
CP_API cp_node cp_net_conv(cp_net *net, cp_node x, int64_t filters, const cp_conv *conv);
CP_API cp_node cp_net_conv_transpose(cp_net *net, cp_node x, int64_t filters, const cp_conv *conv);
/* Locally connected: a convolution of which each output position has weights of its own, w [outputs,taps*C,filters] (as
 * Keras orders them), and b [filters]. conv: kernel, stride, dilation, padding with zeros, activation; no groups. */
CP_API cp_node cp_net_local_conv(cp_net *net, cp_node x, int64_t filters, const cp_conv *conv);
CP_API cp_node cp_net_local_conv_with(cp_net *net, cp_node x, cp_node w, cp_node b, const cp_conv *conv);
/* Deformable (Dai et al. 2017): each tap looks beside its place in the window, between pixels, by offsets of its own:
 *   y[n,o,k] = b[k] + sum over t, c of mask[n,o,(g,t)] * x(n,at,c) * w[t,c,k],
 *   at = o*stride - pad_before + t*dilation + offset[n,o,(g,t)],
 * where x(...) is interpolated linearly between the pixels around, those outside being 0, and g is the one of
 * offset_groups equal parts of the channels that c belongs to. offset [N,space',offset_groups*taps*axes]: in the order
 * group, tap, axis, the axes as those of space (y, x); mask [N,space',offset_groups*taps] (Zhu et al. 2019; 0: all 1);
 * the channels stand in the order of ONNX DeformConv and torchvision. Padding: zeros alone. cp_net_deform_conv has the
 * offsets from a convolution of x with the same window, "deform-conv1.offset", which begins at 0; modulated: a mask
 * from it, too, through a sigmoid. */
CP_API cp_node cp_net_deform_conv(cp_net *net, cp_node x, int64_t filters, const cp_conv *conv, bool modulated);
CP_API cp_node cp_net_deform_conv_with(cp_net *net, cp_node x, cp_node w, cp_node offset, cp_node mask, cp_node b,
                                       const cp_conv *conv);
CP_API cp_node cp_net_dense(cp_net *net, cp_node x, int64_t units, cp_activation activation);
/* The same with weights that are any value of the net; b may be 0. w of dense: [inputs, units]. */
CP_API cp_node cp_net_conv_with(cp_net *net, cp_node x, cp_node w, cp_node b, const cp_conv *conv);
CP_API cp_node cp_net_conv_transpose_with(cp_net *net, cp_node x, cp_node w, cp_node b, const cp_conv *conv);
CP_API cp_node cp_net_dense_with(cp_net *net, cp_node x, cp_node w, cp_node b, cp_activation activation);

CP_API cp_node cp_net_pool(cp_net *net, cp_node x, const cp_pool *pool);
/* Where the maxima y = cp_net_pool(...) were: I32, shape of y, the flat position in the space of one image (N and C not
 * counted, as PyTorch). CP_E_ARG where y is no maximum. */
CP_API cp_node cp_net_pool_positions(cp_net *net, cp_node y);
/* The values of x [N,space,C] back at such positions (I32, shape of x), 0 elsewhere; the last one where several name
 * one place. pool tells the size, by output_size or as that at which its last window ends. A position outside is
 * CP_E_ARG when the plan runs. Source: ONNX MaxUnpool; Zeiler and Fergus (2014). */
CP_API cp_node cp_net_max_unpool(cp_net *net, cp_node x, cp_node positions, const cp_pool *pool);
/* Regions rois [R,5] of x [N,H,W,C]: [R,output_size,C]. There is no gradient by rois. An image that is none of x is
 * CP_E_ARG when the plan runs. */
CP_API cp_node cp_net_max_roi_pool(cp_net *net, cp_node x, cp_node rois, const cp_roi *roi);
CP_API cp_node cp_net_roi_align(cp_net *net, cp_node x, cp_node rois, const cp_roi *roi);
/* Spatial pyramid pooling (He et al. 2014): adaptive poolings to levels[l] positions along each axis, flattened one
 * behind the other: [N, sum of levels[l]^axes * C]. kind: CP_MAX or CP_AVERAGE. */
CP_API cp_node cp_net_pyramid_pool(cp_net *net, cp_node x, cp_pooling kind, const int64_t *levels, int n);
/* The windows of a convolution as the rows of a matrix: y[n,o,t*C+c] = x[n, o*stride - pad_before + t*dilation, c], 0
 * in the padding; y [N,outputs,taps*C], positions and taps in row-major order. conv says kernel, stride, dilation and
 * padding. And its adjoint, which adds up what a pixel has become: size (a value per axis of the kernel) is that of the
 * result. CP_E_SHAPE where the matrix does not fit. Source: Chellapilla et al., "High performance convolutional neural
 * networks for document processing" (2006). */
CP_API cp_node cp_net_im2col(cp_net *net, cp_node x, const cp_conv *conv);
CP_API cp_node cp_net_col2im(cp_net *net, cp_node y, const cp_conv *conv, const int64_t *size);
/* x [N,space,C] with other spatial axes. CP_E_ARG and CP_E_SHAPE where the descriptor or the sizes do not allow it. */
CP_API cp_node cp_net_pad(cp_net *net, cp_node x, const cp_padding *padding);
CP_API cp_node cp_net_resize(cp_net *net, cp_node x, const cp_resize *resize);
/* Pixel shuffle: channels become blocks of block^axes pixels, or blocks become channels. CP_E_SHAPE where channels or
 * pixels cannot be divided so. Source: Shi et al., "Real-time single image and video super-resolution using an
 * efficient sub-pixel convolutional neural network" (2016); ONNX DepthToSpace, SpaceToDepth. */
CP_API cp_node cp_net_depth_to_space(cp_net *net, cp_node x, int64_t block, cp_depth_order order);
CP_API cp_node cp_net_space_to_depth(cp_net *net, cp_node x, int64_t block, cp_depth_order order);
CP_API cp_node cp_net_flatten(cp_net *net, cp_node x); /* [N, the rest] */
/* What only moves numbers, of any type and rank; axes are counted from 0.
 * reshape: the same numbers in the same order under another shape; a size of 0 is that of x's axis of the same number,
 *   one -1 is what is left. It costs nothing.
 * transpose: axis d of the result is axis order[d] of x; NULL: all in the opposite order.
 * expand: x repeated along axes that are missing or of size 1 as far as shape says; where shape is smaller, x stays.
 * tile: the whole repeated that often along each axis of x.
 * pad_axes: each side of each axis of x, as cp_net_pad; negative numbers cut off. */
CP_API cp_node cp_net_reshape(cp_net *net, cp_node x, cp_shape shape);
CP_API cp_node cp_net_transpose(cp_net *net, cp_node x, const int *order);
CP_API cp_node cp_net_expand(cp_net *net, cp_node x, cp_shape shape);
CP_API cp_node cp_net_tile(cp_net *net, cp_node x, const int64_t *repeats);
CP_API cp_node cp_net_pad_axes(cp_net *net, cp_node x, const int64_t *before, const int64_t *after,
                               cp_pad_values values, float constant);
/* The rows of x along an axis that indices (I32 or I64, of any shape, which takes the place of the axis) name; and the
 * elements, where indices has the shape of the result, each in its own row along the axis. Below 0 they count from the
 * end; one outside is CP_E_ARG when the plan runs. Source: ONNX Gather, GatherElements. */
CP_API cp_node cp_net_gather(cp_net *net, cp_node x, cp_node indices, int axis);
CP_API cp_node cp_net_gather_elements(cp_net *net, cp_node x, cp_node indices, int axis);
/* The same numbers in another type. To an integer fractions are cut off, what is outside becomes the nearest number
 * that the type has, NaN 0; integers to integers lose their upper bits; a BOOL is whether x is not 0. */
CP_API cp_node cp_net_cast(cp_net *net, cp_node x, cp_type type);
/* Of floats; RELU, ABS, NEG and SIGN also of integers, which wrap around. */
CP_API cp_node cp_net_activation(cp_net *net, cp_node x, cp_activation activation);
/* The same with other numbers than the usual; alpha = beta = 0 are the usual. CP_E_ARG where they are not finite, where
 * CELU's alpha is 0 or clip's beta below alpha. */
CP_API cp_node cp_net_activation_with(cp_net *net, cp_node x, cp_activation activation, float alpha, float beta);
CP_API cp_node cp_net_softmax(cp_net *net, cp_node x);                /* over the last axis */
CP_API cp_node cp_net_softmax_axis(cp_net *net, cp_node x, int axis); /* -1: the last */
/* Its logarithm, x - log(sum of e^x), which does not overflow. */
CP_API cp_node cp_net_log_softmax(cp_net *net, cp_node x, int axis);
/* While training a share `rate` of the values is zero and the others are scaled by 1/(1-rate); else nothing. */
CP_API cp_node cp_net_dropout(cp_net *net, cp_node x, float rate);
/* Element by element; both are floats or integers of one type, and so is the result: a quotient of integers is cut
 * towards 0 (x/0 is 0), what is too large loses its upper bits, a negative power is 0 unless the base is 1 or -1.
 * Shapes broadcast as NumPy's, in channels-last order: axes meet from the last one on, and one that is missing or of
 * size 1 is repeated; so [C] belongs to the channels. CP_E_SHAPE where they do not fit. Of equal numbers the minimum
 * (maximum) is a, which then gets the gradient. */
CP_API cp_node cp_net_add(cp_net *net, cp_node a, cp_node b);
CP_API cp_node cp_net_sub(cp_net *net, cp_node a, cp_node b);
CP_API cp_node cp_net_mul(cp_net *net, cp_node a, cp_node b);
CP_API cp_node cp_net_div(cp_net *net, cp_node a, cp_node b);
CP_API cp_node cp_net_min(cp_net *net, cp_node a, cp_node b);
CP_API cp_node cp_net_max(cp_net *net, cp_node a, cp_node b);
CP_API cp_node cp_net_pow(cp_net *net, cp_node a, cp_node b); /* a to the power of b */
/* BOOL, broadcast alike: how numbers of any one type compare (a NaN is unlike everything), and truths together. */
typedef enum cp_relation {
    CP_EQUAL,
    CP_LESS,
    CP_GREATER,
    CP_LESS_OR_EQUAL,
    CP_GREATER_OR_EQUAL,
    CP_AND,
    CP_OR,
    CP_XOR
} cp_relation;
CP_API cp_node cp_net_compare(cp_net *net, cp_node a, cp_node b, cp_relation relation);
CP_API cp_node cp_net_not(cp_net *net, cp_node x);
/* a where condition (BOOL) is true, else b; all three broadcast. a and b are of any one type. */
CP_API cp_node cp_net_where(cp_net *net, cp_node condition, cp_node a, cp_node b);
/* The matrix product of the last two axes, a [..,M,K] by b [..,K,N]; the axes before them broadcast. A vector as a is
 * one row, as b one column, whose axis is gone from the result. Floats, or integers of one type. Source: NumPy's
 * matmul. */
CP_API cp_node cp_net_matmul(cp_net *net, cp_node a, cp_node b);
/* Numbers as whole ones of few bits: y = x / scale, rounded to the nearest (halves to even), plus zero, within what its
 * type has; and back: x = scale * (y - zero). To bytes: x is F32 or I32, y U8 or I8, which zero says (0: none, and y is
 * U8). Back: y is U8, I8 or I32, and zero, if there is one, of the same type; x is F32. scale (F32) and zero are one
 * number, or [C] one for each position of an axis, which is looked at only then; CP_E_SHAPE where they are neither. A
 * NaN becomes the least. Source: ONNX QuantizeLinear, DequantizeLinear. */
CP_API cp_node cp_net_quantize(cp_net *net, cp_node x, cp_node scale, cp_node zero, int axis);
CP_API cp_node cp_net_dequantize(cp_net *net, cp_node y, cp_node scale, cp_node zero, int axis);
/* With a scale and a U8 zero, scalars (either may be NULL), that take 0 and all of x to U8 (1 and 0 where all of x is
 * 0). Source: ONNX DynamicQuantizeLinear. */
CP_API cp_node cp_net_dynamic_quantize(cp_net *net, cp_node x, cp_node *scale, cp_node *zero);
/* Convolution and matrix product of bytes (U8 or I8, each on its own) with exact sums I32, modulo 2^32:
 *   y[n,o,k] = sum over t, c of (x[n, o*stride - pad_before + t*dilation, c] - x_zero) * (w[t,c,k] - w_zero[k])
 * Padding sees x_zero. Zero points are one number of the type of what they belong to, w_zero also one for each filter
 * [K]; 0: none. x of the product: [..,rows,columns], w [columns,K]. Source: ONNX ConvInteger, MatMulInteger. */
CP_API cp_node cp_net_conv_integer(cp_net *net, cp_node x, cp_node w, cp_node x_zero, cp_node w_zero,
                                   const cp_conv *conv);
CP_API cp_node cp_net_matmul_integer(cp_net *net, cp_node x, cp_node w, cp_node x_zero, cp_node w_zero);
/* The same of numbers scale * (byte - zero), in and out: the sums, plus a bias I32 [K] (or 0) of the scale x_scale *
 * w_scale, times x_scale * w_scale / y_scale (all as F32), rounded to the nearest integer, of two to the even one, plus
 * y_zero, within what its type has (0: U8 and no zero point). Scales are F32, one number, w_scale also one for each
 * filter. Source: ONNX QLinearConv, QLinearMatMul. */
typedef struct cp_quantised {
    cp_node value, scale, zero; /* of the output: value unused */
} cp_quantised;
CP_API cp_node cp_net_qlinear_conv(cp_net *net, const cp_quantised *x, const cp_quantised *w, cp_node b,
                                   const cp_quantised *y, const cp_conv *conv);
CP_API cp_node cp_net_qlinear_matmul(cp_net *net, const cp_quantised *x, const cp_quantised *w, const cp_quantised *y);
/* x where it is not below 0, else slope * x (He et al. 2015); cp_net_prelu has a slope for each channel as its
 * parameter, "prelu1.weight", 0.25 when initialized. */
CP_API cp_node cp_net_prelu(cp_net *net, cp_node x);
CP_API cp_node cp_net_prelu_with(cp_net *net, cp_node x, cp_node slope);
/* The sum (mean, ...) over n axes, 0 for the first of the channels-last order; n = 0: over all. keep: they stay, with
 * size 1; else they are gone (of the last one [1] stays). l1 and l2 are norms; log-sum-exp is the logarithm of the sum
 * of e^x. Of equal maxima (minima) the first gets the gradient. Of floats or integers; those wrap around, and fractions
 * are cut off. */
typedef enum cp_reduction {
    CP_REDUCE_SUM,
    CP_REDUCE_MEAN,
    CP_REDUCE_MAX,
    CP_REDUCE_MIN,
    CP_REDUCE_PRODUCT,
    CP_REDUCE_L1,
    CP_REDUCE_L2,
    CP_REDUCE_SUM_SQUARE,
    CP_REDUCE_LOG_SUM,
    CP_REDUCE_LOG_SUM_EXP
} cp_reduction;
CP_API cp_node cp_net_reduce(cp_net *net, cp_node x, cp_reduction reduction, const int *axes, int n, bool keep);
/* Where along an axis the largest (smallest) number is, I64: of equal ones the first, or the last; a NaN is larger
 * (smaller) than all numbers. keep: the axis stays, with size 1. */
CP_API cp_node cp_net_arg_max(cp_net *net, cp_node x, int axis, bool keep, bool last);
CP_API cp_node cp_net_arg_min(cp_net *net, cp_node x, int axis, bool keep, bool last);
/* The k largest (smallest) numbers along an axis in their order, of equal ones the first before; *indices (may be
 * NULL), I64: where they were. NaNs are larger than all numbers. */
CP_API cp_node cp_net_top_k(cp_net *net, cp_node x, int axis, int64_t k, bool smallest, cp_node *indices);
/* Each number plus all before it along an axis (exclusive: without itself; reverse: those behind it). Floats, I32, I64.
 */
CP_API cp_node cp_net_cumulative_sum(cp_net *net, cp_node x, int axis, bool exclusive, bool reverse);
/* n values one behind the other along an axis (-1: the last); other sizes are the same. */
CP_API cp_node cp_net_concat(cp_net *net, const cp_node *values, int n, int axis);
/* `count` rows from `begin` on along an axis, next to each other or `step` apart (below 0: backwards); cp_net_split: n
 * such parts of these sizes, which add up to the axis. */
CP_API cp_node cp_net_slice(cp_net *net, cp_node x, int axis, int64_t begin, int64_t count);
CP_API cp_node cp_net_slice_step(cp_net *net, cp_node x, int axis, int64_t begin, int64_t count, int64_t step);
CP_API cp_status cp_net_split(cp_net *net, cp_node x, int axis, const int64_t *sizes, int n, cp_node *parts);
/* Normalisation: (x - mean) / sqrt(variance + epsilon) * scale + bias, scale and bias one number per channel, the
 * variance that of the population. Over the batch and space for each channel (Ioffe and Szegedy 2015: in training with
 * the moments of the batch; else with the running ones, which become momentum * running + (1-momentum) * the batch's
 * with each training step); over the channels of each pixel (layer: Ba et al. 2016); over space and a group of channels
 * of each image (Wu and He 2018); over space for each channel of each image (instance: Ulyanov et al. 2016). Zeros are
 * the usual: epsilon 1e-5, momentum 0.9. Parameters: "batch-norm1.weight" (1 when initialized), ".bias", and of a batch
 * ".running_mean", ".running_var". */
CP_API cp_node cp_net_batch_norm(cp_net *net, cp_node x, float epsilon, float momentum);
CP_API cp_node cp_net_layer_norm(cp_net *net, cp_node x, float epsilon);
CP_API cp_node cp_net_group_norm(cp_net *net, cp_node x, int64_t groups, float epsilon);
CP_API cp_node cp_net_instance_norm(cp_net *net, cp_node x, float epsilon);
CP_API cp_node cp_net_batch_norm_with(cp_net *net, cp_node x, cp_node scale, cp_node bias, cp_node running_mean,
                                      cp_node running_variance, float epsilon, float momentum);
CP_API cp_node cp_net_layer_norm_with(cp_net *net, cp_node x, cp_node scale, cp_node bias, float epsilon);
CP_API cp_node cp_net_group_norm_with(cp_net *net, cp_node x, cp_node scale, cp_node bias, int64_t groups,
                                      float epsilon);
CP_API cp_node cp_net_instance_norm_with(cp_net *net, cp_node x, cp_node scale, cp_node bias, float epsilon);
/* Local response normalisation (Krizhevsky et al. 2012, ONNX's numbers): x / (bias + alpha/size * sum of squares of
 * `size` channels around)^beta. Zeros are the usual: alpha 1e-4, beta 0.75, bias 1. */
CP_API cp_node cp_net_lrn(cp_net *net, cp_node x, int64_t size, float alpha, float beta, float bias);
/* Losses, a scalar [1]: the mean over the batch of -log softmax(logits)[label] (labels: I32 [N]), and the mean over all
 * elements of (y - target)^2. */
CP_API cp_node cp_net_softmax_cross_entropy(cp_net *net, cp_node logits, cp_node labels);
CP_API cp_node cp_net_mean_squared_error(cp_net *net, cp_node y, cp_node target);
/* The first with a weight for each class (values [C]; 0: all 1) and smoothed labels: with q[c] = weight[c] *
 * ((1-smoothing)*[c = label] + smoothing/C), the sum over the batch of -q[c]*log softmax(logits)[c], divided by the sum
 * of the labels' weights (Szegedy et al. 2015; as PyTorch). 0 <= smoothing < 1. */
CP_API cp_node cp_net_softmax_cross_entropy_with(cp_net *net, cp_node logits, cp_node labels, cp_node weights,
                                                 float smoothing);
/* The mean over all elements of -t*log s(x) - (1-t)*log(1-s(x)), s(x) = 1/(1+exp(-x)), in a form that does not
 * overflow. */
CP_API cp_node cp_net_binary_cross_entropy(cp_net *net, cp_node logits, cp_node target);
/* The mean over the batch of -(1-p)^gamma*log p, p = softmax(logits)[label] (Lin et al. 2017); gamma 0: 2. */
CP_API cp_node cp_net_focal(cp_net *net, cp_node logits, cp_node labels, float gamma);
/* The mean over the batch of the sum over all other classes c of max(0, 1 + scores[c] - scores[label]) / C (Weston and
 * Watkins 1999; divided as PyTorch's multi-margin loss). */
CP_API cp_node cp_net_hinge(cp_net *net, cp_node scores, cp_node labels);
/* The mean over all elements of d^2/2 where |d| <= delta, else delta*(|d|-delta/2), d = y - target (Huber 1964); delta
 * 0: 1. */
CP_API cp_node cp_net_huber(cp_net *net, cp_node y, cp_node target, float delta);

/* Adds to the net the gradients of sum(y * dy) by each of the n values wrt: reverse mode over the graph (Linnainmaa
 * 1970). dy may be 0 for a scalar y: 1. by[i] is 0 where y does not depend on wrt[i]. */
CP_API cp_status cp_net_gradients(cp_net *net, cp_node y, cp_node dy, const cp_node *wrt, int n, cp_node *by);

/* Adds the layers that a text describes to x: "conv 32 5x5 same relu; pool 2; flatten; dense 1024 relu; dropout 0.4;
 * dense 10". "{ A; B | C; D }" runs branches, each on the same input, and adds them, which must have one shape; an
 * empty branch is the identity: "{ conv 16 3x3 same relu; conv 16 3x3 same | }; relu". A named net is a layer, too,
 * with as many outputs as the number behind it says (10): "lenet5" (LeCun et al. 1998), "resnet8" (as He et al. 2015
 * for CIFAR-10, without normalisation), "vgg6" (four convolutions and two dense layers, for MNIST). "max-unpool" undoes
 * the last maximum on the way that is not undone yet, back to the size that it had seen (as SegNet's decoder);
 * "pyramid-max-pool 1,2,4" is cp_net_pyramid_pool. A mistake is answered with its position and the words that are
 * possible there. */
CP_API cp_node cp_net_parse(cp_net *net, cp_node x, const char *text);

/* The operations that nets are made of, as cp_layer and cp_step_info name them. */
#define CP_MAX_ALGORITHMS 16
typedef struct cp_operator {
    const char *name;
    const char *algorithms[CP_MAX_ALGORITHMS + 1]; /* the reference last, then NULL; none where nothing is computed */
    bool differentiable;                           /* cp_net_gradients knows its gradient */
    bool gradient;                                 /* it is the gradient of another: only cp_net_gradients adds it */
    bool layer;                                    /* it can stand in a model's file */
} cp_operator;
/* The i-th of them; false behind the last. */
CP_API bool cp_operator_at(cp_operator *found, int i);

/* What is in a net. */
CP_API cp_shape cp_net_shape(const cp_net *net, cp_node value);
CP_API cp_type cp_net_type(const cp_net *net, cp_node value); /* F32 for no such value */
CP_API int cp_net_inputs(const cp_net *net);
CP_API int cp_net_outputs(const cp_net *net);
CP_API const char *cp_net_input_name(const cp_net *net, int i);
CP_API const char *cp_net_output_name(const cp_net *net, int i);
CP_API cp_node cp_net_input_node(const cp_net *net, int i);
CP_API cp_node cp_net_output_node(const cp_net *net, int i);
CP_API int cp_net_parameters(const cp_net *net);
CP_API const char *cp_net_parameter_name(const cp_net *net, int i);
CP_API cp_node cp_net_parameter_node(const cp_net *net, int i);
/* A view (f32, channels-last order) of the net's own copy of a parameter: read it, or write it before planning. All
 * zero (data NULL, too) where there is no such parameter, or no memory for the copy, which a loaded net makes now. */
CP_API cp_tensor cp_net_parameter(const cp_net *net, int i);
/* Facts that travel with the model: a text by name. NULL as value removes it; cp_net_note gives NULL for no such. */
CP_API cp_status cp_net_set_note(cp_net *net, const char *name, const char *value);
CP_API const char *cp_net_note(const cp_net *net, const char *name);

/* Weights drawn from a seed: CP_GLOROT uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010), CP_HE normal
 * with deviation sqrt(2 / fan_in) (He et al. 2015). Biases are zero, other parameters with one axis what their layer
 * says. */
typedef enum cp_initializer { CP_GLOROT, CP_HE } cp_initializer;
CP_API cp_status cp_net_initialize(cp_net *net, cp_initializer initializer, uint64_t seed);

typedef struct cp_layer {
    const char *name, *op, *detail; /* "conv1", "conv", "32 5x5 same relu"; valid while the net is */
    cp_shape shape;                 /* of its output, the batch as it was given (0: any) */
    int64_t parameters;
    int64_t multiply_adds;                             /* of one image, padded taps counted */
    int64_t bytes;                                     /* of its output for one image */
    int64_t receptive[CP_MAX_AXES], jump[CP_MAX_AXES]; /* pixels of the input that one output sees; their distance */
    int axes;                                          /* how many of those are meant; 0 behind a flatten */
} cp_layer;
/* Layers in the order of computation, the inputs first. */
CP_API int cp_net_layers(const cp_net *net);
CP_API cp_status cp_net_layer(const cp_net *net, int i, cp_layer *layer);

/* ---------------------------------------------------------------------------------------------------------------
 * Plans: how to compute it, here, for these shapes
 * ------------------------------------------------------------------------------------------------------------- */

typedef struct cp_plan cp_plan; /* immutable: threads may share it */
typedef struct cp_work cp_work; /* the memory of one run at a time */

typedef struct cp_plan_options {
    int64_t batch; /* for inputs with any batch; 0: 1 */
    cp_type type;  /* CP_F32, or CP_F64: every float in double, by the reference algorithms (inputs, outputs too) */
    bool training; /* dropout drops, batch normalisation has the moments of its batch */
    /* Batch normalisation behind a convolution or dense layer goes into that layer's weights: fewer steps, and other
     * roundings. Not in training. */
    bool fold_batch_norm;
    const cp_tensor *inputs; /* NULL: without gaps in channels-last order; else one view per input (data is not read) */
    const cp_tensor *outputs;
    int64_t reserved[8];
} cp_plan_options;

/* Chooses an algorithm for each operation, packs the weights, lays out the memory. The net is copied where needed: it
 * may be freed or changed afterwards, and the plan keeps the weights of this moment. */
CP_API cp_status cp_net_plan(cp_plan **plan, cp_ctx *ctx, const cp_net *net, const cp_plan_options *options);
/* A plan of one convolution, for x of this shape and strides; w and b are copied. Its output has no gaps (y NULL) or
 * the strides of y. */
CP_API cp_status cp_conv_plan(cp_plan **plan, cp_ctx *ctx, const cp_conv *conv, const cp_tensor *x, const cp_tensor *w,
                              const cp_tensor *b, const cp_tensor *y);
CP_API cp_status cp_pool_plan(cp_plan **plan, cp_ctx *ctx, const cp_pool *pool, const cp_tensor *x, const cp_tensor *y);
CP_API void cp_plan_free(cp_plan *plan);

CP_API cp_status cp_work_new(cp_work **work, const cp_plan *plan);
CP_API void cp_work_free(cp_work *work);

/* Runs: inputs and outputs in the net's order, each with the shape and strides that were planned. Allocates nothing. */
CP_API cp_status cp_plan_run(const cp_plan *plan, cp_work *work, const cp_tensor *inputs, int n_inputs,
                             const cp_tensor *outputs, int n_outputs);

/* Bytes: a work needs this much; the plan itself holds this much in packed weights. */
CP_API int64_t cp_plan_work_bytes(const cp_plan *plan);
CP_API int64_t cp_plan_packed_bytes(const cp_plan *plan);
CP_API cp_shape cp_plan_output_shape(const cp_plan *plan, int i);

typedef struct cp_step_info {
    const char *layer, *op, *algorithm; /* "conv1", "conv", "direct"; valid while the plan is */
    int64_t multiply_adds;              /* of the definition, padded taps counted */
    int64_t bytes;                      /* inputs read and outputs written, once each */
    double seconds;                     /* of the last run of the work, where it was timed */
    int64_t products;                   /* multiply-adds of the algorithm: Winograd's are fewer */
} cp_step_info;
CP_API int cp_plan_steps(const cp_plan *plan);
/* work may be NULL. */
CP_API cp_status cp_plan_step(const cp_plan *plan, const cp_work *work, int i, cp_step_info *info);
/* From now on each run of this work notes the time of each step. */
CP_API void cp_work_time(cp_work *work, bool on);

/* A causal 1-D convolution (stride 1, pad CAUSAL) of a signal that arrives in chunks of up to `chunk` steps: x
 * [batch,T,C] in, y [batch,T,K] out, T from 0 to chunk at each call, with the same bits as in one piece. The past is
 * zero at first; w [kernel,C/groups,K] and b (or NULL) are copied. Runs allocate nothing. A stream is for one caller at
 * a time. */
typedef struct cp_stream cp_stream;
CP_API cp_status cp_stream_new(cp_stream **stream, cp_ctx *ctx, const cp_conv *conv, const cp_tensor *w,
                               const cp_tensor *b, int64_t batch, int64_t chunk);
CP_API cp_status cp_stream_run(cp_stream *stream, const cp_tensor *x, const cp_tensor *y);
CP_API void cp_stream_reset(cp_stream *stream); /* forgets the past */
CP_API void cp_stream_free(cp_stream *stream);

/* ---------------------------------------------------------------------------------------------------------------
 * Data
 * ------------------------------------------------------------------------------------------------------------- */

typedef struct cp_data cp_data; /* labelled pictures, U8 [N,H,W,C] and one class each */

/* A file opened for reading, possibly unpacked on the way. read: the number of bytes, 0 at the end, -1 for an error,
 * of which `text` then tells (static, or valid until close). */
typedef struct cp_reader {
    int64_t (*read)(void *user, void *buffer, int64_t bytes);
    void (*close)(void *user);
    void *user;
    const char *text;
} cp_reader;
typedef cp_status (*cp_open)(cp_reader *reader, const char *path);

/* IDX files (LeCun): images and their labels. open: NULL for plain files; the tool passes one that knows gzip. */
CP_API cp_status cp_data_idx(cp_data **data, const char *images, const char *labels, cp_open open);
/* The n binary files of CIFAR-10 (classes = 10) or CIFAR-100 (100: the fine labels), one after the other: 32x32x3.
 * open: as of cp_data_idx. CP_E_FORMAT where a file is no whole number of records, or a label is none of the classes.
 */
CP_API cp_status cp_data_cifar(cp_data **data, int classes, const char *const *paths, int n, cp_open open);
/* Handwritten digits drawn by a program, 28x28x1, ten classes in turn: the same for the same seed, everywhere. */
CP_API cp_status cp_data_digits(cp_data **data, int64_t count, uint64_t seed);
/* Copies images U8 [N,H,W,C] and labels I32 [N], each in 0..classes-1. */
CP_API cp_status cp_data_memory(cp_data **data, const cp_tensor *images, const cp_tensor *labels, int classes);
/* Moves the last `fraction` of the pictures, 0 < fraction < 1, in an order drawn from the seed, to `rest`. */
CP_API cp_status cp_data_split(cp_data *data, double fraction, uint64_t seed, cp_data **rest);
CP_API void cp_data_free(cp_data *data);
CP_API int64_t cp_data_count(const cp_data *data);
CP_API int cp_data_classes(const cp_data *data);
CP_API cp_shape cp_data_shape(const cp_data *data); /* [N,H,W,C] */
CP_API int cp_data_label(const cp_data *data, int64_t i);
CP_API const uint8_t *cp_data_image(const cp_data *data, int64_t i);
/* Pictures order[0..n-1] (NULL: first, first+1, ...) as floats pixel / 255 and their labels. */
CP_API void cp_data_batch(const cp_data *data, const int64_t *order, int64_t first, int64_t n, float *images,
                          int32_t *labels);

/* Random changes of the pictures that a net is trained with, from a text as "shift 2; rotate 10; scale 0.9:1.1":
 *   shift PIXELS              moved by up to so many along each axis
 *   rotate DEGREES            turned about the middle by up to so much to either side
 *   scale LEAST:GREATEST      as large as that
 *   elastic [PIXELS[:CELLS]]  bent: the points of a grid of CELLS x CELLS (4) are moved by normal numbers, what is
 *                             between them by a cubic B-spline; PIXELS (1) is the standard deviation all over the
 *                             picture (in the manner of Simard et al. 2003 and Ronneberger et al. 2015)
 *   flip                      every second one left to right
 *   erase [PART]              in every second one a rectangle of 0.02 to PART (0.25) of the area, its sides 0.3 to
 *                             1/0.3, made background (Zhong et al. 2017)
 *   crop [PIXELS]             cut out of the picture with so many (4) pixels of background around it: whole pixels
 * each uniform unless said otherwise. Sampled once, bilinear; background is 0. A mistake is answered with its position
 * and the words that are possible there (CP_E_ARG). */
typedef struct cp_augment cp_augment;
CP_API cp_status cp_augment_new(cp_augment **augment, const char *text);
CP_API void cp_augment_free(cp_augment *augment);
/* Picture i, [H,W,C], values 0..1, as the epoch (0, 1, ...) of a training with this seed sees it. */
CP_API cp_status cp_augment_picture(const cp_augment *augment, const cp_data *data, int64_t i, uint64_t seed,
                                    int64_t epoch, float *image);

/* ---------------------------------------------------------------------------------------------------------------
 * Training
 * ------------------------------------------------------------------------------------------------------------- */

/* t is the step, g the gradient, all that begins at 0.
 *   CP_ADAM: w -= rate*sqrt(1-beta2^t)/(1-beta1^t) * m/(sqrt(v)+epsilon), m and v the moving averages of g and g^2
 *     (Kingma and Ba 2014, in the form with epsilon-hat, as TensorFlow)
 *   CP_ADAM_PAPER: the same with epsilon after the correction of v, as PyTorch
 *   CP_SGD: v = momentum*v + g, w -= rate*v; Nesterov: w -= rate*(g + momentum*v)
 *   CP_ADAMW: CP_ADAM_PAPER with decoupled decay, w -= rate*decay*w (Loshchilov and Hutter 2017)
 *   CP_RMSPROP: v = beta2*v + (1-beta2)*g^2, w -= rate*g/(sqrt(v)+epsilon) (Tieleman and Hinton 2012)
 *   CP_ADAGRAD: v += g^2, w -= rate*g/(sqrt(v)+epsilon) (Duchi, Hazan and Singer 2011)
 *   CP_LION: w -= rate*(sign(beta1*m + (1-beta1)*g) + decay*w), m = beta2*m + (1-beta2)*g (Chen et al. 2023) */
typedef enum cp_optimizer { CP_ADAM, CP_ADAM_PAPER, CP_SGD, CP_ADAMW, CP_RMSPROP, CP_ADAGRAD, CP_LION } cp_optimizer;
/* The builders cp_net_... of these names say what they are. */
typedef enum cp_loss {
    CP_SOFTMAX_CROSS_ENTROPY,
    CP_MEAN_SQUARED_ERROR,
    CP_BINARY_CROSS_ENTROPY,
    CP_FOCAL,
    CP_HINGE,
    CP_HUBER
} cp_loss;
/* Rates over the steps: constant; times `factor` every `every` steps; half a cosine from the rate to rate*factor over
 * `total` steps (Loshchilov and Hutter 2016); PLATEAU: cp_trainer_fit takes the rate times `factor` whenever `every`
 * epochs have passed without a better one (cp_progress.best), as Keras' ReduceLROnPlateau. */
typedef enum cp_schedule_kind { CP_CONSTANT, CP_STEPPED, CP_COSINE, CP_PLATEAU } cp_schedule_kind;
typedef struct cp_schedule {
    cp_schedule_kind kind;
    int64_t warmup; /* in this many first steps the rate rises linearly to what the schedule says */
    int64_t every, total;
    float factor; /* STEPPED, PLATEAU: 0 means 0.1 */
} cp_schedule;

typedef struct cp_train {
    cp_optimizer optimizer;
    float rate;                  /* 0: 1e-3 */
    float beta1, beta2, epsilon; /* 0: 0.9, 0.999 (RMSprop 0.9, Lion 0.99), 1e-8 */
    float momentum;              /* SGD */
    bool nesterov;
    float decay; /* weight decay: gradient += decay * weight (AdamW, Lion: see there), not for biases */
    float clip;  /* the gradient's norm is at most this; 0: any */
    /* Not 0: what is evaluated, exported and saved as the model is a moving average of the weights, average = k*average
     * + (1-k)*weights after each step, k = min(this, (1+t)/(10+t)) after t steps (Polyak and Juditsky 1992; k as
     * TensorFlow's ExponentialMovingAverage). */
    float average;
    cp_loss loss;
    float smoothing;            /* of the softmax cross-entropy's labels */
    const float *class_weights; /* of the same, above 0, one for each column of the output; copied. NULL: all 1 */
    float gamma, delta;         /* of focal and Huber's loss; 0: 2 and 1 */
    int64_t accumulate;         /* so many batches make a step, with the mean gradient of all their rows; 0: 1 */
    int64_t patience;           /* cp_trainer_fit ends after so many epochs without a better one; 0: never */
    cp_schedule schedule;
    cp_type type;  /* CP_F32, or CP_F64 for checks */
    uint64_t seed; /* dropout, order of the pictures */
    int64_t reserved[8];
} cp_train;

/* The rate of step 0, 1, ...; a plateau's is that before the first. */
CP_API double cp_schedule_rate(const cp_schedule *schedule, double rate, int64_t step);

typedef struct cp_trainer cp_trainer;
/* Takes a copy of the net, with its parameters; its first output is what the loss sees. The net needs one input. */
CP_API cp_status cp_trainer_new(cp_trainer **trainer, const cp_net *net, cp_ctx *ctx, const cp_train *train);
CP_API void cp_trainer_free(cp_trainer *trainer);
/* One step on a batch: x [N,...], target: labels I32 [N] (softmax cross-entropy, focal, hinge) or values as the output.
 * The loss is that before the step; correct (may be NULL) counts the rows whose largest output is at the label.
 * CP_E_DIVERGED, with the step in the text and the parameters as before, when the loss or the gradient is not finite.
 * Another batch size than last time plans anew. */
CP_API cp_status cp_trainer_step(cp_trainer *trainer, const cp_tensor *x, const cp_tensor *target, double *loss,
                                 int64_t *correct);
CP_API int64_t cp_trainer_steps(const cp_trainer *trainer); /* of the optimizer, done so far */
/* Writes the parameters as they are now into a net of the same layers. */
CP_API cp_status cp_trainer_export(const cp_trainer *trainer, cp_net *net);
/* The plan and work of the last batch size: for timing. */
CP_API const cp_plan *cp_trainer_plan(const cp_trainer *trainer);
CP_API cp_work *cp_trainer_work(const cp_trainer *trainer);
/* Seconds of the optimizer in the last step, where the work is timed. */
CP_API double cp_trainer_update_seconds(const cp_trainer *trainer);

typedef struct cp_progress {
    int epoch, epochs;     /* from 1 */
    int64_t step, steps;   /* in this epoch, done and in all */
    bool epoch_end;        /* validated: val_... are set (NaN without validation data) */
    double loss, accuracy; /* mean over the epoch so far */
    double val_loss, val_accuracy;
    double seconds, images_per_second; /* of this epoch, training alone */
    bool last;                         /* at the end of an epoch: there is none after it */
    bool best; /* at the end of an epoch: the best val_accuracy (without validation: loss) so far */
} cp_progress;
/* Return false to stop after this step. */
typedef bool (*cp_progress_fn)(void *user, const cp_progress *progress);

typedef struct cp_fit {
    int epochs;    /* 0: 1 */
    int64_t batch; /* 0: 100 */
    const cp_data *validation;
    const cp_augment *augment; /* changes the pictures to train with; NULL: they stay as they are */
    cp_progress_fn progress;
    void *user;
    int64_t reserved[8];
} cp_fit;
/* Trains until `epochs` epochs are done, from wherever the trainer stands (a fresh one, or one just loaded), in an
 * order drawn anew for each epoch from the seed. A loss of values sees the classes as rows of 0 with a 1. CP_E_STOPPED
 * when progress said so. */
CP_API cp_status cp_trainer_fit(cp_trainer *trainer, const cp_data *data, const cp_fit *fit);

typedef struct cp_score {
    int64_t count, correct;
    double loss; /* mean softmax cross-entropy */
} cp_score;
/* How well a net classifies data; confusion (may be NULL): [classes * classes] counts, label by row, answer by column.
 */
CP_API cp_status cp_net_evaluate(const cp_net *net, cp_ctx *ctx, const cp_data *data, cp_score *score,
                                 int64_t *confusion);

/* ---------------------------------------------------------------------------------------------------------------
 * Models in files: safetensors, with the layers in its metadata and a checksum of everything
 * ------------------------------------------------------------------------------------------------------------- */

/* The file is complete or not there: written beside, synchronised, renamed. Weights are stored as PyTorch's (conv:
 * O,I,H,W; dense: units, inputs in C,H,W order behind a flatten). */
CP_API cp_status cp_net_save(const cp_net *net, const char *path);
/* The same with weights of a type: CP_F32, or CP_F16 or CP_BF16 in half the bytes. CP_E_ARG where a number is too large
 * for it. Loading makes F32 of any. */
CP_API cp_status cp_net_save_as(const cp_net *net, const char *path, cp_type type);
/* The file stays mapped while the net lives, and weights are read there when a plan packs them: it may be replaced or
 * removed (cp_net_save does the former), but not be written over in place. */
CP_API cp_status cp_net_load(cp_net **net, const char *path);
/* The same of the `length` bytes of such a file, wherever they lie: the net keeps none of them. */
CP_API cp_status cp_net_load_memory(cp_net **net, const void *bytes, int64_t length);
/* A trainer with all that it needs to go on to the same bits: parameters, moments, step, the epoch's sums. The file is
 * also a model. */
CP_API cp_status cp_trainer_save(const cp_trainer *trainer, const char *path);
CP_API cp_status cp_trainer_load(cp_trainer **trainer, cp_ctx *ctx, const char *path);

/* A network from an ONNX file (https://onnx.ai), opsets 7 to 28. Inputs and outputs have the names, shapes and order of
 * axes that the file says (so N,C,H,W for pictures); inside, channels are last. The file stays mapped while the net
 * lives, as with cp_net_load. Files are not trusted: a wrong or hostile one is CP_E_FORMAT, CP_E_SHAPE or
 * CP_E_UNSUPPORTED, with the node in the text. */
typedef struct cp_onnx_input {
    const char *name; /* NULL: the input with the number that this has in the list */
    /* Its shape, where the model leaves it open; and its numbers, where the model needs them while it is loaded (sizes
     * to reshape to, for instance), or data NULL. Read while loading only. */
    cp_tensor tensor;
} cp_onnx_input;
typedef struct cp_onnx {
    const cp_onnx_input *inputs; /* what is known of inputs; others may be missing */
    int n_inputs;
    int64_t max_memory; /* bytes of a value, and of all constants that the model computes; 0: 8 GiB */
    int64_t reserved[8];
} cp_onnx;
/* An axis in front that is left open is any batch. External data are read from the folder of the file alone. */
CP_API cp_status cp_onnx_load(cp_net **net, const char *path, const cp_onnx *options);
/* The same of the `length` bytes of such a file: without external data. */
CP_API cp_status cp_onnx_load_memory(cp_net **net, const void *bytes, int64_t length, const cp_onnx *options);

/* Writes a net as an ONNX file (opset 20, with the shapes of all values), channels first, for any other program. The
 * file is complete or not there, as of cp_net_save. CP_E_UNSUPPORTED with the layer's name where ONNX has no such
 * operator, or there is no way to it yet. */
CP_API cp_status cp_onnx_save(const cp_net *net, const char *path);

/* ONNX's operators that are known. */
typedef struct cp_onnx_operator {
    const char *name;
    const char *operations; /* that it becomes, with spaces between; "": it is gone once the model is loaded */
} cp_onnx_operator;
/* The i-th of them; false behind the last. */
CP_API bool cp_onnx_operator_at(cp_onnx_operator *found, int i);

/* One array in a .npy file (NumPy's format 1 and 2; f2, f4, f8, i4, i8, i1, u1, b1, also Fortran order, read in C
 * order).
 */
typedef struct cp_array {
    void *data; /* owned; free with cp_array_free */
    cp_type type;
    cp_shape shape;
} cp_array;
CP_API cp_status cp_npy_load(cp_array *array, const char *path);
CP_API cp_status cp_npy_save(const cp_tensor *tensor, const char *path); /* in the order of shape */
CP_API void cp_array_free(cp_array *array);
/* One tensor in a file of its own, ONNX's TensorProto; halves as F32. CP_E_UNSUPPORTED for types that nets have not,
 * and for external data. */
CP_API cp_status cp_onnx_tensor_load(cp_array *array, const char *path);

/* ---------------------------------------------------------------------------------------------------------------
 * Explanations: the numbers behind the outputs, from the reference that ships
 * ------------------------------------------------------------------------------------------------------------- */

typedef void (*cp_write)(void *user, const char *text, size_t bytes);
/* Prints every window of a small convolution (2-D, N = 1) with its products, padding marked, and the output. */
CP_API cp_status cp_explain_conv(const cp_conv *conv, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b,
                                 cp_write write, void *user);

CP_API const char *cp_cpu_name(void);

/* ---------------------------------------------------------------------------------------------------------------
 * What the machine gives at most: limits to compare times with (Williams et al., "Roofline", 2009)
 * ------------------------------------------------------------------------------------------------------------- */

/* identifier, word, what it does. F32 and TILE... count operations, two for each multiply-add; the passes over memory
 * count the bytes that they name, those written once. */
#define CP_MEASURES(X)                                                                                                 \
    X(CP_MEASURE_F32, "fp32", "multiply-adds in registers")                                                            \
    X(CP_MEASURE_TILE, "tile", "the micro-kernel that all products go through, on data in the first cache")            \
    X(CP_MEASURE_TILE_BF16, "bf16", "the same of bf16 numbers")                                                        \
    X(CP_MEASURE_TILE_INT8, "int8", "the same of bytes")                                                               \
    X(CP_MEASURE_READ, "read", "sum of an array")                                                                      \
    X(CP_MEASURE_COPY, "copy", "y = x")                                                                                \
    X(CP_MEASURE_TRIAD, "triad", "y = x + z/2")                                                                        \
    X(CP_MEASURE_STREAM, "stream", "y = x, stored past the caches")                                                    \
    X(CP_MEASURE_ROWS, "rows", "sums of four rows, the next four prefetched, stored past the caches")

typedef enum cp_measure {
#define CP_MEASURE_ENUM(name, word, text) name,
    CP_MEASURES(CP_MEASURE_ENUM)
#undef CP_MEASURE_ENUM
} cp_measure;

/* The most of that in a second, by all threads of ctx together, each with its own memory of about `bytes` (at least a
 * few KiB; without meaning where operations are counted). Repeats it for `seconds`; the shortest time counts.
 * CP_E_UNSUPPORTED, and *rate is 0, without a clock or instructions for such products. */
CP_API cp_status cp_measure_rate(double *rate, cp_ctx *ctx, cp_measure what, int64_t bytes, double seconds);

#ifdef __cplusplus
}
#endif
#endif
