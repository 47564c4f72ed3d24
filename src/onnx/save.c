/* From a net to an ONNX file. Ours has channels last, ONNX has them first: every value with three axes or more is
 * written channels first, and weights in ONNX's order, so that no transposition is left but where a layer looks at the
 * order of all numbers (flatten). Shapes of all values are written, too. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "onnx/onnx.h"

enum { IR_VERSION = 9, OPSET = 20 };

/* --- a message that grows --- */

typedef struct message {
    uint8_t *data;
    int64_t length, capacity;
    bool failed;
} message;

static void put(message *m, const void *data, int64_t length) {
    if (m->failed || !length) return;
    if (m->length + length > m->capacity) {
        const int64_t more = 2 * m->capacity > m->length + length ? 2 * m->capacity : m->length + length + 64;
        uint8_t *grown = cp_alloc(NULL, more);
        m->failed = !grown;
        if (!grown) return;
        if (m->length) memcpy(grown, m->data, (size_t)m->length);
        cp_free(NULL, m->data);
        m->data = grown;
        m->capacity = more;
    }
    memcpy(m->data + m->length, data, (size_t)length);
    m->length += length;
}

static void put_varint(message *m, uint64_t value) {
    uint8_t bytes[10];
    int n = 0;
    do {
        bytes[n] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
        n++;
    } while (value);
    put(m, bytes, n);
}

static void put_key(message *m, int field, cp_wire_type type) {
    put_varint(m, (uint64_t)field << 3 | type);
}

static void put_int(message *m, int field, int64_t value) {
    put_key(m, field, CP_WIRE_VARINT);
    put_varint(m, (uint64_t)value);
}

static void put_float(message *m, int field, float value) {
    put_key(m, field, CP_WIRE_FIXED32);
    put(m, &value, sizeof value);
}

static void put_bytes(message *m, int field, const void *data, int64_t length) {
    put_key(m, field, CP_WIRE_BYTES);
    put_varint(m, (uint64_t)length);
    put(m, data, length);
}

static void put_text(message *m, int field, const char *text) {
    put_bytes(m, field, text, (int64_t)strlen(text));
}

/* Takes what is in inner. */
static void put_message(message *m, int field, message *inner) {
    put_bytes(m, field, inner->data, inner->length);
    m->failed |= inner->failed;
    cp_free(NULL, inner->data);
    *inner = (message){0};
}

/* --- what is being written --- */

#define NAME_BYTES 240

typedef struct writer {
    const cp_net *net;
    const cp_net_node *node; /* at hand */
    const cp_problem *problem;
    message nodes, initializers, infos;
    message attributes; /* of the node that comes next */
    bool *written;      /* by value: as an initializer */
    int extra;          /* values between, numbered */
    cp_status status;
} writer;

static bool first_order(cp_shape shape) {
    return shape.rank >= 3;
}

/* What a value is called: as the output of the net that it is, or the layer that gives it, or by its own name. */
static const char *name_of(const writer *w, cp_node value, char name[NAME_BYTES]) {
    const cp_value *v = cp_net_value(w->net, value);
    for (int64_t i = 0; i < w->net->n_outputs && v->kind == CP_VALUE_COMPUTED; i++)
        if (w->net->outputs[i].value == value) {
            snprintf(name, NAME_BYTES, "%.200s", w->net->outputs[i].name);
            return name;
        }
    if (v->kind == CP_VALUE_COMPUTED)
        snprintf(name, NAME_BYTES, "%.200s:%d", w->net->nodes[v->node].name, (int)v->output);
    else if (v->kind == CP_VALUE_CONSTANT)
        snprintf(name, NAME_BYTES, "%.200s:%d", v->name, (int)value); /* several have one name */
    else
        snprintf(name, NAME_BYTES, "%.200s", v->name);
    return name;
}

static cp_shape outer_shape(cp_shape shape) {
    cp_shape outer = shape;
    if (!first_order(shape)) return outer;
    outer.dim[1] = shape.dim[shape.rank - 1];
    for (int i = 2; i < shape.rank; i++) outer.dim[i] = shape.dim[i - 1];
    return outer;
}

