/* The operations that bench ops can time, each built from a case: a line in the table at the end, and a function where
 * no other does it. What a case does not say has a usual value here. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* --- numbers --- */

float *bench_numbers(int64_t count, bool positive) {
    const size_t bytes = ((size_t)count * sizeof(float) + 63) / 64 * 64;
    float *memory = count < INT64_MAX / 8 && count >= 0 ? aligned_alloc(64, bytes ? bytes : 64) : NULL;
    if (!memory) exit(fail(STATUS_LIMIT, "no memory for %lld numbers", (long long)count));
    uint32_t state = 12345;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        const float number = (float)(state >> 8) / (float)(1 << 23) - 1;
        memory[i] = positive && number <= 0 ? 1 + number / 2 : number;
    }
    return memory;
}

static cp_node constant_from(bench_net *b, const char *name, cp_shape shape, bool positive) {
    float *values = bench_numbers(cp_shape_count(shape), positive);
    const cp_tensor tensor = cp_view(values, CP_F32, shape);
    const cp_node node = cp_net_constant(b->net, name, &tensor);
    free(values);
    return node;
}

static cp_node constant(bench_net *b, const char *name, cp_shape shape) {
    return constant_from(b, name, shape, false);
}

/* Whole numbers: number i is i * factor % limit. */
static cp_node integers(bench_net *b, const char *name, cp_shape shape, int64_t factor, int64_t limit) {
    const int64_t count = cp_shape_count(shape);
    int32_t *values = allocate((size_t)count, sizeof *values);
    for (int64_t i = 0; i < count; i++) values[i] = (int32_t)(i * factor % limit);
    const cp_tensor tensor = cp_view(values, CP_I32, shape);
    const cp_node node = cp_net_constant(b->net, name, &tensor);
    free(values);
    return node;
}

static int64_t channels_of(const bench_case *c) {
    return c->input.dim[c->input.rank - 1];
}

static cp_node of_channels(bench_net *b, const char *name) {
    const int64_t channels = channels_of(b->c);
    return constant_from(b, name, cp_shape_of(1, &channels), true);
}

/* --- layers with weights --- */

static cp_node build_dense(bench_net *b, cp_node x) {
    const bench_case *c = b->c;
    x = cp_net_flatten(b->net, x);
    b->w = constant(b, "w", (cp_shape){2, {cp_net_shape(b->net, x).dim[1], c->filters}});
    return cp_net_dense_with(b->net, x, b->w, constant(b, "b", cp_shape_of(1, &c->filters)), c->conv.activation);
}

/* [kernel, channels of a group, filters] */
static cp_shape kernel_shape(const bench_case *c, int64_t channels, int64_t filters) {
    cp_shape shape = {.rank = c->axes + 2};
    memcpy(shape.dim, c->conv.kernel, (size_t)c->axes * sizeof *shape.dim);
    shape.dim[c->axes] = channels / (c->conv.groups ? c->conv.groups : 1);
    shape.dim[c->axes + 1] = filters;
    return shape;
}

static cp_node build_conv(bench_net *b, cp_node x) {
    const bench_case *c = b->c;
    b->w = constant(b, "w", kernel_shape(c, channels_of(c), c->filters));
    return cp_net_conv_with(b->net, x, b->w, constant(b, "b", cp_shape_of(1, &c->filters)), &c->conv);
}

/* Weights of signed bytes: the bits of floats are such as well. */
static cp_node bytes(bench_net *b, cp_shape shape) {
    float *values = bench_numbers(cp_shape_count(shape), false);
    const cp_tensor tensor = cp_view(values, CP_I8, shape);
    b->w = cp_net_constant(b->net, "w", &tensor);
    b->out_type = CP_I32;
    free(values);
    return b->w;
}

static cp_node build_conv_integer(bench_net *b, cp_node x) {
    const cp_node w = bytes(b, kernel_shape(b->c, channels_of(b->c), b->c->filters));
    return cp_net_conv_integer(b->net, x, w, 0, 0, &b->c->conv);
}

