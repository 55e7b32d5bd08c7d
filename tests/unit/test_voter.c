/* Lists, stamps, digests of a replica: what is granted when, in which order, and what is refused. */
#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/replica_rig.h"

static struct rig rig;
static struct message message;

static void stamp(uint64_t first, uint32_t count, uint32_t gen, bool sync)
{
	message = (struct message){.kind = MESSAGE_STAMP};
	message.stamp = (struct message_stamp){.ballot = {1, 11}, .sync = sync, .count = count > 0};
	message.stamp.runs[0] = (struct region_run){.first = first, .count = count, .gen = gen};
	rig_message(&rig, 0, &message);
}

static void digest(uint64_t offset, uint32_t length)
{
	message = (struct message){.kind = MESSAGE_DIGEST};
	message.digest = (struct message_digest){.ballot = {1, 11}, .offset = offset, .length = length};
	rig_message(&rig, 0, &message);
}

/* -- Ballots: all of these need the promise -- */

static const enum message_kind kinds[] = {MESSAGE_HEARTBEAT, MESSAGE_LIST_REGIONS, MESSAGE_STAMPED_REGIONS,
					  MESSAGE_STAMP,     MESSAGE_DIGEST,	   MESSAGE_FORGET};
static const enum message_kind answers[] = {MESSAGE_BEAT,    MESSAGE_REGIONS,  MESSAGE_REGIONS,
					    MESSAGE_STAMPED, MESSAGE_DIGESTED, MESSAGE_FORGOTTEN};

static void each_request_has_its_answer_without_a_session(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		rig_ask(&rig, 0, kinds[i], 1, 11);
		mem_store_run(&rig.mem);
		CHECK_EQ_INT(answers[i], lane->answer.kind);
		CHECK_EQ_U64(i + 1, lane->answer_count);
	}
	CHECK_FALSE(lane->closing);
	rig_fini(&rig);
}

static void nothing_is_granted_under_a_ballot_never_promised(void)
{
	rig_begin_promised(&rig);
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		rig_lane(&rig, 1, REPLICA_LANE_MAIN);
		rig_ask(&rig, 1, kinds[i], 2, 11);
		rig_check_refused(&rig.lanes[1], REFUSAL_NOT_PROMISED, "never promised");
		rig_lane_gone(&rig, 1);
	}
	CHECK_EQ_U64(0, rig.mem.pending_count);
	CHECK_EQ_U64(0, rig.replica.desk.lease_until_ns);
	rig_fini(&rig);
}

static void nothing_is_granted_under_the_same_epoch_of_another(void)
{
	rig_begin_promised(&rig);
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		rig_lane(&rig, 1, REPLICA_LANE_MAIN);
		rig_ask(&rig, 1, kinds[i], 1, 12);
		rig_check_refused(&rig.lanes[1], REFUSAL_STALE_EPOCH, "attachment is over");
		CHECK_EQ_U64(1, rig.lanes[1].answer.refused.seen.epoch);
		CHECK_EQ_U64(11, rig.lanes[1].answer.refused.seen.nonce);
		rig_lane_gone(&rig, 1);
	}
	rig_fini(&rig);
}

static void nothing_is_granted_while_the_promise_is_not_durable(void)
{
	rig_init(&rig);
	rig_lane(&rig, 0, REPLICA_LANE_MAIN);
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_promise(&rig, 0, 1, 11);
	rig_ask(&rig, 1, MESSAGE_HEARTBEAT, 1, 11);
	rig_check_refused(&rig.lanes[1], REFUSAL_NOT_PROMISED, "being promised");
	rig_fini(&rig);
}

static void a_bulk_lane_asks_none_of_this(void)
{
	rig_begin_promised(&rig);
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		rig_lane(&rig, 1, REPLICA_LANE_BULK);
		rig_ask(&rig, 1, kinds[i], 1, 11);
		rig_check_refused(&rig.lanes[1], REFUSAL_ORDER, "bulk lane");
		rig_lane_gone(&rig, 1);
	}
	rig_fini(&rig);
}

/* -- The list -- */

