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
            if (i >= s && p * T == i - s && p < P) sum[p] = vec_multiply_add(value, weight[s], sum[p]);
        }
    }
}

/* The same for any distances. */
INLINE void depthwise_any(const cp_depthwise *d, const float *x, const float *w, vec *sum, const int P, int count) {
    for (int64_t s = 0; s < d->columns; s++) {
        vec weight = vec_load_some(w + s * d->w_column, count);
        UNROLL for (int p = 0; p < P; p++) {
            vec value = vec_load_some(x + s * d->x_column + p * d->x_step, count);
            sum[p] = vec_multiply_add(value, weight, sum[p]);
        }
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
    if (d->columns == 2 && d->pixels == 1) /* the edge of rows of three taps */
        depthwise_pixels(d, 0, 1, 2, 1);
    else if (d->columns == 3 && together == 1)
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

/* --- the weight gradient --- */

/* R x S taps of one vector of channels. */
INLINE void products_vector(const cp_channel_products *j, int64_t row, int64_t tap, int64_t channel, const int R,
                            const int S, int count) {
    const float *a_row = j->a + row * j->a_tap_row + tap * j->a_tap + channel, *b_row = j->b + channel;
    float *y = j->y + row * j->y_tap_row + tap * j->y_tap + channel;
    vec sum[9];
    UNROLL for (int t = 0; t < R * S; t++) sum[t] = vec_load_some(y + t / S * j->y_tap_row + t % S * j->y_tap, count);
    for (int64_t i = 0; i < j->rows; i++, a_row += j->a_row, b_row += j->b_row) {
        const float *a = a_row, *b = b_row;
        for (int64_t p = 0; p < j->pixels; p++, a += j->a_step, b += j->b_step) {
            const vec value = vec_load_some(b, count);
            UNROLL for (int t = 0; t < R * S; t++) {
                const vec other = vec_load_some(a + t / S * j->a_tap_row + t % S * j->a_tap, count);
                sum[t] = vec_multiply_add(other, value, sum[t]);
            }
        }
    }
    UNROLL for (int t = 0; t < R * S; t++) vec_store_some(y + t / S * j->y_tap_row + t % S * j->y_tap, sum[t], count);
}

INLINE void products_channels(const cp_channel_products *j, int64_t row, int64_t tap, const int R, const int S) {
    int64_t c = 0;
    for (; c + CP_LANES <= j->channels; c += CP_LANES) products_vector(j, row, tap, c, R, S, CP_LANES);
    if (c < j->channels) products_vector(j, row, tap, c, R, S, vec_rest(j->channels - c));
}

/* One row of taps, seven and fewer at a time. */
static void products_row(const cp_channel_products *j, int64_t row) {
    for (int64_t tap = 0; tap < j->taps; tap += 7) {
        switch (j->taps - tap) {
        case 1:
            products_channels(j, row, tap, 1, 1);
            break;
        case 2:
            products_channels(j, row, tap, 1, 2);
            break;
        case 3:
            products_channels(j, row, tap, 1, 3);
            break;
        case 4:
            products_channels(j, row, tap, 1, 4);
            break;
        case 5:
            products_channels(j, row, tap, 1, 5);
            break;
        case 6:
            products_channels(j, row, tap, 1, 6);
            break;
        default:
            products_channels(j, row, tap, 1, 7);
        }
    }
}

static void channel_products(const cp_channel_products *j) {
    if (j->tap_rows == 3 && j->taps == 3) {
        products_channels(j, 0, 0, 3, 3);
        return;
    }
    for (int64_t row = 0; row < j->tap_rows; row++) products_row(j, row);
}
