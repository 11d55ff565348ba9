/* Time that only goes forward. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

double clock_seconds(void);

#endif
