/* Where padding and resizing take each position of an axis from, and every check on their descriptors.
 *
 * Source of the coordinates and of nearest: ONNX, operator Resize. */
#include "tensor/tensor.h"

#include <math.h>

static int64_t clamp(double position, int64_t in) {
    return position <= 0 ? 0 : position >= (double)(in - 1) ? in - 1 : (int64_t)position;
}

/* Where the output's position o lies in the input. With a scale in single precision, which it was given in: 0.6 is
 * meant where the nearest float is a little more. */
static double position_of(const cp_sampling *s, int64_t o) {
    const double in = (double)s->in, out = (double)s->out, at = (double)o;
    switch (s->coordinates) {
    case CP_ASYMMETRIC:
        return s->scale > 0 ? (double)((float)at / s->scale) : at * in / out;
    case CP_ALIGN_CORNERS:
        return s->out == 1 ? 0 : at * (in - 1) / (out - 1);
    case CP_PYTORCH_HALF_PIXEL:
        if (s->out == 1) return 0;
        break;
    case CP_CROP:
        if (s->out == 1) return (s->begin + s->end) / 2 * (in - 1);
        return s->begin * (in - 1) + at * (s->end - s->begin) * (in - 1) / (out - 1);
    case CP_HALF_PIXEL_SYMMETRIC:
        if (s->scale > 0) /* the middle of what the output would be, were it not rounded down */
            return in / 2 * (1 - out / (in * (double)s->scale)) + (at + 0.5) / (double)s->scale - 0.5;
        break;
    case CP_HALF_PIXEL:
        break;
    }
    return s->scale > 0 ? (double)((float)(at + 0.5) / s->scale - 0.5F) : (2 * at + 1) * in / (2 * out) - 0.5;
}

static double round_to(cp_rounding rounding, double position) {
    switch (rounding) {
    case CP_ROUND_PREFER_FLOOR:
        return ceil(position - 0.5);
    case CP_ROUND_PREFER_CEIL:
        return floor(position + 0.5);
    case CP_ROUND_FLOOR:
        return floor(position);
    case CP_ROUND_CEIL:
        return ceil(position);
    }
    return position;
}

/* Keys' kernel with coefficient a, at distance x. */
static double cubic(double a, double x) {
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
}

/* By how much distances shrink, so that the kernel becomes wider. */
static double narrowing(const cp_sampling *s) {
    const double scale = s->scale > 0 ? (double)s->scale : (double)s->out / (double)s->in;
    return s->antialias && scale < 1 ? scale : 1;
}

static double kernel(const cp_sampling *s, double distance) {
    distance *= narrowing(s);
    return s->interpolation == CP_INTERPOLATE_CUBIC ? cubic(s->cubic, distance) : fmax(0, 1 - fabs(distance));
}

/* The taps that a kernel about a position meets, also outside of the input. */
static void taps_of(const cp_sampling *s, double at, int64_t *first, int64_t *last) {
    const double reach = (s->interpolation == CP_INTERPOLATE_CUBIC ? 2 : 1) / narrowing(s);
    *first = (int64_t)floor(at - reach) + 1;
    *last = (int64_t)ceil(at + reach) - 1;
}

/* The first and last stand for what lies outside, too. */
double cp_sample_weight(const cp_sampling *s, const cp_sample *sample, int64_t i) {
    if (!s->resizes || s->interpolation == CP_INTERPOLATE_NEAREST) return 1;
    int64_t first, last;
    double weight = kernel(s, (double)i - sample->at);
    taps_of(s, sample->at, &first, &last);
    for (int64_t t = first; t < 0 && i == 0 && !s->exclude_outside; t++)
        if (t != i) weight += kernel(s, (double)t - sample->at);
    for (int64_t t = last; t >= s->in && i == s->in - 1 && !s->exclude_outside; t--)
        weight += kernel(s, (double)t - sample->at);
    return weight / sample->total;
}

static cp_sample sample_about(const cp_sampling *s, double at) {
    cp_sample sample = {.at = at, .total = 1};
    int64_t first, last;
    double total = 0;
    taps_of(s, at, &first, &last);
    for (int64_t t = first; t <= last; t++)
        if (!s->exclude_outside || (0 <= t && t < s->in)) total += kernel(s, (double)t - at);
    if (s->antialias || s->exclude_outside) sample.total = total;
    sample.first = first < 0 ? 0 : first >= s->in ? s->in - 1 : first;
    sample.count = (last < 0 ? 0 : last >= s->in ? s->in - 1 : last) - sample.first + 1;
    return sample;
}

