/* One tensor in a file of its own (TensorProto), as ONNX's test folders have them. */
#include <string.h>

#include "onnx/onnx.h"

static cp_status take(cp_array *array, const cp_mapped *file) {
    static const cp_onnx no_options = {0};
    cp_onnx_loader l = {.options = &no_options, .limit = INT64_MAX};
    const cp_wire outer = cp_wire_of(file->bytes, file->length, "tensor");
    const cp_wire_field whole = {.bytes = {file->bytes, file->length}};
    cp_onnx_tensor t;
    const void *data;
    void *owned = NULL;
    cp_status status = cp_net_new(&l.net); /* keeps failures */
    if (!status) status = cp_onnx_tensor_decode(&t, &outer, &whole, "tensor");
    if (!status && t.external) status = cp_fail(CP_E_UNSUPPORTED, "external data are not supported here");
    if (!status) status = cp_onnx_tensor_numbers(&l, &t, &data, &owned);
    if (!status) status = cp_onnx_compute_type(t.type, &array->type);
    if (!status) {
        const int64_t count = cp_shape_count(t.shape), bytes = count * cp_type_size(array->type);
        const bool half = t.type == CP_ONNX_FLOAT16 || t.type == CP_ONNX_BFLOAT16;
        const cp_onnx_value value = {.type = t.type, .data = data};
        array->shape = t.shape;
        array->data = cp_alloc(NULL, bytes);
        if (!array->data)
            status = CP_E_MEMORY;
        else if (!half)
            memcpy(array->data, data, (size_t)bytes);
        for (int64_t i = 0; i < count && half && !status; i++)
            ((float *)array->data)[i] = (float)cp_onnx_real_at(&value, i);
    }
    cp_free(NULL, owned);
    cp_net_free(l.net);
    return status;
}

cp_status cp_onnx_tensor_load(cp_array *array, const char *path) {
    cp_mapped file;
    if (!array) return cp_fail(CP_E_ARG, "array is NULL");
    *array = (cp_array){0};
    cp_status status = cp_file_map(&file, path, INT64_MAX);
    if (status) return status;
    status = take(array, &file);
    cp_file_unmap(&file);
    if (status) cp_array_free(array);
    return status ? cp_fail_within(status, "%s", path) : CP_OK;
}
