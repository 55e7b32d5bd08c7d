/* Copies of disks, and when one may take the place of a newer one. Knows the superblock and the truth; asks no engine
 * but what its status says to people. */
#include "tests/sim/set_back.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

static void copy_init(struct disk_copy *copy)
{
	copy->bytes = malloc((size_t)SIM_BLOCKS_MAX * BLOCK_BYTES_MAX);
	copy->superblock = malloc(SUPERBLOCK_FILE_BYTES);
	if (!copy->bytes || !copy->superblock)
		abort();
}

static void copy_fini(struct disk_copy *copy)
{
	free(copy->bytes);
	free(copy->superblock);
}

void set_back_init(struct set_back *it)
{
	copy_init(&it->older);
	copy_init(&it->newer);
}

void set_back_fini(struct set_back *it)
{
	copy_fini(&it->older);
	copy_fini(&it->newer);
}

void set_back_reset(struct set_back *it)
{
	it->older.is_there = it->newer.is_there = false;
}

static size_t bytes_of(const struct world *world)
{
	return (size_t)world->geometry.blocks * world->geometry.block_bytes;
}

static void copy_slots(uint8_t *to, const uint8_t *from)
{
	for (unsigned i = 0; i < SUPERBLOCK_SLOT_COUNT; i++)
		memcpy(to + (size_t)i * SUPERBLOCK_SLOT_SPACING, from + (size_t)i * SUPERBLOCK_SLOT_SPACING,
		       SUPERBLOCK_SLOT_BYTES);
}

/* As a program reads it: from the page cache. */
static void take(const struct world *world, const struct disk *disk, struct disk_copy *copy)
{
	memcpy(copy->blocks, disk->blocks, sizeof(copy->blocks));
	memcpy(copy->bytes, disk->cache, bytes_of(world));
	copy_slots(copy->superblock, disk->superblock);
	memcpy(copy->stamps, disk->stamps, sizeof(copy->stamps));
	copy->file_end = disk->file_end;
	copy->is_there = true;
}

/* And as it writes it, with an fsync. What was once acknowledged here stays acknowledged: nobody may know better yet.
 */
static void put(struct world *world, struct server *server, const struct disk_copy *copy)
{
	struct disk *disk = &server->disk;
	struct superblock sb;

	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		struct disk_block *it = &disk->blocks[i], was = *it;

		*it = copy->blocks[i];
		it->durable_seq = it->cache_seq;
		it->durable_max = was.durable_max > it->durable_seq ? was.durable_max : it->durable_seq;
		it->applied_seq = was.applied_seq > it->applied_seq ? was.applied_seq : it->applied_seq;
		it->life_seq = it->effect_no = 0;
		it->is_dirty = false;
	}
	memcpy(disk->cache, copy->bytes, bytes_of(world));
	memcpy(disk->durable, copy->bytes, bytes_of(world));
	copy_slots(disk->superblock, copy->superblock);
	memcpy(disk->stamps, copy->stamps, sizeof(disk->stamps));
	disk->file_end = copy->file_end;
	if (disk_read_superblock(disk, &sb))
		world_violation(world, "server %u: the superblock of a copy is unreadable", server->index);
	server->answered_epoch = sb.promised.epoch;
	server->started_failed_syncs = sb.failed_syncs;
}

void set_back_note_start(struct world *world, struct server *server)
{
	struct set_back *it = &server->set_back;

	if (!world->options.w_set_back || it->newer.is_there || server->is_old ||
	    !geometry_has_data(&world->geometry, server->index))
		return;
	if (!it->older.is_there || random_below(&world->random, 4) == 0)
		take(world, &server->disk, &it->older);
}

/* ---- when it must be found out ---- */

static int compare(const struct config *config, const struct truth_config *chosen)
{
	if (config->ballot.epoch != chosen->ballot.epoch)
		return config->ballot.epoch < chosen->ballot.epoch ? -1 : 1;
	return config->gen < chosen->gen ? -1 : config->gen > chosen->gen;
}

/* Every majority has one of those who know of the chosen config without this one. */
static bool is_known_to_others(struct world *world, const struct server *server)
{
	unsigned known = 0, voters = world->geometry.voters;

	for (unsigned i = 0; i < voters; i++) {
		const struct server *other = &world->servers[server->set * voters + i];
		struct superblock sb;

		known += other != server && disk_read_superblock(&other->disk, &sb) == 0 &&
			 compare(&sb.config, &world->truth.sets[server->set].chosen) >= 0;
	}
	return known > voters - (voters / 2 + 1);
}

/* An older attachment that is still there would find a promise that was given up for the last one; and one that is
 * being tried may get a promise, come to nothing, and leave a disk that its gateway refuses and that cannot be put
 * back. */
static bool is_alone(const struct world *world, const struct truth_config *chosen)
{
	for (unsigned i = 0; i < SIM_GATEWAYS; i++) {
		const struct gateway *gateway = &world->gateways[i];

		if (gateway->engine && gateway->nonce != chosen->ballot.nonce)
			return false;
	}
	return true;
}

