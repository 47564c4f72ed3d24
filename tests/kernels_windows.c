/* Kernels against plain loops: what slides windows over rows: depthwise and grouped convolution, few filters, pooling,
 * mixtures of pixels. */
#include "kernels.h"

/* --- depthwise --- */

static void plain_depthwise(const cp_depthwise *d) {
    for (int64_t p = 0; p < d->pixels; p++)
        for (int64_t c = 0; c < d->channels; c++) {
            float *y = d->y + p * d->y_step + c;
            float sum = d->flags & CP_ACCUMULATE ? *y : d->bias ? d->bias[c] : 0;
            for (int64_t r = 0; r < d->rows; r++)
                for (int64_t s = 0; s < d->columns; s++)
                    sum += d->x[p * d->x_step + r * d->x_row + s * d->x_column + c] *
                           d->w[r * d->w_row + s * d->w_column + c];
            *y = d->flags & CP_APPLY_RELU ? plain_relu(sum) : sum;
        }
}

/* A random row; outputs stands for the floats from the first to the last of y. */
static cp_depthwise draw_depthwise(const cp_kernels *k, guard *g, float (*value)(void), int64_t *outputs) {
    cp_depthwise d = {.pixels = draw(1, 30), .rows = draw(1, 5), .columns = draw(0, 1) ? 3 : draw(1, 7)};
    d.channels = draw_size(k->lanes, 5 * k->lanes);
    int64_t pixel = d.channels + draw(0, 2), stride = draw(1, 3), dilation = draw(1, 3);
    d.x_step = stride * pixel, d.x_column = dilation * pixel;
    d.x_row = (d.pixels * stride + d.columns * dilation) * pixel;
    d.w_column = d.channels + draw(0, 2), d.w_row = d.columns * d.w_column;
    d.y_step = d.channels + draw(0, 3);
    d.x = filled(g, (d.pixels - 1) * d.x_step + (d.rows - 1) * d.x_row + (d.columns - 1) * d.x_column + d.channels,
                 value);
    d.w = filled(g, (d.rows - 1) * d.w_row + (d.columns - 1) * d.w_column + d.channels, value);
    d.bias = draw(0, 1) ? filled(g, d.channels, value) : NULL;
    d.flags = (int)draw(0, 3);
    *outputs = (d.pixels - 1) * d.y_step + d.channels;
    d.y = filled(g, *outputs, value);
    return d;
}

static void depthwise_rows(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 300; i++) {
            int64_t outputs;
            cp_depthwise d = draw_depthwise(k, g, draw_integer, &outputs);
            float *got = d.flags & CP_ACCUMULATE ? copied(g, d.y, outputs) : guard_floats(g, outputs);
            for (int64_t p = 0; p + 1 < d.pixels; p++) /* the gaps */
                memcpy(got + p * d.y_step + d.channels, d.y + p * d.y_step + d.channels,
                       (size_t)(d.y_step - d.channels) * 4);
            plain_depthwise(&d);
            float *want = d.y;
            d.y = got;
            k->depthwise(&d);
            assert_same_numbers(got, want, outputs, k, "depthwise");
            guard_free(g);
        }
    }
}

/* However a row is cut into calls, the bits are the same. */
static void depthwise_may_be_split(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 100; i++) {
            int64_t outputs;
            cp_depthwise d = draw_depthwise(k, g, draw_real, &outputs);
            float *whole = d.y, *parts = copied(g, whole, outputs);
            k->depthwise(&d);
            int64_t pixels = d.pixels;
            const float *x = d.x;
            for (int64_t p = 0; p < pixels; p += d.pixels) {
                d.pixels = draw(1, pixels - p);
                d.x = x + p * d.x_step;
                d.y = parts + p * d.y_step;
                k->depthwise(&d);
            }
            assert_same_bytes(parts, whole, outputs * 4, k, "depthwise in parts");
            guard_free(g);
        }
    }
}

