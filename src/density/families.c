/* The one table of what a line may name, with what each costs. */
#include "density/spec.h"
#include "flows/flows.h"
#include "flows/ode_solve.h"

typedef struct family_options {
    size_t layers, hidden, depth, seed, height, width, planes, levels, waves, steps, most;
    double rtol, atol;
    int scale, mask, order, unit, solver, trace, network, norm;
} family_options;

static const char *const made_scales[] = {"bounded", "exp", NULL};
static const char *const scales[] = {"bounded", "exp", "none", NULL};
/* Those that alternate come first. */
static const char *const masks[] = {"alternate",
                                    "alternate_even_odd",
                                    "alternate_checkerboard",
                                    "alternate_channelwise",
                                    "first",
                                    "second",
                                    "even",
                                    "odd",
                                    "checkerboard",
                                    "checkerboard_turned",
                                    "channelwise",
                                    "channelwise_turned",
                                    NULL};
static const char *const orders[] = {"alternate", "identity", "reverse", "even_odd", "shuffle", NULL};

static const char *mask_of(spec_builder *to, int mask) {
    static const char *const pairs[][2] = {{"first", "second"},
                                           {"even", "odd"},
                                           {"checkerboard", "checkerboard_turned"},
                                           {"channelwise", "channelwise_turned"}};
    size_t alternating = sizeof pairs / sizeof *pairs, named = sizeof masks / sizeof *masks - 1, i = (size_t)mask;
    if (i < alternating) return pairs[i][spec_turn(to) % 2];
    return masks[i < named ? i : 0];
}

static size_t hidden_of(const spec_builder *to, const family_options *o) {
    static const size_t least = 32, most = 512;
    size_t wanted = spec_channels(to) < most ? 2 * spec_channels(to) : most;
    wanted = wanted < least ? least : wanted > most ? most : wanted;
    return o->hidden ? o->hidden : wanted;
}

static const char *const networks[] = {"perceptron", "conv", NULL};
static const char *const image_networks[] = {"conv", "perceptron", NULL};

/* The rows as images: what the options say, or else what the data are; eight pixels a row where neither does. */
static image_size image_of(const spec_builder *to, const family_options *o) {
    static const size_t usual = 8;
    image_size of_data = spec_image(to), image = {o->height, o->width, o->planes};
    if (!image.width) image.width = of_data.width ? of_data.width : usual;
    if (!image.planes) image.planes = of_data.planes ? of_data.planes : 1;
    if (!image.height) image.height = spec_channels(to) / image.width / image.planes;
    return image;
}

static void add_masked(spec_builder *to, const family_options *o, const char *mask, image_size image,
                       const char *scale) {
    spec_add(to, "masked",
             "{\"mask\": \"%s\", \"width\": %zu, \"planes\": %zu, \"network\": \"%s\", \"scale\": \"%s\", \"layers\": "
             "%zu, \"channels\": %zu}",
             mask, image.width, image.planes, networks[o->network], scale, o->depth, hidden_of(to, o));
}

static void add_coupling(spec_builder *to, const family_options *o, const char *scale) {
    add_masked(to, o, mask_of(to, o->mask), image_of(to, o), scale);
}

/* density: data to latent takes one run of the network, else the way back. */
static void add_made(spec_builder *to, const family_options *o, bool density) {
    const char *order = o->order ? orders[o->order] : spec_turn(to) % 2 ? "reverse" : "identity";
    spec_add(
        to, "made",
        "{\"fast\": \"%s\", \"order\": \"%s\", \"seed\": %zu, \"scale\": \"%s\", \"layers\": %zu, \"channels\": %zu}",
        density != spec_turned(to) ? "density" : "sampling", order, o->seed, made_scales[o->scale], o->depth,
        hidden_of(to, o));
}

static void expand_coupling(spec_builder *to, const void *options) {
    const family_options *o = options;
    add_coupling(to, o, scales[o->scale]);
}

