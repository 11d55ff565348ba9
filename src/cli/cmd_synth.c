/* vocode synth, the default subcommand: mel spectrogram to audio. */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/jobs.h"
#include "cli/sound.h"
#include "cli/speak.h"
#include "io/bytes.h"
#include "vocoder/model.h"

static const option_row options[] = {
    {"output", 'o', "DIR", OPTION_TEXT, offsetof(arguments, output),
     .doc = "many files: write DIR/STEM.wav for each MEL.npy or folder of them"},
    OPTION_MODEL,
    {"sigma", 0, "S", OPTION_NUMBER, offsetof(arguments, sigma), .least = 0, .most = 100,
     .doc = "standard deviation of the noise (default: the model's)"},
    {"seed", 0, "N", OPTION_INTEGER, offsetof(arguments, seed), .doc = "seed of the noise (default: 0)"},
    {"noise", 0, "Z.npy", OPTION_TEXT, offsetof(arguments, noise),
     .doc = "use this latent as it is, instead of noise of --sigma and --seed"},
    {"mel-match", 0, "N", OPTION_INTEGER, offsetof(arguments, mel_match), .least = 0, .most = 100,
     .doc = "mel-consistency passes, 0 for none (default: the model's)"},
    {"refine", 0, "N", OPTION_INTEGER, offsetof(arguments, refine), .least = 0, .most = 1000,
     .doc = "phase-refinement iterations after them, 0 for none (default: the model's, or none where --mel-match is "
            "given); each makes a stream look further ahead"},
    {"steps", 0, "N", OPTION_INTEGER, offsetof(arguments, steps), .least = 1, .most = 1000,
     .doc = "steps of a continuous flow's solver: fewer are faster (default: the model's)"},
    {"denoise", 0, "A", OPTION_NUMBER, offsetof(arguments, denoise), .least = 0, .most = 100,
     .doc = "strength of the removal of the model's bias tones, 0.1 is mild (default: 0, none)"},
    {"mel-preset", 0, "NAME", OPTION_TEXT, offsetof(arguments, mel_preset),
     .doc = "the convention that the mel is in, where it is not the model's but converts exactly"},
    OPTION_LAYOUT,
    {"chunk", 0, "FRAMES", OPTION_INTEGER, offsetof(arguments, chunk), .least = 1, .most = 1e6,
     .doc = "stream: take so many frames at a time and write what is ready at once; the samples are the same"},
    {"mel-stream", 0, "f32le", OPTION_CHOICE, offsetof(arguments, mel_stream),
     .choices = (const char *const[]){"f32le", NULL},
     .doc = "stream: the input is bare frames of n_mels little-endian floats, until it ends"},
    {"precision", 0, "fp32", OPTION_CHOICE, offsetof(arguments, precision),
     .choices = (const char *const[]){"fp32", NULL}, .doc = "arithmetic (default and only one: fp32)"},
    OPTION_FORMAT,
    {"raw", 0, "s16le|f32le", OPTION_CHOICE, offsetof(arguments, raw),
     .choices = (const char *const[]){"s16le", "f32le", NULL},
     .doc = "samples without a header, instead of a file format"},
    {"gain", 0, "DB", OPTION_NUMBER, offsetof(arguments, gain), .least = -200, .most = 200,
     .doc = "make it louder or softer by so many decibels"},
    OPTION_THREADS,
};

/* What all files of a run share. */
typedef struct synth {
    const arguments *given;
    console *say;
    open_model model;
    mel_reading reading;              /* bands: the preset's or the model's */
    const mel_convention *convention; /* that the mels should be in; NULL where nobody says */
} synth;

static vocode_synthesis settings_of(const synth *run) {
    const arguments *given = run->given;
    return (vocode_synthesis){
        .size = sizeof(vocode_synthesis),
        .sigma = given->sigma.number,
        .silent_latent = given->sigma.given && given->sigma.number == 0,
        .seed = given->seed.integer,
        .mel_match = option_level(&given->mel_match),
        .refine = option_level(&given->refine),
        .denoise = given->denoise.number,
        .gain_db = given->gain.number,
        .mel_preset = given->mel_preset.text,
        .threads = (int)given->threads.integer,
        .steps = (int)given->steps.integer,
    };
}

/* The whole mel at once, with the latent that was given. */
static vocode_status synthesize(const synth *run, const mel_frames_file *mel, const job *item, progress *bar,
                                vocode_error *error) {
    const vocode_model_info *info = &run->model.info;
    const char *name = input_name(item->input);
    vocode_synthesis settings = settings_of(run);
    settings.progress = progress_fraction;
    settings.warning = progress_warning;
    settings.context = bar;
    latent_file noise;
    size_t samples, bytes;
    if (!size_multiply(mel->frames, info->hop, &samples) || !size_multiply(samples, sizeof(float), &bytes))
        return failed(error, VOCODE_VALUE, "%s: %zu frames of %zu samples are too many", name, mel->frames, info->hop);
    progress_item_length(bar, (double)samples / info->sample_rate);
    TRY(latent_read(run->given->noise.text, info->latent_channels, &noise, error));
    settings.noise = noise.values;
    settings.noise_columns = noise.columns;
    float *audio = malloc(bytes);
    vocode_status status =
        audio ? VOCODE_OK : failed(error, VOCODE_MEMORY, "%s: no memory for %zu samples", name, samples);
    if (status == VOCODE_OK) {
        status = vocode_synthesize(run->model.model, mel->values, mel->frames, mel->bands, &settings, audio, error);
        if (status != VOCODE_OK) failed_in(error, status, name);
    }
    if (status == VOCODE_OK)
        status = sound_write(run->given, item->output, audio, samples, info->sample_rate, run->say, error);
    free(audio);
    free(noise.values);
    return status;
}

