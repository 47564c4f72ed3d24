/* Input that no caller should give: nets that cannot be, and limits and sizes of their plans. */
#include "hostile.h"

/* --- nets --- */

/* The first failure stays, and everything after it is passed on. */
static void first_failure_is_kept(void **state) {
    (void)state;
    cp_net *net = new_net();
    const char *text;
    cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 8, 8, 3));
    assert_int_not_equal(x, 0);
    x = cp_net_conv(net, x, 4, &(cp_conv){.kernel = {9, 9}});
    assert_int_equal(x, 0);
    assert_int_equal(cp_net_error(net, &text), CP_E_SHAPE);
    assert_non_null(strstr(text, "conv1: kernel of 9 is larger"));
    char first[512];
    snprintf(first, sizeof first, "%s", text);
    const cp_tensor value = cp_vec(numbers, 3);
    assert_int_equal(cp_net_conv(net, x, 4, &(cp_conv){.kernel = {1, 1}}), 0);
    assert_int_equal(cp_net_conv(net, 1, 4, &(cp_conv){.kernel = {1, 1}}), 0);
    assert_int_equal(cp_net_dense(net, 1, 0, (cp_activation)99), 0);
    assert_int_equal(cp_net_pool(net, 1, &(cp_pool){.kind = (cp_pooling)5}), 0);
    assert_int_equal(cp_net_flatten(net, 1), 0);
    assert_int_equal(cp_net_softmax(net, 1), 0);
    assert_int_equal(cp_net_dropout(net, 1, 2), 0);
    assert_int_equal(cp_net_add(net, 1, 1), 0);
    assert_int_equal(cp_net_input(net, "z", CP_F32, cp_shape_of(0, NULL)), 0);
    assert_int_equal(cp_net_constant(net, "c", &value), 0);
    assert_int_equal(cp_net_parse(net, 1, "nonsense"), 0);
    assert_int_equal(cp_net_softmax_cross_entropy(net, 1, 1), 0);
    assert_int_equal(cp_net_mean_squared_error(net, 1, 1), 0);
    cp_net_output(net, 77, "y");
    cp_net_name(net, "name");
    assert_int_equal(cp_net_error(net, &text), CP_E_SHAPE);
    assert_string_equal(text, first);
    cp_plan *plan;
    cp_net *copy;
    cp_trainer *trainer;
    cp_node by;
    refused(cp_net_plan(&plan, NULL, net, NULL), CP_E_SHAPE, first);
    refused(cp_net_clone(&copy, net), CP_E_SHAPE, first);
    refused(cp_net_initialize(net, CP_GLOROT, 1), CP_E_SHAPE, first);
    refused(cp_net_save(net, "/nowhere/file"), CP_E_SHAPE, first);
    refused(cp_net_gradients(net, 1, 0, &(cp_node){1}, 1, &by), CP_E_SHAPE, first);
    refused(cp_trainer_new(&trainer, net, NULL, NULL), CP_E_SHAPE, first);
    assert_null(copy);
    assert_null(trainer);
    cp_net_free(net);
}

