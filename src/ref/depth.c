/* Blocks of pixels as channels, and channels as blocks of pixels: one copy between two views of the same axes. */
#include "ref/ref.h"

/* The axes N, space, block, C of a tensor whose blocks are pixels (wide) or channels (deep). */
static cp_tensor view_wide(int64_t block, const cp_tensor *wide) {
    const int axes = wide->shape.rank - 2;
    cp_tensor view = *wide;
    view.shape.rank = 2 * axes + 2;
    for (int d = 1; d <= axes; d++) {
        view.shape.dim[d] = wide->shape.dim[d] / block;
        view.stride[d] = wide->stride[d] * block;
        view.shape.dim[axes + d] = block;
        view.stride[axes + d] = wide->stride[d];
    }
    view.shape.dim[2 * axes + 1] = wide->shape.dim[axes + 1];
    view.stride[2 * axes + 1] = wide->stride[axes + 1];
    return view;
}

static cp_tensor view_deep(int64_t block, cp_depth_order order, const cp_tensor *deep) {
    const int axes = deep->shape.rank - 2;
    const int64_t step = deep->stride[axes + 1];
    int64_t blocks = 1;
    for (int d = 0; d < axes; d++) blocks *= block;
    const int64_t channels = deep->shape.dim[axes + 1] / blocks;
    cp_tensor view = *deep;
    view.shape.rank = 2 * axes + 2;
    view.shape.dim[2 * axes + 1] = channels;
    view.stride[2 * axes + 1] = order == CP_DEPTH_FIRST ? step : step * blocks;
    int64_t inner = order == CP_DEPTH_FIRST ? step * channels : step;
    for (int d = axes; d >= 1; d--, inner *= block) {
        view.shape.dim[axes + d] = block;
        view.stride[axes + d] = inner;
    }
    return view;
}

void cp_ref_depth_to_space(int64_t block, cp_depth_order order, const cp_tensor *x, const cp_tensor *y, int id, int n) {
    const cp_tensor from = view_deep(block, order, x), to = view_wide(block, y);
    cp_copy_share(&to, &from, id, n);
}

void cp_ref_space_to_depth(int64_t block, cp_depth_order order, const cp_tensor *x, const cp_tensor *y, int id, int n) {
    const cp_tensor from = view_wide(block, x), to = view_deep(block, order, y);
    cp_copy_share(&to, &from, id, n);
}
