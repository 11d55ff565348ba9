/* A frame's output is one row of stride * channels numbers, and the taps fall into parts of stride samples: part m of
 * frame f adds to row f + m. So the layer is a sum of products, rows of mel shifted by m times a packed matrix
 * [channels, width_m], in place. Where the group divides the stride, a row of stride samples is a whole number of
 * columns, and the packed matrices have their outputs in the order of the folded columns; else rows are made sample by
 * sample in scratch and folded afterwards. */
#include "nn/upsampler.h"

#include <stdint.h>

/* Samples that the folding keeps together. */
static size_t unit(const upsampler *up) {
    return up->direct ? up->sizes.group : 1;
}

static size_t row_width(const upsampler *up) {
    return up->sizes.stride * up->sizes.channels;
}

/* Samples of part m: stride, the last part fewer. */
static size_t part_samples(const upsampler *up, size_t m) {
    return smaller(up->sizes.stride, up->sizes.taps - m * up->sizes.stride);
}

/* Outputs of part m's matrix: its samples up to a whole number of units, with zeros. */
static size_t part_width(const upsampler *up, size_t m) {
    return tiles_of(part_samples(up, m), unit(up)) * unit(up) * up->sizes.channels;
}

/* Only the last part may be narrower, so parts lie row_width apart. */
static real *part_matrix(const upsampler *up, size_t m) {
    return part_of(up->packed, m * up->sizes.channels * row_width(up));
}

static real *part_panels(const upsampler *up, size_t m) {
    return up->panels + m * panels_size(row_width(up), up->sizes.channels);
}

/* Where sample p, channel o lies in a row. */
static size_t place(const upsampler *up, size_t p, size_t o) {
    size_t size = unit(up);
    return p / size * size * up->sizes.channels + o * size + p % size;
}

vocode_status upsampler_build(upsampler *up, param_set *set, const char *prefix, const upsampler_options *options,
                              vocode_error *error) {
    const size_t shape[] = {options->channels, options->channels, options->taps};
    *up = (upsampler){.sizes = *options, .set = set};
    if (!options->channels || !options->taps || !options->stride || !options->group)
        return failed(error, VOCODE_VALUE,
                      "%sweight: expected positive sizes, found %zu channels, %zu taps, stride %zu "
                      "and group %zu",
                      prefix, options->channels, options->taps, options->stride, options->group);
    up->direct = options->stride % options->group == 0;
    up->parts = tiles_of(options->taps, options->stride);
    up->weight = param_add(set, PARAM_TRAINED, prefix, "weight", 3, shape);
    up->bias = param_add(set, PARAM_TRAINED, prefix, "bias", 1, shape);
    size_t width, count;
    if (!up->weight || !up->bias || __builtin_mul_overflow(options->stride, options->channels, &width) ||
        __builtin_mul_overflow(width, options->channels, &count))
        return failed(error, VOCODE_MEMORY, "cannot register %sweight and its bias", prefix);
    return VOCODE_OK;
}

void upsampler_init(upsampler *up, uint64_t seed) {
    double bound = 1 / sqrt((double)up->sizes.channels * (double)up->sizes.taps);
    param_init_uniform(up->weight, seed, bound);
    param_init_uniform(up->bias, seed, bound);
}

void upsampler_free(upsampler *up) {
    aligned_free(up->panels);
    aligned_free(up->packed);
    aligned_free(up->bias_row);
    up->panels = up->packed = up->bias_row = NULL;
}

static bool take_memory(upsampler *up) {
    size_t channels = up->sizes.channels, width = row_width(up);
    if (!up->panels) up->panels = aligned_new(up->parts * panels_size(width, channels), sizeof(real));
    if (!up->packed && !up->set->fixed) up->packed = aligned_new(up->parts * channels * width, sizeof(real));
    if (!up->bias_row) up->bias_row = aligned_new(width, sizeof(real));
    return up->panels && up->bias_row && (up->packed || up->set->fixed);
}

/* Row i of every part's matrix: values [channels, taps] of input i. */
static void fill_row(const upsampler *up, size_t i, const real *values) {
    size_t channels = up->sizes.channels, stride = up->sizes.stride, panel = kernels()->panel;
    for (size_t o = 0; o < channels; o++)
        for (size_t j = 0; j < up->sizes.taps; j++, values++) {
            size_t m = j / stride, at = place(up, j % stride, o);
            part_panels(up, m)[(at / panel * channels + i) * panel + at % panel] = *values;
            if (up->packed) part_matrix(up, m)[i * part_width(up, m) + at] = *values;
        }
}

