/* faultproxy: a TCP proxy on loopback that breaks what passes it, exactly as told (rules: lib/proxy_rule.h).
 *   faultproxy --listen ADDR:PORT --connect ADDR:PORT --control SOCKET     runs until "quit" or SIGTERM
 *   faultproxy tell SOCKET WORD...                                         sends one command, prints the answer
 * Commands beside the rules: stat; stop up|down (do not read that direction); drop up|down (its bytes vanish); go (read
 * again; connections that lost bytes are broken); delay up|down MS;
 * refuse on|off (reset new connections); hole on|off (accept new ones, pass nothing); reset (break all); clear (drop
 * rules). One thread and poll(2); knows the wire only through lib/proxy_stream.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/native/lib/proxy_stream.h"
#include "tests/native/lib/tool.h"

#define CONNECTIONS_MAX 256u
#define ACCEPTS_PER_TURN 64u

enum side { CLIENT = 0, SERVER = 1 };

struct connection {
	bool open, is_hole, has_lost;
	int fds[2];
	bool eof[2]; /* that side has sent all it will */
	unsigned role;
	struct stream streams[DIRECTION_COUNT]; /* UP: from CLIENT to SERVER */
	uint64_t pending_since_ns[DIRECTION_COUNT];
};

struct proxy {
	int listen_fd, control_fd;
	struct sockaddr_in target;
	struct rule_list rules;
	struct connection connections[CONNECTIONS_MAX];
	bool stopped[DIRECTION_COUNT], dropping[DIRECTION_COUNT], refuse, hole, quit;
	uint64_t delay_ns[DIRECTION_COUNT];
	uint64_t accepted, bytes[DIRECTION_COUNT];
};

static struct sockaddr_in parse_address(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char host[64];
	const char *colon = strrchr(text, ':');

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		tool_die(EXIT_CANNOT, "not ADDR:PORT: %s", text);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	address.sin_port = htons((uint16_t)tool_number(colon + 1, "port"));
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		tool_die(EXIT_CANNOT, "not an IPv4 address: %s", host);
	return address;
}

static int listen_on(const char *text)
{
	struct sockaddr_in address = parse_address(text);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 64) != 0)
		tool_die(EXIT_CANNOT, "listen on %s: %s", text, strerror(errno));
	return fd;
}

static struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		tool_die(EXIT_CANNOT, "%s: too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	return address;
}

static int control_on(const char *path)
{
	struct sockaddr_un address = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 16) != 0)
		tool_die(EXIT_CANNOT, "control socket %s: %s", path, strerror(errno));
	return fd;
}

