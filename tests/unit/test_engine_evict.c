/* Writes, evictions and who may come back, as one gateway lives them: R4 and R6 by name. */
#include "tests/unit/engine_scene.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/sample.h"

static struct harness h;
static scene_contents contents[LEG_COUNT_MAX];
static unsigned copies;

/* ---- R4, R6: evict before ack ---- */

static void in_sync_replicas_are_not_stamped(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	CHECK_EQ_INT(0, harness_find(&h, 0, FRAME_WRITE)->frame.flags);
	CHECK_NULL(harness_find(&h, 2, FRAME_WRITE));
}

static void a_lost_replica_is_evicted_before_anything_completes_without_it(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 3 * MIB, 4096);
	scene_answer(&h, 0, FRAME_WRITE);
	scene_answer(&h, 0, FRAME_WRITE);
	/* Durable everywhere: not among what it may lack. */
	h.replicas[2].mute_on = MESSAGE_ACCEPT;
	h.replicas[1].is_reachable = false;
	harness_break(&h, 1, LANE_MAIN);
	harness_pump(&h);
	harness_sweep(&h);
	CHECK_EQ_U64(2, h.pending);
	/* Stamped with the next gen on who is left, and that carried by every write from now on. */
	CHECK_EQ_U64(3, h.replicas[0].stamps[0]);
	CHECK_EQ_U64(0, h.replicas[0].stamps[1]);
	CHECK_EQ_U64(3, h.replicas[0].stamps[3]);
	CHECK_EQ_U64(3, h.replicas[0].config.gen);
	harness_submit(&h, 2, REQUEST_WRITE, 0, 5 * MIB, 4096);
	CHECK_EQ_U64(3, harness_find(&h, 0, FRAME_WRITE)->frame.gen);
	CHECK_EQ_INT(FRAME_F_STAMP, harness_find(&h, 0, FRAME_WRITE)->frame.flags);
	scene_answer(&h, 0, FRAME_WRITE);
	CHECK_EQ_U64(3, h.pending);
	h.replicas[2].mute_on = 0;
	harness_pump(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 2, 1)->state);
	CHECK_EQ_INT(COMPARE_STAMPS, scene_voter(&h, 2, 1)->compare);
	CHECK_EQ_U64(2, scene_voter(&h, 2, 1)->in_sync_gen);
	CHECK_EQ_U64(1, harness_status(&h).evictions);
	CHECK_FALSE(harness_status(&h).sets[0].can_lose_one);
	CHECK_STR("one replica in sync", harness_status(&h).sets[0].why_not);
}

/* P8: what the application waited for the lost one, from the first answer it owed. */
static void an_eviction_says_how_long_its_replica_owed_an_answer(void)
{
	scene_three(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	scene_wait(&h, 2000000000);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 3 * MIB, 4096);
	for (unsigned leg = 0; leg < 2; leg++) {
		scene_answer(&h, leg, FRAME_WRITE);
		scene_answer(&h, leg, FRAME_WRITE);
	}
	CHECK_EQ_U64(2, h.pending);
	scene_wait(&h, h.options.answer_deadline_ns - 2000000000);
	CHECK_EQ_U64(2, h.pending);
	scene_wait(&h, 10000000);
	harness_sweep(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_U64(1, h.event_count[EVENT_EVICTED]);
	CHECK_EQ_U64(h.options.answer_deadline_ns + 10000000, h.last_event[EVENT_EVICTED].duration_ns);
}

static void what_is_durable_on_the_evicted_one_is_not_stamped(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	harness_answer_all(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 3 * MIB, 4096);
	harness_answer_all(&h);
	harness_kill(&h, 1);
	CHECK_EQ_U64(0, h.replicas[0].stamps[0]);
	CHECK_EQ_U64(3, h.replicas[0].stamps[3]);
}

static void a_flush_that_only_the_evicted_one_answered_clears_what_it_may_lack(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	harness_submit(&h, 1, REQUEST_FLUSH, 0, 0, 0);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 2 * MIB, 4096);
	scene_answer(&h, 1, FRAME_FLUSH);
	harness_kill(&h, 1);
	CHECK_EQ_U64(0, h.replicas[0].stamps[0]);
	CHECK_EQ_U64(3, h.replicas[0].stamps[2]);
}

