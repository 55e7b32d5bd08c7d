/* A replica whose directory was lost and made anew. The new one is blank: it has forgotten what it promised and
 * accepted, so it has no vote, until a config that gives its voter a new life is chosen by a majority without it. Every
 * majority that counts on the old directory has one of those voters among it, and learns from it that the old one has
 * no vote any more; what the old one promised and accepted, that majority has, or it will never be chosen. Then the
 * blank one is seeded with ballot and config, and is a voter again, out, with everything to be copied (resync.c).
 * Before, it is asked for a promise, which is no vote: an older attachment, which may be about to seed it, comes too
 * late. Beside a request's path: on the connection of a leg that carries no data yet. */
#include <errno.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

void replace_met(struct engine *engine, struct leg *leg)
{
	leg->is_claimed = adopt_is_ours(engine, &leg->promised);
	leg->is_named = false;
	leg->heard_ns = engine->now_ns;
	leg_blame(leg, "its directory is new and has no vote yet");
	leg_step_to(leg, STEP_BLANK, engine->now_ns);
	leg_set(engine, leg)->needs_look = true;
	assemble_progress(engine);
}

void replace_adopted(struct engine *engine, struct set *set)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);
		const struct voter *voter = leg_voter(engine, &set->adopted, leg);

		leg->voting_life = voter ? voter->life : 0;
		leg->life_gen = 0;
		leg->is_named = false;
	}
}

bool replace_is_old(struct engine *engine, const struct leg *leg)
{
	return !leg->is_blank && leg_set(engine, leg)->phase >= SET_LIST && leg->life != leg->voting_life &&
	       !MUTANT(old_directory_votes);
}

void replace_refuse_old(struct engine *engine, struct leg *leg)
{
	leg->is_refused = true;
	leg->refusal_error = -ESTALE;
	link_abort(engine, leg, "its directory was replaced and has no vote any more; move the old one away");
}

static bool is_due(const struct set *set, const struct leg *leg)
{
	return leg->is_claimed && leg->step == STEP_BLANK &&
	       (!leg->is_named || set->members.chosen.gen < leg->life_gen);
}

/* Not before it can be chosen: whoever adopts the proposal does without the directory before it, which may be back. */
static bool may_be_named(struct engine *engine, const struct set *set)
{
	return membership_is_majority(&set->members, set_voting(engine, set));
}

bool replace_is_due(struct engine *engine, const struct set *set)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		if (is_due(set, set_leg(engine, set, i)))
			return may_be_named(engine, set);
	}
	return false;
}

void replace_name(struct engine *engine, struct set *set, uint32_t gen)
{
	if (!may_be_named(engine, set))
		return;
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);

		/* One that was named and is still waiting keeps its life in a proposal that follows. */
		if (!is_due(set, leg) || leg->is_named)
			continue;
		assert(!(set->target & leg_bit(leg)));
		leg->is_named = true;
		leg->life_gen = gen;
		leg->voting_life = config_life(engine->ballot.epoch, gen);
	}
}

void replace_fill(const struct leg *leg, struct voter *voter)
{
	if (voter->life == leg->voting_life)
		return;
	voter->life = leg->voting_life;
	if (leg->is_witness)
		return;
	/* Nothing of what was known of it is true of the new directory. */
	voter->state = VOTER_OUT;
	voter->compare = COMPARE_EVERYTHING;
	voter->in_sync_gen = 0;
	voter->incarnation = 0;
	voter->boot_id = (struct uuid){0};
}

static const struct config *seed_of(const struct set *set, const struct leg *leg)
{
	const struct membership *members = &set->members;

	if (!leg->is_named)
		return NULL;
	if (MUTANT(seeded_before_chosen) && members->is_proposed && members->proposed.gen >= leg->life_gen)
		return &members->proposed;
	return members->has_chosen && members->chosen.gen >= leg->life_gen ? &members->chosen : NULL;
}

void replace_seed(struct engine *engine, struct set *set)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		struct leg *leg = set_leg(engine, set, i);
		const struct config *config = seed_of(set, leg);

		if (!leg->is_claimed || leg->step != STEP_BLANK || !config)
			continue;
		engine->message.accept.ballot = engine->ballot;
		engine->message.accept.config = *config;
		attach_ask(engine, leg, MESSAGE_SEED, config->gen);
		leg_step_to(leg, STEP_SEED, engine->now_ns);
	}
}

void replace_seeded(struct engine *engine, struct leg *leg)
{
	leg->is_blank = leg->is_claimed = false;
	engine_tell(engine, EVENT_REPLACED, leg_set(engine, leg), leg, 0,
		    leg->is_witness ? "its new directory has its vote"
				    : "its new directory has its vote, and everything is to be copied");
}

void replace_lost(struct leg *leg)
{
	leg->is_blank = leg->is_claimed = false;
}
