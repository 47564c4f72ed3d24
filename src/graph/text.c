/* Nets as text: "conv 32 5x5 same relu; pool 2; flatten; dense 1024 relu; dropout 0.4; dense 10". */
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

enum { MAX_DEPTH = 16 };

/* "3" or "3x1": one number for each axis, or one for all; the word must be nothing else. Returns false for another
 * word. */
static bool read_axes(const char *word, int axes, int64_t *values) {
    int n = 0;
    for (;; word++) {
        if (n == axes || !cp_read_number(&word, &values[n])) return false;
        n++;
        if (*word != 'x') break;
    }
    if (*word || (n != 1 && n != axes)) return false;
    for (int a = n; a < axes; a++) values[a] = values[0];
    return true;
}

static cp_status take_axes(cp_words *r, const char *what, int axes, int64_t *values) {
    char expected[120];
    snprintf(expected, sizeof expected, "%s, as 2%s", what, axes == 1 ? "" : axes == 2 ? " or 2x1" : " or 2x1x1");
    cp_words_next(r);
    if (!read_axes(r->word, axes, values)) return cp_words_mistake(r, expected);
    for (int a = 0; a < axes; a++)
        if (values[a] < 1) return cp_words_mistake(r, expected);
    return CP_OK;
}

/* "1", or all begins then all ends: "1,1,2,2"; with first_axes, perhaps of the first axes alone. */
static cp_status take_padding(cp_words *r, int axes, int64_t *before, int64_t *after, bool first_axes) {
    const char *expected = "a padding, as 1, or all begins then all ends, as 1,1,2,2";
    int64_t values[2 * CP_MAX_AXES];
    int n = 0;
    cp_words_next(r);
    const char *t = r->word;
    for (;; t++) {
        if (n == 2 * axes || !cp_read_number(&t, &values[n])) return cp_words_mistake(r, expected);
        n++;
        if (*t != ',') break;
    }
    if (*t || (n != 1 && (first_axes ? n % 2 : n != 2 * axes))) return cp_words_mistake(r, expected);
    for (int a = 0; a < (n == 1 ? axes : n / 2); a++) {
        before[a] = values[n == 1 ? 0 : a];
        after[a] = values[n == 1 ? 0 : n / 2 + a];
    }
    return CP_OK;
}

/* What conv and pool have in common, in any order; *taken tells whether the word was one of them. */
typedef struct window_words {
    int64_t *stride, *dilation, *before, *after;
    cp_pad *pad;
} window_words;

#define WINDOW_WORDS "same, same_lower, valid, causal, full, pad P, stride S, dilation D"

static cp_status take_window_word(cp_words *r, int axes, window_words w, bool *taken) {
    *taken = true;
    if (cp_words_are(r, "same"))
        *w.pad = CP_PAD_SAME;
    else if (cp_words_are(r, "same_lower"))
        *w.pad = CP_PAD_SAME_LOWER;
    else if (cp_words_are(r, "causal"))
        *w.pad = CP_PAD_CAUSAL;
    else if (cp_words_are(r, "full"))
        *w.pad = CP_PAD_FULL;
    else if (cp_words_are(r, "valid"))
        *w.pad = CP_PAD_VALID;
    else if (cp_words_are(r, "pad"))
        return take_padding(r, axes, w.before, w.after, false);
    else if (cp_words_are(r, "stride"))
        return take_axes(r, "a stride", axes, w.stride);
    else if (cp_words_are(r, "dilation"))
        return take_axes(r, "a dilation", axes, w.dilation);
    else
        *taken = false;
    return CP_OK;
}

#define COMMA_WORD(name, identifier, word, ...) ", " word
#define ACTIVATION_WORDS CP_ACTIVATIONS(COMMA_WORD)

static bool activation_of(const char *word, cp_activation *activation) {
    for (int i = 0; cp_activation_words[i]; i++)
        if (!strcmp(word, cp_activation_words[i])) {
            *activation = (cp_activation)i;
            return true;
        }
    return false;
}

/* The number of a word in a list; false for another word. */
static bool word_of(const cp_words *r, const char *const *words, unsigned *number) {
    for (unsigned i = 0; words[i]; i++)
        if (cp_words_are(r, words[i])) {
            *number = i;
            return true;
        }
    return false;
}

