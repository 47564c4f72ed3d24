/* The choice of an algorithm, from the problem alone: neither timing nor threads nor memory has a say, so that the
 * results are the same bits everywhere on one instruction set. */
#include "plan/plan.h"

#include <string.h>

static const char *refusal(const cp_algo *algo, const cp_problem *problem) {
    return algo->refuse ? algo->refuse(problem) : NULL;
}

static double cost(const cp_algo *algo, const cp_problem *problem) {
    return algo->cost ? algo->cost(problem) : 0;
}

/* "convpool: conv 1x28x28x1 -> 1x28x28x32: direct (depthwise: groups differ from channels)" */
static void tell(const char *op, const cp_algo *const *algos, const cp_problem *problem, const cp_algo *chosen) {
    char in[CP_SHAPE_TEXT], out[CP_SHAPE_TEXT];
    cp_tell("convpool: %s %s -> %s: %s", op, cp_shape_text(problem->in[0], in), cp_shape_text(problem->out[0], out),
            chosen->name);
    const char *separator = " (";
    for (; *algos; algos++) {
        if (*algos == chosen) continue;
        const char *reason = refusal(*algos, problem);
        cp_tell("%s%s: %s", separator, (*algos)->name, reason ? reason : "not the cheapest");
        separator = "; ";
    }
    cp_tell("%s\n", *separator == ';' ? ")" : "");
}

const cp_algo *cp_choose(const char *op, const cp_algo *const *algos, const cp_problem *problem) {
    const char *wanted = cp_setting("CONVPOOL_ALGORITHM"), *verbose = cp_setting("CONVPOOL_VERBOSE");
    const cp_algo *best = NULL;
    for (const cp_algo *const *algo = algos; *algo; algo++) {
        if (refusal(*algo, problem)) continue;
        if (wanted && strcmp((*algo)->name, wanted) == 0) {
            best = *algo;
            break;
        }
        if (!best || cost(*algo, problem) < cost(best, problem)) best = *algo;
    }
    if (verbose && strcmp(verbose, "1") == 0) tell(op, algos, problem, best);
    return best;
}

cp_tensor cp_call_in(const cp_call *call, int i) {
    return cp_view(call->in[i], call->problem->in_type[i], call->problem->in[i]);
}

cp_tensor cp_call_out(const cp_call *call, int i) {
    return cp_view(call->out[i], call->problem->out_type[i], call->problem->out[i]);
}
