/* One operation: a net of one node, planned and run. */
#include "graph/graph.h"

static cp_status need(const cp_tensor *tensor, const char *name) {
    return tensor ? cp_check_tensor(tensor, CP_F32, name) : cp_fail(CP_E_ARG, "%s is missing", name);
}

/* A constant where there is a tensor, else no value. It stays where it is: planning packs or copies it. */
static cp_node constant(cp_net *net, const char *name, const cp_tensor *tensor) {
    return tensor ? cp_net_lent_constant(net, name, tensor) : 0;
}

/* Plans a net and lets go of it. outputs: NULL for an output without gaps. */
static cp_status plan_and_free(cp_plan **plan, cp_ctx *ctx, cp_net *net, const cp_tensor *inputs,
                               const cp_tensor *outputs) {
    cp_status status = cp_net_plan(plan, ctx, net, &(cp_plan_options){.inputs = inputs, .outputs = outputs});
    cp_net_free(net);
    return status;
}

static cp_status run_and_free(cp_plan *plan, const cp_tensor *inputs, int n_inputs, const cp_tensor *outputs,
                              int n_outputs) {
    cp_work *work;
    cp_status status = cp_work_new(&work, plan);
    if (!status) status = cp_plan_run(plan, work, inputs, n_inputs, outputs, n_outputs);
    cp_work_free(work);
    cp_plan_free(plan);
    return status;
}

cp_status cp_conv_plan(cp_plan **plan, cp_ctx *ctx, const cp_conv *conv, const cp_tensor *x, const cp_tensor *w,
                       const cp_tensor *b, const cp_tensor *y) {
    if (!plan) return cp_fail(CP_E_ARG, "plan is NULL");
    *plan = NULL;
    cp_status status = x ? cp_check_shape(x->shape, x->type, "x") : cp_fail(CP_E_ARG, "x is missing");
    if (!status) status = need(w, "w");
    if (!status && b) status = need(b, "b");
    cp_net *net;
    if (!status) status = cp_net_new(&net);
    if (status) return status;
    cp_node in = cp_net_input(net, "x", CP_F32, x->shape);
    cp_node weight = constant(net, "w", w), bias = constant(net, "b", b);
    cp_net_output(net, cp_net_conv_with(net, in, weight, bias, conv), "y");
    return plan_and_free(plan, ctx, net, x, y);
}

cp_status cp_conv_run(cp_ctx *ctx, const cp_conv *conv, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b,
                      const cp_tensor *y) {
    cp_status status = need(x, "x");
    if (!status) status = need(y, "y");
    cp_plan *plan;
    if (!status) status = cp_conv_plan(&plan, ctx, conv, x, w, b, y);
    return status ? status : run_and_free(plan, x, 1, y, 1);
}

cp_status cp_conv_transpose_run(cp_ctx *ctx, const cp_conv *conv, const cp_tensor *x, const cp_tensor *w,
                                const cp_tensor *b, const cp_tensor *y) {
    cp_status status = need(x, "x");
    if (!status) status = need(w, "w");
    if (!status && b) status = need(b, "b");
    if (!status) status = need(y, "y");
    cp_net *net;
    if (!status) status = cp_net_new(&net);
    if (status) return status;
    cp_node in = cp_net_input(net, "x", CP_F32, x->shape);
    cp_node weight = constant(net, "w", w), bias = constant(net, "b", b);
    cp_net_output(net, cp_net_conv_transpose_with(net, in, weight, bias, conv), "y");
    cp_plan *plan;
    status = plan_and_free(&plan, ctx, net, x, y);
    return status ? status : run_and_free(plan, x, 1, y, 1);
}

cp_status cp_pool_plan(cp_plan **plan, cp_ctx *ctx, const cp_pool *pool, const cp_tensor *x, const cp_tensor *y) {
    if (!plan) return cp_fail(CP_E_ARG, "plan is NULL");
    *plan = NULL;
    cp_status status = x ? cp_check_shape(x->shape, x->type, "x") : cp_fail(CP_E_ARG, "x is missing");
    cp_net *net;
    if (!status) status = cp_net_new(&net);
    if (status) return status;
    cp_net_output(net, cp_net_pool(net, cp_net_input(net, "x", CP_F32, x->shape), pool), "y");
    return plan_and_free(plan, ctx, net, x, y);
}

