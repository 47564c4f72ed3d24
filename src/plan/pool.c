/* Maximum and average pooling by rows of windows that meet the same taps, and their gradients gathered by rows of
 * inputs that the same taps lead to: nothing is cleared first, nothing added to memory, every element written once. */
#include "plan/algos.h"

/* Of all combinations of segments: what must be kept of each is their lists of taps. */
enum { MOST_COMBINATIONS = 1 << 20, MOST_TAPS = 1 << 22 };

typedef struct pool {
    cp_segments segments;
    int64_t *list;   /* of combination n: the taps list[n] .. list[n + 1] - 1 */
    int64_t *offset; /* floats from what the first taps meet */
    float *factor;   /* of an average: what is met is multiplied by it */
    uint8_t *id;
} pool;

/* --- prepared once: the lists of taps --- */

typedef struct lists_size {
    int64_t combinations, taps;
    bool possible;
} lists_size;

static lists_size measure_lists(const cp_segments_size *size) {
    lists_size lists = {.combinations = 1, .taps = 1, .possible = true};
    for (int i = 0; i < CP_MAX_AXES; i++) {
        lists.possible = lists.possible && cp_mul(lists.combinations, size->segments[i], &lists.combinations) &&
                         cp_mul(lists.taps, size->taps[i], &lists.taps);
    }
    lists.possible = lists.possible && lists.combinations <= MOST_COMBINATIONS && lists.taps <= MOST_TAPS;
    return lists;
}

/* Position and tap along one axis, flat: behind those of the axes before. */
static int64_t flat(int64_t before, int64_t size, int64_t position) {
    return before * size + position;
}

typedef struct maker {
    pool *pool;
    const cp_problem *problem;
    int flags;
    int64_t taps; /* so far */
} maker;

/* What an average is multiplied by: of the window that is written, or, backward, of the one that is read. */
static float factor_of(const maker *m, int64_t write, int64_t read) {
    const int64_t divisor = cp_window_divisor(&m->problem->window, m->flags & CP_GRADIENT ? read : write,
                                              m->problem->divisor, m->problem->divide_by);
    return divisor ? 1 / (float)divisor : 0;
}

/* The taps of one combination in ascending order, as the reference takes them. */
static void list_taps(maker *m, const cp_segment *const axis[CP_MAX_AXES]) {
    const cp_segment *z = axis[0], *y = axis[1], *x = axis[2];
    const int64_t *reads = m->pool->segments.reads, *writes = m->pool->segments.writes;
    const cp_axis *a = m->problem->window.axis;
    const int64_t write = flat(flat(z->first, writes[1], y->first), writes[2], x->first);
    for (int64_t i = 0; i < z->taps; i++)
        for (int64_t j = 0; j < y->taps; j++)
            for (int64_t k = 0; k < x->taps; k++) {
                const int64_t plane = i * z->distance, row = flat(plane, reads[1], j * y->distance);
                const int64_t tap = flat(flat(z->tap + i * z->tap_step, a[1].kernel, y->tap + j * y->tap_step),
                                         a[2].kernel, x->tap + k * x->tap_step);
                const int64_t offset = flat(row, reads[2], k * x->distance);
                const int64_t read = flat(flat(z->read, reads[1], y->read), reads[2], x->read) + offset;
                m->pool->offset[m->taps] = offset * m->problem->channels;
                m->pool->id[m->taps] = (uint8_t)tap;
                if (m->flags & CP_DIVIDED) m->pool->factor[m->taps] = factor_of(m, write, read);
                m->taps++;
            }
}

static void make_lists(maker *m) {
    const cp_segments *s = &m->pool->segments;
    int64_t n = 0;
    for (int64_t z = 0; z < s->count[0]; z++)
        for (int64_t y = 0; y < s->count[1]; y++)
            for (int64_t x = 0; x < s->count[2]; x++) {
                m->pool->list[n++] = m->taps;
                list_taps(m, (const cp_segment *[]){&s->axis[0][z], &s->axis[1][y], &s->axis[2][x]});
            }
    m->pool->list[n] = m->taps;
}

static cp_status prepare(const cp_problem *p, cp_prepared *prepared, int flags) {
    const cp_segments_size size = cp_segments_measure(&p->window, flags);
    const lists_size lists = measure_lists(&size);
    const int64_t segments_at = cp_round_up(sizeof(pool), CP_ALIGN), list_at = segments_at + size.bytes;
    const int64_t offset_at = list_at + (lists.combinations + 1) * (int64_t)sizeof(int64_t);
    const int64_t factor_at = offset_at + lists.taps * (int64_t)sizeof(int64_t);
    const int64_t id_at = factor_at + lists.taps * (int64_t)sizeof(float);
    char *memory = cp_alloc(NULL, id_at + lists.taps);
    if (!memory) return CP_E_MEMORY;
    pool *to = (pool *)memory;
    *to = (pool){.list = (int64_t *)(memory + list_at),
                 .offset = (int64_t *)(memory + offset_at),
                 .factor = (float *)(memory + factor_at),
                 .id = (uint8_t *)memory + id_at};
    cp_segments_make(&to->segments, p, flags, memory + segments_at);
    make_lists(&(maker){.pool = to, .problem = p, .flags = flags});
    prepared->state = memory;
    return CP_OK;
}

static int average_flags(const cp_problem *p) {
    return CP_DIVIDED | (p->divisor == CP_DIVISOR_PADDED ? CP_PADDED : 0);
}

