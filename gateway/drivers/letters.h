/* What the control thread and the data thread say to each other: kinds of `struct letter` (common/mailbox.h).
 *
 * There are two mailboxes: "to control" and "to data". A letter's `data` is malloc()ed by the sender and freed by the
 * receiver where a kind says so, else NULL; `fd` likewise belongs to the receiver. Numbers are not stored anywhere.
 */
#ifndef GATEWAY_DRIVERS_LETTERS_H
#define GATEWAY_DRIVERS_LETTERS_H

#include <stdint.h>

#include "common/mailbox.h"
#include "gateway/core/engine.h"

enum letter_kind {
	LETTER_NONE = 0,

	/* data -> control */
	LETTER_CONNECT,	 /* a: leg, b: letter_lane(): begin to connect; replaces an older attempt of the same lane */
	LETTER_ATTACHED, /* a: 0 or a positive errno, data: char * text or NULL */
	LETTER_OUTLIVED, /* once: engine_outlived_leases() */
	LETTER_DETACHED, /* a: 0 or a positive errno */
	LETTER_EVENTS,	 /* events_drain() has something to do */
	LETTER_STATUS_REPLY, /* data: the snapshot asked for by LETTER_STATUS */
	LETTER_VERIFY_REPLY, /* data: the struct verify_job of LETTER_VERIFY, answered */
	LETTER_DATA_STOPPED, /* the data thread has left its loop; nothing more comes from it */

	/* control -> data */
	LETTER_LANE_READY,  /* a: leg, b: letter_lane() of the CONNECT, fd: a usable byte stream */
	LETTER_LANE_FAILED, /* a: leg, b: letter_lane() of the CONNECT, data: struct err *, or NULL for want of memory
			     */
	LETTER_ATTACH,
	LETTER_DETACH,	 /* a: 1: by force, waits a moment at most */
	LETTER_STATUS,	 /* data: memory for the snapshot, comes back with LETTER_STATUS_REPLY */
	LETTER_VERIFY,	 /* data: struct verify_job, comes back with LETTER_VERIFY_REPLY */
	LETTER_FORCE,	 /* after a grace, fail what is outstanding and give up all connections: forced detach */
	LETTER_SHUTDOWN, /* leave the loop */
};

/* Lane and attempt in one word. The attempt tells a result from that of an attempt given up meanwhile. */
static inline uint32_t letter_lane(enum lane lane, uint32_t attempt)
{
	return attempt << 1 | (uint32_t)lane;
}

static inline enum lane letter_lane_of(uint32_t b)
{
	return (enum lane)(b & 1u);
}

#endif