/* ValueInfoProto; shape: as in the file, 0 in front for any batch. */
static void put_info(message *to, int field, const char *name, cp_type type, cp_shape shape) {
    message info = {0}, types = {0}, tensor = {0}, dims = {0};
    for (int i = 0; i < shape.rank; i++) {
        message dim = {0};
        if (i == 0 && !shape.dim[0])
            put_text(&dim, 2, "N");
        else
            put_int(&dim, 1, shape.dim[i]);
        put_message(&dims, 1, &dim);
    }
    put_int(&tensor, 1, cp_onnx_type_of(type));
    put_message(&tensor, 2, &dims);
    put_message(&types, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &types);
    put_message(to, field, &info);
}

/* --- attributes of the next node --- */

static void attribute(writer *w, message *a, const char *name, int type) {
    message whole = {0};
    put_text(&whole, 1, name);
    put(&whole, a->data, a->length);
    put_int(&whole, 20, type);
    cp_free(NULL, a->data);
    put_message(&w->attributes, 5, &whole);
}

static void int_attribute(writer *w, const char *name, int64_t value) {
    message a = {0};
    put_int(&a, 3, value);
    attribute(w, &a, name, 2);
}

static void float_attribute(writer *w, const char *name, float value) {
    message a = {0};
    put_float(&a, 2, value);
    attribute(w, &a, name, 1);
}

static void text_attribute(writer *w, const char *name, const char *text) {
    message a = {0};
    put_text(&a, 4, text);
    attribute(w, &a, name, 3);
}

static void ints_attribute(writer *w, const char *name, const int64_t *values, int n) {
    message a = {0};
    for (int i = 0; i < n; i++) put_int(&a, 8, values[i]);
    attribute(w, &a, name, 7);
}

/* --- nodes --- */

/* A node with the attributes so far; shape: of its output in the file. */
static void emit(writer *w, const char *op, const char *const *inputs, int n, const char *output, cp_type type,
                 cp_shape shape) {
    message node = {0};
    for (int i = 0; i < n; i++) put_text(&node, 1, inputs[i]);
    put_text(&node, 2, output);
    put_text(&node, 3, output); /* names of nodes must differ, as those of values do */
    put_text(&node, 4, op);
    put(&node, w->attributes.data, w->attributes.length);
    w->attributes.length = 0;
    put_message(&w->nodes, 1, &node);
    bool is_output = false;
    for (int64_t i = 0; i < w->net->n_outputs; i++) is_output |= !strcmp(w->net->outputs[i].name, output);
    if (!is_output) put_info(&w->infos, 13, output, type, shape);
}

static const char *between(writer *w, char name[NAME_BYTES]) {
    snprintf(name, NAME_BYTES, "%.200s:between%d", w->node->name, w->extra++);
    return name;
}

static cp_shape shape_in(const writer *w, int i) {
    return w->problem->in[i];
}

/* TensorProto of a value's numbers, whose axes the file has in `order` of ours, under a shape of as many elements. */
static void put_initializer(writer *w, cp_node value, const char *name, const int *order, cp_shape shape) {
    const cp_value *v = cp_net_value(w->net, value);
    void *numbers;
    message tensor = {0};
    cp_status status = cp_net_numbers(w->net, value, &numbers);
    const int64_t bytes = cp_shape_count(v->shape) * cp_type_size(v->type);
    char *copy = status ? NULL : cp_alloc(NULL, bytes);
    if (!copy) {
        w->status = CP_E_MEMORY;
        return;
    }
    const cp_tensor dense = cp_view(numbers, v->type, v->shape);
    cp_tensor view = dense;
    for (int i = 0; i < v->shape.rank && order; i++) {
        view.shape.dim[i] = dense.shape.dim[order[i]];
        view.stride[i] = dense.stride[order[i]];
    }
    const cp_tensor to = cp_view(copy, v->type, view.shape);
    status = cp_tensor_copy(&to, &view);
    for (int i = 0; i < shape.rank; i++) put_int(&tensor, 1, shape.dim[i]);
    put_int(&tensor, 2, cp_onnx_type_of(v->type));
    put_text(&tensor, 8, name);
    put_bytes(&tensor, 9, copy, bytes);
    cp_free(NULL, copy);
    put_message(&w->initializers, 5, &tensor);
    if (status) w->status = status;
}