static void expand_scaling(spec_builder *to, const void *options) {
    (void)options;
    spec_add(to, "affine", "{\"shift\": false}");
}

static void expand_planar(spec_builder *to, const void *options) {
    const family_options *o = options;
    for (size_t i = 0; i < o->layers; i++) spec_add(to, "planar", "{}");
}

static void expand_nice(spec_builder *to, const void *options) {
    const family_options *o = options;
    for (size_t i = 0; i < o->layers; i++) add_coupling(to, o, "none");
    spec_add(to, "affine", "{\"shift\": false}");
}

static void expand_realnvp(spec_builder *to, const void *options) {
    const family_options *o = options;
    for (size_t i = 0; i < o->layers; i++) {
        spec_add(to, "actnorm", "{}");
        add_coupling(to, o, made_scales[o->scale]);
    }
}

static const char *const norms[] = {"none", "actnorm", "batchnorm", NULL};

static void add_step(spec_builder *to, const family_options *o, const char *mask, image_size image) {
    if (o->norm) spec_add(to, norms[o->norm], "{}");
    add_masked(to, o, mask, image, made_scales[o->scale]);
}

/* Dinh, Sohl-Dickstein, Bengio 2017, section 3.6: couplings by chessboards, a squeeze, couplings by channels, and half
 * of the numbers leave; the last level is couplings by chessboards alone. */
static void expand_multiscale(spec_builder *to, const void *options) {
    family_options own = *(const family_options *)options, *o = &own;
    own.network = !own.network; /* the one list begins with what the other ends with */
    image_size image = image_of(to, o);
    size_t whole = spec_channels(to);
    if (image.height * image.width * image.planes != whole) {
        spec_refuse(to, "expected images of %zu x %zu pixels of %zu channels, found rows of %zu numbers", image.height,
                    image.width, image.planes, whole);
        return;
    }
    spec_begin_levels(to);
    for (size_t level = 1; level <= o->levels; level++) {
        if (image.height * image.width < 2) {
            spec_refuse(to, "expected at least two pixels at every level, found %zu x %zu at level %zu of %zu",
                        image.height, image.width, level, o->levels);
            return;
        }
        for (size_t i = 0; i < o->layers; i++) add_step(to, o, i % 2 ? "checkerboard_turned" : "checkerboard", image);
        if (level == o->levels) break;
        if (image.height % 2 || image.width % 2) {
            spec_refuse(to, "expected images that can be squeezed %zu times, found %zu x %zu pixels at level %zu",
                        o->levels - 1, image.height, image.width, level);
            return;
        }
        spec_add(to, "squeeze2d", "{\"width\": %zu, \"planes\": %zu}", image.width, image.planes);
        image = (image_size){image.height / 2, image.width / 2, 4 * image.planes};
        for (size_t i = 0; i < o->layers; i++) add_step(to, o, i % 2 ? "channelwise_turned" : "channelwise", image);
        spec_add(to, "factor", "{\"planes\": %zu}", image.planes);
        image.planes /= 2;
        spec_end_level(to, image.height * image.width * image.planes);
    }
    spec_end_level(to, 0);
}

static void expand_glow(spec_builder *to, const void *options) {
    const family_options *o = options;
    for (size_t i = 0; i < o->layers; i++) {
        spec_add(to, "actnorm", "{}");
        spec_add(to, "inv1x1", "{}");
        add_coupling(to, o, made_scales[o->scale]);
    }
}

static void expand_recursive(spec_builder *to, const void *options) {
    const family_options *o = options;
    for (size_t i = 0; i < o->layers; i++) {
        spec_add(to, "actnorm", "{}");
        if (i) spec_add(to, "permute", "{\"order\": \"reverse\"}");
        spec_add(to, "recursive", "{\"scale\": \"%s\", \"layers\": %zu, \"channels\": %zu}", made_scales[o->scale],
                 o->depth, hidden_of(to, o));
    }
}

