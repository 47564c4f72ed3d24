/* Nets (what to compute) and plans of them (how, here): builder, gradients, text form, memory by lifetime, execution.
 */
#ifndef CP_GRAPH_H
#define CP_GRAPH_H

#include "op/op.h"

/* --- net.c --- */

typedef enum cp_value_kind { CP_VALUE_INPUT, CP_VALUE_CONSTANT, CP_VALUE_PARAMETER, CP_VALUE_COMPUTED } cp_value_kind;

typedef struct cp_value {
    cp_value_kind kind;
    cp_type type;
    cp_shape shape; /* dim[0] = 0: any batch */
    char *name;     /* of inputs, constants, parameters */
    /* Of constants and parameters: their numbers, dense and owned. NULL until somebody wants them so (cp_net_numbers):
     * until then they are those of `lent`, or zeros where that has no data either. */
    void *data;
    cp_tensor lent; /* memory that outlives the net, in any order: its elements follow one another as the value's do */
    int32_t node;   /* that computes it */
    int32_t output; /* which of its outputs */
} cp_value;

typedef struct cp_net_node {
    const cp_op *op;
    cp_attributes attributes;
    char *name;   /* "conv1" */
    char *detail; /* "32 5x5 same relu" */
    int inputs;
    cp_node in[CP_MAX_INPUTS], out[CP_MAX_OUTPUTS];
} cp_net_node;

typedef struct cp_named {
    char *name, *text; /* text: of a note */
    cp_node value;     /* of an output */
} cp_named;

/* What must live as long as the net: memory that it was lent lies there. */
typedef struct cp_kept {
    void *object;
    void (*release)(void *object);
} cp_kept;

struct cp_net {
    cp_value *values; /* [1..n_values]; cp_node is the index */
    cp_net_node *nodes;
    cp_node *inputs, *parameters;
    cp_named *outputs, *notes;
    cp_kept *kept;
    int64_t n_kept, kept_capacity;
    int64_t n_values, n_nodes, n_inputs, n_parameters, n_outputs, n_notes;
    int64_t values_capacity, nodes_capacity, inputs_capacity, parameters_capacity, outputs_capacity, notes_capacity;
    char *next_name;
    cp_status status; /* the first failure */
    char text[512];   /* its sentence */
};

/* Adds a node and gives its first output (the others are nodes[..].out); 0 on failure, which the net keeps. */
cp_node cp_net_add_node(cp_net *net, const cp_op *op, const cp_attributes *attributes, const cp_node *in, int inputs);
cp_node cp_net_add_parameter(cp_net *net, const char *name, cp_shape shape);
/* Keeps a failure in the net (the first one); gives 0. */
cp_node cp_net_fail(cp_net *net, cp_status status);
const cp_value *cp_net_value(const cp_net *net, cp_node value); /* NULL for 0 or a number out of range */
/* The numbers of a constant or parameter, dense, in the net's own memory from now on. Threads may share the net. */
cp_status cp_net_numbers(const cp_net *net, cp_node value, void **numbers);
/* Where they lie, if that is not the net's own memory; else NULL. */
const cp_tensor *cp_net_lent(const cp_net *net, cp_node value);
/* A parameter without numbers yet gets those of a tensor of its type, with as many elements in the same order, which
 * lies in the memory of something that the net keeps. */
void cp_net_lend(cp_net *net, cp_node parameter, const cp_tensor *tensor);
/* A constant whose numbers stay where they are, in memory that outlives the net: no halves. */
cp_node cp_net_lent_constant(cp_net *net, const char *name, const cp_tensor *tensor);
/* release(object) is called when the net is freed; at once where this fails. */
cp_status cp_net_keep(cp_net *net, void *object, void (*release)(void *object));
/* The failure that the net keeps, set as this thread's error again; CP_E_ARG where net is NULL. */
cp_status cp_net_check(const cp_net *net);
/* infer for a node, with the given shapes of all values (NULL: the net's own). */
cp_status cp_net_infer(const cp_net *net, const cp_net_node *node, const cp_shape *shapes, cp_problem *problem);

