/* convpool run: a network on NumPy files, TensorProto files or pictures. */
#include "args.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOST MOST_INPUTS

typedef struct assignment {
    const char *name; /* NULL: the next one */
    const char *value;
} assignment;

typedef struct options {
    const char *model, *directory, *labels;
    assignment inputs[MOST], outputs[MOST];
    known_inputs shapes;
    int n_inputs, n_outputs, top;
    computing computing;
    float mean[3], std[3];
    int64_t max_memory;
    bool json, profile;
} options;

enum {
    OPTION_INPUT = 256,
    OPTION_DIRECTORY,
    OPTION_SHAPE,
    OPTION_MEAN,
    OPTION_STD,
    OPTION_PROFILE,
    OPTION_MEMORY,
    OPTION_JSON,
    OPTION_TOP,
    OPTION_LABELS
};

static const struct argp_option option_list[] = {
    {"input", OPTION_INPUT, "[NAME=]FILE", 0, "an input: .npy, .pb (TensorProto), or a picture; once for each", 1},
    {"shape", OPTION_SHAPE, "[NAME=]SIZE", 0, "an input's size, where the model leaves it open: 1x3x224x224", 1},
    {"mean", OPTION_MEAN, "R,G,B", 0, "of pictures (0..1) this is taken away ...", 1},
    {"std", OPTION_STD, "R,G,B", 0, "... and the rest divided by this", 1},
    {"output", 'o', "[NAME=]FILE", 0, "write an output as .npy; once for each", 2},
    {"output-dir", OPTION_DIRECTORY, "DIR", 0, "write every output as DIR/NAME.npy", 2},
    {"top", OPTION_TOP, "N", 0, "print the N largest numbers of each row of the first output", 2},
    {"labels", OPTION_LABELS, "FILE", 0, "their names, one a line", 2},
    {"json", OPTION_JSON, NULL, 0, "print JSON", 2},
    {"profile", OPTION_PROFILE, NULL, 0, "print the time of each step", 2},
    {"max-memory", OPTION_MEMORY, "SIZE", 0, "refuse to use more: 512M, 8G (default: half of the memory)", 3},
    {0}};

/* "NAME=FILE" or "FILE"; what stands before the first '=' is the name. */
static void add_assignment(assignment *list, int *n, const char *option, char *text) {
    if (*n == MOST) usage("--%s: more than %d of them", option, MOST);
    char *equals = strchr(text, '=');
    list[*n] = (assignment){.value = text};
    if (equals && equals != text) {
        *equals = 0;
        list[*n] = (assignment){text, equals + 1};
    }
    ++*n;
}

static void parse_colours(const char *option, char *text, float colour[3]) {
    int n = 0;
    for (char *part = strtok(text, ","); part; part = strtok(NULL, ",")) {
        if (n == 3) usage("%s has more than 3 numbers", option);
        colour[n++] = (float)arg_real(option, part, -1e6, 1e6);
    }
    if (n != 1 && n != 3) usage("%s needs 1 or 3 numbers", option);
    if (n == 1) colour[1] = colour[2] = colour[0];
}

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[ARGS_MODEL] = &o->model;
        state->child_inputs[ARGS_COMPUTING] = &o->computing;
        return 0;
    case OPTION_INPUT:
        add_assignment(o->inputs, &o->n_inputs, "input", text);
        return 0;
    case OPTION_SHAPE:
        add_known_shape(&o->shapes, text);
        return 0;
    case 'o':
        add_assignment(o->outputs, &o->n_outputs, "output", text);
        return 0;
    case OPTION_MEAN:
        parse_colours("mean", text, o->mean);
        return 0;
    case OPTION_STD:
        parse_colours("std", text, o->std);
        for (int c = 0; c < 3; c++)
            if (o->std[c] <= 0) usage("std must be above 0");
        return 0;
    case OPTION_DIRECTORY:
        o->directory = text;
        return 0;
    case OPTION_TOP:
        o->top = (int)arg_int("top", text, 1, 1000000);
        return 0;
    case OPTION_LABELS:
        o->labels = text;
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    case OPTION_PROFILE:
        o->profile = true;
        return 0;
    case OPTION_MEMORY:
        o->max_memory = arg_bytes("max-memory", text);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- inputs --- */

