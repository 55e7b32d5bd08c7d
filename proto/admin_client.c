/* Asks a gateway's admin socket one thing. Used by the CLI and by tests.
 * Does not know what requests do. Not on a request's path. */
#include "proto/admin_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "proto/frame.h"

struct call {
	int fd;
	const char *path;
	uint64_t deadline_ns;
	struct err *err;
};

/* 0, or -ETIMEDOUT. */
static int wait_for(const struct call *call, short events)
{
	struct pollfd pfd = {.fd = call->fd, .events = events};
	uint64_t now;
	int rc;

	do {
		now = clock_now_ns();
		if (now >= call->deadline_ns)
			return err_set(call->err, -ETIMEDOUT, "admin socket %s: the gateway does not answer",
				       call->path);
		rc = poll(&pfd, 1, (int)((call->deadline_ns - now) / NS_PER_MS) + 1);
	} while (rc == 0 || (rc < 0 && errno == EINTR));
	return rc < 0 ? err_set(call->err, -errno, "admin socket %s: poll: %s", call->path, strerror(errno)) : 0;
}

static int connect_socket(struct call *call)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int rc;

	if (strlen(call->path) >= sizeof(addr.sun_path))
		return err_set(call->err, -ENAMETOOLONG, "admin socket %s: path is longer than %zu characters",
			       call->path, sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, call->path, strlen(call->path) + 1);
	call->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (call->fd < 0)
		return err_set(call->err, -errno, "admin socket: %s", strerror(errno));
	if (!connect(call->fd, (struct sockaddr *)&addr, sizeof(addr)))
		return 0;
	rc = -errno;
	close(call->fd);
	return err_set(call->err, rc, "admin socket %s: %s%s", call->path, strerror(-rc),
		       rc == -EACCES ? "; run it as root" : "");
}

static int send_all(const struct call *call, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(call->fd, data, len, MSG_NOSIGNAL);
		int rc;

		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return err_set(call->err, -errno, "admin socket %s: send: %s", call->path, strerror(errno));
		rc = wait_for(call, POLLOUT);
		if (rc)
			return rc;
	}
	return 0;
}

static int receive_all(const struct call *call, uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(call->fd, data, len, 0);
		int rc;

		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (n == 0)
			return err_set(call->err, -ECONNRESET, "admin socket %s: the gateway closed the connection",
				       call->path);
		if (errno != EAGAIN && errno != EINTR)
			return err_set(call->err, -errno, "admin socket %s: receive: %s", call->path, strerror(errno));
		rc = wait_for(call, POLLIN);
		if (rc)
			return rc;
	}
	return 0;
}

static int send_request(const struct call *call, const struct admin_request *request)
{
	uint8_t wire[FRAME_BYTES + ADMIN_REQUEST_BYTES_MAX];
	struct frame frame = {.type = FRAME_CONTROL};
	int len = admin_request_pack(request, wire + FRAME_BYTES, ADMIN_REQUEST_BYTES_MAX);

	if (len < 0)
		return err_set(call->err, len, "admin request: does not fit");
	frame.length = (uint32_t)len;
	frame.checksum = crc32c(0, wire + FRAME_BYTES, (size_t)len);
	frame_encode(&frame, wire);
	return send_all(call, wire, FRAME_BYTES + (size_t)len);
}

static int check_reply(const struct call *call, const struct frame *frame, const uint8_t *payload,
		       struct admin_reply *ret)
{
	const char *reason = "checksum of the reply is wrong";
	int rc = frame->checksum == crc32c(0, payload, frame->length) ? 0 : -EBADMSG;

	if (!rc)
		rc = admin_reply_unpack(payload, frame->length, ret, &reason);
	return rc ? err_set(call->err, -EPROTO, "admin socket %s: %s", call->path, reason) : 0;
}

static int receive_reply(const struct call *call, struct admin_reply *ret)
{
	uint8_t header[FRAME_BYTES];
	struct frame frame;
	const char *reason;
	uint8_t *payload;
	int rc = receive_all(call, header, sizeof(header));

	if (rc)
		return rc;
	if (frame_decode(header, &frame, &reason))
		return err_set(call->err, -EPROTO, "admin socket %s: %s", call->path, reason);
	if (frame.type != FRAME_CONTROL || frame.length > ADMIN_REPLY_BYTES_MAX)
		return err_set(call->err, -EPROTO, "admin socket %s: not an admin reply", call->path);
	payload = malloc(ADMIN_REPLY_BYTES_MAX);
	if (!payload)
		return err_set(call->err, -ENOMEM, "admin socket %s: out of memory", call->path);
	rc = receive_all(call, payload, frame.length);
	if (!rc)
		rc = check_reply(call, &frame, payload, ret);
	free(payload);
	return rc;
}

int admin_client_call(const char *path, const struct admin_request *request, int timeout_ms, struct admin_reply *ret,
		      struct err *err)
{
	struct call call = {
		.path = path,
		.deadline_ns = clock_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS,
		.err = err,
	};
	int rc = connect_socket(&call);

	if (rc)
		return rc;
	rc = send_request(&call, request);
	if (!rc)
		rc = receive_reply(&call, ret);
	close(call.fd);
	return rc;
}