cp_status cp_pool_run(cp_ctx *ctx, const cp_pool *pool, const cp_tensor *x, const cp_tensor *y) {
    cp_status status = need(x, "x");
    if (!status) status = need(y, "y");
    cp_plan *plan;
    if (!status) status = cp_pool_plan(&plan, ctx, pool, x, y);
    return status ? status : run_and_free(plan, x, 1, y, 1);
}

/* Gradients of y by wrt as the outputs of a net whose last input is dy, where they are wanted. Frees the net. */
static cp_status gradients(cp_ctx *ctx, cp_net *net, cp_node y, const cp_node *wrt, const cp_tensor *const *wanted,
                           int n, const cp_tensor *inputs, int n_inputs) {
    static const char *const names[] = {"dx", "dw", "db"};
    cp_node chosen[3], by[3];
    cp_tensor outputs[3];
    int m = 0;
    for (int i = 0; i < n; i++)
        if (wanted[i]) chosen[m++] = wrt[i];
    cp_node dy = cp_net_input(net, "dy", CP_F32, cp_net_shape(net, y));
    cp_status status = net->status ? net->status : cp_net_gradients(net, y, dy, chosen, m, by);
    for (int i = 0, k = 0; !status && i < n; i++) {
        if (!wanted[i]) continue;
        cp_net_output(net, by[k], names[i]);
        outputs[k++] = *wanted[i];
    }
    cp_plan *plan = NULL;
    if (status)
        cp_net_free(net);
    else
        status = plan_and_free(&plan, ctx, net, inputs, outputs);
    return status ? status : run_and_free(plan, inputs, n_inputs, outputs, m);
}

cp_status cp_conv_gradient(cp_ctx *ctx, const cp_conv *conv, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b,
                           const cp_tensor *dy, const cp_tensor *dx, const cp_tensor *dw, const cp_tensor *db) {
    static const char *const names[] = {"x", "w", "dy", "b", "dx", "dw", "db"};
    const cp_tensor *const all[] = {x, w, dy, b, dx, dw, db};
    for (int i = 0; i < 7; i++) {
        cp_status status = i < 3 || all[i] ? need(all[i], names[i]) : CP_OK;
        if (status) return status;
    }
    cp_shape y_shape;
    cp_status status = cp_conv_shape(&y_shape, conv, x->shape, w->shape);
    if (status || (!dx && !dw && !db)) return status;
    cp_net *net;
    status = cp_net_new(&net);
    if (status) return status;
    int64_t filters = y_shape.dim[y_shape.rank - 1];
    cp_node wrt[3] = {cp_net_input(net, "x", CP_F32, x->shape), cp_net_input(net, "w", CP_F32, w->shape)};
    if (b)
        wrt[2] = cp_net_input(net, "b", CP_F32, b->shape);
    else if (db) { /* the gradient by a bias that is zero */
        cp_shape shape = {1, {filters}};
        wrt[2] = cp_net_add_parameter(net, "b", shape);
    }
    cp_node y = cp_net_conv_with(net, wrt[0], wrt[1], wrt[2], conv);
    cp_tensor inputs[4] = {*x, *w};
    int n = 2;
    if (b) inputs[n++] = *b;
    inputs[n++] = *dy;
    return gradients(ctx, net, y, wrt, (const cp_tensor *const[]){dx, dw, db}, 3, inputs, n);
}

cp_status cp_pool_gradient(cp_ctx *ctx, const cp_pool *pool, const cp_tensor *x, const cp_tensor *dy,
                           const cp_tensor *dx) {
    cp_status status = need(x, "x");
    if (!status) status = need(dy, "dy");
    if (!status) status = need(dx, "dx");
    cp_net *net;
    if (!status) status = cp_net_new(&net);
    if (status) return status;
    cp_node in = cp_net_input(net, "x", CP_F32, x->shape);
    cp_node y = cp_net_pool(net, in, pool);
    return gradients(ctx, net, y, &in, &dx, 1, (cp_tensor[]){*x, *dy}, 2);
}
