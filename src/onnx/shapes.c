/* Operators that move values without computing: shapes, pieces, copies, constants. */
#include <inttypes.h>
#include <string.h>

#include "onnx/operators.h"

enum { MOST = CP_MAX_RANK };

/* Whether the size of an axis is not known: a batch that may be any. */
static bool is_any(const cp_onnx_loader *l, const cp_onnx_value *x, int axis) {
    return l->any_batch && !x->constant && x->shape.dim[axis] == 0;
}

static bool fail_any(cp_onnx_loader *l) {
    cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "the batch must be known here: give --shape with the input's name"));
    return false;
}

/* The node of x in its own order under another shape of as many elements, in the order that belongs to it. */
static void set_reshaped(cp_onnx_loader *l, cp_node node, cp_shape shape, cp_order order) {
    cp_shape own = {.rank = shape.rank};
    for (int i = 0; i < shape.rank; i++) own.dim[i] = shape.dim[order.axis[i]];
    cp_onnx_set(l, 0, cp_net_reshape(l->net, node, own), order);
}

/* --- Reshape, Flatten, Squeeze, Unsqueeze --- */

/* What 0 and -1 stand for. */
static bool resolve_shape(cp_onnx_loader *l, const cp_onnx_value *x, int64_t *target, int n, bool allow_zero,
                          cp_shape *shape) {
    char text[CP_SHAPE_TEXT];
    const bool any = x->shape.rank > 0 && is_any(l, x, 0);
    int64_t known = 1, all = 1;
    int unknown = -1;
    *shape = (cp_shape){.rank = n};
    for (int k = any; k < x->shape.rank; k++) all *= x->shape.dim[k];
    for (int k = 0; k < n; k++) {
        if (target[k] < -1) return cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "dimension %d is %" PRId64, k, target[k]));
        if (target[k] == -1 && unknown >= 0) return cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "two unknown dimensions"));
        if (target[k] == -1) unknown = k;
        if (target[k] == 0 && !allow_zero) {
            if (k >= x->shape.rank)
                return cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "dimension %d is 0, the input has no such", k));
            target[k] = x->shape.dim[k];
            if (any && k == 0) continue;
        }
        if (target[k] >= 0 && !cp_mul(known, target[k], &known))
            return cp_onnx_fail(l, cp_fail(CP_E_LIMIT, "more elements than can be counted"));
    }
    for (int k = 0; k < n; k++) shape->dim[k] = target[k];
    if (any && !(n > 0 && (shape->dim[0] == 0 || (unknown == 0 && known == all)))) return fail_any(l);
    if (any && unknown == 0) shape->dim[0] = 0;
    if (unknown >= 0 && !(any && unknown == 0)) shape->dim[unknown] = known ? all / known : 0;
    int64_t product = 1;
    for (int k = any; k < n; k++) product *= shape->dim[k]; /* at most `known` times what is left */
    if (product == all) return true;
    for (int k = 0; k < n; k++)
        if (k == unknown) shape->dim[k] = -1;
    cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "%" PRId64 " elements do not fit %s", all, cp_shape_text(*shape, text)));
    return false;
}

/* Nothing at all, of a type and shape. */
static void set_empty(cp_onnx_loader *l, int i, int type, cp_shape shape) {
    cp_onnx_set_constant(l, i, type, shape, cp_onnx_memory(l, 0));
}

static void reshape_to(cp_onnx_loader *l, cp_shape shape) {
    if (!cp_shape_count(shape) && !l->any_batch) {
        set_empty(l, 0, cp_onnx_in(l, 0)->type, shape);
        return;
    }
    set_reshaped(l, cp_onnx_want_in(l, 0, cp_order_plain()), shape, cp_order_plain());
}

void cp_onnx_reshape(cp_onnx_loader *l) {
    int64_t target[MOST];
    int n;
    cp_shape shape;
    if (!cp_onnx_numbers(l, 1, "shape", target, MOST, &n)) return;
    const bool allow_zero = cp_onnx_int_or(l, "allowzero", 0) != 0;
    if (resolve_shape(l, cp_onnx_in(l, 0), target, n, allow_zero, &shape)) reshape_to(l, shape);
}

