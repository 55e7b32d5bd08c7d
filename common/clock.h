/* Time for drivers in nanoseconds: never set back, and goes on while the host is suspended (CLOCK_BOOTTIME). Core code
 * gets time as an argument. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

uint64_t clock_now_ns(void);

#endif
