/* Open addressing, never more than half full. */
#include "tests/crash/seen.h"

#include <stdlib.h>

static bool put(uint64_t *slots, size_t cap, uint64_t digest)
{
	size_t at = (size_t)digest & (cap - 1);

	while (slots[at] && slots[at] != digest)
		at = (at + 1) & (cap - 1);
	if (slots[at])
		return false;
	slots[at] = digest;
	return true;
}

static void grow(struct seen *seen)
{
	size_t cap = seen->cap ? 2 * seen->cap : 65536;
	uint64_t *slots = calloc(cap, sizeof(*slots));

	if (!slots)
		abort();
	for (size_t i = 0; i < seen->cap; i++)
		if (seen->slots[i])
			(void)put(slots, cap, seen->slots[i]);
	free(seen->slots);
	seen->slots = slots;
	seen->cap = cap;
}

bool seen_add(struct seen *seen, uint64_t digest)
{
	bool is_new;

	if (2 * seen->count >= seen->cap)
		grow(seen);
	is_new = put(seen->slots, seen->cap, digest | 1); /* 0 is an empty slot */
	seen->count += is_new;
	return is_new;
}

void seen_fini(struct seen *seen)
{
	free(seen->slots);
	*seen = (struct seen){0};
}
