/* Data: IDX files, good and hostile; drawn digits; pictures from memory, split, in batches and changed at random. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/data.h"

/* --- the library's memory, which may be refused --- */

static int allocations_left = -1; /* -1: as many as wanted */
static size_t largest_allocation;

/* In place of the C library's, for the whole program. */
void *aligned_alloc(size_t alignment, size_t size) {
    void *memory;
    if (allocations_left == 0) return NULL;
    if (allocations_left > 0) allocations_left--;
    if (size > largest_allocation) largest_allocation = size;
    return posix_memalign(&memory, alignment, size) ? NULL : memory;
}

/* Calls make with one allocation more allowed each time, until it succeeds; frees what it made. */
static void each_allocation_fails(cp_status (*make)(cp_data **data)) {
    cp_status status = CP_E_MEMORY;
    int allowed = 0;
    for (; status; allowed++) {
        cp_data *data = (cp_data *)&data;
        allocations_left = allowed;
        status = make(&data);
        allocations_left = -1;
        assert_true(status == CP_OK || status == CP_E_MEMORY);
        assert_true((status == CP_OK) == (data != NULL));
        cp_data_free(data);
    }
    assert_true(allowed > 1);
}

/* --- files --- */

static char images_path[64], labels_path[64];

static int make_paths(void **state) {
    (void)state;
    static char folder[] = "/tmp/convpool-data-XXXXXX";
    if (!mkdtemp(folder)) return -1;
    snprintf(images_path, sizeof images_path, "%s/images", folder);
    snprintf(labels_path, sizeof labels_path, "%s/labels", folder);
    return 0;
}

static int remove_paths(void **state) {
    (void)state;
    unlink(images_path);
    unlink(labels_path);
    *strrchr(images_path, '/') = 0;
    return rmdir(images_path);
}

static void write_file(const char *path, const void *bytes, size_t length) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* Three pictures of 2x3. */
static const uint8_t good_images[] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0,  0,  3,  1,
                                      2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 11, 22, 33, 255};
static const uint8_t good_labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 4, 0, 11};

static void write_good(void) {
    write_file(images_path, good_images, sizeof good_images);
    write_file(labels_path, good_labels, sizeof good_labels);
}

/* Files in memory, given out in small pieces: what a cp_open may be like. */
static struct {
    const uint8_t *images, *labels;
    int64_t images_length, labels_length;
    int64_t piece;   /* bytes at a time */
    int64_t fail_at; /* the reader fails there; -1: never */
    int opened, closed;
} memory;

typedef struct memory_file {
    const uint8_t *bytes;
    int64_t length, at;
} memory_file;

static int64_t read_memory(void *user, void *buffer, int64_t bytes) {
    memory_file *file = user;
    if (memory.fail_at >= 0 && file->at >= memory.fail_at) return -1;
    if (bytes > memory.piece) bytes = memory.piece;
    if (bytes > file->length - file->at) bytes = file->length - file->at;
    if (bytes) memcpy(buffer, file->bytes + file->at, (size_t)bytes);
    file->at += bytes;
    return bytes;
}

static void close_memory(void *user) {
    memory.closed++;
    free(user);
}

static cp_status open_memory(cp_reader *reader, const char *path) {
    bool labels = strcmp(path, "labels") == 0;
    memory_file *file = malloc(sizeof *file);
    assert_non_null(file);
    *file = labels ? (memory_file){memory.labels, memory.labels_length, 0}
                   : (memory_file){memory.images, memory.images_length, 0};
    *reader = (cp_reader){read_memory, close_memory, file, "the disk is on fire"};
    memory.opened++;
    return CP_OK;
}

static cp_status open_never(cp_reader *reader, const char *path) {
    (void)path;
    reader->text = "no such archive";
    return CP_E_IO;
}

static void set_memory(int64_t images_length, int64_t labels_length) {
    memory.images = good_images, memory.images_length = images_length;
    memory.labels = good_labels, memory.labels_length = labels_length;
    memory.piece = 1;
    memory.fail_at = -1;
    memory.opened = memory.closed = 0;
}

static void assert_good(const cp_data *data) {
    assert_true(cp_shape_same(cp_data_shape(data), cp_shape_nhwc(3, 2, 3, 1)));
    assert_int_equal(cp_data_count(data), 3);
    assert_int_equal(cp_data_classes(data), 12);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cp_data_label(data, i), good_labels[8 + i]);
        assert_memory_equal(cp_data_image(data, i), good_images + 16 + 6 * i, 6);
    }
}

/* Expects a failure of the files at the paths, with these words in the text. */
static void refused(cp_status expected, const char *words) {
    cp_data *data = (cp_data *)&data;
    cp_status status = cp_data_idx(&data, images_path, labels_path, NULL);
    if (status != expected || !strstr(cp_error(), words))
        fail_msg("status %d, \"%s\" instead of %d, \"%s\"", status, cp_error(), expected, words);
    assert_null(data);
}

static void idx_files_are_read(void **state) {
    (void)state;
    cp_data *data;
    write_good();
    assert_int_equal(cp_data_idx(&data, images_path, labels_path, NULL), CP_OK);
    assert_good(data);
    cp_data_free(data);
}

