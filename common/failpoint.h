/* Named places where a process under test is killed, to see what its death there leaves behind.
 *
 * LOCKSTEP_FAILPOINT=PLACE.WHAT or PLACE.WHAT:NTH in the environment arms one: the NTH passage (the first, when not
 * said) ends the process as SIGKILL does, before what the place announces. Places: "sends" and "hears" (control
 * messages, by name), "event" (what the log calls it), "stores" and "stored" (file operations, before and after),
 * "replies" (data frames), "completes" (requests). Without the variable a place costs one branch, never taken.
 */
#ifndef COMMON_FAILPOINT_H
#define COMMON_FAILPOINT_H

#include <stdbool.h>

/* Reads the environment. Once, before any thread is made. */
void failpoint_arm(void);

extern bool failpoint_armed; /* for the macro */
void failpoint_passed(const char *place, const char *what);

#define FAILPOINT(place, what)                                                                                         \
	do {                                                                                                           \
		if (__builtin_expect(failpoint_armed, 0))                                                              \
			failpoint_passed(place, what);                                                                 \
	} while (0)

#endif
