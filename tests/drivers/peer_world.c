/* The world around peer I/O in its tests: see peer_world.h. The functions named engine_* stand in for the engine's. */
#include "tests/drivers/peer_world.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "common/net.h"
#include "gateway/drivers/letters.h"
#include "proto/codec.h"
#include "tests/unit/check.h"

void engine_lane_connected(struct engine *engine, unsigned leg, enum lane lane)
{
	engine->lanes[leg][lane].connected++;
}

void engine_lane_closed(struct engine *engine, unsigned leg, enum lane lane, int error, const char *reason)
{
	struct lane_notes *notes = &engine->lanes[leg][lane];

	notes->closed++;
	notes->close_error = error;
	notes->released_before_close = engine->released[leg];
	snprintf(notes->close_reason, sizeof(notes->close_reason), "%s", reason);
	if (engine->reconnects) {
		engine->reconnects--;
		peers_connect(engine->peers, leg, lane);
	}
}

void engine_message(struct engine *engine, unsigned leg, enum lane lane, const struct message *message)
{
	engine->lanes[leg][lane].messages++;
	engine->lanes[leg][lane].last_message = *message;
}

int engine_reply(struct engine *engine, unsigned leg, enum lane lane, const struct frame *reply,
		 struct read_target *ret)
{
	struct lane_notes *notes = &engine->lanes[leg][lane];

	notes->replies++;
	notes->last_reply = *reply;
	if (engine->refuse_replies)
		return -EPROTO;
	*ret = (struct read_target){.slot = (unsigned)reply->id % WORLD_DEPTH, .id = reply->id};
	if (reply->type == (FRAME_READ | FRAME_REPLY))
		ret->length = reply->length;
	return 0;
}

void engine_read_placed(struct engine *engine, unsigned leg, enum lane lane, uint64_t id)
{
	engine->lanes[leg][lane].placed++;
	engine->lanes[leg][lane].last_placed = id;
}

void engine_payload_released(struct engine *engine, unsigned leg, uint64_t id)
{
	engine->released[leg]++;
	if (id < sizeof(engine->released_ids[leg]))
		engine->released_ids[leg][id]++;
}

void engine_zeroed(struct engine *engine, uint64_t id, int error)
{
	engine->zeroed++;
	engine->zero_error = error;
}

uint32_t engine_leg_session(const struct engine *engine, unsigned leg)
{
	return 100 + leg;
}

void engine_batch_frame(const struct engine *engine, unsigned leg, uint32_t length, struct frame *ret)
{
	*ret = (struct frame){.type = FRAME_BATCH, .epoch = 7, .session = 100 + leg, .length = length};
}

static struct world *world_of(struct frontend *fe)
{
	return container_of(fe, struct world, frontend);
}

static struct payload fake_payload(struct frontend *fe, unsigned slot)
{
	struct world *world = world_of(fe);

	return (struct payload){
		.fixed = world->memory == MEMORY_FIXED || world->memory == MEMORY_MAPPED_AND_FIXED,
		.mapped = world->memory == MEMORY_MAPPED || world->memory == MEMORY_MAPPED_AND_FIXED,
		.buf_index = (uint16_t)slot,
		.base = (uintptr_t)world_payload(world, slot),
	};
}

static int fake_copy_out(struct frontend *fe, unsigned slot, uint32_t offset, uint32_t length, void *dst)
{
	if (!world_of(fe)->copy_error)
		memcpy(dst, world_payload(world_of(fe), slot) + offset, length);
	return world_of(fe)->copy_error;
}

static int fake_copy_in(struct frontend *fe, unsigned slot, uint32_t offset, uint32_t length, const void *src)
{
	if (!world_of(fe)->copy_error)
		memcpy(world_payload(world_of(fe), slot) + offset, src, length);
	return world_of(fe)->copy_error;
}

static const struct frontend_ops fake_ops = {
	.name = "fake",
	.payload = fake_payload,
	.copy_out = fake_copy_out,
	.copy_in = fake_copy_in,
};

static void register_payloads(struct world *world)
{
	static struct iovec iov[WORLD_DEPTH];

	for (unsigned slot = 0; slot < WORLD_DEPTH; slot++)
		iov[slot] = (struct iovec){world_payload(world, slot), WORLD_SLOT_BYTES};
	CHECK_OK(io_uring_register_buffers(&world->ring.uring, iov, WORLD_DEPTH));
}

struct world *world_new(const struct world_options *options)
{
	struct world *world = calloc(1, sizeof(*world));
	struct peers_options peers_options;
	struct err err = {0};

