/* One drill: a cluster, faults by seed, and at the end everything that must be true. */
#ifndef TESTS_DRILL_RUN_H
#define TESTS_DRILL_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/drill/fault.h"
#include "tests/drill/judge.h"

/* What is reported of a drill; plain data, in memory that the parent shares. */
struct drill_result {
	uint64_t seed;
	bool is_done, is_good;
	unsigned kills;
	double seconds;
	struct {
		unsigned count;
		uint64_t longest_pause_ns; /* that began after it, before the next one */
		uint64_t longest_alone_ns; /* ... and ended before the next one */
	} faults[FAULT_KIND_COUNT];
	struct judge_totals judged;
	unsigned gateway_kills;
	unsigned points_armed, points_reached;
	uint64_t in_flight_bytes;  /* of writes, at the moments of gateway kills, together */
	uint64_t reconciled_bytes; /* copied because a gateway was lost */
	uint64_t compared_regions;
	uint64_t rejoined_bytes; /* copied to replicas that came back */
	char layout[128];
};

struct drill_options {
	const char *build;
	unsigned kills; /* of one drill: it ends with the fault that reaches it */
	bool keeps;	/* what is on disk stays in any case */
};

/* Ends the process with EXIT_WRONG and a sentence when something is not as promised; what is on disk then stays. */
void drill_run(const struct drill_options *options, uint64_t seed, struct drill_result *ret);

#endif
