/* Attributes of the node at hand, looked up in its message. That this is well formed was checked when it was read. */
#include <string.h>

#include "onnx/onnx.h"

/* AttributeProto.AttributeType */
enum { FLOAT = 1, INT = 2, STRING = 3, TENSOR = 4, FLOATS = 6, INTS = 7, ANY = 0 };

typedef struct attribute {
    cp_bytes name;
    int type;
    cp_wire wire; /* at its first field */
    cp_wire_field f, i, s, t;
} attribute;

static void read_attribute(attribute *a, const cp_wire *node, const cp_wire_field *field) {
    cp_wire wire = cp_wire_within(node, field, "attribute");
    cp_wire_field part;
    cp_status status;
    *a = (attribute){.wire = wire};
    while (cp_wire_next(&wire, &part, &status)) {
        if (part.number == 1) a->name = part.bytes;
        if (part.number == 2) a->f = part;
        if (part.number == 3) a->i = part;
        if (part.number == 4) a->s = part;
        if (part.number == 5) a->t = part;
        if (part.number == 20) a->type = (int)part.value;
    }
}

static cp_wire wire_of_node(const cp_onnx_loader *l) {
    cp_wire wire = cp_wire_of(l->node->message.data, l->node->message.length, "node");
    wire.file = l->model->file.data;
    wire.file_end = wire.file + l->model->file.length;
    return wire;
}

static bool find(const cp_onnx_loader *l, const char *name, attribute *found) {
    cp_wire wire = wire_of_node(l);
    cp_wire_field field;
    cp_status status;
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number != 5) continue;
        read_attribute(found, &wire, &field);
        if (cp_bytes_are(found->name, name)) return true;
    }
    return false;
}

/* Where a name stands among words; -1: nowhere. */
static int word_in(const char *words, cp_bytes name) {
    int number = 0;
    for (const char *w = words; *w; number++) {
        const size_t length = strcspn(w, " ");
        if (name.length == (int64_t)length && !memcmp(w, name.data, length)) return number;
        w += length + strspn(w + length, " ");
    }
    return -1;
}

void cp_onnx_check_attributes(cp_onnx_loader *l, const char *allowed) {
    cp_wire wire = wire_of_node(l);
    cp_wire_field field;
    cp_status status;
    uint32_t seen = 0;
    char name[CP_NAME_TEXT];
    while (cp_wire_next(&wire, &field, &status)) {
        attribute a;
        if (field.number != 5) continue;
        read_attribute(&a, &wire, &field);
        const int at = word_in(allowed, a.name);
        cp_bytes_text(a.name, name);
        if (at < 0) {
            cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "attribute '%s' is not known; known: %s", name,
                                    *allowed ? allowed : "none"));
            return;
        }
        if (seen >> at & 1) {
            cp_onnx_fail(l, cp_fail(CP_E_FORMAT, "attribute '%s' is given twice", name));
            return;
        }
        seen |= 1u << at;
    }
}

/* Finds an attribute of a type; files of old do not say which type it has. */
static bool find_typed(cp_onnx_loader *l, const char *name, int type, const char *what, attribute *found) {
    if (cp_onnx_failed(l) || !find(l, name, found)) return false;
    const bool has = type == FLOAT    ? found->f.number
                     : type == INT    ? found->i.number
                     : type == STRING ? found->s.number
                     : type == TENSOR ? found->t.number
                                      : true;
    const bool empty = found->type && type < FLOATS; /* proto3 leaves zeros out */
    if ((found->type == type && (has || empty)) || (found->type == ANY && has)) return true;
    cp_onnx_fail(l, cp_fail(CP_E_FORMAT, "%s must be %s", name, what));
    return false;
}

bool cp_onnx_int(cp_onnx_loader *l, const char *name, int64_t *number) {
    attribute a;
    if (!find_typed(l, name, INT, "an integer", &a)) return false;
    *number = (int64_t)a.i.value;
    return true;
}

static float float_of(uint64_t bits) {
    const uint32_t low = (uint32_t)bits;
    float number;
    memcpy(&number, &low, sizeof number);
    return number;
}

