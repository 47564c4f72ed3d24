/* A process that is killed while it trains and saves, again and again: the file is always a whole one, nothing piles up
 * beside it, and what all of them have trained together is, to the last bit, what one would have trained alone. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <dirent.h>
#include <unistd.h>
#include <cmocka.h>
#include <convpool.h>

#include "full.h"

static char folder[64], path[80], other_path[80];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/convpool-kills-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/model", folder);
    snprintf(other_path, sizeof other_path, "%s/other", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    unlink(other_path);
    return rmdir(folder);
}

static int count_files(void) {
    DIR *all = opendir(folder);
    assert_non_null(all);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(all));) n += entry->d_name[0] != '.';
    closedir(all);
    return n;
}

static void ok(cp_status status) {
    if (status) fail_msg("%d: %s", (int)status, cp_error());
}

static cp_trainer *new_trainer(void) {
    cp_net *net;
    cp_trainer *trainer;
    ok(cp_net_new(&net));
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_of(2, (int64_t[]){0, 6}));
    cp_net_output(net, cp_net_parse(net, x, "dense 40 relu; dropout 0.2; dense 3"), "y");
    ok(cp_net_initialize(net, CP_GLOROT, 1));
    ok(cp_trainer_new(&trainer, net, NULL, NULL));
    cp_net_free(net);
    return trainer;
}

/* The next step; its batch follows from its number. */
static cp_status step(cp_trainer *trainer) {
    float values[4 * 6];
    int32_t labels[4];
    const int64_t number = cp_trainer_steps(trainer);
    for (int i = 0; i < 4; i++) {
        labels[i] = (int32_t)((number + i) % 3);
        for (int k = 0; k < 6; k++)
            values[6 * i + k] = (float)((number * 5 + 3 * i + k) % 11) / 11 + (float)(k == labels[i]);
    }
    const cp_tensor x = cp_mat(values, 4, 6), target = cp_view(labels, CP_I32, cp_shape_of(1, (int64_t[]){4}));
    double loss;
    return cp_trainer_step(trainer, &x, &target, &loss, NULL);
}

static cp_trainer *load(void) {
    cp_trainer *trainer;
    const cp_status status = cp_trainer_load(&trainer, NULL, path);
    if (status) fail_msg("the file is no whole one: %s", cp_error());
    return trainer;
}

static pid_t start_training(void) {
    const pid_t child = fork();
    if (child) return child;
    cp_trainer *trainer;
    if (cp_trainer_load(&trainer, NULL, path)) _exit(1);
    while (!step(trainer) && !cp_trainer_save(trainer, path)) continue;
    _exit(2);
}

static void assert_same_files(void) {
    static uint8_t bytes[2][1 << 16];
    size_t length[2];
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(i ? other_path : path, "rb");
        assert_non_null(file);
        length[i] = fread(bytes[i], 1, sizeof bytes[i], file);
        fclose(file);
    }
    assert_in_range(length[0], 1000, sizeof bytes[0] - 1);
    assert_int_equal(length[0], length[1]);
    assert_memory_equal(bytes[0], bytes[1], length[0]);
}

static void killed_while_saving(void **state) {
    (void)state;
    const int kills = quick_or_full(20, 200);
    cp_trainer *trainer = new_trainer();
    ok(cp_trainer_save(trainer, path));
    cp_trainer_free(trainer);
    uint32_t random = 1;
    int halves = 0;
    int64_t done = 0;
    for (int i = 0; i < kills; i++) {
        const pid_t child = start_training();
        assert_true(child > 0);
        random = random * 1664525u + 1013904223u;
        usleep((useconds_t)((uint64_t)random * 20001 >> 32));
        assert_int_equal(kill(child, SIGKILL), 0);
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        if (!WIFSIGNALED(how)) fail_msg("the training ended by itself, with status %d", WEXITSTATUS(how));

        const int files = count_files();
        assert_in_range(files, 1, 2);
        halves += files == 2;
        trainer = load();
        assert_true(cp_trainer_steps(trainer) >= done);
        done = cp_trainer_steps(trainer);
        ok(cp_trainer_save(trainer, path));
        assert_int_equal(count_files(), 1);
        cp_trainer_free(trainer);
    }
    print_message("%d kills in %lld steps, %d of them in a save\n", kills, (long long)done, halves);

    trainer = new_trainer();
    while (cp_trainer_steps(trainer) < done) ok(step(trainer));
    ok(cp_trainer_save(trainer, other_path));
    assert_same_files();
    cp_trainer_free(trainer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_while_saving)};
    return cmocka_run_group_tests_name("kills", tests, make_folder, remove_folder);
}
