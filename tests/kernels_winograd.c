/* Kernels against plain loops: Winograd's transforms: one tile, from inputs and weights to outputs, and back to the
 * gradient by the weights. */
#include "kernels.h"

typedef struct winograd_tile {
    const cp_winograd *by;
    int64_t outputs_down, taps_down, elements;                     /* down: 1 where only the columns are transformed */
    int64_t rows, columns, row, column, before, channels, filters; /* outputs are as many as inputs */
    const float *x, *w, *bias, *dy;                                /* [row][column][channel], [tap][channel][filter] */
    int64_t v_step, u_step, u_row;
    float *v, *u, *m;
} winograd_tile;

static winograd_tile draw_winograd(const cp_kernels *k, guard *g, int form, float (*value)(void)) {
    winograd_tile t = {.by = &k->winograd[form], .rows = draw(1, 9), .columns = draw(1, 9), .before = draw(0, 4)};
    const int64_t points = t.by->outputs + t.by->taps - 1;
    t.outputs_down = t.by->axes == 2 ? t.by->outputs : 1;
    t.taps_down = t.by->axes == 2 ? t.by->taps : 1;
    t.elements = t.by->axes == 2 ? points * points : points;
    t.channels = draw_size(k->lanes, 40);
    t.filters = draw_size(k->lanes, 40);
    t.row = draw(0, t.rows - 1);
    t.column = draw(0, t.columns - 1);
    t.x = filled(g, t.rows * t.columns * t.channels, value);
    t.dy = filled(g, t.rows * t.columns * t.filters, value);
    t.w = filled(g, t.taps_down * t.by->taps * t.channels * t.filters, value);
    t.bias = draw(0, 1) ? filled(g, t.filters, value) : NULL;
    t.v_step = (t.channels + k->lanes - 1) / k->lanes * k->lanes + draw(0, 3);
    t.u_row = (t.filters + k->lanes - 1) / k->lanes * k->lanes;
    t.u_step = t.channels * t.u_row + 16 * draw(0, 2);
    t.v = guard_floats(g, (t.elements - 1) * t.v_step + (t.channels + k->lanes - 1) / k->lanes * k->lanes);
    t.u = guard_bytes(g, ((t.elements - 1) * t.u_step + t.channels * t.u_row) * 4, 64);
    t.m = guard_floats(g, t.elements * t.u_row);
    const cp_winograd_input input = {.x = t.x,
                                     .x_row = t.columns * t.channels,
                                     .x_column = t.channels,
                                     .rows = t.rows,
                                     .columns = t.columns,
                                     .row = t.row - (t.taps_down > 1 ? t.before : 0),
                                     .column = t.column - t.before,
                                     .v = t.v,
                                     .v_step = t.v_step,
                                     .channels = t.channels};
    t.by->input(&input);
    return t;
}

/* The pixel that output (i,j) of the tile meets at tap (r,s), or -1. */
static int64_t winograd_pixel(const winograd_tile *t, int64_t i, int64_t j, int64_t r, int64_t s) {
    const int64_t y = t->row + i + r - (t->taps_down > 1 ? t->before : 0), x = t->column + j + s - t->before;
    return y >= 0 && y < t->rows && x >= 0 && x < t->columns ? y * t->columns + x : -1;
}

/* Of output (i,j), filter f; *sum: of the absolute products. */
static double plain_winograd(const winograd_tile *t, int64_t i, int64_t j, int64_t f, double *sum) {
    double y = t->bias ? t->bias[f] : 0;
    *sum = fabs(y);
    for (int64_t r = 0; r < t->taps_down; r++)
        for (int64_t s = 0; s < t->by->taps; s++)
            for (int64_t ch = 0, pixel = winograd_pixel(t, i, j, r, s); pixel >= 0 && ch < t->channels; ch++) {
                const double product = (double)t->x[pixel * t->channels + ch] *
                                       t->w[((r * t->by->taps + s) * t->channels + ch) * t->filters + f];
                y += product;
                *sum += fabs(product);
            }
    return y;
}

/* F(2x2,3x3) keeps small integers; the others have irrational points. */
static double winograd_error(int form, double sum) {
    return form == CP_WINOGRAD_2X2_3X3 ? 0 : 64 * 0x1p-24 * sum;
}

