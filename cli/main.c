/* The table of commands. */
#include "cli.h"

#include <errno.h>
#include <string.h>

static const struct command {
    const char *name, *what;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"train", "train a network on pictures of digits, or on your own", cmd_train},
    {"eval", "measure how well a model classifies", cmd_eval},
    {"predict", "classify picture files", cmd_predict},
    {"summary", "the layers of a model: shapes, parameters, cost, receptive field", cmd_summary},
    {"data", "look at one picture of the data, or write it as a PNG file", cmd_data},
    {"op", "run one operation, or its gradients, on NumPy files", cmd_op},
    {"explain", "show the numbers behind each output of an operation", cmd_explain},
    {"bench", "time operations, networks or training", cmd_bench},
    {"convert", "store a model's weights in another type, or write it as an ONNX file", cmd_convert},
    {"run", "run a network from an ONNX file on arrays or pictures", cmd_run},
    {"onnx-test", "run ONNX's test folders", cmd_onnx_test},
    {"operators", "the operations: their algorithms, which have gradients", cmd_operators},
    {"info", "this CPU, the instruction sets, threads, the build", cmd_info},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *file) {
    fprintf(file, "Usage: convpool COMMAND [OPTION...]\nConvolution and pooling, from the definition to a trained "
                  "network.\n\n");
    for (int i = 0; i < COMMANDS; i++) fprintf(file, "  %-10s %s\n", commands[i].name, commands[i].what);
    fprintf(file, "\n'convpool COMMAND --help' tells the options of a command, 'convpool --version' the version.\n"
                  "Exit status: 0 done, 1 a wrong option, 2 bad input, 3 over a limit, 4 cannot read or write,\n"
                  "130 or 143 interrupted.\n");
}

/* How many letters must be added, removed or changed to turn a into b (Levenshtein); words are short. */
static int distance(const char *a, const char *b) {
    int row[32];
    const int length = (int)strlen(b);
    for (int j = 0; j <= length; j++) row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= length; j++) {
            const int changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            const int shorter = (row[j - 1] < row[j] ? row[j - 1] : row[j]) + 1;
            row[j] = changed < shorter ? changed : shorter;
        }
    }
    return row[length];
}

static int unknown_command(const char *name) {
    char nearest[256] = "";
    for (int i = 0; i < COMMANDS; i++) {
        const bool begins = *name && !strncmp(name, commands[i].name, strlen(name));
        if (!begins && distance(name, commands[i].name) > 2) continue;
        const size_t used = strlen(nearest);
        snprintf(nearest + used, sizeof nearest - used, "%s'%s'", used ? ", " : "; near: ", commands[i].name);
    }
    fail(STATUS_USAGE, "no command '%s'%s", name, nearest);
    fputs("Try 'convpool --help'.\n", stderr);
    return STATUS_USAGE;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?")) {
        print_help(stdout);
        return STATUS_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("convpool %s\n", cp_version());
        return STATUS_OK;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name)) return commands[i].run(argc - 1, argv + 1);
    return unknown_command(argv[1]);
}

int main(int argc, char **argv) {
    const int status = run(argc, argv);
    const bool written = !fflush(stdout) && !ferror(stdout);
    if (!written && !status) return fail(STATUS_IO, "standard output: %s", strerror(errno));
    return status;
}
