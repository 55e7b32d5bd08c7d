/* Sockets on loopback: options, refusals, and the abort that nothing survives. */
#include "common/net.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/check.h"

#define WAIT_MS 10000

static struct net_address any_port_of(const char *host)
{
	struct address address = {.port = 0};
	struct net_address resolved;
	struct err err;

	snprintf(address.host, sizeof(address.host), "%s", host);
	if (net_resolve(&address, &resolved, &err) < 0)
		CHECK_FAIL("%s", err.text);
	return resolved;
}

/* Listens on 127.0.0.1 at a port of the kernel's choice. */
static int listen_on_loopback(struct net_address *ret_bound)
{
	struct net_address address = any_port_of("127.0.0.1");
	struct err err;
	int fd;

	if (net_listen(&address, &fd, &err) < 0)
		CHECK_FAIL("%s", err.text);
	CHECK_OK(net_local(fd, ret_bound));
	return fd;
}

static void wait_for(int fd, short events)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	CHECK_EQ_INT(1, poll(&poll_fd, 1, WAIT_MS));
}

struct pair {
	int listen_fd, client_fd, server_fd;
};

static struct pair connect_pair(void)
{
	struct net_address bound, peer;
	struct pair pair;

	pair.listen_fd = listen_on_loopback(&bound);
	CHECK_OK(net_connect_start(&bound, &pair.client_fd, NULL));
	wait_for(pair.listen_fd, POLLIN);
	CHECK_OK(net_accept(pair.listen_fd, &pair.server_fd, &peer));
	wait_for(pair.client_fd, POLLOUT);
	CHECK_OK(net_connect_result(pair.client_fd));
	return pair;
}

static void close_pair(struct pair *pair)
{
	close(pair->client_fd);
	close(pair->server_fd);
	close(pair->listen_fd);
}

static int int_option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	CHECK_OK(getsockopt(fd, level, name, &value, &len));
	return value;
}

static void check_tuned(int fd)
{
	struct linger linger;
	socklen_t len = sizeof(linger);

	CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len));
	CHECK_EQ_INT(1, linger.l_onoff);
	CHECK_EQ_INT(0, linger.l_linger);
	CHECK_EQ_INT(1, int_option(fd, IPPROTO_TCP, TCP_NODELAY));
	CHECK_EQ_INT(NET_USER_TIMEOUT_MS, int_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT));
	CHECK_EQ_INT(1, int_option(fd, SOL_SOCKET, SO_KEEPALIVE));
	CHECK_EQ_INT(NET_KEEPALIVE_IDLE_S, int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE));
	CHECK_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void both_ends_of_a_connection_carry_every_option(void)
{
	struct pair pair = connect_pair();

	check_tuned(pair.client_fd);
	check_tuned(pair.server_fd);
	close_pair(&pair);
}

static void check_congestion_control(int fd, const char *expected)
{
	char name[32] = "";
	socklen_t len = sizeof(name);

	CHECK_OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	CHECK_STR(expected, name);
}

static void a_connection_within_the_host_is_not_paced(void)
{
	struct pair pair = connect_pair();

	check_congestion_control(pair.client_fd, NET_UNPACED);
	check_congestion_control(pair.server_fd, NET_UNPACED);
	close_pair(&pair);
}

static void a_peer_elsewhere_keeps_the_systems_congestion_control(void)
{
	const struct sockaddr_in elsewhere = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
	const struct sockaddr_in6 elsewhere6 = {.sin6_family = AF_INET6, .sin6_addr.s6_addr = {0xfd, [15] = 1}};
	struct net_address bound;
	int fd = listen_on_loopback(&bound);
	char before[32] = "";
	socklen_t len = sizeof(before);

	CHECK_OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, before, &len));
	net_tune_within_host(fd, (const struct sockaddr *)&elsewhere);
	net_tune_within_host(fd, (const struct sockaddr *)&elsewhere6);
	check_congestion_control(fd, before);
	close(fd);
}

static void nothing_to_accept_is_not_an_error_of_the_listener(void)
{
	struct net_address bound, peer;
	int listen_fd = listen_on_loopback(&bound), fd = -1;

	CHECK_ERRNO(-EAGAIN, net_accept(listen_fd, &fd, &peer));
	CHECK_EQ_INT(-1, fd);
	close(listen_fd);
}