static void expand_made(spec_builder *to, const void *options) {
    add_made(to, options, true);
}

static void expand_autoregressive(spec_builder *to, const family_options *o, bool density) {
    for (size_t i = 0; i < o->layers; i++) {
        spec_add(to, "actnorm", "{}");
        add_made(to, o, density);
    }
}

static void expand_maf(spec_builder *to, const void *options) {
    expand_autoregressive(to, options, true);
}

static void expand_iaf(spec_builder *to, const void *options) {
    expand_autoregressive(to, options, false);
}

#define UNIT_NAME(name, meaning) #name,
static const char *const units[] = {VELOCITY_UNITS(UNIT_NAME) NULL};
#undef UNIT_NAME
static const char *const solvers[] = {[ODE_DOPRI5] = "dopri5", [ODE_RK4] = "rk4", NULL};
static const char *const traces[] = {[ODE_EXACT] = "exact", [ODE_HUTCHINSON] = "hutchinson", NULL};

static void expand_ode(spec_builder *to, const void *options) {
    const family_options *o = options;
    spec_add(
        to, "ode",
        "{\"layers\": %zu, \"channels\": %zu, \"unit\": \"%s\", \"waves\": %zu, \"solver\": \"%s\", \"steps\": %zu, "
        "\"rtol\": %.17g, \"atol\": %.17g, \"most\": %zu, \"trace\": \"%s\", \"seed\": %zu}",
        o->depth, o->hidden, units[o->unit], o->waves, solvers[o->solver], o->steps, o->rtol, o->atol, o->most,
        traces[o->trace], o->seed);
}

#define SIZE(member, fallback, from, to, text)                                                                        \
    {                                                                                                                 \
        .name = #member, .type = CONFIG_INT, .offset = offsetof(family_options, member), .default_value = (fallback), \
        .least = (from), .most = (to), .doc = (text)                                                                  \
    }
#define CHOICE(member, names, text)                                                                             \
    {                                                                                                           \
        .name = #member, .type = CONFIG_CHOICE, .offset = offsetof(family_options, member), .choices = (names), \
        .doc = (text)                                                                                           \
    }
#define LAYERS(fallback) SIZE(layers, fallback, 1, 256, "flows one after the other")
#define HIDDEN SIZE(hidden, 0, 0, 16384, "units of a hidden layer; 0: twice the columns, at least 32 and at most 512")
#define DEPTH(fallback) SIZE(depth, fallback, 1, 64, "hidden layers of each network")
#define MASK CHOICE(mask, masks, "the channels that pass; alternating ones change places with every coupling")
#define NETWORK \
    CHOICE(network, networks, "of all that passes, or convolutions over the image: depth blocks of hidden channels")
#define IMAGE                                                                      \
    SIZE(height, 0, 0, 65536, "of an image, pixels; 0: as the data say"),          \
        SIZE(width, 0, 0, 65536, "of an image, pixels; 0: as the data say, or 8"), \
        SIZE(planes, 0, 0, 65536, "channels of a pixel; 0: as the data say, or 1")
#define ORDER CHOICE(order, orders, "of the channels; alternate: forwards, then backwards")
#define SEED SIZE(seed, 0, 0, 1e9, "that order shuffle is drawn from")
#define COUNT(keys) (sizeof(keys) / sizeof *(keys))

static const config_key coupling_spec[] = {
    HIDDEN,  DEPTH(3), MASK,
    NETWORK, IMAGE,    CHOICE(scale, scales, "the log-scale: within -2 and 2, as it is, or zero (additive)")};
static const config_key planar_spec[] = {{.name = "K",
                                          .type = CONFIG_INT,
                                          .offset = offsetof(family_options, layers),
                                          .default_value = 16,
                                          .least = 1,
                                          .most = 512,
                                          .doc = "planes"}};