static void the_list_names_the_regions_of_what_is_not_stable(void)
{
	struct frame frame;

	rig_init(&rig);
	rig_serve(&rig);
	frame = rig_write(&rig, 2 * MIB, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	mem_store_run(&rig.mem);
	rig_ask(&rig, 0, MESSAGE_LIST_REGIONS, 1, 11);
	CHECK_EQ_INT(MESSAGE_REGIONS, rig.lanes[0].answer.kind);
	CHECK_EQ_U64(1, rig.lanes[0].answer.regions.count);
	CHECK_EQ_U64(2, rig.lanes[0].answer.regions.runs[0].first);
	CHECK_EQ_U64(0, rig.lanes[0].answer.regions.runs[0].gen);
	rig_fini(&rig);
}

static void what_older_epochs_left_is_listed_until_it_is_forgotten(void)
{
	struct frame frame;

	rig_init(&rig);
	rig_serve(&rig);
	frame = rig_write(&rig, 1 * MIB, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	mem_store_run(&rig.mem);
	rig_promise(&rig, 0, 2, 22);
	mem_store_run(&rig.mem);
	rig_open(&rig, 0, 2, 22, 1);
	rig_ask(&rig, 0, MESSAGE_LIST_REGIONS, 2, 22);
	CHECK_EQ_U64(1, rig.lanes[0].answer.regions.count);
	rig_ask(&rig, 0, MESSAGE_FORGET, 2, 22);
	CHECK_EQ_INT(MESSAGE_FORGOTTEN, rig.lanes[0].answer.kind);
	rig_ask(&rig, 0, MESSAGE_LIST_REGIONS, 2, 22);
	CHECK_EQ_U64(0, rig.lanes[0].answer.regions.count);
	rig_fini(&rig);
}

/* -- Stamps -- */

static void a_stamp_is_answered_when_it_is_durable(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	stamp(1, 2, 7, false);
	CHECK_EQ_U64(0, lane->answer_count);
	rig_complete(&rig, STORE_WRITE_STAMPS, 0);
	CHECK_EQ_INT(MESSAGE_STAMPED, lane->answer.kind);
	CHECK_NULL(mem_store_find(&rig.mem, STORE_SYNC));
	CHECK_EQ_U64(0, stamps_get(&rig.replica.stamps, 0));
	CHECK_EQ_U64(7, stamps_get(&rig.replica.stamps, 1));
	CHECK_EQ_U64(7, stamps_get(&rig.replica.stamps, 2));
	CHECK_EQ_U64(0, stamps_get(&rig.replica.stamps, 3));
	rig_fini(&rig);
}

static void a_stamp_is_never_lowered(void)
{
	rig_begin_promised(&rig);
	stamp(1, 1, 7, false);
	mem_store_run(&rig.mem);
	stamp(1, 1, 6, false);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(7, stamps_get(&rig.replica.stamps, 1));
	CHECK_EQ_U64(2, rig.lanes[0].answer_count);
	rig_fini(&rig);
}

static void a_stamp_that_is_there_already_waits_for_nothing(void)
{
	rig_begin_promised(&rig);
	stamp(1, 1, 7, false);
	mem_store_run(&rig.mem);
	stamp(1, 1, 7, false);
	CHECK_EQ_U64(2, rig.lanes[0].answer_count);
	rig_fini(&rig);
}

static void a_stamp_with_sync_waits_for_the_data_too(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	stamp(0, 1, 7, true);
	rig_complete(&rig, STORE_WRITE_STAMPS, 0);
	CHECK_EQ_U64(0, lane->answer_count);
	rig_complete(&rig, STORE_SYNC, 0);
	CHECK_EQ_INT(MESSAGE_STAMPED, lane->answer.kind);
	rig_fini(&rig);
}

static void a_sync_covers_the_changes_that_came_before_it(void)
{
	struct frame before, after;

	rig_init(&rig);
	rig_serve(&rig);
	before = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &before, 1));
	stamp(0, 0, 0, true);
	after = rig_write(&rig, 8192, 4096);
	CHECK_OK(rig_frame(&rig, 0, &after, 2));
	CHECK_NULL(mem_store_find(&rig.mem, STORE_SYNC));
	rig_complete(&rig, STORE_WRITE, 0);
	CHECK_NOT_NULL(mem_store_find(&rig.mem, STORE_WRITE)); /* the later one is not waited for */
	CHECK_EQ_U64(0, rig.lanes[0].answer_count);
	rig_complete(&rig, STORE_SYNC, 0);
	CHECK_EQ_INT(MESSAGE_STAMPED, rig.lanes[0].answer.kind);
	rig_fini(&rig);
}

static void a_failed_sync_fails_the_replica(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	stamp(0, 0, 0, true);
	rig_complete(&rig, STORE_SYNC, -EIO);
	rig_check_refused(lane, REFUSAL_STORE, "restart");
	CHECK_EQ_INT(REPLICA_FAILED, rig.replica.state);
	rig_fini(&rig);
}

