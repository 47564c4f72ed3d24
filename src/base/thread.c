/* A pool of threads without queues: a new epoch starts a job on all of them, a counter tells when they are done. */
#include "base/base.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

/* --- a number that threads wait on: they spin for a while, then sleep --- */

/* PAUSES bridge the serial work between two jobs, tens of microseconds; with more threads than cores the spinning ones
 * must let the others work. */
enum { PAUSES = 4000, PAUSES_BEFORE_YIELD = 64 };

struct gate {
    _Alignas(CP_ALIGN) _Atomic uint32_t value;
    _Alignas(CP_ALIGN) _Atomic uint32_t asleep; /* threads that need to be woken */
#ifndef __linux__
    pthread_mutex_t mutex;
    pthread_cond_t changed;
#endif
};

static void gate_reset(struct gate *gate) {
    atomic_store(&gate->value, 0);
    atomic_store(&gate->asleep, 0);
#ifndef __linux__
    gate->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    gate->changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
#endif
}

/* Returns at once when the value is another; may return early. */
static void gate_sleep(struct gate *gate, uint32_t value) {
#ifdef __linux__
    syscall(SYS_futex, &gate->value, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
    pthread_mutex_lock(&gate->mutex);
    if (atomic_load(&gate->value) == value) pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
#endif
}

/* To call after a change of the value. No wake is lost: this change and look at `asleep`, and the sleeper's change of
 * `asleep` and look at the value, are sequentially consistent, so one of the two sees the other. */
static void gate_wake(struct gate *gate) {
    if (!atomic_load(&gate->asleep)) return;
#ifdef __linux__
    syscall(SYS_futex, &gate->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
    pthread_mutex_lock(&gate->mutex);
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
#endif
}

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Waits while the gate has this value; returns its new one. */
static uint32_t gate_wait(struct gate *gate, uint32_t value) {
    uint32_t now;
    for (int i = 1; i <= PAUSES; i++) {
        now = atomic_load_explicit(&gate->value, memory_order_acquire);
        if (now != value) return now;
        pause_cpu();
        if (i % PAUSES_BEFORE_YIELD == 0) sched_yield();
    }
    atomic_fetch_add(&gate->asleep, 1);
    while ((now = atomic_load(&gate->value)) == value) gate_sleep(gate, value);
    atomic_fetch_sub(&gate->asleep, 1);
    return now;
}

/* --- the pool --- */

struct worker {
    cp_threads *pool;
    int id;
    pthread_t thread;
};

struct cp_pool_threads {
    struct gate epoch; /* a new value starts the job; without a job, the workers end */
    struct gate left;  /* workers that have not finished it */
    _Alignas(CP_ALIGN) cp_job job;
    void *argument;
    int threads;
    bool started;
    int running; /* workers that could be started */
    pthread_mutex_t turn;
    _Atomic(char *) holder; /* the thread whose turn it is, by the address of its `self` */
    int depth;              /* of its entering */
    _Atomic pid_t process;  /* that the workers live in; negative while a forked child takes the pool over */
    struct worker worker[];
};

static _Thread_local char self;

static void *work(void *argument) {
    struct worker *worker = argument;
    cp_threads *pool = worker->pool;
    uint32_t epoch = 0;
    for (;;) {
        epoch = gate_wait(&pool->epoch, epoch);
        if (!pool->job) return NULL;
        pool->job(pool->argument, worker->id, pool->threads);
        if (atomic_fetch_sub(&pool->left.value, 1) == 1) gate_wake(&pool->left);
    }
}

/* Workers leave signals to the program's own threads, but for faults of the code they run and a profiler's. */
static void start(cp_threads *pool) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGPROF};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    pool->started = true;
    while (pool->running < pool->threads - 1) {
        struct worker *worker = &pool->worker[pool->running];
        *worker = (struct worker){.pool = pool, .id = pool->running + 1};
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) break;
        pool->running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void set_job(cp_threads *pool, cp_job job, void *argument) {
    pool->job = job;
    pool->argument = argument;
    atomic_store(&pool->left.value, (uint32_t)pool->running);
    atomic_fetch_add(&pool->epoch.value, 1);
    gate_wake(&pool->epoch);
}

/* A pool without workers, whose turn it is nobody's. */
static void reset(cp_threads *pool) {
    gate_reset(&pool->epoch);
    gate_reset(&pool->left);
    pool->started = false;
    pool->running = 0;
    pool->turn = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    atomic_store(&pool->holder, NULL);
    pool->depth = 0;
}

/* In a forked child there are no workers, and the turn may be that of a thread which is not there either: the first
 * thread that comes makes the pool new, others that come meanwhile wait. */
static void take_over(cp_threads *pool) {
    pid_t process = getpid(), owner;
    while ((owner = atomic_load(&pool->process)) != process) {
        if (owner == -process)
            sched_yield();
        else if (atomic_compare_exchange_strong(&pool->process, &owner, -process)) {
            reset(pool);
            atomic_store(&pool->process, process);
        }
    }
}

cp_status cp_threads_new(cp_threads **pool, int threads) {
    *pool = NULL;
    if (threads < 1 || threads > CP_MOST_THREADS)
        return cp_fail(CP_E_ARG, "threads = %d: must be 1 to %d", threads, CP_MOST_THREADS);
    cp_threads *new = cp_zalloc(NULL, (int64_t)(sizeof *new + (size_t)(threads - 1) * sizeof *new->worker));
    if (!new) return CP_E_MEMORY;
    new->threads = threads;
    reset(new);
    atomic_store(&new->process, getpid());
    *pool = new;
    return CP_OK;
}

void cp_threads_free(cp_threads *pool) {
    if (!pool) return;
    take_over(pool);
    set_job(pool, NULL, NULL);
    for (int i = 0; i < pool->running; i++) pthread_join(pool->worker[i].thread, NULL);
    pthread_mutex_destroy(&pool->turn);
    cp_free(NULL, pool);
}

int cp_threads_count(const cp_threads *pool) {
    return pool ? pool->threads : 1;
}

void cp_threads_run(cp_threads *pool, cp_job job, void *argument) {
    if (!pool) {
        job(argument, 0, 1);
        return;
    }
    cp_threads_enter(pool);
    if (!pool->started) start(pool);
    set_job(pool, job, argument);
    job(argument, 0, pool->threads);
    for (int id = pool->running + 1; id < pool->threads; id++) job(argument, id, pool->threads);
    for (uint32_t left = atomic_load(&pool->left.value); left;) left = gate_wait(&pool->left, left);
    cp_threads_leave(pool);
}

void cp_threads_enter(cp_threads *pool) {
    if (!pool) return;
    take_over(pool);
    if (atomic_load_explicit(&pool->holder, memory_order_relaxed) != &self) {
        pthread_mutex_lock(&pool->turn);
        atomic_store_explicit(&pool->holder, &self, memory_order_relaxed);
    }
    pool->depth++;
}

void cp_threads_leave(cp_threads *pool) {
    if (!pool || --pool->depth) return;
    atomic_store_explicit(&pool->holder, NULL, memory_order_relaxed);
    pthread_mutex_unlock(&pool->turn);
}
