/* The reference as the last algorithm of every table: any type, any problem, at any price. */
#include "plan/algos.h"

#include <math.h>

/* Taken only where all others refuse. */
static double cost(const cp_problem *problem) {
    (void)problem;
    return INFINITY;
}

/* An output; where nobody reads it, all its elements are the one number `unread`. */
static cp_tensor output(const cp_call *call, int i, double *unread) {
    cp_tensor tensor = cp_call_out(call, i);
    if (tensor.data) return tensor;
    tensor.data = unread;
    for (int a = 0; a < CP_MAX_RANK; a++) tensor.stride[a] = 0;
    return tensor;
}

/* The images of a batch that are share id of n: the definitions see each image alone. */
static cp_tensor images(cp_tensor tensor, int id, int n) {
    int64_t first, last;
    cp_share(tensor.shape.dim[0], id, n, &first, &last);
    if (tensor.data) tensor.data = (char *)tensor.data + first * tensor.stride[0] * cp_type_size(tensor.type);
    tensor.shape.dim[0] = last - first;
    return tensor;
}

/* --- layers with weights: a dense one's are a matrix --- */

static void conv(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), w = cp_call_in(call, 1), b = cp_call_in(call, 2);
    const cp_tensor y = images(cp_call_out(call, 0), id, n);
    const cp_tensor *bias = cp_has_input(p, 2) ? &b : NULL;
    if (w.shape.rank == 2)
        cp_ref_dense(p->relu, &x, &w, bias, &y);
    else
        cp_ref_conv(&p->window, p->groups, p->relu, &x, &w, bias, &y, NULL);
}

/* A matrix product is a convolution with one tap: both as the window has their sizes. */
static void conv_integer(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const int axes = p->window.axes;
    cp_shape x = {.rank = axes + 2, .dim = {p->batch}}, w = {.rank = axes + 2}, y = x;
    for (int d = 0; d < axes; d++) {
        const cp_axis *a = &p->window.axis[CP_MAX_AXES - axes + d];
        x.dim[1 + d] = a->in;
        y.dim[1 + d] = a->out;
        w.dim[d] = a->kernel;
    }
    x.dim[axes + 1] = p->channels;
    y.dim[axes + 1] = w.dim[axes + 1] = p->filters;
    w.dim[axes] = p->channels / p->groups;
    const cp_tensor in = images(cp_view(call->in[0], p->in_type[0], x), id, n),
                    out = images(cp_view(call->out[0], p->out_type[0], y), id, n),
                    weights = cp_view(call->in[1], p->in_type[1], w);
    cp_tensor others[CP_MAX_INPUTS];
    for (int i = 2; i < p->inputs; i++) others[i] = cp_call_in(call, i);
    cp_ref_conv_integer(&p->window, p->groups, &in, &weights, cp_has_input(p, 2) ? &others[2] : NULL,
                        cp_has_input(p, 3) ? &others[3] : NULL, cp_has_input(p, 4) ? &others[4] : NULL,
                        cp_has_input(p, 5) ? &others[5] : NULL, cp_has_input(p, 6) ? &others[6] : NULL, &out);
}

static void conv_input_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), w = cp_call_in(call, 1);
    const cp_tensor dx = images(cp_call_out(call, 0), id, n), b = cp_call_in(call, 2);
    const cp_tensor *bias = cp_has_input(p, 2) ? &b : NULL; /* of a transposed convolution */
    if (w.shape.rank == 2)
        cp_ref_dense_input_gradient(&dy, &w, &dx);
    else
        cp_ref_conv_transpose(&p->window, p->groups, p->relu, &dy, &w, bias, &dx);
}

static void conv_weight_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_problem *p = call->problem;
    const cp_tensor dy = cp_call_in(call, 0), x = cp_call_in(call, 1), dw = cp_call_out(call, 0);
    if (dw.shape.rank == 2)
        cp_ref_dense_weight_gradient(&x, &dy, &dw);
    else
        cp_ref_conv_weight_gradient(&p->window, p->groups, &x, &dy, &dw);
}

