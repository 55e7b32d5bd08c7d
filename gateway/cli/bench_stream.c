/* Blocking streams of `lockstep bench`. Knows no command. */
#include "gateway/cli/bench_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/net.h"

int stream_make_blocking(int fd, unsigned wait_seconds)
{
	const struct timeval wait = {.tv_sec = (time_t)wait_seconds};
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		return -errno;
	return 0;
}

/* Until the connection stands or is refused. 0 or -errno. */
static int wait_connected(int fd, unsigned wait_seconds)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
	int n = poll(&pollfd, 1, (int)wait_seconds * 1000);

	if (n == 0)
		return -ETIMEDOUT;
	return n < 0 ? -errno : net_connect_result(fd);
}

int stream_connect(const char *address, unsigned wait_seconds, int *ret_fd, struct err *err)
{
	struct net_address resolved;
	struct address parsed;
	int fd, error = address_parse(address, 0, &parsed, err);

	if (!error)
		error = net_resolve(&parsed, &resolved, err);
	if (!error)
		error = net_connect_start(&resolved, &fd, err);
	if (error)
		return error;
	error = wait_connected(fd, wait_seconds);
	if (!error)
		error = stream_make_blocking(fd, wait_seconds);
	if (error) {
		close(fd);
		return err_set(err, error, "%s: %s", address, strerror(-error));
	}
	*ret_fd = fd;
	return 0;
}

int stream_send(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int stream_receive(int fd, void *bytes, size_t len)
{
	char *at = bytes;

	while (len > 0) {
		ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int stream_line(int fd, char *ret, size_t cap)
{
	size_t got = 0;

	while (got + 1 < cap) {
		int error = stream_receive(fd, &ret[got], 1); /* a byte at a time: what follows is not ours */

		if (error || ret[got] == '\n') {
			ret[got] = '\0';
			return error;
		}
		got++;
	}
	ret[got] = '\0';
	return -EMSGSIZE;
}

void stream_finish(int fd)
{
	char waste[4096];

	/* Close alone would throw away what is still under way (common/net.h). */
	if (!shutdown(fd, SHUT_WR))
		while (recv(fd, waste, sizeof(waste), 0) > 0)
			continue;
	close(fd);
}
