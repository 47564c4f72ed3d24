/* What the system may refuse: memory, threads, files. Every allocation fails in turn, alone and with all later ones;
 * every call to the file system fails, is interrupted or does only a part. Each time there must be an error with a
 * sentence, nothing may leak, a file is the old one or the new one, and the same call then gives the right bits.
 *
 * The program is linked with --wrap: the library's calls of the functions below arrive here first. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <convpool.h>
#include <dirent.h>

/* ---------------------------------------------------------------------------------------------------------------
 * What is refused
 * ------------------------------------------------------------------------------------------------------------- */

typedef struct refusal {
    int calls;    /* so far */
    int at;       /* the number of the call that is refused, from 1; 0: none */
    bool onwards; /* and all later ones */
    int refused;
} refusal;

static bool refuses(refusal *r) {
    r->calls++;
    const bool now = r->at && (r->calls == r->at || (r->onwards && r->calls > r->at));
    r->refused += now;
    return now;
}

#define KILLED (-1) /* not refused, but the end of the process */

static refusal memory, threads;
static struct {
    refusal calls;
    int number;             /* the errno of a refusal; KILLED; 0: no refusal but a part of what was asked for, */
    size_t (*part)(size_t); /* this much of it */
} files;

static int allocated, opened; /* what is alive */

static void *count_allocation(void *allocation) {
    allocated += allocation != NULL;
    return allocation;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *allocation);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *allocation);

void *__wrap_malloc(size_t size) {
    return refuses(&memory) ? NULL : count_allocation(__real_malloc(size));
}
void *__wrap_calloc(size_t n, size_t size) {
    return refuses(&memory) ? NULL : count_allocation(__real_calloc(n, size));
}
void *__wrap_realloc(void *old, size_t size) {
    if (refuses(&memory)) return NULL;
    allocated -= old != NULL;
    return count_allocation(__real_realloc(old, size));
}
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return refuses(&memory) ? NULL : count_allocation(__real_aligned_alloc(alignment, size));
}
void __wrap_free(void *allocation) {
    allocated -= allocation != NULL;
    __real_free(allocation);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*start)(void *), void *argument) {
    return refuses(&threads) ? EAGAIN : __real_pthread_create(thread, how, start, argument);
}

/* Whether this call to the file system fails; errno is set then. */
static bool file_call_fails(void) {
    if (!refuses(&files.calls) || !files.number) return false;
    if (files.number == KILLED) raise(SIGKILL);
    errno = files.number;
    return true;
}

/* The same for a call that may do a part of what it is asked for. */
static bool transfer_fails(size_t *bytes) {
    const int before = files.calls.refused;
    if (file_call_fails()) return true;
    if (files.calls.refused > before) *bytes = files.part(*bytes);
    return false;
}

static size_t one_byte(size_t bytes) {
    return bytes ? 1 : 0;
}
static size_t one_half(size_t bytes) {
    return (bytes + 1) / 2;
}

int __real_open(const char *path, int flags, ...);
int __real_close(int file);
int __real_ftruncate(int file, off_t length);
int __real_flock(int file, int operation);
int __real_fstat(int file, struct stat *about);
int __real_rename(const char *from, const char *to);
ssize_t __real_read(int file, void *to, size_t bytes);
ssize_t __real_write(int file, const void *from, size_t bytes);
int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int file);
int __wrap_fsync(int file);
int __wrap_ftruncate(int file, off_t length);
int __wrap_flock(int file, int operation);
int __wrap_fstat(int file, struct stat *about);
int __wrap_rename(const char *from, const char *to);
ssize_t __wrap_read(int file, void *to, size_t bytes);
ssize_t __wrap_write(int file, const void *from, size_t bytes);

