/* The pool of batch buffers and the table of open batches. Step 4 of a small write's path: peer_write.c fills a batch,
 * lane_send.c sends it to each leg and puts it back. Knows nothing of frames, sockets or the engine. */
#include "gateway/drivers/batch.h"

#include <errno.h>
#include <sys/mman.h>

int batch_pool_init(struct batch_pool *pool)
{
	void *memory =
		mmap(NULL, BATCH_COUNT * BATCH_BYTES_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	pool->memory = memory;
	pool->open_count = 0;
	pool->free_count = BATCH_COUNT;
	for (unsigned i = 0; i < BATCH_COUNT; i++) {
		pool->batches[i] = (struct batch){.bytes = pool->memory + i * BATCH_BYTES_MAX};
		pool->free[i] = (uint16_t)(BATCH_COUNT - 1 - i);
	}
	return 0;
}

void batch_pool_fini(struct batch_pool *pool)
{
	if (pool->memory)
		munmap(pool->memory, BATCH_COUNT * BATCH_BYTES_MAX);
	pool->memory = NULL;
}

uint16_t batch_index(const struct batch_pool *pool, const struct batch *batch)
{
	return (uint16_t)(batch - pool->batches);
}

struct batch *batch_take(struct batch_pool *pool, unsigned set, uint64_t legs)
{
	struct batch *batch;

	if (!pool->free_count)
		return NULL;
	batch = &pool->batches[pool->free[--pool->free_count]];
	batch->used_bytes = 0;
	batch->write_count = 0;
	batch->refs = (unsigned)__builtin_popcountll(legs);
	batch->is_open = false;
	batch->set = set;
	batch->legs = legs;
	return batch;
}

void batch_open(struct batch_pool *pool, struct batch *batch)
{
	assert(!batch->is_open);
	batch->is_open = true;
	pool->open[pool->open_count++] = batch_index(pool, batch);
}

void batch_close(struct batch_pool *pool, struct batch *batch)
{
	unsigned i = 0;

	if (!batch->is_open)
		return;
	batch->is_open = false;
	while (pool->open[i] != batch_index(pool, batch))
		i++;
	pool->open[i] = pool->open[--pool->open_count];
}

struct batch *batch_find_open(struct batch_pool *pool, unsigned set, uint64_t legs, uint32_t bytes)
{
	for (unsigned i = 0; i < pool->open_count; i++) {
		struct batch *batch = &pool->batches[pool->open[i]];

		if (batch->set != set || batch->legs != legs)
			continue;
		if (batch->used_bytes + bytes <= BATCH_BYTES_MAX)
			return batch;
		batch_close(pool, batch);
		return NULL;
	}
	return NULL;
}

void batch_put(struct batch_pool *pool, struct batch *batch)
{
	assert(batch->refs > 0);
	if (--batch->refs == 0)
		batch_discard(pool, batch);
}

void batch_discard(struct batch_pool *pool, struct batch *batch)
{
	batch_close(pool, batch);
	batch->refs = 0;
	assert(pool->free_count < BATCH_COUNT);
	pool->free[pool->free_count++] = batch_index(pool, batch);
}
