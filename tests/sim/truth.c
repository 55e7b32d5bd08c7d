/* The register's value of each set, seen from outside, and the promises that follow from it. Knows disks and configs;
 * asks no engine. */
#include "tests/sim/truth.h"

#include <string.h>

#include "tests/sim/world.h"

static struct server *server_at(struct world *world, unsigned set, unsigned in_set)
{
	return &world->servers[set * world->geometry.voters + in_set];
}

static void summarize(const struct config *config, struct truth_config *ret)
{
	*ret = (struct truth_config){.ballot = config->ballot, .gen = config->gen, .loss_count = config->loss_count};
	for (unsigned i = 0; i < config->voter_count; i++) {
		const struct voter *voter = &config->voters[i];

		if (voter->kind == VOTER_REPLICA && voter->state == VOTER_IN)
			ret->in |= (uint8_t)(1u << i);
		ret->voters[i] = (struct truth_voter){voter->compare, voter->in_sync_gen, voter->incarnation,
						      voter->boot_id, voter->life};
	}
}

void truth_reset(struct world *world)
{
	struct config config;

	for (unsigned i = 0; i < world->geometry.sets; i++) {
		world->truth.sets[i].count = 0;
		world->truth.sets[i].is_unsettled = false;
		geometry_config(&world->geometry, i, &config);
		summarize(&config, &world->truth.sets[i].chosen);
	}
}

static struct truth_config *remember(struct world *world, unsigned set, const struct truth_config *config)
{
	struct truth_set *it = &world->truth.sets[set];
	unsigned kept = it->count < SIM_CONFIGS_KEPT ? it->count : SIM_CONFIGS_KEPT;

	for (unsigned i = 0; i < kept; i++) {
		struct truth_config *old = &it->recent[i];

		/* A later attach, which saw nothing of a gen that reached a minority, may use its number again. */
		if (old->gen != config->gen || old->ballot.epoch != config->ballot.epoch)
			continue;
		if (old->ballot.nonce != config->ballot.nonce || old->in != config->in ||
		    old->loss_count != config->loss_count)
			world_violation(world, "set %u: gen %u of epoch %u names two configs", set, config->gen,
					config->ballot.epoch);
		return old;
	}
	it->recent[it->count % SIM_CONFIGS_KEPT] = *config;
	return &it->recent[it->count++ % SIM_CONFIGS_KEPT];
}

/* ---- what a new value of the register must keep ---- */

bool truth_is_same_process_by(const struct world *world, const struct truth_config *config, unsigned set,
			      unsigned in_set)
{
	const struct truth_voter *voter = &config->voters[in_set];
	const struct server *server = &world->servers[set * world->geometry.voters + in_set];

	return server->has_replica && (voter->incarnation == 0 || voter->incarnation == server->identity.incarnation);
}

bool truth_is_same_process(const struct world *world, unsigned set, unsigned in_set)
{
	return truth_is_same_process_by(world, &world->truth.sets[set].chosen, set, in_set);
}

/* R3.3: no replica in sync is the process it was, and one lost power. */
static bool is_lost(struct world *world, unsigned set, const struct truth_config *config)
{
	bool has_lost_power = false;
	struct uuid boot_id;

	for (unsigned i = 0; i < world->geometry.replicas; i++) {
		if (!(config->in & 1u << i))
			continue;
		if (truth_is_same_process_by(world, config, set, i))
			return false;
		boot_id = server_boot_id(server_at(world, set, i));
		has_lost_power |= !uuid_equal(&config->voters[i].boot_id, &boot_id);
	}
	return has_lost_power;
}

/* Above the chosen one there may be proposals that reached somebody: any of them may have been adopted. */
static void check_loss(struct world *world, unsigned set, const struct truth_config *new)
{
	const struct truth_set *it = &world->truth.sets[set];
	unsigned kept = it->count < SIM_CONFIGS_KEPT ? it->count : SIM_CONFIGS_KEPT;
	bool is_lawful = is_lost(world, set, &it->chosen);

	for (unsigned i = 0; i < kept && !is_lawful; i++)
		is_lawful = it->recent[i].gen > it->chosen.gen &&
			    it->recent[i].gen < new->gen &&is_lost(world, set, &it->recent[i]);
	if (!is_lawful)
		world_violation(world, "set %u: a loss is recorded, and a replica in sync has lost nothing", set);
}

