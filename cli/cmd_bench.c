/* convpool bench: which of the four. */
#include "args.h"

#include <string.h>

int cmd_bench(int argc, char **argv) {
    static const char help[] = "Usage: convpool bench ops|model|train|machine [OPTION...]\n"
                               "Times operations (bench ops), networks in files (bench model) or training steps of the "
                               "article's network (bench train), or measures what the "
                               "machine gives at most (bench machine).\n"
                               "'convpool bench ops --help', 'convpool bench model --help', 'convpool bench train "
                               "--help' and 'convpool bench machine --help' tell more.\n";
    if (argc > 1 && !strcmp(argv[1], "ops")) return bench_ops(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "model")) return bench_model(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "train")) return bench_train(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "machine")) return bench_machine(argc - 1, argv + 1);
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?"))) {
        fputs(help, stdout);
        return STATUS_OK;
    }
    fail(STATUS_USAGE,
         argc > 1 ? "bench = %s: must be ops, model, train or machine" : "bench needs ops, model, train or machine",
         argv[1]);
    fputs("Try 'convpool bench --help'.\n", stderr);
    return STATUS_USAGE;
}
