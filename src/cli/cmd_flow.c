/* vocode flow: densities of vectors. */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/flow_actions.h"

static const option_row options[] = {
    {"flow", 0, "SPEC", OPTION_TEXT, offsetof(arguments, flow),
     .doc = "fit: the flow from data to latent, such as maf:layers=5,hidden=128 or (actnorm,linear,coupling)*8; vi: "
            "from noise to data, such as planar:K=32 or iaf (vocode flow list)"},
    {"base", 0, "gaussian|logistic", OPTION_CHOICE, offsetof(arguments, base),
     .choices = (const char *const[]){"gaussian", "logistic", NULL},
     .doc = "fit, vi: the distribution of the latent's numbers (default: gaussian)"},
    {"context", 0, "C.npy", OPTION_TEXT, offsetof(arguments, context),
     .doc = "what each row is conditioned on, [rows, columns]; needed wherever the model was fitted with it"},
    {"dequantize", 0, "uniform|variational", OPTION_CHOICE, offsetof(arguments, dequantize),
     .choices = (const char *const[]){"uniform", "variational", NULL},
     .doc =
         "fit: the rows are whole numbers, made real by noise, of a flow of its own or uniform: \"dequantize,\" before "
         "the SPEC"},
    {"train", 0, "likelihood|matching", OPTION_CHOICE, offsetof(arguments, train),
     .choices = (const char *const[]){"likelihood", "matching", NULL},
     .doc = "fit: by maximum likelihood, or a continuous flow by flow matching, which is quicker (default: matching "
            "where it can be)"},
    {"valid", 0, "FRACTION", OPTION_NUMBER, offsetof(arguments, valid), .least = 1e-6, .most = 0.9,
     .doc = "fit, vae: the share of rows that is held out to stop by (default: 0.1)"},
    {"epochs", 0, "N", OPTION_INTEGER, offsetof(arguments, epochs), .least = 1, .most = 1e6,
     .doc = "fit: at most so many passes over the rows (default: as many as make 20000 steps, of images 800, 50 to "
            "1000); vae: so many "
            "(default: 500)"},
    {"patience", 0, "N", OPTION_INTEGER, offsetof(arguments, patience), .least = 1, .most = 1e6,
     .doc = "fit: epochs without improvement after which it ends (default: half of --epochs)"},
    {"batch", 0, "N", OPTION_INTEGER, offsetof(arguments, batch), .least = 1, .most = 1e6,
     .doc = "fit, vi, vae: rows of a step (default: 256, or 1024 for matching; vae: 128)"},
    {"rate", 0, "R", OPTION_NUMBER, offsetof(arguments, rate), .least = 1e-8, .most = 1,
     .doc = "fit, vi, vae: learning rate to begin with (default: 0.002, or 0.001 for additive couplings and 0.004 for "
            "MADE, images and matching; vi: 0.02; vae: 0.002)"},
    {"steps", 0, "N", OPTION_INTEGER, offsetof(arguments, steps), .least = 1, .most = 1e9,
     .doc = "vi: steps of a try (default: 20000)"},
    {"tries", 0, "N", OPTION_INTEGER, offsetof(arguments, tries), .least = 1, .most = 1000,
     .doc = "vi: fits with different seeds, of which the best stays (default: 3)"},
    {"anneal", 0, "N", OPTION_INTEGER, offsetof(arguments, anneal), .least = 1, .most = 1e9,
     .doc = "vi: steps until the energy counts in full (default: half of them)"},
    {"posterior", 0, "SPEC", OPTION_TEXT, offsetof(arguments, posterior),
     .doc = "vae: mean-field, planar, iaf, or any flow from noise to the latent, such as planar:K=16 (default: iaf)"},
    {"latent", 0, "N", OPTION_INTEGER, offsetof(arguments, latent), .least = 1, .most = 65536,
     .doc = "vae: numbers of the latent (default: 16)"},
    {"hidden", 0, "N", OPTION_INTEGER, offsetof(arguments, hidden), .least = 1, .most = 65536,
     .doc = "vae: units of a hidden layer of encoder and decoder (default: 128)"},
    {"depth", 0, "N", OPTION_INTEGER, offsetof(arguments, depth), .least = 1, .most = 64,
     .doc = "vae: their hidden layers (default: 1)"},
    {"levels", 0, "L", OPTION_INTEGER, offsetof(arguments, levels), .least = 1, .most = 1 << 20,
     .doc = "vae: the largest number that may occur (default: the largest of X)"},
    {"warm", 0, "N", OPTION_INTEGER, offsetof(arguments, warm), .least = 1, .most = 1e6,
     .doc = "vae: epochs until the divergence from the prior counts in full (default: a tenth of them)"},
    {"draws", 0, "N", OPTION_INTEGER, offsetof(arguments, draws), .least = 1, .most = 1e6,
     .doc = "score of an autoencoder: draws of every row (default: 100)"},
    {"means", 0, NULL, OPTION_FLAG, offsetof(arguments, means),
     .doc = "sample of an autoencoder: what draws of the latent stand for, not draws of the pixels"},
    {"draw", 0, NULL, OPTION_FLAG, offsetof(arguments, draw),
     .doc = "encode of an autoencoder: a draw of the posterior, of --seed, not its middle"},
    {"seed", 0, "N", OPTION_INTEGER, offsetof(arguments, seed),
     .doc = "of the weights and the order of rows, or of the samples (default: 0)"},
    OPTION_THREADS,
};

