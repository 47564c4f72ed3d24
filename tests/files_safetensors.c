/* Files: models in safetensors files. Mutants of them: mutants.c. */
#include "files.h"

static const float weights[] = {1, -2, 3.5f, 0, 1e-40f, 6};
static const int64_t steps[] = {INT64_MIN, 7};
static const double sums[] = {0.1};
static const int32_t labels[] = {-1, 2, 3};
static const uint8_t pixels[] = {9, 8, 7, 6, 5};

static const cp_note notes[] = {{"net", "conv 32 5x5 same relu; \"quoted\"\n"}, {"\xc3\xa9\\", ""}};

/* Tensors of each type, the wide ones not first. */
static void make_tensors(cp_stored stored[6]) {
    const int64_t d[] = {2, 3, 1};
    stored[0] = (cp_stored){"pixels", cp_view(pixels, CP_U8, cp_shape_of(1, (int64_t[]){5}))};
    stored[1] = (cp_stored){"conv1.weight", cp_view(weights, CP_F32, cp_shape_of(3, d))};
    stored[2] = (cp_stored){"empty \"\\\n\xe2\x82\xac", cp_view(NULL, CP_F32, cp_shape_of(2, (int64_t[]){0, 4}))};
    stored[3] = (cp_stored){"steps", cp_view(steps, CP_I64, cp_shape_of(1, (int64_t[]){2}))};
    stored[4] = (cp_stored){"sum", cp_view(sums, CP_F64, cp_shape_of(0, d))};
    stored[5] = (cp_stored){"labels", cp_view(labels, CP_I32, cp_shape_of(1, (int64_t[]){3}))};
}

static void save_ours(const char *path) {
    cp_stored stored[6];
    make_tensors(stored);
    ok(cp_safetensors_save(path, stored, 6, notes, 2));
}

static void test_safetensors_round_trip(void **state) {
    (void)state;
    cp_stored stored[6];
    make_tensors(stored);
    save_ours(in_folder("a"));
    cp_safetensors file;
    ok(cp_safetensors_load(&file, in_folder("a")));
    assert_true(file.checked);
    assert_int_equal(file.n_tensors, 6);
    assert_int_equal(file.n_notes, 2);
    for (int i = 0; i < 6; i++) {
        const cp_tensor *tensor = cp_safetensors_find(&file, stored[i].name);
        assert_non_null(tensor);
        assert_int_equal(tensor->type, stored[i].tensor.type);
        assert_true(cp_shape_same(tensor->shape, stored[i].tensor.shape));
        assert_true(cp_is_dense(tensor));
        const int64_t size = cp_type_size(tensor->type), count = cp_shape_count(tensor->shape);
        assert_int_equal((uintptr_t)tensor->data % (uintptr_t)size, 0);
        if (count) assert_memory_equal(tensor->data, stored[i].tensor.data, (size_t)(count * size));
    }
    for (int i = 0; i < 2; i++) assert_string_equal(cp_safetensors_note(&file, notes[i].name), notes[i].value);
    assert_null(cp_safetensors_find(&file, "conv2.weight"));
    assert_null(cp_safetensors_note(&file, "crc32c"));
    cp_safetensors_free(&file);
    assert_null(file.bytes.bytes);

    /* The data begin at a multiple of 64, and the same arguments give the same bytes. */
    int64_t length;
    uint64_t header;
    uint8_t *bytes = get_file(in_folder("a"), &length);
    memcpy(&header, bytes, 8);
    assert_int_equal((header + 8) % 64, 0);
    save_ours(in_folder("b"));
    assert_file(in_folder("b"), bytes, (size_t)length);
    free(bytes);
}

static void test_safetensors_nothing(void **state) {
    (void)state;
    cp_safetensors file;
    ok(cp_safetensors_save(in_folder("a"), NULL, 0, NULL, 0));
    ok(cp_safetensors_load(&file, in_folder("a")));
    assert_true(file.checked && file.n_tensors == 0 && file.n_notes == 0);
    cp_safetensors_free(&file);
}

