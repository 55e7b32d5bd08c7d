/* FLUSH, FUA, the background SYNC, and what counts as stable (R5). */
#include "tests/unit/engine_harness.h"

#include <errno.h>

#include "tests/unit/check.h"
#include "tests/unit/sample.h"

static struct harness h;

static void start(unsigned sets, unsigned replicas)
{
	struct volume_spec spec = harness_spec(sets, replicas);
	struct engine_options options = harness_options();

	options.sync_interval_ns = 1000;
	harness_fini(&h);
	harness_init(&h, &spec, &options);
	harness_attach(&h);
}

static void answer(unsigned leg, uint8_t type, enum wire_status status)
{
	struct harness_sent *sent = harness_find(&h, leg, type);

	CHECK_NOT_NULL(sent);
	harness_answer(&h, sent, status);
}

static void write_block(unsigned slot, unsigned block)
{
	harness_submit(&h, slot, REQUEST_WRITE, 0, block * 4096ull, 4096);
}

static void flush(unsigned slot)
{
	harness_submit(&h, slot, REQUEST_FLUSH, 0, 0, 0);
}

/* What the replicas are told with the next write. */
static uint64_t stable_now(void)
{
	struct frame batch;

	engine_batch_frame(h.engine, 0, 128, &batch);
	return batch.stable_upto;
}

static void flush_goes_to_all_replicas_of_all_sets(void)
{
	start(2, 3);
	flush(0);
	CHECK_EQ_U64(6, harness_count(&h, FRAME_FLUSH));
	for (unsigned leg = 0; leg < 5; leg++)
		answer(leg, FRAME_FLUSH, WIRE_OK);
	CHECK_EQ_U64(1, h.pending);
	answer(5, FRAME_FLUSH, WIRE_OK);
	CHECK_EQ_U64(0, h.pending);
	CHECK_OK(h.errors[0]);
	CHECK_EQ_U64(1, harness_status(&h).flush_count);
}

static void completed_writes_are_stable_after_a_flush_of_all(void)
{
	start(1, 2);
	write_block(0, 0);
	write_block(1, 1);
	harness_answer_all(&h);
	CHECK_EQ_U64(0, stable_now());
	flush(2);
	answer(0, FRAME_FLUSH, WIRE_OK);
	CHECK_EQ_U64(0, stable_now());
	answer(1, FRAME_FLUSH, WIRE_OK);
	CHECK_EQ_U64(2, stable_now());
	write_block(0, 0);
	CHECK_EQ_U64(2, harness_find(&h, 1, FRAME_WRITE)->frame.stable_upto);
	harness_answer_all(&h);
}

static void a_write_acknowledged_after_the_flush_was_sent_is_not_stable(void)
{
	start(1, 2);
	write_block(0, 0);
	write_block(1, 1);
	answer(0, FRAME_WRITE, WIRE_OK);
	answer(1, FRAME_WRITE, WIRE_OK); /* block 0 is complete */
	answer(0, FRAME_WRITE, WIRE_OK);
	flush(2);
	answer(1, FRAME_WRITE, WIRE_OK); /* block 1 as well, but later */
	harness_answer_all(&h);
	CHECK_EQ_U64(1, stable_now());
	flush(2);
	harness_answer_all(&h);
	CHECK_EQ_U64(2, stable_now());
}

static void the_lowest_unacknowledged_write_holds_back_those_above_it(void)
{
	start(1, 2);
	for (unsigned i = 0; i < 4; i++)
		write_block(i, i);
	/* 1, 3 and 4 complete, 2 waits for leg 1. */
	for (unsigned i = 0; i < 4; i++)
		answer(0, FRAME_WRITE, WIRE_OK);
	answer(1, FRAME_WRITE, WIRE_OK);
	harness_find(&h, 1, FRAME_WRITE)->is_answered = true;
	answer(1, FRAME_WRITE, WIRE_OK);
	answer(1, FRAME_WRITE, WIRE_OK);
	CHECK_EQ_U64(1, h.pending);
	flush(5);
	answer(0, FRAME_FLUSH, WIRE_OK);
	answer(1, FRAME_FLUSH, WIRE_OK);
	CHECK_EQ_U64(1, stable_now());
}

static void a_flush_sent_again_proves_what_it_proved_when_it_was_first_sent(void)
{
	start(1, 1);
	write_block(0, 0);
	harness_answer_all(&h);
	flush(1);
	write_block(2, 2);
	harness_kill(&h, 0);
	harness_sweep(&h);
	harness_raise(&h, 0);
	answer(0, FRAME_WRITE, WIRE_OK);
	CHECK_EQ_U64(2, harness_find(&h, 0, FRAME_FLUSH)->frame.session);
	answer(0, FRAME_FLUSH, WIRE_OK);
	CHECK_OK(h.errors[1]);
	CHECK_EQ_U64(1, stable_now());
}