void cp_onnx_flatten(cp_onnx_loader *l) {
    const cp_onnx_value *x = cp_onnx_in(l, 0);
    const int64_t asked = cp_onnx_int_or(l, "axis", 1);
    if (asked < -x->shape.rank || asked > x->shape.rank) {
        cp_onnx_fail(l, cp_fail(CP_E_ARG, "axis = %" PRId64 " outside %d..%d", asked, -x->shape.rank, x->shape.rank));
        return;
    }
    const int axis = (int)(asked < 0 ? asked + x->shape.rank : asked);
    const bool any = x->shape.rank > 0 && is_any(l, x, 0);
    int64_t before = 1, behind = 1;
    for (int k = 0; k < x->shape.rank; k++) *(k < axis ? &before : &behind) *= x->shape.dim[k];
    if (any && axis != 1)
        fail_any(l);
    else
        reshape_to(l, cp_shape_of(2, (int64_t[]){before, behind}));
}

/* The axes of an attribute, or of input 1, of something with `rank` axes, as a set; false where there are none. */
static bool axis_set(cp_onnx_loader *l, int rank, uint32_t *set) {
    int64_t axes[MOST];
    int n;
    *set = 0;
    const bool given =
        cp_onnx_in(l, 1) ? cp_onnx_numbers(l, 1, "axes", axes, MOST, &n) : cp_onnx_ints(l, "axes", axes, MOST, &n);
    if (!given) return false;
    for (int i = 0; i < n; i++) {
        const int axis = cp_onnx_axis(l, axes[i], rank);
        if (axis < 0) return false;
        if (*set >> axis & 1) return cp_onnx_fail(l, cp_fail(CP_E_ARG, "axis %d is named twice", axis));
        *set |= 1u << axis;
    }
    return true;
}

/* The other axes keep their order. */
void cp_onnx_squeeze(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    uint32_t gone;
    const int rank = x->shape.rank;
    if (!axis_set(l, rank, &gone)) {
        if (cp_onnx_failed(l)) return;
        for (int k = 0; k < rank; k++) gone |= (uint32_t)(x->shape.dim[k] == 1) << k;
    }
    cp_shape shape = {0};
    cp_order from = cp_onnx_order_of(x), order = cp_order_plain();
    int number[MOST], n = 0;
    for (int k = 0; k < rank; k++) {
        if (gone >> k & 1 && x->shape.dim[k] != 1) {
            cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "axis %d has %" PRId64 ", cannot be squeezed", k, x->shape.dim[k]));
            return;
        }
        number[k] = shape.rank;
        if (!(gone >> k & 1)) shape.dim[shape.rank++] = x->shape.dim[k];
    }
    for (int i = 0; i < rank; i++)
        if (!(gone >> from.axis[i] & 1)) order.axis[n++] = (int8_t)number[from.axis[i]];
    set_reshaped(l, cp_onnx_want(l, x, from), shape, order);
}

/* The new axes stand in front of those that they were put before. */
void cp_onnx_unsqueeze(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    int64_t axes[MOST];
    int n, rank = x->shape.rank;
    uint32_t added;
    const bool given =
        cp_onnx_in(l, 1) ? cp_onnx_numbers(l, 1, "axes", axes, MOST, &n) : cp_onnx_ints(l, "axes", axes, MOST, &n);
    if (!given) {
        if (!cp_onnx_failed(l)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "axes are missing"));
        return;
    }
    if (rank + n > MOST) {
        cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "more than %d dimensions are not supported", MOST));
        return;
    }
    if (!axis_set(l, rank + n, &added)) return;
    cp_shape shape = {.rank = rank + n};
    cp_order from = cp_onnx_order_of(x), order = cp_order_plain();
    int number[MOST], old = 0;
    for (int k = 0; k < shape.rank; k++) {
        const bool is_new = added >> k & 1;
        shape.dim[k] = is_new ? 1 : x->shape.dim[old];
        if (!is_new) number[old++] = k;
    }
    if (cp_order_same(from, cp_order_plain(), rank)) {
        set_reshaped(l, cp_onnx_want(l, x, from), shape, cp_order_plain());
        return;
    }
    int at = 0;
    for (int k = 0; k < shape.rank; k++)
        if (added >> k & 1) order.axis[at++] = (int8_t)k;
    for (int i = 0; i < rank; i++) order.axis[at++] = (int8_t)number[from.axis[i]];
    if (rank && is_any(l, x, 0)) { /* the batch stays in front */
        memmove(order.axis + 1, order.axis, (size_t)n * sizeof *order.axis);
        order.axis[0] = (int8_t)number[from.axis[0]];
    }
    set_reshaped(l, cp_onnx_want(l, x, from), shape, order);
}