static void a_flush_that_the_evicted_one_has_not_answered_clears_nothing(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	harness_submit(&h, 1, REQUEST_FLUSH, 0, 0, 0);
	scene_answer(&h, 0, FRAME_FLUSH);
	harness_kill(&h, 1);
	CHECK_EQ_U64(3, h.replicas[0].stamps[0]);
}

static void a_flush_does_not_cover_the_writes_that_were_under_way(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_FLUSH, 0, 0, 0);
	scene_answer(&h, 1, FRAME_FLUSH);
	harness_kill(&h, 1);
	CHECK_EQ_U64(3, h.replicas[0].stamps[0]);
}

/* P1: who has not answered it may be the only one that is left later. */
static void a_flush_waits_for_the_eviction_of_who_did_not_answer_it(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	h.replicas[2].mute_on = MESSAGE_ACCEPT;
	scene_answer(&h, 0, FRAME_FLUSH);
	harness_kill(&h, 1);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[2].mute_on = 0;
	harness_pump(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
}

/* No write says that they may differ there, and a FLUSH does not make them equal. */
static void what_was_not_made_equal_yet_is_stamped(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	harness_submit(&h, 0, REQUEST_DISCARD, 0, MIB, 7 * MIB);
	harness_answer(&h, harness_find(&h, 0, FRAME_DISCARD), WIRE_EIO);
	harness_answer(&h, harness_find(&h, 1, FRAME_DISCARD), WIRE_EIO);
	CHECK_ERRNO(-EIO, h.errors[0]);
	harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	harness_answer_all(&h);
	CHECK_OK(h.errors[0]);
	harness_kill(&h, 1);
	CHECK_EQ_U64(0, h.replicas[0].stamps[0]);
	for (unsigned i = 1; i < HARNESS_REGIONS; i++) /* more than are compared at a time */
		CHECK_EQ_U64(3, h.replicas[0].stamps[i]);
}

/* It may be all that is left when it is in sync. */
static void who_is_being_taken_back_is_stamped_as_well(void)
{
	unsigned source;

	scene_three(&h, contents, NULL);
	scene_attach(&h);
	harness_kill(&h, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 3 * MIB, 4096);
	harness_answer_all(&h);
	contents[2][3 * DIGEST_PIECES_MAX] = 7;
	harness_raise(&h, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 5 * MIB, 4096);
	for (unsigned leg = 0; leg < 3; leg++)
		scene_answer(&h, leg, FRAME_WRITE);
	CHECK_EQ_U64(3, h.replicas[2].stamps[5]);
	CHECK_TRUE(harness_status(&h).legs[2].is_syncing); /* its copy is not read yet */
	/* Not its source, or it would look for another, and get that one's stamps. */
	source = harness_find(&h, 0, FRAME_READ) ? 0 : 1;
	harness_kill(&h, 1 - source);
	CHECK_EQ_U64(4, h.replicas[source].stamps[5]);
	CHECK_EQ_U64(4, h.replicas[2].stamps[5]);
}

static void a_discard_is_stamped_while_a_replica_is_out(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_kill(&h, 1);
	harness_submit(&h, 0, REQUEST_DISCARD, 0, 6 * MIB, 2 * MIB);
	harness_answer_all(&h);
	CHECK_OK(h.errors[0]);
	CHECK_EQ_U64(0, h.replicas[0].stamps[5]);
	CHECK_EQ_U64(3, h.replicas[0].stamps[6]);
	CHECK_EQ_U64(3, h.replicas[0].stamps[7]);
}

static void without_a_majority_nothing_is_acknowledged(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_kill(&h, 2);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_kill(&h, 1);
	harness_answer_all(&h);
	scene_wait(&h, 1000000000);
	CHECK_EQ_U64(1, h.pending);
	CHECK_EQ_INT(VOLUME_SUSPENDED, harness_status(&h).state);
	CHECK_STR("no majority of the voters answers", h.last_event_text[EVENT_SUSPENDED]);
	h.replicas[2].is_reachable = true;
	scene_wait(&h, 2000000000);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	CHECK_EQ_U64(1, h.event_count[EVENT_RESUMED]);
}

static void the_evicted_ones_vote_counts(void)
{
	scene_three(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	/* Both servers restarted: without one of their votes neither can be evicted. */
	h.replicas[1].incarnation = h.replicas[2].incarnation = 999;
	harness_break(&h, 1, LANE_MAIN);
	harness_break(&h, 2, LANE_MAIN);
	harness_pump(&h);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	scene_wait(&h, h.options.reconnect_ns);
	harness_answer_all(&h);
	harness_pump(&h);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_U64(2, h.event_count[EVENT_EVICTED]);
}

static void a_gateway_turns_round_when_the_survivor_of_an_eviction_dies(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	h.replicas[2].mute_on = MESSAGE_ACCEPT;
	harness_kill(&h, 1);
	/* The config without 1 is proposed, known to 0 alone; then 0 is lost, and 1 is back with its memory. */
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	harness_kill(&h, 0);
	harness_sweep(&h);
	h.replicas[2].mute_on = 0;
	harness_pump(&h);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[1].is_reachable = true;
	scene_wait(&h, 2000000000);
	/* The witness made the old proposal chosen meanwhile: only its member may serve. */
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[0].is_reachable = true;
	scene_wait(&h, 4000000000ull);
	scene_wait(&h, 1000000000ull);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void a_lost_member_is_let_back_while_no_config_without_it_is_chosen(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	h.replicas[2].is_silent = true;
	harness_kill(&h, 1);
	harness_kill(&h, 0);
	harness_sweep(&h);
	h.replicas[1].is_reachable = true;
	h.replicas[2].is_silent = false;
	/* What was asked of the witness is lost with its connection. */
	harness_break(&h, 2, LANE_MAIN);
	harness_pump(&h);
	scene_wait(&h, 2000000000);
	scene_wait(&h, 1000000000);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 2, 1)->state);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 2, 0)->state);
}

