/* Sectors and their versions. Knows store operations, nothing of what they are for. */
#include "tests/crash/disk.h"

#include <string.h>

static const uint64_t windows[WINDOW_COUNT] = {0, MIB - WINDOW_BYTES / 2, 2 * MIB - WINDOW_BYTES / 2};

#define WINDOW_SECTORS (WINDOW_BYTES / SECTOR_BYTES)

uint64_t disk_data_offset(unsigned data_sector)
{
	return windows[data_sector / WINDOW_SECTORS] + data_sector % WINDOW_SECTORS * SECTOR_BYTES;
}

unsigned disk_data_sector(uint64_t offset)
{
	for (unsigned i = 0; i < DATA_SECTORS; i++)
		if (disk_data_offset(i) == offset)
			return i;
	assert(!"inside a window");
	return 0;
}

/* Of the operation's first byte; its others follow. */
static unsigned first_sector(const struct store_op *op)
{
	switch (op->kind) {
	case STORE_WRITE_SUPERBLOCK:
		return (unsigned)(op->offset / SUPERBLOCK_SLOT_SPACING) * SLOT_SECTORS;
	case STORE_WRITE_STAMPS:
		return AT_STAMPS_SECTOR + (unsigned)(op->offset / SECTOR_BYTES);
	default:
		return AT_DATA_SECTOR + disk_data_sector(op->offset);
	}
}

static bool is_change(const struct store_op *op)
{
	return op->kind != STORE_READ && op->kind != STORE_DIGEST && op->kind != STORE_SYNC;
}

static bool is_data_change(const struct store_op *op)
{
	return op->kind == STORE_WRITE || op->kind == STORE_PUNCH || op->kind == STORE_ZERO;
}

unsigned disk_ways(const struct disk *disk, unsigned sector)
{
	return 1 + disk->sectors[sector].count;
}

const uint8_t *disk_way(const struct disk *disk, unsigned sector, unsigned way)
{
	return way ? disk->sectors[sector].versions[way - 1].bytes : image_look(&disk->durable, sector);
}

unsigned disk_way_cached(const struct disk *disk, unsigned sector)
{
	unsigned way = disk->sectors[sector].count;

	while (way > 0 && disk->sectors[sector].versions[way - 1].op)
		way--;
	return way;
}

/* What changes nothing is no version: most of a slot stays zeros. */
static void add_version(struct disk *disk, unsigned sector, struct store_op *op, const uint8_t *bytes)
{
	struct sector *it = &disk->sectors[sector];
	static const uint8_t zeros[SECTOR_BYTES];

	bytes = bytes ? bytes : zeros;
	if (it->count == 0 && memcmp(disk_way(disk, sector, 0), bytes, SECTOR_BYTES) == 0)
		return;
	assert(it->count < DISK_VERSIONS_MAX);
	it->versions[it->count] = (struct version){.op = op};
	memcpy(it->versions[it->count++].bytes, bytes, SECTOR_BYTES);
}

static void add_versions(struct disk *disk, struct store_op *op)
{
	unsigned first = first_sector(op), count = (unsigned)(op->length / SECTOR_BYTES);
	bool has_bytes = op->kind != STORE_PUNCH && op->kind != STORE_ZERO;

	assert(op->length % SECTOR_BYTES == 0);
	for (unsigned i = 0; i < count; i++)
		add_version(disk, first + i, op, has_bytes ? op->data + (size_t)i * SECTOR_BYTES : NULL);
}

static void disk_submit(struct store *store, struct store_op *op)
{
	struct disk *disk = container_of(store, struct disk, store);

	assert(disk->pending_count < DISK_PENDING_MAX);
	disk->pending[disk->pending_count++] = op;
	op->error = 0;
	op->bytes = 0;
	op->progress = disk->completed;
	if (is_change(op))
		add_versions(disk, op);
}

static struct io_buf *buf_get(struct store *store, uint32_t bytes)
{
	struct disk *disk = container_of(store, struct disk, store);