/* --- Transpose: the same nodes, whose axes are called otherwise --- */

void cp_onnx_transpose(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0), *y = cp_onnx_out(l, 0);
    int64_t perm[MOST];
    int n, number[MOST];
    const int rank = x->shape.rank;
    uint32_t seen = 0;
    if (!cp_onnx_ints(l, "perm", perm, MOST, &n)) {
        if (cp_onnx_failed(l)) return;
        for (n = 0; n < rank; n++) perm[n] = rank - 1 - n;
    }
    for (int k = 0; k < n; k++) {
        if (n != rank || perm[k] < 0 || perm[k] >= rank || seen >> perm[k] & 1) {
            cp_onnx_fail(l, cp_fail(CP_E_ARG, "perm must name each of %d axes once", rank));
            return;
        }
        seen |= 1u << perm[k];
        number[perm[k]] = k;
    }
    if (n != rank) {
        cp_onnx_fail(l, cp_fail(CP_E_ARG, "perm must name each of %d axes once", rank));
        return;
    }
    cp_onnx_want(l, x, cp_onnx_order_of(x));
    if (cp_onnx_failed(l) || !y) return;
    *y = *x;
    y->data = y->owned = NULL;
    y->constant = false;
    for (int k = 0; k < rank; k++) y->shape.dim[k] = x->shape.dim[perm[k]];
    for (int f = 0; f < y->forms; f++)
        for (int i = 0; i < rank && i < MOST; i++) y->form[f].order.axis[i] = (int8_t)number[x->form[f].order.axis[i]];
}

/* --- pieces --- */

void cp_onnx_concat(cp_onnx_loader *l) {
    const int n = l->node->inputs;
    const cp_onnx_value *first = cp_onnx_in(l, 0);
    int64_t asked;
    int rank;
    if (!cp_onnx_int(l, "axis", &asked)) {
        if (!cp_onnx_failed(l)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "axis is missing"));
        return;
    }
    const int axis = cp_onnx_axis(l, asked, first->shape.rank);
    const cp_order order = cp_onnx_common_order(l, 0, n, &rank);
    if (axis < 0) return;
    cp_node *parts = cp_zalloc(NULL, n * (int64_t)sizeof *parts);
    int used = 0;
    if (!parts) cp_onnx_fail(l, CP_E_MEMORY);
    for (int i = 0; i < n && parts && !cp_onnx_failed(l); i++) {
        const cp_onnx_value *x = cp_onnx_in(l, i);
        if (!x || x->shape.rank != first->shape.rank)
            cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "input %d has other dimensions than input 0", i));
        else if (x->shape.dim[axis] || is_any(l, x, axis) || (i == n - 1 && !used))
            parts[used++] = cp_onnx_want_in(l, i, order);
    }
    if (parts && !cp_onnx_failed(l))
        cp_onnx_set(l, 0, cp_net_concat(l->net, parts, used, cp_order_find(order, axis)), order);
    cp_free(NULL, parts);
}

