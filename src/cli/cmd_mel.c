/* vocode mel: audio to mel spectrogram. */
#include <stdlib.h>

#include "cli/arrays.h"
#include "cli/commands.h"
#include "cli/jobs.h"
#include "cli/use_model.h"
#include "dsp/mel.h"
#include "io/audio.h"
#include "io/bytes.h"
#include "vocoder/model.h"

#define DEFAULT_PRESET "tacotron2"

static const option_row options[] = {
    {"output", 'o', "DIR", OPTION_TEXT, offsetof(arguments, output),
     .doc = "many files: write DIR/STEM.npy for each file; folders are searched and mirrored below DIR"},
    {"preset", 0, "NAME", OPTION_TEXT, offsetof(arguments, preset),
     .doc = "the convention, from the list below (default: " DEFAULT_PRESET ")"},
    {"model", 0, "FILE", OPTION_TEXT, offsetof(arguments, model),
     .doc = "take the convention that this model was trained on, instead of a preset's"},
    {"layout", 0, "mels-first|frames-first", OPTION_CHOICE, offsetof(arguments, layout), .choices = layout_choices,
     .doc = "[n_mels, T] or [T, n_mels] (default: what the preset's own files have)"},
};

typedef struct mel_run {
    bool frames_first;
    mel_frontend *front_end;
    console *say;
} mel_run;

/* values [frames, bands] in the order that was asked for. */
static vocode_status write_mel(const mel_run *run, const char *path, const float *values, size_t frames,
                               vocode_error *error) {
    size_t bands = mel_frontend_convention(run->front_end)->n_mels;
    if (run->frames_first) return array_write(path, values, frames, bands, error);
    float *turned = malloc(frames * bands * sizeof *turned);
    if (!turned) return failed(error, VOCODE_MEMORY, "%s: no memory for a mel of %zu frames", path, frames);
    transpose(values, frames, bands, turned);
    vocode_status status = array_write(path, turned, bands, frames, error);
    free(turned);
    return status;
}

static vocode_status compute_mel(const mel_run *run, const job *item, const audio *sound, vocode_error *error) {
    const mel_convention *convention = mel_frontend_convention(run->front_end);
    size_t frames = mel_frames(convention, sound->frames), count, bytes;
    float *values = NULL;
    if (size_multiply(frames, convention->n_mels, &count) && size_multiply(count, sizeof *values, &bytes))
        values = malloc(bytes ? bytes : sizeof *values);
    if (!values)
        return failed(error, VOCODE_MEMORY, "%s: no memory for a mel of %zu frames", input_name(item->input), frames);
    vocode_status status = mel_compute(run->front_end, sound->samples, sound->frames, values, error);
    if (status == VOCODE_OK)
        status = write_mel(run, item->output, values, frames, error);
    else
        failed_in(error, status, input_name(item->input));
    free(values);
    return status;
}

static vocode_status run_one(void *context, const job *item, progress *bar, vocode_error *error) {
    const mel_run *run = context;
    const warning_sink notes = console_notes(run->say);
    const mel_convention *convention = mel_frontend_convention(run->front_end);
    audio sound;
    TRY(audio_read_mono(item->input, (unsigned)convention->sample_rate, &sound, &notes, error));
    progress_item_length(bar, (double)sound.frames / sound.sample_rate);
    vocode_status status = compute_mel(run, item, &sound, error);
    audio_free(&sound);
    return status;
}

/* The front end of --preset or --model. */
static vocode_status find_front_end(const arguments *given, mel_frontend **out, console *say, vocode_error *error) {
    if (!given->model.given) {
        const char *name = given->preset.given ? given->preset.text : DEFAULT_PRESET;
        const mel_convention *convention;
        TRY(mel_preset_require(name, &convention, error));
        return mel_frontend_new(convention, out, error);
    }
    open_model model;
    const mel_convention *convention;
    vocode_status status = use_model(given, &model, say, error);
    if (status == VOCODE_OK) {
        status = model_mel(model.model, &convention, error);
        if (status != VOCODE_OK) failed_in(error, status, model.path);
    }
    if (status == VOCODE_OK) status = mel_frontend_new(convention, out, error);
    release_model(&model);
    return status;
}

static int check_usage(const arguments *given, console *out) {
    vocode_error error;
    const mel_convention *convention;
    if (given->preset.given && given->model.given)
        return console_usage(out, command_mel.name,
                             "--preset and --model both name a convention: expected one of them");
    if (given->preset.given && mel_preset_require(given->preset.text, &convention, &error) != VOCODE_OK)
        return console_usage(out, command_mel.name, "--preset: %s", error.message);
    return EXIT_SUCCESS;
}

static int run_jobs(const arguments *given, const job_list *jobs, console *out) {
    vocode_error error;
    mel_run run = {.say = out};
    vocode_status found = find_front_end(given, &run.front_end, out, &error);
    if (found != VOCODE_OK) return console_finish(out, found, &error);
    run.frames_first = given->layout.given ? given->layout.integer == LAYOUT_FRAMES_FIRST
                                           : mel_frontend_convention(run.front_end)->frames_first != 0;
    int status = jobs_run(jobs, run_one, &run, out);
    mel_frontend_free(run.front_end);
    return status;
}

static int run_command(const arguments *given, console *out) {
    static const char *const endings[] = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", NULL};
    const job_kind kind = {endings, ".npy"};
    job_list jobs;
    int status = jobs_plan(given, &command_mel, "IN.wav OUT.npy", &kind, &jobs, out);
    if (status == EXIT_SUCCESS) status = check_usage(given, out);
    if (status == EXIT_SUCCESS) status = run_jobs(given, &jobs, out);
    jobs_free(&jobs);
    return status;
}

static void list_presets(FILE *to) {
    size_t count;
    const mel_preset *presets = mel_preset_list(&count);
    fputs("\npresets:\n", to);
    for (size_t i = 0; i < count; i++) fprintf(to, "  %-16s %s\n", presets[i].convention.preset, presets[i].doc);
}

const command command_mel = {
    .name = "mel",
    .synopsis = "IN.wav OUT.npy [options]\nIN... -o DIR [options]",
    .summary = "audio to mel spectrogram",
    .details =
        "IN is any audio file that libsndfile reads; it is resampled to the preset's rate and mixed to one channel\n"
        "where needed. OUT is float32, [n_mels, T], or [T, n_mels] where the preset's own files are.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 1,
    .run = run_command,
    .more_help = list_presets,
};
