/* Named tensors in safetensors files, with checksums of everything. */
#include "file/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((int64_t)1 << 36)
#define HEADER_LIMIT 100000000 /* bytes; the format's own */
#define FORMAT_VERSION "1"

static const char metadata_name[] = "__metadata__", sums_name[] = "crc32c", version_name[] = "convpool";
/* What our headers begin with: the digits of the header's checksum, which follow, have a fixed place so. */
static const char signature[] = "{\"__metadata__\":{\"crc32c\":\"{\\\"header\\\":\\\"";
enum {
    PREFIX = 8, /* the header's length */
    DIGITS_AT = PREFIX + sizeof signature - 1,
    DIGITS = 8,
    ALIGN = 64, /* of the data in our files */
    WIDEST = 8  /* of the types */
};

static const struct {
    const char *name;
    cp_type type;
} types[] = {{"F32", CP_F32}, {"F64", CP_F64},   {"I32", CP_I32}, {"I64", CP_I64},  {"U8", CP_U8},
             {"F16", CP_F16}, {"BF16", CP_BF16}, {"I8", CP_I8},   {"BOOL", CP_BOOL}};

static int64_t bytes_of(const cp_tensor *tensor) {
    return cp_shape_count(tensor->shape) * cp_type_size(tensor->type);
}

static uint32_t sum_of(const cp_tensor *tensor) {
    return cp_crc32c(0, tensor->data, bytes_of(tensor));
}

/* The checksum of the length and the header, its own digits taken as zeros. bytes: from the beginning of the file. */
static void sum_header(const uint8_t *bytes, int64_t end, char digits[DIGITS + 1]) {
    uint32_t sum = cp_crc32c(0, bytes, DIGITS_AT);
    sum = cp_crc32c(sum, "00000000", DIGITS);
    sum = cp_crc32c(sum, bytes + DIGITS_AT + DIGITS, end - DIGITS_AT - DIGITS);
    snprintf(digits, DIGITS + 1, "%08" PRIx32, sum);
}

/* A name in quotes, for error texts. */
static const char *quote(const char *name, char text[404]) {
    char escaped[400];
    snprintf(text, 404, "'%s'", cp_escape(name, strlen(name), escaped));
    return text;
}

/* --- saving --- */

/* Wide types first, otherwise the caller's order: without gaps each tensor is then aligned to its own type. */
static const cp_stored **arrange(const cp_stored *tensors, int64_t n) {
    const cp_stored **arranged = cp_alloc(NULL, n * (int64_t)sizeof *arranged);
    int64_t used = 0;
    for (int64_t size = 8; arranged && size > 0; size /= 2)
        for (int64_t i = 0; i < n; i++)
            if (cp_type_size(tensors[i].tensor.type) == size) arranged[used++] = &tensors[i];
    return arranged;
}

/* {"header":"00000000","tensors":{"conv1.weight":"89abcdef"}} */
static char *make_sums(const cp_stored *const *tensors, int64_t n) {
    cp_text text = {0};
    cp_text_add(&text, "{\"header\":\"00000000\",\"tensors\":{");
    for (int64_t i = 0; i < n; i++) {
        if (i) cp_text_add(&text, ",");
        cp_text_add_json(&text, tensors[i]->name);
        cp_text_add(&text, ":\"%08" PRIx32 "\"", sum_of(&tensors[i]->tensor));
    }
    cp_text_add(&text, "}}");
    return cp_text_take(&text);
}

static void add_note(cp_text *text, const char *name, const char *value) {
    cp_text_add_json(text, name);
    cp_text_add(text, ":");
    cp_text_add_json(text, value);
}

