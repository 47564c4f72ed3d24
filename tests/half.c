/* Numbers of two bytes: every one of them there and back, where rounding falls, and what files and nets make of them.
 */
#include "file/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char path[64];

static int make_file(void **state) {
    (void)state;
    strcpy(path, "/tmp/convpool-half-XXXXXX");
    const int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void assert_ok(cp_status status) {
    if (status) fail_msg("status %d: %s", status, cp_error());
}

static void assert_fails(cp_status status, cp_status expected, const char *text) {
    if (status != expected || !strstr(cp_error(), text))
        fail_msg("status %d, \"%s\"; expected %d, \"%s\"", status, status ? cp_error() : "", expected, text);
}

/* --- numbers --- */

/* As the standards define the formats: (-1)^sign * 2^exponent * significand. */
static double value_of(uint16_t half, cp_type type) {
    const int fraction_bits = type == CP_F16 ? 10 : 7, bias = type == CP_F16 ? 15 : 127;
    const int top = type == CP_F16 ? 31 : 255, exponent = (half & 0x7fff) >> fraction_bits;
    const int fraction = half & ((1 << fraction_bits) - 1);
    double value;
    if (exponent == top)
        value = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp(fraction, 1 - bias - fraction_bits);
    else
        value = ldexp(1 + ldexp(fraction, -fraction_bits), exponent - bias);
    return half & 0x8000 ? -value : value;
}

static void every_half_there_and_back(void **state) {
    (void)state;
    for (cp_type type = CP_F16; type <= CP_BF16; type++)
        for (int bits = 0; bits < 65536; bits++) {
            const uint16_t half = (uint16_t)bits;
            const double value = cp_half_to_double(half, type), expected = value_of(half, type);
            const uint16_t back = cp_half_from_double(value, type);
            if (isnan(expected)) {
                const uint16_t quiet = type == CP_F16 ? 0x200 : 0x40;
                assert_true(isnan(value));
                assert_int_equal(back, half | quiet);
            } else {
                assert_true(value == expected && !signbit(value) == !signbit(expected));
                assert_int_equal(back, half);
            }
        }
}

/* A bf16 is the upper half of a float. */
static void every_bfloat_is_a_float(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const uint32_t wide = bits << 16;
        float number;
        memcpy(&number, &wide, sizeof number);
        if (!isnan(number)) assert_true(cp_half_to_double((uint16_t)bits, CP_BF16) == (double)number);
    }
}

/* Between two neighbours: the middle goes to the even one, what is next to the middle to the nearer one. */
static void rounding_between_neighbours(void **state) {
    (void)state;
    for (cp_type type = CP_F16; type <= CP_BF16; type++) {
        const uint16_t largest = type == CP_F16 ? 0x7bff : 0x7f7f;
        for (uint16_t half = 0; half < largest; half++) {
            const double low = value_of(half, type), high = value_of((uint16_t)(half + 1), type);
            const double middle = low + (high - low) / 2; /* exactly */
            const uint16_t even = half & 1 ? (uint16_t)(half + 1) : half;
            assert_int_equal(cp_half_from_double(middle, type), even);
            assert_int_equal(cp_half_from_double(nextafter(middle, 0), type), half);
            assert_int_equal(cp_half_from_double(nextafter(middle, INFINITY), type), half + 1);
            assert_int_equal(cp_half_from_double(-middle, type), even | 0x8000);
        }
    }
}

