/* The definitions, as in a textbook: sums in double, the letters of the formulas, forward beside backward.
 *
 * Every operation reads and writes f32 or f64 through views of any strides. x [N,space,C] input, y output, w weights
 * [kernel,C/groups,K], b bias [K]; d before a letter is the gradient of the loss by it. Shapes have been checked by the
 * caller: cp_conv_window, cp_pool_window. Fast kernels are tested against these. */
#ifndef CP_REF_H
#define CP_REF_H

#include "tensor/tensor.h"

/* Where x[n,i,c] lies in a view N,space,C, and w[t,c,k] in a view kernel,C/groups,K; i and t are flat. */
static inline int64_t cp_at(const cp_tensor *x, int64_t n, int64_t i, int64_t c) {
    const int rank = x->shape.rank;
    return n * x->stride[0] + cp_offset(x, 1, rank - 2, i) + c * x->stride[rank - 1];
}
static inline int64_t cp_weight_at(const cp_tensor *w, int64_t t, int64_t c, int64_t k) {
    const int rank = w->shape.rank;
    return cp_offset(w, 0, rank - 2, t) + c * w->stride[rank - 2] + k * w->stride[rank - 1];
}

/* Hears of every tap that an output is made of, in order; i = -1 where the tap lies in the padding. n, o, c, k as in
 * the formula, t the flat tap, and the two numbers that are multiplied (x: what is seen, 0 in the padding; w: the
 * weight, 1 in a pooling, where k = c). */
typedef struct cp_trace {
    void (*tap)(void *user, int64_t n, int64_t o, int64_t k, int64_t t, int64_t c, int64_t i, double x, double w);
    void *user;
} cp_trace;

/* y[n,o,k] = b[k] + sum over t, c of x[n, i(o,t), c] * w[t,c,k], then max(0, .) with relu. b, trace may be NULL. */
void cp_ref_conv(const cp_window *window, int64_t groups, bool relu, const cp_tensor *x, const cp_tensor *w,
                 const cp_tensor *b, const cp_tensor *y, const cp_trace *trace);
/* sum[n,o,k] = b[k] + sum over t, c of (x[n, i(o,t), c] - x_zero) * (w[t,c,k] - w_zero[k]), exactly but modulo 2^32;
 * what padding sees is x_zero. y is I32, the sum; or with scale U8 or I8: sum * scale[k], a product of floats, rounded
 * to the nearest integer, of two to the even one, plus y_zero, within what the type has. b: I32; zeros: of the type of
 * what they belong to; w_zero and scale: one number, or one for each filter. All but x, w and y may be NULL. Source:
 * ONNX ConvInteger, QLinearConv. */
void cp_ref_conv_integer(const cp_window *window, int64_t groups, const cp_tensor *x, const cp_tensor *w,
                         const cp_tensor *b, const cp_tensor *x_zero, const cp_tensor *w_zero, const cp_tensor *scale,
                         const cp_tensor *y_zero, const cp_tensor *y);
/* dx[n,i,c] = sum over o, t that meet at i, k of dy[n,o,k] * w[t,c,k] */
void cp_ref_conv_input_gradient(const cp_window *window, int64_t groups, const cp_tensor *dy, const cp_tensor *w,
                                const cp_tensor *dx);
/* The transposed convolution: y[n,i,c] = b[c] + sum over o, t that meet at i, k of x[n,o,k] * w[t,c,k], then max(0, .)
 * with relu. window is that of the convolution whose adjoint it is. */
void cp_ref_conv_transpose(const cp_window *window, int64_t groups, bool relu, const cp_tensor *x, const cp_tensor *w,
                           const cp_tensor *b, const cp_tensor *y);
/* dw[t,c,k] = sum over n, o of x[n, i(o,t), c] * dy[n,o,k] */
void cp_ref_conv_weight_gradient(const cp_window *window, int64_t groups, const cp_tensor *x, const cp_tensor *dy,
                                 const cp_tensor *dw);