static void add_tensor(cp_text *text, const cp_stored *stored, int64_t begin) {
    const cp_tensor *tensor = &stored->tensor;
    size_t t = 0;
    while (types[t].type != tensor->type) t++;
    cp_text_add(text, ",");
    cp_text_add_json(text, stored->name);
    cp_text_add(text, ":{\"dtype\":\"%s\",\"shape\":[", types[t].name);
    for (int a = 0; a < tensor->shape.rank; a++) cp_text_add(text, "%s%" PRId64, a ? "," : "", tensor->shape.dim[a]);
    cp_text_add(text, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", begin, begin + bytes_of(tensor));
}

/* The beginning of the file up to the data, and its length; NULL with the error set. */
static char *make_header(const cp_stored *const *tensors, int64_t n_tensors, const cp_note *notes, int64_t n_notes,
                         int64_t *length) {
    char *sums = make_sums(tensors, n_tensors);
    if (!sums) return NULL;
    cp_text text = {0};
    cp_text_add(&text, "%*s{\"%s\":{", PREFIX, "", metadata_name);
    add_note(&text, sums_name, sums);
    cp_text_add(&text, ",");
    add_note(&text, version_name, FORMAT_VERSION);
    for (int64_t i = 0; i < n_notes; i++) {
        cp_text_add(&text, ",");
        add_note(&text, notes[i].name, notes[i].value);
    }
    cp_text_add(&text, "}");
    int64_t begin = 0;
    for (int64_t i = 0; i < n_tensors; begin += bytes_of(&tensors[i++]->tensor)) add_tensor(&text, tensors[i], begin);
    cp_text_add(&text, "}");
    cp_text_add(&text, "%*s", (int)(cp_round_up(text.length, ALIGN) - text.length), "");
    cp_free(NULL, sums);
    *length = text.length;
    char *header = cp_text_take(&text);
    if (!header) return NULL;
    const uint64_t json_length = (uint64_t)(*length - PREFIX);
    char digits[DIGITS + 1];
    memcpy(header, &json_length, PREFIX);
    sum_header((const uint8_t *)header, *length, digits);
    memcpy(header + DIGITS_AT, digits, DIGITS);
    return header;
}

/* What could not be loaded must not be saved: duplicate names, names that are not UTF-8. */
static cp_status check_header(const char *header, int64_t length) {
    cp_json json;
    if (length - PREFIX > HEADER_LIMIT) return cp_fail(CP_E_LIMIT, "a header of %lld bytes", (long long)length);
    const cp_status status = cp_json_parse(&json, header + PREFIX, length - PREFIX);
    cp_json_free(&json);
    return status == CP_E_FORMAT ? cp_fail_within(CP_E_ARG, "names and notes") : status;
}

static cp_status check_stored(const cp_stored *tensors, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        char name[404];
        quote(tensors[i].name, name);
        const cp_status status = cp_check_tensor(&tensors[i].tensor, tensors[i].tensor.type, name);
        if (status) return status;
        if (!cp_is_dense(&tensors[i].tensor)) return cp_fail(CP_E_ARG, "%s has gaps or another order", name);
    }
    return CP_OK;
}

static cp_status write_file(const char *path, const char *header, int64_t length, const cp_stored *const *tensors,
                            int64_t n_tensors) {
    cp_saver saver;
    cp_status status = cp_saver_open(&saver, path);
    if (status) return status;
    status = cp_saver_write(&saver, header, length);
    for (int64_t i = 0; i < n_tensors && !status; i++)
        status = cp_saver_write(&saver, tensors[i]->tensor.data, bytes_of(&tensors[i]->tensor));
    if (!status) return cp_saver_commit(&saver);
    cp_saver_cancel(&saver);
    return status;
}

cp_status cp_safetensors_save(const char *path, const cp_stored *tensors, int64_t n_tensors, const cp_note *notes,
                              int64_t n_notes) {
    cp_status status = check_stored(tensors, n_tensors);
    if (status) return status;
    const cp_stored **arranged = arrange(tensors, n_tensors);
    if (!arranged) return CP_E_MEMORY;
    int64_t length = 0;
    char *header = make_header(arranged, n_tensors, notes, n_notes, &length);
    status = header ? check_header(header, length) : CP_E_MEMORY;
    if (!status) status = write_file(path, header, length, arranged, n_tensors);
    cp_free(NULL, header);
    cp_free(NULL, arranged);
    return status;
}

/* --- loading --- */

