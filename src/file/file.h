/* Files: .npy arrays, safetensors, the JSON inside it, and saving without ever losing the old file. */
#ifndef CP_FILE_H
#define CP_FILE_H

#include "tensor/tensor.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers go to and from files as they lie in memory");

/* --- atomic.c --- */

/* Writes a file in one piece or not at all: a temporary file in the same folder, fsync, rename, fsync of the folder. On
 * failure the old file is as it was and the temporary one is gone; only when the very last step fails, the folder's
 * fsync, is the new one in its place already. What is no regular file (a pipe, /dev/stdout) is written directly. */
typedef struct cp_saver {
    int file;
    char *path, *temporary;
} cp_saver;
cp_status cp_saver_open(cp_saver *saver, const char *path);
cp_status cp_saver_write(cp_saver *saver, const void *data, int64_t bytes);
cp_status cp_saver_commit(cp_saver *saver); /* ends it, also on failure */
void cp_saver_cancel(cp_saver *saver);      /* ends it; nothing happens after commit */

/* The whole of a file of at most `limit` bytes in fresh memory (cp_free(NULL, ..)). Of streams (/dev/stdin) at most 1
 * GiB, too. */
cp_status cp_file_read(const char *path, int64_t limit, uint8_t **bytes, int64_t *length);

/* The same for reading alone: a regular file is mapped, not copied, where the system can do that. Nobody may shorten it
 * meanwhile; what cp_saver does to it is harmless. Ends with cp_file_unmap (also of an empty one). */
typedef struct cp_mapped {
    const uint8_t *bytes;
    int64_t length;
    bool mapped; /* else read */
} cp_mapped;
cp_status cp_file_map(cp_mapped *file, const char *path, int64_t limit);
/* The same of a file that is open; name: for texts. */
cp_status cp_file_map_open(cp_mapped *file, int opened, const char *name, int64_t limit);
void cp_file_unmap(cp_mapped *file);

/* --- beneath.c --- */

/* cp_file_map of a file that another file names: only a regular one with one link, in that folder or beneath it, and
 * through no symbolic link. CP_E_FORMAT for others. */
cp_status cp_file_map_beneath(cp_mapped *file, const char *folder, const char *name, int64_t limit);

/* --- plain.c --- */

/* A regular file to be read bit by bit, and its length. */
cp_status cp_file_open(cp_reader *reader, const char *path, int64_t *length);

/* --- json.c: small, bounded, no recursion --- */

typedef enum cp_json_kind {
    CP_JSON_NULL,
    CP_JSON_BOOL,
    CP_JSON_NUMBER,
    CP_JSON_STRING,
    CP_JSON_ARRAY,
    CP_JSON_OBJECT
} cp_json_kind;
/* One value; the children of an array or object follow one another by `next` (0: last), beginning at `child` (0: none).
 * Texts are unescaped, NUL-terminated, and may hold NULs only as an error. */
typedef struct cp_json_value {
    cp_json_kind kind;
    const char *key, *text; /* key: in an object; text: of a string, or a number as it was written */
    double number;          /* also BOOL: 0 or 1 */
    int32_t child, next;
} cp_json_value;
typedef struct cp_json {
    cp_json_value *value; /* value[0] unused, value[1] the root */
    int64_t count;
    char *texts;
} cp_json;
/* At most 1e6 values, nested at most 32 deep, keys unique in their object, nothing behind the root. */
cp_status cp_json_parse(cp_json *json, const char *text, int64_t length);
void cp_json_free(cp_json *json);
/* The member of an object, or the i-th element of an array; NULL where there is none or it is another kind. */
const cp_json_value *cp_json_member(const cp_json *json, const cp_json_value *object, const char *key);
const cp_json_value *cp_json_element(const cp_json *json, const cp_json_value *array, int64_t i);
/* A whole number, written without point and exponent, that int64 holds; false else, also for NULL. */
bool cp_json_integer(const cp_json_value *value, int64_t *number);

/* Text that grows; the first failure is kept until cp_text_take. */
typedef struct cp_text {
    char *data;
    int64_t length, capacity;
    bool failed;
} cp_text;
void cp_text_add(cp_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cp_text_add_json(cp_text *text, const char *string); /* quoted and escaped */
/* Exactly: 17 digits, a point in any locale; NaN and infinities as strings. */
void cp_text_add_real(cp_text *text, double value);
/* The text, to be freed with cp_free(NULL, ..); NULL with CP_E_MEMORY set where adding failed. */
char *cp_text_take(cp_text *text);

/* --- safetensors.c ---
 *
 * Eight bytes of header length (little-endian), a JSON header {name: {dtype, shape, data_offsets}}, the data. Ours
 * begin with two entries in __metadata__: "crc32c", a JSON object in a string, {"header": digits, "tensors": {name:
 * digits}}, where the checksum of length and header takes its own digits as zeros; and "convpool", the format's
 * version, now "1". A file with "convpool" must have right checksums, whatever byte of it was changed; those of others
 * load without. */

typedef struct cp_stored {
    const char *name;
    cp_tensor tensor; /* dense; when reading, a view of the file's bytes, aligned to its type */
} cp_stored;
typedef struct cp_note {
    const char *name, *value;
} cp_note;
/* The same bytes for the same arguments. Names and notes are UTF-8 and unique; the two notes above are not for
 * the caller. */
cp_status cp_safetensors_save(const char *path, const cp_stored *tensors, int64_t n_tensors, const cp_note *notes,
                              int64_t n_notes);

typedef struct cp_safetensors {
    cp_stored *tensors; /* in the order of the header */
    int64_t n_tensors;
    cp_note *notes; /* without "crc32c" and "convpool" */
    int64_t n_notes;
    bool checked;    /* there were checksums, and they are right */
    cp_mapped bytes; /* of a file that was loaded */
    uint8_t *copy;   /* of data that do not lie where all types are aligned */
    cp_json header;
} cp_safetensors;
/* Header length and every range are checked against the file before use: no holes, overlaps, trailing bytes, duplicate
 * names. */
cp_status cp_safetensors_load(cp_safetensors *file, const char *path);
/* The same of the caller's bytes, which must stay until cp_safetensors_free. */
cp_status cp_safetensors_read(cp_safetensors *file, const void *bytes, int64_t length);
void cp_safetensors_free(cp_safetensors *file);
const cp_tensor *cp_safetensors_find(const cp_safetensors *file, const char *name);
const char *cp_safetensors_note(const cp_safetensors *file, const char *name);

uint32_t cp_crc32c(uint32_t crc, const void *data, int64_t bytes); /* Castagnoli; start with 0 */

#endif
