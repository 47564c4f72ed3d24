/* IDX files (http://yann.lecun.com/exdb/mnist/): a magic number, the sizes as big-endian 32-bit numbers, the bytes. */
#include "data/data.h"

#include <inttypes.h>
#include <string.h>

#define LABELS_MAGIC 0x00000801u
#define GREY_MAGIC 0x00000803u   /* N, H, W */
#define COLOUR_MAGIC 0x00000804u /* N, H, W, C */
#define MAX_BYTES (INT64_C(1) << 36)

static cp_status read_number(cp_input *in, uint32_t *number) {
    uint8_t byte[4];
    int64_t got;
    cp_status status = cp_input_read(in, byte, 4, &got);
    if (status) return status;
    if (got < 4)
        return cp_fail(CP_E_FORMAT, "%s: ends in the middle of the IDX header, after %" PRId64 " bytes", in->path,
                       in->at);
    *number = (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
    return CP_OK;
}

static cp_status wrong_length(const cp_input *in, int64_t count, const char *things, int64_t need, int64_t has) {
    return cp_fail(CP_E_FORMAT, "%s: %" PRId64 " %s need %" PRId64 " bytes, file has %" PRId64, in->path, count, things,
                   need, has);
}

/* Reads the rest of the file, exactly `bytes` bytes for `count` things. *memory is to be freed also on failure. */
static cp_status read_rest(cp_input *in, int64_t bytes, int64_t count, const char *things, uint8_t **memory) {
    int64_t need = in->at + bytes, filled, beyond;
    if (in->length >= 0 && in->length != need) return wrong_length(in, count, things, need, in->length);
    cp_status status = cp_input_read_growing(in, bytes, memory, &filled);
    if (status) return status;
    if (filled < bytes) return wrong_length(in, count, things, need, in->at);
    status = cp_input_read(in, &(uint8_t){0}, 1, &beyond);
    if (!status && beyond)
        status = cp_fail(CP_E_FORMAT, "%s: %" PRId64 " %s need %" PRId64 " bytes, file has more", in->path, count,
                         things, need);
    return status;
}

/* --- the two files --- */

static cp_status wrong_magic(const cp_input *in, uint32_t magic, bool images) {
    const char *is = magic >> 16 == 0x1f8b                          ? " (packed with gzip)"
                     : magic == LABELS_MAGIC                        ? " (IDX labels)"
                     : magic == GREY_MAGIC || magic == COLOUR_MAGIC ? " (IDX images)"
                                                                    : "";
    return cp_fail(CP_E_FORMAT, "%s: begins with 0x%08" PRIx32 "%s, IDX %s", in->path, magic, is,
                   images ? "images with 0x00000803 or 0x00000804" : "labels with 0x00000801");
}

/* The shape as a picture has it, [N,H,W,C], and its bytes. */
static cp_status read_image_sizes(cp_input *in, cp_shape *shape, int64_t *bytes) {
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
    cp_input in;
    int64_t bytes = 0;
    cp_status status = cp_input_open(&in, path, open);
    if (status) return status;
    status = read_image_sizes(&in, shape, &bytes);
    if (!status) status = read_rest(&in, bytes, shape->dim[0], "images", images);
    cp_input_close(&in);
    return status;
}

static cp_status read_label_bytes(cp_input *in, int64_t images, uint8_t **labels) {
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
    cp_input in;
    uint8_t *bytes = NULL;
    cp_status status = cp_input_open(&in, path, open);
    if (status) return status;
    status = read_label_bytes(&in, images, &bytes);
    cp_input_close(&in);
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
