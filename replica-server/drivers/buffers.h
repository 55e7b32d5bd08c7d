/* The bounded pool of page-aligned payload buffers of one data thread: three sizes in one mapping, so that one
 * registration with the ring covers all. Nothing is allocated after init. One thread. */
#ifndef REPLICA_SERVER_DRIVERS_BUFFERS_H
#define REPLICA_SERVER_DRIVERS_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"
#include "common/list.h"
#include "common/uring.h"
#include "replica-server/core/store.h"

#define BUFFER_CLASS_COUNT 3u

struct buffer {
	struct io_buf buf; /* first: what the core sees */
	unsigned class_idx;
	struct list node;
};

struct buffers {
	uint8_t *memory;
	size_t memory_bytes;
	struct buffer *all;
	unsigned count;
	struct list free[BUFFER_CLASS_COUNT];
	bool registered; /* as fixed buffer 0 of the thread's ring */
};

/* About `budget_bytes` of memory, at least one buffer of the largest size. 0 or -ENOMEM. */
int buffers_init(struct buffers *buffers, size_t budget_bytes) must_check;
void buffers_fini(struct buffers *buffers);
/* Pins the pool for WRITE_FIXED and READ_FIXED. 0, or -errno and everything works without. */
int buffers_register(struct buffers *buffers, struct ring *ring) must_check;

/* NULL when nothing of that size or larger is free. */
struct io_buf *buffers_get(struct buffers *buffers, uint32_t bytes);
void buffers_put(struct buffers *buffers, struct io_buf *buf);

#endif
