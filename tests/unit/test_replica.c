/* Promises, configs and sessions: who may do what when, and what is durable before it is answered. */
#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/replica_rig.h"

static struct rig rig;

static struct rig_lane *begin(void)
{
	rig_init(&rig);
	return rig_lane(&rig, 0, REPLICA_LANE_MAIN);
}

static void check_refused(const struct rig_lane *lane, enum refusal refusal, const char *part)
{
	CHECK_EQ_INT(MESSAGE_REFUSED, lane->answer.kind);
	CHECK_STR(refusal_name(refusal), refusal_name(lane->answer.refused.refusal));
	CHECK_STR_HAS(part, lane->answer.refused.text);
	CHECK_STR_HAS("vol", lane->answer.refused.text);
	CHECK_TRUE(lane->closing);
}

static struct superblock on_disk(void)
{
	struct superblock_slots slots;
	struct superblock sb = {0};

	CHECK_OK(superblock_choose(rig.mem.superblock, &sb, &slots));
	return sb;
}

static struct config next_config(uint32_t epoch, uint64_t nonce, uint32_t gen)
{
	struct config config = rig.sb.config;

	config.ballot = (struct ballot){epoch, nonce};
	config.gen = gen;
	return config;
}

/* -- Promise -- */

static void a_probe_promises_nothing(void)
{
	struct message probe = {.kind = MESSAGE_PROBE};
	struct rig_lane *lane = begin();

	replica_message(&lane->lane, &probe);
	CHECK_EQ_INT(MESSAGE_STATE, lane->answer.kind);
	CHECK_EQ_U64(0, lane->answer.state.promised.epoch);
	CHECK_EQ_U64(77, lane->answer.state.incarnation);
	CHECK_EQ_U64(1, lane->answer.state.config.gen);
	CHECK_EQ_U64(0, rig.mem.pending_count);
	rig_fini(&rig);
}

static void a_promise_is_answered_only_when_it_is_durable(void)
{
	struct rig_lane *lane = begin();

	rig_promise(&rig, 0, 3, 11);
	CHECK_EQ_U64(0, lane->answer_count);
	CHECK_TRUE(lane->lane.control_pending);
	CHECK_NOT_NULL(mem_store_find(&rig.mem, STORE_WRITE_SUPERBLOCK));
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, lane->answer.kind);
	CHECK_EQ_U64(3, lane->answer.state.promised.epoch);
	CHECK_FALSE(lane->lane.control_pending);
	CHECK_EQ_U64(3, on_disk().promised.epoch);
	CHECK_EQ_U64(11, on_disk().promised.nonce);
	CHECK_EQ_U64(200, on_disk().updated_s);
	rig_fini(&rig);
}

static void the_same_ballot_is_promised_again_without_a_write(void)
{
	struct rig_lane *lane = begin();

	rig_promise(&rig, 0, 3, 11);
	mem_store_run(&rig.mem);
	lane->answer_count = 0;
	rig_promise(&rig, 0, 3, 11);
	CHECK_EQ_U64(0, rig.mem.pending_count);
	CHECK_EQ_U64(1, lane->answer_count);
	CHECK_EQ_INT(MESSAGE_STATE, lane->answer.kind);
	rig_fini(&rig);
}

static void a_lower_epoch_is_refused_and_told_what_stands(void)
{
	struct rig_lane *lane = begin();

	rig_promise(&rig, 0, 3, 11);
	mem_store_run(&rig.mem);
	rig_promise(&rig, 0, 2, 12);
	check_refused(lane, REFUSAL_STALE_EPOCH, "higher epoch");
	CHECK_EQ_U64(3, lane->answer.refused.seen.epoch);
	CHECK_EQ_U64(11, lane->answer.refused.seen.nonce);
	rig_fini(&rig);
}

static void the_same_epoch_of_another_attachment_is_refused(void)
{
	struct rig_lane *lane = begin();

	rig_promise(&rig, 0, 3, 11);
	mem_store_run(&rig.mem);
	rig_promise(&rig, 0, 3, 12);
	check_refused(lane, REFUSAL_STALE_EPOCH, "epoch");
	CHECK_EQ_U64(11, on_disk().promised.nonce);
	rig_fini(&rig);
}

static void epoch_zero_is_never_promised(void)
{
	struct rig_lane *lane = begin();

	rig_promise(&rig, 0, 0, 0);
	check_refused(lane, REFUSAL_STALE_EPOCH, "epoch");
	rig_fini(&rig);
}

