/* Layers that take over what stands behind them: a ReLU; batch normalisation with its running moments, which is a scale
 * and a shift of each channel, so that the layer's weights and bias can have both. */
#include "graph/graph.h"

#include <math.h>
#include <string.h>

static bool is_known(const cp_net *net, cp_node value) {
    const cp_value *v = cp_net_value(net, value);
    return v && (v->kind == CP_VALUE_CONSTANT || v->kind == CP_VALUE_PARAMETER);
}

/* What changes hands: how many read each value, and the value that stands for it now (0: itself). */
typedef struct fusing {
    cp_net *net;
    int32_t *readers;
    cp_node *by;
} fusing;

static cp_activation *activation_of(cp_net_node *node) {
    return node->op == &cp_op_conv ? &node->attributes.conv.activation : &node->attributes.activation;
}

/* The layer whose output only this reads, if it has weights and no activation yet; else NULL. */
static cp_net_node *layer_before(const fusing *f, cp_node value) {
    const cp_value *v = cp_net_value(f->net, value);
    if (!v || v->kind != CP_VALUE_COMPUTED || v->output || f->readers[value] != 1) return NULL;
    cp_net_node *layer = &f->net->nodes[v->node];
    if ((layer->op != &cp_op_conv && layer->op != &cp_op_dense) || *activation_of(layer) != CP_LINEAR) return NULL;
    return layer;
}

static bool moments_known(const cp_net *net, const cp_net_node *norm) {
    for (int k = 1; k < 5; k++)
        if (!is_known(net, norm->in[k])) return false;
    return true;
}

/* A copy of a weight matrix [..., filters] with each filter scaled, and the bias that belongs to it; as constants. */
static cp_status scale_layer(cp_net *net, cp_net_node *layer, const cp_net_node *norm) {
    void *in_numbers[5] = {0}, *weight_numbers, *bias_numbers = NULL;
    cp_status status = cp_net_numbers(net, layer->in[1], &weight_numbers);
    if (!status && layer->in[2]) status = cp_net_numbers(net, layer->in[2], &bias_numbers);
    for (int k = 1; k < 5 && !status; k++) status = cp_net_numbers(net, norm->in[k], &in_numbers[k]);
    if (status) return status;
    const float *weight = weight_numbers, *bias = bias_numbers, *in[5];
    for (int k = 1; k < 5; k++) in[k] = in_numbers[k];
    const cp_shape shape = cp_net_shape(net, layer->in[1]);
    const int64_t filters = shape.dim[shape.rank - 1], count = cp_shape_count(shape);
    const double epsilon = norm->attributes.epsilon == 0 ? 1e-5 : (double)norm->attributes.epsilon;
    float *scaled = cp_alloc(NULL, count * (int64_t)sizeof *scaled);
    float *shifted = cp_alloc(NULL, filters * (int64_t)sizeof *shifted);
    status = scaled && shifted ? CP_OK : CP_E_MEMORY;
    for (int64_t k = 0; k < filters && !status; k++) {
        const double factor = (double)in[1][k] / sqrt((double)in[4][k] + epsilon);
        for (int64_t e = k; e < count; e += filters) scaled[e] = (float)(factor * (double)weight[e]);
        shifted[k] = (float)(((bias ? (double)bias[k] : 0) - (double)in[3][k]) * factor + (double)in[2][k]);
    }
    if (!status) {
        const cp_tensor new_weight = cp_view(scaled, CP_F32, shape);
        const cp_tensor new_bias = cp_view(shifted, CP_F32, cp_shape_of(1, &filters));
        layer->in[1] = cp_net_constant(net, "folded weight", &new_weight);
        layer->in[2] = cp_net_constant(net, "folded bias", &new_bias);
        layer->inputs = 3;
        status = net->status;
    }
    cp_free(NULL, scaled);
    cp_free(NULL, shifted);
    return status;
}

/* The layer's output is what the node behind it gave. */
static void take_over(fusing *f, const cp_net_node *node) {
    f->by[node->out[0]] = node->in[0];
    f->readers[node->in[0]] = f->readers[node->out[0]];
}

static cp_status fuse_node(fusing *f, int64_t i, bool batch_norm) {
    const cp_net_node node = f->net->nodes[i];
    cp_net_node *layer = layer_before(f, node.in[0]);
    if (!layer) return CP_OK;
    if (node.op == &cp_op_relu) {
        *activation_of(layer) = CP_RELU;
        take_over(f, &node);
    } else if (batch_norm && node.op == &cp_op_batch_norm && moments_known(f->net, &node) &&
               is_known(f->net, layer->in[1]) && (!layer->in[2] || is_known(f->net, layer->in[2]))) {
        const cp_status status = scale_layer(f->net, layer, &node);
        if (status) return status;
        take_over(f, &node);
    }
    return CP_OK;
}

static void count_readers(fusing *f) {
    const cp_net *net = f->net;
    for (int64_t i = 0; i < net->n_outputs; i++) f->readers[net->outputs[i].value]++;
    for (int64_t i = 0; i < net->n_nodes; i++)
        for (int k = 0; k < net->nodes[i].inputs; k++) f->readers[net->nodes[i].in[k]]++;
}

/* One pass in the order of computation: whoever reads has seen what stands for what it reads. */
cp_status cp_net_fuse(cp_net *net, bool batch_norm) {
    fusing f = {.net = net};
    const int64_t n = net->n_values + 1; /* constants that come to it are read by nobody who is asked here */
    f.readers = cp_zalloc(NULL, n * (int64_t)sizeof *f.readers);
    f.by = cp_zalloc(NULL, n * (int64_t)sizeof *f.by);
    cp_status status = f.readers && f.by ? CP_OK : CP_E_MEMORY;
    if (!status) count_readers(&f);
    for (int64_t i = 0; i < net->n_nodes && !status; i++) {
        cp_net_node *node = &net->nodes[i];
        for (int k = 0; k < node->inputs; k++)
            if (node->in[k] < n && f.by[node->in[k]]) node->in[k] = f.by[node->in[k]];
        status = fuse_node(&f, i, batch_norm);
    }
    for (int64_t i = 0; i < net->n_outputs && !status; i++)
        if (f.by[net->outputs[i].value]) net->outputs[i].value = f.by[net->outputs[i].value];
    cp_free(NULL, f.readers);
    cp_free(NULL, f.by);
    return status;
}
