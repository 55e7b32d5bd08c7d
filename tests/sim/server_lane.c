/* A connection of a simulated replica-server: bytes in, frames to the core, replies out, as
 * replica-server/drivers/conn.c and intake.c do it. Also watches what is answered: promises and configs must be durable
 * by then (R1). */
#include <errno.h>
#include <string.h>

#include "common/crc32c.h"
#include "proto/codec.h"
#include "tests/sim/world.h"

static struct server_lane *lane_of(struct replica_lane *lane)
{
	return container_of(lane, struct server_lane, lane);
}

static struct conn *conn_of(struct server_lane *lane)
{
	return &lane->world->net.conns[lane->conn];
}

void server_lane_begin_close(struct server_lane *lane, bool keep_all)
{
	struct world *world = lane->world;

	if (lane->is_closing)
		return;
	lane->is_closing = true;
	lane->lane.ending = true;
	net_server_leaves(world, conn_of(lane), keep_all);
	world_post(world, world_delay(world, 50),
		   (struct event){.kind = EVENT_SERVER_LANE_GONE,
				  .process = PROCESS_SERVER(lane->server->index),
				  .a = (uint64_t)(lane - lane->server->lanes),
				  .serial = lane->serial});
}

static void send_bytes(struct server_lane *lane, const void *bytes, size_t length)
{
	struct conn *conn = conn_of(lane);

	stream_add(&conn->streams[TO_GATEWAY], bytes, length);
	net_kick(lane->world, conn, TO_GATEWAY);
}

/* -- What the core asks for -- */

/* R5: everything received before a FLUSH is durable when it is answered; and never again after an fsync failed. */
static void check_reply(struct server_lane *lane, const struct frame *reply)
{
	struct server *server = lane->server;
	const struct served *oldest = list_first(&server->replica.session.changes, struct served, node);

	if (reply->status != WIRE_OK || reply->type != (FRAME_FLUSH | FRAME_REPLY))
		return;
	if (server->has_failed)
		world_violation(lane->world, "server %u answers a FLUSH well after its disk failed an fsync",
				server->index);
	for (unsigned i = 0; i < SIM_FLUSHES_KEPT; i++) {
		if (server->flushes[i].id == reply->id && oldest && oldest->arrival <= server->flushes[i].arrival)
			world_violation(lane->world, "server %u answers a FLUSH before a write that came before it",
					server->index);
	}
}

static void lane_reply(struct replica_lane *it, const struct frame *reply, struct io_buf *payload)
{
	struct server_lane *lane = lane_of(it);
	uint8_t header[FRAME_BYTES];

	check_reply(lane, reply);
	if (!lane->is_closing) {
		frame_encode(reply, header);
		send_bytes(lane, header, sizeof(header));
		if (payload)
			send_bytes(lane, payload->data, reply->length);
		lane->has_last_reply = !payload;
		memcpy(lane->last_reply, header, sizeof(header));
	}
	if (payload)
		lane_put_payload(it, payload);
}

/* P3: nothing older may still be running when a promise or a session is announced. */
static void check_drained(struct server_lane *lane, uint32_t epoch, uint32_t session)
{
	struct server *server = lane->server;
	struct list *it, *next;

	list_for_each (it, next, &server->disk.inflight) {
		struct store_op *op = container_of(it, struct store_op, node);
		const struct frame *frame;

		if (op->kind != STORE_WRITE && op->kind != STORE_PUNCH && op->kind != STORE_ZERO)
			continue;
		frame = &container_of(op, struct served, op)->frame;
		if (frame->epoch < epoch || (frame->epoch == epoch && frame->session < session))
			world_violation(
				lane->world,
				"server %u answers epoch %u session %u while a write of epoch %u session %u runs",
				server->index, epoch, session, frame->epoch, frame->session);
	}
}

static bool list_has(const struct unstable *list, uint64_t seq, uint64_t offset)
{
	for (uint32_t i = 0; i < unstable_count(list); i++) {
		const struct extent *extent = unstable_get(list, i);

		if (disk_seq(extent->epoch, extent->wseq) == seq && extent->offset <= offset &&
		    offset < extent->offset + extent->length)
			return true;
	}
	return unstable_is_everything(list);
}

static bool was_stable(struct server *server, uint64_t seq)
{
	uint32_t epoch = (uint32_t)(seq >> 32);

	return server->stable[epoch % SIM_EPOCHS_KEPT].epoch != epoch || /* too long ago to know */
	       (seq & UINT32_MAX) <= server->stable[epoch % SIM_EPOCHS_KEPT].upto;
}

