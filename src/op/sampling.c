/* Padding and resizing and their gradients, as operators. */
#include "op/op.h"

#include <stdio.h>

/* The sampling of x and the shape of what it gives. */
typedef cp_status set_sampling(cp_problem *problem, const cp_attributes *attributes, cp_shape x, cp_shape *y);

static cp_status set_padding(cp_problem *problem, const cp_attributes *attributes, cp_shape x, cp_shape *y) {
    problem->constant = attributes->padding.constant;
    if (attributes->padding.values != CP_PAD_CONSTANT && problem->constant != 0)
        return cp_fail(CP_E_ARG, "a constant is given, and padding with values of the input");
    return cp_padding_sampling(problem->sampling, &attributes->padding, x, y);
}

static cp_status set_resize(cp_problem *problem, const cp_attributes *attributes, cp_shape x, cp_shape *y) {
    problem->constant = attributes->resize.extrapolation;
    return cp_resize_sampling(problem->sampling, &attributes->resize, x, y);
}

/* Padding moves numbers of any type, resizing computes. */
static cp_status infer(cp_problem *problem, const cp_attributes *attributes, set_sampling *set) {
    const cp_shape x = problem->in[0];
    const cp_type type = set == set_padding ? problem->in_type[0] : problem->type;
    cp_shape y;
    cp_status status = cp_check_in(problem, 0, type, "input");
    if (!status) status = set(problem, attributes, x, &y);
    if (status) return status;
    problem->batch = x.dim[0];
    problem->channels = x.dim[x.rank - 1];
    return cp_set_output(problem, 0, type, y);
}

static cp_status infer_gradient(cp_problem *problem, const cp_attributes *attributes, set_sampling *set) {
    const cp_shape dy = problem->in[0];
    cp_shape x, y;
    cp_status status = cp_check_in(problem, 0, problem->type, "gradient");
    if (!status) status = cp_forward_input(&x, dy, attributes->size, dy.rank > 0 ? dy.dim[dy.rank - 1] : 0);
    if (!status) status = set(problem, attributes, x, &y);
    if (!status) status = cp_check_same("gradient", dy, "output", y);
    if (status) return status;
    problem->constant = 0;
    problem->batch = x.dim[0];
    problem->channels = x.dim[x.rank - 1];
    return cp_set_output(problem, 0, problem->type, x);
}

static void backward(cp_backward *b, const char *gradient) {
    const cp_attributes attributes = cp_gradient_attributes(b);
    b->din[0] = b->node(b->net, gradient, &attributes, b->dout, 1);
}

/* All begins and then all ends, as "1,1,2,2": of the axes up to the last that has padding. */
static void words_pad(const cp_attributes *attributes, char *text, size_t size) {
    const cp_padding *padding = &attributes->padding;
    char list[6 * 24] = "0", number[32];
    int axes = CP_MAX_AXES, length = 0;
    text[0] = 0;
    while (axes > 0 && !padding->before[axes - 1] && !padding->after[axes - 1]) axes--;
    for (int i = 0; i < 2 * axes; i++)
        length += snprintf(list + length, sizeof list - (size_t)length, i ? ",%lld" : "%lld",
                           (long long)(i < axes ? padding->before[i] : padding->after[i - axes]));
    cp_words_add(text, size, "%s", list);
    if (padding->values != CP_PAD_CONSTANT) cp_words_add(text, size, "%s", cp_pad_value_words[padding->values]);
    if (padding->constant != 0)
        cp_words_add(text, size, "constant %s", cp_real_text((double)padding->constant, 9, number));
}

