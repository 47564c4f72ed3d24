/* Files: .npy, safetensors, JSON, checksums, and saving that never loses the old file. Mutants of files: mutants.c. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <unistd.h>

#include <cmocka.h>

#include "file/file.h"
#include "mutate.h"

/* --- a folder of our own --- */

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    /* In memory where that is to be had: the tests write many thousand files, and fsync takes its time on a disk. */
    snprintf(folder, sizeof folder, "%s/convpool-files-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    return mkdtemp(folder) ? 0 : -1;
}

/* The files in the folder, each removed if asked for. */
static int count_files(bool remove_them) {
    int n = 0;
    char path[400];
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        n++;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (remove_them) assert_int_equal(remove(path), 0);
    }
    closedir(list);
    return n;
}

static int remove_folder(void **state) {
    (void)state;
    count_files(true);
    return rmdir(folder);
}

/* Valid until the next but three. */
static const char *in_folder(const char *name) {
    static char paths[4][400];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static const char *put_file(const char *name, const void *bytes, size_t length) {
    const char *path = in_folder(name);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, length), length);
    close(file);
    return path;
}

/* The bytes of a file; free() them. */
static uint8_t *get_file(const char *path, int64_t *length) {
    uint8_t *bytes;
    const cp_status status = cp_file_read(path, 1 << 30, &bytes, length);
    if (status) fail_msg("%s", cp_error());
    return bytes;
}

static void assert_file(const char *path, const void *bytes, size_t length) {
    int64_t found;
    uint8_t *content = get_file(path, &found);
    assert_int_equal(found, length);
    assert_memory_equal(content, bytes, length);
    free(content);
}

static void assert_ok(cp_status status) {
    if (status) fail_msg("status %d: %s", status, cp_error());
}

static void assert_fails(cp_status status, cp_status expected, const char *text) {
    if (status != expected || !strstr(cp_error(), text))
        fail_msg("status %d, \"%s\"; expected %d, \"%s\"", status, status ? cp_error() : "", expected, text);
}

static uint32_t random_state = 1;
static uint32_t random_below(uint32_t n) {
    return mutation_random(&random_state, n);
}

/* --- checksum --- */

static uint32_t bitwise_crc32c(const uint8_t *bytes, int64_t length) {
    uint32_t crc = UINT32_MAX;
    for (int64_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
    }
    return ~crc;
}

