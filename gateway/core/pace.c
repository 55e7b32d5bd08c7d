/* How fast replicas are compared and made equal: a rate that people set, and the application first. While it has
 * requests, one region at a time, and after each a rest of twice the time that the region took: whatever a region
 * costs, requests have two thirds of the time to themselves, so that more than half of their rate is left though a
 * replica that is taken back needs every write as well; and the work still ends. On a request's path:
 * pace_note_foreground() once when it comes and once when it is completed. */
#include "gateway/core/engine_state.h"

#define BUSY_COPIES 1u
#define REST_FACTOR 2u
#define FOREGROUND_NS 10000000ull /* after its last request the application counts as busy for so long */
#define REST_MAX_NS 500000000ull  /* of a region that waited for a replica, not for the disk */

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

bool pace_allows(const struct engine *engine, const struct pace *pace)
{
	if (has_foreground(engine) &&
	    (copy_active(engine, NULL, COPY_ANY) >= BUSY_COPIES || engine->now_ns < engine->rest_until_ns))
		return false;
	return !pace->bytes_per_s || pace->budget >= REGION_BYTES;
}

void pace_note_foreground(struct engine *engine)
{
	engine->foreground_ns = engine->now_ns;
}

void pace_took(struct engine *engine, uint64_t duration_ns)
{
	uint64_t rest_ns = duration_ns < REST_MAX_NS / REST_FACTOR ? duration_ns * REST_FACTOR : REST_MAX_NS;
	uint64_t until = engine->now_ns + rest_ns;

	if (has_foreground(engine) && until > engine->rest_until_ns)
		engine->rest_until_ns = until;
}

void pace_wake(struct engine *engine)
{
	if (!engine->rest_until_ns || engine->now_ns < engine->rest_until_ns)
		return;
	engine->rest_until_ns = 0;
	for (unsigned i = 0; i < engine->spec.set_count; i++)
		engine->sets[i].needs_look = true;
}
