/* Pages of region runs from the list and from the stamp table. Must not know who asks. Not on a request's path. */
#include "replica-server/core/regions.h"

#include <string.h>

#include "common/limits.h"

#define WORD_BITS 64u

size_t regions_mark_words(uint64_t region_count)
{
	return (size_t)((region_count + WORD_BITS - 1) / WORD_BITS);
}

/* One more region of the answer. False: the page is full, and says where to go on. */
static bool append(struct message_regions *page, uint64_t region, uint32_t gen)
{
	struct region_run *last = page->count ? &page->runs[page->count - 1] : NULL;

	if (last && last->gen == gen && last->first + last->count == region) {
		last->count++;
		return true;
	}
	if (page->count == REGION_RUNS_MAX) {
		page->more = true;
		page->next = region;
		return false;
	}
	page->runs[page->count++] = (struct region_run){.first = region, .count = 1, .gen = gen};
	return true;
}

static void mark(const struct unstable *unstable, uint64_t region_count, uint64_t *marks)
{
	memset(marks, 0, regions_mark_words(region_count) * sizeof(*marks));
	for (uint32_t i = 0; i < unstable_count(unstable); i++) {
		const struct extent *extent = unstable_get(unstable, i);
		uint64_t last = (extent->offset + extent->length - 1) / REGION_BYTES;

		for (uint64_t region = extent->offset / REGION_BYTES; region <= last; region++)
			marks[region / WORD_BITS] |= 1ull << region % WORD_BITS;
	}
}

void regions_of_list(const struct unstable *unstable, uint64_t region_count, uint64_t from, uint64_t *marks,
		     struct message_regions *ret)
{
	*ret = (struct message_regions){.everything = unstable_is_everything(unstable)};
	if (ret->everything)
		return;
	mark(unstable, region_count, marks);
	for (uint64_t region = from; region < region_count; region++) {
		if (region % WORD_BITS == 0 && marks[region / WORD_BITS] == 0)
			region += WORD_BITS - 1;
		else if ((marks[region / WORD_BITS] >> region % WORD_BITS & 1) && !append(ret, region, 0))
			return;
	}
}

void regions_of_stamps(const struct stamps *stamps, uint64_t from, uint32_t above_gen, struct message_regions *ret)
{
	*ret = (struct message_regions){0};
	for (uint64_t region = from; region < stamps->region_count; region++) {
		uint32_t gen = stamps->gens[region];

		if ((gen > above_gen || gen == STAMP_UNKNOWN) && !append(ret, region, gen))
			return;
	}
}
