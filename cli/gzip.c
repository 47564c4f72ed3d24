/* Reads plain and gzipped files alike, for cp_data_idx. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

typedef struct gzip_file {
    gzFile file;
    char text[128]; /* of the last error; the reader's text points here */
} gzip_file;

static int64_t read_gzip(void *user, void *buffer, int64_t bytes) {
    gzip_file *gzip = user;
    const int got = gzread(gzip->file, buffer, bytes < 1 << 30 ? (unsigned)bytes : 1u << 30);
    int error;
    const char *text = gzerror(gzip->file, &error);
    /* At the end of a file that was cut, gzread gives what there is and only gzerror tells. */
    if (got >= 0 && error != Z_BUF_ERROR) return got;
    if (error == Z_ERRNO) text = strerror(errno);
    snprintf(gzip->text, sizeof gzip->text, "%s", error == Z_BUF_ERROR ? "the gzip data ends too early" : text);
    return -1;
}

static void close_gzip(void *user) {
    gzip_file *gzip = user;
    gzclose(gzip->file);
    free(gzip);
}

/* Opens a regular file; -1 with the reason. */
static int open_regular(const char *path, const char **reason) {
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat about;
    if (file < 0 || fstat(file, &about)) {
        *reason = strerror(errno);
    } else if (!S_ISREG(about.st_mode)) {
        *reason = S_ISDIR(about.st_mode) ? "is a directory" : "is not a regular file";
    } else {
        return file;
    }
    if (file >= 0) close(file);
    return -1;
}

cp_status open_gzip(cp_reader *reader, const char *path) {
    *reader = (cp_reader){.read = read_gzip, .close = close_gzip};
    const int file = open_regular(path, &reader->text);
    if (file < 0) return CP_E_IO;
    gzip_file *gzip = allocate(1, sizeof *gzip);
    gzip->file = gzdopen(file, "rb");
    if (!gzip->file) {
        close(file);
        free(gzip);
        reader->text = "no memory";
        return CP_E_MEMORY;
    }
    gzbuffer(gzip->file, 1 << 17);
    reader->user = gzip;
    reader->text = gzip->text;
    return CP_OK;
}