/* db[k] = sum over n, o of dy[n,o,k]; dy of any rank, the last axis stays */
void cp_ref_bias_gradient(const cp_tensor *dy, const cp_tensor *db);

/* Locally connected, w [outputs,taps*C,K]: y[n,o,k] = b[k] + sum over t, c of x[n, i(o,t), c] * w[o,t*C+c,k], then
 * max(0, .) with relu; dx[n,i,c] = sum over o, t that meet at i, k of dy[n,o,k] * w[o,t*C+c,k]; dw[o,t*C+c,k] = sum
 * over n of x[n, i(o,t), c] * dy[n,o,k]. b may be NULL. */
void cp_ref_local_conv(const cp_window *window, bool relu, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b,
                       const cp_tensor *y);
void cp_ref_local_conv_input_gradient(const cp_window *window, const cp_tensor *dy, const cp_tensor *w,
                                      const cp_tensor *dx);
void cp_ref_local_conv_weight_gradient(const cp_window *window, const cp_tensor *dy, const cp_tensor *x,
                                       const cp_tensor *dw);

/* Deformable: tap t of output o sees x at s = o*stride - before + t*dilation + offset[n,o,(g,t)], between pixels, where
 * x(n,s,c) is interpolated (cp_corners_of) and g the part of the channels that c belongs to; offset
 * [N,space',G*taps*axes] in the order g, t, axis; mask [N,space',G*taps] or NULL (all 1), b or NULL: y[n,o,k] = b[k] +
 * sum over t, c of mask[n,o,(g,t)] * x(n,s,c) * w[t,c,k], then max(0, .) with relu. With d[t,c] = sum over k of
 * dy[n,o,k] * w[t,c,k] the gradients are, of x at each pixel around s, mask * d * its weight; of w, mask * x(n,s,c) *
 * dy; of an offset, the sum over its channels of mask * d * slope of x(n,s,c); of the mask, the same of d * x(n,s,c).
 */
void cp_ref_deform_conv(const cp_window *window, int64_t groups, bool relu, const cp_tensor *x, const cp_tensor *w,
                        const cp_tensor *offset, const cp_tensor *b, const cp_tensor *mask, const cp_tensor *y);
void cp_ref_deform_conv_input_gradient(const cp_window *window, int64_t groups, const cp_tensor *dy, const cp_tensor *w,
                                       const cp_tensor *offset, const cp_tensor *mask, const cp_tensor *dx);
void cp_ref_deform_conv_weight_gradient(const cp_window *window, int64_t groups, const cp_tensor *dy,
                                        const cp_tensor *x, const cp_tensor *offset, const cp_tensor *mask,
                                        const cp_tensor *dw);
void cp_ref_deform_conv_offset_gradient(const cp_window *window, int64_t groups, const cp_tensor *dy,
                                        const cp_tensor *w, const cp_tensor *x, const cp_tensor *offset,
                                        const cp_tensor *mask, const cp_tensor *doffset, const cp_tensor *dmask);

/* y[n,o,t*C+c] = x[n, i(o,t), c], 0 in the padding; y [N,outputs,taps*C]. And its adjoint:
 * x[n,i,c] = sum over o, t that meet at i of y[n,o,t*C+c] */
void cp_ref_im2col(const cp_window *window, const cp_tensor *x, const cp_tensor *y);
void cp_ref_col2im(const cp_window *window, const cp_tensor *y, const cp_tensor *x);

/* y[n, i*block + b, c] = x[n, i, b*C + c] (CP_CHANNEL_FIRST: c*blocks + b), where b counts the pixels of a block row by
 * row; and back. Share id of n. */
void cp_ref_depth_to_space(int64_t block, cp_depth_order order, const cp_tensor *x, const cp_tensor *y, int id, int n);
void cp_ref_space_to_depth(int64_t block, cp_depth_order order, const cp_tensor *x, const cp_tensor *y, int id, int n);

