/* Every fast algorithm against the reference, on random problems, for each instruction set; and the gradients that each
 * operator names. */
#include "guard.h"
#include "samples_arrays.h"
#include "samples_windows.h"

/* --- samples of every operation --- */

enum { MOST_MULTIPLY_ADDS = 200000 };

/* Draws shapes and attributes for an operation; false: not possible, draw again. */
static bool draw_sample(sample *s, const cp_op *op) {
    *s = (sample){.op = op};
    bool possible = true;
    if (op == &cp_op_conv || op == &cp_op_conv_input_gradient || op == &cp_op_conv_weight_gradient) draw_conv(s);
    if (op == &cp_op_dense || op == &cp_op_dense_input_gradient || op == &cp_op_dense_weight_gradient) draw_dense(s);
    if (is_transposed(op)) draw_conv_transpose(s);
    if (op == &cp_op_conv_transpose_input_gradient) possible = turn_around(s, true);
    if (op == &cp_op_conv_transpose_weight_gradient) possible = turn_around(s, false);
    if (op == &cp_op_conv_input_gradient || op == &cp_op_dense_input_gradient) possible = turn_around(s, true);
    if (op == &cp_op_conv_weight_gradient || op == &cp_op_dense_weight_gradient) possible = turn_around(s, false);
    if (strncmp(op->name, "local-conv", 10) == 0) possible = draw_local(s);
    if (strncmp(op->name, "deform-conv", 11) == 0) possible = draw_deform(s);
    if (op == &cp_op_im2col || op == &cp_op_col2im) possible = draw_matrix(s);
    if (op == &cp_op_depth_to_space || op == &cp_op_space_to_depth) draw_shuffle(s);
    if (op->algos == cp_algos_sample || op->algos == cp_algos_sample_gradient) possible = draw_sampling(s);
    if (strstr(op->name, "pool")) draw_pool(s);
    if (op == &cp_op_max_pool || op == &cp_op_average_pool) draw_bytes(s);
    if (op == &cp_op_max_pool_gradient) possible = turn_pool_around(s, &cp_op_max_pool);
    if (op == &cp_op_average_pool_gradient) possible = turn_pool_around(s, &cp_op_average_pool);
    if (strncmp(op->name, "lp-", 3) == 0 || strncmp(op->name, "stochastic-", 11) == 0) possible = draw_weighted_pool(s);
    const bool spans =
        strncmp(op->name, "adaptive-", 9) == 0 || op == &cp_op_fractional_max_pool || op == &cp_op_position_gradient;
    if (op == &cp_op_max_pool_positions || strstr(op->name, "unpool")) {
        *s = (sample){.op = op};
        possible = draw_unpool(s);
    }
    if (spans) {
        *s = (sample){.op = op};
        possible = draw_span_pool(s);
    }
    if (is_regional(op)) {
        *s = (sample){.op = op};
        draw_roi(s);
    }
    if (op == &cp_op_bias_gradient) {
        s->inputs = 1;
        s->in[0] = (cp_shape){.rank = 2, .dim = {one_in(3) ? draw(200, 2000) : draw_batch(), draw_channels()}};
        s->chain = s->in[0].dim[0] + 1;
    }
    if (op->algos == cp_algos_activation || op->algos == cp_algos_softmax) draw_elements(s, 1);
    if (op->algos == cp_algos_activation_gradient) draw_elements(s, 2);
    if (op->algos == cp_algos_softmax_gradient) draw_elements(s, 2);
    if (op->algos == cp_algos_softmax || op->algos == cp_algos_softmax_gradient) s->attributes.behind = draw(0, 2);
    if (op->algos == cp_algos_binary || op->algos == cp_algos_binary_gradient) draw_binary(s);
    if (op == &cp_op_reduce || op == &cp_op_reduce_gradient) draw_reduce(s);
    if (strstr(op->name, "norm")) draw_norm(s);
    if (strstr(op->name, "lrn")) draw_lrn(s);
    if (op == &cp_op_concat || op == &cp_op_slice || op == &cp_op_slice_gradient) draw_pieces(s);
    if (op == &cp_op_transpose) draw_transpose(s);
    if (op == &cp_op_expand) draw_expand(s);
    if (strncmp(op->name, "gather", 6) == 0) draw_gather(s);
    if (op == &cp_op_cast) draw_cast(s);
    if (op->algos == cp_algos_relation || op == &cp_op_where) draw_choice(s);
    if (op == &cp_op_matmul) draw_matmul(s);
    if (op == &cp_op_quantize || op == &cp_op_dequantize || op == &cp_op_dynamic_quantize) draw_quantise(s);
    if (op->algos == cp_algos_arg || op == &cp_op_top_k || op == &cp_op_cumulative_sum) draw_order(s);
    if (op->algos == cp_algos_conv_integer) draw_integers(s);
    if (op == &cp_op_dropout) {
        draw_elements(s, 1);
        s->attributes.rate = (float)draw(0, 9) / 10;
        s->attributes.layer = (uint32_t)draw(0, 5);
    }
    if (op == &cp_op_softmax_cross_entropy || op == &cp_op_softmax_cross_entropy_gradient) draw_cross_entropy(s);
    if (op == &cp_op_focal || op == &cp_op_focal_gradient || op == &cp_op_hinge || op == &cp_op_hinge_gradient)
        draw_loss(s, true);
    if (op == &cp_op_huber || op == &cp_op_huber_gradient || op == &cp_op_binary_cross_entropy ||
        op == &cp_op_binary_cross_entropy_gradient)
        draw_loss(s, false);
    if (op == &cp_op_mean_squared_error || op == &cp_op_mean_squared_error_gradient) draw_loss(s, false);

    cp_problem problem;
    if (!possible || infer(s, NULL, CP_F32, &problem)) return false;
    int64_t most = 1;
    for (int i = 0; i < problem.inputs; i++) most = cp_shape_count(s->in[i]) > most ? cp_shape_count(s->in[i]) : most;
    most = cp_shape_count(problem.out[0]) > most ? cp_shape_count(problem.out[0]) : most;
    if (spans) most *= s->chain;
    if (strstr(op->name, "pool") && !strstr(op->name, "unpool") && !spans && !is_regional(op)) {
        s->chain = cp_window_taps(&problem.window);
        most *= s->chain;
    }
    return problem.multiply_adds <= MOST_MULTIPLY_ADDS && most <= MOST_MULTIPLY_ADDS;
}

