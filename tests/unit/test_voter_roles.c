/* Leases. Who votes without serving: a connection without session, a replica whose disk failed, a witness. And copies,
 * which are no client's writes. */
#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/replica_rig.h"

#define LEASE_NS VOTER_LEASE_NS

static struct rig rig;

/* All that needs the promise. */
static const enum message_kind kinds[] = {MESSAGE_HEARTBEAT, MESSAGE_LIST_REGIONS, MESSAGE_STAMPED_REGIONS,
					  MESSAGE_STAMP,     MESSAGE_DIGEST,	   MESSAGE_FORGET};

static uint32_t lease_left(unsigned idx)
{
	rig_ask(&rig, idx, MESSAGE_PROBE, 0, 0);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[idx].answer.kind);
	return rig.lanes[idx].answer.state.lease_left_ms;
}

/* -- Leases -- */

static void a_heartbeat_grants_a_lease_with_the_drift_on_top(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);

	rig_ask(&rig, 0, MESSAGE_HEARTBEAT, 1, 11);
	CHECK_EQ_INT(MESSAGE_BEAT, lane->answer.kind);
	CHECK_EQ_U64(LEASE_MS * (100 + LEASE_DRIFT_PERCENT) / 100, lease_left(0));
	rig.replica.now_ns += LEASE_NS - 1;
	CHECK_EQ_U64(1, lease_left(0)); /* never rounded down to "over" */
	rig.replica.now_ns += 1;
	CHECK_EQ_U64(0, lease_left(0));
	rig_fini(&rig);
}

static void a_promise_tells_what_is_left_and_clears_nothing(void)
{
	rig_begin_promised(&rig);
	rig_ask(&rig, 0, MESSAGE_HEARTBEAT, 1, 11);
	rig.replica.now_ns += LEASE_NS / 2;
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_promise(&rig, 1, 2, 22);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[1].answer.kind);
	CHECK_EQ_U64(LEASE_NS / 2 / 1000000, rig.lanes[1].answer.state.lease_left_ms);
	rig_ask(&rig, 0, MESSAGE_HEARTBEAT, 1, 11);
	rig_check_refused(&rig.lanes[0], REFUSAL_STALE_EPOCH, "over");
	CHECK_EQ_U64(LEASE_NS / 2 / 1000000, lease_left(1));
	rig_fini(&rig);
}

static void a_server_that_has_just_started_counts_a_lease_from_its_start(void)
{
	rig_begin_promised(&rig);
	rig.server.started_ns = rig.replica.now_ns - 1000000000ull;
	CHECK_EQ_U64(LEASE_NS / 1000000 - 1000, lease_left(0));
	rig_ask(&rig, 0, MESSAGE_HEARTBEAT, 1, 11);
	CHECK_EQ_U64(LEASE_NS / 1000000, lease_left(0));
	rig_fini(&rig);
}

/* -- Voting without data -- */

static void a_connection_may_vote_beside_the_open_session(void)
{
	rig_begin_promised(&rig);
	rig_open(&rig, 0, 1, 11, 1);
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_promise(&rig, 1, 1, 11);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[1].answer.kind);
	rig_ask(&rig, 1, MESSAGE_HEARTBEAT, 1, 11);
	CHECK_EQ_INT(MESSAGE_BEAT, rig.lanes[1].answer.kind);
	CHECK_FALSE(rig.lanes[0].closing);
	CHECK_EQ_INT(SESSION_OPEN, rig.replica.session.state);
	rig_fini(&rig);
}

static void fail_the_disk(void)
{
	rig_ask(&rig, 0, MESSAGE_STAMP, 1, 11); /* a sync alone */
	rig_complete(&rig, STORE_SYNC, -EIO);
	CHECK_EQ_INT(REPLICA_FAILED, rig.replica.state);
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, 0); /* notes it */
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
}

static void a_replica_whose_disk_failed_still_votes(void)
{
	struct config config;

	rig_begin_promised(&rig);
	fail_the_disk();
	rig_promise(&rig, 1, 2, 22);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[1].answer.kind);
	CHECK_EQ_U64(2, rig.lanes[1].answer.state.promised.epoch);
	rig_ask(&rig, 1, MESSAGE_HEARTBEAT, 2, 22);
	CHECK_EQ_INT(MESSAGE_BEAT, rig.lanes[1].answer.kind);
	config = rig.sb.config;
	config.ballot = (struct ballot){2, 22};
	config.gen = 2;
	rig_accept(&rig, 1, 2, 22, &config);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_ACCEPTED, rig.lanes[1].answer.kind);
	rig_ask(&rig, 1, MESSAGE_LIST_REGIONS, 2, 22);
	CHECK_EQ_INT(MESSAGE_REGIONS, rig.lanes[1].answer.kind);
	rig_open(&rig, 1, 2, 22, 1);
	rig_check_refused(&rig.lanes[1], REFUSAL_STORE, "restart");
	rig_fini(&rig);
}