typedef struct action {
    const char *name;
    size_t least, most; /* arguments, the name included */
    const char *arguments;
    vocode_status (*run)(const arguments *given, console *out, vocode_error *error);
} action;

static const action actions[] = {
    {"fit", 3, 3, "X.npy MODEL", flow_fit},
    {"sample", 4, 4, "MODEL N OUT.npy", flow_sample},
    {"score", 3, 4, "MODEL X.npy [OUT.npy]", flow_score},
    {"encode", 4, 4, "MODEL X.npy Z.npy", flow_encode},
    {"decode", 4, 4, "MODEL Z.npy X.npy", flow_decode},
    {"plot", 3, 3, "MODEL OUT.png", flow_plot},
    {"vi", 3, 3, "ENERGY MODEL", flow_vi},
    {"vae", 3, 3, "X.npy MODEL", flow_vae},
    {"list", 1, 1, "nothing", flow_list},
};

static const action *find(const char *name) {
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, name) == 0) return &actions[i];
    return NULL;
}

static int run_command(const arguments *given, console *out) {
    vocode_error error;
    const action *what = find(given->items[0]);
    if (!what)
        return console_usage(out, command_flow.name,
                             "expected fit, sample, score, encode, decode, plot, vi, vae or list, found \"%s\"",
                             given->items[0]);
    if (given->count < what->least || given->count > what->most)
        return console_usage(out, command_flow.name, "%s: expected %s, found %zu arguments", what->name,
                             what->arguments, given->count - 1);
    if ((what->run == flow_fit || what->run == flow_vi) && !given->flow.given)
        return console_usage(out, command_flow.name, "%s: --flow is missing: which flow to fit (vocode flow list)",
                             what->name);
    if (what->run == flow_vae && (given->flow.given || given->context.given))
        return console_usage(out, command_flow.name, "vae: expected no --%s; the flow of the posterior is --posterior",
                             given->flow.given ? "flow" : "context");
    return console_finish(out, what->run(given, out, &error), &error);
}

const command command_flow = {
    .name = "flow",
    .synopsis = "fit X.npy MODEL --flow SPEC [options]\n"
                "sample MODEL N OUT.npy [options]\n"
                "score MODEL X.npy [OUT.npy] [options]\n"
                "encode MODEL X.npy Z.npy [options]\n"
                "decode MODEL Z.npy X.npy [options]\n"
                "plot MODEL OUT.png [options]\n"
                "vi ENERGY MODEL --flow SPEC [options]\n"
                "vae X.npy MODEL [options]\n"
                "list",
    .summary = "densities of vectors: fit, sample and score them",
    .details =
        "X.npy holds rows, [n, d], or images, [n, height, width] or [n, height, width, planes], whose shape the model\n"
        "keeps. fit writes a model by maximum likelihood, with the data's mean and deviation in it;\n"
        "score prints the mean log density a row with its standard error, and writes that of every row; encode and\n"
        "decode go to the latent and back, exactly. plot draws density, samples and their way from the latent of two "
        "columns,\n"
        "or samples of images, one for each of the first 256 rows of a context. list explains every flow with its cost "
        "in "
        "both directions.\n"
        "\n"
        "vi fits a flow from noise to data to an unnormalised density exp(-U), by reverse KL. ENERGY is U1, U2, U3 or\n"
        "U4 of Rezende and Mohamed (2015), where (z1 / 3)^2 / 2 is added to those that do not decay. It prints the\n"
        "bound on log Z, its estimate by importance sampling, the truth by quadrature, and KL(q, p).\n"
        "\n"
        "vae fits an autoencoder to whole numbers, whose approximate posterior may be a flow. Of its model sample "
        "draws\n"
        "rows, score bounds their log probability, encode finds the middle of their posterior, and decode the means "
        "that\n"
        "a latent stands for.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 1,
    .run = run_command,
};
