/* IDX files (http://yann.lecun.com/exdb/mnist/): a magic number, the sizes as big-endian 32-bit numbers, the bytes. */
#include "data/data.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LABELS_MAGIC 0x00000801u
#define GREY_MAGIC 0x00000803u   /* N, H, W */
#define COLOUR_MAGIC 0x00000804u /* N, H, W, C */
#define MAX_BYTES (INT64_C(1) << 36)
#define FIRST_BYTES (INT64_C(1) << 20) /* of memory, before the file has shown that there is more */

typedef struct input {
    const char *path;
    cp_reader reader;
    int64_t length; /* of the file; -1 where only reading tells */
    int64_t at;     /* bytes read so far */
} input;

static cp_status open_input(input *in, const char *path, cp_open open) {
    *in = (input){.path = path, .length = -1};
    if (!open) return cp_file_open(&in->reader, path, &in->length);
    cp_status status = open(&in->reader, path);
    if (status) return cp_fail(status, "%s: %s", path, in->reader.text ? in->reader.text : cp_status_text(status));
    if (!in->reader.read) return cp_fail(CP_E_ARG, "%s: the reader has no function to read", path);
    return CP_OK;
}

static void close_input(input *in) {
    if (in->reader.close) in->reader.close(in->reader.user);
}

/* Reads `bytes` bytes, or as many as there are. */
static cp_status read_bytes(input *in, void *buffer, int64_t bytes, int64_t *got) {
    for (*got = 0; *got < bytes;) {
        int64_t left = bytes - *got, more = in->reader.read(in->reader.user, (uint8_t *)buffer + *got, left);
        if (more < 0 || more > left) {
            if (!in->reader.text) return cp_fail_errno(in->path, "cannot read", more < 0 ? errno : EIO);
            return cp_fail(CP_E_IO, "%s: %s", in->path, in->reader.text);
        }
        if (more == 0) break;
        *got += more;
    }
    in->at += *got;
    return CP_OK;
}

