/* Files: arrays in .npy files. Mutants of them: mutants.c. */
#include "files.h"

/* A file with this version, header and data. */
static const char *put_npy(int major, const char *header, const void *data, size_t bytes) {
    uint8_t file[1000] = "\x93NUMPY";
    const size_t length = strlen(header), width = major == 1 ? 2 : 4;
    file[6] = (uint8_t)major;
    file[8] = (uint8_t)length;
    memcpy(file + 8 + width, header, length);
    if (bytes) memcpy(file + 8 + width + length, data, bytes);
    return put_file("put.npy", file, 8 + width + length + bytes);
}

/* The bytes that NumPy itself writes for np.array([[1, 2, 3], [4, 5, 6]], '<i4'). */
static void test_npy_bytes(void **state) {
    (void)state;
    static const int32_t values[] = {1, 2, 3, 4, 5, 6};
    char expected[128 + sizeof values];
    memset(expected, ' ', 128);
    memcpy(expected, "\x93NUMPY\x01\x00\x76\x00", 10);
    memcpy(expected + 10, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }", 59);
    expected[127] = '\n';
    memcpy(expected + 128, values, sizeof values);
    const cp_tensor tensor = cp_view(values, CP_I32, cp_shape_of(2, (int64_t[]){2, 3}));
    ok(cp_npy_save(&tensor, in_folder("a.npy")));
    assert_file(in_folder("a.npy"), expected, sizeof expected);
}

static void test_npy_round_trip(void **state) {
    (void)state;
    static const cp_shape shapes[] = {{0, {0}},       {1, {5}},          {1, {0}},
                                      {3, {2, 0, 3}}, {4, {2, 3, 4, 2}}, {8, {1, 2, 1, 3, 1, 2, 1, 2}}};
    uint8_t bytes[8 * 48];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)random_below(256);
    for (cp_type type = CP_F32; type <= CP_U8; type++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            const cp_tensor tensor = cp_view(bytes, type, shapes[s]);
            cp_array array;
            ok(cp_npy_save(&tensor, in_folder("a.npy")));
            ok(cp_npy_load(&array, in_folder("a.npy")));
            assert_int_equal(array.type, type);
            assert_true(cp_shape_same(array.shape, shapes[s]));
            assert_memory_equal(array.data, bytes, (size_t)(cp_shape_count(shapes[s]) * cp_type_size(type)));
            cp_array_free(&array);
            assert_null(array.data);
        }
    cp_array_free(NULL);
}

/* Views are written in the order of their shape, whatever their memory. */
static void test_npy_strided(void **state) {
    (void)state;
    float memory[24];
    for (int i = 0; i < 24; i++) memory[i] = (float)i;
    const cp_tensor nchw = cp_nchw(memory, 2, 3, 2, 2);
    cp_array array;
    ok(cp_npy_save(&nchw, in_folder("a.npy")));
    ok(cp_npy_load(&array, in_folder("a.npy")));
    assert_true(cp_shape_same(array.shape, cp_shape_nhwc(2, 2, 2, 3)));
    const float *value = array.data;
    for (int n = 0; n < 2; n++)
        for (int p = 0; p < 4; p++)
            for (int c = 0; c < 3; c++) assert_true(*value++ == memory[(n * 3 + c) * 4 + p]);
    cp_array_free(&array);

    cp_tensor backwards = cp_vec(memory + 8, 3);
    backwards.stride[0] = -4;
    ok(cp_npy_save(&backwards, in_folder("a.npy")));
    ok(cp_npy_load(&array, in_folder("a.npy")));
    assert_memory_equal(array.data, ((float[]){8, 4, 0}), 12);
    cp_array_free(&array);
}

static void test_npy_other_writers(void **state) {
    (void)state;
    static const uint8_t values[] = {1, 2, 3, 4, 5, 6};
    static const struct {
        int major;
        const char *header;
        uint8_t expected[6];
    } cases[] = {
        {2, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }  \n", {1, 2, 3, 4, 5, 6}},
        {3, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3)}", {1, 2, 3, 4, 5, 6}},
        {1, "{\"shape\":(2,3,),\"descr\":\"|b1\",\"fortran_order\":False}\n", {1, 2, 3, 4, 5, 6}},
        {1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", {1, 3, 5, 2, 4, 6}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_array array;
        ok(cp_npy_load(&array, put_npy(cases[i].major, cases[i].header, values, 6)));
        assert_int_equal(array.type, i == 2 ? CP_BOOL : CP_U8);
        assert_true(cp_shape_same(array.shape, cp_shape_of(2, (int64_t[]){2, 3})));
        assert_memory_equal(array.data, cases[i].expected, 6);
        cp_array_free(&array);
    }
    /* Fortran order of three axes of wider elements: element (i,j,k) lies at i + 2*j + 6*k. */
    int64_t wide[24];
    for (int i = 0; i < 24; i++) wide[i] = i;
    cp_array array;
    ok(cp_npy_load(&array, put_npy(1, "{'descr':'<i8','fortran_order':True,'shape':(2,3,4)}", wide, sizeof wide)));
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++)
                assert_int_equal(((int64_t *)array.data)[(i * 3 + j) * 4 + k], i + 2 * j + 6 * k);
    cp_array_free(&array);
}

