/* Runs plans: a work holds the memory, each step is a fork and a join of the threads. Nothing is allocated here but in
 * cp_work_new. */
#include <string.h>

#include "graph/graph.h"

typedef struct phase {
    const cp_step *step;
    const cp_call *call;
    int number;
} phase;

static void run_share(void *argument, int id, int n) {
    const phase *p = argument;
    if (p->step->packs)
        p->step->algo->pack(p->call, id, n);
    else
        p->step->algo->run(p->call, p->number, id, n);
}

cp_status cp_exec_step(const cp_ctx *ctx, const cp_step *step, const cp_call *given) {
    cp_fault fault = {0};
    cp_call faulty = *given;
    const cp_call *call = &faulty;
    faulty.fault = &fault;
    int phases = step->prepared.phases && !step->packs ? step->prepared.phases : 1;
    for (int i = 0; i < phases; i++) {
        phase p = {step, call, i};
        if (step->small || !ctx->threads)
            run_share(&p, 0, 1);
        else
            cp_threads_run(ctx->threads, run_share, &p);
    }
    if (!fault.set) return CP_OK;
    return cp_fail(CP_E_ARG, "%s: index %lld at %lld is outside 0..%lld", step->layer ? step->layer : step->op,
                   (long long)fault.value, (long long)fault.element, (long long)fault.limit - 1);
}

static cp_status exec(const cp_plan *plan, cp_work *work) {
    cp_status status = CP_OK;
    for (int64_t i = 0; i < plan->n_steps && !status; i++) {
        const cp_step *step = &plan->steps[i];
        cp_call call = {.problem = &step->problem,
                        .prepared = &step->prepared,
                        .scratch = work->pointer[step->scratch],
                        .seed = work->seed,
                        .step = work->step};
        for (int k = 0; k < CP_MAX_INPUTS; k++) call.in[k] = work->pointer[step->in[k]];
        for (int k = 0; k < CP_MAX_OUTPUTS; k++) call.out[k] = work->pointer[step->out[k]];
        double start = work->timed ? cp_now() : 0;
        status = cp_exec_step(&plan->ctx, step, &call);
        if (work->timed) work->seconds[i] = cp_now() - start;
    }
    return status;
}

cp_status cp_work_new(cp_work **work, const cp_plan *plan) {
    if (!work) return cp_fail(CP_E_ARG, "work is NULL");
    *work = NULL;
    if (!plan) return cp_fail(CP_E_ARG, "plan is NULL");
    cp_work *w = cp_zalloc(NULL, sizeof *w);
    if (!w) return CP_E_MEMORY;
    w->plan = plan;
    w->ctx = plan->ctx;
    w->pointer = cp_zalloc(NULL, (plan->n_slots + 1) * (int64_t)sizeof *w->pointer);
    w->variables = cp_zalloc(NULL, (plan->n_variables + 1) * (int64_t)sizeof *w->variables);
    w->seconds = cp_zalloc(NULL, (plan->n_steps + 1) * (int64_t)sizeof *w->seconds);
    w->arena = cp_alloc(cp_ctx_allocator(&w->ctx), plan->arena);
    if (!w->pointer || !w->variables || !w->seconds || !w->arena) {
        cp_work_free(w);
        return CP_E_MEMORY;
    }
    for (int64_t i = 1; i <= plan->n_slots; i++) {
        if (plan->slots[i].place == CP_PLACE_ARENA) w->pointer[i] = w->arena + plan->slots[i].offset;
        if (plan->slots[i].place == CP_PLACE_FIXED) w->pointer[i] = plan->slots[i].data;
    }
    *work = w;
    return CP_OK;
}

void cp_work_free(cp_work *work) {
    if (!work) return;
    cp_free(cp_ctx_allocator(&work->ctx), work->arena);
    cp_free(NULL, work->pointer);
    cp_free(NULL, work->variables);
    cp_free(NULL, work->seconds);
    cp_free(NULL, work);
}

void cp_work_time(cp_work *work, bool on) {
    if (work) work->timed = on;
}

