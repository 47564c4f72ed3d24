/* From a model to a net: inputs, initializers, one node after the other through the table of operators. What depends on
 * constants alone is computed at once, by the same operators. */
#include <string.h>

#include "onnx/onnx.h"

enum { OLDEST_OPSET = 7, NEWEST_OPSET = 28 };
static const int64_t usual_limit = (int64_t)8 << 30;

static cp_onnx_value *named_value(cp_onnx_loader *l, int32_t name) {
    return &l->values[name];
}

static const char *name_text(const cp_onnx_loader *l, int32_t name, char text[CP_NAME_TEXT]) {
    return cp_bytes_text(l->model->names[name].text, text);
}

/* Behind "conv1: ", the name of a layer that nobody has seen: the node's name says where. */
static const char *without_layer(const char *text) {
    const size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    const bool numbered = length && text[length - 1] >= '0' && text[length - 1] <= '9';
    return numbered && text[0] >= 'a' && !strncmp(text + length, ": ", 2) ? text + length + 2 : text;
}

/* "node 'NAME' (OP): ..." before the net's failure. */
static cp_status fail_in_node(cp_onnx_loader *l) {
    char name[CP_NAME_TEXT], op[CP_NAME_TEXT];
    if (!l->net->status) return CP_OK;
    cp_fail(l->net->status, "%s", without_layer(l->net->text));
    return cp_fail_within(l->net->status, "node '%s' (%s)", cp_bytes_text(l->node->name, name),
                          cp_bytes_text(l->node->op, op));
}

/* --- what comes from outside --- */

/* By name, or by the number that the input has among those that are no initializers. */
static const cp_tensor *given_input(const cp_onnx_loader *l, const char *name) {
    for (int i = 0; i < l->options->n_inputs; i++) {
        const cp_onnx_input *input = &l->options->inputs[i];
        if (input->name ? !strcmp(input->name, name) : i == cp_net_inputs(l->net)) return &input->tensor;
    }
    return NULL;
}

/* The shape of an input: as it is declared, with what was left open as it was given; the batch may stay open. */
static cp_status settle_shape(cp_onnx_loader *l, const cp_onnx_declared *d, const char *name, const cp_tensor *given,
                              cp_shape *shape) {
    char symbol[CP_NAME_TEXT], a[CP_SHAPE_TEXT], b[CP_SHAPE_TEXT];
    *shape = d->shape;
    if (given) {
        bool fits = d->shape.rank < 0 || d->shape.rank == given->shape.rank;
        for (int k = 0; k < d->shape.rank && fits; k++)
            fits = d->shape.dim[k] == CP_ONNX_UNKNOWN || d->shape.dim[k] == given->shape.dim[k];
        for (int k = 0; k < d->shape.rank; k++)
            if (shape->dim[k] == CP_ONNX_UNKNOWN) shape->dim[k] = 0; /* any, in the text */
        if (!fits)
            return cp_fail(CP_E_SHAPE, "input '%s' is %s, the model takes %s (0: any)", name,
                           cp_shape_text(given->shape, a), cp_shape_text(*shape, b));
        *shape = given->shape;
        return CP_OK;
    }
    if (d->shape.rank < 0)
        return cp_fail(CP_E_SHAPE, "input '%s' has no shape: give --shape %s=1x3x224x224", name, name);
    for (int k = 0; k < shape->rank; k++) {
        if (shape->dim[k] != CP_ONNX_UNKNOWN) continue;
        if (k)
            return cp_fail(CP_E_SHAPE, "input '%s': dimension '%s' unknown: give --shape %s=1x3x224x224", name,
                           cp_bytes_text(d->symbol[k], symbol), name);
        shape->dim[0] = 0;
        l->any_batch = true;
    }
    return CP_OK;
}

