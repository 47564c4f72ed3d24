/* Points between pixels, and the pixels around them. */
#include "tensor/tensor.h"

#include <math.h>

/* Along one axis: up to two positions, their weights, and how these change as the point moves on. */
typedef struct side {
    int count;
    int64_t at[2];
    double weight[2], slope[2];
} side;

static inline void add_position(side *s, int64_t size, int64_t at, double weight, double slope) {
    if (at < 0 || at >= size) return;
    s->at[s->count] = at;
    s->weight[s->count] = weight;
    s->slope[s->count++] = slope;
}

static inline side side_of(int64_t size, double point) {
    side s;
    s.count = 0;
    if (point > -1 && point < (double)size) {
        const int64_t low = (int64_t)point - (point < 0); /* the conversion rounds towards 0 */
        const double beyond = point - (double)low;
        add_position(&s, size, low, 1 - beyond, -1);
        add_position(&s, size, low + 1, beyond, 1);
    } else if (isnan(point)) {
        add_position(&s, size, 0, point, point);
    }
    return s;
}

void cp_corners_of(cp_corners *c, const int64_t size[CP_MAX_AXES], const double point[CP_MAX_AXES]) {
    const side z = side_of(size[0], point[0]), y = side_of(size[1], point[1]), x = side_of(size[2], point[2]);
    int n = 0;
    for (int i = 0; i < z.count; i++)
        for (int j = 0; j < y.count; j++)
            for (int k = 0; k < x.count; k++, n++) {
                c->at[n] = (z.at[i] * size[1] + y.at[j]) * size[2] + x.at[k];
                c->weight[n] = z.weight[i] * y.weight[j] * x.weight[k];
            }
    c->count = n;
}

void cp_corner_slopes(double slope[CP_MAX_CORNERS][CP_MAX_AXES], const int64_t size[CP_MAX_AXES],
                      const double point[CP_MAX_AXES]) {
    const side z = side_of(size[0], point[0]), y = side_of(size[1], point[1]), x = side_of(size[2], point[2]);
    int n = 0;
    for (int i = 0; i < z.count; i++)
        for (int j = 0; j < y.count; j++)
            for (int k = 0; k < x.count; k++, n++) {
                slope[n][0] = z.slope[i] * y.weight[j] * x.weight[k];
                slope[n][1] = z.weight[i] * y.slope[j] * x.weight[k];
                slope[n][2] = z.weight[i] * y.weight[j] * x.slope[k];
            }
}
