/* What leaves on a lane: chains, batches, bulk payloads by every way, deferral when buffers run out. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "gateway/drivers/batch.h"
#include "gateway/drivers/lane.h"
#include "proto/codec.h"
#include "tests/drivers/peer_world.h"
#include "tests/unit/check.h"

static uint8_t buffer[IO_BYTES_MAX], other[IO_BYTES_MAX];

static void send_flush(struct world *world, unsigned leg, uint64_t id)
{
	const struct frame frame = {.type = FRAME_FLUSH, .epoch = 7, .session = 100 + leg, .id = id};

	peers_send_frame(world->peers, leg, LANE_MAIN, &frame);
}

/* The next frame is the bulk write of `slot`, whole and unharmed. */
static void expect_bulk(struct world *world, unsigned leg, unsigned slot, uint32_t bytes)
{
	struct frame frame = world_recv_frame(world, leg, LANE_MAIN);

	CHECK_EQ_U64(FRAME_WRITE, frame.type);
	CHECK_EQ_U64(slot, frame.id);
	CHECK_EQ_U64(bytes, frame.length);
	CHECK_EQ_U64(100 + leg, frame.session);
	world_recv(world, leg, LANE_MAIN, buffer, bytes);
	CHECK_MEM(world_payload(world, slot % WORLD_DEPTH), buffer, bytes);
}

static void expect_flush(struct world *world, unsigned leg, uint64_t id)
{
	struct frame frame = world_recv_frame(world, leg, LANE_MAIN);

	CHECK_EQ_U64(FRAME_FLUSH, frame.type);
	CHECK_EQ_U64(id, frame.id);
}

/* Writes `first`, `first + 1`, ... of `bytes` each until the batch ends. Returns the next number. */
static unsigned expect_batch(struct world *world, unsigned leg, unsigned first, uint32_t bytes)
{
	struct frame frame = world_recv_frame(world, leg, LANE_MAIN);
	uint32_t left = frame.length;

	CHECK_EQ_U64(FRAME_BATCH, frame.type);
	CHECK_EQ_U64(100 + leg, frame.session);
	for (; left; left -= FRAME_BYTES + bytes) {
		frame = world_recv_frame(world, leg, LANE_MAIN);
		CHECK_EQ_U64(FRAME_WRITE, frame.type);
		CHECK_EQ_U64(0, frame.session);
		CHECK_EQ_U64(first, frame.id);
		CHECK_EQ_U64(bytes, frame.length);
		world_recv(world, leg, LANE_MAIN, buffer, bytes);
		CHECK_MEM(world_payload(world, first % WORLD_DEPTH), buffer, bytes);
		first++;
	}
	return first;
}

static void everything_queued_in_a_turn_leaves_all_legs_in_one_enter(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 3, .memory = MEMORY_MAPPED});
	uint64_t enters;

	world_connect_all(world);
	world_fill(world, 0, 4096);
	world_fill(world, 1, 4096);
	world_fill(world, 2, 100000);
	CHECK_TRUE(world_write(world, 0, 4096, WRITE_GATHER));
	CHECK_FALSE(world_write(world, 2, 100000, WRITE_BULK));
	CHECK_TRUE(world_write(world, 1, 4096, WRITE_GATHER));
	for (unsigned leg = 0; leg < 3; leg++)
		send_flush(world, leg, 9);
	peers_flush(world->peers);
	enters = world->ring.enter_count;
	CHECK_OK(ring_submit_and_wait(&world->ring, 0, 0));
	CHECK_EQ_U64(enters + 1, world->ring.enter_count);
	for (unsigned leg = 0; leg < 3; leg++) {
		ssize_t got = recv(world->remote[leg][LANE_MAIN], buffer, sizeof(buffer), MSG_DONTWAIT | MSG_PEEK);

		CHECK_EQ_INT(FRAME_BYTES + 2 * (FRAME_BYTES + 4096) + FRAME_BYTES + 100000 + FRAME_BYTES, got);
		CHECK_EQ_U64(2, expect_batch(world, leg, 0, 4096));
		expect_bulk(world, leg, 2, 100000);
		expect_flush(world, leg, 9);
	}
	WORLD_UNTIL(world, world->engine.released[0] && world->engine.released[1] && world->engine.released[2]);
	CHECK_EQ_U64(1, world->engine.released_ids[2][2]);
	world_free(world);
}

