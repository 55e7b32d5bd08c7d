/* Cuts a request into parts. Knows chunks and sets; no requests, legs or buffers.
 * On a request's path: called once, by slot_submit(), before any range is locked. */
#include "gateway/core/layout.h"

static_assert(SET_COUNT_MAX <= REQUEST_PARTS_MAX, "a range over all sets fits a request's parts");

unsigned layout_parts_max(const struct layout *layout)
{
	unsigned data_parts = 2; /* a chunk above IO_BYTES_MAX: one boundary at most */

	if (layout->set_count == 1)
		return 1;
	if (layout->chunk_bytes <= IO_BYTES_MAX)
		data_parts = (unsigned)((IO_BYTES_MAX + layout->chunk_bytes - 1) / layout->chunk_bytes) + 1;
	return data_parts > layout->set_count ? data_parts : layout->set_count;
}

static struct layout_part data_part(const struct layout *layout, uint64_t offset, uint32_t length, uint32_t done)
{
	uint64_t chunk = offset / layout->chunk_bytes;
	uint32_t in_chunk = (uint32_t)(offset % layout->chunk_bytes);
	uint32_t left = length - done;

	return (struct layout_part){
		.set = (unsigned)(chunk % layout->set_count),
		.set_offset = chunk / layout->set_count * layout->chunk_bytes + in_chunk,
		.length = left < layout->chunk_bytes - in_chunk ? left : layout->chunk_bytes - in_chunk,
		.buf_offset = done,
	};
}

unsigned layout_split_data(const struct layout *layout, uint64_t offset, uint32_t length,
			   struct layout_part parts[REQUEST_PARTS_MAX])
{
	unsigned count = 0;

	if (layout->set_count == 1) {
		parts[0] = (struct layout_part){.set_offset = offset, .length = length};
		return 1;
	}
	for (uint32_t done = 0; done < length; done += (uint32_t)parts[count++].length) {
		assert(count < REQUEST_PARTS_MAX);
		parts[count] = data_part(layout, offset + done, length, done);
	}
	return count;
}

unsigned layout_split_range(const struct layout *layout, uint64_t offset, uint64_t length,
			    struct layout_part parts[REQUEST_PARTS_MAX])
{
	unsigned count = 0;

	for (unsigned set = 0; set < layout->set_count; set++) {
		uint64_t from = layout_prefix(layout, set, offset);
		uint64_t to = layout_prefix(layout, set, offset + length);

		if (from == to)
			continue;
		parts[count++] = (struct layout_part){.set = set, .set_offset = from, .length = to - from};
	}
	return count;
}
