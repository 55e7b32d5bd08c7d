/* XXH3 in 64-bit arithmetic, which every processor and every emulator is good at. Knows only bytes. */
#include "common/xxh3.h"

#define XXH_INLINE_ALL
#define XXH_VECTOR 0 /* XXH_SCALAR */
#include <xxhash.h>

uint64_t xxh3_portable(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}
