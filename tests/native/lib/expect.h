/* What every sector of a volume may hold: each sector is a linearizable register (design P4).
 *
 * For each sector a list of candidates: values a read may still return. A write adds its value when it is issued;
 * when it completes, every value whose write had completed before it was issued is dead. A read that returned a value
 * kills, for reads issued later, everything known to be older than that value: once read, never back. Times are places
 * in one total order of events (the caller's counter), not clocks. One thread. */
#ifndef TESTS_NATIVE_EXPECT_H
#define TESTS_NATIVE_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

#define EXPECT_OPEN UINT64_MAX /* time of something that has not happened */

struct expect;

/* All sectors hold zeros. Exits the program when out of memory, as every tool here does. */
struct expect *expect_new(uint64_t sector_count);
void expect_free(struct expect *expect);

/* Before time 1: the sector holds `value` for sure. */
void expect_initial(struct expect *expect, uint64_t sector, uint64_t value);

/* A write of `value` (VALUE_ZERO too) to `count` sectors was issued at `begin` as operation `op` (unique). */
void expect_write_begin(struct expect *expect, uint64_t op, uint64_t value, uint64_t sector, uint64_t count,
			uint64_t begin);
/* It completed well. */
void expect_write_end(struct expect *expect, uint64_t op, uint64_t sector, uint64_t count, uint64_t begin,
		      uint64_t end);

/* It failed: the replicas may hold the old value or the new one, each its own, until a later write completes. */
void expect_write_failed(struct expect *expect, uint64_t op, uint64_t sector, uint64_t count, uint64_t end);

/* A read issued at `begin` and completed at `end` found `value`: true if that is legal. */
bool expect_read(struct expect *expect, uint64_t sector, uint64_t value, uint64_t begin, uint64_t end) must_check;

/* No event before `time` will be reported any more: what died before it can be forgotten. */
void expect_horizon(struct expect *expect, uint64_t time);

/* The candidates of a sector in words, for a failure's report. */
void expect_describe(const struct expect *expect, uint64_t sector, char *out, unsigned cap);

#endif