static cp_node build_matmul_integer(bench_net *b, cp_node x) {
    return cp_net_matmul_integer(b->net, x, bytes(b, (cp_shape){2, {channels_of(b->c), b->c->filters}}), 0, 0);
}

static cp_node build_conv_transpose(bench_net *b, cp_node x) {
    const bench_case *c = b->c;
    b->w = constant(b, "w", kernel_shape(c, c->filters, channels_of(c)));
    return cp_net_conv_transpose_with(b->net, x, b->w, constant(b, "b", cp_shape_of(1, &c->filters)), &c->conv);
}

/* With offsets of up to a pixel, and a mask. */
static cp_node build_deform_conv(bench_net *b, cp_node x) {
    const bench_case *c = b->c;
    const cp_shape kernel = kernel_shape(c, channels_of(c), c->filters);
    cp_shape field;
    if (cp_conv_shape(&field, &c->conv, c->input, kernel)) return 0;
    b->w = constant(b, "w", kernel);
    field.dim[c->axes + 1] = cp_shape_count(cp_shape_of(c->axes, kernel.dim));
    const cp_node mask = constant(b, "mask", field);
    field.dim[c->axes + 1] *= c->axes;
    return cp_net_deform_conv_with(b->net, x, b->w, constant(b, "offset", field), mask,
                                   constant(b, "b", cp_shape_of(1, &c->filters)), &c->conv);
}

static cp_node build_local_conv(bench_net *b, cp_node x) {
    const bench_case *c = b->c;
    const cp_shape kernel = kernel_shape(c, channels_of(c), c->filters);
    cp_shape y;
    if (cp_conv_shape(&y, &c->conv, c->input, kernel)) return 0;
    const int64_t outputs = cp_shape_count(cp_shape_of(c->axes, y.dim + 1));
    b->w = constant(b, "w", (cp_shape){3, {outputs, cp_shape_count(kernel) / c->filters, c->filters}});
    return cp_net_local_conv_with(b->net, x, b->w, constant(b, "b", cp_shape_of(1, &c->filters)), &c->conv);
}

/* --- windows --- */

static cp_pool pool_of(const bench_case *c, cp_pooling kind) {
    cp_pool pool = {.kind = kind, .pad = c->conv.pad};
    memcpy(pool.kernel, c->conv.kernel, sizeof pool.kernel);
    memcpy(pool.stride, c->conv.stride, sizeof pool.stride);
    memcpy(pool.dilation, c->conv.dilation, sizeof pool.dilation);
    memcpy(pool.pad_before, c->conv.pad_before, sizeof pool.pad_before);
    memcpy(pool.pad_after, c->conv.pad_after, sizeof pool.pad_after);
    return pool;
}

static cp_node build_pool(bench_net *b, cp_node x, cp_pooling kind) {
    const cp_pool pool = pool_of(b->c, kind);
    b->out_type = b->c->type;
    return cp_net_pool(b->net, x, &pool);
}

static cp_node build_max_pool(bench_net *b, cp_node x) {
    return build_pool(b, x, CP_MAX);
}
static cp_node build_average_pool(bench_net *b, cp_node x) {
    return build_pool(b, x, CP_AVERAGE);
}
static cp_node build_lp_pool(bench_net *b, cp_node x) {
    return build_pool(b, x, CP_LP);
}
static cp_node build_stochastic_pool(bench_net *b, cp_node x) {
    return build_pool(b, x, CP_STOCHASTIC);
}

static cp_node build_positions(bench_net *b, cp_node x) {
    const cp_node y = build_max_pool(b, x);
    b->out_type = CP_I32;
    return cp_net_pool_positions(b->net, y);
}

/* The values evenly over the larger plane. */
static cp_node build_max_unpool(bench_net *b, cp_node x) {
    const bench_case *c = b->c;
    cp_pool pool = pool_of(c, CP_MAX);
    memcpy(pool.output_size, c->size.dim, (size_t)c->axes * sizeof *pool.output_size);
    const int64_t to = cp_shape_count(c->size), from = cp_shape_count(cp_shape_of(c->axes, c->input.dim + 1));
    return cp_net_max_unpool(b->net, x, integers(b, "positions", c->input, to / from ? to / from : 1, to), &pool);
}

