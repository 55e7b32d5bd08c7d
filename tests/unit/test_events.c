/* Event lines and files: what is written reads back, files stay bounded, a full disk costs counted lines and no more,
 * and a queue that overflows says so. */
#include "gateway/drivers/events.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/event_line.h"
#include "gateway/drivers/event_file.h"
#include "tests/unit/check.h"
#include "tests/unit/engine_harness.h"

struct scratch {
	char dir[64];
	char path[96], older[100];
};

static void scratch_make(struct scratch *s)
{
	snprintf(s->dir, sizeof(s->dir), "/tmp/test_events.XXXXXX");
	CHECK_NOT_NULL(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/vol.events", s->dir);
	snprintf(s->older, sizeof(s->older), "%s.1", s->path);
}

static void scratch_remove(const struct scratch *s)
{
	unlink(s->path);
	unlink(s->older);
	CHECK_EQ_INT(0, rmdir(s->dir));
}

/* The whole file; the caller frees. */
static char *content(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = calloc(1, 1u << 20);

	CHECK_NOT_NULL(text);
	CHECK_NOT_NULL(file);
	CHECK_TRUE(fread(text, 1, (1u << 20) - 1, file) > 0);
	fclose(file);
	return text;
}

static void times_sort_as_text(void)
{
	char text[EVENT_TIME_CHARS];

	event_time_format(0, text);
	CHECK_STR("1970-01-01T00:00:00.000Z", text);
	event_time_format(1795885301019ull, text);
	CHECK_STR("2026-11-28T17:01:41.019Z", text);
	event_time_format(UINT64_MAX, text);
	CHECK_EQ_U64(EVENT_TIME_CHARS - 1, strlen(text));
}

static void a_line_is_taken_apart_into_its_pairs(void)
{
	const char *at = "time=now event=evicted replica= text=\"a b=c\" set=3";
	struct event_field field;

	CHECK_TRUE(event_line_next(&at, &field));
	CHECK_MEM("time", field.key, 4);
	CHECK_TRUE(event_line_find(at, "replica", &field));
	CHECK_EQ_U64(0, field.value_chars);
	CHECK_TRUE(event_line_find(at, "text", &field));
	CHECK_EQ_U64(5, field.value_chars);
	CHECK_MEM("a b=c", field.value, 5);
	CHECK_TRUE(event_line_find(at, "set", &field));
	CHECK_EQ_U64(1, field.value_chars);
	CHECK_FALSE(event_line_find(at, "b", &field)); /* inside quotes */
}

static void what_is_no_pair_ends_a_line(void)
{
	static const char *const bad[] = {"", " ", "=x", "word", "a=\"open", "\"a\"=b"};
	struct event_field field;

	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		const char *at = bad[i];

		CHECK_FALSE(event_line_next(&at, &field));
	}
}

static void a_text_cannot_break_its_line(void)
{
	char text[] = "say \"no\"\nevent=forged\033";

	event_line_tame(text);
	CHECK_STR("say 'no'?event=forged?", text);
}

static void lines_are_appended_with_their_time(void)
{
	struct event_file file;
	struct scratch s;
	char *text;

	scratch_make(&s);
	event_file_init(&file, s.path, 4096);
	event_file_add(&file, 0, "event=a");
	event_file_close(&file);
	event_file_init(&file, s.path, 4096); /* the next gateway */
	event_file_add(&file, 1000, "event=b");
	text = content(s.path);
	CHECK_STR("time=1970-01-01T00:00:00.000Z event=a\ntime=1970-01-01T00:00:01.000Z event=b\n", text);
	free(text);
	event_file_close(&file);
	scratch_remove(&s);
}

static void the_files_stay_bounded_and_the_newest_lines_stay(void)
{
	struct event_file file;
	struct scratch s;
	struct stat st;
	char line[64], *text;

	scratch_make(&s);
	event_file_init(&file, s.path, 4096);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "event=x count=%u", i);
		event_file_add(&file, i, line);
	}
	CHECK_EQ_INT(0, stat(s.path, &st));
	CHECK_TRUE(st.st_size <= 4096);
	CHECK_EQ_INT(0, stat(s.older, &st));
	CHECK_TRUE(st.st_size <= 4096 && st.st_size > 3000);
	text = content(s.path);
	CHECK_STR_HAS("count=999\n", text);
	free(text);
	CHECK_EQ_U64(1000, file.written);
	event_file_close(&file);
	scratch_remove(&s);
}

