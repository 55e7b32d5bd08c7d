/* `lockstep events` reading: times that people write, files that are turned over while they are read, hostile lines. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/cli/event_source.h"
#include "gateway/cli/event_time.h"
#include "tests/unit/check.h"

#define NOW_MS 1795885301019ull /* 2026-11-28T17:01:41.019Z */

static void since_is_a_time_or_how_long_ago(void)
{
	static const struct {
		const char *text, *result;
	} cases[] = {
		{"2026-11-28", "2026-11-28"},
		{"2026-11-28T17:00", "2026-11-28T17:00"},
		{"2026-11-28T17:00:05", "2026-11-28T17:00:05"},
		{"2026-11-28T17:00:05Z", "2026-11-28T17:00:05"},
		{"2026-11-28T17:00:05.123Z", "2026-11-28T17:00:05.123Z"},
		{"30s", "2026-11-28T17:01:11.019Z"},
		{"1m", "2026-11-28T17:00:41.019Z"},
		{"2h", "2026-11-28T15:01:41.019Z"},
		{"3d", "2026-11-25T17:01:41.019Z"},
		{"4000000000d", "1970-01-01T00:00:00.000Z"},
	};
	char since[EVENT_TIME_CHARS];
	struct err err;

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		CHECK_OK(event_since_parse(cases[i].text, NOW_MS, since, &err));
		CHECK_STR(cases[i].result, since);
	}
}

static void what_is_neither_is_refused(void)
{
	static const char *const bad[] = {"",
					  "yesterday",
					  "10",
					  "10w",
					  "-1m",
					  "m",
					  "2026",
					  "2026-11-28T1",
					  "2026-11-28 17:00",
					  "2026-11-28T17:00:05.1234Z",
					  "99999999999999999999s",
					  "1m2s"};
	char since[EVENT_TIME_CHARS];
	struct err err;

	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		CHECK_ERRNO(-EINVAL, event_since_parse(bad[i], NOW_MS, since, &err));
		CHECK_STR_HAS("is neither a time", err.text);
	}
}

struct scratch {
	char dir[64];
	char path[96], older[100];
	struct event_source *source;
	char seen[4096];
};

static void scratch_make(struct scratch *s)
{
	memset(s, 0, sizeof(*s));
	snprintf(s->dir, sizeof(s->dir), "/tmp/test_cli_events.XXXXXX");
	CHECK_NOT_NULL(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/vol.events", s->dir);
	snprintf(s->older, sizeof(s->older), "%s.1", s->path);
	s->source = event_source_new(s->dir, "vol");
	CHECK_NOT_NULL(s->source);
}

static void scratch_remove(struct scratch *s)
{
	event_source_free(s->source);
	unlink(s->path);
	unlink(s->older);
	CHECK_EQ_INT(0, rmdir(s->dir));
}

static void add(const char *path, const char *text, size_t len)
{
	FILE *file = fopen(path, "ae");

	CHECK_NOT_NULL(file);
	CHECK_EQ_U64(len, fwrite(text, 1, len, file));
	fclose(file);
}

static void see(void *ctx, const char *line)
{
	struct scratch *s = ctx;
	size_t used = strlen(s->seen);

	snprintf(s->seen + used, sizeof(s->seen) - used, "%s|", line);
}

/* What is handed on now. */
static void reads(struct scratch *s, const char *expected)
{
	struct err err;

	s->seen[0] = '\0';
	CHECK_OK(event_source_read(s->source, see, s, &err));
	CHECK_STR(expected, s->seen);
}

static void both_files_are_read_and_then_what_is_added(void)
{
	struct scratch s;

	scratch_make(&s);
	CHECK_FALSE(event_source_exists(s.source));
	reads(&s, "");
	add(s.path, "time=2\n", 7);
	CHECK_TRUE(event_source_exists(s.source));
	event_source_free(s.source);
	s.source = event_source_new(s.dir, "vol");
	add(s.older, "time=1\n", 7);
	reads(&s, "time=1|time=2|");
	reads(&s, "");
	add(s.path, "time=3\nti", 9);
	reads(&s, "time=3|");
	add(s.path, "me=4\n", 5);
	reads(&s, "time=4|");
	scratch_remove(&s);
}

static void no_line_is_missed_when_the_file_is_turned_over(void)
{
	struct scratch s;

	scratch_make(&s);
	add(s.path, "time=1\n", 7);
	reads(&s, "time=1|");
	add(s.path, "time=2\n", 7);
	CHECK_EQ_INT(0, rename(s.path, s.older));
	reads(&s, "time=2|");
	add(s.path, "time=3\n", 7);
	reads(&s, "time=3|");
	reads(&s, "");
	scratch_remove(&s);
}

static void lines_that_are_no_events_are_skipped(void)
{
	char *long_line = calloc(1, 100000);
	struct scratch s;

	CHECK_NOT_NULL(long_line);
	scratch_make(&s);
	memset(long_line, 'x', 100000);
	memcpy(long_line,
	       "time=", sizeof("time=") - 1); /* NOLINT(bugprone-not-null-terminated-result): in the middle */
	long_line[99999] = '\n';
	add(s.path, "junk\n\n\0\0\ntime=1\n", 16);
	add(s.path, long_line, 100000);
	add(s.path, "time=2\n", 7);
	reads(&s, "time=1|time=2|");
	free(long_line);
	scratch_remove(&s);
}

static void what_is_no_file_is_refused(void)
{
	struct scratch s;
	struct err err;

	scratch_make(&s);
	CHECK_EQ_INT(0, mkdir(s.path, 0700));
	CHECK_ERRNO(-EINVAL, event_source_read(s.source, see, &s, &err));
	CHECK_STR_HAS("vol.events", err.text);
	rmdir(s.path);
	CHECK_EQ_INT(0, mkfifo(s.path, 0600)); /* nobody writes: it must not wait */
	CHECK_ERRNO(-EINVAL, event_source_read(s.source, see, &s, &err));
	scratch_remove(&s);
}

static const struct check_test tests[] = {
	CHECK_TEST(since_is_a_time_or_how_long_ago),
	CHECK_TEST(what_is_neither_is_refused),
	CHECK_TEST(both_files_are_read_and_then_what_is_added),
	CHECK_TEST(no_line_is_missed_when_the_file_is_turned_over),
	CHECK_TEST(lines_that_are_no_events_are_skipped),
	CHECK_TEST(what_is_no_file_is_refused),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("cli_events", tests, argc, argv);
}