static void wrong_layers(void **state) {
    (void)state;
    const cp_conv conv = {.kernel = {3, 3}};
    cp_tensor value = cp_vec(numbers, 3);
    in_net(cp_net_conv(net, x, 4, NULL), CP_E_ARG, "a convolution needs its kernel's size");
    in_net(cp_net_conv(net, x, 0, &conv), CP_E_ARG, "filters = 0: must be at least 1");
    in_net(cp_net_conv(net, x, -4, &conv), CP_E_ARG, "filters = -4: must be at least 1");
    in_net(cp_net_conv(net, x, HUGE_SIZE, &conv), CP_E_SHAPE, "overflows");
    in_net(cp_net_conv(net, v, 4, &conv), CP_E_SHAPE, "the input needs 3 to 5 dimensions, has 2");
    in_net(cp_net_conv(net, x, 4, &(cp_conv){0}), CP_E_ARG, "kernel[0] = 0: must be at least 1");
    in_net(cp_net_conv(net, x, 4, &(cp_conv){.kernel = {3, 3}, .groups = 2}), CP_E_SHAPE,
           "groups = 2 does not divide 3 input channels");
    in_net(cp_net_conv(net, l, 4, &conv), CP_E_SHAPE, "dimensions, has 1");
    in_net(cp_net_conv(net, 0, 4, &conv), CP_E_ARG, "input 0 is no value of this net");
    in_net(cp_net_conv(net, 99, 4, &conv), CP_E_ARG, "is no value of this net");
    in_net(cp_net_conv(net, -1, 4, &conv), CP_E_ARG, "is no value of this net");
    in_net(cp_net_conv_with(net, x, v, 0, NULL), CP_E_SHAPE, "weights need at least 3 dimensions, have 2");
    in_net(cp_net_conv_with(net, x, 0, 0, NULL), CP_E_ARG, "input 1 is no value of this net");
    in_net(cp_net_conv_with(net, x, x, 99, NULL), CP_E_ARG, "input 2 is no value of this net");
    in_net(cp_net_dense(net, x, 4, CP_RELU), CP_E_SHAPE, "needs 2 dimensions, has 4: flatten it first");
    in_net(cp_net_dense(net, v, 0, CP_RELU), CP_E_ARG, "units = 0: must be at least 1");
    in_net(cp_net_dense(net, v, 3, (cp_activation)99), CP_E_ARG, "activation");
    in_net(cp_net_dense(net, 0, 3, CP_RELU), CP_E_ARG, "input 0 is no value of this net");
    in_net(cp_net_dense_with(net, v, v, 0, CP_LINEAR), CP_E_SHAPE, "weights");
    in_net(cp_net_pool(net, x, NULL), CP_E_ARG, "a pooling needs its kernel's size");
    in_net(cp_net_pool(net, x, &(cp_pool){.kind = (cp_pooling)9}), CP_E_ARG, "pooling kind 9");
    in_net(cp_net_pool(net, l, &(cp_pool){.kernel = {1}}), CP_E_ARG, "pool1: input: type i32, must be f32");
    in_net(cp_net_activation(net, x, (cp_activation)-1), CP_E_ARG, "activation");
    in_net(cp_net_activation(net, 98, CP_RELU), CP_E_ARG, "is no value of this net");
    in_net(cp_net_dropout(net, x, 1), CP_E_ARG, "rate = 1: must be at least 0 and less than 1");
    in_net(cp_net_dropout(net, x, -0.5f), CP_E_ARG, "rate = -0.5");
    in_net(cp_net_dropout(net, x, NAN), CP_E_ARG, "rate = nan");
    in_net(cp_net_add(net, x, v), CP_E_SHAPE, "add1: first input is 0x8x8x3, second input is 0x10");
    in_net(cp_net_add(net, x, 0), CP_E_ARG, "input 1 is no value of this net");
    in_net(cp_net_softmax_cross_entropy(net, v, v), CP_E_ARG, "labels: type f32, must be i32");
    in_net(cp_net_softmax_cross_entropy(net, x, l), CP_E_SHAPE, "must have 2 dimensions, has 4: flatten it first");
    in_net(cp_net_mean_squared_error(net, x, v), CP_E_SHAPE, "target is 0x10, input is 0x8x8x3");
    in_net(cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 1, 1, 1)), CP_E_ARG, "two inputs are named 'x'");
    in_net(cp_net_input(net, "i", CP_F32, cp_shape_nhwc(1, 0, 1, 1)), CP_E_SHAPE, "dimension 1 is 0");
    in_net(cp_net_input(net, "i", CP_F32, cp_shape_nhwc(-1, 1, 1, 1)), CP_E_SHAPE, "dimension 0 is -1");
    in_net(cp_net_input(net, "i", (cp_type)12, cp_shape_nhwc(1, 1, 1, 1)), CP_E_ARG, "has type 12, which is none");
    in_net(cp_net_input(net, "i", CP_F32, (cp_shape){.rank = 9}), CP_E_SHAPE, "must be 0 to 8");
    in_net(cp_net_constant(net, "c", NULL), CP_E_ARG, "a constant needs a tensor");
    in_net(cp_net_constant(net, "c", &(cp_tensor){.shape = SHAPE(3)}), CP_E_ARG, "c has no data");
    in_net(cp_net_output(net, 0, "y"), CP_E_ARG, "output 'y' is no value of this net");
    in_net(cp_net_output(net, 99, NULL), CP_E_ARG, "is no value of this net");
    in_net((cp_net_name(net, "a"), cp_net_conv(net, x, 1, &conv), cp_net_name(net, "a"), cp_net_conv(net, x, 1, &conv)),
           CP_E_ARG, "two parameters are named 'a.weight'");
    value.stride[0] = INT64_MAX;
    in_net(cp_net_constant(net, "c", &value), CP_E_SHAPE, "its strides overflow");
}

