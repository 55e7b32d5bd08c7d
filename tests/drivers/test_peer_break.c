/* How lanes end: aborts with operations armed, connections cut at every byte, results that come too late. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "gateway/drivers/batch.h"
#include "gateway/drivers/letters.h"
#include "tests/drivers/peer_world.h"
#include "tests/unit/check.h"

static uint8_t stream[2 * IO_BYTES_MAX], payload[IO_BYTES_MAX];

/* World's end checks that nothing was released after the close, and that each lane closed once. */
static void check_abort_with_sends(enum world_memory memory, enum zc_force zero_copy, unsigned turns)
{
	struct world *world = world_new(&(struct world_options){.legs = 2, .memory = memory, .zero_copy = zero_copy});
	struct lane_notes *notes = &world->engine.lanes[0][LANE_MAIN];

	world_connect_all(world);
	for (unsigned slot = 0; slot < 48; slot++)
		world_write(world, slot, IO_BYTES_MAX, WRITE_BULK);
	for (unsigned i = 0; i < turns; i++)
		world_turn(world);
	CHECK_EQ_U64(0, notes->closed);
	peers_abort(world->peers, 0, LANE_MAIN, "the test says so");
	peers_abort(world->peers, 0, LANE_MAIN, "twice");
	CHECK_EQ_U64(0, notes->closed);
	WORLD_UNTIL(world, notes->closed == 1);
	CHECK_STR("the test says so", notes->close_reason);
	CHECK_EQ_U64(48, notes->released_before_close);
	for (unsigned id = 0; id < 48; id++)
		CHECK_EQ_U64(1, world->engine.released_ids[0][id]);
	CHECK_TRUE(fcntl(world->local[0][LANE_MAIN], F_GETFD) < 0);
	CHECK_EQ_U64(0, world->engine.lanes[1][LANE_MAIN].closed);
	CHECK_EQ_U64(0, world->engine.lanes[0][LANE_BULK].closed);
	world_free(world);
}

static void abort_takes_back_zero_copy_sends_from_a_peer_that_does_not_read(void)
{
	check_abort_with_sends(MEMORY_MAPPED_AND_FIXED, ZC_ALWAYS, 20);
	check_abort_with_sends(MEMORY_FIXED, ZC_ALWAYS, 1);
	check_abort_with_sends(MEMORY_FIXED, ZC_ALWAYS, 0);
}

static void abort_takes_back_sends_from_a_peer_that_does_not_read(void)
{
	check_abort_with_sends(MEMORY_MAPPED, ZC_NEVER, 20);
	check_abort_with_sends(MEMORY_MAPPED, ZC_NEVER, 0);
}

static void what_the_kernel_took_in_part_breaks_the_lanes_that_send(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 2, .memory = MEMORY_MAPPED});

	world_connect_all(world);
	for (unsigned slot = 0; slot < 40; slot++)
		world_write(world, slot, IO_BYTES_MAX, WRITE_BULK);
	world_turn(world);
	world->ring.cut_count++; /* as the ring does when memory for a request is short */
	WORLD_UNTIL(world, world->engine.lanes[0][LANE_MAIN].closed && world->engine.lanes[1][LANE_MAIN].closed);
	CHECK_STR_HAS("part of a chain", world->engine.lanes[0][LANE_MAIN].close_reason);
	CHECK_EQ_U64(40, world->engine.released[1]);
	CHECK_EQ_U64(0, world->engine.lanes[0][LANE_BULK].closed);
	world_free(world);
}

/* The receive of a payload is followed by that of the next header, in one chain. */
static void what_the_kernel_took_in_part_breaks_the_lanes_that_receive(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 2, .memory = MEMORY_MAPPED});
	size_t len = world_read_reply(3, payload, sizeof(payload), stream);

	world_connect_all(world);
	world_send_and_settle(world, 0, LANE_BULK, stream, len - 1);
	CHECK_EQ_U64(1, world->engine.lanes[0][LANE_BULK].replies);
	world->ring.cut_count++;
	WORLD_UNTIL(world, world->engine.lanes[0][LANE_BULK].closed);
	CHECK_STR_HAS("part of a chain", world->engine.lanes[0][LANE_BULK].close_reason);
	CHECK_EQ_U64(0, world->engine.lanes[0][LANE_BULK].placed);
	CHECK_EQ_U64(0, world->engine.lanes[1][LANE_BULK].closed);
	world_free(world);
}

