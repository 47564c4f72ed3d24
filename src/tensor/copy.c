/* Copies between views of any strides: rows where both lie in a row, blocks where axes change places. Conversions. */
#include "tensor/tensor.h"

#include <string.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

/* One axis of both views; steps in bytes. */
typedef struct {
    int64_t count, to, from;
} axis;

/* What is to be copied: the axes from the outermost of `to` to its innermost. */
typedef struct {
    int axes;
    axis axis[CP_MAX_RANK];
    char *to;
    const char *from;
    int64_t size; /* of an element */
} copy;

static int64_t magnitude(int64_t step) {
    return step < 0 ? -step : step;
}

/* Sorts the axes by their step in `to`, without those of one element, and joins neighbours that are one axis in both.
 */
static copy plan_copy(const cp_tensor *to, const cp_tensor *from) {
    copy c = {.to = to->data, .from = from->data, .size = cp_type_size(to->type)};
    for (int d = 0; d < to->shape.rank; d++) {
        if (to->shape.dim[d] == 1) continue;
        const axis a = {to->shape.dim[d], to->stride[d] * c.size, from->stride[d] * c.size};
        int place = c.axes++;
        for (; place > 0 && magnitude(c.axis[place - 1].to) < magnitude(a.to); place--)
            c.axis[place] = c.axis[place - 1];
        c.axis[place] = a;
    }
    int joined = 0;
    for (int d = 1; d < c.axes; d++) {
        axis *outer = &c.axis[joined];
        const axis inner = c.axis[d];
        if (outer->to == inner.count * inner.to && outer->from == inner.count * inner.from)
            *outer = (axis){outer->count * inner.count, inner.to, inner.from};
        else
            c.axis[++joined] = inner;
    }
    if (c.axes) c.axes = joined + 1;
    return c;
}

/* Leaves share id of n: a part of the outermost axis that has something for everyone, else of the longest. False where
 * nothing is left. */
static bool take_share(copy *c, int id, int n) {
    int best = 0;
    for (int d = 0; d < c->axes && c->axis[best].count < n; d++)
        if (c->axis[d].count > c->axis[best].count) best = d;
    axis *a = &c->axis[best];
    const int64_t each = a->count / n, more = a->count % n; /* the first `more` shares have one more */
    const int64_t first = each * id + (id < more ? id : more);
    a->count = each + (id < more);
    c->to += first * a->to;
    c->from += first * a->from;
    return a->count > 0;
}

/* Inlined with each size as a constant, so that memcpy is a move. In blocks, so that the cache lines of both sides are
 * used up before they are gone. */
static inline __attribute__((always_inline)) void copy_plane(char *to, const char *from, axis outer, axis inner,
                                                             size_t size) {
    enum { ROWS = 8, BLOCK = 64 }; /* few rows, that may lie apart by a power of two: more would push each other out */
    for (int64_t i0 = 0; i0 < outer.count; i0 += ROWS)
        for (int64_t j0 = 0; j0 < inner.count; j0 += BLOCK) {
            const int64_t i1 = i0 + ROWS < outer.count ? i0 + ROWS : outer.count;
            const int64_t j1 = j0 + BLOCK < inner.count ? j0 + BLOCK : inner.count;
            for (int64_t i = i0; i < i1; i++)
                for (int64_t j = j0; j < j1; j++)
                    memcpy(to + i * outer.to + j * inner.to, from + i * outer.from + j * inner.from, size);
        }
}

typedef int32_t words __attribute__((vector_size(16), aligned(4), may_alias));
enum { WORD = 4, SIDE = 16, BEYOND_CACHE = 8 << 20 };

/* past_cache: what is written soon leaves the cache anyway, so it does not enter it either. */
static inline __attribute__((always_inline)) void store_words(char *to, words value, bool past_cache) {
#if defined(__SSE2__)
    if (past_cache) {
        _mm_stream_ps((float *)to, (__m128)value);
        return;
    }
#endif
    (void)past_cache;
    *(words *)to = value;
}

/* The words of four rows become those of four columns. */
static inline __attribute__((always_inline)) void transpose_4x4(char *to, int64_t to_step, const char *from,
                                                                int64_t from_step, bool past_cache) {
    const words a = *(const words *)from, b = *(const words *)(from + from_step);
    const words c = *(const words *)(from + 2 * from_step), d = *(const words *)(from + 3 * from_step);
    const words ac_low = __builtin_shufflevector(a, c, 0, 4, 1, 5), ac_high = __builtin_shufflevector(a, c, 2, 6, 3, 7);
    const words bd_low = __builtin_shufflevector(b, d, 0, 4, 1, 5), bd_high = __builtin_shufflevector(b, d, 2, 6, 3, 7);
    store_words(to, __builtin_shufflevector(ac_low, bd_low, 0, 4, 1, 5), past_cache);
    store_words(to + to_step, __builtin_shufflevector(ac_low, bd_low, 2, 6, 3, 7), past_cache);
    store_words(to + 2 * to_step, __builtin_shufflevector(ac_high, bd_high, 0, 4, 1, 5), past_cache);
    store_words(to + 3 * to_step, __builtin_shufflevector(ac_high, bd_high, 2, 6, 3, 7), past_cache);
}

/* In squares whose sides are a cache line: one of `from` stays until it is used up, and one of `to` is filled before
 * the next is begun, since those may lie apart by a power of two and would push each other out. */
