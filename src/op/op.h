/* The operator table: what each operation is called, which shapes it takes and gives, its algorithms, its gradient. */
#ifndef CP_OP_H
#define CP_OP_H

#include "plan/plan.h"

/* What distinguishes two operations of one kind. Gradients use the descriptor of the operation that they belong to, and
 * `size`: the spatial axes of its input. */
typedef struct cp_attributes {
    cp_conv conv;
    cp_pool pool;
    int64_t size[CP_MAX_AXES];
    cp_shape shape; /* of reshape and expand */
    cp_padding padding;
    cp_resize resize;
    int64_t block; /* of depth-to-space and space-to-depth */
    cp_depth_order depth_order;
    cp_roi roi;
    cp_activation activation;
    float alpha, beta; /* of an activation; both 0: the usual. alpha of a loss: its parameter */
    float rate;
    uint32_t layer;
    bool begins_at_zero;           /* cp_net_initialize makes the weights 0 */
    float epsilon, momentum, bias; /* of a normalisation; 0: the usual */
    int64_t groups;
    cp_reduction reduction;
    cp_shape axes; /* of a reduction: a list of their numbers; empty: all. Of a transpose: their order */
    bool keep;
    cp_type type;                     /* of a cast's output */
    int64_t behind;                   /* of softmax: how many axes stand behind its own; 0: it is the last */
    bool last;                        /* of arg-max and arg-min: of equal numbers the last */
    bool smallest;                    /* of top-k */
    bool exclusive, reverse;          /* of a cumulative sum */
    int64_t axis, begin, count, step; /* of pieces; size[0] is that of the whole, in a gradient */
} cp_attributes;

typedef struct cp_op cp_op;

/* Handed to a backward function: the operation's values, the gradients of its outputs (0: none), whether its inputs
 * want one; it leaves the gradients of the inputs in din. node() adds a node and gives its first output; the others are
 * the numbers behind it. */
typedef struct cp_backward {
    const cp_attributes *attributes;
    const cp_node *in, *out, *dout;
    const bool *wanted;
    cp_node din[CP_MAX_INPUTS];
    void *net;
    cp_node (*node)(void *net, const char *op, const cp_attributes *attributes, const cp_node *in, int inputs);
    cp_shape (*shape)(void *net, cp_node value);
} cp_backward;

/* A field of the attributes as it stands in a model file, where it is not the usual (zero). A list ends with name NULL.
 */
typedef enum cp_field_kind {
    CP_FIELD_AXES,  /* int64_t, one for each spatial axis of the first input */
    CP_FIELD_LIST,  /* int64_t, at most CP_MAX_AXES; zeros at the end are left out */
    CP_FIELD_REALS, /* float, one for each spatial axis of the first input */
    CP_FIELD_COUNT, /* int64_t */
    CP_FIELD_LAYER, /* uint32_t */
    CP_FIELD_FLAG,  /* bool */
    CP_FIELD_WORD,  /* an enum; words by value, NULL behind the last */
    CP_FIELD_REAL,  /* float */
    CP_FIELD_SHAPE  /* cp_shape, as a list of numbers */
} cp_field_kind;
typedef struct cp_field {
    const char *name;
    cp_field_kind kind;
    size_t offset; /* in cp_attributes */
    const char *const *words;
} cp_field;
#define CP_FIELD(name, kind, member, ...)                                                                              \
    { name, kind, offsetof(cp_attributes, member), __VA_ARGS__ }
extern const cp_field cp_no_fields[];   /* for operators without attributes */
extern const cp_field cp_pool_fields[]; /* of pooling with windows, and of the positions of its maxima */
extern const cp_field cp_conv_fields[]; /* of convolution, transposed and locally connected too */
void cp_conv_words(const cp_attributes *attributes, char *text, size_t size);
/* What convolution, transposed and deformable too, has in common backward: the attributes of its gradients' nodes,
 * which have no activation; the shape of x from those of dy and w; that of w from those of dy and x. */
cp_attributes cp_conv_gradient_attributes(const cp_backward *backward);
cp_status cp_conv_input_shape(cp_shape *x, const cp_attributes *attributes, cp_shape dy, cp_shape w);
cp_status cp_conv_weights_shape(cp_shape *w, const cp_conv *conv, cp_shape dy, cp_shape x);
extern const char *const cp_pad_value_words[], *const cp_depth_order_words[];
extern const char *const cp_interpolation_words[], *const cp_coordinate_words[], *const cp_rounding_words[];
extern const char *const cp_pad_words[], *const cp_activation_words[];
extern const char *const cp_divisor_words[], *const cp_fractional_words[];

