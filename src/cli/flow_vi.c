/* vocode flow vi: a flow fitted to an unnormalised density by reverse KL. */
#include <stdio.h>

#include "cli/flow_actions.h"
#include "cli/interrupt.h"
#include "density/vi.h"

enum { DRAWS = 200000 };

/* One line that is written over, on a terminal; a line a report with -v. */
static bool see(void *context, const vi_progress *now) {
    console *out = context;
    if (out->verbose)
        console_detail(out, "try %zu, step %zu: free energy %.4f nats, beta %.2f, rate %.2g", now->attempt, now->step,
                       now->free_energy, now->beta, now->rate);
    else if (out->terminal && !out->quiet) {
        console_clear(out);
        fprintf(stderr, "try %zu of %zu, step %zu of %zu: free energy %.4f nats", now->attempt, now->attempts,
                now->step, now->steps, now->free_energy);
        fflush(stderr);
        out->bar_shown = true;
    }
    return !interrupt_waiting();
}

static vi_options options_of(const arguments *given) {
    vi_options options = vi_defaults;
    if (given->steps.given) options.steps = given->steps.integer;
    if (given->tries.given) options.tries = given->tries.integer;
    if (given->batch.given) options.batch = given->batch.integer;
    if (given->anneal.given) options.anneal = given->anneal.integer;
    if (given->rate.given) options.rate = given->rate.number;
    options.seed = given->seed.integer;
    options.threads = threads_of(given);
    return options;
}

static void print_evidence(const named_energy *named, const vi_evidence *found) {
    double truth = named_energy_log_z(named);
    printf("%s  bound %.5f +- %.5f nats  log Z %.5f +- %.5f from %.0f%% of %zu draws  in truth %.5f  KL %.5f\n",
           named->name, found->bound, found->bound_error, found->log_z, found->log_z_error,
           100 * found->effective / (double)found->draws, found->draws, truth, truth - found->bound);
}

static vocode_status infer(vectors_model *model, const energy *target, const arguments *given, console *out,
                           vi_evidence *found, vocode_error *error) {
    const vi_options options = options_of(given);
    const vi_watch watch = {see, out};
    vocode_status status = vi_fit(model, target, &options, &watch, error);
    console_clear(out);
    TRY(status);
    if (interrupt_waiting()) return failed(error, VOCODE_CANCELLED, "%s: interrupted", given->items[2]);
    /* noise that the fit has not seen */
    TRY(vi_measure(model, target, DRAWS, ~options.seed, options.threads, found, error));
    return vectors_save(model, given->items[2], error);
}

vocode_status flow_vi(const arguments *given, console *out, vocode_error *error) {
    const named_energy *named;
    energy target;
    vi_evidence found;
    vectors_model *model;
    TRY(energy_find(given->items[1], &named, &target, error));
    TRY(vectors_create_turned(given->flow.text, (base_kind)given->base.integer, 2, given->seed.integer, &model, error));
    interrupt_hold(given->items[2]);
    vocode_status status = infer(model, &target, given, out, &found, error);
    interrupt_release();
    if (status == VOCODE_OK) print_evidence(named, &found);
    vectors_free(model);
    return status;
}
