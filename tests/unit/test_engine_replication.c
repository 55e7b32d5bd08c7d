/* The rules of replication, clause by clause, as one gateway lives them: R1 to R13 by name. */
#include "tests/unit/engine_harness.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/sample.h"

static struct harness h;
static uint64_t contents[LEG_COUNT_MAX][HARNESS_REGIONS * DIGEST_PIECES_MAX];

static uint64_t digest(struct harness *harness, unsigned leg, uint64_t piece)
{
	return contents[leg][piece];
}

static void make(const struct volume_spec *spec, const struct engine_options *options)
{
	memset(contents, 0, sizeof(contents));
	harness_fini(&h);
	harness_init(&h, spec, options);
	h.digest = digest;
}

/* Two replicas and a witness, not attached. */
static void make_pair(const struct engine_options *options)
{
	struct volume_spec spec = harness_spec_with_witness(1, 2);

	make(&spec, options);
}

static void make_three(const struct engine_options *options)
{
	struct volume_spec spec = harness_spec(1, 3);

	make(&spec, options);
}

static void wait(uint64_t ns)
{
	harness_tick(&h, ns);
	harness_pump(&h);
}

static void attach(void)
{
	engine_attach(h.engine);
	harness_pump(&h);
}

/* After an attachment of somebody: who was in, as which process. */
static void was_attached(uint8_t in)
{
	for (unsigned i = 0; i < volume_leg_count(&h.spec); i++) {
		struct config *config = &h.replicas[i].config;

		config->gen = 5;
		config->ballot = h.replicas[i].promised = (struct ballot){3, 33};
		for (unsigned j = 0; j < config->voter_count; j++) {
			struct voter *voter = &config->voters[j];

			if (voter->kind != VOTER_REPLICA)
				continue;
			voter->state = in & 1u << j ? VOTER_IN : VOTER_OUT;
			voter->in_sync_gen = in & 1u << j ? 5 : 3;
			voter->incarnation = h.replicas[j].incarnation;
			voter->boot_id = h.replicas[j].boot_id;
		}
	}
}

static void answer(unsigned leg, uint8_t type)
{
	struct harness_sent *sent = harness_find(&h, leg, type);

	CHECK_NOT_NULL(sent);
	harness_answer(&h, sent, WIRE_OK);
}

static const struct voter *voter(unsigned in_config_of, unsigned leg)
{
	return &h.replicas[in_config_of].config.voters[leg];
}

/* ---- R1, R2, R3: attach ---- */

static void an_attach_without_majority_is_refused_after_a_while_naming_who_is_missing(void)
{
	struct engine_options options = harness_options();

	options.attach_limit_ns = 20000000000ull;
	make_three(&options);
	h.replicas[1].is_reachable = h.replicas[2].is_reachable = false;
	attach();
	for (unsigned i = 0; i < 19; i++)
		wait(1000000000);
	CHECK_EQ_U64(0, h.attached_count);
	wait(2000000000);
	CHECK_ERRNO(-EHOSTUNREACH, h.attached_error);
	CHECK_STR("volume vol, set 0: 1 of 3 voters answer, a majority is needed; missing: r1 (10.0.0.2:7420), r2 "
		  "(10.0.0.3:7420)",
		  h.attached_text);
	CHECK_EQ_U64(0, h.replicas[0].promised.epoch);
}

static void an_absent_replica_goes_out_with_its_list_and_what_was_unstable_is_stamped_and_synced(void)
{
	make_pair(NULL);
	was_attached(3);
	h.replicas[0].list[2] = h.replicas[0].list[3] = h.replicas[0].list[7] = true;
	h.replicas[1].is_reachable = false;
	attach();
	CHECK_EQ_U64(0, h.attached_count);
	wait(h.options.attach_wait_ns);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_U64(6, h.replicas[0].config.gen);
	CHECK_EQ_INT(VOTER_OUT, voter(0, 1)->state);
	CHECK_EQ_INT(COMPARE_ITS_LIST, voter(2, 1)->compare);
	CHECK_EQ_U64(101, voter(2, 1)->incarnation);
	CHECK_EQ_U64(5, voter(0, 1)->in_sync_gen);
	CHECK_EQ_U64(0, h.replicas[0].stamps[1]);
	CHECK_EQ_U64(6, h.replicas[0].stamps[2]);
	CHECK_EQ_U64(6, h.replicas[0].stamps[7]);
	CHECK_EQ_U64(1, h.replicas[0].syncs);
}

