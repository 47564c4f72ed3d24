/* Shapes, views, copies, and the window rule of convolution and pooling. */
#ifndef CP_TENSOR_H
#define CP_TENSOR_H

#include "base/base.h"

/* --- shape.c --- */

const char *cp_type_name(cp_type type); /* "f32" */
bool cp_is_real(cp_type type);          /* F32, F64 */
bool cp_is_integer(cp_type type);       /* I32, I64, U8, I8 */
bool cp_shape_same(cp_shape a, cp_shape b);
/* Fills in the strides of a tensor without gaps in the order of its shape. */
void cp_dense_strides(cp_shape shape, int64_t stride[CP_MAX_RANK]);
/* Whether the elements lie in the order of the shape without gaps (axes of size 1 may have any stride). */
bool cp_is_dense(const cp_tensor *tensor);
/* Rank 0..CP_MAX_RANK, dimensions >= 0, the bytes of it fit int64; what: "input", for the text. */
cp_status cp_check_shape(cp_shape shape, cp_type type, const char *what);
/* As cp_check_shape, and the type is `type`, the strides' bytes fit int64; the data pointer is not looked at. */
cp_status cp_check_view(const cp_tensor *tensor, cp_type type, const char *what);
/* As cp_check_view, and the data pointer is there where there are elements. */
cp_status cp_check_tensor(const cp_tensor *tensor, cp_type type, const char *what);
/* One element as a double, or from a double, at an offset in elements. Any type. */
double cp_get(const cp_tensor *tensor, int64_t offset);
void cp_put(const cp_tensor *tensor, int64_t offset, double value);
/* The same exactly, of integers and BOOL; what does not fit into the type loses its upper bits. */
int64_t cp_get_integer(const cp_tensor *tensor, int64_t offset);
void cp_put_integer(const cp_tensor *tensor, int64_t offset, int64_t value);
/* The number that an integer type, or BOOL, has for x: fractions are cut off, what is outside becomes the nearest there
 * is, NaN 0; of BOOL whether x is not 0. */
int64_t cp_cut(double x, cp_type type);
/* The offset of a flat position, row-major over the `axes` axes from `first` on. */
int64_t cp_offset(const cp_tensor *tensor, int first, int axes, int64_t flat);

/* --- half.c: CP_F16 and CP_BF16 --- */

bool cp_is_half(cp_type type);
/* Exactly; and back, rounded to the nearest, of two to the even one. A NaN stays one. type: of the half. */
double cp_half_to_double(uint16_t half, cp_type type);
uint16_t cp_half_from_double(double value, cp_type type);

/* --- copy.c --- */

/* cp_tensor_copy for tensors known to be alike: share id of n. */
void cp_copy_share(const cp_tensor *to, const cp_tensor *from, int id, int n);

/* --- sampling.c: where padding and resizing take each position of an axis from --- */

typedef struct cp_sampling {
    int64_t in, out;
    int64_t before; /* of a padding */
    cp_pad_values values;
    bool resizes;
    cp_interpolation interpolation;
    cp_coordinates coordinates;
    cp_rounding rounding;
    float scale; /* 0: out / in, which is more exact */
    bool antialias, exclude_outside;
    double cubic, begin, end;
} cp_sampling;

/* The positions first .. first + count - 1 of the input that one of the output is the weighted sum of; none in constant
 * padding. at: where it lies in the input, total: what the weights are divided by. */
typedef struct cp_sample {
    int64_t first, count;
    double at, total;
} cp_sample;
cp_sample cp_sampling_at(const cp_sampling *s, int64_t o);
/* The weight of position i of a sample. */
double cp_sample_weight(const cp_sampling *s, const cp_sample *sample, int64_t i);

/* The position inside 0..in-1 whose value position i has; -1 where that is a constant. */
static inline int64_t cp_pad_at(cp_pad_values values, int64_t i, int64_t in) {
    if (0 <= i && i < in) return i;
    switch (values) {
    case CP_PAD_CONSTANT:
        break;
    case CP_PAD_REFLECT:
        return i < 0 ? -i : 2 * (in - 1) - i;
    case CP_PAD_REPLICATE:
        return i < 0 ? 0 : in - 1;
    case CP_PAD_CIRCULAR:
        return i < 0 ? i + in : i - in;
    }
    return -1;
}
/* The values are a kind, and the input has as many as the padding of axis d wants. */
cp_status cp_check_pad_values(cp_pad_values values, int64_t in, int64_t before, int64_t after, int d);
/* From a descriptor and x [N,space,C] to the sampling of CP_MAX_AXES axes, the missing ones in front, and to y. */
cp_status cp_padding_sampling(cp_sampling sampling[CP_MAX_AXES], const cp_padding *padding, cp_shape x, cp_shape *y);
cp_status cp_resize_sampling(cp_sampling sampling[CP_MAX_AXES], const cp_resize *resize, cp_shape x, cp_shape *y);

