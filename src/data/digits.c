/* Handwritten digits drawn by a program: strokes of a pen through points, bent and slanted at random, in the manner of
 * MNIST (28x28, white on black, a box of 20x20, the centre of mass in the middle).
 *
 * A picture is a function of the seed and its number. Only + - * / and square roots are used, which IEEE 754 rounds
 * alike everywhere, and products and sums are not fused: the pictures are the same to the bit on every machine. */
#include "data/data.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

#define SIDE 28
#define BOX 20.0f
#define DIGITS_STREAM 0x64696774u /* apart from the streams of everything else that has a seed */

/* How much the pictures differ, set so that they look like MNIST's. JITTER is in percent of the digit's height, the pen
 * in pixels; all but the means and bounds are standard deviations. */
#define MIX 0.40f   /* of a point's place between its two extremes, as a part of their distance */
#define JITTER 2.2f /* of its place beside that */
#define BEND2 0.13f /* of the coefficients of the bending polynomial, of degree 2 */
#define BEND3 0.10f /* and of degree 3 */
#define TURN 0.07f  /* of half the angle, in radians */
#define SLANT 0.25f /* of how far the digit leans to the right, as a part of its height */
#define MEAN_SLANT 0.12f
#define WIDTH 0.20f /* of the width, as a part of what the hands say */
#define MEAN_WIDTH 0.88f
#define PEN 0.34f /* of the pen's radius */
#define MEAN_PEN 1.27f
#define LEAST_PEN 0.75f
#define MOST_PEN 3.2f
#define PRESSURE 0.15f /* of the change of that radius from point to point, as a part of it */

#define MAX_POINTS 20
#define PIECES 5 /* straight pieces from one point to the next */

/* One way of writing a digit. The pen goes smoothly through the points (x to the right and y down, from 0 to 100); one
 * that is there twice is a corner. Each has two places, the extremes between which, or a little beyond, a picture puts
 * it: hands that differ little are one entry. */
typedef struct hand {
    int digit, weight;           /* how often, among those of the digit */
    int8_t point[MAX_POINTS][4]; /* x, y in the one extreme and x, y in the other; all zero behind the last */
} hand;

/* clang-format off */
#define LIFT {-99, -99, -99, -99} /* the pen is lifted: a new stroke */