static void a_list_that_overflowed_makes_everything_uncertain_and_stamped(void)
{
	make_pair(NULL);
	was_attached(3);
	h.replicas[0].list_is_everything = true;
	h.replicas[1].is_reachable = false;
	attach();
	wait(h.options.attach_wait_ns);
	CHECK_EQ_U64(6, h.replicas[0].stamps[0]);
	CHECK_EQ_U64(6, h.replicas[0].stamps[HARNESS_REGIONS - 1]);
}

static void a_replica_that_restarted_goes_out_with_everything_if_another_did_not(void)
{
	make_pair(NULL);
	was_attached(3);
	h.replicas[1].incarnation = 999;
	attach();
	CHECK_EQ_INT(VOTER_OUT, voter(0, 1)->state);
	CHECK_EQ_INT(COMPARE_EVERYTHING, voter(0, 1)->compare);
	CHECK_TRUE(harness_status(&h).legs[1].is_syncing);
	CHECK_EQ_U64(0, h.replicas[0].config.loss_count);
}

static void if_all_restarted_all_are_needed_and_nobody_knows_what_is_equal(void)
{
	make_pair(NULL);
	was_attached(3);
	h.replicas[0].incarnation = h.replicas[1].incarnation = 999;
	h.replicas[1].is_reachable = false;
	attach();
	wait(h.options.attach_wait_ns);
	CHECK_EQ_U64(0, h.attached_count);
	h.replicas[0].boot_id = sample_uuid(222);
	harness_break(&h, 0, LANE_MAIN);
	h.replicas[1].is_reachable = true;
	wait(2000000000);
	wait(2000000000);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_INT(VOTER_IN, voter(0, 0)->state);
	CHECK_EQ_INT(VOTER_IN, voter(0, 1)->state);
	/* A boot changed. */
	CHECK_EQ_U64(1, h.replicas[0].config.loss_count);
	CHECK_EQ_U64(1, h.event_count[EVENT_RECONCILING]);
	CHECK_STR_HAS("8 regions", h.last_event_text[EVENT_RECONCILING]);
	CHECK_EQ_U64(1, h.event_count[EVENT_RECONCILED]);
	/* Only now the config names the processes of today. */
	CHECK_EQ_U64(7, h.replicas[0].config.gen);
	CHECK_EQ_U64(999, voter(2, 0)->incarnation);
}

static void a_successor_starts_over_when_a_gateway_dies_while_nobody_knew_what_was_equal(void)
{
	struct engine_options options;

	make_pair(NULL);
	was_attached(3);
	h.replicas[0].incarnation = h.replicas[1].incarnation = 999;
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	attach();
	CHECK_EQ_U64(8 * MIB, harness_status(&h).sets[0].uncertain_bytes);
	options = h.options;
	options.nonce++;
	harness_restart(&h, &options);
	attach();
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_U64(8 * MIB, harness_status(&h).sets[0].uncertain_bytes);
	CHECK_EQ_U64(0, h.replicas[0].config.loss_count);
}

static void those_long_out_are_compared_in_full_when_the_rest_lost_power(void)
{
	make_three(NULL);
	was_attached(3);
	h.replicas[0].boot_id = h.replicas[1].boot_id = sample_uuid(222);
	h.replicas[2].is_reachable = false;
	attach();
	wait(h.options.attach_wait_ns);
	CHECK_EQ_INT(VOTER_OUT, voter(0, 2)->state);
	CHECK_EQ_INT(COMPARE_EVERYTHING, voter(0, 2)->compare);
	CHECK_EQ_U64(3, voter(0, 2)->in_sync_gen);
}

static void the_highest_config_of_a_majority_is_adopted(void)
{
	make_pair(NULL);
	was_attached(3);
	/* The witness alone knows that replica 1 was evicted. */
	h.replicas[2].config.gen = 6;
	h.replicas[2].config.voters[1].state = VOTER_OUT;
	attach();
	CHECK_EQ_U64(7, h.replicas[0].config.gen);
	CHECK_EQ_INT(VOTER_OUT, voter(0, 1)->state);
	CHECK_EQ_U64(5, voter(0, 1)->in_sync_gen);
}