static cp_status misfit(const cp_edge *edge, const cp_tensor *tensor) {
    char a[CP_SHAPE_TEXT], b[CP_SHAPE_TEXT];
    if (tensor->type != edge->tensor.type)
        return cp_fail(CP_E_ARG, "'%s' is %s, was planned as %s", edge->name, cp_type_name(tensor->type),
                       cp_type_name(edge->tensor.type));
    if (!cp_shape_same(tensor->shape, edge->tensor.shape))
        return cp_fail(CP_E_SHAPE, "'%s' is %s, was planned as %s", edge->name, cp_shape_text(tensor->shape, a),
                       cp_shape_text(edge->tensor.shape, b));
    return cp_fail(CP_E_ARG, "'%s' lies in memory in another order than was planned", edge->name);
}

static cp_status check_edge(const cp_edge *edge, const cp_tensor *tensor) {
    const cp_shape shape = edge->tensor.shape;
    bool same = tensor->type == edge->tensor.type && cp_shape_same(tensor->shape, shape);
    bool empty = cp_shape_count(shape) == 0;
    for (int a = 0; same && !empty && a < shape.rank; a++)
        same = tensor->stride[a] == edge->tensor.stride[a] || shape.dim[a] == 1;
    if (!same) return misfit(edge, tensor);
    if (!tensor->data && !empty) return cp_fail(CP_E_ARG, "'%s' has no data", edge->name);
    return CP_OK;
}

static cp_status bind(cp_work *work, const cp_edge *edges, int n, const cp_tensor *tensors, int given,
                      const char *what) {
    if (given != n) return cp_fail(CP_E_ARG, "the plan has %d %s, %d given", n, what, given);
    if (n && !tensors) return cp_fail(CP_E_ARG, "the %s are NULL", what);
    for (int i = 0; i < n; i++) {
        cp_status status = check_edge(&edges[i], &tensors[i]);
        if (status) return status;
        work->pointer[edges[i].slot] = tensors[i].data;
    }
    return CP_OK;
}

static bool overlap(const cp_work *work, const cp_edge *a, const cp_edge *b) {
    uintptr_t x = (uintptr_t)work->pointer[a->slot] + (uintptr_t)a->first,
              y = (uintptr_t)work->pointer[b->slot] + (uintptr_t)b->first;
    return a->bytes && b->bytes && x < y + (uintptr_t)b->bytes && y < x + (uintptr_t)a->bytes;
}

/* Outputs are written while inputs are still read. Tensors with gaps may lie in each other without sharing an element;
 * that is the caller's affair. */
static cp_status check_overlaps(const cp_plan *plan, const cp_work *work) {
    for (int i = 0; i < plan->n_outputs; i++) {
        const cp_edge *output = &plan->outputs[i];
        for (int j = 0; j < plan->n_inputs + i; j++) {
            const cp_edge *other = j < plan->n_inputs ? &plan->inputs[j] : &plan->outputs[j - plan->n_inputs];
            if (overlap(work, output, other))
                return cp_fail(CP_E_ARG, "'%s' overlaps '%s' in memory", output->name, other->name);
        }
    }
    return CP_OK;
}

cp_status cp_plan_run(const cp_plan *plan, cp_work *work, const cp_tensor *inputs, int n_inputs,
                      const cp_tensor *outputs, int n_outputs) {
    if (!plan || !work) return cp_fail(CP_E_ARG, "a run needs a plan and a work");
    if (work->plan != plan) return cp_fail(CP_E_ARG, "the work was made for another plan");
    cp_status status = bind(work, plan->inputs, plan->n_inputs, inputs, n_inputs, "inputs");
    if (!status) status = bind(work, plan->outputs, plan->n_outputs, outputs, n_outputs, "outputs");
    if (!status) status = check_overlaps(plan, work);
    if (status) return status;
    for (int64_t i = 1; plan->n_variables && i <= plan->n_slots; i++)
        if (plan->slots[i].place == CP_PLACE_VARIABLE) work->pointer[i] = work->variables[plan->slots[i].offset];
    if (plan->ctx.threads) cp_threads_enter(plan->ctx.threads);
    status = exec(plan, work);
    if (plan->ctx.threads) cp_threads_leave(plan->ctx.threads);
    return status;
}
