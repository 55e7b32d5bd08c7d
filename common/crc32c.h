/* CRC32C (Castagnoli, RFC 3720 appendix B.4), by ISA-L. crc32c(0, "123456789", 9) == 0xe3069283. Pure, any thread. */
#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* `seed` is 0 or the result for the bytes before. */
uint32_t crc32c(uint32_t seed, const void *data, size_t len);

#endif
