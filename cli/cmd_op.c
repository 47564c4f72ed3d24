/* convpool op: one operation, or its gradients, on NumPy files. */
#include "args.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define ARRAY_LIMIT ((int64_t)8 << 30) /* bytes of one result */
#define PRINTED 400                    /* a result of so many numbers is printed */

enum {
    OPTION_INPUT = 256,
    OPTION_WEIGHTS,
    OPTION_BIAS,
    OPTION_MEAN,
    OPTION_VARIANCE,
    OPTION_TARGET,
    OPTION_KERNEL,
    OPTION_STRIDE,
    OPTION_DILATION,
    OPTION_PADDING,
    OPTION_GROUPS,
    OPTION_OUTPUT_PADDING,
    OPTION_OUTPUT_SIZE,
    OPTION_ACTIVATION,
    OPTION_ALPHA,
    OPTION_BETA,
    OPTION_EPSILON,
    OPTION_BASE,
    OPTION_CHANNELS,
    OPTION_KIND,
    OPTION_AXES,
    OPTION_AXIS,
    OPTION_KEEP,
    OPTION_BEGIN,
    OPTION_COUNT,
    OPTION_SIZE,
    OPTION_SCALE,
    OPTION_INTERPOLATION,
    OPTION_COORDINATES,
    OPTION_ROUNDING,
    OPTION_PAD_VALUES,
    OPTION_CONSTANT,
    OPTION_BLOCK,
    OPTION_ORDER,
    OPTION_CEIL,
    OPTION_DIVISOR,
    OPTION_COUNT_PAD,
    OPTION_EXPONENT,
    OPTION_FRACTIONAL,
    OPTION_OVERLAPPING,
    OPTION_TRAINING,
    OPTION_LAYOUT,
    OPTION_DOUBLE,
    OPTION_GRAD,
    OPTION_DX,
    OPTION_DW,
    OPTION_DB,
    OPTION_THREADS,
    OPTION_MATH
};
#define BIT(option) ((uint64_t)1 << ((option)-OPTION_INPUT))
#define WINDOW_BITS (BIT(OPTION_STRIDE) | BIT(OPTION_DILATION) | BIT(OPTION_PADDING))
#define ALPHA_BITS (BIT(OPTION_ALPHA) | BIT(OPTION_BETA))
#define NORM_BITS (BIT(OPTION_WEIGHTS) | BIT(OPTION_BIAS) | BIT(OPTION_DW) | BIT(OPTION_DB) | BIT(OPTION_EPSILON))
#define WEIGHT_BITS (BIT(OPTION_WEIGHTS) | BIT(OPTION_BIAS) | BIT(OPTION_ACTIVATION) | BIT(OPTION_DW) | BIT(OPTION_DB))

static const struct argp_option option_list[] = {
    {"input", OPTION_INPUT, "FILE", 0, "the input X; twice for add, concat and the like", 1},
    {"weights", OPTION_WEIGHTS, "FILE", 0,
     "weights of conv, conv-transpose and dense, slopes of prelu, scale of a normalisation, of classes "
     "for softmax-cross-entropy",
     1},
    {"bias", OPTION_BIAS, "FILE", 0, "bias of conv, dense and the normalisations", 1},
    {"mean", OPTION_MEAN, "FILE", 0, "the running mean of batch-norm", 1},
    {"variance", OPTION_VARIANCE, "FILE", 0, "its running variance", 1},
    {"target", OPTION_TARGET, "FILE", 0, "of a loss: labels (whole numbers), or values like the input", 1},
    {"layout", OPTION_LAYOUT, "NAME", 0,
     "how the files lie: nhwc (default; weights height, width, in, out) or nchw (weights out, in, height, width); "
     "other "
     "numbers of axes likewise",
     1},
    {"kernel", OPTION_KERNEL, "SIZE", 0, "of a pooling: 3 or 3x2", 2},
    {"stride", OPTION_STRIDE, "SIZE", 0, "default: 1; of a pooling its kernel", 2},
    {"dilation", OPTION_DILATION, "SIZE", 0, "distance between taps (default 1)", 2},
    {"padding", OPTION_PADDING, "PAD", 0,
     "same, same_lower, valid, causal, full, a number, or all begins then all ends: 1,1,2,2 (default 0)", 2},
    {"groups", OPTION_GROUPS, "N", 0, "of a convolution (default 1) or group-norm", 2},
    {"output-padding", OPTION_OUTPUT_PADDING, "SIZE", 0, "of conv-transpose: rows added behind (default 0)", 2},
    {"output-size", OPTION_OUTPUT_SIZE, "SIZE", 0,
     "of conv-transpose: the padding follows from it; of adaptive and fractional poolings: the windows follow", 2},
    {"activation", OPTION_ACTIVATION, "NAME", 0, "behind conv and dense: relu, gelu and so on (default none)", 2},
    {"alpha", OPTION_ALPHA, "REAL", 0,
     "the first number of an activation (of clip: the least value); of softmax-cross-entropy the smoothing, of focal "
     "gamma, "
     "of huber delta",
     2},
    {"beta", OPTION_BETA, "REAL", 0, "the second (of clip: the largest value); both 0: the usual", 2},
    {"epsilon", OPTION_EPSILON, "REAL", 0, "of a normalisation: added to the variance (default 1e-5)", 2},
    {"channels", OPTION_CHANNELS, "N", 0, "of lrn: how many make one sum (default 5)", 2},
    {"base", OPTION_BASE, "REAL", 0, "of lrn: what the squares are added to (default 1)", 2},
    {"kind", OPTION_KIND, "NAME", 0, "of reduce: sum (default), mean, max, min, product, l1, l2", 2},
    {"axes", OPTION_AXES, "LIST", 0, "of reduce: 1,2; 0 is the batch, the last are the channels (default all)", 2},
    {"keep", OPTION_KEEP, NULL, 0, "of reduce: its axes stay, with size 1", 2},
    {"axis", OPTION_AXIS, "N", 0, "of concat and slice (default the last, the channels)", 2},
    {"begin", OPTION_BEGIN, "N", 0, "of slice: the first that stays (default 0)", 2},
    {"count", OPTION_COUNT, "N", 0, "of slice: how many stay (default 1)", 2},
    {"size", OPTION_SIZE, "SIZE", 0, "of resize and col2im: the result's, 28 or 28x32", 2},
    {"scale", OPTION_SCALE, "REAL", 0, "of resize: output / input, 2 or 1.5x2", 2},
    {"interpolation", OPTION_INTERPOLATION, "NAME", 0, "of resize: nearest (default), linear", 2},
    {"coordinates", OPTION_COORDINATES, "NAME", 0,
     "of resize: half_pixel (default), asymmetric, align_corners, pytorch_half_pixel", 2},
    {"rounding", OPTION_ROUNDING, "NAME", 0, "of nearest: round_prefer_floor (default), round_prefer_ceil, floor, ceil",
     2},
    {"pad-values", OPTION_PAD_VALUES, "NAME", 0,
     "what stands outside the input: constant (default), reflect, replicate, circular", 2},
    {"constant", OPTION_CONSTANT, "REAL", 0, "of pad: the value outside (default 0)", 2},
    {"block", OPTION_BLOCK, "N", 0, "of depth-to-space and space-to-depth: pixels along each axis (default 2)", 2},
    {"order", OPTION_ORDER, "NAME", 0, "of their channels: dcr (default) or crd, PyTorch's pixel shuffle", 2},
    {"ceil", OPTION_CEIL, NULL, 0, "round the number of windows up", 2},
    {"count-include-pad", OPTION_COUNT_PAD, NULL, 0, "padded taps count in an average: --divisor padded", 2},
    {"divisor", OPTION_DIVISOR, "NAME", 0,
     "what an average divides by: valid (taps inside the input, default), padded (inside input and padding), kernel "
     "(all "
     "taps), or a number",
     2},
    {"exponent", OPTION_EXPONENT, "P", 0, "of lp-pool (default 2)", 2},
    {"fractional", OPTION_FRACTIONAL, "NAME", 0,
     "the form of fractional-max-pool: pytorch (with --kernel) or tensorflow", 2},
    {"overlapping", OPTION_OVERLAPPING, NULL, 0, "fractional windows share their boundaries", 2},
    {"training", OPTION_TRAINING, NULL, 0, "stochastic-pool draws, from seed 0", 2},
    {"output", 'o', "FILE", 0, "write the result here; without, it is printed where it is small", 3},
    {"grad", OPTION_GRAD, "FILE", 0, "the gradient behind the operation; of a loss 1 by default", 4},
    {"output-dx", OPTION_DX, "FILE", 0, "write the gradient by the input", 4},
    {"output-dw", OPTION_DW, "FILE", 0, "write the gradient by the weights", 4},
    {"output-db", OPTION_DB, "FILE", 0, "write the gradient by the bias", 4},
    {"double", OPTION_DOUBLE, NULL, 0, "compute in double, by the reference", 5},
    {"threads", OPTION_THREADS, "N", 0, "default: OMP_NUM_THREADS, else all CPUs", 5},
    {"math", OPTION_MATH, "MODE", 0, "fast (default), or strict: no algorithm with larger errors than a sum's", 5},
    {0}};