static const config_key nice_spec[] = {LAYERS(24), HIDDEN, DEPTH(3), MASK, NETWORK, IMAGE};
static const config_key realnvp_spec[] = {LAYERS(16),
                                          HIDDEN,
                                          DEPTH(3),
                                          MASK,
                                          NETWORK,
                                          IMAGE,
                                          CHOICE(scale, made_scales, "the log-scale: within -2 and 2, or as it is")};
static const config_key recursive_spec[] = {LAYERS(12), HIDDEN, DEPTH(3),
                                            CHOICE(scale, made_scales, "the log-scale: within -2 and 2, or as it is")};
static const config_key made_spec[] = {HIDDEN, DEPTH(3), ORDER, SEED,
                                       CHOICE(scale, made_scales, "the log-scale: within -2 and 2, or as it is")};
static const config_key maf_spec[] = {
    LAYERS(16), HIDDEN, DEPTH(3),
    ORDER,      SEED,   CHOICE(scale, made_scales, "the log-scale: within -2 and 2, or as it is")};

#define TOLERANCE(member, text)                                                                                  \
    {                                                                                                            \
        .name = #member, .type = CONFIG_REAL, .offset = offsetof(family_options, member), .default_value = 1e-5, \
        .least = 1e-14, .most = 1, .doc = (text)                                                                 \
    }
static const config_key ode_spec[] = {
    SIZE(hidden, 128, 1, 16384, "units of a hidden layer"),
    DEPTH(3),
    CHOICE(unit, units, "what the units are"),
    SIZE(waves, 3, 0, 64, "sines and cosines of the time that the network sees besides it, pairs"),
    CHOICE(solver, solvers, "steps as long as the tolerances allow, or of one length"),
    SIZE(steps, 16, 1, 100000, "of rk4"),
    TOLERANCE(rtol, "of dopri5, of a number's size (single precision holds 4e-6)"),
    TOLERANCE(atol, "of dopri5, besides"),
    SIZE(most, 200, 1, 100000, "steps of dopri5 after which a row is given up"),
    CHOICE(trace, traces, "of the divergence: in d directions, or estimated along one"),
    SIZE(seed, 1, 0, 1e9, "of the estimate's signs")};

static const config_key multiscale_spec[] = {
    SIZE(levels, 2, 1, 8, "scales; an image is squeezed once less"),
    {.name = "couplings",
     .type = CONFIG_INT,
     .offset = offsetof(family_options, layers),
     .default_value = 4,
     .least = 1,
     .most = 64,
     .doc = "by chessboards, and as many by channels, of each level"},
    CHOICE(network, image_networks, "convolutions over the image, or a perceptron of all that passes"),
    {.name = "channels",
     .type = CONFIG_INT,
     .offset = offsetof(family_options, hidden),
     .default_value = 32,
     .least = 1,
     .most = 16384,
     .doc = "of a layer of a network"},
    {.name = "blocks",
     .type = CONFIG_INT,
     .offset = offsetof(family_options, depth),
     .default_value = 1,
     .least = 1,
     .most = 64,
     .doc = "residual blocks of a network, or layers of the perceptron"},
    CHOICE(norm, norms, "before every coupling"),
    CHOICE(scale, made_scales, "the log-scale: within -2 and 2, or as it is"),
    IMAGE};