cp_sample cp_sampling_at(const cp_sampling *s, int64_t o) {
    cp_sample sample = {.count = 1, .total = 1};
    if (!s->resizes) {
        sample.first = cp_pad_at(s->values, o - s->before, s->in);
        sample.count = sample.first >= 0;
        return sample;
    }
    const double at = position_of(s, o);
    if (s->coordinates == CP_CROP && !(at >= 0 && at <= (double)(s->in - 1))) {
        sample.count = 0;
        return sample;
    }
    if (s->interpolation != CP_INTERPOLATE_NEAREST) return sample_about(s, at);
    sample.first = clamp(round_to(s->rounding, at), s->in);
    return sample;
}

/* --- from descriptors --- */

/* N,space,C of which only N may be 0. */
static cp_status check_input(cp_shape x) {
    cp_status status = cp_check_shape(x, CP_F32, "input");
    if (status) return status;
    if (x.rank < 3 || x.rank > CP_MAX_AXES + 2)
        return cp_fail(CP_E_SHAPE, "input must have 3 to %d dimensions, has %d", CP_MAX_AXES + 2, x.rank);
    for (int d = 1; d < x.rank; d++)
        if (x.dim[d] == 0) return cp_fail(CP_E_SHAPE, "input dimension %d is 0: must be at least 1", d);
    return CP_OK;
}

/* An array has a value for each axis and zeros behind them. */
static cp_status check_rest(const char *name, const int64_t *values, int axes) {
    for (int d = axes; d < CP_MAX_AXES; d++)
        if (values[d])
            return cp_fail(CP_E_ARG, "%s[%d] = %lld: the input has only %d spatial dimension%s", name, d,
                           (long long)values[d], axes, axes == 1 ? "" : "s");
    return CP_OK;
}

cp_status cp_check_pad_values(cp_pad_values values, int64_t in, int64_t before, int64_t after, int d) {
    const char *const name = before > after ? "pad_before" : "pad_after";
    const int64_t most = before > after ? before : after;
    if ((unsigned)values > CP_PAD_CIRCULAR) return cp_fail(CP_E_ARG, "pad values %d: no such kind", (int)values);
    if (values == CP_PAD_REFLECT && most > in - 1)
        return cp_fail(CP_E_SHAPE, "%s[%d] = %lld: reflected padding must be less than the input (%lld)", name, d,
                       (long long)most, (long long)in);
    if (values == CP_PAD_CIRCULAR && most > in)
        return cp_fail(CP_E_SHAPE, "%s[%d] = %lld: circular padding must not be more than the input (%lld)", name, d,
                       (long long)most, (long long)in);
    return CP_OK;
}

/* As many axes as the shape has, at the end of the CP_MAX_AXES; the others are left as they are. */
static void begin(cp_sampling sampling[CP_MAX_AXES], cp_shape x) {
    for (int d = 0; d < CP_MAX_AXES; d++) sampling[d] = (cp_sampling){.in = 1, .out = 1};
    for (int d = 0; d < x.rank - 2; d++) sampling[CP_MAX_AXES - (x.rank - 2) + d].in = x.dim[1 + d];
}

static cp_status finish(const cp_sampling sampling[CP_MAX_AXES], cp_shape x, cp_shape *y) {
    *y = x;
    for (int d = 0; d < x.rank - 2; d++) y->dim[1 + d] = sampling[CP_MAX_AXES - (x.rank - 2) + d].out;
    return cp_check_shape(*y, CP_F32, "output");
}

cp_status cp_padding_sampling(cp_sampling sampling[CP_MAX_AXES], const cp_padding *padding, cp_shape x, cp_shape *y) {
    const int axes = x.rank - 2;
    cp_status status = check_input(x);
    if (!status) status = cp_check_reserved(padding->reserved, sizeof padding->reserved, "a descriptor");
    if (!status) status = check_rest("before", padding->before, axes);
    if (!status) status = check_rest("after", padding->after, axes);
    if (status) return status;
    begin(sampling, x);
    for (int d = 0; d < axes && !status; d++) {
        cp_sampling *s = &sampling[CP_MAX_AXES - axes + d];
        const int64_t before = padding->before[d], after = padding->after[d];
        if (before < 0 || after < 0)
            return cp_fail(CP_E_ARG, "%s[%d] = %lld: must not be negative", before < 0 ? "before" : "after", d,
                           (long long)(before < 0 ? before : after));
        if (!cp_sum(s->in, before, &s->out) || !cp_sum(s->out, after, &s->out))
            return cp_fail(CP_E_SHAPE, "padded input along axis %d overflows", d);
        s->before = before;
        s->values = padding->values;
        status = cp_check_pad_values(padding->values, s->in, before, after, d);
    }
    return status ? status : finish(sampling, x, y);
}

