/* That data could not be made durable outlives the server: counted in the superblock, and as a power loss from the next
 * start on. */
#include <errno.h>
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/replica_rig.h"

static struct rig rig;

static void begin(void)
{
	rig_init(&rig);
	rig_serve(&rig);
}

static struct superblock on_disk(void)
{
	struct superblock_slots slots;
	struct superblock sb = {0};

	CHECK_OK(superblock_choose(rig.mem.superblock, &sb, &slots));
	return sb;
}

static void fail_a_sync(void)
{
	struct frame flush = rig_flush();

	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	rig_complete(&rig, STORE_SYNC, -EIO);
}

/* What the same kernel's next server would report. */
static bool is_same_boot_after_restart(void)
{
	struct superblock sb = on_disk();
	struct uuid boot_id = superblock_boot_id(&sb, &rig.server.boot_id);

	return uuid_equal(&boot_id, &rig.server.boot_id);
}

static void a_failed_sync_is_another_boot_from_the_next_start_on(void)
{
	struct message probe = {.kind = MESSAGE_PROBE};

	begin();
	fail_a_sync();
	CHECK_EQ_U64(WIRE_EIO, rig_status(&rig.lanes[0]));
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, 0);
	CHECK_EQ_U64(1, on_disk().failed_syncs);
	CHECK_FALSE(on_disk().clean);
	CHECK_FALSE(is_same_boot_after_restart());
	/* This process still has its list, which names what may be lost. */
	rig_message(&rig, 0, &probe);
	CHECK_TRUE(uuid_equal(&rig.server.boot_id, &rig.lanes[0].answer.state.boot_id));
	rig_fini(&rig);
}

static void a_restarted_replica_reports_the_boot_of_its_mark(void)
{
	struct message probe = {.kind = MESSAGE_PROBE};
	struct uuid boot_id;

	rig_init(&rig);
	rig.sb.failed_syncs = 3;
	boot_id = superblock_boot_id(&rig.sb, &rig.server.boot_id);
	CHECK_FALSE(uuid_equal(&boot_id, &rig.server.boot_id));
	rig_restart(&rig);
	rig_lane(&rig, 0, REPLICA_LANE_MAIN);
	rig_message(&rig, 0, &probe);
	CHECK_TRUE(uuid_equal(&boot_id, &rig.lanes[0].answer.state.boot_id));
	rig_promise(&rig, 0, 1, 11);
	mem_store_run(&rig.mem);
	rig_open(&rig, 0, 1, 11, 1);
	CHECK_EQ_INT(MESSAGE_OPENED, rig.lanes[0].answer.kind);
	CHECK_TRUE(uuid_equal(&boot_id, &rig.lanes[0].answer.opened.boot_id));
	rig_fini(&rig);
}

static void a_failed_durable_write_is_marked_too(void)
{
	struct frame frame;

	begin();
	frame = rig_write(&rig, 0, 4096);
	frame.flags = FRAME_F_FUA;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	rig_complete(&rig, STORE_WRITE, -EIO);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(1, on_disk().failed_syncs);
	rig_fini(&rig);
}

static void what_fails_again_before_the_restart_is_marked_once(void)
{
	struct frame first, second;

	begin();
	first = rig_write(&rig, 0, 4096);
	second = rig_write(&rig, 8192, 4096);
	first.flags = second.flags = FRAME_F_FUA;
	CHECK_OK(rig_frame(&rig, 0, &first, 1));
	CHECK_OK(rig_frame(&rig, 0, &second, 1));
	rig_complete(&rig, STORE_WRITE, -EIO);
	rig_complete(&rig, STORE_WRITE, -EIO);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(1, on_disk().failed_syncs);
	rig_fini(&rig);
}

/* Nothing that was taken is lost by these. */
static void a_full_disk_and_a_failed_stamp_are_not_marked(void)
{
	struct frame frame;

	begin();
	frame = rig_write(&rig, 0, 4096);
	frame.flags = FRAME_F_FUA;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	rig_complete(&rig, STORE_WRITE, -ENOSPC);
	frame = rig_write(&rig, 0, 4096);
	frame.flags = FRAME_F_STAMP;
	frame.gen = 8;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	rig_complete(&rig, STORE_WRITE_STAMPS, -EIO);
	CHECK_EQ_INT(REPLICA_FAILED, rig.replica.state);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(0, on_disk().failed_syncs);
	CHECK_TRUE(is_same_boot_after_restart());
	rig_fini(&rig);
}

static void a_promise_under_way_is_written_first_and_then_the_mark(void)
{
	struct frame flush = rig_flush();

	begin();
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	rig_promise(&rig, 1, 2, 12); /* drains */
	rig_lane_gone(&rig, 0);
	rig_complete(&rig, STORE_SYNC, -EIO);
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, 0); /* says both */
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[1].answer.kind);
	CHECK_EQ_U64(2, on_disk().promised.epoch);
	CHECK_EQ_U64(1, on_disk().failed_syncs);
	CHECK_EQ_U64(0, rig.mem.pending_count);
	rig_fini(&rig);
}

