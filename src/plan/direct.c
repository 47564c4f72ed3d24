/* Direct convolution, and its input gradient, in f32: the tiling with one channel a word. */
#include "plan/algos.h"
#include "plan/tiling.h"

static cp_status prepare_forward(const cp_problem *p, cp_prepared *prepared) {
    const cp_status status = cp_tiling_forward(p, 1, prepared);
    if (!status && !p->weights_in_panels)
        prepared->packed = ((const cp_tiling *)prepared->state)->packed * (int64_t)sizeof(float);
    return status;
}

static cp_status prepare_input_gradient(const cp_problem *p, cp_prepared *prepared) {
    const cp_status status = cp_tiling_input_gradient(p, 1, prepared);
    if (!status) prepared->packed = ((const cp_tiling *)prepared->state)->packed * (int64_t)sizeof(float);
    return status;
}

/* --- packing --- */

static void pack_forward(const cp_call *call, int id, int n) {
    cp_panels panels = cp_weight_panels(call->problem);
    if (call->lent)
        cp_panels_pack_lent(&panels, call->lent, call->out[0], id, n);
    else
        cp_panels_pack(&panels, call->problem->kernels, call->in[1], call->out[0], id, n);
}

/* Rows k of one tap, columns c of one panel: the transpose of what the forward weights are, wherever they lie. */
static void pack_transposed(const cp_problem *p, const float *w, int64_t group, int64_t tap, int64_t column,
                            int64_t columns, int64_t width, float *to) {
    int64_t channels = p->channels / p->groups, filters = p->filters / p->groups, row = tap * channels + column;
    if (!p->weights_in_panels) {
        p->kernels->pack(w + row * p->filters + group * filters, 1, p->filters, filters, columns, width, to);
        return;
    }
    cp_panels from = cp_weight_panels(p);
    for (int64_t i = 0; i < from.count; i++) {
        int64_t step = cp_panel_width(&from, i);
        p->kernels->pack(w + cp_panel_offset(&from, group, i) + row * step, 1, step, cp_panel_columns(&from, i),
                         columns, width, to + i * from.width * width);
    }
}

static void pack_input_gradient(const cp_call *call, int id, int n) {
    const cp_problem *p = call->problem;
    const cp_tiling *d = call->prepared->state;
    float *packed = call->out[0];
    for (int64_t i = 0; i < d->n_phases; i++) {
        const cp_phase *ph = &d->phases[i];
        const cp_walk *a = ph->axis;
        cp_panels panels = cp_panels_of(p->kernels, d->groups, ph->rows, d->out_channels);
        int64_t taps = a[0].taps * a[1].taps * a[2].taps, first, last;
        cp_share(taps * panels.groups * panels.count, id, n, &first, &last);
        for (int64_t u = first; u < last; u++) {
            int64_t t = u % taps, panel = u / taps % panels.count, group = u / taps / panels.count;
            int64_t x = t % a[2].taps, y = t / a[2].taps % a[1].taps, z = t / a[2].taps / a[1].taps;
            int64_t tap =
                (a[0].tap[z] * p->window.axis[1].kernel + a[1].tap[y]) * p->window.axis[2].kernel + a[2].tap[x];
            int64_t width = cp_panel_width(&panels, panel);
            pack_transposed(p, call->in[1], group, tap, panel * panels.width, cp_panel_columns(&panels, panel), width,
                            packed + ph->packed + cp_panel_offset(&panels, group, panel) + t * d->in_channels * width);
        }
    }
}

static void run(const cp_call *call, int number, int id, int n) {
    (void)number;
    const cp_problem *p = call->problem;
    const cp_tiling_job job = {.tile = p->kernels->tile,
                               .streams = true,
                               .x = call->in[0],
                               .panels = call->in[1],
                               .bias = call->in[2],
                               .y = call->out[0],
                               .relu = p->relu};
    cp_tiling_run(call->prepared->state, p, &job, id, n);
}

static const char *refuse_forward(const cp_problem *p) {
    return p->type != CP_F32 ? "needs f32" : cp_tiling_refuse_forward(p);
}
static const char *refuse_input_gradient(const cp_problem *p) {
    return p->type != CP_F32 ? "needs f32" : cp_tiling_refuse_input_gradient(p);
}

/* Columns are computed in whole vectors. */
static double cost_of(const cp_problem *p, int64_t columns) {
    return (double)p->multiply_adds * (double)cp_round_up(columns, p->kernels->lanes) / (double)columns;
}
static double cost_forward(const cp_problem *p) {
    return cost_of(p, p->filters / p->groups);
}
static double cost_input_gradient(const cp_problem *p) {
    return cost_of(p, p->channels / p->groups);
}

const cp_algo cp_algo_direct = {
    .name = "direct",
    .refuse = refuse_forward,
    .cost = cost_forward,
    .prepare = prepare_forward,
    .pack = pack_forward,
    .packs_lent = true,
    .run = run,
    .panels = true,
};

const cp_algo cp_algo_direct_input_gradient = {
    .name = "direct",
    .refuse = refuse_input_gradient,
    .cost = cost_input_gradient,
    .prepare = prepare_input_gradient,
    .pack = pack_input_gradient,
    .run = run,
    .panels = true,
};
