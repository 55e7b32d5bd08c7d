/* Runs workloads in every order, and crashes them everywhere. */
#ifndef TESTS_CRASH_EXPLORE_H
#define TESTS_CRASH_EXPLORE_H

#include "tests/crash/cut.h"
#include "tests/crash/host.h"
#include "tests/crash/path.h"
#include "tests/crash/seen.h"

struct explore_options {
	unsigned steps;	 /* of a workload, at most */
	unsigned errors; /* store operations that fail, at most */
	unsigned share;	 /* of a thousand third steps, so many are taken */
	uint64_t seed;	 /* of what is sampled */
	struct cut_options cut;
};

struct explore_counters {
	uint64_t runs, points; /* orders of workloads; moments in them that were cut */
	uint64_t states;       /* different ones that were judged, and then again at the second crash */
	uint64_t recovered;    /* of them: found by a crash inside a recovery */
};

/* A violation: how it came about. */
#define EXPLORE_TEXT_MAX 2048u

struct explore {
	struct explore_options options;
	struct explore_counters counters;
	struct path path;
	struct random random;
	struct seen seen, slots;
	struct host host, again; /* the one that is crashed, and the one that recovers */
	char story[EXPLORE_TEXT_MAX];
	char violation[EXPLORE_TEXT_MAX]; /* empty: none */
};

/* Everything below the first choices, which are given. False: a violation. */
bool explore_below(struct explore *explore, const unsigned *choices, unsigned count);
/* The run with these choices, cut only at its end. */
bool explore_path(struct explore *explore, const unsigned *choices, unsigned count);
/* How many ways the first choice (files) and the second (the first step) can go. */
unsigned explore_files(void);
unsigned explore_first_steps(void);
void explore_fini(struct explore *explore);

#endif