static void the_first_acknowledgement_waits_out_the_longest_lease(void)
{
	make_pair(NULL);
	was_attached(3);
	h.replicas[2].lease_left_ms = 2500;
	attach();
	CHECK_EQ_U64(1, h.attached_count);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	wait(2499000000ull);
	CHECK_EQ_U64(1, h.pending);
	wait(1000000);
	CHECK_EQ_U64(0, h.pending);
}

static void a_predecessor_that_is_proven_dead_leaves_no_lease_to_wait_for(void)
{
	struct engine_options options = harness_options();

	options.predecessor_nonce = 33;
	make_pair(&options);
	was_attached(3);
	h.replicas[2].lease_left_ms = 2500;
	attach();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void a_read_of_an_uncertain_region_waits_until_it_was_made_equal(void)
{
	make_pair(NULL);
	was_attached(3);
	h.replicas[1].list[3] = h.replicas[1].list[5] = true;
	contents[0][3 * DIGEST_PIECES_MAX + 4] = 7;
	h.replicas[1].mute_on = MESSAGE_DIGEST;
	attach();
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

static void lists_of_older_attachments_are_forgotten_when_all_is_equal_and_durable(void)
{
	make_pair(NULL);
	was_attached(3);
	h.replicas[1].list[3] = true;
	contents[0][3 * DIGEST_PIECES_MAX] = 7;
	attach();
	harness_answer_all(&h);
	harness_pump(&h);
	CHECK_EQ_U64(0, h.replicas[1].forgets);
	wait(h.options.sync_interval_ns);
	harness_answer_all(&h);
	wait(1);
	CHECK_EQ_U64(1, h.replicas[0].forgets);
	CHECK_EQ_U64(1, h.replicas[1].forgets);
	CHECK_EQ_U64(0, h.replicas[2].forgets);
}

/* ---- R4, R6: evict before ack ---- */

static void in_sync_replicas_are_not_stamped(void)
{
	make_pair(NULL);
	attach();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	CHECK_EQ_INT(0, harness_find(&h, 0, FRAME_WRITE)->frame.flags);
	CHECK_NULL(harness_find(&h, 2, FRAME_WRITE));
}

static void a_lost_replica_is_evicted_before_anything_completes_without_it(void)
{
	make_pair(NULL);
	attach();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 3 * MIB, 4096);
	answer(0, FRAME_WRITE);
	answer(0, FRAME_WRITE);
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
	answer(0, FRAME_WRITE);
	CHECK_EQ_U64(3, h.pending);
	h.replicas[2].mute_on = 0;
	harness_pump(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_OUT, voter(2, 1)->state);
	CHECK_EQ_INT(COMPARE_STAMPS, voter(2, 1)->compare);
	CHECK_EQ_U64(2, voter(2, 1)->in_sync_gen);
	CHECK_EQ_U64(1, harness_status(&h).evictions);
	CHECK_FALSE(harness_status(&h).sets[0].can_lose_one);
	CHECK_STR("one replica in sync", harness_status(&h).sets[0].why_not);
}

/* P8: what the application waited for the lost one, from the first answer it owed. */
static void an_eviction_says_how_long_its_replica_owed_an_answer(void)
{
	make_three(NULL);
	attach();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	wait(2000000000);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 3 * MIB, 4096);
	for (unsigned leg = 0; leg < 2; leg++) {
		answer(leg, FRAME_WRITE);
		answer(leg, FRAME_WRITE);
	}
	CHECK_EQ_U64(2, h.pending);
	wait(h.options.answer_deadline_ns - 2000000000);
	CHECK_EQ_U64(2, h.pending);
	wait(10000000);
	harness_sweep(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_U64(1, h.event_count[EVENT_EVICTED]);
	CHECK_EQ_U64(h.options.answer_deadline_ns + 10000000, h.last_event[EVENT_EVICTED].duration_ns);
}

static void what_is_durable_on_the_evicted_one_is_not_stamped(void)
{
	make_pair(NULL);
	attach();
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
	make_pair(NULL);
	attach();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
	harness_submit(&h, 1, REQUEST_FLUSH, 0, 0, 0);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 2 * MIB, 4096);
	answer(1, FRAME_FLUSH);
	harness_kill(&h, 1);
	CHECK_EQ_U64(0, h.replicas[0].stamps[0]);
	CHECK_EQ_U64(3, h.replicas[0].stamps[2]);
}

