/* A convolution told in text: every window on the input, its products, their sum, and where it goes in the output. */
#include "ref/ref.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    COLUMNS = 100,    /* of a terminal */
    ROWS = 40,        /* of a picture of the input */
    WINDOWS = 256,    /* that are told, of all filters */
    PRODUCTS = 16384, /* in all the windows */
    GAP = 4,          /* between what stands side by side */
    LABEL = 17,       /* columns of "channel 1234567" and "+ bias -1.234e-38" */
    DIGITS = 4        /* of a number */
};

/* Two signs that take one column but several bytes: they stand on the page as one byte each. */
#define PADDING "\1"
#define ARROW "\2"

static int64_t max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* ---------------------------------------------------------------------------------------------------------------
 * The page: a rectangle of signs that is drawn in any order and then written line by line
 * ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    char *sign;
    int64_t rows, columns;
    cp_write write;
    void *user;
} page;

static void clear(page *p) {
    memset(p->sign, ' ', (size_t)(p->rows * p->columns));
}

static void draw(page *p, int64_t row, int64_t column, const char *text) {
    memcpy(p->sign + row * p->columns + column, text, strlen(text));
}

static void draw_right(page *p, int64_t row, int64_t column, int64_t width, const char *text) {
    draw(p, row, column + width - (int64_t)strlen(text), text);
}

static void print(page *p, const char *text) {
    p->write(p->user, text, strlen(text));
}

/* Writes the first rows, without the blanks at their ends, and clears the page. */
static void finish(page *p, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        const char *at = p->sign + r * p->columns, *end = at + p->columns;
        while (end > at && end[-1] == ' ') end--;
        while (at < end) {
            const char *plain = at;
            while (at < end && *at != *PADDING && *at != *ARROW) at++;
            if (at > plain) p->write(p->user, plain, (size_t)(at - plain));
            if (at < end) print(p, *at++ == *PADDING ? "·" : "→");
        }
        print(p, "\n");
    }
    clear(p);
}

/* ---------------------------------------------------------------------------------------------------------------
 * What there is to tell
 * ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    bool inside;
    double x, w;
} product;

typedef struct {
    const cp_conv *conv;
    const cp_tensor *x, *w, *b;
    cp_window window;
    const cp_axis *height, *width;            /* of the window */
    int64_t channels, filters, taps, outputs; /* channels of one group */
    int64_t heard;                            /* products so far */
    product *products;                        /* [output, filter, tap, channel], in the order of the reference */
    cp_tensor sum, y;                         /* before and after the activation */
    int64_t x_width, w_width, y_width;        /* columns of the widest number */
    int64_t product_width, result_width;      /* "2x0"; "= 1 → (0,0)" */
    int64_t picture_rows, picture_columns;    /* of one channel with its padding; 0 where it is too large to draw */
    int64_t window_rows, window_columns;      /* of one window with all that belongs to it */
    page page;
} story;

static const char *const activation_names[] = {"linear", "relu", "sigmoid", "tanh"};

/* Whole numbers in full, others rounded. */
static const char *number(double value, char text[32]) {
    return cp_real_text(value, value == rint(value) && fabs(value) < 1e6 ? 6 : DIGITS, text);
}

/* "2x0", or "·x0" for a tap in the padding */
static const char *product_text(const product *p, char text[72]) {
    char x[32], w[32];
    snprintf(text, 72, "%sx%s", p->inside ? number(p->x, x) : PADDING, number(p->w, w));
    return text;
}

/* "= 1 → (0,0)", with the activation between the sum and the output where there is one */
static const char *result_text(const story *s, int64_t o, int64_t k, char text[128]) {
    char sum[32], y[32], activated[48] = "";
    if (s->conv->activation)
        snprintf(activated, sizeof activated, ", %s %s", activation_names[s->conv->activation],
                 number(cp_get(&s->y, cp_at(&s->y, 0, o, k)), y));
    snprintf(text, 128, "= %s%s " ARROW " (%lld,%lld)", number(cp_get(&s->sum, cp_at(&s->sum, 0, o, k)), sum),
             activated, (long long)(o / s->width->out), (long long)(o % s->width->out));
    return text;
}

