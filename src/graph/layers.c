/* The layers that people build nets from: each adds its parameters and nodes. */
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

static cp_node add(cp_net *net, const char *op, const cp_attributes *attributes, const cp_node *in, int inputs) {
    for (int i = 0; i < inputs && i < cp_op_find(op)->min_inputs; i++)
        if (!in[i]) /* a failure is passed on */
            return cp_net_check(net)
                       ? 0
                       : cp_net_fail(net, cp_fail(CP_E_ARG, "%s: input %d is no value of this net", op, i));
    return cp_net_add_node(net, cp_op_find(op), attributes, in, inputs);
}

/* -1 is the last axis. */
static int64_t axis_of(const cp_net *net, cp_node x, int axis) {
    return axis == -1 ? cp_net_shape(net, x).rank - 1 : axis;
}

cp_node cp_net_activation_with(cp_net *net, cp_node x, cp_activation activation, float alpha, float beta) {
    if ((unsigned)activation >= CP_ACTIVATION_COUNT)
        return cp_net_fail(net, cp_fail(CP_E_ARG, "activation %d is none of CP_ACTIVATIONS", (int)activation));
    if (activation == CP_LINEAR) return x;
    return add(net, cp_activation_words[activation], &(cp_attributes){.alpha = alpha, .beta = beta}, &x, 1);
}

cp_node cp_net_activation(cp_net *net, cp_node x, cp_activation activation) {
    return cp_net_activation_with(net, x, activation, 0, 0);
}

/* Layers apply ReLU themselves; any other activation becomes a node behind them. */
static cp_activation fused(cp_activation activation) {
    return activation == CP_RELU ? CP_RELU : CP_LINEAR;
}

static cp_node add_activated(cp_net *net, const char *op, const cp_attributes *attributes, cp_activation activation,
                             cp_node x, cp_node w, cp_node b) {
    cp_node y = add(net, op, attributes, (cp_node[]){x, w, b}, b ? 3 : 2);
    return activation == CP_RELU || !y ? y : cp_net_activation(net, y, activation);
}

static cp_node conv_with(cp_net *net, const char *op, cp_node x, cp_node w, cp_node b, const cp_conv *conv) {
    static const cp_conv defaults = {0};
    cp_attributes attributes = {.conv = conv ? *conv : defaults};
    cp_activation activation = attributes.conv.activation;
    attributes.conv.activation = fused(activation);
    return add_activated(net, op, &attributes, activation, x, w, b);
}

cp_node cp_net_conv_with(cp_net *net, cp_node x, cp_node w, cp_node b, const cp_conv *conv) {
    return conv_with(net, "conv", x, w, b, conv);
}

cp_node cp_net_conv_transpose_with(cp_net *net, cp_node x, cp_node w, cp_node b, const cp_conv *conv) {
    return conv_with(net, "conv-transpose", x, w, b, conv);
}

cp_node cp_net_dense_with(cp_net *net, cp_node x, cp_node w, cp_node b, cp_activation activation) {
    return add_activated(net, "dense", &(cp_attributes){.activation = fused(activation)}, activation, x, w, b);
}

/* The name of the layer that comes next, where it was not given one. */
static void settle_name(cp_net *net, const char *op) {
    char name[64];
    int number = 1;
    if (net->next_name) return;
    for (int64_t i = 0; i < net->n_nodes; i++) number += !strcmp(net->nodes[i].op->name, op);
    snprintf(name, sizeof name, "%s%d", op, number);
    cp_net_name(net, name);
}

/* The parameter LAYER.what of the layer that comes next; the layer's name is settled by the first of them. */
static cp_node parameter(cp_net *net, const char *op, const char *what, cp_shape shape) {
    settle_name(net, op);
    if (cp_net_check(net)) return 0;
    char name[200];
    snprintf(name, sizeof name, "%.180s.%s", net->next_name, what);
    return cp_net_add_parameter(net, name, shape);
}

/* What a convolution's kernel, filters and groups must be for an input of that shape. */
static cp_status check_filters(const char *op, cp_shape x, int64_t filters, const cp_conv *conv) {
    int axes = x.rank - 2;
    int64_t groups = cp_groups(conv);
    if (axes < 1 || axes > CP_MAX_AXES)
        return cp_fail(CP_E_SHAPE, "%s: the input needs 3 to %d dimensions, has %d", op, CP_MAX_AXES + 2, x.rank);
    if (filters < 1) return cp_fail(CP_E_ARG, "%s: filters = %lld: must be at least 1", op, (long long)filters);
    if (groups < 1) return cp_fail(CP_E_ARG, "%s: groups = %lld: must be at least 1", op, (long long)groups);
    if (x.dim[axes + 1] % groups)
        return cp_fail(CP_E_SHAPE, "%s: groups = %lld does not divide %lld input channels", op, (long long)groups,
                       (long long)x.dim[axes + 1]);
    if (filters % groups)
        return cp_fail(CP_E_SHAPE, "%s: groups = %lld does not divide %lld filters", op, (long long)groups,
                       (long long)filters);
    for (int a = 0; a < axes; a++)
        if (conv->kernel[a] < 1)
            return cp_fail(CP_E_ARG, "%s: kernel[%d] = %lld: must be at least 1", op, a, (long long)conv->kernel[a]);
    return CP_OK;
}