int __wrap_open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    if (file_call_fails()) return -1;
    const int file = __real_open(path, flags, mode);
    opened += file >= 0;
    return file;
}
/* Linux closes the file, whatever it then says. */
int __wrap_close(int file) {
    const bool fails = file_call_fails();
    const int number = errno;
    opened--;
    if (__real_close(file)) return -1;
    errno = number;
    return fails ? -1 : 0;
}
/* No power fails here, so that nobody needs to wait for the disk. */
int __wrap_fsync(int file) {
    (void)file;
    return file_call_fails() ? -1 : 0;
}
int __wrap_ftruncate(int file, off_t length) {
    return file_call_fails() ? -1 : __real_ftruncate(file, length);
}
int __wrap_flock(int file, int operation) {
    return file_call_fails() ? -1 : __real_flock(file, operation);
}
int __wrap_fstat(int file, struct stat *about) {
    return file_call_fails() ? -1 : __real_fstat(file, about);
}
int __wrap_rename(const char *from, const char *to) {
    return file_call_fails() ? -1 : __real_rename(from, to);
}
ssize_t __wrap_read(int file, void *to, size_t bytes) {
    return transfer_fails(&bytes) ? -1 : __real_read(file, to, bytes);
}
ssize_t __wrap_write(int file, const void *from, size_t bytes) {
    return transfer_fails(&bytes) ? -1 : __real_write(file, from, bytes);
}

/* ---------------------------------------------------------------------------------------------------------------
 * The folder of the test, and what a scenario results in
 * ------------------------------------------------------------------------------------------------------------- */

/* In memory where possible: each file is written a thousand times. */
static char folder[64];

static const char *in_folder(const char *name) {
    static char paths[8][400];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

typedef struct contents {
    uint8_t bytes[1 << 18];
    size_t length;
} contents;

/* The result of the run at hand, and what it must be. */
static contents result, right;

static void keep(const void *bytes, size_t length) {
    assert_true(length <= sizeof result.bytes - result.length);
    memcpy(result.bytes + result.length, bytes, length);
    result.length += length;
}

static void keep_text(void *user, const char *text, size_t length) {
    (void)user;
    keep(text, length);
}

static bool same(const contents *a, const contents *b) {
    return a->length == b->length && !memcmp(a->bytes, b->bytes, a->length);
}

static void get_file(const char *path, contents *to) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    to->length = fread(to->bytes, 1, sizeof to->bytes, file);
    assert_true(to->length < sizeof to->bytes);
    fclose(file);
}

static void put_file(const char *path, const void *bytes, size_t length) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fwrite(bytes, 1, length, file) == length);
    fclose(file);
}

static int count_files(bool remove_them) {
    DIR *all = opendir(folder);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(all));) {
        if (entry->d_name[0] == '.') continue;
        if (remove_them) unlink(in_folder(entry->d_name));
        n++;
    }
    closedir(all);
    return n;
}

/* 2 pictures of 3x4 and their labels, in the format of MNIST */
static const uint8_t idx_images[] = {0, 0, 8, 3, 0, 0,  0,  2,  0,  0,  0,  3,  0,  0,  0,  4,  1,  2,  3,  4,
                                     5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};
static const uint8_t idx_labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 4, 7};

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/convpool-faults-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(folder)) return -1;
    put_file(in_folder("images"), idx_images, sizeof idx_images);
    put_file(in_folder("labels"), idx_labels, sizeof idx_labels);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    count_files(true);
    return rmdir(folder);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Scenarios: each is a row of calls that stops at the first failure
 * ------------------------------------------------------------------------------------------------------------- */

/* The next call, unless one has failed. */
#define then(call)                                                                                                     \
    if (!status) status = (call)
/* One that makes an object: its pointer must be NULL where it fails. */
#define make(object, call)                                                                                             \
    if (!status) {                                                                                                     \
        object = (void *)&result;                                                                                      \
        status = (call);                                                                                               \
        if (status) assert_null(object);                                                                               \
    }

static float numbers[4096];

static float *ascending(void) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) numbers[i] = (float)(i * 7 % 31) / 16 - 1;
    return numbers;
}

static void *allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    return aligned_alloc(alignment, bytes);
}
static void release(void *user, void *allocation) {
    (void)user;
    free(allocation);
}

