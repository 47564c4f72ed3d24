/* The model as it stands in the file: its lists of nodes, initializers, inputs and outputs, and who produces what. All
 * names and numbers stay where they lie. Source: onnx/onnx.proto. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "onnx/onnx.h"

/* A file may not make us allocate much more than its own size. */
enum { MOST_NODES = 1 << 15, MOST_NAMES = 1 << 16, MOST_LINKS = 1 << 22, MOST_GRAPHS = 32, TABLE = 1 << 14 };

const char *cp_bytes_text(cp_bytes bytes, char text[CP_NAME_TEXT]) {
    return cp_escape((const char *)bytes.data, (size_t)bytes.length, text);
}

const char *cp_onnx_type_name(int type) {
    static const char *const names[] = {"UNDEFINED", "FLOAT",  "UINT8",     "INT8",       "UINT16",  "INT16",
                                        "INT32",     "INT64",  "STRING",    "BOOL",       "FLOAT16", "DOUBLE",
                                        "UINT32",    "UINT64", "COMPLEX64", "COMPLEX128", "BFLOAT16"};
    return type >= 0 && type < (int)(sizeof names / sizeof *names) ? names[type] : "of another type";
}

/* --- names --- */

static uint32_t hash(cp_bytes text) {
    uint32_t h = 2166136261u; /* Fowler, Noll and Vo's */
    for (int64_t i = 0; i < text.length; i++) h = (h ^ text.data[i]) * 16777619u;
    return (h ^ h >> 15) % TABLE;
}

/* The number of a name, a new one where it is new; 0 for the empty name, which stands for nothing. */
static cp_status name_of(cp_onnx_model *m, cp_bytes text, int32_t *number) {
    *number = 0;
    if (!text.length) return CP_OK;
    int32_t *chain = &m->table[hash(text)];
    for (int32_t i = *chain; i; i = m->names[i].next)
        if (m->names[i].text.length == text.length && !memcmp(m->names[i].text.data, text.data, (size_t)text.length)) {
            *number = i;
            return CP_OK;
        }
    if (m->n_names >= MOST_NAMES) return cp_fail(CP_E_LIMIT, "more than %d names", MOST_NAMES);
    if (cp_grow(&m->names, &m->names_capacity, m->n_names + 1, sizeof *m->names)) return CP_E_MEMORY;
    m->names[++m->n_names] = (cp_onnx_name){.text = text, .node = -1, .initializer = -1, .next = *chain};
    *number = *chain = (int32_t)m->n_names;
    return CP_OK;
}

static cp_status add_link(cp_onnx_model *m, cp_bytes text) {
    int32_t number;
    cp_status status = name_of(m, text, &number);
    if (!status && m->n_links >= MOST_LINKS)
        status = cp_fail(CP_E_LIMIT, "more than %d inputs and outputs of nodes", MOST_LINKS);
    if (!status) status = cp_grow(&m->links, &m->links_capacity, m->n_links, sizeof *m->links);
    if (!status) m->links[m->n_links++] = number;
    return status;
}

/* --- tensors --- */

static bool holds_numbers(int64_t field) {
    return (field >= 4 && field <= 7) || (field >= 9 && field <= 11);
}

static cp_status add_dimension(cp_onnx_tensor *t, int64_t size) {
    if (t->shape.rank == CP_MAX_RANK)
        return cp_fail(CP_E_UNSUPPORTED, "more than %d dimensions are not supported", CP_MAX_RANK);
    if (size < 0) return cp_fail(CP_E_FORMAT, "dimension %d is %" PRId64, t->shape.rank, size);
    t->shape.dim[t->shape.rank++] = size;
    return CP_OK;
}

static cp_status add_dimensions(cp_onnx_tensor *t, const cp_wire_field *field) {
    int64_t position = 0;
    uint64_t size;
    cp_status status = CP_OK;
    while (!status && cp_wire_element(field, CP_WIRE_VARINT, &position, &size))
        status = add_dimension(t, (int64_t)size);
    if (!status && !cp_wire_all(field, position)) status = cp_fail(CP_E_FORMAT, "malformed dimensions");
    return status;
}

