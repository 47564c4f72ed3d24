/* The binary files of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label, or
 * of a coarse and a fine one, and 32x32 pixels, all red, all green, all blue. */
#include "data/data.h"

#include <inttypes.h>

enum { SIDE = 32, PIXELS = SIDE * SIDE, CHANNELS = 3 };
#define MAX_BYTES (INT64_C(1) << 32) /* of one file */

typedef struct records {
    uint8_t *bytes;
    int64_t count;
} records;

static cp_status read_records(records *r, const char *path, int64_t record, cp_open open) {
    cp_input in;
    int64_t filled = 0;
    cp_status status = cp_input_open(&in, path, open);
    if (status) return status;
    status = cp_input_read_growing(&in, MAX_BYTES, &r->bytes, &filled);
    cp_input_close(&in);
    if (status) return status;
    if (filled == MAX_BYTES) return cp_fail(CP_E_LIMIT, "%s: limit %" PRId64 " bytes", path, MAX_BYTES);
    if (filled == 0 || filled % record)
        return cp_fail(CP_E_FORMAT, "%s: %" PRId64 " bytes are no whole number of records of %" PRId64, path, filled,
                       record);
    r->count = filled / record;
    return CP_OK;
}

/* Appends the records to the data, which has room for them, behind its first `at` pictures. */
static cp_status unpack(cp_data *data, int64_t at, const records *r, int64_t record, const char *path) {
    const int64_t label_at = record - PIXELS * CHANNELS - 1;
    for (int64_t i = 0; i < r->count; i++) {
        const uint8_t *from = r->bytes + i * record, *planes = from + label_at + 1;
        uint8_t *to = data->images + (at + i) * PIXELS * CHANNELS;
        if (from[label_at] >= data->classes)
            return cp_fail(CP_E_FORMAT, "%s: label %d of picture %" PRId64 ": must be 0..%d", path, from[label_at], i,
                           data->classes - 1);
        data->labels[at + i] = from[label_at];
        for (int p = 0; p < PIXELS; p++)
            for (int c = 0; c < CHANNELS; c++) to[p * CHANNELS + c] = planes[c * PIXELS + p];
    }
    return CP_OK;
}

static cp_status load(cp_data **data, int classes, const char *const *paths, int n, records *files, cp_open open) {
    const int64_t record = (classes == 10 ? 1 : 2) + PIXELS * CHANNELS;
    int64_t count = 0, at = 0;
    cp_status status = CP_OK;
    for (int i = 0; !status && i < n; i++) {
        status = read_records(&files[i], paths[i], record, open);
        count += files[i].count;
    }
    if (!status) status = cp_data_new(data, count, SIDE, SIDE, CHANNELS, classes);
    for (int i = 0; !status && i < n; i++) {
        status = unpack(*data, at, &files[i], record, paths[i]);
        at += files[i].count;
    }
    return status;
}

cp_status cp_data_cifar(cp_data **data, int classes, const char *const *paths, int n, cp_open open) {
    if (!data) return cp_fail(CP_E_ARG, "data is NULL");
    *data = NULL;
    if (classes != 10 && classes != 100) return cp_fail(CP_E_ARG, "classes = %d: must be 10 or 100", classes);
    if (!paths || n < 1) return cp_fail(CP_E_ARG, "%d files, or no list of them", n);
    records *files = cp_zalloc(NULL, n * (int64_t)sizeof *files);
    if (!files) return CP_E_MEMORY;
    const cp_status status = load(data, classes, paths, n, files, open);
    for (int i = 0; i < n; i++) cp_free(NULL, files[i].bytes);
    cp_free(NULL, files);
    if (!status) return CP_OK;
    cp_data_free(*data);
    *data = NULL;
    return status;
}
