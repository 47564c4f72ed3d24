/* Saving without ever losing the old file, and reading a whole file. */
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char suffix[] = ".convpool-new"; /* of a temporary file */

#define STREAM_LIMIT ((int64_t)1 << 30) /* a stream may be endless: /dev/zero */

/* The system takes a little less than 2 GiB in one call. */
static size_t at_once(int64_t bytes) {
    return (size_t)(bytes < 1 << 30 ? bytes : 1 << 30);
}

/* Whether a path no longer leads to the file that was opened by it; false with errno where that cannot be found out. */
static bool is_stale(const char *path, int file) {
    struct stat opened, named;
    errno = 0;
    if (fstat(file, &opened)) return false;
    if (lstat(path, &named)) return errno == ENOENT;
    return opened.st_dev != named.st_dev || opened.st_ino != named.st_ino;
}

/* Opens the temporary file, empty; -1 with errno. Its lock makes two who save the same file take turns, and dies with
 * its process: what a killed one left behind is used again. Where locks are not to be had we go on without. */
static int open_temporary(const char *temporary, mode_t mode) {
    for (;;) {
        const int file = open(temporary, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode);
        if (file < 0) return -1;
        while (flock(file, LOCK_EX) && errno == EINTR) continue;
        /* While we waited, the other one gave this file its final name. */
        const bool stale = is_stale(temporary, file);
        if (!stale && !errno && !ftruncate(file, 0)) return file;
        const int number = errno;
        if (!stale) unlink(temporary);
        close(file);
        errno = number;
        if (!stale) return -1;
    }
}

/* A rename lasts only when the folder is synchronised, too. Not every file system can do that (EINVAL). */
static int synchronise_folder(const char *path) {
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash) {
        const size_t length = (size_t)(slash - path) + 1;
        if (length >= sizeof folder) return ENAMETOOLONG;
        memcpy(folder, path, length);
        folder[length] = 0;
    }
    const int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return errno;
    const int number = fsync(file) ? errno : 0;
    close(file);
    return number == EINVAL ? 0 : number;
}

cp_status cp_saver_open(cp_saver *saver, const char *path) {
    char resolved[PATH_MAX];
    struct stat old;
    *saver = (cp_saver){.file = -1};
    if (!path || !*path) return cp_fail(CP_E_ARG, "the path is %s", path ? "empty" : "NULL");
    const bool exists = !stat(path, &old);
    if (exists && S_ISDIR(old.st_mode)) return cp_fail_errno(path, "cannot write", EISDIR);
    /* The file that a symbolic link names is replaced, not the link. */
    const bool replaced = !exists || S_ISREG(old.st_mode);
    saver->path = cp_copy_text(exists && replaced && realpath(path, resolved) ? resolved : path);
    if (!saver->path) return CP_E_MEMORY;
    if (replaced) {
        /* A name that follows from the path, so that nothing piles up beside it. */
        cp_text name = {0};
        cp_text_add(&name, "%s%s", saver->path, suffix);
        saver->temporary = cp_text_take(&name);
        if (!saver->temporary) {
            cp_saver_cancel(saver);
            return CP_E_MEMORY;
        }
        saver->file = open_temporary(saver->temporary, exists ? (old.st_mode & 0777) | S_IRUSR | S_IWUSR : 0666);
    } else {
        saver->file = open(path, O_WRONLY | O_CLOEXEC); /* a pipe, a terminal, /dev/null */
    }
    if (saver->file >= 0) return CP_OK;
    const cp_status status = cp_fail_errno(path, "cannot write", errno);
    cp_saver_cancel(saver);
    return status;
}

cp_status cp_saver_write(cp_saver *saver, const void *data, int64_t bytes) {
    for (const uint8_t *from = data; bytes > 0;) {
        const ssize_t written = write(saver->file, from, at_once(bytes));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return cp_fail_errno(saver->path, "cannot write", written ? errno : EIO);
        from += written;
        bytes -= written;
    }
    return CP_OK;
}

cp_status cp_saver_commit(cp_saver *saver) {
    cp_status status = CP_OK;
    if (saver->temporary) {
        if (fsync(saver->file)) {
            status = cp_fail_errno(saver->path, "cannot write", errno);
        } else if (rename(saver->temporary, saver->path)) {
            status = cp_fail_errno(saver->path, "cannot replace", errno);
        } else {
            cp_free(NULL, saver->temporary);
            saver->temporary = NULL;
            const int number = synchronise_folder(saver->path);
            if (number) status = cp_fail_errno(saver->path, "cannot synchronise its folder", number);
        }
    }
    cp_saver_cancel(saver);
    return status;
}

