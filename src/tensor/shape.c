/* Shapes and types, and views of the caller's memory. */
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>

/* name, bytes; in the order of cp_type */
static const struct {
    const char *name;
    int64_t size;
} types[] = {{"f32", 4}, {"f64", 8},  {"i32", 4}, {"i64", 8}, {"u8", 1},
             {"f16", 2}, {"bf16", 2}, {"i8", 1},  {"bool", 1}};

static bool is_type(cp_type type) {
    return (unsigned)type < sizeof types / sizeof *types;
}

bool cp_is_real(cp_type type) {
    return type == CP_F32 || type == CP_F64;
}

bool cp_is_integer(cp_type type) {
    return type == CP_I32 || type == CP_I64 || type == CP_U8 || type == CP_I8;
}

const char *cp_type_name(cp_type type) {
    return is_type(type) ? types[type].name : "unknown type";
}

int64_t cp_type_size(cp_type type) {
    return is_type(type) ? types[type].size : 0;
}

/* A rank that is safe to loop to, whatever the caller wrote there. */
static int safe_rank(int rank) {
    return rank < 0 ? 0 : rank > CP_MAX_RANK ? CP_MAX_RANK : rank;
}

cp_shape cp_shape_of(int rank, const int64_t *dim) {
    cp_shape shape = {.rank = rank};
    for (int a = 0; a < safe_rank(rank); a++) shape.dim[a] = dim[a];
    return shape;
}

cp_shape cp_shape_nhwc(int64_t n, int64_t h, int64_t w, int64_t c) {
    return (cp_shape){.rank = 4, .dim = {n, h, w, c}};
}

