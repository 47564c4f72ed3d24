/* Pooling of regions of interest, and its gradients, as operators. */
#include "op/op.h"

/* Every check of the descriptor; align: the fields of RoI align may be set. */
static cp_status check_roi(const cp_roi *roi, bool align) {
    enum { MOST_SAMPLES = 1 << 12 };
    if (roi->output_size[2]) return cp_fail(CP_E_ARG, "output_size: regions have 2 axes, height and width");
    for (int d = 0; d < 2; d++)
        if (roi->output_size[d] < 1 || roi->output_size[d] > INT32_MAX)
            return cp_fail(CP_E_ARG, "output_size[%d] = %lld: must be 1 to %d", d, (long long)roi->output_size[d],
                           (int)INT32_MAX);
    if (!(roi->spatial_scale >= 0 && roi->spatial_scale < 1e9f))
        return cp_fail(CP_E_ARG, "spatial_scale = %g: must be above 0 (or 0, which is 1), and below 1e9",
                       (double)roi->spatial_scale);
    if (roi->sampling < 0 || roi->sampling > MOST_SAMPLES)
        return cp_fail(CP_E_ARG, "sampling = %lld: must be 0 to %d", (long long)roi->sampling, MOST_SAMPLES);
    if (!align && (roi->sampling || roi->output_half_pixel || roi->max || roi->max_of_corners))
        return cp_fail(CP_E_ARG, "max-roi-pool: sampling, output_half_pixel and max belong to roi-align");
    if (roi->max_of_corners && !roi->max) return cp_fail(CP_E_ARG, "max_of_corners: without max");
    return cp_check_reserved(roi->reserved, sizeof roi->reserved, "a descriptor");
}

/* Of x [N,H,W,C] and the regions, inputs `x` and `rois`: y [R,output_size,C]. */
static cp_status set_geometry(cp_problem *problem, const cp_roi *roi, bool align, int x, int rois, cp_shape *y) {
    cp_status status = check_roi(roi, align);
    if (!status) status = cp_check_in(problem, x, problem->type, "input");
    if (!status) status = cp_check_in(problem, rois, problem->type, "rois");
    if (status) return status;
    const cp_shape image = problem->in[x], regions = problem->in[rois];
    char text[CP_SHAPE_TEXT];
    if (image.rank != 4) return cp_fail(CP_E_SHAPE, "input must have 4 dimensions, has %d", image.rank);
    if (regions.rank != 2 || regions.dim[1] != CP_ROI_NUMBERS)
        return cp_fail(CP_E_SHAPE, "rois is %s: must be Rx5, rows of image, x1, y1, x2, y2",
                       cp_shape_text(regions, text));
    if (cp_shape_count(cp_shape_of(3, image.dim)) > INT32_MAX)
        return cp_fail(CP_E_LIMIT, "regions of more than 2^31 pixels are not provided");
    problem->roi = *roi;
    *y = (cp_shape){.rank = 4, .dim = {regions.dim[0], roi->output_size[0], roi->output_size[1], image.dim[3]}};
    return CP_OK;
}

static cp_status infer_max(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = set_geometry(problem, &attributes->roi, false, 0, 1, &y);
    if (!status) status = cp_set_output(problem, 0, problem->type, y);
    return status ? status : cp_set_output(problem, 1, CP_I32, y);
}

static cp_status infer_max_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = set_geometry(problem, &attributes->roi, false, 3, 2, &y);
    if (!status) status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_in(problem, 1, CP_I32, "positions");
    if (!status) status = cp_check_same("gradient", problem->in[0], "output", y);
    if (!status) status = cp_check_same("positions", problem->in[1], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[3]);
}

static cp_status infer_align(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    const cp_status status = set_geometry(problem, &attributes->roi, true, 0, 1, &y);
    return status ? status : cp_set_output(problem, 0, problem->type, y);
}

static cp_status infer_align_gradient(cp_problem *problem, const cp_attributes *attributes) {
    cp_shape y;
    cp_status status = set_geometry(problem, &attributes->roi, true, 2, 1, &y);
    if (!status) status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_check_same("gradient", problem->in[0], "output", y);
    return status ? status : cp_set_output(problem, 0, problem->type, problem->in[2]);
}

/* The regions have no gradient: which pixels they see is not continuous (max), or not asked for (align). */
static void max_backward(cp_backward *b) {
    if (b->wanted[0])
        b->din[0] = b->node(b->net, "max-roi-pool-gradient", b->attributes,
                            (cp_node[]){b->dout[0], b->out[1], b->in[1], b->in[0]}, 4);
}

static void align_backward(cp_backward *b) {
    if (b->wanted[0])
        b->din[0] =
            b->node(b->net, "roi-align-gradient", b->attributes, (cp_node[]){b->dout[0], b->in[1], b->in[0]}, 3);
}

static void words(const cp_attributes *attributes, char *text, size_t size) {
    const cp_roi *roi = &attributes->roi;
    char list[CP_SHAPE_TEXT];
    text[0] = 0;
    cp_words_add(text, size, "%s", cp_shape_text(cp_shape_of(2, roi->output_size), list));
    if (roi->spatial_scale != 0) {
        cp_words_add(text, size, "scale");
        cp_words_real(text, size, roi->spatial_scale);
    }
    if (roi->sampling) cp_words_add(text, size, "sampling %lld", (long long)roi->sampling);
    if (roi->output_half_pixel) cp_words_add(text, size, "output_half_pixel");
    if (roi->max) cp_words_add(text, size, roi->max_of_corners ? "max of corners" : "max");
}

#define ROI_FIELDS                                                                                                     \
    CP_FIELD("output_size", CP_FIELD_LIST, roi.output_size, NULL),                                                     \
        CP_FIELD("spatial_scale", CP_FIELD_REAL, roi.spatial_scale, NULL)

static const cp_field max_fields[] = {ROI_FIELDS, {0}};
static const cp_field align_fields[] = {ROI_FIELDS,
                                        CP_FIELD("sampling", CP_FIELD_COUNT, roi.sampling, NULL),
                                        CP_FIELD("output_half_pixel", CP_FIELD_FLAG, roi.output_half_pixel, NULL),
                                        CP_FIELD("max", CP_FIELD_FLAG, roi.max, NULL),
                                        CP_FIELD("max_of_corners", CP_FIELD_FLAG, roi.max_of_corners, NULL),
                                        {0}};

const cp_op cp_op_max_roi_pool = {.name = "max-roi-pool",
                                  .fields = max_fields,
                                  .min_inputs = 2,
                                  .max_inputs = 2,
                                  .outputs = 2,
                                  .infer = infer_max,
                                  .algos = cp_algos_max_roi_pool,
                                  .backward = max_backward,
                                  .words = words};

const cp_op cp_op_max_roi_pool_gradient = {.name = "max-roi-pool-gradient",
                                           .min_inputs = 4,
                                           .max_inputs = 4,
                                           .outputs = 1,
                                           .infer = infer_max_gradient,
                                           .algos = cp_algos_max_roi_pool_gradient};

const cp_op cp_op_roi_align = {.name = "roi-align",
                               .fields = align_fields,
                               .min_inputs = 2,
                               .max_inputs = 2,
                               .outputs = 1,
                               .infer = infer_align,
                               .algos = cp_algos_roi_align,
                               .backward = align_backward,
                               .words = words};

const cp_op cp_op_roi_align_gradient = {.name = "roi-align-gradient",
                                        .min_inputs = 3,
                                        .max_inputs = 3,
                                        .outputs = 1,
                                        .infer = infer_align_gradient,
                                        .algos = cp_algos_roi_align_gradient};
