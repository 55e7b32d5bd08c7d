/* CRC32C against RFC 3720's vectors, and in pieces. */
#include "common/crc32c.h"

#include <string.h>

#include "tests/unit/check.h"

/* RFC 3720, appendix B.4. */
static void rfc_3720_vectors_match(void)
{
	uint8_t bytes[32];

	memset(bytes, 0, sizeof(bytes));
	CHECK_EQ_U64(0x8a9136aau, crc32c(0, bytes, sizeof(bytes)));
	memset(bytes, 0xff, sizeof(bytes));
	CHECK_EQ_U64(0x62a8ab43u, crc32c(0, bytes, sizeof(bytes)));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	CHECK_EQ_U64(0x46dd794eu, crc32c(0, bytes, sizeof(bytes)));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(31 - i);
	CHECK_EQ_U64(0x113fdb5cu, crc32c(0, bytes, sizeof(bytes)));
}

static void the_check_value_of_the_digits_matches(void)
{
	CHECK_EQ_U64(0xe3069283u, crc32c(0, "123456789", 9));
}

static void no_bytes_leave_the_seed(void)
{
	CHECK_EQ_U64(0, crc32c(0, "", 0));
	CHECK_EQ_U64(0x12345678u, crc32c(0x12345678u, "", 0));
}

static void pieces_give_the_checksum_of_the_whole(void)
{
	struct check_random random;
	uint8_t bytes[4096];
	uint32_t whole;

	check_random_init(&random);
	check_random_fill(&random, bytes, sizeof(bytes));
	whole = crc32c(0, bytes, sizeof(bytes));
	for (unsigned i = 0; i < 200; i++) {
		size_t cut = check_random_below(&random, sizeof(bytes) + 1);

		CHECK_EQ_U64(whole, crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof(bytes) - cut));
	}
}

/* The bytes one at a time, straight from the polynomial: independent of ISA-L at every length and alignment. */
static uint32_t slow_crc32c(const uint8_t *bytes, size_t len)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
	}
	return ~crc;
}

static void every_length_and_alignment_agrees_with_the_definition(void)
{
	struct check_random random;
	uint8_t bytes[600];

	check_random_init(&random);
	check_random_fill(&random, bytes, sizeof(bytes));
	for (size_t start = 0; start < 16; start++) {
		for (size_t len = 0; len < 520; len += len < 70 ? 1 : 37)
			CHECK_EQ_U64(slow_crc32c(bytes + start, len), crc32c(0, bytes + start, len));
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(rfc_3720_vectors_match),
	CHECK_TEST(the_check_value_of_the_digits_matches),
	CHECK_TEST(no_bytes_leave_the_seed),
	CHECK_TEST(pieces_give_the_checksum_of_the_whole),
	CHECK_TEST(every_length_and_alignment_agrees_with_the_definition),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("crc32c", tests, argc, argv);
}
