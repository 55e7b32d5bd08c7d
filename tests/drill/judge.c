/* Reads history files (tests/native/lib/history.h) into one register history per block. Times are the clock's, taken
 * before a request was handed over and after its answer was seen: an interval that holds the real one. */
#include "tests/drill/judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/byteorder.h"
#include "tests/native/lib/history.h"
#include "tests/native/lib/stamp.h"
#include "tests/native/lib/tool.h"
#include "tests/sim/zones.h"

#define HEAD_BYTES 32u
#define RECORD_BYTES 80u
#define ZERO_NAME (1ull << 63) /* values of zeros: this, the application's number, the operation's */
#define NEVER_NS UINT64_MAX

struct op_list {
	struct zone_op *ops;
	size_t count, capacity;
};

struct answer {
	uint64_t begin_ns, end_ns, write_bytes;
};

struct judge {
	uint64_t block_count;
	uint32_t block_bytes;
	struct op_list *blocks;	    /* writes, zeros, and reads that found a value */
	struct op_list *zero_reads; /* by block: any of several writes of zeros may have been seen */
	struct answer *answers;
	size_t answer_count, answer_capacity;
	bool is_sorted;
	unsigned application_count;
	struct judge_totals totals;
};

/* One file while it is read. */
struct reading {
	FILE *file;
	uint64_t unknown_until_ns, errors_from_ns;
	struct history_record record;
	struct history_run *runs;
	unsigned run_count, run_capacity;
};

static void push(struct op_list *list, const struct zone_op *op)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : 16;
		list->ops = tool_realloc(list->ops, list->capacity * sizeof(*list->ops));
	}
	list->ops[list->count++] = *op;
}

struct judge *judge_new(uint64_t volume_bytes, uint32_t block_bytes)
{
	struct judge *judge = tool_zalloc(sizeof(*judge));
	struct zone_op zeros = {.value = ZERO_NAME, .is_write = true};

	judge->block_bytes = block_bytes;
	judge->block_count = volume_bytes / block_bytes;
	judge->blocks = tool_zalloc(judge->block_count * sizeof(*judge->blocks));
	judge->zero_reads = tool_zalloc(judge->block_count * sizeof(*judge->zero_reads));
	for (uint64_t i = 0; i < judge->block_count; i++)
		push(&judge->blocks[i], &zeros);
	return judge;
}

void judge_free(struct judge *judge)
{
	for (uint64_t i = 0; i < judge->block_count; i++) {
		free(judge->blocks[i].ops);
		free(judge->zero_reads[i].ops);
	}
	free(judge->blocks);
	free(judge->zero_reads);
	free(judge->answers);
	free(judge);
}

/* ---- reading a file ---- */

static bool read_runs(struct reading *reading)
{
	if (reading->run_count > reading->run_capacity) {
		reading->run_capacity = reading->run_count;
		reading->runs = tool_realloc(reading->runs, reading->run_capacity * sizeof(*reading->runs));
	}
	for (unsigned i = 0; i < reading->run_count; i++) {
		uint8_t bytes[16];

		if (fread(bytes, 1, sizeof(bytes), reading->file) != sizeof(bytes))
			return false;
		reading->runs[i] = (struct history_run){load_le64(bytes), load_le64(bytes + 8)};
	}
	return true;
}

/* False: the end of the file, or of what was written of it. */
static bool read_record(struct reading *reading)
{
	uint8_t bytes[RECORD_BYTES];

	if (fread(bytes, 1, sizeof(bytes), reading->file) != sizeof(bytes))
		return false;
	reading->record = (struct history_record){
		.op = load_le64(bytes),
		.offset = load_le64(bytes + 8),
		.length = load_le64(bytes + 16),
		.begin_ns = load_le64(bytes + 40),
		.end_ns = load_le64(bytes + 48),
		.value = load_le64(bytes + 56),
		.kind = load_le32(bytes + 64),
		.error = (int32_t)load_le32(bytes + 68),
	};
	reading->run_count = load_le32(bytes + 72);
	return read_runs(reading);
}

/* A begin and an end at the same moment count as overlapping. */
static struct zone_op op_of(const struct history_record *record)
{
	return (struct zone_op){
		.start = 2 * record->begin_ns,
		.finish = record->end_ns == NEVER_NS ? ZONE_NEVER : 2 * record->end_ns + 1,
	};
}