/* A limit on the size of files fails as a full disk does, half a line included. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	CHECK_EQ_INT(0, getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = bytes;
	CHECK_EQ_INT(0, setrlimit(RLIMIT_FSIZE, &limit));
}

static void a_full_disk_costs_lines_that_are_counted(void)
{
	struct event_file file;
	struct scratch s;
	char *text;

	scratch_make(&s);
	signal(SIGXFSZ, SIG_IGN);
	event_file_init(&file, s.path, 4096);
	limit_files(60); /* in the middle of the second line */
	for (unsigned i = 0; i < 4; i++)
		event_file_add(&file, i, "event=x");
	limit_files(RLIM_INFINITY);
	CHECK_EQ_U64(3, file.missed);
	event_file_add(&file, 7000, "event=kept");
	text = content(s.path);
	CHECK_STR("time=1970-01-01T00:00:00.000Z event=x\n"
		  "time=1970-01-01T00:00:07.000Z event=events-missed count=3\n"
		  "time=1970-01-01T00:00:07.000Z event=kept\n",
		  text);
	CHECK_EQ_U64(0, file.missed);
	free(text);
	event_file_close(&file);
	scratch_remove(&s);
}

static struct engine_event event_of(enum engine_event_kind kind, unsigned leg, const char *text)
{
	return (struct engine_event){
		.kind = kind, .set = 0, .leg = leg, .gen = 5, .duration_ns = 12000000, .bytes = 7, .text = text};
}

static void events_of_the_data_thread_reach_the_file_in_order(void)
{
	struct volume_spec spec = harness_spec(1, 3);
	struct engine_event evicted = event_of(EVENT_EVICTED, 1, "no \"answer\""),
			    resumed = event_of(EVENT_RESUMED, EVENT_NO_LEG, "");
	struct events *events;
	struct scratch s;
	char *text;

	scratch_make(&s);
	events = events_new(&spec, s.path);
	CHECK_NOT_NULL(events);
	CHECK_TRUE(events_push(events, &evicted));
	CHECK_FALSE(events_push(events, &resumed)); /* told already */
	events_drain(events);
	CHECK_TRUE(events_push(events, &resumed));
	events_drain(events);
	text = content(s.path);
	CHECK_STR_HAS(" event=evicted volume=vol set=0 replica=r1 gen=5 duration_ms=12 bytes=7 text=\"no 'answer'\"\n",
		      text);
	CHECK_STR_HAS(" event=resumed volume=vol set=0 replica= gen=5 duration_ms=12 bytes=7 text=\"\"\n", text);
	free(text);
	events_free(events);
	scratch_remove(&s);
}

static void a_queue_that_is_full_drops_and_says_how_many(void)
{
	struct volume_spec spec = harness_spec(1, 3);
	struct engine_event event = event_of(EVENT_EVICTING, 2, "cause");
	struct events *events;
	struct scratch s;
	char *text;

	scratch_make(&s);
	events = events_new(&spec, s.path);
	CHECK_NOT_NULL(events);
	for (unsigned i = 0; i < 300; i++)
		(void)events_push(events, &event);
	events_drain(events);
	text = content(s.path);
	CHECK_STR_HAS("event=events-dropped volume=vol count=44\n", text);
	free(text);
	events_drain(events); /* once */
	CHECK_TRUE(events_push(events, &event));
	events_free(events);
	scratch_remove(&s);
}

static const struct check_test tests[] = {
	CHECK_TEST(times_sort_as_text),
	CHECK_TEST(a_line_is_taken_apart_into_its_pairs),
	CHECK_TEST(what_is_no_pair_ends_a_line),
	CHECK_TEST(a_text_cannot_break_its_line),
	CHECK_TEST(lines_are_appended_with_their_time),
	CHECK_TEST(the_files_stay_bounded_and_the_newest_lines_stay),
	CHECK_TEST(a_full_disk_costs_lines_that_are_counted),
	CHECK_TEST(events_of_the_data_thread_reach_the_file_in_order),
	CHECK_TEST(a_queue_that_is_full_drops_and_says_how_many),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("events", tests, argc, argv);
}
