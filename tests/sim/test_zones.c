/* The zone method against brute force: random small histories, with writes of unknown outcome. */
#include <string.h>

#include "tests/sim/zones.h"
#include "tests/unit/check.h"

#define HISTORIES 40000u
#define OPS_MAX 8u

/* All orders: the next operation is any that starts before every other one has finished. */
static bool search(const struct zone_op *ops, size_t count, uint32_t left, uint64_t value)
{
	uint64_t first_finish = ZONE_NEVER;

	if (!left)
		return true;
	for (size_t i = 0; i < count; i++) {
		if (left & 1u << i && ops[i].finish < first_finish)
			first_finish = ops[i].finish;
	}
	for (size_t i = 0; i < count; i++) {
		if (!(left & 1u << i) || ops[i].start > first_finish)
			continue;
		if (!ops[i].is_write && ops[i].value != value)
			continue;
		if (search(ops, count, left & ~(1u << i), ops[i].is_write ? ops[i].value : value))
			return true;
	}
	return false;
}

/* Any subset of the unknown writes may have happened. */
static bool brute_force(const struct zone_op *ops, size_t count)
{
	uint32_t unknown = 0, all = (1u << count) - 1;

	for (size_t i = 0; i < count; i++)
		unknown |= ops[i].is_unknown ? 1u << i : 0;
	for (uint32_t chosen = unknown;; chosen = (chosen - 1) & unknown) {
		if (search(ops, count, (all & ~unknown) | chosen, 0))
			return true;
		if (!chosen)
			return false;
	}
}

static void shuffle(struct check_random *random, uint64_t *numbers, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = check_random_below(random, i);
		uint64_t kept = numbers[i - 1];

		numbers[i - 1] = numbers[j];
		numbers[j] = kept;
	}
}

/* The first operation is the initial content. */
static size_t make_history(struct check_random *random, struct zone_op ops[OPS_MAX])
{
	size_t count = 2 + check_random_below(random, OPS_MAX - 2);
	uint64_t times[2 * OPS_MAX] = {0}, writes = 0;

	for (size_t i = 0; i < 2 * count; i++)
		times[i] = i + 1;
	shuffle(random, times, 2 * count);
	ops[0] = (struct zone_op){.is_write = true};
	for (size_t i = 1; i < count; i++) {
		uint64_t a = times[2 * i], b = times[2 * i + 1];

		ops[i] = (struct zone_op){.start = a < b ? a : b, .finish = a < b ? b : a};
		ops[i].is_write = check_random_below(random, 2);
		if (ops[i].is_write)
			ops[i].value = ++writes;
		ops[i].is_unknown = ops[i].is_write && check_random_below(random, 4) == 0;
		if (ops[i].is_unknown && check_random_below(random, 2))
			ops[i].finish = ZONE_NEVER; /* else: closed by an attach */
	}
	for (size_t i = 1; i < count; i++) {
		if (!ops[i].is_write)
			ops[i].value = check_random_below(random, writes + 1);
	}
	return count;
}

static void zones_agree_with_brute_force_on_random_histories(void)
{
	struct zone_op ops[OPS_MAX], sorted[OPS_MAX];
	struct zone scratch[OPS_MAX];
	struct check_random random;
	unsigned linearizable = 0;

	check_random_init(&random);
	for (unsigned i = 0; i < HISTORIES; i++) {
		size_t count = make_history(&random, ops);
		bool expected = brute_force(ops, count);

		memcpy(sorted, ops, sizeof(ops));
		CHECK_EQ_INT(expected, zones_check(sorted, count, scratch) == NULL);
		linearizable += expected;
	}
	CHECK_TRUE(linearizable > HISTORIES / 10 && linearizable < HISTORIES - HISTORIES / 10);
}

static const char *check(struct zone_op *ops, size_t count)
{
	struct zone scratch[OPS_MAX];

	return zones_check(ops, count, scratch);
}

static void a_read_may_not_go_back_to_an_older_value(void)
{
	struct zone_op ops[] = {
		{.value = 0, .is_write = true},
		{.value = 1, .start = 1, .finish = 10, .is_write = true},
		{.value = 1, .start = 2, .finish = 3},
		{.value = 0, .start = 4, .finish = 5},
	};

	CHECK_NOT_NULL(check(ops, ARRAY_COUNT(ops)));
}

static void a_read_during_a_write_may_see_either_value(void)
{
	struct zone_op ops[] = {
		{.value = 0, .is_write = true},
		{.value = 1, .start = 1, .finish = 10, .is_write = true},
		{.value = 0, .start = 2, .finish = 3},
		{.value = 1, .start = 4, .finish = 5},
	};

	CHECK_NULL(check(ops, ARRAY_COUNT(ops)));
}

static void an_unknown_write_may_not_come_and_go(void)
{
	struct zone_op ops[] = {
		{.value = 0, .is_write = true},
		{.value = 1, .start = 1, .finish = ZONE_NEVER, .is_write = true, .is_unknown = true},
		{.value = 1, .start = 2, .finish = 3},
		{.value = 0, .start = 4, .finish = 5},
	};

	CHECK_NOT_NULL(check(ops, ARRAY_COUNT(ops)));
}

static void a_write_that_was_to_end_with_its_gateway_may_not_appear_later(void)
{
	struct zone_op ops[] = {
		{.value = 0, .is_write = true},
		/* Closed by the next attach at 4. */
		{.value = 1, .start = 1, .finish = 4, .is_write = true, .is_unknown = true},
		{.value = 0, .start = 5, .finish = 6},
		{.value = 1, .start = 7, .finish = 8},
	};

	CHECK_NOT_NULL(check(ops, ARRAY_COUNT(ops)));
}

static void a_value_that_nobody_wrote_is_refused(void)
{
	struct zone_op ops[] = {
		{.value = 0, .is_write = true},
		{.value = 9, .start = 1, .finish = 2},
	};

	CHECK_NOT_NULL(check(ops, ARRAY_COUNT(ops)));
}

static const struct check_test tests[] = {
	CHECK_TEST(zones_agree_with_brute_force_on_random_histories),
	CHECK_TEST(a_read_may_not_go_back_to_an_older_value),
	CHECK_TEST(a_read_during_a_write_may_see_either_value),
	CHECK_TEST(an_unknown_write_may_not_come_and_go),
	CHECK_TEST(a_write_that_was_to_end_with_its_gateway_may_not_appear_later),
	CHECK_TEST(a_value_that_nobody_wrote_is_refused),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("zones", tests, argc, argv);
}
