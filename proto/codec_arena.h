/* The memory behind codec_pack() and codec_unpack(): one fixed block a thread, used again by each call. */
#ifndef PROTO_CODEC_ARENA_H
#define PROTO_CODEC_ARENA_H

#include "common/arena.h"

/* Enough for the largest message that keeps its limits (a LISTING of MESSAGE_LIST_MAX full entries, by test); a
 * message of MESSAGE_BYTES_MAX made of junk may ask for ten times as much and is refused. */
#define CODEC_ARENA_BYTES (160 * 1024)

/* Starts over: what an earlier call on this thread took is given back. */
void codec_arena_begin(struct arena *ret);

#endif