/* Padding and resizing: y[n,o,c] = sum over the samples (i, weight) of o of weight * x[n,i,c], or the constant where
 * there are none; along several axes samples are the products of the axes'. And dx[n,i,c] = sum over all samples at i
 * of weight * dy[n,o,c]. */
void cp_ref_sample(const cp_sampling sampling[CP_MAX_AXES], double constant, const cp_tensor *x, const cp_tensor *y);
void cp_ref_sample_gradient(const cp_sampling sampling[CP_MAX_AXES], const cp_tensor *dy, const cp_tensor *dx);

/* index: the flat tap that was the maximum, in U8 (I32 where there are more than 256), or NULL. */
void cp_ref_max_pool(const cp_window *window, const cp_tensor *x, const cp_tensor *y, const cp_tensor *index,
                     const cp_trace *trace);
void cp_ref_max_pool_gradient(const cp_window *window, const cp_tensor *dy, const cp_tensor *index,
                              const cp_tensor *dx);
/* number: of CP_DIVISOR_NUMBER */
void cp_ref_average_pool(const cp_window *window, cp_divisor kind, int64_t number, const cp_tensor *x,
                         const cp_tensor *y, const cp_trace *trace);
void cp_ref_average_pool_gradient(const cp_window *window, cp_divisor kind, int64_t number, const cp_tensor *dy,
                                  const cp_tensor *dx);
/* y = (sum over t of |x|^p)^(1/p); its gradient is 0 where y is 0. */
void cp_ref_lp_pool(const cp_window *window, double p, const cp_tensor *x, const cp_tensor *y);
void cp_ref_lp_pool_gradient(const cp_window *window, double p, const cp_tensor *x, const cp_tensor *y,
                             const cp_tensor *dy, const cp_tensor *dx);
/* With a key one value is drawn, with the probability a / sum a; index: its tap, as of a maximum. Without (NULL) the
 * mean of these probabilities. */
void cp_ref_stochastic_pool(const cp_window *window, const cp_random_key *key, const cp_tensor *x, const cp_tensor *y,
                            const cp_tensor *index);
/* Of what was drawn, or, index NULL, of the mean. */
void cp_ref_stochastic_pool_gradient(const cp_window *window, const cp_tensor *dy, const cp_tensor *index,
                                     const cp_tensor *x, const cp_tensor *dx);

/* Adaptive and fractional maxima; position, I32: the flat input of the plane that was the maximum. key: of fractional
 * windows. */
void cp_ref_span_max_pool(const cp_spans *s, const cp_random_key *key, const cp_tensor *x, const cp_tensor *y,
                          const cp_tensor *position);
/* The random numbers of the windows of image n, channel c. */
void cp_ref_span_draw(const cp_spans *s, const cp_random_key *key, int64_t n, int64_t c, int64_t C,
                      double u[CP_MAX_AXES]);
/* dx[n,i,c] = sum over the outputs o with position[n,o,c] = i of dy[n,o,c] */
void cp_ref_position_gradient(const cp_tensor *dy, const cp_tensor *position, const cp_tensor *dx);
/* The flat inputs that the taps of index are, I32. */
void cp_ref_max_pool_positions(const cp_window *window, const cp_tensor *index, const cp_tensor *position);
/* y[n,i,c] = x[n,o,c] of the last o with position[n,o,c] = i, 0 where there is none; dx[n,o,c] = dy[n,i,c] for that
 * last o, 0 for the others. Positions outside the plane are left out. */
void cp_ref_max_unpool(const cp_tensor *x, const cp_tensor *position, const cp_tensor *y);
void cp_ref_max_unpool_gradient(const cp_tensor *dy, const cp_tensor *position, const cp_tensor *dx);
/* y[n,o,c] = mean of the inputs that adaptive window o sees; dx[n,i,c] = sum over the o that see i of dy / their number
 */
