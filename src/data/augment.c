/* Pictures changed at random while a net is trained with them: moved, turned, scaled, bent, mirrored, with a part gone.
 *
 * All that moves pixels is one map from places of the result to places of the picture, so that a picture is sampled
 * once. Every random number is a function of the seed, the epoch and the picture's number. */
#include "data/data.h"

#include <math.h>
#include <string.h>

#define AUGMENT_STREAM 0x61756774u /* apart from the streams of everything else that has a seed */

/* Which of a picture's random numbers is for what: none depends on what else is asked for. */
enum {
    SHIFT_NUMBER = 0,
    CROP_NUMBER = 2,
    ROTATE_NUMBER = 4,
    SCALE_NUMBER,
    FLIP_NUMBER,
    ERASE_NUMBER,
    ELASTIC_NUMBER = 64 /* normal numbers begin a block */
};

enum { MAX_CELLS = 16, MAX_POINTS = MAX_CELLS + 3 };

struct cp_augment {
    double shift, crop;       /* pixels; crop: a whole number of them */
    double rotate;            /* degrees */
    double smallest, largest; /* scale */
    double elastic, cells;    /* pixels; cells along each side */
    double erase;             /* largest part of the area */
    bool flip;
};

/* --- the text --- */

/* Numbers between ':' that make up the next word, each from low to high; the last ones may be missing and keep their
 * values where `optional` says so. */
static cp_status take_numbers(cp_words *words, const char *what, double low, double high, double **numbers, int n,
                              bool optional) {
    cp_words_next(words);
    const char *t = words->word;
    if (!*t && optional) return CP_OK;
    for (int i = 0; i < n; i++) {
        if (!cp_read_real(&t, numbers[i]) || *numbers[i] < low || *numbers[i] > high)
            return cp_words_mistake(words, what);
        if (!*t && (i + 1 == n || optional)) return CP_OK;
        if (*t++ != ':') break;
    }
    return cp_words_mistake(words, what);
}

static cp_status take_number(cp_words *words, const char *what, double low, double high, double *number,
                             bool optional) {
    return take_numbers(words, what, low, high, &number, 1, optional);
}

static cp_status take_crop(cp_words *words, cp_augment *a) {
    const char *what = "whole pixels around the picture, 1 to 1000, as 4";
    a->crop = 4;
    const cp_status status = take_number(words, what, 1, 1000, &a->crop, true);
    return !status && a->crop != floor(a->crop) ? cp_words_mistake(words, what) : status;
}

static cp_status take_scale(cp_words *words, cp_augment *a) {
    const char *what = "least and greatest scale, each 0.1 to 10, as 0.9:1.1";
    const cp_status status = take_numbers(words, what, 0.1, 10, (double *[]){&a->smallest, &a->largest}, 2, false);
    return !status && a->smallest > a->largest ? cp_words_mistake(words, what) : status;
}

static cp_status take_elastic(cp_words *words, cp_augment *a) {
    const char *what = "pixels, 0.1 to 100, and cells along a side, 1 to 16, as 1:4";
    a->elastic = 1;
    a->cells = 4;
    const cp_status status = take_numbers(words, what, 0.1, 100, (double *[]){&a->elastic, &a->cells}, 2, true);
    const bool whole = a->cells >= 1 && a->cells <= MAX_CELLS && a->cells == floor(a->cells);
    return !status && !whole ? cp_words_mistake(words, what) : status;
}