	assert(bytes <= DISK_BUFFER_BYTES);
	return disk->free_count ? disk->free_buffers[--disk->free_count] : NULL;
}

static void buf_put(struct store *store, struct io_buf *buf)
{
	struct disk *disk = container_of(store, struct disk, store);

	disk->free_buffers[disk->free_count++] = buf;
}

static const struct store_ops ops = {.submit = disk_submit, .buf_get = buf_get, .buf_put = buf_put};

void disk_load(struct disk *disk, const struct image *image)
{
	disk->store.ops = &ops;
	disk->durable = *image;
	disk->pending_count = 0;
	disk->completed = 0;
	for (unsigned i = 0; i < DISK_SECTORS; i++)
		disk->sectors[i].count = 0;
	disk->free_count = DISK_BUFFERS;
	for (unsigned i = 0; i < DISK_BUFFERS; i++) {
		disk->buffers[i] = (struct io_buf){disk->memory[i], DISK_BUFFER_BYTES};
		disk->free_buffers[i] = &disk->buffers[i];
	}
}

/* Everything up to and with this version is settled. */
static void settle(struct disk *disk, unsigned sector, unsigned version)
{
	struct sector *it = &disk->sectors[sector];

	memcpy(image_sector(&disk->durable, sector), it->versions[version].bytes, SECTOR_BYTES);
	it->count -= version + 1;
	memmove(it->versions, it->versions + version + 1, it->count * sizeof(*it->versions));
}

/* A sync that failed says so once; from then on the pages count as clean, whatever became of them. */
static void end_sync(struct disk *disk, const struct store_op *sync)
{
	for (unsigned i = AT_DATA_SECTOR; i < DISK_SECTORS; i++) {
		struct sector *it = &disk->sectors[i];
		unsigned settled = 0;

		for (unsigned v = 0; v < it->count; v++) {
			struct version *version = &it->versions[v];

			if (sync->error && !version->op)
				version->is_forgotten = true;
			if (!sync->error && !version->op && !version->is_forgotten && version->number <= sync->progress)
				settled = v + 1;
		}
		if (settled)
			settle(disk, i, settled - 1);
	}
}

static void end_change(struct disk *disk, const struct store_op *op)
{
	for (unsigned i = 0; i < DISK_SECTORS; i++) {
		struct sector *it = &disk->sectors[i];

		for (unsigned v = 0; v < it->count; v++) {
			if (it->versions[v].op != op)
				continue;
			it->versions[v].op = NULL;
			it->versions[v].number = disk->completed;
			if (op->durable && !op->error)
				settle(disk, i, v);
			break; /* one version a sector and operation */
		}
	}
}

void disk_complete(struct disk *disk, unsigned nth, int error)
{
	struct store_op *op = disk->pending[nth];

	disk->pending_count--;
	memmove(disk->pending + nth, disk->pending + nth + 1, (disk->pending_count - nth) * sizeof(struct store_op *));
	op->error = error;
	disk->completed++;
	if (op->kind == STORE_SYNC)
		end_sync(disk, op);
	else if (is_change(op))
		end_change(disk, op);
	op->done(op);
}

unsigned disk_changes_pending(const struct disk *disk)
{
	unsigned count = 0;

	for (unsigned i = 0; i < disk->pending_count; i++)
		count += is_data_change(disk->pending[i]);
	return count;
}

int image_superblock(const struct image *image, struct superblock *ret, struct superblock_slots *ret_slots)
{
	static uint8_t file[SUPERBLOCK_FILE_BYTES]; /* zero between the slots */

	for (unsigned i = 0; i < SUPERBLOCK_SLOT_COUNT; i++)
		memcpy(file + (size_t)i * SUPERBLOCK_SLOT_SPACING, image_look(image, i * SLOT_SECTORS),
		       SUPERBLOCK_SLOT_BYTES);
	return superblock_choose(file, ret, ret_slots);
}