/* Layers that move, pad, resize, join and normalise. */
static void wrong_layers_of_other_kinds(void **state) {
    (void)state;
    const cp_conv window = {.kernel = {3, 3}};
    cp_node parts[2] = {7, 7};
    in_net(cp_net_conv_transpose(net, x, 4, NULL), CP_E_ARG, "a convolution needs its kernel's size");
    in_net(cp_net_conv_transpose(net, x, 0, &window), CP_E_ARG, "filters = 0: must be at least 1");
    in_net(cp_net_conv_transpose(net, v, 4, &window), CP_E_SHAPE, "needs 3 to 5 dimensions, has 2");
    in_net(cp_net_conv_transpose(net, x, HUGE_SIZE, &window), CP_E_SHAPE, "overflows");
    in_net(cp_net_conv_transpose_with(net, x, 0, 0, NULL), CP_E_ARG, "is no value of this net");
    in_net(cp_net_im2col(net, x, NULL), CP_E_ARG, "im2col needs its kernel's size");
    in_net(cp_net_im2col(net, x, &(cp_conv){.kernel = {9, 3}}), CP_E_SHAPE, "output height would be 0");
    in_net(cp_net_im2col(net, x, &(cp_conv){.kernel = {3, 3}, .groups = 3}), CP_E_ARG, "groups and activation");
    in_net(cp_net_im2col(net, x, &(cp_conv){.kernel = {HUGE_SIZE, 3}, .pad_before = {HUGE_SIZE, 0}}), CP_E_SHAPE,
           "overflows");
    in_net(cp_net_col2im(net, x, &window, (int64_t[]){5, 5, 5}), CP_E_SHAPE, "must have 3 dimensions, has 4");
    in_net(cp_net_col2im(net, x, &window, NULL), CP_E_ARG, "col2im needs");
    in_net(cp_net_pad(net, x, NULL), CP_E_ARG, "a padding needs its sizes");
    in_net(cp_net_pad(net, x, &(cp_padding){.before = {-1}}), CP_E_ARG, "before[0] = -1: must not be negative");
    in_net(cp_net_pad(net, x, &(cp_padding){.after = {0, 0, 1}}), CP_E_ARG, "the input has only 2 spatial dimensions");
    in_net(cp_net_pad(net, x, &(cp_padding){.before = {8}, .values = CP_PAD_REFLECT}), CP_E_SHAPE,
           "before[0] = 8: reflected padding must be less than the input (8)");
    in_net(cp_net_pad(net, x, &(cp_padding){.after = {9}, .values = CP_PAD_CIRCULAR}), CP_E_SHAPE,
           "after[0] = 9: circular padding must not be more than the input (8)");
    in_net(cp_net_pad(net, x, &(cp_padding){.before = {INT64_MAX}, .after = {INT64_MAX}}), CP_E_SHAPE, "overflows");
    in_net(cp_net_pad(net, x, &(cp_padding){.values = (cp_pad_values)9}), CP_E_ARG, "pad values 9: no such kind");
    in_net(cp_net_resize(net, x, NULL), CP_E_ARG, "a resizing needs its size or scale");
    in_net(cp_net_resize(net, x, &(cp_resize){0}), CP_E_ARG, "neither size nor scale is given");
    in_net(cp_net_resize(net, x, &(cp_resize){.size = {4, 0}}), CP_E_ARG, "size[1] = 0: must be at least 1");
    in_net(cp_net_resize(net, x, &(cp_resize){.size = {4, -4}}), CP_E_ARG, "size[1] = -4: must be at least 1");
    in_net(cp_net_resize(net, x, &(cp_resize){.size = {BIG, HUGE_SIZE}}), CP_E_SHAPE, "overflows");
    in_net(cp_net_resize(net, x, &(cp_resize){.scale = {2, NAN}}), CP_E_ARG, "must be a number above 0");
    in_net(cp_net_resize(net, x, &(cp_resize){.scale = {2, -2}}), CP_E_ARG, "must be a number above 0");
    in_net(cp_net_resize(net, x, &(cp_resize){.scale = {INFINITY, 2}}), CP_E_ARG,
           "scale[0] = inf: must be a number above 0");
    in_net(cp_net_resize(net, x, &(cp_resize){.scale = {0.01f, 1}}), CP_E_SHAPE, "would be 0");
    in_net(cp_net_depth_to_space(net, x, 0, CP_DEPTH_FIRST), CP_E_ARG, "block = 0: must be at least 1");
    in_net(cp_net_depth_to_space(net, x, 2, CP_DEPTH_FIRST), CP_E_SHAPE, "blocks of 4 pixels do not divide 3 channels");
    in_net(cp_net_space_to_depth(net, x, 3, CP_DEPTH_FIRST), CP_E_SHAPE, "block = 3 does not divide 8 pixels");
    in_net(cp_net_space_to_depth(net, x, HUGE_SIZE, CP_DEPTH_FIRST), CP_E_SHAPE, "block");
    in_net(cp_net_space_to_depth(net, x, 2, (cp_depth_order)-1), CP_E_ARG, "order = -1: no such order");
    in_net(cp_net_activation_with(net, x, CP_ELU, NAN, 0), CP_E_ARG, "must be finite numbers");
    in_net(cp_net_activation_with(net, x, CP_CLIP, 2, 1), CP_E_ARG, "alpha = 2 is above beta = 1");
    in_net(cp_net_activation_with(net, x, CP_RELU, 1, 0), CP_E_ARG, "must be 0");
    in_net(cp_net_prelu_with(net, x, v), CP_E_SHAPE, "prelu1");
    in_net(cp_net_mul(net, x, v), CP_E_SHAPE, "mul1");
    in_net(cp_net_reduce(net, x, (cp_reduction)99, NULL, 0, false), CP_E_ARG, "reduction = 99");
    in_net(cp_net_reduce(net, x, CP_REDUCE_SUM, (int[]){4}, 1, false), CP_E_ARG, "axes[0] = 4: the input has 4");
    in_net(cp_net_reduce(net, x, CP_REDUCE_SUM, (int[]){-1}, 1, false), CP_E_ARG, "axes[0] = -1");
    in_net(cp_net_reduce(net, x, CP_REDUCE_SUM, (int[]){1, 1}, 2, false), CP_E_ARG, "axes[1] = 1: named twice");
    in_net(cp_net_reduce(net, x, CP_REDUCE_SUM, NULL, 3, false), CP_E_ARG, "3 axes, or no list of them");
    in_net(cp_net_reduce(net, x, CP_REDUCE_SUM, (int[]){1}, INT32_MAX, false), CP_E_ARG, "axes");
    in_net(cp_net_concat(net, NULL, 2, 1), CP_E_ARG, "2 values, or no list of them");
    in_net(cp_net_concat(net, &x, 0, 1), CP_E_ARG, "0 values, or no list of them");
    in_net(cp_net_concat(net, (cp_node[]){x, v}, 2, -1), CP_E_ARG, "axis = 3: the input has 2");
    in_net(cp_net_concat(net, (cp_node[]){x, cp_net_space_to_depth(net, x, 2, CP_DEPTH_FIRST)}, 2, -1), CP_E_SHAPE,
           "concat1");
    in_net(cp_net_concat(net, (cp_node[]){x, x}, 2, 9), CP_E_ARG, "axis = 9: the input has 4");
    in_net(cp_net_concat(net, (cp_node[]){x, x}, 2, -9), CP_E_ARG, "the input has 4");
    in_net(cp_net_slice(net, x, 3, 2, 2), CP_E_ARG, "begin = 2, count = 2: the axis has 3");
    in_net(cp_net_slice(net, x, 3, -1, 2), CP_E_ARG, "begin = -1, count = 2");
    in_net(cp_net_slice(net, x, 3, INT64_MAX, INT64_MAX), CP_E_ARG, "the axis has 3");
    in_net(cp_net_slice(net, x, 0, 0, 1), CP_E_SHAPE, "axis = 0: the batch is not known");
    in_net(cp_net_split(net, x, 3, (int64_t[]){2, 2}, 2, parts), CP_E_ARG, "begin = 2, count = 2: the axis has 3");
    in_net(cp_net_split(net, x, 3, (int64_t[]){1, 1}, 2, parts), CP_E_SHAPE, "2 rows together, the axis has 3");
    in_net(cp_net_split(net, x, 3, (int64_t[]){4, -1}, 2, parts), CP_E_ARG, "begin = 0, count = 4: the axis has 3");
    in_net(cp_net_split(net, x, 3, NULL, 2, parts), CP_E_ARG, "2 parts, or no lists of them");
    assert_int_equal(parts[0] + parts[1], 0);
    in_net(cp_net_batch_norm(net, x, -1, 0), CP_E_ARG, "epsilon = -1: must be a number above 0");
    in_net(cp_net_batch_norm(net, x, NAN, 0), CP_E_ARG, "epsilon = nan");
    in_net(cp_net_batch_norm(net, x, 0, 2), CP_E_ARG, "momentum = 2: must be at most 1");
    in_net(cp_net_group_norm(net, x, 2, 0), CP_E_ARG, "groups = 2: must divide 3 channels");
    in_net(cp_net_group_norm(net, x, INT64_MIN, 0), CP_E_ARG, "must divide 3 channels");
    in_net(cp_net_layer_norm_with(net, x, v, v, 0), CP_E_SHAPE, "layer-norm1");
}

