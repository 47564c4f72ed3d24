/* Plans of nets: an algorithm for every node, weights packed, constants computed, memory laid out. */
#include <string.h>

#include "graph/graph.h"

/* What is known while a plan is made. Arrays by value have n_values + 1 places. */
typedef struct planning {
    cp_plan *plan;
    const cp_net *net;
    const cp_plan_options *options;
    const cp_variables *variables;
    cp_shape *shapes; /* by value, the batch filled in */
    int32_t *slots;   /* by value; 0: none yet */
    bool *used;       /* by value: read by a live node, or an output */
    bool *live;       /* by node */
    cp_step *drafts;  /* by node: problem and algorithm; algo NULL: a view */
} planning;

static const cp_plan_options default_options = {0};

static cp_type real_type(const planning *p, cp_type type) {
    return type == CP_F32 ? p->options->type : type;
}

static int64_t bytes_of(cp_shape shape, cp_type type) {
    return cp_shape_count(shape) * cp_type_size(type);
}

/* --- edges and shapes --- */

/* The bytes that an edge's tensor covers, where there are no gaps between them. */
static void cover(cp_edge *edge) {
    const cp_tensor *t = &edge->tensor;
    int64_t low = 0, high = 0, count = cp_shape_count(t->shape), size = cp_type_size(t->type);
    for (int a = 0; a < t->shape.rank; a++) {
        int64_t last = t->shape.dim[a] > 1 ? (t->shape.dim[a] - 1) * t->stride[a] : 0;
        *(last < 0 ? &low : &high) += last;
    }
    edge->first = low * size;
    edge->bytes = high - low + 1 == count ? count * size : 0;
}

/* One input or output as it was asked for, or without gaps. */
static cp_status make_edge(cp_edge *edge, const char *name, cp_shape shape, cp_type type, const cp_tensor *asked) {
    char a[CP_SHAPE_TEXT], b[CP_SHAPE_TEXT];
    if (!(edge->name = cp_copy_text(name))) return CP_E_MEMORY;
    if (!asked) {
        edge->tensor = cp_view(NULL, type, shape);
        cp_status status = cp_check_shape(shape, type, name);
        if (!status) cover(edge);
        return status;
    }
    cp_status status = cp_check_view(asked, type, name);
    if (status) return status;
    if (!cp_shape_same(shape, asked->shape))
        return cp_fail(CP_E_SHAPE, "'%s' is %s, needs %s", name, cp_shape_text(asked->shape, a),
                       cp_shape_text(shape, b));
    edge->tensor = *asked;
    edge->tensor.data = NULL;
    cover(edge);
    return CP_OK;
}

static cp_status make_inputs(planning *p) {
    cp_plan *plan = p->plan;
    for (int i = 0; i < p->net->n_inputs; i++) {
        const cp_value *v = cp_net_value(p->net, p->net->inputs[i]);
        const cp_tensor *asked = p->options->inputs ? &p->options->inputs[i] : NULL;
        cp_shape shape = v->shape;
        if (shape.rank && !shape.dim[0]) /* any batch */
            shape.dim[0] = asked ? asked->shape.dim[0] : p->options->batch ? p->options->batch : 1;
        cp_status status = make_edge(&plan->inputs[plan->n_inputs], v->name, shape, real_type(p, v->type), asked);
        plan->n_inputs++;
        if (status) return status;
        p->shapes[p->net->inputs[i]] = plan->inputs[i].tensor.shape;
    }
    return CP_OK;
}

/* Which nodes lead to an output, and which values are read. */
static void find_live(planning *p) {
    for (int64_t i = 0; i < p->net->n_outputs; i++) p->used[p->net->outputs[i].value] = true;
    for (int64_t i = p->net->n_nodes - 1; i >= 0; i--) {
        const cp_net_node *node = &p->net->nodes[i];
        for (int k = 0; k < node->op->outputs; k++) p->live[i] |= p->used[node->out[k]];
        for (int k = 0; p->live[i] && k < node->inputs; k++) p->used[node->in[k]] = true;
    }
    p->used[0] = false;
}

/* --- problems and algorithms --- */

