/* Which epoch and which config an attachment gets, from what the replicas reported. Pure decisions: sends nothing.
 * Before any request: barrier.c asks when every replica was probed, and again when every replica has promised. */
#include <errno.h>
#include <inttypes.h>

#include "common/mutant.h"
#include "gateway/core/engine_state.h"

bool adopt_is_ours(const struct engine *engine, const struct ballot *ballot)
{
	return ballot->epoch == engine->ballot.epoch && ballot->nonce == engine->ballot.nonce;
}

bool adopt_is_foreign(const struct engine *engine, const struct ballot *promised)
{
	return promised->epoch >= engine->ballot.epoch && !adopt_is_ours(engine, promised);
}

/* One above everything seen, the same for all sets. */
int adopt_epoch(const struct engine *engine, uint32_t *ret_epoch, struct err *err)
{
	uint32_t highest = 0;

	for (unsigned i = 0; i < engine->leg_count; i++) {
		const struct leg *leg = &engine->legs[i];

		if (leg->promised.epoch > highest)
			highest = leg->promised.epoch;
		if (leg->config.ballot.epoch > highest)
			highest = leg->config.ballot.epoch;
	}
	if (highest == UINT32_MAX)
		return err_set(err, -EOVERFLOW, "volume %s: epochs are used up", engine->spec.name);
	*ret_epoch = highest + (MUTANT(epoch_taken_twice) && highest ? 0 : 1);
	return 0;
}

static const struct leg *leg_with_highest(struct engine *engine, const struct set *set)
{
	const struct leg *best = set_leg(engine, set, 0);

	for (unsigned i = 1; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		if (config_compare(&leg->config, &best->config) > 0)
			best = leg;
	}
	return best;
}

/* A gen never names two values; if it does, a directory was copied or edited. */
static int check_agree(struct engine *engine, const struct set *set, const struct leg *best, struct err *err)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);

		if (config_compare(&leg->config, &best->config) == 0 &&
		    leg->config.ballot.nonce != best->config.ballot.nonce)
			return err_set(err, -EINVAL,
				       "volume %s, set %u: replicas %s and %s store different configs as gen %" PRIu32
				       "; one of them is a copy of another time",
				       engine->spec.name, set->index,
				       volume_leg_replica(&engine->spec, leg->index, NULL)->name,
				       volume_leg_replica(&engine->spec, best->index, NULL)->name, best->config.gen);
	}
	return 0;
}

static int check_all_in(const struct engine *engine, const struct set *set, const struct config *config,
			struct err *err)
{
	const struct set_spec *spec = &engine->spec.sets[set->index];

	for (unsigned i = 0; i < spec->replica_count; i++) {
		const struct voter *voter = config_voter(config, &spec->replicas[i].uuid);

		/* NEEDSWORK(rejoin): it would be synced and taken in again. */
		if (!voter || voter->state != VOTER_IN)
			return err_set(err, -EINVAL, "volume %s, set %u: replica %s is out of sync since gen %" PRIu32,
				       engine->spec.name, set->index, spec->replicas[i].name,
				       voter ? voter->in_sync_gen : 0);
	}
	return 0;
}

static void fill_voters(struct engine *engine, const struct set *set, struct config *config)
{
	for (unsigned i = 0; i < set->leg_count; i++) {
		const struct leg *leg = set_leg(engine, set, i);
		const struct replica_spec *replica = volume_leg_replica(&engine->spec, leg->index, NULL);

		for (unsigned j = 0; j < config->voter_count; j++) {
			struct voter *voter = &config->voters[j];

			if (!uuid_equal(&voter->uuid, &replica->uuid))
				continue;
			/* The file says where replicas are now; the config follows. */
			volume_replica_address(replica, voter->address);
			voter->in_sync_gen = config->gen;
			voter->incarnation = leg->hello_incarnation;
			voter->boot_id = leg->hello_boot_id;
		}
	}
}

int adopt_config(struct engine *engine, struct set *set, struct err *err)
{
	const struct leg *best = leg_with_highest(engine, set);
	int error = check_agree(engine, set, best, err);

	if (!error)
		error = check_all_in(engine, set, &best->config, err);
	if (!error && best->config.gen == UINT32_MAX)
		error = err_set(err, -EOVERFLOW, "volume %s, set %u: gens are used up", engine->spec.name, set->index);
	if (error)
		return error;
	set->config = best->config;
	set->config.ballot = engine->ballot;
	set->config.gen++;
	fill_voters(engine, set, &set->config);
	return 0;
}