/* What is given for an input: an array, or a picture, whose place is filled once the input's shape is known. */
typedef struct given {
    const char *name, *path;
    cp_array array;
    image picture;
} given;

typedef struct task {
    const options *options;
    given given[MOST];
    int n_given;
    cp_onnx_input known[2 * MOST];
    int n_known;
    runner runner;
    cp_tensor inputs[MOST];
} task;

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), own = strlen(end);
    return length >= own && !strcmp(text + length - own, end);
}

static int load_given(task *t) {
    for (int i = 0; i < t->options->n_inputs; i++) {
        given *g = &t->given[t->n_given];
        *g = (given){.name = t->options->inputs[i].name, .path = t->options->inputs[i].value};
        int status = STATUS_OK;
        if (ends_with(g->path, ".pb")) {
            const cp_status loaded = cp_onnx_tensor_load(&g->array, g->path);
            status = loaded ? fail_library(loaded) : STATUS_OK;
        } else if (ends_with(g->path, ".npy") || !strcmp(g->path, "-")) {
            status = load_npy(&g->array, g->path);
        } else {
            status = image_load(&g->picture, g->path);
        }
        if (status) return status;
        t->n_given++;
    }
    return STATUS_OK;
}

static bool is_picture(const given *g) {
    return g->picture.pixels != NULL;
}

/* The size that was asked for input `number` without its name, or a picture's own where the model leaves it open (then
 * guess is set); nothing else is known of a picture. */
static cp_onnx_input known_of_picture(const task *t, int number, bool guess) {
    const cp_onnx *shapes = &t->options->shapes.options;
    const given *g = &t->given[number];
    cp_onnx_input known = {.name = g->name};
    if (number < shapes->n_inputs && !shapes->inputs[number].name)
        known.tensor = shapes->inputs[number].tensor;
    else if (guess)
        known.tensor.shape = (cp_shape){4, {1, g->picture.channels, g->picture.height, g->picture.width}};
    else
        known.name = "";
    return known;
}

/* What is known of the inputs, for the loader: in the order of the options, then sizes by name. */
static void list_known(task *t, bool guess) {
    const cp_onnx *shapes = &t->options->shapes.options;
    t->n_known = 0;
    for (int i = 0; i < t->n_given; i++) {
        const given *g = &t->given[i];
        t->known[t->n_known++] = is_picture(g)
                                     ? known_of_picture(t, i, guess)
                                     : (cp_onnx_input){g->name, cp_view(g->array.data, g->array.type, g->array.shape)};
    }
    for (int i = 0; i < shapes->n_inputs; i++)
        if (shapes->inputs[i].name || i >= t->n_given) t->known[t->n_known++] = shapes->inputs[i];
}

static int open_model(task *t) {
    const options *o = t->options;
    const cp_options context = {.threads = o->computing.threads ? o->computing.threads : default_threads(),
                                .max_memory = o->max_memory,
                                .math = o->computing.math};
    bool pictures = false;
    for (int i = 0; i < t->n_given; i++) pictures |= is_picture(&t->given[i]);
    list_known(t, false);
    cp_onnx known = {.inputs = t->known, .n_inputs = t->n_known, .max_memory = o->max_memory};
    cp_status status = open_runner(&t->runner, o->model, &known, &context);
    if (status == CP_E_SHAPE && pictures) {
        close_runner(&t->runner);
        list_known(t, true);
        known.n_inputs = t->n_known;
        status = open_runner(&t->runner, o->model, &known, &context);
    }
    return status ? fail_library(status) : STATUS_OK;
}

