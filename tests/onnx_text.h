/* ONNX models from a few words, written byte by byte without any library of ONNX, so that tests can say wrong things:
 *
 *   opset 13                                    (17 where it is not said; 0: none)
 *   input x f 1x3x8x8                           f d i l u c b h s: FLOAT DOUBLE INT32 INT64 UINT8 INT8 BOOL FLOAT16
 *                                               STRING; a word in place of a number is a dimension with that name
 *   init w f 4x3x3x3                            numbers in raw_data: 1, 1/2, 1/3, ...; of l and i 1, 2, 3, ...
 *   init w f 4 bytes=12                         with so many bytes; also list (in float_data, int64_data), both, none,
 *                                               ext=LOCATION,OFFSET,LENGTH
 *   init s l 4 = 1,3,-1,2                       these numbers
 *   node NAME Conv x,w,- > y strides=[1,2] auto_pad="SAME_UPPER" alpha=0.5 value=l(3,4)
 *   output y
 *
 * Lines end with ';' or a new line. '-' is an input that is absent. */
#ifndef ONNX_TEXT_H
#define ONNX_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    uint8_t *data;
    size_t length;
} bytes;

static size_t room_for(size_t length) {
    size_t room = 64;
    while (room <= length) room *= 2;
    return room;
}
static void bytes_add(bytes *b, const void *data, size_t length) {
    if (!b->data || room_for(b->length) != room_for(b->length + length))
        b->data = realloc(b->data, room_for(b->length + length));
    if (length) memcpy(b->data + b->length, data, length);
    b->length += length;
}
static void put_varint(bytes *b, uint64_t value) {
    do {
        const uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        bytes_add(b, &byte, 1);
        value >>= 7;
    } while (value);
}
static void put_int(bytes *b, int field, int64_t value) {
    put_varint(b, (uint64_t)field << 3);
    put_varint(b, (uint64_t)value);
}
static void put_float(bytes *b, int field, float value) {
    put_varint(b, (uint64_t)field << 3 | 5);
    bytes_add(b, &value, sizeof value);
}
static void put_bytes(bytes *b, int field, const void *data, size_t length) {
    put_varint(b, (uint64_t)field << 3 | 2);
    put_varint(b, length);
    bytes_add(b, data, length);
}
static void put_text(bytes *b, int field, const char *text) {
    put_bytes(b, field, text, strlen(text));
}
static void put_message(bytes *b, int field, bytes *message) {
    put_bytes(b, field, message->data, message->length);
    free(message->data);
    *message = (bytes){0};
}

/* The next word, which ends at a space outside quotation marks. */
static char *next_word(char **text) {
    while (**text == ' ') ++*text;
    if (!**text) return NULL;
    char *begin = *text;
    bool quoted = false;
    while (**text && (quoted || **text != ' ')) quoted ^= *(*text)++ == '"';
    if (**text) *(*text)++ = 0;
    return begin;
}

static int type_of(const char *word) {
    static const char letters[] = "?fuc??il?bhd????";
    return *word == 's' ? 8 : (int)(strchr(letters, *word) - letters);
}
static size_t size_of(int type) {
    return type == 7 || type == 11 ? 8 : type == 10 ? 2 : type == 9 || type == 2 || type == 3 ? 1 : 4;
}
static int64_t count_of(const char *dims) {
    uint64_t count = 1; /* of dimensions that lie it wraps */
    if (!strcmp(dims, "scalar")) return 1;
    for (const char *d = dims; d; d = strchr(d, 'x')) {
        d += *d == 'x';
        if (__builtin_mul_overflow(count, strtoll(d, NULL, 10), &count)) return INT64_MAX;
    }
    return count;
}

static void put_number(bytes *b, int type, double value) {
    const float f = (float)value;
    const int32_t i = (int32_t)value;
    const int64_t l = (int64_t)value;
    bytes_add(b,
              type == 1    ? (const void *)&f
              : type == 11 ? (const void *)&value
              : type == 6  ? (const void *)&i
                           : (const void *)&l,
              size_of(type));
}

/* A TensorProto; words: what follows the type. */
static void put_tensor(bytes *t, const char *name, int type, char *dims, char **rest) {
    bytes raw = {0};
    bool list = false, both = false, none = false, given = false;
    int64_t cut = -1;
    const int64_t count = count_of(dims);
    char *word;
    if (strcmp(dims, "scalar"))
        for (char *d = dims; d; d = strchr(d, 'x')) {
            d += *d == 'x';
            put_int(t, 1, strtoll(d, NULL, 10));
        }
    put_int(t, 2, type);
    put_text(t, 8, name);
    while ((word = next_word(rest))) {
        char location[200] = "", offset[40] = "", length[40] = "";
        if (!strcmp(word, "list")) list = true;
        if (!strcmp(word, "both")) both = true;
        if (!strcmp(word, "none")) none = true;
        if (!strncmp(word, "bytes=", 6)) cut = strtoll(word + 6, NULL, 10);
        given |= !strcmp(word, "=");
        if (!strcmp(word, "=") && (word = next_word(rest)))
            for (char *n = strtok(word, ","); n; n = strtok(NULL, ",")) put_number(&raw, type, strtod(n, NULL));
        if (sscanf(word, "ext=%199[^,],%39[^,],%39s", location, offset, length) >= 1) {
            const char *const keys[] = {"location", "offset", "length"}, *const values[] = {location, offset, length};
            none = true;
            put_int(t, 14, 1);
            for (int i = 0; i < 3; i++) {
                bytes entry = {0};
                put_text(&entry, 1, keys[i]);
                put_text(&entry, 2, values[i]);
                if (*values[i]) put_message(t, 13, &entry);
                free(entry.data);
            }
        }
    }
    for (int64_t i = 0; !given && cut < 0 && i < count && i < 1000000 && !none; i++)
        put_number(&raw, type, type == 6 || type == 7 ? (double)(i + 1) : 1 / (double)(i + 1));
    if (cut >= 0) {
        bytes zeros = {.data = calloc(room_for((size_t)cut), 1), .length = (size_t)cut};
        free(raw.data);
        raw = zeros;
    }
    if ((list || both) && !none && type == 1) put_bytes(t, 4, raw.data, raw.length);
    if ((list || both) && !none && type != 1) {
        bytes numbers = {0};
        for (size_t at = 0; at < raw.length; at += size_of(type)) {
            uint64_t number = 0;
            memcpy(&number, raw.data + at, size_of(type));
            put_varint(&numbers, number);
        }
        put_message(t, type == 7 ? 7 : 5, &numbers);
    }
    if (!list && !none) put_bytes(t, 9, raw.data, raw.length);
    free(raw.data);
}

