/* The small parts of common/: names, arena, randomness, boot id, the clock, log lines. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/bootid.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/name.h"
#include "common/process.h"
#include "common/random.h"
#include "tests/unit/check.h"

#define EXIT_NOT_ALLOWED 77

static void names_of_letters_digits_and_three_marks_are_valid(void)
{
	static const char *const good[] = {"a", "0", "Data-1", "a.b_c-d", "x..y"};
	char longest[VOLUME_NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_COUNT(good); i++)
		CHECK_TRUE(name_is_valid(good[i]));
	memset(longest, 'a', sizeof(longest));
	longest[VOLUME_NAME_MAX] = '\0';
	CHECK_TRUE(name_is_valid(longest));
}

static void other_names_are_not(void)
{
	static const char *const bad[] = {"", "-a", ".a", "_a", "..", "a/b", "a b", "a\n", "a\xc3\xa9", "a:b", "a*"};
	char too_long[VOLUME_NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		CHECK_FALSE(name_is_valid(bad[i]));
	memset(too_long, 'a', sizeof(too_long));
	too_long[VOLUME_NAME_MAX + 1] = '\0';
	CHECK_FALSE(name_is_valid(too_long));
}

static void an_arena_gives_zeroed_aligned_pieces_until_it_is_full(void)
{
	_Alignas(max_align_t) uint8_t block[128];
	struct arena arena;
	uint8_t *first, *second;

	memset(block, 0xee, sizeof(block));
	arena_init(&arena, block, sizeof(block));
	first = arena_take(&arena, 1);
	second = arena_take(&arena, 100);
	CHECK_TRUE(first == block && *first == 0);
	CHECK_EQ_U64(0, (uintptr_t)second % _Alignof(max_align_t));
	CHECK_EQ_U64(0, second[99]);
	CHECK_FALSE(arena.is_exhausted);
	CHECK_NULL(arena_take(&arena, 100));
	CHECK_NULL(arena_take(&arena, SIZE_MAX));
	CHECK_TRUE(arena.is_exhausted);
}

static void random_numbers_differ_and_are_never_0(void)
{
	uint64_t a = random_nonzero(), b = random_nonzero();

	CHECK_TRUE(a != 0 && b != 0 && a != b);
}

static void a_process_has_ended_when_it_is_killed_though_nobody_asked_for_it(void)
{
	pid_t child = fork();
	siginfo_t info;

	if (child == 0)
		for (;;)
			pause();
	CHECK_TRUE(child > 0);
	CHECK_FALSE(process_has_ended(child));
	CHECK_FALSE(process_has_ended(getpid()));
	kill(child, SIGKILL);
	CHECK_OK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
	CHECK_TRUE(process_has_ended(child));
	CHECK_EQ_INT(child, waitpid(child, NULL, 0));
	CHECK_TRUE(process_has_ended(child));
}

static void the_boot_id_is_the_same_each_time_and_not_nil(void)
{
	struct uuid a, b;

	CHECK_OK(bootid_read(&a, NULL));
	CHECK_OK(bootid_read(&b, NULL));
	CHECK_TRUE(uuid_equal(&a, &b));
	CHECK_FALSE(uuid_is_nil(&a));
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* In a process of its own: 0 when the clock is ahead of CLOCK_MONOTONIC by what a host that was suspended is. */
static int run_where_the_host_slept(void)
{
	static const char offsets[] = "boottime 1000000 0\n";
	int status = 0, fd;
	pid_t pid;

	if (unshare(CLONE_NEWTIME))
		return errno == EPERM || errno == EINVAL ? EXIT_NOT_ALLOWED : 1;
	fd = open("/proc/self/timens_offsets", O_WRONLY);
	if (fd < 0 || write(fd, offsets, sizeof(offsets) - 1) != sizeof(offsets) - 1)
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(clock_now_ns() < monotonic_ns() + 999999 * NS_PER_S);
	return pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
}

static void the_clock_goes_on_while_the_host_is_suspended(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run_where_the_host_slept());
	CHECK_TRUE(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status) == EXIT_NOT_ALLOWED)
		printf("(no time namespace to be had here) ");
	else
		CHECK_EQ_INT(0, WEXITSTATUS(status));
}

static void levels_are_parsed_by_name_only(void)
{
	enum log_level level = LOG_LEVEL_ERROR;

	CHECK_OK(log_level_parse("debug", &level));
	CHECK_EQ_INT(LOG_LEVEL_DEBUG, level);
	CHECK_ERRNO(-EINVAL, log_level_parse("loud", &level));
	CHECK_ERRNO(-EINVAL, log_level_parse("", &level));
	CHECK_EQ_INT(LOG_LEVEL_DEBUG, level);
}

