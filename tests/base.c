/* The ground: error texts, memory, CPU levels, random numbers, the pool of threads. */
#include "base/base.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* --- errors --- */

static void error_texts_hold_the_values(void **state) {
    (void)state;
    assert_int_equal(cp_fail(CP_E_SHAPE, "kernel %d is larger than %s", 5, "the input"), CP_E_SHAPE);
    assert_string_equal(cp_error(), "kernel 5 is larger than the input");
    assert_int_equal(cp_fail_within(CP_E_SHAPE, "%s%d", "conv", 1), CP_E_SHAPE);
    assert_string_equal(cp_error(), "conv1: kernel 5 is larger than the input");
    cp_fail(CP_E_ARG, "again: %s", cp_error());
    assert_string_equal(cp_error(), "again: conv1: kernel 5 is larger than the input");
}

static void long_texts_are_cut(void **state) {
    (void)state;
    char name[5000];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    cp_fail(CP_E_ARG, "%s", name);
    assert_in_range(strlen(cp_error()), 200, 1023);
    for (int i = 0; i < 2000; i++) cp_fail_within(CP_E_ARG, "layer %d", i);
    assert_memory_equal(cp_error(), "layer 1999: layer 1998: ", 24);
}

static void system_errors_name_the_path_and_the_reason(void **state) {
    (void)state;
    assert_int_equal(cp_fail_errno("/tmp/x", "write", ENOSPC), CP_E_IO);
    assert_string_equal(cp_error(), "/tmp/x: write: No space left on device");
    cp_fail_errno("/tmp/x", "write", 123456);
    assert_string_equal(cp_error(), "/tmp/x: write: unknown error");
    char path[4096];
    memset(path, 'd', sizeof path);
    strcpy(path + sizeof path - 10, "/file.txt");
    cp_fail_errno(path, "open", ENOENT);
    assert_non_null(strstr(cp_error(), "/file.txt: open: No such file or directory"));
    assert_memory_equal(cp_error(), "...d", 4);
}

static void every_status_has_a_text(void **state) {
    (void)state;
    assert_string_equal(cp_status_text(CP_OK), "no error");
    assert_string_equal(cp_status_text(CP_E_DIVERGED), "training left the finite numbers");
    assert_string_equal(cp_status_text((cp_status)1), "unknown status");
    assert_string_equal(cp_status_text((cp_status)-10), "unknown status");
    assert_string_equal(cp_version(), CP_VERSION);
}

static void *fail_elsewhere(void *argument) {
    *(bool *)argument = cp_error()[0] == 0;
    cp_fail(CP_E_ARG, "the other thread's");
    return NULL;
}

static void each_thread_has_its_own_text(void **state) {
    (void)state;
    cp_fail(CP_E_ARG, "mine");
    bool was_empty = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &was_empty), 0);
    pthread_join(thread, NULL);
    assert_true(was_empty);
    assert_string_equal(cp_error(), "mine");
}

static void check_real_texts(void) {
    char text[32];
    assert_string_equal(cp_real_text(0.5, 6, text), "0.5");
    assert_string_equal(cp_real_text(-1234.25, 6, text), "-1234.25");
    assert_string_equal(cp_real_text(3, 6, text), "3");
    assert_string_equal(cp_real_text(1e20, 6, text), "1e+20");
    assert_string_equal(cp_real_text(-1.25e-300, 17, text), "-1.25e-300");
    assert_string_equal(cp_real_text(0.1, 17, text), "0.10000000000000001");
    assert_string_equal(cp_real_text(INFINITY, 6, text), "inf");
    assert_string_equal(cp_real_text(-INFINITY, 6, text), "-inf");
    assert_string_equal(cp_real_text(-NAN, 6, text), "nan");
}

static void numbers_have_a_point_in_any_locale(void **state) {
    (void)state;
    check_real_texts();
    const char *locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8"}; /* commas, and a point of two bytes */
    for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
        if (!setlocale(LC_ALL, locales[i])) {
            print_message("this machine has no locale %s: not tested\n", locales[i]);
            continue;
        }
        check_real_texts();
        cp_fail_errno("x", "write", ENOSPC);
        setlocale(LC_ALL, "C");
        assert_string_equal(cp_error(), "x: write: No space left on device");
    }
}

