/* Normalisation: numbers of one group get mean 0 and deviation 1, then a scale and a bias per channel. */
#include "ref/ref.h"

#include <math.h>

/* Element e in the order of the shape. */
static double get(const cp_tensor *x, int64_t e) {
    return cp_get(x, cp_offset(x, 0, x->shape.rank, e));
}

static void put(const cp_tensor *y, int64_t e, double value) {
    cp_put(y, cp_offset(y, 0, y->shape.rank, e), value);
}

/* x as [N, S, C] with G groups of channels: N and G are those of the moments. */
typedef struct layout {
    int64_t N, S, C, G;
} layout;

static layout layout_of(const cp_tensor *x, const cp_tensor *moments) {
    layout l = {.N = moments->shape.dim[0], .C = x->shape.dim[x->shape.rank - 1], .G = moments->shape.dim[1]};
    l.S = l.N ? cp_shape_count(x->shape) / l.C / l.N : 0;
    return l;
}

static int64_t element(const layout *l, int64_t n, int64_t s, int64_t c) {
    return (n * l->S + s) * l->C + c;
}

/* Where the moments of channel c of image n lie: the mean; behind it 1 / deviation. */
static int64_t moments_at(const layout *l, int64_t n, int64_t c) {
    return (n * l->G + c / (l->C / l->G)) * 2;
}

static void mean_and_variance(const layout *l, const cp_tensor *x, int64_t n, int64_t g, double *mean,
                              double *variance) {
    const int64_t K = l->C / l->G, count = l->S * K;
    double sum = 0, squares = 0;
    for (int64_t s = 0; s < l->S; s++)
        for (int64_t k = 0; k < K; k++) sum += get(x, element(l, n, s, g * K + k));
    *mean = sum / (double)count;
    for (int64_t s = 0; s < l->S; s++)
        for (int64_t k = 0; k < K; k++) {
            const double distance = get(x, element(l, n, s, g * K + k)) - *mean;
            squares += distance * distance;
        }
    *variance = squares / (double)count;
}

/* One group; its moments are kept for the gradient. */
static void normalize(const layout *l, int64_t n, int64_t g, double mean, double variance, double epsilon,
                      const cp_tensor *x, const cp_tensor *scale, const cp_tensor *bias, const cp_tensor *y,
                      const cp_tensor *moments) {
    const int64_t K = l->C / l->G;
    const double inverse = 1 / sqrt(variance + epsilon);
    put(moments, (n * l->G + g) * 2, mean);
    put(moments, (n * l->G + g) * 2 + 1, inverse);
    for (int64_t s = 0; s < l->S; s++)
        for (int64_t c = g * K; c < (g + 1) * K; c++) {
            const int64_t e = element(l, n, s, c);
            put(y, e, (get(x, e) - mean) * inverse * get(scale, c) + get(bias, c));
        }
}

void cp_ref_group_norm(double epsilon, const cp_tensor *x, const cp_tensor *scale, const cp_tensor *bias,
                       const cp_tensor *y, const cp_tensor *moments) {
    const layout l = layout_of(x, moments);
    for (int64_t n = 0; n < l.N; n++)
        for (int64_t g = 0; g < l.G; g++) {
            double mean, variance;
            mean_and_variance(&l, x, n, g, &mean, &variance);
            normalize(&l, n, g, mean, variance, epsilon, x, scale, bias, y, moments);
        }
}

void cp_ref_batch_norm(bool training, double momentum, double epsilon, const cp_tensor in[5], const cp_tensor *y,
                       const cp_tensor *moments, const cp_tensor *next_mean, const cp_tensor *next_variance) {
    const cp_tensor *running_mean = &in[3], *running_variance = &in[4];
    const layout l = layout_of(&in[0], moments);
    for (int64_t c = 0; c < l.C; c++) {
        double mean = get(running_mean, c), variance = get(running_variance, c);
        if (training && l.S) mean_and_variance(&l, &in[0], 0, c, &mean, &variance);
        put(next_mean, c, momentum * get(running_mean, c) + (1 - momentum) * mean);
        put(next_variance, c, momentum * get(running_variance, c) + (1 - momentum) * variance);
        normalize(&l, 0, c, mean, variance, epsilon, &in[0], &in[1], &in[2], y, moments);
    }
}

