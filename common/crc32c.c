/* CRC32C by ISA-L. Knows only bytes.
 * On a write's path twice: the header's checksum at both ends, the payload's at the replica-server. */
#include "common/crc32c.h"

#include <isa-l/crc.h>

/* ISA-L counts in int. */
#define STEP_BYTES_MAX (1u << 30)

uint32_t crc32c(uint32_t seed, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t crc = ~seed; /* crc32_iscsi() neither inverts its start value nor its result */

	while (len > 0) {
		size_t step = len < STEP_BYTES_MAX ? len : STEP_BYTES_MAX;

		/* Its argument lacks the const; it only reads. */
		crc = crc32_iscsi((unsigned char *)(uintptr_t)p, (int)step, crc);
		p += step;
		len -= step;
	}
	return ~crc;
}