/* A convolution with parameters of its own; weights are [kernel, C/groups, K], where transposed with C the filters. */
static cp_node add_conv(cp_net *net, const char *op, bool transposed, cp_node x, int64_t filters, const cp_conv *conv) {
    if (cp_net_check(net)) return 0;
    const cp_value *v = cp_net_value(net, x);
    if (!v) return add(net, op, &(cp_attributes){0}, (cp_node[]){0, 0}, 2);
    if (!conv) return cp_net_fail(net, cp_fail(CP_E_ARG, "a convolution needs its kernel's size"));
    cp_status status = check_filters(op, v->shape, filters, conv);
    if (status) return cp_net_fail(net, status);
    int axes = v->shape.rank - 2;
    int64_t channels = v->shape.dim[axes + 1];
    cp_shape w = {.rank = axes + 2};
    for (int a = 0; a < axes; a++) w.dim[a] = conv->kernel[a];
    w.dim[axes] = (transposed ? filters : channels) / cp_groups(conv);
    w.dim[axes + 1] = transposed ? channels : filters;
    cp_node weight = parameter(net, op, "weight", w);
    cp_node bias = parameter(net, op, "bias", cp_shape_of(1, &filters));
    return bias ? conv_with(net, op, x, weight, bias, conv) : 0;
}

cp_node cp_net_conv(cp_net *net, cp_node x, int64_t filters, const cp_conv *conv) {
    return add_conv(net, "conv", false, x, filters, conv);
}

cp_node cp_net_conv_transpose(cp_net *net, cp_node x, int64_t filters, const cp_conv *conv) {
    return add_conv(net, "conv-transpose", true, x, filters, conv);
}

cp_node cp_net_local_conv_with(cp_net *net, cp_node x, cp_node w, cp_node b, const cp_conv *conv) {
    return conv_with(net, "local-conv", x, w, b, conv);
}

cp_node cp_net_local_conv(cp_net *net, cp_node x, int64_t filters, const cp_conv *conv) {
    const char *const op = "local-conv";
    if (cp_net_check(net)) return 0;
    const cp_value *v = cp_net_value(net, x);
    if (!v) return add(net, op, &(cp_attributes){0}, (cp_node[]){0, 0}, 2);
    if (!conv) return cp_net_fail(net, cp_fail(CP_E_ARG, "a convolution needs its kernel's size"));
    cp_status status = check_filters(op, v->shape, filters, conv);
    const int axes = v->shape.rank - 2;
    cp_shape kernel = {.rank = axes + 2}, y;
    for (int a = 0; a < axes && !status; a++) kernel.dim[a] = conv->kernel[a];
    if (!status) {
        kernel.dim[axes] = v->shape.dim[axes + 1] / cp_groups(conv);
        kernel.dim[axes + 1] = filters;
        status = cp_conv_shape(&y, conv, v->shape, kernel);
    }
    if (status) return cp_net_fail(net, status);
    int64_t outputs = 1;
    for (int a = 0; a < axes; a++) outputs *= y.dim[1 + a];
    const int64_t w[] = {outputs, cp_shape_count(kernel) / filters, filters};
    const cp_node weight = parameter(net, op, "weight", cp_shape_of(3, w));
    const cp_node bias = parameter(net, op, "bias", cp_shape_of(1, &filters));
    return bias ? conv_with(net, op, x, weight, bias, conv) : 0;
}

cp_node cp_net_deform_conv_with(cp_net *net, cp_node x, cp_node w, cp_node offset, cp_node mask, cp_node b,
                                const cp_conv *conv) {
    static const cp_conv defaults = {0};
    cp_attributes attributes = {.conv = conv ? *conv : defaults};
    const cp_activation activation = attributes.conv.activation;
    attributes.conv.activation = fused(activation);
    const cp_node y = add(net, "deform-conv", &attributes, (cp_node[]){x, w, offset, b, mask}, mask ? 5 : b ? 4 : 3);
    return activation == CP_RELU || !y ? y : cp_net_activation(net, y, activation);
}

/* The offsets that a convolution with the same window gives, whose weights begin at 0; with a mask from it, too, where
 * mask is not NULL. fields: numbers of a mask, offsets of one axis. */
static cp_node add_offsets(cp_net *net, cp_node x, int axes, int64_t fields, const cp_conv *conv, cp_node *mask) {
    cp_conv regular = *conv;
    regular.groups = regular.offset_groups = 0;
    regular.activation = CP_LINEAR;
    char *name = net->next_name, own[200]; /* name: the deformable one's */
    snprintf(own, sizeof own, "%.180s.offset", name);
    net->next_name = NULL;
    cp_net_name(net, own);
    cp_node offset = cp_net_conv(net, x, fields * (axes + (mask != NULL)), &regular);
    if (offset) net->nodes[net->values[offset].node].attributes.begins_at_zero = true;
    if (offset && mask) {
        *mask = cp_net_activation(net, cp_net_slice(net, offset, -1, fields * axes, fields), CP_SIGMOID);
        offset = cp_net_slice(net, offset, -1, 0, fields * axes);
    }
    cp_free(NULL, net->next_name);
    net->next_name = name;
    return offset;
}

cp_node cp_net_deform_conv(cp_net *net, cp_node x, int64_t filters, const cp_conv *conv, bool modulated) {
    const char *const op = "deform-conv";
    if (cp_net_check(net)) return 0;
    const cp_value *v = cp_net_value(net, x);
    if (!v) return add(net, op, &(cp_attributes){0}, (cp_node[]){0, 0, 0}, 3);
    if (!conv) return cp_net_fail(net, cp_fail(CP_E_ARG, "a convolution needs its kernel's size"));
    const cp_status status = check_filters(op, v->shape, filters, conv);
    if (status) return cp_net_fail(net, status);
    const int axes = v->shape.rank - 2;
    const int64_t channels = v->shape.dim[axes + 1];
    int64_t fields = conv->offset_groups ? conv->offset_groups : 1; /* numbers of a mask, offsets of one axis */
    cp_shape w = {.rank = axes + 2};
    for (int a = 0; a < axes; a++) {
        w.dim[a] = conv->kernel[a];
        if (!cp_mul(fields, conv->kernel[a], &fields)) fields = 0;
    }
    if (fields < 1 || fields > INT32_MAX)
        return cp_net_fail(net, cp_fail(CP_E_ARG,
                                        "%s: offset_groups = %lld: must be 1 to so many that offsets can be "
                                        "counted",
                                        op, (long long)conv->offset_groups));
    w.dim[axes] = channels / cp_groups(conv);
    w.dim[axes + 1] = filters;
    settle_name(net, op);
    cp_node mask = 0;
    const cp_node offset = add_offsets(net, x, axes, fields, conv, modulated ? &mask : NULL);
    const cp_node weight = parameter(net, op, "weight", w);
    const cp_node bias = parameter(net, op, "bias", cp_shape_of(1, &filters));
    return bias ? cp_net_deform_conv_with(net, x, weight, offset, mask, bias, conv) : 0;
}

