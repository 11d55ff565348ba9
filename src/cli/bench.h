/* Measurements of one model on this machine. Each time is the best of BENCH_TURNS, since what disturbs a run only makes
 * it slower. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <stddef.h>

#include <vocode/model.h>

enum { BENCH_TURNS = 3 };

/* What is measured. */
typedef struct bench {
    const vocode_model *model;
    vocode_model_info info;
    int mel_match; /* as in vocode_synthesis */
    int refine;    /* the same */
    size_t frames; /* of the mel below */
    float *mel;    /* [frames, n_mels], owned */
    float *audio;  /* [frames * hop], owned: room for what is made */
} bench;

/* A mel of `seconds` whose numbers are noise about what speech has: no time depends on them. Free with bench_end. */
vocode_status bench_begin(const vocode_model *model, double seconds, int mel_match, int refine, bench *out,
                          vocode_error *error);
void bench_end(bench *self);

/* What does not depend on threads. */
typedef struct bench_facts {
    size_t passes;        /* of mel consistency */
    size_t iterations;    /* of phase refinement */
    size_t look_ahead;    /* frames of a stream, the passes included */
    double multiply_adds; /* of the model for a second of audio */
} bench_facts;
vocode_status bench_find_facts(const bench *self, bench_facts *out, vocode_error *error);

/* With one number of threads. */
typedef struct bench_run {
    int threads;
    double speed;       /* seconds of audio a second, one-shot, with the passes and the refinement */
    double model_speed; /* without them: the model's own arithmetic */
    double rate,
        peak; /* multiply-adds a second: the model's at that speed, and this processor's most; peak 0: unknown */
    size_t first_frames;  /* frames until a stream gave its first samples */
    double first_audio;   /* seconds from the push of the last of them to these samples, the others pushed before */
    double first_at_once; /* seconds to the first samples where all of them are pushed together */
} bench_run;
vocode_status bench_measure(const bench *self, const bench_facts *facts, int threads, bench_run *out,
                            vocode_error *error);

/* Bytes of memory that this process held at most. */
size_t bench_peak_memory(void);

#endif
