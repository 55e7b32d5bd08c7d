/* Bounce buffers: lent to one request at a time, oldest waiter first. Knows no ublk command.
 * On the path of requests without a place in the buffer table only. */
#include "gateway/drivers/ublk_bounce.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define MEMORY_BYTES (UBLK_BOUNCE_COUNT * IO_BYTES_MAX)

int ublk_bounce_init(struct ublk_bounce *bounce)
{
	void *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	*bounce = (struct ublk_bounce){.memory = memory};
	list_init(&bounce->waiters);
	for (unsigned i = 0; i < UBLK_BOUNCE_COUNT; i++)
		ublk_bounce_return(bounce, bounce->memory + i * IO_BYTES_MAX);
	return 0;
}

void ublk_bounce_fini(struct ublk_bounce *bounce)
{
	if (bounce->memory)
		munmap(bounce->memory, MEMORY_BYTES);
}

void ublk_bounce_wait(struct ublk_bounce *bounce, struct list *node)
{
	list_add_tail(&bounce->waiters, node);
}

bool ublk_bounce_is_ready(const struct ublk_bounce *bounce)
{
	return bounce->free_count > 0 && !list_is_empty(&bounce->waiters);
}

struct list *ublk_bounce_lend(struct ublk_bounce *bounce, uint8_t **ret_buffer)
{
	struct list *node = bounce->waiters.next;

	assert(ublk_bounce_is_ready(bounce));
	list_del(node);
	*ret_buffer = bounce->free[--bounce->free_count];
	return node;
}

void ublk_bounce_return(struct ublk_bounce *bounce, uint8_t *buffer)
{
	assert(bounce->free_count < UBLK_BOUNCE_COUNT);
	bounce->free[bounce->free_count++] = buffer;
}