static cp_status take_count(cp_words *r, const char *what, int64_t *count) {
    cp_words_next(r);
    const char *t = r->word;
    if (!cp_read_number(&t, count) || *t || *count < 1) return cp_words_mistake(r, what);
    return CP_OK;
}

typedef enum conv_kind { PLAIN, LOCAL, TRANSPOSED, DEFORMABLE } conv_kind;

static cp_node conv(cp_net *net, cp_words *r, cp_node x, int axes, conv_kind kind) {
    static const char *const expected[] = {
        [PLAIN] = WINDOW_WORDS ", reflect, replicate, circular, groups G" ACTIVATION_WORDS,
        [LOCAL] = WINDOW_WORDS ACTIVATION_WORDS,
        [TRANSPOSED] = WINDOW_WORDS ", output_padding P, output_size S, groups G" ACTIVATION_WORDS,
        [DEFORMABLE] = WINDOW_WORDS ", modulated, offset_groups G, groups G" ACTIVATION_WORDS,
    };
    cp_conv conv = {0};
    bool modulated = false;
    int64_t filters = 0;
    cp_status status = take_count(r, "the number of filters, as 32", &filters);
    if (!status) status = take_axes(r, "the kernel's size", axes, conv.kernel);
    window_words words = {conv.stride, conv.dilation, conv.pad_before, conv.pad_after, &conv.pad};
    while (!status) {
        bool taken;
        unsigned values;
        cp_words_next(r);
        if (!*r->word) break;
        status = take_window_word(r, axes, words, &taken);
        if (status || taken) continue;
        if (kind != LOCAL && cp_words_are(r, "groups"))
            status = take_count(r, "the number of groups", &conv.groups);
        else if (kind == TRANSPOSED && cp_words_are(r, "output_padding"))
            status = take_axes(r, "an output padding", axes, conv.output_padding);
        else if (kind == TRANSPOSED && cp_words_are(r, "output_size"))
            status = take_axes(r, "the output's size", axes, conv.output_size);
        else if (kind == DEFORMABLE && cp_words_are(r, "offset_groups"))
            status = take_count(r, "the number of parts of the channels that have offsets", &conv.offset_groups);
        else if (kind == DEFORMABLE && cp_words_are(r, "modulated"))
            modulated = true;
        else if (kind == PLAIN && word_of(r, cp_pad_value_words, &values))
            conv.pad_values = (cp_pad_values)values;
        else if (!activation_of(r->word, &conv.activation))
            status = cp_words_mistake(r, expected[kind]);
    }
    if (status) return cp_net_fail(net, status);
    return kind == PLAIN        ? cp_net_conv(net, x, filters, &conv)
           : kind == LOCAL      ? cp_net_local_conv(net, x, filters, &conv)
           : kind == TRANSPOSED ? cp_net_conv_transpose(net, x, filters, &conv)
                                : cp_net_deform_conv(net, x, filters, &conv, modulated);
}

/* The word as a number, and nothing else. */
static bool read_real(const char *word, double *number) {
    return cp_read_real(&word, number) && !*word;
}

static cp_status take_real(cp_words *r, const char *expected, float *value) {
    double number;
    cp_words_next(r);
    if (!read_real(r->word, &number)) return cp_words_mistake(r, expected);
    *value = (float)number;
    return CP_OK;
}

static cp_status take_divisor(cp_words *r, cp_pool *pool) {
    int divisor = CP_DIVISOR_VALID;
    cp_words_next(r);
    const char *t = r->word;
    while (divisor < CP_DIVISOR_NUMBER && !cp_words_are(r, cp_divisor_words[divisor])) divisor++;
    pool->divisor = (cp_divisor)divisor;
    if (divisor < CP_DIVISOR_NUMBER || (cp_read_number(&t, &pool->divide_by) && !*t && pool->divide_by > 0))
        return CP_OK;
    return cp_words_mistake(r, "what an average divides by: valid, padded, kernel or a number");
}

