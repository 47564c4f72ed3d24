/* Pictures in files: which format it is, and writing PNG. */
#include "cli.h"

#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int image_new(image *picture, const char *path, int64_t width, int64_t height, int channels) {
    if (width < 1 || height < 1) return fail(STATUS_INPUT, "%s: %s is 0", path, width < 1 ? "width" : "height");
    if (width > IMAGE_PIXELS / height)
        return fail(STATUS_LIMIT, "%s: image of %lld x %lld pixels exceeds the limit of %lld", path, (long long)width,
                    (long long)height, (long long)IMAGE_PIXELS);
    picture->width = width;
    picture->height = height;
    picture->channels = channels;
    picture->pixels = malloc((size_t)(width * height * channels));
    if (!picture->pixels)
        return fail(STATUS_LIMIT, "%s: no memory for %lld x %lld pixels", path, (long long)width, (long long)height);
    return STATUS_OK;
}

int image_load(image *picture, const char *path) {
    *picture = (image){0};
    unsigned char *bytes = NULL;
    size_t length = 0;
    int status = read_file(path, &bytes, &length);
    if (status) return status;
    if (length >= 8 && !png_sig_cmp(bytes, 0, 8)) {
        status = image_decode_png(picture, path, bytes, length);
    } else if (length >= 3 && !memcmp(bytes, "\xff\xd8\xff", 3)) {
        status = image_decode_jpeg(picture, path, bytes, length);
    } else if (length >= 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7') {
        status = image_decode_pnm(picture, path, bytes, length);
    } else {
        status = fail(STATUS_INPUT, "%s: %s", path,
                      length ? "not a picture that is known here: must be PNG, JPEG or PNM" : "empty file");
    }
    free(bytes);
    if (status) {
        free(picture->pixels);
        *picture = (image){0};
    }
    return status;
}

int image_save(const image *picture, const char *path) {
    FILE *file = strcmp(path, "-") ? fopen(path, "wb") : stdout;
    if (!file) return fail(STATUS_IO, "%s: %s", path, strerror(errno));
    png_image header = {.version = PNG_IMAGE_VERSION,
                        .width = (png_uint_32)picture->width,
                        .height = (png_uint_32)picture->height,
                        .format = picture->channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
    bool written = png_image_write_to_stdio(&header, file, 0, picture->pixels, 0, NULL) && !fflush(file);
    const int number = errno;
    if (file != stdout && fclose(file)) written = false;
    if (written) return STATUS_OK;
    if (file != stdout) unlink(path);
    return fail(STATUS_IO, "%s: cannot write: %s", path, header.message[0] ? header.message : strerror(number));
}
