/* Bitmaps of regions. Knows nothing of what they are for: regions to copy, not yet durable, or uncertain.
 * Beside a request's path: a write marks its regions, a read asks whether its own are certain. */
#include "gateway/core/region_map.h"

#include <string.h>

void region_map_init(struct region_map *map, uint64_t *words, uint64_t region_count)
{
	*map = (struct region_map){.words = words, .region_count = region_count};
}

bool region_map_has(const struct region_map *map, uint64_t region)
{
	assert(region < map->region_count);
	return map->words[region / 64] >> region % 64 & 1;
}

static void widen(struct region_map *map, uint64_t word)
{
	if (map->held == 0) {
		map->low = word;
		map->high = word + 1;
		return;
	}
	map->low = word < map->low ? word : map->low;
	map->high = word >= map->high ? word + 1 : map->high;
}

void region_map_add(struct region_map *map, uint64_t first, uint64_t count)
{
	assert(first <= map->region_count && count <= map->region_count - first);
	for (uint64_t region = first; region < first + count; region++) {
		if (region_map_has(map, region))
			continue;
		widen(map, region / 64);
		map->words[region / 64] |= 1ull << region % 64;
		map->held++;
	}
}

void region_map_add_bytes(struct region_map *map, uint64_t offset, uint64_t length)
{
	uint64_t first = offset / REGION_BYTES;

	if (length > 0)
		region_map_add(map, first, (offset + length - 1) / REGION_BYTES - first + 1);
}

void region_map_remove(struct region_map *map, uint64_t region)
{
	if (!region_map_has(map, region))
		return;
	map->words[region / 64] &= ~(1ull << region % 64);
	map->held--;
}

bool region_map_has_bytes(const struct region_map *map, uint64_t offset, uint64_t length)
{
	if (map->held == 0 || length == 0)
		return false;
	return region_map_next(map, offset / REGION_BYTES) <= (offset + length - 1) / REGION_BYTES;
}

void region_map_clear(struct region_map *map)
{
	if (map->high > map->low)
		memset(map->words + map->low, 0, (size_t)(map->high - map->low) * sizeof(*map->words));
	map->held = map->low = map->high = 0;
}

void region_map_add_all(struct region_map *map)
{
	region_map_add(map, 0, map->region_count);
}

void region_map_union(struct region_map *map, const struct region_map *other)
{
	assert(map->region_count == other->region_count);
	for (uint64_t word = other->low; other->held > 0 && word < other->high; word++) {
		uint64_t added = other->words[word] & ~map->words[word];

		if (!added)
			continue;
		widen(map, word);
		map->words[word] |= added;
		map->held += (unsigned)__builtin_popcountll(added);
	}
}

uint64_t region_map_next(const struct region_map *map, uint64_t from)
{
	uint64_t word = from / 64, bits;

	if (map->held == 0 || from >= map->region_count)
		return map->region_count;
	bits = word < map->low ? 0 : map->words[word] & ~0ull << from % 64;
	if (word < map->low)
		word = map->low - 1;
	while (!bits) {
		if (++word >= map->high)
			return map->region_count;
		bits = map->words[word];
	}
	return word * 64 + (unsigned)__builtin_ctzll(bits);
}

bool region_map_next_run(const struct region_map *map, uint64_t from, uint64_t *ret_first, uint64_t *ret_count)
{
	uint64_t first = region_map_next(map, from), end = first;

	if (first == map->region_count)
		return false;
	while (end < map->region_count && region_map_has(map, end))
		end++;
	*ret_first = first;
	*ret_count = end - first;
	return true;
}
