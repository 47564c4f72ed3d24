/* The options of convpool op: one table, from which they are read, checked and explained. */
#include "op.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind {
    A_FILE,    /* const char * */
    AXES,      /* axes, of at least `low` */
    REALS,     /* reals */
    PADDING,   /* padding */
    NUMBER,    /* int64_t, of at least `low` */
    REAL,      /* float, from low to high */
    WORD,      /* int, by its place in `words` */
    FLAG,      /* bool */
    BY_ITSELF, /* take() */
} kind;

typedef struct op_option {
    const char *name, *value;
    int group;
    kind kind;
    size_t offset; /* in op_options */
    double low, high;
    const char *const *words;
    void (*take)(op_options *o, const char *text);
    const char *doc;
} op_option;

#define AT(member) offsetof(op_options, member)

/* --- those that are read by themselves --- */

static void take_input(op_options *o, const char *text) {
    if (o->n_inputs == 2) usage("--input %s is one too many", text);
    o->in[o->n_inputs++ ? IN_SECOND : IN_X] = text;
}

static void take_layout(op_options *o, const char *text) {
    static const char *const layouts[] = {"nhwc", "nchw", NULL};
    o->channels_first = arg_choice("layout", text, layouts) == 1;
}

static void take_activation(op_options *o, const char *text) {
#define WORD_OF(name, identifier, word, ...) word,
    static const char *const words[] = {CP_ACTIVATIONS(WORD_OF) "none", NULL}; /* by value */
#undef WORD_OF
    o->activation = (cp_activation)arg_choice("activation", text, words);
    if (o->activation == (cp_activation)CP_ACTIVATION_COUNT) o->activation = CP_LINEAR;
}

/* A word, or the number to divide by. */
static void take_divisor(op_options *o, const char *text) {
    static const char *const words[] = {"valid", "padded", "kernel", NULL};
    if (*text >= '0' && *text <= '9') {
        o->divisor = CP_DIVISOR_NUMBER;
        o->divide_by = arg_int("divisor", text, 1, INT64_MAX);
    } else {
        o->divisor = (cp_divisor)arg_choice("divisor", text, words);
    }
}

static void take_count_pad(op_options *o, const char *text) {
    (void)text;
    o->divisor = CP_DIVISOR_PADDED;
}

static void take_fractional(op_options *o, const char *text) {
    static const char *const words[] = {"pytorch", "tensorflow", NULL};
    o->fractional = (cp_fractional)(CP_FRACTIONAL_PYTORCH + arg_choice("fractional", text, words));
}

/* "1,2,4": how many numbers of at least `low`. */
static int take_list(const char *option, const char *text, int64_t low, int64_t high, int64_t *list, int most) {
    int n = 0;
    for (const char *comma = text; comma; text = comma + 1) {
        char number[24];
        comma = strchr(text, ',');
        snprintf(number, sizeof number, "%.*s", comma ? (int)(comma - text) : 23, text);
        if (n == most) usage("--%s has more than %d numbers", option, most);
        list[n++] = arg_int(option, number, low, high);
    }
    return n;
}

static void take_axes(op_options *o, const char *text) {
    int64_t list[CP_MAX_RANK];
    o->n_reduced = take_list("axes", text, 0, CP_MAX_RANK - 1, list, CP_MAX_RANK);
    for (int i = 0; i < o->n_reduced; i++) o->reduced[i] = (int)list[i];
}

static void take_levels(op_options *o, const char *text) {
    o->n_levels = take_list("levels", text, 1, INT64_MAX, o->levels, sizeof o->levels / sizeof *o->levels);
}

static void take_axis(op_options *o, const char *text) {
    o->axis = (int)arg_int("axis", text, 0, CP_MAX_RANK - 1);
}

/* --- the table --- */

/* By value. */
static const char *const reductions[] = {"sum", "mean",       "max",     "min",         "product", "l1",
                                         "l2",  "sum-square", "log-sum", "log-sum-exp", NULL};
