/* Life of a gateway's connection and its input. Must not know what a frame means beyond where its payload goes.
 * On a request's path first: conn_on_cqe() -> conn_parse() -> session_frame() and session_payload(). */
#include "replica-server/drivers/conn.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "common/err.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/uring.h"
#include "proto/codec.h"
#include "replica-server/core/replica.h"
#include "replica-server/drivers/data_thread.h"

/* Payload still missing from which on it is worth a receive of its own, into its place. */
#define DIRECT_RECV_BYTES (16 * KIB)
#define FINISH_PATIENCE_NS (2 * NS_PER_S)

static struct conn *conn_of(struct replica_lane *lane)
{
	return container_of(lane, struct conn, lane);
}

/* -- What the core asks for (lane_ops) -- */

static void begin_close(struct conn *conn, const char *reason)
{
	if (conn->state == CONN_CLOSING)
		return;
	conn->state = CONN_CLOSING;
	conn->close_reason = reason;
	conn->lane.ending = true;
	(void)shutdown(conn->fd, SHUT_RDWR); /* ends what is armed; fails only when the peer is gone already */
	data_thread_touch(conn->thread, conn);
}

static void lane_reply(struct replica_lane *lane, const struct frame *reply, struct io_buf *payload)
{
	struct conn *conn = conn_of(lane);

	FAILPOINT("replies", frame_type_name(reply->type));
	if (conn->state == CONN_CLOSING || out_push(&conn->out, reply, payload)) {
		if (payload)
			lane_put_payload(lane, payload);
		begin_close(conn, "the peer does not read its replies");
		return;
	}
	data_thread_touch(conn->thread, conn);
}

static void push_control_id(struct conn *conn, uint64_t id)
{
	assert(conn->control_count < CONTROL_IDS);
	conn->control_ids[(conn->control_first + conn->control_count++) % CONTROL_IDS] = id;
}

/* Answers come in the order of their requests. A refusal that nobody asked for repeats the last one. */
static uint64_t pop_control_id(struct conn *conn)
{
	uint64_t id = conn->control_ids[conn->control_first];

	if (conn->control_count == 0)
		return conn->control_ids[(conn->control_first + CONTROL_IDS - 1) % CONTROL_IDS];
	conn->control_first = (conn->control_first + 1) % CONTROL_IDS;
	conn->control_count--;
	return id;
}

static void lane_message(struct replica_lane *lane, const struct message *message)
{
	struct conn *conn = conn_of(lane);

	if (message->kind == MESSAGE_REFUSED)
		log_warn("event=refused client=\"%s\" volume=%s reason=%s text=\"%s\"", conn->client,
			 lane->replica->identity.volume_name, refusal_name(message->refused.refusal),
			 message->refused.text);
	FAILPOINT("sends", message_kind_name(message->kind));
	if (out_push_message(&conn->out, message, pop_control_id(conn)))
		begin_close(conn, "the peer does not read its answers");
	else
		data_thread_touch(conn->thread, conn);
}

static void lane_finish(struct replica_lane *lane)
{
	struct conn *conn = conn_of(lane);

	if (conn->state != CONN_OPEN)
		return;
	conn->state = CONN_FINISHING;
	conn->close_reason = "refused";
	lane->ending = true;
	data_thread_touch(conn->thread, conn);
}

static void lane_close(struct replica_lane *lane, const char *reason)
{
	begin_close(conn_of(lane), reason);
}

static const struct lane_ops lane_ops = {
	.reply = lane_reply,
	.message = lane_message,
	.finish = lane_finish,
	.close = lane_close,
};

/* -- Life -- */

static void send_welcome(struct conn *conn, const struct message_hello *hello)
{
	struct message message = {.kind = MESSAGE_WELCOME};
	struct message_welcome *welcome = &message.welcome;

	data_thread_welcome(conn->thread, hello, welcome);
	welcome->boot_id = conn->lane.replica->boot_id;
	lane_message(&conn->lane, &message);
}