static void a_flush_that_failed_on_all_fails_and_is_never_retried_into_success(void)
{
	start(2, 1);
	write_block(0, 0);
	harness_answer_all(&h);
	flush(1);
	answer(0, FRAME_FLUSH, WIRE_EIO);
	harness_answer_all(&h);
	CHECK_ERRNO(-EIO, h.errors[1]);
	CHECK_EQ_U64(0, stable_now());
	flush(1);
	harness_answer_all(&h);
	CHECK_ERRNO(-EIO, h.errors[1]);
	harness_kill(&h, 0);
	harness_sweep(&h);
	harness_raise(&h, 0);
	flush(1);
	harness_answer_all(&h);
	CHECK_ERRNO(-EIO, h.errors[1]);
	CHECK_EQ_U64(0, stable_now());
}

static void a_flush_that_failed_on_one_evicts_it(void)
{
	start(1, 3);
	write_block(0, 0);
	harness_answer_all(&h);
	flush(1);
	answer(1, FRAME_FLUSH, WIRE_EIO);
	harness_answer_all(&h);
	CHECK_TRUE(h.is_pending[1]);
	harness_pump(&h);
	CHECK_FALSE(h.is_pending[1]);
	CHECK_OK(h.errors[1]);
	CHECK_EQ_INT(VOTER_OUT, h.replicas[0].config.voters[1].state);
	CHECK_STR_HAS("its FLUSH failed: EIO", harness_status(&h).legs[1].last_error);
}

/* Its server has noted it, and says so by another boot id: what it had completed was durable before. */
static void a_replica_that_failed_to_sync_and_lost_nothing_flushes_again(void)
{
	start(1, 1);
	write_block(0, 0);
	harness_answer_all(&h);
	flush(1);
	harness_answer_all(&h);
	CHECK_OK(h.errors[1]);
	flush(1);
	answer(0, FRAME_FLUSH, WIRE_EIO);
	harness_answer_all(&h);
	CHECK_ERRNO(-EIO, h.errors[1]);
	harness_kill(&h, 0);
	harness_sweep(&h);
	h.replicas[0].incarnation++;
	h.replicas[0].boot_id.bytes[12] ^= 1;
	harness_raise(&h, 0);
	flush(1);
	harness_answer_all(&h);
	CHECK_OK(h.errors[1]);
}

static void the_last_replica_that_failed_to_sync_says_what_is_lost(void)
{
	start(1, 1);
	write_block(0, 0);
	harness_answer_all(&h);
	harness_kill(&h, 0);
	harness_sweep(&h);
	h.replicas[0].incarnation++;
	h.replicas[0].boot_id.bytes[12] ^= 1;
	h.replicas[0].is_reachable = true;
	harness_tick(&h, 2000000000ull);
	harness_pump(&h);
	CHECK_EQ_INT(VOLUME_FAILED, harness_status(&h).state);
	CHECK_STR_HAS("failed to sync its disk", harness_status(&h).reason);
	CHECK_EQ_U64(1, h.event_count[EVENT_LOSS_RECORDED]);
}

static void a_failed_write_is_never_stable(void)
{
	start(1, 2);
	write_block(0, 0);
	harness_answer_all(&h);
	write_block(0, 1);
	answer(0, FRAME_WRITE, WIRE_ENOSPC);
	answer(1, FRAME_WRITE, WIRE_ENOSPC);
	harness_answer_all(&h);
	write_block(0, 2);
	harness_answer_all(&h);
	flush(1);
	harness_answer_all(&h);
	CHECK_OK(h.errors[1]);
	CHECK_EQ_U64(1, stable_now());
}

static void the_first_background_sync_comes_an_interval_after_the_attach(void)
{
	struct volume_spec spec = harness_spec(1, 2);
	struct engine_options options = harness_options();

	/* As on a machine that has been up for much longer than the interval. */
	options.sync_interval_ns = 900000000;
	harness_fini(&h);
	harness_init(&h, &spec, &options);
	harness_attach(&h);
	write_block(0, 0);
	harness_answer_all(&h);
	harness_tick(&h, 899999999);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_FLUSH));
	harness_tick(&h, 1);
	CHECK_EQ_U64(2, harness_count(&h, FRAME_FLUSH));
	harness_answer_all(&h);
}

static void completed_writes_are_synced_in_the_background(void)
{
	start(2, 2);
	harness_tick(&h, 1000);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_FLUSH));
	write_block(0, 0);
	harness_tick(&h, 1000);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_FLUSH));
	harness_answer_all(&h);
	harness_tick(&h, 1000);
	CHECK_EQ_U64(2, harness_count(&h, FRAME_FLUSH)); /* set 0 alone */
	CHECK_EQ_U64(0, engine_outstanding(h.engine));
	harness_tick(&h, 1000);
	CHECK_EQ_U64(2, harness_count(&h, FRAME_FLUSH));
	harness_answer_all(&h);
	CHECK_EQ_U64(1, stable_now());
	harness_tick(&h, 1000);
	CHECK_EQ_U64(2, harness_count(&h, FRAME_FLUSH)); /* that tells what the one before proved */
	harness_answer_all(&h);
	harness_tick(&h, 1000);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_FLUSH));
	CHECK_EQ_U64(0, harness_status(&h).flush_count);
}

