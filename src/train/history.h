/* What a run's log.jsonl says, as series over the steps. Written for reading runs that are under way: a last line that
 * is cut off is left out, lines that are no object and fields that are not known are passed over. */
#ifndef TRAIN_HISTORY_H
#define TRAIN_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "io/json.h"

/* X(name, field of the log, the field's other name where the objective is no likelihood) */
#define HISTORY_LIST(X)                                \
    X(LOSS, "nll", "loss")                             \
    X(VALIDATION, "validation_nll", "validation_loss") \
    X(SPECTRAL, "spectral", NULL)                      \
    X(HELD_SPECTRAL, "validation_spectral", NULL)      \
    X(NORM, "gradient_norm", NULL)                     \
    X(RATE, "learning_rate", NULL)                     \
    X(SPEED, "audio_seconds_a_second", NULL)

#define HISTORY_ENUM(name, field, other) HISTORY_##name,
typedef enum history_kind { HISTORY_LIST(HISTORY_ENUM) HISTORY_COUNT } history_kind;
#undef HISTORY_ENUM

typedef struct history_series {
    uint64_t *steps; /* [count], growing */
    double *values;  /* [count], finite; losses in nats a sample where they are likelihoods */
    size_t count, room;
} history_series;

typedef struct run_history {
    history_series series[HISTORY_COUNT];
    bool likelihood;  /* the losses are negative log-likelihoods */
    uint64_t step;    /* the last one */
    double seconds;   /* of training, as the last line has it */
    uint64_t skipped; /* steps without an update, their numbers not being finite */
    size_t lines;     /* whole ones that are objects */
    size_t damaged;   /* other whole lines */
    bool torn;        /* the last line is cut off */
    size_t infinite;  /* values that were no finite number, and are in no series */
    char *about;      /* what the log says of its numbers, or NULL */
    json_t *config;   /* as the log has it, or NULL */
} run_history;

/* VOCODE_IO where the file cannot be read. What a later line says of a step voids what earlier ones said of it and of
 * later steps: a run that went on from a checkpoint. Free it with history_free, also after a failure. */
vocode_status history_read(const char *path, run_history *out, vocode_error *error);
void history_free(run_history *history);

/* The lowest value; false where there is none. */
bool history_lowest(const history_series *series, uint64_t *step, double *value);

#endif