void cp_ref_adaptive_average_pool(const cp_spans *s, const cp_tensor *x, const cp_tensor *y);
void cp_ref_adaptive_average_pool_gradient(const cp_spans *s, const cp_tensor *dy, const cp_tensor *dx);

/* Regions of interest, rois [R,5], y [R,bins,C]. Each bin's maximum over its pixels, 0 where it has none; position,
 * I32: the flat pixel of x [N*space] that was it, or -1; dx[i,c] = sum over the r, o with position[r,o,c] = i of
 * dy[r,o,c]. */
void cp_ref_max_roi_pool(const cp_roi *roi, const cp_tensor *x, const cp_tensor *rois, const cp_tensor *y,
                         const cp_tensor *position);
void cp_ref_max_roi_pool_gradient(const cp_tensor *dy, const cp_tensor *position, const cp_tensor *dx);
/* The mean, or the maximum, of x between pixels at the points of each bin; its gradient by each pixel, dy times what it
 * has of them. Regions of images that are not there give 0. */
void cp_ref_roi_align(const cp_roi *roi, const cp_tensor *x, const cp_tensor *rois, const cp_tensor *y);
void cp_ref_roi_align_gradient(const cp_roi *roi, const cp_tensor *dy, const cp_tensor *rois, const cp_tensor *x,
                               const cp_tensor *dx);

/* y[n,k] = b[k] + sum over c of x[n,c] * w[c,k] */
void cp_ref_dense(bool relu, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b, const cp_tensor *y);
void cp_ref_dense_input_gradient(const cp_tensor *dy, const cp_tensor *w, const cp_tensor *dx);
void cp_ref_dense_weight_gradient(const cp_tensor *x, const cp_tensor *dy, const cp_tensor *dw);

/* The activations: X(name, value, slope), written once for float and double alike: who expands them includes
 * <tgmath.h>. T is the type of x; alpha and beta are its numbers, of type T. A slope that is told by the value is
 * written with y. */
/* clang-format off */
#define CP_ACTIVATION_FORMULAS(X, T)                                                                                   \
    X(CP_LINEAR, x, 1)                                                                                                 \
    X(CP_RELU, x < 0 ? 0 : x, y > 0)                                                                                   \
    X(CP_SIGMOID, CP_LOGISTIC(x), y * (1 - y))                                                                         \
    X(CP_TANH, tanh(x), (1 - y) * (1 + y))                                                                             \
    X(CP_LEAKY_RELU, x < 0 ? alpha * x : x, x < 0 ? alpha : 1)                                                         \
    X(CP_ELU, x < 0 ? alpha * expm1(x) : x, x < 0 ? alpha * exp(x) : 1)                                                \
    X(CP_SELU, beta * (x < 0 ? alpha * expm1(x) : x), beta * (x < 0 ? alpha * exp(x) : 1))                             \
    X(CP_CELU, x < 0 ? alpha * expm1(x / alpha) : x, x < 0 ? exp(x / alpha) : 1)                                       \
    X(CP_GELU, x * CP_NORMAL(x, T), CP_NORMAL(x, T) + x * exp(-x * x / 2) * (T)0.39894228040143268 /* 1/sqrt(2 pi) */) \
    X(CP_GELU_TANH, x * CP_GELU_LOGISTIC(x, T, 1),                                                                     \
      CP_GELU_LOGISTIC(x, T, 1) + x * CP_GELU_LOGISTIC(x, T, 1) * CP_GELU_LOGISTIC(x, T, -1) *                         \
                                          (T)1.5957691216057307 * (1 + (T)0.134145 * x * x))                           \
    X(CP_SILU, x * CP_LOGISTIC(x), CP_LOGISTIC(x) * (1 + x * CP_LOGISTIC(-x)))                                         \
    X(CP_MISH, x * tanh(CP_SOFT(x)),                                                                                   \
      tanh(CP_SOFT(x)) + x * CP_LOGISTIC(x) * (1 - tanh(CP_SOFT(x))) * (1 + tanh(CP_SOFT(x))))                         \
    X(CP_SOFTPLUS, CP_SOFT(x), CP_LOGISTIC(x))                                                                         \
    X(CP_SOFTSIGN, x / (1 + fabs(x)), 1 / ((1 + fabs(x)) * (1 + fabs(x))))                                             \
    X(CP_HARD_SIGMOID, CP_WITHIN(alpha * x + beta, 0, 1), alpha * x + beta > 0 && alpha * x + beta < 1 ? alpha : 0)    \
    X(CP_HARD_SWISH, x * CP_WITHIN(x / 6 + (T)0.5, 0, 1), x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + (T)0.5)                   \
    X(CP_CLIP, CP_WITHIN(x, alpha, beta), x >= alpha && x <= beta)                                                     \
    X(CP_THRESHOLDED_RELU, x <= alpha ? 0 : x, x > alpha)                                                              \
    X(CP_EXP, exp(x), exp(x))                                                                                          \
    X(CP_LOG, log(x), 1 / x)                                                                                           \
    X(CP_SQRT, sqrt(x), 1 / (2 * sqrt(x)))                                                                             \
    X(CP_RECIPROCAL, 1 / x, -1 / (x * x))                                                                              \
    X(CP_ABS, fabs(x), CP_SIGN_OF(x))                                                                                  \
    X(CP_NEG, -x, -1)                                                                                                  \
    X(CP_SIGN, CP_SIGN_OF(x), 0)                                                                                       \
    X(CP_FLOOR, floor(x), 0)                                                                                           \
    X(CP_CEIL, ceil(x), 0)                                                                                             \
    X(CP_ROUND, rint(x), 0)                                                                                            \
    X(CP_ERF, erf(x), exp(-x * x) * (T)1.1283791670955126 /* 2/sqrt(pi) */)                                            \
    X(CP_SIN, sin(x), cos(x))                                                                                          \
    X(CP_COS, cos(x), -sin(x))