/* Reads what has come, without letting the world turn. True: the connection is over. */
static bool is_reset(const struct world *world, unsigned leg, enum lane lane)
{
	ssize_t got;

	do
		got = recv(world->remote[leg][lane], stream, sizeof(stream), MSG_DONTWAIT);
	while (got > 0);
	return got == 0 || errno == ECONNRESET;
}

/* The second lane's chain finds no room, so that the first one's is submitted before it is queued. The kernel stops at
 * an entry that has no number, and loses it: one of those that nobody waits for, else the lane would for ever. */
static void a_chain_cut_while_another_is_queued_is_broken_before_its_rest_follows(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 2, .sq_entries = 128, .memory = MEMORY_MAPPED});
	struct io_uring_sq *sq = &world->ring.uring.sq;
	unsigned at;

	world_connect_all(world);
	world_turn(world);
	for (unsigned slot = 0; slot < 40; slot++)
		world_write(world, slot, IO_BYTES_MAX, WRITE_BULK);
	for (unsigned i = 0; i < 10; i++)
		io_uring_prep_nop(ring_sqe(&world->ring));
	at = (sq->sqe_tail - 5) & sq->ring_mask;
	sq->array[at] = UINT32_MAX;
	peers_flush(world->peers);
	sq->array[at] = at;
	CHECK_EQ_U64(1, world->ring.cut_count);
	CHECK_TRUE(is_reset(world, 0, LANE_MAIN));
	world_free(world);
}

/* Both ends of a unix socket, which knows no SEND_ZC. */
static void connect_by_unix_socket(struct world *world)
{
	struct letter letter;
	int fds[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	peers_connect(world->peers, 0, LANE_MAIN);
	CHECK_TRUE(mailbox_take(world->to_control, &letter));
	peers_lane_ready(world->peers, 0, letter.b, fds[0]);
	world->remote[0][LANE_MAIN] = fds[1];
}

static void a_stream_that_refuses_zero_copy_is_sent_copies_after_a_reconnect(void)
{
	struct world *world = world_new(
		&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED_AND_FIXED, .zero_copy = ZC_ALWAYS});

	connect_by_unix_socket(world);
	world_write(world, 1, 100000, WRITE_BULK);
	WORLD_UNTIL(world, world->engine.lanes[0][LANE_MAIN].closed == 1);
	CHECK_EQ_INT(-EOPNOTSUPP, world->engine.lanes[0][LANE_MAIN].close_error);
	CHECK_EQ_U64(1, world->engine.released[0]);
	close(world->remote[0][LANE_MAIN]);
	connect_by_unix_socket(world);
	world_fill(world, 1, 100000);
	world_write(world, 1, 100000, WRITE_BULK);
	CHECK_EQ_U64(1, world_recv_frame(world, 0, LANE_MAIN).id);
	world_recv(world, 0, LANE_MAIN, stream, 100000);
	CHECK_MEM(world_payload(world, 1), stream, 100000);
	world_free(world);
}

/* As kernel TLS will be: connect(AF_UNSPEC) does not work on a unix socket either. */
static void a_stream_that_cannot_be_disconnected_is_cancelled(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED});

	for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
		struct lane_notes *notes = &world->engine.lanes[0][lane];
		struct letter letter;
		int fds[2];

		CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
		peers_connect(world->peers, 0, lane);
		CHECK_TRUE(mailbox_take(world->to_control, &letter));
		peers_lane_ready(world->peers, 0, letter.b, fds[0]);
		for (unsigned slot = 0; lane == LANE_MAIN && slot < 40; slot++)
			world_write(world, slot, IO_BYTES_MAX, WRITE_BULK);
		for (unsigned i = 0; i < 5; i++)
			world_turn(world);
		CHECK_EQ_U64(0, notes->closed);
		peers_abort(world->peers, 0, lane, "enough");
		WORLD_UNTIL(world, notes->closed == 1);
		CHECK_EQ_U64(40, notes->released_before_close);
		close(fds[1]);
	}
	world_free(world);
}