static const hand hands[] = {
    /* 0: round or narrow */
    {0, 5, {{52, 2, 55, 0}, {22, 14, 30, 12}, {0, 50, 14, 48}, {22, 86, 26, 88}, {52, 98, 50, 100}, {82, 84, 74, 84},
            {102, 48, 84, 48}, {80, 14, 72, 14}, {50, 3, 52, 2}}},
    /* 0: the ends cross or do not meet */
    {0, 2, {{62, 12, 58, 6}, {46, 2, 44, 2}, {20, 14, 20, 18}, {0, 50, 8, 52}, {20, 86, 24, 88}, {50, 98, 50, 100},
            {82, 84, 80, 82}, {100, 46, 92, 44}, {82, 14, 72, 10}, {44, 6, 52, 4}}},
    /* 0: clockwise from the left */
    {0, 2, {{20, 22, 30, 8}, {50, 2, 56, 4}, {82, 16, 80, 18}, {100, 50, 92, 54}, {82, 86, 76, 88}, {48, 98, 46, 98},
            {14, 82, 20, 80}, {0, 46, 10, 44}, {24, 12, 38, 4}}},
    /* 1: one stroke */
    {1, 14, {{90, 0, 46, 0}, {50, 50, 51, 50}, {10, 100, 56, 100}}},
    /* 1: with a flag */
    {1, 3, {{10, 44, 42, 14}, {60, 0, 56, 0}, {60, 0, 56, 0}, {55, 50, 54, 50}, {50, 100, 44, 100}}},
    /* 1: with a flag and a foot */
    {1, 1, {{14, 34, 36, 16}, {54, 0, 54, 0}, {54, 0, 54, 0}, {52, 50, 53, 50}, {50, 98, 50, 96}, LIFT,
            {8, 98, 28, 98}, {92, 98, 76, 95}}},
    /* 2: a corner at the foot */
    {2, 5, {{10, 24, 22, 12}, {24, 8, 38, 4}, {52, 2, 62, 4}, {74, 20, 80, 22}, {58, 52, 64, 46}, {8, 96, 12, 92},
            {8, 96, 12, 92}, {50, 94, 55, 94}, {96, 92, 98, 98}}},
    /* 2: a loop at the foot */
    {2, 5, {{12, 24, 20, 14}, {28, 6, 36, 2}, {58, 4, 66, 6}, {74, 24, 80, 26}, {60, 56, 62, 56}, {34, 88, 32, 86},
            {12, 96, 14, 98}, {6, 84, 2, 80}, {22, 74, 24, 68}, {48, 86, 52, 82}, {72, 94, 76, 94}, {98, 88, 98, 88}}},
    /* 2: a wide loop */
    {2, 3, {{20, 14, 10, 24}, {44, 2, 34, 4}, {70, 14, 64, 12}, {66, 44, 68, 40}, {40, 84, 44, 82}, {16, 100, 18, 98},
            {-2, 86, -4, 78}, {8, 58, 18, 66}, {44, 62, 50, 76}, {74, 88, 80, 96}, {100, 98, 108, 82}}},
    /* 2: like a Z */
    {2, 2, {{8, 12, 14, 8}, {40, 6, 46, 4}, {78, 8, 82, 12}, {64, 42, 60, 44}, {14, 92, 14, 92}, {14, 92, 14, 92},
            {52, 92, 56, 94}, {96, 90, 94, 98}}},
    /* 3: round */
    {3, 5, {{10, 18, 22, 6}, {40, 2, 50, 0}, {76, 16, 76, 18}, {60, 38, 58, 40}, {38, 46, 34, 46}, {38, 46, 34, 46},
            {70, 54, 74, 56}, {82, 76, 84, 78}, {48, 98, 46, 98}, {6, 86, 8, 94}}},
    /* 3: flat above */
    {3, 3, {{14, 6, 10, 10}, {48, 4, 46, 4}, {80, 4, 82, 10}, {80, 4, 82, 10}, {40, 42, 46, 38}, {40, 42, 46, 38},
            {80, 60, 82, 66}, {52, 98, 58, 96}, {6, 90, 12, 98}}},
    /* 3: a small bow above a large one */
    {3, 3, {{20, 22, 2, 16}, {44, 2, 36, 4}, {68, 12, 72, 6}, {60, 30, 56, 28}, {34, 44, 30, 44}, {62, 48, 66, 40},
            {84, 68, 90, 66}, {58, 96, 62, 98}, {14, 88, 2, 92}}},
    /* 3: a loop in the middle */
    {3, 2, {{14, 20, 18, 12}, {40, 2, 46, 2}, {74, 14, 72, 20}, {54, 42, 56, 44}, {34, 52, 32, 56}, {28, 44, 24, 48},
            {42, 40, 40, 42}, {60, 50, 62, 52}, {80, 68, 82, 72}, {72, 88, 66, 92}, {42, 98, 40, 98}, {6, 84, 6, 90}}},
    /* 4: open, a corner on the left */
    {4, 4, {{30, 2, 12, 10}, {18, 36, 10, 38}, {8, 60, 8, 60}, {8, 60, 8, 60}, {48, 58, 46, 58}, {92, 52, 84, 58},
            LIFT, {76, 6, 78, 0}, {62, 100, 74, 100}}},
    /* 4: open, round on the left */
    {4, 4, {{22, 6, 12, 4}, {12, 30, 10, 30}, {18, 52, 20, 50}, {48, 54, 52, 50}, {82, 42, 80, 36}, LIFT,
            {86, 0, 82, 4}, {74, 50, 74, 50}, {62, 100, 74, 100}}},
    /* 4: closed */
    {4, 2, {{70, 0, 62, 0}, {42, 30, 36, 32}, {8, 64, 10, 66}, {8, 64, 10, 66}, {50, 62, 52, 66}, {98, 60, 90, 64},
            LIFT, {70, 0, 64, 0}, {62, 100, 66, 100}}},
    /* 4: one stroke */
    {4, 2, {{20, 6, 26, 0}, {12, 36, 14, 40}, {28, 54, 32, 52}, {58, 48, 60, 40}, {84, 10, 80, 4}, {84, 10, 80, 4},
            {72, 54, 74, 56}, {58, 100, 68, 100}}},
    /* 5: the roof is a stroke of its own */
    {5, 4, {{34, 8, 24, 4}, {26, 40, 20, 44}, {26, 40, 20, 44}, {58, 40, 56, 38}, {80, 62, 82, 64}, {68, 88, 66, 88},
            {36, 98, 38, 98}, {6, 88, 6, 86}, LIFT, {34, 8, 24, 4}, {60, 6, 50, 5}, {98, 0, 82, 4}}},
    /* 5: one stroke */
    {5, 4, {{92, 4, 80, 2}, {58, 6, 52, 3}, {30, 8, 24, 4}, {30, 8, 24, 4}, {22, 44, 20, 40}, {22, 44, 20, 40},
            {60, 42, 58, 40}, {78, 66, 80, 70}, {52, 94, 52, 96}, {6, 92, 8, 90}}},
    /* 5: like an S */
    {5, 2, {{92, 2, 84, 10}, {56, 4, 54, 0}, {30, 20, 24, 16}, {34, 38, 30, 36}, {60, 52, 64, 50}, {76, 70, 78, 72},
            {60, 92, 58, 92}, {32, 98, 32, 98}, {6, 88, 6, 86}}},
    /* 6: a wide bow */
    {6, 4, {{72, 0, 86, 8}, {42, 20, 52, 4}, {20, 50, 20, 38}, {14, 78, 10, 72}, {34, 98, 36, 98}, {62, 94, 68, 92},
            {74, 74, 80, 70}, {58, 58, 58, 50}, {34, 66, 32, 58}, {18, 82, 14, 72}}},
    /* 6: a straight stem */
    {6, 4, {{58, 0, 44, 0}, {38, 34, 28, 34}, {18, 72, 20, 70}, {28, 96, 28, 94}, {54, 96, 54, 98}, {72, 78, 70, 78},
            {62, 62, 58, 60}, {40, 68, 38, 66}, {22, 86, 24, 80}}},
    /* 6: a wide ring */
    {6, 2, {{46, 0, 66, 6}, {20, 40, 24, 36}, {4, 74, 6, 70}, {28, 98, 34, 98}, {70, 98, 76, 96}, {94, 76, 96, 70},
            {74, 54, 68, 52}, {38, 60, 30, 60}, {14, 86, 10, 76}}},
    /* 7 */
    {7, 5, {{2, 18, 10, 8}, {46, 8, 48, 8}, {96, 4, 84, 8}, {96, 4, 84, 8}, {66, 50, 66, 50}, {40, 100, 54, 100}}},
    /* 7: round */
    {7, 3, {{4, 30, 14, 16}, {38, 6, 46, 6}, {82, 6, 74, 10}, {82, 30, 74, 36}, {60, 64, 62, 64}, {36, 100, 54, 100}}},
    /* 7: with a serif */
    {7, 3, {{4, 48, 12, 22}, {10, 10, 14, 8}, {10, 10, 14, 8}, {90, 8, 82, 4}, {90, 8, 82, 4}, {66, 52, 68, 52},
            {46, 100, 58, 100}}},
    /* 7: the pen comes up from the left */
    {7, 2, {{0, 46, 16, 40}, {22, 14, 26, 10}, {34, 24, 36, 16}, {58, 16, 56, 14}, {88, 6, 78, 4}, {68, 48, 66, 48},
            {40, 100, 56, 100}}},
    /* 7: with a bar */
    {7, 2, {{8, 16, 10, 8}, {46, 10, 48, 8}, {86, 6, 82, 8}, {86, 6, 82, 8}, {62, 50, 64, 50}, {44, 100, 52, 100},
            LIFT, {32, 56, 36, 50}, {90, 50, 88, 52}}},
    /* 7: round, with a bar */
    {7, 1, {{8, 26, 20, 16}, {24, 6, 30, 4}, {46, 14, 50, 10}, {80, 4, 76, 4}, {66, 44, 64, 48}, {40, 100, 52, 100},
            LIFT, {26, 56, 32, 50}, {92, 46, 88, 52}}},
    /* 8: an S and back */
    {8, 5, {{80, 16, 70, 10}, {56, 0, 48, 0}, {24, 12, 26, 16}, {32, 34, 36, 36}, {62, 58, 62, 56}, {74, 82, 76, 78},
            {46, 98, 48, 100}, {20, 82, 22, 82}, {36, 58, 36, 58}, {66, 36, 62, 36}, {82, 14, 72, 12}}},
    /* 8: wide */
    {8, 2, {{90, 22, 82, 14}, {56, 4, 50, 2}, {16, 12, 10, 20}, {16, 36, 22, 36}, {74, 58, 80, 54}, {98, 78, 96, 78},
            {50, 98, 52, 98}, {4, 82, 6, 84}, {26, 58, 30, 58}, {78, 42, 74, 40}, {92, 18, 84, 16}}},
    /* 8: open above */
    {8, 3, {{92, 8, 72, 14}, {62, 2, 48, 2}, {24, 12, 26, 16}, {36, 38, 34, 40}, {60, 60, 62, 62}, {62, 88, 66, 88},
            {36, 98, 40, 98}, {22, 82, 24, 82}, {46, 54, 44, 54}, {96, 16, 78, 20}}},
    /* 8: begins on the left, a dent above */
    {8, 2, {{50, 16, 46, 4}, {26, 2, 30, 2}, {10, 18, 22, 18}, {36, 42, 38, 42}, {54, 66, 62, 62}, {52, 92, 64, 88},
            {34, 98, 42, 100}, {22, 86, 22, 86}, {40, 56, 38, 56}, {78, 28, 68, 34}, {80, 4, 74, 12},
            {48, 14, 48, 0}}},
    /* 8: a narrow ring below */
    {8, 2, {{76, 20, 88, 14}, {58, 2, 66, 2}, {32, 8, 44, 10}, {28, 28, 44, 34}, {52, 54, 54, 58}, {54, 84, 42, 88},
            {40, 98, 26, 98}, {30, 84, 26, 84}, {50, 52, 52, 54}, {80, 18, 90, 16}}},
    /* 8: open below */
    {8, 1, {{90, 94, 76, 100}, {64, 68, 58, 66}, {28, 36, 34, 34}, {22, 12, 30, 12}, {52, 0, 56, 0}, {80, 14, 76, 16},
            {62, 40, 60, 42}, {28, 70, 26, 70}, {14, 90, 18, 90}, {36, 98, 42, 100}, {70, 86, 66, 92}}},
    /* 8: two rings */
    {8, 2, {{52, 0, 50, 2}, {28, 10, 26, 12}, {26, 34, 30, 36}, {52, 44, 52, 46}, {74, 32, 70, 36}, {74, 10, 70, 12},
            {52, 2, 48, 2}, LIFT, {50, 46, 52, 44}, {24, 58, 22, 60}, {20, 82, 22, 84}, {50, 98, 50, 98},
            {80, 84, 78, 84}, {78, 58, 76, 58}, {52, 44, 50, 46}}},
    /* 9: a straight tail */
    {9, 5, {{78, 14, 74, 10}, {52, 2, 48, 2}, {18, 18, 24, 22}, {20, 42, 30, 46}, {50, 46, 54, 44}, {80, 14, 74, 12},
            {80, 14, 74, 12}, {72, 54, 74, 54}, {54, 100, 70, 100}}},
    /* 9: a bent tail */
    {9, 3, {{76, 14, 74, 14}, {50, 2, 50, 2}, {16, 18, 22, 24}, {22, 44, 30, 48}, {54, 44, 54, 44}, {78, 12, 76, 14},
            {80, 30, 78, 34}, {74, 68, 76, 70}, {54, 94, 52, 98}, {18, 90, 22, 96}}},
    /* 9: a wide ring */
    {9, 3, {{82, 22, 76, 6}, {48, 2, 42, 0}, {-2, 24, 8, 30}, {6, 54, 14, 58}, {46, 58, 46, 56}, {84, 20, 78, 10},
            {90, 34, 80, 30}, {84, 68, 82, 66}, {70, 100, 80, 100}}},
    /* 9: the ring first, the stem begins above it */
    {9, 2, {{70, 24, 66, 20}, {46, 8, 42, 10}, {16, 24, 16, 26}, {26, 46, 28, 48}, {56, 42, 54, 40}, {72, 20, 70, 20},
            LIFT, {80, 4, 76, 2}, {58, 100, 68, 100}}},
};
/* clang-format on */
#define N_HANDS (sizeof hands / sizeof hands[0])

