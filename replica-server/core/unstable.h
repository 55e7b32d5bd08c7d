/* The list: extents written in an epoch and not yet known to be durable on all required members (replication.md R5).
 *
 * Keyed by (epoch, wseq). Bounded: what does not fit turns the list into "everything". Entries of the current epoch go
 * as stable_upto grows; those of older epochs stay until unstable_forget_older(), because only the attach that adopted
 * them knows when they have been made equal. In memory only: it dies with the incarnation. One thread.
 */
#ifndef REPLICA_SERVER_CORE_UNSTABLE_H
#define REPLICA_SERVER_CORE_UNSTABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

struct extent {
	uint32_t epoch;
	uint64_t wseq;
	uint64_t offset; /* bytes */
	uint64_t length;
};

struct unstable {
	struct extent *ring; /* of the current epoch, in order of arrival, from `head` */
	uint32_t cap, head, count;
	struct extent *older; /* of earlier epochs; at most `cap` */
	uint32_t older_count;
	uint32_t epoch;		  /* current */
	uint64_t stable_upto;	  /* of the current epoch */
	uint64_t overflow_upto;	  /* highest wseq of this epoch that did not fit; 0: none */
	bool older_is_everything; /* an earlier epoch overflowed, or `older` did */
};

/* Room for `cap` extents of this epoch and as many of earlier ones is taken now. 0 or -ENOMEM. */
int unstable_init(struct unstable *unstable, uint32_t cap) must_check;
void unstable_fini(struct unstable *unstable);

/* A session of this epoch opened. Lower or equal epochs change nothing. */
void unstable_epoch(struct unstable *unstable, uint32_t epoch);
/* A write of the current epoch is about to be applied. */
void unstable_add(struct unstable *unstable, uint64_t wseq, uint64_t offset, uint64_t length);
/* Every wseq up to this one, of the current epoch, is durable everywhere. */
void unstable_prune(struct unstable *unstable, uint64_t stable_upto);
/* The older epochs' extents are equal and durable on all members. */
void unstable_forget_older(struct unstable *unstable);

bool unstable_is_everything(const struct unstable *unstable);
uint32_t unstable_count(const struct unstable *unstable);
/* idx < unstable_count(). Lends until the next call. */
const struct extent *unstable_get(const struct unstable *unstable, uint32_t idx);

#endif
