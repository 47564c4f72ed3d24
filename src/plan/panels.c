/* Weights in panels: the order in which the tile reads them. */
#include <string.h>

#include "plan/plan.h"

cp_panels cp_panels_of(const cp_kernels *kernels, int64_t groups, int64_t rows, int64_t columns) {
    int64_t width = (int64_t)kernels->vectors * kernels->lanes;
    return (cp_panels){groups, rows, columns, width, (columns + width - 1) / width, kernels->lanes};
}

cp_panels cp_weight_panels(const cp_problem *p) {
    return cp_panels_of(p->kernels, p->groups, cp_window_taps(&p->window) * (p->channels / p->groups),
                        p->filters / p->groups);
}

int64_t cp_panel_width(const cp_panels *p, int64_t i) {
    int64_t rest = p->columns - i * p->width;
    return rest >= p->width ? p->width : cp_round_up(rest, p->lanes);
}

static int64_t group_floats(const cp_panels *p) {
    return p->rows * cp_round_up(p->columns, p->lanes);
}

int64_t cp_panels_floats(const cp_panels *p) {
    return p->groups * group_floats(p);
}

int64_t cp_panel_offset(const cp_panels *p, int64_t group, int64_t i) {
    return group * group_floats(p) + i * p->width * p->rows;
}

static int64_t valid_columns(const cp_panels *p, int64_t i) {
    int64_t rest = p->columns - i * p->width;
    return rest < p->width ? rest : p->width;
}

void cp_panels_pack(const cp_panels *p, const cp_kernels *kernels, const float *plain, float *packed, int id, int n) {
    enum { BLOCK = 256 }; /* rows: a unit of work for a thread */
    int64_t blocks = (p->rows + BLOCK - 1) / BLOCK, first, last, all = p->groups * p->columns;
    cp_share(p->groups * p->count * blocks, id, n, &first, &last);
    for (int64_t u = first; u < last; u++) {
        int64_t panel = u / blocks % p->count, group = u / blocks / p->count, row = u % blocks * BLOCK;
        int64_t rows = p->rows - row < BLOCK ? p->rows - row : BLOCK, width = cp_panel_width(p, panel);
        kernels->pack(plain + row * all + group * p->columns + panel * p->width, all, 1, rows, valid_columns(p, panel),
                      width, packed + cp_panel_offset(p, group, panel) + row * width);
    }
}

void cp_panels_unpack(const cp_panels *p, const float *packed, float *plain) {
    for (int64_t group = 0; group < p->groups; group++)
        for (int64_t panel = 0; panel < p->count; panel++) {
            const float *from = packed + cp_panel_offset(p, group, panel);
            float *to = plain + group * p->columns + panel * p->width;
            int64_t width = cp_panel_width(p, panel), columns = valid_columns(p, panel);
            for (int64_t row = 0; row < p->rows; row++)
                memcpy(to + row * p->groups * p->columns, from + row * width, (size_t)columns * sizeof *to);
        }
}