static int64_t widest(const cp_tensor *t) {
    char text[32];
    int64_t width = 1;
    for (int64_t e = 0; e < cp_shape_count(t->shape); e++)
        width = max(width, (int64_t)strlen(number(cp_get(t, cp_offset(t, 0, t->shape.rank, e)), text)));
    return width;
}

static int64_t channels_of_input(const story *s) {
    return s->x->shape.dim[3];
}

/* The input channel that is channel c of filter k's group. */
static int64_t input_channel(const story *s, int64_t k, int64_t c) {
    return k / (s->filters / cp_groups(s->conv)) * s->channels + c;
}

static void hear(void *user, int64_t n, int64_t o, int64_t k, int64_t t, int64_t c, int64_t i, double x, double w) {
    story *s = user;
    (void)n, (void)o, (void)k, (void)t, (void)c;
    s->products[s->heard++] = (product){i >= 0, x, w};
}

/* Runs the reference and listens. */
static void compute(story *s) {
    cp_ref_conv(&s->window, cp_groups(s->conv), false, s->x, s->w, s->b, &s->sum, &(cp_trace){hear, s});
    double alpha, beta;
    cp_usual_numbers(s->conv->activation, &alpha, &beta);
    cp_ref_activation(s->conv->activation, alpha, beta, &s->sum, &s->y);
}

/* Where things stand in the overview of a filter. */
typedef struct {
    bool input;                      /* whether it is drawn */
    int64_t kernel, output, columns; /* where they begin, and all of it */
    int64_t block, rows;             /* rows of one channel without its label, and all */
} overview;

static overview lay_out(const story *s, bool input) {
    overview v = {.input = input};
    v.kernel = max(input ? s->picture_columns : 0, LABEL) + 2 * GAP + 1;
    v.output = v.kernel + max(s->width->kernel * (s->w_width + 1), (int64_t)strlen("kernel")) + 2 * GAP;
    v.columns = v.output + max(s->width->out * (s->y_width + 1), (int64_t)strlen("output"));
    v.block = max(input ? s->picture_rows : 0, s->height->kernel);
    v.rows = (s->channels - 1) * (v.block + 1) + 1 + max(v.block, s->height->out);
    return v;
}

static overview overview_of(const story *s) {
    const overview v = lay_out(s, s->picture_rows > 0);
    return v.columns <= COLUMNS ? v : lay_out(s, false);
}

