/* The stamp table: bytes on disk, damage, and group commit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/limits.h"
#include "replica-server/core/stamps.h"
#include "tests/unit/check.h"
#include "tests/unit/mem_store.h"

#define SET_BYTES (3000 * MIB) /* three blocks of stamps */

static struct mem_store mem;
static struct stamps stamps;
static unsigned advanced_count;
static uint8_t block[STAMPS_BLOCK_BYTES];

static void advanced(struct stamps *which)
{
	(void)which;
	advanced_count++;
}

static void begin_with(uint64_t set_bytes)
{
	mem_store_init(&mem, 4096);
	mem.stamps_bytes = stamps_file_bytes(stamps_region_count(set_bytes));
	mem_store_fini(&mem);
	mem.data = NULL;
	mem.superblock = NULL;
	mem.stamps = calloc(1, mem.stamps_bytes);
	advanced_count = 0;
	CHECK_OK(stamps_init(&stamps, set_bytes, &mem.store, advanced));
}

static void begin(void)
{
	begin_with(SET_BYTES);
}

static void end(void)
{
	mem_store_run(&mem);
	stamps_fini(&stamps);
	mem_store_fini(&mem);
}

static void sizes_round_up(void)
{
	CHECK_EQ_U64(1, stamps_region_count(1));
	CHECK_EQ_U64(1, stamps_region_count(MIB));
	CHECK_EQ_U64(2, stamps_region_count(MIB + 1));
	CHECK_EQ_U64(1, stamps_block_count(1022));
	CHECK_EQ_U64(2, stamps_block_count(1023));
	CHECK_EQ_U64(3 * 4096, stamps_file_bytes(1023));
	CHECK_EQ_U64(1ull << 30, stamps_region_count(VOLUME_BYTES_MAX));
}

static void the_header_names_its_replica(void)
{
	struct stamps_header header = {.set_uuid = {{2}}, .replica_uuid = {{3}}, .region_count = 5}, back;
	const char *reason;

	stamps_header_encode(&header, block);
	CHECK_MEM("LSREPST1", block, 8);
	CHECK_EQ_U64(1, load_le32(block + 8));
	CHECK_EQ_U64(5, load_le64(block + 64));
	CHECK_OK(stamps_header_decode(block, &back, &reason));
	CHECK_TRUE(uuid_equal(&header.replica_uuid, &back.replica_uuid));
	block[64] ^= 1;
	CHECK_ERRNO(-EBADMSG, stamps_header_decode(block, &back, &reason));
	block[0] ^= 1;
	CHECK_ERRNO(-EBADMSG, stamps_header_decode(block, &back, &reason));
	CHECK_STR_HAS("magic", reason);
}

static void a_block_survives_the_disk(void)
{
	uint32_t gens[STAMPS_PER_BLOCK], back[STAMPS_PER_BLOCK];

	for (unsigned i = 0; i < STAMPS_PER_BLOCK; i++)
		gens[i] = i * 7;
	stamps_block_encode(4, gens, block);
	CHECK_EQ_U64(4, load_le32(block));
	CHECK_EQ_U64(7, load_le32(block + 8));
	CHECK_OK(stamps_block_decode(4, block, back));
	CHECK_MEM(gens, back, sizeof(gens));
}

static void a_hole_is_a_block_of_zeros(void)
{
	uint32_t back[STAMPS_PER_BLOCK];

	memset(block, 0, sizeof(block));
	memset(back, 0xff, sizeof(back));
	CHECK_OK(stamps_block_decode(4, block, back));
	CHECK_EQ_U64(0, back[0]);
	CHECK_EQ_U64(0, back[STAMPS_PER_BLOCK - 1]);
}

static void a_damaged_or_misplaced_block_counts_as_changed(void)
{
	uint32_t gens[STAMPS_PER_BLOCK] = {1}, back[STAMPS_PER_BLOCK];

	stamps_block_encode(4, gens, block);
	CHECK_ERRNO(-EBADMSG, stamps_block_decode(5, block, back));
	CHECK_EQ_U64(STAMP_UNKNOWN, back[700]);
	block[2000] ^= 1;
	CHECK_ERRNO(-EBADMSG, stamps_block_decode(4, block, back));
	CHECK_EQ_U64(STAMP_UNKNOWN, back[0]);
}

static void a_raise_is_not_durable_before_its_write_is(void)
{
	uint64_t cycle;

	begin();
	cycle = stamps_raise(&stamps, 5 * MIB, 4096, 3);
	CHECK_TRUE(cycle > stamps.durable_cycle);
	stamps_commit(&stamps);
	CHECK_TRUE(cycle > stamps.durable_cycle);
	mem_store_run(&mem);
	CHECK_TRUE(cycle <= stamps.durable_cycle);
	CHECK_EQ_U64(1, advanced_count);
	CHECK_EQ_U64(3, load_le32(mem.stamps + 4096 + 4 + 5 * 4));
	end();
}

static void raises_during_a_write_share_the_next_one(void)
{
	uint64_t first, second, third;

	begin();
	first = stamps_raise(&stamps, 0, 4096, 3);
	stamps_commit(&stamps);
	second = stamps_raise(&stamps, 1 * MIB, 4096, 3);
	stamps_commit(&stamps);
	third = stamps_raise(&stamps, 2 * MIB, 4096, 3);
	stamps_commit(&stamps);
	CHECK_EQ_U64(1, mem.pending_count);
	CHECK_TRUE(first < second);
	CHECK_EQ_U64(second, third);
	CHECK_EQ_U64(2, mem_store_run(&mem));
	CHECK_TRUE(third <= stamps.durable_cycle);
	end();
}

