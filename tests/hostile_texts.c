/* Input that no caller should give, in texts of nets: mistakes, shuffled words, numbers that could not be counted. */
#include "hostile.h"

static void mistakes_in_texts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        cp_status status;
        const char *where, *says;
    } cases[] = {
        {"konv 32 5x5", CP_E_ARG, "position 1:", "'konv' is not possible here; possible: conv,"},
        {"relu; konv 32", CP_E_ARG, "position 7:", "'konv' is not possible here"},
        {"conv", CP_E_ARG, "position 5:", "something is missing; possible: the number of filters, as 32"},
        {"conv 0 3x3", CP_E_ARG, "position 6:", "the number of filters"},
        {"conv -4 3x3", CP_E_ARG, "position 6:", "the number of filters"},
        {"conv 99999999999999999999 3", CP_E_ARG, "position 6:", "the number of filters"},
        {"conv 4", CP_E_ARG, "position 7:", "the kernel's size, as 2 or 2x1"},
        {"conv 4 3x", CP_E_ARG, "position 8:", "the kernel's size"},
        {"conv 4 3x3x3", CP_E_ARG, "position 8:", "the kernel's size"},
        {"conv 4 0x3", CP_E_ARG, "position 8:", "the kernel's size"},
        {"conv 4 3x3 sam", CP_E_ARG, "position 12:", "'sam' is not possible here; possible: same, same_lower, valid"},
        {"conv 4 3x3 pad 1,2", CP_E_ARG, "position 16:", "a padding, as 1, or all begins then all ends"},
        {"conv 4 3x3 pad", CP_E_ARG, "position 15:", "a padding"},
        {"conv 4 3x3 stride 0", CP_E_ARG, "position 19:", "a stride"},
        {"conv 4 3x3 dilation x", CP_E_ARG, "position 21:", "a dilation"},
        {"conv 4 3x3 groups 0", CP_E_ARG, "position 19:", "the number of groups"},
        {"conv 4 3x3 groups 2", CP_E_SHAPE, "position 1:", "groups = 2 does not divide 3 input channels"},
        {"relu;  conv 4 11x3", CP_E_SHAPE, "position 8:", "output height would be -2"},
        {"conv 4 3x3 same pad 1", CP_E_ARG, "position 1:", "pad SAME and explicit padding together"},
        {"conv 1099511627776 1099511627776x1099511627776", CP_E_SHAPE, "position 1:", "overflows"},
        {"pool", CP_E_ARG, "position 5:", "the window's size, as 2 or 3x2, or global"},
        {"pool 2 pad 2", CP_E_SHAPE, "position 1:", "pad_before[0] = 2: must be less than the window (2)"},
        {"pool 0", CP_E_ARG, "position 1:", "kernel[0] = 0: must be at least 1"},
        {"pool 2 relu", CP_E_ARG, "position 8:", "ceil"},
        {"pool global stride 2", CP_E_ARG, "position 1:", "global pooling sees the whole input"},
        {"dense 10", CP_E_SHAPE, "position 1:", "flatten it first"},
        {"flatten; dense", CP_E_ARG, "position 15:", "the number of units, as 10"},
        {"flatten; dense 10 rulu", CP_E_ARG, "position 19:", "'rulu' is not possible here; possible: "},
        {"flatten; dense 10 relu tanh", CP_E_ARG, "position 24:", "the end of the layer"},
        {"flatten; conv 3 3x3", CP_E_SHAPE, "position 10:", "'conv' needs spatial axes, and there are none left here"},
        {"flatten; pool 2", CP_E_SHAPE, "position 10:", "'pool' needs spatial axes"},
        {"dropout", CP_E_ARG, "position 8:", "the share that is dropped, as 0.4"},
        {"dropout 1", CP_E_ARG, "position 1:", "rate = 1: must be at least 0 and less than 1"},
        {"dropout 1.5", CP_E_ARG, "position 1:", "rate = 1.5: must be"},
        {"dropout 0.4.5", CP_E_ARG, "position 9:", "the share that is dropped"},
        {"dropout nan", CP_E_ARG, "position 9:", "the share that is dropped"},
        {"flatten 3", CP_E_ARG, "position 9:", "'3' is not possible here; possible: the end of the layer"},
        {"; relu", CP_E_ARG, "position 1:", "something is missing"},
        {"relu;; relu", CP_E_ARG, "position 6:", "something is missing"},
        {"{ relu", CP_E_ARG, "position 7:", "something is missing; possible: ; or | or }"},
        {"relu }", CP_E_ARG, "position 6:", "'}' is not possible here"},
        {"relu | relu", CP_E_ARG, "position 6:", "'|' is not possible here"},
        {"relu {", CP_E_ARG, "position 6:", "'{' is not possible here; possible: the end of the layer"},
        {"{ relu | } tanh", CP_E_ARG, "position 12:", "'tanh' is not possible here; possible: the end of the layer"},
        {"{ relu; konv | }", CP_E_ARG, "position 9:", "'konv' is not possible here"},
        {"{ relu;; relu | }", CP_E_ARG, "position 8:", "something is missing"},
        {"relu; { pool 2 | }", CP_E_SHAPE, "position 7:", "branches end as 0x4x4x3 and 0x8x8x3, which cannot be added"},
        {"{ conv 1 1x1 | }", CP_E_SHAPE, "position 1:", "branches end as 0x8x8x1 and 0x8x8x3"},
        {"{{{{{{{{{{{{{{{{{relu", CP_E_LIMIT, "position 17:", "more than 16 braces within each other"},
        {"lenet5 ten", CP_E_ARG, "position 8:", "'ten' is not possible here; possible: the number of classes"},
        {"relu; lenet5 3", CP_E_SHAPE, "position 7:", "lenet5, position 35: conv2: kernel of 5 is larger"},
        {"\x1b[31mrelu", CP_E_ARG, "position 1:", "'\\x1b[31mrelu' is not possible here"},
        {"conv 4 \xff\xfe", CP_E_ARG, "position 8:", "'\\xff\\xfe' is not possible here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_net *net = new_net();
        const char *text;
        const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 8, 8, 3));
        assert_int_equal(cp_net_parse(net, x, cases[i].text), 0);
        const cp_status status = cp_net_error(net, &text);
        if (status != cases[i].status || !strstr(text, cases[i].where) || !strstr(text, cases[i].says))
            fail_msg("\"%s\": %d, \"%s\"", cases[i].text, (int)status, text);
        cp_net_free(net);
    }
    in_net(cp_net_parse(net, x, NULL), CP_E_ARG, "the text of the net is NULL");
    in_net(cp_net_parse(net, 0, "relu"), CP_E_ARG, "its input is no value of this net");
    in_net(cp_net_parse(net, 55, ""), CP_E_ARG, "its input is no value of this net");
}

