/* Unix stream socket server on libev: one frame in, one frame out, per connection one request at a time.
 * Knows no volume. Not on a request's path. */
#include "gateway/drivers/admin.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/log.h"
#include "proto/frame.h"

#define LISTEN_BACKLOG 8
#define LAST_WORDS_MS 500 /* for replies that a client has not taken when the gateway ends */

struct client {
	struct admin *admin;
	int fd;			       /* -1: free place */
	unsigned serial;	       /* of the connection */
	enum admin_request_kind waits; /* of its outstanding request; 0: none */
	ev_io io;
	ev_timer idle;
	size_t in_bytes;
	uint8_t in[FRAME_BYTES + ADMIN_REQUEST_BYTES_MAX];
	uint8_t *out; /* malloced, or NULL: nothing to send */
	size_t out_bytes, out_done;
};

struct admin {
	struct ev_loop *loop;
	admin_handler *handler;
	void *ctx;
	int fd;
	ev_io io;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct client clients[ADMIN_CLIENTS_MAX];
};

static void client_close(struct client *client)
{
	if (client->fd < 0)
		return;
	ev_io_stop(client->admin->loop, &client->io);
	ev_timer_stop(client->admin->loop, &client->idle);
	close(client->fd);
	client->fd = -1;
	free(client->out);
	client->out = NULL;
	client->waits = 0;
}

static void client_want(struct client *client, int events)
{
	ev_io_stop(client->admin->loop, &client->io);
	ev_io_set(&client->io, client->fd, events);
	ev_io_start(client->admin->loop, &client->io);
}

/* 0 when everything is sent, -EAGAIN, or another error: the client is gone. */
static int client_send(struct client *client)
{
	while (client->out_done < client->out_bytes) {
		ssize_t n = send(client->fd, client->out + client->out_done, client->out_bytes - client->out_done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		client->out_done += (size_t)n;
	}
	free(client->out);
	client->out = NULL;
	return 0;
}

static void client_flush(struct client *client)
{
	int rc = client_send(client);

	if (rc == -EAGAIN)
		client_want(client, EV_WRITE);
	else if (rc)
		client_close(client);
	else
		client_want(client, EV_READ);
}

/* A frame around the packed reply; NULL: no memory, or our own reply does not fit. */
static uint8_t *encode_reply(const struct admin_reply *reply, size_t *ret_bytes)
{
	struct frame frame = {.type = FRAME_CONTROL};
	uint8_t *out = malloc(FRAME_BYTES + ADMIN_REPLY_BYTES_MAX);
	int len;

	if (!out)
		return NULL;
	len = admin_reply_pack(reply, out + FRAME_BYTES, ADMIN_REPLY_BYTES_MAX);
	if (len < 0) {
		free(out);
		return NULL;
	}
	frame.length = (uint32_t)len;
	frame.checksum = crc32c(0, out + FRAME_BYTES, (size_t)len);
	frame_encode(&frame, out);
	*ret_bytes = FRAME_BYTES + (size_t)len;
	return out;
}

static void client_reply(struct client *client, const struct admin_reply *reply)
{
	client->waits = 0;
	client->out = encode_reply(reply, &client->out_bytes);
	client->out_done = 0;
	if (!client->out) {
		client_close(client);
		return;
	}
	ev_timer_again(client->admin->loop, &client->idle);
	client_flush(client);
}

/* What is wrong with the frame that begins the client's input; NULL: nothing. */
static const char *check_frame(const struct client *client, struct frame *ret)
{
	const char *reason;

	if (frame_decode(client->in, ret, &reason))
		return reason;
	if (ret->type != FRAME_CONTROL)
		return "not a control frame";
	return ret->length > ADMIN_REQUEST_BYTES_MAX ? "request is too long" : NULL;
}

static void client_refuse(struct client *client, const char *reason)
{
	log_warn("event=admin_client_refused reason=\"%s\"", reason);
	client_close(client);
}

/* One whole request at most; what follows it stays until it is answered. */
static void client_parse(struct client *client)
{
	struct admin_request request;
	const char *reason;
	struct frame frame;
	size_t used;

	if (client->in_bytes < FRAME_BYTES)
		return;
	reason = check_frame(client, &frame);
	if (reason) {
		client_refuse(client, reason);
		return;
	}
	used = FRAME_BYTES + frame.length;
	if (client->in_bytes < used)
		return;
	if (frame.checksum != crc32c(0, client->in + FRAME_BYTES, frame.length)) {
		client_refuse(client, "checksum of the request is wrong");
		return;
	}
	if (admin_request_unpack(client->in + FRAME_BYTES, frame.length, &request, &reason)) {
		client_refuse(client, reason);
		return;
	}
	memmove(client->in, client->in + used, client->in_bytes - used);
	client->in_bytes -= used;
	client->waits = request.kind;
	ev_timer_stop(client->admin->loop, &client->idle); /* its answer may take as long as it takes */
	client->admin->handler(client->admin->ctx, (unsigned)(client - client->admin->clients), &request);
}

static void client_receive(struct client *client)
{
	ssize_t n =
		recv(client->fd, client->in + client->in_bytes, sizeof(client->in) - client->in_bytes, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* Full input while its request is being answered: it is sending more than one; that is too much. */
		client_close(client);
		return;
	}
	client->in_bytes += (size_t)n;
	if (!client->waits)
		client_parse(client);
}

static void on_client(struct ev_loop *loop, ev_io *io, int events)
{
	struct client *client = io->data;

	if (client->out) {
		client_flush(client);
		return;
	}
	client_receive(client);
	while (client->fd >= 0 && !client->waits && !client->out && client->in_bytes >= FRAME_BYTES) {
		size_t before = client->in_bytes;

		client_parse(client);
		if (client->in_bytes == before)
			break;
	}
}

static void on_idle(struct ev_loop *loop, ev_timer *timer, int events)
{
	client_close(timer->data);
}

static bool is_allowed(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	return cred.uid == 0 || cred.uid == geteuid();
}

static struct client *free_client(struct admin *admin)
{
	for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++)
		if (admin->clients[i].fd < 0)
			return &admin->clients[i];
	return NULL;
}

