/* One convolution, once: a 5x5 image, a 3x3 kernel, stride 2, one pixel of padding on each side. */
#include <convpool.h>
#include <stdio.h>

int main(void) {
    const float image[5][5] = {{2, 2, 3, 3, 3}, {0, 1, 3, 0, 3}, {2, 3, 0, 1, 3}, {3, 3, 2, 1, 2}, {3, 3, 0, 2, 3}};
    const float kernel[3][3] = {{2, 0, 1}, {1, 0, 0}, {0, 1, 1}};
    float result[3][3];

    /* Tensors say how arrays are to be read: batch, height, width, channels; weights height, width, in, out. */
    const cp_tensor x = cp_nhwc(&image[0][0], 1, 5, 5, 1);
    const cp_tensor w = cp_hwio(&kernel[0][0], 3, 3, 1, 1);
    const cp_tensor y = cp_nhwc(&result[0][0], 1, 3, 3, 1);

    const cp_conv conv = {.stride = {2, 2}, .pad_before = {1, 1}, .pad_after = {1, 1}};
    if (cp_conv_run(NULL, &conv, &x, &w, NULL, &y)) {
        fprintf(stderr, "%s\n", cp_error());
        return 1;
    }

    for (int row = 0; row < 3; row++) printf("%2g %2g %2g\n", result[row][0], result[row][1], result[row][2]);
    return 0;
}