/* clang-format on */

#define CP_LOGISTIC(x) (1 / (1 + exp(-(x))))
#define CP_SOFT(x) (((x) > 0 ? (x) : 0) + log1p(exp(-fabs(x)))) /* log(1+exp(x)), where exp(x) overflows too */
#define CP_NORMAL(x, T) (erfc((x) * -(T)0.70710678118654752) / 2)
/* (1+tanh(u))/2 = s(2u) keeps its digits where tanh(u) is near -1. */
#define CP_GELU_LOGISTIC(x, T, sign) CP_LOGISTIC((sign) * (T)1.5957691216057307 * ((x) + (T)0.044715 * (x) * (x) * (x)))
#define CP_SIGN_OF(x) ((x) > 0 ? 1 : (x) < 0 ? -1 : (x))                                  /* NaN stays NaN */
#define CP_WITHIN(x, least, most) ((x) < (least) ? (least) : (x) > (most) ? (most) : (x)) /* NaN stays NaN */
/* What an activation's alpha and beta are where nobody says. */
static inline void cp_usual_numbers(cp_activation f, double *alpha, double *beta) {
#define CP_USUAL(name, identifier, word, usual_alpha, usual_beta, text) {usual_alpha, usual_beta},
    static const double usual[][2] = {CP_ACTIVATIONS(CP_USUAL)};
#undef CP_USUAL
    *alpha = usual[f][0];
    *beta = usual[f][1];
}
/* Whether the slope is told by y = f(x), else by x. */
static inline bool cp_slope_by_value(cp_activation f) {
    return f <= CP_TANH;
}
/* Whether integers have it, too. */
static inline bool cp_takes_integers(cp_activation f) {
    return f == CP_LINEAR || f == CP_RELU || f == CP_ABS || f == CP_NEG || f == CP_SIGN;
}
/* y = f(x) and dx = dy * f'(x). seen: what tells the slope, y or x. */
void cp_ref_activation(cp_activation f, double alpha, double beta, const cp_tensor *x, const cp_tensor *y);
void cp_ref_activation_gradient(cp_activation f, double alpha, double beta, const cp_tensor *seen, const cp_tensor *dy,
                                const cp_tensor *dx);