static void add_write(struct judge *judge, const struct reading *reading, bool is_known)
{
	const struct history_record *record = &reading->record;
	struct zone_op op = op_of(record);

	op.is_write = true;
	op.value = record->kind == HISTORY_WRITE ? record->value
						 : ZERO_NAME | (uint64_t)judge->application_count << 48 | record->op;
	if (!is_known) {
		op.is_unknown = true;
		op.finish = reading->unknown_until_ns == NEVER_NS ? ZONE_NEVER : 2 * reading->unknown_until_ns + 1;
	}
	for (uint64_t at = record->offset; at < record->offset + record->length; at += judge->block_bytes)
		push(&judge->blocks[at / judge->block_bytes], &op);
}

/* The value of one block out of a read's runs of sectors; false: parts of several. */
static bool next_block(struct reading *reading, unsigned *run, uint64_t sectors, uint64_t *ret_value)
{
	*ret_value = reading->runs[*run].value;
	if (reading->runs[*run].sectors < sectors)
		return false;
	reading->runs[*run].sectors -= sectors;
	if (reading->runs[*run].sectors == 0)
		++*run;
	return true;
}

static const char *add_read(struct judge *judge, struct reading *reading)
{
	static char why[128];
	const struct history_record *record = &reading->record;
	struct zone_op op = op_of(record);
	unsigned run = 0;

	for (uint64_t at = record->offset; at < record->offset + record->length; at += judge->block_bytes) {
		uint64_t block = at / judge->block_bytes;

		if (run >= reading->run_count ||
		    !next_block(reading, &run, judge->block_bytes / SECTOR_BYTES, &op.value)) {
			snprintf(why, sizeof(why), "block %llu: operation %llu read parts of several writes",
				 (unsigned long long)block, (unsigned long long)record->op);
			return why;
		}
		judge->totals.checked_reads++;
		push(op.value == VALUE_ZERO ? &judge->zero_reads[block] : &judge->blocks[block], &op);
	}
	return NULL;
}

static void add_answer(struct judge *judge, const struct history_record *record)
{
	if (judge->answer_count == judge->answer_capacity) {
		judge->answer_capacity = judge->answer_capacity ? 2 * judge->answer_capacity : 1024;
		judge->answers = tool_realloc(judge->answers, judge->answer_capacity * sizeof(*judge->answers));
	}
	judge->answers[judge->answer_count++] =
		(struct answer){record->begin_ns, record->end_ns, record->kind == HISTORY_WRITE ? record->length : 0};
	judge->is_sorted = false;
}

static const char *add_record(struct judge *judge, struct reading *reading)
{
	static char why[128];
	const struct history_record *record = &reading->record;
	bool is_known = record->error == 0 && record->end_ns != NEVER_NS;

	judge->totals.ops++;
	judge->totals.failed += record->error != 0;
	judge->totals.unanswered += record->end_ns == NEVER_NS;
	if (record->error && record->end_ns < reading->errors_from_ns) {
		snprintf(why, sizeof(why), "operation %llu failed with %d, and nobody else wanted the volume",
			 (unsigned long long)record->op, record->error);
		return why;
	}
	if (is_known || record->end_ns == NEVER_NS)
		add_answer(judge, record);
	if (record->kind == HISTORY_READ)
		return is_known ? add_read(judge, reading) : NULL;
	/* What was asked for after that can have no effect: nobody may read it. */
	if (record->kind != HISTORY_FLUSH && (is_known || record->begin_ns < reading->unknown_until_ns))
		add_write(judge, reading, is_known);
	return NULL;
}

int judge_add(struct judge *judge, const char *path, uint64_t unknown_until_ns, uint64_t errors_from_ns,
	      const char **ret_why)
{
	struct reading reading = {
		.file = fopen(path, "re"), .unknown_until_ns = unknown_until_ns, .errors_from_ns = errors_from_ns};
	uint8_t head[HEAD_BYTES];
	const char *why = NULL;

	if (!reading.file)
		tool_die(EXIT_CANNOT, "%s: %s", path, strerror(errno));
	judge->application_count++;
	if (fread(head, 1, sizeof(head), reading.file) == sizeof(head))
		while (!why && read_record(&reading))
			why = add_record(judge, &reading);
	fclose(reading.file);
	free(reading.runs);
	*ret_why = why;
	return why ? -EBADMSG : 0;
}

