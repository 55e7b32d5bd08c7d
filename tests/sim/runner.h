/* Runs many seeds on several processes, and says what came of them. */
#ifndef TESTS_SIM_RUNNER_H
#define TESTS_SIM_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tests/sim/options.h"

#define RUNNER_JOBS_MAX 64u

struct runner_options {
	uint64_t first_seed, count, seconds;
	unsigned jobs, twice_pm;
	bool trace, verbose, keep_going;
	const char *overrides, *ledger, *seed_file;
};

/* 0: no violation; 1: at least one; 2: a file cannot be read or written. */
int runner_run(const struct runner_options *options);

/* False: no such mutant, or none in this build. "list" prints their names and ends the program. */
bool runner_set_mutant(const char *name);

#endif
