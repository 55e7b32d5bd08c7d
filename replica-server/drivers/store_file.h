/* The store seam over files and io_uring (core/store.h). One queue a data thread, one store_file a replica.
 *
 * A replica's data file has one descriptor for all its data: O_DIRECT where the file system takes the volume's block
 * size, else buffered. Never both: a buffered write of part of a page and a direct write of the rest would race in the
 * page cache. On tmpfs the calls are made inline: they cost less than a worker thread's wake-up. Owned by the data
 * thread.
 */
#ifndef REPLICA_SERVER_DRIVERS_STORE_FILE_H
#define REPLICA_SERVER_DRIVERS_STORE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/list.h"
#include "common/uring.h"
#include "replica-server/core/store.h"
#include "replica-server/drivers/buffers.h"

struct store_counters {
	uint64_t writes, reads, punches, zeroes;
	uint64_t syncs;		 /* fdatasync of data files */
	uint64_t durable_writes; /* RWF_DSYNC on data files */
	uint64_t meta_writes;	 /* superblock and stamps, each durable */
	uint64_t digests;
	uint64_t errors;
};

#define DIGESTS_AT_ONCE 4u /* of one data thread; each reads and digests a piece at a time, between other work */

/* Operations in flight of one data thread, and those finished but not yet told. */
struct store_queue {
	struct ring *ring;
	struct buffers *buffers;
	struct store_op **inflight; /* by the number in user_data */
	struct store_file **owner;
	uint32_t *free;
	uint32_t cap, free_count;
	struct list finished;
	uint8_t *zeros;	     /* IO_BYTES_MAX of them */
	struct list digests; /* that wait for scratch memory */
	uint8_t *scratch_memory, *scratch[DIGESTS_AT_ONCE];
	uint32_t scratch_count;
	struct store_counters counters;
};

/* `cap`: most operations in flight at once. 0 or -ENOMEM. */
int store_queue_init(struct store_queue *queue, struct ring *ring, struct buffers *buffers, uint32_t cap) must_check;
void store_queue_fini(struct store_queue *queue);
/* A completion whose user_data kind is UD_STORE. */
void store_queue_on_cqe(struct store_queue *queue, const struct io_uring_cqe *cqe);
/* Calls done() of what has finished; true when there was something. */
bool store_queue_run(struct store_queue *queue);

struct store_file {
	struct store store;
	struct store_queue *queue;
	int data_fd, superblock_fd, stamps_fd; /* borrowed from the replica's directory */
	uint32_t direct_bytes;		       /* alignment that O_DIRECT asks for; 0: buffered */
	bool is_inline;			       /* make the calls at once instead of through the ring */
	/* Operations that make cached data durable: under way, in the order of their tickets; and successful, until all
	 * that ran beside them are over. */
	struct list durables, successes;
	uint64_t tickets;
};

void store_file_init(struct store_file *file, struct store_queue *queue, int data_fd, int superblock_fd, int stamps_fd);

#endif
