/* Loops over arrays: activations, sums. */

INLINE void relu_vector(const float *x, float *y, int count) {
    vec_store_some(y, vec_relu(vec_load_some(x, count)), count);
}

static void relu(const float *x, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + CP_LANES <= n; i += CP_LANES) relu_vector(x + i, y + i, CP_LANES);
    if (i < n) relu_vector(x + i, y + i, vec_rest(n - i));
}

INLINE void relu_gradient_vector(const float *y, const float *dy, float *dx, int count) {
    vec_mask active = vec_greater(vec_load_some(y, count), (vec){0});
    vec_store_some(dx, vec_keep(active, vec_load_some(dy, count)), count);
}

static void relu_gradient(const float *y, const float *dy, float *dx, int64_t n) {
    int64_t i = 0;
    for (; i + CP_LANES <= n; i += CP_LANES) relu_gradient_vector(y + i, dy + i, dx + i, CP_LANES);
    if (i < n) relu_gradient_vector(y + i, dy + i, dx + i, vec_rest(n - i));
}

INLINE void add_vector(const float *a, const float *b, float *y, int count) {
    vec_store_some(y, vec_load_some(a, count) + vec_load_some(b, count), count);
}

static void add(const float *a, const float *b, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + CP_LANES <= n; i += CP_LANES) add_vector(a + i, b + i, y + i, CP_LANES);
    if (i < n) add_vector(a + i, b + i, y + i, vec_rest(n - i));
}

/* V vectors of columns, the last one with `count` of them. */
INLINE void column_sums_block(const float *x, int64_t x_step, int64_t rows, float *y, int flags, const int V,
                              int count) {
    vec sum[8];
    UNROLL for (int j = 0; j < V; j++) {
        sum[j] = flags & CP_ACCUMULATE ? vec_load_some(y + j * CP_LANES, j < V - 1 ? CP_LANES : count) : (vec){0};
    }
    for (int64_t i = 0; i < rows; i++, x += x_step) {
        UNROLL for (int j = 0; j < V; j++) sum[j] += vec_load_some(x + j * CP_LANES, j < V - 1 ? CP_LANES : count);
    }
    UNROLL for (int j = 0; j < V; j++) vec_store_some(y + j * CP_LANES, sum[j], j < V - 1 ? CP_LANES : count);
}

static void column_sums(const float *x, int64_t x_step, int64_t rows, int64_t columns, float *y, int flags) {
    int64_t j = 0;
    for (; j + 8 * CP_LANES <= columns; j += 8 * CP_LANES)
        column_sums_block(x + j, x_step, rows, y + j, flags, 8, CP_LANES);
    for (; j + 2 * CP_LANES <= columns; j += 2 * CP_LANES)
        column_sums_block(x + j, x_step, rows, y + j, flags, 2, CP_LANES);
    if (j + CP_LANES <= columns) {
        column_sums_block(x + j, x_step, rows, y + j, flags, 1, CP_LANES);
        j += CP_LANES;
    }
    if (j < columns) column_sums_block(x + j, x_step, rows, y + j, flags, 1, vec_rest(columns - j));
}

static double sum_of_squares(const float *x, int64_t n) {
    enum { HALF = CP_LANES / 2, SUMS = 4 };
    vec_double sum[SUMS] = {{0}}, v[2];
    int64_t i = 0;
    for (; i + SUMS * HALF <= n; i += SUMS * HALF) {
        UNROLL for (int j = 0; j < SUMS; j += 2) {
            vec_widen_halves(vec_load(x + i + j * HALF), v);
            sum[j] += v[0] * v[0];
            sum[j + 1] += v[1] * v[1];
        }
    }
    sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    double total = 0;
    for (int lane = 0; lane < HALF; lane++) total += sum[0][lane];
    for (; i < n; i++) total += (double)x[i] * x[i];
    return total;
}