/* --- corners.c: values between pixels --- */

/* The pixels around a point, two along each axis at most: linear interpolation takes `weight` of each. Pixels outside
 * are left out: they count as zeros. A point that is no number gives weights that are none. */
enum { CP_MAX_CORNERS = 1 << CP_MAX_AXES };
typedef struct cp_corners {
    int count;
    int64_t at[CP_MAX_CORNERS]; /* flat */
    double weight[CP_MAX_CORNERS];
} cp_corners;
void cp_corners_of(cp_corners *corners, const int64_t size[CP_MAX_AXES], const double point[CP_MAX_AXES]);
/* How the weights of these corners change as the point moves along each axis; to the right, where it stands on a pixel.
 */
void cp_corner_slopes(double slope[CP_MAX_CORNERS][CP_MAX_AXES], const int64_t size[CP_MAX_AXES],
                      const double point[CP_MAX_AXES]);

/* --- window.c: THE window rule ---
 *
 * Along each axis output o and tap t meet at input  i = o*stride - before + t*dilation,  if 0 <= i < in.
 * Everything here has CP_MAX_AXES axes, the missing ones in front: a 2-D window is a 3-D one with depth 1. */

typedef struct cp_axis {
    int64_t in, out, kernel, stride, dilation, before, after;
} cp_axis;

typedef struct cp_window {
    int axes;             /* 1..3, as the user counts */
    cp_pad_values values; /* of a convolution: what taps outside the input see; CONSTANT where there is no padding */
    cp_axis axis[CP_MAX_AXES]; /* the last `axes` of them are the user's */
} cp_window;

/* The input position that output o and tap t meet at, along one axis; false where it is padding. */
static inline bool cp_axis_at(const cp_axis *a, int64_t o, int64_t t, int64_t *i) {
    *i = o * a->stride - a->before + t * a->dilation;
    return 0 <= *i && *i < a->in;
}
/* The taps of output o that lie inside: [*first, *last). Empty: both 0. */
void cp_axis_taps(const cp_axis *a, int64_t o, int64_t *first, int64_t *last);

/* The positions in input, output and kernel; flat, row-major over the axes. */
int64_t cp_window_inputs(const cp_window *w);
int64_t cp_window_outputs(const cp_window *w);
int64_t cp_window_taps(const cp_window *w);
/* The flat input position that flat output o and flat tap t meet at, or whose value stands there; false where it is
 * padding without a value. */
bool cp_window_at(const cp_window *w, int64_t o, int64_t t, int64_t *i);
/* The position along each axis that they meet at, wherever it lies, is the sum of these two. */
void cp_window_origin(const cp_window *w, int64_t o, int64_t origin[CP_MAX_AXES]); /* o*stride - before */
void cp_window_reach(const cp_window *w, int64_t t, int64_t reach[CP_MAX_AXES]);   /* t*dilation */
/* The inverse: the flat output that sees flat input i through flat tap t; false where none does. */
bool cp_window_from(const cp_window *w, int64_t i, int64_t t, int64_t *o);
/* The divisor of an average over output o; number: of CP_DIVISOR_NUMBER. */
int64_t cp_window_divisor(const cp_window *w, int64_t o, cp_divisor divisor, int64_t number);

/* Windows of varying size: along each axis output o sees the inputs begin <= i < end. */
typedef struct cp_span {
    int64_t begin, end;
} cp_span;
typedef struct cp_span_axis {
    int64_t in, out, kernel; /* kernel: of CP_FRACTIONAL_PYTORCH */
} cp_span_axis;
/* What adaptive and fractional poolings slide; the missing axes are in front, as those of a window. */
typedef struct cp_spans {
    int axes;
    cp_span_axis axis[CP_MAX_AXES];
    cp_fractional fractional; /* else adaptive */
    bool overlapping;
} cp_spans;
/* The outputs whose adaptive windows see input i. */
cp_span cp_span_from(const cp_spans *s, int axis, int64_t i);
int64_t cp_spans_inputs(const cp_spans *s);
int64_t cp_spans_outputs(const cp_spans *s);
/* What one output sees, whatever the kind of its windows: along each axis begin + k*step, k < count. The first is tap
 * `tap` of `taps`, the next ones follow. */