/* With u = (x - mean) / deviation and g = dy * scale: dx = (g - mean of g - u * mean of g*u) / deviation, the means
 * over the group; where the moments do not depend on x, only the first of the three. */
void cp_ref_norm_input_gradient(bool fixed, const cp_tensor *x, const cp_tensor *scale, const cp_tensor *dy,
                                const cp_tensor *moments, const cp_tensor *dx) {
    const layout l = layout_of(x, moments);
    const int64_t K = l.C / l.G, count = l.S * K;
    for (int64_t n = 0; n < l.N; n++)
        for (int64_t g = 0; g < l.G; g++) {
            const double mean = get(moments, (n * l.G + g) * 2), inverse = get(moments, (n * l.G + g) * 2 + 1);
            double sum = 0, products = 0;
            for (int64_t i = 0; i < count && !fixed; i++) {
                const int64_t c = g * K + i % K, e = element(&l, n, i / K, c);
                sum += get(dy, e) * get(scale, c);
                products += get(dy, e) * get(scale, c) * (get(x, e) - mean) * inverse;
            }
            for (int64_t i = 0; i < count; i++) {
                const int64_t c = g * K + i % K, e = element(&l, n, i / K, c);
                const double u = (get(x, e) - mean) * inverse;
                const double part = get(dy, e) * get(scale, c) - (sum + u * products) / (double)count;
                put(dx, e, part * inverse);
            }
        }
}

void cp_ref_norm_scale_gradient(const cp_tensor *x, const cp_tensor *dy, const cp_tensor *moments,
                                const cp_tensor *dscale) {
    const layout l = layout_of(x, moments);
    for (int64_t c = 0; c < l.C; c++) {
        double sum = 0;
        for (int64_t n = 0; n < l.N; n++)
            for (int64_t s = 0; s < l.S; s++) {
                const int64_t e = element(&l, n, s, c), m = moments_at(&l, n, c);
                sum += get(dy, e) * (get(x, e) - get(moments, m)) * get(moments, m + 1);
            }
        put(dscale, c, sum);
    }
}

/* --- between neighbouring channels --- */

/* bias + alpha/size * sum of squares of the channels from c - (size-1)/2 to c + size/2, of the pixel that begins at e
 */
static double lrn_base(const cp_lrn *lrn, const cp_tensor *x, int64_t e, int64_t c, int64_t C) {
    double sum = 0;
    for (int64_t k = c - (lrn->size - 1) / 2; k <= c + lrn->size / 2; k++)
        if (k >= 0 && k < C) sum += get(x, e + k) * get(x, e + k);
    return lrn->bias + lrn->alpha / (double)lrn->size * sum;
}

void cp_ref_lrn(const cp_lrn *lrn, const cp_tensor *x, const cp_tensor *y) {
    const int64_t C = x->shape.dim[x->shape.rank - 1], count = cp_shape_count(x->shape);
    for (int64_t e = 0; e < count; e += C)
        for (int64_t c = 0; c < C; c++) put(y, e + c, get(x, e + c) * pow(lrn_base(lrn, x, e, c, C), -lrn->beta));
}

/* dx[c] = dy[c] * base[c]^-beta - 2 alpha beta / size * x[c] * sum over j that see c of dy[j] * x[j] *
 * base[j]^(-beta-1) */
void cp_ref_lrn_gradient(const cp_lrn *lrn, const cp_tensor *x, const cp_tensor *dy, const cp_tensor *dx) {
    const int64_t C = x->shape.dim[x->shape.rank - 1], count = cp_shape_count(x->shape);
    const double factor = 2 * lrn->alpha * lrn->beta / (double)lrn->size;
    for (int64_t e = 0; e < count; e += C)
        for (int64_t c = 0; c < C; c++) {
            double sum = 0;
            for (int64_t j = c - lrn->size / 2; j <= c + (lrn->size - 1) / 2; j++)
                if (j >= 0 && j < C)
                    sum += get(dy, e + j) * get(x, e + j) * pow(lrn_base(lrn, x, e, j, C), -lrn->beta - 1);
            put(dx, e + c, get(dy, e + c) * pow(lrn_base(lrn, x, e, c, C), -lrn->beta) - factor * get(x, e + c) * sum);
        }
}
