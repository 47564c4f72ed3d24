/* convpool summary: the layers of a model. */
#include "args.h"

#include <string.h>

typedef struct options {
    const char *model, *net;
    cp_shape input;
    known_inputs known;
    bool json, plan;
} options;

enum { OPTION_NET = 256, OPTION_INPUT, OPTION_JSON, OPTION_SHAPE, OPTION_PLAN };

static const struct argp_option option_list[] = {
    {"net", OPTION_NET, "TEXT", 0, "the layers, instead of a model: \"" ARTICLE_NET "\"", 1},
    {"input", OPTION_INPUT, "SIZE", 0, "the picture that these take (default 28x28x1)", 1},
    {"shape", OPTION_SHAPE, "[NAME=]SIZE", 0, "an input's size, where an ONNX file leaves it open: 1x3x224x224", 1},
    {"plan", OPTION_PLAN, NULL, 0, "print the steps that it is run in here: algorithms, and the memory in all", 2},
    {"json", OPTION_JSON, NULL, 0, "print JSON", 2},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case OPTION_NET:
        o->net = text;
        return 0;
    case OPTION_INPUT:
        o->input = arg_picture("input", text);
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    case OPTION_SHAPE:
        add_known_shape(&o->known, text);
        return 0;
    case OPTION_PLAN:
        o->plan = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->model) usage("'%s' is one MODEL too many", text);
        o->model = text;
        return 0;
    case ARGP_KEY_END:
        if (o->model && o->net) usage("MODEL and --net cannot be given together");
        if (o->model && o->input.rank) usage("--input is for --net: a model knows its input");
        if (!o->model && !o->net) usage("MODEL is missing");
        if (o->plan && o->json) usage("--plan and --json cannot be given together");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* "5x5", or "-" where a layer has no position in the picture any more. */
static const char *axes_text(const int64_t *value, int n, char text[80]) {
    strcpy(text, n ? "" : "-");
    for (int i = 0; i < n; i++) {
        const size_t used = strlen(text);
        snprintf(text + used, 80 - used, "%s%lld", i ? "x" : "", (long long)value[i]);
    }
    return text;
}

/* The shape behind the batch. */
static cp_shape one_picture(const cp_layer *layer) {
    cp_shape shape = layer->shape;
    if (shape.rank > 1) {
        shape.rank--;
        memmove(shape.dim, shape.dim + 1, (size_t)shape.rank * sizeof *shape.dim);
    }
    return shape;
}

typedef struct totals {
    int64_t parameters, multiply_adds, bytes;
} totals;

static void add(totals *sum, const cp_layer *layer) {
    sum->parameters += layer->parameters;
    sum->multiply_adds += layer->multiply_adds;
    sum->bytes += layer->bytes;
}

#define ROW "%-12s %-24s %-14s %12s %13s %11s %9s %6s\n"

static void print_row(const cp_layer *layer) {
    char name[PLAIN_TEXT], words[2 * PLAIN_TEXT], what[2 * PLAIN_TEXT], shape[CP_SHAPE_TEXT], parameters[GROUPED_TEXT],
        cost[GROUPED_TEXT], bytes[BYTES_TEXT], receptive[80], jump[80];
    snprintf(words, sizeof words, "%s %s", layer->op, layer->detail ? layer->detail : "");
    printf(ROW, plain(layer->name, name), plain(words, what), cp_shape_text(one_picture(layer), shape),
           grouped(layer->parameters, parameters), grouped(layer->multiply_adds, cost), byte_text(layer->bytes, bytes),
           axes_text(layer->receptive, layer->axes, receptive), axes_text(layer->jump, layer->axes, jump));
}

static int print_table(const cp_net *net) {
    totals sum = {0};
    printf(ROW, "layer", "what", "output", "parameters", "multiply-adds", "memory", "receptive", "jump");
    for (int i = 0; i < cp_net_layers(net); i++) {
        cp_layer layer;
        const cp_status status = cp_net_layer(net, i, &layer);
        if (status) return fail_library(status);
        print_row(&layer);
        add(&sum, &layer);
    }
    char parameters[GROUPED_TEXT], cost[GROUPED_TEXT], bytes[BYTES_TEXT], weights[BYTES_TEXT];
    printf("\n%s parameters (%s), %s multiply-adds and %s of memory for one picture\n",
           grouped(sum.parameters, parameters), byte_text(4 * sum.parameters, weights),
           grouped(sum.multiply_adds, cost), byte_text(sum.bytes, bytes));
    return STATUS_OK;
}