static void words_resize(const cp_attributes *attributes, char *text, size_t size) {
    const cp_resize *resize = &attributes->resize;
    char scales[3 * 32] = "", number[32];
    int sizes = 0, length = 0;
    text[0] = 0;
    while (sizes < CP_MAX_AXES && resize->size[sizes]) sizes++;
    cp_words_axes(text, size, "size ", resize->size, sizes);
    for (int d = 0; d < CP_MAX_AXES && resize->scale[d] != 0; d++)
        length += snprintf(scales + length, sizeof scales - (size_t)length, d ? "x%s" : "%s",
                           cp_real_text((double)resize->scale[d], 9, number));
    if (*scales) cp_words_add(text, size, "scale %s", scales);
    if (resize->interpolation) cp_words_add(text, size, "%s", cp_interpolation_words[resize->interpolation]);
    if (resize->coordinates) cp_words_add(text, size, "%s", cp_coordinate_words[resize->coordinates]);
    if (resize->rounding) cp_words_add(text, size, "%s", cp_rounding_words[resize->rounding]);
    if (resize->antialias) cp_words_add(text, size, "antialias");
    if (resize->exclude_outside) cp_words_add(text, size, "exclude_outside");
}

static const cp_field pad_fields[] = {CP_FIELD("before", CP_FIELD_AXES, padding.before, NULL),
                                      CP_FIELD("after", CP_FIELD_AXES, padding.after, NULL),
                                      CP_FIELD("values", CP_FIELD_WORD, padding.values, cp_pad_value_words),
                                      CP_FIELD("constant", CP_FIELD_REAL, padding.constant, NULL),
                                      {0}};

static const cp_field resize_fields[] = {
    CP_FIELD("size", CP_FIELD_AXES, resize.size, NULL),
    CP_FIELD("scale", CP_FIELD_REALS, resize.scale, NULL),
    CP_FIELD("interpolation", CP_FIELD_WORD, resize.interpolation, cp_interpolation_words),
    CP_FIELD("coordinates", CP_FIELD_WORD, resize.coordinates, cp_coordinate_words),
    CP_FIELD("rounding", CP_FIELD_WORD, resize.rounding, cp_rounding_words),
    CP_FIELD("antialias", CP_FIELD_FLAG, resize.antialias, NULL),
    CP_FIELD("exclude_outside", CP_FIELD_FLAG, resize.exclude_outside, NULL),
    CP_FIELD("cubic", CP_FIELD_REAL, resize.cubic, NULL),
    CP_FIELD("begin", CP_FIELD_REALS, resize.begin, NULL),
    CP_FIELD("end", CP_FIELD_REALS, resize.end, NULL),
    CP_FIELD("extrapolation", CP_FIELD_REAL, resize.extrapolation, NULL),
    {0}};

#define SAMPLING(id, set)                                                                                              \
    static cp_status infer_##id(cp_problem *problem, const cp_attributes *attributes) {                                \
        return infer(problem, attributes, set);                                                                        \
    }                                                                                                                  \
    static cp_status infer_##id##_gradient(cp_problem *problem, const cp_attributes *attributes) {                     \
        return infer_gradient(problem, attributes, set);                                                               \
    }                                                                                                                  \
    static void backward_##id(cp_backward *b) {                                                                        \
        backward(b, #id "-gradient");                                                                                  \
    }                                                                                                                  \
    const cp_op cp_op_##id = {.name = #id,                                                                             \
                              .fields = id##_fields,                                                                   \
                              .min_inputs = 1,                                                                         \
                              .max_inputs = 1,                                                                         \
                              .outputs = 1,                                                                            \
                              .infer = infer_##id,                                                                     \
                              .algos = cp_algos_sample,                                                                \
                              .backward = backward_##id,                                                               \
                              .words = words_##id};                                                                    \
    const cp_op cp_op_##id##_gradient = {.name = #id "-gradient",                                                      \
                                         .min_inputs = 1,                                                              \
                                         .max_inputs = 1,                                                              \
                                         .outputs = 1,                                                                 \
                                         .infer = infer_##id##_gradient,                                               \
                                         .algos = cp_algos_sample_gradient};

SAMPLING(pad, set_padding)
SAMPLING(resize, set_resize)