#define NETWORKS "a network a layer"
static const flow_family families[] = {
    {"affine", "scales and shifts every channel", "d", "d", "Dinh, Krueger, Bengio 2015, section 3.3", affine_keys, 2,
     "affine", NULL, false},
    {"scaling", "scales every channel, the end of NICE", "d", "d", "Dinh, Krueger, Bengio 2015, section 3.3", NULL, 0,
     NULL, expand_scaling, false},
    {"exp", "positive data are exponentials", "d", "d", "Rezende, Mohamed 2015, eq. 5", NULL, 0, "exp", NULL, false},
    {"actnorm", "scales and shifts every channel, from the first batch", "d", "d", "Kingma, Dhariwal 2018, section 3.1",
     NULL, 0, "actnorm", NULL, false},
    {"batchnorm", "normalises every channel by the batch", "d", "d", "Dinh, Sohl-Dickstein, Bengio 2017, eq. 17", NULL,
     0, "batchnorm", NULL, false},
    {"permute", "changes the order of the channels", "nothing", "nothing", "Dinh, Krueger, Bengio 2015, section 3.3",
     permute_keys, 2, "permute", NULL, false},
    {"dequantize", "noise that makes whole numbers real, the first flow", "nothing, or networks", "nothing",
     "Theis et al. 2016; Ho et al. 2019", dequantize_keys, 5, "dequantize", NULL, false},
    {"linear", "a matrix as P L U", "d^2", "d^2", "Kingma, Dhariwal 2018, eq. 10, 11", linear_keys, 1, "linear", NULL,
     false},
    {"inv1x1", "a matrix, whole", "d^2", "d^2", "Kingma, Dhariwal 2018, eq. 9", inv1x1_keys, 2, "inv1x1", NULL, false},
    {"planar", "pushes along one direction, K times", "d a plane", "d and a root a plane",
     "Rezende, Mohamed 2015, eq. 10 to 12", planar_spec, COUNT(planar_spec), NULL, expand_planar, true},
    {"coupling", "some channels scale and shift the others", "a network", "a network",
     "Dinh, Sohl-Dickstein, Bengio 2017, eq. 9", coupling_spec, COUNT(coupling_spec), NULL, expand_coupling, true},
    {"nice", "additive couplings, then a scaling", NETWORKS, NETWORKS, "Dinh, Krueger, Bengio 2015", nice_spec,
     COUNT(nice_spec), NULL, expand_nice, true},
    {"realnvp", "normalised affine couplings", NETWORKS, NETWORKS, "Dinh, Sohl-Dickstein, Bengio 2017", realnvp_spec,
     COUNT(realnvp_spec), NULL, expand_realnvp, true},
    {"multiscale", "images: chessboards, channels, half leaves at each scale", "a network a coupling",
     "a network a coupling", "Dinh, Sohl-Dickstein, Bengio 2017, section 3.6", multiscale_spec, COUNT(multiscale_spec),
     NULL, expand_multiscale, true},
    {"glow", "actnorm, a matrix and a coupling a layer", NETWORKS, NETWORKS, "Kingma, Dhariwal 2018", realnvp_spec,
     COUNT(realnvp_spec), NULL, expand_glow, true},
    {"recursive", "couplings of the whole, its halves, their halves", "2d networks a layer", "2d networks a layer",
     "Kruse et al. 2021, algorithm 1", recursive_spec, COUNT(recursive_spec), NULL, expand_recursive, true},
    {"made", "every channel moved by those before it", "a network", "a network, d steps", "Germain et al. 2015",
     made_spec, COUNT(made_spec), NULL, expand_made, true},
    {"maf", "layers of MADE: quick to score, slow to sample", NETWORKS, "a network a layer, d steps",
     "Papamakarios, Pavlakou, Murray 2017", maf_spec, COUNT(maf_spec), NULL, expand_maf, true},
    {"iaf", "the reverse: quick to sample, slow to score", "a network a layer, d steps", NETWORKS, "Kingma et al. 2016",
     maf_spec, COUNT(maf_spec), NULL, expand_iaf, true},
    {"ode", "a velocity that a network finds, followed by a solver", "d networks a stage", "a network a stage",
     "Chen et al. 2018; Grathwohl et al. 2019", ode_spec, COUNT(ode_spec), NULL, expand_ode, true},
    {"cnf", "the same as ode", "d networks a stage", "a network a stage", "Chen et al. 2018; Grathwohl et al. 2019",
     ode_spec, COUNT(ode_spec), NULL, expand_ode, true},
};

size_t flow_family_count(void) {
    return sizeof families / sizeof *families;
}

const flow_family *flow_family_at(size_t index) {
    return &families[index];
}
