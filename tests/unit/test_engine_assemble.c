/* From the first answer to a chosen config, as one gateway lives it: R1 to R3 by name. */
#include "tests/unit/engine_scene.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/sample.h"

static struct harness h;
static scene_contents contents[LEG_COUNT_MAX];

/* ---- R1, R2, R3: attach ---- */

static void an_attach_without_majority_is_refused_after_a_while_naming_who_is_missing(void)
{
	struct engine_options options = harness_options();

	options.attach_limit_ns = 20000000000ull;
	scene_three(&h, contents, &options);
	h.replicas[1].is_reachable = h.replicas[2].is_reachable = false;
	scene_attach(&h);
	for (unsigned i = 0; i < 19; i++)
		scene_wait(&h, 1000000000);
	CHECK_EQ_U64(0, h.attached_count);
	scene_wait(&h, 2000000000);
	CHECK_ERRNO(-EHOSTUNREACH, h.attached_error);
	CHECK_STR("volume vol, set 0: 1 of 3 voters answer, a majority is needed; missing: r1 (10.0.0.2:7420), r2 "
		  "(10.0.0.3:7420)",
		  h.attached_text);
	CHECK_EQ_U64(0, h.replicas[0].promised.epoch);
}

static void an_absent_replica_goes_out_with_its_list_and_what_was_unstable_is_stamped_and_synced(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[0].list[2] = h.replicas[0].list[3] = h.replicas[0].list[7] = true;
	h.replicas[1].is_reachable = false;
	scene_attach(&h);
	CHECK_EQ_U64(0, h.attached_count);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_U64(6, h.replicas[0].config.gen);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_INT(COMPARE_ITS_LIST, scene_voter(&h, 2, 1)->compare);
	CHECK_EQ_U64(101, scene_voter(&h, 2, 1)->incarnation);
	CHECK_EQ_U64(5, scene_voter(&h, 0, 1)->in_sync_gen);
	CHECK_EQ_U64(0, h.replicas[0].stamps[1]);
	CHECK_EQ_U64(6, h.replicas[0].stamps[2]);
	CHECK_EQ_U64(6, h.replicas[0].stamps[7]);
	CHECK_EQ_U64(1, h.replicas[0].syncs);
}

/* R3.5: one that is lost before is not evicted from it, but absent from another attach. */
static void a_config_that_a_counted_replica_has_not_stored_is_not_chosen(void)
{
	scene_three(&h, contents, NULL);
	scene_was_attached(&h, 7);
	h.replicas[2].mute_on = MESSAGE_ACCEPT;
	scene_attach(&h);
	CHECK_EQ_U64(1, h.replicas[0].accepts);
	CHECK_EQ_U64(1, h.replicas[1].accepts);
	harness_kill(&h, 2);
	for (unsigned i = 0; i < 30 && h.attached_count == 0; i++)
		scene_wait(&h, 1000000000);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_OK(h.attached_error);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 2)->state);
	CHECK_EQ_INT(COMPARE_ITS_LIST, scene_voter(&h, 0, 2)->compare);
	CHECK_EQ_U64(1, harness_status(&h).reattaches);
}

/* R2: what it is counted for is gone, and that must be in the config. */
static void a_counted_replica_that_loses_power_during_the_attach_is_looked_at_anew(void)
{
	struct volume_spec spec = harness_spec(1, 1);

	scene_make(&h, contents, &spec, NULL);
	scene_was_attached(&h, 1);
	h.replicas[0].mute_on = MESSAGE_LIST_REGIONS;
	scene_attach(&h);
	CHECK_EQ_U64(0, h.attached_count);
	harness_kill(&h, 0);
	h.replicas[0].incarnation++;
	h.replicas[0].boot_id = sample_uuid(222);
	h.replicas[0].mute_on = 0;
	h.replicas[0].is_reachable = true;
	for (unsigned i = 0; i < 10 && h.attached_count == 0; i++)
		scene_wait(&h, 200000000);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_OK(h.attached_error);
	CHECK_EQ_U64(1, h.replicas[0].config.loss_count);
	CHECK_EQ_U64(1, h.event_count[EVENT_LOSS_RECORDED]);
}

static void a_list_that_overflowed_makes_everything_uncertain_and_stamped(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[0].list_is_everything = true;
	h.replicas[1].is_reachable = false;
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_U64(6, h.replicas[0].stamps[0]);
	CHECK_EQ_U64(6, h.replicas[0].stamps[HARNESS_REGIONS - 1]);
}