/* A causal convolution chunk by chunk. */
static void wrong_streams(void **state) {
    (void)state;
    float out[64];
    const cp_conv causal = {.pad = CP_PAD_CAUSAL};
    const cp_tensor w = cp_view(numbers, CP_F32, cp_shape_of(3, (int64_t[]){3, 2, 4}));
    const cp_tensor flat = cp_mat(numbers, 3, 4), b = cp_vec(numbers, 5);
    const cp_tensor x = cp_view(numbers, CP_F32, cp_shape_of(3, (int64_t[]){1, 4, 2}));
    cp_tensor y = cp_view(out, CP_F32, cp_shape_of(3, (int64_t[]){1, 4, 4}));
    cp_stream *stream = (cp_stream *)numbers;
    refused(cp_stream_new(NULL, NULL, &causal, &w, NULL, 1, 4), CP_E_ARG, "stream is NULL");
    refused(cp_stream_new(&stream, NULL, &causal, NULL, NULL, 1, 4), CP_E_ARG, "w is missing");
    refused(cp_stream_new(&stream, NULL, NULL, &w, NULL, 1, 4), CP_E_ARG, "a stream needs causal padding");
    refused(cp_stream_new(&stream, NULL, &causal, &flat, NULL, 1, 4), CP_E_SHAPE, "have 2 dimensions");
    refused(cp_stream_new(&stream, NULL, &causal, &w, &b, 1, 4), CP_E_SHAPE, "bias has 5 values, needs 4");
    refused(cp_stream_new(&stream, NULL, &causal, &w, NULL, 0, 4), CP_E_ARG, "batch = 0: must be at least 1");
    refused(cp_stream_new(&stream, NULL, &causal, &w, NULL, 1, -4), CP_E_ARG, "chunk = -4: must be at least 1");
    refused(cp_stream_new(&stream, NULL, &causal, &w, NULL, 1, INT64_MAX), CP_E_SHAPE, "overflows");
    refused(cp_stream_new(&stream, NULL, &causal, &w, NULL, HUGE_SIZE, 4), CP_E_SHAPE, "overflows");
    refused(cp_stream_new(&stream, NULL, &(cp_conv){.pad = CP_PAD_CAUSAL, .dilation = {HUGE_SIZE}}, &w, NULL, 1, 4),
            CP_E_SHAPE, "overflows");
    refused(cp_stream_new(&stream, NULL, &(cp_conv){.pad = CP_PAD_CAUSAL, .dilation = {-1}}, &w, NULL, 1, 4), CP_E_ARG,
            "dilation[0] = -1: must be at least 1");
    assert_null(stream);
    ok(cp_stream_new(&stream, NULL, &causal, &w, NULL, 1, 4));
    refused(cp_stream_run(NULL, &x, &y), CP_E_ARG, "a stream, x and y are needed");
    refused(cp_stream_run(stream, NULL, &y), CP_E_ARG, "a stream, x and y are needed");
    refused(cp_stream_run(stream, &x, &x), CP_E_SHAPE, "y is 1x4x2, needs 1x4x4");
    y.type = CP_F64;
    refused(cp_stream_run(stream, &x, &y), CP_E_ARG, "f64");
    y.type = CP_F32, y.data = NULL;
    refused(cp_stream_run(stream, &x, &y), CP_E_ARG, "no data");
    y.data = out;
    ok(cp_stream_run(stream, &x, &y));
    cp_stream_free(stream);
}

