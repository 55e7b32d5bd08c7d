/* Sector stamps. Knows nothing of volumes or requests.
 * Layout, little endian: magic 8, value 8, sector 8, filler derived from both, CRC32C of all before it in the last 4.
 * The filler differs in every word, so that shifted, mixed or stale bytes cannot pass for right ones. */
#include "tests/native/lib/stamp.h"

#include <stdio.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/crc32c.h"

#define STAMP_MAGIC 0x706d617473534b4cull
#define CRC_OFFSET (SECTOR_BYTES - 4)

void stamp_write(uint8_t bytes[SECTOR_BYTES], uint64_t value, uint64_t sector)
{
	uint64_t word = value * 0x9e3779b97f4a7c15ull ^ sector;

	store_le64(bytes, STAMP_MAGIC);
	store_le64(bytes + 8, value);
	store_le64(bytes + 16, sector);
	for (unsigned at = 24; at < SECTOR_BYTES; at += 8) {
		word = word * 6364136223846793005ull + 1442695040888963407ull;
		store_le64(bytes + at, word);
	}
	store_le32(bytes + CRC_OFFSET, crc32c(0, bytes, CRC_OFFSET));
}

static int is_zero(const uint8_t bytes[SECTOR_BYTES])
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, SECTOR_BYTES - 1) == 0;
}

uint64_t stamp_read(const uint8_t bytes[SECTOR_BYTES], uint64_t sector)
{
	if (is_zero(bytes))
		return VALUE_ZERO;
	if (load_le64(bytes) != STAMP_MAGIC || load_le64(bytes + 16) != sector)
		return VALUE_GARBAGE;
	if (load_le32(bytes + CRC_OFFSET) != crc32c(0, bytes, CRC_OFFSET))
		return VALUE_GARBAGE;
	return load_le64(bytes + 8);
}

void stamp_describe(const uint8_t bytes[SECTOR_BYTES], uint64_t sector, char out[160])
{
	if (load_le64(bytes) != STAMP_MAGIC)
		snprintf(out, 160, "no stamp, bytes %02x %02x %02x %02x %02x %02x %02x %02x", bytes[0], bytes[1],
			 bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]);
	else if (load_le64(bytes + 16) != sector)
		snprintf(out, 160, "stamp of sector %llu, value %#llx", (unsigned long long)load_le64(bytes + 16),
			 (unsigned long long)load_le64(bytes + 8));
	else
		snprintf(out, 160, "torn: value %#llx, checksum wrong", (unsigned long long)load_le64(bytes + 8));
}
