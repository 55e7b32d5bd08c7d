/* One way through everything that could be chosen, and the next one: depth first, each run repeating all choices but
 * the last that has another possibility. */
#ifndef TESTS_CRASH_PATH_H
#define TESTS_CRASH_PATH_H

#include <stdbool.h>

#define PATH_MAX_CHOICES 64u

struct path {
	unsigned taken[PATH_MAX_CHOICES], of[PATH_MAX_CHOICES];
	unsigned depth, length;
	unsigned fixed; /* choices at the beginning that stay */
	unsigned fresh; /* choices before this one were run before, with everything that follows from them up to here */
};

/* 0 <= result < count. */
unsigned path_take(struct path *path, unsigned count);
/* Has what comes now not been seen by an earlier run? */
static inline bool path_is_fresh(const struct path *path)
{
	return path->depth >= path->fresh;
}
/* False: nothing is left. */
bool path_next(struct path *path);

#endif
