/* Shapes, views and copies. */
#include "tensor/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int64_t draw(int64_t least, int64_t most) {
    static const cp_random_key key = {.seed = 2};
    static uint64_t drawn;
    return least + cp_random_bits(&key, drawn++) % (most - least + 1);
}

static void views_say_the_order_in_memory(void **state) {
    (void)state;
    float memory[120];
    for (int i = 0; i < 120; i++) memory[i] = (float)i;
    const cp_tensor nhwc = cp_nhwc(memory, 2, 3, 4, 5), nchw = cp_nchw(memory, 2, 5, 3, 4);
    const cp_tensor hwio = cp_hwio(memory, 2, 3, 4, 5), oihw = cp_oihw(memory, 5, 4, 2, 3);
    const int64_t a[] = {1, 2, 3, 4};
    assert_true(cp_shape_same(nhwc.shape, nchw.shape));
    assert_true(cp_shape_same(hwio.shape, oihw.shape));
    int64_t at[4] = {0};
    const cp_tensor *views[] = {&nhwc, &nchw, &hwio, &oihw};
    for (int v = 0; v < 4; v++)
        for (int d = 0; d < 4; d++) at[v] += (v < 2 ? a[d] : a[d] - 1) * views[v]->stride[d];
    assert_int_equal(at[0], 1 * 60 + 2 * 20 + 3 * 5 + 4); /* n=1 h=2 w=3 c=4 */
    assert_int_equal(at[1], 1 * 60 + 4 * 12 + 2 * 4 + 3); /* in order N,C,H,W */
    assert_int_equal(at[2], 0 * 60 + 1 * 20 + 2 * 5 + 3); /* h=0 w=1 i=2 o=3 */
    assert_int_equal(at[3], 3 * 24 + 2 * 6 + 0 * 3 + 1);  /* in order O,I,H,W */
    assert_true(cp_is_dense(&nhwc));
    assert_false(cp_is_dense(&nchw));
    const cp_tensor one = cp_nchw(memory, 2, 1, 3, 4); /* one channel: both orders are the same */
    assert_true(cp_is_dense(&one));
    const cp_tensor dense = cp_view_filters_first(memory, CP_F32, cp_shape_of(2, (int64_t[]){3, 4}));
    assert_int_equal(dense.stride[0], 1);
    assert_int_equal(dense.stride[1], 3);
}

static void counts_and_texts(void **state) {
    (void)state;
    char text[CP_SHAPE_TEXT];
    const int64_t least[CP_MAX_RANK] = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN,
                                        INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
    assert_string_equal(cp_shape_text(cp_shape_nhwc(1, 28, 28, 1), text), "1x28x28x1");
    assert_string_equal(cp_shape_text(cp_shape_of(0, NULL), text), "scalar");
    assert_int_equal(strlen(cp_shape_text(cp_shape_of(CP_MAX_RANK, least), text)), 8 * 20 + 7);
    assert_int_equal(cp_shape_count(cp_shape_of(0, NULL)), 1);
    assert_int_equal(cp_shape_count(cp_shape_nhwc(2, 3, 4, 5)), 120);
    assert_int_equal(cp_shape_count(cp_shape_nhwc(0, 3, 4, 5)), 0);
    assert_int_equal(cp_shape_count(cp_shape_nhwc(1, -1, 4, 5)), -1);
    assert_int_equal(cp_shape_count(cp_shape_nhwc((int64_t)1 << 32, (int64_t)1 << 31, 1, 1)), -1);
    assert_int_equal(cp_shape_count((cp_shape){.rank = 9}), -1);
    assert_int_equal(cp_shape_count((cp_shape){.rank = -1}), -1);
    assert_string_equal(cp_type_name(CP_U8), "u8");
    assert_int_equal(cp_type_size(CP_I64), 8);
    assert_int_equal(cp_type_size((cp_type)777), 0);
}

static void bad_tensors_are_named(void **state) {
    (void)state;
    float value = 0;
    cp_tensor x = cp_vec(&value, 1);
    assert_int_equal(cp_check_tensor(&x, CP_F32, "x"), CP_OK);
    assert_int_equal(cp_check_tensor(&x, CP_I32, "labels"), CP_E_ARG);
    assert_string_equal(cp_error(), "labels has type f32: must be i32");
    assert_int_equal(cp_check_tensor(NULL, CP_F32, "x"), CP_E_ARG);
    x.data = NULL;
    assert_int_equal(cp_check_tensor(&x, CP_F32, "x"), CP_E_ARG);
    x.shape.dim[0] = 0; /* nothing there, and nothing needed */
    assert_int_equal(cp_check_tensor(&x, CP_F32, "x"), CP_OK);
    x = cp_mat(&value, 2, 2);
    x.stride[0] = INT64_MAX / 4;
    assert_int_equal(cp_check_tensor(&x, CP_F32, "x"), CP_E_SHAPE);
    assert_string_equal(cp_error(), "x: its strides overflow");
    x.stride[0] = INT64_MIN;
    assert_int_equal(cp_check_tensor(&x, CP_F32, "x"), CP_E_SHAPE);
    assert_int_equal(cp_check_shape((cp_shape){.rank = 9}, CP_F32, "x"), CP_E_SHAPE);
    assert_int_equal(cp_check_shape(cp_shape_nhwc(1, 1, 1, 1), (cp_type)77, "x"), CP_E_ARG);
    assert_int_equal(cp_check_shape(cp_shape_nhwc(1, (int64_t)1 << 62, 1, 1), CP_F64, "x"), CP_E_SHAPE);
    assert_string_equal(cp_error(), "x 1x4611686018427387904x1x1: byte size overflows");
}

