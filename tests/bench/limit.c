/* limit: how fast the same bytes could go at most. One thread with an io_uring sends blocks of 64 + BYTES to N
 * receivers over TCP; each receiver is a process that receives into its store's memory, one copy, nothing parsed, and
 * answers 64 bytes a block. A block is done when every receiver has answered; DEPTH are outstanding. No checksums, no
 * order, no store but memory, no one to trust: what Lockstep adds is what it is slower by. Prints one line of JSON. */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/net.h"
#include "common/uring.h"
#include "tests/native/lib/tool.h"

#define RECEIVERS_MAX 8u
#define HEADER_BYTES 64u
#define STORE_BYTES (256 * MIB)
#define RECV_BYTES (1 * MIB) /* at a time: a replica's store would see no more of a stream, either */

struct arguments {
	unsigned receivers, depth;
	uint64_t bytes;
	double seconds;
};

struct connection {
	int fd;
	pid_t pid;
	uint64_t sent, acknowledged; /* blocks */
	bool sending, receiving;
	uint64_t partial; /* bytes of an acknowledgement */
	uint8_t answers[64 * 1024];
};

struct sender {
	struct arguments arguments;
	struct ring ring;
	struct connection connections[RECEIVERS_MAX];
	uint8_t *blocks; /* DEPTH of them, one behind the other */
	uint64_t block_bytes;
};

/* ---- a receiver ---- */

static uint8_t *memory(size_t bytes)
{
	uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		tool_die(EXIT_CANNOT, "no memory for %zu bytes", bytes);
	return memory;
}

static void answer(int fd, uint64_t blocks)
{
	static const uint8_t zeros[64 * 1024];

	while (blocks) {
		uint64_t now = blocks < sizeof(zeros) / HEADER_BYTES ? blocks : sizeof(zeros) / HEADER_BYTES;

		tool_write_all(fd, zeros, now * HEADER_BYTES);
		blocks -= now;
	}
}

/* Until the sender closes. */
_Noreturn static void receive(int fd, uint64_t block_bytes)
{
	uint8_t *store = memory(STORE_BYTES);
	uint64_t at = 0, pending = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		uint64_t room = STORE_BYTES - at;
		ssize_t n = recv(fd, store + at, room < RECV_BYTES ? room : RECV_BYTES, 0);

		if (n <= 0)
			_exit(n < 0);
		at = (at + (uint64_t)n) % STORE_BYTES;
		pending += (uint64_t)n;
		answer(fd, pending / block_bytes);
		pending %= block_bytes;
	}
}

/* ---- connections ---- */

