/* What the applications have seen: every write with a number of its own, and for each block the register's history.
 *
 * A recorded loss (R3, R8) ends the history of its set's blocks: each goes on with any value that was not replaced by a
 * flushed one, decided once. A block is *tainted* while nobody can promise what is in it: its disk lied (a file that
 * was cut off, the only fsync that failed), or a power loss tore a block of several sectors whose loss is recorded. It
 * must still hold something that was written there, and is whole again with the next write that reaches every replica.
 */
#ifndef TESTS_SIM_HISTORY_H
#define TESTS_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/geometry.h"
#include "tests/sim/zones.h"

#define SIM_WRITES_MAX 4096u
#define SIM_SENT_KEPT 256u
#define SIM_POISON 0xa5u /* fills memory that nobody may read */

struct world;

#define SIM_NO_OWNER UINT32_MAX

struct write_info {
	bool is_done; /* it completed */
	uint64_t blocks;
	uint64_t start;
	uint64_t finish[SIM_SETS_MAX]; /* ticks: when it ended or could no longer take effect; ZONE_NEVER before that */
	unsigned variants;	       /* how often the buffer was changed, and 1 */
	bool is_zero;
	unsigned owner; /* the gateway whose device has it; SIM_NO_OWNER: the device is gone */
};

struct block_history {
	struct zone_op *ops;
	size_t count, capacity;
	struct zone_op *zero_reads; /* of zeros: any of several writes may have been seen */
	size_t zero_count, zero_capacity;
	bool is_tainted;
	bool may_be_torn;      /* by a power loss: a recorded loss, or a write that had not completed */
	uint64_t torn_seq;     /* ... by disk_seq(): only a later one makes it whole */
	uint64_t torn_until;   /* reads that began earlier may have seen it torn */
	uint64_t valid_from;   /* earlier reads are not judged */
	uint64_t whole_from;   /* earlier changes, by disk_seq(), may be lost */
	uint64_t healed_start; /* of the write that ended a taint; 0: there was none */
	uint64_t completed_start, flushed_start; /* of the latest write that completed, or was made durable */
};

struct history {
	struct write_info writes[SIM_WRITES_MAX]; /* number 0: the zeros of the beginning */
	uint32_t write_count;
	struct block_history blocks[SIM_BLOCKS_MAX];
	struct zone_op *sorted;
	struct zone *zones;
	size_t scratch_capacity;
	uint64_t completed_seq[SIM_BLOCKS_MAX]; /* of the last completed change, by block */
	uint64_t flushed_seq[SIM_BLOCKS_MAX];	/* ... that a completed FLUSH covers */
	/* Which write was sent with which number, lately. */
	struct {
		uint64_t seq;
		uint32_t write_no;
	} sent[SIM_BLOCKS_MAX][SIM_SENT_KEPT];
	uint32_t sent_count[SIM_BLOCKS_MAX];
};

void history_fini(struct history *history);
void history_reset(struct world *world);

/* Of a WRITE or of zeros. */
uint32_t history_write_begins(struct world *world, unsigned owner, uint64_t blocks, bool is_zero);
void history_write_ends(struct world *world, uint32_t write_no);
/* It failed: nobody waits for it any more, and it takes effect before the next attach or never. */
void history_write_failed(struct world *world, uint32_t write_no);
/* `owner` has attached set `set`: what is pending of others took effect there before now or never. */
void history_close_writes(struct world *world, unsigned set, unsigned owner);
/* The device of `owner` is gone with its requests. */
void history_disown(struct world *world, unsigned owner);
/* What had completed by `floor` (history_completed()), by its number `seq`, is durable. */
void history_flushed(struct world *world, unsigned block, uint64_t floor, uint64_t seq);
/* A loss is recorded by the attach of `epoch`. */
void history_lose(struct world *world, unsigned set, uint32_t epoch);
void history_read_ends(struct world *world, unsigned block, const uint8_t *bytes, uint64_t start);

void history_taint(struct world *world, unsigned block);
/* Change `seq` completes: what it replaced is not torn any more. */
void history_whole(struct world *world, unsigned block, uint64_t seq);
/* A power loss tore change `seq` on one disk. Nobody was told that it is there, and unless it completes yet, nobody can
 * say what is: no disk keeps more than its sectors whole. */
void history_torn(struct world *world, unsigned block, uint64_t seq);
/* `write_no`, by its number on the disks `seq`, has completed and is on every replica. */
void history_heal(struct world *world, unsigned block, uint32_t write_no, uint64_t seq);
/* Is change `seq` something that the core must still have? */
bool history_keeps(const struct world *world, unsigned block, uint64_t seq);

void history_sent(struct world *world, unsigned block, uint64_t seq, uint32_t write_no);
/* Are these the bytes of the write that was sent as `seq`? False also when it was too long ago. */
bool history_is_sent(const struct world *world, unsigned block, uint64_t seq, const uint8_t *bytes);
/* Are they what a power loss, or a copy after it, left of a change later than `seq`, which never completed? */
bool history_is_torn(const struct world *world, unsigned block, uint64_t seq, const uint8_t *bytes);

/* What a block holds after write `write_no`, changed `variant` times since. */
void history_fill(const struct world *world, uint32_t write_no, unsigned variant, unsigned block, uint8_t *out);

/* Is what was seen of it legal? */
void history_check_block(struct world *world, unsigned block);
/* All blocks, at the end. */
void history_check(struct world *world);

#endif
