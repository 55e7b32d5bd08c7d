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

static void describe_leg(const struct engine *engine, const struct leg *leg, struct leg_status *ret)
{
	const struct set *set = &engine->sets[leg->set];
	uint8_t bit = leg_bit(leg);

	*ret = (struct leg_status){
		.state = leg->state,
		.since_ns = leg->since_ns,
		.session = leg->session,
		.incarnation = leg->incarnation,
		.outstanding_bytes = leg->outstanding_bytes,
		.outstanding = leg->outstanding,
		.reconnects = leg->reconnects,
		.is_witness = leg->is_witness,
		.is_in_sync = set->members.has_chosen && set->members.in & bit,
		.is_syncing = set->syncing & bit,
	};
	if (ret->is_syncing) {
		ret->resync_total_bytes = leg->rejoin.total_regions * REGION_BYTES;
		ret->resync_left_bytes = leg->to_copy.held * REGION_BYTES;
		ret->resync_copied_bytes = leg->rejoin.copied_bytes;
		ret->resync_since_ns = leg->rejoin.since_ns;
	}
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
	if (leg->state == LEG_VOTING)
		return leg_step_has_deadline(leg->step);
	return leg->state != LEG_UP && (leg->state != LEG_HANDSHAKE || leg_step_has_deadline(leg->step));
}

static void describe_waiting(const struct engine *engine, unsigned first, unsigned count, char *out, size_t cap)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = first; i < first + count; i++) {
		if (!is_waited_for(&engine->legs[i]))
			continue;
		if (used > 0 && used + 2 < cap) {
			memcpy(out + used, ", ", 3);
			used += 2;
		}
		used += append_waiting(engine, &engine->legs[i], out + used, cap - used);
	}
}

/* What the loss of any one node would leave, and whether that serves. */
static const char *why_no_loss(const struct engine *engine, const struct set *set, uint8_t voting)
{
	uint8_t in = set->members.in & set->up_legs;

	if (set->phase != SET_SERVING || set->is_suspended)
		return "it is not serving now";
	if (__builtin_popcount(in) < 2)
		return "one replica in sync";
	if (2 * (__builtin_popcount(voting) - 1) <= (int)set->leg_count)
		return "without one more voter there is no majority";
	if ((unsigned)__builtin_popcount(in) <= engine->options.min_in_sync)
		return "min-in-sync allows no fewer replicas";
	return NULL;
}

/* Its own state, since when and why. */
static void describe_set_state(const struct engine *engine, const struct set *set, struct set_status *ret)
{
	const char *reason = "";

	ret->state = engine->state;
	ret->since_ns = engine->state_ns;
	if (engine->state == VOLUME_FAILED || engine->state == VOLUME_DETACHING)
		return;
	ret->since_ns = set->phase_ns > set->resumed_ns ? set->phase_ns : set->resumed_ns;
	if (set->phase != SET_SERVING) {
		ret->state = engine->is_attached ? VOLUME_SUSPENDED : VOLUME_ATTACHING;
		reason = engine->phase == PHASE_BOUND ? "its voters have not agreed on the next config yet"
						      : "its voters are being asked";
	} else if (set->is_suspended) {
		ret->state = VOLUME_SUSPENDED;
		ret->since_ns = set->suspended_ns;
		reason = set->suspend_reason;
	} else {
		ret->state = VOLUME_SERVING;
		if (set->evicting & set->members.in)
			reason = "a replica is being evicted";
		else if (set->syncing)
			reason = "a replica rejoins";
		else if (set->members.in != set->data_legs)
			reason = "a replica is out";
	}
	snprintf(ret->reason, sizeof(ret->reason), "%s", reason);
}

/* Before it begins and after its end it waits for nobody. */
static bool may_wait(const struct engine *engine)
{
	return engine->state != VOLUME_FAILED && engine->phase != PHASE_IDLE && !engine->is_detached;
}

static void describe_set(const struct engine *engine, const struct set *set, struct set_status *ret)
{
	uint8_t voting = 0;
	const char *why;

	for (unsigned i = 0; i < set->leg_count; i++)
		voting |= (uint8_t)((unsigned)leg_has_vote(&engine->legs[set->first_leg + i]) << i);
	why = why_no_loss(engine, set, voting);
	*ret = (struct set_status){
		.gen = set->members.chosen.gen,
		.loss_count = set->members.chosen.loss_count,
		.voters = (uint8_t)set->leg_count,
		.witnesses = (uint8_t)__builtin_popcount(set->all_legs & ~set->data_legs),
		.in_sync = (uint8_t)__builtin_popcount(set->members.in),
		.voting = (uint8_t)__builtin_popcount(voting),
		.can_lose_one = !why,
		.uncertain_bytes = set->uncertain.held * REGION_BYTES,
		.has_lease = lease_is_held(engine, set),
	};
	snprintf(ret->why_not, sizeof(ret->why_not), "%s", why ? why : "");
	describe_set_state(engine, set, ret);
	if (may_wait(engine))
		describe_waiting(engine, set->first_leg, set->leg_count, ret->waits_for, sizeof(ret->waits_for));
}

static void describe_reason(const struct engine *engine, struct engine_status *ret)
{
	ret->reason[0] = '\0';
	if (engine->state == VOLUME_FAILED)
		memcpy(ret->reason, engine->failure, sizeof(ret->reason));
	else if (engine->phase == PHASE_PROBE)
		memcpy(ret->reason, engine->obstacle, sizeof(ret->reason));
	for (unsigned i = 0; i < ret->set_count && !ret->reason[0] && engine->state == VOLUME_SUSPENDED; i++) {
		if (ret->sets[i].state == VOLUME_SUSPENDED)
			snprintf(ret->reason, sizeof(ret->reason), "set %u: %s", i, ret->sets[i].reason);
	}
}

static uint32_t highest_gen(const struct engine *engine)
{
	uint32_t gen = 0;

	for (unsigned i = 0; i < engine->spec.set_count; i++)
		gen = engine->sets[i].members.chosen.gen > gen ? engine->sets[i].members.chosen.gen : gen;
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
		describe_leg(engine, &engine->legs[i], &ret->legs[i]);
	ret->set_count = engine->spec.set_count;
	for (unsigned i = 0; i < ret->set_count; i++)
		describe_set(engine, &engine->sets[i], &ret->sets[i]);
	ret->waits_for[0] = '\0';
	if (may_wait(engine))
		describe_waiting(engine, 0, engine->leg_count, ret->waits_for, sizeof(ret->waits_for));
	describe_reason(engine, ret);
}