void upsampler_prepare(upsampler *up) {
    size_t channels = up->sizes.channels, stride = up->sizes.stride;
    if (!take_memory(up)) {
        up->set->failed = true;
        return;
    }
    for (size_t i = 0; i < channels; i++) fill_row(up, i, up->weight->value + i * channels * up->sizes.taps);
    for (size_t p = 0; p < stride; p++)
        for (size_t o = 0; o < channels; o++) up->bias_row[place(up, p, o)] = up->bias->value[o];
    if (up->set->fixed) param_rest(up->weight);
}

/* Rows of an element's output: `whole` ones, then `tail` numbers of one more. */
typedef struct layout {
    size_t whole, tail;
} layout;

static layout layout_of(const upsampler *up, size_t columns) {
    size_t numbers = columns * up->sizes.group * up->sizes.channels, width = row_width(up);
    if (!up->direct) return (layout){tiles_of(numbers, width), 0};
    return (layout){numbers / width, numbers % width};
}

/* Output rows [first, first + count), each `width` numbers of part m's product. */
typedef struct span {
    size_t first, count, width;
} span;

/* The rows that part m of some frame adds to: whole ones, and the tail. */
static void find_spans(const upsampler *up, size_t frames, layout rows, size_t m, span out[2]) {
    size_t end = smaller(rows.whole, frames + m), width = part_width(up, m);
    out[0] = (span){m, end > m ? end - m : 0, width};
    bool reached = rows.tail && rows.whole >= m && rows.whole < frames + m;
    out[1] = (span){rows.whole, reached, smaller(width, rows.tail)};
}

typedef struct folding {
    const upsampler *up;
    size_t columns, height; /* of an element: its columns, its rows of the flat array */
    real *flat, *cond;      /* forward: from flat to cond */
    const real *dcond;      /* backward, where cond is NULL: from dcond to flat */
} folding;

/* One column of one element: cond[t, o group + r] = flat[t group + r, o], or the reverse. */
static void fold_column(void *context, size_t column) {
    const folding *job = context;
    size_t group = job->up->sizes.group, channels = job->up->sizes.channels, start = column * group * channels;
    size_t element = column / job->columns, t = column % job->columns;
    real *flat = job->flat + element * job->height * row_width(job->up) + t * group * channels;
    for (size_t o = 0; o < channels; o++)
        for (size_t r = 0; r < group; r++)
            if (job->cond)
                job->cond[start + o * group + r] = flat[r * channels + o];
            else
                flat[r * channels + o] = job->dcond[start + o * group + r];
}

static void start_rows(const upsampler *up, const compute *run, layout rows, real *y) {
    size_t width = row_width(up);
    run_fill_rows(run, rows.whole, width, up->bias_row, y, width);
    if (rows.tail) run_copy(run, rows.tail, up->bias_row, part_of(y, rows.whole * width));
}

void upsampler_forward(const upsampler *up, compute *run, size_t batch, size_t frames, const real *mel, size_t columns,
                       real *cond) {
    size_t mark = run->scratch.used, channels = up->sizes.channels, width = row_width(up);
    layout rows = layout_of(up, columns);
    real *flat = up->direct ? NULL : arena_reals(&run->scratch, batch * rows.whole * width);
    size_t each = up->direct ? columns * up->sizes.group * channels : rows.whole * width;
    for (size_t b = 0; !measuring(run) && b < batch; b++) {
        real *y = (up->direct ? cond : flat) + b * each;
        start_rows(up, run, rows, y);
        for (size_t m = 0; m < up->parts; m++) {
            span spans[2];
            find_spans(up, frames, rows, m, spans);
            for (int k = 0; k < 2; k++)
                if (spans[k].count)
                    run_gemm_packed(run, spans[k].count, spans[k].width, channels,
                                    mel + (b * frames + spans[k].first - m) * channels, channels, part_panels(up, m), 1,
                                    y + spans[k].first * width, width);
        }
    }
    if (!up->direct)
        run_tasks(run, batch * columns, fold_column, &(folding){up, columns, rows.whole, flat, cond, NULL});
    arena_release(&run->scratch, mark);
}

