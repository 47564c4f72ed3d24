/* convpool bench model: how long a network takes to load, to plan and to run, and the memory that it needs. */
#include "args.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

typedef struct options {
    const char *model;
    known_inputs known;
    computing computing;
    double seconds;
    bool json;
} options;

enum { OPTION_SHAPE = 256, OPTION_JSON };

static const struct argp_option option_list[] = {
    {"shape", OPTION_SHAPE, "[NAME=]SIZE", 0, "an input's size, where the model leaves it open: 1x3x224x224", 1},
    {"seconds", 's', "S", 0, "measure at least that long, and ten runs (default 2)", 1},
    {"json", OPTION_JSON, NULL, 0, "print JSON", 1},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[ARGS_MODEL] = &o->model;
        state->child_inputs[ARGS_COMPUTING] = &o->computing;
        return 0;
    case OPTION_SHAPE:
        add_known_shape(&o->known, text);
        return 0;
    case 's':
        o->seconds = arg_real("seconds", text, 0, 3600);
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

typedef struct bench {
    runner runner;
    cp_tensor *inputs;
    int n_inputs;
    cp_status status; /* of the last run */
} bench;

static double run_once(void *user) {
    bench *b = user;
    const double begin = seconds_now();
    b->status =
        cp_plan_run(b->runner.plan, b->runner.work, b->inputs, b->n_inputs, b->runner.outputs, b->runner.n_outputs);
    return b->status ? -1 : seconds_now() - begin;
}

/* Numbers between 0 and 1; zeros where a model takes whole numbers. */
static void fill_inputs(bench *b) {
    const cp_net *net = b->runner.net;
    b->n_inputs = cp_net_inputs(net);
    b->inputs = allocate((size_t)b->n_inputs, sizeof *b->inputs);
    for (int i = 0; i < b->n_inputs; i++) {
        const cp_node node = cp_net_input_node(net, i);
        const cp_type type = cp_net_type(net, node);
        cp_shape shape = cp_net_shape(net, node);
        if (shape.rank && !shape.dim[0]) shape.dim[0] = 1;
        const int64_t count = cp_shape_count(shape);
        b->inputs[i] = cp_view(allocate((size_t)count, (size_t)cp_type_size(type)), type, shape);
        for (int64_t k = 0; k < count && type == CP_F32; k++)
            ((float *)b->inputs[i].data)[k] = (float)(k * 7919 % 1009) / 1009;
    }
}

static void print_times(const options *o, const bench *b, double load, double plan, const timing *t) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    const int64_t peak = (int64_t)used.ru_maxrss * 1024, work = cp_plan_work_bytes(b->runner.plan);
    char peak_text[BYTES_TEXT], work_text[BYTES_TEXT];
    if (!o->json) {
        printf("load %.1f ms, plan %.1f ms, %d runs: min %.3f, median %.3f, p90 %.3f, p99 %.3f ms\n", 1e3 * load,
               1e3 * plan, t->runs, 1e3 * t->min, 1e3 * t->median, 1e3 * t->p90, 1e3 * t->p99);
        printf("%s for the values, %s of memory in all at most\n", byte_text(work, work_text),
               byte_text(peak, peak_text));
        return;
    }
    json_t *result = json_object();
    json_object_set_new(result, "model", json_plain(o->model));
    json_object_set_new(result, "isa", json_string(cp_ctx_isa(b->runner.ctx)));
    json_object_set_new(result, "threads", json_integer(cp_ctx_threads(b->runner.ctx)));
    json_object_set_new(result, "load_ms", json_number(1e3 * load));
    json_object_set_new(result, "plan_ms", json_number(1e3 * plan));
    json_object_set_new(result, "runs", json_integer(t->runs));
    json_object_set_new(result, "min_ms", json_number(1e3 * t->min));
    json_object_set_new(result, "median_ms", json_number(1e3 * t->median));
    json_object_set_new(result, "p90_ms", json_number(1e3 * t->p90));
    json_object_set_new(result, "p99_ms", json_number(1e3 * t->p99));
    json_object_set_new(result, "work_bytes", json_integer(work));
    json_object_set_new(result, "peak_bytes", json_integer(peak));
    print_json(result, stdout);
}

int bench_model(int argc, char **argv) {
    options o = {.seconds = 2};
    const struct argp parser = {.options = option_list,
                                .parser = parse,
                                .args_doc = "MODEL",
                                .doc =
                                    "Times a network from an ONNX file, or from a model that 'convpool train' made, on "
                                    "numbers between 0 and 1.",
                                .children = args_computing};
    args_parse(&parser, "bench model", argc, argv, &o);
    bench b = {0};
    const cp_options context = {.threads = o.computing.threads ? o.computing.threads : default_threads(),
                                .math = o.computing.math};
    const double begin = seconds_now();
    cp_status status = open_runner(&b.runner, o.model, &o.known.options, &context);
    const double loaded = seconds_now();
    if (!status) fill_inputs(&b);
    const double filled = seconds_now();
    if (!status) status = plan_runner(&b.runner, b.inputs);
    const double planned = seconds_now();
    int result = status ? fail_library(status) : STATUS_OK;
    if (!result) {
        const timing t = time_runs(run_once, &b, o.seconds);
        if (t.runs)
            print_times(&o, &b, loaded - begin, planned - filled, &t);
        else
            result = fail_library(b.status);
    }
    for (int i = 0; i < b.n_inputs; i++) free(b.inputs[i].data);
    free(b.inputs);
    close_runner(&b.runner);
    return result;
}
