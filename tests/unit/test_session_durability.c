/* What a session makes durable before it answers, and in which order: flushes, stamps, the list. */
#include <errno.h>
#include <string.h>

#include "common/limits.h"
#include "tests/unit/check.h"
#include "tests/unit/replica_rig.h"

static struct rig rig;

static void begin(void)
{
	rig_init(&rig);
	rig_serve(&rig);
}

static struct store_op *pending(enum store_kind kind)
{
	return mem_store_find(&rig.mem, kind);
}

/* -- Flush -- */

static void a_flush_waits_for_every_write_received_before_it(void)
{
	struct frame first, second, flush = rig_flush();
	struct store_op *second_op;

	begin();
	first = rig_write(&rig, 0, 4096);
	second = rig_write(&rig, 4096, 4096);
	CHECK_OK(rig_frame(&rig, 0, &first, 1));
	CHECK_OK(rig_frame(&rig, 0, &second, 2));
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	second_op = mem_store_pending(&rig.mem, 1);
	mem_store_complete(&rig.mem, second_op, 0); /* out of order */
	CHECK_NULL(pending(STORE_SYNC));
	rig_complete(&rig, STORE_WRITE, 0);
	CHECK_NOT_NULL(pending(STORE_SYNC));
	CHECK_EQ_U64(2, rig.lanes[0].reply_count);
	rig_complete(&rig, STORE_SYNC, 0);
	CHECK_EQ_U64(3, rig.lanes[0].reply_count);
	CHECK_EQ_U64(FRAME_FLUSH | FRAME_REPLY, rig.lanes[0].replies[2].frame.type);
	rig_fini(&rig);
}

static void a_flush_does_not_wait_for_writes_received_after_it(void)
{
	struct frame write, flush = rig_flush();

	begin();
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	write = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &write, 1));
	rig_complete(&rig, STORE_SYNC, 0);
	CHECK_EQ_U64(FRAME_FLUSH | FRAME_REPLY, rig.lanes[0].replies[0].frame.type);
	rig_fini(&rig);
}

static void a_flush_that_came_during_a_sync_gets_one_of_its_own(void)
{
	struct frame flush = rig_flush(), write;

	begin();
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	write = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &write, 1));
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	rig_complete(&rig, STORE_WRITE, 0); /* after the sync began: that sync does not cover it */
	rig_complete(&rig, STORE_SYNC, 0);
	CHECK_EQ_U64(2, rig.lanes[0].reply_count);
	rig_complete(&rig, STORE_SYNC, 0); /* one for both that waited */
	CHECK_EQ_U64(4, rig.lanes[0].reply_count);
	CHECK_EQ_U64(2, rig.mem.sync_count);
	rig_fini(&rig);
}

static void a_flush_waits_for_discards_too(void)
{
	struct frame frame, flush = rig_flush();

	begin();
	frame = rig_write(&rig, 0, 4096);
	frame.type = FRAME_DISCARD;
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	CHECK_NULL(pending(STORE_SYNC));
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(2, rig.lanes[0].reply_count);
	rig_fini(&rig);
}

static void a_failed_sync_is_never_retried_into_success(void)
{
	struct frame flush = rig_flush(), write;

	begin();
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	rig_complete(&rig, STORE_SYNC, -EIO);
	CHECK_EQ_U64(WIRE_EIO, rig_status(&rig.lanes[0]));
	CHECK_EQ_INT(REPLICA_FAILED, rig.replica.state);
	CHECK_STR_HAS("restart", rig.replica.health);
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	CHECK_EQ_U64(WIRE_EIO, rig_status(&rig.lanes[0]));
	CHECK_NULL(pending(STORE_SYNC));
	write = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &write, 1));
	CHECK_EQ_U64(WIRE_EIO, rig_status(&rig.lanes[0]));
	CHECK_NULL(pending(STORE_WRITE));
	rig_fini(&rig);
}

static void a_failed_fua_write_fails_the_replica(void)
{
	struct frame frame;

	begin();
	frame = rig_write(&rig, 0, 4096);
	frame.flags = FRAME_F_FUA;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	rig_complete(&rig, STORE_WRITE, -EIO);
	CHECK_EQ_U64(WIRE_EIO, rig_status(&rig.lanes[0]));
	CHECK_EQ_INT(REPLICA_FAILED, rig.replica.state);
	rig_fini(&rig);
}

/* The kernel told the other one. */
static void a_fua_write_that_ends_after_a_failed_sync_is_not_answered_ok(void)
{
	struct frame flush = rig_flush(), write;

	begin();
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	write = rig_write(&rig, 0, 4096);
	write.flags = FRAME_F_FUA;
	CHECK_OK(rig_frame(&rig, 0, &write, 1));
	rig_complete(&rig, STORE_SYNC, -EIO);
	rig_complete(&rig, STORE_WRITE, 0);
	CHECK_EQ_U64(2, rig.lanes[0].reply_count);
	CHECK_EQ_U64(WIRE_EIO, rig_status(&rig.lanes[0]));
	rig_fini(&rig);
}

static void a_flush_whose_write_failed_the_replica_is_not_answered_ok(void)
{
	struct frame write, flush = rig_flush();

	begin();
	write = rig_write(&rig, 0, 4096);
	write.flags = FRAME_F_FUA;
	CHECK_OK(rig_frame(&rig, 0, &write, 1));
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	rig_complete(&rig, STORE_WRITE, -EIO);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(2, rig.lanes[0].reply_count);
	CHECK_EQ_U64(WIRE_EIO, rig_status(&rig.lanes[0]));
	rig_fini(&rig);
}

