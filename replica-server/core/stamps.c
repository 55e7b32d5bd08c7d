/* The stamp table in memory and its blocks on disk, with group commit. Knows regions and gens, not configs or frames.
 * On a write's path between "payload received" and "store write", and only while a replica of the set is out. */
#include "replica-server/core/stamps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/crc32c.h"
#include "common/limits.h"
#include "common/mutant.h"

/* Header block. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_BLOCK_BYTES = 12,
	AT_INCOMPAT = 16,
	AT_REGION_BYTES = 24,
	AT_SET_UUID = 32,
	AT_REPLICA_UUID = 48,
	AT_REGION_COUNT = 64,
	AT_CRC = 4092, /* of every block */
};

/* Stamp block: low 32 bits of its index, the stamps, the checksum. */
enum { AT_BLOCK_IDX = 0, AT_STAMPS = 4 };

static_assert(AT_STAMPS + 4 * STAMPS_PER_BLOCK == AT_CRC, "stamps fill the block");

static const char magic[8] = {'L', 'S', 'R', 'E', 'P', 'S', 'T', '1'};

uint64_t stamps_region_count(uint64_t set_bytes)
{
	return (set_bytes + REGION_BYTES - 1) / REGION_BYTES;
}

uint64_t stamps_block_count(uint64_t region_count)
{
	return (region_count + STAMPS_PER_BLOCK - 1) / STAMPS_PER_BLOCK;
}

uint64_t stamps_file_bytes(uint64_t region_count)
{
	return (1 + stamps_block_count(region_count)) * STAMPS_BLOCK_BYTES;
}

