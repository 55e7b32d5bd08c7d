/* Counts what comes again to a device that was taken over. Not on a request's path once that is done. */
#include "gateway/drivers/ublk_takeover.h"

#include "common/clock.h"

/* The kernel requeues them all before it answers END_USER_RECOVERY and runs its queue at once (ublk_drv.c, Linux 6.1 to
 * 7.3): some milliseconds under emulation. */
#define UNKNOWN_NS (200 * NS_PER_MS)
#define MISSING_NS (10000 * NS_PER_MS)

void ublk_takeover_begin(struct ublk_takeover *takeover, const uint8_t *in_hand, unsigned queue_depth)
{
	*takeover = (struct ublk_takeover){.is_on = true};
	for (unsigned tag = 0; tag < queue_depth; tag++) {
		takeover->expected[tag] = in_hand[tag] != 0;
		takeover->missing += takeover->expected[tag];
	}
}

void ublk_takeover_resumed(struct ublk_takeover *takeover, uint64_t now_ns)
{
	__atomic_store_n(&takeover->resumed_ns, now_ns, __ATOMIC_RELEASE);
}

void ublk_takeover_came(struct ublk_takeover *takeover, unsigned tag)
{
	if (!takeover->is_on)
		return;
	takeover->missing -= takeover->expected[tag];
	takeover->expected[tag] = 0;
}

bool ublk_takeover_ends(struct ublk_takeover *takeover, uint64_t now_ns)
{
	uint64_t resumed_ns = __atomic_load_n(&takeover->resumed_ns, __ATOMIC_ACQUIRE);

	if (!takeover->is_on || !resumed_ns || now_ns - resumed_ns < (takeover->missing ? MISSING_NS : UNKNOWN_NS))
		return false;
	takeover->is_on = false;
	return true;
}
