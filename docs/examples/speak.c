/* speak MODEL: makes speech of a mel in memory, bit by bit; mono float samples go to standard output. */
#include <stdio.h>
#include <vocode/vocode.h>

enum { FRAMES = 200, BANDS = 80, CHUNK = 8, MOST = 4096 };

int main(int count, char **arguments) {
    static float mel[FRAMES][BANDS], samples[MOST]; /* natural logarithms of magnitudes, in the order of time */
    for (size_t i = 0; i < FRAMES * BANDS; i++) mel[i / BANDS][i % BANDS] = -5; /* or what your front end says */
    vocode_error error = {0};
    vocode_model *model = NULL;
    vocode_model_info info;
    vocode_stream *stream = NULL;
    vocode_status status = vocode_model_open(count > 1 ? arguments[1] : "models/default.safetensors", &model, &error);
    if (status == VOCODE_OK) vocode_model_describe(model, &info);
    if (status == VOCODE_OK && info.n_mels != BANDS) status = VOCODE_SHAPE;
    if (status == VOCODE_OK) status = vocode_stream_open(model, NULL, &stream, &error);
    for (size_t t = 0; status == VOCODE_OK && t <= FRAMES; t += CHUNK) {
        if (t < FRAMES)
            status = vocode_stream_push(stream, mel[t], CHUNK, &error);
        else
            status = vocode_stream_finish(stream, &error);
        for (size_t n = 1; status == VOCODE_OK && n > 0;)
            n = fwrite(samples, sizeof *samples, vocode_stream_pull(stream, samples, MOST), stdout);
    }
    if (status != VOCODE_OK) fprintf(stderr, "%s: %s\n", vocode_status_text(status), error.message);
    vocode_stream_free(stream);
    vocode_model_free(model);
    return status != VOCODE_OK || fflush(stdout) != 0;
}