static cp_status one_convolution(void) {
    static float y[2 * 6 * 5 * 5];
    static const cp_allocator own = {allocate, release, NULL};
    const float *n = ascending();
    const cp_tensor x = cp_nchw(n, 2, 3, 5, 5), w = cp_oihw(n + 500, 6, 3, 3, 3), b = cp_vec(n, 6);
    const cp_tensor out = cp_nchw(y, 2, 6, 5, 5);
    cp_status status = CP_OK;
    cp_ctx *ctx = NULL;
    cp_plan *plan = NULL;
    cp_work *work = NULL;
    make(ctx, cp_ctx_new(&ctx, &(cp_options){.threads = 2, .allocator = &own}));
    make(plan, cp_conv_plan(&plan, ctx, &(cp_conv){.pad = CP_PAD_SAME, .activation = CP_TANH}, &x, &w, &b, &out));
    make(work, cp_work_new(&work, plan));
    then(cp_plan_run(plan, work, &x, 1, &out, 1));
    if (!status) keep(y, sizeof y);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_ctx_free(ctx);
    return status;
}

static cp_status gradients_and_pooling(void) {
    static float dx[2 * 6 * 6 * 3], dw[3 * 3 * 3 * 4], db[4], pooled[2 * 3 * 3 * 3];
    const float *n = ascending();
    const cp_tensor x = cp_nhwc(n, 2, 6, 6, 3), w = cp_hwio(n + 300, 3, 3, 3, 4), b = cp_vec(n + 9, 4);
    const cp_tensor dy = cp_nchw(n + 77, 2, 4, 4, 4), to_x = cp_nhwc(dx, 2, 6, 6, 3), to_w = cp_hwio(dw, 3, 3, 3, 4);
    const cp_tensor to_b = cp_vec(db, 4), y = cp_nhwc(pooled, 2, 3, 3, 3), dpooled = cp_nhwc(n + 5, 2, 3, 3, 3);
    const cp_conv conv = {.activation = CP_RELU};
    cp_status status = cp_conv_gradient(NULL, &conv, &x, &w, &b, &dy, &to_x, &to_w, &to_b);
    if (!status) keep(dx, sizeof dx), keep(dw, sizeof dw), keep(db, sizeof db);
    for (int kind = CP_MAX; kind <= CP_AVERAGE; kind++) {
        const cp_pool pool = {.kind = (cp_pooling)kind, .kernel = {2, 2}};
        then(cp_pool_run(NULL, &pool, &x, &y));
        if (!status) keep(pooled, sizeof pooled);
        then(cp_pool_gradient(NULL, &pool, &x, &dpooled, &to_x));
        if (!status) keep(dx, sizeof dx);
    }
    return status;
}

static cp_status build(cp_net *net) {
    const cp_node x = cp_net_input(net, "image", CP_F32, cp_shape_nhwc(0, 28, 28, 1));
    cp_net_name(net, "first");
    const cp_node y = cp_net_parse(net, x, "conv 2 5x5 stride 4 relu; pool 2; flatten; dropout 0.3; dense 10");
    cp_net_output(net, y, "logits");
    cp_status status = cp_net_error(net, NULL);
    then(cp_net_set_note(net, "about", "a small net"));
    then(cp_net_initialize(net, CP_GLOROT, 1));
    return status;
}

static cp_status steps(cp_trainer *trainer, const cp_data *data) {
    static float images[8 * 28 * 28];
    int32_t labels[8];
    const int64_t n = cp_data_count(data);
    const cp_tensor x = cp_nhwc(images, n, 28, 28, 1), target = cp_view(labels, CP_I32, cp_shape_of(1, &n));
    cp_data_batch(data, NULL, 0, n, images, labels);
    cp_status status = CP_OK;
    for (int i = 0; i < 2 && !status; i++) {
        double loss = 0;
        int64_t correct;
        status = cp_trainer_step(trainer, &x, &target, &loss, &correct);
        if (!status) keep(&loss, sizeof loss), keep(&correct, sizeof correct);
    }
    return status;
}

