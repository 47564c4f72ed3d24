/* The operator table: what each operation is called, which shapes it takes and gives, its algorithms, its gradient. */
#ifndef CP_OP_H
#define CP_OP_H

#include "plan/plan.h"

/* What distinguishes two operations of one kind. Gradients use the descriptor of the operation that they belong to, and `size`: the
 * spatial axes of its input. */
typedef struct cp_attributes {
    cp_conv conv;
    cp_pool pool;
    int64_t size[CP_MAX_AXES];
    cp_shape shape; /* reshape: dim[0] stays the batch */
    cp_activation activation;
    float rate;
    uint32_t layer;
} cp_attributes;

typedef struct cp_op cp_op;

/* Handed to a backward function: the operation's values, the gradients of its outputs (0: none), whether its inputs want
 * one; it leaves the gradients of the inputs in din. node() adds a node and gives its first output. */
typedef struct cp_backward {
    const cp_attributes *attributes;
    const cp_node *in, *out, *dout;
    const bool *wanted;
    cp_node din[CP_MAX_INPUTS];
    void *net;
    cp_node (*node)(void *net, const char *op, const cp_attributes *attributes, const cp_node *in, int inputs);
    cp_shape (*shape)(void *net, cp_node value);
} cp_backward;

struct cp_op {
    const char *name; /* "conv", as in files and on the command line */
    int min_inputs, max_inputs, outputs;
    /* From in[], in_type[], inputs and the attributes to the rest of the problem: shapes and types of the outputs, geometry.
     * All checks are made here. A batch of 0 is any batch. */
    cp_status (*infer)(cp_problem *problem, const cp_attributes *attributes);
    const cp_algo *const *algos; /* NULL: the output is the input's memory under another shape */
    bool (*is_view)(const cp_problem *problem); /* NULL: as algos says; dropout is a view outside training */
    void (*backward)(cp_backward *); /* NULL: no gradient */
    /* Writes the attributes as words ("5x5 same relu"), as cp_net_parse reads them; NULL: none. */
    void (*words)(const cp_attributes *attributes, char *text, size_t size);
};

/* The table; NULL where there is none of that name. */
const cp_op *cp_op_find(const char *name);
const cp_op *cp_op_at(int i); /* NULL behind the last */

#endif
