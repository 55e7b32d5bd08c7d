/* When the requests that a killed gateway had in hand have all come again: no read may be served before (R11), because
 * a write that comes later could bring back what another one has replaced meanwhile, under the reader's eyes. No system
 * calls and no clock: the caller says what time it is. */
#ifndef GATEWAY_DRIVERS_UBLK_TAKEOVER_H
#define GATEWAY_DRIVERS_UBLK_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"

struct ublk_takeover {
	bool is_on;
	uint64_t resumed_ns; /* atomic; 0: the kernel has not been told to issue them yet */
	unsigned missing;
	uint8_t expected[QUEUE_DEPTH_MAX]; /* by tag */
};

/* Before the data thread runs: `in_hand` by tag, as the dead gateway left it. */
void ublk_takeover_begin(struct ublk_takeover *takeover, const uint8_t *in_hand, unsigned queue_depth);
/* Any thread: the kernel issues them again from `now_ns` on. */
void ublk_takeover_resumed(struct ublk_takeover *takeover, uint64_t now_ns);
/* Data thread: the tag has a request. */
void ublk_takeover_came(struct ublk_takeover *takeover, unsigned tag);
/* Data thread. True once, when all have come, and when there was time enough for those whose completion the dead
 * gateway had under way, of which nobody knows whether the kernel heard; or when those that are missing (`missing`)
 * come no more. */
bool ublk_takeover_ends(struct ublk_takeover *takeover, uint64_t now_ns);

#endif