static void bias_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor dy = cp_call_in(call, 0), db = cp_call_out(call, 0);
    cp_ref_bias_gradient(&dy, &db);
}

static void local_conv(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), w = cp_call_in(call, 1), b = cp_call_in(call, 2);
    const cp_tensor y = images(cp_call_out(call, 0), id, n);
    cp_ref_local_conv(&p->window, p->relu, &x, &w, cp_has_input(p, 2) ? &b : NULL, &y);
}

static void local_conv_input_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), w = cp_call_in(call, 1);
    const cp_tensor dx = images(cp_call_out(call, 0), id, n);
    cp_ref_local_conv_input_gradient(&call->problem->window, &dy, &w, &dx);
}

static void local_conv_weight_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor dy = cp_call_in(call, 0), x = cp_call_in(call, 1), dw = cp_call_out(call, 0);
    cp_ref_local_conv_weight_gradient(&call->problem->window, &dy, &x, &dw);
}

static void deform_conv(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), w = cp_call_in(call, 1), b = cp_call_in(call, 3);
    const cp_tensor offset = images(cp_call_in(call, 2), id, n), mask = images(cp_call_in(call, 4), id, n);
    const cp_tensor y = images(cp_call_out(call, 0), id, n);
    cp_ref_deform_conv(&p->window, p->groups, p->relu, &x, &w, &offset, cp_has_input(p, 3) ? &b : NULL,
                       cp_has_input(p, 4) ? &mask : NULL, &y);
}

static void deform_conv_input_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), w = cp_call_in(call, 1);
    const cp_tensor offset = images(cp_call_in(call, 2), id, n), mask = images(cp_call_in(call, 3), id, n);
    const cp_tensor dx = images(cp_call_out(call, 0), id, n);
    cp_ref_deform_conv_input_gradient(&p->window, p->groups, &dy, &w, &offset, cp_has_input(p, 3) ? &mask : NULL, &dx);
}

static void deform_conv_weight_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_problem *p = call->problem;
    const cp_tensor dy = cp_call_in(call, 0), x = cp_call_in(call, 1), offset = cp_call_in(call, 2);
    const cp_tensor mask = cp_call_in(call, 3), dw = cp_call_out(call, 0);
    cp_ref_deform_conv_weight_gradient(&p->window, p->groups, &dy, &x, &offset, cp_has_input(p, 3) ? &mask : NULL, &dw);
}

static void deform_conv_offset_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    double unread;
    const cp_problem *p = call->problem;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), w = cp_call_in(call, 1);
    const cp_tensor x = images(cp_call_in(call, 2), id, n), offset = images(cp_call_in(call, 3), id, n);
    const cp_tensor mask = images(cp_call_in(call, 4), id, n);
    const cp_tensor doffset = images(output(call, 0, &unread), id, n), dmask = images(output(call, 1, &unread), id, n);
    cp_ref_deform_conv_offset_gradient(&p->window, p->groups, &dy, &w, &x, &offset, cp_has_input(p, 4) ? &mask : NULL,
                                       &doffset, &dmask);
}

/* --- windows as a matrix --- */

static void im2col(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), y = images(cp_call_out(call, 0), id, n);
    cp_ref_im2col(&call->problem->window, &x, &y);
}

static void col2im(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor y = images(cp_call_in(call, 0), id, n), x = images(cp_call_out(call, 0), id, n);
    cp_ref_col2im(&call->problem->window, &y, &x);
}

/* --- pixel shuffle: copies, that share themselves --- */

static void depth_to_space(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_out(call, 0);
    cp_ref_depth_to_space(p->block, p->depth_order, &x, &y, id, n);
}

static void space_to_depth(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_out(call, 0);
    cp_ref_space_to_depth(p->block, p->depth_order, &x, &y, id, n);
}

