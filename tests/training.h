/* What the tests of training share: nets, batches and files of theirs. */
#ifndef TEST_TRAINING_H
#define TEST_TRAINING_H

#include "status.h"
#include "train/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- two files, for a program that runs between make_paths and remove_paths --- */

static char path_a[64], path_b[64];

static inline int make_paths(void **state) {
    (void)state;
    static char folder[] = "/tmp/convpool-train-XXXXXX";
    if (!mkdtemp(folder)) return -1;
    snprintf(path_a, sizeof path_a, "%s/a", folder);
    snprintf(path_b, sizeof path_b, "%s/b", folder);
    return 0;
}

static inline int remove_paths(void **state) {
    (void)state;
    unlink(path_a);
    unlink(path_b);
    *strrchr(path_a, '/') = 0;
    return rmdir(path_a);
}

static inline bool same_files(const char *a, const char *b) {
    uint8_t *bytes_a, *bytes_b;
    int64_t length_a, length_b;
    ok(cp_file_read(a, 1 << 30, &bytes_a, &length_a));
    ok(cp_file_read(b, 1 << 30, &bytes_b, &length_b));
    const bool same = length_a == length_b && !memcmp(bytes_a, bytes_b, (size_t)length_a);
    cp_free(NULL, bytes_a);
    cp_free(NULL, bytes_b);
    return same;
}

/* --- nets --- */

static inline float uniform(uint32_t stream, int64_t i) {
    const cp_random_key key = {.seed = 9, .stream = stream};
    return 2 * cp_random_uniform(&key, (uint64_t)i) - 1;
}

static inline cp_net *new_net(cp_shape shape, const char *text, uint64_t seed) {
    cp_net *net;
    ok(cp_net_new(&net));
    const cp_node x = cp_net_input(net, "image", CP_F32, shape);
    cp_net_output(net, cp_net_parse(net, x, text), "logits");
    const char *error;
    if (cp_net_error(net, &error)) fail_msg("%s", error);
    ok(cp_net_initialize(net, CP_GLOROT, seed));
    return net;
}

static inline cp_net *digits_net(void) {
    return new_net(cp_shape_nhwc(0, 28, 28, 1),
                   "conv 6 5x5 stride 2 same relu; pool 2; flatten; dropout 0.2; dense 20 relu; dropout 0.3; dense 10",
                   1);
}

static inline cp_net *small_net(void) {
    return new_net(cp_shape_nhwc(0, 4, 4, 2), "conv 4 3x3 same relu; pool 2; flatten; dropout 0.3; dense 3", 2);
}

static inline bool same_parameters(const cp_net *a, const cp_net *b) {
    bool same = cp_net_parameters(a) == cp_net_parameters(b);
    for (int i = 0; same && i < cp_net_parameters(a); i++) {
        const cp_tensor p = cp_net_parameter(a, i), q = cp_net_parameter(b, i);
        same = !strcmp(cp_net_parameter_name(a, i), cp_net_parameter_name(b, i)) && cp_shape_same(p.shape, q.shape) &&
               !memcmp(p.data, q.data, (size_t)cp_shape_count(p.shape) * sizeof(float));
    }
    return same;
}

/* The trainer's parameters as they are now. */
static inline cp_net *exported(const cp_trainer *trainer) {
    cp_net *net;
    ok(cp_net_clone(&net, trainer->net));
    ok(cp_trainer_export(trainer, net));
    return net;
}

static inline bool trained_alike(const cp_trainer *a, const cp_trainer *b) {
    cp_net *net_a = exported(a), *net_b = exported(b);
    const bool same = same_parameters(net_a, net_b);
    cp_net_free(net_a);
    cp_net_free(net_b);
    return same;
}

/* --- what they are trained on --- */

enum { ROWS = 6, CLASSES = 3 };

typedef struct batch {
    float values[ROWS * 4 * 4 * 2];
    double doubles[ROWS * 4 * 4 * 2];
    int32_t number[ROWS];
    cp_tensor x, x_double, labels;
} batch;

/* Rows that can be told apart: the label shows in the first pixels. */
static inline void make_batch(batch *b, int64_t rows, uint32_t stream) {
    for (int64_t e = 0; e < ROWS * 32; e++) b->values[e] = uniform(stream, e);
    for (int64_t r = 0; r < ROWS; r++) {
        b->number[r] = (int32_t)((r + stream) % CLASSES);
        b->values[r * 32 + b->number[r]] += 2;
    }
    for (int64_t e = 0; e < ROWS * 32; e++) b->doubles[e] = (double)b->values[e];
    b->x = cp_nhwc(b->values, rows, 4, 4, 2);
    b->x_double = cp_view(b->doubles, CP_F64, b->x.shape);
    b->labels = cp_view(b->number, CP_I32, cp_shape_of(1, &rows));
}

/* What a fit told, and when it is to stop. */
typedef struct diary {
    int calls, stop_at; /* the call that says stop; 0: none */
    int ends;
    double loss[64];
    cp_progress last;
} diary;

static inline bool note_progress(void *user, const cp_progress *progress) {
    diary *d = user;
    assert_true(d->calls < 64);
    d->loss[d->calls++] = progress->loss;
    d->ends += progress->epoch_end;
    d->last = *progress;
    return d->calls != d->stop_at;
}

#endif