cp_node cp_net_dense(cp_net *net, cp_node x, int64_t units, cp_activation activation) {
    if (cp_net_check(net)) return 0;
    const cp_value *v = cp_net_value(net, x);
    if (!v) return add(net, "dense", &(cp_attributes){0}, (cp_node[]){0, 0}, 2);
    if (v->shape.rank != 2)
        return cp_net_fail(
            net, cp_fail(CP_E_SHAPE, "dense: the input needs 2 dimensions, has %d: flatten it first", v->shape.rank));
    if (units < 1)
        return cp_net_fail(net, cp_fail(CP_E_ARG, "dense: units = %lld: must be at least 1", (long long)units));
    cp_node weight = parameter(net, "dense", "weight", cp_shape_of(2, (int64_t[]){v->shape.dim[1], units}));
    cp_node bias = parameter(net, "dense", "bias", cp_shape_of(1, &units));
    return bias ? cp_net_dense_with(net, x, weight, bias, activation) : 0;
}

/* Padding with values of the input becomes a layer; what is left to do is a pooling without. */
static cp_node pad_for_pool(cp_net *net, cp_node x, cp_pool *pool) {
    const cp_shape shape = cp_net_shape(net, x);
    cp_attributes attributes = {.padding.values = pool->pad_values};
    cp_window window;
    if (pool->ceil_mode) return cp_net_fail(net, cp_fail(CP_E_ARG, "pad_values and ceil_mode together"));
    const cp_status status = cp_pool_window(&window, pool, shape);
    if (status) return cp_net_fail(net, status);
    for (int d = 0; d < window.axes; d++) {
        const cp_axis *a = &window.axis[CP_MAX_AXES - window.axes + d];
        attributes.padding.before[d] = a->before;
        attributes.padding.after[d] = a->after;
        pool->pad_before[d] = pool->pad_after[d] = 0;
    }
    pool->pad = CP_PAD_EXPLICIT;
    pool->pad_values = CP_PAD_CONSTANT;
    char *name = net->next_name; /* the pooling's */
    net->next_name = NULL;
    const cp_node padded = add(net, "pad", &attributes, &x, 1);
    cp_free(NULL, net->next_name);
    net->next_name = name;
    return padded;
}

/* Each layer that draws has random numbers of its own. */
static uint32_t next_stream(const cp_net *net) {
    uint32_t layer = 1;
    for (int64_t i = 0; i < net->n_nodes; i++)
        if (net->nodes[i].attributes.layer >= layer) layer = net->nodes[i].attributes.layer + 1;
    return layer;
}

cp_node cp_net_pool(cp_net *net, cp_node x, const cp_pool *pool) {
    if (!pool) return cp_net_fail(net, cp_fail(CP_E_ARG, "a pooling needs its kernel's size"));
    static const char *const windows[] = {"max-pool", "avg-pool", "lp-pool", "stochastic-pool"};
    const char *op;
    if ((unsigned)pool->kind > CP_STOCHASTIC)
        return cp_net_fail(net, cp_fail(CP_E_ARG, "pooling kind %d is none of CP_MAX, CP_AVERAGE, CP_LP, CP_STOCHASTIC",
                                        (int)pool->kind));
    if (!cp_pool_has_spans(pool))
        op = windows[pool->kind];
    else if (pool->kind > CP_AVERAGE)
        return cp_net_fail(net, cp_fail(CP_E_ARG, "output_size: %s has none", windows[pool->kind]));
    else if (pool->fractional && pool->kind == CP_AVERAGE)
        return cp_net_fail(net, cp_fail(CP_E_ARG, "fractional: avg-pool has no such windows"));
    else
        op = pool->fractional       ? "fractional-max-pool"
             : pool->kind == CP_MAX ? "adaptive-max-pool"
                                    : "adaptive-avg-pool";
    if (cp_net_check(net)) return 0;
    cp_pool valid = *pool;
    if (pool->pad_values != CP_PAD_CONSTANT && cp_net_value(net, x)) {
        x = pad_for_pool(net, x, &valid);
        pool = &valid;
    }
    const bool draws = pool->kind == CP_STOCHASTIC || pool->fractional;
    return add(net, op, &(cp_attributes){.pool = *pool, .layer = draws ? next_stream(net) : 0}, &x, 1);
}

cp_node cp_net_im2col(cp_net *net, cp_node x, const cp_conv *conv) {
    if (!conv) return cp_net_fail(net, cp_fail(CP_E_ARG, "im2col needs its kernel's size"));
    return add(net, "im2col", &(cp_attributes){.conv = *conv}, &x, 1);
}

cp_node cp_net_col2im(cp_net *net, cp_node y, const cp_conv *conv, const int64_t *size) {
    if (!conv || !size) return cp_net_fail(net, cp_fail(CP_E_ARG, "col2im needs its kernel's and its result's size"));
    cp_attributes attributes = {.conv = *conv};
    for (int d = 0; d < CP_MAX_AXES && conv->kernel[d]; d++) attributes.size[d] = size[d];
    return add(net, "col2im", &attributes, &y, 1);
}