/* --- padding and resizing --- */

static void sample(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), y = images(cp_call_out(call, 0), id, n);
    cp_ref_sample(call->problem->sampling, (double)call->problem->constant, &x, &y);
}

static void sample_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), dx = images(cp_call_out(call, 0), id, n);
    cp_ref_sample_gradient(call->problem->sampling, &dy, &dx);
}

/* --- pooling --- */

static void max_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    double unread;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), y = images(output(call, 0, &unread), id, n);
    const cp_tensor index = images(output(call, 1, &unread), id, n);
    cp_ref_max_pool(&call->problem->window, &x, &y, &index, NULL);
}

static void max_pool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), index = images(cp_call_in(call, 1), id, n);
    const cp_tensor dx = images(cp_call_out(call, 0), id, n);
    cp_ref_max_pool_gradient(&call->problem->window, &dy, &index, &dx);
}

static void average_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), y = images(cp_call_out(call, 0), id, n);
    cp_ref_average_pool(&p->window, p->divisor, p->divide_by, &x, &y, NULL);
}

static void average_pool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_problem *p = call->problem;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), dx = images(cp_call_out(call, 0), id, n);
    cp_ref_average_pool_gradient(&p->window, p->divisor, p->divide_by, &dy, &dx);
}

static void lp_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), y = images(cp_call_out(call, 0), id, n);
    cp_ref_lp_pool(&call->problem->window, call->problem->exponent, &x, &y);
}

static void lp_pool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), y = images(cp_call_in(call, 1), id, n);
    const cp_tensor dy = images(cp_call_in(call, 2), id, n), dx = images(cp_call_out(call, 0), id, n);
    cp_ref_lp_pool_gradient(&call->problem->window, call->problem->exponent, &x, &y, &dy, &dx);
}

/* What is drawn depends on the number of the image: one share does them all. */
static void stochastic_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    double unread;
    const cp_random_key key = {.seed = call->seed, .stream = call->problem->layer, .step = call->step};
    const cp_tensor x = cp_call_in(call, 0), y = output(call, 0, &unread), index = output(call, 1, &unread);
    cp_ref_stochastic_pool(&call->problem->window, call->problem->training ? &key : NULL, &x, &y, &index);
}

static void stochastic_pool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), index = images(cp_call_in(call, 1), id, n);
    const cp_tensor x = images(cp_call_in(call, 2), id, n), dx = images(cp_call_out(call, 0), id, n);
    cp_ref_stochastic_pool_gradient(&call->problem->window, &dy, call->problem->training ? &index : NULL, &x, &dx);
}

static void max_pool_positions(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor index = images(cp_call_in(call, 0), id, n), position = images(cp_call_out(call, 0), id, n);
    cp_ref_max_pool_positions(&call->problem->window, &index, &position);
}

/* Positions of an image's plane. */
static int64_t plane_of(cp_shape shape) {
    int64_t plane = 1;
    for (int d = 1; d < shape.rank - 1; d++) plane *= shape.dim[d];
    return plane;
}

static void max_unpool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), position = images(cp_call_in(call, 1), id, n);
    const cp_tensor y = images(cp_call_out(call, 0), id, n);
    if (id == 0) cp_check_positions(call, plane_of(y.shape));
    cp_ref_max_unpool(&x, &position, &y);
}

static void max_unpool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), position = images(cp_call_in(call, 1), id, n);
    const cp_tensor dx = images(cp_call_out(call, 0), id, n);
    if (id == 0) cp_check_positions(call, plane_of(dy.shape));
    cp_ref_max_unpool_gradient(&dy, &position, &dx);
}

static void span_max_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    double unread;
    const cp_random_key key = {.seed = call->seed, .stream = call->problem->layer, .step = call->step};
    const cp_tensor x = cp_call_in(call, 0), y = output(call, 0, &unread), position = output(call, 1, &unread);
    cp_ref_span_max_pool(&call->problem->spans, &key, &x, &y, &position);
}

