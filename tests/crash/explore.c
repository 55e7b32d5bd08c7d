/* Depth first over workloads and the order of what completes; cuts at every new moment; recovers what is left, and cuts
 * that too. Must not know how sectors or promises are kept. */
#include "tests/crash/explore.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/crash/steps.h"

static void tell(struct explore *explore, const char *format, ...) printf_like(2, 3);
static void tell(struct explore *explore, const char *format, ...)
{
	size_t length = strlen(explore->story);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(explore->story + length, sizeof(explore->story) - length, format, args);
	va_end(args);
}

static bool violated(struct explore *explore, const char *when, const char *what)
{
	(void)snprintf(explore->violation, sizeof(explore->violation), "%s\n  %s: %.1900s", what, when, explore->story);
	return false;
}

/* -- After a crash -- */

struct visit {
	struct explore *explore;
	const struct model *model;
	bool is_second;
	bool was_torn; /* at the first crash */
	const char *when;
};

static bool recover(struct explore *explore, const struct image *image, const struct model *model, bool was_torn);

static uint64_t slots_digest(const struct image *image)
{
	uint64_t hash = 0, word;

	for (unsigned i = 0; i < AT_STAMPS_SECTOR; i++) {
		for (unsigned at = 0; at < SECTOR_BYTES; at += 8) {
			memcpy(&word, image_look(image, i) + at, 8);
			hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
			hash ^= hash >> 32;
		}
	}
	return hash;
}

static bool visit_state(void *ctx, const struct image *image, uint64_t digest, const struct crash *found)
{
	struct visit *visit = ctx;
	struct explore *explore = visit->explore;
	struct crash crash = *found;
	const char *wrong;

	crash.has_torn |= visit->was_torn;
	digest += model_digest(visit->model) * 4 + crash.has_torn * 2 + crash.is_kill;
	if (!seen_add(&explore->seen, digest))
		return true;
	explore->counters.states++;
	explore->counters.recovered += visit->is_second;
	wrong = files_judge(visit->model, image, &crash);
	if (wrong)
		return violated(explore, crash.is_kill ? "after a kill" : visit->when, wrong);
	if (visit->is_second || crash.is_kill ||
	    !seen_add(&explore->slots, slots_digest(image) + model_digest(visit->model)))
		return true;
	return recover(explore, image, visit->model, crash.has_torn);
}

static bool cut_here(struct explore *explore, const struct host *host, struct visit *visit)
{
	struct model model = host->model;

	for (unsigned i = AT_STAMPS_SECTOR; i < AT_DATA_SECTOR; i++)
		model.stamps_may_be_damaged |= disk_ways(&host->disk, i) > 1;
	visit->model = &model;
	explore->counters.points++;
	return cut_all(&host->disk, &explore->options.cut, &explore->random, !visit->is_second, visit_state, visit);
}

/* The start that follows a crash, and the promise that the next gateway asks for: both write the superblock. */
static bool recover(struct explore *explore, const struct image *image, const struct model *model, bool was_torn)
{
	struct host *again = &explore->again;
	struct visit visit = {explore, NULL, true, was_torn, "crashed while it recovered"};
	const struct step *promise = steps;
	bool ok;

	while (promise->kind != MESSAGE_PROMISE)
		promise++;
	if (!host_start(again, image, model))
		return violated(explore, visit.when, "a start is refused");
	if (!cut_here(explore, again, &visit))
		return false;
	host_started(again);
	promise->run(again, promise, 50);
	visit.when = "crashed while it promised after a recovery";
	ok = cut_here(explore, again, &visit);
	while (ok && again->disk.pending_count) {
		disk_complete(&again->disk, 0, 0);
		host_settle(again);
		ok = cut_here(explore, again, &visit);
	}
	if (ok && (again->wrong || !again->is_promised))
		ok = violated(explore, visit.when, again->wrong ? again->wrong : "it promises nothing any more");
	host_end(again);
	return ok;
}

/* -- Before it -- */

/* A choice has been made and told: is what it led to sound, and what a crash would leave now? */
static bool moment(struct explore *explore)
{
	struct visit visit = {explore, NULL, false, false, "after a power loss"};

	host_settle(&explore->host);
	if (explore->host.wrong)
		return violated(explore, "live", explore->host.wrong);
	return !path_is_fresh(&explore->path) || cut_here(explore, &explore->host, &visit);
}

