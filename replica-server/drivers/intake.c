/* Reads one HELLO, decides whose it is, hands the socket over; carries administrators' requests to admin.c. Must not
 * know data frames. On a request's path only before the first one. */
#include "replica-server/drivers/intake.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/log.h"
#include "proto/codec.h"
#include "replica-server/drivers/registry.h"

#define ENDING_PATIENCE_S 2.0

static void on_io(struct ev_loop *loop, struct ev_io *io, int events);
static void on_deadline(struct ev_loop *loop, struct ev_timer *timer, int events);
static void intake_stream_ready(struct intake *intake);

/* -- Life -- */

/* Of those that owe something - a HELLO, or if `any`, a request or the end of the connection - the one that was silent
 * longest. */
static struct intake *silent_one(struct server *server, bool any)
{
	struct list *it, *next;

	list_for_each (it, next, &server->pending) {
		struct intake *intake = container_of(it, struct intake, node);

		if (intake->state == INTAKE_HELLO || (any && intake->state != INTAKE_BUSY))
			return intake;
	}
	return NULL;
}

/* When all places are taken, whoever has been silent longest makes room: silence must not keep others out. */
static void make_room(struct server *server)
{
	struct intake *intake;

	if (server->pending_count < PENDING_MAX)
		return;
	intake = silent_one(server, false);
	if (!intake)
		intake = silent_one(server, true);
	if (!intake)
		return;
	log_warn("event=dropped peer=%s reason=\"%s, and too many wait\"", intake->peer,
		 intake->state == INTAKE_HELLO ? "no HELLO yet" : "it asks nothing");
	intake_free(intake);
}

void intake_new(struct server *server, int fd, const char *peer)
{
	struct intake *intake;

	make_room(server);
	intake = server->pending_count < PENDING_MAX ? calloc(1, sizeof(*intake)) : NULL;

	if (!intake) {
		log_warn("event=dropped peer=%s reason=\"too many connections of administrators\"", peer);
		(void)close(fd);
		return;
	}
	intake->server = server;
	intake->fd = fd;
	(void)snprintf(intake->peer, sizeof(intake->peer), "%s", peer);
	list_init(&intake->node);
	list_add_tail(&server->pending, &intake->node);
	server->pending_count++;
	ev_io_init(&intake->io, on_io, fd, EV_READ);
	ev_timer_init(&intake->deadline, on_deadline, HELLO_DEADLINE_S, 0.0);
	intake->io.data = intake;
	intake->deadline.data = intake;
	ev_timer_start(server->loop, &intake->deadline);
	intake_stream_ready(intake);
}

static void intake_stream_ready(struct intake *intake)
{
	intake->state = INTAKE_HELLO;
	ev_io_start(intake->server->loop, &intake->io);
}

/* Forgets the connection but not its socket. */
static void let_go(struct intake *intake)
{
	struct server *server = intake->server;

	ev_io_stop(server->loop, &intake->io);
	ev_timer_stop(server->loop, &intake->deadline);
	list_del(&intake->node);
	server->pending_count--;
	free(intake->payload);
	free(intake->out);
	free(intake);
}

void intake_free(struct intake *intake)
{
	int fd = intake->fd;

	let_go(intake);
	(void)close(fd);
}

static void set_deadline(struct intake *intake, double seconds)
{
	ev_timer_stop(intake->server->loop, &intake->deadline);
	ev_timer_set(&intake->deadline, seconds, 0.0);
	ev_timer_start(intake->server->loop, &intake->deadline);
}

static void wait_for(struct intake *intake, int events)
{
	struct ev_loop *loop = intake->server->loop;

	ev_io_stop(loop, &intake->io);
	ev_io_set(&intake->io, intake->fd, events);
	ev_io_start(loop, &intake->io);
}

static void on_deadline(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct intake *intake = timer->data;

	if (intake->state == INTAKE_HELLO)
		log_warn("event=dropped peer=%s reason=\"no HELLO within %.0f s\"", intake->peer, HELLO_DEADLINE_S);
	if (intake->state == INTAKE_BUSY)
		return; /* ours to answer; the data thread will */
	intake_free(intake);
}

/* -- Sending -- */

static void begin_ending(struct intake *intake)
{
	(void)shutdown(intake->fd, SHUT_WR);
	intake->state = INTAKE_ENDING;
	set_deadline(intake, ENDING_PATIENCE_S);
	wait_for(intake, EV_READ);
}

