/* Steps of the optimizers: one pass over weights, gradients and moments. */

INLINE void adam_vector(const cp_adam *o, float *w, const float *g, float *m, float *v, int count) {
    vec weight = vec_load_some(w, count), first = vec_load_some(m, count), second = vec_load_some(v, count);
    vec gradient = vec_multiply_add(vec_all(o->g_scale), vec_load_some(g, count), o->decay * weight);
    first = vec_multiply_add(vec_all(1 - o->beta1), gradient - first, first);
    second = vec_multiply_add(vec_all(1 - o->beta2), vec_multiply_add(gradient, gradient, -second), second);
    weight -= o->rate * first / vec_multiply_add(vec_all(o->v_scale), vec_sqrt(second), vec_all(o->epsilon));
    vec_store_some(m, first, count);
    vec_store_some(v, second, count);
    vec_store_some(w, weight, count);
}

static void adam(const cp_adam *optimizer, float *w, const float *g, float *m, float *v, int64_t n) {
    const cp_adam o = *optimizer;
    int64_t i = 0;
    for (; i + CP_LANES <= n; i += CP_LANES) adam_vector(&o, w + i, g + i, m + i, v + i, CP_LANES);
    if (i < n) adam_vector(&o, w + i, g + i, m + i, v + i, vec_rest(n - i));
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
    int64_t i = 0;
    for (; i + CP_LANES <= n; i += CP_LANES) sgd_vector(&o, w + i, g + i, v ? v + i : NULL, CP_LANES);
    if (i < n) sgd_vector(&o, w + i, g + i, v ? v + i : NULL, vec_rest(n - i));
}
