#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

/* A signal arrives in any thread, so this is the process's, not a thread's. */
static volatile sig_atomic_t holding, waiting;

static void end_by(int number) {
    signal(number, SIG_DFL);
    raise(number);
}

static void on_signal(int number) {
    if (holding && !waiting)
        waiting = number;
    else
        end_by(number);
}

void interrupt_install(void) {
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
        sigemptyset(&action.sa_mask);
        if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(ending[i], &action, NULL);
    }
}

bool output_is_held(const char *path) {
    struct stat about;
    return strcmp(path, "-") != 0 && (stat(path, &about) != 0 || S_ISREG(about.st_mode));
}

void interrupt_hold(const char *path) {
    holding = output_is_held(path);
}

void interrupt_hold_all(void) {
    holding = 1;
}

bool interrupt_waiting(void) {
    return waiting != 0;
}

void interrupt_release(void) {
    holding = 0;
    if (waiting) end_by(waiting);
}