static void without_a_majority_nothing_is_acknowledged(void)
{
	make_pair(NULL);
	attach();
	harness_kill(&h, 2);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_kill(&h, 1);
	harness_answer_all(&h);
	wait(1000000000);
	CHECK_EQ_U64(1, h.pending);
	CHECK_EQ_INT(VOLUME_SUSPENDED, harness_status(&h).state);
	CHECK_STR("no majority of the voters answers", h.last_event_text[EVENT_SUSPENDED]);
	h.replicas[2].is_reachable = true;
	wait(2000000000);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	CHECK_EQ_U64(1, h.event_count[EVENT_RESUMED]);
}

static void the_evicted_ones_vote_counts(void)
{
	make_three(NULL);
	attach();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	/* Both servers restarted: without one of their votes neither can be evicted. */
	h.replicas[1].incarnation = h.replicas[2].incarnation = 999;
	harness_break(&h, 1, LANE_MAIN);
	harness_break(&h, 2, LANE_MAIN);
	harness_pump(&h);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	wait(h.options.reconnect_ns);
	harness_answer_all(&h);
	harness_pump(&h);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_U64(2, h.event_count[EVENT_EVICTED]);
}

static void a_gateway_turns_round_when_the_survivor_of_an_eviction_dies(void)
{
	make_pair(NULL);
	attach();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	h.replicas[2].mute_on = MESSAGE_ACCEPT;
	harness_kill(&h, 1);
	/* The config without 1 is proposed, known to 0 alone; then 0 is lost, and 1 is back with its memory. */
	CHECK_EQ_INT(VOTER_OUT, voter(0, 1)->state);
	harness_kill(&h, 0);
	harness_sweep(&h);
	h.replicas[2].mute_on = 0;
	harness_pump(&h);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[1].is_reachable = true;
	wait(2000000000);
	/* The witness made the old proposal chosen meanwhile: only its member may serve. */
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[0].is_reachable = true;
	wait(4000000000ull);
	wait(1000000000ull);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void a_lost_member_is_let_back_while_no_config_without_it_is_chosen(void)
{
	make_pair(NULL);
	attach();
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
	wait(2000000000);
	wait(1000000000);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_IN, voter(2, 1)->state);
	CHECK_EQ_INT(VOTER_OUT, voter(2, 0)->state);
}

static void fewer_than_min_in_sync_suspend_instead_of_evicting(void)
{
	struct engine_options options = harness_options();

	options.min_in_sync = 2;
	make_pair(&options);
	attach();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_kill(&h, 1);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.pending);
	CHECK_EQ_U64(2, h.replicas[0].config.gen);
	CHECK_EQ_INT(VOLUME_SUSPENDED, harness_status(&h).state);
	harness_raise(&h, 1);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_IN, voter(0, 1)->state);
}

/* ---- R7: rejoin ---- */

/* Replica 1 was away while region 3 was written. */
static void leave_and_return(void)
{
	struct engine_options options = harness_options();

	options.sync_interval_ns = UINT64_MAX; /* no FLUSH but those of the test */
	make_pair(&options);
	attach();
	harness_kill(&h, 1);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 3 * MIB, 4096);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	contents[0][3 * DIGEST_PIECES_MAX] = 7;
	h.replicas[1].is_reachable = true;
}