cp_node cp_net_pad(cp_net *net, cp_node x, const cp_padding *padding) {
    if (!padding) return cp_net_fail(net, cp_fail(CP_E_ARG, "a padding needs its sizes"));
    return add(net, "pad", &(cp_attributes){.padding = *padding}, &x, 1);
}

cp_node cp_net_resize(cp_net *net, cp_node x, const cp_resize *resize) {
    if (!resize) return cp_net_fail(net, cp_fail(CP_E_ARG, "a resizing needs its size or scale"));
    return add(net, "resize", &(cp_attributes){.resize = *resize}, &x, 1);
}

cp_node cp_net_depth_to_space(cp_net *net, cp_node x, int64_t block, cp_depth_order order) {
    return add(net, "depth-to-space", &(cp_attributes){.block = block, .depth_order = order}, &x, 1);
}

cp_node cp_net_space_to_depth(cp_net *net, cp_node x, int64_t block, cp_depth_order order) {
    return add(net, "space-to-depth", &(cp_attributes){.block = block, .depth_order = order}, &x, 1);
}

cp_node cp_net_pool_positions(cp_net *net, cp_node y) {
    if (cp_net_check(net)) return 0;
    const cp_value *v = cp_net_value(net, y);
    const cp_net_node *pool = v && v->kind == CP_VALUE_COMPUTED && !v->output ? &net->nodes[v->node] : NULL;
    if (pool && pool->op->algos == cp_algos_span_max_pool) return pool->out[1];
    if (!pool || strcmp(pool->op->name, "max-pool"))
        return cp_net_fail(net, cp_fail(CP_E_ARG, "positions: value %d is no maximum of a pooling", (int)y));
    cp_attributes attributes = pool->attributes;
    const cp_shape x = cp_net_shape(net, pool->in[0]);
    for (int d = 0; d < x.rank - 2; d++) attributes.size[d] = x.dim[1 + d];
    return add(net, "max-pool-positions", &attributes, &pool->out[1], 1);
}

cp_node cp_net_max_unpool(cp_net *net, cp_node x, cp_node positions, const cp_pool *pool) {
    if (!pool) return cp_net_fail(net, cp_fail(CP_E_ARG, "an unpooling needs its kernel's or its output's size"));
    return add(net, "max-unpool", &(cp_attributes){.pool = *pool}, (cp_node[]){x, positions}, 2);
}

cp_node cp_net_pyramid_pool(cp_net *net, cp_node x, cp_pooling kind, const int64_t *levels, int n) {
    enum { MOST = 64 };
    cp_node parts[MOST] = {0};
    if (cp_net_check(net)) return 0;
    if (n < 1 || n > MOST || !levels)
        return cp_net_fail(net, cp_fail(CP_E_ARG, "pyramid: %d levels, or no list of them: must be 1 to %d", n, MOST));
    for (int l = 0; l < n; l++) {
        cp_pool pool = {.kind = kind};
        for (int d = 0; d < cp_net_shape(net, x).rank - 2 && d < CP_MAX_AXES; d++) pool.output_size[d] = levels[l];
        if (levels[l] < 1)
            return cp_net_fail(net,
                               cp_fail(CP_E_ARG, "levels[%d] = %lld: must be at least 1", l, (long long)levels[l]));
        parts[l] = cp_net_flatten(net, cp_net_pool(net, x, &pool));
    }
    return cp_net_concat(net, parts, n, 1);
}

static cp_node add_roi(cp_net *net, const char *op, cp_node x, cp_node rois, const cp_roi *roi) {
    if (!roi) return cp_net_fail(net, cp_fail(CP_E_ARG, "%s needs its output's size", op));
    return add(net, op, &(cp_attributes){.roi = *roi}, (cp_node[]){x, rois}, 2);
}

cp_node cp_net_max_roi_pool(cp_net *net, cp_node x, cp_node rois, const cp_roi *roi) {
    return add_roi(net, "max-roi-pool", x, rois, roi);
}

cp_node cp_net_roi_align(cp_net *net, cp_node x, cp_node rois, const cp_roi *roi) {
    return add_roi(net, "roi-align", x, rois, roi);
}

cp_node cp_net_flatten(cp_net *net, cp_node x) {
    return add(net, "flatten", &(cp_attributes){0}, &x, 1);
}
cp_node cp_net_softmax(cp_net *net, cp_node x) {
    return add(net, "softmax", &(cp_attributes){0}, &x, 1);
}

static cp_node add_softmax(cp_net *net, const char *op, cp_node x, int axis) {
    const int rank = cp_net_shape(net, x).rank;
    return add(net, op, &(cp_attributes){.behind = axis == -1 ? 0 : rank - 1 - axis}, &x, 1);
}

cp_node cp_net_softmax_axis(cp_net *net, cp_node x, int axis) {
    return add_softmax(net, "softmax", x, axis);
}

cp_node cp_net_log_softmax(cp_net *net, cp_node x, int axis) {
    return add_softmax(net, "log-softmax", x, axis);
}

cp_node cp_net_dropout(cp_net *net, cp_node x, float rate) {
    if (cp_net_check(net)) return 0;
    return add(net, "dropout", &(cp_attributes){.rate = rate, .layer = next_stream(net)}, &x, 1);
}

/* --- normalisation --- */

cp_node cp_net_batch_norm_with(cp_net *net, cp_node x, cp_node scale, cp_node bias, cp_node running_mean,
                               cp_node running_variance, float epsilon, float momentum) {
    return add(net, "batch-norm", &(cp_attributes){.epsilon = epsilon, .momentum = momentum},
               (cp_node[]){x, scale, bias, running_mean, running_variance}, 5);
}

cp_node cp_net_layer_norm_with(cp_net *net, cp_node x, cp_node scale, cp_node bias, float epsilon) {
    return add(net, "layer-norm", &(cp_attributes){.epsilon = epsilon}, (cp_node[]){x, scale, bias}, 3);
}

