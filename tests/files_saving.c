/* Files: saving that never loses the old file, and reading. */
#include "files.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static cp_status save_bytes(const char *path, const void *bytes, int64_t length) {
    cp_saver saver;
    cp_status status = cp_saver_open(&saver, path);
    if (!status) status = cp_saver_write(&saver, bytes, length);
    if (!status) status = cp_saver_commit(&saver);
    cp_saver_cancel(&saver);
    return status;
}

static void test_save_replaces(void **state) {
    (void)state;
    count_files(true);
    ok(save_bytes(in_folder("a"), "new", 3));
    assert_file(in_folder("a"), "new", 3);
    ok(save_bytes(in_folder("a"), "newer", 5));
    assert_file(in_folder("a"), "newer", 5);
    ok(save_bytes(in_folder("a"), "", 0));
    assert_file(in_folder("a"), "", 0);
    assert_int_equal(count_files(false), 1);
}

/* Nothing is seen of a save before it is committed, and nothing is left of one that is cancelled. */
static void test_save_cancelled(void **state) {
    (void)state;
    count_files(true);
    cp_saver saver;
    put_file("a", "old", 3);
    ok(cp_saver_open(&saver, in_folder("a")));
    ok(cp_saver_write(&saver, "new", 3));
    assert_file(in_folder("a"), "old", 3);
    cp_saver_cancel(&saver);
    cp_saver_cancel(&saver);
    assert_file(in_folder("a"), "old", 3);
    assert_int_equal(count_files(false), 1);
}

static void test_save_in_working_folder(void **state) {
    (void)state;
    char old[4096];
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(folder), 0);
    const cp_status status = save_bytes("here", "new", 3);
    assert_int_equal(chdir(old), 0);
    ok(status);
    assert_file(in_folder("here"), "new", 3);
}

