/* A dense layer with bf16 numbers and sums in f32, for math mode bf16: y = x w with pairs of numbers in words. The
 * weights are packed once, x is rounded first, all rows at once, into scratch. */
#include "plan/algos.h"

static int64_t words(int64_t numbers) {
    return (numbers + 1) / 2;
}

static cp_panels panels_of(const cp_problem *p) {
    return cp_panels_of(p->kernels, 1, words(p->channels), p->filters);
}

static cp_status prepare(const cp_problem *p, cp_prepared *prepared) {
    const cp_panels panels = panels_of(p);
    prepared->scratch = p->batch * words(p->channels) * 4;
    prepared->packed = cp_panels_floats(&panels) * 4;
    prepared->phases = 2;
    return CP_OK;
}

static void pack(const cp_call *call, int id, int n) {
    const cp_problem *p = call->problem;
    const cp_panels panels = panels_of(p);
    int64_t first, last;
    cp_share(panels.count, id, n, &first, &last);
    for (int64_t i = first; i < last; i++)
        p->kernels->bf16->pack((const float *)call->in[1] + i * panels.width, p->filters, 1, p->channels,
                               cp_panel_columns(&panels, i), cp_panel_width(&panels, i),
                               (float *)call->out[0] + cp_panel_offset(&panels, 0, i));
}

/* All rows against one panel. */
static void run_panel(const cp_call *call, const cp_panels *panels, int64_t panel) {
    const cp_problem *p = call->problem;
    const int64_t vectors = cp_panel_width(panels, panel) / panels->lanes, most = p->kernels->rows[vectors],
                  pieces = (p->batch + most - 1) / most, column = panel * panels->width;
    const float *x = call->scratch;
    static const cp_run run = {0, 0};
    cp_tile tile = {.b = (const float *)call->in[1] + cp_panel_offset(panels, 0, panel),
                    .a_step = words(p->channels),
                    .c_step = p->filters,
                    .runs = &run,
                    .run_count = 1,
                    .run_length = words(p->channels),
                    .flags = p->relu ? CP_APPLY_RELU : 0};
    tile.tail = (int)(cp_panel_columns(panels, panel) - (vectors - 1) * panels->lanes);
    if (call->in[2]) tile.bias = (const float *)call->in[2] + column;
    for (int64_t i = 0; i < pieces; i++) {
        const int64_t row = p->batch * i / pieces, end = p->batch * (i + 1) / pieces;
        tile.a = x + row * tile.a_step;
        tile.c = (float *)call->out[0] + row * p->filters + column;
        p->kernels->bf16->tile[end - row][vectors](&tile);
    }
}

static void run(const cp_call *call, int phase, int id, int n) {
    const cp_problem *p = call->problem;
    const cp_panels panels = panels_of(p);
    int64_t first, last;
    if (phase == 0) {
        const int64_t depth = p->channels;
        cp_share(p->batch, id, n, &first, &last);
        for (int64_t i = first; i < last; i++)
            p->kernels->bf16->round((const float *)call->in[0] + i * depth, depth,
                                    (float *)call->scratch + i * words(depth));
        return;
    }
    cp_share(panels.count, id, n, &first, &last);
    for (int64_t i = first; i < last; i++) run_panel(call, &panels, i);
}

static const char *refuse(const cp_problem *p) {
    if (p->math != CP_MATH_BF16) return "only in bf16 math";
    if (!p->kernels->bf16) return "no products of bf16 numbers at this level";
    return p->type != CP_F32 ? "needs f32" : NULL;
}

/* Products take twice the time of those of f32. Weights that come from behind the second cache take as long as 16
 * products of f32 each, beside which that of f32 has its products, and as bf16 half of it, or as long as the products:
 * with few rows that is less. While training they change in each step and would be packed again. */
static double cost(const cp_problem *p) {
    enum { CACHED = 1 << 19, FAR = 16, PACKED = 16 };
    const double weights = (double)p->channels * (double)cp_round_up(p->filters, p->kernels->lanes),
                 rows = (double)p->batch, time = 2 * rows < FAR / 2 ? FAR / 2 : 2 * rows;
    const double ratio = weights > CACHED ? time / (FAR + rows) : 2;
    return weights * rows * ratio + (p->training ? PACKED * weights : 0);
}

const cp_algo cp_algo_bf16 = {
    .name = "bf16",
    .refuse = refuse,
    .cost = cost,
    .prepare = prepare,
    .pack = pack,
    .run = run,
};