/* StringStringEntryProto: location, offset, length, checksum. */
static cp_status read_external(cp_onnx_tensor *t, const cp_wire *outer, const cp_wire_field *entry) {
    cp_wire wire = cp_wire_within(outer, entry, "external_data");
    cp_wire_field field;
    cp_bytes key = {0}, value = {0};
    cp_status status;
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number == 1) key = field.bytes;
        if (field.number == 2) value = field.bytes;
    }
    if (cp_bytes_are(key, "location")) t->location = value;
    if (cp_bytes_are(key, "offset")) t->offset = value;
    if (cp_bytes_are(key, "length")) t->length = value;
    return status;
}

static cp_status read_tensor(cp_onnx_tensor *t, cp_wire *wire) {
    cp_wire_field field;
    cp_status status;
    while (cp_wire_next(wire, &field, &status)) {
        if (field.number == 1) status = add_dimensions(t, &field);
        if (field.number == 2) t->type = (int)field.value;
        if (field.number == 8) t->name = field.bytes;
        if (field.number == 13) status = read_external(t, wire, &field);
        if (field.number == 14) t->external = field.value == 1;
        if (field.number == 9) t->raw = field.bytes;
        const bool empty = field.type == CP_WIRE_BYTES && !field.bytes.length && field.number != 9;
        if (holds_numbers(field.number) && t->field != field.number && !empty) {
            t->field = (int)field.number;
            t->fields++;
        }
        if (status) break;
    }
    return status;
}

cp_status cp_onnx_tensor_decode(cp_onnx_tensor *tensor, const cp_wire *outer, const cp_wire_field *field,
                                const char *path) {
    cp_wire wire = cp_wire_within(outer, field, path);
    *tensor = (cp_onnx_tensor){.message = field->bytes};
    const cp_status status = read_tensor(tensor, &wire);
    if (!status || !tensor->name.length) return status;
    char name[CP_NAME_TEXT];
    return cp_fail_within(status, "'%s'", cp_bytes_text(tensor->name, name));
}

/* --- inputs and outputs --- */

static cp_status read_dimension(cp_onnx_declared *d, const cp_wire *outer, const cp_wire_field *dimension) {
    cp_wire wire = cp_wire_within(outer, dimension, "dim");
    cp_wire_field field;
    cp_status status;
    const int at = d->shape.rank++;
    d->shape.dim[at] = CP_ONNX_UNKNOWN;
    d->symbol[at] = (cp_bytes){0};
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number == 1) d->shape.dim[at] = (int64_t)field.value < 0 ? CP_ONNX_UNKNOWN : (int64_t)field.value;
        if (field.number == 2) d->symbol[at] = field.bytes;
    }
    return status;
}

static cp_status read_shape(cp_onnx_declared *d, const cp_wire *outer, const cp_wire_field *shape) {
    cp_wire wire = cp_wire_within(outer, shape, "shape");
    cp_wire_field field;
    cp_status status;
    d->shape.rank = 0;
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number != 1) continue;
        status = d->shape.rank < CP_MAX_RANK
                     ? read_dimension(d, &wire, &field)
                     : cp_fail(CP_E_UNSUPPORTED, "more than %d dimensions are not supported", CP_MAX_RANK);
        if (status) break;
    }
    return status;
}

/* TypeProto.Tensor; what is no tensor has no type here. */
static cp_status read_type(cp_onnx_declared *d, const cp_wire *outer, const cp_wire_field *type) {
    cp_wire wire = cp_wire_within(outer, type, "type"), tensor;
    cp_wire_field field, part;
    cp_status status;
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number != 1) continue;
        tensor = cp_wire_within(&wire, &field, "tensor_type");
        while (cp_wire_next(&tensor, &part, &status)) {
            if (part.number == 1) d->type = (int)part.value;
            if (part.number == 2) status = read_shape(d, &tensor, &part);
            if (status) break;
        }
        if (status) break;
    }
    return status;
}