static const char *const interpolations[] = {"nearest", "linear", "cubic", NULL};
static const char *const coordinates[] = {"half_pixel",         "asymmetric",           "align_corners",
                                          "pytorch_half_pixel", "half_pixel_symmetric", NULL};
static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
static const char *const pad_values[] = {"constant", "reflect", "replicate", "circular", NULL};
static const char *const orders[] = {"dcr", "crd", NULL};

static const op_option table[] = {
    {"input", "FILE", 1, BY_ITSELF, .take = take_input, .doc = "the input X; twice for add, concat and the like"},
    {"weights", "FILE", 1, A_FILE, AT(in[IN_WEIGHTS]),
     .doc = "weights of the convolutions and dense, slopes of prelu, scale of a normalisation, of classes for "
            "softmax-cross-entropy"},
    {"bias", "FILE", 1, A_FILE, AT(in[IN_BIAS]), .doc = "bias of the convolutions, dense and the normalisations"},
    {"offset", "FILE", 1, A_FILE, AT(in[IN_OFFSET]),
     .doc = "of deform-conv: how far each tap of each output looks beside its place, along each axis"},
    {"mask", "FILE", 1, A_FILE, AT(in[IN_MASK]), .doc = "of deform-conv: what each tap is multiplied by (default 1)"},
    {"positions", "FILE", 1, A_FILE, AT(in[IN_POSITIONS]), .doc = "of max-unpool: where in its plane each value goes"},
    {"rois", "FILE", 1, A_FILE, AT(in[IN_ROIS]), .doc = "regions of interest: rows of image, x1, y1, x2, y2"},
    {"mean", "FILE", 1, A_FILE, AT(in[IN_MEAN]), .doc = "the running mean of batch-norm"},
    {"variance", "FILE", 1, A_FILE, AT(in[IN_VARIANCE]), .doc = "its running variance"},
    {"target", "FILE", 1, A_FILE, AT(in[IN_TARGET]),
     .doc = "of a loss: labels (whole numbers), or values like the input"},
    {"layout", "NAME", 1, BY_ITSELF, .take = take_layout,
     .doc =
         "how the files lie: nhwc (default; weights height, width, in, out) or nchw (weights out, in, height, width); "
         "other numbers of axes likewise"},
    {"kernel", "SIZE", 2, AXES, AT(kernel), .low = 1, .doc = "of a pooling: 3 or 3x2"},
    {"stride", "SIZE", 2, AXES, AT(stride), .low = 1, .doc = "default: 1; of a pooling its kernel"},
    {"dilation", "SIZE", 2, AXES, AT(dilation), .low = 1, .doc = "distance between taps (default 1)"},
    {"padding", "PAD", 2, PADDING, AT(padding), .doc = ARG_PADDING_DOC},
    {"groups", "N", 2, NUMBER, AT(groups), .low = 1, .doc = "of a convolution (default 1) or group-norm"},
    {"offset-groups", "N", 2, NUMBER, AT(offset_groups), .low = 1,
     .doc = "of deform-conv: parts of the channels that have offsets of their own (default 1)"},
    {"output-padding", "SIZE", 2, AXES, AT(output_padding), .low = 0,
     .doc = "of conv-transpose: rows added behind (default 0)"},
    {"output-size", "SIZE", 2, AXES, AT(output_size), .low = 1,
     .doc =
         "of conv-transpose: the padding follows from it; of adaptive and fractional poolings: the windows follow; of "
         "max-unpool and regions"},
    {"activation", "NAME", 2, BY_ITSELF, .take = take_activation,
     .doc = "behind the convolutions and dense: relu, gelu and so on (default none)"},
    {"alpha", "REAL", 2, REAL, AT(alpha), .low = -FLT_MAX, .high = FLT_MAX,
     .doc = "the first number of an activation (of clip: the least value); of softmax-cross-entropy the smoothing, of "
            "focal gamma, of huber delta"},
    {"beta", "REAL", 2, REAL, AT(beta), .low = -FLT_MAX, .high = FLT_MAX,
     .doc = "the second (of clip: the largest value); both 0: the usual"},
    {"epsilon", "REAL", 2, REAL, AT(epsilon), .low = 0, .high = FLT_MAX,
     .doc = "of a normalisation: added to the variance (default 1e-5)"},
    {"channels", "N", 2, NUMBER, AT(channels), .low = 1, .doc = "of lrn: how many make one sum (default 5)"},
    {"base", "REAL", 2, REAL, AT(base), .low = 0, .high = FLT_MAX,
     .doc = "of lrn: what the squares are added to (default 1)"},
    {"kind", "NAME", 2, WORD, AT(reduction), .words = reductions,
     .doc = "of reduce: sum (default), mean, max, min, product, l1, l2, sum-square, log-sum, log-sum-exp"},
    {"axes", "LIST", 2, BY_ITSELF, .take = take_axes,
     .doc = "of reduce: 1,2; 0 is the batch, the last are the channels (default all)"},
    {"keep", NULL, 2, FLAG, AT(keep), .doc = "of reduce: its axes stay, with size 1"},
    {"axis", "N", 2, BY_ITSELF, .take = take_axis, .doc = "of concat and slice (default the last, the channels)"},
    {"begin", "N", 2, NUMBER, AT(begin), .low = 0, .doc = "of slice: the first that stays (default 0)"},
    {"count", "N", 2, NUMBER, AT(count), .low = 1, .doc = "of slice: how many stay (default 1)"},
    {"size", "SIZE", 2, AXES, AT(size), .low = 1, .doc = "of resize and col2im: the result's, 28 or 28x32"},
    {"scale", "REAL", 2, REALS, AT(scale), .doc = "of resize: output / input, 2 or 1.5x2"},
    {"interpolation", "NAME", 2, WORD, AT(interpolation), .words = interpolations,
     .doc = "of resize: nearest (default), linear, cubic"},
    {"coordinates", "NAME", 2, WORD, AT(coordinates), .words = coordinates,
     .doc = "of resize: half_pixel (default), asymmetric, align_corners, pytorch_half_pixel, half_pixel_symmetric"},
    {"rounding", "NAME", 2, WORD, AT(rounding), .words = roundings,
     .doc = "of nearest: round_prefer_floor (default), round_prefer_ceil, floor, ceil"},
    {"pad-values", "NAME", 2, WORD, AT(pad_values), .words = pad_values,
     .doc = "what stands outside the input: constant (default), reflect, replicate, circular"},
    {"constant", "REAL", 2, REAL, AT(constant), .low = -FLT_MAX, .high = FLT_MAX,
     .doc = "of pad: the value outside (default 0)"},
    {"block", "N", 2, NUMBER, AT(block), .low = 1,
     .doc = "of depth-to-space and space-to-depth: pixels along each axis (default 2)"},
    {"order", "NAME", 2, WORD, AT(order), .words = orders,
     .doc = "of their channels: dcr (default) or crd, PyTorch's pixel shuffle"},
    {"ceil", NULL, 2, FLAG, AT(ceil), .doc = "round the number of windows up"},
    {"count-include-pad", NULL, 2, BY_ITSELF, .take = take_count_pad,
     .doc = "padded taps count in an average: --divisor padded"},
    {"divisor", "NAME", 2, BY_ITSELF, .take = take_divisor,
     .doc = "what an average divides by: valid (taps inside the input, default), padded (inside input and padding), "
            "kernel (all taps), or a number"},
    {"exponent", "P", 2, REAL, AT(exponent), .low = 1, .high = 1000, .doc = "of lp-pool (default 2)"},
    {"fractional", "NAME", 2, BY_ITSELF, .take = take_fractional,
     .doc = "the form of fractional-max-pool: pytorch (with --kernel) or tensorflow"},
    {"overlapping", NULL, 2, FLAG, AT(overlapping), .doc = "fractional windows share their boundaries"},
    {"levels", "LIST", 2, BY_ITSELF, .take = take_levels,
     .doc = "of a pyramid pooling: 1,2,4 positions along each axis"},
    {"spatial-scale", "REAL", 2, REAL, AT(spatial_scale), .low = 1e-9, .high = 1e9,
     .doc = "of regions: what their coordinates are multiplied by (default 1)"},
    {"sampling", "N", 2, NUMBER, AT(sampling), .low = 1,
     .doc = "of roi-align: points along each axis of a bin (default: its pixels)"},
    {"output-half-pixel", NULL, 2, FLAG, AT(output_half_pixel),
     .doc = "of roi-align: coordinates are not moved by half a pixel"},
    {"max", NULL, 2, FLAG, AT(max), .doc = "of roi-align: the maximum instead of the mean"},
    {"max-of-corners", NULL, 2, FLAG, AT(max_of_corners),
     .doc = "of roi-align with --max: of single pixels, as onnxruntime"},
    {"training", NULL, 2, FLAG, AT(training), .doc = "stochastic-pool draws, from seed 0"},
    {"output", "FILE", 3, A_FILE, AT(out[OUT_Y]),
     .doc = "write the result here; without, it is printed where it is small"},
    {"output-positions", "FILE", 3, A_FILE, AT(out[OUT_POSITIONS]),
     .doc = "write where the maxima were, for max-unpool"},
    {"grad", "FILE", 4, A_FILE, AT(in[IN_GRAD]), .doc = "the gradient behind the operation; of a loss 1 by default"},
    {"output-dx", "FILE", 4, A_FILE, AT(out[OUT_DX]), .doc = "write the gradient by the input"},
    {"output-dw", "FILE", 4, A_FILE, AT(out[OUT_DW]), .doc = "write the gradient by the weights"},
    {"output-db", "FILE", 4, A_FILE, AT(out[OUT_DB]), .doc = "write the gradient by the bias"},
    {"output-doffset", "FILE", 4, A_FILE, AT(out[OUT_DOFFSET]), .doc = "write the gradient by the offset"},
    {"output-dmask", "FILE", 4, A_FILE, AT(out[OUT_DMASK]), .doc = "write the gradient by the mask"},
    {"double", NULL, 5, FLAG, AT(real64), .doc = "compute in double, by the reference"},
};
enum { OPTIONS = sizeof table / sizeof *table, FIRST_KEY = 256 };

