/* The odometer behind choices.h. Knows nothing of what is chosen. Not on any request's path. */
#include "tests/unit/choices.h"

#include "common/compiler.h"
#include "tests/unit/check.h"

static struct {
	unsigned taken[64], of[64];
	unsigned depth, length;
} path;

void choices_start(void)
{
	path.depth = path.length = 0;
}

unsigned choices_take(unsigned count)
{
	CHECK_TRUE(count > 0 && path.depth < ARRAY_COUNT(path.taken));
	if (path.depth == path.length) {
		path.taken[path.length] = 0;
		path.of[path.length++] = count;
	}
	CHECK_EQ_U64(path.of[path.depth], count);
	return path.taken[path.depth++];
}

bool choices_next(void)
{
	/* Choices that were never reached this time belong to an older path. */
	CHECK_EQ_U64(path.length, path.depth);
	while (path.length > 0 && path.taken[path.length - 1] + 1 == path.of[path.length - 1])
		path.length--;
	path.depth = 0;
	if (path.length == 0)
		return false;
	path.taken[path.length - 1]++;
	return true;
}
