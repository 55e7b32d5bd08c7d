/* Lines of an event log: key=value pairs with spaces between them, values that may hold spaces in double quotes. No
 * escapes: what would need one is replaced when the line is written. Pure. */
#ifndef COMMON_EVENT_LINE_H
#define COMMON_EVENT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"

#define EVENT_LINE_CHARS_MAX 1024u
#define EVENT_TIME_CHARS 25u /* "2026-11-28T17:16:53.958Z" and the NUL: sorts as text */

void event_time_format(uint64_t realtime_ms, char out[EVENT_TIME_CHARS]);

/* Makes `text` fit between quotes: a double quote becomes a single one, control characters become '?'. */
void event_line_tame(char *text);

struct event_field {
	const char *key, *value; /* not terminated; point into the line */
	size_t key_chars, value_chars;
};

/* The next pair from `*at` on, which moves. False: nothing (more) that is a pair. */
bool event_line_next(const char **at, struct event_field *ret);
/* The pair with that key; false: none. */
bool event_line_find(const char *line, const char *key, struct event_field *ret);

#endif