/* -- Stamps -- */

static void a_stamped_write_reaches_the_data_only_after_its_stamp_is_durable(void)
{
	struct frame frame;

	begin();
	frame = rig_write(&rig, 2 * MIB, 4096);
	frame.flags = FRAME_F_STAMP;
	frame.gen = 8;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	CHECK_NULL(pending(STORE_WRITE));
	rig_complete(&rig, STORE_WRITE_STAMPS, 0);
	CHECK_NOT_NULL(pending(STORE_WRITE));
	CHECK_EQ_U64(8, stamps_get(&rig.replica.stamps, 2));
	mem_store_run(&rig.mem);
	frame = rig_write(&rig, 2 * MIB + 4096, 4096); /* the region is stamped: no second write of it */
	frame.flags = FRAME_F_STAMP;
	frame.gen = 8;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	CHECK_NULL(pending(STORE_WRITE_STAMPS));
	CHECK_NOT_NULL(pending(STORE_WRITE));
	rig_fini(&rig);
}

static void a_failed_stamp_fails_the_write_and_the_replica(void)
{
	struct frame frame;

	begin();
	frame = rig_write(&rig, 0, 4096);
	frame.flags = FRAME_F_STAMP;
	frame.gen = 8;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	rig_complete(&rig, STORE_WRITE_STAMPS, -EIO);
	CHECK_EQ_U64(WIRE_EIO, rig_status(&rig.lanes[0]));
	CHECK_NULL(pending(STORE_WRITE));
	CHECK_EQ_INT(REPLICA_FAILED, rig.replica.state);
	rig_fini(&rig);
}

static void an_unstamped_write_touches_no_stamp(void)
{
	struct frame frame;

	begin();
	frame = rig_write(&rig, 0, 4096);
	frame.gen = 8;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	CHECK_EQ_U64(1, rig.mem.pending_count);
	CHECK_EQ_U64(0, stamps_get(&rig.replica.stamps, 0));
	rig_fini(&rig);
}

static void a_flush_waits_for_a_write_that_waits_for_its_stamp(void)
{
	struct frame frame, flush = rig_flush();

	begin();
	frame = rig_write(&rig, 0, 4096);
	frame.flags = FRAME_F_STAMP;
	frame.gen = 8;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	CHECK_NULL(pending(STORE_SYNC));
	rig_complete(&rig, STORE_WRITE_STAMPS, 0);
	CHECK_NULL(pending(STORE_SYNC));
	rig_complete(&rig, STORE_WRITE, 0);
	CHECK_NOT_NULL(pending(STORE_SYNC));
	rig_fini(&rig);
}

/* -- The list -- */

static void writes_are_listed_until_a_later_frame_says_they_are_stable(void)
{
	struct frame frame;

	begin();
	for (unsigned i = 0; i < 3; i++) {
		frame = rig_write(&rig, 0, 4096);
		CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	}
	CHECK_EQ_U64(3, unstable_count(&rig.replica.unstable));
	frame = rig_flush();
	frame.stable_upto = 2;
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	CHECK_EQ_U64(1, unstable_count(&rig.replica.unstable));
	rig_fini(&rig);
}

static void a_batch_says_what_is_stable_too(void)
{
	struct frame frame, batch = {.type = FRAME_BATCH, .epoch = 1, .session = 2, .length = FRAME_BYTES + 4096};

	begin();
	frame = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	batch.stable_upto = 1;
	CHECK_OK(rig_frame(&rig, 0, &batch, 0)); /* of another session: not believed */
	CHECK_EQ_U64(1, unstable_count(&rig.replica.unstable));
	rig.lanes[0].lane.batch_left = 0;
	batch.session = 1;
	CHECK_OK(rig_frame(&rig, 0, &batch, 0));
	CHECK_EQ_U64(0, unstable_count(&rig.replica.unstable));
	rig_fini(&rig);
}

static void a_stale_frame_prunes_nothing(void)
{
	struct frame frame;

	begin();
	frame = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	frame = rig_flush();
	frame.session = 9;
	frame.stable_upto = 100;
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	CHECK_EQ_U64(1, unstable_count(&rig.replica.unstable));
	rig_fini(&rig);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_flush_waits_for_every_write_received_before_it),
	CHECK_TEST(a_flush_does_not_wait_for_writes_received_after_it),
	CHECK_TEST(a_flush_that_came_during_a_sync_gets_one_of_its_own),
	CHECK_TEST(a_flush_waits_for_discards_too),
	CHECK_TEST(a_failed_sync_is_never_retried_into_success),
	CHECK_TEST(a_failed_fua_write_fails_the_replica),
	CHECK_TEST(a_fua_write_that_ends_after_a_failed_sync_is_not_answered_ok),
	CHECK_TEST(a_flush_whose_write_failed_the_replica_is_not_answered_ok),
	CHECK_TEST(a_stamped_write_reaches_the_data_only_after_its_stamp_is_durable),
	CHECK_TEST(a_failed_stamp_fails_the_write_and_the_replica),
	CHECK_TEST(an_unstamped_write_touches_no_stamp),
	CHECK_TEST(a_flush_waits_for_a_write_that_waits_for_its_stamp),
	CHECK_TEST(writes_are_listed_until_a_later_frame_says_they_are_stable),
	CHECK_TEST(a_batch_says_what_is_stable_too),
	CHECK_TEST(a_stale_frame_prunes_nothing),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("session_durability", tests, argc, argv);
}