static cp_status draft_node(planning *p, int64_t i) {
    const cp_net_node *node = &p->net->nodes[i];
    cp_step *draft = &p->drafts[i];
    draft->op = node->op->name;
    draft->problem = (cp_problem){.kernels = p->plan->ctx.kernels,
                                  .math = p->plan->ctx.math,
                                  .type = p->options->type,
                                  .training = p->options->training};
    cp_status status = cp_net_infer(p->net, node, p->shapes, &draft->problem);
    if (status) return cp_fail_within(status, "%s", node->name);
    for (int k = 0; k < node->op->outputs; k++) {
        p->shapes[node->out[k]] = draft->problem.out[k];
        draft->problem.out_used[k] = p->used[node->out[k]];
    }
    bool view = !node->op->algos || (node->op->is_view && node->op->is_view(&draft->problem));
    if (!view) draft->algo = cp_choose(node->op->name, node->op->algos, &draft->problem);
    return CP_OK;
}

/* A variable is stored in panels when everything that reads it or writes its gradient can work with panels. */
static bool panels_fit(const planning *p, int parameter) {
    cp_node value = p->net->parameters[parameter];
    int gradient = p->variables->gradients[parameter];
    cp_node by = gradient < 0 ? 0 : p->net->outputs[gradient].value;
    bool read = false, written = !by;
    for (int64_t i = 0; i < p->net->n_nodes; i++) {
        if (!p->live[i]) continue;
        const cp_net_node *node = &p->net->nodes[i];
        bool able = p->drafts[i].algo && p->drafts[i].algo->panels;
        for (int k = 0; k < node->inputs; k++) {
            if (node->in[k] == value && (k != 1 || !able)) return false;
            if (by && node->in[k] == by) return false; /* somebody else reads the gradient */
            read |= node->in[k] == value;
        }
        written |= by && node->out[0] == by && able;
    }
    return read && written;
}

static void mark_panels(planning *p) {
    if (!p->variables) return;
    for (int j = 0; j < p->net->n_parameters; j++) {
        bool fit = p->variables->in_panels[j] = panels_fit(p, j);
        cp_node value = p->net->parameters[j];
        int gradient = p->variables->gradients[j];
        cp_node by = gradient < 0 ? 0 : p->net->outputs[gradient].value;
        for (int64_t i = 0; fit && i < p->net->n_nodes; i++) {
            const cp_net_node *node = &p->net->nodes[i];
            bool reads = node->inputs > 1 && node->in[1] == value, writes = by && node->out[0] == by;
            if (p->live[i] && (reads || writes)) p->drafts[i].problem.weights_in_panels = true;
        }
    }
}

cp_panels cp_parameter_panels(const cp_net *net, const cp_kernels *kernels, int parameter) {
    cp_node value = net->parameters[parameter];
    for (int64_t i = 0; i < net->n_nodes; i++)
        if (net->nodes[i].inputs > 1 && net->nodes[i].in[1] == value) {
            cp_shape w = net->values[value].shape;
            int64_t groups = cp_groups(&net->nodes[i].attributes.conv), filters = w.dim[w.rank - 1];
            return cp_panels_of(kernels, groups, cp_shape_count(w) / filters, filters / groups);
        }
    return (cp_panels){0};
}

/* --- slots --- */

static int32_t add_slot(cp_plan *plan, cp_slot slot) {
    if (cp_grow(&plan->slots, &plan->slots_capacity, plan->n_slots + 1, sizeof slot)) return 0;
    if (slot.bytes > INT64_MAX - CP_ALIGN) {
        cp_fail(CP_E_MEMORY, "no memory for %lld bytes", (long long)slot.bytes);
        return 0;
    }
    if (slot.place == CP_PLACE_ARENA) slot.bytes = cp_round_up(slot.bytes, CP_ALIGN);
    plan->slots[++plan->n_slots] = slot;
    return (int32_t)plan->n_slots;
}

/* A constant's numbers in the type of the plan. */
static int32_t add_fixed(planning *p, cp_node value) {
    const cp_value *v = cp_net_value(p->net, value);
    cp_slot slot = {.place = CP_PLACE_FIXED, .value = value, .bytes = bytes_of(v->shape, real_type(p, v->type))};
    if (real_type(p, v->type) != v->type) {
        void *numbers;
        if (cp_net_numbers(p->net, value, &numbers)) return 0;
        if (!(slot.data = cp_alloc(cp_ctx_allocator(&p->plan->ctx), slot.bytes))) return 0;
        slot.owned = true;
        cp_tensor from = cp_view(numbers, v->type, v->shape);
        for (int64_t i = cp_shape_count(v->shape); i-- > 0;) ((double *)slot.data)[i] = cp_get(&from, i);
    }
    int32_t index = add_slot(p->plan, slot);
    if (!index && slot.owned) cp_free(cp_ctx_allocator(&p->plan->ctx), slot.data);
    return index;
}

