/* Rejoins, leases, recovery and policies, as one gateway lives them: R7 to R12 by name. */
#include "tests/unit/engine_scene.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"

static struct harness h;
static scene_contents contents[LEG_COUNT_MAX];

/* ---- R7: rejoin ---- */

static void a_rejoin_copies_what_was_stamped_and_differs_then_flushes_and_commits(void)
{
	struct harness_sent *sent;

	scene_leave_and_return(&h, contents);
	h.replicas[1].stamps[6] = 3; /* its own, of a write that nobody completed */
	scene_wait(&h, 2000000000);
	CHECK_TRUE(harness_status(&h).legs[1].is_syncing);
	CHECK_EQ_U64(3, h.replicas[1].stamps[3]);
	CHECK_EQ_U64(2 * MIB, harness_status(&h).legs[1].resync_total_bytes);
	/* It gets new writes, stamped, before it is in sync. */
	harness_submit(&h, 0, REQUEST_WRITE, 0, 7 * MIB, 4096);
	CHECK_EQ_INT(FRAME_F_STAMP, harness_find(&h, 1, FRAME_WRITE)->frame.flags);
	scene_answer(&h, 0, FRAME_WRITE);
	scene_answer(&h, 1, FRAME_WRITE);
	CHECK_EQ_U64(0, h.pending);
	sent = harness_find(&h, 0, FRAME_READ);
	CHECK_EQ_U64(3 * MIB, sent->frame.offset);
	CHECK_EQ_U64(DIGEST_PIECE_BYTES, sent->frame.length);
	harness_answer(&h, sent, WIRE_OK);
	sent = harness_find(&h, 1, FRAME_WRITE);
	CHECK_EQ_INT(FRAME_F_COPY | FRAME_F_STAMP, sent->frame.flags);
	harness_answer(&h, sent, WIRE_OK);
	harness_pump(&h);
	CHECK_NOT_NULL(harness_find(&h, 1, FRAME_FLUSH));
	CHECK_NULL(harness_find(&h, 0, FRAME_FLUSH));
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	scene_answer(&h, 1, FRAME_FLUSH);
	harness_pump(&h);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 2, 1)->state);
	CHECK_EQ_U64(4, scene_voter(&h, 2, 1)->in_sync_gen);
	CHECK_EQ_U64(DIGEST_PIECE_BYTES, harness_status(&h).resynced_bytes);
	CHECK_STR("2097152 bytes compared, 65536 copied, 0 of them without comparing",
		  h.last_event_text[EVENT_REJOINED]);
	CHECK_TRUE(harness_status(&h).sets[0].can_lose_one);
	/* With all in, nothing is stamped. */
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	CHECK_EQ_INT(0, harness_find(&h, 1, FRAME_WRITE)->frame.flags);
}

/* It has stored the config that says that it is out; that is no word about its data. */
static void what_to_copy_is_taken_from_the_config_not_from_what_the_replica_says(void)
{
	scene_leave_and_return(&h, contents);
	h.replicas[1].config = h.replicas[0].config;
	scene_wait(&h, 2000000000);
	CHECK_TRUE(harness_status(&h).legs[1].is_syncing);
	CHECK_EQ_U64(MIB, harness_status(&h).legs[1].resync_total_bytes);
}

/* What was not read is not what the source has. */
static void a_copy_that_could_not_be_read_is_not_written(void)
{
	scene_leave_and_return(&h, contents);
	scene_wait(&h, 2000000000);
	harness_answer(&h, harness_find(&h, 0, FRAME_READ), WIRE_EIO);
	harness_pump(&h);
	CHECK_NULL(harness_find(&h, 1, FRAME_WRITE));
	CHECK_NULL(harness_find(&h, 1, FRAME_FLUSH));
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_U64(0, harness_status(&h).resynced_bytes);
}

static void a_joiner_that_could_not_write_its_copy_is_not_taken_back(void)
{
	scene_leave_and_return(&h, contents);
	scene_wait(&h, 2000000000);
	scene_answer(&h, 0, FRAME_READ);
	harness_answer(&h, harness_find(&h, 1, FRAME_WRITE), WIRE_EIO);
	harness_pump(&h);
	CHECK_NULL(harness_find(&h, 1, FRAME_FLUSH));
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_STR_HAS("a resync could not write: EIO", h.last_event_text[EVENT_REJOIN_STOPPED]);
}

