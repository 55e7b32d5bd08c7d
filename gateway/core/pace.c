/* How fast replicas are compared and made equal: a rate that people set, and the application's share. While it has
 * requests, copying and it take turns: a burst in which a few regions are copied beside it, and a rest that is its own.
 * What it gets done in either is counted, and a rest is as long as it takes that of what it does alone KEPT_PERCENT are
 * left. Whatever is scarce (a link, disks, processors), an application that copying does not hinder is not waited for,
 * one that it stops has two thirds of the time to itself; and the work still ends. On a request's path:
 * pace_request_comes() and pace_request_done(). */
#include "gateway/core/engine_state.h"

#define KEPT_PERCENT 67u
#define BESIDE_COPIES 3u	  /* at a time, while the application has requests */
#define FOREGROUND_NS 10000000ull /* after its last request the application counts as busy for so long */
#define BURST_NS 20000000ull	  /* no region is begun later in a burst; it ends with the last */
#define REST_MIN_NS 5000000ull	  /* shorter ones are saved up: little can be counted in them */
#define REST_MAX_NS 500000000ull  /* of regions that waited for a replica, not for the disk */
#define REST_OF_BURST 16u	  /* at least this part of a burst, to see what the application does alone */
#define MEMORY_NS 300000000ull	  /* what was counted before weighs half, and less and less */

/* For a second at most, so that a pause is not followed by a rush. */
void pace_refill(struct pace *pace, uint64_t now_ns)
{
	uint64_t rate = pace->bytes_per_s, most = rate > REGION_BYTES ? rate : REGION_BYTES;
	uint64_t passed_ms = (now_ns - pace->refilled_ns) / 1000000;

	if (rate == 0 || passed_ms == 0)
		return;
	pace->budget += rate * (passed_ms < 1000 ? passed_ms : 1000) / 1000;
	if (pace->budget > most)
		pace->budget = most;
	pace->refilled_ns = now_ns;
}

void pace_spend(struct pace *pace, uint64_t bytes)
{
	pace->budget -= pace->budget < bytes ? pace->budget : bytes;
}

static bool has_foreground(const struct engine *engine)
{
	return engine->outstanding > 0 || engine->now_ns - engine->foreground_ns < FOREGROUND_NS;
}

static bool is_resting(const struct engine *engine)
{
	const struct turns *turns = &engine->turns;

	return engine->now_ns < turns->rest_until_ns ||
	       (turns->is_burst && engine->now_ns - turns->since_ns >= BURST_NS);
}

bool pace_allows(const struct engine *engine, const struct pace *pace)
{
	if (has_foreground(engine) && (is_resting(engine) || copy_active(engine, NULL, COPY_ANY) >= BESIDE_COPIES))
		return false;
	return !pace->bytes_per_s || pace->budget >= REGION_BYTES;
}

static void begin_turn(struct engine *engine, bool is_burst)
{
	engine->turns.is_burst = is_burst;
	engine->turns.since_ns = engine->now_ns;
	engine->turns.work = 0;
}

/* Time in which the application had nothing to do says nothing. */
static void count_turn(struct engine *engine, struct turn_sum *sum)
{
	if (!has_foreground(engine))
		return;
	sum->ns += engine->now_ns - engine->turns.since_ns;
	sum->work += engine->turns.work;
	while (sum->ns > MEMORY_NS) {
		sum->ns /= 2;
		sum->work /= 2;
	}
}

void pace_request_comes(struct engine *engine)
{
	if (!has_foreground(engine))
		begin_turn(engine, engine->turns.is_burst);
	engine->foreground_ns = engine->now_ns;
}

void pace_request_done(struct engine *engine, uint64_t work)
{
	engine->turns.work += work;
	engine->foreground_ns = engine->now_ns;
}

void pace_began(struct engine *engine)
{
	if (engine->turns.is_burst)
		return;
	count_turn(engine, &engine->turns.alone);
	begin_turn(engine, true);
}

/* What is left of the application's work while regions are copied, in percent. */
static uint64_t left_beside(const struct turns *turns)
{
	uint64_t percent;

	if (turns->alone.ns == 0 || turns->beside.ns == 0)
		return 0; /* not known yet */
	/* It waits for what is being copied, perhaps. */
	if (turns->alone.work == 0)
		return 100;
	percent = 100 * turns->beside.work * turns->alone.ns / (turns->beside.ns * turns->alone.work);
	return percent < 100 ? percent : 100;
}

/* b percent in the burst and all of it in the rest make KEPT_PERCENT of both together. */
static uint64_t rest_after(const struct engine *engine, uint64_t burst_ns)
{
	uint64_t left = left_beside(&engine->turns), least_ns = burst_ns / REST_OF_BURST;
	uint64_t rest_ns = left < KEPT_PERCENT ? burst_ns * (KEPT_PERCENT - left) / (100 - KEPT_PERCENT) : 0;

	rest_ns = rest_ns > least_ns ? rest_ns : least_ns;
	return rest_ns < REST_MAX_NS ? rest_ns : REST_MAX_NS;
}

void pace_ended(struct engine *engine)
{
	struct turns *turns = &engine->turns;

	if (copy_active(engine, NULL, COPY_ANY) > 0)
		return;
	if (has_foreground(engine)) {
		count_turn(engine, &turns->beside);
		turns->owed_ns += rest_after(engine, engine->now_ns - turns->since_ns);
	}
	if (turns->owed_ns >= REST_MIN_NS) {
		turns->rest_until_ns = engine->now_ns + turns->owed_ns;
		turns->owed_ns = 0;
	}
	begin_turn(engine, false);
}

void pace_wake(struct engine *engine)
{
	if (!engine->turns.rest_until_ns || engine->now_ns < engine->turns.rest_until_ns)
		return;
	engine->turns.rest_until_ns = 0;
	for (unsigned i = 0; i < engine->spec.set_count; i++)
		engine->sets[i].needs_look = true;
}