/* Where the header ends, at most the file's length. */
static cp_status find_header(const uint8_t *bytes, int64_t length, int64_t *end) {
    uint64_t json_length;
    if (length < PREFIX + 2)
        return cp_fail(CP_E_FORMAT, "not a safetensors file: it has only %lld bytes", (long long)length);
    memcpy(&json_length, bytes, PREFIX);
    if (json_length > (uint64_t)(length - PREFIX))
        return cp_fail(CP_E_FORMAT, "not a safetensors file: a header of %" PRIu64 " bytes in a file of %lld",
                       json_length, (long long)length);
    if (json_length > HEADER_LIMIT)
        return cp_fail(CP_E_LIMIT, "a header of %" PRIu64 " bytes, more than the limit of %d", json_length,
                       HEADER_LIMIT);
    *end = PREFIX + (int64_t)json_length;
    return bytes[PREFIX] == '{' ? CP_OK : cp_fail(CP_E_FORMAT, "not a safetensors file: its header is no JSON object");
}

/* Whether a file is ours; then its header has the checksum that it says. */
static cp_status check_header_sum(const uint8_t *bytes, int64_t end, bool *ours) {
    *ours = end >= DIGITS_AT + DIGITS && !memcmp(bytes + PREFIX, signature, sizeof signature - 1);
    char digits[DIGITS + 1];
    if (!*ours) return CP_OK;
    sum_header(bytes, end, digits);
    if (!memcmp(bytes + DIGITS_AT, digits, DIGITS)) return CP_OK;
    return cp_fail(CP_E_FORMAT, "checksum mismatch in the header");
}

static int64_t count_children(const cp_json *json, const cp_json_value *value) {
    int64_t n = 0;
    for (int32_t i = value->child; i; i = json->value[i].next) n++;
    return n;
}

/* The notes, ours taken out. */
static cp_status read_notes(cp_safetensors *file, bool ours, const char **sums) {
    const cp_json *json = &file->header;
    const cp_json_value *metadata = cp_json_member(json, &json->value[1], metadata_name);
    bool version = false;
    *sums = NULL;
    if (!metadata) return CP_OK;
    if (metadata->kind != CP_JSON_OBJECT) return cp_fail(CP_E_FORMAT, "%s is no object", metadata_name);
    file->notes = cp_alloc(NULL, count_children(json, metadata) * (int64_t)sizeof *file->notes);
    if (!file->notes) return CP_E_MEMORY;
    for (int32_t i = metadata->child; i; i = json->value[i].next) {
        const cp_json_value *note = &json->value[i];
        char name[404];
        if (note->kind != CP_JSON_STRING)
            return cp_fail(CP_E_FORMAT, "%s: %s is no text", metadata_name, quote(note->key, name));
        if (!strcmp(note->key, version_name)) {
            version = true;
            if (strcmp(note->text, FORMAT_VERSION))
                return cp_fail(CP_E_UNSUPPORTED, "version %s (newest: %s)",
                               cp_escape(note->text, strlen(note->text), name), FORMAT_VERSION);
        } else if (ours && !strcmp(note->key, sums_name)) {
            *sums = note->text;
        } else {
            file->notes[file->n_notes++] = (cp_note){.name = note->key, .value = note->text};
        }
    }
    /* One flipped bit must not turn a file of ours into one without checksums. */
    if (version && !ours)
        return cp_fail(CP_E_FORMAT, "checksum mismatch in the header: it is not as convpool wrote it");
    return CP_OK;
}

static cp_status read_shape(const cp_json *json, const cp_json_value *list, const char *name, cp_shape *shape) {
    *shape = (cp_shape){0};
    if (!list || list->kind != CP_JSON_ARRAY) return cp_fail(CP_E_FORMAT, "%s has no shape", name);
    for (int32_t i = list->child; i; i = json->value[i].next) {
        if (shape->rank == CP_MAX_RANK)
            return cp_fail(CP_E_UNSUPPORTED, "%s has more than %d dimensions", name, CP_MAX_RANK);
        if (!cp_json_integer(&json->value[i], &shape->dim[shape->rank++]))
            return cp_fail(CP_E_FORMAT, "%s: dimension %d is no whole number", name, shape->rank - 1);
    }
    return CP_OK;
}

static cp_status read_type(const cp_json_value *dtype, const char *name, cp_type *type) {
    char text[400];
    if (!dtype || dtype->kind != CP_JSON_STRING) return cp_fail(CP_E_FORMAT, "%s has no dtype", name);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        if (strcmp(types[t].name, dtype->text)) continue;
        *type = types[t].type;
        return CP_OK;
    }
    return cp_fail(CP_E_UNSUPPORTED, "%s has dtype %s: must be F32, F64, F16, BF16, I32, I64 or U8", name,
                   cp_escape(dtype->text, strlen(dtype->text), text));
}

