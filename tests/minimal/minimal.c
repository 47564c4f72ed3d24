/* A library without an operating system: convolutions, with any number of threads; models and ONNX files from memory;
 * what needs files says so. The exit status is the number of the check that failed. */
#include <convpool.h>
#include <string.h>

#include "model.h"

static int convolution(int threads) {
    static const float x[] = {2, 2, 3, 3, 3, 0, 1, 3, 0, 3, 2, 3, 0, 1, 3, 3, 3, 2, 1, 2, 3, 3, 0, 2, 3};
    static const float w[] = {2, 0, 1, 1, 0, 0, 0, 1, 1}, expected[] = {1, 5, 6, 7, 8, 3, 3, 10, 4};
    float y[9];
    const cp_tensor in = cp_nhwc(x, 1, 5, 5, 1), weights = cp_hwio(w, 3, 3, 1, 1), out = cp_nhwc(y, 1, 3, 3, 1);
    const cp_conv conv = {.stride = {2, 2}, .pad_before = {1, 1}, .pad_after = {1, 1}};
    cp_ctx *ctx;
    if (cp_ctx_new(&ctx, &(cp_options){.threads = threads})) return 1;
    const int status = cp_ctx_threads(ctx) != threads || cp_conv_run(ctx, &conv, &in, &weights, NULL, &out);
    cp_ctx_free(ctx);
    return status || memcmp(y, expected, sizeof y);
}

/* Many channels, so that an algorithm with transforms is taken: ones everywhere, and so the number of taps inside. */
static int large_convolution(void) {
    enum { SIZE = 12, CHANNELS = 32 };
    static float x[SIZE * SIZE * CHANNELS], w[3 * 3 * CHANNELS * CHANNELS], y[SIZE * SIZE * CHANNELS];
    for (int i = 0; i < SIZE * SIZE * CHANNELS; i++) x[i] = 1;
    for (int i = 0; i < 3 * 3 * CHANNELS * CHANNELS; i++) w[i] = 1;
    const cp_tensor in = cp_nhwc(x, 1, SIZE, SIZE, CHANNELS), out = cp_nhwc(y, 1, SIZE, SIZE, CHANNELS);
    const cp_tensor weights = cp_hwio(w, 3, 3, CHANNELS, CHANNELS);
    if (cp_conv_run(NULL, &(cp_conv){.pad = CP_PAD_SAME}, &in, &weights, NULL, &out)) return 1;
    for (int i = 0; i < SIZE * SIZE; i++) {
        const int row = i / SIZE, column = i % SIZE;
        const int taps = (3 - (row % (SIZE - 1) == 0)) * (3 - (column % (SIZE - 1) == 0));
        const float error = y[i * CHANNELS + 7] - (float)(taps * CHANNELS);
        if (!(error < 1e-2f && error > -1e-2f)) return 1;
    }
    return 0;
}

/* Runs a net of one input and one output. */
static int run(const cp_net *net, const cp_tensor *in, const cp_tensor *out) {
    cp_plan *plan = NULL;
    cp_work *work = NULL;
    const int status =
        cp_net_plan(&plan, NULL, net, NULL) || cp_work_new(&work, plan) || cp_plan_run(plan, work, in, 1, out, 1);
    cp_work_free(work);
    cp_plan_free(plan);
    return status;
}

static int model_from_memory(void) {
    float x[16], y[2];
    for (int i = 0; i < 16; i++) x[i] = (float)i;
    const cp_tensor in = cp_nhwc(x, 1, 4, 4, 1), out = cp_mat(y, 1, 2);
    cp_net *net;
    if (cp_net_load_memory(&net, model, sizeof model)) return 1;
    const int status = run(net, &in, &out);
    cp_net_free(net);
    return status || y[0] != 9 + 13 + 25 + 29 + 0.5f || y[1] != 9 - 0.5f;
}

/* y = Relu(x) of two numbers. */
static int onnx_from_memory(void) {
    static const unsigned char file[] = {8,  8,   58,  48,  10, 12, 10, 1,  120, 18, 1,  121, 34, 4,
                                         82, 101, 108, 117, 90, 15, 10, 1,  120, 18, 10, 10,  8,  8,
                                         1,  18,  4,   10,  2,  8,  2,  98, 15,  10, 1,  121, 18, 10,
                                         10, 8,   8,   1,   18, 4,  10, 2,  8,   2,  66, 2,   16, 17};
    const float x[] = {-1, 2};
    float y[2];
    const cp_tensor in = cp_vec(x, 2), out = cp_vec(y, 2);
    cp_net *net;
    if (cp_onnx_load_memory(&net, file, sizeof file, NULL)) return 1;
    const int status = run(net, &in, &out);
    cp_net_free(net);
    return status || y[0] != 0 || y[1] != 2;
}

static int files_are_refused(void) {
    cp_net *net;
    cp_data *data;
    cp_array array;
    if (cp_net_load(&net, "model") != CP_E_UNSUPPORTED || !strstr(cp_error(), "model: ")) return 1;
    if (cp_onnx_load(&net, "network", NULL) != CP_E_UNSUPPORTED) return 1;
    if (cp_npy_load(&array, "array") != CP_E_UNSUPPORTED) return 1;
    if (cp_data_idx(&data, "images", "labels", NULL) != CP_E_UNSUPPORTED) return 1;
    if (cp_net_load_memory(&net, model, sizeof model)) return 1;
    const cp_status status = cp_net_save(net, "copy");
    cp_net_free(net);
    return status != CP_E_UNSUPPORTED;
}

int main(void) {
    if (convolution(1)) return 1;
    if (convolution(3)) return 2;
    if (large_convolution()) return 3;
    if (model_from_memory()) return 4;
    if (onnx_from_memory()) return 5;
    if (files_are_refused()) return 6;
    return 0;
}
