/* Seeds over processes: worker j of J runs every J-th seed. A worker that crashes has named its seed before. */
#include "tests/sim/runner.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/mutant.h"
#include "tests/sim/world.h"

#define SEED_SECONDS_MAX 120u /* real time of one seed: more is a loop without end */

/* Of one worker; the totals' memory is shared with the parent. */
struct totals {
	uint64_t seeds, twice, violations;
	struct world_counters counters;
	uint64_t stop; /* in the first worker's: everybody stops */
};

static struct world *current; /* of this process, for the signal handler */
static const char *current_overrides;

/* Also called when the process is about to end by a signal: what is not safe then is better than silence.
 * NOLINTBEGIN(bugprone-signal-handler) */
static void print_failure(const struct world *world, const char *what)
{
	(void)fflush(stdout);
	(void)fprintf(stderr, "\nseed %llu: %s\n", (unsigned long long)world->seed, what);
	options_print(&world->options, stderr);
	(void)fprintf(stderr, "The last events:\n");
	trace_print(&world->trace, stderr);
	(void)fprintf(stderr, "Again: build/%s/tests/sim/sim --seed %llu%s%s%s%s --trace\n\n", MUTANT_FLAVOR,
		      (unsigned long long)world->seed, current_overrides ? " --options " : "",
		      current_overrides ? current_overrides : "", *mutant_name() ? " --mutant " : "", mutant_name());
	(void)fflush(stderr);
}
/* NOLINTEND(bugprone-signal-handler) */

/* An assert of the core is a finding like any other. Not reentrant, but the process ends here anyway. */
static void on_crash(int signal_no)
{
	(void)signal(signal_no, SIG_DFL);
	if (current)
		print_failure(current, signal_no == SIGALRM   ? "it does not end"
				       : signal_no == SIGABRT ? "an assert"
							      : "a crash");
	_exit(3);
}

static void catch_crashes(void)
{
	static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};

	for (size_t i = 0; i < ARRAY_COUNT(signals); i++)
		(void)signal(signals[i], on_crash);
}

/* False: a violation. */
static bool run_seed(struct world *world, uint64_t seed, const char *overrides, const struct runner_options *o,
		     struct totals *totals)
{
	uint64_t hash;

	current_overrides = overrides;
	(void)alarm(SEED_SECONDS_MAX);
	totals->seeds++;
	if (world_run(world, seed, overrides)) {
		print_failure(world, world->violation);
		totals->violations++;
		return false;
	}
	if (o->verbose)
		options_print(&world->options, stdout);
	if ((seed * 0x9e3779b97f4a7c15ull >> 40) % 1000 >= o->twice_pm)
		return true;
	hash = world->trace.hash;
	totals->twice++;
	if (world_run(world, seed, overrides) == 0 && world->trace.hash == hash)
		return true;
	print_failure(world, "a second run went another way");
	totals->violations++;
	return false;
}

static uint64_t now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

static void work(const struct runner_options *o, unsigned job, struct totals *all)
{
	uint64_t end_s = o->seconds ? now_s() + o->seconds : UINT64_MAX;
	struct totals *mine = &all[job];

	for (uint64_t i = job; i < o->count && !__atomic_load_n(&all[0].stop, __ATOMIC_RELAXED); i += o->jobs) {
		if (!run_seed(current, o->first_seed + i, o->overrides, o, mine) && !o->keep_going)
			__atomic_store_n(&all[0].stop, 1, __ATOMIC_RELAXED);
		if (now_s() >= end_s)
			break;
	}
	mine->counters = current->counters;
}

/* Lines "SEED [OPTIONS] [# why]". */
static int run_file(const struct runner_options *o, struct totals *mine)
{
	FILE *file = fopen(o->seed_file, "r");
	char line[1024], overrides[768];
	unsigned long long seed;
	int fields;

	if (!file) {
		(void)fprintf(stderr, "sim: %s: %s\n", o->seed_file, strerror(errno));
		return -ENOENT;
	}
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "#\n")] = '\0';
		overrides[0] = '\0';
		fields = sscanf(line, "%llu %767s", &seed, overrides);
		if (fields >= 1)
			(void)run_seed(current, seed, fields == 2 ? overrides : o->overrides, o, mine);
	}
	(void)fclose(file);
	return 0;
}

static void sum_up(struct totals *all, unsigned jobs)
{
	for (unsigned i = 1; i < jobs; i++) {
		const uint64_t *from = (const uint64_t *)(const void *)&all[i].counters;
		uint64_t *to = (uint64_t *)(void *)&all[0].counters;

		all[0].seeds += all[i].seeds;
		all[0].twice += all[i].twice;
		all[0].violations += all[i].violations;
		for (size_t j = 0; j < sizeof(all->counters) / sizeof(uint64_t); j++)
			to[j] += from[j];
	}
}