static bool is_stored(const writer *w, cp_node value) {
    const cp_value *v = cp_net_value(w->net, value);
    return v->kind == CP_VALUE_CONSTANT || v->kind == CP_VALUE_PARAMETER;
}

/* Input i of the layer, which must be stored numbers, as an initializer of its own. */
static const char *stored(writer *w, int i, const int *order, cp_shape shape, char name[NAME_BYTES]) {
    const cp_node value = w->node->in[i];
    name_of(w, value, name);
    if (!is_stored(w, value)) {
        w->status = cp_fail(CP_E_UNSUPPORTED, "its weights are computed");
        return name;
    }
    if (w->written[value]) { /* somebody else has it, perhaps in another order */
        const size_t used = strlen(name);
        snprintf(name + used, NAME_BYTES - used, ":%d", w->extra++);
    }
    w->written[value] = true;
    put_initializer(w, value, name, order, shape);
    return name;
}

/* A list of integers as an initializer. */
static const char *numbers(writer *w, const int64_t *values, int n, char name[NAME_BYTES]) {
    message tensor = {0};
    between(w, name);
    put_int(&tensor, 1, n);
    put_int(&tensor, 2, CP_ONNX_INT64);
    put_text(&tensor, 8, name);
    put_bytes(&tensor, 9, values, n * (int64_t)sizeof *values);
    put_message(&w->initializers, 5, &tensor);
    return name;
}

static const char *real(writer *w, float value, char name[NAME_BYTES]) {
    message tensor = {0};
    between(w, name);
    put_int(&tensor, 2, CP_ONNX_FLOAT);
    put_text(&tensor, 8, name);
    put_bytes(&tensor, 9, &value, sizeof value);
    put_message(&w->initializers, 5, &tensor);
    return name;
}

/* Input i, any value: stored numbers are written the first time. */
static const char *input(writer *w, int i, char name[NAME_BYTES]) {
    static const int last_to_first[] = {0, 2, 1}, four[] = {0, 3, 1, 2}, five[] = {0, 4, 1, 2, 3};
    const cp_node value = w->node->in[i];
    const cp_shape shape = cp_net_shape(w->net, value);
    name_of(w, value, name);
    if (!is_stored(w, value) || w->written[value]) return name;
    w->written[value] = true;
    const int *order = shape.rank == 3 ? last_to_first : shape.rank == 4 ? four : shape.rank == 5 ? five : NULL;
    put_initializer(w, value, name, order, outer_shape(shape));
    return name;
}

/* The layer's output by a node of `op`, and a ReLU behind it where the layer has one. */
static void finish(writer *w, const char *op, const char *const *inputs, int n, bool relu) {
    char name[NAME_BYTES], before[NAME_BYTES];
    const cp_shape shape = outer_shape(w->problem->out[0]);
    const cp_type type = w->problem->out_type[0];
    name_of(w, w->node->out[0], name);
    if (!relu) {
        emit(w, op, inputs, n, name, type, shape);
        return;
    }
    between(w, before);
    emit(w, op, inputs, n, before, type, shape);
    emit(w, "Relu", (const char *const[]){before}, 1, name, type, shape);
}

/* --- layers --- */

static void window_attributes(writer *w, bool dilations) {
    const cp_window *window = &w->problem->window;
    int64_t kernel[CP_MAX_AXES], stride[CP_MAX_AXES], dilation[CP_MAX_AXES], pads[2 * CP_MAX_AXES];
    const int n = window->axes;
    for (int d = 0; d < n; d++) {
        const cp_axis *a = &window->axis[CP_MAX_AXES - n + d];
        kernel[d] = a->kernel;
        stride[d] = a->stride;
        dilation[d] = a->dilation;
        pads[d] = a->before;
        pads[n + d] = a->after;
    }
    ints_attribute(w, "kernel_shape", kernel, n);
    ints_attribute(w, "strides", stride, n);
    ints_attribute(w, "pads", pads, 2 * n);
    if (dilations) ints_attribute(w, "dilations", dilation, n);
}

/* [kernel, I, O] as O, I, kernel. */
static const char *filters(writer *w, char name[NAME_BYTES]) {
    const cp_shape shape = shape_in(w, 1);
    int order[CP_MAX_RANK] = {shape.rank - 1, shape.rank - 2};
    cp_shape turned = {.rank = shape.rank};
    for (int i = 2; i < shape.rank; i++) order[i] = i - 2;
    for (int i = 0; i < shape.rank; i++) turned.dim[i] = shape.dim[order[i]];
    return stored(w, 1, order, turned, name);
}

