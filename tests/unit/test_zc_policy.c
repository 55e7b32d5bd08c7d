/* When a connection uses SEND_ZC. */
#include "gateway/core/zc_policy.h"

#include <errno.h>

#include "tests/unit/check.h"

static struct zc_policy policy;

static void copied(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		CHECK_TRUE(zc_policy_choose(&policy));
		zc_policy_notified(&policy, 1000, true);
	}
}

static void a_new_connection_tries_zero_copy(void)
{
	zc_policy_init(&policy, ZC_AUTO);
	CHECK_TRUE(zc_policy_choose(&policy));
}

static void a_run_of_copied_payloads_ends_zero_copy(void)
{
	zc_policy_init(&policy, ZC_AUTO);
	copied(ZC_COPIED_RUN);
	CHECK_FALSE(zc_policy_choose(&policy));
}

static void one_payload_without_a_copy_starts_the_run_anew(void)
{
	zc_policy_init(&policy, ZC_AUTO);
	copied(ZC_COPIED_RUN - 1);
	zc_policy_notified(&policy, 1000, false);
	copied(ZC_COPIED_RUN - 1);
	CHECK_TRUE(zc_policy_choose(&policy));
}

static void one_payload_of_many_tries_again(void)
{
	unsigned tries = 0;

	zc_policy_init(&policy, ZC_AUTO);
	copied(ZC_COPIED_RUN);
	for (unsigned i = 0; i < 10 * ZC_RETRY_EVERY; i++) {
		if (zc_policy_choose(&policy)) {
			tries++;
			zc_policy_notified(&policy, 1000, true);
		} else {
			zc_policy_sent(&policy, 1000);
		}
	}
	CHECK_EQ_U64(10, tries);
}

static void a_retry_that_was_not_copied_brings_zero_copy_back(void)
{
	zc_policy_init(&policy, ZC_AUTO);
	copied(ZC_COPIED_RUN);
	while (!zc_policy_choose(&policy))
		zc_policy_sent(&policy, 1);
	zc_policy_notified(&policy, 1000, false);
	CHECK_TRUE(zc_policy_choose(&policy));
	CHECK_TRUE(zc_policy_choose(&policy));
}

static void a_forced_policy_does_not_listen(void)
{
	zc_policy_init(&policy, ZC_ALWAYS);
	copied(2 * ZC_COPIED_RUN);
	CHECK_TRUE(zc_policy_choose(&policy));
	zc_policy_init(&policy, ZC_NEVER);
	zc_policy_notified(&policy, 1000, false);
	CHECK_FALSE(zc_policy_choose(&policy));
}

static void bytes_are_counted_by_what_happened_to_them(void)
{
	zc_policy_init(&policy, ZC_AUTO);
	zc_policy_notified(&policy, 100, false);
	zc_policy_notified(&policy, 20, true);
	zc_policy_sent(&policy, 3);
	CHECK_EQ_U64(100, policy.zero_copied_bytes);
	CHECK_EQ_U64(23, policy.copied_bytes);
	CHECK_EQ_U64(2, policy.notifications);
}

static void the_option_is_read_by_name(void)
{
	enum zc_force force = ZC_AUTO;

	CHECK_OK(zc_force_parse("never", &force));
	CHECK_EQ_INT(ZC_NEVER, force);
	CHECK_STR("never", zc_force_name(force));
	CHECK_ERRNO(-EINVAL, zc_force_parse("sometimes", &force));
	CHECK_EQ_INT(ZC_NEVER, force);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_new_connection_tries_zero_copy),
	CHECK_TEST(a_run_of_copied_payloads_ends_zero_copy),
	CHECK_TEST(one_payload_without_a_copy_starts_the_run_anew),
	CHECK_TEST(one_payload_of_many_tries_again),
	CHECK_TEST(a_retry_that_was_not_copied_brings_zero_copy_back),
	CHECK_TEST(a_forced_policy_does_not_listen),
	CHECK_TEST(bytes_are_counted_by_what_happened_to_them),
	CHECK_TEST(the_option_is_read_by_name),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("zc_policy", tests, argc, argv);
}
