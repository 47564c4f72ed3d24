/* Depthwise convolution: a row of pixels, each channel with its own filter. */

/* Adds the taps of one row of the filter to P pixels, reading each input once: S taps side by side, pixels T taps
 * apart. */
INLINE void depthwise_sliding(const cp_depthwise *d, const float *x, const float *w, vec *sum, const int P, const int S,
                              const int T) {
    vec weight[7];
    UNROLL for (int s = 0; s < S; s++) weight[s] = vec_load(w + s * d->w_column);
    UNROLL for (int i = 0; i < (P - 1) * T + S; i++) {
        vec value = vec_load(x + i * d->x_column);
        UNROLL for (int s = 0; s < S; s++) {
            const int p = (i - s) / T;
            if (i >= s && p * T == i - s && p < P) sum[p] += value * weight[s];
        }
    }
}

/* The same for any distances. */
INLINE void depthwise_any(const cp_depthwise *d, const float *x, const float *w, vec *sum, const int P, int count) {
    for (int64_t s = 0; s < d->columns; s++) {
        vec weight = vec_load_some(w + s * d->w_column, count);
        UNROLL for (int p = 0; p < P; p++) sum[p] += vec_load_some(x + s * d->x_column + p * d->x_step, count) * weight;
    }
}

/* One vector of channels, or its first `count`, of P neighbouring pixels. S = 0: any distances. */
INLINE void depthwise_vector(const cp_depthwise *d, int64_t first, int64_t channel, const int P, const int S,
                             const int T, int count) {
    const float *x = d->x + first * d->x_step + channel, *w = d->w + channel;
    float *y = d->y + first * d->y_step + channel;
    vec sum[8];
    if (d->flags & CP_ACCUMULATE) {
        UNROLL for (int p = 0; p < P; p++) sum[p] = vec_load_some(y + p * d->y_step, count);
    } else {
        vec bias = d->bias ? vec_load_some(d->bias + channel, count) : (vec){0};
        UNROLL for (int p = 0; p < P; p++) sum[p] = bias;
    }
    for (int64_t r = 0; r < d->rows; r++) {
        if (S)
            depthwise_sliding(d, x, w, sum, P, S, T);
        else
            depthwise_any(d, x, w, sum, P, count);
        x += d->x_row;
        w += d->w_row;
    }
    if (d->flags & CP_APPLY_RELU) {
        UNROLL for (int p = 0; p < P; p++) sum[p] = vec_relu(sum[p]);
    }
    UNROLL for (int p = 0; p < P; p++) vec_store_some(y + p * d->y_step, sum[p], count);
}

INLINE void depthwise_pixels(const cp_depthwise *d, int64_t first, const int P, const int S, const int T) {
    int64_t c = 0;
    for (; c + CP_LANES <= d->channels; c += CP_LANES) depthwise_vector(d, first, c, P, S, T, CP_LANES);
    if (c < d->channels) depthwise_vector(d, first, c, P, 0, 0, vec_rest(d->channels - c));
}

/* In blocks of at most 8 pixels. The last one may begin among pixels that are done: it computes them once more, unless
 * it would add them twice. */
INLINE void depthwise_row(const cp_depthwise *d, const int S, const int T) {
    for (int64_t done = 0; done < d->pixels;) {
        const int64_t left = d->pixels - done, room = d->flags & CP_ACCUMULATE ? left : d->pixels;
        if (left > 4 && room >= 8) {
            const int64_t first = left < 8 ? d->pixels - 8 : done;
            depthwise_pixels(d, first, 8, S, T);
            done = first + 8;
        } else if (left > 1 && room >= 4) {
            const int64_t first = left < 4 ? d->pixels - 4 : done;
            depthwise_pixels(d, first, 4, S, T);
            done = first + 4;
        } else {
            depthwise_pixels(d, done, 1, S, T);
            done++;
        }
    }
}

static void depthwise(const cp_depthwise *d) {
    const int together = d->x_step == d->x_column ? 1 : d->x_step == 2 * d->x_column ? 2 : 0;
    if (d->columns == 3 && together == 1)
        depthwise_row(d, 3, 1);
    else if (d->columns == 3 && together == 2)
        depthwise_row(d, 3, 2);
    else if (d->columns == 5 && together == 1)
        depthwise_row(d, 5, 1);
    else if (d->columns == 7 && together == 1)
        depthwise_row(d, 7, 1);
    else
        depthwise_row(d, 0, 0);
}
