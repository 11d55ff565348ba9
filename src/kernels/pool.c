/* Workers wait for a job a short while in a loop, then in the kernel: jobs of one synthesis follow each other within
 * microseconds, and a worker that went to sleep costs tens of them. A job is open while the caller has not closed it; a
 * worker that comes late finds it closed and is not waited for. */
#include "kernels/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MOST_WORKERS = 255, SPINS = 4000 };

typedef struct job {
    void (*body)(void *context, size_t i);
    void *context;
    size_t count;
    atomic_size_t next; /* the next piece to take */
} job;

static struct {
    atomic_flag taken; /* by the caller whose job is under way */
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    atomic_uint turn;   /* changes with every job */
    atomic_int running; /* workers inside the job; grows under the lock only */
    job *open;          /* NULL once closed; under the lock */
    int places;         /* workers that the open job still lets in; under the lock */
    int workers;
} pool = {.taken = ATOMIC_FLAG_INIT,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER,
          .idle = PTHREAD_COND_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void take_pieces(job *work) {
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
        if (i >= work->count) return;
        work->body(work->context, i);
    }
}

/* Waits for a job that this worker has not seen; gives its turn. */
static unsigned wait_for_turn(unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        unsigned turn = atomic_load_explicit(&pool.turn, memory_order_relaxed);
        if (turn != seen) return turn;
        pause_briefly();
    }
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(&pool.turn) == seen) pthread_cond_wait(&pool.wake, &pool.lock);
    unsigned turn = atomic_load(&pool.turn);
    pthread_mutex_unlock(&pool.lock);
    return turn;
}

static job *enter(void) {
    pthread_mutex_lock(&pool.lock);
    job *work = pool.places > 0 ? pool.open : NULL;
    if (work) {
        pool.places--;
        atomic_fetch_add(&pool.running, 1);
    }
    pthread_mutex_unlock(&pool.lock);
    return work;
}

static void leave(void) {
    pthread_mutex_lock(&pool.lock);
    if (atomic_fetch_sub(&pool.running, 1) == 1) pthread_cond_signal(&pool.idle);
    pthread_mutex_unlock(&pool.lock);
}

static void *work_forever(void *argument) {
    unsigned seen = (unsigned)(size_t)argument;
    for (;;) {
        seen = wait_for_turn(seen);
        job *work = enter();
        if (!work) continue;
        take_pieces(work);
        leave();
    }
    return NULL;
}

/* A child of fork has no workers; it starts its own. */
static void forget_workers(void) {
    pool.workers = 0;
    pool.open = NULL;
    atomic_store(&pool.running, 0);
    atomic_flag_clear(&pool.taken);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pthread_cond_init(&pool.idle, NULL);
}

static void prepare(void) {
    pthread_atfork(NULL, NULL, forget_workers);
}

/* Workers take no signals: those are the program's. Fewer than asked for is no error. */
static void start_workers(int wanted) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.workers < wanted && pool.workers < MOST_WORKERS) {
        pthread_t thread;
        void *seen = (void *)(size_t)atomic_load(&pool.turn);
        if (pthread_create(&thread, NULL, work_forever, seen) != 0) break;
        pthread_detach(thread);
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void open_job(job *work, int places) {
    pthread_mutex_lock(&pool.lock);
    pool.open = work;
    pool.places = places;
    atomic_fetch_add(&pool.turn, 1);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
}

/* No worker enters any more; those inside finish their piece. */
static void close_job(void) {
    for (int i = 0; i < SPINS && atomic_load(&pool.running); i++) pause_briefly();
    pthread_mutex_lock(&pool.lock);
    pool.open = NULL;
    while (atomic_load(&pool.running)) pthread_cond_wait(&pool.idle, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}

void pool_run(int threads, size_t count, void (*body)(void *context, size_t i), void *context) {
    job work = {.body = body, .context = context, .count = count};
    bool alone = threads < 2 || count < 2 || atomic_flag_test_and_set(&pool.taken);
    if (alone) {
        take_pieces(&work);
        return;
    }
    pthread_once(&once, prepare);
    size_t helpers = (size_t)threads < count ? (size_t)threads - 1 : count - 1;
    start_workers((int)helpers);
    open_job(&work, (int)helpers);
    take_pieces(&work);
    close_job();
    atomic_flag_clear(&pool.taken);
}
