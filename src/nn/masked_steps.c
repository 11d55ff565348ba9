#include "nn/masked_steps.h"

#include <stdlib.h>

/* Where the sorted input j of layer k lies among its inputs, and the sorted output o among its outputs. */
static size_t input_at(const masked_steps *steps, size_t k, size_t j) {
    size_t first = steps->net->base.conditioning;
    return k > 0 || j < first ? j : first + steps->at[j - first];
}

static size_t output_at(const masked_steps *steps, size_t k, size_t o) {
    return k < steps->net->layers ? o : (o % 2) * steps->net->base.inputs + steps->at[o / 2];
}

static bool take_memory(masked_steps *steps) {
    const mlp *net = steps->net;
    size_t inputs = net->base.inputs;
    steps->at = aligned_new(inputs, sizeof *steps->at);
    steps->upto = aligned_new(inputs + 1, sizeof *steps->upto);
    steps->bias = aligned_new(2 * inputs, sizeof *steps->bias);
    steps->forth = calloc(net->layers + 1, sizeof *steps->forth);
    steps->back = calloc(net->layers + 1, sizeof *steps->back);
    bool good = steps->at && steps->upto && steps->bias && steps->forth && steps->back;
    for (size_t k = 0; good && k <= net->layers; k++) {
        steps->forth[k] = aligned_new(net->layer[k].weight->count, sizeof(real));
        steps->back[k] = aligned_new(net->layer[k].weight->count, sizeof(real));
        good = steps->forth[k] && steps->back[k];
    }
    return good;
}

vocode_status masked_steps_build(masked_steps *steps, const network *net, vocode_error *error) {
    const mlp *masked = (const mlp *)net;
    *steps = (masked_steps){.net = masked};
    if (!take_memory(steps))
        return failed(error, VOCODE_MEMORY, "%s: out of memory for its order", masked->layer[0].weight->name);
    for (size_t c = 0; c < net->inputs; c++) steps->at[masked->order[c] - 1] = c;
    for (size_t i = 0, u = 0; i <= net->inputs; i++) {
        while (u < masked->width && masked->degree[u] <= i) u++;
        steps->upto[i] = u;
    }
    return VOCODE_OK;
}

void masked_steps_prepare(masked_steps *steps) {
    const mlp *net = steps->net;
    for (size_t k = 0; k <= net->layers; k++) {
        const dense *layer = &net->layer[k];
        const real *w = dense_weight(layer);
        for (size_t j = 0; j < layer->inputs; j++) {
            const real *row = w + input_at(steps, k, j) * layer->outputs;
            for (size_t o = 0; o < layer->outputs; o++) {
                real value = row[output_at(steps, k, o)];
                steps->back[k][j * layer->outputs + o] = value;
                steps->forth[k][o * layer->inputs + j] = value;
            }
        }
    }
    for (size_t o = 0; o < net->base.outputs; o++)
        steps->bias[o] = net->layer[net->layers].bias->value[output_at(steps, net->layers, o)];
}

void masked_steps_free(masked_steps *steps) {
    for (size_t k = 0; steps->net && k <= steps->net->layers; k++) {
        if (steps->forth) aligned_free(steps->forth[k]);
        if (steps->back) aligned_free(steps->back[k]);
    }
    aligned_free(steps->at);
    aligned_free(steps->upto);
    aligned_free(steps->bias);
    free(steps->forth);
    free(steps->back);
    *steps = (masked_steps){0};
}

/* What the blocks of a call work on. */
typedef struct job {
    const masked_steps *steps;
    const masked_problem *what;
    const kernel_table *table;
    size_t rows, lanes;
    bool scaled;
    const real *known, *dz;
    const double *dlogdet;
    real *input, *log_s, *dx, *dnet;
    real *memory; /* [blocks] of `each` reals */
    size_t each;
} job;

/* A block's arrays, each [something][lanes]. */
typedef struct block {
    size_t first, count;   /* rows */
    real *enter;           /* [conditioning + inputs] */
    real *pre, *act;       /* [layers][width]: p and silu(p); solving keeps them in one place */
    real *out, *dout;      /* [2 inputs] */
    real *known, *log_s;   /* [inputs] */
    real *dpre, *gradient; /* [layers][width], [inputs] */
} block;

static size_t block_size(const mlp *net, bool adjoint) {
    size_t inputs = net->base.inputs, hidden = net->layers * net->width;
    size_t solving = net->base.conditioning + inputs + hidden + 4 * inputs;
    return adjoint ? solving + 2 * hidden + 3 * inputs : solving;
}

static real *next(real **from, size_t values, size_t lanes) {
    real *here = *from;
    *from += values * lanes;
    return here;
}