static void close_side(int fd, bool by_reset)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (by_reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void connection_close(struct connection *connection, bool by_reset)
{
	close_side(connection->fds[CLIENT], by_reset);
	close_side(connection->fds[SERVER], by_reset);
	connection->open = false;
}

static struct connection *connection_free(struct proxy *proxy)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		if (!proxy->connections[i].open)
			return &proxy->connections[i];
	return NULL;
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* False: nobody waits any more. */
static bool accept_one(struct proxy *proxy)
{
	int client = accept4(proxy->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *connection = connection_free(proxy);
	int server;

	if (client < 0)
		return false;
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (proxy->refuse || !connection ||
	    connect(server, (struct sockaddr *)&proxy->target, sizeof(proxy->target)) != 0) {
		close_side(client, true);
		close(server);
		return true;
	}
	fcntl(server, F_SETFL, O_NONBLOCK);
	no_delay(client);
	no_delay(server);
	*connection = (struct connection){.open = true,
					  .is_hole = proxy->hole,
					  .fds = {client, server},
					  .streams = {connection->streams[UP], connection->streams[DOWN]}};
	for (unsigned d = 0; d < DIRECTION_COUNT; d++)
		stream_init(&connection->streams[d], &proxy->rules, (enum direction)d, &connection->role);
	proxy->accepted++;
	return true;
}

/* False: the connection is broken. */
static bool pump_in(struct proxy *proxy, struct connection *connection, enum direction direction)
{
	static uint8_t buffer[STREAM_READ_BYTES];
	enum side from = direction == UP ? CLIENT : SERVER;
	ssize_t got = read(connection->fds[from], buffer, sizeof(buffer));

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got == 0)
		connection->eof[from] = true;
	if (got > 0 && proxy->dropping[direction]) {
		connection->has_lost = true;
	} else if (got > 0) {
		proxy->bytes[direction] += (uint64_t)got;
		if (connection->streams[direction].out_to == connection->streams[direction].out_from)
			connection->pending_since_ns[direction] = clock_now_ns();
		stream_feed(&connection->streams[direction], buffer, (size_t)got);
	}
	return true;
}

static bool pump_out(struct proxy *proxy, struct connection *connection, enum direction direction)
{
	struct stream *stream = &connection->streams[direction];
	enum side to = direction == UP ? SERVER : CLIENT;
	const uint8_t *bytes;
	size_t len = stream_pending(stream, &bytes);
	ssize_t sent;

	if (len == 0 || clock_now_ns() - connection->pending_since_ns[direction] < proxy->delay_ns[direction])
		return true;
	sent = send(connection->fds[to], bytes, len, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	stream_written(stream, (size_t)sent);
	return true;
}

/* After all pending bytes of a cut or ended stream are out: break the connection as the rule or the sender wanted it.
 */
static void finish_streams(struct connection *connection)
{
	for (unsigned d = 0; d < DIRECTION_COUNT && connection->open; d++) {
		struct stream *stream = &connection->streams[d];
		const uint8_t *bytes;

		if (stream_pending(stream, &bytes) > 0)
			continue;
		if (stream->is_cut)
			connection_close(connection, !stream->cut_by_fin);
		else if (connection->eof[d == UP ? CLIENT : SERVER])
			connection_close(connection, false);
	}
}

static bool wants_read(const struct proxy *proxy, const struct connection *connection, enum direction direction)
{
	const struct stream *stream = &connection->streams[direction];

	return !proxy->stopped[direction] && !connection->is_hole && !stream->is_cut && stream_has_room(stream) &&
	       !connection->eof[direction == UP ? CLIENT : SERVER];
}

static short poll_events(const struct proxy *proxy, const struct connection *connection, enum side side)
{
	enum direction in = side == CLIENT ? UP : DOWN;
	enum direction out = side == CLIENT ? DOWN : UP;
	const uint8_t *bytes;
	short events = 0;

	if (wants_read(proxy, connection, in))
		events |= POLLIN;
	if (proxy->delay_ns[out] == 0 && stream_pending(&connection->streams[out], &bytes) > 0)
		events |= POLLOUT;
	return events;
}

static void serve_connection(struct proxy *proxy, struct connection *connection, const struct pollfd *polled)
{
	bool ok = true;

	for (unsigned side = CLIENT; side <= SERVER; side++) {
		enum direction in = side == CLIENT ? UP : DOWN;

		/* A reset is passed on even while reading is stopped. */
		if ((polled[side].revents & POLLERR) || ((polled[side].revents & POLLHUP) && connection->eof[side]))
			ok = false;
		else if ((polled[side].revents & (POLLIN | POLLHUP)) && wants_read(proxy, connection, in))
			ok = ok && pump_in(proxy, connection, in);
	}
	for (unsigned d = 0; d < DIRECTION_COUNT && ok; d++)
		ok = pump_out(proxy, connection, (enum direction)d);
	if (!ok)
		connection_close(connection, true);
	else
		finish_streams(connection);
}

static void reset_all(struct proxy *proxy)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		if (proxy->connections[i].open)
			connection_close(&proxy->connections[i], true);
}

static void heal(struct proxy *proxy)
{
	proxy->stopped[UP] = proxy->stopped[DOWN] = proxy->dropping[UP] = proxy->dropping[DOWN] = false;
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		if (proxy->connections[i].open && proxy->connections[i].has_lost)
			connection_close(&proxy->connections[i], true);
}

static void print_stat(const struct proxy *proxy, char *answer, size_t cap)
{
	unsigned open_count = 0;

	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		open_count += proxy->connections[i].open;
	snprintf(answer, cap, "accepted=%llu open=%u up=%llu down=%llu fired=%llu pending=%u\n",
		 (unsigned long long)proxy->accepted, open_count, (unsigned long long)proxy->bytes[UP],
		 (unsigned long long)proxy->bytes[DOWN], (unsigned long long)proxy->rules.fired,
		 rule_list_pending(&proxy->rules));
}

static bool is_on(const char *line)
{
	return strstr(line, " on") != NULL;
}

/* True: `line` was a command about the proxy as a whole. */
static bool command_switch(struct proxy *proxy, const char *line, char *answer, size_t cap)
{
	enum direction direction = strstr(line, " down") ? DOWN : UP;

	if (strncmp(line, "stat", 4) == 0)
		print_stat(proxy, answer, cap);
	else if (strncmp(line, "stop", 4) == 0)
		proxy->stopped[direction] = true;
	else if (strncmp(line, "go", 2) == 0)
		heal(proxy);
	else if (strncmp(line, "drop", 4) == 0)
		proxy->dropping[direction] = true;
	else if (strncmp(line, "delay", 5) == 0)
		proxy->delay_ns[direction] = tool_number(strrchr(line, ' ') + 1, "delay") * NS_PER_MS;
	else if (strncmp(line, "refuse", 6) == 0)
		proxy->refuse = is_on(line);
	else if (strncmp(line, "hole", 4) == 0)
		proxy->hole = is_on(line);
	else if (strncmp(line, "reset", 5) == 0)
		reset_all(proxy);
	else if (strncmp(line, "clear", 5) == 0)
		proxy->rules.count = 0;
	else if (strncmp(line, "quit", 4) == 0)
		proxy->quit = true;
	else
		return false;
	return true;
}

static void command(struct proxy *proxy)
{
	int fd = accept4(proxy->control_fd, NULL, NULL, SOCK_CLOEXEC);
	char line[512], answer[256] = "ok\n";
	struct rule rule;
	const char *why;
	ssize_t got = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (got > 0) {
		line[got] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (!command_switch(proxy, line, answer, sizeof(answer))) {
			if (rule_parse(line, &rule, &why) == 0)
				rule_list_add(&proxy->rules, &rule);
			else
				snprintf(answer, sizeof(answer), "error: %s\n", why);
		}
		(void)!write(fd, answer, strlen(answer));
	}
	if (fd >= 0)
		close(fd);
}

static void turn(struct proxy *proxy)
{
	struct pollfd polled[2 + 2 * CONNECTIONS_MAX];
	struct connection *of[CONNECTIONS_MAX];
	unsigned count = 0;
	bool slow = proxy->delay_ns[UP] || proxy->delay_ns[DOWN];

	polled[0] = (struct pollfd){.fd = proxy->listen_fd, .events = POLLIN};
	polled[1] = (struct pollfd){.fd = proxy->control_fd, .events = POLLIN};
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &proxy->connections[i];

		if (!connection->open)
			continue;
		for (unsigned side = CLIENT; side <= SERVER; side++)
			polled[2 + 2 * count + side] = (struct pollfd){.fd = connection->fds[side],
								       .events = poll_events(proxy, connection, side)};
		of[count++] = connection;
	}
	if (poll(polled, 2 + 2 * count, slow ? 1 : -1) < 0)
		return;
	for (unsigned i = 0; i < count; i++)
		serve_connection(proxy, of[i], &polled[2 + 2 * i]);
	for (unsigned i = 0; polled[0].revents && i < ACCEPTS_PER_TURN && accept_one(proxy); i++)
		;
	if (polled[1].revents)
		command(proxy);
}

