/* The simulator's only source of chance: splitmix64 (Steele, Lea, Flood 2014). Same seed, same numbers, any machine. */
#ifndef TESTS_SIM_RANDOM_H
#define TESTS_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t z = (random->state += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* 0 <= result < bound; bound > 0. */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
	return (uint64_t)((unsigned __int128)random_next(random) * bound >> 64);
}

/* Both ends included. */
static inline uint64_t random_range(struct random *random, uint64_t low, uint64_t high)
{
	return low + random_below(random, high - low + 1);
}

static inline bool random_chance(struct random *random, uint64_t permille)
{
	return permille && random_below(random, 1000) < permille;
}

/* Around `mean`, from 0 to twice of it, seldom twenty times as long. */
static inline uint64_t random_delay(struct random *random, uint64_t mean)
{
	uint64_t delay = random_below(random, 2 * mean + 1);

	return random_below(random, 64) ? delay : delay * 20;
}

/* Of a clock, in millionths, up to `most_pm` thousandths fast or slow. */
static inline int32_t random_drift(struct random *random, uint32_t most_pm)
{
	return (int32_t)random_below(random, 2000 * (uint64_t)most_pm + 1) - (int32_t)(1000 * most_pm);
}

static inline uint64_t drifted(uint64_t now_ns, int32_t drift_ppm)
{
	return now_ns + (uint64_t)((int64_t)(now_ns / 1000000) * drift_ppm);
}

#endif