void cp_onnx_split(cp_onnx_loader *l) {
    enum { PARTS = 64 };
    cp_onnx_value *x = cp_onnx_in(l, 0);
    int64_t sizes[PARTS], begin = 0;
    int n = l->node->outputs, given = 0;
    const int axis = cp_onnx_axis(l, cp_onnx_int_or(l, "axis", 0), x->shape.rank);
    if (axis < 0) return;
    if (is_any(l, x, axis)) {
        fail_any(l);
        return;
    }
    const int64_t whole = x->shape.dim[axis];
    const bool has = cp_onnx_in(l, 1) ? cp_onnx_numbers(l, 1, "split", sizes, PARTS, &given)
                                      : cp_onnx_ints(l, "split", sizes, PARTS, &given);
    if (cp_onnx_failed(l)) return;
    if (n > PARTS || (has && given != n)) {
        cp_onnx_fail(
            l, cp_fail(CP_E_SHAPE, "%d parts for %d outputs: at most %d are possible", has ? given : n, n, PARTS));
        return;
    }
    const int64_t each = (whole + n - 1) / n; /* the last part may be smaller (since opset 18) */
    for (int i = 0; i < n && !has; i++) {
        const int64_t left = whole - i * each;
        sizes[i] = left < each ? (left < 0 ? 0 : left) : each;
    }
    const cp_order order = cp_onnx_order_of(x);
    const cp_node node = cp_onnx_want(l, x, order);
    for (int i = 0; i < n && !cp_onnx_failed(l); i++) {
        cp_shape shape = x->shape;
        shape.dim[axis] = sizes[i];
        if (sizes[i] < 0 || sizes[i] > whole - begin) {
            cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "split[%d] = %" PRId64 ": the axis has %" PRId64, i, sizes[i], whole));
            return;
        }
        if (!sizes[i])
            set_empty(l, i, x->type, shape);
        else
            cp_onnx_set(l, i, cp_net_slice(l->net, node, cp_order_find(order, axis), begin, sizes[i]), order);
        begin += sizes[i];
    }
    if (begin != whole && !cp_onnx_failed(l))
        cp_onnx_fail(l,
                     cp_fail(CP_E_SHAPE, "the parts have %" PRId64 " together, the axis has %" PRId64, begin, whole));
}

/* From ONNX's start, end and step to the first index and how many there are (NumPy's rule). */
static void slice_range(int64_t size, int64_t start, int64_t end, int64_t step, int64_t *begin, int64_t *count) {
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    if (start < 0) start += size;
    if (end < 0) end += size;
    start = start < low ? low : start > high ? high : start;
    end = end < low ? low : end > high ? high : end;
    const int64_t distance = step > 0 ? end - start : start - end;
    const int64_t stride = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
    *begin = start;
    *count = distance > 0 ? (distance - 1) / stride + 1 : 0;
}

void cp_onnx_slice(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    int64_t start[MOST], end[MOST], axes[MOST], steps[MOST];
    int starts, ends, n_axes = 0, n_steps = 0;
    const bool listed = l->opset < 10;
    const bool good =
        listed ? cp_onnx_ints(l, "starts", start, MOST, &starts) && cp_onnx_ints(l, "ends", end, MOST, &ends)
               : cp_onnx_in(l, 1) && cp_onnx_in(l, 2) && cp_onnx_numbers(l, 1, "starts", start, MOST, &starts) &&
                     cp_onnx_numbers(l, 2, "ends", end, MOST, &ends);
    if (!good) {
        if (!cp_onnx_failed(l)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "starts and ends are missing"));
        return;
    }
    const bool has_axes = listed ? cp_onnx_ints(l, "axes", axes, MOST, &n_axes)
                                 : cp_onnx_in(l, 3) && cp_onnx_numbers(l, 3, "axes", axes, MOST, &n_axes);
    const bool has_steps = !listed && cp_onnx_in(l, 4) && cp_onnx_numbers(l, 4, "steps", steps, MOST, &n_steps);
    if (cp_onnx_failed(l)) return;
    if (starts != ends || (has_axes && n_axes != starts) || (has_steps && n_steps != starts)) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "starts, ends, axes and steps must be lists of one length"));
        return;
    }
    const cp_order order = cp_onnx_order_of(x);
    cp_node node = cp_onnx_want(l, x, order);
    cp_shape shape = x->shape;
    uint32_t seen = 0;
    bool empty = false;
    for (int i = 0; i < starts && !cp_onnx_failed(l); i++) {
        const int axis = cp_onnx_axis(l, has_axes ? axes[i] : i, x->shape.rank);
        const int64_t step = has_steps ? steps[i] : 1;
        int64_t begin, count;
        if (axis < 0) return;
        if (seen >> axis & 1) cp_onnx_fail(l, cp_fail(CP_E_ARG, "axis %d is named twice", axis));
        if (step == 0) cp_onnx_fail(l, cp_fail(CP_E_ARG, "steps[%d] = 0: must be another number", i));
        if (cp_onnx_failed(l)) return;
        seen |= 1u << axis;
        if (is_any(l, x, axis)) {
            if (start[i] == 0 && step == 1 && end[i] >= INT32_MAX) continue; /* all of it */
            fail_any(l);
            return;
        }
        slice_range(x->shape.dim[axis], start[i], end[i], step, &begin, &count);
        shape.dim[axis] = count;
        empty |= !count;
        if (!empty && (count != x->shape.dim[axis] || step != 1))
            node = cp_net_slice_step(l->net, node, cp_order_find(order, axis), begin, count, step);
    }
    if (empty)
        set_empty(l, 0, x->type, shape);
    else
        cp_onnx_set(l, 0, node, order);
}

