/* What the commands of the tool share: exit status and error lines, data, pictures, the terminal. */
#ifndef CLI_H
#define CLI_H

#include "convpool.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>

/* --- the commands, one file each: what main() returns --- */
int cmd_train(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_summary(int argc, char **argv);
int cmd_data(int argc, char **argv);
int cmd_op(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_onnx_test(int argc, char **argv);
int cmd_operators(int argc, char **argv);
int cmd_info(int argc, char **argv);
int bench_machine(int argc, char **argv);
int bench_ops(int argc, char **argv);
int bench_model(int argc, char **argv);
int bench_train(int argc, char **argv);

/* --- error.c --- */

/* Exit status. An interrupted command gives 128 + the signal. */
enum { STATUS_OK, STATUS_USAGE, STATUS_INPUT, STATUS_LIMIT, STATUS_IO };

/* Prints "convpool: error: TEXT" and gives `status`. */
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for the library's last error: its status becomes the exit status. */
int fail_library(cp_status status);
int exit_status(cp_status status);
/* A line on standard error that is no error. */
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Memory that is there; without any the tool ends. */
void *allocate(size_t count, size_t size);

/* --- text.c --- */

/* Digits in groups: "6,434,634". */
#define GROUPED_TEXT 32
const char *grouped(int64_t number, char text[GROUPED_TEXT]);
/* "100.4 KiB" */
#define BYTES_TEXT 32
const char *byte_text(int64_t bytes, char text[BYTES_TEXT]);
/* A copy in which no byte moves the cursor or changes the terminal, cut to 80 characters. */
#define PLAIN_TEXT 88
const char *plain(const char *text, char copy[PLAIN_TEXT]);

json_t *json_number(double value);    /* null where it is not finite */
json_t *json_plain(const char *text); /* also when it is not UTF-8 */
json_t *json_shape(const int64_t *dim, int n);
void print_json(json_t *value, FILE *file); /* one line; takes the reference */

/* --- files.c --- */

/* Whether two paths lead to the same file, existing or not. */
bool same_file(const char *a, const char *b);
/* Refuses a path that cannot be written, before the work begins: 0, or the exit status with the error printed. */
int check_output(const char *path);
/* A whole file, "-" for standard input, in fresh memory (free). Only regular files and streams up to a limit. */
int read_file(const char *path, unsigned char **bytes, size_t *length);
/* gzip.c: plain and gzipped files alike, for cp_data_idx. */
cp_status open_gzip(cp_reader *reader, const char *path);
/* A .npy file, where "-" is standard input or output. */
int load_npy(cp_array *array, const char *path);
int save_npy(const cp_tensor *tensor, const char *path);

/* --- pictures.c: labelled pictures from a folder of IDX or CIFAR files or of class folders, or drawn --- */

typedef struct pictures_source {
    const char *folder; /* NULL: drawn digits */
    int64_t count;      /* of drawn digits to train with */
    uint64_t seed;
    double validation; /* this fraction of the training pictures; 0: a set of its own */
    /* Of class folders; what is 0 is filled in with what the first pictures loaded are. */
    int64_t height, width;
    bool scaled; /* pictures of other sizes are, to that one */
    int channels;
    json_t *classes; /* their names; json_decref */
} pictures_source;
#define PICTURES_DEFAULT ((pictures_source){.count = 60000, .seed = 1})

/* *validation is NULL where the folder has none. */
int load_training(pictures_source *source, cp_data **training, cp_data **validation);
/* The pictures that training did not see (of a folder without such: the training pictures). */
int load_validation(pictures_source *source, cp_data **validation);
/* Class folders are read as the net was trained: its input's size, its classes. */
void source_like_net(pictures_source *source, const cp_net *net);
/* A checksum of all pictures and labels. */
uint32_t pictures_checksum(const cp_data *data);

/* --- folders.c: class folders --- */

bool is_folder(const char *path);
/* "FOLDER/NAME"; false where that is too long. */
bool join_path(char path[PATH_MAX], const char *folder, const char *name);
bool has_class_folders(const char *folder);
int load_class_folders(pictures_source *source, const char *folder, cp_data **data);

/* --- image.c, image_png.c, image_jpeg.c, image_pnm.c: pictures in files --- */

#define IMAGE_PIXELS ((int64_t)1 << 26)

typedef struct image {
    int64_t width, height;
    int channels;          /* 1 grey, 3 red green blue */
    unsigned char *pixels; /* height * width * channels; free */
    char source[80];       /* what the file held: "PNG, 16 bit grey with alpha" */
} image;

int image_load(image *picture, const char *path);
/* A PNG file. */
int image_save(const image *picture, const char *path);
/* Fresh pixels; 0, or the exit status with the error printed. */
int image_new(image *picture, const char *path, int64_t width, int64_t height, int channels);
int image_decode_png(image *picture, const char *path, const unsigned char *bytes, size_t length);
int image_decode_jpeg(image *picture, const char *path, const unsigned char *bytes, size_t length);
int image_decode_pnm(image *picture, const char *path, const unsigned char *bytes, size_t length);

/* prepare.c: brings a picture to the form that a model takes, and says in `said` what it did. Values 0..1. */
typedef enum ink { INK_ANY, INK_LIGHT_ON_DARK, INK_DARK_ON_LIGHT } ink;
#define PREPARED_TEXT 256
int image_prepare(const image *picture, const char *path, cp_shape shape, ink expected, float *values,
                  char said[PREPARED_TEXT]);
/* How bright the frame of one pixel around a picture is, 0..1. */
double border_brightness(const unsigned char *pixels, int64_t height, int64_t width, int channels);

/* --- model.c: models and what the tool keeps in their notes --- */

#define ARTICLE_NET "conv 32 5x5 same relu; pool 2; flatten; dense 1024 relu; dense 10"
#define NOTE_CLASSES "classes"   /* JSON: names of the classes */
#define NOTE_INK "ink"           /* "light on dark" or "dark on light" */
#define NOTE_TRAINING "training" /* JSON: what --resume has to know */

/* A net of one picture input [0,H,W,C] and the layers of `text`. */
int build_net(cp_net **net, cp_shape input, const char *text);
int load_net(cp_net **net, const char *path);
/* The name of a class by the model's note, or its number. */
void class_name(const cp_net *net, int class, char name[PLAIN_TEXT]);
ink model_ink(const cp_net *net);
/* threads 0: default_threads(). */
int new_context(cp_ctx **ctx, int threads, cp_math math);

/* --- onnx.c: networks of both kinds of files, ready to run --- */

typedef struct runner {
    cp_net *net;
    cp_ctx *ctx;
    cp_plan *plan;
    cp_work *work;
    cp_tensor *outputs; /* with memory of their own */
    int n_outputs;
    bool onnx; /* else one of our own files */
} runner;
bool is_onnx(const char *path);
/* What options say of a model's inputs: "NAME=1x3x224x224", or without the name those in order. */
#define MOST_INPUTS 64
typedef struct known_inputs {
    cp_onnx_input input[MOST_INPUTS];
    cp_onnx options; /* with them */
} known_inputs;
void add_known_shape(known_inputs *known, char *text);
/* Loads a model; known: of an ONNX file. close_runner also after a failure. */
cp_status open_runner(runner *r, const char *model, const cp_onnx *known, const cp_options *options);
/* One number of an array without gaps, of any type that nets have. */
double number_at(const void *data, cp_type type, int64_t i);
/* inputs: as they will be given, or NULL. */
cp_status plan_runner(runner *r, const cp_tensor *inputs);
void close_runner(runner *r);

/* --- terminal.c --- */

bool is_terminal(FILE *file);
int terminal_columns(FILE *file);
/* Shows a small picture: in colours on a terminal, in shades of text elsewhere. */
void show_picture(FILE *file, const unsigned char *pixels, int height, int width, int channels);
/* A bar of `columns` characters, of which `share` is filled. */
void show_bar(FILE *file, double share, int columns);

/* --- progress.c --- */

typedef struct progress progress;
/* log: NULL, or a file to append a line of JSON to for each epoch; at_best: called when an epoch was the best so far.
 */
typedef struct progress_options {
    FILE *log;
    bool quiet;
    void (*at_best)(void *user);
    void *user;
} progress_options;
progress *progress_new(const progress_options *options);
void progress_free(progress *state);
bool progress_step(void *state, const cp_progress *now); /* a cp_progress_fn; false after a signal */
/* From now on the first SIGINT or SIGTERM is kept and the second one ends the tool. */
void catch_signals(void);
int caught_signal(void); /* 0: none */

/* --- timing.c --- */

double seconds_now(void);
typedef struct timing {
    double min, median, p90, p99; /* seconds */
    int runs;
} timing;
/* Runs until `seconds` have passed and there were at least ten runs. run gives the seconds that count, or a negative
 * number for a failure, which ends it: then runs is 0. */
timing time_runs(double (*run)(void *user), void *user, double seconds);

/* --- limits.c: what the machine gives at most --- */

typedef enum memory_level { MEMORY_L1, MEMORY_L2, MEMORY_L3, MEMORY_DRAM, MEMORY_LEVELS } memory_level;
const char *level_name(memory_level level);
/* How much memory of each thread is passed over to measure it. */
int64_t level_footprint(memory_level level, int threads);
/* cp_measure_rate, 0 for what this CPU cannot; other failures end the tool; and the best of all passes over memory. */
double measure_limit(cp_ctx *ctx, cp_measure what, int64_t bytes, double seconds);
double measure_memory(cp_ctx *ctx, memory_level level, double seconds);

/* Limits in operations and bytes of a second, each measured when it is first asked for; begin with zeros. */
typedef struct limits {
    double compute[2], memory[MEMORY_LEVELS]; /* compute: on floats, on bytes */
} limits;
typedef struct share_of_limit {
    double share, limit; /* limit: operations or bytes of a second */
    const char *bound;   /* "compute", "L2" */
} share_of_limit;
/* How near something comes that did so many operations (on floats, or on bytes), on data of so many bytes, in that
 * time; to the limit that it comes nearest to, which is the one that binds. */
share_of_limit share_of(limits *limits, cp_ctx *ctx, bool on_bytes, double operations, int64_t bytes, double seconds);

#endif