static cp_status place_sources(planning *p) {
    for (int64_t v = 1; v <= p->net->n_values; v++) {
        const cp_value *value = &p->net->values[v];
        if (value->kind == CP_VALUE_COMPUTED || value->kind == CP_VALUE_INPUT || !p->used[v]) continue;
        if (value->kind == CP_VALUE_PARAMETER && p->variables) {
            int64_t number = 0;
            while (p->net->parameters[number] != v) number++;
            p->slots[v] = add_slot(p->plan, (cp_slot){.place = CP_PLACE_VARIABLE, .offset = number});
        } else {
            p->slots[v] = add_fixed(p, (cp_node)v);
        }
        if (!p->slots[v]) return CP_E_MEMORY;
    }
    return CP_OK;
}

/* --- steps --- */

static void free_step(cp_step *step) {
    cp_free(NULL, step->layer);
    cp_free(NULL, step->prepared.state);
}

static void life(cp_plan *plan, int32_t slot, int64_t step) {
    cp_slot *s = &plan->slots[slot];
    if (!s->last) s->first = (int32_t)step;
    s->last = (int32_t)step;
}

/* Work below about two microseconds is not worth the other threads. */
static bool is_small(const cp_step *step) {
    const cp_problem *p = &step->problem;
    double cycles = (double)p->multiply_adds / (2.0 * (p->kernels ? p->kernels->lanes : 1));
    for (int k = 0; k < p->outputs; k++) cycles += (double)bytes_of(p->out[k], p->out_type[k]) / 8;
    return cycles < 6000;
}

static bool all_fixed(const cp_plan *plan, const cp_step *step) {
    bool any = false;
    for (int k = 0; k < CP_MAX_INPUTS; k++) {
        if (step->in[k] && plan->slots[step->in[k]].place != CP_PLACE_FIXED) return false;
        any |= step->in[k] != 0;
    }
    return any;
}

static cp_status need_numbers(const cp_net *net, cp_slot *slot) {
    return slot->data ? CP_OK : cp_net_numbers(net, slot->value, &slot->data);
}

/* A constant that a folded step reads: from where it lies, if packing can do that. */
static cp_status give_constant(planning *p, const cp_step *step, int k, cp_call *call) {
    cp_slot *slot = &p->plan->slots[step->in[k]];
    if (step->packs && step->algo->packs_lent && !slot->data) call->lent = cp_net_lent(p->net, slot->value);
    if (call->lent) return CP_OK;
    const cp_status status = need_numbers(p->net, slot);
    call->in[k] = slot->data;
    return status;
}

/* Computes now what depends on constants alone. */
static cp_status fold(planning *p, cp_step *step) {
    cp_plan *plan = p->plan;
    const cp_allocator *allocator = cp_ctx_allocator(&plan->ctx);
    cp_call call = {.problem = &step->problem, .prepared = &step->prepared};
    for (int k = 0; k < CP_MAX_INPUTS; k++)
        if (step->in[k] && give_constant(p, step, k, &call)) return CP_E_MEMORY;
    for (int k = 0; k < CP_MAX_OUTPUTS; k++) {
        if (!step->out[k]) continue;
        cp_slot *out = &plan->slots[step->out[k]];
        if (!(out->data = cp_alloc(allocator, out->bytes))) return CP_E_MEMORY;
        out->place = CP_PLACE_FIXED;
        out->owned = true;
        call.out[k] = out->data;
    }
    const int64_t scratch = cp_scratch_bytes(&step->prepared, cp_threads_count(plan->ctx.threads));
    if (scratch && !(call.scratch = cp_alloc(allocator, scratch))) return CP_E_MEMORY;
    cp_threads_enter(plan->ctx.threads);
    const cp_status status = cp_exec_step(&plan->ctx, step, &call);
    cp_threads_leave(plan->ctx.threads);
    cp_free(allocator, call.scratch);
    return status;
}

