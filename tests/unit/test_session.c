/* Data frames of a session: what is stored, what is answered in which order, and the bounds. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "common/payload_checksum.h"
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

static int frame_error(unsigned lane, const struct frame *frame, const char **ret_reason)
{
	struct served *served;

	return session_frame(&rig.lanes[lane].lane, frame, &served, ret_reason);
}

/* -- Write and read -- */

static void a_write_is_answered_with_the_checksum_of_what_was_stored(void)
{
	uint8_t bytes[8192];
	struct frame frame;

	begin();
	memset(bytes, 0x5a, sizeof(bytes));
	frame = rig_write(&rig, 4096, sizeof(bytes));
	CHECK_OK(rig_frame(&rig, 0, &frame, 0x5a));
	CHECK_EQ_U64(0, rig.lanes[0].reply_count); /* not before the store says so */
	rig_complete(&rig, STORE_WRITE, 0);
	CHECK_EQ_U64(1, rig.lanes[0].reply_count);
	CHECK_EQ_U64(FRAME_WRITE | FRAME_REPLY, rig.lanes[0].replies[0].frame.type);
	CHECK_EQ_U64(frame.id, rig.lanes[0].replies[0].frame.id);
	CHECK_EQ_U64(payload_checksum(bytes, sizeof(bytes)), rig.lanes[0].replies[0].frame.checksum);
	CHECK_EQ_U64(1, rig.lanes[0].replies[0].frame.session);
	CHECK_MEM(bytes, rig.mem.data + 4096, sizeof(bytes));
	CHECK_EQ_U64(0, rig.mem.durable_count - 1); /* the promise alone */
	rig_fini(&rig);
}

static void a_fua_write_is_durable_before_its_answer(void)
{
	struct frame frame;

	begin();
	frame = rig_write(&rig, 0, 4096);
	frame.flags = FRAME_F_FUA;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	CHECK_TRUE(pending(STORE_WRITE)->durable);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(WIRE_OK, rig_status(&rig.lanes[0]));
	rig_fini(&rig);
}

