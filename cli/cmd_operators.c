/* convpool operators: the operations that nets are made of. */
#include "args.h"

typedef enum form { TEXT, MARKDOWN, JSON, ONNX } form;

enum { OPTION_MARKDOWN = 256, OPTION_JSON, OPTION_ONNX };

static const struct argp_option option_list[] = {
    {"markdown", OPTION_MARKDOWN, NULL, 0, "print a table in Markdown", 1},
    {"json", OPTION_JSON, NULL, 0, "print a line of JSON for each operation", 1},
    {"onnx", OPTION_ONNX, NULL, 0, "print ONNX's operators that are known, and the operations that each becomes", 1},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    (void)text;
    form *chosen = state->input;
    switch (key) {
    case OPTION_MARKDOWN:
    case OPTION_JSON:
    case OPTION_ONNX:
        if (*chosen != TEXT) usage("--markdown, --json and --onnx cannot be given together");
        *chosen = key == OPTION_JSON ? JSON : key == OPTION_ONNX ? ONNX : MARKDOWN;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_object(const cp_operator *op) {
    json_t *algorithms = json_array(), *line = json_object();
    for (int a = 0; op->algorithms[a]; a++) json_array_append_new(algorithms, json_string(op->algorithms[a]));
    json_object_set_new(line, "name", json_string(op->name));
    json_object_set_new(line, "algorithms", algorithms);
    json_object_set_new(line, "differentiable", json_boolean(op->differentiable));
    json_object_set_new(line, "gradient", json_boolean(op->gradient));
    json_object_set_new(line, "layer", json_boolean(op->layer));
    print_json(line, stdout);
}

static void print_operator(const cp_operator *op, form chosen) {
    char algorithms[WORDS_TEXT];
    if (chosen == JSON) {
        print_object(op);
        return;
    }
    const char *gradient = op->differentiable ? "yes" : op->gradient ? "is one" : "no";
    printf(chosen == MARKDOWN ? "| %s | %s | %s | %s |\n" : "%-38s %-44s %-9s %s\n", op->name,
           op->algorithms[0] ? words_text(op->algorithms, algorithms) : "-", gradient, op->layer ? "yes" : "no");
}

int cmd_operators(int argc, char **argv) {
    form chosen = TEXT;
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .doc = "Prints the operations that nets are made of: their algorithms, of which the planner takes the cheapest "
               "that can solve a problem; whether there is a gradient; whether a model's file may have them.",
        .children = args_common};
    args_parse(&parser, "operators", argc, argv, &chosen);
    if (chosen == MARKDOWN) printf("| operation | algorithms | gradient | in models |\n|---|---|---|---|\n");
    if (chosen == TEXT) printf("%-38s %-44s %-9s %s\n", "operation", "algorithms", "gradient", "in models");
    cp_onnx_operator onnx;
    for (int i = 0; chosen == ONNX && cp_onnx_operator_at(&onnx, i); i++)
        printf("%-28s %s\n", onnx.name, *onnx.operations ? onnx.operations : "-");
    if (chosen == ONNX) return STATUS_OK;
    cp_operator op;
    for (int i = 0; cp_operator_at(&op, i); i++) print_operator(&op, chosen);
    return STATUS_OK;
}