static void check_winograd_outputs(const cp_kernels *k, guard *g, int form) {
    const winograd_tile t = draw_winograd(k, g, form, draw_integer);
    const cp_winograd_weights weights = {.w = t.w,
                                         .w_tap = t.channels * t.filters,
                                         .w_row = t.filters,
                                         .rows = t.channels,
                                         .columns = t.filters,
                                         .u = t.u,
                                         .u_step = t.u_step,
                                         .u_row = t.u_row};
    t.by->weights(&weights);
    for (int64_t e = 0; e < t.elements; e++)
        for (int64_t f = 0; f < t.u_row; f++) {
            double sum = 0;
            for (int64_t ch = 0; ch < t.channels; ch++)
                sum += (double)t.v[e * t.v_step + ch] * t.u[e * t.u_step + ch * t.u_row + f];
            t.m[e * t.u_row + f] = (float)sum;
        }
    float *y = guard_floats(g, t.rows * t.columns * t.filters);
    float *want = copied(g, y, t.rows * t.columns * t.filters);
    const cp_winograd_output output = {.m = t.m,
                                       .m_step = t.u_row,
                                       .y = y,
                                       .y_row = t.columns * t.filters,
                                       .y_column = t.filters,
                                       .rows = t.rows,
                                       .columns = t.columns,
                                       .row = t.row,
                                       .column = t.column,
                                       .bias = t.bias,
                                       .filters = t.filters,
                                       .flags = draw(0, 1) ? CP_APPLY_RELU : 0};
    t.by->output(&output);
    for (int64_t f = 0; f < t.filters; f++) {
        double exact[16], sum, largest = 0;
        for (int64_t i = 0; i < t.outputs_down; i++)
            for (int64_t j = 0; j < t.by->outputs; j++) {
                exact[i * t.by->outputs + j] = plain_winograd(&t, i, j, f, &sum);
                if (sum > largest) largest = sum;
            }
        for (int64_t i = 0; i < t.outputs_down && t.row + i < t.rows; i++)
            for (int64_t j = 0; j < t.by->outputs && t.column + j < t.columns; j++) {
                const int64_t at = ((t.row + i) * t.columns + t.column + j) * t.filters + f;
                double value = exact[i * t.by->outputs + j];
                if (output.flags && value < 0) value = 0;
                assert_near(y + at, &value, 1, winograd_error(form, largest), k, "a Winograd output");
                want[at] = y[at];
            }
    }
    assert_same_bytes(y, want, t.rows * t.columns * t.filters * 4, k, "what is not of the tile");
    guard_free(g);
}

static void check_winograd_gradient(const cp_kernels *k, guard *g, int form) {
    const winograd_tile t = draw_winograd(k, g, form, draw_integer);
    const cp_winograd_input gradient = {.x = t.dy,
                                        .x_row = t.columns * t.filters,
                                        .x_column = t.filters,
                                        .rows = t.rows,
                                        .columns = t.columns,
                                        .row = t.row,
                                        .column = t.column,
                                        .v = t.m,
                                        .v_step = t.u_row,
                                        .channels = t.filters};
    t.by->gradient(&gradient);
    for (int64_t e = 0; e < t.elements; e++)
        for (int64_t ch = 0; ch < t.channels; ch++)
            for (int64_t f = 0; f < t.u_row; f++)
                t.u[e * t.u_step + ch * t.u_row + f] = t.v[e * t.v_step + ch] * t.m[e * t.u_row + f];
    float *dw = guard_floats(g, t.taps_down * t.by->taps * t.channels * t.filters);
    const cp_winograd_weight_gradient back = {.u = t.u,
                                              .u_step = t.u_step,
                                              .u_row = t.u_row,
                                              .rows = t.channels,
                                              .columns = t.filters,
                                              .w = dw,
                                              .w_tap = t.channels * t.filters,
                                              .w_row = t.filters};
    t.by->weight_gradient(&back);
    for (int64_t r = 0; r < t.taps_down; r++)
        for (int64_t s = 0; s < t.by->taps; s++)
            for (int64_t ch = 0; ch < t.channels; ch++)
                for (int64_t f = 0; f < t.filters; f++) {
                    double want = 0;
                    for (int64_t i = 0; i < t.outputs_down && t.row + i < t.rows; i++)
                        for (int64_t j = 0; j < t.by->outputs && t.column + j < t.columns; j++) {
                            const int64_t pixel = winograd_pixel(&t, i, j, r, s);
                            const int64_t out = (t.row + i) * t.columns + t.column + j;
                            if (pixel >= 0) want += (double)t.x[pixel * t.channels + ch] * t.dy[out * t.filters + f];
                        }
                    /* of at most 16 products of at most 16 */
                    assert_near(dw + ((r * t.by->taps + s) * t.channels + ch) * t.filters + f, &want, 1,
                                winograd_error(form, 256), k, "a weight's gradient of Winograd");
                }
    guard_free(g);
}

static void winograd_transforms(void **state) {
    (void)state;
    FOR_EACH_LEVEL(k, g) {
        for (int form = 0; form < CP_WINOGRADS; form++)
            for (int i = 0; i < 20; i++) {
                check_winograd_outputs(k, g, form);
                check_winograd_gradient(k, g, form);
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(winograd_transforms),
    };
    return cmocka_run_group_tests_name("kernels: winograd", tests, find_levels, NULL);
}
