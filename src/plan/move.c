/* What only moves elements, of any type: copies between views, rows or blocks at a time. */
#include "plan/algos.h"

#include <string.h>

cp_tensor cp_moved(const cp_move *move, cp_tensor whole, cp_shape part) {
    if (whole.data) whole.data = (char *)whole.data + move->first * cp_type_size(whole.type);
    whole.shape = part;
    for (int d = 0; d < part.rank; d++) whole.stride[d] = move->step[d];
    return whole;
}

static void run(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor y = cp_call_out(call, 0), x = cp_moved(&call->problem->move, cp_call_in(call, 0), y.shape);
    cp_copy_share(&y, &x, id, n);
}

/* Zeros first; then what has a gradient. */
static void gradient(const cp_call *call, int phase, int id, int n) {
    const cp_tensor dy = cp_call_in(call, 0), dx = cp_call_out(call, 0);
    if (phase == 0) {
        const int64_t bytes = cp_shape_count(dx.shape) * cp_type_size(dx.type);
        int64_t first, last;
        cp_share(bytes, id, n, &first, &last);
        if (bytes) memset((char *)dx.data + first, 0, (size_t)(last - first));
        return;
    }
    const cp_tensor part = cp_moved(&call->problem->move, dx, dy.shape);
    cp_copy_share(&part, &dy, id, n);
}

static cp_status prepare_gradient(const cp_problem *problem, cp_prepared *prepared) {
    (void)problem;
    prepared->phases = 2;
    return CP_OK;
}

const cp_algo cp_algo_move_copies = {.name = "copies", .run = run};
const cp_algo cp_algo_move_gradient_copies = {.name = "copies", .prepare = prepare_gradient, .run = gradient};