static void idx_files_may_have_colours(void **state) {
    (void)state;
    static const uint8_t images[] = {0, 0, 8, 4, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 9, 8, 7, 6, 5, 4};
    static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 0, 0};
    cp_data *data;
    write_file(images_path, images, sizeof images);
    write_file(labels_path, labels, sizeof labels);
    assert_int_equal(cp_data_idx(&data, images_path, labels_path, NULL), CP_OK);
    assert_true(cp_shape_same(cp_data_shape(data), cp_shape_nhwc(2, 1, 1, 3)));
    assert_int_equal(cp_data_image(data, 1)[0], 6);
    assert_int_equal(cp_data_classes(data), 2); /* never fewer */
    cp_data_free(data);
}

static void idx_comes_through_a_reader_in_any_pieces(void **state) {
    (void)state;
    for (int64_t piece = 1; piece < 20; piece++) {
        cp_data *data;
        set_memory(sizeof good_images, sizeof good_labels);
        memory.piece = piece;
        assert_int_equal(cp_data_idx(&data, "images", "labels", open_memory), CP_OK);
        assert_good(data);
        assert_int_equal(memory.closed, 2);
        cp_data_free(data);
    }
}

static void a_reader_that_fails_is_told_and_closed(void **state) {
    (void)state;
    cp_data *data;
    for (int64_t at = 0; at <= (int64_t)sizeof good_images; at++) {
        set_memory(sizeof good_images, sizeof good_labels);
        memory.fail_at = at;
        assert_int_equal(cp_data_idx(&data, "images", "labels", open_memory), CP_E_IO);
        assert_null(data);
        assert_string_equal(cp_error(), "images: the disk is on fire");
        assert_int_equal(memory.opened, memory.closed);
    }
    assert_int_equal(cp_data_idx(&data, "images", "labels", open_never), CP_E_IO);
    assert_string_equal(cp_error(), "images: no such archive");
}

static void idx_files_cut_anywhere_are_refused(void **state) {
    (void)state;
    cp_data *data;
    write_good();
    for (size_t length = 0; length < sizeof good_images; length++) {
        write_file(images_path, good_images, length);
        refused(CP_E_FORMAT, images_path);
        set_memory((int64_t)length, sizeof good_labels);
        assert_int_equal(cp_data_idx(&data, "images", "labels", open_memory), CP_E_FORMAT);
        assert_int_equal(memory.opened, memory.closed);
    }
    refused(CP_E_FORMAT, "3 images need 34 bytes, file has 33");
    write_good();
    for (size_t length = 0; length < sizeof good_labels; length++) {
        write_file(labels_path, good_labels, length);
        refused(CP_E_FORMAT, labels_path);
        set_memory(sizeof good_images, (int64_t)length);
        assert_int_equal(cp_data_idx(&data, "images", "labels", open_memory), CP_E_FORMAT);
        assert_int_equal(memory.opened, memory.closed);
    }
    assert_string_equal(cp_error(), "labels: 3 labels need 11 bytes, file has 10");
}

static void idx_files_with_more_behind_are_refused(void **state) {
    (void)state;
    uint8_t longer[sizeof good_images + 1] = {0};
    memcpy(longer, good_images, sizeof good_images);
    write_good();
    write_file(images_path, longer, sizeof longer);
    refused(CP_E_FORMAT, "3 images need 34 bytes, file has 35");

    cp_data *data;
    set_memory(sizeof longer, sizeof good_labels);
    memory.images = longer;
    assert_int_equal(cp_data_idx(&data, "images", "labels", open_memory), CP_E_FORMAT);
    assert_string_equal(cp_error(), "images: 3 images need 34 bytes, file has more");
}

/* Writes the good images with another header. */
static void write_images(uint32_t magic, uint32_t n, uint32_t h, uint32_t w) {
    uint8_t bytes[sizeof good_images];
    const uint32_t header[] = {magic, n, h, w};
    memcpy(bytes, good_images, sizeof bytes);
    for (int i = 0; i < 16; i++) bytes[i] = (uint8_t)(header[i / 4] >> (24 - i % 4 * 8));
    write_file(images_path, bytes, sizeof bytes);
}

static void idx_headers_are_not_trusted(void **state) {
    (void)state;
    write_good();
    write_images(0x1f8b0800, 3, 2, 3);
    refused(CP_E_FORMAT, "begins with 0x1f8b0800 (packed with gzip), IDX images with 0x00000803 or 0x00000804");
    write_images(0x00000801, 3, 2, 3);
    refused(CP_E_FORMAT, "begins with 0x00000801 (IDX labels)");
    write_images(0x03080000, 3, 2, 3);
    refused(CP_E_FORMAT, "begins with 0x03080000, IDX images");
    write_images(0x00000d03, 3, 2, 3);
    refused(CP_E_FORMAT, "begins with 0x00000d03");
    write_images(0x803, 0, 2, 3);
    refused(CP_E_FORMAT, "the number of images is 0");
    write_images(0x803, 3, 0, 3);
    refused(CP_E_FORMAT, "the height is 0");
    write_images(0x803, 3, 2, 0);
    refused(CP_E_FORMAT, "the width is 0");
    write_images(0x803, UINT32_MAX, UINT32_MAX, UINT32_MAX);
    refused(CP_E_LIMIT, "4294967295x4294967295x4294967295x1");
    write_images(0x803, 1u << 31, 1u << 31, 4); /* 2^64 */
    refused(CP_E_LIMIT, "limit");
    write_images(0x803, 60000, 28, 28);
    refused(CP_E_FORMAT, "60000 images need 47040016 bytes, file has 34");
    write_images(0x803, 4, 2, 3);
    refused(CP_E_FORMAT, "4 images need 40 bytes, file has 34");

    write_good();
    write_file(labels_path, good_images, sizeof good_images);
    refused(CP_E_FORMAT, "begins with 0x00000803 (IDX images), IDX labels with 0x00000801");
    static const uint8_t two[] = {0, 0, 8, 1, 0, 0, 0, 2, 4, 0};
    write_file(labels_path, two, sizeof two);
    refused(CP_E_FORMAT, "2 labels for 3 images");
}

