/* What happens to a volume, on its way to people: the data thread puts events into a bounded queue and goes on, the
 * control thread takes them out, logs them and keeps them in the volume's event file. A queue that is full drops events
 * and says how many. */
#ifndef GATEWAY_DRIVERS_EVENTS_H
#define GATEWAY_DRIVERS_EVENTS_H

#include <stdbool.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/log.h"
#include "gateway/core/engine.h"

struct events;

/* `spec` is borrowed. NULL: no memory. */
struct events *events_new(const struct volume_spec *spec, const char *path);
void events_free(struct events *events);

/* Data thread. True: the control thread must be told to call events_drain(); it was not yet. */
bool events_push(struct events *events, const struct engine_event *event);

/* Control thread. */
void events_drain(struct events *events);
/* Something that the control thread itself has to tell; `format` begins after "event=KIND volume=NAME ". */
void events_say(struct events *events, enum log_level level, const char *kind, const char *format, ...)
	printf_like(4, 5);

#endif
