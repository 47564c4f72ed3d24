/* convpool convert: a model whose weights are stored in another type, or as an ONNX file. */
#include "args.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const store_words[] = {"f32", "f16", "bf16", NULL};
static const cp_type store_types[] = {CP_F32, CP_F16, CP_BF16};

typedef struct options {
    const char *model, *output;
    int store; /* of store_words */
    bool json, given;
} options;

enum { OPTION_STORE = 256, OPTION_JSON };

static const struct argp_option option_list[] = {
    {"output", 'o', "FILE", 0, "the new model", 1},
    {"store", OPTION_STORE, "TYPE", 0, "f32, f16 or bf16: of the weights in the file", 1},
    {"json", OPTION_JSON, NULL, 0, "print JSON", 2},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[ARGS_MODEL] = &o->model;
        return 0;
    case 'o':
        o->output = text;
        return 0;
    case OPTION_STORE:
        o->store = arg_choice("store", text, store_words);
        o->given = true;
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    case ARGP_KEY_END:
        if (!o->output) usage("--output is missing");
        if (!o->given && !is_onnx(o->output)) usage("--store is missing");
        if (o->given && is_onnx(o->output)) usage("--store is for models of our own: ONNX files have f32");
        if (strcmp(o->model, "-") && same_file(o->model, o->output)) usage("%s is input and output", o->model);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The weight that storing changes most. */
typedef struct change {
    double largest, from, to;
    char name[PLAIN_TEXT];
} change;

/* What is left of a parameter's numbers after it was stored and loaded. */
static int compare(const cp_net *net, int i, cp_type type, change *found) {
    const cp_tensor before = cp_net_parameter(net, i);
    const int64_t count = cp_shape_count(before.shape);
    const cp_tensor stored = cp_view(allocate((size_t)count, sizeof(float)), type, before.shape);
    const cp_tensor after = cp_view(allocate((size_t)count, sizeof(float)), CP_F32, before.shape);
    cp_status status = cp_tensor_convert(&stored, &before);
    if (!status) status = cp_tensor_convert(&after, &stored);
    for (int64_t e = 0; !status && e < count; e++) {
        const double from = ((const float *)before.data)[e], to = ((const float *)after.data)[e];
        if (!(fabs(from - to) > found->largest)) continue;
        *found = (change){.largest = fabs(from - to), .from = from, .to = to};
        plain(cp_net_parameter_name(net, i), found->name);
    }
    free(stored.data);
    free(after.data);
    return status ? fail_library(status) : STATUS_OK;
}

static void print_change(const options *o, const change *found) {
    struct stat about;
    const int64_t bytes = stat(o->output, &about) ? 0 : about.st_size;
    char path[PLAIN_TEXT], size[BYTES_TEXT];
    if (o->json) {
        json_t *result = json_object();
        json_object_set_new(result, "model", json_plain(o->output));
        json_object_set_new(result, "store", json_string(store_words[o->store]));
        json_object_set_new(result, "bytes", json_integer(bytes));
        json_object_set_new(result, "largest_change", json_number(found->largest));
        json_object_set_new(result, "parameter", found->largest > 0 ? json_plain(found->name) : json_null());
        print_json(result, stdout);
        return;
    }
    printf("%s: %s, %s", plain(o->output, path), store_words[o->store], byte_text(bytes, size));
    if (found->largest > 0) {
        printf("; the largest change of a weight is %.3g: %.9g became %.9g in %s\n", found->largest, found->from,
               found->to, found->name);
    } else {
        printf("; no weight has changed\n");
    }
}

static int write_onnx(const options *o, const cp_net *net) {
    char path[PLAIN_TEXT], size[BYTES_TEXT];
    struct stat about;
    const cp_status saved = cp_onnx_save(net, o->output);
    if (saved) return fail_library(saved);
    const int64_t bytes = stat(o->output, &about) ? 0 : about.st_size;
    if (o->json) {
        json_t *result = json_object();
        json_object_set_new(result, "model", json_plain(o->output));
        json_object_set_new(result, "bytes", json_integer(bytes));
        print_json(result, stdout);
    } else {
        printf("%s: ONNX, %s\n", plain(o->output, path), byte_text(bytes, size));
    }
    return STATUS_OK;
}

int cmd_convert(int argc, char **argv) {
    options o = {0};
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .args_doc = "MODEL",
        .doc = "Stores the weights of a model in another type, and says how much that changes them; or writes the "
               "model as "
               "an ONNX file, where FILE ends with .onnx.\v"
               "f16 and bf16 take half the bytes; every command reads all three and computes in float32. f16 (IEEE "
               "754) keeps 11 significant bits and ends at 65504; bf16 keeps 8 bits and the range of float32. A "
               "checkpoint becomes a model: what its optimizer remembers stays behind.",
        .children = args_common};
    args_parse(&parser, "convert", argc, argv, &o);
    cp_net *net = NULL;
    change found = {0};
    int status = check_output(o.output);
    if (!status) status = load_net(&net, o.model);
    if (!status && is_onnx(o.output)) {
        status = write_onnx(&o, net);
        cp_net_free(net);
        return status;
    }
    for (int i = 0; !status && i < cp_net_parameters(net); i++) status = compare(net, i, store_types[o.store], &found);
    if (!status) {
        const cp_status saved = cp_net_save_as(net, o.output, store_types[o.store]);
        status = saved ? fail_library(saved) : STATUS_OK;
    }
    if (!status) print_change(&o, &found);
    cp_net_free(net);
    return status;
}
