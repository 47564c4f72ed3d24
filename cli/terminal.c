/* What a terminal can show: its width, small pictures, bars. */
#include "cli.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifdef CONVPOOL_CHAFA
#include <chafa.h>
#endif

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

#ifdef CONVPOOL_CHAFA
static void show_colours(FILE *file, const unsigned char *pixels, int height, int width, int channels) {
    gchar **environment = g_get_environ();
    ChafaTermInfo *terminal = chafa_term_db_detect(chafa_term_db_get_default(), environment);
    ChafaSymbolMap *symbols = chafa_symbol_map_new();
    ChafaCanvasConfig *config = chafa_canvas_config_new();
    chafa_symbol_map_add_by_tags(symbols, CHAFA_SYMBOL_TAG_VHALF | CHAFA_SYMBOL_TAG_SPACE | CHAFA_SYMBOL_TAG_SOLID);
    chafa_canvas_config_set_symbol_map(config, symbols);
    chafa_canvas_config_set_canvas_mode(config, CHAFA_CANVAS_MODE_TRUECOLOR);
    chafa_canvas_config_set_geometry(config, width, (height + 1) / 2);
    ChafaCanvas *canvas = chafa_canvas_new(config);
    unsigned char *rgb = allocate((size_t)width * (size_t)height, 3);
    for (int64_t i = 0; i < (int64_t)width * height; i++)
        for (int c = 0; c < 3; c++) rgb[3 * i + c] = pixels[i * channels + (channels == 3 ? c : 0)];
    chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGB8, rgb, width, height, 3 * width);
    GString *text = chafa_canvas_print(canvas, terminal);
    fprintf(file, "%s\n", text->str);
    g_string_free(text, TRUE);
    free(rgb);
    chafa_canvas_unref(canvas);
    chafa_canvas_config_unref(config);
    chafa_symbol_map_unref(symbols);
    chafa_term_info_unref(terminal);
    g_strfreev(environment);
}
#else
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
#endif

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