/* What every operation takes. */
#define COMMON "input layout output grad output-dx double"

typedef struct parsing {
    op_options *options;
    bool given[OPTIONS];
} parsing;

static void take(op_options *o, const op_option *option, const char *text) {
    char *at = (char *)o + option->offset;
    switch (option->kind) {
    case A_FILE:
        *(const char **)at = text;
        break;
    case AXES:
        *(axes *)at = arg_axes_from(option->name, text, (int64_t)option->low);
        break;
    case REALS:
        *(reals *)at = arg_reals(option->name, text);
        break;
    case PADDING:
        *(padding *)at = arg_padding(option->name, text);
        break;
    case NUMBER:
        *(int64_t *)at = arg_int(option->name, text, (int64_t)option->low, INT64_MAX);
        break;
    case REAL:
        *(float *)at = (float)arg_real(option->name, text, option->low, option->high);
        break;
    case WORD:
        *(int *)at = arg_choice(option->name, text, option->words);
        break;
    case FLAG:
        *(bool *)at = true;
        break;
    case BY_ITSELF:
        option->take(o, text);
        break;
    }
}

static void choose_operation(op_options *o, const char *text) {
    const char *names[256] = {NULL};
    if (o->operation) usage("'%s' is one operation too many", text);
    for (int i = 0; i < 255 && op_at(i); i++) names[i] = op_at(i)->name;
    o->operation = op_at(arg_choice("operation", text, names));
}