static cp_status read_declared(cp_onnx_model *m, const cp_wire *outer, const cp_wire_field *info, const char *path,
                               cp_onnx_declared **list, int64_t *capacity, int64_t *count) {
    cp_wire wire = cp_wire_within(outer, info, path);
    cp_wire_field field;
    cp_status status;
    cp_onnx_declared d = {.shape.rank = -1};
    cp_bytes name = {0};
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number == 1) name = field.bytes;
        if (field.number == 2) status = read_type(&d, &wire, &field);
        if (status) break;
    }
    if (!status && !name.length) status = cp_fail(CP_E_FORMAT, "an %s of the graph has no name", path);
    if (!status && *count >= MOST_NODES) status = cp_fail(CP_E_LIMIT, "more than %d %ss", MOST_NODES, path);
    if (!status) status = name_of(m, name, &d.value);
    if (!status) status = cp_grow(list, capacity, *count, sizeof **list);
    if (!status) (*list)[(*count)++] = d;
    return status;
}

/* --- graphs within attributes: nothing runs them, but they must be well formed, too --- */

static cp_status check_graph(const cp_wire *outer, const cp_wire_field *graph, int depth);

static cp_status check_attribute(const cp_wire *outer, const cp_wire_field *attribute, int depth) {
    cp_wire wire = cp_wire_within(outer, attribute, "attribute");
    cp_wire_field field;
    cp_status status;
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number == 6 || field.number == 11) status = check_graph(&wire, &field, depth + 1);
        if (status) break;
    }
    return status;
}

static cp_status check_graph(const cp_wire *outer, const cp_wire_field *graph, int depth) {
    cp_wire wire = cp_wire_within(outer, graph, "graph"), node;
    cp_wire_field field, part;
    cp_status status = CP_OK;
    if (depth > MOST_GRAPHS) return cp_fail(CP_E_FORMAT, "nesting deeper than %d graphs", MOST_GRAPHS);
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number != 1) continue;
        node = cp_wire_within(&wire, &field, "node");
        while (cp_wire_next(&node, &part, &status)) {
            if (part.number == 5) status = check_attribute(&node, &part, depth);
            if (status) break;
        }
        if (status) break;
    }
    return status;
}

/* --- nodes --- */

/* Inputs and outputs lie in one list, so that one pass reads the inputs and another the outputs. */
static cp_status read_links(cp_onnx_model *m, const cp_wire *node, int64_t number, int *count) {
    cp_wire wire = *node;
    cp_wire_field field;
    cp_status status;
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number != number) continue;
        status = add_link(m, field.bytes);
        if (status) break;
        ++*count;
    }
    return status;
}

static cp_status check_produced(cp_onnx_model *m, const cp_onnx_node *node) {
    char name[CP_NAME_TEXT];
    for (int i = 0; i < node->outputs; i++) {
        const int32_t value = m->links[node->first_output + i];
        if (!value) continue;
        if (m->names[value].node >= 0)
            return cp_fail(CP_E_FORMAT, "'%s' is produced twice", cp_bytes_text(m->names[value].text, name));
        m->names[value].node = (int32_t)m->n_nodes;
    }
    return CP_OK;
}

static cp_status read_node(cp_onnx_model *m, const cp_wire *outer, const cp_wire_field *node) {
    cp_wire wire = cp_wire_within(outer, node, "node");
    const cp_wire whole = wire;
    cp_wire_field field;
    cp_status status;
    cp_onnx_node n = {.message = node->bytes};
    if (m->n_nodes >= MOST_NODES) return cp_fail(CP_E_LIMIT, "more than %d nodes", MOST_NODES);
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number == 3) n.name = field.bytes;
        if (field.number == 4) n.op = field.bytes;
        if (field.number == 5) status = check_attribute(&wire, &field, 0);
        if (field.number == 7) n.domain = field.bytes;
        if (status) return status;
    }
    if (status) return status;
    n.first_input = m->n_links;
    status = read_links(m, &whole, 1, &n.inputs);
    n.first_output = m->n_links;
    if (!status) status = read_links(m, &whole, 2, &n.outputs);
    if (!status) status = check_produced(m, &n);
    if (!status) status = cp_grow(&m->nodes, &m->nodes_capacity, m->n_nodes, sizeof n);
    if (!status) m->nodes[m->n_nodes++] = n;
    return status;
}

