/* The list of extents not known to be stable: kept long enough, never longer than memory allows. */
#include "replica-server/core/unstable.h"
#include "tests/unit/check.h"

static struct unstable list;

static void begin(uint32_t cap)
{
	unstable_fini(&list);
	CHECK_OK(unstable_init(&list, cap));
	unstable_epoch(&list, 1);
}

static void add(uint64_t wseq)
{
	unstable_add(&list, wseq, wseq * 4096, 4096);
}

static void an_extent_stays_until_it_is_stable(void)
{
	begin(8);
	add(1);
	add(2);
	add(3);
	unstable_prune(&list, 2);
	CHECK_EQ_U64(1, unstable_count(&list));
	CHECK_EQ_U64(3, unstable_get(&list, 0)->wseq);
	CHECK_EQ_U64(3 * 4096, unstable_get(&list, 0)->offset);
	unstable_prune(&list, 3);
	CHECK_EQ_U64(0, unstable_count(&list));
}

static void a_lower_stable_number_changes_nothing(void)
{
	begin(8);
	unstable_prune(&list, 10);
	add(11);
	unstable_prune(&list, 4);
	CHECK_EQ_U64(1, unstable_count(&list));
}

static void overflow_means_everything_until_all_of_it_is_stable(void)
{
	begin(2);
	add(1);
	add(2);
	CHECK_FALSE(unstable_is_everything(&list));
	add(3);
	add(4);
	CHECK_TRUE(unstable_is_everything(&list));
	unstable_prune(&list, 3);
	CHECK_TRUE(unstable_is_everything(&list));
	unstable_prune(&list, 4);
	CHECK_FALSE(unstable_is_everything(&list));
	CHECK_EQ_U64(0, unstable_count(&list));
}

static void extents_of_an_older_epoch_stay_whatever_becomes_stable(void)
{
	begin(8);
	add(1);
	add(2);
	unstable_epoch(&list, 2);
	add(1);
	add(2);
	add(3);
	unstable_prune(&list, 2);
	CHECK_EQ_U64(3, unstable_count(&list));
	CHECK_EQ_U64(1, unstable_get(&list, 0)->epoch);
	CHECK_EQ_U64(1, unstable_get(&list, 1)->epoch);
	CHECK_EQ_U64(2, unstable_get(&list, 2)->epoch);
	CHECK_EQ_U64(3, unstable_get(&list, 2)->wseq);
	unstable_forget_older(&list);
	CHECK_EQ_U64(1, unstable_count(&list));
	CHECK_EQ_U64(3, unstable_get(&list, 0)->wseq);
}

static void an_older_overflow_stays_everything_until_forgotten(void)
{
	begin(1);
	add(1);
	add(2);
	unstable_epoch(&list, 2);
	unstable_prune(&list, 100);
	CHECK_TRUE(unstable_is_everything(&list));
	unstable_forget_older(&list);
	CHECK_FALSE(unstable_is_everything(&list));
	CHECK_EQ_U64(0, unstable_count(&list));
}

static void more_older_extents_than_fit_mean_everything(void)
{
	begin(2);
	add(1);
	add(2);
	unstable_epoch(&list, 2);
	add(1);
	unstable_epoch(&list, 3);
	CHECK_TRUE(unstable_is_everything(&list));
	unstable_prune(&list, 100);
	CHECK_TRUE(unstable_is_everything(&list));
	unstable_forget_older(&list);
	CHECK_FALSE(unstable_is_everything(&list));
}

static void the_same_epoch_again_keeps_the_list(void)
{
	begin(8);
	add(1);
	unstable_epoch(&list, 1);
	unstable_epoch(&list, 0);
	unstable_prune(&list, 1);
	CHECK_EQ_U64(0, unstable_count(&list));
}

static void a_resent_write_that_comes_late_is_kept(void)
{
	begin(8);
	add(5);
	add(2); /* sent again after a reconnect */
	unstable_prune(&list, 3);
	CHECK_EQ_U64(2, unstable_count(&list)); /* more than needed is always allowed, less never */
	unstable_prune(&list, 5);
	CHECK_EQ_U64(0, unstable_count(&list));
}

/* Against a plain model: whatever happens, nothing that is not stable may be missing. */
static void nothing_unstable_is_ever_missing(void)
{
	struct check_random random;
	uint64_t next = 1, stable = 0;

	check_random_init(&random);
	begin(16);
	for (unsigned i = 0; i < 20000; i++) {
		if (check_random_below(&random, 3)) {
			add(next++);
		} else {
			stable += check_random_below(&random, next - stable);
			unstable_prune(&list, stable);
		}
		if (unstable_is_everything(&list))
			continue;
		for (uint64_t wseq = stable + 1; wseq < next; wseq++) {
			bool found = false;

			for (uint32_t idx = 0; idx < unstable_count(&list); idx++)
				found |= unstable_get(&list, idx)->wseq == wseq;
			CHECK_TRUE(found);
		}
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(an_extent_stays_until_it_is_stable),
	CHECK_TEST(a_lower_stable_number_changes_nothing),
	CHECK_TEST(overflow_means_everything_until_all_of_it_is_stable),
	CHECK_TEST(extents_of_an_older_epoch_stay_whatever_becomes_stable),
	CHECK_TEST(an_older_overflow_stays_everything_until_forgotten),
	CHECK_TEST(more_older_extents_than_fit_mean_everything),
	CHECK_TEST(the_same_epoch_again_keeps_the_list),
	CHECK_TEST(a_resent_write_that_comes_late_is_kept),
	CHECK_TEST(nothing_unstable_is_ever_missing),
};

int main(int argc, char **argv)
{
	int code = CHECK_MAIN("unstable", tests, argc, argv);

	unstable_fini(&list);
	return code;
}
