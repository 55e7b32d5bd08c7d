/* Raw client side of a replica connection for blockclient. Knows frames and messages; has no opinion about their order.
 */
#include "tests/native/lib/wire_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "proto/codec.h"
#include "tests/native/lib/tool.h"

int wire_client_connect(struct wire_client *client, const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	const char *colon = strrchr(text, ':');
	char host[64];
	int one = 1;

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		tool_die(EXIT_CANNOT, "not ADDR:PORT: %s", text);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	address.sin_port = htons((uint16_t)tool_number(colon + 1, "port"));
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		tool_die(EXIT_CANNOT, "not an IPv4 address: %s", host);
	client->cut_at = UINT64_MAX;
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

void wire_client_close(struct wire_client *client, bool by_reset)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (client->fd < 0)
		return;
	if (by_reset)
		setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(client->fd);
	client->fd = -1;
}

void wire_client_send(struct wire_client *client, const void *bytes, size_t len)
{
	const char *at = bytes;

	if (len > client->cut_at)
		len = client->cut_at;
	client->cut_at -= client->cut_at == UINT64_MAX ? 0 : len;
	while (len > 0 && client->fd >= 0) {
		ssize_t sent = send(client->fd, at, len, MSG_NOSIGNAL);

		if (sent <= 0)
			break;
		at += sent;
		len -= (size_t)sent;
	}
}

void wire_client_send_frame(struct wire_client *client, const struct frame *frame, const void *payload, size_t len)
{
	uint8_t header[FRAME_BYTES];

	frame_encode(frame, header);
	wire_client_send(client, header, sizeof(header));
	wire_client_send(client, payload, len);
}

void wire_client_send_message(struct wire_client *client, const struct message *message)
{
	static uint8_t bytes[MESSAGE_BYTES_MAX];
	int len = codec_pack(message, bytes, sizeof(bytes));
	struct frame frame = {.type = FRAME_CONTROL, .length = (uint32_t)len};

	if (len < 0)
		tool_die(EXIT_CANNOT, "message %s cannot be packed: %s", message_kind_name(message->kind),
			 strerror(-len));
	frame.checksum = crc32c(0, bytes, (size_t)len);
	wire_client_send_frame(client, &frame, bytes, (size_t)len);
}

static enum wire_event receive_all(struct wire_client *client, uint8_t *out, size_t len)
{
	while (len > 0) {
		struct pollfd polled = {.fd = client->fd, .events = POLLIN};
		ssize_t got;

		if (poll(&polled, 1, client->timeout_ms) <= 0)
			return WIRE_TIMEOUT;
		got = recv(client->fd, out, len, 0);
		if (got <= 0)
			return WIRE_CLOSED;
		out += got;
		len -= (size_t)got;
	}
	return WIRE_FRAME;
}

enum wire_event wire_client_receive(struct wire_client *client, struct frame *ret)
{
	uint8_t header[FRAME_BYTES];
	const char *reason;
	enum wire_event event;

	if (client->fd < 0)
		return WIRE_CLOSED;
	event = receive_all(client, header, sizeof(header));
	if (event != WIRE_FRAME)
		return event;
	if (frame_decode(header, ret, &reason) != 0 || frame_payload_bytes(ret) > sizeof(client->payload))
		return WIRE_NONSENSE;
	return receive_all(client, client->payload, frame_payload_bytes(ret));
}

bool wire_client_message(struct wire_client *client, const struct frame *frame, struct message *ret)
{
	const char *reason;

	return frame->type == FRAME_CONTROL && codec_unpack(client->payload, frame->length, ret, &reason) == 0;
}