/* More bulk writes than a chain holds, frames between them, a ring that holds little more than one chain. */
static void check_bulk_order(enum world_memory memory, enum zc_force zero_copy, enum write_path path)
{
	struct world *world = world_new(&(struct world_options){
		.legs = 2, .memory = memory, .zero_copy = zero_copy, .sq_entries = CHAIN_SQE_MAX + 1});
	uint32_t bytes[100];

	world_connect_all(world);
	for (unsigned i = 0; i < 100; i++) {
		bytes[i] = (65537 + i * 7919) % 400000 + 1;
		world_fill(world, i, bytes[i]);
		CHECK_FALSE(world_write(world, i, bytes[i], path));
		send_flush(world, 0, 1000 + i);
		send_flush(world, 1, 1000 + i);
	}
	for (unsigned i = 0; i < 100; i++) {
		for (unsigned leg = 0; leg < 2; leg++) {
			expect_bulk(world, leg, i, bytes[i]);
			expect_flush(world, leg, 1000 + i);
		}
	}
	WORLD_UNTIL(world, world->engine.released[0] == 100 && world->engine.released[1] == 100);
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ_U64(1, world->engine.released_ids[1][i]);
	world_free(world);
}

/* A chain that is submitted in two parts is two chains, and their bytes may mix. */
static void a_chain_is_never_cut_by_a_submit(void)
{
	struct world *world =
		world_new(&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED, .sq_entries = CHAIN_SQE_MAX});

	world_connect_all(world);
	for (unsigned i = 0; i < world->ring.uring.sq.ring_entries - 10; i++)
		io_uring_prep_nop(ring_sqe(&world->ring));
	for (unsigned i = 0; i < CHAIN_PAYLOAD_MAX + 8; i++)
		world_write(world, i, 70000, WRITE_BULK);
	peers_flush(world->peers);
	CHECK_EQ_U64(2 * CHAIN_PAYLOAD_MAX, io_uring_sq_ready(&world->ring.uring));
	for (unsigned i = 0; i < CHAIN_PAYLOAD_MAX + 8; i++)
		expect_bulk(world, 0, i, 70000);
	world_free(world);
}

/* The first try does not wait, and the socket takes a part only: the rest follows at the right byte, in every iovec. */
static void a_batch_larger_than_the_socket_arrives_whole(void)
{
	struct world *world =
		world_new(&(struct world_options){.legs = 2, .memory = MEMORY_HIDDEN, .tight_sockets = true});

	world_connect_all(world);
	for (unsigned round = 0; round < 20; round++) {
		uint32_t bytes = 4096 + 512 * round;

		for (unsigned leg = 0; leg < 2; leg++)
			send_flush(world, leg, 1);
		for (unsigned slot = 0; slot < 100; slot++) {
			world_fill(world, slot, bytes);
			CHECK_TRUE(world_write(world, slot, bytes, WRITE_GATHER));
		}
		world_turn(world);
		for (unsigned leg = 0; leg < 2; leg++)
			send_flush(world, leg, 2);
		for (unsigned leg = 0; leg < 2; leg++) {
			expect_flush(world, leg, 1);
			for (unsigned next = 0; next < 100;)
				next = expect_batch(world, leg, next, bytes);
			expect_flush(world, leg, 2);
		}
	}
	world_free(world);
}

static void a_hundred_bulk_writes_by_send_arrive_whole_and_in_order(void)
{
	check_bulk_order(MEMORY_MAPPED, ZC_AUTO, WRITE_BULK);
}

static void a_hundred_bulk_writes_by_zero_copy_send_arrive_whole_and_in_order(void)
{
	check_bulk_order(MEMORY_MAPPED_AND_FIXED, ZC_ALWAYS, WRITE_BULK);
	check_bulk_order(MEMORY_FIXED, ZC_ALWAYS, WRITE_BULK);
}

