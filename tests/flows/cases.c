/* The flows under test: every kind of the registry with its options, and compositions as the models are made of. */
#include <stdio.h>
#include <string.h>

#include "flows/composite.h"
#include "flows/registry.h"
#include "flows/subject.h"

#define WN "{\"network\": \"wn\", \"layers\": 2, \"channels\": 3}"
#define CONVNEXT                                                                                            \
    "{\"network\": \"convnext\", \"blocks\": 1, \"channels\": 3, \"expansion\": 2, \"scale\": \"bounded\"," \
    " \"order\": \"scale_first\"}"

/* Collects parts; the first failure stays. */
typedef struct builder {
    flow *parts[16];
    size_t count, named;
    param_set *set;
    vocode_status status;
    vocode_error *error;
} builder;

static void add(builder *b, const char *kind, const char *options, size_t channels, size_t cond_channels) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%zu.%s.", b->named++, kind);
    if (b->status != VOCODE_OK) return;
    b->status =
        flow_build(kind, options, (flow_dims){channels, cond_channels}, b->set, prefix, &b->parts[b->count], b->error);
    if (b->status == VOCODE_OK) b->count++;
}

/* The parts from first on become one. */
static void join(builder *b, size_t first) {
    if (b->status != VOCODE_OK) return;
    b->status = sequence_new(b->parts + first, b->count - first, &b->parts[first], b->error);
    b->count = first + (b->status == VOCODE_OK);
}

static void join_levels(builder *b, size_t first, const size_t *early) {
    if (b->status != VOCODE_OK) return;
    b->status = multiscale_new(b->parts + first, early, b->count - first, &b->parts[first], b->error);
    b->count = first + (b->status == VOCODE_OK);
}

static vocode_status finish(builder *b, flow **out) {
    if (b->status == VOCODE_OK && b->count == 1) *out = b->parts[0];
    if (b->status != VOCODE_OK)
        for (size_t i = 0; i < b->count; i++) flow_free(b->parts[i]);
    return b->status;
}

static vocode_status waveglow_like(flow_dims dims, param_set *set, flow **out, vocode_error *error) {
    builder b = {.set = set, .error = error};
    add(&b, "squeeze", "{\"factor\": 6}", 1, 0);
    for (size_t level = 0; level < 3; level++) {
        size_t first = b.count;
        for (size_t k = 0; k < 1 + (level == 0); k++) {
            add(&b, "inv1x1", "{\"conv\": true}", 6 - 2 * level, dims.cond_channels);
            add(&b, "coupling", WN, 6 - 2 * level, dims.cond_channels);
        }
        join(&b, first);
    }
    join_levels(&b, 1, (const size_t[]){2, 2, 0});
    join(&b, 0);
    return finish(&b, out);
}

static vocode_status frameflow_like(flow_dims dims, param_set *set, flow **out, vocode_error *error) {
    builder b = {.set = set, .error = error};
    add(&b, "mdct", "{\"bins\": 4}", 1, 0);
    add(&b, "scale", "{\"blocks\": 1, \"channels\": 3, \"kernel\": 3, \"offset\": -1}", 4, dims.cond_channels);
    for (size_t k = 0; k < 2; k++) {
        add(&b, "inv1x1", k ? "{\"init\": \"swap_halves\"}" : "{\"init\": \"even_odd\"}", 4, 0);
        add(&b, "coupling", CONVNEXT, 4, dims.cond_channels);
    }
    join(&b, 0);
    return finish(&b, out);
}

/* Three levels that each fold time, so that what leaves early is folded by 4 and by 2. */
static vocode_status glow_like(flow_dims dims, param_set *set, flow **out, vocode_error *error) {
    static const char *const orders[] = {"{\"order\": \"shuffle\", \"seed\": 3}", "{\"order\": \"even_odd\"}", NULL};
    builder b = {.set = set, .error = error};
    size_t channels = dims.channels;
    for (size_t level = 0; level < 3; level++) {
        size_t first = b.count;
        add(&b, "squeeze", "{\"factor\": 2}", channels, 0);
        channels *= 2;
        add(&b, "actnorm", NULL, channels, 0);
        if (level == 1) add(&b, "inv1x1", NULL, channels, 0);
        add(&b, "permute", orders[level], channels, 0);
        add(&b, "coupling", WN, channels, dims.cond_channels);
        join(&b, first);
        channels -= 1;
    }
    join_levels(&b, 0, (const size_t[]){1, 1, 0});
    return finish(&b, out);
}