static void a_replica_that_restarted_goes_out_with_everything_if_another_did_not(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[1].incarnation = 999;
	scene_attach(&h);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_INT(COMPARE_EVERYTHING, scene_voter(&h, 0, 1)->compare);
	CHECK_TRUE(harness_status(&h).legs[1].is_syncing);
	CHECK_EQ_U64(0, h.replicas[0].config.loss_count);
}

static void if_all_lost_power_all_are_needed_and_nobody_knows_what_is_equal(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[0].incarnation = h.replicas[1].incarnation = 999;
	h.replicas[0].boot_id = h.replicas[1].boot_id = sample_uuid(222);
	h.replicas[1].is_reachable = false;
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_U64(0, h.attached_count);
	h.replicas[1].is_reachable = true;
	scene_wait(&h, 2000000000);
	scene_wait(&h, 2000000000);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 0)->state);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_U64(1, h.replicas[0].config.loss_count);
	CHECK_EQ_U64(1, h.event_count[EVENT_RECONCILING]);
	CHECK_STR_HAS("8 regions", h.last_event_text[EVENT_RECONCILING]);
	CHECK_EQ_U64(1, h.event_count[EVENT_RECONCILED]);
	/* Only now the config names the processes of today. */
	CHECK_EQ_U64(7, h.replicas[0].config.gen);
	CHECK_EQ_U64(999, scene_voter(&h, 2, 0)->incarnation);
}

static void a_successor_starts_over_when_a_gateway_dies_while_nobody_knew_what_was_equal(void)
{
	struct engine_options options;

	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[0].incarnation = h.replicas[1].incarnation = 999;
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	scene_attach(&h);
	CHECK_EQ_U64(8 * MIB, harness_status(&h).sets[0].uncertain_bytes);
	options = h.options;
	options.nonce++;
	harness_restart(&h, &options);
	scene_attach(&h);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_U64(8 * MIB, harness_status(&h).sets[0].uncertain_bytes);
	CHECK_EQ_U64(0, h.replicas[0].config.loss_count);
}

static void those_long_out_are_compared_in_full_when_the_rest_lost_power(void)
{
	scene_three(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[0].boot_id = h.replicas[1].boot_id = sample_uuid(222);
	h.replicas[2].is_reachable = false;
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 2)->state);
	CHECK_EQ_INT(COMPARE_EVERYTHING, scene_voter(&h, 0, 2)->compare);
	CHECK_EQ_U64(3, scene_voter(&h, 0, 2)->in_sync_gen);
}

/* Everything that completed is in its page cache. What was under way is known to nobody, and the absent one's own list
 * says nothing of what only the other had. */
static void if_all_restarted_those_on_the_same_boot_will_do(void)
{
	scene_three(&h, contents, NULL);
	scene_was_attached(&h, 7);
	h.replicas[0].incarnation = h.replicas[1].incarnation = 999;
	h.replicas[2].is_reachable = false;
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 0)->state);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 2)->state);
	CHECK_EQ_INT(COMPARE_EVERYTHING, scene_voter(&h, 0, 2)->compare);
	CHECK_EQ_U64(0, h.replicas[0].config.loss_count);
	CHECK_STR_HAS("8 regions", h.last_event_text[EVENT_RECONCILING]);
}

static void and_one_that_lost_power_goes_out_beside_them_without_a_loss(void)
{
	scene_three(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[0].config.voters[2].state = h.replicas[1].config.voters[2].state = VOTER_OUT;
	h.replicas[0].incarnation = 999;
	h.replicas[1].boot_id = sample_uuid(222);
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 0)->state);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_INT(COMPARE_EVERYTHING, scene_voter(&h, 0, 1)->compare);
	CHECK_EQ_U64(0, h.replicas[0].config.loss_count);
	/* What it lacks is stamped on the one that lost nothing. */
	CHECK_EQ_INT(COMPARE_STAMPS, scene_voter(&h, 0, 2)->compare);
}

static void the_highest_config_of_a_majority_is_adopted(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	/* The witness alone knows that replica 1 was evicted. */
	h.replicas[2].config.gen = 6;
	h.replicas[2].config.voters[1].state = VOTER_OUT;
	scene_attach(&h);
	CHECK_EQ_U64(7, h.replicas[0].config.gen);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_U64(5, scene_voter(&h, 0, 1)->in_sync_gen);
}