static float larger(float a, float b) {
    return a > b ? a : b;
}
static float smaller(float a, float b) {
    return a < b ? a : b;
}
static float within(float low, float value, float high) {
    return larger(low, smaller(value, high));
}

/* --- random numbers of one picture --- */

typedef struct source {
    cp_random_key key;
    uint32_t next;
} source;

static float uniform(source *s, float low, float high) {
    uint32_t bits[4];
    cp_random_block(&s->key, s->next++, bits);
    return low + (high - low) * ((float)(bits[0] >> 8) * 0x1p-24f);
}

/* Nearly normal, never beyond 3.5 deviations: a sum of four uniform numbers. */
static float bell(source *s, float deviation) {
    uint32_t bits[4];
    cp_random_block(&s->key, s->next++, bits);
    int32_t sum = (int32_t)(bits[0] >> 8) + (int32_t)(bits[1] >> 8) + (int32_t)(bits[2] >> 8) + (int32_t)(bits[3] >> 8);
    return deviation * 1.7320508f * ((float)(sum - (1 << 25)) * 0x1p-24f);
}

/* --- the pen's way: spots joined by straight lines --- */

typedef struct spot {
    float x, y, radius; /* of the pen */
    bool first;         /* of a stroke */
} spot;

typedef struct trace {
    int n;
    spot spot[MAX_POINTS * PIECES];
} trace;