static void a_replica_whose_disk_failed_stamps_and_digests_nothing(void)
{
	rig_begin_promised(&rig);
	fail_the_disk();
	rig_ask(&rig, 1, MESSAGE_STAMP, 1, 11);
	rig_check_refused(&rig.lanes[1], REFUSAL_STORE, "restart");
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	rig_ask(&rig, 2, MESSAGE_DIGEST, 1, 11);
	rig_check_refused(&rig.lanes[2], REFUSAL_STORE, "restart");
	CHECK_EQ_U64(0, rig.mem.pending_count);
	rig_fini(&rig);
}

static void a_replica_whose_superblock_failed_does_not_vote(void)
{
	struct rig_lane *lane;

	rig_begin_promised(&rig);
	rig_promise(&rig, 0, 2, 22);
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, -EIO);
	rig_check_refused(&rig.lanes[0], REFUSAL_STORE, "superblock");
	lane = rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_ask(&rig, 1, MESSAGE_HEARTBEAT, 2, 22);
	rig_check_refused(lane, REFUSAL_STORE, "superblock");
	lane = rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	rig_promise(&rig, 2, 3, 33);
	rig_check_refused(lane, REFUSAL_STORE, "superblock");
	rig_fini(&rig);
}

/* -- Copies -- */

static struct frame copy(uint64_t offset, uint32_t gen)
{
	return (struct frame){.type = FRAME_WRITE,
			      .flags = FRAME_F_COPY | FRAME_F_STAMP,
			      .epoch = 1,
			      .session = 1,
			      .gen = gen,
			      .id = 5000,
			      .offset = offset,
			      .length = 4096};
}

static void a_copy_is_stamped_stored_and_not_listed(void)
{
	struct frame frame = copy(MIB, 7);

	rig_init(&rig);
	rig_serve(&rig);
	CHECK_OK(rig_frame(&rig, 0, &frame, 0xab));
	CHECK_NULL(mem_store_find(&rig.mem, STORE_WRITE));
	rig_complete(&rig, STORE_WRITE_STAMPS, 0);
	rig_complete(&rig, STORE_WRITE, 0);
	CHECK_EQ_U64(WIRE_OK, rig_status(&rig.lanes[0]));
	CHECK_TRUE(rig.lanes[0].replies[0].frame.checksum != 0);
	CHECK_EQ_U64(0xab, rig.mem.data[MIB]);
	CHECK_EQ_U64(7, stamps_get(&rig.replica.stamps, 1));
	CHECK_EQ_U64(0, unstable_count(&rig.replica.unstable));
	rig_fini(&rig);
}

static void a_copy_of_a_region_that_was_never_stamped_writes_no_stamp(void)
{
	struct frame frame = copy(MIB, 0);

	rig_init(&rig);
	rig_serve(&rig);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	CHECK_NULL(mem_store_find(&rig.mem, STORE_WRITE_STAMPS));
	rig_complete(&rig, STORE_WRITE, 0);
	CHECK_EQ_U64(WIRE_OK, rig_status(&rig.lanes[0]));
	rig_fini(&rig);
}

static void a_flush_waits_for_the_copies_before_it(void)
{
	struct frame frame = copy(MIB, 0), flush = rig_flush();

	rig_init(&rig);
	rig_serve(&rig);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	CHECK_NULL(mem_store_find(&rig.mem, STORE_SYNC));
	rig_complete(&rig, STORE_WRITE, 0);
	rig_complete(&rig, STORE_SYNC, 0);
	CHECK_EQ_U64(2, rig.lanes[0].reply_count);
	rig_fini(&rig);
}

/* -- Witness -- */

static void a_witness_votes(void)
{
	struct config config;
	struct rig_lane *lane;

	rig_init_witness(&rig);
	lane = rig_lane(&rig, 0, REPLICA_LANE_MAIN);
	rig_promise(&rig, 0, 1, 11);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, lane->answer.kind);
	rig_ask(&rig, 0, MESSAGE_HEARTBEAT, 1, 11);
	CHECK_EQ_INT(MESSAGE_BEAT, lane->answer.kind);
	CHECK_EQ_U64(LEASE_NS / 1000000, lease_left(0));
	config = rig.sb.config;
	config.ballot = (struct ballot){1, 11};
	config.gen = 2;
	rig_accept(&rig, 0, 1, 11, &config);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_ACCEPTED, lane->answer.kind);
	rig_fini(&rig);
}

