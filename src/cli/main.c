/* The program: finds the subcommand; what is none of them but looks like a file is synthesis. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <vocode/vocode.h>

#include "cli/commands.h"
#include "cli/interrupt.h"

static bool asks_for_folder(size_t count, char **argv) {
    for (size_t i = 0; i < count; i++)
        if (strncmp(argv[i], "-o", 2) == 0 || strncmp(argv[i], "--output", strlen("--output")) == 0) return true;
    return false;
}

/* Whether the first of argv [count] is an input of synthesis. A bare word may be a subcommand of another version, so a
 * folder of that name counts only where -o follows. */
static bool looks_like_input(size_t count, char **argv) {
    struct stat about;
    const char *text = argv[0];
    if (text[0] == '-' || strpbrk(text, "./")) return true;
    if (stat(text, &about) != 0) return false;
    return !S_ISDIR(about.st_mode) || asks_for_folder(count, argv);
}

static int help(size_t count, char **argv, console *out) {
    const command *about = count ? command_find(argv[0]) : NULL;
    if (count && argv[0][0] != '-' && !about) return console_usage(out, NULL, "\"%s\" is not a subcommand", argv[0]);
    if (about)
        options_help(about, stdout);
    else
        commands_help(stdout);
    return console_close_output(out, EXIT_SUCCESS);
}

int main(int argc, char **argv) {
    console out;
    console_init(&out);
    interrupt_install();
    if (argc < 2) return console_usage(&out, NULL, "expected MEL.npy OUT.wav or a subcommand");
    size_t count = (size_t)argc - 1;
    const char *first = argv[1];
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) return help(0, NULL, &out);
    if (strcmp(first, "help") == 0) return help(count - 1, argv + 2, &out);
    if (strcmp(first, "--version") == 0) {
        printf("vocode %s\n", vocode_version());
        return console_close_output(&out, EXIT_SUCCESS);
    }
    const command *about = command_find(first);
    if (about) return command_run(about, count - 1, argv + 2, &out);
    if (looks_like_input(count, argv + 1)) return command_run(&command_synth, count, argv + 1, &out);
    return console_usage(&out, NULL, "\"%s\" is not a subcommand (give a file or folder of that name as ./%s)", first,
                         first);
}
