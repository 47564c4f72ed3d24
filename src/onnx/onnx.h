/* Networks in ONNX files: a bounded reader of the wire format, the model as it stands in the file, nets made of it. */
#ifndef CP_ONNX_H
#define CP_ONNX_H

#include "file/file.h"
#include "graph/graph.h"

/* --- wire.c: protocol buffers, without copies ---
 *
 * A message is a row of fields, each a key (field number << 3 | wire type) and a value: a varint, 4 or 8 bytes, or a
 * length and that many bytes, which may be a message again. Source: protobuf.dev, "Encoding". */

/* Bytes in the file. */
typedef struct cp_bytes {
    const uint8_t *data;
    int64_t length;
} cp_bytes;

typedef enum cp_wire_type {
    CP_WIRE_VARINT = 0,
    CP_WIRE_FIXED64 = 1,
    CP_WIRE_BYTES = 2,
    CP_WIRE_FIXED32 = 5
} cp_wire_type;

#define CP_WIRE_DEPTH 100 /* of messages within messages */

typedef struct cp_wire {
    const uint8_t *next, *end;
    const uint8_t *file, *file_end; /* where byte 0 is, for texts; what lies beyond the end was cut off */
    const char *path[8];            /* the names of the outermost messages, for texts */
    int depth;
    bool cut; /* the message goes on behind the end of the file */
} cp_wire;

typedef struct cp_wire_field {
    int64_t number;
    cp_wire_type type;
    uint64_t value; /* VARINT, FIXED64, FIXED32 */
    cp_bytes bytes; /* BYTES */
    bool cut;       /* these are not all of them */
} cp_wire_field;

/* The whole of a file as one message. */
cp_wire cp_wire_of(const void *bytes, int64_t length, const char *name);
/* The next field; false at the end, and after an error, which is in *status: "malformed field at byte 17", "truncated
 * at byte 99 in graph.node", "nesting deeper than 100". */
bool cp_wire_next(cp_wire *wire, cp_wire_field *field, cp_status *status);
/* The message in a field that wire has just given. */
cp_wire cp_wire_within(const cp_wire *wire, const cp_wire_field *field, const char *name);
/* The elements of a repeated number, which may be packed: call with *position 0 first; false behind the last. type:
 * that of one element. */
bool cp_wire_element(const cp_wire_field *field, cp_wire_type type, int64_t *position, uint64_t *value);
/* Whether nothing is left behind `position`: false where the packed numbers are malformed. */
bool cp_wire_all(const cp_wire_field *field, int64_t position);

/* --- model.c: what stands in the file, checked as far as it can be without knowing the operators --- */

/* TensorProto.DataType. */
typedef enum cp_onnx_type {
    CP_ONNX_NONE,
    CP_ONNX_FLOAT,
    CP_ONNX_UINT8,
    CP_ONNX_INT8,
    CP_ONNX_UINT16,
    CP_ONNX_INT16,
    CP_ONNX_INT32,
    CP_ONNX_INT64,
    CP_ONNX_STRING,
    CP_ONNX_BOOL,
    CP_ONNX_FLOAT16,
    CP_ONNX_DOUBLE,
    CP_ONNX_UINT32,
    CP_ONNX_UINT64,
    CP_ONNX_COMPLEX64,
    CP_ONNX_COMPLEX128,
    CP_ONNX_BFLOAT16
} cp_onnx_type;
const char *cp_onnx_type_name(int type); /* "INT64" */

typedef struct cp_onnx_tensor {
    cp_bytes name, message; /* the whole of it: numbers that do not lie in raw_data are read from there */
    int type;
    cp_shape shape;
    int fields; /* how many fields hold numbers: raw_data, float_data, ... */
    int field;  /* the number of that field; 0: none */
    cp_bytes raw;
    bool external;
    cp_bytes location, offset, length; /* of external data, as texts */
} cp_onnx_tensor;

#define CP_ONNX_UNKNOWN -1 /* a dimension that has a name, or none */
/* An input or output of the graph as it is declared. */
typedef struct cp_onnx_declared {
    int32_t value;
    int type;       /* CP_ONNX_NONE: no tensor, or not said */
    cp_shape shape; /* rank -1: not said */
    cp_bytes symbol[CP_MAX_RANK];
} cp_onnx_declared;

typedef struct cp_onnx_node {
    cp_bytes name, op, domain, message;
    int64_t first_input, first_output; /* in the model's list `links` */
    int inputs, outputs;
} cp_onnx_node;