cp_node cp_net_group_norm_with(cp_net *net, cp_node x, cp_node scale, cp_node bias, int64_t groups, float epsilon) {
    return add(net, "group-norm", &(cp_attributes){.groups = groups, .epsilon = epsilon}, (cp_node[]){x, scale, bias},
               3);
}

cp_node cp_net_instance_norm_with(cp_net *net, cp_node x, cp_node scale, cp_node bias, float epsilon) {
    return add(net, "instance-norm", &(cp_attributes){.epsilon = epsilon}, (cp_node[]){x, scale, bias}, 3);
}

/* The parameters of a normalisation, `n` of them, one number for each channel of x; false after a failure. */
static bool add_norm_parameters(cp_net *net, const char *op, cp_node x, cp_node *parameters, int n) {
    static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
    const cp_value *v = cp_net_check(net) ? NULL : cp_net_value(net, x);
    if (!v || v->shape.rank < 1) {
        add(net, op, &(cp_attributes){0}, (cp_node[CP_MAX_INPUTS]){x}, cp_op_find(op)->min_inputs);
        return false;
    }
    const int64_t channels = v->shape.dim[v->shape.rank - 1];
    for (int i = 0; i < n; i++)
        if (!(parameters[i] = parameter(net, op, names[i], cp_shape_of(1, &channels)))) return false;
    return true;
}

cp_node cp_net_batch_norm(cp_net *net, cp_node x, float epsilon, float momentum) {
    cp_node p[4];
    if (!add_norm_parameters(net, "batch-norm", x, p, 4)) return 0;
    return cp_net_batch_norm_with(net, x, p[0], p[1], p[2], p[3], epsilon, momentum);
}

cp_node cp_net_layer_norm(cp_net *net, cp_node x, float epsilon) {
    cp_node p[2];
    return add_norm_parameters(net, "layer-norm", x, p, 2) ? cp_net_layer_norm_with(net, x, p[0], p[1], epsilon) : 0;
}

cp_node cp_net_group_norm(cp_net *net, cp_node x, int64_t groups, float epsilon) {
    cp_node p[2];
    if (!add_norm_parameters(net, "group-norm", x, p, 2)) return 0;
    return cp_net_group_norm_with(net, x, p[0], p[1], groups, epsilon);
}

cp_node cp_net_instance_norm(cp_net *net, cp_node x, float epsilon) {
    cp_node p[2];
    if (!add_norm_parameters(net, "instance-norm", x, p, 2)) return 0;
    return cp_net_instance_norm_with(net, x, p[0], p[1], epsilon);
}

cp_node cp_net_lrn(cp_net *net, cp_node x, int64_t size, float alpha, float beta, float bias) {
    return add(net, "lrn", &(cp_attributes){.count = size, .alpha = alpha, .beta = beta, .bias = bias}, &x, 1);
}

/* --- elements, axes --- */

#define BINARY(builder, op)                                                                                            \
    cp_node builder(cp_net *net, cp_node a, cp_node b) {                                                               \
        return add(net, op, &(cp_attributes){0}, (cp_node[]){a, b}, 2);                                                \
    }
BINARY(cp_net_add, "add")
BINARY(cp_net_sub, "sub")
BINARY(cp_net_mul, "mul")
BINARY(cp_net_div, "div")
BINARY(cp_net_min, "min")
BINARY(cp_net_max, "max")
BINARY(cp_net_pow, "pow")
BINARY(cp_net_prelu_with, "prelu")

cp_node cp_net_compare(cp_net *net, cp_node a, cp_node b, cp_relation relation) {
#define WORD(value, id, word) word,
    static const char *const words[] = {CP_RELATIONS(WORD)};
#undef WORD
    if ((unsigned)relation > CP_XOR)
        return cp_net_fail(net, cp_fail(CP_E_ARG, "relation %d: there is no such", (int)relation));
    return add(net, words[relation], &(cp_attributes){0}, (cp_node[]){a, b}, 2);
}

/* Unlike what is true. */
cp_node cp_net_not(cp_net *net, cp_node x) {
    if (!x) return cp_net_compare(net, 0, 0, CP_XOR);
    const cp_tensor one = cp_view(&(uint8_t){1}, CP_BOOL, (cp_shape){.rank = 0});
    return cp_net_compare(net, x, cp_net_constant(net, "true", &one), CP_XOR);
}

cp_node cp_net_where(cp_net *net, cp_node condition, cp_node a, cp_node b) {
    return add(net, "where", &(cp_attributes){0}, (cp_node[]){condition, a, b}, 3);
}

cp_node cp_net_prelu(cp_net *net, cp_node x) {
    const cp_value *v = cp_net_check(net) ? NULL : cp_net_value(net, x);
    if (!v) return add(net, "prelu", &(cp_attributes){0}, (cp_node[]){0, 0}, 2);
    if (v->shape.rank < 1) return cp_net_fail(net, cp_fail(CP_E_SHAPE, "prelu: the input has no channels"));
    return cp_net_prelu_with(net, x,
                             parameter(net, "prelu", "weight", cp_shape_of(1, &v->shape.dim[v->shape.rank - 1])));
}

cp_node cp_net_reduce(cp_net *net, cp_node x, cp_reduction reduction, const int *axes, int n, bool keep) {
    cp_attributes attributes = {.reduction = reduction, .axes.rank = n, .keep = keep};
    if (n < 0 || n > CP_MAX_RANK || (n && !axes))
        return cp_net_fail(net, cp_fail(CP_E_ARG, "reduce: %d axes, or no list of them", n));
    for (int i = 0; i < n; i++) attributes.axes.dim[i] = axes[i];
    return add(net, "reduce", &attributes, &x, 1);
}

static cp_node add_arg(cp_net *net, const char *op, cp_node x, int axis, bool keep, bool last) {
    return add(net, op, &(cp_attributes){.axis = axis_of(net, x, axis), .keep = keep, .last = last}, &x, 1);
}