/* Over an axis, the maximum subtracted first; or its logarithm. */
void cp_ref_softmax(bool logarithm, int axis, const cp_tensor *x, const cp_tensor *y);
void cp_ref_softmax_gradient(bool logarithm, int axis, const cp_tensor *y, const cp_tensor *dy, const cp_tensor *dx);
/* y = x / (1-rate) where the layer's random number of the element is >= rate, else 0: forward and, on dy, backward. */
void cp_ref_dropout(float rate, const cp_random_key *key, const cp_tensor *x, const cp_tensor *y);

/* --- axes.c --- */

/* Two numbers make one: X(identifier, value, slope by a, slope by b), for float and double as the activations. Of equal
 * numbers the minimum and maximum are the first; NaN stays NaN. prelu: He et al. 2015. */
#define CP_BINARIES(X)                                                                                                 \
    X(add, a + b, 1, 1)                                                                                                \
    X(sub, a - b, 1, -1)                                                                                               \
    X(mul, a *b, b, a)                                                                                                 \
    X(div, a / b, 1 / b, -a / (b * b))                                                                                 \
    X(min, a <= b || a != a ? a : b, a <= b || a != a, !(a <= b || a != a))                                            \
    X(max, a >= b || a != a ? a : b, a >= b || a != a, !(a >= b || a != a))                                            \
    X(pow, pow(a, b), b *(a == 0 ? pow(a, b - 1) : pow(a, b) / a), a > 0 ? pow(a, b) * log(a) : 0)                     \
    X(prelu, a < 0 ? a * b : a, a < 0 ? b : 1, a < 0 ? a : 0)

typedef enum cp_binary {
#define CP_BINARY_ENUM(id, ...) CP_BINARY_##id,
    CP_BINARIES(CP_BINARY_ENUM)
#undef CP_BINARY_ENUM
} cp_binary;

/* y = f(a, b); shapes broadcast: axes meet from the last one on, one that is missing or of size 1 is repeated. */
void cp_ref_binary(cp_binary f, const cp_tensor *a, const cp_tensor *b, const cp_tensor *y);
/* X(relation, truth) of a and b, of any type. */
#define CP_RELATION_FORMULAS(X)                                                                                        \
    X(CP_EQUAL, a == b)                                                                                                \
    X(CP_LESS, a < b)                                                                                                  \
    X(CP_GREATER, a > b)                                                                                               \
    X(CP_LESS_OR_EQUAL, a <= b)                                                                                        \
    X(CP_GREATER_OR_EQUAL, a >= b)                                                                                     \
    X(CP_AND, a != 0 && b != 0)                                                                                        \
    X(CP_OR, a != 0 || b != 0)                                                                                         \
    X(CP_XOR, (a != 0) != (b != 0))
void cp_ref_relation(cp_relation f, const cp_tensor *a, const cp_tensor *b, const cp_tensor *y);
/* y = condition ? a : b, broadcast alike. */
void cp_ref_where(const cp_tensor *condition, const cp_tensor *a, const cp_tensor *b, const cp_tensor *y);
/* da = dy * df/da, summed over the axes along which a was repeated; with second that of b, in da. */
void cp_ref_binary_gradient(cp_binary f, bool second, const cp_tensor *a, const cp_tensor *b, const cp_tensor *dy,
                            const cp_tensor *da);
/* The axes of y (bit d: axis d) along which an input of shape x is repeated. */
uint32_t cp_broadcast_axes(cp_shape x, cp_shape y);

/* y = the sum (mean, ...) of x over a set of axes; y has the other axes, or size 1 there. dx = dy * dy/dx; of equal
 * maxima (minima) the first gets all. */
