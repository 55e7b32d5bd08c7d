/* The event files of the run directory, read whole and followed: NAME.events.1, then NAME.events, line by line. They
 * are there while no gateway is. What is no event line is skipped. */
#ifndef GATEWAY_CLI_EVENT_SOURCE_H
#define GATEWAY_CLI_EVENT_SOURCE_H

#include <stdbool.h>

#include "common/compiler.h"
#include "common/err.h"
#include "common/event_line.h"

struct event_source;

/* A line without its newline, valid during the call. */
typedef void (*event_line_fn)(void *ctx, const char *line);

/* `name` is the volume's. No file is needed yet. NULL: no memory. */
struct event_source *event_source_new(const char *run_dir, const char *name);
void event_source_free(struct event_source *source);

/* Some event was recorded once: a file is there. */
bool event_source_exists(const struct event_source *source);

/* Hands on every whole line that was not handed on yet, over a change of files too. 0 or -errno with `err`. */
int event_source_read(struct event_source *source, event_line_fn on_line, void *ctx, struct err *err) must_check;

#endif
