/* The queue between the threads, and the words for each event. Decides nothing.
 * The data thread's part is a copy into memory that is there already; all else is the control thread's. */
#include "gateway/drivers/events.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/event_line.h"
#include "gateway/drivers/event_file.h"

#define QUEUE_EVENTS 256u /* a power of two; many legs may fall out at once */
#define TEXT_CHARS 320u

struct record {
	uint64_t realtime_ms;
	enum engine_event_kind kind;
	unsigned set, leg;
	uint32_t gen;
	uint64_t duration_ms, bytes;
	char text[TEXT_CHARS];
};

struct events {
	const struct volume_spec *spec;
	struct event_file file;
	bool is_told;	    /* atomic: a drain is due */
	uint32_t put, took; /* atomic, each written by one thread; they run over */
	uint64_t dropped;   /* atomic */
	uint64_t told_dropped;
	struct record queue[QUEUE_EVENTS];
};

static uint64_t realtime_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct events *events_new(const struct volume_spec *spec, const char *path)
{
	struct events *events = calloc(1, sizeof(*events));

	if (!events)
		return NULL;
	events->spec = spec;
	event_file_init(&events->file, path, EVENT_FILE_BYTES_MAX);
	return events;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	event_file_close(&events->file);
	free(events);
}

bool events_push(struct events *events, const struct engine_event *event)
{
	uint32_t put = events->put;
	struct record *record = &events->queue[put % QUEUE_EVENTS];

	if (put - __atomic_load_n(&events->took, __ATOMIC_ACQUIRE) == QUEUE_EVENTS) {
		__atomic_fetch_add(&events->dropped, 1, __ATOMIC_RELAXED);
		return false;
	}
	*record = (struct record){
		.realtime_ms = realtime_ms(),
		.kind = event->kind,
		.set = event->set,
		.leg = event->leg,
		.gen = event->gen,
		.duration_ms = event->duration_ns / 1000000,
		.bytes = event->bytes,
	};
	snprintf(record->text, sizeof(record->text), "%s", event->text);
	__atomic_store_n(&events->put, put + 1, __ATOMIC_RELEASE);
	return !__atomic_exchange_n(&events->is_told, true, __ATOMIC_ACQ_REL);
}

static enum log_level level_of(enum engine_event_kind kind)
{
	switch (kind) {
	case EVENT_EVICTING:
	case EVENT_SUSPENDED:
	case EVENT_FAILED:
	case EVENT_LOSS_RECORDED:
	case EVENT_DIFFERENCE:
		return LOG_LEVEL_WARN;
	default:
		return LOG_LEVEL_INFO;
	}
}

static void tell(struct events *events, struct record *record)
{
	const char *replica =
		record->leg == EVENT_NO_LEG ? "" : volume_leg_replica(events->spec, record->leg, NULL)->name;
	char line[EVENT_LINE_CHARS_MAX];

	event_line_tame(record->text);
	snprintf(line, sizeof(line),
		 "event=%s volume=%s set=%u replica=%s gen=%" PRIu32 " duration_ms=%" PRIu64 " bytes=%" PRIu64
		 " text=\"%s\"",
		 engine_event_name(record->kind), events->spec->name, record->set, replica, record->gen,
		 record->duration_ms, record->bytes, record->text);
	log_line(level_of(record->kind), "%s", line);
	event_file_add(&events->file, record->realtime_ms, line);
}

void events_drain(struct events *events)
{
	uint64_t dropped;

	/* First: what is put from here on is told of anew. */
	__atomic_store_n(&events->is_told, false, __ATOMIC_SEQ_CST);
	while (events->took != __atomic_load_n(&events->put, __ATOMIC_ACQUIRE)) {
		tell(events, &events->queue[events->took % QUEUE_EVENTS]);
		__atomic_store_n(&events->took, events->took + 1, __ATOMIC_RELEASE);
	}
	dropped = __atomic_load_n(&events->dropped, __ATOMIC_RELAXED);
	if (dropped == events->told_dropped)
		return;
	events_say(events, LOG_LEVEL_WARN, "events-dropped", "count=%" PRIu64, dropped - events->told_dropped);
	events->told_dropped = dropped;
}

void events_say(struct events *events, enum log_level level, const char *kind, const char *format, ...)
{
	char line[EVENT_LINE_CHARS_MAX];
	int used = snprintf(line, sizeof(line), "event=%s volume=%s ", kind, events->spec->name);
	va_list args;

	va_start(args, format);
	vsnprintf(line + used, sizeof(line) - (size_t)used, format, args);
	va_end(args);
	log_line(level, "%s", line);
	event_file_add(&events->file, realtime_ms(), line);
}