static void test_safetensors_every_flip_and_cut(void **state) {
    (void)state;
    save_ours(in_folder("a"));
    int64_t length;
    uint8_t *bytes = get_file(in_folder("a"), &length);
    cp_safetensors file;
    for (int64_t bit = 0; bit < 8 * length; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (!cp_safetensors_load(&file, put_file("b", bytes, (size_t)length)))
            fail_msg("bit %lld flipped, and not found", (long long)bit);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int64_t n = 0; n < length; n++)
        assert_int_equal(cp_safetensors_load(&file, put_file("b", bytes, (size_t)n)), CP_E_FORMAT);
    bytes = realloc(bytes, (size_t)length + 1);
    bytes[length] = 0;
    refused(cp_safetensors_load(&file, put_file("b", bytes, (size_t)length + 1)), CP_E_FORMAT,
            "1 bytes behind the last tensor");
    /* The text names what is damaged: the data of the last tensor, and the notes. */
    bytes[length - 1] ^= 1;
    refused(cp_safetensors_load(&file, put_file("b", bytes, (size_t)length)), CP_E_FORMAT,
            "b: checksum mismatch in 'pixels'");
    bytes[length - 1] ^= 1;
    *(char *)memmem(bytes, (size_t)length, "relu", 4) = 'R';
    refused(cp_safetensors_load(&file, put_file("b", bytes, (size_t)length)), CP_E_FORMAT,
            "checksum mismatch in the header");
    free(bytes);
}

/* Bursts: whatever stands in up to 64 bytes instead of what was written. */
static void test_safetensors_every_burst(void **state) {
    (void)state;
    save_ours(in_folder("a"));
    int64_t length;
    uint8_t *seed = get_file(in_folder("a"), &length), *bytes = malloc((size_t)length);
    cp_safetensors file;
    for (int i = 0; i < 3000; i++) {
        const int64_t at = random_below((uint32_t)length), n = 1 + random_below(64);
        memcpy(bytes, seed, (size_t)length);
        for (int64_t k = at; k < at + n && k < length; k++) bytes[k] = (uint8_t)random_below(256);
        if (!memcmp(bytes, seed, (size_t)length)) continue;
        assert_int_not_equal(cp_safetensors_load(&file, put_file("b", bytes, (size_t)length)), CP_OK);
    }
    free(bytes);
    free(seed);
}

/* A file with a header of JSON and so many bytes of data: 0, 1, 2, ... */
static const char *put_safetensors(const char *json, size_t data) {
    uint8_t file[4000];
    const uint64_t length = strlen(json);
    memcpy(file, &length, 8);
    memcpy(file + 8, json, length);
    for (size_t i = 0; i < data; i++) file[8 + length + i] = (uint8_t)i;
    return put_file("put", file, 8 + length + data);
}

/* Written by others: no checksums, any order, any alignment of the data's beginning. */
static void test_safetensors_foreign(void **state) {
    (void)state;
    static const char json[] = "{\"b\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[8,12]},"
                               "\"none\":{\"data_offsets\":[8,8],\"shape\":[0],\"dtype\":\"F64\"},"
                               "\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                               "\"__metadata__\":{\"format\":\"pt\",\"crc32c\":\"mine\"}}        ";
    for (size_t cut = 0; cut < 8; cut++) {
        char header[sizeof json];
        strcpy(header, json);
        header[strlen(header) - cut] = 0;
        cp_safetensors file;
        ok(cp_safetensors_load(&file, put_safetensors(header, 12)));
        assert_false(file.checked);
        assert_int_equal(file.n_tensors, 3);
        assert_true(*(int64_t *)cp_safetensors_find(&file, "a")->data == 0x0706050403020100);
        assert_true(*(int32_t *)cp_safetensors_find(&file, "b")->data == 0x0b0a0908);
        assert_int_equal((uintptr_t)cp_safetensors_find(&file, "a")->data % 8, 0);
        assert_string_equal(cp_safetensors_note(&file, "format"), "pt");
        assert_string_equal(cp_safetensors_note(&file, "crc32c"), "mine");
        cp_safetensors_free(&file);
    }
}