static block block_at(const job *work, size_t index, bool adjoint) {
    const mlp *net = work->steps->net;
    size_t inputs = net->base.inputs, hidden = net->layers * net->width, lanes = work->lanes;
    real *from = work->memory + index * work->each;
    block b = {.first = index * lanes, .count = smaller(lanes, work->rows - index * lanes)};
    b.enter = next(&from, net->base.conditioning + inputs, lanes);
    b.act = next(&from, hidden, lanes);
    b.out = next(&from, 2 * inputs, lanes);
    b.known = next(&from, inputs, lanes);
    b.log_s = next(&from, inputs, lanes);
    b.pre = b.act;
    if (!adjoint) return b;
    b.pre = next(&from, hidden, lanes);
    b.dpre = next(&from, hidden, lanes);
    b.dout = next(&from, 2 * inputs, lanes);
    b.gradient = next(&from, inputs, lanes);
    return b;
}

/* to [inputs][lanes] from rows [inputs], by degree; zeros past the last row */
static void gather(const job *work, const block *b, const real *rows, real *to) {
    size_t inputs = work->steps->net->base.inputs, lanes = work->lanes;
    for (size_t i = 0; i < inputs; i++) {
        const real *from = rows + b->first * inputs + work->steps->at[i];
        for (size_t lane = 0; lane < lanes; lane++) to[i * lanes + lane] = lane < b->count ? from[lane * inputs] : 0;
    }
}

static void scatter(const job *work, const block *b, const real *from, real *rows) {
    size_t inputs = work->steps->net->base.inputs, lanes = work->lanes;
    for (size_t i = 0; i < inputs; i++)
        for (size_t lane = 0; lane < b->count; lane++)
            rows[(b->first + lane) * inputs + work->steps->at[i]] = from[i * lanes + lane];
}

static void gather_conditioning(const job *work, const block *b) {
    const network_input *in = &work->what->in;
    size_t width = work->steps->net->base.conditioning, lanes = work->lanes, ratio = in->frames / in->cond_frames;
    for (size_t c = 0; c < width; c++)
        for (size_t lane = 0; lane < lanes; lane++)
            b->enter[c * lanes + lane] = lane < b->count ? in->cond[(b->first + lane) / ratio * width + c] : 0;
}

/* to [first to past][lanes] = bias + the rows of a [.., lda] times the first k of from [k][lanes] */
static void product(const job *work, const real *a, size_t lda, const real *bias, size_t first, size_t past, size_t k,
                    const real *from, real *to) {
    size_t lanes = work->lanes;
    for (size_t o = first; o < past; o++)
        for (size_t lane = 0; lane < lanes; lane++) to[o * lanes + lane] = bias ? bias[o] : 0;
    if (k && first < past)
        work->table->gemm_packed(past - first, lanes, k, a + first * lda, lda, from, NULL, 1, to + first * lanes,
                                 lanes);
}

/* Units first to past of every hidden layer, where `known` inputs are there. */
static void run_units(const job *work, const block *b, size_t known, size_t first, size_t past) {
    const masked_steps *steps = work->steps;
    const mlp *net = steps->net;
    size_t lanes = work->lanes;
    const real *from = b->enter;
    for (size_t k = 0; first < past && k < net->layers; k++) {
        size_t inputs = net->layer[k].inputs, start = k * net->width * lanes;
        product(work, steps->forth[k], inputs, net->layer[k].bias->value, first, past,
                k ? past : net->base.conditioning + known, from, b->pre + start);
        work->table->silu((past - first) * lanes, b->pre + start + first * lanes, b->act + start + first * lanes);
        from = b->act + start;
    }
}

static real *last_of(const mlp *net, size_t lanes, real *layers) {
    return layers + (net->layers - 1) * net->width * lanes;
}

static void solve_block(void *context, size_t index) {
    const job *work = context;
    const masked_steps *steps = work->steps;
    const mlp *net = steps->net;
    size_t inputs = net->base.inputs, lanes = work->lanes;
    block b = block_at(work, index, false);
    real *found = b.enter + net->base.conditioning * lanes;
    gather_conditioning(work, &b);
    gather(work, &b, work->known, b.known);
    for (size_t i = 0; i < inputs; i++) {
        run_units(work, &b, i, i ? steps->upto[i - 1] : 0, steps->upto[i]);
        product(work, steps->forth[net->layers], net->width, steps->bias, 2 * i, 2 * i + 2, steps->upto[i],
                last_of(net, lanes, b.act), b.out);
        const real *out = b.out + 2 * i * lanes, *known = b.known + i * lanes;
        real *log_s = b.log_s + i * lanes, *to = found + i * lanes;
        (work->scaled ? work->table->affine_inverse : work->table->affine)(
            1, lanes, out, 0, lanes, 2 * lanes, work->what->bounded, known, lanes, log_s, to, lanes);
    }
    scatter(work, &b, found, work->input);
    scatter(work, &b, b.log_s, work->log_s);
}

static void start(job *work, compute *run, bool adjoint) {
    work->table = kernels();
    work->rows = work->what->in.batch * work->what->in.frames;
    work->lanes = work->table->panel;
    work->each = block_size(work->steps->net, adjoint) * work->lanes;
    work->memory = arena_reals(&run->scratch, tiles_of(work->rows, work->lanes) * work->each);
}