/* --- copies --- */

/* A view with axes in a drawn order, gaps between them, and some of them backwards. *bytes is what it spans. */
static cp_tensor draw_view(cp_type type, cp_shape shape, int64_t *bytes) {
    cp_tensor view = {.type = type, .shape = shape};
    int order[CP_MAX_RANK];
    for (int d = 0; d < shape.rank; d++) {
        const int place = (int)draw(0, d);
        order[d] = order[place];
        order[place] = d;
    }
    int64_t stride = draw(1, 2), begin = 0;
    const bool gaps = draw(0, 1), backwards = draw(0, 3) == 0;
    for (int d = 0; d < shape.rank; d++) {
        const int a = order[d];
        view.stride[a] = stride;
        if (backwards && draw(0, 1)) {
            begin += (shape.dim[a] - 1) * stride;
            view.stride[a] = -stride;
        }
        stride = stride * shape.dim[a] + (gaps ? draw(0, 3) : 0);
    }
    *bytes = stride * cp_type_size(type);
    char *memory = malloc((size_t)*bytes);
    memset(memory, 0xEE, (size_t)*bytes);
    view.data = memory + begin * cp_type_size(type);
    return view;
}

static char *element(const cp_tensor *t, int64_t e) {
    return (char *)t->data + cp_offset(t, 0, t->shape.rank, e) * cp_type_size(t->type);
}

static char *memory_of(const cp_tensor *t) {
    char *first = t->data;
    for (int d = 0; d < t->shape.rank; d++)
        if (t->stride[d] < 0) first += (t->shape.dim[d] - 1) * t->stride[d] * cp_type_size(t->type);
    return first;
}

/* Every element arrives, and nothing is written between them, in one piece and in shares. */
static void copies_between_any_strides(void **state) {
    (void)state;
    static const cp_type types[] = {CP_U8, CP_F32, CP_F64, CP_I32, CP_I64, CP_F16};
    for (int trial = 0; trial < 3000; trial++) {
        const cp_type type = types[draw(0, 5)];
        const int64_t size = cp_type_size(type);
        cp_shape shape = {.rank = (int)draw(0, 5)};
        for (int d = 0; d < shape.rank; d++) shape.dim[d] = draw(1, shape.rank > 3 ? 5 : 40);
        int64_t from_bytes, to_bytes, written = 0, left = 0;
        const cp_tensor from = draw_view(type, shape, &from_bytes), to = draw_view(type, shape, &to_bytes);
        const int64_t count = cp_shape_count(shape);
        for (int64_t e = 0; e < count; e++)
            for (int64_t b = 0; b < size; b++) element(&from, e)[b] = (char)draw(0, 100); /* never 0xEE */

        const int shares = (int)draw(0, 4);
        if (shares == 0) assert_int_equal(cp_tensor_copy(&to, &from), CP_OK);
        for (int id = 0; id < shares; id++) cp_copy_share(&to, &from, id, shares);

        for (int64_t e = 0; e < count; e++) assert_memory_equal(element(&to, e), element(&from, e), size);
        for (int64_t b = 0; b < to_bytes; b++) written += memory_of(&to)[b] != (char)0xEE;
        left = to_bytes - written;
        assert_int_equal(left, to_bytes - count * size);
        free(memory_of(&from));
        free(memory_of(&to));
    }
}

static void shares_do_not_meet(void **state) {
    (void)state;
    float from[60] = {0}, to[60] = {0};
    const cp_tensor x = cp_nhwc(from, 1, 3, 4, 5), y = cp_nchw(to, 1, 5, 3, 4);
    for (int i = 0; i < 60; i++) from[i] = 1;
    for (int n = 1; n < 80; n += 7) {
        float total = 0;
        for (int id = 0; id < n; id++) {
            memset(to, 0, sizeof to);
            cp_copy_share(&y, &x, id, n);
            for (int i = 0; i < 60; i++) total += to[i];
        }
        assert_int_equal(total, 60);
    }
}

static void copies_that_are_refused(void **state) {
    (void)state;
    float memory[6] = {0};
    const cp_tensor x = cp_mat(memory, 2, 3), y = cp_mat(memory, 3, 2);
    const cp_tensor labels = cp_view(memory, CP_I32, x.shape);
    assert_int_equal(cp_tensor_copy(&y, &x), CP_E_SHAPE);
    assert_string_equal(cp_error(), "cannot copy 2x3 to 3x2: the shapes must be the same");
    assert_int_equal(cp_tensor_copy(&labels, &x), CP_E_ARG);
    assert_int_equal(cp_tensor_copy(NULL, &x), CP_E_ARG);
    assert_int_equal(cp_tensor_copy(&x, NULL), CP_E_ARG);
    const cp_tensor nothing = cp_mat(NULL, 0, 3);
    assert_int_equal(cp_tensor_copy(&nothing, &nothing), CP_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_say_the_order_in_memory),
        cmocka_unit_test(counts_and_texts),
        cmocka_unit_test(bad_tensors_are_named),
        cmocka_unit_test(copies_between_any_strides),
        cmocka_unit_test(shares_do_not_meet),
        cmocka_unit_test(copies_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
