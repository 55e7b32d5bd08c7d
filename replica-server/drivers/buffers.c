/* Payload memory of a data thread. Knows sizes, not requests. On a request's path: taken when a WRITE's header or a
 * READ is admitted, given back when the store (WRITE) or the socket (READ) is done with it. */
#include "replica-server/drivers/buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/limits.h"

/* Sizes, and the share of the budget each gets, in sixteenths: small requests are many, large ones are large. */
static const struct {
	uint32_t bytes;
	unsigned sixteenths;
} classes[BUFFER_CLASS_COUNT] = {
	{4 * KIB, 3},
	{64 * KIB, 3},
	{IO_BYTES_MAX, 10},
};

static unsigned class_count(unsigned class_idx, size_t budget_bytes)
{
	unsigned count = (unsigned)(budget_bytes / 16 * classes[class_idx].sixteenths / classes[class_idx].bytes);

	return count ? count : 1;
}

static unsigned fill_class(struct buffers *buffers, unsigned class_idx, unsigned count, unsigned first, uint8_t *memory)
{
	list_init(&buffers->free[class_idx]);
	for (unsigned i = 0; i < count; i++) {
		struct buffer *buffer = &buffers->all[first + i];

		buffer->buf.data = memory + (size_t)i * classes[class_idx].bytes;
		buffer->buf.cap = classes[class_idx].bytes;
		buffer->class_idx = class_idx;
		list_init(&buffer->node);
		list_add_tail(&buffers->free[class_idx], &buffer->node);
	}
	return first + count;
}

int buffers_init(struct buffers *buffers, size_t budget_bytes)
{
	size_t offset = 0;
	unsigned first = 0;

	*buffers = (struct buffers){0};
	for (unsigned i = 0; i < BUFFER_CLASS_COUNT; i++) {
		buffers->count += class_count(i, budget_bytes);
		buffers->memory_bytes += (size_t)class_count(i, budget_bytes) * classes[i].bytes;
	}
	buffers->all = calloc(buffers->count, sizeof(*buffers->all));
	if (!buffers->all)
		return -ENOMEM;
	buffers->memory = mmap(NULL, buffers->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffers->memory == MAP_FAILED) {
		free(buffers->all);
		*buffers = (struct buffers){0};
		return -ENOMEM;
	}
	for (unsigned i = 0; i < BUFFER_CLASS_COUNT; i++) {
		unsigned count = class_count(i, budget_bytes);

		first = fill_class(buffers, i, count, first, buffers->memory + offset);
		offset += (size_t)count * classes[i].bytes;
	}
	return 0;
}

void buffers_fini(struct buffers *buffers)
{
	if (buffers->memory)
		munmap(buffers->memory, buffers->memory_bytes);
	free(buffers->all);
	*buffers = (struct buffers){0};
}

int buffers_register(struct buffers *buffers, struct ring *ring)
{
	struct iovec whole = {.iov_base = buffers->memory, .iov_len = buffers->memory_bytes};
	int error;

	if (buffers->registered)
		return 0;
	error = io_uring_register_buffers(&ring->uring, &whole, 1);
	buffers->registered = error == 0;
	return error;
}

struct io_buf *buffers_get(struct buffers *buffers, uint32_t bytes)
{
	for (unsigned i = 0; i < BUFFER_CLASS_COUNT; i++) {
		struct buffer *buffer = list_first(&buffers->free[i], struct buffer, node);

		if (classes[i].bytes < bytes || !buffer)
			continue;
		list_del(&buffer->node);
		return &buffer->buf;
	}
	return NULL;
}

void buffers_put(struct buffers *buffers, struct io_buf *buf)
{
	struct buffer *buffer = container_of(buf, struct buffer, buf);

	/* To the front: the memory used last is the one still in the cache. */
	list_add_tail(buffers->free[buffer->class_idx].next, &buffer->node);
}
