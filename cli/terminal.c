/* What a terminal can show: its width, small pictures, bars. */
#include "cli.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool is_terminal(FILE *file) {
    return isatty(fileno(file));
}

int terminal_columns(FILE *file) {
    struct winsize size;
    return !ioctl(fileno(file), TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

static bool speaks_utf8(void) {
    setlocale(LC_CTYPE, "");
    return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static int grey_at(const unsigned char *pixels, int64_t i, int channels) {
    int sum = 0;
    for (int c = 0; c < channels; c++) sum += pixels[i * channels + c];
    return sum / channels;
}

/* Two characters for each pixel, so that it is about square. */
static void show_shades(FILE *file, const unsigned char *pixels, int height, int width, int channels) {
    static const char shades[] = " .:-=+*#%@";
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const char shade = shades[grey_at(pixels, (int64_t)y * width + x, channels) * 9 / 255];
            fprintf(file, "%c%c", shade, shade);
        }
        fputc('\n', file);
    }
}

/* Upper half blocks: each character is two pixels, in the foreground and the background colour. */
static void show_colours(FILE *file, const unsigned char *pixels, int height, int width, int channels) {
    for (int y = 0; y < height; y += 2) {
        for (int x = 0; x < width; x++) {
            for (int half = 0; half < 2; half++) {
                const int row = y + half < height ? y + half : y;
                const unsigned char *pixel = pixels + ((int64_t)row * width + x) * channels;
                const int last = channels - 1;
                fprintf(file, "\x1b[%d;2;%d;%d;%dm", half ? 48 : 38, pixel[0], pixel[last / 2], pixel[last]);
            }
            fputs("\u2580", file);
        }
        fputs("\x1b[0m\n", file);
    }
}

void show_picture(FILE *file, const unsigned char *pixels, int height, int width, int channels) {
    if (is_terminal(file) && speaks_utf8()) {
        show_colours(file, pixels, height, width, channels);
    } else {
        show_shades(file, pixels, height, width, channels);
    }
}

void show_bar(FILE *file, double share, int columns) {
    const int full = share >= 0 && share <= 1 ? (int)(share * columns + 0.5) : 0;
    for (int i = 0; i < columns; i++) fputc(i < full ? '#' : '.', file);
}