bool cp_onnx_float(cp_onnx_loader *l, const char *name, float *number) {
    attribute a;
    if (!find_typed(l, name, FLOAT, "a number", &a)) return false;
    *number = float_of(a.f.value);
    return true;
}

bool cp_onnx_string(cp_onnx_loader *l, const char *name, cp_bytes *text) {
    attribute a;
    if (!find_typed(l, name, STRING, "a text", &a)) return false;
    *text = a.s.bytes;
    return true;
}

bool cp_onnx_tensor_attribute(cp_onnx_loader *l, const char *name, cp_onnx_tensor *tensor) {
    attribute a;
    if (!find_typed(l, name, TENSOR, "a tensor", &a)) return false;
    const cp_status status = cp_onnx_tensor_decode(tensor, &a.wire, &a.t, "t");
    if (status) cp_onnx_fail(l, cp_fail_within(status, "%s", name));
    return !status;
}

/* The elements of a list, by their bits. */
static bool list(cp_onnx_loader *l, const char *name, int type, const char *what, uint64_t *bits, int most,
                 int *count) {
    attribute a;
    cp_wire_field field;
    cp_status status;
    *count = 0;
    if (!find_typed(l, name, type, what, &a)) return false;
    while (cp_wire_next(&a.wire, &field, &status)) {
        int64_t position = 0;
        uint64_t element;
        if (field.number != type + 1) continue; /* floats = 7 and ints = 8 */
        while (cp_wire_element(&field, type == INTS ? CP_WIRE_VARINT : CP_WIRE_FIXED32, &position, &element)) {
            if (*count < most) bits[*count] = element;
            ++*count;
        }
        if (!cp_wire_all(&field, position)) {
            cp_onnx_fail(l, cp_fail(CP_E_FORMAT, "%s must be %s", name, what));
            return false;
        }
    }
    if (*count <= most) return true;
    cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "%s has %d values, at most %d are possible", name, *count, most));
    return false;
}

enum { MOST = 64 };

bool cp_onnx_ints(cp_onnx_loader *l, const char *name, int64_t *numbers, int most, int *count) {
    uint64_t bits[MOST];
    if (!list(l, name, INTS, "integers", bits, most < MOST ? most : MOST, count)) return false;
    for (int i = 0; i < *count; i++) numbers[i] = (int64_t)bits[i];
    return true;
}

bool cp_onnx_floats(cp_onnx_loader *l, const char *name, float *numbers, int most, int *count) {
    uint64_t bits[MOST];
    if (!list(l, name, FLOATS, "numbers", bits, most < MOST ? most : MOST, count)) return false;
    for (int i = 0; i < *count; i++) numbers[i] = float_of(bits[i]);
    return true;
}

int64_t cp_onnx_int_or(cp_onnx_loader *l, const char *name, int64_t usual) {
    int64_t number;
    return cp_onnx_int(l, name, &number) ? number : usual;
}

float cp_onnx_float_or(cp_onnx_loader *l, const char *name, float usual) {
    float number;
    return cp_onnx_float(l, name, &number) ? number : usual;
}

int cp_onnx_word_or(cp_onnx_loader *l, const char *name, const char *const *words, int usual) {
    cp_bytes text;
    char shown[CP_NAME_TEXT];
    if (!cp_onnx_string(l, name, &text)) return cp_onnx_failed(l) ? -1 : usual;
    for (int i = 0; words[i]; i++)
        if (cp_bytes_are(text, words[i])) return i;
    cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "%s '%s' unknown", name, cp_bytes_text(text, shown)));
    return -1;
}

int cp_onnx_axis(cp_onnx_loader *l, int64_t axis, int rank) {
    if (cp_onnx_failed(l)) return -1;
    if (axis >= -rank && axis < rank) return (int)(axis < 0 ? axis + rank : axis);
    cp_onnx_fail(l, cp_fail(CP_E_ARG, "axis = %lld outside %d..%d", (long long)axis, -rank, rank - 1));
    return -1;
}
