/* Models in files: what was saved comes back, in the order of PyTorch; corrupted and foreign files. */
#include "training.h"

/* --- saved and loaded --- */

/* A net with one layer of every kind. */
static cp_net *varied_net(void) {
    cp_net *net;
    ok(cp_net_new(&net));
    cp_node x = cp_net_input(net, "picture \"1\"", CP_F32, cp_shape_nhwc(0, 9, 8, 4));
    x = cp_net_parse(net, x, "conv 6 3x2 stride 2x1 dilation 1x2 pad 1,0,2,3 groups 2 relu");
    cp_net_name(net, "a \\ strange\nname \xc3\xa9");
    const cp_node y = cp_net_conv(net, x, 6, &(cp_conv){.kernel = {1, 1}, .activation = CP_SIGMOID});
    x = cp_net_parse(net, cp_net_add(net, x, y),
                     "max-pool 3x2 stride 1 same_lower; avg-pool 3 stride 2 pad 1 ceil divisor padded");
    const float shift[] = {1, 2, 3, 4, 5, 6};
    const cp_tensor constant = cp_view(shift, CP_F32, cp_shape_of(1, (int64_t[]){6}));
    const float kernel[36] = {[0] = 1, [7] = 2, [14] = -1};
    const cp_tensor weights = cp_hwio(kernel, 1, 1, 6, 6);
    x = cp_net_conv_with(net, x, cp_net_constant(net, "kernel", &weights), cp_net_constant(net, "shift", &constant),
                         NULL);
    cp_net_output(net, x, "features");
    x = cp_net_parse(net, x,
                     "conv-transpose 4 2x3 stride 2 groups 2; tanh; flatten; dropout 0.3; dense 7 relu; dropout 0.25; "
                     "dense 3; softmax");
    cp_net_output(net, x, "probabilities");
    cp_net_output(net, x, "again");
    const char *error;
    if (cp_net_error(net, &error)) fail_msg("%s", error);
    ok(cp_net_initialize(net, CP_HE, 11));
    for (int64_t i = 0; i < 6; i++) ((float *)cp_net_parameter(net, 1).data)[i] = (float)i;
    ok(cp_net_set_note(net, "text", "two\nlines, \"quoted\""));
    return net;
}

static void run_varied(const cp_net *net, float *outputs[3]) {
    static float in[2 * 9 * 8 * 4];
    cp_plan *plan;
    cp_work *work;
    cp_tensor out[3];
    for (int64_t e = 0; e < 2 * 9 * 8 * 4; e++) in[e] = uniform(1, e);
    const cp_tensor x = cp_nhwc(in, 2, 9, 8, 4);
    ok(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.batch = 2}));
    ok(cp_work_new(&work, plan));
    for (int i = 0; i < 3; i++) out[i] = cp_view(outputs[i], CP_F32, cp_plan_output_shape(plan, i));
    ok(cp_plan_run(plan, work, &x, 1, out, 3));
    cp_work_free(work);
    cp_plan_free(plan);
}

static void models_come_back(void **state) {
    (void)state;
    cp_net *net = varied_net(), *loaded;
    ok(cp_net_save(net, path_a));
    ok(cp_net_load(&loaded, path_a));
    assert_true(same_parameters(net, loaded));
    assert_int_equal(cp_net_outputs(loaded), 3);
    assert_string_equal(cp_net_output_name(loaded, 1), "probabilities");
    assert_string_equal(cp_net_input_name(loaded, 0), "picture \"1\"");
    assert_true(cp_shape_same(cp_net_shape(loaded, cp_net_input_node(loaded, 0)), cp_shape_nhwc(0, 9, 8, 4)));
    assert_string_equal(cp_net_note(loaded, "text"), "two\nlines, \"quoted\"");
    assert_int_equal(cp_net_layers(net), cp_net_layers(loaded));
    for (int i = 0; i < cp_net_layers(net); i++) {
        cp_layer a, b;
        ok(cp_net_layer(net, i, &a));
        ok(cp_net_layer(loaded, i, &b));
        assert_string_equal(a.name, b.name);
        assert_string_equal(a.op, b.op);
        assert_string_equal(a.detail, b.detail);
    }
    static float here[3][2000], there[3][2000];
    run_varied(net, (float *[]){here[0], here[1], here[2]});
    run_varied(loaded, (float *[]){there[0], there[1], there[2]});
    assert_memory_equal(here, there, sizeof here);
    ok(cp_net_save(loaded, path_b));
    assert_true(same_files(path_a, path_b));
    cp_net_free(net);
    cp_net_free(loaded);
}

