/* The register model behind the exerciser: candidates per sector, from a growing pool.
 * Knows values and times, nothing of bytes, requests or gateways. */
#include "tests/native/lib/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/native/lib/stamp.h"
#include "tests/native/lib/tool.h"

#define NONE UINT32_MAX

struct candidate {
	uint64_t op, value;
	uint64_t begin, end; /* of its write; end EXPECT_OPEN: in flight, or failed */
	uint64_t dead_at;    /* reads issued after this may not return it */
	uint32_t next;
	bool failed; /* until it is dead, no read of the sector proves what is older */
};

struct expect {
	uint64_t sector_count, horizon;
	uint32_t *heads; /* per sector */
	struct candidate *pool;
	uint32_t pool_used, pool_cap, free_head;
};

static uint32_t candidate_take(struct expect *expect)
{
	uint32_t idx = expect->free_head;

	if (idx != NONE) {
		expect->free_head = expect->pool[idx].next;
		return idx;
	}
	if (expect->pool_used == expect->pool_cap) {
		expect->pool_cap *= 2;
		expect->pool = tool_realloc(expect->pool, expect->pool_cap * sizeof(*expect->pool));
	}
	return expect->pool_used++;
}

static struct candidate *candidate_add(struct expect *expect, uint64_t sector)
{
	uint32_t idx = candidate_take(expect);
	struct candidate *candidate = &expect->pool[idx];

	*candidate = (struct candidate){.end = EXPECT_OPEN, .dead_at = EXPECT_OPEN, .next = expect->heads[sector]};
	expect->heads[sector] = idx;
	return candidate;
}

struct expect *expect_new(uint64_t sector_count)
{
	struct expect *expect = tool_zalloc(sizeof(*expect));

	expect->sector_count = sector_count;
	expect->heads = tool_zalloc(sector_count * sizeof(*expect->heads));
	expect->pool_cap = (uint32_t)sector_count + 1024;
	expect->pool = tool_zalloc(expect->pool_cap * sizeof(*expect->pool));
	expect->free_head = NONE;
	for (uint64_t sector = 0; sector < sector_count; sector++) {
		expect->heads[sector] = NONE;
		candidate_add(expect, sector)->end = 0;
	}
	return expect;
}

void expect_free(struct expect *expect)
{
	free(expect->heads);
	free(expect->pool);
	free(expect);
}

void expect_initial(struct expect *expect, uint64_t sector, uint64_t value)
{
	expect->pool[expect->heads[sector]].value = value;
}

/* Walks a sector's candidates and forgets those that no read to come may return. */
static void prune(struct expect *expect, uint64_t sector)
{
	uint32_t *link = &expect->heads[sector];

	while (*link != NONE) {
		struct candidate *candidate = &expect->pool[*link];
		uint32_t idx = *link;

		if (candidate->dead_at >= expect->horizon) {
			link = &candidate->next;
			continue;
		}
		*link = candidate->next;
		candidate->next = expect->free_head;
		expect->free_head = idx;
	}
}

void expect_write_begin(struct expect *expect, uint64_t op, uint64_t value, uint64_t sector, uint64_t count,
			uint64_t begin)
{
	for (uint64_t i = 0; i < count; i++) {
		struct candidate *candidate;

		prune(expect, sector + i);
		candidate = candidate_add(expect, sector + i);
		candidate->op = op;
		candidate->value = value;
		candidate->begin = begin;
	}
}

static void kill_at(struct candidate *candidate, uint64_t time)
{
	if (candidate->dead_at > time)
		candidate->dead_at = time;
}

void expect_write_end(struct expect *expect, uint64_t op, uint64_t sector, uint64_t count, uint64_t begin, uint64_t end)
{
	for (uint64_t i = 0; i < count; i++)
		for (uint32_t idx = expect->heads[sector + i]; idx != NONE; idx = expect->pool[idx].next) {
			struct candidate *candidate = &expect->pool[idx];

			if (candidate->op == op)
				candidate->end = end;
			else if (candidate->end < begin)
				kill_at(candidate, end);
		}
}

void expect_write_failed(struct expect *expect, uint64_t op, uint64_t sector, uint64_t count, uint64_t end)
{
	for (uint64_t i = 0; i < count; i++)
		for (uint32_t idx = expect->heads[sector + i]; idx != NONE; idx = expect->pool[idx].next)
			if (expect->pool[idx].op == op) {
				expect->pool[idx].end = end;
				expect->pool[idx].failed = true;
			}
}

static bool has_failed(const struct expect *expect, uint64_t sector)
{
	for (uint32_t idx = expect->heads[sector]; idx != NONE; idx = expect->pool[idx].next)
		if (expect->pool[idx].failed)
			return true;
	return false;
}

/* Candidates a read of `value` issued at `begin` may have seen; `*ret_one` is the last of them. */
static unsigned matching(const struct expect *expect, uint64_t sector, uint64_t value, uint64_t begin,
			 uint32_t *ret_one)
{
	unsigned count = 0;

	for (uint32_t idx = expect->heads[sector]; idx != NONE; idx = expect->pool[idx].next)
		if (expect->pool[idx].value == value && expect->pool[idx].dead_at >= begin) {
			*ret_one = idx;
			count++;
		}
	return count;
}

bool expect_read(struct expect *expect, uint64_t sector, uint64_t value, uint64_t begin, uint64_t end)
{
	uint32_t one = NONE;
	unsigned count = matching(expect, sector, value, begin, &one);
	uint64_t seen_begin;

	if (count == 0)
		return false;
	if (has_failed(expect, sector))
		return true;
	/* Zeros may come from several writes: then only what is older than this read and no zero is known to be older.
	 */
	seen_begin = count == 1 ? expect->pool[one].begin : 0;
	for (uint32_t idx = expect->heads[sector]; idx != NONE; idx = expect->pool[idx].next) {
		struct candidate *candidate = &expect->pool[idx];
		bool may_be_it = count == 1 ? idx == one : candidate->value == value;

		if (!may_be_it && (candidate->end < begin || candidate->end < seen_begin))
			kill_at(candidate, end);
	}
	prune(expect, sector);
	return true;
}

void expect_horizon(struct expect *expect, uint64_t time)
{
	expect->horizon = time;
}

void expect_describe(const struct expect *expect, uint64_t sector, char *out, unsigned cap)
{
	unsigned used = 0;

	out[0] = '\0';
	for (uint32_t idx = expect->heads[sector]; idx != NONE && used < cap; idx = expect->pool[idx].next) {
		const struct candidate *candidate = &expect->pool[idx];

		used += (unsigned)snprintf(
			out + used, cap - used, "[op %llu value %#llx issued %lld done %lld dead %lld] ",
			(unsigned long long)candidate->op, (unsigned long long)candidate->value,
			(long long)candidate->begin, (long long)candidate->end, (long long)candidate->dead_at);
	}
}
