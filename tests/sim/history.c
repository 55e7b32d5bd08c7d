/* Histories of blocks, and the judgement over them. Knows values and times; neither replicas nor requests. */
#include "tests/sim/history.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

/* What stands in every word of a block: write number (48) | variant (8) | block and 1 (8). Zeros are zeros. */
static uint64_t word_of(uint32_t write_no, unsigned variant, unsigned block)
{
	return (uint64_t)write_no << 16 | (uint64_t)(variant & 0xff) << 8 | (block + 1);
}

void history_fini(struct history *history)
{
	for (unsigned i = 0; i < SIM_BLOCKS_MAX; i++) {
		free(history->blocks[i].ops);
		free(history->blocks[i].zero_reads);
	}
	free(history->sorted);
	free(history->zones);
}

static void push(struct zone_op **ops, size_t *count, size_t *capacity, const struct zone_op *op)
{
	if (*count == *capacity) {
		*capacity = *capacity ? 2 * *capacity : 64;
		*ops = realloc(*ops, *capacity * sizeof(**ops));
		if (!*ops)
			abort();
	}
	(*ops)[(*count)++] = *op;
}

static void push_op(struct block_history *it, struct zone_op op)
{
	push(&it->ops, &it->count, &it->capacity, &op);
}

static unsigned set_of(const struct world *world, unsigned block)
{
	return world->geometry.set_of[block];
}

/* Others may have taken effect before it and end later: it keeps its own times. */
static void begin_again(struct world *world, unsigned block, uint32_t write_no, uint64_t now)
{
	struct block_history *it = &world->history.blocks[block];
	const struct write_info *write = &world->history.writes[write_no];

	it->count = it->zero_count = 0;
	it->is_tainted = it->may_be_torn = false;
	it->valid_from = now;
	it->torn_until = it->torn_seq = 0;
	push_op(it, (struct zone_op){
			    .value = write_no,
			    .start = write->start,
			    .finish = write->finish[set_of(world, block)],
			    .is_write = true,
		    });
}

void history_reset(struct world *world)
{
	struct history *history = &world->history;

	history->write_count = 1;
	history->writes[0] = (struct write_info){.is_done = true, .blocks = UINT64_MAX, .is_zero = true};
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		begin_again(world, i, 0, 0);
		history->blocks[i].whole_from = history->blocks[i].healed_start = 0;
		history->blocks[i].completed_start = history->blocks[i].flushed_start = 0;
	}
	memset(history->completed_seq, 0, sizeof(history->completed_seq));
	memset(history->flushed_seq, 0, sizeof(history->flushed_seq));
	memset(history->sent, 0, sizeof(history->sent[0]) * world->geometry.blocks);
	memset(history->sent_count, 0, sizeof(history->sent_count));
}

uint32_t history_write_begins(struct world *world, unsigned owner, uint64_t blocks, bool is_zero)
{
	struct history *history = &world->history;
	struct write_info *write = &history->writes[history->write_count];

	assert(history->write_count < SIM_WRITES_MAX);
	*write = (struct write_info){
		.blocks = blocks,
		.start = ++world->tick,
		.variants = 1,
		.is_zero = is_zero,
		.owner = owner,
	};
	for (unsigned i = 0; i < SIM_SETS_MAX; i++)
		write->finish[i] = ZONE_NEVER;
	return history->write_count++;
}

/* What the history of each block of a set says of it; a tainted block's says nothing. */
static void record_write(struct world *world, uint32_t write_no, unsigned set, bool is_unknown)
{
	const struct write_info *write = &world->history.writes[write_no];

	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		struct block_history *it = &world->history.blocks[i];

		if (!(write->blocks & 1ull << i) || set_of(world, i) != set || it->is_tainted)
			continue;
		push_op(it, (struct zone_op){
				    .value = write_no,
				    .start = write->start,
				    .finish = write->finish[set],
				    .is_write = true,
				    .is_unknown = is_unknown,
			    });
	}
}

/* It took effect before the set was attached anew, and its answer comes now. */
static void make_known(struct world *world, uint32_t write_no, unsigned set)
{
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		struct block_history *it = &world->history.blocks[i];

		for (size_t j = 0; set_of(world, i) == set && j < it->count; j++) {
			if (it->ops[j].is_write && it->ops[j].value == write_no)
				it->ops[j].is_unknown = false;
		}
	}
}