static const hand *choose_hand(source *s, int digit) {
    int total = 0;
    for (size_t i = 0; i < N_HANDS; i++)
        if (hands[i].digit == digit) total += hands[i].weight;
    int ticket = (int)uniform(s, 0, (float)total);
    const hand *chosen = hands;
    while (chosen->digit != digit || (ticket -= chosen->weight) >= 0) chosen++;
    return chosen;
}

static int count_points(const hand *h) {
    static const int8_t none[4] = {0};
    int n = 0;
    while (n < MAX_POINTS && memcmp(h->point[n], none, sizeof none) != 0) n++;
    return n;
}

static bool is_lift(const int8_t point[4]) {
    return point[0] == -99;
}

static void place_points(const hand *h, int n, source *s, float x[MAX_POINTS], float y[MAX_POINTS]) {
    float mix = uniform(s, -0.2f, 1.2f), mix_x = bell(s, MIX), mix_y = bell(s, MIX);
    for (int i = 0; i < n; i++) {
        const int8_t *p = h->point[i];
        if (i > 0 && memcmp(p, h->point[i - 1], sizeof h->point[i]) == 0) { /* a corner stays one */
            x[i] = x[i - 1], y[i] = y[i - 1];
            continue;
        }
        /* From point to point the hand strays little by little; 0.6 and 0.8 keep the deviation. */
        mix_x = 0.6f * mix_x + 0.8f * bell(s, MIX);
        mix_y = 0.6f * mix_y + 0.8f * bell(s, MIX);
        x[i] = p[0] + (mix + mix_x) * (float)(p[2] - p[0]) + bell(s, JITTER);
        y[i] = p[1] + (mix + mix_y) * (float)(p[3] - p[1]) + bell(s, JITTER);
    }
}

