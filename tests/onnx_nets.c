/* Nets from ONNX models: what becomes of them (transpositions cancel, constants are computed, layers fuse), and their
 * numbers, by hand. The models are made by onnx_text.h; single operators have ONNX's own folders (nodes.sh). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "convpool.h"
#include "onnx_text.h"

static cp_net *load_with(const char *text, const cp_onnx *options) {
    cp_net *net;
    bytes model = onnx_model(text);
    if (cp_onnx_load_memory(&net, model.data, (int64_t)model.length, options)) fail_msg("%s: %s", text, cp_error());
    free(model.data);
    return net;
}

static cp_net *load(const char *text) {
    return load_with(text, NULL);
}

/* "conv relu transpose": the operations of a plan. */
static const char *steps_of(const cp_net *net, int64_t batch) {
    static char text[1000];
    cp_plan *plan;
    cp_step_info step;
    if (cp_net_plan(&plan, NULL, net, &(cp_plan_options){.batch = batch})) fail_msg("%s", cp_error());
    text[0] = 0;
    for (int i = 0; i < cp_plan_steps(plan); i++) {
        cp_plan_step(plan, NULL, i, &step);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", step.op);
    }
    cp_plan_free(plan);
    return text;
}

static void expect_steps(const char *model, const char *steps) {
    cp_net *net = load(model);
    assert_string_equal(steps_of(net, 2), steps);
    cp_net_free(net);
}

static void orders(void **state) {
    (void)state;
    /* channels first: one transposition at each edge */
    expect_steps("input x f 1x3x8x8; init w f 4x3x3x3; init v f 5x4x1x1; output y;"
                 "node a Conv x,w > a; node b Conv a,v > y",
                 "transpose conv conv transpose");
    /* channels last outside, first inside: none */
    expect_steps("input x f 1x8x8x3; init w f 4x3x3x3; output y; node a Transpose x > a perm=[0,3,1,2];"
                 "node b Conv a,w > b; node c Transpose b > y perm=[0,2,3,1]",
                 "conv");
    /* what does not care keeps the order; numbers of a channel stand where they belong */
    expect_steps(
        "input x f 1x3x8x8; init w f 4x3x3x3; init s f 4x1x1; output y; node a Conv x,w > a;"
        "node b Mul a,s > b; node c Sigmoid b > c; node d Concat c,b > d axis=1; node e Transpose d > y perm=[0,2,3,1]",
        "transpose conv mul sigmoid concat");
    /* a flatten of one pixel moves nothing */
    expect_steps("input x f 1x3x8x8; init w f 4x3x8x8; init v f 4x2; output y; node a Conv x,w > a;"
                 "node b Flatten a > b; node c Gemm b,v > y",
                 "transpose conv dense");
    /* asked for twice, made once */
    expect_steps("input x f 1x3x8x8; init w f 4x3x3x3; init v f 4x3x3x3; output y; node a Conv x,w > a;"
                 "node b Conv x,v > b; node c Add a,b > c; node d Transpose c > y perm=[0,2,3,1]",
                 "transpose conv conv add");
}

static void fusing(void **state) {
    (void)state;
    expect_steps("input x f 1x8x8x3; init w f 4x3x3x3; init g f 4; output y; node t Transpose x > t perm=[0,3,1,2];"
                 "node a Conv t,w > a; node b BatchNormalization a,g,g,g,g > b; node c Relu b > c;"
                 "node u Transpose c > y perm=[0,2,3,1]",
                 "conv");
    /* both read the convolution: nothing is taken over */
    expect_steps("input x f 1x8x8x3; init w f 4x3x3x3; output y; output z; node t Transpose x > t perm=[0,3,1,2];"
                 "node a Conv t,w > a; node c Relu a > c; node u Transpose c > y perm=[0,2,3,1];"
                 "node v Transpose a > z perm=[0,2,3,1]",
                 "conv relu");
    /* dead ends are dropped */
    expect_steps("input x f 1x4; output y; node a Relu x > y; node b Exp x > b; node c Log b > c", "relu");
}

