/* Latencies of many operations in a fixed place: 64 classes for each power of two, so a percentile is right within 2 %.
 * Benchmarks only. */
#ifndef TESTS_BENCH_LATENCY_H
#define TESTS_BENCH_LATENCY_H

#include <stdint.h>

#define LATENCY_SUB_SHIFT 6u
#define LATENCY_CLASSES (48u << LATENCY_SUB_SHIFT)

struct latency {
	uint64_t count;
	uint64_t classes[LATENCY_CLASSES];
};

void latency_add(struct latency *latency, uint64_t ns);
/* The value that `per_mille` of all are not above; 0 when there are none. */
uint64_t latency_at(const struct latency *latency, unsigned per_mille);

#endif