static void answer_sent(struct intake *intake)
{
	free(intake->out);
	intake->out = NULL;
	free(intake->payload);
	intake->payload = NULL;
	intake->have = 0;
	if (intake->end_after_send) {
		begin_ending(intake);
		return;
	}
	intake->state = INTAKE_ADMIN;
	list_del(&intake->node); /* it was not silent */
	list_add_tail(&intake->server->pending, &intake->node);
	set_deadline(intake, ADMIN_IDLE_S);
	wait_for(intake, EV_READ);
}

static void send_more(struct intake *intake)
{
	while (intake->out_sent < intake->out_len) {
		ssize_t n = send(intake->fd, intake->out + intake->out_sent, intake->out_len - intake->out_sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			wait_for(intake, EV_WRITE);
			return;
		}
		if (n < 0) {
			intake_free(intake);
			return;
		}
		intake->out_sent += (uint32_t)n;
	}
	answer_sent(intake);
}

void intake_send(struct intake *intake, const struct message *message, bool end_after_send)
{
	struct frame frame = {.type = FRAME_CONTROL, .id = intake->frame.id};
	int len;

	intake->out = malloc(FRAME_BYTES + MESSAGE_BYTES_MAX);
	len = intake->out ? codec_pack(message, intake->out + FRAME_BYTES, MESSAGE_BYTES_MAX) : -ENOMEM;
	if (len < 0) {
		log_error("event=dropped peer=%s reason=\"the answer cannot be packed: %s\"", intake->peer,
			  err_name(len));
		intake_free(intake);
		return;
	}
	frame.length = (uint32_t)len;
	frame.checksum = crc32c(0, intake->out + FRAME_BYTES, (size_t)len);
	frame_encode(&frame, intake->out);
	intake->out_len = FRAME_BYTES + (uint32_t)len;
	intake->out_sent = 0;
	intake->end_after_send = end_after_send;
	intake->state = INTAKE_SENDING;
	set_deadline(intake, HELLO_DEADLINE_S);
	send_more(intake);
}

static void send_refused(struct intake *intake, const struct message_refused *refused, bool end_after_send)
{
	struct message message = {.kind = MESSAGE_REFUSED, .refused = *refused};

	log_warn("event=refused peer=%s reason=%s text=\"%s\"", intake->peer, refusal_name(refused->refusal),
		 refused->text);
	intake_send(intake, &message, end_after_send);
}

void intake_refuse(struct intake *intake, enum refusal refusal, bool end_after_send, const char *format, ...)
{
	struct message_refused refused = {.refusal = refusal};
	va_list args;

	va_start(args, format);
	(void)vsnprintf(refused.text, sizeof(refused.text), format, args);
	va_end(args);
	send_refused(intake, &refused, end_after_send);
}

/* -- HELLO -- */

static void send_admin_welcome(struct intake *intake, const struct message_hello *hello)
{
	struct server *server = intake->server;
	struct message message = {.kind = MESSAGE_WELCOME};

	data_thread_welcome(server->threads[0], hello, &message.welcome);
	intake_send(intake, &message, false);
}

/* The socket now belongs to the data thread; when its mailbox is full, to nobody. */
static void hand_over(struct intake *intake, struct hosted *hosted, const struct message_hello *hello)
{
	struct server *server = intake->server;
	struct handover *handover = malloc(sizeof(*handover));
	struct letter letter = {.kind = DATA_CONNECT, .fd = intake->fd, .data = handover};

	if (!handover || atomic_load(&server->conn_count) >= CONNECTIONS_MAX) {
		free(handover);
		intake_refuse(intake, REFUSAL_LIMIT, true,
			      "server %s: all %u connections are in use; close some or use "
			      "another server",
			      server->name, CONNECTIONS_MAX);
		return;
	}
	*handover = (struct handover){.hosted = hosted, .hello = *hello, .hello_id = intake->frame.id};
	handover->role = hello->role == HELLO_BULK ? REPLICA_LANE_BULK : REPLICA_LANE_MAIN;
	atomic_fetch_add(&server->conn_count, 1);
	if (mailbox_post(server->threads[hosted->thread_idx]->mailbox, &letter)) {
		atomic_fetch_sub(&server->conn_count, 1);
		free(handover);
		intake_refuse(intake, REFUSAL_LIMIT, true, "server %s: overloaded; try again", server->name);
		return;
	}
	let_go(intake);
}