static void the_first_acknowledgement_waits_out_the_longest_lease(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[2].lease_left_ms = 2500;
	scene_attach(&h);
	CHECK_EQ_U64(1, h.attached_count);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	scene_wait(&h, 2499000000ull);
	CHECK_EQ_U64(1, h.pending);
	scene_wait(&h, 1000000);
	CHECK_EQ_U64(0, h.pending);
}

static void a_predecessor_that_is_proven_dead_leaves_no_lease_to_wait_for(void)
{
	struct engine_options options = harness_options();

	options.predecessor_nonce = 33;
	scene_pair(&h, contents, &options);
	scene_was_attached(&h, 3);
	h.replicas[2].lease_left_ms = 2500;
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void a_volume_that_was_never_attached_has_no_lease_to_wait_for(void)
{
	scene_pair(&h, contents, NULL);
	/* Its servers have just started, and cannot know what they granted before. */
	for (unsigned i = 0; i < 3; i++)
		h.replicas[i].lease_left_ms = 3000;
	scene_attach(&h);
	CHECK_TRUE(engine_outlived_leases(h.engine));
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

/* Its own lease is none to wait for; that of the gateway before it may still be running. */
static void a_gateway_that_attaches_again_in_place_still_waits_out_the_lease_before_it(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[2].lease_left_ms = 2500;
	scene_attach(&h);
	CHECK_FALSE(engine_outlived_leases(h.engine));
	h.replicas[1].promised = (struct ballot){9, 99};
	harness_break(&h, 1, LANE_MAIN);
	for (unsigned i = 0; i < 5; i++)
		scene_wait(&h, 100000000);
	CHECK_EQ_U64(1, harness_status(&h).reattaches);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	scene_wait(&h, 1999000000);
	CHECK_EQ_U64(1, h.pending);
	scene_wait(&h, 2000000);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_TRUE(engine_outlived_leases(h.engine));
}

static void a_read_of_an_uncertain_region_waits_until_it_was_made_equal(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[1].list[3] = h.replicas[1].list[5] = true;
	contents[0][3 * DIGEST_PIECES_MAX + 4] = 7;
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	scene_attach(&h);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_U64(2 * MIB, harness_status(&h).sets[0].uncertain_bytes);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_READ, 0, 3 * MIB, 4096);
	harness_submit(&h, 2, REQUEST_WRITE, 0, 6 * MIB, 4096);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[1].mute_on = 0;
	harness_pump(&h);
	/* One piece differs: read from one, written to the other, with its stamp. */
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	for (unsigned leg = 0; leg < 2; leg++) {
		struct harness_sent *sent = harness_find(&h, leg, FRAME_READ);

		if (!sent)
			continue;
		CHECK_EQ_U64(3 * MIB + 4 * DIGEST_PIECE_BYTES, sent->frame.offset);
		CHECK_EQ_U64(DIGEST_PIECE_BYTES, sent->frame.length);
		harness_answer(&h, sent, WIRE_OK);
		sent = harness_find(&h, 1 - leg, FRAME_WRITE);
		CHECK_EQ_INT(FRAME_F_COPY | FRAME_F_STAMP, sent->frame.flags);
		CHECK_EQ_U64(0, sent->frame.wseq);
		CHECK_EQ_U64(6, sent->frame.gen);
		break;
	}
	CHECK_EQ_U64(1, h.pending);
	harness_answer_all(&h);
	harness_pump(&h);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_U64(0, harness_status(&h).sets[0].uncertain_bytes);
	CHECK_EQ_U64(DIGEST_PIECE_BYTES, harness_status(&h).reconciled_bytes);
}

/* What differs may be a write that its gateway did not acknowledge because of that very lease. */
static void what_may_differ_is_read_when_the_longest_lease_is_over(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[1].list[3] = true;
	h.replicas[2].lease_left_ms = 2500;
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_READ, 0, 3 * MIB, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	scene_wait(&h, 2499000000ull);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	CHECK_EQ_U64(MIB, harness_status(&h).sets[0].uncertain_bytes);
	scene_wait(&h, 1000000);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_U64(0, harness_status(&h).sets[0].uncertain_bytes);
}

/* A single copy is equal to itself, but the older gateway reads another: seed 155023. */
static void what_may_differ_on_the_only_copy_is_read_when_the_longest_lease_is_over(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[0].list[3] = true;
	h.replicas[1].is_reachable = false;
	h.replicas[2].lease_left_ms = 2500;
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	CHECK_EQ_U64(1, harness_status(&h).sets[0].in_sync);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_READ, 0, 3 * MIB, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	scene_wait(&h, 2499000000ull);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	scene_wait(&h, 1000000);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_U64(0, harness_status(&h).sets[0].uncertain_bytes);
	CHECK_STR("one copy is left, and equal to itself", h.last_event_text[EVENT_RECONCILED]);
}

/* Nor what failed on it meanwhile: seed 512313. */
static void what_failed_on_the_only_copy_is_read_when_the_longest_lease_is_over(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[1].is_reachable = false;
	h.replicas[2].lease_left_ms = 2500;
	scene_attach(&h);
	scene_wait(&h, h.options.attach_wait_ns);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer(&h, harness_find(&h, 0, FRAME_WRITE), WIRE_ENOSPC);
	CHECK_ERRNO(-ENOSPC, h.errors[0]);
	harness_submit(&h, 1, REQUEST_READ, 0, 0, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	scene_wait(&h, 2500000000ull);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[1]);
}

/* No connection tells that a machine lost power, and what it said would be waited for: seed 104400. */
static void a_voter_that_was_probed_and_is_gone_is_not_waited_for(void)
{
	uint64_t deadline_ns;

	scene_three(&h, contents, NULL);
	deadline_ns = h.options.answer_deadline_ns;
	h.replicas[0].is_reachable = h.replicas[1].is_reachable = false;
	scene_attach(&h);
	for (unsigned i = 0; i < 4; i++)
		scene_wait(&h, deadline_ns + 1);
	CHECK_EQ_INT(LEG_HANDSHAKE, harness_status(&h).legs[2].state);
	CHECK_FALSE(h.lanes[2][LANE_MAIN].is_aborted);
	h.replicas[2].is_silent = true;
	scene_wait(&h, deadline_ns + 1);
	scene_wait(&h, deadline_ns + 1);
	CHECK_STR_HAS("no answer to PROBE", h.lanes[2][LANE_MAIN].reason);
}

static void lists_of_older_attachments_are_forgotten_when_all_is_equal_and_durable(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[1].list[3] = true;
	contents[0][3 * DIGEST_PIECES_MAX] = 7;
	scene_attach(&h);
	harness_answer_all(&h);
	harness_pump(&h);
	CHECK_EQ_U64(0, h.replicas[1].forgets);
	scene_wait(&h, h.options.sync_interval_ns);
	harness_answer_all(&h);
	scene_wait(&h, 1);
	CHECK_EQ_U64(1, h.replicas[0].forgets);
	CHECK_EQ_U64(1, h.replicas[1].forgets);
	CHECK_EQ_U64(0, h.replicas[2].forgets);
}

static void lists_of_older_attachments_do_not_outlive_a_detach(void)
{
	scene_pair(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[1].list[3] = true;
	scene_attach(&h);
	harness_answer_all(&h);
	harness_pump(&h);
	CHECK_EQ_U64(0, h.replicas[0].forgets);
	engine_detach(h.engine);
	for (unsigned leg = 0; leg < 2; leg++)
		harness_answer(&h, harness_find(&h, leg, FRAME_FLUSH), WIRE_OK);
	harness_pump(&h); /* before the FLUSH that follows, as over one connection */
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.replicas[0].forgets);
	CHECK_EQ_U64(1, h.replicas[1].forgets);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_OK(h.detached_error);
}

/* It was sent when nothing was uncertain, and is answered when something is. */
static void a_flush_from_before_an_attach_in_place_does_not_forget_the_lists(void)
{
	struct engine_options options = harness_options();
	unsigned forgets;

	options.sync_interval_ns = UINT64_MAX;
	scene_pair(&h, contents, &options);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 3 * MIB, 4096);
	harness_answer_all(&h);
	harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	forgets = h.replicas[1].forgets;
	h.replicas[1].list[3] = true;
	contents[0][3 * DIGEST_PIECES_MAX] = 7;
	for (unsigned i = 0; i < 3; i++) {
		h.replicas[i].promised = (struct ballot){9, 55};
		harness_break(&h, i, LANE_MAIN);
	}
	for (unsigned i = 0; i < 6; i++)
		scene_wait(&h, 200000000);
	CHECK_EQ_U64(1, harness_status(&h).reattaches);
	CHECK_TRUE(harness_status(&h).sets[0].uncertain_bytes > 0);
	scene_answer(&h, 0, FRAME_FLUSH);
	scene_answer(&h, 1, FRAME_FLUSH);
	CHECK_EQ_U64(0, h.pending);
	scene_wait(&h, 100000000);
	CHECK_EQ_U64(forgets, h.replicas[1].forgets);
}

