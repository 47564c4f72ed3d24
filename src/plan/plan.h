/* From a problem to an algorithm: one operation with all its sizes known, the table of algorithms, the choice. */
#ifndef CP_PLAN_H
#define CP_PLAN_H

#include "kernels/kernels.h"
#include "ref/ref.h"

#define CP_MAX_INPUTS 8
#define CP_MAX_OUTPUTS 4

/* --- context.c --- */

struct cp_ctx {
    cp_allocator allocator;
    bool own_allocator;  /* the caller gave one */
    cp_threads *threads; /* NULL: one */
    const cp_kernels *kernels;
    cp_math math;
    int64_t max_memory; /* 0: no limit */
};
/* The table of a level. */
const cp_kernels *cp_kernels_of(cp_isa isa);
/* What a NULL context means: one thread, the level that CONVPOOL_ISA or the CPU says. */
cp_status cp_ctx_default(cp_ctx *ctx);
const cp_allocator *cp_ctx_allocator(const cp_ctx *ctx); /* NULL: the C library's */

/* --- what is to be computed --- */

/* Where a part lies in dense memory: elements from its beginning, and steps along the axes of the part. */
typedef struct cp_move {
    int64_t first, step[CP_MAX_RANK];
} cp_move;
/* The view of the part. */
cp_tensor cp_moved(const cp_move *move, cp_tensor whole, cp_shape part);

/* One operation. Tensors are dense in the order of their shapes; a missing input has rank -1. Every sliding window has
 * its geometry here: x [batch,space,channels], y [batch,space',filters], weights [taps,channels/groups,filters], also
 * for the gradients, where window speaks of the forward convolution. A dense layer is a convolution with one tap. */
typedef struct cp_problem {
    const cp_kernels *kernels;
    cp_type type; /* of the floats */
    cp_math math;
    int inputs, outputs;
    cp_shape in[CP_MAX_INPUTS], out[CP_MAX_OUTPUTS];
    cp_type in_type[CP_MAX_INPUTS], out_type[CP_MAX_OUTPUTS];
    bool out_used[CP_MAX_OUTPUTS]; /* somebody reads it; else its pointer is NULL */
    cp_window window;
    int64_t batch, channels, filters, groups;
    int64_t offset_groups;             /* of a deformable convolution */
    cp_sampling sampling[CP_MAX_AXES]; /* of padding and resizing */
    float constant;                    /* what stands in the padding */
    cp_roi roi;
    int64_t block; /* of depth-to-space and space-to-depth */
    cp_depth_order depth_order;
    bool relu;              /* applied to the output */
    cp_divisor divisor;     /* of an average */
    int64_t divide_by;      /* of CP_DIVISOR_NUMBER */
    double exponent;        /* of Lp pooling */
    cp_spans spans;         /* of windows of varying size; batch, channels and filters are set as with a window */
    bool weights_in_panels; /* the weights (or their gradient) are stored as panels.c says, not in the order of their
                               shape */
    bool training;
    float rate; /* of dropout */
    cp_activation activation;
    double alpha, beta;       /* of an activation, none left to be the usual; alpha: the parameter of a loss */
    cp_loss loss;             /* of cp_ref_loss */
    double epsilon, momentum; /* of a normalisation */
    bool moments_fixed;
    cp_lrn lrn;
    cp_binary binary; /* of two tensors; second: the gradient by the second */
    bool second;
    cp_relation relation;
    cp_reduction reduction;
    uint32_t axes;           /* of a reduction: bit d for axis d */
    int axis;                /* of pieces, and of what goes along one */
    bool logarithm;          /* of a softmax */
    bool last, smallest;     /* of equal numbers the last; the smallest instead of the largest */
    bool exclusive, reverse; /* of a cumulative sum */
    cp_move move; /* of what moves elements: where in the input those of the output lie; in a gradient the other way */
    uint32_t layer;        /* of what draws: its stream of random numbers */
    int64_t multiply_adds; /* padded taps counted */
} cp_problem;

static inline bool cp_has_input(const cp_problem *p, int i) {
    return i < p->inputs && p->in[i].rank >= 0;
}

/* --- how: an algorithm, one const per file, listed in algos.c --- */