/* 100 regions, each half as high and wide as the picture, all over it. */
static cp_node regions(bench_net *b) {
    enum { REGIONS = 100, NUMBERS = 5 };
    const int64_t *dim = b->c->input.dim;
    float rois[REGIONS * NUMBERS];
    for (int i = 0; i < REGIONS; i++) {
        const float x = (float)(dim[2] * (i % 10)) / 20, y = (float)(dim[1] * (i / 10)) / 20;
        const float region[] = {(float)(i % dim[0]), x, y, x + (float)dim[2] / 2, y + (float)dim[1] / 2};
        memcpy(rois + i * NUMBERS, region, sizeof region);
    }
    const cp_tensor tensor = cp_mat(rois, REGIONS, NUMBERS);
    return cp_net_constant(b->net, "rois", &tensor);
}

static cp_node build_roi(bench_net *b, cp_node x) {
    const bool align = !strcmp(b->c->op, "roi-align");
    cp_roi roi = {.sampling = align ? 2 : 0};
    memcpy(roi.output_size, b->c->size.dim, (size_t)b->c->axes * sizeof *roi.output_size);
    return align ? cp_net_roi_align(b->net, x, regions(b), &roi) : cp_net_max_roi_pool(b->net, x, regions(b), &roi);
}

static cp_node build_spans(bench_net *b, cp_node x, cp_pooling kind, cp_fractional fractional) {
    cp_pool pool = {.kind = kind, .fractional = fractional};
    memcpy(pool.output_size, b->c->size.dim, (size_t)b->c->axes * sizeof *pool.output_size);
    return cp_net_pool(b->net, x, &pool);
}

static cp_node build_adaptive_max(bench_net *b, cp_node x) {
    return build_spans(b, x, CP_MAX, CP_NOT_FRACTIONAL);
}
static cp_node build_adaptive_average(bench_net *b, cp_node x) {
    return build_spans(b, x, CP_AVERAGE, CP_NOT_FRACTIONAL);
}
static cp_node build_fractional_max(bench_net *b, cp_node x) {
    return build_spans(b, x, CP_MAX, CP_FRACTIONAL_TENSORFLOW);
}

static cp_node build_im2col(bench_net *b, cp_node x) {
    return cp_net_im2col(b->net, x, &b->c->conv);
}

/* The input is that of im2col, whose result is a matrix. */
static cp_node build_col2im(bench_net *b, cp_node x) {
    return cp_net_col2im(b->net, cp_net_im2col(b->net, x, &b->c->conv), &b->c->conv, b->c->input.dim + 1);
}

/* --- where pixels go --- */

static cp_node build_pad(bench_net *b, cp_node x) {
    cp_padding padding = {0};
    memcpy(padding.before, b->c->conv.pad_before, sizeof padding.before);
    memcpy(padding.after, b->c->conv.pad_after, sizeof padding.after);
    return cp_net_pad(b->net, x, &padding);
}

static cp_node build_resize(bench_net *b, cp_node x) {
    cp_resize resize = {.interpolation = b->c->interpolation};
    memcpy(resize.size, b->c->size.dim, (size_t)b->c->axes * sizeof *resize.size);
    return cp_net_resize(b->net, x, &resize);
}

static cp_node build_depth_to_space(bench_net *b, cp_node x) {
    return cp_net_depth_to_space(b->net, x, 2, b->c->order);
}
static cp_node build_space_to_depth(bench_net *b, cp_node x) {
    return cp_net_space_to_depth(b->net, x, 2, b->c->order);
}

static cp_node build_concat(bench_net *b, cp_node x) {
    return cp_net_concat(b->net, (cp_node[]){x, constant(b, "other", b->c->input)}, 2, b->c->axis);
}

/* The second half. */
static cp_node build_slice(bench_net *b, cp_node x) {
    const int64_t half = b->c->input.dim[b->c->axis] / 2;
    return cp_net_slice(b->net, x, b->c->axis, half, half);
}

static cp_node build_transpose(bench_net *b, cp_node x) {
    return cp_net_transpose(b->net, x, NULL);
}

