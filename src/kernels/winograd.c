/* The transforms of Winograd's minimal filtering, F(m x m, r x r): m outputs of r taps along each axis from
 * m + r - 1 products.
 *
 * A correlation is a product of polynomials read backwards, and a polynomial of degree n is known by its values at n +
 * 1 points. So the weights (as coefficients) are evaluated at the points, the input is multiplied by the transpose of
 * what would interpolate, and the values' products are brought back by the transpose of an evaluation: the m outputs
 * are A^T [(G g) * (B^T d)], * element by element, and along two axes A^T [(G g G^T) * (B^T d B)] A. Source: Lavin and
 * Gray, "Fast algorithms for convolutional neural networks" (2015). The four points of F(2,3) are 0, 1, -1 and
 * infinity; the six of F(4,3) and F(2,5) are 0, +-sqrt(1/2), +-sqrt(2) and infinity: four times more accurate than 0,
 * +-1, +-2 (on the choice of points: Barabasz et al., "Error analysis and improving the accuracy of Winograd
 * convolution", 2018). */

#include <stdbool.h>

#define ROOT_HALF 0.70710678118654752440f
#define ROOT_TWO 1.41421356237309504880f

/* Of the i-th pair of points, +x and -x: x^k, and what G divides by: the product of the distances to the others. */
static const float power_of_4[1][3] = {{1, 1, 1}};
static const float power_of_6[2][5] = {{1, ROOT_HALF, 0.5f, ROOT_HALF / 2, 0.25f}, {1, ROOT_TWO, 2, 2 * ROOT_TWO, 4}};
static const float scale_of_4[1] = {1 / 2.0f}, scale_of_6[2] = {-2 / 3.0f, 1 / 6.0f};

INLINE float power_of(const int points, const int pair, const int k) {
    return points == 4 ? power_of_4[pair][k] : power_of_6[pair][k];
}
INLINE float scale_of(const int points, const int pair, const bool scaled) {
    return !scaled ? 1 : points == 4 ? scale_of_4[pair] : scale_of_6[pair];
}

INLINE vec add_multiple(float factor, vec v, vec sum) {
    return factor == 1 ? sum + v : vec_multiply_add(vec_all(factor), v, sum);
}

/* The values of a polynomial with n coefficients; at infinity: the last one. scaled: G, else A. */
INLINE void evaluate(const int points, const int n, const bool scaled, const vec *coefficient, vec *value) {
    value[0] = coefficient[0];
    value[points - 1] = coefficient[n - 1];
    UNROLL for (int pair = 0; pair < (points - 2) / 2; pair++) {
        const float scale = scale_of(points, pair, scaled);
        vec even = scaled ? vec_all(scale) * coefficient[0] : coefficient[0];
        vec odd = vec_all(scale * power_of(points, pair, 1)) * coefficient[1];
        UNROLL for (int k = 2; k < n; k++) {
            const float factor = scale * power_of(points, pair, k);
            if (k % 2)
                odd = add_multiple(factor, coefficient[k], odd);
            else
                even = add_multiple(factor, coefficient[k], even);
        }
        value[1 + 2 * pair] = even + odd;
        value[2 + 2 * pair] = even - odd;
    }
}

/* The transpose: A^T, or G^T. */
INLINE void evaluate_transposed(const int points, const int n, const bool scaled, const vec *value, vec *coefficient) {
    UNROLL for (int k = 0; k < n; k++) {
        vec sum = k == 0 ? value[0] : k == n - 1 ? value[points - 1] : (vec){0};
        UNROLL for (int pair = 0; pair < (points - 2) / 2; pair++) {
            const vec plus = value[1 + 2 * pair], minus = value[2 + 2 * pair];
            const float factor = scale_of(points, pair, scaled) * power_of(points, pair, k);
            sum = add_multiple(factor, k % 2 ? plus - minus : plus + minus, sum);
        }
        coefficient[k] = sum;
    }
}