static int tell(const char *path, int word_count, char **words)
{
	struct sockaddr_un address = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[512] = "", answer[256];
	ssize_t got;

	for (int i = 0; i < word_count; i++) {
		strncat(line, i ? " " : "", sizeof(line) - strlen(line) - 1);
		strncat(line, words[i], sizeof(line) - strlen(line) - 1);
	}
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		tool_die(EXIT_CANNOT, "%s: %s", path, strerror(errno));
	tool_write_all(fd, line, strlen(line));
	got = read(fd, answer, sizeof(answer) - 1);
	if (got <= 0)
		tool_die(EXIT_CANNOT, "%s: no answer", path);
	answer[got] = '\0';
	fputs(answer, stdout);
	close(fd);
	return strncmp(answer, "error", 5) == 0 ? EXIT_CANNOT : 0;
}

int main(int argc, char **argv)
{
	struct proxy *proxy;

	if (argc >= 4 && strcmp(argv[1], "tell") == 0)
		return tell(argv[2], argc - 3, argv + 3);
	if (argc != 7 || strcmp(argv[1], "--listen") != 0 || strcmp(argv[3], "--connect") != 0 ||
	    strcmp(argv[5], "--control") != 0)
		tool_die(EXIT_CANNOT,
			 "faultproxy --listen ADDR:PORT --connect ADDR:PORT --control SOCKET | tell SOCKET WORD...");
	signal(SIGPIPE, SIG_IGN);
	proxy = tool_zalloc(sizeof(*proxy));
	proxy->target = parse_address(argv[4]);
	proxy->listen_fd = listen_on(argv[2]);
	proxy->control_fd = control_on(argv[6]);
	while (!proxy->quit)
		turn(proxy);
	reset_all(proxy);
	unlink(argv[6]);
	close(proxy->listen_fd);
	close(proxy->control_fd);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		for (unsigned d = 0; d < DIRECTION_COUNT; d++)
			stream_fini(&proxy->connections[i].streams[d]);
	free(proxy->rules.rules);
	free(proxy);
	return 0;
}