static cp_status read_initializer(cp_onnx_model *m, const cp_wire *outer, const cp_wire_field *field) {
    cp_onnx_tensor t;
    int32_t value;
    char name[CP_NAME_TEXT];
    cp_status status = cp_onnx_tensor_decode(&t, outer, field, "initializer");
    if (!status && !t.name.length) status = cp_fail(CP_E_FORMAT, "an initializer has no name");
    if (!status && m->n_initializers >= MOST_NODES)
        status = cp_fail(CP_E_LIMIT, "more than %d initializers", MOST_NODES);
    if (!status) status = name_of(m, t.name, &value);
    if (status) return status;
    if (m->names[value].initializer >= 0)
        return cp_fail(CP_E_FORMAT, "initializer '%s' is given twice", cp_bytes_text(t.name, name));
    m->names[value].initializer = (int32_t)m->n_initializers;
    if (cp_grow(&m->initializers, &m->initializers_capacity, m->n_initializers, sizeof t)) return CP_E_MEMORY;
    m->initializers[m->n_initializers++] = t;
    return CP_OK;
}

static cp_status read_graph(cp_onnx_model *m, const cp_wire *outer, const cp_wire_field *graph) {
    cp_wire wire = cp_wire_within(outer, graph, "graph");
    cp_wire_field field;
    cp_status status;
    while (cp_wire_next(&wire, &field, &status)) {
        switch (field.number) {
        case 1:
            status = read_node(m, &wire, &field);
            break;
        case 5:
            status = read_initializer(m, &wire, &field);
            break;
        case 11:
            status = read_declared(m, &wire, &field, "input", &m->inputs, &m->inputs_capacity, &m->n_inputs);
            break;
        case 12:
            status = read_declared(m, &wire, &field, "output", &m->outputs, &m->outputs_capacity, &m->n_outputs);
            break;
        case 15:
            status = cp_fail(CP_E_UNSUPPORTED, "sparse initializers are not supported");
            break;
        default: /* names, texts, shapes of values between, which follow from the rest */
            break;
        }
        if (status) break;
    }
    return status;
}

/* --- the order of the nodes --- */

/* What an input waits for: a node, or -1. */
static int32_t awaited(const cp_onnx_model *m, int64_t link) {
    const int32_t value = m->links[link];
    return value ? m->names[value].node : -1;
}

/* The node that node `at` waits for and that was never ready. */
static int32_t stuck_before(const cp_onnx_model *m, const int32_t *waiting, int32_t at) {
    const cp_onnx_node *n = &m->nodes[at];
    for (int i = 0; i < n->inputs; i++) {
        const int32_t before = awaited(m, n->first_input + i);
        if (before >= 0 && waiting[before]) return before;
    }
    return at;
}

/* A node by the name of what it computes. */
static const char *output_name(const cp_onnx_model *m, int32_t at, char text[CP_NAME_TEXT]) {
    const cp_onnx_node *n = &m->nodes[at];
    return cp_bytes_text(n->outputs ? m->names[m->links[n->first_output]].text : n->name, text);
}

/* Whoever follows inputs that were never ready is in a cycle after as many steps as there are nodes; then once around:
 * "cycle: a -> b -> a". */
static cp_status fail_cycle(const cp_onnx_model *m, const int32_t *waiting) {
    enum { SHOWN = 8 };
    char text[1000], name[CP_NAME_TEXT];
    int32_t at = 0, path[SHOWN];
    int n = 0;
    while (!waiting[at]) at++;
    for (int64_t i = 0; i < m->n_nodes; i++) at = stuck_before(m, waiting, at);
    const int32_t start = at;
    do {
        path[n++] = at;
        at = stuck_before(m, waiting, at);
    } while (n < SHOWN && at != start);
    int length = snprintf(text, sizeof text, "%.60s", at == start ? output_name(m, start, name) : "...");
    while (n--)
        length += snprintf(text + length, sizeof text - (size_t)length, " -> %.60s", output_name(m, path[n], name));
    return cp_fail(CP_E_FORMAT, "cycle: %s", text);
}