static void the_last_piece_of_a_region_is_copied_as_any_other(void)
{
	scene_leave_and_return(&h, contents);
	contents[0][3 * DIGEST_PIECES_MAX] = 0;
	contents[0][4 * DIGEST_PIECES_MAX - 1] = 7;
	scene_wait(&h, 2000000000);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	CHECK_EQ_U64(4 * MIB - DIGEST_PIECE_BYTES, harness_find(&h, 0, FRAME_READ)->frame.offset);
	scene_answer(&h, 0, FRAME_READ);
	CHECK_EQ_U64(4 * MIB - DIGEST_PIECE_BYTES, harness_find(&h, 1, FRAME_WRITE)->frame.offset);
}

static void acknowledge_with(unsigned leg, uint32_t checksum)
{
	struct harness_sent *sent = harness_find(&h, leg, FRAME_WRITE);
	struct frame reply = harness_reply(&h, sent);

	reply.checksum = checksum;
	sent->is_answered = true;
	CHECK_OK(harness_raw_reply(&h, leg, LANE_MAIN, &reply));
}

/* The application changed its buffer: the joiner will be read as well. */
static void a_joiner_that_stored_other_bytes_gets_the_write_again(void)
{
	scene_leave_and_return(&h, contents);
	scene_wait(&h, 2000000000);
	CHECK_TRUE(harness_status(&h).legs[1].is_syncing);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 7 * MIB, 4096);
	acknowledge_with(0, 1);
	acknowledge_with(1, 2);
	CHECK_EQ_U64(1, h.pending);
	CHECK_EQ_U64(1, harness_status(&h).checksum_mismatches);
	acknowledge_with(0, 3);
	acknowledge_with(1, 3);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
}

static bool was_copied;

static void note_copy(struct harness *harness, const struct harness_sent *sent)
{
	was_copied |= sent->leg == 1 && sent->frame.flags & FRAME_F_COPY && sent->frame.offset == 0;
}

/* It holds what the application was told had failed. */
static void a_write_that_failed_on_all_in_sync_is_copied_again_to_a_joiner(void)
{
	scene_leave_and_return(&h, contents);
	scene_wait(&h, 2000000000);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer(&h, harness_find(&h, 1, FRAME_WRITE), WIRE_OK);
	harness_answer(&h, harness_find(&h, 0, FRAME_WRITE), WIRE_EIO);
	CHECK_EQ_U64(0, h.pending);
	CHECK_ERRNO(-EIO, h.errors[0]);
	contents[0][0] = 9;
	was_copied = false;
	h.on_sent = note_copy;
	for (unsigned i = 0; i < 10; i++) {
		harness_answer_all(&h);
		scene_wait(&h, 1000000000);
	}
	CHECK_TRUE(was_copied);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

static void a_joiner_is_required_from_the_sending_of_its_flush(void)
{
	scene_leave_and_return(&h, contents);
	contents[1][3 * DIGEST_PIECES_MAX] = 7;
	scene_wait(&h, 2000000000);
	CHECK_NOT_NULL(harness_find(&h, 1, FRAME_FLUSH));
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_FLUSH, 0, 0, 0);
	scene_answer(&h, 0, FRAME_WRITE);
	scene_answer(&h, 0, FRAME_FLUSH);
	CHECK_EQ_U64(2, h.pending);
	scene_answer(&h, 1, FRAME_WRITE);
	CHECK_EQ_U64(1, h.pending);
	scene_answer(&h, 1, FRAME_FLUSH); /* its own */
	CHECK_EQ_U64(1, h.pending);
	scene_answer(&h, 1, FRAME_FLUSH);
	CHECK_EQ_U64(0, h.pending);
}

