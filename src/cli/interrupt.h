/* Signals that end the program. Between hold and release, while a file is being put in place, the first one waits, so
 * that no temporary stays behind; at any other time, and when it comes a second time, it ends the program at once: then
 * there is nothing to clean up. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

/* SIGINT, SIGTERM and SIGHUP as above, unless they are ignored already; SIGPIPE becomes a failed write. */
void interrupt_install(void);

/* path is about to be written. Nothing waits for a pipe or a device, which may block and leave nothing behind. */
void interrupt_hold(const char *path);

/* Ends the program with the signal that came meanwhile, if one did. */
void interrupt_release(void);

#endif