/* A stream's length is not known before its end: only what has come may take memory. */
static void a_header_alone_gets_no_memory(void **state) {
    (void)state;
    static const uint8_t images[100] = {0, 0, 8, 3, 1, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28};
    cp_data *data;
    set_memory(sizeof images, sizeof good_labels);
    memory.images = images;
    largest_allocation = 0;
    assert_int_equal(cp_data_idx(&data, "images", "labels", open_memory), CP_E_FORMAT);
    assert_string_equal(cp_error(), "images: 16777216 images need 13153337360 bytes, file has 100");
    assert_in_range(largest_allocation, 0, 4 << 20);
}

static void large_streams_arrive_whole(void **state) {
    (void)state;
    enum { N = 5000, H = 28, W = 29 };
    int64_t length = 16 + N * H * W;
    uint8_t *images = malloc((size_t)length), labels[8 + N] = {0, 0, 8, 1, 0, 0, N >> 8, N & 255};
    assert_non_null(images);
    memcpy(images, (uint8_t[]){0, 0, 8, 3, 0, 0, N >> 8, N & 255, 0, 0, 0, H, 0, 0, 0, W}, 16);
    for (int64_t i = 16; i < length; i++) images[i] = (uint8_t)(i * i >> 7);
    cp_data *data;
    set_memory(length, sizeof labels);
    memory.images = images;
    memory.labels = labels;
    memory.piece = 10007;
    assert_int_equal(cp_data_idx(&data, "images", "labels", open_memory), CP_OK);
    assert_memory_equal(cp_data_image(data, 0), images + 16, length - 16);
    cp_data_free(data);
    free(images);
}

static void what_is_no_file_is_refused(void **state) {
    (void)state;
    cp_data *data;
    write_good();
    unlink(images_path);
    refused(CP_E_IO, "No such file or directory");
    assert_int_equal(mkdir(images_path, 0700), 0);
    refused(CP_E_IO, "is a directory");
    rmdir(images_path);
    assert_int_equal(mkfifo(images_path, 0600), 0);
    refused(CP_E_IO, "is not a regular file");
    unlink(images_path);
    assert_int_equal(cp_data_idx(NULL, images_path, labels_path, NULL), CP_E_ARG);
    assert_int_equal(cp_data_idx(&data, NULL, labels_path, NULL), CP_E_ARG);
    assert_int_equal(cp_data_idx(&data, images_path, NULL, NULL), CP_E_ARG);
}

/* --- from memory --- */

static void pictures_are_copied_from_any_layout(void **state) {
    (void)state;
    /* Two pictures of 1x2 with 3 channels, channels first; every second label is meant. */
    uint8_t planes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const uint8_t expected[] = {1, 3, 5, 2, 4, 6, 7, 9, 11, 8, 10, 12};
    int32_t numbers[] = {2, 99, 0, 99};
    const int64_t two = 2;
    cp_tensor images = cp_view_channels_first(planes, CP_U8, cp_shape_nhwc(2, 1, 2, 3));
    cp_tensor labels = cp_view(numbers, CP_I32, cp_shape_of(1, &two));
    labels.stride[0] = 2;
    cp_data *data;
    assert_int_equal(cp_data_memory(&data, &images, &labels, 3), CP_OK);
    memset(planes, 0, sizeof planes);
    assert_memory_equal(cp_data_image(data, 0), expected, 12);
    assert_int_equal(cp_data_label(data, 0), 2);
    assert_int_equal(cp_data_label(data, 1), 0);
    assert_int_equal(cp_data_classes(data), 3);
    cp_data_free(data);
}

static void memory_refused(cp_status expected, const char *words, const cp_tensor *images, const cp_tensor *labels,
                           int classes) {
    cp_data *data = (cp_data *)&data;
    assert_int_equal(cp_data_memory(&data, images, labels, classes), expected);
    assert_non_null(strstr(cp_error(), words));
    assert_null(data);
}