static cp_status add_input(cp_onnx_loader *l, const cp_onnx_declared *d) {
    char name[CP_NAME_TEXT];
    cp_onnx_value *value = named_value(l, d->value);
    if (l->model->names[d->value].initializer >= 0) return CP_OK; /* models of old list these, too */
    name_text(l, d->value, name);
    const cp_tensor *given = given_input(l, name);
    cp_type type;
    cp_status status = cp_onnx_compute_type(d->type, &type);
    if (status) return cp_fail_within(status, "input '%s'", name);
    *value = (cp_onnx_value){.type = d->type, .made = true};
    status = settle_shape(l, d, name, given, &value->shape);
    if (status) return status;
    if (given && given->data && given->type == type && cp_is_dense(given)) value->data = given->data;
    value->form[0].node = cp_net_input(l->net, name, type, value->shape);
    value->form[0].order = cp_order_plain();
    value->forms = 1;
    return cp_net_check(l->net);
}

static cp_status add_initializer(cp_onnx_loader *l, const cp_onnx_tensor *t, int32_t name) {
    char text[CP_NAME_TEXT];
    cp_onnx_value *value = named_value(l, name);
    *value = (cp_onnx_value){.type = t->type, .shape = t->shape, .made = true, .constant = true};
    const cp_status status = cp_onnx_tensor_numbers(l, t, &value->data, &value->owned);
    return status ? cp_fail_within(status, "initializer '%s'", name_text(l, name, text)) : CP_OK;
}

static cp_status add_initializers(cp_onnx_loader *l) {
    cp_status status = CP_OK;
    for (int32_t name = 1; name <= l->model->n_names && !status; name++)
        if (l->model->names[name].initializer >= 0)
            status = add_initializer(l, &l->model->initializers[l->model->names[name].initializer], name);
    return status;
}

/* --- what depends on constants alone --- */

static bool all_constant(cp_onnx_loader *l) {
    bool any = false;
    for (int i = 0; i < l->node->inputs; i++) {
        const cp_onnx_value *value = cp_onnx_in(l, i);
        if (value && !value->constant) return false;
        any |= value != NULL;
    }
    return any;
}

/* Plans and runs the net of one node and brings its outputs into fresh memory. */
static cp_status compute(cp_onnx_loader *l, cp_net *net, void **memory) {
    cp_ctx *ctx = NULL;
    cp_plan *plan = NULL;
    cp_work *work = NULL;
    cp_tensor outputs[CP_MAX_OUTPUTS];
    const int n = cp_net_outputs(net);
    cp_status status = cp_ctx_new(&ctx, &(cp_options){.max_memory = l->limit});
    for (int i = 0; i < n && !status; i++) {
        const cp_value *v = cp_net_value(net, cp_net_output_node(net, i));
        memory[i] = cp_onnx_memory(l, cp_shape_count(v->shape) * cp_type_size(v->type));
        outputs[i] = cp_view(memory[i], v->type, v->shape);
        if (!memory[i]) status = cp_net_check(net);
    }
    if (!status) status = cp_net_plan(&plan, ctx, net, NULL);
    if (!status) status = cp_work_new(&work, plan);
    if (!status) status = cp_plan_run(plan, work, NULL, 0, outputs, n);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_ctx_free(ctx);
    return status;
}

/* The node's outputs as outputs of the net; which of them: in wanted. */
static int list_outputs(cp_onnx_loader *l, int *wanted) {
    int n = 0;
    for (int i = 0; i < l->node->outputs && n < CP_MAX_OUTPUTS; i++) {
        cp_onnx_value *value = cp_onnx_out(l, i);
        if (!value || !value->made || value->constant) continue;
        cp_net_output(l->net, cp_onnx_want(l, value, cp_order_plain()), "output");
        wanted[n++] = i;
    }
    return n;
}

/* Translates the node into a net of its own, runs that, and keeps the numbers. The inputs are constants again after it.
 */