/* --- what must come out --- */

/* How near an output must be: the same float; the same where all numbers are small integers, else within the bound of
 * sums; within the bound of sums; within the rounding of exp; the same for numbers that are not near 0, where products
 * and quotients of many stay finite. */
typedef enum nearness { SAME, SUMS, AVERAGES, CLOSE, FACTORS } nearness;

static nearness nearness_of(const cp_op *op) {
    if (op->algos == cp_algos_conv || op->algos == cp_algos_conv_input_gradient ||
        op->algos == cp_algos_conv_weight_gradient || strncmp(op->name, "dense", 5) == 0 ||
        op->algos == cp_algos_bias_gradient || op == &cp_op_add || strncmp(op->name, "local-conv", 10) == 0 ||
        op == &cp_op_max_pool_gradient || op == &cp_op_im2col || op == &cp_op_col2im || op == &cp_op_pad ||
        op == &cp_op_pad_gradient || op == &cp_op_stochastic_pool_gradient || op == &cp_op_position_gradient)
        return SUMS;
    if (is_regional(op)) return op == &cp_op_max_roi_pool ? SAME : FACTORS;
    if (op == &cp_op_resize || op == &cp_op_resize_gradient) return AVERAGES;
    if (op == &cp_op_depth_to_space || op == &cp_op_space_to_depth || op->algos == cp_algos_conv_integer) return SAME;
    if (op == &cp_op_average_pool || op == &cp_op_average_pool_gradient || op == &cp_op_adaptive_average_pool ||
        op == &cp_op_adaptive_average_pool_gradient)
        return AVERAGES;
    if (op->algos == cp_algos_span_max_pool || op == &cp_op_stochastic_pool) return SAME;
    if (op == &cp_op_max_pool_positions || strstr(op->name, "unpool")) return SAME;
    if (op == &cp_op_max_pool || op == &cp_op_relu || op == &cp_op_relu_gradient || op == &cp_op_dropout ||
        op == &cp_op_concat || op->algos == cp_algos_move || op->algos == cp_algos_move_gradient ||
        op->algos == cp_algos_gather || op->algos == cp_algos_gather_elements || op == &cp_op_cast ||
        op->algos == cp_algos_relation || op == &cp_op_where || op->algos == cp_algos_arg || op == &cp_op_top_k ||
        op == &cp_op_quantize || op == &cp_op_dequantize)
        return SAME;
    if (op == &cp_op_matmul || op == &cp_op_cumulative_sum || op->algos == cp_algos_gather_gradient ||
        op->algos == cp_algos_gather_elements_gradient)
        return SUMS;
    if (op->algos == cp_algos_binary || op->algos == cp_algos_binary_gradient || op->algos == cp_algos_reduce ||
        op->algos == cp_algos_reduce_gradient || strncmp(op->name, "deform-conv", 11) == 0 ||
        strstr(op->name, "norm") || strstr(op->name, "lrn"))
        return FACTORS;
    return CLOSE;
}