/* Every layer that has numbers or lists of its own. */
static void new_layers_come_back(void **state) {
    (void)state;
    cp_net *net =
        new_net(cp_shape_nhwc(0, 4, 4, 4),
                "batch-norm epsilon 0.001 momentum 0.75; leaky-relu 0.2; layer-norm; clip -1.5 2; group-norm 2; "
                "lrn 3 alpha 0.5 bias 2; instance-norm epsilon 0.1; prelu; hard-sigmoid; gelu-tanh",
                4);
    const cp_node x = cp_net_output_node(net, 0);
    cp_node parts[2];
    ok(cp_net_split(net, x, -1, (int64_t[]){1, 3}, 2, parts));
    const cp_node joined = cp_net_concat(net, (cp_node[]){parts[1], cp_net_max(net, x, parts[0]), parts[0]}, 3, 3);
    cp_net_output(net, cp_net_reduce(net, joined, CP_REDUCE_L2, (int[]){1, 3}, 2, true), "norms");
    ok(cp_net_error(net, NULL));
    ok(cp_net_save(net, path_a));
    cp_net *loaded;
    ok(cp_net_load(&loaded, path_a));
    assert_true(same_parameters(net, loaded));
    ok(cp_net_save(loaded, path_b));
    assert_true(same_files(path_a, path_b));
    assert_true(cp_shape_same(cp_net_shape(loaded, cp_net_output_node(loaded, 1)), cp_shape_nhwc(0, 1, 4, 1)));
    cp_net_free(loaded);
    cp_net_free(net);
}

/* Weights stand in the file as PyTorch has them: filters and channels first, and behind a flatten channels before
 * places. */
static void stored_order(void **state) {
    (void)state;
    enum { H = 2, W = 3, C = 4, UNITS = 5 };
    cp_net *net =
        new_net(cp_shape_nhwc(0, H, W, 2), "conv 4 2x3 same relu; flatten; dropout 0.5; relu; dense 5; dense 2", 1);
    const cp_tensor conv = cp_net_parameter(net, 0), dense = cp_net_parameter(net, 2), last = cp_net_parameter(net, 4);
    cp_safetensors file;
    ok(cp_net_save(net, path_a));
    ok(cp_safetensors_load(&file, path_a));
    assert_true(file.checked);

    const cp_tensor *stored = cp_safetensors_find(&file, "conv1.weight");
    assert_non_null(stored);
    assert_true(cp_shape_same(stored->shape, cp_shape_of(4, (int64_t[]){4, 2, 2, 3})));
    for (int o = 0; o < 4; o++)
        for (int i = 0; i < 2; i++)
            for (int h = 0; h < 2; h++)
                for (int w = 0; w < 3; w++)
                    assert_true(((float *)stored->data)[((o * 2 + i) * 2 + h) * 3 + w] ==
                                ((float *)conv.data)[((h * 3 + w) * 2 + i) * 4 + o]);

    stored = cp_safetensors_find(&file, "dense1.weight");
    assert_non_null(stored);
    assert_true(cp_shape_same(stored->shape, cp_shape_of(2, (int64_t[]){UNITS, H * W * C})));
    for (int u = 0; u < UNITS; u++)
        for (int c = 0; c < C; c++)
            for (int place = 0; place < H * W; place++)
                assert_true(((float *)stored->data)[(u * C + c) * H * W + place] ==
                            ((float *)dense.data)[(place * C + c) * UNITS + u]);

    stored = cp_safetensors_find(&file, "dense2.weight");
    assert_non_null(stored);
    assert_true(cp_shape_same(stored->shape, cp_shape_of(2, (int64_t[]){2, UNITS})));
    for (int u = 0; u < 2; u++)
        for (int i = 0; i < UNITS; i++)
            assert_true(((float *)stored->data)[u * UNITS + i] == ((float *)last.data)[i * 2 + u]);
    cp_safetensors_free(&file);
    cp_net_free(net);
}

