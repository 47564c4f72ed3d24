/* PNM files, read here: P2 and P5 grey, P3 and P6 RGB, up to 16 bit. */
#include "cli.h"

typedef struct reader {
    const unsigned char *bytes;
    size_t length, position;
} reader;

static void skip_space(reader *r) {
    for (; r->position < r->length; r->position++) {
        const unsigned char c = r->bytes[r->position];
        if (c == '#') {
            while (r->position + 1 < r->length && r->bytes[r->position] != '\n') r->position++;
        } else if (c != ' ' && (c < '\t' || c > '\r')) {
            return;
        }
    }
}

/* The next number; -1 where there is none, or one above 2^31. */
static int64_t next_number(reader *r) {
    skip_space(r);
    int64_t value = 0;
    const size_t begin = r->position;
    for (; r->position < r->length; r->position++) {
        const unsigned char c = r->bytes[r->position];
        if (c < '0' || c > '9') break;
        value = 10 * value + (c - '0');
        if (value > INT32_MAX) return -1;
    }
    return r->position > begin ? value : -1;
}

/* The next sample of a binary file, which has one byte or two, or of a text file; -1 behind the end. */
static int64_t next_sample(reader *r, bool binary, int64_t most) {
    if (!binary) return next_number(r);
    const size_t bytes = most < 256 ? 1 : 2;
    if (r->length - r->position < bytes) return -1;
    int64_t value = r->bytes[r->position++];
    if (bytes == 2) value = 256 * value + r->bytes[r->position++];
    return value;
}

int image_decode_pnm(image *picture, const char *path, const unsigned char *bytes, size_t length) {
    reader r = {.bytes = bytes, .length = length, .position = 2};
    const int kind = bytes[1] - '0';
    const bool binary = kind == 5 || kind == 6;
    const int channels = kind == 2 || kind == 5 ? 1 : 3;
    if (kind != 2 && kind != 3 && !binary)
        return fail(STATUS_INPUT, "%s: PNM of kind P%d is not supported: must be P2, P3, P5 or P6", path, kind);
    const int64_t width = next_number(&r), height = next_number(&r), most = next_number(&r);
    if (width < 0 || height < 0 || most < 1 || most > 65535)
        return fail(STATUS_INPUT,
                    "%s: corrupt PNM image at byte %zu: must have width, height and a maximum up to 65535", path,
                    r.position);
    r.position++; /* exactly one white space before the samples */
    const int status = image_new(picture, path, width, height, channels);
    if (status) return status;
    if (r.position > length) r.position = length;
    for (int64_t i = 0; i < width * height * channels; i++) {
        const int64_t value = next_sample(&r, binary, most);
        if (value < 0 || value > most)
            return fail(STATUS_INPUT, "%s: corrupt PNM image at byte %zu: %s", path, r.position,
                        value < 0 ? "the samples end too early" : "a sample above the maximum");
        picture->pixels[i] = (unsigned char)((value * 255 + most / 2) / most);
    }
    snprintf(picture->source, sizeof picture->source, "PNM, %s", channels == 1 ? "grey" : "RGB");
    return STATUS_OK;
}