/* Fills an input N,C,H,W or N,H,W,C with a picture. */
static int place_picture(const task *t, const given *g, cp_shape shape, const char *name, cp_tensor *input) {
    const options *o = t->options;
    char text[CP_SHAPE_TEXT], said[PREPARED_TEXT];
    const bool first = shape.rank == 4 && (shape.dim[1] == 1 || shape.dim[1] == 3);
    const bool last = shape.rank == 4 && !first && (shape.dim[3] == 1 || shape.dim[3] == 3);
    if (!first && !last)
        return fail(STATUS_INPUT, "%s: image has %d channels, input '%s' takes %s", g->path, g->picture.channels, name,
                    cp_shape_text(shape, text));
    const cp_shape picture = first ? cp_shape_nhwc(1, shape.dim[2], shape.dim[3], shape.dim[1]) : shape;
    const int64_t count = cp_shape_count(picture), channels = picture.dim[3];
    float *values = allocate((size_t)count, sizeof *values);
    float *placed = allocate((size_t)count, sizeof *placed);
    const int status = image_prepare(&g->picture, g->path, picture, INK_ANY, values, said);
    for (int64_t i = 0; i < count && !status; i++)
        values[i] = (values[i] - o->mean[channels == 1 ? 0 : i % channels]) / o->std[channels == 1 ? 0 : i % channels];
    const cp_tensor from = cp_view(values, CP_F32, picture);
    const cp_tensor to = first ? cp_view_channels_first(placed, CP_F32, picture) : cp_view(placed, CP_F32, picture);
    if (!status) cp_tensor_copy(&to, &from);
    free(values);
    if (!status && !o->json) notice("%s: %s", g->path, said);
    *input = cp_view(placed, CP_F32, shape);
    return status;
}

/* An array as it is, halves and doubles made F32 where that is asked for. */
static int place_array(given *g, cp_type type, const char *name, cp_tensor *input) {
    *input = cp_view(g->array.data, g->array.type, g->array.shape);
    g->array.data = NULL;
    if (input->type == type || type != CP_F32) return STATUS_OK;
    const cp_tensor real = cp_view(allocate((size_t)cp_shape_count(input->shape), sizeof(float)), CP_F32, input->shape);
    const bool halves = input->type == CP_F64 || input->type == CP_F16 || input->type == CP_BF16;
    const cp_status status = halves ? cp_tensor_convert(&real, input) : CP_E_ARG;
    free(input->data);
    *input = real;
    if (status) return fail(STATUS_INPUT, "%s: input '%s' takes f32", g->path, name);
    return STATUS_OK;
}

static given *given_for(task *t, const char *name, int number) {
    for (int i = 0; i < t->n_given; i++)
        if (t->given[i].name ? !strcmp(t->given[i].name, name) : i == number) return &t->given[i];
    return NULL;
}

static int place_inputs(task *t) {
    const cp_net *net = t->runner.net;
    const int n = cp_net_inputs(net);
    if (n > MOST) return fail(STATUS_LIMIT, "the model has %d inputs, at most %d are possible", n, MOST);
    for (int i = 0; i < t->n_given; i++) {
        bool found = t->given[i].name == NULL && i < n;
        for (int k = 0; k < n; k++) found |= t->given[i].name && !strcmp(t->given[i].name, cp_net_input_name(net, k));
        if (!found)
            return fail(STATUS_INPUT, "%s: the model has no input '%s'", t->given[i].path,
                        t->given[i].name ? t->given[i].name : "of that number");
    }
    for (int i = 0; i < n; i++) {
        const cp_node node = cp_net_input_node(net, i);
        const char *name = cp_net_input_name(net, i);
        char text[CP_SHAPE_TEXT];
        given *g = given_for(t, name, i);
        cp_shape shape = cp_net_shape(net, node);
        if (!g)
            return fail(STATUS_INPUT, "input '%s' (%s) is not given: --input %s=FILE", name, cp_shape_text(shape, text),
                        name);
        if (is_picture(g) && shape.rank && !shape.dim[0]) shape.dim[0] = 1;
        const int status = is_picture(g) ? place_picture(t, g, shape, name, &t->inputs[i])
                                         : place_array(g, cp_net_type(net, node), name, &t->inputs[i]);
        if (status) return status;
    }
    return STATUS_OK;
}

/* --- outputs --- */

typedef struct digest {
    double least, most, mean;
} digest;

static digest digest_of(const cp_tensor *x) {
    digest d = {INFINITY, -INFINITY, 0};
    const int64_t count = cp_shape_count(x->shape);
    for (int64_t i = 0; i < count; i++) {
        const double value = number_at(x->data, x->type, i);
        if (value < d.least) d.least = value;
        if (value > d.most) d.most = value;
        d.mean += value / (double)count;
    }
    return d;
}