/* After the close the memory is the application's again: whatever it holds then must not reach the peer. */
static void nothing_written_after_the_close_reaches_the_peer(void)
{
	struct world *world = world_new(
		&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED_AND_FIXED, .zero_copy = ZC_ALWAYS});
	ssize_t got;

	world_connect_all(world);
	for (unsigned slot = 0; slot < 16; slot++) {
		memset(world_payload(world, slot), 'a', IO_BYTES_MAX);
		world_write(world, slot, IO_BYTES_MAX, WRITE_BULK);
	}
	for (unsigned i = 0; i < 10; i++)
		world_turn(world);
	peers_abort(world->peers, 0, LANE_MAIN, "enough");
	WORLD_UNTIL(world, world->engine.lanes[0][LANE_MAIN].closed == 1);
	memset(world_payload(world, 0), 'b', 16 * WORLD_SLOT_BYTES);
	while ((got = recv(world->remote[0][LANE_MAIN], stream, sizeof(stream), MSG_DONTWAIT)) > 0)
		CHECK_NULL(memmem(stream, (size_t)got, "bbbbbbbbbbbbbbbb", 16));
	world_free(world);
}

static void check_abort_with_receive(enum world_memory memory, enum peers_recv recv)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = memory, .recv = recv});
	struct lane_notes *notes = &world->engine.lanes[0][LANE_BULK];
	size_t len = world_read_reply(1, payload, IO_BYTES_MAX, stream);

	world_connect_all(world);
	world_send_and_settle(world, 0, LANE_BULK, stream, len - 1000);
	CHECK_EQ_U64(1, notes->replies);
	peers_abort(world->peers, 0, LANE_BULK, "enough");
	WORLD_UNTIL(world, notes->closed == 1);
	CHECK_EQ_U64(0, notes->placed);
	memset(world_payload(world, 1), 0x77, IO_BYTES_MAX);
	(void)!write(world->remote[0][LANE_BULK], stream + len - 1000, 1000);
	CHECK_FALSE(notes->closed > 1);
	for (unsigned i = 0; i < 5; i++)
		world_turn(world);
	CHECK_EQ_U64(0x77, world_payload(world, 1)[IO_BYTES_MAX - 1]);
	world_free(world);
}

static void abort_takes_back_the_memory_of_a_read_that_is_half_received(void)
{
	check_abort_with_receive(MEMORY_MAPPED, PEERS_RECV_PROBE);
	check_abort_with_receive(MEMORY_FIXED, PEERS_RECV_READ_FIXED);
	check_abort_with_receive(MEMORY_FIXED, PEERS_RECV_PROBE);
	check_abort_with_receive(MEMORY_HIDDEN, PEERS_RECV_PROBE);
}

static void a_lane_is_used_again_after_an_abort(void)
{
	struct world *world = world_new(
		&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED_AND_FIXED, .zero_copy = ZC_ALWAYS});
	struct lane_notes *notes = &world->engine.lanes[0][LANE_MAIN];

	for (unsigned round = 1; round <= 20; round++) {
		world_connect(world, 0, LANE_MAIN);
		for (unsigned slot = 0; slot < WORLD_DEPTH; slot++) {
			world_write(world, slot, 200000, slot % 2 ? WRITE_BULK : WRITE_GATHER);
			if (slot % 40 == round)
				world_turn(world);
		}
		peers_abort(world->peers, 0, LANE_MAIN, "again");
		WORLD_UNTIL(world, notes->closed == round);
	}
	world_connect(world, 0, LANE_MAIN);
	world_fill(world, 5, 200000);
	world_write(world, 5, 200000, WRITE_BULK);
	CHECK_EQ_U64(5, world_recv_frame(world, 0, LANE_MAIN).id);
	world_recv(world, 0, LANE_MAIN, stream, 200000);
	CHECK_MEM(world_payload(world, 5), stream, 200000);
	CHECK_TRUE(world_is_silent(world, 0, LANE_MAIN));
	world_free(world);
}

