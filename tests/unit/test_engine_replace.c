/* A replica whose directory was lost: its new one has no vote until the others have chosen so, and the old one none
 * after that. */
#include "tests/unit/engine_scene.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"

static struct harness h;
static scene_contents contents[LEG_COUNT_MAX];

static void quiet_options(struct engine_options *ret)
{
	*ret = harness_options();
	ret->sync_interval_ns = UINT64_MAX;
}

static void three(void)
{
	struct engine_options options;

	quiet_options(&options);
	scene_three(&h, contents, &options);
}

static void pair(void)
{
	struct engine_options options;

	quiet_options(&options);
	scene_pair(&h, contents, &options);
}

/* Time for connections, a rejoin and what it asks. */
static void settle(void)
{
	for (unsigned i = 0; i < 12; i++) {
		harness_answer_all(&h);
		scene_wait(&h, 500000000);
	}
}

static unsigned waiting_seeds(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < h.message_count; i++)
		count += h.messages[i].kind == MESSAGE_SEED;
	return count;
}

static void a_lost_directory_is_evicted_given_its_vote_and_copied_in_full(void)
{
	three();
	scene_attach(&h);
	contents[0][3] = contents[2][3] = 7;
	harness_replace(&h, 1);
	settle();
	CHECK_EQ_U64(1, h.replicas[1].seeds);
	CHECK_EQ_U64(1, h.event_count[EVENT_EVICTED]);
	CHECK_EQ_U64(1, h.event_count[EVENT_REPLACED]);
	CHECK_STR_HAS("compared in full", h.last_event_text[EVENT_REJOINING]);
	CHECK_STR_HAS("8388608 bytes compared, 65536 copied", h.last_event_text[EVENT_REJOINED]);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_U64(h.replicas[1].life, scene_voter(&h, 0, 1)->life);
	CHECK_TRUE(h.replicas[1].life != 0);
	CHECK_TRUE(harness_status(&h).sets[0].can_lose_one);
}

static void the_config_that_names_it_has_it_out_with_everything(void)
{
	three();
	scene_attach(&h);
	h.replicas[1].mute_on = MESSAGE_SEED;
	harness_replace(&h, 1);
	settle();
	CHECK_EQ_U64(0, h.replicas[1].seeds);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_INT(COMPARE_EVERYTHING, scene_voter(&h, 0, 1)->compare);
	CHECK_EQ_U64(0, scene_voter(&h, 0, 1)->in_sync_gen);
	CHECK_EQ_U64(0, scene_voter(&h, 0, 1)->incarnation);
	CHECK_TRUE(scene_voter(&h, 2, 1)->life != 0);
}

static void a_lost_witness_is_given_its_vote_and_no_data(void)
{
	pair();
	scene_attach(&h);
	harness_replace(&h, 2);
	settle();
	CHECK_EQ_U64(1, h.replicas[2].seeds);
	CHECK_EQ_U64(1, h.event_count[EVENT_REPLACED]);
	CHECK_EQ_U64(0, h.event_count[EVENT_REJOINING]);
	CHECK_EQ_U64(0, h.event_count[EVENT_EVICTED]);
	CHECK_EQ_U64(h.replicas[2].life, scene_voter(&h, 0, 2)->life);
	CHECK_EQ_U64(3, harness_status(&h).sets[0].voting);
	CHECK_TRUE(harness_status(&h).sets[0].can_lose_one);
}

static void no_seed_leaves_before_a_majority_without_it_has_chosen_it(void)
{
	three();
	scene_attach(&h);
	h.replicas[1].mute_on = MESSAGE_CLAIM;
	harness_replace(&h, 1);
	for (unsigned i = 0; i < 30 && scene_voter(&h, 2, 1)->state == VOTER_IN; i++)
		scene_wait(&h, 100000000);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 2, 1)->state); /* evicted first */
	h.replicas[2].mute_on = MESSAGE_ACCEPT;
	h.replicas[1].mute_on = 0;
	for (unsigned i = 0; i < 30 && scene_voter(&h, 0, 1)->life == 0; i++)
		scene_wait(&h, 100000000);
	CHECK_TRUE(scene_voter(&h, 0, 1)->life != 0); /* proposed, and stored by one of the other two */
	CHECK_EQ_U64(0, scene_voter(&h, 2, 1)->life);
	scene_wait(&h, 100000000);
	CHECK_EQ_U64(0, h.replicas[1].seeds);
	h.replicas[2].mute_on = 0;
	settle();
	CHECK_EQ_U64(1, h.replicas[1].seeds);
}