static void tune(int fd)
{
	static const int one = 1, bytes = NET_BUFFER_BYTES;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		tool_die(EXIT_CANNOT, "TCP_NODELAY: %s", strerror(errno));
	/* As Lockstep's own sockets: not paced, larger buffers where they are allowed. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, NET_UNPACED, sizeof(NET_UNPACED) - 1);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

static void connect_one(struct connection *connection, uint64_t block_bytes)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other;

	if (listener < 0 || fd < 0 || bind(listener, (struct sockaddr *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &len) || connect(fd, (struct sockaddr *)&address, len) ||
	    (other = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
		tool_die(EXIT_CANNOT, "loopback: %s", strerror(errno));
	close(listener);
	tune(fd);
	tune(other);
	connection->fd = fd;
	connection->pid = fork();
	if (connection->pid < 0)
		tool_die(EXIT_CANNOT, "fork: %s", strerror(errno));
	if (connection->pid == 0) {
		close(fd);
		receive(other, block_bytes);
	}
	close(other);
}

/* ---- the sender ---- */

static uint64_t done_blocks(const struct sender *sender)
{
	uint64_t done = sender->connections[0].acknowledged;

	for (unsigned i = 1; i < sender->arguments.receivers; i++)
		if (sender->connections[i].acknowledged < done)
			done = sender->connections[i].acknowledged;
	return done;
}

/* All that may be outstanding in one send, up to the end of the memory. */
static void send_more(struct sender *sender, unsigned idx, uint64_t done)
{
	struct connection *connection = &sender->connections[idx];
	unsigned depth = sender->arguments.depth;
	uint64_t first = connection->sent % depth, count = done + depth - connection->sent;
	struct io_uring_sqe *sqe;

	if (connection->sending || count == 0)
		return;
	if (count > depth - first)
		count = depth - first;
	sqe = ring_sqe(&sender->ring);
	io_uring_prep_send(sqe, connection->fd, sender->blocks + first * sender->block_bytes,
			   count * sender->block_bytes, MSG_WAITALL | MSG_NOSIGNAL);
	sqe->user_data = (uint64_t)idx << 1;
	connection->sent += count;
	connection->sending = true;
}

static void receive_more(struct sender *sender, unsigned idx)
{
	struct connection *connection = &sender->connections[idx];
	struct io_uring_sqe *sqe;

	if (connection->receiving)
		return;
	sqe = ring_sqe(&sender->ring);
	io_uring_prep_recv(sqe, connection->fd, connection->answers, sizeof(connection->answers), 0);
	sqe->user_data = (uint64_t)idx << 1 | 1;
	connection->receiving = true;
}

static void on_cqe(struct sender *sender, const struct io_uring_cqe *cqe)
{
	struct connection *connection = &sender->connections[cqe->user_data >> 1];

	if (cqe->res <= 0)
		tool_die(EXIT_CANNOT, "loopback: %s", strerror(-cqe->res));
	if (cqe->user_data & 1) {
		connection->receiving = false;
		connection->partial += (uint64_t)cqe->res;
		connection->acknowledged += connection->partial / HEADER_BYTES;
		connection->partial %= HEADER_BYTES;
	} else {
		connection->sending = false;
	}
}

static void turn(struct sender *sender)
{
	struct io_uring_cqe *cqes[32];
	uint64_t done = done_blocks(sender);
	unsigned count;

	for (unsigned i = 0; i < sender->arguments.receivers; i++) {
		send_more(sender, i, done);
		receive_more(sender, i);
	}
	if (ring_submit_and_wait(&sender->ring, 1, NS_PER_S))
		tool_die(EXIT_CANNOT, "io_uring failed");
	while ((count = ring_peek(&sender->ring, cqes, 32)) > 0) {
		for (unsigned i = 0; i < count; i++)
			on_cqe(sender, cqes[i]);
		ring_seen(&sender->ring, count);
	}
}

/* Blocks completed per second, once every receiver has its memory, and after a tenth of the time to warm up. */
static void run(struct sender *sender)
{
	uint64_t start_ns, now_ns, warm_ns, end_ns, first;

	while (done_blocks(sender) == 0)
		turn(sender);
	now_ns = clock_now_ns();
	warm_ns = now_ns + (uint64_t)(sender->arguments.seconds * 1e8);
	for (; now_ns < warm_ns; now_ns = clock_now_ns())
		turn(sender);
	first = done_blocks(sender);
	start_ns = now_ns;
	end_ns = start_ns + (uint64_t)(sender->arguments.seconds * 1e9);
	for (; now_ns < end_ns; now_ns = clock_now_ns())
		turn(sender);
	first = done_blocks(sender) - first;
	printf("{\"ops\": %llu, \"bytes\": %llu, \"errors\": 0, \"seconds\": %.6f}\n", (unsigned long long)first,
	       (unsigned long long)(first * sender->arguments.bytes), (double)(now_ns - start_ns) / 1e9);
}

static void stop(struct sender *sender)
{
	ring_fini(&sender->ring);
	for (unsigned i = 0; i < sender->arguments.receivers; i++) {
		(void)kill(sender->connections[i].pid, SIGKILL);
		(void)waitpid(sender->connections[i].pid, NULL, 0);
	}
}

static struct arguments parse(int argc, char **argv)
{
	static const struct option options[] = {{"receivers", required_argument, NULL, 'r'},
						{"depth", required_argument, NULL, 'd'},
						{"bytes", required_argument, NULL, 'b'},
						{"seconds", required_argument, NULL, 's'},
						{NULL, 0, NULL, 0}};
	struct arguments arguments = {.receivers = 2, .depth = 32, .bytes = 4096, .seconds = 2};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'r')
			arguments.receivers = (unsigned)tool_number(optarg, "--receivers");
		else if (option == 'd')
			arguments.depth = (unsigned)tool_number(optarg, "--depth");
		else if (option == 'b')
			arguments.bytes = tool_number(optarg, "--bytes");
		else if (option == 's')
			arguments.seconds = strtod(optarg, NULL);
		else
			tool_die(EXIT_CANNOT, "limit [--receivers N] [--depth N] [--bytes N] [--seconds S]");
	}
	if (arguments.receivers == 0 || arguments.receivers > RECEIVERS_MAX || arguments.depth == 0 ||
	    arguments.depth > QUEUE_DEPTH_MAX || arguments.bytes == 0 || arguments.bytes > IO_BYTES_MAX ||
	    arguments.seconds <= 0)
		tool_die(EXIT_CANNOT, "1 to %u receivers, depth 1 to %u, blocks of at most %llu bytes", RECEIVERS_MAX,
			 QUEUE_DEPTH_MAX, IO_BYTES_MAX);
	return arguments;
}

int main(int argc, char **argv)
{
	struct sender *sender = tool_zalloc(sizeof(*sender));
	struct err err = {0};

	sender->arguments = parse(argc, argv);
	sender->block_bytes = HEADER_BYTES + sender->arguments.bytes;
	sender->blocks = memory(sender->arguments.depth * sender->block_bytes);
	for (unsigned i = 0; i < sender->arguments.receivers; i++)
		connect_one(&sender->connections[i], sender->block_bytes);
	if (ring_init(&sender->ring, 64, 256, &err))
		tool_die(EXIT_CANNOT, "%s", err.text);
	run(sender);
	stop(sender);
	free(sender);
	return 0;
}
