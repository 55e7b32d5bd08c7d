/* One block request in flight (slot) and its pieces, one a set or chunk (part). Lives in the engine's arrays from
 * engine_new() on. What each operation does with a part stands in read.c, write.c and flush.c.
 *
 *	     certain	    range held		  set open
 *	HELD -----> LOCKING --------> WAITING ------------> SENT ------> DONE
 *	 ^                               ^                  |  |            ^
 *	 +-- a READ whose regions        +-- no replica ----+  +- ZEROING --+
 *	     are uncertain                  to read, lease     (short read)
 *
 * The range is given up at DONE; the slot completes when all its parts are DONE and, unless the frontend pins a
 * request's memory, when every borrowed payload was released (design P6).
 */
#ifndef GATEWAY_CORE_SLOT_H
#define GATEWAY_CORE_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "common/list.h"
#include "gateway/core/engine.h"
#include "gateway/core/layout.h"
#include "gateway/core/leg.h"
#include "gateway/core/range_lock.h"

/* Frame ids: generation (40) | slot (11) | part (5). The generation makes every event of an earlier use of the slot
 * recognizable; 56 bits leave a driver room for its own tag. */
#define ID_PART_BITS 5
#define ID_SLOT_BITS 11
#define ID_GENERATION_BITS 40
#define ID_SLOT_PING ((1u << ID_SLOT_BITS) - 1)

static_assert(REQUEST_PARTS_MAX <= 1u << ID_PART_BITS, "a part's number fits its bits");
static_assert(QUEUE_DEPTH_MAX + SET_COUNT_MAX + RESYNC_SLOTS < ID_SLOT_PING, "a slot's number fits its bits");

enum part_state { PART_DONE, PART_HELD, PART_LOCKING, PART_WAITING, PART_SENT, PART_ZEROING };

/* What one leg owes a part. */
struct part_leg {
	struct leg_op op;
	uint32_t checksum;	/* acknowledged, WRITE */
	uint32_t last_checksum; /* before it was repeated */
	uint16_t status;	/* of its last answer */
	uint32_t borrows;	/* sends that may still read the payload */
};

struct part {
	struct range_entry range; /* unused by FLUSH */
	struct list node;	  /* in its set's waiting, writes or flushes */
	struct slot *slot;
	struct layout_part at;
	enum part_state state;
	uint64_t id;	/* of its frames; 0: the slot is free */
	uint8_t acked;	/* bit per leg of the set: answered well */
	uint8_t failed; /* ... or badly */

	/* WRITE, DISCARD, ZEROES. */
	uint64_t wseq;
	unsigned checksum_resends;

	/* READ. */
	uint64_t held_ns; /* since when it waits for its regions to be made equal; 0: it has not */
	uint8_t tried;	  /* legs that answered with an error */
	uint8_t read_leg; /* the leg asked, by its number in the set */
	uint32_t arrived_bytes;

	/* FLUSH: what an answer by all legs will prove. */
	uint64_t flush_upto;
	uint64_t flush_writes;
	uint64_t told_upto; /* the stable_upto that it carries */
	bool owns_window;   /* of the set's unsynced regions */
	bool is_reconciled; /* nothing was uncertain when it was sent */

	struct part_leg legs[SET_VOTERS_MAX];
};

struct slot {
	struct request request;
	bool in_use;
	unsigned part_count;
	unsigned parts_left; /* not DONE */
	unsigned borrows;    /* of all parts and legs */
	int error;
	struct part *parts; /* layout_parts_max() of them */
};

#endif