static void test_npy_refuses(void **state) {
    (void)state;
    static const uint8_t values[6] = {0};
#define REST ", 'fortran_order': False}"
    static const struct {
        int major;
        cp_status status;
        const char *header, *text;
    } cases[] = {
        {4, CP_E_UNSUPPORTED, "{}", "version 4.0 is not supported (newest: 3.0)"},
        {0, CP_E_UNSUPPORTED, "{}", "version 0.0"},
        {1, CP_E_UNSUPPORTED, "{'descr': '>f4', 'shape': (6,)" REST, "'>f4' are not supported (big-endian)"},
        {1, CP_E_UNSUPPORTED, "{'descr': '<c8', 'shape': (6,)" REST, "'<c8' are not supported: must be <f4"},
        {1, CP_E_UNSUPPORTED, "{'descr': '<V2', 'shape': (3,)" REST, "'<V2' are not supported (NumPy has no bf16)"},
        {1, CP_E_UNSUPPORTED, "{'descr': '|V2', 'shape': (3,)" REST, "'|V2' are not supported (NumPy has no bf16)"},
        {1, CP_E_UNSUPPORTED, "{'descr': '|O', 'shape': (6,)" REST, "'|O' are not supported"},
        {1, CP_E_UNSUPPORTED, "{'descr': '\x1b[31m', 'shape': (6,)" REST, "'\\x1b[31m' are not supported"},
        {1, CP_E_UNSUPPORTED, "{'descr': [('a', '<f4')], 'shape': (6,)" REST, "structured elements"},
        {1, CP_E_UNSUPPORTED, "{'descr': '|u1', 'shape': (1,1,1,1,1,1,1,1,6)" REST, "more than 8 dimensions"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (5,)" REST, "has 6 bytes of data, 5 u8 needs 5"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (7,)" REST, "has 6 bytes of data, 7 u8 needs 7"},
        {1, CP_E_FORMAT, "{'descr': '<f4', 'shape': (6,)" REST, "needs 24"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (0,)" REST, "has 6 bytes of data, 0 u8 needs 0"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (-6,)" REST, "negative dimension"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (4294967296, 4294967296)" REST, "element count overflows"},
        {1, CP_E_FORMAT, "{'descr': '<f8', 'shape': (2305843009213693960,)" REST, "byte size overflows"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (9223372036854775808,)" REST, "dimension too large"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (6)" REST, ", expected"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (,)" REST, "dimension expected"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (2 3)" REST, ", expected"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (2, 3" REST, "dimension expected"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': 6" REST, "( expected"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (6.0,)" REST, ", expected"},
        {1, CP_E_FORMAT, "{'descr': 3, 'shape': (6,)" REST, "quoted text expected"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (6,)}", "'fortran_order' is missing"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (6,), 'shape': (6,)" REST, "duplicate key 'shape'"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'other': (6,)" REST, "unknown key 'other'"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (6,), 'fortran_order': 0}", "True or False expected"},
        {1, CP_E_FORMAT, "{'descr': '|u1', 'shape': (6,)" REST "x", "something behind the end"},
        {1, CP_E_FORMAT, "{'descr': '|u1' 'shape': (6,)" REST, ", or } expected"},
        {1, CP_E_FORMAT, "{'descr' '|u1', 'shape': (6,)" REST, ": expected"},
        {1, CP_E_FORMAT, "'descr'", "{ expected"},
        {1, CP_E_FORMAT, "{'descr", "quoted text expected"},
        {1, CP_E_FORMAT, "", "{ expected"},
    };
#undef REST
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_array array = {.data = &array};
        const char *path = put_npy(cases[i].major, cases[i].header, values, 6);
        refused(cp_npy_load(&array, path), cases[i].status, cases[i].text);
        assert_ptr_equal(strstr(cp_error(), path), cp_error()); /* the file's name comes first */
        assert_null(array.data);
    }
    cp_array array;
    refused(cp_npy_load(&array, put_file("a.npy", "\x89PNG\r\n\x1a\n", 8)), CP_E_FORMAT, "not a .npy file");
    refused(cp_npy_load(&array, put_file("a.npy", "", 0)), CP_E_FORMAT, "not a .npy file");
    refused(cp_npy_load(&array, put_file("a.npy", "\x93NUMPY\1\1\0\0", 10)), CP_E_UNSUPPORTED, "version 1.1");
    refused(cp_npy_load(&array, put_file("a.npy", "\x93NUMPY\2\0\xff\xff\xff\xff{}", 14)), CP_E_FORMAT,
            "the header has 4294967295 bytes");
    refused(cp_npy_load(&array, in_folder("none.npy")), CP_E_IO, "none.npy: cannot open: No such file");
    refused(cp_npy_load(&array, folder), CP_E_IO, "is a directory");
    refused(cp_npy_load(&array, NULL), CP_E_ARG, "path is NULL");
    refused(cp_npy_load(NULL, "x"), CP_E_ARG, "array is NULL");
    refused(cp_npy_save(NULL, in_folder("a.npy")), CP_E_ARG, "tensor is NULL");
    const cp_tensor bad = cp_view(NULL, CP_F32, cp_shape_of(1, (int64_t[]){3}));
    refused(cp_npy_save(&bad, in_folder("a.npy")), CP_E_ARG, "pointer is NULL");
}

static void test_npy_cut(void **state) {
    (void)state;
    double values[6] = {1, 2, 3, 4, 5, 6};
    const cp_tensor tensor = cp_view(values, CP_F64, cp_shape_of(2, (int64_t[]){2, 3}));
    ok(cp_npy_save(&tensor, in_folder("a.npy")));
    int64_t length;
    uint8_t *seed = get_file(in_folder("a.npy"), &length);
    cp_array array;
    for (int64_t n = 0; n < length; n++)
        assert_int_equal(cp_npy_load(&array, put_file("b.npy", seed, (size_t)n)), CP_E_FORMAT);
    free(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npy_bytes),   cmocka_unit_test(test_npy_round_trip),
        cmocka_unit_test(test_npy_strided), cmocka_unit_test(test_npy_other_writers),
        cmocka_unit_test(test_npy_refuses), cmocka_unit_test(test_npy_cut),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
