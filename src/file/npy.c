/* Arrays in NumPy's .npy files (numpy.lib.format, versions 1.0 to 3.0). */
#include "file/file.h"

#include <stdio.h>
#include <string.h>

#define FILE_LIMIT ((int64_t)1 << 36)

static const char magic[] = "\x93NUMPY";
enum { MAGIC = 6, VERSION = 8 /* magic, major, minor; the header's length follows */ };

static const struct {
    const char *descr;
    cp_type type;
} types[] = {{"<f4", CP_F32}, {"<f8", CP_F64},  {"<i4", CP_I32}, {"<i8", CP_I64},
             {"|u1", CP_U8},  {"|b1", CP_BOOL}, {"<f2", CP_F16}, {"|i1", CP_I8}};

/* --- the header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } --- */

typedef struct header {
    cp_type type;
    bool fortran_order;
    cp_shape shape;
} header;

typedef struct parser {
    const char *text;
    int64_t length, position;
} parser;

static cp_status wrong(const parser *p, const char *what) {
    return cp_fail(CP_E_FORMAT, "%s at byte %lld of the header", what, (long long)p->position);
}

static int peek(const parser *p) {
    return p->position < p->length ? (unsigned char)p->text[p->position] : -1;
}

static void skip_space(parser *p) {
    while (peek(p) == ' ' || peek(p) == '\n' || peek(p) == '\t') p->position++;
}

/* A sign, behind any space. */
static bool take(parser *p, char c) {
    skip_space(p);
    if (peek(p) != c) return false;
    p->position++;
    return true;
}

static bool take_word(parser *p, const char *word) {
    const int64_t length = (int64_t)strlen(word);
    skip_space(p);
    if (length > p->length - p->position || memcmp(p->text + p->position, word, (size_t)length)) return false;
    p->position += length;
    return true;
}

/* Text in quotes of either kind; the texts of this format hold no escapes. */
static bool take_quoted(parser *p, const char **text, int64_t *length) {
    const char quote = take(p, '\'') ? '\'' : '"';
    if (quote == '"' && !take(p, '"')) return false;
    *text = p->text + p->position;
    const int64_t start = p->position;
    while (peek(p) != quote)
        if (peek(p) < 0 || peek(p) == '\\')
            return false;
        else
            p->position++;
    *length = p->position++ - start;
    return true;
}

static cp_status parse_descr(parser *p, cp_type *type) {
    const char *text;
    char shown[400];
    int64_t length;
    if (take(p, '[')) return cp_fail(CP_E_UNSUPPORTED, "structured elements are not supported");
    if (!take_quoted(p, &text, &length)) return wrong(p, "quoted text expected");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if ((int64_t)strlen(types[i].descr) != length || memcmp(types[i].descr, text, (size_t)length)) continue;
        *type = types[i].type;
        return CP_OK;
    }
    const char *const what = length && *text == '>'                      ? " (big-endian)"
                             : length == 3 && !memcmp(text + 1, "V2", 2) ? " (NumPy has no bf16)"
                                                                         : "";
    return cp_fail(CP_E_UNSUPPORTED, "elements '%s' are not supported%s: must be <f4, <f8, <f2, <i4, <i8, |u1 or |b1",
                   cp_escape(text, (size_t)length, shown), what);
}

static cp_status parse_dimension(parser *p, int64_t *dimension) {
    skip_space(p);
    const int64_t start = p->position;
    *dimension = 0;
    for (int c; c = peek(p), c >= '0' && c <= '9'; p->position++)
        if (!cp_mul(*dimension, 10, dimension) || !cp_sum(*dimension, c - '0', dimension))
            return wrong(p, "dimension too large");
    return p->position > start ? CP_OK : wrong(p, peek(p) == '-' ? "negative dimension" : "dimension expected");
}

static cp_status parse_shape(parser *p, cp_shape *shape) {
    if (!take(p, '(')) return wrong(p, "( expected");
    while (!take(p, ')')) {
        if (shape->rank == CP_MAX_RANK)
            return cp_fail(CP_E_UNSUPPORTED, "more than %d dimensions are not supported", CP_MAX_RANK);
        const cp_status status = parse_dimension(p, &shape->dim[shape->rank++]);
        if (status) return status;
        /* Only a comma makes a tuple of one. */
        const bool comma = take(p, ',');
        skip_space(p);
        if (!comma && (peek(p) != ')' || shape->rank == 1)) return wrong(p, ", expected");
    }
    return CP_OK;
}