static void a_stamp_that_cannot_be_written_fails_the_replica(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	stamp(0, 1, 7, true);
	rig_complete(&rig, STORE_WRITE_STAMPS, -EIO);
	rig_check_refused(lane, REFUSAL_STORE, "stamps");
	CHECK_NULL(mem_store_find(&rig.mem, STORE_SYNC));
	rig_fini(&rig);
}

static void a_stamp_beyond_the_set_is_refused_whole(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	message = (struct message){.kind = MESSAGE_STAMP};
	message.stamp = (struct message_stamp){.ballot = {1, 11}, .count = 2};
	message.stamp.runs[0] = (struct region_run){.first = 0, .count = 1, .gen = 9};
	message.stamp.runs[1] = (struct region_run){.first = 3, .count = 2, .gen = 9};
	rig_message(&rig, 0, &message);
	rig_check_refused(lane, REFUSAL_MALFORMED, "beyond the end");
	CHECK_EQ_U64(0, stamps_get(&rig.replica.stamps, 0));
	rig_fini(&rig);
}

static void stamped_regions_are_told_with_their_stamps(void)
{
	rig_begin_promised(&rig);
	stamp(1, 2, 7, false);
	mem_store_run(&rig.mem);
	message = (struct message){.kind = MESSAGE_STAMPED_REGIONS};
	message.regions_ask = (struct message_regions_ask){.ballot = {1, 11}, .from = 2, .above_gen = 6};
	rig_message(&rig, 0, &message);
	CHECK_EQ_U64(1, rig.lanes[0].answer.regions.count);
	CHECK_EQ_U64(2, rig.lanes[0].answer.regions.runs[0].first);
	CHECK_EQ_U64(7, rig.lanes[0].answer.regions.runs[0].gen);
	message.regions_ask.above_gen = 7;
	rig_message(&rig, 0, &message);
	CHECK_EQ_U64(0, rig.lanes[0].answer.regions.count);
	rig_fini(&rig);
}

/* -- Digests -- */

static void equal_pieces_have_equal_digests_and_others_do_not(void)
{
	struct message_digested *got = &rig.lanes[0].answer.digested;

	rig_begin_promised(&rig);
	memset(rig.mem.data + MIB, 5, DIGEST_PIECE_BYTES);
	memset(rig.mem.data + MIB + DIGEST_PIECE_BYTES, 5, DIGEST_PIECE_BYTES);
	rig.mem.data[MIB + 2 * DIGEST_PIECE_BYTES] = 1;
	digest(MIB, REGION_BYTES);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_DIGESTED, rig.lanes[0].answer.kind);
	CHECK_EQ_U64(MIB, got->offset);
	CHECK_EQ_U64(DIGEST_PIECES_MAX, got->count);
	CHECK_MEM(got->digests[0], got->digests[1], DIGEST_BYTES);
	CHECK_TRUE(memcmp(got->digests[0], got->digests[2], DIGEST_BYTES) != 0);
	CHECK_TRUE(memcmp(got->digests[2], got->digests[3], DIGEST_BYTES) != 0);
	CHECK_MEM(got->digests[3], got->digests[15], DIGEST_BYTES);
	rig_fini(&rig);
}

static void a_short_file_is_equal_to_one_of_zeros(void)
{
	uint8_t zeros[DIGEST_BYTES];

	rig_begin_promised(&rig);
	digest(0, DIGEST_PIECE_BYTES);
	mem_store_run(&rig.mem);
	memcpy(zeros, rig.lanes[0].answer.digested.digests[0], DIGEST_BYTES);
	rig.mem.data_bytes = 4096;
	digest(0, DIGEST_PIECE_BYTES);
	mem_store_run(&rig.mem);
	CHECK_MEM(zeros, rig.lanes[0].answer.digested.digests[0], DIGEST_BYTES);
	digest(MIB, DIGEST_PIECE_BYTES);
	mem_store_run(&rig.mem);
	CHECK_MEM(zeros, rig.lanes[0].answer.digested.digests[0], DIGEST_BYTES);
	rig_fini(&rig);
}

static void a_digest_beyond_the_set_is_refused(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	digest(RIG_SET_BYTES - DIGEST_PIECE_BYTES, 2 * DIGEST_PIECE_BYTES);
	rig_check_refused(lane, REFUSAL_MALFORMED, "beyond the end");
	rig_fini(&rig);
}

static void a_digest_that_ends_inside_a_piece_is_refused(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	digest(0, DIGEST_PIECE_BYTES + 4096);
	rig_check_refused(lane, REFUSAL_MALFORMED, "inside a piece");
	rig_fini(&rig);
}

