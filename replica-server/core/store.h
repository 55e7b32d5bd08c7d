/* The seam to the files of one replica: asynchronous operations, completed by a call of op->done.
 *
 * Two implementations: drivers/store_file.c (io_uring) and tests/unit/mem_store.c (memory); the simulator has its own.
 * An operation's struct and memory belong to the store from submit() until done(); done() never runs inside submit().
 * Operations may complete in any order; whoever needs an order waits. But the failure to make data durable, which may
 * concern any of them, is told before the success of another operation that was to make some durable beside it. One
 * thread.
 */
#ifndef REPLICA_SERVER_CORE_STORE_H
#define REPLICA_SERVER_CORE_STORE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"

enum store_kind {
	STORE_READ,   /* data file; `bytes` may fall short at the end of the file */
	STORE_WRITE,  /* data file; all bytes or an error */
	STORE_DIGEST, /* data file, length up to REGION_BYTES: DIGEST_BYTES of SHA-256 into `data` for each piece of
		       * DIGEST_PIECE_BYTES; what lies beyond the end of the file counts as zeros */
	STORE_SYNC,   /* data file: everything completed before submit is durable when done */
	STORE_PUNCH,  /* data file: the range reads as zeros, its space is given back where aligned */
	STORE_ZERO,   /* data file: the range reads as zeros, its space stays allocated where possible */
	STORE_WRITE_SUPERBLOCK, /* superblock file at `offset`, always durable */
	STORE_WRITE_STAMPS,	/* stamps file at `offset`, always durable */
};

/* Of a negative errno: an operation failed for want of space, or of the right to use any. */
static inline bool store_is_want_of_space(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EFBIG || error == -EROFS;
}

struct store_op {
	enum store_kind kind;
	bool durable;	 /* WRITE, PUNCH, ZERO: durable when done */
	uint64_t offset; /* bytes */
	uint64_t length;
	uint8_t *data; /* READ and writes; from buf_get() or page-aligned. DIGEST: any memory */
	void (*done)(struct store_op *op);
	/* Result. */
	int error;	/* 0 or -errno; want of space: of this operation, nothing durable was lost for it */
	uint64_t bytes; /* READ: how many are in `data` */
	/* The store's own. */
	struct list node;
	uint64_t progress;
	unsigned stage;
	uint64_t ticket;
	uint8_t *scratch;    /* DIGEST: a piece of the data */
	struct store *store; /* DIGEST: while it waits for one */
};

/* Memory for a payload, suited to the store (aligned; perhaps registered with a ring). */
struct io_buf {
	uint8_t *data;
	uint32_t cap;
};

struct store;

struct store_ops {
	void (*submit)(struct store *store, struct store_op *op);
	/* At least `bytes` (<= IO_BYTES_MAX); NULL when the bounded pool is used up: ask again after a put. */
	struct io_buf *(*buf_get)(struct store *store, uint32_t bytes);
	void (*buf_put)(struct store *store, struct io_buf *buf);
};

struct store {
	const struct store_ops *ops;
};

#endif
