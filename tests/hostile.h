/* What the tests share that give what no caller should give. Each such input has its status and its sentence, through
 * every door that leads there. Bad files are in files_*.c, data.c, model_files.c and checkpoints.c, bad options of
 * training in train.c, of contexts in context.c, bad ONNX files in onnx_hostile.c. */
#ifndef TEST_HOSTILE_H
#define TEST_HOSTILE_H

#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BIG ((int64_t)1 << 40)
#define HUGE_SIZE ((int64_t)1 << 62)
#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {                                                          \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }

static float numbers[1 << 16];

static inline int fill_numbers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) numbers[i] = (float)(i * 7 % 31) / 16 - 1;
    return 0;
}

static inline cp_net *new_net(void) {
    cp_net *net;
    ok(cp_net_new(&net));
    return net;
}

/* What a net that must have failed says, as this thread's error; frees the net. */
static inline cp_status net_status(cp_net *net) {
    const char *text;
    const cp_status status = cp_net_error(net, &text);
    assert_string_equal(text, cp_error());
    cp_net_free(net);
    return status;
}

/* One call on a new net with an input x of 0x8x8x3, v of 0x10 and labels l. */
#define in_net(call, status, text)                                                                                     \
    do {                                                                                                               \
        cp_net *net = new_net();                                                                                       \
        const cp_node x = cp_net_input(net, "x", CP_F32, cp_shape_nhwc(0, 8, 8, 3));                                   \
        const cp_node v = cp_net_input(net, "v", CP_F32, cp_shape_of(2, (int64_t[]){0, 10}));                          \
        const cp_node l = cp_net_input(net, "l", CP_I32, cp_shape_of(1, (int64_t[]){0}));                              \
        ok(cp_net_error(net, NULL));                                                                                   \
        assert_true(x &&v &&l);                                                                                        \
        call;                                                                                                          \
        check_refusal(#call, net_status(net), status, text);                                                           \
    } while (0)

#endif