static bool is_all_zero(const uint8_t *bytes, size_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

void stamps_header_encode(const struct stamps_header *header, uint8_t out[STAMPS_BLOCK_BYTES])
{
	memset(out, 0, STAMPS_BLOCK_BYTES);
	memcpy(out + AT_MAGIC, magic, sizeof(magic));
	store_le32(out + AT_VERSION, STAMPS_VERSION);
	store_le32(out + AT_BLOCK_BYTES, STAMPS_BLOCK_BYTES);
	store_le64(out + AT_REGION_BYTES, REGION_BYTES);
	memcpy(out + AT_SET_UUID, header->set_uuid.bytes, 16);
	memcpy(out + AT_REPLICA_UUID, header->replica_uuid.bytes, 16);
	store_le64(out + AT_REGION_COUNT, header->region_count);
	store_le32(out + AT_CRC, crc32c(0, out, AT_CRC));
}

int stamps_header_decode(const uint8_t in[STAMPS_BLOCK_BYTES], struct stamps_header *ret, const char **ret_reason)
{
	if (memcmp(in + AT_MAGIC, magic, sizeof(magic))) {
		*ret_reason = "not a stamp table (bad magic)";
		return -EBADMSG;
	}
	if (load_le32(in + AT_CRC) != crc32c(0, in, AT_CRC)) {
		*ret_reason = "header damaged (bad checksum)";
		return -EBADMSG;
	}
	if (load_le32(in + AT_VERSION) != STAMPS_VERSION || load_le64(in + AT_INCOMPAT)) {
		*ret_reason = "written by a newer version of this program";
		return -EPROTONOSUPPORT;
	}
	if (load_le32(in + AT_BLOCK_BYTES) != STAMPS_BLOCK_BYTES || load_le64(in + AT_REGION_BYTES) != REGION_BYTES) {
		*ret_reason = "another size of block or region";
		return -EBADMSG;
	}
	memcpy(ret->set_uuid.bytes, in + AT_SET_UUID, 16);
	memcpy(ret->replica_uuid.bytes, in + AT_REPLICA_UUID, 16);
	ret->region_count = load_le64(in + AT_REGION_COUNT);
	return 0;
}

void stamps_block_encode(uint64_t block_idx, const uint32_t *gens, uint8_t out[STAMPS_BLOCK_BYTES])
{
	store_le32(out + AT_BLOCK_IDX, (uint32_t)block_idx);
	for (unsigned i = 0; i < STAMPS_PER_BLOCK; i++)
		store_le32(out + AT_STAMPS + 4 * i, gens[i]);
	store_le32(out + AT_CRC, crc32c(0, out, AT_CRC));
}

int stamps_block_decode(uint64_t block_idx, const uint8_t in[STAMPS_BLOCK_BYTES], uint32_t ret[STAMPS_PER_BLOCK])
{
	if (is_all_zero(in, STAMPS_BLOCK_BYTES)) {
		memset(ret, 0, STAMPS_PER_BLOCK * sizeof(*ret));
		return 0;
	}
	if (load_le32(in + AT_CRC) != crc32c(0, in, AT_CRC) || load_le32(in + AT_BLOCK_IDX) != (uint32_t)block_idx) {
		for (unsigned i = 0; i < STAMPS_PER_BLOCK; i++)
			ret[i] = MUTANT(damaged_stamps_say_nothing) ? 0 : STAMP_UNKNOWN;
		return -EBADMSG;
	}
	for (unsigned i = 0; i < STAMPS_PER_BLOCK; i++)
		ret[i] = load_le32(in + AT_STAMPS + 4 * i);
	return 0;
}

static size_t bitmap_words(uint64_t bits)
{
	return (bits + 63) / 64;
}

static bool bit_test(const uint64_t *bitmap, uint64_t bit)
{
	return bitmap[bit / 64] >> (bit % 64) & 1;
}

static void bit_set(uint64_t *bitmap, uint64_t bit)
{
	bitmap[bit / 64] |= 1ull << (bit % 64);
}

static void bit_clear(uint64_t *bitmap, uint64_t bit)
{
	bitmap[bit / 64] &= ~(1ull << (bit % 64));
}

static void blocks_written(struct store_op *op);

int stamps_init(struct stamps *stamps, uint64_t set_bytes, struct store *store, void (*advanced)(struct stamps *stamps))
{
	*stamps = (struct stamps){.store = store, .advanced = advanced, .open_cycle = 1};
	stamps->region_count = stamps_region_count(set_bytes);
	stamps->block_count = stamps_block_count(stamps->region_count);
	stamps->gens = calloc(stamps->block_count * STAMPS_PER_BLOCK, sizeof(*stamps->gens));
	stamps->block_cycle = calloc(stamps->block_count, sizeof(*stamps->block_cycle));
	stamps->dirty = calloc(bitmap_words(stamps->block_count), sizeof(*stamps->dirty));
	stamps->writing = calloc(bitmap_words(stamps->block_count), sizeof(*stamps->writing));
	stamps->image_blocks = stamps->block_count < STAMPS_WRITE_BLOCKS ? stamps->block_count : STAMPS_WRITE_BLOCKS;
	stamps->image = aligned_alloc(STAMPS_BLOCK_BYTES, stamps->image_blocks * STAMPS_BLOCK_BYTES);
	if (!stamps->gens || !stamps->block_cycle || !stamps->dirty || !stamps->writing || !stamps->image) {
		stamps_fini(stamps);
		return -ENOMEM;
	}
	stamps->op.done = blocks_written;
	return 0;
}

void stamps_fini(struct stamps *stamps)
{
	free(stamps->gens);
	free(stamps->block_cycle);
	free(stamps->dirty);
	free(stamps->writing);
	free(stamps->image);
	*stamps = (struct stamps){0};
}

bool stamps_load_block(struct stamps *stamps, uint64_t block_idx, const uint8_t in[STAMPS_BLOCK_BYTES])
{
	assert(block_idx < stamps->block_count);
	return stamps_block_decode(block_idx, in, stamps->gens + block_idx * STAMPS_PER_BLOCK) == 0;
}

static void raise_region(struct stamps *stamps, uint64_t region_idx, uint32_t gen)
{
	uint64_t block_idx = region_idx / STAMPS_PER_BLOCK;

	if (stamps->gens[region_idx] >= gen)
		return;
	stamps->gens[region_idx] = gen;
	stamps->block_cycle[block_idx] = stamps->open_cycle;
	if (bit_test(stamps->dirty, block_idx))
		return;
	bit_set(stamps->dirty, block_idx);
	stamps->dirty_count++;
}

uint64_t stamps_raise(struct stamps *stamps, uint64_t offset, uint64_t length, uint32_t gen)
{
	uint64_t first = offset / REGION_BYTES, last = (offset + length - 1) / REGION_BYTES;

	assert(length > 0);
	return stamps_raise_regions(stamps, first, last - first + 1, gen);
}

uint64_t stamps_raise_regions(struct stamps *stamps, uint64_t first, uint64_t count, uint32_t gen)
{
	uint64_t cycle = 0;

	assert(count > 0 && first < stamps->region_count && count <= stamps->region_count - first);
	for (uint64_t region = first; region < first + count; region++) {
		uint64_t block_cycle;

		raise_region(stamps, region, gen);
		/* Also when already raised: somebody else's raise may not be durable yet. */
		block_cycle = stamps->block_cycle[region / STAMPS_PER_BLOCK];
		cycle = block_cycle > cycle ? block_cycle : cycle;
	}
	return cycle;
}

/* The next blocks of the cycle, as many as the image holds from the first one on, and what lies between them: it is
 * written as it is, and a durable write costs much more than some blocks. */
static void write_next_blocks(struct stamps *stamps)
{
	uint64_t first = stamps->writing_next, count = 0;

	while (!bit_test(stamps->writing, first))
		first++;
	for (uint64_t i = 0; i < stamps->image_blocks && stamps->writing_left; i++) {
		uint64_t block_idx = first + i;

		stamps_block_encode(block_idx, stamps->gens + block_idx * STAMPS_PER_BLOCK,
				    stamps->image + i * STAMPS_BLOCK_BYTES);
		if (!bit_test(stamps->writing, block_idx))
			continue;
		bit_clear(stamps->writing, block_idx);
		stamps->writing_left--;
		count = i + 1;
	}
	stamps->writing_next = first + count;
	stamps->op.kind = STORE_WRITE_STAMPS;
	stamps->op.durable = true;
	stamps->op.offset = (1 + first) * STAMPS_BLOCK_BYTES;
	stamps->op.length = count * STAMPS_BLOCK_BYTES;
	stamps->op.data = stamps->image;
	stamps->store->ops->submit(stamps->store, &stamps->op);
}

void stamps_commit(struct stamps *stamps)
{
	uint64_t *spare = stamps->writing;

	if (stamps->writing_cycle || !stamps->dirty_count || stamps->failed)
		return;
	stamps->writing = stamps->dirty; /* all bits of the old one were cleared as its blocks were written */
	stamps->dirty = spare;
	stamps->writing_left = stamps->dirty_count;
	stamps->writing_next = 0;
	stamps->dirty_count = 0;
	stamps->writing_cycle = MUTANT(stamps_join_a_running_write) ? stamps->open_cycle : stamps->open_cycle++;
	write_next_blocks(stamps);
}

static void blocks_written(struct store_op *op)
{
	struct stamps *stamps = container_of(op, struct stamps, op);

	if (op->error) {
		stamps->failed = true;
		stamps->writing_cycle = 0;
	} else if (stamps->writing_left) {
		write_next_blocks(stamps);
		return;
	} else {
		stamps->durable_cycle = stamps->writing_cycle;
		stamps->writing_cycle = 0;
	}
	stamps->advanced(stamps);
	stamps_commit(stamps);
}

uint32_t stamps_get(const struct stamps *stamps, uint64_t region_idx)
{
	assert(region_idx < stamps->region_count);
	return stamps->gens[region_idx];
}
