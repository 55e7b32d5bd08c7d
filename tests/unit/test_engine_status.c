/* What the engine says about itself: each set's state with reason and since when, and whether a node may be lost. */
#include "tests/unit/engine_harness.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"

static struct harness h;

static void start(const struct volume_spec *spec, const struct engine_options *options)
{
	harness_fini(&h);
	harness_init(&h, spec, options);
}

static void wait(unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		harness_tick(&h, 1000000000);
		harness_pump(&h);
		harness_answer_all(&h);
	}
}

static struct set_status set_of(unsigned set)
{
	return harness_status(&h).sets[set];
}

static void with_all_there_any_node_may_be_lost(void)
{
	struct volume_spec three = harness_spec(1, 3), pair = harness_spec_with_witness(1, 2);

	start(&three, NULL);
	harness_attach(&h);
	CHECK_TRUE(set_of(0).can_lose_one);
	CHECK_STR("", set_of(0).why_not);
	CHECK_STR("", set_of(0).reason);
	CHECK_STR("", set_of(0).waits_for);
	CHECK_STR("", harness_status(&h).reason);
	CHECK_EQ_INT(VOLUME_SERVING, set_of(0).state);
	start(&pair, NULL);
	harness_attach(&h);
	CHECK_TRUE(set_of(0).can_lose_one);
	CHECK_EQ_U64(3, set_of(0).voters);
	CHECK_EQ_U64(1, set_of(0).witnesses);
	CHECK_EQ_U64(2, set_of(0).in_sync);
}

static void each_reason_why_no_node_may_be_lost_is_told(void)
{
	struct volume_spec three = harness_spec(1, 3), two = harness_spec(1, 2), pair = harness_spec_with_witness(1, 2);
	struct engine_options options = harness_options();

	start(&two, NULL);
	harness_attach(&h);
	CHECK_FALSE(set_of(0).can_lose_one);
	CHECK_STR("without one more voter there is no majority", set_of(0).why_not);
	start(&pair, NULL);
	harness_attach(&h);
	harness_kill(&h, 2);
	wait(1);
	CHECK_STR("without one more voter there is no majority", set_of(0).why_not);
	start(&pair, NULL);
	harness_attach(&h);
	harness_kill(&h, 1);
	wait(1);
	CHECK_STR("one replica in sync", set_of(0).why_not);
	options.min_in_sync = 3;
	start(&three, &options);
	harness_attach(&h);
	CHECK_STR("min-in-sync allows no fewer replicas", set_of(0).why_not);
}

static void the_answer_is_of_the_set_that_it_is_about(void)
{
	struct volume_spec spec = harness_spec(2, 3);

	start(&spec, NULL);
	harness_attach(&h);
	harness_kill(&h, 4);
	wait(1);
	CHECK_TRUE(set_of(0).can_lose_one);
	CHECK_FALSE(set_of(1).can_lose_one);
	CHECK_STR("", set_of(0).reason);
	CHECK_STR("a replica is out", set_of(1).reason);
	CHECK_STR("", set_of(0).waits_for);
	CHECK_STR_HAS("r4 (10.0.0.5:7420)", set_of(1).waits_for);
	CHECK_EQ_INT(VOLUME_SERVING, set_of(1).state);
}

static void a_suspension_is_the_sets_own_with_reason_and_since_when(void)
{
	struct volume_spec spec = harness_spec(2, 3);
	uint64_t suspended_ns;

	start(&spec, NULL);
	harness_attach(&h);
	wait(5);
	harness_kill(&h, 4);
	harness_kill(&h, 5);
	wait(1);
	suspended_ns = h.now_ns;
	wait(7);
	CHECK_EQ_INT(VOLUME_SUSPENDED, set_of(1).state);
	CHECK_STR("no majority of the voters answers", set_of(1).reason);
	CHECK_TRUE(set_of(1).since_ns <= suspended_ns);
	CHECK_EQ_INT(VOLUME_SERVING, set_of(0).state);
	CHECK_STR("set 1: no majority of the voters answers", harness_status(&h).reason);
	CHECK_STR("it is not serving now", set_of(1).why_not);
	harness_raise(&h, 4);
	CHECK_EQ_INT(VOLUME_SERVING, set_of(1).state);
	CHECK_TRUE(set_of(1).since_ns > suspended_ns);
	CHECK_STR("", harness_status(&h).reason);
}

static void an_attach_that_waits_says_what_for(void)
{
	struct volume_spec spec = harness_spec(1, 3);

	start(&spec, NULL);
	h.replicas[1].is_reachable = h.replicas[2].is_reachable = false;
	engine_attach(h.engine);
	harness_pump(&h);
	CHECK_EQ_INT(VOLUME_ATTACHING, set_of(0).state);
	CHECK_STR("its voters are being asked", set_of(0).reason);
	wait(5);
	CHECK_STR_HAS("1 of 3 voters answer, a majority is needed", harness_status(&h).reason);
	CHECK_STR_HAS("r2", set_of(0).waits_for);
	harness_raise(&h, 1);
	CHECK_EQ_INT(VOLUME_SERVING, set_of(0).state);
	CHECK_STR("", harness_status(&h).reason);
}

static const struct check_test tests[] = {
	CHECK_TEST(with_all_there_any_node_may_be_lost),
	CHECK_TEST(each_reason_why_no_node_may_be_lost_is_told),
	CHECK_TEST(the_answer_is_of_the_set_that_it_is_about),
	CHECK_TEST(a_suspension_is_the_sets_own_with_reason_and_since_when),
	CHECK_TEST(an_attach_that_waits_says_what_for),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_status", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
