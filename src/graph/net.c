/* Nets: values and the nodes that compute them, in an order that can be run; the builder keeps the first failure. */
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

/* --- life --- */

cp_status cp_net_new(cp_net **net) {
    if (!net) return cp_fail(CP_E_ARG, "net is NULL");
    *net = cp_zalloc(NULL, sizeof **net);
    return *net ? CP_OK : CP_E_MEMORY;
}

static void free_named(cp_named *named, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        cp_free(NULL, named[i].name);
        cp_free(NULL, named[i].text);
    }
    cp_free(NULL, named);
}

void cp_net_free(cp_net *net) {
    if (!net) return;
    for (int64_t i = 1; i <= net->n_values; i++) {
        cp_free(NULL, net->values[i].name);
        cp_free(NULL, net->values[i].data);
    }
    for (int64_t i = 0; i < net->n_nodes; i++) {
        cp_free(NULL, net->nodes[i].name);
        cp_free(NULL, net->nodes[i].detail);
    }
    free_named(net->outputs, net->n_outputs);
    free_named(net->notes, net->n_notes);
    for (int64_t i = 0; i < net->n_kept; i++) net->kept[i].release(net->kept[i].object);
    cp_free(NULL, net->kept);
    cp_free(NULL, net->values);
    cp_free(NULL, net->nodes);
    cp_free(NULL, net->inputs);
    cp_free(NULL, net->parameters);
    cp_free(NULL, net->next_name);
    cp_free(NULL, net);
}

cp_node cp_net_fail(cp_net *net, cp_status status) {
    if (net && !net->status) {
        net->status = status;
        snprintf(net->text, sizeof net->text, "%s", cp_error());
    }
    return 0;
}

cp_status cp_net_check(const cp_net *net) {
    if (!net) return cp_fail(CP_E_ARG, "net is NULL");
    return net->status ? cp_fail(net->status, "%s", net->text) : CP_OK;
}

cp_status cp_net_error(const cp_net *net, const char **text) {
    cp_status status = cp_net_check(net);
    if (text) *text = net ? net->text : cp_error();
    return status;
}

void cp_net_name(cp_net *net, const char *name) {
    if (cp_net_check(net)) return;
    cp_free(NULL, net->next_name);
    net->next_name = name ? cp_copy_text(name) : NULL;
    if (name && !net->next_name) cp_net_fail(net, CP_E_MEMORY);
}

/* --- values --- */

const cp_value *cp_net_value(const cp_net *net, cp_node value) {
    return net && value >= 1 && value <= net->n_values ? &net->values[value] : NULL;
}

static int64_t value_bytes(const cp_value *v) {
    return cp_shape_count(v->shape) * cp_type_size(v->type);
}