/* Whatever has a name in the graph. */
typedef struct cp_onnx_name {
    cp_bytes text;
    int32_t node;        /* that produces it; -1: none */
    int32_t initializer; /* -1: none */
    int32_t next;        /* in its chain of the table */
} cp_onnx_name;

typedef struct cp_onnx_model {
    int64_t ir_version, opset; /* opset: of the operators of ONNX itself; 0: not said */
    cp_onnx_node *nodes;
    int32_t *links; /* names of inputs and outputs of nodes; 0: none */
    cp_onnx_tensor *initializers;
    cp_onnx_declared *inputs, *outputs;
    cp_onnx_name *names; /* [1..n_names] */
    int32_t *table;
    int64_t n_nodes, n_links, n_initializers, n_inputs, n_outputs, n_names;
    int64_t nodes_capacity, links_capacity, initializers_capacity, inputs_capacity, outputs_capacity, names_capacity;
    int32_t *order; /* numbers of nodes: each after those that produce its inputs */
    cp_bytes file;
} cp_onnx_model;

/* The bytes must stay until cp_onnx_model_free, which is called also after a failure. */
cp_status cp_onnx_model_read(cp_onnx_model *model, const void *bytes, int64_t length);
void cp_onnx_model_free(cp_onnx_model *model);
/* A TensorProto; path: what it is, for texts. */
cp_status cp_onnx_tensor_decode(cp_onnx_tensor *tensor, const cp_wire *outer, const cp_wire_field *field,
                                const char *path);

static inline bool cp_bytes_are(cp_bytes bytes, const char *text) {
    return bytes.length == (int64_t)__builtin_strlen(text) && !__builtin_memcmp(bytes.data, text, (size_t)bytes.length);
}
/* A name from the file, escaped and cut. */
#define CP_NAME_TEXT 400
const char *cp_bytes_text(cp_bytes bytes, char text[CP_NAME_TEXT]);

/* --- what is made of it --- */

/* Which axis of ONNX's each axis of a node is: {0, 2, 3, 1} where ONNX has N,C,H,W and the node N,H,W,C. */
typedef struct cp_order {
    int8_t axis[CP_MAX_RANK];
} cp_order;

#define CP_ONNX_FORMS 3
/* A value of the graph: what is known of it in ONNX's words, and the nodes that have it, each in some order of axes. A
 * constant is at first only numbers; whoever wants it as a node says in which order. */
typedef struct cp_onnx_value {
    int type;
    cp_shape shape; /* in ONNX's order; dim[0] = 0: any batch */
    bool made;
    const void *data; /* of a constant, and of an input that was given: dense in ONNX's order, perhaps not aligned */
    void *owned;      /* data, where it is not the file's */
    bool constant;    /* there is no more to it than data */
    struct {
        cp_node node;
        cp_order order;
    } form[CP_ONNX_FORMS];
    int forms;
} cp_onnx_value;

typedef struct cp_onnx_loader {
    const cp_onnx_model *model;
    const cp_onnx *options;
    const char *path; /* of the file; NULL: there is none */
    cp_net *net;
    cp_onnx_value *values;    /* by name */
    const cp_onnx_node *node; /* at hand */
    int64_t opset, limit;     /* limit: bytes of one value */
    int64_t constants;        /* bytes of all that were made while loading */
    bool any_batch;           /* some input has */
    struct cp_onnx_files *files;
    int n_files;
} cp_onnx_loader;

/* --- constant.c: numbers from the file --- */

/* The type that we compute a type in: halves as F32, which is exact. CP_E_UNSUPPORTED with the name of the type. */
cp_status cp_onnx_compute_type(int type, cp_type *computed);
/* ONNX's word for a type of ours. */
int cp_onnx_type_of(cp_type type);
/* The numbers of a tensor, with every check on how many there must be: *data points into the file, or to fresh memory
 * which is also at *owned. */
cp_status cp_onnx_tensor_numbers(cp_onnx_loader *l, const cp_onnx_tensor *tensor, const void **data, void **owned);

/* Files of external data: whether a number lies in one; the net keeps them; they are closed. */
bool cp_onnx_in_files(const cp_onnx_loader *l, const uint8_t *data);
cp_status cp_onnx_keep_file(cp_net *net, cp_mapped *file); /* takes the file over, also on failure */
cp_status cp_onnx_keep_files(cp_onnx_loader *l);
void cp_onnx_close_files(cp_onnx_loader *l);

/* --- values.c --- */