static cp_node pool(cp_net *net, cp_words *r, cp_node x, int axes, cp_pooling kind) {
    cp_pool pool = {.kind = kind};
    cp_status status = CP_OK;
    cp_words_next(r);
    if (cp_words_are(r, "global"))
        pool.global = true;
    else if (!read_axes(r->word, axes, pool.kernel))
        status = cp_words_mistake(r, "the window's size, as 2 or 3x2, or global");
    window_words words = {pool.stride, pool.dilation, pool.pad_before, pool.pad_after, &pool.pad};
    while (!status) {
        bool taken;
        unsigned values;
        cp_words_next(r);
        if (!*r->word) return cp_net_pool(net, x, &pool);
        status = take_window_word(r, axes, words, &taken);
        if (status || taken) continue;
        if (cp_words_are(r, "ceil"))
            pool.ceil_mode = true;
        else if (word_of(r, cp_pad_value_words, &values))
            pool.pad_values = (cp_pad_values)values;
        else if (kind == CP_AVERAGE && cp_words_are(r, "divisor"))
            status = take_divisor(r, &pool);
        else if (kind == CP_LP && cp_words_are(r, "p"))
            status = take_real(r, "the exponent, as 3 or 2.5", &pool.exponent);
        else
            status =
                cp_words_mistake(r, kind == CP_AVERAGE ? WINDOW_WORDS ", reflect, replicate, circular, ceil, divisor D"
                                    : kind == CP_LP    ? WINDOW_WORDS ", reflect, replicate, circular, ceil, p P"
                                                       : WINDOW_WORDS ", reflect, replicate, circular, ceil");
    }
    return cp_net_fail(net, status);
}

/* Poolings whose windows follow from the output's size. */
static cp_node span_pool(cp_net *net, cp_words *r, cp_node x, int axes, cp_pooling kind, bool fractional) {
    cp_pool pool = {.kind = kind};
    cp_status status = take_axes(r, "the output's size", axes, pool.output_size);
    if (!status && fractional) {
        cp_words_next(r);
        if (cp_words_are(r, "pytorch")) {
            pool.fractional = CP_FRACTIONAL_PYTORCH;
            cp_words_next(r);
            status = cp_words_are(r, "kernel") ? take_axes(r, "the window's size", axes, pool.kernel)
                                               : cp_words_mistake(r, "kernel K");
        } else if (cp_words_are(r, "tensorflow"))
            pool.fractional = CP_FRACTIONAL_TENSORFLOW;
        else
            status = cp_words_mistake(r, "pytorch kernel K, tensorflow");
    }
    if (!status) cp_words_next(r);
    if (!status && pool.fractional == CP_FRACTIONAL_TENSORFLOW && cp_words_are(r, "overlapping")) {
        pool.overlapping = true;
        cp_words_next(r);
    }
    return status ? cp_net_fail(net, status) : cp_net_pool(net, x, &pool);
}

/* The maximum that was pooled last on the way to x and is not undone yet; 0: there is none. */
static cp_node open_maximum(const cp_net *net, cp_node x) {
    int64_t undone = 0;
    for (const cp_value *v = cp_net_value(net, x); v && v->kind == CP_VALUE_COMPUTED;) {
        const cp_net_node *node = &net->nodes[v->node];
        if (!strcmp(node->op->name, "max-unpool"))
            undone++;
        else if (node->op == &cp_op_max_pool || node->op->algos == cp_algos_span_max_pool)
            if (undone-- == 0) return node->out[0];
        v = cp_net_value(net, node->in[0]);
    }
    return 0;
}

/* Back to the size that the pooling had seen. */
static cp_node max_unpool(cp_net *net, cp_words *r, cp_node x) {
    const cp_node maximum = open_maximum(net, x);
    cp_pool pool = {0};
    if (!maximum)
        return cp_net_fail(net, cp_fail(CP_E_ARG, "%s, position %lld: no maximum was pooled before that is not undone",
                                        r->subject, (long long)r->position));
    const cp_shape seen = cp_net_shape(net, net->nodes[cp_net_value(net, maximum)->node].in[0]);
    for (int d = 0; d < seen.rank - 2; d++) pool.output_size[d] = seen.dim[1 + d];
    return cp_net_max_unpool(net, x, cp_net_pool_positions(net, maximum), &pool);
}

/* "1,2,4" */
static cp_node pyramid_pool(cp_net *net, cp_words *r, cp_node x, cp_pooling kind) {
    enum { MOST = 16 };
    int64_t levels[MOST];
    int n = 0;
    cp_words_next(r);
    const char *t = r->word;
    bool possible;
    for (;; t++) {
        possible = n < MOST && cp_read_number(&t, &levels[n]) && levels[n] > 0;
        n++;
        if (!possible || *t != ',') break;
    }
    if (!possible || *t)
        return cp_net_fail(net, cp_words_mistake(r, "how many positions each level has along each axis, as 1,2,4"));
    return cp_net_pyramid_pool(net, x, kind, levels, n);
}