static cp_node build_expand(bench_net *b, cp_node x) {
    return cp_net_expand(b->net, x, b->c->size);
}

/* All rows, in another order. */
static cp_node build_gather(bench_net *b, cp_node x) {
    const int64_t rows = b->c->input.dim[b->c->axis];
    return cp_net_gather(b->net, x, integers(b, "rows", cp_shape_of(1, &rows), 7, rows), b->c->axis);
}

static cp_node build_gather_elements(bench_net *b, cp_node x) {
    const int64_t rows = b->c->input.dim[b->c->axis];
    return cp_net_gather_elements(b->net, x, integers(b, "rows", b->c->input, 7, rows), b->c->axis);
}

static cp_node build_cast(bench_net *b, cp_node x) {
    b->out_type = b->c->type;
    return cp_net_cast(b->net, x, b->c->type);
}

/* --- elements, and sums of them --- */

static cp_node build_activation(bench_net *b, cp_node x) {
#define WORD(name, identifier, word, ...) word,
    static const char *const words[] = {CP_ACTIVATIONS(WORD)};
    int i = 0;
    while (strcmp(words[i], b->c->op)) i++;
    return cp_net_activation(b->net, x, (cp_activation)i);
}

static cp_node build_dropout(bench_net *b, cp_node x) {
    return cp_net_dropout(b->net, x, 0.5f);
}

static cp_node build_softmax(bench_net *b, cp_node x) {
    return cp_net_softmax_axis(b->net, x, b->c->axis);
}

static cp_node build_log_softmax(bench_net *b, cp_node x) {
    return cp_net_log_softmax(b->net, x, b->c->axis);
}

static cp_node build_arg_max(bench_net *b, cp_node x) {
    b->out_type = CP_I64;
    return cp_net_arg_max(b->net, x, b->c->axis, false, false);
}

static cp_node build_arg_min(bench_net *b, cp_node x) {
    b->out_type = CP_I64;
    return cp_net_arg_min(b->net, x, b->c->axis, false, false);
}

/* A tenth of them. */
static cp_node build_top_k(bench_net *b, cp_node x) {
    return cp_net_top_k(b->net, x, b->c->axis, (b->c->input.dim[b->c->axis] + 9) / 10, false, NULL);
}

static cp_node one_number(bench_net *b, float number) {
    const cp_tensor scale = cp_vec(&number, 1);
    return cp_net_constant(b->net, "scale", &scale);
}

static cp_node build_quantize(bench_net *b, cp_node x) {
    b->out_type = CP_U8;
    return cp_net_quantize(b->net, x, one_number(b, 0.01f), 0, 0);
}

static cp_node build_dequantize(bench_net *b, cp_node x) {
    const cp_node scale = one_number(b, 0.01f);
    return cp_net_dequantize(b->net, cp_net_quantize(b->net, x, scale, 0, 0), scale, 0, 0);
}

static cp_node build_dynamic_quantize(bench_net *b, cp_node x) {
    b->out_type = CP_U8;
    return cp_net_dynamic_quantize(b->net, x, NULL, NULL);
}

static cp_node build_cumulative_sum(bench_net *b, cp_node x) {
    return cp_net_cumulative_sum(b->net, x, b->c->axis, false, false);
}

static cp_node build_reduce(bench_net *b, cp_node x) {
    return cp_net_reduce(b->net, x, CP_REDUCE_SUM, &b->c->axis, 1, true);
}

static cp_node build_prelu(bench_net *b, cp_node x) {
    b->w = of_channels(b, "slope");
    return cp_net_prelu_with(b->net, x, b->w);
}

#define BINARY(name)                                                                                                   \
    static cp_node build_##name(bench_net *b, cp_node x) {                                                             \
        b->w = constant_from(b, "second", b->c->input, true);                                                          \
        return cp_net_##name(b->net, x, b->w);                                                                         \
    }
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(min)
BINARY(max)
BINARY(pow)

static cp_node build_comparison(bench_net *b, cp_node x) {
    static const char *const words[] = {"equal", "less", "greater", "less-or-equal", "greater-or-equal"};
    int i = 0;
    while (strcmp(words[i], b->c->op)) i++;
    b->out_type = CP_BOOL;
    return cp_net_compare(b->net, x, constant(b, "second", b->c->input), (cp_relation)i);
}

