/* The stripe's arithmetic: by hand at the edges, by brute force over small volumes. */
#include "gateway/core/layout.h"

#include <string.h>

#include "tests/unit/check.h"

static void a_mirror_maps_every_request_to_one_part(void)
{
	struct layout layout = {10 * GIB, MIB, 1};
	struct layout_part parts[REQUEST_PARTS_MAX];

	CHECK_EQ_U64(1, layout_parts_max(&layout));
	CHECK_EQ_U64(1, layout_split_data(&layout, 3 * MIB - 4096, MIB, parts));
	CHECK_EQ_U64(3 * MIB - 4096, parts[0].set_offset);
	CHECK_EQ_U64(MIB, parts[0].length);
	CHECK_EQ_U64(1, layout_split_range(&layout, 0, 10 * GIB, parts));
	CHECK_EQ_U64(10 * GIB, parts[0].length);
	CHECK_EQ_U64(10 * GIB, layout_set_bytes(&layout, 0));
}

static void a_request_over_three_chunks_is_cut_at_their_edges(void)
{
	struct layout layout = {64 * MIB, CHUNK_BYTES_MIN, 3};
	struct layout_part parts[REQUEST_PARTS_MAX];
	uint32_t chunk = CHUNK_BYTES_MIN;

	/* The last block of chunk 4, chunks 5 and 6, the first block of chunk 7. */
	CHECK_EQ_U64(4, layout_split_data(&layout, 5ull * chunk - 4096, 2 * chunk + 8192, parts));
	CHECK_EQ_U64(1, parts[0].set);
	CHECK_EQ_U64(2ull * chunk - 4096, parts[0].set_offset);
	CHECK_EQ_U64(4096, parts[0].length);
	CHECK_EQ_U64(0, parts[0].buf_offset);
	CHECK_EQ_U64(2, parts[1].set);
	CHECK_EQ_U64(chunk, parts[1].set_offset);
	CHECK_EQ_U64(chunk, parts[1].length);
	CHECK_EQ_U64(4096, parts[1].buf_offset);
	CHECK_EQ_U64(0, parts[2].set);
	CHECK_EQ_U64(2ull * chunk, parts[2].set_offset);
	CHECK_EQ_U64(4096 + chunk, parts[2].buf_offset);
	CHECK_EQ_U64(1, parts[3].set);
	CHECK_EQ_U64(2ull * chunk, parts[3].set_offset);
	CHECK_EQ_U64(4096, parts[3].length);
	CHECK_EQ_U64(4096 + 2 * chunk, parts[3].buf_offset);
}

static void the_largest_request_on_the_smallest_chunks_has_the_most_parts(void)
{
	struct layout layout = {GIB, CHUNK_BYTES_MIN, 2};
	struct layout_part parts[REQUEST_PARTS_MAX];

	CHECK_EQ_U64(REQUEST_PARTS_MAX, layout_parts_max(&layout));
	CHECK_EQ_U64(REQUEST_PARTS_MAX, layout_split_data(&layout, 512, IO_BYTES_MAX, parts));
	CHECK_EQ_U64(512, parts[REQUEST_PARTS_MAX - 1].length);
}

static void offsets_beyond_4_gib_keep_all_their_bits(void)
{
	struct layout layout = {VOLUME_BYTES_MAX, 64 * MIB, 16};
	struct layout_part parts[REQUEST_PARTS_MAX];
	uint64_t offset = VOLUME_BYTES_MAX - 4096;

	CHECK_EQ_U64(1, layout_split_data(&layout, offset, 4096, parts));
	CHECK_EQ_U64(15, parts[0].set);
	CHECK_EQ_U64(VOLUME_BYTES_MAX / 16 - 4096, parts[0].set_offset);
	/* 2^32 chunks of 64 KiB do not fit 32 bits either. */
	layout = (struct layout){VOLUME_BYTES_MAX, CHUNK_BYTES_MIN, 2};
	CHECK_EQ_U64(1, layout_split_data(&layout, (1ull << 49) + CHUNK_BYTES_MIN, 4096, parts));
	CHECK_EQ_U64(1, parts[0].set);
	CHECK_EQ_U64(1ull << 48, parts[0].set_offset);
	CHECK_EQ_U64(2, layout_split_range(&layout, 0, VOLUME_BYTES_MAX, parts));
	CHECK_EQ_U64(VOLUME_BYTES_MAX / 2, parts[1].length);
}

