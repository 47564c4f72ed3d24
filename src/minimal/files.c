/* In place of file/atomic.c, file/beneath.c and file/plain.c where there are no files: whoever wants one is told so. */
#include "file/file.h"

static cp_status no_files(const char *path) {
    return cp_fail(CP_E_UNSUPPORTED, "%s: this library was built without files", path ? path : "NULL");
}

cp_status cp_saver_open(cp_saver *saver, const char *path) {
    *saver = (cp_saver){.file = -1};
    return no_files(path);
}

cp_status cp_saver_write(cp_saver *saver, const void *data, int64_t bytes) {
    (void)data, (void)bytes;
    return no_files(saver->path);
}

cp_status cp_saver_commit(cp_saver *saver) {
    return no_files(saver->path);
}

void cp_saver_cancel(cp_saver *saver) {
    (void)saver;
}

cp_status cp_file_read(const char *path, int64_t limit, uint8_t **bytes, int64_t *length) {
    (void)limit;
    *bytes = NULL;
    *length = 0;
    return no_files(path);
}

cp_status cp_file_map(cp_mapped *file, const char *path, int64_t limit) {
    (void)limit;
    *file = (cp_mapped){0};
    return no_files(path);
}

cp_status cp_file_map_beneath(cp_mapped *file, const char *folder, const char *name, int64_t limit) {
    (void)folder;
    return cp_file_map(file, name, limit);
}

void cp_file_unmap(cp_mapped *file) {
    (void)file;
}

cp_status cp_file_open(cp_reader *reader, const char *path, int64_t *length) {
    *reader = (cp_reader){0};
    *length = -1;
    return no_files(path);
}