static void note_completed(struct world *world, uint32_t write_no)
{
	const struct write_info *write = &world->history.writes[write_no];

	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		struct block_history *it = &world->history.blocks[i];

		if (!(write->blocks & 1ull << i))
			continue;
		if (write->start > it->completed_start)
			it->completed_start = write->start;
	}
}

void history_write_ends(struct world *world, uint32_t write_no)
{
	struct write_info *write = &world->history.writes[write_no];

	assert(!write->is_done);
	write->is_done = true;
	for (unsigned i = 0; i < world->geometry.sets; i++) {
		if (write->finish[i] != ZONE_NEVER) {
			make_known(world, write_no, i);
			continue;
		}
		write->finish[i] = ++world->tick;
		record_write(world, write_no, i, false);
	}
	note_completed(world, write_no);
}

void history_write_failed(struct world *world, uint32_t write_no)
{
	world->history.writes[write_no].owner = SIM_NO_OWNER;
}

void history_close_writes(struct world *world, unsigned set, unsigned owner)
{
	for (uint32_t i = 1; i < world->history.write_count; i++) {
		struct write_info *write = &world->history.writes[i];

		if (write->is_done || write->finish[set] != ZONE_NEVER ||
		    (owner != SIM_NO_OWNER && write->owner == owner))
			continue;
		write->finish[set] = ++world->tick;
		record_write(world, i, set, true);
	}
}

void history_disown(struct world *world, unsigned owner)
{
	for (uint32_t i = 1; i < world->history.write_count; i++) {
		if (world->history.writes[i].owner == owner)
			world->history.writes[i].owner = SIM_NO_OWNER;
	}
}

void history_flushed(struct world *world, unsigned block, uint64_t floor, uint64_t seq)
{
	struct block_history *it = &world->history.blocks[block];
	uint64_t *flushed_seq = &world->history.flushed_seq[block];

	*flushed_seq = seq > *flushed_seq ? seq : *flushed_seq;

	it->flushed_start = floor > it->flushed_start ? floor : it->flushed_start;
}

/* Any write that no flushed one had replaced, all at the same time: one of them stays. */
static void lose_block(struct world *world, unsigned block)
{
	struct block_history *it = &world->history.blocks[block];
	uint64_t first = world->tick + 1;

	it->count = it->zero_count = 0;
	world->tick += world->history.write_count;
	for (uint32_t i = 0; i < world->history.write_count; i++) {
		const struct write_info *write = &world->history.writes[i];

		if (!(write->blocks & 1ull << block) || write->finish[set_of(world, block)] < it->flushed_start)
			continue;
		push_op(it, (struct zone_op){
				    .value = i,
				    .start = first + i,
				    .finish = ++world->tick,
				    .is_write = true,
				    .is_unknown = true,
			    });
	}
	it->valid_from = ++world->tick;
	it->completed_start = it->flushed_start;
	it->may_be_torn = world->geometry.block_bytes > SIM_SECTOR_BYTES;
	it->torn_seq = 0;
}

void history_lose(struct world *world, unsigned set, uint32_t epoch)
{
	TRACE(world, "set % goes on with what is left", set);
	world->counters.losses++;
	for (unsigned i = 0; i < world->geometry.in_set_count[set]; i++) {
		unsigned block = world->geometry.in_set[set][i];

		world->history.completed_seq[block] = world->history.flushed_seq[block] = 0;
		world->history.blocks[block].whole_from = (uint64_t)epoch << 32;
		/* What made it whole may be what was lost. */
		if (world->history.blocks[block].healed_start > world->history.blocks[block].flushed_start)
			history_taint(world, block);
		if (world->history.blocks[block].is_tainted)
			continue;
		history_check_block(world, block);
		lose_block(world, block);
		/* Whole again by what comes after: not by an older write that is answered late. */
		world->history.blocks[block].torn_seq = (uint64_t)epoch << 32;
	}
}

void history_taint(struct world *world, unsigned block)
{
	struct block_history *it = &world->history.blocks[block];

	if (it->is_tainted)
		return;
	world->counters.taints++;
	it->is_tainted = true;
	it->completed_start = it->flushed_start = 0;
	TRACE(world, "block % may hold anything now that was ever written to it", block);
}

void history_torn(struct world *world, unsigned block, uint64_t seq)
{
	struct block_history *it = &world->history.blocks[block];

	if (seq <= world->history.completed_seq[block] || world->geometry.block_bytes <= SIM_SECTOR_BYTES)
		return;
	it->may_be_torn = true;
	it->torn_seq = seq > it->torn_seq ? seq : it->torn_seq;
}

