/* The zone method: a write and its reads make a zone; a history is linearizable iff no two forward zones overlap and no
 * backward zone lies within a forward one. Knows times and values only. */
#include "tests/sim/zones.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
	const struct zone_op *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	if (x->is_write != y->is_write)
		return x->is_write ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int by_finish(const void *a, const void *b)
{
	const struct zone *x = a, *y = b;

	return x->finish < y->finish ? -1 : x->finish > y->finish;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Ops [0, ret_count) are one write and its reads. NULL, or what is wrong already. */
static const char *make_zone(const struct zone_op *ops, size_t left, size_t *ret_count, struct zone *ret)
{
	size_t n = 1;

	if (!ops->is_write)
		return "a read returned what was never written, or no longer valid";
	*ret = (struct zone){.finish = ops->finish, .start = ops->start};
	for (; n < left && ops[n].value == ops->value; n++) {
		if (ops[n].is_write)
			return "two writes have one name";
		if (ops[n].finish < ops->start)
			return "a read returned a value before its write began";
		ret->finish = smaller(ret->finish, ops[n].finish);
		ret->start = ops[n].start > ret->start ? ops[n].start : ret->start;
	}
	*ret_count = n;
	return NULL;
}

/* The forward zone that begins last before `time`, or NULL. */
static const struct zone *last_before(const struct zone *zones, size_t count, uint64_t time)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (zones[middle].finish < time)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &zones[low - 1] : NULL;
}

/* Forward zones are at the front of `zones`, backward ones at the back. */
static const char *judge(struct zone *zones, size_t forward, size_t backward_from, size_t count)
{
	qsort(zones, forward, sizeof(*zones), by_finish);
	for (size_t i = 1; i < forward; i++) {
		if (zones[i].finish < zones[i - 1].start)
			return "reads went back and forth between two values";
	}
	for (size_t i = backward_from; i < count; i++) {
		const struct zone *around = last_before(zones, forward, zones[i].start);

		if (around && zones[i].finish < around->start)
			return "a value was seen again after another write had replaced it";
	}
	return NULL;
}

const char *zones_check(struct zone_op *ops, size_t count, struct zone *scratch)
{
	size_t forward = 0, backward = count, used = 0;

	qsort(ops, count, sizeof(*ops), by_value);
	for (size_t i = 0; i < count; i += used) {
		struct zone zone;
		const char *wrong = make_zone(&ops[i], count - i, &used, &zone);

		if (wrong)
			return wrong;
		if (ops[i].is_unknown && used == 1)
			continue; /* never seen: it need not have happened */
		if (zone.finish < zone.start)
			scratch[forward++] = zone;
		else
			scratch[--backward] = zone;
	}
	return judge(scratch, forward, backward, count);
}
