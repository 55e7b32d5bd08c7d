/* A leg that is lost after the attach: what the volume does meanwhile, and who may come back. */
#include "tests/unit/engine_harness.h"

#include <errno.h>

#include "tests/unit/check.h"

static struct harness h;

static void start(unsigned sets, unsigned replicas)
{
	struct volume_spec spec = harness_spec(sets, replicas);

	harness_fini(&h);
	harness_init(&h, &spec, NULL);
}

static void without_a_majority_a_lost_leg_suspends_the_volume_until_it_is_back(void)
{
	start(2, 2);
	harness_attach(&h);
	harness_kill(&h, 3);
	CHECK_EQ_INT(VOLUME_SUSPENDED, harness_status(&h).state);
	CHECK_STR("r3 (10.0.0.4:7420)", harness_status(&h).waits_for);
	harness_raise(&h, 3);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	CHECK_EQ_U64(2, h.replicas[3].session);
	CHECK_EQ_U64(1, harness_status(&h).legs[3].reconnects);
	CHECK_EQ_U64(1, h.replicas[3].promised.epoch);
	CHECK_EQ_U64(1, h.attached_count);
}

static void a_leg_that_was_up_is_tried_again_after_the_shortest_pause(void)
{
	start(1, 1);
	h.replicas[0].is_reachable = false;
	engine_attach(h.engine);
	for (unsigned i = 0; i < 5; i++) {
		harness_tick(&h, 16 * h.options.reconnect_ns);
		harness_pump(&h);
	}
	harness_raise(&h, 0);
	harness_break(&h, 0, LANE_MAIN);
	harness_pump(&h);
	harness_tick(&h, h.options.reconnect_ns - 1);
	CHECK_EQ_INT(HARNESS_CLOSED, h.lanes[0][LANE_MAIN].state);
	harness_tick(&h, 1);
	CHECK_EQ_INT(HARNESS_CONNECTING, h.lanes[0][LANE_MAIN].state);
}

static void losing_either_lane_loses_both(void)
{
	for (int lane = LANE_MAIN; lane < LANE_COUNT; lane++) {
		start(1, 2);
		harness_attach(&h);
		harness_break(&h, 0, (enum lane)lane);
		CHECK_TRUE(h.lanes[0][1 - lane].is_aborted);
		CHECK_EQ_INT(LEG_CLOSING, harness_status(&h).legs[0].state);
		harness_pump(&h);
		CHECK_EQ_INT(LEG_DOWN, harness_status(&h).legs[0].state);
		harness_raise(&h, 0);
	}
}

static void a_rolled_back_replica_does_not_come_back(void)
{
	struct config old;

	start(1, 2);
	old = h.replicas[1].config;
	harness_attach(&h);
	harness_kill(&h, 1);
	h.replicas[1].config = old;
	h.replicas[1].is_reachable = true;
	harness_tick(&h, 10000000000ull);
	harness_pump(&h);
	CHECK_EQ_INT(VOLUME_SUSPENDED, harness_status(&h).state);
	CHECK_STR_HAS("r1 (10.0.0.2:7420): its state is older than what it had stored", harness_status(&h).waits_for);
}

static void a_replica_that_forgot_its_promise_does_not_come_back(void)
{
	start(1, 2);
	harness_attach(&h);
	harness_kill(&h, 1);
	h.replicas[1].promised = (struct ballot){0, 0};
	h.replicas[1].is_reachable = true;
	harness_tick(&h, 10000000000ull);
	harness_pump(&h);
	CHECK_STR_HAS("r1 (10.0.0.2:7420): its state is older than what it had stored", harness_status(&h).waits_for);
	CHECK_EQ_U64(1, h.replicas[1].session);
}

static void a_volume_taken_over_fails_its_requests(void)
{
	start(1, 2);
	harness_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, MIB);
	harness_kill(&h, 1);
	h.replicas[1].config.ballot = h.replicas[1].promised = (struct ballot){2, 999};
	h.replicas[1].config.gen++;
	h.replicas[1].is_reachable = true;
	harness_tick(&h, 10000000000ull);
	CHECK_EQ_U64(1, h.pending);
	harness_pump(&h);
	harness_tick(&h, 16 * h.options.reconnect_ns);
	harness_pump(&h);
	CHECK_EQ_INT(VOLUME_FAILED, harness_status(&h).state);
	CHECK_STR_HAS("another gateway has attached it (epoch 2)", harness_status(&h).reason);
	CHECK_STR("", harness_status(&h).waits_for);
	CHECK_EQ_U64(1, h.event_count[EVENT_FAILED]);
	CHECK_STR_HAS("detach it here", h.last_event_text[EVENT_FAILED]);
	CHECK_EQ_U64(0, h.pending);
	CHECK_ERRNO(-EIO, h.errors[0]);
	CHECK_EQ_U64(1, h.attached_count);
}

static void a_contender_that_came_to_nothing_is_overbid_in_place(void)
{
	start(1, 2);
	harness_attach(&h);
	harness_kill(&h, 1);
	h.replicas[1].promised = (struct ballot){2, 999};
	h.replicas[1].is_reachable = true;
	harness_tick(&h, 10000000000ull);
	harness_pump(&h);
	harness_tick(&h, 16 * h.options.reconnect_ns);
	harness_pump(&h);
	CHECK_EQ_INT(VOLUME_SERVING, harness_status(&h).state);
	CHECK_EQ_U64(3, harness_status(&h).epoch);
	CHECK_EQ_U64(3, h.replicas[1].promised.epoch);
	CHECK_EQ_U64(1, h.attached_count);
	CHECK_EQ_U64(1, h.event_count[EVENT_REATTACHING]);
}