static void names_from_files_are_escaped(void **state) {
    (void)state;
    char text[400];
    assert_string_equal(cp_escape("conv1.weight", 12, text), "conv1.weight");
    assert_string_equal(cp_escape("a\0\n\x1b[1m\\\xc3\xa4", 10, text), "a\\x00\\x0a\\x1b[1m\\x5c\\xc3\\xa4");
    char name[1000];
    memset(name, 0xff, sizeof name);
    cp_escape(name, 80, text);
    assert_int_equal(strlen(text), 4 * 80);
    cp_escape(name, sizeof name, text);
    assert_int_equal(strlen(text), 4 * 80 + 3);
    assert_string_equal(text + 4 * 80, "...");
}

/* --- memory --- */

/* An allocator that refuses after some calls, and counts what is not yet freed. */
struct counting {
    int allowed, held;
    size_t bytes, alignment;
};

static void *counting_alloc(void *user, size_t bytes, size_t alignment) {
    struct counting *counting = user;
    if (counting->allowed-- <= 0) return NULL;
    counting->held++;
    counting->bytes = bytes;
    counting->alignment = alignment;
    return aligned_alloc(alignment, bytes);
}

static void counting_free(void *user, void *memory) {
    struct counting *counting = user;
    counting->held--;
    free(memory);
}

static void memory_is_aligned_and_cleared(void **state) {
    (void)state;
    for (int64_t bytes = 0; bytes < 200; bytes += 33) {
        unsigned char *memory = cp_zalloc(NULL, bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % CP_ALIGN, 0);
        for (int64_t i = 0; i < bytes; i++) assert_int_equal(memory[i], 0);
        cp_free(NULL, memory);
    }
    cp_free(NULL, NULL);
}

static void the_callers_allocator_is_used_and_may_refuse(void **state) {
    (void)state;
    struct counting counting = {.allowed = 2};
    cp_allocator allocator = {counting_alloc, counting_free, &counting};
    char *one = cp_alloc(&allocator, 100), *two = cp_zalloc(&allocator, 0);
    assert_non_null(one);
    assert_non_null(two);
    assert_int_equal(counting.alignment, CP_ALIGN);
    assert_in_range(counting.bytes, 1, CP_ALIGN);
    assert_null(cp_alloc(&allocator, 1234));
    assert_string_equal(cp_error(), "no memory for 1234 bytes");
    assert_null(cp_zalloc(&allocator, 4321));
    assert_string_equal(cp_error(), "no memory for 4321 bytes");
    cp_free(&allocator, one);
    cp_free(&allocator, two);
    cp_free(&allocator, NULL);
    assert_int_equal(counting.held, 0);
}

static void impossible_sizes_are_no_memory(void **state) {
    (void)state;
    int64_t sizes[] = {-1, INT64_MIN, INT64_MAX, INT64_MAX - CP_ALIGN + 1};
    struct counting counting = {.allowed = 100};
    cp_allocator allocator = {counting_alloc, counting_free, &counting};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char text[80];
        snprintf(text, sizeof text, "no memory for %lld bytes", (long long)sizes[i]);
        cp_fail(CP_E_ARG, "before");
        assert_null(cp_zalloc(NULL, sizes[i]));
        assert_string_equal(cp_error(), text);
        assert_null(cp_alloc(&allocator, sizes[i]));
    }
    assert_int_equal(counting.held, 0);
}