static cp_status fold(cp_onnx_loader *l, const cp_onnx_operator_row *row) {
    cp_net *outer = l->net;
    void *memory[CP_MAX_OUTPUTS] = {0};
    int wanted[CP_MAX_OUTPUTS];
    cp_status status = cp_net_new(&l->net);
    if (status) {
        l->net = outer;
        return status;
    }
    cp_onnx_value **inputs = cp_zalloc(NULL, (l->node->inputs + 1) * (int64_t)sizeof *inputs);
    if (!inputs) status = CP_E_MEMORY;
    cp_onnx_value *saved = cp_zalloc(NULL, (l->node->inputs + 1) * (int64_t)sizeof *saved);
    if (!saved) status = CP_E_MEMORY;
    for (int i = 0; i < l->node->inputs && !status; i++) {
        inputs[i] = cp_onnx_in(l, i);
        if (!inputs[i]) continue;
        saved[i] = *inputs[i];
        inputs[i]->forms = 0;
    }
    if (!status) row->translate(l);
    const int n = status || l->net->status ? 0 : list_outputs(l, wanted);
    if (!status) status = fail_in_node(l);
    if (!status && n) status = compute(l, l->net, memory);
    if (!status) status = fail_in_node(l);
    for (int k = 0; k < n; k++) {
        cp_onnx_value *value = cp_onnx_out(l, wanted[k]);
        value->forms = 0;
        value->data = value->owned = memory[k];
        value->constant = true;
    }
    for (int i = l->node->inputs; i-- > 0 && inputs && saved;) /* the first copy of an input that is named twice */
        if (inputs[i]) *inputs[i] = saved[i];
    cp_free(NULL, inputs);
    cp_free(NULL, saved);
    cp_net_free(l->net);
    l->net = outer;
    return status;
}

/* --- nodes --- */

static cp_status check_node(const cp_onnx_loader *l, const cp_onnx_operator_row *row) {
    const cp_onnx_node *n = l->node;
    char op[CP_NAME_TEXT], domain[CP_NAME_TEXT];
    const bool own = !n->domain.length || cp_bytes_are(n->domain, "ai.onnx");
    cp_bytes_text(n->op, op);
    if (!own) return cp_fail(CP_E_UNSUPPORTED, "domain '%s' not supported", cp_bytes_text(n->domain, domain));
    if (!row)
        return cp_fail(CP_E_UNSUPPORTED,
                       "operator '%s' not supported ('convpool operators --onnx' lists those that are)", op);
    const int least = row->min_inputs, most = row->max_inputs;
    if (n->inputs < least || (most >= 0 && n->inputs > most)) {
        if (most < 0) return cp_fail(CP_E_FORMAT, "%s takes at least %d inputs, has %d", op, least, n->inputs);
        if (most == least) return cp_fail(CP_E_FORMAT, "%s takes %d inputs, has %d", op, least, n->inputs);
        return cp_fail(CP_E_FORMAT, "%s takes %d %s %d inputs, has %d", op, least, most == least + 1 ? "or" : "to",
                       most, n->inputs);
    }
    if (n->outputs < 1 || (row->max_outputs >= 0 && n->outputs > row->max_outputs))
        return cp_fail(CP_E_FORMAT, "%s gives 1 to %d outputs, has %d", op, row->max_outputs, n->outputs);
    for (int i = 0; i < row->min_inputs; i++)
        if (!l->model->links[n->first_input + i]) return cp_fail(CP_E_FORMAT, "input %d is missing", i);
    return CP_OK;
}

/* All inputs were made: the order of the nodes says so, unless an output of a node before was not provided. */
static cp_status check_made(cp_onnx_loader *l) {
    char name[CP_NAME_TEXT];
    for (int i = 0; i < l->node->inputs; i++) {
        const cp_onnx_value *value = cp_onnx_in(l, i);
        if (value && !value->made)
            return cp_fail(CP_E_UNSUPPORTED, "input '%s' is an output that is not supported",
                           name_text(l, l->model->links[l->node->first_input + i], name));
    }
    return CP_OK;
}

static cp_status translate(cp_onnx_loader *l, const cp_onnx_node *node) {
    l->node = node;
    const cp_onnx_operator_row *row = cp_onnx_operator_find(node->op);
    cp_status status = check_node(l, row);
    if (!status) status = check_made(l);
    if (status) {
        cp_net_fail(l->net, status);
        return fail_in_node(l);
    }
    cp_onnx_check_attributes(l, row->attributes);
    if (cp_onnx_failed(l)) return fail_in_node(l);
    if (all_constant(l)) return fold(l, row);
    row->translate(l);
    return fail_in_node(l);
}