static cp_node im2col(cp_net *net, cp_words *r, cp_node x, int axes) {
    cp_conv conv = {0};
    const window_words words = {conv.stride, conv.dilation, conv.pad_before, conv.pad_after, &conv.pad};
    cp_status status = take_axes(r, "the kernel's size", axes, conv.kernel);
    while (!status) {
        bool taken;
        cp_words_next(r);
        if (!*r->word) return cp_net_im2col(net, x, &conv);
        status = take_window_word(r, axes, words, &taken);
        if (!status && !taken) status = cp_words_mistake(r, WINDOW_WORDS);
    }
    return cp_net_fail(net, status);
}

/* The kernel tells how many axes there are. */
static cp_node col2im(cp_net *net, cp_words *r, cp_node y) {
    cp_conv conv = {0};
    int64_t size[CP_MAX_AXES] = {0};
    int axes = 1;
    const window_words words = {conv.stride, conv.dilation, conv.pad_before, conv.pad_after, &conv.pad};
    cp_words_next(r);
    for (const char *t = r->word; *t; t++) axes += *t == 'x';
    if (axes > CP_MAX_AXES || !read_axes(r->word, axes, conv.kernel))
        return cp_net_fail(net, cp_words_mistake(r, "the kernel's size along each axis, as 3x3"));
    cp_status status = CP_OK;
    while (!status) {
        bool taken;
        cp_words_next(r);
        if (!*r->word) return cp_net_col2im(net, y, &conv, size);
        status = take_window_word(r, axes, words, &taken);
        if (status || taken) continue;
        status = cp_words_are(r, "size") ? take_axes(r, "the result's size", axes, size)
                                         : cp_words_mistake(r, "size S, " WINDOW_WORDS);
    }
    return cp_net_fail(net, status);
}

static cp_node dense(cp_net *net, cp_words *r, cp_node x) {
    int64_t units;
    cp_activation activation = CP_LINEAR;
    cp_status status = take_count(r, "the number of units, as 10", &units);
    if (status) return cp_net_fail(net, status);
    cp_words_next(r);
    if (*r->word && !activation_of(r->word, &activation))
        return cp_net_fail(net, cp_words_mistake(r, "the end of the layer" ACTIVATION_WORDS));
    return cp_net_dense(net, x, units, activation);
}

static cp_node dropout(cp_net *net, cp_words *r, cp_node x) {
    float rate = 0;
    cp_status status = take_real(r, "the share that is dropped, as 0.4", &rate);
    return status ? cp_net_fail(net, status) : cp_net_dropout(net, x, rate);
}

/* A name and a number, for each of n names, in any order, up to the end of the layer. */
static cp_status take_numbers(cp_words *r, const char *const *names, int n, const char *expected, float *numbers) {
    for (cp_words_next(r); *r->word; cp_words_next(r)) {
        int i = 0;
        double number;
        while (i < n && !cp_words_are(r, names[i])) i++;
        if (i == n) return cp_words_mistake(r, expected);
        cp_words_next(r);
        if (!read_real(r->word, &number)) return cp_words_mistake(r, "a number, as 0.001");
        numbers[i] = (float)number;
    }
    return CP_OK;
}

static cp_node norm(cp_net *net, cp_words *r, cp_node x) {
    static const char *const names[] = {"epsilon", "momentum"};
    const bool batch = cp_words_are(r, "batch-norm"), layer = cp_words_are(r, "layer-norm");
    const bool group = cp_words_are(r, "group-norm");
    float numbers[2] = {0};
    int64_t groups = 0;
    cp_status status = group ? take_count(r, "the number of groups, as 4", &groups) : CP_OK;
    if (!status) status = take_numbers(r, names, batch ? 2 : 1, batch ? "epsilon E, momentum M" : "epsilon E", numbers);
    if (status) return cp_net_fail(net, status);
    if (batch) return cp_net_batch_norm(net, x, numbers[0], numbers[1]);
    if (group) return cp_net_group_norm(net, x, groups, numbers[0]);
    return layer ? cp_net_layer_norm(net, x, numbers[0]) : cp_net_instance_norm(net, x, numbers[0]);
}

