/* What a session refuses, one by one: epochs, sessions, ranges, batches that do not add up. */
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

static int frame_error(unsigned lane, const struct frame *frame, const char **ret_reason)
{
	struct served *served;

	return session_frame(&rig.lanes[lane].lane, frame, &served, ret_reason);
}

/* -- Who may speak -- */

static void stale_epochs_and_sessions_execute_nothing(void)
{
	static const struct {
		uint32_t epoch, session;
	} wrong[] = {{0, 1}, {2, 1}, {1, 0}, {1, 2}, {UINT32_MAX, UINT32_MAX}};
	static const uint8_t types[] = {FRAME_WRITE, FRAME_READ, FRAME_FLUSH, FRAME_DISCARD, FRAME_ZEROES, FRAME_PING};

	begin();
	for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++) {
		for (unsigned j = 0; j < ARRAY_COUNT(types); j++) {
			struct frame frame = rig_write(&rig, 0, 4096);

			frame.type = types[j];
			frame.epoch = wrong[i].epoch;
			frame.session = wrong[i].session;
			CHECK_OK(rig_frame(&rig, 0, &frame, 1));
			CHECK_EQ_U64(WIRE_ESTALE, rig_status(&rig.lanes[0]));
		}
	}
	CHECK_EQ_U64(0, rig.mem.pending_count);
	rig_fini(&rig);
}

static void data_before_open_costs_the_connection(void)
{
	struct frame frame = rig_read(0, 4096);
	const char *reason;

	begin();
	rig_lane(&rig, 2, REPLICA_LANE_MAIN);
	CHECK_ERRNO(-EPROTO, frame_error(2, &frame, &reason));
	CHECK_STR_HAS("before OPEN", reason);
	rig_fini(&rig);
}

static void the_bulk_lane_carries_reads_and_pings_only(void)
{
	static const uint8_t types[] = {FRAME_WRITE, FRAME_FLUSH, FRAME_DISCARD, FRAME_ZEROES, FRAME_BATCH};
	const char *reason;

	rig_init(&rig);
	rig_serve_bulk(&rig);
	for (unsigned i = 0; i < ARRAY_COUNT(types); i++) {
		struct frame frame = rig_write(&rig, 0, 4096);

		frame.type = types[i];
		CHECK_ERRNO(-EPROTO, frame_error(1, &frame, &reason));
		CHECK_STR_HAS("bulk", reason);
	}
	rig_fini(&rig);
}

static void replies_sent_to_a_replica_are_nonsense(void)
{
	struct frame frame = {.type = FRAME_READ | FRAME_REPLY, .epoch = 1, .session = 1};
	const char *reason;

	begin();
	CHECK_ERRNO(-EPROTO, frame_error(0, &frame, &reason));
	rig_fini(&rig);
}

/* -- Ranges -- */

static void ranges_outside_the_set_or_off_the_block_are_refused(void)
{
	static const struct {
		uint64_t offset;
		uint32_t length;
	} wrong[] = {
		{RIG_SET_BYTES, 4096},
		{RIG_SET_BYTES - 4096, 8192},
		{UINT64_MAX - 4095, 4096},
		{1, 4096},
		{512, 4096},
		{0, 512},
		{0, 4097},
		{0, 0},
		{1ull << 63, 4096},
		{RIG_SET_BYTES - 4096, 1 << 20},
	};
	static const uint8_t types[] = {FRAME_WRITE, FRAME_READ, FRAME_DISCARD, FRAME_ZEROES};

	begin();
	for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++) {
		for (unsigned j = 0; j < ARRAY_COUNT(types); j++) {
			struct frame frame = rig_write(&rig, wrong[i].offset, wrong[i].length);

			frame.type = types[j];
			CHECK_OK(rig_frame(&rig, 0, &frame, 1));
			CHECK_EQ_U64(WIRE_EINVAL, rig_status(&rig.lanes[0]));
		}
	}
	CHECK_EQ_U64(0, rig.mem.pending_count);
	CHECK_EQ_U64(0, unstable_count(&rig.replica.unstable));
	rig_fini(&rig);
}

static void a_discard_of_the_whole_set_is_fine(void)
{
	struct frame frame;

	begin();
	frame = rig_write(&rig, 0, RIG_SET_BYTES);
	frame.type = FRAME_DISCARD;
	frame.flags = FRAME_F_FUA | FRAME_F_STAMP;
	frame.gen = 3;
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(WIRE_OK, rig_status(&rig.lanes[0]));
	CHECK_EQ_U64(3, stamps_get(&rig.replica.stamps, 3));
	rig_fini(&rig);
}

