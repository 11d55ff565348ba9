#include <stdlib.h>
#include <unistd.h>

#include "cli/names.h"
#include "cli/page.h"
#include "cli/run_report.h"
#include "io/audio.h"

/* What keeps the page of a sensible size: some 400 kB a sound. */
enum { CLIPS_MOST = 4, STEPS_MOST = 4, SECONDS_MOST = 6 };

/* A file that is absent or cannot be read is left out; the latter is said. */
static vocode_status write_sound(const run_about *run, const char *title, const char *clip, char *path, FILE *to,
                                 vocode_error *error) {
    audio sound;
    vocode_error trouble;
    if (!path) return failed(error, VOCODE_MEMORY, "out of memory for the report");
    if (access(path, F_OK) != 0) return VOCODE_OK;
    if (audio_read_mono(path, 0, &sound, NULL, &trouble) != VOCODE_OK) {
        console_warning(run->out, "a sound is left out: %s", trouble.message);
        return VOCODE_OK;
    }
    size_t most = (size_t)SECONDS_MOST * sound.sample_rate;
    vocode_status status =
        page_sound(title, clip, sound.samples, sound.frames < most ? sound.frames : most, sound.sample_rate, to, error);
    audio_free(&sound);
    return status;
}

/* Which of the steps stands at place i of `shown`: the first, the last, and others between. */
static size_t step_at(const run_samples *samples, size_t i, size_t shown) {
    return shown < 2 ? samples->step_count - 1 : i * (samples->step_count - 1) / (shown - 1);
}

static vocode_status write_clip(const run_about *run, const char *clip, FILE *to, vocode_error *error) {
    const run_samples *samples = &run->samples;
    size_t shown = samples->step_count < STEPS_MOST ? samples->step_count : STEPS_MOST;
    fputs("<article>\n<h3>", to);
    for (size_t i = 0; i < stem_length(clip); i++) page_escape((const char[]){clip[i], 0}, to);
    fputs("</h3>\n<div class=\"pair\">\n", to);
    char *path = samples_path(samples, NULL, clip);
    vocode_status status = write_sound(run, "the recording", clip, path, to, error);
    free(path);
    for (size_t i = 0; status == VOCODE_OK && i < shown; i++) {
        char title[64];
        const uint64_t *step = &samples->steps[step_at(samples, i, shown)];
        snprintf(title, sizeof title, "generated after step %llu", (unsigned long long)*step);
        path = samples_path(samples, step, clip);
        status = write_sound(run, title, clip, path, to, error);
        free(path);
    }
    fputs("</div>\n</article>\n", to);
    return status;
}

vocode_status run_report_samples(const run_about *run, FILE *to, vocode_error *error) {
    const run_samples *samples = &run->samples;
    size_t shown = samples->name_count < CLIPS_MOST ? samples->name_count : CLIPS_MOST;
    fputs("<h2>Pictures and sound</h2>\n", to);
    if (shown == 0) {
        fputs("<p class=\"soft\">This run's folder holds no samples.</p>\n", to);
        return VOCODE_OK;
    }
    fprintf(
        to,
        "<p class=\"soft\">Made by the averaged weights from the mels of recordings that training does not see. In the "
        "pictures time runs to the right, frequency from 0 at the bottom to half the rate at the top, 80 dB from "
        "dark to bright on one scale. Good looks like the recording: the level lines of voiced speech thin, even "
        "and as high up, the noise of an <i>s</i> without a pattern, pauses dark. At most %d seconds",
        SECONDS_MOST);
    if (shown < samples->name_count) fprintf(to, " of %zu of %zu clips", shown, samples->name_count);
    fputs(".</p>\n", to);
    for (size_t i = 0; i < shown; i++) TRY(write_clip(run, samples->names[i], to, error));
    return VOCODE_OK;
}