static void plain_channel_products(const cp_channel_products *j) {
    for (int64_t r = 0; r < j->tap_rows; r++)
        for (int64_t t = 0; t < j->taps; t++)
            for (int64_t c = 0; c < j->channels; c++)
                for (int64_t i = 0; i < j->rows; i++)
                    for (int64_t p = 0; p < j->pixels; p++)
                        j->y[r * j->y_tap_row + t * j->y_tap + c] +=
                            j->a[i * j->a_row + p * j->a_step + r * j->a_tap_row + t * j->a_tap + c] *
                            j->b[i * j->b_row + p * j->b_step + c];
}

static void depthwise_weight_gradients(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 300; i++) {
            cp_channel_products j = {.rows = draw(1, 4), .pixels = draw(1, 9), .tap_rows = draw(1, 4)};
            j.taps = draw(0, 1) ? 3 : draw(1, 16);
            j.channels = draw_size(k->lanes, 5 * k->lanes);
            int64_t pixel = j.channels + draw(0, 2), stride = draw(1, 3);
            j.a_step = stride * pixel, j.a_tap = draw(1, 3) * pixel;
            j.a_tap_row = draw(1, 30) * pixel, j.a_row = stride * j.a_tap_row;
            j.b_step = pixel, j.b_row = draw(1, 10) * pixel;
            j.y_tap = pixel, j.y_tap_row = j.taps * pixel + draw(0, 3);
            j.a = filled(g,
                         (j.rows - 1) * j.a_row + (j.pixels - 1) * j.a_step + (j.tap_rows - 1) * j.a_tap_row +
                             (j.taps - 1) * j.a_tap + j.channels,
                         draw_integer);
            j.b = filled(g, (j.rows - 1) * j.b_row + (j.pixels - 1) * j.b_step + j.channels, draw_integer);
            int64_t outputs = (j.tap_rows - 1) * j.y_tap_row + (j.taps - 1) * j.y_tap + j.channels;
            float *got = filled(g, outputs, draw_integer), *want = copied(g, got, outputs);
            j.y = want;
            plain_channel_products(&j);
            j.y = got;
            k->channel_products(&j);
            assert_same_numbers(got, want, outputs, k, "weight gradient of a depthwise convolution");
            guard_free(g);
        }
    }
}

/* --- groups: the channels of each are mixed --- */

/* What one tap at x adds to output channel c; w: this tap's weights in all vectors. */
static float plain_group_tap(const float *x, const float *w, int64_t w_vector, int64_t c, int read, int written,
                             int lanes) {
    float sum = 0;
    for (int j = 0; j < read; j++) sum += x[c / written * read + j] * w[c / lanes * w_vector + j * lanes + c % lanes];
    return sum;
}

static void plain_grouped(const cp_grouped *g, int lanes) {
    const cp_depthwise *d = &g->rows;
    for (int64_t p = 0; p < d->pixels; p++)
        for (int64_t c = 0; c < d->channels; c++) {
            float sum = d->bias ? d->bias[c] : 0;
            for (int64_t r = 0; r < d->rows; r++)
                for (int64_t s = 0; s < d->columns; s++)
                    sum += plain_group_tap(d->x + p * d->x_step + r * d->x_row + s * d->x_column,
                                           d->w + r * d->w_row + s * d->w_column, g->w_vector, c, g->read, g->written,
                                           lanes);
            d->y[p * d->y_step + c] = d->flags & CP_APPLY_RELU ? plain_relu(sum) : sum;
        }
}

/* Whole vectors: kernels load them aligned. */
static float *filled_weights(guard *g, int64_t n) {
    float *w = guard_bytes(g, n * 4, 64);
    for (int64_t i = 0; i < n; i++) w[i] = draw_integer();
    return w;
}