/* What `prepare` works out once per plan. */
typedef struct cp_prepared {
    void *state;              /* one block of cp_alloc(NULL, ..), or NULL; freed by the plan */
    int64_t scratch;          /* bytes that a run needs, aligned to CP_ALIGN */
    int64_t scratch_of_share; /* the same for each share, a multiple of CP_ALIGN; see cp_share_scratch */
    int64_t packed;           /* bytes of the packed weights; 0: the algorithm reads them as they are */
    int phases;               /* 0 means 1 */
} cp_prepared;

/* A number in an input that an operation cannot take, found while it ran: element and value, which must be 0 ..
 * limit - 1. */
typedef struct cp_fault {
    bool set;
    int64_t element, value, limit;
} cp_fault;

/* What a run is given. in[i], out[i]: NULL where missing or unused. Where weights were packed, in[1] are the packed
 * ones. */
typedef struct cp_call {
    const cp_problem *problem;
    const cp_prepared *prepared;
    const void *in[CP_MAX_INPUTS];
    void *out[CP_MAX_OUTPUTS];
    const cp_tensor *lent; /* for pack: the weights where they lie, in any order; in[1] is NULL then */
    void *scratch;
    uint64_t seed, step; /* of the random numbers */
    cp_fault *fault;     /* written by share 0 alone; NULL: nobody asks */
} cp_call;

typedef struct cp_algo {
    const char *name;
    /* Why this algorithm cannot solve the problem ("needs f32"), or NULL. */
    const char *(*refuse)(const cp_problem *problem);
    /* An estimate to compare algorithms by: multiply-adds that would take as long. NULL: 0. */
    double (*cost)(const cp_problem *problem);
    /* The multiply-adds that it does. NULL: those of the definition. */
    int64_t (*products)(const cp_problem *problem);
    cp_status (*prepare)(const cp_problem *problem,
                         cp_prepared *prepared); /* NULL: nothing to prepare. threads count unknown */
    /* Share id of n of one phase; phases follow one another, shares of one run at once. The result must not depend on
     * n. */
    void (*run)(const cp_call *call, int phase, int id, int n);
    /* Brings the weights in[1] (in panels where problem says so) into the form that run wants, at out[0]. */
    void (*pack)(const cp_call *call, int id, int n);
    /* Whether weights_in_panels may be set; whether pack can read call->lent. */
    bool panels, packs_lent;
    int packs_with; /* another input that pack reads, where it is there; 0: none */
} cp_algo;

/* --- algos.c: the tables, the reference last in each --- */

extern const cp_algo *const cp_algos_conv[], *const cp_algos_conv_input_gradient[],
                                                 *const cp_algos_conv_weight_gradient[];
extern const cp_algo *const cp_algos_dense[], *const cp_algos_dense_input_gradient[],
                                                  *const cp_algos_dense_weight_gradient[]; /* as conv's */
extern const cp_algo *const cp_algos_conv_integer[];
extern const cp_algo *const cp_algos_local_conv[], *const cp_algos_local_conv_input_gradient[],
                                                       *const cp_algos_local_conv_weight_gradient[]; /* as conv's */