/* -- Batches -- */

static struct frame batch_of(uint32_t length)
{
	return (struct frame){.type = FRAME_BATCH, .epoch = 1, .session = 1, .length = length};
}

static struct frame in_batch(uint32_t length)
{
	struct frame frame = rig_write(&rig, 0, length);

	frame.session = 0;
	return frame;
}

static void the_writes_of_a_batch_belong_to_its_session(void)
{
	struct frame batch = batch_of(2 * (FRAME_BYTES + 4096)), frame;

	begin();
	CHECK_OK(rig_frame(&rig, 0, &batch, 0));
	frame = in_batch(4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	frame = in_batch(4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 2));
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(2, rig.lanes[0].reply_count);
	CHECK_EQ_U64(1, rig.lanes[0].replies[1].frame.session);
	CHECK_EQ_U64(WIRE_OK, rig_status(&rig.lanes[0]));
	CHECK_EQ_U64(0, rig.lanes[0].lane.batch_left);
	frame = rig_write(&rig, 0, 4096); /* outside again */
	CHECK_OK(rig_frame(&rig, 0, &frame, 3));
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(WIRE_OK, rig_status(&rig.lanes[0]));
	rig_fini(&rig);
}

static void the_writes_of_a_stale_batch_are_refused_one_by_one(void)
{
	struct frame batch = batch_of(2 * (FRAME_BYTES + 4096)), frame;

	begin();
	batch.session = 7;
	CHECK_OK(rig_frame(&rig, 0, &batch, 0));
	for (unsigned i = 0; i < 2; i++) {
		frame = in_batch(4096);
		CHECK_OK(rig_frame(&rig, 0, &frame, 1));
		CHECK_EQ_U64(WIRE_ESTALE, rig_status(&rig.lanes[0]));
	}
	CHECK_EQ_U64(0, rig.lanes[0].lane.batch_left);
	CHECK_EQ_U64(0, rig.mem.pending_count);
	rig_fini(&rig);
}

static void check_batch_nonsense(uint32_t batch_bytes, const struct frame *inner, const char *part)
{
	struct frame batch = batch_of(batch_bytes);
	const char *reason = "";

	begin();
	CHECK_OK(rig_frame(&rig, 0, &batch, 0));
	CHECK_ERRNO(-EPROTO, frame_error(0, inner, &reason));
	CHECK_STR_HAS(part, reason);
	CHECK_EQ_U64(0, rig.mem.pending_count);
	rig_fini(&rig);
}

static void a_batch_that_does_not_add_up_is_nonsense(void)
{
	struct frame frame = in_batch(4096), other;

	check_batch_nonsense(FRAME_BYTES + 4095, &frame, "beyond its batch");
	check_batch_nonsense(FRAME_BYTES + 4096 + 1, &frame, "inside a frame");
	check_batch_nonsense(FRAME_BYTES + 4096 + FRAME_BYTES, &frame, "inside a frame");
	other = frame;
	other.session = 1;
	check_batch_nonsense(FRAME_BYTES + 4096, &other, "session");
	other = frame;
	other.epoch = 2;
	check_batch_nonsense(FRAME_BYTES + 4096, &other, "epoch");
	other = rig_read(0, 4096);
	check_batch_nonsense(FRAME_BYTES + 4096, &other, "something else");
	other = batch_of(4096);
	check_batch_nonsense(FRAME_BYTES + 8192, &other, "something else");
	other = frame;
	other.length = UINT32_MAX;
	check_batch_nonsense(FRAME_BYTES + 4096, &other, "beyond its batch");
}

static const struct check_test tests[] = {
	CHECK_TEST(stale_epochs_and_sessions_execute_nothing),
	CHECK_TEST(data_before_open_costs_the_connection),
	CHECK_TEST(the_bulk_lane_carries_reads_and_pings_only),
	CHECK_TEST(replies_sent_to_a_replica_are_nonsense),
	CHECK_TEST(ranges_outside_the_set_or_off_the_block_are_refused),
	CHECK_TEST(a_discard_of_the_whole_set_is_fine),
	CHECK_TEST(the_writes_of_a_batch_belong_to_its_session),
	CHECK_TEST(the_writes_of_a_stale_batch_are_refused_one_by_one),
	CHECK_TEST(a_batch_that_does_not_add_up_is_nonsense),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("session_refusals", tests, argc, argv);
}