static void print_totals(FILE *file, const struct totals *t, double seconds, unsigned jobs)
{
	const struct world_counters *c = &t->counters;

	(void)fprintf(
		file,
		"seeds=%llu violations=%llu twice=%llu seconds=%.1f jobs=%u seeds_per_minute_and_job=%.0f events=%llu "
		"ops=%llu reads_checked=%llu faults=%llu attaches=%llu gateway_starts=%llu power_losses=%llu "
		"zombies=%llu scribbles=%llu io_errors=%llu taints=%llu zero_reads_left_out=%llu served_percent=%llu "
		"evictions=%llu rejoins=%llu reattaches=%llu reconciles=%llu suspensions=%llu losses=%llu "
		"set_backs=%llu replaced=%llu seeded=%llu\n",
		(unsigned long long)t->seeds, (unsigned long long)t->violations, (unsigned long long)t->twice, seconds,
		jobs, (double)t->seeds * 60 / seconds / jobs, (unsigned long long)c->events, (unsigned long long)c->ops,
		(unsigned long long)c->reads_checked, (unsigned long long)c->faults, (unsigned long long)c->attaches,
		(unsigned long long)c->restarts, (unsigned long long)c->power_losses,
		(unsigned long long)c->frames_zombie, (unsigned long long)c->scribbles,
		(unsigned long long)c->io_errors, (unsigned long long)c->taints,
		(unsigned long long)c->skipped_zero_reads,
		(unsigned long long)(c->ticks ? c->served_ticks * 100 / c->ticks : 0), (unsigned long long)c->evictions,
		(unsigned long long)c->rejoins, (unsigned long long)c->reattaches, (unsigned long long)c->reconciles,
		(unsigned long long)c->suspensions, (unsigned long long)c->losses, (unsigned long long)c->set_backs,
		(unsigned long long)c->replaced, (unsigned long long)c->seeded);
}

static void write_ledger(const struct runner_options *o, const struct totals *totals, double seconds)
{
	FILE *file = fopen(o->ledger, "a");
	char day[32];
	time_t now = time(NULL);
	struct tm tm;

	if (!file) {
		(void)fprintf(stderr, "sim: %s: %s\n", o->ledger, strerror(errno));
		return;
	}
	(void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	(void)fprintf(file, "%s version=%s mutant=%s first=%llu options=%s ", day, LOCKSTEP_VERSION,
		      *mutant_name() ? mutant_name() : "-", (unsigned long long)o->first_seed,
		      o->overrides ? o->overrides : "-");
	print_totals(file, totals, seconds, o->jobs);
	(void)fclose(file);
}

/* A worker's own output is rare and goes straight to stderr. True: it ended in order. */
static bool fork_workers(const struct runner_options *o, struct totals *all)
{
	pid_t pids[RUNNER_JOBS_MAX];
	bool good = true;
	int status;

	for (unsigned i = 0; i < o->jobs; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			catch_crashes();
			work(o, i, all);
			(void)fflush(stdout);
			_exit(0);
		}
		good &= pids[i] > 0;
	}
	for (unsigned i = 0; i < o->jobs; i++) {
		if (pids[i] <= 0)
			continue;
		if (waitpid(pids[i], &status, 0) != pids[i] || status != 0) {
			all[i].violations++;
			good = false;
			if (!o->keep_going)
				__atomic_store_n(&all[0].stop, 1, __ATOMIC_RELAXED);
		}
	}
	return good;
}

int runner_run(const struct runner_options *o)
{
	struct totals *all =
		mmap(NULL, RUNNER_JOBS_MAX * sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec begin, end;
	double seconds;
	int code = 0;

	if (all == MAP_FAILED)
		return 2;
	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	current = world_new();
	current->trace.live = o->trace ? stdout : NULL;
	catch_crashes();
	if (o->seed_file && run_file(o, &all[0]))
		code = 2;
	if (o->jobs == 1)
		work(o, 0, all);
	else if (code == 0 && (all[0].violations == 0 || o->keep_going))
		(void)fork_workers(o, all);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9 + 1e-6;
	sum_up(all, o->jobs);
	print_totals(stdout, all, seconds, o->jobs);
	if (o->ledger)
		write_ledger(o, all, seconds);
	world_free(current);
	if (code == 0)
		code = all[0].violations > 0;
	(void)munmap(all, RUNNER_JOBS_MAX * sizeof(*all));
	return code;
}

bool runner_set_mutant(const char *name)
{
	if (strcmp(name, "list") == 0) {
		for (unsigned i = 1; i < MUTANT_COUNT; i++)
			(void)puts(mutant_names[i]);
		exit(0);
	}
	if (mutant_set(name))
		return true;
	(void)fprintf(stderr, "sim: no mutant '%s' in this build (make FLAVOR=mutants)\n", name);
	return false;
}
