/* Reverse mode over the graph (Linnainmaa 1970): nodes that compute gradients, added behind the nodes they belong to.
 */
#include <string.h>

#include "graph/graph.h"

/* Where gradients are added: they are called as the layer that they belong to. */
typedef struct place {
    cp_net *net;
    const char *layer;
} place;

static cp_node add_node(void *at, const char *op, const cp_attributes *attributes, const cp_node *in, int inputs) {
    const place *p = at;
    cp_net_name(p->net, p->layer);
    return cp_net_add_node(p->net, cp_op_find(op), attributes, in, inputs);
}

static cp_shape shape_of(void *at, cp_node value) {
    return cp_net_shape(((const place *)at)->net, value);
}

static const cp_net_node *producer(const cp_net *net, cp_node value) {
    const cp_value *v = cp_net_value(net, value);
    return v && v->kind == CP_VALUE_COMPUTED ? &net->nodes[v->node] : NULL;
}

/* ReLU and the maximum commute, so behind y = relu(..) that is pooled to p, the gradient that max-pool-gradient spreads
 * over y may be cut where p <= 0 before it is spread, at a fraction of the size: with d the gradient of p,
 *   relu-gradient(y, max-pool-gradient(d, index)) = max-pool-gradient(relu-gradient(p, d), index).
 * The value that replaces dy, or dy itself where that shape is not found; *done tells which. */
static cp_node cut_before_pool(place at, cp_node y, cp_node dy, bool *done) {
    cp_net *net = at.net;
    *done = false;
    const cp_net_node *spread = producer(net, dy);
    if (!spread || strcmp(spread->op->name, "max-pool-gradient")) return dy;
    const cp_net_node *pool = producer(net, spread->in[1]);
    if (!pool || strcmp(pool->op->name, "max-pool") || pool->in[0] != y) return dy;
    cp_attributes attributes = spread->attributes;
    cp_node d = spread->in[0], index = spread->in[1], p = pool->out[0];
    place pooled = {net, spread->name};
    *done = true;
    cp_node cut = add_node(&at, "relu-gradient", &(cp_attributes){.activation = CP_RELU}, (cp_node[]){p, d}, 2);
    return add_node(&pooled, "max-pool-gradient", &attributes, (cp_node[]){cut, index}, 2);
}

/* What leads from any of wrt to a value: needs[value]. */
static void mark(const cp_net *net, const cp_node *wrt, int n, int64_t nodes, bool *needs) {
    for (int i = 0; i < n; i++) needs[wrt[i]] = true;
    needs[0] = false;
    for (int64_t i = 0; i < nodes; i++)
        for (int k = 0; k < net->nodes[i].inputs; k++)
            if (needs[net->nodes[i].in[k]])
                for (int o = 0; o < net->nodes[i].op->outputs; o++) needs[net->nodes[i].out[o]] = true;
}

/* Adds the gradient of a node's inputs to what is known of them. */
static void backward(cp_net *net, int64_t i, const bool *needs, cp_node *gradient) {
    cp_net_node node = net->nodes[i]; /* a copy: the array grows below */
    bool wanted[CP_MAX_INPUTS] = {0}, any = false;
    cp_node dout[CP_MAX_OUTPUTS] = {0};
    for (int k = 0; k < node.inputs; k++) any |= wanted[k] = node.in[k] && needs[node.in[k]];
    for (int k = 0; k < node.op->outputs; k++) dout[k] = gradient[node.out[k]];
    if (!any || !dout[0]) return;
    if (!node.op->backward) {
        cp_net_fail(net, cp_fail(CP_E_UNSUPPORTED, "%s (%s) has no gradient", node.name, node.op->name));
        return;
    }
    place at = {net, node.name};
    cp_attributes attributes = node.attributes;
    if (attributes.conv.activation == CP_RELU) {
        bool done;
        dout[0] = cut_before_pool(at, node.out[0], dout[0], &done);
        if (done) attributes.conv.activation = CP_LINEAR;
    }
    cp_backward b = {.attributes = &attributes,
                     .in = node.in,
                     .out = node.out,
                     .dout = dout,
                     .wanted = wanted,
                     .net = &at,
                     .node = add_node,
                     .shape = shape_of};
    node.op->backward(&b);
    for (int k = 0; k < node.inputs && !net->status; k++) {
        if (!wanted[k] || !b.din[k]) continue;
        cp_node *sum = &gradient[node.in[k]];
        *sum = *sum ? cp_net_add(net, *sum, b.din[k]) : b.din[k];
    }
}

static cp_status check(const cp_net *net, cp_node y, cp_node dy, const cp_node *wrt, int n) {
    cp_status status = cp_net_check(net);
    if (status) return status;
    for (int i = 0; i < n; i++)
        if (wrt[i] && !cp_net_value(net, wrt[i]))
            return cp_fail(CP_E_ARG, "gradients: wrt[%d] = %d is no value of this net", i, (int)wrt[i]);
    const cp_value *v = cp_net_value(net, y), *d = cp_net_value(net, dy);
    if (!v || v->type != CP_F32) return cp_fail(CP_E_ARG, "gradients: y is no f32 value of this net");
    if (dy && (!d || d->type != CP_F32)) return cp_fail(CP_E_ARG, "gradients: dy is no f32 value of this net");
    if (!d && cp_shape_count(v->shape) != 1) return cp_fail(CP_E_ARG, "gradients: without dy, y must be a scalar");
    char a[CP_SHAPE_TEXT], b[CP_SHAPE_TEXT];
    if (d && !cp_shape_same(v->shape, d->shape))
        return cp_fail(CP_E_SHAPE, "gradient is %s, output is %s", cp_shape_text(d->shape, a),
                       cp_shape_text(v->shape, b));
    return CP_OK;
}

cp_status cp_net_gradients(cp_net *net, cp_node y, cp_node dy, const cp_node *wrt, int n, cp_node *by) {
    if (n < 0 || (n > 0 && (!wrt || !by))) return cp_fail(CP_E_ARG, "gradients: by %d values, or no place for them", n);
    for (int i = 0; i < n; i++) by[i] = 0;
    cp_status status = check(net, y, dy, wrt, n);
    if (status) return status;
    int64_t nodes = net->n_nodes, values = net->n_values;
    if (!dy) {
        const float one = 1;
        cp_tensor scalar = cp_view(&one, CP_F32, cp_net_shape(net, y));
        dy = cp_net_constant(net, "one", &scalar);
    }
    bool *needs = cp_zalloc(NULL, values + 1);
    cp_node *gradient = cp_zalloc(NULL, (values + 1) * (int64_t)sizeof *gradient);
    if (!needs || !gradient)
        status = CP_E_MEMORY;
    else {
        mark(net, wrt, n, nodes, needs);
        gradient[y] = dy;
        for (int64_t i = nodes - 1; i >= 0 && !net->status; i--) backward(net, i, needs, gradient);
        status = net->status;
        for (int i = 0; i < n && !status; i++) by[i] = gradient[wrt[i]];
    }
    cp_free(NULL, needs);
    cp_free(NULL, gradient);
    return status;
}