/* An older gateway may be told late that an older one had completed. */
void history_whole(struct world *world, unsigned block, uint64_t seq)
{
	struct block_history *it = &world->history.blocks[block];

	if (!it->may_be_torn || seq < it->torn_seq)
		return;
	it->torn_until = world->tick;
	it->may_be_torn = false;
	it->torn_seq = 0;
}

bool history_keeps(const struct world *world, unsigned block, uint64_t seq)
{
	return !world->history.blocks[block].is_tainted && seq >= world->history.blocks[block].whole_from;
}

void history_heal(struct world *world, unsigned block, uint32_t write_no, uint64_t seq)
{
	if (!world->history.blocks[block].is_tainted)
		return;
	begin_again(world, block, write_no, ++world->tick);
	world->history.blocks[block].whole_from = seq;
	world->history.blocks[block].healed_start = world->history.writes[write_no].start;
	TRACE(world, "block % is whole again with write %", block, write_no);
}

void history_fill(const struct world *world, uint32_t write_no, unsigned variant, unsigned block, uint8_t *out)
{
	uint64_t word = world->history.writes[write_no].is_zero ? 0 : word_of(write_no, variant, block);

	for (unsigned i = 0; i < world->geometry.block_bytes; i += 8)
		memcpy(out + i, &word, 8);
}

enum value { VALUE_ZERO, VALUE_WRITE, VALUE_TORN, VALUE_FOREIGN };

static enum value judge_word(const struct world *world, unsigned block, uint64_t word, uint32_t *ret_write)
{
	uint64_t write_no = word >> 16;
	const struct write_info *write;

	if (word == 0)
		return VALUE_ZERO;
	if (write_no >= world->history.write_count || (word & 0xff) != block + 1)
		return VALUE_FOREIGN;
	write = &world->history.writes[write_no];
	if (write->is_zero || !(write->blocks & 1ull << block) || (word >> 8 & 0xff) >= write->variants)
		return VALUE_FOREIGN;
	*ret_write = (uint32_t)write_no;
	return VALUE_WRITE;
}

/* Of one write, though its buffer may have changed while it was sent. */
static enum value judge_block(const struct world *world, unsigned block, const uint8_t *bytes, uint32_t *ret_write)
{
	uint64_t first, word;
	enum value value;
	uint32_t other = 0;

	memcpy(&first, bytes, 8);
	value = judge_word(world, block, first, ret_write);
	for (unsigned i = 8; i < world->geometry.block_bytes && value != VALUE_FOREIGN; i += 8) {
		memcpy(&word, bytes + i, 8);
		if (word == first)
			continue;
		if (judge_word(world, block, word, &other) == VALUE_FOREIGN)
			return VALUE_FOREIGN;
		if (value != VALUE_WRITE || word == 0 || other != *ret_write)
			value = VALUE_TORN;
	}
	return value;
}

void history_sent(struct world *world, unsigned block, uint64_t seq, uint32_t write_no)
{
	struct history *history = &world->history;
	unsigned i = history->sent_count[block]++ % SIM_SENT_KEPT;

	history->sent[block][i].seq = seq;
	history->sent[block][i].write_no = write_no;
}

bool history_is_sent(const struct world *world, unsigned block, uint64_t seq, const uint8_t *bytes)
{
	const struct history *history = &world->history;
	uint32_t write_no = 0;
	enum value value = judge_block(world, block, bytes, &write_no);
	bool is_sent = false;

	for (unsigned i = 0; i < SIM_SENT_KEPT && !is_sent; i++) {
		uint32_t sent = history->sent[block][i].write_no;

		if (history->sent[block][i].seq < seq)
			continue;
		is_sent =
			value == VALUE_ZERO ? history->writes[sent].is_zero : value == VALUE_WRITE && write_no == sent;
	}
	return is_sent;
}

bool history_is_torn(const struct world *world, unsigned block, uint64_t seq, const uint8_t *bytes)
{
	const struct block_history *it = &world->history.blocks[block];
	uint32_t write_no = 0;

	return it->may_be_torn && it->torn_seq > seq && judge_block(world, block, bytes, &write_no) == VALUE_TORN;
}