typedef struct options {
    const struct operation *operation;
    const char *name; /* of the operation */
    const char *inputs[2], *weights, *bias, *mean, *variance, *target, *grad, *output, *dx, *dw, *db;
    int n_inputs, threads;
    cp_math math;
    axes kernel, stride, dilation, output_padding, output_size, size;
    reals scale;
    cp_interpolation interpolation;
    cp_coordinates coordinates;
    cp_rounding rounding;
    cp_pad_values pad_values;
    float constant;
    int64_t block;
    cp_depth_order order;
    padding padding;
    int64_t groups;
    cp_activation activation;
    float alpha, beta, epsilon, base;
    int64_t channels;
    cp_reduction reduction;
    int reduced[CP_MAX_RANK], n_reduced; /* axes */
    int axis;
    int64_t begin, count;
    bool keep;
    cp_divisor divisor;
    int64_t divide_by;
    double exponent;
    cp_fractional fractional;
    bool ceil, overlapping, training, channels_first, real64;
    uint64_t given; /* BIT of each option */
} options;

#define WORD(name, identifier, word, ...) word,
static const char *const activation_words[] = {CP_ACTIVATIONS(WORD) "none", NULL}; /* by value */

/* --- values: arrays of files and of results --- */

typedef enum file_order { ORDER_PLAIN, ORDER_CHANNELS, ORDER_FILTERS } file_order;

typedef struct value {
    const char *name;
    file_order order; /* how the file lies when the layout is nchw */
    cp_shape stored;  /* the shape in the file */
    cp_tensor view;   /* channels last, of memory in the order of the file */
    void *memory;
    cp_node node;
} value;

typedef struct session {
    const options *options;
    cp_net *net;
    value x, second, weights, bias, mean, variance, target, grad; /* present where memory is not NULL */
    value y, dx, dw, db;
} session;

/* From the order of a file to channels last, or back. */
static cp_shape turn(cp_shape shape, file_order order, bool to_file) {
    cp_shape turned = shape;
    const int last = shape.rank - 1;
    if (order == ORDER_CHANNELS) {
        for (int i = 1; i <= last; i++) {
            const int other = i == last ? 1 : i + 1; /* N,C,H,W <-> N,H,W,C */
            turned.dim[to_file ? other : i] = shape.dim[to_file ? i : other];
        }
    } else if (order == ORDER_FILTERS) {
        for (int i = 0; i <= last; i++) {
            const int other = i == last ? 0 : i == last - 1 ? 1 : i + 2; /* O,I,H,W <-> H,W,I,O */
            turned.dim[to_file ? other : i] = shape.dim[to_file ? i : other];
        }
    }
    return turned;
}

/* The order in which a value lies: nchw says nothing to values without space, but to the weights of dense. */
static file_order order_of(const session *s, file_order order, int rank) {
    const int least = order == ORDER_FILTERS ? 2 : 3;
    return s->options->channels_first && rank >= least ? order : ORDER_PLAIN;
}

static cp_tensor view_of(const value *v, cp_type type, cp_shape shape) {
    if (v->order == ORDER_CHANNELS) return cp_view_channels_first(v->memory, type, shape);
    if (v->order == ORDER_FILTERS) return cp_view_filters_first(v->memory, type, shape);
    return cp_view(v->memory, type, shape);
}

/* Labels, of which any that no class can have is -1. False where the file's numbers are not whole. */
static bool read_labels(int32_t *labels, const cp_array *array, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        int64_t label;
        switch (array->type) {
        case CP_I32:
            label = ((const int32_t *)array->data)[i];
            break;
        case CP_I64:
            label = ((const int64_t *)array->data)[i];
            break;
        case CP_U8:
        case CP_BOOL:
            label = ((const uint8_t *)array->data)[i];
            break;
        case CP_I8:
            label = ((const int8_t *)array->data)[i];
            break;
        default:
            return false;
        }
        labels[i] = label >= 0 && label <= INT32_MAX ? (int32_t)label : -1;
    }
    return true;
}