static void pictures_that_do_not_fit_are_refused(void **state) {
    (void)state;
    uint8_t pixels[12] = {0};
    int32_t numbers[] = {0, 1, -1};
    const int64_t two = 2, three = 3;
    cp_tensor images = cp_view(pixels, CP_U8, cp_shape_nhwc(3, 2, 2, 1));
    cp_tensor labels = cp_view(numbers, CP_I32, cp_shape_of(1, &three));
    cp_tensor fewer = cp_view(numbers, CP_I32, cp_shape_of(1, &two));
    cp_tensor none = cp_view(pixels, CP_U8, cp_shape_nhwc(0, 2, 2, 1));
    cp_tensor flat = cp_view(pixels, CP_U8, cp_shape_of(1, &three));
    cp_tensor floats = cp_nhwc((const float *)numbers, 3, 1, 1, 1);
    memory_refused(CP_E_ARG, "label -1 at 2: must be 0..1", &images, &labels, 2);
    numbers[2] = 2;
    memory_refused(CP_E_ARG, "label 2 at 2: must be 0..1", &images, &labels, 2);
    memory_refused(CP_E_ARG, "classes = 0", &images, &labels, 0);
    memory_refused(CP_E_SHAPE, "labels is 2: must be one label for each of 3 images", &images, &fewer, 3);
    memory_refused(CP_E_SHAPE, "images is 0x2x2x1", &none, &labels, 3);
    memory_refused(CP_E_SHAPE, "images is 3", &flat, &labels, 3);
    memory_refused(CP_E_ARG, "images", &floats, &labels, 3);
    memory_refused(CP_E_ARG, "images is NULL", NULL, &labels, 3);
    memory_refused(CP_E_ARG, "labels is NULL", &images, NULL, 3);
    assert_int_equal(cp_data_memory(NULL, &images, &labels, 3), CP_E_ARG);
    assert_int_equal(cp_data_count(NULL), 0);
    assert_int_equal(cp_data_classes(NULL), 0);
}

/* --- CIFAR --- */

/* Writes n records of a file, labels downwards from the last class; `length` bytes of them. */
static void write_cifar(const char *path, int n, int labels, int classes, int64_t length) {
    uint8_t *bytes = malloc((size_t)(n * (labels + 3072) + 1));
    assert_non_null(bytes);
    for (int i = 0; i < n; i++) {
        uint8_t *record = bytes + i * (labels + 3072);
        record[0] = 200; /* the coarse label is not looked at */
        record[labels - 1] = (uint8_t)((classes - 1 - i) % classes);
        for (int p = 0; p < 3072; p++) record[labels + p] = (uint8_t)(i + p / 1024 * 50 + p % 1024 * 7);
    }
    write_file(path, bytes, (size_t)length);
    free(bytes);
}