static void one_of_two_that_is_left_is_no_majority_and_nothing_is_seeded(void)
{
	three();
	scene_attach(&h);
	harness_kill(&h, 2);
	settle();
	harness_replace(&h, 1);
	settle();
	CHECK_EQ_U64(0, h.replicas[1].seeds);
	CHECK_TRUE(h.replicas[1].is_blank);
	CHECK_EQ_INT(VOLUME_SUSPENDED, harness_status(&h).state);
	h.replicas[2].is_reachable = true;
	settle();
	settle();
	CHECK_EQ_U64(1, h.replicas[1].seeds);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

static void the_last_replica_in_sync_is_not_replaced(void)
{
	pair();
	scene_attach(&h);
	harness_kill(&h, 1);
	settle();
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	harness_replace(&h, 0);
	h.replicas[1].is_reachable = true;
	settle();
	CHECK_EQ_U64(0, h.replicas[0].seeds);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 1, 0)->state);
	CHECK_EQ_INT(VOLUME_SUSPENDED, harness_status(&h).state);
}

static void min_in_sync_does_not_keep_a_lost_directory_in(void)
{
	struct engine_options options;

	quiet_options(&options);
	options.min_in_sync = 2;
	scene_pair(&h, contents, &options);
	scene_attach(&h);
	harness_replace(&h, 1);
	settle();
	CHECK_EQ_U64(1, h.replicas[1].seeds);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
}

static void an_attach_does_without_a_blank_replica_and_gives_it_its_vote(void)
{
	three();
	scene_was_attached(&h, 7);
	harness_replace(&h, 1);
	scene_attach(&h);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_OK(h.attached_error);
	settle();
	CHECK_EQ_U64(1, h.replicas[1].seeds);
	CHECK_EQ_U64(4, h.replicas[1].life >> 32); /* the epoch after theirs */
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

static void two_blank_voters_of_three_are_no_majority(void)
{
	struct engine_options options;

	quiet_options(&options);
	options.attach_limit_ns = 3000000000ull;
	scene_three(&h, contents, &options);
	scene_was_attached(&h, 7);
	harness_replace(&h, 1);
	harness_replace(&h, 2);
	scene_attach(&h);
	settle();
	CHECK_ERRNO(-EHOSTUNREACH, h.attached_error);
	CHECK_STR_HAS("majority", h.attached_text);
	CHECK_STR_HAS(", blank)", h.attached_text);
	CHECK_EQ_U64(0, h.replicas[1].seeds + h.replicas[2].seeds);
}

/* The one before it, from a backup or another place. */
static void bring_back(unsigned leg, const struct harness_replica *old)
{
	if (h.lanes[leg][LANE_MAIN].state != HARNESS_CLOSED)
		harness_kill(&h, leg);
	h.replicas[leg].config = old->config;
	h.replicas[leg].promised = old->promised;
	h.replicas[leg].life = old->life;
	h.replicas[leg].is_blank = false;
	h.replicas[leg].is_reachable = true;
}

static void the_old_directory_is_refused_by_name_when_it_comes_back(void)
{
	struct harness_replica old;
	uint32_t gen;

	three();
	scene_attach(&h);
	old = h.replicas[1];
	harness_replace(&h, 1);
	settle();
	CHECK_EQ_U64(1, h.replicas[1].seeds);
	gen = h.replicas[0].config.gen;
	bring_back(1, &old);
	settle();
	CHECK_STR_HAS("was replaced", harness_status(&h).legs[1].last_error);
	CHECK_EQ_U64(2, harness_status(&h).sets[0].voting);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_U64(gen + 1, h.replicas[0].config.gen);
	CHECK_EQ_U64(old.config.gen, h.replicas[1].config.gen);
}

static void an_attach_counts_no_directory_that_was_replaced(void)
{
	struct engine_options options = harness_options();
	struct harness_replica old;

	three();
	scene_attach(&h);
	old = h.replicas[1];
	harness_replace(&h, 1);
	settle();
	h.replicas[2].is_reachable = false;
	options.nonce = 78;
	options.attach_limit_ns = 3000000000ull;
	harness_restart(&h, &options);
	bring_back(1, &old);
	scene_attach(&h);
	settle();
	CHECK_TRUE(h.attached_error != 0);
	CHECK_STR_HAS("replaced by another directory", h.attached_text);
	CHECK_STR_HAS("majority", h.attached_text);
	CHECK_EQ_U64(old.promised.epoch, h.replicas[1].promised.epoch);
}

static void what_is_lost_again_is_given_another_life(void)
{
	uint64_t first;

	three();
	scene_attach(&h);
	harness_replace(&h, 1);
	settle();
	first = h.replicas[1].life;
	harness_replace(&h, 1);
	settle();
	CHECK_EQ_U64(2, h.replicas[1].seeds);
	CHECK_TRUE(h.replicas[1].life > first);
	CHECK_EQ_U64(h.replicas[1].life, scene_voter(&h, 2, 1)->life);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 2, 1)->state);
}