/* Takes the step over, also on failure. */
static cp_status add_step(planning *p, cp_step step, const char *layer, bool can_fold) {
    cp_plan *plan = p->plan;
    cp_status status = CP_OK;
    step.small = is_small(&step);
    if (can_fold && all_fixed(plan, &step)) {
        status = fold(p, &step);
        free_step(&step);
        return status;
    }
    if (cp_grow(&plan->steps, &plan->steps_capacity, plan->n_steps, sizeof step) ||
        !(step.layer = cp_copy_text(layer))) {
        free_step(&step);
        return CP_E_MEMORY;
    }
    int64_t number = plan->n_steps + 1; /* from 1: a life of 0 is none */
    plan->steps[plan->n_steps++] = step;
    cp_step *kept = &plan->steps[plan->n_steps - 1];
    const int64_t scratch = cp_scratch_bytes(&step.prepared, cp_threads_count(plan->ctx.threads));
    if (scratch && !step.packs) {
        kept->scratch = add_slot(plan, (cp_slot){.place = CP_PLACE_ARENA, .bytes = scratch});
        if (!kept->scratch) return CP_E_MEMORY;
        life(plan, kept->scratch, number);
    }
    for (int k = 0; k < CP_MAX_INPUTS; k++)
        if (kept->in[k]) life(plan, kept->in[k], number);
    for (int k = 0; k < CP_MAX_OUTPUTS; k++)
        if (kept->out[k]) life(plan, kept->out[k], number);
    return CP_OK;
}

/* The step that packs a node's weights before it, where its algorithm wants that; *packed: their slot. */
static cp_status add_packing(planning *p, const cp_step *user, const char *layer, int32_t weights, int32_t *packed) {
    cp_step step = {.algo = user->algo, .op = "pack", .packs = true, .problem = user->problem};
    step.prepared.packed = user->prepared.packed;
    step.prepared.state = user->prepared.state; /* lent: pack may look at it */
    *packed = add_slot(p->plan, (cp_slot){.place = CP_PLACE_ARENA, .bytes = user->prepared.packed});
    if (!*packed) return CP_E_MEMORY;
    step.in[1] = weights;
    if (user->algo->packs_with) step.in[user->algo->packs_with] = user->in[user->algo->packs_with];
    step.out[0] = *packed;
    if (all_fixed(p->plan, &step)) {
        p->plan->packed += user->prepared.packed;
        return fold(p, &step);
    }
    step.prepared.state = NULL;
    if (user->algo->prepare) { /* a state of its own, so that each step frees what it has */
        cp_status status = user->algo->prepare(&step.problem, &step.prepared);
        if (status) return status;
    }
    step.prepared.scratch = step.prepared.scratch_of_share = 0;
    step.prepared.phases = 0;
    return add_step(p, step, layer, false);
}

static cp_status add_node(planning *p, int64_t i) {
    const cp_net_node *node = &p->net->nodes[i];
    cp_step step = p->drafts[i];
    if (!step.algo) {
        p->slots[node->out[0]] = p->slots[node->in[0]];
        return CP_OK;
    }
    if (step.algo->prepare) {
        cp_status status = step.algo->prepare(&step.problem, &step.prepared);
        if (status) return cp_fail_within(status, "%s", node->name);
    }
    for (int k = 0; k < node->inputs; k++) step.in[k] = p->slots[node->in[k]];
    if (step.prepared.packed) {
        cp_status status = add_packing(p, &step, node->name, step.in[1], &step.in[1]);
        if (status) {
            free_step(&step);
            return status;
        }
    }
    for (int k = 0; k < node->op->outputs; k++) {
        if (!p->used[node->out[k]]) continue;
        int64_t bytes = bytes_of(step.problem.out[k], step.problem.out_type[k]);
        if (step.problem.weights_in_panels && k == 0 && step.in[1] && strstr(step.op, "weight-gradient")) {
            cp_panels panels = cp_weight_panels(&step.problem);
            bytes = cp_panels_floats(&panels) * (int64_t)sizeof(float);
        }
        step.out[k] = p->slots[node->out[k]] = add_slot(p->plan, (cp_slot){.place = CP_PLACE_ARENA, .bytes = bytes});
        if (!step.out[k]) {
            free_step(&step);
            return CP_E_MEMORY;
        }
    }
    return add_step(p, step, node->name, true);
}

/* --- copies at the edges --- */

typedef struct copy_state {
    cp_tensor to, from;
} copy_state;