static json_t *layer_json(const cp_layer *layer) {
    const cp_shape shape = one_picture(layer);
    json_t *row = json_object();
    json_object_set_new(row, "layer", json_plain(layer->name));
    json_object_set_new(row, "op", json_plain(layer->op));
    json_object_set_new(row, "detail", json_plain(layer->detail ? layer->detail : ""));
    json_object_set_new(row, "output", json_shape(shape.dim, shape.rank));
    json_object_set_new(row, "parameters", json_integer(layer->parameters));
    json_object_set_new(row, "multiply_adds", json_integer(layer->multiply_adds));
    json_object_set_new(row, "bytes", json_integer(layer->bytes));
    json_object_set_new(row, "receptive", json_shape(layer->receptive, layer->axes));
    json_object_set_new(row, "jump", json_shape(layer->jump, layer->axes));
    return row;
}

static int print_json_table(const cp_net *net) {
    totals sum = {0};
    json_t *layers = json_array();
    for (int i = 0; i < cp_net_layers(net); i++) {
        cp_layer layer;
        const cp_status status = cp_net_layer(net, i, &layer);
        if (status) {
            json_decref(layers);
            return fail_library(status);
        }
        json_array_append_new(layers, layer_json(&layer));
        add(&sum, &layer);
    }
    json_t *result = json_object();
    json_object_set_new(result, "layers", layers);
    json_object_set_new(result, "parameters", json_integer(sum.parameters));
    json_object_set_new(result, "multiply_adds", json_integer(sum.multiply_adds));
    json_object_set_new(result, "bytes", json_integer(sum.bytes));
    print_json(result, stdout);
    return STATUS_OK;
}

#define STEP_ROW "%-28s %-20s %-18s %15s %12s\n"

/* The steps of a plan for one picture. CONVPOOL_VERBOSE=1 tells why each algorithm was taken. */
static int print_plan(const cp_net *net) {
    cp_plan *plan;
    cp_step_info step;
    char name[PLAIN_TEXT], cost[GROUPED_TEXT], bytes[BYTES_TEXT], work[BYTES_TEXT], packed[BYTES_TEXT];
    cp_status status = cp_net_plan(&plan, NULL, net, &(cp_plan_options){.fold_batch_norm = true});
    if (status) return fail_library(status);
    printf(STEP_ROW, "layer", "operation", "algorithm", "multiply-adds", "read, written");
    for (int i = 0; i < cp_plan_steps(plan) && !status; i++) {
        status = cp_plan_step(plan, NULL, i, &step);
        if (!status)
            printf(STEP_ROW, plain(step.layer, name), step.op, step.algorithm, grouped(step.multiply_adds, cost),
                   byte_text(step.bytes, bytes));
    }
    printf("\n%d steps, %s for all values, %s of packed weights\n", cp_plan_steps(plan),
           byte_text(cp_plan_work_bytes(plan), work), byte_text(cp_plan_packed_bytes(plan), packed));
    cp_plan_free(plan);
    return status ? fail_library(status) : STATUS_OK;
}

/* A model from a file, with the sizes that were asked for. */
static int load_known(cp_net **net, const options *o) {
    if (!is_onnx(o->model)) return load_net(net, o->model);
    const cp_status status = cp_onnx_load(net, o->model, &o->known.options);
    return status ? fail_library(status) : STATUS_OK;
}

int cmd_summary(int argc, char **argv) {
    options o = {0};
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .args_doc = "MODEL\n--net TEXT",
        .doc = "Prints the layers of a model with what each one gives and costs.\v"
               "receptive: the pixels of the picture that one output depends on; jump: how far apart the pixels of two "
               "neighbouring outputs are. memory: of the output, for one picture. Padded taps are counted.",
        .children = args_common};
    args_parse(&parser, "summary", argc, argv, &o);
    cp_net *net = NULL;
    int status =
        o.model ? load_known(&net, &o) : build_net(&net, o.input.rank ? o.input : cp_shape_nhwc(0, 28, 28, 1), o.net);
    if (!status) status = o.plan ? print_plan(net) : o.json ? print_json_table(net) : print_table(net);
    cp_net_free(net);
    return status;
}