static void test_safetensors_refuses(void **state) {
    (void)state;
#define TENSOR(name, dtype, shape, offsets)                                                                            \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
    static const struct {
        cp_status status;
        const char *json, *text; /* with 8 bytes of data */
    } cases[] = {
        {CP_E_UNSUPPORTED, "{" TENSOR("w", "I16", "[4]", "[0,8]") "}", "'w' has dtype I16"},
        {CP_E_FORMAT, "{\"w\":{\"shape\":[8],\"data_offsets\":[0,8]}}", "'w' has no dtype"},
        {CP_E_FORMAT, "{\"w\":{\"dtype\":\"U8\",\"data_offsets\":[0,8]}}", "'w' has no shape"},
        {CP_E_FORMAT, "{\"w\":{\"dtype\":\"U8\",\"shape\":[8]}}", "'w': data_offsets must be two whole numbers"},
        {CP_E_FORMAT, "{\"w\":7}", "'w' has no dtype"},
        {CP_E_FORMAT, "{" TENSOR("w", "U8", "[8]", "[0]") "}", "two whole numbers"},
        {CP_E_FORMAT, "{" TENSOR("w", "U8", "[8]", "[0,8,8]") "}", "two whole numbers"},
        {CP_E_FORMAT, "{" TENSOR("w", "U8", "[8]", "[0.5,8]") "}", "two whole numbers"},
        {CP_E_FORMAT, "{" TENSOR("w", "U8", "[8]", "[1,9]") "}", "'w': bytes 1..9 outside the 8 bytes of data"},
        {CP_E_FORMAT, "{" TENSOR("w", "U8", "[8]", "[-1,7]") "}", "bytes -1..7 outside"},
        {CP_E_FORMAT, "{" TENSOR("w", "U8", "[8]", "[8,0]") "}", "bytes 8..0 outside"},
        {CP_E_FORMAT, "{" TENSOR("w", "U8", "[8]", "[0,9223372036854775808]") "}", "two whole numbers"},
        {CP_E_FORMAT, "{" TENSOR("w", "F32", "[3]", "[0,8]") "}", "'w' has 8 bytes, 3 f32 needs 12"},
        {CP_E_FORMAT, "{" TENSOR("w", "F32", "[0]", "[0,8]") "}", "'w' has 8 bytes, 0 f32 needs 0"},
        {CP_E_FORMAT, "{" TENSOR("w", "U8", "[-8]", "[0,8]") "}", "'w' dimension 0 is -8"},
        {CP_E_FORMAT, "{" TENSOR("w", "U8", "[1e0]", "[0,8]") "}", "dimension 0 is no whole number"},
        {CP_E_FORMAT, "{" TENSOR("w", "U8", "[4294967296,4294967296,1,1]", "[0,8]") "}", "element count overflows"},
        {CP_E_FORMAT, "{" TENSOR("w", "F64", "[2305843009213693953]", "[0,8]") "}", "byte size overflows"},
        {CP_E_UNSUPPORTED, "{" TENSOR("w", "U8", "[1,1,1,1,1,1,1,1,8]", "[0,8]") "}", "'w' has more than 8 dimensions"},
        {CP_E_UNSUPPORTED,
         "{" TENSOR("a", "U8", "[3]", "[0,3]") "," TENSOR("b", "U8", "[1]", "[7,8]") "," TENSOR("w", "F32", "[1]",
                                                                                                "[3,7]") "}",
         "'w' begins at byte 3"},
        {CP_E_FORMAT, "{" TENSOR("a", "U8", "[5]", "[0,5]") "," TENSOR("b", "U8", "[4]", "[4,8]") "}",
         "'a' and 'b' overlap"},
        {CP_E_FORMAT, "{" TENSOR("a", "U8", "[8]", "[0,8]") "," TENSOR("b", "U8", "[8]", "[0,8]") "}", "overlap"},
        {CP_E_FORMAT, "{" TENSOR("a", "U8", "[3]", "[0,3]") "," TENSOR("b", "U8", "[4]", "[4,8]") "}",
         "a hole of 1 bytes before 'b'"},
        {CP_E_FORMAT, "{" TENSOR("a", "U8", "[7]", "[1,8]") "}", "a hole of 1 bytes before 'a'"},
        {CP_E_FORMAT, "{" TENSOR("a", "U8", "[7]", "[0,7]") "}", "1 bytes behind the last tensor"},
        {CP_E_FORMAT, "{}", "8 bytes behind the last tensor"},
        {CP_E_FORMAT, "{" TENSOR("a", "U8", "[4]", "[0,4]") "," TENSOR("a", "U8", "[4]", "[4,8]") "}",
         "duplicate name 'a'"},
        {CP_E_FORMAT, "{" TENSOR("\\u001b[2J", "U8", "[9]", "[0,8]") "}", "'\\x1b[2J' has 8 bytes"},
        {CP_E_FORMAT, "{\"__metadata__\":[]}", "__metadata__ is no object"},
        {CP_E_FORMAT, "{\"__metadata__\":{\"a\":1}}", "__metadata__: 'a' is no text"},
        {CP_E_UNSUPPORTED, "{\"__metadata__\":{\"convpool\":\"999\"}}", "version 999 (newest: 1)"},
        {CP_E_FORMAT, "{\"__metadata__\":{\"convpool\":\"1\"}}", "checksum mismatch in the header"},
        {CP_E_FORMAT, "{\"__metadata__\":{\"crc32c\":\"{\\\"header\\\":\\\"00000000\\\"}\",\"convpool\":\"1\"}}",
         "checksum mismatch in the header"},
        {CP_E_FORMAT, "{\"__metadata__\":{\"crc32c\":\"{\\\"header\\\":\\\"", "header: JSON: text without an end"},
        {CP_E_FORMAT, "[]", "its header is no JSON object"},
        {CP_E_FORMAT, " {}", "its header is no JSON object"},
        {CP_E_FORMAT, "{} x", "header: JSON: something behind the end at byte 3"},
    };
    cp_safetensors file;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = put_safetensors(cases[i].json, 8);
        refused(cp_safetensors_load(&file, path), cases[i].status, cases[i].text);
        assert_ptr_equal(strstr(cp_error(), path), cp_error());
        assert_null(file.bytes.bytes);
    }
    static const struct {
        const char *bytes;
        size_t length;
        const char *text;
    } raw[] = {
        {"", 0, "not a safetensors file: it has only 0 bytes"},
        {"\2\0\0\0\0\0\0\0{", 9, "not a safetensors file: it has only 9 bytes"},
        {"\x89PNG\r\n\x1a\n    ", 12, "not a safetensors file: a header of"},
        {"\0\0\0\0\0\0\0\x80{}", 10, "a header of 9223372036854775808 bytes in a file of 10"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "a header of 18446744073709551615 bytes in a file of 10"},
        {"\3\0\0\0\0\0\0\0{}", 10, "a header of 3 bytes in a file of 10"},
        {"\0\0\0\0\0\0\0\0{}", 10, "header: JSON: value expected"},
    };
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++)
        refused(cp_safetensors_load(&file, put_file("a", raw[i].bytes, raw[i].length)), CP_E_FORMAT, raw[i].text);
    refused(cp_safetensors_load(&file, folder), CP_E_IO, "is a directory");
    refused(cp_safetensors_load(&file, in_folder("none")), CP_E_IO, "No such file");
}

