/* When a rejoin compares, and when it copies unseen. */
#include "gateway/core/comparing.h"

#include "tests/unit/check.h"

#define PIECES 16u /* of a region */

static struct comparing it;

/* Regions of which so many pieces are equal. Returns how many were compared. */
static unsigned regions(unsigned count, unsigned equal)
{
	unsigned compared = 0;

	for (unsigned i = 0; i < count; i++) {
		if (!comparing_pays(&it, 25))
			continue;
		compared++;
		comparing_note(&it, PIECES, equal);
	}
	return compared;
}

static void begin(void)
{
	it = (struct comparing){0};
}

static void the_first_region_is_compared(void)
{
	begin();
	CHECK_TRUE(comparing_pays(&it, 25));
	CHECK_TRUE(comparing_pays(&it, 25));
}

static void where_all_is_equal_all_is_compared(void)
{
	begin();
	CHECK_EQ_U64(1000, regions(1000, PIECES));
}

static void where_a_quarter_is_equal_all_is_compared(void)
{
	begin();
	CHECK_EQ_U64(1000, regions(1000, PIECES / 4));
}

static void where_nothing_is_equal_one_of_many_is_compared(void)
{
	begin();
	CHECK_EQ_U64(100, regions(100 * (COMPARING_EVERY + 1), 0));
}

static void what_becomes_equal_is_compared_again_soon(void)
{
	begin();
	(void)regions(1000, 0);
	CHECK_TRUE(regions(4 * COMPARING_EVERY, PIECES) > 0);
	CHECK_EQ_U64(100, regions(100, PIECES));
}

static void what_becomes_different_is_copied_unseen_soon(void)
{
	begin();
	(void)regions(1000, PIECES);
	(void)regions(32, 0);
	CHECK_EQ_U64(10, regions(10 * (COMPARING_EVERY + 1), 0));
}

static void with_a_bound_of_0_all_is_compared(void)
{
	begin();
	comparing_note(&it, 10 * PIECES, 0);
	for (unsigned i = 0; i < 100; i++)
		CHECK_TRUE(comparing_pays(&it, 0));
}

static const struct check_test tests[] = {
	CHECK_TEST(the_first_region_is_compared),
	CHECK_TEST(where_all_is_equal_all_is_compared),
	CHECK_TEST(where_a_quarter_is_equal_all_is_compared),
	CHECK_TEST(where_nothing_is_equal_one_of_many_is_compared),
	CHECK_TEST(what_becomes_equal_is_compared_again_soon),
	CHECK_TEST(what_becomes_different_is_copied_unseen_soon),
	CHECK_TEST(with_a_bound_of_0_all_is_compared),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("comparing", tests, argc, argv);
}
