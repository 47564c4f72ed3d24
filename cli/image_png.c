/* PNG files through libpng: every kind to 8 bit grey or RGB, transparency composed on white. */
#include "cli.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef struct decoder {
    const char *path;
    const unsigned char *bytes;
    size_t length, position;
    image *picture;
    png_structp png;
    png_infop info;
    unsigned char *rows; /* as libpng gives them */
    char text[128];      /* the error, libpng's or ours */
    char hint[128];      /* libpng's last warning, which often says more */
} decoder;

static void read_bytes(png_structp png, png_bytep to, size_t count) {
    decoder *d = png_get_io_ptr(png);
    if (count > d->length - d->position) {
        d->position = d->length;
        png_error(png, "the file ends too early");
    }
    memcpy(to, d->bytes + d->position, count);
    d->position += count;
}

static void keep_error(png_structp png, png_const_charp text) {
    decoder *d = png_get_error_ptr(png);
    snprintf(d->text, sizeof d->text, "%s", text);
    png_longjmp(png, 1);
}

static void keep_warning(png_structp png, png_const_charp text) {
    decoder *d = png_get_error_ptr(png);
    if (strstr(text, "Extra compressed data") || strstr(text, "Too much image data")) png_error(png, text);
    snprintf(d->hint, sizeof d->hint, " (%s)", text);
}

static int corrupt(const decoder *d) {
    return fail(STATUS_INPUT, "%s: corrupt PNG image at byte %zu: %s%s", d->path, d->position, d->text, d->hint);
}

static unsigned char on_white(int value, int alpha) {
    return (unsigned char)((value * alpha + 255 * (255 - alpha)) / 255);
}

/* Grey, grey and alpha, RGB or RGBA to the picture's channels. */
static void store(image *picture, const unsigned char *from, int channels) {
    const int kept = picture->channels;
    unsigned char *to = picture->pixels;
    for (int64_t i = 0; i < picture->width * picture->height; i++, from += channels, to += kept) {
        const int alpha = channels > kept ? from[kept] : 255;
        for (int c = 0; c < kept; c++) to[c] = on_white(from[c], alpha);
    }
}

/* Palette indices to RGB. Not left to libpng, which shows an index past the palette in black. */
static int store_palette(decoder *d) {
    png_colorp colors;
    png_bytep alphas = NULL;
    int n = 0, n_alphas = 0;
    png_get_PLTE(d->png, d->info, &colors, &n);
    png_get_tRNS(d->png, d->info, &alphas, &n_alphas, NULL);
    unsigned char *to = d->picture->pixels;
    for (int64_t i = 0; i < d->picture->width * d->picture->height; i++, to += 3) {
        const int index = d->rows[i];
        if (index >= n) {
            snprintf(d->text, sizeof d->text, "palette index %d of %d", index, n);
            return corrupt(d);
        }
        const int alpha = index < n_alphas ? alphas[index] : 255;
        to[0] = on_white(colors[index].red, alpha);
        to[1] = on_white(colors[index].green, alpha);
        to[2] = on_white(colors[index].blue, alpha);
    }
    return STATUS_OK;
}

static int decode(decoder *d) {
    png_uint_32 width, height;
    int depth, color;
    png_read_info(d->png, d->info);
    png_get_IHDR(d->png, d->info, &width, &height, &depth, &color, NULL, NULL, NULL);
    const bool palette = color == PNG_COLOR_TYPE_PALETTE;
    const bool grey = !palette && !(color & PNG_COLOR_MASK_COLOR);
    const bool clear = color & PNG_COLOR_MASK_ALPHA || png_get_valid(d->png, d->info, PNG_INFO_tRNS);
    snprintf(d->picture->source, sizeof d->picture->source, "PNG, %d bit %s%s", depth,
             palette ? "palette"
             : grey  ? "grey"
                     : "RGB",
             clear ? " with transparency" : "");
    const int status = image_new(d->picture, d->path, width, height, grey ? 1 : 3);
    if (status) return status;

    png_set_scale_16(d->png);
    if (palette) {
        png_set_packing(d->png);
    } else {
        png_set_expand(d->png);
    }
    const int passes = png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    const size_t row = png_get_rowbytes(d->png, d->info);
    d->rows = allocate(height, row);
    for (int pass = 0; pass < passes; pass++)
        for (png_uint_32 y = 0; y < height; y++) png_read_row(d->png, d->rows + y * row, NULL);
    png_read_end(d->png, NULL);

    if (palette) return store_palette(d);
    store(d->picture, d->rows, png_get_channels(d->png, d->info));
    return STATUS_OK;
}

/* Nothing that longjmp may spoil lives here: all state is in the caller's decoder. */
static int decode_or_return(decoder *d) {
    if (setjmp(png_jmpbuf(d->png))) return corrupt(d);
    return decode(d);
}

int image_decode_png(image *picture, const char *path, const unsigned char *bytes, size_t length) {
    decoder d = {.path = path, .bytes = bytes, .length = length, .picture = picture};
    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, keep_error, keep_warning);
    d.info = d.png ? png_create_info_struct(d.png) : NULL;
    int status;
    if (!d.info) {
        status = fail(STATUS_LIMIT, "%s: no memory for the PNG decoder", path);
    } else {
        png_set_read_fn(d.png, &d, read_bytes);
        png_set_user_limits(d.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* image_new knows the limit */
        png_set_chunk_cache_max(d.png, 100);
        png_set_chunk_malloc_max(d.png, 8 << 20);
        status = decode_or_return(&d);
    }
    png_destroy_read_struct(&d.png, &d.info, NULL);
    free(d.rows);
    return status;
}