static void cifar_files_are_read(void **state) {
    (void)state;
    const char *const paths[] = {images_path, labels_path};
    for (int labels = 1; labels <= 2; labels++) {
        const int classes = labels == 1 ? 10 : 100;
        cp_data *data;
        write_cifar(images_path, 2, labels, classes, 2 * (labels + 3072));
        write_cifar(labels_path, 1, labels, classes, labels + 3072);
        assert_int_equal(cp_data_cifar(&data, classes, paths, 2, NULL), CP_OK);
        assert_true(cp_shape_same(cp_data_shape(data), cp_shape_nhwc(3, 32, 32, 3)));
        assert_int_equal(cp_data_classes(data), classes);
        assert_int_equal(cp_data_label(data, 0), classes - 1);
        assert_int_equal(cp_data_label(data, 1), classes - 2);
        assert_int_equal(cp_data_label(data, 2), classes - 1);
        for (int p = 0; p < 1024; p++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(cp_data_image(data, 1)[p * 3 + c], (uint8_t)(1 + c * 50 + p * 7));
        cp_data_free(data);
    }
}

static void cifar_refused(cp_status expected, const char *words, int classes) {
    cp_data *data = (cp_data *)&data;
    const char *const path = images_path;
    assert_int_equal(cp_data_cifar(&data, classes, &path, 1, NULL), expected);
    if (!strstr(cp_error(), words)) fail_msg("%s", cp_error());
    assert_null(data);
}

static void cifar_files_are_checked(void **state) {
    (void)state;
    cp_data *data;
    write_cifar(images_path, 2, 1, 10, 2 * 3073 - 1);
    cifar_refused(CP_E_FORMAT, "6145 bytes are no whole number of records of 3073", 10);
    write_cifar(images_path, 2, 1, 10, 0);
    cifar_refused(CP_E_FORMAT, "0 bytes are no whole number", 10);
    write_cifar(images_path, 2, 1, 10, 2 * 3073);
    cifar_refused(CP_E_FORMAT, "6146 bytes are no whole number of records of 3074", 100);
    write_cifar(images_path, 3, 1, 12, 3 * 3073);
    cifar_refused(CP_E_FORMAT, "label 11 of picture 0: must be 0..9", 10);
    cifar_refused(CP_E_ARG, "classes = 20: must be 10 or 100", 20);
    unlink(images_path);
    cifar_refused(CP_E_IO, "No such file", 10);
    assert_int_equal(cp_data_cifar(&data, 10, NULL, 1, NULL), CP_E_ARG);
    assert_int_equal(cp_data_cifar(&data, 10, (const char *const[]){"x"}, 0, NULL), CP_E_ARG);
    assert_int_equal(cp_data_cifar(NULL, 10, (const char *const[]){"x"}, 1, NULL), CP_E_ARG);
}

/* --- batches and splits --- */

/* n pictures of 1x2x1; picture i holds i and i + 1 (modulo 256), its label is i % 7. */
static cp_data *numbered(int64_t n) {
    cp_data *data;
    assert_int_equal(cp_data_new(&data, n, 1, 2, 1, 7), CP_OK);
    for (int64_t i = 0; i < n; i++) {
        data->images[2 * i] = (uint8_t)i;
        data->images[2 * i + 1] = (uint8_t)(i + 1);
        data->labels[i] = (int32_t)(i % 7);
    }
    return data;
}

static void batches_are_scaled_and_ordered(void **state) {
    (void)state;
    cp_data *data = numbered(256);
    float images[512];
    int32_t labels[256];
    cp_data_batch(data, NULL, 0, 256, images, labels);
    for (int i = 0; i < 256; i++) {
        assert_true(images[2 * i] == (float)i / 255.0f);
        assert_int_equal(labels[i], i % 7);
    }
    assert_true(images[0] == 0.0f && images[510] == 1.0f);

    cp_data_batch(data, NULL, 100, 3, images, labels);
    assert_true(images[0] == 100 / 255.0f && images[5] == 103 / 255.0f);
    assert_int_equal(labels[2], 102 % 7);

    const int64_t order[] = {255, 3, 3};
    images[6] = -1;
    cp_data_batch(data, order, 0, 3, images, labels);
    assert_true(images[0] == 1.0f && images[2] == 3 / 255.0f && images[4] == 3 / 255.0f);
    assert_true(images[6] == -1);
    assert_int_equal(labels[0], 255 % 7);
    cp_data_free(data);
}

static void a_split_is_a_partition(void **state) {
    (void)state;
    cp_data *data = numbered(200), *rest, *again = numbered(200), *again_rest, *other = numbered(200), *other_rest;
    assert_int_equal(cp_data_split(data, 0.25, 7, &rest), CP_OK);
    assert_int_equal(cp_data_count(data), 150);
    assert_int_equal(cp_data_count(rest), 50);
    assert_int_equal(cp_data_classes(rest), 7);
    int seen[200] = {0};
    for (int64_t i = 0; i < 200; i++) {
        const cp_data *part = i < 150 ? data : rest;
        const uint8_t *image = cp_data_image(part, i % 150);
        seen[image[0]]++;
        assert_int_equal(image[1], image[0] + 1);
        assert_int_equal(cp_data_label(part, i % 150), image[0] % 7);
    }
    for (int i = 0; i < 200; i++) assert_int_equal(seen[i], 1);

    assert_int_equal(cp_data_split(again, 0.25, 7, &again_rest), CP_OK);
    assert_memory_equal(cp_data_image(again, 0), cp_data_image(data, 0), 300);
    assert_memory_equal(cp_data_image(again_rest, 0), cp_data_image(rest, 0), 100);
    assert_int_equal(cp_data_split(other, 0.25, 8, &other_rest), CP_OK);
    assert_memory_not_equal(cp_data_image(other_rest, 0), cp_data_image(rest, 0), 100);
    cp_data_free(data), cp_data_free(again), cp_data_free(other);
    cp_data_free(rest), cp_data_free(again_rest), cp_data_free(other_rest);
}

static void a_split_leaves_both_parts_something(void **state) {
    (void)state;
    cp_data *data = numbered(10), *rest;
    const double bad[] = {0, 1, -0.5, 1.5, 0.0 / 0.0, 0.04, 0.96};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(cp_data_split(data, bad[i], 1, &rest), CP_E_ARG);
        assert_non_null(strstr(cp_error(), "fraction = "));
        assert_null(rest);
        assert_int_equal(cp_data_count(data), 10);
    }
    assert_int_equal(cp_data_split(NULL, 0.5, 1, &rest), CP_E_ARG);
    assert_int_equal(cp_data_split(data, 0.5, 1, NULL), CP_E_ARG);
    cp_data_free(data);
}

/* --- drawn digits --- */

static uint64_t checksum(const uint8_t *bytes, int64_t n) { /* FNV-1a */
    uint64_t sum = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < n; i++) sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

static void digits_are_the_same_everywhere(void **state) {
    (void)state;
    cp_data *data;
    assert_int_equal(cp_data_digits(&data, 20, 1), CP_OK);
    assert_true(cp_shape_same(cp_data_shape(data), cp_shape_nhwc(20, 28, 28, 1)));
    assert_int_equal(cp_data_classes(data), 10);
    for (int64_t i = 0; i < 20; i++) assert_int_equal(cp_data_label(data, i), i % 10);
    assert_int_equal(checksum(cp_data_image(data, 0), 20 * 784), 0xe5505d30f8871d58);
    cp_data_free(data);
}

static void a_digit_depends_on_seed_and_number_alone(void **state) {
    (void)state;
    cp_data *few, *many, *other;
    assert_int_equal(cp_data_digits(&few, 30, 5), CP_OK);
    assert_int_equal(cp_data_digits(&many, 100, 5), CP_OK);
    assert_int_equal(cp_data_digits(&other, 30, 6), CP_OK);
    assert_memory_equal(cp_data_image(few, 0), cp_data_image(many, 0), 30 * 784);
    for (int64_t i = 0; i < 30; i++) {
        assert_memory_not_equal(cp_data_image(few, i), cp_data_image(other, i), 784);
        assert_memory_not_equal(cp_data_image(many, i), cp_data_image(many, i + 10), 784); /* the next of its kind */
    }
    cp_data_free(few), cp_data_free(many), cp_data_free(other);
}

