/* Steps of the optimizers: one pass over weights, gradients and moments. Moments of weights whose gradient stays zero
 * decay into denormal numbers, with which a processor may take a hundred times as long: meanwhile they count as zero.
 */

/* Does the step for each vector of n numbers, those from i to i + count, and for the rest. */
#define FOR_VECTORS(step)                                                                                              \
    do {                                                                                                               \
        const unsigned mode = denormals_flush();                                                                       \
        int64_t i = 0;                                                                                                 \
        for (; i + CP_LANES <= n; i += CP_LANES) {                                                                     \
            enum { count = CP_LANES };                                                                                 \
            step;                                                                                                      \
        }                                                                                                              \
        if (i < n) {                                                                                                   \
            const int count = vec_rest(n - i);                                                                         \
            step;                                                                                                      \
        }                                                                                                              \
        denormals_restore(mode);                                                                                       \
    } while (0)

INLINE vec scaled_gradient(const cp_adaptive *o, const float *g, vec weight, int count) {
    return vec_multiply_add(vec_all(o->g_scale), vec_load_some(g, count), o->decay * weight);
}

/* The weight after decay and a step, which is divided by the root of a mean or sum of squares. */
INLINE vec root_step(const cp_adaptive *o, vec weight, vec step, vec squares, vec scale) {
    weight = vec_multiply_add(vec_all(-o->shrink), weight, weight);
    return weight - o->rate * step / vec_multiply_add(scale, vec_sqrt(squares), vec_all(o->epsilon));
}

INLINE void adam_vector(const cp_adaptive *o, float *w, const float *g, float *m, float *v, int count) {
    vec weight = vec_load_some(w, count), first = vec_load_some(m, count), second = vec_load_some(v, count);
    vec gradient = scaled_gradient(o, g, weight, count);
    first = vec_multiply_add(vec_all(1 - o->beta1), gradient - first, first);
    second = vec_multiply_add(vec_all(1 - o->beta2), vec_multiply_add(gradient, gradient, -second), second);
    vec_store_some(m, first, count);
    vec_store_some(v, second, count);
    vec_store_some(w, root_step(o, weight, first, second, vec_all(o->v_scale)), count);
}

static void adam(const cp_adaptive *optimizer, float *w, const float *g, float *m, float *v, int64_t n) {
    const cp_adaptive o = *optimizer;
    FOR_VECTORS(adam_vector(&o, w + i, g + i, m + i, v + i, count));
}

INLINE void rmsprop_vector(const cp_adaptive *o, float *w, const float *g, float *v, int count) {
    vec weight = vec_load_some(w, count), mean = vec_load_some(v, count);
    vec gradient = scaled_gradient(o, g, weight, count);
    mean = vec_multiply_add(vec_all(1 - o->beta2), vec_multiply_add(gradient, gradient, -mean), mean);
    vec_store_some(v, mean, count);
    vec_store_some(w, root_step(o, weight, gradient, mean, vec_all(1)), count);
}

static void rmsprop(const cp_adaptive *optimizer, float *w, const float *g, float *v, int64_t n) {
    const cp_adaptive o = *optimizer;
    FOR_VECTORS(rmsprop_vector(&o, w + i, g + i, v + i, count));
}

INLINE void adagrad_vector(const cp_adaptive *o, float *w, const float *g, float *v, int count) {
    vec weight = vec_load_some(w, count), gradient = scaled_gradient(o, g, weight, count);
    vec sum = vec_multiply_add(gradient, gradient, vec_load_some(v, count));
    vec_store_some(v, sum, count);
    vec_store_some(w, root_step(o, weight, gradient, sum, vec_all(1)), count);
}

static void adagrad(const cp_adaptive *optimizer, float *w, const float *g, float *v, int64_t n) {
    const cp_adaptive o = *optimizer;
    FOR_VECTORS(adagrad_vector(&o, w + i, g + i, v + i, count));
}

INLINE void lion_vector(const cp_adaptive *o, float *w, const float *g, float *m, int count) {
    vec weight = vec_load_some(w, count), mean = vec_load_some(m, count), zero = vec_all(0);
    vec gradient = scaled_gradient(o, g, weight, count);
    vec ahead = vec_multiply_add(vec_all(1 - o->beta1), gradient - mean, mean);
    vec sign = vec_keep(vec_greater(ahead, zero), vec_all(1)) - vec_keep(vec_greater(zero, ahead), vec_all(1));
    vec_store_some(m, vec_multiply_add(vec_all(1 - o->beta2), gradient - mean, mean), count);
    weight = vec_multiply_add(vec_all(-o->shrink), weight, weight);
    vec_store_some(w, vec_multiply_add(vec_all(-o->rate), sign, weight), count);
}

static void lion(const cp_adaptive *optimizer, float *w, const float *g, float *m, int64_t n) {
    const cp_adaptive o = *optimizer;
    FOR_VECTORS(lion_vector(&o, w + i, g + i, m + i, count));
}

/* v is NULL without momentum. */
INLINE void sgd_vector(const cp_sgd *o, float *w, const float *g, float *v, int count) {
    vec weight = vec_load_some(w, count);
    vec gradient = vec_multiply_add(vec_all(o->g_scale), vec_load_some(g, count), o->decay * weight);
    if (v) {
        vec momentum = vec_all(o->momentum), velocity = vec_multiply_add(momentum, vec_load_some(v, count), gradient);
        vec_store_some(v, velocity, count);
        gradient = o->nesterov ? vec_multiply_add(momentum, velocity, gradient) : velocity;
    }
    vec_store_some(w, vec_multiply_add(vec_all(-o->rate), gradient, weight), count);
}

static void sgd(const cp_sgd *optimizer, float *w, const float *g, float *v, int64_t n) {
    const cp_sgd o = *optimizer;
    if (o.momentum == 0) v = NULL;
    FOR_VECTORS(sgd_vector(&o, w + i, g + i, v ? v + i : NULL, count));
}
