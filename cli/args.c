/* Options: strict numbers, values per axis, padding, choices. */
#include "args.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_THREADS 1024

static const char *command; /* for --help and for the hint behind an error */

_Noreturn static void hint(void) {
    fprintf(stderr, "Try 'convpool %s --help'.\n", command);
    exit(STATUS_USAGE);
}

_Noreturn void usage(const char *format, ...) {
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fail(STATUS_USAGE, "%s", text);
    hint();
}

_Noreturn static void help(const struct argp_state *state) {
    char name[64];
    snprintf(name, sizeof name, "convpool %s", command);
    argp_help(state->root_argp, stdout, ARGP_HELP_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC, name);
    exit(STATUS_OK);
}

/* Arguments come here that the command's own parser does not take. */
static error_t parse_common(int key, char *text, struct argp_state *state) {
    const char **model = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->err_stream = NULL; /* getopt's line and the hint are enough */
        return 0;
    case ARGP_KEY_ARG:
        if (!model) usage("'%s' is not an option", text);
        if (*model) usage("'%s' is one MODEL too many", text);
        *model = text;
        return 0;
    case ARGP_KEY_END:
        if (model && !*model) usage("MODEL is missing");
        return 0;
    case '?':
        help(state);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option common_options[] = {{"help", '?', NULL, 0, "print this help", -1}, {0}};
static const struct argp common = {.options = common_options, .parser = parse_common};
const struct argp_child args_common[] = {{&common, 0, NULL, -1}, {0}};

void args_parse(const struct argp *parser, const char *name, int argc, char **argv, void *input) {
    command = name;
    argp_err_exit_status = STATUS_USAGE;
    argv[0] = "convpool: error"; /* what getopt begins its error lines with */
    if (argp_parse(parser, argc, argv, ARGP_NO_HELP, NULL, input)) hint();
}

int64_t arg_int(const char *option, const char *text, int64_t low, int64_t high) {
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    const bool digits = (*text >= '0' && *text <= '9') || *text == '-';
    if (!digits || *end || errno || value < low || value > high) {
        if (high == INT64_MAX) usage("%s = %s: must be a whole number, at least %lld", option, text, (long long)low);
        usage("%s = %s: must be %lld to %lld", option, text, (long long)low, (long long)high);
    }
    return value;
}

uint64_t arg_seed(const char *text) {
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno) usage("seed = %s: must be 0 to 2^64 - 1", text);
    return value;
}

double arg_real(const char *option, const char *text, double low, double high) {
    char *end;
    const double value = strtod(text, &end);
    const bool begins = strchr("0123456789.-", *text) && *text;
    if (!begins || *end || !isfinite(value) || value < low || value > high)
        usage("%s = %s: must be a number from %g to %g", option, text, low, high);
    return value;
}

int arg_threads(const char *text) {
    return (int)arg_int("threads", text, 1, MAX_THREADS);
}

int default_threads(void) {
    const char *text = getenv("OMP_NUM_THREADS");
    if (text) {
        const long wanted = strtol(text, NULL, 10); /* it may be a list, of which the first counts */
        if (wanted >= 1 && wanted <= MAX_THREADS) return (int)wanted;
    }
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    const int cpus = CPU_COUNT(&set);
    return cpus < 1 ? 1 : cpus > MAX_THREADS ? MAX_THREADS : cpus;
}

const char *words_text(const char *const *words, char text[WORDS_TEXT]) {
    *text = 0;
    for (int i = 0; words[i]; i++) {
        const size_t used = strlen(text);
        snprintf(text + used, WORDS_TEXT - used, "%s%s", i ? ", " : "", words[i]);
    }
    return text;
}

int arg_choice(const char *option, const char *text, const char *const *words) {
    for (int i = 0; words[i]; i++)
        if (!strcmp(text, words[i])) return i;
    char list[WORDS_TEXT];
    usage("%s = %s: must be one of %s", option, text, words_text(words, list));
}

/* --- how to compute --- */

enum { OPTION_THREADS = 0x1000, OPTION_MATH };

