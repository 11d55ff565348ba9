/* Teams of processes that mpirun started (train/team.h), as a module that the program loads when it is one of them: the
 * library and the program themselves do not link MPI.
 *
 * Gradients are reduced by a thread of their own, with MPI_Iallreduce on a communicator of their own: MPI makes no
 * progress by itself, so the thread asks it from time to time, and sleeps in between so that the processor is left to
 * backward; once nothing else is being computed it asks all the time. */
#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "train/team.h"

enum { MOST_AT_ONCE = 1 << 28 };                                 /* numbers in a call of MPI */
static const struct timespec pause_between = {.tv_nsec = 50000}; /* of asking, while backward runs */

typedef struct piece {
    const char *name;
    real *values;
    int count;
    bool begun, over;
    MPI_Request request;
    double began, ended;
} piece;

typedef struct mpi_team {
    MPI_Comm small, gradients;
    pthread_t thread;
    pthread_mutex_t lock;  /* over everything below */
    pthread_cond_t change; /* any of it */
    piece *pieces;         /* [room]; the thread alone touches those that are begun */
    size_t asked, over, room;
    bool waiting; /* the caller has nothing else to do */
    bool stop;
} mpi_team;

static mpi_team only; /* MPI is the process's: there is one team, and it is joined once */

static void sum(void *context, double *values, size_t count) {
    const mpi_team *self = context;
    MPI_Allreduce(MPI_IN_PLACE, values, (int)count, MPI_DOUBLE, MPI_SUM, self->small);
}

static void least(void *context, double *values, size_t count) {
    const mpi_team *self = context;
    MPI_Allreduce(MPI_IN_PLACE, values, (int)count, MPI_DOUBLE, MPI_MIN, self->small);
}

static void share(void *context, void *bytes, size_t size) {
    const mpi_team *self = context;
    for (size_t done = 0; done < size; done += MOST_AT_ONCE) {
        size_t rest = size - done, part = rest < MOST_AT_ONCE ? rest : MOST_AT_ONCE;
        MPI_Bcast((char *)bytes + done, (int)part, MPI_BYTE, 0, self->small);
    }
}

/* Ends every process of the team. */
static _Noreturn void give_up(void) {
    MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    abort(); /* it does not come back */
}

/* Under the lock. */
static void ask(mpi_team *self, const char *name, real *values, size_t count) {
    if (self->asked == self->room) {
        size_t room = self->room ? 2 * self->room : 64;
        piece *pieces = realloc(self->pieces, room * sizeof *pieces);
        if (!pieces) give_up(); /* the other ranks wait for this piece */
        self->pieces = pieces;
        self->room = room;
    }
    self->pieces[self->asked++] = (piece){.name = name, .values = values, .count = (int)count};
}

static void reduce(void *context, const char *name, real *values, size_t count) {
    mpi_team *self = context;
    pthread_mutex_lock(&self->lock);
    for (size_t done = 0; done < count; done += MOST_AT_ONCE) {
        size_t rest = count - done;
        ask(self, name, values + done, rest < MOST_AT_ONCE ? rest : MOST_AT_ONCE);
    }
    pthread_cond_broadcast(&self->change);
    pthread_mutex_unlock(&self->lock);
}

/* Begins or asks for one piece; whether it is over. */
static bool advance(const mpi_team *self, piece *it) {
    if (!it->begun) {
        it->began = clock_seconds();
        MPI_Iallreduce(MPI_IN_PLACE, it->values, it->count, MPI_FLOAT, MPI_SUM, self->gradients, &it->request);
        it->begun = true;
    }
    int over = 0;
    MPI_Test(&it->request, &over, MPI_STATUS_IGNORE);
    if (over) it->ended = clock_seconds();
    return over != 0;
}

/* Under the lock, which it gives back while it waits. */
static void advance_all(mpi_team *self) {
    size_t before = self->over;
    for (size_t i = 0; i < self->asked; i++) {
        piece it = self->pieces[i]; /* the array may move meanwhile */
        if (it.over) continue;
        pthread_mutex_unlock(&self->lock);
        it.over = advance(self, &it);
        pthread_mutex_lock(&self->lock);
        self->pieces[i] = it;
        if (it.over) self->over++;
    }
    if (self->over == self->asked) pthread_cond_broadcast(&self->change);
    bool hurry = self->waiting || self->over > before;
    pthread_mutex_unlock(&self->lock);
    if (hurry)
        sched_yield();
    else
        nanosleep(&pause_between, NULL);
    pthread_mutex_lock(&self->lock);
}

static void *communicate(void *context) {
    mpi_team *self = context;
    pthread_mutex_lock(&self->lock);
    while (!self->stop) {
        if (self->over == self->asked)
            pthread_cond_wait(&self->change, &self->lock);
        else
            advance_all(self);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static void finish(void *context, team_report report, void *to) {
    mpi_team *self = context;
    pthread_mutex_lock(&self->lock);
    self->waiting = true;
    while (self->over < self->asked) pthread_cond_wait(&self->change, &self->lock);
    for (size_t i = 0; report && i < self->asked; i++)
        report(to, self->pieces[i].name, self->pieces[i].began, self->pieces[i].ended);
    self->asked = self->over = 0;
    self->waiting = false;
    pthread_mutex_unlock(&self->lock);
}

static void leave(train_team *team, bool failed) {
    mpi_team *self = team->context;
    if (failed) give_up();
    pthread_mutex_lock(&self->lock);
    self->stop = true;
    pthread_cond_broadcast(&self->change);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    MPI_Barrier(self->small); /* what rank 0 writes is written before any process ends */
    MPI_Comm_free(&self->small);
    MPI_Comm_free(&self->gradients);
    free(self->pieces);
    MPI_Finalize();
}

/* The thread takes no signals: those are the program's. */
static bool start_thread(mpi_team *self) {
    sigset_t all, before;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->change, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&self->thread, NULL, communicate, self) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

__attribute__((visibility("default"))) const char *vocode_team_join(train_team *team);

const char *vocode_team_join(train_team *team) {
    int provided = 0, rank = 0, size = 0;
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0); /* who waits leaves the processor to who computes */
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided) != MPI_SUCCESS) return "MPI cannot be started";
    if (provided < MPI_THREAD_MULTIPLE) return "this MPI does not let several threads call it (MPI_THREAD_MULTIPLE)";
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_dup(MPI_COMM_WORLD, &only.small);
    MPI_Comm_dup(MPI_COMM_WORLD, &only.gradients);
    if (!start_thread(&only)) return "cannot start the thread that reduces gradients";
    *team = (train_team){.rank = (size_t)rank,
                         .size = (size_t)size,
                         .context = &only,
                         .sum = sum,
                         .least = least,
                         .share = share,
                         .reduce = reduce,
                         .finish = finish,
                         .leave = leave};
    return NULL;
}
