/* The inner loops: one table per instruction set, filled from one source (all.c, compiled per level).
 *
 * Nothing here allocates, fails, knows threads or tensors. Pointers are to floats; steps and offsets count floats. Only
 * packed panels must be aligned (64 bytes). Unless said otherwise, results do not depend on how the caller splits rows
 * of work among calls, and no byte outside the named elements is read or written. */
#ifndef CP_KERNELS_H
#define CP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define CP_MAX_VECTORS 4
#define CP_MAX_ROWS 14

enum {
    CP_ACCUMULATE = 1, /* add to what is in the output, instead of beginning with the bias or 0 */
    CP_APPLY_RELU = 2, /* max(0, .) before the store; NaN stays NaN */
    CP_STREAM = 4,     /* past the caches; c and c_step are multiples of a vector, and the last vector is whole */
};

/* A run of consecutive words in the input that meet consecutive rows of the panel: where it begins in both. */
typedef struct cp_run {
    int64_t a;   /* words from the tile's a */
    int64_t row; /* rows from the panel's beginning */
} cp_run;

/* Where a tile is: words from a and from c on. */
typedef struct cp_tile_start {
    int64_t a, c;
} cp_tile_start;

/* The micro-kernel of everything that is a matrix product: a tile of R pixels by V vectors of filters,
 *   c[i*c_step + j] (+)= bias[j] + sum over runs r, k < run_length of a[i*a_step + r.a + k] * b[(r.row + k)*V*lanes +
 * j]. i < R, j < (V-1)*lanes + tail. The sum of each output is one chain in the order of the runs. Numbers are words of
 * 4 bytes: floats, but in tiles of narrower numbers, which lie in a and b several to a word. With places, the same for
 * each of them, which do not overlap: what a tile has to do beside its sums then overlaps with its neighbours' sums. */
typedef struct cp_tile {
    const void *a;
    int64_t a_step;
    const void *b;     /* panel: rows of V*lanes words */
    const void *ahead; /* of tile_ahead */
    const cp_run *runs;
    int64_t run_count, run_length; /* both >= 1 */
    void *c;
    int64_t c_step;
    const void *bias; /* (V-1)*lanes + tail numbers, or NULL */
    int tail;         /* columns of the last vector that exist: 1..lanes */
    int flags;
    const cp_tile_start *places; /* NULL: one tile, at a and c */
    int64_t place_count;
} cp_tile;
typedef void cp_tile_fn(const cp_tile *tile);
typedef cp_tile_fn *const cp_tile_row[CP_MAX_VECTORS + 1]; /* [R][V], as the table's own */

/* The same with the sum over pixels, for weight gradients: R input channels by V vectors of filters,
 *   c[i*c_step + j] (+)= sum over y < rows, p < pixels of a[y*a_row + p*a_step + i] * b[y*b_row + p*b_step + j].
 * b is read in whole vectors (V*lanes floats from each pixel), c written up to the tail. flags: CP_ACCUMULATE. */
typedef struct cp_outer {
    const float *a;
    int64_t a_step, a_row;
    const float *b;
    int64_t b_step, b_row;
    int64_t rows, pixels; /* both >= 1 */
    float *c;
    int64_t c_step;
    int tail;
    int flags;
} cp_outer;
typedef void cp_outer_fn(const cp_outer *outer);

/* Products of bf16 numbers, pairs of them in words, with sums in f32. Denormal numbers count as 0. */
typedef struct cp_bf16_kernels {
    const cp_tile_row *tile;
    /* n floats rounded to the nearest, ties to even, in (n+1)/2 words; the missing half of the last one is 0. */
    void (*round)(const float *x, int64_t n, void *words);
    /* As the table's pack, two rows to one of words; the missing row of an odd number is 0. */
    void (*pack)(const float *w, int64_t row_step, int64_t column_step, int64_t rows, int64_t columns, int64_t width,
                 void *panel);
} cp_bf16_kernels;

/* Sums, rows of columns, to bytes: y = sum * scale rounded to the nearest integer, ties to even, plus zero, within low
 * and high. The product is that of floats. */
typedef struct cp_requantise {
    const int32_t *sums;
    int64_t sums_step;
    const float *scale; /* one for each column */
    int32_t zero, low, high;
    void *y; /* bytes, signed or not */
    int64_t y_step;
    int64_t rows, columns;
} cp_requantise;

