/* Labelled pictures for training and for measuring: a folder of IDX files, or digits drawn by the library. */
#include "cli.h"

#include <limits.h>
#include <unistd.h>
#include <zlib.h>

/* Finds FOLDER/NAME or FOLDER/NAME.gz. */
static bool find(char path[PATH_MAX], const char *folder, const char *name) {
    static const char *const endings[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        if (snprintf(path, PATH_MAX, "%s/%s%s", folder, name, endings[i]) >= PATH_MAX) return false;
        if (!access(path, F_OK)) return true;
    }
    return false;
}

/* The pair of files that begin with "train" or "t10k"; *data is NULL where a wanted pair is missing and not needed. */
static int load_idx(cp_data **data, const char *folder, const char *prefix, bool needed) {
    char images[PATH_MAX], labels[PATH_MAX], name[64];
    *data = NULL;
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", prefix);
    const bool there = find(images, folder, name);
    if (there || needed) {
        if (!there) return fail(STATUS_IO, "%s: no file %s or %s.gz", folder, name, name);
        snprintf(name, sizeof name, "%s-labels-idx1-ubyte", prefix);
        if (!find(labels, folder, name)) return fail(STATUS_IO, "%s: no file %s or %s.gz", folder, name, name);
        const cp_status status = cp_data_idx(data, images, labels, open_gzip);
        if (status) return fail_library(status);
    }
    return STATUS_OK;
}

/* Validation digits are others than the training digits of any small seed: a different hand, so to say. */
static int draw_validation(const pictures_source *source, cp_data **data) {
    const int64_t count = source->count / 6;
    const cp_status status = cp_data_digits(data, count ? count : 1, source->seed + (UINT64_C(1) << 32));
    return status ? fail_library(status) : STATUS_OK;
}

int load_training(const pictures_source *source, cp_data **training, cp_data **validation) {
    *training = *validation = NULL;
    int status;
    if (source->folder) {
        status = load_idx(training, source->folder, "train", true);
    } else {
        const cp_status drawn = cp_data_digits(training, source->count, source->seed);
        status = drawn ? fail_library(drawn) : STATUS_OK;
    }
    if (!status && source->validation > 0) {
        const cp_status split = cp_data_split(*training, source->validation, source->seed, validation);
        status = split ? fail_library(split) : STATUS_OK;
    } else if (!status) {
        status =
            source->folder ? load_idx(validation, source->folder, "t10k", false) : draw_validation(source, validation);
    }
    if (!status) return STATUS_OK;
    cp_data_free(*training);
    cp_data_free(*validation);
    *training = *validation = NULL;
    return status;
}

int load_validation(const pictures_source *source, cp_data **validation) {
    if (!source->folder) return draw_validation(source, validation);
    const int status = load_idx(validation, source->folder, "t10k", false);
    return status || *validation ? status : load_idx(validation, source->folder, "train", true);
}

uint32_t pictures_checksum(const cp_data *data) {
    const cp_shape shape = cp_data_shape(data);
    const int64_t bytes = shape.dim[1] * shape.dim[2] * shape.dim[3];
    uLong sum = crc32(0, NULL, 0);
    for (int64_t i = 0; i < cp_data_count(data); i++) {
        const int32_t label = cp_data_label(data, i);
        sum = crc32_z(sum, cp_data_image(data, i), (size_t)bytes);
        sum = crc32_z(sum, (const Bytef *)&label, sizeof label);
    }
    return (uint32_t)sum;
}