/* Of conditions, which are whether numbers are above 0. */
static cp_node condition(bench_net *b, cp_node x) {
    const float zero = 0;
    const cp_tensor none = cp_vec(&zero, 1);
    return cp_net_compare(b->net, x, cp_net_constant(b->net, "zero", &none), CP_GREATER);
}

static cp_node build_logic(bench_net *b, cp_node x) {
    static const char *const words[] = {"and", "or", "xor"};
    int i = 0;
    while (strcmp(words[i], b->c->op)) i++;
    b->out_type = CP_BOOL;
    const cp_node first = condition(b, x), second = cp_net_not(b->net, first);
    return cp_net_compare(b->net, first, second, (cp_relation)(CP_AND + i));
}

static cp_node build_where(bench_net *b, cp_node x) {
    const cp_node other = constant(b, "other", b->c->input);
    return cp_net_where(b->net, condition(b, other), x, other);
}

/* With a square matrix. */
static cp_node build_matmul(bench_net *b, cp_node x) {
    const int64_t columns = channels_of(b->c);
    b->w = constant(b, "second", (cp_shape){2, {columns, columns}});
    return cp_net_matmul(b->net, x, b->w);
}

/* --- normalisations --- */

static cp_node build_batch_norm(bench_net *b, cp_node x) {
    b->w = of_channels(b, "scale");
    return cp_net_batch_norm_with(b->net, x, b->w, of_channels(b, "bias"), of_channels(b, "mean"),
                                  of_channels(b, "variance"), 0, 0);
}
static cp_node build_layer_norm(bench_net *b, cp_node x) {
    b->w = of_channels(b, "scale");
    return cp_net_layer_norm_with(b->net, x, b->w, of_channels(b, "bias"), 0);
}
static cp_node build_group_norm(bench_net *b, cp_node x) {
    b->w = of_channels(b, "scale");
    return cp_net_group_norm_with(b->net, x, b->w, of_channels(b, "bias"), b->c->conv.groups, 0);
}
static cp_node build_instance_norm(bench_net *b, cp_node x) {
    b->w = of_channels(b, "scale");
    return cp_net_instance_norm_with(b->net, x, b->w, of_channels(b, "bias"), 0);
}
static cp_node build_lrn(bench_net *b, cp_node x) {
    return cp_net_lrn(b->net, x, 5, 0, 0, 0);
}

/* --- losses --- */

static cp_node labels(bench_net *b) {
    return integers(b, "labels", cp_shape_of(1, b->c->input.dim), 7, channels_of(b->c));
}
static cp_node target(bench_net *b) {
    return constant_from(b, "target", b->c->input, true);
}

static cp_node build_cross_entropy(bench_net *b, cp_node x) {
    return cp_net_softmax_cross_entropy(b->net, x, labels(b));
}
static cp_node build_focal(bench_net *b, cp_node x) {
    return cp_net_focal(b->net, x, labels(b), 0);
}
static cp_node build_hinge(bench_net *b, cp_node x) {
    return cp_net_hinge(b->net, x, labels(b));
}
static cp_node build_squared_error(bench_net *b, cp_node x) {
    return cp_net_mean_squared_error(b->net, x, target(b));
}
static cp_node build_binary_cross_entropy(bench_net *b, cp_node x) {
    return cp_net_binary_cross_entropy(b->net, x, target(b));
}
static cp_node build_huber(bench_net *b, cp_node x) {
    return cp_net_huber(b->net, x, target(b), 0.5f);
}

/* --- the table --- */

