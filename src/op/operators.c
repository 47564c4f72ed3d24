/* The operator table as the public header shows it. */
#include "op/op.h"

#include <string.h>

static bool is_gradient(const char *name) {
    static const char end[] = "-gradient";
    const size_t length = strlen(name), tail = sizeof end - 1;
    return length > tail && !strcmp(name + length - tail, end);
}

bool cp_operator_at(cp_operator *found, int i) {
    const cp_op *op = cp_op_at(i);
    *found = (cp_operator){0};
    if (!op) return false;
    *found = (cp_operator){.name = op->name,
                           .differentiable = op->backward != NULL,
                           .gradient = is_gradient(op->name),
                           .layer = op->fields != NULL};
    for (int a = 0; op->algos && op->algos[a] && a < CP_MAX_ALGORITHMS; a++) found->algorithms[a] = op->algos[a]->name;
    return true;
}
