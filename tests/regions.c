/* Regions of interest on numbers worked out by hand: rounding, bins, points, what is outside, what is refused. */
#include <convpool.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Row by row 0, 1, ... 15; a second image of negative numbers. */
static const float two[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,   10,  11,  12,  13,  14,  15,
                            -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12, -13, -14, -15, -16};

typedef cp_node builder(cp_net *net, cp_node x, cp_node rois, const cp_roi *roi);

/* The pooled regions, or what went wrong. */
static cp_status run(builder *build, const cp_roi *roi, const float *rois, int64_t count, float *y) {
    cp_net *net;
    cp_plan *plan;
    cp_work *work;
    const cp_tensor in[] = {cp_nhwc(two, 2, 4, 4, 1), cp_mat(rois, count, 5)};
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node x = cp_net_input(net, "x", CP_F32, in[0].shape), r = cp_net_input(net, "rois", CP_F32, in[1].shape);
    cp_net_output(net, build(net, x, r, roi), "y");
    if (cp_net_error(net, NULL)) fail_msg("%s", cp_error());
    assert_int_equal(cp_net_plan(&plan, NULL, net, NULL), CP_OK);
    assert_int_equal(cp_work_new(&work, plan), CP_OK);
    const cp_tensor to = cp_view(y, CP_F32, cp_plan_output_shape(plan, 0));
    const cp_status status = cp_plan_run(plan, work, in, 2, &to, 1);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_net_free(net);
    return status;
}

static void expect(builder *build, const cp_roi *roi, const float *rois, int64_t count, const float *expected) {
    float y[64];
    if (run(build, roi, rois, count, y)) fail_msg("%s", cp_error());
    for (int64_t i = 0; i < count * roi->output_size[0] * roi->output_size[1]; i++)
        if (!(fabsf(y[i] - expected[i]) <= 1e-5f * (1 + fabsf(expected[i]))))
            fail_msg("number %lld is %.9g instead of %.9g", (long long)i, (double)y[i], (double)expected[i]);
}

static void maxima(void **state) {
    (void)state;
    const cp_roi roi = {.output_size = {2, 2}}, half = {.output_size = {2, 2}, .spatial_scale = 0.5f};
    /* all of an image; three rows and columns, of which bins share the one in the middle; partly and wholly outside */
    const float rois[] = {0, 0, 0, 3, 3, 1, 0, 0, 2, 2, 0, 2, 2, 5, 5, 0, 7, 7, 9, 9, 1, 1.4f, 0.6f, 1.2f, 0.7f};
    expect(cp_net_max_roi_pool, &roi, rois, 5,
           (const float[]){5, 7, 13, 15, -1, -2, -5, -6, 15, 0, 0, 0, 0, 0, 0, 0, -6, -6, -6, -6});
    const float doubled[] = {0, 0, 0, 6, 6, 0, 1, 1, 3, 3};
    expect(cp_net_max_roi_pool, &half, doubled, 2, (const float[]){5, 7, 13, 15, 5, 6, 9, 10});
}

static void means(void **state) {
    (void)state;
    cp_roi roi = {.output_size = {2, 2}, .sampling = 1};
    const float whole[] = {0, 0, 0, 4, 4}, outside[] = {0, 0, -4, 4, 4}, tiny[] = {0, 2, 1, 2, 1};
    /* centres of the bins are at 0.5 and 2.5 of pixels */
    expect(cp_net_roi_align, &roi, whole, 1, (const float[]){2.5f, 4.5f, 10.5f, 12.5f});
    roi.output_half_pixel = true; /* at 1 and 3 */
    expect(cp_net_roi_align, &roi, whole, 1, (const float[]){5, 7, 13, 15});
    /* rows at -2.5 (nothing) and 1.5; the bins' two pixels are two points where nothing is said */
    roi = (cp_roi){.output_size = {2, 1}, .sampling = 1};
    expect(cp_net_roi_align, &roi, outside, 1, (const float[]){0, 1.5f * 4 + 1.5f});
    roi.sampling = 0;
    roi.output_size[0] = 4;
    /* a point just one pixel outside still sees the edge */
    expect(cp_net_roi_align, &roi, outside, 1, (const float[]){0, 0.75f, 3.5f, 11.5f});
    /* a region of no size has no points, or, where it must have one pixel, those of that */
    roi = (cp_roi){.output_size = {1, 1}};
    expect(cp_net_roi_align, &roi, tiny, 1, (const float[]){0});
    roi.output_half_pixel = true;
    expect(cp_net_roi_align, &roi, tiny, 1, (const float[]){1.5f * 4 + 2.5f});
}