static const bench_op operations[] = {{"conv", build_conv, SPACE | FILTERS | KERNEL},
                                      {"conv-transpose", build_conv_transpose, SPACE | FILTERS | KERNEL},
                                      {"deform-conv", build_deform_conv, SPACE | FILTERS | KERNEL},
                                      {"local-conv", build_local_conv, SPACE | FILTERS | KERNEL},
                                      {"dense", build_dense, FILTERS},
                                      {"conv-integer", build_conv_integer, SPACE | FILTERS | KERNEL},
                                      {"matmul-integer", build_matmul_integer, FILTERS | BYTES},
                                      {"im2col", build_im2col, SPACE | KERNEL},
                                      {"col2im", build_col2im, SPACE | KERNEL},
                                      {"max-pool", build_max_pool, SPACE | KERNEL},
                                      {"avg-pool", build_average_pool, SPACE | KERNEL},
                                      {"lp-pool", build_lp_pool, SPACE | KERNEL},
                                      {"stochastic-pool", build_stochastic_pool, SPACE | KERNEL},
                                      {"max-pool-positions", build_positions, SPACE | KERNEL},
                                      {"max-unpool", build_max_unpool, SPACE | KERNEL | SIZE},
                                      {"adaptive-max-pool", build_adaptive_max, SPACE | SIZE},
                                      {"adaptive-avg-pool", build_adaptive_average, SPACE | SIZE},
                                      {"fractional-max-pool", build_fractional_max, SPACE | SIZE},
                                      {"max-roi-pool", build_roi, SPACE | SIZE},
                                      {"roi-align", build_roi, SPACE | SIZE},
                                      {"pad", build_pad, SPACE},
                                      {"resize", build_resize, SPACE | SIZE},
                                      {"depth-to-space", build_depth_to_space, SPACE},
                                      {"space-to-depth", build_space_to_depth, SPACE},
                                      {"concat", build_concat, 0},
                                      {"slice", build_slice, 0},
                                      {"transpose", build_transpose, 0},
                                      {"expand", build_expand, 0},
                                      {"gather", build_gather, 0},
                                      {"gather-elements", build_gather_elements, 0},
                                      {"cast", build_cast, 0},
                                      {"reduce", build_reduce, 0},
                                      {"softmax", build_softmax, 0},
                                      {"log-softmax", build_log_softmax, 0},
                                      {"arg-max", build_arg_max, 0},
                                      {"arg-min", build_arg_min, 0},
                                      {"top-k", build_top_k, 0},
                                      {"cumulative-sum", build_cumulative_sum, 0},
                                      {"quantize", build_quantize, 0},
                                      {"dequantize", build_dequantize, 0},
                                      {"dynamic-quantize", build_dynamic_quantize, 0},
                                      {"dropout", build_dropout, 0},
                                      {"batch-norm", build_batch_norm, 0},
                                      {"layer-norm", build_layer_norm, 0},
                                      {"group-norm", build_group_norm, 0},
                                      {"instance-norm", build_instance_norm, 0},
                                      {"lrn", build_lrn, 0},
                                      {"prelu", build_prelu, 0},
                                      {"add", build_add, 0},
                                      {"sub", build_sub, 0},
                                      {"mul", build_mul, 0},
                                      {"div", build_div, 0},
                                      {"min", build_min, 0},
                                      {"max", build_max, 0},
                                      {"pow", build_pow, POSITIVE},
                                      {"equal", build_comparison, 0},
                                      {"less", build_comparison, 0},
                                      {"greater", build_comparison, 0},
                                      {"less-or-equal", build_comparison, 0},
                                      {"greater-or-equal", build_comparison, 0},
                                      {"and", build_logic, 0},
                                      {"or", build_logic, 0},
                                      {"xor", build_logic, 0},
                                      {"where", build_where, 0},
                                      {"matmul", build_matmul, 0},
                                      {"log", build_activation, POSITIVE},
                                      {"sqrt", build_activation, POSITIVE},
                                      {"softmax-cross-entropy", build_cross_entropy, LOSS},
                                      {"focal", build_focal, LOSS},
                                      {"hinge", build_hinge, LOSS},
                                      {"mean-squared-error", build_squared_error, LOSS},
                                      {"binary-cross-entropy", build_binary_cross_entropy, LOSS},
                                      {"huber", build_huber, LOSS},
#define ACTIVATION(name, identifier, word, ...) {word, build_activation, 0},
                                      CP_ACTIVATIONS(ACTIVATION)};

const bench_op *bench_op_find(const char *name) {
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!strcmp(operations[i].name, name)) return &operations[i];
    return NULL;
}
