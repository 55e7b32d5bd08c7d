/* One replica's files. Plays the kernel's page cache and the disk under it; knows of frames only what the checks need:
 * the epoch, session and number of the write an operation belongs to. */
#include "tests/sim/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replica-server/core/session.h"
#include "tests/sim/world.h"

#define SLOW_FACTOR 30u

void disk_init(struct disk *disk)
{
	disk->cache = calloc(SIM_BLOCKS_MAX, BLOCK_BYTES_MAX);
	disk->durable = calloc(SIM_BLOCKS_MAX, BLOCK_BYTES_MAX);
	disk->superblock = calloc(1, SUPERBLOCK_FILE_BYTES);
	disk->old_cache = calloc(SIM_BLOCKS_MAX, BLOCK_BYTES_MAX);
	disk->old_durable = calloc(SIM_BLOCKS_MAX, BLOCK_BYTES_MAX);
	disk->old_superblock = calloc(1, SUPERBLOCK_FILE_BYTES);
	if (!disk->cache || !disk->durable || !disk->superblock || !disk->old_cache || !disk->old_durable ||
	    !disk->old_superblock)
		abort();
}

void disk_fini(struct disk *disk)
{
	free(disk->cache);
	free(disk->durable);
	free(disk->superblock);
	free(disk->old_cache);
	free(disk->old_durable);
	free(disk->old_superblock);
}

static uint8_t *block_at(const struct world *world, uint8_t *bytes, unsigned block)
{
	return bytes + (size_t)block * world->geometry.block_bytes;
}

void disk_write_superblock(struct disk *disk, struct superblock *sb)
{
	int error;

	sb->sequence++;
	error = superblock_encode(sb, disk->superblock + superblock_slot_offset(sb->sequence));
	assert(!error);
}

void disk_create(struct world *world, struct server *server, uint64_t incompat)
{
	struct disk *disk = &server->disk;
	bool has_data = geometry_has_data(&world->geometry, server->index);
	struct superblock sb = {.volume_name = "sim",
				.created_s = 1,
				.incompat = incompat | (has_data ? 0 : SUPERBLOCK_INCOMPAT_WITNESS)};
	struct stamps_header header;

	geometry_config(&world->geometry, server->set, &sb.config);
	sb.replica_uuid = volume_leg_replica(&world->geometry.spec, server->index, NULL)->uuid;
	for (unsigned i = 0; i < SUPERBLOCK_SLOT_COUNT; i++)
		memset(disk->superblock + i * SUPERBLOCK_SLOT_SPACING, 0, SUPERBLOCK_SLOT_BYTES);
	disk_write_superblock(disk, &sb);
	memset(disk->stamps, 0, sizeof(disk->stamps));
	header = (struct stamps_header){sb.config.set_uuid, sb.replica_uuid, stamps_region_count(sb.config.set_bytes)};
	stamps_header_encode(&header, disk->stamps);
	disk->file_end = sb.config.set_bytes;
}

void disk_reset(struct world *world, struct server *server)
{
	struct disk *disk = &server->disk;
	size_t bytes = (size_t)world->geometry.blocks * world->geometry.block_bytes;

	list_init(&disk->inflight);
	disk->effects = disk->sync_no = 0;
	disk->syncs = 0;
	disk->fail_writes = disk->fail_reads = disk->fail_space = disk->fail_syncs = 0;
	disk->slow_until_ns = 0;
	memset(disk->blocks, 0, sizeof(disk->blocks));
	memset(disk->cache, 0, bytes);
	memset(disk->durable, 0, bytes);
	disk_create(world, server, 0);
}

static bool is_change(const struct store_op *op)
{
	return op->kind == STORE_WRITE || op->kind == STORE_PUNCH || op->kind == STORE_ZERO;
}

/* The session is the only one who submits reads and changes of the data file. */
static const struct frame *frame_of(struct store_op *op)
{
	return &container_of(op, struct served, op)->frame;
}

