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
