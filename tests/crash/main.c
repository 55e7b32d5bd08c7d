/* Crash consistency of a replica's files: the command line, and the work shared out to processes. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mutant.h"
#include "tests/crash/explore.h"

#define JOBS_MAX 64u

struct result {
	struct explore_counters counters;
	unsigned choices[PATH_MAX_CHOICES], choice_count;
	char violation[EXPLORE_TEXT_MAX];
	bool is_done;
};

/* What the processes share. */
struct work {
	atomic_uint next; /* a first choice and a second one */
	atomic_bool is_over;
	struct result results[JOBS_MAX];
};

struct options {
	struct explore_options explore;
	unsigned jobs;
	unsigned path[PATH_MAX_CHOICES], path_count;
};

enum {
	OPT_STEPS = 1,
	OPT_ERRORS,
	OPT_SHARE,
	OPT_SUBSETS,
	OPT_TORN,
	OPT_SEED,
	OPT_JOBS,
	OPT_MUTANT,
	OPT_PATH,
	OPT_HELP
};

static const struct option long_options[] = {
	{"steps", required_argument, NULL, OPT_STEPS},
	{"errors", required_argument, NULL, OPT_ERRORS},
	{"share", required_argument, NULL, OPT_SHARE},
	{"subsets", required_argument, NULL, OPT_SUBSETS},
	{"torn", required_argument, NULL, OPT_TORN},
	{"seed", required_argument, NULL, OPT_SEED},
	{"jobs", required_argument, NULL, OPT_JOBS},
	{"mutant", required_argument, NULL, OPT_MUTANT},
	{"path", required_argument, NULL, OPT_PATH},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static void usage(FILE *file)
{
	(void)fprintf(
		file,
		"Usage: crash [OPTION]...\n"
		"Runs short workloads on the real core of a replica, in every order of what the disk completes, cuts\n"
		"the power at every moment, and judges every state that the disk may be left in: after the crash, and\n"
		"after another one while it recovers.\n"
		"  --steps N        operations of a workload (default 3)\n"
		"  --errors N       ... of which so many fail in the store (default 0)\n"
		"  --share PERMILLE of the third operations that are tried, chosen by the seed (default 1000: all)\n"
		"  --subsets N      all subsets of unsynced sectors up to so many, else so many at random (default "
		"4096)\n"
		"  --torn N         states for each sector that may be torn (default 4)\n"
		"  --seed N         of what is sampled (default 1)\n"
		"  --jobs J         processes (default 1)\n"
		"  --path A.B.C     one run, cut at its end only: as a violation prints it\n"
		"  --mutant NAME    plant a fault into the core (only in a build with FLAVOR=mutants)\n"
		"Exit code: 0 every state was sound, 1 a violation, 2 wrong usage.\n");
}

static bool parse_number(const char *text, unsigned long max, unsigned *ret)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	*ret = (unsigned)number;
	return !errno && end != text && !*end && number <= max;
}

static bool parse_path(char *text, struct options *o)
{
	for (char *rest = NULL, *word = strtok_r(text, ".", &rest); word; word = strtok_r(NULL, ".", &rest)) {
		if (o->path_count == PATH_MAX_CHOICES || !parse_number(word, 1000, &o->path[o->path_count++]))
			return false;
	}
	return o->path_count >= 1;
}

static bool take(struct options *o, int opt, char *text)
{
	unsigned seed;

	switch (opt) {
	case OPT_STEPS:
		return parse_number(text, MODEL_WRITES_MAX - 3, &o->explore.steps);
	case OPT_ERRORS:
		return parse_number(text, 8, &o->explore.errors);
	case OPT_SHARE:
		return parse_number(text, 1000, &o->explore.share);
	case OPT_SUBSETS:
		return parse_number(text, 1u << 20, &o->explore.cut.subsets_max);
	case OPT_TORN:
		return parse_number(text, 1000, &o->explore.cut.torn);
	case OPT_SEED:
		if (!parse_number(text, UINT32_MAX, &seed))
			return false;
		o->explore.seed = seed;
		return true;
	case OPT_JOBS:
		return parse_number(text, JOBS_MAX, &o->jobs) && o->jobs > 0;
	case OPT_PATH:
		return parse_path(text, o);
	default:
		return opt == OPT_MUTANT && mutant_set(text);
	}
}

