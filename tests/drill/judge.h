/* The histories of a drill's applications, put together and judged: each block of the volume is one linearizable
 * register over all of them (tests/sim/zones.h), whatever died in between. Also how long nobody was answered. */
#ifndef TESTS_DRILL_JUDGE_H
#define TESTS_DRILL_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

struct judge;

struct judge *judge_new(uint64_t volume_bytes, uint32_t block_bytes);
void judge_free(struct judge *judge);

/* One application's history. Requests that failed or were never answered may have taken effect until
 * `unknown_until_ns`; failures before `errors_from_ns` are findings. 0, or -EBADMSG with `*ret_why` (static memory). */
int judge_add(struct judge *judge, const char *path, uint64_t unknown_until_ns, uint64_t errors_from_ns,
	      const char **ret_why) must_check;

/* NULL: linearizable; else what is not, in static memory. */
const char *judge_verdict(struct judge *judge);

struct judge_totals {
	uint64_t ops, checked_reads, skipped_zero_reads, failed, unanswered;
};
struct judge_totals judge_totals(const struct judge *judge);

/* The longest time without an answer to any application that began in [from, until): until when, and how long. */
struct judge_pause {
	uint64_t length_ns, end_ns;
};
struct judge_pause judge_pause(struct judge *judge, uint64_t from_ns, uint64_t until_ns);
/* Bytes of the writes that were not answered at that moment. */
uint64_t judge_bytes_in_flight(const struct judge *judge, uint64_t at_ns);

#endif