static void a_digest_that_cannot_be_read_is_refused_and_the_replica_goes_on(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	digest(0, DIGEST_PIECE_BYTES);
	rig_complete(&rig, STORE_DIGEST, -EIO);
	rig_check_refused(lane, REFUSAL_STORE, "cannot be read");
	CHECK_EQ_INT(REPLICA_SERVING, rig.replica.state);
	rig_fini(&rig);
}

static void a_digest_of_an_attachment_that_is_over_is_not_answered(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	digest(0, DIGEST_PIECE_BYTES);
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_promise(&rig, 1, 2, 22);
	rig_complete(&rig, STORE_DIGEST, 0);
	rig_check_refused(lane, REFUSAL_STALE_EPOCH, "over");
	rig_fini(&rig);
}

static void the_asker_of_a_digest_may_vanish_meanwhile(void)
{
	rig_begin_promised(&rig);
	digest(0, DIGEST_PIECE_BYTES);
	stamp(0, 1, 7, false);
	rig_lane_gone(&rig, 0);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(0, rig.replica.desk.inflight);
	rig_fini(&rig);
}

/* -- Order -- */

static void answers_come_in_the_order_of_their_requests(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	digest(0, DIGEST_PIECE_BYTES);
	rig_ask(&rig, 0, MESSAGE_HEARTBEAT, 1, 11);
	digest(MIB, DIGEST_PIECE_BYTES);
	mem_store_complete(&rig.mem, mem_store_pending(&rig.mem, 1), 0);
	CHECK_EQ_U64(0, lane->answer_count);
	rig_complete(&rig, STORE_DIGEST, 0);
	CHECK_EQ_U64(3, lane->answer_count);
	CHECK_EQ_INT(MESSAGE_DIGESTED, lane->answer.kind);
	CHECK_EQ_U64(MIB, lane->answer.digested.offset);
	rig_fini(&rig);
}

static void data_frames_pass_while_a_digest_is_read(void)
{
	struct frame frame;

	rig_init(&rig);
	rig_serve(&rig);
	digest(0, DIGEST_PIECE_BYTES);
	CHECK_FALSE(rig.lanes[0].lane.data_blocked);
	frame = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	rig_complete(&rig, STORE_WRITE, 0);
	CHECK_EQ_U64(1, rig.lanes[0].reply_count);
	CHECK_EQ_U64(0, rig.lanes[0].answer_count);
	rig_fini(&rig);
}

static void an_accept_waits_for_the_answers_before_it_and_lets_data_pass(void)
{
	struct config config;
	struct frame frame;

	rig_init(&rig);
	rig_serve(&rig);
	config = rig.sb.config;
	config.ballot = (struct ballot){1, 11};
	config.gen = 2;
	digest(0, DIGEST_PIECE_BYTES);
	rig_accept(&rig, 0, 1, 11, &config);
	CHECK_FALSE(lane_takes_control(&rig.lanes[0].lane));
	CHECK_FALSE(rig.lanes[0].lane.data_blocked);
	CHECK_NULL(mem_store_find(&rig.mem, STORE_WRITE_SUPERBLOCK));
	frame = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	rig_complete(&rig, STORE_DIGEST, 0);
	CHECK_EQ_INT(MESSAGE_DIGESTED, rig.lanes[0].answer.kind);
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, 0);
	CHECK_EQ_INT(MESSAGE_ACCEPTED, rig.lanes[0].answer.kind);
	CHECK_TRUE(lane_takes_control(&rig.lanes[0].lane));
	rig_fini(&rig);
}

static void a_session_opens_after_the_answers_before_it_and_holds_data_back(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	digest(0, DIGEST_PIECE_BYTES);
	rig_open(&rig, 0, 1, 11, 1);
	CHECK_TRUE(lane->lane.data_blocked);
	rig_complete(&rig, STORE_DIGEST, 0);
	CHECK_EQ_INT(MESSAGE_OPENED, lane->answer.kind);
	CHECK_EQ_U64(2, lane->answer_count);
	CHECK_FALSE(lane->lane.data_blocked);
	rig_fini(&rig);
}

static void a_refused_lane_does_not_open_what_was_waiting(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	digest(0, DIGEST_PIECE_BYTES);
	rig_open(&rig, 0, 1, 11, 1);
	rig_complete(&rig, STORE_DIGEST, -EIO);
	rig_check_refused(lane, REFUSAL_STORE, "cannot be read");
	CHECK_EQ_INT(SESSION_CLOSED, rig.replica.session.state);
	rig_fini(&rig);
}