static error_t parse_computing(int key, char *text, struct argp_state *state) {
    computing *c = state->input;
    static const char *const words[] = {"fast", "strict", "bf16", NULL};
    switch (key) {
    case OPTION_THREADS:
        c->threads = arg_threads(text);
        return 0;
    case OPTION_MATH:
        c->math = (cp_math)arg_choice("math", text, words);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option computing_options[] = {
    {"threads", OPTION_THREADS, "N", 0, "default: OMP_NUM_THREADS, else all CPUs; results do not depend on it", 9},
    {"math", OPTION_MATH, "MODE", 0,
     "fast (default), strict: no algorithm with larger errors than a sum's, or bf16: as fast, and dense layers with "
     "few "
     "rows may round to bf16 what they multiply",
     9},
    {0}};
static const struct argp how_to_compute = {.options = computing_options, .parser = parse_computing};
const struct argp_child args_computing[] = {{&common, 0, NULL, -1}, {&how_to_compute, 0, NULL, 0}, {0}};

/* Numbers of at least `low` between separators: how many; -1 for a mistake or more than `most`. */
static int numbers(const char *text, char separator, int64_t low, int64_t *value, int most) {
    for (int n = 0; n < most;) {
        char *end;
        errno = 0;
        value[n] = strtoll(text, &end, 10);
        const bool digits = (*text >= '0' && *text <= '9') || *text == '-';
        if (!digits || errno || value[n] < low) return -1;
        n++;
        if (!*end) return n;
        if (*end != separator) return -1;
        text = end + 1;
    }
    return -1;
}

axes arg_axes_from(const char *option, const char *text, int64_t least) {
    axes given = {0};
    given.count = numbers(text, 'x', least, given.value, CP_MAX_AXES);
    if (given.count < 0)
        usage("%s = %s: must be a number, or one for each axis as in 2x1, each at least %d", option, text, (int)least);
    return given;
}

axes arg_axes(const char *option, const char *text) {
    return arg_axes_from(option, text, 1);
}

int axes_for(const axes *given, const char *option, int n, int64_t value[CP_MAX_AXES]) {
    if (given->count > 1 && given->count != n)
        return fail(STATUS_INPUT, "%s has %d values, the input has %d spatial axes", option, given->count, n);
    for (int i = 0; i < CP_MAX_AXES; i++) value[i] = i < n ? given->value[given->count > 1 ? i : 0] : 0;
    return STATUS_OK;
}

reals arg_reals(const char *option, const char *text) {
    reals given = {0};
    for (const char *end; text; text = end ? end + 1 : NULL) {
        char one[32];
        end = strchr(text, 'x');
        snprintf(one, sizeof one, "%.*s", end ? (int)(end - text) : 31, text);
        if (given.count == CP_MAX_AXES) usage("%s has more than %d numbers", option, CP_MAX_AXES);
        given.value[given.count++] = (float)arg_real(option, one, 1e-6, 1e6);
    }
    return given;
}

int reals_for(const reals *given, const char *option, int n, float value[CP_MAX_AXES]) {
    if (given->count > 1 && given->count != n)
        return fail(STATUS_INPUT, "%s has %d values, needs 1 or %d", option, given->count, n);
    for (int i = 0; i < CP_MAX_AXES; i++) value[i] = given->count && i < n ? given->value[given->count > 1 ? i : 0] : 0;
    return STATUS_OK;
}

padding arg_padding(const char *option, const char *text) {
    static const struct {
        const char *word;
        cp_pad pad;
    } words[] = {{"same", CP_PAD_SAME},
                 {"same_lower", CP_PAD_SAME_LOWER},
                 {"valid", CP_PAD_VALID},
                 {"causal", CP_PAD_CAUSAL},
                 {"full", CP_PAD_FULL}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(text, words[i].word)) return (padding){.given = true, .pad = words[i].pad};
    padding given = {.given = true, .pad = CP_PAD_EXPLICIT};
    given.count = numbers(text, ',', 0, given.value, 2 * CP_MAX_AXES);
    if (given.count < 0 || (given.count != 1 && given.count % 2))
        usage("%s = %s: must be same, same_lower, valid, causal, full, a number, or all begins then all ends as in "
              "1,1,2,2",
              option, text);
    return given;
}

int padding_for(const padding *given, const char *option, int n, cp_pad *pad, int64_t before[CP_MAX_AXES],
                int64_t after[CP_MAX_AXES]) {
    *pad = given->pad;
    if (given->count > 1 && given->count != 2 * n)
        return fail(STATUS_INPUT, "%s has %d values, needs 1 or %d", option, given->count, 2 * n);
    for (int i = 0; i < CP_MAX_AXES; i++) {
        before[i] = i < n ? given->value[given->count > 1 ? i : 0] : 0;
        after[i] = i < n ? given->value[given->count > 1 ? n + i : 0] : 0;
    }
    return STATUS_OK;
}

cp_shape arg_picture(const char *option, const char *text) {
    int64_t dim[3];
    if (numbers(text, 'x', 1, dim, 3) != 3)
        usage("%s = %s: must be height x width x channels, as 28x28x1", option, text);
    return cp_shape_nhwc(0, dim[0], dim[1], dim[2]);
}

cp_shape arg_shape(const char *option, const char *text) {
    cp_shape shape = {0};
    shape.rank = numbers(text, 'x', 0, shape.dim, CP_MAX_RANK);
    if (shape.rank < 0) usage("%s = %s: must be sizes as in 1x3x224x224", option, text);
    return shape;
}

int64_t arg_bytes(const char *option, const char *text) {
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    const int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    if (*text < '0' || *text > '9' || errno || (*end && (!unit || end[1])) || value < 1 || value > INT64_MAX >> shift)
        usage("%s = %s: must be bytes, as 1000000, 512M or 8G", option, text);
    return (int64_t)value << shift;
}

int64_t default_memory(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (int64_t)pages * size / 2 : (int64_t)8 << 30;
}

void arg_size(pictures_source *source, const char *text) {
    int64_t dim[2];
    if (numbers(text, 'x', 1, dim, 2) != 2 || dim[0] > IMAGE_PIXELS / dim[1])
        usage("size = %s: must be height x width, as 64x64", text);
    source->height = dim[0];
    source->width = dim[1];
    source->scaled = true;
}
