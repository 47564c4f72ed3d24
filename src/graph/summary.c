/* What a net consists of, layer by layer: shapes, parameters, multiply-adds, receptive fields. */
#include "graph/graph.h"

/* How far a value sees into the picture, along each spatial axis. */
typedef struct sight {
    int axes;
    int64_t receptive[CP_MAX_AXES], jump[CP_MAX_AXES];
} sight;

static sight sight_of_input(const cp_value *v) {
    sight s = {.axes = v->shape.rank - 2};
    if (s.axes < 1 || s.axes > CP_MAX_AXES) s.axes = 0;
    for (int a = 0; a < s.axes; a++) s.receptive[a] = s.jump[a] = 1;
    return s;
}

/* For what a layer sees through kernels of any size: as much as can be counted. */
static int64_t times(int64_t a, int64_t b) {
    int64_t product;
    return cp_mul(a, b, &product) ? product : INT64_MAX;
}
static int64_t plus(int64_t a, int64_t b) {
    int64_t sum;
    return cp_sum(a, b, &sum) ? sum : INT64_MAX;
}

/* Through a window the field grows by (k-1)*dilation steps of the jump (Dumoulin and Visin 2016; Araujo et al. 2019).
 */
static sight sight_through(sight s, const cp_problem *p) {
    if (!p->window.axes) {
        if (p->out[0].rank != p->in[0].rank) s.axes = 0;
        return s;
    }
    for (int a = 0; a < s.axes; a++) {
        const cp_axis *axis = &p->window.axis[CP_MAX_AXES - p->window.axes + a];
        s.receptive[a] = plus(s.receptive[a], times(times(axis->kernel - 1, axis->dilation), s.jump[a]));
        s.jump[a] = times(s.jump[a], axis->stride);
    }
    return s;
}

static sight wider(sight a, sight b) {
    for (int i = 0; i < a.axes && i < b.axes; i++) {
        if (b.receptive[i] > a.receptive[i]) a.receptive[i] = b.receptive[i];
        if (b.jump[i] > a.jump[i]) a.jump[i] = b.jump[i];
    }
    return a;
}

/* The shapes of all values for one image; sights (may be NULL) beside them. `shapes` and `sights` have n_values + 1
 * places. */
static cp_status walk(const cp_net *net, int64_t nodes, cp_shape *shapes, sight *sights, cp_problem *last) {
    for (int64_t v = 1; v <= net->n_values; v++) {
        shapes[v] = net->values[v].shape;
        if (net->values[v].kind != CP_VALUE_COMPUTED && shapes[v].rank && !shapes[v].dim[0]) shapes[v].dim[0] = 1;
        sights[v] = net->values[v].kind == CP_VALUE_INPUT ? sight_of_input(&net->values[v]) : (sight){0};
    }
    for (int64_t i = 0; i < nodes; i++) {
        const cp_net_node *node = &net->nodes[i];
        *last = (cp_problem){.type = CP_F32};
        cp_status status = cp_net_infer(net, node, shapes, last);
        if (status) return cp_fail_within(status, "%s", node->name);
        sight s = {0};
        for (int k = 0; k < node->inputs; k++)
            if (node->in[k] && cp_net_value(net, node->in[k])->kind != CP_VALUE_PARAMETER)
                s = s.axes ? wider(s, sights[node->in[k]]) : sights[node->in[k]];
        for (int k = 0; k < node->op->outputs; k++) {
            shapes[node->out[k]] = last->out[k];
            sights[node->out[k]] = sight_through(s, last);
        }
    }
    return CP_OK;
}

int cp_net_layers(const cp_net *net) {
    return net ? (int)(net->n_inputs + net->n_nodes) : 0;
}

static void fill_sight(cp_layer *layer, const sight *s) {
    layer->axes = s->axes;
    for (int a = 0; a < CP_MAX_AXES; a++) {
        layer->receptive[a] = s->receptive[a];
        layer->jump[a] = s->jump[a];
    }
}

static int64_t value_bytes(cp_shape shape, cp_type type) {
    return cp_shape_count(shape) * cp_type_size(type);
}

cp_status cp_net_layer(const cp_net *net, int i, cp_layer *layer) {
    if (!net || !layer) return cp_fail(CP_E_ARG, "%s is NULL", net ? "layer" : "net");
    *layer = (cp_layer){0};
    if (i < 0 || i >= cp_net_layers(net))
        return cp_fail(CP_E_ARG, "layer %d: the net has layers 0 to %d", i, cp_net_layers(net) - 1);
    cp_shape *shapes = cp_alloc(NULL, (net->n_values + 1) * (int64_t)sizeof *shapes);
    sight *sights = cp_alloc(NULL, (net->n_values + 1) * (int64_t)sizeof *sights);
    cp_status status = shapes && sights ? CP_OK : CP_E_MEMORY;
    int64_t n = i - net->n_inputs; /* the node, once the inputs are passed */
    cp_problem problem = {0};
    if (!status) status = walk(net, n + 1 > 0 ? n + 1 : 0, shapes, sights, &problem);
    if (!status && n < 0) {
        const cp_value *v = &net->values[net->inputs[i]];
        *layer = (cp_layer){.name = v->name, .op = "input", .detail = "", .shape = v->shape};
        layer->bytes = value_bytes(shapes[net->inputs[i]], v->type);
        fill_sight(layer, &sights[net->inputs[i]]);
    } else if (!status) {
        const cp_net_node *node = &net->nodes[n];
        const cp_value *out = cp_net_value(net, node->out[0]);
        *layer = (cp_layer){.name = node->name, .op = node->op->name, .detail = node->detail, .shape = out->shape};
        layer->multiply_adds = problem.multiply_adds;
        layer->bytes = node->op->algos ? value_bytes(shapes[node->out[0]], out->type) : 0;
        fill_sight(layer, &sights[node->out[0]]);
        for (int k = 0; k < node->inputs; k++) {
            const cp_value *v = cp_net_value(net, node->in[k]);
            if (v && v->kind == CP_VALUE_PARAMETER) layer->parameters += cp_shape_count(v->shape);
        }
    }
    cp_free(NULL, shapes);
    cp_free(NULL, sights);
    return status;
}
