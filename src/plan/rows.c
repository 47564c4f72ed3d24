/* Tensors that are walked through together with broadcasting: axes along which all go on alike become one. */
#include "plan/plan.h"

/* Steps through dense memory of shape x while the elements of y are walked through. */
static void steps_of(cp_shape x, cp_shape y, int64_t step[CP_MAX_RANK]) {
    const int missing = y.rank - x.rank;
    int64_t next = 1;
    for (int d = y.rank - 1; d >= 0; d--) {
        const int64_t size = d >= missing ? x.dim[d - missing] : 1;
        step[d] = size > 1 ? next : 0;
        next *= size;
    }
}

cp_rows cp_rows_of(const cp_shape *in, int inputs, cp_shape y) {
    cp_rows r = {.inputs = inputs};
    int64_t step[CP_ROWS_INPUTS][CP_MAX_RANK];
    for (int i = 0; i < inputs; i++) steps_of(in[i], y, step[i]);
    for (int d = 0; d < y.rank; d++) {
        if (y.dim[d] == 1) continue;
        bool goes_on = r.axes > 0;
        for (int i = 0; i < inputs && goes_on; i++) goes_on = r.step[i][r.axes - 1] == step[i][d] * y.dim[d];
        if (!goes_on) r.size[r.axes++] = 1;
        r.size[r.axes - 1] *= y.dim[d];
        for (int i = 0; i < inputs; i++) r.step[i][r.axes - 1] = step[i][d];
    }
    if (r.axes == 0) r.size[r.axes++] = 1; /* one number */
    return r;
}

int64_t cp_rows_count(const cp_rows *r) {
    int64_t count = 1;
    for (int d = 0; d < r->axes; d++) count *= r->size[d];
    return count;
}

int64_t cp_rows_at(const cp_rows *r, int64_t e, int64_t last, int64_t at[CP_ROWS_INPUTS]) {
    const int within = r->axes - 1;
    const int64_t column = e % r->size[within];
    int64_t row = e / r->size[within];
    for (int i = 0; i < r->inputs; i++) at[i] = column * r->step[i][within];
    for (int d = within - 1; d >= 0; d--) {
        for (int i = 0; i < r->inputs; i++) at[i] += row % r->size[d] * r->step[i][d];
        row /= r->size[d];
    }
    return r->size[within] - column < last - e ? r->size[within] - column : last - e;
}
