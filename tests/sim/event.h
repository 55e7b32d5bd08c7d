/* Virtual time: one binary heap of events, ordered by time and then by the order in which they were added. */
#ifndef TESTS_SIM_EVENT_H
#define TESTS_SIM_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
	EVENT_DELIVER = 1,	/* a: connection, b: direction */
	EVENT_CONNECT,		/* gateway; a: leg, b: lane, serial: attempt */
	EVENT_LANE_CLOSED,	/* gateway; a: leg, b: lane, serial: attempt */
	EVENT_FLUSH,		/* gateway: end of its loop turn */
	EVENT_RESUME_WRITES,	/* gateway: buffers for deferred writes are free again */
	EVENT_RELEASED,		/* gateway; a: borrow, serial: its use */
	EVENT_ZEROED,		/* gateway; a: engine's id */
	EVENT_TICK,		/* gateway */
	EVENT_RECOVERED,	/* gateway: the kernel has issued every request again */
	EVENT_OPERATOR,		/* somebody looks after the gateways */
	EVENT_APP,		/* gateway; a: slot */
	EVENT_SCRIBBLE,		/* a: payload, serial: its use */
	EVENT_DISK,		/* server; op */
	EVENT_SERVER_LANE_GONE, /* server; a: connection */
	EVENT_SERVER_START,	/* a: server */
	EVENT_FAULT,
	EVENT_HEAL,  /* a: which fault, b: its object */
	EVENT_PHASE, /* is the seed over? */
};

/* Whom an event is for: such an event dies with the process and waits while it is paused. */
#define PROCESS_NONE 0u
#define PROCESS_GATEWAY(i) (1u + (i))
#define PROCESS_SERVER(i) (16u + (i))

struct event {
	uint64_t at_ns;
	uint64_t sequence;
	uint32_t kind;
	uint32_t process;
	uint64_t incarnation; /* of the process */
	uint64_t a, b;
	uint64_t serial; /* of a thing that is used again and again */
	void *op;
};

struct event_heap {
	struct event *events;
	size_t count, capacity;
	uint64_t sequence;
};

void event_heap_reset(struct event_heap *heap);
void event_heap_fini(struct event_heap *heap);
/* Copies; `sequence` is filled in. */
void event_heap_add(struct event_heap *heap, const struct event *event);
/* False: nothing is left. */
bool event_heap_take(struct event_heap *heap, struct event *ret);
const char *event_kind_name(uint32_t kind);

#endif