void cp_saver_cancel(cp_saver *saver) {
    if (!saver->path) return;
    /* Under the lock, that is before the file is closed: afterwards the name may be another's. */
    if (saver->file >= 0 && saver->temporary) unlink(saver->temporary);
    if (saver->file >= 0) close(saver->file);
    cp_free(NULL, saver->temporary);
    cp_free(NULL, saver->path);
    *saver = (cp_saver){.file = -1};
}

/* Reads to the end of an open file into memory that begins with the size the file says it has, and grows: files change
 * while they are read, and streams have no size. */
static cp_status read_all(int file, int64_t size, int64_t limit, const char *path, uint8_t **bytes, int64_t *length) {
    uint8_t *data = NULL;
    int64_t used = 0, capacity = 0;
    cp_status status = CP_OK;
    for (;;) {
        if (used == capacity) {
            /* One more than is expected shows that there is no more. */
            int64_t more = used ? 2 * used : size + 1;
            if (more > limit) more = limit + 1;
            if (used == more) {
                status = cp_fail(CP_E_LIMIT, "%s: more than the limit of %lld bytes", path, (long long)limit);
                break;
            }
            uint8_t *grown = cp_alloc(NULL, more);
            if (!grown) {
                status = cp_fail_within(CP_E_MEMORY, "%s", path);
                break;
            }
            if (used) memcpy(grown, data, (size_t)used);
            cp_free(NULL, data);
            data = grown;
            capacity = more;
        }
        const ssize_t got = read(file, data + used, at_once(capacity - used));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = cp_fail_errno(path, "cannot read", errno);
        if (got <= 0) break;
        used += got;
    }
    if (status) {
        cp_free(NULL, data);
        return status;
    }
    *bytes = data;
    *length = used;
    return CP_OK;
}

static cp_status read_open(int file, const char *path, int64_t limit, uint8_t **bytes, int64_t *length) {
    struct stat about;
    if (fstat(file, &about)) return cp_fail_errno(path, "cannot read", errno);
    if (S_ISDIR(about.st_mode)) return cp_fail(CP_E_IO, "%s: is a directory", path);
    if (!S_ISREG(about.st_mode))
        return read_all(file, 1 << 16, limit < STREAM_LIMIT ? limit : STREAM_LIMIT, path, bytes, length);
    if (about.st_size > limit)
        return cp_fail(CP_E_LIMIT, "%s: %lld bytes, more than the limit of %lld", path, (long long)about.st_size,
                       (long long)limit);
    return read_all(file, about.st_size, limit, path, bytes, length);
}

static cp_status open_file(const char *path, int *file) {
    if (!path) return cp_fail(CP_E_ARG, "the path is NULL");
    *file = open(path, O_RDONLY | O_CLOEXEC);
    return *file < 0 ? cp_fail_errno(path, "cannot open", errno) : CP_OK;
}

cp_status cp_file_read(const char *path, int64_t limit, uint8_t **bytes, int64_t *length) {
    int file = -1;
    *bytes = NULL;
    *length = 0;
    cp_status status = open_file(path, &file);
    if (status) return status;
    status = read_open(file, path, limit, bytes, length);
    close(file);
    return status;
}

/* NULL where the file is no regular one of 1 to `limit` bytes, or cannot be mapped: reading tells then what is wrong.
 */
static void *map(int file, int64_t limit, int64_t *length) {
    struct stat about;
    if (fstat(file, &about) || !S_ISREG(about.st_mode) || about.st_size < 1 || about.st_size > limit) return NULL;
    int flags = MAP_PRIVATE;
#ifdef MAP_POPULATE
    flags |= MAP_POPULATE;
#endif
    *length = about.st_size;
    void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, flags, file, 0);
    return bytes == MAP_FAILED ? NULL : bytes;
}

cp_status cp_file_map_open(cp_mapped *file, int opened, const char *name, int64_t limit) {
    uint8_t *bytes;
    *file = (cp_mapped){0};
    file->bytes = map(opened, limit, &file->length);
    file->mapped = file->bytes != NULL;
    if (file->mapped) return CP_OK;
    const cp_status status = read_open(opened, name, limit, &bytes, &file->length);
    file->bytes = status ? NULL : bytes;
    return status;
}

cp_status cp_file_map(cp_mapped *file, const char *path, int64_t limit) {
    int opened = -1;
    *file = (cp_mapped){0};
    cp_status status = open_file(path, &opened);
    if (status) return status;
    status = cp_file_map_open(file, opened, path, limit);
    close(opened);
    return status;
}

void cp_file_unmap(cp_mapped *file) {
    if (file->mapped)
        munmap((void *)file->bytes, (size_t)file->length);
    else
        cp_free(NULL, (void *)file->bytes);
    *file = (cp_mapped){0};
}
