/* What arrives on a lane: frames cut anywhere, payloads by every way, floods, nonsense. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "gateway/drivers/lane.h"
#include "tests/drivers/peer_world.h"
#include "tests/unit/check.h"

#define PAYLOAD_BYTES 300u

static uint8_t stream[8 * IO_BYTES_MAX], payload[IO_BYTES_MAX];

static void payload_fill(uint32_t seed)
{
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)((i >> 9) * 17 + i * 5 + seed);
}

static size_t put_reply(uint8_t type, uint64_t id, uint8_t *out)
{
	const struct frame frame = {.type = type | FRAME_REPLY, .epoch = 7, .id = id};

	frame_encode(&frame, out);
	return FRAME_BYTES;
}

/* A message, a write's acknowledgement (MAIN), a read with payload into slot 3, an empty read. */
static size_t put_everything(enum lane lane, uint8_t *out)
{
	const struct message accepted = {.kind = MESSAGE_ACCEPTED, .accepted = {.gen = 11}};
	size_t len = world_control(&accepted, out, 4096);

	if (lane == LANE_MAIN)
		len += put_reply(FRAME_WRITE, 2, out + len);
	len += world_read_reply(3, payload, PAYLOAD_BYTES, out + len);
	return len + put_reply(FRAME_READ, 4, out + len);
}

static void check_everything(struct world *world, enum lane lane)
{
	struct lane_notes *notes = &world->engine.lanes[0][lane];

	WORLD_UNTIL(world, notes->replies == (lane == LANE_MAIN ? 3 : 2));
	CHECK_EQ_U64(1, notes->messages);
	CHECK_EQ_U64(11, notes->last_message.accepted.gen);
	CHECK_EQ_U64(1, notes->placed);
	CHECK_EQ_U64(3, notes->last_placed);
	CHECK_EQ_U64(4, notes->last_reply.id);
	CHECK_EQ_U64(0, notes->closed);
	CHECK_MEM(payload, world_payload(world, 3), PAYLOAD_BYTES);
	CHECK_EQ_U64(0, world_payload(world, 3)[PAYLOAD_BYTES]);
	memset(world_payload(world, 3), 0, PAYLOAD_BYTES);
	notes->messages = notes->replies = notes->placed = 0;
}

static void check_every_cut(enum lane lane, enum world_memory memory, enum peers_recv recv)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = memory, .recv = recv});
	size_t len;

	payload_fill(1);
	len = put_everything(lane, stream);
	world_connect_all(world);
	for (size_t cut = 1; cut < len; cut++) {
		world_send_and_settle(world, 0, lane, stream, cut);
		world_send(world, 0, lane, stream + cut, len - cut);
		check_everything(world, lane);
	}
	world_free(world);
}

static void main_lane_understands_frames_cut_at_every_byte(void)
{
	check_every_cut(LANE_MAIN, MEMORY_HIDDEN, PEERS_RECV_PROBE);
}

static void bulk_lane_understands_frames_cut_at_every_byte_into_mapped_memory(void)
{
	check_every_cut(LANE_BULK, MEMORY_MAPPED, PEERS_RECV_PROBE);
}

static void bulk_lane_understands_frames_cut_at_every_byte_by_read_fixed(void)
{
	check_every_cut(LANE_BULK, MEMORY_FIXED, PEERS_RECV_READ_FIXED);
	check_every_cut(LANE_BULK, MEMORY_MAPPED_AND_FIXED, PEERS_RECV_READ_FIXED);
}

/* RECV with FIXED_BUF where the kernel has it, else READ_FIXED again. */
static void bulk_lane_understands_frames_cut_at_every_byte_by_what_the_kernel_has(void)
{
	check_every_cut(LANE_BULK, MEMORY_FIXED, PEERS_RECV_PROBE);
}

static void bulk_lane_understands_frames_cut_at_every_byte_through_its_own_buffer(void)
{
	check_every_cut(LANE_BULK, MEMORY_HIDDEN, PEERS_RECV_PROBE);
}

static void fixed_receive_is_refused_where_the_kernel_lacks_it_and_works_where_it_has_it(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_FIXED});
	struct peers_options options;
	struct peers_stats stats;
	struct err err = {0};
	struct peers *second;

	peers_stats(world->peers, &stats);
	peers_options_default(&options);
	options.leg_count = 1;
	options.recv = PEERS_RECV_FIXED;
	world_free(world);
	if (stats.recv_fixed) {
		check_every_cut(LANE_BULK, MEMORY_FIXED, PEERS_RECV_FIXED);
		return;
	}
	second = peers_new(&options, NULL, NULL, &err);
	CHECK_NULL(second);
	CHECK_EQ_INT(-EOPNOTSUPP, err.code);
	CHECK_STR_HAS("7.2", err.text);
}