static void check_grouped(const cp_kernels *k, guard *g, int read, int written) {
    cp_grouped job = {.read = read, .written = written};
    cp_depthwise *d = &job.rows;
    d->pixels = draw(1, 40), d->rows = draw(1, 4), d->columns = draw(1, 7);
    d->channels = k->lanes * draw(1, 3);
    const int64_t channels_read = d->channels / written * read, pixel = channels_read + draw(0, 2);
    d->x_step = draw(1, 2) * pixel, d->x_column = draw(1, 2) * pixel;
    d->x_row = (2 * d->pixels + 2 * d->columns) * pixel;
    d->w_column = (read + draw(0, 1)) * k->lanes, d->w_row = d->columns * d->w_column;
    job.w_vector = d->rows * d->w_row + k->lanes * draw(0, 1);
    d->y_step = d->channels + draw(0, 3);
    d->x = filled(
        g, (d->pixels - 1) * d->x_step + (d->rows - 1) * d->x_row + (d->columns - 1) * d->x_column + channels_read,
        draw_integer);
    d->w = filled_weights(g, d->channels / k->lanes * job.w_vector);
    d->bias = draw(0, 1) ? filled(g, d->channels, draw_integer) : NULL;
    d->flags = draw(0, 1) ? CP_APPLY_RELU : 0;
    const int64_t outputs = (d->pixels - 1) * d->y_step + d->channels;
    float *got = guard_floats(g, outputs), *want = guard_floats(g, outputs);
    d->y = want;
    plain_grouped(&job, k->lanes);
    d->y = got;
    k->grouped(&job);
    assert_same_numbers(got, want, outputs, k, "grouped convolution");
    guard_free(g);
}

static bool is_there(int64_t at, int64_t first, int64_t last) {
    return at >= first && at < last;
}

static void plain_grouped_3x3(const cp_grouped_3x3 *g, int lanes) {
    for (int64_t i = 0; i < g->rows; i++)
        for (int64_t p = 0; p < g->pixels; p++)
            for (int64_t c = 0; c < g->channels; c++) {
                float sum = g->bias ? g->bias[c] : 0;
                for (int64_t r = 0; r < 3; r++)
                    for (int64_t s = 0; s < 3; s++)
                        if (is_there(i + r, g->first_row, g->last_row) &&
                            is_there(p + s, g->first_column, g->last_column))
                            sum += plain_group_tap(g->x + (i + r) * g->x_row + (p + s) * g->x_step,
                                                   g->w + (r * 3 + s) * g->read * lanes, g->w_vector, c, g->read,
                                                   g->written, lanes);
                g->y[i * g->y_row + p * g->y_step + c] = g->flags & CP_APPLY_RELU ? plain_relu(sum) : sum;
            }
}

/* [*first, *last) of 0 .. n - 1: often all of them, or all but the ones at the edges. */
static void draw_range(int64_t n, int64_t *first, int64_t *last) {
    *first = draw(0, 3) ? draw(0, n > 1) : draw(0, n);
    *last = draw(0, 3) && *first < n ? n - draw(0, *first < n - 1) : draw(*first, n);
}

/* Only what is there, with x before it. */
static const float *filled_range(guard *g, int64_t rows, int64_t x_row, int64_t first_column, int64_t columns,
                                 int64_t x_step, int64_t channels) {
    const int64_t floats = rows && columns ? (rows - 1) * x_row + (columns - 1) * x_step + channels : 0;
    return filled(g, floats, draw_integer) - first_column * x_step;
}

static void check_grouped_3x3(const cp_kernels *k, guard *g, int rows, int read, int written) {
    cp_grouped_3x3 job = {.rows = rows, .read = read, .written = written, .pixels = draw(1, 20)};
    job.channels = k->lanes * draw(1, 3);
    const int64_t channels_read = job.channels / written * read;
    job.x_step = channels_read + draw(0, 2);
    job.x_row = (job.pixels + 2) * job.x_step + draw(0, 3);
    draw_range(rows + 2, &job.first_row, &job.last_row);
    draw_range(job.pixels + 2, &job.first_column, &job.last_column);
    job.x = filled_range(g, job.last_row - job.first_row, job.x_row, job.first_column,
                         job.last_column - job.first_column, job.x_step, channels_read) -
            job.first_row * job.x_row;
    job.w_vector = (9 * read + draw(0, 1)) * k->lanes;
    job.w = filled_weights(g, job.channels / k->lanes * job.w_vector);
    job.bias = draw(0, 1) ? filled(g, job.channels, draw_integer) : NULL;
    job.flags = draw(0, 1) ? CP_APPLY_RELU : 0;
    job.y_step = job.channels + draw(0, 3);
    job.y_row = job.pixels * job.y_step + draw(0, 3);
    const int64_t outputs = (rows - 1) * job.y_row + (job.pixels - 1) * job.y_step + job.channels;
    float *got = guard_floats(g, outputs), *want = guard_floats(g, outputs);
    job.y = want;
    plain_grouped_3x3(&job, k->lanes);
    job.y = got;
    k->grouped_3x3(&job);
    assert_same_numbers(got, want, outputs, k, "grouped convolution of 3x3");
    guard_free(g);
}

