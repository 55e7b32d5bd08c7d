/* The engine's writes that a replica refuses: who is told, who is read afterwards, what a new session repairs. */
#include "tests/unit/engine_harness.h"

#include <errno.h>

#include "tests/unit/check.h"

static struct harness h;

static void start(unsigned sets, unsigned replicas)
{
	struct volume_spec spec = harness_spec(sets, replicas);

	harness_fini(&h);
	harness_init(&h, &spec, NULL);
	harness_attach(&h);
}

static void answer(unsigned leg, uint8_t type, enum wire_status status)
{
	struct harness_sent *sent = harness_find(&h, leg, type);

	CHECK_NOT_NULL(sent);
	harness_answer(&h, sent, status);
}

static void a_write_error_of_all_replicas_fails_the_request_and_evicts_nobody(void)
{
	static const struct {
		enum wire_status status;
		int error;
	} cases[] = {{WIRE_EIO, -EIO}, {WIRE_ENOSPC, -ENOSPC}, {WIRE_EROFS, -EROFS}, {WIRE_EINVAL, -EINVAL}};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		start(1, 3);
		harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
		answer(1, FRAME_WRITE, cases[i].status);
		answer(0, FRAME_WRITE, cases[i].status);
		CHECK_EQ_U64(1, h.pending);
		answer(2, FRAME_WRITE, cases[i].status);
		CHECK_ERRNO(cases[i].error, h.errors[0]);
		CHECK_STR_HAS(wire_status_name(cases[i].status), harness_status(&h).legs[1].last_error);
		CHECK_EQ_U64(3, harness_status(&h).sets[0].in_sync);
		CHECK_EQ_U64(1, harness_status(&h).failed_requests);
		/* R12: it may differ now, so a read of it waits until it was made equal. */
		harness_submit(&h, 1, REQUEST_READ, 0, 0, 4096);
		CHECK_EQ_U64(0, harness_count(&h, FRAME_READ));
		harness_pump(&h);
		harness_answer_all(&h);
		CHECK_EQ_U64(0, h.pending);
		CHECK_OK(h.errors[1]);
	}
}

/* Replica 1 lacks the write: reading it would show the old value after 0 or 2 have shown the new one. */
static void a_write_error_of_one_replica_evicts_it_and_the_request_succeeds(void)
{
	start(1, 3);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	answer(1, FRAME_WRITE, WIRE_EIO);
	answer(0, FRAME_WRITE, WIRE_OK);
	answer(2, FRAME_WRITE, WIRE_OK);
	CHECK_EQ_U64(1, h.pending);
	CHECK_TRUE(h.lanes[1][LANE_MAIN].is_aborted);
	/* Evict before ack: stamped and known to a majority first. */
	CHECK_EQ_INT(VOTER_IN, h.replicas[0].config.voters[1].state);
	harness_pump(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
	CHECK_EQ_INT(VOTER_OUT, h.replicas[0].config.voters[1].state);
	CHECK_EQ_U64(2, h.replicas[0].config.voters[1].in_sync_gen);
	CHECK_EQ_U64(3, h.replicas[2].stamps[0]);
	CHECK_STR_HAS("a write failed: EIO", h.last_event_text[EVENT_EVICTED]);
	/* Not taken back before its server was started anew. */
	harness_tick(&h, 2000000000ull);
	harness_pump(&h);
	CHECK_EQ_INT(LEG_VOTING, harness_status(&h).legs[1].state);
	harness_break(&h, 1, LANE_MAIN);
	/* What people must mend is still told. */
	CHECK_STR_HAS("a write failed: EIO", harness_status(&h).legs[1].last_error);
	h.replicas[1].incarnation = 4242;
	harness_pump(&h);
	harness_raise(&h, 1);
}

static void a_busy_or_stale_answer_is_repaired_by_a_new_session(void)
{
	static const enum wire_status statuses[] = {WIRE_EBUSY, WIRE_ESTALE};

	for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
		struct frame reply;

		start(1, 2);
		harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
		reply = harness_reply(&h, harness_find(&h, 0, FRAME_WRITE));
		reply.status = statuses[i];
		reply.checksum = 0;
		CHECK_ERRNO(-EPROTO, harness_raw_reply(&h, 0, LANE_MAIN, &reply));
		CHECK_TRUE(h.lanes[0][LANE_MAIN].is_aborted);
		CHECK_TRUE(h.lanes[0][LANE_BULK].is_aborted);
		harness_pump(&h);
		harness_raise(&h, 0);
		CHECK_EQ_U64(2, harness_find(&h, 0, FRAME_WRITE)->frame.session);
		harness_answer_all(&h);
		CHECK_EQ_U64(0, h.pending);
		CHECK_OK(h.errors[0]);
	}
}