static void nets_that_cannot_be_saved(void **state) {
    (void)state;
    cp_net *net = small_net(), *twins;
    ok(cp_net_set_note(net, "network", "mine"));
    refused(cp_net_save(net, path_a), CP_E_ARG, "'network'");
    ok(cp_net_set_note(net, "network", NULL));
    refused(cp_net_save(net, NULL), CP_E_ARG, "NULL");
    refused(cp_net_save(net, "/nowhere/at all"), CP_E_IO, "/nowhere/at all");
    cp_node by, x = cp_net_input_node(net, 0), y = cp_net_output_node(net, 0);
    const cp_node labels = cp_net_input(net, "labels", CP_I32, cp_shape_of(1, (int64_t[]){0}));
    ok(cp_net_gradients(net, cp_net_softmax_cross_entropy(net, y, labels), 0, &x, 1, &by));
    refused(cp_net_save(net, path_a), CP_E_UNSUPPORTED, "'softmax-cross-entropy' cannot be saved");
    cp_net_free(net);

    ok(cp_net_new(&twins));
    x = cp_net_input(twins, "x", CP_F32, cp_shape_nhwc(0, 4, 4, 1));
    cp_net_name(twins, "twin");
    x = cp_net_activation(twins, x, CP_RELU);
    cp_net_name(twins, "twin");
    cp_net_output(twins, cp_net_activation(twins, x, CP_TANH), "y");
    refused(cp_net_save(twins, path_a), CP_E_ARG, "'twin'");
    cp_net_free(twins);
}

/* --- corrupted --- */

#define INPUTS "\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"shape\":[0,4,4,2]}]"
#define PARAMETERS                                                                                                     \
    "\"parameters\":[{\"name\":\"conv1.weight\",\"shape\":[3,3,2,2]},{\"name\":\"conv1.bias\",\"shape\":[2]}]"
#define CONSTANTS "\"constants\":[]"
#define CONV(attributes)                                                                                               \
    "{\"op\":\"conv\",\"name\":\"conv1\",\"inputs\":[\"x\",\"conv1.weight\",\"conv1.bias\"],"                          \
    "\"attributes\":" attributes "}"
#define OUTPUTS "\"outputs\":[{\"name\":\"y\",\"value\":\"conv1\"}]"
#define BEFORE_LAYERS "{" INPUTS "," PARAMETERS "," CONSTANTS ",\"layers\":["
#define NETWORK(layers) BEFORE_LAYERS layers "]," OUTPUTS "}"

/* Saves a file with this note and the two tensors of conv1. */
static void save_network(const char *json) {
    static float weight[36], bias[2];
    const cp_stored tensors[] = {
        {"conv1.weight", cp_view(weight, CP_F32, cp_shape_of(4, (int64_t[]){2, 2, 3, 3}))},
        {"conv1.bias", cp_vec(bias, 2)},
    };
    const cp_note note = {"network", json};
    ok(cp_safetensors_save(path_a, tensors, 2, &note, 1));
}