/* A row of outputs of a depthwise convolution, all with the same valid taps:
 *   y[p*y_step + ch] = relu?(bias[ch] + sum over r < rows, s < columns of x[p*x_step + r*x_row + s*x_column + ch] *
 * w[r*w_row + s*w_column + ch]) */
typedef struct cp_depthwise {
    const float *x;
    int64_t x_step, x_row, x_column;
    const float *w;
    int64_t w_row, w_column;
    const float *bias; /* or NULL */
    float *y;
    int64_t y_step;
    int64_t pixels, rows, columns, channels;
    int flags; /* CP_ACCUMULATE too: for the taps of further depths */
} cp_depthwise;

/* The same where the channels of a group are mixed: `written` channels of the output are sums over `read` channels of
 * the input. Lane l of a vector of outputs adds, for j < read, input channel j of its group times w[(vector of
 * outputs)*w_vector + r*w_row + s*w_column + j*lanes + l]. Groups are counted from x and y on; channels (of the output)
 * is a multiple of lanes; no CP_ACCUMULATE. */
typedef struct cp_grouped {
    cp_depthwise rows;
    int64_t w_vector;
    int read, written; /* written: 2, 4 or 8, not more than lanes; read: 1, 2, 4 or 8, not more than written */
} cp_grouped;

/* Two rows of outputs of the same with 3x3 taps and stride 1, or one: what output (i, p) meets through tap (r, s) is at
 * (i + r, p + s) from x, if that row is one of [first_row, last_row) and that column of [first_column, last_column);
 * the others are not there. */
typedef struct cp_grouped_3x3 {
    const float *x;
    int64_t x_row, x_step;
    int64_t first_row, last_row, first_column, last_column;
    const float *w;
    int64_t w_vector; /* the taps of a vector: [r][s][read][lanes] */
    const float *bias;
    float *y;
    int64_t y_row, y_step;
    int64_t pixels, channels;
    int rows; /* 1 or 2 */
    int read, written, flags;
} cp_grouped_3x3;

/* A row of outputs of a convolution with 1 to 4 filters and stride 1: y[p*filters + k]. Through tap (r, s), r < rows,
 * output p meets column p + s of the row r*x_row from x, if that is one of [first_column, last_column). */
typedef struct cp_few_filters {
    const float *x;
    int64_t x_row, x_step;
    int64_t first_column, last_column;
    const float *w;    /* [rows][channels/lanes][columns][filters][lanes] */
    const float *bias; /* or NULL */
    float *y;
    int64_t pixels, rows, columns;
    int64_t channels; /* a multiple of lanes */
    int filters, flags;
} cp_few_filters;

/* The weight gradient of a depthwise convolution, over a rectangle of outputs that all have the same valid taps:
 *   y[r*y_tap_row + t*y_tap + ch] += sum over i < rows, p < pixels of
 *       a[i*a_row + p*a_step + r*a_tap_row + t*a_tap + ch] * b[i*b_row + p*b_step + ch],   r < tap_rows, t < taps */
typedef struct cp_channel_products {
    const float *a;
    int64_t a_step, a_row, a_tap, a_tap_row;
    const float *b;
    int64_t b_step, b_row;
    int64_t rows, pixels, tap_rows, taps;
    float *y;
    int64_t y_tap, y_tap_row;
    int64_t channels;
} cp_channel_products;

/* A row of outputs of a pooling, all with the same valid taps: offset[t] from the window's x, id[t] its number in the
 * window. max: the first of equal maxima wins, NaN (the first) wins over all; y or index may be NULL. average: factor *
 * sum. */
typedef struct cp_pool_row {
    const float *x;
    int64_t x_step;
    const int64_t *offset;
    const uint8_t *id;
    int64_t taps; /* >= 1 */
    float *y;
    uint8_t *index;
    int64_t y_step; /* of y and index */
    int64_t pixels, channels;
    float factor;
} cp_pool_row;