enum { SEED = 5, STEP = 7 };

/* The numbers of a sample, and the reference's answer in double. */
typedef struct expected {
    bool small_integers;
    bool bf16; /* inputs have no more than 8 bits */
    int outputs;
    double *in[CP_MAX_INPUTS];
    double *out[CP_MAX_OUTPUTS];
    double *sum; /* of the absolute products behind each number of output 0 */
    double largest, largest_sum;
    int64_t count[CP_MAX_OUTPUTS];
} expected;

static double *doubles(int64_t n) {
    double *memory = calloc((size_t)n + 1, sizeof *memory);
    if (!memory) abort();
    return memory;
}

/* Bytes are often the largest there are: what saturates on the way would show. Floats: scales of sums. */
static double draw_typed(cp_type type) {
    if (type == CP_I32) return (double)draw(-1000, 1000);
    if (type == CP_F32) return (float)(1.0 / (double)draw(20, 5000));
    const int64_t low = type == CP_U8 ? 0 : -128;
    return (double)(one_in(4) ? low : one_in(4) ? low + 255 : draw(low, low + 255));
}

static void fill_inputs(const sample *s, expected *e) {
    e->small_integers = one_in(2);
    e->bf16 = one_in(2);
    const double scale = nearness_of(s->op) == CLOSE && s->op->algos != cp_algos_activation_gradient ? 10 : 1;
    for (int i = 0; i < s->inputs; i++) {
        const int64_t count = s->in[i].rank < 0 ? 0 : cp_shape_count(s->in[i]);
        e->in[i] = doubles(count);
        for (int64_t k = 0; k < count; k++) {
            if (s->type[i] == CP_BOOL)
                e->in[i][k] = one_in(2);
            else if (s->op->algos == cp_algos_conv_integer)
                e->in[i][k] = draw_typed(s->type[i]);
            else if (s->type[i])
                e->in[i][k] = s->type[i] == CP_U8 ? (double)draw(0, 255) : (double)draw(-128, 127);
            else if (i == 1 && (s->op == &cp_op_quantize || s->op == &cp_op_dequantize))
                e->in[i][k] = ldexp(1, (int)draw(-7, 0)); /* quotients are exact */
            else if (s->integer[i])
                e->in[i][k] =
                    (double)(draw(0, s->below - 1) - (strstr(s->op->name, "gather") && one_in(4) ? s->below : 0));
            else if (nearness_of(s->op) == FACTORS) {
                e->in[i][k] = (float)(0.5 + (double)bits() / (1u << 31));
                const bool positive = !strncmp(s->op->name, "pow", 3) || (s->op == &cp_op_batch_norm && i == 4);
                if (one_in(2) && !positive) e->in[i][k] = -e->in[i][k];
            } else if (e->small_integers && scale == 1)
                e->in[i][k] = (double)draw(-4, 4);
            else if (e->bf16 && scale == 1)
                e->in[i][k] = (double)draw(-128, 128) / 128;
            else
                e->in[i][k] = (float)(scale * ((double)bits() / (1u << 31) - 1));
        }
    }
    if (is_regional(s->op)) fill_regions(s, e->in);
    const bool knows_special =
        s->op == &cp_op_max_pool || s->op->algos == cp_algos_span_max_pool || s->op == &cp_op_relu;
    if (!knows_special || s->type[0]) return;
    static const double special[] = {NAN, INFINITY, -INFINITY, -0.0};
    for (int64_t k = 0; k < cp_shape_count(s->in[0]); k++)
        if (one_in(30)) e->in[0][k] = special[draw(0, 3)];
}

/* Memory of one tensor with these values. */
static void *place(guard *g, cp_type type, cp_shape shape, const double *values) {
    void *memory = guard_bytes(g, cp_shape_count(shape) * cp_type_size(type), cp_type_size(type));
    const cp_tensor view = cp_view(memory, type, shape);
    for (int64_t k = 0; k < cp_shape_count(shape); k++) cp_put(&view, k, values[k]);
    return memory;
}

