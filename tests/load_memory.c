/* Models from memory: wherever the bytes lie, the same as from a file; nothing is read behind them, nothing kept. A net
 * from a file computes the same before and after its weights were copied from there. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static uint8_t *model; /* a file's bytes */
static int64_t model_length;
static cp_net *loaded; /* from the file */

static int save_model(void **state) {
    (void)state;
    char path[] = "/tmp/convpool-memory-XXXXXX";
    const int file = mkstemp(path);
    if (file < 0) return -1;
    close(file);
    cp_net *net;
    if (cp_net_new(&net)) return -1;
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 6, 6, 1));
    cp_net_output(net, cp_net_parse(net, x, "conv 3 3x3 same relu; pool 2; flatten; dense 70 relu; dense 5"), "y");
    cp_status status = cp_net_initialize(net, CP_GLOROT, 7);
    if (!status) status = cp_net_set_note(net, "classes", "[\"a\"]");
    if (!status) status = cp_net_save(net, path);
    cp_net_free(net);
    if (!status) status = cp_net_load(&loaded, path);
    FILE *stream = fopen(path, "rb");
    static uint8_t bytes[1 << 14];
    if (stream) {
        model_length = (int64_t)fread(bytes, 1, sizeof bytes, stream);
        fclose(stream);
    }
    model = bytes;
    unlink(path);
    return status || !model_length || model_length == sizeof bytes ? -1 : 0;
}

static int free_model(void **state) {
    (void)state;
    cp_net_free(loaded);
    return 0;
}

static void assert_same_parameters(const cp_net *net) {
    assert_int_equal(cp_net_parameters(net), cp_net_parameters(loaded));
    for (int i = 0; i < cp_net_parameters(net); i++) {
        const cp_tensor a = cp_net_parameter(net, i), b = cp_net_parameter(loaded, i);
        assert_string_equal(cp_net_parameter_name(net, i), cp_net_parameter_name(loaded, i));
        assert_int_equal(cp_shape_count(a.shape), cp_shape_count(b.shape));
        assert_memory_equal(a.data, b.data, (size_t)cp_shape_count(a.shape) * sizeof(float));
    }
}

static void anywhere(void **state) {
    (void)state;
    for (int64_t offset = 0; offset < 16; offset++) {
        uint8_t *memory = malloc((size_t)(offset + model_length));
        assert_non_null(memory);
        memcpy(memory + offset, model, (size_t)model_length);
        cp_net *net;
        assert_int_equal(cp_net_load_memory(&net, memory + offset, model_length), CP_OK);
        assert_memory_equal(memory + offset, model, (size_t)model_length);
        memset(memory, 0xff, (size_t)(offset + model_length));
        free(memory);
        assert_same_parameters(net);
        assert_string_equal(cp_net_note(net, "classes"), "[\"a\"]");
        cp_net_free(net);
    }
}

/* What a net gives for two pictures: y [2,5]. */
static void compute(const cp_net *net, float *y) {
    enum { INPUTS = 2 * 6 * 6, OUTPUTS = 2 * 5 };
    float x[INPUTS];
    for (int i = 0; i < INPUTS; i++) x[i] = (float)(i * 7 % 11) / 11;
    const cp_tensor in = cp_nhwc(x, 2, 6, 6, 1), out = cp_mat(y, 2, 5);
    cp_plan *plan;
    cp_work *work;
    assert_int_equal(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.batch = 2}), CP_OK);
    assert_int_equal(cp_work_new(&work, plan), CP_OK);
    assert_int_equal(cp_plan_run(plan, work, &in, 1, &out, 1), CP_OK);
    cp_work_free(work);
    cp_plan_free(plan);
}

/* The file that `loaded` came from has no name any more: its memory lives as long as the net. */
static void computes_from_the_file(void **state) {
    (void)state;
    float from_file[10], from_copy[10], from_memory[10];
    compute(loaded, from_file);
    for (int i = 0; i < cp_net_parameters(loaded); i++) assert_non_null(cp_net_parameter(loaded, i).data);
    compute(loaded, from_copy);
    cp_net *net;
    assert_int_equal(cp_net_load_memory(&net, model, model_length), CP_OK);
    compute(net, from_memory);
    cp_net_free(net);
    assert_memory_equal(from_file, from_copy, sizeof from_copy);
    assert_memory_equal(from_file, from_memory, sizeof from_memory);
    float *weights = cp_net_parameter(loaded, cp_net_parameters(loaded) - 1).data, before = weights[0];
    weights[0] = before + 1; /* what is written there counts from the next plan on */
    compute(loaded, from_copy);
    weights[0] = before;
    assert_memory_not_equal(from_file, from_copy, sizeof from_copy);
}

static void cut_short(void **state) {
    (void)state;
    for (int64_t length = 0; length < model_length; length++) {
        uint8_t *memory = malloc((size_t)length + !length);
        assert_non_null(memory);
        memcpy(memory, model, (size_t)length);
        cp_net *net = loaded;
        assert_int_equal(cp_net_load_memory(&net, memory, length), CP_E_FORMAT);
        assert_null(net);
        assert_true(cp_error()[0]);
        free(memory);
    }
}

static void changed(void **state) {
    (void)state;
    cp_net *net;
    for (int64_t i = 0; i < model_length; i++) {
        model[i] ^= 4;
        const cp_status status = cp_net_load_memory(&net, model, model_length);
        model[i] ^= 4;
        if (!status) fail_msg("byte %lld was changed and nobody saw it", (long long)i);
    }
}

static void arguments(void **state) {
    (void)state;
    cp_net *net = loaded;
    assert_int_equal(cp_net_load_memory(NULL, model, model_length), CP_E_ARG);
    assert_int_equal(cp_net_load_memory(&net, NULL, model_length), CP_E_ARG);
    assert_null(net);
    assert_int_equal(cp_net_load_memory(&net, model, -1), CP_E_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_from_the_file),
        cmocka_unit_test(anywhere),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(changed),
        cmocka_unit_test(arguments),
    };
    return cmocka_run_group_tests(tests, save_model, free_model);
}