/* Runs a net of one input and one output, both of floats. */
static void run(const cp_net *net, const float *in, cp_shape shape, float *out, int64_t count) {
    cp_plan *plan;
    cp_work *work = NULL;
    const cp_tensor x = cp_view(in, CP_F32, shape);
    if (cp_net_plan(&plan, NULL, net, &(cp_plan_options){.inputs = &x}) || cp_work_new(&work, plan))
        fail_msg("%s", cp_error());
    const cp_tensor y = cp_view(out, CP_F32, cp_plan_output_shape(plan, 0));
    assert_int_equal(cp_shape_count(y.shape), count);
    if (cp_plan_run(plan, work, &x, 1, &y, 1)) fail_msg("%s", cp_error());
    cp_work_free(work);
    cp_plan_free(plan);
}

static void constants(void **state) {
    (void)state;
    /* shapes are computed from the input's: Shape, Gather, Concat, Reshape, as exporters write them */
    cp_net *net = load("input x f 2x3x4; init zero l scalar = 0; init rest l 1 = -1; init ax l 1 = 0; output y;"
                       "node a Shape x > s; node b Gather s,zero > n; node c Unsqueeze n,ax > u;"
                       "node d Concat u,rest > t axis=0; node e Reshape x,t > y");
    assert_string_equal(steps_of(net, 0), "copy"); /* from the input to the output */
    const cp_shape y = cp_net_shape(net, cp_net_output_node(net, 0));
    assert_int_equal(y.rank, 2);
    assert_int_equal(y.dim[0], 2);
    assert_int_equal(y.dim[1], 12);
    cp_net_free(net);

    /* weights from nodes, in halves, in lists: (x * 2 + 1/2) * 3 */
    net = load("input x f 3; init h h 1 = 16384 list; output y; node a Constant > two value=f(2.0);"
               "node b Constant > half value_float=0.5; node c Constant > three value=f(3.0); node d Mul x,two > a;"
               "node e Add a,half > b; node f Mul b,three > y");
    const float x[] = {0, 1, -2};
    float out[3];
    run(net, x, cp_shape_of(1, (int64_t[]){3}), out, 3);
    assert_true(out[0] == 1.5f && out[1] == 7.5f && out[2] == -10.5f);
    cp_net_free(net);

    /* a range, and what is computed from it: x + (0, 2, 4) * (0, 2, 4) */
    net = load("input x f 3; init a f scalar = 0; init b f scalar = 6; init d f scalar = 2; output y;"
               "node r Range a,b,d > r; node m Mul r,r > m; node s Add x,m > y");
    run(net, x, cp_shape_of(1, (int64_t[]){3}), out, 3);
    assert_true(out[0] == 0 && out[1] == 5 && out[2] == 14);
    cp_net_free(net);
}

/* (x - 1) (w - (0, 1, -1)) = (18, 10, -12), (-1, 3, -4), and quarters of it, halves to even, plus 1. */
static void bytes_for_numbers(void **state) {
    (void)state;
#define MATRIX                                                                                                         \
    "input x f 2x2; init w c 2x3 = 1,-2,3,4,5,-6; init wz c 3 = 0,1,-1; init xz u scalar = 1; init s f scalar = 0.5;"  \
    "init one f scalar = 1; init two f scalar = 2; init yz c scalar = 1; output y; node a Cast x > a to=2;"
    const cp_shape matrix = cp_shape_of(2, (int64_t[]){2, 2});
    const float x[] = {3, 5, 0, 1};
    float out[6];
    cp_net *net = load(MATRIX "node m MatMulInteger a,w,xz,wz > m; node y Cast m > y to=1");
    run(net, x, matrix, out, 6);
    assert_memory_equal(out, ((const float[]){18, 10, -12, -1, 3, -4}), sizeof out);
    cp_net_free(net);

    net = load(MATRIX "node m QLinearMatMul a,s,xz,w,one,wz,two,yz > m; node y Cast m > y to=1");
    run(net, x, matrix, out, 6);
    assert_memory_equal(out, ((const float[]){5, 3, -2, 1, 2, 0}), sizeof out);
    cp_net_free(net);
#undef MATRIX

    /* the rows are pixels; channels lie in front, with a bias, of which the last is more than a byte holds */
    net = load("input x f 1x2x1x2; init w c 3x2x1x1 = 1,4,-2,5,3,-6; init wz c 3 = 0,1,-1; init xz u scalar = 1;"
               "init s f scalar = 0.5; init ws f 3 = 1,1,1; init two f scalar = 2; init yz c scalar = 1;"
               "init b i 3 = 2,0,4000; output y; node a Cast x > a to=2;"
               "node c QLinearConv a,s,xz,w,ws,wz,two,yz,b > c; node y Cast c > y to=1");
    run(net, (const float[]){3, 0, 5, 1}, cp_shape_of(4, (int64_t[]){1, 2, 1, 2}), out, 6);
    assert_memory_equal(out, ((const float[]){6, 1, 3, 2, 127, 127}), sizeof out);
    cp_net_free(net);
}

