/* The proposer's view of the config register, against a model that knows every proposal and every vote. */
#include "gateway/core/membership.h"

#include "tests/unit/check.h"

static struct membership it;

static uint32_t propose(uint8_t in, uint8_t needed)
{
	struct config config = {.gen = membership_next_gen(&it)};

	CHECK_TRUE(config.gen > 0);
	membership_propose(&it, &config, in, needed);
	return config.gen;
}

static void start(unsigned voters, uint8_t data, uint8_t in)
{
	uint32_t gen;

	membership_init(&it, voters, data);
	gen = propose(in, 0);
	for (unsigned i = 0; i < voters; i++) {
		if (membership_accepted(&it, (uint8_t)(1u << i), gen))
			break;
	}
	it.stamp_gen = gen;
	CHECK_EQ_INT(in, it.in);
}

static void a_majority_chooses_and_half_does_not(void)
{
	for (unsigned voters = 1; voters <= SET_VOTERS_MAX; voters++) {
		for (unsigned votes = 0; votes < 1u << voters; votes++)
			CHECK_EQ_INT((unsigned)__builtin_popcount(votes) > voters / 2,
				     (membership_init(&it, voters, 1), membership_is_majority(&it, (uint8_t)votes)));
	}
}

static void required_is_the_union_until_a_proposal_is_chosen(void)
{
	uint32_t gen;

	start(4, 7, 7);
	CHECK_EQ_INT(7, membership_required(&it));
	propose(3, 0);
	CHECK_EQ_INT(7, membership_required(&it));
	gen = propose(4, 0);
	CHECK_EQ_INT(7, membership_required(&it));
	CHECK_FALSE(membership_accepted(&it, 1, gen));
	CHECK_FALSE(membership_accepted(&it, 4, gen));
	CHECK_EQ_INT(7, membership_required(&it));
	CHECK_TRUE(membership_accepted(&it, 8, gen));
	CHECK_EQ_INT(4, membership_required(&it));
}

static void a_joiner_is_required_from_its_barrier_on(void)
{
	uint32_t gen;

	start(3, 3, 1);
	it.barrier = 2;
	CHECK_EQ_INT(3, membership_required(&it));
	gen = propose(3, 0);
	it.barrier = 0; /* lost: but it was proposed */
	CHECK_EQ_INT(3, membership_required(&it));
	CHECK_FALSE(membership_accepted(&it, 1, gen));
	CHECK_TRUE(membership_accepted(&it, 4, gen));
	CHECK_EQ_INT(3, it.in);
}

static void votes_for_older_gens_and_repeats_do_not_count(void)
{
	uint32_t old, gen;

	start(3, 3, 3);
	old = propose(1, 0);
	CHECK_FALSE(membership_accepted(&it, 1, old));
	gen = propose(2, 0);
	CHECK_FALSE(membership_accepted(&it, 1, old));
	CHECK_FALSE(membership_accepted(&it, 4, old));
	CHECK_FALSE(membership_accepted(&it, 2, gen));
	CHECK_FALSE(membership_accepted(&it, 2, gen));
	CHECK_TRUE(membership_accepted(&it, 4, gen));
	CHECK_FALSE(membership_accepted(&it, 1, gen));
	CHECK_EQ_INT(2, it.in);
}

static void an_attach_needs_every_counted_replica_besides_a_majority(void)
{
	uint32_t gen;

	membership_init(&it, 5, 7);
	gen = propose(5, 5);
	CHECK_FALSE(membership_accepted(&it, 8, gen));
	CHECK_FALSE(membership_accepted(&it, 16, gen));
	CHECK_FALSE(membership_accepted(&it, 1, gen));
	CHECK_TRUE(membership_accepted(&it, 4, gen));
}

static void stamps_begin_with_a_change_and_end_when_all_are_in(void)
{
	uint32_t gen;

	start(3, 3, 3);
	CHECK_FALSE(membership_stamps(&it));
	it.stamp_gen = membership_next_gen(&it);
	CHECK_TRUE(membership_stamps(&it));
	gen = propose(1, 0);
	CHECK_FALSE(membership_accepted(&it, 1, gen));
	CHECK_TRUE(membership_accepted(&it, 4, gen));
	CHECK_TRUE(membership_stamps(&it));
	gen = propose(3, 0);
	CHECK_TRUE(membership_stamps(&it));
	CHECK_FALSE(membership_accepted(&it, 1, gen));
	CHECK_TRUE(membership_accepted(&it, 4, gen));
	CHECK_FALSE(membership_stamps(&it));
}

static void gens_are_never_used_twice_and_end(void)
{
	start(3, 3, 3);
	membership_reset(&it);
	CHECK_EQ_INT(0, membership_required(&it));
	CHECK_EQ_U64(2, membership_next_gen(&it));
	it.highest_gen = GEN_MAX;
	CHECK_EQ_U64(0, membership_next_gen(&it));
}

/* Every order of proposals and votes of a small world. */
static void every_order_of_votes_keeps_required_above_what_may_be_chosen(void)
{
	struct check_random random;

	check_random_init(&random);
	for (unsigned run = 0; run < 20000; run++) {
		uint8_t ins[8], votes[8] = {0}, chosen = 3, live = 0;
		uint32_t gens[8];
		unsigned count = 0;

		start(3, 3, 3);
		for (unsigned step = 0; step < 12; step++) {
			if (count < 8 && check_random_below(&random, 3) == 0) {
				ins[count] = (uint8_t)(1 + check_random_below(&random, 3));
				gens[count] = propose(ins[count], 0);
				live |= ins[count++];
			} else if (count > 0) {
				unsigned which = (unsigned)check_random_below(&random, count);
				uint8_t vote = (uint8_t)(1u << check_random_below(&random, 3));
				bool is_chosen = membership_accepted(&it, vote, gens[which]);

				votes[which] |= vote;
				if (which + 1 == count && __builtin_popcount(votes[which]) >= 2 && it.has_chosen &&
				    it.chosen.gen == gens[which]) {
					chosen = ins[which];
					live = 0;
				} else {
					CHECK_FALSE(is_chosen);
				}
			}
			CHECK_EQ_INT(chosen | live, membership_required(&it));
		}
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(a_majority_chooses_and_half_does_not),
	CHECK_TEST(required_is_the_union_until_a_proposal_is_chosen),
	CHECK_TEST(a_joiner_is_required_from_its_barrier_on),
	CHECK_TEST(votes_for_older_gens_and_repeats_do_not_count),
	CHECK_TEST(an_attach_needs_every_counted_replica_besides_a_majority),
	CHECK_TEST(stamps_begin_with_a_change_and_end_when_all_are_in),
	CHECK_TEST(gens_are_never_used_twice_and_end),
	CHECK_TEST(every_order_of_votes_keeps_required_above_what_may_be_chosen),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("membership", tests, argc, argv);
}
