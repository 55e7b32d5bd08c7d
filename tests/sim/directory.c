/* A server's directory is lost, a blank one takes its place, and the lost one may come back. Knows files, no protocol.
 */
#include <string.h>

#include "tests/sim/world.h"

static void copy_slots(uint8_t *to, const uint8_t *from)
{
	for (unsigned i = 0; i < SUPERBLOCK_SLOT_COUNT; i++)
		memcpy(to + i * SUPERBLOCK_SLOT_SPACING, from + i * SUPERBLOCK_SLOT_SPACING, SUPERBLOCK_SLOT_BYTES);
}

void disk_replace(struct world *world, struct server *server)
{
	struct disk *disk = &server->disk;
	size_t bytes = (size_t)world->geometry.blocks * world->geometry.block_bytes;

	assert(list_is_empty(&disk->inflight));
	copy_slots(disk->old_superblock, disk->superblock);
	memcpy(disk->old_stamps, disk->stamps, sizeof(disk->stamps));
	memset(disk->blocks, 0, sizeof(disk->blocks));
	memset(disk->cache, 0, bytes);
	memset(disk->durable, 0, bytes);
	disk_create(world, server, SUPERBLOCK_INCOMPAT_BLANK);
}

void disk_found_equal(struct world *world, struct server *server, const struct server *source)
{
	for (unsigned i = 0; i < world->geometry.in_set_count[server->set]; i++) {
		unsigned block = world->geometry.in_set[server->set][i];
		struct disk_block *it = &server->disk.blocks[block];
		uint64_t seq = source->disk.blocks[block].cache_seq;

		if (it->applied_seq != 0 || it->is_dirty || seq == 0 || !disk_are_equal(world, server, source, block))
			continue;
		it->cache_seq = it->applied_seq = it->durable_seq = it->durable_max = seq;
	}
}

void disk_swap(struct server *server)
{
	struct disk *disk = &server->disk;
	uint8_t slots[SUPERBLOCK_SLOT_BYTES], stamps[SIM_STAMPS_BYTES];

	assert(list_is_empty(&disk->inflight));
	for (unsigned i = 0; i < SUPERBLOCK_SLOT_COUNT; i++) {
		uint8_t *now = disk->superblock + i * SUPERBLOCK_SLOT_SPACING;
		uint8_t *old = disk->old_superblock + i * SUPERBLOCK_SLOT_SPACING;

		memcpy(slots, now, sizeof(slots));
		memcpy(now, old, sizeof(slots));
		memcpy(old, slots, sizeof(slots));
	}
	memcpy(stamps, disk->stamps, sizeof(stamps));
	memcpy(disk->stamps, disk->old_stamps, sizeof(stamps));
	memcpy(disk->old_stamps, stamps, sizeof(stamps));
}

void server_replace(struct world *world, struct server *server)
{
	assert(!server->process.is_up && !server->is_old);
	TRACE(world, "the directory of server % is lost, a blank one takes its place", server->index);
	disk_replace(world, server);
	set_back_reset(&server->set_back); /* its copies were in that directory's place */
	server->has_old = true;
	server->old_answered_epoch = server->answered_epoch;
	server->answered_epoch = 0;
	world->counters.replaced++;
}

void server_swap(struct world *world, struct server *server)
{
	uint32_t epoch = server->answered_epoch;

	server_kill(world, server);
	server->is_old = !server->is_old;
	TRACE(world, "server % has its % directory", server->index, server->is_old ? 1 : 2);
	disk_swap(server);
	server->answered_epoch = server->old_answered_epoch;
	server->old_answered_epoch = epoch;
}

bool server_is_voter(const struct server *server, uint64_t life)
{
	struct superblock sb;

	if (server->has_replica)
		return !superblock_is_blank(&server->replica.sb) && server->replica.sb.life == life;
	return disk_read_superblock(&server->disk, &sb) == 0 && !superblock_is_blank(&sb) && sb.life == life;
}