static void two_promises_are_served_one_after_the_other(void)
{
	struct rig_lane *first = begin(), *second = rig_lane(&rig, 1, REPLICA_LANE_MAIN);

	rig_promise(&rig, 0, 3, 11);
	rig_promise(&rig, 1, 2, 12);
	CHECK_EQ_U64(0, first->answer_count + second->answer_count);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, first->answer.kind);
	check_refused(second, REFUSAL_STALE_EPOCH, "epoch");
	rig_fini(&rig);
}

static void a_promise_that_cannot_be_written_is_refused_and_still_fences(void)
{
	struct rig_lane *lane = begin();

	rig_promise(&rig, 0, 3, 11);
	mem_store_complete(&rig.mem, mem_store_pending(&rig.mem, 0), -EIO);
	check_refused(lane, REFUSAL_STORE, "EIO");
	CHECK_EQ_INT(REPLICA_FAILED, rig.replica.state);
	CHECK_STR_HAS("superblock", rig.replica.health);
	lane = rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_promise(&rig, 1, 4, 12);
	check_refused(lane, REFUSAL_STORE, "restart");
	rig_fini(&rig);
}

static void the_asker_of_a_promise_may_vanish_meanwhile(void)
{
	begin();
	rig_promise(&rig, 0, 3, 11);
	rig_lane_gone(&rig, 0);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(3, on_disk().promised.epoch);
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_promise(&rig, 1, 4, 12);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[1].answer.kind);
	rig_fini(&rig);
}

/* -- Draining (P3) -- */

static void a_promise_waits_for_the_old_sessions_write_in_flight(void)
{
	struct frame frame;

	rig_init(&rig);
	rig_serve(&rig);
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	frame = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 0xaa));
	rig_promise(&rig, 2, 2, 22);
	CHECK_TRUE(rig.lanes[0].closing);
	rig_lane_gone(&rig, 0);
	/* Only the write is with the store: the promise is not even being written yet. */
	CHECK_EQ_U64(1, rig.mem.pending_count);
	CHECK_NOT_NULL(mem_store_find(&rig.mem, STORE_WRITE));
	CHECK_EQ_U64(0, rig.lanes[2].answer_count);
	mem_store_complete(&rig.mem, mem_store_pending(&rig.mem, 0), 0);
	CHECK_EQ_U64(0xaa, rig.mem.data[0]);
	CHECK_EQ_U64(0, rig.lanes[2].answer_count);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[2].answer.kind);
	CHECK_EQ_U64(2, rig.lanes[2].answer.state.promised.epoch);
	rig_fini(&rig);
}

static void a_promise_waits_until_the_old_connections_are_closed(void)
{
	rig_init(&rig);
	rig_serve_bulk(&rig);
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	rig_promise(&rig, 2, 2, 22);
	CHECK_TRUE(rig.lanes[0].closing && rig.lanes[1].closing);
	rig_lane_gone(&rig, 0);
	CHECK_EQ_U64(0, rig.mem.pending_count);
	rig_lane_gone(&rig, 1);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[2].answer.kind);
	rig_fini(&rig);
}

static void half_a_write_of_a_fenced_session_never_reaches_the_store(void)
{
	struct frame frame;
	struct served *served;
	const char *reason;

	rig_init(&rig);
	rig_serve(&rig);
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	frame = rig_write(&rig, 0, 4096);
	CHECK_OK(session_frame(&rig.lanes[0].lane, &frame, &served, &reason));
	CHECK_NOT_NULL(served);
	memset(served->buf->data, 0xbb, 100);
	rig_promise(&rig, 2, 2, 22);
	rig_lane_gone(&rig, 0);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[2].answer.kind);
	CHECK_EQ_U64(0, rig.mem.data[0]);
	CHECK_EQ_U64(0, rig.mem.bufs_out);
	rig_fini(&rig);
}

static void what_a_fenced_connection_still_sends_is_stale(void)
{
	struct frame frame;

	rig_init(&rig);
	rig_serve(&rig);
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	rig_promise(&rig, 2, 2, 22);
	frame = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 0xcc));
	CHECK_EQ_U64(WIRE_ESTALE, rig_status(&rig.lanes[0]));
	CHECK_NULL(mem_store_find(&rig.mem, STORE_WRITE));
	rig_fini(&rig);
}

static void a_promise_on_the_sessions_own_connection_keeps_that_connection(void)
{
	rig_init(&rig);
	rig_serve_bulk(&rig);
	rig_promise(&rig, 0, 2, 11);
	CHECK_FALSE(rig.lanes[0].closing);
	CHECK_TRUE(rig.lanes[1].closing);
	rig_lane_gone(&rig, 1);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[0].answer.kind);
	CHECK_EQ_INT(SESSION_CLOSED, rig.replica.session.state);
	rig_open(&rig, 0, 2, 11, 1);
	CHECK_EQ_INT(MESSAGE_OPENED, rig.lanes[0].answer.kind);
	rig_fini(&rig);
}