/* One part; its first word is at hand. */
static cp_status take_part(cp_words *words, cp_augment *a) {
    if (cp_words_are(words, "shift"))
        return take_number(words, "greatest way in pixels, 0.1 to 1000, as 2", 0.1, 1000, &a->shift, false);
    if (cp_words_are(words, "rotate"))
        return take_number(words, "greatest angle in degrees, 0.1 to 180, as 10", 0.1, 180, &a->rotate, false);
    if (cp_words_are(words, "scale")) return take_scale(words, a);
    if (cp_words_are(words, "elastic")) return take_elastic(words, a);
    if (cp_words_are(words, "crop")) return take_crop(words, a);
    if (cp_words_are(words, "flip")) {
        a->flip = true;
        return CP_OK;
    }
    if (cp_words_are(words, "erase")) {
        a->erase = 0.25;
        return take_number(words, "greatest part of the area, 0.02 to 1, as 0.25", 0.02, 1, &a->erase, true);
    }
    return cp_words_mistake(words,
                            "shift PIXELS, rotate DEGREES, scale LEAST:GREATEST, elastic [PIXELS[:CELLS]], flip, "
                            "erase [PART], crop [PIXELS]");
}

static cp_status parse(cp_augment *a, const char *text) {
    cp_words words = {.subject = "augment", .text = text, .next = text};
    cp_words_next(&words);
    do {
        cp_status status = take_part(&words, a);
        if (!status && *words.word) cp_words_next(&words);
        if (!status && (*words.word || (*words.next && *words.next != ';')))
            status = cp_words_mistake(&words, "; or the end of the text");
        if (status) return status;
        words.next += *words.next == ';';
        cp_words_next(&words);
    } while (*words.word || *words.next); /* a ; may be the last of the text */
    return CP_OK;
}

cp_status cp_augment_new(cp_augment **augment, const char *text) {
    if (!augment) return cp_fail(CP_E_ARG, "augment is NULL");
    *augment = NULL;
    if (!text) return cp_fail(CP_E_ARG, "the text of the augmentation is NULL");
    cp_augment made = {.smallest = 1, .largest = 1};
    cp_status status = parse(&made, text);
    if (status) return status;
    *augment = cp_alloc(NULL, sizeof **augment);
    if (!*augment) return CP_E_MEMORY;
    **augment = made;
    return CP_OK;
}

void cp_augment_free(cp_augment *augment) {
    cp_free(NULL, augment);
}

/* --- where a pixel comes from --- */

/* Of the result's pixel (x, y) that is (x0 + xx*x + xy*y, y0 + yx*x + yy*y) in the picture, and the bend. */
typedef struct map {
    float x0, xx, xy, y0, yx, yy;
    int cells; /* 0: no bend */
    float bend[MAX_POINTS][MAX_POINTS][2];
} map;

/* Uniform from -most to most. */
static double between(const cp_random_key *key, int number, double most) {
    return most * (2 * (double)cp_random_uniform(key, (uint64_t)number) - 1);
}

/* Whole pixels, all as likely. */
static double whole_between(const cp_random_key *key, int number, double most) {
    return floor((double)cp_random_uniform(key, (uint64_t)number) * (2 * most + 1)) - most;
}

/* Displacements of a coarse grid; between its points a cubic B-spline, which takes from the mean square of independent
 * numbers a factor of 151/315 along each axis. */
static void draw_bend(const cp_augment *a, const cp_random_key *key, map *m) {
    m->cells = (int)a->cells;
    const int points = m->cells + 3;
    for (int i = 0; i < points; i++)
        for (int j = 0; j < points; j++)
            for (int axis = 0; axis < 2; axis++) {
                const int number = ELASTIC_NUMBER + (i * points + j) * 2 + axis;
                m->bend[i][j][axis] = (float)(a->elastic * 315.0 / 151.0) * cp_random_normal(key, (uint64_t)number);
            }
}