/* The numbers of a file in fresh memory of another type. */
static int convert(void **memory, cp_type type, const cp_array *array, const char *path) {
    const int64_t count = cp_shape_count(array->shape);
    *memory = allocate((size_t)count, (size_t)cp_type_size(type));
    if (type == CP_I32)
        return read_labels(*memory, array, count) ? STATUS_OK
                                                  : fail(STATUS_INPUT, "%s: labels must be whole numbers", path);
    const cp_tensor from = cp_view(array->data, array->type, array->shape), to = cp_view(*memory, type, array->shape);
    const cp_status status = cp_tensor_convert(&to, &from);
    return status ? fail_library(status) : STATUS_OK;
}

static cp_type real_type(const session *s) {
    return s->options->real64 ? CP_F64 : CP_F32;
}

/* Reads a file into an input of the net. */
static int read_value(session *s, value *v, const char *name, const char *path, file_order order, cp_type type) {
    cp_array array;
    int status = load_npy(&array, path);
    if (status) return status;
    v->name = name;
    v->order = order_of(s, order, array.shape.rank);
    v->stored = array.shape;
    status = convert(&v->memory, type, &array, path);
    cp_array_free(&array);
    if (status) return status;
    v->view = view_of(v, type, turn(v->stored, v->order, false));
    v->node = cp_net_input(s->net, name, type == CP_I32 ? CP_I32 : CP_F32, v->view.shape);
    return STATUS_OK;
}

/* Memory for a result of the net. */
static int new_value(session *s, value *v, const char *name, cp_node node, file_order order) {
    const cp_shape shape = cp_net_shape(s->net, node);
    const int64_t count = cp_shape_count(shape), bytes = cp_type_size(real_type(s));
    char text[CP_SHAPE_TEXT];
    if (count < 0 || count > ARRAY_LIMIT / bytes)
        return fail(STATUS_LIMIT, "%s is %s, more than the limit of %lld bytes", name, cp_shape_text(shape, text),
                    (long long)ARRAY_LIMIT);
    v->name = name;
    v->node = node;
    v->order = order_of(s, order, shape.rank);
    v->stored = turn(shape, v->order, true);
    v->memory = allocate((size_t)count, (size_t)bytes);
    v->view = view_of(v, real_type(s), shape);
    cp_net_output(s->net, node, name);
    return STATUS_OK;
}

/* --- the operations --- */

static int read_conv(const session *s, cp_conv *conv) {
    const options *o = s->options;
    const int n = s->x.view.shape.rank - 2;
    *conv = (cp_conv){.groups = o->groups, .pad_values = o->pad_values, .activation = o->activation};
    int status = axes_for(&o->stride, "stride", n, conv->stride);
    if (!status) status = axes_for(&o->dilation, "dilation", n, conv->dilation);
    if (!status) status = padding_for(&o->padding, "padding", n, &conv->pad, conv->pad_before, conv->pad_after);
    if (!status) status = axes_for(&o->output_padding, "output-padding", n, conv->output_padding);
    if (!status) status = axes_for(&o->output_size, "output-size", n, conv->output_size);
    return status;
}

static int build_conv(session *s, cp_node *y) {
    cp_conv conv;
    const int status = read_conv(s, &conv);
    if (!status) *y = cp_net_conv_with(s->net, s->x.node, s->weights.node, s->bias.node, &conv);
    return status;
}

static int build_conv_transpose(session *s, cp_node *y) {
    cp_conv conv;
    const int status = read_conv(s, &conv);
    if (!status) *y = cp_net_conv_transpose_with(s->net, s->x.node, s->weights.node, s->bias.node, &conv);
    return status;
}

/* The weights do not tell the kernel. */
static int build_local_conv(session *s, cp_node *y) {
    cp_conv conv;
    if (!s->options->kernel.count) usage("--kernel is missing");
    int status = read_conv(s, &conv);
    if (!status) status = axes_for(&s->options->kernel, "kernel", s->x.view.shape.rank - 2, conv.kernel);
    if (!status) *y = cp_net_local_conv_with(s->net, s->x.node, s->weights.node, s->bias.node, &conv);
    return status;
}

static int build_pooling(session *s, cp_node *y, cp_pooling kind) {
    const options *o = s->options;
    const int n = s->x.view.shape.rank - 2;
    cp_pool pool = {.kind = kind,
                    .pad_values = o->pad_values,
                    .ceil_mode = o->ceil,
                    .divisor = o->divisor,
                    .divide_by = o->divide_by,
                    .exponent = (float)o->exponent,
                    .fractional = o->fractional,
                    .overlapping = o->overlapping};
    int status = axes_for(&o->kernel, "kernel", n, pool.kernel);
    if (!status) status = axes_for(&o->stride, "stride", n, pool.stride);
    if (!status) status = axes_for(&o->dilation, "dilation", n, pool.dilation);
    if (!status) status = padding_for(&o->padding, "padding", n, &pool.pad, pool.pad_before, pool.pad_after);
    if (!status) status = axes_for(&o->output_size, "output-size", n, pool.output_size);
    if (!status) *y = cp_net_pool(s->net, s->x.node, &pool);
    return status;
}

static int build_windows(session *s, cp_node *y, cp_pooling kind) {
    if (!s->options->kernel.count) usage("--kernel is missing");
    return build_pooling(s, y, kind);
}

static int build_max_pool(session *s, cp_node *y) {
    return build_windows(s, y, CP_MAX);
}
static int build_average_pool(session *s, cp_node *y) {
    return build_windows(s, y, CP_AVERAGE);
}
static int build_lp_pool(session *s, cp_node *y) {
    return build_windows(s, y, CP_LP);
}
static int build_stochastic_pool(session *s, cp_node *y) {
    return build_windows(s, y, CP_STOCHASTIC);
}

/* Poolings whose windows follow from the output's size. */
static int build_adaptive_pool(session *s, cp_node *y, cp_pooling kind) {
    if (!s->options->output_size.count) usage("--output-size is missing");
    return build_pooling(s, y, kind);
}

static int build_adaptive_max_pool(session *s, cp_node *y) {
    return build_adaptive_pool(s, y, CP_MAX);
}
static int build_adaptive_average_pool(session *s, cp_node *y) {
    return build_adaptive_pool(s, y, CP_AVERAGE);
}

