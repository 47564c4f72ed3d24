/* Convolution with few channels a group: a vector of outputs is some groups, and its inputs are the same channels, so
 * input channel j of each group comes to all lanes of that group by one permutation. */

#if CP_LANES == 16
#define MOST_GROUPED_PIXELS 14
#define GROUPED_3X3_PIXELS 7
static const vec_int lane_numbers = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#else
#define MOST_GROUPED_PIXELS 8
#define GROUPED_3X3_PIXELS 4
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

/* --- 3x3 taps of stride 1: each permuted vector serves three taps of each of two rows --- */

/* P pixels of `rows` rows. edge: some columns of inputs may not be there. */
INLINE void grouped_3x3_block(const cp_grouped_3x3 *g, int64_t channel, int64_t first, const int rows, const int P,
                              const int edge, const int whole) {
    const int count = whole ? CP_LANES : CP_LANES / g->written * g->read;
    const vec_int group = (lane_numbers >> __builtin_ctz((unsigned)g->written)) * g->read;
    const float *x = g->x + channel / g->written * g->read + first * g->x_step,
                *w = g->w + channel / CP_LANES * g->w_vector;
    float *y = g->y + channel + first * g->y_step;
    const int64_t tap = (int64_t)g->read * CP_LANES;
    const vec bias = g->bias ? vec_load(g->bias + channel) : (vec){0};
    vec sum[2][GROUPED_3X3_PIXELS];
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int p = 0; p < P; p++) sum[i][p] = bias;
    }
    UNROLL for (int r = 0; r < rows + 2; r++, x += g->x_row) {
        if (r < g->first_row || r >= g->last_row) continue;
        const float *w_j = w;
        vec_int from = group;
        for (int j = 0; j < g->read; j++, from += 1, w_j += CP_LANES) {
            vec weight[2][3];
            UNROLL for (int i = 0; i < rows; i++) {
                UNROLL for (int s = 0; s < 3; s++) {
                    if (i <= r && r < i + 3) weight[i][s] = *(const vec *)(w_j + ((r - i) * 3 + s) * tap);
                }
            }
            UNROLL for (int c = 0; c < P + 2; c++) {
                if (edge && (first + c < g->first_column || first + c >= g->last_column)) continue;
                const vec value = vec_permute(vec_load_some(x + c * g->x_step, count), from);
                UNROLL for (int i = 0; i < rows; i++) {
                    UNROLL for (int s = 0; s < 3; s++) {
                        if (i <= r && r < i + 3 && s <= c && c < s + P)
                            sum[i][c - s] = vec_multiply_add(value, weight[i][s], sum[i][c - s]);
                    }
                }
            }
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int p = 0; p < P; p++) {
            const vec v = g->flags & CP_APPLY_RELU ? vec_relu(sum[i][p]) : sum[i][p];
            vec_store(y + i * g->y_row + p * g->y_step, v);
        }
    }
}

INLINE void grouped_3x3_pixels(const cp_grouped_3x3 *g, int64_t channel, int64_t first, const int rows, const int P) {
    const int edge = first < g->first_column || first + P + 2 > g->last_column;
    if (g->read != g->written)
        grouped_3x3_block(g, channel, first, rows, P, 1, 0);
    else if (edge)
        grouped_3x3_block(g, channel, first, rows, P, 1, 1);
    else
        grouped_3x3_block(g, channel, first, rows, P, 0, 1);
}

INLINE void grouped_3x3_rows(const cp_grouped_3x3 *g, const int rows) {
    const int P = GROUPED_3X3_PIXELS;
    for (int64_t channel = 0; channel < g->channels; channel += CP_LANES) {
        int64_t first = 0;
        for (; first + P < g->pixels; first += P) grouped_3x3_pixels(g, channel, first, rows, P);
        if (g->pixels >= P) { /* the last block may begin among pixels that are done */
            grouped_3x3_pixels(g, channel, g->pixels - P, rows, P);
        } else {
            for (; first < g->pixels; first++) grouped_3x3_pixels(g, channel, first, rows, 1);
        }
    }
}

static void grouped_3x3(const cp_grouped_3x3 *g) {
    if (g->rows == 2)
        grouped_3x3_rows(g, 2);
    else
        grouped_3x3_rows(g, 1);
}