bool cp_shape_same(cp_shape a, cp_shape b) {
    if (a.rank != b.rank) return false;
    for (int i = 0; i < safe_rank(a.rank); i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

int64_t cp_shape_count(cp_shape shape) {
    int64_t count = 1;
    bool empty = false;
    if (shape.rank != safe_rank(shape.rank)) return -1;
    for (int a = 0; a < shape.rank; a++) {
        if (shape.dim[a] < 0) return -1;
        /* An empty axis hides no overflow of the others: their strides are products, too. */
        if (shape.dim[a] == 0)
            empty = true;
        else if (!cp_mul(count, shape.dim[a], &count))
            return -1;
    }
    return empty ? 0 : count;
}

const char *cp_shape_text(cp_shape shape, char text[CP_SHAPE_TEXT]) {
    int length = snprintf(text, CP_SHAPE_TEXT, "%s", shape.rank == 0 ? "scalar" : "");
    for (int a = 0; a < safe_rank(shape.rank); a++)
        length +=
            snprintf(text + length, (size_t)(CP_SHAPE_TEXT - length), "%s%lld", a ? "x" : "", (long long)shape.dim[a]);
    return text;
}

/* --- views --- */

/* A view of memory without gaps in which axis order[0] is the outermost. Sizes too large wrap around here and are
 * refused by cp_check_shape when the view is used. */
static cp_tensor view(const void *data, cp_type type, cp_shape shape, const int order[CP_MAX_RANK]) {
    cp_tensor tensor = {.data = (void *)data, .type = type, .shape = shape};
    int64_t stride = 1;
    for (int a = safe_rank(shape.rank) - 1; a >= 0; a--) {
        tensor.stride[order[a]] = stride;
        if (shape.dim[order[a]] > 0) (void)cp_mul(stride, shape.dim[order[a]], &stride);
    }
    return tensor;
}

cp_tensor cp_view(const void *data, cp_type type, cp_shape shape) {
    const int order[CP_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    return view(data, type, shape, order);
}

cp_tensor cp_view_channels_first(const void *data, cp_type type, cp_shape shape) {
    const int rank = safe_rank(shape.rank);
    int order[CP_MAX_RANK] = {0};
    for (int a = 1; a < rank; a++) order[a] = a == 1 ? rank - 1 : a - 1;
    return view(data, type, shape, order);
}

cp_tensor cp_view_filters_first(const void *data, cp_type type, cp_shape shape) {
    const int rank = safe_rank(shape.rank);
    int order[CP_MAX_RANK] = {0};
    for (int a = 0; a < rank; a++) order[a] = a == 0 ? rank - 1 : a == 1 ? rank - 2 : a - 2;
    return view(data, type, shape, order);
}

cp_tensor cp_nhwc(const float *data, int64_t n, int64_t h, int64_t w, int64_t c) {
    return cp_view(data, CP_F32, cp_shape_nhwc(n, h, w, c));
}

cp_tensor cp_nchw(const float *data, int64_t n, int64_t c, int64_t h, int64_t w) {
    return cp_view_channels_first(data, CP_F32, cp_shape_nhwc(n, h, w, c));
}

cp_tensor cp_hwio(const float *data, int64_t h, int64_t w, int64_t i, int64_t o) {
    return cp_view(data, CP_F32, (cp_shape){.rank = 4, .dim = {h, w, i, o}});
}

cp_tensor cp_oihw(const float *data, int64_t o, int64_t i, int64_t h, int64_t w) {
    return cp_view_filters_first(data, CP_F32, (cp_shape){.rank = 4, .dim = {h, w, i, o}});
}

cp_tensor cp_mat(const float *data, int64_t rows, int64_t columns) {
    return cp_view(data, CP_F32, (cp_shape){.rank = 2, .dim = {rows, columns}});
}

cp_tensor cp_vec(const float *data, int64_t n) {
    return cp_view(data, CP_F32, (cp_shape){.rank = 1, .dim = {n}});
}

void cp_dense_strides(cp_shape shape, int64_t stride[CP_MAX_RANK]) {
    const cp_tensor dense = cp_view(NULL, CP_F32, shape);
    for (int a = 0; a < CP_MAX_RANK; a++) stride[a] = dense.stride[a];
}

bool cp_is_dense(const cp_tensor *tensor) {
    int64_t dense[CP_MAX_RANK];
    cp_dense_strides(tensor->shape, dense);
    for (int a = 0; a < tensor->shape.rank; a++)
        if (tensor->shape.dim[a] > 1 && tensor->stride[a] != dense[a]) return false;
    return true;
}

/* --- checks --- */

cp_status cp_check_shape(cp_shape shape, cp_type type, const char *what) {
    char text[CP_SHAPE_TEXT];
    if (shape.rank != safe_rank(shape.rank))
        return cp_fail(CP_E_SHAPE, "%s has %d dimensions: must be 0 to %d", what, shape.rank, CP_MAX_RANK);
    for (int a = 0; a < shape.rank; a++)
        if (shape.dim[a] < 0)
            return cp_fail(CP_E_SHAPE, "%s dimension %d is %lld: must not be negative", what, a,
                           (long long)shape.dim[a]);
    if (!is_type(type)) return cp_fail(CP_E_ARG, "%s has type %d, which is none", what, (int)type);
    int64_t bytes = cp_shape_count(shape);
    if (bytes < 0) return cp_fail(CP_E_SHAPE, "%s %s: element count overflows", what, cp_shape_text(shape, text));
    if (!cp_mul(bytes, cp_type_size(type), &bytes))
        return cp_fail(CP_E_SHAPE, "%s %s: byte size overflows", what, cp_shape_text(shape, text));
    return CP_OK;
}

/* Whether the bytes between the first element and the end of any axis fit int64. */
static bool strides_fit(const cp_tensor *tensor) {
    int64_t extent = 0;
    for (int a = 0; a < tensor->shape.rank; a++) {
        int64_t step, span, stride = tensor->stride[a];
        if (tensor->shape.dim[a] < 2) continue;
        if (!cp_mul(stride < 0 ? -1 : 1, stride, &step) || !cp_mul(step, tensor->shape.dim[a], &span) ||
            !cp_sum(extent, span, &extent))
            return false;
    }
    return cp_mul(extent, cp_type_size(tensor->type), &extent);
}

cp_status cp_check_view(const cp_tensor *tensor, cp_type type, const char *what) {
    if (!tensor) return cp_fail(CP_E_ARG, "%s is NULL", what);
    const cp_status status = cp_check_shape(tensor->shape, tensor->type, what);
    if (status) return status;
    if (tensor->type != type)
        return cp_fail(CP_E_ARG, "%s has type %s%s: must be %s", what, cp_type_name(tensor->type),
                       cp_is_half(tensor->type) ? ", which is for storage" : "", cp_type_name(type));
    if (!strides_fit(tensor)) return cp_fail(CP_E_SHAPE, "%s: its strides overflow", what);
    return CP_OK;
}

cp_status cp_check_tensor(const cp_tensor *tensor, cp_type type, const char *what) {
    const cp_status status = cp_check_view(tensor, type, what);
    if (status) return status;
    if (!tensor->data && cp_shape_count(tensor->shape) > 0)
        return cp_fail(CP_E_ARG, "%s has no data: its pointer is NULL", what);
    return CP_OK;
}

/* --- elements --- */

double cp_get(const cp_tensor *tensor, int64_t offset) {
    switch (tensor->type) {
    case CP_F32:
        return ((const float *)tensor->data)[offset];
    case CP_F64:
        return ((const double *)tensor->data)[offset];
    case CP_I32:
        return ((const int32_t *)tensor->data)[offset];
    case CP_I64:
        return (double)((const int64_t *)tensor->data)[offset];
    case CP_U8:
    case CP_BOOL:
        return ((const uint8_t *)tensor->data)[offset];
    case CP_I8:
        return ((const int8_t *)tensor->data)[offset];
    case CP_F16:
    case CP_BF16:
        return cp_half_to_double(((const uint16_t *)tensor->data)[offset], tensor->type);
    }
    return 0;
}

void cp_put(const cp_tensor *tensor, int64_t offset, double value) {
    switch (tensor->type) {
    case CP_F32:
        ((float *)tensor->data)[offset] = (float)value;
        break;
    case CP_F64:
        ((double *)tensor->data)[offset] = value;
        break;
    case CP_I32:
        ((int32_t *)tensor->data)[offset] = (int32_t)value;
        break;
    case CP_I64:
        ((int64_t *)tensor->data)[offset] = (int64_t)value;
        break;
    case CP_U8:
    case CP_BOOL:
        ((uint8_t *)tensor->data)[offset] = (uint8_t)value;
        break;
    case CP_I8:
        ((int8_t *)tensor->data)[offset] = (int8_t)value;
        break;
    case CP_F16:
    case CP_BF16:
        ((uint16_t *)tensor->data)[offset] = cp_half_from_double(value, tensor->type);
        break;
    }
}

int64_t cp_get_integer(const cp_tensor *tensor, int64_t offset) {
    switch (tensor->type) {
    case CP_I32:
        return ((const int32_t *)tensor->data)[offset];
    case CP_I64:
        return ((const int64_t *)tensor->data)[offset];
    case CP_I8:
        return ((const int8_t *)tensor->data)[offset];
    default:
        return ((const uint8_t *)tensor->data)[offset];
    }
}

void cp_put_integer(const cp_tensor *tensor, int64_t offset, int64_t value) {
    switch (tensor->type) {
    case CP_I32:
        ((int32_t *)tensor->data)[offset] = (int32_t)value;
        break;
    case CP_I64:
        ((int64_t *)tensor->data)[offset] = value;
        break;
    case CP_I8:
        ((int8_t *)tensor->data)[offset] = (int8_t)value;
        break;
    default:
        ((uint8_t *)tensor->data)[offset] = (uint8_t)value;
        break;
    }
}

int64_t cp_cut(double x, cp_type type) {
    if (type == CP_BOOL) return x != 0;
    const int bits = 8 * (int)cp_type_size(type) - (type != CP_U8);
    const double above = ldexp(1, bits), least = type == CP_U8 ? 0 : -above;
    if (isnan(x)) return 0;
    if (x >= above) return type == CP_I64 ? INT64_MAX : (int64_t)above - 1;
    return x <= least ? (int64_t)least : (int64_t)x;
}

int64_t cp_offset(const cp_tensor *tensor, int first, int axes, int64_t flat) {
    int64_t offset = 0;
    for (int a = first + axes - 1; a > first && flat > 0; a--) {
        offset += flat % tensor->shape.dim[a] * tensor->stride[a];
        flat /= tensor->shape.dim[a];
    }
    return offset + flat * tensor->stride[first];
}