static int build_fractional_max_pool(session *s, cp_node *y) {
    if (!s->options->fractional) usage("--fractional is missing");
    return build_adaptive_pool(s, y, CP_MAX);
}

static int build_global_lp_pool(session *s, cp_node *y) {
    *y = cp_net_pool(s->net, s->x.node,
                     &(cp_pool){.kind = CP_LP, .exponent = (float)s->options->exponent, .global = true});
    return STATUS_OK;
}

static int build_global_max_pool(session *s, cp_node *y) {
    *y = cp_net_pool(s->net, s->x.node, &(cp_pool){.kind = CP_MAX, .global = true});
    return STATUS_OK;
}

static int build_global_average_pool(session *s, cp_node *y) {
    *y = cp_net_pool(s->net, s->x.node, &(cp_pool){.kind = CP_AVERAGE, .global = true});
    return STATUS_OK;
}

static int build_dense(session *s, cp_node *y) {
    *y = cp_net_dense_with(s->net, s->x.node, s->weights.node, s->bias.node, s->options->activation);
    return STATUS_OK;
}

static int build_activation(session *s, cp_node *y) {
    const options *o = s->options;
    const int activation = arg_choice("operation", o->name, activation_words);
    *y = cp_net_activation_with(s->net, s->x.node, (cp_activation)activation, o->alpha, o->beta);
    return STATUS_OK;
}

static int build_softmax(session *s, cp_node *y) {
    *y = cp_net_softmax(s->net, s->x.node);
    return STATUS_OK;
}

/* What im2col and col2im have of a convolution, for n axes. */
static int read_windows(const session *s, int n, cp_conv *conv) {
    const options *o = s->options;
    *conv = (cp_conv){0};
    if (!o->kernel.count) usage("--kernel is missing");
    int status = axes_for(&o->kernel, "kernel", n, conv->kernel);
    if (!status) status = axes_for(&o->stride, "stride", n, conv->stride);
    if (!status) status = axes_for(&o->dilation, "dilation", n, conv->dilation);
    return status ? status : padding_for(&o->padding, "padding", n, &conv->pad, conv->pad_before, conv->pad_after);
}

static int build_im2col(session *s, cp_node *y) {
    cp_conv conv;
    const int status = read_windows(s, s->x.view.shape.rank - 2, &conv);
    if (!status) *y = cp_net_im2col(s->net, s->x.node, &conv);
    return status;
}

/* The kernel tells the number of axes. */
static int build_col2im(session *s, cp_node *y) {
    cp_conv conv;
    int64_t size[CP_MAX_AXES];
    const int n = s->options->kernel.count;
    int status = read_windows(s, n, &conv);
    if (!s->options->size.count) usage("--size is missing");
    if (!status) status = axes_for(&s->options->size, "size", n, size);
    if (!status) *y = cp_net_col2im(s->net, s->x.node, &conv, size);
    return status;
}

static int build_pad(session *s, cp_node *y) {
    const options *o = s->options;
    cp_padding pad = {.values = o->pad_values, .constant = o->constant};
    cp_pad kind;
    if (o->padding.pad != CP_PAD_EXPLICIT) usage("padding: of pad it must be numbers");
    const int status = padding_for(&o->padding, "padding", s->x.view.shape.rank - 2, &kind, pad.before, pad.after);
    if (!status) *y = cp_net_pad(s->net, s->x.node, &pad);
    return status;
}

static int build_resize(session *s, cp_node *y) {
    const options *o = s->options;
    const int n = s->x.view.shape.rank - 2;
    cp_resize resize = {.interpolation = o->interpolation, .coordinates = o->coordinates, .rounding = o->rounding};
    int status = axes_for(&o->size, "size", n, resize.size);
    if (!status) status = reals_for(&o->scale, "scale", n, resize.scale);
    if (!status) *y = cp_net_resize(s->net, s->x.node, &resize);
    return status;
}

static int build_depth_to_space(session *s, cp_node *y) {
    *y = cp_net_depth_to_space(s->net, s->x.node, s->options->block, s->options->order);
    return STATUS_OK;
}

static int build_space_to_depth(session *s, cp_node *y) {
    *y = cp_net_space_to_depth(s->net, s->x.node, s->options->block, s->options->order);
    return STATUS_OK;
}

static int build_flatten(session *s, cp_node *y) {
    *y = cp_net_flatten(s->net, s->x.node);
    return STATUS_OK;
}

#define BINARY(name)                                                                                                   \
    static int build_##name(session *s, cp_node *y) {                                                                  \
        *y = cp_net_##name(s->net, s->x.node, s->second.node);                                                         \
        return STATUS_OK;                                                                                              \
    }
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(min)
BINARY(max)
BINARY(pow)

static int build_prelu(session *s, cp_node *y) {
    *y = cp_net_prelu_with(s->net, s->x.node, s->weights.node);
    return STATUS_OK;
}

static int build_batch_norm(session *s, cp_node *y) {
    if (!s->mean.memory || !s->variance.memory) return fail(STATUS_USAGE, "batch-norm needs --mean and --variance");
    *y = cp_net_batch_norm_with(s->net, s->x.node, s->weights.node, s->bias.node, s->mean.node, s->variance.node,
                                s->options->epsilon, 0);
    return STATUS_OK;
}

static int build_layer_norm(session *s, cp_node *y) {
    *y = cp_net_layer_norm_with(s->net, s->x.node, s->weights.node, s->bias.node, s->options->epsilon);
    return STATUS_OK;
}

static int build_group_norm(session *s, cp_node *y) {
    const options *o = s->options;
    *y = cp_net_group_norm_with(s->net, s->x.node, s->weights.node, s->bias.node, o->groups, o->epsilon);
    return STATUS_OK;
}

static int build_instance_norm(session *s, cp_node *y) {
    *y = cp_net_instance_norm_with(s->net, s->x.node, s->weights.node, s->bias.node, s->options->epsilon);
    return STATUS_OK;
}

static int build_lrn(session *s, cp_node *y) {
    const options *o = s->options;
    *y = cp_net_lrn(s->net, s->x.node, o->channels, o->alpha, o->beta, o->base);
    return STATUS_OK;
}

static int build_reduce(session *s, cp_node *y) {
    const options *o = s->options;
    *y = cp_net_reduce(s->net, s->x.node, o->reduction, o->reduced, o->n_reduced, o->keep);
    return STATUS_OK;
}

static int build_concat(session *s, cp_node *y) {
    *y = cp_net_concat(s->net, (cp_node[]){s->x.node, s->second.node}, 2, s->options->axis);
    return STATUS_OK;
}

