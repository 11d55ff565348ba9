/* vocode bench: the speed of a model on this machine. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench.h"
#include "cli/commands.h"
#include "cli/json_out.h"
#include "cli/use_model.h"
#include "kernels/kernels.h"

#define DEFAULT_SECONDS 20.0
#define LABEL_WIDTH 20
#define MEGABYTE 1e6
enum { EVERY_COUNT_TO = 4, MOST_RUNS = 16 };

static const option_row options[] = {
    {"seconds", 0, "S", OPTION_NUMBER, offsetof(arguments, seconds), .least = 0.01, .most = 3600,
     .doc = "audio to make in each run (default: 20)"},
    {"threads", 0, "N", OPTION_INTEGER, offsetof(arguments, threads), .least = 1, .most = 1024,
     .doc = "the most threads to try (default: all processors)"},
    {"mel-match", 0, "N", OPTION_INTEGER, offsetof(arguments, mel_match), .least = 0, .most = 100,
     .doc = "mel-consistency passes, 0 for none (default: the model's)"},
    {"refine", 0, "N", OPTION_INTEGER, offsetof(arguments, refine), .least = 0, .most = 1000,
     .doc = "phase-refinement iterations, 0 for none (default: the model's, or none where --mel-match is given)"},
    OPTION_JSON("one object"),
};

typedef struct report {
    const open_model *model;
    bench what;
    bench_facts facts;
    size_t count;
    bench_run runs[MOST_RUNS];
} report;

static double frames_ms(const vocode_model_info *info, size_t frames) {
    return 1e3 * (double)frames * (double)info->hop / info->sample_rate;
}

/* 1, 2, 3, 4, then twice as many each time, and the most. */
static int next_count(int threads, int most) {
    int next = threads < EVERY_COUNT_TO ? threads + 1 : 2 * threads;
    return threads < most && next > most ? most : next;
}

static vocode_status measure(report *out, int most, console *say, vocode_error *error) {
    TRY(bench_find_facts(&out->what, &out->facts, error));
    for (int threads = 1; threads <= most && out->count < MOST_RUNS; threads = next_count(threads, most)) {
        console_detail(say, "measuring with %d thread%s", threads, threads == 1 ? "" : "s");
        TRY(bench_measure(&out->what, &out->facts, threads, &out->runs[out->count], error));
        out->count++;
    }
    return VOCODE_OK;
}

static void set_number(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, json_real(value));
}

static json_t *run_json(const bench_run *run) {
    json_t *object = json_object();
    json_set_size(object, "threads", (size_t)run->threads);
    set_number(object, "real_time_factor", run->speed);
    set_number(object, "model_real_time_factor", run->model_speed);
    set_number(object, "gflops", 2e-9 * run->rate);
    json_object_set_new(object, "peak_gflops", run->peak > 0 ? json_real(2e-9 * run->peak) : json_null());
    json_object_set_new(object, "share_of_peak", run->peak > 0 ? json_real(run->rate / run->peak) : json_null());
    json_set_size(object, "first_audio_frames", run->first_frames);
    set_number(object, "first_audio_ms", 1e3 * run->first_audio);
    set_number(object, "first_audio_at_once_ms", 1e3 * run->first_at_once);
    return object;
}

static json_t *as_json(const report *all) {
    const vocode_model_info *info = &all->what.info;
    json_t *object = json_object(), *runs = json_array();
    json_object_set_new(object, "model", json_name(all->model->path));
    json_object_set_new(object, "kind", json_string(info->kind));
    json_set_size(object, "parameters", info->parameters);
    json_object_set_new(object, "kernels", json_string(kernels()->level));
    set_number(object, "seconds", frames_ms(info, all->what.frames) / 1e3);
    json_set_size(object, "mel_match", all->facts.passes);
    json_set_size(object, "refine", all->facts.iterations);
    json_set_size(object, "look_ahead_frames", all->facts.look_ahead);
    set_number(object, "look_ahead_ms", frames_ms(info, all->facts.look_ahead));
    set_number(object, "multiply_adds_per_second", all->facts.multiply_adds);
    for (size_t i = 0; i < all->count; i++) json_array_append_new(runs, run_json(&all->runs[i]));
    json_object_set_new(object, "runs", runs);
    json_set_size(object, "peak_memory_bytes", bench_peak_memory());
    return object;
}

