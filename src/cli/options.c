#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELP_WIDTH ((size_t)100)
#define HELP_COLUMN ((size_t)32) /* where the docs of options begin */

const char *const layout_choices[] = {"mels-first", "frames-first", NULL};

/* What every subcommand has. */
static const option_row common[] = {
    {"quiet", 'q', NULL, OPTION_FLAG, offsetof(arguments, quiet),
     .doc = "no progress and no notes; warnings and errors stay"},
    {"verbose", 'v', NULL, OPTION_FLAG, offsetof(arguments, verbose), .doc = "say more about what is done"},
    {"help", 'h', NULL, OPTION_FLAG, offsetof(arguments, help), .doc = "print this text"},
    {"version", 0, NULL, OPTION_FLAG, offsetof(arguments, version), .doc = "print the version"},
};
enum { COMMON_COUNT = sizeof common / sizeof *common };

int option_level(const option_value *value) {
    if (!value->given) return 0;
    return value->integer ? (int)value->integer : -1;
}

static size_t row_count(const command *about) {
    return about->option_count + COMMON_COUNT;
}

static const option_row *row_at(const command *about, size_t index) {
    return index < about->option_count ? &about->options[index] : &common[index - about->option_count];
}

/* The row of a long name that ends at a '=' or at the end, or NULL. */
static const option_row *find_long(const command *about, const char *name, size_t length) {
    for (size_t i = 0; i < row_count(about); i++) {
        const option_row *row = row_at(about, i);
        if (strlen(row->name) == length && memcmp(row->name, name, length) == 0) return row;
    }
    return NULL;
}

static const option_row *find_short(const command *about, char letter) {
    for (size_t i = 0; i < row_count(about); i++)
        if (row_at(about, i)->letter == letter) return row_at(about, i);
    return NULL;
}

static bool parse_number(const option_row *row, option_value *value) {
    char *end;
    bool begins = isdigit((unsigned char)*value->text) || (*value->text && strchr("+-.", *value->text));
    value->number = strtod(value->text, &end);
    return begins && *end == 0 && isfinite(value->number) && value->number >= row->least && value->number <= row->most;
}

static bool parse_integer(const option_row *row, option_value *value) {
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)*value->text)) return false;
    value->integer = strtoull(value->text, &end, 10);
    if (*end != 0 || errno != 0) return false;
    return row->most == 0 || ((double)value->integer >= row->least && (double)value->integer <= row->most);
}

static bool parse_choice(const option_row *row, option_value *value) {
    for (value->integer = 0; row->choices[value->integer]; value->integer++)
        if (strcmp(row->choices[value->integer], value->text) == 0) return true;
    return false;
}

static int refuse_value(const command *about, const option_row *row, const char *text, console *out) {
    switch (row->type) {
    case OPTION_NUMBER:
        return console_usage(out, about->name, "--%s: expected a number from %g to %g, found \"%s\"", row->name,
                             row->least, row->most, text);
    case OPTION_INTEGER:
        if (row->most == 0)
            return console_usage(out, about->name, "--%s: expected a whole number of at most 64 bits, found \"%s\"",
                                 row->name, text);
        return console_usage(out, about->name, "--%s: expected a whole number from %.0f to %.0f, found \"%s\"",
                             row->name, row->least, row->most, text);
    default: return console_usage(out, about->name, "--%s: expected %s, found \"%s\"", row->name, row->argument, text);
    }
}

static int add_value(const command *about, const option_row *row, const char *text, arguments *given, console *out) {
    option_list *list = (option_list *)((char *)given + row->offset);
    if (*text == 0) return console_usage(out, about->name, "--%s needs a value: %s", row->name, row->argument);
    const char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items) return console_usage(out, about->name, "--%s: out of memory for its values", row->name);
    list->items = items;
    list->items[list->count++] = text;
    return EXIT_SUCCESS;
}

static int set_value(const command *about, const option_row *row, const char *text, arguments *given, console *out) {
    if (row->type == OPTION_EACH || row->type == OPTION_LIST) return add_value(about, row, text, given, out);
    option_value *value = (option_value *)((char *)given + row->offset);
    *value = (option_value){.given = true, .text = text};
    bool good = true;
    if (row->type == OPTION_TEXT) good = *text != 0;
    if (row->type == OPTION_NUMBER) good = parse_number(row, value);
    if (row->type == OPTION_INTEGER) good = parse_integer(row, value);
    if (row->type == OPTION_CHOICE) good = parse_choice(row, value);
    return good ? EXIT_SUCCESS : refuse_value(about, row, text, out);
}

/* The arguments not yet looked at. */
typedef struct queue {
    char **items;
    size_t count, next;
} queue;

