/* The reference of dense layers, functions of one and two numbers, sums along axes, losses, normalisation. */
#include "reference.h"

/* --- dense, activations --- */

static void dense_by_hand_and_adjoint(void **state) {
    (void)state;
    const cp_shape mat = cp_shape_of(2, (int64_t[]){2, 2}), vec = cp_shape_of(1, (int64_t[]){2});
    const cp_tensor x = filled(mat, (double[]){1, 2, 3, 4}), w = filled(mat, (double[]){10, -1, 100, -2});
    const cp_tensor b = filled(vec, (double[]){0.5, 1}), y = tensor(mat), dx = tensor(mat), dw = tensor(mat);
    cp_ref_dense(false, &x, &w, &b, &y);
    assert_values(&y, (double[]){210.5, -4, 430.5, -10});
    cp_ref_dense(true, &x, &w, NULL, &y);
    assert_values(&y, (double[]){210, 0, 430, 0});
    cp_ref_dense_input_gradient(&x, &w, &dx); /* x as dy */
    assert_values(&dx, (double[]){8, 96, 26, 292});
    cp_ref_dense_weight_gradient(&x, &w, &dw);
    assert_values(&dw, (double[]){310, -7, 420, -10});
}

/* df/dx against the difference of f, for each activation, and of softmax. */
static void activations_and_their_slopes(void **state) {
    (void)state;
    const cp_shape shape = cp_shape_of(2, (int64_t[]){3, 4});
    const cp_tensor x = random_tensor(shape), dy = random_tensor(shape), y = tensor(shape), dx = tensor(shape);
    const cp_tensor above = tensor(shape), below = tensor(shape);
    const double h = 1e-6;
    for (int f = CP_LINEAR; f <= CP_ACTIVATION_COUNT; f++) {
        const bool softmax = f == CP_ACTIVATION_COUNT;
        if (f == CP_LOG) /* from here on, also for the square root, above 0 */
            for (int64_t e = 0; e < 12; e++) values(&x)[e] = fabs(values(&x)[e]) + 0.25;
        for (int64_t e = 0; e < 12; e++) {
            const double kept = values(&x)[e];
            if (softmax)
                cp_ref_softmax(false, x.shape.rank - 1, &x, &y);
            else
                cp_ref_activation((cp_activation)f, 0.4, 0.7, &x, &y);
            if (softmax)
                cp_ref_softmax_gradient(false, y.shape.rank - 1, &y, &dy, &dx);
            else
                cp_ref_activation_gradient((cp_activation)f, 0.4, 0.7, cp_slope_by_value((cp_activation)f) ? &y : &x,
                                           &dy, &dx);
            values(&x)[e] = kept + h;
            if (softmax)
                cp_ref_softmax(false, x.shape.rank - 1, &x, &above);
            else
                cp_ref_activation((cp_activation)f, 0.4, 0.7, &x, &above);
            values(&x)[e] = kept - h;
            if (softmax)
                cp_ref_softmax(false, x.shape.rank - 1, &x, &below);
            else
                cp_ref_activation((cp_activation)f, 0.4, 0.7, &x, &below);
            values(&x)[e] = kept;
            assert_true(fabs((dot(&above, &dy) - dot(&below, &dy)) / (2 * h) - values(&dx)[e]) < 1e-8);
        }
    }
    const cp_tensor known = filled(cp_shape_of(1, (int64_t[]){4}), (double[]){-1000, 0, 1000, NAN});
    const cp_tensor out = tensor(known.shape);
    cp_ref_activation(CP_RELU, 0, 0, &known, &out);
    assert_values(&out, (double[]){0, 0, 1000, NAN});
    cp_ref_activation(CP_SIGMOID, 0, 0, &known, &out);
    assert_values(&out, (double[]){0, 0.5, 1, NAN});
    cp_ref_activation(CP_TANH, 0, 0, &known, &out);
    assert_values(&out, (double[]){-1, 0, 1, NAN});
}