void cp_ref_reduce(cp_reduction f, uint32_t axes, const cp_tensor *x, const cp_tensor *y);
void cp_ref_reduce_gradient(cp_reduction f, uint32_t axes, const cp_tensor *x, const cp_tensor *y, const cp_tensor *dy,
                            const cp_tensor *dx);

/* y = x[0], ..., x[n-1] one behind the other along an axis. Any type. */
void cp_ref_concat(int axis, const cp_tensor *x, int n, const cp_tensor *y);

/* --- matmul.c --- */

/* y[..,i,j] = sum over k of a[..,i,k] * b[..,k,j], floats or integers; the axes before the last two broadcast. */
void cp_ref_matmul(const cp_tensor *a, const cp_tensor *b, const cp_tensor *y);

/* --- quantise.c: x as whole numbers y of few bits --- */

/* y = x / scale, rounded to the nearest (halves to even), plus zero, within its type; and x = scale * (y - zero).
 * Scales and zeros (or NULL) are one or one for each position of the axis. */
void cp_ref_quantize(int axis, const cp_tensor *x, const cp_tensor *scale, const cp_tensor *zero, const cp_tensor *y);
void cp_ref_dequantize(int axis, const cp_tensor *y, const cp_tensor *scale, const cp_tensor *zero, const cp_tensor *x);
/* With scale = (most - least) / 255 (1 where that is 0), zero = -least / scale rounded, of the extremes of x and 0. */
void cp_ref_dynamic_quantize(const cp_tensor *x, const cp_tensor *y, const cp_tensor *scale, const cp_tensor *zero);

/* --- order.c: along an axis, of numbers of any type; y has the axis with size 1, or not at all --- */

/* The index of the largest (smallest) number, I64: of equal ones the first (last). A NaN is better than any number. */
void cp_ref_arg(int axis, bool smallest, bool last, const cp_tensor *x, const cp_tensor *y);
/* The largest (smallest) numbers, as many as y has along the axis, in their order, and their indices; of equal ones the
 * first before. A NaN is larger than any number. */
void cp_ref_top_k(int axis, bool smallest, const cp_tensor *x, const cp_tensor *y, const cp_tensor *indices);
/* y[i] = sum over j <= i of x[j]; exclusive: j < i; reverse: j >= i, j > i */
void cp_ref_cumulative_sum(int axis, bool exclusive, bool reverse, const cp_tensor *x, const cp_tensor *y);

/* --- move.c: any type --- */

/* y = x, whatever the steps of both; y = 0. */
void cp_ref_copy(const cp_tensor *x, const cp_tensor *y);
void cp_ref_clear(const cp_tensor *y);
/* Along an axis: y[.., i.., ..] = x[.., indices[i..], ..], and elementwise y[.., i, ..] = x[.., indices[.., i, ..],
 * ..]. Indices below 0 count from the end; where one is outside, y is 0. dx: the sum of what went to each place. */
void cp_ref_gather(int axis, const cp_tensor *x, const cp_tensor *indices, const cp_tensor *y);
void cp_ref_gather_gradient(int axis, const cp_tensor *dy, const cp_tensor *indices, const cp_tensor *dx);
void cp_ref_gather_elements(int axis, const cp_tensor *x, const cp_tensor *indices, const cp_tensor *y);
void cp_ref_gather_elements_gradient(int axis, const cp_tensor *dy, const cp_tensor *indices, const cp_tensor *dx);
/* y = x in the type of y. To an integer fractions are cut off, what is outside becomes the nearest number that there
 * is, NaN 0; from integer to integer the upper bits are lost; a BOOL is whether x is not 0. */
void cp_ref_cast(const cp_tensor *x, const cp_tensor *y);

/* --- norm.c --- */

/* Normalisation of x [N,S,C], channels in G groups: y = (x - mean) * 1/deviation * scale[c] + bias[c], the deviation
 * sqrt(variance + epsilon), the variance that of the population. moments [N,G,2] holds mean and 1/deviation of each
 * group, and says what N and G are: a batch is one image whose channels are groups, a layer's every pixel an image of
 * one group. */
