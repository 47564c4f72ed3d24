/* Values of the graph: the nodes that have them, each in some order of axes. ONNX has channels in front, our operators
 * have them last. A transposition is made only where somebody wants an order that no node has, once for each; an
 * operator that does not care leaves the order as it is. So transpositions cancel by themselves. */
#include <string.h>

#include "onnx/onnx.h"

cp_order cp_order_plain(void) {
    return (cp_order){{0, 1, 2, 3, 4, 5, 6, 7}};
}

cp_order cp_order_channels_last(int rank) {
    cp_order order = cp_order_plain();
    for (int i = 1; i < rank; i++) order.axis[i] = (int8_t)(i + 1 < rank ? i + 1 : 1);
    return order;
}

int cp_order_find(cp_order order, int axis) {
    int i = 0;
    while (i < CP_MAX_RANK - 1 && order.axis[i] != axis) i++;
    return i;
}

bool cp_order_same(cp_order a, cp_order b, int rank) {
    return !memcmp(a.axis, b.axis, (size_t)rank);
}

cp_order cp_onnx_order_of(const cp_onnx_value *value) {
    return value && value->forms ? value->form[0].order : cp_order_plain();
}

cp_node cp_onnx_fail(cp_onnx_loader *l, cp_status status) {
    return cp_net_fail(l->net, status);
}

static cp_onnx_value *linked(cp_onnx_loader *l, int64_t first, int count, int i) {
    const int32_t name = i < count ? l->model->links[first + i] : 0;
    return name ? &l->values[name] : NULL;
}

cp_onnx_value *cp_onnx_in(cp_onnx_loader *l, int i) {
    return linked(l, l->node->first_input, l->node->inputs, i);
}

cp_onnx_value *cp_onnx_out(cp_onnx_loader *l, int i) {
    return linked(l, l->node->first_output, l->node->outputs, i);
}

/* --- nodes --- */

static cp_node remember(cp_onnx_value *value, cp_node node, cp_order order) {
    if (node && value->forms < CP_ONNX_FORMS) {
        value->form[value->forms].node = node;
        value->form[value->forms++].order = order;
    }
    return node;
}

/* Whether numbers stay where they are as long as the net: in a file that it keeps. */
static bool lies_in_file(const cp_onnx_loader *l, const void *data) {
    const uint8_t *at = data;
    if (!l->path) return false;
    if (at >= l->model->file.data && at < l->model->file.data + l->model->file.length) return true;
    return cp_onnx_in_files(l, at);
}

/* An aligned view whose strides are the order; the net copies from it, or leaves it where it is. */
static cp_node add_constant(cp_onnx_loader *l, const cp_onnx_value *value, cp_order order) {
    cp_type type;
    cp_status status = cp_onnx_compute_type(value->type, &type);
    if (status) return cp_onnx_fail(l, status);
    if (value->type == CP_ONNX_FLOAT16) type = CP_F16;
    if (value->type == CP_ONNX_BFLOAT16) type = CP_BF16;
    const void *data = value->data;
    const int64_t bytes = cp_shape_count(value->shape) * cp_type_size(type);
    void *aligned = NULL;
    if ((uintptr_t)data % (uintptr_t)cp_type_size(type)) {
        if (!(aligned = cp_alloc(NULL, bytes))) return cp_onnx_fail(l, CP_E_MEMORY);
        data = memcpy(aligned, data, (size_t)bytes);
    }
    const cp_tensor dense = cp_view(data, type, value->shape);
    cp_tensor view = dense;
    for (int i = 0; i < dense.shape.rank; i++) {
        view.shape.dim[i] = dense.shape.dim[order.axis[i]];
        view.stride[i] = dense.stride[order.axis[i]];
    }
    const bool stays = !aligned && type != CP_F16 && type != CP_BF16 && lies_in_file(l, data);
    const cp_node node =
        stays ? cp_net_lent_constant(l->net, "constant", &view) : cp_net_constant(l->net, "constant", &view);
    cp_free(NULL, aligned);
    return node;
}

cp_node cp_onnx_want(cp_onnx_loader *l, cp_onnx_value *value, cp_order order) {
    if (cp_onnx_failed(l) || !value) return 0;
    const int rank = value->shape.rank;
    for (int i = 0; i < value->forms; i++)
        if (cp_order_same(value->form[i].order, order, rank)) return value->form[i].node;
    if (!value->forms) return remember(value, add_constant(l, value, order), order);
    int moved[CP_MAX_RANK];
    for (int i = 0; i < rank; i++) moved[i] = cp_order_find(value->form[0].order, order.axis[i]);
    return remember(value, cp_net_transpose(l->net, value->form[0].node, moved), order);
}

cp_node cp_onnx_want_in(cp_onnx_loader *l, int i, cp_order order) {
    return cp_onnx_want(l, cp_onnx_in(l, i), order);
}

cp_node cp_onnx_want_last(cp_onnx_loader *l, int i) {
    cp_onnx_value *value = cp_onnx_in(l, i);
    return value ? cp_onnx_want(l, value, cp_order_channels_last(value->shape.rank)) : 0;
}

/* --- results --- */

static bool within_limit(cp_onnx_loader *l, int64_t bytes) {
    if (bytes >= 0 && bytes <= l->limit) return true;
    cp_onnx_fail(l, bytes < 0
                        ? cp_fail(CP_E_LIMIT, "more elements than can be counted")
                        : cp_fail(CP_E_LIMIT, "needs %lld bytes, limit %lld", (long long)bytes, (long long)l->limit));
    return false;
}