static void every_digit_has_ink_and_a_margin(void **state) {
    (void)state;
    enum { N = 5000 };
    cp_data *data;
    assert_int_equal(cp_data_digits(&data, N, 3), CP_OK);
    for (int64_t i = 0; i < N; i++) {
        const uint8_t *image = cp_data_image(data, i);
        double ink = 0, x = 0, y = 0;
        for (int j = 0; j < 784; j++) {
            bool margin = j / 28 == 0 || j / 28 == 27 || j % 28 == 0 || j % 28 == 27;
            if (margin) assert_int_equal(image[j], 0);
            ink += image[j] / 255.0;
            x += image[j] / 255.0 * (j % 28);
            y += image[j] / 255.0 * (j / 28);
        }
        assert_true(ink > 10 && ink < 350);
        assert_true(x / ink > 11 && x / ink < 16 && y / ink > 11 && y / ink < 16);
    }
    cp_data_free(data);
}

static void no_digits_are_an_error(void **state) {
    (void)state;
    cp_data *data;
    assert_int_equal(cp_data_digits(&data, 0, 1), CP_E_ARG);
    assert_non_null(strstr(cp_error(), "count = 0: must be at least 1"));
    assert_int_equal(cp_data_digits(&data, -3, 1), CP_E_ARG);
    assert_int_equal(cp_data_digits(NULL, 3, 1), CP_E_ARG);
    assert_true(cp_data_digits(&data, INT64_MAX, 1) < 0);
    assert_null(data);
}

/* --- augmentation --- */

static cp_augment *augment_of(const char *text) {
    cp_augment *augment;
    if (cp_augment_new(&augment, text)) fail_msg("%s: %s", text, cp_error());
    return augment;
}

/* n pictures of h x w with c channels, all pixels different from their neighbours and none 0. */
static cp_data *patterned(int64_t n, int64_t h, int64_t w, int64_t c) {
    cp_data *data;
    assert_int_equal(cp_data_new(&data, n, h, w, c, 2), CP_OK);
    for (int64_t i = 0; i < n * h * w * c; i++) data->images[i] = (uint8_t)(1 + i * 89 % 251);
    for (int64_t i = 0; i < n; i++) data->labels[i] = (int32_t)(i % 2);
    return data;
}

static float value_at(const cp_data *data, int64_t i, int64_t y, int64_t x, int64_t c) {
    const int64_t *dim = data->shape.dim;
    if (y < 0 || y >= dim[1] || x < 0 || x >= dim[2]) return 0;
    return (float)cp_data_image(data, i)[(y * dim[2] + x) * dim[3] + c] / 255.0f;
}

static void texts_of_augmentations_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "augment, position 1: something is missing; possible: shift PIXELS, rotate DEGREES, scale LEAST:GREATEST"},
        {"shift 2; turn 3", "augment, position 10: 'turn' is not possible here"},
        {"shift", "position 6: something is missing; possible: greatest way in pixels"},
        {"shift -1", "position 7: '-1' is not possible"},
        {"shift 1e4", "position 7: '1e4' is not possible"},
        {"shift 2 3", "position 9: '3' is not possible here; possible: ; or the end"},
        {"shift 2;; flip", "position 9: something is missing"},
        {"flip | flip", "position 6: '|' is not possible"},
        {"rotate 181", "'181' is not possible"},
        {"rotate nan", "'nan' is not possible"},
        {"scale 0.9", "'0.9' is not possible"},
        {"scale 0.9:1.1:1", "'0.9:1.1:1' is not possible"},
        {"scale 1.1:0.9", "'1.1:0.9' is not possible here; possible: least and greatest"},
        {"scale 0:1", "'0:1' is not possible"},
        {"elastic 1:", "'1:' is not possible"},
        {"elastic 1:17", "'1:17' is not possible"},
        {"elastic 1:2.5", "'1:2.5' is not possible"},
        {"crop 1.5", "'1.5' is not possible"},
        {"erase 1.1", "'1.1' is not possible"},
        {"flip 1", "'1' is not possible"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_augment *augment = (cp_augment *)&augment;
        const cp_status status = cp_augment_new(&augment, cases[i].text);
        if (status != CP_E_ARG || !strstr(cp_error(), cases[i].words))
            fail_msg("\"%s\": %d, \"%s\"", cases[i].text, status, cp_error());
        assert_null(augment);
    }
    cp_augment *augment;
    assert_int_equal(cp_augment_new(&augment, NULL), CP_E_ARG);
    assert_int_equal(cp_augment_new(NULL, "flip"), CP_E_ARG);
    cp_augment_free(NULL);
    cp_augment_free(augment_of(" shift 2;rotate 10 ; scale 0.9:1.1;\nelastic 2:3; flip; erase 0.1; crop 3; "));
}