extern const cp_algo *const cp_algos_deform_conv[], *const cp_algos_deform_conv_input_gradient[];
extern const cp_algo *const cp_algos_deform_conv_weight_gradient[], *const cp_algos_deform_conv_offset_gradient[];
extern const cp_algo *const cp_algos_im2col[], *const cp_algos_col2im[];
extern const cp_algo *const cp_algos_depth_to_space[], *const cp_algos_space_to_depth[];
extern const cp_algo *const cp_algos_sample[], *const cp_algos_sample_gradient[]; /* padding and resizing */
extern const cp_algo *const cp_algos_max_pool[], *const cp_algos_max_pool_gradient[];
extern const cp_algo *const cp_algos_average_pool[], *const cp_algos_average_pool_gradient[];
extern const cp_algo *const cp_algos_lp_pool[], *const cp_algos_lp_pool_gradient[];
extern const cp_algo *const cp_algos_stochastic_pool[], *const cp_algos_stochastic_pool_gradient[];
extern const cp_algo *const cp_algos_max_pool_positions[], *const cp_algos_max_unpool[];
extern const cp_algo *const cp_algos_max_unpool_gradient[];
extern const cp_algo *const cp_algos_span_max_pool[], *const cp_algos_adaptive_average_pool[];
extern const cp_algo *const cp_algos_adaptive_average_pool_gradient[], *const cp_algos_position_gradient[];
extern const cp_algo *const cp_algos_max_roi_pool[], *const cp_algos_max_roi_pool_gradient[];
extern const cp_algo *const cp_algos_roi_align[], *const cp_algos_roi_align_gradient[];
extern const cp_algo *const cp_algos_activation[], *const cp_algos_activation_gradient[];
extern const cp_algo *const cp_algos_bias_gradient[], *const cp_algos_dropout[];
extern const cp_algo *const cp_algos_binary[], *const cp_algos_binary_gradient[];
extern const cp_algo *const cp_algos_reduce[], *const cp_algos_reduce_gradient[];
extern const cp_algo *const cp_algos_norm[], *const cp_algos_norm_input_gradient[];
extern const cp_algo *const cp_algos_norm_scale_gradient[], *const cp_algos_lrn[], *const cp_algos_lrn_gradient[];
extern const cp_algo *const cp_algos_concat[], *const cp_algos_move[], *const cp_algos_move_gradient[];
extern const cp_algo *const cp_algos_gather[], *const cp_algos_gather_gradient[];
extern const cp_algo *const cp_algos_gather_elements[], *const cp_algos_gather_elements_gradient[];
extern const cp_algo *const cp_algos_cast[], *const cp_algos_relation[], *const cp_algos_where[];
extern const cp_algo *const cp_algos_matmul[], *const cp_algos_arg[], *const cp_algos_top_k[];
extern const cp_algo *const cp_algos_cumulative_sum[];
extern const cp_algo *const cp_algos_quantize[], *const cp_algos_dequantize[], *const cp_algos_dynamic_quantize[];
extern const cp_algo *const cp_algos_softmax[], *const cp_algos_softmax_gradient[];
extern const cp_algo *const cp_algos_softmax_cross_entropy[], *const cp_algos_softmax_cross_entropy_gradient[];
extern const cp_algo *const cp_algos_mean_squared_error[], *const cp_algos_mean_squared_error_gradient[];
extern const cp_algo *const cp_algos_loss[], *const cp_algos_loss_gradient[]; /* the other losses */

/* Inputs and outputs of each, in this order:
 *   conv x w [b] -> y                        conv_input_gradient dy w -> dx        conv_weight_gradient dy x -> dw
 *   deform_conv x w offset [b] [mask] -> y
 *   deform_conv_input_gradient dy w offset [mask] -> dx
 *   deform_conv_weight_gradient dy x offset [mask] -> dw
 *   deform_conv_offset_gradient dy w x offset [mask] -> doffset dmask
 *   (dense the same)                         bias_gradient dy -> db                binary a b -> y
 *   conv_integer x w [b x_zero w_zero scale y_zero] -> y
 *   max_pool x -> y index                    max_pool_gradient dy index -> dx
 *   average_pool x -> y                      average_pool_gradient dy -> dx
 *   binary_gradient a b dy -> da             reduce x -> y                         reduce_gradient x y dy -> dx
 *   norm x scale bias [mean variance] -> y moments [next_mean next_variance]
 *   norm_input_gradient x scale dy moments -> dx    norm_scale_gradient x dy moments -> dscale
 *   lrn x -> y                               lrn_gradient x dy -> dx
 *   concat x.. -> y                          move x -> y                           move_gradient dy -> dx
 *   gather[_elements] x indices -> y         gather[_elements]_gradient dy indices -> dx
 *   cast x -> y                              relation a b -> truth                 where condition a b -> y
 *   matmul a b -> y                          arg x -> indices                      top_k x -> y indices
 *   cumulative_sum x -> y                    [de]quantize x scale [zero] -> y      dynamic_quantize x -> y scale zero
 *   lp_pool x -> y                           lp_pool_gradient x y dy -> dx
 *   stochastic_pool x -> y index             stochastic_pool_gradient dy index x -> dx
 *   span_max_pool x -> y position            position_gradient dy position -> dx
 *   max_roi_pool x rois -> y position        max_roi_pool_gradient dy position rois x -> dx
 *   roi_align x rois -> y                    roi_align_gradient dy rois x -> dx
 *   max_pool_positions index -> position     max_unpool x position -> y
 *   max_unpool_gradient dy position -> dx
 *   adaptive_average_pool x -> y             adaptive_average_pool_gradient dy -> dx
 *   activation x -> y                        activation_gradient y|x dy -> dx
 *   softmax x -> y                           softmax_gradient y dy -> dx
 *   dropout x -> y (of the gradient, too)
 *   softmax_cross_entropy x labels [weights] -> loss p
 *   softmax_cross_entropy_gradient p labels dloss [weights] -> dx
 *   mean_squared_error y target -> loss      mean_squared_error_gradient y target dloss -> dy
 *   loss x target -> loss                    loss_gradient x target dloss -> dx */