/* -- Session -- */

static void a_session_opens_under_the_promised_ballot_only(void)
{
	struct rig_lane *lane = begin();

	rig_promise(&rig, 0, 3, 11);
	mem_store_run(&rig.mem);
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_open(&rig, 1, 4, 11, 1);
	check_refused(&rig.lanes[1], REFUSAL_NOT_PROMISED, "never promised");
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	rig_open(&rig, 2, 3, 12, 1);
	check_refused(&rig.lanes[2], REFUSAL_STALE_EPOCH, "attachment");
	rig_open(&rig, 0, 3, 11, 1);
	CHECK_EQ_INT(MESSAGE_OPENED, lane->answer.kind);
	CHECK_EQ_U64(1, lane->answer.opened.session);
	CHECK_EQ_U64(77, lane->answer.opened.incarnation);
	CHECK_EQ_U64(9, lane->answer.opened.boot_id.bytes[0]);
	rig_fini(&rig);
}

static void nothing_opens_before_any_promise(void)
{
	struct rig_lane *lane = begin();

	rig_open(&rig, 0, 0, 0, 1);
	check_refused(lane, REFUSAL_NOT_PROMISED, "promise");
	rig_fini(&rig);
}

static void a_session_number_never_comes_twice(void)
{
	rig_init(&rig);
	rig_serve(&rig);
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	rig_open(&rig, 2, 1, 11, 1);
	check_refused(&rig.lanes[2], REFUSAL_STALE_SESSION, "number");
	CHECK_FALSE(rig.lanes[0].closing);
	rig_fini(&rig);
}

static void a_newer_session_drains_the_older_one_first(void)
{
	struct frame frame;

	rig_init(&rig);
	rig_serve_bulk(&rig);
	frame = rig_write(&rig, 8192, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 0xdd));
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	rig_open(&rig, 2, 1, 11, 2);
	CHECK_TRUE(rig.lanes[0].closing && rig.lanes[1].closing);
	rig_lane_gone(&rig, 0);
	rig_lane_gone(&rig, 1);
	CHECK_EQ_U64(0, rig.lanes[2].answer_count);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_OPENED, rig.lanes[2].answer.kind);
	CHECK_EQ_U64(0xdd, rig.mem.data[8192]);
	rig_fini(&rig);
}

static void a_higher_promise_lets_session_numbers_start_again(void)
{
	rig_init(&rig);
	rig_serve(&rig);
	rig_promise(&rig, 0, 2, 22);
	mem_store_run(&rig.mem);
	rig_open(&rig, 0, 2, 22, 1);
	CHECK_EQ_INT(MESSAGE_OPENED, rig.lanes[0].answer.kind);
	rig_fini(&rig);
}

static void the_bulk_lane_joins_only_the_open_session(void)
{
	rig_init(&rig);
	rig_serve(&rig);
	rig_lane(&rig, 1, REPLICA_LANE_BULK);
	rig_join(&rig, 1, 1, 11, 2);
	check_refused(&rig.lanes[1], REFUSAL_STALE_SESSION, "not open");
	rig_lane(&rig, 2, REPLICA_LANE_BULK);
	rig_join(&rig, 2, 1, 11, 1);
	CHECK_EQ_INT(MESSAGE_JOINED, rig.lanes[2].answer.kind);
	rig_lane(&rig, 3, REPLICA_LANE_BULK);
	rig_join(&rig, 3, 1, 11, 1);
	check_refused(&rig.lanes[3], REFUSAL_ORDER, "already");
	rig_fini(&rig);
}

static void messages_out_of_place_end_the_connection(void)
{
	struct message message = {.kind = MESSAGE_PROBE};

	begin();
	rig_lane(&rig, 1, REPLICA_LANE_BULK);
	replica_message(&rig.lanes[1].lane, &message);
	check_refused(&rig.lanes[1], REFUSAL_ORDER, "PROBE");
	for (message.kind = MESSAGE_HELLO; message.kind < MESSAGE_KIND_COUNT; message.kind++) {
		if (message.kind == MESSAGE_PROMISE || message.kind == MESSAGE_ACCEPT || message.kind == MESSAGE_OPEN ||
		    message.kind == MESSAGE_SEED || message.kind == MESSAGE_CLAIM || voter_takes(message.kind))
			continue;
		rig_lane(&rig, 2, REPLICA_LANE_MAIN);
		replica_message(&rig.lanes[2].lane, &message);
		check_refused(&rig.lanes[2], REFUSAL_ORDER, "not allowed");
		rig_lane_gone(&rig, 2);
	}
	rig_fini(&rig);
}

