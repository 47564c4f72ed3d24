/* What normalisation and reductions want: sums and sums of squares in double, and what is made of them. */

typedef struct lane_moments {
    vec_double shift[2], sum[2], squares[2];
} lane_moments;

INLINE void lane_moments_add(lane_moments *m, const float *x, int count) {
    vec_double distance[2];
    vec_widen_halves(vec_load_some(x, count), distance);
    UNROLL for (int h = 0; h < 2; h++) {
        distance[h] -= m->shift[h];
        m->sum[h] += distance[h];
        m->squares[h] += distance[h] * distance[h];
    }
}

static void moments(const float *x, int64_t x_step, int64_t rows, int64_t n, float shift, double *sum,
                    double *squares) {
    enum { HALF = CP_LANES / 2 };
    /* The last are of what is behind the last whole vector: lanes that are not there are 0, and so is their shift. */
    lane_moments m[3] = {{.sum = {{0}}}, {.sum = {{0}}}, {.sum = {{0}}}};
    float shifts[CP_LANES];
    for (int lane = 0; lane < CP_LANES; lane++) shifts[lane] = lane < n % CP_LANES ? shift : 0;
    vec_widen_halves(vec_all(shift), m[0].shift);
    vec_widen_halves(vec_all(shift), m[1].shift);
    vec_widen_halves(vec_load(shifts), m[2].shift);
    for (int64_t i = 0; i < rows; i++, x += x_step) {
        int64_t j = 0;
        for (; j + 2 * CP_LANES <= n; j += 2 * CP_LANES) {
            lane_moments_add(&m[0], x + j, CP_LANES);
            lane_moments_add(&m[1], x + j + CP_LANES, CP_LANES);
        }
        if (j + CP_LANES <= n) {
            lane_moments_add(&m[0], x + j, CP_LANES);
            j += CP_LANES;
        }
        if (j < n) lane_moments_add(&m[2], x + j, vec_rest(n - j));
    }
    vec_double sums = {0}, powers = {0};
    UNROLL for (int i = 0; i < 3; i++) {
        sums += m[i].sum[0] + m[i].sum[1];
        powers += m[i].squares[0] + m[i].squares[1];
    }
    for (int lane = 0; lane < HALF; lane++) {
        *sum += sums[lane];
        *squares += powers[lane];
    }
}

INLINE void column_moments_vector(const float *x, int64_t x_step, int64_t rows, const float *shift, double *sum,
                                  double *squares, int count) {
    double sums[CP_LANES], powers[CP_LANES];
    lane_moments m = {.sum = {{0}}};
    vec_widen_halves(vec_load_some(shift, count), m.shift);
    for (int64_t i = 0; i < rows; i++) lane_moments_add(&m, x + i * x_step, count);
    memcpy(sums, m.sum, sizeof sums);
    memcpy(powers, m.squares, sizeof powers);
    for (int lane = 0; lane < count; lane++) {
        sum[lane] += sums[lane];
        squares[lane] += powers[lane];
    }
}

static void column_moments(const float *x, int64_t x_step, int64_t rows, int64_t n, const float *shift, double *sum,
                           double *squares) {
    int64_t j = 0;
    for (; j + CP_LANES <= n; j += CP_LANES)
        column_moments_vector(x + j, x_step, rows, shift + j, sum + j, squares + j, CP_LANES);
    if (j < n) column_moments_vector(x + j, x_step, rows, shift + j, sum + j, squares + j, vec_rest(n - j));
}

INLINE vec one_or_each(const float *p, int64_t i, const int each, int count) {
    return each ? vec_load_some(p + i, count) : vec_all(*p);
}

INLINE void normalise_vector(const float *x, const float *mean, const float *rest, const float *inverse, const int each,
                             const float *scale, const float *bias, float *y, int64_t i, int count) {
    vec distance = vec_load_some(x + i, count) - one_or_each(mean, i, each, count) - one_or_each(rest, i, each, count);
    vec factor = one_or_each(inverse, i, each, count) * vec_load_some(scale + i, count);
    vec_store_some(y + i, vec_multiply_add(distance, factor, vec_load_some(bias + i, count)), count);
}

INLINE void normalise_array(const float *x, const float *mean, const float *rest, const float *inverse, const int each,
                            const float *scale, const float *bias, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + CP_LANES <= n; i += CP_LANES)
        normalise_vector(x, mean, rest, inverse, each, scale, bias, y, i, CP_LANES);
    if (i < n) normalise_vector(x, mean, rest, inverse, each, scale, bias, y, i, vec_rest(n - i));
}

static void normalise(const float *x, const float *mean, const float *rest, const float *inverse, int each,
                      const float *scale, const float *bias, float *y, int64_t n) {
    if (each)
        normalise_array(x, mean, rest, inverse, 1, scale, bias, y, n);
    else
        normalise_array(x, mean, rest, inverse, 0, scale, bias, y, n);
}
