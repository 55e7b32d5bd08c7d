/* First come, first served locks on byte ranges, by counting for each entry the earlier ones it must wait for.
 * Knows ranges only. On a request's path: between the split into parts and the first frame, and after the last answer.
 */
#include "gateway/core/range_lock.h"

#include <errno.h>
#include <stdlib.h>

#include "common/mutant.h"

int range_lock_init(struct range_lock *lock, unsigned capacity)
{
	*lock = (struct range_lock){.capacity = capacity};
	lock->starts = calloc(capacity, sizeof(*lock->starts));
	lock->ends = calloc(capacity, sizeof(*lock->ends));
	lock->entries = calloc(capacity, sizeof(struct range_entry *));
	return lock->starts && lock->ends && lock->entries ? 0 : -ENOMEM;
}

void range_lock_fini(struct range_lock *lock)
{
	free(lock->entries);
	free(lock->ends);
	free(lock->starts);
	*lock = (struct range_lock){0};
}

bool range_lock_is_empty(const struct range_lock *lock)
{
	return lock->count == 0;
}

void range_entry_init(struct range_entry *entry)
{
	*entry = (struct range_entry){0};
	list_init(&entry->granted);
}

/* The first entry from `from` on that overlaps, or `count`. The loop that the cost is in: no pointer is followed. */
static unsigned next_overlap(const struct range_lock *lock, unsigned from, uint64_t start, uint64_t end)
{
	unsigned i = from;

	while (i < lock->count && (lock->starts[i] >= end || lock->ends[i] <= start))
		i++;
	return i;
}

static bool one_writes(const struct range_entry *a, const struct range_entry *b)
{
	if (MUTANT(no_range_lock) || (MUTANT(reads_pass_writes) && a->mode != b->mode))
		return false;
	return a->mode == RANGE_WRITE || b->mode == RANGE_WRITE;
}

static void put_in(struct range_lock *lock, struct range_entry *entry, uint64_t start, uint64_t end)
{
	entry->arrival = lock->arrivals++;
	entry->is_present = true;
	entry->index = lock->count++;
	lock->starts[entry->index] = start;
	lock->ends[entry->index] = end;
	lock->entries[entry->index] = entry;
}

bool range_lock_acquire(struct range_lock *lock, struct range_entry *entry, uint64_t start, uint64_t end,
			enum range_mode mode)
{
	assert(start < end);
	assert(!entry->is_present);
	assert(lock->count < lock->capacity);
	entry->mode = mode;
	entry->blockers = 0;
	entry->is_settled = entry->is_passer = false;
	for (unsigned i = 0; (i = next_overlap(lock, i, start, end)) < lock->count; i++)
		entry->blockers += one_writes(entry, lock->entries[i]);
	put_in(lock, entry, start, end);
	return entry->blockers == 0;
}

bool range_lock_pass(struct range_lock *lock, struct range_entry *entry)
{
	uint64_t start = lock->starts[entry->index], end = lock->ends[entry->index];

	assert(entry->is_present && entry->blockers > 0 && entry->mode == RANGE_WRITE);
	for (unsigned i = 0; (i = next_overlap(lock, i, start, end)) < lock->count; i++) {
		if (lock->entries[i]->blockers == 0 && !lock->entries[i]->is_settled)
			return false;
	}
	/* Those that came later wait for it as it is; from now on those that came before it do as well. */
	for (unsigned i = 0; (i = next_overlap(lock, i, start, end)) < lock->count; i++) {
		struct range_entry *other = lock->entries[i];

		other->blockers += other->blockers > 0 && other->arrival < entry->arrival;
	}
	entry->blockers = 0;
	entry->is_passer = true;
	return true;
}

bool range_lock_is_passed(const struct range_lock *lock, const struct range_entry *entry)
{
	uint64_t start = lock->starts[entry->index], end = lock->ends[entry->index];

	assert(entry->is_present);
	for (unsigned i = 0; (i = next_overlap(lock, i, start, end)) < lock->count; i++) {
		if (lock->entries[i]->is_passer)
			return true;
	}
	return false;
}

/* The last entry takes its place. */
static void take_out(struct range_lock *lock, struct range_entry *entry)
{
	unsigned last = --lock->count;

	lock->starts[entry->index] = lock->starts[last];
	lock->ends[entry->index] = lock->ends[last];
	lock->entries[entry->index] = lock->entries[last];
	lock->entries[entry->index]->index = entry->index;
	entry->is_present = false;
}

/* A passer blocks all who waited when it came, and is blocked by nobody. */
static bool is_blocked_by(const struct range_entry *other, const struct range_entry *entry)
{
	if (other == entry || other->is_passer || !one_writes(entry, other))
		return false;
	return entry->is_passer ? other->blockers > 0 : other->arrival > entry->arrival;
}

void range_lock_release(struct range_lock *lock, struct range_entry *entry, struct list *ret_granted)
{
	uint64_t start = lock->starts[entry->index], end = lock->ends[entry->index];

	assert(entry->is_present);
	for (unsigned i = 0; (i = next_overlap(lock, i, start, end)) < lock->count; i++) {
		struct range_entry *other = lock->entries[i];

		if (!is_blocked_by(other, entry))
			continue;
		assert(other->blockers > 0);
		if (--other->blockers == 0)
			list_add_tail(ret_granted, &other->granted);
	}
	list_del(&entry->granted); /* granted and not yet taken off */
	take_out(lock, entry);
}
