/* Which XXH3 is used here. Knows bytes and the clock.
 * On a write's path once: the replica-server's session_payload(), over all bytes that it stores. */
#include "common/payload_checksum.h"

#include "common/clock.h"
#include "common/xxh3.h"

#define SAMPLE_BYTES 4096u
#define SAMPLES 16u

typedef uint64_t (*hash_fn)(const void *data, size_t len);

/* Written before there are threads; every choice gives the same checksums. */
static hash_fn chosen = xxh3_portable;

uint32_t payload_checksum(const void *data, size_t len)
{
	return (uint32_t)chosen(data, len);
}

/* Nanoseconds of the fastest of several runs: what disturbs one of them makes it slower, never faster. */
static uint64_t time_of(hash_fn hash)
{
	uint8_t bytes[SAMPLE_BYTES] = {0};
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < SAMPLES; i++) {
		uint64_t start_ns = clock_now_ns(), taken_ns;

		bytes[0] ^= (uint8_t)hash(bytes, sizeof(bytes)); /* each run needs the one before: none is left out */
		taken_ns = clock_now_ns() - start_ns;
		best = taken_ns < best ? taken_ns : best;
	}
	return best;
}

const char *payload_checksum_choose(void)
{
	hash_fn avx2 = xxh3_avx2();

	chosen = avx2 && time_of(avx2) < time_of(xxh3_portable) ? avx2 : xxh3_portable;
	return chosen == avx2 ? "avx2" : "portable";
}
