/* A set of regions of one mirror set (REGION_BYTES each), as a bitmap that knows how many it holds and where to look.
 * Memory is the caller's, given once. Pure, one thread. */
#ifndef GATEWAY_CORE_REGION_MAP_H
#define GATEWAY_CORE_REGION_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/limits.h"

struct region_map {
	uint64_t *words;
	uint64_t region_count; /* of the mirror set */
	uint64_t held;	       /* regions in the map */
	uint64_t low, high;    /* words [low, high) may hold some */
};

/* Regions of a mirror set of `bytes` bytes; the last one may be partial. */
static inline uint64_t region_count_of(uint64_t bytes)
{
	return (bytes + REGION_BYTES - 1) / REGION_BYTES;
}

/* 64-bit words that a map needs. */
static inline size_t region_map_words(uint64_t region_count)
{
	return (size_t)((region_count + 63) / 64);
}

/* `words` are zeros, region_map_words() of them, borrowed. */
void region_map_init(struct region_map *map, uint64_t *words, uint64_t region_count);

static inline bool region_map_is_empty(const struct region_map *map)
{
	return map->held == 0;
}

void region_map_add(struct region_map *map, uint64_t first, uint64_t count);
/* The regions that a byte range touches. */
void region_map_add_bytes(struct region_map *map, uint64_t offset, uint64_t length);
void region_map_remove(struct region_map *map, uint64_t region);
bool region_map_has(const struct region_map *map, uint64_t region);
bool region_map_has_bytes(const struct region_map *map, uint64_t offset, uint64_t length);
void region_map_clear(struct region_map *map);
void region_map_add_all(struct region_map *map);
/* Both of the same mirror set. */
void region_map_union(struct region_map *map, const struct region_map *other);
/* The lowest region held from `from` on; region_count: none. */
uint64_t region_map_next(const struct region_map *map, uint64_t from);
/* The next run of neighbours from `from` on. False: none. */
bool region_map_next_run(const struct region_map *map, uint64_t from, uint64_t *ret_first, uint64_t *ret_count);

#endif
