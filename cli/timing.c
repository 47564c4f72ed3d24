/* Times of repeated runs. */
#include "cli.h"

#include <stdlib.h>
#include <time.h>

#define LEAST_RUNS 10
#define MOST_RUNS 100000

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How many runs were timed; 0 where one failed. */
static int collect(double *samples, double (*run)(void *user), void *user, double seconds) {
    if (run(user) < 0) return 0; /* the first one is cold and does not count */
    const double begin = seconds_now();
    int n = 0;
    while (n < MOST_RUNS && (n < LEAST_RUNS || seconds_now() - begin < seconds)) {
        samples[n] = run(user);
        if (samples[n++] < 0) return 0;
    }
    return n;
}

timing time_runs(double (*run)(void *user), void *user, double seconds) {
    double *samples = allocate(MOST_RUNS, sizeof *samples);
    const int n = collect(samples, run, user, seconds);
    qsort(samples, (size_t)n, sizeof *samples, compare);
    const timing result = {.min = samples[0],
                           .median = samples[n / 2],
                           .p90 = samples[n * 9 / 10],
                           .p99 = samples[n * 99 / 100],
                           .runs = n};
    free(samples);
    return result;
}
