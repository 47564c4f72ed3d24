/* convpool predict: classifies picture files. */
#include "args.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_SIZE 64 /* pictures up to this many pixels wide and high are shown */

typedef struct options {
    const char *model;
    char **images;
    int n_images, top;
    computing computing;
    bool json, show;
} options;

enum { OPTION_TOP = 256, OPTION_JSON, OPTION_SHOW };

static const struct argp_option option_list[] = {
    {"top", OPTION_TOP, "N", 0, "print the N likeliest classes (default 3)", 1},
    {"json", OPTION_JSON, NULL, 0, "print a line of JSON for each picture", 1},
    {"show", OPTION_SHOW, NULL, 0, "show the picture as the model sees it, also where there is no terminal", 1},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[ARGS_COMPUTING] = &o->computing;
        return 0;
    case OPTION_TOP:
        o->top = (int)arg_int("top", text, 1, 1000000);
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    case OPTION_SHOW:
        o->show = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->model) return ARGP_ERR_UNKNOWN; /* the rest comes at once */
        o->model = text;
        return 0;
    case ARGP_KEY_ARGS:
        o->images = state->argv + state->next;
        o->n_images = state->argc - state->next;
        return 0;
    case ARGP_KEY_END:
        if (!o->model) usage("MODEL is missing");
        if (!o->n_images) usage("IMAGE is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A model that is ready for one picture at a time. */
typedef struct classifier {
    cp_net *net;
    cp_ctx *ctx;
    cp_plan *plan;
    cp_work *work;
    cp_shape input; /* [1,H,W,C] */
    int classes;
    float *picture, *outputs, *probabilities; /* outputs: of the model itself, which may end without softmax */
} classifier;

/* The picture that the model takes and the probabilities that it gives, or an error. */
static int plan_model(classifier *c, const char *path) {
    if (cp_net_inputs(c->net) != 1 || cp_net_outputs(c->net) != 1)
        return fail(STATUS_INPUT, "%s: has %d inputs and %d outputs, must have one of each", path,
                    cp_net_inputs(c->net), cp_net_outputs(c->net));
    c->input = cp_net_shape(c->net, cp_net_input_node(c->net, 0));
    const cp_node out = cp_net_output_node(c->net, 0);
    const cp_shape classes = cp_net_shape(c->net, out);
    if (c->input.rank != 4 || classes.rank != 2)
        return fail(STATUS_INPUT, "%s: does not take a picture to classes", path);
    c->input.dim[0] = 1;
    c->classes = (int)classes.dim[1];

    cp_layer last;
    cp_status status = cp_net_layer(c->net, cp_net_layers(c->net) - 1, &last);
    const bool ends_in_softmax = !status && !strcmp(last.op, "softmax");
    cp_net_output(c->net, ends_in_softmax ? out : cp_net_softmax(c->net, out), "probabilities");
    if (!status) status = cp_net_plan(&c->plan, c->ctx, c->net, &(cp_plan_options){.batch = 1});
    if (!status) status = cp_work_new(&c->work, c->plan);
    if (status) return fail_library(status);
    c->picture = allocate((size_t)cp_shape_count(c->input), sizeof *c->picture);
    c->outputs = allocate((size_t)c->classes, sizeof *c->outputs);
    c->probabilities = allocate((size_t)c->classes, sizeof *c->probabilities);
    return STATUS_OK;
}

static int open_classifier(classifier *c, const options *o) {
    int status = load_net(&c->net, o->model);
    if (!status) status = new_context(&c->ctx, o->computing.threads, o->computing.math);
    return status ? status : plan_model(c, o->model);
}

static void close_classifier(classifier *c) {
    free(c->picture);
    free(c->outputs);
    free(c->probabilities);
    cp_work_free(c->work);
    cp_plan_free(c->plan);
    cp_ctx_free(c->ctx);
    cp_net_free(c->net);
}

static int classify(classifier *c) {
    const cp_tensor in = cp_view(c->picture, CP_F32, c->input);
    const cp_tensor out[] = {cp_mat(c->outputs, 1, c->classes), cp_mat(c->probabilities, 1, c->classes)};
    const cp_status status = cp_plan_run(c->plan, c->work, &in, 1, out, 2);
    return status ? fail_library(status) : STATUS_OK;
}

/* The classes, likeliest first; the lower number first where they are equally likely. */
static int *rank(const classifier *c) {
    int *order = allocate((size_t)c->classes, sizeof *order);
    for (int i = 0; i < c->classes; i++) {
        int j = i;
        for (; j > 0 && c->probabilities[order[j - 1]] < c->probabilities[i]; j--) order[j] = order[j - 1];
        order[j] = i;
    }
    return order;
}

static void print_json_classes(const classifier *c, const int *order, int n, const char *path, const char *said) {
    char name[PLAIN_TEXT];
    json_t *result = json_object(), *classes = json_array();
    for (int i = 0; i < n; i++) {
        class_name(c->net, order[i], name);
        json_t *class = json_object();
        json_object_set_new(class, "class", json_plain(name));
        json_object_set_new(class, "probability", json_number(c->probabilities[order[i]]));
        json_array_append_new(classes, class);
    }
    json_object_set_new(result, "file", json_plain(path));
    json_object_set_new(result, "preparation", json_plain(said));
    json_object_set_new(result, "classes", classes);
    print_json(result, stdout);
}

/* The picture as the model sees it, which is what should be looked at when an answer is odd. */
static void show_input(const classifier *c) {
    const int64_t count = cp_shape_count(c->input);
    unsigned char *pixels = allocate((size_t)count, 1);
    for (int64_t i = 0; i < count; i++) pixels[i] = (unsigned char)lrintf(255 * c->picture[i]);
    show_picture(stdout, pixels, (int)c->input.dim[1], (int)c->input.dim[2], (int)c->input.dim[3]);
    free(pixels);
}

static void print_classes(const classifier *c, const int *order, int n, const char *path) {
    char name[PLAIN_TEXT];
    class_name(c->net, order[0], name);
    printf("%s: %s\n", path, name);
    for (int i = 0; i < n; i++) {
        class_name(c->net, order[i], name);
        printf("  %-8s %6.2f %%  ", name, 100 * c->probabilities[order[i]]);
        show_bar(stdout, c->probabilities[order[i]], 40);
        printf("\n");
    }
}

static int predict(classifier *c, const options *o, const char *path) {
    image picture;
    char said[PREPARED_TEXT], file[PLAIN_TEXT];
    int status = image_load(&picture, path);
    if (status) return status;
    status = image_prepare(&picture, path, c->input, model_ink(c->net), c->picture, said);
    free(picture.pixels);
    if (!status) status = classify(c);
    if (status) return status;

    int *order = rank(c);
    const int n = o->top < c->classes ? o->top : c->classes;
    const bool small = c->input.dim[1] <= SHOWN_SIZE && c->input.dim[2] <= SHOWN_SIZE;
    if (o->json) {
        print_json_classes(c, order, n, path, said);
    } else {
        notice("%s: %s", path, said);
        if (small && (o->show || is_terminal(stdout))) show_input(c);
        print_classes(c, order, n, plain(path, file));
    }
    free(order);
    return STATUS_OK;
}

int cmd_predict(int argc, char **argv) {
    options o = {.top = 3};
    const struct argp parser = {.options = option_list,
                                .parser = parse,
                                .args_doc = "MODEL IMAGE...",
                                .doc = "Classifies picture files: PNG, JPEG, PNM; '-' is standard input.\v"
                                       "A picture is made grey or RGB, scaled to the size that the model takes, and "
                                       "inverted where the model learned light strokes on a dark ground, or the other "
                                       "way round; what was done is said on standard error.",
                                .children = args_computing};
    args_parse(&parser, "predict", argc, argv, &o);

    classifier c = {0};
    int status = open_classifier(&c, &o);
    for (int i = 0; !status && i < o.n_images; i++) status = predict(&c, &o, o.images[i]);
    close_classifier(&c);
    return status;
}