/* What is known of inputs: the sizes that were left open, and numbers that shapes depend on. */
static void known_inputs(void **state) {
    (void)state;
    const int64_t sizes[] = {3, -1};
    const cp_onnx_input known[] = {{.name = "x", .tensor.shape = {3, {2, 3, 5}}},
                                   {.name = "s", .tensor = cp_view(sizes, CP_I64, cp_shape_of(1, (int64_t[]){2}))}};
    cp_net *net = load_with("input x f nxcxw; input s l 2; output y; node r Reshape x,s > y",
                            &(cp_onnx){.inputs = known, .n_inputs = 2});
    const cp_shape y = cp_net_shape(net, cp_net_output_node(net, 0));
    assert_true(y.rank == 2 && y.dim[0] == 3 && y.dim[1] == 10);
    cp_net_free(net);

    bytes model = onnx_model("input x f nx3xw; output y; node r Relu x > y");
    const cp_onnx_input wrong = {.name = "x", .tensor.shape = {3, {2, 4, 5}}};
    assert_int_equal(
        cp_onnx_load_memory(&net, model.data, (int64_t)model.length, &(cp_onnx){.inputs = &wrong, .n_inputs = 1}),
        CP_E_SHAPE);
    assert_non_null(strstr(cp_error(), "input 'x' is 2x4x5, the model takes 0x3x0 (0: any)"));
    free(model.data);
}

/* The batch that the model leaves open is that of the input that comes. */
static void any_batch(void **state) {
    (void)state;
    cp_net *net = load("input x f nx2x1x1; init w f 1x2x1x1 = 1,2; init s l 2 = 0,-1; output y;"
                       "node a Conv x,w > a; node b Reshape a,s > y");
    float out[3];
    run(net, (const float[]){1, 2, 3, 4, 5, 6}, (cp_shape){4, {3, 2, 1, 1}}, out, 3);
    assert_true(out[0] == 5 && out[1] == 11 && out[2] == 17);
    run(net, (const float[]){1, 1}, (cp_shape){4, {1, 2, 1, 1}}, out, 1);
    assert_true(out[0] == 3);
    cp_net_free(net);
}

/* Names with a part of the wrong kind, and what the API refuses. */
static void refusals(void **state) {
    (void)state;
    cp_net *net;
    cp_array array;
    assert_int_equal(cp_onnx_load_memory(NULL, "", 0, NULL), CP_E_ARG);
    assert_int_equal(cp_onnx_load_memory(&net, NULL, 5, NULL), CP_E_ARG);
    assert_int_equal(cp_onnx_load_memory(&net, "", 0, &(cp_onnx){.reserved = {1}}), CP_E_ARG);
    assert_int_equal(cp_onnx_load_memory(&net, "", 0, &(cp_onnx){.max_memory = -1}), CP_E_ARG);
    assert_int_equal(cp_onnx_load(&net, "/nothing/there.onnx", NULL), CP_E_IO);
    assert_null(net);
    assert_int_equal(cp_onnx_tensor_load(NULL, "x"), CP_E_ARG);
    assert_int_equal(cp_onnx_tensor_load(&array, "/nothing/there.pb"), CP_E_IO);
    cp_onnx_operator op;
    int count = 0;
    while (cp_onnx_operator_at(&op, count)) count++;
    assert_true(count > 100);
    assert_false(cp_onnx_operator_at(NULL, 0));
    assert_false(cp_onnx_operator_at(&op, -1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),
        cmocka_unit_test(fusing),
        cmocka_unit_test(constants),
        cmocka_unit_test(known_inputs),
        cmocka_unit_test(any_batch),
        cmocka_unit_test(refusals),
        cmocka_unit_test(bytes_for_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