/* How often each whole shift was seen, and that the picture is exactly that one moved, its mirror image with flip. */
static void whole_pixels_are_moved_exactly(void **state) {
    (void)state;
    enum { H = 5, W = 7, C = 3, TIMES = 400 };
    cp_data *data = patterned(1, H, W, C);
    cp_augment *augment = augment_of("crop 1; flip");
    int seen[2][3][3] = {{{0}}};
    for (int64_t epoch = 0; epoch < TIMES; epoch++) {
        float image[H * W * C];
        int found = 0;
        assert_int_equal(cp_augment_picture(augment, data, 0, 7, epoch, image), CP_OK);
        for (int flip = 0; flip < 2; flip++)
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++) {
                    bool same = true;
                    for (int i = 0; i < H * W * C; i++) {
                        const int y = i / C / W - dy, moved = i / C % W - dx, x = flip ? W - 1 - moved : moved;
                        same &= image[i] == value_at(data, 0, y, x, i % C);
                    }
                    seen[flip][dy + 1][dx + 1] += same;
                    found += same;
                }
        assert_int_equal(found, 1);
    }
    for (int i = 0; i < 18; i++) assert_in_range(seen[i / 9][i / 3 % 3][i % 3], 5, 50); /* 22 are expected */
    cp_augment_free(augment);
    cp_data_free(data);
}

static void half_the_size_is_the_mean_of_four(void **state) {
    (void)state;
    cp_data *data = patterned(1, 4, 4, 1);
    cp_augment *augment = augment_of("scale 0.5:0.5");
    float image[16];
    assert_int_equal(cp_augment_picture(augment, data, 0, 1, 0, image), CP_OK);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++) {
            const bool inside = (y == 1 || y == 2) && (x == 1 || x == 2);
            float expected = 0;
            for (int k = 0; inside && k < 4; k++)
                expected += value_at(data, 0, 2 * (y - 1) + k / 2, 2 * (x - 1) + k % 2, 0) / 4;
            assert_float_equal(image[4 * y + x], expected, 1e-6);
        }
    cp_augment_free(augment);
    cp_data_free(data);
}

/* A single bright pixel's centre tells where the picture went. */
static void pictures_move_and_turn_as_far_as_they_may(void **state) {
    (void)state;
    enum { SIDE = 41 };
    static const struct {
        const char *text;
        double least, most; /* of the greatest distance seen */
    } cases[] = {
        {"shift 3", 3.5, 4.2426}, {"rotate 10", 1.65, 1.75}, {"scale 0.8:1.1", 1.9, 2.01}, {"elastic 1.5:4", 3, 9}};
    cp_data *data;
    assert_int_equal(cp_data_new(&data, 1, SIDE, SIDE, 1, 2), CP_OK);
    memset(data->images, 0, SIDE * SIDE);
    data->labels[0] = 0;
    for (int i = 0; i < 9; i++) data->images[(19 + i / 3) * SIDE + 29 + i % 3] = 200; /* 10 right of the middle */
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        cp_augment *augment = augment_of(cases[k].text);
        double greatest = 0;
        for (int64_t epoch = 0; epoch < 300; epoch++) {
            float image[SIDE * SIDE];
            double sum = 0, across = 0, down = 0;
            assert_int_equal(cp_augment_picture(augment, data, 0, 3, epoch, image), CP_OK);
            for (int i = 0; i < SIDE * SIDE; i++) {
                assert_true(image[i] >= 0 && image[i] <= 200 / 255.0f + 1e-6f);
                sum += (double)image[i];
                across += (double)image[i] * (i % SIDE - 30);
                down += (double)image[i] * (i / SIDE - 20);
            }
            const double distance = sqrt(across * across + down * down) / sum;
            if (distance > greatest) greatest = distance;
        }
        if (greatest < cases[k].least || greatest > cases[k].most) fail_msg("%s: %g", cases[k].text, greatest);
        cp_augment_free(augment);
    }
    cp_data_free(data);
}

static void every_second_picture_loses_a_rectangle(void **state) {
    (void)state;
    enum { H = 20, W = 30 };
    cp_data *data = patterned(1, H, W, 1);
    cp_augment *augment = augment_of("erase 0.5");
    int erased = 0, largest = 0;
    for (int64_t epoch = 0; epoch < 400; epoch++) {
        float image[H * W];
        int top = H, left = W, bottom = -1, right = -1, zeros = 0;
        assert_int_equal(cp_augment_picture(augment, data, 0, 5, epoch, image), CP_OK);
        for (int i = 0; i < H * W; i++) {
            if (image[i] != 0) {
                assert_true(image[i] == value_at(data, 0, i / W, i % W, 0));
                continue;
            }
            zeros++;
            if (i / W < top) top = i / W;
            if (i / W > bottom) bottom = i / W;
            if (i % W < left) left = i % W;
            if (i % W > right) right = i % W;
        }
        if (zeros == 0) continue;
        erased++;
        assert_int_equal(zeros, (bottom - top + 1) * (right - left + 1));
        if (zeros > largest) largest = zeros;
    }
    assert_in_range(erased, 150, 250);
    assert_in_range(largest, H * W * 4 / 10, H * W * 53 / 100);
    cp_augment_free(augment);
    cp_data_free(data);
}

