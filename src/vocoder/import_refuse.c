/* Sentences for checkpoints of other models: recognised by the names of their tensors. */
#include <string.h>

#include "vocoder/import_tree.h"

/* A model is recognised where some names hold the first text and some the second (NULL: no matter). Order counts: the
 * more special come first. */
static const struct {
    const char *first, *second, *what;
} others[] = {
    {"lvc_blocks.", NULL, "UnivNet, a GAN vocoder"},
    {"kernel_predictor.", NULL, "UnivNet, a GAN vocoder"},
    {"activation_post", NULL, "BigVGAN, a GAN vocoder"},
    {"enc_p.", "enc_q.", "VITS, a text-to-speech model"},
    {"enc_p.", "dec.", "VITS, a text-to-speech model"},
    {"text_encoder.", "posterior_encoder.", "VITS, a text-to-speech model"},
    {"conv_pre.", "resblocks.", "HiFi-GAN, a GAN vocoder"},
    {"conv_pre.", "ups.", "HiFi-GAN, a GAN vocoder"},
    {"ups.", "resblocks.", "HiFi-GAN, a GAN vocoder"},
    {"upsamples.", "blocks.", "HiFi-GAN, a GAN vocoder"},
    {"backbone.convnext.", NULL, "Vocos, a GAN vocoder"},
    {"backbone.", "head.out", "Vocos, a GAN vocoder"},
    {"upsample_net.", "conv_layers.", "Parallel WaveGAN, a GAN vocoder"},
    {"melgan.", NULL, "MelGAN, a GAN vocoder"},
    {"generator.", ".shortcut.", "MelGAN, a GAN vocoder"},
    {"model.", ".shortcut.", "MelGAN, a GAN vocoder"},
    {"generator.", ".block.", "MelGAN, a GAN vocoder"},
    {"model_g.", NULL, "MelGAN, a GAN vocoder"},
    {"netG.", NULL, "MelGAN, a GAN vocoder"},
    {"discriminators.", NULL, "the discriminator of a GAN vocoder"},
    {"mpd.", "msd.", "the discriminator of a GAN vocoder"},
    {"attention_rnn.", NULL, "Tacotron 2, which makes mels from text"},
    {"decoder.flows.", "encoder.", "Glow-TTS, which makes mels from text"},
    {"variance_adaptor.", NULL, "FastSpeech 2, which makes mels from text"},
    {"length_regulator.", NULL, "FastSpeech, which makes mels from text"},
    {"duration_predictor.", NULL, "FastSpeech, which makes mels from text"},
    {"rnn1.weight_ih", NULL, "WaveRNN, an autoregressive vocoder"},
    {"diffusion_embedding.", NULL, "DiffWave, a diffusion vocoder"},
};

#define SEARCH_STEPS 100000 /* nodes that the search below visits */
#define SEARCH_DEPTH 32

/* Nonzero where text stands in name at the beginning of one of its parts (or begins with a dot itself). */
static int holds(const char *name, const char *text) {
    for (const char *at = strstr(name, text); at; at = strstr(at + 1, text))
        if (at == name || at[-1] == '.' || text[0] == '.') return 1;
    return 0;
}

static int some_hold(const tree *t, const char *text) {
    for (size_t i = 0; i < t->count; i++)
        if (holds(t->entries[i].name, text)) return 1;
    return 0;
}

/* Whether a tensor hangs anywhere below ref. */
static int holds_tensor(const pickle *graph, pickle_ref ref, int depth, size_t *steps) {
    if (ref == PICKLE_ABSENT || depth > SEARCH_DEPTH || ++*steps > SEARCH_STEPS) return 0;
    const pickle_node *node = pickle_at(graph, ref);
    if (node->kind == PICKLE_OBJECT) {
        if (torch_is_tensor(graph, ref)) return 1;
        if (holds_tensor(graph, node->arguments, depth + 1, steps) ||
            holds_tensor(graph, node->state, depth + 1, steps))
            return 1;
    } else if (node->kind != PICKLE_DICT && node->kind != PICKLE_LIST && node->kind != PICKLE_TUPLE) {
        return 0;
    }
    for (uint32_t i = 0; i < node->count; i++)
        if (holds_tensor(graph, node->items[i], depth + 1, steps)) return 1;
    return 0;
}

vocode_status tree_refuse_class(const tree *t, const tree_entry *entry, vocode_error *error) {
    char class[PICKLE_CLASS_TEXT];
    return failed(error, VOCODE_UNSUPPORTED, "%s is of the unsupported class %s", entry->name[0] ? entry->name : "it",
                  pickle_class_text(t->graph, pickle_class(t->graph, entry->ref), class, sizeof class));
}

vocode_status tree_refuse(const tree *t, vocode_error *error) {
    static const char only[] = "vocode imports WaveGlow and SqueezeWave";
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (some_hold(t, others[i].first) && (!others[i].second || some_hold(t, others[i].second)))
            return failed(error, VOCODE_UNSUPPORTED, "a checkpoint of %s; %s", others[i].what, only);
    size_t steps = 0, tensors = 0;
    const tree_entry *first = NULL;
    for (size_t i = 0; i < t->count; i++) {
        const tree_entry *entry = &t->entries[i];
        if (entry->foreign && holds_tensor(t->graph, entry->ref, 0, &steps)) return tree_refuse_class(t, entry, error);
        if (!entry->foreign && tensors++ == 0) first = entry;
    }
    if (!first && t->count > 0) return tree_refuse_class(t, &t->entries[0], error);
    if (!first) return failed(error, VOCODE_UNSUPPORTED, "a PyTorch file without any tensor; %s", only);
    return failed(error, VOCODE_UNSUPPORTED,
                  "holds no flow vocoder that is known here: of its %zu tensors the first is %s; %s", tensors,
                  first->name, only);
}