/* R1: the answer to a promise tells of every change that is not known to be durable everywhere. */
static void check_list(struct server_lane *lane)
{
	struct server *server = lane->server;
	const struct unstable *list = &server->replica.unstable;
	const struct geometry *g = &lane->world->geometry;

	server->stable[list->epoch % SIM_EPOCHS_KEPT].epoch = list->epoch;
	server->stable[list->epoch % SIM_EPOCHS_KEPT].upto = list->stable_upto;
	for (unsigned i = 0; i < g->in_set_count[server->set]; i++) {
		unsigned block = g->in_set[server->set][i];
		uint64_t seq = server->disk.blocks[block].life_seq;

		if (seq >> 32 >= server->forgotten_epoch && seq && !was_stable(server, seq) &&
		    !list_has(list, seq, g->set_offset[block]))
			world_violation(lane->world, "server %u: its list has not block %u of write %u, epoch %u",
					server->index, block, (unsigned)(seq & UINT32_MAX), (unsigned)(seq >> 32));
	}
}

static void check_promise(struct server_lane *lane, const struct message_state *state)
{
	struct server *server = lane->server;
	struct superblock sb;

	if (geometry_has_data(&lane->world->geometry, server->index))
		check_list(lane);
	if (state->promised.epoch <= server->answered_epoch)
		return;
	if (disk_read_superblock(&server->disk, &sb) || sb.promised.epoch < state->promised.epoch)
		world_violation(lane->world, "server %u promises epoch %u, which is not durable", server->index,
				state->promised.epoch);
	check_drained(lane, state->promised.epoch, 0);
	server->answered_epoch = state->promised.epoch;
	server->answered_session = 0;
}

static void check_accepted(struct server_lane *lane, uint32_t gen)
{
	struct superblock sb;

	if (disk_read_superblock(&lane->server->disk, &sb) || sb.config.gen != gen)
		world_violation(lane->world, "server %u accepts gen %u, which is not durable", lane->server->index,
				gen);
}

/* A directory that was blank is one that promised. */
static void check_seeded(struct server_lane *lane)
{
	struct server *server = lane->server;
	struct superblock sb;

	if (disk_read_superblock(&server->disk, &sb) || superblock_is_blank(&sb) || sb.life == 0 ||
	    sb.promised.epoch != server->answered_epoch)
		world_violation(lane->world, "server %u says that it has its vote, which is not durable",
				server->index);
	lane->world->counters.seeded++;
}

/* R5: what older attachments left is forgotten when all in sync hold the same, on their disks. */
static void check_forgotten(struct server_lane *lane)
{
	struct world *world = lane->world;
	struct server *server = lane->server;
	const struct geometry *g = &world->geometry;
	unsigned in = world->truth.sets[server->set].chosen.in;
	uint32_t epoch = server->replica.unstable.epoch;

	/* Asked before it was evicted, it may hear of it later. */
	for (unsigned i = 0; in & 1u << server->index % g->voters && i < g->in_set_count[server->set]; i++) {
		unsigned block = g->in_set[server->set][i];

		/* Of this attachment, perhaps from before its process started again. */
		if (server->disk.blocks[block].life_seq >> 32 >= epoch ||
		    server->disk.blocks[block].cache_seq >> 32 >= epoch || world->history.blocks[block].is_tainted)
			continue;
		for (unsigned j = 0; j < g->replicas; j++) {
			const struct server *other = &world->servers[server->set * g->voters + j];

			if (in & 1u << j && truth_is_same_process(world, server->set, j) &&
			    other->disk.blocks[block].life_seq >> 32 < epoch &&
			    !disk_are_equal(world, server, other, block))
				world_violation(world, "server %u forgets block %u, which differs from server %u",
						server->index, block, other->index);
		}
	}
	server->forgotten_epoch = epoch;
}

static void check_answer(struct server_lane *lane, enum message_kind asked, const struct message *message)
{
	struct server *server = lane->server;

	if (message->kind == MESSAGE_STATE && (asked == MESSAGE_PROMISE || asked == MESSAGE_CLAIM))
		check_promise(lane, &message->state);
	if (message->kind == MESSAGE_ACCEPTED)
		check_accepted(lane, message->accepted.gen);
	if (message->kind == MESSAGE_SEEDED)
		check_seeded(lane);
	if (message->kind == MESSAGE_FORGOTTEN)
		check_forgotten(lane);
	if (message->kind == MESSAGE_OPENED) {
		check_drained(lane, server->answered_epoch, message->opened.session);
		server->answered_session = message->opened.session;
	}
}