static cp_node lrn(cp_net *net, cp_words *r, cp_node x) {
    static const char *const names[] = {"alpha", "beta", "bias"};
    float numbers[3] = {0};
    int64_t size = 0;
    cp_status status = take_count(r, "the number of channels, as 5", &size);
    if (!status) status = take_numbers(r, names, 3, "alpha A, beta B, bias K", numbers);
    if (status) return cp_net_fail(net, status);
    return cp_net_lrn(net, x, size, numbers[0], numbers[1], numbers[2]);
}

/* Behind it up to two numbers, alpha and beta. */
static cp_node activated(cp_net *net, cp_words *r, cp_node x, cp_activation activation) {
    double numbers[2] = {0};
    for (int i = 0; i < 2; i++) {
        cp_words_next(r);
        if (!*r->word) break;
        if (!read_real(r->word, &numbers[i]))
            return cp_net_fail(net, cp_words_mistake(r, "a number, or the end of the layer"));
    }
    return cp_net_activation_with(net, x, activation, (float)numbers[0], (float)numbers[1]);
}

/* "2" or "1.5x2": one number for each axis, or one for all. */
static cp_status take_scales(cp_words *r, int axes, float *values) {
    const char *expected = "a scale, as 2 or 1.5x2";
    double number;
    int n = 0;
    cp_words_next(r);
    for (const char *t = r->word;; t++) {
        if (n == axes || !cp_read_real(&t, &number)) return cp_words_mistake(r, expected);
        values[n++] = (float)number;
        if (!*t) break;
        if (*t != 'x') return cp_words_mistake(r, expected);
    }
    if (n != 1 && n != axes) return cp_words_mistake(r, expected);
    for (int a = n; a < axes; a++) values[a] = values[0];
    return CP_OK;
}

static cp_node resize(cp_net *net, cp_words *r, cp_node x, int axes) {
    cp_resize resize = {0};
    cp_status status = CP_OK;
    while (!status) {
        unsigned word;
        cp_words_next(r);
        if (!*r->word) return cp_net_resize(net, x, &resize);
        if (cp_words_are(r, "size"))
            status = take_axes(r, "the output's size", axes, resize.size);
        else if (cp_words_are(r, "scale"))
            status = take_scales(r, axes, resize.scale);
        else if (word_of(r, cp_interpolation_words, &word))
            resize.interpolation = (cp_interpolation)word;
        else if (word_of(r, cp_coordinate_words, &word))
            resize.coordinates = (cp_coordinates)word;
        else if (word_of(r, cp_rounding_words, &word))
            resize.rounding = (cp_rounding)word;
        else if (cp_words_are(r, "antialias"))
            resize.antialias = true;
        else if (cp_words_are(r, "exclude_outside"))
            resize.exclude_outside = true;
        else
            status = cp_words_mistake(r, "size S, scale S, nearest, linear, cubic, antialias, exclude_outside, "
                                         "half_pixel, asymmetric, align_corners, pytorch_half_pixel, "
                                         "half_pixel_symmetric, round_prefer_floor, round_prefer_ceil, floor, ceil");
    }
    return cp_net_fail(net, status);
}

static cp_node shuffle(cp_net *net, cp_words *r, cp_node x, bool to_space) {
    int64_t block;
    unsigned order = CP_DEPTH_FIRST;
    cp_status status = take_count(r, "the size of a block, as 2", &block);
    if (status) return cp_net_fail(net, status);
    cp_words_next(r);
    if (*r->word && !word_of(r, cp_depth_order_words, &order)) return cp_net_fail(net, cp_words_mistake(r, "dcr, crd"));
    return to_space ? cp_net_depth_to_space(net, x, block, (cp_depth_order)order)
                    : cp_net_space_to_depth(net, x, block, (cp_depth_order)order);
}

static cp_node pad(cp_net *net, cp_words *r, cp_node x, int axes) {
    cp_padding padding = {0};
    cp_status status = take_padding(r, axes, padding.before, padding.after, true);
    while (!status) {
        unsigned word;
        double constant;
        cp_words_next(r);
        if (!*r->word) return cp_net_pad(net, x, &padding);
        if (cp_words_are(r, "constant")) {
            cp_words_next(r);
            if (!read_real(r->word, &constant)) status = cp_words_mistake(r, "what stands in the padding, as 0.5");
            if (!status) padding.constant = (float)constant;
        } else if (word_of(r, cp_pad_value_words, &word)) {
            padding.values = (cp_pad_values)word;
        } else {
            status = cp_words_mistake(r, "constant V, reflect, replicate, circular");
        }
    }
    return cp_net_fail(net, status);
}

