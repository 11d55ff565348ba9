/* Signals that end the program. Between hold and release, while a file is being made, the first one waits, so that no
 * temporary stays behind; at any other time, and when it comes a second time, it ends the program at once: then there
 * is nothing to clean up, or no time for it. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/* SIGINT, SIGTERM and SIGHUP as above, unless they are ignored already; SIGPIPE becomes a failed write. */
void interrupt_install(void);

/* Whether a file at path appears whole or not at all; pipes, devices and standard output are written as it comes. */
bool output_is_held(const char *path);

/* path is about to be written. Nothing waits for a pipe or a device, which may block and leave nothing behind. */
void interrupt_hold(const char *path);

/* From now on signals wait, until the release: for work that saves what it has when it is asked to stop. */
void interrupt_hold_all(void);

/* Whether a signal waits: what is under way should be given up. */
bool interrupt_waiting(void);

/* Ends the program with the signal that came meanwhile, if one did. */
void interrupt_release(void);

#endif