/* Catmull and Rom's curve from b to c. */
static float curve(float a, float b, float c, float d, float t) {
    return b + 0.5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

static void draw_strokes(trace *way, const hand *h, source *s) {
    float x[MAX_POINTS], y[MAX_POINTS];
    int n = count_points(h);
    place_points(h, n, s, x, y);
    way->n = 0;
    for (int begin = 0, end; begin < n; begin = end + 1) {
        for (end = begin; end < n && !is_lift(h->point[end]); end++) continue;
        for (int i = begin; i < end; i++) {
            int a = i > begin ? i - 1 : i, c = i + 1 < end ? i + 1 : i, d = i + 2 < end ? i + 2 : c;
            for (int piece = 0; piece < (i + 1 < end ? PIECES : 1); piece++) {
                float t = (float)piece / PIECES;
                way->spot[way->n++] = (spot){.x = curve(x[a], x[i], x[c], x[d], t),
                                             .y = curve(y[a], y[i], y[c], y[d], t),
                                             .first = i == begin && piece == 0};
            }
        }
    }
}

/* Bends the plane by a random polynomial of degree 3, then stretches, slants and turns it. */
static void bend(trace *way, source *s) {
    float bend_x[7], bend_y[7];
    for (int i = 0; i < 7; i++) {
        bend_x[i] = bell(s, i < 3 ? BEND2 : BEND3);
        bend_y[i] = bell(s, i < 3 ? BEND2 : BEND3);
    }
    float width = larger(0.3f, MEAN_WIDTH + bell(s, WIDTH)), slant = MEAN_SLANT + bell(s, SLANT);
    float half = bell(s, TURN), norm = 1 + half * half; /* half: the tangent of half the angle */
    float cosine = (1 - half * half) / norm, sine = 2 * half / norm;
    for (int i = 0; i < way->n; i++) {
        spot *p = &way->spot[i];
        float u = (p->x - 50) / 50, v = (p->y - 50) / 50, x = u, y = v;
        const float term[7] = {u * u, u * v, v * v, u * u * u, u * u * v, u * v * v, v * v * v};
        for (int j = 0; j < 7; j++) {
            x += bend_x[j] * term[j];
            y += bend_y[j] * term[j];
        }
        x = width * x - slant * y;
        p->x = cosine * x - sine * y;
        p->y = sine * x + cosine * y;
    }
}

/* The pen's radius along the way: now and then a broad pen (less so where a digit of many turns would become a blot),
 * and everywhere a pressure that changes slowly. */
static void press(trace *way, source *s) {
    float radius = MEAN_PEN + bell(s, PEN), pressure = bell(s, PRESSURE);
    if (uniform(s, 0, 1) < 0.15f) radius += uniform(s, 0, smaller(2, 30.0f / (float)way->n));
    radius = within(LEAST_PEN, radius, MOST_PEN);
    for (int i = 0; i < way->n; i++) {
        if (i % PIECES == 0) pressure = 0.6f * pressure + bell(s, PRESSURE);
        way->spot[i].radius = within(0.5f, radius * (1 + pressure), MOST_PEN);
    }
}

static float distance(const spot *a, const spot *b) {
    float x = b->x - a->x, y = b->y - a->y;
    return sqrtf(x * x + y * y);
}

/* Scales the way, with the pen's breadth, into a box around the origin; returns how far it reaches from there. */
static spot scale_way(trace *way, float box) {
    float left = way->spot[0].x, right = left, top = way->spot[0].y, bottom = top, radius = 0;
    for (int i = 0; i < way->n; i++) {
        const spot *p = &way->spot[i];
        left = smaller(left, p->x), right = larger(right, p->x);
        top = smaller(top, p->y), bottom = larger(bottom, p->y);
        radius = larger(radius, p->radius);
    }
    float scale = (box - 2 * radius) / larger(right - left, bottom - top);
    for (int i = 0; i < way->n; i++) {
        way->spot[i].x = (way->spot[i].x - (left + right) / 2) * scale;
        way->spot[i].y = (way->spot[i].y - (top + bottom) / 2) * scale;
    }
    return (spot){.x = (right - left) / 2 * scale + radius, .y = (bottom - top) / 2 * scale + radius};
}

/* Moves the centre of mass to the middle of the picture, as far as a margin of a pixel remains. */
static void centre(trace *way, spot reach) {
    float mass = 0, x = 0, y = 0;
    for (int i = 0; i < way->n; i++) {
        const spot *p = &way->spot[i];
        float piece = p->first ? 0 : distance(p - 1, p) * p->radius;
        mass += piece;
        x += piece * p->x;
        y += piece * p->y;
    }
    const float middle = SIDE / 2, most = middle - 2; /* a pixel, and one for the soft edge of the ink */
    x = within(reach.x - most, x / mass, most - reach.x);
    y = within(reach.y - most, y / mass, most - reach.y);
    for (int i = 0; i < way->n; i++) {
        way->spot[i].x += middle - x;
        way->spot[i].y += middle - y;
    }
}

/* --- ink --- */

/* Lays ink on the pixels that the pen covers between two spots. At its edge it covers a pixel in part; sharpness: how
 * much within a pixel's length. */
static void draw_piece(float ink[SIDE][SIDE], const spot *a, const spot *b, float sharpness) {
    float reach = larger(a->radius, b->radius) + 1;
    int left = (int)larger(0, smaller(a->x, b->x) - reach), right = (int)smaller(SIDE - 1, larger(a->x, b->x) + reach);
    int top = (int)larger(0, smaller(a->y, b->y) - reach), bottom = (int)smaller(SIDE - 1, larger(a->y, b->y) + reach);
    float dx = b->x - a->x, dy = b->y - a->y, square = dx * dx + dy * dy;
    float inverse = square > 0 ? 1 / square : 0;
    for (int i = top; i <= bottom; i++) {
        for (int j = left; j <= right; j++) {
            float x = (float)j + 0.5f - a->x, y = (float)i + 0.5f - a->y;
            float t = within(0, (x * dx + y * dy) * inverse, 1); /* the nearest place on the line */
            x -= t * dx;
            y -= t * dy;
            float inside = a->radius + t * (b->radius - a->radius) - sqrtf(x * x + y * y);
            ink[i][j] = larger(ink[i][j], smaller(1, inside * sharpness + 0.5f));
        }
    }
}

static void draw_picture(uint8_t *pixels, int digit, source *s) {
    trace way;
    draw_strokes(&way, choose_hand(s, digit), s);
    bend(&way, s);
    press(&way, s);
    centre(&way, scale_way(&way, BOX + uniform(s, -0.7f, 0.3f)));
    float ink[SIDE][SIDE] = {{0}}, sharpness = uniform(s, 0.7f, 1.0f);
    for (int i = 1; i < way.n; i++)
        if (!way.spot[i].first) draw_piece(ink, &way.spot[i - 1], &way.spot[i], sharpness);
    for (int i = 0; i < SIDE * SIDE; i++) {
        float value = ink[i / SIDE][i % SIDE];
        if (0 < value && value < 1) value = within(0, value + bell(s, 0.1f), 1); /* paper is rough */
        pixels[i] = (uint8_t)(255 * value + 0.5f);
    }
}

cp_status cp_data_digits(cp_data **data, int64_t count, uint64_t seed) {
    if (!data) return cp_fail(CP_E_ARG, "data is NULL");
    *data = NULL;
    if (count < 1) return cp_fail(CP_E_ARG, "count = %" PRId64 ": must be at least 1", count);
    cp_status status = cp_data_new(data, count, SIDE, SIDE, 1, 10);
    if (status) return status;
    for (int64_t i = 0; i < count; i++) {
        source s = {.key = {.seed = seed, .stream = DIGITS_STREAM, .step = (uint64_t)i}};
        (*data)->labels[i] = (int32_t)(i % 10);
        draw_picture((*data)->images + i * SIDE * SIDE, (int)(i % 10), &s);
    }
    return CP_OK;
}