static bool is_sorted(const cp_onnx_model *m) {
    for (int64_t i = 0; i < m->n_nodes; i++)
        for (int k = 0; k < m->nodes[i].inputs; k++)
            if (awaited(m, m->nodes[i].first_input + k) >= i) return false;
    return true;
}

/* Kahn 1962: a node is ready when all that its inputs wait for is done. readers: by node, from first[node] on. */
static cp_status sort_by_readiness(cp_onnx_model *m, int32_t *waiting, int32_t *first, int32_t *readers) {
    const int64_t n = m->n_nodes;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < m->nodes[i].inputs; k++) {
            const int32_t before = awaited(m, m->nodes[i].first_input + k);
            if (before < 0) continue;
            waiting[i]++;
            first[before]++;
        }
    for (int64_t i = 0; i < n; i++) first[i + 1] += first[i]; /* where the next one's begin ... */
    for (int64_t i = n; i-- > 0;)
        for (int k = 0; k < m->nodes[i].inputs; k++) {
            const int32_t before = awaited(m, m->nodes[i].first_input + k);
            if (before >= 0) readers[--first[before]] = (int32_t)i; /* ... and, after these, its own */
        }
    int64_t ready = 0;
    for (int64_t i = 0; i < n; i++)
        if (!waiting[i]) m->order[ready++] = (int32_t)i;
    for (int64_t done = 0; done < ready; done++) {
        const int32_t at = m->order[done];
        for (int32_t k = first[at]; k < first[at + 1]; k++)
            if (!--waiting[readers[k]]) m->order[ready++] = readers[k];
    }
    return ready < n ? fail_cycle(m, waiting) : CP_OK;
}

/* As in the file, where that is an order that can be run: it mostly keeps memory short. */
static cp_status sort(cp_onnx_model *m) {
    const int64_t n = m->n_nodes;
    m->order = cp_zalloc(NULL, (n + 1) * (int64_t)sizeof *m->order);
    if (!m->order) return CP_E_MEMORY;
    if (is_sorted(m)) {
        for (int64_t i = 0; i < n; i++) m->order[i] = (int32_t)i;
        return CP_OK;
    }
    int32_t *waiting = cp_zalloc(NULL, n * (int64_t)sizeof *waiting);
    int32_t *first = cp_zalloc(NULL, (n + 1) * (int64_t)sizeof *first);
    int32_t *readers = cp_zalloc(NULL, m->n_links * (int64_t)sizeof *readers);
    const cp_status status = waiting && first && readers ? sort_by_readiness(m, waiting, first, readers) : CP_E_MEMORY;
    cp_free(NULL, waiting);
    cp_free(NULL, first);
    cp_free(NULL, readers);
    return status;
}

/* Every input of a node comes from a node, an initializer or outside; every output of the graph as well. */
static cp_status check_sources(const cp_onnx_model *m) {
    bool *given = cp_zalloc(NULL, m->n_names + 1);
    char name[CP_NAME_TEXT];
    if (!given) return CP_E_MEMORY;
    cp_status status = CP_OK;
    for (int64_t i = 0; i < m->n_inputs && !status; i++) {
        const int32_t value = m->inputs[i].value;
        if (given[value] || m->names[value].node >= 0)
            status = cp_fail(CP_E_FORMAT, "'%s' is produced twice", cp_bytes_text(m->names[value].text, name));
        given[value] = true;
    }
    for (int64_t i = 1; i <= m->n_names; i++) {
        const cp_onnx_name *n = &m->names[i];
        if (!status && n->initializer >= 0 && n->node >= 0)
            status = cp_fail(CP_E_FORMAT, "'%s' is produced twice", cp_bytes_text(n->text, name));
        if (n->initializer >= 0 || n->node >= 0) given[i] = true;
    }
    for (int64_t i = 0; i < m->n_nodes && !status; i++)
        for (int k = 0; k < m->nodes[i].inputs && !status; k++) {
            const int32_t value = m->links[m->nodes[i].first_input + k];
            char op[CP_NAME_TEXT], text[CP_NAME_TEXT];
            if (!value || given[value]) continue;
            cp_fail(CP_E_FORMAT, "input '%s' is not produced by any node", cp_bytes_text(m->names[value].text, name));
            status = cp_fail_within(CP_E_FORMAT, "node '%s' (%s)", cp_bytes_text(m->nodes[i].name, text),
                                    cp_bytes_text(m->nodes[i].op, op));
        }
    for (int64_t i = 0; i < m->n_outputs && !status; i++)
        if (!given[m->outputs[i].value])
            status = cp_fail(CP_E_FORMAT, "output '%s' is not produced by any node",
                             cp_bytes_text(m->names[m->outputs[i].value].text, name));
    cp_free(NULL, given);
    return status;
}

