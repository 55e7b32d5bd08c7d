/* Detach: one last flush, and what happens when it cannot be had. */
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

/* Completed, and not durable yet. */
static void start_with_a_write(unsigned sets, unsigned replicas)
{
	start(sets, replicas);
	harness_attach(&h);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_answer_all(&h);
}

static void detach_flushes_once_more_and_ends(void)
{
	start_with_a_write(2, 2);
	engine_detach(h.engine);
	CHECK_EQ_U64(0, h.detached_count);
	CHECK_EQ_U64(2, harness_count(&h, FRAME_FLUSH));
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_OK(h.detached_error);
	harness_pump(&h);
	harness_tick(&h, 60000000000ull);
	harness_pump(&h);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_EQ_INT(HARNESS_CLOSED, h.lanes[0][LANE_MAIN].state);
}

static void answer_flushes(void)
{
	for (unsigned leg = 0; leg < 2; leg++)
		harness_answer(&h, harness_find(&h, leg, FRAME_FLUSH), WIRE_OK);
}

/* Else the next attach compares all that was written last: the list that it finds is as long as the last frame left it.
 */
static void detach_tells_the_replicas_what_it_made_durable(void)
{
	start_with_a_write(1, 2);
	engine_detach(h.engine);
	CHECK_EQ_U64(0, harness_find(&h, 0, FRAME_FLUSH)->frame.stable_upto);
	answer_flushes();
	CHECK_EQ_U64(0, h.detached_count);
	CHECK_EQ_U64(1, harness_find(&h, 0, FRAME_FLUSH)->frame.stable_upto);
	CHECK_EQ_U64(1, harness_find(&h, 1, FRAME_FLUSH)->frame.stable_upto);
	answer_flushes();
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_OK(h.detached_error);
}

static void what_they_were_told_is_not_told_again(void)
{
	start_with_a_write(1, 2);
	for (unsigned i = 0; i < 2; i++) {
		harness_submit(&h, 0, REQUEST_FLUSH, 0, 0, 0);
		answer_flushes();
	}
	harness_tick(&h, 1);
	harness_pump(&h);
	engine_detach(h.engine);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_OK(h.detached_error);
}

/* An idle volume whose gateway dies has nothing to compare either. */
static void the_background_tells_once_and_rests(void)
{
	start_with_a_write(1, 2);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ_U64(0, harness_count(&h, FRAME_FLUSH));
		harness_tick(&h, h.options.sync_interval_ns);
		CHECK_EQ_U64(i, harness_find(&h, 0, FRAME_FLUSH)->frame.stable_upto);
		answer_flushes();
	}
	harness_tick(&h, h.options.sync_interval_ns);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_FLUSH));
}

static void detach_is_well_though_a_replica_is_lost_before_it_is_told(void)
{
	start_with_a_write(1, 2);
	engine_detach(h.engine);
	answer_flushes();
	harness_kill(&h, 0);
	harness_tick(&h, h.options.answer_deadline_ns + 1);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_OK(h.detached_error);
}

static void detach_with_nothing_to_flush_ends_at_once(void)
{
	start(1, 2);
	harness_attach(&h);
	engine_detach(h.engine);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_OK(h.detached_error);
}

static void detach_before_attached_ends_at_once(void)
{
	start(1, 2);
	engine_attach(h.engine);
	engine_detach(h.engine);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_OK(h.detached_error);
	harness_pump(&h);
	CHECK_EQ_U64(0, h.attached_count);
}

static void detach_gives_up_on_a_replica_that_stays_away(void)
{
	start_with_a_write(1, 2);
	harness_kill(&h, 0);
	engine_detach(h.engine);
	harness_tick(&h, h.options.answer_deadline_ns);
	CHECK_EQ_U64(0, h.detached_count);
	harness_tick(&h, 1);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_ERRNO(-ETIMEDOUT, h.detached_error);
}

static void detach_waits_for_a_replica_that_comes_back(void)
{
	start_with_a_write(1, 2);
	harness_kill(&h, 0);
	engine_detach(h.engine);
	h.replicas[0].is_reachable = true;
	harness_tick(&h, h.options.reconnect_ns);
	harness_pump(&h);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_OK(h.detached_error);
}

static void detach_reports_a_flush_that_failed(void)
{
	start_with_a_write(1, 1);
	engine_detach(h.engine);
	harness_answer(&h, harness_find(&h, 0, FRAME_FLUSH), WIRE_EIO);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, h.detached_count);
	CHECK_ERRNO(-EIO, h.detached_error);
}

static const struct check_test tests[] = {
	CHECK_TEST(detach_flushes_once_more_and_ends),
	CHECK_TEST(detach_tells_the_replicas_what_it_made_durable),
	CHECK_TEST(what_they_were_told_is_not_told_again),
	CHECK_TEST(the_background_tells_once_and_rests),
	CHECK_TEST(detach_is_well_though_a_replica_is_lost_before_it_is_told),
	CHECK_TEST(detach_with_nothing_to_flush_ends_at_once),
	CHECK_TEST(detach_before_attached_ends_at_once),
	CHECK_TEST(detach_gives_up_on_a_replica_that_stays_away),
	CHECK_TEST(detach_waits_for_a_replica_that_comes_back),
	CHECK_TEST(detach_reports_a_flush_that_failed),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_detach", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