static void a_witness_refuses_everything_about_data(void)
{
	rig_init_witness(&rig);
	rig_lane(&rig, 0, REPLICA_LANE_MAIN);
	rig_promise(&rig, 0, 1, 11);
	mem_store_run(&rig.mem);
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		if (kinds[i] == MESSAGE_HEARTBEAT)
			continue;
		rig_lane(&rig, 1, REPLICA_LANE_MAIN);
		rig_ask(&rig, 1, kinds[i], 1, 11);
		rig_check_refused(&rig.lanes[1], REFUSAL_ORDER, "witness");
		rig_lane_gone(&rig, 1);
	}
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_open(&rig, 1, 1, 11, 1);
	rig_check_refused(&rig.lanes[1], REFUSAL_ORDER, "witness");
	rig_lane(&rig, 2, REPLICA_LANE_BULK);
	rig_join(&rig, 2, 1, 11, 1);
	rig_check_refused(&rig.lanes[2], REFUSAL_ORDER, "witness");
	CHECK_EQ_U64(0, rig.mem.pending_count);
	rig_fini(&rig);
}

static void a_witness_carries_no_data_frame(void)
{
	struct frame frame = rig_read(0, 4096);

	rig_init_witness(&rig);
	rig_lane(&rig, 0, REPLICA_LANE_MAIN);
	CHECK_ERRNO(-EPROTO, rig_frame(&rig, 0, &frame, 0));
	rig_fini(&rig);
}

static void a_witness_stops_clean_without_a_sync(void)
{
	struct superblock_slots slots;
	struct superblock sb = {0};
	struct replica_info info;

	rig_init_witness(&rig);
	replica_info(&rig.replica, &info);
	CHECK_TRUE(info.is_witness);
	replica_stop(&rig.replica);
	CHECK_NULL(mem_store_find(&rig.mem, STORE_SYNC));
	mem_store_run(&rig.mem);
	CHECK_TRUE(rig.stopped);
	CHECK_OK(superblock_choose(rig.mem.superblock, &sb, &slots));
	CHECK_TRUE(sb.clean);
	CHECK_TRUE(superblock_is_witness(&sb));
	rig_fini(&rig);
}

static void a_witness_that_failed_is_gone_once_it_has_stopped(void)
{
	rig_init_witness(&rig);
	rig_lane(&rig, 0, REPLICA_LANE_MAIN);
	rig_promise(&rig, 0, 1, 11);
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, -EIO);
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	replica_stop(&rig.replica);
	rig_lane_gone(&rig, 0);
	CHECK_FALSE(rig.stopped);
	rig_lane_gone(&rig, 1); /* with nothing to write, its end is now; nothing follows */
	CHECK_TRUE(rig.stopped);
	rig_fini(&rig);
}

static void a_config_never_turns_a_replica_into_a_witness(void)
{
	struct rig_lane *lane = rig_begin_promised(&rig);
	struct config config = rig.sb.config;

	config.ballot = (struct ballot){1, 11};
	config.gen = 2;
	config.voters[1] = config.voters[0];
	config.voters[1].uuid.bytes[15] = 4;
	config.voter_count = 2;
	config.voters[0].kind = VOTER_WITNESS;
	rig_accept(&rig, 0, 1, 11, &config);
	rig_check_refused(lane, REFUSAL_BAD_CONFIG, "witness");
	rig_fini(&rig);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_heartbeat_grants_a_lease_with_the_drift_on_top),
	CHECK_TEST(a_promise_tells_what_is_left_and_clears_nothing),
	CHECK_TEST(a_server_that_has_just_started_counts_a_lease_from_its_start),
	CHECK_TEST(a_connection_may_vote_beside_the_open_session),
	CHECK_TEST(a_replica_whose_disk_failed_still_votes),
	CHECK_TEST(a_replica_whose_disk_failed_stamps_and_digests_nothing),
	CHECK_TEST(a_replica_whose_superblock_failed_does_not_vote),
	CHECK_TEST(a_copy_is_stamped_stored_and_not_listed),
	CHECK_TEST(a_copy_of_a_region_that_was_never_stamped_writes_no_stamp),
	CHECK_TEST(a_flush_waits_for_the_copies_before_it),
	CHECK_TEST(a_witness_votes),
	CHECK_TEST(a_witness_refuses_everything_about_data),
	CHECK_TEST(a_witness_carries_no_data_frame),
	CHECK_TEST(a_witness_stops_clean_without_a_sync),
	CHECK_TEST(a_witness_that_failed_is_gone_once_it_has_stopped),
	CHECK_TEST(a_config_never_turns_a_replica_into_a_witness),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("voter_roles", tests, argc, argv);
}