static int parse_long(const command *about, const char *text, queue *rest, arguments *given, console *out) {
    size_t length = strcspn(text, "=");
    const option_row *row = find_long(about, text, length);
    if (!row) return console_usage(out, about->name, "there is no option --%.*s", (int)length, text);
    const char *value = text[length] == '=' ? text + length + 1 : NULL;
    bool takes_more = row->type == OPTION_LIST && !value;
    if (row->type == OPTION_FLAG && value)
        return console_usage(out, about->name, "--%s takes no value, found \"%s\"", row->name, value);
    if (row->type != OPTION_FLAG && !value) {
        if (rest->next == rest->count)
            return console_usage(out, about->name, "--%s needs a value: %s", row->name, row->argument);
        value = rest->items[rest->next++];
    }
    int status = set_value(about, row, value, given, out);
    while (takes_more && status == EXIT_SUCCESS && rest->next < rest->count && rest->items[rest->next][0] != '-')
        status = set_value(about, row, rest->items[rest->next++], given, out);
    return status;
}

/* Letters behind one dash: flags, the last of them may be an option with its value. */
static int parse_short(const command *about, const char *letters, queue *rest, arguments *given, console *out) {
    for (; *letters; letters++) {
        const option_row *row = find_short(about, *letters);
        if (!row) return console_usage(out, about->name, "there is no option -%c", *letters);
        const char *value = NULL;
        if (row->type != OPTION_FLAG) {
            value = letters + 1;
            if (!*value && rest->next == rest->count)
                return console_usage(out, about->name, "-%c needs a value: %s", row->letter, row->argument);
            if (!*value) value = rest->items[rest->next++];
        }
        int status = set_value(about, row, value, given, out);
        if (status != EXIT_SUCCESS || value) return status;
    }
    return EXIT_SUCCESS;
}

static int check_count(const command *about, const arguments *given, console *out) {
    int form = (int)strcspn(about->synopsis, "[\n"); /* the first form, without "[options]" */
    while (form > 0 && about->synopsis[form - 1] == ' ') form--;
    if (given->count < about->least)
        return console_usage(out, about->name, "expected %s%zu argument%s, %.*s, found %zu",
                             about->most == about->least ? "" : "at least ", about->least, about->least == 1 ? "" : "s",
                             form, about->synopsis, given->count);
    if (about->most && given->count > about->most)
        return console_usage(out, about->name, "expected at most %zu argument%s, \"%s\" is one too many", about->most,
                             about->most == 1 ? "" : "s", given->items[about->most]);
    return EXIT_SUCCESS;
}

int options_parse(const command *about, size_t count, char **argv, arguments *given, console *out) {
    queue rest = {argv, count, 0};
    *given = (arguments){.items = argv}; /* the other arguments move to the front: never past what was read */
    bool ended = false;
    while (rest.next < count) {
        char *text = argv[rest.next++];
        int status = EXIT_SUCCESS;
        if (ended || text[0] != '-' || text[1] == 0)
            given->items[given->count++] = text;
        else if (strcmp(text, "--") == 0)
            ended = true;
        else if (text[1] == '-')
            status = parse_long(about, text + 2, &rest, given, out);
        else
            status = parse_short(about, text + 1, &rest, given, out);
        if (status != EXIT_SUCCESS) return status;
    }
    out->quiet = given->quiet.given;
    out->verbose = given->verbose.given;
    if (given->help.given || given->version.given) return EXIT_SUCCESS;
    return check_count(about, given, out);
}

void options_release(arguments *given) {
    free(given->data.items);
    free(given->set.items);
    given->data = given->set = (option_list){0};
}

/* doc in lines that end before HELP_WIDTH, each but the first indented to HELP_COLUMN. */
static void print_doc(const char *doc, FILE *to) {
    size_t column = HELP_COLUMN;
    while (*doc) {
        size_t word = strcspn(doc, " ");
        if (column + word > HELP_WIDTH) {
            fprintf(to, "\n%*s", (int)HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        fprintf(to, "%.*s", (int)word, doc);
        column += word + 1;
        doc += word;
        doc += strspn(doc, " ");
        if (*doc && column + strcspn(doc, " ") <= HELP_WIDTH) fputc(' ', to);
    }
    fputc('\n', to);
}

static void print_row(const option_row *row, FILE *to) {
    char left[128];
    int used = row->letter ? snprintf(left, sizeof left, "  -%c, --%s", row->letter, row->name)
                           : snprintf(left, sizeof left, "      --%s", row->name);
    if (row->argument) used += snprintf(left + used, sizeof left - (size_t)used, " %s", row->argument);
    if ((size_t)used + 2 > HELP_COLUMN)
        fprintf(to, "%s\n%*s", left, (int)HELP_COLUMN, "");
    else
        fprintf(to, "%-*s", (int)HELP_COLUMN, left);
    print_doc(row->doc, to);
}

void options_help(const command *about, FILE *to) {
    const char *line = about->synopsis;
    for (const char *lead = "usage:"; line; lead = "      ") {
        size_t length = strcspn(line, "\n");
        fprintf(to, "%s vocode %s %.*s\n", lead, about->name, (int)length, line);
        line = line[length] ? line + length + 1 : NULL;
    }
    fprintf(to, "\n%s\n\noptions:\n", about->summary);
    for (size_t i = 0; i < row_count(about); i++) print_row(row_at(about, i), to);
    if (about->details) fprintf(to, "\n%s", about->details);
    if (about->more_help) about->more_help(to);
}