static void wrong_net_gradients(void **state) {
    (void)state;
    cp_net *net = new_net();
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_of(2, (int64_t[]){3, 4}));
    const cp_node l = cp_net_input(net, "l", CP_I32, cp_shape_of(1, (int64_t[]){3}));
    const cp_node y = cp_net_dense(net, x, 5, CP_TANH);
    cp_node by[3] = {7, 7, 7};
    static const cp_node wild[] = {-1, -1000000, 1000000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        refused(cp_net_gradients(net, y, y, &wild[i], 1, by), CP_E_ARG, "is no value of this net");
        refused(cp_net_gradients(net, wild[i], y, &x, 1, by), CP_E_ARG, "y is no f32 value of this net");
        refused(cp_net_gradients(net, y, wild[i], &x, 1, by), CP_E_ARG, "dy is no f32 value of this net");
        assert_int_equal(by[0], 0);
    }
    refused(cp_net_gradients(net, 0, y, &x, 1, by), CP_E_ARG, "y is no f32 value");
    refused(cp_net_gradients(net, l, l, &x, 1, by), CP_E_ARG, "y is no f32 value");
    refused(cp_net_gradients(net, y, l, &x, 1, by), CP_E_ARG, "dy is no f32 value");
    refused(cp_net_gradients(net, y, x, &x, 1, by), CP_E_SHAPE, "gradient is 3x4, output is 3x5");
    refused(cp_net_gradients(net, y, 0, &x, 1, by), CP_E_ARG, "without dy, y must be a scalar");
    refused(cp_net_gradients(net, y, y, NULL, 1, by), CP_E_ARG, "by 1 values");
    refused(cp_net_gradients(net, y, y, &x, 1, NULL), CP_E_ARG, "by 1 values");
    refused(cp_net_gradients(net, y, y, &x, -1, by), CP_E_ARG, "by -1 values");
    refused(cp_net_gradients(NULL, y, y, &x, 1, by), CP_E_ARG, "net is NULL");
    /* none of this has harmed the net; what y does not depend on has no gradient */
    ok(cp_net_gradients(net, y, y, (cp_node[]){x, 0, l}, 3, by));
    assert_int_not_equal(by[0], 0);
    assert_int_equal(by[1], 0);
    assert_int_equal(by[2], 0);
    cp_net_free(net);
}