static void fewer_than_min_in_sync_suspend_instead_of_evicting(void)
{
	struct engine_options options = harness_options();

	options.min_in_sync = 2;
	scene_pair(&h, contents, &options);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_kill(&h, 1);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	CHECK_EQ_U64(2, h.replicas[0].config.gen);
	CHECK_EQ_INT(VOLUME_SUSPENDED, harness_status(&h).state);
	harness_raise(&h, 1);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

/* What it stored before it restarted no list tells any more: with the other one's, which never had it, a successor
 * would find nothing to compare. Simulator's seed 9018. */
static void who_lost_its_list_and_came_back_before_another_is_not_named_as_one_that_has_it(void)
{
	struct engine_options options = harness_options();

	options.min_in_sync = 2;
	scene_pair(&h, contents, &options);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	scene_answer(&h, 0, FRAME_WRITE);
	harness_kill(&h, 1);
	harness_kill(&h, 0);
	h.replicas[0].incarnation++;
	h.replicas[0].is_reachable = true;
	scene_wait(&h, 2000000000);
	CHECK_EQ_INT(LEG_UP, harness_status(&h).legs[0].state);
	h.replicas[1].is_reachable = true;
	scene_wait(&h, 2000000000);
	CHECK_EQ_INT(LEG_UP, harness_status(&h).legs[1].state);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 2, 0)->state);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 2, 1)->state);
	CHECK_EQ_U64(h.replicas[0].incarnation - 1, scene_voter(&h, 2, 0)->incarnation);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	/* Its successor takes it back by comparing everything. */
	options = h.options;
	options.nonce++;
	options.min_in_sync = 1;
	harness_restart(&h, &options);
	scene_attach(&h);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 2, 0)->state);
	CHECK_EQ_INT(COMPARE_EVERYTHING, scene_voter(&h, 2, 0)->compare);
}

static void wait_until_it_is(unsigned leg, enum leg_state state)
{
	for (unsigned i = 0; i < 20 && harness_status(&h).legs[leg].state != state; i++)
		scene_wait(&h, 100000000);
	CHECK_EQ_INT(state, harness_status(&h).legs[leg].state);
}