/* Pieces of right texts in a random order: each is read or refused, always with a sentence. */
static void shuffled_texts(void **state) {
    (void)state;
    static const char *const pieces[] = {
        "conv ", "pool ",  "flatten", "dense ", "relu",      "dropout ", "0.5 ",      "3x3 ",     "2 ", "; ",
        ";",     "same ",  "stride ", "pad ",   "1,1,0,2 ",  "global",   "groups ",   "softmax ", "x",  ",",
        "-",     "valid ", "9",       "ceil ",  "avg-pool ", "\n",       "dilation ", "{",        "|",  "}"};
    uint32_t random = 1;
    int read = 0;
    for (int i = 0; i < 3000; i++) {
        char text[400] = "";
        for (int n = 0; n < 1 + i % 24; n++) {
            random = random * 1664525u + 1013904223u;
            strcat(text, pieces[(random >> 16) % (sizeof pieces / sizeof *pieces)]);
        }
        cp_net *net = new_net();
        const char *says;
        const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 8, 8, 2));
        const cp_node y = cp_net_parse(net, x, text);
        const cp_status status = cp_net_error(net, &says);
        if ((status == CP_OK) != (y != 0)) fail_msg("\"%s\": value %d, status %d", text, (int)y, (int)status);
        if (status && !strstr(says, "position")) fail_msg("\"%s\": \"%s\"", text, says);
        read += !status;
        cp_net_free(net);
    }
    assert_true(read > 10);
}

/* What a text says is what is computed: activations of layers are not forgotten. */
static void texts_mean_what_they_say(void **state) {
    (void)state;
    static const char *const cases[] = {"dense 2", "dense 2 relu", "dense 2 sigmoid", "dense 2 tanh"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_net *net = new_net();
        const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_of(2, (int64_t[]){1, 2}));
        cp_net_output(net, cp_net_parse(net, x, cases[i]), "y");
        const cp_tensor w = cp_net_parameter(net, 0);
        memcpy(w.data, (float[]){-1, 1, -1, 1}, 4 * sizeof(float)); /* y = -+(x0 + x1) before the activation */
        cp_plan *plan;
        cp_work *work;
        const float in[2] = {1, 0.5f};
        float y[2];
        const cp_tensor from = cp_mat(in, 1, 2), to = cp_mat(y, 1, 2);
        ok(cp_net_plan(&plan, NULL, net, NULL));
        ok(cp_work_new(&work, plan));
        ok(cp_plan_run(plan, work, &from, 1, &to, 1));
        for (int k = 0; k < 2; k++) {
            const double z = k ? 1.5 : -1.5;
            const double right = i == 0 ? z : i == 1 ? (z > 0 ? z : 0) : i == 2 ? 1 / (1 + exp(-z)) : tanh(z);
            assert_true(fabs((double)y[k] - right) < 1e-6);
        }
        cp_work_free(work);
        cp_plan_free(plan);
        cp_net_free(net);
    }
}

/* Numbers that a summary could not count. */
static void summaries_of_large_nets(void **state) {
    (void)state;
    cp_net *net = new_net();
    cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_of(3, (int64_t[]){0, 1, 1}));
    for (int i = 0; i < 3; i++)
        x = cp_net_conv(net, x, 1, &(cp_conv){.kernel = {2}, .stride = {BIG}, .dilation = {BIG}, .pad_before = {BIG}});
    cp_net_output(net, x, "y");
    ok(cp_net_error(net, NULL));
    cp_layer layer;
    for (int i = 0; i < cp_net_layers(net); i++) {
        ok(cp_net_layer(net, i, &layer));
        assert_true(layer.receptive[0] > 0 && layer.jump[0] > 0);
    }
    assert_true(layer.receptive[0] == INT64_MAX);
    refused(cp_net_layer(net, -1, &layer), CP_E_ARG, "the net has layers 0 to 3");
    refused(cp_net_layer(net, 4, &layer), CP_E_ARG, "layer 4");
    refused(cp_net_layer(net, 0, NULL), CP_E_ARG, "layer is NULL");
    cp_net_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_in_texts),
        cmocka_unit_test(shuffled_texts),
        cmocka_unit_test(texts_mean_what_they_say),
        cmocka_unit_test(summaries_of_large_nets),
    };
    return cmocka_run_group_tests(tests, fill_numbers, NULL);
}