static void run_copy(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    copy_state copy = *(const copy_state *)call->prepared->state;
    copy.from.data = (void *)call->in[0];
    copy.to.data = call->out[0];
    cp_copy_share(&copy.to, &copy.from, id, n);
}

static const cp_algo copy_algo = {.name = "copy", .run = run_copy};

static cp_status add_copy(planning *p, const char *layer, cp_tensor to, int32_t to_slot, cp_tensor from,
                          int32_t from_slot) {
    copy_state *state = cp_alloc(NULL, sizeof *state);
    if (!state) return CP_E_MEMORY;
    *state = (copy_state){to, from};
    cp_step step = {.algo = &copy_algo, .op = "copy", .prepared.state = state};
    step.problem = (cp_problem){.kernels = p->plan->ctx.kernels, .type = to.type, .inputs = 1, .outputs = 1};
    step.problem.in[0] = from.shape;
    step.problem.out[0] = to.shape;
    step.problem.in_type[0] = step.problem.out_type[0] = to.type;
    step.in[0] = from_slot;
    step.out[0] = to_slot;
    return add_step(p, step, layer, false);
}

/* Inputs that do not lie as the steps read them are copied first. */
static cp_status place_inputs(planning *p) {
    for (int i = 0; i < p->plan->n_inputs; i++) {
        cp_edge *edge = &p->plan->inputs[i];
        edge->slot = add_slot(p->plan, (cp_slot){.place = CP_PLACE_INPUT, .offset = i});
        if (!edge->slot) return CP_E_MEMORY;
        p->slots[p->net->inputs[i]] = edge->slot;
        if (cp_is_dense(&edge->tensor) || !p->used[p->net->inputs[i]]) continue;
        cp_tensor dense = cp_view(NULL, edge->tensor.type, edge->tensor.shape);
        int32_t slot =
            add_slot(p->plan, (cp_slot){.place = CP_PLACE_ARENA, .bytes = bytes_of(dense.shape, dense.type)});
        if (!slot) return CP_E_MEMORY;
        p->slots[p->net->inputs[i]] = slot;
        cp_status status = add_copy(p, edge->name, dense, slot, edge->tensor, edge->slot);
        if (status) return status;
    }
    return CP_OK;
}

/* Elements of an output must not share memory: each is written on its own. */
static cp_status check_apart(const cp_edge *edge) {
    for (int a = 0; a < edge->tensor.shape.rank; a++)
        if (edge->tensor.stride[a] == 0 && edge->tensor.shape.dim[a] > 1)
            return cp_fail(CP_E_ARG, "'%s' stride[%d] = 0: elements of an output must not share memory", edge->name, a);
    return CP_OK;
}

/* An output is computed where the caller wants it, unless it lies otherwise there, or is also something else. */
static cp_status place_outputs(planning *p) {
    cp_plan *plan = p->plan;
    for (int i = 0; i < p->net->n_outputs; i++) {
        const cp_named *output = &p->net->outputs[i];
        const cp_value *v = cp_net_value(p->net, output->value);
        cp_shape shape = p->shapes[output->value];
        int32_t from = p->slots[output->value];
        if (p->variables) /* a gradient that lies in panels is a row of floats at the edge */
            for (int j = 0; j < p->net->n_parameters; j++)
                if (p->variables->gradients[j] == i && p->variables->in_panels[j]) {
                    cp_panels panels = cp_parameter_panels(p->net, plan->ctx.kernels, j);
                    shape = (cp_shape){1, {cp_panels_floats(&panels)}};
                }
        cp_edge *edge = &plan->outputs[i];
        cp_status status = make_edge(edge, output->name, shape, real_type(p, v->type),
                                     p->options->outputs ? &p->options->outputs[i] : NULL);
        plan->n_outputs++;
        if (!status) status = check_apart(edge);
        if (status) return status;
        if (plan->slots[from].place == CP_PLACE_ARENA && cp_is_dense(&edge->tensor)) {
            plan->slots[from].place = CP_PLACE_OUTPUT;
            plan->slots[from].offset = i;
            edge->slot = from;
            continue;
        }
        edge->slot = add_slot(plan, (cp_slot){.place = CP_PLACE_OUTPUT, .offset = i});
        if (!edge->slot) return CP_E_MEMORY;
        status = add_copy(p, edge->name, edge->tensor, edge->slot, cp_view(NULL, edge->tensor.type, shape), from);
        if (status) return status;
    }
    return CP_OK;
}