/* B^T: the coefficients of the polynomial that is 0 at all points but one, for each of them. */
INLINE void transform_input(const int points, const vec *d, vec *t) {
    if (points == 4) {
        t[0] = d[0] - d[2];
        t[1] = d[2] + d[1];
        t[2] = d[2] - d[1];
        t[3] = d[3] - d[1];
        return;
    }
    const vec two = vec_all(2), half = vec_all(0.5f), most = vec_all(2.5f);
    const vec p = vec_all(ROOT_HALF), q = vec_all(ROOT_TWO);
    const vec even_p = d[4] - two * d[2], odd_p = d[3] - two * d[1];
    const vec even_q = d[4] - half * d[2], odd_q = d[3] - half * d[1];
    t[0] = (d[0] + d[4]) - most * d[2];
    t[1] = even_p + p * odd_p;
    t[2] = even_p - p * odd_p;
    t[3] = even_q + q * odd_q;
    t[4] = even_q - q * odd_q;
    t[5] = (d[1] + d[5]) - most * d[3];
}

enum { MOST_POINTS = 6 };

/* The lanes of `count` channels of one tile; inside: no pixel of it is outside the image. */
INLINE void input_vector(const cp_winograd_input *w, const int points, const int axes, const bool inside,
                         int64_t channel, int count) {
    const int rows = axes == 2 ? points : 1;
    const float *x = w->x + w->row * w->x_row + w->column * w->x_column + channel;
    float *v = w->v + channel;
    vec half[MOST_POINTS][MOST_POINTS], t[MOST_POINTS];
    UNROLL_IF_CONSTANT for (int i = 0; i < rows; i++) {
        vec d[MOST_POINTS];
        const bool row_inside = inside || (w->row + i >= 0 && w->row + i < w->rows);
        UNROLL for (int j = 0; j < points; j++) {
            const bool pixel_inside = inside || (row_inside && w->column + j >= 0 && w->column + j < w->columns);
            d[j] = pixel_inside ? vec_load_some(x + i * w->x_row + j * w->x_column, count) : (vec){0};
        }
        transform_input(points, d, half[i]);
    }
    UNROLL for (int j = 0; j < points; j++) {
        if (axes == 1) {
            vec_store(v + j * w->v_step, half[0][j]);
            continue;
        }
        vec d[MOST_POINTS];
        UNROLL for (int i = 0; i < points; i++) d[i] = half[i][j];
        transform_input(points, d, t);
        UNROLL for (int i = 0; i < points; i++) vec_store(v + (i * points + j) * w->v_step, t[i]);
    }
}

INLINE void input_channels(const cp_winograd_input *w, const int points, const int axes, const bool inside) {
    int64_t channel = 0;
    for (; channel + CP_LANES <= w->channels; channel += CP_LANES)
        input_vector(w, points, axes, inside, channel, CP_LANES);
    if (channel < w->channels) input_vector(w, points, axes, inside, channel, vec_rest(w->channels - channel));
}

INLINE void winograd_input(const cp_winograd_input *w, const int points, const int axes) {
    const int rows = axes == 2 ? points : 1;
    const bool inside = w->row >= 0 && w->row + rows <= w->rows && w->column >= 0 && w->column + points <= w->columns;
    if (inside)
        input_channels(w, points, axes, true);
    else
        input_channels(w, points, axes, false);
}

INLINE void output_vector(const cp_winograd_output *w, const int points, const int outputs, const int axes, int rows,
                          int columns, int64_t filter, int count) {
    const float *m = w->m + filter;
    float *y = w->y + w->row * w->y_row + w->column * w->y_column + filter;
    const vec bias = w->bias ? vec_load_some(w->bias + filter, count) : (vec){0};
    vec half[MOST_POINTS][MOST_POINTS];
    UNROLL for (int j = 0; j < points; j++) {
        if (axes == 1) {
            half[0][j] = vec_load(m + j * w->m_step);
            continue;
        }
        vec value[MOST_POINTS], t[MOST_POINTS];
        UNROLL for (int i = 0; i < points; i++) value[i] = vec_load(m + (i * points + j) * w->m_step);
        evaluate_transposed(points, outputs, false, value, t);
        UNROLL for (int i = 0; i < outputs; i++) half[i][j] = t[i];
    }
    for (int i = 0; i < rows; i++) {
        vec t[MOST_POINTS];
        evaluate_transposed(points, outputs, false, half[i], t);
        UNROLL for (int j = 0; j < outputs; j++) {
            const vec sum = t[j] + bias;
            if (j < columns)
                vec_store_some(y + i * w->y_row + j * w->y_column, w->flags & CP_APPLY_RELU ? vec_relu(sum) : sum,
                               count);
        }
    }
}