/* Adds the gradient of part m's matrix, dpacked [channels, width], to that of the weight. */
static void unpack_part(const upsampler *up, size_t m, const real *dpacked, real *dweight) {
    size_t channels = up->sizes.channels, taps = up->sizes.taps, first = m * up->sizes.stride;
    size_t samples = part_samples(up, m), width = part_width(up, m);
    for (size_t i = 0; i < channels; i++)
        for (size_t o = 0; o < channels; o++)
            for (size_t p = 0; p < samples; p++)
                dweight[(i * channels + o) * taps + first + p] += dpacked[i * width + place(up, p, o)];
}

typedef struct gradients {
    const real *mel, *dy; /* dy: rows as forward's products made them */
    size_t each;          /* numbers of dy an element */
    real *dmel, *dpacked, *dweight;
} gradients;

static void backward_part(const upsampler *up, const compute *run, size_t batch, size_t frames, layout rows, size_t m,
                          const gradients *work) {
    size_t channels = up->sizes.channels, width = part_width(up, m), step = row_width(up);
    span spans[2];
    find_spans(up, frames, rows, m, spans);
    if (work->dweight) run_zero(run, channels * width, work->dpacked);
    for (size_t b = 0; b < batch; b++)
        for (int k = 0; k < 2; k++) {
            size_t frame = (b * frames + spans[k].first - m) * channels;
            const real *dy = work->dy + b * work->each + spans[k].first * step;
            if (!spans[k].count) continue;
            if (work->dmel)
                run_gemm_nt(run, spans[k].count, channels, spans[k].width, dy, step, part_matrix(up, m), width, 1,
                            work->dmel + frame, channels);
            if (work->dweight)
                run_gemm_tn(run, channels, spans[k].width, spans[k].count, work->mel + frame, channels, dy, step, 1,
                            work->dpacked, width);
        }
    if (work->dweight) unpack_part(up, m, work->dpacked, work->dweight);
}

static void bias_backward(const upsampler *up, compute *run, size_t rows, const real *dcond, real *dbias) {
    size_t mark = run->scratch.used, channels = up->sizes.channels, group = up->sizes.group;
    real *sums = arena_reals(&run->scratch, channels * group);
    if (!measuring(run) && dbias) {
        run_zero(run, channels * group, sums);
        run_add_columns(run, rows, channels * group, dcond, channels * group, sums);
        for (size_t i = 0; i < channels * group; i++) dbias[i / group] += sums[i];
    }
    arena_release(&run->scratch, mark);
}

size_t upsampler_history(const upsampler *up) {
    return up->parts - 1;
}

void upsampler_window(const upsampler *up, const compute *run, size_t frames, const real *mel, real *cond) {
    size_t channels = up->sizes.channels, width = row_width(up);
    run_fill_rows(run, frames, width, up->bias_row, cond, width);
    for (size_t m = 0; m < up->parts; m++)
        run_gemm_packed(run, frames, part_width(up, m), channels, mel - m * channels, channels, part_panels(up, m), 1,
                        cond, width);
}

void upsampler_backward(const upsampler *up, compute *run, size_t batch, size_t frames, const real *mel, size_t columns,
                        const real *dcond, real *dmel, real *grads) {
    size_t mark = run->scratch.used, width = row_width(up), channels = up->sizes.channels;
    layout rows = layout_of(up, columns);
    real *dpacked = arena_reals(&run->scratch, channels * width);
    real *flat = up->direct ? NULL : arena_reals(&run->scratch, batch * rows.whole * width);
    gradients work = {mel, up->direct ? dcond : flat, rows.whole * width, dmel, dpacked, param_grad(up->weight, grads)};
    if (up->direct) {
        work.each = columns * up->sizes.group * channels;
    } else {
        folding job = {up, columns, rows.whole, flat, NULL, dcond};
        run_zero(run, batch * rows.whole * width, flat); /* the last row may reach past the columns */
        run_tasks(run, batch * columns, fold_column, &job);
    }
    for (size_t m = 0; !measuring(run) && m < up->parts; m++) backward_part(up, run, batch, frames, rows, m, &work);
    bias_backward(up, run, batch * columns, dcond, param_grad(up->bias, grads));
    arena_release(&run->scratch, mark);
}