/* -- Config -- */

static void a_config_is_accepted_when_it_is_durable(void)
{
	struct rig_lane *lane = begin();
	struct config config = next_config(3, 11, 2);

	rig_promise(&rig, 0, 3, 11);
	mem_store_run(&rig.mem);
	lane->answer_count = 0;
	rig_accept(&rig, 0, 3, 11, &config);
	CHECK_EQ_U64(0, lane->answer_count);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_ACCEPTED, lane->answer.kind);
	CHECK_EQ_U64(2, lane->answer.accepted.gen);
	CHECK_EQ_U64(2, on_disk().config.gen);
	CHECK_EQ_U64(3, on_disk().promised.epoch);
	rig_accept(&rig, 0, 3, 11, &config); /* the answer was lost: the same again is fine */
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_ACCEPTED, lane->answer.kind);
	rig_fini(&rig);
}

static void check_config_refused(const struct config *config, const char *part)
{
	begin();
	rig_promise(&rig, 0, 3, 11);
	mem_store_run(&rig.mem);
	rig_accept(&rig, 0, 3, 11, config);
	check_refused(&rig.lanes[0], REFUSAL_BAD_CONFIG, part);
	CHECK_EQ_U64(1, rig.replica.sb.config.gen);
	rig_fini(&rig);
}

static void a_config_of_another_set_or_geometry_is_refused(void)
{
	struct config config;

	rig_superblock(&rig.sb);
	config = next_config(3, 11, 2);
	config.volume_uuid.bytes[0] = 9;
	check_config_refused(&config, "another set");
	config = next_config(3, 11, 2);
	config.set_uuid.bytes[0] = 9;
	check_config_refused(&config, "another set");
	config = next_config(3, 11, 2);
	config.set_bytes += 4096;
	check_config_refused(&config, "geometry");
	config = next_config(3, 11, 2);
	config.block_bytes = 512;
	check_config_refused(&config, "geometry");
	config = next_config(3, 11, 2);
	config.chunk_bytes *= 2;
	check_config_refused(&config, "geometry");
	config = next_config(3, 11, 2);
	config.voters[0].uuid.bytes[0] = 9;
	check_config_refused(&config, "not a voter");
	config = next_config(3, 12, 2);
	check_config_refused(&config, "another attachment");
}

static void a_gen_never_names_two_configs(void)
{
	struct config config;

	begin();
	config = next_config(3, 11, 5);
	rig_promise(&rig, 0, 3, 11);
	mem_store_run(&rig.mem);
	rig_accept(&rig, 0, 3, 11, &config);
	mem_store_run(&rig.mem);
	config.loss_count = 1;
	rig_accept(&rig, 0, 3, 11, &config);
	check_refused(&rig.lanes[0], REFUSAL_BAD_CONFIG, "same gen");
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	config.gen = 4;
	rig_accept(&rig, 1, 3, 11, &config);
	check_refused(&rig.lanes[1], REFUSAL_BAD_CONFIG, "newer config");
	rig_fini(&rig);
}

static void a_config_needs_the_promised_ballot(void)
{
	struct config config;

	begin();
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_promise(&rig, 0, 3, 11);
	mem_store_run(&rig.mem);
	config = next_config(2, 11, 2);
	rig_accept(&rig, 0, 2, 11, &config);
	check_refused(&rig.lanes[0], REFUSAL_STALE_EPOCH, "promised");
	config = next_config(4, 11, 2);
	rig_accept(&rig, 1, 4, 11, &config);
	check_refused(&rig.lanes[1], REFUSAL_NOT_PROMISED, "promise");
	rig_fini(&rig);
}

/* -- HELLO, stop -- */

static void a_hello_for_another_volume_or_set_is_refused(void)
{
	struct message_hello hello = {.volume_uuid = rig_volume, .set_uuid = rig_set, .replica_uuid = rig_replica};
	struct replica_identity identity;
	struct message_refused refused;
	struct superblock sb;

	rig_superblock(&sb);
	replica_identity_of(&sb, &identity);
	CHECK_EQ_INT(REFUSAL_NONE, replica_check_hello(&identity, &hello, &refused));
	hello.set_uuid.bytes[3] = 1;
	CHECK_EQ_INT(REFUSAL_WRONG_SET, replica_check_hello(&identity, &hello, &refused));
	CHECK_STR_HAS("vol", refused.text);
	hello.volume_uuid.bytes[3] = 1;
	CHECK_EQ_INT(REFUSAL_WRONG_VOLUME, replica_check_hello(&identity, &hello, &refused));
	CHECK_STR_HAS("01010000", refused.text);
}

