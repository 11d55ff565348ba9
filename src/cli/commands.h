/* The subcommands, one file each. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

/* In the order of --help. */
#define COMMAND_LIST(X) \
    X(synth)            \
    X(mel)              \
    X(convert) X(init) X(info) X(encode) X(decode) X(score) X(denoise) X(eval) X(train) X(report) X(bench) X(flow)

#define COMMAND_DECLARE(name) extern const command command_##name;
COMMAND_LIST(COMMAND_DECLARE)
#undef COMMAND_DECLARE

/* The subcommand of that name, or NULL. */
const command *command_find(const char *name);

/* The text of vocode --help. */
void commands_help(FILE *to);

/* Parses argv [count], without the program and the subcommand, and runs; returns the exit status. */
int command_run(const command *about, size_t count, char **argv, console *out);

#endif
