/* Which fail point is armed, and the counting of its passages. Knows names only; the places are where FAILPOINT()
 * stands. Not on a request's path unless a test armed it. */
#include "common/failpoint.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

bool failpoint_armed;
static const char *wanted; /* "PLACE.WHAT" or "PLACE.WHAT:NTH" */
static unsigned long passages_left;

void failpoint_arm(void)
{
	const char *nth;

	wanted = getenv("LOCKSTEP_FAILPOINT");
	if (!wanted || !*wanted)
		return;
	nth = strchr(wanted, ':');
	passages_left = nth ? strtoul(nth + 1, NULL, 10) : 1;
	failpoint_armed = true;
}

static bool is_wanted(const char *place, const char *what)
{
	size_t place_len = strlen(place), what_len = strlen(what);
	const char *rest = wanted + place_len + 1;

	if (strncmp(wanted, place, place_len) != 0 || wanted[place_len] != '.' || strncmp(rest, what, what_len) != 0)
		return false;
	return rest[what_len] == '\0' || rest[what_len] == ':';
}

/* Several threads may pass; exactly one is the NTH. */
void failpoint_passed(const char *place, const char *what)
{
	if (is_wanted(place, what) && __atomic_fetch_sub(&passages_left, 1, __ATOMIC_RELAXED) == 1)
		raise(SIGKILL);
}