static void ends_of_the_range(void **state) {
    (void)state;
    static const struct {
        cp_type type;
        double value;
        uint16_t expected;
    } cases[] = {
        {CP_F16, 65504, 0x7bff},
        {CP_F16, 65519.999, 0x7bff},
        {CP_F16, 65520, 0x7c00},
        {CP_F16, -1e300, 0xfc00},
        {CP_F16, INFINITY, 0x7c00},
        {CP_F16, 0x1p-24, 0x0001},
        {CP_F16, 0x1p-25, 0x0000},
        {CP_F16, -0x1.000002p-25, 0x8001},
        {CP_F16, 0x1p-26, 0x0000},
        {CP_F16, 0x1p-1074, 0x0000},
        {CP_F16, -0.0, 0x8000},
        {CP_F16, 0x1.ffcp-15, 0x03ff + 1}, /* denormal, rounded to the smallest normal number */
        {CP_F16, 1, 0x3c00},
        {CP_F16, -2, 0xc000},
        {CP_BF16, 0x1.fep127, 0x7f7f},
        {CP_BF16, 0x1.fefffep127, 0x7f7f},
        {CP_BF16, 0x1.ffp127, 0x7f80},
        {CP_BF16, -INFINITY, 0xff80},
        {CP_BF16, 0x1p-133, 0x0001},
        {CP_BF16, 0x1p-134, 0x0000},
        {CP_BF16, 0x1.8p-134, 0x0001},
        {CP_BF16, 1, 0x3f80},
        {CP_BF16, 0x1.01p0, 0x3f80}, /* the middle: to the even one */
        {CP_BF16, 0x1.03p0, 0x3f82},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint16_t half = cp_half_from_double(cases[i].value, cases[i].type);
        if (half != cases[i].expected)
            fail_msg("%s of %a is %04x, expected %04x", cp_type_name(cases[i].type), cases[i].value, half,
                     cases[i].expected);
    }
    /* A NaN whose bits are all lost is still one, with its sign. */
    const uint64_t last_bit = UINT64_C(0xfff0000000000001);
    double nan;
    memcpy(&nan, &last_bit, sizeof nan);
    assert_int_equal(cp_half_from_double(nan, CP_F16), 0xfe00);
    assert_int_equal(cp_half_from_double(nan, CP_BF16), 0xffc0);
}

/* Rounded once, not first to a float: here that would end at the middle, and then at the even neighbour. */
static void rounded_once(void **state) {
    (void)state;
    const double value = 1 + 0x1p-11 + 0x1p-40;
    double stored = value;
    uint16_t half = 0;
    const cp_shape one = {0};
    const cp_tensor from = cp_view(&stored, CP_F64, one), to = cp_view(&half, CP_F16, one);
    assert_ok(cp_tensor_convert(&to, &from));
    assert_int_equal(half, 0x3c01);
}

/* --- tensors --- */

static void tensors_of_halves(void **state) {
    (void)state;
    assert_int_equal(cp_type_size(CP_F16), 2);
    assert_int_equal(cp_type_size(CP_BF16), 2);
    assert_string_equal(cp_type_name(CP_F16), "f16");
    assert_string_equal(cp_type_name(CP_BF16), "bf16");

    float numbers[24], back[24];
    uint16_t halves[24], copied[24];
    for (int i = 0; i < 24; i++) numbers[i] = (float)i / 4 - 2;
    const cp_shape shape = cp_shape_nhwc(2, 2, 2, 3);
    for (cp_type type = CP_F16; type <= CP_BF16; type++) {
        const cp_tensor from = cp_nchw(numbers, 2, 3, 2, 2), to = cp_view(halves, type, shape);
        const cp_tensor other = cp_view_channels_first(copied, type, shape), again = cp_nchw(back, 2, 3, 2, 2);
        assert_ok(cp_tensor_convert(&to, &from));
        assert_ok(cp_tensor_copy(&other, &to));
        assert_ok(cp_tensor_convert(&again, &other));
        assert_memory_equal(back, numbers, sizeof numbers);
    }
}

