/* Random block operations: which, where, how long. Deterministic from the seed and the order of the calls. */
#ifndef TESTS_NATIVE_WORKLOAD_H
#define TESTS_NATIVE_WORKLOAD_H

#include <stdint.h>

#include "tests/native/lib/history.h"

struct workload_options {
	uint64_t seed;
	uint64_t span_bytes; /* operations stay in the first so many bytes; 0: the whole volume */
	uint64_t min_bytes;  /* lengths, rounded to blocks */
	uint64_t max_bytes;
	uint64_t hot_bytes;    /* a quarter of all operations stay in the first so many bytes, to overlap; 0: none */
	unsigned weights[6];   /* by enum history_kind */
	unsigned fua_percent;  /* of writes, zeroes, discards */
	unsigned meta_percent; /* of writes: REQUEST_F_META */
};

struct workload {
	struct workload_options options;
	uint64_t state;
	uint64_t span_blocks;
	uint32_t block_bytes;
};

struct operation {
	enum history_kind kind;
	unsigned flags; /* enum shm_flag */
	uint64_t offset, length;
};

void workload_options_default(struct workload_options *ret);
/* "read:write:zeroes:discard:flush" weights, e.g. "5:4:1:1:1"; dies on nonsense. */
void workload_parse_mix(const char *text, struct workload_options *options);

void workload_init(struct workload *workload, const struct workload_options *options, uint64_t volume_bytes,
		   uint32_t block_bytes);
struct operation workload_next(struct workload *workload);

#endif
