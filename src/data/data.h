/* Labelled pictures: IDX and CIFAR files, drawn digits, arrays; batches of them, also changed at random. */
#ifndef CP_DATA_H
#define CP_DATA_H

#include "file/file.h"

struct cp_data {
    cp_shape shape; /* [N,H,W,C] */
    int classes;
    uint8_t *images; /* all N, one after the other */
    int32_t *labels;
};
/* With room for n pictures of h x w x c, not yet filled in. */
cp_status cp_data_new(cp_data **data, int64_t n, int64_t h, int64_t w, int64_t c, int classes);
/* Takes over images and labels from cp_alloc(NULL, ...), also when it fails; either may be NULL from a failed
 * allocation, and then it fails. */
cp_status cp_data_take(cp_data **data, cp_shape shape, int classes, uint8_t *images, int32_t *labels);

/* --- input.c --- */

typedef struct cp_input {
    const char *path;
    cp_reader reader;
    int64_t length; /* of the file; -1 where only reading tells */
    int64_t at;     /* bytes read so far */
} cp_input;
/* open: NULL for plain files. */
cp_status cp_input_open(cp_input *in, const char *path, cp_open open);
void cp_input_close(cp_input *in);
/* Reads `bytes` bytes, or as many as there are. */
cp_status cp_input_read(cp_input *in, void *buffer, int64_t bytes, int64_t *got);
/* The same into memory that grows with what has been read: a header alone cannot ask for much. *memory (NULL before) is
 * to be freed also on failure. */
cp_status cp_input_read_growing(cp_input *in, int64_t bytes, uint8_t **memory, int64_t *filled);

/* --- augment.c --- */

/* As cp_data_batch, but with pictures as epoch `epoch` of a training with this seed sees them; the threads share them.
 */
void cp_augment_batch(const cp_augment *augment, cp_threads *threads, const cp_data *data, const int64_t *order,
                      int64_t n, uint64_t seed, int64_t epoch, float *images, int32_t *labels);

#endif