static void a_hundred_bulk_writes_by_changing_ways_arrive_whole_and_in_order(void)
{
	check_bulk_order(MEMORY_MAPPED_AND_FIXED, ZC_AUTO, WRITE_BULK);
}

static uint64_t zero_copy_attempts(struct world *world)
{
	struct peers_stats stats;

	peers_stats(world->peers, &stats);
	return stats.legs[0].zero_copied_bytes + stats.legs[0].copied_bytes;
}

/* Registered memory that cannot be mapped goes zero-copy even when the policy says no: there is no other way but our
 * own copy. Metadata never does. */
static void bulk_payloads_that_must_not_be_zero_copied_are_copied_in_pieces(void)
{
	struct world *world =
		world_new(&(struct world_options){.legs = 2, .memory = MEMORY_FIXED, .zero_copy = ZC_ALWAYS});
	struct peers_stats stats;

	world_connect_all(world);
	world_fill(world, 5, IO_BYTES_MAX);
	peers_stats(world->peers, &stats);
	CHECK_EQ_INT(!stats.send_fixed, world_write(world, 5, IO_BYTES_MAX, WRITE_BULK_COPY));
	for (unsigned leg = 0; leg < 2; leg++)
		expect_bulk(world, leg, 5, IO_BYTES_MAX);
	CHECK_TRUE(stats.send_fixed || zero_copy_attempts(world) == 0);
	world_free(world);
}

/* The application may change its buffer as soon as the write was ordered; every leg gets what was there then. */
static void a_private_copy_is_taken_before_the_order_returns(void)
{
	struct world *world = world_new(
		&(struct world_options){.legs = 2, .memory = MEMORY_MAPPED_AND_FIXED, .zero_copy = ZC_ALWAYS});

	world_connect_all(world);
	world_fill(world, 5, IO_BYTES_MAX);
	CHECK_TRUE(world_write(world, 5, IO_BYTES_MAX, WRITE_PRIVATE));
	memset(world_payload(world, 5), 0xee, IO_BYTES_MAX);
	for (unsigned leg = 0; leg < 2; leg++) {
		CHECK_EQ_U64(IO_BYTES_MAX, world_recv_frame(world, leg, LANE_MAIN).length);
		world_recv(world, leg, LANE_MAIN, buffer, IO_BYTES_MAX);
		world_fill(world, 5, IO_BYTES_MAX);
		CHECK_MEM(world_payload(world, 5), buffer, IO_BYTES_MAX);
	}
	CHECK_EQ_U64(0, zero_copy_attempts(world));
	world_free(world);
}

static void memory_no_sqe_can_name_is_copied_in_pieces(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 2, .memory = MEMORY_HIDDEN});

	world_connect_all(world);
	for (unsigned i = 0; i < 4; i++) {
		world_fill(world, i, 300000 + i);
		CHECK_TRUE(world_write(world, i, 300000 + i, WRITE_BULK));
	}
	for (unsigned i = 0; i < 4; i++)
		for (unsigned leg = 0; leg < 2; leg++)
			expect_bulk(world, leg, i, 300000 + i);
	world_free(world);
}

static void loopback_is_reported_as_copied_and_then_sent_without_notifications(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED_AND_FIXED});
	struct peers_stats stats;

	world_connect_all(world);
	for (unsigned i = 0; i < ZC_COPIED_RUN + 4; i++) {
		world_write(world, i, 70000, WRITE_BULK);
		expect_bulk(world, 0, i, 70000);
		WORLD_UNTIL(world, world->engine.released[0] == i + 1);
	}
	peers_stats(world->peers, &stats);
	CHECK_EQ_U64(0, stats.legs[0].zero_copied_bytes);
	CHECK_EQ_U64((ZC_COPIED_RUN + 4) * 70000, stats.legs[0].copied_bytes);
	CHECK_EQ_U64(ZC_COPIED_RUN + 4, stats.legs[0].bulk_writes);
	CHECK_FALSE(stats.legs[0].zero_copy_now);
	world_free(world);
}