/* The vectors of RFC 3720, B.4. */
static void test_crc32c_known(void **state) {
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(cp_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(cp_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(cp_crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(cp_crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(cp_crc32c(0, NULL, 0), 0);
}

static void test_crc32c_of_long_data(void **state) {
    (void)state;
    enum { LONG = 1 << 14, MOST = 3 * LONG };
    uint8_t *bytes = malloc(MOST);
    assert_non_null(bytes);
    for (int i = 0; i < MOST; i++) bytes[i] = (uint8_t)random_below(256);
    for (int64_t n = LONG - 2; n < LONG + 50; n++)
        assert_int_equal(cp_crc32c(0, bytes + n % 8, n), bitwise_crc32c(bytes + n % 8, n));
    assert_int_equal(cp_crc32c(cp_crc32c(0, bytes, 100), bytes + 100, MOST - 100), bitwise_crc32c(bytes, MOST));
    free(bytes);
}

static void test_crc32c_every_length_and_split(void **state) {
    (void)state;
    uint8_t bytes[100];
    for (int i = 0; i < 100; i++) bytes[i] = (uint8_t)random_below(256);
    for (int n = 0; n <= 100; n++) {
        assert_int_equal(cp_crc32c(0, bytes, n), bitwise_crc32c(bytes, n));
        assert_int_equal(cp_crc32c(cp_crc32c(0, bytes, n), bytes + n, 100 - n), bitwise_crc32c(bytes, 100));
    }
}

/* --- text and JSON --- */

static cp_status parse(cp_json *json, const char *text) {
    return cp_json_parse(json, text, (int64_t)strlen(text));
}

static void test_json_values(void **state) {
    (void)state;
    cp_json json;
    int64_t n;
    assert_ok(parse(&json, " {\"a\": [1, -2.5e3, \"x\", true, false, null, [], {}],\t\"b\":{\"a\":\"\"}}\r\n"));
    const cp_json_value *root = &json.value[1], *a = cp_json_member(&json, root, "a");
    assert_int_equal(root->kind, CP_JSON_OBJECT);
    assert_int_equal(a->kind, CP_JSON_ARRAY);
    assert_true(cp_json_integer(cp_json_element(&json, a, 0), &n) && n == 1);
    assert_true(cp_json_element(&json, a, 1)->number == -2500);
    assert_string_equal(cp_json_element(&json, a, 1)->text, "-2.5e3");
    assert_string_equal(cp_json_element(&json, a, 2)->text, "x");
    assert_true(cp_json_element(&json, a, 3)->kind == CP_JSON_BOOL && cp_json_element(&json, a, 3)->number == 1);
    assert_true(cp_json_element(&json, a, 4)->kind == CP_JSON_BOOL && cp_json_element(&json, a, 4)->number == 0);
    assert_int_equal(cp_json_element(&json, a, 5)->kind, CP_JSON_NULL);
    assert_true(cp_json_element(&json, a, 6)->kind == CP_JSON_ARRAY && !cp_json_element(&json, a, 6)->child);
    assert_true(cp_json_element(&json, a, 7)->kind == CP_JSON_OBJECT && !cp_json_element(&json, a, 7)->child);
    assert_null(cp_json_element(&json, a, 8));
    assert_null(cp_json_element(&json, a, -1));
    assert_null(cp_json_element(&json, root, 0));
    assert_string_equal(cp_json_member(&json, cp_json_member(&json, root, "b"), "a")->text, "");
    assert_null(cp_json_member(&json, root, "c"));
    assert_null(cp_json_member(&json, a, "a"));
    assert_null(cp_json_member(&json, NULL, "a"));
    cp_json_free(&json);
}

static void test_json_texts(void **state) {
    (void)state;
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"",
         "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_json json;
        assert_ok(parse(&json, cases[i].json));
        assert_string_equal(json.value[1].text, cases[i].text);
        cp_json_free(&json);
    }
}

static void test_json_refuses(void **state) {
    (void)state;
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"", "value expected at byte 0"},
        {"  ", "value expected at byte 2"},
        {"nul", "value expected at byte 0"},
        {"1 2", "something behind the end at byte 2"},
        {"[1", ", or ] expected at byte 2"},
        {"[1,]", "value expected at byte 3"},
        {"[,1]", "value expected at byte 1"},
        {"[1}", ", or ] expected at byte 2"},
        {"{\"a\":1", ", or } expected at byte 6"},
        {"{\"a\" 1}", ": expected at byte 5"},
        {"{\"a\":1,}", "\" expected at byte 7"},
        {"{1:2}", "\" expected at byte 1"},
        {"{\"a\":}", "value expected at byte 5"},
        {"]", "value expected at byte 0"},
        {"01", "leading zero"},
        {"-", "value expected"},
        {"+1", "value expected"},
        {".5", "value expected"},
        {"1.", "digit expected"},
        {"1e", "digit expected"},
        {"1e+", "digit expected"},
        {"1e999", "no double holds"},
        {"-1e99999999999999999999", "no double holds"},
        {"NaN", "value expected"},
        {"Infinity", "value expected"},
        {"0x10", "something behind the end"},
        {"\"a", "without an end at byte 2"},
        {"\"a\\", "unknown escape"},
        {"\"\\x\"", "unknown escape"},
        {"\"\\u12\"", "hexadecimal"},
        {"\"\\u0000\"", "NUL"},
        {"\"\\ud83d\"", "surrogate"},
        {"\"\\ud83d\\u0041\"", "surrogate"},
        {"\"\\ude00\"", "surrogate"},
        {"\"\n\"", "control character"},
        {"\"\x80\"", "invalid UTF-8 at byte 1"},
        {"\"\xc0\xaf\"", "invalid UTF-8"},
        {"\"\xe0\x80\xaf\"", "invalid UTF-8"},
        {"\"\xf0\x80\x80\xaf\"", "invalid UTF-8"},
        {"\"\xed\xa0\x80\"", "invalid UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "invalid UTF-8"},
        {"\"\xe2\x82\"", "invalid UTF-8"},
        {"\"\xe2\x82", "invalid UTF-8"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "duplicate name 'a'"},
        {"{\"a\":1,\"\\u0061\":3}", "duplicate name 'a'"},
        {"[{\"x\":{\"\":0,\"\":0}}]", "duplicate name ''"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_json json;
        assert_fails(parse(&json, cases[i].json), CP_E_FORMAT, cases[i].text);
        assert_null(json.value);
    }
    cp_json json;
    assert_fails(cp_json_parse(&json, "1\0", 2), CP_E_FORMAT, "something behind the end");
}

static void test_json_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double number;
        bool whole;
        int64_t integer;
    } cases[] = {
        {"0", 0, true, 0},
        {"-0", 0, true, 0},
        {"9223372036854775807", 9223372036854775807.0, true, INT64_MAX},
        {"-9223372036854775808", -9223372036854775808.0, true, INT64_MIN},
        {"9223372036854775808", 9223372036854775808.0, false, 0},
        {"-9223372036854775809", -9223372036854775808.0, false, 0},
        {"1.0", 1, false, 0},
        {"1e3", 1000, false, 0},
        {"0.1", 0.1, false, 0},
        {"3.14159E+00", 3.14159, false, 0},
        {"1.7976931348623157e308", 1.7976931348623157e308, false, 0},
        {"4.9406564584124654e-324", 4.9406564584124654e-324, false, 0},
        {"1e-999999999999999999999", 0, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_json json;
        int64_t n;
        assert_ok(parse(&json, cases[i].text));
        assert_true(json.value[1].number == cases[i].number);
        assert_int_equal(cp_json_integer(&json.value[1], &n), cases[i].whole);
        if (cases[i].whole) assert_true(n == cases[i].integer);
        cp_json_free(&json);
    }
    int64_t n;
    assert_false(cp_json_integer(NULL, &n));
}

static void test_json_limits(void **state) {
    (void)state;
    cp_json json;
    char deep[80] = "";
    memset(deep, '[', 32);
    memset(deep + 32, ']', 32);
    assert_ok(cp_json_parse(&json, deep, 64));
    cp_json_free(&json);
    memset(deep, '[', 33);
    memset(deep + 33, ']', 33);
    assert_fails(cp_json_parse(&json, deep, 66), CP_E_FORMAT, "nesting deeper than 32");

    enum { MOST = 1000000 };
    char *many = malloc(2 * MOST + 4);
    many[0] = '[';
    for (int i = 0; i < MOST; i++) memcpy(many + 1 + 2 * (size_t)i, "0,", 2);
    many[2 * MOST - 2] = ']'; /* the array and MOST - 1 zeros */
    assert_ok(cp_json_parse(&json, many, 2 * MOST - 1));
    assert_int_equal(json.count - 1, MOST);
    cp_json_free(&json);
    many[2 * MOST - 2] = ',';
    many[2 * MOST] = ']';
    assert_fails(cp_json_parse(&json, many, 2 * MOST + 1), CP_E_LIMIT, "more than 1000000 values");
    free(many);

    char number[140];
    memset(number, '1', sizeof number);
    assert_ok(cp_json_parse(&json, number, 128));
    cp_json_free(&json);
    assert_fails(cp_json_parse(&json, number, 129), CP_E_FORMAT, "more than 128 characters");
}

static void test_json_many_keys(void **state) {
    (void)state;
    cp_text text = {0};
    cp_text_add(&text, "{");
    for (int i = 0; i < 200000; i++) cp_text_add(&text, "\"key%d\":%d,", i, i);
    cp_text_add(&text, "\"key%d\":0}", 77777);
    const int64_t length = text.length;
    char *data = cp_text_take(&text);
    cp_json json;
    assert_fails(cp_json_parse(&json, data, length), CP_E_FORMAT, "duplicate name 'key77777'");
    data[length - 5] = 'x';
    assert_ok(cp_json_parse(&json, data, length));
    cp_json_free(&json);
    cp_free(NULL, data);
}

static void test_json_damaged(void **state) {
    (void)state;
    static const char seed[] =
        "{\"a\":[1,-2.5e3,\"x\\n\\u20ac\\ud83d\\ude00\",true,null],\"\xc3\xa9\":{\"b\":\"\"},\"c\":0}";
    cp_json json;
    for (size_t n = 0; n < sizeof seed - 1; n++) {
        uint8_t *exact = malloc(n + !n); /* no byte behind it may be read */
        memcpy(exact, seed, n);
        assert_int_equal(cp_json_parse(&json, (const char *)exact, (int64_t)n), CP_E_FORMAT);
        free(exact);
    }
    int valid = 0;
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[sizeof seed + 16];
        memcpy(bytes, seed, sizeof seed);
        size_t length = mutate(&random_state, bytes, sizeof seed - 1);
        uint8_t *exact = malloc(length + !length);
        memcpy(exact, bytes, length);
        const cp_status status = cp_json_parse(&json, (const char *)exact, (int64_t)length);
        assert_true(status == CP_OK || status == CP_E_FORMAT);
        if (!status) valid++, cp_json_free(&json);
        free(exact);
    }
    assert_in_range(valid, 100, 15000);
}

/* Doubles of every size come back to the bit. */
static void check_reals(void) {
    for (int i = 0; i < 20000; i++) {
        const uint64_t bits = (uint64_t)random_below(UINT32_MAX) << 32 | random_below(UINT32_MAX);
        double value;
        memcpy(&value, &bits, 8);
        if (!isfinite(value)) continue;
        cp_text text = {0};
        cp_text_add_real(&text, value);
        char *data = cp_text_take(&text);
        cp_json json;
        assert_ok(parse(&json, data));
        assert_memory_equal(&json.value[1].number, &value, 8);
        cp_json_free(&json);
        cp_free(NULL, data);
    }
}

static void test_text(void **state) {
    (void)state;
    cp_text text = {0};
    cp_text_add(&text, "[");
    cp_text_add_real(&text, NAN);
    cp_text_add(&text, ",");
    cp_text_add_real(&text, -INFINITY);
    cp_text_add(&text, ",");
    cp_text_add_real(&text, 0.1);
    cp_text_add(&text, ",");
    cp_text_add_json(&text, "\"\\\n\x1f/\xc3\xa9");
    cp_text_add(&text, "]");
    char *data = cp_text_take(&text);
    assert_string_equal(data, "[\"NaN\",\"-Infinity\",0.10000000000000001,\"\\\"\\\\\\u000a\\u001f/\xc3\xa9\"]");
    cp_free(NULL, data);
    data = cp_text_take(&text); /* taken means empty */
    assert_string_equal(data, "");
    cp_free(NULL, data);
    check_reals();
}

/* Takes a locale with a decimal comma; one made for this where none is installed. */
static bool set_decimal_comma(void) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "nl_NL.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_ALL, names[i])) return true;
    char command[1000];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s > /dev/null 2>&1", in_folder("de_DE.UTF-8"));
    if (system(command) != 0) return false;
    setenv("LOCPATH", folder, 1);
    const bool set = setlocale(LC_ALL, "de_DE.UTF-8");
    snprintf(command, sizeof command, "rm -r %s", in_folder("de_DE.UTF-8"));
    assert_int_equal(system(command), 0);
    unsetenv("LOCPATH");
    return set;
}