static void lane_message(struct replica_lane *it, const struct message *message)
{
	struct server_lane *lane = lane_of(it);
	struct frame frame = {.type = FRAME_CONTROL};
	uint8_t header[FRAME_BYTES], *packed = lane->server->packed;
	enum message_kind asked = 0;
	int length;

	if (lane->asked_count > 0) {
		asked = lane->asked[lane->asked_first].kind;
		frame.id = lane->asked[lane->asked_first].id;
		lane->asked_first = (lane->asked_first + 1) % SIM_ASKED_MAX;
		lane->asked_count--;
	}
	check_answer(lane, asked, message);
	if (lane->is_closing)
		return;
	if (message->kind != MESSAGE_BEAT)
		TRACE_NAME(lane->world, message_kind_name(message->kind), "server % answers @ on connection %",
			   lane->server->index, lane->conn);
	length = codec_pack(message, packed, sizeof(lane->server->packed));
	if (length < 0)
		world_violation(lane->world, "server %u: %s cannot be packed", lane->server->index,
				message_kind_name(message->kind));
	frame.length = (uint32_t)length;
	frame.checksum = crc32c(0, packed, frame.length);
	frame_encode(&frame, header);
	send_bytes(lane, header, sizeof(header));
	send_bytes(lane, packed, frame.length);
}

static void lane_finish(struct replica_lane *lane)
{
	server_lane_begin_close(lane_of(lane), true);
}

static void lane_close(struct replica_lane *lane, const char *reason)
{
	(void)reason;
	server_lane_begin_close(lane_of(lane), false);
}

static const struct lane_ops lane_ops = {
	.reply = lane_reply,
	.message = lane_message,
	.finish = lane_finish,
	.close = lane_close,
};

/* -- Input -- */

bool server_accept(struct world *world, struct server *server, struct conn *conn)
{
	/* One that stops listens no more. */
	for (unsigned i = 0; i < SIM_SERVER_LANES && !server->replica.stopping; i++) {
		struct server_lane *lane = &server->lanes[i];

		if (lane->is_used)
			continue;
		memset(lane, 0, offsetof(struct server_lane, in));
		lane->is_used = true;
		lane->conn = net_index(world, conn);
		lane->serial = conn->serial;
		lane->world = world;
		lane->server = server;
		conn->server_lane = i;
		return true;
	}
	return false;
}

static struct server_lane *lane_at(struct world *world, const struct conn *conn)
{
	return &world->servers[conn->server].lanes[conn->server_lane];
}

static uint32_t available(const struct server_lane *lane)
{
	return lane->in_end - lane->in_start;
}

size_t server_room(const struct world *world, const struct conn *conn)
{
	return SIM_LANE_IN_BYTES - available(&world->servers[conn->server].lanes[conn->server_lane]);
}

void server_receive(struct world *world, struct conn *conn, const uint8_t *bytes, size_t length)
{
	struct server_lane *lane = lane_at(world, conn);

	memmove(lane->in, lane->in + lane->in_start, available(lane));
	lane->in_end = available(lane);
	lane->in_start = 0;
	assert(length <= SIM_LANE_IN_BYTES - lane->in_end);
	memcpy(lane->in + lane->in_end, bytes, length);
	lane->in_end += (uint32_t)length;
	server_settle(world, lane->server);
}

void server_peer_closed(struct world *world, struct conn *conn)
{
	server_lane_begin_close(lane_at(world, conn), false);
}