struct conn *conn_new(struct data_thread *thread, int fd, struct replica *replica, enum lane_role role,
		      const struct message_hello *hello, uint64_t hello_id)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->in = malloc(CONN_IN_BYTES);
	if (!conn->in || out_init(&conn->out)) {
		free(conn->in);
		free(conn);
		return NULL;
	}
	conn->thread = thread;
	conn->fd = fd;
	conn->lane.ops = &lane_ops;
	conn->lane.role = role;
	push_control_id(conn, hello_id);
	memcpy(conn->client, hello->client, sizeof(conn->client));
	list_init(&conn->node);
	list_init(&conn->work_node);
	list_init(&conn->wait_node);
	list_init(&conn->quick_node);
	replica_lane_attach(replica, &conn->lane);
	send_welcome(conn, hello);
	return conn;
}

static void conn_free(struct conn *conn)
{
	struct io_buf *buf;

	while (out_pop(&conn->out, &buf))
		if (buf)
			lane_put_payload(&conn->lane, buf);
	log_info("event=closed client=\"%s\" volume=%s lane=%s reason=\"%s\"", conn->client,
		 conn->lane.replica->identity.volume_name, conn->lane.role == REPLICA_LANE_BULK ? "bulk" : "main",
		 conn->close_reason);
	(void)close(conn->fd);
	data_thread_forget(conn->thread, conn);
	replica_lane_closed(&conn->lane); /* the replica may go away in here */
	out_fini(&conn->out);
	free(conn->in);
	free(conn);
}

/* -- Input -- */

static uint32_t available(const struct conn *conn)
{
	return conn->in_end - conn->in_start;
}

