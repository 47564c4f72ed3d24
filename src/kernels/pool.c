/* Pooling of a row of windows, and its gradient gathered for a row of inputs. */

/* Maximum and index of one vector of channels where there is a NaN: the first one wins. */
static __attribute__((noinline, cold)) void max_with_nan(const cp_pool_row *p, const float *x, float *y, uint8_t *index,
                                                         int count) {
    vec best = vec_load_some(x + p->offset[0], count);
    vec_index best_id = index_all(p->id[0]);
    for (int64_t t = 1; t < p->taps; t++) {
        vec v = vec_load_some(x + p->offset[t], count);
        vec_mask better = vec_greater(v, best) | (vec_unordered(v, v) & ~vec_unordered(best, best));
        best = vec_select(better, v, best);
        best_id = index_select(better, index_all(p->id[t]), best_id);
    }
    if (y) vec_store_some(y, best, count);
    if (index) index_store(index, best_id, count);
}

/* One vector of channels of a window. Numbers alone need one comparison; NaNs are looked for two at a time. offset and
 * id are those of the row. */
INLINE void max_vector(const cp_pool_row *p, const int64_t *offset, const uint8_t *id, const float *x, float *y,
                       uint8_t *index, const int64_t taps, int count) {
    vec best = vec_load_some(x + offset[0], count), last = best;
    vec_index best_id = index_all(id[0]);
    vec_mask nan = vec_unordered(best, best);
    UNROLL_IF_CONSTANT for (int64_t t = 1; t < taps; t++) {
        vec v = vec_load_some(x + offset[t], count);
        if (index) best_id = index_select(vec_greater(v, best), index_all(id[t]), best_id);
        best = vec_max(v, best);
        if (t % 2 == 0 || t == taps - 1) nan |= vec_unordered(last, v);
        last = v;
    }
    if (__builtin_expect(vec_any(nan), 0)) {
        max_with_nan(p, x, y, index, count);
        return;
    }
    if (y) vec_store_some(y, best, count);
    if (index) index_store(index, best_id, count);
}

INLINE void max_row(const cp_pool_row *p, const int64_t *offset, const uint8_t *id, const int64_t taps,
                    const int with_index) {
    for (int64_t i = 0; i < p->pixels; i++) {
        const float *x = p->x + i * p->x_step;
        const int64_t at = i * p->y_step;
        int64_t c = 0;
        for (; c + CP_LANES <= p->channels; c += CP_LANES)
            max_vector(p, offset, id, x + c, p->y ? p->y + at + c : NULL, with_index ? p->index + at + c : NULL, taps,
                       CP_LANES);
        if (c < p->channels)
            max_vector(p, offset, id, x + c, p->y ? p->y + at + c : NULL, with_index ? p->index + at + c : NULL, taps,
                       vec_rest(p->channels - c));
    }
}

/* The same with the taps of usual windows in registers, of which the compiler knows that no store changes them. */
INLINE void max_row_of_few(const cp_pool_row *p, const int taps, const int with_index) {
    int64_t offset[9];
    uint8_t id[9];
    UNROLL for (int t = 0; t < taps; t++) {
        offset[t] = p->offset[t];
        id[t] = p->id[t];
    }
    max_row(p, offset, id, taps, with_index);
}

INLINE void max_of(const cp_pool_row *p, const int with_index) {
    switch (p->taps) {
    case 4:
        max_row_of_few(p, 4, with_index);
        break;
    case 9:
        max_row_of_few(p, 9, with_index);
        break;
    default:
        max_row(p, p->offset, p->id, p->taps, with_index);
    }
}

static void max_pool(const cp_pool_row *p) {
    if (p->index)
        max_of(p, 1);
    else
        max_of(p, 0);
}

/* V vectors of channels of a window, the last one with `count` of them. */
INLINE void average_vectors(const cp_pool_row *p, const float *x, float *y, const int64_t taps, const int V,
                            int count) {
    vec sum[8];
    UNROLL for (int j = 0; j < V; j++) sum[j] =
        vec_load_some(x + p->offset[0] + j * CP_LANES, j < V - 1 ? CP_LANES : count);
    UNROLL_IF_CONSTANT for (int64_t t = 1; t < taps; t++) {
        const float *from = x + p->offset[t];
        UNROLL for (int j = 0; j < V; j++) sum[j] += vec_load_some(from + j * CP_LANES, j < V - 1 ? CP_LANES : count);
    }
    UNROLL for (int j = 0; j < V; j++)
        vec_store_some(y + j * CP_LANES, p->factor * sum[j], j < V - 1 ? CP_LANES : count);
}

