/* Files: checksums, text and JSON. */
#include "files.h"

#include <locale.h>
#include <math.h>

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
    ok(parse(&json, " {\"a\": [1, -2.5e3, \"x\", true, false, null, [], {}],\t\"b\":{\"a\":\"\"}}\r\n"));
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
        ok(parse(&json, cases[i].json));
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
        refused(parse(&json, cases[i].json), CP_E_FORMAT, cases[i].text);
        assert_null(json.value);
    }
    cp_json json;
    refused(cp_json_parse(&json, "1\0", 2), CP_E_FORMAT, "something behind the end");
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
        ok(parse(&json, cases[i].text));
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
    ok(cp_json_parse(&json, deep, 64));
    cp_json_free(&json);
    memset(deep, '[', 33);
    memset(deep + 33, ']', 33);
    refused(cp_json_parse(&json, deep, 66), CP_E_FORMAT, "nesting deeper than 32");

    enum { MOST = 1000000 };
    char *many = malloc(2 * MOST + 4);
    many[0] = '[';
    for (int i = 0; i < MOST; i++) memcpy(many + 1 + 2 * (size_t)i, "0,", 2);
    many[2 * MOST - 2] = ']'; /* the array and MOST - 1 zeros */
    ok(cp_json_parse(&json, many, 2 * MOST - 1));
    assert_int_equal(json.count - 1, MOST);
    cp_json_free(&json);
    many[2 * MOST - 2] = ',';
    many[2 * MOST] = ']';
    refused(cp_json_parse(&json, many, 2 * MOST + 1), CP_E_LIMIT, "more than 1000000 values");
    free(many);

    char number[140];
    memset(number, '1', sizeof number);
    ok(cp_json_parse(&json, number, 128));
    cp_json_free(&json);
    refused(cp_json_parse(&json, number, 129), CP_E_FORMAT, "more than 128 characters");
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
    refused(cp_json_parse(&json, data, length), CP_E_FORMAT, "duplicate name 'key77777'");
    data[length - 5] = 'x';
    ok(cp_json_parse(&json, data, length));
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
        ok(parse(&json, data));
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
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