static void a_joiner_that_was_proposed_leaves_only_by_a_chosen_config(void)
{
	scene_leave_and_return(&h, contents);
	contents[1][3 * DIGEST_PIECES_MAX] = 7;
	scene_wait(&h, 2000000000);
	h.replicas[2].mute_on = h.replicas[1].mute_on = MESSAGE_ACCEPT;
	scene_answer(&h, 1, FRAME_FLUSH);
	harness_pump(&h);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state); /* one vote */
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	scene_answer(&h, 0, FRAME_WRITE);
	harness_kill(&h, 1);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[2].mute_on = h.replicas[1].mute_on = 0;
	harness_pump(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_OUT, scene_voter(&h, 0, 1)->state);
	CHECK_EQ_U64(5, h.replicas[2].config.gen);
}

static void a_rejoin_begins_anew_when_its_replica_is_lost_again(void)
{
	scene_leave_and_return(&h, contents);
	scene_wait(&h, 2000000000);
	harness_kill(&h, 1);
	CHECK_EQ_U64(1, h.event_count[EVENT_REJOIN_STOPPED]);
	harness_sweep(&h);
	harness_raise(&h, 1);
	harness_answer_all(&h);
	contents[1][3 * DIGEST_PIECES_MAX] = 7;
	harness_pump(&h);
	harness_answer_all(&h);
	harness_pump(&h);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state);
}

static void a_listed_replica_is_compared_in_its_list_if_it_is_the_same_process(void)
{
	for (unsigned is_new = 0; is_new < 2; is_new++) {
		scene_pair(&h, contents, NULL);
		scene_was_attached(&h, 1);
		for (unsigned i = 0; i < 3; i++)
			h.replicas[i].config.voters[1].compare = COMPARE_ITS_LIST;
		h.replicas[1].list[1] = h.replicas[1].list[4] = true;
		h.replicas[1].incarnation += is_new;
		scene_attach(&h);
		CHECK_EQ_U64((is_new ? 8 : 2) * MIB, harness_status(&h).legs[1].resync_total_bytes);
	}
}

static unsigned source_asked, source_asked_early;

static void note_source(struct harness *harness, const struct harness_message *asked)
{
	if (asked->kind != MESSAGE_STAMPED_REGIONS || asked->leg == 2)
		return;
	source_asked++;
	source_asked_early += harness_status(harness).sets[0].uncertain_bytes > 0;
}

/* Only one of the two had the last write, and its stamp; the other one may be the source. */
static void stamps_of_a_source_are_asked_for_when_those_in_sync_are_equal(void)
{
	scene_three(&h, contents, NULL);
	scene_was_attached(&h, 3);
	h.replicas[0].incarnation = h.replicas[1].incarnation = 999;
	h.replicas[0].stamps[3] = 4;
	contents[0][3 * DIGEST_PIECES_MAX] = 7;
	source_asked = source_asked_early = 0;
	h.on_asked = note_source;
	scene_attach(&h);
	scene_wait(&h, 2000000000);
	CHECK_TRUE(harness_status(&h).legs[2].is_syncing);
	CHECK_TRUE(harness_status(&h).sets[0].uncertain_bytes > 0);
	CHECK_EQ_U64(0, source_asked);
	for (unsigned i = 0; i < 10; i++) {
		harness_answer_all(&h);
		scene_wait(&h, 1000000000);
	}
	CHECK_EQ_U64(1, h.event_count[EVENT_RECONCILED]);
	CHECK_TRUE(source_asked > 0);
	CHECK_EQ_U64(0, source_asked_early);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 2)->state);
}

static unsigned compared_again;

static void note_comparison(struct harness *harness, const struct harness_message *asked)
{
	compared_again += asked->kind == MESSAGE_DIGEST && asked->leg == 2 && asked->digest.offset == 3 * MIB &&
			  harness->event_count[EVENT_RECONCILED] > 0;
}