static int build_slice(session *s, cp_node *y) {
    *y = cp_net_slice(s->net, s->x.node, s->options->axis, s->options->begin, s->options->count);
    return STATUS_OK;
}

static int check_labels(const session *s) {
    const cp_shape logits = s->x.view.shape;
    const int64_t classes = logits.rank ? logits.dim[logits.rank - 1] : 0;
    const int32_t *labels = s->target.memory;
    for (int64_t i = 0; i < cp_shape_count(s->target.view.shape); i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return fail(STATUS_INPUT, "label %d at %lld: there are %lld classes", labels[i], (long long)i,
                        (long long)classes);
    return STATUS_OK;
}

static int build_cross_entropy(session *s, cp_node *y) {
    const int status = check_labels(s);
    if (!status)
        *y = cp_net_softmax_cross_entropy_with(s->net, s->x.node, s->target.node, s->weights.node, s->options->alpha);
    return status;
}

static int build_focal(session *s, cp_node *y) {
    const int status = check_labels(s);
    if (!status) *y = cp_net_focal(s->net, s->x.node, s->target.node, s->options->alpha);
    return status;
}

static int build_hinge(session *s, cp_node *y) {
    const int status = check_labels(s);
    if (!status) *y = cp_net_hinge(s->net, s->x.node, s->target.node);
    return status;
}

static int build_binary_cross_entropy(session *s, cp_node *y) {
    *y = cp_net_binary_cross_entropy(s->net, s->x.node, s->target.node);
    return STATUS_OK;
}

static int build_huber(session *s, cp_node *y) {
    *y = cp_net_huber(s->net, s->x.node, s->target.node, s->options->alpha);
    return STATUS_OK;
}

static int build_squared_error(session *s, cp_node *y) {
    *y = cp_net_mean_squared_error(s->net, s->x.node, s->target.node);
    return STATUS_OK;
}

static const struct operation {
    const char *name;
    int (*build)(session *s, cp_node *y);
    uint64_t takes; /* of the options that not every operation has */
    bool weights, target, labels;
    int inputs;
} operations[] = {
    {"conv", build_conv, WINDOW_BITS | WEIGHT_BITS | BIT(OPTION_GROUPS) | BIT(OPTION_PAD_VALUES), true, false, false,
     1},
    {"conv-transpose", build_conv_transpose,
     WINDOW_BITS | WEIGHT_BITS | BIT(OPTION_GROUPS) | BIT(OPTION_OUTPUT_PADDING) | BIT(OPTION_OUTPUT_SIZE), true, false,
     false, 1},
    {"max-pool", build_max_pool, WINDOW_BITS | BIT(OPTION_PAD_VALUES) | BIT(OPTION_KERNEL) | BIT(OPTION_CEIL), false,
     false, false, 1},
    {"avg-pool", build_average_pool,
     WINDOW_BITS | BIT(OPTION_PAD_VALUES) | BIT(OPTION_KERNEL) | BIT(OPTION_CEIL) | BIT(OPTION_DIVISOR) |
         BIT(OPTION_COUNT_PAD),
     false, false, false, 1},
    {"lp-pool", build_lp_pool,
     WINDOW_BITS | BIT(OPTION_PAD_VALUES) | BIT(OPTION_KERNEL) | BIT(OPTION_CEIL) | BIT(OPTION_EXPONENT), false, false,
     false, 1},
    {"stochastic-pool", build_stochastic_pool,
     WINDOW_BITS | BIT(OPTION_PAD_VALUES) | BIT(OPTION_KERNEL) | BIT(OPTION_CEIL) | BIT(OPTION_TRAINING), false, false,
     false, 1},
    {"adaptive-max-pool", build_adaptive_max_pool, BIT(OPTION_OUTPUT_SIZE), false, false, false, 1},
    {"adaptive-avg-pool", build_adaptive_average_pool, BIT(OPTION_OUTPUT_SIZE), false, false, false, 1},
    {"fractional-max-pool", build_fractional_max_pool,
     BIT(OPTION_OUTPUT_SIZE) | BIT(OPTION_KERNEL) | BIT(OPTION_FRACTIONAL) | BIT(OPTION_OVERLAPPING), false, false,
     false, 1},
    {"global-lp-pool", build_global_lp_pool, BIT(OPTION_EXPONENT), false, false, false, 1},
    {"global-max-pool", build_global_max_pool, 0, false, false, false, 1},
    {"global-avg-pool", build_global_average_pool, 0, false, false, false, 1},
    {"local-conv", build_local_conv, WINDOW_BITS | WEIGHT_BITS | BIT(OPTION_KERNEL), true, false, false, 1},
    {"im2col", build_im2col, WINDOW_BITS | BIT(OPTION_KERNEL), false, false, false, 1},
    {"col2im", build_col2im, WINDOW_BITS | BIT(OPTION_KERNEL) | BIT(OPTION_SIZE), false, false, false, 1},
    {"pad", build_pad, BIT(OPTION_PADDING) | BIT(OPTION_PAD_VALUES) | BIT(OPTION_CONSTANT), false, false, false, 1},
    {"resize", build_resize,
     BIT(OPTION_SIZE) | BIT(OPTION_SCALE) | BIT(OPTION_INTERPOLATION) | BIT(OPTION_COORDINATES) | BIT(OPTION_ROUNDING),
     false, false, false, 1},
    {"depth-to-space", build_depth_to_space, BIT(OPTION_BLOCK) | BIT(OPTION_ORDER), false, false, false, 1},
    {"space-to-depth", build_space_to_depth, BIT(OPTION_BLOCK) | BIT(OPTION_ORDER), false, false, false, 1},
    {"dense", build_dense, WEIGHT_BITS, true, false, false, 1},
    {"softmax", build_softmax, 0, false, false, false, 1},
    {"flatten", build_flatten, 0, false, false, false, 1},
    {"add", build_add, 0, false, false, false, 2},
    {"sub", build_sub, 0, false, false, false, 2},
    {"mul", build_mul, 0, false, false, false, 2},
    {"div", build_div, 0, false, false, false, 2},
    {"min", build_min, 0, false, false, false, 2},
    {"max", build_max, 0, false, false, false, 2},
    {"pow", build_pow, 0, false, false, false, 2},
    {"prelu", build_prelu, BIT(OPTION_WEIGHTS) | BIT(OPTION_DW), true, false, false, 1},
    {"batch-norm", build_batch_norm, NORM_BITS | BIT(OPTION_MEAN) | BIT(OPTION_VARIANCE), true, false, false, 1},
    {"layer-norm", build_layer_norm, NORM_BITS, true, false, false, 1},
    {"group-norm", build_group_norm, NORM_BITS | BIT(OPTION_GROUPS), true, false, false, 1},
    {"instance-norm", build_instance_norm, NORM_BITS, true, false, false, 1},
    {"lrn", build_lrn, ALPHA_BITS | BIT(OPTION_CHANNELS) | BIT(OPTION_BASE), false, false, false, 1},
    {"reduce", build_reduce, BIT(OPTION_KIND) | BIT(OPTION_AXES) | BIT(OPTION_KEEP), false, false, false, 1},
    {"concat", build_concat, BIT(OPTION_AXIS), false, false, false, 2},
    {"slice", build_slice, BIT(OPTION_AXIS) | BIT(OPTION_BEGIN) | BIT(OPTION_COUNT), false, false, false, 1},
    {"softmax-cross-entropy", build_cross_entropy, BIT(OPTION_TARGET) | BIT(OPTION_WEIGHTS) | BIT(OPTION_ALPHA), false,
     true, true, 1},
    {"focal", build_focal, BIT(OPTION_TARGET) | BIT(OPTION_ALPHA), false, true, true, 1},
    {"hinge", build_hinge, BIT(OPTION_TARGET), false, true, true, 1},
    {"binary-cross-entropy", build_binary_cross_entropy, BIT(OPTION_TARGET), false, true, false, 1},
    {"huber", build_huber, BIT(OPTION_TARGET) | BIT(OPTION_ALPHA), false, true, false, 1},
    {"mean-squared-error", build_squared_error, BIT(OPTION_TARGET), false, true, false, 1},
#define ACTIVATION(value, identifier, word, ...) {word, build_activation, ALPHA_BITS, false, false, false, 1},
    CP_ACTIVATIONS(ACTIVATION)};
enum { OPERATIONS = sizeof operations / sizeof *operations };
/* What every operation takes. */
#define COMMON_BITS                                                                                                    \
    (BIT(OPTION_INPUT) | BIT(OPTION_LAYOUT) | BIT(OPTION_DOUBLE) | BIT(OPTION_GRAD) | BIT(OPTION_DX) |                 \
     BIT(OPTION_THREADS) | BIT(OPTION_MATH))

/* --- options --- */

static void choose_operation(options *o, const char *name) {
    if (o->operation) usage("'%s' is one operation too many", name);
    const char *names[OPERATIONS + 1] = {NULL};
    for (int i = 0; i < OPERATIONS; i++) names[i] = operations[i].name;
    o->operation = &operations[arg_choice("operation", name, names)];
    o->name = o->operation->name;
}

/* A word, or the number to divide by. */
static void choose_divisor(options *o, const char *text) {
    static const char *const words[] = {"valid", "padded", "kernel", NULL};
    if (*text >= '0' && *text <= '9') {
        o->divisor = CP_DIVISOR_NUMBER;
        o->divide_by = arg_int("divisor", text, 1, INT64_MAX);
    } else {
        o->divisor = (cp_divisor)arg_choice("divisor", text, words);
    }
}

/* "1,2" */
static void choose_axes(options *o, const char *text) {
    o->n_reduced = 0;
    for (const char *comma = text; comma; text = comma + 1) {
        char number[16];
        comma = strchr(text, ',');
        snprintf(number, sizeof number, "%.*s", comma ? (int)(comma - text) : 15, text);
        if (o->n_reduced == CP_MAX_RANK) usage("--axes has more than %d numbers", CP_MAX_RANK);
        o->reduced[o->n_reduced++] = (int)arg_int("axes", number, 0, CP_MAX_RANK - 1);
    }
}

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    static const char *const reductions[] = {"sum", "mean", "max", "min", "product", "l1", "l2", NULL};
    static const char *const layouts[] = {"nhwc", "nchw", NULL};
    static const char *const interpolations[] = {"nearest", "linear", NULL};
    static const char *const coordinates[] = {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", NULL};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    static const char *const pad_values[] = {"constant", "reflect", "replicate", "circular", NULL};
    static const char *const orders[] = {"dcr", "crd", NULL};
    static const char *const fractionals[] = {"pytorch", "tensorflow", NULL};
    if (key >= OPTION_INPUT && key <= OPTION_MATH) o->given |= BIT(key);
    switch (key) {
    case ARGP_KEY_INIT:
        state->err_stream = NULL;
        return 0;
    case ARGP_KEY_ARG:
        choose_operation(o, text);
        return 0;
    case ARGP_KEY_END:
        if (!o->operation) usage("the operation is missing");
        return 0;
    case OPTION_INPUT:
        if (o->n_inputs == 2) usage("--input %s is one too many", text);
        o->inputs[o->n_inputs++] = text;
        return 0;
    case OPTION_WEIGHTS:
        o->weights = text;
        return 0;
    case OPTION_BIAS:
        o->bias = text;
        return 0;
    case OPTION_MEAN:
        o->mean = text;
        return 0;
    case OPTION_VARIANCE:
        o->variance = text;
        return 0;
    case OPTION_TARGET:
        o->target = text;
        return 0;
    case OPTION_GRAD:
        o->grad = text;
        return 0;
    case 'o':
        o->output = text;
        return 0;
    case OPTION_DX:
        o->dx = text;
        return 0;
    case OPTION_DW:
        o->dw = text;
        return 0;
    case OPTION_DB:
        o->db = text;
        return 0;
    case OPTION_KERNEL:
        o->kernel = arg_axes("kernel", text);
        return 0;
    case OPTION_STRIDE:
        o->stride = arg_axes("stride", text);
        return 0;
    case OPTION_DILATION:
        o->dilation = arg_axes("dilation", text);
        return 0;
    case OPTION_PADDING:
        o->padding = arg_padding("padding", text);
        return 0;
    case OPTION_GROUPS:
        o->groups = arg_int("groups", text, 1, INT64_MAX);
        return 0;
    case OPTION_OUTPUT_PADDING:
        o->output_padding = arg_axes_from("output-padding", text, 0);
        return 0;
    case OPTION_OUTPUT_SIZE:
        o->output_size = arg_axes("output-size", text);
        return 0;
    case OPTION_ACTIVATION:
        o->activation = (cp_activation)arg_choice("activation", text, activation_words);
        if (o->activation == (cp_activation)CP_ACTIVATION_COUNT) o->activation = CP_LINEAR;
        return 0;
    case OPTION_ALPHA:
        o->alpha = (float)arg_real("alpha", text, -FLT_MAX, FLT_MAX);
        return 0;
    case OPTION_BETA:
        o->beta = (float)arg_real("beta", text, -FLT_MAX, FLT_MAX);
        return 0;
    case OPTION_EPSILON:
        o->epsilon = (float)arg_real("epsilon", text, 0, FLT_MAX);
        return 0;
    case OPTION_BASE:
        o->base = (float)arg_real("base", text, 0, FLT_MAX);
        return 0;
    case OPTION_CHANNELS:
        o->channels = arg_int("channels", text, 1, INT64_MAX);
        return 0;
    case OPTION_KIND:
        o->reduction = (cp_reduction)arg_choice("kind", text, reductions);
        return 0;
    case OPTION_AXES:
        choose_axes(o, text);
        return 0;
    case OPTION_KEEP:
        o->keep = true;
        return 0;
    case OPTION_AXIS:
        o->axis = (int)arg_int("axis", text, 0, CP_MAX_RANK - 1);
        return 0;
    case OPTION_BEGIN:
        o->begin = arg_int("begin", text, 0, INT64_MAX);
        return 0;
    case OPTION_COUNT:
        o->count = arg_int("count", text, 1, INT64_MAX);
        return 0;
    case OPTION_SIZE:
        o->size = arg_axes("size", text);
        return 0;
    case OPTION_SCALE:
        o->scale = arg_reals("scale", text);
        return 0;
    case OPTION_INTERPOLATION:
        o->interpolation = (cp_interpolation)arg_choice("interpolation", text, interpolations);
        return 0;
    case OPTION_COORDINATES:
        o->coordinates = (cp_coordinates)arg_choice("coordinates", text, coordinates);
        return 0;
    case OPTION_ROUNDING:
        o->rounding = (cp_rounding)arg_choice("rounding", text, roundings);
        return 0;
    case OPTION_PAD_VALUES:
        o->pad_values = (cp_pad_values)arg_choice("pad-values", text, pad_values);
        return 0;
    case OPTION_CONSTANT:
        o->constant = (float)arg_real("constant", text, -FLT_MAX, FLT_MAX);
        return 0;
    case OPTION_BLOCK:
        o->block = arg_int("block", text, 1, INT64_MAX);
        return 0;
    case OPTION_ORDER:
        o->order = (cp_depth_order)arg_choice("order", text, orders);
        return 0;
    case OPTION_CEIL:
        o->ceil = true;
        return 0;
    case OPTION_DIVISOR:
        choose_divisor(o, text);
        return 0;
    case OPTION_COUNT_PAD:
        o->divisor = CP_DIVISOR_PADDED;
        return 0;
    case OPTION_EXPONENT:
        o->exponent = arg_real("exponent", text, 1, 1000);
        return 0;
    case OPTION_FRACTIONAL:
        o->fractional = (cp_fractional)(CP_FRACTIONAL_PYTORCH + arg_choice("fractional", text, fractionals));
        return 0;
    case OPTION_OVERLAPPING:
        o->overlapping = true;
        return 0;
    case OPTION_TRAINING:
        o->training = true;
        return 0;
    case OPTION_LAYOUT:
        o->channels_first = arg_choice("layout", text, layouts) == 1;
        return 0;
    case OPTION_DOUBLE:
        o->real64 = true;
        return 0;
    case OPTION_THREADS:
        o->threads = arg_threads(text);
        return 0;
    case OPTION_MATH:
        o->math = arg_math(text);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void check_files(const options *o) {
    const char *const in[] = {o->inputs[0], o->inputs[1], o->weights, o->bias,
                              o->mean,      o->variance,  o->target,  o->grad};
    const char *const out[] = {o->output, o->dx, o->dw, o->db};
    for (int i = 0; i < 4; i++) {
        if (!out[i]) continue;
        for (int j = 0; j < 8; j++)
            if (in[j] && strcmp(in[j], "-") && same_file(out[i], in[j])) usage("%s is input and output", in[j]);
        for (int j = 0; j < i; j++)
            if (out[j] && same_file(out[i], out[j])) usage("%s is two outputs", out[i]);
    }
}

static void check_options(const options *o) {
    const struct operation *operation = o->operation;
    for (const struct argp_option *option = option_list; option->name; option++)
        if (option->key != 'o' && o->given & BIT(option->key) & ~(operation->takes | COMMON_BITS))
            usage("%s does not take --%s", operation->name, option->name);
    if (o->n_inputs != operation->inputs)
        usage("%s needs %d --input, has %d", operation->name, operation->inputs, o->n_inputs);
    if (operation->weights && !o->weights) usage("%s needs --weights", operation->name);
    if (operation->target && !o->target) usage("%s needs --target", operation->name);
    if (o->db && !o->bias) usage("--output-db needs --bias");
    if (!operation->target && !o->grad && (o->dx || o->dw || o->db))
        usage("--output-dx, --output-dw and --output-db need --grad");
    check_files(o);
}

/* --- running --- */

static int read_inputs(session *s) {
    const options *o = s->options;
    int status = read_value(s, &s->x, "x", o->inputs[0], ORDER_CHANNELS, real_type(s));
    if (!status && o->inputs[1])
        status = read_value(s, &s->second, "second", o->inputs[1], ORDER_CHANNELS, real_type(s));
    if (!status && o->weights) status = read_value(s, &s->weights, "weights", o->weights, ORDER_FILTERS, real_type(s));
    if (!status && o->bias) status = read_value(s, &s->bias, "bias", o->bias, ORDER_PLAIN, real_type(s));
    if (!status && o->mean) status = read_value(s, &s->mean, "mean", o->mean, ORDER_PLAIN, real_type(s));
    if (!status && o->variance)
        status = read_value(s, &s->variance, "variance", o->variance, ORDER_PLAIN, real_type(s));
    if (!status && o->target)
        status = read_value(s, &s->target, "target", o->target, ORDER_CHANNELS,
                            o->operation->labels ? CP_I32 : real_type(s));
    return status;
}

static int net_status(const session *s) {
    const char *reason;
    const cp_status status = cp_net_error(s->net, &reason);
    return status ? fail(exit_status(status), "%s", reason) : STATUS_OK;
}

/* Without a file named for any of them all gradients are wanted. */
static bool wants(const options *o, const char *path) {
    return path || !(o->dx || o->dw || o->db);
}

static int build_gradients(session *s, cp_node y) {
    const options *o = s->options;
    const struct {
        const value *of;
        value *by;
        const char *name, *path;
        file_order order;
    } gradients[] = {{&s->x, &s->dx, "dx", o->dx, ORDER_CHANNELS},
                     {&s->weights, &s->dw, "dw", o->dw, ORDER_FILTERS},
                     {&s->bias, &s->db, "db", o->db, ORDER_PLAIN}};
    int status = STATUS_OK;
    if (o->grad) status = read_value(s, &s->grad, "grad", o->grad, ORDER_CHANNELS, real_type(s));
    if (status) return status;
    cp_node wrt[3], by[3];
    int chosen[3], n = 0;
    for (int i = 0; i < 3; i++) {
        if (!gradients[i].of->memory || !wants(o, gradients[i].path)) continue;
        wrt[n] = gradients[i].of->node;
        chosen[n++] = i;
    }
    const cp_status derived = cp_net_gradients(s->net, y, s->grad.node, wrt, n, by);
    if (derived) return fail_library(derived);
    for (int i = 0; !status && i < n; i++)
        if (by[i]) /* the weights of classes have none */
            status =
                new_value(s, gradients[chosen[i]].by, gradients[chosen[i]].name, by[i], gradients[chosen[i]].order);
    return status;
}

static int build(session *s) {
    const options *o = s->options;
    const bool derive = o->grad || o->dx || o->dw || o->db;
    cp_node y = 0;
    int status = read_inputs(s);
    if (!status) status = o->operation->build(s, &y);
    if (!status) status = net_status(s);
    if (!status && (o->output || !derive)) status = new_value(s, &s->y, "y", y, ORDER_CHANNELS);
    if (!status && derive) status = build_gradients(s, y);
    return status ? status : net_status(s);
}

/* The views of those values that are present. */
static int views(cp_tensor *list, const value *const *values, int n) {
    int count = 0;
    for (int i = 0; i < n; i++)
        if (values[i]->memory) list[count++] = values[i]->view;
    return count;
}

static int run(session *s) {
    cp_tensor in[8], out[4];
    const int n_in = views(
        in, (const value *[]){&s->x, &s->second, &s->weights, &s->bias, &s->mean, &s->variance, &s->target, &s->grad},
        8);
    const int n_out = views(out, (const value *[]){&s->y, &s->dx, &s->dw, &s->db}, 4);
    cp_ctx *ctx = NULL;
    cp_plan *plan = NULL;
    cp_work *work = NULL;
    int status = new_context(&ctx, s->options->threads ? s->options->threads : default_threads(), s->options->math);
    if (status) return status;
    const cp_plan_options planned = {
        .type = real_type(s), .training = s->options->training, .inputs = in, .outputs = out};
    cp_status ran = cp_net_plan(&plan, ctx, s->net, &planned);
    if (!ran) ran = cp_work_new(&work, plan);
    if (!ran) ran = cp_plan_run(plan, work, in, n_in, out, n_out);
    if (ran) status = fail_library(ran);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_ctx_free(ctx);
    return status;
}

/* --- results --- */

static double result_at(const value *v, int64_t i) {
    return v->view.type == CP_F64 ? ((const double *)v->memory)[i] : (double)((const float *)v->memory)[i];
}

/* Rows of the last axis that is longer than 1, as they lie in the file; an empty line where an outer axis goes on. */
static void print_value(const value *v) {
    char text[CP_SHAPE_TEXT];
    const int64_t count = cp_shape_count(v->stored);
    printf("%s %s", v->name, cp_shape_text(v->stored, text));
    if (count > PRINTED) {
        const size_t bytes = (size_t)(count * cp_type_size(v->view.type));
        printf(" crc32 %08lx\n", (unsigned long)crc32_z(0, v->memory, bytes));
        return;
    }
    int last = v->stored.rank - 1;
    while (last > 0 && v->stored.dim[last] == 1) last--;
    const int64_t row = v->stored.rank ? v->stored.dim[last] : 1;
    const int64_t block = last > 0 ? row * v->stored.dim[last - 1] : count;
    for (int64_t i = 0; i < count; i++) {
        if (i && i % block == 0) printf("\n");
        printf(i % row ? " %.9g" : "\n%.9g", result_at(v, i));
    }
    printf("\n");
}

static int give(const value *v, const char *path) {
    if (!v->memory) return STATUS_OK;
    if (!path) {
        print_value(v);
        return STATUS_OK;
    }
    const cp_tensor file = cp_view(v->memory, v->view.type, v->stored);
    return save_npy(&file, path);
}

static int give_results(const session *s) {
    const options *o = s->options;
    int status = give(&s->y, o->output);
    if (!status) status = give(&s->dx, o->dx);
    if (!status) status = give(&s->dw, o->dw);
    return status ? status : give(&s->db, o->db);
}

#define COMMA_WORD(name, identifier, word, ...) ", " word

int cmd_op(int argc, char **argv) {
    options o = {.axis = -1, .count = 1, .channels = 5, .block = 2};
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .args_doc = "OPERATION",
        .doc = "Runs one operation on NumPy files (.npy, '-' for a standard stream), or with --grad its gradients.\v"
               "OPERATION: conv, local-conv, max-pool, avg-pool, lp-pool, stochastic-pool, adaptive-max-pool, "
               "adaptive-avg-pool, "
               "fractional-max-pool, global-max-pool, global-avg-pool, global-lp-pool, im2col, col2im, pad, resize, "
               "depth-to-space, space-to-depth, dense, softmax, flatten, add, "
               "sub, mul, div, "
               "min, max, pow, prelu, batch-norm, layer-norm, group-norm, instance-norm, lrn, reduce, concat, slice, "
               "softmax-cross-entropy, focal, hinge, mean-squared-error, binary-cross-entropy, huber" CP_ACTIVATIONS(
                   COMMA_WORD) ". Any type of number is read; "
                               "results are float32, or float64 with --double.",
        .children = args_common};
    args_parse(&parser, "op", argc, argv, &o);
    check_options(&o);

    session s = {.options = &o};
    const cp_status created = cp_net_new(&s.net);
    int status = created ? fail_library(created) : build(&s);
    if (!status) status = run(&s);
    if (!status) status = give_results(&s);
    value *const values[] = {&s.x,      &s.second, &s.weights, &s.bias, &s.mean, &s.variance,
                             &s.target, &s.grad,   &s.y,       &s.dx,   &s.dw,   &s.db};
    for (int i = 0; i < 12; i++) free(values[i]->memory);
    cp_net_free(s.net);
    return status;
}