static void a_second_raise_to_the_same_gen_waits_for_the_first(void)
{
	uint64_t first, second;

	begin();
	first = stamps_raise(&stamps, 0, 4096, 3);
	stamps_commit(&stamps);
	second = stamps_raise(&stamps, 8192, 4096, 3); /* same region: nothing to write, but not durable yet */
	CHECK_EQ_U64(first, second);
	mem_store_run(&mem);
	second = stamps_raise(&stamps, 8192, 4096, 3);
	CHECK_TRUE(second <= stamps.durable_cycle);
	CHECK_EQ_U64(0, stamps.dirty_count);
	end();
}

#define WIDE_BYTES (200 * STAMPS_PER_BLOCK * MIB) /* 200 blocks */

static void a_range_over_many_blocks_is_durable_when_all_are(void)
{
	uint64_t cycle;

	begin_with(WIDE_BYTES);
	cycle = stamps_raise(&stamps, 1021 * MIB, WIDE_BYTES - 1021 * MIB, 9);
	stamps_commit(&stamps);
	for (unsigned i = 0; i < 4; i++) { /* 64, 64, 64 and 8 */
		CHECK_TRUE(cycle > stamps.durable_cycle);
		mem_store_complete(&mem, mem_store_pending(&mem, 0), 0);
	}
	CHECK_TRUE(cycle <= stamps.durable_cycle);
	CHECK_EQ_U64(0, mem.pending_count);
	CHECK_EQ_U64(0, stamps_get(&stamps, 1020));
	CHECK_EQ_U64(9, stamps_get(&stamps, 1021));
	for (uint64_t i = 0; i < 200; i++) {
		uint32_t gens[STAMPS_PER_BLOCK];

		CHECK_OK(stamps_block_decode(i, mem.stamps + (1 + i) * STAMPS_BLOCK_BYTES, gens));
		CHECK_EQ_U64(i ? 9 : 0, gens[0]);
		CHECK_EQ_U64(9, gens[STAMPS_PER_BLOCK - 1]);
	}
	end();
}

/* A durable write for each block would take minutes where a random load met a large set. */
static void blocks_near_each_other_are_one_write_and_keep_what_lies_between(void)
{
	const uint64_t block_bytes = STAMPS_PER_BLOCK * MIB;
	uint64_t cycle;

	begin_with(WIDE_BYTES);
	stamps_raise(&stamps, 12 * block_bytes, 4096, 5);
	stamps_commit(&stamps);
	mem_store_run(&mem);
	stamps_raise(&stamps, 10 * block_bytes, 4096, 7);
	stamps_raise(&stamps, 73 * block_bytes, 4096, 7);
	cycle = stamps_raise(&stamps, 74 * block_bytes, 4096, 7);
	stamps_commit(&stamps);
	CHECK_EQ_U64(64ull * STAMPS_BLOCK_BYTES, mem_store_pending(&mem, 0)->length);
	CHECK_EQ_U64(2, mem_store_run(&mem));
	CHECK_TRUE(cycle <= stamps.durable_cycle);
	for (uint64_t i = 10; i < 75; i++) {
		uint32_t gens[STAMPS_PER_BLOCK];

		CHECK_OK(stamps_block_decode(i, mem.stamps + (1 + i) * STAMPS_BLOCK_BYTES, gens));
		CHECK_EQ_U64(i == 10 || i > 72 ? 7 : i == 12 ? 5 : 0, gens[0]);
	}
	end();
}

static void stamps_never_fall(void)
{
	begin();
	stamps_raise(&stamps, 0, 4096, 9);
	stamps_raise(&stamps, 0, 4096, 4);
	CHECK_EQ_U64(9, stamps_get(&stamps, 0));
	end();
}

static void after_a_failed_write_nothing_becomes_durable(void)
{
	uint64_t cycle;

	begin();
	cycle = stamps_raise(&stamps, 0, 4096, 3);
	stamps_commit(&stamps);
	mem_store_complete(&mem, mem_store_pending(&mem, 0), -EIO);
	CHECK_TRUE(stamps.failed);
	CHECK_EQ_U64(1, advanced_count);
	CHECK_TRUE(cycle > stamps.durable_cycle);
	stamps_raise(&stamps, MIB, 4096, 3);
	stamps_commit(&stamps);
	CHECK_EQ_U64(0, mem.pending_count);
	end();
}

static const struct check_test tests[] = {
	CHECK_TEST(sizes_round_up),
	CHECK_TEST(the_header_names_its_replica),
	CHECK_TEST(a_block_survives_the_disk),
	CHECK_TEST(a_hole_is_a_block_of_zeros),
	CHECK_TEST(a_damaged_or_misplaced_block_counts_as_changed),
	CHECK_TEST(a_raise_is_not_durable_before_its_write_is),
	CHECK_TEST(raises_during_a_write_share_the_next_one),
	CHECK_TEST(a_second_raise_to_the_same_gen_waits_for_the_first),
	CHECK_TEST(a_range_over_many_blocks_is_durable_when_all_are),
	CHECK_TEST(blocks_near_each_other_are_one_write_and_keep_what_lies_between),
	CHECK_TEST(stamps_never_fall),
	CHECK_TEST(after_a_failed_write_nothing_becomes_durable),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("stamps", tests, argc, argv);
}
