/* Polling begins where waits are short, ends where they are long, and never begins where it is off. */
#include "common/busy_poll.h"

#include <errno.h>
#include <sys/wait.h>

#include "tests/unit/check.h"

#define US 1000ull
#define SWITCH_NS (5 * US)

static void learn(struct busy_poll *poll, uint64_t waited_ns, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		busy_poll_learn(poll, waited_ns);
}

static void words_and_microseconds_are_understood_and_nothing_else_is(void)
{
	static const char *const wrong[] = {"",	     "0",   "on", "automatic",		 "-1",
					    "10001", "5us", " 5", "99999999999999999999"};
	struct err err = {0};
	uint32_t us = 7;

	CHECK_OK(busy_poll_parse("auto", &us, &err));
	CHECK_EQ_U64(BUSY_POLL_AUTO, us);
	CHECK_OK(busy_poll_parse("off", &us, &err));
	CHECK_EQ_U64(0, us);
	CHECK_OK(busy_poll_parse("10000", &us, &err));
	CHECK_EQ_U64(10000, us);
	for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++) {
		err = (struct err){0};
		CHECK_EQ_U64((unsigned)EINVAL, (unsigned)-busy_poll_parse(wrong[i], &us, &err));
		CHECK_TRUE(err.text[0]);
	}
}

static void what_is_off_never_polls(void)
{
	struct busy_poll poll = busy_poll_new(0, SWITCH_NS);

	learn(&poll, 0, 100);
	CHECK_TRUE(!busy_poll_is_due(&poll));
}

/* What polling saves is a switch: where that is dear, a poll may be long, and short where it is cheap. */
static void automatic_limits_follow_what_a_switch_costs(void)
{
	struct busy_poll cheap = busy_poll_new(BUSY_POLL_AUTO, SWITCH_NS),
			 dear = busy_poll_new(BUSY_POLL_AUTO, 20 * SWITCH_NS);

	CHECK_EQ_U64(30 * SWITCH_NS, cheap.limit_ns);
	CHECK_EQ_U64(4 * SWITCH_NS, cheap.patience_ns);
	CHECK_EQ_U64(500 * US, dear.limit_ns);
	CHECK_EQ_U64(200 * US, dear.patience_ns);
	CHECK_EQ_U64(0, busy_poll_new(BUSY_POLL_AUTO, 0).limit_ns);
}

static void patience_stays_below_a_limit_that_was_given(void)
{
	struct busy_poll poll = busy_poll_new(10, 20 * SWITCH_NS);

	CHECK_EQ_U64(10 * US, poll.limit_ns);
	CHECK_EQ_U64(4 * US, poll.patience_ns);
	CHECK_EQ_U64(4 * US, busy_poll_new(10, 0).patience_ns);
}

static void polling_begins_after_some_short_waits_and_not_at_the_first(void)
{
	struct busy_poll poll = busy_poll_new(100, SWITCH_NS);

	CHECK_TRUE(!busy_poll_is_due(&poll));
	learn(&poll, 100 * US, 3);
	CHECK_TRUE(!busy_poll_is_due(&poll));
	learn(&poll, 100 * US, 1);
	CHECK_TRUE(busy_poll_is_due(&poll));
	poll.is_held = true;
	CHECK_TRUE(!busy_poll_is_due(&poll));
}

/* A pause between two bursts costs one poll or two, not one at every wake-up of an idle thread. */
static void polling_outlives_one_long_wait_and_ends_with_the_second(void)
{
	struct busy_poll poll = busy_poll_new(100, SWITCH_NS);

	learn(&poll, 10 * US, 1000);
	learn(&poll, 101 * US, 1);
	CHECK_TRUE(busy_poll_is_due(&poll));
	learn(&poll, 101 * US, 1);
	CHECK_TRUE(!busy_poll_is_due(&poll));
	learn(&poll, 101 * US, 1000);
	learn(&poll, 10 * US, 4);
	CHECK_TRUE(busy_poll_is_due(&poll));
}

/* A light load: an answer soon, then long nothing. */
static void waits_that_alternate_are_slept(void)
{
	struct busy_poll poll = busy_poll_new(100, SWITCH_NS);

	for (unsigned i = 0; i < 1000; i++) {
		learn(&poll, 10 * US, 1);
		learn(&poll, 5000 * US, 1);
		CHECK_TRUE(!busy_poll_is_due(&poll));
	}
}

static void what_a_switch_costs_here_is_measured_and_leaves_no_process_behind(void)
{
	struct busy_poll poll = busy_poll_measure(BUSY_POLL_AUTO);

	CHECK_TRUE(poll.limit_ns > 0 && poll.limit_ns <= 500 * US);
	CHECK_TRUE(poll.patience_ns > 0 && poll.patience_ns < poll.limit_ns);
	CHECK_EQ_U64(0, busy_poll_measure(0).limit_ns);
	CHECK_EQ_INT(-1, waitpid(-1, NULL, WNOHANG));
	CHECK_EQ_INT(ECHILD, errno);
}

static const struct check_test tests[] = {
	CHECK_TEST(words_and_microseconds_are_understood_and_nothing_else_is),
	CHECK_TEST(what_is_off_never_polls),
	CHECK_TEST(automatic_limits_follow_what_a_switch_costs),
	CHECK_TEST(patience_stays_below_a_limit_that_was_given),
	CHECK_TEST(polling_begins_after_some_short_waits_and_not_at_the_first),
	CHECK_TEST(polling_outlives_one_long_wait_and_ends_with_the_second),
	CHECK_TEST(waits_that_alternate_are_slept),
	CHECK_TEST(what_a_switch_costs_here_is_measured_and_leaves_no_process_behind),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("busy_poll", tests, argc, argv);
}
