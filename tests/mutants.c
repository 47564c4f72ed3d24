/* Thousands of damaged files of each format that the library reads: each is read or refused with a sentence, at once,
 * and nobody believes a file that its few bytes need much memory.
 *
 * The program is linked with --wrap: the library's allocations arrive here first. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "file/file.h"
#include "full.h"
#include "mutate.h"

#define LONGEST 8192        /* bytes of a file */
#define MOST (4 << 20)      /* bytes of one allocation for it */
#define SECONDS_FOR_ONE 120 /* more than enough under sanitizers: who needs them hangs */

typedef struct bytes {
    uint8_t data[LONGEST];
    size_t length;
} bytes;

static bytes mutant;
static const bytes *partner; /* of pictures their labels, of labels their pictures */
static char path[64];

/* --- memory --- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static size_t largest;

static void note(size_t size) {
    if (size > largest) largest = size;
}

void *__wrap_malloc(size_t size) {
    note(size);
    return __real_malloc(size);
}
void *__wrap_calloc(size_t n, size_t size) {
    note(size ? n > SIZE_MAX / size ? SIZE_MAX : n * size : 0);
    return __real_calloc(n, size);
}
void *__wrap_realloc(void *old, size_t size) {
    note(size);
    return __real_realloc(old, size);
}
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    note(size);
    return __real_aligned_alloc(alignment, size);
}

/* --- good files --- */

static void ok(cp_status status) {
    if (status) fail_msg("%d: %s", (int)status, cp_error());
}

static void take_file(bytes *to) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    to->length = fread(to->data, 1, sizeof to->data, file);
    fclose(file);
    assert_in_range(to->length, 1, LONGEST - 1);
}

static bytes images, labels, cifar, array, model, foreign;

static void make_idx(void) {
    static const uint8_t image_header[] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5};
    static const uint8_t label_file[] = {0, 0, 8, 1, 0, 0, 0, 3, 7, 1, 9};
    memcpy(images.data, image_header, sizeof image_header);
    images.length = sizeof image_header + 3 * 4 * 5;
    memcpy(labels.data, label_file, sizeof label_file);
    labels.length = sizeof label_file;
}

/* Two records: a label and 32x32 pixels in three planes. */
static void make_cifar(void) {
    cifar.length = 2 * 3073;
    for (size_t i = 0; i < cifar.length; i++) cifar.data[i] = (uint8_t)(i % 3073 ? i % 251 : 7);
}

static void make_npy(void) {
    static const double values[6] = {1, 2, 3, 4, 5, 6};
    const cp_tensor tensor = cp_view(values, CP_F64, cp_shape_of(2, (int64_t[]){2, 3}));
    ok(cp_npy_save(&tensor, path));
    take_file(&array);
}

static void make_model(void) {
    cp_net *net;
    ok(cp_net_new(&net));
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 4, 4, 2));
    cp_net_output(net, cp_net_parse(net, x, "conv 2 3x3 same relu; max-pool 2 ceil; flatten; dense 3"), "y");
    ok(cp_net_initialize(net, CP_GLOROT, 1));
    ok(cp_net_save(net, path));
    cp_net_free(net);
    take_file(&model);
}

/* Without checksums, so that nothing keeps what is wrong from the reader. */
static void make_foreign(void) {
    static const char json[] = "{\"__metadata__\":{\"net\":\"\\u00e9\"},"
                               "\"a\":{\"dtype\":\"I64\",\"shape\":[2,1],\"data_offsets\":[0,16]},"
                               "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2,1],\"data_offsets\":[16,24]},"
                               "\"c\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[24,25]}}";
    const uint64_t length = sizeof json - 1;
    memcpy(foreign.data, &length, 8);
    memcpy(foreign.data + 8, json, length);
    foreign.length = 8 + length + 25;
}

static int make_files(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s/convpool-mutants-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    const int file = mkstemp(path);
    if (file < 0) return -1;
    close(file);
    make_idx();
    make_cifar();
    make_npy();
    make_model();
    make_foreign();
    return 0;
}

static int remove_files(void **state) {
    (void)state;
    return unlink(path);
}

/* --- reading the mutant --- */

static int64_t read_memory(void *user, void *buffer, int64_t count) {
    bytes *rest = user;
    if (count > (int64_t)rest->length) count = (int64_t)rest->length;
    memcpy(buffer, rest->data, (size_t)count);
    memmove(rest->data, rest->data + count, rest->length - (size_t)count);
    rest->length -= (size_t)count;
    return count;
}

static void close_memory(void *user) {
    free(user);
}

static cp_status open_memory(cp_reader *reader, const char *name) {
    bytes *copy = malloc(sizeof *copy);
    assert_non_null(copy);
    *copy = !strcmp(name, "mutant") ? mutant : *partner;
    *reader = (cp_reader){read_memory, close_memory, copy, "memory cannot fail"};
    return CP_OK;
}