/* --- planner.c --- */

/* The cheapest of the algorithms that do not refuse, the earlier of equals. CONVPOOL_ALGORITHM names one that is taken
 * wherever it does not refuse; CONVPOOL_VERBOSE=1 prints to standard error what was chosen and refused, and why. */
const cp_algo *cp_choose(const char *op, const cp_algo *const *algos, const cp_problem *problem);
/* A tensor of the problem as a view of the memory that a call was given. */
cp_tensor cp_call_in(const cp_call *call, int i);
cp_tensor cp_call_out(const cp_call *call, int i);
/* The memory of one share: behind what all share. */
static inline void *cp_share_scratch(const cp_call *call, int id) {
    const cp_prepared *p = call->prepared;
    return (char *)call->scratch + cp_round_up(p->scratch, CP_ALIGN) + id * p->scratch_of_share;
}
/* Bytes of scratch for runs by at most n shares. */
static inline int64_t cp_scratch_bytes(const cp_prepared *p, int n) {
    return p->scratch_of_share ? cp_round_up(p->scratch, CP_ALIGN) + n * p->scratch_of_share : p->scratch;
}
/* Share id of n of `count` things: [*first, *last). */
static inline void cp_share(int64_t count, int id, int n, int64_t *first, int64_t *last) {
    *first = count / n * id + count % n * id / n;
    *last = count / n * (id + 1) + count % n * (id + 1) / n;
}

/* --- panels.c: weights as the tile reads them ---
 *
 * The matrix [rows][columns] of each group is cut into panels of vectors*lanes columns (the last one narrower, a
 * multiple of lanes, padded with zeros): [group][panel][row][column]. rows: taps * channels of a group; columns:
 * filters of a group. */

typedef struct cp_panels {
    int64_t groups, rows, columns; /* of one group */
    int64_t width, count;          /* of a full panel; panels of a group */
    int lanes;
} cp_panels;
cp_panels cp_panels_of(const cp_kernels *kernels, int64_t groups, int64_t rows, int64_t columns);
/* The panels of a problem's weights as parameters are stored: rows taps * channels/groups, columns filters/groups. */
cp_panels cp_weight_panels(const cp_problem *problem);
int64_t cp_panels_floats(const cp_panels *panels);
/* Where panel i of a group begins (in floats), its width, and how many of its columns are no padding. */
int64_t cp_panel_offset(const cp_panels *panels, int64_t group, int64_t i);
int64_t cp_panel_width(const cp_panels *panels, int64_t i);
int64_t cp_panel_columns(const cp_panels *panels, int64_t i);
/* Between [rows][groups*columns] without gaps and panels: share id of n. */
void cp_panels_pack(const cp_panels *panels, const cp_kernels *kernels, const float *plain, float *packed, int id,
                    int n);
/* The same from a tensor in any order: its last axis has the columns, the others together the rows. */
void cp_panels_pack_lent(const cp_panels *panels, const cp_tensor *plain, float *packed, int id, int n);
void cp_panels_unpack(const cp_panels *panels, const float *packed, float *plain);

/* --- rows.c: tensors that are walked through together with broadcasting --- */