static void refuse(struct conn *conn, const char *what)
{
	struct replica_lane *lane = &conn->lane;

	lane_refuse(lane, REFUSAL_MALFORMED, NULL,
		    "connection of %s to the replica of volume %s: %s; the peer is faulty", conn->client,
		    lane->replica->identity.volume_name, what);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Moves what has arrived of the payload to its place. True: all of it is there (or none was wanted). */
static bool take_payload(struct conn *conn)
{
	uint32_t n = smaller(available(conn), conn->discard_left);

	conn->discard_left -= n;
	conn->in_start += n;
	if (!conn->receiving)
		return conn->discard_left == 0;
	n = smaller(available(conn), conn->receiving->frame.length - conn->received);
	memcpy(conn->receiving->buf->data + conn->received, conn->in + conn->in_start, n);
	conn->received += n;
	conn->in_start += n;
	return conn->received == conn->receiving->frame.length;
}

static void payload_complete(struct conn *conn)
{
	struct served *served = conn->receiving;

	conn->receiving = NULL;
	if (served)
		session_payload(served);
}

/* True: handled, look at the next frame. False: more bytes are needed, or the connection ends. */
static bool parse_control(struct conn *conn, const struct frame *frame)
{
	const uint8_t *bytes = conn->in + conn->in_start + FRAME_BYTES;
	struct message *message = data_thread_message(conn->thread);
	const char *reason;

	if (available(conn) < FRAME_BYTES + frame->length)
		return false;
	conn->control_held = !lane_takes_control(&conn->lane);
	if (conn->control_held)
		return false;
	conn->in_start += FRAME_BYTES + frame->length;
	push_control_id(conn, frame->id);
	if (frame->checksum != crc32c(0, bytes, frame->length)) {
		refuse(conn, "a control message with a bad checksum");
		return false;
	}
	if (codec_unpack(bytes, frame->length, message, &reason)) {
		refuse(conn, reason);
		return false;
	}
	conn->lane.replica->now_ns = clock_now_ns();
	FAILPOINT("hears", message_kind_name(message->kind));
	replica_message(&conn->lane, message);
	return true;
}

static bool parse_data(struct conn *conn, const struct frame *frame)
{
	bool in_batch = conn->lane.batch_left > 0;
	struct served *served;
	const char *reason;
	int error = session_frame(&conn->lane, frame, &served, &reason);

	if (error == -EAGAIN) {
		data_thread_wait(conn->thread, conn);
		return false;
	}
	if (error) {
		refuse(conn, reason);
		return false;
	}
	conn->in_start += FRAME_BYTES;
	conn->receiving = served;
	conn->received = 0;
	conn->header_only = !in_batch && frame->type == FRAME_WRITE && frame->length >= DIRECT_RECV_BYTES;
	if (!served && frame->type != FRAME_BATCH)
		conn->discard_left = frame_payload_bytes(frame);
	return true;
}

static bool parse_frame(struct conn *conn)
{
	struct frame frame;
	const char *reason;

	if (frame_decode(conn->in + conn->in_start, &frame, &reason)) {
		refuse(conn, reason);
		return false;
	}
	return frame.type == FRAME_CONTROL ? parse_control(conn, &frame) : parse_data(conn, &frame);
}

/* May another frame be looked at? Every request of the lane must find room for its reply; a control message waits until
 * the lane takes it, and what is behind it waits with it. */
static bool may_parse(const struct conn *conn)
{
	const struct replica_lane *lane = &conn->lane;

	if (conn->control_held && !lane_takes_control(lane))
		return false;
	return conn->state == CONN_OPEN && !lane->data_blocked && !list_is_linked(&conn->wait_node) &&
	       out_room(&conn->out) > lane->request_count + lane->voter_count + 4 &&
	       conn->out.messages_used < OUT_MESSAGE_BYTES / 4;
}

void conn_parse(struct conn *conn)
{
	while (may_parse(conn)) {
		if (conn->receiving || conn->discard_left) {
			if (!take_payload(conn))
				return;
			payload_complete(conn);
			continue;
		}
		if (available(conn) < FRAME_BYTES || !parse_frame(conn))
			return;
	}
}

static void received(struct conn *conn, int result)
{
	conn->recv_armed = false;
	if (result == -EINTR || result == -EAGAIN)
		return;
	if (result <= 0) {
		begin_close(conn, result == 0 ? "the peer closed it" : err_name(result));
		return;
	}
	conn->thread->counters.recvs++;
	conn->thread->counters.bytes_in += (uint64_t)result;
	if (conn->state != CONN_OPEN)
		return; /* thrown away */
	if (conn->recv_is_payload)
		conn->received += (uint32_t)result;
	else
		conn->in_end += (uint32_t)result;
	if (conn->recv_is_payload && conn->received == conn->receiving->frame.length)
		payload_complete(conn);
}

static void sent(struct conn *conn, int result)
{
	struct io_buf *buf;

	conn->send_armed = false;
	list_del(&conn->quick_node);
	conn->send_short = result < 0 || (uint64_t)result < conn->send_bytes;
	if (result == -EINTR || result == -EAGAIN)
		return;
	if (result < 0) {
		begin_close(conn, err_name(result));
		return;
	}
	conn->thread->counters.sends++;
	conn->thread->counters.bytes_out += (uint64_t)result;
	out_sent(&conn->out, (uint64_t)result);
	while (out_pop_sent(&conn->out, &buf))
		if (buf)
			lane_put_payload(&conn->lane, buf);
	data_thread_resource_freed(conn->thread);
}

void conn_on_cqe(struct conn *conn, enum conn_event event, const struct io_uring_cqe *cqe)
{
	if (event == CONN_EVENT_RECV)
		received(conn, cqe->res);
	else
		sent(conn, cqe->res);
	data_thread_touch(conn->thread, conn);
}

/* -- Output and end of turn -- */

/* A send is first tried without waiting: nothing is heard of it when the socket took all, which is the rule, so that
 * a turn's only completions are those worth waking up for. What it leaves goes with an ordinary send. */
static void arm_send(struct conn *conn)
{
	struct io_uring_sqe *sqe;
	int flags = MSG_NOSIGNAL | MSG_WAITALL | (conn->send_short ? 0 : MSG_DONTWAIT);

	if (conn->send_armed || conn->state == CONN_CLOSING)
		return;
	conn->send_bytes = out_gather(&conn->out);
	if (conn->send_bytes == 0)
		return;
	sqe = ring_sqe(&conn->thread->ring);
	if (conn->out.header.msg_iovlen == 1)
		io_uring_prep_send(sqe, conn->fd, conn->out.iovecs[0].iov_base, conn->out.iovecs[0].iov_len, flags);
	else
		io_uring_prep_sendmsg(sqe, conn->fd, &conn->out.header, (unsigned)flags);
	sqe->user_data = data_thread_conn_ud(conn, CONN_EVENT_SEND);
	conn->send_armed = true;
	if (conn->send_short)
		return;
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	list_add_tail(&conn->thread->quick, &conn->quick_node);
}

bool conn_awaits_send(const struct conn *conn)
{
	return conn->state != CONN_OPEN || conn->out.gathered < conn->out.count || !may_parse(conn);
}

void conn_quick_sent(struct conn *conn)
{
	sent(conn, (int)conn->send_bytes);
	data_thread_touch(conn->thread, conn);
}

static void arm_recv_payload(struct conn *conn, struct io_uring_sqe *sqe, uint32_t left)
{
	conn->recv_is_payload = true;
	io_uring_prep_recv(sqe, conn->fd, conn->receiving->buf->data + conn->received, left, MSG_WAITALL);
}

static void arm_recv_input(struct conn *conn, struct io_uring_sqe *sqe)
{
	uint32_t have = available(conn), want = CONN_IN_BYTES - have;

	memmove(conn->in, conn->in + conn->in_start, have);
	conn->in_start = 0;
	conn->in_end = have;
	if (conn->header_only && !conn->receiving && have < FRAME_BYTES)
		want = FRAME_BYTES - have;
	conn->recv_is_payload = false;
	io_uring_prep_recv(sqe, conn->fd, conn->in + have, want, 0);
}

/* Is there anything to gain from more input? While FINISHING it is read only to learn of the peer's end. */
static bool wants_input(struct conn *conn)
{
	if (conn->recv_armed || conn->state == CONN_CLOSING)
		return false;
	if (conn->state == CONN_FINISHING)
		conn->in_start = conn->in_end = 0;
	return conn->state == CONN_FINISHING || may_parse(conn);
}

static void arm_recv(struct conn *conn)
{
	struct io_uring_sqe *sqe;
	uint32_t left = 0;

	if (!wants_input(conn))
		return;
	if (conn->state == CONN_OPEN && conn->receiving)
		left = conn->receiving->frame.length - conn->received;
	sqe = ring_sqe(&conn->thread->ring);
	if (left >= DIRECT_RECV_BYTES && available(conn) == 0)
		arm_recv_payload(conn, sqe, left);
	else
		arm_recv_input(conn, sqe);
	sqe->user_data = data_thread_conn_ud(conn, CONN_EVENT_RECV);
	conn->recv_armed = true;
}

/* Everything queued has left: FIN, and some patience for the peer to read it and to close. */
static void progress_finish(struct conn *conn, uint64_t now_ns)
{
	if (conn->state != CONN_FINISHING)
		return;
	if (conn->deadline_ns == 0)
		conn->deadline_ns = now_ns + FINISH_PATIENCE_NS;
	if (conn->out.count == 0 && !conn->send_armed)
		(void)shutdown(conn->fd, SHUT_WR);
	if (now_ns >= conn->deadline_ns)
		begin_close(conn, conn->close_reason);
}

/* Bytes that the peer acknowledged or sent; 0: not known. */
static uint64_t moved_bytes(const struct conn *conn)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return 0;
	return info.tcpi_bytes_acked + info.tcpi_bytes_received;
}

void conn_judge(struct conn *conn, bool others_wait)
{
	bool is_up_to_peer = conn->send_armed || conn->receiving;
	uint64_t before = conn->moved_bytes;

	conn->moved_bytes = others_wait && is_up_to_peer && conn->lane.held_bytes ? moved_bytes(conn) : 0;
	if (before && conn->moved_bytes == before)
		begin_close(conn, "the peer neither reads nor sends, and others wait for the memory");
}

bool conn_kick(struct conn *conn, uint64_t now_ns)
{
	progress_finish(conn, now_ns);
	arm_send(conn);
	arm_recv(conn);
	if (conn->state != CONN_CLOSING || conn->recv_armed || conn->send_armed)
		return false;
	conn_free(conn);
	return true;
}