static uint64_t seq_of(struct store_op *op)
{
	return disk_seq(frame_of(op)->epoch, frame_of(op)->wseq);
}

static bool is_copy(struct store_op *op)
{
	return frame_of(op)->flags & FRAME_F_COPY;
}

/* P3: what has been promised away, and what an older session sent, is not executed any more. */
static void check_fence(struct world *world, struct server *server, struct store_op *op)
{
	const struct frame *frame = frame_of(op);

	if (frame->epoch < server->answered_epoch)
		world_violation(world, "server %u executes a request of epoch %u after it promised epoch %u",
				server->index, frame->epoch, server->answered_epoch);
	if (frame->epoch == server->answered_epoch && frame->session < server->answered_session)
		world_violation(world, "server %u executes a request of session %u after session %u was opened",
				server->index, frame->session, server->answered_session);
}

static void make_durable(struct world *world, struct disk *disk, unsigned block)
{
	struct disk_block *it = &disk->blocks[block];

	memcpy(block_at(world, disk->durable, block), block_at(world, disk->cache, block), world->geometry.block_bytes);
	it->durable_seq = it->cache_seq;
	it->durable_max = it->durable_seq > it->durable_max ? it->durable_seq : it->durable_max;
	it->is_dirty = false;
}

/* The old bytes may have reached the disk before; under a running fsync that had to cover them they must. */
static void before_overwrite(struct world *world, struct disk *disk, unsigned block)
{
	struct disk_block *it = &disk->blocks[block];

	if (!it->is_dirty)
		return;
	if ((disk->syncs && it->effect_no <= disk->sync_no) ||
	    random_chance(&world->random, world->options.writeback_pm))
		make_durable(world, disk, block);
}

static struct server *server_at(struct world *world, unsigned block, unsigned in_set)
{
	return &world->servers[world->geometry.set_of[block] * world->geometry.voters + in_set];
}

/* A copy is the write whose bytes it brings: as the replica that has them knows it. */
static uint64_t copied_seq(struct world *world, const uint8_t *bytes, unsigned block)
{
	uint64_t seq = 0;

	for (unsigned i = 0; i < world->geometry.replicas; i++) {
		struct disk *disk = &server_at(world, block, i)->disk;

		if (disk->blocks[block].cache_seq > seq &&
		    memcmp(block_at(world, disk->cache, block), bytes, world->geometry.block_bytes) == 0)
			seq = disk->blocks[block].cache_seq;
	}
	return seq;
}

static void change_block(struct world *world, struct server *server, struct store_op *op, unsigned block)
{
	struct disk *disk = &server->disk;
	struct disk_block *it = &disk->blocks[block];
	uint64_t at = world->geometry.set_offset[block] - op->offset;
	uint64_t seq = is_copy(op) ? copied_seq(world, op->data + at, block) : seq_of(op);

	before_overwrite(world, disk, block);
	if (op->kind == STORE_WRITE)
		memcpy(block_at(world, disk->cache, block), op->data + at, world->geometry.block_bytes);
	else
		memset(block_at(world, disk->cache, block), 0, world->geometry.block_bytes);
	it->cache_seq = seq;
	it->applied_seq = seq > it->applied_seq ? seq : it->applied_seq;
	it->is_dirty = true;
	if (!is_copy(op))
		it->life_seq = seq > it->life_seq ? seq : it->life_seq;
	it->is_forgotten = it->is_cut_off = false;
	it->effect_no = ++disk->effects;
	TRACE(world, "disk %: block % holds epoch % write % now (copy %)", server->index, block, seq >> 32,
	      seq & UINT32_MAX, is_copy(op));
}

