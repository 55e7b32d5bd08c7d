/* A running share of equal pieces. Knows neither regions nor replicas.
 * Beside a request's path: copy.c asks once for each region of a rejoin. */
#include "gateway/core/comparing.h"

#define MEMORY (8 * COMPARING_LEARNS_FROM) /* pieces; what was found before weighs half, and less and less */

static bool is_vain(const struct comparing *it, unsigned least_percent)
{
	return it->compared >= COMPARING_LEARNS_FROM && 100 * it->equal < least_percent * it->compared;
}

bool comparing_pays(struct comparing *it, unsigned least_percent)
{
	if (is_vain(it, least_percent) && it->unseen < COMPARING_EVERY) {
		it->unseen++;
		return false;
	}
	it->unseen = 0;
	return true;
}

void comparing_note(struct comparing *it, unsigned compared, unsigned equal)
{
	it->compared += compared;
	it->equal += equal;
	if (it->compared <= MEMORY)
		return;
	it->compared /= 2;
	it->equal = (it->equal + 1) / 2;
}
