/* bench ops: a case as its file says it, and the operations that there can be cases of. */
#ifndef BENCH_H
#define BENCH_H

#include "cli.h"

typedef enum pass { FORWARD, BACKWARD_INPUT, BACKWARD_WEIGHTS } pass;

typedef struct bench_case {
    char name[PLAIN_TEXT], op[32], reason[512]; /* reason: why it cannot be timed */
    pass pass;
    cp_shape input;
    cp_type type; /* of what is pooled, or what is cast to */
    int axes;     /* spatial, of an input N,space,C */
    int64_t filters;
    cp_conv conv;  /* also the window of a pooling */
    cp_shape size; /* of the result: of its space, or of expand all of it */
    int axis;      /* default: the last */
    bool training;
    cp_depth_order order;
    cp_interpolation interpolation;
} bench_case;

typedef struct bench_net {
    const bench_case *c;
    cp_net *net;
    cp_node w;        /* what backward_weights is the gradient by; 0: there is nothing */
    cp_type out_type; /* of the result */
} bench_net;

/* An operation that can be timed. */
typedef struct bench_op {
    const char *name; /* as the operator table has it */
    cp_node (*build)(bench_net *b, cp_node x);
    enum {
        SPACE = 1,
        FILTERS = 2,
        KERNEL = 4,
        SIZE = 8,
        POSITIVE = 16,
        LOSS = 32,
        BYTES = 64
    } needs; /* POSITIVE: numbers */
} bench_op;
/* NULL: there is none of that name. */
const bench_op *bench_op_find(const char *name);

/* Numbers from -1 to 1 (positive: 0 to 1) that do not matter but are no zeros and no denormals; freed by free. */
float *bench_numbers(int64_t count, bool positive);

#endif