enum { CP_ROWS_INPUTS = 3 };
/* The elements of the result as rows: sizes and the inputs' steps of the axes, the last one within a row. */
typedef struct cp_rows {
    int axes, inputs;
    int64_t size[CP_MAX_RANK], step[CP_ROWS_INPUTS][CP_MAX_RANK];
} cp_rows;
cp_rows cp_rows_of(const cp_shape *in, int inputs, cp_shape y);
int64_t cp_rows_count(const cp_rows *r);
/* Where in the inputs element e of the result lies; returns how many follow it in its row, itself counted, at most up
 * to element `last`. */
int64_t cp_rows_at(const cp_rows *r, int64_t e, int64_t last, int64_t at[CP_ROWS_INPUTS]);
/* The step within a row: 1, or 0 where an input stays. */
static inline int64_t cp_rows_step(const cp_rows *r, int input) {
    return r->step[input][r->axes - 1];
}

/* --- weight_gradient.c --- */

/* The sum of partial[part*floats + i], parts >= 2 of them, in their order: share id of n. */
void cp_add_parts(const cp_kernels *kernels, const float *partial, int64_t parts, int64_t floats, float *sum, int id,
                  int n);

/* --- axes.c: reductions --- */

/* Axes of dense memory, the innermost first. */
typedef struct cp_strided {
    int axes;
    int64_t size[CP_MAX_RANK], stride[CP_MAX_RANK];
} cp_strided;
typedef struct cp_reduced {
    cp_strided kept, reduced;
    int64_t outputs, parts; /* how many; of each output */
    int64_t columns;        /* outputs side by side: 1 where the parts are */
} cp_reduced;
cp_reduced cp_reduced_of(cp_shape x, uint32_t axes);
void cp_reduce_share(const cp_kernels *kernels, const cp_reduced *r, cp_reduction f, const float *x, float *y, int id,
                     int n);

/* --- segments.c: sliding windows where every channel is on its own, cut into rows that meet the same taps --- */

/* Along one axis: the positions first + k*step, k < count, are written. Position k meets tap + t*tap_step, t < taps, at
 * read + k*advance + t*distance of what is read. */
typedef struct cp_segment {
    int64_t first, step, count;
    int64_t read, advance;
    int64_t taps, distance, tap, tap_step;
} cp_segment;

enum {
    CP_GRADIENT = 1, /* dx is written and dy read, else y and x */
    CP_DIVIDED = 2,  /* of an average: the divisors of what is met are the same along a segment, too; */
    CP_PADDED = 4,   /* padded taps count */
};

typedef struct cp_segments {
    int64_t count[CP_MAX_AXES];
    const cp_segment *axis[CP_MAX_AXES];
    const int64_t *at[CP_MAX_AXES];                  /* the segment of each position that is written */
    int64_t writes[CP_MAX_AXES], reads[CP_MAX_AXES]; /* positions */
    int64_t channels; /* that are written: the problem's, unless the maker of the segments says otherwise */
    int64_t slab;     /* blocks of channels that are done for a whole image before the next ones */
} cp_segments;

typedef struct cp_segments_size {
    int64_t segments[CP_MAX_AXES], taps[CP_MAX_AXES]; /* how many; of all together */
    int64_t bytes;
} cp_segments_size;
/* Whether the axes are so short that all their positions may be gone through while planning. */
bool cp_segments_possible(const cp_window *window);
cp_segments_size cp_segments_measure(const cp_window *window, int flags);
/* memory: as many bytes as were measured. */
void cp_segments_make(cp_segments *s, const cp_problem *problem, int flags, void *memory);

/* Channels are divided among shares in blocks, which do not change results: their number, and the channels of some. */
int64_t cp_channel_blocks(int64_t channels);
void cp_channel_range(int64_t channels, int64_t first_block, int64_t last_block, int64_t *first, int64_t *count);

/* What one call of a kernel computes: the positions of one segment in each axis, of one row of one image. */
typedef struct cp_stretch {
    const cp_segment *axis[CP_MAX_AXES];
    int64_t number; /* of this combination of segments: row-major over the axes */
    int64_t write,
        read; /* pixels from the tensors' beginnings: the first position; what it meets through its first taps */
    int64_t channel, channels;
} cp_stretch;
typedef void cp_stretch_fn(void *user, const cp_stretch *stretch);
/* Share id of n of all that is written. */
void cp_segments_walk(const cp_segments *s, const cp_problem *problem, int id, int n, cp_stretch_fn *each, void *user);

#endif