static void a_lane_takes_so_many_requests_and_no_more(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	for (unsigned i = 0; i < LANE_VOTER_MAX; i++)
		digest(0, DIGEST_PIECE_BYTES);
	CHECK_FALSE(lane_takes_control(&lane->lane));
	rig_complete(&rig, STORE_DIGEST, 0);
	CHECK_TRUE(lane_takes_control(&lane->lane));
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(LANE_VOTER_MAX, lane->answer_count);
	rig_fini(&rig);
}

static void too_many_lanes_with_too_many_requests_are_refused(void)
{
	unsigned lanes = REPLICA_VOTER_MAX / LANE_VOTER_MAX;

	rig_begin_promised(&rig);
	for (unsigned idx = 0; idx < lanes; idx++) {
		if (idx > 0)
			rig_lane(&rig, idx, REPLICA_LANE_MAIN);
		for (unsigned i = 0; i < LANE_VOTER_MAX; i++)
			rig_ask(&rig, idx, MESSAGE_DIGEST, 1, 11);
	}
	rig_lane(&rig, lanes, REPLICA_LANE_MAIN);
	rig_ask(&rig, lanes, MESSAGE_HEARTBEAT, 1, 11);
	rig_check_refused(&rig.lanes[lanes], REFUSAL_LIMIT, "try again");
	rig_fini(&rig);
}

static void a_stop_waits_for_what_the_store_still_does(void)
{
	rig_begin_promised(&rig);
	digest(0, DIGEST_PIECE_BYTES);
	replica_stop(&rig.replica);
	rig_lane_gone(&rig, 0);
	CHECK_NULL(mem_store_find(&rig.mem, STORE_SYNC));
	rig_complete(&rig, STORE_DIGEST, 0);
	mem_store_run(&rig.mem);
	CHECK_TRUE(rig.stopped);
	rig_fini(&rig);
}

static const struct check_test tests[] = {
	CHECK_TEST(each_request_has_its_answer_without_a_session),
	CHECK_TEST(nothing_is_granted_under_a_ballot_never_promised),
	CHECK_TEST(nothing_is_granted_under_the_same_epoch_of_another),
	CHECK_TEST(nothing_is_granted_while_the_promise_is_not_durable),
	CHECK_TEST(a_bulk_lane_asks_none_of_this),
	CHECK_TEST(the_list_names_the_regions_of_what_is_not_stable),
	CHECK_TEST(what_older_epochs_left_is_listed_until_it_is_forgotten),
	CHECK_TEST(a_stamp_is_answered_when_it_is_durable),
	CHECK_TEST(a_stamp_is_never_lowered),
	CHECK_TEST(a_stamp_that_is_there_already_waits_for_nothing),
	CHECK_TEST(a_stamp_with_sync_waits_for_the_data_too),
	CHECK_TEST(a_sync_covers_the_changes_that_came_before_it),
	CHECK_TEST(a_failed_sync_fails_the_replica),
	CHECK_TEST(a_stamp_that_cannot_be_written_fails_the_replica),
	CHECK_TEST(a_stamp_beyond_the_set_is_refused_whole),
	CHECK_TEST(stamped_regions_are_told_with_their_stamps),
	CHECK_TEST(equal_pieces_have_equal_digests_and_others_do_not),
	CHECK_TEST(a_short_file_is_equal_to_one_of_zeros),
	CHECK_TEST(a_digest_beyond_the_set_is_refused),
	CHECK_TEST(a_digest_that_ends_inside_a_piece_is_refused),
	CHECK_TEST(a_digest_that_cannot_be_read_is_refused_and_the_replica_goes_on),
	CHECK_TEST(a_digest_of_an_attachment_that_is_over_is_not_answered),
	CHECK_TEST(the_asker_of_a_digest_may_vanish_meanwhile),
	CHECK_TEST(answers_come_in_the_order_of_their_requests),
	CHECK_TEST(data_frames_pass_while_a_digest_is_read),
	CHECK_TEST(an_accept_waits_for_the_answers_before_it_and_lets_data_pass),
	CHECK_TEST(a_session_opens_after_the_answers_before_it_and_holds_data_back),
	CHECK_TEST(a_refused_lane_does_not_open_what_was_waiting),
	CHECK_TEST(a_lane_takes_so_many_requests_and_no_more),
	CHECK_TEST(too_many_lanes_with_too_many_requests_are_refused),
	CHECK_TEST(a_stop_waits_for_what_the_store_still_does),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("voter", tests, argc, argv);
}