static void write_conv(writer *w) {
    char x[NAME_BYTES], weight[NAME_BYTES], bias[NAME_BYTES];
    const cp_conv *conv = &w->node->attributes.conv;
    const bool transposed = w->node->op == &cp_op_conv_transpose, has_bias = cp_has_input(w->problem, 2);
    if (conv->pad_values != CP_PAD_CONSTANT) {
        w->status = cp_fail(CP_E_UNSUPPORTED, "padding with values of the input");
        return;
    }
    input(w, 0, x);
    filters(w, weight);
    if (has_bias) stored(w, 2, NULL, shape_in(w, 2), bias);
    window_attributes(w, true);
    int_attribute(w, "group", cp_groups(conv));
    const cp_shape y = w->problem->out[0];
    if (transposed) ints_attribute(w, "output_shape", y.dim + 1, y.rank - 2);
    finish(w, transposed ? "ConvTranspose" : "Conv", (const char *const[]){x, weight, bias}, has_bias ? 3 : 2,
           conv->activation == CP_RELU);
}

static void write_dense(writer *w) {
    char x[NAME_BYTES], weight[NAME_BYTES], bias[NAME_BYTES];
    const bool has_bias = cp_has_input(w->problem, 2);
    input(w, 0, x);
    stored(w, 1, NULL, shape_in(w, 1), weight);
    if (has_bias) stored(w, 2, NULL, shape_in(w, 2), bias);
    finish(w, "Gemm", (const char *const[]){x, weight, bias}, has_bias ? 3 : 2,
           w->node->attributes.activation == CP_RELU);
}

static void write_pool(writer *w) {
    static const char *const ops[] = {"MaxPool", "AveragePool", "LpPool"};
    static const char *const global_ops[] = {"GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"};
    char x[NAME_BYTES];
    const cp_pool *pool = &w->node->attributes.pool;
    const int kind = w->node->op == &cp_op_max_pool ? 0 : w->node->op == &cp_op_average_pool ? 1 : 2;
    const bool padded = kind == 1 && pool->divisor != CP_DIVISOR_VALID;
    input(w, 0, x);
    if (kind == 2) int_attribute(w, "p", (int64_t)w->problem->exponent);
    if ((pool->divisor == CP_DIVISOR_NUMBER || (pool->divisor == CP_DIVISOR_KERNEL && pool->ceil_mode)) ||
        (kind == 2 && (double)(int64_t)w->problem->exponent != w->problem->exponent))
        w->status = cp_fail(CP_E_UNSUPPORTED, "its divisor or exponent");
    if (!pool->global) {
        window_attributes(w, true);
        if (pool->ceil_mode) int_attribute(w, "ceil_mode", 1);
        if (padded) int_attribute(w, "count_include_pad", 1);
    }
    finish(w, pool->global ? global_ops[kind] : ops[kind], (const char *const[]){x}, 1, false);
}

/* Channels last, as the layer looks at them. */
static const char *channels_last(writer *w, int i, char name[NAME_BYTES]) {
    char first[NAME_BYTES];
    const cp_shape x = shape_in(w, i);
    input(w, i, first);
    if (!first_order(x)) return strcpy(name, first);
    const cp_order order = cp_order_channels_last(x.rank);
    int64_t perm[CP_MAX_RANK];
    for (int k = 0; k < x.rank; k++) perm[k] = order.axis[k];
    ints_attribute(w, "perm", perm, x.rank);
    between(w, name);
    emit(w, "Transpose", (const char *const[]){first}, 1, name, w->problem->in_type[i], x);
    return name;
}

/* The layer's output by a node that gives it channels last. */
static void finish_last(writer *w, const char *op, const char *const *inputs, int n) {
    char last[NAME_BYTES], name[NAME_BYTES];
    const cp_shape y = w->problem->out[0];
    if (!first_order(y)) {
        finish(w, op, inputs, n, false);
        return;
    }
    between(w, last);
    emit(w, op, inputs, n, last, w->problem->out_type[0], y);
    int64_t perm[CP_MAX_RANK] = {0, y.rank - 1};
    for (int k = 2; k < y.rank; k++) perm[k] = k - 1;
    ints_attribute(w, "perm", perm, y.rank);
    emit(w, "Transpose", (const char *const[]){last}, 1, name_of(w, w->node->out[0], name), w->problem->out_type[0],
         outer_shape(y));
}