static void print_text(const report *all) {
    const vocode_model_info *info = &all->what.info;
    printf("%-*s%s: %s, %zu parameters\n", LABEL_WIDTH, "model:", all->model->path, info->kind, info->parameters);
    printf("%-*s%s\n", LABEL_WIDTH, "kernels:", kernels()->level);
    printf("%-*s%.3f giga multiply-adds a second of audio\n", LABEL_WIDTH,
           "arithmetic:", 1e-9 * all->facts.multiply_adds);
    printf("%-*s%zu\n", LABEL_WIDTH, "mel-match passes:", all->facts.passes);
    printf("%-*s%zu\n", LABEL_WIDTH, "refine iterations:", all->facts.iterations);
    printf("%-*s%zu frames, %.1f ms\n", LABEL_WIDTH, "look-ahead:", all->facts.look_ahead,
           frames_ms(info, all->facts.look_ahead));
    printf("%-*s%.2f s of audio, the best of %d runs\n\n", LABEL_WIDTH,
           "each run:", frames_ms(info, all->what.frames) / 1e3, BENCH_TURNS);
    puts("threads  times real time  model alone  GFLOP/s  share of peak  first audio, ms  (all frames at once)");
    for (size_t i = 0; i < all->count; i++) {
        const bench_run *run = &all->runs[i];
        printf("%7d %16.2f %12.2f %8.1f ", run->threads, run->speed, run->model_speed, 2e-9 * run->rate);
        if (run->peak > 0)
            printf("%12.1f %%", 100 * run->rate / run->peak);
        else
            printf("%14s", "unknown");
        printf(" %16.2f %21.2f\n", 1e3 * run->first_audio, 1e3 * run->first_at_once);
    }
    printf("\n%-*s%.1f MB\n", LABEL_WIDTH, "peak memory:", (double)bench_peak_memory() / MEGABYTE);
}

static vocode_status bench_model(const arguments *given, const open_model *model, console *out, vocode_error *error) {
    report all = {.model = model};
    int most = given->threads.given ? (int)given->threads.integer : omp_get_max_threads();
    double seconds = given->seconds.given ? given->seconds.number : DEFAULT_SECONDS;
    TRY(bench_begin(model->model, seconds, option_level(&given->mel_match), option_level(&given->refine), &all.what,
                    error));
    vocode_status status = measure(&all, most, out, error);
    if (status == VOCODE_OK && given->json.given)
        status = json_show(as_json(&all), error);
    else if (status == VOCODE_OK)
        print_text(&all);
    bench_end(&all.what);
    return status;
}

static int run_command(const arguments *given, console *out) {
    arguments named = *given;
    if (given->count) named.model = (option_value){.given = true, .text = given->items[0]};
    open_model model;
    vocode_error error;
    vocode_status status = use_model(&named, &model, out, &error);
    if (status == VOCODE_OK) status = bench_model(given, &model, out, &error);
    release_model(&model);
    return console_finish(out, status, &error);
}

const command command_bench = {
    .name = "bench",
    .synopsis = "[MODEL] [options]",
    .summary = "speed on this machine: real-time factor, first-audio latency, share of peak",
    .details =
        "Without MODEL: of $VOCODE_MODEL, else of the shipped model.\n"
        "\n"
        "times real time   seconds of audio a second of one-shot synthesis, mel-consistency passes included\n"
        "model alone       without the passes; GFLOP/s are the model's products of matrices at that speed, two\n"
        "                  operations a multiply-add, and the peak is that of multiply-adds on registers alone,\n"
        "                  measured in the same run with as many threads\n"
        "first audio       of a stream: from the push of the last frame that the first samples need to these\n"
        "                  samples, where the frames come one by one; and where they all are pushed together\n"
        "peak memory       of the whole process, with the mel and the audio of a run\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .most = 1,
    .run = run_command,
};