/* The only replica's machine restarts; ends when the engine has seen it. */
static void lose_power(void)
{
	harness_kill(&h, 0);
	harness_sweep(&h);
	h.replicas[0].incarnation++;
	h.replicas[0].boot_id.bytes[0]++;
	h.replicas[0].is_reachable = true;
	for (unsigned i = 0; i < 8; i++) {
		harness_tick(&h, 1000000000ull);
		harness_pump(&h);
	}
}

/* What a refused write left there is read as anything else: an older value afterwards needs a reason. */
static void a_write_that_failed_is_made_durable_or_its_loss_fails_the_volume(void)
{
	for (unsigned flush = 0; flush < 2; flush++) {
		start(1, 1);
		harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
		answer(0, FRAME_WRITE, WIRE_ENOSPC);
		CHECK_ERRNO(-ENOSPC, h.errors[0]);
		harness_submit(&h, 1, REQUEST_READ, 0, 0, 4096);
		harness_answer_all(&h);
		CHECK_OK(h.errors[1]);
		harness_tick(&h, flush ? h.options.sync_interval_ns : 0);
		CHECK_EQ_U64(flush, harness_count(&h, FRAME_FLUSH));
		harness_answer_all(&h);
		lose_power();
		CHECK_EQ_INT(flush ? VOLUME_SERVING : VOLUME_FAILED, harness_status(&h).state);
	}
}

/* stable_upto never passes the one that failed (R12), but what is durable is not lost. */
static void after_a_write_that_failed_what_was_flushed_is_no_loss(void)
{
	start(1, 1);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	answer(0, FRAME_WRITE, WIRE_ENOSPC);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 4096, 4096);
	harness_answer_all(&h);
	CHECK_OK(h.errors[0]);
	harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
	harness_answer_all(&h);
	CHECK_OK(h.errors[0]);
	lose_power();
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 4096, 4096);
	harness_answer_all(&h);
	CHECK_OK(h.errors[0]);
	lose_power();
	CHECK_EQ_INT(VOLUME_FAILED, harness_status(&h).state);
}

/* By policy, while the only replica is away: whoever comes back with it is read, and one without has lost nothing that
 * anybody saw. */
static void a_write_that_failed_while_its_replica_was_away_counts_when_that_is_back_with_it(void)
{
	struct volume_spec spec = harness_spec(1, 1);
	struct engine_options options = harness_options();

	options.fails_without_quorum = true;
	options.quorum_wait_ns = 1000000000ull;
	for (unsigned has_kept = 0; has_kept < 2; has_kept++) {
		harness_fini(&h);
		harness_init(&h, &spec, &options);
		harness_attach(&h);
		harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
		harness_kill(&h, 0);
		harness_sweep(&h);
		harness_tick(&h, 2000000000ull);
		CHECK_ERRNO(-EIO, h.errors[0]);
		if (has_kept)
			harness_raise(&h, 0);
		lose_power();
		CHECK_EQ_INT(has_kept ? VOLUME_FAILED : VOLUME_SERVING, harness_status(&h).state);
	}
}

/* The only replica in sync has a failed disk: the volume waits, and asks and tells once, until the server is started
 * anew. */
static void a_failed_disk_of_the_last_replica_is_waited_for_and_not_asked_again(void)
{
	start(1, 1);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	h.replicas[0].refuse_on = MESSAGE_OPEN;
	h.replicas[0].refusal = REFUSAL_STORE;
	harness_break(&h, 0, LANE_MAIN);
	for (unsigned i = 0; i < 20; i++) {
		harness_tick(&h, 1000000000ull);
		harness_pump(&h);
	}
	CHECK_EQ_U64(1, h.event_count[EVENT_SUSPENDED]);
	CHECK_EQ_U64(0, h.event_count[EVENT_RESUMED]);
	CHECK_EQ_INT(VOLUME_SUSPENDED, harness_status(&h).state);
	CHECK_STR_HAS("no replica in sync answers", harness_status(&h).reason);
	CHECK_STR_HAS("refused (store)", harness_status(&h).legs[0].last_error);
	CHECK_EQ_U64(1, h.pending);
	h.replicas[0].refuse_on = 0;
	h.replicas[0].incarnation = 4242;
	harness_break(&h, 0, LANE_MAIN);
	harness_pump(&h);
	harness_raise(&h, 0);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_write_error_of_all_replicas_fails_the_request_and_evicts_nobody),
	CHECK_TEST(a_write_error_of_one_replica_evicts_it_and_the_request_succeeds),
	CHECK_TEST(a_busy_or_stale_answer_is_repaired_by_a_new_session),
	CHECK_TEST(a_write_that_failed_is_made_durable_or_its_loss_fails_the_volume),
	CHECK_TEST(after_a_write_that_failed_what_was_flushed_is_no_loss),
	CHECK_TEST(a_write_that_failed_while_its_replica_was_away_counts_when_that_is_back_with_it),
	CHECK_TEST(a_failed_disk_of_the_last_replica_is_waited_for_and_not_asked_again),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_write_errors", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