static void an_idle_leg_is_lost_when_its_heartbeats_stay_unanswered(void)
{
	start(1, 1);
	harness_attach(&h);
	h.replicas[0].mute_on = MESSAGE_HEARTBEAT;
	harness_tick(&h, LEASE_MS * 1000000ull / 6);
	harness_pump(&h);
	harness_tick(&h, h.options.answer_deadline_ns);
	CHECK_FALSE(h.lanes[0][LANE_MAIN].is_aborted);
	harness_tick(&h, 1);
	CHECK_TRUE(h.lanes[0][LANE_MAIN].is_aborted);
	CHECK_STR("no answer to HEARTBEAT", h.lanes[0][LANE_MAIN].reason);
	h.replicas[0].mute_on = 0;
	harness_pump(&h);
	harness_raise(&h, 0);
}

static void submit_writes(unsigned from, unsigned count)
{
	for (unsigned i = from; i < from + count; i++)
		harness_submit(&h, i, REQUEST_WRITE, 0, i * MIB, 4096);
}

/* What stands behind others in a long queue is no sign of a lost replica, while answers come. */
static void a_busy_leg_is_lost_only_when_it_falls_silent(void)
{
	uint64_t step;

	start(1, 1);
	step = h.options.answer_deadline_ns / 2;
	harness_attach(&h);
	submit_writes(0, 8);
	for (unsigned i = 0; i < 7; i++) {
		harness_answer(&h, harness_find(&h, 0, FRAME_WRITE), WIRE_OK);
		harness_tick(&h, step);
		harness_pump(&h);
		CHECK_FALSE(h.lanes[0][LANE_MAIN].is_aborted);
	}
	harness_tick(&h, step);
	CHECK_FALSE(h.lanes[0][LANE_MAIN].is_aborted);
	harness_tick(&h, 1);
	CHECK_TRUE(h.lanes[0][LANE_MAIN].is_aborted);
	harness_pump(&h);
	harness_raise(&h, 0);
}

/* P8 counts from there. */
static void what_stood_behind_others_was_not_missed_before_they_were_answered(void)
{
	start(1, 3);
	harness_attach(&h);
	submit_writes(0, 2);
	harness_tick(&h, h.options.answer_deadline_ns);
	harness_answer(&h, harness_find(&h, 2, FRAME_WRITE), WIRE_OK);
	for (unsigned leg = 0; leg < 2; leg++) {
		harness_answer(&h, harness_find(&h, leg, FRAME_WRITE), WIRE_OK);
		harness_answer(&h, harness_find(&h, leg, FRAME_WRITE), WIRE_OK);
	}
	harness_pump(&h);
	harness_tick(&h, h.options.answer_deadline_ns + 1);
	harness_pump(&h);
	harness_sweep(&h);
	CHECK_EQ_U64(1, h.event_count[EVENT_EVICTED]);
	CHECK_EQ_U64(h.options.answer_deadline_ns + 1, h.last_event[EVENT_EVICTED].duration_ns);
}

static void one_answer_that_never_comes_loses_its_leg_though_others_come(void)
{
	struct harness_sent *forgotten;
	uint64_t deadline;

	start(1, 1);
	deadline = h.options.answer_deadline_ns;
	harness_attach(&h);
	submit_writes(0, 1);
	forgotten = harness_find(&h, 0, FRAME_WRITE);
	forgotten->is_answered = true;
	for (unsigned i = 0; i < 10; i++) {
		submit_writes(1, 1);
		harness_answer(&h, harness_find(&h, 0, FRAME_WRITE), WIRE_OK);
		harness_tick(&h, deadline);
		harness_pump(&h);
		CHECK_FALSE(h.lanes[0][LANE_MAIN].is_aborted);
	}
	submit_writes(1, 1);
	harness_answer(&h, harness_find(&h, 0, FRAME_WRITE), WIRE_OK);
	harness_tick(&h, deadline);
	CHECK_TRUE(h.lanes[0][LANE_MAIN].is_aborted);
	CHECK_STR_HAS("no answer within", h.lanes[0][LANE_MAIN].reason);
	harness_pump(&h);
	harness_raise(&h, 0);
}

static const struct check_test tests[] = {
	CHECK_TEST(without_a_majority_a_lost_leg_suspends_the_volume_until_it_is_back),
	CHECK_TEST(a_leg_that_was_up_is_tried_again_after_the_shortest_pause),
	CHECK_TEST(losing_either_lane_loses_both),
	CHECK_TEST(a_rolled_back_replica_does_not_come_back),
	CHECK_TEST(a_replica_that_forgot_its_promise_does_not_come_back),
	CHECK_TEST(a_volume_taken_over_fails_its_requests),
	CHECK_TEST(a_contender_that_came_to_nothing_is_overbid_in_place),
	CHECK_TEST(an_idle_leg_is_lost_when_its_heartbeats_stay_unanswered),
	CHECK_TEST(a_busy_leg_is_lost_only_when_it_falls_silent),
	CHECK_TEST(what_stood_behind_others_was_not_missed_before_they_were_answered),
	CHECK_TEST(one_answer_that_never_comes_loses_its_leg_though_others_come),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_link", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