static void measure(story *s) {
    char text[128];
    s->w_width = widest(s->w);
    s->y_width = widest(&s->y);
    for (int64_t i = 0; i < s->heard; i++)
        s->product_width = max(s->product_width, (int64_t)strlen(product_text(&s->products[i], text)));
    for (int64_t o = 0; o < s->outputs; o++)
        for (int64_t k = 0; k < s->filters; k++)
            s->result_width = max(s->result_width, (int64_t)strlen(result_text(s, o, k, text)));

    const cp_axis *h = s->height, *w = s->width;
    const int64_t rows = h->before + h->in + h->after, columns = w->before + w->in + w->after;
    if (rows <= ROWS && columns <= COLUMNS) {
        s->x_width = widest(s->x);
        s->picture_rows = rows;
        s->picture_columns = columns * (s->x_width + 1) + 1;
    }
    if (s->picture_columns > COLUMNS) s->picture_rows = s->picture_columns = 0;

    const int64_t label = channels_of_input(s) > 1;
    s->window_rows = s->channels * (label + s->picture_rows + (s->picture_rows > 0) + h->kernel) + (s->b != NULL) + 1;
    s->window_columns = max(max(s->picture_columns, w->kernel * (s->product_width + 3)), max(s->result_width, LABEL));

    const overview v = overview_of(s);
    s->page.rows = max(s->window_rows, v.rows);
    s->page.columns = max(max(s->window_columns, COLUMNS), v.columns);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Drawing
 * ------------------------------------------------------------------------------------------------------------- */

/* Whether a position of the input lies under a tap of the window at o; o = -1 is no window. */
static bool is_tapped(const cp_axis *a, int64_t o, int64_t position) {
    const int64_t from_begin = position + a->before - o * a->stride;
    return o >= 0 && from_begin >= 0 && from_begin % a->dilation == 0 && from_begin / a->dilation < a->kernel;
}

/* One channel of the input with its padding around, and the window at o in brackets; o = -1: none. */
static void draw_input(story *s, int64_t row, int64_t column, int64_t channel, int64_t o) {
    const cp_axis *h = s->height, *w = s->width;
    const int64_t o_row = o < 0 ? -1 : o / w->out, o_column = o < 0 ? -1 : o % w->out;
    char text[32];
    for (int64_t i = -h->before; i < h->in + h->after; i++, row++) {
        const bool row_tapped = is_tapped(h, o_row, i);
        bool tapped = false;
        int64_t at = column;
        for (int64_t j = -w->before; j < w->in + w->after; j++, at += s->x_width + 1) {
            const bool inside = 0 <= i && i < h->in && 0 <= j && j < w->in, was_tapped = tapped;
            tapped = row_tapped && is_tapped(w, o_column, j);
            if (tapped != was_tapped) draw(&s->page, row, at, tapped ? "[" : "]");
            draw_right(&s->page, row, at + 1, s->x_width,
                       inside ? number(cp_get(s->x, cp_at(s->x, 0, i * w->in + j, channel)), text) : PADDING);
        }
        if (tapped) draw(&s->page, row, at, "]");
    }
}

/* The products of one channel, as the kernel lies: the first of a sum without a sign before it. */
static void draw_products(story *s, int64_t row, int64_t column, int64_t o, int64_t k, int64_t c) {
    char text[72];
    for (int64_t t = 0; t < s->taps; t++) {
        const int64_t at = column + t % s->width->kernel * (s->product_width + 3);
        if (c > 0 || t > 0) draw(&s->page, row + t / s->width->kernel, at, "+");
        draw_right(&s->page, row + t / s->width->kernel, at + 2, s->product_width,
                   product_text(&s->products[((o * s->filters + k) * s->taps + t) * s->channels + c], text));
    }
}

/* A window: for each channel the input and the products, then the bias and the sum. */
static void draw_window(story *s, int64_t column, int64_t o, int64_t k) {
    char text[128], value[32];
    int64_t row = 0;
    for (int64_t c = 0; c < s->channels; c++) {
        const int64_t channel = input_channel(s, k, c);
        if (channels_of_input(s) > 1) {
            snprintf(text, sizeof text, "channel %lld", (long long)channel);
            draw(&s->page, row++, column, text);
        }
        if (s->picture_rows) {
            draw_input(s, row, column, channel, o);
            row += s->picture_rows + 1;
        }
        draw_products(s, row, column, o, k, c);
        row += s->height->kernel;
    }
    if (s->b) {
        snprintf(text, sizeof text, "+ bias %s", number(cp_get(s->b, k * s->b->stride[0]), value));
        draw(&s->page, row++, column, text);
    }
    draw(&s->page, row, column, result_text(s, o, k, text));
}

/* All windows of a filter, side by side as the outputs lie, in as many columns as fit. */
static void tell_windows(story *s, int64_t k) {
    const int64_t step = s->window_columns + GAP, fit = max(1, (COLUMNS + GAP) / step);
    for (int64_t first = 0; first < s->outputs;) {
        const int64_t rest = s->width->out - first % s->width->out, count = rest < fit ? rest : fit;
        for (int64_t i = 0; i < count; i++) draw_window(s, i * step, first + i, k);
        finish(&s->page, s->window_rows);
        print(&s->page, "\n");
        first += count;
    }
}

/* Numbers side by side as they lie. */
static void draw_kernel(story *s, int64_t row, int64_t column, int64_t c, int64_t k) {
    char text[32];
    for (int64_t t = 0; t < s->taps; t++)
        draw_right(&s->page, row + t / s->width->kernel, column + t % s->width->kernel * (s->w_width + 1), s->w_width,
                   number(cp_get(s->w, cp_weight_at(s->w, t, c, k)), text));
}

static void draw_output(story *s, int64_t row, int64_t column, int64_t k) {
    char text[32];
    for (int64_t o = 0; o < s->outputs; o++)
        draw_right(&s->page, row + o / s->width->out, column + o % s->width->out * (s->y_width + 1), s->y_width,
                   number(cp_get(&s->y, cp_at(&s->y, 0, o, k)), text));
}

/* --- the overview of a filter: input * kernel = output, the channels below each other --- */

/* The row in which something of that height stands in the middle of a block; what is higher begins at its top. */
static int64_t centred(int64_t block, int64_t height) {
    return height < block ? (block - height) / 2 : 0;
}

static void tell_overview(story *s, int64_t k) {
    const overview v = overview_of(s);
    char text[64];
    for (int64_t c = 0, row = 0; c < s->channels; c++, row += v.block + 1) {
        const int64_t channel = input_channel(s, k, c), middle = row + 1 + (v.block - 1) / 2;
        const bool last = c + 1 == s->channels;
        snprintf(text, sizeof text, "channel %lld", (long long)channel);
        const char *label = !s->picture_rows           ? "input (too large)"
                            : !v.input                 ? "input (see below)"
                            : channels_of_input(s) > 1 ? text
                                                       : "input";
        draw(&s->page, row, 1, label);
        draw(&s->page, row, v.kernel, "kernel");
        if (v.input) draw_input(s, row + 1, 0, channel, -1);
        draw(&s->page, middle, v.kernel - GAP - 1, "*");
        draw_kernel(s, row + 1 + centred(v.block, s->height->kernel), v.kernel, c, k);
        draw(&s->page, middle, v.output - GAP - 1, last ? "=" : "+");
        if (!last) continue;
        draw(&s->page, row, v.output, "output");
        draw_output(s, row + 1 + centred(v.block, s->height->out), v.output, k);
    }
    finish(&s->page, v.rows);
    print(&s->page, "\n");
}

/* --- the first lines --- */

/* ", stride 2", or ", stride 2x1" where the axes differ; nothing where both are as usual */
static void print_axes(page *p, const char *name, int64_t height, int64_t width, int64_t usual) {
    char text[96];
    if (height == usual && width == usual) return;
    if (height == width)
        snprintf(text, sizeof text, ", %s %lld", name, (long long)height);
    else
        snprintf(text, sizeof text, ", %s %lldx%lld", name, (long long)height, (long long)width);
    print(p, text);
}

static void tell_title(story *s) {
    const cp_axis *h = s->height, *w = s->width;
    page *p = &s->page;
    char text[256], shape[CP_SHAPE_TEXT], output[CP_SHAPE_TEXT];
    snprintf(text, sizeof text, "Convolution: input %s, %lld filter%s of %lldx%lldx%lld",
             cp_shape_text(cp_shape_of(3, s->x->shape.dim + 1), shape), (long long)s->filters,
             s->filters == 1 ? "" : "s", (long long)h->kernel, (long long)w->kernel, (long long)s->channels);
    print(p, text);
    print_axes(p, "stride", h->stride, w->stride, 1);
    print_axes(p, "dilation", h->dilation, w->dilation, 1);
    const bool symmetric = h->before == h->after && w->before == w->after;
    print_axes(p, symmetric ? "padding" : "padding before", h->before, w->before, 0);
    if (!symmetric) print_axes(p, "padding after", h->after, w->after, 0);
    print_axes(p, "groups", cp_groups(s->conv), cp_groups(s->conv), 1);
    if (s->conv->activation) {
        print(p, ", ");
        print(p, activation_names[s->conv->activation]);
    }
    snprintf(text, sizeof text, ", output %s\n\n", cp_shape_text(cp_shape_of(3, s->y.shape.dim + 1), output));
    print(p, text);
}

static void tell(story *s) {
    char text[64];
    clear(&s->page);
    tell_title(s);
    for (int64_t k = 0; k < s->filters; k++) {
        snprintf(text, sizeof text, "Filter %lld\n\n", (long long)k);
        if (s->filters > 1) print(&s->page, text);
        tell_overview(s, k);
        if (k == 0)
            print(&s->page,
                  "Each window in brackets, its products, their sum, and its (row,column) in the output; · is "
                  "padding:\n\n");
        tell_windows(s, k);
    }
}

/* ---------------------------------------------------------------------------------------------------------------
 * What can be told
 * ------------------------------------------------------------------------------------------------------------- */

static cp_status check(const cp_tensor *x, const cp_tensor *w, const cp_tensor *b, cp_write write) {
    char text[CP_SHAPE_TEXT];
    if (!write) return cp_fail(CP_E_ARG, "write is NULL");
    cp_status status = cp_check_tensor(x, CP_F32, "input");
    if (!status) status = cp_check_tensor(w, CP_F32, "weights");
    if (!status && b) status = cp_check_tensor(b, CP_F32, "bias");
    if (status) return status;
    if (x->shape.rank != 4 || x->shape.dim[0] != 1)
        return cp_fail(CP_E_UNSUPPORTED, "only one picture is explained: the input must be 1xHxWxC, is %s",
                       cp_shape_text(x->shape, text));
    if (b && b->shape.rank != 1) return cp_fail(CP_E_SHAPE, "bias must have 1 dimension, has %d", b->shape.rank);
    return CP_OK;
}

static cp_status check_limits(const story *s, int64_t *products) {
    int64_t windows;
    if (!cp_mul(s->outputs, s->filters, &windows) || windows > WINDOWS)
        return cp_fail(CP_E_LIMIT, "%lld windows for each of %lld filters: at most %d windows in all are explained",
                       (long long)s->outputs, (long long)s->filters, WINDOWS);
    if (!cp_mul(windows, s->taps, products) || !cp_mul(*products, s->channels, products) || *products > PRODUCTS)
        return cp_fail(CP_E_LIMIT, "%lld windows of %lld taps in %lld channels: at most %d products are explained",
                       (long long)windows, (long long)s->taps, (long long)s->channels, PRODUCTS);
    return CP_OK;
}

cp_status cp_explain_conv(const cp_conv *conv, const cp_tensor *x, const cp_tensor *w, const cp_tensor *b,
                          cp_write write, void *user) {
    static const cp_conv defaults;
    story s = {.conv = conv ? conv : &defaults, .x = x, .w = w, .b = b, .page = {.write = write, .user = user}};
    cp_shape shape;
    int64_t products = 0;

    cp_status status = check(x, w, b, write);
    if (!status) status = cp_conv_window(&s.window, conv, x->shape, w->shape);
    if (!status) status = cp_conv_shape(&shape, conv, x->shape, w->shape);
    if (status) return status;
    s.height = &s.window.axis[1];
    s.width = &s.window.axis[2];
    s.channels = w->shape.dim[2];
    s.filters = w->shape.dim[3];
    s.taps = cp_window_taps(&s.window);
    s.outputs = cp_window_outputs(&s.window);
    if (b && b->shape.dim[0] != s.filters)
        return cp_fail(CP_E_SHAPE, "bias has %lld values, needs %lld", (long long)b->shape.dim[0],
                       (long long)s.filters);
    status = check_limits(&s, &products);
    if (status) return status;

    s.products = cp_alloc(NULL, products * (int64_t)sizeof *s.products);
    double *outputs = cp_alloc(NULL, 2 * s.outputs * s.filters * (int64_t)sizeof *outputs);
    if (s.products && outputs) {
        s.sum = cp_view(outputs, CP_F64, shape);
        s.y = cp_view(outputs + s.outputs * s.filters, CP_F64, shape);
        compute(&s);
        measure(&s);
        s.page.sign = cp_alloc(NULL, s.page.rows * s.page.columns);
    }
    if (s.page.sign)
        tell(&s);
    else
        status = CP_E_MEMORY;
    cp_free(NULL, s.page.sign);
    cp_free(NULL, outputs);
    cp_free(NULL, s.products);
    return status;
}
