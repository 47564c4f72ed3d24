/* A plan, run many times: two Sobel filters find the edges of a square that moves through the frames of a film. All
 * that depends on shapes and weights alone happens once, in the plan; a run neither chooses nor allocates. */
#include <convpool.h>
#include <stdio.h>
#include <string.h>

enum { HEIGHT = 32, WIDTH = 64, SQUARE = 16, FRAMES = 5, LEFT = 0, TOP = 1 };

/* The filters lie in the last axis: what lights up is the left edge of something bright, and its upper edge. */
static const float sobel[3][3][1][2] = {
    {{{-1, -1}}, {{0, -2}}, {{1, -1}}},
    {{{-2, 0}}, {{0, 0}}, {{2, 0}}},
    {{{-1, 1}}, {{0, 2}}, {{1, 1}}},
};

static void draw_frame(float frame[HEIGHT][WIDTH], int t) {
    memset(frame, 0, sizeof(float[HEIGHT][WIDTH]));
    for (int y = 0; y < SQUARE; y++)
        for (int x = 0; x < SQUARE; x++) frame[4 + 2 * t + y][3 + 8 * t + x] = 1;
}

static void print_strongest(float edges[HEIGHT][WIDTH][2], int t) {
    float rows[HEIGHT] = {0}, columns[WIDTH] = {0};
    int row = 0, column = 0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            rows[y] += edges[y][x][TOP];
            columns[x] += edges[y][x][LEFT];
        }
    for (int y = 0; y < HEIGHT; y++)
        if (rows[y] > rows[row]) row = y;
    for (int x = 0; x < WIDTH; x++)
        if (columns[x] > columns[column]) column = x;
    printf("frame %d: the upper edge at row %d, the left edge at column %d\n", t, row, column);
}

static int failed(void) {
    fprintf(stderr, "%s\n", cp_error());
    return 1;
}

int main(void) {
    static float frame[HEIGHT][WIDTH], edges[HEIGHT][WIDTH][2];
    const cp_tensor x = cp_nhwc(&frame[0][0], 1, HEIGHT, WIDTH, 1);
    const cp_tensor w = cp_hwio(&sobel[0][0][0][0], 3, 3, 1, 2);
    const cp_tensor y = cp_nhwc(&edges[0][0][0], 1, HEIGHT, WIDTH, 2);
    const cp_conv conv = {.pad = CP_PAD_SAME, .activation = CP_RELU};

    cp_ctx *ctx = NULL;
    cp_plan *plan = NULL;
    cp_work *work = NULL;
    int status = 0;
    if (cp_ctx_new(&ctx, &(cp_options){.threads = 2}) || cp_conv_plan(&plan, ctx, &conv, &x, &w, NULL, &y) ||
        cp_work_new(&work, plan))
        status = failed();

    for (int t = 0; !status && t < FRAMES; t++) {
        draw_frame(frame, t);
        if (cp_plan_run(plan, work, &x, 1, &y, 1)) {
            status = failed();
        } else {
            print_strongest(edges, t);
        }
    }

    cp_work_free(work);
    cp_plan_free(plan);
    cp_ctx_free(ctx);
    return status;
}
