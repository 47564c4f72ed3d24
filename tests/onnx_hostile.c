/* Wrong and hostile ONNX files: each has its status and its sentence. The files are made by onnx_text.h. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "convpool.h"
#include "onnx_text.h"
#include "onnx_try.h"

static cp_status load(const char *text) {
    cp_net *net;
    bytes model = onnx_model(text);
    const cp_status status = cp_onnx_load_memory(&net, model.data, (int64_t)model.length, NULL);
    free(model.data);
    cp_net_free(net);
    return status;
}

typedef struct row {
    cp_status status;
    const char *text, *model;
} row;

static void check_rows(const row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const cp_status status = load(rows[i].model);
        if (status != rows[i].status || (status && !strstr(cp_error(), rows[i].text)))
            fail_msg("%s\ngives %d '%s'\nnot   %d '%s'", rows[i].model, status, status ? cp_error() : "",
                     rows[i].status, rows[i].text);
    }
}
#define CHECK(rows) check_rows(rows, sizeof rows / sizeof *rows)

#define CONV "input x f 1x4x8x8; init w f 4x4x3x3; output y;"
#define POOL "input x f 1x4x8x8; output y;"

static void windows(void **state) {
    (void)state;
    static const row rows[] = {
        {CP_E_ARG, "node 'c' (Conv): strides[0] = 0: must be at least 1", CONV "node c Conv x,w > y strides=[0,1]"},
        {CP_E_ARG, "strides[0] = 0: must be at least 1", POOL "node p MaxPool x > y kernel_shape=[2,2] strides=[0,0]"},
        {CP_E_ARG, "strides[1] = -2: must be at least 1", CONV "node c Conv x,w > y strides=[1,-2]"},
        {CP_OK, "", CONV "node c Conv x,w > y strides=[1099511627776,1]"},
        {CP_E_ARG, "dilations[0] = 0: must be at least 1", CONV "node c Conv x,w > y dilations=[0,1]"},
        {CP_E_ARG, "dilations[1] = -1: must be at least 1", CONV "node c Conv x,w > y dilations=[1,-1]"},
        {CP_E_SHAPE, "output height would be", CONV "node c Conv x,w > y dilations=[2147483647,1]"},
        {CP_E_SHAPE, "overflows",
         POOL "node p MaxPool x > y kernel_shape=[1250999896764,2] dilations=[1250999896764,1]"},
        {CP_E_ARG, "kernel_shape[0] = 0: must be at least 1", POOL "node p MaxPool x > y kernel_shape=[0,2]"},
        {CP_E_SHAPE, "kernel_shape needs 2 values, has 0", POOL "node p MaxPool x > y kernel_shape=[]"},
        {CP_E_SHAPE, "kernel", POOL "node p AveragePool x > y kernel_shape=[4611686018427387904,2]"},
        {CP_E_SHAPE, "output height would be -3", "input x f 1x1x1x1; init w f 1x1x5x5; output y; node c Conv x,w > y"},
        {CP_E_ARG, "pads[1] = -1: must not be negative", CONV "node c Conv x,w > y pads=[0,-1,0,0]"},
        {CP_E_SHAPE, "pads needs 4 values, has 3", CONV "node c Conv x,w > y pads=[1,1,1]"},
        {CP_E_ARG, "pads[0] = 5: must be less than the window (3)",
         POOL "node p AveragePool x > y kernel_shape=[3,3] pads=[5,0,0,0]"},
        {CP_E_SHAPE, "strides needs 2 values, has 1", CONV "node c Conv x,w > y strides=[1]"},
        {CP_E_SHAPE, "weight has 3 spatial dimensions, input 2",
         "input x f 1x4x8x8; init w f 4x4x3x3x3; output y; node c Conv x,w > y"},
        {CP_E_SHAPE, "input needs at least 3 dimensions, has 0",
         "input x f scalar; init w f 4x4x3x3; output y; node c Conv x,w > y"},
        {CP_E_ARG, "group = 0: must be at least 1", CONV "node c Conv x,w > y group=0"},
        {CP_E_ARG, "group = -1: must be at least 1", CONV "node c Conv x,w > y group=-1"},
        {CP_E_SHAPE, "group = 3 does not divide 64 input channels",
         "input x f 1x64x8x8; init w f 3x21x3x3; output y; node c Conv x,w > y group=3"},
        {CP_E_SHAPE, "group = 2 does not divide 3 filters",
         "input x f 1x4x8x8; init w f 3x2x3x3; output y; node c Conv x,w > y group=2"},
        {CP_E_SHAPE, "weight dimension 1 is 0", "input x f 1x4x8x8; init w f 4x0x3x3; output y; node c Conv x,w > y"},
        {CP_E_SHAPE, "is 0", "input x f 1x4x0x8; init w f 4x4x3x3; output y; node c Conv x,w > y"},
        {CP_E_SHAPE, "bias has 63 values, needs 64",
         "input x f 1x1x8x8; init w f 64x1x3x3; init b f 63; output y; node c Conv x,w,b > y"},
        {CP_E_SHAPE, "bias must have 1 dimension, has 2",
         "input x f 1x1x8x8; init w f 64x1x3x3; init b f 1x64; output y; node c Conv x,w,b > y"},
        {CP_E_UNSUPPORTED, "weight type INT64 not supported",
         "input x f 1x1x8x8; init w l 4x1x3x3; output y; node c Conv x,w > y"},
        {CP_E_UNSUPPORTED, "type STRING not supported",
         "input x f 1x1x8x8; init w s 4x1x3x3; output y; node c Conv x,w > y"},
        {CP_E_UNSUPPORTED, "auto_pad 'FOO' unknown", CONV "node c Conv x,w > y auto_pad=\"FOO\""},
        {CP_E_ARG, "auto_pad and pads together", CONV "node c Conv x,w > y auto_pad=\"SAME_UPPER\" pads=[1,1,1,1]"},
        {CP_OK, "", POOL "node p MaxPool x > y kernel_shape=[3,3] strides=[4,4] ceil_mode=1"},
        {CP_E_ARG, "output_padding[0] = 2: must be less than",
         "input x f 1x4x8x8; init w f 4x4x3x3; output y; node c ConvTranspose x,w > y output_padding=[2,0] "
         "strides=[2,2]"},
        {CP_E_ARG, "output_shape[0] = -4: must be at least 1", CONV "node c ConvTranspose x,w > y output_shape=[-4,8]"},
        {CP_E_FORMAT, "strides must be integers", CONV "node c Conv x,w > y strides=[1.0,1.0]"},
        {CP_E_ARG, "kernel_shape is missing", POOL "node p MaxPool x > y"},
        {CP_E_FORMAT, "Conv takes 2 or 3 inputs, has 1", CONV "node c Conv x > y"},
        {CP_E_FORMAT, "input 1 is missing", CONV "node c Conv x,- > y"},
        {CP_E_LIMIT, "needs 17592202821636 bytes, limit 8589934592",
         "input x f 1x1x1x1; init w f 1x1x1x1; output y; node c Conv x,w > y pads=[1048576,1048576,1048576,1048576]"},
        {CP_E_FORMAT, "attribute 'strides' is given twice", CONV "node c Conv x,w > y strides=[1,1] strides=[1,1]"},
        {CP_E_UNSUPPORTED, "attribute 'stride' is not known", CONV "node c Conv x,w > y stride=[1,1]"},
    };
    CHECK(rows);
}

#define BN "input x f 1x4x8x8; init a f 4; init b f 4; init m f 4; init v f 4; init c f 3; output y;"

static void layers(void **state) {
    (void)state;
    static const row rows[] = {
        {CP_OK, "", BN "node n BatchNormalization x,a,b,m,v > y"},
        {CP_E_SHAPE, "scale has 3 values, needs 4", BN "node n BatchNormalization x,c,b,m,v > y"},
        {CP_E_SHAPE, "variance has 3 values, needs 4", BN "node n BatchNormalization x,a,b,m,c > y"},
        {CP_E_ARG, "epsilon must be >= 0", BN "node n BatchNormalization x,a,b,m,v > y epsilon=-1.0"},
        {CP_E_SHAPE, "two unknown dimensions", "input x f 784; init s l 2 = -1,-1; output y; node r Reshape x,s > y"},
        {CP_E_SHAPE, "784 elements do not fit 10x10",
         "input x f 784; init s l 2 = 10,10; output y; node r Reshape x,s > y"},
        {CP_E_SHAPE, "784 elements do not fit", "input x f 784; init s l 2 = 10,-1; output y; node r Reshape x,s > y"},
        {CP_E_SHAPE, "the input has no such", "input x f 784; init s l 2 = 784,0; output y; node r Reshape x,s > y"},
        {CP_E_LIMIT, "more elements than can be counted",
         "input x f 784; init s l 2 = 4611686018427387904,4; output y; node r Reshape x,s > y"},
        {CP_E_ARG, "axis = 9 outside -4..4", "input x f 1x4x8x8; output y; node f Flatten x > y axis=9"},
        {CP_E_ARG, "axis = 9 outside -4..3", "input x f 1x4x8x8; output y; node c Concat x,x > y axis=9"},
        {CP_E_ARG, "axis = -9 outside -4..3", "input x f 1x4x8x8; output y; node s Softmax x > y axis=-9"},
        {CP_E_LIMIT, "limit 8589934592", "init s l 1 = 1099511627776; output y; node c ConstantOfShape s > y"},
        {CP_E_LIMIT, "limit 8589934592", "input x f 1; init s l 1 = 1099511627776; output y; node e Expand x,s > y"},
        {CP_E_LIMIT, "limit 8589934592", "input x f 1; init s l 1 = 1099511627776; output y; node t Tile x,s > y"},
        {CP_E_LIMIT, "", "init x f 1; init s l 1 = 1099511627776; output y; node t Tile x,s > y"},
        {CP_E_LIMIT, "",
         "init s l 1 = 1099511627776; init a l scalar = 0; init d l scalar = 1; output y;"
         "node r Range a,s,d > y"},
        {CP_E_ARG, "perm must name each of 2 axes once", "input x f 2x3; output y; node t Transpose x > y perm=[0,0]"},
        {CP_E_ARG, "steps[0] = 0",
         "input x f 9; init a l 1 = 0; init e l 1 = 9; init z l 1 = 0; output y;"
         "node s Slice x,a,e,a,z > y"},
        {CP_E_UNSUPPORTED, "must be known when the model is loaded",
         "input x f 4; input s l 1; output y; node r Reshape x,s > y"},
    };
    CHECK(rows);
}

static void initializers(void **state) {
    (void)state;
    static const row rows[] = {
        {CP_E_FORMAT, "element count overflows", "input x f 1; init w f 4294967296x4294967296x1x1 bytes=0; output x"},
        {CP_E_FORMAT, "byte size overflows", "input x f 1; init w f 4611686018427387920 bytes=64; output x"},
        {CP_E_FORMAT, "dimension 0 is -2", "input x f 1; init w f -2 bytes=0; output x"},
        {CP_E_FORMAT, "0 elements but 16 bytes", "input x f 1; init w f 0 bytes=16; output x"},
        {CP_E_FORMAT, "initializer 'w': has 100 bytes, needs 144", "input x f 1; init w f 4x1x3x3 bytes=100; output x"},
        {CP_E_FORMAT, "has 148 bytes, needs 144", "input x f 1; init w f 4x1x3x3 bytes=148; output x"},
        {CP_E_FORMAT, "has 0 values, needs 36", "input x f 1; init w f 4x1x3x3 none; output x"},
        {CP_E_FORMAT, "two data fields", "input x f 1; init w f 4 both; output x"},
        {CP_E_FORMAT, "field of another type", "input x f 1; init w d 4 list; output x"},
        {CP_OK, "", "input x f 1; init w f 4 list; output x"},
        {CP_OK, "", "input x f 1; init w h 4 list; output x"},
        {CP_OK, "", "input x f 1; init w l 4 list; output x"},
        {CP_E_UNSUPPORTED, "more than 8 dimensions", "input x f 1; init w f 1x1x1x1x1x1x1x1x1; output x"},
        {CP_E_FORMAT, "initializer 'w' is given twice", "input x f 1; init w f 1; init w f 1; output x"},
        {CP_E_UNSUPPORTED, "external data: the model is in no file", "input x f 1; init w f 1 ext=w.bin; output x"},
    };
    CHECK(rows);
}

static void graphs(void **state) {
    (void)state;
    static const row rows[] = {
        {CP_E_FORMAT, "cycle: ", "input x f 1; output y; node a Add x,c > b; node b Relu b > c; node c Relu b > y"},
        {CP_OK, "", "input x f 1; output y; node b Relu a > y; node a Relu x > a"},
        {CP_E_FORMAT, "node 'a' (Add): input 'x7' is not produced by any node",
         "input x f 1; output y; node a Add x,x7 > y"},
        {CP_E_FORMAT, "'y' is produced twice", "input x f 1; output y; node a Relu x > y; node b Relu x > y"},
        {CP_E_FORMAT, "'x' is produced twice", "input x f 1; output x; node a Relu x > x"},
        {CP_E_FORMAT, "graph has no outputs", "input x f 1; node a Relu x > y"},
        {CP_E_FORMAT, "output 'z' is not produced by any node", "input x f 1; output z; node a Relu x > y"},
        {CP_E_FORMAT, "no opset", "opset 0; input x f 1; output y; node a Relu x > y"},
        {CP_E_UNSUPPORTED, "opset 9999 not supported", "opset 9999; input x f 1; output y; node a Relu x > y"},
        {CP_E_UNSUPPORTED, "opset 6 not supported", "opset 6; input x f 1; output y; node a Relu x > y"},
        {CP_E_UNSUPPORTED, "node 'a' (Foo): operator 'Foo' not supported", "input x f 1; output y; node a Foo x > y"},
        {CP_E_SHAPE, "dimension 'h' unknown: give --shape x=", "input x f nx3xhxw; output y; node a Relu x > y"},
        {CP_OK, "", "input x f nx3x2x2; output y; node a Relu x > y"},
        {CP_E_SHAPE, "has no shape: give --shape x=", "input x f; output y; node a Relu x > y"},
        {CP_E_SHAPE, "the batch must be known here", "input x f nx3; output y; node a Shape x > y"},
    };
    CHECK(rows);
}

/* --- bytes --- */

