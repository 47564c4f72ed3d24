/* Batch normalisation with its running moments is a scale and a shift of each channel: the convolution or dense layer
 * before it takes both into its weights and its bias, and a ReLU behind it as well. */
#include "graph/graph.h"

#include <math.h>
#include <string.h>

static bool is_known(const cp_net *net, cp_node value) {
    const cp_value *v = cp_net_value(net, value);
    return v && (v->kind == CP_VALUE_CONSTANT || v->kind == CP_VALUE_PARAMETER);
}

/* The layer that alone reads a value, which is no output; -1 where there is no such. */
static int64_t only_reader(const cp_net *net, cp_node value) {
    int64_t reader = -1;
    int count = 0;
    for (int64_t i = 0; i < net->n_outputs; i++) count += net->outputs[i].value == value;
    for (int64_t i = 0; i < net->n_nodes; i++)
        for (int k = 0; k < net->nodes[i].inputs; k++) {
            if (net->nodes[i].in[k] != value) continue;
            reader = i;
            count++;
        }
    return count == 1 ? reader : -1;
}

static bool is_op(const cp_net *net, int64_t node, const char *name) {
    return !strcmp(net->nodes[node].op->name, name);
}

static cp_activation *activation_of(cp_net_node *node) {
    return node->op == cp_op_find("conv") ? &node->attributes.conv.activation : &node->attributes.activation;
}

/* Whether layer `at` may take over the normalisation behind it. */
static bool can_take(cp_net *net, int64_t at) {
    cp_net_node *node = &net->nodes[at];
    if (!is_op(net, at, "conv") && !is_op(net, at, "dense")) return false;
    if (*activation_of(node) != CP_LINEAR || !is_known(net, node->in[1])) return false;
    return (!node->in[2] || is_known(net, node->in[2])) && only_reader(net, node->out[0]) >= 0;
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

/* Whoever reads one value reads another from now on. */
static void replace(cp_net *net, cp_node value, cp_node by) {
    for (int64_t i = 0; i < net->n_outputs; i++)
        if (net->outputs[i].value == value) net->outputs[i].value = by;
    for (int64_t i = 0; i < net->n_nodes; i++)
        for (int k = 0; k < net->nodes[i].inputs; k++)
            if (net->nodes[i].in[k] == value) net->nodes[i].in[k] = by;
}

cp_status cp_net_fold_batch_norm(cp_net *net) {
    for (int64_t i = 0; i < net->n_nodes; i++) {
        const cp_net_node *norm = &net->nodes[i];
        const cp_value *x = cp_net_value(net, norm->in[0]);
        if (!is_op(net, i, "batch-norm") || x->kind != CP_VALUE_COMPUTED || !moments_known(net, norm)) continue;
        if (!can_take(net, x->node)) continue;
        cp_net_node *layer = &net->nodes[x->node];
        const cp_status status = scale_layer(net, layer, norm);
        if (status) return status;
        const int64_t reader = only_reader(net, norm->out[0]);
        if (reader >= 0 && is_op(net, reader, "relu")) {
            *activation_of(layer) = CP_RELU;
            replace(net, net->nodes[reader].out[0], layer->out[0]);
        }
        replace(net, norm->out[0], layer->out[0]);
    }
    return CP_OK;
}