static void read_outputs(const cp_call *call, double **out) {
    for (int i = 0; i < call->problem->outputs; i++) {
        const cp_tensor view = cp_call_out(call, i);
        const int64_t count = cp_shape_count(view.shape);
        out[i] = doubles(count);
        for (int64_t k = 0; k < count && view.data; k++) out[i][k] = cp_get(&view, k);
    }
}

static const cp_algo *reference_of(const cp_op *op) {
    const cp_algo *const *algo = op->algos;
    while (algo[1]) algo++;
    assert_string_equal((*algo)->name, "reference");
    return *algo;
}

/* Runs the reference in double on the inputs, or on their absolute values. */
static void run_reference(const sample *s, const expected *e, bool absolute, cp_problem *problem, double **out) {
    guard g = {.at_end = true};
    assert_int_equal(infer(s, NULL, CP_F64, problem), CP_OK);
    cp_call call = {.problem = problem, .seed = SEED, .step = STEP};
    for (int i = 0; i < s->inputs; i++) {
        if (s->in[i].rank < 0) continue;
        const int64_t count = cp_shape_count(s->in[i]);
        double *values = doubles(count);
        for (int64_t k = 0; k < count; k++) values[k] = absolute && !s->integer[i] ? fabs(e->in[i][k]) : e->in[i][k];
        call.in[i] = place(&g, problem->in_type[i], s->in[i], values);
        free(values);
    }
    for (int i = 0; i < problem->outputs; i++)
        call.out[i] = guard_bytes(&g, cp_shape_count(problem->out[i]) * cp_type_size(problem->out_type[i]), 8);
    reference_of(s->op)->run(&call, 0, 0, 1);
    read_outputs(&call, out);
    guard_free(&g);
}

static expected expect(const sample *s) {
    expected e = {0};
    double *sums[CP_MAX_OUTPUTS] = {0};
    cp_problem problem;
    fill_inputs(s, &e);
    run_reference(s, &e, false, &problem, e.out);
    e.outputs = problem.outputs;
    for (int i = 0; i < e.outputs; i++) e.count[i] = cp_shape_count(problem.out[i]);
    for (int64_t k = 0; k < e.count[0]; k++) e.largest = fmax(e.largest, fabs(e.out[0][k]));
    if (nearness_of(s->op) == SUMS || nearness_of(s->op) == AVERAGES) {
        run_reference(s, &e, true, &problem, sums);
        e.sum = sums[0];
        for (int64_t k = 0; k < e.count[0]; k++) e.largest_sum = fmax(e.largest_sum, e.sum[k]);
    }
    return e;
}

static void forget(expected *e) {
    for (int i = 0; i < CP_MAX_INPUTS; i++) free(e->in[i]);
    for (int i = 0; i < CP_MAX_OUTPUTS; i++) free(e->out[i]);
    free(e->sum);
}

/* How many numbers of an input stand behind each of output 0, where they are added up. */
static double added(const sample *s, const expected *e) {
    int64_t most = 0;
    for (int i = 0; i < s->inputs; i++) most = cp_shape_count(s->in[i]) > most ? cp_shape_count(s->in[i]) : most;
    return e->count[0] ? (double)most / (double)e->count[0] : 0;
}

/* The algorithms whose errors are others than those of a sum: Winograd's, where rounding errors of a tile reach all its
 * outputs. c: in units of the last place of the sum of absolute products; exact: small integers stay such. */
typedef struct rounding {
    const char *algo;
    double c;
    bool exact;
} rounding;

static const rounding *rounding_of(const cp_algo *algo) {
    static const rounding known[] = {{"winograd-2x2-3x3", 8, true},
                                     {"winograd-4x4-3x3", 64, false},
                                     {"winograd-2x2-5x5", 64, false},
                                     {"winograd-4-3", 64, false}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].algo, algo->name) == 0) return &known[i];
    return NULL;
}

