/* convpool bench train: times training steps of the article's network or another, and where the time goes. */
#include "args.h"

#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *net;
    int64_t batch;
    computing computing;
    double seconds;
    bool json;
} options;

enum { OPTION_NET = 256, OPTION_BATCH, OPTION_SECONDS, OPTION_JSON };

static const struct argp_option option_list[] = {
    {"net", OPTION_NET, "TEXT", 0, "the layers, as of train (default: the article's)", 1},
    {"batch", OPTION_BATCH, "N", 0, "pictures in a step (default 100)", 1},
    {"seconds", OPTION_SECONDS, "S", 0, "measure at least that long, and ten steps (default 3)", 1},
    {"json", OPTION_JSON, NULL, 0, "print JSON", 1},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[ARGS_COMPUTING] = &o->computing;
        return 0;
    case OPTION_NET:
        o->net = text;
        return 0;
    case OPTION_BATCH:
        o->batch = arg_int("batch", text, 1, 100000);
        return 0;
    case OPTION_SECONDS:
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
    cp_ctx *ctx;
    cp_net *net;
    cp_data *data;
    cp_trainer *trainer;
    cp_tensor x, labels;
} bench;

static double run_once(void *user) {
    bench *b = user;
    double loss;
    const double begin = seconds_now();
    if (cp_trainer_step(b->trainer, &b->x, &b->labels, &loss, NULL)) return -1;
    return seconds_now() - begin;
}

static int prepare(bench *b, const options *o) {
    int status = new_context(&b->ctx, o->computing.threads, o->computing.math);
    if (!status) status = build_net(&b->net, cp_shape_nhwc(0, 28, 28, 1), o->net);
    if (status) return status;
    cp_status made = cp_net_initialize(b->net, CP_GLOROT, 1);
    if (!made) made = cp_data_digits(&b->data, o->batch, 1);
    if (!made) made = cp_trainer_new(&b->trainer, b->net, b->ctx, &(cp_train){.seed = 1});
    if (made) return fail_library(made);
    float *images = allocate((size_t)o->batch * 28 * 28, sizeof *images);
    int32_t *labels = allocate((size_t)o->batch, sizeof *labels);
    cp_data_batch(b->data, NULL, 0, o->batch, images, labels);
    b->x = cp_nhwc(images, o->batch, 28, 28, 1);
    b->labels = cp_view(labels, CP_I32, cp_shape_of(1, &o->batch));
    return STATUS_OK;
}

/* --- where the time goes --- */

#define MAX_STEPS 256
#define TIMED_STEPS 20

typedef struct share {
    const char *layer, *pass, *algorithm;
    double seconds; /* of one training step */
} share;

static const char *pass_of(const char *op) {
    if (!strcmp(op, "pack")) return "pack";
    if (strstr(op, "input-gradient")) return "backward input";
    if (strstr(op, "weight-gradient")) return "backward weights";
    if (strstr(op, "bias-gradient")) return "backward bias";
    return strstr(op, "gradient") ? "backward" : "forward";
}

/* Adds the times of the last step to the shares; their number, or -1. */
static int add_shares(const bench *b, share *shares, int n) {
    const cp_plan *plan = cp_trainer_plan(b->trainer);
    for (int i = 0; i < cp_plan_steps(plan) && i < MAX_STEPS; i++) {
        cp_step_info step;
        if (cp_plan_step(plan, cp_trainer_work(b->trainer), i, &step)) return -1;
        if (i == n) shares[n++] = (share){step.layer, pass_of(step.op), step.algorithm, 0};
        shares[i].seconds += step.seconds / TIMED_STEPS;
    }
    return n;
}

static int measure_shares(bench *b, share *shares) {
    int n = 0;
    double update = 0;
    cp_work_time(cp_trainer_work(b->trainer), true);
    for (int i = 0; i < TIMED_STEPS; i++) {
        if (run_once(b) < 0 || (n = add_shares(b, shares, n)) < 0) return -1;
        update += cp_trainer_update_seconds(b->trainer) / TIMED_STEPS;
    }
    shares[n++] = (share){"all", "update", "optimizer", update};
    return n;
}

static void print_table(const bench *b, timing time, const share *shares, int n) {
    double sum = 0;
    int width = 5; /* of the longest name */
    for (int i = 0; i < n; i++) {
        sum += shares[i].seconds;
        if ((int)strlen(shares[i].layer) > width) width = (int)strlen(shares[i].layer);
    }
    printf("training step: min %.3f ms, median %.3f ms (%s, %d thread%s)\n\n", 1e3 * time.min, 1e3 * time.median,
           cp_ctx_isa(b->ctx), cp_ctx_threads(b->ctx), cp_ctx_threads(b->ctx) > 1 ? "s" : "");
    printf("%-*s %-18s %-18s %9s %7s\n", width, "layer", "pass", "algorithm", "ms", "share");
    for (int i = 0; i < n; i++)
        printf("%-*s %-18s %-18s %9.3f %6.1f%%\n", width, shares[i].layer, shares[i].pass, shares[i].algorithm,
               1e3 * shares[i].seconds, 100 * shares[i].seconds / sum);
}

static void print_json_table(const bench *b, const options *o, timing time, const share *shares, int n) {
    double sum = 0;
    json_t *result = json_object(), *list = json_array();
    for (int i = 0; i < n; i++) sum += shares[i].seconds;
    for (int i = 0; i < n; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "layer", json_plain(shares[i].layer));
        json_object_set_new(row, "pass", json_plain(shares[i].pass));
        json_object_set_new(row, "algorithm", json_plain(shares[i].algorithm));
        json_object_set_new(row, "ms", json_number(1e3 * shares[i].seconds));
        json_object_set_new(row, "share", json_number(shares[i].seconds / sum));
        json_array_append_new(list, row);
    }
    json_object_set_new(result, "batch", json_integer(o->batch));
    json_object_set_new(result, "isa", json_plain(cp_ctx_isa(b->ctx)));
    json_object_set_new(result, "threads", json_integer(cp_ctx_threads(b->ctx)));
    json_object_set_new(result, "min_ms", json_number(1e3 * time.min));
    json_object_set_new(result, "median_ms", json_number(1e3 * time.median));
    json_object_set_new(result, "layers", list);
    print_json(result, stdout);
}

static int measure(bench *b, const options *o) {
    const timing time = time_runs(run_once, b, o->seconds);
    share shares[MAX_STEPS + 1];
    const int n = time.runs ? measure_shares(b, shares) : -1;
    if (n < 0) return fail(STATUS_INPUT, "%s", cp_error());
    if (o->json) {
        print_json_table(b, o, time, shares, n);
    } else {
        print_table(b, time, shares, n);
    }
    return STATUS_OK;
}

int bench_train(int argc, char **argv) {
    options o = {.net = ARTICLE_NET, .batch = 100, .seconds = 3};
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .doc = "Times training steps of the article's network or another, and each layer's part in them.",
        .children = args_computing};
    args_parse(&parser, "bench train", argc, argv, &o);
    bench b = {0};
    int status = prepare(&b, &o);
    if (!status) status = measure(&b, &o);
    free(b.x.data);
    free(b.labels.data);
    cp_trainer_free(b.trainer);
    cp_data_free(b.data);
    cp_net_free(b.net);
    cp_ctx_free(b.ctx);
    return status;
}
