/* The checksum of payloads: known values, and that all implementations agree. */
#include "common/payload_checksum.h"

#include <string.h>
#include <xxhash.h>

#include "common/xxh3.h"
#include "tests/unit/check.h"

/* XXH3_64bits of these is 2d06800538d394c2, e6c632b61e964e1f and 78af5f94892f3950. */
static void known_values_match(void)
{
	CHECK_EQ_U64(0x38d394c2u, payload_checksum("", 0));
	CHECK_EQ_U64(0x1e964e1fu, payload_checksum("a", 1));
	CHECK_EQ_U64(0x892f3950u, payload_checksum("abc", 3));
}

/* Lengths around each of its methods: up to 16, 128, 240, 1024 bytes, and several of its 1024-byte blocks. */
static void all_implementations_are_the_library_s_at_every_length_and_alignment(void)
{
	uint64_t (*avx2)(const void *, size_t) = xxh3_avx2(); /* NULL on a processor without: then there is one only */
	static uint8_t bytes[5000];
	struct check_random random;

	check_random_init(&random);
	check_random_fill(&random, bytes, sizeof(bytes));
	for (size_t start = 0; start < 40; start += 13) {
		for (size_t len = 0; len < 4900; len += len < 300 ? 1 : 61) {
			uint64_t want = XXH3_64bits(bytes + start, len);

			CHECK_EQ_U64(want, xxh3_portable(bytes + start, len));
			if (avx2)
				CHECK_EQ_U64(want, avx2(bytes + start, len));
		}
	}
}

static uint32_t fill(uint8_t *ret, size_t len)
{
	struct check_random random;

	check_random_init(&random);
	check_random_fill(&random, ret, len);
	return payload_checksum(ret, len);
}

static void choosing_changes_no_checksum(void)
{
	uint8_t bytes[4096];
	uint32_t before = fill(bytes, sizeof(bytes));

	CHECK_TRUE(strlen(payload_checksum_choose()) > 0);
	CHECK_EQ_U64(before, payload_checksum(bytes, sizeof(bytes)));
}

static void one_changed_bit_changes_it(void)
{
	uint8_t bytes[4096];
	uint32_t sound = fill(bytes, sizeof(bytes));

	for (size_t bit = 0; bit < sizeof(bytes) * 8; bit += 97) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK_TRUE(payload_checksum(bytes, sizeof(bytes)) != sound);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(known_values_match),
	CHECK_TEST(all_implementations_are_the_library_s_at_every_length_and_alignment),
	CHECK_TEST(choosing_changes_no_checksum),
	CHECK_TEST(one_changed_bit_changes_it),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("payload_checksum", tests, argc, argv);
}