static void grouped_rows(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        if (!k->grouped) continue;
        for (int written = 2; written <= 8; written *= 2)
            for (int read = 1; read <= written; read *= 2)
                for (int i = 0; i < 30; i++) check_grouped(k, g, read, written);
    }
}

static void grouped_3x3_rows(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        assert_int_equal(k->grouped_3x3 == NULL, k->grouped == NULL);
        if (!k->grouped_3x3) continue;
        for (int written = 2; written <= 8; written *= 2)
            for (int read = 1; read <= written; read *= 2)
                for (int i = 0; i < 40; i++) check_grouped_3x3(k, g, 1 + i % 2, read, written);
    }
}

/* --- few filters --- */

static void plain_few_filters(const cp_few_filters *f, int lanes) {
    for (int64_t p = 0; p < f->pixels; p++)
        for (int k = 0; k < f->filters; k++) {
            float sum = f->bias ? f->bias[k] : 0;
            for (int64_t r = 0; r < f->rows; r++)
                for (int64_t s = 0; s < f->columns; s++)
                    for (int64_t c = 0; c < f->channels && is_there(p + s, f->first_column, f->last_column); c++) {
                        const int64_t vector = r * (f->channels / lanes) + c / lanes;
                        sum += f->x[r * f->x_row + (p + s) * f->x_step + c] *
                               f->w[((vector * f->columns + s) * f->filters + k) * lanes + c % lanes];
                    }
            f->y[p * f->filters + k] = f->flags & CP_APPLY_RELU ? plain_relu(sum) : sum;
        }
}

static void few_filters(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 400; i++) {
            cp_few_filters job = {.filters = 1 + i % 4, .rows = draw(0, 3), .columns = draw(1, 7)};
            job.pixels = draw(1, 3 * k->lanes);
            job.channels = k->lanes * draw(1, 3);
            job.x_step = job.channels + draw(0, 2);
            job.x_row = (job.pixels + job.columns) * job.x_step;
            draw_range(job.pixels + job.columns - 1, &job.first_column, &job.last_column);
            job.x = filled_range(g, job.rows, job.x_row, job.first_column, job.last_column - job.first_column,
                                 job.x_step, job.channels);
            job.w = filled_weights(g, job.rows * job.channels * job.columns * job.filters);
            job.bias = draw(0, 1) ? filled(g, job.filters, draw_integer) : NULL;
            job.flags = draw(0, 1) ? CP_APPLY_RELU : 0;
            const int64_t outputs = job.pixels * job.filters;
            float *got = guard_floats(g, outputs), *want = guard_floats(g, outputs);
            job.y = want;
            plain_few_filters(&job, k->lanes);
            job.y = got;
            k->few_filters(&job);
            assert_same_numbers(got, want, outputs, k, "few filters");
            guard_free(g);
        }
    }
}

/* --- pooling --- */

static const int64_t tap_counts[] = {1, 2, 3, 4, 5, 6, 9, 12, 49};

static void draw_taps(int64_t taps, int64_t pixel, int64_t *offset, uint8_t *id) {
    for (int64_t t = 0; t < taps; t++) {
        offset[t] = draw(0, 20) * pixel;
        id[t] = (uint8_t)(draw(0, 4) + (t ? id[t - 1] + 1 : 0));
    }
}

static int64_t largest(const int64_t *values, int64_t n) {
    int64_t most = values[0];
    for (int64_t i = 1; i < n; i++) most = values[i] > most ? values[i] : most;
    return most;
}