/* "DIR/NAME.npy", where '_' stands for what is not safe in a file's name. */
static bool output_path(char path[PATH_MAX], const char *folder, const char *name) {
    char safe[256];
    int n = 0;
    for (; name[n] && n < 240; n++) {
        const char c = name[n];
        const bool plain_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        safe[n] = (char)(plain_letter || c == '-' || c == '_' || (c == '.' && n) ? c : '_');
    }
    strcpy(safe + n, ".npy");
    return join_path(path, folder, safe);
}

static int write_outputs(const task *t) {
    const options *o = t->options;
    const runner *r = &t->runner;
    char path[PATH_MAX];
    if (o->directory && mkdir(o->directory, 0777) && errno != EEXIST)
        return fail(STATUS_IO, "%s: %s", o->directory, strerror(errno));
    for (int i = 0; i < r->n_outputs && o->directory; i++) {
        if (!output_path(path, o->directory, cp_net_output_name(r->net, i)))
            return fail(STATUS_IO, "%s: the path is too long", o->directory);
        const int status = save_npy(&r->outputs[i], path);
        if (status) return status;
    }
    for (int k = 0; k < o->n_outputs; k++) {
        int i = o->outputs[k].name ? 0 : k;
        while (o->outputs[k].name && i < r->n_outputs && strcmp(cp_net_output_name(r->net, i), o->outputs[k].name)) i++;
        if (i >= r->n_outputs)
            return fail(STATUS_INPUT, "the model has no output %s%s", o->outputs[k].name ? "" : "for ",
                        o->outputs[k].name ? o->outputs[k].name : o->outputs[k].value);
        const int status = save_npy(&r->outputs[i], o->outputs[k].value);
        if (status) return status;
    }
    return STATUS_OK;
}

/* Line n of a text, cut to what is printed; its number where there is no such line. */
static const char *label(const unsigned char *text, size_t length, int64_t n, char name[PLAIN_TEXT]) {
    size_t begin = 0;
    for (int64_t line = 0; line < n && begin < length; begin++) line += text[begin] == '\n';
    char copy[256];
    size_t end = begin;
    while (end < length && text[end] != '\n' && text[end] != '\r' && end - begin < sizeof copy - 1) end++;
    if (end == begin) {
        snprintf(name, PLAIN_TEXT, "%lld", (long long)n);
        return name;
    }
    memcpy(copy, text + begin, end - begin);
    copy[end - begin] = 0;
    return plain(copy, name);
}

/* The largest numbers of each row. */
static int print_top(const task *t, json_t *result) {
    const options *o = t->options;
    const cp_tensor *y = &t->runner.outputs[0];
    const int64_t columns = y->shape.rank ? y->shape.dim[y->shape.rank - 1] : 1;
    const int64_t rows = columns ? cp_shape_count(y->shape) / columns : 0;
    unsigned char *names = NULL;
    size_t length = 0;
    if (y->type != CP_F32) return fail(STATUS_INPUT, "--top: the first output is no f32");
    const int status = o->labels ? read_file(o->labels, &names, &length) : STATUS_OK;
    json_t *list = json_array();
    for (int64_t row = 0; row < rows && !status; row++) {
        const float *values = (const float *)y->data + row * columns;
        bool *taken = allocate((size_t)columns, sizeof *taken);
        json_t *entries = json_array();
        for (int k = 0; k < o->top && k < columns; k++) {
            int64_t best = -1;
            char name[PLAIN_TEXT];
            for (int64_t i = 0; i < columns; i++)
                if (!taken[i] && (best < 0 || values[i] > values[best])) best = i;
            taken[best] = true;
            label(names, length, best, name);
            if (!o->json) {
                printf("%12.6g  %s\n", (double)values[best], name);
                continue;
            }
            json_t *entry = json_object();
            json_object_set_new(entry, "index", json_integer(best));
            json_object_set_new(entry, "label", json_plain(name));
            json_object_set_new(entry, "value", json_number((double)values[best]));
            json_array_append_new(entries, entry);
        }
        json_array_append_new(list, entries);
        free(taken);
    }
    free(names);
    if (o->json)
        json_object_set_new(result, "top", list);
    else
        json_decref(list);
    return status;
}

