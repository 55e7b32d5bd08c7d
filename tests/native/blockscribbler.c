/* blockscribbler: writes to a block device directly from buffers that another thread keeps changing, as careless
 * applications and swapping virtual machines do. What lands is anybody's choice; that all replicas hold the same is the
 * gateway's.
 * blockscribbler DEVICE SECONDS BYTES...
 * One writer, with a buffer and a part of the device of its own, for each BYTES. Prints how many writes were done.
 * Exit: 0 done, 1 a write failed, 2 could not run. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/limits.h"
#include "tests/native/lib/tool.h"

#define WRITERS_MAX 16u

struct writer {
	pthread_t thread;
	int fd;
	size_t bytes;
	uint64_t first, blocks; /* its part of the device, in units of `bytes` */
	volatile uint64_t *buffer;
	uint64_t writes, seed;
	int error;
};

static volatile bool is_over;

static void *write_on(void *arg)
{
	struct writer *writer = arg;

	while (!is_over && !writer->error) {
		uint64_t block = writer->first + tool_random_below(&writer->seed, writer->blocks);
		ssize_t n =
			pwrite(writer->fd, (const void *)writer->buffer, writer->bytes, (off_t)(block * writer->bytes));

		if (n != (ssize_t)writer->bytes)
			writer->error = n < 0 ? errno : EIO;
		writer->writes++;
	}
	return NULL;
}

/* One word of every page each time: fast enough to come between any two looks at the buffer. */
static void scribble(struct writer *writers, unsigned count, time_t seconds)
{
	const time_t end = time(NULL) + seconds;

	for (uint64_t round = 1; time(NULL) < end; round++) {
		for (unsigned i = 0; i < count; i++) {
			size_t words = writers[i].bytes / sizeof(uint64_t);

			for (size_t at = round % 512; at < words; at += 512)
				writers[i].buffer[at] = round;
		}
	}
	is_over = true;
}

static void writer_init(struct writer *writer, const char *device, uint64_t first_byte, uint64_t part_bytes)
{
	writer->fd = open(device, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (writer->fd < 0)
		tool_die(EXIT_CANNOT, "%s: %s", device, strerror(errno));
	writer->buffer = mmap(NULL, writer->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (writer->buffer == MAP_FAILED)
		tool_die(EXIT_CANNOT, "no memory for %zu bytes", writer->bytes);
	writer->first = (first_byte + writer->bytes - 1) / writer->bytes;
	writer->blocks = (first_byte + part_bytes) / writer->bytes - writer->first;
	if (writer->blocks == 0)
		tool_die(EXIT_CANNOT, "%s is too small for writes of %zu bytes", device, writer->bytes);
}

static uint64_t device_bytes(const char *device)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (end <= 0)
		tool_die(EXIT_CANNOT, "%s: %s", device, strerror(errno));
	close(fd);
	return (uint64_t)end;
}

int main(int argc, char **argv)
{
	static struct writer writers[WRITERS_MAX];
	unsigned count = argc > 3 ? (unsigned)argc - 3 : 0;
	uint64_t part, writes = 0;

	if (count == 0 || count > WRITERS_MAX)
		tool_die(EXIT_CANNOT, "usage: blockscribbler DEVICE SECONDS BYTES... (1 to %u writers)", WRITERS_MAX);
	part = device_bytes(argv[1]) / count;
	for (unsigned i = 0; i < count; i++) {
		writers[i].bytes = tool_number(argv[3 + i], "BYTES");
		writers[i].seed = i + 1;
		writer_init(&writers[i], argv[1], i * part, part);
	}
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&writers[i].thread, NULL, write_on, &writers[i]) != 0)
			tool_die(EXIT_CANNOT, "no thread");
	scribble(writers, count, (time_t)tool_number(argv[2], "SECONDS"));
	for (unsigned i = 0; i < count; i++) {
		pthread_join(writers[i].thread, NULL);
		if (writers[i].error)
			tool_die(EXIT_WRONG, "a write of %zu bytes: %s", writers[i].bytes, strerror(writers[i].error));
		writes += writers[i].writes;
	}
	printf("%llu writes from buffers that were changed meanwhile\n", (unsigned long long)writes);
	return 0;
}
