/* Labelled pictures: IDX files, drawn digits, arrays; batches of them, also changed at random. */
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

/* --- augment.c --- */

/* As cp_data_batch, but with pictures as epoch `epoch` of a training with this seed sees them; the threads share them.
 */
void cp_augment_batch(const cp_augment *augment, cp_threads *threads, const cp_data *data, const int64_t *order,
                      int64_t n, uint64_t seed, int64_t epoch, float *images, int32_t *labels);

#endif