/* Values at -2, 0, 1 and NaN, worked out apart. */
static void activations_known_values(void **state) {
    (void)state;
    static const struct {
        cp_activation f;
        double alpha, beta, low, zero, one;
    } cases[] = {
        {CP_LEAKY_RELU, 0.01, 0, -0.02, 0, 1},
        {CP_ELU, 2, 0, -1.7293294335267746, 0, 1},
        {CP_SELU, 1.6732632423543772, 1.0507009873554805, -1.5201664685956948, 0, 1.0507009873554805},
        {CP_CELU, 0.5, 0, -0.49084218055563291, 0, 1},
        {CP_GELU, 0, 0, -0.045500263896358417, 0, 0.84134474606854293},
        {CP_GELU_TANH, 0, 0, -0.04540230591222494, 0, 0.84119199060827676},
        {CP_SILU, 0, 0, -0.23840584404423515, 0, 0.73105857863000488},
        {CP_MISH, 0, 0, -0.25250148269570166, 0, 0.86509838826731034},
        {CP_SOFTPLUS, 0, 0, 0.12692801104297263, 0.69314718055994531, 1.3132616875182228},
        {CP_SOFTSIGN, 0, 0, -2.0 / 3, 0, 0.5},
        {CP_HARD_SIGMOID, 0.2, 0.5, 0.1, 0.5, 0.7},
        {CP_HARD_SWISH, 0, 0, -1.0 / 3, 0, 2.0 / 3},
        {CP_CLIP, -0.5, 0.25, -0.5, 0, 0.25},
    };
    const cp_tensor x = filled(cp_shape_of(1, (int64_t[]){4}), (double[]){-2, 0, 1, NAN}), y = tensor(x.shape);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_ref_activation(cases[i].f, cases[i].alpha, cases[i].beta, &x, &y);
        const double expected[] = {cases[i].low, cases[i].zero, cases[i].one};
        for (int e = 0; e < 3; e++)
            if (!(fabs(values(&y)[e] - expected[e]) <= 1e-14))
                fail_msg("activation %d of %g is %.17g, not %.17g", cases[i].f, values(&x)[e], values(&y)[e],
                         expected[e]);
        assert_true(isnan(values(&y)[3]));
    }
}

/* --- losses --- */

static void losses_by_hand(void **state) {
    (void)state;
    /* exp of the rows: 1 2 1 and 3 1 0.25, so that p = 1/4 1/2 1/4 and 12/17 4/17 1/17 */
    const double row[] = {0, log(2), 0, log(3), 0, -log(4)}, half = log(2);
    const cp_tensor x = filled(cp_shape_of(2, (int64_t[]){2, 3}), row), dx = tensor(x.shape), p = tensor(x.shape);
    const cp_tensor labels = filled(cp_shape_of(1, (int64_t[]){2}), (double[]){1, 0});
    const cp_tensor w = filled(cp_shape_of(1, (int64_t[]){3}), (double[]){2, 1, 4});
    const cp_tensor one = filled(cp_shape_of(1, (int64_t[]){1}), (double[]){1}), loss = tensor(one.shape);
    const double first = half, second = log(17.0 / 12);

    cp_ref_softmax_cross_entropy(0, &x, &labels, &w, &loss, &p);
    assert_values(&loss, (double[]){(first + 2 * second) / 3});
    cp_ref_softmax_cross_entropy_gradient(0, &p, &labels, &w, &one, &dx);
    assert_values(&dx, (double[]){1 / 12.0, -1 / 6.0, 1 / 12.0, -10 / 51.0, 8 / 51.0, 2 / 51.0});
    cp_ref_softmax_cross_entropy(0.3, &x, &labels, NULL, &loss, &p);
    assert_values(&loss,
                  (double[]){(0.8 * half + 0.2 * 2 * half + 0.8 * second + 0.1 * log(17.0 / 4) + 0.1 * log(17)) / 2});
    cp_ref_softmax_cross_entropy_gradient(0.3, &p, &labels, NULL, &one, &dx);
    assert_values(&dx, (double[]){(1 / 4.0 - 0.1) / 2, (1 / 2.0 - 0.8) / 2, (1 / 4.0 - 0.1) / 2, (12 / 17.0 - 0.8) / 2,
                                  (4 / 17.0 - 0.1) / 2, (1 / 17.0 - 0.1) / 2});

    cp_ref_loss(CP_FOCAL, 2, &x, &labels, &loss);
    assert_values(&loss, (double[]){(first / 4 + second * 25 / 289) / 2});
    cp_ref_loss(CP_FOCAL, 1, &x, &labels, &loss);
    assert_values(&loss, (double[]){(first / 2 + second * 5 / 17) / 2});
    cp_ref_loss_gradient(CP_FOCAL, 1, &x, &labels, &one, &dx);
    const double a = -half / 2 - 0.5, b = -second * 12 / 17 - 5 / 17.0;
    assert_values(&dx, (double[]){-a / 8, a / 4, -a / 8, b * 5 / 34, -b * 4 / 34, -b / 34});

    const cp_tensor scores = filled(x.shape, (double[]){1, 3, 2.5, 0, 0.5, -1});
    cp_ref_loss(CP_HINGE, 0, &scores, &labels, &loss); /* 0 + 0.5, and 1.5 + 0 at the kink */
    assert_values(&loss, (double[]){2 / 6.0});
    cp_ref_loss_gradient(CP_HINGE, 0, &scores, &labels, &one, &dx);
    assert_values(&dx, (double[]){0, -1 / 6.0, 1 / 6.0, -1 / 6.0, 1 / 6.0, 0});

    const cp_tensor y = filled(x.shape, (double[]){1, -3, 2, 0, 0.5, -1});
    const cp_tensor t = filled(x.shape, (double[]){0, 0, 0.5, 0, 1, 3});
    cp_ref_loss(CP_HUBER, 1.5, &y, &t, &loss);
    assert_values(&loss, (double[]){(0.5 + 1.5 * 2.25 + 1.125 + 0 + 0.125 + 1.5 * 3.25) / 6});
    cp_ref_loss_gradient(CP_HUBER, 1.5, &y, &t, &one, &dx);
    assert_values(&dx, (double[]){1 / 6.0, -0.25, 0.25, 0, -0.5 / 6, -0.25});

    const cp_tensor logits = filled(x.shape, (double[]){0, log(3), -log(3), 800, -800, 800});
    const cp_tensor truth = filled(x.shape, (double[]){1, 1, 0.5, 1, 0, 0});
    cp_ref_loss(CP_BINARY_CROSS_ENTROPY, 0, &logits, &truth, &loss);
    assert_values(&loss, (double[]){(half + log(4.0 / 3) + log(4.0 / 3) + log(3) / 2 + 0 + 0 + 800) / 6});
    cp_ref_loss_gradient(CP_BINARY_CROSS_ENTROPY, 0, &logits, &truth, &one, &dx);
    assert_values(&dx, (double[]){-0.5 / 6, -0.25 / 6, -0.25 / 6, 0, 0, 1 / 6.0});
}