static void test_decimal_comma(void **state) {
    (void)state;
    if (!set_decimal_comma()) {
        print_message("SKIPPED: no locale with a decimal comma, and none can be made\n");
        skip();
    }
    char probe[8];
    snprintf(probe, sizeof probe, "%.1f", 0.5);
    assert_string_equal(probe, "0,5");
    check_reals();
    setlocale(LC_ALL, "C");
}

/* --- .npy --- */

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
    assert_ok(cp_npy_save(&tensor, in_folder("a.npy")));
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
            assert_ok(cp_npy_save(&tensor, in_folder("a.npy")));
            assert_ok(cp_npy_load(&array, in_folder("a.npy")));
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
    assert_ok(cp_npy_save(&nchw, in_folder("a.npy")));
    assert_ok(cp_npy_load(&array, in_folder("a.npy")));
    assert_true(cp_shape_same(array.shape, cp_shape_nhwc(2, 2, 2, 3)));
    const float *value = array.data;
    for (int n = 0; n < 2; n++)
        for (int p = 0; p < 4; p++)
            for (int c = 0; c < 3; c++) assert_true(*value++ == memory[(n * 3 + c) * 4 + p]);
    cp_array_free(&array);

    cp_tensor backwards = cp_vec(memory + 8, 3);
    backwards.stride[0] = -4;
    assert_ok(cp_npy_save(&backwards, in_folder("a.npy")));
    assert_ok(cp_npy_load(&array, in_folder("a.npy")));
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
        assert_ok(cp_npy_load(&array, put_npy(cases[i].major, cases[i].header, values, 6)));
        assert_int_equal(array.type, i == 2 ? CP_BOOL : CP_U8);
        assert_true(cp_shape_same(array.shape, cp_shape_of(2, (int64_t[]){2, 3})));
        assert_memory_equal(array.data, cases[i].expected, 6);
        cp_array_free(&array);
    }
    /* Fortran order of three axes of wider elements: element (i,j,k) lies at i + 2*j + 6*k. */
    int64_t wide[24];
    for (int i = 0; i < 24; i++) wide[i] = i;
    cp_array array;
    assert_ok(
        cp_npy_load(&array, put_npy(1, "{'descr':'<i8','fortran_order':True,'shape':(2,3,4)}", wide, sizeof wide)));
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
        assert_fails(cp_npy_load(&array, path), cases[i].status, cases[i].text);
        assert_ptr_equal(strstr(cp_error(), path), cp_error()); /* the file's name comes first */
        assert_null(array.data);
    }
    cp_array array;
    assert_fails(cp_npy_load(&array, put_file("a.npy", "\x89PNG\r\n\x1a\n", 8)), CP_E_FORMAT, "not a .npy file");
    assert_fails(cp_npy_load(&array, put_file("a.npy", "", 0)), CP_E_FORMAT, "not a .npy file");
    assert_fails(cp_npy_load(&array, put_file("a.npy", "\x93NUMPY\1\1\0\0", 10)), CP_E_UNSUPPORTED, "version 1.1");
    assert_fails(cp_npy_load(&array, put_file("a.npy", "\x93NUMPY\2\0\xff\xff\xff\xff{}", 14)), CP_E_FORMAT,
                 "the header has 4294967295 bytes");
    assert_fails(cp_npy_load(&array, in_folder("none.npy")), CP_E_IO, "none.npy: cannot open: No such file");
    assert_fails(cp_npy_load(&array, folder), CP_E_IO, "is a directory");
    assert_fails(cp_npy_load(&array, NULL), CP_E_ARG, "path is NULL");
    assert_fails(cp_npy_load(NULL, "x"), CP_E_ARG, "array is NULL");
    assert_fails(cp_npy_save(NULL, in_folder("a.npy")), CP_E_ARG, "tensor is NULL");
    const cp_tensor bad = cp_view(NULL, CP_F32, cp_shape_of(1, (int64_t[]){3}));
    assert_fails(cp_npy_save(&bad, in_folder("a.npy")), CP_E_ARG, "pointer is NULL");
}