void cp_ref_group_norm(double epsilon, const cp_tensor *x, const cp_tensor *scale, const cp_tensor *bias,
                       const cp_tensor *y, const cp_tensor *moments);
/* in: x, scale, bias, running mean, running variance. In training with the moments of the batch, else with the running
 * ones; next = momentum * running + (1-momentum) * those of the batch. */
void cp_ref_batch_norm(bool training, double momentum, double epsilon, const cp_tensor in[5], const cp_tensor *y,
                       const cp_tensor *moments, const cp_tensor *next_mean, const cp_tensor *next_variance);
/* fixed: the moments do not depend on x. */
void cp_ref_norm_input_gradient(bool fixed, const cp_tensor *x, const cp_tensor *scale, const cp_tensor *dy,
                                const cp_tensor *moments, const cp_tensor *dx);
void cp_ref_norm_scale_gradient(const cp_tensor *x, const cp_tensor *dy, const cp_tensor *moments,
                                const cp_tensor *dscale);

/* Between neighbouring channels: y[c] = x[c] / (bias + alpha/size * sum of x^2 over `size` channels around c)^beta */
typedef struct cp_lrn {
    int64_t size;
    double alpha, beta, bias;
} cp_lrn;
void cp_ref_lrn(const cp_lrn *lrn, const cp_tensor *x, const cp_tensor *y);
void cp_ref_lrn_gradient(const cp_lrn *lrn, const cp_tensor *x, const cp_tensor *dy, const cp_tensor *dx);

/* With p = softmax(x), y = label[n], w the weights of the classes (NULL: 1), s the smoothing:
 *   q[n,c] = w[c] * ((1-s)*[c = y] + s/C)   loss[0] = sum over n, c of -q[n,c]*log p[n,c] / sum over n of w[y]
 *   dx[n,c] = dloss * (p[n,c] * (sum over k of q[n,k]) - q[n,c]) / sum over n of w[y]
 * p is kept for the gradient. x [N,C], labels I32 [N], w [C]; a label outside 0..C-1 makes the loss NaN, no rows make
 * it 0. */
void cp_ref_softmax_cross_entropy(double s, const cp_tensor *x, const cp_tensor *labels, const cp_tensor *w,
                                  const cp_tensor *loss, const cp_tensor *p);
void cp_ref_softmax_cross_entropy_gradient(double s, const cp_tensor *p, const cp_tensor *labels, const cp_tensor *w,
                                           const cp_tensor *dloss, const cp_tensor *dx);
/* Losses without weights: the mean over all elements (BINARY_CROSS_ENTROPY, HUBER: target like x) or over all rows
 * (FOCAL, HINGE: labels as above) of, with p = softmax(x), y the label and a the parameter,
 *   BINARY_CROSS_ENTROPY  max(x,0) - x*t + log(1+exp(-|x|)), that is -t*log s(x) - (1-t)*log(1-s(x))
 *   HUBER                 d^2/2 where |d| <= a, else a*(|d| - a/2), d = x - t
 *   FOCAL                 -(1-p[y])^a * log p[y]
 *   HINGE                 sum over c != y of max(0, 1 + x[c] - x[y]) / C
 * and the gradient by x; at a kink the gradient is that of the flat side. */
void cp_ref_loss(cp_loss kind, double a, const cp_tensor *x, const cp_tensor *target, const cp_tensor *loss);
void cp_ref_loss_gradient(cp_loss kind, double a, const cp_tensor *x, const cp_tensor *target, const cp_tensor *dloss,
                          const cp_tensor *dx);
/* loss[0] = mean of (y - target)^2; dy = dloss * 2 (y - target) / count */
void cp_ref_mean_squared_error(const cp_tensor *y, const cp_tensor *target, const cp_tensor *loss);
void cp_ref_mean_squared_error_gradient(const cp_tensor *y, const cp_tensor *target, const cp_tensor *dloss,
                                        const cp_tensor *dy);

#endif