static void position_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), position = images(cp_call_in(call, 1), id, n);
    const cp_tensor dx = images(cp_call_out(call, 0), id, n);
    cp_ref_position_gradient(&dy, &position, &dx);
}

static void adaptive_average_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor x = images(cp_call_in(call, 0), id, n), y = images(cp_call_out(call, 0), id, n);
    cp_ref_adaptive_average_pool(&call->problem->spans, &x, &y);
}

static void adaptive_average_pool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor dy = images(cp_call_in(call, 0), id, n), dx = images(cp_call_out(call, 0), id, n);
    cp_ref_adaptive_average_pool_gradient(&call->problem->spans, &dy, &dx);
}

/* Regions are shared; one share gathers their gradients. */
static void max_roi_pool(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    double unread;
    const cp_tensor x = cp_call_in(call, 0), rois = images(cp_call_in(call, 1), id, n);
    const cp_tensor y = images(output(call, 0, &unread), id, n), position = images(output(call, 1, &unread), id, n);
    if (id == 0) cp_check_rois(call, 1, x.shape.dim[0]);
    cp_ref_max_roi_pool(&call->problem->roi, &x, &rois, &y, &position);
}

static void max_roi_pool_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor dy = cp_call_in(call, 0), position = cp_call_in(call, 1), dx = cp_call_out(call, 0);
    cp_ref_max_roi_pool_gradient(&dy, &position, &dx);
}

static void roi_align(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_tensor x = cp_call_in(call, 0), rois = images(cp_call_in(call, 1), id, n);
    const cp_tensor y = images(cp_call_out(call, 0), id, n);
    if (id == 0) cp_check_rois(call, 1, x.shape.dim[0]);
    cp_ref_roi_align(&call->problem->roi, &x, &rois, &y);
}

static void roi_align_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor dy = cp_call_in(call, 0), rois = cp_call_in(call, 1), x = cp_call_in(call, 2);
    const cp_tensor dx = cp_call_out(call, 0);
    cp_ref_roi_align_gradient(&call->problem->roi, &dy, &rois, &x, &dx);
}

/* --- elements and rows --- */

static void activation(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_out(call, 0);
    const cp_problem *p = call->problem;
    cp_ref_activation(p->activation, p->alpha, p->beta, &x, &y);
}

static void activation_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor seen = cp_call_in(call, 0), dy = cp_call_in(call, 1), dx = cp_call_out(call, 0);
    const cp_problem *p = call->problem;
    cp_ref_activation_gradient(p->activation, p->alpha, p->beta, &seen, &dy, &dx);
}

static void softmax(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_out(call, 0);
    cp_ref_softmax(call->problem->logarithm, call->problem->axis, &x, &y);
}

static void softmax_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor y = cp_call_in(call, 0), dy = cp_call_in(call, 1), dx = cp_call_out(call, 0);
    cp_ref_softmax_gradient(call->problem->logarithm, call->problem->axis, &y, &dy, &dx);
}

static void dropout(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_random_key key = {.seed = call->seed, .stream = call->problem->layer, .step = call->step};
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_out(call, 0);
    cp_ref_dropout(call->problem->rate, &key, &x, &y);
}

/* --- axes --- */

static void binary(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor a = cp_call_in(call, 0), b = cp_call_in(call, 1), y = cp_call_out(call, 0);
    cp_ref_binary(call->problem->binary, &a, &b, &y);
}

static void binary_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor a = cp_call_in(call, 0), b = cp_call_in(call, 1), dy = cp_call_in(call, 2);
    const cp_tensor dx = cp_call_out(call, 0);
    cp_ref_binary_gradient(call->problem->binary, call->problem->second, &a, &b, &dy, &dx);
}

static void reduce(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_out(call, 0);
    cp_ref_reduce(call->problem->reduction, call->problem->axes, &x, &y);
}