void cp_onnx_set(cp_onnx_loader *l, int i, cp_node node, cp_order order) {
    cp_onnx_value *value = cp_onnx_out(l, i);
    if (cp_onnx_failed(l) || !node || !value) return;
    const cp_value *v = cp_net_value(l->net, node);
    *value = (cp_onnx_value){.type = cp_onnx_type_of(v->type), .shape.rank = v->shape.rank, .made = true};
    for (int k = 0; k < v->shape.rank; k++) value->shape.dim[order.axis[k]] = v->shape.dim[k];
    if (within_limit(l, cp_shape_count(v->shape) * cp_type_size(v->type))) remember(value, node, order);
}

void cp_onnx_set_constant(cp_onnx_loader *l, int i, int type, cp_shape shape, void *data) {
    cp_onnx_value *value = cp_onnx_out(l, i);
    if (cp_onnx_failed(l) || !data || !value) {
        cp_free(NULL, data);
        return;
    }
    *value = (cp_onnx_value){.type = type, .shape = shape, .made = true, .data = data, .owned = data, .constant = true};
}

void cp_onnx_set_same(cp_onnx_loader *l, int i, const cp_onnx_value *value) {
    cp_onnx_value *out = cp_onnx_out(l, i);
    if (cp_onnx_failed(l) || !value || !out) return;
    *out = *value;
    out->owned = NULL; /* the other one's, which lives as long */
}

void *cp_onnx_memory(cp_onnx_loader *l, int64_t bytes) {
    int64_t all;
    if (cp_onnx_failed(l)) return NULL;
    if (!cp_sum(l->constants, bytes, &all)) all = -1;
    if (!within_limit(l, all)) return NULL;
    void *memory = cp_zalloc(NULL, bytes);
    if (!memory) cp_onnx_fail(l, CP_E_MEMORY);
    if (memory) l->constants = all;
    return memory;
}

/* --- numbers of constants --- */

static int64_t number_at(const cp_onnx_value *value, int64_t i) {
    int64_t wide;
    int32_t narrow;
    if (value->type == CP_ONNX_INT64) {
        memcpy(&wide, (const char *)value->data + i * 8, sizeof wide);
        return wide;
    }
    memcpy(&narrow, (const char *)value->data + i * 4, sizeof narrow);
    return narrow;
}

double cp_onnx_real_at(const cp_onnx_value *value, int64_t i) {
    double wide;
    float narrow;
    uint16_t half;
    switch (value->type) {
    case CP_ONNX_DOUBLE:
        memcpy(&wide, (const char *)value->data + i * 8, sizeof wide);
        return wide;
    case CP_ONNX_FLOAT:
        memcpy(&narrow, (const char *)value->data + i * 4, sizeof narrow);
        return (double)narrow;
    case CP_ONNX_FLOAT16:
    case CP_ONNX_BFLOAT16:
        memcpy(&half, (const char *)value->data + i * 2, sizeof half);
        return cp_half_to_double(half, value->type == CP_ONNX_FLOAT16 ? CP_F16 : CP_BF16);
    default:
        return (double)number_at(value, i);
    }
}

static bool is_known(cp_onnx_loader *l, int i, const char *what, const cp_onnx_value **value) {
    *value = cp_onnx_in(l, i);
    if (cp_onnx_failed(l) || !*value) return false;
    if ((*value)->data || (*value)->constant) return true;
    char name[CP_NAME_TEXT];
    const int32_t number = l->model->links[l->node->first_input + i];
    cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "%s '%s' must be known when the model is loaded", what,
                            cp_bytes_text(l->model->names[number].text, name)));
    return false;
}

bool cp_onnx_numbers(cp_onnx_loader *l, int i, const char *what, int64_t *numbers, int most, int *count) {
    const cp_onnx_value *value;
    *count = 0;
    if (!is_known(l, i, what, &value)) return false;
    if (value->type != CP_ONNX_INT64 && value->type != CP_ONNX_INT32) {
        cp_onnx_fail(l, cp_fail(CP_E_FORMAT, "%s must be integers, is %s", what, cp_onnx_type_name(value->type)));
        return false;
    }
    const int64_t n = cp_shape_count(value->shape);
    if (n > most) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "%s has %lld values, at most %d are possible", what, (long long)n, most));
        return false;
    }
    for (*count = 0; *count < n; ++*count) numbers[*count] = number_at(value, *count);
    return true;
}

bool cp_onnx_real(cp_onnx_loader *l, int i, const char *what, double *number) {
    const cp_onnx_value *value;
    if (!is_known(l, i, what, &value)) return false;
    const int type = value->type;
    const bool real = type == CP_ONNX_FLOAT || type == CP_ONNX_DOUBLE || type == CP_ONNX_FLOAT16 ||
                      type == CP_ONNX_BFLOAT16 || type == CP_ONNX_INT32 || type == CP_ONNX_INT64;
    if (!real || cp_shape_count(value->shape) != 1) {
        cp_onnx_fail(l, cp_fail(CP_E_FORMAT, "%s must be one number", what));
        return false;
    }
    *number = cp_onnx_real_at(value, 0);
    return true;
}
