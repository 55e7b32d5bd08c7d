/* The heap of events. Knows times and sequence numbers only, so that no pointer ever decides an order. */
#include "tests/sim/event.h"

#include <stdlib.h>

#include "common/compiler.h"

static const char *const names[] = {
	[EVENT_DELIVER] = "deliver",
	[EVENT_CONNECT] = "connect",
	[EVENT_LANE_CLOSED] = "lane-closed",
	[EVENT_FLUSH] = "flush",
	[EVENT_RESUME_WRITES] = "resume-writes",
	[EVENT_RELEASED] = "released",
	[EVENT_ZEROED] = "zeroed",
	[EVENT_TICK] = "tick",
	[EVENT_RECOVERED] = "recovered",
	[EVENT_OPERATOR] = "operator",
	[EVENT_APP] = "app",
	[EVENT_SCRIBBLE] = "scribble",
	[EVENT_DISK] = "disk",
	[EVENT_SERVER_LANE_GONE] = "server-lane-gone",
	[EVENT_SERVER_START] = "server-start",
	[EVENT_FAULT] = "fault",
	[EVENT_HEAL] = "heal",
	[EVENT_PHASE] = "phase",
};

const char *event_kind_name(uint32_t kind)
{
	return kind < ARRAY_COUNT(names) && names[kind] ? names[kind] : "?";
}

void event_heap_reset(struct event_heap *heap)
{
	heap->count = 0;
	heap->sequence = 0;
}

void event_heap_fini(struct event_heap *heap)
{
	free(heap->events);
	*heap = (struct event_heap){0};
}

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void grow(struct event_heap *heap)
{
	heap->capacity = heap->capacity ? 2 * heap->capacity : 1024;
	heap->events = realloc(heap->events, heap->capacity * sizeof(*heap->events));
	if (!heap->events)
		abort();
}

void event_heap_add(struct event_heap *heap, const struct event *event)
{
	struct event added = *event;
	size_t i = heap->count++;

	if (heap->count > heap->capacity)
		grow(heap);
	added.sequence = ++heap->sequence;
	while (i > 0 && is_before(&added, &heap->events[(i - 1) / 2])) {
		heap->events[i] = heap->events[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap->events[i] = added;
}

bool event_heap_take(struct event_heap *heap, struct event *ret)
{
	struct event last;
	size_t i = 0, child;

	if (heap->count == 0)
		return false;
	*ret = heap->events[0];
	last = heap->events[--heap->count];
	for (child = 1; child < heap->count; child = 2 * i + 1) {
		if (child + 1 < heap->count && is_before(&heap->events[child + 1], &heap->events[child]))
			child++;
		if (!is_before(&heap->events[child], &last))
			break;
		heap->events[i] = heap->events[child];
		i = child;
	}
	heap->events[i] = last;
	return true;
}