/* Layers up to the end of the text, or to the '|' or '}' that ends a branch; 0 where one failed. depth: of braces. */
static cp_node layers(cp_net *net, cp_words *r, cp_node x, int depth);

/* Behind the name may be the number of classes. */
static cp_node named(cp_net *net, cp_words *r, cp_node x) {
    const char *text = cp_named_net(r->word);
    char name[sizeof r->word];
    strcpy(name, r->word);
    cp_words inner = {.subject = name, .text = text, .next = text};
    int64_t classes = 10;
    cp_words_next(r);
    const char *t = r->word;
    if (*t && (!cp_read_number(&t, &classes) || *t || classes < 1))
        return cp_net_fail(net, cp_words_mistake(r, "the number of classes (10), or the end of the layer"));
    return cp_net_dense(net, layers(net, &inner, x, 0), classes, CP_LINEAR);
}

/* One layer; its first word is at hand. */
static cp_node layer(cp_net *net, cp_words *r, cp_node x) {
    int axes = cp_net_shape(net, x).rank - 2;
    cp_activation activation;
    const size_t length = strlen(r->word);
    bool windowed = cp_words_are(r, "conv") || cp_words_are(r, "local-conv") || cp_words_are(r, "conv-transpose") ||
                    cp_words_are(r, "deform-conv") || cp_words_are(r, "im2col") || cp_words_are(r, "pad") ||
                    cp_words_are(r, "resize") || (length >= 4 && !strcmp(r->word + length - 4, "pool"));
    if (windowed && (axes < 1 || axes > CP_MAX_AXES))
        return cp_net_fail(net, cp_fail(CP_E_SHAPE,
                                        "%s, position %lld: '%s' needs spatial axes, and there are none left here",
                                        r->subject, (long long)r->position, r->word));
    if (cp_words_are(r, "conv")) return conv(net, r, x, axes, PLAIN);
    if (cp_words_are(r, "conv-transpose")) return conv(net, r, x, axes, TRANSPOSED);
    if (cp_words_are(r, "local-conv")) return conv(net, r, x, axes, LOCAL);
    if (cp_words_are(r, "deform-conv")) return conv(net, r, x, axes, DEFORMABLE);
    if (cp_words_are(r, "pool") || cp_words_are(r, "max-pool")) return pool(net, r, x, axes, CP_MAX);
    if (cp_words_are(r, "avg-pool")) return pool(net, r, x, axes, CP_AVERAGE);
    if (cp_words_are(r, "im2col")) return im2col(net, r, x, axes);
    if (cp_words_are(r, "col2im")) return col2im(net, r, x);
    if (cp_words_are(r, "depth-to-space")) return shuffle(net, r, x, true);
    if (cp_words_are(r, "space-to-depth")) return shuffle(net, r, x, false);
    if (cp_words_are(r, "pad")) return pad(net, r, x, axes);
    if (cp_words_are(r, "resize")) return resize(net, r, x, axes);
    if (cp_words_are(r, "lp-pool")) return pool(net, r, x, axes, CP_LP);
    if (cp_words_are(r, "stochastic-pool")) return pool(net, r, x, axes, CP_STOCHASTIC);
    if (cp_words_are(r, "max-unpool")) return max_unpool(net, r, x);
    if (cp_words_are(r, "pyramid-max-pool")) return pyramid_pool(net, r, x, CP_MAX);
    if (cp_words_are(r, "pyramid-avg-pool")) return pyramid_pool(net, r, x, CP_AVERAGE);
    if (cp_words_are(r, "adaptive-max-pool")) return span_pool(net, r, x, axes, CP_MAX, false);
    if (cp_words_are(r, "adaptive-avg-pool")) return span_pool(net, r, x, axes, CP_AVERAGE, false);
    if (cp_words_are(r, "fractional-max-pool")) return span_pool(net, r, x, axes, CP_MAX, true);
    if (cp_words_are(r, "dense")) return dense(net, r, x);
    if (cp_words_are(r, "dropout")) return dropout(net, r, x);
    if (cp_words_are(r, "flatten")) return cp_net_flatten(net, x);
    if (cp_words_are(r, "softmax")) return cp_net_softmax(net, x);
    if (cp_words_are(r, "batch-norm") || cp_words_are(r, "layer-norm") || cp_words_are(r, "group-norm") ||
        cp_words_are(r, "instance-norm"))
        return norm(net, r, x);
    if (cp_words_are(r, "lrn")) return lrn(net, r, x);
    if (cp_words_are(r, "prelu")) return cp_net_prelu(net, x);
    if (cp_named_net(r->word)) return named(net, r, x);
    if (activation_of(r->word, &activation)) return activated(net, r, x, activation);
    return cp_net_fail(
        net, cp_words_mistake(
                 r, "conv, conv-transpose, local-conv, deform-conv, pool, max-pool, avg-pool, lp-pool, "
                    "stochastic-pool, adaptive-max-pool, "
                    "adaptive-avg-pool, fractional-max-pool, max-unpool, pyramid-max-pool, pyramid-avg-pool, im2col, "
                    "col2im, depth-to-space, space-to-depth, pad, "
                    "resize, flatten, dense, dropout, softmax, batch-norm, layer-norm, group-norm, instance-norm, lrn, "
                    "prelu, {, lenet5, resnet8, vgg6" ACTIVATION_WORDS));
}