static void conversions_that_are_refused(void **state) {
    (void)state;
    float numbers[4] = {0};
    uint16_t halves[4] = {0};
    int32_t whole[4] = {0};
    const cp_shape four = {1, {4}}, three = {1, {3}};
    const cp_tensor f32 = cp_view(numbers, CP_F32, four), f16 = cp_view(halves, CP_F16, four);
    const cp_tensor i32 = cp_view(whole, CP_I32, four), fewer = cp_view(halves, CP_BF16, three);
    assert_fails(cp_tensor_convert(&i32, &f32), CP_E_ARG, "cannot convert to i32: must be f32, f64, f16 or bf16");
    assert_fails(cp_tensor_convert(&fewer, &f32), CP_E_SHAPE, "cannot copy 4 to 3");
    assert_fails(cp_tensor_convert(NULL, &f32), CP_E_ARG, "to is NULL");
    assert_fails(cp_tensor_convert(&f32, NULL), CP_E_ARG, "from is NULL");
    assert_fails(cp_tensor_copy(&f16, &f32), CP_E_ARG, "to has type f16, which is for storage: must be f32");
    whole[2] = -7;
    assert_ok(cp_tensor_convert(&f16, &i32));
    assert_true(cp_get(&f16, 2) == -7);
}

/* --- nets compute in f32 --- */

static void operations_refuse_halves(void **state) {
    (void)state;
    uint16_t halves[16] = {0};
    float numbers[16] = {0}, weights[4] = {1, 2, 3, 4};
    const cp_shape shape = cp_shape_nhwc(1, 4, 4, 1);
    const cp_tensor x16 = cp_view(halves, CP_F16, shape), x = cp_nhwc(numbers, 1, 4, 4, 1);
    const cp_tensor w = cp_hwio(weights, 2, 2, 1, 1), w16 = cp_view(halves, CP_BF16, w.shape);
    const cp_tensor y = cp_nhwc(numbers, 1, 3, 3, 1);
    const cp_conv conv = {0};
    const cp_pool pool = {.kernel = {2, 2}};
    assert_fails(cp_conv_run(NULL, &conv, &x16, &w, NULL, &y), CP_E_ARG,
                 "x has type f16, which is for storage: must be f32");
    assert_fails(cp_conv_run(NULL, &conv, &x, &w16, NULL, &y), CP_E_ARG,
                 "w has type bf16, which is for storage: must be f32");
    assert_fails(cp_pool_run(NULL, &pool, &x16, &y), CP_E_ARG, "f16, which is for storage: must be f32");

    cp_net *net;
    cp_plan *plan;
    assert_ok(cp_net_new(&net));
    cp_net_output(net, cp_net_pool(net, cp_net_input(net, "x", CP_F32, shape), &pool), "y");
    assert_fails(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.inputs = &x16}), CP_E_ARG,
                 "f16, which is for storage: must be f32");
    assert_fails(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.type = CP_BF16}), CP_E_ARG,
                 "a plan computes in CP_F32 or CP_F64, not in bf16");
    const char *text;
    assert_int_equal(cp_net_input(net, "half", CP_F16, shape), 0);
    assert_int_equal(cp_net_error(net, &text), CP_E_ARG);
    assert_string_equal(text, "input 'half' has type f16, which is for storage: nets compute in f32");
    cp_net_free(net);
}

/* --- files --- */

static void npy_files(void **state) {
    (void)state;
    uint16_t halves[6] = {0x3c00, 0x0001, 0x7c00, 0xfe00, 0x8000, 0x7bff};
    const cp_shape shape = {2, {2, 3}};
    const cp_tensor f16 = cp_view(halves, CP_F16, shape), bf16 = cp_view(halves, CP_BF16, shape);
    cp_array array;
    assert_ok(cp_npy_save(&f16, path));
    assert_ok(cp_npy_load(&array, path));
    assert_int_equal(array.type, CP_F16);
    assert_true(cp_shape_same(array.shape, shape));
    assert_memory_equal(array.data, halves, sizeof halves);
    cp_array_free(&array);

    /* numpy.save(path, numpy.array([1, -2], 'float16')) */
    char bytes[128 + 5], header[119];
    snprintf(header, sizeof header, "%-117s\n", "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }");
    memcpy(bytes, "\x93NUMPY\1\0\x76\0", 10);
    memcpy(bytes + 10, header, 118);
    memcpy(bytes + 128, "\x00\x3c\x00\xc0", 4);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, 132, file), 132);
    fclose(file);
    assert_ok(cp_npy_load(&array, path));
    const cp_tensor loaded = cp_view(array.data, array.type, array.shape);
    assert_true(cp_get(&loaded, 0) == 1 && cp_get(&loaded, 1) == -2);
    cp_array_free(&array);

    assert_fails(cp_npy_save(&bf16, path), CP_E_UNSUPPORTED, "bf16 cannot be saved in a .npy file");
}

