/* Labelled pictures for training and for measuring: a folder of IDX or CIFAR files or of class folders, or digits drawn
 * by the library. */
#include "cli.h"

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

/* CIFAR-10's or CIFAR-100's files, as `classes` says; *data is NULL where none of them is there and they are not
 * needed.
 */
static int load_cifar(cp_data **data, const char *folder, int classes, bool training, bool needed) {
    char paths[5][PATH_MAX], name[32];
    const char *list[5];
    const int n = classes == 10 && training ? 5 : 1;
    *data = NULL;
    for (int i = 0; i < n; i++) {
        if (classes == 100)
            snprintf(name, sizeof name, "%s.bin", training ? "train" : "test");
        else if (training)
            snprintf(name, sizeof name, "data_batch_%d.bin", i + 1);
        else
            snprintf(name, sizeof name, "test_batch.bin");
        list[i] = paths[i];
        if (find(paths[i], folder, name)) continue;
        return needed || i ? fail(STATUS_IO, "%s: no file %s or %s.gz", folder, name, name) : STATUS_OK;
    }
    const cp_status status = cp_data_cifar(data, classes, list, n, open_gzip);
    return status ? fail_library(status) : STATUS_OK;
}

/* FOLDER/train and FOLDER/test (or val) where the former is there; else the folder itself is what to train with. */
static int load_folders(pictures_source *source, bool training, bool needed, cp_data **data) {
    char train[PATH_MAX], test[PATH_MAX];
    *data = NULL;
    if (!join_path(train, source->folder, "train") || !join_path(test, source->folder, "test"))
        return fail(STATUS_IO, "%s: the path is too long", source->folder);
    const bool parts = is_folder(train);
    if (training) return load_class_folders(source, parts ? train : source->folder, data);
    if (!is_folder(test)) join_path(test, source->folder, "val");
    if (parts && is_folder(test)) return load_class_folders(source, test, data);
    return needed ? fail(STATUS_IO, "%s: no folder test or val", source->folder) : STATUS_OK;
}

/* What the folder holds, by the names in it. */
static int load_part(pictures_source *source, bool training, bool needed, cp_data **data) {
    char path[PATH_MAX];
    const char *folder = source->folder;
    const bool idx = find(path, folder, "train-images-idx3-ubyte") || find(path, folder, "t10k-images-idx3-ubyte");
    if (!idx && (find(path, folder, "data_batch_1.bin") || find(path, folder, "test_batch.bin")))
        return load_cifar(data, folder, 10, training, needed);
    if (!idx && (find(path, folder, "train.bin") || find(path, folder, "test.bin")))
        return load_cifar(data, folder, 100, training, needed);
    if (!idx && has_class_folders(folder)) return load_folders(source, training, needed, data);
    return load_idx(data, folder, training ? "train" : "t10k", needed);
}

/* Validation digits are others than the training digits of any small seed: a different hand, so to say. */
static int draw_validation(const pictures_source *source, cp_data **data) {
    const int64_t count = source->count / 6;
    const cp_status status = cp_data_digits(data, count ? count : 1, source->seed + (UINT64_C(1) << 32));
    return status ? fail_library(status) : STATUS_OK;
}

int load_training(pictures_source *source, cp_data **training, cp_data **validation) {
    *training = *validation = NULL;
    int status;
    if (source->folder) {
        status = load_part(source, true, true, training);
    } else {
        const cp_status drawn = cp_data_digits(training, source->count, source->seed);
        status = drawn ? fail_library(drawn) : STATUS_OK;
    }
    if (!status && source->validation > 0) {
        const cp_status split = cp_data_split(*training, source->validation, source->seed, validation);
        status = split ? fail_library(split) : STATUS_OK;
    } else if (!status) {
        status = source->folder ? load_part(source, false, false, validation) : draw_validation(source, validation);
    }
    if (!status) return STATUS_OK;
    cp_data_free(*training);
    cp_data_free(*validation);
    *training = *validation = NULL;
    return status;
}

int load_validation(pictures_source *source, cp_data **validation) {
    if (!source->folder) return draw_validation(source, validation);
    const int status = load_part(source, false, false, validation);
    return status || *validation ? status : load_part(source, true, true, validation);
}

void source_like_net(pictures_source *source, const cp_net *net) {
    const cp_shape shape = cp_net_shape(net, cp_net_input_node(net, 0));
    const char *note = cp_net_note(net, NOTE_CLASSES);
    json_t *classes = note ? json_loads(note, 0, NULL) : NULL;
    bool names = json_array_size(classes) > 0;
    for (size_t i = 0; i < json_array_size(classes); i++) names &= json_is_string(json_array_get(classes, i));
    if (shape.rank != 4 || !names) {
        json_decref(classes);
        return;
    }
    json_decref(source->classes);
    source->classes = classes;
    source->height = shape.dim[1];
    source->width = shape.dim[2];
    source->channels = (int)shape.dim[3];
    source->scaled = true;
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