/* What a read may have seen of it is not durable: going on could show an older value. */
static void copies_that_made_replicas_equal_count_as_lost_until_they_were_flushed(void)
{
	struct engine_options options = harness_options();

	options.sync_interval_ns = UINT64_MAX;
	scene_pair(&h, contents, &options);
	scene_was_attached(&h, 3);
	h.replicas[0].incarnation++;
	h.replicas[1].incarnation++;
	contents[0][0] = 9;
	scene_attach(&h);
	CHECK_EQ_U64(1, h.attached_count);
	for (unsigned i = 0; i < 4; i++)
		harness_answer_all(&h);
	CHECK_TRUE(harness_status(&h).reconciled_bytes > 0);
	for (unsigned i = 0; i < 2; i++) {
		harness_kill(&h, i);
		h.replicas[i].incarnation++;
		h.replicas[i].boot_id = sample_uuid((uint8_t)(200 + i));
	}
	h.replicas[0].is_reachable = h.replicas[1].is_reachable = true;
	for (unsigned i = 0; i < 10; i++)
		scene_wait(&h, 1000000000);
	CHECK_EQ_INT(VOLUME_FAILED, harness_status(&h).state);
}

static const struct check_test tests[] = {
	CHECK_TEST(an_attach_without_majority_is_refused_after_a_while_naming_who_is_missing),
	CHECK_TEST(an_absent_replica_goes_out_with_its_list_and_what_was_unstable_is_stamped_and_synced),
	CHECK_TEST(copies_that_made_replicas_equal_count_as_lost_until_they_were_flushed),
	CHECK_TEST(a_config_that_a_counted_replica_has_not_stored_is_not_chosen),
	CHECK_TEST(a_counted_replica_that_loses_power_during_the_attach_is_looked_at_anew),
	CHECK_TEST(a_list_that_overflowed_makes_everything_uncertain_and_stamped),
	CHECK_TEST(a_replica_that_restarted_goes_out_with_everything_if_another_did_not),
	CHECK_TEST(if_all_lost_power_all_are_needed_and_nobody_knows_what_is_equal),
	CHECK_TEST(a_successor_starts_over_when_a_gateway_dies_while_nobody_knew_what_was_equal),
	CHECK_TEST(if_all_restarted_those_on_the_same_boot_will_do),
	CHECK_TEST(and_one_that_lost_power_goes_out_beside_them_without_a_loss),
	CHECK_TEST(those_long_out_are_compared_in_full_when_the_rest_lost_power),
	CHECK_TEST(the_highest_config_of_a_majority_is_adopted),
	CHECK_TEST(the_first_acknowledgement_waits_out_the_longest_lease),
	CHECK_TEST(a_predecessor_that_is_proven_dead_leaves_no_lease_to_wait_for),
	CHECK_TEST(a_volume_that_was_never_attached_has_no_lease_to_wait_for),
	CHECK_TEST(a_gateway_that_attaches_again_in_place_still_waits_out_the_lease_before_it),
	CHECK_TEST(a_read_of_an_uncertain_region_waits_until_it_was_made_equal),
	CHECK_TEST(what_may_differ_is_read_when_the_longest_lease_is_over),
	CHECK_TEST(a_flush_from_before_an_attach_in_place_does_not_forget_the_lists),
	CHECK_TEST(what_may_differ_on_the_only_copy_is_read_when_the_longest_lease_is_over),
	CHECK_TEST(what_failed_on_the_only_copy_is_read_when_the_longest_lease_is_over),
	CHECK_TEST(a_voter_that_was_probed_and_is_gone_is_not_waited_for),
	CHECK_TEST(lists_of_older_attachments_are_forgotten_when_all_is_equal_and_durable),
	CHECK_TEST(lists_of_older_attachments_do_not_outlive_a_detach),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_assemble", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
