/* Maps of regions against a plain array, and the two windows of what is not yet durable. */
#include "gateway/core/region_map.h"
#include "gateway/core/unsynced.h"

#include <string.h>

#include "tests/unit/check.h"

#define REGIONS 200u

static uint64_t words[4][(REGIONS + 63) / 64];
static struct region_map map, other;
static bool model[REGIONS];

static void start(void)
{
	memset(words, 0, sizeof(words));
	memset(model, 0, sizeof(model));
	region_map_init(&map, words[0], REGIONS);
	region_map_init(&other, words[1], REGIONS);
}

static void check_equal(void)
{
	uint64_t held = 0, next = 0, first, count;

	for (uint64_t i = 0; i < REGIONS; i++) {
		CHECK_EQ_INT(model[i], region_map_has(&map, i));
		held += model[i];
	}
	CHECK_EQ_U64(held, map.held);
	CHECK_EQ_INT(held == 0, region_map_is_empty(&map));
	for (uint64_t i = 0; i <= REGIONS; i++) {
		for (next = i; next < REGIONS && !model[next]; next++)
			;
		CHECK_EQ_U64(next, region_map_next(&map, i));
	}
	for (next = 0; region_map_next_run(&map, next, &first, &count); next = first + count) {
		for (uint64_t i = next; i < first; i++)
			CHECK_FALSE(model[i]);
		for (uint64_t i = first; i < first + count; i++)
			CHECK_TRUE(model[i]);
		held -= count;
	}
	CHECK_EQ_U64(0, held);
}

static void random_changes_agree_with_a_plain_array(void)
{
	struct check_random random;

	check_random_init(&random);
	start();
	for (unsigned step = 0; step < 3000; step++) {
		uint64_t first = check_random_below(&random, REGIONS);
		uint64_t count = check_random_below(&random, REGIONS - first + 1) % 70;

		switch (check_random_below(&random, 8)) {
		case 0:
		case 1:
			region_map_add(&map, first, count);
			memset(model + first, true, count);
			break;
		case 2:
			region_map_clear(&other);
			region_map_add(&other, first, count);
			region_map_union(&map, &other);
			memset(model + first, true, count);
			break;
		case 3:
			region_map_clear(&map);
			memset(model, false, sizeof(model));
			break;
		default:
			region_map_remove(&map, first);
			model[first] = false;
			break;
		}
		check_equal();
	}
}

static void bytes_touch_the_regions_that_they_lie_in(void)
{
	start();
	region_map_add_bytes(&map, 3 * REGION_BYTES - 1, 2);
	CHECK_EQ_U64(2, map.held);
	CHECK_TRUE(region_map_has_bytes(&map, 2 * REGION_BYTES, 1));
	CHECK_TRUE(region_map_has_bytes(&map, 0, 2 * REGION_BYTES + 1));
	CHECK_FALSE(region_map_has_bytes(&map, 0, 2 * REGION_BYTES));
	CHECK_FALSE(region_map_has_bytes(&map, 4 * REGION_BYTES, 1));
	CHECK_FALSE(region_map_has_bytes(&map, 3 * REGION_BYTES, 0));
	CHECK_EQ_U64(3, region_count_of(2 * REGION_BYTES + 1));
}

static void a_flush_clears_what_was_marked_before_it_and_nothing_else(void)
{
	struct unsynced it;

	start();
	unsynced_init(&it, words[2], words[3], REGIONS);
	unsynced_mark(&it, 0, 1);
	CHECK_TRUE(unsynced_begin_flush(&it));
	CHECK_FALSE(unsynced_begin_flush(&it));
	unsynced_mark(&it, REGION_BYTES, 1);
	unsynced_collect(&it, false, &map);
	CHECK_EQ_U64(2, map.held);
	region_map_clear(&map);
	unsynced_collect(&it, true, &map);
	CHECK_EQ_U64(1, map.held);
	CHECK_TRUE(region_map_has(&map, 1));
	unsynced_end_flush(&it, true);
	region_map_clear(&map);
	unsynced_collect(&it, false, &map);
	CHECK_EQ_U64(1, map.held);
}

static void a_flush_that_failed_clears_nothing(void)
{
	struct unsynced it;

	start();
	unsynced_init(&it, words[2], words[3], REGIONS);
	unsynced_mark(&it, 0, 1);
	CHECK_TRUE(unsynced_begin_flush(&it));
	unsynced_mark(&it, REGION_BYTES, 1);
	unsynced_end_flush(&it, false);
	CHECK_TRUE(unsynced_begin_flush(&it));
	unsynced_collect(&it, false, &map);
	CHECK_EQ_U64(2, map.held);
	unsynced_end_flush(&it, true);
	CHECK_TRUE(unsynced_is_empty(&it));
}

static const struct check_test tests[] = {
	CHECK_TEST(random_changes_agree_with_a_plain_array),
	CHECK_TEST(bytes_touch_the_regions_that_they_lie_in),
	CHECK_TEST(a_flush_clears_what_was_marked_before_it_and_nothing_else),
	CHECK_TEST(a_flush_that_failed_clears_nothing),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("region_map", tests, argc, argv);
}