/* --- plan.c, memory.c, exec.c --- */

/* Where the memory of a value is while a plan runs. */
typedef enum cp_place {
    CP_PLACE_NONE,
    CP_PLACE_ARENA,
    CP_PLACE_INPUT,
    CP_PLACE_OUTPUT,
    CP_PLACE_FIXED,
    CP_PLACE_VARIABLE
} cp_place;

typedef struct cp_slot {
    cp_place place;
    int64_t offset; /* ARENA: in the work's memory; INPUT, OUTPUT, VARIABLE: its number */
    void *data;     /* FIXED: constants and what was computed from them; NULL: the numbers of `value`, not yet needed */
    cp_node value;
    bool owned; /* data is the plan's; while planning it may still be the net's */
    int64_t bytes;
    int32_t first, last; /* steps that write and read it: its life */
} cp_slot;

typedef struct cp_step {
    const cp_algo *algo;
    const char *op;
    char *layer;
    bool packs; /* runs algo->pack, not algo->run */
    bool small; /* not worth waking the other threads */
    cp_problem problem;
    cp_prepared prepared;
    int32_t in[CP_MAX_INPUTS], out[CP_MAX_OUTPUTS]; /* slots; 0: none */
    int32_t scratch;                                /* a slot */
} cp_step;

/* An input or output as the caller's tensor must be. */
typedef struct cp_edge {
    cp_tensor tensor; /* data NULL */
    /* The bytes that it covers begin `first` bytes from its data; `bytes` is 0 where there are gaps between them. */
    int64_t first, bytes;
    int32_t slot;
    char *name;
} cp_edge;

struct cp_plan {
    cp_ctx ctx;     /* a copy; the threads are the context's */
    cp_slot *slots; /* [1..n_slots] */
    cp_step *steps;
    cp_edge *inputs, *outputs;
    int64_t n_slots, n_steps, slots_capacity, steps_capacity;
    int n_inputs, n_outputs, n_variables;
    int64_t arena, packed; /* bytes */
};

struct cp_work {
    const cp_plan *plan;
    cp_ctx ctx; /* a copy: the plan may be freed first */
    char *arena;
    void **pointer;  /* of each slot */
    double *seconds; /* of each step in the last timed run */
    bool timed;
    void **variables; /* a trainer's parameters, in the order of the net's */
    uint64_t seed, step;
};

/* A plan whose parameters are not constants but given to each work (work->variables). in_panels[i] tells for parameter
 * i whether it is stored in panels; gradients: parameter i's gradient is output gradients[i] (or -1) and is then stored
 * like it. */
typedef struct cp_variables {
    const int *gradients;
    bool *in_panels;
} cp_variables;
cp_status cp_net_plan_variables(cp_plan **plan, cp_ctx *ctx, const cp_net *net, const cp_plan_options *options,
                                const cp_variables *variables);
/* Bytes of a parameter as such a plan stores it, and its panels. */
cp_panels cp_parameter_panels(const cp_net *net, const cp_kernels *kernels, int parameter);

/* fuse.c: convolutions and dense layers take over what they alone are read by: a ReLU, which changes no bit, and (asked
 * to) batch normalisation. The nodes that they replace stay, and nobody reads them. */
cp_status cp_net_fuse(cp_net *net, bool batch_norm);
/* net.c: lets go of nodes that lead to no output, and of the numbers of constants that nobody reads. */
void cp_net_drop_dead(cp_net *net);

/* named.c: the layers of a small net that has a name, but the last; NULL for no such name. */
const char *cp_named_net(const char *name);

/* memory.c: gives every ARENA slot an offset so that slots alive at the same time do not overlap; the bytes in all. */
cp_status cp_memory_layout(cp_slot *slots, int64_t n_slots, int64_t *bytes);
/* exec.c: runs the phases of one step; CP_E_ARG where it found a fault in its inputs. */
cp_status cp_exec_step(const cp_ctx *ctx, const cp_step *step, const cp_call *call);

#endif