static void small_writes_of_a_turn_are_one_batch_with_each_legs_session(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 3, .memory = MEMORY_HIDDEN});

	world_connect_all(world);
	for (unsigned i = 0; i < 30; i++) {
		world_fill(world, i, 4096);
		CHECK_TRUE(world_write(world, i, 4096, WRITE_GATHER));
	}
	for (unsigned leg = 0; leg < 3; leg++)
		CHECK_EQ_U64(30, expect_batch(world, leg, 0, 4096));
	world_free(world);
}

static void writes_beyond_a_batch_begin_the_next_one(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_HIDDEN});
	unsigned next = 0, batches = 0;

	world_connect_all(world);
	for (unsigned i = 0; i < 20; i++) {
		world_fill(world, i, 65536);
		CHECK_TRUE(world_write(world, i, 65536, WRITE_GATHER));
	}
	for (; next < 20; batches++)
		next = expect_batch(world, 0, next, 65536);
	CHECK_EQ_U64(7, batches);
	world_free(world);
}

/* More than all batch buffers hold, to a leg that reads nothing yet. */
static void writes_without_a_buffer_wait_and_are_released_when_copied(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 2, .memory = MEMORY_HIDDEN});
	unsigned copied = 0, next[2] = {0, 0};
	struct peers_stats stats;

	world_connect_all(world);
	for (unsigned i = 0; i < WORLD_DEPTH; i++) {
		world_fill(world, i, 65536);
		copied += world_write(world, i, 65536, WRITE_GATHER);
	}
	CHECK_EQ_U64(BATCH_COUNT * 3, copied);
	while (next[0] < WORLD_DEPTH || next[1] < WORLD_DEPTH)
		for (unsigned leg = 0; leg < 2; leg++)
			if (next[leg] < WORLD_DEPTH)
				next[leg] = expect_batch(world, leg, next[leg], 65536);
	CHECK_EQ_U64(WORLD_DEPTH - copied, world->engine.released[0]);
	CHECK_EQ_U64(WORLD_DEPTH - copied, world->engine.released[1]);
	for (unsigned i = 0; i < WORLD_DEPTH; i++)
		CHECK_EQ_U64(i >= copied, world->engine.released_ids[0][i]);
	peers_stats(world->peers, &stats);
	CHECK_EQ_U64(WORLD_DEPTH - copied, stats.deferred_writes);
	CHECK_EQ_U64(WORLD_DEPTH * 65536ull, stats.legs[1].gathered_bytes);
	world_free(world);
}

/* Seven times three of the buffers, and three are left: not enough for the next, enough for the last. */
static void a_write_that_fits_does_not_overtake_one_that_waits(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_HIDDEN});

	world_connect_all(world);
	for (unsigned i = 0; i < 9; i++)
		world_fill(world, i, IO_BYTES_MAX);
	for (unsigned i = 0; i < 7; i++)
		CHECK_TRUE(world_write(world, i, 700000, WRITE_BULK));
	CHECK_FALSE(world_write(world, 7, IO_BYTES_MAX, WRITE_BULK));
	CHECK_FALSE(world_write(world, 8, 4096, WRITE_GATHER));
	for (unsigned i = 0; i < 7; i++)
		expect_bulk(world, 0, i, 700000);
	expect_bulk(world, 0, 7, IO_BYTES_MAX);
	CHECK_EQ_U64(9, expect_batch(world, 0, 8, 4096));
	CHECK_EQ_U64(2, world->engine.released[0]);
	world_free(world);
}

/* A megabyte in pieces takes four buffers. */
static void large_copies_wait_for_buffers_too(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_HIDDEN});
	unsigned copied = 0;

	world_connect_all(world);
	for (unsigned i = 0; i < 16; i++) {
		world_fill(world, i, IO_BYTES_MAX - i * 4096);
		copied += world_write(world, i, IO_BYTES_MAX - i * 4096, WRITE_BULK);
	}
	CHECK_EQ_U64(BATCH_COUNT / 4, copied);
	for (unsigned i = 0; i < 16; i++)
		expect_bulk(world, 0, i, IO_BYTES_MAX - i * 4096);
	CHECK_EQ_U64(16 - copied, world->engine.released[0]);
	world_free(world);
}