/* ---- judging ---- */

/* A value that was replaced for sure before the read began cannot be what it saw. */
static uint64_t replaced_before(const struct op_list *list, size_t writes, uint64_t start)
{
	uint64_t latest = 0;

	for (size_t i = 0; i < writes; i++)
		if (list->ops[i].is_write && !list->ops[i].is_unknown && list->ops[i].finish < start &&
		    list->ops[i].start > latest)
			latest = list->ops[i].start;
	return latest;
}

/* One write of zeros may be what was seen: then it was. Several: it cannot be told which. None: wrong. */
static bool place_zero_read(struct judge *judge, struct op_list *list, size_t writes, struct zone_op read)
{
	uint64_t latest = replaced_before(list, writes, read.start);
	unsigned candidates = 0;

	for (size_t i = 0; i < writes; i++) {
		const struct zone_op *op = &list->ops[i];

		if (!op->is_write || !(op->value & ZERO_NAME) || op->start > read.finish || op->finish < latest)
			continue;
		candidates++;
		read.value = op->value;
	}
	if (candidates == 1)
		push(list, &read);
	judge->totals.skipped_zero_reads += candidates > 1;
	return candidates > 0;
}

static const char *judge_block(struct judge *judge, uint64_t block, struct zone *scratch)
{
	struct op_list *list = &judge->blocks[block];
	size_t writes = list->count;

	for (size_t i = 0; i < judge->zero_reads[block].count; i++)
		if (!place_zero_read(judge, list, writes, judge->zero_reads[block].ops[i]))
			return "a read returned zeros that were replaced before it began";
	return zones_check(list->ops, list->count, scratch);
}

static void print_ops(const struct judge *judge, uint64_t block)
{
	const struct op_list *list = &judge->blocks[block];

	for (size_t i = 0; i < list->count; i++)
		fprintf(stderr, "block %llu: %s%s value %#llx from %llu to %llu\n", (unsigned long long)block,
			list->ops[i].is_unknown ? "unknown " : "", list->ops[i].is_write ? "write" : "read",
			(unsigned long long)list->ops[i].value, (unsigned long long)list->ops[i].start / 2,
			(unsigned long long)list->ops[i].finish / 2);
}

const char *judge_verdict(struct judge *judge)
{
	static char text[192];
	const char *why = NULL;

	for (uint64_t i = 0; i < judge->block_count && !why; i++) {
		struct zone *scratch =
			tool_zalloc((judge->blocks[i].count + judge->zero_reads[i].count) * sizeof(*scratch));

		why = judge_block(judge, i, scratch);
		free(scratch);
		if (why) {
			print_ops(judge, i);
			snprintf(text, sizeof(text), "block %llu is not linearizable: %s", (unsigned long long)i, why);
		}
	}
	return why ? text : NULL;
}

struct judge_totals judge_totals(const struct judge *judge)
{
	return judge->totals;
}

/* ---- times ---- */

static int by_end(const void *a, const void *b)
{
	const struct answer *x = a, *y = b;

	return x->end_ns < y->end_ns ? -1 : x->end_ns > y->end_ns;
}

struct judge_pause judge_pause(struct judge *judge, uint64_t from_ns, uint64_t until_ns)
{
	struct judge_pause longest = {0};

	if (!judge->is_sorted)
		qsort(judge->answers, judge->answer_count, sizeof(*judge->answers), by_end);
	judge->is_sorted = true;
	for (size_t i = 1; i < judge->answer_count && judge->answers[i].end_ns != NEVER_NS; i++) {
		uint64_t before = judge->answers[i - 1].end_ns, after = judge->answers[i].end_ns;

		if (before >= from_ns && before < until_ns && after - before > longest.length_ns)
			longest = (struct judge_pause){after - before, after};
	}
	return longest;
}

uint64_t judge_bytes_in_flight(const struct judge *judge, uint64_t at_ns)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < judge->answer_count; i++)
		if (judge->answers[i].begin_ns <= at_ns && judge->answers[i].end_ns > at_ns)
			bytes += judge->answers[i].write_bytes;
	return bytes;
}