/* --- the whole --- */

/* Constants that steps still read become the plan's own; the others are let go. */
static cp_status keep_constants(const cp_net *net, cp_plan *plan) {
    for (int64_t i = 1; i <= plan->n_slots; i++) {
        cp_slot *slot = &plan->slots[i];
        if (slot->place != CP_PLACE_FIXED) continue;
        if (!slot->last) {
            if (slot->owned) cp_free(cp_ctx_allocator(&plan->ctx), slot->data);
            slot->data = NULL;
            slot->owned = false;
        } else if (!slot->owned) {
            if (need_numbers(net, slot)) return CP_E_MEMORY;
            void *copy = cp_alloc(cp_ctx_allocator(&plan->ctx), slot->bytes);
            if (!copy) return CP_E_MEMORY;
            memcpy(copy, slot->data, (size_t)slot->bytes);
            slot->data = copy;
            slot->owned = true;
        }
    }
    return CP_OK;
}

static cp_status lay_out(cp_plan *plan) {
    cp_status status = cp_memory_layout(plan->slots + 1, plan->n_slots, &plan->arena);
    if (!status && plan->ctx.max_memory && plan->arena > plan->ctx.max_memory)
        status = cp_fail(CP_E_LIMIT, "needs %lld bytes, limit %lld", (long long)plan->arena,
                         (long long)plan->ctx.max_memory);
    return status;
}

static cp_status build(planning *p) {
    cp_status status = make_inputs(p);
    if (status) return status;
    for (int64_t v = 1; v <= p->net->n_values; v++)
        if (p->net->values[v].kind != CP_VALUE_INPUT) p->shapes[v] = p->net->values[v].shape;
    find_live(p);
    for (int64_t i = 0; !status && i < p->net->n_nodes; i++)
        if (p->live[i]) status = draft_node(p, i);
    if (status) return status;
    mark_panels(p);
    status = place_sources(p);
    if (!status) status = place_inputs(p);
    for (int64_t i = 0; !status && i < p->net->n_nodes; i++)
        if (p->live[i]) status = add_node(p, i);
    if (!status) status = place_outputs(p);
    if (!status) status = keep_constants(p->net, p->plan);
    if (!status) status = lay_out(p->plan);
    return status;
}

static cp_status start_plan(planning *p, const cp_ctx *ctx) {
    cp_plan *plan = p->plan;
    cp_status status = CP_OK;
    if (ctx)
        plan->ctx = *ctx;
    else
        status = cp_ctx_default(&plan->ctx);
    if (status) return status;
    plan->n_variables = p->variables ? (int)p->net->n_parameters : 0;
    int64_t values = p->net->n_values + 1, nodes = p->net->n_nodes + 1;
    plan->inputs = cp_zalloc(NULL, (p->net->n_inputs + 1) * (int64_t)sizeof *plan->inputs);
    plan->outputs = cp_zalloc(NULL, (p->net->n_outputs + 1) * (int64_t)sizeof *plan->outputs);
    p->shapes = cp_zalloc(NULL, values * (int64_t)sizeof *p->shapes);
    p->slots = cp_zalloc(NULL, values * (int64_t)sizeof *p->slots);
    p->used = cp_zalloc(NULL, values);
    p->live = cp_zalloc(NULL, nodes);
    p->drafts = cp_zalloc(NULL, nodes * (int64_t)sizeof *p->drafts);
    return plan->inputs && plan->outputs && p->shapes && p->slots && p->used && p->live && p->drafts ? CP_OK
                                                                                                     : CP_E_MEMORY;
}

static void end_planning(planning *p) {
    cp_free(NULL, p->shapes);
    cp_free(NULL, p->slots);
    cp_free(NULL, p->used);
    cp_free(NULL, p->live);
    cp_free(NULL, p->drafts);
}