	CHECK_NOT_NULL(world);
	log_init("peer-test", LOG_LEVEL_ERROR);
	world->legs = options->legs;
	world->tight_sockets = options->tight_sockets;
	world->memory = options->memory;
	world->frontend.ops = &fake_ops;
	world->to_control = mailbox_new(64);
	world->payloads =
		mmap(NULL, WORLD_DEPTH * WORLD_SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_TRUE(world->payloads != MAP_FAILED);
	memset(world->remote, -1, sizeof(world->remote));
	peers_options_default(&peers_options);
	peers_options.leg_count = options->legs;
	peers_options.queue_depth = WORLD_DEPTH;
	peers_options.to_control = world->to_control;
	peers_options.recv = options->recv;
	peers_options.zero_copy = options->zero_copy;
	CHECK_OK(ring_init(&world->ring, options->sq_entries ? options->sq_entries : peers_sq_entries(&peers_options),
			   peers_cq_entries(&peers_options), &err));
	if (options->memory == MEMORY_FIXED || options->memory == MEMORY_MAPPED_AND_FIXED)
		register_payloads(world);
	world->peers = peers_new(&peers_options, &world->ring, &world->frontend, &err);
	CHECK_STR("", err.text);
	CHECK_NOT_NULL(world->peers);
	peers_bind(world->peers, &world->engine);
	world->engine.peers = world->peers;
	return world;
}

void world_free(struct world *world)
{
	peers_abort_all(world->peers, "the test is over");
	WORLD_UNTIL(world, peers_open_lanes(world->peers) == 0);
	for (unsigned leg = 0; leg < world->legs; leg++) {
		for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
			struct lane_notes *notes = &world->engine.lanes[leg][lane];

			CHECK_EQ_U64(notes->connected, notes->closed);
			if (world->remote[leg][lane] >= 0)
				close(world->remote[leg][lane]);
		}
		CHECK_EQ_U64(world->engine.released[leg], world->engine.lanes[leg][LANE_MAIN].released_before_close);
	}
	peers_free(world->peers);
	ring_fini(&world->ring);
	mailbox_free(world->to_control);
	munmap(world->payloads, WORLD_DEPTH * WORLD_SLOT_BYTES);
	free(world);
}

uint8_t *world_payload(struct world *world, unsigned slot)
{
	return world->payloads + slot * WORLD_SLOT_BYTES;
}

void world_turn(struct world *world)
{
	struct io_uring_cqe *cqe;

	CHECK_OK(ring_submit_and_wait(&world->ring, 1, NS_PER_MS));
	while (io_uring_peek_cqe(&world->ring.uring, &cqe) == 0) {
		struct io_uring_cqe copy = *cqe;

		io_uring_cqe_seen(&world->ring.uring, cqe);
		if (copy.flags & IORING_CQE_F_NOTIF)
			world->last_notification = copy.user_data;
		if (ud_kind(copy.user_data) != UD_NONE)
			peers_on_cqe(world->peers, &copy);
	}
	peers_flush(world->peers);
}

static void tcp_pair(int fds[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	CHECK_OK(bind(listener, (struct sockaddr *)&address, sizeof(address)));
	CHECK_OK(listen(listener, 1));
	CHECK_OK(getsockname(listener, (struct sockaddr *)&address, &len));
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_OK(connect(fds[0], (struct sockaddr *)&address, len));
	fds[1] = accept(listener, NULL, NULL);
	CHECK_TRUE(fds[1] >= 0);
	CHECK_OK(net_tune(fds[0]));
	close(listener);
}

static void tighten(int fd)
{
	const int bytes = 16 * 1024;

	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)));
	CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)));
}

void world_connect(struct world *world, unsigned leg, enum lane lane)
{
	struct lane_notes *notes = &world->engine.lanes[leg][lane];
	unsigned connected = notes->connected;
	struct letter letter;
	int fds[2];

	tcp_pair(fds);
	if (world->tight_sockets) {
		tighten(fds[0]);
		tighten(fds[1]);
	}
	if (world->remote[leg][lane] >= 0)
		close(world->remote[leg][lane]);
	world->local[leg][lane] = fds[0];
	world->remote[leg][lane] = fds[1];
	peers_connect(world->peers, leg, lane);
	CHECK_TRUE(mailbox_take(world->to_control, &letter));
	CHECK_EQ_INT(LETTER_CONNECT, letter.kind);
	CHECK_EQ_U64(leg, letter.a);
	peers_lane_ready(world->peers, leg, letter.b, fds[0]);
	CHECK_EQ_U64(connected + 1, notes->connected);
}

