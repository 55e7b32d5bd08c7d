/* The read lease (R9): heartbeats to every voter, counted from their sending; reads may start while a majority of the
 * voters, or every replica that may be in sync, has answered one within LEASE_MS.
 * On a read's path: asked once, when it starts. */

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

#define LEASE_NS (LEASE_MS * 1000000ull)
#define BEAT_NS (LEASE_NS / 6)

void lease_tick(struct engine *engine, struct leg *leg)
{
	if (!leg_has_vote(leg) || leg->is_beat_asked)
		return;
	if (leg->beat_ns && engine->now_ns - leg->beat_ns < BEAT_NS && leg->lease_from_ns)
		return;
	leg->is_beat_asked = true;
	leg->beat_ns = engine->now_ns;
	engine->message.promise = (struct message_ballot){engine->ballot};
	attach_ask(engine, leg, MESSAGE_HEARTBEAT, 0);
}

/* When the lease that `legs` gave ends: the earliest of theirs. */
static uint64_t end_of_all(struct engine *engine, const struct set *set, uint8_t legs)
{
	uint64_t end = legs ? UINT64_MAX : 0;

	for (unsigned i = 0; i < set->leg_count; i++) {
		uint64_t from = set_leg(engine, set, i)->lease_from_ns;
		uint64_t until = from ? from + LEASE_NS : 0;

		if (legs & 1u << i && until < end)
			end = until;
	}
	return end;
}

/* The time until which a majority has answered: the lowest of the highest half. */
static uint64_t end_of_majority(struct engine *engine, const struct set *set)
{
	unsigned majority = MUTANT(lease_of_one_voter) ? 1 : set->leg_count / 2 + 1;
	uint64_t ends[SET_VOTERS_MAX] = {0};

	for (unsigned i = 0; i < set->leg_count; i++) {
		uint64_t from = set_leg(engine, set, i)->lease_from_ns, end = from ? from + LEASE_NS : 0;
		unsigned at = i;

		for (; at > 0 && ends[at - 1] < end; at--)
			ends[at] = ends[at - 1];
		ends[at] = end;
	}
	return ends[majority - 1];
}

void lease_refresh(struct engine *engine, struct set *set)
{
	uint64_t majority = end_of_majority(engine, set);
	uint64_t members =
		end_of_all(engine, set, MUTANT(lease_of_chosen_members) ? set->members.in : set->members.in_union);

	set->lease_until_ns = majority > members || MUTANT(lease_of_majority_only) ? majority : members;
}

bool lease_is_held(const struct engine *engine, const struct set *set)
{
	return engine->now_ns < set->lease_until_ns || MUTANT(reads_without_lease);
}

void lease_answered(struct engine *engine, struct leg *leg, uint64_t sent_ns)
{
	struct set *set = leg_set(engine, leg);
	bool was_held = lease_is_held(engine, set);

	leg->lease_from_ns = MUTANT(lease_from_the_answer) ? engine->now_ns : sent_ns;
	lease_refresh(engine, set);
	if (!was_held && lease_is_held(engine, set))
		set_drain(engine, set);
}
