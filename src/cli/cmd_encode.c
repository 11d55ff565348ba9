/* vocode encode: audio to latent. */
#include <stdlib.h>

#include "cli/clip.h"
#include "cli/commands.h"
#include "io/bytes.h"

static const option_row options[] = {
    OPTION_MODEL,
    {"mel", 0, "MEL.npy", OPTION_TEXT, offsetof(arguments, mel),
     .doc = "the mel to condition on (default: computed from the audio in the model's convention)"},
    OPTION_LAYOUT,
    OPTION_THREADS,
};

static vocode_status encode(const arguments *given, const open_model *model, const clip *in, console *out,
                            vocode_error *error) {
    const char *name = input_name(given->items[0]);
    size_t used, columns, count, bytes;
    float *latent = NULL;
    vocode_encode_size(model->model, in->sound.frames, in->mel.frames, &used, &columns);
    if (size_multiply(columns, model->info.latent_channels, &count) && size_multiply(count, sizeof *latent, &bytes))
        latent = malloc(bytes ? bytes : sizeof *latent);
    if (!latent) return failed(error, VOCODE_MEMORY, "%s: no memory for %zu columns", name, columns);
    vocode_status status = vocode_encode(model->model, in->sound.samples, in->sound.frames, in->mel.values,
                                         in->mel.frames, (int)given->threads.integer, latent, NULL, error);
    if (status == VOCODE_OK) {
        console_detail(out, "%s: %zu of %zu samples, %zu columns of %zu numbers", name, used, in->sound.frames, columns,
                       model->info.latent_channels);
        status = array_write(given->items[1], latent, model->info.latent_channels, columns, error);
    } else {
        failed_in(error, status, name);
    }
    free(latent);
    return status;
}

static int run_command(const arguments *given, console *out) {
    open_model model;
    clip in;
    vocode_error error;
    vocode_status status = use_model(given, &model, out, &error);
    if (status == VOCODE_OK) status = clip_read(given->items[0], &model, given, &in, out, &error);
    if (status == VOCODE_OK) {
        status = encode(given, &model, &in, out, &error);
        clip_free(&in);
    }
    release_model(&model);
    return console_finish(out, status, &error);
}

const command command_encode = {
    .name = "encode",
    .synopsis = "IN.wav Z.npy [options]",
    .summary = "audio to latent",
    .details = "Z.npy is float32, [latent channels, columns], of min(samples / hop, frames) times hop samples.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 2,
    .most = 2,
    .run = run_command,
};
