/* Memory of a fixed size, taken piece by piece and given back all at once. One thread. */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena {
	uint8_t *base; /* aligned for any type; borrowed from the caller as long as the arena is used */
	size_t cap, used;
	bool is_exhausted; /* a request was refused since arena_init() */
};

void arena_init(struct arena *arena, void *base, size_t cap);

/* Zeroed and aligned for any type; lent until arena_init() is called again. NULL when it does not fit. */
void *arena_take(struct arena *arena, size_t bytes);

#endif
