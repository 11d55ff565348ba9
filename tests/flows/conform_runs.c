/* Memory, shapes and the data-dependent start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flows/allocations.h"
#include "flows/conform.h"

/* Every use once; whatever they need besides the flow's own memory is there already. */
typedef struct workspace {
    real *z, *x, *dx, *grads, *dcond;
    double *logdet;
} workspace;

static vocode_status run_use(const subject *s, flow_use use, const workspace *w, subject_run *r) {
    arena *tape = use == FLOW_TRAIN ? &r->tape : NULL;
    r->run.grads = w->grads;
    r->run.dcond = w->dcond;
    if (use == FLOW_INVERSE) return flow_inverse(s->chain, &r->run, s->x, w->x);
    if (use == FLOW_SAMPLE) {
        vocode_status sampled = flow_inverse(s->chain, &r->run, s->dz, w->x);
        if (sampled != VOCODE_OK) return sampled;
        return flow_inverse_backward(s->chain, &r->run, w->x, w->z, s->x, w->dx, &r->tape);
    }
    vocode_status status = flow_forward(s->chain, &r->run, s->x, w->z, w->logdet, tape);
    if (status != VOCODE_OK || use == FLOW_FORWARD) return status;
    r->tape.used = 0;
    if (use == FLOW_TRAIN) return flow_backward(s->chain, &r->run, s->x, w->z, s->dz, s->dlogdet, w->dx, &r->tape);
    return flow_backward_rebuild(s->chain, &r->run, w->z, w->x, s->dz, s->dlogdet, w->dx, &r->tape);
}

/* What was measured is what is needed: the largest use, to the byte. */
static void check_exact(const subject *s, flow_use use, const subject_run *r) {
    size_t scratch = r->work.scratch.peak ? r->work.scratch.peak : ARENA_ALIGNMENT;
    bool first_batch = use == FLOW_FORWARD && (s->chain->traits & FLOW_DATA_DEPENDENT_INIT);
    if ((scratch != s->scratch[use].size && !first_batch) || r->tape.peak != s->tape[use].size)
        fail_msg("%s: measured %zu bytes of scratch and %zu of tape for use %d, took %zu and %zu", s->what->name,
                 s->scratch[use].size, s->tape[use].size, (int)use, scratch, r->tape.peak);
}

void conform_allocations(const subject *s) {
    workspace w = {numbers(s->count),     numbers(s->count),      numbers(s->count),
                   numbers(s->set.total), numbers(s->cond_count), calloc(s->batch, sizeof(double))};
    bool works = allocations_counted();
    for (int use = 0; use < FLOW_USES; use++) {
        if (!subject_serves(s, (flow_use)use)) continue;
        size_t taken = 0;
        for (int pass = 0; pass < 2; pass++) { /* the first call of a BLAS or thread team takes memory for good */
            subject_run r;
            subject_start(s, (flow_use)use, &r);
            allocations_start();
            vocode_status status = run_use(s, (flow_use)use, &w, &r);
            taken = allocations_stop();
            assert_int_equal(status, VOCODE_OK);
            subject_check(s, (flow_use)use, &r);
            check_exact(s, (flow_use)use, &r);
        }
        if (works && taken) fail_msg("%s: %zu allocations in use %d", s->what->name, taken, use);
    }
    real *owned[] = {w.z, w.x, w.dx, w.grads, w.dcond};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) aligned_free(owned[i]);
    free(w.logdet);
}

static void check_moments(const subject *s, const real *z) {
    size_t channels = s->latent.channels, rows = s->latent.batch * s->latent.frames;
    for (size_t c = 0; c < channels; c++) {
        double sum = 0, square = 0;
        for (size_t t = 0; t < rows; t++) sum += (double)z[t * channels + c];
        double mean = sum / (double)rows;
        for (size_t t = 0; t < rows; t++) {
            double distance = (double)z[t * channels + c] - mean;
            square += distance * distance;
        }
        if (!(fabs(mean) <= 1e-9) || !(fabs(square / (double)rows - 1) <= 1e-9))
            fail_msg("%s: after the first batch channel %zu has mean %g and variance %g", s->what->name, c, mean,
                     square / (double)rows);
    }
}

