/* Parts of self-contained HTML pages: one file, nothing from the network, no scripts. */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include <stdint.h>
#include <stdio.h>

#include "core/fail.h"

/* The head up to and with <body>. more_style may be NULL. */
void page_begin(const char *title, const char *more_style, FILE *to);
void page_end(FILE *to);

/* Writes text with what HTML gives a meaning to replaced. */
void page_escape(const char *text, FILE *to);

/* Writes 12000 as 12,000. */
void page_whole(uint64_t value, FILE *to);

/* A figure of a spectrogram and a player of samples [n] at sample_rate Hz; title is its caption, name what it shows. */
vocode_status page_sound(const char *title, const char *name, const float *samples, size_t n, unsigned sample_rate,
                         FILE *to, vocode_error *error);

/* Makes the page in memory with write(context, stream, error) and puts it at path, whole or not at all. */
vocode_status page_make(const char *path, vocode_status (*write)(void *context, FILE *to, vocode_error *error),
                        void *context, vocode_error *error);

#endif