/* What it was made equal to is not yet what those in sync agree on. */
static void a_region_of_a_write_that_failed_while_its_copy_waited_is_copied_again(void)
{
	scene_three(&h, contents, NULL);
	scene_attach(&h);
	harness_kill(&h, 2);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 3 * MIB, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	h.replicas[2].is_reachable = true;
	harness_submit(&h, 0, REQUEST_WRITE, 0, 3 * MIB, 4096);
	scene_wait(&h, 2000000000);
	CHECK_TRUE(harness_status(&h).legs[2].is_syncing);
	compared_again = 0;
	h.on_asked = note_comparison;
	harness_answer(&h, harness_find(&h, 2, FRAME_WRITE), WIRE_OK);
	harness_answer(&h, harness_find(&h, 1, FRAME_WRITE), WIRE_EIO);
	harness_answer(&h, harness_find(&h, 0, FRAME_WRITE), WIRE_EIO);
	CHECK_ERRNO(-EIO, h.errors[0]);
	for (unsigned i = 0; i < 10; i++) {
		scene_wait(&h, 1000000000);
		harness_answer_all(&h);
	}
	CHECK_EQ_U64(1, compared_again);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 2)->state);
}

static void a_resync_keeps_to_its_rate(void)
{
	struct engine_options options = harness_options();
	unsigned digests = 0;

	options.resync_bytes_per_s = MIB;
	scene_pair(&h, contents, &options);
	scene_was_attached(&h, 1);
	for (unsigned i = 0; i < 3; i++)
		h.replicas[i].config.voters[1].compare = COMPARE_EVERYTHING;
	scene_attach(&h);
	for (unsigned i = 0; i < 40; i++) {
		scene_wait(&h, 100000000);
		digests = (unsigned)(harness_status(&h).legs[1].resync_left_bytes / MIB);
	}
	CHECK_TRUE(digests >= 3 && digests <= 5);
}

/* ---- R8 to R12 ---- */

