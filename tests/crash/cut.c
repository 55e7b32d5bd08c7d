/* Enumerates subsets of unsynced sectors, and tears one. Knows sectors, not what they mean. */
#include "tests/crash/cut.h"

#include <string.h>

struct cut {
	const struct disk *disk;
	struct random *random;
	cut_visit *visit;
	void *ctx;
	struct crash crash;
	unsigned count; /* sectors that may be found in several ways */
	unsigned sectors[DISK_SECTORS];
	unsigned first[DISK_SECTORS]; /* lowest way of each */
	unsigned way[DISK_SECTORS];
	uint64_t fixed; /* digest of all other sectors */
	struct image image;
};

static uint64_t sector_digest(unsigned sector, const uint8_t *bytes)
{
	uint64_t hash = sector + 1, word;

	for (unsigned i = 0; i < SECTOR_BYTES; i += 8) {
		memcpy(&word, bytes + i, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
	}
	return hash * 0xbf58476d1ce4e5b9ull;
}

static void begin(struct cut *cut, bool is_kill)
{
	cut->crash = (struct crash){.is_kill = is_kill};
	cut->count = 0;
	cut->fixed = 0;
	for (unsigned i = 0; i < DISK_SECTORS; i++) {
		unsigned first = is_kill ? disk_way_cached(cut->disk, i) : 0;

		if (disk_ways(cut->disk, i) > first + 1) {
			cut->first[cut->count] = first;
			cut->sectors[cut->count++] = i;
			continue;
		}
		memcpy(image_sector(&cut->image, i), disk_way(cut->disk, i, first), SECTOR_BYTES);
		cut->fixed += sector_digest(i, image_sector(&cut->image, i));
	}
}

/* Sums, so that sectors may be digested in any order. */
static bool show(struct cut *cut)
{
	uint64_t digest = cut->fixed;

	for (unsigned i = 0; i < cut->count; i++)
		digest += sector_digest(cut->sectors[i], image_sector(&cut->image, cut->sectors[i]));
	return cut->visit(cut->ctx, &cut->image, digest, &cut->crash);
}

static void set(struct cut *cut, unsigned nth, unsigned way)
{
	cut->way[nth] = way;
	memcpy(image_sector(&cut->image, cut->sectors[nth]), disk_way(cut->disk, cut->sectors[nth], way), SECTOR_BYTES);
}

static unsigned ways(const struct cut *cut, unsigned nth)
{
	return disk_ways(cut->disk, cut->sectors[nth]) - cut->first[nth];
}

static void set_random(struct cut *cut)
{
	for (unsigned i = 0; i < cut->count; i++)
		set(cut, i, cut->first[i] + (unsigned)random_below(cut->random, ways(cut, i)));
}

/* The next combination; false after the last. */
static bool next(struct cut *cut)
{
	for (unsigned i = 0; i < cut->count; i++) {
		if (cut->way[i] + 1 < cut->first[i] + ways(cut, i)) {
			set(cut, i, cut->way[i] + 1);
			return true;
		}
		set(cut, i, cut->first[i]);
	}
	return false;
}

static bool subsets(struct cut *cut, unsigned max)
{
	uint64_t all = 1;

	for (unsigned i = 0; i < cut->count && all <= max; i++)
		all *= ways(cut, i);
	for (unsigned i = 0; i < cut->count; i++)
		set(cut, i, cut->first[i]);
	if (all <= max) {
		do
			if (!show(cut))
				return false;
		while (next(cut));
		return true;
	}
	for (unsigned n = 0; n < max; n++) {
		set_random(cut);
		if (!show(cut))
			return false;
	}
	return true;
}

/* One sector ends in the middle of the change: the head of one way, the tail of another; or, of the tables, bytes that
 * belong to neither, because those have a checksum. */
static void tear(struct cut *cut, unsigned nth, bool is_damage)
{
	unsigned sector = cut->sectors[nth], count = ways(cut, nth);
	const uint8_t *head = disk_way(cut->disk, sector, cut->first[nth] + (unsigned)random_below(cut->random, count));
	const uint8_t *tail = disk_way(cut->disk, sector, cut->first[nth] + (unsigned)random_below(cut->random, count));
	unsigned at = (unsigned)random_below(cut->random, SECTOR_BYTES);
	uint8_t *bytes = image_sector(&cut->image, sector);

	/* Most of a slot's first sector is empty: where two ways differ. */
	for (unsigned tries = 0; tries < SECTOR_BYTES && head[at] == tail[at]; tries++)
		at = (at + 1) % SECTOR_BYTES;
	memcpy(bytes, head, at);
	memcpy(bytes + at, tail + at, SECTOR_BYTES - at);
	if (is_damage)
		bytes[random_below(cut->random, SECTOR_BYTES)] ^= (uint8_t)(1u << random_below(cut->random, 8));
}

static bool torn(struct cut *cut, unsigned times)
{
	cut->crash.has_torn = true;
	for (unsigned nth = 0; nth < cut->count; nth++) {
		for (unsigned n = 0; n < times; n++) {
			bool is_damage = cut->sectors[nth] < AT_DATA_SECTOR && n % 2;

			set_random(cut);
			tear(cut, nth, is_damage);
			if (!show(cut))
				return false;
		}
	}
	return true;
}

bool cut_all(const struct disk *disk, const struct cut_options *options, struct random *random, bool kills,
	     cut_visit *visit, void *ctx)
{
	struct cut cut; /* begin() and subsets() set the rest */

	cut.disk = disk;
	cut.random = random;
	cut.visit = visit;
	cut.ctx = ctx;
	begin(&cut, false);
	if (!subsets(&cut, options->subsets_max) || !torn(&cut, options->torn))
		return false;
	begin(&cut, true);
	return !kills || subsets(&cut, options->subsets_max);
}
