/* The numbers of tensors: raw bytes in the file, lists of numbers of a wider type, or bytes in another file. Their
 * count is what the dimensions say, or it is an error. */
#include <inttypes.h>
#include <string.h>

#include "onnx/onnx.h"

/* TensorProto's fields of numbers. */
enum { FLOAT_DATA = 4, INT32_DATA = 5, INT64_DATA = 7, RAW_DATA = 9, DOUBLE_DATA = 10 };

cp_status cp_onnx_compute_type(int type, cp_type *computed) {
    *computed = CP_F32;
    switch (type) {
    case CP_ONNX_FLOAT:
    case CP_ONNX_FLOAT16:
    case CP_ONNX_BFLOAT16:
        return CP_OK;
    case CP_ONNX_DOUBLE:
        *computed = CP_F64;
        return CP_OK;
    case CP_ONNX_INT32:
        *computed = CP_I32;
        return CP_OK;
    case CP_ONNX_INT64:
        *computed = CP_I64;
        return CP_OK;
    case CP_ONNX_UINT8:
        *computed = CP_U8;
        return CP_OK;
    case CP_ONNX_INT8:
        *computed = CP_I8;
        return CP_OK;
    case CP_ONNX_BOOL:
        *computed = CP_BOOL;
        return CP_OK;
    default:
        return cp_fail(CP_E_UNSUPPORTED, "type %s not supported", cp_onnx_type_name(type));
    }
}

int cp_onnx_type_of(cp_type type) {
    static const int types[] = {[CP_F32] = CP_ONNX_FLOAT,     [CP_F64] = CP_ONNX_DOUBLE, [CP_I32] = CP_ONNX_INT32,
                                [CP_I64] = CP_ONNX_INT64,     [CP_U8] = CP_ONNX_UINT8,   [CP_F16] = CP_ONNX_FLOAT16,
                                [CP_BF16] = CP_ONNX_BFLOAT16, [CP_I8] = CP_ONNX_INT8,    [CP_BOOL] = CP_ONNX_BOOL};
    return types[type];
}

static int64_t stored_bytes(int type) {
    cp_type computed;
    if (type == CP_ONNX_FLOAT16 || type == CP_ONNX_BFLOAT16) return 2;
    return cp_onnx_compute_type(type, &computed) ? 0 : cp_type_size(computed);
}

static cp_status check_count(const cp_onnx_tensor *t, int64_t *count, int64_t *bytes) {
    *count = cp_shape_count(t->shape);
    if (*count < 0) return cp_fail(CP_E_FORMAT, "element count overflows");
    if (!cp_mul(*count, stored_bytes(t->type), bytes)) return cp_fail(CP_E_FORMAT, "byte size overflows");
    if (t->fields > 1) return cp_fail(CP_E_FORMAT, "two data fields");
    return CP_OK;
}

static cp_status check_bytes(int64_t has, int64_t needs, int64_t count) {
    if (has == needs) return CP_OK;
    if (!count) return cp_fail(CP_E_FORMAT, "0 elements but %" PRId64 " bytes", has);
    return cp_fail(CP_E_FORMAT, "has %" PRId64 " bytes, needs %" PRId64, has, needs);
}

/* --- numbers in lists --- */

static int field_of(int type) {
    switch (type) {
    case CP_ONNX_FLOAT:
        return FLOAT_DATA;
    case CP_ONNX_DOUBLE:
        return DOUBLE_DATA;
    case CP_ONNX_INT64:
        return INT64_DATA;
    default:
        return INT32_DATA; /* also of bytes and halves, which stand there as their bits */
    }
}

static cp_wire_type wire_of(int field) {
    return field == FLOAT_DATA ? CP_WIRE_FIXED32 : field == DOUBLE_DATA ? CP_WIRE_FIXED64 : CP_WIRE_VARINT;
}

/* How many numbers the lists have; into `to` (may be NULL) at most `most` of them, the low bytes of each. */
static cp_status read_lists(const cp_onnx_tensor *t, int64_t most, char *to, int64_t *found) {
    cp_wire wire = cp_wire_of(t->message.data, t->message.length, "tensor");
    const size_t size = (size_t)stored_bytes(t->type);
    cp_wire_field field;
    cp_status status;
    *found = 0;
    while (cp_wire_next(&wire, &field, &status)) {
        int64_t position = 0;
        uint64_t bits;
        if (field.number != t->field) continue;
        while (cp_wire_element(&field, wire_of(t->field), &position, &bits)) {
            if (to && *found < most) memcpy(to + *found * (int64_t)size, &bits, size);
            ++*found;
        }
        if (!cp_wire_all(&field, position)) return cp_fail(CP_E_FORMAT, "malformed numbers");
    }
    return status;
}

static cp_status numbers_in_lists(cp_onnx_loader *l, const cp_onnx_tensor *t, int64_t count, int64_t bytes,
                                  const void **data, void **owned) {
    int64_t found = 0;
    if (t->field && t->field != field_of(t->type))
        return cp_fail(CP_E_FORMAT, "the numbers stand in the field of another type");
    cp_status status = t->field ? read_lists(t, 0, NULL, &found) : CP_OK;
    if (!status && found != count)
        status = !count ? cp_fail(CP_E_FORMAT, "0 elements but %" PRId64 " values", found)
                        : cp_fail(CP_E_FORMAT, "has %" PRId64 " values, needs %" PRId64, found, count);
    if (status) return status;
    if (!(*owned = cp_onnx_memory(l, bytes))) return l->net->status;
    *data = *owned;
    return t->field ? read_lists(t, count, *owned, &found) : CP_OK;
}

