/* A ring of depth slots: batch number n lies in slot n % depth. Threads take numbers in order and wait for a slot to
 * become free; the caller waits for the slot of the next number. */
#include "train/loader.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/clock.h"

typedef enum slot_state { SLOT_FREE, SLOT_BUSY, SLOT_FULL } slot_state;

typedef struct slot {
    slot_state state;
    real *mel, *x; /* owned */
    vocode_status status;
    vocode_error error;
} slot;

struct loader {
    const dataset *set;
    loader_options options;
    slot *slots;
    pthread_t *threads;
    size_t started;
    pthread_mutex_t lock;  /* over everything below and the states of the slots */
    pthread_cond_t change; /* any of it */
    uint64_t taken;        /* batches that threads have begun, counted from options.first */
    uint64_t given;        /* batches that the caller has asked for */
    bool holding;          /* the caller holds the slot of batch given - 1 */
    bool stop;
    double waited;
};

static slot *slot_of(loader *self, uint64_t number) {
    return &self->slots[number % self->options.depth];
}

static void *work(void *context) {
    loader *self = context;
    pthread_mutex_lock(&self->lock);
    for (;;) {
        while (!self->stop && slot_of(self, self->taken)->state != SLOT_FREE)
            pthread_cond_wait(&self->change, &self->lock);
        if (self->stop) break;
        uint64_t number = self->taken++;
        slot *mine = slot_of(self, number);
        mine->state = SLOT_BUSY;
        pthread_mutex_unlock(&self->lock);
        uint64_t index = self->options.first + number * self->options.stride;
        mine->status = dataset_batch(self->set, index, mine->mel, mine->x, &mine->error);
        pthread_mutex_lock(&self->lock);
        mine->state = SLOT_FULL;
        pthread_cond_broadcast(&self->change);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static vocode_status make_slots(loader *self, vocode_error *error) {
    block_shape shape = dataset_shape(self->set);
    size_t mel = shape.batch * shape.frames * dataset_bands(self->set), x = shape.batch * dataset_block(self->set);
    self->slots = calloc(self->options.depth, sizeof *self->slots);
    self->threads = calloc(self->options.threads, sizeof *self->threads);
    bool all = self->slots && self->threads;
    for (size_t i = 0; all && i < self->options.depth; i++) {
        self->slots[i].mel = aligned_new(mel, sizeof(real));
        self->slots[i].x = aligned_new(x, sizeof(real));
        all = self->slots[i].mel && self->slots[i].x;
    }
    if (all) return VOCODE_OK;
    return failed(error, VOCODE_MEMORY, "no memory for %zu batches of %zu segments", self->options.depth, shape.batch);
}

/* The threads take no signals: those are the program's. */
static vocode_status start(loader *self, vocode_error *error) {
    TRY(make_slots(self, error));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (self->started < self->options.threads &&
           pthread_create(&self->threads[self->started], NULL, work, self) == 0)
        self->started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (self->started == self->options.threads) return VOCODE_OK;
    return failed(error, VOCODE_MEMORY, "cannot start thread %zu of %zu that load batches", self->started + 1,
                  self->options.threads);
}

vocode_status loader_open(const dataset *set, const loader_options *options, loader **out, vocode_error *error) {
    *out = NULL;
    if (options->depth < 2 || options->threads < 1 || options->stride < 1)
        return failed(error, VOCODE_ARGUMENT,
                      "a loader needs at least 2 batches, 1 thread and a stride of 1, found %zu, %zu and %llu",
                      options->depth, options->threads, (unsigned long long)options->stride);
    loader *self = calloc(1, sizeof *self);
    if (!self) return failed(error, VOCODE_MEMORY, "out of memory for a loader");
    self->set = set;
    self->options = *options;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->change, NULL);
    vocode_status status = start(self, error);
    if (status == VOCODE_OK)
        *out = self;
    else
        loader_close(self);
    return status;
}

void loader_close(loader *self) {
    if (!self) return;
    pthread_mutex_lock(&self->lock);
    self->stop = true;
    pthread_cond_broadcast(&self->change);
    pthread_mutex_unlock(&self->lock);
    for (size_t i = 0; i < self->started; i++) pthread_join(self->threads[i], NULL);
    for (size_t i = 0; self->slots && i < self->options.depth; i++) {
        aligned_free(self->slots[i].mel);
        aligned_free(self->slots[i].x);
    }
    free(self->slots);
    free(self->threads);
    pthread_cond_destroy(&self->change);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

/* Under the lock: waits until the next batch is there. */
static slot *wait_for_next(loader *self) {
    slot *next = slot_of(self, self->given);
    if (next->state == SLOT_FULL) return next;
    double began = clock_seconds();
    while (next->state != SLOT_FULL) pthread_cond_wait(&self->change, &self->lock);
    self->waited += clock_seconds() - began;
    return next;
}

vocode_status loader_next(loader *self, const real **mel, const real **x, vocode_error *error) {
    pthread_mutex_lock(&self->lock);
    if (self->holding) {
        slot_of(self, self->given - 1)->state = SLOT_FREE;
        self->holding = false;
        pthread_cond_broadcast(&self->change);
    }
    slot *next = wait_for_next(self);
    pthread_mutex_unlock(&self->lock); /* a full slot is the caller's alone */
    if (next->status != VOCODE_OK) {
        vocode_error found = next->error;
        uint64_t index = self->options.first + self->given * self->options.stride;
        next->status = dataset_batch(self->set, index, next->mel, next->x, &next->error);
        if (next->status != VOCODE_OK) {
            if (error) *error = found;
            return found.code;
        }
    }
    *mel = next->mel;
    *x = next->x;
    pthread_mutex_lock(&self->lock);
    self->given++;
    self->holding = true;
    pthread_mutex_unlock(&self->lock);
    return VOCODE_OK;
}

double loader_waited(const loader *self) {
    return self->waited; /* only loader_next writes it */
}