static vocode_status elementwise(builder *b, bool folding) {
    size_t first = b->count;
    add(b, "actnorm", NULL, 3, 0);
    add(b, "actnorm", NULL, 2, 0);
    if (folding) add(b, "squeeze", NULL, 2, 0);
    if (folding) join(b, first + 1);
    join_levels(b, first, (const size_t[]){1, 0});
    return b->status;
}

static vocode_status autoregressive_levels(flow_dims dims, param_set *set, flow **out, vocode_error *error) {
    (void)dims;
    builder b = {.set = set, .error = error};
    elementwise(&b, false);
    return finish(&b, out);
}

static vocode_status folding_levels(flow_dims dims, param_set *set, flow **out, vocode_error *error) {
    (void)dims;
    builder b = {.set = set, .error = error};
    elementwise(&b, true);
    return finish(&b, out);
}

static vocode_status sequence_of_one(flow_dims dims, param_set *set, flow **out, vocode_error *error) {
    builder b = {.set = set, .error = error};
    add(&b, "coupling", WN, dims.channels, dims.cond_channels);
    join_levels(&b, 0, (const size_t[]){0});
    join(&b, 0);
    return finish(&b, out);
}

static vocode_status actnorm_last(flow_dims dims, param_set *set, flow **out, vocode_error *error) {
    builder b = {.set = set, .error = error};
    add(&b, "squeeze", NULL, dims.channels, 0);
    add(&b, "actnorm", NULL, 2 * dims.channels, 0);
    add(&b, "inv1x1", NULL, 2 * dims.channels, 0);
    add(&b, "coupling", WN, 2 * dims.channels, 0);
    join(&b, 1); /* one sequence inside another */
    add(&b, "actnorm", NULL, 2 * dims.channels, 0);
    join(&b, 0);
    return finish(&b, out);
}

/* Real NVP of an image of 4 x 4 pixels. */
static vocode_status image_levels(flow_dims dims, param_set *set, flow **out, vocode_error *error) {
    builder b = {.set = set, .error = error};
    size_t given = dims.cond_channels;
    add(&b, "actnorm", NULL, 16, 0);
    add(&b, "masked",
        "{\"network\": \"conv\", \"channels\": 2, \"layers\": 1, \"mask\": \"checkerboard\", \"width\": 4, \"scale\": "
        "\"bounded\"}",
        16, given);
    add(&b, "squeeze2d", "{\"width\": 4}", 16, 0);
    add(&b, "masked",
        "{\"network\": \"conv\", \"channels\": 2, \"layers\": 1, \"mask\": \"channelwise\", \"width\": 2, \"planes\": "
        "4, \"scale\": \"bounded\"}",
        16, given);
    add(&b, "factor", "{\"planes\": 4}", 16, 0);
    join(&b, 0);
    add(&b, "masked",
        "{\"channels\": 3, \"mask\": \"checkerboard_turned\", \"width\": 2, \"planes\": 2, \"scale\": \"bounded\"}", 8,
        given);
    join_levels(&b, 0, (const size_t[]){8, 0});
    return finish(&b, out);
}