static void read_blocks(struct world *world, struct server *server, struct store_op *op, unsigned from, unsigned to)
{
	struct disk *disk = &server->disk;
	uint64_t left = op->offset < disk->file_end ? disk->file_end - op->offset : 0;

	op->bytes = op->length < left ? op->length : left;
	memset(op->data, SIM_POISON, op->length);
	for (unsigned i = from; i < to; i++) {
		unsigned block = world->geometry.in_set[server->set][i];

		memcpy(op->data + (world->geometry.set_offset[block] - op->offset), block_at(world, disk->cache, block),
		       world->geometry.block_bytes);
	}
	memset(op->data + op->bytes, SIM_POISON, op->length - op->bytes);
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

/* Half of SHA-256 in the store; here any two different contents get different numbers, as good as always. */
static void digest_blocks(struct world *world, struct server *server, struct store_op *op, unsigned from, unsigned to)
{
	uint64_t word;

	memset(op->data, 0, (size_t)((op->length + DIGEST_PIECE_BYTES - 1) / DIGEST_PIECE_BYTES) * DIGEST_BYTES);
	for (unsigned i = from; i < to; i++) {
		unsigned block = world->geometry.in_set[server->set][i];
		uint64_t piece = (world->geometry.set_offset[block] - op->offset) / DIGEST_PIECE_BYTES, hash[2];
		const uint8_t *bytes = block_at(world, server->disk.cache, block);

		memcpy(hash, op->data + piece * DIGEST_BYTES, sizeof(hash));
		for (uint32_t at = 0; at < world->geometry.block_bytes; at += 8) {
			memcpy(&word, bytes + at, 8);
			hash[0] = mix(hash[0], word);
			hash[1] = mix(hash[1] + at, word);
		}
		memcpy(op->data + piece * DIGEST_BYTES, hash, sizeof(hash));
	}
}

void disk_take_effect(struct world *world, struct server *server, struct store_op *op)
{
	struct disk *disk = &server->disk;
	unsigned from, to;

	if (op->stage)
		return;
	op->stage = 1;
	if (op->kind == STORE_WRITE_SUPERBLOCK) {
		memcpy(disk->superblock + op->offset, op->data, op->length);
		truth_stored(world, server);
	}
	if (op->kind == STORE_WRITE_STAMPS)
		memcpy(disk->stamps + op->offset, op->data, op->length);
	if (op->kind != STORE_READ && op->kind != STORE_DIGEST && !is_change(op))
		return;
	to = geometry_find(&world->geometry, server->set, op->offset, op->length, &from);
	if (op->kind == STORE_DIGEST) {
		digest_blocks(world, server, op, from, to);
		return;
	}
	check_fence(world, server, op);
	if (op->kind == STORE_READ) {
		read_blocks(world, server, op, from, to);
		return;
	}
	for (unsigned i = from; i < to; i++)
		change_block(world, server, op, world->geometry.in_set[server->set][i]);
	if (op->kind == STORE_WRITE && op->offset + op->length > disk->file_end)
		disk->file_end = op->offset + op->length;
}

void disk_submit(struct world *world, struct server *server, struct store_op *op)
{
	struct disk *disk = &server->disk;

	list_init(&op->node);
	list_add_tail(&disk->inflight, &op->node);
	op->stage = 0;
	op->error = 0;
	op->bytes = 0;
	op->progress = disk->effects;
	if (op->kind == STORE_SYNC) {
		disk->syncs++;
		disk->sync_no = disk->effects;
	} else if (random_chance(&world->random, world->options.early_pm)) {
		disk_take_effect(world, server, op);
	}
	world_post(world,
		   world_delay(world, world->options.disk_us * (disk->slow_until_ns > world->now_ns ? SLOW_FACTOR : 1)),
		   (struct event){.kind = EVENT_DISK, .process = PROCESS_SERVER(server->index), .op = op});
}

static int injected_error(struct disk *disk, const struct store_op *op)
{
	if (op->kind == STORE_SYNC && disk->fail_syncs)
		return disk->fail_syncs--, -EIO;
	if ((op->kind == STORE_READ || op->kind == STORE_DIGEST) && disk->fail_reads)
		return disk->fail_reads--, -EIO;
	if (op->kind == STORE_READ || op->kind == STORE_DIGEST || op->kind == STORE_SYNC)
		return 0;
	if (disk->fail_writes)
		return disk->fail_writes--, -EIO;
	if (op->kind == STORE_WRITE && disk->fail_space)
		return disk->fail_space--, -ENOSPC;
	return 0;
}

/* An fsync that fails says so once; the pages count as clean from then on, whatever became of them. */
static void forget_dirty(struct world *world, struct disk *disk)
{
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		if (!disk->blocks[i].is_dirty)
			continue;
		if (random_below(&world->random, 2))
			make_durable(world, disk, i);
		disk->blocks[i].is_forgotten = disk->blocks[i].is_dirty;
		disk->blocks[i].is_dirty = false;
	}
}

