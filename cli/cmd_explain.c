/* convpool explain: the numbers behind each output of an operation. */
#include "args.h"

#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *operation, *x, *w, *input, *weights;
    double bias;
    bool has_bias;
    axes stride, dilation;
    padding padding;
} options;

enum {
    OPTION_X = 256,
    OPTION_W,
    OPTION_B,
    OPTION_INPUT,
    OPTION_WEIGHTS,
    OPTION_STRIDE,
    OPTION_DILATION,
    OPTION_PADDING
};

static const struct argp_option option_list[] = {
    {"x", OPTION_X, "ROWS", 0, "the input, as \"1 2 3;4 5 6;7 8 9\"", 1},
    {"w", OPTION_W, "ROWS", 0, "the kernel, likewise", 1},
    {"input", OPTION_INPUT, "FILE", 0, "the input as a .npy file: [height, width] or [1, height, width, channels]", 1},
    {"weights", OPTION_WEIGHTS, "FILE", 0, "the kernel as a .npy file: [height, width] or [height, width, in, out]", 1},
    {"b", OPTION_B, "NUMBER", 0, "the bias", 1},
    {"stride", OPTION_STRIDE, "SIZE", 0, "default 1", 2},
    {"dilation", OPTION_DILATION, "SIZE", 0, "distance between taps (default 1)", 2},
    {"padding", OPTION_PADDING, "PAD", 0, ARG_PADDING_DOC, 2},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case OPTION_X:
        o->x = text;
        return 0;
    case OPTION_W:
        o->w = text;
        return 0;
    case OPTION_INPUT:
        o->input = text;
        return 0;
    case OPTION_WEIGHTS:
        o->weights = text;
        return 0;
    case OPTION_B:
        o->bias = arg_real("b", text, -1e30, 1e30);
        o->has_bias = true;
        return 0;
    case OPTION_STRIDE:
        o->stride = arg_axes("stride", text);
        return 0;
    case OPTION_DILATION:
        o->dilation = arg_axes("dilation", text);
        return 0;
    case OPTION_PADDING:
        o->padding = arg_padding("padding", text);
        return 0;
    case ARGP_KEY_ARG:
        if (o->operation) usage("'%s' is one operation too many", text);
        if (strcmp(text, "conv")) usage("operation = %s: must be conv", text);
        o->operation = text;
        return 0;
    case ARGP_KEY_END:
        if (!o->operation) usage("the operation is missing: conv");
        if (!o->x == !o->input) usage("give the input as --x or as --input");
        if (!o->w == !o->weights) usage("give the kernel as --w or as --weights");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A matrix of rows divided by ";" and numbers divided by spaces or commas. */
static float *parse_matrix(const char *option, const char *text, int64_t *height, int64_t *width) {
    float *numbers = allocate(strlen(text) / 2 + 1, sizeof *numbers);
    int64_t count = 0, row = 0, rows = 1, columns = -1;
    for (;;) {
        text += strspn(text, " ,\t\n");
        if (*text && *text != ';') {
            char *end;
            numbers[count] = strtof(text, &end);
            if (end == text) {
                free(numbers);
                usage("--%s, row %lld: '%.20s' is not a number", option, (long long)rows, text);
            }
            count++;
            row++;
            text = end;
            continue;
        }
        if (columns < 0) columns = row;
        if (row != columns || !row) {
            free(numbers);
            usage("--%s: row %lld has %lld numbers, row 1 has %lld", option, (long long)rows, (long long)row,
                  (long long)columns);
        }
        if (!*text) break;
        text++;
        row = 0;
        rows++;
    }
    *height = rows;
    *width = columns;
    return numbers;
}

/* A tensor of rank 4 from a text or a file; [height, width] becomes [1,height,width,1] or [height,width,1,1]. */
static int load(cp_tensor *tensor, const char *option, const char *text, const char *path, bool batch) {
    cp_array array = {0};
    if (path) {
        const int status = load_npy(&array, path);
        if (status) return status;
    } else {
        array.type = CP_F32;
        array.shape.rank = 2;
        array.data = parse_matrix(option, text, &array.shape.dim[0], &array.shape.dim[1]);
    }
    cp_shape shape = array.shape;
    int status = STATUS_OK;
    if (shape.rank == 2) {
        const int64_t height = shape.dim[0], width = shape.dim[1];
        shape = batch ? cp_shape_nhwc(1, height, width, 1) : cp_shape_nhwc(height, width, 1, 1);
    }
    if (shape.rank != 4) {
        status = fail(STATUS_INPUT, "%s: has %d dimensions, must have 2 or 4", path, shape.rank);
    } else {
        *tensor = cp_view(allocate((size_t)cp_shape_count(shape), sizeof(float)), CP_F32, shape);
        const cp_tensor from = cp_view(array.data, array.type, shape);
        const cp_status converted = cp_tensor_convert(tensor, &from);
        if (converted) status = fail_library(converted);
    }
    if (path) {
        cp_array_free(&array);
    } else {
        free(array.data);
    }
    return status;
}

static void write_text(void *user, const char *text, size_t bytes) {
    fwrite(text, 1, bytes, user);
}

static int explain(const options *o, const cp_tensor *x, const cp_tensor *w) {
    cp_conv conv = {0};
    int status = axes_for(&o->stride, "stride", 2, conv.stride);
    if (!status) status = axes_for(&o->dilation, "dilation", 2, conv.dilation);
    if (!status) status = padding_for(&o->padding, "padding", 2, &conv.pad, conv.pad_before, conv.pad_after);
    if (status) return status;
    const int64_t filters = w->shape.dim[3];
    float *biases = allocate((size_t)filters, sizeof *biases);
    for (int64_t k = 0; k < filters; k++) biases[k] = (float)o->bias;
    const cp_tensor b = cp_vec(biases, filters);
    const cp_status explained = cp_explain_conv(&conv, x, w, o->has_bias ? &b : NULL, write_text, stdout);
    free(biases);
    return explained ? fail_library(explained) : STATUS_OK;
}

int cmd_explain(int argc, char **argv) {
    options o = {0};
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .args_doc = "conv",
        .doc = "Prints every window of a small convolution with its products, padding marked, and the output.\v"
               "Example: convpool explain conv --x \"2 2 3 3 3;0 1 3 0 3;2 3 0 1 3;3 3 2 1 2;3 3 0 2 3\" "
               "--w \"2 0 1;1 0 0;0 1 1\" --stride 2 --padding 1",
        .children = args_common};
    args_parse(&parser, "explain", argc, argv, &o);
    cp_tensor x = {0}, w = {0};
    int status = load(&x, "x", o.x, o.input, true);
    if (!status) status = load(&w, "w", o.w, o.weights, false);
    if (!status) status = explain(&o, &x, &w);
    free(x.data);
    free(w.data);
    return status;
}