/* A row of inputs of a pooling, all reached by the same taps of outputs at the same distances, the gradient gathered:
 *   max:     dx[p*dx_step + ch] = sum over t of (index[p*dy_step + offset[t] + ch] == id[t] ? dy[same] : 0)
 *   average: dx[p*dx_step + ch] = sum over t of factor[t] * dy[p*dy_step + offset[t] + ch] */
typedef struct cp_pool_gather {
    const float *dy;
    const uint8_t *index;
    int64_t dy_step;
    const int64_t *offset;
    const uint8_t *id;
    const float *factor;
    int64_t taps; /* may be 0: dx = 0 */
    float *dx;
    int64_t dx_step;
    int64_t pixels, channels;
} cp_pool_gather;

/* A pass over memory for measuring it, by one of the functions
 *   READ adds x up; COPY y = x; TRIAD y = x + z/2; STREAM y = x, stored past the caches; ROWS y = the sums of four rows
 *   of x, the next four prefetched, stored past the caches: y has n/4 floats.
 * x, y and z: n floats, aligned to 64 bytes; n a multiple of 4 * row, row one of 128. Returns a number that depends on
 * x. */
#define CP_MULTIPLY_ADD_SUMS 12
enum { CP_SWEEP_READ, CP_SWEEP_COPY, CP_SWEEP_TRIAD, CP_SWEEP_STREAM, CP_SWEEP_ROWS, CP_SWEEPS };
typedef struct cp_sweep {
    const float *x, *z;
    float *y;
    int64_t n, row;
} cp_sweep;
typedef float cp_sweep_fn(const cp_sweep *);

/* Functions of one number x, s(x) = 1/(1+exp(-x)): exp(x); s(x); tanh(x); log(1+exp(x)); x*s(x); x*tanh(log(1+exp(x)));
 * x*(1+erf(x/sqrt(2)))/2; x*s(2*sqrt(2/pi)*(x+0.044715*x^3)); erf(x); x, below 0 alpha*(exp(beta*x)-1). Only the last
 * has alpha and beta. */
enum {
    CP_FUNCTION_EXP,
    CP_FUNCTION_LOGISTIC,
    CP_FUNCTION_TANH,
    CP_FUNCTION_SOFTPLUS,
    CP_FUNCTION_SILU,
    CP_FUNCTION_MISH,
    CP_FUNCTION_GELU,
    CP_FUNCTION_GELU_TANH,
    CP_FUNCTION_ERF,
    CP_FUNCTION_ELU,
    CP_FUNCTIONS
};
typedef void cp_function_fn(const float *x, float *y, int64_t n, float alpha, float beta);

/* One step of an optimizer on n weights w with gradient g (scaled by g_scale, plus decay * w); m and v are its moments.
 */
typedef struct cp_adaptive {
    float rate, beta1, beta2, epsilon; /* rate with its corrections in it */
    float v_scale;                     /* Adam: 1 (epsilon-hat form), or 1/sqrt(1-beta2^t) */
    float g_scale, decay;
    float shrink; /* what w loses beside the step, as a part of itself: decoupled decay */
} cp_adaptive;
typedef struct cp_sgd {
    float rate, momentum, g_scale, decay;
    int nesterov;
} cp_sgd;

/* Winograd's minimal filtering (winograd.c): a tile of m x m outputs of a convolution with r x r taps, or of m outputs
 * with r taps along one axis, from p = m + r - 1 products along each. A tile has p x p elements (p along one axis),
 * each
 * `.._step` floats behind the one before. Rows and columns may be any two axes of an image; where only one axis is
 * transformed, it is that of the columns, and a tile has one row. */
enum { CP_WINOGRAD_4X4_3X3, CP_WINOGRAD_2X2_3X3, CP_WINOGRAD_2X2_5X5, CP_WINOGRAD_4_3, CP_WINOGRADS };

/* The elements of the input of one tile, v[e*v_step + ch] = (B^T d B)[e]. v is written in whole vectors: up to lanes -
 * 1 floats behind the channels. */
typedef struct cp_winograd_input {
    const float *x; /* the image's first pixel */
    int64_t x_row, x_column;
    int64_t rows, columns; /* of the image; outside it there are zeros */
    int64_t row, column;   /* where the tile begins, maybe outside */
    float *v;
    int64_t v_step;
    int64_t channels;
} cp_winograd_input;