static cp_status training(void) {
    const char *path = in_folder("model");
    cp_status status = CP_OK;
    cp_ctx *ctx = NULL;
    cp_data *data = NULL;
    cp_net *net = NULL, *loaded = NULL;
    cp_trainer *trainer = NULL, *resumed = NULL;
    cp_score score;
    make(ctx, cp_ctx_new(&ctx, &(cp_options){.threads = 2}));
    make(data, cp_data_digits(&data, 8, 1));
    make(net, cp_net_new(&net));
    then(build(net));
    make(trainer, cp_trainer_new(&trainer, net, ctx, NULL));
    then(steps(trainer, data));
    then(cp_trainer_save(trainer, path));
    make(resumed, cp_trainer_load(&resumed, ctx, path));
    then(steps(resumed, data));
    then(cp_trainer_export(resumed, net));
    then(cp_trainer_fit(resumed, data, &(cp_fit){.batch = 3, .validation = data}));
    make(loaded, cp_net_load(&loaded, path));
    then(cp_net_evaluate(loaded, ctx, data, &score, NULL));
    if (!status) keep(&score, sizeof score);
    for (int i = 0; !status && i < cp_net_parameters(net); i++) {
        const cp_tensor p = cp_net_parameter(net, i);
        keep(p.data, (size_t)cp_shape_count(p.shape) * sizeof(float));
    }
    cp_trainer_free(resumed);
    cp_trainer_free(trainer);
    cp_net_free(loaded);
    cp_net_free(net);
    cp_data_free(data);
    cp_ctx_free(ctx);
    return status;
}

static cp_status files_and_explanations(void) {
    const float *n = ascending();
    const cp_tensor nchw = cp_nchw(n, 1, 2, 3, 4), x = cp_nhwc(n, 1, 3, 4, 2), w = cp_hwio(n + 50, 2, 2, 2, 1);
    cp_status status = CP_OK;
    cp_array array = {0};
    cp_data *data = NULL, *rest = NULL, *copied = NULL;
    then(cp_npy_save(&nchw, in_folder("model")));
    then(cp_npy_load(&array, in_folder("model")));
    if (!status) keep(array.data, 24 * sizeof(float));
    make(data, cp_data_idx(&data, in_folder("images"), in_folder("labels"), NULL));
    if (!status) keep(cp_data_image(data, 1), 12);
    make(rest, cp_data_split(data, 0.5, 1, &rest));
    if (!status) {
        const cp_tensor images = cp_view(cp_data_image(data, 0), CP_U8, cp_data_shape(data));
        const int32_t labels = cp_data_label(data, 0);
        const cp_tensor label = cp_view(&labels, CP_I32, cp_shape_of(1, &images.shape.dim[0]));
        make(copied, cp_data_memory(&copied, &images, &label, 10));
    }
    then(cp_explain_conv(NULL, &x, &w, NULL, keep_text, NULL));
    cp_array_free(&array);
    cp_data_free(copied);
    cp_data_free(rest);
    cp_data_free(data);
    return status;
}

static cp_status nets(void) {
    cp_status status = CP_OK;
    cp_net *net = NULL, *copy = NULL, *loaded = NULL;
    cp_plan *plan = NULL;
    make(net, cp_net_new(&net));
    then(build(net));
    make(copy, cp_net_clone(&copy, net));
    const cp_node wrt[2] = {cp_net_parameter_node(copy, 0), cp_net_input_node(copy, 0)};
    cp_node by[2] = {0};
    if (!status) {
        const float *n = ascending();
        const cp_tensor value = cp_mat(n, 1, 10);
        const cp_node y = cp_net_output_node(copy, 0), dy = cp_net_input(copy, "dy", CP_F32, cp_net_shape(copy, y));
        cp_net_output(copy, cp_net_softmax(copy, cp_net_constant(copy, "ten", &value)), "fixed");
        then(cp_net_error(copy, NULL));
        then(cp_net_gradients(copy, y, dy, wrt, 2, by));
        if (status) assert_int_equal(by[0], 0);
        cp_net_output(copy, by[0], "dw");
        cp_net_output(copy, by[1], "dx");
        then(cp_net_error(copy, NULL));
    }
    make(plan, cp_net_plan(&plan, NULL, copy, &(cp_plan_options){.batch = 3, .type = CP_F64, .training = true}));
    for (int i = 0; !status && i < cp_net_layers(net); i++) {
        cp_layer layer;
        status = cp_net_layer(net, i, &layer);
        if (!status) keep_text(NULL, layer.name, strlen(layer.name)), keep(&layer.multiply_adds, 8);
    }
    then(cp_net_save(net, in_folder("model")));
    make(loaded, cp_net_load(&loaded, in_folder("model")));
    if (!status) keep_text(NULL, cp_net_note(loaded, "about"), 11);
    cp_plan_free(plan);
    cp_net_free(loaded);
    cp_net_free(copy);
    cp_net_free(net);
    return status;
}