/* The inverse of: mirror, turn and scale about the middle, move. */
static void draw_map(const cp_augment *a, const cp_random_key *key, int64_t height, int64_t width, map *m) {
    const double angle = between(key, ROTATE_NUMBER, a->rotate) * 3.14159265358979323846 / 180;
    const double scale =
        a->smallest + (a->largest - a->smallest) * (double)cp_random_uniform(key, (uint64_t)SCALE_NUMBER);
    const double cosine = cos(angle) / scale, sine = sin(angle) / scale;
    const double middle_x = (double)(width - 1) / 2, middle_y = (double)(height - 1) / 2;
    const double x = middle_x + between(key, SHIFT_NUMBER, a->shift) + whole_between(key, CROP_NUMBER, a->crop);
    const double y = middle_y + between(key, SHIFT_NUMBER + 1, a->shift) + whole_between(key, CROP_NUMBER + 1, a->crop);
    const double mirror = a->flip && cp_random_uniform(key, FLIP_NUMBER) < 0.5f ? -1 : 1;
    m->xx = (float)(mirror * cosine);
    m->xy = (float)(mirror * sine);
    m->x0 = (float)(middle_x - mirror * (cosine * x + sine * y));
    m->yx = (float)-sine;
    m->yy = (float)cosine;
    m->y0 = (float)(middle_y + sine * x - cosine * y);
    m->cells = 0;
    if (a->elastic > 0) draw_bend(a, key, m);
}

/* The weights of the four points about a place between 0 and `cells`; returns the first of them. */
static int spline(float place, int cells, float weight[4]) {
    int first = (int)place;
    if (first > cells - 1) first = cells - 1;
    const float t = place - (float)first, u = 1 - t;
    weight[0] = u * u * u / 6;
    weight[1] = (3 * t * t * t - 6 * t * t + 4) / 6;
    weight[2] = (3 * u * u * u - 6 * u * u + 4) / 6;
    weight[3] = t * t * t / 6;
    return first;
}

/* The bend of a row of the result: its control points. place: 0 to cells. */
static void bend_row(const map *m, float place, float row[MAX_POINTS][2]) {
    float weight[4];
    const int first = spline(place, m->cells, weight);
    for (int j = 0; j < m->cells + 3; j++)
        for (int axis = 0; axis < 2; axis++) {
            row[j][axis] = 0;
            for (int k = 0; k < 4; k++) row[j][axis] += weight[k] * m->bend[first + k][j][axis];
        }
}

static void bend_place(const map *m, float row[MAX_POINTS][2], float place, float *x, float *y) {
    float weight[4];
    const int first = spline(place, m->cells, weight);
    for (int k = 0; k < 4; k++) {
        *x += weight[k] * row[first + k][0];
        *y += weight[k] * row[first + k][1];
    }
}

/* --- pixels --- */

typedef struct source {
    const uint8_t *pixels;
    int64_t height, width, channels;
} source;

static float pixel(const source *from, int64_t y, int64_t x, int64_t c) {
    if (y < 0 || y >= from->height || x < 0 || x >= from->width) return 0;
    return (float)from->pixels[(y * from->width + x) * from->channels + c];
}

/* Between its four neighbours, outside of the picture 0. */
static void sample(const source *from, float y, float x, float *to) {
    if (!(y > -1 && y < (float)from->height && x > -1 && x < (float)from->width)) {
        memset(to, 0, (size_t)from->channels * sizeof *to);
        return;
    }
    const int64_t top = (int64_t)y - (y < 0), left = (int64_t)x - (x < 0); /* rounded down, as both are above -1 */
    const float down = y - (float)top, right = x - (float)left;
    for (int64_t c = 0; c < from->channels; c++) {
        const float above = (1 - right) * pixel(from, top, left, c) + right * pixel(from, top, left + 1, c);
        const float below = (1 - right) * pixel(from, top + 1, left, c) + right * pixel(from, top + 1, left + 1, c);
        to[c] = ((1 - down) * above + down * below) / 255.0f;
    }
}

static void resample(const map *m, const source *from, float *to) {
    const float cells = (float)m->cells;
    const float per_row = cells / (float)(from->height > 1 ? from->height - 1 : 1);
    const float per_column = cells / (float)(from->width > 1 ? from->width - 1 : 1);
    float row[MAX_POINTS][2];
    for (int64_t i = 0; i < from->height; i++) {
        if (m->cells) bend_row(m, (float)i * per_row, row);
        for (int64_t j = 0; j < from->width; j++, to += from->channels) {
            float x = m->x0 + m->xx * (float)j + m->xy * (float)i, y = m->y0 + m->yx * (float)j + m->yy * (float)i;
            if (m->cells) bend_place(m, row, (float)j * per_column, &x, &y);
            sample(from, y, x, to);
        }
    }
}