void cp_onnx_gather(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0), *indices = cp_onnx_in(l, 1);
    const int axis = cp_onnx_axis(l, cp_onnx_int_or(l, "axis", 0), x->shape.rank);
    if (axis < 0) return;
    const cp_node node = cp_onnx_want(l, x, cp_order_plain()), places = cp_onnx_want(l, indices, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_gather(l->net, node, places, axis), cp_order_plain());
}

void cp_onnx_gather_elements(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0), *indices = cp_onnx_in(l, 1);
    const int axis = cp_onnx_axis(l, cp_onnx_int_or(l, "axis", 0), x->shape.rank);
    if (axis < 0) return;
    const cp_node node = cp_onnx_want(l, x, cp_order_plain()), places = cp_onnx_want(l, indices, cp_order_plain());
    cp_onnx_set(l, 0, cp_net_gather_elements(l->net, node, places, axis), cp_order_plain());
}

/* --- copies --- */

void cp_onnx_pad(cp_onnx_loader *l) {
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap", NULL};
    static const cp_pad_values values[] = {CP_PAD_CONSTANT, CP_PAD_REFLECT, CP_PAD_REPLICATE, CP_PAD_CIRCULAR};
    cp_onnx_value *x = cp_onnx_in(l, 0);
    const int rank = x->shape.rank;
    int64_t pads[2 * MOST], axes[MOST], before[MOST] = {0}, after[MOST] = {0};
    int n, n_axes = 0;
    double constant = (double)cp_onnx_float_or(l, "value", 0);
    const int mode = cp_onnx_word_or(l, "mode", modes, 0);
    const bool given = l->opset < 11 ? cp_onnx_ints(l, "pads", pads, 2 * MOST, &n)
                                     : cp_onnx_in(l, 1) && cp_onnx_numbers(l, 1, "pads", pads, 2 * MOST, &n);
    if (!given && !cp_onnx_failed(l)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "pads are missing"));
    if (cp_onnx_in(l, 2)) cp_onnx_real(l, 2, "constant_value", &constant);
    const bool has_axes = cp_onnx_in(l, 3) && cp_onnx_numbers(l, 3, "axes", axes, MOST, &n_axes);
    if (cp_onnx_failed(l)) return;
    if (!has_axes)
        for (n_axes = 0; n_axes < rank; n_axes++) axes[n_axes] = n_axes;
    if (n != 2 * n_axes) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "pads needs %d values, has %d", 2 * n_axes, n));
        return;
    }
    const cp_order order = cp_onnx_order_of(x);
    for (int i = 0; i < n_axes; i++) {
        const int axis = cp_onnx_axis(l, axes[i], rank);
        if (axis < 0) return;
        if ((pads[i] || pads[n_axes + i]) && is_any(l, x, axis)) {
            fail_any(l);
            return;
        }
        before[cp_order_find(order, axis)] = pads[i];
        after[cp_order_find(order, axis)] = pads[n_axes + i];
    }
    const cp_node node = cp_onnx_want(l, x, order);
    cp_onnx_set(l, 0, cp_net_pad_axes(l->net, node, before, after, values[mode], constant), order);
}