/* How far output `i`, number k may be from the reference. */
static double bound(const sample *s, const expected *e, const cp_algo *algo, int i, int64_t k) {
    const double u = 0x1p-24;
    if ((i > 0 && s->op == &cp_op_max_pool) || (s->type[0] && strstr(s->op->name, "pool"))) return 0;
    if (s->op == &cp_op_dynamic_quantize && i != 1) return 1; /* where the scale's last bit decides */
    /* Each factor is rounded to 8 bits, unless it has no more. */
    const double narrow = strcmp(algo->name, "bf16") == 0 && !e->bf16 && !e->small_integers ? 0x1.02p-7 * e->sum[k] : 0;
    const rounding *r = rounding_of(algo);
    if (r && e->small_integers && r->exact) return 0;
    if (r) return (r->c + 2 * sqrt((double)s->chain)) * u * e->largest_sum + 0x1p-149;
    switch (nearness_of(s->op)) {
    case SAME:
        return 0;
    case SUMS:
        if (e->small_integers) return 0;
        return (4 + 2 * sqrt((double)s->chain)) * u * e->sum[k] + 0x1p-149 + narrow;
    case AVERAGES: /* a cubic kernel has weights below 0, at most 8 in all along three axes */
        if (s->attributes.resize.interpolation == CP_INTERPOLATE_CUBIC)
            return (4 + 2 * sqrt((double)s->chain)) * u * 8 * fmax(e->largest, 4);
        return (4 + 2 * sqrt((double)s->chain)) * u * e->sum[k] + 0x1p-149;
    case FACTORS:
        return 1e-6 * fabs(e->out[i][k]) + 1e-6 * e->largest + 2 * u * added(s, e);
    case CLOSE:
        /* what decays like exp(-x*x/2) multiplies the rounding of x by x*x, up to a hundred here */
        return (s->op->algos == cp_algos_activation || s->op->algos == cp_algos_activation_gradient ? 1e-5 : 1e-6) *
                   fabs(e->out[i][k]) +
               (i == 0 ? 1e-7 * e->largest : 1e-7);
    }
    return 0;
}

static bool near(const sample *s, const expected *e, const cp_algo *algo, int i, int64_t k, double got) {
    const double wanted = e->out[i][k], allowed = bound(s, e, algo, i, k);
    if (isnan(wanted)) return isnan(got);
    if (isinf(wanted)) return got == wanted;
    if (s->op->algos == cp_algos_conv_integer) return got == wanted;
    return allowed == 0 ? got == (float)wanted : fabs(got - wanted) <= allowed;
}

/* --- the algorithms --- */

typedef struct level {
    cp_isa isa;
    const cp_kernels *kernels;
} level;

enum { MOST_LEVELS = CP_ISA_AVX512BF16 };
static int levels(level found[MOST_LEVELS]) {
    int n = 0;
    for (cp_isa isa = CP_ISA_PORTABLE; cp_cpu_can(isa); isa++) found[n++] = (level){isa, cp_kernels_of(isa)};
    return n;
}

/* How often each algorithm was reached at each level. */
static struct {
    const cp_algo *algo;
    const cp_kernels *kernels;
    int count;
} reached[1024];

static int *count_of(const cp_algo *algo, const cp_kernels *kernels) {
    size_t i = 0;
    while (reached[i].algo && (reached[i].algo != algo || reached[i].kernels != kernels)) i++;
    reached[i].algo = algo;
    reached[i].kernels = kernels;
    return &reached[i].count;
}

/* All phases, each by n shares in an order that no caller should rely on. */
static void run_shares(const cp_algo *algo, const cp_call *call, int n) {
    const int phases = call->prepared->phases ? call->prepared->phases : 1;
    for (int phase = 0; phase < phases; phase++)
        for (int id = n - 1; id >= 0; id--) algo->run(call, phase, id, n);
}

static void poison(void *memory, int64_t bytes) {
    memset(memory, 0xff, (size_t)bytes);
}

static bool gives_weights(const cp_op *op) {
    return op->algos == cp_algos_conv_weight_gradient || op->algos == cp_algos_dense_weight_gradient;
}

/* Weights that lie in the order of their shape, brought into panels. */
static void *place_panels(guard *g, const cp_problem *problem, const float *weights) {
    const cp_panels panels = cp_weight_panels(problem);
    float *packed = guard_bytes(g, cp_panels_floats(&panels) * 4, CP_ALIGN);
    for (int id = 0; id < 2; id++) cp_panels_pack(&panels, problem->kernels, weights, packed, id, 2);
    return packed;
}

/* Runs an algorithm with one and with three shares, everything that it writes to poisoned before: the same bits, near
 * what was expected. in_panels: the weights, or their gradient, lie in panels; `unused`: an output that nobody reads,
 * or -1. */
