/* Files that a file names: they are opened only beneath its folder, and through no link. Source of the traps: ONNX's
 * external data, CVE-2022-25882, CVE-2024-27318, CVE-2025-51480. */
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__linux__) && defined(SYS_openat2)
#include <linux/openat2.h>
#endif

enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW }; /* not blocking: a FIFO would wait for a writer */

/* Refuses by the words alone what leaves the folder. */
static bool stays_within(const char *name) {
    if (*name == '/' || !*name) return false;
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!strncmp(part, "..", 2) && (part[2] == '/' || !part[2])) return false;
    }
    return true;
}

/* One folder after the other, where the kernel has no openat2. */
static int open_stepwise(int folder, const char *name) {
    char part[NAME_MAX + 1];
    int at = dup(folder);
    while (at >= 0) {
        const size_t length = strcspn(name, "/");
        const bool last = !name[length];
        int next = -1;
        if (length > NAME_MAX) {
            errno = ENAMETOOLONG;
        } else {
            memcpy(part, name, length);
            part[length] = 0;
            next = openat(at, length ? part : ".", last ? FLAGS : FLAGS | O_DIRECTORY);
        }
        const int number = errno;
        close(at);
        errno = number;
        if (last) return next;
        at = next;
        name += length + 1;
    }
    return -1;
}

static int open_beneath(int folder, const char *name) {
#if defined(__linux__) && defined(SYS_openat2)
    const struct open_how how = {.flags = FLAGS & ~O_NOFOLLOW,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    const long file = syscall(SYS_openat2, folder, name, &how, sizeof how);
    if (file >= 0 || (errno != ENOSYS && errno != EPERM)) return (int)file;
#endif
    return open_stepwise(folder, name);
}

static cp_status fail_open(const char *name, int number) {
    switch (number) {
    case ELOOP:
    case ENOTDIR:
        return cp_fail(CP_E_FORMAT, "%s: is a symbolic link, or leads through one", name);
    case EXDEV:
        return cp_fail(CP_E_FORMAT, "%s: leaves the model's directory", name);
    case ENXIO: /* a socket */
        return cp_fail(CP_E_FORMAT, "%s: is not a regular file", name);
    default:
        return cp_fail_errno(name, "cannot open", number);
    }
}

cp_status cp_file_map_beneath(cp_mapped *file, const char *folder, const char *name, int64_t limit) {
    struct stat about;
    *file = (cp_mapped){0};
    if (!stays_within(name)) return cp_fail(CP_E_FORMAT, "%s: leaves the model's directory", name);
    const int at = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (at < 0) return cp_fail_errno(folder, "cannot open", errno);
    const int opened = open_beneath(at, name), number = errno;
    close(at);
    if (opened < 0) return fail_open(name, number);
    cp_status status = CP_OK;
    if (fstat(opened, &about))
        status = cp_fail_errno(name, "cannot read", errno);
    else if (!S_ISREG(about.st_mode))
        status = cp_fail(CP_E_FORMAT, "%s: is not a regular file", name);
    else if (about.st_nlink != 1)
        status = cp_fail(CP_E_FORMAT, "%s: has %lld links", name, (long long)about.st_nlink);
    else
        status = cp_file_map_open(file, opened, name, limit);
    close(opened);
    return status;
}