static void the_last_replica_does_not_resume_after_a_failed_flush(void)
{
	struct volume_spec spec = harness_spec(1, 1);

	scene_make(&h, contents, &spec, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	harness_answer(&h, harness_find(&h, 0, FRAME_FLUSH), WIRE_EIO);
	CHECK_ERRNO(-EIO, h.errors[0]);
	h.replicas[0].incarnation = 999;
	harness_kill(&h, 0);
	h.replicas[0].is_reachable = true;
	for (unsigned i = 0; i < 5; i++)
		scene_wait(&h, 1000000000);
	CHECK_EQ_INT(VOLUME_FAILED, harness_status(&h).state);
	CHECK_STR_HAS("failed to make its data durable", h.last_event_text[EVENT_LOSS_RECORDED]);
}

static void the_last_replica_with_its_kernel_alive_resumes(void)
{
	struct volume_spec spec = harness_spec(1, 1);

	scene_make(&h, contents, &spec, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	h.replicas[0].incarnation = 999;
	harness_kill(&h, 0);
	harness_sweep(&h);
	harness_raise(&h, 0);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
	/* The config names the process it relies on. */
	CHECK_EQ_U64(3, h.replicas[0].config.gen);
	CHECK_EQ_U64(999, scene_voter(&h, 0, 0)->incarnation);
}

static void the_lease_is_a_majoritys_or_that_of_all_that_may_be_in_sync(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	h.replicas[2].is_silent = true;
	scene_wait(&h, 1000000000);
	CHECK_TRUE(harness_status(&h).sets[0].has_lease);
	h.replicas[0].mute_on = MESSAGE_HEARTBEAT;
	scene_wait(&h, 1000000000);
	scene_wait(&h, 1900000000);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	harness_answer_all(&h);
	scene_wait(&h, 100000001);
	CHECK_FALSE(harness_status(&h).sets[0].has_lease);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
	h.replicas[2].is_silent = false;
	h.replicas[0].mute_on = 0;
	scene_wait(&h, 1);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
}

/* A joiner that was proposed may be in sync by a config that a successor finds with it and the witness: it has to
 * answer as well. */
static void a_member_alone_gives_no_lease_while_a_joiner_is_proposed(void)
{
	scene_leave_and_return(&h, contents);
	contents[1][3 * DIGEST_PIECES_MAX] = 7;
	scene_wait(&h, 2000000000);
	h.replicas[2].is_silent = true;
	h.replicas[1].mute_on = MESSAGE_ACCEPT;
	scene_answer(&h, 1, FRAME_FLUSH);
	harness_pump(&h);
	CHECK_EQ_INT(VOTER_IN, scene_voter(&h, 0, 1)->state); /* one vote */
	h.replicas[1].is_silent = true;
	for (unsigned i = 0; i < 8; i++)
		scene_wait(&h, LEASE_MS * 1000000ull / 6);
	CHECK_FALSE(harness_status(&h).sets[0].has_lease);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
}

/* Asked, answered a second later, and not asked again: three seconds from the asking. */
static void a_lease_runs_from_the_sending_of_what_was_answered(void)
{
	scene_pair(&h, contents, NULL);
	scene_attach(&h);
	for (unsigned i = 0; i < 3; i++)
		h.replicas[i].mute_on = MESSAGE_HEARTBEAT;
	scene_wait(&h, 1000000000);
	harness_tick(&h, 1000000000);
	for (unsigned i = 0; i < 3; i++)
		h.replicas[i].mute_on = 0;
	harness_pump(&h);
	for (unsigned i = 0; i < 3; i++)
		h.replicas[i].mute_on = MESSAGE_HEARTBEAT;
	scene_wait(&h, 1900000000);
	CHECK_TRUE(harness_status(&h).sets[0].has_lease);
	scene_wait(&h, 200000000);
	CHECK_FALSE(harness_status(&h).sets[0].has_lease);
}

static void a_recovered_device_drives_its_requests_only_under_its_own_config(void)
{
	struct engine_options options = harness_options();

	options.is_recovery = true;
	options.predecessor_nonce = 33; /* proven dead on this host, but it served another device */
	options.device_nonces[0] = 31;
	options.device_nonces[1] = 34;
	scene_pair(&h, contents, &options);
	scene_was_attached(&h, 3);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	scene_attach(&h);
	CHECK_ERRNO(-ESTALE, h.attached_error);
	CHECK_STR_HAS("another gateway has attached it since (epoch 3)", h.attached_text);
	CHECK_ERRNO(-EIO, h.errors[0]);
}

static void reads_of_a_recovered_device_wait_until_all_its_writes_arrived(void)
{
	struct engine_options options = harness_options();

	options.is_recovery = true;
	options.device_nonces[0] = 32; /* served, then an attempt in vain that got as far as a config */
	options.device_nonces[1] = 33;
	scene_pair(&h, contents, &options);
	scene_was_attached(&h, 3);
	scene_attach(&h);
	CHECK_OK(h.attached_error);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 0, 4096);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
	CHECK_EQ_U64(2, harness_count(&h, FRAME_WRITE));
	engine_recovered(h.engine);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
	scene_answer(&h, 0, FRAME_WRITE);
	scene_answer(&h, 1, FRAME_WRITE);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void by_policy_requests_fail_after_a_while_without_majority(void)
{
	struct engine_options options = harness_options();

	options.fails_without_quorum = true;
	options.quorum_wait_ns = 5000000000ull;
	scene_pair(&h, contents, &options);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	scene_answer(&h, 0, FRAME_WRITE);
	harness_kill(&h, 2);
	harness_kill(&h, 1);
	harness_sweep(&h);
	scene_wait(&h, 4000000000ull);
	CHECK_EQ_U64(1, h.pending);
	scene_wait(&h, 2000000000ull);
	CHECK_ERRNO(-EIO, h.errors[0]);
	harness_submit(&h, 1, REQUEST_FLUSH, 0, 0, 0);
	CHECK_ERRNO(-EIO, h.errors[1]);
	/* It may differ: nobody reads it before it was made equal. */
	h.replicas[1].is_reachable = h.replicas[2].is_reachable = true;
	scene_wait(&h, 4000000000ull);
	harness_answer_all(&h);
	harness_submit(&h, 2, REQUEST_READ, 0, 0, 4096);
	harness_answer_all(&h);
	harness_pump(&h);
	harness_answer_all(&h);
	CHECK_OK(h.errors[2]);
	CHECK_EQ_U64(0, h.pending);
}

static void a_replica_that_stays_much_slower_than_the_others_is_evicted_and_rests(void)
{
	struct engine_options options = harness_options();

	options.slow_factor = 8;
	options.slow_ns = 2000000000ull;
	options.slow_rest_ns = 20000000000ull;
	scene_three(&h, contents, &options);
	scene_attach(&h);
	for (unsigned i = 0; i < 40 && h.event_count[EVENT_EVICTED] == 0; i++) {
		harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
		scene_answer(&h, 0, FRAME_WRITE);
		scene_answer(&h, 1, FRAME_WRITE);
		scene_wait(&h, 100000000);
		if (h.pending && harness_find(&h, 2, FRAME_WRITE))
			scene_answer(&h, 2, FRAME_WRITE);
		harness_answer_all(&h);
	}
	CHECK_EQ_U64(1, h.event_count[EVENT_EVICTED]);
	CHECK_EQ_U64(2, h.last_event[EVENT_EVICTED].leg);
	CHECK_STR_HAS("times slower", h.last_event_text[EVENT_EVICTED]);
	scene_wait(&h, 2000000000);
	CHECK_EQ_INT(LEG_VOTING, harness_status(&h).legs[2].state);
	for (unsigned i = 0; i < 21; i++)
		scene_wait(&h, 1000000000);
	CHECK_EQ_INT(LEG_UP, harness_status(&h).legs[2].state);
}

/* One write that took its time, then nothing: the next hour says nothing about that replica. */
static void nobody_is_evicted_as_slow_while_the_volume_is_idle(void)
{
	scene_three(&h, contents, NULL);
	scene_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	scene_answer(&h, 0, FRAME_WRITE);
	scene_answer(&h, 1, FRAME_WRITE);
	scene_wait(&h, 1000000000);
	scene_answer(&h, 2, FRAME_WRITE);
	for (unsigned i = 0; i < 40; i++) {
		scene_wait(&h, 1000000000);
		harness_answer_all(&h);
	}
	CHECK_EQ_U64(0, h.event_count[EVENT_EVICTING]);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_rejoin_copies_what_was_stamped_and_differs_then_flushes_and_commits),
	CHECK_TEST(what_to_copy_is_taken_from_the_config_not_from_what_the_replica_says),
	CHECK_TEST(a_copy_that_could_not_be_read_is_not_written),
	CHECK_TEST(a_joiner_that_could_not_write_its_copy_is_not_taken_back),
	CHECK_TEST(the_last_piece_of_a_region_is_copied_as_any_other),
	CHECK_TEST(a_joiner_that_stored_other_bytes_gets_the_write_again),
	CHECK_TEST(a_write_that_failed_on_all_in_sync_is_copied_again_to_a_joiner),
	CHECK_TEST(a_joiner_is_required_from_the_sending_of_its_flush),
	CHECK_TEST(a_joiner_that_was_proposed_leaves_only_by_a_chosen_config),
	CHECK_TEST(a_rejoin_begins_anew_when_its_replica_is_lost_again),
	CHECK_TEST(a_listed_replica_is_compared_in_its_list_if_it_is_the_same_process),
	CHECK_TEST(stamps_of_a_source_are_asked_for_when_those_in_sync_are_equal),
	CHECK_TEST(a_region_of_a_write_that_failed_while_its_copy_waited_is_copied_again),
	CHECK_TEST(a_resync_keeps_to_its_rate),
	CHECK_TEST(the_last_replica_does_not_resume_after_a_failed_flush),
	CHECK_TEST(the_last_replica_with_its_kernel_alive_resumes),
	CHECK_TEST(the_lease_is_a_majoritys_or_that_of_all_that_may_be_in_sync),
	CHECK_TEST(a_member_alone_gives_no_lease_while_a_joiner_is_proposed),
	CHECK_TEST(a_lease_runs_from_the_sending_of_what_was_answered),
	CHECK_TEST(a_recovered_device_drives_its_requests_only_under_its_own_config),
	CHECK_TEST(reads_of_a_recovered_device_wait_until_all_its_writes_arrived),
	CHECK_TEST(by_policy_requests_fail_after_a_while_without_majority),
	CHECK_TEST(a_replica_that_stays_much_slower_than_the_others_is_evicted_and_rests),
	CHECK_TEST(nobody_is_evicted_as_slow_while_the_volume_is_idle),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_rejoin", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
