/* serve MODEL FOLDER: one model serves several listeners at once, a thread and a stream each. Listener N has the seed N
 * and gets FOLDER/N.f32, mono float samples, as they are made. The last listener hangs up half-way: the library asks
 * between the parts of its work whether to go on, and that stream ends with VOCODE_CANCELLED while the others go on. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <vocode/vocode.h>

enum { LISTENERS = 4, FRAMES = 200, CHUNK = 16, MOST = 4096 };

typedef struct listener {
    pthread_t thread;
    const vocode_model *model; /* shared: it does not change */
    const float *mel;          /* [FRAMES, n_mels], what this one is to hear */
    uint64_t seed;
    size_t patience;  /* samples after which it hangs up */
    atomic_bool gone; /* a server would set it where it sees that the connection is closed */
    FILE *to;
    vocode_status status;
    vocode_error error;
} listener;

/* The library's question: nonzero cancels. It comes in the thread that pushes. */
static int has_gone(void *context, double done) {
    const listener *self = context;
    (void)done;
    return atomic_load(&self->gone);
}

/* Hands over what is ready; returns how many samples. */
static size_t deliver(listener *self, vocode_stream *stream) {
    float samples[MOST];
    size_t sum = 0;
    for (size_t n; (n = vocode_stream_pull(stream, samples, MOST)) > 0; sum += n)
        if (fwrite(samples, sizeof *samples, n, self->to) < n) atomic_store(&self->gone, true);
    return sum;
}

/* A thread of a server is better spent on one stream alone than shared among many: options.threads is 1. */
static void *serve(void *context) {
    listener *self = context;
    vocode_synthesis options = {
        .size = sizeof options, .seed = self->seed, .threads = 1, .progress = has_gone, .context = self};
    vocode_model_info info;
    vocode_stream *stream = NULL;
    size_t heard = 0;
    vocode_model_describe(self->model, &info);
    self->status = vocode_stream_open(self->model, &options, &stream, &self->error);
    for (size_t t = 0; self->status == VOCODE_OK && t < FRAMES; t += CHUNK) {
        size_t count = FRAMES - t < CHUNK ? FRAMES - t : CHUNK;
        self->status = vocode_stream_push(stream, self->mel + t * info.n_mels, count, &self->error);
        if (self->status == VOCODE_OK) heard += deliver(self, stream);
        if (heard >= self->patience) atomic_store(&self->gone, true);
    }
    if (self->status == VOCODE_OK) self->status = vocode_stream_finish(stream, &self->error);
    if (self->status == VOCODE_OK) deliver(self, stream);
    vocode_stream_free(stream);
    return NULL;
}

static FILE *open_listener(const char *folder, unsigned number) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%u.f32", folder, number);
    return length > 0 && (size_t)length < sizeof path ? fopen(path, "wb") : NULL;
}

/* Starts them all, waits for all; returns how many were not served to their end or hung up. */
static int serve_all(const vocode_model *model, const float *mel, const char *folder) {
    static listener listeners[LISTENERS];
    int failures = 0;
    for (unsigned i = 0; i < LISTENERS; i++) {
        listener *self = &listeners[i];
        *self = (listener){.model = model, .mel = mel, .seed = i, .to = open_listener(folder, i)};
        self->patience = i + 1 < LISTENERS ? SIZE_MAX : MOST;
        if (self->to && pthread_create(&self->thread, NULL, serve, self) == 0) continue;
        if (self->to) fclose(self->to);
        self->to = NULL;
        failures++;
    }
    for (unsigned i = 0; i < LISTENERS; i++) {
        listener *self = &listeners[i];
        if (!self->to) continue;
        pthread_join(self->thread, NULL);
        bool lost = fclose(self->to) != 0;
        if (self->status != VOCODE_OK) fprintf(stderr, "listener %u: %s\n", i, self->error.message);
        if (lost || (self->status != VOCODE_OK && self->status != VOCODE_CANCELLED)) failures++;
    }
    return failures;
}

int main(int count, char **arguments) {
    vocode_error error = {0};
    vocode_model *model;
    vocode_model_info info;
    if (count != 3) return fputs("usage: serve MODEL FOLDER\n", stderr), 2;
    if (vocode_model_open(arguments[1], &model, &error) != VOCODE_OK)
        return fprintf(stderr, "%s\n", error.message), EXIT_FAILURE;
    vocode_model_describe(model, &info);
    float *mel = malloc(FRAMES * info.n_mels * sizeof *mel);
    for (size_t i = 0; mel && i < FRAMES * info.n_mels; i++) mel[i] = -5;
    int failures = mel ? serve_all(model, mel, arguments[2]) : 1;
    free(mel);
    vocode_model_free(model);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
