/* Files to be read from their beginning to their end, plain or unpacked on the way. */
#include "data/data.h"

#include <errno.h>
#include <string.h>

#define FIRST_BYTES (INT64_C(1) << 20) /* of memory, before the file has shown that there is more */

cp_status cp_input_open(cp_input *in, const char *path, cp_open open) {
    *in = (cp_input){.path = path, .length = -1};
    if (!open) return cp_file_open(&in->reader, path, &in->length);
    cp_status status = open(&in->reader, path);
    if (status) return cp_fail(status, "%s: %s", path, in->reader.text ? in->reader.text : cp_status_text(status));
    if (!in->reader.read) return cp_fail(CP_E_ARG, "%s: the reader has no function to read", path);
    return CP_OK;
}

void cp_input_close(cp_input *in) {
    if (in->reader.close) in->reader.close(in->reader.user);
}

cp_status cp_input_read(cp_input *in, void *buffer, int64_t bytes, int64_t *got) {
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

cp_status cp_input_read_growing(cp_input *in, int64_t bytes, uint8_t **memory, int64_t *filled) {
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
        status = cp_input_read(in, grown + *filled, larger - *filled, &got);
        *filled += got;
        capacity = larger;
    }
    return status;
}