static void a_payload_that_cannot_be_read_breaks_its_legs_and_sends_nothing(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 2, .memory = MEMORY_HIDDEN});

	world_connect_all(world);
	world->copy_error = -14;
	CHECK_TRUE(world_write(world, 0, 4096, WRITE_GATHER));
	CHECK_TRUE(world_write(world, 1, 400000, WRITE_BULK));
	WORLD_UNTIL(world, world->engine.lanes[0][LANE_MAIN].closed && world->engine.lanes[1][LANE_MAIN].closed);
	CHECK_STR_HAS("payload", world->engine.lanes[1][LANE_MAIN].close_reason);
	CHECK_TRUE(recv(world->remote[0][LANE_MAIN], buffer, 1, MSG_DONTWAIT) <= 0);
	world_free(world);
}

static void messages_travel_with_their_checksum_on_both_lanes(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_HIDDEN});
	const struct message hello = {.kind = MESSAGE_HELLO,
				      .hello = {.version = 1, .role = HELLO_ADMIN, .client = "a test"}};
	struct message *got = calloc(1, sizeof(*got));

	world_connect_all(world);
	for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
		struct frame frame;
		const char *reason = "";

		peers_send_message(world->peers, 0, lane, &hello);
		frame = world_recv_frame(world, 0, lane);
		CHECK_EQ_U64(FRAME_CONTROL, frame.type);
		world_recv(world, 0, lane, other, frame.length);
		CHECK_EQ_U64(crc32c(0, other, frame.length), frame.checksum);
		CHECK_OK(codec_unpack(other, frame.length, got, &reason));
		CHECK_STR("a test", got->hello.client);
	}
	free(got);
	world_free(world);
}

static void the_ring_of_the_largest_volume_at_the_deepest_queue_is_to_be_had(void)
{
	struct peers_options options;
	struct ring ring;
	struct err err = {0};

	peers_options_default(&options);
	options.leg_count = LEG_COUNT_MAX;
	options.set_count = SET_COUNT_MAX;
	options.queue_depth = QUEUE_DEPTH_MAX;
	if (ring_init(&ring, peers_sq_entries(&options), peers_cq_entries(&options), &err))
		CHECK_FAIL("%s", err.text);
	ring_fini(&ring);
}

static const struct check_test tests[] = {
	CHECK_TEST(everything_queued_in_a_turn_leaves_all_legs_in_one_enter),
	CHECK_TEST(a_chain_is_never_cut_by_a_submit),
	CHECK_TEST(a_batch_larger_than_the_socket_arrives_whole),
	CHECK_TEST(a_hundred_bulk_writes_by_send_arrive_whole_and_in_order),
	CHECK_TEST(a_hundred_bulk_writes_by_zero_copy_send_arrive_whole_and_in_order),
	CHECK_TEST(a_hundred_bulk_writes_by_changing_ways_arrive_whole_and_in_order),
	CHECK_TEST(bulk_payloads_that_must_not_be_zero_copied_are_copied_in_pieces),
	CHECK_TEST(a_private_copy_is_taken_before_the_order_returns),
	CHECK_TEST(memory_no_sqe_can_name_is_copied_in_pieces),
	CHECK_TEST(loopback_is_reported_as_copied_and_then_sent_without_notifications),
	CHECK_TEST(small_writes_of_a_turn_are_one_batch_with_each_legs_session),
	CHECK_TEST(writes_beyond_a_batch_begin_the_next_one),
	CHECK_TEST(writes_without_a_buffer_wait_and_are_released_when_copied),
	CHECK_TEST(a_write_that_fits_does_not_overtake_one_that_waits),
	CHECK_TEST(large_copies_wait_for_buffers_too),
	CHECK_TEST(a_payload_that_cannot_be_read_breaks_its_legs_and_sends_nothing),
	CHECK_TEST(the_ring_of_the_largest_volume_at_the_deepest_queue_is_to_be_had),
	CHECK_TEST(messages_travel_with_their_checksum_on_both_lanes),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("peer_send", tests, argc, argv);
}
