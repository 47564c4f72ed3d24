/* Nets as text: "conv 32 5x5 same relu; pool 2; flatten; dense 1024 relu; dropout 0.4; dense 10". */
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

/* A text being read; word is the one at hand, position where it begins (from 1). */
typedef struct reader {
    const char *text, *next;
    char word[64];
    int64_t position;
} reader;

static bool at_separator(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next word of this layer; "" at its end. */
static void advance(reader *r) {
    while (at_separator(*r->next)) r->next++;
    r->position = r->next - r->text + 1;
    size_t n = 0;
    while (*r->next && *r->next != ';' && !at_separator(*r->next)) {
        if (n + 1 < sizeof r->word) r->word[n++] = *r->next;
        r->next++;
    }
    r->word[n] = 0;
}

static bool is(const reader *r, const char *word) {
    return !strcmp(r->word, word);
}

static cp_status mistake(const reader *r, const char *expected) {
    char word[400];
    return *r->word ? cp_fail(CP_E_ARG, "net, position %lld: '%s' is not possible here; possible: %s",
                              (long long)r->position, cp_escape(r->word, strlen(r->word), word), expected)
                    : cp_fail(CP_E_ARG, "net, position %lld: something is missing; possible: %s",
                              (long long)r->position, expected);
}

/* A whole number; false where the text does not begin with one, or it is over 2^40. */
static bool read_number(const char **text, int64_t *number) {
    const char *t = *text;
    int64_t n = 0;
    if (*t < '0' || *t > '9') return false;
    while (*t >= '0' && *t <= '9' && n <= (int64_t)1 << 40) n = n * 10 + (*t++ - '0');
    *number = n;
    *text = t;
    return n <= (int64_t)1 << 40;
}

/* "3" or "3x1": one number for each axis, or one for all; the word must be nothing else. Returns false for another
 * word. */
static bool read_axes(const char *word, int axes, int64_t *values) {
    int n = 0;
    for (;; word++) {
        if (n == axes || !read_number(&word, &values[n])) return false;
        n++;
        if (*word != 'x') break;
    }
    if (*word || (n != 1 && n != axes)) return false;
    for (int a = n; a < axes; a++) values[a] = values[0];
    return true;
}

static cp_status take_axes(reader *r, const char *what, int axes, int64_t *values) {
    char expected[120];
    snprintf(expected, sizeof expected, "%s, as 2%s", what, axes == 1 ? "" : axes == 2 ? " or 2x1" : " or 2x1x1");
    advance(r);
    if (!read_axes(r->word, axes, values)) return mistake(r, expected);
    for (int a = 0; a < axes; a++)
        if (values[a] < 1) return mistake(r, expected);
    return CP_OK;
}

/* "1", or all begins then all ends: "1,1,2,2". */
static cp_status take_padding(reader *r, int axes, int64_t *before, int64_t *after) {
    const char *expected = "a padding, as 1, or all begins then all ends, as 1,1,2,2";
    int64_t values[2 * CP_MAX_AXES];
    int n = 0;
    advance(r);
    const char *t = r->word;
    for (;; t++) {
        if (n == 2 * axes || !read_number(&t, &values[n])) return mistake(r, expected);
        n++;
        if (*t != ',') break;
    }
    if (*t || (n != 1 && n != 2 * axes)) return mistake(r, expected);
    for (int a = 0; a < axes; a++) {
        before[a] = values[n == 1 ? 0 : a];
        after[a] = values[n == 1 ? 0 : axes + a];
    }
    return CP_OK;
}

/* What conv and pool have in common, in any order; *taken tells whether the word was one of them. */
typedef struct window_words {
    int64_t *stride, *dilation, *before, *after;
    cp_pad *pad;
} window_words;

#define WINDOW_WORDS "same, same_lower, valid, causal, full, pad P, stride S, dilation D"

static cp_status take_window_word(reader *r, int axes, window_words w, bool *taken) {
    *taken = true;
    if (is(r, "same"))
        *w.pad = CP_PAD_SAME;
    else if (is(r, "same_lower"))
        *w.pad = CP_PAD_SAME_LOWER;
    else if (is(r, "causal"))
        *w.pad = CP_PAD_CAUSAL;
    else if (is(r, "full"))
        *w.pad = CP_PAD_FULL;
    else if (is(r, "valid"))
        *w.pad = CP_PAD_VALID;
    else if (is(r, "pad"))
        return take_padding(r, axes, w.before, w.after);
    else if (is(r, "stride"))
        return take_axes(r, "a stride", axes, w.stride);
    else if (is(r, "dilation"))
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

static cp_status take_count(reader *r, const char *what, int64_t *count) {
    advance(r);
    const char *t = r->word;
    if (!read_number(&t, count) || *t || *count < 1) return mistake(r, what);
    return CP_OK;
}

static cp_node conv(cp_net *net, reader *r, cp_node x, int axes, bool transposed) {
    cp_conv conv = {0};
    int64_t filters = 0;
    cp_status status = take_count(r, "the number of filters, as 32", &filters);
    if (!status) status = take_axes(r, "the kernel's size", axes, conv.kernel);
    const char *expected = transposed ? WINDOW_WORDS ", output_padding P, output_size S, groups G" ACTIVATION_WORDS
                                      : WINDOW_WORDS ", groups G" ACTIVATION_WORDS;
    window_words words = {conv.stride, conv.dilation, conv.pad_before, conv.pad_after, &conv.pad};
    while (!status) {
        bool taken;
        advance(r);
        if (!*r->word)
            return transposed ? cp_net_conv_transpose(net, x, filters, &conv) : cp_net_conv(net, x, filters, &conv);
        status = take_window_word(r, axes, words, &taken);
        if (status || taken) continue;
        if (is(r, "groups"))
            status = take_count(r, "the number of groups", &conv.groups);
        else if (transposed && is(r, "output_padding"))
            status = take_axes(r, "an output padding", axes, conv.output_padding);
        else if (transposed && is(r, "output_size"))
            status = take_axes(r, "the output's size", axes, conv.output_size);
        else if (!activation_of(r->word, &conv.activation))
            status = mistake(r, expected);
    }
    return cp_net_fail(net, status);
}

static cp_node pool(cp_net *net, reader *r, cp_node x, int axes, cp_pooling kind) {
    cp_pool pool = {.kind = kind};
    cp_status status = CP_OK;
    advance(r);
    if (is(r, "global"))
        pool.global = true;
    else if (!read_axes(r->word, axes, pool.kernel))
        status = mistake(r, "the window's size, as 2 or 3x2, or global");
    window_words words = {pool.stride, pool.dilation, pool.pad_before, pool.pad_after, &pool.pad};
    while (!status) {
        bool taken;
        advance(r);
        if (!*r->word) return cp_net_pool(net, x, &pool);
        status = take_window_word(r, axes, words, &taken);
        if (status || taken) continue;
        if (is(r, "ceil"))
            pool.ceil_mode = true;
        else if (is(r, "count_include_pad"))
            pool.count_include_pad = true;
        else
            status = mistake(r, WINDOW_WORDS ", ceil, count_include_pad");
    }
    return cp_net_fail(net, status);
}

static cp_node im2col(cp_net *net, reader *r, cp_node x, int axes) {
    cp_conv conv = {0};
    const window_words words = {conv.stride, conv.dilation, conv.pad_before, conv.pad_after, &conv.pad};
    cp_status status = take_axes(r, "the kernel's size", axes, conv.kernel);
    while (!status) {
        bool taken;
        advance(r);
        if (!*r->word) return cp_net_im2col(net, x, &conv);
        status = take_window_word(r, axes, words, &taken);
        if (!status && !taken) status = mistake(r, WINDOW_WORDS);
    }
    return cp_net_fail(net, status);
}

/* The kernel tells how many axes there are. */
static cp_node col2im(cp_net *net, reader *r, cp_node y) {
    cp_conv conv = {0};
    int64_t size[CP_MAX_AXES] = {0};
    int axes = 1;
    const window_words words = {conv.stride, conv.dilation, conv.pad_before, conv.pad_after, &conv.pad};
    advance(r);
    for (const char *t = r->word; *t; t++) axes += *t == 'x';
    if (axes > CP_MAX_AXES || !read_axes(r->word, axes, conv.kernel))
        return cp_net_fail(net, mistake(r, "the kernel's size along each axis, as 3x3"));
    cp_status status = CP_OK;
    while (!status) {
        bool taken;
        advance(r);
        if (!*r->word) return cp_net_col2im(net, y, &conv, size);
        status = take_window_word(r, axes, words, &taken);
        if (status || taken) continue;
        status = is(r, "size") ? take_axes(r, "the result's size", axes, size) : mistake(r, "size S, " WINDOW_WORDS);
    }
    return cp_net_fail(net, status);
}

static cp_node dense(cp_net *net, reader *r, cp_node x) {
    int64_t units;
    cp_activation activation = CP_LINEAR;
    cp_status status = take_count(r, "the number of units, as 10", &units);
    if (status) return cp_net_fail(net, status);
    advance(r);
    if (*r->word && !activation_of(r->word, &activation))
        return cp_net_fail(net, mistake(r, "the end of the layer" ACTIVATION_WORDS));
    return cp_net_dense(net, x, units, activation);
}

/* "0.4", "-1", "1e-05": a number of at most 15 digits; the word must be nothing else. */
static bool read_real(const char *word, double *number) {
    const bool negative = *word == '-';
    double digits = 0;
    int64_t exponent = 0;
    int places = 0, count = 0;
    bool point = false;
    for (word += negative; (*word >= '0' && *word <= '9') || (*word == '.' && !point); word++) {
        point |= *word == '.';
        if (*word == '.') continue;
        digits = digits * 10 + (*word - '0');
        places += point;
        count++;
    }
    if (count == 0 || count > 15) return false;
    if (*word == 'e') {
        word++;
        const bool small = *word == '-';
        word += *word == '-' || *word == '+';
        if (!read_number(&word, &exponent) || exponent > 60) return false;
        if (small) exponent = -exponent;
    }
    if (*word) return false;
    for (exponent -= places; exponent < 0; exponent++) digits /= 10;
    for (; exponent > 0; exponent--) digits *= 10;
    *number = negative ? -digits : digits;
    return true;
}

static cp_node dropout(cp_net *net, reader *r, cp_node x) {
    double rate;
    advance(r);
    if (!read_real(r->word, &rate)) return cp_net_fail(net, mistake(r, "the share that is dropped, as 0.4"));
    return cp_net_dropout(net, x, (float)rate);
}

/* Behind it up to two numbers, alpha and beta. */
static cp_node activated(cp_net *net, reader *r, cp_node x, cp_activation activation) {
    double numbers[2] = {0};
    for (int i = 0; i < 2; i++) {
        advance(r);
        if (!*r->word) break;
        if (!read_real(r->word, &numbers[i])) return cp_net_fail(net, mistake(r, "a number, or the end of the layer"));
    }
    return cp_net_activation_with(net, x, activation, (float)numbers[0], (float)numbers[1]);
}

/* One layer; its first word is at hand. */
static cp_node layer(cp_net *net, reader *r, cp_node x) {
    int axes = cp_net_shape(net, x).rank - 2;
    cp_activation activation;
    bool windowed = is(r, "conv") || is(r, "conv-transpose") || is(r, "pool") || is(r, "max-pool") || is(r, "avg-pool") ||
                    is(r, "im2col");
    if (windowed && (axes < 1 || axes > CP_MAX_AXES))
        return cp_net_fail(net, cp_fail(CP_E_SHAPE,
                                        "net, position %lld: '%s' needs spatial axes, and there are none left here",
                                        (long long)r->position, r->word));
    if (is(r, "conv")) return conv(net, r, x, axes, false);
    if (is(r, "conv-transpose")) return conv(net, r, x, axes, true);
    if (is(r, "pool") || is(r, "max-pool")) return pool(net, r, x, axes, CP_MAX);
    if (is(r, "avg-pool")) return pool(net, r, x, axes, CP_AVERAGE);
    if (is(r, "im2col")) return im2col(net, r, x, axes);
    if (is(r, "col2im")) return col2im(net, r, x);
    if (is(r, "dense")) return dense(net, r, x);
    if (is(r, "dropout")) return dropout(net, r, x);
    if (is(r, "flatten")) return cp_net_flatten(net, x);
    if (is(r, "softmax")) return cp_net_softmax(net, x);
    if (activation_of(r->word, &activation)) return activated(net, r, x, activation);
    return cp_net_fail(
        net,
        mistake(r,
                "conv, conv-transpose, pool, max-pool, avg-pool, im2col, col2im, flatten, dense, dropout, softmax" ACTIVATION_WORDS));
}

cp_node cp_net_parse(cp_net *net, cp_node x, const char *text) {
    reader r = {.text = text, .next = text};
    if (cp_net_check(net)) return 0;
    if (!text) return cp_net_fail(net, cp_fail(CP_E_ARG, "the text of the net is NULL"));
    if (!cp_net_value(net, x)) return cp_net_fail(net, cp_fail(CP_E_ARG, "net: its input is no value of this net"));
    while (x) {
        advance(&r);
        int64_t begin = r.position;
        if (*r.word || *r.next)
            x = layer(net, &r, x); /* an empty layer between two ; is a mistake, at the end it is not */
        else
            return x;
        if (!x && net->status != CP_E_MEMORY && strncmp(net->text, "net, position", 13)) {
            char told[sizeof net->text]; /* a layer that does not fit: say where it stands */
            snprintf(told, sizeof told, "net, position %lld: %.400s", (long long)begin, net->text);
            memcpy(net->text, told, sizeof told);
        }
        if (x) advance(&r);
        if (x && *r.word) x = cp_net_fail(net, mistake(&r, "the end of the layer (; or the end of the text)"));
        if (x && *r.next == ';') r.next++;
    }
    return 0;
}