static cp_status read_tensor(const cp_json *json, const cp_json_value *entry, const uint8_t *data, int64_t length,
                             cp_tensor *tensor) {
    char name[404], shape_text[CP_SHAPE_TEXT];
    cp_shape shape;
    cp_type type = CP_F32;
    int64_t begin, end;
    quote(entry->key, name);
    cp_status status = read_type(cp_json_member(json, entry, "dtype"), name, &type);
    if (!status) status = read_shape(json, cp_json_member(json, entry, "shape"), name, &shape);
    if (status) return status;
    if (cp_check_shape(shape, type, name)) return CP_E_FORMAT;
    const cp_json_value *offsets = cp_json_member(json, entry, "data_offsets");
    if (!cp_json_integer(cp_json_element(json, offsets, 0), &begin) ||
        !cp_json_integer(cp_json_element(json, offsets, 1), &end) || cp_json_element(json, offsets, 2))
        return cp_fail(CP_E_FORMAT, "%s: data_offsets must be two whole numbers", name);
    if (begin < 0 || end < begin || end > length)
        return cp_fail(CP_E_FORMAT, "%s: bytes %lld..%lld outside the %lld bytes of data", name, (long long)begin,
                       (long long)end, (long long)length);
    *tensor = cp_view(data + begin, type, shape);
    if (end - begin != bytes_of(tensor))
        return cp_fail(CP_E_FORMAT, "%s has %lld bytes, %s %s needs %lld", name, (long long)(end - begin),
                       cp_shape_text(shape, shape_text), cp_type_name(type), (long long)bytes_of(tensor));
    if (begin % cp_type_size(type))
        return cp_fail(CP_E_UNSUPPORTED, "%s begins at byte %lld of the data, not at a multiple of %lld", name,
                       (long long)begin, (long long)cp_type_size(type));
    return CP_OK;
}

static cp_status read_tensors(cp_safetensors *file, const uint8_t *data, int64_t length) {
    const cp_json *json = &file->header;
    file->tensors = cp_alloc(NULL, count_children(json, &json->value[1]) * (int64_t)sizeof *file->tensors);
    if (!file->tensors) return CP_E_MEMORY;
    for (int32_t i = json->value[1].child; i; i = json->value[i].next) {
        const cp_json_value *entry = &json->value[i];
        if (!strcmp(entry->key, metadata_name)) continue;
        cp_stored *stored = &file->tensors[file->n_tensors++];
        stored->name = entry->key;
        const cp_status status = read_tensor(json, entry, data, length, &stored->tensor);
        if (status) return status;
    }
    return CP_OK;
}

static int compare_places(const void *a, const void *b) {
    const cp_tensor *x = &(*(const cp_stored *const *)a)->tensor, *y = &(*(const cp_stored *const *)b)->tensor;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return (bytes_of(x) > bytes_of(y)) - (bytes_of(x) < bytes_of(y));
}

/* Every byte of the data belongs to exactly one tensor. */
static cp_status check_layout(const cp_safetensors *file, const uint8_t *data, int64_t length) {
    const int64_t n = file->n_tensors;
    const cp_stored **sorted = cp_alloc(NULL, n * (int64_t)sizeof *sorted);
    if (!sorted) return CP_E_MEMORY;
    for (int64_t i = 0; i < n; i++) sorted[i] = &file->tensors[i];
    qsort(sorted, (size_t)n, sizeof *sorted, compare_places);
    const uint8_t *end = data;
    cp_status status = CP_OK;
    for (int64_t i = 0; i < n && !status; i++) {
        const uint8_t *begin = sorted[i]->tensor.data;
        char name[404], before[404];
        quote(sorted[i]->name, name);
        if (begin < end)
            status = cp_fail(CP_E_FORMAT, "%s and %s overlap", quote(sorted[i - 1]->name, before), name);
        else if (begin > end)
            status = cp_fail(CP_E_FORMAT, "a hole of %lld bytes before %s", (long long)(begin - end), name);
        end = begin + bytes_of(&sorted[i]->tensor);
    }
    if (!status && end != data + length)
        status = cp_fail(CP_E_FORMAT, "%lld bytes behind the last tensor", (long long)(data + length - end));
    cp_free(NULL, sorted);
    return status;
}