static void write_flatten(writer *w) {
    char x[NAME_BYTES];
    int spatial = 0;
    const cp_shape shape = shape_in(w, 0);
    for (int k = 1; k + 1 < shape.rank; k++) spatial += shape.dim[k] > 1;
    if (spatial)
        channels_last(w, 0, x);
    else
        input(w, 0, x);
    int_attribute(w, "axis", 1);
    finish(w, "Flatten", (const char *const[]){x}, 1, false);
}

static void write_reshape(writer *w) {
    char x[NAME_BYTES], shape[NAME_BYTES];
    const cp_shape y = w->problem->out[0];
    channels_last(w, 0, x);
    numbers(w, y.dim, y.rank, shape);
    finish_last(w, "Reshape", (const char *const[]){x, shape}, 2);
}

static void write_same(writer *w) {
    char x[NAME_BYTES];
    finish(w, "Identity", (const char *const[]){input(w, 0, x)}, 1, false);
}

static void write_softmax(writer *w) {
    char x[NAME_BYTES];
    input(w, 0, x);
    int_attribute(w, "axis", first_order(shape_in(w, 0)) ? 1 : shape_in(w, 0).rank - 1);
    finish(w, "Softmax", (const char *const[]){x}, 1, false);
}

/* Of batches or instances. */
static void write_norm(writer *w) {
    char names[5][NAME_BYTES];
    const char *in[5];
    const bool batch = w->node->op == &cp_op_batch_norm;
    const int n = batch ? 5 : 3;
    in[0] = input(w, 0, names[0]);
    for (int i = 1; i < n; i++) in[i] = stored(w, i, NULL, shape_in(w, i), names[i]);
    float_attribute(w, "epsilon", (float)w->problem->epsilon);
    finish(w, batch ? "BatchNormalization" : "InstanceNormalization", in, n, false);
}

static void write_layer_norm(writer *w) {
    char names[3][NAME_BYTES];
    const char *in[3];
    in[0] = channels_last(w, 0, names[0]);
    for (int i = 1; i < 3; i++) in[i] = stored(w, i, NULL, shape_in(w, i), names[i]);
    float_attribute(w, "epsilon", (float)w->problem->epsilon);
    int_attribute(w, "axis", -1);
    finish_last(w, "LayerNormalization", in, 3);
}

static void write_lrn(writer *w) {
    char x[NAME_BYTES];
    const cp_lrn *lrn = &w->problem->lrn;
    input(w, 0, x);
    int_attribute(w, "size", lrn->size);
    float_attribute(w, "alpha", (float)lrn->alpha);
    float_attribute(w, "beta", (float)lrn->beta);
    float_attribute(w, "bias", (float)lrn->bias);
    finish(w, "LRN", (const char *const[]){x}, 1, false);
}

static void write_concat(writer *w) {
    char names[CP_MAX_INPUTS][NAME_BYTES];
    const char *in[CP_MAX_INPUTS];
    const cp_shape y = w->problem->out[0];
    const int axis = w->problem->axis;
    for (int i = 0; i < w->node->inputs; i++) in[i] = input(w, i, names[i]);
    int_attribute(w, "axis", !first_order(y) || !axis ? axis : axis == y.rank - 1 ? 1 : axis + 1);
    finish(w, "Concat", in, w->node->inputs, false);
}

static void write_blocks(writer *w) {
    char x[NAME_BYTES];
    const bool grows = w->node->op == &cp_op_depth_to_space;
    input(w, 0, x);
    int_attribute(w, "blocksize", w->problem->block);
    if (grows)
        text_attribute(w, "mode", w->problem->depth_order == CP_CHANNEL_FIRST ? "CRD" : "DCR");
    else if (w->problem->depth_order == CP_CHANNEL_FIRST)
        w->status = cp_fail(CP_E_UNSUPPORTED, "its order of channels");
    finish(w, grows ? "DepthToSpace" : "SpaceToDepth", (const char *const[]){x}, 1, false);
}

