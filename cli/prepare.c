/* Brings a picture to the form that a model takes: channels, light on dark, size. */
#include "cli.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void say(char said[PREPARED_TEXT], const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(char said[PREPARED_TEXT], const char *format, ...) {
    const size_t used = strlen(said);
    va_list list;
    va_start(list, format);
    vsnprintf(said + used, PREPARED_TEXT - used, format, list);
    va_end(list);
}

double border_brightness(const unsigned char *pixels, int64_t height, int64_t width, int channels) {
    double sum = 0;
    int64_t count = 0;
    for (int64_t y = 0; y < height; y++) {
        const bool edge = y == 0 || y == height - 1;
        for (int64_t x = 0; x < width; x += edge || width == 1 ? 1 : width - 1)
            for (int c = 0; c < channels; c++, count++) sum += pixels[(y * width + x) * channels + c];
    }
    return sum / (255.0 * (double)count);
}

/* RGB to grey with the weights of ITU-R BT.601, or grey to RGB, for one pixel. */
static void convert_pixel(const unsigned char *from, int channels, float *to, int wanted) {
    if (channels == wanted) {
        for (int c = 0; c < channels; c++) to[c] = from[c] / 255.0f;
    } else if (wanted == 1) {
        to[0] = (0.299f * from[0] + 0.587f * from[1] + 0.114f * from[2]) / 255.0f;
    } else {
        for (int c = 0; c < wanted; c++) to[c] = from[0] / 255.0f;
    }
}

/* n values to m: each result is the mean of what it covers where the line shrinks, and lies between its two neighbours
 * where it grows. */
static void resample(const float *from, int64_t n, int64_t from_step, float *to, int64_t m, int64_t to_step) {
    const double ratio = (double)n / (double)m;
    for (int64_t i = 0; i < m; i++) {
        double value = 0;
        if (n > m) {
            const double begin = (double)i * ratio, end = begin + ratio;
            const int64_t last = (int64_t)fmin(ceil(end), (double)n);
            for (int64_t j = (int64_t)begin; j < last; j++)
                value += from[j * from_step] * (fmin(end, (double)(j + 1)) - fmax(begin, (double)j));
            value /= ratio;
        } else {
            const double center = fmin(fmax(((double)i + 0.5) * ratio - 0.5, 0), (double)(n - 1));
            const int64_t left = (int64_t)center, right = left + 1 < n ? left + 1 : left;
            const double share = center - (double)left;
            value = (1 - share) * from[left * from_step] + share * from[right * from_step];
        }
        to[i * to_step] = (float)value;
    }
}

/* Scales the whole picture into the middle of height x width, the rest filled with the mean of its border. */
static void fit(const image *picture, int64_t height, int64_t width, int channels, float *values) {
    const double scale = fmin((double)width / (double)picture->width, (double)height / (double)picture->height);
    const int64_t inner_width = (int64_t)fmin(fmax(round((double)picture->width * scale), 1), (double)width);
    const int64_t inner_height = (int64_t)fmin(fmax(round((double)picture->height * scale), 1), (double)height);

    const float background =
        (float)border_brightness(picture->pixels, picture->height, picture->width, picture->channels);
    for (int64_t i = 0; i < height * width * channels; i++) values[i] = background;

    float *line = allocate((size_t)(picture->width * channels), sizeof *line);
    float *narrow = allocate((size_t)(picture->height * inner_width * channels), sizeof *narrow);
    for (int64_t y = 0; y < picture->height; y++) {
        for (int64_t x = 0; x < picture->width; x++)
            convert_pixel(picture->pixels + (y * picture->width + x) * picture->channels, picture->channels,
                          line + x * channels, channels);
        for (int c = 0; c < channels; c++)
            resample(line + c, picture->width, channels, narrow + y * inner_width * channels + c, inner_width,
                     channels);
    }
    float *corner = values + ((height - inner_height) / 2 * width + (width - inner_width) / 2) * channels;
    for (int64_t i = 0; i < inner_width * channels; i++)
        resample(narrow + i, picture->height, inner_width * channels, corner + i, inner_height, width * channels);
    free(narrow);
    free(line);
}

int image_prepare(const image *picture, const char *path, cp_shape shape, ink expected, float *values,
                  char said[PREPARED_TEXT]) {
    const int64_t height = shape.dim[1], width = shape.dim[2], channels = shape.dim[3];
    *said = 0;
    say(said, "%s, %lldx%lld", picture->source, (long long)picture->width, (long long)picture->height);
    if (channels != 1 && channels != 3)
        return fail(STATUS_INPUT, "%s: image has %d channels, model takes %lld", path, picture->channels,
                    (long long)channels);
    if (picture->channels != channels) say(said, ", made %s", channels == 1 ? "grey" : "RGB");
    fit(picture, height, width, (int)channels, values);
    if (picture->height != height || picture->width != width)
        say(said, ", scaled to %lldx%lld", (long long)width, (long long)height);
    const bool light = border_brightness(picture->pixels, picture->height, picture->width, picture->channels) > 0.5;
    if ((light && expected == INK_LIGHT_ON_DARK) || (!light && expected == INK_DARK_ON_LIGHT)) {
        for (int64_t i = 0; i < height * width * channels; i++) values[i] = 1 - values[i];
        say(said, ", inverted");
    }
    return STATUS_OK;
}