void cp_onnx_expand(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    int64_t target[MOST];
    int n;
    char a[CP_SHAPE_TEXT], b[CP_SHAPE_TEXT];
    if (!cp_onnx_numbers(l, 1, "shape", target, MOST, &n)) return;
    const int rank = n > x->shape.rank ? n : x->shape.rank;
    const cp_order order = rank == x->shape.rank ? cp_onnx_order_of(x) : cp_order_plain();
    cp_shape shape = {.rank = rank}, own = {.rank = rank};
    for (int d = 1; d <= rank; d++) {
        const int64_t of_x = d <= x->shape.rank ? x->shape.dim[x->shape.rank - d] : 1,
                      of_y = d <= n ? target[n - d] : 1;
        if (of_y < 0 || (of_x != of_y && of_x != 1 && of_y != 1)) {
            cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "%s cannot be expanded to %s", cp_shape_text(x->shape, a),
                                    cp_shape_text(cp_shape_of(n, target), b)));
            return;
        }
        shape.dim[rank - d] = of_x == 1 ? of_y : of_x;
    }
    for (int i = 0; i < rank; i++) own.dim[i] = shape.dim[order.axis[i]];
    cp_onnx_set(l, 0, cp_net_expand(l->net, cp_onnx_want(l, x, order), own), order);
}

void cp_onnx_tile(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    int64_t repeats[MOST], own[MOST];
    int n;
    if (!cp_onnx_numbers(l, 1, "repeats", repeats, MOST, &n)) return;
    if (n != x->shape.rank) {
        cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "repeats needs %d values, has %d", x->shape.rank, n));
        return;
    }
    const cp_order order = cp_onnx_order_of(x);
    for (int i = 0; i < n; i++) {
        own[i] = repeats[order.axis[i]];
        if (repeats[i] < 0)
            cp_onnx_fail(l, cp_fail(CP_E_ARG, "repeats[%d] = %" PRId64 ": must not be negative", i, repeats[i]));
    }
    cp_onnx_set(l, 0, cp_net_tile(l->net, cp_onnx_want(l, x, order), own), order);
}

/* --- pixels and channels --- */

static void shuffle(cp_onnx_loader *l, cp_node (*build)(cp_net *, cp_node, int64_t, cp_depth_order)) {
    static const char *const modes[] = {"DCR", "CRD", NULL};
    int64_t block;
    const int rank = cp_onnx_in(l, 0)->shape.rank, mode = cp_onnx_word_or(l, "mode", modes, 0);
    if (!cp_onnx_int(l, "blocksize", &block)) {
        if (!cp_onnx_failed(l)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "blocksize is missing"));
        return;
    }
    const cp_node y = build(l->net, cp_onnx_want_last(l, 0), block, mode == 1 ? CP_CHANNEL_FIRST : CP_DEPTH_FIRST);
    cp_onnx_set(l, 0, y, cp_order_channels_last(rank));
}

void cp_onnx_depth_to_space(cp_onnx_loader *l) {
    shuffle(l, cp_net_depth_to_space);
}
void cp_onnx_space_to_depth(cp_onnx_loader *l) {
    shuffle(l, cp_net_space_to_depth);
}

/* --- the same value --- */

void cp_onnx_identity(cp_onnx_loader *l) {
    cp_onnx_set_same(l, 0, cp_onnx_in(l, 0));
}

/* Nothing is dropped where nobody trains. */
void cp_onnx_dropout(cp_onnx_loader *l) {
    const cp_onnx_value *training = cp_onnx_in(l, 2), *x = cp_onnx_in(l, 0);
    if (training &&
        !(training->constant && cp_shape_count(training->shape) == 1 && !*(const uint8_t *)training->data)) {
        cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "training_mode must be false"));
        return;
    }
    cp_onnx_set_same(l, 0, x);
    if (!cp_onnx_out(l, 1)) return;
    const int64_t count = cp_shape_count(x->shape);
    uint8_t *mask = x->shape.rank && is_any(l, x, 0) ? NULL : cp_onnx_memory(l, count);
    if (!mask) {
        fail_any(l);
        return;
    }
    memset(mask, 1, (size_t)count);
    cp_onnx_set_constant(l, 1, CP_ONNX_BOOL, x->shape, mask);
}

