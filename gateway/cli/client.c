/* Talks to one replica-server as an administrator. Knows frames and messages, no command and no volume.
 * Not on a request's path: creation, listing and deletion of replicas only. The server's bytes are hostile. */
#include "gateway/cli/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/crc32c.h"
#include "common/net.h"
#include "gateway/cli/cli.h"
#include "proto/codec.h"
#include "proto/frame.h"

#define LISTING_PAGES_MAX 1024u /* a server that never says "no more" is cut off here */

struct client {
	char address[ADDRESS_CHARS_MAX + 1];  /* as it was asked for */
	char resolved[ADDRESS_CHARS_MAX + 1]; /* what it resolved to */
	int fd;
	int timeout_ms;
	uint64_t deadline_ns; /* of the current call */
	struct message_welcome welcome;
	struct message answer;
	uint8_t buffer[FRAME_BYTES + MESSAGE_BYTES_MAX];
};

static int lost(const struct client *client, int error, struct err *err)
{
	if (error == -EPIPE)
		error = -ECONNRESET;
	if (error == -ECONNREFUSED)
		return err_set(err, error,
			       "%s: nobody listens there (%s); start lockstep-replica or correct the address",
			       client->address, client->resolved);
	return err_set(err, error, "%s: %s; is it a lockstep-replica, and is the network up?", client->address,
		       strerror(-error));
}

static int wait_for(const struct client *client, short events, struct err *err)
{
	struct pollfd pfd = {.fd = client->fd, .events = events};

	for (;;) {
		uint64_t now = clock_now_ns();
		int n;

		if (now >= client->deadline_ns)
			return err_set(err, -ETIMEDOUT,
				       "%s: no answer within %d ms; is the server stopped, or a firewall between?",
				       client->address, client->timeout_ms);
		n = poll(&pfd, 1, (int)((client->deadline_ns - now) / NS_PER_MS) + 1);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return lost(client, -errno, err);
	}
}

static int send_all(struct client *client, const uint8_t *data, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = send(client->fd, data, len, MSG_NOSIGNAL);
		int error;

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return lost(client, -errno, err);
		error = wait_for(client, POLLOUT, err);
		if (error)
			return error;
	}
	return 0;
}

static int receive_all(struct client *client, uint8_t *data, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = recv(client->fd, data, len, 0);
		int error;

		if (n == 0)
			return err_set(err, -ECONNRESET, "%s: the server closed the connection; see its log",
				       client->address);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return lost(client, -errno, err);
		error = wait_for(client, POLLIN, err);
		if (error)
			return error;
	}
	return 0;
}

static int nonsense(const struct client *client, const char *reason, struct err *err)
{
	(void)err_set(err, -EPROTO, "%s: not the answer of a lockstep-replica (%s); check address and port",
		      client->address, reason);
	return -EPROTO;
}

static int send_message(struct client *client, const struct message *message, struct err *err)
{
	struct frame frame = {.type = FRAME_CONTROL};
	uint8_t *payload = client->buffer + FRAME_BYTES;
	int len = codec_pack(message, payload, MESSAGE_BYTES_MAX);

	if (len < 0)
		return err_set(err, len, "%s: the request does not fit a message", client->address);
	frame.length = (uint32_t)len;
	frame.checksum = crc32c(0, payload, (size_t)len);
	frame_encode(&frame, client->buffer);
	return send_all(client, client->buffer, FRAME_BYTES + (size_t)len, err);
}

static int receive_message(struct client *client, struct err *err)
{
	const char *reason = "?";
	struct frame frame;
	int error;

	error = receive_all(client, client->buffer, FRAME_BYTES, err);
	if (error)
		return error;
	if (frame_decode(client->buffer, &frame, &reason))
		return nonsense(client, reason, err);
	if (frame.type != FRAME_CONTROL || frame.length > MESSAGE_BYTES_MAX)
		return nonsense(client, "not a control message", err);
	error = receive_all(client, client->buffer, frame.length, err);
	if (error)
		return error;
	if (crc32c(0, client->buffer, frame.length) != frame.checksum)
		return nonsense(client, "checksum of the message", err);
	if (codec_unpack(client->buffer, frame.length, &client->answer, &reason))
		return nonsense(client, reason, err);
	return 0;
}