/* Makes a rectangle background, in every second picture: 0.02 to `erase` of the area, its sides 0.3 to 1/0.3. */
static void erase(const cp_augment *a, const cp_random_key *key, int64_t height, int64_t width, int64_t channels,
                  float *to) {
    double number[5];
    for (int i = 0; i < 5; i++) number[i] = (double)cp_random_uniform(key, (uint64_t)(ERASE_NUMBER + i));
    if (number[0] < 0.5) return;
    const double area = (0.02 + (a->erase - 0.02) * number[1]) * (double)(height * width);
    const double ratio = exp((2 * number[2] - 1) * 1.2039728043259361); /* log(1/0.3) */
    const int64_t rows = (int64_t)fmin(round(sqrt(area * ratio)), (double)height);
    const int64_t columns = (int64_t)fmin(round(sqrt(area / ratio)), (double)width);
    const int64_t top = (int64_t)(number[3] * (double)(height - rows + 1));
    const int64_t left = (int64_t)(number[4] * (double)(width - columns + 1));
    for (int64_t y = top; y < top + rows; y++)
        memset(to + (y * width + left) * channels, 0, (size_t)(columns * channels) * sizeof *to);
}

static void augment(const cp_augment *a, const cp_data *data, int64_t i, uint64_t seed, int64_t epoch, float *to) {
    const int64_t *dim = data->shape.dim;
    const cp_random_key key = {.seed = seed, .stream = AUGMENT_STREAM, .step = (uint64_t)epoch << 32 ^ (uint64_t)i};
    map m;
    draw_map(a, &key, dim[1], dim[2], &m);
    resample(&m, &(source){cp_data_image(data, i), dim[1], dim[2], dim[3]}, to);
    if (a->erase > 0) erase(a, &key, dim[1], dim[2], dim[3], to);
}

/* --- batches --- */

typedef struct batch {
    const cp_augment *augment;
    const cp_data *data;
    const int64_t *order;
    int64_t n;
    uint64_t seed;
    int64_t epoch;
    float *images;
} batch;

static void augment_share(void *argument, int id, int n) {
    const batch *b = argument;
    const int64_t *dim = b->data->shape.dim, floats = dim[1] * dim[2] * dim[3];
    for (int64_t i = b->n * id / n; i < b->n * (id + 1) / n; i++)
        augment(b->augment, b->data, b->order[i], b->seed, b->epoch, b->images + i * floats);
}

void cp_augment_batch(const cp_augment *a, cp_threads *threads, const cp_data *data, const int64_t *order, int64_t n,
                      uint64_t seed, int64_t epoch, float *images, int32_t *labels) {
    batch b = {a, data, order, n, seed, epoch, images};
    cp_threads_run(threads, augment_share, &b);
    for (int64_t i = 0; i < n; i++) labels[i] = data->labels[order[i]];
}

cp_status cp_augment_picture(const cp_augment *a, const cp_data *data, int64_t i, uint64_t seed, int64_t epoch,
                             float *image) {
    if (!a || !data || !image) return cp_fail(CP_E_ARG, "%s is NULL", !a ? "augment" : !data ? "data" : "image");
    if (i < 0 || i >= cp_data_count(data))
        return cp_fail(CP_E_ARG, "picture %lld: must be 0 to %lld", (long long)i, (long long)cp_data_count(data) - 1);
    if (epoch < 0) return cp_fail(CP_E_ARG, "epoch = %lld: must be at least 0", (long long)epoch);
    augment(a, data, i, seed, epoch, image);
    return CP_OK;
}