/* --- other files --- */

struct cp_onnx_files {
    cp_bytes location;
    cp_mapped file;
};

enum { MOST_FILES = 256 };

static cp_status parse_number(cp_bytes text, const char *what, int64_t *number) {
    char shown[CP_NAME_TEXT];
    int64_t value = 0;
    bool good = text.length > 0;
    for (int64_t i = 0; i < text.length && good; i++)
        good = text.data[i] >= '0' && text.data[i] <= '9' && cp_mul(value, 10, &value) &&
               cp_sum(value, text.data[i] - '0', &value);
    if (!good)
        return cp_fail(CP_E_FORMAT, "external %s '%s': must be a number from 0 on", what, cp_bytes_text(text, shown));
    *number = value;
    return CP_OK;
}

/* The folder of the model. */
static cp_status folder_of(const char *path, char folder[4096]) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (!path) return cp_fail(CP_E_UNSUPPORTED, "external data: the model is in no file");
    if (length >= 4096) return cp_fail(CP_E_LIMIT, "the path is too long");
    memcpy(folder, path, length);
    memcpy(folder + length, length ? "" : ".", length ? 1 : 2);
    return CP_OK;
}

static cp_status open_external(cp_onnx_loader *l, cp_bytes location, const cp_mapped **file) {
    for (int i = 0; i < l->n_files; i++)
        if (l->files[i].location.length == location.length &&
            !memcmp(l->files[i].location.data, location.data, (size_t)location.length)) {
            *file = &l->files[i].file;
            return CP_OK;
        }
    char folder[4096], name[4096];
    if (!l->files && !(l->files = cp_zalloc(NULL, MOST_FILES * (int64_t)sizeof *l->files))) return CP_E_MEMORY;
    if (l->n_files == MOST_FILES) return cp_fail(CP_E_LIMIT, "external data in more than %d files", MOST_FILES);
    if (!location.length || location.length >= (int64_t)sizeof name ||
        memchr(location.data, 0, (size_t)location.length))
        return cp_fail(CP_E_FORMAT, "external data: no possible location");
    memcpy(name, location.data, (size_t)location.length);
    name[location.length] = 0;
    cp_status status = folder_of(l->path, folder);
    struct cp_onnx_files *place = &l->files[l->n_files];
    if (!status) status = cp_file_map_beneath(&place->file, folder, name, INT64_MAX);
    if (status) return cp_fail_within(status, "external data");
    place->location = location;
    l->n_files++;
    *file = &place->file;
    return CP_OK;
}

bool cp_onnx_in_files(const cp_onnx_loader *l, const uint8_t *data) {
    for (int i = 0; i < l->n_files; i++)
        if (data >= l->files[i].file.bytes && data < l->files[i].file.bytes + l->files[i].file.length) return true;
    return false;
}

static void release_file(void *object) {
    cp_file_unmap(object);
    cp_free(NULL, object);
}

cp_status cp_onnx_keep_file(cp_net *net, cp_mapped *file) {
    cp_mapped *kept = cp_alloc(NULL, sizeof *kept);
    if (!kept) {
        cp_file_unmap(file);
        return CP_E_MEMORY;
    }
    *kept = *file;
    *file = (cp_mapped){0};
    return cp_net_keep(net, kept, release_file);
}

cp_status cp_onnx_keep_files(cp_onnx_loader *l) {
    cp_status status = CP_OK;
    for (int i = 0; i < l->n_files && !status; i++) status = cp_onnx_keep_file(l->net, &l->files[i].file);
    return status;
}

void cp_onnx_close_files(cp_onnx_loader *l) {
    for (int i = 0; i < l->n_files; i++) cp_file_unmap(&l->files[i].file);
    cp_free(NULL, l->files);
}

static cp_status numbers_elsewhere(cp_onnx_loader *l, const cp_onnx_tensor *t, int64_t count, int64_t bytes,
                                   const void **data) {
    int64_t offset = 0, length = bytes, end;
    const cp_mapped *file;
    cp_status status = t->fields ? cp_fail(CP_E_FORMAT, "two data fields: external and within the file") : CP_OK;
    if (!status && t->offset.length) status = parse_number(t->offset, "offset", &offset);
    if (!status && t->length.length) status = parse_number(t->length, "length", &length);
    if (!status) status = check_bytes(length, bytes, count);
    if (!status) status = open_external(l, t->location, &file);
    if (status) return status;
    if (!cp_sum(offset, length, &end) || end > file->length)
        return cp_fail(CP_E_FORMAT, "external data: bytes %" PRId64 "..%" PRId64 " outside file of %" PRId64 " bytes",
                       offset, length > INT64_MAX - offset ? INT64_MAX : offset + length, file->length);
    *data = file->bytes + offset;
    return CP_OK;
}

cp_status cp_onnx_tensor_numbers(cp_onnx_loader *l, const cp_onnx_tensor *t, const void **data, void **owned) {
    int64_t count = 0, bytes = 0;
    cp_type type;
    *data = *owned = NULL;
    cp_status status = cp_onnx_compute_type(t->type, &type);
    if (!status) status = check_count(t, &count, &bytes);
    if (status) return status;
    if (t->external) return numbers_elsewhere(l, t, count, bytes, data);
    if (t->field != RAW_DATA) return numbers_in_lists(l, t, count, bytes, data, owned);
    *data = t->raw.data;
    return check_bytes(t->raw.length, bytes, count);
}