static void safetensors_files(void **state) {
    (void)state;
    uint16_t halves[3] = {0x3c00, 0x0001, 0xfe00};
    uint8_t odd[5] = {1, 2, 3, 4, 5};
    float number = 1;
    const cp_shape three = {1, {3}}, five = {1, {5}};
    const cp_stored stored[] = {{"odd", cp_view(odd, CP_U8, five)},
                                {"f16", cp_view(halves, CP_F16, three)},
                                {"bf16", cp_view(halves, CP_BF16, three)},
                                {"f32", cp_view(&number, CP_F32, (cp_shape){0})}};
    cp_safetensors file;
    assert_ok(cp_safetensors_save(path, stored, 4, NULL, 0));
    assert_ok(cp_safetensors_load(&file, path));
    assert_true(file.checked);
    for (int i = 0; i < 4; i++) {
        const cp_tensor *tensor = cp_safetensors_find(&file, stored[i].name);
        const int64_t bytes = cp_shape_count(stored[i].tensor.shape) * cp_type_size(stored[i].tensor.type);
        assert_non_null(tensor);
        assert_int_equal(tensor->type, stored[i].tensor.type);
        assert_memory_equal(tensor->data, stored[i].tensor.data, (size_t)bytes);
    }
    cp_safetensors_free(&file);
}

/* With every kind of parameter, and constants of several types as weights and beside them. */
static cp_net *new_net(float scale) {
    cp_net *net;
    float bias[5] = {0.1f * scale, -0.2f, 1e-6f, 0, 3};
    int32_t whole[2] = {7, 1 << 20};
    assert_ok(cp_net_new(&net));
    cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 6, 6, 1));
    x = cp_net_parse(net, x, "conv 3 3x3 same relu; pool 2; flatten; dense 5");
    const cp_tensor b = cp_vec(bias, 5), w = cp_view(whole, CP_I32, (cp_shape){1, {2}});
    float identity[25] = {0};
    for (int i = 0; i < 5; i++) identity[6 * i] = 0.3f;
    const cp_tensor matrix = cp_mat(identity, 5, 5);
    x = cp_net_dense_with(net, x, cp_net_constant(net, "matrix", &matrix), cp_net_constant(net, "shift", &b),
                          CP_LINEAR);
    cp_net_constant(net, "whole", &w);
    cp_net_output(net, x, "y");
    assert_ok(cp_net_initialize(net, CP_GLOROT, 7));
    return net;
}

static void run_net(const cp_net *net, float y[5]) {
    float image[36];
    for (int i = 0; i < 36; i++) image[i] = (float)(i % 7) / 7;
    const cp_tensor in = cp_nhwc(image, 1, 6, 6, 1), out = cp_mat(y, 1, 5);
    cp_plan *plan;
    cp_work *work;
    assert_ok(cp_net_plan(&plan, NULL, net, NULL));
    assert_ok(cp_work_new(&work, plan));
    assert_ok(cp_plan_run(plan, work, &in, 1, &out, 1));
    cp_work_free(work);
    cp_plan_free(plan);
}