/* The tensors' checksums, which stand in the order of the tensors. */
static cp_status check_sums(const cp_safetensors *file, const cp_json *sums) {
    const cp_json_value *all = cp_json_member(sums, &sums->value[1], "tensors");
    int32_t next = all && all->kind == CP_JSON_OBJECT ? all->child : 0;
    for (int64_t i = 0; i < file->n_tensors; i++) {
        char name[404], digits[DIGITS + 1];
        quote(file->tensors[i].name, name);
        const cp_json_value *sum = &sums->value[next];
        if (!next || strcmp(sum->key, file->tensors[i].name) || sum->kind != CP_JSON_STRING)
            return cp_fail(CP_E_FORMAT, "no checksum of %s", name);
        snprintf(digits, sizeof digits, "%08" PRIx32, sum_of(&file->tensors[i].tensor));
        if (strcmp(sum->text, digits)) return cp_fail(CP_E_FORMAT, "checksum mismatch in %s", name);
        next = sum->next;
    }
    return next ? cp_fail(CP_E_FORMAT, "a checksum of a tensor that is missing") : CP_OK;
}

static cp_status read_contents(cp_safetensors *file, const uint8_t *bytes, int64_t length) {
    int64_t header_end = 0;
    bool ours = false;
    const char *sums_text;
    cp_status status = find_header(bytes, length, &header_end);
    if (!status) status = check_header_sum(bytes, header_end, &ours);
    if (status) return status;
    status = cp_json_parse(&file->header, (const char *)bytes + PREFIX, header_end - PREFIX);
    if (status) return cp_fail_within(status, "header");
    if ((status = read_notes(file, ours, &sums_text))) return status;

    const uint8_t *data = bytes + header_end;
    const int64_t data_length = length - header_end;
    if ((uintptr_t)data % WIDEST) {
        file->copy = cp_alloc(NULL, data_length);
        if (!file->copy) return CP_E_MEMORY;
        data = memcpy(file->copy, data, (size_t)data_length);
    }
    if ((status = read_tensors(file, data, data_length)) || (status = check_layout(file, data, data_length)) || !ours)
        return status;

    cp_json sums;
    if ((status = cp_json_parse(&sums, sums_text, (int64_t)strlen(sums_text))))
        return cp_fail_within(status, "checksums");
    status = check_sums(file, &sums);
    cp_json_free(&sums);
    file->checked = !status;
    return status;
}

cp_status cp_safetensors_read(cp_safetensors *file, const void *bytes, int64_t length) {
    *file = (cp_safetensors){0};
    const cp_status status = read_contents(file, bytes, length);
    if (status) cp_safetensors_free(file);
    return status;
}

cp_status cp_safetensors_load(cp_safetensors *file, const char *path) {
    cp_mapped bytes;
    *file = (cp_safetensors){0};
    cp_status status = cp_file_map(&bytes, path, FILE_LIMIT);
    if (status) return status;
    status = cp_safetensors_read(file, bytes.bytes, bytes.length);
    if (!status) {
        file->bytes = bytes;
        return CP_OK;
    }
    cp_file_unmap(&bytes);
    return cp_fail_within(status, "%s", path);
}

void cp_safetensors_free(cp_safetensors *file) {
    cp_free(NULL, file->tensors);
    cp_free(NULL, file->notes);
    cp_free(NULL, file->copy);
    cp_file_unmap(&file->bytes);
    cp_json_free(&file->header);
    *file = (cp_safetensors){0};
}

const cp_tensor *cp_safetensors_find(const cp_safetensors *file, const char *name) {
    for (int64_t i = 0; i < file->n_tensors; i++)
        if (!strcmp(file->tensors[i].name, name)) return &file->tensors[i].tensor;
    return NULL;
}

const char *cp_safetensors_note(const cp_safetensors *file, const char *name) {
    for (int64_t i = 0; i < file->n_notes; i++)
        if (!strcmp(file->notes[i].name, name)) return file->notes[i].value;
    return NULL;
}