/* What a reader of pictures says; they are looked at and freed. */
static cp_status check_pictures(cp_status status, cp_data *data) {
    assert_true((status == CP_OK) == (data != NULL));
    if (!status) {
        const cp_shape s = cp_data_shape(data);
        const int64_t pixels = cp_shape_count(s);
        assert_in_range(pixels, 1, LONGEST);
        unsigned sum = 0;
        for (int64_t i = 0; i < pixels; i++) sum += cp_data_image(data, 0)[i];
        assert_true(sum <= 255 * LONGEST);
        for (int64_t i = 0; i < s.dim[0]; i++) assert_in_range(cp_data_label(data, i), 0, 255);
    }
    cp_data_free(data);
    return status;
}

static cp_status read_images(void) {
    cp_data *data;
    partner = &labels;
    const cp_status status = cp_data_idx(&data, "mutant", "partner", open_memory);
    return check_pictures(status, data);
}

static cp_status read_labels(void) {
    cp_data *data;
    partner = &images;
    const cp_status status = cp_data_idx(&data, "partner", "mutant", open_memory);
    return check_pictures(status, data);
}

static cp_status read_cifar(void) {
    cp_data *data;
    const cp_status status = cp_data_cifar(&data, 10, (const char *[]){"mutant"}, 1, open_memory);
    return check_pictures(status, data);
}

static cp_status read_array(void) {
    const int file = open(path, O_WRONLY | O_TRUNC);
    assert_true(file >= 0 && write(file, mutant.data, mutant.length) == (ssize_t)mutant.length);
    close(file);
    cp_array loaded;
    const cp_status status = cp_npy_load(&loaded, path);
    assert_true(status == CP_OK || loaded.data == NULL);
    if (!status) assert_true(cp_shape_count(loaded.shape) * cp_type_size(loaded.type) <= (int64_t)mutant.length);
    cp_array_free(&loaded);
    return status;
}

/* Checksums find whatever is changed. */
static cp_status read_model(void) {
    cp_net *net;
    const cp_status status = cp_net_load_memory(&net, mutant.data, (int64_t)mutant.length);
    assert_true((status == CP_OK) == (net != NULL));
    const bool changed = mutant.length != model.length || memcmp(mutant.data, model.data, model.length) != 0;
    if (!status && changed) fail_msg("a changed model was read");
    cp_net_free(net);
    return status;
}

static cp_status read_foreign(void) {
    cp_safetensors file;
    const cp_status status = cp_safetensors_read(&file, mutant.data, (int64_t)mutant.length);
    if (status) return status;
    for (int64_t i = 0; i < file.n_tensors; i++) {
        const cp_tensor t = file.tensors[i].tensor;
        const int64_t length = cp_shape_count(t.shape) * cp_type_size(t.type);
        assert_in_range(length, 0, mutant.length);
        assert_true(cp_crc32c(0, t.data, length) <= UINT32_MAX); /* reads them all */
    }
    cp_safetensors_free(&file);
    return CP_OK;
}

/* --- the tests --- */

typedef struct format {
    const char *name;
    const bytes *good;
    cp_status (*read)(void);
    int share; /* of the mutants of its kind: one in so many */
} format;

static void mutants_of(void **state) {
    const format *f = *state;
    const int count = quick_or_full(1000, 20000) / f->share;
    mutant = *f->good;
    ok(f->read());
    int read = 0;
    uint32_t random = 1;
    for (int i = 0; i < count; i++) {
        mutant = *f->good;
        for (int n = 1 + i % 3; n > 0; n--) mutant.length = mutate(&random, mutant.data, mutant.length);
        largest = 0;
        alarm(SECONDS_FOR_ONE);
        const cp_status status = f->read();
        alarm(0);
        if (status && status != CP_E_FORMAT && status != CP_E_UNSUPPORTED && status != CP_E_LIMIT)
            fail_msg("%s, mutant %d: status %d, %s", f->name, i, (int)status, cp_error());
        if (status && !*cp_error()) fail_msg("%s, mutant %d: no sentence", f->name, i);
        if (largest > MOST) fail_msg("%s, mutant %d: %zu bytes at once", f->name, i, largest);
        read += !status;
    }
    print_message("%s: %d mutants, %d of them read\n", f->name, count, read);
    assert_in_range(read, f->good == &model ? 0 : 1, count * 9 / 10);
}

int main(void) {
    static format formats[] = {
        {"IDX images", &images, read_images, 2}, {"IDX labels", &labels, read_labels, 2},
        {"CIFAR", &cifar, read_cifar, 2},        {".npy", &array, read_array, 1},
        {"models", &model, read_model, 2},       {"safetensors of others", &foreign, read_foreign, 1}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(mutants_of, &formats[0]), cmocka_unit_test_prestate(mutants_of, &formats[1]),
        cmocka_unit_test_prestate(mutants_of, &formats[2]), cmocka_unit_test_prestate(mutants_of, &formats[3]),
        cmocka_unit_test_prestate(mutants_of, &formats[4]), cmocka_unit_test_prestate(mutants_of, &formats[5]),
    };
    return cmocka_run_group_tests_name("mutants", tests, make_files, remove_files);
}
