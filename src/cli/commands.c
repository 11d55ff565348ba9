#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vocode/vocode.h>

static const command *const commands[] = {
#define COMMAND_ADDRESS(name) &command_##name,
    COMMAND_LIST(COMMAND_ADDRESS)
#undef COMMAND_ADDRESS
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

const command *command_find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

void commands_help(FILE *to) {
    fputs("usage: vocode MEL.npy OUT.wav [options]         the same as vocode synth\n"
          "       vocode SUBCOMMAND ARGUMENTS... [options]\n"
          "       vocode help [SUBCOMMAND]\n"
          "\n"
          "Mel spectrograms to speech with normalizing flows.\n"
          "\n"
          "subcommands:\n",
          to);
    for (size_t i = 0; i < COMMAND_COUNT; i++) fprintf(to, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fputs(
        "\n"
        "'vocode SUBCOMMAND --help' lists the options of each; --version prints the version. \"-\" is standard input\n"
        "or output. Messages go to standard error. Exit status: 0 done, 1 the work failed, 2 wrong usage.\n",
        to);
}

int command_run(const command *about, size_t count, char **argv, console *out) {
    arguments given;
    int status = options_parse(about, count, argv, &given, out);
    if (status != EXIT_SUCCESS) {
        options_release(&given);
        return status;
    }
    if (given.help.given)
        options_help(about, stdout);
    else if (given.version.given)
        printf("vocode %s\n", vocode_version());
    else
        status = about->run(&given, out);
    options_release(&given);
    return console_close_output(out, status);
}