/* The kernel may owe one for a send that its broken chain never started. */
static void a_notification_of_an_earlier_connection_is_ignored(void)
{
	struct world *world = world_new(&(struct world_options){
		.legs = 1, .memory = MEMORY_FIXED, .zero_copy = ZC_ALWAYS, .tight_sockets = true});
	struct io_uring_cqe late = {.res = 0, .flags = IORING_CQE_F_NOTIF};
	unsigned released;

	world_connect(world, 0, LANE_MAIN);
	world_write(world, 1, 100000, WRITE_BULK);
	world_recv(world, 0, LANE_MAIN, stream, FRAME_BYTES + 100000);
	WORLD_UNTIL(world, world->engine.released[0] == 1);
	late.user_data = world->last_notification;
	peers_abort(world->peers, 0, LANE_MAIN, "enough");
	WORLD_UNTIL(world, world->engine.lanes[0][LANE_MAIN].closed == 1);
	world_connect(world, 0, LANE_MAIN);
	/* One by one until a write is sent as far as the lane is concerned, but its notification is due: the peer's
	 * window is closed. */
	do {
		released = world->engine.released[0];
		world_write(world, released, 2048, WRITE_BULK);
		for (unsigned i = 0; i < 5; i++)
			world_turn(world);
	} while (world->engine.released[0] > released && released < WORLD_DEPTH);
	CHECK_TRUE(released < WORLD_DEPTH);
	for (unsigned ref = 0; ref < 2 * WORLD_DEPTH; ref++) {
		late.user_data = (late.user_data & ~0xffffull) | ref;
		peers_on_cqe(world->peers, &late);
	}
	CHECK_EQ_U64(released, world->engine.released[0]);
	world_free(world);
}

static void deferred_writes_are_released_with_their_leg_and_still_reach_the_others(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 2, .memory = MEMORY_HIDDEN});
	unsigned copied = 0, next = 0;

	world_connect_all(world);
	for (unsigned i = 0; i < WORLD_DEPTH; i++) {
		world_fill(world, i, 65536);
		copied += world_write(world, i, 65536, WRITE_GATHER);
	}
	peers_abort(world->peers, 0, LANE_MAIN, "enough");
	WORLD_UNTIL(world, world->engine.lanes[0][LANE_MAIN].closed == 1);
	CHECK_EQ_U64(WORLD_DEPTH - copied, world->engine.lanes[0][LANE_MAIN].released_before_close);
	while (next < WORLD_DEPTH) {
		struct frame frame = world_recv_frame(world, 1, LANE_MAIN);

		for (uint32_t left = frame.length; left; left -= FRAME_BYTES + 65536) {
			CHECK_EQ_U64(next, world_recv_frame(world, 1, LANE_MAIN).id);
			world_recv(world, 1, LANE_MAIN, stream, 65536);
			CHECK_MEM(world_payload(world, next++), stream, 65536);
		}
	}
	CHECK_EQ_U64(WORLD_DEPTH - copied, world->engine.released[1]);
	CHECK_EQ_U64(WORLD_DEPTH - copied, world->engine.released[0]);
	world_free(world);
}

/* Both legs are busy, so that the batch of the first write is still open when its place on leg 0 is gone. */
static void a_write_after_a_reconnect_does_not_join_a_batch_from_before(void)
{
	struct world *world =
		world_new(&(struct world_options){.legs = 2, .memory = MEMORY_MAPPED, .tight_sockets = true});
	struct frame frame;

	world_connect_all(world);
	world_write(world, 0, 500000, WRITE_BULK);
	world_turn(world);
	CHECK_TRUE(world_write(world, 1, 4096, WRITE_GATHER));
	world_turn(world);
	peers_abort(world->peers, 0, LANE_MAIN, "enough");
	WORLD_UNTIL(world, world->engine.lanes[0][LANE_MAIN].closed == 1);
	world_connect(world, 0, LANE_MAIN);
	CHECK_TRUE(world_write(world, 2, 4096, WRITE_GATHER));
	frame = world_recv_frame(world, 0, LANE_MAIN);
	CHECK_EQ_U64(FRAME_BATCH, frame.type);
	CHECK_EQ_U64(FRAME_BYTES + 4096, frame.length);
	CHECK_EQ_U64(2, world_recv_frame(world, 0, LANE_MAIN).id);
	world_recv(world, 1, LANE_MAIN, stream, FRAME_BYTES + 500000);
	for (unsigned id = 1; id <= 2; id++) {
		CHECK_EQ_U64(FRAME_BATCH, world_recv_frame(world, 1, LANE_MAIN).type);
		CHECK_EQ_U64(id, world_recv_frame(world, 1, LANE_MAIN).id);
		world_recv(world, 1, LANE_MAIN, stream, 4096);
	}
	world_free(world);
}

