/* The config register of one mirror set as its one proposer sees it: what is chosen, what was proposed since, who must
 * acknowledge (replication.md R3.5, R6, R7). Voters are bits, by their number in the set. Decides nothing by itself:
 *the callers say who should be in; this module keeps the rules about numbers and unions. Pure, one thread.
 *
 *			propose()		accepted() by a majority (and by all of `needed`)
 *	(chosen) ------------------> PROPOSED -------------------------------------------> (chosen)
 *				       |  ^
 *				       +--+ propose() again: a higher gen; the union grows
 */
#ifndef GATEWAY_CORE_MEMBERSHIP_H
#define GATEWAY_CORE_MEMBERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/limits.h"
#include "common/mutant.h"
#include "common/uuid.h"
#include "proto/config.h"

#define GEN_MAX 0x7ffffffeu /* gens share a word with other tags */

struct membership {
	unsigned voter_count;
	uint8_t data;	      /* voters that hold data */
	struct config chosen; /* valid when `has_chosen` */
	bool has_chosen;
	uint8_t in; /* of `chosen` */

	bool is_proposed;
	struct config proposed;
	uint8_t proposed_in;
	uint8_t needed; /* besides a majority */
	uint8_t accepted_by;

	uint8_t in_union;     /* chosen and every proposal since */
	uint8_t barrier;      /* joiners whose last FLUSH was sent (R7) */
	uint32_t highest_gen; /* used by any config or stamp; a gen never names two values */
	uint32_t stamp_gen;   /* what writes carry */
};

void membership_init(struct membership *it, unsigned voter_count, uint8_t data);

/* Who must acknowledge every write and every FLUSH. */
static inline uint8_t membership_required(const struct membership *it)
{
	return it->in_union | it->barrier;
}

static inline bool membership_is_majority(const struct membership *it, uint8_t voters)
{
	return 2 * (unsigned)__builtin_popcount(voters) + MUTANT(half_is_a_majority) > it->voter_count;
}

/* A replica is out, or may soon be: first writes under a gen stamp their regions (R4). */
static inline bool membership_stamps(const struct membership *it)
{
	return !it->has_chosen || it->in != it->data ||
	       (!MUTANT(unstamped_until_chosen) && (it->is_proposed || it->stamp_gen > it->chosen.gen));
}

/* The next gen, for stamps first and then for the config proposed. 0: gens are used up. */
uint32_t membership_next_gen(struct membership *it);

/* `config` carries a gen of membership_next_gen() and is on its way to voters from now on. `in`: its in-sync replicas,
 * not empty. */
void membership_propose(struct membership *it, const struct config *config, uint8_t in, uint8_t needed);

/* A voter (bit) stores the config of `gen`. True: that made it chosen. Old gens and repeats change nothing. */
bool membership_accepted(struct membership *it, uint8_t voter, uint32_t gen) must_check;

/* A new attachment starts from nothing chosen; gens stay used. */
void membership_reset(struct membership *it);

#endif