static cp_status load_bytes(const void *data, size_t length) {
    cp_net *net;
    const cp_status status = cp_onnx_load_memory(&net, data, (int64_t)length, NULL);
    cp_net_free(net);
    return status;
}

static void expect_bytes(const void *data, size_t length, cp_status status, const char *text) {
    assert_int_equal(load_bytes(data, length), status);
    if (!strstr(cp_error(), text)) fail_msg("'%s' instead of '%s'", cp_error(), text);
}

static void malformed(void **state) {
    (void)state;
    static const char png[] = "\x89PNG\r\n\x1a\n";
    static const uint8_t varint[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    static const uint8_t longer[] = {0x3a, 0x04, 0x0a, 0x09, 0x01, 0x02, 0x40, 0x01};
    static const uint8_t huge[] = {0x3a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
    static const uint8_t group[] = {0x08, 0x08, 0x3b};
    expect_bytes("", 0, CP_E_FORMAT, "not an ONNX model (empty file)");
    expect_bytes("text, and no model", 18, CP_E_FORMAT, "not an ONNX model");
    expect_bytes(png, sizeof png - 1, CP_E_FORMAT, "");
    expect_bytes(varint, sizeof varint, CP_E_FORMAT, "malformed field at byte 0");
    expect_bytes(longer, sizeof longer, CP_E_FORMAT, "malformed field at byte 2 in model.graph");
    expect_bytes(huge, sizeof huge, CP_E_FORMAT, "malformed field at byte 0");
    expect_bytes(group, sizeof group, CP_E_FORMAT, "malformed field at byte 2");
    expect_bytes("\x08\x08", 2, CP_E_FORMAT, "model has no graph");
}

#define SMALL                                                                                                          \
    "input x f 1x2x4x4; init w f 3x2x3x3; init b f 3; init s l 2 = 1,-1; output z;"                                    \
    "node c Conv x,w,b > y pads=[1,1,1,1]; node r Relu y > q; node s Reshape q,s > z"
#define OTHER                                                                                                          \
    "input x f nx4; init w h 3x4 list; init b f 3 list; output y; node k Constant > a value=l(1);"                     \
    "node g Gemm x,w,b > g transB=1 alpha=1.0; node u Unsqueeze g,a > u; node t Transpose u > y perm=[0,2,1]"

/* Cut at every byte: "truncated at byte N in model.graph.node". */
static void cut(void **state) {
    (void)state;
    const char *const models[] = {SMALL, OTHER};
    for (int m = 0; m < 2; m++) {
        bytes model = onnx_model(models[m]);
        assert_int_equal(load_bytes(model.data, model.length), CP_OK);
        bool in_node = false;
        for (size_t n = 1; n < model.length; n++) {
            uint8_t *exact = malloc(n); /* so that a sanitizer sees whoever reads on */
            memcpy(exact, model.data, n);
            const cp_status status = load_bytes(exact, n);
            char expected[64];
            snprintf(expected, sizeof expected, "truncated at byte %zu in model", n);
            if (!status) fail_msg("cut to %zu of %zu bytes it loads", n, model.length);
            if (!strstr(cp_error(), expected) && !strstr(cp_error(), "no opset") && !strstr(cp_error(), "no graph"))
                fail_msg("cut to %zu bytes: %s", n, cp_error());
            in_node |= strstr(cp_error(), "in model.graph.node") != NULL;
            free(exact);
        }
        assert_true(in_node);
        free(model.data);
    }
}

/* Every byte of two models takes other values: nothing breaks, whatever comes out. */
static void flipped(void **state) {
    (void)state;
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    const char *const models[] = {SMALL, OTHER};
    for (int m = 0; m < 2; m++) {
        bytes model = onnx_model(models[m]);
        for (size_t i = 0; i < model.length; i++) {
            const uint8_t kept = model.data[i];
            for (int bit = 0; bit < 8; bit++) {
                model.data[i] = kept ^ (uint8_t)(1 << bit);
                load_and_try(model.data, model.length);
            }
            for (size_t v = 0; v < sizeof values; v++) {
                model.data[i] = values[v];
                load_and_try(model.data, model.length);
            }
            model.data[i] = kept;
        }
        free(model.data);
    }
}

static double now(void) {
    struct timeval t;
    gettimeofday(&t, NULL);
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

/* Graphs within graphs; messages within messages; more nodes than anybody has; a fan of copies. */
static void extremes(void **state) {
    (void)state;
    bytes inner = {0};
    for (int i = 0; i < 10000; i++) {
        bytes attribute = {0}, node = {0}, graph = {0};
        put_message(&attribute, 6, &inner);
        put_message(&node, 5, &attribute);
        put_message(&graph, 1, &node);
        inner = graph;
    }
    bytes model = {0};
    put_int(&model, 1, 8);
    put_message(&model, 7, &inner);
    expect_bytes(model.data, model.length, CP_E_FORMAT, "nesting deeper than");
    free(model.data);

    bytes graph = {0};
    for (int i = 0; i < 1000000; i++) bytes_add(&graph, "\x0a\x00", 2);
    model = (bytes){0};
    put_message(&model, 7, &graph);
    const double begin = now();
    expect_bytes(model.data, model.length, CP_E_LIMIT, "more than 32768 nodes");
    assert_true(now() - begin < 2);
    free(model.data);

    char *text = malloc(1 << 20), *at = text;
    at += sprintf(at, "input x f 1; output x20;node n0 Concat x,x > x1 axis=0");
    for (int i = 1; i < 20; i++) at += sprintf(at, ";node n%d Concat x%d,x%d > x%d axis=0", i, i, i, i + 1);
    assert_int_equal(load(text), CP_OK);
    for (int i = 20; i < 40; i++) at += sprintf(at, ";node n%d Concat x%d,x%d > x%d axis=0", i, i, i, i + 1);
    assert_int_equal(load(text), CP_E_LIMIT);
    free(text);
}

static void names(void **state) {
    (void)state;
    bytes graph = {0}, node = {0}, model = {0};
    static const char name[] = "a\0b\x1b[2J\xff";
    char *longest = malloc(1 << 20);
    memset(longest, 'n', 1 << 20);
    put_bytes(&node, 1, longest, 1 << 20);
    put_bytes(&node, 3, name, sizeof name - 1);
    put_text(&node, 4, "Relu");
    put_message(&graph, 1, &node);
    put_value(&graph, 12, "y", 1, NULL);
    put_message(&model, 7, &graph);
    assert_int_equal(load_bytes(model.data, model.length), CP_E_FORMAT);
    assert_non_null(strstr(cp_error(), "node 'a\\x00b\\x1b[2J\\xff' (Relu): input 'nnn"));
    assert_true(strlen(cp_error()) < 300);
    for (const char *c = cp_error(); *c; c++) assert_true(*c >= ' ' && *c <= '~');
    free(model.data);
    free(longest);
}

/* --- external data --- */

static char folder[PATH_MAX];

static void in_folder(char path[PATH_MAX], const char *name) {
    snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - 300, folder, name);
}

static void write_file(const char *name, const void *data, size_t length) {
    char path[PATH_MAX];
    in_folder(path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    fclose(file);
}

static void expect_external(const char *where, cp_status status, const char *text) {
    char line[400], path[PATH_MAX];
    cp_net *net;
    snprintf(line, sizeof line, "input x f 4; init w f 4 ext=%s; output y; node a Add x,w > y", where);
    bytes model = onnx_model(line);
    write_file("m/model.onnx", model.data, model.length);
    free(model.data);
    in_folder(path, "m/model.onnx");
    const cp_status got = cp_onnx_load(&net, path, NULL);
    if (got != status || (got && !strstr(cp_error(), text)))
        fail_msg("%s gives %d '%s', not %d '%s'", where, got, got ? cp_error() : "", status, text);
    cp_net_free(net);
}

static void external(void **state) {
    (void)state;
    static const float numbers[] = {1, 2, 3, 4, 5, 6};
    char path[PATH_MAX], other[PATH_MAX], absolute[PATH_MAX + 8];
    snprintf(folder, sizeof folder, "/tmp/convpool-external-XXXXXX");
    assert_non_null(mkdtemp(folder));
    in_folder(path, "m");
    assert_int_equal(mkdir(path, 0700), 0);
    in_folder(path, "m/sub");
    assert_int_equal(mkdir(path, 0700), 0);
    write_file("secret", numbers, sizeof numbers);
    write_file("m/w.bin", numbers, sizeof numbers);
    write_file("m/sub/w.bin", numbers, sizeof numbers);
    write_file("m/hard", numbers, sizeof numbers);
    in_folder(path, "m/hard");
    in_folder(other, "m/hard2");
    assert_int_equal(link(path, other), 0);
    in_folder(path, "m/link");
    assert_int_equal(symlink("../secret", path), 0);
    in_folder(path, "m/parent");
    assert_int_equal(symlink("sub", path), 0);
    in_folder(path, "m/fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    in_folder(path, "secret");
    snprintf(absolute, sizeof absolute, "%s", path);

    expect_external("w.bin,4,16", CP_OK, "");
    expect_external("w.bin,0", CP_OK, "");
    expect_external("sub/w.bin,8,16", CP_OK, "");
    expect_external("../secret", CP_E_FORMAT, "leaves the model's directory");
    expect_external("sub/../../secret", CP_E_FORMAT, "leaves the model's directory");
    expect_external(absolute, CP_E_FORMAT, "leaves the model's directory");
    expect_external("/etc/passwd", CP_E_FORMAT, "leaves the model's directory");
    expect_external("link", CP_E_FORMAT, "is a symbolic link");
    expect_external("parent/w.bin", CP_E_FORMAT, "is a symbolic link");
    expect_external("hard", CP_E_FORMAT, "has 2 links");
    expect_external("fifo", CP_E_FORMAT, "is not a regular file");
    expect_external("sub", CP_E_FORMAT, "is not a regular file");
    expect_external("nothing", CP_E_IO, "No such file");
    expect_external("w.bin,12,16", CP_E_FORMAT, "bytes 12..28 outside file of 24 bytes");
    expect_external("w.bin,-1,16", CP_E_FORMAT, "external offset '-1': must be a number");
    expect_external("w.bin,0,-1", CP_E_FORMAT, "external length '-1': must be a number");
    expect_external("w.bin,12abc,16", CP_E_FORMAT, "external offset '12abc': must be a number");
    expect_external("w.bin,0,1152921504606846976", CP_E_FORMAT, "has 1152921504606846976 bytes, needs 16");
    expect_external("w.bin,9223372036854775807,16", CP_E_FORMAT, "outside file of 24 bytes");
    expect_external("w.bin,99999999999999999999,16", CP_E_FORMAT, "must be a number");

    static const char *const made[] = {"m/model.onnx", "m/w.bin",  "m/sub/w.bin", "m/hard", "m/hard2",
                                       "m/link",       "m/parent", "m/fifo",      "secret"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        in_folder(path, made[i]);
        assert_int_equal(unlink(path), 0);
    }
    in_folder(path, "m/sub");
    rmdir(path);
    in_folder(path, "m");
    rmdir(path);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows),  cmocka_unit_test(layers),    cmocka_unit_test(initializers),
        cmocka_unit_test(graphs),   cmocka_unit_test(malformed), cmocka_unit_test(cut),
        cmocka_unit_test(flipped),  cmocka_unit_test(extremes),  cmocka_unit_test(names),
        cmocka_unit_test(external),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
