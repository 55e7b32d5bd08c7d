/* Identifiers: text and back, and what is not one. */
#include "common/uuid.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"

#define TEXT "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"

static const struct uuid sample = {
	{0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x49, 0x78, 0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1, 0xf0}};

static void the_canonical_text_is_lower_case_8_4_4_4_12(void)
{
	char text[UUID_CHARS + 1];

	uuid_format(&sample, text);
	CHECK_STR(TEXT, text);
}

static void text_parses_to_the_bytes_in_either_case(void)
{
	struct uuid uuid;

	CHECK_OK(uuid_parse(TEXT, &uuid));
	CHECK_MEM(sample.bytes, uuid.bytes, sizeof(uuid.bytes));
	CHECK_OK(uuid_parse("0F1E2D3C-4B5A-4978-8796-A5B4C3D2E1F0", &uuid));
	CHECK_TRUE(uuid_equal(&sample, &uuid));
}

static void anything_else_is_refused_and_leaves_the_result(void)
{
	static const char *const bad[] = {
		"",
		"0",
		"0f1e2d3c",
		"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f",
		"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f00",
		TEXT " ",
		" " TEXT,
		"{" TEXT "}",
		"0f1e2d3c4b5a49788796a5b4c3d2e1f0",
		"0f1e2d3-c4b5a-4978-8796-a5b4c3d2e1f0",
		"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1fg",
		"0f1e2d3c-4b5a-4978-8796_a5b4c3d2e1f0",
		"-f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0",
	};
	struct uuid uuid = sample;

	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		CHECK_ERRNO(-EINVAL, uuid_parse(bad[i], &uuid));
		CHECK_TRUE(uuid_equal(&sample, &uuid));
	}
}

static void only_all_zeros_is_nil(void)
{
	struct uuid uuid = {{0}};

	CHECK_TRUE(uuid_is_nil(&uuid));
	for (unsigned i = 0; i < sizeof(uuid.bytes); i++) {
		uuid.bytes[i] = 1;
		CHECK_FALSE(uuid_is_nil(&uuid));
		uuid.bytes[i] = 0;
	}
}

static void one_different_bit_makes_uuids_unequal(void)
{
	for (unsigned bit = 0; bit < 128; bit++) {
		struct uuid uuid = sample;

		uuid.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK_FALSE(uuid_equal(&sample, &uuid));
	}
}

static void random_bytes_become_version_4_and_keep_the_rest(void)
{
	uint8_t ones[16];
	char text[UUID_CHARS + 1];
	struct uuid uuid;

	memset(ones, 0xff, sizeof(ones));
	uuid = uuid_from_random(ones);
	uuid_format(&uuid, text);
	CHECK_STR("ffffffff-ffff-4fff-bfff-ffffffffffff", text);
	memset(ones, 0, sizeof(ones));
	uuid = uuid_from_random(ones);
	uuid_format(&uuid, text);
	CHECK_STR("00000000-0000-4000-8000-000000000000", text);
}

static const struct check_test tests[] = {
	CHECK_TEST(the_canonical_text_is_lower_case_8_4_4_4_12),
	CHECK_TEST(text_parses_to_the_bytes_in_either_case),
	CHECK_TEST(anything_else_is_refused_and_leaves_the_result),
	CHECK_TEST(only_all_zeros_is_nil),
	CHECK_TEST(one_different_bit_makes_uuids_unequal),
	CHECK_TEST(random_bytes_become_version_4_and_keep_the_rest),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("uuid", tests, argc, argv);
}
