/* Time that only goes forward. */
#ifndef CLI_CLOCK_H
#define CLI_CLOCK_H

double clock_seconds(void);

#endif