/* Operand i of two; numbers with one axis belong to the channels, which stand elsewhere in the file. */
static const char *operand(writer *w, int i, char name[NAME_BYTES]) {
    const cp_shape own = shape_in(w, i), y = w->problem->out[0];
    if (own.rank == y.rank || !first_order(y)) return input(w, i, name);
    cp_shape wide = {.rank = y.rank - 1};
    for (int k = 0; k < wide.rank; k++) wide.dim[k] = 1;
    if (own.rank > 1) w->status = cp_fail(CP_E_UNSUPPORTED, "operands with %d and %d axes", own.rank, y.rank);
    if (own.rank == 1) wide.dim[0] = own.dim[0];
    return stored(w, i, NULL, wide, name);
}

static void write_binary(writer *w) {
    static const struct {
        const cp_op *ours;
        const char *op;
    } ops[] = {{&cp_op_add, "Add"}, {&cp_op_sub, "Sub"}, {&cp_op_mul, "Mul"}, {&cp_op_div, "Div"},
               {&cp_op_min, "Min"}, {&cp_op_max, "Max"}, {&cp_op_pow, "Pow"}, {&cp_op_prelu, "PRelu"}};
    char a[NAME_BYTES], b[NAME_BYTES];
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (ops[i].ours != w->node->op) continue;
        operand(w, 0, a);
        operand(w, 1, b);
        finish(w, ops[i].op, (const char *const[]){a, b}, 2, false);
    }
}

/* --- functions of one number --- */

static bool write_function(writer *w) {
    char x[NAME_BYTES], y[NAME_BYTES];
    for (const cp_onnx_function_row *f = cp_onnx_functions; f->name; f++) {
        if (strcmp(w->node->op->name, cp_activation_words[f->activation])) continue;
        input(w, 0, x);
        if (f->alpha) float_attribute(w, f->alpha, (float)w->problem->alpha);
        if (f->beta) float_attribute(w, f->beta, (float)w->problem->beta);
        finish(w, f->name, (const char *const[]){x}, 1, false);
        return true;
    }
    if (w->node->op == &cp_op_gelu || w->node->op == &cp_op_gelu_tanh) {
        input(w, 0, x);
        if (w->node->op == &cp_op_gelu_tanh) text_attribute(w, "approximate", "tanh");
        finish(w, "Gelu", (const char *const[]){x}, 1, false);
        return true;
    }
    if (w->node->op == &cp_op_clip) {
        char bound[2][NAME_BYTES];
        for (int i = 0; i < 2; i++) real(w, (float)(i ? w->problem->beta : w->problem->alpha), bound[i]);
        input(w, 0, x);
        finish(w, "Clip", (const char *const[]){x, bound[0], bound[1]}, 3, false);
        return true;
    }
    if (w->node->op == &cp_op_silu) { /* which is two of theirs */
        const cp_shape shape = outer_shape(w->problem->out[0]);
        input(w, 0, x);
        between(w, y);
        emit(w, "Sigmoid", (const char *const[]){x}, 1, y, CP_F32, shape);
        finish(w, "Mul", (const char *const[]){x, y}, 2, false);
        return true;
    }
    return false;
}

static const struct {
    const cp_op *ours;
    void (*write)(writer *w);
} layers[] = {
    {&cp_op_conv, write_conv},
    {&cp_op_conv_transpose, write_conv},
    {&cp_op_dense, write_dense},
    {&cp_op_max_pool, write_pool},
    {&cp_op_average_pool, write_pool},
    {&cp_op_lp_pool, write_pool},
    {&cp_op_flatten, write_flatten},
    {&cp_op_reshape, write_reshape},
    {&cp_op_dropout, write_same},
    {&cp_op_softmax, write_softmax},
    {&cp_op_batch_norm, write_norm},
    {&cp_op_instance_norm, write_norm},
    {&cp_op_layer_norm, write_layer_norm},
    {&cp_op_lrn, write_lrn},
    {&cp_op_concat, write_concat},
    {&cp_op_depth_to_space, write_blocks},
    {&cp_op_space_to_depth, write_blocks},
    {&cp_op_add, write_binary},
    {&cp_op_sub, write_binary},
    {&cp_op_mul, write_binary},
    {&cp_op_div, write_binary},
    {&cp_op_min, write_binary},
    {&cp_op_max, write_binary},
    {&cp_op_pow, write_binary},
    {&cp_op_prelu, write_binary},
};