cp_node cp_net_arg_max(cp_net *net, cp_node x, int axis, bool keep, bool last) {
    return add_arg(net, "arg-max", x, axis, keep, last);
}

cp_node cp_net_arg_min(cp_net *net, cp_node x, int axis, bool keep, bool last) {
    return add_arg(net, "arg-min", x, axis, keep, last);
}

cp_node cp_net_top_k(cp_net *net, cp_node x, int axis, int64_t k, bool smallest, cp_node *indices) {
    const cp_attributes attributes = {.axis = axis_of(net, x, axis), .count = k, .smallest = smallest};
    const cp_node y = add(net, "top-k", &attributes, &x, 1);
    if (indices) *indices = y ? net->nodes[net->values[y].node].out[1] : 0;
    return y;
}

cp_node cp_net_cumulative_sum(cp_net *net, cp_node x, int axis, bool exclusive, bool reverse) {
    const cp_attributes attributes = {.axis = axis_of(net, x, axis), .exclusive = exclusive, .reverse = reverse};
    return add(net, "cumulative-sum", &attributes, &x, 1);
}

cp_node cp_net_quantize(cp_net *net, cp_node x, cp_node scale, cp_node zero, int axis) {
    return add(net, "quantize", &(cp_attributes){.axis = axis_of(net, x, axis)}, (cp_node[]){x, scale, zero},
               zero ? 3 : 2);
}

cp_node cp_net_dequantize(cp_net *net, cp_node y, cp_node scale, cp_node zero, int axis) {
    return add(net, "dequantize", &(cp_attributes){.axis = axis_of(net, y, axis)}, (cp_node[]){y, scale, zero},
               zero ? 3 : 2);
}

cp_node cp_net_dynamic_quantize(cp_net *net, cp_node x, cp_node *scale, cp_node *zero) {
    const cp_node y = add(net, "dynamic-quantize", &(cp_attributes){0}, &x, 1);
    const cp_node *out = y ? net->nodes[net->values[y].node].out : NULL;
    if (scale) *scale = out ? out[1] : 0;
    if (zero) *zero = out ? out[2] : 0;
    return y;
}

/* --- what moves numbers --- */

cp_node cp_net_reshape(cp_net *net, cp_node x, cp_shape shape) {
    return add(net, "reshape", &(cp_attributes){.shape = shape}, &x, 1);
}

/* A view that a layer is built from: the name that was asked for stays for the layer. An open batch, 0 in front, is
 * what is left. */
static cp_node view(cp_net *net, cp_node x, cp_shape shape) {
    if (cp_net_check(net) || cp_shape_same(cp_net_shape(net, x), shape)) return x;
    char *name = net->next_name;
    net->next_name = NULL;
    if (shape.rank && shape.dim[0] == 0) shape.dim[0] = -1;
    const cp_node y = cp_net_reshape(net, x, shape);
    cp_free(NULL, net->next_name);
    net->next_name = name;
    return y;
}

cp_node cp_net_transpose(cp_net *net, cp_node x, const int *order) {
    const int rank = cp_net_shape(net, x).rank;
    cp_attributes attributes = {.axes.rank = rank};
    for (int d = 0; d < rank; d++) attributes.axes.dim[d] = order ? order[d] : rank - 1 - d;
    return add(net, "transpose", &attributes, &x, 1);
}

cp_node cp_net_expand(cp_net *net, cp_node x, cp_shape shape) {
    const cp_shape from = cp_net_shape(net, x);
    if (shape.rank < 0 || shape.rank > CP_MAX_RANK)
        return cp_net_fail(
            net, cp_fail(CP_E_SHAPE, "expand: shape has %d dimensions: must be 0 to %d", shape.rank, CP_MAX_RANK));
    cp_shape to = from.rank > shape.rank ? from : shape;
    for (int d = 1; d <= from.rank && d <= shape.rank; d++)
        if (shape.dim[shape.rank - d] == 1) to.dim[to.rank - d] = from.dim[from.rank - d];
    return add(net, "expand", &(cp_attributes){.shape = to}, &x, 1);
}

/* The product of the sizes of the axes from first to last - 1; of an open batch 0. */
static int64_t product(cp_shape shape, int first, int last) {
    int64_t count = 1;
    for (int d = first; d < last; d++) count *= shape.dim[d];
    return count;
}

/* Axis by axis, from the last one on: [outer, 1, inner] is expanded to [outer, repeats, inner]. */
cp_node cp_net_tile(cp_net *net, cp_node x, const int64_t *repeats) {
    if (cp_net_check(net)) return 0;
    if (!repeats) return cp_net_fail(net, cp_fail(CP_E_ARG, "tile: no list of repeats"));
    cp_shape shape = cp_net_shape(net, x);
    for (int d = shape.rank - 1; d >= 0 && x; d--) {
        if (repeats[d] < 1)
            return cp_net_fail(
                net, cp_fail(CP_E_ARG, "tile: repeats[%d] = %lld: must be at least 1", d, (long long)repeats[d]));
        if (repeats[d] == 1) continue;
        if (shape.dim[d] == 0) return cp_net_fail(net, cp_fail(CP_E_SHAPE, "tile: the batch is not known"));
        const int64_t outer = product(shape, 0, d), inner = product(shape, d, shape.rank);
        x = view(net, x, cp_shape_of(3, (int64_t[]){outer, 1, inner}));
        x = cp_net_expand(net, x, cp_shape_of(3, (int64_t[]){outer, repeats[d], inner}));
        if (!cp_mul(shape.dim[d], repeats[d], &shape.dim[d]))
            return cp_net_fail(net, cp_fail(CP_E_SHAPE, "tile: axis %d overflows", d));
        x = view(net, x, shape);
    }
    return x;
}

