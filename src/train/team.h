/* Processes that train one model together: each takes its own part of every batch, and all take the same steps.
 *
 * How they talk is the table below, which src/mpi fills through MPI. Every rank makes the same calls in the same order.
 * Without a team (NULL) there is one process, and every function here does what is right for it. */
#ifndef TRAIN_TEAM_H
#define TRAIN_TEAM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/fail.h"
#include "core/real.h"

/* Told of a reduction when it is over: clock_seconds (core/clock.h). */
typedef void (*team_report)(void *context, const char *name, double began, double ended);

typedef struct train_team {
    size_t rank, size;
    bool late;   /* reductions begin after backward, all at once: for comparison */
    bool agreed; /* a failure that every rank knows: they end in order */
    bool silent; /* another rank says why */
    void *context;
    /* values [count] <- their sums over the ranks, or the least of each; to the same bits in each rank. Returns when
     * they are there. */
    void (*sum)(void *context, double *values, size_t count);
    void (*least)(void *context, double *values, size_t count);
    /* Rank 0's bytes to all. */
    void (*share)(void *context, void *bytes, size_t size);
    /* Begins to sum values [count], to the same bits in each rank; they are not touched before finish. The name stays
     * valid as long. */
    void (*reduce)(void *context, const char *name, real *values, size_t count);
    /* Waits for everything that was begun and tells of it, unless report is NULL. */
    void (*finish)(void *context, team_report report, void *to);
    /* Ends the team: in order, or at once and with all of its processes where this one failed alone. */
    void (*leave)(struct train_team *self, bool failed);
} train_team;

/* The symbol vocode_team_join of a module that makes teams: fills *team, or returns a sentence that says why not. */
typedef const char *(*team_join)(train_team *team);
#define TEAM_JOIN_SYMBOL "vocode_team_join"

size_t team_rank(const train_team *team); /* 0 without one */
size_t team_size(const train_team *team); /* 1 without one */
double team_sum(const train_team *team, double value);
bool team_any(const train_team *team, bool value);

/* After something that may fail in some ranks: VOCODE_OK where it succeeded in all. Otherwise all fail, and the lowest
 * rank that did has the sentence; the others are silent. */
vocode_status team_agree(train_team *team, vocode_status status, vocode_error *error);

/* VOCODE_VALUE with the sentence unless the text is the same in every rank. */
vocode_status team_check_same(train_team *team, const char *text, const char *sentence, vocode_error *error);

#endif