/* New files have the mode that the umask says; old ones keep theirs. */
static void test_save_mode(void **state) {
    (void)state;
    struct stat about;
    count_files(true);
    const mode_t old = umask(027);
    ok(save_bytes(in_folder("a"), "new", 3));
    assert_int_equal(stat(in_folder("a"), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
    assert_int_equal(chmod(in_folder("a"), 0600), 0);
    ok(save_bytes(in_folder("a"), "new", 3));
    assert_int_equal(stat(in_folder("a"), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    umask(old);
}

static void test_save_through_link(void **state) {
    (void)state;
    struct stat about;
    count_files(true);
    put_file("real", "old", 3);
    assert_int_equal(symlink("real", in_folder("link")), 0);
    ok(save_bytes(in_folder("link"), "new", 3));
    assert_file(in_folder("real"), "new", 3);
    assert_int_equal(lstat(in_folder("link"), &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    assert_int_equal(count_files(false), 2);
}

/* What a killed process left is used up by the next save; a link in its place is not followed. */
static void test_save_after_kill(void **state) {
    (void)state;
    count_files(true);
    put_file("a", "old", 3);
    const pid_t child = fork();
    if (child == 0) {
        cp_saver saver;
        if (!cp_saver_open(&saver, in_folder("a")) && !cp_saver_write(&saver, "half a file", 11)) raise(SIGKILL);
        _exit(1);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    assert_file(in_folder("a"), "old", 3);
    assert_int_equal(count_files(false), 2);
    ok(save_bytes(in_folder("a"), "new", 3));
    assert_file(in_folder("a"), "new", 3);
    assert_int_equal(count_files(false), 1);

    put_file("victim", "kept", 4);
    assert_int_equal(symlink("victim", in_folder("a.convpool-new")), 0);
    refused(save_bytes(in_folder("a"), "new", 3), CP_E_IO, "cannot write");
    assert_file(in_folder("victim"), "kept", 4);
}

/* Processes that save one file at the same time take turns: what is read is always one of theirs as a whole. */
static void test_save_at_once(void **state) {
    (void)state;
    enum { CHILDREN = 3, SAVES = 60, BYTES = 20000 };
    static char bytes[BYTES];
    count_files(true);
    memset(bytes, '0', BYTES);
    put_file("a", bytes, BYTES);
    pid_t child[CHILDREN];
    for (int c = 0; c < CHILDREN; c++) {
        child[c] = fork();
        if (child[c] == 0) {
            memset(bytes, 'a' + c, BYTES);
            for (int i = 0; i < SAVES; i++)
                if (save_bytes(in_folder("a"), bytes, BYTES)) _exit(1);
            _exit(0);
        }
    }
    for (int i = 0; i < 300; i++) {
        int64_t length;
        uint8_t *read = get_file(in_folder("a"), &length);
        assert_int_equal(length, BYTES);
        for (int k = 1; k < BYTES; k++) assert_int_equal(read[k], read[0]);
        free(read);
    }
    for (int c = 0; c < CHILDREN; c++) {
        int how;
        assert_int_equal(waitpid(child[c], &how, 0), child[c]);
        assert_int_equal(how, 0);
    }
    assert_int_equal(count_files(false), 1);
}

static void test_save_disk_full(void **state) {
    (void)state;
    static float zeros[10000];
    const cp_tensor tensor = cp_vec(zeros, 10000);
    const cp_stored stored = {"w", tensor};
    count_files(true);
    put_file("a", "old", 3);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    const struct rlimit small = {.rlim_cur = 5000, .rlim_max = limit.rlim_max};
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    const cp_status npy = cp_npy_save(&tensor, in_folder("a"));
    char npy_text[400];
    snprintf(npy_text, sizeof npy_text, "%s", cp_error());
    const cp_status safetensors = cp_safetensors_save(in_folder("a"), &stored, 1, NULL, 0);
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, old);
    refused(safetensors, CP_E_IO, "a: cannot write: File too large");
    assert_int_equal(npy, CP_E_IO);
    assert_non_null(strstr(npy_text, "a: cannot write: File too large"));
    assert_file(in_folder("a"), "old", 3);
    assert_int_equal(count_files(false), 1);
    refused(cp_npy_save(&tensor, "/dev/full"), CP_E_IO, "/dev/full: cannot write: No space left on device");
    ok(cp_npy_save(&tensor, "/dev/null"));
}

static void test_save_where_it_cannot_be(void **state) {
    (void)state;
    count_files(true);
    refused(save_bytes(folder, "new", 3), CP_E_IO, "cannot write: Is a directory");
    refused(save_bytes(in_folder("none/a"), "new", 3), CP_E_IO, "none/a: cannot write: No such file or directory");
    refused(save_bytes("/proc/a", "new", 3), CP_E_IO, "/proc/a: cannot write");
    refused(save_bytes("", "new", 3), CP_E_ARG, "path is empty");
    refused(save_bytes(NULL, "new", 3), CP_E_ARG, "path is NULL");
    char name[300];
    memset(name, 'x', sizeof name);
    name[299] = 0;
    refused(save_bytes(in_folder(name), "new", 3), CP_E_IO, "File name too long");
    put_file("file", "", 0);
    refused(save_bytes(in_folder("file/a"), "new", 3), CP_E_IO, "Not a directory");
    /* A folder that may not be written to. The superuser may write to all, and becomes another for this. */
    put_file("a", "old", 3);
    const bool root = geteuid() == 0;
    assert_int_equal(chmod(folder, 0555), 0);
    if (!root || !seteuid(65534)) {
        const cp_status status = save_bytes(in_folder("a"), "new", 3);
        if (root) assert_int_equal(seteuid(0), 0);
        refused(status, CP_E_IO, "a: cannot write: Permission denied");
    } else {
        print_message("SKIPPED: a read-only folder\n");
    }
    assert_int_equal(chmod(folder, 0755), 0);
    assert_file(in_folder("a"), "old", 3);
}

/* The last step fails, too: a folder has taken the name meanwhile. And what bears the temporary file's name is no file.
 */
static void test_save_in_the_way(void **state) {
    (void)state;
    count_files(true);
    cp_saver saver;
    ok(cp_saver_open(&saver, in_folder("a")));
    ok(cp_saver_write(&saver, "new", 3));
    assert_int_equal(mkdir(in_folder("a"), 0700), 0);
    refused(cp_saver_commit(&saver), CP_E_IO, "a: cannot replace: Is a directory");
    assert_int_equal(count_files(true), 1);

    assert_int_equal(mkfifo(in_folder("a.convpool-new"), 0600), 0);
    const int reader = open(in_folder("a.convpool-new"), O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    refused(save_bytes(in_folder("a"), "new", 3), CP_E_IO, "a: cannot write: Invalid argument");
    close(reader);
    assert_int_equal(access(in_folder("a"), F_OK), -1);
}

/* A pipe takes the bytes as they come, and gives them up to its end. */
static void test_pipes(void **state) {
    (void)state;
    enum { BYTES = 300000 };
    static float values[BYTES / 4];
    for (int i = 0; i < BYTES / 4; i++) values[i] = (float)i;
    count_files(true);
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    const pid_t child = fork();
    if (child == 0) {
        const cp_tensor tensor = cp_vec(values, BYTES / 4);
        _exit(cp_npy_save(&tensor, in_folder("pipe")) != CP_OK);
    }
    cp_array array;
    ok(cp_npy_load(&array, in_folder("pipe")));
    assert_memory_equal(array.data, values, BYTES);
    cp_array_free(&array);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
}

static void test_read_limits(void **state) {
    (void)state;
    uint8_t *bytes;
    int64_t length;
    put_file("a", "12345", 5);
    ok(cp_file_read(in_folder("a"), 5, &bytes, &length));
    assert_int_equal(length, 5);
    assert_memory_equal(bytes, "12345", 5);
    cp_free(NULL, bytes);
    refused(cp_file_read(in_folder("a"), 4, &bytes, &length), CP_E_LIMIT, "5 bytes, more than the limit of 4");
    assert_null(bytes);
    refused(cp_file_read("/dev/zero", 100000, &bytes, &length), CP_E_LIMIT, "more than the limit of 100000 bytes");
    assert_null(bytes);
    /* Files whose size is not told beforehand. */
    ok(cp_file_read("/proc/self/status", 1 << 20, &bytes, &length));
    assert_true(length > 100);
    cp_free(NULL, bytes);
    ok(cp_file_read("/dev/null", 0, &bytes, &length));
    assert_int_equal(length, 0);
    cp_free(NULL, bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_replaces),
        cmocka_unit_test(test_save_cancelled),
        cmocka_unit_test(test_save_in_working_folder),
        cmocka_unit_test(test_save_mode),
        cmocka_unit_test(test_save_through_link),
        cmocka_unit_test(test_save_after_kill),
        cmocka_unit_test(test_save_at_once),
        cmocka_unit_test(test_save_disk_full),
        cmocka_unit_test(test_save_where_it_cannot_be),
        cmocka_unit_test(test_save_in_the_way),
        cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_read_limits),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