static void pictures_depend_on_seed_epoch_and_number_alone(void **state) {
    (void)state;
    enum { N = 50, FLOATS = 9 * 8 * 3 };
    static const int64_t order[] = {17, 3, 49, 0, 3, 20, 21};
    static float batch[7 * FLOATS], again[7 * FLOATS], one[FLOATS];
    int32_t labels[7];
    cp_data *data = patterned(N, 9, 8, 3);
    cp_augment *augment = augment_of("shift 1; rotate 10; scale 0.9:1.1; elastic 0.5; flip; erase; crop 1");
    cp_augment_batch(augment, NULL, data, order, 7, 11, 4, batch, labels);
    for (int threads = 2; threads < 10; threads += 3) {
        cp_threads *pool;
        assert_int_equal(cp_threads_new(&pool, threads), CP_OK);
        memset(again, 0, sizeof again);
        cp_augment_batch(augment, pool, data, order, 7, 11, 4, again, labels);
        cp_threads_free(pool);
        assert_memory_equal(batch, again, sizeof batch);
    }
    for (int i = 0; i < 7; i++) {
        assert_int_equal(labels[i], cp_data_label(data, order[i]));
        assert_int_equal(cp_augment_picture(augment, data, order[i], 11, 4, one), CP_OK);
        assert_memory_equal(one, batch + i * FLOATS, sizeof one);
    }
    assert_int_equal(cp_augment_picture(augment, data, 17, 12, 4, one), CP_OK);
    assert_memory_not_equal(one, batch, sizeof one);
    assert_int_equal(cp_augment_picture(augment, data, 17, 11, 5, one), CP_OK);
    assert_memory_not_equal(one, batch, sizeof one);

    assert_int_equal(cp_augment_picture(augment, data, N, 1, 0, one), CP_E_ARG);
    assert_int_equal(cp_augment_picture(augment, data, -1, 1, 0, one), CP_E_ARG);
    assert_int_equal(cp_augment_picture(augment, data, 0, 1, -1, one), CP_E_ARG);
    assert_int_equal(cp_augment_picture(NULL, data, 0, 1, 0, one), CP_E_ARG);
    cp_augment_free(augment);
    cp_data_free(data);
}

/* --- no memory --- */

static cp_status make_idx(cp_data **data) {
    return cp_data_idx(data, "images", "labels", open_memory);
}

static cp_status make_digits(cp_data **data) {
    return cp_data_digits(data, 10, 1);
}

static cp_status make_memory(cp_data **data) {
    uint8_t pixels[4] = {0};
    int32_t numbers[1] = {0};
    const int64_t one = 1;
    cp_tensor images = cp_view(pixels, CP_U8, cp_shape_nhwc(1, 2, 2, 1));
    cp_tensor labels = cp_view(numbers, CP_I32, cp_shape_of(1, &one));
    return cp_data_memory(data, &images, &labels, 1);
}

static cp_status make_cifar(cp_data **data) {
    const char *const paths[] = {images_path, images_path};
    return cp_data_cifar(data, 10, paths, 2, NULL);
}

static cp_data *whole; /* survives the splits that fail */
static cp_status make_split(cp_data **data) {
    return cp_data_split(whole, 0.5, 1, data);
}

static void without_memory_there_is_an_error_and_no_leak(void **state) {
    (void)state;
    set_memory(sizeof good_images, sizeof good_labels);
    each_allocation_fails(make_idx);
    assert_int_equal(memory.opened, memory.closed);
    each_allocation_fails(make_digits);
    each_allocation_fails(make_memory);
    write_cifar(images_path, 2, 1, 10, 2 * 3073);
    each_allocation_fails(make_cifar);
    cp_augment *augment;
    allocations_left = 0;
    assert_int_equal(cp_augment_new(&augment, "flip"), CP_E_MEMORY);
    allocations_left = -1;
    assert_null(augment);
    whole = numbered(10);
    each_allocation_fails(make_split);
    assert_int_equal(cp_data_count(whole), 5); /* split once, when it succeeded */
    cp_data_free(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx_files_are_read),
        cmocka_unit_test(idx_files_may_have_colours),
        cmocka_unit_test(idx_comes_through_a_reader_in_any_pieces),
        cmocka_unit_test(a_reader_that_fails_is_told_and_closed),
        cmocka_unit_test(idx_files_cut_anywhere_are_refused),
        cmocka_unit_test(idx_files_with_more_behind_are_refused),
        cmocka_unit_test(idx_headers_are_not_trusted),
        cmocka_unit_test(a_header_alone_gets_no_memory),
        cmocka_unit_test(large_streams_arrive_whole),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(pictures_are_copied_from_any_layout),
        cmocka_unit_test(pictures_that_do_not_fit_are_refused),
        cmocka_unit_test(cifar_files_are_read),
        cmocka_unit_test(cifar_files_are_checked),
        cmocka_unit_test(batches_are_scaled_and_ordered),
        cmocka_unit_test(a_split_is_a_partition),
        cmocka_unit_test(a_split_leaves_both_parts_something),
        cmocka_unit_test(digits_are_the_same_everywhere),
        cmocka_unit_test(a_digit_depends_on_seed_and_number_alone),
        cmocka_unit_test(every_digit_has_ink_and_a_margin),
        cmocka_unit_test(no_digits_are_an_error),
        cmocka_unit_test(texts_of_augmentations_are_checked),
        cmocka_unit_test(whole_pixels_are_moved_exactly),
        cmocka_unit_test(half_the_size_is_the_mean_of_four),
        cmocka_unit_test(pictures_move_and_turn_as_far_as_they_may),
        cmocka_unit_test(every_second_picture_loses_a_rectangle),
        cmocka_unit_test(pictures_depend_on_seed_epoch_and_number_alone),
        cmocka_unit_test(without_memory_there_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests_name("data", tests, make_paths, remove_paths);
}