struct cp_op {
    const char *name; /* "conv", as in files and on the command line; only a gradient's ends with "-gradient" */
    int min_inputs, max_inputs, outputs;
    /* From in[], in_type[], inputs and the attributes to the rest of the problem: shapes and types of the outputs,
     * geometry. All checks are made here. A batch of 0 is any batch. */
    cp_status (*infer)(cp_problem *problem, const cp_attributes *attributes);
    const cp_algo *const *algos;                /* NULL: the output is the input's memory under another shape */
    bool (*is_view)(const cp_problem *problem); /* NULL: as algos says; dropout is a view outside training */
    void (*backward)(cp_backward *);            /* NULL: no gradient */
    /* Writes the attributes as words ("5x5 same relu"), as cp_net_parse reads them; NULL: none. */
    void (*words)(const cp_attributes *attributes, char *text, size_t size);
    bool counts_filters;          /* the number of output channels stands before the words: "32 5x5 same relu" */
    const cp_field *fields;       /* its attributes in a model file; NULL: it is no layer of a model */
    float initial[CP_MAX_INPUTS]; /* what cp_net_initialize gives a parameter with one axis that is input i */
    /* Input i, where it is a parameter, becomes output next[i] (not 0) after a training step: it follows, and is not
     * trained. */
    int next[CP_MAX_INPUTS];
};

/* The table; NULL where there is none of that name. */
const cp_op *cp_op_find(const char *name);
const cp_op *cp_op_at(int i); /* NULL behind the last */

/* --- the operators, each in the file of its kind --- */

extern const cp_op cp_op_conv, cp_op_conv_input_gradient, cp_op_conv_weight_gradient;
extern const cp_op cp_op_conv_transpose, cp_op_conv_transpose_input_gradient, cp_op_conv_transpose_weight_gradient;
extern const cp_op cp_op_dense, cp_op_dense_input_gradient, cp_op_dense_weight_gradient;
extern const cp_op cp_op_max_pool, cp_op_max_pool_gradient, cp_op_average_pool, cp_op_average_pool_gradient;
extern const cp_op cp_op_lp_pool, cp_op_lp_pool_gradient, cp_op_stochastic_pool, cp_op_stochastic_pool_gradient;
extern const cp_op cp_op_max_pool_positions, cp_op_max_unpool, cp_op_max_unpool_gradient;
extern const cp_op cp_op_adaptive_max_pool, cp_op_fractional_max_pool, cp_op_position_gradient;
extern const cp_op cp_op_adaptive_average_pool, cp_op_adaptive_average_pool_gradient;
extern const cp_op cp_op_max_roi_pool, cp_op_max_roi_pool_gradient, cp_op_roi_align, cp_op_roi_align_gradient;
#define CP_ACTIVATION_OPS(name, identifier, ...) extern const cp_op cp_op_##identifier, cp_op_##identifier##_gradient;
CP_ACTIVATIONS(CP_ACTIVATION_OPS)
#undef CP_ACTIVATION_OPS
extern const cp_op cp_op_softmax, cp_op_softmax_gradient, cp_op_log_softmax, cp_op_log_softmax_gradient;
extern const cp_op cp_op_local_conv, cp_op_local_conv_input_gradient, cp_op_local_conv_weight_gradient;
extern const cp_op cp_op_deform_conv, cp_op_deform_conv_input_gradient, cp_op_deform_conv_weight_gradient;
extern const cp_op cp_op_deform_conv_offset_gradient;
extern const cp_op cp_op_im2col, cp_op_col2im, cp_op_depth_to_space, cp_op_space_to_depth;
extern const cp_op cp_op_pad, cp_op_pad_gradient, cp_op_resize, cp_op_resize_gradient;
#define CP_BINARY_OPS(id, ...) extern const cp_op cp_op_##id, cp_op_##id##_first_gradient, cp_op_##id##_second_gradient;
CP_BINARIES(CP_BINARY_OPS)
#undef CP_BINARY_OPS
extern const cp_op cp_op_batch_norm, cp_op_layer_norm, cp_op_group_norm, cp_op_instance_norm;
extern const cp_op cp_op_norm_input_gradient, cp_op_batch_norm_input_gradient, cp_op_norm_scale_gradient;
extern const cp_op cp_op_lrn, cp_op_lrn_gradient;
extern const cp_op cp_op_reduce, cp_op_reduce_gradient, cp_op_concat;
extern const cp_op cp_op_transpose, cp_op_expand, cp_op_slice, cp_op_slice_gradient, cp_op_cast;
#define CP_RELATIONS(X)                                                                                                \
    X(CP_EQUAL, equal, "equal")                                                                                        \
    X(CP_LESS, less, "less")                                                                                           \
    X(CP_GREATER, greater, "greater")                                                                                  \
    X(CP_LESS_OR_EQUAL, less_or_equal, "less-or-equal")                                                                \
    X(CP_GREATER_OR_EQUAL, greater_or_equal, "greater-or-equal")                                                       \
    X(CP_AND, and, "and")                                                                                              \
    X(CP_OR, or, "or")                                                                                                 \
    X(CP_XOR, xor, "xor")
