/* Labelled pictures in memory: making, copying, splitting, and batches of floats from them. */
#include "data/data.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define SPLIT_STREAM 0x73706c74u /* apart from the streams of everything else that has a seed */

cp_status cp_data_take(cp_data **data, cp_shape shape, int classes, uint8_t *images, int32_t *labels) {
    cp_data *new = images &&labels ? cp_alloc(NULL, sizeof *new) : NULL;
    *data = new;
    if (!new) {
        cp_free(NULL, images);
        cp_free(NULL, labels);
        return CP_E_MEMORY;
    }
    *new = (cp_data){.shape = shape, .classes = classes, .images = images, .labels = labels};
    return CP_OK;
}

cp_status cp_data_new(cp_data **data, int64_t n, int64_t h, int64_t w, int64_t c, int classes) {
    *data = NULL;
    cp_shape shape = cp_shape_nhwc(n, h, w, c);
    cp_status status = cp_check_shape(shape, CP_U8, "images");
    if (!status) status = cp_check_shape(cp_shape_of(1, &n), CP_I32, "labels");
    if (status) return status;
    uint8_t *images = cp_alloc(NULL, cp_shape_count(shape));
    int32_t *labels = images ? cp_alloc(NULL, n * (int64_t)sizeof *labels) : NULL;
    return cp_data_take(data, shape, classes, images, labels);
}

void cp_data_free(cp_data *data) {
    if (!data) return;
    cp_free(NULL, data->images);
    cp_free(NULL, data->labels);
    cp_free(NULL, data);
}

static cp_status check_memory(const cp_tensor *images, const cp_tensor *labels, int classes) {
    if (!images || !labels) return cp_fail(CP_E_ARG, "%s is NULL", images ? "labels" : "images");
    if (classes < 1) return cp_fail(CP_E_ARG, "classes = %d: must be at least 1", classes);
    cp_status status = cp_check_tensor(images, CP_U8, "images");
    if (!status) status = cp_check_tensor(labels, CP_I32, "labels");
    if (status) return status;
    char text[CP_SHAPE_TEXT];
    if (images->shape.rank != 4 || cp_shape_count(images->shape) == 0)
        return cp_fail(CP_E_SHAPE, "images is %s: must be N x H x W x C, none of them 0",
                       cp_shape_text(images->shape, text));
    if (labels->shape.rank != 1 || labels->shape.dim[0] != images->shape.dim[0])
        return cp_fail(CP_E_SHAPE, "labels is %s: must be one label for each of %" PRId64 " images",
                       cp_shape_text(labels->shape, text), images->shape.dim[0]);
    for (int64_t i = 0; i < labels->shape.dim[0]; i++) {
        int32_t label = ((const int32_t *)labels->data)[i * labels->stride[0]];
        if (label < 0 || label >= classes)
            return cp_fail(CP_E_ARG, "label %" PRId32 " at %" PRId64 ": must be 0..%d", label, i, classes - 1);
    }
    return CP_OK;
}

cp_status cp_data_memory(cp_data **data, const cp_tensor *images, const cp_tensor *labels, int classes) {
    if (!data) return cp_fail(CP_E_ARG, "data is NULL");
    *data = NULL;
    cp_status status = check_memory(images, labels, classes);
    if (status) return status;
    const int64_t *dim = images->shape.dim;
    cp_data *new;
    status = cp_data_new(&new, dim[0], dim[1], dim[2], dim[3], classes);
    if (status) return status;
    cp_tensor own_images = cp_view(new->images, CP_U8, images->shape);
    cp_tensor own_labels = cp_view(new->labels, CP_I32, labels->shape);
    status = cp_tensor_copy(&own_images, images);
    if (!status) status = cp_tensor_copy(&own_labels, labels);
    if (status)
        cp_data_free(new);
    else
        *data = new;
    return status;
}

static int64_t picture_bytes(const cp_data *data) {
    return data->shape.dim[1] * data->shape.dim[2] * data->shape.dim[3];
}

static void copy_picture(cp_data *to, int64_t i, const cp_data *from, int64_t j) {
    int64_t bytes = picture_bytes(from);
    if (to == from && i == j) return;
    memcpy(to->images + i * bytes, from->images + j * bytes, (size_t)bytes);
    to->labels[i] = from->labels[j];
}

/* The pictures that go are drawn; those that go and those that stay keep their order. */
static void move_pictures(cp_data *data, cp_data *rest, const int64_t *order, bool *goes) {
    int64_t n = data->shape.dim[0], moved = rest->shape.dim[0], kept = 0, gone = 0;
    for (int64_t i = n - moved; i < n; i++) goes[order[i]] = true;
    for (int64_t i = 0; i < n; i++) {
        if (goes[i])
            copy_picture(rest, gone++, data, i);
        else
            copy_picture(data, kept++, data, i);
    }
    data->shape.dim[0] = kept;
}

cp_status cp_data_split(cp_data *data, double fraction, uint64_t seed, cp_data **rest) {
    char text[32];
    if (!rest) return cp_fail(CP_E_ARG, "rest is NULL");
    *rest = NULL;
    if (!data) return cp_fail(CP_E_ARG, "data is NULL");
    if (!(0 < fraction && fraction < 1))
        return cp_fail(CP_E_ARG, "fraction = %s: must be above 0 and below 1", cp_real_text(fraction, 6, text));
    const int64_t *dim = data->shape.dim, n = dim[0], moved = (int64_t)floor(fraction * (double)n + 0.5);
    if (moved < 1 || moved >= n)
        return cp_fail(CP_E_ARG, "fraction = %s: would leave %" PRId64 " and %" PRId64 " of %" PRId64 " pictures",
                       cp_real_text(fraction, 6, text), n - moved, moved, n);
    if (n > UINT32_MAX) return cp_fail(CP_E_LIMIT, "%" PRId64 " pictures: at most 4294967295 can be split", n);

    int64_t *order = cp_alloc(NULL, n * (int64_t)sizeof *order);
    bool *goes = order ? cp_zalloc(NULL, n * (int64_t)sizeof *goes) : NULL;
    cp_status status = goes ? cp_data_new(rest, moved, dim[1], dim[2], dim[3], data->classes) : CP_E_MEMORY;
    if (!status) {
        cp_random_permutation(&(cp_random_key){.seed = seed, .stream = SPLIT_STREAM}, n, order);
        move_pictures(data, *rest, order, goes);
    }
    cp_free(NULL, order);
    cp_free(NULL, goes);
    return status;
}

int64_t cp_data_count(const cp_data *data) {
    return data ? data->shape.dim[0] : 0;
}

int cp_data_classes(const cp_data *data) {
    return data ? data->classes : 0;
}

cp_shape cp_data_shape(const cp_data *data) {
    return data ? data->shape : (cp_shape){0};
}

int cp_data_label(const cp_data *data, int64_t i) {
    return data->labels[i];
}

const uint8_t *cp_data_image(const cp_data *data, int64_t i) {
    return data->images + i * picture_bytes(data);
}

void cp_data_batch(const cp_data *data, const int64_t *order, int64_t first, int64_t n, float *images,
                   int32_t *labels) {
    float scaled[256];
    for (int value = 0; value < 256; value++) scaled[value] = (float)value / 255.0f;
    int64_t bytes = picture_bytes(data);
    for (int64_t i = 0; i < n; i++) {
        int64_t picture = order ? order[i] : first + i;
        const uint8_t *from = cp_data_image(data, picture);
        for (int64_t j = 0; j < bytes; j++) images[i * bytes + j] = scaled[from[j]];
        labels[i] = data->labels[picture];
    }
}
