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
		reply.crc = 0;
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

static const struct check_test tests[] = {
	CHECK_TEST(a_write_error_of_all_replicas_fails_the_request_and_evicts_nobody),
	CHECK_TEST(a_write_error_of_one_replica_evicts_it_and_the_request_succeeds),
	CHECK_TEST(a_busy_or_stale_answer_is_repaired_by_a_new_session),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_write_errors", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