static void end_sync(struct world *world, struct server *server, struct store_op *op)
{
	struct disk *disk = &server->disk;

	disk->syncs--;
	TRACE(world, "disk %: fsync ends (%)", server->index, (uint64_t)-op->error);
	if (op->error) {
		server->has_failed = true;
		forget_dirty(world, disk);
		return;
	}
	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		if (disk->blocks[i].is_dirty && disk->blocks[i].effect_no <= op->progress)
			make_durable(world, disk, i);
	}
}

static void end_change(struct world *world, struct server *server, struct store_op *op)
{
	struct disk *disk = &server->disk;
	unsigned from, to = geometry_find(&world->geometry, server->set, op->offset, op->length, &from);

	for (unsigned i = from; i < to; i++) {
		unsigned block = world->geometry.in_set[server->set][i];

		if (op->durable && disk->blocks[block].is_dirty)
			make_durable(world, disk, block);
	}
}

void disk_complete(struct world *world, struct server *server, struct store_op *op)
{
	struct disk *disk = &server->disk;

	list_del(&op->node);
	op->error = injected_error(disk, op);
	if (!op->error)
		disk_take_effect(world, server, op);
	if (op->kind == STORE_SYNC)
		end_sync(world, server, op);
	else if (!op->error && is_change(op))
		end_change(world, server, op);
	if (op->error)
		op->bytes = 0;
	op->done(op);
}

void disk_drop_inflight(struct world *world, struct server *server)
{
	struct disk *disk = &server->disk;
	struct store_op *op;

	while ((op = list_first(&disk->inflight, struct store_op, node))) {
		list_del(&op->node);
		if (op->kind != STORE_READ && op->kind != STORE_SYNC && op->kind != STORE_DIGEST &&
		    random_below(&world->random, 2))
			disk_take_effect(world, server, op);
	}
	disk->syncs = 0;
}

/* Sector by sector, new or old. */
static void tear(struct world *world, uint8_t *bytes, const uint8_t *new_bytes, uint64_t length)
{
	for (uint64_t at = 0; at < length; at += SIM_SECTOR_BYTES) {
		if (random_below(&world->random, 2))
			memcpy(bytes + at, new_bytes + at, SIM_SECTOR_BYTES);
	}
}

/* ... and sometimes with a wrong bit. */
static void tear_slot(struct world *world, uint8_t *bytes, const uint8_t *new_bytes, uint64_t length)
{
	tear(world, bytes, new_bytes, length);
	/* Most of a slot is empty: where its fields are. */
	if (random_below(&world->random, 2))
		bytes[random_below(&world->random, SIM_SECTOR_BYTES / 2)] ^=
			(uint8_t)(1u << random_below(&world->random, 8));
}

static void tear_block(struct world *world, struct disk *disk, struct store_op *op, unsigned block)
{
	uint64_t at = world->geometry.set_offset[block] - op->offset;
	uint8_t *bytes = block_at(world, disk->cache, block);

	before_overwrite(world, disk, block);
	history_torn(world, block, seq_of(op));
	if (op->kind == STORE_WRITE)
		tear(world, bytes, op->data + at, world->geometry.block_bytes);
	disk->blocks[block].cache_seq = 0;
	disk->blocks[block].is_dirty = true;
	disk->blocks[block].effect_no = ++disk->effects;
}