static int print_outputs(const task *t) {
    const options *o = t->options;
    const runner *r = &t->runner;
    const bool written = o->directory || o->n_outputs;
    json_t *result = json_object(), *outputs = json_array();
    int status = STATUS_OK;
    for (int i = 0; i < r->n_outputs; i++) {
        const cp_tensor *y = &r->outputs[i];
        const digest d = digest_of(y);
        char name[PLAIN_TEXT], shape[CP_SHAPE_TEXT];
        if (!o->json && !written && !o->top)
            printf("%s: %s, %g to %g, mean %g\n", plain(cp_net_output_name(r->net, i), name),
                   cp_shape_text(y->shape, shape), d.least, d.most, d.mean);
        json_t *output = json_object();
        json_object_set_new(output, "name", json_plain(cp_net_output_name(r->net, i)));
        json_object_set_new(output, "shape", json_shape(y->shape.dim, y->shape.rank));
        json_object_set_new(output, "least", json_number(d.least));
        json_object_set_new(output, "most", json_number(d.most));
        json_object_set_new(output, "mean", json_number(d.mean));
        json_array_append_new(outputs, output);
    }
    json_object_set_new(result, "outputs", outputs);
    json_object_set_new(result, "bytes", json_integer(cp_plan_work_bytes(r->plan)));
    if (o->top) status = print_top(t, result);
    if (o->json && !status)
        print_json(result, stdout);
    else
        json_decref(result);
    return status;
}

/* --- the whole --- */

#define PROFILE_ROW "%-28s %-18s %-12s %10s %7s %9s\n"

static int print_profile(const runner *r) {
    double total = 0;
    cp_step_info step;
    for (int i = 0; i < cp_plan_steps(r->plan); i++)
        if (!cp_plan_step(r->plan, r->work, i, &step)) total += step.seconds;
    printf(PROFILE_ROW, "layer", "operation", "algorithm", "us", "share", "GFLOP/s");
    for (int i = 0; i < cp_plan_steps(r->plan); i++) {
        char name[PLAIN_TEXT], time[32], share[32], rate[32] = "-";
        const cp_status status = cp_plan_step(r->plan, r->work, i, &step);
        if (status) return fail_library(status);
        snprintf(time, sizeof time, "%.1f", 1e6 * step.seconds);
        snprintf(share, sizeof share, "%.1f %%", total > 0 ? 100 * step.seconds / total : 0);
        if (step.multiply_adds && step.seconds > 0)
            snprintf(rate, sizeof rate, "%.1f", 2e-9 * (double)step.multiply_adds / step.seconds);
        printf(PROFILE_ROW, plain(step.layer, name), step.op, step.algorithm, time, share, rate);
    }
    char bytes[BYTES_TEXT];
    printf("%.3f ms, %s of memory\n", 1e3 * total, byte_text(cp_plan_work_bytes(r->plan), bytes));
    return STATUS_OK;
}

static int run_model(task *t) {
    runner *r = &t->runner;
    const int runs = t->options->profile ? 3 : 1; /* the first ones are cold */
    cp_status status = plan_runner(r, t->inputs);
    cp_work_time(r->work, t->options->profile);
    for (int i = 0; i < runs && !status; i++)
        status = cp_plan_run(r->plan, r->work, t->inputs, cp_net_inputs(r->net), r->outputs, r->n_outputs);
    return status ? fail_library(status) : STATUS_OK;
}

int cmd_run(int argc, char **argv) {
    options o = {.std = {1, 1, 1}, .max_memory = default_memory()};
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .args_doc = "MODEL",
        .doc =
            "Runs a network from an ONNX file, or from a model that 'convpool train' made.\v"
            "Inputs without NAME= are the model's, in its order. A picture is scaled to the size that the input has, "
            "its values are 0..1; --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 is what many networks learned "
            "with. Without -o, --output-dir and --top it prints what each output is.",
        .children = args_computing};
    args_parse(&parser, "run", argc, argv, &o);
    task *t = allocate(1, sizeof *t);
    t->options = &o;
    int status = load_given(t);
    if (!status) status = open_model(t);
    if (!status) status = place_inputs(t);
    if (!status) status = run_model(t);
    if (!status) status = write_outputs(t);
    if (!status) status = print_outputs(t);
    if (!status && o.profile) status = print_profile(&t->runner);
    for (int i = 0; i < t->n_given; i++) {
        cp_array_free(&t->given[i].array);
        free(t->given[i].picture.pixels);
    }
    for (int i = 0; i < MOST; i++) free(t->inputs[i].data);
    close_runner(&t->runner);
    free(t);
    return status;
}