static void arrays_grow_and_keep_their_contents(void **state) {
    (void)state;
    int *numbers = NULL;
    int64_t capacity = 0;
    for (int64_t i = 0; i < 1000; i++) {
        assert_int_equal(cp_grow(&numbers, &capacity, i, sizeof *numbers), CP_OK);
        assert_true(capacity > i);
        numbers[i] = (int)(i * i);
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(numbers[i], i * i);
    int *before = numbers;
    int64_t huge = INT64_MAX / 4;
    assert_int_equal(cp_grow(&numbers, &huge, huge, sizeof *numbers), CP_E_MEMORY);
    assert_ptr_equal(numbers, before);
    assert_int_equal(huge, INT64_MAX / 4);
    cp_free(NULL, numbers);

    char *copy = cp_copy_text("conv1");
    assert_string_equal(copy, "conv1");
    cp_free(NULL, copy);
}

static void sizes_are_checked(void **state) {
    (void)state;
    int64_t result;
    assert_true(cp_mul(1LL << 31, 1LL << 31, &result));
    assert_int_equal(result, 1LL << 62);
    assert_false(cp_mul(1LL << 32, 1LL << 31, &result));
    assert_true(cp_sum(INT64_MAX, -1, &result));
    assert_false(cp_sum(INT64_MAX, 1, &result));
    assert_int_equal(cp_round_up(0, 64), 0);
    assert_int_equal(cp_round_up(1, 64), 64);
    assert_int_equal(cp_round_up(64, 64), 64);
}

/* --- CPU --- */

static void the_environment_chooses_the_level(void **state) {
    (void)state;
    cp_isa isa;
    unsetenv("CONVPOOL_ISA");
    assert_int_equal(cp_cpu_choose(&isa), CP_OK);
    assert_string_equal(cp_isa_name(isa), cp_isa_available(0));
    setenv("CONVPOOL_ISA", "", 1);
    assert_int_equal(cp_cpu_choose(&isa), CP_OK);
    assert_string_equal(cp_isa_name(isa), cp_isa_available(0));

    for (cp_isa level = CP_ISA_PORTABLE; level <= CP_ISA_AVX512BF16; level++) {
        setenv("CONVPOOL_ISA", cp_isa_name(level), 1);
        cp_status status = cp_cpu_choose(&isa);
        if (cp_cpu_can(level)) {
            assert_int_equal(status, CP_OK);
            assert_int_equal(isa, level);
        } else {
            assert_int_equal(status, CP_E_UNSUPPORTED);
            assert_non_null(strstr(cp_error(), cp_isa_name(level)));
        }
    }
    const char *wrong[] = {"sse9", "AVX2", "best", "avx2 ", "\x1b[31m"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("CONVPOOL_ISA", wrong[i], 1);
        assert_int_equal(cp_cpu_choose(&isa), CP_E_ARG);
        assert_non_null(strstr(cp_error(), "portable, avx2, avx512, avx512vnni or avx512bf16"));
        assert_null(strchr(cp_error(), '\x1b'));
    }
    unsetenv("CONVPOOL_ISA");
}

static void levels_are_listed_best_first(void **state) {
    (void)state;
    assert_true(cp_cpu_can(CP_ISA_PORTABLE));
    assert_false(cp_cpu_can((cp_isa)99));
    int levels = 0;
    for (cp_isa level = CP_ISA_AVX512BF16; level >= CP_ISA_PORTABLE; level--)
        if (cp_cpu_can(level)) assert_string_equal(cp_isa_available(levels++), cp_isa_name(level));
    assert_null(cp_isa_available(levels));
    assert_null(cp_isa_available(-1));
    assert_in_range(strlen(cp_cpu_name()), 1, 64);
}

/* --- random numbers --- */

/* The known answers that the authors publish with Random123 (kat_vectors). */
static void philox_gives_the_published_numbers(void **state) {
    (void)state;
    const struct {
        uint32_t counter[4], key[2], answer[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const uint32_t *counter = known[i].counter;
        cp_random_key key = {.seed = (uint64_t)known[i].key[1] << 32 | known[i].key[0],
                             .stream = counter[1],
                             .step = (uint64_t)counter[3] << 32 | counter[2]};
        uint32_t block[4];
        cp_random_block(&key, counter[0], block);
        assert_memory_equal(block, known[i].answer, sizeof block);
    }
}

static void numbers_are_the_words_of_the_blocks(void **state) {
    (void)state;
    cp_random_key key = {.seed = 7, .stream = 3, .step = 1};
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t block[4];
        cp_random_block(&key, i / 4, block);
        assert_int_equal(cp_random_bits(&key, i), block[i % 4]);
        assert_true(cp_random_uniform(&key, i) == (float)(block[i % 4] >> 8) / 16777216);
    }
}

static void uniform_and_normal_have_their_moments(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    cp_random_key key = {.seed = 1, .stream = 2, .step = 3};
    double sum = 0, squares = 0, normal_sum = 0, normal_squares = 0, product = 0;
    for (int i = 0; i < COUNT; i++) {
        double u = cp_random_uniform(&key, (uint64_t)i), z = cp_random_normal(&key, (uint64_t)i);
        assert_true(u >= 0 && u < 1);
        assert_true(fabs(z) < 7);
        sum += u;
        squares += u * u;
        normal_sum += z;
        normal_squares += z * z;
        product += z * cp_random_normal(&key, (uint64_t)i ^ 1);
    }
    /* five standard deviations of each mean */
    assert_true(fabs(sum / COUNT - 0.5) < 5 * sqrt(1.0 / 12 / COUNT));
    assert_true(fabs(squares / COUNT - 1.0 / 3) < 5 * sqrt(4.0 / 45 / COUNT));
    assert_true(fabs(normal_sum / COUNT) < 5 / sqrt(COUNT));
    assert_true(fabs(normal_squares / COUNT - 1) < 5 * sqrt(2.0 / COUNT));
    assert_true(fabs(product / COUNT) < 5 * sqrt(2.0 / COUNT)); /* each pair counts twice */
}

static void seed_stream_and_step_each_matter(void **state) {
    (void)state;
    const cp_random_key keys[] = {{1, 0, 0}, {2, 0, 0}, {1ULL << 32, 0, 0}, {1, 1, 0}, {1, 0, 1}, {1, 0, 1ULL << 32}};
    enum { KEYS = sizeof keys / sizeof *keys };
    for (int i = 0; i < KEYS; i++)
        for (int j = 0; j < i; j++) {
            int same = 0;
            for (uint64_t k = 0; k < 64; k++) same += cp_random_bits(&keys[i], k) == cp_random_bits(&keys[j], k);
            assert_int_equal(same, 0);
        }
}

static void permutations_are_permutations(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    int64_t order[COUNT], other[COUNT];
    for (int64_t n = 0; n <= COUNT; n = n * 3 + 1) {
        bool seen[COUNT] = {0};
        cp_random_permutation(&(cp_random_key){.seed = 5}, n, order);
        for (int64_t i = 0; i < n; i++) {
            assert_in_range(order[i], 0, n - 1);
            assert_false(seen[order[i]]);
            seen[order[i]] = true;
        }
    }
    cp_random_permutation(&(cp_random_key){.seed = 5}, COUNT, order);
    cp_random_permutation(&(cp_random_key){.seed = 5}, COUNT, other);
    assert_memory_equal(order, other, sizeof order);
    cp_random_permutation(&(cp_random_key){.seed = 6}, COUNT, other);
    assert_memory_not_equal(order, other, sizeof order);
}

/* Each of the 6 orders of three comes equally often: chi-squared with 5 degrees of freedom, p = 1e-6 at 35.9. */
static void orders_are_equally_likely(void **state) {
    (void)state;
    enum { COUNT = 6000 };
    int counts[9] = {0};
    for (uint64_t step = 0; step < COUNT; step++) {
        int64_t order[3];
        cp_random_permutation(&(cp_random_key){.seed = 9, .step = step}, 3, order);
        counts[order[0] * 3 + order[1]]++;
    }
    double chi = 0, expected = COUNT / 6.0;
    for (int i = 0; i < 9; i++)
        if (i / 3 != i % 3) chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    assert_true(chi < 35.9);
}

/* --- the pool --- */

enum { MOST = 16, SECONDS_UNTIL_HUNG = 60 };

/* What a job notes: how often each share ran, and whether n was right. Not atomic: a share belongs to one thread, and
 * the pool orders the rest. */
struct tally {
    int expected, runs[MOST];
    bool wrong;
};

static void count_share(void *argument, int id, int n) {
    struct tally *tally = argument;
    if (n != tally->expected || id < 0 || id >= n)
        tally->wrong = true;
    else
        tally->runs[id]++;
}

static void assert_all_shares(const struct tally *tally, int runs) {
    assert_false(tally->wrong);
    for (int id = 0; id < MOST; id++) assert_int_equal(tally->runs[id], id < tally->expected ? runs : 0);
}

static void every_share_runs_once(void **state) {
    (void)state;
    const int counts[] = {1, 2, 3, 7, 16};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        cp_threads *pool;
        assert_int_equal(cp_threads_new(&pool, counts[i]), CP_OK);
        assert_int_equal(cp_threads_count(pool), counts[i]);
        struct tally tally = {.expected = counts[i]};
        for (int run = 1; run <= 3000; run++) {
            cp_threads_run(pool, count_share, &tally);
            assert_int_equal(tally.runs[counts[i] - 1], run); /* all have returned when the call does */
        }
        assert_all_shares(&tally, 3000);
        cp_threads_free(pool);
    }
}