/* The outputs of one tile from the products m of its elements: y = relu?(A^T m A + bias), as far as they are inside the
 * image. m is read in whole vectors. flags: CP_APPLY_RELU. */
typedef struct cp_winograd_output {
    const float *m;
    int64_t m_step;
    float *y;
    int64_t y_row, y_column;
    int64_t rows, columns, row, column; /* as of the input; row and column inside */
    const float *bias;                  /* or NULL */
    int64_t filters;
    int flags;
} cp_winograd_output;

/* The elements of weights: u[e*u_step + row*u_row + column] = (G g G^T)[e], g the taps w[tap*w_tap + row*w_row +
 * column]. u is aligned (64 bytes) and written in whole vectors, zeros behind the columns. */
typedef struct cp_winograd_weights {
    const float *w;
    int64_t w_tap, w_row;
    int64_t rows, columns;
    float *u;
    int64_t u_step, u_row;
} cp_winograd_weights;

/* What the elements' gradients say of the weights: w[tap*w_tap + row*w_row + column] = (G^T u G)[tap], u[e] as of
 * cp_winograd_weights. u is read in whole vectors. */
typedef struct cp_winograd_weight_gradient {
    const float *u;
    int64_t u_step, u_row;
    int64_t rows, columns;
    float *w;
    int64_t w_tap, w_row;
} cp_winograd_weight_gradient;

typedef struct cp_winograd {
    int outputs, taps, axes; /* m, r; 1 or 2 */
    void (*input)(const cp_winograd_input *);
    void (*output)(const cp_winograd_output *);
    void (*weights)(const cp_winograd_weights *);
    /* The same from the gradient by a tile's outputs, A dy A^T: x is that of the outputs, row and column are inside. */
    void (*gradient)(const cp_winograd_input *);
    void (*weight_gradient)(const cp_winograd_weight_gradient *);
} cp_winograd;