static void plain_max_pool(const cp_pool_row *p) {
    for (int64_t i = 0; i < p->pixels; i++)
        for (int64_t c = 0; c < p->channels; c++) {
            float best = p->x[i * p->x_step + p->offset[0] + c];
            uint8_t id = p->id[0];
            for (int64_t t = 1; t < p->taps; t++) {
                float v = p->x[i * p->x_step + p->offset[t] + c];
                if (v > best || (isnan(v) && !isnan(best))) {
                    best = v;
                    id = p->id[t];
                }
            }
            if (p->y) p->y[i * p->y_step + c] = best;
            if (p->index) p->index[i * p->y_step + c] = id;
        }
}

static void plain_average_pool(const cp_pool_row *p) {
    for (int64_t i = 0; i < p->pixels; i++)
        for (int64_t c = 0; c < p->channels; c++) {
            float sum = 0;
            for (int64_t t = 0; t < p->taps; t++) sum += p->x[i * p->x_step + p->offset[t] + c];
            p->y[i * p->y_step + c] = p->factor * sum;
        }
}

static void check_pool(const cp_kernels *k, guard *g, int64_t taps, float (*value)(void), bool with_y, bool with_index,
                       void (*kernel)(const cp_pool_row *), void (*plain)(const cp_pool_row *)) {
    int64_t offset[64];
    uint8_t id[64];
    cp_pool_row p = {.offset = offset, .id = id, .taps = taps, .pixels = draw(1, 6), .factor = 0.25f};
    p.channels = draw_size(k->lanes, 10 * k->lanes);
    draw_taps(taps, p.channels, offset, id);
    p.x_step = draw(1, 3) * p.channels;
    p.y_step = p.channels + draw(0, 3);
    p.x = filled(g, (p.pixels - 1) * p.x_step + largest(offset, taps) + p.channels, value);
    int64_t outputs = (p.pixels - 1) * p.y_step + p.channels;
    float *got = guard_floats(g, outputs), *want = guard_floats(g, outputs);
    uint8_t *got_index = guard_bytes(g, outputs, 1), *want_index = guard_bytes(g, outputs, 1);
    p.y = with_y ? want : NULL, p.index = with_index ? want_index : NULL;
    plain(&p);
    p.y = with_y ? got : NULL, p.index = with_index ? got_index : NULL;
    kernel(&p);
    assert_same_bytes(got, want, outputs * 4, k, "pool");
    assert_same_bytes(got_index, want_index, outputs, k, "index");
    guard_free(g);
}

static void max_pools(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (size_t n = 0; n < sizeof tap_counts / sizeof *tap_counts; n++)
            for (int i = 0; i < 12; i++)
                for (int outputs = 1; outputs < 4; outputs++) {
                    const bool with_y = outputs & 1, with_index = outputs & 2;
                    check_pool(k, g, tap_counts[n], draw_integer, with_y, with_index, k->max_pool, plain_max_pool);
                    check_pool(k, g, tap_counts[n], draw_strange, with_y, with_index, k->max_pool, plain_max_pool);
                }
    }
}

static void average_pools(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (size_t n = 0; n < sizeof tap_counts / sizeof *tap_counts; n++)
            for (int i = 0; i < 20; i++)
                check_pool(k, g, tap_counts[n], draw_integer, true, false, k->average_pool, plain_average_pool);
    }
}

static void plain_gather(const cp_pool_gather *p, bool max) {
    for (int64_t i = 0; i < p->pixels; i++)
        for (int64_t c = 0; c < p->channels; c++) {
            float sum = 0;
            for (int64_t t = 0; t < p->taps; t++) {
                int64_t from = i * p->dy_step + p->offset[t] + c;
                sum += max ? (p->index[from] == p->id[t] ? p->dy[from] : 0) : p->factor[t] * p->dy[from];
            }
            p->dx[i * p->dx_step + c] = sum;
        }
}

