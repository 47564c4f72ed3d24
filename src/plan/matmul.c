/* Products of matrices in f32: the second ones are brought into panels, then tiles as in a convolution. */
#include "plan/algos.h"

static const char *refuse(const cp_problem *problem) {
    if (problem->type != CP_F32 || problem->in_type[0] != CP_F32) return "needs f32";
    return cp_shape_count(problem->in[1]) == 0 ? "needs numbers to add up" : NULL;
}

/* y [I,J] of each matrix, sums of K. */
typedef struct product {
    int64_t I, J, K, matrices, packed; /* packed: second matrices there are */
    cp_panels panels;                  /* of one of them */
    cp_rows rows;                      /* which matrices are multiplied, as elements that broadcast */
} product;

static cp_shape batch_of(cp_shape shape) {
    return cp_shape_of(shape.rank - 2, shape.dim);
}

static cp_status prepare(const cp_problem *problem, cp_prepared *prepared) {
    const cp_shape a = problem->in[0], b = problem->in[1], y = problem->out[0];
    product made = {.I = y.dim[y.rank - 2],
                    .J = y.dim[y.rank - 1],
                    .K = a.dim[a.rank - 1],
                    .matrices = cp_shape_count(batch_of(y)),
                    .packed = cp_shape_count(batch_of(b)),
                    .rows = cp_rows_of((cp_shape[]){batch_of(a), batch_of(b)}, 2, batch_of(y))};
    made.panels = cp_panels_of(problem->kernels, 1, made.K, made.J);
    if (!cp_mul(made.packed, cp_panels_floats(&made.panels) * (int64_t)sizeof(float), &prepared->packed))
        return cp_fail(CP_E_MEMORY, "no memory for the second matrices");
    if (!(prepared->state = cp_alloc(NULL, sizeof made))) return CP_E_MEMORY;
    *(product *)prepared->state = made;
    return CP_OK;
}

static void pack(const cp_call *call, int id, int n) {
    const product *p = call->prepared->state;
    const int64_t floats = cp_panels_floats(&p->panels);
    for (int64_t i = 0; i < p->packed; i++)
        cp_panels_pack(&p->panels, call->problem->kernels, (const float *)call->in[1] + i * p->K * p->J,
                       (float *)call->out[0] + i * floats, id, n);
}

/* Rows i .. last - 1 of one panel's columns. */
static void multiply(const cp_kernels *kernels, const product *p, const float *a, const float *panels, int64_t panel,
                     float *y, int64_t i, int64_t last) {
    const int64_t width = cp_panel_width(&p->panels, panel), column = panel * p->panels.width;
    const int vectors = (int)(width / kernels->lanes), most = kernels->rows[vectors];
    const cp_run run = {0};
    cp_tile tile = {.a_step = p->K,
                    .b = panels + cp_panel_offset(&p->panels, 0, panel),
                    .runs = &run,
                    .run_count = 1,
                    .run_length = p->K,
                    .c_step = p->J,
                    .tail = (int)(cp_panel_columns(&p->panels, panel) - (vectors - 1) * kernels->lanes)};
    for (int64_t rows; i < last; i += rows) {
        rows = last - i < most ? last - i : most;
        tile.a = a + i * p->K;
        tile.c = y + i * p->J + column;
        kernels->tile[rows][vectors](&tile);
    }
}

/* Shared: blocks of rows, of each all panels; neighbours read the same rows. */
static void run(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    enum { ROWS = 48 };
    const product *p = call->prepared->state;
    const int64_t blocks = (p->I + ROWS - 1) / ROWS, floats = cp_panels_floats(&p->panels);
    int64_t unit, last, at[CP_ROWS_INPUTS];
    cp_share(p->matrices * blocks * p->panels.count, id, n, &unit, &last);
    for (; unit < last; unit++) {
        const int64_t panel = unit % p->panels.count, row = unit / p->panels.count % blocks * ROWS;
        const int64_t matrix = unit / p->panels.count / blocks;
        cp_rows_at(&p->rows, matrix, matrix + 1, at);
        multiply(call->problem->kernels, p, (const float *)call->in[0] + at[0] * p->I * p->K,
                 (const float *)call->in[1] + at[1] * floats, panel, (float *)call->out[0] + matrix * p->I * p->J, row,
                 row + ROWS < p->I ? row + ROWS : p->I);
    }
}

const cp_algo cp_algo_matmul_panels = {
    .name = "panels", .refuse = refuse, .prepare = prepare, .pack = pack, .run = run};
