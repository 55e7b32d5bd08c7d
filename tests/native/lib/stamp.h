/* What stands in every 512-byte sector a test has written: the value's number, the sector's number, a checksum.
 * A sector is zeros (never written, discarded, zeroed), one value, or garbage; garbage is always a finding. */
#ifndef TESTS_NATIVE_STAMP_H
#define TESTS_NATIVE_STAMP_H

#include <stdint.h>

#define SECTOR_BYTES 512u
#define SECTOR_SHIFT 9

#define VALUE_ZERO 0ull		 /* 512 zero bytes */
#define VALUE_GARBAGE UINT64_MAX /* anything else without a valid stamp of this sector */

/* `value` is neither VALUE_ZERO nor VALUE_GARBAGE. Pure. */
void stamp_write(uint8_t bytes[SECTOR_BYTES], uint64_t value, uint64_t sector);

/* The value that stands there; a valid stamp of another sector is garbage too. Pure. */
uint64_t stamp_read(const uint8_t bytes[SECTOR_BYTES], uint64_t sector);

/* Says what is wrong with a garbage sector, into `out` (static words and the first bytes). */
void stamp_describe(const uint8_t bytes[SECTOR_BYTES], uint64_t sector, char out[160]);

#endif