static void maxima_between_pixels(void **state) {
    (void)state;
    cp_roi roi = {.output_size = {1, 1}, .sampling = 2, .max = true};
    const float whole[] = {0, 0, 0, 4, 4, 1, 0, 0, 4, 4}, edge[] = {1, 3, -4, 4, 4};
    /* points at 0.5 and 2.5 of both axes; beside negative numbers what is outside is 0 */
    expect(cp_net_roi_align, &roi, whole, 2, (const float[]){12.5f, -3.5f});
    expect(cp_net_roi_align, &roi, edge, 1, (const float[]){0});
    roi.max_of_corners = true; /* a quarter of a pixel */
    expect(cp_net_roi_align, &roi, whole, 2, (const float[]){15 / 4.f, -1 / 4.f});
}

static void images_that_are_not_there(void **state) {
    (void)state;
    float y[8];
    const cp_roi roi = {.output_size = {1, 1}};
    const float bad[] = {0, 0, 0, 3, 3, 2, 0, 0, 3, 3}, none[] = {0, 0, 0, 3, 3, NAN, 0, 0, 3, 3};
    assert_int_equal(run(cp_net_max_roi_pool, &roi, bad, 2, y), CP_E_ARG);
    assert_string_equal(cp_error(), "pool1: index 2 at 5 is outside 0..1");
    assert_int_equal(run(cp_net_roi_align, &roi, none, 2, y), CP_E_ARG);
    assert_string_equal(cp_error(), "roi-align1: index -1 at 5 is outside 0..1");
    /* coordinates may be anything */
    const float far[] = {0, -INFINITY, NAN, INFINITY, 1e38f, 1, 1e30f, 1e30f, -1e30f, -1e30f};
    assert_int_equal(run(cp_net_max_roi_pool, &roi, far, 2, y), CP_OK);
    assert_int_equal(run(cp_net_roi_align, &roi, far, 2, y), CP_OK);
}

static void refused(builder *build, const cp_roi *roi, cp_shape x, cp_shape rois, const char *text) {
    cp_net *net;
    assert_int_equal(cp_net_new(&net), CP_OK);
    const cp_node in = cp_net_input(net, "x", CP_F32, x), r = cp_net_input(net, "rois", CP_F32, rois);
    assert_int_equal(build(net, in, r, roi), 0);
    assert_string_equal(cp_error(), text);
    cp_net_free(net);
}

static void refusals(void **state) {
    (void)state;
    const cp_shape x = cp_shape_nhwc(1, 4, 4, 2), rois = cp_shape_of(2, (int64_t[]){3, 5});
    refused(cp_net_roi_align, &(cp_roi){.output_size = {2, 0}}, x, rois,
            "roi-align1: output_size[1] = 0: must be 1 to 2147483647");
    refused(cp_net_roi_align, &(cp_roi){.output_size = {2, 2}}, x, cp_shape_of(2, (int64_t[]){3, 4}),
            "roi-align1: rois is 3x4: must be Rx5, rows of image, x1, y1, x2, y2");
    refused(cp_net_roi_align, &(cp_roi){.output_size = {2, 2}}, cp_shape_of(3, (int64_t[]){1, 4, 2}), rois,
            "roi-align1: input must have 4 dimensions, has 3");
    refused(cp_net_roi_align, &(cp_roi){.output_size = {2, 2}, .spatial_scale = -1}, x, rois,
            "roi-align1: spatial_scale = -1: must be above 0 (or 0, which is 1), and below 1e9");
    refused(cp_net_roi_align, &(cp_roi){.output_size = {2, 2}, .sampling = -1}, x, rois,
            "roi-align1: sampling = -1: must be 0 to 4096");
    refused(cp_net_max_roi_pool, &(cp_roi){.output_size = {2, 2}, .sampling = 2}, x, rois,
            "pool1: max-roi-pool: sampling, output_half_pixel and max belong to roi-align");
    refused(cp_net_max_roi_pool, NULL, x, rois, "max-roi-pool needs its output's size");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maxima),
        cmocka_unit_test(means),
        cmocka_unit_test(maxima_between_pixels),
        cmocka_unit_test(refusals),
        cmocka_unit_test(images_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
