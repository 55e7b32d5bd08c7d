/* Names to sockets, accept with a bound. Must not know what is said on them. Never on a request's path. */
#include "replica-server/drivers/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/net.h"
#include "replica-server/drivers/intake.h"

#define BACKLOG 256
#define ACCEPTS_A_TURN 64
#define PAUSE_S 0.2

/* host may come out empty: any address. */
static int split(const char *address, char host[ADDRESS_CHARS_MAX + 1], char port[16], struct err *err)
{
	const char *colon = strrchr(address, ':'), *end = address + strlen(address), *start = address;

	if (*address == '[') {
		const char *bracket = strchr(address, ']');

		if (!bracket || (bracket[1] && bracket[1] != ':'))
			return err_set(err, -EINVAL, "address %s: a ']' or ':PORT' is missing", address);
		start = address + 1;
		end = bracket;
		colon = bracket[1] ? bracket + 1 : NULL;
	} else if (colon) {
		end = colon;
	}
	if (colon && (!colon[1] || strlen(colon + 1) > 5 || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
		      strtoul(colon + 1, NULL, 10) > UINT16_MAX))
		return err_set(err, -EINVAL, "address %s: '%s' is not a port number", address, colon + 1);
	if ((size_t)(end - start) > ADDRESS_CHARS_MAX)
		return err_set(err, -EINVAL, "address %.40s...: too long", address);
	(void)snprintf(host, ADDRESS_CHARS_MAX + 1, "%.*s", (int)(end - start), start);
	(void)snprintf(port, 16, "%s", colon ? colon + 1 : DEFAULT_PORT);
	return 0;
}

static void on_pause_over(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct listener *listener = timer->data;

	ev_io_start(loop, &listener->io);
}

/* Out of descriptors or memory: the connection stays in the backlog, so looking again at once would only burn time. */
static void accept_failed(struct listener *listener, int error)
{
	struct server *server = listener->io.data;

	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return; /* nobody waits any more, or the peer has gone again */
	log_warn("event=accept_paused address=%s reason=\"%s\"", listener->address, strerror(error));
	ev_io_stop(server->loop, &listener->io);
	ev_timer_init(&listener->pause, on_pause_over, PAUSE_S, 0.0);
	listener->pause.data = listener;
	ev_timer_start(server->loop, &listener->pause);
}

static void on_accept(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct listener *listener = container_of(io, struct listener, io);
	struct server *server = io->data;

	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		char host[48] = "?", port[8] = "?", peer[64];
		int error, fd = accept4(io->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);

		if (fd < 0) {
			accept_failed(listener, errno);
			return;
		}
		/* Not O_NONBLOCK: the ring would answer EAGAIN instead of waiting. The options are best effort: a
		 * socket without them still works. */
		error = net_tune(fd);
		if (error)
			log_warn("event=not_tuned address=%s reason=%s", listener->address, err_name(error));
		net_tune_within_host(fd, (struct sockaddr *)&from);
		(void)getnameinfo((struct sockaddr *)&from, len, host, sizeof(host), port, sizeof(port),
				  NI_NUMERICHOST | NI_NUMERICSERV);
		(void)snprintf(peer, sizeof(peer), "%s:%s", host, port);
		intake_new(server, fd, peer);
	}
}

static int bind_one(const struct addrinfo *info, const char *address, struct err *err)
{
	int one = 1, fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;

	if (fd < 0)
		return err_set(err, -errno, "address %s: %s", address, strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (info->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = -errno;
	(void)close(fd);
	if (error == -EADDRINUSE)
		return err_set(err, error, "address %s: in use by another program; stop it or use another port",
			       address);
	if (error == -EADDRNOTAVAIL)
		return err_set(err, error, "address %s: not an address of this machine; correct --listen", address);
	return err_set(err, error, "address %s: %s; correct --listen", address, strerror(-error));
}

static int add(struct server *server, const struct addrinfo *info, const char *address, struct err *err)
{
	struct listener *listener = &server->listeners[server->listener_count];
	char host[48] = "?", port[8] = "?";
	struct sockaddr_storage bound;
	socklen_t len = sizeof(bound);

	if (server->listener_count == LISTENERS_MAX)
		return err_set(err, -EINVAL, "address %s: more than %u addresses to listen on", address, LISTENERS_MAX);
	listener->fd = bind_one(info, address, err);
	if (listener->fd < 0)
		return listener->fd;
	server->listener_count++;
	/* Port 0 asks the kernel to choose: say which it was. */
	if (getsockname(listener->fd, (struct sockaddr *)&bound, &len) == 0)
		(void)getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
				  NI_NUMERICHOST | NI_NUMERICSERV);
	(void)snprintf(listener->address, sizeof(listener->address), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
		       port);
	ev_io_init(&listener->io, on_accept, listener->fd, EV_READ);
	listener->io.data = server;
	return 0;
}

int listener_open(struct server *server, const char *address, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *infos = NULL;
	char host[ADDRESS_CHARS_MAX + 1] = "", port[16] = "";
	int error = split(address, host, port, err), added = 0;

	if (error)
		return error;
	error = getaddrinfo(host[0] ? host : NULL, port, &hints, &infos);
	if (error)
		return err_set(err, -EINVAL, "address %s: does not resolve: %s; correct --listen", address,
			       gai_strerror(error));
	for (const struct addrinfo *info = infos; info && !error; info = info->ai_next) {
		error = add(server, info, address, err);
		/* A machine without IPv6 still resolves it. */
		if (error == -EAFNOSUPPORT && (added || info->ai_next))
			error = 0;
		else
			added += !error;
	}
	freeaddrinfo(infos);
	return error;
}

void listeners_start(struct server *server)
{
	for (unsigned i = 0; i < server->listener_count; i++) {
		ev_io_start(server->loop, &server->listeners[i].io);
		log_info("event=listening address=%s", server->listeners[i].address);
	}
}

void listeners_close(struct server *server)
{
	for (unsigned i = 0; i < server->listener_count; i++) {
		ev_io_stop(server->loop, &server->listeners[i].io);
		ev_timer_stop(server->loop, &server->listeners[i].pause);
		(void)close(server->listeners[i].fd);
	}
	server->listener_count = 0;
}
