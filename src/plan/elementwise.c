/* What happens to each element alone, in f32 and in shares of the elements: activations, dropout. */
#include "plan/algos.h"

#include <tgmath.h>

static const char *refuse(const cp_problem *problem) {
    return problem->type == CP_F32 && problem->in_type[0] == CP_F32 ? NULL : "needs f32";
}

/* The elements of share id of n: whole cache lines, which are also whole blocks of random numbers. false: none. */
static bool share(const cp_call *call, int id, int n, int64_t *first, int64_t *last) {
    enum { LINE = CP_ALIGN / sizeof(float) };
    const int64_t count = cp_shape_count(call->problem->out[0]);
    cp_share((count + LINE - 1) / LINE, id, n, first, last);
    *first *= LINE;
    *last = *last * LINE < count ? *last * LINE : count;
    return *first < *last;
}

#define VALUES(name, value, slope)                                                                                     \
    case name:                                                                                                         \
        for (int64_t e = first; e < last; e++) {                                                                       \
            const float x = in[e];                                                                                     \
            out[e] = value;                                                                                            \
        }                                                                                                              \
        break;
#define SLOPES(name, value, slope)                                                                                     \
    case name:                                                                                                         \
        for (int64_t e = first; e < last; e++) {                                                                       \
            const float x = in[e], y = x;                                                                              \
            (void)y;                                                                                                   \
            dx[e] = dy[e] * (slope);                                                                                   \
        }                                                                                                              \
        break;

/* What the kernels have of an activation: the function, its numbers, a factor. function: -1 where they have none. */
typedef struct kernel_function {
    int function;
    float alpha, beta, factor;
} kernel_function;

static kernel_function function_of(const cp_problem *p) {
    const float alpha = (float)p->alpha, beta = (float)p->beta;
    switch (p->activation) {
    case CP_SIGMOID:
        return (kernel_function){CP_FUNCTION_LOGISTIC, 0, 0, 1};
    case CP_TANH:
        return (kernel_function){CP_FUNCTION_TANH, 0, 0, 1};
    case CP_ELU:
        return (kernel_function){CP_FUNCTION_ELU, alpha, 1, 1};
    case CP_SELU:
        return (kernel_function){CP_FUNCTION_ELU, alpha, 1, beta};
    case CP_CELU:
        return (kernel_function){CP_FUNCTION_ELU, alpha, 1 / alpha, 1};
    case CP_GELU:
        return (kernel_function){CP_FUNCTION_GELU, 0, 0, 1};
    case CP_ERF:
        return (kernel_function){CP_FUNCTION_ERF, 0, 0, 1};
    case CP_GELU_TANH:
        return (kernel_function){CP_FUNCTION_GELU_TANH, 0, 0, 1};
    case CP_SILU:
        return (kernel_function){CP_FUNCTION_SILU, 0, 0, 1};
    case CP_MISH:
        return (kernel_function){CP_FUNCTION_MISH, 0, 0, 1};
    case CP_SOFTPLUS:
        return (kernel_function){CP_FUNCTION_SOFTPLUS, 0, 0, 1};
    case CP_EXP:
        return (kernel_function){CP_FUNCTION_EXP, 0, 0, 1};
    default:
        return (kernel_function){-1, 0, 0, 1};
    }
}

static void activation(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    int64_t first, last;
    if (!share(call, id, n, &first, &last)) return;
    const float *in = call->in[0], alpha = (float)call->problem->alpha, beta = (float)call->problem->beta;
    float *out = call->out[0];
    if (call->problem->activation == CP_RELU) {
        call->problem->kernels->relu(in + first, out + first, last - first);
        return;
    }
    const kernel_function known = function_of(call->problem);
    if (known.function >= 0) {
        cp_function_fn *run = call->problem->kernels->function[known.function];
        run(in + first, out + first, last - first, known.alpha, known.beta);
        for (int64_t e = first; e < last && known.factor != 1; e++) out[e] *= known.factor;
        return;
    }
    switch (call->problem->activation) { CP_ACTIVATION_FORMULAS(VALUES, float) }
}

/* --- slopes that need exp: what the kernels have of them goes into blocks, the rest are plain loops --- */

enum { BLOCK = 256 };

#define EACH(expression)                                                                                               \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        const float x = in[i], s = slope[i], t = other[i];                                                             \
        (void)x, (void)s, (void)t;                                                                                     \
        slope[i] = expression;                                                                                         \
    }
#define EACH_OTHER(expression)                                                                                         \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        const float x = in[i];                                                                                         \
        other[i] = expression;                                                                                         \
    }

static void function_block(const cp_problem *p, int which, const float *x, float *y, int64_t n) {
    p->kernels->function[which](x, y, n, 0, 0);
}

