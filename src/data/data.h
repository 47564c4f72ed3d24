/* Labelled pictures: IDX files, drawn digits, arrays; batches of them. */
#ifndef CP_DATA_H
#define CP_DATA_H

#include "file/file.h"

struct cp_data {
    cp_shape shape; /* [N,H,W,C] */
    int classes;
    uint8_t *images; /* all N, one after the other */
    int32_t *labels;
};
/* Empty, with room for n pictures of h x w x c. */
cp_status cp_data_new(cp_data **data, int64_t n, int64_t h, int64_t w, int64_t c, int classes);

#endif
