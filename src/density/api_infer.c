/* The public face of variational inference. */
#include <stdlib.h>

#include "core/versioned.h"
#include "density/api.h"
#include "density/vi.h"

enum { MOST_STEPS = 1000000000, MOST_TRIES = 1000 };

/* What a caller gave, in full. */
typedef struct request {
    vocode_inference_options given;
    base_kind base;
    vi_options fit;
    bool cancelled;
} request;

static vocode_status read_options(const vocode_inference_options *from, request *out, vocode_error *error) {
    static const versioned about = {"vocode_inference_options",
                                    offsetof(vocode_inference_options, context) + sizeof(void *),
                                    sizeof(vocode_inference_options)};
    *out = (request){.fit = vi_defaults};
    TRY(versioned_read(&about, from, &out->given, error));
    const vocode_inference_options *given = &out->given;
    vi_options *fit = &out->fit;
    TRY(api_find_base(given->base, &out->base, error));
    TRY(api_check_count("tries", given->tries, MOST_TRIES, error));
    TRY(api_check_count("steps", given->steps, MOST_STEPS, error));
    TRY(api_check_count("anneal", given->anneal, MOST_STEPS, error));
    TRY(api_check_count("batch", given->batch, MOST_ROWS_OF_A_STEP, error));
    TRY(api_check_number("rate", given->rate, 1, error));
    TRY(api_check_number("clip", given->clip, HUGE_VAL, error));
    TRY(api_find_threads(given->threads, &fit->threads, error));
    if (given->tries) fit->tries = given->tries;
    if (given->steps) fit->steps = given->steps;
    if (given->batch) fit->batch = given->batch;
    if (given->rate > 0) fit->rate = given->rate;
    if (given->clip > 0) fit->clip = given->clip;
    fit->anneal = given->anneal;
    fit->seed = given->seed;
    return VOCODE_OK;
}

/* A caller's energy behind the inner interface. */
typedef struct foreign {
    vocode_energy find;
    void *context;
    size_t channels;
} foreign;

/* Where a real is no float: through copies. */
static bool find_through_copies(const foreign *self, const real *z, size_t rows, double *value, real *slope) {
    size_t count = rows * self->channels;
    float *copy = calloc(2 * count, sizeof *copy);
    bool found = false;
    for (size_t i = 0; copy && i < count; i++) copy[i] = (float)z[i];
    if (copy) found = self->find(self->context, copy, rows, value, slope ? copy + count : NULL) == 0;
    for (size_t i = 0; found && slope && i < count; i++) slope[i] = (real)copy[count + i];
    free(copy);
    return found;
}

static bool find_energy(void *context, const real *z, size_t rows, double *value, real *slope) {
    const foreign *self = context;
    if (sizeof(real) != sizeof(float)) return find_through_copies(self, z, rows, value, slope);
    return self->find(self->context, (const float *)(const void *)z, rows, value, (float *)(void *)slope) == 0;
}

static bool see(void *context, const vi_progress *now) {
    request *asked = context;
    const vocode_inference_progress shown = {.attempt = now->attempt,
                                             .attempts = now->attempts,
                                             .step = now->step,
                                             .steps = now->steps,
                                             .skipped = now->skipped,
                                             .free_energy = now->free_energy,
                                             .beta = now->beta,
                                             .rate = now->rate};
    int answer = asked->given.watch(asked->given.context, &shown);
    asked->cancelled = answer < 0;
    return answer == 0;
}

vocode_status vocode_flow_infer(const char *spec, size_t channels, vocode_energy find, void *energy_context,
                                const vocode_inference_options *options, vocode_flow **model, vocode_error *error) {
    request asked;
    foreign from = {find, energy_context, channels};
    const energy target = {find_energy, &from};
    *model = NULL;
    TRY(read_options(options, &asked, error));
    if (channels == 0) return failed(error, VOCODE_SHAPE, "expected rows of at least one number, found none");
    TRY(vectors_create_turned(spec, asked.base, channels, asked.given.seed, model, error));
    const vi_watch watch = {asked.given.watch ? see : NULL, &asked};
    vocode_status status = vi_fit(*model, &target, &asked.fit, &watch, error);
    if (asked.cancelled) status = failed(error, VOCODE_CANCELLED, "the inference was cancelled");
    if (status != VOCODE_OK) {
        vectors_free(*model);
        *model = NULL;
    }
    return status;
}

vocode_status vocode_flow_evidence(const vocode_flow *model, vocode_energy find, void *energy_context, size_t draws,
                                   uint64_t seed, int threads, vocode_evidence *evidence, vocode_error *error) {
    foreign from = {find, energy_context, model->channels};
    const energy target = {find_energy, &from};
    vi_evidence found;
    TRY(api_find_threads(threads, &threads, error));
    if (draws < 2) return failed(error, VOCODE_SHAPE, "expected at least 2 draws, found %zu", draws);
    TRY(vi_measure(model, &target, draws, seed, threads, &found, error));
    *evidence = (vocode_evidence){.bound = found.bound,
                                  .bound_error = found.bound_error,
                                  .log_z = found.log_z,
                                  .log_z_error = found.log_z_error,
                                  .effective = found.effective,
                                  .draws = draws};
    return VOCODE_OK;
}
