/* The disk of one replica-server, seen through struct store: what is in the page cache, what is durable, and what a
 * power loss makes of the difference.
 *
 * Unsynced sectors are kept, lost, or (in the middle of a block of 4096) torn, each by itself; superblock and stamp
 * slots in flight are torn or damaged. A failed fsync is reported once, and then the pages count as clean.
 */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "replica-server/core/stamps.h"
#include "replica-server/core/store.h"
#include "replica-server/core/superblock.h"
#include "tests/sim/geometry.h"

#define SIM_SECTOR_BYTES 512u
#define SIM_STAMPS_BYTES (2u * STAMPS_BLOCK_BYTES) /* header and one block: up to 1022 regions */

struct world;
struct server;

/* Place of a write among all writes of a set: epoch and wseq. */
static inline uint64_t disk_seq(uint32_t epoch, uint64_t wseq)
{
	return (uint64_t)epoch << 32 | (wseq & UINT32_MAX);
}

struct disk_block {
	uint64_t cache_seq, durable_seq; /* of the write whose bytes they are */
	uint64_t durable_max;		 /* highest that was ever durable */
	uint64_t applied_seq;		 /* highest that was ever in the cache */
	uint64_t life_seq;		 /* highest since the process started: its list must know of it */
	uint64_t effect_no;		 /* of the operation whose effect it shows */
	bool is_dirty;
	bool is_cut_off;   /* the file was truncated here */
	bool is_forgotten; /* a failed fsync left it clean in the cache and not on the disk */
};

struct disk {
	struct store store;
	struct list inflight; /* struct store_op, in order of submission */
	uint64_t effects;     /* so far */
	uint64_t sync_no;     /* effects before the youngest running sync was submitted */
	unsigned syncs;
	uint64_t file_end; /* of the data file: reads beyond it are short */
	uint64_t slow_until_ns;
	unsigned fail_writes, fail_reads, fail_space, fail_syncs; /* that many operations still */
	struct disk_block blocks[SIM_BLOCKS_MAX];
	uint8_t *cache, *durable; /* SIM_BLOCKS_MAX blocks of up to BLOCK_BYTES_MAX */
	/* Always written durably, so that only a write in flight can be torn. */
	uint8_t *superblock; /* SUPERBLOCK_FILE_BYTES */
	uint8_t stamps[SIM_STAMPS_BYTES];
	/* Of the directory that was lost. */
	struct disk_block old_blocks[SIM_BLOCKS_MAX];
	uint8_t *old_cache, *old_durable, *old_superblock;
	uint8_t old_stamps[SIM_STAMPS_BYTES];
	uint64_t old_file_end;
};

void disk_init(struct disk *disk);
void disk_fini(struct disk *disk);
void disk_reset(struct world *world, struct server *server);
/* The metadata of a new directory. */
void disk_create(struct world *world, struct server *server, uint64_t incompat);
/* Its directory is gone, and a blank one is there; nothing may be in flight. */
void disk_replace(struct world *world, struct server *server);
/* A blank directory held some blocks' bytes from the start, zeros, and was found equal in them: they are those writes'.
 */
void disk_found_equal(struct world *world, struct server *server, const struct server *source);
/* The directory before the last disk_replace() takes the place of this one, or goes back again. */
void disk_swap(struct server *server);

void disk_submit(struct world *world, struct server *server, struct store_op *op);
/* The operation's time has come: takes effect, is reported. */
void disk_complete(struct world *world, struct server *server, struct store_op *op);
/* Only its effect, because nobody is there to be told yet. */
void disk_take_effect(struct world *world, struct server *server, struct store_op *op);
/* The process is gone: operations in flight happen or do not. */
void disk_drop_inflight(struct world *world, struct server *server);
void disk_power_loss(struct world *world, struct server *server);
/* The data file ends at `offset` from now on. */
void disk_truncate(struct world *world, struct server *server, uint64_t offset);

/* Of the directory that has the vote, whichever one the server was started with. */
const struct disk_block *disk_voters_block(const struct server *server, unsigned block);
/* Does it hold change `seq` of the block, or something later, or (after a copy) the same bytes as who does? `durable`:
 * on the disk, or was there once. */
bool disk_holds(struct world *world, struct server *server, unsigned block, uint64_t seq, bool durable);
bool disk_are_equal(const struct world *world, const struct server *a, const struct server *b, unsigned block);
/* A process starts: what a failed fsync left clean in the cache only is read from the disk. `is_marked`: its superblock
 * tells of that fsync, so that it counts as a power loss. */
void disk_reread(struct world *world, struct server *server, bool is_marked);
/* A bit flips in what can be repaired: the older superblock slot, or the stamps. */
void disk_flip_bit(struct world *world, struct server *server);

/* What a starting server reads, and what a power loss now would leave. 0 or superblock_choose()'s error. */
int disk_read_superblock(const struct disk *disk, struct superblock *ret) must_check;
void disk_write_superblock(struct disk *disk, struct superblock *sb);

#endif
