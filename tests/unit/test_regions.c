/* Pages of regions: from the list of unstable extents and from the stamp table. */
#include "replica-server/core/regions.h"

#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "tests/unit/check.h"
#include "tests/unit/mem_store.h"

#define REGIONS 2000u

static struct unstable unstable;
static struct stamps stamps;
static struct mem_store mem;
static struct message_regions page;
static uint64_t marks[REGIONS / 64 + 1];

static void advanced(struct stamps *of)
{
	(void)of;
}

static void begin(uint32_t cap)
{
	mem_store_init(&mem, 1 * MIB);
	CHECK_OK(unstable_init(&unstable, cap));
	CHECK_OK(stamps_init(&stamps, REGIONS * REGION_BYTES, &mem.store, advanced));
	unstable_epoch(&unstable, 1);
	memset(marks, 0xff, sizeof(marks)); /* scratch: what it holds before does not matter */
}

static void end(void)
{
	stamps_fini(&stamps);
	unstable_fini(&unstable);
	mem_store_fini(&mem);
}

static void list_from(uint64_t from)
{
	memset(&page, 0xaa, sizeof(page));
	regions_of_list(&unstable, REGIONS, from, marks, &page);
}

static void stamped_from(uint64_t from, uint32_t above_gen)
{
	memset(&page, 0xaa, sizeof(page));
	regions_of_stamps(&stamps, from, above_gen, &page);
}

static void check_run(unsigned idx, uint64_t first, uint32_t count, uint32_t gen)
{
	CHECK_EQ_U64(first, page.runs[idx].first);
	CHECK_EQ_U64(count, page.runs[idx].count);
	CHECK_EQ_U64(gen, page.runs[idx].gen);
}

static void an_empty_list_has_no_region(void)
{
	begin(8);
	list_from(0);
	CHECK_FALSE(page.everything || page.more);
	CHECK_EQ_U64(0, page.count);
	end();
}

static void extents_in_any_order_become_ascending_runs(void)
{
	begin(8);
	unstable_add(&unstable, 1, 70 * MIB + 4096, 4096);
	unstable_add(&unstable, 2, 3 * MIB, 4096);
	unstable_add(&unstable, 3, 4 * MIB - 4096, 8192); /* two regions */
	unstable_add(&unstable, 4, 3 * MIB, 4096);
	list_from(0);
	CHECK_EQ_U64(2, page.count);
	check_run(0, 3, 2, 0);
	check_run(1, 70, 1, 0);
	CHECK_FALSE(page.more);
	end();
}

static void an_extent_that_ends_with_its_region_is_in_no_other(void)
{
	begin(8);
	unstable_add(&unstable, 1, 5 * MIB, 1 * MIB);
	list_from(0);
	CHECK_EQ_U64(1, page.count);
	check_run(0, 5, 1, 0);
	end();
}

static void older_epochs_are_in_the_list_too(void)
{
	begin(8);
	unstable_add(&unstable, 1, 5 * MIB, 4096);
	unstable_epoch(&unstable, 2);
	unstable_add(&unstable, 1, 9 * MIB, 4096);
	list_from(0);
	CHECK_EQ_U64(2, page.count);
	unstable_forget_older(&unstable);
	list_from(0);
	CHECK_EQ_U64(1, page.count);
	check_run(0, 9, 1, 0);
	end();
}

static void a_list_that_overflowed_is_everything(void)
{
	begin(1);
	unstable_add(&unstable, 1, 0, 4096);
	unstable_add(&unstable, 2, 1 * MIB, 4096);
	list_from(0);
	CHECK_TRUE(page.everything);
	CHECK_EQ_U64(0, page.count);
	CHECK_FALSE(page.more);
	end();
}

static void a_list_goes_on_where_its_page_ended(void)
{
	begin(1000);
	for (unsigned i = 0; i < 600; i++)
		unstable_add(&unstable, i + 1, 2 * MIB * i, 4096);
	list_from(0);
	CHECK_TRUE(page.more);
	CHECK_EQ_U64(REGION_RUNS_MAX, page.count);
	CHECK_EQ_U64(2 * (uint64_t)REGION_RUNS_MAX, page.next);
	check_run(REGION_RUNS_MAX - 1, 2 * (REGION_RUNS_MAX - 1), 1, 0);
	list_from(page.next);
	CHECK_FALSE(page.more);
	CHECK_EQ_U64(600 - REGION_RUNS_MAX, page.count);
	check_run(0, 2 * (uint64_t)REGION_RUNS_MAX, 1, 0);
	end();
}

static void a_page_may_begin_inside_a_run_or_beyond_the_set(void)
{
	begin(8);
	unstable_add(&unstable, 1, 60 * MIB, 10 * MIB);
	list_from(66);
	CHECK_EQ_U64(1, page.count);
	check_run(0, 66, 4, 0);
	list_from(REGIONS);
	CHECK_EQ_U64(0, page.count);
	list_from(UINT64_MAX);
	CHECK_EQ_U64(0, page.count);
	stamped_from(UINT64_MAX, 0);
	CHECK_EQ_U64(0, page.count);
	end();
}

static void the_last_region_is_found(void)
{
	begin(8);
	unstable_add(&unstable, 1, (REGIONS - 1) * MIB, 4096);
	list_from(0);
	CHECK_EQ_U64(1, page.count);
	check_run(0, REGIONS - 1, 1, 0);
	end();
}

static void neighbours_of_one_stamp_are_one_run(void)
{
	begin(1);
	(void)stamps_raise_regions(&stamps, 10, 3, 5);
	(void)stamps_raise_regions(&stamps, 13, 2, 6);
	(void)stamps_raise_regions(&stamps, 20, 1, 4);
	stamped_from(0, 4);
	CHECK_EQ_U64(2, page.count);
	check_run(0, 10, 3, 5);
	check_run(1, 13, 2, 6);
	stamped_from(0, 6);
	CHECK_EQ_U64(0, page.count);
	end();
}

static void an_unknown_stamp_is_above_every_gen(void)
{
	begin(1);
	stamps.gens[7] = STAMP_UNKNOWN;
	stamped_from(0, UINT32_MAX);
	CHECK_EQ_U64(1, page.count);
	check_run(0, 7, 1, UINT32_MAX);
	end();
}

static void stamps_go_on_where_their_page_ended(void)
{
	begin(1);
	for (unsigned i = 0; i < REGION_RUNS_MAX + 3; i++)
		(void)stamps_raise_regions(&stamps, i, 1, 2 + i % 2);
	stamped_from(0, 1);
	CHECK_TRUE(page.more);
	CHECK_EQ_U64(REGION_RUNS_MAX, page.next);
	stamped_from(page.next, 1);
	CHECK_FALSE(page.more);
	CHECK_EQ_U64(3, page.count);
	end();
}

static const struct check_test tests[] = {
	CHECK_TEST(an_empty_list_has_no_region),
	CHECK_TEST(extents_in_any_order_become_ascending_runs),
	CHECK_TEST(an_extent_that_ends_with_its_region_is_in_no_other),
	CHECK_TEST(older_epochs_are_in_the_list_too),
	CHECK_TEST(a_list_that_overflowed_is_everything),
	CHECK_TEST(a_list_goes_on_where_its_page_ended),
	CHECK_TEST(a_page_may_begin_inside_a_run_or_beyond_the_set),
	CHECK_TEST(the_last_region_is_found),
	CHECK_TEST(neighbours_of_one_stamp_are_one_run),
	CHECK_TEST(an_unknown_stamp_is_above_every_gen),
	CHECK_TEST(stamps_go_on_where_their_page_ended),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("regions", tests, argc, argv);
}
