/* The bounded event log of a volume: PATH, and PATH.1 before it. Lines are appended whole or not at all; a disk that is
 * full costs lines, never more than that: they are counted, and the next line that fits says how many.
 * Control thread; blocks as long as write(2) does. */
#ifndef GATEWAY_DRIVERS_EVENT_FILE_H
#define GATEWAY_DRIVERS_EVENT_FILE_H

#include <limits.h>
#include <stdint.h>

#include "common/compiler.h"

#define EVENT_FILE_BYTES_MAX (256u * 1024u) /* of each of the two */

struct event_file {
	char path[PATH_MAX];
	uint32_t bytes_max;
	int fd; /* -1: not open */
	uint64_t bytes;
	uint64_t missed; /* lines that could not be written since the last that was */
	uint64_t written;
};

void event_file_init(struct event_file *file, const char *path, uint32_t bytes_max);
/* `line` without time and newline. */
void event_file_add(struct event_file *file, uint64_t realtime_ms, const char *line);
void event_file_close(struct event_file *file);

#endif