static void check_gather(const cp_kernels *k, guard *g, int64_t taps, bool max) {
    int64_t offset[64] = {0};
    uint8_t id[64];
    float factor[64];
    cp_pool_gather p = {.offset = offset, .id = id, .factor = factor, .taps = taps, .pixels = draw(1, 6)};
    p.channels = draw_size(k->lanes, 10 * k->lanes);
    draw_taps(taps, p.channels, offset, id);
    for (int64_t t = 0; t < taps; t++) factor[t] = 1.0f / (float)(1 << draw(0, 3));
    p.dy_step = draw(1, 3) * p.channels;
    p.dx_step = p.channels + draw(0, 3);
    int64_t inputs = (p.pixels - 1) * p.dy_step + largest(offset, taps ? taps : 1) + p.channels;
    int64_t outputs = (p.pixels - 1) * p.dx_step + p.channels;
    p.dy = filled(g, inputs, draw_integer);
    uint8_t *index = guard_bytes(g, inputs, 1);
    for (int64_t i = 0; i < inputs; i++) index[i] = taps && draw(0, 3) ? id[draw(0, taps - 1)] : (uint8_t)draw(0, 255);
    p.index = index;
    float *got = guard_floats(g, outputs), *want = guard_floats(g, outputs);
    p.dx = want;
    plain_gather(&p, max);
    p.dx = got;
    (max ? k->max_pool_gather : k->average_pool_gather)(&p);
    assert_same_numbers(got, want, outputs, k, max ? "gradient of max pooling" : "gradient of average pooling");
    for (int64_t i = 0; i + 1 < p.pixels; i++)
        assert_same_bytes(got + i * p.dx_step + p.channels, want + i * p.dx_step + p.channels,
                          (p.dx_step - p.channels) * 4, k, "the gap between pixels of a gradient");
    guard_free(g);
}

static void pool_gradients(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int64_t taps = 0; taps <= 10; taps++)
            for (int i = 0; i < 12; i++) {
                check_gather(k, g, taps, true);
                check_gather(k, g, taps, false);
            }
    }
}

/* --- mixtures of pixels --- */

/* Small whole numbers: any order of the sums gives the same. */
static void blends(void **state) {
    (void)state;
    enum { MOST = 9 };
    FOR_EACH_LEVEL(k, g) {
        for (int i = 0; i < 200; i++) {
            const int64_t n = draw(0, MOST), channels = draw_size(k->lanes, 3 * k->lanes), rows = 4;
            const int flags = (int)draw(0, 1);
            float *x = filled(g, rows * channels, draw_integer), *one = filled(g, channels, draw_integer);
            float *weight = filled(g, n, draw_integer), *sums = guard_floats(g, n), *want_sums = guard_floats(g, n);
            float *got = flags ? filled(g, channels, draw_integer) : guard_floats(g, channels);
            float *want = guard_floats(g, channels), *spread = copied(g, x, rows * channels);
            int64_t offset[MOST];
            for (int64_t t = 0; t < n; t++) offset[t] = draw(0, rows - 1) * channels;
            float *want_spread = copied(g, x, rows * channels);
            for (int64_t c = 0; c < channels; c++) want[c] = flags & CP_ACCUMULATE ? got[c] : 0;
            for (int64_t t = 0; t < n; t++) {
                want_sums[t] = 0;
                for (int64_t c = 0; c < channels; c++) {
                    want[c] += weight[t] * x[offset[t] + c];
                    want_spread[offset[t] + c] += weight[t] * one[c];
                    want_sums[t] += one[c] * x[offset[t] + c];
                }
            }
            k->blend(x, offset, weight, n, got, channels, flags);
            assert_same_numbers(got, want, channels, k, "blend");
            k->spread(one, offset, weight, n, spread, channels);
            assert_same_numbers(spread, want_spread, rows * channels, k, "spread");
            k->products(one, x, offset, n, channels, sums);
            assert_same_numbers(sums, want_sums, n, k, "products");
            guard_free(g);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depthwise_rows),
        cmocka_unit_test(depthwise_may_be_split),
        cmocka_unit_test(depthwise_weight_gradients),
        cmocka_unit_test(grouped_rows),
        cmocka_unit_test(grouped_3x3_rows),
        cmocka_unit_test(few_filters),
        cmocka_unit_test(max_pools),
        cmocka_unit_test(average_pools),
        cmocka_unit_test(pool_gradients),
        cmocka_unit_test(blends),
    };
    return cmocka_run_group_tests_name("kernels: windows", tests, find_levels, NULL);
}