static void workers_that_sleep_wake_up(void **state) {
    (void)state;
    cp_threads *pool;
    assert_int_equal(cp_threads_new(&pool, 3), CP_OK);
    struct tally tally = {.expected = 3};
    for (int run = 0; run < 200; run++) {
        usleep(run % 20 * 50); /* from spinning to fast asleep */
        cp_threads_run(pool, count_share, &tally);
    }
    assert_all_shares(&tally, 200);
    cp_threads_free(pool);
}

static void no_pool_is_the_caller_alone(void **state) {
    (void)state;
    struct tally tally = {.expected = 1};
    cp_threads_enter(NULL);
    cp_threads_run(NULL, count_share, &tally);
    cp_threads_leave(NULL);
    assert_all_shares(&tally, 1);
    assert_int_equal(cp_threads_count(NULL), 1);
    cp_threads_free(NULL);
}

static void unused_pools_and_impossible_counts(void **state) {
    (void)state;
    cp_threads *pool;
    assert_int_equal(cp_threads_new(&pool, 1024), CP_OK);
    cp_threads_free(pool);
    const int wrong[] = {0, -1, 1025, 1000000000};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(cp_threads_new(&pool, wrong[i]), CP_E_ARG);
        assert_null(pool);
        assert_non_null(strstr(cp_error(), "must be 1 to 1024"));
    }
}

