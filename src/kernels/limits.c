/* What the machine gives at most: multiply-adds that wait for nothing, and passes over memory that compute next to
 * nothing. */

/* Enough sums that none waits for itself, few enough that all stay in the registers of every level. */
static float multiply_adds(float start, int64_t n) {
    enum { sums = CP_MULTIPLY_ADD_SUMS };
    vec sum[sums], factor = vec_all(0.5f), term = vec_all(1);
    UNROLL for (int j = 0; j < sums; j++) sum[j] = vec_all(start + (float)j);
    for (int64_t i = 0; i < n; i++) {
        UNROLL for (int j = 0; j < sums; j++) sum[j] = vec_multiply_add(sum[j], factor, term);
    }
    UNROLL for (int j = 1; j < sums; j++) sum[0] += sum[j];
    return sum[0][0];
}

static float sweep_read(const cp_sweep *s) {
    enum { sums = 8 };
    vec sum[sums] = {{0}};
    for (const vec *x = (const vec *)s->x, *end = x + s->n / CP_LANES; x < end; x += sums) {
        UNROLL for (int j = 0; j < sums; j++) sum[j] += x[j];
    }
    for (int half = sums / 2; half > 0; half /= 2) {
        for (int j = 0; j < half; j++) sum[j] += sum[j + half];
    }
    return sum[0][0];
}

static float sweep_copy(const cp_sweep *s) {
    const vec *x = (const vec *)s->x;
    vec *y = (vec *)s->y;
    for (int64_t i = 0; i < s->n / CP_LANES; i += 4) {
        UNROLL for (int j = 0; j < 4; j++) y[i + j] = x[i + j];
    }
    return 0;
}

static float sweep_triad(const cp_sweep *s) {
    const vec *x = (const vec *)s->x, *z = (const vec *)s->z, factor = vec_all(0.5f);
    vec *y = (vec *)s->y;
    for (int64_t i = 0; i < s->n / CP_LANES; i += 4) {
        UNROLL for (int j = 0; j < 4; j++) y[i + j] = vec_multiply_add(factor, z[i + j], x[i + j]);
    }
    return 0;
}

static float sweep_stream(const cp_sweep *s) {
    const vec *x = (const vec *)s->x;
    for (int64_t i = 0; i < s->n / CP_LANES; i += 4) {
        UNROLL for (int j = 0; j < 4; j++) vec_stream(s->y + (i + j) * CP_LANES, x[i + j]);
    }
    vec_stream_fence();
    return 0;
}

/* The next four rows are fetched at the column where these are: their streams are new to the hardware, which would
 * otherwise begin each of them with a wait. */
static float sweep_rows(const cp_sweep *s) {
    const int64_t row = s->row, block = 4 * row;
    float *y = s->y;
    for (const float *x = s->x, *end = x + s->n; x < end; x += block, y += row) {
        const int more = x + block < end;
        for (int64_t i = 0; i < row; i += CP_LANES) {
            vec sum = vec_load(x + i);
            UNROLL for (int r = 1; r < 4; r++) sum += vec_load(x + r * row + i);
            if (more && i % 16 == 0) {
                UNROLL for (int r = 0; r < 4; r++) __builtin_prefetch(x + block + r * row + i, 0, 2);
            }
            vec_stream(y + i, sum);
        }
    }
    vec_stream_fence();
    return 0;
}