/* A power loss tears what was under way to the disks: then nobody has anything to give, whatever he had. */
static bool has_a_source(struct world *world, unsigned set, unsigned block, uint64_t seq, bool durable)
{
	const struct truth_config *old = &world->truth.sets[set].chosen;

	for (unsigned i = 0; i < world->geometry.replicas; i++) {
		struct server *server = server_at(world, set, i);

		if (old->in & 1u << i && disk_voters_block(server, block)->cache_seq &&
		    disk_holds(world, server, block, seq, durable))
			return history_keeps(world, block, seq);
	}
	return false;
}

/* R7: who joins has everything that completed, and on its disk what was flushed, as far as those in sync have it. */
static void check_joiner(struct world *world, unsigned set, unsigned in_set)
{
	struct server *joiner = server_at(world, set, in_set);

	for (unsigned i = 0; i < world->geometry.replicas && joiner->has_old; i++) {
		if (world->truth.sets[set].chosen.in & 1u << i)
			disk_found_equal(world, joiner, server_at(world, set, i));
	}
	for (unsigned i = 0; i < world->geometry.in_set_count[set]; i++) {
		unsigned block = world->geometry.in_set[set][i];
		uint64_t seq = world->history.completed_seq[block];

		if (has_a_source(world, set, block, seq, false) && !disk_holds(world, joiner, block, seq, false))
			world_violation(world, "server %u joins, and has not block %u of epoch %u write %u",
					joiner->index, block, (unsigned)(seq >> 32), (unsigned)seq);
		seq = world->history.flushed_seq[block];
		if (has_a_source(world, set, block, seq, true) && !disk_holds(world, joiner, block, seq, true))
			world_violation(world, "server %u joins, and has not block %u, which was flushed, on its disk",
					joiner->index, block);
	}
}

static void check_change(struct world *world, unsigned set, const struct truth_config *config)
{
	const struct truth_config *old = &world->truth.sets[set].chosen;

	if (config->ballot.epoch == old->ballot.epoch && config->ballot.nonce != old->ballot.nonce)
		world_violation(world, "set %u: two attachments have epoch %u", set, config->ballot.epoch);
	if (config->gen <= old->gen)
		world_violation(world, "set %u: gen %u follows gen %u", set, config->gen, old->gen);
	if (config->in == 0)
		world_violation(world, "set %u: nobody is in sync in gen %u", set, config->gen);
	if (config->loss_count < old->loss_count)
		world_violation(world, "set %u: gen %u forgets a recorded loss", set, config->gen);
	if (config->loss_count > old->loss_count)
		check_loss(world, set, config);
	/* By a proposal that reached somebody, a loss may leave other replicas in sync than the chosen ones. */
	if (config->loss_count > old->loss_count)
		return;
	for (unsigned i = 0; i < world->geometry.replicas; i++) {
		/* One that has lost its memory since is found out when it comes back. */
		if (config->in & ~old->in & 1u << i && truth_is_same_process_by(world, config, set, i))
			check_joiner(world, set, i);
	}
}

static void tell_gateways(struct world *world, unsigned set, const struct truth_config *config)
{
	for (unsigned i = 0; i < SIM_GATEWAYS; i++) {
		struct gateway *gateway = &world->gateways[i];

		if (!gateway->engine || gateway->nonce != config->ballot.nonce || config->gen <= gateway->own[set].gen)
			continue;
		if (gateway->own[set].gen == 0)
			gateway->took_over_ns = world->now_ns;
		gateway->own[set] = *config;
	}
}

/* What others left unfinished took effect before the last lease of an older gateway is over, or never. */
static void settle(struct world *world, unsigned set, unsigned owner)
{
	world->truth.sets[set].is_unsettled = false;
	history_close_writes(world, set, owner);
}

void truth_settle_all(struct world *world)
{
	for (unsigned i = 0; i < world->geometry.sets; i++) {
		if (world->truth.sets[i].is_unsettled)
			settle(world, i, gateway_of_nonce(world, world->truth.sets[i].chosen.ballot.nonce));
	}
}

void truth_settle(struct world *world, struct gateway *gateway)
{
	for (unsigned i = 0; i < world->geometry.sets; i++) {
		if (world->truth.sets[i].is_unsettled && gateway->engine &&
		    world->truth.sets[i].chosen.ballot.nonce == gateway->nonce &&
		    engine_outlived_leases(gateway->engine))
			settle(world, i, gateway->index);
	}
}

static void attached_anew(struct world *world, unsigned set, const struct truth_config *config)
{
	unsigned owner = gateway_of_nonce(world, config->ballot.nonce);

	for (unsigned i = 0; i < SIM_GATEWAYS; i++) {
		if (i != owner)
			app_orphan(world, &world->gateways[i], set);
	}
	if (owner != SIM_NO_OWNER)
		world->gateways[owner].device.superseded &= (uint8_t) ~(1u << set);
	world->truth.sets[set].is_unsettled = true;
}