void cp_onnx_cast(cp_onnx_loader *l) {
    cp_onnx_value *x = cp_onnx_in(l, 0);
    int64_t to;
    cp_type type;
    if (!cp_onnx_int(l, "to", &to)) {
        if (!cp_onnx_failed(l)) cp_onnx_fail(l, cp_fail(CP_E_ARG, "to is missing"));
        return;
    }
    const cp_status status = cp_onnx_compute_type((int)to, &type);
    if (status) {
        cp_onnx_fail(l, status);
        return;
    }
    const cp_order order = cp_onnx_order_of(x);
    cp_onnx_set(l, 0, cp_net_cast(l->net, cp_onnx_want(l, x, order), type), order);
}

/* --- constants --- */

void cp_onnx_shape(cp_onnx_loader *l) {
    const cp_onnx_value *x = cp_onnx_in(l, 0);
    const int rank = x->shape.rank;
    int64_t start = cp_onnx_int_or(l, "start", 0), end = cp_onnx_int_or(l, "end", rank);
    if (start < 0) start += rank;
    if (end < 0) end += rank;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < start ? start : end > rank ? rank : end;
    for (int64_t k = start; k < end; k++)
        if (is_any(l, x, (int)k)) {
            fail_any(l);
            return;
        }
    const int64_t n = end - start;
    int64_t *numbers = cp_onnx_memory(l, n * (int64_t)sizeof *numbers);
    if (numbers) memcpy(numbers, x->shape.dim + start, (size_t)n * sizeof *numbers);
    cp_onnx_set_constant(l, 0, CP_ONNX_INT64, cp_shape_of(1, &n), numbers);
}

void cp_onnx_size(cp_onnx_loader *l) {
    const cp_onnx_value *x = cp_onnx_in(l, 0);
    if (x->shape.rank && is_any(l, x, 0)) {
        fail_any(l);
        return;
    }
    int64_t *number = cp_onnx_memory(l, sizeof *number);
    if (number) *number = cp_shape_count(x->shape);
    cp_onnx_set_constant(l, 0, CP_ONNX_INT64, (cp_shape){0}, number);
}

static void set_tensor(cp_onnx_loader *l, const cp_onnx_tensor *t) {
    const void *data;
    void *owned;
    cp_onnx_value *y = cp_onnx_out(l, 0);
    const cp_status status = cp_onnx_tensor_numbers(l, t, &data, &owned);
    if (status || !y) {
        cp_free(NULL, owned);
        if (status) cp_onnx_fail(l, status);
        return;
    }
    *y = (cp_onnx_value){
        .type = t->type, .shape = t->shape, .made = true, .data = data, .owned = owned, .constant = true};
}

/* Exactly one of its attributes says the value. */
void cp_onnx_constant(cp_onnx_loader *l) {
    enum { LONGEST = 64 };
    cp_onnx_tensor tensor;
    int64_t whole[LONGEST], n = 1;
    float real[LONGEST];
    int count = -1, rank = 1, type = CP_ONNX_INT64;
    if (cp_onnx_tensor_attribute(l, "value", &tensor)) {
        set_tensor(l, &tensor);
        return;
    }
    if (cp_onnx_int(l, "value_int", whole) || cp_onnx_float(l, "value_float", real)) {
        rank = 0;
        count = 1;
        if (cp_onnx_float(l, "value_float", real)) type = CP_ONNX_FLOAT;
    } else if (cp_onnx_floats(l, "value_floats", real, LONGEST, &count)) {
        type = CP_ONNX_FLOAT;
    } else if (!cp_onnx_ints(l, "value_ints", whole, LONGEST, &count)) {
        if (!cp_onnx_failed(l))
            cp_onnx_fail(
                l, cp_fail(CP_E_UNSUPPORTED, "needs one of value, value_int, value_ints, value_float, value_floats"));
        return;
    }
    const size_t size = type == CP_ONNX_INT64 ? sizeof *whole : sizeof *real;
    n = count;
    void *data = cp_onnx_memory(l, n * (int64_t)size);
    if (data) memcpy(data, type == CP_ONNX_INT64 ? (void *)whole : (void *)real, (size_t)n * size);
    cp_onnx_set_constant(l, 0, type, cp_shape_of(rank, &n), data);
}