static void a_partial_last_chunk_belongs_to_its_set_alone(void)
{
	struct layout layout = {7 * MIB + 4096, MIB, 3};

	CHECK_EQ_U64(3 * MIB, layout_set_bytes(&layout, 0));
	CHECK_EQ_U64(2 * MIB + 4096, layout_set_bytes(&layout, 1));
	CHECK_EQ_U64(2 * MIB, layout_set_bytes(&layout, 2));
}

/* Byte by byte, the slow and obvious way: which set, and how many bytes of that set lie below. */
struct naive {
	unsigned set[4096];
	uint64_t offset[4096];
	uint64_t set_bytes[4];
};

static void naive_map(const struct layout *layout, struct naive *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (uint64_t byte = 0; byte < layout->volume_bytes; byte++) {
		unsigned set = (unsigned)(byte / layout->chunk_bytes % layout->set_count);

		ret->set[byte] = set;
		ret->offset[byte] = ret->set_bytes[set]++;
	}
}

static void check_data(const struct layout *layout, const struct naive *naive, uint64_t offset, uint32_t length)
{
	struct layout_part parts[REQUEST_PARTS_MAX];
	unsigned count = layout_split_data(layout, offset, length, parts);
	uint32_t done = 0;

	for (unsigned i = 0; i < count; i++) {
		CHECK_EQ_U64(done, parts[i].buf_offset);
		for (uint64_t j = 0; j < parts[i].length; j++, done++) {
			CHECK_EQ_U64(naive->set[offset + done], parts[i].set);
			CHECK_EQ_U64(naive->offset[offset + done], parts[i].set_offset + j);
		}
	}
	CHECK_EQ_U64(length, done);
}

static void check_range(const struct layout *layout, const struct naive *naive, uint64_t offset, uint64_t length)
{
	struct layout_part parts[REQUEST_PARTS_MAX];
	unsigned count = layout_split_range(layout, offset, length, parts);
	uint64_t left[4] = {0};

	for (unsigned i = 0; i < count; i++) {
		CHECK_EQ_U64(0, left[parts[i].set]);
		left[parts[i].set] = parts[i].length;
	}
	for (uint64_t byte = offset; byte < offset + length; byte++) {
		unsigned set = naive->set[byte];

		for (unsigned i = 0; i < count; i++) {
			if (parts[i].set == set) {
				CHECK_TRUE(naive->offset[byte] >= parts[i].set_offset);
				CHECK_TRUE(naive->offset[byte] < parts[i].set_offset + parts[i].length);
			}
		}
		CHECK_TRUE(left[set] > 0);
		left[set]--;
	}
	for (unsigned set = 0; set < 4; set++)
		CHECK_EQ_U64(0, left[set]);
}

static void check_volume(const struct layout *layout)
{
	static struct naive naive;

	naive_map(layout, &naive);
	for (unsigned set = 0; set < layout->set_count; set++)
		CHECK_EQ_U64(naive.set_bytes[set], layout_set_bytes(layout, set));
	for (uint64_t offset = 0; offset < layout->volume_bytes; offset++) {
		for (uint32_t length = 1; length <= 13 && offset + length <= layout->volume_bytes; length++)
			check_data(layout, &naive, offset, length);
		for (uint64_t length = 1; offset + length <= layout->volume_bytes; length += 5)
			check_range(layout, &naive, offset, length);
	}
}

static void every_request_of_small_volumes_agrees_with_counting_bytes(void)
{
	for (unsigned sets = 1; sets <= 4; sets++) {
		for (uint32_t chunk = 1; chunk <= 5; chunk++) {
			for (uint64_t bytes = sets * chunk; bytes < sets * chunk + 2 * sets * chunk && bytes < 40;
			     bytes++)
				check_volume(&(struct layout){bytes, chunk, sets});
		}
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(a_mirror_maps_every_request_to_one_part),
	CHECK_TEST(a_request_over_three_chunks_is_cut_at_their_edges),
	CHECK_TEST(the_largest_request_on_the_smallest_chunks_has_the_most_parts),
	CHECK_TEST(offsets_beyond_4_gib_keep_all_their_bits),
	CHECK_TEST(a_partial_last_chunk_belongs_to_its_set_alone),
	CHECK_TEST(every_request_of_small_volumes_agrees_with_counting_bytes),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("layout", tests, argc, argv);
}
