/* The engine's state as plain data for people and programs. Changes nothing.
 * Beside a request's path: asked for by the control thread, answered between two turns of the loop. */
#include <stdio.h>
#include <string.h>

#include "gateway/core/engine_state.h"

const char *volume_state_name(enum volume_state state)
{
	static const char *const names[] = {
		[VOLUME_ATTACHING] = "attaching", [VOLUME_SERVING] = "serving", [VOLUME_SUSPENDED] = "suspended",
		[VOLUME_DETACHING] = "detaching", [VOLUME_FAILED] = "failed",
	};

	return (unsigned)state < ARRAY_COUNT(names) ? names[state] : "?";
}

static void describe_leg(const struct leg *leg, struct leg_status *ret)
{
	*ret = (struct leg_status){
		.state = leg->state,
		.since_ns = leg->since_ns,
		.session = leg->session,
		.incarnation = leg->incarnation,
		.outstanding_bytes = leg->outstanding_bytes,
		.outstanding = leg->outstanding,
		.reconnects = leg->reconnects,
	};
	memcpy(ret->last_error, leg->last_error, sizeof(ret->last_error));
}

static size_t append_waiting(const struct engine *engine, const struct leg *leg, char *out, size_t cap)
{
	const struct replica_spec *replica = volume_leg_replica(&engine->spec, leg->index, NULL);
	int used = snprintf(out, cap, "%s (%s)%s%s", replica->name, replica->address, leg->is_refused ? ": " : "",
			    leg->is_refused ? leg->last_error : "");

	return (size_t)used < cap ? (size_t)used : cap - 1;
}

/* A leg that stands at a barrier of the handshake waits for the others itself. */
static bool is_waited_for(const struct leg *leg)
{
	return leg->state != LEG_UP && (leg->state != LEG_HANDSHAKE || leg_step_has_deadline(leg->step));
}

static void describe_waiting(const struct engine *engine, char *out, size_t cap)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < engine->leg_count; i++) {
		if (!is_waited_for(&engine->legs[i]))
			continue;
		if (used > 0 && used + 2 < cap) {
			memcpy(out + used, ", ", 3);
			used += 2;
		}
		used += append_waiting(engine, &engine->legs[i], out + used, cap - used);
	}
}

static uint32_t highest_gen(const struct engine *engine)
{
	uint32_t gen = 0;

	for (unsigned i = 0; i < engine->spec.set_count; i++)
		gen = engine->sets[i].config.gen > gen ? engine->sets[i].config.gen : gen;
	return gen;
}

void engine_status(const struct engine *engine, struct engine_status *ret)
{
	*ret = engine->counters;
	ret->state = engine->state;
	ret->since_ns = engine->state_ns;
	ret->epoch = engine->ballot.epoch;
	ret->gen = highest_gen(engine);
	ret->outstanding = engine->outstanding;
	ret->leg_count = engine->leg_count;
	for (unsigned i = 0; i < engine->leg_count; i++)
		describe_leg(&engine->legs[i], &ret->legs[i]);
	ret->waits_for[0] = '\0';
	if (engine->state == VOLUME_FAILED)
		memcpy(ret->waits_for, engine->failure, sizeof(ret->waits_for));
	else if (engine->phase != PHASE_IDLE && !engine->is_detached)
		describe_waiting(engine, ret->waits_for, sizeof(ret->waits_for));
}