/* --- the whole --- */

static cp_status read_opset(cp_onnx_model *m, const cp_wire *outer, const cp_wire_field *opset) {
    cp_wire wire = cp_wire_within(outer, opset, "opset_import");
    cp_wire_field field;
    cp_status status;
    cp_bytes domain = {0};
    int64_t version = 0;
    while (cp_wire_next(&wire, &field, &status)) {
        if (field.number == 1) domain = field.bytes;
        if (field.number == 2) version = (int64_t)field.value;
    }
    if (!domain.length || cp_bytes_are(domain, "ai.onnx")) m->opset = version;
    return status;
}

/* Whether it begins like a ModelProto: the first field, mostly ir_version, has a number that a model has. */
static cp_status check_begin(const void *bytes, int64_t length) {
    if (!length) return cp_fail(CP_E_FORMAT, "not an ONNX model (empty file)");
    const uint8_t key = *(const uint8_t *)bytes;
    const int number = key >> 3, type = key & 7;
    const bool counts = number == 1 || number == 5, text = number >= 2 && number <= 14 && number != 5;
    if ((counts && type == CP_WIRE_VARINT) || (text && type == CP_WIRE_BYTES) || key & 0x80) return CP_OK;
    return cp_fail(CP_E_FORMAT, "not an ONNX model");
}

static cp_status read_model(cp_onnx_model *m, cp_wire *wire, bool *has_graph) {
    cp_wire_field field;
    cp_status status;
    while (cp_wire_next(wire, &field, &status)) {
        if (field.number == 1) m->ir_version = (int64_t)field.value;
        if (field.number == 8) status = read_opset(m, wire, &field);
        if (field.number == 7 && *has_graph) status = cp_fail(CP_E_FORMAT, "model has two graphs");
        if (status) break;
        if (field.number == 7) status = read_graph(m, wire, &field);
        if (status) break;
        *has_graph |= field.number == 7;
    }
    return status;
}

cp_status cp_onnx_model_read(cp_onnx_model *model, const void *bytes, int64_t length) {
    *model = (cp_onnx_model){.file = {bytes, length}};
    bool has_graph = false;
    cp_wire wire = cp_wire_of(bytes, length, "model");
    cp_status status = check_begin(bytes, length);
    if (!status && !(model->table = cp_zalloc(NULL, TABLE * (int64_t)sizeof *model->table))) status = CP_E_MEMORY;
    if (!status) status = read_model(model, &wire, &has_graph);
    if (!status && !has_graph) status = cp_fail(CP_E_FORMAT, "model has no graph");
    if (!status && !model->n_outputs) status = cp_fail(CP_E_FORMAT, "graph has no outputs");
    if (!status) status = check_sources(model);
    return status ? status : sort(model);
}

void cp_onnx_model_free(cp_onnx_model *model) {
    cp_free(NULL, model->nodes);
    cp_free(NULL, model->links);
    cp_free(NULL, model->initializers);
    cp_free(NULL, model->inputs);
    cp_free(NULL, model->outputs);
    cp_free(NULL, model->names);
    cp_free(NULL, model->table);
    cp_free(NULL, model->order);
    *model = (cp_onnx_model){0};
}