static const char *kind_name(enum store_kind kind)
{
	static const char *const names[] = {
		[STORE_READ] = "read",
		[STORE_WRITE] = "write",
		[STORE_DIGEST] = "digest",
		[STORE_SYNC] = "sync",
		[STORE_PUNCH] = "punch",
		[STORE_ZERO] = "zero",
		[STORE_WRITE_SUPERBLOCK] = "superblock",
		[STORE_WRITE_STAMPS] = "stamps",
	};

	return names[kind];
}

struct choice {
	unsigned pending, failing, step_count;
	const struct step *steps[STEP_COUNT_MAX];
};

static void gather(struct explore *explore, unsigned steps_left, unsigned errors_left, struct choice *ret)
{
	const struct host *host = &explore->host;

	*ret = (struct choice){.pending = host->disk.pending_count};
	ret->failing = errors_left ? ret->pending : 0;
	for (unsigned i = 0; i < step_count && steps_left && host->is_up; i++)
		if (steps[i].can(host, &steps[i]))
			ret->steps[ret->step_count++] = &steps[i];
}

/* What was chosen happens. True: it was a step. */
static bool act(struct explore *explore, const struct choice *choice, unsigned taken, unsigned number)
{
	struct disk *disk = &explore->host.disk;

	if (taken < choice->pending) {
		tell(explore, "; %s done", kind_name(disk->pending[taken]->kind));
		disk_complete(disk, taken, 0);
		return false;
	}
	taken -= choice->pending;
	if (taken < choice->failing) {
		tell(explore, "; %s FAILS", kind_name(disk->pending[taken]->kind));
		disk_complete(disk, taken, -EIO);
		return false;
	}
	taken -= choice->failing;
	tell(explore, "; %s", choice->steps[taken]->name);
	choice->steps[taken]->run(&explore->host, choice->steps[taken], number);
	return true;
}

/* The third step of a workload may be sampled: the first two are always tried in every order. */
static bool is_skipped(struct explore *explore, unsigned step_number)
{
	return step_number >= 2 && path_is_fresh(&explore->path) &&
	       !random_chance(&explore->random, explore->options.share);
}

static bool workload(struct explore *explore)
{
	unsigned number = 0, errors = 0;

	for (;;) {
		struct choice choice;
		unsigned count, taken;

		gather(explore, explore->options.steps - number, explore->options.errors - errors, &choice);
		count = choice.pending + choice.failing + choice.step_count;
		if (count == 0)
			return true;
		taken = path_take(&explore->path, count);
		if (taken >= count) /* given from outside: nothing begins like this */
			return true;
		errors += taken >= choice.pending && taken < choice.pending + choice.failing;
		if (taken >= choice.pending + choice.failing && is_skipped(explore, number))
			return true;
		number += act(explore, &choice, taken, number);
		if (!moment(explore))
			return false;
	}
}

static bool run(struct explore *explore)
{
	struct host *host = &explore->host;
	struct image image;
	struct model model;
	unsigned files;
	bool ok;

	explore->counters.runs++;
	explore->path.depth = 0;
	explore->story[0] = '\0';
	files = path_take(&explore->path, explore_files());
	files_make(&image, &model, files % FILES_VARIANTS, files >= FILES_VARIANTS);
	tell(explore, "%s with files %u: start", model.is_witness ? "a witness" : "a replica", files % FILES_VARIANTS);
	if (!host_start(host, &image, &model))
		return violated(explore, "live", "the first start is refused");
	if (!moment(explore))
		return false;
	host_started(host);
	steps_attach(host);
	ok = workload(explore);
	host_end(host);
	return ok;
}

static void set_path(struct explore *explore, const unsigned *choices, unsigned count, bool only_end)
{
	explore->path = (struct path){.length = count, .fixed = count};
	for (unsigned i = 0; i < count; i++)
		explore->path.taken[i] = choices[i];
	explore->path.fresh = only_end ? count : 0;
	explore->random.state = explore->options.seed;
}

bool explore_below(struct explore *explore, const unsigned *choices, unsigned count)
{
	set_path(explore, choices, count, false);
	do
		if (!run(explore))
			return false;
	while (path_next(&explore->path));
	return true;
}

bool explore_path(struct explore *explore, const unsigned *choices, unsigned count)
{
	set_path(explore, choices, count, true);
	return run(explore);
}

unsigned explore_files(void)
{
	return 2 * FILES_VARIANTS;
}

unsigned explore_first_steps(void)
{
	return step_count;
}

void explore_fini(struct explore *explore)
{
	seen_fini(&explore->seen);
	seen_fini(&explore->slots);
}
