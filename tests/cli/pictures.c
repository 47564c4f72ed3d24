/* Thousands of damaged pictures, PNG, JPEG and PNM, through the decoders of the tool: each is shown or refused with a
 * sentence, at once, and with no more memory than the largest picture takes.
 *
 * The decoders are compiled into the program, which stands for the rest of the tool; the calls of malloc in them arrive
 * here first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include "cli.h" /* before cmocka.h, which has a macro of the name of its function fail */

#include <cmocka.h>

#include "full.h"
#include "mutate.h"

#define WIDTH 23
#define HEIGHT 17
#define MOST (4 * IMAGE_PIXELS) /* bytes of one allocation: the rows of the largest picture as the file has them */
#define SECONDS_FOR_ONE 120     /* more than enough under sanitizers: who needs them hangs */

typedef struct bytes {
    unsigned char *data;
    size_t length, capacity;
} bytes;

static bytes mutant;
static char text[2048]; /* of the last error */

/* --- the rest of the tool --- */

int(fail)(int status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return status;
}

int read_file(const char *path, unsigned char **data, size_t *length) {
    (void)path;
    *data = malloc(mutant.length); /* exactly, so that sanitizers see who reads behind it */
    assert_non_null(*data);
    memcpy(*data, mutant.data, mutant.length);
    *length = mutant.length;
    return STATUS_OK;
}

static size_t largest;

void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) fail_msg("no memory for %zu x %zu bytes", count, size);
    if (count * size > largest) largest = count * size;
    return memory;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) {
    if (size > largest) largest = size;
    return __real_malloc(size);
}

/* --- good pictures --- */

static unsigned char value_at(int64_t x, int64_t y, int channel) {
    return (unsigned char)(x * 9 + y * 5 + channel * 70 + (x * y % 7 ? 0 : 60));
}

typedef struct png_kind {
    int depth, color, interlace;
    bool clear;  /* with transparent colours */
    int squeeze; /* zlib's level; uncompressed, a change of a byte changes a pixel */
} png_kind;

