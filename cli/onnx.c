/* Networks from files of both kinds: loaded, planned and run on arrays. */
#include "args.h"

#include <stdlib.h>
#include <string.h>

bool is_onnx(const char *path) {
    const size_t length = strlen(path);
    return length > 5 && !strcmp(path + length - 5, ".onnx");
}

void add_known_shape(known_inputs *known, char *text) {
    char *equals = strrchr(text, '=');
    const char *size = equals ? equals + 1 : text;
    if (known->options.n_inputs == MOST_INPUTS) usage("--shape: more than %d of them", MOST_INPUTS);
    if (equals) *equals = 0;
    known->input[known->options.n_inputs++] =
        (cp_onnx_input){.name = equals ? text : NULL, .tensor.shape = arg_shape("shape", size)};
    known->options.inputs = known->input;
}

cp_status open_runner(runner *r, const char *model, const cp_onnx *known, const cp_options *options) {
    *r = (runner){.onnx = is_onnx(model)};
    cp_status status = r->onnx ? cp_onnx_load(&r->net, model, known) : cp_net_load(&r->net, model);
    if (!status) status = cp_ctx_new(&r->ctx, options);
    return status;
}

cp_status plan_runner(runner *r, const cp_tensor *inputs) {
    cp_status status =
        cp_net_plan(&r->plan, r->ctx, r->net, &(cp_plan_options){.inputs = inputs, .fold_batch_norm = !r->onnx});
    if (!status) status = cp_work_new(&r->work, r->plan);
    if (status) return status;
    r->n_outputs = cp_net_outputs(r->net);
    r->outputs = allocate((size_t)r->n_outputs, sizeof *r->outputs);
    for (int i = 0; i < r->n_outputs; i++) {
        const cp_shape shape = cp_plan_output_shape(r->plan, i);
        const cp_type type = cp_net_type(r->net, cp_net_output_node(r->net, i));
        r->outputs[i] = cp_view(allocate((size_t)cp_shape_count(shape), (size_t)cp_type_size(type)), type, shape);
    }
    return CP_OK;
}

double number_at(const void *data, cp_type type, int64_t i) {
    switch (type) {
    case CP_F32:
        return ((const float *)data)[i];
    case CP_F64:
        return ((const double *)data)[i];
    case CP_I32:
        return ((const int32_t *)data)[i];
    case CP_I64:
        return (double)((const int64_t *)data)[i];
    case CP_I8:
        return ((const int8_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

void close_runner(runner *r) {
    for (int i = 0; i < r->n_outputs; i++) free(r->outputs[i].data);
    free(r->outputs);
    cp_work_free(r->work);
    cp_plan_free(r->plan);
    cp_ctx_free(r->ctx);
    cp_net_free(r->net);
    *r = (runner){0};
}