#ifdef __GLIBC__
/* No system gives a thread this much stack. */
static void the_caller_works_alone_where_threads_cannot_start(void **state) {
    (void)state;
    pthread_attr_t usual, huge;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_getattr_default_np(&huge), 0);
    pthread_attr_setstacksize(&huge, (size_t)1 << 50);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    cp_threads *pool;
    assert_int_equal(cp_threads_new(&pool, 7), CP_OK);
    struct tally tally = {.expected = 7};
    for (int run = 0; run < 10; run++) cp_threads_run(pool, count_share, &tally);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    assert_all_shares(&tally, 10);
    cp_threads_free(pool);
    pthread_attr_destroy(&usual);
    pthread_attr_destroy(&huge);
}
#endif

/* Several callers of one pool: within a turn the sums are the caller's own. */
struct caller {
    cp_threads *pool;
    struct tally tally;
    int *inside; /* how many callers think that it is their turn */
    bool met;
};

static void *call_often(void *argument) {
    struct caller *caller = argument;
    for (int i = 0; i < 300; i++) {
        cp_threads_enter(caller->pool);
        if (++*caller->inside != 1) caller->met = true;
        cp_threads_run(caller->pool, count_share, &caller->tally);
        cp_threads_enter(caller->pool); /* again by the same thread */
        cp_threads_run(caller->pool, count_share, &caller->tally);
        cp_threads_leave(caller->pool);
        --*caller->inside;
        cp_threads_leave(caller->pool);
        cp_threads_run(caller->pool, count_share, &caller->tally);
    }
    return NULL;
}

static void callers_take_turns(void **state) {
    (void)state;
    enum { CALLERS = 4 };
    int inside = 0;
    cp_threads *pool;
    assert_int_equal(cp_threads_new(&pool, 3), CP_OK);
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.pool = pool, .tally.expected = 3, .inside = &inside};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(callers[i].met);
        assert_all_shares(&callers[i].tally, 900);
    }
    cp_threads_free(pool);
}

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define SKIP_UNDER_THREAD_SANITIZER() skip() /* it does not support new threads in a forked child */
#else
#define SKIP_UNDER_THREAD_SANITIZER()
#endif