/* R5: its machine lost what it had acknowledged, and the other acknowledgement comes before its new session is open. */
static void what_a_restarted_machine_acknowledged_counts_no_more_while_its_session_opens(void)
{
	struct engine_options options = harness_options();

	options.min_in_sync = 2; /* so that it is not evicted meanwhile */
	scene_pair(&h, contents, &options);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	scene_answer(&h, 0, FRAME_WRITE);
	harness_kill(&h, 1);
	harness_kill(&h, 0);
	harness_sweep(&h);
	h.replicas[0].incarnation++;
	h.replicas[0].boot_id = sample_uuid(200);
	h.replicas[0].mute_on = MESSAGE_OPEN;
	h.replicas[0].is_reachable = true;
	wait_until_it_is(0, LEG_VOTING);
	h.replicas[1].is_reachable = true;
	wait_until_it_is(1, LEG_UP);
	CHECK_EQ_INT(LEG_VOTING, harness_status(&h).legs[0].state);
	scene_answer(&h, 1, FRAME_WRITE);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[0].mute_on = 0;
	harness_pump(&h);
	CHECK_EQ_U64(1, h.pending);
	scene_answer(&h, 0, FRAME_WRITE);
	CHECK_EQ_U64(0, h.pending);
}

static void alone_it_is_named_as_it_is(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_kill(&h, 1);
	harness_kill(&h, 0);
	h.replicas[0].incarnation++;
	h.replicas[0].is_reachable = true;
	scene_wait(&h, 4000000000);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 2, 0)->state);
	CHECK_EQ_U64(h.replicas[0].incarnation, scene_voter(&h, 2, 0)->incarnation);
}

static void below_min_in_sync_a_rejoin_does_not_wait_for_the_writes_that_wait_for_it(void)
{
	struct engine_options options = harness_options();

	options.min_in_sync = 2;
	scene_pair(&h, contents, &options);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 0, 8192);
	harness_kill(&h, 1);
	h.replicas[1].incarnation++;
	h.replicas[1].is_reachable = true;
	for (unsigned i = 0; i < 20; i++) {
		scene_wait(&h, 1000000000);
		harness_answer_all(&h);
	}
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 0)->state);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

/* R6: beside one that kept its list it would be named as one that has everything. */
static void below_min_in_sync_who_lost_its_list_comes_back_by_a_rejoin(void)
{
	struct engine_options options = harness_options();

	options.min_in_sync = 2;
	scene_pair(&h, contents, &options);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_kill(&h, 1);
	h.replicas[1].incarnation++;
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	h.replicas[1].is_reachable = true;
	for (unsigned i = 0; i < 10; i++)
		scene_wait(&h, 200000000);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_TRUE(harness_status(&h).legs[1].is_syncing);
	CHECK_EQ_U64(1, h.event_count[EVENT_REJOINING]);
}

static void count_copies(struct harness *harness, const struct harness_sent *sent)
{
	(void)harness;
	copies += sent->frame.type == FRAME_READ; /* the application reads nothing in this test */
}

/* The joiner has what the only source refused: a copy would take it away (simulator's seed 56127). */
static void below_min_in_sync_a_copy_does_not_pass_a_write_that_its_source_refused(void)
{
	struct engine_options options = harness_options();

	options.min_in_sync = 2;
	scene_three(&h, contents, &options);
	h.on_sent = count_copies;
	scene_attach(&h);
	harness_kill(&h, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	scene_wait(&h, 1000000000);
	CHECK_OK(h.errors[0]);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 2)->state);
	harness_kill(&h, 1);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer(&h, harness_find(&h, 0, FRAME_WRITE), WIRE_EIO);
	contents[2][0] = 7;
	h.replicas[2].is_reachable = true;
	copies = 0;
	for (unsigned i = 0; i < 10; i++) {
		scene_wait(&h, 100000000);
		if (harness_find(&h, 2, FRAME_WRITE))
			scene_answer(&h, 2, FRAME_WRITE);
	}
	CHECK_EQ_U64(1, h.event_count[EVENT_REJOINING]);
	CHECK_EQ_U64(0, copies);
	CHECK_EQ_U64(1, h.pending);
	/* The other source has it. */
	h.replicas[1].is_reachable = true;
	for (unsigned i = 0; i < 20; i++) {
		scene_wait(&h, 1000000000);
		harness_answer_all(&h);
	}
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
}

