/* Options: strict numbers, values per axis, padding, choices; what every command's parser shares. A mistake in an
 * option ends the tool with status 1. */
#ifndef ARGS_H
#define ARGS_H

#include "cli.h"

#include <argp.h>

/* Parses with argp; `input` reaches the parser as state->input. The name is "train", or "bench ops". */
void args_parse(const struct argp *parser, const char *name, int argc, char **argv, void *input);
/* Knows --help, and that argp itself prints no errors; a parser has it as its child. It also refuses what is no option;
 * or, where the parser says at ARGP_KEY_INIT with state->child_inputs[ARGS_MODEL] = &model, takes the one MODEL. */
extern const struct argp_child args_common[];
/* Knows --threads and --math besides: at ARGP_KEY_INIT the parser says where they go, in
 * state->child_inputs[ARGS_COMPUTING]. */
typedef struct computing {
    int threads; /* 0: not given */
    cp_math math;
} computing;
enum { ARGS_MODEL, ARGS_COMPUTING };
extern const struct argp_child args_computing[];

/* "OPTION = TEXT: must be ..." */
_Noreturn void usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t arg_int(const char *option, const char *text, int64_t low, int64_t high);
uint64_t arg_seed(const char *text);
double arg_real(const char *option, const char *text, double low, double high);
int arg_threads(const char *text);
/* OMP_NUM_THREADS, else the CPUs that this process may use. */
int default_threads(void);
/* The number of `text` in a list of words that NULL ends. */
int arg_choice(const char *option, const char *text, const char *const *words);
/* Such a list as "fast, strict, bf16". */
#define WORDS_TEXT 512
const char *words_text(const char *const *words, char text[WORDS_TEXT]);

/* "2" for every axis, or "2x1". */
typedef struct axes {
    int count; /* 0: not given */
    int64_t value[CP_MAX_AXES];
} axes;
axes arg_axes(const char *option, const char *text);
axes arg_axes_from(const char *option, const char *text, int64_t least); /* the same, with values of at least that */
/* The values for n axes; 0, or the exit status with the error printed. Not given: zeros. */
int axes_for(const axes *given, const char *option, int n, int64_t value[CP_MAX_AXES]);

/* "1.5" for every axis, or "1.5x2": above 0; and the values for n axes. */
typedef struct reals {
    int count; /* 0: not given */
    float value[CP_MAX_AXES];
} reals;
reals arg_reals(const char *option, const char *text);
int reals_for(const reals *given, const char *option, int n, float value[CP_MAX_AXES]);

/* "same", "same_lower", "valid", "2", or all begins then all ends: "1,1,2,2". */
typedef struct padding {
    bool given;
    cp_pad pad;
    int count;
    int64_t value[2 * CP_MAX_AXES];
} padding;
#define ARG_PADDING_DOC                                                                                                \
    "same, same_lower, valid, causal, full, a number, or all begins then all ends: 1,1,2,2 (default 0)"
padding arg_padding(const char *option, const char *text);
int padding_for(const padding *given, const char *option, int n, cp_pad *pad, int64_t before[CP_MAX_AXES],
                int64_t after[CP_MAX_AXES]);

/* "64x64", for pictures from class folders. */
void arg_size(pictures_source *source, const char *text);
/* "28x28x1": a picture's height, width, channels behind any batch. */
cp_shape arg_picture(const char *option, const char *text);
/* "1x3x224x224", and "512M" as bytes. */
cp_shape arg_shape(const char *option, const char *text);
int64_t arg_bytes(const char *option, const char *text);
/* Half of the machine's memory. */
int64_t default_memory(void);

#endif
