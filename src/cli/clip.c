#include "cli/clip.h"

#include <stdint.h>
#include <stdlib.h>

#include <vocode/mel.h>

#include "io/bytes.h"

static vocode_status compute_mel(const vocode_mel *front_end, const char *name, const audio *sound,
                                 mel_frames_file *out, vocode_error *error) {
    size_t frames = vocode_mel_frames(front_end, sound->frames), bands = vocode_mel_bands(front_end), count, bytes;
    float *values = NULL;
    if (size_multiply(frames, bands, &count) && size_multiply(count, sizeof *values, &bytes))
        values = malloc(bytes ? bytes : sizeof *values);
    if (!values) return failed(error, VOCODE_MEMORY, "%s: no memory for a mel of %zu frames", name, frames);
    *out = (mel_frames_file){frames, bands, values};
    vocode_status status = vocode_mel_compute(front_end, sound->samples, sound->frames, values, error);
    return status == VOCODE_OK ? VOCODE_OK : failed_in(error, status, name);
}

static vocode_status model_front_end(const open_model *model, vocode_mel **out, vocode_error *error) {
    vocode_status status = vocode_mel_for_model(model->model, out, error);
    return status == VOCODE_OK ? VOCODE_OK : failed_in(error, status, model->path);
}

vocode_status clip_read(const char *path, const open_model *model, const arguments *given, clip *out, console *say,
                        vocode_error *error) {
    const warning_sink notes = console_notes(say);
    *out = (clip){0};
    const mel_reading reading = {model->info.n_mels, model->path, &given->layout};
    vocode_mel *front_end = NULL;
    if (!given->mel.given) TRY(model_front_end(model, &front_end, error));
    vocode_status status = audio_read_mono(path, model->info.sample_rate, &out->sound, &notes, error);
    if (status == VOCODE_OK && front_end)
        status = compute_mel(front_end, input_name(path), &out->sound, &out->mel, error);
    else if (status == VOCODE_OK)
        status = mel_read(given->mel.text, &reading, &out->mel, error);
    vocode_mel_free(front_end);
    if (status != VOCODE_OK) clip_free(out);
    return status;
}

void clip_free(clip *out) {
    audio_free(&out->sound);
    free(out->mel.values);
    *out = (clip){0};
}
