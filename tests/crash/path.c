/* The odometer of path.h. Knows nothing of what is chosen. */
#include "tests/crash/path.h"

#include "common/compiler.h"

unsigned path_take(struct path *path, unsigned count)
{
	assert(count > 0 && path->depth < PATH_MAX_CHOICES);
	if (path->depth == path->length) {
		path->taken[path->length] = 0;
		path->of[path->length++] = count;
	}
	path->of[path->depth] = count; /* unknown yet where the choice was given from outside */
	return path->taken[path->depth++];
}

bool path_next(struct path *path)
{
	path->length = path->depth;
	while (path->length > path->fixed && path->taken[path->length - 1] + 1 == path->of[path->length - 1])
		path->length--;
	path->depth = 0;
	if (path->length <= path->fixed)
		return false;
	path->taken[path->length - 1]++;
	path->fresh = path->length;
	return true;
}