static void a_rejoin_copies_what_was_stamped_and_differs_then_flushes_and_commits(void)
{
	struct harness_sent *sent;

	leave_and_return();
	h.replicas[1].stamps[6] = 3; /* its own, of a write that nobody completed */
	wait(2000000000);
	CHECK_TRUE(harness_status(&h).legs[1].is_syncing);
	CHECK_EQ_U64(3, h.replicas[1].stamps[3]);
	CHECK_EQ_U64(2 * MIB, harness_status(&h).legs[1].resync_total_bytes);
	/* It gets new writes, stamped, before it is in sync. */
	harness_submit(&h, 0, REQUEST_WRITE, 0, 7 * MIB, 4096);
	CHECK_EQ_INT(FRAME_F_STAMP, harness_find(&h, 1, FRAME_WRITE)->frame.flags);
	answer(0, FRAME_WRITE);
	answer(1, FRAME_WRITE);
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
	CHECK_EQ_INT(VOTER_OUT, voter(0, 1)->state);
	answer(1, FRAME_FLUSH);
	harness_pump(&h);
	CHECK_EQ_INT(VOTER_IN, voter(2, 1)->state);
	CHECK_EQ_U64(4, voter(2, 1)->in_sync_gen);
	CHECK_EQ_U64(DIGEST_PIECE_BYTES, harness_status(&h).resynced_bytes);
	CHECK_STR("2097152 bytes compared, 65536 copied", h.last_event_text[EVENT_REJOINED]);
	CHECK_TRUE(harness_status(&h).sets[0].can_lose_one);
	/* With all in, nothing is stamped. */
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	CHECK_EQ_INT(0, harness_find(&h, 1, FRAME_WRITE)->frame.flags);
}

static void a_joiner_is_required_from_the_sending_of_its_flush(void)
{
	leave_and_return();
	contents[1][3 * DIGEST_PIECES_MAX] = 7;
	wait(2000000000);
	CHECK_NOT_NULL(harness_find(&h, 1, FRAME_FLUSH));
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_FLUSH, 0, 0, 0);
	answer(0, FRAME_WRITE);
	answer(0, FRAME_FLUSH);
	CHECK_EQ_U64(2, h.pending);
	answer(1, FRAME_WRITE);
	CHECK_EQ_U64(1, h.pending);
	answer(1, FRAME_FLUSH); /* its own */
	CHECK_EQ_U64(1, h.pending);
	answer(1, FRAME_FLUSH);
	CHECK_EQ_U64(0, h.pending);
}