static cp_status prepare_max(const cp_problem *p, cp_prepared *prepared) {
    return prepare(p, prepared, 0);
}
static cp_status prepare_average(const cp_problem *p, cp_prepared *prepared) {
    return prepare(p, prepared, average_flags(p));
}
static cp_status prepare_max_gradient(const cp_problem *p, cp_prepared *prepared) {
    return prepare(p, prepared, CP_GRADIENT);
}
static cp_status prepare_average_gradient(const cp_problem *p, cp_prepared *prepared) {
    return prepare(p, prepared, CP_GRADIENT | average_flags(p));
}

/* --- forward --- */

/* The row of windows that a stretch is, without the tensors. */
static cp_pool_row row_of(const cp_call *call, const cp_stretch *s) {
    const pool *lists = call->prepared->state;
    const int64_t channels = call->problem->channels, list = lists->list[s->number];
    return (cp_pool_row){.x = (const float *)call->in[0] + s->read * channels + s->channel,
                         .x_step = s->axis[2]->advance * channels,
                         .offset = lists->offset + list,
                         .id = lists->id + list,
                         .taps = lists->list[s->number + 1] - list,
                         .y_step = channels,
                         .pixels = s->axis[2]->count,
                         .channels = s->channels};
}

static void max_stretch(void *user, const cp_stretch *s) {
    const cp_call *call = user;
    const int64_t at = s->write * call->problem->channels + s->channel;
    cp_pool_row row = row_of(call, s);
    if (call->out[0]) row.y = (float *)call->out[0] + at;
    if (call->out[1]) row.index = (uint8_t *)call->out[1] + at;
    call->problem->kernels->max_pool(&row);
}

static void average_stretch(void *user, const cp_stretch *s) {
    const cp_call *call = user;
    const pool *lists = call->prepared->state;
    cp_pool_row row = row_of(call, s);
    row.y = (float *)call->out[0] + s->write * call->problem->channels + s->channel;
    if (row.taps) {
        row.factor = lists->factor[lists->list[s->number]];
        call->problem->kernels->average_pool(&row);
    } else { /* a window that sees nothing */
        for (int64_t i = 0; i < row.pixels; i++)
            for (int64_t c = 0; c < row.channels; c++) row.y[i * row.y_step + c] = 0;
    }
}

/* --- backward --- */

/* The row of inputs that a stretch is, without the index. */
static cp_pool_gather gather_of(const cp_call *call, const cp_stretch *s) {
    const pool *lists = call->prepared->state;
    const int64_t channels = call->problem->channels, list = lists->list[s->number];
    return (cp_pool_gather){.dy = (const float *)call->in[0] + s->read * channels + s->channel,
                            .dy_step = s->axis[2]->advance * channels,
                            .offset = lists->offset + list,
                            .id = lists->id + list,
                            .factor = lists->factor + list,
                            .taps = lists->list[s->number + 1] - list,
                            .dx = (float *)call->out[0] + s->write * channels + s->channel,
                            .dx_step = s->axis[2]->step * channels,
                            .pixels = s->axis[2]->count,
                            .channels = s->channels};
}

static void max_gradient_stretch(void *user, const cp_stretch *s) {
    const cp_call *call = user;
    cp_pool_gather gather = gather_of(call, s);
    gather.index = (const uint8_t *)call->in[1] + s->read * call->problem->channels + s->channel;
    call->problem->kernels->max_pool_gather(&gather);
}

static void average_gradient_stretch(void *user, const cp_stretch *s) {
    const cp_call *call = user;
    cp_pool_gather gather = gather_of(call, s);
    call->problem->kernels->average_pool_gather(&gather);
}

/* --- the algorithms --- */

static void walk(const cp_call *call, int id, int n, cp_stretch_fn *each) {
    const pool *lists = call->prepared->state;
    cp_segments_walk(&lists->segments, call->problem, id, n, each, (void *)call);
}

static void run_max(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, id, n, max_stretch);
}
static void run_average(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, id, n, average_stretch);
}
static void run_max_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, id, n, max_gradient_stretch);
}
static void run_average_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    walk(call, id, n, average_gradient_stretch);
}

static const char *refuse(const cp_problem *p, int flags) {
    if (p->type != CP_F32 || p->in_type[0] != CP_F32) return "needs f32";
    if (!cp_segments_possible(&p->window)) return "too long an axis";
    const cp_segments_size size = cp_segments_measure(&p->window, flags);
    return measure_lists(&size).possible ? NULL : "too many different windows";
}

static const char *refuse_max(const cp_problem *p) {
    if (p->out_used[1] && p->out_type[1] != CP_U8) return "needs at most 256 taps to note the index";
    return refuse(p, 0);
}
static const char *refuse_average(const cp_problem *p) {
    return refuse(p, average_flags(p));
}
static const char *refuse_max_gradient(const cp_problem *p) {
    return p->in_type[1] != CP_U8 ? "needs at most 256 taps" : refuse(p, CP_GRADIENT);
}
static const char *refuse_average_gradient(const cp_problem *p) {
    return refuse(p, CP_GRADIENT | average_flags(p));
}

const cp_algo cp_algo_max_pool_rows = {.name = "rows", .refuse = refuse_max, .prepare = prepare_max, .run = run_max};
const cp_algo cp_algo_average_pool_rows = {
    .name = "rows", .refuse = refuse_average, .prepare = prepare_average, .run = run_average};
const cp_algo cp_algo_max_pool_gather = {
    .name = "gather", .refuse = refuse_max_gradient, .prepare = prepare_max_gradient, .run = run_max_gradient};
const cp_algo cp_algo_average_pool_gather = {.name = "gather",
                                             .refuse = refuse_average_gradient,
                                             .prepare = prepare_average_gradient,
                                             .run = run_average_gradient};