static void a_stop_closes_drains_syncs_and_leaves_the_clean_flag(void)
{
	struct frame frame;

	rig_init(&rig);
	rig_serve_bulk(&rig);
	frame = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	replica_stop(&rig.replica);
	CHECK_TRUE(rig.lanes[0].closing && rig.lanes[1].closing);
	CHECK_NULL(mem_store_find(&rig.mem, STORE_SYNC));
	rig_lane_gone(&rig, 0);
	rig_lane_gone(&rig, 1);
	CHECK_NULL(mem_store_find(&rig.mem, STORE_SYNC)); /* the write first */
	mem_store_complete(&rig.mem, mem_store_pending(&rig.mem, 0), 0);
	CHECK_NOT_NULL(mem_store_find(&rig.mem, STORE_SYNC));
	CHECK_FALSE(rig.stopped);
	mem_store_run(&rig.mem);
	CHECK_TRUE(rig.stopped);
	CHECK_TRUE(on_disk().clean);
	rig_fini(&rig);
}

static void a_failed_last_sync_leaves_no_clean_flag(void)
{
	rig_init(&rig);
	rig_lane(&rig, 0, REPLICA_LANE_MAIN);
	rig_promise(&rig, 0, 1, 11);
	mem_store_run(&rig.mem);
	rig_lane_gone(&rig, 0);
	replica_stop(&rig.replica);
	mem_store_complete(&rig.mem, mem_store_pending(&rig.mem, 0), -EIO);
	mem_store_run(&rig.mem);
	CHECK_TRUE(rig.stopped);
	CHECK_FALSE(on_disk().clean);
	rig_fini(&rig);
}

static void a_stop_while_a_promise_is_being_written_waits_for_it(void)
{
	begin();
	rig_promise(&rig, 0, 3, 11);
	replica_stop(&rig.replica);
	rig_lane_gone(&rig, 0);
	CHECK_EQ_U64(1, rig.mem.pending_count);
	mem_store_run(&rig.mem);
	CHECK_TRUE(rig.stopped);
	CHECK_EQ_U64(3, on_disk().promised.epoch);
	CHECK_TRUE(on_disk().clean);
	rig_fini(&rig);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_probe_promises_nothing),
	CHECK_TEST(a_promise_is_answered_only_when_it_is_durable),
	CHECK_TEST(the_same_ballot_is_promised_again_without_a_write),
	CHECK_TEST(a_lower_epoch_is_refused_and_told_what_stands),
	CHECK_TEST(the_same_epoch_of_another_attachment_is_refused),
	CHECK_TEST(epoch_zero_is_never_promised),
	CHECK_TEST(two_promises_are_served_one_after_the_other),
	CHECK_TEST(a_promise_that_cannot_be_written_is_refused_and_still_fences),
	CHECK_TEST(the_asker_of_a_promise_may_vanish_meanwhile),
	CHECK_TEST(a_promise_waits_for_the_old_sessions_write_in_flight),
	CHECK_TEST(a_promise_waits_until_the_old_connections_are_closed),
	CHECK_TEST(half_a_write_of_a_fenced_session_never_reaches_the_store),
	CHECK_TEST(what_a_fenced_connection_still_sends_is_stale),
	CHECK_TEST(a_promise_on_the_sessions_own_connection_keeps_that_connection),
	CHECK_TEST(a_session_opens_under_the_promised_ballot_only),
	CHECK_TEST(nothing_opens_before_any_promise),
	CHECK_TEST(a_session_number_never_comes_twice),
	CHECK_TEST(a_newer_session_drains_the_older_one_first),
	CHECK_TEST(a_higher_promise_lets_session_numbers_start_again),
	CHECK_TEST(the_bulk_lane_joins_only_the_open_session),
	CHECK_TEST(messages_out_of_place_end_the_connection),
	CHECK_TEST(a_config_is_accepted_when_it_is_durable),
	CHECK_TEST(a_config_of_another_set_or_geometry_is_refused),
	CHECK_TEST(a_gen_never_names_two_configs),
	CHECK_TEST(a_config_needs_the_promised_ballot),
	CHECK_TEST(a_hello_for_another_volume_or_set_is_refused),
	CHECK_TEST(a_stop_closes_drains_syncs_and_leaves_the_clean_flag),
	CHECK_TEST(a_failed_last_sync_leaves_no_clean_flag),
	CHECK_TEST(a_stop_while_a_promise_is_being_written_waits_for_it),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("replica", tests, argc, argv);
}
