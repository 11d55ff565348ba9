#include "cli/bench.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <vocode/stream.h>

#include "cli/peak.h"
#include "core/clock.h"
#include "core/rng.h"
#include "io/bytes.h"
#include "vocoder/cost.h"
#include "vocoder/options.h"

/* Natural logarithms of speech have about this mean and deviation. */
#define MEL_MEAN (-5.0)
#define MEL_DEVIATION 2.0
#define KILOBYTE ((size_t)1024) /* the unit of ru_maxrss */

vocode_status bench_begin(const vocode_model *model, double seconds, int mel_match, int refine, bench *out,
                          vocode_error *error) {
    *out = (bench){.model = model, .mel_match = mel_match, .refine = refine};
    vocode_model_describe(model, &out->info);
    double frames = ceil(seconds * out->info.sample_rate / (double)out->info.hop);
    out->frames = frames < 1 ? 1 : (size_t)frames;
    size_t numbers, samples, bytes;
    if (size_multiply(out->frames, out->info.n_mels, &numbers) && size_multiply(out->frames, out->info.hop, &samples) &&
        size_multiply(numbers, sizeof(float), &bytes) && size_multiply(samples, sizeof(float), &bytes)) {
        out->mel = malloc(numbers * sizeof(float));
        out->audio = malloc(samples * sizeof(float));
    }
    if (!out->mel || !out->audio) {
        bench_end(out);
        return failed(error, VOCODE_MEMORY, "no memory for %g s of audio", seconds);
    }
    for (size_t i = 0; i < numbers; i++) out->mel[i] = (float)(MEL_MEAN + MEL_DEVIATION * rng_normal(0, 0, i));
    return VOCODE_OK;
}

void bench_end(bench *self) {
    free(self->mel);
    free(self->audio);
    *self = (bench){0};
}

static vocode_synthesis settings_of(const bench *self, int threads) {
    return (vocode_synthesis){.mel_match = self->mel_match, .refine = self->refine, .threads = threads};
}

vocode_status bench_find_facts(const bench *self, bench_facts *out, vocode_error *error) {
    const vocode_synthesis settings = settings_of(self, 1);
    vocode_stream *stream;
    TRY(vocode_stream_open(self->model, &settings, &stream, error));
    out->look_ahead = vocode_stream_look_ahead(stream);
    const after_chain after = options_after_chain(self->model, &settings);
    out->passes = after.passes;
    out->iterations = after.iterations;
    out->multiply_adds = model_multiply_adds(self->model);
    vocode_stream_free(stream);
    return VOCODE_OK;
}

/* Seconds of audio a second. */
static vocode_status measure_speed(const bench *self, const vocode_synthesis *settings, double *speed,
                                   vocode_error *error) {
    double best = HUGE_VAL;
    for (int turn = 0; turn < BENCH_TURNS; turn++) {
        double start = clock_seconds();
        TRY(vocode_synthesize(self->model, self->mel, self->frames, self->info.n_mels, settings, self->audio, error));
        best = fmin(best, clock_seconds() - start);
    }
    *speed = (double)self->frames * (double)self->info.hop / self->info.sample_rate / best;
    return VOCODE_OK;
}

/* Pushes `together` frames and then one at a time until samples come; *frames is how many it took, *seconds how long
 * the last push did. Mels that are too short are gone through again. */
static vocode_status first_samples(const bench *self, const vocode_synthesis *settings, size_t together, size_t *frames,
                                   double *seconds, vocode_error *error) {
    vocode_stream *stream;
    TRY(vocode_stream_open(self->model, settings, &stream, error));
    vocode_status status = VOCODE_OK;
    size_t most = together ? together : 1;
    *frames = 0;
    while (status == VOCODE_OK && vocode_stream_available(stream) == 0) {
        double start = clock_seconds();
        for (size_t done = 0, count; status == VOCODE_OK && done < most; done += count) {
            size_t at = *frames % self->frames, room = self->frames - at;
            count = most - done < room ? most - done : room;
            status = vocode_stream_push(stream, self->mel + at * self->info.n_mels, count, error);
            *frames += count;
        }
        *seconds = clock_seconds() - start;
        most = 1;
    }
    vocode_stream_free(stream);
    return status;
}

static vocode_status measure_first(const bench *self, const vocode_synthesis *settings, bench_run *out,
                                   vocode_error *error) {
    double seconds = 0;
    size_t frames = 0;
    out->first_audio = out->first_at_once = HUGE_VAL;
    for (int turn = 0; turn < BENCH_TURNS; turn++) {
        TRY(first_samples(self, settings, 0, &out->first_frames, &seconds, error));
        out->first_audio = fmin(out->first_audio, seconds);
        TRY(first_samples(self, settings, out->first_frames, &frames, &seconds, error));
        out->first_at_once = fmin(out->first_at_once, seconds);
    }
    return VOCODE_OK;
}

vocode_status bench_measure(const bench *self, const bench_facts *facts, int threads, bench_run *out,
                            vocode_error *error) {
    vocode_synthesis settings = settings_of(self, threads);
    *out = (bench_run){.threads = threads, .peak = peak_multiply_adds(threads)};
    TRY(measure_first(self, &settings, out, error));
    TRY(measure_speed(self, &settings, &out->speed, error));
    settings.mel_match = settings.refine = -1;
    out->model_speed = out->speed;
    if (facts->passes || facts->iterations) TRY(measure_speed(self, &settings, &out->model_speed, error));
    out->rate = facts->multiply_adds * out->model_speed;
    out->peak = fmax(out->peak, peak_multiply_adds(threads)); /* once more: the processor may have been busy before */
    return VOCODE_OK;
}

size_t bench_peak_memory(void) {
    struct rusage used;
    return getrusage(RUSAGE_SELF, &used) == 0 ? (size_t)used.ru_maxrss * KILOBYTE : 0;
}
