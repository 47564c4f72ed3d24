/* What everything stands on: errors, memory, CPU levels, threads, random numbers, time. */
#ifndef CP_BASE_H
#define CP_BASE_H

#include "convpool.h"

/* --- status.c --- */

/* Sets this thread's error text and returns status. */
cp_status cp_fail(cp_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts a text and ": " before the one that is set: cp_fail_within(status, "conv1") makes "conv1: ...". Returns
 * status. */
cp_status cp_fail_within(cp_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An error of the operating system: "PATH: what: No space left on device" (CP_E_IO). */
cp_status cp_fail_errno(const char *path, const char *what, int number);
/* A number as text with a point in any locale, %.*g; for error texts and JSON. Returns text. */
const char *cp_real_text(double value, int digits, char text[32]);
/* Copies at most 80 characters of a name from a file, with everything unprintable escaped. Returns text. */
const char *cp_escape(const char *name, size_t length, char text[400]);

/* The reserved words of a public struct, `bytes` of them, are zero. whose: "the options", for the text. */
cp_status cp_check_reserved(const int64_t *words, size_t bytes, const char *whose);

/* Checked arithmetic on sizes: false on overflow. */
static inline bool cp_mul(int64_t a, int64_t b, int64_t *result) {
    return !__builtin_mul_overflow(a, b, result);
}
static inline bool cp_sum(int64_t a, int64_t b, int64_t *result) {
    return !__builtin_add_overflow(a, b, result);
}

/* --- mem.c --- */

#define CP_ALIGN 64 /* of everything allocated: a cache line, and the widest vector */
static inline int64_t cp_round_up(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}

/* Memory of that many bytes (0 counts as 1), aligned to CP_ALIGN, by the allocator (NULL: the C library's); NULL with
 * the error set to CP_E_MEMORY where there is none. cp_zalloc clears it. */
void *cp_alloc(const cp_allocator *allocator, int64_t bytes);
void *cp_zalloc(const cp_allocator *allocator, int64_t bytes);
void cp_free(const cp_allocator *allocator, void *memory);
/* A copy of a text with the C library's allocator; NULL with the error set. Free with cp_free(NULL, ...). */
char *cp_copy_text(const char *text);
/* Makes room for one more element in a growing array (C library's allocator): *array has *capacity elements of size
 * `size`, `count` in use. */
cp_status cp_grow(void *array, int64_t *capacity, int64_t count, size_t size);

/* --- cpu.c --- */

/* Whether the CPU (and the operating system) can run a level; PORTABLE always. */
bool cp_cpu_can(cp_isa isa);
/* The level meant by BEST: the environment's CONVPOOL_ISA, else the best that the CPU can run. CP_E_UNSUPPORTED where
 * the environment asks for what the CPU cannot, CP_E_ARG for a word that is none. */
cp_status cp_cpu_choose(cp_isa *isa);
const char *cp_isa_name(cp_isa isa);

/* --- thread.c: a pool without queues --- */

typedef struct cp_pool_threads cp_threads;
/* Share `id` of `n` of some work. */
typedef void (*cp_job)(void *argument, int id, int n);

#define CP_MOST_THREADS 1024
/* A pool that runs a job on `threads` threads, the caller among them. Threads start at the first use, spin for a while
 * between jobs and then sleep; a forked child starts its own. */
cp_status cp_threads_new(cp_threads **pool, int threads);
void cp_threads_free(cp_threads *pool);
int cp_threads_count(const cp_threads *pool); /* NULL: 1 */
/* Runs job(argument, id, n) for every id in 0..n-1 and returns when all have. Callers take turns: hold the pool
 * (cp_threads_enter .. leave) around a row of runs. NULL: the caller alone with n = 1. n is always the pool's count;
 * where threads cannot be started, the caller runs their shares too. A job must not use the pool that runs it, and
 * nobody may fork between enter and leave. */
void cp_threads_run(cp_threads *pool, cp_job job, void *argument);
void cp_threads_enter(cp_threads *pool);
void cp_threads_leave(cp_threads *pool);

/* --- random.c: Philox4x32-10 (Salmon et al. 2011), a function of a counter, without state --- */

typedef struct cp_random_key {
    uint64_t seed;
    uint32_t stream; /* what the numbers are for: a layer, an epoch's order, a picture */
    uint64_t step;
} cp_random_key;
/* The index-th block of four numbers. */
void cp_random_block(const cp_random_key *key, uint32_t index, uint32_t out[4]);
/* Number i < 2^34 of the stream, from block i / 4: uniform in [0,1) with 24 bits; 32 bits; normal (Box and Muller). */
float cp_random_uniform(const cp_random_key *key, uint64_t i);
uint32_t cp_random_bits(const cp_random_key *key, uint64_t i);
float cp_random_normal(const cp_random_key *key, uint64_t i);
/* A permutation of 0..n-1 (Fisher and Yates), n < 2^32. */
void cp_random_permutation(const cp_random_key *key, int64_t n, int64_t *order);

/* --- words.c: texts that people write, as nets --- */

/* A text of parts between ';' (also '{', '|' and '}' end a part); word is the one at hand, position where it begins. */
typedef struct cp_words {
    const char *subject; /* what errors begin with: "net" */
    const char *text, *next;
    char word[64];
    int64_t position; /* from 1 */
} cp_words;
/* The next word of this part; "" at its end, which is at *next then. */
void cp_words_next(cp_words *words);
bool cp_words_are(const cp_words *words, const char *word);
/* "net, position 6: 'blah' is not possible here; possible: EXPECTED" (CP_E_ARG). */
cp_status cp_words_mistake(const cp_words *words, const char *expected);
/* A whole number, or one like "0.4", "-1", "1e-05" of at most 15 digits; *text then is behind it. False where the text
 * does not begin with one, or it is over 2^40 (an exponent: over 60). */
bool cp_read_number(const char **text, int64_t *number);
bool cp_read_real(const char **text, double *number);

/* --- system.c: what an operating system gives --- */

double cp_now(void);                      /* seconds of a clock that never goes back */
const char *cp_setting(const char *name); /* of the environment; NULL where it is not set */
const char *cp_machine(char name[65]);    /* what the system calls the kind of machine; returns name */
/* Prints what the user asked to be told, CONVPOOL_VERBOSE=1, on standard error. */
void cp_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