static void what_is_sent_to_a_lane_that_is_breaking_is_dropped_and_released(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED});

	world_connect_all(world);
	peers_abort(world->peers, 0, LANE_MAIN, "enough");
	CHECK_FALSE(world_write(world, 1, 100000, WRITE_BULK));
	CHECK_TRUE(world_write(world, 2, 4096, WRITE_GATHER));
	peers_send_frame(world->peers, 0, LANE_MAIN, &(struct frame){.type = FRAME_PING});
	CHECK_EQ_U64(0, world->engine.released[0]);
	WORLD_UNTIL(world, world->engine.lanes[0][LANE_MAIN].closed == 1);
	CHECK_EQ_U64(1, world->engine.lanes[0][LANE_MAIN].released_before_close);
	world_free(world);
}

/* A message, a reply with payload, a reply without, cut off by the replica's death at every byte. */
static void check_hang_up_at_every_byte(enum lane lane, enum world_memory memory, enum peers_recv recv)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = memory, .recv = recv});
	struct lane_notes *notes = &world->engine.lanes[0][lane];
	const struct message accepted = {.kind = MESSAGE_ACCEPTED, .accepted = {.gen = 11}};
	size_t control, read, len;
	unsigned round = 0;

	control = world_control(&accepted, stream, 4096);
	read = control + world_read_reply(3, payload, 100, stream + control);
	len = read + world_read_reply(4, payload, 0, stream + read);
	for (size_t cut = 0; cut <= len; cut++) {
		notes->messages = notes->replies = notes->placed = 0;
		world_connect(world, 0, lane);
		world_send(world, 0, lane, stream, cut);
		if (cut % 2)
			world_turn(world);
		world_hang_up(world, 0, lane);
		WORLD_UNTIL(world, notes->closed == round + 1);
		round++;
		CHECK_EQ_U64(cut >= control, notes->messages);
		CHECK_EQ_U64((cut >= control + FRAME_BYTES) + (cut >= len), notes->replies);
		CHECK_EQ_U64(cut >= read, notes->placed);
	}
	world_free(world);
}

static void a_main_lane_cut_off_at_any_byte_is_closed_once_and_places_only_whole_replies(void)
{
	check_hang_up_at_every_byte(LANE_MAIN, MEMORY_HIDDEN, PEERS_RECV_PROBE);
}

static void a_bulk_lane_cut_off_at_any_byte_is_closed_once_and_places_only_whole_replies(void)
{
	check_hang_up_at_every_byte(LANE_BULK, MEMORY_MAPPED, PEERS_RECV_PROBE);
	check_hang_up_at_every_byte(LANE_BULK, MEMORY_FIXED, PEERS_RECV_READ_FIXED);
	check_hang_up_at_every_byte(LANE_BULK, MEMORY_FIXED, PEERS_RECV_PROBE);
	check_hang_up_at_every_byte(LANE_BULK, MEMORY_HIDDEN, PEERS_RECV_PROBE);
}

static void a_replica_that_resets_under_load_releases_everything(void)
{
	struct world *world = world_new(
		&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED_AND_FIXED, .zero_copy = ZC_ALWAYS});
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	world_connect_all(world);
	for (unsigned slot = 0; slot < 40; slot++)
		world_write(world, slot, IO_BYTES_MAX, WRITE_BULK);
	world_recv(world, 0, LANE_MAIN, stream, sizeof(stream));
	setsockopt(world->remote[0][LANE_MAIN], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	world_hang_up(world, 0, LANE_MAIN);
	WORLD_UNTIL(world, world->engine.lanes[0][LANE_MAIN].closed == 1);
	CHECK_EQ_U64(40, world->engine.lanes[0][LANE_MAIN].released_before_close);
	world_free(world);
}

static struct letter take_connect(struct world *world)
{
	struct letter letter = {0};

	CHECK_TRUE(mailbox_take(world->to_control, &letter));
	CHECK_EQ_INT(LETTER_CONNECT, letter.kind);
	return letter;
}

static void a_connection_that_comes_after_its_attempt_was_aborted_is_closed(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED});
	struct lane_notes *notes = &world->engine.lanes[0][LANE_MAIN];
	struct letter letter;
	int fds[2];

	CHECK_OK(pipe(fds));
	peers_connect(world->peers, 0, LANE_MAIN);
	letter = take_connect(world);
	peers_abort(world->peers, 0, LANE_MAIN, "too slow");
	WORLD_UNTIL(world, notes->closed == 1);
	peers_lane_ready(world->peers, 0, letter.b, fds[0]);
	CHECK_TRUE(fcntl(fds[0], F_GETFD) < 0);
	CHECK_EQ_U64(0, notes->connected);
	peers_connect(world->peers, 0, LANE_MAIN);
	take_connect(world);
	peers_lane_ready(world->peers, 0, letter.b, fds[1]);
	CHECK_TRUE(fcntl(fds[1], F_GETFD) < 0);
	CHECK_EQ_U64(0, notes->connected);
	notes->connected = 2; /* world's end counts: neither attempt got that far */
	world_free(world);
}

