/* Latencies of a run of the load generator. Knows no operation. */
#include "tests/bench/lib/latency.h"

/* Values below 64 have a class each; above, the highest six bits behind the leading one choose. */
static unsigned class_of(uint64_t ns)
{
	unsigned shift, idx;

	if (ns < 1u << LATENCY_SUB_SHIFT)
		return (unsigned)ns;
	shift = 63u - (unsigned)__builtin_clzll(ns) - LATENCY_SUB_SHIFT;
	idx = ((shift + 1) << LATENCY_SUB_SHIFT) + (unsigned)(ns >> shift & ((1u << LATENCY_SUB_SHIFT) - 1));
	return idx < LATENCY_CLASSES ? idx : LATENCY_CLASSES - 1;
}

/* The least value of a class. */
static uint64_t value_of(unsigned idx)
{
	unsigned shift = idx >> LATENCY_SUB_SHIFT;
	uint64_t low = idx & ((1u << LATENCY_SUB_SHIFT) - 1);

	return shift == 0 ? low : (1ull << LATENCY_SUB_SHIFT | low) << (shift - 1);
}

void latency_add(struct latency *latency, uint64_t ns)
{
	latency->count++;
	latency->classes[class_of(ns)]++;
}

uint64_t latency_at(const struct latency *latency, unsigned per_mille)
{
	uint64_t wanted = (latency->count * per_mille + 999) / 1000, seen = 0;

	for (unsigned idx = 0; idx < LATENCY_CLASSES; idx++) {
		seen += latency->classes[idx];
		if (seen && seen >= wanted)
			return value_of(idx);
	}
	return 0;
}