/* A constant zero point that is 0 everywhere. */
static bool is_zero(const cp_net *net, cp_node value) {
    const cp_value *v = cp_net_value(net, value);
    void *bytes;
    if (!v || v->kind != CP_VALUE_CONSTANT || cp_type_size(v->type) != 1 || cp_net_numbers(net, value, &bytes))
        return false;
    for (int64_t i = 0; i < cp_shape_count(v->shape); i++)
        if (((const uint8_t *)bytes)[i]) return false;
    return true;
}

/* in: x w b x_zero w_zero scale y_zero. Zero points of x and w that say nothing are left out: without one of w the
 * products are faster. */
static cp_node add_integer(cp_net *net, const char *op, const cp_attributes *attributes, cp_node *in, int inputs) {
    for (int i = 3; i < 5; i++)
        if (is_zero(net, in[i])) in[i] = 0;
    return add(net, op, attributes, in, inputs);
}

cp_node cp_net_conv_integer(cp_net *net, cp_node x, cp_node w, cp_node x_zero, cp_node w_zero, const cp_conv *conv) {
    cp_attributes attributes = {0};
    if (conv) attributes.conv = *conv;
    return add_integer(net, "conv-integer", &attributes, (cp_node[]){x, w, 0, x_zero, w_zero}, 5);
}

cp_node cp_net_matmul_integer(cp_net *net, cp_node x, cp_node w, cp_node x_zero, cp_node w_zero) {
    return add_integer(net, "matmul-integer", &(cp_attributes){0}, (cp_node[]){x, w, 0, x_zero, w_zero}, 5);
}

static cp_node add_quantised(cp_net *net, const char *op, const cp_attributes *attributes, const cp_quantised *x,
                             const cp_quantised *w, cp_node b, const cp_quantised *y) {
    if (!x || !w || !y) return cp_net_fail(net, cp_fail(CP_E_ARG, "%s: %s is NULL", op, !x ? "x" : !w ? "w" : "y"));
    const cp_node scale = cp_net_div(net, cp_net_mul(net, x->scale, w->scale), y->scale);
    if (!scale) return 0;
    return add_integer(net, op, attributes, (cp_node[]){x->value, w->value, b, x->zero, w->zero, scale, y->zero}, 7);
}

cp_node cp_net_qlinear_conv(cp_net *net, const cp_quantised *x, const cp_quantised *w, cp_node b, const cp_quantised *y,
                            const cp_conv *conv) {
    cp_attributes attributes = {0};
    if (conv) attributes.conv = *conv;
    return add_quantised(net, "conv-integer", &attributes, x, w, b, y);
}

cp_node cp_net_qlinear_matmul(cp_net *net, const cp_quantised *x, const cp_quantised *w, const cp_quantised *y) {
    return add_quantised(net, "matmul-integer", &(cp_attributes){0}, x, w, 0, y);
}

/* A vector becomes a matrix. One second matrix multiplies the rows of all first ones at once, as a dense layer. */
cp_node cp_net_matmul(cp_net *net, cp_node a, cp_node b) {
    if (cp_net_check(net)) return 0;
    const cp_value *first = cp_net_value(net, a), *second = cp_net_value(net, b);
    if (!first || !second || first->shape.rank == 0 || second->shape.rank == 0)
        return add(net, "matmul", &(cp_attributes){0}, (cp_node[]){a, b}, 2);
    const cp_shape of_a = first->shape, of_b = second->shape;
    const bool one_row = of_a.rank == 1, one_column = of_b.rank == 1, real = first->type == CP_F32;
    if (one_row) a = view(net, a, cp_shape_of(2, (int64_t[]){1, of_a.dim[0]}));
    if (one_column) b = view(net, b, cp_shape_of(2, (int64_t[]){of_b.dim[0], 1}));
    if (!a || !b) return 0;
    const cp_shape rows = cp_net_shape(net, a);
    cp_shape y;
    if (cp_net_shape(net, b).rank == 2 && real && second->type == CP_F32) {
        const int64_t columns = rows.dim[rows.rank - 1];
        a = view(net, a, cp_shape_of(2, (int64_t[]){product(rows, 0, rows.rank - 1), columns}));
        a = cp_net_dense_with(net, a, b, 0, CP_LINEAR);
        y = rows;
        y.dim[y.rank - 1] = cp_net_shape(net, b).dim[1];
    } else {
        a = add(net, "matmul", &(cp_attributes){0}, (cp_node[]){a, b}, 2);
        y = cp_net_shape(net, a);
    }
    if (!a) return 0;
    if (one_row) y.dim[y.rank - 2] = y.dim[y.rank - 1];
    if (one_row || one_column) y.rank--;
    if (one_row && one_column) y.rank--;
    return view(net, a, y);
}

/* What pads cut off. */
static cp_node crop_axes(cp_net *net, cp_node x, const int64_t *before, const int64_t *after) {
    const cp_shape shape = cp_net_shape(net, x);
    for (int d = 0; d < shape.rank; d++) {
        const int64_t begin = before[d] < 0 ? before[d] : 0, end = after[d] < 0 ? after[d] : 0;
        if (begin == INT64_MIN || end == INT64_MIN)
            return cp_net_fail(net, cp_fail(CP_E_ARG, "pad: axis %d has not so many to cut off", d));
        if (begin || end) x = cp_net_slice(net, x, d, -begin, shape.dim[d] + begin + end);
    }
    return x;
}