void world_connect_all(struct world *world)
{
	for (unsigned leg = 0; leg < world->legs; leg++) {
		world_connect(world, leg, LANE_MAIN);
		world_connect(world, leg, LANE_BULK);
	}
	world_turn(world);
}

void world_send(struct world *world, unsigned leg, enum lane lane, const void *bytes, size_t len)
{
	uint64_t end_ns = clock_now_ns() + 20 * NS_PER_S;
	const uint8_t *next = bytes;

	while (len) {
		ssize_t sent = send(world->remote[leg][lane], next, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return; /* the lane broke the connection: the test sees it in the notes */
		if (sent > 0) {
			next += sent;
			len -= (size_t)sent;
		}
		if (clock_now_ns() > end_ns)
			CHECK_FAIL("the lane takes no bytes");
		if (len)
			world_turn(world);
	}
}

void world_send_and_settle(struct world *world, unsigned leg, enum lane lane, const void *bytes, size_t len)
{
	struct lane_notes *notes = &world->engine.lanes[leg][lane];
	int on_way = 1, unread = 1;

	world_send(world, leg, lane, bytes, len);
	WORLD_UNTIL(world, notes->closed == notes->connected ||
				   (!ioctl(world->remote[leg][lane], SIOCOUTQ, &on_way) && !on_way &&
				    !ioctl(world->local[leg][lane], FIONREAD, &unread) && !unread));
	world_turn(world);
}

void world_recv(struct world *world, unsigned leg, enum lane lane, void *bytes, size_t len)
{
	uint64_t end_ns = clock_now_ns() + 20 * NS_PER_S;
	uint8_t *next = bytes;

	while (len) {
		ssize_t got = recv(world->remote[leg][lane], next, len, MSG_DONTWAIT);

		if (got > 0) {
			next += got;
			len -= (size_t)got;
			continue;
		}
		if (got == 0 || errno != EAGAIN)
			CHECK_FAIL("the lane hung up with %zu bytes to come", len);
		if (clock_now_ns() > end_ns)
			CHECK_FAIL("%zu bytes never came", len);
		world_turn(world);
	}
}

struct frame world_recv_frame(struct world *world, unsigned leg, enum lane lane)
{
	uint8_t header[FRAME_BYTES];
	const char *reason = "";
	struct frame frame;

	world_recv(world, leg, lane, header, sizeof(header));
	if (frame_decode(header, &frame, &reason))
		CHECK_FAIL("leg %u: no frame where one must be: %s", leg, reason);
	return frame;
}

bool world_is_silent(struct world *world, unsigned leg, enum lane lane)
{
	uint8_t byte;

	for (unsigned i = 0; i < 5; i++)
		world_turn(world);
	return recv(world->remote[leg][lane], &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

void world_hang_up(struct world *world, unsigned leg, enum lane lane)
{
	close(world->remote[leg][lane]);
	world->remote[leg][lane] = -1;
}

bool world_write(struct world *world, unsigned slot, uint32_t bytes, enum write_path path)
{
	const struct write_order order = {
		.legs = (1ull << world->legs) - 1,
		.path = path,
		.slot = slot % WORLD_DEPTH,
		.frame = {.type = FRAME_WRITE, .epoch = 7, .length = bytes, .id = slot, .wseq = slot + 1},
	};

	return peers_send_write(world->peers, &order);
}

void world_fill(struct world *world, unsigned slot, uint32_t bytes)
{
	uint8_t *payload = world_payload(world, slot % WORLD_DEPTH);

	for (uint32_t i = 0; i < bytes; i++)
		payload[i] = (uint8_t)((i >> 8) * 31 + i * 7 + slot * 13);
}

size_t world_read_reply(unsigned slot, const uint8_t *payload, uint32_t bytes, uint8_t *out)
{
	const struct frame frame = {.type = FRAME_READ | FRAME_REPLY, .epoch = 7, .length = bytes, .id = slot};

	frame_encode(&frame, out);
	memcpy(out + FRAME_BYTES, payload, bytes);
	return FRAME_BYTES + bytes;
}

size_t world_control(const struct message *message, uint8_t *out, size_t cap)
{
	struct frame frame = {.type = FRAME_CONTROL};
	int len = codec_pack(message, out + FRAME_BYTES, cap - FRAME_BYTES);

	CHECK_TRUE(len > 0);
	frame.length = (uint32_t)len;
	frame.checksum = crc32c(0, out + FRAME_BYTES, frame.length);
	frame_encode(&frame, out);
	return FRAME_BYTES + frame.length;
}
