/* A plain file, read bit by bit. */
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int file_of(void *user) {
    return (int)(intptr_t)user;
}

static int64_t read_plain(void *user, void *buffer, int64_t bytes) {
    ssize_t got;
    do got = read(file_of(user), buffer, (size_t)bytes);
    while (got < 0 && errno == EINTR);
    return got;
}

static void close_plain(void *user) {
    close(file_of(user));
}

cp_status cp_file_open(cp_reader *reader, const char *path, int64_t *length) {
    /* Not blocking: a FIFO would wait for a writer before it could be refused. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat about;
    if (file < 0) return cp_fail_errno(path, "cannot open", errno);
    cp_status status = CP_OK;
    if (fstat(file, &about))
        status = cp_fail_errno(path, "cannot read", errno);
    else if (!S_ISREG(about.st_mode))
        status = cp_fail(CP_E_IO, "%s: %s", path, S_ISDIR(about.st_mode) ? "is a directory" : "is not a regular file");
    if (status) {
        close(file);
        return status;
    }
    *reader = (cp_reader){.read = read_plain, .close = close_plain, .user = (void *)(intptr_t)file};
    *length = about.st_size;
    return CP_OK;
}