typedef struct cp_box {
    struct {
        int64_t begin, count, step, in, tap, taps;
    } axis[CP_MAX_AXES];
} cp_box;
cp_box cp_window_box(const cp_window *w, int64_t o);
cp_box cp_spans_box(const cp_spans *s, int64_t o, const double u[CP_MAX_AXES]);
/* A box in rows along the last axis: the flat input and the flat tap that row r begins with; the next ones are
 * axis[last].step and 1 further. */
static inline int64_t cp_box_rows(const cp_box *b) {
    return b->axis[2].count ? b->axis[0].count * b->axis[1].count : 0;
}
static inline int64_t cp_box_row(const cp_box *b, int64_t r, int64_t *tap) {
    const int64_t z = r / b->axis[1].count, y = r % b->axis[1].count;
    *tap = ((b->axis[0].tap + z) * b->axis[1].taps + b->axis[1].tap + y) * b->axis[2].taps + b->axis[2].tap;
    return ((b->axis[0].begin + z * b->axis[0].step) * b->axis[1].in + b->axis[1].begin + y * b->axis[1].step) *
               b->axis[2].in +
           b->axis[2].begin;
}
static inline int64_t cp_box_count(const cp_box *b) {
    return b->axis[0].count * b->axis[1].count * b->axis[2].count;
}
/* The adaptive or fractional windows of a pooling of x, with every check; pool->output_size is not all zero. */
cp_status cp_pool_spans(cp_spans *spans, const cp_pool *pool, cp_shape x);
/* Whether windows follow from the output's size. */
bool cp_pool_has_spans(const cp_pool *pool);

/* The window of a convolution of x [N,space,C] by w [kernel,C/groups,K], or of a pooling of x: every check on the
 * attributes and sizes is here. The texts are those of the hit list: "stride[0] = 0: must be at least 1". */
cp_status cp_conv_window(cp_window *window, const cp_conv *conv, cp_shape x, cp_shape w);
/* The window of the convolution that a transposed one is the adjoint of: its outputs are the pixels of x [N,space,K],
 * its inputs those of the result; w [kernel,C/groups,K]. */
cp_status cp_conv_transpose_window(cp_window *window, const cp_conv *conv, cp_shape x, cp_shape w);
cp_status cp_pool_window(cp_window *window, const cp_pool *pool, cp_shape x);
static inline int64_t cp_groups(const cp_conv *conv) {
    return conv->groups ? conv->groups : 1;
}

/* --- roi.c: bins of regions of interest; bin o is flat, row-major --- */

enum { CP_ROI_NUMBERS = 5 }; /* of a region: image, x1, y1, x2, y2 */
/* The image of a region; false where there is no such. */
bool cp_roi_image(const double region[CP_ROI_NUMBERS], int64_t images, int64_t *image);
/* Max RoI pooling: the rows and columns of a bin, cut to the size; both empty where nothing is left. */
void cp_roi_bin(cp_span bin[2], const cp_roi *roi, const int64_t size[2], const double region[CP_ROI_NUMBERS],
                int64_t o);
/* RoI align: the points of a bin along one axis, at begin + k*step, first <= k < first + count. The others of all
 * `points` are outside the input, some of these may be, too. */
typedef struct cp_roi_axis {
    int64_t size, count;
    double first, points, begin, step;
} cp_roi_axis;
typedef struct cp_roi_grid {
    cp_roi_axis axis[2];
} cp_roi_grid;
void cp_roi_points(cp_roi_grid *grid, const cp_roi *roi, const int64_t size[2], const double region[CP_ROI_NUMBERS],
                   int64_t o);
static inline int64_t cp_roi_count(const cp_roi_grid *grid) {
    return grid->axis[0].count * grid->axis[1].count;
}
/* How many there are with those outside. */
static inline double cp_roi_all(const cp_roi_grid *grid) {
    return grid->axis[0].points * grid->axis[1].points;
}
/* The pixels around point i of cp_roi_count; false where it is outside, more than a pixel from the input. */
bool cp_roi_corners(cp_corners *corners, const cp_roi_grid *grid, int64_t i);

#endif
