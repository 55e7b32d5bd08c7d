/* The two windows of unsynced.h. Knows neither legs nor writes.
 * Beside a write's path: marked when it is sent, forgotten when a FLUSH covers it everywhere. */
#include "gateway/core/unsynced.h"

void unsynced_init(struct unsynced *it, uint64_t *current_words, uint64_t *previous_words, uint64_t region_count)
{
	it->is_owned = false;
	region_map_init(&it->current, current_words, region_count);
	region_map_init(&it->previous, previous_words, region_count);
}

void unsynced_mark(struct unsynced *it, uint64_t offset, uint64_t length)
{
	region_map_add_bytes(&it->current, offset, length);
}

bool unsynced_begin_flush(struct unsynced *it)
{
	struct region_map emptied = it->previous;

	if (it->is_owned)
		return false;
	assert(region_map_is_empty(&emptied));
	it->previous = it->current;
	it->current = emptied;
	it->is_owned = true;
	return true;
}

void unsynced_end_flush(struct unsynced *it, bool is_durable)
{
	assert(it->is_owned);
	it->is_owned = false;
	if (!is_durable)
		region_map_union(&it->current, &it->previous);
	region_map_clear(&it->previous);
}

void unsynced_collect(const struct unsynced *it, bool has_flushed, struct region_map *ret)
{
	region_map_union(ret, &it->current);
	if (!has_flushed)
		region_map_union(ret, &it->previous);
}