/* Sure of the right answer nothing is lost, sure of a wrong one the loss is finite; a label that is no class is seen.
 */
static void losses_at_the_edge(void **state) {
    (void)state;
    const cp_tensor x = filled(cp_shape_of(2, (int64_t[]){1, 2}), (double[]){1000, -1000}), dx = tensor(x.shape);
    const cp_tensor one = filled(cp_shape_of(1, (int64_t[]){1}), (double[]){1}), loss = tensor(one.shape);
    for (cp_loss kind = CP_FOCAL; kind <= CP_HINGE; kind++) {
        for (int label = 0; label < 3; label++) {
            const cp_tensor labels = filled(cp_shape_of(1, (int64_t[]){1}), (double[]){label});
            cp_ref_loss(kind, 0.5, &x, &labels, &loss);
            cp_ref_loss_gradient(kind, 0.5, &x, &labels, &one, &dx);
            if (label == 0) assert_true(values(&loss)[0] == 0 && values(&dx)[0] == 0 && values(&dx)[1] == 0);
            if (label == 1) assert_true(values(&loss)[0] > 1000 - 1e-9 && values(&loss)[0] < 2001);
            if (label == 1) assert_true(values(&dx)[0] > 0.4 && values(&dx)[1] < -0.4);
            if (label == 2) assert_true(isnan(values(&loss)[0]) && isnan(values(&dx)[0]));
        }
    }
}