static void become_chosen(struct world *world, unsigned set, const struct truth_config *config)
{
	struct truth_config old = world->truth.sets[set].chosen;

	if (config->ballot.epoch < old.ballot.epoch ||
	    (config->ballot.epoch == old.ballot.epoch && config->gen <= old.gen))
		return; /* learnt late: a newer one was chosen before */
	TRACE(world, "set %: gen % of epoch % is chosen, in sync % (bits), losses %", set, config->gen,
	      config->ballot.epoch, config->in, config->loss_count);
	check_change(world, set, config);
	if (config->ballot.nonce != old.ballot.nonce || config->loss_count > old.loss_count)
		attached_anew(world, set, config);
	if (config->loss_count > old.loss_count) {
		settle(world, set, gateway_of_nonce(world, config->ballot.nonce));
		history_lose(world, set, config->ballot.epoch);
	}
	world->truth.sets[set].chosen = *config;
	world->truth.sets[set].chosen.stored_by = 0;
	set_back_chosen(world, set, config->in);
	truth_check_stamps(world);
}

void truth_stored(struct world *world, struct server *server)
{
	unsigned set = server->set, in_set = server->index % world->geometry.voters;
	struct truth_config config, *it;

	summarize(&server->replica.sb.config, &config);
	if (config.ballot.epoch == 0)
		return;
	it = remember(world, set, &config);
	if (it->stored_by & 1u << in_set)
		return;
	it->stored_by |= (uint8_t)(1u << in_set);
	if (2 * (unsigned)__builtin_popcount(it->stored_by) <= world->geometry.voters)
		return;
	tell_gateways(world, set, it);
	become_chosen(world, set, it);
}

/* ---- what the gateways may not do without ---- */

uint8_t truth_in_sync(const struct world *world, const struct gateway *gateway, unsigned set)
{
	uint8_t in = gateway->own[set].in;

	/* A directory was lost after others had chosen to do without it, which this gateway may not have heard of. */
	for (unsigned i = 0; i < world->geometry.replicas; i++) {
		const struct server *server = &world->servers[set * world->geometry.voters + i];

		if (!server->is_old && !server_is_voter(server, gateway->own[set].voters[i].life))
			in &= (uint8_t) ~(1u << i);
	}
	return in;
}

bool truth_is_owner(const struct world *world, const struct gateway *gateway)
{
	for (unsigned i = 0; i < world->geometry.sets; i++) {
		if (world->truth.sets[i].chosen.ballot.nonce != gateway->nonce)
			return false;
	}
	return true;
}

bool truth_all_in_sync(const struct world *world)
{
	for (unsigned i = 0; i < world->geometry.sets; i++) {
		if ((unsigned)__builtin_popcount(world->truth.sets[i].chosen.in) != world->geometry.replicas)
			return false;
	}
	return true;
}

uint8_t truth_without_a_vote(struct world *world, unsigned set)
{
	uint8_t ret = 0;

	for (unsigned i = 0; i < world->geometry.voters; i++) {
		if (!server_is_voter(server_at(world, set, i), world->truth.sets[set].chosen.voters[i].life))
			ret |= (uint8_t)(1u << i);
	}
	return ret;
}

/* By the config on its disk, at least the chosen one: that replica is out, and all have the votes that they think. */
static bool allows_loss(struct world *world, unsigned set, const struct server *other, unsigned in_set, bool *ret_stale)
{
	const struct truth_config *chosen = &world->truth.sets[set].chosen;
	const struct config *config;
	struct superblock sb;

	*ret_stale = true;
	if (disk_read_superblock(&other->disk, &sb))
		return false;
	config = &sb.config;
	*ret_stale = config->ballot.epoch < chosen->ballot.epoch ||
		     (config->ballot.epoch == chosen->ballot.epoch && config->gen < chosen->gen);
	for (unsigned i = 0; i < config->voter_count; i++) {
		if (!server_is_voter(server_at(world, set, i), config->voters[i].life))
			return false;
	}
	return config->voters[in_set].state == VOTER_OUT;
}

bool truth_can_replace(struct world *world, struct server *server)
{
	const struct truth_config *chosen = &world->truth.sets[server->set].chosen;
	unsigned in_set = server->index % world->geometry.voters, fresh = 0;

	if (set_back_is_beside(world, server))
		return false;
	for (unsigned i = 0; i < world->geometry.voters; i++) {
		struct server *other = server_at(world, server->set, i);
		bool is_stale, is_out;

		if (other == server)
			continue;
		if (other->is_old || !server_is_voter(other, chosen->voters[i].life))
			return false;
		is_out = allows_loss(world, server->set, other, in_set, &is_stale);
		if (!is_out && !is_stale)
			return false;
		fresh += is_out && !is_stale;
	}
	return server_is_voter(server, chosen->voters[in_set].life) && 2 * fresh > world->geometry.voters;
}