/* How many of the tile's positions exist along an axis. */
INLINE int fitting(int64_t begin, int64_t size, const int outputs) {
    return size - begin < outputs ? (int)(size - begin) : outputs;
}

INLINE void winograd_output(const cp_winograd_output *w, const int points, const int outputs, const int axes) {
    const int rows = axes == 2 ? fitting(w->row, w->rows, outputs) : 1;
    const int columns = fitting(w->column, w->columns, outputs);
    int64_t filter = 0;
    for (; filter + CP_LANES <= w->filters; filter += CP_LANES)
        output_vector(w, points, outputs, axes, rows, columns, filter, CP_LANES);
    if (filter < w->filters)
        output_vector(w, points, outputs, axes, rows, columns, filter, vec_rest(w->filters - filter));
}

INLINE void weights_vector(const cp_winograd_weights *w, const int points, const int taps, const int axes, int64_t row,
                           int64_t column, int count) {
    const float *g = w->w + row * w->w_row + column;
    float *u = w->u + row * w->u_row + column;
    vec half[MOST_POINTS][MOST_POINTS];
    vec tap[MOST_POINTS], value[MOST_POINTS];
    if (axes == 1) {
        UNROLL for (int s = 0; s < taps; s++) tap[s] = vec_load_some(g + s * w->w_tap, count);
        evaluate(points, taps, true, tap, value);
        UNROLL for (int j = 0; j < points; j++) * (vec *)(u + j * w->u_step) = value[j];
        return;
    }
    UNROLL for (int s = 0; s < taps; s++) {
        UNROLL for (int r = 0; r < taps; r++) tap[r] = vec_load_some(g + (r * taps + s) * w->w_tap, count);
        evaluate(points, taps, true, tap, value);
        UNROLL for (int i = 0; i < points; i++) half[i][s] = value[i];
    }
    UNROLL for (int i = 0; i < points; i++) {
        evaluate(points, taps, true, half[i], value);
        UNROLL for (int j = 0; j < points; j++) * (vec *)(u + (i * points + j) * w->u_step) = value[j];
    }
}

INLINE void winograd_weights(const cp_winograd_weights *w, const int points, const int taps, const int axes) {
    for (int64_t row = 0; row < w->rows; row++) {
        int64_t column = 0;
        for (; column + CP_LANES <= w->columns; column += CP_LANES)
            weights_vector(w, points, taps, axes, row, column, CP_LANES);
        if (column < w->columns) weights_vector(w, points, taps, axes, row, column, vec_rest(w->columns - column));
    }
}

/* The lanes of `count` channels of one tile of the gradient by the outputs. */
INLINE void gradient_vector(const cp_winograd_input *w, const int points, const int outputs, const int axes,
                            int64_t channel, int count) {
    const int rows = axes == 2 ? fitting(w->row, w->rows, outputs) : 1;
    const int columns = fitting(w->column, w->columns, outputs);
    const float *dy = w->x + w->row * w->x_row + w->column * w->x_column + channel;
    float *z = w->v + channel;
    vec half[MOST_POINTS][MOST_POINTS], d[MOST_POINTS], value[MOST_POINTS];
    for (int i = 0; i < (axes == 2 ? outputs : 1); i++) {
        UNROLL for (int j = 0; j < outputs; j++) {
            const bool inside = i < rows && j < columns;
            d[j] = inside ? vec_load_some(dy + i * w->x_row + j * w->x_column, count) : (vec){0};
        }
        evaluate(points, outputs, false, d, half[i]);
    }
    UNROLL for (int j = 0; j < points; j++) {
        if (axes == 1) {
            vec_store(z + j * w->v_step, half[0][j]);
            continue;
        }
        UNROLL for (int i = 0; i < outputs; i++) d[i] = half[i][j];
        evaluate(points, outputs, false, d, value);
        UNROLL for (int i = 0; i < points; i++) vec_store(z + (i * points + j) * w->v_step, value[i]);
    }
}

