/* A set of 64-bit digests: states that were judged already. Grows as needed. */
#ifndef TESTS_CRASH_SEEN_H
#define TESTS_CRASH_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen {
	uint64_t *slots;
	size_t cap, count;
};

/* True: it was not in there. */
bool seen_add(struct seen *seen, uint64_t digest);
void seen_fini(struct seen *seen);

#endif
