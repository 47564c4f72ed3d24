/* A library without an operating system: one convolution, with any number of threads; a model from memory; what needs
 * files says so. The exit status is the number of the check that failed. */
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

static int model_from_memory(void) {
    float x[16], y[2];
    for (int i = 0; i < 16; i++) x[i] = (float)i;
    const cp_tensor in = cp_nhwc(x, 1, 4, 4, 1), out = cp_mat(y, 1, 2);
    cp_net *net;
    cp_plan *plan = NULL;
    cp_work *work = NULL;
    if (cp_net_load_memory(&net, model, sizeof model)) return 1;
    const int status =
        cp_net_plan(&plan, NULL, net, NULL) || cp_work_new(&work, plan) || cp_plan_run(plan, work, &in, 1, &out, 1);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_net_free(net);
    return status || y[0] != 9 + 13 + 25 + 29 + 0.5f || y[1] != 9 - 0.5f;
}

static int files_are_refused(void) {
    cp_net *net;
    cp_data *data;
    cp_array array;
    if (cp_net_load(&net, "model") != CP_E_UNSUPPORTED || !strstr(cp_error(), "model: ")) return 1;
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
    if (model_from_memory()) return 3;
    if (files_are_refused()) return 4;
    return 0;
}
