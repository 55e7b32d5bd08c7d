/* XXH3_64bits, seed 0, compiled several times: for payload_checksum.c to choose from, and for its test. Pure, any
 * thread. */
#ifndef COMMON_XXH3_H
#define COMMON_XXH3_H

#include <stddef.h>
#include <stdint.h>

uint64_t xxh3_portable(const void *data, size_t len);
/* NULL where the compiler or the processor has no AVX2. */
uint64_t (*xxh3_avx2(void))(const void *data, size_t len);

#endif
