/* convpool onnx-test: ONNX's backend test folders, a model beside inputs and the outputs that it must give. */
#include "args.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_ARRAYS 64

typedef struct options {
    char **folders;
    int n_folders, threads;
    double tolerance;
    bool verbose;
} options;

enum { OPTION_TOLERANCE = 256, OPTION_THREADS };

static const struct argp_option option_list[] = {
    {"tolerance", OPTION_TOLERANCE, "NUMBER", 0, "of the largest number that is expected (default 1e-5)", 1},
    {"verbose", 'v', NULL, 0, "print a line for those that pass, too", 1},
    {"threads", OPTION_THREADS, "N", 0, "default: 1", 2},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case 'v':
        o->verbose = true;
        return 0;
    case OPTION_TOLERANCE:
        o->tolerance = arg_real("tolerance", text, 0, 1);
        return 0;
    case OPTION_THREADS:
        o->threads = arg_threads(text);
        return 0;
    case ARGP_KEY_ARGS:
        o->folders = state->argv + state->next;
        o->n_folders = state->argc - state->next;
        return 0;
    case ARGP_KEY_END:
        if (!o->n_folders) usage("DIR is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

typedef enum outcome { PASSED, FAILED, UNSUPPORTED } outcome;

typedef struct arrays {
    cp_array array[MOST_ARRAYS];
    int n;
} arrays;

static void free_arrays(arrays *list) {
    for (int i = 0; i < list->n; i++) cp_array_free(&list->array[i]);
    list->n = 0;
}

/* FOLDER/input_0.pb, input_1.pb, ... as many as there are. */
static cp_status load_arrays(arrays *list, const char *folder, const char *what) {
    char path[PATH_MAX], name[64];
    for (list->n = 0; list->n < MOST_ARRAYS; list->n++) {
        snprintf(name, sizeof name, "%s_%d.pb", what, list->n);
        if (!join_path(path, folder, name) || access(path, F_OK)) return CP_OK;
        const cp_status status = cp_onnx_tensor_load(&list->array[list->n], path);
        if (status) return status;
    }
    return CP_OK;
}

/* Where the output first differs and by how much at most; text is empty where it does not. */
static outcome compare(const cp_tensor *found, const cp_array *expected, double tolerance, const char *name,
                       char text[512]) {
    char a[CP_SHAPE_TEXT], b[CP_SHAPE_TEXT], shown[PLAIN_TEXT];
    const int64_t count = cp_shape_count(expected->shape);
    bool same = found->shape.rank == expected->shape.rank && found->type == expected->type;
    for (int i = 0; i < expected->shape.rank && same; i++) same = found->shape.dim[i] == expected->shape.dim[i];
    if (!same) {
        snprintf(text, 512, "'%s' is %s of %lld-byte numbers, expected %s of %lld-byte numbers", plain(name, shown),
                 cp_shape_text(found->shape, a), (long long)cp_type_size(found->type),
                 cp_shape_text(expected->shape, b), (long long)cp_type_size(expected->type));
        return FAILED;
    }
    const bool real = found->type == CP_F32 || found->type == CP_F64;
    double largest = 0, deviation = 0;
    int64_t first = -1;
    for (int64_t i = 0; i < count; i++) {
        const double y = fabs(number_at(expected->data, expected->type, i));
        if (isfinite(y) && y > largest) largest = y;
    }
    for (int64_t i = 0; i < count; i++) {
        const double x = number_at(found->data, found->type, i), y = number_at(expected->data, expected->type, i);
        const double away = x == y || (isnan(x) && isnan(y)) ? 0 : fabs(x - y);
        if (!(away <= (real ? tolerance * largest : 0)) && first < 0) first = i;
        if (away > deviation) deviation = away;
    }
    if (first < 0) return PASSED;
    snprintf(text, 512, "'%s'[%lld] is %.9g, expected %.9g; largest deviation %.3g", plain(name, shown),
             (long long)first, number_at(found->data, found->type, first),
             number_at(expected->data, expected->type, first), deviation);
    return FAILED;
}

static outcome failed(cp_status status, char text[512]) {
    snprintf(text, 512, "%.500s", cp_error());
    return status == CP_E_UNSUPPORTED ? UNSUPPORTED : FAILED;
}

static outcome run_set(const options *o, const char *model, const arrays *in, const arrays *expected, char text[512]) {
    cp_onnx_input known[MOST_ARRAYS] = {0};
    cp_tensor inputs[MOST_ARRAYS];
    runner r;
    for (int i = 0; i < in->n; i++)
        inputs[i] = known[i].tensor = cp_view(in->array[i].data, in->array[i].type, in->array[i].shape);
    cp_status status =
        open_runner(&r, model, &(cp_onnx){.inputs = known, .n_inputs = in->n}, &(cp_options){.threads = o->threads});
    if (!status) status = plan_runner(&r, inputs);
    if (!status) status = cp_plan_run(r.plan, r.work, inputs, in->n, r.outputs, r.n_outputs);
    outcome result = status ? failed(status, text) : PASSED;
    for (int i = 0; i < r.n_outputs && i < expected->n && result == PASSED; i++)
        result = compare(&r.outputs[i], &expected->array[i], o->tolerance, cp_net_output_name(r.net, i), text);
    close_runner(&r);
    return result;
}

/* Every test_data_set_N of a folder. */
static outcome run_folder(const options *o, const char *folder, char text[512]) {
    char model[PATH_MAX], set[PATH_MAX], name[64];
    outcome result = PASSED;
    if (!join_path(model, folder, "model.onnx") || access(model, R_OK)) {
        snprintf(text, 512, "no model.onnx");
        return FAILED;
    }
    for (int n = 0; result == PASSED; n++) {
        arrays in = {0}, expected = {0};
        snprintf(name, sizeof name, "test_data_set_%d", n);
        if (!join_path(set, folder, name) || access(set, F_OK)) {
            if (n) break;
            snprintf(text, 512, "no test_data_set_0");
            return FAILED;
        }
        cp_status status = load_arrays(&in, set, "input");
        if (!status) status = load_arrays(&expected, set, "output");
        result = status ? failed(status, text) : run_set(o, model, &in, &expected, text);
        free_arrays(&in);
        free_arrays(&expected);
    }
    return result;
}

int cmd_onnx_test(int argc, char **argv) {
    static const char *const words[] = {"passed", "FAILED", "unsupported"};
    options o = {.tolerance = 1e-5, .threads = 1};
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .args_doc = "DIR...",
        .doc = "Runs ONNX's backend test folders: model.onnx beside test_data_set_*/input_N.pb and output_N.pb.\v"
               "Prints a line for each that fails or is not supported, and how many there were.",
        .children = args_common};
    args_parse(&parser, "onnx-test", argc, argv, &o);
    int count[3] = {0};
    for (int i = 0; i < o.n_folders; i++) {
        char text[512] = "", shown[PLAIN_TEXT], line[600];
        const outcome result = run_folder(&o, o.folders[i], text);
        count[result]++;
        if (result == PASSED && !o.verbose) continue;
        const char *slash = strrchr(o.folders[i], '/');
        snprintf(line, sizeof line, "%s", text);
        for (char *c = line; *c; c++)
            if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
        printf("%s: %s%s%s\n", plain(slash && slash[1] ? slash + 1 : o.folders[i], shown), words[result],
               *line ? ": " : "", line);
    }
    printf("%d passed, %d failed, %d unsupported\n", count[PASSED], count[FAILED], count[UNSUPPORTED]);
    return count[FAILED] ? STATUS_INPUT : STATUS_OK;
}