static void reduce_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_in(call, 1), dy = cp_call_in(call, 2);
    const cp_tensor dx = cp_call_out(call, 0);
    cp_ref_reduce_gradient(call->problem->reduction, call->problem->axes, &x, &y, &dy, &dx);
}

static void concat(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    cp_tensor x[CP_MAX_INPUTS];
    for (int i = 0; i < call->problem->inputs; i++) x[i] = cp_call_in(call, i);
    const cp_tensor y = cp_call_out(call, 0);
    cp_ref_concat(call->problem->axis, x, call->problem->inputs, &y);
}

/* --- what only moves elements --- */

static void move(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor y = cp_call_out(call, 0), x = cp_moved(&call->problem->move, cp_call_in(call, 0), y.shape);
    cp_ref_copy(&x, &y);
}

static void move_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor dy = cp_call_in(call, 0), dx = cp_call_out(call, 0);
    const cp_tensor part = cp_moved(&call->problem->move, dx, dy.shape);
    cp_ref_clear(&dx);
    cp_ref_copy(&dy, &part);
}

static void gather(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), indices = cp_call_in(call, 1), y = cp_call_out(call, 0);
    const int axis = call->problem->axis;
    cp_check_indices(call, x.shape.dim[axis]);
    cp_ref_gather(axis, &x, &indices, &y);
}

static void gather_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor dy = cp_call_in(call, 0), indices = cp_call_in(call, 1), dx = cp_call_out(call, 0);
    const int axis = call->problem->axis;
    cp_check_indices(call, dx.shape.dim[axis]);
    cp_ref_gather_gradient(axis, &dy, &indices, &dx);
}

static void gather_elements(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), indices = cp_call_in(call, 1), y = cp_call_out(call, 0);
    const int axis = call->problem->axis;
    cp_check_indices(call, x.shape.dim[axis]);
    cp_ref_gather_elements(axis, &x, &indices, &y);
}

static void gather_elements_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor dy = cp_call_in(call, 0), indices = cp_call_in(call, 1), dx = cp_call_out(call, 0);
    const int axis = call->problem->axis;
    cp_check_indices(call, dx.shape.dim[axis]);
    cp_ref_gather_elements_gradient(axis, &dy, &indices, &dx);
}

static void cast(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_out(call, 0);
    cp_ref_cast(&x, &y);
}

static void relation(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor a = cp_call_in(call, 0), b = cp_call_in(call, 1), y = cp_call_out(call, 0);
    cp_ref_relation(call->problem->relation, &a, &b, &y);
}

static void where(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor condition = cp_call_in(call, 0), a = cp_call_in(call, 1), b = cp_call_in(call, 2);
    const cp_tensor y = cp_call_out(call, 0);
    cp_ref_where(&condition, &a, &b, &y);
}

static void matmul(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor a = cp_call_in(call, 0), b = cp_call_in(call, 1), y = cp_call_out(call, 0);
    cp_ref_matmul(&a, &b, &y);
}

/* --- order along an axis --- */

static void arg(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_problem *p = call->problem;
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_out(call, 0);
    cp_ref_arg(p->axis, p->smallest, p->last, &x, &y);
}

static void top_k(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_problem *p = call->problem;
    double unread;
    const cp_tensor x = cp_call_in(call, 0), y = output(call, 0, &unread), indices = output(call, 1, &unread);
    cp_ref_top_k(p->axis, p->smallest, &x, &y, &indices);
}

static void cumulative_sum(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_problem *p = call->problem;
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_out(call, 0);
    cp_ref_cumulative_sum(p->axis, p->exclusive, p->reverse, &x, &y);
}

/* --- numbers of few bits --- */

static void quantize(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), scale = cp_call_in(call, 1), zero = cp_call_in(call, 2);
    const cp_tensor y = cp_call_out(call, 0);
    cp_ref_quantize(call->problem->axis, &x, &scale, cp_has_input(call->problem, 2) ? &zero : NULL, &y);
}

