/* Convolution with few filters: a vector holds channels of the input, each output has a vector of sums of its own, and
 * as many of those as there are lanes are added up across at once. */

/* Lane i of the result is the sum of the lanes of a[i]: each step halves the number of vectors, interleaving what two
 * of them have in their halves. */
INLINE vec few_sums(vec *a) {
#define FEW_STEP(n)                                                                                                    \
    UNROLL for (int i = 0; i < n; i++) a[i] = VEC_INTERLEAVE_LOW(a[i], a[i + n]) + VEC_INTERLEAVE_HIGH(a[i], a[i + n]);
#if CP_LANES == 16
    FEW_STEP(8)
#endif
#if CP_LANES >= 8
    FEW_STEP(4)
#endif
    FEW_STEP(2)
    FEW_STEP(1)
    return a[0];
}

#if defined(__clang__)
#define UNROLL_COLUMNS UNROLL
#else
#define UNROLL_COLUMNS _Pragma("GCC unroll 18")
#endif

/* S taps side by side and one vector of channels: K filters of P pixels. */
INLINE void few_taps(const cp_few_filters *f, const float *x, const float *w, int64_t column, vec *sum, const int K,
                     const int P, const int S, const int edge) {
    vec weight[3][4];
    UNROLL for (int s = 0; s < S; s++) {
        UNROLL for (int k = 0; k < K; k++) weight[s][k] = *(const vec *)(w + (s * K + k) * CP_LANES);
    }
    UNROLL_COLUMNS for (int c = 0; c < P + S - 1; c++) {
        if (edge && (column + c < f->first_column || column + c >= f->last_column)) continue;
        const vec value = vec_load(x + c * f->x_step);
        UNROLL for (int s = 0; s < S; s++) {
            UNROLL for (int k = 0; k < K; k++) {
                if (s <= c && c < s + P)
                    sum[(c - s) * K + k] = vec_multiply_add(value, weight[s][k], sum[(c - s) * K + k]);
            }
        }
    }
}

INLINE void few_block(const cp_few_filters *f, int64_t first, const int K, const int P, const int edge) {
    vec sum[CP_LANES];
    UNROLL for (int i = 0; i < CP_LANES; i++) sum[i] = (vec){0};
    const float *x_row = f->x + first * f->x_step, *w = f->w;
    for (int64_t r = 0; r < f->rows; r++, x_row += f->x_row)
        for (int64_t c = 0; c < f->channels; c += CP_LANES) {
            const float *x = x_row + c;
            int64_t s = 0;
            for (; s + 3 <= f->columns; s += 3, w += 3 * K * CP_LANES)
                few_taps(f, x + s * f->x_step, w, first + s, sum, K, P, 3, edge);
            for (; s < f->columns; s++, w += K * CP_LANES)
                few_taps(f, x + s * f->x_step, w, first + s, sum, K, P, 1, edge);
        }
    float bias[CP_LANES];
    UNROLL for (int i = 0; i < P * K; i++) bias[i] = f->bias ? f->bias[i % K] : 0;
    vec y = few_sums(sum);
    y += vec_load_some(bias, P * K);
    if (f->flags & CP_APPLY_RELU) y = vec_relu(y);
    vec_store_some(f->y + first * K, y, P * K);
}

INLINE void few_pixels(const cp_few_filters *f, int64_t first, const int K, const int P) {
    if (first < f->first_column || first + P - 1 + f->columns > f->last_column)
        few_block(f, first, K, P, 1);
    else
        few_block(f, first, K, P, 0);
}

INLINE void few_row(const cp_few_filters *f, const int K) {
    const int P = CP_LANES / K;
    int64_t first = 0;
    for (; first + P < f->pixels; first += P) few_pixels(f, first, K, P);
    if (f->pixels >= P) /* the last block may begin among pixels that are done */
        few_pixels(f, f->pixels - P, K, P);
    else
        for (; first < f->pixels; first++) few_block(f, first, K, 1, 1);
}

static void few_filters(const cp_few_filters *f) {
    switch (f->filters) {
    case 1:
        few_row(f, 1);
        break;
    case 2:
        few_row(f, 2);
        break;
    case 3:
        few_row(f, 3);
        break;
    default:
        few_row(f, 4);
    }
}
