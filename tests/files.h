/* What the tests of files share: a folder of their own (make_folder, remove_folder), files in it, random numbers. */
#ifndef TEST_FILES_H
#define TEST_FILES_H

#include "file/file.h"
#include "mutate.h"
#include "status.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static inline int make_folder(void **state) {
    (void)state;
    /* In memory where that is to be had: the tests write many thousand files, and fsync takes its time on a disk. */
    snprintf(folder, sizeof folder, "%s/convpool-files-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    return mkdtemp(folder) ? 0 : -1;
}

/* The files in the folder, each removed if asked for. */
static inline int count_files(bool remove_them) {
    int n = 0;
    char path[400];
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        n++;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (remove_them) assert_int_equal(remove(path), 0);
    }
    closedir(list);
    return n;
}

static inline int remove_folder(void **state) {
    (void)state;
    count_files(true);
    return rmdir(folder);
}

/* Valid until the next but three. */
static inline const char *in_folder(const char *name) {
    static char paths[4][400];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline const char *put_file(const char *name, const void *bytes, size_t length) {
    const char *path = in_folder(name);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, length), length);
    close(file);
    return path;
}

/* The bytes of a file; free() them. */
static inline uint8_t *get_file(const char *path, int64_t *length) {
    uint8_t *bytes;
    const cp_status status = cp_file_read(path, 1 << 30, &bytes, length);
    if (status) fail_msg("%s", cp_error());
    return bytes;
}

static inline void assert_file(const char *path, const void *bytes, size_t length) {
    int64_t found;
    uint8_t *content = get_file(path, &found);
    assert_int_equal(found, length);
    assert_memory_equal(content, bytes, length);
    free(content);
}

static uint32_t random_state = 1;
static inline uint32_t random_below(uint32_t n) {
    return mutation_random(&random_state, n);
}

#endif
