/* Which regions hold writes that are not yet known durable on every required member: U of an eviction (R6).
 *
 * Two windows. Writes are marked in `current`. A FLUSH that starts while no other owns the older window takes `current`
 * as `previous` and what is in flight is marked again, because that FLUSH does not cover it. A leg that answers the
 * FLUSH holds all of `previous` durably; when every required leg has, the window is emptied. So U is exact to one
 * FLUSH, needs no entry per write, and is never full. Pure, one thread. */
#ifndef GATEWAY_CORE_UNSYNCED_H
#define GATEWAY_CORE_UNSYNCED_H

#include "gateway/core/region_map.h"

struct unsynced {
	struct region_map current, previous;
	bool is_owned; /* a FLUSH under way covers `previous` */
};

void unsynced_init(struct unsynced *it, uint64_t *current_words, uint64_t *previous_words, uint64_t region_count);
static inline bool unsynced_is_empty(const struct unsynced *it)
{
	return region_map_is_empty(&it->current) && region_map_is_empty(&it->previous);
}
/* A write, or a copy by a resync, is sent to some leg. */
void unsynced_mark(struct unsynced *it, uint64_t offset, uint64_t length);
/* A FLUSH starts. True: it owns the window from now on, and the caller marks what is in flight again. */
bool unsynced_begin_flush(struct unsynced *it);
/* The owner ended; `is_durable`: on every required leg. */
void unsynced_end_flush(struct unsynced *it, bool is_durable);
/* Adds U of a leg to `ret`; `has_flushed`: it has answered the owning FLUSH. */
void unsynced_collect(const struct unsynced *it, bool has_flushed, struct region_map *ret);

#endif
