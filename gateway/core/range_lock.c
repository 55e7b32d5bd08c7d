/* First come, first served locks on byte ranges, by counting for each entry the earlier ones it must wait for.
 * Knows ranges only. On a request's path: between the split into parts and the first frame, and after the last answer.
 */
#include "gateway/core/range_lock.h"

void range_lock_init(struct range_lock *lock)
{
	list_init(&lock->entries);
}

bool range_lock_is_empty(const struct range_lock *lock)
{
	return list_is_empty(&lock->entries);
}

void range_entry_init(struct range_entry *entry)
{
	list_init(&entry->node);
	list_init(&entry->granted);
}

static bool conflicts(const struct range_entry *a, const struct range_entry *b)
{
	return a->start < b->end && b->start < a->end && (a->mode == RANGE_WRITE || b->mode == RANGE_WRITE);
}

bool range_lock_acquire(struct range_lock *lock, struct range_entry *entry, uint64_t start, uint64_t end,
			enum range_mode mode)
{
	struct list *it, *next;

	assert(start < end);
	assert(!list_is_linked(&entry->node));
	entry->start = start;
	entry->end = end;
	entry->mode = mode;
	entry->blockers = 0;
	list_for_each (it, next, &lock->entries)
		entry->blockers += conflicts(entry, container_of(it, struct range_entry, node));
	list_add_tail(&lock->entries, &entry->node);
	return entry->blockers == 0;
}

void range_lock_release(struct range_lock *lock, struct range_entry *entry, struct list *ret_granted)
{
	struct list *it;

	assert(entry->blockers == 0);
	assert(list_is_linked(&entry->node));
	for (it = entry->node.next; it != &lock->entries; it = it->next) {
		struct range_entry *later = container_of(it, struct range_entry, node);

		if (!conflicts(entry, later))
			continue;
		assert(later->blockers > 0);
		if (--later->blockers == 0)
			list_add_tail(ret_granted, &later->granted);
	}
	list_del(&entry->node);
}