static void a_superblock_write_under_way_does_not_carry_the_mark(void)
{
	struct config config;
	struct frame flush = rig_flush();

	begin();
	config = rig.sb.config;
	config.ballot = (struct ballot){1, 11};
	config.gen = 2;
	rig_accept(&rig, 0, 1, 11, &config);
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	rig_complete(&rig, STORE_SYNC, -EIO);
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, 0);
	CHECK_EQ_U64(0, on_disk().failed_syncs);
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, 0);
	CHECK_EQ_U64(1, on_disk().failed_syncs);
	CHECK_EQ_U64(2, on_disk().config.gen);
	rig_fini(&rig);
}

/* Nobody's request is running while the mark is written: what this epoch may ask is answered at once. */
static void a_failed_replica_votes_while_its_mark_is_written(void)
{
	begin();
	fail_a_sync();
	rig_ask(&rig, 0, MESSAGE_HEARTBEAT, 1, 11);
	CHECK_EQ_INT(MESSAGE_BEAT, rig.lanes[0].answer.kind);
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_promise(&rig, 1, 2, 12);
	rig_lane_gone(&rig, 0);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_STATE, rig.lanes[1].answer.kind);
	CHECK_EQ_U64(2, on_disk().promised.epoch);
	CHECK_EQ_U64(1, on_disk().failed_syncs);
	rig_fini(&rig);
}

static void a_mark_that_cannot_be_written_is_said(void)
{
	begin();
	fail_a_sync();
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, -EIO);
	CHECK_EQ_U64(0, on_disk().failed_syncs);
	CHECK_STR_HAS("neither data nor superblock", rig.replica.health);
	CHECK_STR_HAS("replace the disk", rig.replica.health);
	CHECK_EQ_U64(0, rig.mem.pending_count); /* the other slot holds the last promise that is known */
	rig_fini(&rig);
}

static void behind_a_failed_superblock_nothing_is_marked(void)
{
	begin();
	rig_lane(&rig, 1, REPLICA_LANE_MAIN);
	rig_promise(&rig, 1, 0, 0); /* refused: nothing changes */
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	fail_a_sync();
	rig_promise(&rig, 2, 2, 12);
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, -EIO);
	mem_store_run(&rig.mem);
	CHECK_EQ_INT(MESSAGE_REFUSED, rig.lanes[2].answer.kind);
	CHECK_STR_HAS("neither data nor superblock", rig.lanes[2].answer.refused.text);
	rig_fini(&rig);
}

static void the_last_sync_of_a_stop_is_marked_and_not_clean(void)
{
	begin();
	rig_lane_gone(&rig, 0);
	replica_stop(&rig.replica);
	rig_complete(&rig, STORE_SYNC, -EIO);
	CHECK_FALSE(rig.stopped);
	rig_complete(&rig, STORE_WRITE_SUPERBLOCK, 0);
	CHECK_TRUE(rig.stopped);
	CHECK_EQ_U64(1, on_disk().failed_syncs);
	CHECK_FALSE(on_disk().clean);
	rig_fini(&rig);
}

static void a_stop_waits_for_the_mark(void)
{
	begin();
	fail_a_sync();
	rig_lane_gone(&rig, 0);
	replica_stop(&rig.replica);
	CHECK_FALSE(rig.stopped);
	mem_store_run(&rig.mem);
	CHECK_TRUE(rig.stopped);
	CHECK_EQ_U64(1, on_disk().failed_syncs);
	CHECK_FALSE(on_disk().clean);
	rig_fini(&rig);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_failed_sync_is_another_boot_from_the_next_start_on),
	CHECK_TEST(a_restarted_replica_reports_the_boot_of_its_mark),
	CHECK_TEST(a_failed_durable_write_is_marked_too),
	CHECK_TEST(what_fails_again_before_the_restart_is_marked_once),
	CHECK_TEST(a_full_disk_and_a_failed_stamp_are_not_marked),
	CHECK_TEST(a_promise_under_way_is_written_first_and_then_the_mark),
	CHECK_TEST(a_superblock_write_under_way_does_not_carry_the_mark),
	CHECK_TEST(a_failed_replica_votes_while_its_mark_is_written),
	CHECK_TEST(a_mark_that_cannot_be_written_is_said),
	CHECK_TEST(behind_a_failed_superblock_nothing_is_marked),
	CHECK_TEST(the_last_sync_of_a_stop_is_marked_and_not_clean),
	CHECK_TEST(a_stop_waits_for_the_mark),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("replica_mark", tests, argc, argv);
}
