#include "dsp/stft.h"

#include <math.h>
#include <string.h>

#include "core/fail.h"

#define ENVELOPE_LEAST 1e-11 /* torch.istft refuses less; we leave the sample as it is, which is then zero */

static void fill_window(stft *transform, size_t win) {
    double *window = transform->window + (transform->n_fft - win) / 2;
    for (size_t i = 0; i < win; i++) window[i] = 0.5 - 0.5 * cos(2 * M_PI * (double)i / (double)win);
}

/* Sum of squared windows at a position of the padded signal, over frames first..last, in frame order. */
static double envelope_at(const stft *transform, size_t position, size_t first, size_t last) {
    double sum = 0;
    for (size_t t = first; t <= last; t++) {
        double w = transform->window[position - t * transform->hop];
        sum += w * w;
    }
    return sum;
}

vocode_status stft_init(stft *transform, size_t n_fft, size_t hop, size_t win, size_t pad, stft_padding padding,
                        vocode_error *error) {
    *transform = (stft){.n_fft = n_fft, .hop = hop, .bins = n_fft / 2 + 1, .pad = pad, .padding = padding};
    if (hop == 0 || win == 0 || win > n_fft || hop > n_fft)
        return failed(error, VOCODE_VALUE, "an STFT of %zu points cannot have hop %zu and a window of %zu", n_fft, hop,
                      win);
    TRY(fft_plan_get(FFT_REAL_FORWARD, n_fft, &transform->forward, error));
    TRY(fft_plan_get(FFT_REAL_INVERSE, n_fft, &transform->inverse, error));
    transform->window = aligned_new(n_fft, sizeof(double));
    transform->envelope = aligned_new(hop, sizeof(double));
    if (!transform->window || !transform->envelope) {
        stft_free(transform);
        return failed(error, VOCODE_MEMORY, "out of memory for an STFT of %zu points", n_fft);
    }
    fill_window(transform, win);
    for (size_t i = 0; i < hop; i++)
        transform->envelope[i] = envelope_at(transform, (n_fft - 1 - i) / hop * hop + i, 0, (n_fft - 1 - i) / hop);
    return VOCODE_OK;
}

void stft_free(stft *transform) {
    aligned_free(transform->window);
    aligned_free(transform->envelope);
    transform->window = transform->envelope = NULL;
}

stft_work stft_work_take(const stft *transform, arena *memory) {
    double *frame = arena_take(memory, transform->n_fft, sizeof *frame);
    return (stft_work){frame, arena_take(memory, transform->bins, sizeof(double complex))};
}

size_t stft_frames(const stft *transform, size_t n) {
    size_t whole = n + 2 * transform->pad;
    return whole < transform->n_fft ? 0 : (whole - transform->n_fft) / transform->hop + 1;
}

/* Which sample stands at a position of the padded signal; n where it is zero. */
static size_t source_of(const stft *transform, size_t position, size_t n) {
    size_t pad = transform->pad;
    if (position >= pad && position - pad < n) return position - pad;
    if (transform->padding == STFT_ZERO) return n;
    if (n == 1) return 0;
    size_t period = 2 * (n - 1);
    size_t phase = position >= pad ? (position - pad) % period : (period - (pad - position) % period) % period;
    return phase < n ? phase : period - phase;
}

void stft_span(const stft *transform, const float *samples, size_t n, size_t first, size_t count, double *span) {
    for (size_t i = 0; i < count; i++) {
        size_t position = first + i;
        if (position >= transform->pad && position - transform->pad < n) {
            size_t from = position - transform->pad, inner = n - from < count - i ? n - from : count - i;
            for (size_t k = 0; k < inner; k++) span[i + k] = (double)samples[from + k];
            i += inner - 1;
        } else {
            size_t source = source_of(transform, position, n);
            span[i] = source < n ? (double)samples[source] : 0.0;
        }
    }
}

void stft_fill_ends(const stft *transform, double *padded, size_t n) {
    size_t pad = transform->pad;
    for (size_t i = 0; i < pad; i++) {
        size_t left = source_of(transform, i, n), right = source_of(transform, pad + n + i, n);
        padded[i] = left < n ? padded[pad + left] : 0.0;
        padded[pad + n + i] = right < n ? padded[pad + right] : 0.0;
    }
}

void stft_analyse(const stft *transform, const double *span, const stft_work *work) {
    for (size_t i = 0; i < transform->n_fft; i++) work->frame[i] = span[i] * transform->window[i];
    fft_real_forward(transform->forward, work->frame, work->spectrum);
}

void stft_synthesise(const stft *transform, const stft_work *work) {
    double scale = 1.0 / (double)transform->n_fft;
    fft_real_inverse(transform->inverse, work->spectrum, work->frame);
    for (size_t i = 0; i < transform->n_fft; i++) work->frame[i] *= transform->window[i] * scale;
}

void stft_add(const stft *transform, const double *frame, double *target) {
    for (size_t i = 0; i < transform->n_fft; i++) target[i] += frame[i];
}

/* The sum of the squared windows of frames 0..frames-1 over a position of the padded signal. */
static double cover_at(const stft *transform, size_t position, size_t frames) {
    size_t hop = transform->hop, n_fft = transform->n_fft, last = position / hop;
    size_t first = position < n_fft ? 0 : (position - n_fft) / hop + 1;
    if (frames == 0 || first >= frames) return 0;
    if (last < frames && position + 1 >= n_fft) return transform->envelope[position % hop];
    return envelope_at(transform, position, first, last < frames ? last : frames - 1);
}

/* Positions of one hop, all of which as many windows cover as there can be. */
static void uncover_inside(const double *sums, const double *envelope, size_t count, double *out) {
    for (size_t i = 0; i < count; i++) out[i] = envelope[i] > ENVELOPE_LEAST ? sums[i] / envelope[i] : sums[i];
}

void stft_uncover(const stft *transform, const double *sums, size_t first, size_t frames, size_t count, double *out) {
    size_t hop = transform->hop, inside = transform->n_fft - 1;
    for (size_t i = 0; i < count;) {
        size_t position = first + i, phase = position % hop;
        if (position >= inside && position / hop < frames) {
            size_t rest = hop - phase < count - i ? hop - phase : count - i;
            uncover_inside(sums + i, transform->envelope + phase, rest, out + i);
            i += rest;
        } else {
            double cover = cover_at(transform, position, frames);
            out[i] = cover > ENVELOPE_LEAST ? sums[i] / cover : sums[i];
            i++;
        }
    }
}
