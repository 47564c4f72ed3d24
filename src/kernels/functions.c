/* Functions of one number, as polynomials after a reduction (in the manner of Cephes, Moshier 1989): within a few units
 * in the last place of what the C library gives, also where the result is denormal, infinite or NaN. */

/* Polynomial in x, the coefficient of the highest power first. */
INLINE vec polynomial(vec x, const float *coefficient, const int count) {
    vec sum = vec_all(coefficient[0]);
    UNROLL for (int i = 1; i < count; i++) sum = vec_multiply_add(sum, x, vec_all(coefficient[i]));
    return sum;
}

INLINE vec vec_min(vec a, vec b) { /* b where either is NaN */
    return -vec_max(-a, -b);
}

INLINE vec vec_abs(vec x) {
    return (vec)((vec_int)x & 0x7fffffff);
}

/* 2^n, n from -126 to 127 */
INLINE vec power_of_two(vec_int n) {
    return (vec)((n + 127) << 23);
}

/* exp(x) - 1 = (rest + 1) * 2^n - 1, |rest| < 0.42; x is taken into a range where n fits twice an exponent's. */
INLINE vec reduced_exp(vec x, vec_int *n) {
    static const float coefficient[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                        4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    const vec shift = vec_all(0x1.8p23f); /* so large a number has no digits behind the point */
    x = vec_min(vec_all(89), vec_max(vec_all(-104), x));
    vec shifted = vec_multiply_add(x, vec_all(1.44269504088896341f), shift), whole = shifted - shift;
    *n = (vec_int)shifted - (vec_int)shift;
    vec r = vec_multiply_add(whole, vec_all(-0.693359375f), x);
    r = vec_multiply_add(whole, vec_all(2.12194440e-4f), r);
    return vec_multiply_add(polynomial(r, coefficient, 6), r * r, r);
}

INLINE vec vec_exp(vec x) {
    vec_int n;
    vec rest = reduced_exp(x, &n);
    vec_int half = n >> 1;
    return (rest + 1) * power_of_two(half) * power_of_two(n - half);
}

/* Of x up to 0. */
INLINE vec vec_expm1(vec x) {
    vec_int n;
    vec rest = reduced_exp(vec_max(vec_all(-80), x), &n), scale = power_of_two(n);
    return vec_multiply_add(rest, scale, scale - 1);
}

INLINE vec vec_logistic(vec x) {
    vec e = vec_exp(-vec_abs(x));
    return vec_select(vec_greater((vec){0}, x), e, vec_all(1)) / (1 + e);
}

INLINE vec vec_tanh(vec x) {
    static const float coefficient[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                                        -3.33332819422e-1f};
    vec square = x * x, magnitude = vec_abs(x);
    vec near = vec_multiply_add(polynomial(square, coefficient, 5) * square, magnitude, magnitude);
    vec far = 1 - 2 / (vec_exp(magnitude + magnitude) + 1);
    vec_int sign = (vec_int)x & (int32_t)0x80000000u;
    return (vec)((vec_int)vec_select(vec_greater(vec_all(0.625f), magnitude), near, far) | sign);
}

/* log(1+exp(x)) = max(x, 0) + 2 artanh(s), s = u/(2+u), u = exp(-|x|) */
INLINE vec vec_softplus(vec x) {
    static const float coefficient[] = {2.f / 15, 2.f / 13, 2.f / 11, 2.f / 9, 2.f / 7, 2.f / 5, 2.f / 3, 2};
    vec u = vec_exp(-vec_abs(x)), s = u / (2 + u);
    return vec_relu(x) + polynomial(s * s, coefficient, 8) * s;
}

/* x * tanh(log(1+e)) = x * n/(n+2), n = e*(e+2), e = exp(x), which is x where e is large. */
INLINE vec vec_mish(vec x) {
    vec e = vec_exp(vec_min(vec_all(20), x)), n = e * (e + 2);
    return x * (n / (n + 2));
}

INLINE vec vec_gelu_tanh(vec x) {
    vec cube = vec_multiply_add(vec_all(0.044715f) * x * x, x, x);
    return x * vec_logistic(vec_all(1.5957691216057307f) * cube);
}

/* The normal distribution below -x, x >= 0: exp(-x^2/2) * t*p(t), t = 1/(1+0.3x); the square's rounding is made good.
 */
INLINE vec vec_normal_tail(vec x) {
    static const float coefficient[] = {-2.0623552e-2f, 1.12436064e-1f, -2.28214651e-1f, 1.91785932e-1f,
                                        -7.9424635e-2f, 9.6157439e-2f,  7.8389443e-2f,   1.10235468e-1f,
                                        1.19571812e-1f, 1.19686693e-1f};
    x = vec_min(vec_all(15), x); /* where nothing is left */
    vec square = x * x, rest = vec_multiply_add(x, x, -square), t = 1 / vec_multiply_add(x, vec_all(0.3f), vec_all(1));
    return vec_exp(-0.5f * square) * (1 - 0.5f * rest) * (t * polynomial(t, coefficient, 10));
}

INLINE vec vec_gelu(vec x) {
    vec tail = vec_normal_tail(vec_abs(x));
    return x * vec_select(vec_greater((vec){0}, x), tail, 1 - tail);
}

INLINE vec vec_erf(vec x) {
    static const float coefficient[] = {7.8538577e-5f,  -8.01019253e-4f, 5.18832756e-3f, -2.68538119e-2f,
                                        1.12835851e-1f, -3.76126258e-1f, 1.12837917f};
    vec near = x * polynomial(x * x, coefficient, 7), magnitude = vec_abs(x);
    vec far = 1 - 2 * vec_normal_tail(magnitude * vec_all(1.41421356f));
    vec_int sign = (vec_int)x & (int32_t)0x80000000u;
    return vec_select(vec_greater(vec_all(1), magnitude), near, (vec)((vec_int)far | sign));
}

INLINE vec function(vec x, const int which, float alpha, float beta) {
    const vec negative = which == CP_FUNCTION_ELU ? vec_expm1(vec_min((vec){0}, x * vec_all(beta))) : x;
    switch (which) {
    case CP_FUNCTION_EXP:
        return vec_exp(x);
    case CP_FUNCTION_LOGISTIC:
        return vec_logistic(x);
    case CP_FUNCTION_TANH:
        return vec_tanh(x);
    case CP_FUNCTION_SOFTPLUS:
        return vec_softplus(x);
    case CP_FUNCTION_SILU:
        return x * vec_logistic(x);
    case CP_FUNCTION_MISH:
        return vec_mish(x);
    case CP_FUNCTION_GELU:
        return vec_gelu(x);
    case CP_FUNCTION_GELU_TANH:
        return vec_gelu_tanh(x);
    case CP_FUNCTION_ERF:
        return vec_erf(x);
    default: /* CP_FUNCTION_ELU */
        return vec_select(vec_greater((vec){0}, x), vec_all(alpha) * negative, x);
    }
}

INLINE void function_vector(const float *x, float *y, const int which, float alpha, float beta, int count) {
    vec_store_some(y, function(vec_load_some(x, count), which, alpha, beta), count);
}

INLINE void function_array(const float *x, float *y, int64_t n, const int which, float alpha, float beta) {
    int64_t i = 0;
    for (; i + CP_LANES <= n; i += CP_LANES) function_vector(x + i, y + i, which, alpha, beta, CP_LANES);
    if (i < n) function_vector(x + i, y + i, which, alpha, beta, vec_rest(n - i));
}

#define EACH_FUNCTION(X)                                                                                               \
    X(CP_FUNCTION_EXP, exp_of_array)                                                                                   \
    X(CP_FUNCTION_LOGISTIC, logistic_of_array)                                                                         \
    X(CP_FUNCTION_TANH, tanh_of_array)                                                                                 \
    X(CP_FUNCTION_SOFTPLUS, softplus_of_array)                                                                         \
    X(CP_FUNCTION_SILU, silu_of_array)                                                                                 \
    X(CP_FUNCTION_MISH, mish_of_array)                                                                                 \
    X(CP_FUNCTION_GELU, gelu_of_array)                                                                                 \
    X(CP_FUNCTION_GELU_TANH, gelu_tanh_of_array)                                                                       \
    X(CP_FUNCTION_ERF, erf_of_array)                                                                                   \
    X(CP_FUNCTION_ELU, elu_of_array)
#define FUNCTION(which, name)                                                                                          \
    static void name(const float *x, float *y, int64_t n, float alpha, float beta) {                                   \
        function_array(x, y, n, which, alpha, beta);                                                                   \
    }
EACH_FUNCTION(FUNCTION)
#define FUNCTION_ENTRY(which, name) [which] = name,

/* The largest of n >= 1 numbers that are no NaN. */
static float largest(const float *x, int64_t n) {
    vec best = vec_all(x[0]);
    int64_t i = 0;
    for (; i + CP_LANES <= n; i += CP_LANES) best = vec_max(vec_load(x + i), best);
    float most = best[0];
    for (int lane = 1; lane < CP_LANES; lane++) most = best[lane] > most ? best[lane] : most;
    for (; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

static double exponentials(const float *x, float shift, float *y, int64_t n) {
    enum { HALF = CP_LANES / 2 };
    vec_double sum[2] = {{0}}, halves[2];
    double total = 0;
    int64_t i = 0;
    for (; i + CP_LANES <= n; i += CP_LANES) {
        vec e = vec_exp(vec_load(x + i) - shift);
        if (y) vec_store(y + i, e);
        vec_widen_halves(e, halves);
        sum[0] += halves[0];
        sum[1] += halves[1];
    }
    sum[0] += sum[1];
    for (int lane = 0; lane < HALF; lane++) total += sum[0][lane];
    if (i < n) {
        int rest = vec_rest(n - i);
        vec e = vec_exp(vec_load_part(x + i, rest) - shift);
        if (y) vec_store_part(y + i, e, rest);
        for (int lane = 0; lane < rest; lane++) total += e[lane];
    }
    return total;
}
