/* Damaged or invented ONNX files: whatever still loads is planned and, where that is little work, run. */
#ifndef ONNX_TRY_H
#define ONNX_TRY_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "convpool.h"

#define TRY_MEMORY ((int64_t)1 << 26)
#define TRY_WORK ((int64_t)1 << 24) /* multiply-adds */

static cp_tensor try_tensor(cp_type type, cp_shape shape) {
    return cp_view(calloc((size_t)cp_shape_count(shape) + 1, 8), type, shape);
}

/* Inputs of zeros; a model with more than four of them, or outputs, is only planned. */
static void try_net(cp_net *net) {
    cp_tensor in[4], out[4];
    cp_ctx *ctx = NULL;
    cp_plan *plan = NULL;
    cp_work *work = NULL;
    cp_step_info step;
    int64_t multiply_adds = 0, numbers = 0;
    const int inputs = cp_net_inputs(net), outputs = cp_net_outputs(net);
    if (cp_ctx_new(&ctx, &(cp_options){.max_memory = TRY_MEMORY}) || cp_net_plan(&plan, ctx, net, NULL)) goto end;
    for (int i = 0; i < cp_plan_steps(plan); i++) {
        cp_plan_step(plan, NULL, i, &step);
        if (step.multiply_adds > TRY_WORK || (multiply_adds += step.multiply_adds) > TRY_WORK) goto end;
    }
    for (int i = 0; i < inputs; i++) numbers += cp_shape_count(cp_net_shape(net, cp_net_input_node(net, i)));
    for (int i = 0; i < outputs; i++) numbers += cp_shape_count(cp_plan_output_shape(plan, i));
    if (inputs > 4 || outputs > 4 || numbers < 0 || numbers > 1 << 20 || cp_work_new(&work, plan)) goto end;
    for (int i = 0; i < inputs; i++) {
        cp_shape shape = cp_net_shape(net, cp_net_input_node(net, i));
        if (shape.rank && !shape.dim[0]) shape.dim[0] = 1;
        in[i] = try_tensor(cp_net_type(net, cp_net_input_node(net, i)), shape);
    }
    for (int i = 0; i < outputs; i++)
        out[i] = try_tensor(cp_net_type(net, cp_net_output_node(net, i)), cp_plan_output_shape(plan, i));
    cp_plan_run(plan, work, in, inputs, out, outputs);
    for (int i = 0; i < inputs; i++) free(in[i].data);
    for (int i = 0; i < outputs; i++) free(out[i].data);
end:
    cp_work_free(work);
    cp_plan_free(plan);
    cp_ctx_free(ctx);
}

/* In memory of exactly that length, so that a sanitizer sees whoever reads on. */
static void load_and_try(const uint8_t *data, size_t length) {
    cp_net *net;
    uint8_t *exact = malloc(length ? length : 1);
    if (length) memcpy(exact, data, length);
    if (!cp_onnx_load_memory(&net, exact, (int64_t)length, &(cp_onnx){.max_memory = TRY_MEMORY})) try_net(net);
    cp_net_free(net);
    free(exact);
}

#endif
