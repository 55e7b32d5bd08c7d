/* The bounded list of unstable extents. Knows epochs and write numbers, nothing of how a write is applied.
 * On a write's path: added before the store sees it, pruned by the stable_upto of any later frame. */
#include "replica-server/core/unstable.h"

#include <errno.h>
#include <stdlib.h>

#include "common/mutant.h"

int unstable_init(struct unstable *unstable, uint32_t cap)
{
	*unstable = (struct unstable){.cap = cap};
	unstable->ring = calloc(cap, sizeof(*unstable->ring));
	unstable->older = calloc(cap, sizeof(*unstable->older));
	if (unstable->ring && unstable->older)
		return 0;
	unstable_fini(unstable);
	return -ENOMEM;
}

void unstable_fini(struct unstable *unstable)
{
	free(unstable->ring);
	free(unstable->older);
	*unstable = (struct unstable){0};
}

static const struct extent *current_extent(const struct unstable *unstable, uint32_t idx)
{
	return &unstable->ring[(unstable->head + idx) % unstable->cap];
}

/* What the epoch that ends leaves behind waits beside the new one's list, so that pruning that stays cheap. */
void unstable_epoch(struct unstable *unstable, uint32_t epoch)
{
	if (epoch <= unstable->epoch)
		return;
	unstable->older_is_everything |= unstable->overflow_upto != 0;
	unstable->older_is_everything |= unstable->count > unstable->cap - unstable->older_count;
	for (uint32_t i = 0;
	     i < unstable->count && unstable->older_count < unstable->cap && !MUTANT(older_lists_dropped); i++)
		unstable->older[unstable->older_count++] = *current_extent(unstable, i);
	unstable->epoch = epoch;
	unstable->head = 0;
	unstable->count = 0;
	unstable->overflow_upto = 0;
	unstable->stable_upto = 0;
}

void unstable_add(struct unstable *unstable, uint64_t wseq, uint64_t offset, uint64_t length)
{
	if (MUTANT(list_has_gaps) && wseq % 4 == 0)
		return;
	if (unstable->count == unstable->cap) {
		if (wseq > unstable->overflow_upto && !MUTANT(list_overflow_unnoticed))
			unstable->overflow_upto = wseq;
		return;
	}
	unstable->ring[(unstable->head + unstable->count) % unstable->cap] =
		(struct extent){.epoch = unstable->epoch, .wseq = wseq, .offset = offset, .length = length};
	unstable->count++;
}

/* Only the head is looked at: a re-sent write that arrived late keeps what is behind it a little longer, which is
 * always allowed. */
static void prune_head(struct unstable *unstable)
{
	while (unstable->count && unstable->ring[unstable->head].wseq <= unstable->stable_upto) {
		unstable->head = (unstable->head + 1) % unstable->cap;
		unstable->count--;
	}
}

void unstable_prune(struct unstable *unstable, uint64_t stable_upto)
{
	if (stable_upto <= unstable->stable_upto)
		return;
	unstable->stable_upto = stable_upto;
	if (unstable->overflow_upto && unstable->overflow_upto <= stable_upto)
		unstable->overflow_upto = 0;
	prune_head(unstable);
}

void unstable_forget_older(struct unstable *unstable)
{
	unstable->older_count = 0;
	unstable->older_is_everything = false;
}

bool unstable_is_everything(const struct unstable *unstable)
{
	return unstable->older_is_everything || unstable->overflow_upto != 0;
}

uint32_t unstable_count(const struct unstable *unstable)
{
	return unstable->older_count + unstable->count;
}

const struct extent *unstable_get(const struct unstable *unstable, uint32_t idx)
{
	assert(idx < unstable_count(unstable));
	return idx < unstable->older_count ? &unstable->older[idx]
					   : current_extent(unstable, idx - unstable->older_count);
}