static void a_read_carries_what_was_written(void)
{
	struct frame frame;

	begin();
	rig.mem.data[8192] = 0x77;
	frame = rig_read(8192, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(4096, rig.lanes[0].replies[0].frame.length);
	CHECK_EQ_U64(0x77, rig.lanes[0].replies[0].first);
	rig_fini(&rig);
}

static void a_read_beyond_the_end_of_a_truncated_file_is_short(void)
{
	struct frame frame;

	begin();
	rig.mem.data_bytes = 8192 + 100;
	frame = rig_read(8192, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(WIRE_OK, rig_status(&rig.lanes[0]));
	CHECK_EQ_U64(100, rig.lanes[0].replies[0].frame.length);
	frame = rig_read(65536, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(0, rig.lanes[0].replies[1].frame.length);
	CHECK_EQ_U64(2, rig.replica.session.counters.short_reads);
	rig_fini(&rig);
}

static void a_failed_read_carries_no_byte(void)
{
	struct frame frame;

	begin();
	frame = rig_read(0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	rig_complete(&rig, STORE_READ, -EIO);
	CHECK_EQ_U64(WIRE_EIO, rig_status(&rig.lanes[0]));
	CHECK_EQ_U64(0, rig.lanes[0].replies[0].frame.length);
	CHECK_EQ_INT(REPLICA_SERVING, rig.replica.state);
	rig_fini(&rig);
}

static void no_space_is_told_and_the_replica_goes_on(void)
{
	struct frame frame;

	begin();
	frame = rig_write(&rig, 0, 4096);
	frame.flags = FRAME_F_FUA;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	rig_complete(&rig, STORE_WRITE, -ENOSPC);
	CHECK_EQ_U64(WIRE_ENOSPC, rig_status(&rig.lanes[0]));
	CHECK_EQ_INT(REPLICA_SERVING, rig.replica.state);
	rig_fini(&rig);
}

static void discard_and_zeroes_leave_zeros(void)
{
	struct frame frame;

	begin();
	memset(rig.mem.data, 0xff, 65536);
	frame = rig_write(&rig, 4096, 8192);
	frame.type = FRAME_DISCARD;
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	CHECK_NOT_NULL(pending(STORE_PUNCH));
	mem_store_run(&rig.mem);
	frame = rig_write(&rig, 16384, 4096);
	frame.type = FRAME_ZEROES;
	frame.flags = FRAME_F_NO_UNMAP;
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	CHECK_NOT_NULL(pending(STORE_ZERO));
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(0xff, rig.mem.data[4095]);
	CHECK_EQ_U64(0, rig.mem.data[4096]);
	CHECK_EQ_U64(0xff, rig.mem.data[12288]);
	CHECK_EQ_U64(0, rig.mem.data[16384]);
	CHECK_EQ_U64(WIRE_OK, rig_status(&rig.lanes[0]));
	rig_fini(&rig);
}

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

/* -- Bulk order -- */

static void bulk_replies_leave_in_the_order_of_their_requests(void)
{
	struct frame frame;

	rig_init(&rig);
	rig_serve_bulk(&rig);
	for (unsigned i = 0; i < 4; i++) {
		frame = rig_read(i * 4096, 4096);
		CHECK_OK(rig_frame(&rig, 1, &frame, 0));
	}
	mem_store_complete(&rig.mem, mem_store_pending(&rig.mem, 2), 0);
	mem_store_complete(&rig.mem, mem_store_pending(&rig.mem, 1), -EIO);
	CHECK_EQ_U64(0, rig.lanes[1].reply_count);
	mem_store_complete(&rig.mem, mem_store_pending(&rig.mem, 0), 0);
	CHECK_EQ_U64(3, rig.lanes[1].reply_count);
	mem_store_run(&rig.mem);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ_U64(2000 + i * 4096, rig.lanes[1].replies[i].frame.id);
	CHECK_EQ_U64(WIRE_EIO, rig.lanes[1].replies[1].frame.status);
	CHECK_EQ_U64(0, rig.lanes[1].replies[1].frame.length);
	rig_fini(&rig);
}

static void refused_bulk_reads_and_pings_keep_their_place(void)
{
	struct frame good = rig_read(0, 4096), bad = rig_read(1, 4096), ping = rig_flush();

	rig_init(&rig);
	rig_serve_bulk(&rig);
	ping.type = FRAME_PING;
	CHECK_OK(rig_frame(&rig, 1, &good, 0));
	CHECK_OK(rig_frame(&rig, 1, &bad, 0));
	CHECK_OK(rig_frame(&rig, 1, &ping, 0));
	CHECK_EQ_U64(0, rig.lanes[1].reply_count);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(3, rig.lanes[1].reply_count);
	CHECK_EQ_U64(WIRE_EINVAL, rig.lanes[1].replies[1].frame.status);
	CHECK_EQ_U64(FRAME_PING | FRAME_REPLY, rig.lanes[1].replies[2].frame.type);
	rig_fini(&rig);
}

static void main_lane_replies_may_overtake(void)
{
	struct frame read = rig_read(0, 4096), ping = rig_flush();

	begin();
	ping.type = FRAME_PING;
	CHECK_OK(rig_frame(&rig, 0, &read, 0));
	CHECK_OK(rig_frame(&rig, 0, &ping, 0));
	CHECK_EQ_U64(1, rig.lanes[0].reply_count);
	CHECK_EQ_U64(FRAME_PING | FRAME_REPLY, rig.lanes[0].replies[0].frame.type);
	rig_fini(&rig);
}

/* -- Bounds -- */

static void without_a_free_buffer_nothing_has_happened(void)
{
	struct frame frame = rig_read(0, 4096);
	const char *reason;

	begin();
	rig.mem.buf_limit = 1;
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	CHECK_ERRNO(-EAGAIN, frame_error(0, &frame, &reason));
	CHECK_EQ_U64(1, rig.replica.session.inflight);
	mem_store_run(&rig.mem);
	CHECK_OK(rig_frame(&rig, 0, &frame, 0));
	rig_fini(&rig);
}

static void without_a_free_request_nothing_has_happened(void)
{
	struct frame batch, frame;
	const char *reason;

	begin();
	for (unsigned i = 0; i < RIG_SERVED; i++) {
		frame = rig_write(&rig, 0, 4096);
		CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	}
	batch = batch_of(FRAME_BYTES + 4096);
	CHECK_OK(rig_frame(&rig, 0, &batch, 0));
	frame = in_batch(4096);
	CHECK_ERRNO(-EAGAIN, frame_error(0, &frame, &reason));
	CHECK_EQ_U64(FRAME_BYTES + 4096, rig.lanes[0].lane.batch_left);
	mem_store_run(&rig.mem);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	rig_fini(&rig);
}

static void one_lane_cannot_take_all_buffers(void)
{
	struct frame frame = rig_read(0, IO_BYTES_MAX);
	const char *reason;
	unsigned taken = 0;

	begin();
	while (taken < RIG_SERVED && frame_error(0, &frame, &reason) == 0)
		taken++;
	CHECK_EQ_U64(LANE_BUFFER_BYTES_MAX / IO_BYTES_MAX, taken);
	rig_fini(&rig);
}

static void a_connection_lost_with_everything_in_flight_leaves_nothing_behind(void)
{
	struct frame frame, flush = rig_flush();
	struct served *served;
	const char *reason;

	rig_init(&rig);
	rig_serve_bulk(&rig);
	frame = rig_write(&rig, 0, 4096);
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	frame = rig_write(&rig, 4096, 4096);
	frame.flags = FRAME_F_STAMP;
	frame.gen = 2;
	CHECK_OK(rig_frame(&rig, 0, &frame, 1));
	CHECK_OK(rig_frame(&rig, 0, &flush, 0));
	frame = rig_read(0, 4096);
	CHECK_OK(rig_frame(&rig, 1, &frame, 0));
	CHECK_OK(rig_frame(&rig, 1, &frame, 0));
	mem_store_complete(&rig.mem, mem_store_pending(&rig.mem, rig.mem.pending_count - 1), 0);
	frame = rig_write(&rig, 8192, 4096);
	CHECK_OK(session_frame(&rig.lanes[0].lane, &frame, &served, &reason));
	rig_lane_gone(&rig, 1);
	rig_lane_gone(&rig, 0);
	mem_store_run(&rig.mem);
	CHECK_EQ_U64(0, rig.lanes[0].reply_count);
	CHECK_EQ_U64(1, rig.mem.data[0]); /* what was wholly received was applied */
	rig_fini(&rig);
}

/* Any order of completions, loss and new sessions: nothing leaks, nothing asserts, no flush overtakes a write. */
static void random_traffic_leaves_nothing_behind(void)
{
	struct check_random random;

	check_random_init(&random);
	for (unsigned round = 0; round < 200; round++) {
		uint32_t session = 1;

		rig_init(&rig);
		rig_serve(&rig);
		for (unsigned i = 0; i < 200; i++) {
			struct frame frame = rig_write(&rig, check_random_below(&random, 64) * 4096, 4096);

			frame.session = session;
			switch (check_random_below(&random, 8)) {
			case 0:
				frame.type = FRAME_READ;
				break;
			case 1:
				frame = rig_flush();
				frame.session = session;
				break;
			case 2:
				frame.type = FRAME_DISCARD;
				break;
			case 3:
				frame.flags = FRAME_F_STAMP;
				frame.gen = 1 + (uint32_t)check_random_below(&random, 5);
				break;
			case 4:
				if (check_random_below(&random, 10))
					break;
				rig_lane_gone(&rig, 0);
				rig_lane(&rig, 0, REPLICA_LANE_MAIN);
				rig_open(&rig, 0, 1, 11, ++session);
				mem_store_run(&rig.mem);
				continue;
			default:
				break;
			}
			if (rig.mem.pending_count && check_random_below(&random, 2))
				mem_store_complete(&rig.mem,
						   mem_store_pending(&rig.mem, (unsigned)check_random_below(
										       &random, rig.mem.pending_count)),
						   check_random_below(&random, 50) ? 0 : -ENOSPC);
			(void)rig_frame(&rig, 0, &frame, (uint8_t)i); /* -EAGAIN is fine */
		}
		rig_fini(&rig);
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(a_write_is_answered_with_the_checksum_of_what_was_stored),
	CHECK_TEST(a_fua_write_is_durable_before_its_answer),
	CHECK_TEST(a_read_carries_what_was_written),
	CHECK_TEST(a_read_beyond_the_end_of_a_truncated_file_is_short),
	CHECK_TEST(a_failed_read_carries_no_byte),
	CHECK_TEST(no_space_is_told_and_the_replica_goes_on),
	CHECK_TEST(discard_and_zeroes_leave_zeros),
	CHECK_TEST(bulk_replies_leave_in_the_order_of_their_requests),
	CHECK_TEST(refused_bulk_reads_and_pings_keep_their_place),
	CHECK_TEST(main_lane_replies_may_overtake),
	CHECK_TEST(without_a_free_buffer_nothing_has_happened),
	CHECK_TEST(without_a_free_request_nothing_has_happened),
	CHECK_TEST(one_lane_cannot_take_all_buffers),
	CHECK_TEST(a_connection_lost_with_everything_in_flight_leaves_nothing_behind),
	CHECK_TEST(random_traffic_leaves_nothing_behind),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("session", tests, argc, argv);
}
