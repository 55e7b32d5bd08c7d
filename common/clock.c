/* The one place where drivers ask for the time. Core code never does: it is told.
 * On every turn of a data thread, once. */
#include "common/clock.h"

#include <time.h>

/* CLOCK_MONOTONIC stands still while the host is suspended, and a read lease does not (R9): a gateway that wakes up
 * must not believe that it holds one which its successor has waited out. */
uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}
