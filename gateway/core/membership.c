/* The proposer's view of one config register. Knows no legs, no messages, no time.
 * Beside a request's path: membership_required() is what every acknowledgement is compared with. */
#include "gateway/core/membership.h"
#include "common/mutant.h"

void membership_init(struct membership *it, unsigned voter_count, uint8_t data)
{
	assert(voter_count > 0 && voter_count <= SET_VOTERS_MAX);
	*it = (struct membership){.voter_count = voter_count, .data = data};
}

uint32_t membership_next_gen(struct membership *it)
{
	if (it->highest_gen >= GEN_MAX)
		return 0;
	return ++it->highest_gen;
}

void membership_propose(struct membership *it, const struct config *config, uint8_t in, uint8_t needed)
{
	assert(in != 0 && (in & ~it->data) == 0);
	assert(config->gen <= it->highest_gen);
	assert(!it->has_chosen || config->gen > it->chosen.gen);
	assert(!it->is_proposed || config->gen > it->proposed.gen);
	it->proposed = *config;
	it->proposed_in = in;
	it->needed = needed;
	it->accepted_by = 0;
	it->is_proposed = true;
	it->in_union |= MUTANT(proposal_not_required) && it->has_chosen ? 0 : in;
}

bool membership_accepted(struct membership *it, uint8_t voter, uint32_t gen)
{
	if (!it->is_proposed || gen != it->proposed.gen)
		return false;
	it->accepted_by |= voter;
	if (!membership_is_majority(it, it->accepted_by) && !MUTANT(commit_without_majority))
		return false;
	if ((it->accepted_by & it->needed) != it->needed && !MUTANT(commit_without_the_counted))
		return false;
	it->chosen = it->proposed;
	it->has_chosen = true;
	it->in = it->in_union = it->proposed_in;
	it->barrier &= (uint8_t)~it->proposed_in;
	it->is_proposed = false;
	return true;
}

void membership_reset(struct membership *it)
{
	it->has_chosen = it->is_proposed = false;
	it->in = it->in_union = it->barrier = it->accepted_by = 0;
}
