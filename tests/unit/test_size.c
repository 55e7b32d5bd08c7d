/* Sizes as people write them: what is read, what is refused, and that exact text reads back. */
#include "common/size.h"

#include <errno.h>

#include "common/limits.h"
#include "tests/unit/check.h"

static uint64_t parsed(const char *text)
{
	uint64_t bytes = 0;

	CHECK_OK(size_parse(text, &bytes));
	return bytes;
}

static void suffixes_are_powers_of_1024(void)
{
	CHECK_EQ_U64(512, parsed("512"));
	CHECK_EQ_U64(512, parsed("512B"));
	CHECK_EQ_U64(4 * KIB, parsed("4K"));
	CHECK_EQ_U64(4 * KIB, parsed("4k"));
	CHECK_EQ_U64(3 * MIB, parsed("3MB"));
	CHECK_EQ_U64(20 * GIB, parsed("20GiB"));
	CHECK_EQ_U64(1 * TIB, parsed("1T"));
}

static void what_is_no_size_is_refused(void)
{
	static const char *const bad[] = {"",	  "G",	"-1",  "+1",  " 1",   "1 G",
					  "1.5G", "1X", "1GG", "1Gi", "0x10", "1,000"};
	uint64_t bytes = 77;

	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++)
		CHECK_ERRNO(-EINVAL, size_parse(bad[i], &bytes));
	CHECK_EQ_U64(77, bytes);
}

static void a_size_beyond_64_bits_is_out_of_range(void)
{
	uint64_t bytes = 77;

	CHECK_EQ_U64(UINT64_MAX, parsed("18446744073709551615"));
	CHECK_ERRNO(-ERANGE, size_parse("18446744073709551616", &bytes));
	CHECK_ERRNO(-ERANGE, size_parse("16E", &bytes));
	CHECK_ERRNO(-ERANGE, size_parse("18446744073709551615K", &bytes));
	CHECK_EQ_U64(77, bytes);
}

static void exact_text_reads_back_to_the_same_number(void)
{
	static const uint64_t values[] = {0, 1, 512, 1000, 1024, 1536, GIB, 3 * TIB, UINT64_MAX, UINT64_MAX - 1023};
	char text[SIZE_TEXT_CHARS];

	for (unsigned i = 0; i < ARRAY_COUNT(values); i++) {
		size_format(values[i], text);
		CHECK_EQ_U64(values[i], parsed(text));
	}
	size_format(GIB, text);
	CHECK_STR("1G", text);
	size_format(1536, text);
	CHECK_STR("1536", text);
}

static void rough_text_has_three_digits_and_a_unit(void)
{
	char text[SIZE_TEXT_CHARS];

	size_format_rough(1000, text);
	CHECK_STR("1000 B", text);
	size_format_rough(1536, text);
	CHECK_STR("1.50 KiB", text);
	size_format_rough(1020 * MIB, text);
	CHECK_STR("1.00 GiB", text);
	size_format_rough(250 * GIB, text);
	CHECK_STR("250 GiB", text);
}

static const struct check_test tests[] = {
	CHECK_TEST(suffixes_are_powers_of_1024),
	CHECK_TEST(what_is_no_size_is_refused),
	CHECK_TEST(a_size_beyond_64_bits_is_out_of_range),
	CHECK_TEST(exact_text_reads_back_to_the_same_number),
	CHECK_TEST(rough_text_has_three_digits_and_a_unit),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("size", tests, argc, argv);
}