/* Layers that are not in the other nets. */
static cp_status build_branches(cp_net *net) {
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 4, 4, 4));
    const cp_conv larger = {.kernel = {3, 3}, .stride = {2, 2}, .pad = CP_PAD_SAME, .activation = CP_SILU};
    const cp_padding mirrored = {.before = {1, 0}, .after = {0, 1}, .values = CP_PAD_REFLECT};
    const cp_resize smaller = {.interpolation = CP_INTERPOLATE_LINEAR, .size = {5, 5}};
    const cp_node both[2] = {cp_net_conv_transpose(net, x, 3, &larger),
                             cp_net_depth_to_space(net, x, 2, CP_DEPTH_FIRST)};
    cp_node y = cp_net_prelu(net, cp_net_activation_with(net, cp_net_concat(net, both, 2, -1), CP_ELU, 0.5f, 0));
    y = cp_net_resize(net, cp_net_pad(net, y, &mirrored), &smaller);
    y = cp_net_reduce(net, cp_net_im2col(net, y, &(cp_conv){.kernel = {2, 2}}), CP_REDUCE_L2, (int[]){1}, 1, false);
    y = cp_net_dense(net, cp_net_slice(net, y, -1, 2, 9), 3, CP_GELU);
    cp_net_output(net, y, "y");
    cp_status status = cp_net_error(net, NULL);
    then(cp_net_initialize(net, CP_HE, 3));
    return status;
}

static cp_status branches(void) {
    static float out[9], loss, gradients[5][512];
    static contents file;
    const float *n = ascending();
    cp_status status = CP_OK;
    cp_node wrt[5], by[5];
    cp_net *net = NULL, *loaded = NULL;
    cp_plan *plan = NULL;
    cp_work *work = NULL;
    make(net, cp_net_new(&net));
    then(build_branches(net));
    then(cp_net_save(net, in_folder("model")));
    if (!status) get_file(in_folder("model"), &file);
    make(loaded, cp_net_load_memory(&loaded, file.bytes, (int64_t)file.length));
    const int parameters = cp_net_parameters(loaded);
    if (!status) assert_int_equal(parameters, 5);
    for (int i = 0; i < parameters; i++) wrt[i] = cp_net_parameter_node(loaded, i);
    if (!status) {
        const cp_node target = cp_net_input(loaded, "target", CP_F32, cp_shape_of(2, (int64_t[]){0, 3}));
        cp_net_output(loaded, cp_net_mean_squared_error(loaded, cp_net_output_node(loaded, 0), target), "loss");
        then(cp_net_error(loaded, NULL));
    }
    then(cp_net_gradients(loaded, cp_net_output_node(loaded, 1), 0, wrt, parameters, by));
    cp_tensor inputs[2] = {cp_nhwc(n, 3, 4, 4, 4), cp_mat(n + 300, 3, 3)};
    cp_tensor outputs[7] = {cp_mat(out, 3, 3), cp_vec(&loss, 1)};
    for (int i = 0; !status && i < parameters; i++) {
        cp_net_output(loaded, by[i], NULL);
        outputs[2 + i] = cp_view(gradients[i], CP_F32, cp_net_parameter(loaded, i).shape);
    }
    make(plan, cp_net_plan(&plan, NULL, loaded, &(cp_plan_options){.batch = 3, .training = true}));
    make(work, cp_work_new(&work, plan));
    then(cp_plan_run(plan, work, inputs, 2, outputs, 7));
    if (!status) keep(&loss, sizeof loss), keep(out, sizeof out), keep(gradients, sizeof gradients);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_net_free(loaded);
    cp_net_free(net);
    return status;
}