INLINE void average_row(const cp_pool_row *p, const int64_t taps, const int V) {
    for (int64_t i = 0; i < p->pixels; i++) {
        const float *x = p->x + i * p->x_step;
        float *y = p->y + i * p->y_step;
        int64_t c = 0;
        if (V > 1)
            for (; c + V * CP_LANES <= p->channels; c += V * CP_LANES)
                average_vectors(p, x + c, y + c, taps, V, CP_LANES);
        for (; c + CP_LANES <= p->channels; c += CP_LANES) average_vectors(p, x + c, y + c, taps, 1, CP_LANES);
        if (c < p->channels) average_vectors(p, x + c, y + c, taps, 1, vec_rest(p->channels - c));
    }
}

static void average_pool(const cp_pool_row *p) {
    switch (p->taps) {
    case 4:
        average_row(p, 4, 1);
        break;
    case 9:
        average_row(p, 9, 1);
        break;
    default:
        average_row(p, p->taps, 8);
    }
}

/* --- gradients --- */

INLINE vec max_gradient(const cp_pool_gather *p, int64_t at, const int64_t taps, int count) {
    vec sum = {0};
    UNROLL_IF_CONSTANT for (int64_t t = 0; t < taps; t++) {
        int64_t from = at + p->offset[t];
        vec_mask here = index_equal(index_load(p->index + from, count), p->id[t]);
        sum += vec_keep(here, vec_load_some(p->dy + from, count));
    }
    return sum;
}

INLINE vec average_gradient(const cp_pool_gather *p, int64_t at, const int64_t taps, int count) {
    vec sum = {0};
    UNROLL_IF_CONSTANT for (int64_t t = 0; t < taps; t++) {
        vec value = vec_load_some(p->dy + at + p->offset[t], count);
        sum = vec_multiply_add(vec_all(p->factor[t]), value, sum);
    }
    return sum;
}

INLINE void gather_row(const cp_pool_gather *p, const int64_t taps,
                       vec (*gradient)(const cp_pool_gather *, int64_t, int64_t, int)) {
    for (int64_t i = 0; i < p->pixels; i++) {
        float *dx = p->dx + i * p->dx_step;
        int64_t c = 0;
        for (; c + CP_LANES <= p->channels; c += CP_LANES)
            vec_store(dx + c, gradient(p, i * p->dy_step + c, taps, CP_LANES));
        if (c < p->channels) {
            int rest = vec_rest(p->channels - c);
            vec_store_part(dx + c, gradient(p, i * p->dy_step + c, taps, rest), rest);
        }
    }
}

/* The same with the few taps in registers, of which the compiler knows that no store changes them. */
INLINE void gather_row_of_few(const cp_pool_gather *p, const int taps,
                              vec (*gradient)(const cp_pool_gather *, int64_t, int64_t, int)) {
    int64_t offset[4];
    uint8_t id[4];
    float factor[4];
    UNROLL for (int t = 0; t < taps; t++) {
        offset[t] = p->offset[t];
        id[t] = p->id ? p->id[t] : 0;
        factor[t] = p->factor ? p->factor[t] : 0;
    }
    cp_pool_gather local = *p;
    local.offset = offset;
    local.id = id;
    local.factor = factor;
    gather_row(&local, taps, gradient);
}

INLINE void gather(const cp_pool_gather *p, vec (*gradient)(const cp_pool_gather *, int64_t, int64_t, int)) {
    switch (p->taps) {
    case 1:
        gather_row_of_few(p, 1, gradient);
        break;
    case 2:
        gather_row_of_few(p, 2, gradient);
        break;
    case 4:
        gather_row_of_few(p, 4, gradient);
        break;
    default:
        gather_row(p, p->taps, gradient);
    }
}

static void max_pool_gather(const cp_pool_gather *p) {
    gather(p, max_gradient);
}

static void average_pool_gather(const cp_pool_gather *p) {
    gather(p, average_gradient);
}