static void a_port_in_use_is_refused_with_address_and_advice(void)
{
	char text[ADDRESS_CHARS_MAX + 1];
	struct net_address bound;
	int listen_fd = listen_on_loopback(&bound), second = -1;
	struct err err;

	net_format(&bound, text);
	CHECK_ERRNO(-EADDRINUSE, net_listen(&bound, &second, &err));
	CHECK_STR_HAS(text, err.text);
	CHECK_STR_HAS("another process listens there", err.text);
	CHECK_EQ_INT(-1, second);
	close(listen_fd);
}

static void an_address_of_no_interface_is_refused_with_advice(void)
{
	struct net_address address = any_port_of("192.0.2.1"); /* RFC 5737: never assigned */
	struct err err;
	int fd;

	CHECK_ERRNO(-EADDRNOTAVAIL, net_listen(&address, &fd, &err));
	CHECK_STR_HAS("no interface", err.text);
}

static void a_host_that_does_not_resolve_is_refused_by_name(void)
{
	struct address address = {.host = "no-such-host.invalid", .port = 1}; /* RFC 6761: never resolves */
	struct net_address resolved;
	struct err err;

	CHECK_TRUE(net_resolve(&address, &resolved, &err) < 0);
	CHECK_STR_HAS("no-such-host.invalid", err.text);
}

static void a_connection_nobody_accepts_reports_its_refusal(void)
{
	struct net_address bound;
	int listen_fd = listen_on_loopback(&bound), fd = -1;
	int error;

	close(listen_fd);
	error = net_connect_start(&bound, &fd, NULL);
	if (!error) {
		wait_for(fd, POLLOUT);
		error = net_connect_result(fd);
		close(fd);
	}
	CHECK_ERRNO(-ECONNREFUSED, error);
}

/* Fills the pair's buffers until the kernel takes no more, the peer reading nothing. */
static void fill(int fd)
{
	static const char bytes[65536];

	while (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
		continue;
	CHECK_EQ_INT(EAGAIN, errno);
}

static void an_abort_resets_the_peer_even_with_unsent_bytes_and_keeps_the_descriptor(void)
{
	struct pair pair = connect_pair();
	char byte[4096];
	ssize_t got;

	fill(pair.client_fd);
	CHECK_OK(net_abort(pair.client_fd));
	CHECK_TRUE(fcntl(pair.client_fd, F_GETFD) >= 0);
	CHECK_EQ_INT(-1, send(pair.client_fd, byte, 1, MSG_NOSIGNAL));
	do {
		wait_for(pair.server_fd, POLLIN);
		got = recv(pair.server_fd, byte, sizeof(byte), 0);
	} while (got > 0);
	CHECK_EQ_INT(-1, got);
	CHECK_EQ_INT(ECONNRESET, errno);
	close_pair(&pair);
}

static void aborting_twice_is_harmless(void)
{
	struct pair pair = connect_pair();

	CHECK_OK(net_abort(pair.client_fd));
	CHECK_OK(net_abort(pair.client_fd));
	close_pair(&pair);
}

static void addresses_are_written_with_brackets_where_needed(void)
{
	char text[ADDRESS_CHARS_MAX + 1];
	struct net_address address = any_port_of("127.0.0.1");

	net_format(&address, text);
	CHECK_STR("127.0.0.1:0", text);
	address = any_port_of("::1");
	net_format(&address, text);
	CHECK_STR("[::1]:0", text);
	memset(&address, 0, sizeof(address));
	net_format(&address, text);
	CHECK_STR("?", text);
}

static const struct check_test tests[] = {
	CHECK_TEST(both_ends_of_a_connection_carry_every_option),
	CHECK_TEST(a_connection_within_the_host_is_not_paced),
	CHECK_TEST(a_peer_elsewhere_keeps_the_systems_congestion_control),
	CHECK_TEST(nothing_to_accept_is_not_an_error_of_the_listener),
	CHECK_TEST(a_port_in_use_is_refused_with_address_and_advice),
	CHECK_TEST(an_address_of_no_interface_is_refused_with_advice),
	CHECK_TEST(a_host_that_does_not_resolve_is_refused_by_name),
	CHECK_TEST(a_connection_nobody_accepts_reports_its_refusal),
	CHECK_TEST(an_abort_resets_the_peer_even_with_unsent_bytes_and_keeps_the_descriptor),
	CHECK_TEST(aborting_twice_is_harmless),
	CHECK_TEST(addresses_are_written_with_brackets_where_needed),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("net", tests, argc, argv);
}