static void tear_inflight(struct world *world, struct server *server, struct store_op *op)
{
	struct disk *disk = &server->disk;
	unsigned from, to;

	if (op->kind == STORE_WRITE_SUPERBLOCK)
		tear_slot(world, disk->superblock + op->offset, op->data, op->length);
	if (op->kind == STORE_WRITE_STAMPS)
		tear_slot(world, disk->stamps + op->offset, op->data, op->length);
	if (!is_change(op))
		return;
	to = geometry_find(&world->geometry, server->set, op->offset, op->length, &from);
	for (unsigned i = from; i < to; i++) {
		if (random_below(&world->random, 4) == 0)
			tear_block(world, disk, op, world->geometry.in_set[server->set][i]);
	}
}

/* What was not synced: everything kept, everything lost, or each sector by itself. */
static void settle_block(struct world *world, struct server *server, unsigned block, uint64_t way)
{
	struct disk *disk = &server->disk;
	uint8_t *cache = block_at(world, disk->cache, block), *durable = block_at(world, disk->durable, block);
	struct disk_block *it = &disk->blocks[block];
	uint32_t bytes = world->geometry.block_bytes, kept = 0;
	uint64_t completed = world->history.completed_seq[block];

	for (uint32_t at = 0; it->is_dirty && at < bytes; at += SIM_SECTOR_BYTES) {
		if (way == 0 || (way == 2 && random_below(&world->random, 2))) {
			memcpy(durable + at, cache + at, SIM_SECTOR_BYTES);
			kept++;
		}
	}
	if (kept == bytes / SIM_SECTOR_BYTES) {
		it->durable_seq = it->cache_seq;
	} else if (kept) {
		history_torn(world, block, it->cache_seq);
		it->durable_seq = 0;
	}
	if (memcmp(cache, durable, bytes) != 0) {
		memcpy(cache, durable, bytes);
		TRACE(world, "disk %: block % has epoch % write % left, epoch % write % had completed", server->index,
		      block, it->durable_seq >> 32, it->durable_seq & UINT32_MAX, completed >> 32,
		      completed & UINT32_MAX);
	} else {
		it->durable_seq = it->cache_seq; /* the same bytes: nothing was lost */
	}
	it->durable_max = it->durable_seq > it->durable_max ? it->durable_seq : it->durable_max;
	it->cache_seq = it->durable_seq;
	it->is_dirty = it->is_forgotten = false;
}

void disk_power_loss(struct world *world, struct server *server)
{
	struct disk *disk = &server->disk;
	uint64_t way = random_below(&world->random, 3);
	struct list *it, *next;

	list_for_each (it, next, &disk->inflight) {
		struct store_op *op = container_of(it, struct store_op, node);

		if (!op->stage && op->kind != STORE_SYNC && op->kind != STORE_READ && op->kind != STORE_DIGEST &&
		    random_below(&world->random, 2)) {
			tear_inflight(world, server, op);
			list_del(&op->node);
		}
	}
	disk_drop_inflight(world, server);
	for (unsigned i = 0; i < world->geometry.in_set_count[server->set]; i++)
		settle_block(world, server, world->geometry.in_set[server->set][i], way);
	disk->fail_writes = disk->fail_reads = disk->fail_space = disk->fail_syncs = 0;
}