INLINE void winograd_gradient(const cp_winograd_input *w, const int points, const int outputs, const int axes) {
    int64_t channel = 0;
    for (; channel + CP_LANES <= w->channels; channel += CP_LANES)
        gradient_vector(w, points, outputs, axes, channel, CP_LANES);
    if (channel < w->channels) gradient_vector(w, points, outputs, axes, channel, vec_rest(w->channels - channel));
}

INLINE void weight_gradient_vector(const cp_winograd_weight_gradient *w, const int points, const int taps,
                                   const int axes, int64_t row, int64_t column, int count) {
    const float *u = w->u + row * w->u_row + column;
    float *g = w->w + row * w->w_row + column;
    vec half[MOST_POINTS][MOST_POINTS], value[MOST_POINTS], tap[MOST_POINTS];
    if (axes == 1) {
        UNROLL for (int j = 0; j < points; j++) value[j] = vec_load(u + j * w->u_step);
        evaluate_transposed(points, taps, true, value, tap);
        UNROLL for (int s = 0; s < taps; s++) vec_store_some(g + s * w->w_tap, tap[s], count);
        return;
    }
    UNROLL for (int j = 0; j < points; j++) {
        UNROLL for (int i = 0; i < points; i++) value[i] = vec_load(u + (i * points + j) * w->u_step);
        evaluate_transposed(points, taps, true, value, tap);
        UNROLL for (int r = 0; r < taps; r++) half[r][j] = tap[r];
    }
    UNROLL for (int r = 0; r < taps; r++) {
        evaluate_transposed(points, taps, true, half[r], tap);
        UNROLL for (int s = 0; s < taps; s++) vec_store_some(g + (r * taps + s) * w->w_tap, tap[s], count);
    }
}

INLINE void winograd_weight_gradient(const cp_winograd_weight_gradient *w, const int points, const int taps,
                                     const int axes) {
    for (int64_t row = 0; row < w->rows; row++) {
        int64_t column = 0;
        for (; column + CP_LANES <= w->columns; column += CP_LANES)
            weight_gradient_vector(w, points, taps, axes, row, column, CP_LANES);
        if (column < w->columns)
            weight_gradient_vector(w, points, taps, axes, row, column, vec_rest(w->columns - column));
    }
}

/* name, outputs, taps, axes */
#define EACH_WINOGRAD(X) X(4X4_3X3, 4, 3, 2) X(2X2_3X3, 2, 3, 2) X(2X2_5X5, 2, 5, 2) X(4_3, 4, 3, 1)

#define DEFINE_WINOGRAD(name, outputs, taps, axes)                                                                     \
    static void winograd_input_##name(const cp_winograd_input *w) {                                                    \
        winograd_input(w, outputs + taps - 1, axes);                                                                   \
    }                                                                                                                  \
    static void winograd_output_##name(const cp_winograd_output *w) {                                                  \
        winograd_output(w, outputs + taps - 1, outputs, axes);                                                         \
    }                                                                                                                  \
    static void winograd_weights_##name(const cp_winograd_weights *w) {                                                \
        winograd_weights(w, outputs + taps - 1, taps, axes);                                                           \
    }                                                                                                                  \
    static void winograd_gradient_##name(const cp_winograd_input *w) {                                                 \
        winograd_gradient(w, outputs + taps - 1, outputs, axes);                                                       \
    }                                                                                                                  \
    static void winograd_weight_gradient_##name(const cp_winograd_weight_gradient *w) {                                \
        winograd_weight_gradient(w, outputs + taps - 1, taps, axes);                                                   \
    }
EACH_WINOGRAD(DEFINE_WINOGRAD)
#define WINOGRAD_ENTRY(name, o, t, a)                                                                                  \
    [CP_WINOGRAD_##name] = {                                                                                           \
        .outputs = o,                                                                                                  \
        .taps = t,                                                                                                     \
        .axes = a,                                                                                                     \
        .input = winograd_input_##name,                                                                                \
        .output = winograd_output_##name,                                                                              \
        .weights = winograd_weights_##name,                                                                            \
        .gradient = winograd_gradient_##name,                                                                          \
        .weight_gradient = winograd_weight_gradient_##name,                                                            \
    },
