/* Command lines. One table of rows a subcommand drives both parsing and --help: options come before or after the other
 * arguments, a value as "--name value", "--name=value", "-n value" or "-nvalue", and "--" ends them. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/console.h"

typedef enum option_type {
    OPTION_FLAG,    /* takes no value */
    OPTION_TEXT,    /* value.text */
    OPTION_NUMBER,  /* value.number, least to most */
    OPTION_INTEGER, /* value.integer, least to most */
    OPTION_CHOICE,  /* value.integer is an index of choices */
    OPTION_EACH,    /* an option_list: the option may come again */
    OPTION_LIST     /* the same, and takes every argument up to the next option */
} option_type;

typedef struct option_value {
    bool given;
    const char *text; /* as it was written; of every type but flags */
    double number;
    uint64_t integer;
} option_value;

typedef struct option_list {
    const char **items; /* [count], owned */
    size_t count;
} option_list;

typedef struct arguments {
    option_value help, version, quiet, verbose;
    option_value model, threads, output, json;
    option_value sigma, seed, noise, mel, mel_preset, mel_match, refine, mel_match_last, denoise, precision, steps;
    option_value format, raw, gain, layout, preset, license, strength, html;
    option_value chunk, mel_stream, seconds;
    option_value posterior, latent, hidden, depth, levels, draws, draw, warm, means;
    option_value flow, base, train, dequantize, context, valid, epochs, patience, batch, rate, anneal, tries;
    option_value out, resume, warm_start, trace;
    option_value training, recordings;
    option_list data, set;
    char **items; /* [count] the other arguments */
    size_t count;
} arguments;

typedef struct option_row {
    const char *name;     /* without the dashes */
    char letter;          /* of the short form, or 0 */
    const char *argument; /* what help calls the value; NULL for flags */
    option_type type;
    size_t offset;              /* of the option_value or option_list in arguments */
    double least, most;         /* NUMBER and INTEGER, ends included; an integer with most 0 has no limit */
    const char *const *choices; /* CHOICE: ends in NULL */
    const char *doc;            /* for --help, wrapped there */
} option_row;

typedef struct command {
    const char *name;
    const char *synopsis; /* of the arguments; several lines where there are several forms */
    const char *summary;  /* one line, for the list of subcommands */
    const char *details;  /* NULL, or paragraphs below the options; lines are broken already */
    const option_row *options;
    size_t option_count;
    size_t least, most;                               /* arguments beside the options; most 0: no limit */
    int (*run)(const arguments *given, console *out); /* returns the exit status */
    void (*more_help)(FILE *to);                      /* NULL, or what follows the details */
} command;

/* Of --layout, in the order of its choices. */
enum { LAYOUT_MELS_FIRST, LAYOUT_FRAMES_FIRST };
extern const char *const layout_choices[];

/* A number of passes or iterations as vocode_synthesis has it: 0 where none was given, negative for 0. */
int option_level(const option_value *value);

/* Rows that several tables share. */
#define OPTION_MODEL                                                                   \
    {                                                                                  \
        "model", 0, "FILE", OPTION_TEXT, offsetof(arguments, model),                   \
            .doc = "the model to use (default: $VOCODE_MODEL, else the shipped model)" \
    }
#define OPTION_THREADS                                                                  \
    {                                                                                   \
        "threads", 0, "N", OPTION_INTEGER, offsetof(arguments, threads),                \
            .least = 1, .most = 1024, .doc = "threads to use (default: all processors)" \
    }
#define OPTION_LAYOUT                                                                                     \
    {                                                                                                     \
        "layout", 0, "mels-first|frames-first", OPTION_CHOICE, offsetof(arguments, layout),               \
            .choices = layout_choices,                                                                    \
            .doc = "how to read a mel both of whose axes equal the number of bands (default: mels-first)" \
    }
#define OPTION_FORMAT                                                                 \
    {                                                                                 \
        "format", 0, "pcm16|pcm24|float", OPTION_CHOICE, offsetof(arguments, format), \
            .choices = (const char *const[]){"pcm16", "pcm24", "float", NULL},        \
            .doc = "samples of the audio written (default: pcm16)"                    \
    }
#define OPTION_JSON(what) \
    { "json", 0, NULL, OPTION_FLAG, offsetof(arguments, json), .doc = "print " what " as JSON" }

/* Parses argv [count] for a command. EXIT_SUCCESS, or EXIT_USAGE after saying what is wrong. With --help or --version
 * the number of arguments is not checked. Release given with options_release, also after a failure. */
int options_parse(const command *about, size_t count, char **argv, arguments *given, console *out);

void options_release(arguments *given);

/* The help text of a command. */
void options_help(const command *about, FILE *to);

#endif