/* Reads one after the other, larger than socket buffers hold at once, all in the socket before the first is placed. */
static void check_large_reads(enum world_memory memory, enum peers_recv recv, enum lane lane)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = memory, .recv = recv});
	struct lane_notes *notes = &world->engine.lanes[0][lane];
	struct peers_stats stats;
	size_t len = 0;

	payload_fill(2);
	for (unsigned slot = 0; slot < 7; slot++)
		len += world_read_reply(slot, payload + slot, IO_BYTES_MAX - 4096 * slot - 7, stream + len);
	world_connect_all(world);
	world_send(world, 0, lane, stream, len);
	WORLD_UNTIL(world, notes->placed == 7);
	for (unsigned slot = 0; slot < 7; slot++)
		CHECK_MEM(payload + slot, world_payload(world, slot), IO_BYTES_MAX - 4096 * slot - 7);
	peers_stats(world->peers, &stats);
	CHECK_EQ_U64(len - 7 * FRAME_BYTES, stats.legs[0].received_bytes);
	CHECK_EQ_U64(memory == MEMORY_HIDDEN ? 0 : len - 7 * FRAME_BYTES, stats.direct_read_bytes);
	world_free(world);
}

static void large_reads_are_placed_by_every_way(void)
{
	check_large_reads(MEMORY_MAPPED, PEERS_RECV_PROBE, LANE_BULK);
	check_large_reads(MEMORY_MAPPED_AND_FIXED, PEERS_RECV_PROBE, LANE_BULK);
	check_large_reads(MEMORY_FIXED, PEERS_RECV_READ_FIXED, LANE_BULK);
	check_large_reads(MEMORY_FIXED, PEERS_RECV_PROBE, LANE_BULK);
	check_large_reads(MEMORY_HIDDEN, PEERS_RECV_PROBE, LANE_BULK);
	check_large_reads(MEMORY_HIDDEN, PEERS_RECV_PROBE, LANE_MAIN);
}

/* More at once than the lane has receive buffers. */
static void a_flood_of_acknowledgements_loses_none(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_HIDDEN});
	struct lane_notes *notes = &world->engine.lanes[0][LANE_MAIN];
	size_t len = 0;

	world_connect_all(world);
	for (unsigned i = 0; i < 60000; i++)
		len += put_reply(FRAME_WRITE, i, stream + len);
	world_send(world, 0, LANE_MAIN, stream, len);
	WORLD_UNTIL(world, notes->replies == 60000);
	CHECK_EQ_U64(59999, notes->last_reply.id);
	world_free(world);
}

/* Fills the lane's completion queue with more receives than buffers: one frame at a time, without a turn between. */
static void receiving_goes_on_after_the_buffers_ran_out(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_HIDDEN});
	struct lane_notes *notes = &world->engine.lanes[0][LANE_MAIN];

	world_connect_all(world);
	for (unsigned i = 0; i < 50; i++) {
		put_reply(FRAME_WRITE, i, stream);
		CHECK_EQ_INT(FRAME_BYTES, send(world->remote[0][LANE_MAIN], stream, FRAME_BYTES, 0));
		CHECK_OK(ring_submit_and_wait(&world->ring, 0, 0));
		(void)io_uring_get_events(&world->ring.uring);
	}
	WORLD_UNTIL(world, notes->replies == 50);
	world_free(world);
}

/* ---- Nonsense: each breaks its lane and nothing else. */

static void check_nonsense(enum lane lane, const void *bytes, size_t len, const char *reason)
{
	struct world *world = world_new(&(struct world_options){.legs = 2, .memory = MEMORY_MAPPED});
	struct lane_notes *notes = &world->engine.lanes[0][lane];

	world_connect_all(world);
	world_send(world, 0, lane, bytes, len);
	WORLD_UNTIL(world, notes->closed == 1);
	CHECK_STR_HAS(reason, notes->close_reason);
	CHECK_EQ_U64(0, world->engine.lanes[0][!lane].closed);
	CHECK_EQ_U64(0, world->engine.lanes[1][lane].closed);
	world_free(world);
}

static void check_nonsense_frame(const struct frame *frame, const char *reason)
{
	uint8_t bytes[FRAME_BYTES + 64] = {0};

	frame_encode(frame, bytes);
	check_nonsense(LANE_MAIN, bytes, sizeof(bytes), reason);
	check_nonsense(LANE_BULK, bytes, sizeof(bytes), reason);
}

static void bytes_that_are_no_frame_break_the_lane(void)
{
	const char *text = "GET / HTTP/1.1\r\nHost: a place that is not this one at all\r\n\r\n....";

	check_nonsense(LANE_MAIN, text, FRAME_BYTES, "bad frame");
	check_nonsense(LANE_BULK, text, FRAME_BYTES, "bad frame");
}

static void a_request_from_a_replica_breaks_the_lane(void)
{
	check_nonsense_frame(&(struct frame){.type = FRAME_FLUSH, .id = 1}, "request from a replica");
}

static void a_control_message_that_is_too_long_breaks_the_lane(void)
{
	check_nonsense_frame(&(struct frame){.type = FRAME_CONTROL, .length = LANE_MESSAGE_MAX + 1}, "length");
}