static void lane_hello(struct intake *intake, const struct message_hello *hello)
{
	struct hosted *hosted = registry_find(intake->server, &hello->replica_uuid);
	struct message_refused refused;
	char text[UUID_CHARS + 1];

	uuid_format(&hello->replica_uuid, text);
	if (!hosted) {
		intake_refuse(
			intake, REFUSAL_UNKNOWN_REPLICA, true,
			"replica %s: not on this server (%s); correct the address in the volume's file, or if its "
			"directory is lost: 'lockstep replica replace'",
			text, intake->server->name);
		return;
	}
	if (!hosted->is_served) {
		intake_refuse(intake, REFUSAL_STORE, true, "replica %s: not served: %s", hosted->name,
			      hosted->info.health);
		return;
	}
	if (hosted->delete_asked) { /* what was handed over before is closed by the data thread, after this nothing may
				       be */
		intake_refuse(intake, REFUSAL_UNKNOWN_REPLICA, true, "replica %s: is being deleted", hosted->name);
		return;
	}
	if (replica_check_hello(&hosted->identity, hello, &refused))
		send_refused(intake, &refused, true);
	else
		hand_over(intake, hosted, hello);
}

static void take_hello(struct intake *intake, const struct message *message)
{
	const struct message_hello *hello = &message->hello;

	if (message->kind != MESSAGE_HELLO) {
		intake_refuse(intake, REFUSAL_ORDER, true, "connection from %s: %s before HELLO; the peer is faulty",
			      intake->peer, message_kind_name(message->kind));
		return;
	}
	if (hello->version < PROTOCOL_VERSION_MIN || hello->features != 0) {
		intake_refuse(intake, REFUSAL_VERSION, true,
			      "connection from %s: wants features %#llx of protocol version %u, this server speaks "
			      "version %u "
			      "without any; update it",
			      intake->peer, (unsigned long long)hello->features, hello->version, PROTOCOL_VERSION);
		return;
	}
	if (hello->role == HELLO_ADMIN)
		send_admin_welcome(intake, hello);
	else
		lane_hello(intake, hello);
}

/* -- Receiving -- */

static void take_message(struct intake *intake)
{
	struct message *message = malloc(sizeof(*message)); /* too large for comfort on a stack */
	const char *reason = "a bad checksum";
	int error = -ENOMEM;

	if (message && crc32c(0, intake->payload, intake->frame.length) != intake->frame.checksum)
		error = -EBADMSG;
	else if (message)
		error = codec_unpack(intake->payload, intake->frame.length, message, &reason);
	if (error)
		intake_refuse(intake, REFUSAL_MALFORMED, true, "connection from %s: %s; the peer is faulty",
			      intake->peer, error == -ENOMEM ? "no memory" : reason);
	else if (intake->state == INTAKE_HELLO)
		take_hello(intake, message);
	else
		admin_request(intake, message);
	free(message);
}

static bool header_complete(struct intake *intake)
{
	uint32_t max = intake->state == INTAKE_HELLO ? HELLO_BYTES_MAX : MESSAGE_BYTES_MAX;
	const char *reason = "a data frame before HELLO";
	int error = frame_decode(intake->header, &intake->frame, &reason);

	if (!error && intake->frame.type == FRAME_CONTROL && intake->frame.length <= max) {
		intake->payload = malloc(intake->frame.length);
		if (intake->payload)
			return true;
		reason = "no memory";
	} else if (!error && intake->frame.type == FRAME_CONTROL) {
		reason = "a message that is too long";
	}
	intake_refuse(intake, error == -EPROTONOSUPPORT ? REFUSAL_VERSION : REFUSAL_MALFORMED, true,
		      "connection from %s: %s; the peer is faulty or no gateway", intake->peer, reason);
	return false;
}

/* Exactly the bytes of one message, never more. */
static void receive(struct intake *intake)
{
	bool in_header = intake->have < FRAME_BYTES;
	uint8_t *to = in_header ? intake->header + intake->have : intake->payload + (intake->have - FRAME_BYTES);
	uint32_t want = in_header ? FRAME_BYTES - intake->have : FRAME_BYTES + intake->frame.length - intake->have;
	ssize_t n = recv(intake->fd, to, want, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		intake_free(intake);
		return;
	}
	intake->have += (uint32_t)n;
	if ((uint32_t)n < want)
		return;
	if (!in_header) {
		ev_io_stop(intake->server->loop, &intake->io);
		take_message(intake);
	} else if (header_complete(intake)) {
		receive(intake); /* once: the payload usually came along */
	}
}

static void discard(struct intake *intake)
{
	uint8_t waste[4096];
	ssize_t n = recv(intake->fd, waste, sizeof(waste), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		intake_free(intake);
}

static void on_io(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct intake *intake = io->data;

	switch (intake->state) {
	case INTAKE_HELLO:
	case INTAKE_ADMIN:
		receive(intake);
		break;
	case INTAKE_SENDING:
		send_more(intake);
		break;
	case INTAKE_ENDING:
		discard(intake);
		break;
	case INTAKE_BUSY:
		break; /* not listened to meanwhile */
	}
}
