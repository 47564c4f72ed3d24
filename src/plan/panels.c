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

int64_t cp_panel_columns(const cp_panels *p, int64_t i) {
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
        kernels->pack(plain + row * all + group * p->columns + panel * p->width, all, 1, rows,
                      cp_panel_columns(p, panel), width, packed + cp_panel_offset(p, group, panel) + row * width);
    }
}

/* What pads the last vector of each row of the panel. */
static void clear_padding(const cp_panels *p, int64_t panel, float *packed) {
    const int64_t width = cp_panel_width(p, panel), columns = cp_panel_columns(p, panel);
    for (int64_t row = 0; row < p->rows; row++)
        for (int64_t j = columns; j < width; j++) packed[row * width + j] = 0;
}

void cp_panels_pack_lent(const cp_panels *p, const cp_tensor *plain, float *packed, int id, int n) {
    const int last = plain->shape.rank - 1;
    int64_t first, end;
    cp_share(p->groups * p->count, id, n, &first, &end);
    for (int64_t u = first; u < end; u++) {
        const int64_t panel = u % p->count, group = u / p->count;
        cp_tensor from = *plain, to;
        from.shape.dim[last] = cp_panel_columns(p, panel);
        from.data = (float *)plain->data + (group * p->columns + panel * p->width) * plain->stride[last];
        /* The panel is a tensor, too, with a gap behind each row where that is padded. */
        to = cp_view(packed + cp_panel_offset(p, group, panel), CP_F32, from.shape);
        int64_t step = cp_panel_width(p, panel);
        for (int d = last - 1; d >= 0; step *= to.shape.dim[d--]) to.stride[d] = step;
        cp_copy_share(&to, &from, 0, 1);
        clear_padding(p, panel, to.data);
    }
}

void cp_panels_unpack(const cp_panels *p, const float *packed, float *plain) {
    for (int64_t group = 0; group < p->groups; group++)
        for (int64_t panel = 0; panel < p->count; panel++) {
            const float *from = packed + cp_panel_offset(p, group, panel);
            float *to = plain + group * p->columns + panel * p->width;
            int64_t width = cp_panel_width(p, panel), columns = cp_panel_columns(p, panel);
            for (int64_t row = 0; row < p->rows; row++)
                memcpy(to + row * p->groups * p->columns, from + row * width, (size_t)columns * sizeof *to);
        }
}