static void no_net(void **state) {
    (void)state;
    const char *text;
    cp_layer layer;
    cp_net *net = (cp_net *)numbers;
    refused(cp_net_error(NULL, &text), CP_E_ARG, "net is NULL");
    assert_string_equal(text, "net is NULL");
    refused(cp_net_new(NULL), CP_E_ARG, "net is NULL");
    refused(cp_net_clone(&net, NULL), CP_E_ARG, "net is NULL");
    assert_null(net);
    refused(cp_net_layer(NULL, 0, &layer), CP_E_ARG, "net is NULL");
    refused(cp_net_set_note(NULL, "a", "b"), CP_E_ARG, "net is NULL");
    refused(cp_net_initialize(NULL, CP_HE, 1), CP_E_ARG, "net is NULL");
    assert_int_equal(cp_net_input(NULL, "x", CP_F32, cp_shape_nhwc(1, 1, 1, 1)), 0);
    assert_int_equal(cp_net_conv(NULL, 1, 1, &(cp_conv){.kernel = {1}}), 0);
    assert_int_equal(cp_net_conv_with(NULL, 1, 1, 0, NULL), 0);
    assert_int_equal(cp_net_dense(NULL, 1, 1, CP_RELU), 0);
    assert_int_equal(cp_net_pool(NULL, 1, &(cp_pool){.global = true}), 0);
    assert_int_equal(cp_net_pool(NULL, 1, NULL), 0);
    assert_int_equal(cp_net_activation(NULL, 1, CP_RELU), 0);
    assert_int_equal(cp_net_flatten(NULL, 0), 0);
    assert_int_equal(cp_net_dropout(NULL, 1, 0.5f), 0);
    assert_int_equal(cp_net_add(NULL, 1, 1), 0);
    assert_int_equal(cp_net_parse(NULL, 1, "relu"), 0);
    assert_int_equal(cp_net_constant(NULL, "c", NULL), 0);
    assert_string_equal(cp_error(), "net is NULL");
    cp_net_output(NULL, 1, "y");
    cp_net_name(NULL, "y");
    assert_int_equal(cp_net_layers(NULL), 0);
    assert_int_equal(cp_net_inputs(NULL) + cp_net_outputs(NULL) + cp_net_parameters(NULL), 0);
    assert_null(cp_net_input_name(NULL, 0));
    assert_null(cp_net_output_name(NULL, 0));
    assert_null(cp_net_parameter_name(NULL, 0));
    assert_null(cp_net_note(NULL, "a"));
    assert_null(cp_net_parameter(NULL, 0).data);
    assert_int_equal(cp_net_shape(NULL, 1).rank, 0);
}

/* Everything that is freed may be NULL; what is asked of nothing is nothing. */
static void nothing_at_all(void **state) {
    (void)state;
    cp_net_free(NULL);
    cp_plan_free(NULL);
    cp_work_free(NULL);
    cp_ctx_free(NULL);
    cp_data_free(NULL);
    cp_trainer_free(NULL);
    cp_array_free(NULL);
    cp_work_time(NULL, true);
    assert_int_equal(cp_ctx_threads(NULL), 1);
    assert_int_equal(cp_plan_steps(NULL) + cp_plan_work_bytes(NULL) + cp_plan_packed_bytes(NULL), 0);
    assert_int_equal(cp_data_count(NULL) + cp_data_classes(NULL) + cp_trainer_steps(NULL), 0);
    assert_null(cp_trainer_plan(NULL));
    assert_null(cp_trainer_work(NULL));

    cp_net *net = (cp_net *)numbers;
    cp_trainer *trainer = (cp_trainer *)numbers;
    cp_array array;
    const cp_tensor x = cp_vec(numbers, 3);
    refused(cp_net_load(NULL, "x"), CP_E_ARG, "net is NULL");
    refused(cp_net_load(&net, NULL), CP_E_ARG, "path is NULL");
    refused(cp_trainer_load(&trainer, NULL, NULL), CP_E_ARG, "path is NULL");
    refused(cp_npy_load(&array, NULL), CP_E_ARG, "path is NULL");
    refused(cp_npy_load(NULL, "x"), CP_E_ARG, "array is NULL");
    refused(cp_npy_save(&x, NULL), CP_E_ARG, "path is NULL");
    refused(cp_npy_save(NULL, "x"), CP_E_ARG, "tensor is NULL");
    refused(cp_tensor_copy(&x, NULL), CP_E_ARG, "from is NULL");
    refused(cp_tensor_copy(NULL, &x), CP_E_ARG, "to is NULL");
    refused(cp_conv_shape(NULL, NULL, x.shape, x.shape), CP_E_ARG, "y is NULL");
    refused(cp_pool_shape(NULL, NULL, x.shape), CP_E_ARG, "y is NULL");
    refused(cp_conv_plan(NULL, NULL, NULL, &x, &x, NULL, NULL), CP_E_ARG, "plan is NULL");
    refused(cp_pool_plan(NULL, NULL, NULL, &x, NULL), CP_E_ARG, "plan is NULL");
    refused(cp_explain_conv(NULL, &x, &x, NULL, NULL, NULL), CP_E_ARG, "write is NULL");
    refused(cp_net_evaluate(NULL, NULL, NULL, NULL, NULL), CP_E_ARG, "net is NULL");
    refused(cp_trainer_fit(NULL, NULL, NULL), CP_E_ARG, "trainer is NULL");
    refused(cp_trainer_step(NULL, &x, &x, NULL, NULL), CP_E_ARG, "trainer is NULL");
    assert_null(net);
    assert_string_equal(cp_status_text((cp_status)5), "unknown status");
}

/* --- plans --- */

