/* A block of memory a thread for control messages, so that no peer makes us allocate. Knows no message.
 * On no request's path. */
#include "proto/codec_arena.h"

#include <stdalign.h>

void codec_arena_begin(struct arena *ret)
{
	static _Thread_local alignas(max_align_t) uint8_t block[CODEC_ARENA_BYTES];

	arena_init(ret, block, sizeof(block));
}
