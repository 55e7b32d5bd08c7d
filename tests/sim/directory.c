/* A server's directory is lost, a blank one takes its place, and the lost one may come back. Knows files, no protocol.
 */
#include <string.h>

#include "tests/sim/world.h"

static void swap(uint8_t **a, uint8_t **b)
{
	uint8_t *other = *a;

	*a = *b;
	*b = other;
}

static void swap_bytes(void *a, void *b, size_t len)
{
	uint8_t *one = a, *other = b;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = one[i];

		one[i] = other[i];
		other[i] = byte;
	}
}

void disk_swap(struct server *server)
{
	struct disk *disk = &server->disk;

	assert(list_is_empty(&disk->inflight));
	swap(&disk->cache, &disk->old_cache);
	swap(&disk->durable, &disk->old_durable);
	swap(&disk->superblock, &disk->old_superblock);
	swap_bytes(disk->blocks, disk->old_blocks, sizeof(disk->blocks));
	swap_bytes(disk->stamps, disk->old_stamps, sizeof(disk->stamps));
	swap_bytes(&disk->file_end, &disk->old_file_end, sizeof(disk->file_end));
}

void disk_replace(struct world *world, struct server *server)
{
	struct disk *disk = &server->disk;
	size_t bytes = (size_t)world->geometry.blocks * world->geometry.block_bytes;

	disk_swap(server);
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