static void dequantize(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), scale = cp_call_in(call, 1), zero = cp_call_in(call, 2);
    const cp_tensor y = cp_call_out(call, 0);
    cp_ref_dequantize(call->problem->axis, &x, &scale, cp_has_input(call->problem, 2) ? &zero : NULL, &y);
}

static void dynamic_quantize(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    double unread, unread_scale, unread_zero;
    const cp_tensor x = cp_call_in(call, 0), y = output(call, 0, &unread), scale = output(call, 1, &unread_scale);
    const cp_tensor zero = output(call, 2, &unread_zero);
    cp_ref_dynamic_quantize(&x, &y, &scale, &zero);
}

/* --- normalisation --- */

/* Moments are computed also where nobody reads them. */
static cp_status prepare_norm(const cp_problem *problem, cp_prepared *prepared) {
    prepared->scratch = cp_shape_count(problem->out[1]) * cp_type_size(problem->type);
    return CP_OK;
}

static void norm(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_problem *p = call->problem;
    double unread;
    cp_tensor in[5], moments = cp_call_out(call, 1);
    for (int i = 0; i < p->inputs; i++) in[i] = cp_call_in(call, i);
    const cp_tensor y = output(call, 0, &unread);
    if (!moments.data) moments.data = call->scratch;
    if (p->inputs == 5) {
        const cp_tensor next_mean = output(call, 2, &unread), next_variance = output(call, 3, &unread);
        cp_ref_batch_norm(!p->moments_fixed, p->momentum, p->epsilon, in, &y, &moments, &next_mean, &next_variance);
    } else
        cp_ref_group_norm(p->epsilon, &in[0], &in[1], &in[2], &y, &moments);
}

static void norm_input_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), scale = cp_call_in(call, 1), dy = cp_call_in(call, 2);
    const cp_tensor moments = cp_call_in(call, 3), dx = cp_call_out(call, 0);
    cp_ref_norm_input_gradient(call->problem->moments_fixed, &x, &scale, &dy, &moments, &dx);
}

static void norm_scale_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), dy = cp_call_in(call, 1), moments = cp_call_in(call, 2);
    const cp_tensor dscale = cp_call_out(call, 0);
    cp_ref_norm_scale_gradient(&x, &dy, &moments, &dscale);
}

static void lrn(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), y = cp_call_out(call, 0);
    cp_ref_lrn(&call->problem->lrn, &x, &y);
}

static void lrn_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), dy = cp_call_in(call, 1), dx = cp_call_out(call, 0);
    cp_ref_lrn_gradient(&call->problem->lrn, &x, &dy, &dx);
}

/* --- losses --- */

static void softmax_cross_entropy(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    double unread;
    const cp_problem *problem = call->problem;
    const cp_tensor x = cp_call_in(call, 0), labels = cp_call_in(call, 1), w = cp_call_in(call, 2);
    const cp_tensor loss = output(call, 0, &unread), p = output(call, 1, &unread);
    cp_ref_softmax_cross_entropy(problem->alpha, &x, &labels, cp_has_input(problem, 2) ? &w : NULL, &loss, &p);
}

static void softmax_cross_entropy_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_problem *problem = call->problem;
    const cp_tensor p = cp_call_in(call, 0), labels = cp_call_in(call, 1), dloss = cp_call_in(call, 2);
    const cp_tensor w = cp_call_in(call, 3), dx = cp_call_out(call, 0);
    cp_ref_softmax_cross_entropy_gradient(problem->alpha, &p, &labels, cp_has_input(problem, 3) ? &w : NULL, &dloss,
                                          &dx);
}

static void mean_squared_error(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor y = cp_call_in(call, 0), target = cp_call_in(call, 1), loss = cp_call_out(call, 0);
    cp_ref_mean_squared_error(&y, &target, &loss);
}

