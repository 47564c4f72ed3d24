/* Convolution with few channels a group: a vector of outputs is some groups, and its inputs are the same channels, so
 * input channel j of each group comes to all lanes of that group by one permutation. */

#if CP_LANES == 16
#define MOST_GROUPED_PIXELS 14
static const vec_int lane_numbers = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#else
#define MOST_GROUPED_PIXELS 8
static const vec_int lane_numbers = {0, 1, 2, 3, 4, 5, 6, 7};
#endif

/* Adds S taps side by side of one row of the filter to P pixels, one tap apart (any distance where S is 1). */
INLINE void grouped_taps(const cp_grouped *g, const float *x, const float *w, vec *sum, const int P, const int S,
                         const int whole) {
    const int count = whole ? CP_LANES : CP_LANES / g->written * g->read; /* inputs of a vector */
    vec_int from =
        (lane_numbers >> __builtin_ctz((unsigned)g->written)) * g->read; /* the first input of each lane's group */
    for (int j = 0; j < g->read; j++, from += 1, w += CP_LANES) {
        vec weight[3];
        UNROLL for (int s = 0; s < S; s++) weight[s] = *(const vec *)(w + s * g->rows.w_column);
        UNROLL for (int i = 0; i < P + S - 1; i++) {
            const vec value = vec_permute(vec_load_some(x + i * g->rows.x_step, count), from);
            UNROLL for (int s = 0; s < S; s++) {
                if (i >= s && i - s < P) sum[i - s] = vec_multiply_add(value, weight[s], sum[i - s]);
            }
        }
    }
}

/* One vector of channels of P neighbouring pixels. */
INLINE void grouped_vector(const cp_grouped *g, int64_t first, int64_t channel, const int P, const int whole) {
    const cp_depthwise *d = &g->rows;
    const float *x = d->x + first * d->x_step + channel / g->written * g->read,
                *w = d->w + channel / CP_LANES * g->w_vector;
    float *y = d->y + first * d->y_step + channel;
    const int sliding = d->x_step == d->x_column;
    const int64_t column = d->x_column, weight = d->w_column;
    vec sum[MOST_GROUPED_PIXELS];
    const vec bias = d->bias ? vec_load(d->bias + channel) : (vec){0};
    UNROLL for (int p = 0; p < P; p++) sum[p] = bias;
    for (int64_t r = 0; r < d->rows; r++, x += d->x_row, w += d->w_row) {
        int64_t s = 0;
        for (; sliding && s + 3 <= d->columns; s += 3)
            grouped_taps(g, x + s * column, w + s * weight, sum, P, 3, whole);
        for (; sliding && s + 2 <= d->columns; s += 2)
            grouped_taps(g, x + s * column, w + s * weight, sum, P, 2, whole);
        for (; s < d->columns; s++) grouped_taps(g, x + s * column, w + s * weight, sum, P, 1, whole);
    }
    UNROLL for (int p = 0; p < P; p++) {
        vec_store(y + p * d->y_step, d->flags & CP_APPLY_RELU ? vec_relu(sum[p]) : sum[p]);
    }
}

/* whole: as many channels are read as written, known when compiled. */
INLINE void grouped_pixels(const cp_grouped *g, int64_t first, const int P) {
    for (int64_t c = 0; c < g->rows.channels; c += CP_LANES) {
        if (g->read == g->written)
            grouped_vector(g, first, c, P, 1);
        else
            grouped_vector(g, first, c, P, 0);
    }
}

/* In blocks of pixels; the last one may begin among pixels that are done, and computes them once more. */
static void grouped(const cp_grouped *g) {
    const int64_t pixels = g->rows.pixels;
    for (int64_t done = 0; done < pixels;) {
        const int64_t left = pixels - done;
        if (left > MOST_GROUPED_PIXELS / 2 && pixels >= MOST_GROUPED_PIXELS) {
            const int64_t first = left < MOST_GROUPED_PIXELS ? pixels - MOST_GROUPED_PIXELS : done;
            grouped_pixels(g, first, MOST_GROUPED_PIXELS);
            done = first + MOST_GROUPED_PIXELS;
        } else if (left > 2 && pixels >= MOST_GROUPED_PIXELS / 2) {
            const int64_t first = left < MOST_GROUPED_PIXELS / 2 ? pixels - MOST_GROUPED_PIXELS / 2 : done;
            grouped_pixels(g, first, MOST_GROUPED_PIXELS / 2);
            done = first + MOST_GROUPED_PIXELS / 2;
        } else if (left > 1) {
            grouped_pixels(g, done, 2);
            done += 2;
        } else {
            grouped_pixels(g, done, 1);
            done++;
        }
    }
}