static void a_joiner_that_was_proposed_leaves_only_by_a_chosen_config(void)
{
	leave_and_return();
	contents[1][3 * DIGEST_PIECES_MAX] = 7;
	wait(2000000000);
	h.replicas[2].mute_on = h.replicas[1].mute_on = MESSAGE_ACCEPT;
	answer(1, FRAME_FLUSH);
	harness_pump(&h);
	CHECK_EQ_INT(VOTER_IN, voter(0, 1)->state); /* one vote */
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	answer(0, FRAME_WRITE);
	harness_kill(&h, 1);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[2].mute_on = h.replicas[1].mute_on = 0;
	harness_pump(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_EQ_INT(VOTER_OUT, voter(0, 1)->state);
	CHECK_EQ_U64(5, h.replicas[2].config.gen);
}

static void a_rejoin_begins_anew_when_its_replica_is_lost_again(void)
{
	leave_and_return();
	wait(2000000000);
	harness_kill(&h, 1);
	CHECK_EQ_U64(1, h.event_count[EVENT_REJOIN_STOPPED]);
	harness_sweep(&h);
	harness_raise(&h, 1);
	harness_answer_all(&h);
	contents[1][3 * DIGEST_PIECES_MAX] = 7;
	harness_pump(&h);
	harness_answer_all(&h);
	harness_pump(&h);
	CHECK_EQ_INT(VOTER_IN, voter(0, 1)->state);
}

static void a_listed_replica_is_compared_in_its_list_if_it_is_the_same_process(void)
{
	for (unsigned is_new = 0; is_new < 2; is_new++) {
		make_pair(NULL);
		was_attached(1);
		for (unsigned i = 0; i < 3; i++)
			h.replicas[i].config.voters[1].compare = COMPARE_ITS_LIST;
		h.replicas[1].list[1] = h.replicas[1].list[4] = true;
		h.replicas[1].incarnation += is_new;
		attach();
		CHECK_EQ_U64((is_new ? 8 : 2) * MIB, harness_status(&h).legs[1].resync_total_bytes);
	}
}

static void a_resync_keeps_to_its_rate(void)
{
	struct engine_options options = harness_options();
	unsigned digests = 0;

	options.resync_bytes_per_s = MIB;
	make_pair(&options);
	was_attached(1);
	for (unsigned i = 0; i < 3; i++)
		h.replicas[i].config.voters[1].compare = COMPARE_EVERYTHING;
	attach();
	for (unsigned i = 0; i < 40; i++) {
		wait(100000000);
		digests = (unsigned)(harness_status(&h).legs[1].resync_left_bytes / MIB);
	}
	CHECK_TRUE(digests >= 3 && digests <= 5);
}

/* ---- R8 to R12 ---- */

static void the_last_replica_with_its_kernel_alive_resumes(void)
{
	struct volume_spec spec = harness_spec(1, 1);

	make(&spec, NULL);
	attach();
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
	CHECK_EQ_U64(999, voter(0, 0)->incarnation);
}

static void the_lease_is_a_majoritys_or_that_of_all_that_may_be_in_sync(void)
{
	make_pair(NULL);
	attach();
	h.replicas[2].is_silent = true;
	wait(1000000000);
	CHECK_TRUE(harness_status(&h).sets[0].has_lease);
	h.replicas[0].mute_on = MESSAGE_HEARTBEAT;
	wait(1000000000);
	wait(1900000000);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	harness_answer_all(&h);
	wait(100000001);
	CHECK_FALSE(harness_status(&h).sets[0].has_lease);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
	h.replicas[2].is_silent = false;
	h.replicas[0].mute_on = 0;
	wait(1);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
}

static void a_recovered_device_drives_its_requests_only_under_its_own_config(void)
{
	struct engine_options options = harness_options();

	options.is_recovery = true;
	options.predecessor_nonce = 32;
	make_pair(&options);
	was_attached(3);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	attach();
	CHECK_ERRNO(-ESTALE, h.attached_error);
	CHECK_STR_HAS("another gateway has attached it since (epoch 3)", h.attached_text);
	CHECK_ERRNO(-EIO, h.errors[0]);
}

static void reads_of_a_recovered_device_wait_until_all_its_writes_arrived(void)
{
	struct engine_options options = harness_options();

	options.is_recovery = true;
	options.predecessor_nonce = 33;
	make_pair(&options);
	was_attached(3);
	attach();
	CHECK_OK(h.attached_error);
	harness_submit(&h, 0, REQUEST_READ, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_WRITE, 0, 0, 4096);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
	CHECK_EQ_U64(2, harness_count(&h, FRAME_WRITE));
	engine_recovered(h.engine);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
	answer(0, FRAME_WRITE);
	answer(1, FRAME_WRITE);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_READ));
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void by_policy_requests_fail_after_a_while_without_majority(void)
{
	struct engine_options options = harness_options();

	options.fails_without_quorum = true;
	options.quorum_wait_ns = 5000000000ull;
	make_pair(&options);
	attach();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	answer(0, FRAME_WRITE);
	harness_kill(&h, 2);
	harness_kill(&h, 1);
	harness_sweep(&h);
	wait(4000000000ull);
	CHECK_EQ_U64(1, h.pending);
	wait(2000000000ull);
	CHECK_ERRNO(-EIO, h.errors[0]);
	harness_submit(&h, 1, REQUEST_FLUSH, 0, 0, 0);
	CHECK_ERRNO(-EIO, h.errors[1]);
	/* It may differ: nobody reads it before it was made equal. */
	h.replicas[1].is_reachable = h.replicas[2].is_reachable = true;
	wait(4000000000ull);
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
	make_three(&options);
	attach();
	for (unsigned i = 0; i < 40 && h.event_count[EVENT_EVICTED] == 0; i++) {
		harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
		answer(0, FRAME_WRITE);
		answer(1, FRAME_WRITE);
		wait(100000000);
		if (h.pending && harness_find(&h, 2, FRAME_WRITE))
			answer(2, FRAME_WRITE);
		harness_answer_all(&h);
	}
	CHECK_EQ_U64(1, h.event_count[EVENT_EVICTED]);
	CHECK_EQ_U64(2, h.last_event[EVENT_EVICTED].leg);
	CHECK_STR_HAS("times slower", h.last_event_text[EVENT_EVICTED]);
	wait(2000000000);
	CHECK_EQ_INT(LEG_VOTING, harness_status(&h).legs[2].state);
	for (unsigned i = 0; i < 21; i++)
		wait(1000000000);
	CHECK_EQ_INT(LEG_UP, harness_status(&h).legs[2].state);
}