typedef struct cp_kernels {
    const char *name;             /* "avx512" */
    int lanes;                    /* floats in a vector */
    int vectors;                  /* V of a full panel: panels are vectors*lanes wide, the last one narrower */
    int rows[CP_MAX_VECTORS + 1]; /* most rows of a tile with V vectors; all fewer exist too */
    cp_tile_fn *tile[CP_MAX_ROWS + 1][CP_MAX_VECTORS + 1]; /* [R][V] */
    /* [R], of full panels: fetches meanwhile what will be read next into the second cache, from `ahead` on 64 bytes for
     * each row of the panel, of one run. */
    cp_tile_fn *tile_ahead[CP_MAX_ROWS + 1];
    void (*stream_end)(void); /* after stores with CP_STREAM, before another thread may read them */
    cp_outer_fn *outer[CP_MAX_ROWS + 1][CP_MAX_VECTORS + 1];

    const cp_tile_row *short_tile; /* words of two s16, sums s32 modulo 2^32; no CP_APPLY_RELU */
    const cp_tile_row *byte_tile;  /* words of four u8 in a (anywhere), four s8 in b, the same; NULL below avx512vnni */
    const cp_bf16_kernels *bf16;   /* NULL below avx512bf16 */
    /* n bytes minus zero as s16 in (n+1)/2 words; the missing half of the last one is 0. */
    void (*widen)(const void *bytes, int is_signed, int zero, int64_t n, void *words);
    void (*requantise)(const cp_requantise *);

    /* panel[r*width + j] = w[r*row_step + j*column_step], j < columns; the rest up to width is 0. Fast where either
     * step is 1. */
    void (*pack)(const float *w, int64_t row_step, int64_t column_step, int64_t rows, int64_t columns, int64_t width,
                 float *panel);
    cp_winograd winograd[CP_WINOGRADS];
    void (*depthwise)(const cp_depthwise *);
    void (*grouped)(const cp_grouped *);         /* NULL where vectors cannot be permuted at will */
    void (*grouped_3x3)(const cp_grouped_3x3 *); /* NULL with it */
    void (*few_filters)(const cp_few_filters *);
    void (*channel_products)(const cp_channel_products *);
    void (*max_pool)(const cp_pool_row *);
    void (*average_pool)(const cp_pool_row *);
    void (*max_pool_gather)(const cp_pool_gather *);
    void (*average_pool_gather)(const cp_pool_gather *);

    /* Of rows of channels that begin at offset[t] of one of the arrays, t < n, for each ch < channels:
     *   blend: y[ch] (+)= sum over t of weight[t] * x[offset[t] + ch];   n may be 0
     *   spread: y[offset[t] + ch] += weight[t] * x[ch], one t after the other
     *   products: sums[t] = sum over ch of x[ch] * y[offset[t] + ch]; depends on channels and the level alone */
    void (*blend)(const float *x, const int64_t *offset, const float *weight, int64_t n, float *y, int64_t channels,
                  int flags);
    void (*spread)(const float *x, const int64_t *offset, const float *weight, int64_t n, float *y, int64_t channels);
    void (*products)(const float *x, const float *y, const int64_t *offset, int64_t n, int64_t channels, float *sums);

    void (*relu)(const float *x, float *y, int64_t n);
    void (*relu_gradient)(const float *y, const float *dy, float *dx, int64_t n); /* y > 0 ? dy : 0 */
    void (*add)(const float *a, const float *b, float *y, int64_t n);
    /* y[j] (+)= sum over i < rows of x[i*x_step + j], j < columns. */
    void (*column_sums)(const float *x, int64_t x_step, int64_t rows, int64_t columns, float *y, int flags);
    double (*sum_of_squares)(const float *x, int64_t n); /* depends on n and the level alone */
    /* sum += the sums of x[i*x_step + j] - shift over i < rows, squares += those of its squares, in double: of all
     * j < n together, or (column_moments) of each j. They depend on rows, n and the level alone; a column's on rows. */
    void (*moments)(const float *x, int64_t x_step, int64_t rows, int64_t n, float shift, double *sum, double *squares);
    void (*column_moments)(const float *x, int64_t x_step, int64_t rows, int64_t n, const float *shift, double *sum,
                           double *squares);
    /* y[i] = (x[i] - mean - rest) * (inverse * scale[i]) + bias[i], the mean in two parts; mean, rest and inverse are
     * one for all i, or (each) one for each. */
    void (*normalise)(const float *x, const float *mean, const float *rest, const float *inverse, int each,
                      const float *scale, const float *bias, float *y, int64_t n);
    cp_function_fn *function[CP_FUNCTIONS];
    float (*largest)(const float *x, int64_t n); /* n >= 1; what it is where there is a NaN is not said */
    /* y[i] = exp(x[i] - shift), where y is not NULL; the sum of them. */
    double (*exponentials)(const float *x, float shift, float *y, int64_t n);
    /* w -= rate * m / (sqrt(v) * v_scale + epsilon), m and v the means of g and g^2. */
    void (*adam)(const cp_adaptive *, float *w, const float *g, float *m, float *v, int64_t n);
    /* w -= rate * g / (sqrt(v) + epsilon), v the mean of g^2 (rmsprop) or its sum (adagrad). */
    void (*rmsprop)(const cp_adaptive *, float *w, const float *g, float *v, int64_t n);
    void (*adagrad)(const cp_adaptive *, float *w, const float *g, float *v, int64_t n);
    /* w -= rate * sign(beta1*m + (1-beta1)*g), then m becomes the mean of g by beta2. */
    void (*lion)(const cp_adaptive *, float *w, const float *g, float *m, int64_t n);
    void (*sgd)(const cp_sgd *, float *w, const float *g, float *v,
                int64_t n); /* v unused (may be NULL) without momentum */
    /* n rounds of sum = sum/2 + 1 in CP_MULTIPLY_ADD_SUMS vectors, for measuring them. Returns a number that depends on
     * start. */
    float (*multiply_adds)(float start, int64_t n);
    cp_sweep_fn *sweep[CP_SWEEPS];
} cp_kernels;

extern const cp_kernels cp_kernels_portable;
#if defined(__x86_64__)
extern const cp_kernels cp_kernels_avx2, cp_kernels_avx512, cp_kernels_avx512vnni, cp_kernels_avx512bf16;
/* What the last two have beside the kernels of avx512: vnni.c, bf16.c. */
extern const cp_tile_row cp_vnni_byte_tiles[CP_MAX_ROWS + 1];
extern const cp_bf16_kernels cp_bf16_kernels_avx512bf16;
#endif

#endif