void disk_truncate(struct world *world, struct server *server, uint64_t offset)
{
	struct disk *disk = &server->disk;

	disk->file_end = offset;
	for (unsigned i = 0; i < world->geometry.in_set_count[server->set]; i++) {
		unsigned block = world->geometry.in_set[server->set][i];

		if (world->geometry.set_offset[block] < offset)
			continue;
		memset(block_at(world, disk->cache, block), 0, world->geometry.block_bytes);
		make_durable(world, disk, block); /* what was there is lost by this, not by a power loss later */
		disk->blocks[block].is_cut_off = true;
		disk->blocks[block].cache_seq = disk->blocks[block].durable_seq = disk->blocks[block].durable_max = 0;
		history_taint(world, block);
	}
}

/* A server that was started with its lost directory has the other one, whose vote counts, put away. */
const struct disk_block *disk_voters_block(const struct server *server, unsigned block)
{
	return server->is_old ? &server->disk.old_blocks[block] : &server->disk.blocks[block];
}

static const uint8_t *voters_bytes(const struct world *world, const struct server *server, unsigned block, bool durable)
{
	const struct disk *disk = &server->disk;
	uint8_t *now = durable ? disk->durable : disk->cache, *old = durable ? disk->old_durable : disk->old_cache;

	return block_at(world, server->is_old ? old : now, block);
}

bool disk_are_equal(const struct world *world, const struct server *a, const struct server *b, unsigned block)
{
	return memcmp(voters_bytes(world, a, block, false), voters_bytes(world, b, block, false),
		      world->geometry.block_bytes) == 0;
}

/* A write that was issued again, or copied, has one content and several numbers. */
static bool has_the_bytes(struct world *world, struct server *server, unsigned block, uint64_t seq, bool durable)
{
	const uint8_t *bytes = voters_bytes(world, server, block, durable);

	if (history_is_sent(world, block, seq, bytes) || history_is_torn(world, block, seq, bytes))
		return true;
	for (unsigned i = 0; i < world->geometry.replicas; i++) {
		struct server *other = server_at(world, block, i);

		if (other != server && disk_voters_block(other, block)->cache_seq >= seq &&
		    memcmp(voters_bytes(world, other, block, false), bytes, world->geometry.block_bytes) == 0)
			return true;
	}
	return false;
}

bool disk_holds(struct world *world, struct server *server, unsigned block, uint64_t seq, bool durable)
{
	const struct disk_block *it = disk_voters_block(server, block);

	return seq == 0 || (durable ? it->durable_max : it->cache_seq) >= seq ||
	       has_the_bytes(world, server, block, seq, durable);
}

void disk_reread(struct world *world, struct server *server, bool is_marked)
{
	struct disk *disk = &server->disk;
	unsigned in = world->truth.sets[server->set].chosen.in;

	for (unsigned i = 0; i < world->geometry.blocks; i++) {
		struct disk_block *it = &disk->blocks[i];

		if (!it->is_forgotten)
			continue;
		/* Killed before it could note it, and not evicted for it: the others have to believe that it lost
		 * nothing, being on the same boot. */
		if (!is_marked && in & 1u << server->index % world->geometry.voters)
			history_taint(world, i);
		memcpy(block_at(world, disk->cache, i), block_at(world, disk->durable, i), world->geometry.block_bytes);
		it->cache_seq = it->durable_seq;
		it->is_forgotten = false;
	}
}

void disk_flip_bit(struct world *world, struct server *server)
{
	struct superblock_slots slots;
	struct superblock sb;
	unsigned older;
	uint8_t *bytes = server->disk.stamps + STAMPS_BLOCK_BYTES;

	if (random_below(&world->random, 2) && superblock_choose(server->disk.superblock, &sb, &slots) == 0) {
		older = 1 - slots.newest;
		bytes = server->disk.superblock + (size_t)older * SUPERBLOCK_SLOT_SPACING;
	}
	bytes[random_below(&world->random, SIM_SECTOR_BYTES)] ^= (uint8_t)(1u << random_below(&world->random, 8));
}

int disk_read_superblock(const struct disk *disk, struct superblock *ret)
{
	struct superblock_slots slots;

	return superblock_choose(disk->superblock, ret, &slots);
}
