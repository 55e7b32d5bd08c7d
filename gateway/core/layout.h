/* Where a volume's bytes lie: a mirror and a stripe over mirror sets are one mapping (a mirror has one set).
 *
 * Chunk n of the volume is chunk n / set_count of set n % set_count. So the bytes of one set that fall in a contiguous
 * range of the volume are contiguous in the set: a DISCARD or ZEROES has at most one part a set, while a READ or WRITE
 * has one part a chunk, because its buffer is not contiguous per set. Bytes everywhere, 64 bits. Pure.
 */
#ifndef GATEWAY_CORE_LAYOUT_H
#define GATEWAY_CORE_LAYOUT_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/limits.h"

struct layout {
	uint64_t volume_bytes;
	uint32_t chunk_bytes;
	unsigned set_count;
};

/* One piece of a request, on one set. */
struct layout_part {
	unsigned set;
	uint64_t set_offset;
	uint64_t length;
	uint32_t buf_offset; /* in the request's payload; 0 for ranges without payload */
};

/* Bytes of `set` within the first `upto_bytes` bytes of the volume. */
static inline uint64_t layout_prefix(const struct layout *layout, unsigned set, uint64_t upto_bytes)
{
	uint64_t stripe_bytes = (uint64_t)layout->chunk_bytes * layout->set_count;
	uint64_t before = (uint64_t)layout->chunk_bytes * set;
	uint64_t rest, in_last;

	if (layout->set_count == 1)
		return upto_bytes;
	assert(stripe_bytes > 0);
	rest = upto_bytes % stripe_bytes;
	in_last = rest <= before ? 0 : rest - before;
	return upto_bytes / stripe_bytes * layout->chunk_bytes +
	       (in_last < layout->chunk_bytes ? in_last : layout->chunk_bytes);
}

static inline uint64_t layout_set_bytes(const struct layout *layout, unsigned set)
{
	return layout_prefix(layout, set, layout->volume_bytes);
}

/* Parts that any request of the volume can have (at most REQUEST_PARTS_MAX). */
unsigned layout_parts_max(const struct layout *layout);

/* A READ or WRITE of 1..IO_BYTES_MAX bytes inside the volume: its parts in the order of the buffer.
 * Returns how many of `parts` were filled. */
unsigned layout_split_data(const struct layout *layout, uint64_t offset, uint32_t length,
			   struct layout_part parts[REQUEST_PARTS_MAX]);

/* A range without payload inside the volume, of any length > 0: at most one part a set. */
unsigned layout_split_range(const struct layout *layout, uint64_t offset, uint64_t length,
			    struct layout_part parts[REQUEST_PARTS_MAX]);

#endif