static vocode_status run_whole(const synth *run, const job *item, progress *bar, vocode_error *error) {
    mel_frames_file mel;
    TRY(mel_read(item->input, &run->reading, &mel, error));
    vocode_status status = synthesize(run, &mel, item, bar, error);
    free(mel.values);
    return status;
}

static vocode_status run_one(void *context, const job *item, progress *bar, vocode_error *error) {
    const synth *run = context;
    mel_source *source;
    if (run->given->noise.given) return run_whole(run, item, bar, error);
    speech about = {run->given, &run->model, run->convention, settings_of(run), run->given->chunk.integer, run->say};
    TRY(mel_source_open(item->input, &run->reading, run->given->mel_stream.given, &source, error));
    vocode_status status = speak(&about, source, input_name(item->input), item->output, bar, error);
    mel_source_free(source);
    return status;
}

/* Options that cannot be given together. */
static int check_pairs(const arguments *given, console *out) {
    const char *name = command_synth.name;
    if (given->noise.given && (given->sigma.given || given->seed.given))
        return console_usage(out, name, "--noise is a latent as it is: --%s cannot be given with it",
                             given->sigma.given ? "sigma" : "seed");
    if (given->noise.given && given->output.given)
        return console_usage(out, name, "--noise is the latent of one mel: it cannot be given with -o");
    if (given->noise.given && (given->chunk.given || given->mel_stream.given))
        return console_usage(out, name, "--noise is the latent of a whole mel: --%s cannot be given with it",
                             given->chunk.given ? "chunk" : "mel-stream");
    if (given->mel_stream.given && (given->output.given || given->layout.given))
        return console_usage(out, name, "--mel-stream is one input, frame by frame: %s cannot be given with it",
                             given->output.given ? "-o" : "--layout");
    return EXIT_SUCCESS;
}

static int check_usage(const arguments *given, console *out) {
    const command *about = &command_synth;
    vocode_error error;
    const mel_convention *convention;
    int status = check_pairs(given, out);
    if (status != EXIT_SUCCESS) return status;
    if (given->mel_preset.given && mel_preset_require(given->mel_preset.text, &convention, &error) != VOCODE_OK)
        return console_usage(out, about->name, "--mel-preset: %s", error.message);
    return sound_check(given, about, given->output.given ? "-" : given->items[1], out);
}

static int run_jobs(const arguments *given, const job_list *jobs, console *out) {
    vocode_error error;
    synth run = {.given = given, .say = out};
    vocode_status opened = use_model(given, &run.model, out, &error);
    int status = console_finish(out, opened, &error);
    if (opened == VOCODE_OK) {
        const mel_convention *preset = given->mel_preset.given ? mel_preset_find(given->mel_preset.text) : NULL;
        run.convention = preset;
        if (!preset && model_mel(run.model.model, &run.convention, NULL) != VOCODE_OK) run.convention = NULL;
        run.reading.bands = preset ? preset->n_mels : run.model.info.n_mels;
        run.reading.whose = preset ? preset->preset : run.model.path;
        run.reading.layout = &given->layout;
        status = jobs_run(jobs, run_one, &run, out);
    }
    release_model(&run.model);
    return status;
}

static int run_command(const arguments *given, console *out) {
    static const char *const endings[] = {".npy", NULL};
    const job_kind kind = {endings, given->raw.given ? ".raw" : ".wav"};
    job_list jobs;
    int status = jobs_plan(given, &command_synth, "MEL.npy OUT.wav", &kind, &jobs, out);
    if (status == EXIT_SUCCESS) status = check_usage(given, out);
    if (status == EXIT_SUCCESS) status = run_jobs(given, &jobs, out);
    jobs_free(&jobs);
    return status;
}

const command command_synth = {
    .name = "synth",
    .synopsis = "MEL.npy OUT.wav [options]\nMEL.npy... -o DIR [options]\n- - [options]",
    .summary = "mel spectrogram to audio (the default: vocode MEL.npy OUT.wav)",
    .details =
        "MEL.npy: float16, 32 or 64, any byte order, C or Fortran order, [n_mels, T], [T, n_mels] or [1, n_mels, T].\n"
        "OUT ends in .wav or .flac and is frames times hop samples long. \"-\" is standard input or output.\n"
        "\n"
        "Audio is written while it is made, and memory does not depend on its length. \"- -\" streams: a WAV (or "
        "--raw)\n"
        "begins to come out while the .npy still comes in, if that holds one frame after the other: [T, n_mels] in C\n"
        "order or [n_mels, T] in Fortran order. One with band after band ([n_mels, T] in C order, as most are) is "
        "read\n"
        "to its end first. A front end that does not know its length sends bare frames: --mel-stream f32le. Streamed\n"
        "samples are those of the file, bit for bit, however the frames are cut; the sound of a frame comes once the\n"
        "frames of the model's look-ahead (vocode info, vocode bench) have followed it.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 1,
    .run = run_command,
};
