#include "vocoder/sample_energy.h"

#include <stdlib.h>

#include "dsp/mel_distance.h"
#include "dsp/spectral_energy.h"

struct sample_energy {
    spectral_energy *spectral;
    mel_distance *mel; /* or NULL */
    double repulsion, mel_weight;
};

vocode_status sample_energy_new(const vocode_model *model, double repulsion, double mel_weight, sample_energy **out,
                                vocode_error *error) {
    sample_energy *self = *out = calloc(1, sizeof *self);
    if (!self) return failed(error, VOCODE_MEMORY, "cannot allocate a distance of samples");
    *self = (sample_energy){.repulsion = repulsion, .mel_weight = mel_weight};
    vocode_status status = spectral_energy_new(&self->spectral, error);
    if (status == VOCODE_OK && model->has_mel && mel_weight > 0)
        status = mel_distance_new(&model->mel, &self->mel, error);
    if (status != VOCODE_OK) {
        sample_energy_free(self);
        *out = NULL;
    }
    return status;
}

void sample_energy_free(sample_energy *self) {
    if (!self) return;
    spectral_energy_free(self->spectral);
    mel_distance_free(self->mel);
    free(self);
}

vocode_status sample_energy_check(size_t samples, vocode_error *error) {
    if (samples >= SPECTRAL_LONGEST) return VOCODE_OK;
    return failed(error, VOCODE_VALUE, "expected segments of at least %d samples, found %zu", SPECTRAL_LONGEST,
                  samples);
}

/* What the loop over batch elements works on. */
typedef struct energy_job {
    const sample_energy *self;
    flow_shape shape;
    const real *x;
    real *y[ENERGY_DRAFTS], *dy[ENERGY_DRAFTS];
    double weight;
    arena *memory; /* [batch] */
    double *sums;  /* [batch] */
} energy_job;

/* Of one signal, or the scratch that it takes. */
static double element_distance(const energy_job *job, size_t b, double weight, arena *memory) {
    const sample_energy *self = job->self;
    size_t each = job->shape.frames, at = b * each;
    const real *x = memory->base ? job->x + at : NULL;
    const real *y[ENERGY_DRAFTS] = {part_of(job->y[0], at), part_of(job->y[1], at)};
    real *dy[ENERGY_DRAFTS] = {part_of(job->dy[0], at), part_of(job->dy[1], at)};
    double sum =
        spectral_energy_run(self->spectral, each, x, y[0], y[1], self->repulsion, weight, dy[0], dy[1], memory);
    double half = self->mel_weight / ENERGY_DRAFTS;
    for (size_t i = 0; self->mel && i < ENERGY_DRAFTS; i++)
        sum += half * mel_distance_run(self->mel, each, x, y[i], weight * half, dy[i], memory);
    return sum;
}

static void element_energy(void *context, size_t b) {
    const energy_job *job = context;
    job->sums[b] = element_distance(job, b, job->weight / (double)job->shape.batch, &job->memory[b]);
}

double sample_energy_run(const sample_energy *self, compute *work, flow_shape shape, const real *x,
                         real *const y[ENERGY_DRAFTS], double weight, real *const dy[ENERGY_DRAFTS]) {
    size_t mark = work->scratch.used, batch = shape.batch;
    arena counting = arena_over(NULL, 0);
    energy_job job = {.self = self, .shape = shape, .weight = weight};
    element_distance(&job, 0, 0, &counting);
    job.x = x;
    job.memory = arena_take(&work->scratch, batch, sizeof *job.memory);
    job.sums = arena_take(&work->scratch, batch, sizeof *job.sums);
    for (size_t i = 0; i < ENERGY_DRAFTS; i++) {
        job.y[i] = y[i];
        job.dy[i] = dy[i];
        if (dy[i]) run_zero(work, flow_shape_count(shape), dy[i]);
    }
    for (size_t b = 0; b < batch; b++) {
        void *own = arena_take(&work->scratch, counting.peak, 1);
        if (job.memory) job.memory[b] = arena_over(own, counting.peak);
    }
    run_tasks(work, batch, element_energy, &job);
    double sum = 0;
    for (size_t b = 0; !measuring(work) && b < batch; b++) sum += job.sums[b] / (double)batch;
    arena_release(&work->scratch, mark);
    return sum;
}
