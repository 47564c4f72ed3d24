/* Depthwise convolution: a row of pixels, each channel with its own filter. */

/* One vector of channels of P neighbouring pixels. */
INLINE void depthwise_vector(const cp_depthwise *d, const float *x, const float *w, const float *bias, float *y,
                             const int P, const int64_t columns, int count) {
    const int64_t x_step = d->x_step;
    vec sum[8];
    if (d->flags & CP_ACCUMULATE) {
        UNROLL for (int p = 0; p < P; p++) sum[p] = vec_load_some(y + p * d->y_step, count);
    } else {
        vec start = bias ? vec_load_some(bias, count) : (vec){0};
        UNROLL for (int p = 0; p < P; p++) sum[p] = start;
    }
    for (int64_t r = 0; r < d->rows; r++) {
        for (int64_t s = 0; s < columns; s++) {
            const float *from = x + r * d->x_row + s * d->x_column;
            vec weight = vec_load_some(w + r * d->w_row + s * d->w_column, count);
            UNROLL for (int p = 0; p < P; p++) sum[p] += vec_load_some(from + p * x_step, count) * weight;
        }
    }
    UNROLL for (int p = 0; p < P; p++) {
        if (d->flags & CP_APPLY_RELU) sum[p] = vec_relu(sum[p]);
        vec_store_some(y + p * d->y_step, sum[p], count);
    }
}

/* All channels of P pixels. */
INLINE void depthwise_pixels(const cp_depthwise *d, int64_t first, const int P) {
    const float *x = d->x + first * d->x_step;
    float *y = d->y + first * d->y_step;
    int64_t c = 0;
    for (; c + CP_LANES <= d->channels; c += CP_LANES)
        depthwise_vector(d, x + c, d->w + c, d->bias ? d->bias + c : NULL, y + c, P, d->columns, CP_LANES);
    if (c < d->channels)
        depthwise_vector(d, x + c, d->w + c, d->bias ? d->bias + c : NULL, y + c, P, d->columns,
                         vec_rest(d->channels - c));
}

static void depthwise(const cp_depthwise *d) {
    for (int64_t p = 0; p < d->pixels;) {
        int64_t left = d->pixels - p;
        if (left >= 8) {
            depthwise_pixels(d, p, 8);
            p += 8;
        } else if (left >= 4) {
            depthwise_pixels(d, p, 4);
            p += 4;
        } else {
            depthwise_pixels(d, p, 1);
            p++;
        }
    }
}