void cp_onnx_constant_of_shape(cp_onnx_loader *l) {
    cp_shape shape = {0};
    cp_onnx_tensor tensor;
    const void *data = NULL;
    void *owned = NULL;
    cp_type type = CP_F32;
    int onnx_type = CP_ONNX_FLOAT;
    int64_t bytes = 0;
    if (!cp_onnx_numbers(l, 0, "shape", shape.dim, MOST, &shape.rank)) return;
    for (int k = 0; k < shape.rank; k++)
        if (shape.dim[k] < 0) cp_onnx_fail(l, cp_fail(CP_E_SHAPE, "dimension %d is %" PRId64, k, shape.dim[k]));
    if (cp_onnx_tensor_attribute(l, "value", &tensor)) {
        cp_status status = cp_onnx_tensor_numbers(l, &tensor, &data, &owned);
        if (!status) status = cp_onnx_compute_type(tensor.type, &type);
        if (!status && cp_shape_count(tensor.shape) != 1) status = cp_fail(CP_E_SHAPE, "value must be one number");
        if (!status && (tensor.type == CP_ONNX_FLOAT16 || tensor.type == CP_ONNX_BFLOAT16))
            status = cp_fail(CP_E_UNSUPPORTED, "value: type %s not supported", cp_onnx_type_name(tensor.type));
        if (status) cp_onnx_fail(l, status);
        onnx_type = tensor.type;
    }
    const int64_t count = cp_shape_count(shape), size = cp_type_size(type);
    if (!cp_onnx_failed(l) && (count < 0 || !cp_mul(count, size, &bytes)))
        cp_onnx_fail(l, cp_fail(CP_E_LIMIT, "more elements than can be counted"));
    char *numbers = cp_onnx_failed(l) ? NULL : cp_onnx_memory(l, bytes);
    for (int64_t i = 0; i < count && numbers && data; i++) memcpy(numbers + i * size, data, (size_t)size);
    cp_free(NULL, owned);
    cp_onnx_set_constant(l, 0, onnx_type, shape, numbers);
}

void cp_onnx_range(cp_onnx_loader *l) {
    double start, limit, delta;
    const cp_onnx_value *first = cp_onnx_in(l, 0);
    if (!cp_onnx_real(l, 0, "start", &start) || !cp_onnx_real(l, 1, "limit", &limit) ||
        !cp_onnx_real(l, 2, "delta", &delta))
        return;
    const double exact = delta == 0 ? -1 : (limit - start) / delta; /* rounded up; as many as fit a double exactly */
    int64_t n = exact > 0 ? (int64_t)(exact < 9e15 ? exact : 9e15) : 0, bytes;
    n += exact > 0 && (double)n < exact;
    const int type = first->type;
    cp_type computed;
    if (!(delta < 0 || delta > 0)) {
        cp_onnx_fail(l, cp_fail(CP_E_ARG, "delta must be another number than 0"));
        return;
    }
    if (cp_onnx_compute_type(type, &computed) || !cp_mul(n, cp_type_size(computed), &bytes) ||
        type == CP_ONNX_FLOAT16 || type == CP_ONNX_BFLOAT16) {
        cp_onnx_fail(l, cp_fail(CP_E_UNSUPPORTED, "type %s not supported", cp_onnx_type_name(type)));
        return;
    }
    void *numbers = cp_onnx_memory(l, bytes);
    const cp_tensor view = cp_view(numbers, computed, cp_shape_of(1, &n));
    for (int64_t i = 0; i < n && numbers; i++) cp_put(&view, i, start + (double)i * delta);
    cp_onnx_set_constant(l, 0, type, cp_shape_of(1, &n), numbers);
}