void history_read_ends(struct world *world, unsigned block, const uint8_t *bytes, uint64_t start)
{
	struct block_history *it = &world->history.blocks[block];
	struct zone_op read = {.start = start, .finish = ++world->tick};
	uint32_t write_no = 0;
	enum value value = judge_block(world, block, bytes, &write_no);

	if (value == VALUE_TORN && it->may_be_torn)
		history_taint(world, block);
	/* A read that began before the block became whole may have been answered then. */
	if (value == VALUE_TORN && !it->is_tainted && (start < it->valid_from || start < it->torn_until))
		return;
	if (value == VALUE_FOREIGN || (value == VALUE_TORN && !it->is_tainted))
		world_violation(world, "a read of block %u returned %s (%02x%02x%02x%02x%02x%02x%02x%02x...)", block,
				value == VALUE_TORN ? "parts of several writes" : "what was never written there",
				bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]);
	if (it->is_tainted || start < it->valid_from)
		return;
	world->counters.reads_checked++;
	read.value = write_no;
	if (value == VALUE_ZERO)
		push(&it->zero_reads, &it->zero_count, &it->zero_capacity, &read);
	else
		push_op(it, read);
}

/* ---- the end ---- */

static void scratch_for(struct history *history, size_t count)
{
	if (count <= history->scratch_capacity)
		return;
	history->scratch_capacity = 2 * count;
	history->sorted = realloc(history->sorted, history->scratch_capacity * sizeof(*history->sorted));
	history->zones = realloc(history->zones, history->scratch_capacity * sizeof(*history->zones));
	if (!history->sorted || !history->zones)
		abort();
}

/* A zero write that was replaced before the read began cannot be what it saw. */
static uint64_t replaced_before(const struct zone_op *ops, size_t count, uint64_t start)
{
	uint64_t latest = 0;

	for (size_t i = 0; i < count; i++) {
		if (ops[i].is_write && !ops[i].is_unknown && ops[i].finish < start && ops[i].start > latest)
			latest = ops[i].start;
	}
	return latest;
}

/* One candidate: the read is of that write. Several: it cannot be told which, and the read is left out. None: wrong. */
static void add_zero_read(struct world *world, unsigned block, const struct zone_op *read, size_t writes, size_t *count)
{
	struct zone_op *ops = world->history.sorted;
	uint64_t latest = replaced_before(ops, writes, read->start);
	unsigned candidates = 0;
	struct zone_op seen = *read;

	for (size_t i = 0; i < writes; i++) {
		const struct zone_op *op = &ops[i];

		if (!op->is_write || !world->history.writes[op->value].is_zero || op->start > read->finish ||
		    op->finish < latest)
			continue;
		candidates++;
		seen.value = op->value;
	}
	if (candidates == 0)
		world_violation(world, "block %u: a read returned zeros, which were replaced before it began", block);
	if (candidates == 1)
		ops[(*count)++] = seen;
	else
		world->counters.skipped_zero_reads++;
}

void history_check_block(struct world *world, unsigned block)
{
	struct history *history = &world->history;
	struct block_history *it = &history->blocks[block];
	size_t count = it->count, writes;
	const char *wrong;

	scratch_for(history, it->count + it->zero_count + history->write_count);
	memcpy(history->sorted, it->ops, it->count * sizeof(*it->ops));
	for (uint32_t i = 1; i < history->write_count; i++) {
		const struct write_info *write = &history->writes[i];

		if (write->blocks & 1ull << block && write->finish[set_of(world, block)] == ZONE_NEVER)
			history->sorted[count++] = (struct zone_op){.value = i,
								    .start = write->start,
								    .finish = ZONE_NEVER,
								    .is_write = true,
								    .is_unknown = true};
	}
	writes = count;
	for (size_t i = 0; i < it->zero_count; i++)
		add_zero_read(world, block, &it->zero_reads[i], writes, &count);
	wrong = zones_check(history->sorted, count, history->zones);
	for (size_t i = 0; wrong && i < count; i++)
		TRACE(world, "block %: value % write % unknown %: from % to %", block, history->sorted[i].value,
		      history->sorted[i].is_write, history->sorted[i].is_unknown, history->sorted[i].start,
		      history->sorted[i].finish);
	if (wrong)
		world_violation(world, "block %u is not linearizable: %s", block, wrong);
}

void history_check(struct world *world)
{
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		if (!world->history.blocks[i].is_tainted)
			history_check_block(world, i);
	}
}