/* name, kind, options, build, channels, conditioning channels, unit, frames a conditioning frame */
const flow_case flow_cases[] = {
    {"squeeze", "squeeze", NULL, NULL, 3, 0, 2, 1, false},
    {"squeeze by 5", "squeeze", "{\"factor\": 5}", NULL, 1, 0, 5, 1, false},
    {"permute", "permute", NULL, NULL, 3, 0, 1, 1, false},
    {"permute rotated", "permute", "{\"order\": \"swap_halves\"}", NULL, 5, 0, 1, 1, false},
    {"permute shuffled", "permute", "{\"order\": \"shuffle\", \"seed\": 7}", NULL, 6, 0, 1, 1, false},
    {"inv1x1", "inv1x1", NULL, NULL, 4, 0, 1, 1, false},
    {"inv1x1 of one", "inv1x1", "{\"init\": \"identity\"}", NULL, 1, 0, 1, 1, false},
    {"inv1x1 even odd", "inv1x1", "{\"conv\": true, \"init\": \"even_odd\"}", NULL, 5, 0, 1, 1, false},
    {"actnorm", "actnorm", NULL, NULL, 3, 0, 1, 1, true},
    {"coupling", "coupling", WN, NULL, 4, 2, 1, 1, false},
    {"coupling alone", "coupling", WN, NULL, 3, 0, 1, 1, false},
    {"coupling of two", "coupling", WN, NULL, 2, 1, 1, 1, false},
    {"coupling weight norm", "coupling",
     "{\"layers\": 3, \"channels\": 2, \"weight_norm\": true, \"scale\": \"bounded\"}", NULL, 4, 3, 2, 2, false},
    {"coupling squeeze_wn", "coupling",
     "{\"network\": \"squeeze_wn\", \"layers\": 2, \"channels\": 3, \"weight_norm\": true}", NULL, 4, 2, 2, 2, false},
    {"coupling squeeze_wn folded", "coupling",
     "{\"network\": \"squeeze_wn\", \"layers\": 1, \"channels\": 2, \"batch_norm\": false, \"order\": \"scale_first\"}",
     NULL, 5, 0, 1, 1, false},
    {"coupling convnext", "coupling", CONVNEXT, NULL, 4, 2, 1, 1, false},
    {"coupling convnext alone", "coupling", CONVNEXT, NULL, 3, 0, 1, 1, false},
    {"coupling convnext slow", "coupling", CONVNEXT, NULL, 4, 2, 3, 3, false},
    {"mdct", "mdct", "{\"bins\": 4}", NULL, 1, 0, 4, 1, false},
    {"mdct of 2", "mdct", "{\"bins\": 2}", NULL, 1, 0, 2, 1, false},
    {"mdct of 6", "mdct", "{\"bins\": 6}", NULL, 1, 0, 6, 1, false},
    {"scale", "scale", "{\"blocks\": 1, \"channels\": 3, \"kernel\": 3}", NULL, 3, 2, 1, 1, false},
    {"scale slow", "scale", "{\"blocks\": 1, \"channels\": 2, \"kernel\": 5, \"offset\": 0.5}", NULL, 2, 2, 2, 2,
     false},
    {"field", "field", "{\"blocks\": 1, \"channels\": 3, \"kernel\": 3, \"features\": 4, \"steps\": 4, \"terms\": 0}",
     NULL, 2, 2, 1, 1, false},
    {"field alone", "field",
     "{\"blocks\": 1, \"channels\": 5, \"kernel\": 3, \"features\": 2, \"steps\": 3, \"solver\": \"midpoint\", "
     "\"terms\": 0}",
     NULL, 1, 0, 1, 1, false},
    {"field estimated", "field",
     "{\"blocks\": 1, \"channels\": 4, \"kernel\": 3, \"features\": 4, \"steps\": 3, \"solver\": \"midpoint\"}", NULL,
     3, 2, 2, 2, false},
    {"affine", "affine", "{\"scale\": 4}", NULL, 3, 0, 1, 1, false},
    {"affine without a shift", "affine", "{\"shift\": false}", NULL, 1, 0, 1, 1, false},
    {"exp", "exp", NULL, NULL, 2, 0, 1, 1, false},
    {"linear", "linear", "{\"seed\": 3}", NULL, 4, 0, 1, 1, false},
    {"linear of one", "linear", NULL, NULL, 1, 0, 1, 1, false},
    {"planar", "planar", NULL, NULL, 3, 0, 1, 1, false},
    {"planar conditioned", "planar", NULL, NULL, 2, 3, 2, 2, false},
    {"masked", "masked", "{\"channels\": 5}", NULL, 5, 2, 1, 1, false},
    {"masked second bounded", "masked", "{\"channels\": 4, \"mask\": \"second\", \"scale\": \"bounded\"}", NULL, 3, 0,
     1, 1, false},
    {"masked additive", "masked", "{\"channels\": 4, \"mask\": \"odd\", \"scale\": \"none\", \"layers\": 1}", NULL, 4,
     1, 2, 2, false},
    {"masked chessboard", "masked", "{\"channels\": 3, \"mask\": \"checkerboard\", \"width\": 2}", NULL, 4, 0, 1, 1,
     false},
    {"masked chessboard turned", "masked", "{\"channels\": 3, \"mask\": \"checkerboard_turned\", \"width\": 3}", NULL,
     6, 0, 1, 1, false},
    {"masked even", "masked", "{\"channels\": 3, \"mask\": \"even\"}", NULL, 2, 0, 1, 1, false},
    {"masked channelwise", "masked",
     "{\"channels\": 3, \"mask\": \"channelwise_turned\", \"width\": 2, \"planes\": 3, \"scale\": \"bounded\"}", NULL,
     6, 0, 1, 1, false},
    {"masked convolutions", "masked",
     "{\"network\": \"conv\", \"channels\": 3, \"layers\": 1, \"mask\": \"checkerboard\", \"width\": 3}", NULL, 6, 0, 1,
     1, false},
    {"masked convolutions of planes", "masked",
     "{\"network\": \"conv\", \"channels\": 2, \"layers\": 2, \"mask\": \"channelwise\", \"width\": 2, \"planes\": 3, "
     "\"scale\": \"bounded\"}",
     NULL, 6, 2, 2, 2, false},
    {"masked convolutions additive", "masked",
     "{\"network\": \"conv\", \"channels\": 3, \"layers\": 1, \"mask\": \"checkerboard_turned\", \"width\": 2, "
     "\"planes\": "
     "2, \"scale\": \"none\"}",
     NULL, 8, 1, 1, 1, false},
    {"squeeze2d", "squeeze2d", "{\"width\": 4, \"planes\": 2}", NULL, 16, 0, 1, 1, false},
    {"factor", "factor", "{\"planes\": 4}", NULL, 8, 0, 1, 1, false},
    {"image levels", NULL, NULL, image_levels, 16, 2, 1, 1, false},
    {"made", "made", "{\"channels\": 7}", NULL, 4, 0, 1, 1, false},
    {"made conditioned", "made", "{\"channels\": 6, \"layers\": 2, \"order\": \"reverse\"}", NULL, 3, 2, 2, 2, false},
    {"made of one", "made", "{\"channels\": 3}", NULL, 1, 2, 1, 1, false},
    {"made for sampling", "made",
     "{\"channels\": 7, \"layers\": 3, \"fast\": \"sampling\", \"order\": \"shuffle\", \"scale\": \"bounded\"}", NULL,
     5, 0, 1, 1, false},
    {"made for sampling conditioned", "made", "{\"channels\": 5, \"fast\": \"sampling\"}", NULL, 3, 2, 2, 2, false},
    {"recursive", "recursive", "{\"channels\": 4, \"layers\": 1}", NULL, 5, 0, 1, 1, false},
    {"recursive conditioned", "recursive", "{\"channels\": 3, \"scale\": \"bounded\"}", NULL, 3, 2, 2, 2, false},
    {"recursive of one", "recursive", NULL, NULL, 1, 0, 1, 1, false},
    {"ode", "ode",
     "{\"unit\": \"tanh\", \"layers\": 2, \"channels\": 3, \"waves\": 1, \"rtol\": 1e-10, \"atol\": 1e-10, \"most\": "
     "300}",
     NULL, 2, 1, 1, 1, false},
    {"ode of one length", "ode",
     "{\"layers\": 1, \"channels\": 3, \"unit\": \"softplus\", \"solver\": \"rk4\", \"steps\": 24}", NULL, 2, 0, 1, 1,
     false},
    {"ode estimated", "ode",
     "{\"layers\": 1, \"channels\": 3, \"unit\": \"silu\", \"waves\": 0, \"trace\": \"hutchinson\", \"solver\": "
     "\"rk4\", "
     "\"steps\": 24}",
     NULL, 3, 1, 2, 2, false},
    {"batchnorm", "batchnorm", NULL, NULL, 3, 0, 1, 1, false},
    {"dequantize", "dequantize", NULL, NULL, 3, 0, 1, 1, false},
    {"dequantize with a flow", "dequantize",
     "{\"noise\": \"variational\", \"couplings\": 2, \"layers\": 1, \"channels\": 3}", NULL, 2, 1, 2, 2, false},
    {"dequantize one", "dequantize", "{\"noise\": \"variational\"}", NULL, 1, 0, 1, 1, false},
    {"waveglow-like", NULL, NULL, waveglow_like, 1, 2, 6, 6, false},
    {"frameflow-like", NULL, NULL, frameflow_like, 1, 3, 4, 4, false},
    {"glow-like", NULL, NULL, glow_like, 2, 2, 8, 8, false},
    {"autoregressive levels", NULL, NULL, autoregressive_levels, 3, 0, 1, 1, false},
    {"folding levels", NULL, NULL, folding_levels, 3, 0, 2, 1, false},
    {"sequence of one", NULL, NULL, sequence_of_one, 4, 2, 1, 1, false},
    {"actnorm last", NULL, NULL, actnorm_last, 2, 0, 2, 1, true},
    {.name = NULL},
};