static void models_in_halves(void **state) {
    (void)state;
    cp_net *net = new_net(1), *loaded;
    float before[5], after[5];
    run_net(net, before);
    for (cp_type type = CP_F16; type <= CP_BF16; type++) {
        assert_ok(cp_net_save_as(net, path, type));
        cp_safetensors file;
        assert_ok(cp_safetensors_load(&file, path));
        for (int64_t i = 0; i < file.n_tensors; i++)
            assert_int_equal(file.tensors[i].tensor.type, strcmp(file.tensors[i].name, "whole") ? type : CP_I32);
        cp_safetensors_free(&file);

        assert_ok(cp_net_load(&loaded, path));
        for (int p = 0; p < cp_net_parameters(net); p++) {
            const cp_tensor a = cp_net_parameter(net, p), b = cp_net_parameter(loaded, p);
            assert_int_equal(b.type, CP_F32);
            for (int64_t e = 0; e < cp_shape_count(a.shape); e++) {
                const uint16_t half = cp_half_from_double(cp_get(&a, e), type);
                assert_true(cp_get(&b, e) == cp_half_to_double(half, type));
            }
        }
        run_net(loaded, after);
        for (int i = 0; i < 5; i++) assert_true(fabsf(after[i] - before[i]) <= (type == CP_F16 ? 0.01f : 0.08f));

        /* What is halved once is halved to the same bits. */
        float again[5];
        cp_net *second;
        assert_ok(cp_net_save_as(loaded, path, type));
        assert_ok(cp_net_load(&second, path));
        run_net(second, again);
        assert_memory_equal(again, after, sizeof after);
        cp_net_free(second);
        cp_net_free(loaded);
    }
    cp_net_free(net);
}

/* A good file is not replaced by one with infinities; a number that was infinite before may stay so. */
static void models_too_large_for_halves(void **state) {
    (void)state;
    cp_net *net = new_net(1), *loaded;
    assert_ok(cp_net_save(net, path));
    const cp_tensor weights = cp_net_parameter(net, 0);
    cp_put(&weights, 4, 70000);
    assert_fails(cp_net_save_as(net, path, CP_F16), CP_E_ARG, "'conv1.weight' has the number 70000, too large for f16");
    assert_ok(cp_net_load(&loaded, path));
    cp_net_free(loaded);
    assert_ok(cp_net_save_as(net, path, CP_BF16));
    cp_put(&weights, 4, INFINITY);
    assert_ok(cp_net_save_as(net, path, CP_F16));
    assert_fails(cp_net_save_as(net, path, CP_F64), CP_E_ARG, "cannot be saved as f64: must be f32, f16 or bf16");
    assert_fails(cp_net_save_as(net, path, CP_I32), CP_E_ARG, "cannot be saved as i32");
    cp_net_free(net);

    net = new_net(1e6f);
    assert_fails(cp_net_save_as(net, path, CP_F16), CP_E_ARG, "'shift' has the number 100000, too large for f16");
    cp_net_free(net);
}

static void halves_as_constants(void **state) {
    (void)state;
    uint16_t halves[2] = {0x3c00, 0xc000};
    const cp_tensor value = cp_view(halves, CP_F16, (cp_shape){2, {1, 2}});
    float one[2] = {10, 20}, y[2];
    const cp_tensor in = cp_mat(one, 1, 2), out = cp_mat(y, 1, 2);
    cp_net *net;
    cp_plan *plan;
    cp_work *work;
    assert_ok(cp_net_new(&net));
    const cp_node x = cp_net_input(net, "x", CP_F32, in.shape);
    cp_net_output(net, cp_net_add(net, x, cp_net_constant(net, "half", &value)), "y");
    assert_ok(cp_net_plan(&plan, NULL, net, NULL));
    assert_ok(cp_work_new(&work, plan));
    assert_ok(cp_plan_run(plan, work, &in, 1, &out, 1));
    assert_true(y[0] == 11 && y[1] == 18);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_net_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_there_and_back),
        cmocka_unit_test(every_bfloat_is_a_float),
        cmocka_unit_test(rounding_between_neighbours),
        cmocka_unit_test(ends_of_the_range),
        cmocka_unit_test(rounded_once),
        cmocka_unit_test(tensors_of_halves),
        cmocka_unit_test(conversions_that_are_refused),
        cmocka_unit_test(operations_refuse_halves),
        cmocka_unit_test(npy_files),
        cmocka_unit_test(safetensors_files),
        cmocka_unit_test(models_in_halves),
        cmocka_unit_test(models_too_large_for_halves),
        cmocka_unit_test(halves_as_constants),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
