/* Batch buffers: where the payloads of small writes are copied once, with their headers, for all legs of a set.
 *
 * A fixed pool; a buffer goes back when every leg has sent or dropped it. Last returned, first taken: a quiet volume
 * touches few of them. Data thread only; no allocation after batch_pool_init().
 */
#ifndef GATEWAY_DRIVERS_BATCH_H
#define GATEWAY_DRIVERS_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/limits.h"

/* 6 MiB: the largest payload copied in pieces takes 4, and a set of legs rarely has more than 3 in flight. */
#define BATCH_COUNT 24u

struct batch {
	uint8_t *bytes;	     /* BATCH_BYTES_MAX */
	uint32_t used_bytes; /* WRITE frames with payloads; or a piece of one payload */
	unsigned refs;	     /* legs that still need it */
	unsigned write_count;
	bool is_open; /* no leg has taken it, more writes may be added */
	unsigned set;
	uint64_t legs;
};

struct batch_pool {
	uint8_t *memory;
	struct batch batches[BATCH_COUNT];
	uint16_t free[BATCH_COUNT]; /* a stack of indices */
	unsigned free_count;
	uint16_t open[BATCH_COUNT]; /* open batches, in no order */
	unsigned open_count;
};

/* 0 or -ENOMEM. */
int batch_pool_init(struct batch_pool *pool) must_check;
void batch_pool_fini(struct batch_pool *pool);

/* A buffer of `legs`, referenced once for each; closed. NULL when all are in use. */
struct batch *batch_take(struct batch_pool *pool, unsigned set, uint64_t legs);
/* Writes of (set, legs) may be added from now on, until batch_close(). */
void batch_open(struct batch_pool *pool, struct batch *batch);
/* The open batch of exactly these legs that has `bytes` to spare, or NULL; one without room is closed on the way. */
struct batch *batch_find_open(struct batch_pool *pool, unsigned set, uint64_t legs, uint32_t bytes);
void batch_close(struct batch_pool *pool, struct batch *batch);
/* One leg is done with it. */
void batch_put(struct batch_pool *pool, struct batch *batch);
/* Nobody was given it: back to the pool whatever its references. */
void batch_discard(struct batch_pool *pool, struct batch *batch);

uint16_t batch_index(const struct batch_pool *pool, const struct batch *batch);

#endif
