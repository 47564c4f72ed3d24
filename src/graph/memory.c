/* Memory by lifetime: slots that are never alive at the same time may share bytes. */
#include <stdlib.h>

#include "graph/graph.h"

/* Largest first; ties in the order of the slots, so that a plan is always the same. */
static int compare(const void *a, const void *b) {
    const cp_slot *const *x = a, *const *y = b;
    if ((*x)->bytes != (*y)->bytes) return (*x)->bytes < (*y)->bytes ? 1 : -1;
    return *x < *y ? -1 : 1;
}

static bool meet(const cp_slot *a, const cp_slot *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which slot fits among those already placed. */
static int64_t lowest_gap(const cp_slot *slot, cp_slot *const *placed, int64_t n) {
    int64_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int64_t i = 0; i < n; i++) {
            const cp_slot *other = placed[i];
            if (meet(slot, other) && offset < other->offset + other->bytes && other->offset - offset < slot->bytes) {
                offset = cp_round_up(other->offset + other->bytes, CP_ALIGN);
                moved = true;
            }
        }
    }
    return offset;
}

cp_status cp_memory_layout(cp_slot *slots, int64_t n_slots, int64_t *bytes) {
    *bytes = 0;
    cp_slot **order = cp_alloc(NULL, (n_slots + 1) * (int64_t)sizeof *order);
    if (!order) return CP_E_MEMORY;
    int64_t n = 0;
    for (int64_t i = 0; i < n_slots; i++)
        if (slots[i].place == CP_PLACE_ARENA && slots[i].bytes) order[n++] = &slots[i];
    qsort(order, (size_t)n, sizeof *order, compare);
    for (int64_t i = 0; i < n; i++) {
        int64_t end;
        order[i]->offset = lowest_gap(order[i], order, i);
        if (!cp_sum(order[i]->offset, order[i]->bytes, &end)) {
            cp_free(NULL, order);
            return cp_fail(CP_E_LIMIT, "the plan needs more bytes than can be counted");
        }
        if (end > *bytes) *bytes = end;
    }
    *bytes = cp_round_up(*bytes, CP_ALIGN);
    cp_free(NULL, order);
    return CP_OK;
}
