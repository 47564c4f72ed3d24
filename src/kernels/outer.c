/* The micro-kernel of weight gradients, cp_outer: R input channels by V vectors of filters, summed over pixels. Which
 * blocks there are is for the file that includes this one. */

INLINE void outer(const cp_outer *o, const int R, const int V) {
    const int64_t a_step = o->a_step, b_step = o->b_step, c_step = o->c_step;
    float *const c = o->c;
    const int last = V - 1, tail = o->tail;
    vec sum[CP_MAX_ROWS][CP_MAX_VECTORS] = {{{0}}};
    if (o->flags & CP_ACCUMULATE) {
        UNROLL for (int i = 0; i < R; i++) {
            UNROLL for (int j = 0; j < last; j++) sum[i][j] = vec_load(c + i * c_step + j * CP_LANES);
            sum[i][last] = vec_load_some(c + i * c_step + last * CP_LANES, tail);
        }
    }

    for (int64_t y = 0; y < o->rows; y++) {
        const float *a = o->a + y * o->a_row, *b = o->b + y * o->b_row;
        for (int64_t p = 0; p < o->pixels; p++, a += a_step, b += b_step) {
            vec w[CP_MAX_VECTORS];
            UNROLL for (int j = 0; j < V; j++) w[j] = vec_load(b + j * CP_LANES);
            UNROLL for (int i = 0; i < R; i++) {
                const vec x = vec_all(a[i]);
                UNROLL for (int j = 0; j < V; j++) sum[i][j] = vec_multiply_add(x, w[j], sum[i][j]);
            }
        }
    }

    UNROLL for (int i = 0; i < R; i++) {
        UNROLL for (int j = 0; j < last; j++) vec_store(c + i * c_step + j * CP_LANES, sum[i][j]);
        vec_store_some(c + i * c_step + last * CP_LANES, sum[i][last], tail);
    }
}
