/* Convolution with few filters, as in a last layer, or the input gradient of a first one: vectors of channels instead
 * of filters, a row of outputs at a time. The gradient is the convolution of dy with the taps turned around. */
#include "plan/algos.h"

enum { MOST_FILTERS = 4 };

/* The convolution that is computed: what is read and written has so many channels, and its first tap reads so far
 * before. */
typedef struct side {
    int64_t read, written, height_read, width_read, height, width, top, left;
} side;

static side side_of(const cp_problem *p, bool gradient) {
    const cp_axis *y = &p->window.axis[1], *x = &p->window.axis[2];
    if (gradient)
        return (side){p->filters,
                      p->channels,
                      y->out,
                      x->out,
                      y->in,
                      x->in,
                      y->kernel - 1 - y->before,
                      x->kernel - 1 - x->before};
    return (side){p->channels, p->filters, y->in, x->in, y->out, x->out, y->before, x->before};
}

static const char *refuse_side(const cp_problem *p, bool gradient) {
    const side s = side_of(p, gradient);
    if (p->type != CP_F32) return "needs f32";
    if (p->window.values != CP_PAD_CONSTANT) return "needs padding of zeros";
    if (p->groups != 1) return "needs one group";
    if (s.written > MOST_FILTERS) return "needs 4 filters or fewer";
    if (s.read % p->kernels->lanes) return "needs whole vectors of channels";
    for (int i = 0; i < CP_MAX_AXES; i++)
        if (p->window.axis[i].stride != 1 || p->window.axis[i].dilation != 1) return "needs stride and dilation 1";
    return p->window.axis[0].kernel > 1 || p->window.axis[0].before || p->window.axis[0].in != p->window.axis[0].out
               ? "needs a kernel of depth 1"
               : NULL;
}
static const char *refuse(const cp_problem *p) {
    return refuse_side(p, false);
}
static const char *refuse_gradient(const cp_problem *p) {
    return refuse_side(p, true);
}

/* The sums across vectors cost as much as some channels more. */
static double cost_side(const cp_problem *p, bool gradient) {
    const side s = side_of(p, gradient);
    const double taps = (double)(cp_window_taps(&p->window) * s.read), across = 4.0 * p->kernels->lanes;
    return (double)p->multiply_adds * 1.25 * (taps + across) / taps;
}
static double cost(const cp_problem *p) {
    return cost_side(p, false);
}
static double cost_gradient(const cp_problem *p) {
    return cost_side(p, true);
}

static cp_status prepare(const cp_problem *p, cp_prepared *prepared) {
    prepared->packed = cp_window_taps(&p->window) * p->channels * p->filters * (int64_t)sizeof(float);
    return CP_OK;
}

/* packed[row of taps][vector][column][filter][lane] */
static void pack_side(const cp_call *call, bool gradient, int id, int n) {
    const cp_problem *p = call->problem;
    const side s = side_of(p, gradient);
    const int64_t rows = p->window.axis[1].kernel, columns = p->window.axis[2].kernel, lanes = p->kernels->lanes,
                  vectors = s.read / lanes;
    const float *from = call->in[1];
    int64_t first, last;
    cp_share(rows * vectors, id, n, &first, &last);
    float *to = (float *)call->out[0] + first * columns * s.written * lanes;
    for (int64_t u = first; u < last; u++)
        for (int64_t t = 0; t < columns; t++)
            for (int64_t k = 0; k < s.written; k++)
                for (int64_t c = u % vectors * lanes; c < (u % vectors + 1) * lanes; c++) {
                    const int64_t tap = u / vectors * columns + t;
                    *to++ = gradient ? from[((rows * columns - 1 - tap) * p->channels + k) * p->filters + c]
                                     : from[(tap * p->channels + c) * p->filters + k];
                }
}
static void pack(const cp_call *call, int id, int n) {
    pack_side(call, false, id, n);
}
static void pack_gradient(const cp_call *call, int id, int n) {
    pack_side(call, true, id, n);
}

static void run_side(const cp_call *call, bool gradient, int id, int n) {
    const cp_problem *p = call->problem;
    const side s = side_of(p, gradient);
    const int64_t taps = p->window.axis[1].kernel, columns = p->window.axis[2].kernel;
    cp_few_filters job = {.x_row = s.width_read * s.read,
                          .x_step = s.read,
                          .first_column = s.left > 0 ? s.left : 0,
                          .last_column = s.width_read + s.left,
                          .bias = call->in[2],
                          .pixels = s.width,
                          .columns = columns,
                          .channels = s.read,
                          .filters = (int)s.written,
                          .flags = p->relu ? CP_APPLY_RELU : 0};
    int64_t first, last;
    cp_share(p->batch * p->window.axis[0].out * s.height, id, n, &first, &last);
    for (int64_t u = first; u < last; u++) {
        const int64_t image = u / s.height, begin = u % s.height - s.top, skipped = begin < 0 ? -begin : 0,
                      end = begin + taps < s.height_read ? taps : s.height_read - begin;
        job.rows = end > skipped ? end - skipped : 0;
        job.x =
            (const float *)call->in[0] + ((image * s.height_read + begin + skipped) * s.width_read - s.left) * s.read;
        job.w = (const float *)call->in[1] + skipped * columns * s.read * s.written;
        job.y = (float *)call->out[0] + u * s.width * s.written;
        p->kernels->few_filters(&job);
    }
}
static void run(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    run_side(call, false, id, n);
}
static void run_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    run_side(call, true, id, n);
}

const cp_algo cp_algo_few_filters = {
    .name = "few-filters", .refuse = refuse, .cost = cost, .prepare = prepare, .pack = pack, .run = run};
const cp_algo cp_algo_few_filters_input_gradient = {.name = "few-filters",
                                                    .refuse = refuse_gradient,
                                                    .cost = cost_gradient,
                                                    .prepare = prepare,
                                                    .pack = pack_gradient,
                                                    .run = run_gradient};