static cp_status add_output(cp_onnx_loader *l, const cp_onnx_declared *d) {
    char name[CP_NAME_TEXT];
    cp_onnx_value *value = named_value(l, d->value);
    name_text(l, d->value, name);
    if (!value->made) return cp_fail(CP_E_UNSUPPORTED, "output '%s' is not supported", name);
    cp_net_output(l->net, cp_onnx_want(l, value, cp_order_plain()), name);
    return cp_net_check(l->net);
}

/* --- the whole --- */

static cp_status check_opset(const cp_onnx_model *m) {
    if (!m->opset) return cp_fail(CP_E_FORMAT, "no opset: the model does not say which operators it is made of");
    if (m->opset >= OLDEST_OPSET && m->opset <= NEWEST_OPSET) return CP_OK;
    return cp_fail(CP_E_UNSUPPORTED, "opset %lld not supported (oldest: %d, newest: %d)", (long long)m->opset,
                   OLDEST_OPSET, NEWEST_OPSET);
}

static cp_status load_graph(cp_onnx_loader *l) {
    const cp_onnx_model *m = l->model;
    cp_status status = check_opset(m);
    if (!status) status = add_initializers(l);
    for (int64_t i = 0; i < m->n_inputs && !status; i++) status = add_input(l, &m->inputs[i]);
    for (int64_t i = 0; i < m->n_nodes && !status; i++) status = translate(l, &m->nodes[m->order[i]]);
    for (int64_t i = 0; i < m->n_outputs && !status; i++) status = add_output(l, &m->outputs[i]);
    if (!status) status = cp_net_fuse(l->net, true);
    if (!status) cp_net_drop_dead(l->net);
    return status;
}

static cp_status load(cp_net **net, const void *bytes, int64_t length, const char *path, const cp_onnx *options) {
    static const cp_onnx defaults = {0};
    cp_onnx_model model;
    cp_onnx_loader l = {.model = &model, .options = options ? options : &defaults, .path = path};
    cp_status status = cp_onnx_model_read(&model, bytes, length);
    l.opset = model.opset;
    l.limit = l.options->max_memory ? l.options->max_memory : usual_limit;
    if (!status) l.values = cp_zalloc(NULL, (model.n_names + 1) * (int64_t)sizeof *l.values);
    if (!status && !l.values) status = CP_E_MEMORY;
    if (!status) status = cp_net_new(&l.net);
    if (!status) status = load_graph(&l);
    if (!status) status = cp_onnx_keep_files(&l);
    for (int64_t i = 1; i <= model.n_names && l.values; i++) cp_free(NULL, l.values[i].owned);
    cp_free(NULL, l.values);
    cp_onnx_close_files(&l);
    cp_onnx_model_free(&model);
    if (status)
        cp_net_free(l.net);
    else
        *net = l.net;
    return status;
}

static cp_status check_options(cp_net **net, const cp_onnx *options) {
    if (!net) return cp_fail(CP_E_ARG, "net is NULL");
    *net = NULL;
    if (!options) return CP_OK;
    if (options->max_memory < 0) return cp_fail(CP_E_ARG, "max_memory must not be negative");
    if (options->n_inputs < 0 || (options->n_inputs && !options->inputs))
        return cp_fail(CP_E_ARG, "%d inputs, or no list of them", options->n_inputs);
    return cp_check_reserved(options->reserved, sizeof options->reserved, "the options");
}

cp_status cp_onnx_load_memory(cp_net **net, const void *bytes, int64_t length, const cp_onnx *options) {
    cp_status status = check_options(net, options);
    if (!status && (length < 0 || (length && !bytes))) status = cp_fail(CP_E_ARG, "no bytes");
    return status ? status : load(net, bytes, length, NULL, options);
}

cp_status cp_onnx_load(cp_net **net, const char *path, const cp_onnx *options) {
    cp_mapped file;
    cp_status status = check_options(net, options);
    if (!status) status = cp_file_map(&file, path, INT64_MAX);
    if (status) return status;
    status = load(net, file.bytes, file.length, path, options);
    if (status)
        cp_file_unmap(&file);
    else if ((status = cp_onnx_keep_file(*net, &file))) {
        cp_net_free(*net);
        *net = NULL;
    }
    return status ? cp_fail_within(status, "%s", path) : CP_OK;
}