/* One write that took its time, then nothing: the next hour says nothing about that replica. */
static void nobody_is_evicted_as_slow_while_the_volume_is_idle(void)
{
	make_three(NULL);
	attach();
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	answer(0, FRAME_WRITE);
	answer(1, FRAME_WRITE);
	wait(1000000000);
	answer(2, FRAME_WRITE);
	for (unsigned i = 0; i < 40; i++) {
		wait(1000000000);
		harness_answer_all(&h);
	}
	CHECK_EQ_U64(0, h.event_count[EVENT_EVICTING]);
}

static const struct check_test tests[] = {
	CHECK_TEST(an_attach_without_majority_is_refused_after_a_while_naming_who_is_missing),
	CHECK_TEST(an_absent_replica_goes_out_with_its_list_and_what_was_unstable_is_stamped_and_synced),
	CHECK_TEST(a_list_that_overflowed_makes_everything_uncertain_and_stamped),
	CHECK_TEST(a_replica_that_restarted_goes_out_with_everything_if_another_did_not),
	CHECK_TEST(if_all_restarted_all_are_needed_and_nobody_knows_what_is_equal),
	CHECK_TEST(a_successor_starts_over_when_a_gateway_dies_while_nobody_knew_what_was_equal),
	CHECK_TEST(those_long_out_are_compared_in_full_when_the_rest_lost_power),
	CHECK_TEST(the_highest_config_of_a_majority_is_adopted),
	CHECK_TEST(the_first_acknowledgement_waits_out_the_longest_lease),
	CHECK_TEST(a_predecessor_that_is_proven_dead_leaves_no_lease_to_wait_for),
	CHECK_TEST(a_read_of_an_uncertain_region_waits_until_it_was_made_equal),
	CHECK_TEST(lists_of_older_attachments_are_forgotten_when_all_is_equal_and_durable),
	CHECK_TEST(in_sync_replicas_are_not_stamped),
	CHECK_TEST(a_lost_replica_is_evicted_before_anything_completes_without_it),
	CHECK_TEST(an_eviction_says_how_long_its_replica_owed_an_answer),
	CHECK_TEST(what_is_durable_on_the_evicted_one_is_not_stamped),
	CHECK_TEST(a_flush_that_only_the_evicted_one_answered_clears_what_it_may_lack),
	CHECK_TEST(without_a_majority_nothing_is_acknowledged),
	CHECK_TEST(the_evicted_ones_vote_counts),
	CHECK_TEST(a_gateway_turns_round_when_the_survivor_of_an_eviction_dies),
	CHECK_TEST(a_lost_member_is_let_back_while_no_config_without_it_is_chosen),
	CHECK_TEST(fewer_than_min_in_sync_suspend_instead_of_evicting),
	CHECK_TEST(a_rejoin_copies_what_was_stamped_and_differs_then_flushes_and_commits),
	CHECK_TEST(a_joiner_is_required_from_the_sending_of_its_flush),
	CHECK_TEST(a_joiner_that_was_proposed_leaves_only_by_a_chosen_config),
	CHECK_TEST(a_rejoin_begins_anew_when_its_replica_is_lost_again),
	CHECK_TEST(a_listed_replica_is_compared_in_its_list_if_it_is_the_same_process),
	CHECK_TEST(a_resync_keeps_to_its_rate),
	CHECK_TEST(the_last_replica_with_its_kernel_alive_resumes),
	CHECK_TEST(the_lease_is_a_majoritys_or_that_of_all_that_may_be_in_sync),
	CHECK_TEST(a_recovered_device_drives_its_requests_only_under_its_own_config),
	CHECK_TEST(reads_of_a_recovered_device_wait_until_all_its_writes_arrived),
	CHECK_TEST(by_policy_requests_fail_after_a_while_without_majority),
	CHECK_TEST(a_replica_that_stays_much_slower_than_the_others_is_evicted_and_rests),
	CHECK_TEST(nobody_is_evicted_as_slow_while_the_volume_is_idle),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_replication", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
