/* What the applications have seen: every write with a number of its own, and for each block the register's history.
 *
 * A block is *tainted* while today's core cannot promise what is in it: after a fault it has no answer to yet (a write
 * that failed or died with its host and is not reconciled, a replica that lost what was never flushed). A tainted block
 * must still hold something that was written there. It is whole again with the next write that reaches every replica.
 * With options.reconcile and options.eviction nothing is tainted.
 */
#ifndef TESTS_SIM_HISTORY_H
#define TESTS_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/geometry.h"
#include "tests/sim/zones.h"

#define SIM_WRITES_MAX 4096u
#define SIM_POISON 0xa5u /* fills memory that nobody may read */

struct world;

#define SIM_NO_OWNER UINT32_MAX

enum write_state { WRITE_PENDING, WRITE_DONE, WRITE_UNKNOWN };

struct write_info {
	enum write_state state;
	uint64_t blocks;
	uint64_t start, finish; /* ticks; UNKNOWN: when it could no longer take effect, ZONE_NEVER before that */
	unsigned variants;	/* how often the buffer was changed, and 1 */
	bool is_zero;
	unsigned owner; /* the gateway whose device has it; SIM_NO_OWNER: the device is gone */
};

struct block_history {
	struct zone_op *ops;
	size_t count, capacity;
	struct zone_op *zero_reads; /* of zeros: any of several writes may have been seen */
	size_t zero_count, zero_capacity;
	bool is_tainted;
	uint64_t valid_from; /* earlier reads are not judged */
	uint64_t whole_from; /* earlier changes, by disk_seq(), may be lost */
};

struct history {
	struct write_info writes[SIM_WRITES_MAX]; /* number 0: the zeros of the beginning */
	uint32_t write_count;
	struct block_history blocks[SIM_BLOCKS_MAX];
	struct zone_op *sorted;
	struct zone *zones;
	size_t scratch_capacity;
	uint64_t completed_seq[SIM_BLOCKS_MAX]; /* of the last completed change, by block */
};

void history_fini(struct history *history);
void history_reset(struct world *world);

/* Of a WRITE or of zeros. */
uint32_t history_write_begins(struct world *world, unsigned owner, uint64_t blocks, bool is_zero);
void history_write_ends(struct world *world, uint32_t write_no);
/* It took effect before now or never. */
void history_write_unknown(struct world *world, uint32_t write_no);
/* `owner` has attached: what is pending of others took effect before now or never. */
void history_close_writes(struct world *world, unsigned owner);
/* The device of `owner` is gone with its requests. */
void history_disown(struct world *world, unsigned owner);
void history_read_ends(struct world *world, unsigned block, const uint8_t *bytes, uint64_t start);

void history_taint(struct world *world, unsigned block);
/* `write_no`, by its number on the disks `seq`, has completed and is on every replica. */
void history_heal(struct world *world, unsigned block, uint32_t write_no, uint64_t seq);
/* Is change `seq` something that the core must still have? */
bool history_keeps(const struct world *world, unsigned block, uint64_t seq);

/* What a block holds after write `write_no`, changed `variant` times since. */
void history_fill(const struct world *world, uint32_t write_no, unsigned variant, unsigned block, uint8_t *out);

/* All blocks, at the end. */
void history_check(struct world *world);

#endif