static cp_status parse_header(parser p, header *h) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {false};
    if (!take(&p, '{')) return wrong(&p, "{ expected");
    while (!take(&p, '}')) {
        const char *key;
        char shown[400];
        int64_t length;
        int k = 0;
        cp_status status = CP_OK;
        if (!take_quoted(&p, &key, &length)) return wrong(&p, "quoted text expected");
        while (k < 3 && ((int64_t)strlen(keys[k]) != length || memcmp(keys[k], key, (size_t)length))) k++;
        if (k == 3) return cp_fail(CP_E_FORMAT, "unknown key '%s'", cp_escape(key, (size_t)length, shown));
        if (seen[k]) return cp_fail(CP_E_FORMAT, "duplicate key '%s'", keys[k]);
        seen[k] = true;
        if (!take(&p, ':')) return wrong(&p, ": expected");
        if (k == 0)
            status = parse_descr(&p, &h->type);
        else if (k == 2)
            status = parse_shape(&p, &h->shape);
        else if (take_word(&p, "True"))
            h->fortran_order = true;
        else if (!take_word(&p, "False"))
            status = wrong(&p, "True or False expected");
        if (status) return status;
        const bool comma = take(&p, ',');
        skip_space(&p);
        if (!comma && peek(&p) != '}') return wrong(&p, ", or } expected");
    }
    for (int k = 0; k < 3; k++)
        if (!seen[k]) return cp_fail(CP_E_FORMAT, "the key '%s' is missing", keys[k]);
    skip_space(&p);
    return p.position == p.length ? CP_OK : wrong(&p, "something behind the end");
}

/* --- loading --- */

/* Finds the header of a file and where the data begin. */
static cp_status read_header(const uint8_t *bytes, int64_t length, header *h, int64_t *data) {
    if (length < VERSION || memcmp(bytes, magic, MAGIC)) return cp_fail(CP_E_FORMAT, "not a .npy file");
    const int major = bytes[6], minor = bytes[7], width = major == 1 ? 2 : 4;
    if (major < 1 || major > 3 || minor != 0)
        return cp_fail(CP_E_UNSUPPORTED, ".npy version %d.%d is not supported (newest: 3.0)", major, minor);
    if (length < VERSION + width) return cp_fail(CP_E_FORMAT, "truncated at byte %lld", (long long)length);
    int64_t header_length = 0;
    for (int i = width - 1; i >= 0; i--) header_length = header_length << 8 | bytes[VERSION + i];
    const int64_t start = VERSION + width;
    if (header_length > length - start)
        return cp_fail(CP_E_FORMAT, "truncated: the header has %lld bytes, the file %lld behind its length",
                       (long long)header_length, (long long)(length - start));
    *data = start + header_length;
    return parse_header((parser){.text = (const char *)bytes + start, .length = header_length}, h);
}

/* Brings an array that lies in Fortran order into C order: the same axes, the first one innermost. */
static cp_status reorder(cp_array *array) {
    void *data = cp_alloc(NULL, cp_shape_count(array->shape) * cp_type_size(array->type));
    if (!data) return CP_E_MEMORY;
    const cp_tensor to = cp_view(data, array->type, array->shape);
    cp_tensor from = cp_view(array->data, array->type, array->shape);
    int64_t stride = 1;
    for (int a = 0; a < from.shape.rank; a++) {
        from.stride[a] = stride;
        stride *= from.shape.dim[a];
    }
    const cp_status status = cp_tensor_copy(&to, &from);
    cp_free(NULL, status ? data : array->data);
    if (!status) array->data = data;
    return status;
}

