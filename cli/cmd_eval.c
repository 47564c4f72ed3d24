/* convpool eval: how well a model classifies pictures. */
#include "args.h"

#include <stdlib.h>

typedef struct options {
    const char *model;
    pictures_source source;
    computing computing;
    bool confusion, json;
} options;

enum { OPTION_DATA = 256, OPTION_COUNT, OPTION_SEED, OPTION_CONFUSION, OPTION_JSON };

static const struct argp_option option_list[] = {
    {"data", OPTION_DATA, "DIR", 0,
     "folder as of train, of which the pictures to validate with are taken where there are such; default: digits drawn "
     "by the library, others than those of training",
     1},
    {"count", OPTION_COUNT, "N", 0, "the drawn digits that validate a training with --count N", 1},
    {"seed", OPTION_SEED, "N", 0, "of that training (default 1)", 1},
    {"confusion", OPTION_CONFUSION, NULL, 0, "print how often each label was answered with each class", 2},
    {"json", OPTION_JSON, NULL, 0, "print JSON", 2},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[ARGS_MODEL] = &o->model;
        state->child_inputs[ARGS_COMPUTING] = &o->computing;
        return 0;
    case OPTION_DATA:
        o->source.folder = text;
        return 0;
    case OPTION_COUNT:
        o->source.count = arg_int("count", text, 1, 100000000);
        return 0;
    case OPTION_SEED:
        o->source.seed = arg_seed(text);
        return 0;
    case OPTION_CONFUSION:
        o->confusion = true;
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static double accuracy(const cp_score *score) {
    return score->count ? (double)score->correct / (double)score->count : 0;
}

static void print_json_score(const cp_score *score, const int64_t *confusion, int classes) {
    json_t *result = json_object();
    json_object_set_new(result, "count", json_integer(score->count));
    json_object_set_new(result, "correct", json_integer(score->correct));
    json_object_set_new(result, "accuracy", json_number(accuracy(score)));
    json_object_set_new(result, "loss", json_number(score->loss));
    if (confusion) {
        json_t *rows = json_array();
        for (int i = 0; i < classes; i++)
            json_array_append_new(rows, json_shape(confusion + (int64_t)i * classes, classes));
        json_object_set_new(result, "confusion", rows);
    }
    print_json(result, stdout);
}

static void print_score(const cp_net *net, const cp_score *score, const int64_t *confusion, int classes) {
    char correct[GROUPED_TEXT], count[GROUPED_TEXT], name[PLAIN_TEXT];
    printf("accuracy %.2f %% (%s of %s), loss %.4f\n", 100 * accuracy(score), grouped(score->correct, correct),
           grouped(score->count, count), score->loss);
    if (!confusion) return;
    printf("\nlabel | answer");
    for (int j = 0; j < classes; j++) {
        class_name(net, j, name);
        printf(j ? " %6.6s" : "\n%14.6s", name);
    }
    for (int i = 0; i < classes; i++) {
        class_name(net, i, name);
        printf("\n%5.5s |", name);
        for (int j = 0; j < classes; j++) printf(" %6lld", (long long)confusion[(int64_t)i * classes + j]);
    }
    printf("\n");
}

int cmd_eval(int argc, char **argv) {
    options o = {.source = PICTURES_DEFAULT};
    const struct argp parser = {.options = option_list,
                                .parser = parse,
                                .args_doc = "MODEL",
                                .doc = "Measures how well a model classifies pictures that it has not seen.",
                                .children = args_computing};
    args_parse(&parser, "eval", argc, argv, &o);

    cp_net *net = NULL;
    cp_ctx *ctx = NULL;
    cp_data *data = NULL;
    int64_t *confusion = NULL;
    int status = load_net(&net, o.model);
    if (!status) source_like_net(&o.source, net);
    if (!status) status = load_validation(&o.source, &data);
    if (!status) status = new_context(&ctx, o.computing.threads, o.computing.math);
    if (!status) {
        const cp_shape answer = cp_net_shape(net, cp_net_output_node(net, 0));
        const int classes = answer.rank == 2 ? (int)answer.dim[1] : 0;
        cp_score score = {0};
        if (o.confusion) confusion = allocate((size_t)classes * (size_t)classes, sizeof *confusion);
        const cp_status measured = cp_net_evaluate(net, ctx, data, &score, confusion);
        if (measured) {
            status = fail_library(measured);
        } else if (o.json) {
            print_json_score(&score, confusion, classes);
        } else {
            print_score(net, &score, confusion, classes);
        }
    }
    free(confusion);
    json_decref(o.source.classes);
    cp_data_free(data);
    cp_ctx_free(ctx);
    cp_net_free(net);
    return status;
}