static void bad_networks(void **state) {
    (void)state;
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"", "JSON"},
        {"[]", "'inputs' is missing"},
        {"{}", "'inputs' is missing"},
        {"{\"inputs\":3}", "'inputs' is missing or no list"},
        {"{\"inputs\":[7]}", "'name' is missing"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f8\",\"shape\":[1]}]}", "input 'x': unknown type 'f8'"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f16\",\"shape\":[1]}]}", "type f16, which is for storage"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"shape\":[1.5]}]}", "'shape' must be whole numbers"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"shape\":[1,1,1,1,1,1,1,1,1]}]}", "more than 8"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"shape\":[1,-4]}]}", "-4"},
        {"{\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"shape\":[2]},{\"name\":\"x\",\"type\":\"f32\",\"shape\":[2]}]"
         "}",
         "two inputs are named 'x'"},
        {"{" INPUTS ",\"parameters\":[{\"name\":\"dense1.weight\",\"shape\":[4,4]}]}", "'dense1.weight' is missing"},
        {"{" INPUTS ",\"parameters\":[{\"name\":\"conv1.weight\",\"shape\":[5,5,1,32]}]}",
         "'conv1.weight' is 32x1x5x5 here, 2x2x3x3 in the file"},
        {"{" INPUTS ",\"parameters\":[{\"name\":\"conv1.weight\",\"shape\":[1099511627776,4194304]}]}",
         "'conv1.weight' is 4194304x1099511627776 here"},
        {"{" INPUTS "," PARAMETERS ",\"constants\":[{\"name\":\"conv1.bias\",\"type\":\"i32\",\"shape\":[2]}]}",
         "it is i32 here, f32 in the file"},
        {"{" INPUTS "," PARAMETERS ",\"constants\":[{\"name\":\"conv1.bias\",\"type\":\"f32\",\"shape\":[2]}]}",
         "'conv1.bias' is defined twice"},
        {NETWORK("5"), "'name' is missing"},
        {NETWORK("{\"op\":\"conw\",\"name\":\"conv1\"}"), "layer 'conv1': unknown op 'conw'"},
        {NETWORK("{\"op\":\"conv-input-gradient\",\"name\":\"conv1\"}"), "unknown op 'conv-input-gradient'"},
        {NETWORK("{\"op\":\"conv\",\"name\":\"conv1\"}"), "'inputs' is missing"},
        {NETWORK("{\"op\":\"conv\",\"name\":\"conv1\",\"inputs\":[\"x\"]}"), "conv needs 2 inputs, has 1"},
        {NETWORK("{\"op\":\"relu\",\"name\":\"r\",\"inputs\":[\"x\",\"x\"]}"), "relu takes at most 1 inputs"},
        {NETWORK("{\"op\":\"relu\",\"name\":\"r\",\"inputs\":[1]}"), "input 0 is no name"},
        {NETWORK("{\"op\":\"relu\",\"name\":\"r\",\"inputs\":[\"conv1\"]}," CONV("{}")),
         "layer 'r': input 'conv1' is not defined before"},
        {NETWORK("{\"op\":\"relu\",\"name\":\"r\",\"inputs\":[\"r\"]}"), "input 'r' is not defined before"},
        {NETWORK("{\"op\":\"relu\",\"name\":\"x\",\"inputs\":[\"x\"]}"), "'x' is defined twice"},
        {NETWORK(CONV("[]")), "'attributes' is no object"},
        {NETWORK(CONV("{\"colour\":1}")), "layer 'conv1': conv has no 'colour'"},
        {NETWORK(CONV("{\"stride\":2}")), "'stride' is missing or no list"},
        {NETWORK(CONV("{\"stride\":[2]}")), "'stride' needs 2 values, has 1"},
        {NETWORK(CONV("{\"stride\":[1,1,1,1]}")), "'stride' has more than 3"},
        {NETWORK(CONV("{\"stride\":[1,\"2\"]}")), "'stride' must be whole numbers"},
        {NETWORK(CONV("{\"stride\":[0,2]}")), "stride[0] = 0"},
        {NETWORK(CONV("{\"pad\":\"FOO\"}")), "pad 'FOO' is unknown"},
        {NETWORK(CONV("{\"pad\":1}")), "'pad' must be a word"},
        {NETWORK(CONV("{\"groups\":1.5}")), "'groups' must be a whole number"},
        {NETWORK(CONV("{\"groups\":-1}")), "-1"},
        {NETWORK(CONV("{\"groups\":3}")), "groups"},
        {NETWORK("{\"op\":\"max-pool\",\"name\":\"p\",\"inputs\":[\"x\"]}"), "kernel[0] = 0"},
        {NETWORK("{\"op\":\"max-pool\",\"name\":\"p\",\"inputs\":[\"x\"],\"attributes\":{\"global\":1}}"),
         "'global' must be true or false"},
        {NETWORK("{\"op\":\"dropout\",\"name\":\"d\",\"inputs\":[\"x\"],\"attributes\":{\"rate\":\"much\"}}"),
         "'rate' must be a number"},
        {NETWORK("{\"op\":\"dropout\",\"name\":\"d\",\"inputs\":[\"x\"],\"attributes\":{\"rate\":2}}"), "rate = 2"},
        {NETWORK("{\"op\":\"flatten\",\"name\":\"f\\u001b[31m\",\"inputs\":[\"x\",\"x\"]}"), "layer 'f\\x1b[31m'"},
        {NETWORK(""), "output 'y': value 'conv1' is not defined"},
        {"{" INPUTS ",\"parameters\":[]," CONSTANTS ",\"layers\":[],\"outputs\":[]}", "the net has no 'conv1.weight'"},
    };
    cp_net *net;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        save_network(cases[i].json);
        net = (cp_net *)&net;
        const cp_status status = cp_net_load(&net, path_a);
        if (status != CP_E_FORMAT || !strstr(cp_error(), cases[i].text) || !strstr(cp_error(), path_a))
            fail_msg("%s: %d, %s", cases[i].json, (int)status, cp_error());
        assert_null(net);
    }
    save_network(NETWORK(CONV("{\"kernel\":[3,3],\"pad\":\"same\"}")));
    ok(cp_net_load(&net, path_a));
    cp_net_free(net);
}

