/* The wire format of protocol buffers, read where it lies. Nothing is believed before it was compared with the end of
 * what holds it. */
#include <stdio.h>
#include <string.h>

#include "onnx/onnx.h"

cp_wire cp_wire_of(const void *bytes, int64_t length, const char *name) {
    const uint8_t *begin = bytes;
    return (cp_wire){.next = begin, .end = begin + length, .file = begin, .file_end = begin + length, .path = {name}};
}

/* "graph.node" */
static const char *path_text(const cp_wire *wire, char text[200]) {
    text[0] = 0;
    const int known = (int)(sizeof wire->path / sizeof *wire->path);
    for (int i = 0; i <= wire->depth && i < known; i++) {
        const size_t used = strlen(text);
        snprintf(text + used, 200 - used, "%s%s", i ? "." : "", wire->path[i]);
    }
    return text;
}

static bool fail_at(const cp_wire *wire, const uint8_t *at, cp_status *status) {
    char path[200];
    const long long position = at - wire->file;
    if (at == wire->file_end)
        *status = cp_fail(CP_E_FORMAT, "truncated at byte %lld in %s", position, path_text(wire, path));
    else
        *status = cp_fail(CP_E_FORMAT, "malformed field at byte %lld in %s", position, path_text(wire, path));
    return false;
}

/* 1 to 10 bytes of 7 bits, the lowest first; the tenth may only hold the 64th bit. */
static bool read_varint(const uint8_t **next, const uint8_t *end, uint64_t *value) {
    const uint8_t *p = *next;
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7, p++) {
        if (p == end) *next = end; /* so that the caller sees why */
        if (p == end || (shift == 63 && *p > 1)) return false;
        *value |= (uint64_t)(*p & 0x7f) << shift;
        if (*p & 0x80) continue;
        *next = p + 1;
        return true;
    }
    return false;
}

static bool read_fixed(const uint8_t **next, const uint8_t *end, size_t bytes, uint64_t *value) {
    *value = 0;
    const bool there = end - *next >= (ptrdiff_t)bytes;
    if (there) memcpy(value, *next, bytes);
    *next = there ? *next + bytes : end;
    return there;
}

static bool read_bytes(cp_wire *wire, cp_wire_field *field) {
    const uint8_t *begin = wire->next;
    uint64_t length;
    if (!read_varint(&wire->next, wire->end, &length)) return false;
    const int64_t left = wire->end - wire->next;
    if (length > (uint64_t)left) {
        field->cut = wire->end == wire->file_end && length <= INT32_MAX; /* a message has at most 2 GiB */
        if (!field->cut) {
            wire->next = begin;
            return false;
        }
        length = (uint64_t)left;
    }
    field->bytes = (cp_bytes){wire->next, (int64_t)length};
    wire->next += length;
    return true;
}

bool cp_wire_next(cp_wire *wire, cp_wire_field *field, cp_status *status) {
    *status = CP_OK;
    *field = (cp_wire_field){0};
    if (wire->depth > CP_WIRE_DEPTH) {
        *status = cp_fail(CP_E_FORMAT, "nesting deeper than %d", CP_WIRE_DEPTH);
        return false;
    }
    if (wire->next == wire->end) return wire->cut ? fail_at(wire, wire->end, status) : false;
    const uint8_t *begin = wire->next;
    uint64_t key;
    bool good = read_varint(&wire->next, wire->end, &key) && key >> 3 && key >> 3 < 1u << 29;
    if (good) {
        field->number = (int64_t)(key >> 3);
        field->type = (cp_wire_type)(key & 7);
        switch (field->type) {
        case CP_WIRE_VARINT:
            good = read_varint(&wire->next, wire->end, &field->value);
            break;
        case CP_WIRE_FIXED64:
            good = read_fixed(&wire->next, wire->end, 8, &field->value);
            break;
        case CP_WIRE_FIXED32:
            good = read_fixed(&wire->next, wire->end, 4, &field->value);
            break;
        case CP_WIRE_BYTES:
            good = read_bytes(wire, field);
            break;
        default: /* groups, which ONNX has none of */
            wire->next = begin;
            good = false;
        }
    }
    if (good) return true;
    return fail_at(wire, wire->next == wire->file_end ? wire->file_end : begin, status); /* whether it ran out */
}

cp_wire cp_wire_within(const cp_wire *wire, const cp_wire_field *field, const char *name) {
    cp_wire inner = *wire;
    inner.next = field->bytes.data;
    inner.end = field->bytes.data + field->bytes.length;
    inner.cut = field->cut;
    inner.depth++;
    if (inner.depth < (int)(sizeof inner.path / sizeof *inner.path)) inner.path[inner.depth] = name;
    return inner;
}

bool cp_wire_element(const cp_wire_field *field, cp_wire_type type, int64_t *position, uint64_t *value) {
    if (field->type == type) {
        *value = field->value;
        return (*position)++ == 0;
    }
    if (field->type != CP_WIRE_BYTES || *position >= field->bytes.length) return false;
    const uint8_t *end = field->bytes.data + field->bytes.length, *next = field->bytes.data + *position;
    const bool good = type == CP_WIRE_VARINT ? read_varint(&next, end, value)
                                             : read_fixed(&next, end, type == CP_WIRE_FIXED32 ? 4 : 8, value);
    *position = next - field->bytes.data;
    return good;
}

bool cp_wire_all(const cp_wire_field *field, int64_t position) {
    return field->type != CP_WIRE_BYTES || position == field->bytes.length;
}