static void what_completes_during_a_sync_is_synced_next(void)
{
	start(1, 2);
	write_block(0, 0);
	harness_answer_all(&h);
	harness_tick(&h, 1000);
	write_block(0, 1);
	answer(0, FRAME_WRITE, WIRE_OK);
	answer(1, FRAME_WRITE, WIRE_OK);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, stable_now());
	harness_tick(&h, 1000);
	CHECK_EQ_U64(2, harness_count(&h, FRAME_FLUSH));
	harness_answer_all(&h);
	CHECK_EQ_U64(2, stable_now());
}

static void flushes_of_the_application_make_a_sync_unnecessary(void)
{
	start(1, 2);
	write_block(0, 0);
	harness_answer_all(&h);
	for (unsigned i = 0; i < 2; i++) {
		flush(1);
		harness_answer_all(&h);
	}
	harness_tick(&h, 100000);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_FLUSH));
}

static void a_sync_that_fails_is_told_to_the_next_flush(void)
{
	start(1, 1);
	write_block(0, 0);
	harness_answer_all(&h);
	harness_tick(&h, 1000);
	answer(0, FRAME_FLUSH, WIRE_EIO);
	harness_answer_all(&h);
	harness_tick(&h, 1000);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_FLUSH));
	flush(1);
	CHECK_ERRNO(-EIO, h.errors[1]);
}

static void a_lost_sync_is_sent_again(void)
{
	start(1, 1);
	write_block(0, 0);
	harness_answer_all(&h);
	harness_tick(&h, 1000);
	harness_kill(&h, 0);
	harness_sweep(&h);
	CHECK_EQ_U64(0, harness_count(&h, FRAME_FLUSH));
	harness_raise(&h, 0);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_FLUSH));
	harness_answer_all(&h);
	CHECK_EQ_U64(1, stable_now());
}

static void a_flush_waits_for_a_suspended_set(void)
{
	start(2, 1);
	harness_kill(&h, 1);
	flush(0);
	CHECK_EQ_U64(1, harness_count(&h, FRAME_FLUSH));
	harness_raise(&h, 1);
	CHECK_EQ_U64(2, harness_count(&h, FRAME_FLUSH));
	harness_answer_all(&h);
	CHECK_EQ_U64(0, h.pending);
}

static void each_set_has_its_own_numbers(void)
{
	start(2, 1);
	harness_submit(&h, 0, REQUEST_WRITE, 0, 0, 4096);
	harness_submit(&h, 1, REQUEST_WRITE, 0, MIB, 4096);
	harness_submit(&h, 2, REQUEST_WRITE, 0, MIB + 4096, 4096);
	CHECK_EQ_U64(1, harness_find(&h, 0, FRAME_WRITE)->frame.wseq);
	CHECK_EQ_U64(1, harness_find(&h, 1, FRAME_WRITE)->frame.wseq);
	harness_answer_all(&h);
	flush(0);
	harness_answer_all(&h);
	CHECK_EQ_U64(1, stable_now());
}

static const struct check_test tests[] = {
	CHECK_TEST(flush_goes_to_all_replicas_of_all_sets),
	CHECK_TEST(completed_writes_are_stable_after_a_flush_of_all),
	CHECK_TEST(a_write_acknowledged_after_the_flush_was_sent_is_not_stable),
	CHECK_TEST(the_lowest_unacknowledged_write_holds_back_those_above_it),
	CHECK_TEST(a_flush_sent_again_proves_what_it_proved_when_it_was_first_sent),
	CHECK_TEST(a_flush_that_failed_on_all_fails_and_is_never_retried_into_success),
	CHECK_TEST(a_flush_that_failed_on_one_evicts_it),
	CHECK_TEST(a_replica_that_failed_to_sync_and_lost_nothing_flushes_again),
	CHECK_TEST(the_last_replica_that_failed_to_sync_says_what_is_lost),
	CHECK_TEST(a_failed_write_is_never_stable),
	CHECK_TEST(the_first_background_sync_comes_an_interval_after_the_attach),
	CHECK_TEST(completed_writes_are_synced_in_the_background),
	CHECK_TEST(what_completes_during_a_sync_is_synced_next),
	CHECK_TEST(flushes_of_the_application_make_a_sync_unnecessary),
	CHECK_TEST(a_sync_that_fails_is_told_to_the_next_flush),
	CHECK_TEST(a_lost_sync_is_sent_again),
	CHECK_TEST(a_flush_waits_for_a_suspended_set),
	CHECK_TEST(each_set_has_its_own_numbers),
};

int main(int argc, char **argv)
{
	int failures = CHECK_MAIN("engine_flush", tests, argc, argv);

	harness_fini(&h);
	return failures;
}