cp_status cp_net_numbers(const cp_net *net, cp_node value, void **numbers) {
    cp_value *v = &net->values[value];
    *numbers = __atomic_load_n(&v->data, __ATOMIC_ACQUIRE);
    if (*numbers) return CP_OK;
    void *fresh = v->lent.data ? cp_alloc(NULL, value_bytes(v)) : cp_zalloc(NULL, value_bytes(v));
    if (!fresh) return CP_E_MEMORY;
    if (v->lent.data) {
        const cp_tensor dense = cp_view(fresh, v->type, v->lent.shape);
        cp_copy_share(&dense, &v->lent, 0, 1);
    }
    /* Another thread that shares the net may have been faster. */
    if (__atomic_compare_exchange_n(&v->data, numbers, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        *numbers = fresh;
    else
        cp_free(NULL, fresh);
    return CP_OK;
}

const cp_tensor *cp_net_lent(const cp_net *net, cp_node value) {
    const cp_value *v = &net->values[value];
    return !__atomic_load_n(&v->data, __ATOMIC_ACQUIRE) && v->lent.data ? &v->lent : NULL;
}

void cp_net_lend(cp_net *net, cp_node parameter, const cp_tensor *tensor) {
    net->values[parameter].lent = *tensor;
}

cp_status cp_net_keep(cp_net *net, void *object, void (*release)(void *object)) {
    if (cp_grow(&net->kept, &net->kept_capacity, net->n_kept, sizeof *net->kept)) {
        release(object);
        return CP_E_MEMORY;
    }
    net->kept[net->n_kept++] = (cp_kept){object, release};
    return CP_OK;
}

/* A new value, without numbers. */
static cp_node add_value(cp_net *net, cp_value_kind kind, cp_type type, cp_shape shape, const char *name) {
    /* values[0] is never used, so that 0 can be no value */
    if (cp_grow(&net->values, &net->values_capacity, net->n_values + 1, sizeof *net->values))
        return cp_net_fail(net, CP_E_MEMORY);
    cp_value value = {.kind = kind, .type = type, .shape = shape};
    if (name && !(value.name = cp_copy_text(name))) return cp_net_fail(net, CP_E_MEMORY);
    net->values[++net->n_values] = value;
    return (cp_node)net->n_values;
}

static cp_node add_to_list(cp_net *net, cp_node **list, int64_t *capacity, int64_t *count, cp_node value) {
    if (!value) return 0;
    if (cp_grow(list, capacity, *count, sizeof **list)) return cp_net_fail(net, CP_E_MEMORY);
    (*list)[(*count)++] = value;
    return value;
}

cp_node cp_net_input(cp_net *net, const char *name, cp_type type, cp_shape shape) {
    if (cp_net_check(net)) return 0;
    cp_status status = cp_check_shape(shape, type, name ? name : "input");
    if (!status && cp_is_half(type))
        status = cp_fail(CP_E_ARG, "input '%s' has type %s, which is for storage: nets compute in f32",
                         name ? name : "", cp_type_name(type));
    for (int a = 1; !status && a < shape.rank; a++)
        if (shape.dim[a] == 0)
            status = cp_fail(CP_E_SHAPE, "input '%s': dimension %d is 0: only the batch, in front, may be left open",
                             name ? name : "", a);
    for (int i = 0; !status && name && i < net->n_inputs; i++)
        if (!strcmp(cp_net_input_name(net, i), name)) status = cp_fail(CP_E_ARG, "two inputs are named '%s'", name);
    if (status) return cp_net_fail(net, status);
    cp_node value = add_value(net, CP_VALUE_INPUT, type, shape, name ? name : "input");
    return add_to_list(net, &net->inputs, &net->inputs_capacity, &net->n_inputs, value);
}

static cp_node add_constant(cp_net *net, const char *name, const cp_tensor *tensor, cp_type type) {
    if (cp_net_check(net)) return 0;
    cp_status status = tensor ? cp_check_tensor(tensor, tensor->type, name ? name : "constant")
                              : cp_fail(CP_E_ARG, "a constant needs a tensor");
    if (status) return cp_net_fail(net, status);
    return add_value(net, CP_VALUE_CONSTANT, type, tensor->shape, name ? name : "constant");
}

cp_node cp_net_lent_constant(cp_net *net, const char *name, const cp_tensor *tensor) {
    const cp_node value = add_constant(net, name, tensor, tensor ? tensor->type : CP_F32);
    if (value) cp_net_lend(net, value, tensor);
    return value;
}

cp_node cp_net_constant(cp_net *net, const char *name, const cp_tensor *tensor) {
    const cp_type type = !tensor || cp_is_half(tensor->type) ? CP_F32 : tensor->type;
    const cp_node value = add_constant(net, name, tensor, type);
    if (!value) return 0;
    void *numbers;
    cp_status status = cp_net_numbers(net, value, &numbers);
    if (status) return cp_net_fail(net, status);
    const cp_tensor copy = cp_view(numbers, type, tensor->shape);
    status = type == tensor->type ? cp_tensor_copy(&copy, tensor) : cp_tensor_convert(&copy, tensor);
    return status ? cp_net_fail(net, status) : value;
}

cp_node cp_net_add_parameter(cp_net *net, const char *name, cp_shape shape) {
    if (cp_net_check(net)) return 0;
    cp_status status = cp_check_shape(shape, CP_F32, name);
    if (!status && cp_shape_count(shape) == 0) status = cp_fail(CP_E_SHAPE, "parameter '%s' has no elements", name);
    for (int i = 0; !status && i < net->n_parameters; i++)
        if (!strcmp(cp_net_parameter_name(net, i), name))
            status = cp_fail(CP_E_ARG, "two parameters are named '%s'", name);
    if (status) return cp_net_fail(net, status);
    cp_node value = add_value(net, CP_VALUE_PARAMETER, CP_F32, shape, name);
    return add_to_list(net, &net->parameters, &net->parameters_capacity, &net->n_parameters, value);
}

void cp_net_output(cp_net *net, cp_node value, const char *name) {
    if (cp_net_check(net)) return;
    if (!cp_net_value(net, value)) {
        cp_net_fail(net, cp_fail(CP_E_ARG, "output '%s' is no value of this net", name ? name : ""));
        return;
    }
    if (cp_grow(&net->outputs, &net->outputs_capacity, net->n_outputs, sizeof *net->outputs)) {
        cp_net_fail(net, CP_E_MEMORY);
        return;
    }
    cp_named output = {.name = cp_copy_text(name ? name : "output"), .value = value};
    if (!output.name)
        cp_net_fail(net, CP_E_MEMORY);
    else
        net->outputs[net->n_outputs++] = output;
}

/* --- nodes --- */

cp_status cp_net_infer(const cp_net *net, const cp_net_node *node, const cp_shape *shapes, cp_problem *problem) {
    problem->inputs = node->inputs;
    problem->outputs = node->op->outputs;
    for (int i = 0; i < node->inputs; i++) {
        const cp_value *v = cp_net_value(net, node->in[i]);
        problem->in[i] = !v ? (cp_shape){.rank = -1} : shapes ? shapes[node->in[i]] : v->shape;
        problem->in_type[i] = v && v->type != CP_F32 ? v->type : problem->type;
    }
    return node->op->infer(problem, &node->attributes);
}

/* "conv" for conv, "pool" for every pooling: what layers are numbered by. */
static const char *family(const cp_op *op) {
    size_t length = strlen(op->name);
    return length >= 5 && !strcmp(op->name + length - 5, "-pool") ? "pool" : op->name;
}

/* The name that was asked for, or the family's with the next number: fresh memory. */
static char *take_name(cp_net *net, const cp_op *op) {
    char *name = net->next_name;
    net->next_name = NULL;
    if (name) return name;
    int number = 1;
    for (int64_t i = 0; i < net->n_nodes; i++) number += !strcmp(family(net->nodes[i].op), family(op));
    char text[64];
    snprintf(text, sizeof text, "%s%d", family(op), number);
    return cp_copy_text(text);
}

static char *describe(const cp_op *op, const cp_attributes *attributes, const cp_problem *problem) {
    char words[256] = "", text[300];
    if (op->words) op->words(attributes, words, sizeof words);
    const cp_shape y = problem->out[0];
    if (op->counts_filters)
        snprintf(text, sizeof text, "%lld%s%s", (long long)y.dim[y.rank - 1], *words ? " " : "", words);
    else
        snprintf(text, sizeof text, "%s", words);
    return cp_copy_text(text);
}

cp_node cp_net_add_node(cp_net *net, const cp_op *op, const cp_attributes *attributes, const cp_node *in, int inputs) {
    if (cp_net_check(net)) return 0;
    cp_net_node node = {.op = op, .attributes = *attributes, .inputs = inputs};
    if (inputs < op->min_inputs || inputs > op->max_inputs)
        return cp_net_fail(net, cp_fail(CP_E_ARG, "%s takes %d to %d inputs, has %d", op->name, op->min_inputs,
                                        op->max_inputs, inputs));
    for (int i = 0; i < inputs; i++) {
        if (in[i] ? !cp_net_value(net, in[i]) : i < op->min_inputs)
            return cp_net_fail(net, cp_fail(CP_E_ARG, "%s: input %d is no value of this net", op->name, i));
        node.in[i] = in[i];
    }
    if (cp_grow(&net->nodes, &net->nodes_capacity, net->n_nodes, sizeof node)) return cp_net_fail(net, CP_E_MEMORY);
    node.name = take_name(net, op);
    if (!node.name) return cp_net_fail(net, CP_E_MEMORY);
    cp_problem problem = {.type = CP_F32};
    cp_status status = cp_net_infer(net, &node, NULL, &problem);
    if (status)
        cp_fail_within(status, "%s", node.name);
    else if (!(node.detail = describe(op, attributes, &problem)))
        status = CP_E_MEMORY;
    for (int i = 0; !status && i < op->outputs; i++) {
        node.out[i] = add_value(net, CP_VALUE_COMPUTED, problem.out_type[i], problem.out[i], NULL);
        if (!node.out[i])
            status = net->status;
        else {
            net->values[node.out[i]].node = (int32_t)net->n_nodes;
            net->values[node.out[i]].output = i;
        }
    }
    if (status) {
        cp_free(NULL, node.name);
        cp_free(NULL, node.detail);
        return cp_net_fail(net, status);
    }
    net->nodes[net->n_nodes++] = node;
    return node.out[0];
}

/* The values of nodes that are gone keep their numbers, and nothing else. */
void cp_net_drop_dead(cp_net *net) {
    bool *used = cp_zalloc(NULL, net->n_values + 1);
    int64_t kept = net->n_nodes;
    if (!used) return; /* then they stay, which does no harm */
    for (int64_t i = 0; i < net->n_outputs; i++) used[net->outputs[i].value] = true;
    for (int64_t i = net->n_nodes; i-- > 0;) { /* the living ones gather at the end */
        const cp_net_node node = net->nodes[i];
        bool live = false;
        for (int k = 0; k < node.op->outputs; k++) live |= used[node.out[k]];
        for (int k = 0; k < node.inputs && live; k++) used[node.in[k]] = true;
        if (live) {
            net->nodes[--kept] = node;
            continue;
        }
        cp_free(NULL, node.name);
        cp_free(NULL, node.detail);
    }
    net->n_nodes -= kept;
    if (net->n_nodes) memmove(net->nodes, net->nodes + kept, (size_t)net->n_nodes * sizeof *net->nodes);
    for (int64_t i = 0; i < net->n_nodes; i++)
        for (int k = 0; k < net->nodes[i].op->outputs; k++) net->values[net->nodes[i].out[k]].node = (int32_t)i;
    for (int64_t v = 1; v <= net->n_values; v++) {
        if (net->values[v].kind != CP_VALUE_CONSTANT || used[v]) continue;
        cp_free(NULL, net->values[v].data);
        net->values[v].data = NULL;
        net->values[v].lent = (cp_tensor){0};
        net->values[v].shape = (cp_shape){.rank = 1};
    }
    cp_free(NULL, used);
}

/* --- copies --- */

/* Into memory of its own: what was lent may be gone when the copy still lives. */
static cp_status copy_numbers(cp_net *to, cp_node copy, const cp_value *from) {
    void *numbers;
    if (from->kind != CP_VALUE_CONSTANT && from->kind != CP_VALUE_PARAMETER) return CP_OK;
    const void *data = __atomic_load_n(&from->data, __ATOMIC_ACQUIRE);
    if (!data) to->values[copy].lent = from->lent;
    const cp_status status = cp_net_numbers(to, copy, &numbers);
    if (!status && data) memcpy(numbers, data, (size_t)value_bytes(from));
    to->values[copy].lent = (cp_tensor){0};
    return status;
}

static cp_status copy_values(cp_net *to, const cp_net *from) {
    for (int64_t i = 1; i <= from->n_values; i++) {
        const cp_value *v = &from->values[i];
        cp_node copy = add_value(to, v->kind, v->type, v->shape, v->name);
        if (!copy) return to->status;
        to->values[copy].node = v->node;
        to->values[copy].output = v->output;
        const cp_status status = copy_numbers(to, copy, v);
        if (status) return status;
    }
    for (int64_t i = 0; i < from->n_inputs; i++)
        add_to_list(to, &to->inputs, &to->inputs_capacity, &to->n_inputs, from->inputs[i]);
    for (int64_t i = 0; i < from->n_parameters; i++)
        add_to_list(to, &to->parameters, &to->parameters_capacity, &to->n_parameters, from->parameters[i]);
    return to->status;
}

static cp_status copy_nodes(cp_net *to, const cp_net *from) {
    for (int64_t i = 0; i < from->n_nodes; i++) {
        if (cp_grow(&to->nodes, &to->nodes_capacity, to->n_nodes, sizeof *to->nodes)) return CP_E_MEMORY;
        cp_net_node *node = &to->nodes[to->n_nodes++];
        *node = from->nodes[i];
        node->name = cp_copy_text(from->nodes[i].name);
        node->detail = cp_copy_text(from->nodes[i].detail);
        if (!node->name || !node->detail) return CP_E_MEMORY;
    }
    return CP_OK;
}

cp_status cp_net_clone(cp_net **copy, const cp_net *net) {
    if (!copy) return cp_fail(CP_E_ARG, "copy is NULL");
    *copy = NULL;
    cp_net *to;
    cp_status status = cp_net_check(net);
    if (!status) status = cp_net_new(&to);
    if (status) return status;
    status = copy_values(to, net);
    if (!status) status = copy_nodes(to, net);
    for (int64_t i = 0; !status && i < net->n_outputs; i++) {
        cp_net_output(to, net->outputs[i].value, net->outputs[i].name);
        status = to->status;
    }
    for (int64_t i = 0; !status && i < net->n_notes; i++)
        status = cp_net_set_note(to, net->notes[i].name, net->notes[i].text);
    if (status) {
        cp_net_free(to);
        return status;
    }
    *copy = to;
    return CP_OK;
}

/* --- notes --- */

static int64_t find_note(const cp_net *net, const char *name) {
    for (int64_t i = 0; i < net->n_notes; i++)
        if (!strcmp(net->notes[i].name, name)) return i;
    return -1;
}

const char *cp_net_note(const cp_net *net, const char *name) {
    int64_t i = net && name ? find_note(net, name) : -1;
    return i < 0 ? NULL : net->notes[i].text;
}

static void remove_note(cp_net *net, int64_t i) {
    cp_free(NULL, net->notes[i].name);
    cp_free(NULL, net->notes[i].text);
    net->notes[i] = net->notes[--net->n_notes];
}

cp_status cp_net_set_note(cp_net *net, const char *name, const char *value) {
    if (!net || !name) return cp_fail(CP_E_ARG, "%s is NULL", net ? "name" : "net");
    int64_t i = find_note(net, name);
    if (!value) {
        if (i >= 0) remove_note(net, i);
        return CP_OK;
    }
    if (cp_grow(&net->notes, &net->notes_capacity, net->n_notes, sizeof *net->notes)) return CP_E_MEMORY;
    cp_named note = {.name = cp_copy_text(name), .text = cp_copy_text(value)};
    if (!note.name || !note.text) {
        cp_free(NULL, note.name);
        cp_free(NULL, note.text);
        return CP_E_MEMORY;
    }
    if (i >= 0) remove_note(net, i);
    net->notes[net->n_notes++] = note;
    return CP_OK;
}

/* --- what is in a net --- */

cp_shape cp_net_shape(const cp_net *net, cp_node value) {
    const cp_value *v = cp_net_value(net, value);
    return v ? v->shape : (cp_shape){0};
}

cp_type cp_net_type(const cp_net *net, cp_node value) {
    const cp_value *v = cp_net_value(net, value);
    return v ? v->type : CP_F32;
}

int cp_net_inputs(const cp_net *net) {
    return net ? (int)net->n_inputs : 0;
}
int cp_net_outputs(const cp_net *net) {
    return net ? (int)net->n_outputs : 0;
}
int cp_net_parameters(const cp_net *net) {
    return net ? (int)net->n_parameters : 0;
}
cp_node cp_net_input_node(const cp_net *net, int i) {
    return i >= 0 && i < cp_net_inputs(net) ? net->inputs[i] : 0;
}
cp_node cp_net_output_node(const cp_net *net, int i) {
    return i >= 0 && i < cp_net_outputs(net) ? net->outputs[i].value : 0;
}
cp_node cp_net_parameter_node(const cp_net *net, int i) {
    return i >= 0 && i < cp_net_parameters(net) ? net->parameters[i] : 0;
}

static const char *value_name(const cp_net *net, cp_node value) {
    const cp_value *v = cp_net_value(net, value);
    return v ? v->name : NULL;
}
const char *cp_net_input_name(const cp_net *net, int i) {
    return value_name(net, cp_net_input_node(net, i));
}
const char *cp_net_parameter_name(const cp_net *net, int i) {
    return value_name(net, cp_net_parameter_node(net, i));
}
const char *cp_net_output_name(const cp_net *net, int i) {
    return i >= 0 && i < cp_net_outputs(net) ? net->outputs[i].name : NULL;
}

cp_tensor cp_net_parameter(const cp_net *net, int i) {
    const cp_node node = cp_net_parameter_node(net, i);
    void *numbers;
    if (!node || cp_net_numbers(net, node, &numbers)) return (cp_tensor){0};
    return cp_view(numbers, net->values[node].type, net->values[node].shape);
}