static void write_node(writer *w, const cp_net_node *node) {
    cp_problem problem = {.type = CP_F32};
    w->node = node;
    w->problem = &problem;
    w->status = cp_net_infer(w->net, node, NULL, &problem);
    bool known = false;
    for (size_t i = 0; i < sizeof layers / sizeof *layers && !w->status && !known; i++) {
        known = layers[i].ours == node->op;
        if (known) layers[i].write(w);
    }
    if (!w->status && !known && !write_function(w))
        w->status = cp_fail(CP_E_UNSUPPORTED, "'%s' cannot be written to ONNX", node->op->name);
    if (w->status) cp_fail_within(w->status, "layer '%s'", node->name);
}

/* --- the whole --- */

static void put_edges(const writer *w, message *graph) {
    for (int64_t i = 0; i < w->net->n_inputs; i++) {
        const cp_value *v = cp_net_value(w->net, w->net->inputs[i]);
        put_info(graph, 11, v->name, v->type, outer_shape(v->shape));
    }
    for (int64_t i = 0; i < w->net->n_outputs; i++) {
        const cp_value *v = cp_net_value(w->net, w->net->outputs[i].value);
        put_info(graph, 12, w->net->outputs[i].name, v->type, outer_shape(v->shape));
    }
}

static cp_status check_outputs(const cp_net *net) {
    for (int64_t i = 0; i < net->n_outputs; i++) {
        if (cp_net_value(net, net->outputs[i].value)->kind != CP_VALUE_COMPUTED)
            return cp_fail(CP_E_UNSUPPORTED, "output '%s' is computed by no layer", net->outputs[i].name);
        for (int64_t k = 0; k < i; k++)
            if (net->outputs[k].value == net->outputs[i].value || !strcmp(net->outputs[k].name, net->outputs[i].name))
                return cp_fail(CP_E_UNSUPPORTED, "output '%s' is there twice", net->outputs[i].name);
    }
    return net->n_outputs ? CP_OK : cp_fail(CP_E_ARG, "the net has no output");
}

static cp_status save(const char *path, const message *model) {
    cp_saver saver;
    cp_status status = cp_saver_open(&saver, path);
    if (status) return status;
    status = cp_saver_write(&saver, model->data, model->length);
    if (!status) return cp_saver_commit(&saver);
    cp_saver_cancel(&saver);
    return status;
}

cp_status cp_onnx_save(const cp_net *net, const char *path) {
    writer w = {.net = net};
    message graph = {0}, model = {0}, opset = {0};
    cp_status status = cp_net_check(net);
    if (!status) status = check_outputs(net);
    if (!status && !(w.written = cp_zalloc(NULL, net->n_values + 1))) status = CP_E_MEMORY;
    for (int64_t i = 0; !status && i < net->n_nodes; i++) {
        write_node(&w, &net->nodes[i]);
        status = w.status;
    }
    put(&graph, w.nodes.data, w.nodes.length);
    put_text(&graph, 2, "net");
    put(&graph, w.initializers.data, w.initializers.length);
    if (!status) put_edges(&w, &graph);
    put(&graph, w.infos.data, w.infos.length);
    put_int(&model, 1, IR_VERSION);
    put_text(&model, 2, "convpool");
    put_text(&model, 3, CP_VERSION);
    put_message(&model, 7, &graph);
    put_text(&opset, 1, "");
    put_int(&opset, 2, OPSET);
    put_message(&model, 8, &opset);
    const bool failed =
        model.failed || w.nodes.failed || w.initializers.failed || w.infos.failed || w.attributes.failed;
    if (!status && failed) status = CP_E_MEMORY;
    if (!status) status = save(path, &model);
    cp_free(NULL, w.written);
    cp_free(NULL, w.nodes.data);
    cp_free(NULL, w.initializers.data);
    cp_free(NULL, w.infos.data);
    cp_free(NULL, w.attributes.data);
    cp_free(NULL, model.data);
    return status;
}
