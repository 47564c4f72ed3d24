/* Rows of channels that are blended, as interpolation between pixels wants it; and what its gradients need. */

INLINE void blend_vector(const float *x, const int64_t *offset, const float *weight, int64_t n, float *y, int flags,
                         int count) {
    vec sum = flags & CP_ACCUMULATE ? vec_load_some(y, count) : (vec){0};
    for (int64_t t = 0; t < n; t++)
        sum = vec_multiply_add(vec_all(weight[t]), vec_load_some(x + offset[t], count), sum);
    vec_store_some(y, sum, count);
}

static void blend(const float *x, const int64_t *offset, const float *weight, int64_t n, float *y, int64_t channels,
                  int flags) {
    int64_t c = 0;
    for (; c + CP_LANES <= channels; c += CP_LANES) blend_vector(x + c, offset, weight, n, y + c, flags, CP_LANES);
    if (c < channels) blend_vector(x + c, offset, weight, n, y + c, flags, vec_rest(channels - c));
}

INLINE void spread_vector(const float *x, const int64_t *offset, const float *weight, int64_t n, float *y, int count) {
    const vec v = vec_load_some(x, count);
    for (int64_t t = 0; t < n; t++) {
        float *to = y + offset[t];
        vec_store_some(to, vec_multiply_add(vec_all(weight[t]), v, vec_load_some(to, count)), count);
    }
}

static void spread(const float *x, const int64_t *offset, const float *weight, int64_t n, float *y, int64_t channels) {
    int64_t c = 0;
    for (; c + CP_LANES <= channels; c += CP_LANES) spread_vector(x + c, offset, weight, n, y + c, CP_LANES);
    if (c < channels) spread_vector(x + c, offset, weight, n, y + c, vec_rest(channels - c));
}

static void products(const float *x, const float *y, const int64_t *offset, int64_t n, int64_t channels, float *sums) {
    for (int64_t t = 0; t < n; t++) {
        vec sum = {0};
        int64_t c = 0;
        for (; c + CP_LANES <= channels; c += CP_LANES)
            sum = vec_multiply_add(vec_load(x + c), vec_load(y + offset[t] + c), sum);
        if (c < channels) {
            const int count = vec_rest(channels - c);
            sum = vec_multiply_add(vec_load_part(x + c, count), vec_load_part(y + offset[t] + c, count), sum);
        }
        float total = 0;
        for (int lane = 0; lane < CP_LANES; lane++) total += sum[lane];
        sums[t] = total;
    }
}
