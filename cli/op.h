/* convpool op: what its files share. op_options.c reads the options, op_table.c knows the operations, cmd_op.c reads
 * the files, runs and writes. */
#ifndef OP_H
#define OP_H

#include "args.h"

/* What files may hold, and what is written. */
typedef enum op_input {
    IN_X,
    IN_SECOND,
    IN_WEIGHTS,
    IN_BIAS,
    IN_MEAN,
    IN_VARIANCE,
    IN_TARGET,
    IN_OFFSET,
    IN_MASK,
    IN_POSITIONS,
    IN_ROIS,
    IN_GRAD,
    INPUTS
} op_input;
typedef enum op_result { OUT_Y, OUT_POSITIONS, OUT_DX, OUT_DW, OUT_DB, OUT_DOFFSET, OUT_DMASK, RESULTS } op_result;

typedef struct op_options {
    const struct operation *operation;
    const char *in[INPUTS], *out[RESULTS]; /* paths */
    int n_inputs;                          /* of --input */
    computing computing;
    axes kernel, stride, dilation, output_padding, output_size, size;
    reals scale;
    int interpolation, coordinates, rounding, pad_values, order, reduction; /* by value of their enums */
    float constant, alpha, beta, epsilon, base, exponent;
    int64_t block, groups, offset_groups, channels, begin, count, divide_by;
    padding padding;
    cp_activation activation;
    int reduced[CP_MAX_RANK], n_reduced; /* axes */
    int64_t levels[64], sampling;
    int n_levels;
    float spatial_scale;
    bool output_half_pixel, max, max_of_corners;
    int axis;
    bool keep, ceil, overlapping, training, channels_first, real64;
    cp_divisor divisor;
    cp_fractional fractional;
} op_options;

/* Reads the command line; what the operation needs is there then, and nothing that it does not take. */
void op_parse(op_options *o, int argc, char **argv);

typedef enum file_order { ORDER_PLAIN, ORDER_CHANNELS, ORDER_FILTERS } file_order;

/* An array of a file, or a result. */
typedef struct value {
    const char *name;
    file_order order; /* how the file lies when the layout is nchw */
    cp_shape stored;  /* the shape in the file */
    cp_tensor view;   /* channels last, of memory in the order of the file */
    void *memory;     /* NULL: there is none */
    cp_node node;
} value;

typedef struct session {
    const op_options *options;
    cp_net *net;
    value in[INPUTS], out[RESULTS];
} session;

typedef struct operation {
    const char *name;
    int (*build)(session *s, cp_node *y); /* 0, or the exit status */
    const char *needs, *takes;            /* names of options, beside those that every operation takes */
    int inputs;                           /* how often --input is given */
    bool labels;                          /* the target are classes */
} operation;
/* The table; NULL behind the last. */
const operation *op_at(int i);

#endif