/* Whether it has its vote is not known to anybody: it is asked, and named anew if it has none. */
static void a_seed_without_an_answer_is_followed_by_another_life(void)
{
	uint64_t named;

	three();
	scene_attach(&h);
	h.replicas[1].mute_on = MESSAGE_SEED;
	harness_replace(&h, 1);
	for (unsigned i = 0; i < 20 && waiting_seeds() == 0; i++)
		scene_wait(&h, 100000000);
	CHECK_EQ_U64(1, waiting_seeds());
	named = scene_voter(&h, 0, 1)->life;
	h.replicas[1].mute_on = 0;
	harness_kill(&h, 1);
	h.replicas[1].is_reachable = true;
	settle();
	CHECK_EQ_U64(1, h.replicas[1].seeds);
	CHECK_TRUE(h.replicas[1].life > named);
	CHECK_EQ_U64(h.replicas[1].life, scene_voter(&h, 0, 1)->life);
}

static void a_forced_attach_does_not_go_on_with_a_directory_that_was_never_in_sync(void)
{
	struct engine_options options = harness_options();

	pair();
	scene_was_attached(&h, 1); /* replica 0 alone is in sync, replica 1 has a new directory */
	for (unsigned i = 0; i < 3; i++) {
		struct voter *voter = &h.replicas[i].config.voters[1];

		voter->in_sync_gen = 0;
		voter->compare = COMPARE_EVERYTHING;
	}
	options.accepts_loss = true;
	options.accepted_epoch = 3;
	options.attach_limit_ns = 3000000000ull;
	harness_restart(&h, &options);
	h.replicas[0].is_reachable = false;
	scene_attach(&h);
	settle();
	CHECK_TRUE(h.attached_error != 0);
	CHECK_STR_HAS("no replica in sync", h.attached_text);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_lost_directory_is_evicted_given_its_vote_and_copied_in_full),
	CHECK_TEST(the_config_that_names_it_has_it_out_with_everything),
	CHECK_TEST(a_lost_witness_is_given_its_vote_and_no_data),
	CHECK_TEST(no_seed_leaves_before_a_majority_without_it_has_chosen_it),
	CHECK_TEST(one_of_two_that_is_left_is_no_majority_and_nothing_is_seeded),
	CHECK_TEST(the_last_replica_in_sync_is_not_replaced),
	CHECK_TEST(min_in_sync_does_not_keep_a_lost_directory_in),
	CHECK_TEST(an_attach_does_without_a_blank_replica_and_gives_it_its_vote),
	CHECK_TEST(two_blank_voters_of_three_are_no_majority),
	CHECK_TEST(the_old_directory_is_refused_by_name_when_it_comes_back),
	CHECK_TEST(an_attach_counts_no_directory_that_was_replaced),
	CHECK_TEST(what_is_lost_again_is_given_another_life),
	CHECK_TEST(a_seed_without_an_answer_is_followed_by_another_life),
	CHECK_TEST(a_forced_attach_does_not_go_on_with_a_directory_that_was_never_in_sync),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_replace", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