static cp_status read_number(input *in, uint32_t *number) {
    uint8_t byte[4];
    int64_t got;
    cp_status status = read_bytes(in, byte, 4, &got);
    if (status) return status;
    if (got < 4)
        return cp_fail(CP_E_FORMAT, "%s: ends in the middle of the IDX header, after %" PRId64 " bytes", in->path,
                       in->at);
    *number = (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
    return CP_OK;
}

/* Reads up to `bytes` bytes into memory that grows with what has been read: a header alone cannot ask for much. */
static cp_status read_growing(input *in, int64_t bytes, uint8_t **memory, int64_t *filled) {
    int64_t capacity = 0, got;
    cp_status status = CP_OK;
    *filled = 0;
    while (!status && *filled == capacity && capacity < bytes) {
        int64_t larger = capacity ? 2 * capacity : FIRST_BYTES;
        if (larger > bytes) larger = bytes;
        uint8_t *grown = cp_alloc(NULL, larger);
        if (!grown) return CP_E_MEMORY;
        if (*filled) memcpy(grown, *memory, (size_t)*filled);
        cp_free(NULL, *memory);
        *memory = grown;
        status = read_bytes(in, grown + *filled, larger - *filled, &got);
        *filled += got;
        capacity = larger;
    }
    return status;
}

static cp_status wrong_length(const input *in, int64_t count, const char *things, int64_t need, int64_t has) {
    return cp_fail(CP_E_FORMAT, "%s: %" PRId64 " %s need %" PRId64 " bytes, file has %" PRId64, in->path, count, things,
                   need, has);
}

/* Reads the rest of the file, exactly `bytes` bytes for `count` things. *memory is to be freed also on failure. */
static cp_status read_rest(input *in, int64_t bytes, int64_t count, const char *things, uint8_t **memory) {
    int64_t need = in->at + bytes, filled, beyond;
    if (in->length >= 0 && in->length != need) return wrong_length(in, count, things, need, in->length);
    cp_status status = read_growing(in, bytes, memory, &filled);
    if (status) return status;
    if (filled < bytes) return wrong_length(in, count, things, need, in->at);
    status = read_bytes(in, &(uint8_t){0}, 1, &beyond);
    if (!status && beyond)
        status = cp_fail(CP_E_FORMAT, "%s: %" PRId64 " %s need %" PRId64 " bytes, file has more", in->path, count,
                         things, need);
    return status;
}

/* --- the two files --- */

static cp_status wrong_magic(const input *in, uint32_t magic, bool images) {
    const char *is = magic >> 16 == 0x1f8b                          ? " (packed with gzip)"
                     : magic == LABELS_MAGIC                        ? " (IDX labels)"
                     : magic == GREY_MAGIC || magic == COLOUR_MAGIC ? " (IDX images)"
                                                                    : "";
    return cp_fail(CP_E_FORMAT, "%s: begins with 0x%08" PRIx32 "%s, IDX %s", in->path, magic, is,
                   images ? "images with 0x00000803 or 0x00000804" : "labels with 0x00000801");
}

/* The shape as a picture has it, [N,H,W,C], and its bytes. */
static cp_status read_image_sizes(input *in, cp_shape *shape, int64_t *bytes) {
    static const char *const names[] = {"the number of images", "the height", "the width", "the number of channels"};
    uint32_t magic = 0, size = 0;
    cp_status status = read_number(in, &magic);
    if (status) return status;
    if (magic != GREY_MAGIC && magic != COLOUR_MAGIC) return wrong_magic(in, magic, true);
    *shape = cp_shape_nhwc(1, 1, 1, 1);
    for (int a = 0; a < (int)(magic & 0xff); a++) {
        status = read_number(in, &size);
        if (status) return status;
        if (size == 0) return cp_fail(CP_E_FORMAT, "%s: %s is 0", in->path, names[a]);
        shape->dim[a] = size;
    }
    *bytes = cp_shape_count(*shape);
    char text[CP_SHAPE_TEXT];
    if (*bytes < 0 || *bytes > MAX_BYTES)
        return cp_fail(CP_E_LIMIT, "%s: images of %s bytes, limit %" PRId64, in->path, cp_shape_text(*shape, text),
                       MAX_BYTES);
    return CP_OK;
}

static cp_status read_images(const char *path, cp_open open, cp_shape *shape, uint8_t **images) {
    input in;
    int64_t bytes = 0;
    cp_status status = open_input(&in, path, open);
    if (status) return status;
    status = read_image_sizes(&in, shape, &bytes);
    if (!status) status = read_rest(&in, bytes, shape->dim[0], "images", images);
    close_input(&in);
    return status;
}

static cp_status read_label_bytes(input *in, int64_t images, uint8_t **labels) {
    uint32_t magic = 0, count = 0;
    cp_status status = read_number(in, &magic);
    if (!status && magic != LABELS_MAGIC) status = wrong_magic(in, magic, false);
    if (!status) status = read_number(in, &count);
    if (status) return status;
    if (count != images)
        return cp_fail(CP_E_FORMAT, "%s: %" PRIu32 " labels for %" PRId64 " images", in->path, count, images);
    return read_rest(in, count, count, "labels", labels);
}

/* How many classes there are: the largest label + 1, at least 2. */
static int widen_labels(int32_t *labels, const uint8_t *bytes, int64_t count) {
    int classes = 2;
    for (int64_t i = 0; i < count; i++) {
        labels[i] = bytes[i];
        if (bytes[i] >= classes) classes = bytes[i] + 1;
    }
    return classes;
}

static cp_status read_labels(const char *path, cp_open open, int64_t images, int32_t **labels, int *classes) {
    input in;
    uint8_t *bytes = NULL;
    cp_status status = open_input(&in, path, open);
    if (status) return status;
    status = read_label_bytes(&in, images, &bytes);
    close_input(&in);
    if (!status) {
        *labels = cp_alloc(NULL, images * (int64_t)sizeof **labels);
        if (!*labels) status = CP_E_MEMORY;
    }
    if (!status) *classes = widen_labels(*labels, bytes, images);
    cp_free(NULL, bytes);
    return status;
}

cp_status cp_data_idx(cp_data **data, const char *images, const char *labels, cp_open open) {
    if (!data) return cp_fail(CP_E_ARG, "data is NULL");
    *data = NULL;
    if (!images || !labels) return cp_fail(CP_E_ARG, "%s is NULL", images ? "labels" : "images");
    cp_shape shape;
    int classes = 0;
    uint8_t *pixels = NULL;
    int32_t *label_of = NULL;
    cp_status status = read_images(images, open, &shape, &pixels);
    if (!status) status = read_labels(labels, open, shape.dim[0], &label_of, &classes);
    if (!status) return cp_data_take(data, shape, classes, pixels, label_of);
    cp_free(NULL, pixels);
    return status;
}
