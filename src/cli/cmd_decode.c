/* vocode decode: latent back to audio, the inverse of encode. */
#include <stdlib.h>

#include "cli/arrays.h"
#include "cli/commands.h"
#include "cli/sound.h"
#include "cli/use_model.h"
#include "io/bytes.h"

static const option_row options[] = {
    OPTION_MODEL,
    OPTION_LAYOUT,
    OPTION_FORMAT,
    OPTION_THREADS,
};

static vocode_status decode(const arguments *given, const open_model *model, const latent_file *latent,
                            const mel_frames_file *mel, console *out, vocode_error *error) {
    const char *name = input_name(given->items[0]);
    size_t samples = vocode_decode_size(model->model, latent->columns), bytes;
    float *audio = NULL;
    if (size_multiply(samples, sizeof *audio, &bytes)) audio = malloc(bytes ? bytes : sizeof *audio);
    if (!audio) return failed(error, VOCODE_MEMORY, "%s: no memory for %zu samples", name, samples);
    vocode_status status = vocode_decode(model->model, latent->values, latent->columns, mel->values, mel->frames,
                                         (int)given->threads.integer, audio, error);
    if (status == VOCODE_OK)
        status = sound_write(given, given->items[2], audio, samples, model->info.sample_rate, out, error);
    else
        failed_in(error, status, name);
    free(audio);
    return status;
}

static int run_command(const arguments *given, console *out) {
    int usage = sound_check(given, &command_decode, given->items[2], out);
    if (usage != EXIT_SUCCESS) return usage;
    open_model model;
    latent_file latent = {0};
    mel_frames_file mel = {0};
    vocode_error error;
    vocode_status status = use_model(given, &model, out, &error);
    if (status == VOCODE_OK) status = latent_read(given->items[0], model.info.latent_channels, &latent, &error);
    const mel_reading reading = {model.info.n_mels, model.path, &given->layout};
    if (status == VOCODE_OK) status = mel_read(given->items[1], &reading, &mel, &error);
    if (status == VOCODE_OK) status = decode(given, &model, &latent, &mel, out, &error);
    free(latent.values);
    free(mel.values);
    release_model(&model);
    return console_finish(out, status, &error);
}

const command command_decode = {
    .name = "decode",
    .synopsis = "Z.npy MEL.npy OUT.wav [options]",
    .summary = "latent back to audio: the inverse of encode",
    .details = "MEL.npy is the mel that encode was given or computed. --format float returns the audio unrounded.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 3,
    .most = 3,
    .run = run_command,
};
