/* A bump allocator: what bounds the memory that a peer's message can make us use. Knows nothing of messages.
 * On no request's path: control messages only. */
#include "common/arena.h"

#include <stdalign.h>
#include <string.h>

#include "common/compiler.h"

#define ALIGN_BYTES alignof(max_align_t)

void arena_init(struct arena *arena, void *base, size_t cap)
{
	assert((uintptr_t)base % ALIGN_BYTES == 0);
	*arena = (struct arena){.base = base, .cap = cap};
}

void *arena_take(struct arena *arena, size_t bytes)
{
	size_t start = (arena->used + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;

	if (start > arena->cap || bytes > arena->cap - start) {
		arena->is_exhausted = true;
		return NULL;
	}
	arena->used = start + bytes;
	return memset(arena->base + start, 0, bytes);
}