static void put_value(bytes *graph, int field, const char *name, int type, char *dims) {
    bytes info = {0}, tensor = {0}, types = {0}, shape = {0};
    for (char *d = dims; d && *d && strcmp(dims, "scalar"); d = strchr(d, 'x')) {
        bytes dim = {0};
        char symbol[64];
        d += *d == 'x';
        if ((*d >= '0' && *d <= '9') || *d == '-')
            put_int(&dim, 1, strtoll(d, NULL, 10));
        else if (sscanf(d, "%63[^x]", symbol) == 1)
            put_text(&dim, 2, symbol);
        put_message(&shape, 1, &dim);
    }
    put_text(&info, 1, name);
    if (type) {
        put_int(&tensor, 1, type);
        if (dims) put_message(&tensor, 2, &shape);
        put_message(&types, 1, &tensor);
        put_message(&info, 2, &types);
    }
    put_message(graph, field, &info);
}

static void put_attribute(bytes *node, char *word) {
    bytes a = {0};
    char *value = strchr(word, '=');
    *value++ = 0;
    put_text(&a, 1, word);
    if (*value == '"') {
        put_bytes(&a, 4, value + 1, strlen(value) - 2);
        put_int(&a, 20, 3);
    } else if (*value == '[') {
        const bool real = strchr(value, '.') != NULL;
        value[strlen(value) - 1] = 0;
        for (char *n = strtok(value + 1, ","); n; n = strtok(NULL, ",")) {
            if (real)
                put_float(&a, 7, strtof(n, NULL));
            else
                put_int(&a, 8, strtoll(n, NULL, 10));
        }
        put_int(&a, 20, real ? 6 : 7);
    } else if (value[1] == '(') {
        bytes t = {0}, raw = {0};
        int64_t n = 0;
        const int type = type_of(value);
        value[strlen(value) - 1] = 0;
        for (char *w = strtok(value + 2, ","); w; w = strtok(NULL, ","), n++) put_number(&raw, type, strtod(w, NULL));
        put_int(&t, 1, n);
        put_int(&t, 2, type);
        put_bytes(&t, 9, raw.data, raw.length);
        free(raw.data);
        put_message(&a, 5, &t);
        put_int(&a, 20, 4);
    } else if (strchr(value, '.')) {
        put_float(&a, 2, strtof(value, NULL));
        put_int(&a, 20, 1);
    } else {
        put_int(&a, 3, strtoll(value, NULL, 10));
        put_int(&a, 20, 2);
    }
    put_message(node, 5, &a);
}

static void put_names(bytes *node, int field, char *list) {
    char *end;
    for (char *name = list; name; name = end) {
        end = strchr(name, ',');
        if (end) *end++ = 0;
        put_text(node, field, strcmp(name, "-") ? name : "");
    }
}

static void put_node(bytes *graph, char *rest) {
    bytes node = {0};
    char *name = next_word(&rest), *op = next_word(&rest), *word = next_word(&rest);
    if (strcmp(word, ">")) {
        put_names(&node, 1, word);
        word = next_word(&rest);
    }
    if ((word = next_word(&rest)) && !strchr(word, '=')) {
        put_names(&node, 2, word);
        word = next_word(&rest);
    }
    put_text(&node, 3, name);
    put_text(&node, 4, op);
    for (; word; word = next_word(&rest)) put_attribute(&node, word);
    put_message(graph, 1, &node);
}

/* A ModelProto; free its data. */
static bytes onnx_model(const char *text) {
    bytes model = {0}, graph = {0}, opset = {0};
    char *copy = strdup(text), *line = copy;
    long version = 17;
    put_int(&model, 1, 8);
    while (line) {
        char *end = line + strcspn(line, ";\n"), *rest = line;
        line = *end ? end + 1 : NULL;
        *end = 0;
        char *what = next_word(&rest);
        if (!what) continue;
        if (!strcmp(what, "opset")) version = strtol(next_word(&rest), NULL, 10);
        if (!strcmp(what, "node")) put_node(&graph, rest);
        if (!strcmp(what, "input") || !strcmp(what, "output")) {
            char *name = next_word(&rest), *type = next_word(&rest), *dims = next_word(&rest);
            put_value(&graph, *what == 'i' ? 11 : 12, name, type ? type_of(type) : 0, dims);
        }
        if (!strcmp(what, "init")) {
            bytes tensor = {0};
            char *name = next_word(&rest), *type = next_word(&rest), *dims = next_word(&rest);
            put_tensor(&tensor, name, type_of(type), dims, &rest);
            put_message(&graph, 5, &tensor);
        }
    }
    put_text(&graph, 2, "graph");
    put_message(&model, 7, &graph);
    put_text(&opset, 1, "");
    put_int(&opset, 2, version);
    if (version) put_message(&model, 8, &opset);
    free(opset.data);
    free(copy);
    return model;
}

#endif
