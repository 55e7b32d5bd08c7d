/* The raw end itself: one connection after the other, each with one command. argv and the network are all it hears. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/net.h"
#include "gateway/cli/bench_raw.h"
#include "gateway/cli/bench_stream.h"
#include "gateway/cli/cli.h"

#define WAIT_SECONDS 10u
#define POLL_MS 200
#define BLOCK_BYTES (1 * MIB)

struct raw_end {
	int file_fd;
	uint64_t size_bytes;
	bool is_direct;
	uint8_t *block;
};

/* A file without a name: whatever happens, nothing stays behind. O_DIRECT where the file system takes it. */
static int open_scratch(struct raw_end *end, const char *dir, struct err *err)
{
	end->file_fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC | O_DIRECT, 0600);
	end->is_direct = end->file_fd >= 0;
	if (end->file_fd < 0 && errno == EINVAL)
		end->file_fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (end->file_fd < 0)
		return err_set(err, -errno, "%s: no scratch file can be made there: %s", dir, strerror(errno));
	if (posix_fallocate(end->file_fd, 0, (off_t)end->size_bytes))
		return err_set(err, -ENOSPC, "%s: no space for a scratch file; choose a smaller --size", dir);
	return bench_fill(end->file_fd, end->size_bytes, err);
}

static int reply(int fd, const struct bench_result *result)
{
	char line[RAW_LINE_MAX + 1];

	snprintf(line, sizeof(line), "ok %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", result->ops, result->bytes,
		 result->ns);
	return stream_send(fd, line, strlen(line));
}

static int refuse(int fd, const char *text)
{
	char line[RAW_LINE_MAX + 1];

	snprintf(line, sizeof(line), "error %.200s\n", text);
	return stream_send(fd, line, strlen(line));
}

/* bench_io() checks every number. */
static int serve_disk(struct raw_end *end, int fd, const char *line)
{
	struct bench_job job = {.name = "disk"};
	struct bench_result result;
	char direction, order;
	unsigned seconds;
	struct err err;

	if (sscanf(line, "disk %c %c %" SCNu32 " %u %u", &direction, &order, &job.bytes, &job.depth, &seconds) != 5)
		return refuse(fd, "disk: five words are expected");
	job.is_write = direction == 'w';
	job.is_random = order == 'r';
	if (bench_io(end->file_fd, end->size_bytes, &job, seconds, &result, &err))
		return refuse(fd, err.text);
	return reply(fd, &result);
}

static int serve_take(struct raw_end *end, int fd)
{
	struct bench_result result = {0};
	uint64_t start_ns = clock_now_ns();
	ssize_t n;

	while ((n = recv(fd, end->block, BLOCK_BYTES, 0)) > 0)
		result.bytes += (uint64_t)n;
	result.ns = clock_now_ns() - start_ns;
	return n < 0 ? -errno : reply(fd, &result);
}

static int serve_give(struct raw_end *end, int fd, const char *line)
{
	unsigned seconds = (unsigned)strtoul(line + strlen("give "), NULL, 10);
	uint64_t end_ns = clock_now_ns() + seconds * NS_PER_S;
	int error = 0;

	if (seconds == 0 || seconds > BENCH_SECONDS_MAX)
		return refuse(fd, "give: the time is out of bounds");
	while (!error && clock_now_ns() < end_ns)
		error = stream_send(fd, end->block, BLOCK_BYTES);
	return error;
}

static int serve_echo(int fd)
{
	uint8_t message[RAW_ECHO_BYTES];
	int error;

	do {
		error = stream_receive(fd, message, sizeof(message));
		if (!error)
			error = stream_send(fd, message, sizeof(message));
	} while (!error);
	return error;
}

static void serve_one(struct raw_end *end, int fd)
{
	char line[RAW_LINE_MAX + 1];
	int error = stream_make_blocking(fd, WAIT_SECONDS);

	if (!error)
		error = stream_line(fd, line, sizeof(line));
	if (error)
		error = refuse(fd, "no command");
	else if (!strncmp(line, "disk ", 5))
		error = serve_disk(end, fd, line);
	else if (!strcmp(line, "take"))
		error = serve_take(end, fd);
	else if (!strncmp(line, "give ", 5))
		error = serve_give(end, fd, line);
	else if (!strcmp(line, "echo"))
		error = serve_echo(fd);
	else
		error = refuse(fd, "no such command");
	if (error)
		close(fd);
	else
		stream_finish(fd);
}

static void accept_all(struct raw_end *end, int listen_fd)
{
	struct pollfd pollfd = {.fd = listen_fd, .events = POLLIN};
	struct net_address peer;
	int fd;

	while (!cli_was_interrupted())
		if (poll(&pollfd, 1, POLL_MS) > 0 && !net_accept(listen_fd, &fd, &peer))
			serve_one(end, fd);
}

static int open_listener(const char *listen, int *ret_fd, struct err *err)
{
	struct net_address address;
	struct address parsed;
	int error = address_parse(listen, RAW_PORT_DEFAULT, &parsed, err);

	if (!error)
		error = net_resolve(&parsed, &address, err);
	return error ? error : net_listen(&address, ret_fd, err);
}

int raw_serve(const char *dir, const char *listen, uint64_t size_bytes, void (*listening)(void *ctx, const char *how),
	      void *ctx, struct err *err)
{
	struct raw_end end = {.file_fd = -1, .size_bytes = size_bytes, .block = calloc(1, BLOCK_BYTES)};
	int listen_fd = -1, error = end.block ? 0 : err_set(err, -ENOMEM, "out of memory");

	if (!error)
		error = open_listener(listen, &listen_fd, err);
	if (!error)
		error = open_scratch(&end, dir, err);
	if (!error) {
		listening(ctx, end.is_direct ? "direct I/O" : "through the page cache: no direct I/O here");
		accept_all(&end, listen_fd);
	}
	if (listen_fd >= 0)
		close(listen_fd);
	if (end.file_fd >= 0)
		close(end.file_fd);
	free(end.block);
	return error;
}