void masked_steps_solve(const masked_steps *steps, compute *run, const masked_problem *what, bool scaled,
                        const real *known, real *input, real *log_s) {
    size_t mark = run->scratch.used;
    job work = {.steps = steps, .what = what, .scaled = scaled, .known = known, .input = input, .log_s = log_s};
    start(&work, run, false);
    run_tasks(run, tiles_of(work.rows, work.lanes), solve_block, &work);
    arena_release(&run->scratch, mark);
}

/* dpre of the units first to past, whose degree is i, in every layer from the last. */
static void turn_units(const job *work, const block *b, size_t i, size_t first, size_t past) {
    const masked_steps *steps = work->steps;
    const mlp *net = steps->net;
    size_t lanes = work->lanes, outputs = net->base.outputs, width = net->width;
    for (size_t k = net->layers; first < past && k-- > 0;) {
        size_t from = k * width * lanes;
        bool last = k + 1 == net->layers;
        const real *after = last ? b->dout + 2 * i * lanes : b->dpre + ((k + 1) * width + first) * lanes;
        const real *a = last ? steps->back[k + 1] + 2 * i : steps->back[k + 1] + first;
        product(work, a, last ? outputs : width, NULL, first, past, last ? outputs - 2 * i : width - first, after,
                b->dpre + from);
        work->table->silu_backward((past - first) * lanes, b->pre + from + first * lanes,
                                   b->dpre + from + first * lanes, b->dpre + from + first * lanes);
    }
}

/* v e^s = g: the gradient of x from that of the input, and those of the network's outputs */
static void turn_affine(const job *work, const block *b, size_t i) {
    size_t lanes = work->lanes, frames = work->what->in.frames;
    const real *s = b->log_s + i * lanes, *x = b->known + i * lanes;
    real *g = b->gradient + i * lanes, *dshift = b->dout + 2 * i * lanes, *draw = dshift + lanes;
    for (size_t lane = 0; lane < lanes; lane++) {
        real dlogdet = lane < b->count ? (real)work->dlogdet[(b->first + lane) / frames] : 0;
        draw[lane] = -g[lane] * x[lane] - dlogdet;
        if (work->what->bounded) draw[lane] *= 1 - s[lane] * s[lane] / 4;
        g[lane] *= exp(-s[lane]);
        dshift[lane] = -g[lane];
    }
}

static void scatter_outputs(const job *work, const block *b) {
    size_t inputs = work->steps->net->base.inputs, lanes = work->lanes;
    for (size_t o = 0; o < 2 * inputs; o++) {
        real *to = work->dnet + b->first * 2 * inputs + output_at(work->steps, work->steps->net->layers, o);
        for (size_t lane = 0; lane < b->count; lane++) to[lane * 2 * inputs] = b->dout[o * lanes + lane];
    }
}

static void adjoint_block(void *context, size_t index) {
    const job *work = context;
    const masked_steps *steps = work->steps;
    const mlp *net = steps->net;
    size_t inputs = net->base.inputs, first = net->base.conditioning, lanes = work->lanes, width = net->width;
    block b = block_at(work, index, true);
    gather_conditioning(work, &b);
    gather(work, &b, work->known, b.known);
    gather(work, &b, work->dz, b.gradient);
    for (size_t i = 0; i < inputs * lanes; i++) b.enter[first * lanes + i] = b.known[i];
    run_units(work, &b, inputs, 0, width);
    product(work, steps->forth[net->layers], width, steps->bias, 0, 2 * inputs, width, last_of(net, lanes, b.act),
            b.out);
    for (size_t i = 0; i < inputs; i++) /* for s alone: dout is room for what else it gives */
        work->table->affine(1, lanes, b.out + 2 * i * lanes, 0, lanes, 2 * lanes, work->what->bounded,
                            b.known + i * lanes, lanes, b.log_s + i * lanes, b.dout, lanes);
    for (size_t i = inputs; i-- > 0;) {
        size_t seen = steps->upto[i];
        if (seen < width)
            work->table->gemm_packed(1, lanes, width - seen, steps->back[0] + (first + i) * width + seen, width,
                                     b.dpre + seen * lanes, NULL, 1, b.gradient + i * lanes, lanes);
        turn_affine(work, &b, i);
        turn_units(work, &b, i, i ? steps->upto[i - 1] : 0, seen);
    }
    scatter(work, &b, b.gradient, work->dx);
    scatter_outputs(work, &b);
}

void masked_steps_adjoint(const masked_steps *steps, compute *run, const masked_problem *what, const real *input,
                          const real *dz, const double *dlogdet, real *dx, real *dnet) {
    size_t mark = run->scratch.used;
    job work = {.steps = steps, .what = what, .known = input, .dz = dz, .dlogdet = dlogdet, .dx = dx, .dnet = dnet};
    start(&work, run, true);
    run_tasks(run, tiles_of(work.rows, work.lanes), adjoint_block, &work);
    arena_release(&run->scratch, mark);
}