static void losses_and_their_gradients(void **state) {
    (void)state;
    const cp_shape shape = cp_shape_of(2, (int64_t[]){3, 4}), one = cp_shape_of(1, (int64_t[]){1});
    const int32_t classes[] = {2, 0, 3};
    const cp_tensor labels = cp_view(classes, CP_I32, cp_shape_of(1, (int64_t[]){3}));
    const cp_tensor x = random_tensor(shape), target = random_tensor(shape), p = tensor(shape);
    const cp_tensor loss = tensor(one), dloss = filled(one, (double[]){2}), dx = tensor(shape), dm = tensor(shape);
    cp_ref_softmax_cross_entropy(0, &x, &labels, NULL, &loss, &p);
    cp_ref_softmax_cross_entropy_gradient(0, &p, &labels, NULL, &dloss, &dx);
    double by_definition = 0;
    for (int64_t n = 0; n < 3; n++) by_definition -= log(values(&p)[n * 4 + classes[n]]) / 3;
    assert_near(values(&loss)[0], by_definition);
    cp_ref_mean_squared_error_gradient(&x, &target, &dloss, &dm);
    const double h = 1e-6;
    for (int64_t e = 0; e < 12; e++) {
        const double kept = values(&x)[e];
        double cross[2], squared[2];
        for (int side = 0; side < 2; side++) {
            values(&x)[e] = side ? kept + h : kept - h;
            cp_ref_softmax_cross_entropy(0, &x, &labels, NULL, &loss, &p);
            cross[side] = values(&loss)[0];
            cp_ref_mean_squared_error(&x, &target, &loss);
            squared[side] = values(&loss)[0];
        }
        values(&x)[e] = kept;
        assert_true(fabs(2 * (cross[1] - cross[0]) / (2 * h) - values(&dx)[e]) < 1e-8);
        assert_true(fabs(2 * (squared[1] - squared[0]) / (2 * h) - values(&dm)[e]) < 1e-8);
    }
    const cp_tensor y = filled(one, (double[]){5}), wish = filled(one, (double[]){2});
    cp_ref_mean_squared_error(&y, &wish, &loss);
    assert_near(values(&loss)[0], 9);
}

static void labels_that_are_no_class(void **state) {
    (void)state;
    const cp_tensor x = random_tensor(cp_shape_of(2, (int64_t[]){1, 3})), p = tensor(x.shape);
    const cp_tensor loss = tensor(cp_shape_of(1, (int64_t[]){1}));
    for (int32_t label = -1; label <= 3; label++) {
        const cp_tensor labels = cp_view(&label, CP_I32, cp_shape_of(1, (int64_t[]){1}));
        cp_ref_softmax_cross_entropy(0, &x, &labels, NULL, &loss, &p);
        assert_int_equal(!isnan(values(&loss)[0]), label >= 0 && label < 3);
    }
    /* Logits far apart: finite, where log(softmax) would be log(0). */
    const cp_tensor far = filled(x.shape, (double[]){-1000, 0, 1000});
    const int32_t first = 0;
    const cp_tensor labels = cp_view(&first, CP_I32, cp_shape_of(1, (int64_t[]){1}));
    cp_ref_softmax_cross_entropy(0, &far, &labels, NULL, &loss, &p);
    assert_near(values(&loss)[0], 2000);
}

/* --- functions of two numbers, sums along axes, pieces --- */

static cp_shape shape2(int64_t rows, int64_t columns) {
    return cp_shape_of(2, (int64_t[]){rows, columns});
}