static const struct voter *own_voter(const struct superblock *sb)
{
	return config_voter(&sb->config, &sb->replica_uuid);
}

static bool read_copy(const struct disk_copy *copy, struct superblock *ret)
{
	struct superblock_slots slots;

	return copy->is_there && superblock_choose(copy->superblock, ret, &slots) == 0;
}

static bool has_forgotten_pages(const struct world *world, const struct disk *disk)
{
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		if (disk->blocks[i].is_forgotten)
			return true;
	}
	return false;
}

/* A set of which a directory has no vote lacks one already. */
static bool all_have_votes(struct world *world, unsigned set)
{
	bool has_old = false;

	for (unsigned i = 0; i < world->geometry.voters; i++)
		has_old |= world->servers[set * world->geometry.voters + i].is_old;
	return !has_old && truth_without_a_vote(world, set) == 0;
}

static bool may_be_set_back(struct world *world, struct server *server)
{
	const struct truth_config *chosen = &world->truth.sets[server->set].chosen;
	const struct truth_voter *voter = &chosen->voters[server->index % world->geometry.voters];
	struct superblock now, older;

	if (server->set_back.newer.is_there || !read_copy(&server->set_back.older, &older) ||
	    disk_read_superblock(&server->disk, &now) || has_forgotten_pages(world, &server->disk))
		return false;
	if (older.life != now.life || !all_have_votes(world, server->set))
		return false;
	/* Nothing that only this disk knows of. */
	if (now.promised.epoch > chosen->ballot.epoch || compare(&now.config, chosen) > 0)
		return false;
	if (older.promised.epoch >= chosen->ballot.epoch || !own_voter(&older) ||
	    own_voter(&older)->in_sync_gen >= voter->in_sync_gen)
		return false;
	return is_known_to_others(world, server) && is_alone(world, chosen);
}

bool set_back_strike(struct world *world, struct server **ret)
{
	unsigned from = (unsigned)random_below(&world->random, world->geometry.servers);

	for (unsigned i = 0; i < world->geometry.servers; i++) {
		struct server *server = &world->servers[(from + i) % world->geometry.servers];

		if (!geometry_has_data(&world->geometry, server->index) || !may_be_set_back(world, server))
			continue;
		server_kill(world, server);
		TRACE(world, "fault: the disk of server % is set back to an older copy", server->index);
		take(world, &server->disk, &server->set_back.newer);
		put(world, server, &server->set_back.older);
		world->counters.set_backs++;
		*ret = server;
		return true;
	}
	return false;
}

/* ---- and what becomes of it ---- */

bool set_back_is_beside(const struct world *world, const struct server *server)
{
	bool ret = false;

	for (unsigned i = 0; i < world->geometry.voters; i++) {
		const struct server *other = &world->servers[server->set * world->geometry.voters + i];

		ret |= other != server && other->set_back.newer.is_there;
	}
	return ret;
}

void set_back_chosen(struct world *world, unsigned set, uint8_t in)
{
	for (unsigned i = 0; i < world->geometry.replicas; i++) {
		struct server *server = &world->servers[set * world->geometry.voters + i];

		/* One that is off has started with nothing yet. */
		if (in & 1u << i && server->process.is_up && truth_is_same_process(world, set, i))
			server->set_back.newer.is_there = false;
	}
}

bool set_back_is_compared(const struct server *server, uint32_t in_sync_gen)
{
	struct superblock sb;
	const struct voter *own;

	if (!server->set_back.newer.is_there || disk_read_superblock(&server->disk, &sb))
		return false;
	own = own_voter(&sb);
	return own && (own->in_sync_gen != in_sync_gen || own->compare == COMPARE_EVERYTHING);
}

bool set_back_is_refused(struct world *world, const struct server *server)
{
	for (unsigned i = 0; i < SIM_GATEWAYS; i++) {
		struct gateway *gateway = &world->gateways[i];

		if (gateway->engine &&
		    strstr(gateway_status(gateway)->legs[server->index].last_error, "its disk was rolled back"))
			return true;
	}
	return false;
}

/* The newer disk does not know what this one has promised: neither is of use. */
static void replace_refused(struct world *world, struct server *server)
{
	if (!server->process.is_up || !world->options.w_replace || !truth_can_replace(world, server))
		return;
	server_kill(world, server);
	server_replace(world, server);
	server_start(world, server);
}

void set_back_operate(struct world *world)
{
	for (unsigned i = 0; i < world->geometry.servers && world->options.w_set_back; i++) {
		struct server *server = &world->servers[i];
		struct superblock now, newer;

		if (!read_copy(&server->set_back.newer, &newer) || server->is_away ||
		    !set_back_is_refused(world, server))
			continue;
		/* Another attachment has got a promise of it meanwhile, and takes it as it is; or comes to nothing. */
		if (disk_read_superblock(&server->disk, &now) || now.promised.epoch > newer.promised.epoch) {
			replace_refused(world, server);
			continue;
		}
		TRACE(world, "the operator puts the newer disk of server % back", i);
		server_kill(world, server);
		put(world, server, &server->set_back.newer);
		server->set_back.newer.is_there = false;
		server_start(world, server);
	}
}