cp_status cp_net_plan_variables(cp_plan **plan, cp_ctx *ctx, const cp_net *net, const cp_plan_options *options,
                                const cp_variables *variables) {
    if (!plan) return cp_fail(CP_E_ARG, "plan is NULL");
    *plan = NULL;
    cp_status status = cp_net_check(net);
    if (status) return status;
    if (!net->n_outputs) return cp_fail(CP_E_ARG, "the net has no output");
    planning p = {.net = net, .options = options ? options : &default_options, .variables = variables};
    if (p.options->batch < 0)
        return cp_fail(CP_E_ARG, "batch = %lld: must not be negative", (long long)p.options->batch);
    if (p.options->type != CP_F32 && p.options->type != CP_F64)
        return cp_fail(CP_E_ARG, "a plan computes in CP_F32 or CP_F64, not in %s", cp_type_name(p.options->type));
    status = cp_check_reserved(p.options->reserved, sizeof p.options->reserved, "the options");
    if (status) return status;
    if (!(p.plan = cp_zalloc(NULL, sizeof *p.plan))) return CP_E_MEMORY;
    status = start_plan(&p, ctx);
    if (!status) status = build(&p);
    end_planning(&p);
    if (status)
        cp_plan_free(p.plan);
    else
        *plan = p.plan;
    return status;
}

cp_status cp_net_plan(cp_plan **plan, cp_ctx *ctx, const cp_net *net, const cp_plan_options *options) {
    if (!options || !options->fold_batch_norm) return cp_net_plan_variables(plan, ctx, net, options, NULL);
    if (!plan) return cp_fail(CP_E_ARG, "plan is NULL");
    *plan = NULL;
    if (options->training) return cp_fail(CP_E_ARG, "batch normalisation cannot be folded in training");
    cp_net *folded;
    cp_status status = cp_net_clone(&folded, net);
    if (status) return status;
    status = cp_net_fuse(folded, true);
    if (!status) status = cp_net_plan_variables(plan, ctx, folded, options, NULL);
    cp_net_free(folded);
    return status;
}

static void free_edges(cp_edge *edges, int n) {
    for (int i = 0; i < n; i++) cp_free(NULL, edges[i].name);
    cp_free(NULL, edges);
}

void cp_plan_free(cp_plan *plan) {
    if (!plan) return;
    for (int64_t i = 0; i < plan->n_steps; i++) free_step(&plan->steps[i]);
    for (int64_t i = 1; i <= plan->n_slots; i++)
        if (plan->slots[i].owned) cp_free(cp_ctx_allocator(&plan->ctx), plan->slots[i].data);
    free_edges(plan->inputs, plan->n_inputs);
    free_edges(plan->outputs, plan->n_outputs);
    cp_free(NULL, plan->slots);
    cp_free(NULL, plan->steps);
    cp_free(NULL, plan);
}

/* --- what a plan says of itself --- */

int64_t cp_plan_work_bytes(const cp_plan *plan) {
    return plan ? plan->arena : 0;
}
int64_t cp_plan_packed_bytes(const cp_plan *plan) {
    return plan ? plan->packed : 0;
}
int cp_plan_steps(const cp_plan *plan) {
    return plan ? (int)plan->n_steps : 0;
}

cp_shape cp_plan_output_shape(const cp_plan *plan, int i) {
    return plan && i >= 0 && i < plan->n_outputs ? plan->outputs[i].tensor.shape : (cp_shape){0};
}

cp_status cp_plan_step(const cp_plan *plan, const cp_work *work, int i, cp_step_info *info) {
    if (!plan || !info) return cp_fail(CP_E_ARG, "%s is NULL", plan ? "info" : "plan");
    *info = (cp_step_info){0};
    if (work && work->plan != plan) return cp_fail(CP_E_ARG, "the work was made for another plan");
    if (i < 0 || i >= plan->n_steps)
        return cp_fail(CP_E_ARG, "step %d: the plan has steps 0 to %lld", i, (long long)plan->n_steps - 1);
    const cp_step *step = &plan->steps[i];
    *info = (cp_step_info){.layer = step->layer, .op = step->op, .algorithm = step->algo->name};
    info->multiply_adds = step->packs ? 0 : step->problem.multiply_adds;
    info->products = step->algo->products && !step->packs ? step->algo->products(&step->problem) : info->multiply_adds;
    for (int k = 0; k < step->problem.inputs; k++)
        if (step->in[k]) info->bytes += bytes_of(step->problem.in[k], step->problem.in_type[k]);
    for (int k = 0; k < step->problem.outputs; k++)
        if (step->out[k]) info->bytes += bytes_of(step->problem.out[k], step->problem.out_type[k]);
    if (work) info->seconds = work->seconds[i];
    return CP_OK;
}
