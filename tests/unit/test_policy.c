/* The operator's decisions: what is not said keeps the engine's default, and what is said reaches it. */
#include "gateway/core/policy.h"

#include <errno.h>
#include <string.h>

#include "gateway/core/engine.h"
#include "tests/unit/check.h"

static unsigned nth_of(const char *key)
{
	for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
		if (!strcmp(policy_key(i), key))
			return i;
	}
	CHECK_FAIL("no key %s", key);
	return 0;
}

static void say(struct volume_policy *policy, const char *key, const char *text)
{
	struct err err;

	CHECK_OK(policy_take(policy, nth_of(key), text, &err));
}

static void what_is_not_said_changes_no_option(void)
{
	struct engine_options before, after;
	struct volume_policy policy = {0};

	engine_options_default(&before);
	after = before;
	policy_apply(&policy, &after);
	CHECK_MEM(&before, &after, sizeof(before));
}

static void what_is_said_reaches_the_engine(void)
{
	struct engine_options options;
	struct volume_policy policy = {0};

	engine_options_default(&options);
	say(&policy, "on-no-quorum", "error");
	say(&policy, "quorum-deadline", "7");
	say(&policy, "min-in-sync", "2");
	say(&policy, "answer-deadline", "0.3");
	say(&policy, "resync-rate", "100M");
	say(&policy, "slow-factor", "8");
	say(&policy, "slow-time", "20");
	say(&policy, "slow-rest", "90");
	policy_apply(&policy, &options);
	CHECK_TRUE(options.fails_without_quorum);
	CHECK_EQ_U64(7000000000ull, options.quorum_wait_ns);
	CHECK_EQ_U64(2, options.min_in_sync);
	CHECK_EQ_U64(300000000ull, options.answer_deadline_ns);
	CHECK_EQ_U64(100 * MIB, options.resync_bytes_per_s);
	CHECK_EQ_U64(8, options.slow_factor);
	CHECK_EQ_U64(20000000000ull, options.slow_ns);
	CHECK_EQ_U64(90000000000ull, options.slow_rest_ns);
	say(&policy, "slow-factor", "never");
	say(&policy, "on-no-quorum", "suspend");
	policy_apply(&policy, &options);
	CHECK_EQ_U64(0, options.slow_factor);
	CHECK_FALSE(options.fails_without_quorum);
}

static void a_merge_takes_what_is_said_and_nothing_else(void)
{
	struct volume_policy base = {0}, over = {0};

	say(&base, "min-in-sync", "2");
	say(&base, "slow-factor", "never");
	say(&over, "min-in-sync", "3");
	say(&over, "resync-rate", "7M");
	policy_merge(&base, &over);
	CHECK_EQ_U64(3, base.min_in_sync);
	CHECK_EQ_U64(POLICY_NEVER, base.slow_factor);
	CHECK_EQ_U64(7 * MIB, base.resync_rate);
	CHECK_EQ_U64(0, base.answer_deadline_ms);
}

static void the_filled_policy_is_the_engine_s_default(void)
{
	struct engine_options before, after;
	struct volume_policy policy = {0};

	policy_fill(&policy);
	engine_options_default(&before);
	after = before;
	policy_apply(&policy, &after);
	CHECK_MEM(&before, &after, sizeof(before));
	CHECK_EQ_U64(3000, policy.answer_deadline_ms);
	CHECK_EQ_U64(16, policy.slow_factor);
}

static void every_key_has_a_name_and_help(void)
{
	for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
		CHECK_TRUE(policy_key(i) && policy_key(i)[0]);
		CHECK_TRUE(policy_arg(i) && policy_arg(i)[0]);
		CHECK_TRUE(policy_help(i) && policy_help(i)[0]);
	}
}

static const struct check_test tests[] = {
	CHECK_TEST(what_is_not_said_changes_no_option),
	CHECK_TEST(what_is_said_reaches_the_engine),
	CHECK_TEST(a_merge_takes_what_is_said_and_nothing_else),
	CHECK_TEST(the_filled_policy_is_the_engine_s_default),
	CHECK_TEST(every_key_has_a_name_and_help),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("policy", tests, argc, argv);
}
