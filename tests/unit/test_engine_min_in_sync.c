/* An attach that finds fewer in sync than the volume's policy asks for: who is waited for, and who only comes back when
 * somebody has attached. */
#include "tests/unit/engine_scene.h"

#include "tests/unit/check.h"

static struct harness h;
static scene_contents contents[LEG_COUNT_MAX];

static void two_were_in_sync_and_must_be(void)
{
	struct engine_options options = harness_options();

	options.min_in_sync = 2;
	scene_pair(&h, contents, &options);
	scene_was_attached(&h, 3);
}

static void wait_for_the_rejoin(void)
{
	for (unsigned i = 0; i < 20; i++) {
		scene_wait(&h, 1000000000);
		harness_answer_all(&h);
	}
}

static void below_min_in_sync_it_attaches_when_those_that_lost_their_memory_are_there(void)
{
	two_were_in_sync_and_must_be();
	h.replicas[1].incarnation++;
	scene_attach(&h);
	CHECK_EQ_U64(1, h.attached_count);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	wait_for_the_rejoin();
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

static void below_min_in_sync_it_attaches_when_a_new_directory_is_there(void)
{
	two_were_in_sync_and_must_be();
	harness_replace(&h, 1);
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_U64(1, h.attached_count);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	wait_for_the_rejoin();
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

static void below_min_in_sync_nothing_is_acknowledged_until_the_others_are_back(void)
{
	two_were_in_sync_and_must_be();
	h.replicas[1].incarnation++;
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 7 * MIB, 4096); /* where no copy is under way */
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[1].mute_on = 0;
	wait_for_the_rejoin();
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
}

static const struct check_test tests[] = {
	CHECK_TEST(below_min_in_sync_it_attaches_when_those_that_lost_their_memory_are_there),
	CHECK_TEST(below_min_in_sync_it_attaches_when_a_new_directory_is_there),
	CHECK_TEST(below_min_in_sync_nothing_is_acknowledged_until_the_others_are_back),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_min_in_sync", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