static int errno_of_refusal(enum refusal refusal)
{
	switch (refusal) {
	case REFUSAL_EXISTS:
		return -EEXIST;
	case REFUSAL_UNKNOWN_REPLICA:
		return -ENOENT;
	case REFUSAL_IN_USE:
		return -EBUSY;
	case REFUSAL_NO_SPACE:
		return -ENOSPC;
	case REFUSAL_LIMIT:
		return -EUSERS;
	case REFUSAL_VERSION:
		return -EPROTONOSUPPORT;
	default:
		return -EREMOTEIO;
	}
}

static int refused(const struct client *client, struct message_refused *refused, struct err *err)
{
	int error = errno_of_refusal(refused->refusal);

	cli_sanitize(refused->text);
	(void)err_set(err, error, "%s: %s", client->address,
		      refused->text[0] ? refused->text : refusal_name(refused->refusal));
	return error;
}

int client_call(struct client *client, const struct message *request, enum message_kind expected,
		const struct message **ret, struct err *err)
{
	struct message *answer = &client->answer;
	int error;

	client->deadline_ns = clock_now_ns() + (uint64_t)client->timeout_ms * NS_PER_MS;
	error = send_message(client, request, err);
	if (!error)
		error = receive_message(client, err);
	if (error)
		return error;
	if (answer->kind == MESSAGE_REFUSED)
		return refused(client, &answer->refused, err);
	if (answer->kind != expected)
		return nonsense(client, message_kind_name(answer->kind), err);
	if (ret)
		*ret = answer;
	return 0;
}

static int connect_to(struct client *client, struct err *err)
{
	struct net_address net;
	struct address address;
	int error;

	error = address_parse(client->address, PORT_DEFAULT, &address, err);
	if (error)
		return error;
	error = net_resolve(&address, &net, err);
	if (error) {
		err_wrap(err, "%s", client->address);
		err->code = -EHOSTUNREACH;
		return -EHOSTUNREACH;
	}
	net_format(&net, client->resolved);
	error = net_connect_start(&net, &client->fd, err);
	if (error)
		return lost(client, error, err);
	error = wait_for(client, POLLOUT, err);
	if (error)
		return error;
	error = net_connect_result(client->fd);
	return error ? lost(client, error, err) : 0;
}

static int say_hello(struct client *client, struct err *err)
{
	struct message hello = {.kind = MESSAGE_HELLO};
	const struct message *answer;
	int error;

	hello.hello.version = PROTOCOL_VERSION;
	hello.hello.role = HELLO_ADMIN;
	snprintf(hello.hello.client, sizeof(hello.hello.client), "lockstep %s, pid %d", LOCKSTEP_VERSION,
		 (int)getpid());
	error = client_call(client, &hello, MESSAGE_WELCOME, &answer, err);
	if (error)
		return error;
	client->welcome = answer->welcome;
	cli_sanitize(client->welcome.server);
	if (client->welcome.version == PROTOCOL_VERSION)
		return 0;
	return err_set(err, -EPROTONOSUPPORT,
		       "%s: speaks protocol version %u, this program %u; upgrade the older of the two", client->address,
		       client->welcome.version, PROTOCOL_VERSION);
}

int client_open(const char *address, int timeout_ms, struct client **ret, struct err *err)
{
	struct client *client = calloc(1, sizeof(*client));
	int error;

	if (!client)
		return err_set(err, -ENOMEM, "%s: out of memory", address);
	client->fd = -1;
	client->timeout_ms = timeout_ms;
	client->deadline_ns = clock_now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	snprintf(client->address, sizeof(client->address), "%s", address);
	error = connect_to(client, err);
	if (!error)
		error = say_hello(client, err);
	if (error)
		client_close(client);
	else
		*ret = client;
	return error;
}

void client_close(struct client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		close(client->fd);
	free(client);
}

const struct message_welcome *client_welcome(const struct client *client)
{
	return &client->welcome;
}

const char *client_address(const struct client *client)
{
	return client->address;
}

int client_list(struct client *client, bool (*each)(void *ctx, const struct replica_info *info), void *ctx,
		struct err *err)
{
	struct message request = {.kind = MESSAGE_LIST};

	for (unsigned page = 0; page < LISTING_PAGES_MAX; page++) {
		const struct message *answer;
		int error = client_call(client, &request, MESSAGE_LISTING, &answer, err);

		if (error)
			return error;
		for (unsigned i = 0; i < answer->listing.count; i++) {
			struct replica_info info = answer->listing.replicas[i];

			cli_sanitize(info.volume_name);
			cli_sanitize(info.health);
			request.list.after = info.replica_uuid;
			if (!each(ctx, &info))
				return 0;
		}
		if (!answer->listing.more)
			return 0;
	}
	return nonsense(client, "a listing without end", err);
}
