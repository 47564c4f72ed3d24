/* convpool data: one picture of the data, on the screen or in a file. */
#include "args.h"

#include <stdlib.h>

typedef struct options {
    pictures_source source;
    const char *output, *augment;
    int64_t index, epoch; /* from 0 */
    bool training;
} options;

enum { OPTION_DATA = 256, OPTION_INDEX, OPTION_SEED, OPTION_TRAINING, OPTION_SIZE, OPTION_AUGMENT, OPTION_EPOCH };

static const struct argp_option option_list[] = {
    {"index", OPTION_INDEX, "N", 0, "which picture, from 0 (default 0)", 1},
    {"data", OPTION_DATA, "DIR", 0, "folder as of train; default: digits drawn by the library", 1},
    {"size", OPTION_SIZE, "HxW", 0, "scale the pictures of class folders to this size", 1},
    {"training", OPTION_TRAINING, NULL, 0, "one of the pictures to train with; default: one to validate with", 1},
    {"seed", OPTION_SEED, "N", 0, "of the drawn digits and of --augment (default 1)", 1},
    {"augment", OPTION_AUGMENT, "TEXT", 0, "change the picture as train --augment TEXT does", 2},
    {"epoch", OPTION_EPOCH, "N", 0, "as its epoch N sees it (default 1)", 2},
    {"output", 'o', "FILE", 0, "write a PNG file instead of showing the picture", 3},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case OPTION_DATA:
        o->source.folder = text;
        return 0;
    case OPTION_INDEX:
        o->index = arg_int("index", text, 0, INT32_MAX);
        return 0;
    case OPTION_SEED:
        o->source.seed = arg_seed(text);
        return 0;
    case OPTION_TRAINING:
        o->training = true;
        return 0;
    case OPTION_SIZE:
        arg_size(&o->source, text);
        return 0;
    case OPTION_AUGMENT:
        o->augment = text;
        return 0;
    case OPTION_EPOCH:
        o->epoch = arg_int("epoch", text, 1, 1000000) - 1;
        return 0;
    case 'o':
        o->output = text;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int load(options *o, cp_data **data) {
    if (!o->training) return load_validation(&o->source, data);
    cp_data *validation;
    const int status = load_training(&o->source, data, &validation);
    cp_data_free(validation);
    return status;
}

/* Pixels of picture o->index as --augment changes it; free. */
static int augmented(const options *o, const cp_data *data, unsigned char **pixels) {
    const cp_shape shape = cp_data_shape(data);
    const size_t count = (size_t)(shape.dim[1] * shape.dim[2] * shape.dim[3]);
    float *values = allocate(count, sizeof *values);
    cp_augment *augment;
    cp_status status = cp_augment_new(&augment, o->augment);
    if (!status) status = cp_augment_picture(augment, data, o->index, o->source.seed, o->epoch, values);
    if (!status) {
        *pixels = allocate(count, 1);
        for (size_t i = 0; i < count; i++) (*pixels)[i] = (unsigned char)(values[i] * 255 + 0.5f);
    }
    cp_augment_free(augment);
    free(values);
    return status ? fail_library(status) : STATUS_OK;
}

static int print_picture(const options *o, const cp_data *data, unsigned char *pixels) {
    const cp_shape shape = cp_data_shape(data);
    /* With -o - the file is on standard output. */
    fprintf(o->output ? stderr : stdout, "picture %lld: label %d, %lldx%lld\n", (long long)o->index,
            cp_data_label(data, o->index), (long long)shape.dim[2], (long long)shape.dim[1]);
    if (!o->output) {
        show_picture(stdout, pixels, (int)shape.dim[1], (int)shape.dim[2], (int)shape.dim[3]);
        return STATUS_OK;
    }
    const image picture = {
        .width = shape.dim[2], .height = shape.dim[1], .channels = (int)shape.dim[3], .pixels = pixels};
    return image_save(&picture, o->output);
}

static int show(const options *o, const cp_data *data) {
    unsigned char *changed = NULL;
    if (o->index >= cp_data_count(data))
        return fail(STATUS_INPUT, "index = %lld: there are %lld pictures, counted from 0", (long long)o->index,
                    (long long)cp_data_count(data));
    int status = o->augment ? augmented(o, data, &changed) : STATUS_OK;
    if (!status) status = print_picture(o, data, changed ? changed : (unsigned char *)cp_data_image(data, o->index));
    free(changed);
    return status;
}

int cmd_data(int argc, char **argv) {
    options o = {.source = PICTURES_DEFAULT};
    const struct argp parser = {.options = option_list,
                                .parser = parse,
                                .doc = "Shows one picture of the data with its label, or writes it as a PNG file.",
                                .children = args_common};
    args_parse(&parser, "data", argc, argv, &o);
    cp_data *data = NULL;
    int status = o.output ? check_output(o.output) : STATUS_OK;
    if (!status) status = load(&o, &data);
    if (!status) status = show(&o, data);
    cp_data_free(data);
    json_decref(o.source.classes);
    return status;
}