void conform_first_batch(const subject *s) {
    size_t total = s->set.total;
    real *before = copy_of(s->set.storage, total), *z = numbers(s->count);
    double *logdet = calloc(s->batch, sizeof *logdet);
    vocode_error error = {0};
    subject_run r;
    subject_start(s, FLOW_FORWARD, &r);
    if (flow_init_from(s->chain, &r.run, s->x) != VOCODE_OK) fail_msg("%s: %s", s->what->name, r.error.message);
    subject_check(s, FLOW_FORWARD, &r);
    bool changed = memcmp(before, s->set.storage, total * sizeof *before) != 0;
    if (changed != ((s->chain->traits & FLOW_DATA_DEPENDENT_INIT) != 0))
        fail_msg("%s: the first batch %s parameters, against its trait", s->what->name, changed ? "sets" : "sets no");
    if (s->what->normalises) {
        subject_forward(s, s->x, s->cond, z, logdet);
        check_moments(s, z);
    }
    memcpy(s->set.storage, before, total * sizeof *before);
    assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
    aligned_free(before);
    aligned_free(z);
    free(logdet);
}

/* The run as it is now is refused in every direction and nothing is written. */
static void refused(const subject *s, const char *what, subject_run *r) {
    real *out = numbers(s->count);
    double logdet[8] = {0};
    size_t scratch = 1, tape = 1;
    vocode_status status[] = {
        flow_forward(s->chain, &r->run, s->x, out, logdet, NULL),
        flow_inverse(s->chain, &r->run, s->x, out),
        flow_backward(s->chain, &r->run, s->x, s->x, s->dz, s->dlogdet, out, &r->tape),
        flow_init_from(s->chain, &r->run, s->x),
        r->run.cond || !s->what->cond_channels ? flow_measure(s->chain, &r->run, FLOW_INVERSE, &scratch, &tape)
                                               : VOCODE_SHAPE,
    };
    for (size_t i = 0; i < sizeof status / sizeof *status; i++)
        if (status[i] != VOCODE_SHAPE) fail_msg("%s: took %s in call %zu", s->what->name, what, i);
    assert_true(largest(out, s->count) == 0 && logdet[0] == 0);
    assert_true(strlen(r->error.message) > 10);
    assert_non_null(strstr(r->error.message, "expected"));
    aligned_free(out);
}

static void check_latent_shapes(const subject *s) {
    flow_shape z = s->latent, x;
    vocode_error error = {0};
    assert_int_equal(flow_data_shape(s->chain, z, &x, &error), VOCODE_OK);
    assert_memory_equal(&x, &s->shape, sizeof x);
    assert_int_equal(flow_shape_count(z), s->count);
    z.channels++;
    assert_int_equal(flow_data_shape(s->chain, z, &x, &error), VOCODE_SHAPE);
    z = s->latent;
    z.frames = SIZE_MAX / 2;
    assert_int_equal(flow_data_shape(s->chain, z, &x, &error), VOCODE_SHAPE);
    x = s->shape;
    x.frames = SIZE_MAX / s->chain->fold / 2 * s->chain->fold;
    assert_int_equal(flow_latent_shape(s->chain, x, &z, &error), VOCODE_SHAPE);
}

void conform_shapes(const subject *s) {
    subject_run r;
    check_latent_shapes(s);
    subject_start(s, FLOW_FORWARD, &r);
    r.run.shape.channels++;
    refused(s, "a channel too many", &r);
    subject_start(s, FLOW_FORWARD, &r);
    r.run.shape.frames = 0;
    refused(s, "no frames", &r);
    subject_start(s, FLOW_FORWARD, &r);
    r.run.shape.batch = 0;
    refused(s, "an empty batch", &r);
    if (s->chain->fold > 1) {
        subject_start(s, FLOW_FORWARD, &r);
        r.run.shape.frames++;
        refused(s, "a frame too many", &r);
    }
    if (!s->what->cond_channels) return;
    subject_start(s, FLOW_FORWARD, &r);
    r.run.cond_channels++;
    refused(s, "a channel of conditioning too many", &r);
    subject_start(s, FLOW_FORWARD, &r);
    r.run.cond = NULL;
    refused(s, "no conditioning", &r);
    subject_start(s, FLOW_FORWARD, &r);
    r.run.cond_frames = 0;
    refused(s, "no frames of conditioning", &r);
    subject_start(s, FLOW_FORWARD, &r);
    r.run.cond_frames = s->shape.frames + 1;
    refused(s, "a frame of conditioning too many", &r);
}