/* Up to CP_MAX_AXES neighbouring axes at once, as the space between all before and all behind them. */
cp_node cp_net_pad_axes(cp_net *net, cp_node x, const int64_t *before, const int64_t *after, cp_pad_values values,
                        float constant) {
    if (cp_net_check(net)) return 0;
    if (!before || !after) return cp_net_fail(net, cp_fail(CP_E_ARG, "pad: no lists of the sides"));
    x = crop_axes(net, x, before, after);
    cp_shape shape = cp_net_shape(net, x);
    for (int d = 0; d < shape.rank && x; d++) {
        if (before[d] <= 0 && after[d] <= 0) continue;
        int end = d + CP_MAX_AXES < shape.rank ? d + CP_MAX_AXES : shape.rank;
        while (before[end - 1] <= 0 && after[end - 1] <= 0) end--;
        cp_shape planes = {.rank = end - d + 2, .dim = {product(shape, 0, d)}};
        cp_padding padding = {.values = values, .constant = constant};
        planes.dim[planes.rank - 1] = product(shape, end, shape.rank);
        for (int i = 0; d + i < end; i++) {
            planes.dim[1 + i] = shape.dim[d + i];
            padding.before[i] = before[d + i] > 0 ? before[d + i] : 0;
            padding.after[i] = after[d + i] > 0 ? after[d + i] : 0;
        }
        x = cp_net_pad(net, view(net, x, planes), &padding);
        for (int i = 0; d + i < end; i++) shape.dim[d + i] = cp_net_shape(net, x).dim[1 + i];
        x = view(net, x, shape);
        d = end - 1;
    }
    return x;
}

cp_node cp_net_gather(cp_net *net, cp_node x, cp_node indices, int axis) {
    return add(net, "gather", &(cp_attributes){.axis = axis}, (cp_node[]){x, indices}, 2);
}

cp_node cp_net_gather_elements(cp_net *net, cp_node x, cp_node indices, int axis) {
    return add(net, "gather-elements", &(cp_attributes){.axis = axis}, (cp_node[]){x, indices}, 2);
}

cp_node cp_net_cast(cp_net *net, cp_node x, cp_type type) {
    return add(net, "cast", &(cp_attributes){.type = type}, &x, 1);
}

/* As many at once as an operation takes. */
cp_node cp_net_concat(cp_net *net, const cp_node *values, int n, int axis) {
    if (n < 1 || !values) return cp_net_fail(net, cp_fail(CP_E_ARG, "concat: %d values, or no list of them", n));
    cp_node y = values[0];
    for (int done = 1; done < n && y;) {
        cp_node in[CP_MAX_INPUTS] = {y};
        int inputs = 1;
        while (inputs < CP_MAX_INPUTS && done < n) in[inputs++] = values[done++];
        for (int i = 0; i < inputs; i++)
            if (!in[i]) return add(net, "concat", &(cp_attributes){0}, (cp_node[]){0}, 1);
        y = add(net, "concat", &(cp_attributes){.axis = axis_of(net, y, axis)}, in, inputs);
    }
    return y;
}

cp_node cp_net_slice_step(cp_net *net, cp_node x, int axis, int64_t begin, int64_t count, int64_t step) {
    if (step == 0) return cp_net_fail(net, cp_fail(CP_E_ARG, "slice: step = 0: must lead somewhere"));
    const cp_attributes attributes = {
        .axis = axis_of(net, x, axis), .begin = begin, .count = count, .step = step == 1 ? 0 : step};
    return add(net, "slice", &attributes, &x, 1);
}

cp_node cp_net_slice(cp_net *net, cp_node x, int axis, int64_t begin, int64_t count) {
    return cp_net_slice_step(net, x, axis, begin, count, 1);
}

cp_status cp_net_split(cp_net *net, cp_node x, int axis, const int64_t *sizes, int n, cp_node *parts) {
    cp_status status = cp_net_check(net);
    if (!status && (n < 1 || !sizes || !parts)) status = cp_fail(CP_E_ARG, "split: %d parts, or no lists of them", n);
    int64_t begin = 0;
    for (int i = 0; i < n && !status; i++) {
        parts[i] = cp_net_slice(net, x, axis, begin, sizes[i]);
        if (parts[i])
            begin += sizes[i];
        else
            status = net->status;
    }
    const int64_t whole = status ? 0 : cp_net_shape(net, x).dim[axis_of(net, x, axis)];
    if (!status && begin != whole)
        status = cp_fail(CP_E_SHAPE, "split: the parts have %lld rows together, the axis has %lld", (long long)begin,
                         (long long)whole);
    if (!status) return CP_OK;
    cp_net_fail(net, status);
    for (int i = 0; i < n && parts; i++) parts[i] = 0;
    return status;
}

cp_node cp_net_softmax_cross_entropy(cp_net *net, cp_node logits, cp_node labels) {
    return add(net, "softmax-cross-entropy", &(cp_attributes){0}, (cp_node[]){logits, labels}, 2);
}

cp_node cp_net_softmax_cross_entropy_with(cp_net *net, cp_node logits, cp_node labels, cp_node weights,
                                          float smoothing) {
    const cp_node in[] = {logits, labels, weights};
    return add(net, "softmax-cross-entropy", &(cp_attributes){.alpha = smoothing}, in, weights ? 3 : 2);
}

cp_node cp_net_binary_cross_entropy(cp_net *net, cp_node logits, cp_node target) {
    return add(net, "binary-cross-entropy", &(cp_attributes){0}, (cp_node[]){logits, target}, 2);
}

cp_node cp_net_focal(cp_net *net, cp_node logits, cp_node labels, float gamma) {
    return add(net, "focal", &(cp_attributes){.alpha = gamma}, (cp_node[]){logits, labels}, 2);
}

cp_node cp_net_hinge(cp_net *net, cp_node scores, cp_node labels) {
    return add(net, "hinge", &(cp_attributes){0}, (cp_node[]){scores, labels}, 2);
}

cp_node cp_net_huber(cp_net *net, cp_node y, cp_node target, float delta) {
    return add(net, "huber", &(cp_attributes){.alpha = delta}, (cp_node[]){y, target}, 2);
}

cp_node cp_net_mean_squared_error(cp_net *net, cp_node y, cp_node target) {
    return add(net, "mean-squared-error", &(cp_attributes){0}, (cp_node[]){y, target}, 2);
}