static void a_read_that_failed_on_the_only_one_left_in_sync_fails(void)
{
	struct harness_sent *sent;
	unsigned failed;

	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	failed = harness_find(&h, 0, FRAME_READ) ? 0 : 1;
	sent = harness_find(&h, failed, FRAME_READ);
	harness_answer(&h, sent, WIRE_EIO);
	CHECK_NOT_NULL(harness_find(&h, 1 - failed, FRAME_READ));
	harness_kill(&h, 1 - failed);
	scene_wait(&h, 1000000000);
	CHECK_EQ_U64(0, h.pending);
	CHECK_ERRNO(-EIO, h.errors[0]);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, failed, 1 - failed)->state);
}

/* The older proposal, without the one that has a session again, turns out to be chosen. */
static void who_was_let_back_before_its_eviction_was_known_rejoins(void)
{
	struct engine_options options = harness_options();

	options.sync_interval_ns = UINT64_MAX;
	scene_pair(&h, contents, &options);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096); /* to be stamped */
	harness_answer_all(&h);
	h.replicas[2].mute_on = MESSAGE_ACCEPT;
	harness_kill(&h, 1);
	scene_wait(&h, 100000000);
	harness_kill(&h, 0);
	h.replicas[1].mute_on = MESSAGE_STAMP;
	h.replicas[1].is_reachable = true;
	scene_wait(&h, 500000000);
	CHECK_EQ_INT(LEG_UP, harness_status(&h).legs[1].state);
	/* The witness had stored it; its answer was lost with its connection. */
	h.replicas[2].mute_on = 0;
	h.replicas[2].config = h.replicas[0].config;
	harness_break(&h, 2, LANE_MAIN);
	scene_wait(&h, 500000000);
	CHECK_FALSE(harness_status(&h).legs[1].is_in_sync);
	h.replicas[1].mute_on = 0;
	h.replicas[0].is_reachable = true;
	for (unsigned i = 0; i < 20; i++) {
		scene_wait(&h, 500000000);
		harness_answer_all(&h);
	}
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 2, 0)->state);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 2, 1)->state);
}

static const struct check_test tests[] = {
	CHECK_TEST(in_sync_replicas_are_not_stamped),
	CHECK_TEST(a_lost_replica_is_evicted_before_anything_completes_without_it),
	CHECK_TEST(an_eviction_says_how_long_its_replica_owed_an_answer),
	CHECK_TEST(what_is_durable_on_the_evicted_one_is_not_stamped),
	CHECK_TEST(a_flush_that_only_the_evicted_one_answered_clears_what_it_may_lack),
	CHECK_TEST(a_flush_that_the_evicted_one_has_not_answered_clears_nothing),
	CHECK_TEST(a_flush_does_not_cover_the_writes_that_were_under_way),
	CHECK_TEST(a_flush_waits_for_the_eviction_of_who_did_not_answer_it),
	CHECK_TEST(what_was_not_made_equal_yet_is_stamped),
	CHECK_TEST(who_is_being_taken_back_is_stamped_as_well),
	CHECK_TEST(a_discard_is_stamped_while_a_replica_is_out),
	CHECK_TEST(without_a_majority_nothing_is_acknowledged),
	CHECK_TEST(the_evicted_ones_vote_counts),
	CHECK_TEST(a_gateway_turns_round_when_the_survivor_of_an_eviction_dies),
	CHECK_TEST(a_lost_member_is_let_back_while_no_config_without_it_is_chosen),
	CHECK_TEST(fewer_than_min_in_sync_suspend_instead_of_evicting),
	CHECK_TEST(a_read_that_failed_on_the_only_one_left_in_sync_fails),
	CHECK_TEST(who_was_let_back_before_its_eviction_was_known_rejoins),
	CHECK_TEST(who_lost_its_list_and_came_back_before_another_is_not_named_as_one_that_has_it),
	CHECK_TEST(what_a_restarted_machine_acknowledged_counts_no_more_while_its_session_opens),
	CHECK_TEST(alone_it_is_named_as_it_is),
	CHECK_TEST(below_min_in_sync_a_copy_does_not_pass_a_write_that_its_source_refused),
	CHECK_TEST(below_min_in_sync_a_rejoin_does_not_wait_for_the_writes_that_wait_for_it),
	CHECK_TEST(below_min_in_sync_who_lost_its_list_comes_back_by_a_rejoin),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_evict", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