/* Runs a job in a forked child; whether the child ended well. A child that hangs is ended by its alarm. */
static bool child_can_use(cp_threads *pool, int threads) {
    pid_t child = fork();
    if (child == 0) {
        alarm(SECONDS_UNTIL_HUNG);
        struct tally tally = {.expected = threads};
        for (int run = 0; run < 20; run++) cp_threads_run(pool, count_share, &tally);
        bool well = !tally.wrong;
        for (int id = 0; id < threads; id++) well = well && tally.runs[id] == 20;
        cp_threads_free(pool);
        _exit(well ? 0 : 1);
    }
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void forked_children_can_use_the_pool(void **state) {
    (void)state;
    SKIP_UNDER_THREAD_SANITIZER();
    cp_threads *pool;
    assert_int_equal(cp_threads_new(&pool, 3), CP_OK);
    struct tally tally = {.expected = 3};
    assert_true(child_can_use(pool, 3)); /* before the first use */
    for (int i = 1; i <= 20; i++) {
        cp_threads_run(pool, count_share, &tally);
        assert_true(child_can_use(pool, 3));
        cp_threads_run(pool, count_share, &tally);
        assert_all_shares(&tally, 2 * i);
    }
    cp_threads_free(pool);
}

struct occupied {
    cp_threads *pool;
    _Atomic bool taken, release;
};

static void *hold_the_pool(void *argument) {
    struct occupied *occupied = argument;
    cp_threads_enter(occupied->pool);
    atomic_store(&occupied->taken, true);
    while (!atomic_load(&occupied->release)) usleep(100);
    cp_threads_leave(occupied->pool);
    return NULL;
}

/* The turn of a thread that the child has not got must not block the child. */
static void children_do_not_wait_for_threads_of_the_parent(void **state) {
    (void)state;
    SKIP_UNDER_THREAD_SANITIZER();
    struct occupied occupied = {0};
    assert_int_equal(cp_threads_new(&occupied.pool, 2), CP_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_the_pool, &occupied), 0);
    while (!atomic_load(&occupied.taken)) usleep(100);
    bool well = child_can_use(occupied.pool, 2);
    atomic_store(&occupied.release, true);
    pthread_join(thread, NULL);
    assert_true(well);
    cp_threads_free(occupied.pool);
}

static _Atomic int handled_by_the_caller, handled_elsewhere;
static pthread_t caller_thread;

static void note_thread(int number) {
    (void)number;
    if (pthread_equal(pthread_self(), caller_thread))
        handled_by_the_caller++;
    else
        handled_elsewhere++;
}

static void signals_reach_the_programs_own_threads(void **state) {
    (void)state;
    cp_threads *pool;
    assert_int_equal(cp_threads_new(&pool, 4), CP_OK);
    struct tally tally = {.expected = 4};
    cp_threads_run(pool, count_share, &tally);
    caller_thread = pthread_self();
    struct sigaction action = {.sa_handler = note_thread}, before;
    sigaction(SIGUSR1, &action, &before);
    sigset_t blocked, old;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, &old); /* now any other thread that lets it in would be chosen */
    kill(getpid(), SIGUSR1);
    usleep(1000);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    sigaction(SIGUSR1, &before, NULL);
    assert_int_equal(handled_by_the_caller, 1);
    assert_int_equal(handled_elsewhere, 0);
    cp_threads_free(pool);
}

static void the_clock_goes_forward(void **state) {
    (void)state;
    double before = cp_now();
    usleep(2000);
    assert_true(cp_now() - before >= 0.002);
}

int main(void) {
    alarm(2 * SECONDS_UNTIL_HUNG); /* a pool that hangs must not hang the tests */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_texts_hold_the_values),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(system_errors_name_the_path_and_the_reason),
        cmocka_unit_test(every_status_has_a_text),
        cmocka_unit_test(each_thread_has_its_own_text),
        cmocka_unit_test(numbers_have_a_point_in_any_locale),
        cmocka_unit_test(names_from_files_are_escaped),
        cmocka_unit_test(memory_is_aligned_and_cleared),
        cmocka_unit_test(the_callers_allocator_is_used_and_may_refuse),
        cmocka_unit_test(impossible_sizes_are_no_memory),
        cmocka_unit_test(arrays_grow_and_keep_their_contents),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(the_environment_chooses_the_level),
        cmocka_unit_test(levels_are_listed_best_first),
        cmocka_unit_test(philox_gives_the_published_numbers),
        cmocka_unit_test(numbers_are_the_words_of_the_blocks),
        cmocka_unit_test(uniform_and_normal_have_their_moments),
        cmocka_unit_test(seed_stream_and_step_each_matter),
        cmocka_unit_test(permutations_are_permutations),
        cmocka_unit_test(orders_are_equally_likely),
        cmocka_unit_test(every_share_runs_once),
        cmocka_unit_test(workers_that_sleep_wake_up),
        cmocka_unit_test(no_pool_is_the_caller_alone),
        cmocka_unit_test(unused_pools_and_impossible_counts),
#ifdef __GLIBC__
        cmocka_unit_test(the_caller_works_alone_where_threads_cannot_start),
#endif
        cmocka_unit_test(callers_take_turns),
        cmocka_unit_test(forked_children_can_use_the_pool),
        cmocka_unit_test(children_do_not_wait_for_threads_of_the_parent),
        cmocka_unit_test(signals_reach_the_programs_own_threads),
        cmocka_unit_test(the_clock_goes_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