static int parse(struct options *o, int argc, char **argv)
{
	int opt;

	*o = (struct options){
		.jobs = 1, .explore = {.steps = 3, .share = 1000, .seed = 1, .cut = {.subsets_max = 4096, .torn = 4}}};
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (opt == OPT_HELP) {
			usage(stdout);
			exit(0);
		}
		if (opt == '?' || !take(o, opt, optarg)) {
			usage(stderr);
			return 2;
		}
	}
	return 0;
}

static void keep(struct result *result, const struct explore *explore)
{
	result->counters = explore->counters;
	memcpy(result->violation, explore->violation, sizeof(result->violation));
	memcpy(result->choices, explore->path.taken, sizeof(result->choices));
	result->choice_count = explore->path.depth;
	result->is_done = true;
}

/* One process: takes one beginning after the other. */
static void explore_share(const struct options *o, struct work *work, unsigned job)
{
	struct explore *explore = calloc(1, sizeof(*explore));
	unsigned beginnings = explore_files() * explore_first_steps(), n;
	bool ok = true;

	if (!explore)
		abort();
	explore->options = o->explore;
	while (ok && !atomic_load(&work->is_over) && (n = atomic_fetch_add(&work->next, 1)) < beginnings) {
		unsigned choices[] = {n / explore_first_steps(), n % explore_first_steps()};

		ok = explore_below(explore, choices, ARRAY_COUNT(choices));
	}
	if (!ok)
		atomic_store(&work->is_over, true);
	keep(&work->results[job], explore);
	explore_fini(explore);
	free(explore);
}

static void explore_one(const struct options *o, struct result *result)
{
	struct explore *explore = calloc(1, sizeof(*explore));

	if (!explore)
		abort();
	explore->options = o->explore;
	(void)explore_path(explore, o->path, o->path_count);
	(void)printf("%s\n", explore->story);
	keep(result, explore);
	explore_fini(explore);
	free(explore);
}

static void explore_shared(const struct options *o, struct work *work)
{
	for (unsigned job = 1; job < o->jobs; job++) {
		if (fork() == 0) {
			explore_share(o, work, job);
			_exit(0);
		}
	}
	explore_share(o, work, 0);
	while (wait(NULL) > 0)
		continue;
}

/* True: sound. */
static bool report(const struct options *o, const struct work *work)
{
	struct explore_counters sum = {0};
	bool ok = true;

	for (unsigned job = 0; job < o->jobs; job++) {
		const struct result *result = &work->results[job];

		sum.runs += result->counters.runs;
		sum.points += result->counters.points;
		sum.states += result->counters.states;
		sum.recovered += result->counters.recovered;
		if (!result->is_done)
			(void)printf("process %u ended before its work did\n", job);
		ok &= result->is_done && !result->violation[0];
		if (!result->violation[0])
			continue;
		(void)printf(
			"VIOLATION %s\n  again: crash --steps %u --errors %u --subsets %u --torn %u --seed %" PRIu64
			"%s%s --path ",
			result->violation, o->explore.steps, o->explore.errors, o->explore.cut.subsets_max,
			o->explore.cut.torn, o->explore.seed, *mutant_name() ? " --mutant " : "", mutant_name());
		for (unsigned i = 0; i < result->choice_count; i++)
			(void)printf("%s%u", i ? "." : "", result->choices[i]);
		(void)printf("\n");
	}
	(void)printf("%" PRIu64 " states, %" PRIu64 " of them after a second crash; %" PRIu64 " moments in %" PRIu64
		     " runs; seed %" PRIu64 "\n",
		     sum.states, sum.recovered, sum.points, sum.runs, o->explore.seed);
	return ok && sum.states > 0;
}

int main(int argc, char **argv)
{
	struct work *work = mmap(NULL, sizeof(*work), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct options o;

	if (work == MAP_FAILED)
		return 2;
	if (parse(&o, argc, argv))
		return 2;
	if (o.path_count) {
		o.jobs = 1;
		explore_one(&o, &work->results[0]);
	} else {
		explore_shared(&o, work);
	}
	return report(&o, work) ? 0 : 1;
}
