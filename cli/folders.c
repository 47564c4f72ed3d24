/* A folder of class folders: each class is a folder of PNG and JPEG files, and its name that of the class. */
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

bool is_folder(const char *path) {
    struct stat about;
    return !stat(path, &about) && S_ISDIR(about.st_mode);
}

bool join_path(char path[PATH_MAX], const char *folder, const char *name) {
    return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static bool is_picture(const char *path) {
    const char *ending = strrchr(path, '.');
    return ending && (!strcasecmp(ending, ".png") || !strcasecmp(ending, ".jpg") || !strcasecmp(ending, ".jpeg"));
}

/* --- what is in a folder, sorted by the bytes of the names --- */

typedef struct names {
    char **name;
    size_t count;
} names;

static void free_names(names *list) {
    for (size_t i = 0; i < list->count; i++) free(list->name[i]);
    free(list->name);
    *list = (names){0};
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names for which `wanted` holds of their path; what begins with a point is hidden. */
static int list_folder(names *list, const char *folder, bool (*wanted)(const char *path)) {
    *list = (names){0};
    DIR *open = opendir(folder);
    if (!open) return fail(STATUS_IO, "%s: %s", folder, strerror(errno));
    for (const struct dirent *entry; (entry = readdir(open));) {
        char path[PATH_MAX];
        if (*entry->d_name == '.' || !join_path(path, folder, entry->d_name) || !wanted(path)) continue;
        if (!(list->count & (list->count - 1))) { /* full, at a power of two */
            char **grown = allocate(list->count ? 2 * list->count : 1, sizeof *grown);
            if (list->count) memcpy(grown, list->name, list->count * sizeof *grown);
            free(list->name);
            list->name = grown;
        }
        list->name[list->count] = allocate(strlen(entry->d_name) + 1, 1);
        strcpy(list->name[list->count++], entry->d_name);
    }
    closedir(open);
    if (list->count) qsort(list->name, list->count, sizeof *list->name, by_bytes);
    return STATUS_OK;
}

bool has_class_folders(const char *folder) {
    names list;
    if (!is_folder(folder) || list_folder(&list, folder, is_folder)) return false;
    const bool found = list.count > 0;
    free_names(&list);
    return found;
}

/* --- pictures as they are collected --- */

typedef struct collection {
    pictures_source *source;
    unsigned char *pixels;
    int32_t *labels;
    int64_t count, capacity;
    int channels;  /* of the pixels: 3 as long as colour is possible */
    bool coloured; /* one of them is */
} collection;

static cp_shape picture_shape(const collection *c, int64_t n, int channels) {
    return cp_shape_nhwc(n, c->source->height, c->source->width, channels);
}

static int make_room(collection *c, const char *path) {
    const int64_t bytes = cp_shape_count(picture_shape(c, 1, c->channels));
    if (c->count < c->capacity) return STATUS_OK;
    c->capacity = c->capacity ? 2 * c->capacity : 64;
    unsigned char *pixels = realloc(c->pixels, (size_t)(c->capacity * bytes));
    if (pixels) c->pixels = pixels;
    int32_t *labels = realloc(c->labels, (size_t)c->capacity * sizeof *labels);
    if (labels) c->labels = labels;
    return pixels && labels ? STATUS_OK : fail(STATUS_LIMIT, "%s: no memory for more pictures", path);
}

/* Brings the picture to the size of all, which is the first one's unless it was given. */
static int fit_picture(collection *c, const image *picture, const char *path) {
    pictures_source *source = c->source;
    if (!source->height) {
        source->height = picture->height;
        source->width = picture->width;
    }
    if (!source->scaled && (picture->height != source->height || picture->width != source->width))
        return fail(STATUS_INPUT, "%s: is %lldx%lld, the pictures before are %lldx%lld; --size HxW scales them", path,
                    (long long)picture->height, (long long)picture->width, (long long)source->height,
                    (long long)source->width);
    int status = make_room(c, path);
    if (status) return status;
    const int64_t count = cp_shape_count(picture_shape(c, 1, c->channels));
    char said[PREPARED_TEXT];
    float *values = allocate((size_t)count, sizeof *values);
    status = image_prepare(picture, path, picture_shape(c, 1, c->channels), INK_ANY, values, said);
    for (int64_t i = 0; !status && i < count; i++)
        c->pixels[c->count * count + i] = (unsigned char)(values[i] * 255 + 0.5f);
    c->coloured |= picture->channels == 3;
    free(values);
    return status;
}

static int load_picture(collection *c, const char *folder, const char *name, int label) {
    char path[PATH_MAX];
    image picture;
    if (!join_path(path, folder, name)) return fail(STATUS_IO, "%s: %s", folder, strerror(ENAMETOOLONG));
    int status = image_load(&picture, path);
    if (status) return status;
    status = fit_picture(c, &picture, path);
    free(picture.pixels);
    if (!status) c->labels[c->count++] = label;
    return status;
}

static int load_class(collection *c, const char *folder, const char *name, int label) {
    char path[PATH_MAX];
    names list;
    if (!join_path(path, folder, name)) return fail(STATUS_IO, "%s: %s", folder, strerror(ENAMETOOLONG));
    int status = list_folder(&list, path, is_picture);
    if (!status && !list.count) status = fail(STATUS_INPUT, "%s: no PNG or JPEG files in this class", path);
    for (size_t i = 0; !status && i < list.count; i++) status = load_picture(c, path, list.name[i], label);
    free_names(&list);
    return status;
}

/* The number of a class among those that are known; -1 for another. */
static int find_class(const json_t *classes, const char *name) {
    json_t *wanted = json_plain(name);
    int label = (int)json_array_size(classes) - 1;
    while (label >= 0 && !json_equal(json_array_get(classes, (size_t)label), wanted)) label--;
    json_decref(wanted);
    return label;
}

static int load_classes(collection *c, const char *folder, const names *list) {
    int status = STATUS_OK;
    if (!c->source->classes) {
        c->source->classes = json_array();
        for (size_t i = 0; i < list->count; i++) json_array_append_new(c->source->classes, json_plain(list->name[i]));
    }
    for (size_t i = 0; !status && i < list->count; i++) {
        const int label = find_class(c->source->classes, list->name[i]);
        status = label < 0 ? fail(STATUS_INPUT, "%s: the class '%s' is not one of training", folder, list->name[i])
                           : load_class(c, folder, list->name[i], label);
    }
    return status;
}

/* Pictures of which none is coloured have equal channels: one is enough. */
static int make_data(collection *c, cp_data **data) {
    if (!c->source->channels) c->source->channels = c->coloured ? 3 : 1;
    const int64_t pixels = c->count * c->source->height * c->source->width;
    if (c->channels > c->source->channels)
        for (int64_t i = 0; i < pixels; i++) c->pixels[i] = c->pixels[3 * i];
    const cp_tensor images = cp_view(c->pixels, CP_U8, picture_shape(c, c->count, c->source->channels));
    const cp_tensor labels = cp_view(c->labels, CP_I32, cp_shape_of(1, &c->count));
    const cp_status status = cp_data_memory(data, &images, &labels, (int)json_array_size(c->source->classes));
    return status ? fail_library(status) : STATUS_OK;
}

int load_class_folders(pictures_source *source, const char *folder, cp_data **data) {
    collection c = {.source = source, .channels = source->channels ? source->channels : 3};
    names list;
    *data = NULL;
    int status = list_folder(&list, folder, is_folder);
    if (!status && !list.count) status = fail(STATUS_INPUT, "%s: no class folders", folder);
    if (!status) status = load_classes(&c, folder, &list);
    if (!status) status = make_data(&c, data);
    free_names(&list);
    free(c.pixels);
    free(c.labels);
    return status;
}