/* Makes the file's memory the array's own. */
static cp_status take_array(cp_array *array, uint8_t **bytes, int64_t length) {
    char text[CP_SHAPE_TEXT];
    header h = {0};
    int64_t data = 0;
    cp_status status = read_header(*bytes, length, &h, &data);
    if (status) return status;
    if (cp_check_shape(h.shape, h.type, "array")) return CP_E_FORMAT;
    const int64_t needed = cp_shape_count(h.shape) * cp_type_size(h.type);
    if (length - data != needed)
        return cp_fail(CP_E_FORMAT, "has %lld bytes of data, %s %s needs %lld", (long long)(length - data),
                       cp_shape_text(h.shape, text), cp_type_name(h.type), (long long)needed);
    memmove(*bytes, *bytes + data, (size_t)needed);
    *array = (cp_array){.data = *bytes, .type = h.type, .shape = h.shape};
    *bytes = NULL;
    return h.fortran_order ? reorder(array) : CP_OK;
}

cp_status cp_npy_load(cp_array *array, const char *path) {
    uint8_t *bytes;
    int64_t length;
    if (!array) return cp_fail(CP_E_ARG, "array is NULL");
    *array = (cp_array){0};
    cp_status status = cp_file_read(path, FILE_LIMIT, &bytes, &length);
    if (status) return status;
    status = take_array(array, &bytes, length);
    cp_free(NULL, bytes);
    if (!status) return CP_OK;
    cp_array_free(array);
    return cp_fail_within(status, "%s", path);
}

void cp_array_free(cp_array *array) {
    if (!array) return;
    cp_free(NULL, array->data);
    *array = (cp_array){0};
}

/* --- saving --- */

enum { HEADER_LINE = 64, HEADER_MOST = 4 * HEADER_LINE /* with eight dimensions of 19 digits */ };

/* Everything before the data: padded with spaces, so that these begin at a multiple of 64. Returns its length. */
static int64_t make_header(cp_type type, cp_shape shape, char text[HEADER_MOST]) {
    size_t t = 0;
    while (types[t].type != type) t++;
    int length = snprintf(text, HEADER_MOST, "%s\1%c..{'descr': '%s', 'fortran_order': False, 'shape': (", magic, 0,
                          types[t].descr);
    for (int a = 0; a < shape.rank; a++)
        length +=
            snprintf(text + length, (size_t)(HEADER_MOST - length), "%s%lld", a ? ", " : "", (long long)shape.dim[a]);
    length += snprintf(text + length, (size_t)(HEADER_MOST - length), shape.rank == 1 ? ",), }" : "), }");
    const int64_t padded = cp_round_up(length + 1, HEADER_LINE), behind = padded - VERSION - 2;
    memset(text + length, ' ', (size_t)(padded - length));
    text[padded - 1] = '\n';
    text[VERSION] = (char)(behind & 255);
    text[VERSION + 1] = (char)(behind >> 8);
    return padded;
}

static cp_status write_array(const cp_tensor *dense, const char *path) {
    char header_text[HEADER_MOST];
    cp_saver saver;
    cp_status status = cp_saver_open(&saver, path);
    if (status) return status;
    const int64_t header_bytes = make_header(dense->type, dense->shape, header_text);
    status = cp_saver_write(&saver, header_text, header_bytes);
    if (!status) status = cp_saver_write(&saver, dense->data, cp_shape_count(dense->shape) * cp_type_size(dense->type));
    if (!status) return cp_saver_commit(&saver);
    cp_saver_cancel(&saver);
    return status;
}

cp_status cp_npy_save(const cp_tensor *tensor, const char *path) {
    if (!tensor) return cp_fail(CP_E_ARG, "tensor is NULL");
    cp_status status = cp_check_tensor(tensor, tensor->type, "tensor");
    if (status) return status;
    if (tensor->type == CP_BF16)
        return cp_fail(CP_E_UNSUPPORTED, "bf16 cannot be saved in a .npy file: NumPy has no such type");
    if (cp_is_dense(tensor)) return write_array(tensor, path);
    void *data = cp_alloc(NULL, cp_shape_count(tensor->shape) * cp_type_size(tensor->type));
    if (!data) return CP_E_MEMORY;
    const cp_tensor dense = cp_view(data, tensor->type, tensor->shape);
    status = cp_tensor_copy(&dense, tensor);
    if (!status) status = write_array(&dense, path);
    cp_free(NULL, data);
    return status;
}
