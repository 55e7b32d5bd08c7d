/* The judge of drills finds what it is there to find, in histories written by hand. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/drill/judge.h"
#include "tests/native/lib/history.h"
#include "tests/unit/check.h"

#define BLOCK 4096u
#define SECTORS 8u
#define NEVER UINT64_MAX

static char path[] = "/tmp/lockstep-judge.XXXXXX";
static struct history *history;
static uint64_t ops;

static void begin(void)
{
	ops = 0;
	history = history_open(path, 1, 16 * BLOCK);
}

static void add(enum history_kind kind, uint64_t value, uint64_t begin_ns, uint64_t end_ns, int error)
{
	struct history_record record = {
		.op = ++ops,
		.length = BLOCK,
		.begin_ns = begin_ns,
		.end_ns = end_ns,
		.value = value,
		.kind = kind,
		.error = error,
	};
	struct history_run run = {value, SECTORS};

	history_append(history, &record, &run, kind == HISTORY_READ && !error && end_ns != NEVER ? 1 : 0);
}

static void wrote(uint64_t value, uint64_t begin_ns, uint64_t end_ns)
{
	add(HISTORY_WRITE, value, begin_ns, end_ns, 0);
}

static void saw(uint64_t value, uint64_t begin_ns, uint64_t end_ns)
{
	add(HISTORY_READ, value, begin_ns, end_ns, 0);
}

static struct judge *end(uint64_t unknown_until_ns, uint64_t errors_from_ns)
{
	struct judge *judge = judge_new(16 * BLOCK, BLOCK);
	const char *why;

	history_close(history);
	CHECK_OK(judge_add(judge, path, unknown_until_ns, errors_from_ns, &why));
	return judge;
}

static void must_be(bool is_good, struct judge *judge)
{
	CHECK_EQ_INT(is_good, judge_verdict(judge) == NULL);
	judge_free(judge);
}

static void a_register_that_keeps_its_order_is_good(void)
{
	begin();
	saw(0, 1, 2);
	wrote(7, 3, 10);
	saw(0, 4, 5);
	saw(7, 6, 8);
	saw(7, 11, 12);
	add(HISTORY_ZEROES, 0, 20, 30, 0);
	saw(0, 31, 32);
	must_be(true, end(NEVER, NEVER));
}

static void a_value_that_comes_back_is_found(void)
{
	begin();
	wrote(7, 1, 2);
	wrote(8, 3, 10);
	saw(8, 4, 5);
	saw(7, 6, 7);
	must_be(false, end(NEVER, NEVER));
}

static void a_completed_write_that_is_not_there_is_found(void)
{
	begin();
	wrote(7, 1, 2);
	saw(0, 3, 4);
	must_be(false, end(NEVER, NEVER));
}

static void two_writes_that_a_killed_gateway_repeats_in_turn_are_found(void)
{
	begin();
	wrote(7, 1, 100);
	saw(7, 2, 10);
	wrote(8, 20, 100);
	saw(8, 101, 110);
	saw(7, 111, 120);
	must_be(false, end(NEVER, NEVER));
}

static void a_write_without_an_answer_may_have_happened_or_not(void)
{
	begin();
	wrote(7, 1, NEVER);
	saw(0, 2, 3);
	saw(7, 4, 5);
	must_be(true, end(6, NEVER));
	begin();
	wrote(7, 1, NEVER);
	saw(0, 7, 8);
	saw(7, 9, 10);
	must_be(false, end(6, NEVER));
}

static void what_was_asked_for_after_the_volume_was_lost_has_no_effect(void)
{
	begin();
	add(HISTORY_WRITE, 7, 20, 21, -5);
	saw(7, 30, 31);
	must_be(false, end(10, 5));
}

static void a_failure_counts_only_where_it_is_allowed(void)
{
	struct judge *judge = judge_new(16 * BLOCK, BLOCK);
	const char *why = NULL;

	begin();
	add(HISTORY_WRITE, 7, 1, 2, -5);
	history_close(history);
	CHECK_ERRNO(-EBADMSG, judge_add(judge, path, NEVER, 3, &why));
	CHECK_STR_HAS("nobody else wanted the volume", why);
	judge_free(judge);
}

static void parts_of_two_writes_are_found(void)
{
	struct history_record record = {.op = 1, .length = BLOCK, .begin_ns = 1, .end_ns = 2, .kind = HISTORY_READ};
	struct history_run runs[] = {{7, SECTORS / 2}, {8, SECTORS / 2}};
	struct judge *judge = judge_new(16 * BLOCK, BLOCK);
	const char *why = NULL;

	begin();
	history_append(history, &record, runs, 2);
	history_close(history);
	CHECK_ERRNO(-EBADMSG, judge_add(judge, path, NEVER, NEVER, &why));
	judge_free(judge);
}

static void a_pause_is_between_two_answers_to_anybody(void)
{
	struct judge *judge;
	struct judge_pause pause;

	begin();
	wrote(7, 1, 10);
	wrote(8, 11, 90);
	wrote(9, 91, 95);
	judge = end(NEVER, NEVER);
	pause = judge_pause(judge, 5, 50);
	CHECK_EQ_U64(80, pause.length_ns);
	CHECK_EQ_U64(90, pause.end_ns);
	CHECK_EQ_U64(BLOCK, judge_bytes_in_flight(judge, 50));
	judge_free(judge);
}

static const struct check_test tests[] = {
	CHECK_TEST(a_register_that_keeps_its_order_is_good),
	CHECK_TEST(a_value_that_comes_back_is_found),
	CHECK_TEST(a_completed_write_that_is_not_there_is_found),
	CHECK_TEST(two_writes_that_a_killed_gateway_repeats_in_turn_are_found),
	CHECK_TEST(a_write_without_an_answer_may_have_happened_or_not),
	CHECK_TEST(what_was_asked_for_after_the_volume_was_lost_has_no_effect),
	CHECK_TEST(a_failure_counts_only_where_it_is_allowed),
	CHECK_TEST(parts_of_two_writes_are_found),
	CHECK_TEST(a_pause_is_between_two_answers_to_anybody),
};

int main(int argc, char **argv)
{
	int fd = mkstemp(path), failures;

	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	failures = CHECK_MAIN("judge", tests, argc, argv);
	unlink(path);
	return failures;
}