/* What `text` becomes as a line on stderr. */
static void capture(enum log_level level, const char *text, char *out, size_t cap)
{
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t got;

	CHECK_OK(pipe2(fds, O_NONBLOCK));
	dup2(fds[1], STDERR_FILENO);
	log_line(level, "%s", text);
	dup2(saved, STDERR_FILENO);
	got = read(fds[0], out, cap - 1);
	out[got > 0 ? got : 0] = '\0';
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static void a_log_line_is_one_line_whatever_a_peer_wrote(void)
{
	char line[4096];

	log_init("unit", LOG_LEVEL_INFO);
	capture(LOG_LEVEL_WARN, "peer=\"a\nb\x1b[2J\"", line, sizeof(line));
	CHECK_STR_HAS("unit[", line);
	CHECK_STR_HAS("] warn peer=\"a?b?[2J\"\n", line);
	capture(LOG_LEVEL_DEBUG, "not said", line, sizeof(line));
	CHECK_STR("", line);
}

static void an_overlong_log_line_is_cut_and_still_ends(void)
{
	char text[4096], line[4096];
	size_t chars;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_init("unit", LOG_LEVEL_INFO);
	capture(LOG_LEVEL_INFO, text, line, sizeof(line));
	chars = strlen(line);
	CHECK_TRUE(chars > 1000 && chars <= 2048);
	CHECK_EQ_INT('\n', line[chars - 1]);
	CHECK_TRUE(strchr(line, '\n') == line + chars - 1);
}

static void fill(int fd)
{
	const char waste[4096] = {0};

	while (write(fd, waste, sizeof(waste)) > 0)
		;
}

/* A pipe that nobody reads, not even O_NONBLOCK: a line that waited for it would wait for ever. */
static void a_log_that_nobody_reads_is_not_waited_for_and_lost_lines_are_counted(void)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char waste[4096], line[4096];
	ssize_t got;

	CHECK_OK(pipe2(fds, O_NONBLOCK));
	fill(fds[1]);
	CHECK_OK(fcntl(fds[1], F_SETFL, 0));
	log_init("unit", LOG_LEVEL_INFO);
	dup2(fds[1], STDERR_FILENO);
	alarm(60);
	for (unsigned i = 0; i < 3; i++)
		log_info("event=lost");
	while (read(fds[0], waste, sizeof(waste)) > 0)
		;
	log_info("event=said");
	alarm(0);
	dup2(saved, STDERR_FILENO);
	got = read(fds[0], line, sizeof(line) - 1);
	CHECK_TRUE(got > 0);
	line[got] = '\0';
	CHECK_STR_HAS("warn event=lines_lost count=3\n", line);
	CHECK_STR_HAS("info event=said\n", line);
	CHECK_NULL(strstr(line, "event=lost"));
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static void under_the_journal_a_line_has_its_priority_and_no_time(void)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char stream[64], line[256];
	struct stat st;
	ssize_t got;

	CHECK_OK(pipe2(fds, O_NONBLOCK));
	CHECK_OK(fstat(fds[1], &st));
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	dup2(fds[1], STDERR_FILENO);
	log_init("unit", LOG_LEVEL_INFO);
	log_error("event=x");
	dup2(saved, STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	got = read(fds[0], line, sizeof(line) - 1);
	CHECK_TRUE(got > 0);
	line[got] = '\0';
	CHECK_STR("<3>unit: event=x\n", line);
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static const struct check_test tests[] = {
	CHECK_TEST(names_of_letters_digits_and_three_marks_are_valid),
	CHECK_TEST(other_names_are_not),
	CHECK_TEST(an_arena_gives_zeroed_aligned_pieces_until_it_is_full),
	CHECK_TEST(random_numbers_differ_and_are_never_0),
	CHECK_TEST(a_process_has_ended_when_it_is_killed_though_nobody_asked_for_it),
	CHECK_TEST(the_boot_id_is_the_same_each_time_and_not_nil),
	CHECK_TEST(the_clock_goes_on_while_the_host_is_suspended),
	CHECK_TEST(levels_are_parsed_by_name_only),
	CHECK_TEST(a_log_line_is_one_line_whatever_a_peer_wrote),
	CHECK_TEST(under_the_journal_a_line_has_its_priority_and_no_time),
	CHECK_TEST(an_overlong_log_line_is_cut_and_still_ends),
	CHECK_TEST(a_log_that_nobody_reads_is_not_waited_for_and_lost_lines_are_counted),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("common", tests, argc, argv);
}
