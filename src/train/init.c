/* Initial weights, drawn from a seed. */
#include "train/train.h"

#include <math.h>
#include <string.h>

/* How many inputs one output of a layer sees, and how many outputs see one of its inputs: fan_in = taps * channels /
 * groups, fan_out = taps * filters / groups. */
typedef struct fans {
    double in, out;
} fans;

/* The layer that a value is the weights of. */
static const cp_net_node *layer_of(const cp_net *net, cp_node weights) {
    for (int64_t i = 0; i < net->n_nodes; i++)
        if (net->nodes[i].inputs > 1 && net->nodes[i].in[1] == weights) return &net->nodes[i];
    return NULL;
}

/* What the layer that reads a parameter with one axis wants it to be: 0 for a bias. */
static float initial_of(const cp_net *net, cp_node parameter) {
    for (int64_t i = 0; i < net->n_nodes; i++)
        for (int k = 0; k < net->nodes[i].inputs; k++)
            if (net->nodes[i].in[k] == parameter) return net->nodes[i].op->initial[k];
    return 0;
}

/* The weights of a layer that gives offsets: a deformable convolution begins as a plain one. */
static bool begins_at_zero(const cp_net *net, cp_node weights) {
    const cp_net_node *layer = layer_of(net, weights);
    return layer && layer->attributes.begins_at_zero;
}

static fans fans_of(const cp_net *net, cp_node weights) {
    const cp_net_node *layer = layer_of(net, weights);
    const cp_shape shape = cp_net_shape(net, weights);
    double taps = 1;
    for (int a = 0; a < shape.rank - 2; a++) taps *= (double)shape.dim[a];
    if (layer &&
        !strcmp(layer->op->name, "local-conv")) { /* the first axis are outputs, each with weights of its own */
        for (int a = 0; a < CP_MAX_AXES; a++)
            if (layer->attributes.conv.kernel[a]) taps *= (double)layer->attributes.conv.kernel[a];
        taps /= (double)shape.dim[0];
        return (fans){.in = (double)shape.dim[1], .out = taps * (double)shape.dim[2]};
    }
    /* One axis of the shape has the channels of a single group, the other those of all groups. */
    const double single = taps * (double)shape.dim[shape.rank - 2];
    const double all = taps * (double)shape.dim[shape.rank - 1];
    const double other = all / (double)(layer ? cp_groups(&layer->attributes.conv) : 1);
    if (layer && !strcmp(layer->op->name, "conv-transpose")) return (fans){.in = other, .out = single};
    return (fans){.in = single, .out = other};
}

cp_status cp_net_initialize(cp_net *net, cp_initializer initializer, uint64_t seed) {
    if (!net) return cp_fail(CP_E_ARG, "net is NULL");
    if (net->status) return cp_fail(net->status, "%s", net->text);
    if (initializer != CP_GLOROT && initializer != CP_HE)
        return cp_fail(CP_E_ARG, "initializer = %d: must be CP_GLOROT or CP_HE", (int)initializer);
    for (int i = 0; i < cp_net_parameters(net); i++) {
        const cp_node node = cp_net_parameter_node(net, i);
        const cp_shape shape = cp_net_shape(net, node);
        void *numbers;
        const cp_status status = cp_net_numbers(net, node, &numbers);
        if (status) return status;
        const cp_random_key key = {.seed = seed, .stream = CP_STREAM_INITIAL + (uint32_t)i};
        const int64_t count = cp_shape_count(shape);
        const bool bias = shape.rank < 2, zero = begins_at_zero(net, node);
        const fans fan = bias ? (fans){1, 1} : fans_of(net, node);
        const float limit = (float)sqrt(6 / (fan.in + fan.out)), deviation = (float)sqrt(2 / fan.in);
        const float initial = initial_of(net, node);
        float *weight = numbers;
        for (int64_t e = 0; e < count; e++) {
            if (bias || zero)
                weight[e] = initial;
            else if (initializer == CP_GLOROT)
                weight[e] = limit * (2 * cp_random_uniform(&key, (uint64_t)e) - 1);
            else
                weight[e] = deviation * cp_random_normal(&key, (uint64_t)e);
        }
    }
    return CP_OK;
}
