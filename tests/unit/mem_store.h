/* The store seam in memory: operations wait until the test completes them, in the order and with the result it wants.
 */
#ifndef TESTS_UNIT_MEM_STORE_H
#define TESTS_UNIT_MEM_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "replica-server/core/store.h"

struct mem_store {
	struct store store;
	struct list pending; /* struct store_op, in order of submit */
	unsigned pending_count;
	uint8_t *data;
	uint64_t data_bytes; /* shrink it: the file was truncated */
	uint8_t *superblock, *stamps;
	uint64_t stamps_bytes;
	unsigned buf_limit, bufs_out;
	unsigned sync_count, durable_count;
};

void mem_store_init(struct mem_store *mem, uint64_t set_bytes);
void mem_store_fini(struct mem_store *mem);

/* The n-th pending operation, oldest first; NULL when there are fewer. */
struct store_op *mem_store_pending(struct mem_store *mem, unsigned nth);
/* The oldest pending operation of a kind; NULL: none. */
struct store_op *mem_store_find(struct mem_store *mem, enum store_kind kind);
/* Performs (error 0) or fails it, and calls done(). */
void mem_store_complete(struct mem_store *mem, struct store_op *op, int error);
/* Completes everything, also what that causes, oldest first. Returns how many. */
unsigned mem_store_run(struct mem_store *mem);

#endif