static void a_failed_attempt_is_reported_closed_with_its_reason(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED});
	struct lane_notes *notes = &world->engine.lanes[0][LANE_BULK];
	struct err why = {.code = -ECONNREFUSED, .text = "10.0.0.1:7420: no connection"};

	peers_connect(world->peers, 0, LANE_BULK);
	peers_lane_failed(world->peers, 0, take_connect(world).b, &why);
	WORLD_UNTIL(world, notes->closed == 1);
	CHECK_EQ_INT(-ECONNREFUSED, notes->close_error);
	CHECK_STR("10.0.0.1:7420: no connection", notes->close_reason);
	notes->connected = 1;
	world_free(world);
}

static void a_control_thread_that_takes_no_letters_closes_the_lane(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED});
	struct lane_notes *notes = &world->engine.lanes[0][LANE_MAIN];

	while (mailbox_post(world->to_control, &(struct letter){.fd = -1}) == 0)
		;
	peers_connect(world->peers, 0, LANE_MAIN);
	CHECK_EQ_U64(0, notes->closed);
	WORLD_UNTIL(world, notes->closed == 1);
	notes->connected = 1;
	world_free(world);
}

/* No completion would wake the loop for the second close. */
static void what_a_report_leads_to_is_reported_in_the_same_turn(void)
{
	struct world *world = world_new(&(struct world_options){.legs = 1, .memory = MEMORY_MAPPED});
	struct lane_notes *notes = &world->engine.lanes[0][LANE_MAIN];

	while (mailbox_post(world->to_control, &(struct letter){.fd = -1}) == 0)
		;
	world->engine.reconnects = 3;
	peers_connect(world->peers, 0, LANE_MAIN);
	peers_flush(world->peers);
	CHECK_EQ_U64(4, notes->closed);
	notes->connected = 4;
	world_free(world);
}

static const struct check_test tests[] = {
	CHECK_TEST(abort_takes_back_zero_copy_sends_from_a_peer_that_does_not_read),
	CHECK_TEST(abort_takes_back_sends_from_a_peer_that_does_not_read),
	CHECK_TEST(a_stream_that_cannot_be_disconnected_is_cancelled),
	CHECK_TEST(a_stream_that_refuses_zero_copy_is_sent_copies_after_a_reconnect),
	CHECK_TEST(what_the_kernel_took_in_part_breaks_the_lanes_that_send),
	CHECK_TEST(what_the_kernel_took_in_part_breaks_the_lanes_that_receive),
	CHECK_TEST(a_chain_cut_while_another_is_queued_is_broken_before_its_rest_follows),
	CHECK_TEST(nothing_written_after_the_close_reaches_the_peer),
	CHECK_TEST(abort_takes_back_the_memory_of_a_read_that_is_half_received),
	CHECK_TEST(a_lane_is_used_again_after_an_abort),
	CHECK_TEST(a_notification_of_an_earlier_connection_is_ignored),
	CHECK_TEST(deferred_writes_are_released_with_their_leg_and_still_reach_the_others),
	CHECK_TEST(a_write_after_a_reconnect_does_not_join_a_batch_from_before),
	CHECK_TEST(what_is_sent_to_a_lane_that_is_breaking_is_dropped_and_released),
	CHECK_TEST(a_main_lane_cut_off_at_any_byte_is_closed_once_and_places_only_whole_replies),
	CHECK_TEST(a_bulk_lane_cut_off_at_any_byte_is_closed_once_and_places_only_whole_replies),
	CHECK_TEST(a_replica_that_resets_under_load_releases_everything),
	CHECK_TEST(a_connection_that_comes_after_its_attempt_was_aborted_is_closed),
	CHECK_TEST(a_failed_attempt_is_reported_closed_with_its_reason),
	CHECK_TEST(what_a_report_leads_to_is_reported_in_the_same_turn),
	CHECK_TEST(a_control_thread_that_takes_no_letters_closes_the_lane),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("peer_break", tests, argc, argv);
}