static cp_status transposes_streams_and_augmentations(void) {
    static float y[9 * 9 * 4], piece[2 * 3 * 4], image[28 * 28];
    const float *n = ascending();
    const cp_tensor x = cp_nhwc(n, 1, 4, 4, 2), w = cp_hwio(n + 99, 3, 3, 4, 2), to_y = cp_nhwc(y, 1, 9, 9, 4);
    const cp_tensor w1 = cp_view(n + 50, CP_F32, cp_shape_of(3, (int64_t[]){5, 2, 4})), b = cp_vec(n, 4);
    const cp_conv causal = {.pad = CP_PAD_CAUSAL, .dilation = {2}};
    cp_status status = CP_OK;
    cp_stream *stream = NULL;
    cp_data *data = NULL;
    cp_augment *augment = NULL;
    then(cp_conv_transpose_run(NULL, &(cp_conv){.stride = {2, 2}}, &x, &w, NULL, &to_y));
    if (!status) keep(y, sizeof y);
    make(stream, cp_stream_new(&stream, NULL, &causal, &w1, &b, 2, 3));
    for (int i = 0; i < 3; i++) {
        const cp_tensor in = cp_view(n + 7 * i, CP_F32, cp_shape_of(3, (int64_t[]){2, 3, 2}));
        const cp_tensor to_piece = cp_view(piece, CP_F32, cp_shape_of(3, (int64_t[]){2, 3, 4}));
        then(cp_stream_run(stream, &in, &to_piece));
        if (!status) keep(piece, sizeof piece);
    }
    make(data, cp_data_digits(&data, 2, 1));
    make(augment, cp_augment_new(&augment, "shift 2; rotate 10; scale 0.9:1.1; elastic; flip; erase; crop"));
    then(cp_augment_picture(augment, data, 1, 1, 0, image));
    if (!status) keep(image, sizeof image);
    cp_augment_free(augment);
    cp_data_free(data);
    cp_stream_free(stream);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Memory
 * ------------------------------------------------------------------------------------------------------------- */

typedef struct scenario {
    const char *name;
    cp_status (*run)(void);
} scenario;

/* What the file is before a scenario saves it. */
static const char old_file[] = "the file of yesterday";

static cp_status run(const scenario *s, contents *to) {
    result.length = 0;
    const cp_status status = s->run();
    if (to) *to = result;
    return status;
}

static void assert_clean(const scenario *s, int at, int allocations_before, int files_before) {
    if (allocated != allocations_before)
        fail_msg("%s, refusal %d: %d allocations are left", s->name, at, allocated - allocations_before);
    if (opened != 0) fail_msg("%s, refusal %d: %d files are open", s->name, at, opened);
    if (count_files(false) != files_before) fail_msg("%s, refusal %d: a temporary file is left", s->name, at);
}

static void each_allocation_fails(const scenario *s, bool onwards) {
    static contents new_file, file;
    put_file(in_folder("model"), old_file, sizeof old_file);
    memory = (refusal){0};
    assert_int_equal(run(s, &right), CP_OK);
    assert_true(memory.calls > 0 && right.length > 0);
    get_file(in_folder("model"), &new_file);
    const int calls = memory.calls, before = allocated, files_before = count_files(false);
    for (int at = 1; at <= calls; at++) {
        put_file(in_folder("model"), old_file, sizeof old_file);
        memory = (refusal){.at = at, .onwards = onwards};
        const cp_status status = run(s, NULL);
        memory = (refusal){0};
        if (status != CP_E_MEMORY) fail_msg("%s, allocation %d of %d: status %d", s->name, at, calls, (int)status);
        if (!*cp_error()) fail_msg("%s, allocation %d: no sentence", s->name, at);
        assert_clean(s, at, before, files_before);
        get_file(in_folder("model"), &file);
        if ((file.length != sizeof old_file || memcmp(file.bytes, old_file, sizeof old_file)) &&
            !same(&file, &new_file))
            fail_msg("%s, allocation %d: the file is neither the old nor the new one", s->name, at);
        /* Afterwards everything is as ever. Not after each of them, for that takes its time. */
        if (at % 7 && at < calls) continue;
        assert_int_equal(run(s, NULL), CP_OK);
        if (!same(&result, &right)) fail_msg("%s, after allocation %d: other results", s->name, at);
    }
}

static void memory_is_refused(void **state) {
    each_allocation_fails(*state, false);
    each_allocation_fails(*state, true);
}

/* --- threads --- */

/* Nobody is told of threads that cannot be started: the others do their work, with the same bits. */
static void threads_are_refused(void **state) {
    (void)state;
    static const scenario s = {"training", training};
    threads = (refusal){0};
    assert_int_equal(run(&s, &right), CP_OK);
    const int calls = threads.calls;
    assert_true(calls > 0);
    for (int at = 1; at <= calls; at++) {
        threads = (refusal){.at = at};
        assert_int_equal(run(&s, NULL), CP_OK);
        assert_int_equal(threads.refused, 1);
        threads = (refusal){0};
        assert_true(same(&result, &right));
    }
}

/* ---------------------------------------------------------------------------------------------------------------
 * Files
 * ------------------------------------------------------------------------------------------------------------- */

static cp_net *model;

static cp_status save_model(void) {
    return cp_net_save(model, in_folder("model"));
}

static cp_status load_model(void) {
    cp_status status = CP_OK;
    cp_net *net = NULL;
    make(net, cp_net_load(&net, in_folder("model")));
    for (int i = 0; !status && i < cp_net_parameters(net); i++) {
        const cp_tensor p = cp_net_parameter(net, i);
        keep(p.data, (size_t)cp_shape_count(p.shape) * sizeof(float));
    }
    cp_net_free(net);
    return status;
}

static cp_status load_data(void) {
    cp_status status = CP_OK;
    cp_data *data = NULL;
    make(data, cp_data_idx(&data, in_folder("images"), in_folder("labels"), NULL));
    if (!status) keep(cp_data_image(data, 0), 24);
    cp_data_free(data);
    return status;
}

static cp_status load_array(void) {
    cp_array array;
    const cp_status status = cp_npy_load(&array, in_folder("array.npy"));
    if (status)
        assert_null(array.data);
    else
        keep(array.data, 24 * sizeof(float));
    cp_array_free(&array);
    return status;
}

static int make_model(void **state) {
    (void)state;
    const float *n = ascending();
    const cp_tensor array = cp_nchw(n, 1, 2, 3, 4);
    return cp_net_new(&model) || build(model) || cp_npy_save(&array, in_folder("array.npy")) || save_model();
}

static int free_model(void **state) {
    (void)state;
    cp_net_free(model);
    return unlink(in_folder("array.npy")) || unlink(in_folder("model"));
}

/* Sets a refusal of file calls and runs the scenario with it. */
static cp_status run_with(const scenario *s, int at, bool onwards, int number, size_t (*part)(size_t)) {
    files.calls = (refusal){.at = at, .onwards = onwards};
    files.number = number;
    files.part = part;
    const cp_status status = run(s, NULL);
    files.calls = (refusal){.refused = files.calls.refused, .calls = files.calls.calls};
    return status;
}

static const char *text_of(int number) {
    return number == EIO ? "Input/output error" : number == ENOSPC ? "No space left" : "Interrupted system call";
}

/* An error that names the file and the reason, or none where the call did not matter (a close after everything was
 * written, a lock), with the right result. */
static void assert_told(const scenario *s, int at, cp_status status, int number) {
    if (status == CP_OK) {
        if (!same(&result, &right)) fail_msg("%s, call %d: success with wrong data", s->name, at);
        return;
    }
    if (status != CP_E_IO || !strstr(cp_error(), folder) || !strstr(cp_error(), text_of(number)))
        fail_msg("%s, call %d: status %d, \"%s\"", s->name, at, (int)status, cp_error());
}

static void each_call_fails(const scenario *s, bool saves) {
    static const int all_errors[] = {EIO, ENOSPC, EINTR};
    static contents saved, file;
    assert_int_equal(run_with(s, 0, false, EIO, NULL), CP_OK);
    right = result;
    const int calls = files.calls.calls, files_before = count_files(false), before = allocated;
    assert_true(calls >= 3);
    get_file(in_folder("model"), &saved);
    for (int at = 1; at <= calls; at++)
        for (int e = 0; e < 3; e++)
            for (int onwards = 0; onwards < (all_errors[e] == EINTR ? 1 : 2); onwards++) {
                if (saves) put_file(in_folder("model"), old_file, sizeof old_file);
                const cp_status status = run_with(s, at, onwards, all_errors[e], NULL);
                assert_told(s, at, status, all_errors[e]);
                assert_clean(s, at, before, files_before);
                get_file(in_folder("model"), &file);
                const bool old = file.length == sizeof old_file && !memcmp(file.bytes, old_file, sizeof old_file);
                if (!same(&file, &saved) && !(status && old))
                    fail_msg("%s, call %d: the file is neither the old nor the new one", s->name, at);
            }
    /* Parts of what was asked for only take longer. */
    for (int at = 1; at <= calls; at++)
        for (int onwards = 0; onwards < 2; onwards++) {
            assert_int_equal(run_with(s, at, onwards, 0, one_half), CP_OK);
            assert_true(same(&result, &right));
            assert_int_equal(run_with(s, at, onwards, 0, one_byte), CP_OK);
            assert_true(same(&result, &right));
            get_file(in_folder("model"), &file);
            assert_true(same(&file, &saved));
        }
}

static void saving_fails(void **state) {
    (void)state;
    each_call_fails(&(scenario){"saving a model", save_model}, true);
}

/* A process that is killed before any one of the calls of a save: the file is the old one or the new one, and the next
 * save leaves nothing else in the folder. */
static void killed_while_saving(void **state) {
    (void)state;
    static const scenario s = {"saving a model", save_model};
    static contents saved, file;
    assert_int_equal(run_with(&s, 0, false, EIO, NULL), CP_OK);
    const int calls = files.calls.calls, files_before = count_files(false);
    get_file(in_folder("model"), &saved);
    for (int at = 1; at <= calls; at++) {
        put_file(in_folder("model"), old_file, sizeof old_file);
        const pid_t child = fork();
        if (!child) {
            run_with(&s, at, false, KILLED, NULL);
            _exit(0);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        get_file(in_folder("model"), &file);
        if (!same(&file, &saved) && (file.length != sizeof old_file || memcmp(file.bytes, old_file, sizeof old_file)))
            fail_msg("killed before call %d: the file is neither the old nor the new one", at);
        assert_int_equal(run(&s, NULL), CP_OK);
        get_file(in_folder("model"), &file);
        assert_true(same(&file, &saved));
        assert_int_equal(count_files(false), files_before);
    }
}

static void loading_fails(void **state) {
    (void)state;
    each_call_fails(&(scenario){"loading a model", load_model}, false);
    each_call_fails(&(scenario){"loading pictures", load_data}, false);
    each_call_fails(&(scenario){"loading an array", load_array}, false);
}

int main(void) {
    static scenario all[] = {{"one convolution", one_convolution},
                             {"gradients and pooling", gradients_and_pooling},
                             {"training", training},
                             {"files and explanations", files_and_explanations},
                             {"nets", nets},
                             {"branches", branches},
                             {"transposes, streams and augmentations", transposes_streams_and_augmentations}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(memory_is_refused, &all[0]),
        cmocka_unit_test_prestate(memory_is_refused, &all[1]),
        cmocka_unit_test_prestate(memory_is_refused, &all[2]),
        cmocka_unit_test_prestate(memory_is_refused, &all[3]),
        cmocka_unit_test_prestate(memory_is_refused, &all[4]),
        cmocka_unit_test_prestate(memory_is_refused, &all[5]),
        cmocka_unit_test_prestate(memory_is_refused, &all[6]),
        cmocka_unit_test(threads_are_refused),
        cmocka_unit_test_setup_teardown(saving_fails, make_model, free_model),
        cmocka_unit_test_setup_teardown(killed_while_saving, make_model, free_model),
        cmocka_unit_test_setup_teardown(loading_fails, make_model, free_model),
    };
    return cmocka_run_group_tests_name("faults", tests, make_folder, remove_folder);
}