static void write_png(FILE *file, const void *how) {
    const png_kind *kind = how;
    const png_color colors[5] = {{0, 0, 0}, {255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};
    unsigned char row[WIDTH * 8];
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    assert_true(png && info);
    if (setjmp(png_jmpbuf(png))) fail_msg("libpng writes no such picture");
    png_init_io(png, file);
    png_set_compression_level(png, kind->squeeze);
    png_set_IHDR(png, info, WIDTH, HEIGHT, kind->depth, kind->color, kind->interlace, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    const bool palette = kind->color == PNG_COLOR_TYPE_PALETTE;
    if (palette) png_set_PLTE(png, info, colors, 5);
    if (palette && kind->clear) png_set_tRNS(png, info, (png_bytep) "\x80\xff", 2, NULL);
    if (!palette && kind->clear) png_set_tRNS(png, info, NULL, 0, &(png_color_16){.gray = 1, .red = 9});
    png_write_info(png, info);
    const int passes = kind->interlace ? png_set_interlace_handling(png) : 1;
    if (kind->depth < 8) png_set_packing(png);
    const int samples = png_get_channels(png, info) * (kind->depth == 16 ? 2 : 1);
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < HEIGHT; y++) {
            for (int i = 0; i < WIDTH * samples; i++) {
                const int value = value_at(i / samples, y, i % samples);
                row[i] = (unsigned char)(palette           ? value % 5
                                         : kind->depth < 8 ? value & ((1 << kind->depth) - 1)
                                                           : value);
            }
            png_write_row(png, row);
        }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
}

typedef struct jpeg_kind {
    J_COLOR_SPACE color;
    int channels;
    bool progressive, arithmetic;
    unsigned restart; /* every so many blocks */
} jpeg_kind;

static void write_jpeg(FILE *file, const void *how) {
    const jpeg_kind *kind = how;
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char row[WIDTH * 4];
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = WIDTH;
    jpeg.image_height = HEIGHT;
    jpeg.input_components = kind->channels;
    jpeg.in_color_space = kind->color;
    jpeg_set_defaults(&jpeg);
    jpeg.arith_code = kind->arithmetic;
    jpeg.restart_interval = kind->restart;
    if (kind->progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < HEIGHT; y++) {
        for (int i = 0; i < WIDTH * kind->channels; i++) row[i] = value_at(i / kind->channels, y, i % kind->channels);
        JSAMPROW rows = row;
        jpeg_write_scanlines(&jpeg, &rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
}

typedef struct pnm_kind {
    int number, most;
} pnm_kind;

static void write_pnm(FILE *file, const void *how) {
    const pnm_kind *kind = how;
    const int channels = kind->number == 2 || kind->number == 5 ? 1 : 3;
    fprintf(file, "P%d\n# a comment\n%d %d\n%d\n", kind->number, WIDTH, HEIGHT, kind->most);
    for (int y = 0; y < HEIGHT; y++)
        for (int i = 0; i < WIDTH * channels; i++) {
            const int value = value_at(i / channels, y, i % channels) * kind->most / 255;
            if (kind->number < 4) {
                fprintf(file, "%d ", value);
            } else {
                if (kind->most > 255) fputc(value >> 8, file);
                fputc(value & 255, file);
            }
        }
}

/* --- mutants --- */

static void put_number(unsigned char *to, uint32_t number) {
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(number >> (24 - 8 * i));
}

/* The checksum at the end of what zlib packed, in so far as it can still be unpacked. */
static void mend_data(unsigned char *data, size_t length) {
    unsigned char unpacked[1 << 14];
    z_stream zlib = {.next_in = data + 2, .avail_in = (uInt)length - 2, .next_out = unpacked};
    zlib.avail_out = sizeof unpacked;
    assert_int_equal(inflateInit2(&zlib, -MAX_WBITS), Z_OK);
    if (inflate(&zlib, Z_FINISH) == Z_STREAM_END && zlib.avail_in >= 4)
        put_number(zlib.next_in, (uint32_t)adler32(1, unpacked, (uInt)zlib.total_out));
    inflateEnd(&zlib);
}

/* All checksums, so that a change gets past them. */
static void mend_png(unsigned char *data, size_t length) {
    for (size_t at = 8; at + 12 <= length;) {
        const size_t chunk = (size_t)data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3];
        if (chunk > length - at - 12) return;
        if (!memcmp(data + at + 4, "IDAT", 4) && chunk > 2) mend_data(data + at + 8, chunk);
        put_number(data + at + 8 + chunk, (uint32_t)crc32(0, data + at + 4, (uInt)chunk + 4));
        at += 12 + chunk;
    }
}

static int read_picture(void) {
    image picture;
    text[0] = 0;
    const int status = image_load(&picture, "picture");
    if (status) {
        assert_null(picture.pixels);
        return status;
    }
    assert_true(picture.width > 0 && picture.height > 0 && picture.width <= IMAGE_PIXELS / picture.height);
    assert_true(picture.channels == 1 || picture.channels == 3);
    uint64_t sum = 0;
    for (int64_t i = 0; i < picture.width * picture.height * picture.channels; i++) sum += picture.pixels[i];
    assert_true(sum <= (uint64_t)255 * 3 * IMAGE_PIXELS);
    free(picture.pixels);
    return status;
}

typedef struct seed {
    void (*write)(FILE *file, const void *how);
    const void *how;
} seed;

typedef struct format {
    const char *name;
    const seed *seeds;
    int n_seeds;
    int quick, full;
} format;

/* Every second mutant of a PNG gets right checksums. */
static void mutants_of(void **state) {
    const format *f = *state;
    const int count = quick_or_full(f->quick, f->full) / f->n_seeds;
    int read = 0;
    uint32_t random = 1;
    for (int s = 0; s < f->n_seeds; s++) {
        char *good;
        size_t length;
        FILE *file = open_memstream(&good, &length);
        assert_non_null(file);
        f->seeds[s].write(file, f->seeds[s].how);
        fclose(file);
        mutant.data = malloc(length + 3 * MUTATION_GROWTH);
        assert_non_null(mutant.data);
        for (int i = 0; i <= count; i++) {
            memcpy(mutant.data, good, length);
            mutant.length = length;
            for (int n = i ? 1 + i % 3 : 0; n > 0; n--) mutant.length = mutate(&random, mutant.data, mutant.length);
            if (f->seeds[s].write == write_png && i % 2) mend_png(mutant.data, mutant.length);
            largest = 0;
            alarm(SECONDS_FOR_ONE);
            const int status = read_picture();
            alarm(0);
            if (i == 0 && status) fail_msg("%s, seed %d: status %d, %s", f->name, s, status, text);
            if (status && ((status != STATUS_INPUT && status != STATUS_LIMIT) || !text[0] || strstr(text, "emory")))
                fail_msg("%s, seed %d, mutant %d: status %d, \"%s\"", f->name, s, i, status, text);
            if (largest > MOST) fail_msg("%s, seed %d, mutant %d: %zu bytes at once", f->name, s, i, largest);
            read += i && !status;
        }
        free(mutant.data);
        free(good);
    }
    print_message("%s: %d mutants, %d of them read\n", f->name, count * f->n_seeds, read);
    assert_in_range(read, 1, count * f->n_seeds * 9 / 10);
}

/* What the decoders' libraries take is bounded by the addresses that there are; sanitizers need more of these. */
static int bound_memory(void **state) {
    (void)state;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const struct rlimit bound = {(rlim_t)1 << 30, (rlim_t)1 << 30};
    return setrlimit(RLIMIT_AS, &bound);
#else
    return 0;
#endif
}

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

int main(void) {
    static const png_kind png_kinds[] = {
        {8, PNG_COLOR_TYPE_GRAY, 0, false, 9},        {8, PNG_COLOR_TYPE_RGB, 1, true, 0},
        {16, PNG_COLOR_TYPE_RGBA, 1, false, 9},       {1, PNG_COLOR_TYPE_GRAY, 1, true, 0},
        {4, PNG_COLOR_TYPE_PALETTE, 0, true, 0},      {8, PNG_COLOR_TYPE_PALETTE, 1, false, 0},
        {16, PNG_COLOR_TYPE_GRAY_ALPHA, 0, false, 0},
    };
    static const jpeg_kind jpeg_kinds[] = {
        {JCS_GRAYSCALE, 1, false, false, 0}, {JCS_RGB, 3, false, false, 1}, {JCS_RGB, 3, true, false, 0},
        {JCS_CMYK, 4, false, false, 0},      {JCS_RGB, 3, true, true, 2},
    };
    static const pnm_kind pnm_kinds[] = {{2, 255}, {3, 15}, {5, 255}, {6, 65535}};
    seed png_seeds[COUNT(png_kinds)], jpeg_seeds[COUNT(jpeg_kinds)], pnm_seeds[COUNT(pnm_kinds)];
    for (int i = 0; i < COUNT(png_kinds); i++) png_seeds[i] = (seed){write_png, &png_kinds[i]};
    for (int i = 0; i < COUNT(jpeg_kinds); i++) jpeg_seeds[i] = (seed){write_jpeg, &jpeg_kinds[i]};
    for (int i = 0; i < COUNT(pnm_kinds); i++) pnm_seeds[i] = (seed){write_pnm, &pnm_kinds[i]};
    format formats[] = {{"PNG", png_seeds, COUNT(png_seeds), 1000, 20000},
                        {"JPEG", jpeg_seeds, COUNT(jpeg_seeds), 1000, 20000},
                        {"PNM", pnm_seeds, COUNT(pnm_seeds), 1000, 20000}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(mutants_of, &formats[0]),
        cmocka_unit_test_prestate(mutants_of, &formats[1]),
        cmocka_unit_test_prestate(mutants_of, &formats[2]),
    };
    return cmocka_run_group_tests_name("pictures", tests, bound_memory, NULL);
}