/* The size of one axis of which the input's is set. */
static cp_status size_axis(cp_sampling *s, int64_t size, float scale, int d) {
    char text[32];
    if (size < 0 || (size == 0 && !(scale > 0 && isfinite(scale))))
        return size ? cp_fail(CP_E_ARG, "size[%d] = %lld: must be at least 1", d, (long long)size)
                    : cp_fail(CP_E_ARG, "scale[%d] = %s: must be a number above 0", d,
                              cp_real_text((double)scale, 9, text));
    const float scaled = floorf((float)s->in * scale); /* single precision: 10 * 0.7 is 7 */
    if (size == 0 && !(scaled < 0x1p62f)) return cp_fail(CP_E_SHAPE, "the output along axis %d overflows", d);
    s->out = size ? size : (int64_t)scaled;
    s->scale = size ? 0 : scale;
    if (s->out < 1) return cp_fail(CP_E_SHAPE, "output along axis %d would be %lld", d, (long long)s->out);
    return CP_OK;
}

cp_status cp_resize_sampling(cp_sampling sampling[CP_MAX_AXES], const cp_resize *resize, cp_shape x, cp_shape *y) {
    const int axes = x.rank - 2;
    bool sized = false, scaled = false;
    for (int d = 0; d < CP_MAX_AXES; d++) {
        sized |= resize->size[d] != 0;
        scaled |= resize->scale[d] != 0;
    }
    cp_status status = check_input(x);
    if (!status) status = cp_check_reserved(resize->reserved, sizeof resize->reserved, "a descriptor");
    if (!status) status = check_rest("size", resize->size, axes);
    for (int d = axes; d < CP_MAX_AXES && !status; d++)
        if (resize->scale[d] != 0)
            status = cp_fail(CP_E_ARG, "scale[%d] is set: the input has only %d spatial dimension%s", d, axes,
                             axes == 1 ? "" : "s");
    if (status) return status;
    if (sized == scaled)
        return cp_fail(CP_E_ARG, sized ? "size and scale together" : "neither size nor scale is given");
    if ((unsigned)resize->interpolation > CP_INTERPOLATE_CUBIC)
        return cp_fail(CP_E_ARG, "interpolation = %d: no such interpolation", (int)resize->interpolation);
    if ((unsigned)resize->coordinates > CP_CROP)
        return cp_fail(CP_E_ARG, "coordinates = %d: no such rule", (int)resize->coordinates);
    if ((unsigned)resize->rounding > CP_ROUND_CEIL)
        return cp_fail(CP_E_ARG, "rounding = %d: no such rounding", (int)resize->rounding);
    if (resize->antialias && resize->interpolation == CP_INTERPOLATE_NEAREST)
        return cp_fail(CP_E_ARG, "antialias: nearest has none");
    if (!isfinite(resize->cubic) || !isfinite(resize->extrapolation))
        return cp_fail(CP_E_ARG, "cubic and extrapolation must be finite numbers");
    begin(sampling, x);
    for (int d = 0; d < axes && !status; d++) {
        cp_sampling *s = &sampling[CP_MAX_AXES - axes + d];
        s->resizes = true;
        s->coordinates = resize->coordinates;
        s->antialias = resize->antialias;
        s->exclude_outside = resize->exclude_outside;
        s->cubic = resize->cubic != 0 ? (double)resize->cubic : -0.75;
        s->begin = (double)resize->begin[d];
        s->end = (double)resize->end[d];
        if (!isfinite(s->begin) || !isfinite(s->end))
            return cp_fail(CP_E_ARG, "begin[%d] and end[%d] must be finite numbers", d, d);
        if (s->coordinates == CP_CROP && s->begin == s->end)
            return cp_fail(CP_E_ARG, "begin[%d] and end[%d] are the same: nothing is left", d, d);
        s->interpolation = resize->interpolation;
        s->rounding = resize->rounding;
        status = sized && resize->size[d] == 0 ? cp_fail(CP_E_ARG, "size[%d] = 0: must be at least 1", d)
                                               : size_axis(s, resize->size[d], resize->scale[d], d);
    }
    return status ? status : finish(sampling, x, y);
}