/* The slopes at n <= BLOCK numbers; false: by the formula. */
static bool slope_block(const cp_problem *p, const float *in, float *slope, int64_t n) {
    const float alpha = (float)p->alpha, beta = (float)p->beta;
    float other[BLOCK] = {0};
    switch (p->activation) {
    case CP_ELU:
    case CP_SELU:
    case CP_CELU: {
        const float by = p->activation == CP_CELU ? 1 / alpha : 1, below = p->activation == CP_CELU ? 1 : alpha,
                    factor = p->activation == CP_SELU ? beta : 1;
        EACH_OTHER(x < 0 ? x * by : 0)
        function_block(p, CP_FUNCTION_EXP, other, other, n);
        EACH(factor * (x < 0 ? below * t : 1))
        return true;
    }
    case CP_GELU: /* N + x*N', N the normal distribution, which is gelu(x)/x */
        function_block(p, CP_FUNCTION_GELU, in, slope, n);
        EACH_OTHER(-x * x / 2)
        function_block(p, CP_FUNCTION_EXP, other, other, n);
        EACH((fabsf(x) > 1e-30f ? s / x : 0.5f) + x * t * 0.39894228f)
        return true;
    case CP_GELU_TANH: /* s + x*s*(1-s)*u', s the logistic of u */
        EACH_OTHER(1.5957691f * (x + 0.044715f * x * x * x))
        function_block(p, CP_FUNCTION_LOGISTIC, other, slope, n);
        for (int64_t i = 0; i < n; i++) other[i] = -other[i];
        function_block(p, CP_FUNCTION_LOGISTIC, other, other, n);
        EACH(s + x * s * t * 1.5957691f * (1 + 0.134145f * x * x))
        return true;
    case CP_SILU:
        function_block(p, CP_FUNCTION_LOGISTIC, in, slope, n);
        EACH_OTHER(-x)
        function_block(p, CP_FUNCTION_LOGISTIC, other, other, n);
        EACH(s * (1 + x * t))
        return true;
    case CP_MISH: /* tanh(log(1+e)) = m/(m+2), m = e*(e+2), e = exp(x); its slope is 4*e*(e+1)/(m+2)^2 */
        EACH_OTHER(x > 20 ? 20 : x)
        function_block(p, CP_FUNCTION_EXP, other, other, n);
        EACH(x > 20 ? 1 : (t * (t + 2) + 4 * x * t * (t + 1) / (t * (t + 2) + 2)) / (t * (t + 2) + 2))
        return true;
    case CP_SOFTPLUS:
        function_block(p, CP_FUNCTION_LOGISTIC, in, slope, n);
        return true;
    case CP_EXP:
        function_block(p, CP_FUNCTION_EXP, in, slope, n);
        return true;
    default:
        return false;
    }
}

/* false: by the formula. */
static bool gradient_by_kernels(const cp_problem *p, const float *in, const float *dy, float *dx, int64_t n) {
    float slope[BLOCK] = {0};
    for (int64_t e = 0; e < n; e += BLOCK) {
        const int64_t count = n - e < BLOCK ? n - e : BLOCK;
        if (!slope_block(p, in + e, slope, count)) return false;
        for (int64_t i = 0; i < count; i++) dx[e + i] = dy[e + i] * slope[i];
    }
    return true;
}

/* in: the values or the arguments, whichever tell the slope */
static void activation_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    int64_t first, last;
    if (!share(call, id, n, &first, &last)) return;
    const float *in = call->in[0], *dy = call->in[1];
    const float alpha = (float)call->problem->alpha, beta = (float)call->problem->beta;
    float *dx = call->out[0];
    if (call->problem->activation == CP_RELU) {
        call->problem->kernels->relu_gradient(in + first, dy + first, dx + first, last - first);
        return;
    }
    if (gradient_by_kernels(call->problem, in + first, dy + first, dx + first, last - first)) return;
    switch (call->problem->activation) { CP_ACTIVATION_FORMULAS(SLOPES, float) }
}

/* The numbers of cp_random_uniform, four at a time. */
static void dropout(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    int64_t first, last;
    if (!share(call, id, n, &first, &last)) return;
    const cp_random_key key = {.seed = call->seed, .stream = call->problem->layer, .step = call->step};
    const float rate = call->problem->rate;
    const double kept = 1 - (double)rate;
    const float *x = call->in[0];
    float *y = call->out[0];
    for (int64_t e = first; e < last; e += 4) {
        uint32_t block[4];
        cp_random_block(&key, (uint32_t)(e / 4), block);
        for (int64_t i = 0; i < 4 && e + i < last; i++)
            y[e + i] = (float)(block[i] >> 8) * 0x1p-24f >= rate ? (float)(x[e + i] / kept) : 0;
    }
}

const cp_algo cp_algo_activation_vector = {.name = "vector", .refuse = refuse, .run = activation};
const cp_algo cp_algo_activation_gradient_vector = {.name = "vector", .refuse = refuse, .run = activation_gradient};
const cp_algo cp_algo_dropout_blocks = {.name = "blocks", .refuse = refuse, .run = dropout};
