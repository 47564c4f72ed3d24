/* JPEG files through libjpeg: to 8 bit grey or RGB. */
#include "cli.h"

#include <jpeglib.h>
#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>

#define MAX_SCANS 100 /* of a progressive file: each one costs a pass over the whole picture */

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    const char *path;
    image *picture;
    unsigned char *row; /* CMYK */
} decoder;

static void give_up(j_common_ptr jpeg) {
    decoder *d = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    fail(STATUS_INPUT, "%s: corrupt JPEG image: %s", d->path, text);
    longjmp(d->back, STATUS_INPUT);
}

/* libjpeg warns of a file that was cut and goes on in grey; to us it is an error. */
static void take_message(j_common_ptr jpeg, int level) {
    const int code = jpeg->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) give_up(jpeg);
}

static void count_scans(j_common_ptr jpeg) {
    decoder *d = jpeg->client_data;
    if (jpeg->is_decompressor && d->jpeg.input_scan_number > MAX_SCANS) {
        fail(STATUS_INPUT, "%s: corrupt JPEG image: more than %d scans", d->path, MAX_SCANS);
        longjmp(d->back, STATUS_INPUT);
    }
}

/* Photoshop writes CMYK upside down, and libjpeg hands it on; other writers of CMYK are not known. */
static void store_cmyk(unsigned char *to, const unsigned char *from, int64_t width) {
    for (int64_t x = 0; x < width; x++, to += 3, from += 4)
        for (int c = 0; c < 3; c++) to[c] = (unsigned char)(from[c] * from[3] / 255);
}

static int decode(decoder *d) {
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    jpeg_read_header(jpeg, TRUE);
    const bool grey = jpeg->jpeg_color_space == JCS_GRAYSCALE;
    const bool cmyk = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    snprintf(d->picture->source, sizeof d->picture->source, "JPEG, %s", grey ? "grey" : cmyk ? "CMYK" : "RGB");
    const int status = image_new(d->picture, d->path, jpeg->image_width, jpeg->image_height, grey ? 1 : 3);
    if (status) return status;

    jpeg->out_color_space = grey ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(jpeg);
    if (cmyk) d->row = allocate(jpeg->output_width, 4);
    const int64_t bytes = d->picture->width * d->picture->channels;
    while (jpeg->output_scanline < jpeg->output_height) {
        unsigned char *to = d->picture->pixels + jpeg->output_scanline * bytes;
        JSAMPROW row = cmyk ? d->row : to;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (cmyk) store_cmyk(to, d->row, d->picture->width);
    }
    jpeg_finish_decompress(jpeg);
    return STATUS_OK;
}

/* Nothing that longjmp may spoil lives here: all state is in the caller's decoder. */
static int decode_or_return(decoder *d, const unsigned char *bytes, size_t length) {
    const int status = setjmp(d->back);
    if (status) return status;
    jpeg_create_decompress(&d->jpeg);
    d->jpeg.progress = &d->progress;
    jpeg_mem_src(&d->jpeg, bytes, length);
    return decode(d);
}

int image_decode_jpeg(image *picture, const char *path, const unsigned char *bytes, size_t length) {
    decoder d = {.path = path, .picture = picture};
    d.jpeg.err = jpeg_std_error(&d.errors);
    d.errors.error_exit = give_up;
    d.errors.emit_message = take_message;
    d.progress.progress_monitor = count_scans;
    d.jpeg.client_data = &d;
    const int status = decode_or_return(&d, bytes, length);
    jpeg_destroy_decompress(&d.jpeg);
    free(d.row);
    return status;
}