static void test_npy_cut(void **state) {
    (void)state;
    double values[6] = {1, 2, 3, 4, 5, 6};
    const cp_tensor tensor = cp_view(values, CP_F64, cp_shape_of(2, (int64_t[]){2, 3}));
    assert_ok(cp_npy_save(&tensor, in_folder("a.npy")));
    int64_t length;
    uint8_t *seed = get_file(in_folder("a.npy"), &length);
    cp_array array;
    for (int64_t n = 0; n < length; n++)
        assert_int_equal(cp_npy_load(&array, put_file("b.npy", seed, (size_t)n)), CP_E_FORMAT);
    free(seed);
}

/* --- safetensors --- */

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
    assert_ok(cp_safetensors_save(path, stored, 6, notes, 2));
}

static void test_safetensors_round_trip(void **state) {
    (void)state;
    cp_stored stored[6];
    make_tensors(stored);
    save_ours(in_folder("a"));
    cp_safetensors file;
    assert_ok(cp_safetensors_load(&file, in_folder("a")));
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
    assert_ok(cp_safetensors_save(in_folder("a"), NULL, 0, NULL, 0));
    assert_ok(cp_safetensors_load(&file, in_folder("a")));
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
    assert_fails(cp_safetensors_load(&file, put_file("b", bytes, (size_t)length + 1)), CP_E_FORMAT,
                 "1 bytes behind the last tensor");
    /* The text names what is damaged: the data of the last tensor, and the notes. */
    bytes[length - 1] ^= 1;
    assert_fails(cp_safetensors_load(&file, put_file("b", bytes, (size_t)length)), CP_E_FORMAT,
                 "b: checksum mismatch in 'pixels'");
    bytes[length - 1] ^= 1;
    *(char *)memmem(bytes, (size_t)length, "relu", 4) = 'R';
    assert_fails(cp_safetensors_load(&file, put_file("b", bytes, (size_t)length)), CP_E_FORMAT,
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
        assert_ok(cp_safetensors_load(&file, put_safetensors(header, 12)));
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
        assert_fails(cp_safetensors_load(&file, path), cases[i].status, cases[i].text);
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
        assert_fails(cp_safetensors_load(&file, put_file("a", raw[i].bytes, raw[i].length)), CP_E_FORMAT, raw[i].text);
    assert_fails(cp_safetensors_load(&file, folder), CP_E_IO, "is a directory");
    assert_fails(cp_safetensors_load(&file, in_folder("none")), CP_E_IO, "No such file");
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
        assert_fails(cp_safetensors_load(&file, put_safetensors(json, 8)), CP_E_FORMAT, cases[i].text);
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
    assert_fails(cp_safetensors_save(path, (cp_stored[]){{"w", w}, {"w", w}}, 2, NULL, 0), CP_E_ARG,
                 "duplicate name 'w'");
    assert_fails(cp_safetensors_save(path, (cp_stored[]){{"__metadata__", w}}, 1, NULL, 0), CP_E_ARG, "duplicate name");
    assert_fails(cp_safetensors_save(path, (cp_stored[]){{"\xff", w}}, 1, NULL, 0), CP_E_ARG, "invalid UTF-8");
    assert_fails(cp_safetensors_save(path, NULL, 0, (cp_note[]){{"a", ""}, {"a", ""}}, 2), CP_E_ARG,
                 "duplicate name 'a'");
    assert_fails(cp_safetensors_save(path, NULL, 0, (cp_note[]){{"crc32c", ""}}, 1), CP_E_ARG,
                 "duplicate name 'crc32c'");
    cp_tensor gaps = cp_vec(weights, 3);
    gaps.stride[0] = 2;
    assert_fails(cp_safetensors_save(path, (cp_stored[]){{"w", gaps}}, 1, NULL, 0), CP_E_ARG, "'w' has gaps");
    cp_tensor none = cp_vec(NULL, 3);
    assert_fails(cp_safetensors_save(path, (cp_stored[]){{"w", none}}, 1, NULL, 0), CP_E_ARG, "pointer is NULL");
    assert_int_equal(access(path, F_OK), -1);
}

/* --- saving and reading --- */

static cp_status save_bytes(const char *path, const void *bytes, int64_t length) {
    cp_saver saver;
    cp_status status = cp_saver_open(&saver, path);
    if (!status) status = cp_saver_write(&saver, bytes, length);
    if (!status) status = cp_saver_commit(&saver);
    cp_saver_cancel(&saver);
    return status;
}

static void test_save_replaces(void **state) {
    (void)state;
    count_files(true);
    assert_ok(save_bytes(in_folder("a"), "new", 3));
    assert_file(in_folder("a"), "new", 3);
    assert_ok(save_bytes(in_folder("a"), "newer", 5));
    assert_file(in_folder("a"), "newer", 5);
    assert_ok(save_bytes(in_folder("a"), "", 0));
    assert_file(in_folder("a"), "", 0);
    assert_int_equal(count_files(false), 1);
}

/* Nothing is seen of a save before it is committed, and nothing is left of one that is cancelled. */
static void test_save_cancelled(void **state) {
    (void)state;
    count_files(true);
    cp_saver saver;
    put_file("a", "old", 3);
    assert_ok(cp_saver_open(&saver, in_folder("a")));
    assert_ok(cp_saver_write(&saver, "new", 3));
    assert_file(in_folder("a"), "old", 3);
    cp_saver_cancel(&saver);
    cp_saver_cancel(&saver);
    assert_file(in_folder("a"), "old", 3);
    assert_int_equal(count_files(false), 1);
}

static void test_save_in_working_folder(void **state) {
    (void)state;
    char old[4096];
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(folder), 0);
    const cp_status status = save_bytes("here", "new", 3);
    assert_int_equal(chdir(old), 0);
    assert_ok(status);
    assert_file(in_folder("here"), "new", 3);
}