static void wrong_runs(void **state) {
    (void)state;
    float out[72];
    const cp_tensor x = cp_nhwc(numbers, 2, 5, 5, 2), w = cp_hwio(numbers + 99, 3, 3, 2, 4);
    const cp_tensor y = cp_nhwc(out, 2, 3, 3, 4);
    cp_plan *plan, *other;
    cp_work *work, *foreign;
    cp_step_info info;
    ok(cp_conv_plan(&plan, NULL, NULL, &x, &w, NULL, NULL));
    ok(cp_conv_plan(&other, NULL, NULL, &x, &w, NULL, NULL));
    ok(cp_work_new(&work, plan));
    ok(cp_work_new(&foreign, other));
    refused(cp_plan_run(NULL, work, &x, 1, &y, 1), CP_E_ARG, "a run needs a plan and a work");
    refused(cp_plan_run(plan, NULL, &x, 1, &y, 1), CP_E_ARG, "a run needs a plan and a work");
    refused(cp_plan_run(plan, foreign, &x, 1, &y, 1), CP_E_ARG, "the work was made for another plan");
    refused(cp_plan_run(plan, work, &x, 0, &y, 1), CP_E_ARG, "the plan has 1 inputs, 0 given");
    refused(cp_plan_run(plan, work, &x, 1, &y, 2), CP_E_ARG, "the plan has 1 outputs, 2 given");
    refused(cp_plan_run(plan, work, &x, -1, &y, 1), CP_E_ARG, "the plan has 1 inputs, -1 given");
    refused(cp_plan_run(plan, work, NULL, 1, &y, 1), CP_E_ARG, "the inputs are NULL");
    refused(cp_plan_run(plan, work, &x, 1, NULL, 1), CP_E_ARG, "the outputs are NULL");
    cp_tensor bad = cp_nhwc(numbers, 1, 5, 5, 2);
    refused(cp_plan_run(plan, work, &bad, 1, &y, 1), CP_E_SHAPE, "'x' is 1x5x5x2, was planned as 2x5x5x2");
    bad = cp_nchw(numbers, 2, 2, 5, 5);
    refused(cp_plan_run(plan, work, &bad, 1, &y, 1), CP_E_ARG, "'x' lies in memory in another order");
    bad = x, bad.data = NULL;
    refused(cp_plan_run(plan, work, &bad, 1, &y, 1), CP_E_ARG, "'x' has no data");
    bad = y, bad.type = CP_I32;
    refused(cp_plan_run(plan, work, &x, 1, &bad, 1), CP_E_ARG, "'y' is i32, was planned as f32");
    refused(cp_plan_step(NULL, NULL, 0, &info), CP_E_ARG, "plan is NULL");
    refused(cp_plan_step(plan, NULL, 0, NULL), CP_E_ARG, "info is NULL");
    refused(cp_plan_step(plan, NULL, -1, &info), CP_E_ARG, "step -1");
    refused(cp_plan_step(plan, NULL, cp_plan_steps(plan), &info), CP_E_ARG, "the plan has steps 0 to");
    refused(cp_plan_step(plan, foreign, 0, &info), CP_E_ARG, "the work was made for another plan");
    assert_int_equal(cp_plan_output_shape(plan, 1).rank, 0);
    assert_int_equal(cp_plan_output_shape(plan, -1).rank, 0);
    ok(cp_plan_run(plan, work, &x, 1, &y, 1));
    /* in either order */
    cp_plan_free(plan);
    cp_work_free(work);
    cp_work_free(foreign);
    cp_plan_free(other);
}

static void wrong_plans(void **state) {
    (void)state;
    cp_plan *plan = (cp_plan *)numbers;
    cp_net *net = new_net();
    const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 5, 5, 2));
    refused(cp_net_plan(&plan, NULL, net, NULL), CP_E_ARG, "the net has no output");
    assert_null(plan);
    cp_net_output(net, cp_net_pool(net, x, &(cp_pool){.kernel = {2, 2}}), "y");
    refused(cp_net_plan(NULL, NULL, net, NULL), CP_E_ARG, "plan is NULL");
    refused(cp_net_plan(&plan, NULL, NULL, NULL), CP_E_ARG, "net is NULL");
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.batch = -3}), CP_E_ARG, "batch = -3");
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.batch = HUGE_SIZE}), CP_E_SHAPE, "overflows");
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.type = CP_I32}), CP_E_ARG, "not in i32");
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.reserved = {1}}), CP_E_ARG, "reserved");
    cp_tensor asked = cp_nhwc(NULL, 2, 5, 6, 2);
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.inputs = &asked}), CP_E_SHAPE,
            "'x' is 2x5x6x2, needs 2x5x5x2");
    asked = cp_nhwc(NULL, 1, 2, 2, 3);
    refused(cp_net_plan(&plan, NULL, net, &(cp_plan_options){.outputs = &asked}), CP_E_SHAPE,
            "'y' is 1x2x2x3, needs 1x2x2x2");
    assert_null(plan);
    cp_work *work = (cp_work *)numbers;
    refused(cp_work_new(&work, NULL), CP_E_ARG, "plan is NULL");
    assert_null(work);
    refused(cp_work_new(NULL, NULL), CP_E_ARG, "work is NULL");
    cp_net_free(net);
}