#define CP_RELATION_OPS(value, id, word) extern const cp_op cp_op_##id;
CP_RELATIONS(CP_RELATION_OPS)
#undef CP_RELATION_OPS
extern const cp_op cp_op_where, cp_op_matmul, cp_op_arg_max, cp_op_arg_min, cp_op_top_k, cp_op_cumulative_sum;
extern const cp_op cp_op_quantize, cp_op_dequantize, cp_op_dynamic_quantize;
extern const cp_op cp_op_conv_integer, cp_op_matmul_integer;
extern const cp_op cp_op_gather, cp_op_gather_gradient, cp_op_gather_elements, cp_op_gather_elements_gradient;
extern const cp_op cp_op_bias_gradient, cp_op_dropout, cp_op_flatten, cp_op_reshape;
extern const cp_op cp_op_softmax_cross_entropy, cp_op_softmax_cross_entropy_gradient;
extern const cp_op cp_op_binary_cross_entropy, cp_op_binary_cross_entropy_gradient, cp_op_huber, cp_op_huber_gradient;
extern const cp_op cp_op_focal, cp_op_focal_gradient, cp_op_hinge, cp_op_hinge_gradient;
extern const cp_op cp_op_mean_squared_error, cp_op_mean_squared_error_gradient;

/* --- infer.c: what the infer functions share --- */

/* Input i is there, of this type and of a possible shape. name: "weights", for the text. */
cp_status cp_check_in(const cp_problem *problem, int i, cp_type type, const char *name);
/* The same, whatever its type. */
cp_status cp_check_any(const cp_problem *problem, int i, const char *name);
/* The type of input 0 where that is a float or an integer, else that of the plan's floats, for cp_check_in. */
cp_type cp_number_type(const cp_problem *problem);
/* The shape to which two broadcast. */
cp_status cp_broadcast(cp_shape a, cp_shape b, cp_shape *y);
/* The gradient of a value of shape x that was broadcast to y, from that of what became of it. */
cp_node cp_sum_broadcast(cp_backward *backward, cp_node dy, cp_shape y, cp_shape x);
/* The axis of an operation along one of x. The batch is none while it may be any. */
cp_status cp_set_axis(cp_problem *problem, const cp_attributes *attributes, cp_shape x);
/* One random number for each element of a shape: as many as one stream has. */
cp_status cp_check_drawn(const char *op, cp_shape shape);
/* Two shapes that must be the same; what each is called. */
cp_status cp_check_same(const char *name_a, cp_shape a, const char *name_b, cp_shape b);
/* N, 1 to CP_MAX_AXES spatial axes, C. */
cp_status cp_check_axes(cp_shape shape, const char *name);
/* Input i of a layer with weights, where there is one: a value for each filter. */
cp_status cp_check_bias(const cp_problem *problem, int i, int64_t filters);
/* The forward convolution of x by w: its geometry, and the shape of its output. */
cp_status cp_set_conv(cp_problem *problem, const cp_conv *conv, cp_shape x, cp_shape w, cp_shape *y);
/* A product of matrices as a convolution with one tap on images of one pixel. */
cp_status cp_set_dense(cp_problem *problem, int64_t batch, int64_t channels, int64_t filters);
/* Only ReLU is applied by the layer itself. */
cp_status cp_set_activation(cp_problem *problem, cp_activation activation);
cp_status cp_set_multiply_adds(cp_problem *problem, int64_t outputs, int64_t of_each);
/* Output i, and so the number of outputs: call in order. */
cp_status cp_set_output(cp_problem *problem, int i, cp_type type, cp_shape shape);
/* The input of the forward operation whose output's gradient is dy: the batch of dy, the sizes, this many channels. */
cp_status cp_forward_input(cp_shape *x, cp_shape dy, const int64_t size[CP_MAX_AXES], int64_t channels);
/* The attributes of a gradient's node: those of the operation, with the size of its input 0. */
cp_attributes cp_gradient_attributes(const cp_backward *backward);
/* The backward function of layers with weights: input_gradient and weight_gradient are the operators' names. */
void cp_backward_weights(cp_backward *backward, bool relu, const cp_attributes *attributes, const char *input_gradient,
                         const char *weight_gradient);

/* --- words.c: attributes as text --- */

/* Appends a word (and a space before it where text is not empty). */
void cp_words_add(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Appends a number in the fewest digits that give it again. */
void cp_words_real(char *text, size_t size, float number);
/* Appends a value per axis, "2" or "2x1", behind a name; nothing where all are zero. */
void cp_words_axes(char *text, size_t size, const char *name, const int64_t *values, int axes);
/* What convolution and pooling have in common; the number of axes is that of the kernel. Defaults are left out. */
typedef struct cp_window_words {
    const int64_t *kernel, *stride, *default_stride, *dilation, *before, *after;
    cp_pad pad;
} cp_window_words;
void cp_words_window(const cp_window_words *window, char *text, size_t size);

#endif