/* A forger can make a right header checksum, but not a crash: the tensors' checksums may be anything. */
static void test_safetensors_forged_sums(void **state) {
    (void)state;
    static const struct {
        const char *sums, *text;
    } cases[] = {
        {"\\\"tensors\\\":{\\\"w\\\":\\\"00000000\\\"}", "checksum mismatch in 'w'"},
        {"\\\"tensors\\\":{\\\"v\\\":\\\"00000000\\\"}", "no checksum of 'w'"},
        {"\\\"tensors\\\":{\\\"w\\\":7}", "no checksum of 'w'"},
        {"\\\"tensors\\\":[\\\"w\\\"]", "no checksum of 'w'"},
        {"\\\"tensors\\\":{}", "no checksum of 'w'"},
        {"\\\"other\\\":{}", "no checksum of 'w'"},
        {"\\\"tensors\\\":{\\\"w\\\":\\\"8a2cbc3b\\\",\\\"x\\\":\\\"\\\"}", "a checksum of a tensor that is missing"},
        {"1", "checksums: JSON: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[400], digits[9];
        snprintf(json, sizeof json,
                 "{\"__metadata__\":{\"crc32c\":\"{\\\"header\\\":\\\"00000000\\\",%s}\",\"convpool\":\"1\"}," TENSOR(
                     "w", "U8", "[8]", "[0,8]") "}",
                 cases[i].sums);
        const uint64_t length = strlen(json);
        snprintf(digits, sizeof digits, "%08x", cp_crc32c(cp_crc32c(0, &length, 8), json, (int64_t)length));
        memcpy(strstr(json, "00000000"), digits, 8);
        cp_safetensors file;
        refused(cp_safetensors_load(&file, put_safetensors(json, 8)), CP_E_FORMAT, cases[i].text);
    }
}

static void test_safetensors_cut_foreign(void **state) {
    (void)state;
    const char *path =
        put_safetensors("{\"__metadata__\":{\"net\":\"x\"}," TENSOR("a", "I64", "[2,1]", "[0,16]") "," TENSOR(
                            "b", "F32", "[1,2,1]", "[16,24]") "," TENSOR("c", "U8", "[]", "[24,25]") "}",
                        25);
    int64_t length;
    uint8_t *seed = get_file(path, &length);
    cp_safetensors file;
    for (int64_t n = 0; n < length; n++)
        assert_int_equal(cp_safetensors_load(&file, put_file("b", seed, (size_t)n)), CP_E_FORMAT);
    free(seed);
}

static void test_safetensors_refuses_to_save(void **state) {
    (void)state;
    const cp_tensor w = cp_vec(weights, 6);
    const char *path = in_folder("unsaved");
    refused(cp_safetensors_save(path, (cp_stored[]){{"w", w}, {"w", w}}, 2, NULL, 0), CP_E_ARG, "duplicate name 'w'");
    refused(cp_safetensors_save(path, (cp_stored[]){{"__metadata__", w}}, 1, NULL, 0), CP_E_ARG, "duplicate name");
    refused(cp_safetensors_save(path, (cp_stored[]){{"\xff", w}}, 1, NULL, 0), CP_E_ARG, "invalid UTF-8");
    refused(cp_safetensors_save(path, NULL, 0, (cp_note[]){{"a", ""}, {"a", ""}}, 2), CP_E_ARG, "duplicate name 'a'");
    refused(cp_safetensors_save(path, NULL, 0, (cp_note[]){{"crc32c", ""}}, 1), CP_E_ARG, "duplicate name 'crc32c'");
    cp_tensor gaps = cp_vec(weights, 3);
    gaps.stride[0] = 2;
    refused(cp_safetensors_save(path, (cp_stored[]){{"w", gaps}}, 1, NULL, 0), CP_E_ARG, "'w' has gaps");
    cp_tensor none = cp_vec(NULL, 3);
    refused(cp_safetensors_save(path, (cp_stored[]){{"w", none}}, 1, NULL, 0), CP_E_ARG, "pointer is NULL");
    assert_int_equal(access(path, F_OK), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors_round_trip),
        cmocka_unit_test(test_safetensors_nothing),
        cmocka_unit_test(test_safetensors_every_flip_and_cut),
        cmocka_unit_test(test_safetensors_every_burst),
        cmocka_unit_test(test_safetensors_foreign),
        cmocka_unit_test(test_safetensors_refuses),
        cmocka_unit_test(test_safetensors_forged_sums),
        cmocka_unit_test(test_safetensors_cut_foreign),
        cmocka_unit_test(test_safetensors_refuses_to_save),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
