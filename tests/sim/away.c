/* Who stays away before everything heals, so that the rest shows that it can do without. Knows what is stored, not what
 * an engine thinks. */
#include "tests/sim/world.h"

/* How many of the set must stay, of those that remember what they had: at least one, and min_in_sync of them. */
static unsigned least_of(const struct world *world)
{
	unsigned least = world->options.min_in_sync;

	return least < world->geometry.replicas ? least : world->geometry.replicas;
}

/* Enough that are in sync by the config and remember what they had. */
static bool is_enough(struct world *world, unsigned set, const struct truth_config *config, uint8_t gone)
{
	uint8_t kept = 0;

	for (unsigned i = 0; i < world->geometry.replicas; i++) {
		if (config->in & ~gone & 1u << i && truth_is_same_process_by(world, config, set, i))
			kept |= (uint8_t)(1u << i);
	}
	return kept && (unsigned)__builtin_popcount(kept) >= least_of(world);
}

/* The set can go on without these: by the chosen config, and by a proposal that those who stay would adopt. */
static bool can_lose(struct world *world, unsigned set, uint8_t gone)
{
	struct truth_config adopted;

	gone |= truth_without_a_vote(world, set);
	/* Nor does who is refused for its disk that was set back help. */
	for (unsigned i = 0; i < world->geometry.voters && world->options.w_set_back; i++)
		gone |= (uint8_t)((unsigned)set_back_is_refused(world,
								&world->servers[set * world->geometry.voters + i])
				  << i);
	if (2 * (unsigned)__builtin_popcount(gone) >= world->geometry.voters)
		return false;
	truth_highest(world, set, gone, &adopted);
	return is_enough(world, set, &world->truth.sets[set].chosen, gone) && is_enough(world, set, &adopted, gone);
}

static void send_away(struct world *world, struct server *server)
{
	TRACE(world, "server % stays away for now", server->index);
	if (random_below(&world->random, 3) == 0)
		server_power_loss(world, server);
	else if (random_below(&world->random, 2))
		server_kill(world, server);
	else
		process_pause(world, PROCESS_SERVER(server->index));
	server->is_away = true;
}

void faults_send_away(struct world *world)
{
	for (unsigned set = 0; set < world->geometry.sets; set++) {
		uint8_t gone = 0;

		for (unsigned n = 0; n < world->geometry.voters; n++) {
			unsigned i = (unsigned)random_below(&world->random, world->geometry.voters);

			if (gone & 1u << i || !can_lose(world, set, gone | (uint8_t)(1u << i)))
				continue;
			gone |= (uint8_t)(1u << i);
			send_away(world, &world->servers[set * world->geometry.voters + i]);
		}
	}
}

bool faults_can_do_without(struct world *world)
{
	bool can = true;

	for (unsigned set = 0; set < world->geometry.sets; set++) {
		uint8_t gone = 0;

		for (unsigned i = 0; i < world->geometry.voters; i++)
			gone |= (uint8_t)((unsigned)world->servers[set * world->geometry.voters + i].is_away << i);
		can &= can_lose(world, set, gone);
	}
	return can;
}