static void binary_functions_by_hand(void **state) {
    (void)state;
    const cp_tensor a = filled(shape2(2, 3), (double[]){1, -2, 3, -4, 5, 2}),
                    b = filled(shape2(1, 3), (double[]){2, -4, 3});
    const cp_tensor c = filled(shape2(2, 1), (double[]){2, 3}), y = tensor(a.shape);
    const struct {
        cp_binary f;
        double y[6];
    } cases[] = {
        {CP_BINARY_add, {3, -6, 6, -2, 1, 5}},  {CP_BINARY_sub, {-1, 2, 0, -6, 9, -1}},
        {CP_BINARY_mul, {2, 8, 9, -8, -20, 6}}, {CP_BINARY_div, {0.5, 0.5, 1, -2, -1.25, 2.0 / 3}},
        {CP_BINARY_min, {1, -4, 3, -4, -4, 2}}, {CP_BINARY_max, {2, -2, 3, 2, 5, 3}},
        {CP_BINARY_prelu, {1, 8, 3, -8, 5, 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_ref_binary(cases[i].f, &a, &b, &y);
        assert_values(&y, cases[i].y);
    }
    cp_ref_binary(CP_BINARY_pow, &a, &c, &y);
    assert_values(&y, (double[]){1, 4, 9, -64, 125, 8});
    const cp_tensor da = tensor(a.shape), db = tensor(b.shape), dc = tensor(c.shape);
    const cp_tensor dy = filled(a.shape, (double[]){1, 10, 100, 1000, 10000, 100000});
    cp_ref_binary_gradient(CP_BINARY_mul, false, &a, &b, &dy, &da);
    assert_values(&da, (double[]){2, -40, 300, 2000, -40000, 300000});
    cp_ref_binary_gradient(CP_BINARY_mul, true, &a, &b, &dy, &db);
    assert_values(&db, (double[]){1 - 4000, -20 + 50000, 300 + 200000});
    cp_ref_binary_gradient(CP_BINARY_sub, true, &a, &c, &dy, &dc);
    assert_values(&dc, (double[]){-111, -111000});
    cp_ref_binary_gradient(CP_BINARY_max, false, &a, &b, &dy, &da); /* of equal numbers the first is it */
    assert_values(&da, (double[]){0, 10, 100, 0, 10000, 0});
    const cp_tensor nan = filled(shape2(1, 3), (double[]){NAN, 1, 1});
    cp_ref_binary(CP_BINARY_min, &nan, &b, &y);
    assert_true(isnan(values(&y)[0]) && values(&y)[1] == -4);
    cp_ref_binary(CP_BINARY_max, &b, &nan, &y);
    assert_true(isnan(values(&y)[0]) && values(&y)[1] == 1);
}

static void sums(void **state) {
    (void)state;
    const cp_tensor a = filled(nhwc(1, 1, 2, 2), (double[]){1, 2, 3, 4}), b = channels_first(&a), y = tensor(a.shape);
    cp_ref_binary(CP_BINARY_add, &a, &b, &y);
    assert_values(&y, (double[]){2, 4, 6, 8});
}

static void reductions_by_hand(void **state) {
    (void)state;
    const cp_tensor x = filled(shape2(2, 3), (double[]){3, -4, 0, 2, 2, -1});
    const cp_tensor rows = tensor(shape2(2, 1)), columns = tensor(shape2(1, 3)), dx = tensor(x.shape);
    const cp_tensor one = filled(shape2(2, 1), (double[]){1, 10});
    const struct {
        cp_reduction f;
        double y[2], dx[6];
    } cases[] = {
        {CP_REDUCE_SUM, {-1, 3}, {1, 1, 1, 10, 10, 10}},
        {CP_REDUCE_MAX, {3, 2}, {1, 0, 0, 10, 0, 0}},
        {CP_REDUCE_MIN, {-4, -1}, {0, 1, 0, 0, 0, 10}},
        {CP_REDUCE_PRODUCT, {0, -4}, {0, 0, -12, -20, -20, 40}},
        {CP_REDUCE_L1, {7, 5}, {1, -1, 0, 10, 10, -10}},
        {CP_REDUCE_L2, {5, 3}, {0.6, -0.8, 0, 20.0 / 3, 20.0 / 3, -10.0 / 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cp_ref_reduce(cases[i].f, 2, &x, &rows);
        assert_values(&rows, cases[i].y);
        cp_ref_reduce_gradient(cases[i].f, 2, &x, &rows, &one, &dx);
        for (int e = 0; e < 6; e++) assert_true(fabs(values(&dx)[e] - cases[i].dx[e]) < 1e-12);
    }
    cp_ref_reduce(CP_REDUCE_MEAN, 1, &x, &columns);
    assert_values(&columns, (double[]){2.5, -1, -0.5});
}

static void pieces_by_hand(void **state) {
    (void)state;
    const cp_tensor x[] = {filled(shape2(2, 1), (double[]){1, 2}), filled(shape2(2, 2), (double[]){3, 4, 5, 6})};
    const cp_tensor y = tensor(shape2(2, 3));
    cp_ref_concat(1, x, 2, &y);
    assert_values(&y, (double[]){1, 3, 4, 2, 5, 6});
}

/* --- normalisation, softmax, dropout --- */

static void normalisation_by_hand(void **state) {
    (void)state;
    /* two images of two pixels with two channels */
    const cp_shape shape = cp_shape_of(3, (int64_t[]){2, 2, 2}), two = cp_shape_of(1, (int64_t[]){2});
    const cp_tensor x = filled(shape, (double[]){1, 10, 3, 20, 5, 30, 7, 40}), y = tensor(shape);
    const cp_tensor scale = filled(two, (double[]){2, 1}), bias = filled(two, (double[]){0, 100});
    const cp_tensor mean = filled(two, (double[]){3, 0}), variance = filled(two, (double[]){4, 25});
    const cp_tensor next_mean = tensor(two), next_variance = tensor(two);
    const cp_tensor of_batch = tensor(cp_shape_of(3, (int64_t[]){1, 2, 2}));
    const cp_tensor in[5] = {x, scale, bias, mean, variance};
    cp_ref_batch_norm(false, 0.9, 0, in, &y, &of_batch, &next_mean, &next_variance);
    assert_values(&y, (double[]){-2, 102, 0, 104, 2, 106, 4, 108});
    cp_ref_batch_norm(true, 0.5, 4, in, &y, &of_batch, &next_mean, &next_variance);
    assert_values(&next_mean, (double[]){3.5, 12.5});
    assert_values(&next_variance, (double[]){4.5, 75}); /* the population's: 5 and 125 */
    for (int e = 0; e < 4; e++) {
        assert_near(values(&y)[2 * e], (2 * e - 3) / 3.0 * 2);
        assert_near(values(&y)[2 * e + 1], (10 * e - 15) / sqrt(129) + 100);
    }
    const cp_tensor of_pixels = tensor(cp_shape_of(3, (int64_t[]){4, 1, 2}));
    cp_ref_group_norm(0, &x, &scale, &bias, &y, &of_pixels);
    assert_values(&y, (double[]){-2, 101, -2, 101, -2, 101, -2, 101});
    const cp_tensor of_instances = tensor(cp_shape_of(3, (int64_t[]){2, 2, 2}));
    cp_ref_group_norm(0, &x, &scale, &bias, &y, &of_instances);
    assert_values(&y, (double[]){-2, 99, 2, 101, -2, 99, 2, 101});
    assert_near(values(&of_instances)[2], 15);
    assert_near(values(&of_instances)[3], 0.2);
}

/* ONNX: of size 3 one neighbour on both sides, of size 2 one behind. */
static void lrn_by_hand(void **state) {
    (void)state;
    const cp_tensor x = filled(cp_shape_of(1, (int64_t[]){4}), (double[]){1, 2, 3, 4}), y = tensor(x.shape);
    cp_ref_lrn(&(cp_lrn){.size = 3, .alpha = 3, .beta = 1, .bias = 1}, &x, &y);
    const double three[] = {1.0 / 6, 2.0 / 15, 3.0 / 30, 4.0 / 26}, two[] = {1.0 / 6, 2.0 / 14, 3.0 / 26, 4.0 / 17};
    for (int e = 0; e < 4; e++) assert_near(values(&y)[e], three[e]);
    cp_ref_lrn(&(cp_lrn){.size = 2, .alpha = 2, .beta = 1, .bias = 1}, &x, &y);
    for (int e = 0; e < 4; e++) assert_near(values(&y)[e], two[e]);
}

static void softmax_of_large_numbers(void **state) {
    (void)state;
    const cp_tensor x = filled(cp_shape_of(2, (int64_t[]){2, 2}), (double[]){1000, 1000, -1e6, -1e6 + log(3)});
    const cp_tensor y = tensor(x.shape);
    cp_ref_softmax(false, x.shape.rank - 1, &x, &y);
    for (int i = 0; i < 4; i++) assert_true(fabs(values(&y)[i] - (double[]){0.5, 0.5, 0.25, 0.75}[i]) < 1e-9);
}

static void dropout_keeps_its_share(void **state) {
    (void)state;
    const cp_shape shape = cp_shape_of(2, (int64_t[]){100, 100});
    const cp_tensor x = random_tensor(shape), y = tensor(shape), again = tensor(shape);
    const cp_random_key key = {.seed = 5, .stream = 1, .step = 2};
    cp_ref_dropout(0.4f, &key, &x, &y);
    int64_t kept = 0;
    for (int64_t e = 0; e < 10000; e++) {
        const bool keep = cp_random_uniform(&key, (uint64_t)e) >= 0.4f;
        assert_near(values(&y)[e], keep ? values(&x)[e] / (1 - (double)0.4f) : 0);
        kept += keep;
    }
    assert_in_range(kept, 5800, 6200);
    cp_ref_dropout(0.4f, &key, &x, &again);
    assert_same(&y, &again);
    cp_ref_dropout(0, &key, &x, &y);
    assert_same(&y, &x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(dense_by_hand_and_adjoint),
        TEST(activations_and_their_slopes),
        TEST(activations_known_values),
        TEST(binary_functions_by_hand),
        TEST(reductions_by_hand),
        TEST(pieces_by_hand),
        TEST(normalisation_by_hand),
        TEST(lrn_by_hand),
        TEST(softmax_of_large_numbers),
        TEST(losses_by_hand),
        TEST(losses_at_the_edge),
        TEST(losses_and_their_gradients),
        TEST(labels_that_are_no_class),
        TEST(dropout_keeps_its_share),
        TEST(sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