static void client_open(struct client *client, int fd)
{
	client->fd = fd;
	client->serial++;
	client->waits = 0;
	client->in_bytes = 0;
	ev_io_init(&client->io, on_client, fd, EV_READ);
	client->io.data = client;
	ev_io_start(client->admin->loop, &client->io);
	ev_init(&client->idle, on_idle);
	client->idle.repeat = ADMIN_IDLE_S;
	client->idle.data = client;
	ev_timer_again(client->admin->loop, &client->idle);
}

static void on_listen(struct ev_loop *loop, ev_io *io, int events)
{
	struct admin *admin = io->data;
	int fd = accept4(admin->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (fd < 0)
		return;
	client = free_client(admin);
	if (!is_allowed(fd) || !client) {
		log_warn("event=admin_client_refused reason=\"%s\"", client ? "not root and not our user" : "too many");
		close(fd);
		return;
	}
	client_open(client, fd);
}

/* A killed gateway's socket is still a name, but nobody answers. */
static int remove_stale(const struct sockaddr_un *addr, struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return err_set(err, -errno, "admin socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? -errno : 0;
	close(fd);
	if (!rc)
		return err_set(err, -EADDRINUSE, "admin socket %s: another process listens there", addr->sun_path);
	if (rc == -ECONNREFUSED && unlink(addr->sun_path))
		return err_set(err, -errno, "admin socket %s: cannot be replaced: %s", addr->sun_path, strerror(errno));
	if (rc != -ECONNREFUSED && rc != -ENOENT)
		return err_set(err, rc, "admin socket %s: %s", addr->sun_path, strerror(-rc));
	return 0;
}

static int listen_at(const char *path, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, -ENAMETOOLONG,
			       "admin socket %s: path is longer than %zu characters; use a shorter --run-dir", path,
			       sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	rc = remove_stale(&addr, err);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "admin socket: %s", strerror(errno));
	mask = umask(0177); /* never, not even for a moment, open to others */
	rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, LISTEN_BACKLOG) ? -errno : 0;
	umask(mask);
	if (!rc)
		return fd;
	close(fd);
	return err_set(err, rc, "admin socket %s: %s", path, strerror(-rc));
}

int admin_new(const char *path, struct ev_loop *loop, admin_handler *handler, void *ctx, struct admin **ret,
	      struct err *err)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	int fd;

	if (!admin)
		return err_set(err, -ENOMEM, "admin socket: out of memory");
	fd = listen_at(path, err);
	if (fd < 0) {
		free(admin);
		return fd;
	}
	*admin = (struct admin){.loop = loop, .handler = handler, .ctx = ctx, .fd = fd};
	memcpy(admin->path, path, strlen(path) + 1);
	for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		admin->clients[i].admin = admin;
		admin->clients[i].fd = -1;
	}
	ev_io_init(&admin->io, on_listen, fd, EV_READ);
	admin->io.data = admin;
	ev_io_start(loop, &admin->io);
	*ret = admin;
	return 0;
}

static void say_last_words(struct client *client)
{
	struct pollfd pfd = {.fd = client->fd, .events = POLLOUT};

	while (client->fd >= 0 && client->out) {
		if (poll(&pfd, 1, LAST_WORDS_MS) <= 0)
			break;
		if (client_send(client) != -EAGAIN)
			break;
	}
}

void admin_free(struct admin *admin)
{
	if (!admin)
		return;
	unlink(admin->path);
	ev_io_stop(admin->loop, &admin->io);
	close(admin->fd);
	for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		say_last_words(&admin->clients[i]);
		client_close(&admin->clients[i]);
	}
	free(admin);
}

unsigned admin_client_serial(const struct admin *admin, unsigned client)
{
	return admin->clients[client].serial;
}

void admin_reply(struct admin *admin, unsigned client, const struct admin_reply *reply)
{
	if (admin->clients[client].fd >= 0 && admin->clients[client].waits)
		client_reply(&admin->clients[client], reply);
}

void admin_reply_all(struct admin *admin, enum admin_request_kind kind, const struct admin_reply *reply)
{
	for (unsigned i = 0; i < ADMIN_CLIENTS_MAX; i++)
		if (admin->clients[i].fd >= 0 && admin->clients[i].waits == kind)
			client_reply(&admin->clients[i], reply);
}