static void check_algorithm(const sample *s, const expected *e, const cp_algo *algo, const cp_kernels *kernels,
                            bool in_panels, int unused) {
    guard g = {.at_end = one_in(2)};
    cp_problem problem;
    cp_prepared prepared = {0};
    assert_int_equal(infer(s, kernels, CP_F32, &problem), CP_OK);
    if (unused >= 0) problem.out_used[unused] = false;
    problem.weights_in_panels = in_panels;
    if (algo->prepare) assert_int_equal(algo->prepare(&problem, &prepared), CP_OK);

    cp_call call = {.problem = &problem, .prepared = &prepared, .seed = SEED, .step = STEP};
    for (int i = 0; i < s->inputs; i++)
        if (s->in[i].rank >= 0) call.in[i] = place(&g, problem.in_type[i], s->in[i], e->in[i]);
    if (in_panels && !gives_weights(s->op)) call.in[1] = place_panels(&g, &problem, call.in[1]);
    if (prepared.packed) {
        void *packed = guard_bytes(&g, prepared.packed, CP_ALIGN);
        call.out[0] = packed;
        for (int id = 0; id < 3; id++) algo->pack(&call, id, 3);
        call.in[1] = packed;
    }
    const int64_t scratch = cp_scratch_bytes(&prepared, 3);
    if (scratch) call.scratch = guard_bytes(&g, scratch, CP_ALIGN);
    void *first[CP_MAX_OUTPUTS] = {0}, *second[CP_MAX_OUTPUTS] = {0};
    int64_t bytes[CP_MAX_OUTPUTS] = {0};
    for (int i = 0; i < problem.outputs; i++) {
        if (i == unused) continue;
        const int64_t size = cp_type_size(problem.out_type[i]);
        const cp_panels panels = in_panels ? cp_weight_panels(&problem) : (cp_panels){0};
        const bool packed = in_panels && gives_weights(s->op);
        bytes[i] = (packed ? cp_panels_floats(&panels) : cp_shape_count(problem.out[i])) * size;
        first[i] = guard_bytes(&g, bytes[i], packed ? CP_ALIGN : size);
        second[i] = guard_bytes(&g, bytes[i], packed ? CP_ALIGN : size);
    }

    memcpy(call.out, second, sizeof call.out);
    run_shares(algo, &call, 3);
    if (scratch) poison(call.scratch, scratch);
    memcpy(call.out, first, sizeof call.out);
    run_shares(algo, &call, 1);

    if (in_panels && gives_weights(s->op)) {
        const cp_panels panels = cp_weight_panels(&problem);
        call.out[0] = guard_floats(&g, e->count[0]);
        cp_panels_unpack(&panels, first[0], call.out[0]);
    }
    double *got[CP_MAX_OUTPUTS] = {0};
    read_outputs(&call, got);
    for (int i = 0; i < problem.outputs; i++) {
        if (i == unused) continue;
        for (int64_t k = 0; k < e->count[i]; k++) {
            if (near(s, e, algo, i, k, got[i][k])) continue;
            print_sample(s);
            fail_msg("%s on %s: output %d[%lld] is %.9g, reference %.9g, may differ by %.3g", algo->name, kernels->name,
                     i, (long long)k, got[i][k], e->out[i][k], bound(s, e, algo, i, k));
        }
        if (bytes[i] && memcmp(first[i], second[i], (size_t)bytes[i])) {
            print_sample(s);
            fail_msg("%s on %s: output %d depends on the number of shares", algo->name, kernels->name, i);
        }
    }
    for (int i = 0; i < problem.outputs; i++) free(got[i]);
    cp_free(NULL, prepared.state);
    guard_free(&g);
    ++*count_of(algo, kernels);
}

static bool refuses(const cp_algo *algo, const cp_problem *problem) {
    return algo->refuse && algo->refuse(problem);
}

/* What a level lacks for an algorithm. */
static bool cannot(const cp_algo *algo, const cp_kernels *kernels) {
    if (!kernels->byte_tile && algo == &cp_algo_conv_integer_bytes) return true;
    if (!kernels->bf16 && strcmp(algo->name, "bf16") == 0) return true;
    return !kernels->grouped && (algo == &cp_algo_grouped || algo == &cp_algo_grouped_input_gradient);
}

/* An algorithm of the operation that was not checked often at some level, and that level; false: there is none. */
static bool neglected(const cp_op *op, const cp_algo **which, const cp_kernels **where) {
    level found[MOST_LEVELS];
    const int n = levels(found);
    for (const cp_algo *const *algo = op->algos; algo && *algo; algo++)
        for (int l = 0; l < n; l++) {
            *which = *algo;
            *where = found[l].kernels;
            if (*count_of(*algo, *where) < 20 && !cannot(*algo, *where)) return true;
        }
    return false;
}

