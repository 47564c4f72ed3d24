/* Paths, whole files, .npy arrays on standard streams. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LIMIT ((size_t)256 << 20)

/* The path with its folder resolved: also for a file that does not exist. */
static bool resolve(const char *path, char resolved[PATH_MAX]) {
    if (realpath(path, resolved)) return true;
    char folder[PATH_MAX], name[PATH_MAX], real_folder[PATH_MAX];
    if (strlen(path) >= PATH_MAX) return false;
    strcpy(folder, path);
    strcpy(name, path);
    if (!realpath(dirname(folder), real_folder)) return false;
    return snprintf(resolved, PATH_MAX, "%s/%s", real_folder, basename(name)) < PATH_MAX;
}

bool same_file(const char *a, const char *b) {
    struct stat of_a, of_b;
    if (!stat(a, &of_a) && !stat(b, &of_b))
        return of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino && S_ISREG(of_a.st_mode);
    char real_a[PATH_MAX], real_b[PATH_MAX];
    return resolve(a, real_a) && resolve(b, real_b) && !strcmp(real_a, real_b);
}

int check_output(const char *path) {
    struct stat about;
    if (!stat(path, &about)) {
        if (S_ISDIR(about.st_mode)) return fail(STATUS_IO, "%s: is a directory", path);
        if (!S_ISREG(about.st_mode)) return STATUS_OK; /* a device or a pipe */
    }
    char folder[PATH_MAX];
    if (strlen(path) >= PATH_MAX) return fail(STATUS_IO, "%s: %s", path, strerror(ENAMETOOLONG));
    strcpy(folder, path);
    if (access(dirname(folder), W_OK | X_OK)) return fail(STATUS_IO, "%s: cannot write: %s", path, strerror(errno));
    return STATUS_OK;
}

static int read_stream(int file, const char *path, size_t expected, unsigned char **bytes, size_t *length) {
    size_t capacity = expected + 1, used = 0; /* one more than expected shows the end */
    unsigned char *data = allocate(capacity, 1);
    for (;;) {
        const ssize_t got = read(file, data + used, capacity - used);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            *bytes = data;
            *length = used;
            if (!got) return STATUS_OK;
            free(data);
            return fail(STATUS_IO, "%s: %s", path, strerror(errno));
        }
        used += (size_t)got;
        if (used > FILE_LIMIT) {
            free(data);
            return fail(STATUS_LIMIT, "%s: more than the limit of %zu bytes", path, FILE_LIMIT);
        }
        if (used < capacity) continue;
        capacity = capacity > FILE_LIMIT / 2 ? FILE_LIMIT + 1 : 2 * capacity + 65536;
        unsigned char *grown = realloc(data, capacity);
        if (!grown) {
            free(data);
            return fail(STATUS_LIMIT, "%s: no memory for %zu bytes", path, capacity);
        }
        data = grown;
    }
}

int read_file(const char *path, unsigned char **bytes, size_t *length) {
    if (!strcmp(path, "-")) return read_stream(STDIN_FILENO, "standard input", 65536, bytes, length);
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO must not block before it is refused */
    if (file < 0) return fail(STATUS_IO, "%s: %s", path, strerror(errno));
    struct stat about;
    int status;
    if (fstat(file, &about)) {
        status = fail(STATUS_IO, "%s: %s", path, strerror(errno));
    } else if (S_ISDIR(about.st_mode)) {
        status = fail(STATUS_IO, "%s: is a directory", path);
    } else if (!S_ISREG(about.st_mode)) {
        status = fail(STATUS_IO, "%s: is not a regular file", path);
    } else if (about.st_size > (off_t)FILE_LIMIT) {
        status = fail(STATUS_LIMIT, "%s: %lld bytes, more than the limit of %zu", path, (long long)about.st_size,
                      FILE_LIMIT);
    } else {
        status = read_stream(file, path, (size_t)about.st_size, bytes, length);
    }
    close(file);
    return status;
}

int load_npy(cp_array *array, const char *path) {
    const cp_status status = cp_npy_load(array, strcmp(path, "-") ? path : "/dev/stdin");
    return status ? fail_library(status) : STATUS_OK;
}

static int copy_to_stdout(int from) {
    char buffer[65536];
    for (;;) {
        const ssize_t got = read(from, buffer, sizeof buffer);
        if (got < 0) return fail(STATUS_IO, "temporary file: %s", strerror(errno));
        if (!got) return STATUS_OK;
        if (fwrite(buffer, 1, (size_t)got, stdout) != (size_t)got)
            return fail(STATUS_IO, "standard output: %s", strerror(errno));
    }
}

int save_npy(const cp_tensor *tensor, const char *path) {
    if (strcmp(path, "-")) {
        const cp_status status = cp_npy_save(tensor, path);
        return status ? fail_library(status) : STATUS_OK;
    }
    /* The library replaces files; a standard stream is filled from a temporary one. */
    const char *folder = getenv("TMPDIR");
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s/convpool-XXXXXX", folder ? folder : "/tmp") >= (int)sizeof name)
        return fail(STATUS_IO, "%s: %s", folder, strerror(ENAMETOOLONG));
    int file = mkstemp(name);
    if (file < 0) return fail(STATUS_IO, "%s: %s", name, strerror(errno));
    close(file);
    const cp_status saved = cp_npy_save(tensor, name);
    int status = saved ? fail_library(saved) : STATUS_OK;
    if (!status) {
        file = open(name, O_RDONLY | O_CLOEXEC);
        status = file < 0 ? fail(STATUS_IO, "%s: %s", name, strerror(errno)) : copy_to_stdout(file);
        if (file >= 0) close(file);
    }
    unlink(name);
    return status;
}
