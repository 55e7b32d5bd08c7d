/* The simulator's command line: which seeds, on how many processes, and what is said about them. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/runner.h"

enum {
	OPT_SEED = 1,
	OPT_COUNT,
	OPT_JOBS,
	OPT_SECONDS,
	OPT_TRACE,
	OPT_VERBOSE,
	OPT_OPTIONS,
	OPT_LEDGER,
	OPT_FILE,
	OPT_KEEP_GOING,
	OPT_TWICE,
	OPT_MUTANT,
	OPT_HELP
};

static const struct option long_options[] = {
	{"seed", required_argument, NULL, OPT_SEED},
	{"count", required_argument, NULL, OPT_COUNT},
	{"jobs", required_argument, NULL, OPT_JOBS},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"trace", no_argument, NULL, OPT_TRACE},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{"options", required_argument, NULL, OPT_OPTIONS},
	{"ledger", required_argument, NULL, OPT_LEDGER},
	{"seeds", required_argument, NULL, OPT_FILE},
	{"keep-going", no_argument, NULL, OPT_KEEP_GOING},
	{"twice", required_argument, NULL, OPT_TWICE},
	{"mutant", required_argument, NULL, OPT_MUTANT},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static void usage(FILE *file)
{
	(void)fprintf(
		file,
		"Usage: sim [--seed N] [--count N] [--jobs J] [--seconds S] [OPTION]...\n"
		"Runs simulated worlds around the real core. Without --seed the seeds begin at 1.\n"
		"  --seed N         the first seed; alone: only this one\n"
		"  --count N        how many (default 1 with --seed, else 1000)\n"
		"  --jobs J         processes (default 1)\n"
		"  --seconds S      stop after this long, whatever --count says\n"
		"  --seeds FILE     run the seeds of a file first: 'N [OPTIONS] [# why]' a line\n"
		"  --options LIST   name=value,...: override what the seeds draw (see below)\n"
		"  --twice PERMILLE share of seeds that are run twice and must give equal traces (default 50)\n"
		"  --keep-going     do not stop at the first violation\n"
		"  --ledger FILE    append one line of totals\n"
		"  --mutant NAME    plant a fault into the core (only in a build with FLAVOR=mutants; 'list': names)\n"
		"  --verbose        print each seed's options\n"
		"  --trace          print every event in words\n"
		"Exit code: 0 no violation, 1 a violation, 2 wrong usage. Options of --options:\n");
	options_help(file);
}

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && end != text && !*end;
}

static bool take_number(struct runner_options *o, int opt, const char *text)
{
	uint64_t number;

	if (!parse_number(text, &number))
		return false;
	if (opt == OPT_SEED)
		o->first_seed = number;
	else if (opt == OPT_COUNT)
		o->count = number;
	else if (opt == OPT_JOBS)
		o->jobs = number >= 1 && number <= RUNNER_JOBS_MAX ? (unsigned)number : 1;
	else if (opt == OPT_SECONDS)
		o->seconds = number;
	else
		o->twice_pm = (unsigned)number;
	return true;
}

/* 0, or an exit code and 1 more. */
static int take_option(struct runner_options *o, int opt, const char *text)
{
	switch (opt) {
	case OPT_SEED:
	case OPT_COUNT:
	case OPT_JOBS:
	case OPT_SECONDS:
	case OPT_TWICE:
		return take_number(o, opt, text) ? 0 : 3;
	case OPT_TRACE:
		o->trace = true;
		return 0;
	case OPT_VERBOSE:
		o->verbose = true;
		return 0;
	case OPT_OPTIONS:
		o->overrides = text;
		return 0;
	case OPT_LEDGER:
		o->ledger = text;
		return 0;
	case OPT_FILE:
		o->seed_file = text;
		return 0;
	case OPT_KEEP_GOING:
		o->keep_going = true;
		return 0;
	case OPT_MUTANT:
		return runner_set_mutant(text) ? 0 : 3;
	case OPT_HELP:
		usage(stdout);
		return 1;
	default:
		return 3;
	}
}

static bool overrides_are_good(const char *text)
{
	struct random random = {1};
	struct options options;
	const char *bad = "";

	if (!text)
		return true;
	options_draw(&options, &random);
	if (!options_override(&options, text, &bad))
		return true;
	(void)fprintf(stderr, "sim: --options: '%s' is no name=value of the list that --help prints\n", bad);
	return false;
}

int main(int argc, char **argv)
{
	struct runner_options options = {.jobs = 1, .twice_pm = 50};
	bool has_seed = false;
	int opt, code;

	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		code = take_option(&options, opt, optarg);
		has_seed |= opt == OPT_SEED;
		if (code)
			return code - 1;
	}
	if (optind < argc || !overrides_are_good(options.overrides)) {
		usage(stderr);
		return 2;
	}
	if (!has_seed)
		options.first_seed = 1;
	if (!options.count)
		options.count = options.seconds ? UINT64_MAX / 4 : has_seed ? 1 : 1000;
	return runner_run(&options);
}