/* So many samples at least, and more until every algorithm has seen some. */
static void check_op(const cp_op *op, int samples) {
    level found[MOST_LEVELS];
    const int n = levels(found);
    const cp_algo *rare;
    const cp_kernels *where;
    for (int i = 0; i < samples || (i < 10 * samples && neglected(op, &rare, &where)); i++) {
        sample s;
        while (!draw_sample(&s, op)) continue;
        expected e = expect(&s);
        const int unused = s.type[0] && e.outputs > 1 ? 1 : e.outputs > 1 && one_in(3) ? (int)draw(0, 1) : -1;
        for (int l = 0; l < n; l++) {
            cp_problem problem;
            assert_int_equal(infer(&s, found[l].kernels, CP_F32, &problem), CP_OK);
            if (unused >= 0) problem.out_used[unused] = false;
            for (const cp_algo *const *algo = op->algos; *algo; algo++) {
                if (refuses(*algo, &problem)) continue;
                check_algorithm(&s, &e, *algo, found[l].kernels, false, unused);
                if ((*algo)->panels) check_algorithm(&s, &e, *algo, found[l].kernels, true, unused);
            }
        }
        forget(&e);
    }
}

/* Each operation that computes something; convolution has the most cases. */
static void test_algorithms_agree_with_the_reference(void **state) {
    (void)state;
    for (int i = 0; cp_op_at(i); i++) {
        const cp_op *op = cp_op_at(i);
        if (op->algos) check_op(op, strncmp(op->name, "conv", 4) == 0 ? 120 : 80);
    }
}

static void test_every_algorithm_was_reached_at_every_level(void **state) {
    (void)state;
    for (int i = 0; cp_op_at(i); i++) {
        const cp_algo *algo;
        const cp_kernels *kernels;
        if (neglected(cp_op_at(i), &algo, &kernels))
            fail_msg("%s of %s at %s: reached %d times", algo->name, cp_op_at(i)->name, kernels->name,
                     *count_of(algo, kernels));
    }
}

/* --- the choice --- */

static void test_the_reference_is_chosen_only_where_all_others_refuse(void **state) {
    (void)state;
    for (int i = 0; cp_op_at(i); i++) {
        const cp_op *op = cp_op_at(i);
        if (!op->algos) continue;
        sample s;
        cp_problem problem;
        while (!draw_sample(&s, op)) continue;
        const cp_algo *chosen = NULL;
        for (cp_type type = CP_F64;; type = CP_F32) {
            assert_int_equal(infer(&s, &cp_kernels_portable, type, &problem), CP_OK);
            chosen = cp_choose(op->name, op->algos, &problem);
            assert_false(refuses(chosen, &problem));
            if (chosen == reference_of(op))
                for (const cp_algo *const *other = op->algos; *other != chosen; other++)
                    assert_true(refuses(*other, &problem));
            if (type == CP_F32) break;
        }
        setenv("CONVPOOL_ALGORITHM", "reference", 1);
        assert_ptr_equal(cp_choose(op->name, op->algos, &problem), reference_of(op));
        setenv("CONVPOOL_ALGORITHM", "no such algorithm", 1);
        assert_ptr_equal(cp_choose(op->name, op->algos, &problem), chosen);
        unsetenv("CONVPOOL_ALGORITHM");
    }
}

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = { __VA_ARGS__ }                             \
    }

/* --- gradients: each node that a backward function adds must itself be possible, and fit its input --- */

enum { MOST_VALUES = 32 };

typedef struct toy_net {
    int values; /* value 0 is none */
    cp_shape shape[MOST_VALUES];
    cp_type type[MOST_VALUES];
    char nodes[256]; /* names of what was added */
} toy_net;

static cp_node toy_value(toy_net *net, cp_shape shape, cp_type type) {
    assert_true(net->values + 1 < MOST_VALUES);
    net->shape[++net->values] = shape;
    net->type[net->values] = type;
    return net->values;
}

