/* Where the bytes of a slot are: the frontend's for requests, our own for the slots that the engine compares and copies
 * regions with. Knows no connections.
 * On every payload's path; a few instructions. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "gateway/drivers/peer_private.h"

#define RESYNC_BYTES (RESYNC_SLOTS * (size_t)REGION_BYTES)

int peers_memory_init(struct peers *peers)
{
	void *memory = mmap(NULL, RESYNC_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	peers->resync_memory = memory;
	return 0;
}

void peers_memory_fini(struct peers *peers)
{
	if (peers->resync_memory)
		munmap(peers->resync_memory, RESYNC_BYTES);
}

/* NULL: a request's. */
static uint8_t *resync_bytes(const struct peers *peers, unsigned slot)
{
	unsigned first = peers->options.queue_depth + peers->options.set_count;

	if (slot < first)
		return NULL;
	assert(slot - first < RESYNC_SLOTS);
	return peers->resync_memory + (slot - first) * (size_t)REGION_BYTES;
}

struct payload peers_payload(struct peers *peers, unsigned slot)
{
	uint8_t *bytes = resync_bytes(peers, slot);

	if (bytes)
		return (struct payload){.mapped = true, .base = (uintptr_t)bytes};
	return peers->frontend->ops->payload(peers->frontend, slot);
}

int peers_copy_out(struct peers *peers, unsigned slot, uint32_t offset, uint32_t length, void *dst)
{
	const uint8_t *bytes = resync_bytes(peers, slot);

	if (!bytes)
		return peers->frontend->ops->copy_out(peers->frontend, slot, offset, length, dst);
	memcpy(dst, bytes + offset, length);
	return 0;
}

int peers_copy_in(struct peers *peers, unsigned slot, uint32_t offset, uint32_t length, const void *src)
{
	uint8_t *bytes = resync_bytes(peers, slot);

	if (!bytes)
		return peers->frontend->ops->copy_in(peers->frontend, slot, offset, length, src);
	memcpy(bytes + offset, src, length);
	return 0;
}