static inline __attribute__((always_inline)) void transpose_squares(char *to, const char *from, axis outer, axis inner,
                                                                    bool past_cache) {
    for (int64_t j0 = 0; j0 < inner.count; j0 += SIDE)
        for (int64_t i0 = 0; i0 < outer.count; i0 += SIDE)
            for (int64_t i = i0; i < i0 + SIDE; i += 4)
                for (int64_t j = j0; j < j0 + SIDE; j += 4)
                    transpose_4x4(to + i * outer.to + j * WORD, outer.to, from + i * WORD + j * inner.from, inner.from,
                                  past_cache);
}

/* Four-byte elements that are neighbours along the inner axis in `to`, along the outer one in `from`. */
static void transpose_words(char *to, const char *from, axis outer, axis inner, bool past_cache) {
    const int64_t outer_whole = outer.count / SIDE * SIDE, inner_whole = inner.count / SIDE * SIDE;
    const axis outer_most = {outer_whole, outer.to, outer.from}, inner_most = {inner_whole, inner.to, inner.from};
    if (past_cache && (uintptr_t)to % sizeof(words) == 0 && outer.to % (int64_t)sizeof(words) == 0)
        transpose_squares(to, from, outer_most, inner_most, true);
    else
        transpose_squares(to, from, outer_most, inner_most, false);
    const axis outer_rest = {outer.count - outer_whole, outer.to, outer.from};
    const axis inner_rest = {inner.count - inner_whole, inner.to, inner.from};
    copy_plane(to + inner_whole * WORD, from + inner_whole * inner.from, outer, inner_rest, WORD);
    copy_plane(to + outer_whole * outer.to, from + outer_whole * WORD, outer_rest, inner_most, WORD);
}

/* Two axes: rows where the inner one has no gaps on both sides. */
static void copy_axes(char *to, const char *from, axis outer, axis inner, int64_t size, bool past_cache) {
    if (inner.to == size && inner.from == size) {
        for (int64_t i = 0; i < outer.count; i++)
            memcpy(to + i * outer.to, from + i * outer.from, (size_t)(inner.count * size));
        return;
    }
    if (size == WORD && inner.to == WORD && outer.from == WORD) {
        transpose_words(to, from, outer, inner, past_cache);
        return;
    }
    switch (size) {
    case 1:
        copy_plane(to, from, outer, inner, 1);
        break;
    case 2:
        copy_plane(to, from, outer, inner, 2);
        break;
    case 4:
        copy_plane(to, from, outer, inner, 4);
        break;
    default:
        copy_plane(to, from, outer, inner, 8);
        break;
    }
}

/* Stores past the cache are seen by other threads only after this. */
static void store_fence(void) {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

void cp_copy_share(const cp_tensor *to, const cp_tensor *from, int id, int n) {
    if (cp_shape_count(to->shape) == 0) return;
    copy c = plan_copy(to, from);
    if (c.axes == 0) c.axis[c.axes++] = (axis){1, c.size, c.size};
    if (!take_share(&c, id, n)) return;

    /* Inside: the innermost axis of `to`, and of the others the innermost of `from`. */
    const axis one = {1, 0, 0}, inner = c.axis[--c.axes];
    int partner = 0;
    for (int d = 1; d < c.axes; d++)
        if (magnitude(c.axis[d].from) <= magnitude(c.axis[partner].from)) partner = d;
    const axis outer = c.axes ? c.axis[partner] : one;
    if (c.axes) c.axis[partner] = c.axis[--c.axes];
    const bool past_cache = cp_shape_count(to->shape) * c.size >= BEYOND_CACHE;

    /* Around it: the others, counted like the digits of a clock. */
    int64_t at[CP_MAX_RANK] = {0};
    for (int d = 0; d >= 0;) {
        copy_axes(c.to, c.from, outer, inner, c.size, past_cache);
        for (d = c.axes - 1; d >= 0; d--) {
            const axis *a = &c.axis[d];
            c.to += a->to;
            c.from += a->from;
            if (++at[d] < a->count) break;
            c.to -= a->count * a->to;
            c.from -= a->count * a->from;
            at[d] = 0;
        }
    }
    store_fence();
}

static cp_status check_both(const cp_tensor *to, cp_type type, const cp_tensor *from) {
    char to_text[CP_SHAPE_TEXT], from_text[CP_SHAPE_TEXT];
    cp_status status = cp_check_tensor(from, from->type, "from");
    if (!status) status = cp_check_tensor(to, type, "to");
    if (status || cp_shape_same(to->shape, from->shape)) return status;
    return cp_fail(CP_E_SHAPE, "cannot copy %s to %s: the shapes must be the same",
                   cp_shape_text(from->shape, from_text), cp_shape_text(to->shape, to_text));
}

cp_status cp_tensor_copy(const cp_tensor *to, const cp_tensor *from) {
    if (!to || !from) return cp_fail(CP_E_ARG, "%s is NULL", to ? "from" : "to");
    const cp_status status = check_both(to, from->type, from);
    if (!status) cp_copy_share(to, from, 0, 1);
    return status;
}

cp_status cp_tensor_convert(const cp_tensor *to, const cp_tensor *from) {
    if (!to || !from) return cp_fail(CP_E_ARG, "%s is NULL", to ? "from" : "to");
    const cp_status status = check_both(to, to->type, from);
    if (status) return status;
    if (to->type != CP_F32 && to->type != CP_F64 && !cp_is_half(to->type))
        return cp_fail(CP_E_ARG, "cannot convert to %s: must be f32, f64, f16 or bf16", cp_type_name(to->type));
    const int64_t count = cp_shape_count(to->shape);
    for (int64_t e = 0; e < count; e++)
        cp_put(to, cp_offset(to, 0, to->shape.rank, e), cp_get(from, cp_offset(from, 0, from->shape.rank, e)));
    return CP_OK;
}
