/* The range lock of one mirror set: one write in flight per block, reads share, first come first served (design P4).
 *
 * Every entry waits for exactly those earlier entries, held or waiting, that overlap it and of which one writes. So
 * later waiters never overtake an earlier conflicting one, nobody starves, and requests whose parts are queued in one
 * go cannot deadlock. Entries are the caller's memory and belong to the lock from acquire to release. Bytes, half open.
 * Cost is linear in the entries present (at most queue depth times parts), over two dense arrays. One thread; no
 * allocation after range_lock_init().
 */
#ifndef GATEWAY_CORE_RANGE_LOCK_H
#define GATEWAY_CORE_RANGE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/list.h"

enum range_mode { RANGE_READ, RANGE_WRITE };

struct range_entry {
	struct list granted; /* in the list of release()'s caller, until it takes it off */
	uint64_t arrival;
	enum range_mode mode;
	unsigned blockers; /* earlier conflicting entries still present; 0: held */
	unsigned index;	   /* in the lock's arrays */
	bool is_present;
	bool is_settled; /* held, and its owner only waits for who may pass it; the owner's to set */
	bool is_passer;
};

struct range_lock {
	uint64_t *starts, *ends; /* in no order */
	struct range_entry **entries;
	unsigned count, capacity;
	uint64_t arrivals;
};

/* Room for `capacity` entries. 0 or -ENOMEM; range_lock_fini() is due in both cases. */
int range_lock_init(struct range_lock *lock, unsigned capacity) must_check;
void range_lock_fini(struct range_lock *lock);
bool range_lock_is_empty(const struct range_lock *lock);

/* For memory that is used as an entry for the first time. */
void range_entry_init(struct range_entry *entry);

/* True: held at once. False: a later range_lock_release() grants it. `start` < `end`. */
bool range_lock_acquire(struct range_lock *lock, struct range_entry *entry, uint64_t start, uint64_t end,
			enum range_mode mode) must_check;

/* Gives up an entry, held or waiting, and appends those that are held from now on to `ret_granted`, by `granted`, in
 * any order: they do not conflict with each other. */
void range_lock_release(struct range_lock *lock, struct range_entry *entry, struct list *ret_granted);

/* A waiting entry holds its range at once, although settled entries hold parts of it, and before everybody else who
 * waits. False: it is blocked by one that is not settled; nothing has happened. For whoever is waited for by those whom
 * it passes. */
bool range_lock_pass(struct range_lock *lock, struct range_entry *entry) must_check;
/* Does a passer hold a part of the entry's range? */
bool range_lock_is_passed(const struct range_lock *lock, const struct range_entry *entry);

#endif
