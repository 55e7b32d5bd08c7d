/* TCP sockets with the options that keep a dead peer from holding memory. Knows no frame and no ring.
 * Before a request's path: connections are made here, then belong to a data thread's ring. */
#include "common/net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int gai_errno(int gai)
{
	switch (gai) {
	case EAI_NONAME:
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
	case EAI_FAIL:
		return -ENOENT;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return errno ? -errno : -EIO;
	default:
		return -EIO;
	}
}

int net_resolve(const struct address *address, struct net_address *ret, struct err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	char port[8];
	int gai;

	snprintf(port, sizeof(port), "%u", address->port);
	gai = getaddrinfo(address->host, port, &hints, &found);
	if (gai)
		return err_set(err, gai_errno(gai), "host \"%s\": %s; check the name and the resolver", address->host,
			       gai_strerror(gai));
	memset(ret, 0, sizeof(*ret));
	memcpy(&ret->storage, found->ai_addr, found->ai_addrlen);
	ret->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

void net_format(const struct net_address *address, char out[ADDRESS_CHARS_MAX + 1])
{
	char host[INET6_ADDRSTRLEN + 32], port[8];
	bool is_v6 = address->storage.ss_family == AF_INET6;

	if (getnameinfo((const struct sockaddr *)&address->storage, address->len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		snprintf(out, ADDRESS_CHARS_MAX + 1, "?");
		return;
	}
	snprintf(out, ADDRESS_CHARS_MAX + 1, "%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}

static int set_option(int fd, int level, int name, const void *value, socklen_t len)
{
	return setsockopt(fd, level, name, value, len) < 0 ? -errno : 0;
}

static int set_int(int fd, int level, int name, int value)
{
	return set_option(fd, level, name, &value, sizeof(value));
}

/* Both refusals are harmless: without CAP_NET_ADMIN the second form is cut to the system's maximum. */
static void ask_for_buffers(int fd)
{
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, NET_BUFFER_BYTES) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, NET_BUFFER_BYTES);
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, NET_BUFFER_BYTES) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, NET_BUFFER_BYTES);
}

int net_tune(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, NET_USER_TIMEOUT_MS},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, NET_KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, NET_KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, NET_KEEPALIVE_COUNT},
	};
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};
	int error = set_option(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));

	for (size_t i = 0; i < ARRAY_COUNT(options) && !error; i++)
		error = set_int(fd, options[i].level, options[i].name, options[i].value);
	return error;
}

static bool is_loopback(struct in_addr address)
{
	return ntohl(address.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
}

static bool is_same_host(const struct sockaddr *a, const struct sockaddr *b)
{
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)a, *b6 = (const struct sockaddr_in6 *)b;
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)a, *b4 = (const struct sockaddr_in *)b;

	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET6)
		return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
	return a->sa_family == AF_INET && (is_loopback(a4->sin_addr) || a4->sin_addr.s_addr == b4->sin_addr.s_addr);
}

void net_tune_within_host(int fd, const struct sockaddr *peer)
{
	struct net_address local;

	if (net_local(fd, &local) == 0 && is_same_host(peer, (const struct sockaddr *)&local.storage))
		(void)set_option(fd, IPPROTO_TCP, TCP_CONGESTION, NET_UNPACED, sizeof(NET_UNPACED) - 1);
}

/* A socket of the address's family, buffers asked for: the window's scale is fixed at the handshake. */
static int open_socket(const struct net_address *address, int *ret_fd)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		return -errno;
	ask_for_buffers(fd);
	*ret_fd = fd;
	return 0;
}

static int bind_and_listen(int fd, const struct net_address *address)
{
	int error = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (error)
		return error;
	if (bind(fd, (const struct sockaddr *)&address->storage, address->len) < 0 || listen(fd, NET_BACKLOG) < 0)
		return -errno;
	return 0;
}

static const char *listen_advice(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "another process listens there; stop it or choose another port";
	case -EADDRNOTAVAIL:
		return "no interface of this machine has the address; choose one of `ip addr`, 0.0.0.0 or [::]";
	case -EACCES:
		return "not permitted; choose a port above 1023 or start as root";
	default:
		return "check the address";
	}
}

int net_listen(const struct net_address *address, int *ret_fd, struct err *err)
{
	char text[ADDRESS_CHARS_MAX + 1];
	int fd = -1;
	int error = open_socket(address, &fd);

	if (!error)
		error = bind_and_listen(fd, address);
	if (error) {
		net_format(address, text);
		err_set(err, error, "listen on %s: %s; %s", text, err_name(error), listen_advice(error));
		if (fd >= 0)
			close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

int net_local(int fd, struct net_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->len = sizeof(ret->storage);
	return getsockname(fd, (struct sockaddr *)&ret->storage, &ret->len) < 0 ? -errno : 0;
}

int net_accept(int listen_fd, int *ret_fd, struct net_address *ret_peer)
{
	int fd, error;

	memset(ret_peer, 0, sizeof(*ret_peer));
	ret_peer->len = sizeof(ret_peer->storage);
	fd = accept4(listen_fd, (struct sockaddr *)&ret_peer->storage, &ret_peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = net_tune(fd);
	if (error) {
		close(fd);
		return error;
	}
	net_tune_within_host(fd, (const struct sockaddr *)&ret_peer->storage);
	*ret_fd = fd;
	return 0;
}

static int start(int fd, const struct net_address *address)
{
	int error = net_tune(fd);

	if (!error && connect(fd, (const struct sockaddr *)&address->storage, address->len) < 0)
		error = -errno;
	if (error && error != -EINPROGRESS)
		return error;
	net_tune_within_host(fd, (const struct sockaddr *)&address->storage);
	return 0;
}

int net_connect_start(const struct net_address *address, int *ret_fd, struct err *err)
{
	char text[ADDRESS_CHARS_MAX + 1];
	int fd = -1;
	int error = open_socket(address, &fd);

	if (!error)
		error = start(fd, address);
	if (error) {
		net_format(address, text);
		err_set(err, error, "connect to %s: %s; check that lockstep-replica runs there", text, err_name(error));
		if (fd >= 0)
			close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

int net_connect_result(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

int net_abort(int fd)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	return connect(fd, &nowhere, sizeof(nowhere)) < 0 ? -errno : 0;
}