static void mean_squared_error_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor y = cp_call_in(call, 0), target = cp_call_in(call, 1), dloss = cp_call_in(call, 2);
    const cp_tensor dy = cp_call_out(call, 0);
    cp_ref_mean_squared_error_gradient(&y, &target, &dloss, &dy);
}

static void loss(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), target = cp_call_in(call, 1), y = cp_call_out(call, 0);
    cp_ref_loss(call->problem->loss, call->problem->alpha, &x, &target, &y);
}

static void loss_gradient(const cp_call *call, int phase, int id, int n) {
    (void)phase, (void)n;
    if (id != 0) return;
    const cp_tensor x = cp_call_in(call, 0), target = cp_call_in(call, 1), dloss = cp_call_in(call, 2);
    const cp_tensor dx = cp_call_out(call, 0);
    cp_ref_loss_gradient(call->problem->loss, call->problem->alpha, &x, &target, &dloss, &dx);
}

#define REFERENCE(op) const cp_algo cp_algo_##op##_reference = {.name = "reference", .cost = cost, .run = op}

REFERENCE(conv);
REFERENCE(conv_input_gradient);
REFERENCE(conv_integer);
REFERENCE(conv_weight_gradient);
REFERENCE(bias_gradient);
REFERENCE(local_conv);
REFERENCE(local_conv_input_gradient);
REFERENCE(local_conv_weight_gradient);
REFERENCE(deform_conv);
REFERENCE(deform_conv_input_gradient);
REFERENCE(deform_conv_weight_gradient);
REFERENCE(deform_conv_offset_gradient);
REFERENCE(im2col);
REFERENCE(col2im);
REFERENCE(depth_to_space);
REFERENCE(space_to_depth);
REFERENCE(sample);
REFERENCE(sample_gradient);
REFERENCE(max_pool);
REFERENCE(max_pool_gradient);
REFERENCE(average_pool);
REFERENCE(average_pool_gradient);
REFERENCE(lp_pool);
REFERENCE(lp_pool_gradient);
REFERENCE(stochastic_pool);
REFERENCE(stochastic_pool_gradient);
REFERENCE(max_pool_positions);
REFERENCE(max_unpool);
REFERENCE(max_unpool_gradient);
REFERENCE(span_max_pool);
REFERENCE(position_gradient);
REFERENCE(adaptive_average_pool);
REFERENCE(adaptive_average_pool_gradient);
REFERENCE(max_roi_pool);
REFERENCE(max_roi_pool_gradient);
REFERENCE(roi_align);
REFERENCE(roi_align_gradient);
REFERENCE(activation);
REFERENCE(activation_gradient);
REFERENCE(softmax);
REFERENCE(softmax_gradient);
REFERENCE(binary);
REFERENCE(binary_gradient);
REFERENCE(reduce);
REFERENCE(reduce_gradient);
const cp_algo cp_algo_norm_reference = {.name = "reference", .cost = cost, .prepare = prepare_norm, .run = norm};
REFERENCE(norm_input_gradient);
REFERENCE(norm_scale_gradient);
REFERENCE(lrn);
REFERENCE(lrn_gradient);
REFERENCE(concat);
REFERENCE(move);
REFERENCE(move_gradient);
REFERENCE(gather);
REFERENCE(gather_gradient);
REFERENCE(gather_elements);
REFERENCE(gather_elements_gradient);
REFERENCE(cast);
REFERENCE(relation);
REFERENCE(where);
REFERENCE(matmul);
REFERENCE(arg);
REFERENCE(top_k);
REFERENCE(cumulative_sum);
REFERENCE(quantize);
REFERENCE(dequantize);
REFERENCE(dynamic_quantize);
REFERENCE(dropout);
REFERENCE(softmax_cross_entropy);
REFERENCE(softmax_cross_entropy_gradient);
REFERENCE(loss);
REFERENCE(loss_gradient);
REFERENCE(mean_squared_error);
REFERENCE(mean_squared_error_gradient);