void truth_highest(struct world *world, unsigned set, uint8_t gone, struct truth_config *ret)
{
	*ret = world->truth.sets[set].chosen;
	for (unsigned i = 0; i < world->geometry.voters; i++) {
		const struct server *server = server_at(world, set, i);
		const struct config *config = &server->replica.sb.config;

		if (gone & 1u << i || !server->has_replica || config->ballot.epoch < ret->ballot.epoch ||
		    (config->ballot.epoch == ret->ballot.epoch && config->gen <= ret->gen))
			continue;
		summarize(config, ret);
	}
}

/* ---- stamps ---- */

static bool has_stamp(const struct server *server, uint64_t region, uint32_t above)
{
	return server->has_replica && stamps_get(&server->replica.stamps, region) > above;
}

static bool list_has_region(const struct unstable *list, uint64_t region)
{
	for (uint32_t i = 0; i < unstable_count(list); i++) {
		const struct extent *extent = unstable_get(list, i);

		if (extent->offset / REGION_BYTES <= region &&
		    region <= (extent->offset + extent->length - 1) / REGION_BYTES)
			return true;
	}
	return unstable_is_everything(list);
}

/* Would a rejoin of `out` from `in` look at the region? */
static bool is_covered(const struct server *in, const struct server *out, const struct truth_voter *voter,
		       uint64_t region)
{
	if (has_stamp(in, region, voter->in_sync_gen) || has_stamp(out, region, voter->in_sync_gen))
		return true;
	if (voter->compare == COMPARE_EVERYTHING || set_back_is_compared(out, voter->in_sync_gen))
		return true;
	if (voter->compare != COMPARE_ITS_LIST)
		return false;
	return voter->incarnation != out->identity.incarnation || list_has_region(&out->replica.unstable, region);
}

static void check_pair(struct world *world, unsigned set, struct server *in, struct server *out)
{
	const struct truth_voter *voter = &world->truth.sets[set].chosen.voters[out->index % world->geometry.voters];

	for (unsigned i = 0; i < world->geometry.in_set_count[set]; i++) {
		unsigned block = world->geometry.in_set[set][i];
		uint64_t region = world->geometry.set_offset[block] / REGION_BYTES;

		if (world->history.blocks[block].is_tainted || disk_are_equal(world, in, out, block) ||
		    is_covered(in, out, voter, region))
			continue;
		world_violation(world,
				"server %u is out since gen %u and differs from server %u in block %u, which no stamp "
				"and no list names",
				out->index, voter->in_sync_gen, in->index, block);
	}
}

void truth_check_stamps(struct world *world)
{
	for (unsigned set = 0; set < world->geometry.sets; set++) {
		uint8_t in = world->truth.sets[set].chosen.in;

		for (unsigned i = 0; i < world->geometry.replicas; i++) {
			struct server *member = server_at(world, set, i);

			/* One that lost its memory is no source: whoever counts it in compares everything. */
			if (!(in & 1u << i) || !member->has_replica || !truth_is_same_process(world, set, i))
				continue;
			for (unsigned j = 0; j < world->geometry.replicas; j++) {
				struct server *out = server_at(world, set, j);

				/* A directory without a vote is not one that a rejoin would look at. */
				if (!(in & 1u << j) && out->has_replica &&
				    server_is_voter(out, world->truth.sets[set].chosen.voters[j].life))
					check_pair(world, set, member, out);
			}
		}
	}
}

/* ---- mirrors ---- */

static void check_set(struct world *world, unsigned set)
{
	uint8_t in = world->truth.sets[set].chosen.in;
	struct server *first = server_at(world, set, (unsigned)__builtin_ctz(in));

	for (unsigned i = 0; i < world->geometry.in_set_count[set]; i++) {
		unsigned block = world->geometry.in_set[set][i];

		for (unsigned j = 0; j < world->geometry.replicas; j++) {
			struct server *other = server_at(world, set, j);

			if (in & 1u << j && !world->history.blocks[block].is_tainted &&
			    !disk_are_equal(world, first, other, block))
				world_violation(
					world, "block %u differs between servers %u and %u, and nothing is outstanding",
					block, first->index, other->index);
		}
	}
}

void truth_check_mirrors(struct world *world)
{
	for (unsigned set = 0; set < world->geometry.sets; set++)
		check_set(world, set);
}