/* The layers of branches, which all begin at x; '{' comes next. */
static cp_node branches(cp_net *net, cp_words *r, cp_node x, int depth) {
    cp_node sum = 0;
    if (depth == MAX_DEPTH)
        return cp_net_fail(net, cp_fail(CP_E_LIMIT, "%s, position %lld: more than %d braces within each other",
                                        r->subject, (long long)r->position, MAX_DEPTH));
    do {
        r->next++;
        const cp_node y = layers(net, r, x, depth + 1);
        if (!y) return 0;
        if (sum && !cp_shape_same(cp_net_shape(net, sum), cp_net_shape(net, y))) {
            char first[CP_SHAPE_TEXT], other[CP_SHAPE_TEXT];
            return cp_net_fail(net, cp_fail(CP_E_SHAPE, "branches end as %s and %s, which cannot be added",
                                            cp_shape_text(cp_net_shape(net, sum), first),
                                            cp_shape_text(cp_net_shape(net, y), other)));
        }
        sum = sum ? cp_net_add(net, sum, y) : y;
    } while (sum && *r->next == '|');
    if (sum && *r->next != '}') return cp_net_fail(net, cp_words_mistake(r, "; or | or }"));
    if (sum) r->next++;
    return sum;
}

/* A layer that does not fit: the net's error says where it stands, unless it is a mistake that does so already. */
static void say_where(cp_net *net, const cp_words *r, int64_t position) {
    char told[sizeof net->text];
    const size_t length = strlen(r->subject);
    if (net->status == CP_E_MEMORY) return;
    if (!strncmp(net->text, r->subject, length) && !strncmp(net->text + length, ", position", 10)) return;
    snprintf(told, sizeof told, "%s, position %lld: %.400s", r->subject, (long long)position, net->text);
    memcpy(net->text, told, sizeof told);
}

static cp_node layers(cp_net *net, cp_words *r, cp_node x, int depth) {
    while (x) {
        cp_words_next(r);
        const int64_t position = r->position;
        const bool braces = !*r->word && *r->next == '{';
        if (!*r->word && !braces && *r->next != ';') return x; /* nothing between two ; is a mistake, at the end not */
        x = braces ? branches(net, r, x, depth) : layer(net, r, x);
        if (!x) say_where(net, r, position);
        if (x) cp_words_next(r);
        if (x && (*r->word || *r->next == '{'))
            x = cp_net_fail(net, cp_words_mistake(r, "the end of the layer (; or the end of the text)"));
        if (x && *r->next == ';') r->next++;
    }
    return 0;
}

cp_node cp_net_parse(cp_net *net, cp_node x, const char *text) {
    cp_words r = {.subject = "net", .text = text, .next = text};
    if (cp_net_check(net)) return 0;
    if (!text) return cp_net_fail(net, cp_fail(CP_E_ARG, "the text of the net is NULL"));
    if (!cp_net_value(net, x)) return cp_net_fail(net, cp_fail(CP_E_ARG, "net: its input is no value of this net"));
    x = layers(net, &r, x, 0);
    if (x && *r.next) x = cp_net_fail(net, cp_words_mistake(&r, "; or the end of the text"));
    return x;
}
