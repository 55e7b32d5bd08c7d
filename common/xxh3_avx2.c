/* XXH3 with vectors of 32 bytes. The Makefile compiles this file, and no other, with -mavx2 where the machine is an
 * x86-64: nothing else here may run before the processor was asked. Knows only bytes. */
#include "common/xxh3.h"

#ifdef __AVX2__
#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t hash(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

uint64_t (*xxh3_avx2(void))(const void *data, size_t len)
{
	return __builtin_cpu_supports("avx2") ? hash : NULL;
}
#else
uint64_t (*xxh3_avx2(void))(const void *data, size_t len)
{
	return NULL;
}
#endif
