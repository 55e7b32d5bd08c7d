/* The files of one replica, sector by sector: what is durable, and every version that a power loss may leave instead.
 *
 * A change is a version of its sectors from the moment it is submitted. It can be dropped or kept, each sector by
 * itself, until a durable completion or a sync that began after its completion settles it. Only places that the
 * workloads touch exist: both superblock slots, the stamps, three windows of the data file.
 */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "replica-server/core/stamps.h"
#include "replica-server/core/store.h"
#include "replica-server/core/superblock.h"

#define SECTOR_BYTES 512u
#define SLOT_SECTORS (SUPERBLOCK_SLOT_BYTES / SECTOR_BYTES)
#define STAMPS_SECTORS (2 * STAMPS_BLOCK_BYTES / SECTOR_BYTES) /* header and one block */
#define WINDOW_COUNT 3u
#define WINDOW_BYTES 4096u
#define DATA_SECTORS (WINDOW_COUNT * WINDOW_BYTES / SECTOR_BYTES)
#define AT_STAMPS_SECTOR (SUPERBLOCK_SLOT_COUNT * SLOT_SECTORS)
#define AT_DATA_SECTOR (AT_STAMPS_SECTOR + STAMPS_SECTORS)
#define DISK_SECTORS (AT_DATA_SECTOR + DATA_SECTORS)

#define DISK_BLOCK_BYTES 512u
#define DISK_SET_BYTES (2 * MIB + 4 * KIB)
#define DISK_VERSIONS_MAX 8u
#define DISK_PENDING_MAX 16u
#define DISK_BUFFERS 8u
#define DISK_BUFFER_BYTES 4096u

struct image {
	uint8_t bytes[DISK_SECTORS * SECTOR_BYTES];
};

static inline uint8_t *image_sector(struct image *image, unsigned sector)
{
	return image->bytes + (size_t)sector * SECTOR_BYTES;
}

static inline const uint8_t *image_look(const struct image *image, unsigned sector)
{
	return image->bytes + (size_t)sector * SECTOR_BYTES;
}

struct version {
	struct store_op *op; /* that is in flight; NULL: completed */
	uint64_t number;     /* among what completed: a sync covers those below its own */
	bool is_forgotten;   /* by a sync that failed: no later one makes it durable */
	uint8_t bytes[SECTOR_BYTES];
};

struct sector {
	unsigned count;
	struct version versions[DISK_VERSIONS_MAX]; /* completed ones in order, then those in flight */
};

struct disk {
	struct store store;
	struct image durable;
	struct sector sectors[DISK_SECTORS];
	struct store_op *pending[DISK_PENDING_MAX];
	unsigned pending_count;
	uint64_t completed; /* so far */
	struct io_buf buffers[DISK_BUFFERS], *free_buffers[DISK_BUFFERS];
	unsigned free_count;
	uint8_t memory[DISK_BUFFERS][DISK_BUFFER_BYTES];
};

void disk_load(struct disk *disk, const struct image *image);
/* Calls done(). */
void disk_complete(struct disk *disk, unsigned nth, int error);
/* Changes of the data file that the store still works on. */
unsigned disk_changes_pending(const struct disk *disk);

/* Number of the data sector at this offset of the set, which must be in a window. */
unsigned disk_data_sector(uint64_t offset);
/* ... and back. */
uint64_t disk_data_offset(unsigned data_sector);

/* What a sector may be found as: 0 is what is durable, 1 .. count its versions. */
unsigned disk_ways(const struct disk *disk, unsigned sector);
const uint8_t *disk_way(const struct disk *disk, unsigned sector, unsigned way);
/* The way that a process finds which was started after a kill: everything completed. */
unsigned disk_way_cached(const struct disk *disk, unsigned sector);

int image_superblock(const struct image *image, struct superblock *ret, struct superblock_slots *ret_slots) must_check;

#endif