cp_order cp_order_plain(void);               /* ONNX's own */
cp_order cp_order_channels_last(int rank);   /* 0, 2, 3, .., 1 */
int cp_order_find(cp_order order, int axis); /* which axis of the node that is */
bool cp_order_same(cp_order a, cp_order b, int rank);
/* Input and output i of the node at hand; NULL where it is absent. */
cp_onnx_value *cp_onnx_in(cp_onnx_loader *l, int i);
cp_onnx_value *cp_onnx_out(cp_onnx_loader *l, int i);
/* A node with that value in that order; 0 after a failure, which the net keeps, or for a value that is NULL. */
cp_node cp_onnx_want(cp_onnx_loader *l, cp_onnx_value *value, cp_order order);
/* The same for input i; in channels-last order; in any order, which is then in *order. */
cp_node cp_onnx_want_in(cp_onnx_loader *l, int i, cp_order order);
cp_node cp_onnx_want_last(cp_onnx_loader *l, int i);
cp_order cp_onnx_order_of(const cp_onnx_value *value);
/* Output i of the node at hand is that node, in that order. */
void cp_onnx_set(cp_onnx_loader *l, int i, cp_node node, cp_order order);
/* Output i is a constant: `data` is fresh memory, which the value takes over, also on failure. */
void cp_onnx_set_constant(cp_onnx_loader *l, int i, int type, cp_shape shape, void *data);
/* Output i is the same as a value. */
void cp_onnx_set_same(cp_onnx_loader *l, int i, const cp_onnx_value *value);
/* Fresh memory for so many bytes of a constant, zeros; NULL with the net failed where it is over the limit. */
void *cp_onnx_memory(cp_onnx_loader *l, int64_t bytes);
/* The numbers of input i, an integer list of at most `most`: *count of them. False after a failure: not known while
 * loading, too many, of another type. what: "shape". */
bool cp_onnx_numbers(cp_onnx_loader *l, int i, const char *what, int64_t *numbers, int most, int *count);
/* The same for one real number. */
bool cp_onnx_real(cp_onnx_loader *l, int i, const char *what, double *number);
double cp_onnx_real_at(const cp_onnx_value *value, int64_t i);

/* --- attribute.c: attributes of the node at hand; each gives false where there is none, or after a failure, which the
 *     net keeps --- */

/* Names are among `allowed` ("axis keepdims"), each once. */
void cp_onnx_check_attributes(cp_onnx_loader *l, const char *allowed);
bool cp_onnx_int(cp_onnx_loader *l, const char *name, int64_t *number);
bool cp_onnx_float(cp_onnx_loader *l, const char *name, float *number);
bool cp_onnx_ints(cp_onnx_loader *l, const char *name, int64_t *numbers, int most, int *count);
bool cp_onnx_floats(cp_onnx_loader *l, const char *name, float *numbers, int most, int *count);
bool cp_onnx_string(cp_onnx_loader *l, const char *name, cp_bytes *text);
bool cp_onnx_tensor_attribute(cp_onnx_loader *l, const char *name, cp_onnx_tensor *tensor);
/* The same with what holds where it is not given. */
int64_t cp_onnx_int_or(cp_onnx_loader *l, const char *name, int64_t usual);
float cp_onnx_float_or(cp_onnx_loader *l, const char *name, float usual);
/* The number of a word in a list that NULL ends; `usual` where it is not given. -1 after a failure. */
int cp_onnx_word_or(cp_onnx_loader *l, const char *name, const char *const *words, int usual);
/* An axis from -rank to rank-1 as one from 0 on; -1 after a failure. */
int cp_onnx_axis(cp_onnx_loader *l, int64_t axis, int rank);

/* --- operators.c: the table --- */

typedef struct cp_onnx_operator_row {
    const char *name;
    int min_inputs, max_inputs, max_outputs; /* max_inputs -1: any number */
    const char *attributes;
    void (*translate)(cp_onnx_loader *l); /* adds nodes and sets the outputs; failures are the net's */
    const char *operators;                /* of ours, that it becomes */
} cp_onnx_operator_row;
const cp_onnx_operator_row *cp_onnx_operator_find(cp_bytes name);

/* --- elements.c: functions of one number; one without a name ends the list --- */

typedef struct cp_onnx_function_row {
    const char *name;
    cp_activation activation;
    const char *alpha, *beta; /* attributes; NULL: it takes none */
    float usual_alpha, usual_beta;
} cp_onnx_function_row;
extern const cp_onnx_function_row cp_onnx_functions[];

cp_node cp_onnx_fail(cp_onnx_loader *l, cp_status status); /* cp_net_fail for the loader's net */
static inline bool cp_onnx_failed(const cp_onnx_loader *l) {
    return l->net->status != CP_OK;
}

#endif
