/* Nets as JSON: inputs, parameters and constants by name and shape, then layers in the order of computation, each with
 * the names of what it takes. Attributes stand there only where they are not the usual ones. */
#include "train/train.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------------------------------------------- */

/* What a value is called in the file; NULL for what layers have beside their first output: see reference. */
static const char *name_of(const cp_net *net, cp_node value) {
    const cp_value *v = cp_net_value(net, value);
    if (!v || (v->kind == CP_VALUE_COMPUTED && v->output > 0)) return NULL;
    return v->kind == CP_VALUE_COMPUTED ? net->nodes[v->node].name : v->name;
}

/* How a layer's input is named: "pool1", or "pool1:1" for its output 1. */
static const char *reference(const cp_net *net, cp_node value, char text[256]) {
    const cp_value *v = cp_net_value(net, value);
    if (name_of(net, value)) return name_of(net, value);
    snprintf(text, 256, "%.240s:%d", net->nodes[v->node].name, (int)v->output);
    return text;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every layer is of a kind that the reader knows, and every name stands for one value. */
static cp_status check_net(const cp_net *net) {
    int64_t n = 0;
    if (net->n_values > CP_MAX_NAMES)
        return cp_fail(CP_E_LIMIT, "a net of %" PRId64 " values: a file can have %d", net->n_values, CP_MAX_NAMES);
    for (int64_t i = 0; i < net->n_nodes; i++)
        if (!net->nodes[i].op->fields)
            return cp_fail(CP_E_UNSUPPORTED, "layer '%s': '%s' cannot be saved", net->nodes[i].name,
                           net->nodes[i].op->name);
    const char **names = cp_alloc(NULL, net->n_values * (int64_t)sizeof *names);
    if (!names) return CP_E_MEMORY;
    for (cp_node value = 1; value <= net->n_values; value++)
        if (name_of(net, value)) names[n++] = name_of(net, value);
    qsort(names, (size_t)n, sizeof *names, compare_names);
    cp_status status = CP_OK;
    for (int64_t i = 1; i < n && !status; i++)
        if (!strcmp(names[i - 1], names[i]))
            status = cp_fail(CP_E_ARG, "two values are named '%s': in a file, names must differ", names[i]);
    cp_free(NULL, names);
    return status;
}

static void add_member(cp_text *text, const char *name, const char *value) {
    cp_text_add_json(text, name);
    cp_text_add(text, ":");
    cp_text_add_json(text, value);
}

static void add_integers(cp_text *text, const int64_t *values, int n) {
    for (int i = 0; i < n; i++) cp_text_add(text, "%s%" PRId64, i ? "," : "[", values[i]);
    cp_text_add(text, n ? "]" : "[]");
}

static void add_reals(cp_text *text, const float *values, int n) {
    for (int i = 0; i < n; i++) {
        cp_text_add(text, i ? "," : "[");
        cp_text_add_real(text, (double)values[i]);
    }
    cp_text_add(text, n ? "]" : "[]");
}

static int list_length(const int64_t *values) {
    int n = CP_MAX_AXES;
    while (n > 0 && values[n - 1] == 0) n--;
    return n;
}

static void add_value(cp_text *text, const cp_value *value, bool first, bool typed) {
    cp_text_add(text, first ? "{" : ",{");
    add_member(text, "name", value->name);
    if (typed) {
        cp_text_add(text, ",");
        add_member(text, "type", cp_type_name(value->type));
    }
    cp_text_add(text, ",\"shape\":");
    add_integers(text, value->shape.dim, value->shape.rank);
    cp_text_add(text, "}");
}

static bool is_usual(const cp_field *f, const char *at, int axes) {
    bool usual = true;
    switch (f->kind) {
    case CP_FIELD_AXES:
        for (int a = 0; a < axes; a++) usual &= ((const int64_t *)at)[a] == 0;
        return usual;
    case CP_FIELD_LIST:
        return list_length((const int64_t *)at) == 0;
    case CP_FIELD_REALS:
        for (int a = 0; a < axes; a++) usual &= ((const float *)at)[a] == 0;
        return usual;
    case CP_FIELD_COUNT:
        return *(const int64_t *)at == 0;
    case CP_FIELD_LAYER:
        return *(const uint32_t *)at == 0;
    case CP_FIELD_FLAG:
        return !*(const bool *)at;
    case CP_FIELD_WORD:
        return *(const unsigned *)at == 0;
    case CP_FIELD_REAL:
        return *(const float *)at == 0;
    case CP_FIELD_SHAPE:
        return ((const cp_shape *)at)->rank == 0;
    }
    return usual;
}

static void add_field(cp_text *text, const cp_field *f, const char *at, int axes) {
    cp_text_add_json(text, f->name);
    cp_text_add(text, ":");
    switch (f->kind) {
    case CP_FIELD_AXES:
        add_integers(text, (const int64_t *)at, axes);
        break;
    case CP_FIELD_LIST:
        add_integers(text, (const int64_t *)at, list_length((const int64_t *)at));
        break;
    case CP_FIELD_REALS:
        add_reals(text, (const float *)at, axes);
        break;
    case CP_FIELD_COUNT:
        cp_text_add(text, "%" PRId64, *(const int64_t *)at);
        break;
    case CP_FIELD_LAYER:
        cp_text_add(text, "%" PRIu32, *(const uint32_t *)at);
        break;
    case CP_FIELD_FLAG:
        cp_text_add(text, "true");
        break;
    case CP_FIELD_WORD:
        cp_text_add_json(text, f->words[*(const unsigned *)at]);
        break;
    case CP_FIELD_REAL:
        cp_text_add_real(text, (double)*(const float *)at);
        break;
    case CP_FIELD_SHAPE:
        add_integers(text, ((const cp_shape *)at)->dim, ((const cp_shape *)at)->rank);
        break;
    }
}

static int axes_of(const cp_net *net, cp_node x) {
    const int axes = cp_net_shape(net, x).rank - 2;
    return axes < 0 ? 0 : axes > CP_MAX_AXES ? CP_MAX_AXES : axes;
}

static void add_layer(cp_text *text, const cp_net *net, const cp_net_node *node, bool first) {
    bool none = true;
    cp_text_add(text, first ? "{" : ",{");
    add_member(text, "op", node->op->name);
    cp_text_add(text, ",");
    add_member(text, "name", node->name);
    cp_text_add(text, ",\"inputs\":[");
    for (int i = 0; i < node->inputs; i++) {
        if (i) cp_text_add(text, ",");
        char name[256];
        cp_text_add_json(text,
                         node->in[i] ? reference(net, node->in[i], name) : ""); /* "": an optional one is missing */
    }
    cp_text_add(text, "]");
    for (const cp_field *f = node->op->fields; f->name; f++) {
        const char *at = (const char *)&node->attributes + f->offset;
        const int axes = axes_of(net, node->in[0]);
        if (is_usual(f, at, axes)) continue;
        cp_text_add(text, none ? ",\"attributes\":{" : ",");
        add_field(text, f, at, axes);
        none = false;
    }
    cp_text_add(text, none ? "}" : "}}");
}

cp_status cp_network_write(const cp_net *net, char **json) {
    *json = NULL;
    const cp_status status = check_net(net);
    if (status) return status;
    cp_text text = {0};
    cp_text_add(&text, "{\"inputs\":[");
    for (int i = 0; i < net->n_inputs; i++) add_value(&text, cp_net_value(net, net->inputs[i]), i == 0, true);
    cp_text_add(&text, "],\"parameters\":[");
    for (int i = 0; i < net->n_parameters; i++) add_value(&text, cp_net_value(net, net->parameters[i]), i == 0, false);
    cp_text_add(&text, "],\"constants\":[");
    bool first = true;
    for (cp_node value = 1; value <= net->n_values; value++) {
        if (cp_net_value(net, value)->kind != CP_VALUE_CONSTANT) continue;
        add_value(&text, cp_net_value(net, value), first, true);
        first = false;
    }
    cp_text_add(&text, "],\"layers\":[");
    for (int64_t i = 0; i < net->n_nodes; i++) add_layer(&text, net, &net->nodes[i], i == 0);
    cp_text_add(&text, "],\"outputs\":[");
    for (int64_t i = 0; i < net->n_outputs; i++) {
        cp_text_add(&text, i ? ",{" : "{");
        add_member(&text, "name", net->outputs[i].name);
        cp_text_add(&text, ",");
        add_member(&text, "value", name_of(net, net->outputs[i].value));
        cp_text_add(&text, "}");
    }
    cp_text_add(&text, "]}");
    *json = cp_text_take(&text);
    return *json ? CP_OK : CP_E_MEMORY;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------------------------------------------- */

typedef struct named_value {
    const char *name;
    cp_node value;
} named_value;

typedef struct network_reader {
    const cp_safetensors *file;
    cp_json json;
    cp_net *net;
    named_value *named; /* defined so far */
    int n_named;
} network_reader;

typedef const cp_json_value entry;

static entry *first_of(const network_reader *r, entry *list) {
    return list && list->child ? &r->json.value[list->child] : NULL;
}
static entry *next_of(const network_reader *r, entry *value) {
    return value->next ? &r->json.value[value->next] : NULL;
}

static const char *shown(const char *name, char text[400]) {
    return cp_escape(name, strlen(name), text);
}

/* A failure of the net's builder, on account of what the file says. */
static cp_status builder_failure(const network_reader *r) {
    const char *text;
    const cp_status status = cp_net_error(r->net, &text);
    return cp_fail(status == CP_E_MEMORY || status == CP_E_LIMIT ? status : CP_E_FORMAT, "%s", text);
}

static cp_node find_value(const network_reader *r, const char *name) {
    for (int i = 0; i < r->n_named; i++)
        if (!strcmp(r->named[i].name, name)) return r->named[i].value;
    return 0;
}

/* The same, or "pool1:1": output 1 of a layer. */
static cp_node find_reference(const network_reader *r, const char *name) {
    const char *colon = strrchr(name, ':');
    const cp_node whole = find_value(r, name);
    if (whole || !colon || colon[1] < '1' || colon[1] >= '0' + CP_MAX_OUTPUTS || colon[2]) return whole;
    for (int i = 0; i < r->n_named; i++) {
        if (strncmp(r->named[i].name, name, (size_t)(colon - name)) || r->named[i].name[colon - name]) continue;
        const cp_value *v = cp_net_value(r->net, r->named[i].value);
        return v->kind == CP_VALUE_COMPUTED ? r->net->nodes[v->node].out[colon[1] - '0'] : 0;
    }
    return 0;
}

static cp_status define(network_reader *r, const char *name, cp_node value) {
    char text[400];
    if (!value) return builder_failure(r);
    if (find_value(r, name)) return cp_fail(CP_E_FORMAT, "'%s' is defined twice", shown(name, text));
    if (r->n_named == CP_MAX_NAMES) return cp_fail(CP_E_LIMIT, "a net of more than %d values", CP_MAX_NAMES);
    r->named[r->n_named++] = (named_value){name, value};
    return CP_OK;
}

/* The text that a member of an object is. */
static cp_status read_text(const network_reader *r, entry *object, const char *key, const char **text) {
    entry *member = cp_json_member(&r->json, object, key);
    *text = "";
    if (!member || member->kind != CP_JSON_STRING) return cp_fail(CP_E_FORMAT, "'%s' is missing or no text", key);
    *text = member->text;
    return CP_OK;
}

static cp_status read_integers(const network_reader *r, entry *list, const char *key, int64_t *values, int most,
                               int *n) {
    *n = 0;
    if (!list || list->kind != CP_JSON_ARRAY) return cp_fail(CP_E_FORMAT, "'%s' is missing or no list", key);
    for (entry *e = first_of(r, list); e; e = next_of(r, e)) {
        if (*n == most) return cp_fail(CP_E_FORMAT, "'%s' has more than %d values", key, most);
        if (!cp_json_integer(e, &values[(*n)++])) return cp_fail(CP_E_FORMAT, "'%s' must be whole numbers", key);
    }
    return CP_OK;
}

static cp_status read_reals(const network_reader *r, entry *list, const char *key, float *values, int n) {
    if (!list || list->kind != CP_JSON_ARRAY) return cp_fail(CP_E_FORMAT, "'%s' is no list", key);
    int found = 0;
    for (entry *e = first_of(r, list); e; e = next_of(r, e), found++) {
        if (e->kind != CP_JSON_NUMBER) return cp_fail(CP_E_FORMAT, "'%s' must be numbers", key);
        if (found < n) values[found] = (float)e->number;
    }
    return found == n ? CP_OK : cp_fail(CP_E_FORMAT, "'%s' needs %d values, has %d", key, n, found);
}

static cp_status read_shape(const network_reader *r, entry *object, cp_shape *shape) {
    *shape = (cp_shape){0};
    return read_integers(r, cp_json_member(&r->json, object, "shape"), "shape", shape->dim, CP_MAX_RANK, &shape->rank);
}

static cp_status read_type(const network_reader *r, entry *object, cp_type *type) {
    const char *name;
    char text[400];
    const cp_status status = read_text(r, object, "type", &name);
    if (status) return status;
    for (*type = CP_F32; cp_type_size(*type); (*type)++)
        if (!strcmp(name, cp_type_name(*type))) return CP_OK;
    return cp_fail(CP_E_FORMAT, "unknown type '%s'", shown(name, text));
}

/* Each reads one entry of a list, whose name is known. */
typedef cp_status read_entry(network_reader *r, entry *object, const char *name);

static cp_status read_input(network_reader *r, entry *object, const char *name) {
    cp_type type;
    cp_shape shape;
    cp_status status = read_type(r, object, &type);
    if (!status) status = read_shape(r, object, &shape);
    return status ? status : define(r, name, cp_net_input(r->net, name, type, shape));
}

/* The file's tensor is compared with the shape before any memory of that size is asked for. */
static cp_status read_parameter(network_reader *r, entry *object, const char *name) {
    cp_shape shape;
    cp_status status = read_shape(r, object, &shape);
    if (!status) status = cp_model_check(r->file, name, cp_model_shape(shape));
    return status ? status : define(r, name, cp_net_add_parameter(r->net, name, shape));
}

static cp_status read_constant(network_reader *r, entry *object, const char *name) {
    cp_shape shape;
    cp_type type;
    cp_status status = read_type(r, object, &type);
    if (!status) status = read_shape(r, object, &shape);
    if (!status) status = cp_model_check(r->file, name, shape);
    if (status) return status;
    const cp_tensor *tensor = cp_safetensors_find(r->file, name);
    if (tensor->type != type && !(type == CP_F32 && cp_is_half(tensor->type)))
        return cp_fail(CP_E_FORMAT, "it is %s here, %s in the file", cp_type_name(type), cp_type_name(tensor->type));
    return define(r, name, cp_net_constant(r->net, name, tensor));
}

static cp_status read_field(const network_reader *r, const cp_field *f, entry *value, int axes, char *at) {
    char text[400];
    int n;
    unsigned word = 0;
    switch (f->kind) {
    case CP_FIELD_AXES: {
        const cp_status status = read_integers(r, value, f->name, (int64_t *)at, CP_MAX_AXES, &n);
        if (!status && n != axes) return cp_fail(CP_E_FORMAT, "'%s' needs %d values, has %d", f->name, axes, n);
        return status;
    }
    case CP_FIELD_LIST:
        return read_integers(r, value, f->name, (int64_t *)at, CP_MAX_AXES, &n);
    case CP_FIELD_REALS:
        return read_reals(r, value, f->name, (float *)at, axes);
    case CP_FIELD_COUNT:
        return cp_json_integer(value, (int64_t *)at) ? CP_OK
                                                     : cp_fail(CP_E_FORMAT, "'%s' must be a whole number", f->name);
    case CP_FIELD_LAYER: {
        int64_t number = -1;
        if (!cp_json_integer(value, &number) || number < 0 || number > UINT32_MAX)
            return cp_fail(CP_E_FORMAT, "'%s' must be a whole number below 2^32", f->name);
        *(uint32_t *)at = (uint32_t)number;
        return CP_OK;
    }
    case CP_FIELD_FLAG:
        *(bool *)at = value->number != 0;
        return value->kind == CP_JSON_BOOL ? CP_OK : cp_fail(CP_E_FORMAT, "'%s' must be true or false", f->name);
    case CP_FIELD_WORD:
        if (value->kind != CP_JSON_STRING) return cp_fail(CP_E_FORMAT, "'%s' must be a word", f->name);
        while (f->words[word] && strcmp(f->words[word], value->text)) word++;
        *(unsigned *)at = word;
        return f->words[word] ? CP_OK : cp_fail(CP_E_FORMAT, "%s '%s' is unknown", f->name, shown(value->text, text));
    case CP_FIELD_REAL:
        *(float *)at = (float)value->number;
        return value->kind == CP_JSON_NUMBER ? CP_OK : cp_fail(CP_E_FORMAT, "'%s' must be a number", f->name);
    case CP_FIELD_SHAPE:
        return read_integers(r, value, f->name, ((cp_shape *)at)->dim, CP_MAX_RANK, &((cp_shape *)at)->rank);
    }
    return CP_OK;
}

static cp_status read_attributes(const network_reader *r, const cp_op *op, entry *object, int axes,
                                 cp_attributes *attributes) {
    char text[400];
    *attributes = (cp_attributes){0};
    if (!object) return CP_OK;
    if (object->kind != CP_JSON_OBJECT) return cp_fail(CP_E_FORMAT, "'attributes' is no object");
    for (entry *e = first_of(r, object); e; e = next_of(r, e)) {
        const cp_field *f = op->fields;
        while (f->name && strcmp(f->name, e->key)) f++;
        if (!f->name) return cp_fail(CP_E_FORMAT, "%s has no '%s'", op->name, shown(e->key, text));
        const cp_status status = read_field(r, f, e, axes, (char *)attributes + f->offset);
        if (status) return status;
    }
    return CP_OK;
}

static cp_status read_inputs(const network_reader *r, const cp_op *op, entry *list, cp_node in[CP_MAX_INPUTS], int *n) {
    char text[400];
    *n = 0;
    if (!list || list->kind != CP_JSON_ARRAY) return cp_fail(CP_E_FORMAT, "'inputs' is missing or no list");
    for (entry *e = first_of(r, list); e; e = next_of(r, e), (*n)++) {
        if (*n == op->max_inputs) return cp_fail(CP_E_FORMAT, "%s takes at most %d inputs", op->name, *n);
        if (e->kind != CP_JSON_STRING) return cp_fail(CP_E_FORMAT, "input %d is no name", *n);
        if (*n >= op->min_inputs && !*e->text) continue;
        if (!(in[*n] = find_reference(r, e->text)))
            return cp_fail(CP_E_FORMAT, "input '%s' is not defined before", shown(e->text, text));
    }
    if (*n < op->min_inputs) return cp_fail(CP_E_FORMAT, "%s needs %d inputs, has %d", op->name, op->min_inputs, *n);
    return CP_OK;
}

static cp_status read_layer(network_reader *r, entry *object, const char *name) {
    char text[400];
    const char *op_name;
    cp_node in[CP_MAX_INPUTS] = {0};
    cp_attributes attributes;
    int inputs;
    cp_status status = read_text(r, object, "op", &op_name);
    if (status) return status;
    const cp_op *op = cp_op_find(op_name);
    if (!op || !op->fields) return cp_fail(CP_E_FORMAT, "unknown op '%s'", shown(op_name, text));
    status = read_inputs(r, op, cp_json_member(&r->json, object, "inputs"), in, &inputs);
    if (status) return status;
    status =
        read_attributes(r, op, cp_json_member(&r->json, object, "attributes"), axes_of(r->net, in[0]), &attributes);
    if (status) return status;
    cp_net_name(r->net, name);
    return define(r, name, cp_net_add_node(r->net, op, &attributes, in, inputs));
}

static cp_status read_output(network_reader *r, entry *object, const char *name) {
    const char *value;
    char text[400];
    const cp_status status = read_text(r, object, "value", &value);
    if (status) return status;
    if (!find_value(r, value)) return cp_fail(CP_E_FORMAT, "value '%s' is not defined", shown(value, text));
    cp_net_output(r->net, find_value(r, value), name);
    return cp_net_error(r->net, NULL) ? builder_failure(r) : CP_OK;
}

static cp_status read_list(network_reader *r, const char *key, const char *what, read_entry *read) {
    entry *list = cp_json_member(&r->json, &r->json.value[1], key);
    if (!list || list->kind != CP_JSON_ARRAY) return cp_fail(CP_E_FORMAT, "'%s' is missing or no list", key);
    for (entry *e = first_of(r, list); e; e = next_of(r, e)) {
        const char *name;
        char text[400];
        cp_status status = read_text(r, e, "name", &name);
        if (!status) status = read(r, e, name);
        if (status) return cp_fail_within(status, "%s '%s'", what, shown(name, text));
    }
    return CP_OK;
}

static cp_status read_lists(network_reader *r) {
    cp_status status = read_list(r, "inputs", "input", read_input);
    if (!status) status = read_list(r, "parameters", "parameter", read_parameter);
    if (!status) status = read_list(r, "constants", "constant", read_constant);
    if (!status) status = read_list(r, "layers", "layer", read_layer);
    if (!status) status = read_list(r, "outputs", "output", read_output);
    return status;
}

cp_status cp_network_read(cp_net **net, const char *json, const cp_safetensors *file) {
    network_reader r = {.file = file};
    *net = NULL;
    cp_status status = cp_json_parse(&r.json, json, (int64_t)strlen(json));
    if (!status) status = cp_net_new(&r.net);
    if (!status && !(r.named = cp_alloc(NULL, CP_MAX_NAMES * (int64_t)sizeof *r.named))) status = CP_E_MEMORY;
    if (!status) status = read_lists(&r);
    if (!status)
        *net = r.net;
    else
        cp_net_free(r.net);
    cp_free(NULL, r.named);
    cp_json_free(&r.json);
    return status;
}