/* -o is the short form of --output. */
static int key_of(int i) {
    return strcmp(table[i].name, "output") ? FIRST_KEY + i : 'o';
}

static error_t parse(int key, char *text, struct argp_state *state) {
    parsing *p = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[ARGS_COMPUTING] = &p->options->computing;
        return 0;
    case ARGP_KEY_ARG:
        choose_operation(p->options, text);
        return 0;
    case ARGP_KEY_END:
        if (!p->options->operation) usage("the operation is missing");
        return 0;
    }
    for (int i = 0; i < OPTIONS; i++) {
        if (key != key_of(i)) continue;
        p->given[i] = true;
        take(p->options, &table[i], text);
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

/* --- checks --- */

/* Whether a name is one of the words of a list. */
static bool listed(const char *words, const char *name) {
    const size_t length = strlen(name);
    for (const char *at = strstr(words, name); at; at = strstr(at + 1, name))
        if ((at == words || at[-1] == ' ') && (!at[length] || at[length] == ' ')) return true;
    return false;
}

static void check_files(const op_options *o) {
    for (int i = 0; i < RESULTS; i++) {
        if (!o->out[i]) continue;
        for (int j = 0; j < INPUTS; j++)
            if (o->in[j] && strcmp(o->in[j], "-") && same_file(o->out[i], o->in[j]))
                usage("%s is input and output", o->in[j]);
        for (int j = 0; j < i; j++)
            if (o->out[j] && same_file(o->out[i], o->out[j])) usage("%s is two outputs", o->out[i]);
    }
}

static void check(const parsing *p) {
    const op_options *o = p->options;
    const operation *what = o->operation;
    if (o->n_inputs != what->inputs) usage("%s needs %d --input, has %d", what->name, what->inputs, o->n_inputs);
    for (int i = 0; i < OPTIONS; i++) {
        const char *name = table[i].name;
        const bool needed = listed(what->needs, name);
        if (p->given[i] && !needed && !listed(what->takes, name) && !listed(COMMON, name))
            usage("%s does not take --%s", what->name, name);
        if (needed && !p->given[i]) usage("%s needs --%s", what->name, name);
    }
    if (o->out[OUT_DB] && !o->in[IN_BIAS]) usage("--output-db needs --bias");
    if (o->out[OUT_DMASK] && !o->in[IN_MASK]) usage("--output-dmask needs --mask");
    for (int i = OUT_DX; i < RESULTS; i++)
        if (o->out[i] && !o->in[IN_GRAD] && !o->in[IN_TARGET]) usage("gradients need --grad");
    check_files(o);
}

/* --- all --- */

static size_t append(char *text, size_t size, size_t length, const char *more) {
    const int n = snprintf(text + length, size - length, "%s", more);
    return length + (size_t)n < size ? length + (size_t)n : size - 1;
}

void op_parse(op_options *o, int argc, char **argv) {
    struct argp_option list[OPTIONS + 1] = {0};
    char doc[4096] =
        "Runs one operation on NumPy files (.npy, '-' for a standard stream), or with --grad its gradients.\v"
        "OPERATION: ";
    size_t length = strlen(doc);
    for (int i = 0; op_at(i); i++) {
        if (i) length = append(doc, sizeof doc, length, ", ");
        length = append(doc, sizeof doc, length, op_at(i)->name);
    }
    append(doc, sizeof doc, length, ". Any type of number is read; results are float32, or float64 with --double.");
    for (int i = 0; i < OPTIONS; i++)
        list[i] = (struct argp_option){.name = table[i].name,
                                       .key = key_of(i),
                                       .arg = table[i].value,
                                       .doc = table[i].doc,
                                       .group = table[i].group};
    const struct argp parser = {
        .options = list, .parser = parse, .args_doc = "OPERATION", .doc = doc, .children = args_computing};
    parsing p = {.options = o};
    *o = (op_options){.axis = -1, .count = 1, .channels = 5, .block = 2};
    args_parse(&parser, "op", argc, argv, &p);
    check(&p);
}