/* A plan tells what its work needs before anybody asks for the memory; no time is spent on what cannot be. */
static void limits(void **state) {
    (void)state;
    cp_ctx *ctx;
    cp_plan *plan = (cp_plan *)numbers;
    ok(cp_ctx_new(&ctx, &(cp_options){.max_memory = (int64_t)8 << 30}));
    cp_net *net = new_net();
    const cp_conv wide = {.kernel = {1, 1}, .pad_before = {1 << 20, 1 << 20}, .pad_after = {1 << 20, 1 << 20}};
    cp_node y = cp_net_conv(net, cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 1, 1, 1)), 1, &wide);
    y = cp_net_pool(net, y, &(cp_pool){.kind = CP_AVERAGE, .global = true});
    cp_net_output(net, y, "y");
    ok(cp_net_error(net, NULL));
    refused(cp_net_plan(&plan, ctx, net, NULL), CP_E_LIMIT, "needs 17592");
    assert_non_null(strstr(cp_error(), "limit 8589934592"));
    assert_null(plan);
    cp_net_free(net);
    cp_ctx_free(ctx);

    /* the limit itself is enough, a byte less is not */
    ok(cp_ctx_new(&ctx, NULL));
    net = new_net();
    y = cp_net_parse(net, cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 9, 9, 3)), "conv 8 3x3; relu; pool 2");
    cp_net_output(net, y, "y");
    ok(cp_net_plan(&plan, ctx, net, NULL));
    const int64_t needed = cp_plan_work_bytes(plan);
    assert_true(needed > 0);
    cp_plan_free(plan);
    cp_ctx_free(ctx);
    ok(cp_ctx_new(&ctx, &(cp_options){.max_memory = needed}));
    ok(cp_net_plan(&plan, ctx, net, NULL));
    cp_plan_free(plan);
    cp_ctx_free(ctx);
    ok(cp_ctx_new(&ctx, &(cp_options){.max_memory = needed - 1}));
    refused(cp_net_plan(&plan, ctx, net, NULL), CP_E_LIMIT, "limit");
    cp_ctx_free(ctx);
    cp_net_free(net);
}

/* Planning asks for little memory and time, however large what is planned. */
static void enormous_plans(void **state) {
    (void)state;
    cp_plan *plan;
    const cp_tensor line = cp_view(NULL, CP_F32, cp_shape_of(3, (int64_t[]){1, BIG, 1}));
    const cp_tensor w = cp_view(numbers, CP_F32, cp_shape_of(3, (int64_t[]){3, 1, 1}));
    const cp_tensor dot = cp_nhwc(NULL, 1, 1, 1, 1), one = cp_hwio(numbers, 1, 1, 1, 1);
    ok(cp_pool_plan(&plan, NULL, &(cp_pool){.kernel = {2}}, &line, NULL));
    cp_plan_free(plan);
    ok(cp_pool_plan(&plan, NULL, &(cp_pool){.kind = CP_AVERAGE, .global = true}, &line, NULL));
    cp_plan_free(plan);
    ok(cp_conv_plan(&plan, NULL, &(cp_conv){.dilation = {3}}, &line, &w, NULL, NULL));
    cp_plan_free(plan);
    const cp_conv wide = {.pad_before = {1 << 20, 1 << 20}, .pad_after = {1 << 20, 1 << 20}};
    ok(cp_conv_plan(&plan, NULL, &wide, &dot, &one, NULL, NULL));
    cp_plan_free(plan);
    ok(cp_conv_plan(&plan, NULL, &(cp_conv){.pad_before = {BIG}}, &line, &w, NULL, NULL));
    cp_plan_free(plan);
    cp_net *net = new_net();
    cp_node y = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(1, 2, 2, 1));
    cp_net_output(net, cp_net_conv_transpose(net, y, 1, &(cp_conv){.kernel = {3, 3}, .stride = {1 << 20, 1 << 20}}),
                  "y");
    cp_net_output(net, cp_net_resize(net, y, &(cp_resize){.size = {1 << 20, 1 << 20}}), "z");
    cp_net_output(net, cp_net_pad(net, y, &(cp_padding){.before = {1 << 20, 1 << 20}}), "p");
    ok(cp_net_plan(&plan, NULL, net, NULL));
    cp_plan_free(plan);
    cp_net_free(net);

    /* many different windows: each position of a kernel as large as the picture meets other taps */
    static float large[256 * 256];
    const cp_tensor picture = cp_nhwc(NULL, 1, 256, 256, 1), kernel = cp_hwio(large, 256, 256, 1, 1);
    ok(cp_conv_plan(&plan, NULL, &(cp_conv){.pad = CP_PAD_SAME, .dilation = {2, 2}}, &picture, &kernel, NULL, NULL));
    cp_plan_free(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_runs),
        cmocka_unit_test(wrong_plans),
        cmocka_unit_test(first_failure_is_kept),
        cmocka_unit_test(wrong_layers),
        cmocka_unit_test(wrong_layers_of_other_kinds),
        cmocka_unit_test(wrong_streams),
        cmocka_unit_test(wrong_net_gradients),
        cmocka_unit_test(no_net),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(limits),
        cmocka_unit_test(enormous_plans),
    };
    return cmocka_run_group_tests(tests, fill_numbers, NULL);
}