static void a_control_message_with_a_wrong_checksum_breaks_the_lane(void)
{
	check_nonsense_frame(&(struct frame){.type = FRAME_CONTROL, .length = 64, .checksum = 12345}, "checksum");
}

static void a_control_message_that_says_nothing_breaks_the_lane(void)
{
	static const uint8_t zeros[64];

	check_nonsense_frame(&(struct frame){.type = FRAME_CONTROL, .length = 64, .checksum = crc32c(0, zeros, 64)},
			     "bad control message");
}

static void a_reply_the_engine_refuses_breaks_the_lane(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED});

	world_connect_all(world);
	world->engine.refuse_replies = true;
	for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
		size_t len = world_read_reply(1, payload, PAYLOAD_BYTES, stream);

		world_send(world, 0, lane, stream, len);
		WORLD_UNTIL(world, world->engine.lanes[0][lane].closed == 1);
		CHECK_EQ_U64(1, world->engine.lanes[0][lane].replies);
		CHECK_EQ_INT(-EPROTO, world->engine.lanes[0][lane].close_error);
	}
	world_free(world);
}

static void memory_that_refuses_its_payload_breaks_the_lane(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_HIDDEN});

	world_connect_all(world);
	world->copy_error = -14;
	for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
		world_send(world, 0, lane, stream, world_read_reply(1, payload, PAYLOAD_BYTES, stream));
		WORLD_UNTIL(world, world->engine.lanes[0][lane].closed == 1);
		CHECK_EQ_U64(0, world->engine.lanes[0][lane].placed);
	}
	world_free(world);
}

static void check_zeroes(enum world_memory memory)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = memory});
	uint8_t *bytes = world_payload(world, 9);

	memset(bytes, 0xee, WORLD_SLOT_BYTES);
	peers_zero(world->peers, &(struct read_target){.slot = 9, .buf_offset = 513, .length = 700001, .id = 1});
	CHECK_EQ_U64(0, world->engine.zeroed);
	WORLD_UNTIL(world, world->engine.zeroed == 1);
	CHECK_OK(world->engine.zero_error);
	CHECK_EQ_U64(0xee, bytes[512]);
	for (uint32_t i = 0; i < 700001; i++)
		CHECK_EQ_U64(0, bytes[513 + i]);
	CHECK_EQ_U64(0xee, bytes[513 + 700001]);
	world_free(world);
}

static void zeroes_exactly_the_range_in_every_kind_of_memory(void)
{
	check_zeroes(MEMORY_MAPPED);
	check_zeroes(MEMORY_FIXED);
	check_zeroes(MEMORY_HIDDEN);
}

static void a_whole_queue_may_be_zeroed_at_once(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_FIXED});

	memset(world_payload(world, 0), 0xee, WORLD_DEPTH * WORLD_SLOT_BYTES);
	for (unsigned slot = 0; slot < WORLD_DEPTH; slot++)
		peers_zero(world->peers, &(struct read_target){.slot = slot, .length = 4096, .id = slot});
	WORLD_UNTIL(world, world->engine.zeroed == WORLD_DEPTH);
	for (unsigned slot = 0; slot < WORLD_DEPTH; slot++)
		CHECK_EQ_U64(0, world_payload(world, slot)[4095]);
	world_free(world);
}

static const struct check_test tests[] = {
	CHECK_TEST(main_lane_understands_frames_cut_at_every_byte),
	CHECK_TEST(bulk_lane_understands_frames_cut_at_every_byte_into_mapped_memory),
	CHECK_TEST(bulk_lane_understands_frames_cut_at_every_byte_by_read_fixed),
	CHECK_TEST(bulk_lane_understands_frames_cut_at_every_byte_by_what_the_kernel_has),
	CHECK_TEST(bulk_lane_understands_frames_cut_at_every_byte_through_its_own_buffer),
	CHECK_TEST(fixed_receive_is_refused_where_the_kernel_lacks_it_and_works_where_it_has_it),
	CHECK_TEST(large_reads_are_placed_by_every_way),
	CHECK_TEST(a_flood_of_acknowledgements_loses_none),
	CHECK_TEST(receiving_goes_on_after_the_buffers_ran_out),
	CHECK_TEST(bytes_that_are_no_frame_break_the_lane),
	CHECK_TEST(a_request_from_a_replica_breaks_the_lane),
	CHECK_TEST(a_control_message_that_is_too_long_breaks_the_lane),
	CHECK_TEST(a_control_message_with_a_wrong_checksum_breaks_the_lane),
	CHECK_TEST(a_control_message_that_says_nothing_breaks_the_lane),
	CHECK_TEST(a_reply_the_engine_refuses_breaks_the_lane),
	CHECK_TEST(memory_that_refuses_its_payload_breaks_the_lane),
	CHECK_TEST(zeroes_exactly_the_range_in_every_kind_of_memory),
	CHECK_TEST(a_whole_queue_may_be_zeroed_at_once),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("peer_recv", tests, argc, argv);
}