/* Every cut of the JSON, and every byte of it changed to another, is refused or makes a net; nothing else happens. */
static void mutated_networks(void **state) {
    (void)state;
    char *json, *changed;
    cp_net *net = new_net(cp_shape_nhwc(0, 4, 4, 2), "conv 2 3x3 same relu; max-pool 2 ceil; flatten; dropout 0.5", 1);
    cp_safetensors file;
    ok(cp_network_write(net, &json));
    save_network(json);
    ok(cp_safetensors_load(&file, path_a));
    const size_t length = strlen(json);
    changed = malloc(length + 1);
    assert_non_null(changed);
    int loaded = 0;
    for (size_t i = 0; i < 3 * length; i++) {
        static const char bytes[] = {'0', '"', '}'};
        cp_net *mutant;
        memcpy(changed, json, length + 1);
        changed[i / 3] = bytes[i % 3];
        const cp_status status = cp_network_read(&mutant, changed, &file);
        assert_true(status == CP_OK || status == CP_E_FORMAT);
        assert_true((status == CP_OK) == (mutant != NULL));
        loaded += !status;
        cp_net_free(mutant);
        changed[i / 3] = 0;
        assert_int_equal(cp_network_read(&mutant, changed, &file), CP_E_FORMAT);
    }
    assert_true(loaded > 0 && loaded < (int)length);
    free(changed);
    cp_free(NULL, json);
    cp_safetensors_free(&file);
    cp_net_free(net);
}

static void foreign_files(void **state) {
    (void)state;
    cp_net *net;
    float weight[4] = {1, 2, 3, 4};
    int32_t integers[4] = {1, 2, 3, 4};
    const cp_shape shape = cp_shape_of(2, (int64_t[]){2, 2});
    cp_stored tensors[] = {{"dense1.weight", cp_view(weight, CP_F32, shape)}, {"more", cp_vec(weight, 4)}};
    refused(cp_net_load(&net, "/nowhere"), CP_E_IO, "/nowhere");
    refused(cp_net_load(&net, NULL), CP_E_ARG, "NULL");
    ok(cp_safetensors_save(path_a, tensors, 1, NULL, 0));
    refused(cp_net_load(&net, path_a), CP_E_FORMAT, "not a model");
    const cp_note note = {
        "network", "{\"inputs\":[],\"parameters\":[{\"name\":\"dense1.weight\",\"shape\":[2,2]}],\"constants\":[],"
                   "\"layers\":[],\"outputs\":[]}"};
    ok(cp_safetensors_save(path_a, tensors, 2, &note, 1));
    refused(cp_net_load(&net, path_a), CP_E_FORMAT, "the net has no 'more'");
    tensors[0].tensor = cp_view(integers, CP_I32, shape);
    ok(cp_safetensors_save(path_a, tensors, 1, &note, 1));
    refused(cp_net_load(&net, path_a), CP_E_FORMAT, "'dense1.weight' has type i32: must be f32, f64, f16 or bf16");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_come_back), cmocka_unit_test(new_layers_come_back),
        cmocka_unit_test(stored_order),     cmocka_unit_test(nets_that_cannot_be_saved),
        cmocka_unit_test(bad_networks),     cmocka_unit_test(mutated_networks),
        cmocka_unit_test(foreign_files),
    };
    return cmocka_run_group_tests(tests, make_paths, remove_paths);
}
