/* The stamp table: for each region of REGION_BYTES the gen of its last write while a replica was out (R4).
 *
 * In memory a u32 a region; on disk one header block and blocks of 1022 stamps, each with its own index and CRC32C.
 * A block that was never written is all zeros (a hole). A damaged block says STAMP_UNKNOWN for all its regions: they
 * count as changed, so damage costs copying, never data. Stamps only grow. Several raises share one durable write
 * (group commit): a raise returns the cycle to wait for. Thread: the replica's. Bytes on disk: docs/on-disk.md.
 */
#ifndef REPLICA_SERVER_CORE_STAMPS_H
#define REPLICA_SERVER_CORE_STAMPS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/uuid.h"
#include "replica-server/core/store.h"

#define STAMPS_VERSION 1u
#define STAMPS_BLOCK_BYTES 4096u
#define STAMPS_PER_BLOCK 1022u
#define STAMPS_WRITE_BLOCKS 64u /* in one write; a set of 16 TiB has 16417 */
#define STAMP_UNKNOWN UINT32_MAX

/* Identity that the file's header carries and a reader checks. */
struct stamps_header {
	struct uuid set_uuid;
	struct uuid replica_uuid;
	uint64_t region_count;
};

uint64_t stamps_region_count(uint64_t set_bytes);
uint64_t stamps_block_count(uint64_t region_count); /* without the header block */
uint64_t stamps_file_bytes(uint64_t region_count);

void stamps_header_encode(const struct stamps_header *header, uint8_t out[STAMPS_BLOCK_BYTES]);
/* 0, -EBADMSG damaged, -EPROTONOSUPPORT newer format; `*ret_reason` static text. */
int stamps_header_decode(const uint8_t in[STAMPS_BLOCK_BYTES], struct stamps_header *ret, const char **ret_reason)
	must_check;
/* `gens`: STAMPS_PER_BLOCK values. */
void stamps_block_encode(uint64_t block_idx, const uint32_t *gens, uint8_t out[STAMPS_BLOCK_BYTES]);
/* 0, or -EBADMSG and all `ret` are STAMP_UNKNOWN. */
int stamps_block_decode(uint64_t block_idx, const uint8_t in[STAMPS_BLOCK_BYTES], uint32_t ret[STAMPS_PER_BLOCK])
	must_check;

struct stamps {
	uint64_t region_count;
	uint64_t block_count;
	uint32_t *gens;	       /* block_count * STAMPS_PER_BLOCK */
	uint64_t *block_cycle; /* the cycle that makes the block's newest stamp durable */
	uint64_t *dirty;       /* bitmap: blocks of the cycle being gathered */
	uint64_t dirty_count;
	uint64_t open_cycle;	/* raises join this one */
	uint64_t writing_cycle; /* 0: nothing is being written */
	uint64_t durable_cycle;
	uint64_t *writing;     /* bitmap: blocks of the cycle being written */
	uint64_t writing_next; /* where the search for the next one goes on */
	uint64_t writing_left;
	bool failed; /* a write failed: nothing becomes durable any more */
	struct store *store;
	struct store_op op;
	uint8_t *image; /* of `image_blocks`, aligned */
	uint64_t image_blocks;
	void (*advanced)(struct stamps *stamps); /* durable_cycle grew, or `failed` */
};

/* Takes memory for `set_bytes`. `store` is borrowed until stamps_fini(). 0 or -ENOMEM. */
int stamps_init(struct stamps *stamps, uint64_t set_bytes, struct store *store, void (*advanced)(struct stamps *stamps))
	must_check;
/* Nothing may be in flight. Accepts a zeroed struct. */
void stamps_fini(struct stamps *stamps);

/* At load, per block read from the file; returns false when it was damaged. */
bool stamps_load_block(struct stamps *stamps, uint64_t block_idx, const uint8_t in[STAMPS_BLOCK_BYTES]);

/* Raises the stamps of all regions that [offset, offset + length) touches to `gen`. The range is inside the set.
 * Returns the cycle after which they are durable: wait while it is above stamps->durable_cycle. */
uint64_t stamps_raise(struct stamps *stamps, uint64_t offset, uint64_t length, uint32_t gen);
/* The same by region: [first, first + count). count > 0. */
uint64_t stamps_raise_regions(struct stamps *stamps, uint64_t first, uint64_t count, uint32_t gen);
/* Starts writing what has been gathered, if nothing is being written. Call after a turn's raises. */
void stamps_commit(struct stamps *stamps);
uint32_t stamps_get(const struct stamps *stamps, uint64_t region_idx);

#endif