/* New files have the mode that the umask says; old ones keep theirs. */
static void test_save_mode(void **state) {
    (void)state;
    struct stat about;
    count_files(true);
    const mode_t old = umask(027);
    assert_ok(save_bytes(in_folder("a"), "new", 3));
    assert_int_equal(stat(in_folder("a"), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
    assert_int_equal(chmod(in_folder("a"), 0600), 0);
    assert_ok(save_bytes(in_folder("a"), "new", 3));
    assert_int_equal(stat(in_folder("a"), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    umask(old);
}

static void test_save_through_link(void **state) {
    (void)state;
    struct stat about;
    count_files(true);
    put_file("real", "old", 3);
    assert_int_equal(symlink("real", in_folder("link")), 0);
    assert_ok(save_bytes(in_folder("link"), "new", 3));
    assert_file(in_folder("real"), "new", 3);
    assert_int_equal(lstat(in_folder("link"), &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    assert_int_equal(count_files(false), 2);
}

/* What a killed process left is used up by the next save; a link in its place is not followed. */
static void test_save_after_kill(void **state) {
    (void)state;
    count_files(true);
    put_file("a", "old", 3);
    const pid_t child = fork();
    if (child == 0) {
        cp_saver saver;
        if (!cp_saver_open(&saver, in_folder("a")) && !cp_saver_write(&saver, "half a file", 11)) raise(SIGKILL);
        _exit(1);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    assert_file(in_folder("a"), "old", 3);
    assert_int_equal(count_files(false), 2);
    assert_ok(save_bytes(in_folder("a"), "new", 3));
    assert_file(in_folder("a"), "new", 3);
    assert_int_equal(count_files(false), 1);

    put_file("victim", "kept", 4);
    assert_int_equal(symlink("victim", in_folder("a.convpool-new")), 0);
    assert_fails(save_bytes(in_folder("a"), "new", 3), CP_E_IO, "cannot write");
    assert_file(in_folder("victim"), "kept", 4);
}

/* Processes that save one file at the same time take turns: what is read is always one of theirs as a whole. */
static void test_save_at_once(void **state) {
    (void)state;
    enum { CHILDREN = 3, SAVES = 60, BYTES = 20000 };
    static char bytes[BYTES];
    count_files(true);
    memset(bytes, '0', BYTES);
    put_file("a", bytes, BYTES);
    pid_t child[CHILDREN];
    for (int c = 0; c < CHILDREN; c++) {
        child[c] = fork();
        if (child[c] == 0) {
            memset(bytes, 'a' + c, BYTES);
            for (int i = 0; i < SAVES; i++)
                if (save_bytes(in_folder("a"), bytes, BYTES)) _exit(1);
            _exit(0);
        }
    }
    for (int i = 0; i < 300; i++) {
        int64_t length;
        uint8_t *read = get_file(in_folder("a"), &length);
        assert_int_equal(length, BYTES);
        for (int k = 1; k < BYTES; k++) assert_int_equal(read[k], read[0]);
        free(read);
    }
    for (int c = 0; c < CHILDREN; c++) {
        int how;
        assert_int_equal(waitpid(child[c], &how, 0), child[c]);
        assert_int_equal(how, 0);
    }
    assert_int_equal(count_files(false), 1);
}

static void test_save_disk_full(void **state) {
    (void)state;
    static float zeros[10000];
    const cp_tensor tensor = cp_vec(zeros, 10000);
    const cp_stored stored = {"w", tensor};
    count_files(true);
    put_file("a", "old", 3);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    const struct rlimit small = {.rlim_cur = 5000, .rlim_max = limit.rlim_max};
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    const cp_status npy = cp_npy_save(&tensor, in_folder("a"));
    char npy_text[400];
    snprintf(npy_text, sizeof npy_text, "%s", cp_error());
    const cp_status safetensors = cp_safetensors_save(in_folder("a"), &stored, 1, NULL, 0);
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, old);
    assert_fails(safetensors, CP_E_IO, "a: cannot write: File too large");
    assert_int_equal(npy, CP_E_IO);
    assert_non_null(strstr(npy_text, "a: cannot write: File too large"));
    assert_file(in_folder("a"), "old", 3);
    assert_int_equal(count_files(false), 1);
    assert_fails(cp_npy_save(&tensor, "/dev/full"), CP_E_IO, "/dev/full: cannot write: No space left on device");
    assert_ok(cp_npy_save(&tensor, "/dev/null"));
}

static void test_save_where_it_cannot_be(void **state) {
    (void)state;
    count_files(true);
    assert_fails(save_bytes(folder, "new", 3), CP_E_IO, "cannot write: Is a directory");
    assert_fails(save_bytes(in_folder("none/a"), "new", 3), CP_E_IO, "none/a: cannot write: No such file or directory");
    assert_fails(save_bytes("/proc/a", "new", 3), CP_E_IO, "/proc/a: cannot write");
    assert_fails(save_bytes("", "new", 3), CP_E_ARG, "path is empty");
    assert_fails(save_bytes(NULL, "new", 3), CP_E_ARG, "path is NULL");
    char name[300];
    memset(name, 'x', sizeof name);
    name[299] = 0;
    assert_fails(save_bytes(in_folder(name), "new", 3), CP_E_IO, "File name too long");
    put_file("file", "", 0);
    assert_fails(save_bytes(in_folder("file/a"), "new", 3), CP_E_IO, "Not a directory");
    /* A folder that may not be written to. The superuser may write to all, and becomes another for this. */
    put_file("a", "old", 3);
    const bool root = geteuid() == 0;
    assert_int_equal(chmod(folder, 0555), 0);
    if (!root || !seteuid(65534)) {
        const cp_status status = save_bytes(in_folder("a"), "new", 3);
        if (root) assert_int_equal(seteuid(0), 0);
        assert_fails(status, CP_E_IO, "a: cannot write: Permission denied");
    } else {
        print_message("SKIPPED: a read-only folder\n");
    }
    assert_int_equal(chmod(folder, 0755), 0);
    assert_file(in_folder("a"), "old", 3);
}

/* The last step fails, too: a folder has taken the name meanwhile. And what bears the temporary file's name is no file.
 */
static void test_save_in_the_way(void **state) {
    (void)state;
    count_files(true);
    cp_saver saver;
    assert_ok(cp_saver_open(&saver, in_folder("a")));
    assert_ok(cp_saver_write(&saver, "new", 3));
    assert_int_equal(mkdir(in_folder("a"), 0700), 0);
    assert_fails(cp_saver_commit(&saver), CP_E_IO, "a: cannot replace: Is a directory");
    assert_int_equal(count_files(true), 1);

    assert_int_equal(mkfifo(in_folder("a.convpool-new"), 0600), 0);
    const int reader = open(in_folder("a.convpool-new"), O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_fails(save_bytes(in_folder("a"), "new", 3), CP_E_IO, "a: cannot write: Invalid argument");
    close(reader);
    assert_int_equal(access(in_folder("a"), F_OK), -1);
}

/* A pipe takes the bytes as they come, and gives them up to its end. */
static void test_pipes(void **state) {
    (void)state;
    enum { BYTES = 300000 };
    static float values[BYTES / 4];
    for (int i = 0; i < BYTES / 4; i++) values[i] = (float)i;
    count_files(true);
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    const pid_t child = fork();
    if (child == 0) {
        const cp_tensor tensor = cp_vec(values, BYTES / 4);
        _exit(cp_npy_save(&tensor, in_folder("pipe")) != CP_OK);
    }
    cp_array array;
    assert_ok(cp_npy_load(&array, in_folder("pipe")));
    assert_memory_equal(array.data, values, BYTES);
    cp_array_free(&array);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
}

static void test_read_limits(void **state) {
    (void)state;
    uint8_t *bytes;
    int64_t length;
    put_file("a", "12345", 5);
    assert_ok(cp_file_read(in_folder("a"), 5, &bytes, &length));
    assert_int_equal(length, 5);
    assert_memory_equal(bytes, "12345", 5);
    cp_free(NULL, bytes);
    assert_fails(cp_file_read(in_folder("a"), 4, &bytes, &length), CP_E_LIMIT, "5 bytes, more than the limit of 4");
    assert_null(bytes);
    assert_fails(cp_file_read("/dev/zero", 100000, &bytes, &length), CP_E_LIMIT, "more than the limit of 100000 bytes");
    assert_null(bytes);
    /* Files whose size is not told beforehand. */
    assert_ok(cp_file_read("/proc/self/status", 1 << 20, &bytes, &length));
    assert_true(length > 100);
    cp_free(NULL, bytes);
    assert_ok(cp_file_read("/dev/null", 0, &bytes, &length));
    assert_int_equal(length, 0);
    cp_free(NULL, bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_known),
        cmocka_unit_test(test_crc32c_every_length_and_split),
        cmocka_unit_test(test_crc32c_of_long_data),
        cmocka_unit_test(test_json_values),
        cmocka_unit_test(test_json_texts),
        cmocka_unit_test(test_json_refuses),
        cmocka_unit_test(test_json_numbers),
        cmocka_unit_test(test_json_limits),
        cmocka_unit_test(test_json_many_keys),
        cmocka_unit_test(test_json_damaged),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_decimal_comma),
        cmocka_unit_test(test_npy_bytes),
        cmocka_unit_test(test_npy_round_trip),
        cmocka_unit_test(test_npy_strided),
        cmocka_unit_test(test_npy_other_writers),
        cmocka_unit_test(test_npy_refuses),
        cmocka_unit_test(test_npy_cut),
        cmocka_unit_test(test_safetensors_round_trip),
        cmocka_unit_test(test_safetensors_nothing),
        cmocka_unit_test(test_safetensors_every_flip_and_cut),
        cmocka_unit_test(test_safetensors_every_burst),
        cmocka_unit_test(test_safetensors_foreign),
        cmocka_unit_test(test_safetensors_refuses),
        cmocka_unit_test(test_safetensors_forged_sums),
        cmocka_unit_test(test_safetensors_cut_foreign),
        cmocka_unit_test(test_safetensors_refuses_to_save),
        cmocka_unit_test(test_save_replaces),
        cmocka_unit_test(test_save_cancelled),
        cmocka_unit_test(test_save_in_working_folder),
        cmocka_unit_test(test_save_mode),
        cmocka_unit_test(test_save_through_link),
        cmocka_unit_test(test_save_after_kill),
        cmocka_unit_test(test_save_at_once),
        cmocka_unit_test(test_save_disk_full),
        cmocka_unit_test(test_save_where_it_cannot_be),
        cmocka_unit_test(test_save_in_the_way),
        cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_read_limits),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