static cp_node toy_node(void *user, const char *name, const cp_attributes *attributes, const cp_node *in, int inputs) {
    toy_net *net = user;
    const cp_op *op = cp_op_find(name);
    assert_non_null(op);
    assert_in_range(inputs, op->min_inputs, op->max_inputs);
    cp_problem problem = {.type = CP_F32, .training = true, .inputs = inputs};
    for (int i = 0; i < inputs; i++) {
        problem.in[i] = net->shape[in[i]];
        problem.in_type[i] = net->type[in[i]];
    }
    if (op->infer(&problem, attributes)) fail_msg("%s: %s", name, cp_error());
    assert_int_equal(problem.outputs, op->outputs);
    cp_words_add(net->nodes, sizeof net->nodes, "%s", name);
    const cp_node first = toy_value(net, problem.out[0], problem.out_type[0]);
    for (int i = 1; i < problem.outputs; i++) toy_value(net, problem.out[i], problem.out_type[i]);
    return first;
}

static cp_shape toy_shape(void *user, cp_node value) {
    const toy_net *net = user;
    return net->shape[value];
}

/* Puts a sample into a net, calls its backward function for all inputs that are floats, gives the names of the nodes.
 */
static void go_back(const sample *s, toy_net *net) {
    cp_node in[CP_MAX_INPUTS] = {0}, out[CP_MAX_OUTPUTS] = {0}, dout[CP_MAX_OUTPUTS] = {0};
    bool wanted[CP_MAX_INPUTS] = {0};
    cp_problem problem;
    *net = (toy_net){0};
    assert_int_equal(infer(s, NULL, CP_F32, &problem), CP_OK);
    for (int i = 0; i < s->inputs; i++) {
        if (s->in[i].rank < 0) continue;
        in[i] = toy_value(net, s->in[i], problem.in_type[i]);
        wanted[i] = !s->integer[i] && s->type[i] != CP_BOOL;
    }
    for (int i = 0; i < problem.outputs; i++) out[i] = toy_value(net, problem.out[i], problem.out_type[i]);
    dout[0] = toy_value(net, problem.out[0], CP_F32);
    cp_backward b = {.attributes = &s->attributes,
                     .in = in,
                     .out = out,
                     .dout = dout,
                     .wanted = wanted,
                     .net = net,
                     .node = toy_node,
                     .shape = toy_shape};
    s->op->backward(&b);
    for (int i = 0; i < s->inputs; i++) {
        if (!b.din[i]) continue;
        assert_true(wanted[i]);
        assert_int_equal(net->type[b.din[i]], CP_F32);
        if (cp_shape_same(net->shape[b.din[i]], s->in[i])) continue;
        print_sample(s);
        fail_msg("the gradient by input %d has another shape", i);
    }
    assert_int_not_equal(b.din[wanted[0] ? 0 : 1], 0);
}

static void test_gradients_fit_their_inputs(void **state) {
    (void)state;
    for (int i = 0; cp_op_at(i); i++) {
        const cp_op *op = cp_op_at(i);
        if (!op->backward || !op->algos) continue;
        for (int k = 0; k < 100; k++) {
            sample s;
            toy_net net;
            while (!draw_sample(&s, op)) continue;
            go_back(&s, &net);
        }
    }
    const sample flat = {.op = &cp_op_flatten, .inputs = 1, .in = {SHAPE(2, 3, 4, 5)}};
    toy_net net;
    go_back(&flat, &net);
    assert_string_equal(net.nodes, "reshape");
}

static void test_the_gradient_of_a_layer_begins_with_its_activation(void **state) {
    (void)state;
    sample s = {.op = &cp_op_conv, .inputs = 3, .in = {SHAPE(1, 5, 5, 2), SHAPE(3, 3, 2, 4), SHAPE(4)}};
    toy_net net;
    go_back(&s, &net);
    assert_string_equal(net.nodes, "conv-input-gradient conv-weight-gradient bias-gradient");
    s.attributes.conv.activation = CP_RELU;
    go_back(&s, &net);
    assert_string_equal(net.nodes, "relu-gradient conv-input-gradient conv-weight-gradient bias-gradient");
    s = (sample){.op = &cp_op_dense, .inputs = 2, .in = {SHAPE(2, 3), SHAPE(3, 4)}, .attributes.activation = CP_RELU};
    go_back(&s, &net);
    assert_string_equal(net.nodes, "relu-gradient dense-input-gradient dense-weight-gradient");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_algorithms_agree_with_the_reference),
        cmocka_unit_test(test_every_algorithm_was_reached_at_every_level),
        cmocka_unit_test(test_the_reference_is_chosen_only_where_all_others_refuse),
        cmocka_unit_test(test_gradients_fit_their_inputs),
        cmocka_unit_test(test_the_gradient_of_a_layer_begins_with_its_activation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
