/* What is bounded where nothing else ends it: requests by the policy's deadline, whatever they wait for (R12), and the
 * asking of a replica whose disk cannot be read for a comparison. */
#include "tests/unit/engine_scene.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"

#define NS_PER_S 1000000000ull

static struct harness h;
static scene_contents contents[LEG_COUNT_MAX];
static unsigned digests_asked[LEG_COUNT_MAX];

static void count_digests(struct harness *harness, const struct harness_message *asked)
{
	digests_asked[asked->leg] += asked->kind == MESSAGE_DIGEST;
}

static void begin(unsigned min_in_sync)
{
	struct engine_options options = harness_options();

	options.slow_rest_ns = 60 * NS_PER_S;
	options.fails_without_quorum = true;
	options.quorum_wait_ns = 5 * NS_PER_S;
	options.min_in_sync = min_in_sync;
	memset(digests_asked, 0, sizeof(digests_asked));
	scene_pair(&h, contents, &options);
	h.on_asked = count_digests;
	scene_attach(&h);
	scene_wait(&h, NS_PER_S);
}

static void pass(unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		scene_wait(&h, NS_PER_S);
		harness_sweep(&h);
		harness_answer_all(&h);
	}
}

static void refuse_digests(unsigned leg)
{
	h.replicas[leg].refuse_on = MESSAGE_DIGEST;
	h.replicas[leg].refusal = REFUSAL_STORE;
}

/* Replica 1 was away while region 3 was written. */
static void miss_a_write(void)
{
	harness_kill(&h, 1);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 3 * MIB, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	h.replicas[1].is_reachable = true;
}

/* A write that failed on both: they may differ in region 2. */
static void fail_a_write(void)
{
	harness_submit(&h, 0, REQUEST_WRITE, 0, 2 * MIB, 4096);
	harness_answer(&h, harness_find(&h, 0, FRAME_WRITE), WIRE_EIO);
	harness_answer(&h, harness_find(&h, 1, FRAME_WRITE), WIRE_EIO);
	CHECK_ERRNO(-EIO, h.errors[0]);
}

static void writes_are_served(void)
{
	harness_submit(&h, 0, REQUEST_WRITE, 0, 7 * MIB, 4096);
	for (unsigned i = 0; i < 4 && h.is_pending[0]; i++)
		pass(1);
	CHECK_FALSE(h.is_pending[0]);
	CHECK_OK(h.errors[0]);
}

static void a_replica_that_cannot_be_read_for_its_rejoin_rests_before_it_is_tried_again(void)
{
	begin(1);
	miss_a_write();
	refuse_digests(1);
	pass(5);
	CHECK_EQ_U64(1, digests_asked[1]);
	CHECK_STR_HAS("refused (store)", harness_status(&h).legs[1].last_error);
	pass(50);
	CHECK_EQ_U64(1, digests_asked[1]);
	writes_are_served();
	h.replicas[1].refuse_on = 0;
	pass(20);
	CHECK_EQ_U64(2, harness_status(&h).sets[0].in_sync);
}

static void a_replica_in_sync_that_cannot_be_compared_leaves_and_rests(void)
{
	begin(1);
	refuse_digests(1);
	fail_a_write();
	pass(50);
	CHECK_EQ_U64(1, digests_asked[1]);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_U64(1, h.event_count[EVENT_EVICTED]);
	harness_submit(&h, 1, REQUEST_READ, 0, 2 * MIB, 4096);
	harness_answer_all(&h);
	CHECK_OK(h.errors[1]);
	CHECK_FALSE(h.is_pending[1]);
}

/* The only replica in sync has a bad sector: no reason to do without it. */
static void the_last_source_of_a_rejoin_serves_on_though_it_cannot_be_compared(void)
{
	begin(1);
	miss_a_write();
	refuse_digests(0);
	pass(50);
	CHECK_TRUE(digests_asked[0] >= 1 && digests_asked[0] <= 2);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 2, 0)->state);
	writes_are_served();
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	h.replicas[0].refuse_on = 0;
	pass(70);
	CHECK_EQ_U64(2, harness_status(&h).sets[0].in_sync);
}

static void by_policy_a_read_of_what_cannot_be_made_equal_fails_in_time(void)
{
	begin(2);
	refuse_digests(1);
	fail_a_write();
	harness_submit(&h, 1, REQUEST_READ, 0, 2 * MIB, 4096);
	pass(4);
	CHECK_TRUE(h.is_pending[1]);
	/* Neither may leave: both serve what is certain. */
	writes_are_served();
	pass(4);
	CHECK_FALSE(h.is_pending[1]);
	CHECK_ERRNO(-EIO, h.errors[1]);
	pass(20);
	CHECK_TRUE(digests_asked[1] <= 2);
	h.replicas[1].refuse_on = 0;
	pass(61);
	harness_submit(&h, 1, REQUEST_READ, 0, 2 * MIB, 4096);
	pass(2);
	CHECK_FALSE(h.is_pending[1]);
	CHECK_OK(h.errors[1]);
}

/* Attached again in place, and then there is no majority to attach with. */
static void by_policy_requests_fail_in_time_while_their_volume_is_attached_again(void)
{
	begin(1);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	h.replicas[1].is_reachable = h.replicas[2].is_reachable = false;
	h.replicas[0].promised = (struct ballot){7, 77};
	harness_break(&h, 0, LANE_MAIN); /* all connections end when it begins again */
	scene_wait(&h, NS_PER_S);
	scene_wait(&h, NS_PER_S);
	harness_sweep(&h);
	CHECK_TRUE(h.is_pending[0]);
	CHECK_EQ_U64(1, harness_status(&h).reattaches);
	CHECK_EQ_U64(0, h.event_count[EVENT_SUSPENDED]);
	harness_submit(&h, 1, REQUEST_READ, 0, 4096, 4096);
	pass(6);
	CHECK_FALSE(h.is_pending[0]);
	CHECK_ERRNO(-EIO, h.errors[0]);
	CHECK_FALSE(h.is_pending[1]);
	CHECK_ERRNO(-EIO, h.errors[1]);
	h.replicas[1].is_reachable = h.replicas[2].is_reachable = true;
	pass(10);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	writes_are_served();
}

static const struct check_test tests[] = {
	CHECK_TEST(a_replica_that_cannot_be_read_for_its_rejoin_rests_before_it_is_tried_again),
	CHECK_TEST(a_replica_in_sync_that_cannot_be_compared_leaves_and_rests),
	CHECK_TEST(the_last_source_of_a_rejoin_serves_on_though_it_cannot_be_compared),
	CHECK_TEST(by_policy_a_read_of_what_cannot_be_made_equal_fails_in_time),
	CHECK_TEST(by_policy_requests_fail_in_time_while_their_volume_is_attached_again),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_bounds", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
