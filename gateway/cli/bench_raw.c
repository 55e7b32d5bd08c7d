/* The client's side of the raw end: asks, and measures what it sends and receives itself. */
#include "gateway/cli/bench_raw.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "gateway/cli/bench_stream.h"

#define CONNECT_SECONDS 5u
#define BLOCK_BYTES (1 * MIB)

static int broken(const char *address, int error, struct err *err)
{
	return err_set(err, error, "%s: the raw end does not answer as it should: %s", address, strerror(-error));
}

/* Connects and asks. */
static int ask(const char *address, const char *line, unsigned wait_seconds, int *ret_fd, struct err *err)
{
	int error = stream_connect(address, CONNECT_SECONDS, ret_fd, err);

	if (error)
		return error;
	error = stream_make_blocking(*ret_fd, wait_seconds + CONNECT_SECONDS);
	if (!error)
		error = stream_send(*ret_fd, line, strlen(line));
	if (!error)
		return 0;
	close(*ret_fd);
	return broken(address, error, err);
}

/* "ok OPS BYTES NS" or "error TEXT". */
static int answer(int fd, const char *address, struct bench_result *ret, struct err *err)
{
	char line[RAW_LINE_MAX + 1];
	struct bench_result result;
	int error = stream_line(fd, line, sizeof(line));

	if (error)
		return broken(address, error, err);
	if (!strncmp(line, "error ", 6))
		return err_set(err, -EREMOTEIO, "%s: %s", address, line + 6);
	if (sscanf(line, "ok %" SCNu64 " %" SCNu64 " %" SCNu64, &result.ops, &result.bytes, &result.ns) != 3)
		return broken(address, -EPROTO, err);
	*ret = result;
	return 0;
}

int raw_disk(const char *address, const struct bench_job *job, unsigned seconds, struct bench_result *ret,
	     struct err *err)
{
	char line[RAW_LINE_MAX + 1];
	int fd, error;

	snprintf(line, sizeof(line), "disk %c %c %u %u %u\n", job->is_write ? 'w' : 'r', job->is_random ? 'r' : 's',
		 job->bytes, job->depth, seconds);
	error = ask(address, line, seconds + 30, &fd, err);
	if (error)
		return error;
	error = answer(fd, address, ret, err);
	close(fd);
	return error;
}

static int send_for(int fd, const uint8_t *block, uint64_t end_ns)
{
	int error = 0;

	while (!error && clock_now_ns() < end_ns)
		error = stream_send(fd, block, BLOCK_BYTES);
	if (!error && shutdown(fd, SHUT_WR) < 0)
		error = -errno;
	return error;
}

int raw_send(const char *address, unsigned seconds, struct bench_result *ret, struct err *err)
{
	uint8_t *block = calloc(1, BLOCK_BYTES);
	int fd = -1, error = block ? ask(address, "take\n", seconds, &fd, err) : err_set(err, -ENOMEM, "out of memory");

	if (error)
		goto out;
	error = send_for(fd, block, clock_now_ns() + seconds * NS_PER_S);
	error = error ? broken(address, error, err) : answer(fd, address, ret, err);
	close(fd);
out:
	free(block);
	return error;
}

int raw_receive(const char *address, unsigned seconds, struct bench_result *ret, struct err *err)
{
	struct bench_result result = {0};
	uint64_t start_ns = clock_now_ns();
	uint8_t *block = malloc(BLOCK_BYTES);
	char line[RAW_LINE_MAX + 1];
	int fd = -1, error;
	ssize_t n = 0;

	snprintf(line, sizeof(line), "give %u\n", seconds);
	error = block ? ask(address, line, seconds, &fd, err) : err_set(err, -ENOMEM, "out of memory");
	if (error)
		goto out;
	while ((n = recv(fd, block, BLOCK_BYTES, 0)) > 0)
		result.bytes += (uint64_t)n;
	result.ns = clock_now_ns() - start_ns;
	if (n < 0)
		error = broken(address, -errno, err);
	else
		*ret = result;
	close(fd);
out:
	free(block);
	return error;
}

int raw_echo(const char *address, unsigned seconds, struct bench_result *ret, struct err *err)
{
	struct bench_result result = {0};
	uint8_t message[RAW_ECHO_BYTES] = {0};
	uint64_t start_ns, end_ns;
	int fd, error = ask(address, "echo\n", seconds, &fd, err);

	if (error)
		return error;
	start_ns = clock_now_ns();
	end_ns = start_ns + seconds * NS_PER_S;
	while (!error && clock_now_ns() < end_ns) {
		error = stream_send(fd, message, sizeof(message));
		if (!error)
			error = stream_receive(fd, message, sizeof(message));
		result.ops += !error;
	}
	result.ns = clock_now_ns() - start_ns;
	stream_finish(fd);
	if (error)
		return broken(address, error, err);
	*ret = result;
	return 0;
}