static void refuse(struct server_lane *lane, const char *what)
{
	TRACE(lane->world, "server % finds nonsense on connection %", lane->server->index, lane->conn);
	if (lane->is_attached)
		lane_refuse(&lane->lane, REFUSAL_MALFORMED, NULL, "%s", what);
	else
		server_lane_begin_close(lane, false);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* True: the payload is complete (or none was wanted). */
static bool take_payload(struct server_lane *lane)
{
	uint32_t n = smaller(available(lane), lane->discard_left);

	lane->discard_left -= n;
	lane->in_start += n;
	if (!lane->receiving)
		return lane->discard_left == 0;
	n = smaller(available(lane), lane->receiving->frame.length - lane->received);
	memcpy(lane->receiving->buf->data + lane->received, lane->in + lane->in_start, n);
	lane->received += n;
	lane->in_start += n;
	return lane->received == lane->receiving->frame.length;
}

static void take_hello(struct server_lane *lane, const struct message *hello)
{
	struct server *server = lane->server;
	struct message_refused refused;
	struct message welcome = {.kind = MESSAGE_WELCOME};
	struct uuid ours = server->replica.identity.replica_uuid;

	if (server->replica.stopping || hello->kind != MESSAGE_HELLO ||
	    !uuid_equal(&hello->hello.replica_uuid, &ours) ||
	    replica_check_hello(&server->replica.identity, &hello->hello, &refused)) {
		refuse(lane, "not for this replica");
		return;
	}
	lane->lane.ops = &lane_ops;
	lane->lane.role = hello->hello.role == HELLO_BULK ? REPLICA_LANE_BULK : REPLICA_LANE_MAIN;
	replica_lane_attach(&server->replica, &lane->lane);
	lane->is_attached = true;
	welcome.welcome = (struct message_welcome){
		.version = PROTOCOL_VERSION,
		.incarnation = server->identity.incarnation,
		.boot_id = server->replica.boot_id,
		.payload_max_bytes = IO_BYTES_MAX,
		.server = "sim",
	};
	lane_message(&lane->lane, &welcome);
}

static void note_asked(struct server_lane *lane, enum message_kind kind, uint64_t id)
{
	unsigned at = (lane->asked_first + lane->asked_count) % SIM_ASKED_MAX;

	assert(lane->asked_count < SIM_ASKED_MAX);
	lane->asked[at].kind = kind;
	lane->asked[at].id = id;
	lane->asked_count++;
}

static bool parse_control(struct server_lane *lane, const struct frame *frame)
{
	const uint8_t *bytes = lane->in + lane->in_start + FRAME_BYTES;
	struct message *message = &lane->server->message;
	const char *reason = "a bad checksum";

	if (available(lane) < FRAME_BYTES + frame->length) {
		if (FRAME_BYTES + frame->length > SIM_LANE_IN_BYTES)
			refuse(lane, "a message that is too long");
		return false;
	}
	lane->control_held = lane->is_attached && !lane_takes_control(&lane->lane);
	if (lane->control_held)
		return false;
	lane->in_start += FRAME_BYTES + frame->length;
	if (frame->checksum != crc32c(0, bytes, frame->length) ||
	    codec_unpack(bytes, frame->length, message, &reason)) {
		refuse(lane, reason);
		return false;
	}
	if (message->kind != MESSAGE_HEARTBEAT)
		TRACE_NAME(lane->world, message_kind_name(message->kind), "server % is asked @ on connection %",
			   lane->server->index, lane->conn);
	note_asked(lane, message->kind, frame->id);
	lane->server->replica.now_ns = server_clock(lane->world, lane->server);
	if (lane->is_attached)
		replica_message(&lane->lane, message);
	else
		take_hello(lane, message);
	return true;
}

static void note_flush(struct server *server, const struct frame *frame)
{
	unsigned i = server->flush_count++ % SIM_FLUSHES_KEPT;

	server->flushes[i].id = frame->id;
	server->flushes[i].arrival = server->replica.session.arrivals;
}

static bool parse_data(struct server_lane *lane, const struct frame *frame)
{
	struct served *served;
	const char *reason;
	int error;

	if (frame->type == FRAME_FLUSH)
		note_flush(lane->server, frame);
	error = session_frame(&lane->lane, frame, &served, &reason);

	lane->waits = error == -EAGAIN;
	if (lane->waits)
		return false;
	if (error) {
		refuse(lane, reason);
		return false;
	}
	lane->in_start += FRAME_BYTES;
	lane->receiving = served;
	lane->received = 0;
	if (!served && frame->type != FRAME_BATCH)
		lane->discard_left = frame_payload_bytes(frame);
	return true;
}

static bool parse_frame(struct server_lane *lane)
{
	struct frame frame;
	const char *reason;

	if (frame_decode(lane->in + lane->in_start, &frame, &reason)) {
		refuse(lane, reason);
		return false;
	}
	if (frame.type == FRAME_CONTROL)
		return parse_control(lane, &frame);
	if (lane->is_attached)
		return parse_data(lane, &frame);
	refuse(lane, "a data frame before HELLO");
	return false;
}

bool server_lane_parse(struct server_lane *lane)
{
	struct served *served;

	if (!lane->is_used || lane->is_closing || lane->waits || lane->lane.data_blocked)
		return false;
	if (lane->control_held && !lane_takes_control(&lane->lane))
		return false;
	if (lane->receiving || lane->discard_left) {
		if (!take_payload(lane))
			return false;
		served = lane->receiving;
		lane->receiving = NULL;
		if (served)
			session_payload(served);
		return true;
	}
	return available(lane) >= FRAME_BYTES && parse_frame(lane);
}
